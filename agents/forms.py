"""Forms of the people's screens."""

from __future__ import annotations

import itertools
from datetime import time
from typing import Any, ClassVar, cast
from zoneinfo import available_timezones

from babel import Locale
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from agents.models import Agent, Calendar, CalendarClosing, CalendarWindow, Skill, SkillLevel, Team

COMMON_ZONES = [
    "Asia/Seoul",
    "Asia/Tokyo",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "UTC",
]
COMMON_COUNTRIES = ["KR", "US", "GB"]


def zones() -> list[tuple[str, str]]:
    rest = sorted(
        zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix/", "right/"))
    )
    return [
        (zone, zone.replace("_", " ")) for zone in [*COMMON_ZONES, *(zone for zone in rest if zone not in COMMON_ZONES)]
    ]


def _reading() -> Locale:
    """The language of whoever reads this page."""
    return Locale.parse(get_language() or "en", sep="-")


def country_name(code: str) -> str:
    """In the reader's language."""
    return str(_reading().territories.get(code, code))


def countries() -> list[tuple[str, str]]:
    """Two-letter code and name of the countries whose public holidays are known, in the reader's language."""
    from holidays import list_supported_countries  # a slow import, for this form alone

    names = _reading().territories
    return sorted(
        ((code, names.get(code, code)) for code in list_supported_countries(include_aliases=False)),
        key=lambda country: (country[0] not in COMMON_COUNTRIES, country[1]),
    )


class AgentForm(forms.ModelForm):
    """An admin's view of a colleague. Only an owner makes owners; nobody changes their own role."""

    teams = forms.ModelMultipleChoiceField(
        Team.objects.order_by("name"), required=False, widget=forms.CheckboxSelectMultiple, label=gettext_lazy("Teams")
    )

    class Meta:
        model = Agent
        fields = ["name", "email", "role", "teams", "sight", "capacity", "shift", "language", "time_zone", "is_active"]
        widgets = {"is_active": forms.CheckboxInput(attrs={"data-switch": "1"})}
        help_texts = {
            "sight": gettext_lazy("Managers and above see every ticket of their brands."),
            "capacity": gettext_lazy("Routing gives no more than so many open tickets at a time."),
            "shift": gettext_lazy("Outside of these hours routing gives them nothing."),
            "is_active": gettext_lazy("Switched off, they cannot sign in; what they wrote stays."),
        }

    def __init__(self, *args: Any, by: Agent, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by = by
        self.fields["time_zone"] = forms.ChoiceField(choices=zones(), label=gettext_lazy("Time zone"))
        cast(forms.ModelChoiceField, self.fields["shift"]).empty_label = _("any time")
        self.skills = list(Skill.objects.order_by("name"))
        levels = dict(self.instance.skills.values_list("skill", "level")) if self.instance.pk else {}
        for skill in self.skills:
            self.fields[f"skill_{skill.pk}"] = forms.TypedChoiceField(
                choices=[("", _("none")), *SkillLevel.choices],
                coerce=int,
                empty_value=None,
                required=False,
                initial=levels.get(skill.pk, ""),
                label=_("Skill: %(name)s") % {"name": skill.name},
            )
        if self.instance.pk:
            self.fields["teams"].initial = list(self.instance.teams.values_list("pk", flat=True))
            if n := self.instance.tickets.unsolved().survivors().count():
                self.fields["is_active"].help_text = ngettext(
                    "Switched off, they cannot sign in; what they wrote stays. Their %(n)s open ticket goes back to its team.",
                    "Switched off, they cannot sign in; what they wrote stays. Their %(n)s open tickets go back to their teams.",
                    n,
                ) % {"n": n}
        if by.role != Agent.Role.OWNER:
            roles = [choice for choice in Agent.Role.choices if choice[0] != Agent.Role.OWNER]
            if self.instance.role == Agent.Role.OWNER and self.instance.pk:
                del self.fields["role"], self.fields["is_active"]
                self.fields["email"].disabled = True  # whoever has the address can have a new password sent to it
            else:
                self.fields["role"] = forms.ChoiceField(choices=roles, label=gettext_lazy("Role"))
        if self.instance.pk == by.pk:
            self.fields.pop("role", None)
            self.fields.pop("is_active", None)

    def chosen_skills(self) -> dict[int, int]:
        """Skill -> level, of those that they have."""
        chosen = {skill.pk: self.cleaned_data[f"skill_{skill.pk}"] for skill in self.skills}
        return {pk: level for pk, level in chosen.items() if level}

    def columns(self) -> list[str]:
        """The fields that stand in the agent's own row."""
        return [name for name in self.fields if name != "teams" and not name.startswith("skill_")]

    def clean_email(self) -> str:
        email = self.cleaned_data["email"].lower()
        if Agent.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("Somebody has this address already."))
        return email


