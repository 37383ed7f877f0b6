"""Business time against an independent simulator that walks minute by minute."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import hours
from agents.hours import ALWAYS, Hours, NeverOpens

SEOUL, BERLIN, NEW_YORK = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
OFFICE = ((time(9), time(12)), (time(13), time(18)))  # a lunch break
WEEK = (OFFICE,) * 5 + ((),) * 2


def at(text: str, zone: ZoneInfo = SEOUL) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def walk(calendar: Hours, since: datetime, until: datetime) -> int:
    """Open seconds, minute by minute, asking only for the wall clock of each minute."""
    total, moment = 0, since
    while moment < until:
        local = moment.astimezone(calendar.zone)
        if local.date() not in calendar.closings:
            for opens, closes in calendar.windows[local.weekday()]:
                if opens <= local.time() and (closes == time(0) or local.time() < closes):
                    total += 60
        moment += timedelta(minutes=1)
    return total


@pytest.mark.parametrize(
    ("start", "seconds", "due"),
    [
        ("2026-09-18T17:50", 1200, "2026-09-21T09:10"),  # Friday evening into Monday
        ("2026-09-18T11:50", 1200, "2026-09-18T13:10"),  # over lunch
        ("2026-09-18T09:00", 3 * 3600, "2026-09-18T12:00"),  # exactly to a closing
        ("2026-09-18T07:00", 60, "2026-09-18T09:01"),  # before the opening
        ("2026-09-19T12:00", 60, "2026-09-21T09:01"),  # on a Saturday
        ("2028-02-28T17:00", 2 * 3600, "2028-02-29T10:00"),  # into a leap day
        ("2026-09-23T17:00", 2 * 3600, "2026-09-28T10:00"),  # over three days of closings and a weekend
    ],
)
def test_a_deadline_falls_inside_the_opening_hours(start: str, seconds: int, due: str) -> None:
    chuseok = frozenset({date(2026, 9, 24), date(2026, 9, 25)})
    calendar = Hours(zone=SEOUL, windows=WEEK, closings=chuseok)
    assert hours.add(calendar, at(start), seconds) == at(due)


def test_the_night_of_the_clock_change_has_the_length_that_really_passes() -> None:
    night = Hours(zone=BERLIN, windows=(((time(0), time(6)),),) * 7)
    spring = hours.between(night, at("2026-03-29T00:00", BERLIN), at("2026-03-29T12:00", BERLIN))
    autumn = hours.between(night, at("2026-10-25T00:00", BERLIN), at("2026-10-25T12:00", BERLIN))
    assert (spring, autumn) == (5 * 3600, 7 * 3600)


def test_a_window_until_midnight_joins_the_next_day() -> None:
    shift = Hours(zone=SEOUL, windows=(((time(20), time(0)),),) * 7)
    assert hours.between(shift, at("2026-09-18T23:00"), at("2026-09-19T21:00")) == 2 * 3600


def test_round_the_clock_is_the_clock_on_the_wall() -> None:
    assert hours.add(ALWAYS, at("2026-12-31T23:59"), 120) == at("2027-01-01T00:01")


def test_a_calendar_without_windows_never_opens() -> None:
    with pytest.raises(NeverOpens):
        hours.add(Hours(zone=SEOUL, windows=((),) * 7), at("2026-09-18T09:00"), 1)


def test_segments_leave_no_gap() -> None:
    calendar = Hours(zone=SEOUL, windows=WEEK)
    since, until = at("2026-09-18T08:00"), at("2026-09-21T10:00")
    pieces = list(hours.segments(calendar, since, until))
    assert pieces[0][1].starts_at == since
    assert pieces[-1][1].ends_at == until
    assert all(a[1].ends_at == b[1].starts_at for a, b in itertools.pairwise(pieces))
    running = sum(span.seconds for kind, span in pieces if kind == "running")
    assert running == hours.between(calendar, since, until)


minutes_of_day = st.integers(0, 24 * 60 - 1)


@st.composite
def calendars(draw: st.DrawFn) -> Hours:
    week = []
    for _day in range(7):
        cuts = sorted(draw(st.lists(minutes_of_day, max_size=4, unique=True)))
        cuts = cuts[: len(cuts) // 2 * 2]
        week.append(
            tuple((time(a // 60, a % 60), time(b // 60, b % 60)) for a, b in zip(cuts[::2], cuts[1::2], strict=True))
        )
    closed = draw(st.frozensets(st.dates(date(2026, 3, 20), date(2026, 4, 10)), max_size=4))
    return Hours(zone=draw(st.sampled_from([SEOUL, BERLIN, NEW_YORK])), windows=tuple(week), closings=closed)


@settings(max_examples=60, deadline=None)
@given(calendars(), st.integers(0, 6 * 1440), st.integers(0, 5 * 1440))
def test_the_open_time_equals_a_walk_by_minutes(calendar: Hours, offset: int, length: int) -> None:
    """The span holds the spring change of Berlin; New York's lies before it."""
    since = datetime(2026, 3, 26, tzinfo=UTC) + timedelta(minutes=offset)
    until = since + timedelta(minutes=length)
    assert hours.between(calendar, since, until) == walk(calendar, since, until)


@settings(max_examples=60, deadline=None)
@given(calendars(), st.integers(0, 6 * 1440), st.integers(1, 600))
def test_a_deadline_is_the_first_moment_at_which_the_time_has_passed(
    calendar: Hours, offset: int, minutes: int
) -> None:
    start = datetime(2026, 3, 20, tzinfo=UTC) + timedelta(minutes=offset)
    try:
        due = hours.add(calendar, start, minutes * 60)
    except NeverOpens:
        assert not any(calendar.windows)
        return
    assert hours.between(calendar, start, due) == minutes * 60
    assert hours.between(calendar, start, due - timedelta(seconds=1)) == minutes * 60 - 1
