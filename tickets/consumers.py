"""The agents' websocket. It only listens to the hub of tickets/live.py and tells it who is where."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.urls import path
from django.utils import timezone, translation

from agents import presence as attendance
from agents.models import Agent
from tickets import live, presence
from tickets.access import NOBODY, Visibility, tickets_in, visibility_of
from tickets.routing import assign as routing

log = logging.getLogger(__name__)

LARGEST_FRAME = 4096  # bytes
FRAMES_A_MINUTE = 240
LOOK = 10  # seconds for which a tab that was said to be visible needs no saying again
SIGNED_OUT, TOO_MUCH, TOO_SLOW = (
    4401,
    4429,
    4408,
)  # close codes; the browser catches up and comes back after the last two

# What a browser is told, and nothing else of an error.
BAD_JSON, UNKNOWN, NOT_FOUND = "bad_json", "unknown_type", "not_found"


def enter(ticket_id: int, agent: Agent, *, screen: str, doing: str, before: str) -> list[dict[str, Any]]:
    """This screen is on the ticket, and did `before` there until now: colleagues and the customer are told.
    Returns who is there, as the whisper says it."""
    there = presence.enter(ticket_id, agent, screen=screen, doing=doing, now=timezone.now())
    if "replying" in (before, doing) or "noting" in (before, doing):
        _whisper_typing(ticket_id, agent, doing=doing, before=before)
    return _whisper_people(ticket_id, there)


def leave(ticket_id: int, agent: Agent, *, screen: str, before: str) -> None:
    """This screen is on the ticket no longer, and did `before` there: those who are told of `enter` are told."""
    there = presence.leave(ticket_id, screen=screen, now=timezone.now())
    _whisper_people(ticket_id, there)
    if before in ("replying", "noting"):
        _whisper_typing(ticket_id, agent, doing="viewing", before=before)


def _whisper_people(ticket_id: int, there: list[presence.Person]) -> list[dict[str, Any]]:
    people = [person.as_json() for person in there]
    live.whisper("presence", {"ticket": ticket_id, "people": people})
    return people


def _whisper_typing(ticket_id: int, agent: Agent, *, doing: str, before: str) -> None:
    """Customers are told of replies by their own sockets; a note's typing is for colleagues only."""
    writing = doing in ("replying", "noting")
    kind = "note" if "noting" in (doing if writing else before,) else "reply"
    live.whisper("typing", {"ticket": ticket_id, "agent": agent.pk, "kind": kind, "on": writing})


