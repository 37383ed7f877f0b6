"""After a chat its agent has a moment: nothing new comes until it ends, by itself or by one press."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from agents import presence
from agents.models import Agent, AuditEntry
from tests import cast
from tests.cast import Cast
from tests.tickets.test_routing import NOW, come_online, new_ticket
from tickets import actions, board
from tickets.access import visibility_of
from tickets.models import Outbox, Ticket
from tickets.models.event import CUSTOMER, SYSTEM, by_agent
from tickets.routing import assign, explain, wrapping

pytestmark = pytest.mark.django_db
TWO = timedelta(minutes=2)


@pytest.fixture
def people() -> Cast:
    people = cast.assemble()
    people.support.wrap_up_minutes = 2
    people.support.save()
    come_online(people.agent)
    return people


@pytest.fixture
def committed(django_capture_on_commit_callbacks: Any) -> Any:
    return lambda: django_capture_on_commit_callbacks(execute=True)


def chat(people: Cast, **fields: Any) -> Ticket:
    return new_ticket(people, **({"team": people.support, "assignee": people.agent, "status": "open"} | fields))


def shown(agent: Agent, *, at: datetime = NOW) -> str:
    agent.refresh_from_db()
    return presence.shown(agent, now=at)


def test_nothing_new_comes_for_two_minutes_and_the_decision_says_why(people: Cast, committed: Any) -> None:
    with committed():
        actions.solve(chat(people), by=by_agent(people.agent), now=NOW)
    assert shown(people.agent) == "wrap_up"
    waiting = new_ticket(people, team=people.support)
    decision = assign.assign(waiting.pk, now=NOW)
    assert decision is not None and decision.outcome == "queued"
    assert [one["skipped"] for one in decision.candidates if one["agent"] == people.agent.pk] == ["wrap_up"]
    told = {one.name: one.reason for one in explain.decisions(waiting)[0].candidates}
    assert told[people.agent.name] == "wrapping up after a chat"

    presence.heartbeat(people.agent, now=NOW + TWO)
    assert shown(people.agent, at=NOW + TWO) == "online", "it ends by itself"
    assign.drain(now=NOW + TWO)
    waiting.refresh_from_db()
    assert waiting.assignee == people.agent


def test_one_press_ends_it(people: Cast, committed: Any) -> None:
    with committed():
        actions.solve(chat(people), by=by_agent(people.agent), now=NOW)
    people.agent.refresh_from_db()
    assert presence.set_presence(people.agent, Agent.Presence.ONLINE, now=NOW + timedelta(seconds=30))
    assert shown(people.agent, at=NOW + timedelta(seconds=30)) == "online"
    told = [entry.facts for entry in AuditEntry.objects.filter(kind="presence", actor=people.agent).order_by("id")]
    assert told[1:] == [
        {"from": "online", "to": "wrap_up", "until": (NOW + TWO).isoformat()},
        {"from": "wrap_up", "to": "online"},
    ]


@pytest.mark.parametrize("who", ["agent", "customer"])
def test_it_begins_when_the_conversation_ends_for_its_agent(people: Cast, committed: Any, who: str) -> None:
    by = by_agent(people.agent) if who == "agent" else CUSTOMER
    with committed():
        actions.solve(chat(people), by=by, now=NOW)
    assert shown(people.agent) == "wrap_up"


def test_handing_on_begins_it_too(people: Cast, committed: Any) -> None:
    with committed():
        actions.assign(chat(people), assignee=people.teammate, team=people.support, by=by_agent(people.agent), now=NOW)
    assert (shown(people.agent), shown(people.teammate)) == ("wrap_up", "offline")


@pytest.mark.parametrize("case", ["mail", "colleague", "system", "no minutes", "moved by another", "away", "pending"])
def test_it_does_not_begin(people: Cast, committed: Any, case: str) -> None:
    ticket, by, status = chat(people), by_agent(people.agent), "solved"
    match case:
        case "mail":
            Ticket.objects.filter(pk=ticket.pk).update(last_channel=people.email)
        case "colleague":
            by = by_agent(people.teammate)
        case "system":
            by = SYSTEM
        case "no minutes":
            people.support.wrap_up_minutes = 0
            people.support.save()
        case "away":
            presence.set_presence(people.agent, Agent.Presence.AWAY, now=NOW)
        case "pending":
            status = "pending"
    with committed():
        if case == "moved by another":
            actions.assign(ticket, assignee=people.teammate, team=people.support, by=by_agent(people.manager), now=NOW)
        else:
            actions.set_status(ticket, status, by=by, now=NOW)
    assert shown(people.agent) == ("away" if case == "away" else "online")


def test_undo_takes_it_back_but_not_one_that_had_begun_before(people: Cast, committed: Any) -> None:
    first, second = chat(people), chat(people)
    soon = NOW + timedelta(seconds=5)
    with committed():
        solved = actions.solve(first, by=by_agent(people.agent), now=NOW)
    with committed():
        actions.undo_status(first, event=solved, by=by_agent(people.agent), now=soon)
    assert shown(people.agent, at=soon) == "online"

    with committed():
        actions.solve(first, by=by_agent(people.agent), now=soon)
    with committed():
        solved = actions.solve(second, by=by_agent(people.agent), now=soon + timedelta(seconds=5))
    with committed():
        actions.undo_status(second, event=solved, by=by_agent(people.agent), now=soon + timedelta(seconds=8))
    assert shown(people.agent, at=soon + timedelta(seconds=8)) == "wrap_up"


def test_what_is_owed_is_settled_before_routing_gives_anything(people: Cast) -> None:
    """The process died after the commit, say: nothing of it ran."""
    actions.solve(chat(people), by=by_agent(people.agent), now=NOW)
    assert shown(people.agent) == "online"
    waiting = new_ticket(people, team=people.support)
    assign.drain(now=NOW + timedelta(seconds=1))
    waiting.refresh_from_db()
    assert (shown(people.agent), waiting.assignee) == ("wrap_up", None)
    assert people.agent.wrap_up_until == NOW + TWO, "it counts from the end of the chat"
    assert not Outbox.objects.filter(kind=wrapping.OWED).exists()


@pytest.mark.parametrize("case", ["undone", "over", "chose anew"])
def test_what_is_settled_late_minds_what_has_happened_since(people: Cast, case: str) -> None:
    solved, later = actions.solve(chat(people), by=by_agent(people.agent), now=NOW), NOW + timedelta(seconds=5)
    assert solved is not None
    match case:
        case "undone":
            wrapping.undo(solved, now=later)
        case "over":
            later = NOW + TWO
        case "chose anew":
            presence.set_presence(people.agent, Agent.Presence.AWAY, now=later)
            presence.set_presence(people.agent, Agent.Presence.ONLINE, now=later)
    presence.heartbeat(people.agent, now=later)
    wrapping.settle(now=later)
    assert shown(people.agent, at=later) == "online"
    assert not Outbox.objects.filter(kind=wrapping.OWED).exists()


@pytest.mark.django_db(transaction=True)
def test_who_solves_a_chat_does_not_wait_for_routing(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which holds the agent's lock at that moment; the next one that it looks for goes to nobody who wraps up."""
    woken = list[str]()
    monkeypatch.setattr(wrapping, "wake", woken.append)
    talk, waiting = chat(people), new_ticket(people, team=people.support)
    held, done = Event(), Event()

    def route() -> None:
        try:
            with transaction.atomic():
                list(Agent.objects.select_for_update(no_key=True).filter(pk=people.agent.pk))
                held.set()
                done.wait(20)
        finally:
            connection.close()

    routing = Thread(target=route)
    routing.start()
    try:
        assert held.wait(20)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '3s'")
        actions.solve(talk, by=by_agent(people.agent), now=NOW)
        assert (shown(people.agent), woken) == ("online", ["tickets.tasks.route"])
    finally:
        done.set()
        routing.join()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    assign.drain(now=NOW + timedelta(seconds=1))
    waiting.refresh_from_db()
    assert (shown(people.agent), waiting.assignee) == ("wrap_up", None)


