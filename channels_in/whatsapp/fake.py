"""A simulated WhatsApp Cloud API: the Graph calls as views, its webhooks as functions. Demo and tests only.

A channel uses it when its `base_url` is `base_url()`. Tokens are those of the channel.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from channels_in.models import FakeRecord
from channels_in.simulator import provider
from channels_in.simulator.mount import only_in_demo
from channels_in.simulator.provider import Call, FakeFile, Post
from channels_in.whatsapp.adapter import signature
from tickets.models import Channel

PROVIDER = "whatsapp"
ROOT = "/fake/whatsapp"
VERSION = "v23.0"
WINDOW = timedelta(hours=24)
DETAILS = {
    131009: "Parameter value is not valid",
    131026: "Message undeliverable",
    131047: "More than 24 hours have passed since the customer last replied to this number",
    131056: "Too many messages sent from the sender to the same recipient",
    190: "Invalid OAuth access token",
}


def _approved(name: str, language: str, body: str) -> dict[str, Any]:
    words = {"name": name, "language": language, "status": "APPROVED", "category": "UTILITY"}
    return {**words, "parameter_format": "POSITIONAL", "components": [{"type": "BODY", "text": body}]}


TEMPLATES = [
    _approved(
        "delivery_update",
        "ko",
        "안녕하세요 {{1}} 님, 주문하신 상품은 {{2}}에 도착합니다. 더 궁금한 점은 이 창에 답장해 주세요.",
    ),
    _approved(
        "delivery_update", "en", "Hello {{1}}, your order arrives on {{2}}. Reply here if there is anything else."
    ),
    _approved(
        "follow_up",
        "ko",
        "{{1}} 님, 문의하신 내용에 답변드릴 것이 있습니다. 이 메시지에 답장해 주시면 이어서 안내해 드리겠습니다.",
    ),
    _approved(
        "follow_up", "en", "Hello {{1}}, we have an answer for you. Reply to this message and we will go on from here."
    ),
]


def base_url() -> str:
    """What a channel's `base_url` must be to use this WhatsApp."""
    return f"http://127.0.0.1:{settings.PORT}{ROOT}/{VERSION}"


def demo_settings() -> tuple[dict[str, Any], dict[str, str]]:
    """(settings, secrets) of a new channel that is connected with this WhatsApp."""
    return (
        {"waba_id": str(10**14 + secrets.randbelow(10**14)), "base_url": base_url()},
        {
            "app_secret": secrets.token_hex(16),
            "verify_token": secrets.token_hex(16),
            "access_token": secrets.token_hex(32),
        },
    )


# -- What the customer does ----------------------------------------------------------------------------------------------


def user_id_of(number: str) -> str:
    """The business-scoped user id of a simulated person: the same for the same number."""
    digest = int(hashlib.sha256(number.encode()).hexdigest()[:15], 16)
    return f"{'KR' if number.startswith('+82') else 'US'}.{digest}"


def message(
    sender: str, *, kind: str = "text", at: datetime | None = None, wamid: str = "", **content: Any
) -> dict[str, Any]:
    """One element of `messages[]`. `content` is what stands under its type, and `context` beside it."""
    context = content.pop("context", None)
    found = {
        "from": sender.lstrip("+"),
        "from_user_id": user_id_of(sender),
        "id": wamid or new_wamid(),
        "timestamp": str(int((at or timezone.now()).timestamp())),
        "type": kind,
        kind: content,
    }
    return {**found, "context": context} if context else found


def contact(sender: str, name: str = "") -> dict[str, Any]:
    return {"profile": {"name": name or sender}, "wa_id": sender.lstrip("+"), "user_id": user_id_of(sender)}


def change(channel: Channel, *, field: str = "messages", **value: Any) -> dict[str, Any]:
    """One element of `changes[]`: `messages`, `statuses`, `contacts` ... of one number of ours."""
    metadata = {"display_phone_number": channel.address.lstrip("+"), "phone_number_id": channel.account_id}
    return {"field": field, "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}


def signed(channel: Channel, *changes: Mapping[str, Any]) -> Call:
    """One webhook with all these changes, signed with the app's secret and posted to this channel's address."""
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": str(channel.settings.get("waba_id", "0")), "changes": list(changes)}],
    }
    raw = json.dumps(body, ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": signature(channel.facts().secrets["app_secret"], raw),
    }
    return Call(provider.hook_path(channel.facts().hook_url), headers, raw)


