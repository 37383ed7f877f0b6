"""What is fetched ahead: by what rests under the focus or is pressed, never read by that, and shown without a request."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from agents.models import Agent
from tests import cast as people
from tests.browser.desk import says, three_tickets, until
from tests.workspace import scene
from tickets.models import Ticket


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
    expect(desk.locator("body")).to_have_attribute("data-live", "live")
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
    expect(desk.locator(".row.is-open .row__who > [title^='Mina'] .avatar")).to_be_visible()
    until(desk, lambda: held)
    held[0].fulfill(status=500, body="")
    expect(desk.locator("#property-assignee-button")).not_to_contain_text("Mina")


def test_row_1_the_next_ticket_stays_ready_however_long_one_reads(crew, screen):
    """Two minutes and a half on one ticket, then a message on the next one: J asks the server for nothing, and reads nothing."""
    _ara, bo, _cleo = three_tickets(crew)
    page = screen(crew.agent, own_clock=True)
    expect(page.locator(".row.is-unread")).to_have_count(3)
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_response(f"**/tickets/{bo.pk}/"):
        page.keyboard.press("j")
        page.keyboard.press("Enter")
    expect(page.locator("#thread-log")).to_contain_text("I am Ara")
    with page.expect_response(f"**/tickets/{bo.pk}/"):  # by itself, before it is too old
        page.clock.fast_forward("02:30")
    with page.expect_response(f"**/tickets/{bo.pk}/"):  # it is another one now
        says(crew, "And one thing more", who=scene.sender("Bo", phone="+821055550010"))
    page.wait_for_load_state("networkidle")
    expect(page.locator(".row.is-unread")).to_have_count(2)
    asked.clear()
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("And one thing more")
    assert [url for url in asked if url.endswith(f"/tickets/{bo.pk}/")] == []
    assert page.errors == []


def test_row_1_a_deed_on_a_row_shows_before_the_server_has_answered(crew, screen):
    """Solved from the list, taken from the unassigned, put to sleep, marked as spam: the row leaves; refused, it is there again."""
    ara, *_ = three_tickets(crew)
    page = screen(crew.agent)
    held: list[Route] = []
    for address in ("**/solution/", "**/assignee/", "**/snooze/", "**/bulk/"):
        page.route(address, lambda route: held.append(route) if route.request.method == "POST" else route.continue_())

    def refused(ticket: Ticket) -> None:
        expect(page.locator(f"#ticket-row-{ticket.pk}")).to_have_count(0)
        until(page, lambda: held)
        held.pop().fulfill(status=500, body="")
        expect(page.locator(f"#ticket-row-{ticket.pk}")).to_be_visible()
        expect(page.locator(".row")).to_have_count(3)

    expect(page.locator(".row")).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("e")
    refused(ara)
    page.keyboard.press("k")  # one had gone on to the next
    page.keyboard.press("!")
    refused(ara)
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.locator("#composer-text")).to_be_visible()
    page.keyboard.press("h")
    expect(page.locator("#snooze-menu-times [role=option]").first).to_be_visible()
    page.keyboard.press("Enter")
    refused(ara)
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("u")
    expect(page.locator("#list-content h1")).to_have_text("Unassigned")
    expect(page.locator(".row")).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("i")
    refused(ara)
    assert page.errors == []
