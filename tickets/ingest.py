"""A message comes in: customer, identity, ticket, route, message, clocks and event in the caller's transaction."""

from __future__ import annotations

from datetime import datetime

from agents.models import Team
from tickets.contract import Applied, InboundMessage
from tickets.models import Brand, Channel, Customer, Message, Ticket
from tickets.models.event import Actor


class Suppress(Exception):
    """Keep it, without an effect. `reason` is a short code for the ledger."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def receive(
    channel: Channel, message: InboundMessage, *, raw_event_id: int, part: int, received_at: datetime, now: datetime
) -> Message:
    raise NotImplementedError


def apply(channel: Channel, applied: Applied, *, raw_event_id: int, now: datetime) -> Message | None:
    raise NotImplementedError


def open_ticket(
    *, brand: Brand, customer: Customer, subject: str, by: Actor, now: datetime,
    channel: Channel | None = None, team: Team | None = None, language: str = "", reason: str = "agent",
) -> Ticket:
    raise NotImplementedError