def test_a_longer_one_is_not_cut_short(people: Cast) -> None:
    assert presence.wrap_up(people.agent, minutes=10, now=NOW)
    assert not presence.wrap_up(people.agent, minutes=2, now=NOW + timedelta(minutes=1))
    assert shown(people.agent, at=NOW + timedelta(minutes=1)) == "wrap_up"
    assert people.agent.wrap_up_until == NOW + timedelta(minutes=10)


def test_the_board_says_until_when(people: Cast) -> None:
    presence.wrap_up(people.agent, minutes=2, now=NOW)
    read = board.read(visibility_of(people.manager), now=NOW)
    (row,) = [row for row in read.people if row.agent == people.agent]
    assert (row.state, row.label, row.since, row.until) == ("wrap_up", "Wrapping up", NOW, NOW + TWO)
    assert read.online == 0


def test_the_menu_begins_it_by_hand_and_the_button_ends_it(people: Cast) -> None:
    screen = Client()
    screen.force_login(people.teammate)
    before = timezone.now()
    page = screen.post("/me/presence/", {"presence": "wrap_up"}).content.decode()
    assert "Nothing new until" in page and "load delay:120s" in page
    people.teammate.refresh_from_db()
    assert people.teammate.presence == "online" and people.teammate.wrap_up_until >= before + TWO
    assert "Nothing new until" in screen.get("/me/presence/").content.decode()
    assert "Nothing new until" not in screen.post("/me/presence/", {"presence": "online"}).content.decode()
    assert shown(people.teammate, at=timezone.now()) == "online"
