"""Errors as RFC 9457 problem details: stable types, fixed words, never an exception's text."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response

from tickets.actions import NotAllowed
from tickets.replies import Stale, Unreachable

TITLES = {
    400: "The request is not valid",
    401: "Sign in with a token",
    403: "The token may not do this",
    404: "There is nothing here for you",
    405: "This method is not offered here",
    406: "Only JSON is spoken here",
    409: "The state has moved on",
    412: "The version is not the present one",
    415: "This media type is not read here",
    422: "The request cannot be carried out",
    429: "Too many requests",
}


class Conflict(exceptions.APIException):
    status_code = status.HTTP_409_CONFLICT


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every error that has a meaning for the caller; all others stay 500 and go to the log only."""
    more: dict[str, Any] = {}
    headers: dict[str, str] = {}
    match error:
        case Http404():
            code, kind = 404, "not-found"
        case PermissionDenied():
            code, kind = 403, "forbidden"
        case Stale():
            code, kind = 409, "stale"
            more = {"detail": "A newer message exists.", "newer": [message.pk for message in error.messages]}
        case Unreachable():
            code, kind = 422, "unreachable"
            more = {"detail": str(error), "code": error.code}
        case NotAllowed():
            code, kind = 422, "not-allowed"
            more = {"detail": str(error)}
        case exceptions.ValidationError():
            code, kind = 400, "invalid"
            more = {"errors": list(_pointers(error.detail, ""))}
        case exceptions.APIException():
            code, kind = error.status_code, str(getattr(error, "default_code", "error")).replace("_", "-")
            if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
                code, kind, headers = 401, "unauthenticated", {"WWW-Authenticate": "Bearer"}
            elif isinstance(error, exceptions.Throttled) and (wait := getattr(error, "wait", None)):
                headers = {"Retry-After": str(int(wait) + 1)}
            elif isinstance(error, Conflict):
                kind, more = "conflict", {"detail": str(error.detail)}
        case _:
            return None
    request = context.get("request")
    body = {
        "type": f"urn:helpdesk:{kind}",
        "title": TITLES.get(code, "Error"),
        "status": code,
        "instance": getattr(getattr(request, "_request", None), "id", ""),
        **more,
    }
    return Response(body, status=code, headers=headers, content_type="application/problem+json")


def _pointers(detail: Any, pointer: str):  # type: ignore[no-untyped-def]
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from _pointers(value, pointer if key == "non_field_errors" else f"{pointer}/{key}")
    elif isinstance(detail, list) and any(isinstance(value, dict | list) for value in detail):
        for n, value in enumerate(detail):
            yield from _pointers(value, f"{pointer}/{n}")
    else:
        for value in detail if isinstance(detail, list) else [detail]:
            yield {"pointer": pointer or "/", "detail": str(value)}
