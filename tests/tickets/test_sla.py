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


def open_around_the_clock(calendar: Calendar) -> None:
    calendar.windows.all().delete()
    CalendarWindow.objects.bulk_create(
        CalendarWindow(calendar=calendar, weekday=day, opens=time(0), closes=time(0)) for day in range(7)
    )
    calendar.touch()


def test_an_edit_of_the_hours_moves_the_deadlines_that_it_touches(people: Cast, policy: SlaPolicy) -> None:
    waiting(people)
    open_around_the_clock(Calendar.objects.get())
    assert clocks.sweep(now=FRIDAY + timedelta(minutes=1)) == 1
    clock = SlaClock.objects.get()
    assert (clock.due_at, clock.calendar_version) == (at("2026-09-18T18:50"), 2)
    assert clock.warnings.get().due_at == at("2026-09-18T18:20")
    assert Event.objects.filter(kind="sla_recalculated").count() == 1
    assert clocks.sweep(now=FRIDAY + timedelta(minutes=2)) == 0


def test_a_former_deadline_never_fires_after_an_edit(people: Cast, policy: SlaPolicy) -> None:
    waiting(people)
    due = SlaClock.objects.get().due_at
    calendar = Calendar.objects.get()
    calendar.closings.create(date=due.astimezone(SEOUL).date())
    calendar.touch()
    clocks.sweep(now=due)
    clock = SlaClock.objects.get()
    assert (clock.breached_at, clock.due_at) == (None, due + timedelta(days=1))


def test_a_breach_that_was_written_stays_when_hours_are_edited(people: Cast, policy: SlaPolicy) -> None:
    waiting(people)
    due = SlaClock.objects.get().due_at
    clocks.sweep(now=due)
    open_around_the_clock(Calendar.objects.get())
    clocks.sweep(now=due)
    assert SlaClock.objects.get().due_at == due


def test_hours_that_never_open_end_the_promise(people: Cast, policy: SlaPolicy) -> None:
    waiting(people)
    calendar = Calendar.objects.get()
    calendar.windows.all().delete()
    calendar.touch()
    clocks.sweep(now=FRIDAY)
    assert SlaClock.objects.get().state == "cancelled"


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


@pytest.mark.parametrize(("counts_from", "due"), [("message", "2026-09-21T11:00"), ("created", "2026-09-21T09:50")])
def test_the_time_to_the_first_reply_counts_from_where_the_policy_says(
    people: Cast, policy: SlaPolicy, counts_from: str, due: str
) -> None:
    """An agent opened the ticket on Friday at 17:50; the customer asks on Monday at ten."""
    policy.first_reply_from = counts_from
    policy.save()
    monday = at("2026-09-21T10:00")
    ticket = Ticket.objects.create(
        number=next_number(), brand=people.brand, customer=cast.make_customer(now=FRIDAY), first_channel=people.sms,
        created_at=FRIDAY, waiting_since=monday,
    )  # fmt: skip
    with transaction.atomic():
        clocks.customer_wrote(actions.lock(ticket.pk), now=monday)
    assert SlaClock.objects.get().due_at == at(due)


# -- Solving, updates, pauses -----------------------------------------------------------------------------------------


@pytest.fixture
def whole(policy: SlaPolicy) -> SlaPolicy:
    """Four hours to solve, two hours between updates; both stand still while the ticket waits for somebody else."""
    policy.pauses_in = ["pending", "on_hold"]
    policy.save()
    for metric, hours in {"resolution": 4, "periodic_update": 2}.items():
        SlaTarget.objects.create(policy=policy, metric=metric, priority=2, seconds=hours * 3600)
    return policy


MONDAY = at("2026-09-21T09:00")


def later(hours: float) -> datetime:
    return MONDAY + timedelta(hours=hours)


def set_status(ticket: Ticket, status: str, *, hours: float, people: Cast) -> Event:
    event = actions.set_status(ticket, status, by=by_agent(people.agent), now=later(hours))
    assert event
    return event


def the(metric: str) -> SlaClock:
    return SlaClock.objects.filter(metric=metric).latest("id")


def test_a_solve_keeps_the_promise_to_solve(people: Cast, whole: SlaPolicy) -> None:
    ticket = waiting(people, now=MONDAY)
    assert the("resolution").due_at == later(4)
    set_status(ticket, "solved", hours=1, people=people)
    assert (the("resolution").state, the("resolution").ended_at) == ("met", later(1))
    assert the("first_reply").state == "cancelled"


def test_a_pending_ticket_does_not_use_up_the_time_to_solve(people: Cast, whole: SlaPolicy) -> None:
    ticket = waiting(people, now=MONDAY)
    set_status(ticket, "pending", hours=1, people=people)
    assert the("resolution").state == "paused"
    assert the("first_reply").state == "running"
    clocks.sweep(now=later(24 * 10))
    assert the("resolution").breached_at is None
    set_status(ticket, "open", hours=3, people=people)
    clock = the("resolution")
    assert (clock.state, clock.due_at) == ("running", later(6))
    assert clock.warnings.get().due_at == later(4)
    pieces = clocks.explain(clock, now=later(5))
    assert [(piece.kind, piece.seconds) for piece in pieces] == [
        ("running", 3600), ("paused", 0), ("running", 7200),
    ]  # fmt: skip


