"""What is measured, one function a row. Each answers seconds per operation of one round."""

from __future__ import annotations

import asyncio
import http.client
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import redis
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Agent, Membership, Team
from channels_in import process
from channels_in.email.pipe import keep_mail
from channels_in.models import RawEvent
from channels_in.sms import fake as sms
from tickets import actions, replies, trials
from tickets.models import Brand, Channel, Message, Rule, RuleTrial, Ticket
from tickets.models.event import by_agent
from tickets.routing import trial

SOCKETS = 1000


class Bare:
    """R1: one bare transaction that inserts a ticket and a message, one connection, synchronous commit."""

    def __init__(self) -> None:
        self.connection = psycopg2.connect(**_plain(connection.get_connection_params()))
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS bench_ticket (id bigserial PRIMARY KEY, subject text, at timestamptz)"
            )
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS bench_message (id bigserial PRIMARY KEY,"
                " ticket_id bigint REFERENCES bench_ticket, text text, at timestamptz)"
            )

    def __call__(self, count: int = 200) -> float:
        began = time.perf_counter()
        for _ in range(count):
            with self.connection, self.connection.cursor() as cursor:
                cursor.execute("INSERT INTO bench_ticket (subject, at) VALUES ('A subject', now()) RETURNING id")
                (pk,) = cursor.fetchone()
                cursor.execute(
                    "INSERT INTO bench_message (ticket_id, text, at) VALUES (%s, %s, now())", [pk, "words " * 20]
                )
        return (time.perf_counter() - began) / count


