"""Writing and sending in a real browser (ux.md 17: rows 3, 5, 6, 8, 14, 24)."""

from __future__ import annotations

import base64
import re
import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone
from playwright.sync_api import Page, expect

from agents.models import Agent
from tests import cast as people
from tests.browser.desk import JIWOO, composer, leaves, says, stopped_on_the_way, three_tickets
from tests.conftest import comes_to, wait_until
from tests.workspace import scene
from tickets import approved, replies
from tickets.contract import Template
from tickets.models import DeliveryPart, Draft, Identity, Macro, Message, Route, Ticket

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
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
    ticket = mails(crew)
    page = opened(screen, crew.agent, ticket)
    page.evaluate("() => { const now = Date.now; Date.now = () => now() + 3600000; }")  # its clock is wrong
    page.locator("[data-files]").set_input_files({"name": "label.png", "mimeType": "image/png", "buffer": PNG})
    files = page.locator("#composer-files [data-state=stored]")
    expect(files).to_contain_text("label.png")
    composer(page).fill("It leaves tomorrow.")
    page.keyboard.press("Control+Shift+Enter")  # and it solves the ticket when it leaves
    expect(page.locator("#thread-log [data-waiting]")).to_contain_text(re.compile(r"Sending in \d+ s"))
    expect(composer(page)).to_have_value("")
    expect(files).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "thread-log"  # E and J work at once
    page.keyboard.press("z")
    expect(composer(page)).to_have_value("It leaves tomorrow.")
    expect(page.locator("#thread-log [data-waiting]")).to_have_count(0)
    expect(files).to_contain_text("label.png")
    expect(page.locator("#property-status-button")).to_contain_text("New")
    assert Draft.objects.get().send_at is None
    ticket.refresh_from_db()
    assert (ticket.status, ticket.assignee) == ("new", None)
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


def test_row_1_send_and_solve_opens_the_next_for_whoever_wants_that(crew, screen):
    first, second, third = three_tickets(crew)
    page = opened(screen, crew.agent, first)
    expect(page.locator(f"#ticket-row-{first.pk}")).to_be_visible()
    composer(page).fill("Done.")
    page.keyboard.press("Control+Shift+Enter")
    expect(page.locator(f"#ticket-row-{first.pk}")).to_have_count(0)
    expect(page.locator(".message--out[id^=message]")).to_contain_text("Done.")

    page.goto(page.url.partition("/tickets/")[0] + "/settings/profile/")
    page.get_by_label("After “Send and solve”, open the next ticket").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".toast, .banner, .alert").first).to_be_visible()
    page = opened(screen, crew.agent, second)
    expect(page.locator(f"#ticket-row-{second.pk}")).to_be_visible()
    composer(page).fill("Done as well.")
    page.keyboard.press("Control+Shift+Enter")
    expect(page.locator("#thread-log")).to_contain_text("I am Cleo")
    expect(page.locator("#ticket-title")).to_be_focused()
    expect(composer(page)).to_have_value("")
    composer(page).fill("And you.")
    page.locator("[popovertarget=send-menu]").click()
    page.locator("#send-menu [value=solved]").click()
    expect(page.locator("#ticket")).to_contain_text("That was the last one in this list.")
    comes_to(lambda: [answer.ticket_id for answer in answers().order_by("pk")], [first.pk, second.pk, third.pk])
    assert set(Ticket.objects.values_list("status", flat=True)) == {"solved"} and page.errors == []


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
    page.locator("[data-files]").first.set_input_files(
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


def composes(page, *steps):
    """Write with an input method; the last step stays open."""
    composer(page).focus()
    session = page.context.new_cdp_session(page)
    for step in steps:
        session.send("Input.imeSetComposition", {"text": step, "selectionStart": len(step), "selectionEnd": len(step)})
    return session


def compose(page, *steps):
    """Write with an input method, press Enter while it composes, and let it end."""
    session = composes(page, *steps)
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


def test_row_24_a_failed_answer_comes_back_into_the_composer_and_goes_another_way(crew, screen):
    ticket = says(crew, "Hello?").ticket
    Identity.objects.create(
        customer=ticket.customer, kind="email", value="jiwoo@example.org", verified=True, evidence="agent"
    )
    message = scene.answers(ticket, crew.agent, "On its way.", at=timezone.now())
    DeliveryPart.objects.update(state="failed", error_code="30003", last_error="Unreachable handset")
    Message.objects.filter(pk=message.pk).update(state="failed")
    Agent.objects.filter(pk=crew.agent.pk).update(undo_seconds=0)
    page = opened(screen, crew.agent, ticket)
    bubble = page.locator(f"#message-{message.pk}")
    expect(bubble).to_contain_text("Unreachable handset")
    bubble.get_by_role("button", name="Another way").click()
    expect(composer(page)).to_have_value("On its way.")
    expect(page.locator(".routes [data-current]")).to_contain_text("jiwoo@example.org")
    expect(page.get_by_label("To", exact=True)).to_have_value("jiwoo@example.org")
    expect(bubble.get_by_role("button", name="Try again")).to_have_count(0)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".message--out[id^=message]")).to_have_count(2)
    assert answers().order_by("-pk").first().channel == crew.email
    assert Message.objects.get(pk=message.pk).state == "failed" and page.errors == []


