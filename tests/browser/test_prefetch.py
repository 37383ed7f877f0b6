"""What is fetched ahead: by what rests under the focus or is pressed, never read by that, and shown without a request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from agents.models import Agent
from tests import cast as people
from tests.workspace import scene
from tickets.models import Ticket

expect.set_options(timeout=15_000)


@pytest.fixture
def desk(new_context: Any, live_server: Any) -> Page:
    """The inbox with three unread tickets; `asked` are the requests with what they carried."""
    crew = people.assemble()
    Agent.objects.update(sight="all")
    for n, name in enumerate(("Ara", "Bo", "Cleo")):
        at = timezone.now() - timedelta(minutes=5 - n)
        scene.says(crew.sms, scene.sender(name, phone=f"+8210555500{n}0"), f"I am {name}", at=at)
    client = Client()
    client.force_login(crew.agent, backend="django.contrib.auth.backends.ModelBackend")
    context = new_context()
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": str(live_server)}
    context.add_cookies([cookie])
    page = context.new_page()
    page.asked = []
    page.on("request", lambda request: page.asked.append((request.method, request.url, request.headers)))
    page.goto(live_server + "/")
    expect(page.locator("body")).to_have_attribute("data-live", "live")
    expect(page.locator(".row.is-unread")).to_have_count(3)
    page.wait_for_load_state("networkidle")  # caught up: what happened before drops what is fetched ahead
    return page


def of(page: Page, ticket: Ticket) -> list[tuple[str, dict[str, str]]]:
    return [(method, sent) for method, url, sent in page.asked if url.endswith(f"/tickets/{ticket.pk}/")]


def test_row_1_what_the_focus_rests_on_is_fetched_and_stays_unread(desk):
    first, second, _third = Ticket.objects.order_by("pk")
    with desk.expect_response(f"**/tickets/{first.pk}/"):
        desk.keyboard.press("j")
    assert [(method, sent.get("hx-preloaded")) for method, sent in of(desk, first)] == [("GET", "true")]
    desk.reload()
    expect(desk.locator(".row.is-unread")).to_have_count(3)
    desk.keyboard.press("j")
    with desk.expect_response(f"**/tickets/{second.pk}/"):
        desk.keyboard.press("Enter")  # opens the first, and fetches the one after it
    expect(desk.locator("#thread-log")).to_contain_text("I am Ara")
    expect(desk.locator(".row.is-unread")).to_have_count(2)
    desk.wait_for_load_state("networkidle")
    desk.asked.clear()
    desk.keyboard.press("j")
    expect(desk.locator("#thread-log")).to_contain_text("I am Bo")
    assert of(desk, second) == []


def test_row_1_a_press_fetches_before_it_is_a_click(desk):
    _first, _second, third = Ticket.objects.order_by("pk")
    desk.locator(f"#ticket-row-{third.pk} a").hover()
    with desk.expect_response(f"**/tickets/{third.pk}/"):
        desk.mouse.down()
    assert len(of(desk, third)) == 1 and "/tickets/" not in desk.url
    desk.mouse.up()
    expect(desk.locator("#thread-log")).to_contain_text("I am Cleo")
    assert len(of(desk, third)) == 1


def test_row_1_taking_a_ticket_shows_before_the_server_has_answered(desk):
    desk.keyboard.press("j")
    desk.keyboard.press("Enter")
    expect(desk.locator("#composer-text")).to_be_visible()
    held = []
    desk.route("**/assignee/", lambda route: held.append(route))
    desk.keyboard.press("i")
    expect(desk.locator("#property-assignee-button")).to_contain_text("Mina")
    assert held
    held[0].fulfill(status=500, body="")
    expect(desk.locator("#property-assignee-button")).not_to_contain_text("Mina")
