"""Until when a ticket may sleep: by the agent's clock and the team's business hours, taken back exactly."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation

from agents.hours import ALWAYS, Hours
from tests.workspace import scene
from tickets import actions
from tickets.models import Event, Ticket
from tickets.models.event import by_agent
from tickets.workspace import snoozing

SEOUL = ZoneInfo("Asia/Seoul")
WEEKDAYS = Hours(zone=SEOUL, windows=tuple(((time(9), time(18)),) if day < 5 else () for day in range(7)))
LUNCH = Hours(zone=SEOUL, windows=(((time(9), time(12)), (time(13), time(18))),) * 7)
NEVER = Hours(zone=SEOUL, windows=((),) * 7)


def offered(said: str, hours: Hours | None) -> dict[str, str]:
    now = datetime.fromisoformat(said).replace(tzinfo=SEOUL)
    return {one.name: one.until.strftime("%m-%d %H:%M") for one in snoozing.presets(SEOUL, now=now, hours=hours)}


@pytest.mark.parametrize(
    ("now", "hours", "expected"),
    [
        ("2026-11-25 14:10", WEEKDAYS, {"hours3": "11-25 17:10", "evening": "11-25 18:00", "tomorrow": "11-26 09:00", "next_week": "11-30 09:00"}),
        ("2026-11-27 19:00", WEEKDAYS, {"hours3": "11-27 22:00", "opening": "11-30 09:00", "tomorrow": "11-28 09:00"}),
        ("2026-11-29 12:00", WEEKDAYS, {"hours3": "11-29 15:00", "evening": "11-29 18:00", "tomorrow": "11-30 09:00"}),
        ("2026-11-25 10:00", LUNCH, {"hours3": "11-25 13:00", "evening": "11-25 18:00", "opening": "11-25 13:00", "tomorrow": "11-26 09:00", "next_week": "11-30 09:00"}),
        ("2026-11-25 14:10", ALWAYS, {"hours3": "11-25 17:10", "evening": "11-25 18:00", "tomorrow": "11-26 09:00", "next_week": "11-30 09:00"}),
        ("2026-11-25 14:10", NEVER, {"hours3": "11-25 17:10", "evening": "11-25 18:00", "tomorrow": "11-26 09:00", "next_week": "11-30 09:00"}),
        ("2026-11-25 17:55", None, {"hours3": "11-25 20:55", "tomorrow": "11-26 09:00", "next_week": "11-30 09:00"}),
    ],
)  # fmt: skip
def test_what_is_offered(now, hours, expected):
    assert offered(now, hours) == expected


def test_a_monday_that_is_a_holiday_is_not_offered():
    closed = Hours(zone=SEOUL, windows=WEEKDAYS.windows, closings=frozenset({datetime(2026, 11, 30).date()}))
    assert offered("2026-11-25 14:10", closed)["next_week"] == "12-01 09:00"


@pytest.fixture
def ticket(cast, give_to_support):
    asked = scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Later", at=timezone.now()).ticket
    return give_to_support(asked)


def test_ones_own_words_are_read_while_one_types(mina, ticket):
    page = mina.get(f"/tickets/{ticket.pk}/snooze/", {"said": "tomorrow 10am"}).content.decode()
    assert page.count('role="option"') == 1 and "10:00" in page
    assert mina.get(f"/tickets/{ticket.pk}/snooze/", {"said": "never ever"}).content.decode().count("option") == 0
    assert "Tomorrow morning" in mina.get(f"/tickets/{ticket.pk}/snooze/", {"said": "morn"}).content.decode()


def test_undo_brings_the_sleep_before_back(cast, mina, ticket):
    now, by = timezone.now(), by_agent(cast.agent)
    first, second = now + timedelta(days=1), now + timedelta(days=2)
    actions.snooze(ticket, until=first, by=by, now=now)
    again = actions.snooze(ticket, until=second, by=by, now=now)
    assert mina.post(f"/tickets/{ticket.pk}/events/{again.pk}/undo/", HTTP_HX_REQUEST="true").status_code == 200
    assert Ticket.objects.get(pk=ticket.pk).snoozed_until == first
    woken = actions.wake(ticket, by=by, now=now)
    mina.post(f"/tickets/{ticket.pk}/events/{woken.pk}/undo/", HTTP_HX_REQUEST="true")
    assert Ticket.objects.get(pk=ticket.pk).snoozed_until == first


def test_the_customers_word_wakes_it_for_the_same_person(cast, ticket):
    now = timezone.now()
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=by_agent(cast.agent), now=now)
    actions.snooze(ticket, until=now + timedelta(days=1), by=by_agent(cast.agent), now=now)
    scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Now!", at=timezone.now())
    ticket.refresh_from_db()
    assert (ticket.snoozed_until, ticket.assignee) == (None, cast.agent)
    assert Event.objects.get(ticket=ticket, kind="woken").particulars["cause"] == "customer_wrote"


def test_moments_are_written_as_koreans_say_them():
    now = datetime(2026, 11, 25, 9, 0, tzinfo=SEOUL)
    with translation.override("ko"):
        assert snoozing.in_words(now.replace(hour=14, minute=10), SEOUL, now=now) == "11월 25일 (수요일) 오후 2:10"
    assert snoozing.in_words(now, SEOUL, now=now) == "Wed 25 Nov 09:00"
