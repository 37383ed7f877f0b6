"""What is promised to a customer, with the keyboard alone and on a phone: made, told, kept, handed over."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.axe import found_in_both
from tests.browser.desk import at_rest, composer, leaves, says, stopped_on_the_way, three_tickets, until
from tests.conftest import comes_to
from tickets import promises
from tickets.models import Promise, Ticket
from tickets.models.event import by_agent

pytestmark = [pytest.mark.timeout(120), pytest.mark.csp_report]  # axe adds a style element of its own


def test_it_is_promised_by_keys_the_customer_is_told_and_it_is_kept(crew, screen):
    ticket = says(crew, "Where is my parcel?").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    page.keyboard.press("y")
    expect(page.locator("#promise-text")).to_be_focused()
    page.keyboard.type("Ask the courier")
    page.keyboard.press("Tab")
    page.keyboard.type("whenever")
    expect(page.locator("#promise-times")).to_contain_text("Write a time in the future")
    page.keyboard.press("Enter")
    expect(page.locator("#promise [role=alert]")).to_contain_text("Write a time in the future")
    page.locator("#promise-due").fill("in 3 hours")
    expect(page.locator("#promise-times input:checked")).to_have_count(1)
    page.locator("#promise-tell").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("#promise")).not_to_be_visible()
    expect(page.locator("#composer-text")).to_be_focused()
    expect(composer(page)).not_to_have_value("")
    assert "Ask the courier" in composer(page).input_value()
    promised = page.locator(f"#promises-{ticket.pk} .promise")
    expect(promised).to_contain_text("Ask the courier")
    expect(page.locator("#thread-log .event-line").last).to_contain_text("Promised the customer: “Ask the courier”")
    assert ticket.messages.filter(direction="out").count() == 0, "nothing goes by itself"

    promised.get_by_role("button", name="Kept", exact=True).press("Enter")
    expect(promised).to_have_count(0)
    expect(page.locator(f"#promises-{ticket.pk} summary")).to_be_focused()
    expect(page.locator("#thread-log .event-line").last).to_contain_text("Promise kept")
    page.locator("#ticket-title").focus()
    page.keyboard.press("z")
    expect(promised).to_contain_text("Ask the courier")
    assert page.errors == []


def test_a_key_in_the_list_means_the_row_and_an_owner_is_chosen_from_a_menu(crew, screen):
    three_tickets(crew)
    page = screen(crew.agent)
    expect(page.locator(".row")).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("y")
    expect(page.locator("#promise-text")).to_be_focused()
    page.locator("#promise-text").fill("Call back")
    page.locator("#promise-due").fill("tomorrow 9am")
    page.locator("#promise [type=submit]").click()
    expect(page.locator(".promise")).to_contain_text("Call back")
    promise = Promise.objects.get()
    page.locator(f"#property-promise-{promise.pk}-button").press("Enter")
    expect(page.locator(f"#property-promise-{promise.pk}-list [role=option]").first).to_be_visible()
    page.keyboard.type("theo")
    page.keyboard.press("Enter")
    expect(page.locator(f"#property-promise-{promise.pk}-button")).to_contain_text("Theo")
    comes_to(lambda: Promise.objects.get().owner, crew.teammate)
    expect(page.locator("#thread-log .event-line").last).to_contain_text("Promise handed to Theo")
    assert Ticket.objects.get(pk=promise.ticket_id).status != "solved" and page.errors == []


def test_the_dialog_begins_anew_for_each_ticket_also_where_an_answer_comes_late(crew, screen):
    ara, bo, _cleo = three_tickets(crew)
    page = at_rest(crew, screen, ara)
    page.keyboard.press("y")
    page.locator("#promise-text").fill("Meant for Ara")
    page.locator("#promise-due").fill("in 3 hours")
    expect(page.locator("#promise-times input:checked")).to_have_count(1)
    page.locator("#promise [type=submit]").click()
    expect(page.locator("#promise")).not_to_be_visible()

    late = stopped_on_the_way(page, f"**/tickets/{ara.pk}/promises/")
    page.keyboard.press("y")
    until(page, lambda: late)
    expect(page.locator("#promise-text")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    page.keyboard.press("y")
    expect(page.locator("#promise-fields")).to_have_attribute("hx-post", f"/tickets/{bo.pk}/promises/")
    leaves(page, late, f"**/tickets/{ara.pk}/promises/")
    page.wait_for_load_state("networkidle")
    expect(page.locator("#promise-fields")).to_have_attribute("hx-post", f"/tickets/{bo.pk}/promises/")
    expect(page.locator("#promise-text")).to_have_value("")
    assert page.errors == []


def test_words_for_the_customer_that_come_late_land_in_no_note_and_in_no_other_ticket(crew, screen):
    ara, bo, _cleo = three_tickets(crew)
    now = timezone.now()
    for text in ("Call back", "Send a new one"):
        promises.make(
            ara, text=text, due_at=now + timedelta(hours=3), owner=crew.agent, by=by_agent(crew.agent), now=now
        )
    page = at_rest(crew, screen, ara)
    kept = page.get_by_role("button", name="Kept, tell the customer")
    path = "**/fulfilment/"
    late = stopped_on_the_way(page, path)
    kept.first.click()
    until(page, lambda: late)
    page.locator("#ticket-title").focus()
    page.keyboard.press("n")
    page.keyboard.type("Between us: ")
    leaves(page, late, path)
    expect(kept).to_have_count(1)
    page.keyboard.type("she is right")
    expect(page.locator("#composer-note")).to_have_value("Between us: she is right")
    expect(composer(page)).to_have_value("We have done what we promised you: Call back")

    late = stopped_on_the_way(page, path)
    kept.click()
    until(page, lambda: late)
    page.locator("#ticket-title").focus()
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(composer(page)).to_be_visible()
    leaves(page, late, path)
    page.locator(".toast", has_text="wait in the composer").get_by_role("button", name="Open the ticket").click()
    expect(composer(page)).to_have_value(re.compile("Call back\n\n.*: Send a new one$"))
    assert bo.drafts.count() == 0 and page.errors == []


def test_on_a_phone_in_korean_and_in_the_dark_it_fits_and_axe_finds_nothing(crew, screen):
    ticket = says(crew, "언제 오나요?").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/", width=360, language="ko")
    page.emulate_media(reduced_motion="reduce")
    expect(composer(page)).to_be_visible()
    page.locator("[popovertarget=more-menu]").click()
    page.get_by_role("menuitem", name="후속 약속하기").click()
    expect(page.locator("#promise-text")).to_be_focused()
    page.locator("#promise-text").fill("택배사에 확인하고 전화드리기")
    page.locator("#promise-due").fill("내일 오전 9시")
    expect(page.locator("#promise-times input:checked")).to_have_count(1)
    wrong = found_in_both(page, "promise", "#promise")
    page.locator("#promise [type=submit]").click()
    expect(page.locator("#promise")).not_to_be_visible()
    page.locator("[data-command='side.toggle']").click()
    expect(page.locator(".promise")).to_be_visible()
    until(page, lambda: page.evaluate("document.getAnimations().every((one) => one.playState !== 'running')"))
    wrong += found_in_both(page, "promises", "#side-content")
    wide = page.evaluate(
        "[...document.querySelectorAll('.promise, .promise *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert not wrong and wide == 0, "\n".join(wrong)
    page.get_by_role("button", name="지킴, 고객에게 알리기").click()
    expect(composer(page)).to_be_focused()
    assert "약속드린 내용을 처리했습니다: 택배사에" in composer(page).input_value()
    assert page.errors == []
