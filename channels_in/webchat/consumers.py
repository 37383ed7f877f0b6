"""The visitor's socket: what `GET events` says, at once. One listener per process stands at the hub for all of them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError
from django.urls import path
from django.utils import timezone, translation

from channels_in.models import VisitorSession
from channels_in.webchat import events, sessions
from channels_in.webchat.identity import Key, keys_of
from channels_in.webchat.refusals import Refused
from channels_in.webchat.sessions import Visitor
from tickets import live
from tickets.models import Channel, Event, Ticket
from tickets.routing import line

log = logging.getLogger(__name__)

HELLO_WITHIN = 10  # seconds
LONGEST_FRAME = 4096  # characters
ENDED, EXPIRED, CLOSED, MALFORMED = 4403, 4401, 4410, 4400  # close codes
LINE_REST = 1.0  # seconds: many moves in a row are one look at the lines
_MOVES = frozenset({"assigned", "routed", "ticket_created", "solved", "reopened", "status_changed", "snoozed", "woken"})


class Rooms:
    """Every visitor's socket of this process, found by what an event names: its ticket, or who wrote it."""

    language = ""  # it renders for itself

    def __init__(self) -> None:
        self.sockets: set[VisitorSocket] = set()
        self._looking: asyncio.Task[None] | None = None

    def add(self, socket: VisitorSocket) -> None:
        if not self.sockets:
            live.hub().add(self)
            live.hub().keepers.add(self.keep)
        self.sockets.add(socket)

    def discard(self, socket: VisitorSocket) -> None:
        if socket in self.sockets:
            self.sockets.discard(socket)
            if not self.sockets:
                live.hub().keepers.discard(self.keep)
                live.hub().discard(self)
                if self._looking:
                    self._looking.cancel()

    async def on_event(self, loaded: live.LoadedEvent) -> None:
        event, route = loaded.event, loaded.message.route if loaded.message else None
        writer = route.identity.value if route and route.identity.kind == "webchat" else None
        for socket in self.sockets:
            if event.ticket_id in socket.tickets or socket.writes_as(writer) or event.customer_id == socket.customer:
                socket.news.set()
        if event.kind in _MOVES and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look_at_lines())

    async def _look_at_lines(self) -> None:
        await asyncio.sleep(LINE_REST)
        await self.tell_places()

    async def tell_places(self) -> None:
        """Who waits in a line hears where they stand, if that has changed: one reading for all sockets of this process."""
        sockets = [socket for socket in self.sockets if socket.visitor and socket.tickets]
        if not sockets:
            return
        ids = frozenset[int]().union(*(socket.tickets for socket in sockets))
        try:
            found = await database_sync_to_async(_places)(ids, timezone.now())
        except DatabaseError as error:  # the next heartbeat looks again
            log.warning("places in line not read: %s", type(error).__name__)
            return
        for socket in sockets:
            await socket.stand({pk: found[pk] for pk in socket.tickets & found.keys()})

    async def on_whisper(self, topic: str, payload: dict[str, Any]) -> None:
        """Typing in a reply, and read marks. Typing in a note never leaves the house."""
        if topic == "visitor_session":
            await _each(s.end(ENDED) for s in self.sockets if s.session_hex == payload.get("session"))
            return
        concerned = [socket for socket in self.sockets if payload.get("ticket") in socket.tickets]
        if topic == "typing" and payload.get("kind") == "reply":
            await _each(socket.typing(payload["ticket"], on=bool(payload.get("on"))) for socket in concerned)
        elif topic == "read":
            for socket in concerned:
                socket.news.set()

    async def keep(self, sinks: list[Any], beat: live.Beat) -> None:
        """At each heartbeat: close what has ended, note who is here, catch up where a wake-up was lost."""
        sockets = list(self.sockets)
        now = timezone.now()
        checked = await database_sync_to_async(_check)([socket.visitor for socket in sockets if socket.visitor], now)
        for socket in sockets:
            if socket.visitor is None:
                continue
            if code := checked.over.get(socket.visitor.session.pk):
                await socket.end(code)
                continue
            if socket.tickets & checked.busy:
                socket.news.set()
            await socket.say([{"type": "heartbeat"}])
        await self.tell_places()  # who came, who went, and what the clock opened, no event says


