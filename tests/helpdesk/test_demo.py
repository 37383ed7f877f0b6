"""The demo as an agent meets it on the first morning."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from helpdesk.demo import load as demo
from tickets.models import Notification, Outbox, Ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def loaded() -> Any:
    logins = demo.load()
    (settings.DATA_DIR / demo.LOGINS).unlink(missing_ok=True)
    return logins


def test_the_past_is_there_and_is_no_news(loaded: Any) -> None:
    assert Ticket.objects.count() >= 50
    assert Notification.objects.exists()
    assert not Notification.objects.filter(read_at__isnull=True).exists()
    assert not Outbox.objects.filter(kind__startswith="notification").exists()
