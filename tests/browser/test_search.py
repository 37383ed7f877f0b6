"""Row 19: searching, as an agent does it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests import cast as people
from tests.conftest import wait_until
from tests.workspace import scene
from tickets import actions
from tickets.models import Ticket
from tickets.models.event import SYSTEM


@pytest.fixture
def tickets(crew: people.Cast) -> dict[str, Ticket]:
    said = {
        "shoes": ("김민지", "지난주에 산 신발을 환불해 주세요"),
        "refund": ("Ana", "I would like a refund of order ORD-2291"),
        "late": ("Bo", "My parcel is late"),
    }
    made = {}
    for n, (key, (name, text)) in enumerate(said.items()):
        who = scene.sender(name, phone=f"+8210444400{n}0")
        made[key] = scene.says(crew.sms, who, text, at=timezone.now() - timedelta(minutes=9 - n)).ticket
    actions.change_tags(made["refund"], add=["vip"], by=SYSTEM, now=timezone.now())
    return made


def box(page: Page) -> Any:
    return page.get_by_role("combobox", name=re.compile("Search tickets|상담 검색"))


def rows(page: Page) -> Any:
    return page.locator("#rows .row")


def test_row_19_slash_finds_enter_opens_and_escape_returns(crew, tickets, screen):
    page = screen(crew.agent)
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    page.keyboard.type("환불은")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).locator("mark")).to_have_text("환불")
    assert "/search/?q=" in page.url
    page.keyboard.press("j")  # the keys of the list act at once
    page.keyboard.press("Enter")
    expect(page.locator("#thread-log")).to_contain_text("신발을")
    page.keyboard.press("Escape")  # the ticket
    expect(page.locator("#ticket[data-ticket]")).to_have_count(0)
    page.keyboard.press("Escape")  # the search
    expect(rows(page)).to_have_count(3)
    expect(box(page)).to_have_value("")
    assert page.url.endswith("/")
    assert page.errors == []


def test_row_19_slash_works_in_hangul_mode_and_from_a_ticket(crew, tickets, screen):
    page = screen(crew.agent, f"/tickets/{tickets['late'].pk}/")
    expect(page.locator("#composer-text")).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    page.evaluate(
        "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'Process', code: 'Slash', bubbles: true, cancelable: true}))"
    )
    expect(box(page)).to_be_focused()
    page.keyboard.type("late")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)


def test_row_19_the_address_holds_the_search(crew, tickets, screen):
    page = screen(crew.agent, "/search/?q=-tag%3Avip+is%3Aopen")
    expect(box(page)).to_have_value("-tag:vip is:open")
    expect(rows(page)).to_have_count(2)
    page.locator("#rows .row__link").first.click()
    expect(page.locator("#thread-log")).to_be_visible()
    page.reload()
    expect(rows(page)).to_have_count(2)
    expect(box(page)).to_have_value("-tag:vip is:open")
    page.go_back()
    expect(page.locator("#ticket[data-ticket]")).to_have_count(0)
    expect(rows(page)).to_have_count(2)


def test_row_19_chips_come_from_the_text_and_go_back_into_it(crew, tickets, screen):
    page = screen(crew.agent, "/search/?q=is%3Aopen+-tag%3Avip")
    chips = page.get_by_role("list", name="Conditions").get_by_role("listitem")
    expect(chips).to_have_count(2)
    expect(chips.nth(1)).to_contain_text("-tag:vip")
    page.get_by_role("button", name="Remove: Tags has not vip").click()
    expect(box(page)).to_have_value("is:open")
    expect(rows(page)).to_have_count(3)
    expect(chips).to_have_count(1)
    chips.first.get_by_role("button").first.click()
    expect(box(page)).to_be_focused()
    assert page.evaluate("[document.activeElement.selectionStart, document.activeElement.selectionEnd]") == [0, 7]


def test_row_19_keys_and_values_are_suggested_and_chosen_by_keys(crew, tickets, screen):
    page = screen(crew.agent)
    page.keyboard.press("/")
    page.keyboard.type("ta")
    options = page.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(options.first).to_contain_text("tag:")
    expect(box(page)).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(box(page)).to_have_attribute("aria-activedescendant", "query-option-0")
    page.keyboard.press("Enter")
    expect(box(page)).to_have_value("tag:")
    expect(options).to_have_text(["vip"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(box(page)).to_have_value("tag:vip")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("listbox", name="Suggestions")).to_be_hidden()


def test_row_19_a_mistake_is_underlined_and_told(crew, tickets, screen):
    page = screen(crew.agent)
    page.keyboard.press("/")
    page.keyboard.type("late statsu:open")
    page.keyboard.press("Enter")
    wrong = page.locator(".query__mirror span")
    expect(wrong).to_have_text("statsu:open")
    expect(box(page)).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#query-problem")).to_have_text("There is no “statsu:”. Did you mean “status:”?")
    assert "underline" in wrong.evaluate("one => getComputedStyle(one).textDecorationLine")
    where = wrong.bounding_box()
    field = box(page).bounding_box()
    assert field["x"] < where["x"] < field["x"] + field["width"]
    expect(rows(page)).to_have_count(0)


def test_row_19_nothing_is_asked_in_the_middle_of_a_syllable(crew, tickets, screen):
    page = screen(crew.agent)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/search/" in request.url else None)
    page.keyboard.press("/")
    page.wait_for_timeout(300)
    session = page.context.new_cdp_session(page)
    for syllables in ("ㅎ", "화", "환"):
        session.send("Input.imeSetComposition", {"text": syllables, "selectionStart": 1, "selectionEnd": 1})
        page.wait_for_timeout(200)
    assert asked == []
    session.send("Input.insertText", {"text": "환불"})
    expect(box(page)).to_have_value("환불")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    assert sum("/search/?q=" in url for url in asked) == 1


def test_row_19_recent_searches_are_offered(crew, tickets, screen):
    page = screen(crew.agent)
    for query in ("late", "refund"):
        page.keyboard.press("/")
        box(page).fill(query)
        page.keyboard.press("Enter")
        wait_until(lambda query=query: query in page.evaluate("Object.values(localStorage).join()"), what="the search")
        expect(page).to_have_url(re.compile(f"q={query}$"))
        expect(rows(page)).to_have_count(1)
    page.keyboard.press("Escape")
    expect(rows(page)).to_have_count(3)
    page.keyboard.press("/")
    options = page.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(options).to_have_text(["refund", "late"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("parcel")


def test_row_19_on_a_phone_and_in_korean(crew, tickets, screen):
    page = screen(crew.agent, width=360, language="ko")
    box(page).click()
    box(page).fill("상태:미해결 환불")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)
    chip = page.locator(".query__chips .tag").first
    expect(chip).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    rows(page).locator("a").click()
    expect(page.locator("#thread-log")).to_be_visible()
    page.go_back()
    expect(rows(page)).to_have_count(1)
    page.locator("[data-clear]").click()
    expect(rows(page)).to_have_count(3)
    assert page.errors == []
