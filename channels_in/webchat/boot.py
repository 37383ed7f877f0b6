"""What a page may know before anybody has a session: the same for everybody, and cacheable for a minute."""

from __future__ import annotations

import re
import statistics
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from agents import hours, presence
from channels_in.webchat.options import options_of
from tickets.models import Channel, Incident, Ticket

SAMPLE = 50  # the newest answered conversations whose wait is told
MOST_NOTICES = 3
FEWEST = 5  # fewer say nothing
RECENT = timedelta(days=14)


def boot(channel: Channel, *, now: datetime) -> dict[str, Any]:
    """Look, hours, the wait that visitors really had (seconds, median; null while unknown), limits, socket address."""
    options = options_of(channel)
    opening = channel.hours()
    is_open = hours.is_open(opening, now)
    return {
        "name": channel.brand.name,
        "accent": channel.brand.accent if re.fullmatch(r"#[0-9A-Fa-f]{6}", channel.brand.accent) else "",
        "languages": [code for code, _name in settings.LANGUAGES],
        "greeting": options.greeting,
        "open": is_open,
        "opens_at": None if is_open else _next_opening(opening, now),
        "online": is_open and presence.online(now=now).exists(),
        "wait": _wait(channel, now=now),
        "notices": _notices(channel),
        "ask_email": options.ask_email,
        "limits": {"text": options.text_max, "file": options.file_max, "files": options.files_max},
        "socket": f"/chat/{channel.slug}/socket/",
    }


def _notices(channel: Channel) -> dict[str, list[str]]:
    """What is known to be broken now, by language, the newest first."""
    known = Incident.objects.open().filter(brand=channel.brand_id, shows_banner=True).order_by("-id")[:MOST_NOTICES]
    return {code: [incident.text_in(code) for incident in known] for code, _name in settings.LANGUAGES}


def _next_opening(opening: hours.Hours, now: datetime) -> str | None:
    try:
        return hours.next_opening(opening, now).isoformat()
    except hours.NeverOpens:
        return None


def _wait(channel: Channel, *, now: datetime) -> int | None:
    answered = (
        Ticket.objects.filter(first_channel=channel, created_at__gt=now - RECENT, first_reply_at__isnull=False)
        .order_by("-created_at")
        .values_list("created_at", "first_reply_at")[:SAMPLE]
    )
    waits = [(reply - created).total_seconds() for created, reply in answered if reply]
    return int(statistics.median(waits)) if len(waits) >= FEWEST else None
