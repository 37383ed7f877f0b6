"""What a visitor sees: the one serializer of the customer's view, and the catch-up that every panel lives on.

Notes, side conversations, routing, addresses and the names of things inside never pass through here: what is not
written below cannot leave. Applying an event twice changes nothing, so a catch-up re-reads the last minute.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.fernet import InvalidToken
from django.db.models import Max, Q
from django.utils.translation import gettext as _

from channels_in.webchat.sessions import Visitor
from tickets import formatting
from tickets.files import SHOWN, signed_url
from tickets.models import Attachment, Event, Message, ReadMark, Ticket
from tickets.models.ticket import UNSOLVED
from tickets.routing import line
from tickets.secrets import ring
from tickets.timeline import PLACEHOLDERS

OVERLAP = timedelta(seconds=60)  # longer than any transaction: a late commit is not missed
OLDEST = timedelta(hours=72)
MOST = 500  # events of one catch-up; further behind, the panel starts afresh
CONVERSATIONS = 20
MESSAGES = 200  # of a fresh start
EARLIER = 50
FILE_SECONDS = 86_400  # how long an address of a file opens it

_SPOKEN = frozenset({"message_received", "reply_posted", "automatic_message"})
_STATUS = frozenset({"solved", "closed", "reopened", "status_changed", "undone"})
_SHAPE = frozenset({"merged", "unmerged", "customer_joined", "customer_join_undone"})
_SHOWN = ("assignee", "team__calendar", "first_channel__team__calendar", "last_channel")
_WANTED = _SPOKEN | _STATUS | _SHAPE | {"message_changed", "delivery_changed", "delivery_failed", "assigned", "rated"}

Said = dict[str, Any]


@dataclass(frozen=True)
class CaughtUp:
    """`events` in order; `cursor` is what the browser asks with next.

    `ids` are the events behind it and `tickets` the visitor's own, by which a socket knows what concerns it.
    """

    events: list[Said]
    cursor: str
    ids: frozenset[int] = frozenset()
    tickets: frozenset[int] = frozenset()


def fresh(visitor: Visitor, *, now: datetime) -> CaughtUp:
    """Everything that a panel shows which knows nothing yet."""
    cursor = _newest(now)  # before the reading: what is committed meanwhile comes again, and changes nothing
    family = _Family(visitor)
    said: list[Said] = [_identified(visitor)]
    said += [family.state(ticket) for ticket in family.survivors()]
    recent = family.messages().order_by("-created_at", "-id")[:MESSAGES]
    said += [family.message(message) for message in reversed(recent)]
    said += family.read_marks()
    said += family.places(now=now)
    return CaughtUp(said, cursor, tickets=frozenset(family.tickets))


def since(visitor: Visitor, after: str, *, now: datetime, known: Collection[int] = frozenset()) -> CaughtUp:
    """What happened after the cursor, less the events that this socket has sent already (`known`).

    A cursor that cannot be read, is too old or too far behind gives `resync`.
    """
    cursor = _read_cursor(after)
    if cursor is None or cursor.at < now - OLDEST:
        return CaughtUp([{"type": "resync"}], _newest(now))
    family = _Family(visitor)
    rows = list(
        Event.objects.filter(
            family.condition(), Q(pk__gt=cursor.pk) | Q(at__gt=cursor.at - OVERLAP), kind__in=_WANTED
        ).order_by("id")[: MOST + 1]
    )
    if len(rows) > MOST:
        return CaughtUp([{"type": "resync"}], _newest(now))
    news = [row for row in rows if row.pk not in known]
    said = family.tell(news) + family.read_marks() + family.places(now=now)
    newest = max(((row.pk, row.at) for row in rows), default=(cursor.pk, cursor.at))
    if newest[0] <= cursor.pk:
        newest = (cursor.pk, cursor.at)
    ids = frozenset(row.pk for row in news)
    return CaughtUp(said, _write_cursor(*newest), ids, frozenset(family.tickets))


def earlier(visitor: Visitor, *, conversation: str, before: datetime) -> list[Said]:
    """The messages of a conversation before a moment, oldest first. Raises Refused for a conversation of others."""
    family = _Family(visitor)
    survivor = visitor.ticket_named(conversation)
    ids = [pk for pk in family.tickets if family.survivor_of(pk) == survivor]
    found = family.messages().filter(ticket__in=ids, created_at__lt=before).order_by("-created_at", "-id")[:EARLIER]
    return [family.message(message) for message in reversed(found)]


class _Family:
    """The visitor's tickets, each under the survivor of its merges, which is the conversation that they see."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        own = visitor.tickets().order_by("-id").select_related(*_SHOWN)[:CONVERSATIONS]
        self.tickets: dict[int, Ticket] = {ticket.pk: ticket for ticket in own}
        while missing := {t.merged_into_id for t in self.tickets.values() if t.merged_into_id} - self.tickets.keys():
            more = Ticket.objects.filter(pk__in=missing).select_related(*_SHOWN)
            self.tickets |= {ticket.pk: ticket for ticket in more}

    def survivor_of(self, ticket_id: int) -> int:
        while parent := self.tickets[ticket_id].merged_into_id:
            ticket_id = parent
        return ticket_id

    def survivors(self) -> list[Ticket]:
        return [self.tickets[pk] for pk in sorted({self.survivor_of(pk) for pk in self.tickets})]

    def condition(self) -> Q:
        """Of the log: their tickets, and what changes which tickets are theirs."""
        mine = Q(ticket__in=list(self.tickets))
        if self.visitor.signed and self.visitor.identity is not None:
            mine |= Q(customer=self.visitor.identity.customer_id, kind__in=["customer_joined", "customer_join_undone"])
        return mine

    def messages(self):  # type: ignore[no-untyped-def]
        return (
            self.visitor.messages()
            .filter(ticket__in=list(self.tickets))
            .select_related("agent", "channel")
            .prefetch_related("attachments", "parts")
        )

    def tell(self, rows: Iterable[Event]) -> list[Said]:
        rows = list(rows)
        if any(row.kind in _SHAPE for row in rows):
            return [{"type": "resync"}]
        ids = {row.message_id for row in rows if row.message_id}
        spoken = {message.pk: message for message in self.messages().filter(pk__in=ids)} if ids else {}
        said: list[Said] = []
        for row in rows:
            message = spoken.get(row.message_id or 0)
            if row.kind in _SPOKEN and message:
                said.append(self.message(message))
            elif row.kind == "message_changed" and message:
                said.append({**self.message(message), "type": "message_changed"})
            elif row.kind in ("delivery_changed", "delivery_failed") and message:
                said.append({"type": "delivery", "id": self.id_of(message), "state": _state(message)})
            elif row.kind in _STATUS | {"assigned"} and row.ticket_id:
                said.append(
                    self.state(self.tickets[self.survivor_of(row.ticket_id)], kind=_TOLD.get(row.kind, "conversation"))
                )
            elif row.kind == "rated" and row.ticket_id:
                conversation = self.visitor.key_of(self.survivor_of(row.ticket_id))
                said.append({"type": "survey", "conversation": conversation, "score": row.particulars.get("score")})
        return said

    def state(self, ticket: Ticket, *, kind: str = "conversation") -> Said:
        return {
            "type": kind,
            "conversation": self.visitor.key_of(ticket.pk),
            "open": ticket.status in UNSOLVED,
            "agent": ticket.assignee.name if ticket.assignee and not ticket.assignee.is_bot else "",
            "score": ticket.csat,
        }

    def id_of(self, message: Message) -> str:
        return f"{self.visitor.key_of(message.ticket_id)}.{message.seq}"

    def message(self, message: Message) -> Said:
        mine = message.direction == Message.Direction.IN
        said: Said = {
            "type": "message",
            "id": self.id_of(message),
            "conversation": self.visitor.key_of(self.survivor_of(message.ticket_id)),
            "ticket": self.visitor.key_of(message.ticket_id),
            "seq": message.seq,
            "from": "visitor" if mine else "agent" if message.author_type == Message.Author.AGENT else "bot",
            "name": "" if mine else self._name(message),
            "text": _text(message),
            "at": message.created_at.isoformat(),
            "edited": message.edited_at is not None and message.deleted_at is None,
            "deleted": message.deleted_at is not None,
            "files": [] if message.deleted_at else [file_said(file) for file in message.attachments.all()],
            "state": "" if mine else _state(message),
            "by": message.channel.kind if message.channel else "",
        }
        own, _colon, browsers = message.external_id.partition(":")
        if mine and own == self.visitor.session.uuid.hex:
            said["client_uuid"] = browsers
        if isinstance(survey := message.meta.get("survey"), str):
            said["survey"] = survey
        if message.is_formatted and not message.deleted_at and formatting.has_marks(message.text):
            said["marks"] = formatting.as_tree(message.text)
        return said

    def _name(self, message: Message) -> str:
        """Of the agent who wrote; what answers by itself speaks for the brand."""
        if message.author_type != Message.Author.AGENT:
            return self.visitor.channel.brand.name
        return message.author_name or (message.agent.name if message.agent else "")

    def read_marks(self) -> list[Said]:
        """How far we have read what they wrote: what a whisper told the open panels, for those that missed it."""
        open_ids = [pk for pk, ticket in self.tickets.items() if ticket.status in UNSOLVED]
        marks = dict(
            ReadMark.objects.filter(ticket__in=open_ids).values_list("ticket").annotate(Max("message_id")).order_by()
        )
        if not marks:
            return []
        read = Q()
        for ticket_id, message_id in marks.items():
            read |= Q(ticket=ticket_id, pk__lte=message_id)
        newest = (
            self.visitor.messages()
            .filter(read, direction=Message.Direction.IN)
            .values_list("ticket")
            .annotate(Max("seq"))
            .order_by()
        )
        return [{"type": "read", "ticket": self.visitor.key_of(pk), "seq": seq} for pk, seq in newest]

    def places(self, *, now: datetime) -> list[Said]:
        """Where they stand in the line, of each conversation that waits for a person here in the chat."""
        here = [ticket for ticket in self.survivors() if ticket.last_channel_id == self.visitor.channel.pk]
        found = line.places_of(here, now=now)
        return [place_said(self.visitor, pk, place) for pk, place in found.items()]


