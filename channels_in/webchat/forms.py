"""The settings of a web chat channel, as an administrator edits them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from channels_in.webchat.options import exact_origin, options_of
from tickets.models import Channel

RESERVED = frozenset({"t"})  # /chat/t/<token>/ is the chat link of a mail signature


class WebChatForm(forms.ModelForm):
    """Which sites may embed the widget, what it says, and what it takes."""

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
        help_text=gettext_lazy("Visitors may always skip it."),
    )
    file_megabytes = forms.IntegerField(label=gettext_lazy("Largest file (MB)"), min_value=1, max_value=50)

    class Meta:
        model = Channel
        fields = ["name", "slug", "brand", "team", "active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        options = options_of(self.instance)
        self.initial = {
            **self.initial,
            "origins": "\n".join(options.origins),
            "greeting_en": options.greeting.get("en", ""),
            "greeting_ko": options.greeting.get("ko", ""),
            "ask_email": options.ask_email,
            "file_megabytes": options.file_max // 1_000_000,
        }

    def clean_slug(self) -> str:
        slug = self.cleaned_data["slug"]
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

    def save(self, commit: bool = True) -> Channel:
        data = self.cleaned_data
        greeting = {code: data[f"greeting_{code}"] for code in ("en", "ko") if data[f"greeting_{code}"]}
        self.instance.kind = "webchat"
        self.instance.settings = {
            **self.instance.settings,
            "origins": data["origins"],
            "greeting": greeting,
            "ask_email": data["ask_email"],
            "file_max": data["file_megabytes"] * 1_000_000,
        }
        return super().save(commit)