def test_row_24_an_answer_of_which_nobody_knows_is_settled_by_one_click(crew, screen):
    ticket = says(crew, "Hello?").ticket
    message = scene.answers(ticket, crew.agent, "On its way.", at=timezone.now())
    DeliveryPart.objects.update(state="uncertain")
    Message.objects.filter(pk=message.pk).update(state="uncertain")
    page = opened(screen, crew.agent, ticket)
    delivery = page.locator(f"#delivery-{message.pk}")
    expect(delivery).to_contain_text("Unconfirmed")
    delivery.get_by_role("button", name="It arrived").click()
    expect(delivery).not_to_contain_text("Unconfirmed")
    expect(delivery.get_by_role("button")).to_have_count(0)
    message.refresh_from_db()
    assert message.state in ("sent", "delivered") and page.errors == []


def test_row_23_files_show_how_far_they_are_and_can_be_cancelled(crew, screen):
    page = opened(screen, crew.agent, says(crew, "Hello?").ticket)
    under_way: list[Any] = []
    page.route("**/uploads/", lambda route: under_way.append(route), times=1)
    picture = {"name": "shoe.png", "mimeType": "image/png", "buffer": PNG}
    page.locator("[data-files]").first.set_input_files(picture)
    chip = page.locator("#composer-files [data-state=uploading]")
    expect(chip.locator("progress")).to_be_visible()
    expect(chip.locator("canvas")).to_be_visible()
    chip.get_by_role("button", name="Cancel").click()
    expect(page.locator("#composer-files > *")).to_have_count(0)
    page.locator("[data-files]").first.set_input_files([picture, {**picture, "name": "box.png"}])
    expect(page.locator("#composer-files input[name=files]")).to_have_count(2)
    expect(page.locator("#composer-files canvas")).to_have_count(2)
    sends(page, "Here they are.")
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("Here they are.")
    assert answers().get().attachments.count() == 2 and page.errors == []


def test_row_8_a_new_recipient_is_held_up_until_one_is_sure(crew, screen):
    Agent.objects.filter(pk=crew.agent.pk).update(undo_seconds=30)
    page = opened(screen, crew.agent, mails(crew))
    expect(page.locator("format-bar:defined")).to_be_attached()
    page.get_by_label("Cc", exact=True).fill("boss@example.org")
    page.keyboard.press("Control+b")  # means nothing here
    page.keyboard.press("Enter")  # goes on to the text
    page.keyboard.type("It leaves tomorrow.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#composer-guard")).to_contain_text("boss@example.org")
    expect(composer(page)).to_have_value("It leaves tomorrow.")
    page.locator("#composer-guard [data-sure]").click()
    expect(page.locator("#thread-log [data-waiting]")).to_be_visible()
    assert Draft.objects.get().cc == ["boss@example.org"]
    page.keyboard.press("z")
    expect(composer(page)).to_have_value("It leaves tomorrow.")
    expect(page.get_by_label("Cc", exact=True)).to_have_value("boss@example.org")
    assert page.errors == []


