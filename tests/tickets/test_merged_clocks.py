"""Of tickets that are merged one clock keeps the promise; apart again, each has its own."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from tests import cast
from tests.cast import Cast
from tests.workspace import scene
from tickets import actions, triggers
from tickets.models import Event, Rule, SlaClock, SlaPolicy, SlaTarget, Ticket
from tickets.models.event import by_agent
from tickets.models.sla import TEAM
from tickets.routing import assign
from tickets.sla import clocks

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
HOUR = 60


def later(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


@pytest.fixture
def people() -> Cast:
    """An hour for each answer, a day for the solution; it stands still while a ticket is pending."""
    policy = SlaPolicy.objects.create(name="Standard", pauses_in=["pending"], warn_percents=[50])
    for metric, minutes in (("first_reply", HOUR), ("next_reply", HOUR), ("resolution", 24 * HOUR)):
        SlaTarget.objects.create(policy=policy, metric=metric, priority=2, seconds=minutes * 60, business=False)
    return cast.assemble()


_numbers = itertools.count(20_000_001)


def came(people: Cast, minutes: float) -> Ticket:
    """From a customer of its own, and at once with Mina."""
    sender = scene.sender("Customer", phone=f"+8210{next(_numbers)}")
    ticket = scene.says(people.sms, sender, "Hello", at=later(minutes)).ticket
    actions.assign(ticket, assignee=people.agent, team=people.support, by=by_agent(people.manager), now=later(minutes))
    return ticket


def says(people: Cast, ticket: Ticket, minutes: float) -> None:
    sender = scene.sender("", phone=ticket.customer.identities.get().value)
    scene.says(people.sms, sender, "And?", at=later(minutes))


def answer(people: Cast, ticket: Ticket, minutes: float, **more: object) -> None:
    scene.answers(ticket, people.agent, "Yes", at=later(minutes), anyway=True, **more)


def merge(people: Cast, ticket: Ticket, into: Ticket, minutes: float) -> None:
    actions.merge(ticket, into=into, by=by_agent(people.agent), now=later(minutes))


def unmerge(people: Cast, ticket: Ticket, minutes: float) -> None:
    actions.unmerge(ticket, by=by_agent(people.agent), now=later(minutes))


def live(ticket: Ticket, *metrics: str) -> list[tuple[str, str, float]]:
    """Metric, state, and minutes from NOW to the deadline."""
    rows = SlaClock.objects.live().filter(ticket=ticket, metric__in=metrics or ("first_reply", "next_reply"))
    return [(row.metric, row.state, (row.due_at - NOW).total_seconds() / 60) for row in rows.order_by("id")]


def counted(ticket: Ticket, metric: str) -> list[tuple[str, bool]]:
    """What reports count of it: the state, and whether it was missed."""
    rows = SlaClock.objects.filter(ticket=ticket, metric=metric).exclude(state="cancelled").order_by("id")
    return [(row.state, row.breached_at is not None) for row in rows]


def waits(ticket: Ticket) -> datetime | None:
    return Ticket.objects.get(pk=ticket.pk).waiting_since


def test_a_merged_tickets_clocks_neither_warn_nor_breach(people: Cast) -> None:
    a, b = came(people, 0), came(people, 5)
    answer(people, b, 15)
    merge(people, a, b, 20)
    answer(people, b, 25)
    clocks.sweep(now=later(500))
    assert not Event.objects.filter(kind__in=["sla_warning", "sla_breached"]).exists()
    assert live(a) == live(b) == []


def test_an_answered_survivor_waits_for_the_question_that_is_merged_into_it(people: Cast) -> None:
    a, b = came(people, 0), came(people, 5)
    answer(people, b, 15)
    assert waits(b) is None
    merge(people, a, b, 20)
    assert waits(b) == later(0)
    assert live(a) == []
    assert live(b) == [("next_reply", "running", 60)]
    b.refresh_from_db()
    assert b.next_due_at == later(60)
    clocks.sweep(now=later(30))
    clocks.sweep(now=later(60))
    told = Event.objects.filter(kind__in=["sla_warning", "sla_breached"]).order_by("id")
    assert [(one.kind, one.ticket_id) for one in told] == [("sla_warning", b.pk), ("sla_breached", b.pk)]


@pytest.mark.parametrize("older_survives", [True, False])
def test_the_earliest_promise_of_both_is_kept_once(people: Cast, older_survives: bool) -> None:
    older, younger = came(people, 0), came(people, 10)
    survivor, merged = (older, younger) if older_survives else (younger, older)
    merge(people, merged, survivor, 20)
    assert live(survivor) == [("first_reply", "running", 60)]
    assert live(survivor, "resolution") == [("resolution", "running", 24 * HOUR)]
    assert waits(survivor) == later(0)
    answer(people, survivor, 40)
    assert counted(survivor, "first_reply") == [("met", False)]
    assert counted(merged, "first_reply") == []


def test_a_warning_that_has_come_does_not_come_again(people: Cast) -> None:
    a, b = came(people, 0), came(people, 5)
    answer(people, b, 6)
    clocks.sweep(now=later(30))
    merge(people, a, b, 35)
    clocks.sweep(now=later(59))
    assert Event.objects.filter(kind="sla_warning", particulars__metric__in=["first_reply", "next_reply"]).count() == 1


def test_what_was_missed_before_the_merge_stays_missed(people: Cast) -> None:
    a, b = came(people, 0), came(people, 5)
    answer(people, b, 15)
    merge(people, a, b, 70)  # no sweep has come meanwhile
    clocks.sweep(now=later(71))
    assert [event.ticket_id for event in Event.objects.filter(kind="sla_breached")] == [a.pk]
    answer(people, b, 80)
    assert counted(b, "next_reply") == [("met", True)]


def test_apart_again_each_has_its_own_promise_as_if_nothing_had_been(people: Cast) -> None:
    a, b = came(people, 0), came(people, 10)
    merge(people, a, b, 20)
    unmerge(people, a, 30)
    assert (live(a), live(b)) == ([("first_reply", "running", 60)], [("first_reply", "running", 70)])
    assert live(a, "resolution", TEAM) == [("resolution", "running", 24 * HOUR)]
    assert live(b, "resolution") == [("resolution", "running", 24 * HOUR + 10)]
    assert (waits(a), waits(b)) == (later(0), later(10))
    assert [piece.kind for piece in clocks.explain(SlaClock.objects.live().filter(ticket=b)[0], now=later(40))] == [
        "running"
    ]
    clocks.sweep(now=later(65))
    assert [event.ticket_id for event in Event.objects.filter(kind="sla_breached")] == [a.pk]
    answer(people, b, 66)
    assert (counted(a, "first_reply"), counted(b, "first_reply")) == ([("running", True)], [("met", False)])


def test_an_answer_in_between_has_answered_the_survivor_only(people: Cast) -> None:
    """The survivor's own promise was met by it, in its own time; who waits on the other waits still."""
    a, b = came(people, 0), came(people, 10)
    merge(people, a, b, 20)
    answer(people, b, 65)  # late for A, in time for B
    assert counted(b, "first_reply") == [("met", True)]
    unmerge(people, a, 68)
    assert (waits(a), waits(b)) == (later(0), None)
    assert counted(b, "first_reply") == [("met", False)]
    assert live(a) == [("first_reply", "running", 60)] and live(b) == []


