"""A simulated Twilio: its REST interface as views, its webhooks as functions. Demo and tests only.

A channel uses it when its `base_url` is `base_url()`. The account's credentials are those of the channel.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import secrets
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from channels_in.simulator import provider
from channels_in.simulator.mount import only_in_demo
from channels_in.simulator.provider import Call, FakeFile, Post
from channels_in.sms.adapter import opt_word, signature
from tickets.models import Channel

PROVIDER = "sms"
ROOT = "/fake/sms"
NAME_OF_CODE = {
    20003: "Authenticate",
    20429: "Too Many Requests",
    21211: "Invalid 'To' Phone Number",
    21602: "Message body is required",
    21610: "Attempt to send to unsubscribed recipient",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21620: "Too many media files",
}


def base_url() -> str:
    """What a channel's `base_url` must be to use this Twilio."""
    return f"http://127.0.0.1:{settings.PORT}{ROOT}"


def demo_settings() -> tuple[dict[str, Any], dict[str, str]]:
    """(settings, secrets) of a new channel that is connected with this Twilio."""
    return {"account_sid": f"AC{secrets.token_hex(16)}", "base_url": base_url()}, {"auth_token": secrets.token_hex(16)}


# -- What the customer does ----------------------------------------------------------------------------------------------


def build(
    channel: Channel, *, sender: str, text: str = "", media: Sequence[FakeFile] = (), sid: str = "", **more: str
) -> Call:
    """The signed webhook of one SMS or MMS. `sender` is E.164; `more` are further parameters, which win."""
    sid = sid or f"{'MM' if media else 'SM'}{secrets.token_hex(16)}"
    account = _account_of(channel)
    form = {
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": account,
        "From": sender,
        "To": channel.account_id,
        "Body": text,
        "NumMedia": str(len(media)),
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
    }
    if channel.settings.get("messaging_service_sid"):
        form["MessagingServiceSid"] = str(channel.settings["messaging_service_sid"])
    for n, file in enumerate(media):
        kept = provider.keep_media(PROVIDER, account, file)
        address = f"{channel.settings['base_url']}/2010-04-01/Accounts/{account}/Messages/{sid}/Media/ME{kept.key}"
        form |= {f"MediaUrl{n}": address, f"MediaContentType{n}": file.content_type}
    return signed(channel, channel.facts().hook_url, {**form, **more})


def signed(channel: Channel, url: str, form: dict[str, str]) -> Call:
    """A form as Twilio posts it to `url`, which is one of ours."""
    return Call(
        provider.hook_path(url),
        {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signature(channel.facts().secrets["auth_token"], url, form.items()),
            "I-Twilio-Idempotency-Token": secrets.token_hex(16),
        },
        urlencode(form).encode(),
    )


def status(channel: Channel, url: str, *, sid: str, state: str, to: str, code: str = "") -> Call:
    """The signed status callback of a message of ours."""
    form = {
        "MessageSid": sid,
        "SmsSid": sid,
        "MessageStatus": state,
        "SmsStatus": state,
        "To": to,
        "From": channel.account_id,
        "AccountSid": _account_of(channel),
        "ApiVersion": "2010-04-01",
    }
    if code:
        form |= {"ErrorCode": code, "ErrorMessage": NAME_OF_CODE.get(int(code), "Delivery failed")}
    return signed(channel, url, form)


def customer_writes(
    channel: Channel,
    *,
    sender: str,
    text: str = "",
    media: Sequence[FakeFile] = (),
    duplicate: bool = False,
    post: Post | None = None,
) -> str:
    """One SMS or MMS from `sender` through our webhook. Returns its sid. Call it outside a transaction."""
    sid = f"{'MM' if media else 'SM'}{secrets.token_hex(16)}"
    call = build(channel, sender=sender, text=text, media=media, sid=sid)
    files = [{"name": file.name, "content_type": file.content_type, "url": ""} for file in media]
    provider.record_message(
        PROVIDER, channel.account_id, sid, person=sender, direction="to_us", text=text, files=files, opt=opt_word(text)
    )
    mode = "doubled" if duplicate else provider.mode_of(PROVIDER, channel.account_id, person=sender).mode
    if 200 <= provider.deliver_call(PROVIDER, channel.account_id, call, mode=mode, post=post) < 300:
        provider.note_state(PROVIDER, sid, "delivered", now=timezone.now())
    return sid


# -- REST ----------------------------------------------------------------------------------------------------------------


@csrf_exempt
@require_POST
def messages(request: HttpRequest, account: str) -> HttpResponse:
    channel = _channel_of(account)
    if channel is None or not _authorised(request, channel):
        return _error(401, 20003)
    to, body, media = request.POST.get("To", ""), request.POST.get("Body", ""), request.POST.getlist("MediaUrl")
    channel = _sender_of(request, account) or channel
    trouble = provider.mode_of(PROVIDER, channel.account_id, person=to)
    if refusal := _refusal(trouble, channel, to, body, media):
        return refusal
    sid = f"{'MM' if media else 'SM'}{secrets.token_hex(16)}"
    provider.record_message(
        PROVIDER,
        channel.account_id,
        sid,
        person=to,
        direction="to_person",
        text=body,
        files=[_linked(url) for url in media],
        form={key: request.POST.getlist(key) for key in request.POST},
    )
    _report(channel, request.POST.get("StatusCallback", ""), sid=sid, to=to, trouble=trouble)
    if trouble.mode == "hang":
        time.sleep(provider.HANG)
    answer = {
        "sid": sid,
        "account_sid": account,
        "status": "queued",
        "direction": "outbound-api",
        "from": channel.account_id,
        "to": to,
        "body": body,
        "num_segments": "1",
        "num_media": str(len(media)),
        "error_code": None,
        "error_message": None,
        "api_version": "2010-04-01",
    }
    if trouble.mode == "cut":  # fewer bytes than announced: the server closes the connection in the middle
        return HttpResponse(b'{"sid"', status=201, headers={"Content-Length": "400"}, content_type="application/json")
    return JsonResponse(answer, status=201)