def test_row_14_after_its_window_whatsapp_takes_a_template(crew, screen):
    ticket = scene.says(crew.whatsapp, JIWOO, "Hello?", at=timezone.now() - timedelta(days=3)).ticket
    Route.objects.update(window_expires_at=timezone.now() - timedelta(days=2))
    approved.keep(crew.whatsapp, [Template("update", "en", "Hello {{1}}, it arrives on {{2}}.", ("1", "2"))])
    page = opened(screen, crew.agent, ticket)
    page.get_by_role("button", name="Choose a template").click()
    page.locator("#place-2").fill("Friday")
    expect(page.locator("#template-words")).to_have_text("Hello Jiwoo, it arrives on Friday.")
    page.get_by_role("button", name="Send the template").click()
    expect(page.locator("#template-dialog")).to_be_hidden()
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("Hello Jiwoo, it arrives on Friday.")
    assert answers().get().meta["template"]["variables"] == ["Jiwoo", "Friday"] and page.errors == []


def test_row_5_two_tabs_of_one_person_lose_nothing_of_each_other(crew, screen):
    ticket = says(crew, "Hello?").ticket
    page = opened(screen, crew.agent, ticket)
    other = page.context.new_page()
    other.goto(page.url)
    expect(composer(other)).to_be_visible()
    composer(page).fill("Written in the first tab.")
    expect(page.locator("#composer-saved")).to_have_text("Draft saved")
    session = composes(other, "ㅎ", "하")
    expect(other.locator("#composer-saved")).to_have_text("Draft saved")
    expect(composer(other)).to_have_value("하")  # a syllable is not broken
    assert Draft.objects.get(agent=crew.agent).text == "Written in the first tab.\n\n하"
    session.send("Input.insertText", {"text": "한"})
    expect(composer(other)).to_have_value("Written in the first tab.\n\n한")
    composer(other).press_sequentially(" one")  # one goes on where one was
    expect(other.locator("#composer-saved")).to_have_text("Draft saved")
    page.close()
    other.reload()
    expect(composer(other)).to_have_value("Written in the first tab.\n\n한 one")


# -- On its way, whatever is on the screen by now -----------------------------------------------------------------------------


def test_row_6_what_is_refused_when_one_has_gone_on_solves_nothing_and_leads_back(crew, screen):
    first, _second, _third = three_tickets(crew)
    page = opened(screen, crew.agent, first)
    page.locator("[data-files]").first.set_input_files({"name": "label.png", "mimeType": "image/png", "buffer": PNG})
    expect(page.locator("#composer-files input[name=files]")).to_be_attached()
    under_way = stopped_on_the_way(page, "**/replies/")
    sends(page, "I help you")
    expect(page.locator("#thread-log [data-pending]")).to_contain_text("I help you")
    page.keyboard.press("e")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(page.locator("#thread-log [data-pending]")).to_have_count(0)
    scene.answers(first, crew.teammate, "Done already", at=timezone.now())
    leaves(page, under_way, "**/replies/")
    expect(page.locator(".toast", has_text="Not solved")).to_be_visible()
    first.refresh_from_db()
    assert first.status != "solved" and [one.text for one in answers()] == ["Done already"]
    page.get_by_role("button", name="Open the ticket").click()
    expect(page.locator("#thread-log")).to_contain_text("Done already")
    expect(composer(page)).to_have_value("I help you")
    expect(page.locator("#composer-files")).to_contain_text("label.png")
    assert page.errors == []


def kept_here(page: Page, what: str) -> list[str]:
    return page.evaluate("(what) => Object.keys(localStorage).filter((name) => name.startsWith(what))", what)


