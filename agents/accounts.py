"""Signing in: by e-mail, no public sign-up; new colleagues come by an invitation that an admin can copy."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from agents.models import Agent


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


def invitation(agent: Agent) -> str:
    """The link by which they choose their password: one use, and it ends with the reset links' life time."""
    path = reverse(
        "account_reset_password_from_key",
        kwargs={"uidb36": user_pk_to_url_str(agent), "key": default_token_generator.make_token(agent)},
    )
    return f"{settings.SITE_URL}{path}"
