"""Agents with browsers of their own, in front of a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from agents.models import Agent
from tests import cast as people
from tickets import bulk


@pytest.fixture
def crew(live_server: Any) -> people.Cast:
    """Everybody, and all agents see every ticket."""
    crew = people.assemble()
    Agent.objects.update(sight="all")
    for agent in (crew.agent, crew.teammate):
        agent.refresh_from_db()
    return crew


@pytest.fixture
def screen(new_context: Any, live_server: Any) -> Callable[..., Page]:
    """A browser in which this agent is signed in, on this page, once its socket is open (a page that is not `live` opens
    none). `page.errors` should stay empty, `page.asked` are the addresses of all its requests. With `own_clock` the
    test can turn the time forward."""

    def enter(
        agent: Agent,
        path: str = "/",
        *,
        width: int = 1440,
        language: str = "",
        own_clock: bool = False,
        touch: bool = False,
        live: bool = True,
    ) -> Page:
        if language:
            Agent.objects.filter(pk=agent.pk).update(language=language)
        client = Client()
        client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
        context = new_context(has_touch=True) if touch else new_context()
        context.add_cookies(
            [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": str(live_server)}]
        )
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 800})
        if own_clock:
            page.clock.install()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(live_server + path)
        if live:
            expect(page.locator("body")).to_have_attribute("data-live", "live")
        return page

    return enter


@pytest.fixture
def worker(crew: people.Cast) -> Iterator[None]:
    """Somebody works off the jobs on many tickets, as a Celery worker would."""
    stop = Flag()

    def work() -> None:
        try:
            while not stop.wait(0.1):
                bulk.drain(seconds=5, now=timezone.now())
        finally:
            connections.close_all()

    thread = Thread(target=work, daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
