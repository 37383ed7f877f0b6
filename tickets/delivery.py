"""An answer leaves: the state machine of the parts (reliability.md 3.2 and 6)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from tickets.contract import Receipt
from tickets.models import Channel, DeliveryPart
from tickets.models.event import Actor


def deliver(*, kind: str | None = None, seconds: float = 60) -> int:
    raise NotImplementedError


def apply_receipt(channel: Channel, receipt: Receipt, *, now: datetime) -> int | None:
    raise NotImplementedError


def resolve(part: DeliveryPart, verdict: Literal["arrived", "again", "failed"], *, by: Actor, now: datetime) -> None:
    raise NotImplementedError
