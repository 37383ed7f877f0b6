"""Business time: pure arithmetic over opening hours in one time zone. No ORM, no clock.

Windows are wall-clock times of a weekday: open is whenever the clock on the wall stands inside one. In the night of a
daylight-saving change a window therefore has the length that really passes. All results are aware UTC datetimes or
whole seconds.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

HORIZON = timedelta(days=730)  # a calendar that does not open for two years never opens


class NeverOpens(Exception):
    """The calendar has no opening within two years of the moment asked for."""


class Span(NamedTuple):
    starts_at: datetime
    ends_at: datetime

    @property
    def seconds(self) -> int:
        return int((self.ends_at - self.starts_at).total_seconds())


@dataclass(frozen=True)
class Hours:
    """`windows[weekday]` lists (opens, closes), Monday 0; `closes` 00:00 means the end of that day."""

    zone: ZoneInfo
    windows: tuple[tuple[tuple[time, time], ...], ...]
    closings: Container[date] = field(default=frozenset())

    def spans(self, since: datetime, until: datetime) -> Iterator[Span]:
        """The open spans between two instants, clipped to them, in order. Adjacent windows are not joined."""
        day = since.astimezone(self.zone).date() - timedelta(days=1)  # a window may cross midnight in UTC
        last = until.astimezone(self.zone).date()
        while day <= last:
            for span in self._of_day(day):
                starts_at, ends_at = max(span.starts_at, since), min(span.ends_at, until)
                if starts_at < ends_at:
                    yield Span(starts_at, ends_at)
            day += timedelta(days=1)

    def _of_day(self, day: date) -> list[Span]:
        if day in self.closings:
            return []
        found = []
        for offset, of_day in self._offsets(day):
            for opens, closes in self.windows[day.weekday()]:
                end_day = day + timedelta(days=1) if closes == time(0) else day
                starts_at = max(datetime.combine(day, opens, UTC) - offset, of_day.starts_at)
                ends_at = min(datetime.combine(end_day, closes, UTC) - offset, of_day.ends_at)
                if starts_at < ends_at:
                    found.append(Span(starts_at, ends_at))
        return sorted(found)

    def _offsets(self, day: date) -> list[tuple[timedelta, Span]]:
        """The day cut where its clocks are changed: an hour that is skipped is in no piece, one that comes twice in two."""
        starts_at = datetime.combine(day, time(0), self.zone).astimezone(UTC)
        ends_at = datetime.combine(day + timedelta(days=1), time(0), self.zone).astimezone(UTC)
        before, after = self._offset(starts_at), self._offset(ends_at - timedelta(seconds=1))
        if before == after:
            return [(before, Span(starts_at, ends_at))]
        low, high = starts_at, ends_at
        while high - low > timedelta(seconds=1):
            middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
            low, high = (middle, high) if self._offset(middle) == before else (low, middle)
        return [(before, Span(starts_at, high)), (after, Span(high, ends_at))]

    def _offset(self, at: datetime) -> timedelta:
        return at.astimezone(self.zone).utcoffset() or timedelta(0)


ALWAYS = Hours(zone=ZoneInfo("UTC"), windows=(((time(0), time(0)),),) * 7)


def add(hours: Hours, start: datetime, seconds: int) -> datetime:
    """The instant at which `seconds` of business time have passed since `start`.

    Exactly at a closing it answers that closing, not the next opening. Raises NeverOpens.
    """
    if seconds <= 0:
        return start
    left = seconds
    for span in hours.spans(start, start + HORIZON):
        if span.seconds >= left:
            return span.starts_at + timedelta(seconds=left)
        left -= span.seconds
    raise NeverOpens


def between(hours: Hours, since: datetime, until: datetime) -> int:
    """Business seconds between two instants; 0 when they are the wrong way round."""
    return sum(span.seconds for span in hours.spans(since, until)) if since < until else 0


def is_open(hours: Hours, at: datetime) -> bool:
    return any(True for _ in hours.spans(at, at + timedelta(microseconds=1)))


def next_opening(hours: Hours, at: datetime) -> datetime:
    """`at` itself while open, else the next opening. Raises NeverOpens."""
    for span in hours.spans(at, at + HORIZON):
        return span.starts_at
    raise NeverOpens


def segments(hours: Hours, since: datetime, until: datetime) -> Iterator[tuple[str, Span]]:
    """The same stretch as "running" and "off_hours" pieces without a gap: what "Explain this clock" draws."""
    at = since
    for span in hours.spans(since, until):
        if at < span.starts_at:
            yield "off_hours", Span(at, span.starts_at)
        yield "running", span
        at = span.ends_at
    if at < until:
        yield "off_hours", Span(at, until)
