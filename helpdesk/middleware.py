"""What surrounds every request: its id, whom to believe about the client, the right host, the age of a session."""

import ipaddress
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import render

from helpdesk.logs import request_id

GetResponse = Callable[[HttpRequest], HttpResponse]

_SAFE_ID = re.compile(r"[\w.-]{8,64}", re.ASCII)
_RENEW_AFTER = 600  # seconds of use before a session's end is moved on: one write in ten minutes, not one a page


class RequestIdMiddleware:
    """Gives each request an id, kept from the proxy's X-Request-ID where it is harmless, and answers with it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        identifier = _identifier(request.META.get("HTTP_X_REQUEST_ID", ""))
        request.id = identifier  # type: ignore[attr-defined]
        token = request_id.set(identifier)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(token)
        response["X-Request-ID"] = identifier
        return response


class SocketRequestId:
    """The same for a websocket: one id for the life of the connection."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        given = dict(scope.get("headers", ())).get(b"x-request-id", b"").decode("latin-1")
        token = request_id.set(_identifier(given))
        try:
            return await self.inner(scope, receive, send)
        finally:
            request_id.reset(token)


class TrustedProxyMiddleware:
    """Believes X-Forwarded-For and -Proto from TRUSTED_PROXIES and removes them when anyone else sends them.

    The client is the rightmost address that is not one of our proxies; what stands left of it is hearsay.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.networks = [ipaddress.ip_network(network, strict=False) for network in settings.TRUSTED_PROXIES]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self._trusted(request.META.get("REMOTE_ADDR", "")):
            for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
                if hop.strip() and not self._trusted(hop.strip()):
                    if _address(hop.strip()) is not None:
                        request.META["REMOTE_ADDR"] = hop.strip()
                    break
        else:
            for header in ("FOR", "PROTO", "HOST", "PORT"):
                request.META.pop(f"HTTP_X_FORWARDED_{header}", None)
        return self.get_response(request)

    def _trusted(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self.networks)


class KnownHostMiddleware:
    """Asked under a wrong name, says which variable to set instead of a bare 400. The host of the files has no pages."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            host, _port = split_domain_port(request.get_host())
        except DisallowedHost:
            return render(request, "helpdesk/wrong_host.html", {"site_url": settings.SITE_URL}, status=400)
        if settings.FILES_HOST and host == settings.FILES_HOST and not request.path.startswith("/files/"):
            return HttpResponse("Only files are here.\n", status=404, content_type="text/plain")
        return self.get_response(request)


class BrowserHeadersMiddleware:
    """Headers that Django has no setting for. A view that answers other sites (the widget's script) sets its own."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
        )
        return response


class SessionLifeMiddleware:
    """Moves a session's end on while it is used, and ends it SESSION_ABSOLUTE_AGE after the sign-in whatever happens."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and "_auth_user_id" in request.session:
            now = int(time.time())
            began = request.session.setdefault("began_at", now)
            if now - began >= settings.SESSION_ABSOLUTE_AGE:
                request.session.flush()
            elif now - request.session.get("renewed_at", 0) >= _RENEW_AFTER:
                request.session["renewed_at"] = now
                request.session.set_expiry(
                    min(settings.SESSION_COOKIE_AGE, began + settings.SESSION_ABSOLUTE_AGE - now)
                )
        return self.get_response(request)


def _identifier(given: str) -> str:
    return given if _SAFE_ID.fullmatch(given) else secrets.token_hex(8)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
