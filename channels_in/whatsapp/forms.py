"""The settings of a WhatsApp channel, as an administrator fills them in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

DIGITS = RegexValidator(r"^[0-9]{5,25}$", _("Enter the digits of the ID."))


class WhatsAppSettingsForm(forms.Form):
    """`cleaned_settings()` and `cleaned_secrets()` are what `Channel.settings` and `Channel.secrets` keep.

    A secret that is left empty stays as it was. The phone number ID is the channel's account.
    """

    waba_id = forms.CharField(label=_("WhatsApp Business Account ID"), max_length=25, validators=[DIGITS])
    access_token = forms.CharField(
        label=_("Access token"), max_length=1000, required=False, widget=forms.PasswordInput,
        help_text=_("Of a system user that does not expire. Stored encrypted."),
    )  # fmt: skip
    app_secret = forms.CharField(
        label=_("App secret"), max_length=200, required=False, widget=forms.PasswordInput,
        help_text=_("Signs what WhatsApp sends to us. Stored encrypted."),
    )  # fmt: skip
    verify_token = forms.CharField(
        label=_("Verify token"), max_length=200, required=False, widget=forms.PasswordInput,
        help_text=_("Choose any words and enter the same ones at Meta, beside the webhook address."),
    )  # fmt: skip

    secret_fields = ("access_token", "app_secret", "verify_token")

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
