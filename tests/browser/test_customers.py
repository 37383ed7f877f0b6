"""The customer in real browsers: joined by keyboard, edited in place, looked at in passing, and a mail's pictures on demand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.desk import says
from tests.conftest import comes_to
from tests.workspace import scene
from tickets import customers
from tickets.models import Customer, CustomerJoin, Identity, Message, Ticket
from tickets.models.event import by_agent

KIM = scene.sender("Kim J.", email="jiwoo@example.org")


@pytest.fixture
def two(crew: Any) -> tuple[Ticket, Ticket]:
    first = says(crew, "Where is my parcel?", minutes=9).ticket
    other = scene.says(crew.email, KIM, "By mail", at=timezone.now() - timedelta(minutes=5), subject="Parcel").ticket
    Identity.objects.create(customer=first.customer, kind="email", value="jiwoo@example.org", evidence="pre-chat")
    return first, other


def test_row_15_two_customers_are_joined_by_keyboard_alone_and_two_again_by_undo(crew, screen, two):
    first, other = two
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    suggestion = page.locator("#customer-head .callout a")
    expect(suggestion).to_have_text("Compare")
    suggestion.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#joining-found")).to_contain_text("same address, verified there: jiwoo@example.org")
    expect(page.locator("#joining-query")).to_be_focused()
    page.keyboard.type("Kim")
    candidate = page.locator(".candidate", has_text="Kim J.").get_by_role("button")
    expect(candidate).to_be_visible()
    expect(page.locator("#joining-found h3")).to_have_count(0)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".comparison")).to_contain_text("jiwoo@example.org ✓")
    expect(page.locator("[data-joins]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#joining")).to_be_hidden()
    expect(page.locator(".toast")).to_contain_text("Joined: Kim J.")
    expect(page.locator("[data-section=tickets]")).to_contain_text("Parcel")
    expect(page.locator("[data-section=joins]")).to_contain_text("Kim J.")
    other.refresh_from_db()
    assert other.customer_id == first.customer_id

    page.keyboard.press("z")
    expect(page.locator("[data-section=joins]")).to_have_count(0)
    other.refresh_from_db()
    assert other.customer_id != first.customer_id and CustomerJoin.objects.get().undone_at
    assert page.errors == []


def test_row_32_a_particular_is_edited_in_place_and_what_is_typed_is_never_swapped_away(crew, screen, two):
    first, _other = two
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    name = page.locator("#customer-name-value")
    expect(name).to_have_value("Jiwoo")
    name.fill("최지우")
    name.press("Tab")
    expect(page.locator("#customer-head .customer__name")).to_contain_text("최지우")
    expect(page.locator("#customer-language-value")).to_be_focused()
    comes_to(lambda: Customer.objects.get(pk=first.customer_id).name, "최지우")

    notes = page.locator("#customer-notes-value")
    notes.click()
    page.keyboard.type("Rings ")
    says(crew, "Hello?")  # an event that fetches the customer anew
    Customer.objects.filter(pk=first.customer_id).update(organisation="Moa")
    page.locator("#customer-head").evaluate("() => document.body.dispatchEvent(new CustomEvent('customer:changed'))")
    page.keyboard.type("twice")
    expect(notes).to_have_value("Rings twice")
    page.keyboard.press("Tab")
    expect(page.locator("#customer-organisation-value")).to_have_value("Moa")
    expect(page.locator("#customer-notes-value")).to_have_value("Rings twice")
    comes_to(lambda: Customer.objects.get(pk=first.customer_id).notes, "Rings twice")
    assert page.errors == []


def test_row_32_sections_stay_folded_and_in_order_from_one_ticket_to_the_next(crew, screen, two):
    first, other = two
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    timeline = page.locator("details[data-section=timeline]")
    with page.expect_response(lambda answer: "/me/panes/" in answer.url):
        timeline.locator("summary").click()
    page.locator("[popovertarget=arrange]").click()
    page.locator("#arrange-up-timeline").click()
    first_section = page.locator("#customer-more > details").first
    expect(first_section).to_have_attribute("data-section", "timeline")
    page.keyboard.press("Escape")
    page.locator(f"#ticket-row-{other.pk} a").click()
    expect(page.locator("#customer-head")).to_contain_text("Kim J.")
    expect(first_section).to_have_attribute("data-section", "timeline")
    expect(timeline).not_to_have_attribute("open", "")
    sheets = page.locator("link[rel=stylesheet][href*='css/pages/customer.']")
    expect(sheets).to_have_count(1)
    assert sheets.evaluate("(sheet) => sheet.parentElement === document.head"), "it does not come and go with its part"
    page.reload()
    expect(page.locator("#customer-head")).to_contain_text("Kim J.")
    expect(timeline).not_to_have_attribute("open", "")
    assert page.errors == []


def test_row_15_a_ticket_shows_its_last_words_in_passing(crew, screen, two):
    first, other = two
    Ticket.objects.filter(pk=other.pk).update(customer=first.customer)
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    page.locator(f"[data-section=tickets] a[href='/tickets/{other.pk}/']").hover()
    expect(page.locator("#peek")).to_contain_text("By mail")
    page.keyboard.press("Escape")
    expect(page.locator("#peek")).to_be_hidden()
    assert page.errors == []


def test_pictures_from_elsewhere_come_on_demand_and_through_us(crew, screen, two):
    _first, other = two
    html = '<p>Hello</p><img data-remote="https://track.example/x.png" alt="">'
    Message.objects.filter(ticket=other).update(html=html)
    page = screen(crew.agent, f"/tickets/{other.pk}/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    frame = page.frame_locator("iframe[data-mail-frame]")
    expect(frame.locator("body")).to_contain_text("1 picture from elsewhere is not shown")
    as_it_came = page.locator(".message:has(iframe)").evaluate("one => one.outerHTML")
    page.get_by_role("button", name="Show pictures").click()
    expect(frame.locator("img[src*='/files/pictures/']")).to_have_count(1)
    expect(frame.locator("body")).not_to_contain_text("is not shown")
    expect(page.get_by_role("button", name="Show pictures")).to_be_hidden()
    page.evaluate("(html) => { document.querySelector('thread-log').apply([html]); }", as_it_came)
    expect(frame.locator("img[src*='/files/pictures/']")).to_have_count(1)  # told anew, it stays as its reader chose
    assert any("/files/pictures/" in url for url in asked)
    assert not [url for url in asked if "track.example" in url], "nothing leaves the browser for somewhere else"
    page.get_by_role("button", name="Dark").click()
    expect(frame.locator("html")).to_have_class("dark")
    assert page.errors == []


def test_row_31_everything_fits_on_a_phone(crew, screen, two):
    first, other = two
    page = screen(crew.agent, f"/tickets/{first.pk}/", width=360)
    page.goto(page.url.split("/tickets/")[0] + f"/customers/{first.customer_id}/")
    expect(page.locator("#customer-page")).to_contain_text("Where is my parcel?")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Join customers").click()
    page.locator(".candidate", has_text="Kim J.").get_by_role("button").click()
    expect(page.locator("[data-joins]")).to_be_in_viewport()
    box = page.locator("#joining").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360
    page.locator("[data-joins]").click()
    expect(page.locator("#customer-page")).to_contain_text("By mail")
    comes_to(lambda: Ticket.objects.get(pk=other.pk).customer_id, first.customer_id)


def test_show_8_what_happens_to_others_is_no_request_of_ones_own(crew, screen, two):
    """Five hundred screens with a ticket each would ask for five hundred panels."""
    first, _other = two
    page = screen(crew.agent, f"/tickets/{first.pk}/", own_clock=True)
    expect(page.locator("#customer-card")).to_be_visible()  # its name alone stands there before it was asked for
    panel = f"{page.url}customer/"
    assert page.asked.count(panel) == 1
    by = by_agent(crew.teammate)
    customers.change(first.customer, "organisation", "Blue Mug", by=by, now=timezone.now())
    expect(page.locator("#customer-organisation-value")).to_have_value("Blue Mug")
    stranger = says(crew, "I am new here", who=scene.sender("Ara", phone="+821055550000")).ticket
    customers.change(stranger.customer, "organisation", "Elsewhere", by=by, now=timezone.now())
    newest = says(crew, "Me too", who=scene.sender("Bo", phone="+821055550010")).ticket
    expect(page.locator(f"#ticket-row-{newest.pk}")).to_be_visible()
    before = len(page.asked)
    for _try in range(9):
        page.clock.run_for(6000)  # so long ago that coming back asks what was missed
        page.evaluate("dispatchEvent(new Event('focus'))")
        if any("/live/?after=" in url for url in page.asked[before:]):  # unless a heartbeat came in between
            break
    page.clock.run_for(1000)
    page.wait_for_load_state("networkidle")
    assert page.asked.count(panel) == 2  # what is heard again is no news
    assert page.errors == []
