"""A moment after a chat in which its agent takes nothing new: the team says for how long.

It begins when the conversation of an agent is solved, by them or by its customer, or when they hand it on themselves; not
when others move their work. Mails give none: nobody waits in them.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from agents import presence
from agents.models import Agent, Team
from tickets import live
from tickets.channels import UnknownKind, capabilities_of
from tickets.models import Event, Ticket
from tickets.routing.people import WORKED_ON


def begin(ticket: Ticket, event: Event | None, *, now: datetime) -> None:
    """After this event of the ticket, once it is committed: routing locks many agents, and the ticket is not held meanwhile."""
    agent_id, team_id = _left(ticket, event) if event else (None, None)
    if agent_id is None or team_id is None or not _is_chat(ticket):
        return
    minutes = Team.objects.filter(pk=team_id).values_list("wrap_up_minutes", flat=True).first()
    if minutes:
        transaction.on_commit(lambda: _wrap_up(agent_id, minutes=minutes, now=now), robust=True)


def undo(event: Event, *, now: datetime) -> None:
    """The event is taken back, and so is the wrap-up that it began."""
    if (agent_id := event.actor_id) is not None:
        transaction.on_commit(lambda: _take_back(agent_id, since=event.at, now=now), robust=True)


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


def _wrap_up(agent_id: int, *, minutes: int, now: datetime) -> None:
    agent = Agent.objects.filter(pk=agent_id).first()
    if agent is not None and presence.wrap_up(agent, minutes=minutes, now=now):
        live.whisper("wrap_up", {"agent": agent_id})


def _take_back(agent_id: int, *, since: datetime, now: datetime) -> None:
    if presence.take_back_wrap_up(agent_id, since=since, now=now):
        live.whisper("wrap_up", {"agent": agent_id})
