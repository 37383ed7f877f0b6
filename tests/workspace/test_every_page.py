"""No page has more queries with 50 rows than with 5: every address that answers a GET, found in the list of addresses.

One workspace is filled with five of everything, every page is opened, then it is filled up to fifty.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Agent
from tests.addresses import World, pages
from tests.cast import Cast


@pytest.fixture
def world(cast: Cast, now: datetime) -> World:
    return World(cast, now)


def test_no_page_has_more_queries_with_fifty_rows_than_with_five(
    world: World, sign_in: Callable[[Agent], Client]
) -> None:
    client = sign_in(world.cast.admin)
    client.raise_request_exception = False  # a page that breaks is named with the others
    world.fill(5)
    found, settings_before = pages(), settings_of_the_session()
    opened = {route: client.get(world.address(name, route)).status_code for name, route in found}  # and warm
    assert {route: status for route, status in opened.items() if status not in (200, 302, 405)} == {}
    found = [(name, route) for name, route in found if opened[route] == 200]  # the others lead elsewhere or take a POST
    assert len(found) > 60

    def count() -> dict[str, int]:
        asked = {}
        for name, route in found:
            url = world.address(name, route)
            cache.clear()
            Agent.objects.update(seen_at=timezone.now())  # the poll says it again after a while
            with CaptureQueriesContext(connection) as seen:
                assert client.get(url).status_code == 200, url
            asked[route] = len(seen)
        return asked

    few = count()
    world.fill(50)
    many = count()
    assert {route: f"{few[route]} -> {many[route]}" for route in many if many[route] > few[route]} == {}
    assert max(many.values()) <= 40
    assert settings_of_the_session() == settings_before, "a page has left its limits to whoever comes after it"


def settings_of_the_session() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings")
        return dict(cursor.fetchall())