def test_a_pause_after_the_deadline_is_still_a_breach(people: Cast, whole: SlaPolicy) -> None:
    ticket = waiting(people, now=MONDAY)
    set_status(ticket, "on_hold", hours=4.5, people=people)
    assert the("resolution").breached_at == later(4.5)


def test_a_customer_who_answers_wakes_the_clock(people: Cast, whole: SlaPolicy) -> None:
    who = scene.sender("Jiwoo", phone="+821011112222")
    ticket = scene.says(people.sms, who, "Where is it?", at=MONDAY).ticket
    set_status(ticket, "pending", hours=1, people=people)
    scene.says(people.sms, who, "Here is the number", at=later(2))
    assert (the("resolution").state, the("resolution").due_at) == ("running", later(5))


def test_an_answer_promises_the_next_update(people: Cast, whole: SlaPolicy) -> None:
    ticket = waiting(people, now=MONDAY)
    answer(ticket, now=later(1))
    assert (the("periodic_update").state, the("periodic_update").due_at) == ("running", later(3))
    answer(ticket, now=later(2))
    assert list(SlaClock.objects.filter(metric="periodic_update").order_by("id").values_list("state", "cycle")) == [
        ("met", 1), ("running", 2),
    ]  # fmt: skip
    set_status(ticket, "solved", hours=2.5, people=people)
    assert the("periodic_update").state == "cancelled"


def test_a_ticket_that_is_left_pending_owes_no_update_until_it_moves(people: Cast, whole: SlaPolicy) -> None:
    ticket = waiting(people, now=MONDAY)
    Ticket.objects.filter(pk=ticket.pk).update(status="pending")
    answer(ticket, now=later(1))
    assert the("periodic_update").state == "paused"
    set_status(ticket, "open", hours=3, people=people)
    assert (the("periodic_update").state, the("periodic_update").due_at) == ("running", later(5))


def test_a_reopened_ticket_gets_a_new_promise(people: Cast, whole: SlaPolicy) -> None:
    ticket = waiting(people, now=MONDAY)
    set_status(ticket, "solved", hours=1, people=people)
    set_status(ticket, "open", hours=2, people=people)
    clock = the("resolution")
    assert (clock.cycle, clock.state, clock.due_at) == (2, "running", later(6))


def test_a_solve_that_is_undone_leaves_the_clocks_as_they_were(people: Cast, whole: SlaPolicy) -> None:
    ticket = waiting(people, now=MONDAY)
    before = {clock.metric: clock.due_at for clock in SlaClock.objects.all()}
    event = set_status(ticket, "solved", hours=1, people=people)
    actions.undo_status(ticket, event=event, by=by_agent(people.agent), now=later(1.001))
    after = SlaClock.objects.filter(state="running", ended_at=None)
    assert {clock.metric: clock.due_at for clock in after} == before
    assert SlaClock.objects.count() == 2
    assert the("first_reply").warnings.count() == 1


def test_a_pause_that_is_undone_costs_nothing_and_gives_nothing(people: Cast, whole: SlaPolicy) -> None:
    ticket = waiting(people, now=MONDAY)
    event = set_status(ticket, "pending", hours=1, people=people)
    actions.undo_status(ticket, event=event, by=by_agent(people.agent), now=later(1.001))
    clock = the("resolution")
    assert (clock.state, clock.due_at, clock.segments.count()) == ("running", later(4), 1)


def test_a_reopening_that_is_undone_takes_its_promise_back(people: Cast, whole: SlaPolicy) -> None:
    ticket = waiting(people, now=MONDAY)
    set_status(ticket, "solved", hours=1, people=people)
    event = set_status(ticket, "open", hours=2, people=people)
    actions.undo_status(ticket, event=event, by=by_agent(people.agent), now=later(2.001))
    assert list(SlaClock.objects.filter(metric="resolution").order_by("id").values_list("state", flat=True)) == [
        "met", "cancelled",
    ]  # fmt: skip


def test_running_clocks_follow_a_new_version_only_when_they_are_told_to(people: Cast, whole: SlaPolicy) -> None:
    waiting(people, now=MONDAY)
    whole.targets.filter(metric="resolution").update(seconds=8 * 3600)
    whole.targets.filter(metric="first_reply").delete()
    whole.version += 1
    whole.save()
    assert (the("resolution").due_at, clocks.outdated(whole)) == (later(4), 2)
    assert clocks.apply_version(whole, now=later(1)) == 2
    assert (the("resolution").due_at, the("first_reply").state) == (later(8), "cancelled")
    assert (clocks.outdated(whole), clocks.apply_version(whole, now=later(1))) == (0, 0)
