"""The settings of an SMS channel, as an administrator fills them in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

SID = RegexValidator(r"^AC[0-9a-fA-F]{32}$", _("An account SID begins with AC and has 34 characters."))
SERVICE = RegexValidator(r"^MG[0-9a-fA-F]{32}$", _("A messaging service SID begins with MG and has 34 characters."))


class SmsSettingsForm(forms.Form):
    """`cleaned_settings()` and `cleaned_secrets()` are what `Channel.settings` and `Channel.secrets` keep.

    A secret that is left empty stays as it was.
    """

    account_sid = forms.CharField(label=_("Account SID"), max_length=34, validators=[SID])
    auth_token = forms.CharField(
        label=_("Auth token"), max_length=200, required=False, widget=forms.PasswordInput,
        help_text=_("Signs what Twilio sends to us, and lets us send. Stored encrypted."),
    )  # fmt: skip
    auth_token_next = forms.CharField(
        label=_("Second auth token"), max_length=200, required=False, widget=forms.PasswordInput,
        help_text=_("Only while you change the token at Twilio: both are accepted."),
    )  # fmt: skip
    messaging_service_sid = forms.CharField(
        label=_("Messaging service SID"), max_length=34, required=False, validators=[SERVICE],
        help_text=_("Leave empty to send from the number itself."),
    )  # fmt: skip
    mms = forms.BooleanField(
        label=_("Send files as MMS"), required=False, initial=True,
        help_text=_("Switch off where MMS does not exist: files leave as links in the text."),
    )  # fmt: skip

    secret_fields = ("auth_token", "auth_token_next")

    @classmethod
    def initial_from(cls, chosen: dict[str, Any]) -> dict[str, Any]:
        """The form's values for the settings of a channel; secrets are never shown again."""
        return {name: chosen[name] for name in cls.base_fields if name in chosen and name not in cls.secret_fields}

    def cleaned_settings(self) -> dict[str, Any]:
        return {
            name: value for name, value in self.cleaned_data.items() if name not in self.secret_fields and value not in ("", None)
        }

    def cleaned_secrets(self, *, before: dict[str, str] | None = None) -> dict[str, str]:
        given = {name: self.cleaned_data[name] for name in self.secret_fields if self.cleaned_data.get(name)}
        return {**(before or {}), **given}
