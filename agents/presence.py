"""Who is at work. What they chose is stored; whether a screen of theirs is open is its last heartbeat.

To wrap up is to be online and to take nothing new for some minutes: it ends by itself, or with any choice of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Q, QuerySet, When

from agents.models import Agent, AuditEntry, Team

GRACE = timedelta(seconds=90)  # a lost socket, a reload, a tunnel: still there
USUAL_WRAP_UP = 5  # minutes, of those who ask for it and whose teams name none


def set_presence(agent: Agent, presence: str, *, now: datetime) -> bool:
    """Their own choice of online, away, busy or offline; it ends a wrap-up. True when it changed."""
    active = Case(When(active_at__isnull=False, then=now))  # where that is told at all
    with transaction.atomic():
        changed = (
            Agent.objects.filter(pk=agent.pk)
            .exclude(~Q(wrap_up_until__gt=now), presence=presence)
            .update(
                presence=presence,
                presence_since=now,
                seen_at=now,
                active_at=active,
                wrap_up_since=None,
                wrap_up_until=None,
            )
        )
        if changed:
            facts = {"from": chosen(agent, now=now), "to": presence}
            AuditEntry.write("presence", actor=agent, target=agent, facts=facts)
    if changed:
        agent.presence, agent.presence_since = presence, now
        agent.wrap_up_since = agent.wrap_up_until = None
    agent.seen_at = now
    return bool(changed)


@transaction.atomic
def wrap_up(agent: Agent, *, minutes: int, now: datetime) -> bool:
    """Nothing new for so many minutes from now on, for one who is online. True when that is later than before."""
    locked = Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
    before = chosen(locked, now=now)
    until = now + timedelta(minutes=minutes)
    if locked.presence != Agent.Presence.ONLINE or (locked.wrap_up_until or now) >= until:
        return False
    agent.wrap_up_since = locked.wrap_up_since if before == Agent.Presence.WRAP_UP else now
    agent.wrap_up_until = until
    agent.save(update_fields=["wrap_up_since", "wrap_up_until"])
    facts = {"from": before, "to": Agent.Presence.WRAP_UP, "until": until.isoformat()}
    AuditEntry.write("presence", actor=agent, target=agent, facts=facts)
    return True


def usual_wrap_up(agent: Agent) -> int:
    """Minutes for one who asks for it: the longest that a team of theirs gives."""
    named = Team.objects.filter(memberships__agent=agent, wrap_up_minutes__gt=0)
    return named.order_by("-wrap_up_minutes").values_list("wrap_up_minutes", flat=True).first() or USUAL_WRAP_UP


@transaction.atomic
def take_back_wrap_up(agent_id: int, *, since: datetime, now: datetime) -> bool:
    """What began it was undone. One that had begun before goes on."""
    agent = Agent.objects.filter(pk=agent_id, wrap_up_since=since, wrap_up_until__gt=now).first()
    return agent is not None and set_presence(agent, agent.presence, now=now)


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


class LookedAt(Exception):
    """Routing looks at them at this moment: what they do is told again."""


@transaction.atomic
def note_activity(agent: Agent, *, now: datetime) -> bool:
    """They press, type or scroll somewhere. True when they were idle before, so that the queue should be looked at.

    Raises LookedAt: nobody who types waits for routing, which locks whole teams.
    """
    free = Agent.objects.filter(pk=agent.pk).select_for_update(skip_locked=True, no_key=True)
    if not Agent.objects.filter(pk__in=free.values("pk")).update(active_at=now):
        raise LookedAt
    return is_idle(agent, now=now)


def is_idle(agent: Agent, *, now: datetime) -> bool:
    """Online by their own word, and nothing was heard of them for so long that they are away: until the next key."""
    quiet = _idle_since(now=now)
    return (
        chosen(agent, now=now) == Agent.Presence.ONLINE
        and quiet is not None
        and agent.active_at is not None
        and agent.active_at < quiet
    )


def _idle_since(*, now: datetime) -> datetime | None:
    return now - timedelta(minutes=settings.IDLE_MINUTES) if settings.IDLE_MINUTES else None


def shown(agent: Agent, *, now: datetime) -> str:
    """Their presence as others see it: offline once no screen of theirs has been heard of for the grace time, away while
    nobody sits at it."""
    if agent.seen_at is None or agent.seen_at < now - GRACE:
        return Agent.Presence.OFFLINE
    return Agent.Presence.AWAY if is_idle(agent, now=now) else chosen(agent, now=now)


def chosen(agent: Agent, *, now: datetime) -> str:
    """Their presence as they see it themselves: what they chose, or that they wrap up."""
    wraps_up = agent.wrap_up_until is not None and agent.wrap_up_until > now
    return Agent.Presence.WRAP_UP if wraps_up and agent.presence == Agent.Presence.ONLINE else agent.presence


def since(agent: Agent, *, now: datetime) -> datetime | None:
    """From when on it is so, what is `shown`. None for one who has never been there."""
    state = shown(agent, now=now)
    if state == Agent.Presence.WRAP_UP:
        return agent.wrap_up_since
    if state != agent.presence:
        return agent.active_at if state == Agent.Presence.AWAY else agent.seen_at
    return max(agent.presence_since, agent.wrap_up_until or agent.presence_since)


def reachable(*, now: datetime) -> Q:
    """The condition on Agent for those who take new tickets, now or as soon as they have wrapped up."""
    there = Q(is_active=True, is_bot=False, presence=Agent.Presence.ONLINE, seen_at__gte=now - GRACE)
    quiet = _idle_since(now=now)
    return there & (Q(active_at__isnull=True) | Q(active_at__gte=quiet)) if quiet else there


def online(*, now: datetime) -> QuerySet[Agent]:
    return Agent.objects.filter(reachable(now=now)).order_by("name", "id")


def gone_since(moment: datetime, *, now: datetime) -> QuerySet[Agent]:
    """Those who have been offline from `moment` on: they said so, or no screen of theirs was heard of any more."""
    left = Q(presence=Agent.Presence.OFFLINE, presence_since__lte=moment)
    silent = Q(seen_at__isnull=True) | Q(seen_at__lte=min(moment, now) - GRACE)
    return Agent.objects.filter(left | silent | Q(is_active=False), is_bot=False)
