"""What an agent promises a customer by a moment: on a clock of its own, owned, handed over, kept or withdrawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from tests import cast
from tests.cast import Cast
from tests.workspace import scene
from tickets import (
    actions,
    conditions,
    fragments,
    grammar,
    notifications,
    notifying,
    promises,
    triggers,
    undoing,
)
from tickets.models import Event, Promise, Rule, SlaClock, SlaWarning, Ticket
from tickets.models.event import by_agent
from tickets.sla import clocks
from tickets.timeline import Names, sentence

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, 0, 250_000, tzinfo=UTC)


def later(minutes: float) -> datetime:
    return NOW.replace(microsecond=0) + timedelta(minutes=minutes)


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


@pytest.fixture
def ticket(people: Cast) -> Ticket:
    """Mina's."""
    return came(people, "+821011112222")


def came(people: Cast, phone: str) -> Ticket:
    found = scene.says(people.sms, scene.sender("Jiwoo", phone=phone), "Where is it?", at=NOW).ticket
    actions.assign(found, assignee=people.agent, team=people.support, by=by_agent(people.agent), now=NOW)
    found.refresh_from_db()
    return found


def promise(people: Cast, ticket: Ticket, minutes: float = 60, text: str = "Call you back", **more: Agent) -> Promise:
    owner, by = more.get("owner", people.agent), by_agent(more.get("by", people.agent))
    event = promises.make(ticket, text=text, due_at=later(minutes), owner=owner, by=by, now=NOW)
    return Promise.objects.get(pk=event.particulars["promise"])


def kinds(ticket: Ticket) -> list[str]:
    wanted = Event.objects.filter(ticket=ticket, kind__startswith="promise_") | Event.objects.filter(
        ticket=ticket, kind__in=["sla_warning", "sla_breached"]
    )
    return list(wanted.order_by("id").values_list("kind", flat=True))


def clock_of(made: Promise) -> SlaClock:
    return SlaClock.objects.get(promise=made)


def next_due(ticket: Ticket) -> datetime | None:
    return Ticket.objects.get(pk=ticket.pk).next_due_at


def told(agent: Agent) -> list[str]:
    while notifying.drain():
        pass
    return [one.title for one in notifications.page(agent)[0]]


# -- The clock ----------------------------------------------------------------------------------------------------------


def test_it_warns_once_before_its_moment_and_is_breached_at_it(people: Cast, ticket: Ticket) -> None:
    made = promise(people, ticket, 60)
    assert next_due(ticket) == later(60), "to the second, though it was made within one"
    assert SlaWarning.objects.get().due_at == later(45)
    assert [clocks.sweep(now=later(minutes)) for minutes in (44, 45, 59, 60, 61)] == [0, 1, 0, 1, 0]
    assert kinds(ticket) == ["promise_made", "sla_warning", "sla_breached"]
    clock = clock_of(made)
    assert (clock.state, clock.breached_at, clock.metric, clock.policy) == ("running", later(60), "promise", None)
    promises.keep(made, by=by_agent(people.agent), now=later(70))
    assert (clock_of(made).state, clock_of(made).breached_at, next_due(ticket)) == ("met", later(60), None)


def test_what_is_kept_in_time_neither_warns_nor_is_breached(people: Cast, ticket: Ticket) -> None:
    made = promise(people, ticket)
    promises.keep(made, by=by_agent(people.agent), now=later(10))
    clocks.sweep(now=later(100))
    assert kinds(ticket) == ["promise_made", "promise_kept"]
    with pytest.raises(actions.NotAllowed):
        promises.withdraw(made, by=by_agent(people.agent), now=later(11))


def test_a_ticket_may_have_several_and_the_nearest_is_its_deadline(people: Cast, ticket: Ticket) -> None:
    near, far = promise(people, ticket, 60), promise(people, ticket, 120, "Send the form")
    assert [one.pk for one in promises.open_promises()] == [near.pk, far.pk]
    promises.withdraw(near, by=by_agent(people.agent), now=later(5))
    assert (clock_of(near).state, next_due(ticket)) == ("cancelled", later(120))


