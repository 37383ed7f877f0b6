"""When a snoozed ticket may wake, as the agent's own clock says it."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _


class Preset(NamedTuple):
    name: str
    label: str
    until: datetime


def presets(zone: ZoneInfo, *, now: datetime) -> list[Preset]:
    """Later today, tomorrow morning, Saturday, next Monday: in the agent's zone, only what lies ahead."""
    here = now.astimezone(zone)
    morning = time(9, 0)

    def at(days: int, hour: time) -> datetime:
        return datetime.combine(here.date() + timedelta(days=days), hour, tzinfo=zone)

    to_monday = 7 - here.weekday()
    offers = [
        Preset("hours3", _("In 3 hours"), here + timedelta(hours=3)),
        Preset("evening", _("This evening"), at(0, time(18, 0))),
        Preset("tomorrow", _("Tomorrow morning"), at(1, morning)),
        Preset("next_week", _("Next Monday"), at(to_monday, morning)),
    ]
    return [offer for offer in offers if offer.until > now + timedelta(minutes=10)]
