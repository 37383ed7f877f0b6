"""The settings of a web chat channel, as an administrator edits them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from channels_in.forms import ChannelForm, Handover, Section
from channels_in.webchat.options import exact_origin, options_of

RESERVED = frozenset({"t"})  # /chat/t/<token>/ is the chat link of a mail signature


class WebChatForm(ChannelForm):
    """Which sites may embed the widget, what it says, and what it takes."""

    kind = "webchat"
    needs = gettext_lazy("A website into which you can put one line of HTML, or just a link to our own page.")
    setting_fields = ("origins", "greeting", "ask_email", "file_max")
    signs_visitors = True
    first_section = ("name", "brand", "team", "weight", "slug")
    further_sections = (
        Section(gettext_lazy("Where it appears"), ("origins",)),
        Section(gettext_lazy("What it says and takes"), ("greeting_en", "greeting_ko", "file_megabytes", "ask_email")),
    )

    origins = forms.CharField(
        label=gettext_lazy("Sites that may show the widget"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "https://www.example.com"}),
        help_text=gettext_lazy(
            "One address per line, exactly as in the browser's address bar. Without any, only the hosted page works."
        ),
    )
    greeting_en = forms.CharField(label=gettext_lazy("Greeting, English"), max_length=120, required=False)
    greeting_ko = forms.CharField(label=gettext_lazy("Greeting, Korean"), max_length=120, required=False)
    ask_email = forms.BooleanField(
        label=gettext_lazy("Offer to continue by e-mail"),
        required=False,
        widget=forms.CheckboxInput(attrs={"data-switch": "1"}),
        help_text=gettext_lazy("Visitors may always skip it."),
    )
    file_megabytes = forms.IntegerField(label=gettext_lazy("Largest file (MB)"), min_value=1, max_value=50)

    class Meta(ChannelForm.Meta):
        fields = ["name", "slug", "brand", "team", "weight"]

    def stored_settings(self) -> dict[str, Any]:
        options = options_of(self.instance)
        return {
            "origins": "\n".join(options.origins),
            "greeting_en": options.greeting.get("en", ""),
            "greeting_ko": options.greeting.get("ko", ""),
            "ask_email": options.ask_email,
            "file_megabytes": options.file_max // 1_000_000,
        }

    def chosen_settings(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "origins": data["origins"],
            "greeting": {code: data[f"greeting_{code}"] for code in ("en", "ko") if data[f"greeting_{code}"]},
            "ask_email": data["ask_email"],
            "file_max": data["file_megabytes"] * 1_000_000,
        }

    def clean_slug(self) -> str:
        slug = super().clean_slug()
        if slug in RESERVED:
            raise ValidationError(_("This name is reserved. Choose another one."))
        return slug

    def clean_origins(self) -> list[str]:
        found = []
        for line in self.cleaned_data["origins"].split():
            try:
                found.append(exact_origin(line))
            except ValueError as error:
                raise ValidationError(
                    _("%(line)s is not the address of a site. Write it like https://www.example.com."),
                    params={"line": line},
                ) from error
        return list(dict.fromkeys(found))

    def handover(self) -> list[Handover]:
        page = f"{settings.SITE_URL}/chat/{self.instance.slug}/"
        script = format_html(
            '<script async src="{}/widget.js" data-channel="{}"></script>', settings.SITE_URL, self.instance.slug
        )
        return [
            Handover(
                _("For your site"),
                str(script),
                _("Put this line before </body> on every page that should have the chat."),
            ),
            Handover(
                _("Hosted page"), page, _("The same conversation on a page of ours: for links and QR codes."), page
            ),
        ]
