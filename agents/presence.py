"""Who is at work. What they chose is stored; whether a screen of theirs is open is its last heartbeat."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from agents.models import Agent, AuditEntry

GRACE = timedelta(seconds=90)  # a lost socket, a reload, a tunnel: still there


def set_presence(agent: Agent, presence: str, *, now: datetime) -> bool:
    """Their own choice of online, away, busy or offline. True when it changed."""
    with transaction.atomic():
        changed = (
            Agent.objects.filter(pk=agent.pk)
            .exclude(presence=presence)
            .update(presence=presence, presence_since=now, seen_at=now)
        )
        if changed:
            AuditEntry.write("presence", actor=agent, target=agent, facts={"from": agent.presence, "to": presence})
    if changed:
        agent.presence, agent.presence_since = presence, now
    agent.seen_at = now
    return bool(changed)


def heartbeat(agent: Agent, *, now: datetime) -> bool:
    """A screen of theirs is open. True when they were out of reach before, so that the queue should be looked at."""
    before = Agent.objects.filter(pk=agent.pk).values_list("seen_at", flat=True).first()
    note_seen([agent.pk], now=now)
    return before is None or before < now - GRACE


@transaction.atomic
def note_seen(agent_ids: Iterable[int], *, now: datetime) -> None:
    """Screens of theirs are open. Routing locks agents in an order of its own: nobody waits for it here, whoever it looks
    at right now is noted by the next heartbeat."""
    free = Agent.objects.filter(pk__in=agent_ids).select_for_update(skip_locked=True, no_key=True)
    Agent.objects.filter(pk__in=free.values("pk")).update(seen_at=now)


def shown(agent: Agent, *, now: datetime) -> str:
    """Their presence as others see it: offline once no screen of theirs has been heard of for the grace time."""
    if agent.seen_at is None or agent.seen_at < now - GRACE:
        return Agent.Presence.OFFLINE
    return agent.presence


def reachable(*, now: datetime) -> Q:
    """The condition on Agent for those who take new tickets."""
    return Q(is_active=True, is_bot=False, presence=Agent.Presence.ONLINE, seen_at__gte=now - GRACE)


def online(*, now: datetime) -> QuerySet[Agent]:
    return Agent.objects.filter(reachable(now=now)).order_by("name", "id")


def gone_since(moment: datetime, *, now: datetime) -> QuerySet[Agent]:
    """Those who have been offline from `moment` on: they said so, or no screen of theirs was heard of any more."""
    left = Q(presence=Agent.Presence.OFFLINE, presence_since__lte=moment)
    silent = Q(seen_at__isnull=True) | Q(seen_at__lte=min(moment, now) - GRACE)
    return Agent.objects.filter(left | silent | Q(is_active=False), is_bot=False)
