"""What is promised to a customer, with the keyboard alone and on a phone: made, told, kept, handed over."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.axe import found_in_both
from tests.browser.desk import composer, says, three_tickets
from tests.conftest import comes_to
from tickets.models import Promise, Ticket

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
    page.wait_for_timeout(500)  # the pane comes to rest
    wrong += found_in_both(page, "promises", "#side-content")
    wide = page.evaluate(
        "[...document.querySelectorAll('.promise, .promise *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert not wrong and wide == 0, "\n".join(wrong)
    page.get_by_role("button", name="지킴, 고객에게 알리기").click()
    expect(composer(page)).to_be_focused()
    assert "약속드린 내용을 처리했습니다: 택배사에" in composer(page).input_value()
    assert page.errors == []
