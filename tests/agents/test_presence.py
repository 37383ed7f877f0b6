"""Who is at work: what they chose, whether a screen of theirs is open, and whether anybody sits at it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents import presence
from agents.models import Agent
from tests.cast import Cast, assemble
from tests.workspace import scene
from tickets.models import Ticket
from tickets.routing import assign

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


@pytest.fixture
def people() -> Cast:
    return assemble()


def there(agent: Agent, *, quiet_for: timedelta | None, now: datetime = NOW) -> Agent:
    """Online, with a screen that beats, and a last key so long ago; None: nobody tells of keys."""
    presence.set_presence(agent, Agent.Presence.ONLINE, now=now - timedelta(hours=3))
    heard = None if quiet_for is None else now - quiet_for
    Agent.objects.filter(pk=agent.pk).update(seen_at=now, active_at=heard)
    agent.refresh_from_db()
    return agent


@pytest.mark.parametrize(
    ("quiet", "minutes", "shown"),
    [
        (timedelta(minutes=9), 10, "online"),
        (timedelta(minutes=11), 10, "away"),
        (timedelta(minutes=11), 30, "online"),
        (timedelta(days=2), 0, "online"),
        (None, 10, "online"),
    ],
)
def test_who_does_nothing_is_away_and_out_of_routings_reach(
    people: Cast, settings: Any, quiet: timedelta | None, minutes: int, shown: str
) -> None:
    settings.IDLE_MINUTES = minutes
    agent = there(people.agent, quiet_for=quiet)
    assert presence.shown(agent, now=NOW) == shown
    assert (agent in presence.online(now=NOW)) == (shown == "online")
    assert agent.presence == "online", "their own choice stays"


def test_what_somebody_chose_stays_what_it_is(people: Cast) -> None:
    agent = there(people.agent, quiet_for=timedelta(hours=1))
    presence.set_presence(agent, Agent.Presence.BUSY, now=NOW)
    agent.refresh_from_db()
    assert presence.shown(agent, now=NOW) == "busy" and not presence.is_idle(agent, now=NOW + timedelta(hours=1))
    presence.set_presence(agent, Agent.Presence.ONLINE, now=NOW)
    agent.refresh_from_db()
    assert presence.shown(agent, now=NOW) == "online", "to choose is to be there"


def test_a_ticket_waits_for_the_first_key_of_whoever_is_idle(
    people: Cast, django_capture_on_commit_callbacks: Any
) -> None:
    now = timezone.now()
    agent = there(people.agent, quiet_for=timedelta(minutes=30), now=now)
    asked = scene.says(people.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=now).ticket
    Ticket.objects.filter(pk=asked.pk).update(team=people.support, assignee=None, routing_due_at=now)
    decision = assign.assign(asked.pk, now=now)
    assert decision is not None and decision.agent is None
    assert [one["skipped"] for one in decision.candidates if one["name"] == "Mina"] == ["away"]
    client = Client()
    client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post("/me/activity/").status_code == 204
    agent.refresh_from_db()
    assert presence.shown(agent, now=timezone.now()) == "online"
    assign.drain(now=timezone.now())
    asked.refresh_from_db()
    assert asked.assignee == agent


def test_the_board_says_why_somebody_is_away_and_since_when(people: Cast) -> None:
    now = timezone.now()
    agent = there(people.agent, quiet_for=timedelta(minutes=30), now=now)
    client = Client()
    client.force_login(people.manager, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get("/board/")
    [row] = [row for row in page.context["board"].people if row.agent == agent]
    assert (row.state, str(row.label), row.since) == ("away", "Away, idle", agent.active_at)
    assert b"Away, idle" in page.content
