"""Two channels without any provider: `plain` (like a messenger) and `plain_mail` (subjects, tokens, references).

An item says in JSON what `normalise` shall make of it; the body is signed with an HMAC over its raw bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.utils import timezone

from channels_in.models import RawEvent
from tickets.contract import (
    Applied,
    Capabilities,
    ChannelFacts,
    DeliveryError,
    Fetched,
    Identifier,
    InboundFile,
    InboundMessage,
    Item,
    MediaLimit,
    Normalised,
    ParserAway,
    Receipt,
    Rejected,
    Sender,
    Suppressed,
    Unreadable,
)
from tickets.models import Channel

ADAPTERS = {"plain": "tests.plain.Plain", "plain_mail": "tests.plain.PlainMail"}
SECRET = "plain-secret"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Plain:
    kind = "plain"
    label = "Plain"
    icon = "message-square"
    max_body = 100_000
    capabilities = Capabilities(
        media={"*": MediaLimit((), 1_000_000)},
        receipts=("sent", "delivered", "read", "failed"),
        identity_kinds=("phone",),
    )

    def verify(self, channel: ChannelFacts, request: HttpRequest) -> None:
        if not hmac.compare_digest(sign(request.body), request.headers.get("X-Signature", "")):
            raise Rejected("wrong signature")

    def handshake(self, channel: ChannelFacts, request: HttpRequest) -> HttpResponse | None:
        challenge = request.GET.get("challenge")
        return HttpResponse(challenge) if challenge else None

    def items(self, channel: ChannelFacts, request: HttpRequest) -> list[Item]:
        envelope = json.loads(request.body)
        return [
            Item(
                one.get("account", ""),
                one["key"],
                one.get("order", ""),
                json.dumps({"contacts": envelope.get("contacts", []), "item": one}, sort_keys=True).encode(),
            )
            for one in envelope["items"]
            if one["type"] != "typing"
        ]

    def normalise(self, channel: ChannelFacts, raw: bytes, headers: Mapping[str, str]) -> list[Normalised]:
        item = json.loads(raw)["item"]
        several = item.get("parts") or [item]
        return [_result(part) for part in several]

    def send(self, channel: ChannelFacts, message: Any, *, committed: Any) -> Any:
        raise DeliveryError("nothing goes out here", permanent=True)

    def fetch_media(self, channel: ChannelFacts, reference: Mapping[str, Any]) -> Fetched:
        if fault := reference.get("fault"):
            raise DeliveryError(fault, permanent=fault == "gone")
        return Fetched(reference["content"].encode(), "text/plain", reference.get("name", ""))


class PlainMail(Plain):
    kind = "plain_mail"
    capabilities = Capabilities(subject=True, cc=True, chatlike=False, identity_kinds=("email",), needs_parser=True)

    def normalise(self, channel: ChannelFacts, raw: bytes, headers: Mapping[str, str]) -> list[Normalised]:
        if os.environ.get("PLAIN_PARSER") == "away":
            raise ParserAway("nobody there")
        return super().normalise(channel, raw, headers)


def _result(item: dict[str, Any]) -> Normalised:
    at = datetime.fromisoformat(item["at"]) if item.get("at") else None
    match item["type"]:
        case "receipt":
            return Receipt(item["state"], at=at, provider_id=item["provider_id"])
        case "suppressed":
            return Suppressed(item["reason"])
        case "unreadable":
            raise Unreadable("no such form")
        case "boom":
            raise RuntimeError("a bug in the adapter")
        case "deadly":
            if (switch := os.environ.get("PLAIN_DEADLY")) and Path(switch).exists():
                os._exit(9)
        case "message":
            pass
        case kind:
            fallback = (
                _message({**item, "type": "message", "key": f"{item['key']}-edit"}, at) if kind == "edited" else None
            )
            return Applied(
                kind,
                external_message_id=item.get("of", ""),
                sender=_sender(item),
                text=item.get("text", ""),
                at=at,
                fallback=fallback,
                particulars=item.get("particulars", {}),
            )
    return _message(item, at)


def _message(item: dict[str, Any], at: datetime | None) -> InboundMessage:
    known = {name: item[name] for name in InboundMessage.__dataclass_fields__ if name in item}
    files = tuple(
        InboundFile(
            kind=one.get("kind", "document"),
            name=one.get("name", ""),
            content=one["content"].encode() if "content" in one else None,
            reference=one.get("reference", {}),
        )
        for one in item.get("files", [])
    )
    for name in ("references", "reply_tokens", "cc", "to"):
        if name in known:
            known[name] = tuple(known[name])
    return InboundMessage(
        **{"external_message_id": item["key"], **known, "sender": _sender(item), "sent_at": at, "files": files}
    )


def _sender(item: dict[str, Any]) -> Sender:
    given = item.get("from", "+821011112222")
    if isinstance(given, str):
        given = [["email" if "@" in given else "phone", "", given, True, "plain"]]
    return Sender(tuple(Identifier(*one) for one in given), name=item.get("name", ""))


# -- Writing to it ----------------------------------------------------------------------------------------------------


def sign(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def post(
    channel: Channel, *items: dict[str, Any], client: Client | None = None, body: bytes | None = None, **extra: Any
) -> Any:
    """A signed call of the provider."""
    if body is None:
        body = json.dumps({"items": list(items)}).encode()
    headers = {"X-Signature": sign(body), **extra.pop("headers", {})}
    return (client or Client()).post(
        f"/hooks/{channel.slug}/", data=body, content_type="application/json", headers=headers, **extra
    )


def message(key: str, text: str = "Hello", **fields: Any) -> dict[str, Any]:
    return {"type": "message", "key": key, "order": fields.get("order", "c1"), "text": text, **fields}


def due_now() -> None:
    """Everything that waits is due: a test's own transaction has one moment only."""
    RawEvent.objects.filter(state="new").update(next_attempt_at=LONG_AGO)


def come_in(channel: Channel, *items: dict[str, Any]) -> list[RawEvent]:
    """Post and process; returns the rows of these items."""
    from channels_in import process

    keys = [item["key"] for item in items]
    with suppress(KeyError):
        assert post(channel, *items).status_code == 200
    due_now()
    process.drain()
    return list(RawEvent.objects.filter(channel__kind=channel.kind, dedupe_key__in=keys).order_by("id"))


def age(event: RawEvent, **delta: int) -> None:
    """Let it have come in earlier, and be due."""
    from datetime import timedelta

    RawEvent.objects.filter(pk=event.pk).update(
        received_at=timezone.now() - timedelta(**delta), next_attempt_at=LONG_AGO
    )