def test_an_answer_a_wait_and_a_solve_leave_it_running(people: Cast, ticket: Ticket) -> None:
    made = promise(people, ticket, 60)
    scene.answers(ticket, people.agent, "Soon", at=later(1))
    actions.set_status(ticket, "on_hold", by=by_agent(people.agent), now=later(2))
    solved = actions.solve(ticket, by=by_agent(people.agent), now=later(3))
    assert solved is not None
    actions.undo_status(ticket, event=solved, by=by_agent(people.agent), now=later(4))
    actions.solve(ticket, by=by_agent(people.agent), now=later(5))
    assert (clock_of(made).state, clock_of(made).due_at) == ("running", later(60))
    clocks.sweep(now=later(60))
    assert kinds(ticket)[-1] == "sla_breached"


@pytest.mark.parametrize(
    ("text", "minutes", "said"),
    [
        ("  ", 60, "Say what"),
        ("x" * 201, 60, "200 characters"),
        ("Call", 0, "future"),
        ("Call", 60 * 24 * 800, "years"),
    ],
)
def test_what_is_no_promise_is_refused(people: Cast, ticket: Ticket, text: str, minutes: float, said: str) -> None:
    with pytest.raises(actions.NotAllowed, match=said):
        promise(people, ticket, minutes, text)
    assert not Promise.objects.exists() and not SlaClock.objects.filter(metric="promise").exists()


# -- Its owner ----------------------------------------------------------------------------------------------------------


def test_its_owner_is_told_and_nobody_else(people: Cast, ticket: Ticket) -> None:
    made = promise(people, ticket, owner=people.teammate)
    assert told(people.teammate)[0] == "Mina handed you a promise: “Call you back”"
    promises.hand_over(made, people.manager, by=by_agent(people.teammate), now=later(1))
    assert told(people.manager)[0] == "Theo handed you a promise: “Call you back”"
    clocks.sweep(now=later(60))
    assert sorted(told(people.manager)[:2]) == [
        "Promise to the customer: deadline missed", "Promise to the customer: the deadline is near",
    ]  # fmt: skip
    assert not [said for said in told(people.agent) + told(people.teammate) if "deadline" in said]


def test_when_its_owner_was_switched_off_the_tickets_agent_is_told(people: Cast, ticket: Ticket) -> None:
    promise(people, ticket, owner=people.teammate)
    Agent.objects.filter(pk=people.teammate.pk).update(is_active=False)
    clocks.sweep(now=later(60))
    assert "Promise to the customer: deadline missed" in told(people.agent)


def test_when_its_owner_no_longer_sees_the_ticket_the_team_that_has_it_now_is_told(
    people: Cast, ticket: Ticket
) -> None:
    promise(people, ticket, owner=people.teammate)
    actions.assign(ticket, assignee=None, team=people.billing, by=by_agent(people.agent), now=later(1))
    clocks.sweep(now=later(60))
    missed = "Promise to the customer: deadline missed"
    assert missed in told(people.outsider) and missed not in told(people.teammate)


def test_who_has_to_be_told_of_several_is_asked_at_once(people: Cast, ticket: Ticket) -> None:
    def asked(text: str, owners: list[Agent]) -> int:
        for owner in owners:
            promise(people, ticket, text=text, owner=owner)
        told(people.agent)
        clocks.sweep(now=later(60))
        with CaptureQueriesContext(connection) as seen:
            notifying.drain()
        return len(seen)

    asked("First", [people.agent])  # warm
    assert asked("One", [people.agent]) == asked("Two", [people.agent, people.teammate])


def test_only_somebody_who_sees_the_ticket_and_may_answer_can_own_it(people: Cast, ticket: Ticket) -> None:
    made = promise(people, ticket)
    light = cast.make_agent("Lena", role=Agent.Role.LIGHT)
    for stranger in (people.outsider, light):
        with pytest.raises(actions.NotAllowed, match=stranger.name):
            promises.hand_over(made, stranger, by=by_agent(people.agent), now=later(1))
        with pytest.raises(actions.NotAllowed, match=stranger.name):
            promise(people, ticket, owner=stranger)
    assert promises.hand_over(made, people.agent, by=by_agent(people.agent), now=later(1)) is None
    assert kinds(ticket) == ["promise_made"]


# -- Taking back --------------------------------------------------------------------------------------------------------


