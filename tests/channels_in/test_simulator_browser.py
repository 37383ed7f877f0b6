"""The phone in a browser."""

from __future__ import annotations

from django.utils import timezone
from playwright.sync_api import Page, expect

from channels_in import process
from channels_in.models import RawEvent, VisitorSession
from channels_in.simulator import provider
from tests.channels_in.adapter_cases import make_channel
from tests.conftest import wait_until
from tickets.models import Message

PERSON = "+821055510001"


def test_one_writes_as_the_customer_and_sees_the_answer(live_server, page: Page) -> None:
    channels = {kind: make_channel(kind) for kind in ("sms", "whatsapp", "email")}
    page.goto(f"{live_server}/simulator/?person=seoyeon&tab=sms")
    page.get_by_role("textbox", name="Message").fill("반품되나요?")
    page.keyboard.press("Enter")
    bubble = page.locator("#app-sms .bub")
    expect(bubble).to_contain_text("반품되나요?")
    expect(bubble).to_contain_text("Delivered")
    process.drain(seconds=10)
    assert Message.objects.get().text == "반품되나요?"

    for kind in ("sms", "whatsapp"):
        provider.record_message(
            kind,
            channels[kind].account_id,
            f"{kind}-1",
            person=PERSON,
            direction="to_person",
            text="<b>네</b>",
            part="",
        )
    expect(page.locator("#app-sms .bub").nth(1)).to_contain_text("<b>네</b>")  # as text, never as markup
    badge = page.get_by_role("tab", name="WhatsApp").locator("[data-badge]")
    expect(badge).to_have_text("1")

    provider.note_state("whatsapp", "whatsapp-1", "delivered", now=timezone.now())
    page.get_by_role("tab", name="WhatsApp").click()
    expect(badge).to_be_hidden()
    expect(page.locator("#app-whatsapp .bub")).to_be_visible()

    with page.expect_response("**/simulator/trouble/"):
        page.get_by_label("The provider answers with an error (500)").check()
    page.reload()
    expect(page.get_by_label("The provider answers with an error (500)")).to_be_checked()
    assert provider.mode_of("whatsapp", channels["whatsapp"].account_id, person=PERSON).mode == "broken"
    wait_until(lambda: "read" in provider.sent_by_us("whatsapp")[0].payload["states"], what="the mark")


def test_the_chat_is_the_widgets_own_panel(live_server, page: Page) -> None:
    channel = make_channel("webchat")
    channel.secrets = {"identity:k1": "HS256:a-key-of-the-tests-with-32-letters-or-more"}
    channel.save()
    page.goto(f"{live_server}/simulator/?person=seoyeon&tab=webchat")
    panel = page.frame_locator("#app-webchat iframe")
    panel.get_by_role("button", name="Send us a message").click()
    panel.get_by_role("textbox").first.fill("계란이 다 깨졌어요")
    page.keyboard.press("Enter")
    wait_until(lambda: RawEvent.objects.exists())
    process.drain(seconds=10)
    message = Message.objects.get()
    assert (message.text, message.author_name) == ("계란이 다 깨졌어요", "김서연")
    assert VisitorSession.objects.filter(subject="shop-seoyeon").exists()


def test_a_narrow_screen_is_the_phone(live_server, page: Page) -> None:
    make_channel("sms")
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{live_server}/simulator/?person=seoyeon")
    expect(page.get_by_role("button", name="Send")).to_be_in_viewport()
    expect(page.get_by_role("tab", name="SMS")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    expect(page.get_by_role("link", name="Emma Clarke")).to_be_hidden()
    page.get_by_text("김서연's phone").click()
    page.get_by_role("link", name="Emma Clarke").click()
    expect(page.get_by_text("Emma Clarke's phone")).to_be_visible()
