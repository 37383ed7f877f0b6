"""Who is on a ticket right now, and what they are doing there; who looks at a tab at all. Redis only; empty while it is away."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import redis
from django.conf import settings

from agents.models import Agent

log = logging.getLogger(__name__)

EXPIRY = 45  # seconds; screens renew every 15
DOINGS = ("viewing", "noting", "replying")  # the weightier later


class Person(NamedTuple):
    id: int
    name: str
    doing: str

    def as_json(self) -> dict[str, Any]:
        """With the hue that this name has on every screen (templatetags/ui.py)."""
        return {**self._asdict(), "hue": zlib.crc32(self.name.strip().casefold().encode()) % 8}


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, decode_responses=True)


def enter(ticket_id: int, agent: Agent, *, screen: str, doing: str, now: datetime) -> list[Person]:
    """This screen of the agent is on the ticket. Returns who is there now."""
    entry = json.dumps([agent.pk, agent.name, doing, now.timestamp()])
    try:
        with _redis().pipeline(transaction=False) as pipe:
            pipe.hset(_key(ticket_id), screen, entry)
            pipe.expire(_key(ticket_id), EXPIRY)
            pipe.hvals(_key(ticket_id))
            return _people(pipe.execute()[-1], now=now)
    except redis.RedisError as error:
        log.warning("presence skipped: %s", type(error).__name__)
        return []


def leave(ticket_id: int, *, screen: str, now: datetime) -> list[Person]:
    """This screen is on the ticket no longer. Returns who is there still."""
    try:
        with _redis().pipeline(transaction=False) as pipe:
            pipe.hdel(_key(ticket_id), screen)
            pipe.hvals(_key(ticket_id))
            return _people(pipe.execute()[-1], now=now)
    except redis.RedisError as error:
        log.warning("presence skipped: %s", type(error).__name__)
        return []


def present(ticket_ids: Iterable[int], *, now: datetime) -> dict[int, list[Person]]:
    """Who is on which of these tickets; tickets with nobody are left out. One round trip."""
    ids = list(ticket_ids)
    if not ids:
        return {}
    try:
        with _redis().pipeline(transaction=False) as pipe:
            for pk in ids:
                pipe.hvals(_key(pk))
            found = pipe.execute()
    except redis.RedisError as error:
        log.warning("presence skipped: %s", type(error).__name__)
        return {}
    people = {pk: _people(entries, now=now) for pk, entries in zip(ids, found, strict=True)}
    return {pk: there for pk, there in people.items() if there}


def look(agent_id: int, *, screen: str, now: datetime) -> None:
    """A tab of theirs is visible to them."""
    try:
        with _redis().pipeline(transaction=False) as pipe:
            pipe.hset(_looks(agent_id), screen, now.timestamp())
            pipe.expire(_looks(agent_id), EXPIRY)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("presence skipped: %s", type(error).__name__)


def look_away(agent_id: int, *, screen: str) -> None:
    """That tab is hidden from them, or closed."""
    try:
        _redis().hdel(_looks(agent_id), screen)
    except redis.RedisError as error:
        log.warning("presence skipped: %s", type(error).__name__)


def looks(agent_id: int, *, now: datetime) -> bool:
    """Whether a tab with a socket has been visible to them within EXPIRY. False where nothing is known."""
    try:
        seen = _redis().hvals(_looks(agent_id))
    except redis.RedisError as error:
        log.warning("presence skipped: %s", type(error).__name__)
        return False
    return any(now.timestamp() - float(at) <= EXPIRY for at in seen)


def _looks(agent_id: int) -> str:
    return f"looks:{agent_id}"


def _key(ticket_id: int) -> str:
    return f"presence:{ticket_id}"


def _people(entries: Iterable[str], *, now: datetime) -> list[Person]:
    """One line per person, with the weightiest thing that any of their screens does."""
    people: dict[int, Person] = {}
    for entry in entries:
        pk, name, doing, at = json.loads(entry)
        if now.timestamp() - at > EXPIRY:
            continue
        known = people.get(pk)
        if known is None or DOINGS.index(doing) > DOINGS.index(known.doing):
            people[pk] = Person(pk, name, doing)
    return sorted(people.values(), key=lambda person: (person.name, person.id))