@require_GET
def account(request: HttpRequest, account: str) -> HttpResponse:
    channel = _channel_of(account)
    if channel is None or not _authorised(request, channel):
        return _error(401, 20003)
    trouble = provider.mode_of(PROVIDER, channel.account_id)
    if trouble.mode in ("unauthorised", "busy", "broken"):
        return _refusal(trouble, channel, "", "", []) or _error(500, 0)
    return JsonResponse({"sid": account, "friendly_name": channel.name, "status": "active", "type": "Full"})


@require_GET
def media(request: HttpRequest, account: str, message: str, key: str) -> HttpResponse:
    """Wants the account's credentials and leads to another host, as Twilio does."""
    channel = _channel_of(account)
    if channel is None or not _authorised(request, channel):
        return _error(401, 20003)
    found = provider.media(PROVIDER, key.removeprefix("ME"))
    if found is None or found[1]:
        return _error(404, 20404)
    elsewhere = "localhost" if request.get_host().startswith("127.") else "127.0.0.1"
    return HttpResponseRedirect(f"http://{elsewhere}:{request.get_port()}{ROOT}/cdn/{key.removeprefix('ME')}")


@require_GET
def cdn(request: HttpRequest, key: str) -> HttpResponse:
    """The other host: it refuses whoever shows it the account's credentials."""
    found = provider.media(PROVIDER, key)
    if found is None or "Authorization" in request.headers:
        return HttpResponse("Bad Request", status=400, content_type="text/plain")
    return HttpResponse(found[0].content, content_type=found[0].content_type)


urlpatterns = only_in_demo(
    [
        path("2010-04-01/Accounts/<str:account>.json", account),
        path("2010-04-01/Accounts/<str:account>/Messages.json", messages),
        path("2010-04-01/Accounts/<str:account>/Messages/<str:message>/Media/<str:key>", media),
        path("cdn/<str:key>", cdn),
    ]
)


def _refusal(
    trouble: provider.Trouble, channel: Channel, to: str, body: str, media: Sequence[str]
) -> HttpResponse | None:
    match trouble.mode:
        case "unauthorised":
            return _error(401, 20003)
        case "busy":
            return _error(429, 20429, {"Retry-After": "2"})
        case "broken":
            return HttpResponse("Internal Server Error", status=500, content_type="text/plain")
        case "refused":
            return _error(400, int(trouble.code or 21612))
    if trouble.mode == "opted_out" or _has_opted_out(to):
        return _error(400, 21610)
    if not re.fullmatch(r"\+\d{6,15}", to):
        return _error(400, 21211)
    if not body and not media:
        return _error(400, 21602)
    if len(body) > 1600:
        return _error(400, 21617)
    return _error(400, 21620) if len(media) > 10 else None


def _has_opted_out(person: str) -> bool:
    """Twilio itself blocks a number after STOP, until START."""
    words = [
        it.payload["opt"]
        for it in provider.messages_with(PROVIDER, person)
        if it.payload.get("opt") in ("stop", "start")
    ]
    return bool(words) and words[-1] == "stop"


def _report(channel: Channel, callback: str, *, sid: str, to: str, trouble: provider.Trouble) -> None:
    if trouble.mode == "silent" or not callback.startswith(settings.SITE_URL):
        return
    steps = [("sent", "sent", ""), ("delivered", "delivered", "")]
    if trouble.mode == "undelivered":
        steps = [("sent", "sent", ""), ("undelivered", "failed", trouble.code or "30005")]
    if trouble.mode == "reordered":
        steps.reverse()
    now = timezone.now()
    for n, (state, shown, code) in enumerate(steps):
        call = status(channel, callback, sid=sid, state=state, to=to, code=code)
        for _again in range(2 if trouble.mode == "doubled" else 1):
            at = now + timedelta(milliseconds=400 + 900 * n)
            provider.call_later(PROVIDER, channel.account_id, call, at=at, key=sid, state=shown)


def _linked(url: str) -> dict[str, str]:
    return {"name": urlsplit(url).path.rstrip("/").rpartition("/")[2], "content_type": "", "url": url}


def _account_of(channel: Channel) -> str:
    return str(channel.settings.get("account_sid") or channel.app_id)


def _channel_of(account: str) -> Channel | None:
    found = Channel.objects.select_related("brand").filter(kind=PROVIDER, settings__account_sid=account)
    return found.order_by("id").first()


def _sender_of(request: HttpRequest, account: str) -> Channel | None:
    sender = request.POST.get("From") or request.POST.get("MessagingServiceSid", "")
    found = Channel.objects.select_related("brand").filter(kind=PROVIDER, settings__account_sid=account)
    return (
        found.filter(account_id=sender).first() or found.filter(settings__messaging_service_sid=sender).first()
        if sender
        else None
    )


def _authorised(request: HttpRequest, channel: Channel) -> bool:
    scheme, _space, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        user, _colon, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    expected = channel.facts().secrets.get("auth_token", "")
    known = scheme == "Basic" and user == _account_of(channel)
    return known and hmac.compare_digest(password.encode(), expected.encode())


def _error(status_code: int, code: int, headers: dict[str, str] | None = None) -> HttpResponse:
    body = {
        "code": code,
        "message": NAME_OF_CODE.get(code, "Refused"),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status_code,
    }
    return HttpResponse(json.dumps(body), status=status_code, headers=headers or {}, content_type="application/json")
