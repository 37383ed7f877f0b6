"""The settings of a WhatsApp channel, as an administrator fills them in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from channels_in import phone_numbers
from channels_in.forms import ChannelForm, Handover, MadeHere, Section, secrets_of
from tickets.models import Channel

DIGITS = RegexValidator(r"^[0-9]{5,25}$", gettext_lazy("Enter the digits of the ID."))


class WhatsAppForm(ChannelForm):
    """The account of the channel is its phone number ID."""

    kind = "whatsapp"
    needs = gettext_lazy(
        "An app with WhatsApp at Meta for Developers: its app secret, the IDs of the number and of the business account,"
        " and the access token of a system user."
    )
    setting_fields = ("waba_id",)
    secret_fields = ("access_token", "app_secret")
    required_secrets = ("access_token", "app_secret")
    made_here = (
        MadeHere(
            "verify_token",
            gettext_lazy("Verify token"),
            gettext_lazy("Meta asks for it beside the callback address, once. A new one does no harm."),
        ),
    )
    account_field = "account_id"
    further_sections = (Section("Meta", ("account_id", "waba_id", "access_token", "app_id", "app_secret")),)

    address = forms.CharField(
        label=gettext_lazy("Phone number"),
        max_length=40,
        help_text=gettext_lazy("With its country code: +82 2 1234 5678"),
    )
    account_id = forms.CharField(label=gettext_lazy("Phone number ID"), max_length=25, validators=[DIGITS])
    waba_id = forms.CharField(label=gettext_lazy("WhatsApp Business Account ID"), max_length=25, validators=[DIGITS])
    access_token = forms.CharField(
        label=gettext_lazy("Access token"),
        max_length=1000,
        widget=forms.PasswordInput,
        help_text=gettext_lazy("Of a system user that does not expire. Stored encrypted."),
    )
    app_secret = forms.CharField(
        label=gettext_lazy("App secret"),
        max_length=200,
        widget=forms.PasswordInput,
        help_text=gettext_lazy("Signs what WhatsApp sends to us. Stored encrypted."),
    )

    class Meta(ChannelForm.Meta):
        fields = [*ChannelForm.Meta.fields, "account_id", "app_id"]
        labels = {
            **ChannelForm.Meta.labels,
            "app_id": gettext_lazy("App ID"),
        }
        help_texts = {
            **ChannelForm.Meta.help_texts,
            "app_id": gettext_lazy("Needed when several numbers of one app share one callback address."),
        }

    def clean_address(self) -> str:
        number = phone_numbers.e164(self.cleaned_data["address"])
        if not number:
            raise ValidationError(_("Enter a phone number with its country code, for example +82 2 1234 5678."))
        return number

    def clean(self) -> dict[str, Any]:
        """Channels of one app hand items to one another, so they must be able to prove that it is the same app."""
        cleaned = super().clean()
        app, secret = cleaned.get("app_id"), cleaned.get("app_secret") or secrets_of(self.instance).get("app_secret")
        if app and secret:
            others = Channel.objects.filter(kind=self.kind, app_id=app).exclude(pk=self.instance.pk)
            if any(secrets_of(other).get("app_secret") != secret for other in others):
                self.add_error("app_id", _("Another channel has this app ID with another app secret."))
        return cleaned

    def account(self) -> str:
        return self.cleaned_data.get("account_id", "")

    def handover(self) -> list[Handover]:
        return [
            Handover(
                _("Callback address"),
                self.hook_url,
                _(
                    "At Meta for Developers, in the app under WhatsApp, Configuration. Subscribe to the field “messages”."
                ),
            )
        ]
