"""The arithmetic of a promise: pure, `now` passed in. Seconds are business seconds unless said otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from agents import hours
from agents.hours import Hours


class Stretch(NamedTuple):
    """A clock between two moments: `running` or `paused`. The last one of a live clock has no end."""

    kind: str
    starts_at: datetime
    ends_at: datetime | None


class Piece(NamedTuple):
    """What a clock did for a while: `running`, `off_hours` or `paused`. `seconds` were counted: 0 unless running."""

    kind: str
    starts_at: datetime
    ends_at: datetime
    seconds: int


def due_at(stretches: Iterable[Stretch], seconds: int, calendar: Hours) -> datetime | None:
    """When `seconds` have passed over the stretches in which the clock ran; None while it stands still before that.

    Raises hours.NeverOpens.
    """
    left = seconds
    for stretch in stretches:
        if stretch.kind != "running":
            continue
        if stretch.ends_at is None:
            return hours.add(calendar, stretch.starts_at, left)
        spent = hours.between(calendar, stretch.starts_at, stretch.ends_at)
        if spent >= left:
            return hours.add(calendar, stretch.starts_at, left)
        left -= spent
    return None


def warning_at(stretches: Iterable[Stretch], seconds: int, percent: int, calendar: Hours) -> datetime | None:
    """When `percent` of the time has passed, by the same calendar; None as in `due_at`."""
    return due_at(stretches, seconds * percent // 100, calendar)


def pieces(stretches: Iterable[Stretch], calendar: Hours, *, until: datetime) -> Iterator[Piece]:
    """The whole life of a clock without a gap, up to `until` while it lives: what "Explain this clock" draws."""
    for stretch in stretches:
        ends_at = stretch.ends_at or until
        if stretch.starts_at >= ends_at:
            continue
        if stretch.kind == "paused":
            yield Piece("paused", stretch.starts_at, ends_at, 0)
            continue
        for kind, span in hours.segments(calendar, stretch.starts_at, ends_at):
            yield Piece(kind, span.starts_at, span.ends_at, span.seconds if kind == "running" else 0)


def left(now: datetime, due: datetime, calendar: Hours) -> int:
    """Seconds until the deadline, negative after it (then by the clock on the wall)."""
    return hours.between(calendar, now, due) if now <= due else -int((now - due).total_seconds())
