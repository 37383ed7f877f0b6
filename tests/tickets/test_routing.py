"""Who gets a ticket, why, and that nobody ever gets too much."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import presence
from agents.models import Agent, AgentSkill, Calendar, Membership, Skill
from tests import cast
from tests.cast import Cast
from tickets import actions, conditions, undoing
from tickets.models import (
    Channel,
    Customer,
    Event,
    Message,
    ReadMark,
    RoutingDecision,
    Rule,
    SlaPolicy,
    SlaTarget,
    Ticket,
    TicketSkill,
)
from tickets.models.event import SYSTEM, by_agent
from tickets.models.ticket import next_number
from tickets.routing import assign, choice, decide, explain, rules
from tickets.routing.decide import BATCH
from tickets.sla import clocks

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def come_online(*agents: Agent, at: datetime = NOW) -> None:
    for agent in agents:
        presence.set_presence(agent, Agent.Presence.ONLINE, now=at)
        presence.heartbeat(agent, now=at)


def new_ticket(people: Cast, *, text: str = "hello", at: datetime = NOW, **fields: Any) -> Ticket:
    fields = {"first_channel": people.sms, "last_channel": people.sms, "last_direction": "in"} | fields
    fields["customer"] = fields.get("customer") or cast.make_customer(now=at)
    ticket = Ticket.objects.create(
        number=next_number(), brand=people.brand, routing_due_at=at, waiting_since=at, created_at=at,
        last_message_at=at, **fields,
    )  # fmt: skip
    Message.objects.create(
        ticket=ticket, seq=1, direction="in", author_type="customer", text=text, channel=people.sms, created_at=at
    )
    return ticket


def writes_again(ticket: Ticket, *, at: datetime) -> None:
    said = Message.objects.create(
        ticket=ticket, seq=2, direction="in", author_type="customer", text="And?", created_at=at
    )
    Ticket.objects.filter(pk=ticket.pk).update(last_message_at=at, last_message_id=said.pk)


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


def test_the_one_with_the_fewest_open_tickets_gets_it_and_the_trace_says_so(people: Cast) -> None:
    come_online(people.agent, people.teammate)
    busy = new_ticket(people, team=people.support)
    actions.assign(busy, assignee=people.agent, team=people.support, by=SYSTEM, now=NOW)
    decision = assign.assign(new_ticket(people, team=people.support).pk, now=NOW)
    assert decision is not None
    assert (decision.outcome, decision.agent) == ("assigned", people.teammate)
    assert [(c["name"], c["load"], c["skipped"]) for c in decision.candidates] == [("Mina", 1, None), ("Theo", 0, None)]
    assert decision.tie_breaker == "fewest_open"


@pytest.mark.parametrize("why", ["offline", "away", "at_capacity", "light", "inactive"])
def test_who_cannot_take_it_is_skipped_with_the_reason(people: Cast, why: str) -> None:
    come_online(people.agent)
    match why:
        case "offline":
            Agent.objects.filter(pk=people.agent.pk).update(seen_at=NOW - presence.GRACE - timedelta(seconds=1))
        case "away":
            presence.set_presence(people.agent, Agent.Presence.AWAY, now=NOW)
        case "at_capacity":
            Agent.objects.filter(pk=people.agent.pk).update(capacity=0)
        case "light":
            Agent.objects.filter(pk=people.agent.pk).update(role=Agent.Role.LIGHT)
        case "inactive":
            Agent.objects.filter(pk=people.agent.pk).update(is_active=False)
    people.support.memberships.exclude(agent=people.agent).delete()
    ticket = new_ticket(people, team=people.support)
    decision = assign.assign(ticket.pk, now=NOW)
    assert decision is not None
    assert decision.outcome == "queued"
    assert decision.candidates[0]["skipped"] == why
    ticket.refresh_from_db()
    assert ticket.routing_due_at == NOW + assign.LOOK_AGAIN
    assert ticket.status == "new"


def test_a_queued_ticket_is_not_decided_again_in_the_same_words(people: Cast) -> None:
    ticket = new_ticket(people, team=people.support)
    assign.assign(ticket.pk, now=NOW)
    assign.assign(ticket.pk, now=NOW + assign.LOOK_AGAIN)
    assert RoutingDecision.objects.count() == 1


def test_coming_online_drains_the_backlog_oldest_first_up_to_the_capacity(people: Cast) -> None:
    Agent.objects.filter(pk=people.agent.pk).update(capacity=2)
    tickets = [new_ticket(people, team=people.support, at=NOW + timedelta(minutes=n)) for n in range(4)]
    later = NOW + timedelta(minutes=10)
    assign.drain(now=later)
    assert not Ticket.objects.filter(assignee__isnull=False).exists()
    come_online(people.agent, at=later)
    assign.drain(now=later)
    given = Ticket.objects.filter(assignee=people.agent).order_by("id").values_list("pk", flat=True)
    assert list(given) == [tickets[0].pk, tickets[1].pk]


@pytest.mark.parametrize("how", ["solved", "pending", "snoozed", "given_away"])
def test_whoever_has_room_again_gets_the_next_one_at_once(people: Cast, how: str) -> None:
    Agent.objects.filter(pk=people.agent.pk).update(capacity=1)
    come_online(people.agent)
    first, second = (new_ticket(people, team=people.support, at=NOW + timedelta(seconds=n)) for n in range(2))
    assign.drain(now=NOW + timedelta(seconds=2))
    later, by = NOW + timedelta(seconds=10), by_agent(people.agent)
    assert assign.drain(now=later) == 0
    match how:
        case "snoozed":
            actions.snooze(first, until=later + timedelta(hours=1), by=by, now=later)
        case "given_away":
            actions.assign(first, assignee=people.outsider, team=people.billing, by=by, now=later)
        case status:
            actions.set_status(first, status, by=by, now=later)
    assert assign.drain(now=later) == 1
    second.refresh_from_db()
    assert second.assignee == people.agent


def test_whoever_becomes_free_writes_to_no_ticket_that_waits(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the queue: they hold a lock of their own, and an answer must not cost what the queue costs."""
    woken: list[str] = []
    monkeypatch.setattr(assign, "wake", woken.append)
    assign.capacity_freed(now=NOW)
    assert not woken
    for _n in range(3):
        new_ticket(people, team=people.support)
    Ticket.objects.update(routing_due_at=NOW + timedelta(minutes=1))
    with CaptureQueriesContext(connection) as asked:
        assign.capacity_freed(now=NOW)
    assert woken == ["tickets.tasks.route"]
    assert len(asked) == 1 and asked[0]["sql"].startswith("SELECT")
    assert set(Ticket.objects.values_list("routing_due_at", flat=True)) == {NOW + timedelta(minutes=1)}


