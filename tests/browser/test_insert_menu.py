"""The insert menu, macros and mentions in a real browser (ux.md 17: rows 13, 22, 26)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from agents.models import Agent
from tests import cast as people
from tests.browser.desk import leaves, says, stopped_on_the_way, three_tickets, until
from tests.conftest import comes_to
from tests.workspace import scene
from tickets.models import Attachment, Draft, Follower, Macro, MacroFile, MacroUse, Mention, Message, Ticket


@pytest.fixture
def prepared(crew: people.Cast) -> dict[str, Macro]:
    def make(title: str, **facts: Any) -> Macro:
        return Macro.objects.create(title=title, owner=crew.admin, scope=Macro.Scope.SHARED, **facts)

    return {
        "parcel": make(
            "Parcel on its way", code="parcel", text="Dear {{customer.name|customer}}, your parcel is on its way."
        ),
        "refund": make(
            "환불 안내",
            code="refund",
            folder="환불",
            text="{{customer.name|고객님}}, 환불을 접수했습니다.",
            deeds=[
                {"do": "tag", "tags": ["refund"]},
                {"do": "priority", "priority": 3},
                {"do": "status", "status": "pending"},
            ],
        ),
        "order": make("Order number please", text="Your order {{field.order_id}} is being packed."),
        "close": make("Close as spam", deeds=[{"do": "tag", "tags": ["spam"]}, {"do": "status", "status": "solved"}]),
    }


def opened(screen: Any, agent: Agent, ticket: Ticket, *, width: int = 1440) -> Page:
    page = screen(agent, f"/tickets/{ticket.pk}/", width=width)
    expect(page.locator("insert-menu:defined")).to_be_attached()
    expect(page.locator("#composer-text")).to_be_visible()
    return page


def options(page: Page) -> Any:
    return page.locator("#insert-list [role=option]")


def compose(page: Page, *steps: str) -> Any:
    """What is being composed, as an input method shows it; returns the session, so that it can be committed."""
    session = page.context.new_cdp_session(page)
    for step in steps:
        session.send("Input.imeSetComposition", {"text": step, "selectionStart": len(step), "selectionEnd": len(step)})
    return session


def test_row_13_a_slash_finds_by_title_code_and_letters_and_enter_inserts_it_filled(crew, screen, prepared):
    ticket = says(crew, "Where is it?").ticket
    page = opened(screen, crew.agent, ticket)
    page.locator("#composer-text").focus()
    page.keyboard.type("Hello! 1/2 of it. ")
    expect(page.locator("#insert-menu")).to_be_hidden()  # a slash within a word asks for nothing
    page.keyboard.type("/prcl")
    expect(options(page)).to_have_text([re.compile("Parcel on its way")])
    expect(page.locator(".insert__text")).to_have_text("Dear Jiwoo, your parcel is on its way.")
    assert page.locator("#composer-text").get_attribute("aria-activedescendant") == "insert-0"
    page.keyboard.press("Enter")
    expect(page.locator("#composer-text")).to_have_value("Hello! 1/2 of it. Dear Jiwoo, your parcel is on its way.")
    expect(page.locator("#insert-menu")).to_be_hidden()
    assert not Message.objects.filter(direction="out").exists()  # Enter chose, it sent nothing
    page.keyboard.press("Control+z")
    expect(page.locator("#composer-text")).to_have_value(re.compile(r"/prcl?$"))
    assert page.errors == []


def test_row_13_the_keyboard_moves_and_escape_closes_the_menu_only(crew, screen, prepared):
    ticket = says(crew, "Where is it?").ticket
    page = opened(screen, crew.agent, ticket)
    page.locator("#composer-text").focus()
    page.keyboard.type("/")
    expect(options(page)).to_have_count(4)
    page.keyboard.press("ArrowUp")
    expect(options(page).nth(3)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#insert-menu")).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "composer-text"
    page.keyboard.type("par")
    expect(page.locator("#insert-menu")).to_be_hidden()  # it stays closed for this slash
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement === document.body")


def test_row_13_the_menu_s_key_leaves_nothing_behind_where_nothing_was_chosen(crew, screen, prepared):
    first, second = (
        says(crew, "Where is it?").ticket,
        says(crew, "Hi", who=scene.sender("Bo", phone="+821055550000")).ticket,
    )
    page = opened(screen, crew.agent, first)
    field, row = page.locator("#composer-text"), page.locator(f"#ticket-row-{first.pk}")
    for _time in range(2):  # it opens again where it was closed
        page.keyboard.press("m")
        expect(options(page)).to_have_count(4)
        expect(field).to_have_value("/")
        page.keyboard.press("Escape")
        expect(page.locator("#insert-menu")).to_be_hidden()
        expect(field).to_have_value("")
        page.keyboard.press("Escape")
        expect(field).not_to_be_focused()
    field.fill("Hello,")
    page.locator("[data-insert]").click()
    expect(field).to_have_value("Hello, /")
    page.keyboard.type("par")
    page.keyboard.press("Escape")
    expect(field).to_have_value("Hello, /par")  # what was typed stays
    with page.expect_response(lambda one: "/drafts/" in one.url and one.request.method == "DELETE"):
        field.fill("")
    page.locator("[data-insert]").click()
    expect(field).to_have_value("/")
    page.locator(f"#ticket-row-{second.pk} a").click()
    expect(page.locator("#thread-log")).to_contain_text("Hi")
    expect(row).not_to_have_class(re.compile("has-draft"))
    comes_to(Draft.objects.exclude(text="").count, 0)
    assert page.errors == []


def test_row_13_hangul_is_found_while_it_is_composed_and_enter_chooses_once(crew, screen, prepared):
    Agent.objects.filter(pk=crew.agent.pk).update(language="ko")
    ticket = says(crew, "환불 되나요?").ticket
    page = opened(screen, crew.agent, ticket)
    page.locator("#composer-text").focus()
    page.keyboard.type("#")  # the sign of Korean desks
    expect(options(page)).to_have_count(4)
    for step in ("ㅎ", "호", "화", "환"):
        session = compose(page, step)
        expect(options(page)).to_have_count(1) if step != "호" else None
    expect(options(page)).to_have_text([re.compile("환불 안내")])
    session.send("Input.insertText", {"text": "환"})
    session = compose(page, "ㅂ", "부")
    expect(options(page)).to_have_text([re.compile("환불 안내")])
    page.evaluate(
        """() => document.activeElement.dispatchEvent(new KeyboardEvent("keydown",
             {key: "Process", code: "Enter", keyCode: 229, isComposing: true, bubbles: true, cancelable: true}))"""
    )
    session.send("Input.insertText", {"text": "부"})
    page.keyboard.press("Enter")  # some systems press it a second time
    expect(page.locator("#composer-text")).to_have_value("Jiwoo, 환불을 접수했습니다.")
    expect(page.locator(".macro")).to_contain_text("환불 안내")
    assert not Message.objects.filter(direction="out").exists() and page.errors == []


def test_row_13_what_was_looked_for_in_vain_is_not_sent(crew, screen, prepared):
    page = opened(screen, crew.agent, says(crew, "?").ticket)
    page.locator("#composer-text").focus()
    page.keyboard.type("/qqq")
    expect(page.locator(".insert__none")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#insert-menu")).to_be_hidden()
    expect(page.locator("#composer-text")).to_have_value("/qqq")
    assert not Message.objects.filter(direction="out").exists()


def test_row_13_initial_consonants_find(crew, screen, prepared):
    page = opened(screen, crew.agent, says(crew, "?").ticket)
    page.locator("#composer-text").focus()
    page.keyboard.type("/ㅎㅂㅇㄴ")
    expect(options(page)).to_have_text([re.compile("환불 안내")])


def test_row_13_a_place_without_a_value_is_marked_and_selected(crew, screen, prepared):
    page = opened(screen, crew.agent, says(crew, "?").ticket)
    page.locator("#composer-text").focus()
    page.keyboard.type("/order")
    expect(page.locator(".insert__text mark")).to_have_text("{{field.order_id}}")
    expect(page.locator(".insert__missing")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#composer-text")).to_have_value("Your order {{field.order_id}} is being packed.")
    page.keyboard.type("A-7")
    expect(page.locator("#composer-text")).to_have_value("Your order A-7 is being packed.")


def test_row_13_files_of_an_answer_go_to_the_tray_and_along_with_it(crew, screen, prepared):
    MacroFile.objects.create(
        macro=prepared["parcel"], name="map.pdf", content_type="application/pdf", size=7, sha256="a" * 64
    )
    ticket = says(crew, "?").ticket
    page = opened(screen, crew.agent, ticket)
    page.locator("#composer-text").focus()
    page.keyboard.type("/parcel")
    expect(page.locator(".insert__files")).to_contain_text("map.pdf")
    page.keyboard.press("Enter")
    expect(page.locator("#composer-files")).to_contain_text("map.pdf")
    file = Attachment.objects.get()
    assert (file.uploaded_by_id, file.message_id, file.sha256) == (crew.agent.pk, None, "a" * 64)


def test_row_22_a_macro_shows_what_it_does_and_goes_along_with_the_answer_as_one(crew, screen, prepared):
    ticket = says(crew, "I want my money back").ticket
    page = opened(screen, crew.agent, ticket)
    page.locator("#composer-text").focus()
    page.keyboard.type("/refund")
    expect(page.locator(".insert__deeds li")).to_have_text(["+refund", "Priority: High", "Status: Pending"])
    page.keyboard.press("Enter")
    chips = page.locator(".macro__deed")
    expect(chips).to_have_text(["+refund", "Priority: High", "Status: Pending"])
    ticket.refresh_from_db()
    assert ticket.priority == 2 and not MacroUse.objects.exists()  # shown before it is done
    page.locator("label:has([name=kind][value=note])").click()
    expect(page.locator(".macro")).to_be_hidden()  # it was chosen for the reply
    page.locator("label:has([name=kind][value=reply])").click()
    page.get_by_role("button", name="Leave out: Priority: High").click()
    expect(chips).to_have_text(["+refund", "Status: Pending"])
    page.locator("#composer-text").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("Jiwoo, 환불을 접수했습니다.")
    expect(page.locator(".macro")).to_be_hidden()
    expect(page.locator("#property-status [data-current]")).to_contain_text("Pending")
    ticket.refresh_from_db()
    assert (ticket.status, ticket.priority, [tag.name for tag in ticket.tags.all()]) == ("pending", 2, ["refund"])
    use = MacroUse.objects.get()
    assert use.message_id == Message.objects.get(direction="out").pk
    page.locator(".toast", has_text="Macro applied: 환불 안내. 2 changes.").get_by_role("button", name="Undo").click()
    comes_to(lambda: Ticket.objects.get(pk=ticket.pk).status, "open")
    assert not ticket.tags.exists()
    assert page.errors == []


def test_row_22_a_macro_without_words_is_applied_from_the_palette_and_undone_by_one_key(crew, screen, prepared):
    ticket = says(crew, "BUY NOW").ticket
    page = opened(screen, crew.agent, ticket)
    page.keyboard.press("Control+k")
    page.keyboard.type("close as")
    expect(page.locator("#palette-list [role=option]").first).to_contain_text("Close as spam")
    page.keyboard.press("Enter")
    expect(page.locator(".macro__deed")).to_have_text(["+spam", "Status: Solved"])
    page.keyboard.press("Enter")  # the focus is on Apply
    expect(page.locator(".toast")).to_contain_text("Macro applied")
    ticket.refresh_from_db()
    assert ticket.status == "solved" and [tag.name for tag in ticket.tags.all()] == ["spam"]
    page.keyboard.press("Escape")
    page.keyboard.press("z")
    comes_to(lambda: Ticket.objects.get(pk=ticket.pk).status, "new")
    assert not ticket.tags.exists() and MacroUse.objects.get().undone_at


def test_row_22_a_draft_keeps_its_macro(crew, screen, prepared):
    ticket = says(crew, "?").ticket
    page = opened(screen, crew.agent, ticket)
    page.locator("#composer-text").focus()
    page.keyboard.type("/refund")
    expect(page.locator(".insert__deeds li")).to_have_count(3)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Leave out: +refund").click()
    kept = {"macro": prepared["refund"].pk, "deeds": prepared["refund"].deeds[1:]}
    comes_to(Draft.objects.filter(then=kept).count, 1)
    page.reload()
    expect(page.locator(".macro__deed")).to_have_text(["Priority: High", "Status: Pending"])


def test_row_26_an_at_sign_in_a_note_names_people_who_are_told_and_follow(crew, screen, prepared):
    Agent.objects.filter(pk=crew.outsider.pk).update(sight="own")
    ticket = says(crew, "?").ticket
    Ticket.objects.filter(pk=ticket.pk).update(team=crew.support)
    page = opened(screen, crew.agent, ticket)
    page.locator("#composer-text").focus()
    page.keyboard.type("@th")
    expect(page.locator("#insert-menu")).to_be_hidden()  # customers are not told of colleagues
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    page.keyboard.type("@")
    expect(options(page)).to_have_text([re.compile(name) for name in ("Ada", "Grace", "Theo", "Support")])
    page.keyboard.type("th")
    expect(options(page)).to_have_text([re.compile("Theo")])
    page.keyboard.press("Enter")
    page.keyboard.type("please look, @sup")
    page.keyboard.press("Enter")
    expect(page.locator("#composer-note")).to_have_value("@Theo please look, @Support ")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".message--note:not([data-pending]) .text")).to_contain_text("@Theo please look")
    named = {(one.agent_id, one.team_id) for one in Mention.objects.all()}
    assert named == {(crew.teammate.pk, None), (None, crew.support.pk)}
    assert [one.agent_id for one in Follower.objects.filter(ticket=ticket)] == [crew.teammate.pk]
    expect(page.locator("#followers")).to_contain_text("Theo")


def test_row_26_one_follows_by_key_and_by_the_side_pane(crew, screen):
    ticket = says(crew, "?").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(page.locator("#composer-text")).to_be_visible()
    page.keyboard.press("Shift+F")
    expect(page.locator("#followers")).to_contain_text("Mina")
    expect(page.locator(".toast")).to_contain_text("You follow this ticket.")
    page.locator("#followers").get_by_role("button", name="Unfollow").click()
    expect(page.locator("#followers")).to_contain_text("No followers")
    comes_to(Follower.objects.count, 0)


def test_row_31_on_a_phone_the_menu_fits_and_is_tapped(crew, screen, prepared):
    page = opened(screen, crew.agent, says(crew, "?").ticket, width=360)
    page.locator("#composer-text").click()
    page.keyboard.type("/refund")
    expect(options(page)).to_have_count(1)
    box = page.locator("#insert-menu").bounding_box()
    assert box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= 360
    options(page).first.click()
    expect(page.locator(".macro__deed")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_row_13_a_number_links_another_ticket_to_colleagues_and_names_it_to_customers(crew, screen, prepared):
    other = says(crew, "The other one", who=scene.sender("Bo", phone="+821055550010")).ticket
    page = opened(screen, crew.agent, says(crew, "Hello?").ticket)
    page.keyboard.press("n")
    page.keyboard.type(f"See /{other.number}")
    expect(options(page).first).to_contain_text(f"#{other.number}")
    page.keyboard.press("Enter")
    note = page.locator("#composer-note")
    expect(note).to_have_value(re.compile(rf"^See #{other.number} http\S+/tickets/{other.pk}/ $"))
    page.keyboard.press("Control+Enter")
    page.locator(f".message--note a[href$='/tickets/{other.pk}/']").click()
    expect(page.locator(f"#head-{other.pk}")).to_be_visible()
    page.keyboard.press("r")
    page.keyboard.type(f"/{other.number}")
    expect(options(page).first).to_contain_text(f"#{other.number}")
    page.keyboard.press("Enter")
    expect(page.locator("#composer-text")).to_have_value(f"#{other.number} ")
    assert page.errors == []


def test_row_13_an_answer_that_comes_late_lands_in_no_other_ticket_and_breaks_no_syllable(crew, screen, prepared):
    ara, _bo, _cleo = three_tickets(crew)
    page = opened(screen, crew.agent, ara)
    expect(page.locator(".row")).to_have_count(3)
    path = f"**/macros/{prepared['parcel'].pk}/"
    field = page.locator("#composer-text")

    def chosen(typed: str) -> list[Any]:
        under_way = stopped_on_the_way(page, path)
        field.press_sequentially(typed)
        expect(options(page)).to_have_text([re.compile("Parcel on its way")])
        page.keyboard.press("Enter")
        until(page, lambda: under_way)
        return under_way

    under_way = chosen("/parcel")
    session = compose(page, "ㅎ", "하")
    leaves(page, under_way, path)
    page.wait_for_load_state("networkidle")
    session.send("Input.imeSetComposition", {"text": "한", "selectionStart": 1, "selectionEnd": 1})
    expect(field).to_have_value("/parcel한")
    session.send("Input.insertText", {"text": "한"})
    expect(field).to_have_value("Dear Ara, your parcel is on its way.한")
    page.reload()
    expect(page.locator("insert-menu:defined")).to_be_attached()
    field.fill("")
    under_way = chosen("/parcel")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(page.locator("#composer-place insert-menu:defined")).to_be_attached()
    page.keyboard.press("r")
    leaves(page, under_way, path)
    page.wait_for_load_state("networkidle")
    expect(field).to_have_value("")
    assert page.errors == []