def test_row_6_what_was_sent_in_a_hurry_is_no_draft_when_it_arrives(crew, screen):
    first, _second, _third = three_tickets(crew)
    page = opened(screen, crew.agent, first)
    under_way = stopped_on_the_way(page, "**/replies/")
    sends(page, "I help you")  # before it was saved
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    leaves(page, under_way, "**/replies/")
    wait_until(lambda: answers().exists())
    wait_until(lambda: not kept_here(page, "draft:"))
    assert [one.text for one in answers()] == ["I help you"]
    comes_to(Draft.objects.exclude(text="").count, 0)
    assert page.errors == []


def test_row_5_what_is_written_while_an_answer_is_refused_stands_after_it(crew, screen):
    ticket = says(crew, "Who helps?").ticket
    page = opened(screen, crew.agent, ticket)
    under_way = stopped_on_the_way(page, "**/replies/")
    composer(page).fill("I do")
    page.keyboard.press("Enter")
    page.keyboard.type("let me look")  # after Enter in a chat the next line is written, and no letter is a command
    expect(composer(page)).to_have_value("let me look")
    scene.answers(ticket, crew.teammate, "Done already", at=timezone.now())
    leaves(page, under_way, "**/replies/")
    expect(page.locator("#composer-guard")).to_contain_text("Done already")
    expect(composer(page)).to_have_value("I do\n\nlet me look")
    expect(page.locator("#composer-saved")).to_have_text("Draft saved")
    comes_to(lambda: Draft.objects.get(agent=crew.agent).text, "I do\n\nlet me look")  # more than was saved before
    page.get_by_role("button", name="Send anyway").click()
    expect(page.locator(".message--out[id^=message] .text").last).to_contain_text("let me look")
    assert page.errors == []


def test_all_slips_stand_in_one_strip_and_are_sent_past_by_one_press(crew, screen):
    ticket = says(crew, "Where is it?").ticket
    page = opened(screen, crew.agent, ticket)
    composer(page).fill("Dear {{customer.name}}, the invoice is attached")
    page.keyboard.press("Control+Enter")
    lines = page.locator("#composer-guard p")
    expect(lines).to_have_count(2)
    expect(lines.nth(0)).to_contain_text("{{customer.name}}")
    expect(lines.nth(1)).to_contain_text("attach")
    page.locator("#composer-guard [data-go]").click()
    expect(page.locator(".message--out[id^=message] .text")).to_contain_text("the invoice is attached")
    assert page.errors == []


def test_row_34_what_is_refused_is_on_this_device_until_it_is_safe_elsewhere(crew, screen):
    first, _second, _third = three_tickets(crew)
    page = opened(screen, crew.agent, first)
    under_way = stopped_on_the_way(page, "**/replies/")
    composer(page).fill("I do")
    page.keyboard.press("Enter")
    page.keyboard.type("let me look")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    scene.answers(first, crew.teammate, "Done already", at=timezone.now())
    asked = stopped_on_the_way(page, "**/drafts/**")  # it is not kept there before the tab is closed
    leaves(page, under_way, "**/replies/")
    wait_until(lambda: not kept_here(page, "queue:") and asked)
    other = page.context.new_page()
    address = page.url.partition("/tickets/")[0] + f"/tickets/{first.pk}/"
    page.close()
    other.goto(address)
    expect(composer(other)).to_have_value("I do\n\nlet me look")
    assert page.errors == []


def test_row_34_a_script_that_could_not_be_had_comes_without_a_reload(crew, screen):
    first, _second, _third = three_tickets(crew)
    page = screen(crew.agent)
    page.route("**/desk.*js*", lambda route: route.abort(), times=2)
    page.goto(f"{page.url}tickets/{first.pk}/")
    expect(page.locator(".toast")).to_contain_text("That did not work.")
    page.keyboard.press("r")
    expect(composer(page)).to_be_focused()
    sends(page, "I help you")
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("I help you")
    assert page.errors == []