def build(
    channel: Channel,
    *,
    sender: str,
    text: str = "",
    name: str = "",
    media: Sequence[FakeFile] = (),
    at: datetime | None = None,
    wamid: str = "",
    reply_to: str = "",
) -> Call:
    """The signed webhook of one text, or of one message for each file (the text is the caption of the first)."""
    context = {"from": channel.address.lstrip("+"), "id": reply_to} if reply_to else None
    messages: list[dict[str, Any]] = []
    for n, file in enumerate(media):
        kept = provider.keep_media(PROVIDER, channel.account_id, file)
        family = file.content_type.partition("/")[0]
        kind = family if family in ("image", "video", "audio") else "document"
        content: dict[str, Any] = {"id": kept.key, "mime_type": file.content_type, "sha256": _base64_hash(file.content)}
        if text and n == 0 and kind != "audio":
            content["caption"] = text
        if kind == "document":
            content["filename"] = file.name
        messages.append(message(sender, kind=kind, at=at, wamid=wamid if n == 0 else "", context=context, **content))
    if not media or (text and "audio" in messages[0]):
        messages.insert(0, message(sender, at=at, wamid="" if media else wamid, context=context, body=text))
    return signed(channel, change(channel, contacts=[contact(sender, name)], messages=messages))


def customer_writes(
    channel: Channel,
    *,
    sender: str,
    text: str = "",
    name: str = "",
    media: Sequence[FakeFile] = (),
    reply_to: str = "",
    duplicate: bool = False,
    post: Post | None = None,
) -> str:
    """A message from `sender` (E.164) through our webhook. Returns its wamid. Call it outside a transaction."""
    wamid, now = new_wamid(), timezone.now()
    call = build(channel, sender=sender, text=text, name=name, media=media, at=now, wamid=wamid, reply_to=reply_to)
    files = [{"name": file.name, "content_type": file.content_type, "url": ""} for file in media]
    provider.record_message(
        PROVIDER,
        channel.account_id,
        wamid,
        person=sender,
        direction="to_us",
        text=text,
        files=files,
        user_id=user_id_of(sender),
    )
    _post(channel, sender, call, duplicate=duplicate, post=post, key=wamid)
    return wamid


def customer_reads(channel: Channel, *, sender: str, now: datetime) -> int:
    """The conversation is open on the phone: what arrived is read now. Returns how many messages that were."""
    reading = 0
    for kept in provider.messages_with(PROVIDER, sender):
        states = kept.payload["states"]
        if kept.payload["direction"] != "to_person" or "delivered" not in states or "read" in states:
            continue
        call = status(channel, wamid=kept.key, state="read", to=sender, part=kept.payload["part"], at=now)
        provider.note_state(PROVIDER, kept.key, "read", now=now)
        provider.call_later(PROVIDER, channel.account_id, call, at=now)
        reading += 1
    return reading


def status(
    channel: Channel, *, wamid: str, state: str, to: str, part: str = "", at: datetime | None = None, code: int = 0
) -> Call:
    """The signed webhook of what became of a message of ours."""
    found: dict[str, Any] = {
        "id": wamid,
        "status": state,
        "timestamp": str(int((at or timezone.now()).timestamp())),
        "recipient_id": to.lstrip("+"),
    }
    if part:
        found["biz_opaque_callback_data"] = part
    if code:
        title = DETAILS.get(code, "Message undeliverable")
        found["errors"] = [{"code": code, "title": title, "message": title, "error_data": {"details": title}}]
    return signed(channel, change(channel, statuses=[found]))


def new_wamid() -> str:
    return f"wamid.{base64.b64encode(secrets.token_bytes(24)).decode()}"


# -- Graph -----------------------------------------------------------------------------------------------------------------


