"""Clocks: started, met, breached once, explained by their rows."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from agents.models import Calendar, CalendarWindow
from tests import cast
from tests.cast import Cast
from tests.workspace import scene
from tickets import actions
from tickets.models import Event, Message, SlaClock, SlaPolicy, SlaTarget, SlaWarning, Ticket
from tickets.models.event import SYSTEM, by_agent
from tickets.models.ticket import next_number
from tickets.sla import clocks

pytestmark = pytest.mark.django_db
SEOUL = ZoneInfo("Asia/Seoul")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL).astimezone(UTC)


FRIDAY = at("2026-09-18T17:50")


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


@pytest.fixture
def policy() -> SlaPolicy:
    calendar = Calendar.objects.create(name="Office", time_zone="Asia/Seoul", is_default=True)
    CalendarWindow.objects.bulk_create(
        CalendarWindow(calendar=calendar, weekday=day, opens=time(9), closes=time(18)) for day in range(5)
    )
    made = SlaPolicy.objects.create(name="Standard", calendar=calendar, warn_percents=[50])
    for priority, minutes in {4: 10, 3: 20, 2: 60, 1: 480}.items():
        for metric in ("first_reply", "next_reply"):
            SlaTarget.objects.create(policy=made, metric=metric, priority=priority, seconds=minutes * 60)
    return made


def waiting(people: Cast, *, now: datetime = FRIDAY, **fields: Any) -> Ticket:
    ticket = Ticket.objects.create(
        number=next_number(), brand=people.brand, customer=cast.make_customer(now=now), first_channel=people.sms,
        waiting_since=now, created_at=now, **fields,
    )  # fmt: skip
    Message.objects.create(ticket=ticket, seq=1, direction="in", author_type="customer", text="hi", channel=people.sms)
    with transaction.atomic():
        clocks.customer_wrote(actions.lock(ticket.pk), now=now)
    return ticket


def answer(ticket: Ticket, *, now: datetime) -> None:
    with transaction.atomic():
        locked = actions.lock(ticket.pk)
        locked.first_reply_at = locked.first_reply_at or now
        locked.waiting_since = None
        locked.save()
        clocks.agent_replied(locked, now=now)


def test_a_high_ticket_of_friday_evening_is_due_on_monday_morning(people: Cast, policy: SlaPolicy) -> None:
    clock = SlaClock.objects.get(ticket=waiting(people, priority=3))
    assert clock.due_at == at("2026-09-21T09:10")
    assert SlaWarning.objects.get(clock=clock).due_at == at("2026-09-18T18:00")


def test_without_a_policy_no_clock_runs(people: Cast) -> None:
    waiting(people)
    assert not SlaClock.objects.exists()


def test_an_answer_in_time_meets_it_and_takes_the_warnings_away(people: Cast, policy: SlaPolicy) -> None:
    ticket = waiting(people)
    answer(ticket, now=at("2026-09-21T09:05"))
    clock = SlaClock.objects.get()
    assert (clock.state, clock.breached_at) == ("met", None)
    assert not SlaWarning.objects.exists()
    assert clock.segments.get().ends_at == at("2026-09-21T09:05")


def test_the_breach_is_written_at_the_deadline_once(people: Cast, policy: SlaPolicy) -> None:
    ticket = waiting(people)
    due = SlaClock.objects.get().due_at
    assert clocks.sweep(now=due - timedelta(seconds=1)) == 1  # the warning
    assert clocks.sweep(now=due) == 1
    assert clocks.sweep(now=due + timedelta(seconds=5)) == 0
    assert SlaClock.objects.get().breached_at == due
    assert SlaClock.objects.get().state == "running"
    assert Event.objects.filter(ticket=ticket, kind="sla_breached").count() == 1
    assert Event.objects.filter(ticket=ticket, kind="sla_warning").count() == 1


def test_a_late_answer_before_the_sweep_is_still_a_breach(people: Cast, policy: SlaPolicy) -> None:
    ticket = waiting(people)
    late = SlaClock.objects.get().due_at + timedelta(minutes=3)
    answer(ticket, now=late)
    clock = SlaClock.objects.get()
    assert (clock.state, clock.breached_at) == ("met", late)
    assert clocks.sweep(now=late) == 0
    assert Event.objects.filter(kind="sla_breached").count() == 1


def test_a_solve_without_an_answer_cancels_the_promise(people: Cast, policy: SlaPolicy) -> None:
    ticket = waiting(people)
    actions.solve(ticket, by=by_agent(people.agent), now=FRIDAY + timedelta(minutes=2))
    assert SlaClock.objects.get().state == "cancelled"
    assert clocks.sweep(now=FRIDAY + timedelta(days=30)) == 0


def test_the_next_question_starts_the_next_reply_clock_once(people: Cast, policy: SlaPolicy) -> None:
    ticket = waiting(people)
    answer(ticket, now=at("2026-09-21T09:05"))
    for minute in (10, 12):
        with transaction.atomic():
            locked = actions.lock(ticket.pk)
            locked.waiting_since = locked.waiting_since or at(f"2026-09-21T09:{minute}")
            locked.save()
            clocks.customer_wrote(locked, now=at(f"2026-09-21T09:{minute}"))
    clock = SlaClock.objects.get(metric="next_reply")
    assert (clock.started_at, clock.due_at) == (at("2026-09-21T09:10"), at("2026-09-21T10:10"))


def test_a_running_clock_keeps_the_priority_it_was_started_with(people: Cast, policy: SlaPolicy) -> None:
    ticket = waiting(people)
    due = SlaClock.objects.get().due_at
    actions.set_priority(ticket, 4, by=by_agent(people.agent), now=FRIDAY + timedelta(minutes=1))
    assert SlaClock.objects.get().due_at == due


def test_the_priority_that_a_routing_rule_sets_counts(people: Cast, policy: SlaPolicy) -> None:
    ticket = waiting(people)
    with transaction.atomic():
        locked = actions.lock(ticket.pk)
        locked.change_priority(4, by=SYSTEM, now=FRIDAY)
        clocks.rules_ran(locked, now=FRIDAY)
    clock = SlaClock.objects.get()
    assert (clock.due_at, clock.version) == (at("2026-09-18T18:00"), 2)
    assert SlaWarning.objects.get().due_at == at("2026-09-18T17:55")


def test_the_first_policy_whose_conditions_hold_applies(people: Cast, policy: SlaPolicy) -> None:
    policy.position = 1
    policy.save()
    vip = SlaPolicy.objects.create(
        name="VIP", position=0, conditions={"all": [{"field": "customer_tier", "op": "is", "value": ["vip"]}]}
    )
    SlaTarget.objects.create(policy=vip, metric="first_reply", priority=2, seconds=60, business=False)
    waiting(people)
    assert SlaClock.objects.get().policy == policy
    ticket = Ticket.objects.get()
    ticket.customer.tier = "vip"
    ticket.customer.save()
    with transaction.atomic():
        clocks.rules_ran(actions.lock(ticket.pk), now=FRIDAY)
    clock = SlaClock.objects.get()
    assert (clock.policy, clock.due_at) == (vip, FRIDAY + timedelta(minutes=1))


def test_a_policy_that_cannot_be_understood_is_passed_over_and_holds_no_message_up(
    people: Cast, policy: SlaPolicy
) -> None:
    policy.position = 1
    policy.save()
    SlaPolicy.objects.create(name="Old", position=0, conditions={"field": "no_such_field", "op": "is", "value": [1]})
    waiting(people)
    assert SlaClock.objects.get().policy == policy


def test_an_edit_of_the_hours_leaves_running_clocks_alone_and_new_ones_name_the_version(
    people: Cast, policy: SlaPolicy
) -> None:
    waiting(people)
    calendar = Calendar.objects.get()
    calendar.windows.all().delete()
    CalendarWindow.objects.bulk_create(
        CalendarWindow(calendar=calendar, weekday=day, opens=time(0), closes=time(0)) for day in range(7)
    )
    calendar.touch()
    waiting(people)
    old, new = SlaClock.objects.order_by("id")
    assert (old.due_at, old.calendar_version) == (at("2026-09-21T09:50"), 1)
    assert (new.due_at, new.calendar_version) == (at("2026-09-18T18:50"), 2)


def test_what_a_customer_writes_starts_the_promise_and_more_of_it_starts_no_other(
    people: Cast, policy: SlaPolicy
) -> None:
    who = scene.sender("Jiwoo", phone="+821011112222")
    ticket = scene.says(people.sms, who, "Where is it?", at=FRIDAY).ticket
    scene.says(people.sms, who, "Hello?", at=FRIDAY + timedelta(minutes=1))
    clock = SlaClock.objects.get(ticket=ticket)
    assert (clock.metric, clock.state, clock.started_at) == ("first_reply", "running", FRIDAY)
    ticket.refresh_from_db()
    answer(ticket, now=FRIDAY + timedelta(minutes=2))
    scene.says(people.sms, who, "And the other one?", at=FRIDAY + timedelta(minutes=3))
    assert list(SlaClock.objects.order_by("pk").values_list("metric", "state")) == [
        ("first_reply", "met"), ("next_reply", "running"),
    ]  # fmt: skip
