"""A helpdesk at work: tickets made by the product's own verbs, for tests of its screens."""

from __future__ import annotations

import itertools
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from agents.models import Agent
from tests.cast import Cast
from tickets import ingest, replies
from tickets.contract import Identifier, InboundMessage, Sender
from tickets.models import Channel, Message, Ticket

_numbers = itertools.count(1)


def sender(name: str, *, phone: str = "", email: str = "", visitor: str = "") -> Sender:
    known = [("phone", phone), ("email", email), ("webchat", visitor)]
    return Sender(
        identifiers=tuple(
            Identifier(kind, "", value, kind != "email" or bool(email), "test") for kind, value in known if value
        ),
        name=name,
    )


def says(channel: Channel, who: Sender, text: str, *, at: datetime, **more: Any) -> Message:
    """A customer writes, as if the channel had just been read."""
    number = next(_numbers)
    message = InboundMessage(external_message_id=f"m{number}", sender=who, sent_at=at, text=text, **more)
    with transaction.atomic():
        return ingest.receive(channel, message, raw_event_id=number, part=0, received_at=at, now=at)


def answers(ticket: Ticket, agent: Agent, text: str, *, at: datetime, **more: Any) -> Message:
    ticket = Ticket.objects.get(pk=ticket.pk)
    return replies.post(
        ticket,
        agent=agent,
        text=text,
        route=replies.routes_for(ticket, now=at)[0],
        client_uuid=uuid.uuid4(),
        seen_message_id=ticket.last_message_id,
        now=at,
        **more,
    )


def notes(ticket: Ticket, agent: Agent, text: str, *, at: datetime) -> Message:
    return replies.note(ticket, agent=agent, text=text, client_uuid=uuid.uuid4(), now=at)


def many(
    cast: Cast, n: int, *, now: datetime, messages: int = 1, who: str = "Customer", words: str = "Question"
) -> list[Ticket]:
    """`n` tickets of as many customers, each with the same mixture of things to show."""
    made = []
    for i in range(n):
        at = now - timedelta(minutes=n - i)
        customer = sender(f"{who} {i}", phone=f"+8210{20000000 + i}")
        ticket = says(cast.sms, customer, f"{words} {i}", at=at).ticket
        for more in range(1, messages):
            says(cast.sms, customer, f"And more {more}", at=at + timedelta(seconds=more))
        made.append(ticket)
    return made
