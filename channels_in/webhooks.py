"""The door of every provider: verify, cut into items, keep, commit, answer (reliability.md 4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.http import HttpRequest, HttpResponse

from tickets.contract import Item
from tickets.models import Channel


def hook(request: HttpRequest, slug: str) -> HttpResponse:
    raise NotImplementedError


def keep(
    channel: Channel, items: Sequence[Item], *, body: bytes, headers: Mapping[str, str], remote_ip: str | None,
    auth_result: str,
) -> list[int]:
    raise NotImplementedError
