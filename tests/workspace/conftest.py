from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from tests.cast import Cast
from tickets.models import Ticket


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def sign_in() -> Callable[[Agent], Client]:
    def enter(agent: Agent) -> Client:
        client = Client()
        client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return enter


@pytest.fixture
def mina(cast: Cast, sign_in: Callable[[Agent], Client]) -> Client:
    """Our agent's browser."""
    return sign_in(cast.agent)


@pytest.fixture
def give_to_support(cast: Cast) -> Callable[[Ticket], Ticket]:
    """Put a ticket where our agent sees it."""

    def give(ticket: Ticket) -> Ticket:
        Ticket.objects.filter(pk=ticket.pk).update(team=cast.support)
        ticket.refresh_from_db()
        return ticket

    return give
