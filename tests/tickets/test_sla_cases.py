"""Deadlines, case by case, against a simulator that knows only the clock on the wall and walks minute by minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from holidays import country_holidays
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.hours import Hours
from tickets.sla import clock
from tickets.sla.clock import Stretch

MINUTE = timedelta(minutes=1)


def day(opens: str, closes: str) -> tuple[time, time]:
    return time.fromisoformat(opens), time(0) if closes == "24:00" else time.fromisoformat(closes)


OFFICE = (day("09:00", "18:00"),)
LUNCH = (day("09:00", "12:00"), day("13:00", "18:00"))
NIGHT = (day("00:00", "06:00"), day("22:00", "24:00"))
WHOLE = (day("00:00", "24:00"),)
EARLY = (day("01:15", "02:45"),)  # in the hour that is skipped or comes twice
WEEKDAYS, EVERY_DAY = 5, 7


@dataclass(frozen=True)
class Shop:
    """A calendar, and the days on which it is closed, written down by hand from the official lists."""

    zone: str
    windows: tuple[tuple[time, time], ...]
    days: int
    country: str = ""
    closed: frozenset[date] = field(default=frozenset())

    def hours(self) -> Hours:
        closings = country_holidays(self.country) if self.country else self.closed
        week = (self.windows,) * self.days + ((),) * (7 - self.days)
        return Hours(zone=ZoneInfo(self.zone), windows=week, closings=closings)

    def is_open(self, at: datetime) -> bool:
        local = at.astimezone(ZoneInfo(self.zone))
        if local.weekday() >= self.days or local.date() in self.closed:
            return False
        return any(
            opens <= local.time() and (closes == time(0) or local.time() < closes) for opens, closes in self.windows
        )


def dates(*texts: str) -> frozenset[date]:
    return frozenset(map(date.fromisoformat, texts))


# Public holidays of the weeks that the cases touch. Substitutes: 2 March, 17 August and 5 October 2026.
KOREA = dates(
    "2026-02-16", "2026-02-17", "2026-02-18", "2026-03-01", "2026-03-02", "2026-05-05", "2026-05-24", "2026-05-25",
    "2026-08-15", "2026-08-17", "2026-09-24", "2026-09-25", "2026-09-26", "2026-10-03", "2026-10-05", "2026-10-09",
    "2026-12-25",
)  # fmt: skip

SHOPS = {
    "seoul": Shop("Asia/Seoul", OFFICE, WEEKDAYS),
    "seoul with lunch": Shop("Asia/Seoul", LUNCH, WEEKDAYS),
    "seoul with holidays": Shop("Asia/Seoul", LUNCH, WEEKDAYS, "KR", KOREA),
    "seoul once closed": Shop("Asia/Seoul", OFFICE, WEEKDAYS, "", dates("2026-09-21", "2026-09-22")),
    "berlin": Shop("Europe/Berlin", OFFICE, WEEKDAYS),
    "berlin nights": Shop("Europe/Berlin", NIGHT, EVERY_DAY),
    "berlin early": Shop("Europe/Berlin", EARLY, EVERY_DAY),
    "new york": Shop("America/New_York", LUNCH, WEEKDAYS),
    "new york early": Shop("America/New_York", EARLY, EVERY_DAY),
    "sydney nights": Shop("Australia/Sydney", NIGHT, EVERY_DAY),
    "lord howe early": Shop("Australia/Lord_Howe", EARLY, EVERY_DAY),  # its clocks change by half an hour
    "santiago nights": Shop("America/Santiago", NIGHT, EVERY_DAY),  # at midnight
    "kathmandu": Shop("Asia/Kathmandu", OFFICE, WEEKDAYS),  # +05:45
    "always": Shop("UTC", WHOLE, EVERY_DAY),
}

# (shop, local moments at which a ticket comes)
MOMENTS = {
    "seoul": ["2026-09-18T17:50", "2026-09-18T18:00", "2026-09-19T12:00", "2028-02-28T17:30", "2026-12-31T17:59"],
    "seoul with lunch": ["2026-09-18T11:50", "2026-09-18T12:00", "2026-09-18T12:59", "2026-09-18T17:59"],
    "seoul with holidays": [
        "2026-02-13T17:00", "2026-02-27T17:30", "2026-05-04T17:50", "2026-08-14T17:59", "2026-09-23T16:00", "2026-10-02T11:59",
    ],
    "seoul once closed": ["2026-09-18T17:00", "2026-09-21T10:00"],
    "berlin": ["2026-03-27T17:30", "2026-10-23T17:30"],
    "berlin nights": ["2026-03-28T21:00", "2026-03-29T01:30", "2026-10-24T23:30", "2026-10-25T02:30"],
    "berlin early": ["2026-03-28T02:00", "2026-03-29T01:20", "2026-10-24T12:00", "2026-10-25T01:30"],
    "new york": ["2026-03-06T16:30", "2026-10-30T11:45"],
    "new york early": ["2026-03-07T02:00", "2026-11-01T00:10"],
    "sydney nights": ["2026-04-04T23:00", "2026-10-03T23:00"],
    "lord howe early": ["2026-04-04T12:00", "2026-10-03T12:00"],
    "santiago nights": ["2026-04-04T20:00", "2026-09-05T20:00"],
    "kathmandu": ["2026-09-18T17:15"],
    "always": ["2026-12-31T23:59", "2028-02-29T23:30"],
}  # fmt: skip
PROMISES = (10, 95, 8 * 60)  # minutes
# Minutes after the start at which the ticket began to wait for somebody else, and at which it did no more.
PAUSES: dict[str, list[tuple[int, int]]] = {"": [], "paused once": [(5, 200)], "paused twice": [(3, 60), (75, 1500)]}


def cases() -> Iterator[object]:
    for name, moments in MOMENTS.items():
        for moment in moments:
            for minutes in PROMISES:
                for pauses in PAUSES:
                    if pauses and minutes == PROMISES[0] and name not in ("seoul", "always"):
                        continue  # ten minutes are mostly over before a pause begins
                    yield pytest.param(
                        name, moment, minutes, pauses, id=f"{name}, {moment}, {minutes} min {pauses}".strip()
                    )


def simulated(shop: Shop, start: datetime, minutes: int, pauses: list[tuple[datetime, datetime]]) -> datetime:
    """The end of the minute with which the promise is used up."""
    at, left = start, minutes
    while left:
        if shop.is_open(at) and not any(since <= at < until for since, until in pauses):
            left -= 1
        at += MINUTE
    return at


def stretches(start: datetime, pauses: list[tuple[datetime, datetime]]) -> list[Stretch]:
    edges = [start, *(edge for pause in pauses for edge in pause)]
    ends = [*edges[1:], None]
    return [
        Stretch("paused" if n % 2 else "running", since, until)
        for n, (since, until) in enumerate(zip(edges, ends, strict=True))
    ]


def test_there_are_enough_cases() -> None:
    assert len(list(cases())) >= 150


@pytest.mark.parametrize(("name", "moment", "minutes", "pauses"), cases())
def test_a_deadline_is_that_of_the_clock_on_the_wall(name: str, moment: str, minutes: int, pauses: str) -> None:
    shop = SHOPS[name]
    start = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(shop.zone)).astimezone(UTC)
    spans = [(start + since * MINUTE, start + until * MINUTE) for since, until in PAUSES[pauses]]
    due = clock.due_at(stretches(start, spans), minutes * 60, shop.hours())
    assert due == simulated(shop, start, minutes, spans)


@pytest.mark.parametrize("name", SHOPS)
def test_the_pieces_of_a_clock_add_up_to_what_it_used(name: str) -> None:
    shop = SHOPS[name]
    start = datetime(2026, 9, 18, 3, tzinfo=UTC)
    life = stretches(start, [(start + 90 * MINUTE, start + 400 * MINUTE)])
    due = clock.due_at(life, 6 * 3600, shop.hours())
    assert due
    pieces = list(clock.pieces(life, shop.hours(), until=due))
    assert sum(piece.seconds for piece in pieces) == 6 * 3600
    assert (pieces[0].starts_at, pieces[-1].ends_at) == (start, due)
    assert all(one.ends_at == other.starts_at for one, other in pairwise(pieces))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(SHOPS)),
    st.integers(0, 400 * 1440),
    st.integers(1, 600),
    st.lists(st.integers(1, 900), max_size=6),
)
def test_any_deadline_is_that_of_the_clock_on_the_wall(name: str, offset: int, minutes: int, steps: list[int]) -> None:
    """Holidays apart, of which only some weeks are written down."""
    shop = SHOPS["seoul with lunch" if name == "seoul with holidays" else name]
    start = datetime(2026, 1, 1, tzinfo=UTC) + offset * MINUTE
    edges, at = [], start
    for step in steps[: len(steps) // 2 * 2]:
        at += step * MINUTE
        edges.append(at)
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    due = clock.due_at(stretches(start, spans), minutes * 60, shop.hours())
    assert due == simulated(shop, start, minutes, spans)
