"""Hands that are faster than the server, or than the network: a key means what it was pressed for, and nothing is lost by it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from agents.models import Agent
from tests.browser.desk import at_rest, composer, leaves, says, stopped_on_the_way, three_tickets, until
from tests.conftest import comes_to
from tests.workspace import scene
from tickets import actions, live
from tickets.models import Ticket, TicketField
from tickets.models.event import by_agent


def opened(crew: Any, screen: Any, ticket: Ticket) -> Page:
    page = at_rest(crew, screen, ticket)
    expect(page.locator(".row")).to_have_count(3)
    return page


def forgets(page: Page) -> None:
    """Nothing of another ticket is there ahead."""
    page.route(
        "**/tickets/*/", lambda route: route.abort() if "hx-preloaded" in route.request.headers else route.fallback()
    )


def cold(crew: Any, screen: Any, ticket: Ticket) -> Page:
    """It is open, and no other one was fetched ahead."""
    page: Page = screen(crew.agent)
    forgets(page)
    page.goto(page.url + f"tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    return page


# -- Keys while a ticket comes --------------------------------------------------------------------------------------------


def test_row_1_a_key_means_the_ticket_that_comes_and_not_the_one_that_is_left(crew, screen):
    ara, bo, cleo = three_tickets(crew)
    page = cold(crew, screen, ara)
    under_way = stopped_on_the_way(page, f"**/tickets/{bo.pk}/")
    page.keyboard.press("j")
    until(page, lambda: under_way)
    page.keyboard.press("e")
    expect(page.locator("#thread-log")).to_contain_text("I am Cleo")
    comes_to(lambda: set(Ticket.objects.filter(status="solved").values_list("pk", flat=True)), {bo.pk})
    leaves(page, under_way, f"**/tickets/{bo.pk}/")
    expect(page.locator(".row.is-open")).to_have_attribute("data-ticket", str(cleo.pk))
    assert page.errors == []


def test_row_1_a_guess_that_fails_is_no_answer_to_whoever_asks(crew, screen):
    ara, bo, _cleo = three_tickets(crew)
    page = screen(crew.agent)
    guesses: list[Route] = []
    page.route(
        f"**/tickets/{bo.pk}/",
        lambda route: guesses.append(route) if "hx-preloaded" in route.request.headers else route.fallback(),
    )
    page.goto(f"{page.url}tickets/{ara.pk}/")
    until(page, lambda: guesses)
    page.keyboard.press("j")
    expect(page.locator("#ticket[data-leaves]")).to_be_attached()
    guesses[0].abort()
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(page.locator(".toast")).to_have_count(0)
    assert page.errors == []


def test_row_1_a_refused_deed_puts_nothing_back_that_somebody_else_took_away(crew, screen):
    ara, *_others = three_tickets(crew)
    page = screen(crew.agent)
    expect(page.locator(".row")).to_have_count(3)
    under_way = stopped_on_the_way(page, "**/solution/")
    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(page.locator(".row")).to_have_count(2)
    until(page, lambda: under_way)
    actions.solve(ara, by=by_agent(crew.teammate), now=timezone.now())
    newest = says(crew, "After that", who=scene.sender("Dan", phone="+821055550030")).ticket
    expect(page.locator(f"#ticket-row-{newest.pk}")).to_be_visible()  # and what was told before it has come
    under_way[0].fulfill(status=500, body="")
    expect(page.locator(".toast[data-kind=error]")).to_be_visible()
    expect(page.locator(".row")).to_have_count(3)
    expect(page.locator(f"#ticket-row-{ara.pk}")).to_have_count(0)
    assert page.errors == []


def test_row_1_there_and_back_before_it_has_come_ends_where_one_was(crew, screen):
    ara, bo, _cleo = three_tickets(crew)
    page = cold(crew, screen, ara)
    under_way = stopped_on_the_way(page, f"**/tickets/{bo.pk}/")
    page.keyboard.press("j")
    until(page, lambda: under_way)
    page.keyboard.press("k")
    with page.expect_response(f"**/tickets/{bo.pk}/"):
        leaves(page, under_way, f"**/tickets/{bo.pk}/")
    expect(page.locator(".row.is-open")).to_have_attribute("data-ticket", str(ara.pk))
    page.keyboard.press("r")
    page.keyboard.type("Still here")
    expect(composer(page)).to_have_value("Still here")
    expect(page.locator("#thread-log")).to_contain_text("I am Ara")
    assert page.errors == []


def test_row_1_a_reply_begun_while_a_ticket_comes_is_written_there(crew, screen):
    ara, bo, _cleo = three_tickets(crew)
    page = cold(crew, screen, ara)
    under_way = stopped_on_the_way(page, f"**/tickets/{bo.pk}/")
    page.keyboard.press("j")
    until(page, lambda: under_way)
    page.keyboard.press("n")
    leaves(page, under_way, f"**/tickets/{bo.pk}/")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(page.locator("#composer-note")).to_be_focused()
    assert page.errors == []


def test_row_1_a_held_key_runs_along_the_rows_and_opens_the_last_one(crew, screen):
    ara, _bo, cleo = three_tickets(crew)
    dan = says(crew, "I am Dan", who=scene.sender("Dan", phone="+821055550030")).ticket
    page = screen(crew.agent, f"/tickets/{ara.pk}/")
    expect(composer(page)).to_be_visible()
    expect(page.locator(".row")).to_have_count(4)
    page.wait_for_load_state("networkidle")
    page.evaluate("""() => {
      window.opened = [];
      document.addEventListener("ticket:opened", ({ detail }) => window.opened.push(detail.ticket));
    }""")
    for _ in range(3):
        page.keyboard.down("j")  # again without having been up: a repeat
    page.keyboard.up("j")
    expect(page.locator(".row.is-open")).to_have_attribute("data-ticket", str(dan.pk))
    expect(page.locator("#thread-log")).to_contain_text("I am Dan")
    opened = page.evaluate("window.opened")
    assert opened[-1] == dan.pk and cleo.pk not in opened and page.errors == []


def test_row_1_a_ticket_passed_by_a_held_key_takes_nobody_back_when_it_comes(crew, screen):
    ara, bo, cleo = three_tickets(crew)
    page = cold(crew, screen, ara)
    under_way = stopped_on_the_way(page, f"**/tickets/{bo.pk}/")
    for _ in range(2):
        page.keyboard.down("j")
    page.keyboard.up("j")
    page.keyboard.press("r")  # at once: meant for where the key has led
    until(page, lambda: under_way)
    leaves(page, under_way, f"**/tickets/{bo.pk}/")
    expect(page.locator("#thread-log")).to_contain_text("I am Cleo")
    expect(composer(page)).to_be_focused()
    page.keyboard.type("Hello Cleo")
    expect(page.locator(".row.is-open")).to_have_attribute("data-ticket", str(cleo.pk))
    expect(composer(page)).to_have_value("Hello Cleo")
    assert page.errors == []


def test_row_4_a_key_for_a_ticket_that_cannot_be_had_changes_no_other(crew, screen):
    ara, bo, _cleo = three_tickets(crew)
    page = cold(crew, screen, ara)
    under_way = stopped_on_the_way(page, f"**/tickets/{bo.pk}/")
    page.keyboard.press("j")
    until(page, lambda: under_way)
    page.keyboard.press("p")
    for route in under_way:
        route.abort()
    page.unroute(f"**/tickets/{bo.pk}/")
    expect(page.locator(".toast")).to_contain_text("did not work")
    expect(page.locator(".row.is-open")).to_have_attribute("data-ticket", str(ara.pk))
    page.wait_for_load_state("networkidle")
    expect(page.locator("#property-priority-menu")).to_be_hidden()
    expect(composer(page)).to_be_visible()
    assert page.errors == []


# -- Values at a row ------------------------------------------------------------------------------------------------------


def test_row_4_a_row_is_assigned_tagged_and_put_to_sleep_without_being_opened(crew, screen, worker):
    ara, bo, _cleo = three_tickets(crew)
    page = screen(crew.agent)
    page.wait_for_load_state("networkidle")
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.locator("#bulk-assign-list [role=option]").nth(1)).to_be_visible()
    page.keyboard.type("theo")
    page.keyboard.press("Enter")
    comes_to(lambda: Ticket.objects.get(pk=ara.pk).assignee_id, crew.teammate.pk)
    expect(page.locator("bulk-bar")).to_be_hidden()
    expect(page.locator("#thread-log")).to_have_count(0)
    page.keyboard.press("j")
    expect(page.locator(".row.is-cursor")).to_have_attribute("data-ticket", str(bo.pk))
    page.keyboard.press("p")
    expect(page.locator("#bulk-priority-list [role=option]").first).to_be_visible()
    page.keyboard.press("Escape")  # nothing was chosen: nothing is selected either
    expect(page.locator("bulk-bar")).to_be_hidden()
    page.keyboard.press("l")
    page.keyboard.type("recall")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    comes_to(lambda: list(Ticket.objects.get(pk=bo.pk).tags.values_list("name", flat=True)), ["recall"])
    expect(page.locator("bulk-bar")).to_be_hidden()
    page.keyboard.press("h")
    options = page.locator("#bulk-snooze-menu-times [role=option]")
    expect(options.nth(1)).to_be_visible()
    page.keyboard.type("in 3 days")
    expect(options).to_have_count(1)
    page.keyboard.press("Enter")
    comes_to(lambda: bool(Ticket.objects.get(pk=bo.pk).snoozed_until), True)
    asleep = Ticket.objects.get(pk=bo.pk).snoozed_until - timezone.now()
    assert timedelta(days=2) < asleep < timedelta(days=4)
    expect(page.locator(f"#ticket-row-{bo.pk}")).to_have_count(0)
    assert page.errors == []


def test_row_21_selected_rows_sleep_until_what_one_says_in_korean(crew, screen, worker):
    ara, bo, _cleo = three_tickets(crew)
    page = screen(crew.agent, language="ko")
    page.wait_for_load_state("networkidle")
    for _ in range(2):
        page.keyboard.press("j")
        page.keyboard.press("x")
    page.keyboard.press("h")
    options = page.locator("#bulk-snooze-menu-times [role=option]")
    expect(options.nth(1)).to_be_visible()
    page.keyboard.insert_text("3일 뒤")
    expect(options).to_have_count(1)
    page.keyboard.press("Enter")
    comes_to(lambda: set(Ticket.objects.exclude(snoozed_until=None).values_list("pk", flat=True)), {ara.pk, bo.pk})
    assert page.errors == []


# -- A server that is not reached -------------------------------------------------------------------------------------------


def test_row_34_what_was_done_in_a_tunnel_is_as_it_was(crew, screen):
    ara, bo, _cleo = three_tickets(crew)
    page = opened(crew, screen, ara)
    page.context.set_offline(True)
    page.keyboard.press("i")
    expect(page.locator(".toast")).to_contain_text("did not work")
    expect(page.locator("#property-assignee-button")).not_to_contain_text("Mina")
    expect(page.locator(f"#ticket-row-{ara.pk} .row__who > [title^='Mina']")).to_have_count(0)
    page.keyboard.press("e")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(page.locator(".row")).to_have_count(3)
    expect(page.locator(".row").first).to_have_attribute("data-ticket", str(ara.pk))
    expect(page.locator(".row.is-open")).to_have_attribute("data-ticket", str(bo.pk))
    expect(page.locator(".row.is-open")).to_have_count(1)
    assert not Ticket.objects.filter(status="solved").exists() and page.errors == []


# -- What comes while it is fetched ------------------------------------------------------------------------------------------


def test_row_10_a_message_that_came_while_the_ticket_was_fetched_is_shown_and_stops_no_answer_unseen(crew, screen):
    ara, bo, _cleo = three_tickets(crew)
    page = cold(crew, screen, ara)
    old: list[tuple[Route, Any]] = []

    def fetched(route: Route) -> None:
        if len(old) < 2:
            old.append((route, route.fetch()))
        else:
            route.fallback()

    path = f"**/tickets/{bo.pk}/"
    page.route(path, fetched)
    page.locator(f"#ticket-row-{bo.pk} a").click()
    until(page, lambda: old)
    newest = says(crew, "And one thing more", who=scene.sender("Bo", phone="+821055550010"))
    expect(page.locator(f"#ticket-row-{bo.pk}")).to_contain_text("And one thing more")
    old[0][0].fulfill(response=old[0][1])
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    until(page, lambda: len(old) == 2)  # it is asked for anew, and has not come
    expect(composer(page)).to_be_visible()
    seen = page.locator("#composer [name=last_seen_message_id]")
    assert 0 < int(seen.input_value()) < newest.pk
    latest = says(crew, "And another", who=scene.sender("Bo", phone="+821055550010"))
    expect(page.locator("#thread-log")).to_contain_text("And another")
    old[1][0].fulfill(response=old[1][1])  # rendered before that
    expect(page.locator("#thread-log")).to_contain_text("And one thing more")
    expect(page.locator("#thread-log")).to_contain_text("And another")
    expect(seen).to_have_value(str(latest.pk))
    assert page.errors == []


def test_row_7_a_screen_that_missed_too_much_keeps_what_waits_in_it_and_what_is_typed_beside_it(
    crew, screen, monkeypatch
):
    Agent.objects.filter(pk=crew.agent.pk).update(undo_seconds=30)
    who = scene.sender("Ara", email="ara@example.org")
    ticket = scene.says(crew.email, who, "Where is it?", at=timezone.now()).ticket
    TicketField.objects.create(key="order_id", label="Order number", position=1)
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    composer(page).fill("On its way")
    composer(page).press("Control+Enter")
    held = page.locator("#thread-log [data-waiting]")
    expect(held).to_contain_text("On its way")
    page.evaluate("document.querySelector('#thread-log .message[id]').mark = 'the same'")
    order = page.get_by_label("Order number")
    order.fill("RX-7")
    monkeypatch.setattr(live, "MOST", 0)
    page.context.set_offline(True)
    scene.says(crew.email, who, "Are you there?", at=timezone.now())
    with page.expect_response(lambda answer: answer.url.endswith(f"/tickets/{ticket.pk}/")):
        page.context.set_offline(False)
    expect(page.locator("#thread-log")).to_contain_text("Are you there?")
    page.wait_for_load_state("networkidle")
    expect(held).to_contain_text("On its way")
    expect(order).to_have_value("RX-7")
    assert page.evaluate("document.querySelector('#thread-log .message[id]').mark") == "the same"
    assert page.evaluate("[...document.querySelectorAll('#thread-log > *')].at(-1).matches('[data-waiting]')")
    assert page.errors == []


# -- What comes late, and is older ----------------------------------------------------------------------------------------


def test_a_message_of_yesterday_that_comes_after_one_of_today_stands_under_its_own_day(crew, screen):
    ticket = says(crew, "Of today").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(page.locator("#thread-log .day-line")).to_have_count(1)
    says(crew, "Of the day before yesterday", minutes=2 * 24 * 60)
    lines = page.locator("#thread-log > .day-line, #thread-log > .message")
    expect(lines).to_have_count(4)
    assert ["day-line" in one for one in lines.evaluate_all("(all) => all.map((one) => one.className)")] == [
        True, False, True, False,
    ]  # fmt: skip
    assert page.errors == []
