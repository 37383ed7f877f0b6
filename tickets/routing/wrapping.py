"""A moment after a chat in which its agent takes nothing new: the team says for how long.

It begins when the conversation of an agent is solved, by them or by its customer, or when they hand it on themselves; not
when others move their work. Mails give none: nobody waits in them.

It is owed in the transaction of that event, as an outbox row, and settled after the commit. Routing locks whole teams:
where it looks at the agent at that moment, nobody waits for it; it settles what is owed itself before it looks for the
next ticket to give.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from agents import presence
from agents.models import Agent, Team
from tickets import live
from tickets.channels import UnknownKind, capabilities_of
from tickets.models import Event, Outbox, Ticket
from tickets.routing.people import WORKED_ON
from tickets.wake import wake

log = logging.getLogger(__name__)

OWED = "wrap_up"  # the kind of the outbox rows


def begin(ticket: Ticket, event: Event | None, *, now: datetime) -> None:
    """After this event of the ticket. Waits for nobody."""
    agent_id, team_id = _left(ticket, event) if event else (None, None)
    if agent_id is None or team_id is None or not _is_chat(ticket):
        return
    minutes = Team.objects.filter(pk=team_id).values_list("wrap_up_minutes", flat=True).first()
    if minutes:
        _owe(agent_id, {"minutes": minutes, "at": now.isoformat()}, now=now)


def undo(event: Event, *, now: datetime) -> None:
    """The event is taken back, and so is the wrap-up that it began. Waits for nobody."""
    if (agent_id := event.actor_id) is not None:
        _owe(agent_id, {"undo": event.at.isoformat()}, now=now)


def settle(*, now: datetime) -> None:
    """What is owed to those who can be locked at this moment. One who cannot is left to the next time."""
    for agent_id in sorted(set(_owed().values_list("payload__agent", flat=True))):
        try:
            _settle(agent_id, now=now)
        except Exception:
            log.exception("the wrap-up of agent %s is tried again", agent_id)


def _left(ticket: Ticket, event: Event) -> tuple[int | None, int | None]:
    """(agent, team) of a conversation that has come to its end for the agent; (None, None) for anything else."""
    if event.kind == "solved" and (event.actor_id == ticket.assignee_id or event.actor_type == "customer"):
        return ticket.assignee_id, ticket.team_id
    before = _before(event)
    handed_on = event.kind == "assigned" and event.actor_id == before.get("assignee") != ticket.assignee_id
    return (event.actor_id, before.get("team")) if handed_on and ticket.status in WORKED_ON else (None, None)


def _before(event: Event) -> dict[str, int | None]:
    before = event.particulars.get("from")
    return before if isinstance(before, dict) else {}


def _is_chat(ticket: Ticket) -> bool:
    channel = ticket.last_channel or ticket.first_channel
    try:
        return channel is not None and capabilities_of(channel.kind).chatlike
    except UnknownKind:
        return False


def _owed() -> QuerySet[Outbox]:
    """All of it, by the index of what waits: the outbox is long."""
    return Outbox.objects.filter(kind=OWED, shard_key=OWED, state=Outbox.State.QUEUED)


def _owe(agent_id: int, what: Mapping[str, Any], *, now: datetime) -> None:
    payload = {"agent": agent_id, **what}
    Outbox.objects.create(kind=OWED, shard_key=OWED, payload=payload, next_attempt_at=now)
    transaction.on_commit(lambda: _at_once(agent_id, now=now), robust=True)


def _at_once(agent_id: int, *, now: datetime) -> None:
    if not _settle(agent_id, now=now):
        wake("tickets.tasks.route")


@transaction.atomic
def _settle(agent_id: int, *, now: datetime) -> bool:
    """In the order in which it came, which the agent's lock keeps. False where somebody else holds that."""
    agent = Agent.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=agent_id).first()
    if agent is None:
        return False
    rows = list(_owed().filter(payload__agent=agent_id).order_by("id"))
    changed = [_carry_out(agent, row.payload, now=now) for row in rows]
    Outbox.objects.filter(pk__in=[row.pk for row in rows]).delete()
    if any(changed):
        transaction.on_commit(lambda: live.whisper("wrap_up", {"agent": agent_id}), robust=True)
    return True


def _carry_out(agent: Agent, owed: Mapping[str, Any], *, now: datetime) -> bool:
    """True when it changed something. What they chose since they finished counts more, and a moment that is over is."""
    if "undo" in owed:
        return presence.take_back_wrap_up(agent.pk, since=datetime.fromisoformat(owed["undo"]), now=now)
    began, minutes = datetime.fromisoformat(owed["at"]), owed["minutes"]
    if agent.presence_since > began or began + timedelta(minutes=minutes) <= now:
        return False
    return presence.wrap_up(agent, minutes=minutes, now=began)