def test_each_step_is_undone(people: Cast, ticket: Ticket) -> None:
    mina, by = people.agent, by_agent(people.agent)

    def undo(event: Event | None) -> None:
        assert event is not None
        assert undoing.undo(ticket, event, agent=mina, now=later(50)) is not None

    made = promise(people, ticket)
    undo(promises.keep(made, by=by, now=later(46)))
    assert (clock_of(made).state, clock_of(made).due_at) == ("running", later(60))
    undo(promises.withdraw(made, by=by, now=later(46)))
    assert SlaWarning.objects.get(clock__promise=made, fired_at=None).due_at == later(45)
    undo(promises.hand_over(made, people.teammate, by=by, now=later(47)))
    assert Promise.objects.get().owner == mina
    undo(promises.make(ticket, text="Send the form", due_at=later(90), owner=mina, by=by, now=later(48)))
    assert [one.text for one in promises.open_promises()] == ["Call you back"]


def test_what_was_kept_again_since_is_not_undone(people: Cast, ticket: Ticket) -> None:
    made, by = promise(people, ticket), by_agent(people.agent)
    first = promises.keep(made, by=by, now=later(1))
    undoing.undo(ticket, first, agent=people.agent, now=later(2))
    promises.keep(made, by=by, now=later(3))
    with pytest.raises(actions.NotAllowed):
        undoing.undo(ticket, first, agent=people.agent, now=later(4))
    assert clock_of(made).state == "met"


def test_what_was_handed_on_since_is_not_undone(people: Cast, ticket: Ticket) -> None:
    made = promise(people, ticket)
    handed = promises.hand_over(made, people.teammate, by=by_agent(people.agent), now=later(1))
    promises.hand_over(made, people.manager, by=by_agent(people.agent), now=later(2))
    assert handed is not None
    with pytest.raises(actions.NotAllowed):
        undoing.undo(ticket, handed, agent=people.agent, now=later(3))


def test_the_thread_tells_each_step(people: Cast, ticket: Ticket) -> None:
    made = promise(people, ticket)
    promises.hand_over(made, people.teammate, by=by_agent(people.agent), now=later(1))
    names = Names(agents={people.agent.pk: "Mina", people.teammate.pk: "Theo"}, teams={})
    said = [sentence(e.kind, "Mina", e.particulars, names) for e in Event.objects.filter(kind__startswith="promise_")]
    assert sorted(said) == [
        "Mina · Promise handed to Theo: “Call you back”", "Mina · Promised the customer: “Call you back”",
    ]  # fmt: skip


def test_the_thread_tells_by_when_and_who_keeps_it_also_when_it_was_kept(people: Cast, ticket: Ticket) -> None:
    own = promise(people, ticket)
    promise(people, ticket, owner=people.teammate)
    promises.keep(own, by=by_agent(people.agent), now=later(1))
    lines = [fragments.items_of(event, None)[0] for event in Event.objects.filter(kind="promise_made").order_by("id")]
    assert all(f'by <time datetime="{later(60).isoformat(timespec="milliseconds")}"' in line for line in lines)
    assert "Mina · Promised the customer: “Call you back” · by" in lines[0]
    assert "Mina · Promised the customer, Theo keeps it: “Call you back” · by" in lines[1]


# -- Merging ------------------------------------------------------------------------------------------------------------


def test_it_counts_for_the_survivor_and_comes_back(people: Cast, ticket: Ticket) -> None:
    survivor, last = came(people, "+821033334444"), came(people, "+821055556666")
    made, own = promise(people, ticket, 60), promise(people, survivor, 90, "Send the form")
    by = by_agent(people.agent)
    actions.merge(ticket, into=survivor, by=by, now=later(1))
    assert (next_due(ticket), next_due(survivor)) == (None, later(60))
    actions.merge(survivor, into=last, by=by, now=later(2))
    assert (next_due(survivor), next_due(last)) == (None, later(60))
    clocks.sweep(now=later(60))
    assert kinds(last) == ["sla_warning", "sla_breached"]
    with pytest.raises(actions.NotAllowed, match="merged"):
        promise(people, ticket)

    actions.unmerge(survivor, by=by, now=later(61))
    assert (next_due(last), next_due(survivor)) == (None, later(60))
    promises.keep(made, by=by, now=later(62))
    assert kinds(survivor)[-1] == "promise_kept"
    actions.unmerge(ticket, by=by, now=later(63))
    assert (clock_of(made).ticket, clock_of(own).ticket) == (ticket, survivor)
    assert (next_due(ticket), next_due(survivor)) == (None, later(90))


