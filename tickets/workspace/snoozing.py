"""When a snoozed ticket may wake: as the agent's own clock says it, and as their team's business hours allow."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from agents.hours import Hours, NeverOpens, next_opening
from agents.models import Calendar
from tickets import moments
from tickets.models import Ticket


class Preset(NamedTuple):
    name: str
    label: str
    until: datetime


def presets(zone: ZoneInfo, *, now: datetime, hours: Hours | None = None) -> list[Preset]:
    """Later today, the next opening, tomorrow, next Monday: in the agent's zone, only what lies ahead, each time once.

    With business hours next week begins when the team is there: a Monday that is a holiday makes it Tuesday.
    """
    here = now.astimezone(zone)

    def at(days: int, hour: time) -> datetime:
        return datetime.combine(here.date() + timedelta(days=days), hour, tzinfo=zone)

    tomorrow, next_week = at(1, moments.MORNING), _open(hours, at(7 - here.weekday(), moments.MORNING))
    opening = _next_opening(hours, now=now)
    offers = [
        Preset("hours3", _("In 3 hours"), here.replace(second=0, microsecond=0) + timedelta(hours=3)),
        Preset("evening", _("This evening"), at(0, time(18, 0))),
    ]
    if opening and opening != tomorrow:
        offers.append(Preset("opening", _("Next opening"), opening.astimezone(zone)))
    offers.append(Preset("tomorrow", _("Tomorrow morning"), tomorrow))
    if next_week not in (opening, tomorrow):
        offers.append(Preset("next_week", _("Next week"), next_week))
    return [offer for offer in offers if offer.until > now + timedelta(minutes=10)]


def hours_of(ticket: Ticket | None) -> Hours | None:
    """Of the ticket's team, else of everybody; None where nobody has set any."""
    calendar = ticket.team.calendar if ticket and ticket.team else None
    calendar = calendar or Calendar.objects.filter(is_default=True).first()
    return calendar.hours() if calendar else None


def offered(zone: ZoneInfo, *, now: datetime, hours: Hours | None = None) -> list[dict[str, Any]]:
    """The presets as a menu shows them, each with the moment that it means."""
    return [
        {"label": offer.label, "until": offer.until, "words": in_words(offer.until, zone, now=now)}
        for offer in presets(zone, now=now, hours=hours)
    ]


def times(said: str, zone: ZoneInfo, *, now: datetime, hours: Hours | None, language: str) -> list[dict[str, Any]]:
    """What a menu offers to somebody who has typed this: the moment that it means, else the presets that are called so."""
    moment = moments.parse(said, now=now, zone=zone, language=language)
    if moment:
        return [{"label": said, "until": moment.at, "words": in_words(moment.at, zone, now=now)}]
    return [offer for offer in offered(zone, now=now, hours=hours) if said.casefold() in offer["label"].casefold()]


def read(text: str, zone: ZoneInfo, *, now: datetime) -> datetime | None:
    """ISO 8601; without a zone it is the agent's own. None for what is none, or too far."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return aware.astimezone(UTC) if aware < now + timedelta(days=3660) else None


def in_words(until: datetime, zone: ZoneInfo, *, now: datetime) -> str:
    """ "Mon 30 Nov 09:00" in the agent's zone; with the year where it is another one."""
    here = until.astimezone(zone)
    year = "" if here.year == now.astimezone(zone).year else " Y"
    # Translators: how a day is written, in the letters of Django's date format: Mon 30 Nov
    day = _("D j M")
    # Translators: how a time is written, in the same letters: 14:10
    clock = _("H:i")
    return f"{date_format(here, day + year)} {date_format(here, clock)}"


def _next_opening(hours: Hours | None, *, now: datetime) -> datetime | None:
    """The next moment at which a closed door opens; while it is open, the one after it closes."""
    end = now
    for span in hours.spans(now, now + timedelta(days=60)) if hours else ():
        if span.starts_at > end:
            return span.starts_at
        end = span.ends_at
    return None


def _open(hours: Hours | None, at: datetime) -> datetime:
    if hours is None:
        return at
    try:
        return next_opening(hours, at).astimezone(at.tzinfo)
    except NeverOpens:
        return at
