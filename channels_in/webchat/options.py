"""The settings of a web chat channel, read once with their defaults. All sizes are bytes, all times seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tickets.models import Channel

DEFAULT_LIMITS: Mapping[str, tuple[int, int]] = {  # how many, in how many seconds
    "sessions": (20, 3600),  # per address
    "anonymous": (2000, 3600),  # new anonymous sessions per channel; signed ones are never closed out
    "messages": (20, 60),  # per session
    "uploads": (20, 3600),  # per session
    "identify": (10, 3600),  # refused identities per address
    "signals": (240, 60),  # typing, delivered, read per session
    "events": (120, 60),  # catch-ups per session
}


@dataclass(frozen=True)
class Options:
    origins: tuple[str, ...] = ()  # exact origins that may embed the panel
    greeting: Mapping[str, str] = field(default_factory=dict)  # by language
    ask_email: bool = True  # offer continuity by mail in the thread; always skippable
    text_max: int = 5000  # characters
    file_max: int = 20_000_000
    files_max: int = 10  # files of one message
    uploads_per_day: int = 100_000_000
    token_seconds: int = 900
    renewal_days: int = 30
    limits: Mapping[str, tuple[int, int]] = field(default_factory=lambda: DEFAULT_LIMITS)


def options_of(channel: Channel) -> Options:
    given: Mapping[str, Any] = channel.settings
    limits = {name: tuple(value) for name, value in given.get("limits", {}).items() if name in DEFAULT_LIMITS}
    return Options(
        origins=tuple(given.get("origins", ())),
        greeting=given.get("greeting", {}),
        ask_email=bool(given.get("ask_email", True)),
        text_max=int(given.get("text_max", Options.text_max)),
        file_max=int(given.get("file_max", Options.file_max)),
        token_seconds=min(3600, int(given.get("token_seconds", Options.token_seconds))),
        renewal_days=int(given.get("renewal_days", Options.renewal_days)),
        limits={**DEFAULT_LIMITS, **limits},
    )


def exact_origin(text: str) -> str:
    """`https://shop.example.com` from what an administrator pasted. Raises ValueError for what is no web origin."""
    parts = urlsplit(text.strip().lower())
    if parts.scheme not in ("http", "https") or not parts.hostname or "*" in parts.netloc or "@" in parts.netloc:
        raise ValueError(text)
    default = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, default) else "")
