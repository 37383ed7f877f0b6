"""The simulator: a phone on which one plays a customer (demo and tests only).

What is written here goes through the simulated providers and their true webhooks; what our product sends appears here
because those providers took it. The page asks for news once a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import jwt
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from channels_in.email import fake as email
from channels_in.models import FakeRecord
from channels_in.simulator import people, provider
from channels_in.simulator.people import Person
from channels_in.simulator.provider import FakeFile
from channels_in.sms import fake as sms
from channels_in.webchat import identity
from channels_in.whatsapp import fake as whatsapp
from tickets import wake
from tickets.models import Channel

SHOWN = 80  # messages of one conversation
LARGEST_FILE = 10_000_000  # bytes

#: kind of channel -> the person's address there
ADDRESS = {"sms": "phone", "whatsapp": "phone", "email": "email"}

TROUBLES = {
    "ok": gettext_lazy("Everything works"),
    "broken": gettext_lazy("The provider answers with an error (500)"),
    "busy": gettext_lazy("The provider asks to wait (rate limit)"),
    "hang": gettext_lazy("The provider takes it and never answers"),
    "cut": gettext_lazy("The connection breaks after sending"),
    "undelivered": gettext_lazy("Accepted, then not delivered"),
    "opted_out": gettext_lazy("The customer has opted out"),
    "unauthorised": gettext_lazy("Our access was revoked"),
    "silent": gettext_lazy("No receipts arrive"),
    "doubled": gettext_lazy("Every webhook arrives twice"),
    "reordered": gettext_lazy("Receipts arrive in the wrong order"),
}


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    everybody = people.everybody()
    person = next((it for it in everybody if it.key == request.GET.get("person")), everybody[0])
    channels = _channels()
    tabs = [kind for kind in ("sms", "whatsapp", "email", "webchat") if kind in channels]
    config = {
        "person": {"key": person.key, "name": person.name, "phone": person.phone, "email": person.email},
        "channels": {
            kind: [
                {"slug": it.slug, "name": it.name, "address": it.address, "brand": it.brand.name}
                for it in channels[kind]
            ]
            for kind in tabs
        },
        "urls": {
            "feed": reverse("simulator_feed"),
            "messages": reverse("simulator_messages"),
            "reading": reverse("simulator_reading"),
            "trouble": reverse("simulator_trouble"),
            "identity": reverse("simulator_identity"),
        },
        "words": {
            "delivered": _("Delivered"),
            "waiting": _("Sending…"),
            "failed": _("That did not work. Check your connection and try again."),
            "noSubject": _("(no subject)"),
            "file": _("File"),
        },
    }
    tab = request.GET.get("tab", "")
    context = {
        "everybody": everybody,
        "person": person,
        "tabs": tabs,
        "tab": tab if tab in tabs else next(iter(tabs), ""),
        "channels": channels,
        "troubles": TROUBLES,
        "config": config,
    }
    return render(request, "simulator/page.html", context)


@require_GET
def feed(request: HttpRequest) -> HttpResponse:
    """Everything that this person's phone shows, by kind of channel."""
    person = _person(request.GET.get("person", ""))
    conversations = {kind: _conversation(kind, getattr(person, address)) for kind, address in ADDRESS.items()}
    return JsonResponse({"conversations": conversations})


@require_POST
def messages(request: HttpRequest) -> HttpResponse:
    """The person writes: `channel` (slug), `text`, `files`, and of a mail `subject` and `answers`."""
    person, channel = _person(request.POST.get("person", "")), _channel(request.POST.get("channel", ""))
    text = request.POST.get("text", "").strip()[:20_000]
    files = [_file(it) for it in request.FILES.getlist("files")[:10]]
    if not text and not files:
        return JsonResponse({"error": _("Write something first.")}, status=422)
    if any(len(file.content) > LARGEST_FILE for file in files):
        return JsonResponse({"error": _("A file is larger than 10 MB.")}, status=422)
    if not getattr(person, ADDRESS.get(channel.kind, "phone")):
        return JsonResponse({"error": _("This person has no address on this channel.")}, status=422)
    key = _write(
        channel,
        person,
        text=text,
        files=files,
        subject=request.POST.get("subject", "").strip()[:200],
        answers=request.POST.get("answers", ""),
    )
    return JsonResponse({"key": key}, status=201)


@require_POST
def reading(request: HttpRequest) -> HttpResponse:
    """The conversation is open and in sight: its messages are read, and the provider says so."""
    person, channel = _person(request.POST.get("person", "")), _channel(request.POST.get("channel", ""))
    read = 0
    if channel.kind == "whatsapp":
        read = whatsapp.customer_reads(channel, sender=person.phone, now=timezone.now())
        if read:
            wake.wake("channels_in.tasks.fake_receipts")
    return JsonResponse({"read": read})


