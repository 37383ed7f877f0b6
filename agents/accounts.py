"""Signing in: by e-mail, no public sign-up; new colleagues come by an invitation that an admin can copy."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from agents import limits
from agents.models import Agent


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        account, address = str(credentials.get("email", "")), _address_of(request)
        with limits.attempt(account, address=address, now=timezone.now()) as attempt:
            person = super().authenticate(request, **credentials)
            if person is not None:
                attempt.succeeded()
            return person

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        """Our people sign in by `Agent.email`; allauth's own table of addresses is not used."""
        assert isinstance(user, Agent)
        person = self.authenticate(context.request, email=user.email, password=password)
        return person is not None and person.pk == user.pk


class _LimitedCode:
    """A second factor can be guessed as well as a password."""

    def clean_code(self) -> str:
        account, address = str(self.user.pk), _address_of(context.request)  # type: ignore[attr-defined]
        with limits.attempt(account, address=address, now=timezone.now(), kind="code") as attempt:
            code = super().clean_code()  # type: ignore[misc]
            attempt.succeeded()
            return code


class CodeForm(_LimitedCode, AuthenticateForm):
    pass


class CodeAgainForm(_LimitedCode, ReauthenticateForm):
    pass


def _address_of(request: HttpRequest) -> str:
    """As `TrustedProxyMiddleware` left it."""
    return str(request.META.get("REMOTE_ADDR", ""))


def invitation(agent: Agent) -> str:
    """The link by which they choose their password: one use, and it ends with the reset links' life time."""
    path = reverse(
        "account_reset_password_from_key",
        kwargs={"uidb36": user_pk_to_url_str(agent), "key": default_token_generator.make_token(agent)},
    )
    return f"{settings.SITE_URL}{path}"
