"""An answer is written: one transaction for the message, its parts, its event and the ticket (reliability.md 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from agents.models import Agent
from tickets.models import Attachment, Channel, Draft, Identity, Message, Route, Ticket


class Stale(Exception):
    """The thread has moved on since the author looked: `messages` are those that they have not seen."""

    def __init__(self, messages: list[Message]) -> None:
        super().__init__("the thread has moved on")
        self.messages = messages


class Unreachable(Exception):
    """The customer cannot be answered this way now. `code` is fixed; the text says what happened and what to do."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class RouteChoice:
    """A way to reach the customer on this ticket; `route` is None until it is used here for the first time."""

    route: Route | None
    channel: Channel
    identity: Identity
    reachable: bool
    reason: str
    window_expires_at: datetime | None
    limit: int | None


def post(
    ticket: Ticket,
    *,
    agent: Agent,
    text: str,
    route: Route | RouteChoice,
    attachments: Iterable[Attachment] = (),
    template: Mapping[str, Any] | None = None,
    client_uuid: UUID,
    seen_message_id: int | None,
    anyway: bool = False,
    then: Mapping[str, Any] | None = None,
    now: datetime,
) -> Message:
    raise NotImplementedError


def note(
    ticket: Ticket,
    *,
    agent: Agent,
    text: str,
    attachments: Iterable[Attachment] = (),
    client_uuid: UUID,
    seen_message_id: int | None = None,
    now: datetime,
) -> Message:
    raise NotImplementedError


def automatic(
    ticket: Ticket,
    *,
    route: Route,
    text: str,
    kind: Literal["auto-replied", "auto-generated"],
    meta: Mapping[str, Any] | None = None,
    now: datetime,
) -> Message:
    raise NotImplementedError


def routes_for(ticket: Ticket, *, now: datetime) -> list[RouteChoice]:
    raise NotImplementedError


def release_due(*, now: datetime) -> int:
    raise NotImplementedError