class AgentSocket(AsyncWebsocketConsumer):
    """Frames in: hello {after, ticket}, view {ticket, doing, hidden}. Frames out: event, beat, caught_up, whisper, gone,
    resync, error {code}. Every one of them can also be had by GET (/live/, /marks/)."""

    agent: Agent | None = None
    visibility: Visibility = NOBODY  # until its rights are read; what falls in between is caught up
    language = "en"

    async def connect(self) -> None:
        user = self.scope.get("user")
        if user is None or not user.is_authenticated or not user.is_active:
            await self.close(SIGNED_OUT)
            return
        session = self.scope["session"]
        self.screen = secrets.token_hex(8)
        self.session_key, self.auth_hash = session.session_key, session.get("_auth_user_hash")
        asked = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get("language", [""])[0]
        self.language = asked if asked in dict(settings.LANGUAGES) else user.language
        self.ticket_id: int | None = None
        self.doing = ""
        self._looked = 0.0  # when it was last said that this tab is visible; 0 while it is not
        self._frames = 0
        self._minute = time.monotonic()
        hub = live.hub()
        hub.add(self)  # before anything is read, so that nothing falls in between
        self.agent, self.visibility = await hub.ask(arrive, user.pk)
        hub.keepers.add(keep)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        if self.agent is None:
            return
        try:
            await self._leave()
            await self._look(hidden=True)
        finally:
            live.hub().discard(self)

    # -- From the browser

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._floods() or text_data is None or len(text_data) > LARGEST_FRAME:
            await self.close(TOO_MUCH)
            return
        try:
            frame = json.loads(text_data)
            kind = frame["type"]
        except (ValueError, TypeError, KeyError):
            await self._tell({"type": "error", "code": BAD_JSON})
            return
        if kind == "hello":
            await self._hello(_number(frame.get("after")) or 0, _number(frame.get("ticket")))
        elif kind == "view":
            await self._look(hidden=frame.get("hidden") is True)
            await self._view(_number(frame.get("ticket")), frame.get("doing"))
        else:
            await self._tell({"type": "error", "code": UNKNOWN})

    def _floods(self) -> bool:
        now = time.monotonic()
        if now - self._minute > 60:
            self._minute, self._frames = now, 0
        self._frames += 1
        return self._frames > FRAMES_A_MINUTE

    async def _hello(self, after: int, ticket_id: int | None) -> None:
        missed = await live.hub().ask(_catch_up, self.visibility, after, ticket_id, self.language)
        await self._tell({"type": "caught_up", **missed})

    async def _view(self, ticket_id: int | None, doing: Any) -> None:
        """Which ticket is on the screen, and whether somebody writes there. Renewed every 15 s."""
        doing = doing if doing in presence.DOINGS else "viewing"
        if ticket_id != self.ticket_id:
            await self._leave()
            if ticket_id is None:
                return
            if not await live.hub().ask(_may_see, self.visibility, ticket_id):
                await self._tell({"type": "error", "code": NOT_FOUND})
                return
        if ticket_id is None or self.agent is None:
            return
        before, self.ticket_id, self.doing = self.doing, ticket_id, doing
        await asyncio.to_thread(enter, ticket_id, self.agent, screen=self.screen, doing=doing, before=before)

    async def _look(self, *, hidden: bool) -> None:
        """Whether somebody sees this tab: what is held back from other devices depends on it (push.py)."""
        said = not self._looked if hidden else time.monotonic() - self._looked < LOOK
        if self.agent is None or said:
            return
        self._looked = 0.0 if hidden else time.monotonic()
        if hidden:
            await asyncio.to_thread(presence.look_away, self.agent.pk, screen=self.screen)
        else:
            await asyncio.to_thread(presence.look, self.agent.pk, screen=self.screen, now=timezone.now())

    async def _leave(self) -> None:
        if self.ticket_id is not None and self.agent is not None:
            await asyncio.to_thread(leave, self.ticket_id, self.agent, screen=self.screen, before=self.doing)
        self.ticket_id, self.doing = None, ""

    # -- From the hub

    async def on_event(self, loaded: live.LoadedEvent) -> None:
        if loaded.seen_by(self.visibility):
            text = loaded.rendered.get(self.language)
            if text:
                await self.send(text_data=text)
        elif loaded.thread is not None and loaded.lost_by(self.visibility):
            await self._tell({"type": "gone", "ticket": loaded.thread.pk})

    async def on_whisper(self, topic: str, payload: dict[str, Any]) -> None:
        if topic in ("read", "draft", "bulk", "wrap_up"):
            if self.agent is None or payload.get("agent") != self.agent.pk:
                return
        elif topic == "notified":
            if self.agent is None or self.agent.pk not in payload.get("agents", ()):
                return
            payload = {}  # who else was told is nobody's business
        elif topic in ("presence", "typing", "customer_typing"):
            sight = live.hub().sights.get(payload.get("ticket", 0))
            if sight is None or not self.visibility.sees(brand_id=sight[0], team_id=sight[1], assignee_id=sight[2]):
                return
        elif topic == "signed_out":
            if live.mark_of_session(self.session_key) == payload.get("session"):
                await self.close(SIGNED_OUT)
            return
        else:
            return
        await self._tell({"type": "whisper", "topic": topic, "payload": payload})

    async def on_overflow(self) -> None:
        await self.close(TOO_SLOW)

    async def renewed(self, agent: Agent | None, visibility: Visibility, beat: live.Beat, *, alive: bool) -> None:
        """At each heartbeat: still signed in, still with the same rights?"""
        if agent is None or not alive or self.auth_hash != agent.get_session_auth_hash():
            await self.close(SIGNED_OUT)
            return
        changed, self.agent, self.visibility = visibility != self.visibility, agent, visibility
        if changed:
            await self._tell({"type": "resync"})
        await self.send(text_data=beat.frame(visibility))

    async def _tell(self, frame: dict[str, Any]) -> None:
        await self.send(text_data=live.encode(frame))


async def keep(sinks: list[Any], beat: live.Beat) -> None:
    """For all sockets of this process at once: who may stay, what they may see, and that they are at work."""
    sockets = [sink for sink in sinks if isinstance(sink, AgentSocket) and sink.agent is not None]
    if not sockets:
        return
    ids, keys = {socket.agent.pk for socket in sockets if socket.agent}, {socket.session_key for socket in sockets}
    standing, sessions = await live.hub().ask(_standing, ids, keys)
    for socket in sockets:
        assert socket.agent is not None
        agent, visibility = standing.get(socket.agent.pk, (None, socket.visibility))
        try:
            await socket.renewed(agent, visibility, beat, alive=socket.session_key in sessions)
        except OSError:  # the browser is gone; its disconnect is on the way
            log.debug("a socket went away")
        except Exception:
            log.exception("a socket could not be renewed")


def _standing(ids: set[int], keys: set[str]) -> tuple[dict[int, tuple[Agent, Visibility]], set[str]]:
    now = timezone.now()
    people = Agent.objects.filter(pk__in=ids, is_active=True).prefetch_related("memberships")
    standing = {agent.pk: (agent, visibility_of(agent)) for agent in people}
    attendance.note_seen(standing, now=now)
    sessions = Session.objects.filter(session_key__in=keys, expire_date__gt=now)
    return standing, set(sessions.values_list("session_key", flat=True))


def arrive(agent_id: int) -> tuple[Agent, Visibility]:
    """They are at work; when nobody had heard of them for a while, the queue is looked at."""
    now = timezone.now()
    agent = Agent.objects.get(pk=agent_id)
    with transaction.atomic():
        if attendance.heartbeat(agent, now=now):
            routing.capacity_freed(now=now)
    return agent, visibility_of(agent)


def _catch_up(visibility: Visibility, after: int, ticket_id: int | None, language: str) -> dict[str, Any]:
    with translation.override(language):
        return live.catch_up(visibility, after=after, ticket_id=ticket_id, now=timezone.now())


def _may_see(visibility: Visibility, ticket_id: int) -> bool:
    return tickets_in(visibility).filter(pk=ticket_id).exists()


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


websocket_urlpatterns = [path("live/", AgentSocket.as_asgi())]
