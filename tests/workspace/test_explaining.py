"""Why a ticket is where it is: the stored decision in words, and what its clocks did."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import presence
from agents.models import Agent
from tests.workspace import scene
from tickets import actions
from tickets.models import RoutingDecision, Rule, SlaPolicy, SlaTarget, Ticket
from tickets.models.event import by_agent
from tickets.routing import assign, explain

FRAGMENT = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def policy(db):
    policy = SlaPolicy.objects.create(name="Standard", pauses_in=["pending"])
    SlaTarget.objects.create(policy=policy, metric="resolution", priority=2, seconds=3600, business=False)
    return policy


@pytest.fixture
def ticket(cast, now, policy):
    """Two rules are tried; Theo is online, Mina is away."""
    for position, word in enumerate(["refund", "parcel"]):
        Rule.objects.create(
            name=word.title(), position=position, conditions={"field": "text", "op": "contains", "value": [word]},
            actions=[{"do": "tags", "add": [word]}, {"do": "team", "team": cast.support.pk}], stop=True,
        )  # fmt: skip
    presence.set_presence(cast.teammate, Agent.Presence.ONLINE, now=now)
    presence.set_presence(cast.agent, Agent.Presence.AWAY, now=now)
    said = scene.says(
        cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Where is my parcel?", at=now - timedelta(minutes=20)
    )
    assign.assign(said.ticket.pk, now=now)
    return Ticket.objects.get(pk=said.ticket.pk)


def test_a_stored_decision_is_told_rule_by_rule_and_person_by_person(ticket, cast):
    (told,) = explain.decisions(ticket)
    refund, parcel = told.steps
    assert (refund.matched, parcel.matched) == (False, True)
    assert "refund" in refund.note
    assert "parcel" in parcel.note and "No further rules" in parcel.note
    assert told.team == cast.support.name
    reasons = {one.name: (one.reason, one.chosen) for one in told.candidates}
    assert reasons[cast.teammate.name] == ("", True)
    assert reasons[cast.agent.name] == ("away", False)
    assert cast.teammate.name in told.outcome


def test_a_decision_is_told_as_it_was_stored_whatever_changed_since(ticket, cast):
    before = explain.decisions(ticket)
    Rule.objects.update(name="Renamed", conditions={})
    Agent.objects.update(capacity=0)
    assert explain.decisions(ticket) == before


@pytest.mark.parametrize(
    ("candidates", "words"),
    [
        ([], "has no members"),
        ([{"agent": 1, "name": "A", "skipped": "at_capacity"}], "as many as they may"),
        ([{"agent": 1, "name": "A", "skipped": "away"}, {"agent": 2, "name": "B", "skipped": "at_capacity"}], "comes online"),
        ([{"agent": 1, "name": "A", "skipped": "others_first"}, {"agent": 2, "name": "B", "skipped": "light"}], "as many as they may"),
    ],
)  # fmt: skip
def test_a_waiting_ticket_says_what_would_release_it(ticket, cast, now, candidates, words):
    Ticket.objects.filter(pk=ticket.pk).update(assignee=None, routing_due_at=now)
    RoutingDecision.objects.create(
        ticket=ticket, trigger="queue", outcome="queued", team=cast.support, candidates=candidates, at=now
    )
    assert words in explain.still_waiting(Ticket.objects.get(pk=ticket.pk), now=now)


def test_nobody_asks_why_an_assigned_ticket_waits(ticket, now):
    assert explain.still_waiting(ticket, now=now) == ""


def test_a_rule_that_wants_none_of_something_says_what_was_there(ticket, cast, now):
    Rule.objects.all().delete()
    without = {"all": [{"none": [{"field": "tag", "op": "has", "value": ["parcel"]}]}]}
    Rule.objects.create(name="Others", conditions=without, actions=[{"do": "priority", "priority": 3}])
    RoutingDecision.objects.all().delete()
    Ticket.objects.filter(pk=ticket.pk).update(routing_due_at=now)
    assign.assign(ticket.pk, now=now)
    (told,) = [one for one in explain.decisions(ticket) if one.steps]
    assert told.steps[0].note == "Did not hold: none of: Tags has parcel"


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
def test_the_drawer_and_the_page_show_decisions_and_clocks(mina, ticket, cast, now, headers):
    actions.set_status(ticket, "pending", by=by_agent(cast.agent), now=now - timedelta(minutes=10))
    shown = mina.get(f"/tickets/{ticket.pk}/explanation/", **headers).content.decode()
    for words in ("Why here?", "Parcel, version 1", cast.teammate.name, "Paused", "Standard", 'data-kind="paused"'):
        assert words in shown


def test_the_clocks_of_merged_tickets_say_where_the_promise_is_kept(mina, ticket, cast, now):
    younger = scene.says(cast.sms, scene.sender("Yuna", phone="+821033334444"), "Hello", at=now).ticket
    actions.assign(younger, assignee=cast.agent, team=cast.support, by=by_agent(cast.agent), now=now)
    actions.merge(ticket, into=younger, by=by_agent(cast.agent), now=now)
    shown = mina.get(f"/tickets/{younger.pk}/explanation/", **FRAGMENT).content.decode()
    assert "promised on a ticket that was merged into this one" in shown
    assert "kept by another clock" in shown


def test_who_may_not_see_the_ticket_gets_no_explanation(sign_in, ticket, cast):
    assert sign_in(cast.outsider).get(f"/tickets/{ticket.pk}/explanation/").status_code == 404


def test_more_decisions_and_clocks_cost_no_more_queries(mina, ticket, cast, now):
    def count():
        url = f"/tickets/{ticket.pk}/explanation/"
        mina.get(url, **FRAGMENT)
        with CaptureQueriesContext(connection) as seen:
            assert mina.get(url, **FRAGMENT).status_code == 200
        return len(seen)

    few = count()
    for n in range(5):
        for status in ("solved", "open"):
            actions.set_status(ticket, status, by=by_agent(cast.agent), now=now + timedelta(minutes=n))
        RoutingDecision.objects.create(ticket=ticket, trigger="again", outcome="kept", agent=cast.agent, at=now)
    assert count() <= few


def test_the_command_prints_every_decision(ticket, cast):
    out = StringIO()
    call_command("routing_explain", str(ticket.number), stdout=out)
    printed = out.getvalue()
    assert "✗ Refund, version 1" in printed
    assert f"● {cast.teammate.name}" in printed
    with pytest.raises(CommandError):
        call_command("routing_explain", "999999")
