"""Bearer tokens of the API: shown once, kept as a hash, with scopes and an end."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from agents.models import Agent
from tickets.models import ApiToken

PREFIX = "hd_"
USED_EVERY = timedelta(minutes=1)  # how exactly the last use is kept


def create(agent: Agent, *, name: str, scopes: list[str], expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """A new token and its text, which exists nowhere else afterwards. Raises ValueError for an unknown scope."""
    if not set(scopes) <= {"read", "write"} or not scopes:
        raise ValueError("scopes are read and write")
    text = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        agent=agent, name=name, sha256=_hash(text), prefix=text[:9], scopes=sorted(scopes), expires_at=expires_at
    )
    return token, text


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`; an unknown, revoked or ended token gets the same 401."""

    def authenticate(self, request: Request) -> tuple[Agent, ApiToken] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        now = timezone.now()
        token = None
        if len(words) == 2:
            token = ApiToken.objects.select_related("agent").filter(sha256=_hash(words[1].decode("latin-1"))).first()
        if (
            token is None
            or token.revoked_at
            or not token.agent.is_active
            or (token.expires_at and token.expires_at <= now)
        ):
            raise AuthenticationFailed
        if token.last_used_at is None or token.last_used_at < now - USED_EVERY:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.agent, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class HasScope(BasePermission):
    """Reading needs the scope read, everything else write. Light agents have no write."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return False
        return ("read" if request.method in SAFE_METHODS else "write") in token.scopes


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