@csrf_exempt
@require_POST
def messages(request: HttpRequest, version: str, phone: str) -> HttpResponse:
    channel = _channel_of(phone)
    if channel is None or not _authorised(request, channel):
        return _error(401, 190)
    body = json.loads(request.body)
    if body.get("status") == "read":
        return JsonResponse({"success": True})
    person = _person_of(body)
    trouble = provider.mode_of(PROVIDER, channel.account_id, person=person)
    if refusal := _refusal(trouble, person, body):
        return refusal
    wamid, part = new_wamid(), str(body.get("biz_opaque_callback_data", ""))
    text, files = _shown(body)
    provider.record_message(
        PROVIDER,
        channel.account_id,
        wamid,
        person=person,
        direction="to_person",
        text=text,
        files=files,
        part=part,
        body=body,
        reply_to=(body.get("context") or {}).get("message_id", ""),
    )
    _report(channel, wamid=wamid, part=part, person=person, trouble=trouble)
    if trouble.mode == "hang":
        time.sleep(provider.HANG)
    if trouble.mode == "cut":
        return HttpResponse(b'{"messages"', headers={"Content-Length": "400"}, content_type="application/json")
    address = body.get("to") or body.get("recipient")
    return JsonResponse(
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": address, "wa_id": person.lstrip("+"), "user_id": user_id_of(person)}],
            "messages": [{"id": wamid, "message_status": "accepted"}],
        }
    )


@csrf_exempt
@require_POST
def upload(request: HttpRequest, version: str, phone: str) -> HttpResponse:
    channel = _channel_of(phone)
    if channel is None or not _authorised(request, channel):
        return _error(401, 190)
    given = request.FILES.get("file")
    if given is None or request.POST.get("messaging_product") != "whatsapp":
        return _error(400, 131009)
    content_type = request.POST.get("type") or given.content_type or ""
    kept = provider.keep_media(PROVIDER, phone, FakeFile(given.name or "", content_type, given.read()))
    return JsonResponse({"id": kept.key})


@require_GET
def node(request: HttpRequest, version: str, key: str) -> HttpResponse:
    """What an id stands for: a phone number, or a file."""
    channel = _channel_of(key)
    return media(request, key) if channel is None else _number(request, channel)


@require_GET
def templates(request: HttpRequest, version: str, waba: str) -> HttpResponse:
    """The approved messages of a business account."""
    accounts = Channel.objects.select_related("brand").filter(kind=PROVIDER, settings__waba_id=waba)
    if not any(_authorised(request, channel) for channel in accounts):
        return _error(401, 190)
    return JsonResponse({"data": TEMPLATES, "paging": {}})


def _number(request: HttpRequest, channel: Channel) -> HttpResponse:
    trouble = provider.mode_of(PROVIDER, channel.account_id)
    if not _authorised(request, channel) or trouble.mode == "unauthorised":
        return _error(401, 190)
    if trouble.mode in ("busy", "broken"):
        return _refusal(trouble, "", {}) or _error(500, 131000)
    number = {"id": channel.account_id, "display_phone_number": channel.address, "verified_name": channel.brand.name}
    return JsonResponse(number)


def media(request: HttpRequest, key: str) -> HttpResponse:
    found = provider.media(PROVIDER, key)
    if not _known_token(request):
        return _error(401, 190)
    if found is None:
        return _error(404, 100)
    file, _expired = found
    return JsonResponse(
        {
            "messaging_product": "whatsapp",
            "url": request.build_absolute_uri(f"{ROOT}/download/{key}"),
            "mime_type": file.content_type,
            "sha256": hashlib.sha256(file.content).hexdigest(),
            "file_size": len(file.content),
            "id": key,
        }
    )


@require_GET
def download(request: HttpRequest, key: str) -> HttpResponse:
    found = provider.media(PROVIDER, key)
    if found is None or found[1] or not _known_token(request):
        return HttpResponse(status=404)
    return HttpResponse(found[0].content, content_type=found[0].content_type)


urlpatterns = only_in_demo(
    [
        path("download/<str:key>", download),
        path("<str:version>/<str:phone>/messages", messages),
        path("<str:version>/<str:phone>/media", upload),
        path("<str:version>/<str:waba>/message_templates", templates),
        path("<str:version>/<str:key>", node),
    ]
)