def test_row_34_what_had_arrived_after_all_goes_no_second_time(crew, screen):
    page = opened(screen, crew.agent, says(crew, "Hello?").ticket)
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")  # nothing can wait here

    def swallow(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/replies/", swallow, times=1)
    sends(page, "Hi!")
    expect(page.locator(".toast[data-kind=error]")).to_be_visible()
    expect(composer(page)).to_have_value("")  # its draft learned that it is in the thread
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("Hi!")
    stopped_on_the_way(page, "**/drafts/**")
    page.route("**/replies/", swallow, times=1)
    sends(page, "And good morning.")
    expect(composer(page)).to_have_value("And good morning.")
    composer(page).focus()
    with page.expect_response("**/replies/") as again:
        page.keyboard.press("Control+Enter")
    assert again.value.status == 201
    assert [one.text for one in answers().order_by("pk")] == ["Hi!", "And good morning."] and page.errors == []


def test_row_23_an_answer_whose_file_is_still_going_up_goes_to_its_own_ticket(crew, screen):
    first, _second, _third = three_tickets(crew)
    page = opened(screen, crew.agent, first)
    under_way = stopped_on_the_way(page, "**/uploads/")
    page.locator("[data-files]").first.set_input_files({"name": "label.png", "mimeType": "image/png", "buffer": PNG})
    expect(page.locator("#composer-files [data-state=uploading]")).to_be_visible()
    sends(page, "Here it is")
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(composer(page)).to_be_visible()
    composer(page).fill("Hello Bo")
    leaves(page, under_way, "**/uploads/")
    wait_until(lambda: answers().exists())
    answer = answers().get()
    assert (answer.ticket, answer.text, answer.attachments.get().name) == (first, "Here it is", "label.png")
    expect(page.locator(".message--out")).to_have_count(0)
    expect(composer(page)).to_have_value("Hello Bo")
    assert page.errors == []


def test_row_8_a_mail_is_taken_back_from_another_ticket_with_its_macro(crew, screen):
    Agent.objects.filter(pk=crew.agent.pk).update(undo_seconds=30)
    ticket = mails(crew)
    says(crew, "And where is mine?")
    deeds = [{"do": "tag", "tags": ["refund"]}, {"do": "priority", "priority": 3}]
    macro = Macro.objects.create(title="Refund", owner=crew.admin, scope="shared", deeds=deeds)
    Draft.objects.create(
        ticket=ticket, agent=crew.agent, kind="reply", client_uuid=uuid.uuid4(), revision=1, text="Refunded.",
        then={"macro": macro.pk, "deeds": deeds[:1]},
    )  # fmt: skip
    page = opened(screen, crew.agent, ticket)
    expect(page.locator(".macro__deed")).to_have_count(1)
    composer(page).focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#thread-log [data-waiting]")).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("And where is mine?")
    page.keyboard.press("z")
    expect(page.locator(".toast", has_text="Taken back")).to_be_visible()
    assert Draft.objects.get().send_at is None and not answers().exists()
    page.get_by_role("button", name="Open the ticket").click()
    expect(composer(page)).to_have_value("Refunded.")
    expect(page.locator(".macro__deed")).to_have_count(1)
    composer(page).press_sequentially(" Sorry.")
    expect(page.locator("#composer-saved")).to_have_text("Draft saved")
    kept = Draft.objects.filter(text__contains="Sorry.").values_list("then", flat=True)
    comes_to(lambda: list(kept.all()), [{"macro": macro.pk, "deeds": deeds[:1]}])
    assert page.errors == []


def test_row_34_what_the_network_has_swallowed_waits_and_goes_once(crew, screen):
    ticket = says(crew, "Hello?").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/", own_clock=True)
    expect(composer(page)).to_be_visible()
    under_way = stopped_on_the_way(page, "**/replies/")
    sends(page, "Hi!")
    expect(page.locator("#thread-log [data-pending]")).to_contain_text("Sending")
    page.clock.fast_forward(16_000)
    expect(page.locator("#thread-log [data-waits]")).to_contain_text("Waits for the connection")
    page.unroute("**/replies/")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.clock.fast_forward(1000)
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("Hi!")
    expect(page.locator("#thread-log [data-waits]")).to_have_count(0)
    assert len(under_way) == 1 and answers().count() == 1 and page.errors == []
