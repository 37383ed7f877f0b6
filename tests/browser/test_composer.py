"""Writing and sending in a real browser (ux.md 17: rows 3, 5, 6, 8, 14, 24)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.utils import timezone
from playwright.sync_api import Page, expect

from agents.models import Agent
from tests import cast as people
from tests.browser.desk import composer, says
from tests.workspace import scene
from tickets import replies
from tickets.models import Draft, Message, Ticket

ARA = scene.sender("Ara", email="ara@example.org")


def mails(crew: people.Cast, text: str = "Where is my parcel?") -> Ticket:
    return scene.says(crew.email, ARA, text, at=timezone.now() - timedelta(minutes=5)).ticket


def opened(screen: Any, agent: Agent, ticket: Ticket) -> Page:
    page = screen(agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    return page


def sends(page: Page, text: str) -> None:
    composer(page).fill(text)
    page.keyboard.press("Control+Enter")


def answers() -> Any:
    return Message.objects.filter(direction="out")


def test_row_8_a_mail_can_be_taken_back_with_z_and_nothing_has_left(crew, screen):
    Agent.objects.filter(pk=crew.agent.pk).update(undo_seconds=30)
    page = opened(screen, crew.agent, mails(crew))
    sends(page, "It leaves tomorrow.")
    expect(page.locator("#thread-log [data-waiting]")).to_contain_text(re.compile(r"Sending in \d+ s"))
    expect(composer(page)).to_have_value("")
    assert page.evaluate("document.activeElement.id") == "thread-log"  # E and J work at once
    page.keyboard.press("z")
    expect(composer(page)).to_have_value("It leaves tomorrow.")
    expect(page.locator("#thread-log [data-waiting]")).to_have_count(0)
    assert Draft.objects.get().send_at is None
    assert replies.release_due(now=timezone.now() + timedelta(hours=1)) == 0
    assert not answers().exists() and page.errors == []


def test_row_8_closing_the_tab_is_safe_and_it_leaves_at_its_moment(crew, screen):
    Agent.objects.filter(pk=crew.agent.pk).update(undo_seconds=30)
    ticket = mails(crew)
    page = opened(screen, crew.agent, ticket)
    sends(page, "It leaves tomorrow.")
    expect(page.locator("#thread-log [data-waiting]")).to_be_visible()
    page.reload()
    expect(page.locator("#thread-log [data-waiting] .text")).to_have_text("It leaves tomorrow.")
    expect(composer(page)).to_have_value("")
    assert replies.release_due(now=timezone.now() + timedelta(seconds=31)) == 1
    expect(page.locator("#thread-log [data-waiting]")).to_have_count(0)
    expect(page.locator(".message--out .text")).to_have_text("It leaves tomorrow.")
    assert answers().get().text == "It leaves tomorrow." and not Draft.objects.exists() and page.errors == []


def test_row_8_a_chat_leaves_at_once(crew, screen):
    page = opened(screen, crew.agent, says(crew, "Hello?").ticket)
    sends(page, "Hi!")
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("Hi!")
    expect(page.locator("#thread-log [data-waiting]")).to_have_count(0)
    assert answers().get().text == "Hi!"


def test_row_5_what_is_typed_while_an_answer_waits_is_kept(crew, screen):
    Agent.objects.filter(pk=crew.agent.pk).update(undo_seconds=30)
    page = opened(screen, crew.agent, mails(crew))
    sends(page, "First.")
    expect(page.locator("#thread-log [data-waiting]")).to_be_visible()
    composer(page).fill("And another thing")
    expect(page.locator("#composer-saved")).to_have_text("Draft kept on this device")
    composer(page).fill("")
    composer(page).fill("And a second thing")
    assert replies.release_due(now=timezone.now() + timedelta(seconds=31)) == 1
    expect(page.locator("#composer-saved")).to_have_text("Draft saved")
    assert answers().get().text == "First."
    page.reload()
    expect(composer(page)).to_have_value("And a second thing")
    assert page.errors == []


def test_row_8_send_later_waits_is_shown_and_cancelled(crew, screen):
    ticket = says(crew, "Hello?").ticket
    page = opened(screen, crew.agent, ticket)
    composer(page).fill("Good morning!")
    page.get_by_role("button", name="Send later").first.click()
    page.locator("#later-menu input[type=text]").fill("tomorrow 9am")
    page.keyboard.press("Enter")
    expect(page.locator("#thread-log [data-waiting]")).to_contain_text("unless the customer writes first")
    draft = Draft.objects.get()
    assert draft.send_at is not None and draft.send_at > timezone.now() and not draft.send_anyway
    page.reload()
    page.get_by_role("button", name="Cancel sending").click()
    expect(composer(page)).to_have_value("Good morning!")
    assert Draft.objects.get().send_at is None and not answers().exists() and page.errors == []


def test_row_8_the_customer_writes_first_and_the_text_comes_back(crew, screen):
    ticket = says(crew, "Hello?").ticket
    page = opened(screen, crew.agent, ticket)
    composer(page).fill("Good morning!")
    page.get_by_role("button", name="Send later").first.click()
    page.locator("#later-menu [data-at]").first.click()
    expect(page.locator("#thread-log [data-waiting]")).to_be_visible()
    says(crew, "Never mind.")
    replies.release_due(now=timezone.now() + timedelta(days=14))
    expect(composer(page)).to_have_value("Good morning!")
    expect(page.locator(".toast")).to_contain_text("the thread has moved on")
    assert not answers().exists() and page.errors == []


def test_row_24_a_slip_stops_once(crew, screen):
    page = opened(screen, crew.agent, says(crew, "Hello?").ticket)
    slips = {
        "Dear {{customer.name}}, hello": "{{customer.name}}",
        "The invoice is attached.": "there is no file",
        "파일을 첨부합니다.": "there is no file",
    }
    for n, (text, slip) in enumerate(slips.items(), start=1):
        sends(page, text)
        expect(page.locator("#composer-guard")).to_contain_text(slip)
        assert composer(page).input_value() == text and answers().count() == n - 1
        page.keyboard.press("Control+Enter")
        expect(page.locator(".message--out[id^=message] .text").last).to_have_text(text)
        expect(page.locator("#composer-guard")).to_be_hidden()
        expect(page.locator("ticket-composer:not([busy])")).to_be_visible()
        assert answers().count() == n and page.errors == []


def test_row_24_a_file_that_failed_stays_and_is_tried_again(crew, screen):
    page = opened(screen, crew.agent, says(crew, "Hello?").ticket)
    page.route("**/uploads/", lambda route: route.abort(), times=1)
    page.locator("[data-files]").set_input_files(
        {"name": "note.txt", "mimeType": "text/plain", "buffer": b"to be read"}
    )
    expect(page.locator("#composer-files [data-state=failed]")).to_contain_text("note.txt")
    sends(page, "Here it is.")
    expect(page.locator("#composer-guard")).to_contain_text("note.txt")
    assert not answers().exists()
    page.locator("[data-retry]").click()
    expect(page.locator("#composer-files input[name=files]")).to_be_attached()
    composer(page).focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("Here it is.")
    assert answers().get().attachments.get().name == "note.txt" and page.errors == []


def compose(page, *steps):
    """Write with an input method, press Enter while it composes, and let it end."""
    composer(page).focus()
    session = page.context.new_cdp_session(page)
    for step in steps:
        session.send("Input.imeSetComposition", {"text": step, "selectionStart": len(step), "selectionEnd": len(step)})
    page.evaluate(
        """() => document.activeElement.dispatchEvent(new KeyboardEvent("keydown",
             {key: "Process", code: "Enter", keyCode: 229, isComposing: true, bubbles: true, cancelable: true}))"""
    )
    session.send("Input.insertText", {"text": steps[-1]})


def test_row_3_one_enter_in_hangul_is_one_message_with_its_last_syllable(crew, screen):
    page = opened(screen, crew.agent, says(crew, "Hello?").ticket)
    compose(page, "ㅎ", "하", "한")
    page.keyboard.press("Enter")  # some systems press it a second time
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("한")
    page.wait_for_timeout(300)
    assert answers().count() == 1


def test_row_3_the_enter_that_chooses_a_word_in_kana_sends_nothing(crew, screen):
    page = opened(screen, crew.agent, says(crew, "Hello?").ticket)
    compose(page, "k", "か")
    page.wait_for_timeout(300)
    assert composer(page).input_value().strip() == "か" and not answers().exists()
    page.keyboard.press("Enter")
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("か")
    assert answers().count() == 1