def _post(
    channel: Channel, sender: str, call: Call, *, duplicate: bool = False, post: Post | None = None, key: str = ""
) -> None:
    mode = "doubled" if duplicate else provider.mode_of(PROVIDER, channel.account_id, person=sender).mode
    answered = provider.deliver_call(PROVIDER, channel.account_id, call, mode=mode, post=post)
    if key and 200 <= answered < 300:
        provider.note_state(PROVIDER, key, "delivered", now=timezone.now())


def _refusal(trouble: provider.Trouble, person: str, body: Mapping[str, Any]) -> HttpResponse | None:
    match trouble.mode:
        case "unauthorised":
            return _error(401, 190)
        case "busy":
            return _error(400, 131056, {"Retry-After": "2"})
        case "broken":
            return HttpResponse("Internal Server Error", status=500, content_type="text/plain")
        case "opted_out":
            return _error(400, 131026)
        case "refused":
            return _error(400, int(trouble.code or 131009))
    if body.get("type") == "text" and not 0 < len((body.get("text") or {}).get("body", "")) <= 4096:
        return _error(400, 131009)
    if body.get("type") != "template" and _window_is_closed(person):
        return _error(400, 131047)
    return None


def _window_is_closed(person: str) -> bool:
    """24 hours after the person's last message. Somebody who never wrote here is taken as just written to."""
    theirs = [it for it in provider.messages_with(PROVIDER, person) if it.payload["direction"] == "to_us"]
    return bool(theirs) and theirs[-1].at < timezone.now() - WINDOW


def _report(channel: Channel, *, wamid: str, part: str, person: str, trouble: provider.Trouble) -> None:
    if trouble.mode == "silent":
        return
    steps = [("sent", 0), ("delivered", 0)]
    if trouble.mode == "undelivered":
        steps = [("sent", 0), ("failed", int(trouble.code or 131026))]
    if trouble.mode == "reordered":
        steps.reverse()
    now = timezone.now()
    for n, (state, code) in enumerate(steps):
        at = now + timedelta(milliseconds=300 + 700 * n)
        call = status(channel, wamid=wamid, state=state, to=person, part=part, at=at, code=code)
        for _again in range(2 if trouble.mode == "doubled" else 1):
            provider.call_later(PROVIDER, channel.account_id, call, at=at, key=wamid, state=state)


def _person_of(body: Mapping[str, Any]) -> str:
    if to := body.get("to"):
        return f"+{str(to).lstrip('+')}"
    user_id = str(body.get("recipient", ""))
    known = FakeRecord.objects.filter(provider=PROVIDER, kind="message", payload__user_id=user_id).first()
    return known.payload["person"] if known else user_id


def _shown(body: Mapping[str, Any]) -> tuple[str, list[dict[str, str]]]:
    """What the phone shows of a message: (text, files)."""
    kind = str(body.get("type", ""))
    content = body.get(kind) or {}
    if kind == "text":
        return str(content.get("body", "")), []
    if kind == "template":
        words = [str(it.get("text", "")) for part in content.get("components", []) for it in part.get("parameters", [])]
        return " · ".join([str(content.get("name", "")), *words]), []
    found = provider.media(PROVIDER, str(content.get("id", "")))
    name = content.get("filename") or (found[0].name if found else "")
    content_type = found[0].content_type if found else ""
    return str(content.get("caption", "")), [
        {"name": name, "content_type": content_type, "media": str(content.get("id", ""))}
    ]


def _channel_of(phone: str) -> Channel | None:
    return Channel.objects.select_related("brand").filter(kind=PROVIDER, account_id=phone).order_by("id").first()


def _authorised(request: HttpRequest, channel: Channel) -> bool:
    return request.headers.get("Authorization") == f"Bearer {channel.facts().secrets.get('access_token')}"


def _known_token(request: HttpRequest) -> bool:
    return any(
        _authorised(request, channel) for channel in Channel.objects.select_related("brand").filter(kind=PROVIDER)
    )


def _base64_hash(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _error(status_code: int, code: int, headers: dict[str, str] | None = None) -> HttpResponse:
    detail = DETAILS.get(code, "Refused")
    error = {
        "message": f"(#{code}) {detail}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": detail},
        "fbtrace_id": secrets.token_hex(6),
    }
    body = json.dumps({"error": error})
    return HttpResponse(body, status=status_code, headers=headers or {}, content_type="application/json")
