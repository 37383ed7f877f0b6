"""How the panel's calls come in and go out: the channel, the token, JSON with named fields only, fixed error codes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from channels_in.webchat import sessions
from channels_in.webchat.options import options_of
from channels_in.webchat.refusals import Refused
from tickets.models import Channel

LONGEST_BODY = 64_000  # bytes of JSON
View = Callable[..., HttpResponse]


def channel_named(slug: str) -> Channel:
    """Raises Http404, also for a channel that is switched off."""
    channel = (
        Channel.objects.select_related("brand", "team__calendar").filter(slug=slug, kind="webchat", active=True).first()
    )
    if channel is None:
        raise Http404
    return channel


def for_channel(*methods: str) -> Callable[[View], View]:
    """`view(request, channel)` for anybody. No cookie is read, therefore no CSRF token is needed."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def answer(request: HttpRequest, slug: str) -> HttpResponse:
            if request.method not in methods:
                return HttpResponse(status=405, headers={"Allow": ", ".join(methods)})
            try:
                response = view(request, channel_named(slug))
            except Refused as refusal:
                response = refused(refusal)
            except (OperationalError, InterfaceError):
                response = refused(Refused("unavailable", retry_after=5))
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return answer

    return decorate


def for_visitor(*methods: str) -> Callable[[View], View]:
    """`view(request, visitor)` for who brings a token in `Authorization: Bearer`."""

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest, channel: Channel) -> HttpResponse:
            now = timezone.now()
            visitor = sessions.visitor_of(bearer(request), channel=channel, now=now)
            sessions.seen(visitor, now=now)
            with translation.override(visitor.session.language or translation.get_language()):
                return view(request, visitor)

        return for_channel(*methods)(answer)

    return decorate


def refused(refusal: Refused) -> JsonResponse:
    headers = {"Retry-After": str(refusal.retry_after)} if refusal.retry_after else {}
    return JsonResponse({"error": refusal.code}, status=refusal.status, headers=headers)


def bearer(request: HttpRequest) -> str:
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refused("token_expired")
    return token.strip()


def fields(
    request: HttpRequest, *, required: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """The JSON body. Raises Refused(malformed) for a missing, unknown or wrongly typed field."""
    optional = optional or {}
    if len(request.body) > LONGEST_BODY:
        raise Refused("too_long")
    try:
        body = json.loads(request.body or b"{}")
    except ValueError as error:
        raise Refused("malformed") from error
    if not isinstance(body, dict) or set(body) - set(required) - set(optional) or set(required) - set(body):
        raise Refused("malformed")
    for name, value in body.items():
        kind = required.get(name) or optional[name]
        if (
            not isinstance(value, kind)
            or (kind is int and isinstance(value, bool))
            or (kind is str and "\0" in str(value))
        ):
            raise Refused("malformed")
    return body


def as_uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise Refused("malformed") from error


def allow_origin(request: HttpRequest, response: HttpResponse, channel: Channel) -> HttpResponse:
    """CORS for the pages that may embed this channel, exactly, and never with credentials."""
    origin = request.headers.get("Origin")
    if origin is not None and origin in options_of(channel).origins:
        response["Access-Control-Allow-Origin"] = origin
        response["Cross-Origin-Resource-Policy"] = "cross-origin"
    patch_vary_headers(response, ["Origin"])
    return response
