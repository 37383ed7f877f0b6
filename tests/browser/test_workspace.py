"""Agents at their screens, in real browsers."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.templatetags.static import static
from django.utils import timezone
from playwright.sync_api import Locator, expect

from agents.models import Team
from tests.browser.desk import composer, leaves, says, stopped_on_the_way, three_tickets
from tests.conftest import comes_to, wait_until
from tests.test_words import Texts, english_in, speaking_korean
from tests.workspace import scene
from tickets import live
from tickets.models import Draft, Message, Ticket, TicketField
from tickets.routing import assign as routing


def test_row_10_a_message_appears_is_answered_and_the_colleague_sees_it_all(crew, screen):
    mina, theo = screen(crew.agent), screen(crew.teammate)
    ticket = says(crew, "Where is my parcel?").ticket
    for page in (mina, theo):
        row = page.locator(f"#ticket-row-{ticket.pk}")
        expect(row).to_contain_text("Where is my parcel?")
        expect(row).to_have_class(re.compile("is-unread"))

    mina.keyboard.press("j")
    mina.keyboard.press("Enter")
    expect(mina.locator("#thread-log")).to_contain_text("Where is my parcel?")
    expect(mina.locator(f"#ticket-row-{ticket.pk}")).not_to_have_class(re.compile("is-unread"))
    assert mina.url.endswith(f"/tickets/{ticket.pk}/")
    theo.locator(f"#ticket-row-{ticket.pk} a").click()

    expect(composer(mina)).to_be_visible()
    mina.keyboard.press("r")
    mina.keyboard.type("It is on ")
    expect(theo.locator("#viewers")).to_contain_text("Mina is writing a reply")
    mina.keyboard.type("its way.")
    mina.keyboard.press("Control+Enter")
    for page in (mina, theo):
        expect(page.locator(".message--out .text")).to_have_text("It is on its way.")
        expect(page.locator(".message--out")).to_have_count(1)
    expect(mina.locator(f"#ticket-row-{ticket.pk} [data-slot=by]")).to_have_text("You:")
    expect(theo.locator(f"#ticket-row-{ticket.pk} [data-slot=by]")).to_have_text("")
    expect(composer(mina)).to_have_value("")
    assert mina.errors == theo.errors == []


def test_row_1_solving_opens_the_next_and_undo_brings_it_back(crew, screen):
    first, second, _third = three_tickets(crew)
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    expect(page.locator(f"#ticket-row-{first.pk}")).to_be_visible()
    expect(composer(page)).to_be_visible()
    page.keyboard.press("e")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(page.locator(f"#ticket-row-{first.pk}")).to_have_count(0)
    expect(page.locator("#ticket-title")).to_be_focused()
    expect(page.locator(".toast")).to_contain_text("Solved.")
    page.keyboard.press("z")
    expect(page.locator(f"#ticket-row-{first.pk}")).to_be_visible()
    first.refresh_from_db()
    assert first.is_unsolved and page.errors == []
    page.keyboard.press("k")
    expect(page.locator("#thread-log")).to_contain_text("I am Ara")
    page.go_back()
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    assert page.url.endswith(f"/tickets/{second.pk}/")


def test_row_1_a_tag_that_the_team_wants_is_asked_for_and_the_solving_goes_on(crew, screen):
    Team.objects.filter(pk=crew.support.pk).update(needs_tag=True)
    first, second, _third = three_tickets(crew)
    Ticket.objects.update(team=crew.support)
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    expect(composer(page)).to_be_visible()
    page.keyboard.press("e")
    filter_ = page.locator("#property-tags-menu [role=combobox]")
    expect(filter_).to_be_focused()
    expect(filter_).to_have_accessible_description("This team wants a tag on a ticket before it is solved.")
    page.keyboard.press("Escape")
    expect(filter_).to_be_hidden()
    page.keyboard.press("e")
    expect(filter_).to_be_focused()
    page.keyboard.type("delivery")
    with page.expect_response(lambda answer: "/solution/" in answer.url and answer.ok):
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(page.locator(f"#ticket-row-{first.pk}")).to_have_count(0)
    assert Ticket.objects.get(pk=first.pk).status == "solved"

    expect(composer(page)).to_be_visible()
    page.set_viewport_size({"width": 360, "height": 800})  # where the properties are folded away
    composer(page).fill("It is there.")
    page.keyboard.press("Control+Shift+Enter")
    expect(page.locator("#composer-guard")).to_contain_text("wants a tag")
    expect(composer(page)).to_have_value("It is there.")
    page.locator("#composer-guard [data-wants]").click()
    expect(filter_).to_be_focused()
    page.keyboard.type("delivery")
    expect(page.locator("#property-tags-menu")).to_contain_text("delivery")  # offered, or there already
    page.keyboard.press("Enter")
    expect(page.locator("#property-tags-button")).to_contain_text("delivery")
    page.keyboard.press("Escape")
    expect(page.locator(".message--out[id^=message]")).to_contain_text("It is there.")
    assert Ticket.objects.get(pk=second.pk).status == "solved" and page.errors == []


def test_row_1_fields_that_are_needed_are_asked_for_one_after_the_other_and_the_solving_goes_on(crew, screen):
    TicketField.objects.create(key="order_id", label="Order number", required=True, position=1)
    TicketField.objects.create(
        key="reason", label="Reason", kind="choice", choices=["Broken", "Late"], required=True, position=2
    )
    first, _second, _third = three_tickets(crew)
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    expect(composer(page)).to_be_visible()
    page.keyboard.press("e")
    typed = page.locator("#property-field-order_id-value")
    expect(typed).to_be_focused()
    expect(typed).to_have_accessible_description("Needed before a solve")
    page.keyboard.type("A-1")
    page.keyboard.press("Enter")
    menu = page.locator("#property-field-reason-menu")
    expect(menu).to_be_visible()
    expect(menu.get_by_role("option", name="None")).to_be_focused()
    page.keyboard.press("ArrowDown")
    with page.expect_response(lambda answer: "/solution/" in answer.url and answer.ok):
        page.keyboard.press("Enter")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(page.locator(f"#ticket-row-{first.pk}")).to_have_count(0)
    first.refresh_from_db()
    assert (first.status, first.fields) == ("solved", {"order_id": "A-1", "reason": "Broken"})
    assert page.errors == []


def test_row_1_a_tag_asked_for_late_leads_nobody_away_and_solves_the_ticket_it_was_for(crew, screen):
    first, second, _third = three_tickets(crew)
    Ticket.objects.update(team=crew.support)
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    expect(composer(page)).to_be_visible()
    Team.objects.filter(pk=crew.support.pk).update(needs_tag=True)  # which this screen does not know
    solving = stopped_on_the_way(page, "**/solution/")
    page.keyboard.press("e")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(composer(page)).to_be_visible()
    page.keyboard.press("r")
    page.keyboard.type("Hello ")
    leaves(page, solving, "**/solution/")
    said = page.locator(".toast", has_text="wants a tag")
    expect(said).to_be_visible()
    page.keyboard.type("Bo")
    expect(composer(page)).to_have_value("Hello Bo")
    said.get_by_role("button", name="Open the ticket").click()
    expect(page.locator("#thread-log")).to_contain_text("I am Ara")

    page.keyboard.press("e")
    expect(page.locator("#property-tags-menu [role=combobox]")).to_be_focused()
    page.keyboard.type("delivery")
    page.keyboard.press("Enter")
    expect(page.locator("#property-tags-list [aria-selected=true]")).to_have_text("delivery")
    tagging = stopped_on_the_way(page, f"**/tickets/{first.pk}/tags/")
    with page.expect_request(f"**/tickets/{first.pk}/tags/"):
        page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    leaves(page, tagging, f"**/tickets/{first.pk}/tags/")
    expect(page.locator(f"#ticket-row-{first.pk}")).to_have_count(0)
    expect(page.locator(".toast", has_text="Solved.")).to_be_visible()
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    statuses = dict(Ticket.objects.values_list("pk", "status"))
    assert (statuses[first.pk], statuses[second.pk]) == ("solved", "new") and page.errors == []


def test_row_9_z_again_undoes_what_was_done_before(crew, screen):
    first, second, _third = three_tickets(crew)
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    expect(composer(page)).to_be_visible()
    for ticket, after in ((first, "I am Bo"), (second, "I am Cleo")):
        expect(page.locator(f"#ticket-row-{ticket.pk}")).to_be_visible()
        page.keyboard.press("e")
        expect(page.locator("#thread-log")).to_contain_text(after)
        expect(page.locator(f"#ticket-row-{ticket.pk}")).to_have_count(0)
        expect(page.locator(".toast")).to_have_count(1 if ticket is first else 2)
    page.keyboard.press("z")
    expect(page.locator(f"#ticket-row-{second.pk}")).to_be_visible()
    page.keyboard.press("z")
    expect(page.locator(f"#ticket-row-{first.pk}")).to_be_visible()
    page.keyboard.press("z")  # nothing is left
    assert {ticket.status for ticket in Ticket.objects.all()} == {"new"} and page.errors == []


def test_row_1_the_last_solve_of_a_list_makes_one_toast(crew, screen):
    ticket = says(crew, "Only me").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(page.locator(f"#ticket-row-{ticket.pk}")).to_be_visible()
    expect(composer(page)).to_be_visible()
    page.keyboard.press("e")
    expect(page.locator("#ticket")).to_contain_text("That was the last one in this list.")
    expect(page.locator(".toast")).to_contain_text("Solved.")
    expect(page.locator(".toast")).to_have_count(1)
    page.keyboard.press("z")
    expect(page.locator(f"#ticket-row-{ticket.pk}")).to_be_visible()
    assert page.errors == []


def test_row_2_the_keys_work_with_other_layouts(crew, screen):
    first, second, third = three_tickets(crew)
    page = screen(crew.agent)
    expect(page.locator(".row")).to_have_count(3)

    def press(key, code):
        page.evaluate(
            "([key, code]) => document.body.dispatchEvent(new KeyboardEvent('keydown', {key, code, bubbles: true}))",
            [key, code],
        )

    hangul, dvorak = (("ㅓ", "KeyJ"), ("ㅏ", "KeyK")), (("j", "KeyC"), ("k", "KeyV"))
    for (down, up), reached in ((hangul, (first, second, first)), (dvorak, (second, third, second))):
        for stroke, ticket in zip((down, down, up), reached, strict=True):
            press(*stroke)
            expect(page.locator(".row.is-cursor")).to_have_attribute("data-ticket", str(ticket.pk))


def test_row_4_menus_by_key_change_the_ticket(crew, screen):
    ticket = says(crew, "Hello").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    page.keyboard.press("i")
    expect(page.locator("#property-assignee-button")).to_contain_text("Mina")
    expect(page.locator("#property-status-button")).to_contain_text("Open")
    page.keyboard.press("a")
    page.keyboard.type("theo")
    page.keyboard.press("Enter")
    expect(page.locator("#property-assignee-button")).to_contain_text("Theo")
    page.keyboard.press("p")
    page.get_by_role("option", name="Urgent").click()
    expect(page.locator(f"#ticket-row-{ticket.pk} .priority")).to_have_attribute("data-priority", "urgent")
    page.keyboard.press("l")
    page.keyboard.type("brand new")
    page.keyboard.press("Enter")
    expect(page.locator("#property-tags-list [aria-selected=true]")).to_have_text("brand new")
    page.keyboard.press("Escape")
    expect(page.locator("#property-tags-button")).to_contain_text("brand new")
    expect(page.locator("#thread-log")).to_contain_text("Tags: +brand new")
    facts = Ticket.objects.values_list("assignee", "priority")
    comes_to(lambda: facts.get(pk=ticket.pk), (crew.teammate.pk, 4))
    assert page.errors == []


def test_row_9_what_a_key_did_another_one_undoes(crew, screen):
    ticket = says(crew, "Hello").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()

    def was_undone(shown: Locator, words: str, told: str) -> None:
        expect(shown).to_contain_text(words)
        expect(page.locator(".toast").filter(has_text=told).locator("[data-undo]")).to_be_visible()
        page.keyboard.press("z")
        expect(shown).not_to_contain_text(words)

    page.keyboard.press("i")
    was_undone(page.locator("#property-assignee-button"), "Mina", "Assigned to Mina.")
    for key, menu, words in (("s", "status", "Pending"), ("p", "priority", "Urgent")):
        page.keyboard.press(key)
        page.locator(f"#property-{menu}-menu").get_by_role("option", name=words).click()
        was_undone(page.locator(f"#property-{menu}-button"), words, f"{menu.title()}: {words}.")
    page.keyboard.press("Shift+A")
    expect(page.locator("#property-team-menu [role=combobox]")).to_be_focused()
    page.keyboard.type("billing")
    page.keyboard.press("Enter")
    was_undone(page.locator("#property-team-button"), "Billing", "Team: Billing.")
    page.keyboard.press("l")
    expect(page.locator("#property-tags-menu [role=combobox]")).to_be_focused()
    page.keyboard.type("vip")
    page.keyboard.press("Enter")
    expect(page.locator("#property-tags-list [aria-selected=true]")).to_have_text("vip")
    page.keyboard.press("Escape")
    was_undone(page.locator("#property-tags-button"), "vip", "Tags changed.")
    page.keyboard.press("Shift+E")
    was_undone(page.locator("#property-status-button"), "Solved", "Solved.")

    def facts() -> tuple[Any, ...]:
        ticket.refresh_from_db()
        return ticket.assignee, ticket.team, ticket.status, ticket.priority, list(ticket.tags.all())

    as_it_was = (None, None, "new", 2, [])
    wait_until(lambda: facts() == as_it_was, what="the last undo")
    assert page.errors == []


def test_row_17_a_key_takes_a_ticket_and_so_does_the_first_answer(crew, screen):
    first, second, _third = three_tickets(crew)
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    expect(composer(page)).to_be_visible()
    take = page.locator("[data-command='ticket.take']").first
    expect(take).to_have_attribute("aria-keyshortcuts", "I")
    page.keyboard.press("i")
    expect(page.locator("#property-assignee-button")).to_contain_text("Mina")
    expect(take).to_have_count(0)  # it is hers
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(composer(page)).to_be_visible()
    page.keyboard.press("r")
    page.keyboard.type("Hello Bo")
    page.keyboard.press("Enter")
    expect(page.locator("#property-assignee-button")).to_contain_text("Mina")
    comes_to(lambda: Ticket.objects.get(pk=second.pk).assignee, crew.agent)
    assert page.errors == []


def test_row_28_it_is_dark_where_the_system_is_until_one_chooses(crew, screen):
    page = screen(crew.agent)
    ground = "() => getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert sum(rgb(light)) > 3 * 200 and sum(rgb(dark)) < 3 * 50
    page.locator("[popovertarget=me-menu]").click()
    with page.expect_response("**/preference/"):
        page.locator("[data-theme-choice=light]").click()
    assert page.evaluate(ground) == light
    page.reload()
    assert page.evaluate(ground) == light
    crew.agent.refresh_from_db()
    assert crew.agent.theme == "light" and page.errors == []


def rgb(colour: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", colour)[:3]]


def test_row_29_a_korean_screen_says_nothing_in_english_whatever_one_does(crew, screen):
    speaking_korean(crew)
    ticket = says(crew, "컵이 깨져서 왔어요", who=scene.sender("김서연", phone="+821055550000")).ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    english: dict[str, list[str]] = {}

    def look(at: str) -> None:
        if found := english_in(Texts(page.content()).said):
            english[at] = found

    for keys, shown in (
        ("?", "#shortcuts"),
        ("Control+k", "#palette-list [role=option]"),
        ("h", "#snooze-menu-times [role=option]"),
        ("a", "#property-assignee-list [role=option]"),
        ("p", "#property-priority-menu"),
        (".", "#more-menu"),
    ):
        page.keyboard.press(keys)
        expect(page.locator(shown).first).to_be_visible()
        look(keys)
        page.keyboard.press("Escape")
        expect(page.locator(shown).first).to_be_hidden()
    page.keyboard.press("n")
    page.keyboard.insert_text("확인했어요")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".message--note[id^=message]")).to_be_visible()
    page.keyboard.press("r")
    page.keyboard.insert_text("사진을 첨부했어요")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#composer-guard")).to_be_visible()
    look("a slip")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".message--out[id^=message]:not(.message--note)")).to_be_visible()
    page.keyboard.press("x")
    expect(page.locator("bulk-bar")).to_be_visible()
    look("selected")
    page.keyboard.press("x")
    page.keyboard.press("e")
    expect(page.locator(".toast [data-undo]")).to_be_visible()
    look("solved")
    assert english == {} and page.errors == []


def test_row_35_why_here_is_answered_beside_the_ticket_and_more_can_be_done_by_one_key(crew, screen):
    ticket = says(crew, "Hello").ticket
    routing.assign(ticket.pk, now=timezone.now())
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    page.keyboard.press(".")
    items = page.locator("#more-menu [role=menuitem]")
    expect(items.first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(items.last).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#explanation-body .why__decision").first).to_be_visible()
    assert page.url.endswith(f"/tickets/{ticket.pk}/")
    page.keyboard.press("Escape")
    expect(page.locator("#explanation")).to_be_hidden()
    page.keyboard.press(".")
    expect(items.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#property-status-button")).to_contain_text("Solved")
    expect(page.locator("[data-reopen]")).to_be_visible()
    page.keyboard.press(".")
    expect(items.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(f"#ticket-row-{ticket.pk}")).to_have_count(0)
    expect(page.locator("#ticket[data-ticket]")).to_have_count(0)  # unread, and back in the list
    comes_to(lambda: Ticket.objects.get(pk=ticket.pk).status, "solved")
    assert page.errors == []


def test_row_5_a_draft_survives_a_reload_and_is_marked_in_the_list(crew, screen):
    ticket = says(crew, "Hello").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    composer(page).fill("Dear Jiwoo, we")
    expect(page.locator("#composer-saved")).to_have_text("Draft saved")
    page.reload()
    expect(composer(page)).to_have_value("Dear Jiwoo, we")
    expect(page.locator(f"#ticket-row-{ticket.pk} [data-slot=draft]")).to_contain_text("Dear Jiwoo, we")
    composer(page).fill("")
    expect(page.locator(f"#ticket-row-{ticket.pk} [data-slot=draft]")).to_have_text("")
    comes_to(Draft.objects.exclude(text="").count, 0)


def test_row_6_a_reply_that_crosses_another_is_stopped_though_the_screen_knew_nothing(crew, screen):
    ticket = says(crew, "Who can help me?").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    composer(page).fill("I can!")
    page.evaluate("document.querySelector('#thread-log').apply = () => 0")  # this screen does not see what comes
    theirs = scene.answers(ticket, crew.teammate, "I have it already.", at=timezone.now())
    composer(page).press("Control+Enter")
    guard = page.locator("#composer-guard")
    expect(guard).to_contain_text("I have it already.")
    expect(composer(page)).to_have_value("I can!")
    assert Message.objects.filter(direction="out").count() == 1
    with page.expect_response("**/replies/") as answer:
        guard.get_by_text("Send anyway").click()
    assert answer.value.status == 201
    expect(guard).to_be_hidden()
    assert list(Message.objects.filter(direction="out").order_by("pk").values_list("text", flat=True)) == [
        theirs.text,
        "I can!",
    ]


def test_row_7_a_screen_that_was_asleep_catches_up(crew, screen):
    ticket = says(crew, "First").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    page.context.set_offline(True)
    page.evaluate("window.dispatchEvent(new Event('offline'))")
    says(crew, "While you slept")
    page.context.set_offline(False)
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(page.locator("#thread-log")).to_contain_text("While you slept")


def test_row_31_on_a_phone_one_pane_at_a_time(crew, screen):
    ticket = says(crew, "From a phone").ticket
    page = screen(crew.agent, width=360)
    expect(page.locator("#thread")).to_be_hidden()
    page.locator(f"#ticket-row-{ticket.pk} a").click()
    expect(page.locator("#thread-log")).to_contain_text("From a phone")
    expect(page.locator("#list")).to_be_hidden()
    page.locator("[data-fold=side]").first.click()
    expect(page.locator("#property-status-button")).to_be_visible()
    page.locator(".side__bar [data-fold=side]").click()
    page.go_back()
    expect(page.locator("#list")).to_be_visible()
    expect(page.locator("#thread")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360 and page.errors == []


def test_row_31_everything_that_triage_needs_is_done_with_a_thumb_at_360_px(crew, screen):
    first, second, third = three_tickets(crew)
    page = screen(crew.agent, width=360, touch=True)

    def choose(name: str, option: str) -> None:
        page.locator(f"#property-{name}-button").tap()
        page.locator(f"#property-{name}-menu").get_by_role("option", name=option).first.tap()
        expect(page.locator(f"#property-{name}-button")).to_contain_text(option)

    page.locator(f"#ticket-row-{first.pk} a").tap()
    expect(page.locator("#thread-log")).to_contain_text("I am Ara")
    page.locator("#ticket [data-fold=side]").tap()
    choose("assignee", "Mina")
    choose("team", "Billing")
    choose("priority", "Urgent")
    page.locator("#property-tags-button").tap()
    page.locator("#property-tags-menu [role=combobox]").fill("vip")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#property-tags-button")).to_contain_text("vip")
    choose("status", "Pending")
    page.locator(".side__bar [data-fold=side]").tap()
    composer(page).tap()
    composer(page).fill("I will look after it.")
    page.locator("[data-send][data-command='composer.send']").tap()
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("I will look after it.")
    composer(page).tap()  # it had folded itself to a line
    page.locator("label:has([name=kind][value=note])").tap()
    page.locator("#composer-note").fill("Ask the courier.")
    page.get_by_role("button", name="Add note").tap()
    expect(page.locator(".message--note[id^=message] .text")).to_have_text("Ask the courier.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360

    page.locator("[data-back]").tap()
    page.locator(f"#ticket-row-{second.pk} a").tap()
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    page.locator("[popovertarget=snooze-menu]").tap()
    page.locator("#snooze-menu-times [role=option]").first.tap()
    expect(page.locator(f"#head-{second.pk} .chip")).to_be_visible()
    page.locator("[data-back]").tap()
    page.locator(f"#ticket-row-{third.pk} a").tap()
    expect(page.locator("#thread-log")).to_contain_text("I am Cleo")
    page.locator("#ticket .btn--solve").tap()
    expect(page.locator(f"#ticket-row-{third.pk}")).to_have_count(0)
    page.locator(".toast", has_text="Solved.").locator("[data-undo]").tap()
    expect(page.locator(f"#ticket-row-{third.pk}")).to_have_count(1)

    facts = Ticket.objects.values_list("assignee", "team", "priority", "status", "tags__name")
    comes_to(lambda: facts.get(pk=first.pk), (crew.agent.pk, crew.billing.pk, 4, "pending", "vip"))
    comes_to(lambda: Ticket.objects.get(pk=third.pk).status, "new")
    assert Ticket.objects.get(pk=second.pk).snoozed_until is not None and page.errors == []


def test_a_mail_runs_nothing_fetches_nothing_and_hears_our_keys(crew, screen):
    first, _second, _third = three_tickets(crew)
    message = first.messages.get()
    html = (
        '<p style="color:#ff0000" id="red">Red words</p>'
        + "<p>line</p>" * 40
        + '<img data-remote="https://track.example/x.png" alt="">'
    )
    Message.objects.filter(pk=message.pk).update(html=html + "<script>parent.document.title='owned'</script>")
    page = screen(crew.agent)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator(f"#ticket-row-{first.pk} a").click()
    frame = page.frame_locator("iframe[data-mail-frame]")
    expect(frame.locator("p", has_text="Red words")).to_have_css("color", "rgb(255, 0, 0)")
    wait_until(
        lambda: page.locator("iframe[data-mail-frame]").evaluate("one => one.clientHeight") > 900,
        what="its whole height",
    )
    frame.locator("body").press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    assert "owned" not in page.title()
    assert not [url for url in asked if "track.example" in url]


def test_row_10_the_list_says_new_above_a_reader_who_has_scrolled(crew, screen):
    scene.many(crew, 30, now=timezone.now() - timedelta(hours=1))
    page = screen(crew.agent, "/views/all/")
    expect(page.locator(".row")).to_have_count(30)
    page.locator("#list-scroll").evaluate("node => { node.scrollTop = 600; }")
    ticket = says(crew, "Later").ticket
    expect(page.locator(".more-new")).to_contain_text("1 new")
    expect(page.locator(f"#ticket-row-{ticket.pk}")).to_have_count(0)
    page.locator(".more-new").click()
    expect(page.locator(".row").first).to_have_attribute("data-ticket", str(ticket.pk))


def test_row_7_the_browser_and_the_server_agree_on_the_fingerprint(crew, screen):
    page = screen(crew.agent)
    for ids in ([], [1], [1, 2, 3], [10**9, 2**40]):
        path = static("js/lib/feed.js")
        assert page.evaluate(f"async (ids) => (await import('{path}')).fingerprint(ids)", ids) == live.fingerprint(ids)


def test_row_10_a_tag_that_is_typed_faster_than_the_tags_are_loaded_is_set(crew, screen):
    first = three_tickets(crew)[0]
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    page.evaluate(
        """() => {
          const real = window.fetch;
          const slowly = (...asked) => new Promise((done) => setTimeout(() => done(real(...asked)), 800));
          window.fetch = (...asked) => (String(asked[0]).endsWith("/tags/") ? slowly(...asked) : real(...asked));
        }"""
    )
    page.locator("#property-tags-button").click()
    page.keyboard.press("Escape")
    page.locator("#property-tags-button").click()  # opened twice before they are there
    page.locator("#property-tags-menu [role=combobox]").fill("vip")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#property-tags-button")).to_contain_text("vip")
    expect(page.locator("#property-tags-menu")).to_be_hidden()
    comes_to(lambda: [tag.name for tag in first.tags.all()], ["vip"])
