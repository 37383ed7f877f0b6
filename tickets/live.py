"""Push to browsers: the only module that publishes to sockets (reliability.md 7).

Publishers say ids, after the commit. Each socket process has one Hub: one Redis subscription, which loads an event
once, renders it once per language, and loops over its own sockets. Whatever Redis drops is found by the heartbeat
(a hash of the last minute) and fetched by a catch-up that re-reads an overlap; applying an event twice changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeVar
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.db.models import OuterRef, QuerySet
from django.utils import timezone, translation

from tickets import fragments
from tickets.access import Visibility
from tickets.models import Customer, Event, Message, Ticket

log = logging.getLogger(__name__)

CHANNEL = "live"
BEAT = 15.0  # seconds between heartbeats
POLL = 2.0  # seconds between polls while Redis is away
OVERLAP = timedelta(seconds=60)  # longer than any transaction may take
OLDEST = timedelta(hours=72)
MOST = 5000  # events of one catch-up
MOST_ROWS = 300  # tickets of one catch-up
MOST_OF_CUSTOMER = 50  # the newest tickets of a customer, by which one may see what happens to them
REST = 2.0  # seconds without further tries after Redis did not answer: a black hole must not slow every commit
_resting_until = 0.0

QUEUE = 1000  # events that wait for one slow socket before it is dropped

T = TypeVar("T")
Sight = tuple[int, int | None, int | None]  # brand, team, assignee: what rights ask of a ticket


# -- Publishing ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def announce(*events: Event | None) -> None:
    """After the commit, tell the socket processes the ids of these events. Whatever Redis drops, the heartbeat finds."""
    told = [event for event in events if event is not None]
    if told:  # some of them get their id no earlier than at the end of the transaction
        transaction.on_commit(lambda: _publish({"events": [event.pk for event in told]}), robust=True)


def whisper(topic: str, payload: dict[str, Any]) -> None:
    """What leaves no row (typing, presence, read marks): to the sockets at once, never stored."""
    _publish({"topic": topic, "payload": payload})


def _publish(message: dict[str, Any]) -> None:
    global _resting_until
    if monotonic() < _resting_until:
        return
    try:
        _redis().publish(CHANNEL, json.dumps(message))
    except redis.RedisError as error:
        _resting_until = monotonic() + REST
        log.warning("live push skipped: %s", type(error).__name__)


def mark_of_session(key: str) -> str:
    """What stands for a session where its key must not be seen: on the wire between our processes."""
    return hashlib.sha256(f"live:{key}".encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def build() -> str:
    """Which scripts and styles this process serves; "" where they change while it runs (development)."""
    return str(getattr(staticfiles_storage, "manifest_hash", ""))


# -- Events as screens get them -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoadedEvent:
    """An event with all that any screen shows of it, loaded once per process.

    `thread` is the ticket in whose thread it is shown: the survivor where `event.ticket` was merged away; `address`
    stands for the name of its customer where that has none. `message` has its attachments and `ordered_parts`. An event about a customer only has no thread, but the customer's tickets.
    `rendered` holds the frame for agents, by language.
    """

    event: Event
    thread: Ticket | None
    message: Message | None
    customer_tickets: tuple[Ticket, ...] = ()
    address: str = ""
    rendered: Mapping[str, str] = field(default_factory=dict)

    def seen_by(self, visibility: Visibility) -> bool:
        tickets = (self.thread,) if self.thread else self.customer_tickets
        return any(sees(visibility, ticket) for ticket in tickets)

    def lost_by(self, visibility: Visibility) -> bool:
        """They saw the ticket until this very event took it out of their sight."""
        return (
            self.thread is not None
            and not sees(visibility, self.thread)
            and _saw(visibility, self.event, brand=self.thread.brand_id)
        )


def sees(visibility: Visibility, ticket: Ticket) -> bool:
    return _sees(visibility, (ticket.brand_id, ticket.team_id, ticket.assignee_id))


def _sees(visibility: Visibility, sight: Sight) -> bool:
    brand, team, assignee = sight
    return visibility.sees(brand_id=brand, team_id=team, assignee_id=assignee)


def _saw(visibility: Visibility, event: Event, *, brand: int) -> bool:
    """Whether they saw its ticket as it was before this event gave it to somebody."""
    before = event.particulars.get("from") if event.kind == "assigned" else None
    return before is not None and _sees(visibility, (brand, before.get("team"), before.get("assignee")))


def load(ids: Iterable[int]) -> list[LoadedEvent]:
    """The events in order of id, in a number of queries that does not depend on how many there are."""
    return _complete(Event.objects.filter(pk__in=set(ids)))


def _complete(rows: QuerySet[Event], *, messages_of: Container[int] | None = None) -> list[LoadedEvent]:
    """`messages_of`: of which events the message is wanted too; of all without it."""
    events = list(rows.select_related("actor").order_by("id"))
    threads = _threads({event.ticket_id for event in events if event.ticket_id})
    addresses = fragments.addresses_of_nameless(threads.values())
    told = [event for event in events if messages_of is None or event.pk in messages_of]
    messages = Message.objects.for_bubbles().in_bulk({event.message_id for event in told if event.message_id})
    customers = {event.customer_id for event in events if event.ticket_id is None and event.customer_id}
    by_customer = _tickets_of(customers) if customers else {}
    return [
        LoadedEvent(
            event=event,
            thread=(thread := threads.get(event.ticket_id or 0)),
            address=addresses.get(thread.customer_id, "") if thread else "",
            message=messages.get(event.message_id or 0),
            customer_tickets=tuple(by_customer.get(event.customer_id or 0, ())) if event.ticket_id is None else (),
        )
        for event in events
    ]


def _tickets_of(customers: set[int]) -> dict[int, list[Ticket]]:
    """The newest tickets of each, with what rights ask: from each one's own end of the index, which alone is read for it."""
    newest = Ticket.objects.filter(customer=OuterRef("pk")).order_by("-id").values("pk")
    newest_of = Customer.objects.filter(pk__in=customers).annotate(newest=ArraySubquery(newest[:MOST_OF_CUSTOMER]))
    ids = dict(newest_of.values_list("pk", "newest"))
    survivors = Ticket.objects.survivors().only("brand", "team", "assignee")
    known = survivors.in_bulk(set(chain.from_iterable(ids.values())))
    return {customer: [known[pk] for pk in its if pk in known] for customer, its in ids.items()}