@dataclass
class _Checked:
    over: dict[int, int] = field(default_factory=dict)  # session id -> close code
    busy: frozenset[int] = frozenset()  # tickets with an event in the last minute


def _check(visitors: list[Visitor], now: datetime) -> _Checked:
    """A constant number of queries, however many sockets there are."""
    found = _Checked()
    rows = VisitorSession.objects.in_bulk([visitor.session.pk for visitor in visitors])
    active = set(
        Channel.objects.filter(pk__in={v.channel.pk for v in visitors}, active=True).values_list("id", flat=True)
    )
    keys = {brand: keys_of(brand) for brand in {v.channel.brand_id for v in visitors if v.signed}}
    for visitor in visitors:
        session = rows.get(visitor.session.pk)
        if visitor.channel.pk not in active:
            found.over[visitor.session.pk] = CLOSED
        elif session is None or not _same(session, visitor, keys) or not sessions.is_alive(session, now=now):
            found.over[visitor.session.pk] = ENDED
    here = [visitor.session.pk for visitor in visitors if visitor.session.pk not in found.over]
    VisitorSession.objects.filter(pk__in=here, seen_at__lt=now - sessions.SEEN_EVERY).update(seen_at=now)
    recent = Event.objects.filter(at__gt=now - events.OVERLAP, ticket__isnull=False)
    found.busy = frozenset(recent.values_list("ticket", flat=True).distinct())
    return found


def _places(ids: frozenset[int], now: datetime) -> dict[int, line.Place]:
    waiting = Ticket.objects.filter(pk__in=ids, assignee__isnull=True, last_channel__kind="webchat")
    shown = waiting.select_related("team__calendar", "first_channel__team__calendar", "last_channel")
    return line.places_of(shown, now=now)


def _same(session: VisitorSession, visitor: Visitor, keys: Mapping[int, Mapping[str, Key]]) -> bool:
    """The same person as when the socket began, and the key that signed for them still stands."""
    if session.subject != visitor.session.subject:
        return False
    return not session.subject or session.identity_key_id in keys[visitor.channel.brand_id]


async def _each(doing: Iterable[Any]) -> None:
    await asyncio.gather(*doing)


_rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, Rooms] = WeakKeyDictionary()


def rooms() -> Rooms:
    loop = asyncio.get_running_loop()
    if loop not in _rooms:
        _rooms[loop] = Rooms()
    return _rooms[loop]