@require_POST
def trouble(request: HttpRequest) -> HttpResponse:
    """From now on the provider has this trouble with this person."""
    person, channel = _person(request.POST.get("person", "")), _channel(request.POST.get("channel", ""))
    mode = request.POST.get("mode", "")
    if mode not in TROUBLES or channel.kind not in ADDRESS:
        return JsonResponse({"error": _("There is no such trouble here.")}, status=422)
    address = getattr(person, ADDRESS[channel.kind])
    provider.set_mode(channel.kind, _account(channel), mode, person=address)
    return JsonResponse({"mode": mode})


@require_POST
def invent(request: HttpRequest) -> HttpResponse:
    try:
        person = people.invent(
            name=request.POST.get("name", "") or _("Somebody new"),
            phone=request.POST.get("phone", ""),
            email=request.POST.get("email", ""),
            language="ko" if (request.LANGUAGE_CODE or "").startswith("ko") else "en",
        )
    except ValueError:
        return HttpResponse(_("This is not a phone number. Example: +82 10 1234 5678"), status=422)
    return HttpResponseRedirect(f"{reverse('simulator')}?person={person.key}")


@require_GET
def identity_token(request: HttpRequest) -> HttpResponse:
    """What a shop's server makes for its signed-in customer: a token for the web chat, or none without a key."""
    person, channel = _person(request.GET.get("person", "")), _channel(request.GET.get("channel", ""))
    key = next((it for it in identity.keys_of(channel.brand_id).values() if it.alg == "HS256"), None)
    if key is None:
        return JsonResponse({"token": None})
    now = timezone.now()
    claims: dict[str, Any] = {
        "sub": f"shop-{person.key}",
        "aud": channel.brand.key,
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(minutes=50)).timestamp()),
        "name": person.name,
        "locale": person.language,
    }
    if person.email:
        claims |= {"email": person.email, "email_verified": True}
    if person.phone:
        claims |= {"phone_number": person.phone, "phone_number_verified": True}
    return JsonResponse({"token": jwt.encode(claims, key.key, algorithm="HS256", headers={"kid": key.kid})})


@require_GET
def media(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """A file that lies at a simulated provider."""
    found = provider.media(kind, key)
    if found is None:
        raise Http404
    shown = found[0].content_type in ("image/png", "image/jpeg", "image/gif", "image/webp")
    response = HttpResponse(
        found[0].content, content_type=found[0].content_type if shown else "application/octet-stream"
    )
    response["Content-Disposition"] = "inline" if shown else "attachment"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _write(
    channel: Channel, person: Person, *, text: str, files: Sequence[FakeFile], subject: str, answers: str
) -> str:
    match channel.kind:
        case "sms":
            return sms.customer_writes(channel, sender=person.phone, text=text, media=files)
        case "whatsapp":
            return whatsapp.customer_writes(
                channel, sender=person.phone, name=person.name, text=text, media=files, reply_to=answers
            )
        case "email":
            return email.customer_writes(
                channel, sender=person.email, name=person.name, subject=subject, text=text, files=files, answers=answers
            )
    raise Http404


def _conversation(kind: str, address: str) -> dict[str, Any]:
    if not address:
        return {"messages": [], "trouble": "ok"}
    found = FakeRecord.objects.filter(provider=kind, kind="message", payload__person=address).order_by("-id")[:SHOWN]
    latest = FakeRecord.objects.filter(provider=kind, kind="mode", key__in=["", address]).order_by("-id").first()
    return {
        "messages": [_shown(kind, it) for it in reversed(found)],
        "trouble": latest.payload["mode"] if latest else "ok",
    }


def _shown(kind: str, record: FakeRecord) -> dict[str, Any]:
    it = record.payload
    return {
        "id": record.pk,
        "key": record.key,
        "ours": it["direction"] == "to_us",  # said by the person who holds the phone
        "text": it["text"],
        "subject": it.get("subject", ""),
        "from": it.get("from", ""),
        "at": record.at.isoformat(),
        "states": sorted(it["states"]),
        "files": [
            {
                "name": file.get("name", ""),
                "type": file.get("content_type", ""),
                "url": file.get("url")
                or (reverse("simulator_media", args=[kind, file["media"]]) if file.get("media") else ""),
            }
            for file in it["files"]
        ],
    }


def _channels() -> dict[str, list[Channel]]:
    found: dict[str, list[Channel]] = {}
    for channel in Channel.objects.select_related("brand").filter(active=True).order_by("id"):
        found.setdefault(channel.kind, []).append(channel)
    return found


def _channel(slug: str) -> Channel:
    channel = Channel.objects.select_related("brand").filter(slug=slug, active=True).first()
    if channel is None:
        raise Http404
    return channel


def _account(channel: Channel) -> str:
    """The name under which the simulated provider keeps this channel's troubles."""
    return channel.address.lower() if channel.kind == "email" else channel.account_id


def _person(key: str) -> Person:
    person = people.find(key)
    if person is None:
        raise Http404
    return person


def _file(upload: UploadedFile) -> FakeFile:
    return FakeFile(upload.name or "file", upload.content_type or "application/octet-stream", upload.read())
