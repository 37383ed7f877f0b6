"""Forms of the workspace's own settings."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from tickets.models import NotificationHours


class NotificationHoursForm(forms.ModelForm):
    class Meta:
        model = NotificationHours
        fields = ["quiet_from", "quiet_to", "only_when_hidden"]
        labels = {
            "quiet_from": _("Quiet from"),
            "quiet_to": _("Quiet until"),
            "only_when_hidden": _("Sound and desktop only while no tab of the helpdesk is visible"),
        }
        help_texts = {
            "quiet_to": _(
                "In your time zone. No sound, nothing on the desktop; mails come afterwards. The list fills up."
            ),
        }
        widgets = {
            "quiet_from": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "quiet_to": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "only_when_hidden": forms.CheckboxInput(attrs={"data-switch": "1"}),
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if (cleaned.get("quiet_from") is None) != (cleaned.get("quiet_to") is None):
            missing = "quiet_to" if cleaned.get("quiet_to") is None else "quiet_from"
            if missing not in self.errors:
                self.add_error(missing, _("Give both times, or neither."))
        return cleaned