def test_the_golden_case_with_its_clocks(people: Cast) -> None:
    """A 10:00, B 10:05 answered 10:15, A answered 10:20, merged at 10:30 and taken apart: all was answered."""
    a, b = came(people, 0), came(people, 5)
    answer(people, b, 15)
    answer(people, a, 20)
    for ticket in (a, b):
        assert counted(ticket, "first_reply") == [("met", False)]
    merge(people, a, b, 30)
    assert live(b, "resolution") == [("resolution", "running", 24 * HOUR)]
    unmerge(people, a, 40)
    assert live(a, "resolution") == [("resolution", "running", 24 * HOUR)]
    assert live(b, "resolution") == [("resolution", "running", 24 * HOUR + 5)]
    assert waits(a) is waits(b) is None
    assert counted(a, "first_reply") == counted(b, "first_reply") == [("met", False)]
    assert not Event.objects.filter(kind__in=["solved", "reopened", "status_changed"]).exists()


def test_three_are_taken_apart_in_any_order(people: Cast) -> None:
    first, second, third = came(people, 0), came(people, 10), came(people, 20)
    merge(people, second, third, 25)
    merge(people, first, third, 26)
    assert live(third) == [("first_reply", "running", 60)]
    unmerge(people, first, 30)
    assert live(third) == [("first_reply", "running", 70)] and waits(third) == later(10)
    unmerge(people, second, 31)
    assert live(third) == [("first_reply", "running", 80)] and waits(third) == later(20)
    merge(people, second, third, 35)
    merge(people, first, third, 36)
    unmerge(people, second, 37)
    assert live(third) == [("first_reply", "running", 60)] and waits(third) == later(0)
    unmerge(people, first, 38)
    assert live(third) == [("first_reply", "running", 80)] and waits(third) == later(20)
    assert (live(first), live(second)) == ([("first_reply", "running", 60)], [("first_reply", "running", 70)])


