"""What one WhatsApp change means, in the words of the contract. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from channels_in import phone_numbers
from tickets.contract import (
    Applied,
    DeliveryError,
    Identifier,
    InboundFile,
    InboundMessage,
    Normalised,
    Receipt,
    Sender,
    Suppressed,
)

WINDOW = timedelta(hours=24)  # free answers after the customer's last message
STATES = {"sent": "sent", "delivered": "delivered", "read": "read", "played": "read", "failed": "failed"}
FILES = ("image", "video", "document", "audio", "sticker")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

ErrorOf = Callable[[int, str], DeliveryError]


def read(field: str, value: Mapping[str, Any], entry: Mapping[str, Any], *, error_of: ErrorOf) -> Iterator[Normalised]:
    """The results of one change. `error_of` explains a code of a failed status."""
    contacts = value.get("contacts") or []
    things = False
    for message in value.get("messages") or []:
        things = True
        yield _inbound(message, contacts, value)
    for status in value.get("statuses") or []:
        things = True
        yield _receipt(status, error_of)
    for echo in value.get("message_echoes") or []:
        things = True
        yield _echo(echo, contacts)
    for call in value.get("calls") or []:
        things = True
        yield _call(call, contacts)
    for preference in value.get("user_preferences") or []:
        things = True
        yield Applied(
            "identity",
            sender=_sender({"from": preference.get("wa_id"), "from_user_id": preference.get("user_id")}, contacts),
            at=_time(preference),
            particulars={"change": "marketing", "value": preference.get("value", "")},
        )
    if not things:
        yield _of_the_account(field, value, entry)


def _inbound(message: Mapping[str, Any], contacts: list[Any], value: Mapping[str, Any]) -> Normalised:
    kind, sender, at = message.get("type", ""), _sender(message, contacts), _time(message)
    match kind:
        case "reaction":
            reaction = message["reaction"]
            emoji = reaction.get("emoji") or ""
            return Applied(
                "reaction" if emoji else "reaction_removed",
                external_message_id=str(reaction.get("message_id", "")),
                sender=sender,
                text=emoji,
                at=at,
            )
        case "edit":
            original = str(message["edit"].get("original_message_id", ""))
            changed = {**message, **(message["edit"].get("message") or {}), "context": {}}
            fallback = _message(changed, sender, value)
            return Applied(
                "edited", external_message_id=original, sender=sender, text=fallback.text, at=at, fallback=fallback
            )
        case "revoke":
            original = str(message["revoke"].get("original_message_id", ""))
            return Applied("deleted", external_message_id=original, sender=sender, at=at)
        case "system":
            return _system(message, sender, at)
    if kind == "interactive" and (message.get("interactive") or {}).get("type") == "call_permission_reply":
        answer = message["interactive"].get("call_permission_reply") or {}
        return Applied("identity", sender=sender, at=at, particulars={"change": "call_permission", **answer})
    return _message(message, sender, value)


def _message(
    message: Mapping[str, Any], sender: Sender, value: Mapping[str, Any], *, is_echo: bool = False
) -> InboundMessage:
    """Everything that is a message of its own; a type without words gets a placeholder."""
    text, files, meta, placeholder = _content(message, value)
    context = message.get("context") or {}
    if context.get("forwarded") or context.get("frequently_forwarded"):
        meta["forwarded"] = True
    if message.get("referral"):
        meta["referral"] = message["referral"]
    at = _time(message)
    return InboundMessage(
        external_message_id=str(message["id"]),
        sender=sender,
        sent_at=at,
        text=text,
        files=files,
        external_conversation_id=str(message.get("group_id") or ""),
        reply_to_external_id=str(context.get("id") or ""),
        window_until=at + WINDOW if at and not is_echo else None,
        is_echo=is_echo,
        placeholder=placeholder if not text and not files else "",
        meta=meta,
    )


def _content(
    message: Mapping[str, Any], value: Mapping[str, Any]
) -> tuple[str, tuple[InboundFile, ...], dict[str, Any], str]:
    """(text, files, meta, placeholder)"""
    kind = str(message.get("type", ""))
    body = message.get(kind) or {}
    if kind == "text":
        return _clean(body.get("body")), (), {}, "empty"
    if kind in FILES and body:
        placeholder = "voice" if body.get("voice") else "sticker" if kind == "sticker" else ""
        return _clean(body.get("caption")), (_file(kind, body),), {}, placeholder
    if kind == "location":
        place = {"lat": body.get("latitude"), "lng": body.get("longitude")}
        return "", (), {"location": {**place, **_words(body, "name", "address", "url")}}, "location"
    if kind == "contacts":
        return "", (), {"contacts": [_card(card) for card in body or []]}, "contacts"
    if kind == "button":
        title = _clean(body.get("text"))
        return title, (), {"postback": {"payload": str(body.get("payload", "")), "title": title}}, "empty"
    if kind == "interactive" and body:
        return _interactive(body)
    if kind == "order":
        items = [
            _words(it, "product_retailer_id", "quantity", "item_price", "currency")
            for it in body.get("product_items") or []
        ]
        return (
            _clean(body.get("text")),
            (),
            {"order": {"catalog": str(body.get("catalog_id", "")), "items": items}},
            "order",
        )
    errors = message.get("errors") or value.get("errors") or []
    meta = {"errors": [_words(it, "code", "title") for it in errors]} if errors else {}
    return "", (), meta, "unsupported" if errors or kind == "unsupported" else "unknown"


def _interactive(body: Mapping[str, Any]) -> tuple[str, tuple[InboundFile, ...], dict[str, Any], str]:
    kind = str(body.get("type", ""))
    answer = body.get(kind) or {}
    if kind in ("button_reply", "list_reply"):
        title = _clean(answer.get("title"))
        return title, (), {"postback": {"payload": str(answer.get("id", "")), "title": title}}, "empty"
    if kind == "nfm_reply":
        try:
            values = json.loads(answer.get("response_json") or "{}")
        except ValueError:
            values = {}
        values = {str(key): it for key, it in values.items() if key != "flow_token"} if isinstance(values, dict) else {}
        form = {"name": str(answer.get("name", "")), "values": values}
        return _clean(answer.get("body")), (), {"form": form}, "empty"
    return "", (), {}, "unknown"


def _system(message: Mapping[str, Any], sender: Sender, at: datetime | None) -> Normalised:
    system = message.get("system") or {}
    change = str(system.get("type", ""))
    if change in ("user_changed_number", "customer_changed_number") and (
        new := system.get("wa_id") or system.get("new_wa_id")
    ):
        number = phone_numbers.from_wa_id(str(new))
        old = [it.value for it in sender.identifiers if it.kind == "phone"]
        found = tuple(Identifier("phone", "", it, True, "whatsapp") for it in [number] if it)
        changed = Sender((*sender.identifiers, *found), name=sender.name)
        particulars = {"change": "number", "old": old[0] if old else "", "new": number}
        return Applied("identity", sender=changed, at=at, particulars=particulars)
    if change == "user_changed_user_id":
        ids = [str(system[key]) for key in ("user_id", "parent_user_id") if system.get(key)]
        found = tuple(Identifier("whatsapp", "", it, True, "whatsapp") for it in ids)
        changed = Sender((*sender.identifiers, *found), name=sender.name)
        return Applied("identity", sender=changed, at=at, particulars={"change": "user_id"})
    return Applied(
        "identity", sender=sender, at=at, particulars={"change": change or "unknown", "text": system.get("body", "")}
    )


def _echo(echo: Mapping[str, Any], contacts: list[Any]) -> Normalised:
    """Written by one of us in another tool. Its sender is the customer: that is whose conversation it is."""
    of_customer = {
        "from": echo.get("to"),
        "from_user_id": echo.get("to_user_id"),
        "from_parent_user_id": echo.get("to_parent_user_id"),
    }
    customer = _sender(of_customer, [])
    if echo.get("type") == "revoke":
        original = str((echo.get("revoke") or {}).get("original_message_id", ""))
        return Applied("deleted", external_message_id=original, sender=customer, at=_time(echo))
    if echo.get("type") == "edit":
        edit = echo.get("edit") or {}
        fallback = _message({**echo, **(edit.get("message") or {}), "context": {}}, customer, {}, is_echo=True)
        original = str(edit.get("original_message_id", ""))
        return Applied(
            "edited",
            external_message_id=original,
            sender=customer,
            text=fallback.text,
            at=_time(echo),
            fallback=fallback,
        )
    return _message(echo, customer, {}, is_echo=True)


def _call(call: Mapping[str, Any], contacts: list[Any]) -> Normalised:
    if call.get("event") != "connect" or call.get("direction") == "BUSINESS_INITIATED":
        return Suppressed("call ended" if call.get("event") == "terminate" else "unknown kind")
    return InboundMessage(
        external_message_id=str(call["id"]),
        sender=_sender(call, contacts),
        sent_at=_time(call),
        placeholder="call",
        no_auto_reply=True,
        meta={"call": _words(call, "event", "direction")},
    )


def _of_the_account(field: str, value: Mapping[str, Any], entry: Mapping[str, Any]) -> Normalised:
    known = (
        "account_update",
        "account_alerts",
        "account_review_update",
        "business_capability_update",
        "message_template_status_update",
        "message_template_quality_update",
        "template_category_update",
        "phone_number_name_update",
        "phone_number_quality_update",
        "security",
    )
    if field == "user_id_update":
        changed = {"from": value.get("wa_id"), "from_user_id": value.get("user_id")}
        return Applied(
            "identity", sender=_sender(changed, value.get("contacts") or []), particulars={"change": "user_id"}
        )
    if field in known:
        return Applied("account", at=_time({"timestamp": entry.get("time")}), particulars={"field": field, **value})
    return Suppressed("unknown kind")


def _receipt(status: Mapping[str, Any], error_of: ErrorOf) -> Normalised:
    state = STATES.get(str(status.get("status", "")))
    if state is None:
        return Suppressed("unknown kind")
    ours = str(status.get("biz_opaque_callback_data") or "")
    receipt: dict[str, Any] = {
        "state": state,
        "at": _time(status),
        "provider_id": str(status["id"]),
        "part_uuid": ours if _UUID.fullmatch(ours) else "",
    }
    if state == "failed":
        first = (status.get("errors") or [{}])[0]
        detail = (first.get("error_data") or {}).get("details") or first.get("title") or ""
        code = first.get("code")
        error = error_of(code if isinstance(code, int) else 0, _clean(detail))
        receipt |= {
            "code": "" if code is None else str(code),
            "detail": error.detail,
            "permanent": error.permanent,
            "opted_out": error.opted_out,
            "bad_address": error.bad_address,
        }
    return Receipt(**receipt)


# -- Who, when, what ---------------------------------------------------------------------------------------------------


def _sender(message: Mapping[str, Any], contacts: list[Any]) -> Sender:
    """All names under which WhatsApp knows the person; each is vouched for. A number may be missing (usernames)."""
    numbers = [message.get("from")]
    ids = [message.get("from_user_id"), message.get("from_parent_user_id")]
    name = ""
    own = [it for it in contacts if it.get("wa_id") in numbers or (it.get("user_id") and it.get("user_id") in ids)]
    for contact in own or (contacts if len(contacts) == 1 else []):
        numbers.append(contact.get("wa_id"))
        ids += [contact.get("user_id"), contact.get("parent_user_id")]
        profile = contact.get("profile") or {}
        name = name or _clean(profile.get("name") or profile.get("username"))
    found: dict[Identifier, None] = {}
    for wa_id in filter(None, numbers):
        if number := phone_numbers.from_wa_id(str(wa_id)):
            found[Identifier("phone", "", number, True, "whatsapp")] = None
    for user_id in filter(None, ids):
        found[Identifier("whatsapp", "", str(user_id), True, "whatsapp")] = None
    number = next((it.value for it in found if it.kind == "phone"), "")
    return Sender(tuple(found), name=name, locale=phone_numbers.language_of(number) if number else "")


def _time(thing: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(thing.get("timestamp") or ""), tz=UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _file(kind: str, body: Mapping[str, Any]) -> InboundFile:
    content_type = str(body.get("mime_type") or "application/octet-stream")
    reference = {key: str(body[key]) for key in ("id", "mime_type", "sha256") if body.get(key)}
    name = _clean(body.get("filename"))
    return InboundFile(
        kind="voice" if body.get("voice") else kind,  # type: ignore[arg-type]
        name=name,
        content_type=content_type,
        reference={**reference, "name": name} if name else reference,
    )


def _card(card: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _clean((card.get("name") or {}).get("formatted_name")),
        "phones": [str(it.get("phone") or it.get("wa_id") or "") for it in card.get("phones") or []],
        "emails": [str(it.get("email") or "") for it in card.get("emails") or []],
        "organisation": _clean((card.get("org") or {}).get("company")),
    }


def _words(thing: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: thing[name] for name in names if thing.get(name) not in (None, "")}


def _clean(text: Any) -> str:
    """PostgreSQL keeps no NUL."""
    return str(text or "").replace("\x00", "")