def test_what_was_kept_before_the_merge_stands_again_on_the_survivor(people: Cast, ticket: Ticket) -> None:
    survivor, by = came(people, "+821033334444"), by_agent(people.agent)
    made = promise(people, ticket)
    kept = promises.keep(made, by=by, now=later(1))
    actions.merge(ticket, into=survivor, by=by, now=later(2))
    undoing.undo(ticket, kept, agent=people.agent, now=later(3))
    assert (next_due(ticket), next_due(survivor)) == (None, later(60))


def test_what_went_to_a_ticket_out_of_sight_is_not_undone(people: Cast, ticket: Ticket) -> None:
    survivor, by = came(people, "+821033334444"), by_agent(people.agent)
    made = promise(people, ticket)
    kept = promises.keep(made, by=by, now=later(1))
    actions.merge(ticket, into=survivor, by=by, now=later(2))
    actions.assign(survivor, assignee=None, team=people.billing, by=by, now=later(3))
    with pytest.raises(actions.NotAllowed):
        undoing.undo(ticket, kept, agent=people.agent, now=later(4))
    assert (clock_of(made).state, next_due(survivor)) == ("met", None)


# -- Rules --------------------------------------------------------------------------------------------------------------


def test_a_rule_acts_when_it_is_missed_and_at_no_other_deadline(people: Cast, ticket: Ticket) -> None:
    tree = {"field": "promise", "op": "is", "value": ["promise"]}
    do = [{"do": "tags", "add": ["promise-missed"]}]
    Rule.objects.create(name="Missed", when="sla_breached", conditions=tree, actions=do)
    promise(people, ticket, 60)
    for minutes, tags in ((59, []), (60, ["promise-missed"])):
        clocks.sweep(now=later(minutes))
        triggers.drain(now=later(minutes), seconds=30)
        assert list(ticket.tags.values_list("name", flat=True)) == tags


@pytest.mark.parametrize(("kept_at", "tags"), [(70, []), (None, ["still-owed"])])
def test_a_rule_for_what_stays_missed_acts_on_a_solved_ticket_too(
    people: Cast, ticket: Ticket, kept_at: int | None, tags: list[str]
) -> None:
    do = [{"do": "tags", "add": ["still-owed"]}]
    Rule.objects.create(name="Still missed", when="overdue", after_minutes=30, actions=do)
    made = promise(people, ticket, 60)
    actions.solve(ticket, by=by_agent(people.agent), now=later(1))
    for minutes in (60, 89):
        clocks.sweep(now=later(minutes))
        triggers.drain(now=later(minutes), seconds=30)
        assert not ticket.tags.exists()
        if kept_at:
            promises.keep(made, by=by_agent(people.agent), now=later(kept_at))
            kept_at = None
    triggers.drain(now=later(90), seconds=30)
    assert list(ticket.tags.values_list("name", flat=True)) == tags


# -- Search -------------------------------------------------------------------------------------------------------------


def test_one_finds_by_whose_promise_it_is_until_it_is_kept(people: Cast, ticket: Ticket) -> None:
    other = came(people, "+821033334444")
    theirs = promise(people, ticket, owner=people.teammate)
    promise(people, other)

    def found(text: str, agent: Agent) -> list[Ticket]:
        query, reader = grammar.parse(text), conditions.Reader(agent_id=agent.pk, now=later(1))
        assert not query.problems
        rows = list(Ticket.objects.filter(conditions.to_q(query.tree, reader)).order_by("id"))
        facts = {one: conditions.asked_facts_of(one, reader) for one in (ticket, other)}
        assert [one for one, known in facts.items() if conditions.matches(query.tree, known, reader).matched] == rows
        return rows

    assert found("promised_by:me", people.teammate) == found("약속담당:Theo", people.agent) == [ticket]
    assert found("promised_by:Mina,Theo", people.manager) == [ticket, other]
    assert found("-promised_by:me", people.teammate) == [other]
    promises.keep(theirs, by=by_agent(people.teammate), now=later(1))
    assert found("promised_by:me", people.teammate) == []
