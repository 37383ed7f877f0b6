"""Marks put into the composer by keys and buttons, as if they were typed (ux.md 3.1)."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from playwright.sync_api import Page, expect

from agents.models import Agent
from tests.browser.desk import composer, says
from tests.workspace import scene
from tickets.models import Message, Ticket

VISITOR = scene.sender("Ara", visitor="v1")


def opened(screen: Any, agent: Agent, ticket: Ticket) -> Page:
    page = screen(agent, f"/tickets/{ticket.pk}/")
    expect(page.locator("format-bar:defined")).to_be_attached()
    expect(composer(page)).to_be_visible()
    return page


def chat(crew: Any, text: str = "Hello?") -> Ticket:
    return scene.says(crew.webchat, VISITOR, text, at=timezone.now()).ticket


def select(page: Page, words: str) -> None:
    """These words in the field; or the place of the `|` in them."""
    composer(page).evaluate(
        """(field, words) => {
             const at = field.value.indexOf(words.replace("|", ""));
             const caret = words.indexOf("|");
             field.focus();
             field.setSelectionRange(at + Math.max(caret, 0), caret < 0 ? at + words.length : at + caret);
           }""",
        words,
    )


def selected(page: Page) -> str:
    return composer(page).evaluate("field => field.value.slice(field.selectionStart, field.selectionEnd)")


def paste(page: Page, text: str) -> None:
    composer(page).evaluate(
        """(field, text) => {
             const clipboardData = new DataTransfer();
             clipboardData.setData("text/plain", text);
             field.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
           }""",
        text,
    )


def test_keys_put_marks_take_them_away_and_undo_is_the_browser_s_own(crew, screen):
    page = opened(screen, crew.agent, chat(crew))
    field = composer(page)
    field.focus()
    page.keyboard.type("Your parcel comes ")
    page.keyboard.press("Control+b")
    page.keyboard.type("today")
    page.keyboard.press("Control+b")  # the end of what was begun
    page.keyboard.type(", not later")
    expect(field).to_have_value("Your parcel comes **today**, not later")
    select(page, "not lat|er")
    page.keyboard.press("Control+i")
    expect(field).to_have_value("Your parcel comes **today**, not _later_")
    page.keyboard.press("Control+z")
    expect(field).to_have_value("Your parcel comes **today**, not later")
    select(page, "today")
    page.keyboard.press("Control+b")
    expect(field).to_have_value("Your parcel comes today, not later")
    page.keyboard.press("Control+b")
    assert selected(page) == "today"

    select(page, "parcel")
    page.keyboard.press("Control+k")
    expect(field).to_have_value("Your [parcel](https://) comes **today**, not later")
    assert selected(page) == "https://"
    page.keyboard.type("https://shop.example/a_b")
    select(page, "not later")
    paste(page, "https://shop.example/c")
    expect(field).to_have_value(
        "Your [parcel](https://shop.example/a_b) comes **today**, [not later](https://shop.example/c)"
    )
    page.keyboard.press("Control+k")  # nothing is selected now
    expect(page.locator("command-palette input")).to_be_focused()
    page.keyboard.press("Escape")

    written = field.input_value()
    page.reload()
    expect(field).to_have_value(written)  # the draft has seen all of it
    field.focus()
    page.keyboard.press("Control+Enter")
    said = page.locator(".message--out[id^=message] .text")
    expect(said.locator("strong")).to_have_text("today")
    expect(said.get_by_role("link", name="parcel")).to_have_attribute("href", "https://shop.example/a_b")
    assert Message.objects.filter(direction="out").count() == 1 and page.errors == []


def test_a_syllable_that_is_being_composed_is_not_disturbed(crew, screen):
    page = opened(screen, crew.agent, chat(crew))
    field = composer(page)
    field.focus()
    session = page.context.new_cdp_session(page)
    for step in ("ㄱ", "가", "강"):
        session.send("Input.imeSetComposition", {"text": step, "selectionStart": 1, "selectionEnd": 1})
    for key in ("b", "k"):
        field.evaluate(
            """(field, key) => field.dispatchEvent(new KeyboardEvent("keydown", {key, code: `Key${key.toUpperCase()}`, keyCode: 229,
                 ctrlKey: true, isComposing: true, bubbles: true, cancelable: true}))""",
            key,
        )
    expect(field).to_have_value("강")
    session.send("Input.insertText", {"text": "강"})
    page.keyboard.insert_text("조는")
    expect(field).to_have_value("강조는")
    select(page, "강조")
    page.get_by_role("button", name="Bold").click()
    expect(field).to_have_value("**강조**는")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("강조는")
    assert page.errors == []


def test_where_nothing_would_be_shown_of_it_nothing_is_offered(crew, screen):
    page = opened(screen, crew.agent, says(crew, "Hello?").ticket)  # by SMS
    field, bold = composer(page), page.get_by_role("button", name="Bold")
    expect(bold).to_be_hidden()
    field.fill("today")
    field.select_text()
    page.keyboard.press("Control+b")
    expect(field).to_have_value("today")
    page.locator("label:has([name=kind][value=note])").click()
    note = page.locator("#composer-note")
    note.fill("first\nsecond")
    note.select_text()
    page.get_by_role("button", name="List").click()
    expect(note).to_have_value("- first\n- second")
    bold.focus()
    page.keyboard.press("Enter")  # all of it is done by keyboard too
    expect(note).to_have_value("- **first**\n- **second**")
    page.keyboard.press("Control+b")
    expect(note).to_have_value("- first\n- second")
    assert page.errors == []