def test_one_within_one_within_one_comes_out_of_the_middle(people: Cast) -> None:
    first, second, third = came(people, 0), came(people, 10), came(people, 20)
    merge(people, first, second, 25)
    merge(people, second, third, 26)
    assert live(third) == [("first_reply", "running", 60)]
    unmerge(people, first, 30)
    assert live(first) == [("first_reply", "running", 60)]
    assert live(third) == [("first_reply", "running", 70)] and live(second) == []
    unmerge(people, second, 31)
    assert (live(second), live(third)) == ([("first_reply", "running", 70)], [("first_reply", "running", 80)])
    assert [waits(one) for one in (first, second, third)] == [later(0), later(10), later(20)]


def test_a_pause_is_that_of_whoever_stands_for_it(people: Cast) -> None:
    """A was pending, B is open: the promise runs on with B, and stands still while B is pending."""
    a, b = came(people, 0), came(people, 100)
    by = by_agent(people.agent)
    actions.set_status(a, "pending", by=by, now=later(60))
    merge(people, a, b, 160)
    assert live(b, "resolution") == [("resolution", "running", 24 * HOUR + 100)]
    actions.set_status(b, "pending", by=by, now=later(200))
    actions.set_status(b, "open", by=by, now=later(230))
    assert live(b, "resolution") == [("resolution", "running", 24 * HOUR + 130)]
    unmerge(people, a, 240)
    assert live(a, "resolution") == [("resolution", "paused", 24 * HOUR)]
    assert live(b, "resolution") == [("resolution", "running", 24 * HOUR + 130)], "its own hundred, and the half hour"


def test_a_solved_survivor_promises_nothing_and_gives_back_what_rests(people: Cast) -> None:
    a, b = came(people, 0), came(people, 5)
    actions.solve(b, by=by_agent(people.agent), now=later(10))
    merge(people, a, b, 20)
    assert waits(b) is None and live(a) == live(b) == []
    unmerge(people, a, 30)
    assert live(a) == [("first_reply", "running", 60)] and waits(a) == later(0)


def test_the_turn_of_a_team_rests_with_its_ticket(people: Cast) -> None:
    people.support.act_minutes = 30
    people.support.save()
    a, b = came(people, 0), came(people, 5)
    merge(people, a, b, 10)
    assert live(a, TEAM) == [] and live(b, TEAM) == [(TEAM, "running", 35)]
    unmerge(people, a, 15)
    assert live(a, TEAM) == [(TEAM, "running", 30)]


def test_a_rule_about_waiting_asks_the_survivor_and_then_each_again(people: Cast) -> None:
    Rule.objects.create(
        name="Old", when="unanswered", after_minutes=50, business=False, actions=[{"do": "tags", "add": ["old"]}]
    )
    a, b = came(people, 0), came(people, 5)
    answer(people, b, 6)
    merge(people, a, b, 20)
    run_rules(20, 49)
    assert not b.tags.exists()
    run_rules(50)
    assert [*b.tags.values_list("name", flat=True)] == ["old"] and not a.tags.exists()
    unmerge(people, a, 60)
    run_rules(60)
    assert [*a.tags.values_list("name", flat=True)] == ["old"]


def run_rules(*minutes: float) -> None:
    for minute in minutes:
        triggers.drain(now=later(minute), seconds=30)


def test_routing_looks_for_somebody_again(people: Cast) -> None:
    """For a survivor that nobody has, and for whatever comes out of it with nobody."""
    a, b = came(people, 0), came(people, 5)
    answer(people, b, 6)
    for ticket in (a, b):
        actions.assign(ticket, assignee=None, team=people.support, by=by_agent(people.manager), now=later(7))
    Ticket.objects.filter(pk=b.pk).update(routing_due_at=None)
    merge(people, a, b, 20)
    assert [one.routing_due_at for one in Ticket.objects.filter(pk__in=[a.pk, b.pk]).order_by("pk")] == [
        None,
        later(20),
    ]
    unmerge(people, a, 30)
    a.refresh_from_db()
    assert a.routing_due_at == later(30)


def test_whoever_had_it_has_room_again_and_is_asked_nothing_more_about_it(
    people: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = came(people, 0), came(people, 5)
    Ticket.objects.filter(pk=a.pk).update(accept_until=later(21))
    freed: list[datetime] = []
    monkeypatch.setattr(assign, "capacity_freed", lambda *, now: freed.append(now))
    merge(people, a, b, 20)
    assert freed == [later(20)]
    assert assign.take_back(now=later(25)) == 0


def test_the_next_question_finds_the_survivors_promise(people: Cast) -> None:
    """Words that come on the merged ticket's route are the survivor's."""
    a, b = came(people, 0), came(people, 5)
    Ticket.objects.filter(pk=b.pk).update(customer=a.customer)
    merge(people, a, b, 20)
    answer(people, b, 25)
    says(people, a, 30)
    assert live(b) == [("next_reply", "running", 90)] and live(a) == []
    unmerge(people, a, 40)
    assert live(b) == [("next_reply", "running", 90)] and waits(b) == later(30)
