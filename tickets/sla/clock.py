"""The arithmetic of a promise: pure, `now` passed in. Seconds are business seconds unless said otherwise."""

from __future__ import annotations

from datetime import datetime

from agents import hours
from agents.hours import Hours


def due_at(start: datetime, seconds: int, calendar: Hours) -> datetime:
    """When the promise ends. Raises hours.NeverOpens."""
    return hours.add(calendar, start, seconds)


def warning_at(start: datetime, seconds: int, percent: int, calendar: Hours) -> datetime:
    """When `percent` of the time has passed, by the same calendar."""
    return hours.add(calendar, start, seconds * percent // 100)


def left(now: datetime, due: datetime, calendar: Hours) -> int:
    """Seconds until the deadline, negative after it (then by the clock on the wall)."""
    return hours.between(calendar, now, due) if now <= due else -int((now - due).total_seconds())