class VisitorSocket(AsyncWebsocketConsumer):
    """`hello{token, after}` first; then `typing{on, conversation}`. Anything else is answered with a fixed code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.visitor: Visitor | None = None
        self.tickets: frozenset[int] = frozenset()
        self.news = asyncio.Event()
        self.cursor = ""
        self.known: set[int] = set()
        self.places: dict[str, events.Said] = {}  # what was last said of each conversation
        self.faults = 0
        self.closing = False
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def session_hex(self) -> str:
        return self.visitor.session.uuid.hex if self.visitor else ""

    @property
    def customer(self) -> int | None:
        """Of a signed visitor, whose new tickets may come by any channel; -1 matches no event."""
        visitor = self.visitor
        return visitor.identity.customer_id if visitor and visitor.signed and visitor.identity else -1

    def writes_as(self, identity_value: str | None) -> bool:
        return self.visitor is not None and identity_value == self.visitor.identity_value

    async def connect(self) -> None:
        await self.accept()
        self.tasks.append(asyncio.create_task(self._insist_on_hello()))

    async def disconnect(self, code: int) -> None:
        self.closing = True
        rooms().discard(self)
        for task in self.tasks:
            task.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            if not text_data or len(text_data) > LONGEST_FRAME:
                raise Refused("malformed")
            frame = json.loads(text_data)
            kind = frame["type"]
            if kind == "hello" and self.visitor is None:
                await self._hello(str(frame["token"]), str(frame.get("after") or ""))
            elif kind == "typing" and self.visitor is not None:
                await self._typing(frame)
            else:
                raise Refused("malformed")
        except Refused as refusal:
            await self._fault(refusal.code)
        except (ValueError, KeyError, TypeError, AttributeError):
            await self._fault("malformed")

    async def say(self, said: list[events.Said]) -> None:
        said = [one for one in said if self._is_news(one)]
        if not self.closing:
            await self.send(text_data=json.dumps({"events": said, "cursor": self.cursor}))

    def _is_news(self, one: events.Said) -> bool:
        """A place in line is said once, until it changes or something else is said of its conversation."""
        if one["type"] != "queue":
            self.places.pop(one.get("conversation", ""), None)
            return True
        before, self.places[one["conversation"]] = self.places.get(one["conversation"]), one
        return before != one

    async def stand(self, places: Mapping[int, line.Place]) -> None:
        if self.visitor is None:
            return
        said = [events.place_said(self.visitor, pk, place) for pk, place in places.items()]
        if any(self.places.get(one["conversation"]) != one for one in said):
            await self.say(said)

    async def typing(self, ticket_id: int, *, on: bool) -> None:
        if self.visitor is not None:
            await self.say([{"type": "typing", "ticket": self.visitor.key_of(ticket_id), "on": on}])

    async def end(self, code: int) -> None:
        self.closing = True
        rooms().discard(self)
        await self.close(code)

    async def _insist_on_hello(self) -> None:
        await asyncio.sleep(HELLO_WITHIN)
        if self.visitor is None:
            await self.end(EXPIRED)

    async def _hello(self, token: str, after: str) -> None:
        slug = self.scope["url_route"]["kwargs"]["slug"]
        try:
            self.visitor = await database_sync_to_async(_visitor)(slug, token)
        except Refused as refusal:
            await self.send(text_data=json.dumps({"error": refusal.code}))
            await self.end({"token_expired": EXPIRED, "closed": CLOSED}.get(refusal.code, ENDED))
            return
        rooms().add(self)  # before the reading, so that nothing falls between
        self.cursor = after
        self.news.set()
        self.tasks.append(asyncio.create_task(self._keep_up()))

    async def _keep_up(self) -> None:
        """One catch-up for every burst of news, so that a socket says exactly what the GET says."""
        while True:
            await self.news.wait()
            self.news.clear()
            try:
                caught = await database_sync_to_async(self._catch_up)()
            except DatabaseError as error:
                log.warning("visitor's catch-up failed: %s", type(error).__name__)
                await asyncio.sleep(2)
                self.news.set()
                continue
            first, self.cursor, self.tickets = not self.known, caught.cursor, caught.tickets or self.tickets
            self.known |= caught.ids
            if len(self.known) > 4 * events.MOST:
                self.known = set(sorted(self.known)[-2 * events.MOST :])
            if caught.events or first:
                await self.say(caught.events)

    def _catch_up(self) -> events.CaughtUp:
        assert self.visitor is not None
        # The session's customer may have changed since: read again whose it is.
        self.visitor = Visitor(self.visitor.session, self.visitor.channel)
        _ = self.visitor.identity
        with translation.override(self.visitor.session.language or None):
            if not self.cursor:
                return events.fresh(self.visitor, now=timezone.now())
            return events.since(self.visitor, self.cursor, now=timezone.now(), known=self.known)

    async def _typing(self, frame: dict[str, Any]) -> None:
        assert self.visitor is not None
        await database_sync_to_async(sessions.typing)(
            self.visitor, conversation=str(frame["conversation"]), on=frame["on"] is True, now=timezone.now()
        )

    async def _fault(self, code: str) -> None:
        self.faults += 1
        if not self.closing:
            await self.send(text_data=json.dumps({"error": code}))
            if self.faults > 20 or self.visitor is None:
                await self.end(MALFORMED)


def _visitor(slug: str, token: str) -> Visitor:
    channel = Channel.objects.select_related("brand").filter(slug=slug, kind="webchat", active=True).first()
    if channel is None:
        raise Refused("closed")
    now = timezone.now()
    visitor = sessions.visitor_of(token, channel=channel, now=now)
    sessions.seen(visitor, now=now)
    _ = visitor.identity
    return visitor


websocket_urlpatterns = [path("chat/<slug:slug>/socket/", VisitorSocket.as_asgi())]