class Web:
    """One signed-in browser with a connection that it keeps."""

    def __init__(self, address: str, agent: Agent) -> None:
        client = Client()
        client.force_login(agent)
        self.cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
        self.host = urlsplit(address).netloc
        self.connection = http.client.HTTPConnection(self.host, timeout=30)

    def get(self, path: str, *, fragment: bool = False) -> int:
        headers = {"Cookie": self.cookie, "Host": self.host, **({"HX-Request": "true"} if fragment else {})}
        try:
            self.connection.request("GET", path, headers=headers)
            answer = self.connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):  # the server ends what was idle for long
            self.connection.close()
            self.connection.request("GET", path, headers=headers)
            answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")
        return len(body)

    def timed(self, path: str, *, fragment: bool = False, count: int = 20) -> float:
        """The median of single requests."""
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self.get(path, fragment=fragment)
            took.append(time.perf_counter() - began)
        return sorted(took)[count // 2]


def crowd(web: Callable[[], Web], path: str, *, clients: int, each: int = 15) -> tuple[float, float]:
    """(requests per second, 95th percentile of one request) of so many clients at once."""
    browsers, took, lock = [web() for _ in range(clients)], [], threading.Lock()
    for browser in browsers:
        browser.get(path, fragment=True)

    def work(browser: Web) -> None:
        mine = []
        for _ in range(each):
            began = time.perf_counter()
            browser.get(path, fragment=True)
            mine.append(time.perf_counter() - began)
        with lock:
            took.extend(mine)

    threads = [threading.Thread(target=work, args=(browser,)) for browser in browsers]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(took) / (time.perf_counter() - began), sorted(took)[int(len(took) * 0.95)]


def a_mail(sender: str, n: int) -> bytes:
    lines = [
        "Authentication-Results: mx.bench.example; dmarc=pass header.from=example.net",
        f"From: Customer {n} <{sender}>",
        "To: email@bench.example",
        f"Subject: A question about order {n}",
        f"Message-ID: <{uuid.uuid4()}@example.net>",
        "Date: Fri, 20 Nov 2026 10:00:00 +0900",
        "MIME-Version: 1.0",
        'Content-Type: text/plain; charset="utf-8"',
        "",
        "Hello, " + "this is what I would like to know about my order. " * 20,
    ]
    return "\r\n".join(lines).encode()


def intake(channel: Channel, count: int = 25) -> float:
    """The whole way of a mail in one process: keep, parse, match, write, log."""
    began = time.perf_counter()
    for n in range(count):
        keep_mail(channel, a_mail(f"sender-{uuid.uuid4().hex[:10]}@example.net", n))
    while process.process_one():
        pass
    return (time.perf_counter() - began) / count


def doubles(channel: Channel, count: int = 60) -> tuple[int, int]:
    """(messages expected, messages found) when each mail comes twice and four drain at once."""
    import random

    mails = [a_mail(f"double-{uuid.uuid4().hex[:10]}@example.net", n) for n in range(count)]
    twice = mails * 2
    random.shuffle(twice)
    before = Message.objects.filter(direction="in").count()

    def work(mine: list[bytes]) -> None:
        try:
            for mail in mine:
                keep_mail(channel, mail)
                process.process_one()
            while process.process_one():
                pass
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(twice[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = RawEvent.objects.filter(state__in=["new", "processing"]).count()
    return count, Message.objects.filter(direction="in").count() - before + left


def seeded() -> list[Ticket]:
    """Twenty open tickets that nobody has written to in this run; those of the bench's phone are answered by nobody."""
    return list(Ticket.objects.filter(status="open").exclude(last_channel__slug="bench-phone").order_by("-id")[5:25])


def reply(tickets: list[Ticket], agent: Agent, count: int = 20) -> float:
    """One answer: message, parts, event, clocks, in one commit; the sending is somebody else's."""
    took = []
    for n in range(count):
        ticket = tickets[n % len(tickets)]
        route = ticket.routes.select_related("channel__brand", "identity").get()
        began = time.perf_counter()
        replies.post(
            ticket, agent=agent, text="Thank you, we are looking into it.", route=route, client_uuid=uuid.uuid4(),
            seen_message_id=None, now=timezone.now(),
        )  # fmt: skip
        took.append(time.perf_counter() - began)
    return sorted(took)[count // 2]


def inside(agent: Agent, *, fragment: bool) -> Client:
    """A signed-in client inside this very process, for counting and profiling."""
    client = Client(SERVER_NAME="localhost", headers={"HX-Request": "true"} if fragment else None)
    client.force_login(agent)
    return client


def statements(agent: Agent, path: str, *, fragment: bool) -> int:
    client = inside(agent, fragment=fragment)
    client.get(path)
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code}")
    return len(asked)


def hits(agent: Agent, path: str) -> int:
    """How many rows a search shows. Raises when it shows none: nothing would be measured."""
    found = inside(agent, fragment=True).get(path).content.count(b'class="row"')
    if not found:
        raise RuntimeError(f"{path}: nothing found")
    return found


def a_phone(brand: Brand) -> Channel:
    """A number with a team of its own that always has room."""
    known = Channel.objects.filter(slug="bench-phone").select_related("team").first()
    if known is not None:
        return known
    team = Team.objects.create(name="Phone")
    for n in range(5):
        agent = Agent.objects.create(
            email=f"phone{n}@bench.example", name=f"Phone {n}", password="!", capacity=30_000,
            presence=Agent.Presence.ONLINE, seen_at=timezone.now() + timedelta(days=1),
        )  # fmt: skip
        Membership.objects.create(agent=agent, team=team)
    return Channel.objects.create(
        kind="sms", slug="bench-phone", name="Phone", brand=brand, team=team, address="+15550009000",
        account_id="+15550009000", settings={"account_sid": "AC" + "9" * 32}, secrets={"auth_token": "token-of-the-bench"},
    )  # fmt: skip


def a_rule_set(team: Team | None, count: int) -> None:
    """So many rules that are tried one after the other: the last of them holds for everything."""
    Rule.objects.all().delete()
    never = [
        {"all": [{"field": "text", "op": "contains", "value": [f"nobody says {n}"]}, {"field": "channel", "op": "is", "value": ["email"]}]}
        for n in range(count - 1)
    ]  # fmt: skip
    Rule.objects.bulk_create(
        Rule(name=f"Rule {n}", position=n, conditions=tree, actions=[{"do": "team", "team": team.pk if team else 0}])
        for n, tree in enumerate([*never, {}])
    )


def routing(address: str, channel: Channel, count: int = 20) -> list[float]:
    """From an accepted webhook to the commit that gives its ticket to somebody: one after the other, by the worker."""
    host = urlsplit(address).netloc
    took = []
    for _n in range(count):
        sid = f"SM{uuid.uuid4().hex}"
        call = sms.build(channel, sender=f"+82109{uuid.uuid4().int % 10**7:07}", text="Where is my order?", sid=sid)
        line = http.client.HTTPConnection(host, timeout=30)
        line.request("POST", call.path, body=call.body, headers=dict(call.headers))
        status = line.getresponse().status
        line.close()
        if not 200 <= status < 300:
            raise RuntimeError(f"{call.path}: {status}")
        began = time.perf_counter()
        given = RawEvent.objects.filter(channel=channel, dedupe_key=sid)
        while not Ticket.objects.filter(messages__in=given.values("message_id"), assignee__isnull=False).exists():
            if time.perf_counter() - began > 30:
                raise RuntimeError(f"{sid} was given to nobody")
            time.sleep(0.001)
        took.append(time.perf_counter() - began)
    return took


def dry_run(admin: Agent, team: Team) -> float:
    """A rule tried on the last 500 tickets."""
    Rule.objects.all().delete()
    tree = {
        "all": [
            {"field": "text", "op": "contains", "value": ["order"]},
            {"field": "customer_tier", "op": "is", "value": ["vip"]},
        ]
    }
    rule = Rule(
        name="Tried", conditions=tree, actions=[{"do": "team", "team": team.pk}, {"do": "priority", "priority": 3}]
    )
    began = time.perf_counter()
    begun = trial.begin(rule, by=admin, now=timezone.now())
    while not RuleTrial.objects.filter(pk=begun.pk, finished_at__isnull=False).exists():
        trial.drain(now=timezone.now(), seconds=5)
    took = time.perf_counter() - began
    if begun.total != trials.LAST:
        raise RuntimeError(f"it looked at {begun.total} tickets")
    return took


class Sockets:
    """A thousand agents' sockets, and beside them a thousand raw subscribers of Redis."""

    def __init__(self, address: str, origin: str, agents: list[Agent]) -> None:
        self.address, self.origin = address.replace("http", "ws", 1) + "/live/", origin
        self.cookies = []
        for agent in agents:
            client = Client()
            client.force_login(agent)
            self.cookies.append(f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}")

    async def open(self) -> None:
        import websockets
        from websockets.typing import Origin

        gate = asyncio.Semaphore(40)

        async def one(n: int) -> Any:
            async with gate:
                return await websockets.connect(
                    self.address, origin=Origin(self.origin), additional_headers={"Cookie": self.cookies[n % len(self.cookies)]},
                    max_size=2**22, open_timeout=180, ping_interval=None, compression=None,
                )  # fmt: skip

        self.sockets = await asyncio.gather(*(one(n) for n in range(SOCKETS)))
        self.seen: dict[int, int] = {}
        self.last: dict[int, float] = {}
        self.tasks = [asyncio.create_task(self._listen(socket)) for socket in self.sockets]

    async def _listen(self, socket: Any) -> None:
        import json

        async for text in socket:
            if '"event"' not in text[:400]:
                continue
            frame = json.loads(text)
            if frame.get("type") == "event":
                self.seen[frame["id"]] = self.seen.get(frame["id"], 0) + 1
                self.last[frame["id"]] = time.perf_counter()

    async def fan_out(self, ticket: Ticket, agent: Agent, priority: int) -> float:
        """Seconds from the commit to the last of the thousand."""
        event = await asyncio.to_thread(
            actions.set_priority, ticket, priority, by=by_agent(agent), now=timezone.now()
        )  # commits inside
        began = time.perf_counter()
        if event is None:
            raise RuntimeError("the priority was the same")
        deadline = began + 30
        while self.seen.get(event.pk, 0) < SOCKETS and time.perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        if self.seen.get(event.pk, 0) < SOCKETS:
            raise RuntimeError(f"{self.seen.get(event.pk, 0)} of {SOCKETS} sockets heard of it")
        return max(self.last[event.pk] - began, 0.0005)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*(socket.close() for socket in self.sockets), return_exceptions=True)


class Subscribers:
    """F: a bare PUBLISH to a thousand raw subscribers."""

    async def open(self) -> None:
        from redis import asyncio as aredis

        self.heard, self.last = 0, 0.0
        self.clients = [aredis.Redis.from_url(settings.REDIS_URL) for _ in range(SOCKETS)]
        self.subscriptions = []
        for client in self.clients:
            subscription = client.pubsub(ignore_subscribe_messages=True)
            await subscription.subscribe("bench")
            self.subscriptions.append(subscription)
        self.tasks = [asyncio.create_task(self._listen(subscription)) for subscription in self.subscriptions]
        self.publisher = redis.Redis.from_url(settings.REDIS_URL)
        await asyncio.sleep(1)

    async def _listen(self, subscription: Any) -> None:
        async for _message in subscription.listen():
            self.heard += 1
            self.last = time.perf_counter()

    async def publish(self) -> float:
        self.heard = 0
        began = time.perf_counter()
        await asyncio.to_thread(self.publisher.publish, "bench", "x" * 40)
        deadline = began + 10
        while self.heard < SOCKETS and time.perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        return self.last - began

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        for client in self.clients:
            await client.aclose()


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in parameters.items()
        if key in ("dbname", "database", "user", "password", "host", "port")
    }