class ProfileForm(forms.ModelForm):
    class Meta:
        model = Agent
        fields = [
            "name",
            "language",
            "time_zone",
            "theme",
            "density",
            "message_size",
            "send_key",
            "undo_seconds",
            "solve_opens_next",
            "shortcuts_on",
        ]
        labels = {
            "theme": gettext_lazy("Appearance"),
            "density": gettext_lazy("Density of lists"),
            "message_size": gettext_lazy("Size of messages"),
            "send_key": gettext_lazy("Key that sends in chats"),
            "undo_seconds": gettext_lazy("Time to undo the sending of a mail"),
            "solve_opens_next": gettext_lazy("After “Send and solve”, open the next ticket"),
            "shortcuts_on": gettext_lazy("Single-key shortcuts"),
        }
        help_texts = {"send_key": gettext_lazy("Ctrl/⌘ Enter always sends.")}
        widgets = {
            name: forms.CheckboxInput(attrs={"data-switch": "1"}) for name in ("solve_opens_next", "shortcuts_on")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"] = forms.ChoiceField(choices=zones(), label=gettext_lazy("Time zone"))


class TeamForm(forms.ModelForm):
    defaults: ClassVar = {"sticky_days": 0, "overflow_minutes": 10, "wrap_up_minutes": 0}  # where nothing was written

    class Meta:
        model = Team
        fields = [
            "name",
            "calendar",
            "sticky_days",
            "answerer_takes",
            "needs_tag",
            "accept_seconds",
            "wrap_up_minutes",
            "act_minutes",
            "act_warn_percents",
            "give_back_minutes",
            "overflow",
            "overflow_minutes",
        ]
        labels = {"calendar": gettext_lazy("Business hours")}
        widgets = {name: forms.CheckboxInput(attrs={"data-switch": "1"}) for name in ("answerer_takes", "needs_tag")}
        help_texts = {
            "answerer_takes": gettext_lazy("When off, an unassigned ticket stays unassigned after an answer."),
            "needs_tag": gettext_lazy("Asked of people; rules and customers solve without one."),
            "sticky_days": gettext_lazy("0: whoever is free takes the customer."),
            "accept_seconds": gettext_lazy(
                "Whoever has not looked at a ticket by then loses it to the next person. Empty: no limit."
            ),
            "wrap_up_minutes": gettext_lazy(
                "Who solves a chat or hands it on gets nothing new for so long, or until they say that they are ready. 0: none."
            ),
            "give_back_minutes": gettext_lazy("Tickets whose customers wait. Empty: they stay with the agent."),
            "act_minutes": gettext_lazy(
                "For each stay: until the team answers, solves or hands the ticket on, in its business hours. Empty: no target."
            ),
            "act_warn_percents": gettext_lazy("Several are possible: 50, 75."),
            "overflow": gettext_lazy("Helps with tickets that have waited for too long."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        overflow = cast(forms.ModelChoiceField, self.fields["overflow"])
        overflow.queryset = Team.objects.exclude(pk=self.instance.pk).order_by("name")
        overflow.empty_label = _("None")
        cast(forms.ModelChoiceField, self.fields["calendar"]).empty_label = _("the default ones")
        for name in self.defaults:
            self.fields[name].required = False

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        return cleaned | {name: value for name, value in self.defaults.items() if cleaned.get(name) is None}


class SkillForm(forms.ModelForm):
    class Meta:
        model = Skill
        fields = ["name"]


class CalendarForm(forms.ModelForm):
    """A calendar with its week as text fields: "09:00-12:00, 13:00-18:00", one per weekday."""

    holiday_country = forms.ChoiceField(required=False, label=gettext_lazy("Public holidays of"))
    closings = forms.CharField(
        required=False,
        label=gettext_lazy("Closed on"),
        widget=forms.Textarea(attrs={"rows": 4, "placeholder": gettext_lazy("2026-12-24 Year-end party")}),
        help_text=gettext_lazy("One day a line: a date, then a name if you like."),
    )

    class Meta:
        model = Calendar
        fields = ["name", "time_zone", "holiday_country"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"] = forms.ChoiceField(choices=zones(), label=gettext_lazy("Time zone"))
        self.fields["holiday_country"].choices = [("", _("None")), *countries()]  # type: ignore[attr-defined]
        windows: dict[int, list[str]] = {day: [] for day in range(7)}
        if self.instance.pk:
            for window in self.instance.windows.order_by("weekday", "opens"):
                windows[window.weekday].append(f"{window.opens:%H:%M}-{_close_text(window.closes)}")
            self.initial["closings"] = "\n".join(
                f"{closing.date:%Y-%m-%d} {closing.name}".strip() for closing in self.instance.closings.order_by("date")
            )
        else:
            windows |= {day: ["09:00-18:00"] for day in range(5)}
        for day, name in enumerate(weekdays()):
            self.fields[f"day_{day}"] = forms.CharField(
                required=False,
                label=name,
                initial=", ".join(windows[day]),
                widget=forms.TextInput(
                    attrs={
                        "placeholder": _("closed"),
                        "inputmode": "text",
                        "autocomplete": "off",
                        "data-weekday": name,
                    }
                ),
            )

    @property
    def days(self) -> list[Any]:
        return [self[f"day_{day}"] for day in range(7)]

    @property
    def week(self) -> list[tuple[Any, str]]:
        """(field, its day in short, "월" or "Mon") for the head of a table."""
        short = _reading().days["stand-alone"]["abbreviated"]
        return [(field, short[day]) for day, field in enumerate(self.days)]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["windows"] = []
        for day in range(7):
            try:
                cleaned["windows"] += [(day, *window) for window in parse_windows(cleaned.get(f"day_{day}", ""))]
            except ValidationError as error:
                self.add_error(f"day_{day}", error)
        try:
            cleaned["closed_days"] = parse_closings(cleaned.get("closings", ""))
        except ValidationError as error:
            self.add_error("closings", error)
        return cleaned

    def save(self, commit: bool = True) -> Calendar:
        """Replace the week and the closings, and raise the version: durations name the version they used."""
        calendar = super().save(commit=commit)
        calendar.windows.all().delete()
        CalendarWindow.objects.bulk_create(
            CalendarWindow(calendar=calendar, weekday=day, opens=opens, closes=closes)
            for day, opens, closes in self.cleaned_data["windows"]
        )
        calendar.closings.all().delete()
        CalendarClosing.objects.bulk_create(
            CalendarClosing(calendar=calendar, date=day, name=name) for day, name in self.cleaned_data["closed_days"]
        )
        calendar.touch()
        return calendar


def weekdays() -> list[str]:
    return [_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday")]


def parse_windows(text: str) -> list[tuple[time, time]]:
    """ "09:00-12:00, 13:00-18:00" -> windows, sorted and without overlap; "24:00" ends the day. Raises ValidationError."""
    windows: list[tuple[time, time]] = []
    for piece in text.replace("~", "-").replace("–", "-").split(","):
        if not piece.strip():
            continue
        opens, dash, closes = piece.partition("-")
        try:
            window = (time.fromisoformat(opens.strip()), _close_of(closes.strip()))
        except ValueError:
            raise ValidationError(_("Write hours like 09:00-12:00, 13:00-18:00.")) from None
        if not dash or (window[1] != time(0) and window[0] >= window[1]):
            raise ValidationError(_("A window must open before it closes."))
        windows.append(window)
    windows.sort()
    for (_from, ends), (begins, _until) in itertools.pairwise(windows):
        if ends == time(0) or begins < ends:
            raise ValidationError(_("Two windows of this day overlap."))
    return windows


def parse_closings(text: str) -> list[tuple[Any, str]]:
    """One "YYYY-MM-DD name" a line; the same day twice counts once. Raises ValidationError naming the line."""
    days: dict[Any, str] = {}
    field = forms.DateField()
    for line in text.splitlines():
        if line.strip():
            day, _space, name = line.strip().partition(" ")
            try:
                days[field.clean(day)] = name.strip()[:80]
            except ValidationError:
                raise ValidationError(_("This is not a date: %(line)s") % {"line": line.strip()[:40]}) from None
    return sorted(days.items())


def _close_of(text: str) -> time:
    return time(0) if text in ("24:00", "00:00") else time.fromisoformat(text)


def _close_text(closes: time) -> str:
    return "24:00" if closes == time(0) else f"{closes:%H:%M}"