def _threads(ids: set[int]) -> dict[int, Ticket]:
    """Ticket id -> the ticket that shows its thread, as for a list row."""
    survivor = _survivors(ids)
    rows = Ticket.objects.for_rows().in_bulk(set(survivor.values()))
    return {pk: rows[root] for pk, root in survivor.items() if root in rows}


def _survivors(ids: set[int]) -> dict[int, int]:
    """Ticket id -> id of the ticket that it is merged into, at the end of the chain."""
    into = dict.fromkeys(ids, 0)
    fresh = ids
    while fresh:
        pointers = dict(Ticket.objects.filter(pk__in=fresh).values_list("pk", "merged_into"))
        into |= {pk: target or 0 for pk, target in pointers.items()}
        fresh = {target for target in pointers.values() if target and target not in into}

    def root(pk: int) -> int:
        return root(into[pk]) if into.get(pk) else pk

    return {pk: root(pk) for pk in ids}


def payload(loaded: LoadedEvent, *, row: bool = True, items: bool = True) -> dict[str, Any]:
    """What an agent's browser gets, in the active language. Holds no viewer state."""
    event, thread = loaded.event, loaded.thread
    html: dict[str, Any] = {}
    if thread is not None and row:
        html["row"] = fragments.row(thread, address=loaded.address)
    if thread is not None and items:
        html["items"] = fragments.items_of(event, loaded.message)
    return {
        "id": event.pk,
        "at": round(event.at.timestamp() * 1000),
        "kind": event.kind,
        "ticket": thread.pk if thread else None,
        "customer": event.customer_id,
        "actor": event.actor_id,
        "message": event.message_id,
        "html": html,
        **_others(event),
    }


def _others(event: Event) -> dict[str, int]:
    """Who else it happened to: the ticket that went into this one, the customer who is one with this one now."""
    if event.kind == "merged" and "ticket" in event.particulars:
        return {"absorbed": event.particulars["ticket"]}
    if event.kind == "customer_joined":
        return {"joined": event.particulars["joined"]}
    return {}


def render(loaded: LoadedEvent, language: str) -> str:
    with translation.override(language):
        return encode({"type": "event", **payload(loaded)})


def encode(frame: Mapping[str, Any]) -> str:
    return json.dumps(frame, cls=DjangoJSONEncoder, ensure_ascii=False, separators=(",", ":"))


