"""The widget's addresses: its loader, its panel, and the calls of the panel (channels.md 15)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

from csp.constants import SELF
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q, Sum
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.dateparse import parse_datetime
from django.utils.module_loading import import_string
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from channels_in import webhooks
from channels_in.models import RawEvent, VisitorSession
from channels_in.webchat import boot as booting
from channels_in.webchat import events as told
from channels_in.webchat import identity, limits, sessions
from channels_in.webchat.adapter import external_id_of
from channels_in.webchat.calls import allow_origin, as_uuid, bearer, channel_named, fields, for_channel, for_visitor
from channels_in.webchat.options import options_of
from channels_in.webchat.refusals import Refused
from channels_in.webchat.sessions import Begun, Visitor
from channels_in.webchat.texts import panel_texts
from tickets import files
from tickets.contract import Item
from tickets.models import Attachment, Channel

LOADER = Path(settings.BASE_DIR) / "static" / "widget" / "loader.js"
NAME_MAX = 100  # characters
COMMENT_MAX = 2000

# -- Pages ------------------------------------------------------------------------------------------------------------


@gzip_page
@require_safe
def widget_js(request: HttpRequest) -> HttpResponse:
    """The loader, for any site: it holds nothing but the launcher."""
    response = HttpResponse(LOADER.read_bytes(), content_type="text/javascript; charset=utf-8")
    response["Cache-Control"] = "public, max-age=3600"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@require_safe
def panel(request: HttpRequest, slug: str) -> HttpResponse:
    """What the loader shows in its frame: only the channel's origins, and our own pages, may embed it."""
    channel = channel_named(slug)
    origins = options_of(channel).origins
    host = request.GET.get("origin", "")
    response = _page(
        request, channel, "chat/panel.html", host=host if host in (*origins, *settings.SITE_ORIGINS) else ""
    )
    response._csp_replace = {"frame-ancestors": [SELF, *origins]}  # type: ignore[attr-defined]
    response.xframe_options_exempt = True  # type: ignore[attr-defined]
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@require_safe
def hosted(request: HttpRequest, slug: str) -> HttpResponse:
    """The same conversation on a page of our own: for QR codes, links, and sites without a script."""
    return _page(request, channel_named(slug), "chat/hosted.html", host="")


@require_safe
def demo_shop(request: HttpRequest) -> HttpResponse:
    """A shop that embeds the widget, to try it (demo and tests only)."""
    channel = Channel.objects.filter(kind="webchat", active=True).order_by("id").first()
    if not settings.DEMO or channel is None:
        raise Http404
    return render(request, "chat/demo_shop.html", {"channel": channel})


def _page(request: HttpRequest, channel: Channel, template: str, *, host: str) -> HttpResponse:
    language = request.GET.get("lang", "")[:2]
    if language not in dict(settings.LANGUAGES):
        language = translation.get_language_from_request(request)[:2]
    theme = request.GET.get("theme")
    with translation.override(language):
        config: dict[str, Any] = {
            "base": f"/chat/{channel.slug}/",
            "slug": channel.slug,
            "host": host,
            "embedded": template == "chat/panel.html",
            "language": language,
            "boot": booting.boot(channel, now=timezone.now()),
            "texts": panel_texts(channel.brand.name),
        }
        response = render(
            request,
            template,
            {
                "channel": channel,
                "config": config,
                "language": language,
                "notices": config["boot"]["notices"][language],
                "theme": theme if theme in ("light", "dark") else "",
            },
        )
    response["Cache-Control"] = "no-store"
    return response


# -- Boot and session -------------------------------------------------------------------------------------------------


@for_channel("GET")
def boot(request: HttpRequest, channel: Channel) -> HttpResponse:
    response = JsonResponse(booting.boot(channel, now=timezone.now()))
    response["Cache-Control"] = "public, max-age=60"
    return allow_origin(request, response, channel)


