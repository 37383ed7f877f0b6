"""Who is writing: from a sender's identifiers to one customer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from tickets.contract import Sender
from tickets.models import Channel, Customer, CustomerJoin, Identity
from tickets.models.event import Actor


class Resolved(NamedTuple):
    customer: Customer
    identity: Identity
    created: bool


class Suggestion(NamedTuple):
    customer: Customer
    identity: Identity
    evidence: str


class LostRace(Exception):
    """Another transaction verified the same identity meanwhile. Run the whole transaction again."""


def resolve(sender: Sender, channel: Channel, *, now: datetime) -> Resolved:
    raise NotImplementedError


def suggestions(customer: Customer) -> list[Suggestion]:
    raise NotImplementedError


def join(
    survivor: Customer, joined: Customer, *, by: Actor, reason: str, evidence: dict[str, Any], now: datetime
) -> CustomerJoin:
    raise NotImplementedError


def undo_join(join: CustomerJoin, *, by: Actor, now: datetime) -> None:
    raise NotImplementedError
