"""Known issues: tickets are linked to an incident, told the same, and solved together (by jobs of `bulk`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from django.db import transaction
from django.utils.translation import gettext as _

from agents.models import Agent
from tickets import actions, live, replies
from tickets.models import AutomaticReply, Event, Incident, Message, Ticket
from tickets.models.event import Actor, by_agent
from tickets.models.ticket import UNSOLVED

CAUSE = "incident-"  # of an automatic reply: this and the incident's id


@transaction.atomic
def link(ticket: Ticket, incident: Incident | None, *, by: Actor, now: datetime) -> Event | None:
    """Link the ticket to an incident, or to none. A new ticket is owed the incident's text, once.

    Raises actions.NotAllowed for an incident of another brand, or one that is resolved.
    """
    locked = actions.lock(ticket.pk)
    if locked.incident_id == (incident.pk if incident else None):
        return None
    if incident and incident.brand_id != locked.brand_id:
        raise actions.NotAllowed(_("This incident belongs to another brand."))
    if incident and not incident.is_open:
        raise actions.NotAllowed(_("This incident is resolved."))
    before, locked.incident, locked.updated_at = locked.incident, incident, now
    locked.save(update_fields=["incident", "updated_at"])
    event = locked.record(
        "incident_changed",
        by=by,
        now=now,
        **{"from": before.pk if before else None, "to": incident.pk if incident else None},
        title=(incident or before).title,  # type: ignore[union-attr]  # one of them is there
    )
    if incident and incident.answers_new and locked.created_at >= incident.opened_at and locked.status in UNSOLVED:
        _owe_text(locked, incident, now=now)
    live.announce(event)
    return event


def answer(ticket: Ticket, value: Mapping[str, Any], *, agent: Agent, now: datetime) -> list[Event]:
    """The same answer to one of the linked tickets, in its language, by the way that was used last, to its customer alone.

    `value`: {"incident", "en", "ko", "solve"}. The same text answers a ticket once, whoever sends it how often; what is
    left of it is to solve the ticket. Raises actions.NotAllowed.
    """
    if ticket.incident_id != value["incident"]:
        raise actions.NotAllowed(_("It is no longer linked to the incident."))
    if ticket.status not in UNSOLVED:
        raise actions.NotAllowed(_("It is solved already."))
    language = ticket.answer_language
    client_uuid = uuid5(NAMESPACE_URL, f"incident:{value['incident']}:{ticket.pk}:{value[language]}")
    actions.lock(ticket.pk)  # two runs of the same answer come here one after the other
    if Message.objects.filter(client_uuid=client_uuid).exists():
        solved = actions.solve(ticket, by=by_agent(agent), now=now) if value["solve"] else None
        return [solved] if solved else []
    choice = _way(ticket, now=now)
    try:
        message = replies.post(
            ticket,
            agent=agent,
            text=value[language],
            route=choice,
            client_uuid=client_uuid,
            seen_message_id=None,
            then={"take": False} | ({"status": Ticket.Status.SOLVED} if value["solve"] else {}),
            to_many=True,
            now=now,
        )
    except replies.Unreachable as problem:
        raise actions.NotAllowed(str(problem)) from problem
    return list(Event.objects.filter(ticket=ticket, kind="reply_posted", message_id=message.pk))


def _way(ticket: Ticket, *, now: datetime) -> replies.RouteChoice:
    """Where the customer wrote last, or another way of this conversation that takes plain words: nobody is surprised on
    one that they never used for it. Raises actions.NotAllowed with what is in the way."""
    choices = [choice for choice in replies.routes_for(ticket, now=now) if choice.route]
    open_ones = [choice for choice in choices if not choice.reason]
    if open_ones:
        return open_ones[0]
    if choices:
        raise actions.NotAllowed(replies.sentence_of(choices[0].reason))
    raise actions.NotAllowed(_("There is no address at which this customer can be answered."))


def _owe_text(ticket: Ticket, incident: Incident, *, now: datetime) -> None:
    """What the customer said last is answered with the text (`tickets.answering` judges and sends)."""
    asked = (
        Message.objects.filter(ticket=ticket, direction="in", kind="public", route__isnull=False)
        .order_by("-id")
        .first()
    )
    if asked and asked.channel_id:
        AutomaticReply.objects.get_or_create(
            ticket=ticket,
            cause=f"{CAUSE}{incident.pk}",
            defaults={"channel_id": asked.channel_id, "asked": asked, "due_at": now + AutomaticReply.GRACE},
        )