# -- Catching up ------------------------------------------------------------------------------------------------------------


def newest_id() -> int:
    """Where a page begins to listen. Ask for it before the rows are read."""
    return Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def catch_up(visibility: Visibility, *, after: int, ticket_id: int | None = None, now: datetime) -> dict[str, Any]:
    """What somebody missed, in the active language: each changed ticket's row once, and the open ticket's items.

    Re-reads what was written in the minute before the cursor, so that late commits are not skipped. `resync` means
    that too much was missed: the screen fetches its fragments anew. That is found by ids and rights alone, before
    anything is loaded. `gone` are tickets that left their sight.
    """
    newest = newest_id()
    since = _since(after, newest=newest, now=now)
    missed = _ids(after, since=since, most=MOST + 1) if since else set()
    if since is None or len(missed) > MOST:
        return _too_much(newest)
    places = _places(Event.objects.filter(pk__in=missed))
    hidden = {place.event: place for place in places if not _sees(visibility, place.sight)}
    if len({place.thread for place in places if place.event not in hidden}) > MOST_ROWS:
        return _too_much(newest)
    in_thread = {place.event for place in places if place.thread == ticket_id}
    loaded = _complete(Event.objects.filter(pk__in=missed - hidden.keys()), messages_of=in_thread)
    seen = [one for one in loaded if one.seen_by(visibility)]
    last_of = {one.thread.pk: one.event.pk for one in seen if one.thread}
    given = Event.objects.filter(pk__in=hidden, kind="assigned")
    return {
        "resync": False,
        "build": build(),
        "newest": newest,
        "events": [
            payload(
                one,
                row=one.thread is not None and last_of[one.thread.pk] == one.event.pk,
                items=one.thread is not None and one.thread.pk == ticket_id,
            )
            for one in seen
        ],
        "gone": sorted(
            {hidden[event.pk].thread for event in given if _saw(visibility, event, brand=hidden[event.pk].sight[0])}
        ),
    }


def _since(after: int, *, newest: int, now: datetime) -> datetime | None:
    """From when on everything is read again, for a screen that has everything up to `after`; None where that cannot be
    told, or is too long ago. A screen that was empty has nothing: what is older than the overlap, it has missed."""
    anchor = Event.objects.filter(pk__lte=after).order_by("-pk").first()
    if after > newest or (anchor is None and after > 0) or (anchor and now - anchor.at > OLDEST and newest > anchor.pk):
        return None
    since = (anchor.at if anchor else now) - OVERLAP
    first = Event.objects.order_by("pk").first() if anchor is None else None
    return None if first and first.at < since else since


def _ids(after: int, *, since: datetime, most: int) -> set[int]:
    """Events behind a cursor, and those of late commits before it. Two ranges of two indexes: a choice of both
    in one question may be answered by walking the whole log."""
    behind = Event.objects.filter(pk__gt=after).order_by("pk")
    before = Event.objects.filter(at__gte=since, pk__lte=after).order_by("at", "pk")
    return {pk for some in (behind, before) for pk in some.values_list("pk", flat=True)[:most]}


class Place(NamedTuple):
    """In whose thread an event is shown, and what rights ask of that."""

    event: int
    thread: int
    sight: Sight


def _places(events: QuerySet[Event]) -> list[Place]:
    """Of those about tickets, in order of id; without loading them."""
    rows = list(
        events.filter(ticket__isnull=False)
        .order_by("id")
        .values_list("pk", "ticket", "ticket__merged_into", "ticket__brand", "ticket__team", "ticket__assignee")
    )
    root = _survivors({ticket for _, ticket, into, *_ in rows if into})
    roots = Ticket.objects.filter(pk__in=set(root.values())).values_list("pk", "brand", "team", "assignee")
    sights: dict[int, Sight] = {pk: (brand, team, assignee) for pk, brand, team, assignee in roots} if root else {}
    return [
        Place(pk, root.get(ticket, ticket), sights.get(root.get(ticket, 0), (brand, team, assignee)))
        for pk, ticket, _into, brand, team, assignee in rows
    ]


def _too_much(newest: int) -> dict[str, Any]:
    return {"resync": True, "build": build(), "newest": newest, "events": [], "gone": []}


# -- The heartbeat -----------------------------------------------------------------------------------------------------------


