"""A visitor who waits for a person is told where they stand, and nothing of anybody else."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from agents import presence
from agents.models import Agent, Calendar
from channels_in.webchat.fake import FakeVisitor
from tests.channels_in.webchat.conftest import call_with
from tests.channels_in.webchat.test_socket import open_socket, until  # noqa: F401
from tickets import actions
from tickets.models import Channel, Ticket
from tickets.models.event import SYSTEM
from tickets.routing import assign

SAID = {"type", "conversation", "position", "within", "closed", "opens_at"}


@pytest.fixture
def desk(cast, work):
    """Mina is online and may have one chat. `write(visitor)` gets it to routing and gives the ticket."""
    Channel.objects.filter(pk=cast.webchat.pk).update(team=cast.support)
    Agent.objects.filter(pk=cast.agent.pk).update(capacity=1)
    now = timezone.now()
    presence.set_presence(cast.agent, Agent.Presence.ONLINE, now=now)

    def write(visitor, text="hello"):
        visitor.writes(text)
        work()
        assign.drain(now=timezone.now())
        return Ticket.objects.order_by("-pk").first()

    return write


@pytest.fixture
def third(cast):
    return FakeVisitor(cast.webchat.slug, call=call_with(Client(REMOTE_ADDR="127.0.0.3")))


def place(visitor):
    """What the visitor was told last of their place in this round, or None."""
    told = [event for event in visitor.hears() if event["type"] == "queue"]
    assert all(set(event) == SAID for event in told)
    return told[-1] if told else None


def test_who_waits_hears_their_place_and_moves_up(cast, desk, visitor, another, third):
    first = desk(visitor, "I am with Mina")
    assert first.assignee == cast.agent and place(visitor) is None
    desk(another)
    desk(third)
    assert (place(another)["position"], place(third)["position"]) == (1, 2)
    actions.solve(first, by=SYSTEM, now=timezone.now())
    assign.drain(now=timezone.now())
    assert place(another) is None  # Mina has it now
    assert place(third)["position"] == 1


def test_nothing_of_other_customers_is_in_it(cast, desk, visitor, another):
    desk(visitor, "CANARY of another customer")
    desk(another)
    said = place(another)
    assert said["position"] == 1
    assert "CANARY" not in json.dumps(another.seen) and said["conversation"] == another.lines()[0]["conversation"]


def test_where_nobody_is_online_no_number_is_told(cast, desk, visitor):
    Agent.objects.update(presence="offline")
    desk(visitor)
    said = place(visitor)
    assert (said["position"], said["within"], said["closed"]) == (None, None, False)


def test_out_of_hours_the_visitor_hears_when_somebody_is_there(cast, desk, visitor):
    now = datetime.now(UTC)
    office = Calendar.objects.create(name="Office", time_zone="UTC")
    day = now + timedelta(days=2)
    office.windows.create(weekday=day.weekday(), opens="09:00", closes="10:00")
    cast.support.calendar = office
    cast.support.save(update_fields=["calendar"])
    Agent.objects.update(presence="offline")
    desk(visitor)
    said = place(visitor)
    assert said["closed"] is True and said["position"] is None
    assert datetime.fromisoformat(said["opens_at"]) == day.replace(hour=9, minute=0, second=0, microsecond=0)


def test_a_socket_hears_that_the_line_has_moved(cast, desk, visitor, another, third, open_socket):  # noqa: F811
    first = desk(visitor)
    desk(another)
    desk(third)
    socket = open_socket(third)
    assert until(socket, "queue")["position"] == 2
    actions.solve(first, by=SYSTEM, now=timezone.now())
    assign.drain(now=timezone.now())
    while (said := until(socket, "queue"))["position"] == 2:  # what is caught up again says it again
        pass
    assert said["position"] == 1