_TOLD: Mapping[str, str] = {"solved": "solved", "closed": "solved", "reopened": "reopened", "assigned": "agent"}


def place_said(visitor: Visitor, ticket_id: int, place: line.Place) -> Said:
    """Their own place and nothing of anybody else."""
    return {
        "type": "queue",
        "conversation": visitor.key_of(ticket_id),
        "position": place.position,
        "within": place.within,
        "closed": place.is_closed,
        "opens_at": place.opens_at.isoformat() if place.opens_at else None,
    }


def file_said(file: Attachment) -> Said:
    return {
        "name": file.name or _("File"),
        "type": file.content_type,
        "size": file.size,
        "url": signed_url(file, seconds=FILE_SECONDS) if file.state == Attachment.State.STORED else "",
        "inline": file.content_type in SHOWN,
    }


def _text(message: Message) -> str:
    if message.deleted_at:
        return str(PLACEHOLDERS["deleted"])
    if message.placeholder and not message.text:
        return str(PLACEHOLDERS.get(message.placeholder, ""))
    if isinstance(survey := message.meta.get("survey"), str):  # the panel shows buttons in place of the link
        return "\n".join(line for line in message.text.splitlines() if survey not in line).rstrip(" :")
    return message.plain_text


def _state(message: Message) -> str:
    """`read` or `delivered` when this panel (or another of theirs) has said so, else `sent`; never an error of ours."""
    return message.state if message.state in ("delivered", "read") else "sent"


def _identified(visitor: Visitor) -> Said:
    return {
        "type": "identified",
        "signed": visitor.signed,
        "name": visitor.session.name,
        "email": bool(visitor.session.email_claim) or visitor.signed,
    }


# -- Cursor: encrypted, so that it counts nothing for the browser ------------------------------------------------------


@dataclass(frozen=True)
class _Cursor:
    pk: int
    at: datetime


def _newest(now: datetime) -> str:
    newest = Event.objects.order_by("-id").values_list("id", flat=True).first()
    return _write_cursor(newest or 0, now)


def _write_cursor(pk: int, at: datetime) -> str:
    return ring().encrypt(json.dumps([pk, at.isoformat()]).encode()).decode()


def _read_cursor(text: str) -> _Cursor | None:
    try:
        pk, at = json.loads(ring().decrypt(text.encode()))
        return _Cursor(pk, datetime.fromisoformat(at))
    except (InvalidToken, ValueError, TypeError):
        return None