@for_channel("POST", "DELETE")
def session(request: HttpRequest, channel: Channel) -> HttpResponse:
    """POST `{identity?, language?}` begins one, or signs the one of the token in. DELETE ends it."""
    now = timezone.now()
    current = sessions.session_of(bearer(request), channel=channel) if "Authorization" in request.headers else None
    if request.method == "DELETE":
        if current is not None:
            sessions.end(current, now=now)
        return HttpResponse(status=204)
    given = fields(request, required={}, optional={"identity": str, "language": str})
    signed = _signed(request, given.get("identity", ""), channel=channel)
    if current is not None and signed is None and sessions.is_alive(current, now=now):
        return JsonResponse({"token": sessions.token_for(current, channel), **_lives(channel)})
    if current is not None and signed is not None and current.subject in ("", signed.subject):
        sessions.identify(current, signed, channel=channel, now=now)
        return JsonResponse({"token": sessions.token_for(current, channel), **_lives(channel)})
    limits.spend("sessions", _ip(request), channel=channel, now=now)
    if signed is None:
        limits.spend("anonymous", "all", channel=channel, now=now, code="closed")
    if current is not None and signed is not None:  # another person in the same browser
        sessions.end(current, now=now)
    begun = sessions.begin(channel, remote_ip=_ip(request), language=_language(given), now=now)
    if signed is not None:
        sessions.identify(begun.session, signed, channel=channel, now=now)
    return _begun(begun, channel, status=201)


@for_channel("POST")
def renewal(request: HttpRequest, channel: Channel) -> HttpResponse:
    given = fields(request, required={"renewal": str})
    return _begun(sessions.renew(given["renewal"], channel=channel, now=timezone.now()), channel)


def _signed(request: HttpRequest, token: str, *, channel: Channel) -> identity.Signed | None:
    if not token:
        return None
    now = timezone.now()
    limits.spent("identify", _ip(request), channel=channel, now=now)
    try:
        return identity.read(token, keys=identity.keys_of(channel.brand_id), brand_key=channel.brand.key, now=now)
    except identity.IdentityRefused as error:
        limits.spend("identify", _ip(request), channel=channel, now=now)
        raise Refused("identity_refused") from error


def _begun(begun: Begun, channel: Channel, *, status: int = 200) -> JsonResponse:
    return JsonResponse({"token": begun.token, "renewal": begun.renewal, **_lives(channel)}, status=status)


def _lives(channel: Channel) -> dict[str, int]:
    return {"seconds": options_of(channel).token_seconds}


def _language(given: dict[str, Any]) -> str:
    language = given.get("language", "")[:2]
    return language if language in dict(settings.LANGUAGES) else translation.get_language()[:2]


def _ip(request: HttpRequest) -> str:
    return request.META.get("REMOTE_ADDR", "")


# -- Writing ----------------------------------------------------------------------------------------------------------