class Beat:
    """The last minute's events, read once per process; what a set of rights sees of them, computed once per set."""

    def __init__(self, *, since: datetime, events: list[tuple[int, Sight]]) -> None:
        self.since = since
        self.events = events
        self._frames: dict[Visibility, str] = {}

    def frame(self, visibility: Visibility) -> str:
        if visibility not in self._frames:
            ids = [pk for pk, sight in self.events if _sees(visibility, sight)]
            self._frames[visibility] = encode(
                {
                    "type": "beat",
                    "build": build(),
                    "since": round(self.since.timestamp() * 1000),
                    "newest": ids[-1] if ids else None,
                    "hash": fingerprint(ids),
                }
            )
        return self._frames[visibility]


def fingerprint(ids: Iterable[int]) -> str:
    """FNV-1a, 32 bit, over "1,2,3": static/js/lib/feed.js computes the same."""
    value = 0x811C9DC5
    for byte in ",".join(map(str, ids)).encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{value:08x}"


def read_beat(*, now: datetime) -> Beat:
    """The events of the last OVERLAP, each with what decides who sees it; read once for all sockets of a process."""
    since = now - OVERLAP
    places = _places(Event.objects.filter(at__gte=since))
    return Beat(since=since, events=[(place.event, place.sight) for place in places])


# -- The hub of one socket process ----------------------------------------------------------------------------------------------


class Sink(Protocol):
    """Something that listens: one socket. `language` "" means that it renders for itself."""

    language: str

    async def on_event(self, loaded: LoadedEvent) -> None: ...

    async def on_whisper(self, topic: str, payload: dict[str, Any]) -> None: ...


Keeper = Callable[[list[Any], Beat], Awaitable[None]]


