"""The settings of a mailbox, as an administrator fills them in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from channels_in.forms import ChannelForm, Handover, MadeHere, Section, secrets_of

SECURITY_CHOICES = [("tls", "TLS"), ("starttls", "STARTTLS")]
MEGABYTE = 1024 * 1024


def _switch() -> forms.CheckboxInput:
    return forms.CheckboxInput(attrs={"data-switch": "1"})


class EmailForm(ChannelForm):
    """The account of the channel is its address."""

    kind = "email"
    needs = gettext_lazy(
        "A mailbox: the servers for incoming and outgoing mail (IMAP and SMTP), its user name and password."
    )
    setting_fields = (
        "from_name", "imap_host", "imap_port", "imap_security", "imap_user", "imap_folder", "imap_mark_seen", "imap_idle",
        "smtp_host", "smtp_port", "smtp_security", "smtp_user", "authserv_id", "trust_unauthenticated", "plus_addressing",
        "verp",
    )  # fmt: skip
    secret_fields = ("imap_password", "smtp_password")
    made_here = (
        MadeHere(
            "hook_password",
            gettext_lazy("Password for posting mails"),
            gettext_lazy("For a mail server that posts each mail to the webhook address, by basic authentication."),
        ),
        MadeHere(
            "hook_password_2",
            gettext_lazy("Second password for posting mails"),
            gettext_lazy("Both are accepted, so that one can be replaced without a gap."),
        ),
    )
    first_section = ("name", "address", "from_name", "brand", "team", "weight", "slug")
    further_sections = (
        Section(
            gettext_lazy("Incoming mail"),
            (
                "imap_host", "imap_port", "imap_security", "imap_user", "imap_password", "imap_folder", "imap_mark_seen",
                "imap_idle",
            ),
        ),
        Section(
            gettext_lazy("Outgoing mail"), ("smtp_host", "smtp_port", "smtp_security", "smtp_user", "smtp_password")
        ),
        Section(
            gettext_lazy("Whom to believe, and how answers find their ticket"),
            ("authserv_id", "trust_unauthenticated", "plus_addressing", "verp", "max_megabytes"),
        ),
    )  # fmt: skip

    address = forms.EmailField(label=gettext_lazy("E-mail address"), max_length=254)
    from_name = forms.CharField(
        label=gettext_lazy("Sender name"),
        max_length=80,
        required=False,
        help_text=gettext_lazy("Empty: the name of the brand."),
    )
    imap_host = forms.CharField(
        label=gettext_lazy("Incoming server (IMAP)"),
        max_length=253,
        required=False,
        help_text=gettext_lazy("Leave empty when a mail server hands the mails over."),
    )
    imap_port = forms.IntegerField(
        label=gettext_lazy("Port"), min_value=1, max_value=65535, required=False, help_text="993 · 143"
    )
    imap_security = forms.ChoiceField(label=gettext_lazy("Security"), choices=SECURITY_CHOICES, initial="tls")
    imap_user = forms.CharField(label=gettext_lazy("User name"), max_length=254, required=False)
    imap_password = forms.CharField(label=gettext_lazy("Password"), max_length=500, widget=forms.PasswordInput)
    imap_folder = forms.CharField(label=gettext_lazy("Folder"), max_length=200, required=False, initial="INBOX")
    imap_mark_seen = forms.BooleanField(
        label=gettext_lazy("Mark mails as read in the mailbox"), required=False, widget=_switch()
    )
    imap_idle = forms.BooleanField(
        label=gettext_lazy("Be told at once of new mail (IDLE)"), required=False, initial=True, widget=_switch()
    )
    smtp_host = forms.CharField(label=gettext_lazy("Outgoing server (SMTP)"), max_length=253, required=False)
    smtp_port = forms.IntegerField(
        label=gettext_lazy("Port"), min_value=1, max_value=65535, required=False, help_text="465 · 587"
    )
    smtp_security = forms.ChoiceField(label=gettext_lazy("Security"), choices=SECURITY_CHOICES, initial="tls")
    smtp_user = forms.CharField(label=gettext_lazy("User name"), max_length=254, required=False)
    smtp_password = forms.CharField(label=gettext_lazy("Password"), max_length=500, widget=forms.PasswordInput)
    authserv_id = forms.CharField(
        label=gettext_lazy("Server whose sender check is trusted"),
        max_length=253,
        required=False,
        help_text=gettext_lazy(
            "The first word of the Authentication-Results header that your own mail server writes, for example mx.google.com."
        ),
    )
    trust_unauthenticated = forms.BooleanField(
        label=gettext_lazy("Trust sender addresses that nobody has checked"),
        required=False,
        widget=_switch(),
        help_text=gettext_lazy("Anybody can write any sender address. Tickets that rely on this show it."),
    )
    plus_addressing = forms.BooleanField(
        label=gettext_lazy("Answers to name+anything@ arrive here"),
        required=False,
        widget=_switch(),
        help_text=gettext_lazy("Then answers find their ticket even when a mail program drops the headers."),
    )
    verp = forms.BooleanField(
        label=gettext_lazy("Own return address for each mail"),
        required=False,
        widget=_switch(),
        help_text=gettext_lazy("Needs the switch above. A returned mail then names the answer that it was."),
    )
    max_megabytes = forms.IntegerField(label=gettext_lazy("Largest mail (MB)"), min_value=1, max_value=25, initial=25)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for protocol in ("imap", "smtp"):
            # Plain text is possible on one's own machine only, and never chosen here.
            if self.instance.settings.get(f"{protocol}_security") == "none":
                self.fields[f"{protocol}_security"].choices = [*SECURITY_CHOICES, ("none", _("None"))]  # type: ignore[attr-defined]

    def stored_settings(self) -> dict[str, Any]:
        values = super().stored_settings()
        if "max_bytes" in self.instance.settings:
            values["max_megabytes"] = int(self.instance.settings["max_bytes"]) // MEGABYTE
        return values

    def chosen_settings(self) -> dict[str, Any]:
        return {**super().chosen_settings(), "max_bytes": self.cleaned_data["max_megabytes"] * MEGABYTE}

    def chosen_secrets(self) -> dict[str, str]:
        """A server that is no longer named takes its password along."""
        chosen = super().chosen_secrets()
        for protocol in ("imap", "smtp"):
            if not self.cleaned_data.get(f"{protocol}_host"):
                chosen.pop(f"{protocol}_password", None)
        return chosen

    def clean_address(self) -> str:
        return self.cleaned_data["address"].lower()

    def clean(self) -> dict[str, Any]:
        cleaned, stored = super().clean(), secrets_of(self.instance)
        for protocol in ("imap", "smtp"):
            if not cleaned.get(f"{protocol}_host"):
                continue
            if not cleaned.get(f"{protocol}_user"):
                self.add_error(f"{protocol}_user", _("Enter the user name for this server."))
            if not cleaned.get(f"{protocol}_password") and not stored.get(f"{protocol}_password"):
                self.add_error(f"{protocol}_password", _("Enter the password for this server."))
        if cleaned.get("verp") and not cleaned.get("plus_addressing"):
            self.add_error("verp", _("This needs a mailbox that takes name+anything@."))
        return cleaned

    def account(self) -> str:
        return self.cleaned_data["address"]

    def handover(self) -> list[Handover]:
        return [
            Handover(
                _("Mail pipe"),
                f"python manage.py receive_mail --channel={self.instance.slug}",
                _("Only without IMAP: the command to which your mail server pipes each mail."),
            ),
            Handover(
                _("Webhook address"),
                self.hook_url,
                _(
                    "Only without IMAP: your mail server posts each mail there as message/rfc822, with a password from below."
                ),
            ),
        ]
