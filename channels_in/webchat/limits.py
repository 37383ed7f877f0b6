"""How often something may happen. Counted in the cache; while it is away nothing is limited, and nothing breaks."""

from __future__ import annotations

from datetime import datetime

from django.core.cache import cache

from channels_in.webchat.options import options_of
from channels_in.webchat.refusals import Refused
from tickets.models import Channel


def spend(name: str, whose: str, *, channel: Channel, now: datetime, code: str = "rate_limited") -> None:
    """Count one more. Raises Refused with the seconds until the window ends."""
    most, seconds = options_of(channel).limits[name]
    key = _key(name, whose, channel=channel, seconds=seconds, now=now)
    cache.add(key, 0, timeout=seconds)
    try:
        count = cache.incr(key)
    except ValueError:  # it ended between the two calls
        count = 1
    if count > most:
        raise Refused(code, retry_after=_left(seconds, now=now))


def spent(name: str, whose: str, *, channel: Channel, now: datetime) -> None:
    """Raises Refused when nothing is left, without counting."""
    most, seconds = options_of(channel).limits[name]
    if cache.get(_key(name, whose, channel=channel, seconds=seconds, now=now), 0) >= most:
        raise Refused("rate_limited", retry_after=_left(seconds, now=now))


def _key(name: str, whose: str, *, channel: Channel, seconds: int, now: datetime) -> str:
    return f"webchat:{name}:{channel.pk}:{whose}:{int(now.timestamp()) // seconds}"


def _left(seconds: int, *, now: datetime) -> int:
    return seconds - int(now.timestamp()) % seconds
