"""Push to browsers: the only module that publishes to sockets."""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from typing import Any

import redis
from django.conf import settings
from django.db import transaction

from tickets.models import Event

log = logging.getLogger(__name__)
CHANNEL = "live"


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def announce(*events: Event | None) -> None:
    """After the commit, tell the socket processes the ids. Whatever Redis drops, the heartbeat finds."""
    ids = [event.pk for event in events if event is not None]
    if ids:
        transaction.on_commit(lambda: _publish({"events": ids}), robust=True)


def whisper(topic: str, payload: dict[str, Any]) -> None:
    """What leaves no row (typing, presence, read marks): to the sockets at once, never stored."""
    _publish({"topic": topic, "payload": payload})


def _publish(message: dict[str, Any]) -> None:
    try:
        _redis().publish(CHANNEL, json.dumps(message))
    except redis.RedisError as error:
        log.warning("live push skipped: %s", type(error).__name__)
