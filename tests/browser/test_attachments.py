"""Rows 12, 14 and 23: note or reply, which way, and what goes along with it."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import Any

from django.utils import timezone
from playwright.sync_api import Page, expect

from agents.models import Agent
from tests.browser.desk import composer, says, until
from tests.conftest import comes_to, wait_until
from tests.workspace import scene
from tickets.models import Draft, Message

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HANDED = """([how, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type: "image/png" }));
  const about = { bubbles: true, cancelable: true };
  const event = how === "paste" ? new ClipboardEvent(how, { ...about, clipboardData: carried }) : new DragEvent(how, { ...about, dataTransfer: carried });
  document.querySelector("#composer-text").dispatchEvent(event);
}"""


def hand(page: Page, how: str, name: str) -> None:
    """What the browser says when a picture is pasted or let fall into the field."""
    page.evaluate(HANDED, [how, name, base64.b64encode(PICTURE).decode()])


def test_row_12_a_note_looks_like_one_and_the_tab_is_kept_with_its_draft(crew, screen):
    ticket = says(crew, "Hello?").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    assert not is_amber(page)
    page.keyboard.press("n")
    expect(page.locator("#composer-note")).to_be_focused()
    expect(page.get_by_text("Only your team sees this")).to_be_visible()
    expect(page.locator("[data-send]:visible")).to_have_text("Add note")
    wait_until(lambda: is_amber(page), what="amber")
    page.keyboard.type("Ask the courier")
    expect(page.locator("#composer-saved")).to_have_text("Draft saved")
    page.reload()
    expect(page.locator("#composer-note")).to_have_value("Ask the courier")
    expect(composer(page)).to_be_hidden()
    page.locator("#composer-note").press("Control+Enter")
    expect(page.locator(".message--note[id^=message] .text")).to_have_text("Ask the courier")
    said = Message.objects.get(kind="note")
    assert said.route is None and not said.parts.exists()
    comes_to(Draft.objects.exclude(text="").count, 0)
    assert not Message.objects.filter(direction="out", kind="public").exists() and page.errors == []


def is_amber(page: Page) -> bool:
    colour = page.locator(".composer__box").evaluate("(box) => getComputedStyle(box).backgroundColor")
    red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    return red > blue + 20 and green > blue + 15


def test_row_14_one_writes_by_another_way_of_the_same_customer(crew, screen):
    Agent.objects.filter(pk=crew.agent.pk).update(undo_seconds=0)
    now = timezone.now()
    who = scene.sender("Ara", phone="+821055550000", email="ara@example.org")
    ticket = scene.says(crew.sms, who, "Hello?", at=now - timedelta(minutes=2)).ticket
    scene.says(crew.whatsapp, who, "Here too", at=now, window_until=now + timedelta(hours=5, minutes=1))
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    routes = page.locator(".routes > button")
    expect(routes).to_contain_text("+821055550000")
    routes.click()
    expect(page.locator("#route-menu [role=option][data-kind=whatsapp]")).to_contain_text("Window closes in 5\xa0hours")
    page.locator("#route-menu [role=option][data-kind=sms]").click()
    composer(page).fill("x" * 200)
    expect(page.locator("#composer-count")).to_contain_text("2 SMS")
    routes.click()
    page.locator("#route-menu [role=option][data-kind=email]").click()
    expect(routes).to_contain_text("ara@example.org")
    composer(page).fill("By mail, with more room.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("By mail, with more room.")
    answer = Message.objects.get(direction="out")
    assert (answer.channel.kind, answer.route.identity.value) == ("email", "ara@example.org")
    assert answer.ticket_id == ticket.pk and page.errors == []


def test_row_23_files_come_by_paste_drop_and_button_and_sending_waits_for_them(crew, screen):
    ticket = says(crew, "Which one?").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    names = page.locator("#composer-files .attachment__name")
    held: list[Any] = []
    page.route("**/uploads/", lambda route: held.append(route))
    hand(page, "paste", "pasted.png")
    hand(page, "drop", "dropped.png")
    page.locator("[data-files]").set_input_files({"name": "list.txt", "mimeType": "text/plain", "buffer": b"one\ntwo"})
    expect(names).to_have_text(["pasted.png", "dropped.png", "list.txt"])
    expect(page.locator("#composer-files [data-state=uploading]")).to_have_count(3)
    composer(page).fill("These.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("ticket-composer[busy]")).to_be_attached()
    until(page, lambda: len(held) == 3)
    assert not Message.objects.filter(direction="out").exists()
    for route in held:
        route.continue_()
    expect(page.locator(".message--out[id^=message]")).to_contain_text("These.")
    expect(names).to_have_count(0)
    sent = Message.objects.get(direction="out").attachments.order_by("name").values_list("name", flat=True)
    assert list(sent) == ["dropped.png", "list.txt", "pasted.png"] and page.errors == []
