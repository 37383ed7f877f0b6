"""The settings of a mailbox, as an administrator fills them in."""

from __future__ import annotations

import smtplib
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from channels_in.email import imap
from channels_in.email.servers import NotAllowed, server_from, tls

SECURITY_CHOICES = [("tls", _("TLS")), ("starttls", _("STARTTLS"))]


class EmailSettingsForm(forms.Form):
    """`cleaned_settings()` and `cleaned_secrets()` are what `Channel.settings` and `Channel.secrets` keep.

    A password that is left empty stays as it was.
    """

    from_name = forms.CharField(label=_("Sender name"), max_length=80, required=False)
    imap_host = forms.CharField(label=_("Incoming server (IMAP)"), max_length=253, required=False)
    imap_port = forms.IntegerField(label=_("Port"), min_value=1, max_value=65535, required=False)
    imap_security = forms.ChoiceField(label=_("Security"), choices=SECURITY_CHOICES, initial="tls")
    imap_user = forms.CharField(label=_("User name"), max_length=254, required=False)
    imap_password = forms.CharField(label=_("Password"), max_length=500, required=False, widget=forms.PasswordInput)
    imap_folder = forms.CharField(label=_("Folder"), max_length=200, required=False, initial="INBOX")
    imap_mark_seen = forms.BooleanField(label=_("Mark mails as read in the mailbox"), required=False)
    imap_idle = forms.BooleanField(label=_("Be told at once of new mail (IDLE)"), required=False, initial=True)
    smtp_host = forms.CharField(label=_("Outgoing server (SMTP)"), max_length=253, required=False)
    smtp_port = forms.IntegerField(label=_("Port"), min_value=1, max_value=65535, required=False)
    smtp_security = forms.ChoiceField(label=_("Security"), choices=SECURITY_CHOICES, initial="tls")
    smtp_user = forms.CharField(label=_("User name"), max_length=254, required=False)
    smtp_password = forms.CharField(label=_("Password"), max_length=500, required=False, widget=forms.PasswordInput)
    authserv_id = forms.CharField(
        label=_("Server whose sender check is trusted"),
        max_length=253,
        required=False,
        help_text=_("The first word of the Authentication-Results header that your own mail server writes, for example mx.google.com."),
    )
    trust_unauthenticated = forms.BooleanField(
        label=_("Trust sender addresses that nobody has checked"),
        required=False,
        help_text=_("Anybody can write any sender address. Tickets that rely on this show it."),
    )
    plus_addressing = forms.BooleanField(
        label=_("Answers to name+anything@ arrive here"),
        required=False,
        help_text=_("Then answers find their ticket even when a mail program drops the headers."),
    )
    verp = forms.BooleanField(label=_("Own return address for each mail"), required=False)
    max_megabytes = forms.IntegerField(label=_("Largest mail (MB)"), min_value=1, max_value=25, initial=25)

    secret_fields = ("imap_password", "smtp_password")

    @classmethod
    def initial_from(cls, chosen: dict[str, Any]) -> dict[str, Any]:
        """The form's values for the settings of a channel; secrets are never shown again."""
        values = {name: chosen[name] for name in cls.base_fields if name in chosen and name not in cls.secret_fields}
        if "max_bytes" in chosen:
            values["max_megabytes"] = int(chosen["max_bytes"]) // (1024 * 1024)
        return values

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for protocol in ("imap", "smtp"):
            if cleaned.get(f"{protocol}_host") and not cleaned.get(f"{protocol}_user"):
                self.add_error(f"{protocol}_user", _("Enter the user name for this server."))
        return cleaned

    def cleaned_settings(self) -> dict[str, Any]:
        values = {name: value for name, value in self.cleaned_data.items() if name not in self.secret_fields and value not in ("", None)}
        values["max_bytes"] = int(values.pop("max_megabytes")) * 1024 * 1024
        return values

    def cleaned_secrets(self, *, before: dict[str, str] | None = None) -> dict[str, str]:
        given = {name: self.cleaned_data[name] for name in self.secret_fields if self.cleaned_data.get(name)}
        return {**(before or {}), **given}

    def check_connection(self, *, secrets: dict[str, str]) -> dict[str, str]:
        """Sign in at both servers. Returns what went wrong, by protocol; empty when both work. Talks to the network."""
        wrong: dict[str, str] = {}
        chosen = self.cleaned_settings()
        for protocol, sign_in in (("imap", _sign_in_imap), ("smtp", _sign_in_smtp)):
            try:
                server = server_from(chosen, secrets, protocol)  # type: ignore[arg-type]
                if server is not None:
                    sign_in(server)
            except (NotAllowed, smtplib.SMTPException, *imap.FAILURES) as error:
                wrong[protocol] = imap.reason_of(error)
        return wrong


def _sign_in_imap(server: Any) -> None:
    with imap.connected(server) as client:
        client.noop()


def _sign_in_smtp(server: Any) -> None:
    kind = smtplib.SMTP_SSL if server.security == "tls" else smtplib.SMTP
    options = {"context": tls()} if server.security == "tls" else {}
    with kind(server.host, server.port, timeout=10, **options) as client:
        if server.security == "starttls":
            client.starttls(context=tls())
        client.login(server.user, server.password)