@for_visitor("GET", "POST")
def messages(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """POST keeps one line and answers 202 after the commit; again with the same client_uuid it changes nothing.

    GET `?conversation=&before=` gives the lines before a moment.
    """
    if request.method == "GET":
        before = parse_datetime(request.GET.get("before", "").replace(" ", "+")[:40])
        if before is None or before.tzinfo is None:
            raise Refused("malformed")
        return JsonResponse(
            {"events": told.earlier(visitor, conversation=request.GET.get("conversation", ""), before=before)}
        )
    given = fields(
        request,
        required={"client_uuid": str, "text": str},
        optional={"uploads": list, "conversation": str, "page": str},
    )
    browsers = as_uuid(given["client_uuid"])
    key = external_id_of(visitor.session.uuid, browsers)
    accepted = JsonResponse({"client_uuid": browsers.hex}, status=202)
    if RawEvent.objects.filter(channel=visitor.channel, dedupe_key=key).exists():
        return accepted
    now, options = timezone.now(), options_of(visitor.channel)
    text = given["text"].strip()
    if len(text) > options.text_max:
        raise Refused("too_long")
    uploads = _uploads(visitor, given.get("uploads", []), most=options.files_max)
    if not text and not uploads:
        raise Refused("malformed")
    limits.spend("messages", visitor.session.uuid.hex, channel=visitor.channel, now=now)
    item: dict[str, Any] = {
        "type": "message",
        "client_uuid": browsers.hex,
        "text": text,
        "page": _page_of(given.get("page", "")),
        "files": [
            {
                "id": f.pk,
                "kind": f.kind,
                "name": f.name,
                "content_type": f.content_type,
                "size": f.size,
                "sha256": f.sha256,
            }
            for f in uploads
        ],
    }
    if given.get("conversation"):
        item["ticket"] = visitor.ticket_named(given["conversation"])
    _keep(request, visitor, item, dedupe_key=key, ordered=True)
    return accepted


@for_visitor("POST")
def uploads(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """One file, bound to the session; its type comes from its bytes. What no message claims is swept after a day."""
    now, options = timezone.now(), options_of(visitor.channel)
    limits.spend("uploads", visitor.session.uuid.hex, channel=visitor.channel, now=now)
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile) or not file.size:
        raise Refused("malformed")
    if file.size > options.file_max or _uploaded_today(visitor, now) + file.size > options.uploads_per_day:
        raise Refused("too_long")
    try:
        stored = files.store(cast(BinaryIO, file.file))
    except files.NoRoom as error:
        raise Refused("unavailable", retry_after=60) from error
    kind = stored.content_type.partition("/")[0]
    attachment = Attachment.objects.create(
        visitor_session_id=visitor.session.pk,
        kind="image" if stored.content_type in files.SHOWN else kind if kind in ("video", "audio") else "document",
        name=files.clean_name(file.name or ""),
        content_type=stored.content_type,
        size=stored.size,
        sha256=stored.sha256,
    )
    return JsonResponse({"upload": attachment.token, **told.file_said(attachment)}, status=201)


@for_visitor("POST")
def forms(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Name and address, both optional: claims, which join nobody and reveal nothing. The answer is always the same."""
    given = fields(request, required={"client_uuid": str, "form": str, "values": dict})
    values = given["values"]
    if (
        given["form"] != "contact"
        or set(values) - {"name", "email"}
        or not all(isinstance(v, str) for v in values.values())
    ):
        raise Refused("malformed")
    browsers, now = as_uuid(given["client_uuid"]), timezone.now()
    limits.spend("signals", visitor.session.uuid.hex, channel=visitor.channel, now=now)
    session = visitor.session
    if not visitor.signed:
        session.name = " ".join(values.get("name", "").split())[:NAME_MAX] or session.name
        session.email_claim = identity.clean_email(values.get("email")) or session.email_claim
        VisitorSession.objects.filter(pk=session.pk).update(name=session.name, email_claim=session.email_claim)
        if visitor.identity is not None:
            key = f"{external_id_of(session.uuid, browsers)}:form"
            if not RawEvent.objects.filter(channel=visitor.channel, dedupe_key=key).exists():
                _keep(request, visitor, {"type": "form", "at": now.isoformat()}, dedupe_key=key, ordered=True)
    return JsonResponse({"client_uuid": browsers.hex}, status=202)


@for_visitor("POST")
def ratings(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """An answer to a survey of this visitor's own thread. May be given again while the survey allows it."""
    given = fields(request, required={"client_uuid": str, "survey": str, "score": int}, optional={"comment": str})
    as_uuid(given["client_uuid"])
    if not 1 <= given["score"] <= 5 or not visitor.messages().filter(meta__survey=given["survey"]).exists():
        raise Refused("malformed")
    limits.spend("signals", visitor.session.uuid.hex, channel=visitor.channel, now=timezone.now())
    answer = import_string(settings.SURVEY_ANSWER)
    comment = given.get("comment", "").strip()[:COMMENT_MAX]
    if not answer(given["survey"], score=given["score"], comment=comment, now=timezone.now()):
        raise Refused("closed")
    return HttpResponse(status=204)


@for_visitor("POST")
def delivered(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    return _receipt(request, visitor, "delivered")


@for_visitor("POST")
def read(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    return _receipt(request, visitor, "read")


@for_visitor("POST")
def typing(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """For networks that block websockets."""
    given = fields(request, required={"conversation": str, "on": bool})
    sessions.typing(visitor, conversation=given["conversation"], on=given["on"], now=timezone.now())
    return HttpResponse(status=204)


@for_visitor("GET")
def events(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """`?after=`: everything that the socket said meanwhile; without it, everything that a panel shows."""
    now = timezone.now()
    limits.spend("events", visitor.session.uuid.hex, channel=visitor.channel, now=now)
    after = request.GET.get("after", "")
    caught = told.since(visitor, after, now=now) if after else told.fresh(visitor, now=now)
    return JsonResponse({"events": caught.events, "cursor": caught.cursor})


def _receipt(request: HttpRequest, visitor: Visitor, state: str) -> HttpResponse:
    """A watermark: everything of ours on this ticket up to `seq`."""
    given = fields(request, required={"ticket": str, "seq": int})
    limits.spend("signals", visitor.session.uuid.hex, channel=visitor.channel, now=timezone.now())
    ticket_id = visitor.ticket_named(given["ticket"])
    seq = (
        visitor.messages()
        .filter(ticket=ticket_id, seq__lte=given["seq"], direction="out")
        .order_by("-seq")
        .values_list("seq", flat=True)
        .first()
    )
    if seq is None:
        raise Refused("malformed")
    key = f"{visitor.session.uuid.hex}:{state}:{ticket_id}:{seq}"
    if not RawEvent.objects.filter(channel=visitor.channel, dedupe_key=key).exists():
        item = {"type": "receipt", "state": state, "ticket": ticket_id, "seq": seq, "at": timezone.now().isoformat()}
        _keep(request, visitor, item, dedupe_key=key, ordered=False)
    return HttpResponse(status=202)


def _keep(request: HttpRequest, visitor: Visitor, item: dict[str, Any], *, dedupe_key: str, ordered: bool) -> None:
    """The way of every channel: a row, a commit, and the worker does the rest."""
    session = visitor.session
    facts = {"session": session.uuid.hex, "subject": session.subject, "locale": session.language}
    if not visitor.signed:
        facts |= {"name": session.name, "email": session.email_claim}
    raw = json.dumps(facts | item, ensure_ascii=False, sort_keys=True).encode()
    webhooks.keep(
        visitor.channel,
        [Item("", dedupe_key, session.uuid.hex if ordered else "", raw)],
        body=raw,
        headers={},
        remote_ip=_ip(request) or None,
        auth_result="signed" if visitor.signed else "session",
    )


def _uploads(visitor: Visitor, tokens: list[Any], *, most: int) -> list[Attachment]:
    if len(tokens) > most or not all(isinstance(token, str) for token in tokens):
        raise Refused("malformed")
    found = Attachment.objects.filter(token__in=tokens, visitor_session_id=visitor.session.pk, message__isnull=True)
    by_token = {attachment.token: attachment for attachment in found}
    if len(by_token) != len(set(tokens)):
        raise Refused("file_refused")
    return [by_token[token] for token in dict.fromkeys(tokens)]


def _uploaded_today(visitor: Visitor, now: datetime) -> int:
    day = Q(visitor_session_id=visitor.session.pk, created_at__gt=now - timedelta(days=1))
    return Attachment.objects.filter(day).aggregate(n=Sum("size"))["n"] or 0


def _page_of(address: str) -> str:
    """Where the visitor wrote from, without query and fragment: they may hold secrets of the site."""
    return address.partition("#")[0].partition("?")[0][:500] if address.startswith(("https://", "http://")) else ""