class Hub:
    """One subscription, one loader, any number of sinks. Runs while there are sinks."""

    def __init__(self) -> None:
        self.keepers: set[Keeper] = set()  # called at each heartbeat with all sinks
        self.sights: OrderedDict[int, Sight] = OrderedDict()  # of tickets whispered about
        self.connected = False  # to Redis
        self.rendered = 0  # frames made, one per event and language
        self._feeds: dict[Any, _Feed] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._delivered: OrderedDict[int, None] = OrderedDict()
        self._newest = 0
        self._thread: ThreadPoolExecutor | None = None

    def add(self, sink: Any) -> None:
        self._feeds[sink] = _Feed(sink)
        if not self._tasks:
            self._thread = ThreadPoolExecutor(1, "live")
            self._newest = 0
            self._tasks = [asyncio.create_task(run()) for run in (self._listen, self._work, self._beat)]

    def discard(self, sink: Any) -> None:
        feed = self._feeds.pop(sink, None)
        if feed:
            feed.stop()
        if not self._feeds:
            self._stop()

    def __len__(self) -> int:
        return len(self._feeds)

    async def ask(self, question: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run something on the hub's own thread, whose database connection stays open."""
        assert self._thread is not None, "the hub runs only while it has sinks"
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: _persistent(question, args, kwargs)
        )

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks, self.connected = [], False
        if self._thread:
            self._thread.submit(connections.close_all)
            self._thread.shutdown(wait=False)
            self._thread = None

    async def _listen(self) -> None:
        """Hand on what Redis says; while it is away, poll for all sinks at once."""
        if not self._newest:
            self._newest = await self.ask(newest_id)
        pause = 0.5
        while True:
            client = redis.asyncio.Redis.from_url(
                settings.REDIS_URL, socket_connect_timeout=2, health_check_interval=10
            )
            try:
                async with client.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(CHANNEL)
                    self.connected, pause = True, 0.5
                    self._inbox.put_nowait({"poll": True})  # what was said before we heard
                    while True:
                        message = await channel.get_message(timeout=5)
                        if message:
                            self._inbox.put_nowait(json.loads(message["data"]))
            except (redis.RedisError, OSError, ValueError) as error:
                log.warning("live subscription lost: %s", type(error).__name__)
            finally:
                self.connected = False
                await asyncio.shield(_close(client))
            self._inbox.put_nowait({"poll": True})
            await asyncio.sleep(min(pause, POLL) * random.uniform(0.8, 1))
            pause *= 2

    async def _work(self) -> None:
        """Load and deliver, one batch after the other."""
        while True:
            batch = [await self._inbox.get()]
            while not self._inbox.empty():
                batch.append(self._inbox.get_nowait())
            try:
                ids = {pk for said in batch for pk in said.get("events", ())}
                if any("poll" in said for said in batch):
                    ids |= await self.ask(self._missed)
                await self._deliver(ids)
                for said in batch:
                    if "topic" in said:
                        await self._pass_on(said["topic"], said["payload"])
            except DatabaseError as error:  # the heartbeat and the catch-up find it
                log.warning("live delivery failed: %s", type(error).__name__)
            except (KeyError, TypeError, AttributeError):
                log.exception("live message not understood")

    def _missed(self) -> set[int]:
        return _ids(self._newest, since=timezone.now() - OVERLAP, most=MOST)

    async def _deliver(self, ids: set[int]) -> None:
        fresh = ids - self._delivered.keys()
        if not fresh:
            return
        languages = {sink.language for sink in self._feeds} - {""}
        for loaded in await self.ask(self._prepare, fresh, languages):
            self._delivered[loaded.event.pk] = None
            self._newest = max(self._newest, loaded.event.pk)
            if loaded.thread is not None:
                self._remember(loaded.thread)
            for feed in list(self._feeds.values()):
                feed.put(("event", loaded))
        while len(self._delivered) > 4 * MOST:
            self._delivered.popitem(last=False)

    def _prepare(self, ids: set[int], languages: set[str]) -> list[LoadedEvent]:
        prepared = []
        for loaded in load(ids):
            rendered = {language: render(loaded, language) for language in languages}
            self.rendered += len(rendered)
            prepared.append(
                LoadedEvent(
                    event=loaded.event,
                    thread=loaded.thread,
                    message=loaded.message,
                    customer_tickets=loaded.customer_tickets,
                    address=loaded.address,
                    rendered=rendered,
                )
            )
        return prepared

    async def _pass_on(self, topic: str, said: dict[str, Any]) -> None:
        ticket_id = said.get("ticket")
        if ticket_id and ticket_id not in self.sights:
            ticket = await self.ask(Ticket.objects.filter(pk=ticket_id).first)
            if ticket is None:
                return
            self._remember(ticket)
        for feed in list(self._feeds.values()):
            feed.put(("whisper", topic, said))

    def _remember(self, ticket: Ticket) -> None:
        self.sights[ticket.pk] = (ticket.brand_id, ticket.team_id, ticket.assignee_id)
        self.sights.move_to_end(ticket.pk)
        while len(self.sights) > MOST:
            self.sights.popitem(last=False)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self.sights.clear()  # of what is only whispered about, rights may have changed
            try:
                if not self.connected:
                    self._inbox.put_nowait({"poll": True})
                beat = await self.ask(lambda: read_beat(now=timezone.now()))
                for keep in list(self.keepers):
                    await keep(list(self._feeds), beat)
            except DatabaseError as error:
                log.warning("heartbeat skipped: %s", type(error).__name__)


class _Feed:
    """The queue in front of one sink, so that a slow socket delays nobody. Too slow, and it is closed: it catches up."""

    def __init__(self, sink: Any) -> None:
        self.sink = sink
        self.queue: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue(QUEUE)
        self.task = asyncio.create_task(self._run())

    def put(self, item: tuple[Any, ...]) -> None:
        try:
            self.queue.put_nowait(item)
        except asyncio.QueueFull:
            hub().discard(self.sink)
            overflow = getattr(self.sink, "on_overflow", None)
            if overflow:
                self._overflow = asyncio.create_task(overflow())

    def stop(self) -> None:
        self.task.cancel()

    async def _run(self) -> None:
        while True:
            what, *rest = await self.queue.get()
            try:
                if what == "event":
                    await self.sink.on_event(*rest)
                else:
                    await self.sink.on_whisper(*rest)
            except OSError:  # the browser is gone; its disconnect is on the way
                log.debug("a socket went away")
            except Exception:
                log.exception("a socket could not be told")


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The hub of this process (of the running event loop)."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]


async def _close(client: redis.asyncio.Redis) -> None:
    try:
        await client.aclose()
    except (redis.RedisError, OSError) as error:
        log.debug("closing the subscription: %s", error)


def _persistent(question: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    """Ask; with a fresh connection once more where the database went away in between."""
    try:
        return question(*args, **kwargs)
    except (InterfaceError, DatabaseError):
        connections.close_all()
        return question(*args, **kwargs)
