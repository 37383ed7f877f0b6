"""Forms of the workspace's own settings."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from django import forms
from django.utils.text import slugify
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agents.models import Agent, Skill, Team
from tickets import fields
from tickets.keys import free_key
from tickets.models import Brand, NotificationHours, StaffingTrial, TicketField
from tickets.workspace import saved


def _time_input() -> forms.TimeInput:
    return forms.TimeInput(attrs={"type": "time"}, format="%H:%M")


class NotificationHoursForm(forms.ModelForm):
    class Meta:
        model = NotificationHours
        fields = ["quiet_from", "quiet_to", "only_when_hidden"]
        labels = {
            "quiet_from": _("Quiet from"),
            "quiet_to": _("Quiet until"),
            "only_when_hidden": _("Sound, desktop and push only while no tab of the helpdesk is visible"),
        }
        help_texts = {
            "quiet_to": _(
                "In your time zone. No sound, nothing on the desktop or by push; mails come afterwards. The list fills up."
            ),
        }
        widgets = {
            "quiet_from": _time_input(),
            "quiet_to": _time_input(),
            "only_when_hidden": forms.CheckboxInput(attrs={"data-switch": "1"}),
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if (cleaned.get("quiet_from") is None) != (cleaned.get("quiet_to") is None):
            missing = "quiet_to" if cleaned.get("quiet_to") is None else "quiet_from"
            if missing not in self.errors:
                self.add_error(missing, _("Give both times, or neither."))
        return cleaned


class TicketFieldForm(forms.ModelForm):
    """Key and kind stay what they were: values are kept by them, rules and programs ask for them."""

    listed = forms.CharField(
        required=False,
        label=_("Choices"),
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=_("Of a list: one choice a line. Tickets that have one you take away keep it."),
    )

    class Meta:
        model = TicketField
        fields = ["label", "key", "kind", "listed", "brand", "team", "required", "active"]
        widgets = {name: forms.CheckboxInput(attrs={"data-switch": "1"}) for name in ("required", "active")}
        help_texts = {
            "key": _("By which rules, searches and the API know it. Empty: made of the name."),
            "required": _("Asked of people; rules and customers solve without it."),
            "active": _("Switched off it is asked nowhere; what tickets have stays with them."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["key"].required = False
        cast(forms.ModelChoiceField, self.fields["brand"]).queryset = Brand.objects.order_by("name", "pk")
        cast(forms.ModelChoiceField, self.fields["team"]).queryset = Team.objects.order_by("name", "pk")
        cast(forms.ModelChoiceField, self.fields["brand"]).empty_label = gettext("all brands")
        cast(forms.ModelChoiceField, self.fields["team"]).empty_label = gettext("all teams")
        self.initial["listed"] = "\n".join(self.instance.choices)
        if self.instance.pk:
            self.fields["key"].disabled = self.fields["kind"].disabled = True
            if self.instance.kind != TicketField.Kind.CHOICE:
                del self.fields["listed"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self.instance.choices = self._choices(cleaned) if cleaned.get("kind") == TicketField.Kind.CHOICE else []
        if "label" in cleaned and "key" in cleaned and not cleaned["key"]:
            begin = slugify(cleaned["label"]).replace("-", "_").strip("_0123456789")[:30] or "field"
            cleaned["key"] = free_key(TicketField.objects.all(), begin, between="_")
        switched_on = fields.ordered().exclude(pk=self.instance.pk).count()
        if cleaned.get("active") and switched_on >= fields.MOST:
            self.add_error("active", gettext("At most %(max)d fields can be switched on.") % {"max": fields.MOST})
        return cleaned

    def _choices(self, cleaned: dict[str, Any]) -> list[str]:
        lines = [" ".join(line.split()) for line in cleaned.get("listed", "").splitlines()]
        choices = list(dict.fromkeys(filter(None, lines)))
        if not choices:
            self.add_error("listed", gettext("Write at least one choice."))
        elif len(choices) > fields.MOST_CHOICES or any(len(choice) > fields.LONGEST_CHOICE for choice in choices):
            limits = {"max": fields.MOST_CHOICES, "length": fields.LONGEST_CHOICE}
            self.add_error(
                "listed", gettext("At most %(max)d choices of %(length)d characters each are possible.") % limits
            )
        return choices


class StaffingForm(forms.Form):
    """What if so many more people were there between two times?"""

    team = forms.ModelChoiceField(Team.objects.none(), label=_("Team"), empty_label=None)
    days = forms.TypedChoiceField(
        label=_("Tickets of the last"),
        coerce=int,
        initial=14,
        choices=[(7, _("7 days")), (14, _("14 days")), (30, _("30 days"))],
    )
    people = forms.IntegerField(label=_("Extra people"), min_value=1, max_value=50, initial=2)
    begins = forms.TimeField(label=_("From"), initial="10:00", widget=_time_input())
    ends = forms.TimeField(
        label=_("Until"),
        initial="14:00",
        widget=_time_input(),
        help_text=_("In the time zone of the team, on each day on which it is open."),
    )
    places = forms.IntegerField(label=_("Places of each"), min_value=1, max_value=100, initial=5)
    skills = forms.ModelMultipleChoiceField(
        Skill.objects.order_by("name"),
        label=_("Skills of each"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, agent: Agent, **more: Any) -> None:
        super().__init__(*args, **more)
        teams: Any = self.fields["team"]
        teams.queryset = saved.teams_for(agent)
        if not Skill.objects.exists():
            del self.fields["skills"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("begins") and cleaned.get("ends") and cleaned["ends"] <= cleaned["begins"]:
            self.add_error("ends", _("Must be later than the beginning."))
        return cleaned

    def trial(self, agent: Agent, *, now: datetime) -> StaffingTrial:
        """Of a valid form, not saved yet."""
        said = self.cleaned_data
        return StaffingTrial(
            agent=agent,
            team=said["team"],
            since=now - timedelta(days=said["days"]),
            until=now,
            created_at=now,
            skill_ids=[skill.pk for skill in said.get("skills", ())],
            **{name: said[name] for name in ("people", "places", "begins", "ends")},
        )