def test_what_nobody_present_can_take_holds_up_nobody_behind_it(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unplaceable ones in front are not even decided anew, and only as many are called up as there is room for."""
    Agent.objects.filter(pk=people.agent.pk).update(capacity=2)
    rare = Skill.objects.create(name="Latin")
    needy = [new_ticket(people, team=people.support, at=NOW - timedelta(hours=1)) for _n in range(3)]
    TicketSkill.objects.bulk_create(TicketSkill(ticket=one, skill=rare, level=1) for one in needy)
    plain = [new_ticket(people, team=people.support, at=NOW + timedelta(seconds=n)) for n in range(4)]
    assign.drain(now=NOW + timedelta(seconds=10))
    later = NOW + timedelta(seconds=20)
    come_online(people.agent, at=later)
    asked: list[int] = []
    real = assign.decide

    def decide(ticket_ids: list[int], **kwargs: Any) -> Any:
        asked.extend(ticket_ids)
        return real(ticket_ids, **kwargs)

    monkeypatch.setattr(assign, "decide", decide)
    assert assign.drain(now=later) == 2
    assert asked == [one.pk for one in plain[:2]]
    assert list(people.agent.tickets.order_by("id")) == plain[:2]


def test_a_new_ticket_does_not_take_the_place_of_one_that_waits(people: Cast) -> None:
    """Although it is decided first, by a worker that does not know yet that somebody has room."""
    Agent.objects.filter(pk=people.agent.pk).update(capacity=2)
    older = new_ticket(people, team=people.support)
    needy = new_ticket(people, team=people.support)
    TicketSkill.objects.create(ticket=needy, skill=Skill.objects.create(name="Latin"), level=1)
    assign.drain(now=NOW)
    later = NOW + timedelta(seconds=10)
    come_online(people.agent, at=later)
    new, newer, vip = (new_ticket(people, team=people.support, at=later) for _n in range(3))
    Customer.objects.filter(pk=vip.customer_id).update(tier="vip")
    assert reasons(routed(new, at=later))["Mina"] is None  # one place is kept, one is left
    assert reasons(routed(newer, at=later))["Mina"] == "others_first"
    assert routed(vip, at=later).agent == people.agent
    Ticket.objects.filter(pk=vip.pk).update(status="solved")
    assert assign.drain(now=later) == 1
    older.refresh_from_db()
    newer.refresh_from_db()
    assert (older.assignee, newer.assignee) == (people.agent, None)


def test_those_of_the_overflow_team_are_room_for_what_has_waited_long_enough(people: Cast) -> None:
    people.support.overflow, people.support.overflow_minutes = people.billing, 10
    people.support.save()
    ticket = new_ticket(people, team=people.support)
    assign.drain(now=NOW)
    soon, later = NOW + timedelta(seconds=30), NOW + timedelta(minutes=10, seconds=1)
    come_online(people.outsider, at=soon)
    assert assign.drain(now=soon) == 0
    Ticket.objects.update(routing_due_at=later + timedelta(seconds=50))
    come_online(people.outsider, at=later)
    assert assign.drain(now=later) == 1
    ticket.refresh_from_db()
    assert ticket.assignee == people.outsider


def test_the_load_is_counted_over_open_tickets_only(people: Cast) -> None:
    """However many the agents have finished: the condition stands where the index is used."""
    come_online(people.agent, people.teammate)
    assign.assign(new_ticket(people, team=people.support).pk, now=NOW)
    with CaptureQueriesContext(connection) as few:
        assign.assign(new_ticket(people, team=people.support).pk, now=NOW)
    counting = [query["sql"] for query in few if "COUNT(" in query["sql"]]
    assert counting
    assert all("JOIN" not in sql and "IN ('new', 'open')" in sql for sql in counting)


def test_rules_run_in_order_and_every_step_is_kept(people: Cast) -> None:
    come_online(people.outsider)
    Rule.objects.create(
        name="Refunds", position=1,
        conditions={"all": [{"field": "text", "op": "contains", "value": ["환불"]}]},
        actions=[{"do": "team", "team": people.billing.pk}, {"do": "tags", "add": ["Refund"]}], stop=True,
    )  # fmt: skip
    Rule.objects.create(
        name="VIPs", position=0,
        conditions={"all": [{"field": "customer_tier", "op": "is", "value": ["vip"]}]},
        actions=[{"do": "priority", "priority": 4}],
    )  # fmt: skip
    Rule.objects.create(name="Rest", position=2, conditions={}, actions=[{"do": "team", "team": people.support.pk}])
    ticket = new_ticket(people, text="환불 부탁드려요")
    decision = assign.assign(ticket.pk, now=NOW)
    assert decision is not None
    assert [(step["name"], step["matched"]) for step in decision.rules] == [("VIPs", False), ("Refunds", True)]
    assert decision.rules[0]["failed"]["field"] == "customer_tier"
    ticket.refresh_from_db()
    assert (ticket.team, ticket.assignee) == (people.billing, people.outsider)
    assert set(ticket.tags.values_list("name", flat=True)) == {"refund"}
    assert ticket.status == "open"


def test_a_broken_rule_is_skipped_and_never_stops_routing(people: Cast) -> None:
    Rule.objects.create(name="Broken", conditions={"all": [{"field": "gone", "op": "is", "value": 1}]}, actions=[])
    decision = assign.assign(new_ticket(people).pk, now=NOW)
    assert decision is not None
    assert decision.rules[0]["broken"]
    assert decision.outcome == "no_team"


def test_a_ticket_that_fails_does_not_hold_up_the_ones_behind_it(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = new_ticket(people, team=people.support), new_ticket(people, team=people.support)
    come_online(people.agent)
    real = rules.run

    def run(ticket: Ticket, **kwargs: Any) -> Any:
        if ticket.pk == first.pk:
            raise RuntimeError("poison")
        return real(ticket, **kwargs)

    monkeypatch.setattr(rules, "run", run)
    assert assign.drain(now=NOW) == 1
    first.refresh_from_db()
    second.refresh_from_db()
    assert second.assignee == people.agent
    assert first.routing_due_at is not None and first.routing_due_at > NOW


def test_each_of_a_batch_counts_for_those_behind_it_and_says_so(people: Cast) -> None:
    Agent.objects.filter(pk__in=[people.agent.pk, people.teammate.pk]).update(capacity=2)
    come_online(people.agent, people.teammate)
    tickets = [new_ticket(people, team=people.support) for _n in range(5)]
    assert assign.drain(now=NOW) == 5
    decisions = [ticket.routing_decisions.get() for ticket in tickets]
    assert [one.agent for one in decisions] == [people.agent, people.teammate, people.agent, people.teammate, None]
    assert [[told["load"] for told in one.candidates] for one in decisions] == [[0, 0], [1, 0], [1, 1], [2, 1], [2, 2]]
    assert [one.tie_breaker for one in decisions] == ["by_id", "fewest_open", "longest_since_last", "only_one", ""]
    assert {told["skipped"] for told in decisions[-1].candidates} == {"at_capacity"}


def test_what_a_rule_gives_counts_from_its_turn_on(people: Cast) -> None:
    """A rule that names a person minds no capacity; those before it in the order do not wait for it."""
    Agent.objects.filter(pk=people.agent.pk).update(capacity=1)
    come_online(people.agent)
    named = [{"do": "agent", "agent": people.agent.pk}]
    Rule.objects.create(
        name="Named", actions=named, conditions={"all": [{"field": "text", "op": "contains", "value": ["mine"]}]}
    )
    first = new_ticket(people, team=people.support)
    named_one = new_ticket(people, team=people.support, text="mine", at=NOW + timedelta(seconds=1))
    third = new_ticket(people, team=people.support, at=NOW + timedelta(seconds=2))
    assert assign.drain(now=NOW + timedelta(seconds=3)) == 3
    outcomes = [one.routing_decisions.get().outcome for one in (first, named_one, third)]
    assert outcomes == ["assigned", "kept", "queued"]


def test_a_rule_that_names_a_person_is_told_as_what_gave_it(people: Cast) -> None:
    named = [{"do": "agent", "agent": people.agent.pk}]
    Rule.objects.create(name="Named", actions=named)
    ticket, had = new_ticket(people, team=people.support), new_ticket(people, team=people.support)
    Ticket.objects.filter(pk=had.pk).update(assignee=people.agent)
    told = [explain.explained(routed(one)).outcome for one in (ticket, had)]
    assert told == ["A rule gave it to Mina.", "Mina had it already and keeps it."]


@pytest.mark.parametrize(
    ("change", "reason"), [({"role": Agent.Role.LIGHT}, "may not reply"), ({"is_active": False}, "switched off")]
)
def test_a_rule_gives_nothing_to_somebody_who_cannot_answer(people: Cast, change: dict[str, Any], reason: str) -> None:
    """They could when it was made."""
    named = [{"do": "agent", "agent": people.agent.pk}]
    rules.validate_actions(named)
    Rule.objects.create(name="Named", actions=named)
    Agent.objects.filter(pk=people.agent.pk).update(**change)
    come_online(people.teammate)
    decision = routed(new_ticket(people, team=people.support))
    assert decision.agent == people.teammate, "routing finds somebody as if there were no rule"
    assert not decision.acted
    assert explain.explained(decision).steps[0].note == f"not done: Assignee → Mina ({reason})"
    with pytest.raises(conditions.Invalid, match=f"Mina .*{reason}"):
        rules.validate_actions(named)


def test_a_message_that_was_seen_is_not_answered_by_rules_once_more(people: Cast) -> None:
    """It came while the round was under way, and its decision has seen it."""
    Rule.objects.create(name="Again", when="customer_replied", actions=[{"do": "tags", "add": ["again"]}])
    ticket = new_ticket(people, team=people.support)
    assign.assign(ticket.pk, now=NOW)
    wrote, later = NOW + timedelta(seconds=61), NOW + timedelta(minutes=5)
    writes_again(ticket, at=wrote)
    for now in (NOW + timedelta(seconds=60), later):
        Ticket.objects.filter(pk=ticket.pk).update(routing_due_at=now)
        assign.assign(ticket.pk, now=now)
    triggers = ticket.routing_decisions.order_by("id").values_list("trigger", flat=True)
    assert list(triggers).count("customer_replied") == 1


def test_a_ticket_that_had_no_team_is_not_put_off_with_those_of_a_full_one(people: Cast) -> None:
    Channel.objects.filter(pk=people.sms.pk).update(team=None)
    ticket = new_ticket(people)
    first = assign.assign(ticket.pk, now=NOW)
    assert first is not None and first.outcome == "no_team"
    Channel.objects.filter(pk=people.sms.pk).update(team=people.support)
    later = NOW + timedelta(minutes=5)
    Ticket.objects.filter(pk=ticket.pk).update(routing_due_at=later)
    new_ticket(people, team=people.support, priority=4)
    assign.drain(now=later)
    ticket.refresh_from_db()
    assert ticket.team == people.support
    assert ticket.routing_decisions.latest("id").outcome == "queued"


def test_a_batch_is_written_whole_or_not_at_all(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    come_online(people.agent)
    tickets = [new_ticket(people, team=people.support) for _n in range(3)]

    def fail(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(decide, "_let_go", fail)
        assign.drain(now=NOW)
    assert not RoutingDecision.objects.exists()
    assert not Event.objects.filter(kind__in=["assigned", "routed"]).exists()
    assert set(Ticket.objects.values_list("assignee", "routing_due_at")) == {(None, NOW)}
    assert assign.drain(now=NOW) == len(tickets)
    assert Event.objects.filter(kind="routed").count() == len(tickets)


def test_a_drain_leaves_it_to_the_one_that_is_at_work(people: Cast) -> None:
    come_online(people.agent)
    new_ticket(people, team=people.support)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtextextended('routing', 0))")
            assert assign.drain(now=NOW) == 0
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended('routing', 0))")
    finally:
        other.close()
    assert assign.drain(now=NOW) == 1


def test_what_comes_at_the_end_of_a_drain_waits_for_no_other_one(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own wake-up found the drain still at work, and left."""
    come_online(people.agent)
    rounds, late = assign._rounds, list[Ticket]()

    def and_then_one_more(seen: set[int], **asked: Any) -> int:
        done = rounds(seen, **asked)
        if not late:
            late.append(new_ticket(people, team=people.support))
        return done

    monkeypatch.setattr(assign, "_rounds", and_then_one_more)
    new_ticket(people, team=people.support)
    assert assign.drain(now=NOW) == 2
    assert late[0].routing_decisions.get().outcome == "assigned"


def test_a_drain_whose_time_is_over_wakes_a_successor(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[str] = []
    monkeypatch.setattr(assign, "wake", woken.append)
    monkeypatch.setattr(assign, "ROUND", 2)
    for _n in range(3):
        new_ticket(people, team=people.support)
    assert (assign.drain(now=NOW, seconds=0), woken) == (2, ["tickets.tasks.route"])
    assert (assign.drain(now=NOW), woken) == (1, ["tickets.tasks.route"])


def test_many_cost_few_statements_each(people: Cast) -> None:
    """Of a team with a rule, a skill and clocks: what they have in common is read once."""
    Agent.objects.update(capacity=40)
    come_online(people.agent, people.teammate)
    french = Skill.objects.create(name="French")
    AgentSkill.objects.create(agent=people.agent, skill=french, level=2)
    policy = SlaPolicy.objects.create(name="All")
    SlaTarget.objects.create(policy=policy, metric="first_reply", priority=2, seconds=3600, business=False)
    need = {"do": "skill", "skill": french.pk, "level": 1, "required": True}
    Rule.objects.create(name="All", actions=[{"do": "team", "team": people.support.pk}, need])
    spent = []
    for count in (1, BATCH):
        for _n in range(count):
            clocks.customer_wrote(new_ticket(people), now=NOW)
        with CaptureQueriesContext(connection) as asked:
            assert assign.drain(now=NOW) == count
        spent.append(len(asked))
    assert (spent[1] - spent[0]) / (BATCH - 1) < 10, spent


def test_an_assigned_ticket_keeps_its_person_when_the_customer_writes_again(people: Cast) -> None:
    come_online(people.agent, people.teammate)
    ticket = new_ticket(people, team=people.support)
    first = assign.assign(ticket.pk, now=NOW)
    assert first is not None
    later = NOW + timedelta(minutes=5)
    writes_again(ticket, at=later)
    Ticket.objects.filter(pk=ticket.pk).update(routing_due_at=later)
    again = assign.assign(ticket.pk, now=later)
    assert again is not None
    assert (again.trigger, again.outcome, again.agent) == ("customer_replied", "kept", first.agent)


def test_giving_it_to_a_person_ends_what_was_owed(people: Cast) -> None:
    ticket = new_ticket(people, team=people.support)
    actions.assign(ticket, assignee=people.agent, team=people.support, by=by_agent(people.manager), now=NOW)
    assert assign.assign(ticket.pk, now=NOW) is None
    assert Event.objects.filter(ticket=ticket, kind="assigned", actor=people.manager).count() == 1


@pytest.mark.django_db(transaction=True)
def test_capacity_holds_when_four_workers_decide_at_once() -> None:
    people = cast.assemble()
    Agent.objects.filter(pk__in=[people.agent.pk, people.teammate.pk]).update(capacity=3)
    come_online(people.agent, people.teammate)
    tickets = [new_ticket(people, team=people.support) for _ in range(12)]
    barrier = Barrier(4)

    def work(mine: list[Ticket]) -> None:
        barrier.wait()
        try:
            for ticket in mine:
                assign.assign(ticket.pk, now=NOW)
        finally:
            connection.close()

    threads = [Thread(target=work, args=(tickets[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loads = {agent.name: agent.tickets.count() for agent in Agent.objects.filter(memberships__team=people.support)}
    assert loads == {"Mina": 3, "Theo": 3}
    assert RoutingDecision.objects.filter(outcome="queued").count() == 6


def test_an_agent_of_two_teams_is_counted_once(people: Cast) -> None:
    Membership.objects.create(agent=people.agent, team=people.billing)
    come_online(people.agent)
    Agent.objects.filter(pk=people.agent.pk).update(capacity=2)
    for _ in range(2):
        assign.assign(new_ticket(people, team=people.support).pk, now=NOW)
    decision = assign.assign(new_ticket(people, team=people.billing).pk, now=NOW)
    assert decision is not None
    assert next(c for c in decision.candidates if c["name"] == "Mina")["skipped"] == "at_capacity"


# -- Asleep, and without a team -----------------------------------------------------------------------------------------


def asleep(people: Cast, *, minutes: float) -> Ticket:
    ticket = new_ticket(people, team=people.support)
    actions.snooze(ticket, until=NOW + timedelta(minutes=minutes), by=by_agent(people.manager), now=NOW)
    return ticket


def test_what_sleeps_is_given_to_nobody_until_it_wakes_and_to_no_more_than_have_room(people: Cast) -> None:
    Agent.objects.filter(pk=people.agent.pk).update(capacity=1)
    come_online(people.agent)
    sleeping = [asleep(people, minutes=5) for _n in range(5)]
    assert assign.drain(now=NOW) == 0
    assert not RoutingDecision.objects.exists()
    later = NOW + timedelta(minutes=5)
    assert {one.routing_due_at for one in Ticket.objects.all()} == {later}
    awake = new_ticket(people, team=people.support)
    assert assign.drain(now=NOW) == 1, "nothing is kept free for those who sleep"
    actions.solve(awake, by=SYSTEM, now=NOW)
    come_online(people.agent, at=later)
    assert actions.wake_due(now=later) == 5
    assign.drain(now=later)
    assert [one.assignee for one in Ticket.objects.filter(pk__in=[one.pk for one in sleeping]).order_by("pk")] == [
        people.agent, None, None, None, None,
    ]  # fmt: skip


def test_what_fell_asleep_in_the_queue_is_not_called_up_and_keeps_nobody_out(people: Cast) -> None:
    ticket = new_ticket(people, team=people.support)
    assert assign.drain(now=NOW) == 1
    actions.snooze(ticket, until=NOW + timedelta(hours=1), by=by_agent(people.manager), now=NOW)
    Agent.objects.filter(pk=people.agent.pk).update(capacity=1)
    come_online(people.agent)
    assert assign.drain(now=NOW + timedelta(seconds=1)) == 0
    assert routed(new_ticket(people, team=people.support)).agent == people.agent


@pytest.mark.parametrize("how", ["by_hand", "in_time", "undone"])
def test_whoever_wakes_it_finds_somebody_at_once(people: Cast, how: str) -> None:
    ticket = asleep(people, minutes=60)
    assign.drain(now=NOW)
    come_online(people.agent)
    woken = NOW + timedelta(minutes=60 if how == "in_time" else 1)
    come_online(people.agent, at=woken)
    match how:
        case "by_hand":
            actions.wake(ticket, by=by_agent(people.manager), now=woken)
        case "in_time":
            actions.wake_due(now=woken)
        case "undone":
            snoozed = Event.objects.get(kind="snoozed")
            undoing.undo(Ticket.objects.get(pk=ticket.pk), snoozed, agent=people.manager, now=woken)
    assert assign.drain(now=woken) == 1
    ticket.refresh_from_db()
    assert ticket.assignee == people.agent


def test_a_ticket_of_a_channel_without_a_team_goes_on_when_the_channel_gets_one(people: Cast) -> None:
    come_online(people.agent)
    ticket, taken_out = new_ticket(people), new_ticket(people)
    assert [routed(ticket).outcome, routed(taken_out).outcome] == ["no_team"] * 2
    assert "as soon as" in explain.still_waiting(Ticket.objects.get(pk=ticket.pk), now=NOW)
    for team in (people.support, None):  # somebody has taken it out by hand
        actions.assign(taken_out, assignee=None, team=team, by=by_agent(people.manager), now=NOW)
        if team:
            routed(taken_out)
    Ticket.objects.filter(pk=taken_out.pk).update(routing_due_at=None)
    people.sms.team = people.support
    people.sms.save()
    assign.channel_has_team(people.sms, now=NOW)
    assert list(Ticket.objects.filter(routing_due_at__lte=NOW)) == [ticket]
    assert assign.drain(now=NOW) == 1
    ticket.refresh_from_db()
    assert (ticket.team, ticket.assignee) == (people.support, people.agent)
    assert "no queue" in explain.still_waiting(Ticket.objects.get(pk=taken_out.pk), now=NOW)


def test_a_promise_to_wait_for_somebody_is_about_somebody_who_could_take_it(people: Cast) -> None:
    """One is there and one is not, and neither has the skill: nobody comes for it, ever."""
    come_online(people.agent)
    ticket = new_ticket(people, team=people.support)
    latin = Skill.objects.create(name="Latin")
    TicketSkill.objects.create(ticket=ticket, skill=latin)
    assert reasons(routed(ticket)) == {"Mina": "missing_skill", "Theo": "offline"}
    assert "has the skills" in explain.still_waiting(Ticket.objects.get(pk=ticket.pk), now=NOW)
    theo = next(one for one in explain.decisions(ticket)[0].candidates if one.name == "Theo")
    assert theo.reason == "offline, lacks: Latin (Basic)"
    AgentSkill.objects.create(agent=people.teammate, skill=latin, level=1)
    routed(ticket)
    assert "of them who comes online" in explain.still_waiting(Ticket.objects.get(pk=ticket.pk), now=NOW)
    Agent.objects.filter(pk=people.teammate.pk).update(is_active=False)
    routed(ticket)
    assert "switched off" in explain.still_waiting(Ticket.objects.get(pk=ticket.pk), now=NOW)


def test_a_skill_that_will_only_be_wished_is_said_to_be(people: Cast) -> None:
    ticket = new_ticket(people, team=people.support)
    soon = NOW + timedelta(minutes=10)
    TicketSkill.objects.create(ticket=ticket, skill=Skill.objects.create(name="Latin"), wished_from=soon)
    routed(ticket)
    assert "After a while" in explain.still_waiting(Ticket.objects.get(pk=ticket.pk), now=NOW)


def test_who_asks_about_a_ticket_that_sleeps_hears_so(people: Cast) -> None:
    ticket = asleep(people, minutes=5)
    assign.drain(now=NOW)
    assert "snoozed" in explain.still_waiting(Ticket.objects.get(pk=ticket.pk), now=NOW)


# -- Skills, weights, overflow, coming back -----------------------------------------------------------------------------


def reasons(decision: RoutingDecision | None) -> dict[str, str | None]:
    assert decision is not None
    return {one["name"]: one["skipped"] for one in decision.candidates}


def routed(ticket: Ticket, *, at: datetime = NOW) -> RoutingDecision:
    Ticket.objects.filter(pk=ticket.pk).update(routing_due_at=at)
    decision = assign.assign(ticket.pk, now=at)
    assert decision is not None
    return decision


def test_a_rule_asks_for_a_skill_and_relaxes_it_after_a_while(people: Cast) -> None:
    come_online(people.agent)
    french = Skill.objects.create(name="French")
    Rule.objects.create(
        name="French", conditions={"field": "text", "op": "contains", "value": ["bonjour"]},
        actions=[{"do": "skill", "skill": french.pk, "level": 2, "required": True, "relax_minutes": 10}],
    )  # fmt: skip
    ticket = new_ticket(people, text="Bonjour", team=people.support)
    assert reasons(routed(ticket))["Mina"] == "missing_skill"
    come_online(people.agent, at=NOW + timedelta(minutes=11))
    later = routed(ticket, at=NOW + timedelta(minutes=11))
    assert (later.outcome, later.agent) == ("assigned", people.agent)


def test_who_has_the_skill_gets_it_although_somebody_else_has_less_to_do(people: Cast) -> None:
    come_online(people.agent, people.teammate)
    busy = new_ticket(people, team=people.support)
    actions.assign(busy, assignee=people.agent, team=people.support, by=SYSTEM, now=NOW)
    french = Skill.objects.create(name="French")
    AgentSkill.objects.create(agent=people.agent, skill=french, level=3)
    ticket = new_ticket(people, team=people.support)
    TicketSkill.objects.create(ticket=ticket, skill=french, level=2)
    decision = routed(ticket)
    assert decision.agent == people.agent
    assert reasons(decision)["Theo"] == "missing_skill"


def test_a_chat_fills_a_place_and_mails_share_one(people: Cast) -> None:
    come_online(people.agent)
    Agent.objects.filter(pk=people.agent.pk).update(capacity=1)
    people.email.weight = 50
    people.email.save()
    mail = {"first_channel": people.email, "last_channel": people.email}
    given = [routed(new_ticket(people, team=people.support, **mail)).outcome for _n in range(3)]
    assert given == ["assigned", "assigned", "queued"]
    assert routed(new_ticket(people, team=people.support)).candidates[0]["load"] == 1


def test_the_overflow_team_helps_when_a_ticket_has_waited_long_enough(people: Cast) -> None:
    come_online(people.outsider)
    people.support.overflow, people.support.overflow_minutes = people.billing, 10
    people.support.save()
    ticket = new_ticket(people, team=people.support)
    assert "Omar" not in reasons(routed(ticket))
    later = NOW + timedelta(minutes=10)
    come_online(people.outsider, at=later)
    decision = routed(ticket, at=later)
    assert (decision.agent, decision.team) == (people.outsider, people.support)
    assert next(one for one in decision.candidates if one["name"] == "Omar")["helps_out"]


def test_a_customer_comes_back_to_the_same_person_if_the_team_wants_it(people: Cast) -> None:
    come_online(people.agent, people.teammate)
    former = new_ticket(people, team=people.support)
    actions.assign(former, assignee=people.agent, team=people.support, by=SYSTEM, now=NOW)
    said_by(people.agent, former)

    def again() -> Ticket:
        return new_ticket(people, team=people.support, customer=former.customer)

    other = again()
    assert routed(other).agent == people.teammate
    people.support.sticky_days = 30
    people.support.save()
    third = again()
    decision = routed(third)
    assert (decision.agent, decision.tie_breaker) == (people.agent, "knows_customer"), "Theo has not answered"
    said_by(people.teammate, other, state="failed")
    assert routed(again()).agent == people.agent, "it never arrived"
    said_by(people.teammate, other, seq=3)
    assert routed(again()).agent == people.teammate
    said_by(people.agent, third)
    Ticket.objects.filter(pk=third.pk).update(assignee=None)
    assert routed(third).tie_breaker != "knows_customer", "whoever let it go does not get it back"


def said_by(agent: Agent, ticket: Ticket, **fields: Any) -> None:
    usual = {"seq": 2, "direction": "out", "author_type": "agent", "text": "Yes", "created_at": NOW}
    Message.objects.create(ticket=ticket, agent=agent, **usual | fields)


def test_nobody_gets_work_outside_their_shift(people: Cast) -> None:
    come_online(people.agent)
    Agent.objects.filter(pk=people.agent.pk).update(shift=Calendar.objects.create(name="Nights"))
    assert reasons(routed(new_ticket(people, team=people.support)))["Mina"] == "off_shift"


def test_an_offer_that_nobody_looked_at_goes_to_the_next_person(people: Cast) -> None:
    come_online(people.agent)
    people.support.accept_seconds = 60
    people.support.save()
    ticket = new_ticket(people, team=people.support)
    assert routed(ticket).agent == people.agent
    assert assign.take_back(now=NOW + timedelta(seconds=59)) == 0
    later = NOW + timedelta(seconds=60)
    come_online(people.agent, people.teammate, at=later)
    assert assign.take_back(now=later) == 1
    assert assign.drain(now=later) == 1
    ticket.refresh_from_db()
    assert ticket.assignee == people.teammate
    assert RoutingDecision.objects.filter(ticket=ticket).latest("id").tie_breaker == "had_it"
    assert Event.objects.filter(ticket=ticket, kind="assigned", particulars__cause="not_accepted").count() == 1


@pytest.mark.parametrize("how", ["read", "acted"])
def test_an_offer_that_was_looked_at_stays(people: Cast, how: str) -> None:
    come_online(people.agent)
    people.support.accept_seconds = 60
    people.support.save()
    ticket = new_ticket(people, team=people.support)
    routed(ticket)
    if how == "read":
        opened = NOW + timedelta(seconds=5)
        ReadMark.objects.create(agent=people.agent, ticket=ticket, message_id=ticket.messages.get().pk, at=opened)
        Ticket.objects.filter(pk=ticket.pk).update(last_message_id=10**6)  # the customer wrote more since
    else:
        Ticket.objects.filter(pk=ticket.pk).update(last_message_id=10**6)
        actions.set_priority(ticket, 4, by=by_agent(people.agent), now=NOW + timedelta(seconds=5))
    assert assign.take_back(now=NOW + timedelta(seconds=60)) == 0
    ticket.refresh_from_db()
    assert (ticket.assignee, ticket.accept_until) == (people.agent, None)


def test_a_look_before_the_offer_accepts_nothing(people: Cast) -> None:
    come_online(people.agent)
    people.support.accept_seconds = 60
    people.support.save()
    ticket = new_ticket(people, team=people.support)
    seen = ticket.messages.get().pk
    ReadMark.objects.create(agent=people.agent, ticket=ticket, message_id=seen, at=NOW - timedelta(minutes=1))
    Ticket.objects.filter(pk=ticket.pk).update(last_message_id=seen)
    routed(ticket)
    assert assign.take_back(now=NOW + timedelta(seconds=60)) == 1


def test_what_somebody_away_was_given_just_now_stays_as_long_as_everything_else(people: Cast) -> None:
    people.support.give_back_minutes = 30
    people.support.save()
    ticket = new_ticket(people, team=people.support)
    Agent.objects.filter(pk=people.agent.pk).update(presence="offline", presence_since=NOW - timedelta(days=1))
    actions.assign(ticket, assignee=people.agent, team=people.support, by=by_agent(people.manager), now=NOW)
    assert assign.take_back(now=NOW + timedelta(minutes=29)) == 0
    assert assign.take_back(now=NOW + timedelta(minutes=30)) == 1


@pytest.mark.parametrize("meanwhile", ["given to somebody else", "back at work"])
def test_what_changed_since_it_was_found_lying_is_not_taken_back(people: Cast, meanwhile: str) -> None:
    come_online(people.agent)
    ticket = new_ticket(people, team=people.support)
    routed(ticket)
    later = NOW + timedelta(hours=1)
    since = later - timedelta(minutes=30)
    if meanwhile == "back at work":
        come_online(people.agent, at=later)
    else:
        actions.assign(ticket, assignee=people.teammate, team=people.support, by=by_agent(people.manager), now=NOW)
    assert not assign._take_back(ticket.pk, of=people.agent.pk, since=since, now=later)
    come_online(people.agent, at=NOW)
    actions.assign(ticket, assignee=people.agent, team=people.support, by=by_agent(people.manager), now=NOW)
    assert assign._take_back(ticket.pk, of=people.agent.pk, since=since, now=later)


def test_the_work_of_somebody_who_has_gone_goes_back_and_what_waits_for_the_customer_stays(people: Cast) -> None:
    come_online(people.agent)
    people.support.give_back_minutes = 30
    people.support.save()
    waiting, answered = (new_ticket(people, team=people.support) for _n in range(2))
    for ticket in (waiting, answered):
        routed(ticket)
    Ticket.objects.filter(pk=answered.pk).update(waiting_since=None)
    gone = NOW + presence.GRACE + timedelta(minutes=30)
    assert assign.take_back(now=gone - timedelta(seconds=1)) == 0
    assert assign.take_back(now=gone) == 1
    waiting.refresh_from_db()
    answered.refresh_from_db()
    assert (waiting.assignee, waiting.team, waiting.routing_due_at) == (None, people.support, gone)
    assert answered.assignee == people.agent
    assert assign.take_back(now=gone) == 0


def switch_off(agent: Agent) -> None:
    Agent.objects.filter(pk=agent.pk).update(is_active=False)


@pytest.mark.parametrize("status", ["new", "open", "pending", "on_hold"])
def test_whoever_is_switched_off_gives_back_all_that_is_not_finished(people: Cast, status: str) -> None:
    """No team asks for it, and no customer waits."""
    ticket = new_ticket(people, team=people.support)
    Ticket.objects.filter(pk=ticket.pk).update(
        assignee=people.agent, assigned_at=NOW, status=status, waiting_since=None, routing_due_at=None
    )
    come_online(people.agent, people.teammate)
    assert assign.take_back(now=NOW) == 0
    switch_off(people.agent)
    assert assign.take_back(now=NOW) == 1
    ticket.refresh_from_db()
    assert (ticket.assignee, ticket.team, ticket.status) == (None, people.support, status)
    assert explain.decisions(ticket)[0].outcome == "Rule · Assignee: nobody · whoever had it was switched off"
    assert assign.drain(now=NOW) == 1
    ticket.refresh_from_db()
    assert ticket.assignee == people.teammate
    assert assign.take_back(now=NOW) == 0


def test_what_sleeps_goes_back_and_is_looked_at_when_it_wakes(people: Cast) -> None:
    ticket, wakes = new_ticket(people, team=people.support), NOW + timedelta(days=1)
    Ticket.objects.filter(pk=ticket.pk).update(assignee=people.agent, snoozed_until=wakes, routing_due_at=None)
    switch_off(people.agent)
    assert assign.take_back(now=NOW) == 1
    assert assign.drain(now=NOW) == 0
    ticket.refresh_from_db()
    assert (ticket.assignee, ticket.snoozed_until, ticket.routing_due_at) == (None, wakes, wakes)


@pytest.mark.parametrize("how", ["solved", "closed", "merged away"])
def test_what_is_finished_stays_with_whoever_was_switched_off(people: Cast, how: str) -> None:
    ticket, other = new_ticket(people, team=people.support), new_ticket(people, team=people.support)
    over = {"merged_into": other.pk} if how == "merged away" else {"status": how}
    Ticket.objects.filter(pk=ticket.pk).update(assignee=people.agent, routing_due_at=None, **over)
    switch_off(people.agent)
    assert assign.take_back(now=NOW) == 0
    assert not assign._release(ticket.pk, of=people.agent.pk, now=NOW), "finished since it was found"
    ticket.refresh_from_db()
    assert ticket.assignee == people.agent


@pytest.mark.parametrize("meanwhile", ["given to somebody else", "switched on again"])
def test_what_changed_since_it_was_found_with_nobody_here_stays(people: Cast, meanwhile: str) -> None:
    ticket = new_ticket(people, team=people.support)
    Ticket.objects.filter(pk=ticket.pk).update(assignee=people.agent)
    switch_off(people.agent)
    if meanwhile == "switched on again":
        Agent.objects.filter(pk=people.agent.pk).update(is_active=True)
    else:
        actions.assign(ticket, assignee=people.teammate, team=people.support, by=by_agent(people.manager), now=NOW)
    before = Ticket.objects.get(pk=ticket.pk).assignee
    assert not assign._release(ticket.pk, of=people.agent.pk, now=NOW)
    assert Ticket.objects.get(pk=ticket.pk).assignee == before


def test_many_go_back_in_parts_the_oldest_first(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next part follows at once; none of the tickets wakes a drain of its own."""
    woken = list[str]()
    monkeypatch.setattr(assign, "wake", woken.append)
    tickets = [new_ticket(people, team=people.support) for _n in range(5)]
    Ticket.objects.update(assignee=people.agent, routing_due_at=None)
    switch_off(people.agent)
    assert assign.take_back(now=NOW, limit=3) == 3
    left = Ticket.objects.filter(assignee=people.agent).order_by("id")
    assert list(left) == tickets[3:]
    assert woken == ["tickets.tasks.route"]
    assert assign.take_back(now=NOW, limit=3) == 2
    assert woken == ["tickets.tasks.route"]


def test_nothing_is_given_to_somebody_who_is_switched_off(people: Cast) -> None:
    ticket = new_ticket(people, team=people.support)
    switch_off(people.agent)
    people.agent.refresh_from_db()
    with pytest.raises(actions.NotAllowed, match="does not work here"):
        actions.assign(ticket, assignee=people.agent, team=people.support, by=by_agent(people.manager), now=NOW)
    assert Ticket.objects.get(pk=ticket.pk).assignee is None


def test_vips_come_first_then_priorities_then_the_next_breach_then_the_longest_wait(people: Cast) -> None:
    Agent.objects.filter(pk=people.agent.pk).update(capacity=5)
    wait = {name: NOW + timedelta(minutes=n) for n, name in enumerate(["plain", "older", "due", "high", "vip"])}
    tickets = {name: new_ticket(people, team=people.support, at=at) for name, at in wait.items()}
    Ticket.objects.filter(pk=tickets["older"].pk).update(waiting_since=NOW - timedelta(minutes=1))
    Ticket.objects.filter(pk=tickets["due"].pk).update(next_due_at=NOW + timedelta(hours=1))
    Ticket.objects.filter(pk=tickets["high"].pk).update(priority=3)
    Customer.objects.filter(pk=tickets["vip"].customer_id).update(tier="vip")
    later = NOW + timedelta(minutes=10)
    come_online(people.agent, at=later)
    Ticket.objects.update(routing_due_at=later)
    assert assign.drain(now=later) == 5
    order = RoutingDecision.objects.order_by("id").values_list("ticket", flat=True)
    assert [next(name for name, one in tickets.items() if one.pk == pk) for pk in order] == [
        "vip", "high", "due", "older", "plain",
    ]  # fmt: skip


def test_a_long_queue_is_looked_at_once_when_nobody_is_there(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []
    real = choice.choose
    monkeypatch.setattr(choice, "choose", lambda there, **facts: looked.append(facts) or real(there, **facts))
    tickets = [new_ticket(people, team=people.support) for _n in range(6)]
    assert assign.drain(now=NOW) == 6
    looked.clear()
    later = NOW + assign.LOOK_AGAIN
    assert assign.drain(now=later) == 0
    assert len(looked) == 1
    due = set(Ticket.objects.filter(pk__in=[one.pk for one in tickets]).values_list("routing_due_at", flat=True))
    assert due == {later + assign.LOOK_AGAIN}
    assert assign.drain(now=later) == 0
