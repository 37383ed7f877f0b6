"""Who follows a ticket: its assignee, and everybody who chose to or whom a note named. They are told of what happens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from agents.models import Agent
from tickets import actions, live
from tickets.models import Event, Follower, Ticket
from tickets.models.event import Actor


def followers_of(ticket: Ticket) -> QuerySet[Agent]:
    """By name. Whether one may see the ticket is asked when they are told (`access`)."""
    chosen = Follower.objects.filter(ticket=ticket).values("agent")
    return Agent.objects.filter(Q(pk__in=chosen) | Q(pk=ticket.assignee_id), is_active=True).order_by("name", "pk")


def follows(ticket: Ticket, agent: Agent) -> bool:
    return ticket.assignee_id == agent.pk or Follower.objects.filter(ticket=ticket, agent=agent).exists()


@transaction.atomic
def follow(ticket: Ticket, agents: Iterable[Agent], *, by: Actor, now: datetime) -> Event | None:
    """They follow from now on. None when all did already."""
    locked = actions.lock(ticket.pk)
    wanted = {agent.pk for agent in agents}
    fresh = wanted - set(Follower.objects.filter(ticket=locked, agent__in=wanted).values_list("agent", flat=True))
    if not fresh:
        return None
    Follower.objects.bulk_create(Follower(ticket=locked, agent_id=pk, since=now) for pk in sorted(fresh))
    event = locked.record("followers_changed", by=by, now=now, added=sorted(fresh), removed=[])
    live.announce(event)
    return event


@transaction.atomic
def unfollow(ticket: Ticket, agents: Iterable[Agent], *, by: Actor, now: datetime) -> Event | None:
    """They follow no longer. The assignee is still told of their own ticket."""
    locked = actions.lock(ticket.pk)
    leaving = Follower.objects.filter(ticket=locked, agent__in=[agent.pk for agent in agents])
    gone = sorted(leaving.values_list("agent", flat=True))
    if not gone:
        return None
    leaving.delete()
    event = locked.record("followers_changed", by=by, now=now, added=[], removed=gone)
    live.announce(event)
    return event
