"""Web chat: our own protocol, so there is no provider. The visitor's browser speaks to `views.py`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

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
    OutboundMessage,
    Receipt,
    Rejected,
    Sender,
    SendResult,
    Suppressed,
    Unreadable,
)


class WebChat:
    """`raw` is what `views.py` kept: the browser's words with what the session knew of its visitor."""

    kind = "webchat"
    label = _("Web chat")
    icon = "message-circle"
    form = "channels_in.webchat.forms.WebChatForm"
    capabilities = Capabilities(
        media={"*": MediaLimit(mimes=("",), max_bytes=50_000_000)},
        files_per_part=20,
        text_with_files=True,
        formatted=True,
        typing_out=True,
        read_out=True,
        receipts=("sent", "delivered", "read"),
        idempotent=True,
        resend_without_answer=True,
        identity_kinds=("webchat",),
    )

    def verify(self, channel: ChannelFacts, request: HttpRequest) -> None:
        """Nobody has a webhook here: the panel's calls carry a token of their own."""
        raise Rejected("web chat has no webhook", status=404)

    def handshake(self, channel: ChannelFacts, request: HttpRequest) -> HttpResponse | None:
        return None

    def items(self, channel: ChannelFacts, request: HttpRequest) -> list[Item]:
        return []

    def normalise(self, channel: ChannelFacts, raw: bytes, headers: Mapping[str, str]) -> list[Normalised]:
        try:
            item = json.loads(raw)
            return [_READ.get(item["type"], _unknown)(channel, item)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable(f"{type(error).__name__}: {error}") from error

    def send(self, channel: ChannelFacts, message: OutboundMessage, *, committed: Callable[[], Any]) -> SendResult:
        """The answer is in the thread already, and the open panels were woken on its commit: it is sent."""
        committed()
        return SendResult("", "sent")

    def fetch_media(self, channel: ChannelFacts, reference: Mapping[str, Any]) -> Fetched:
        raise DeliveryError("uploads are stored when they arrive", permanent=True)


def client_uuid_of(session: uuid.UUID, browsers: uuid.UUID) -> uuid.UUID:
    """The browser's UUID counts within its session only."""
    return uuid.uuid5(session, browsers.hex)


def external_id_of(session: uuid.UUID, browsers: uuid.UUID) -> str:
    """By this the panel finds its own line again."""
    return f"{session.hex}:{browsers.hex}"


def _message(channel: ChannelFacts, item: Mapping[str, Any]) -> Normalised:
    session, browsers = uuid.UUID(item["session"]), uuid.UUID(item["client_uuid"])
    return InboundMessage(
        external_message_id=external_id_of(session, browsers),
        sender=_sender(channel, item),
        sent_at=None,
        text=item["text"],
        external_conversation_id=session.hex,
        files=tuple(
            InboundFile(
                kind=file["kind"],
                name=file["name"],
                content_type=file["content_type"],
                size=file["size"],
                sha256=file["sha256"],
                stored_id=file["id"],
            )
            for file in item["files"]
        ),
        ticket_hint=item.get("ticket"),
        client_uuid=str(client_uuid_of(session, browsers)),
        meta={"page": item["page"]} if item.get("page") else {},
    )


def _form(channel: ChannelFacts, item: Mapping[str, Any]) -> Normalised:
    return Applied(kind="identity", sender=_sender(channel, item), at=parse_datetime(item.get("at") or ""))


def _receipt(channel: ChannelFacts, item: Mapping[str, Any]) -> Normalised:
    return Receipt(
        state=item["state"],
        at=parse_datetime(item["at"]),
        ticket_id=int(item["ticket"]),
        up_to_seq=int(item["seq"]),
        external_conversation_id=uuid.UUID(item["session"]).hex,
    )


def _unknown(channel: ChannelFacts, item: Mapping[str, Any]) -> Normalised:
    return Suppressed("unknown kind")


def _sender(channel: ChannelFacts, item: Mapping[str, Any]) -> Sender:
    """The session or the signed user, and a typed address, which stays a claim."""
    subject = item.get("subject", "")
    identifiers = [
        Identifier(
            "webchat",
            channel.brand_key,
            subject or str(uuid.UUID(item["session"])),
            bool(subject),
            "signed_widget" if subject else "session",
        )
    ]
    if item.get("email"):
        identifiers.append(Identifier("email", "", item["email"], False, "typed"))
    return Sender(identifiers=tuple(identifiers), name=item.get("name", ""), locale=item.get("locale", ""))


_READ: Mapping[str, Callable[[ChannelFacts, Mapping[str, Any]], Normalised]] = {
    "message": _message,
    "form": _form,
    "receipt": _receipt,
}
