"""The settings of an SMS channel, as an administrator fills them in."""

from __future__ import annotations

import re

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from channels_in import phone_numbers
from channels_in.forms import ChannelForm, Handover, Section

SID = RegexValidator(r"^AC[0-9a-fA-F]{32}$", gettext_lazy("An account SID begins with AC and has 34 characters."))
SERVICE = RegexValidator(
    r"^MG[0-9a-fA-F]{32}$", gettext_lazy("A messaging service SID begins with MG and has 34 characters.")
)


class SmsForm(ChannelForm):
    """The account of the channel is its number, as Twilio writes it."""

    kind = "sms"
    needs = gettext_lazy(
        "A Twilio account: a number that can send and receive SMS, the account SID and the auth token."
    )
    setting_fields = ("account_sid", "messaging_service_sid", "mms")
    secret_fields = ("auth_token", "auth_token_next")
    required_secrets = ("auth_token",)
    spare_secrets = ("auth_token_next",)
    further_sections = (
        Section("Twilio", ("account_sid", "auth_token", "auth_token_next", "messaging_service_sid", "mms")),
    )

    address = forms.CharField(
        label=gettext_lazy("Phone number"),
        max_length=40,
        help_text=gettext_lazy("With its country code: +82 2 1234 5678"),
    )
    account_sid = forms.CharField(label=gettext_lazy("Account SID"), max_length=34, validators=[SID])
    auth_token = forms.CharField(
        label=gettext_lazy("Auth token"),
        max_length=200,
        widget=forms.PasswordInput,
        help_text=gettext_lazy("Signs what Twilio sends to us, and lets us send. Stored encrypted."),
    )
    auth_token_next = forms.CharField(
        label=gettext_lazy("Second auth token"),
        max_length=200,
        widget=forms.PasswordInput,
        help_text=gettext_lazy("Only while you change the token at Twilio: both are accepted."),
    )
    messaging_service_sid = forms.CharField(
        label=gettext_lazy("Messaging service SID"),
        max_length=34,
        required=False,
        validators=[SERVICE],
        help_text=gettext_lazy("Leave empty to send from the number itself."),
    )
    mms = forms.BooleanField(
        label=gettext_lazy("Send files as MMS"),
        required=False,
        initial=True,
        widget=forms.CheckboxInput(attrs={"data-switch": "1"}),
        help_text=gettext_lazy("Switch off where MMS does not exist: files leave as links in the text."),
    )

    def clean_address(self) -> str:
        given = self.cleaned_data["address"].strip()
        number = re.sub(r"[\s().-]", "", given)
        if re.fullmatch(r"[1-9]\d{2,7}", number):  # a short code, which has no country code
            return number
        if not (number := phone_numbers.e164(number)):
            raise ValidationError(_("Enter a phone number with its country code, for example +82 2 1234 5678."))
        return number

    def account(self) -> str:
        unchanged = "address" not in self.changed_data and self.instance.pk
        return self.instance.account_id if unchanged else self.cleaned_data["address"]

    def handover(self) -> list[Handover]:
        return [
            Handover(
                _("Webhook address"),
                self.hook_url,
                _("In Twilio's console, at the number or its messaging service: “A message comes in”, by HTTP POST."),
            )
        ]
