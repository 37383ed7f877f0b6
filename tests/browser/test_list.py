"""The list in real browsers, by the rows of the table in the workspace's specification."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from agents.models import Agent
from tests import cast as people
from tests.conftest import comes_to
from tests.workspace import scene
from tickets import actions
from tickets.models import BulkJob, SavedView, SlaClock, SlaPolicy, SlaTarget, Ticket
from tickets.models.event import by_agent


def queue(crew: people.Cast, *names: str, minutes: int = 60) -> list[Ticket]:
    """Customers who wait, the one who has waited longest first: the order of the inbox."""
    at = timezone.now() - timedelta(minutes=minutes)
    return [
        scene.says(
            crew.sms, scene.sender(name, phone=f"+8210555500{n:02}"), f"I am {name}", at=at + timedelta(minutes=n)
        ).ticket
        for n, name in enumerate(names)
    ]


def row(page: Page, ticket: Ticket) -> Any:
    return page.locator(f"#ticket-row-{ticket.pk}")


def order(page: Page) -> list[int]:
    return [
        int(one) for one in page.locator("#rows > .row").evaluate_all("all => all.map((row) => row.dataset.ticket)")
    ]


def expect_order(page: Page, *tickets: Ticket) -> None:
    expect(page.locator("#rows > .row")).to_have_count(len(tickets))
    for n, ticket in enumerate(tickets):
        expect(page.locator("#rows > .row").nth(n)).to_have_attribute("data-ticket", str(ticket.pk))


def promise(ticket: Ticket, *, minutes: float, of: int = 3600, state: str = "running") -> SlaClock:
    """A promise whose deadline is so many minutes away."""
    now = timezone.now()
    policy = SlaPolicy.objects.get_or_create(name="Standard")[0]
    return SlaClock.objects.create(
        ticket=ticket, metric="first_reply", policy=policy, seconds=of, started_at=now,
        due_at=now + timedelta(minutes=minutes), state=state,
    )  # fmt: skip


# -- Row 10: the row ----------------------------------------------------------------------------------------------------


def test_row_10_a_row_that_changes_under_a_pressed_button_is_still_clicked(crew, screen):
    _first, second = queue(crew, "Ara", "Bo")
    page = screen(crew.agent)
    box = row(page, second).bounding_box()
    page.mouse.move(box["x"] + 150, box["y"] + 40)
    page.mouse.down()
    actions.change_tags(second, add=["vip"], by=by_agent(crew.teammate), now=timezone.now())
    scene.says(crew.sms, scene.sender("Bo", phone="+821055550001"), "And one more thing", at=timezone.now())
    page.wait_for_function("() => !document.querySelector('.row.is-cursor')")
    page.wait_for_timeout(1500)  # the events have come; nothing moves as long as the button is down
    expect(row(page, second)).not_to_contain_text("And one more thing")
    page.mouse.up()
    page.wait_for_url(re.compile(rf"/tickets/{second.pk}/"))
    expect(row(page, second)).to_contain_text("And one more thing")
    expect(row(page, second)).to_contain_text("vip")
    assert page.errors == []


def test_row_10_a_changed_row_keeps_its_element_and_its_focus(crew, screen):
    _first, second = queue(crew, "Ara", "Bo")
    page = screen(crew.agent)
    row(page, second).locator("a").focus()
    page.evaluate("document.activeElement.kept = true")
    scene.says(crew.sms, scene.sender("Bo", phone="+821055550001"), "And one more thing", at=timezone.now())
    expect(row(page, second)).to_contain_text("And one more thing")
    assert page.evaluate("document.activeElement.kept") is True
    assert page.evaluate("document.activeElement.closest('.row').id") == f"ticket-row-{second.pk}"


def test_row_10_the_chip_names_its_promise_and_counts(crew, screen):
    late, soon, fine, paused = queue(crew, "Ara", "Bo", "Cleo", "Dan")
    promise(late, minutes=-5.5)
    promise(soon, minutes=10.4)
    promise(fine, minutes=50.4)
    promise(paused, minutes=30, state="paused")
    page = screen(crew.agent, own_clock=True)
    expected = [(late, "breached", "−6m"), (soon, "soon", "10m"), (fine, "ok", "50m"), (paused, "paused", "paused")]
    for ticket, state, words in expected:
        chip = row(page, ticket).locator(".sla")
        expect(chip).to_have_attribute("data-state", state)
        expect(chip.locator(".sla__time")).to_have_text(words)
        expect(chip).to_contain_text("First reply", ignore_case=True)
    page.clock.fast_forward("12:00")
    expect(row(page, soon).locator(".sla")).to_have_attribute("data-state", "breached")


# -- Row 11: the order --------------------------------------------------------------------------------------------------


def test_row_11_the_next_breach_comes_first_and_a_row_goes_where_it_belongs(crew, screen):
    ara, bo, cleo = queue(crew, "Ara", "Bo", "Cleo")
    promise(cleo, minutes=30)
    page = screen(crew.agent)
    expect_order(page, cleo, ara, bo)
    promise(bo, minutes=5)
    actions.set_priority(bo, 3, by=by_agent(crew.teammate), now=timezone.now())  # says that it has changed
    expect_order(page, bo, cleo, ara)
    page.locator("[popovertarget=order-menu]").click()
    page.get_by_role("menuitemradio", name="Latest activity first").click()
    page.wait_for_url("**/?sort=newest")
    expect_order(page, bo, cleo, ara)
    scene.says(crew.sms, scene.sender("Ara", phone="+821055550000"), "Still there?", at=timezone.now())
    page.mouse.move(900, 400)
    expect_order(page, ara, bo, cleo)
    page.reload()
    expect_order(page, ara, bo, cleo)


def test_row_11_the_open_ticket_does_not_run_away_when_it_is_answered(crew, screen):
    ara, bo, cleo = queue(crew, "Ara", "Bo", "Cleo")
    page = screen(crew.agent, f"/tickets/{ara.pk}/")
    expect(row(page, ara)).to_be_visible()
    page.mouse.move(900, 300)
    scene.answers(ara, crew.agent, "Here you are", at=timezone.now())
    expect(row(page, ara)).to_contain_text("Here you are")
    assert order(page) == [ara.pk, bo.pk, cleo.pk]
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect_order(page, bo, cleo, ara)  # nobody waits for an answer there any more


def test_row_11_paused_and_business_time_are_explained(crew, screen):
    policy = SlaPolicy.objects.create(name="Promise", pauses_in=["pending"])
    SlaTarget.objects.create(policy=policy, metric="first_reply", priority=2, seconds=7200, business=True)
    SlaTarget.objects.create(policy=policy, metric="resolution", priority=2, seconds=86_400, business=False)
    (ara,) = queue(crew, "Ara", minutes=30)
    me, now = by_agent(crew.agent), timezone.now()
    page = screen(crew.agent, f"/tickets/{ara.pk}/")
    clocks = page.locator(".clock")
    expect(clocks).to_have_count(2)
    expect(clocks.filter(has_text="First reply")).to_contain_text("Counts business hours only.")
    expect(clocks.filter(has_text="First reply").locator(".sla")).to_have_attribute(
        "title", re.compile("counts business hours")
    )
    expect(clocks.filter(has_text="Resolution")).not_to_contain_text("business hours")
    scene.answers(ara, crew.agent, "Which colour?", at=now - timedelta(minutes=20))
    actions.set_status(ara, "pending", by=me, now=now - timedelta(minutes=10))
    expect(clocks).to_have_count(1)
    expect(clocks).to_contain_text("Stands still while the ticket is “Pending”.")
    chip = row(page, ara).locator(".sla")
    expect(chip).to_have_attribute("data-state", "paused")
    expect(chip).to_have_attribute("title", "paused: the time stands still")
    page.get_by_role("link", name="Why here?").first.click()
    pieces = page.locator("#explanation-body .why__clock", has_text="Resolution").locator("tbody tr")
    expect(pieces.filter(has=page.locator("td[data-kind=paused]"))).to_contain_text("10m")
    expect(page.locator("#explanation-body .why__clock", has_text="Resolution")).to_contain_text("round the clock")
    assert page.errors == []


# -- Row 20: saved views ------------------------------------------------------------------------------------------------


def test_row_20_a_view_is_saved_opened_by_its_number_and_deleted_with_undo(crew, screen):
    ara, bo, cleo = queue(crew, "Ara", "Bo", "Cleo")
    actions.change_tags(bo, add=["billing"], by=by_agent(crew.teammate), now=timezone.now())
    page = screen(crew.agent, "/?q=tag:billing")
    expect_order(page, bo)
    page.locator("[popovertarget=view-menu]").click()
    page.get_by_role("menuitem", name="Save as a view").click()
    page.locator("#view-form [name=name]").fill("Billing")
    page.locator("#view-form [name=number]").select_option("1")
    page.locator("#view-form [name=hue][value='5']").check()
    page.locator("#view-form [name=shows][value=due]").uncheck()
    page.locator("#view-form [name=shows][value=tags]").uncheck()
    page.locator("#view-form [type=submit]").click()
    item = page.locator("#nav-views .nav__item")
    expect(item).to_contain_text("Billing")
    view = SavedView.objects.get()
    page.wait_for_url(re.compile(f"/views/view-{view.pk}/$"))
    expect(item.locator(".nav__count")).to_have_text("1")
    expect_order(page, bo)
    tags = page.locator("#rows .tag")
    expect(tags).to_be_hidden()
    expect(page.locator("#rows .row__snippet")).to_be_visible()

    actions.change_tags(ara, add=["billing"], by=by_agent(crew.teammate), now=timezone.now())
    expect_order(page, ara, bo)  # the server was asked whether it belongs
    actions.change_tags(bo, remove=["billing"], by=by_agent(crew.teammate), now=timezone.now())
    expect_order(page, ara)

    page.keyboard.press("g")
    page.keyboard.press("i")
    expect_order(page, ara, bo, cleo)
    page.keyboard.press("g")
    page.keyboard.press("1")
    expect_order(page, ara)
    page.locator("[popovertarget=view-menu]").click()
    page.get_by_role("menuitem", name="Delete this view").click()
    expect(item).to_have_count(0)
    expect_order(page, ara, bo, cleo)
    page.keyboard.press("z")
    expect(item).to_contain_text("Billing")
    assert page.errors == []


# -- Row 21: deeds on many ----------------------------------------------------------------------------------------------


def test_row_21_rows_are_selected_by_keys_and_by_clicks(crew, screen):
    ara, _bo, cleo, _dan = queue(crew, "Ara", "Bo", "Cleo", "Dan")
    page = screen(crew.agent)
    selected = page.locator(".row.is-selected")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(selected).to_have_count(1)
    page.keyboard.press("Shift+J")
    page.keyboard.press("Shift+J")
    expect(selected).to_have_count(3)
    page.keyboard.press("Shift+K")
    expect(selected).to_have_count(2)
    expect(page.locator("bulk-bar [data-count]")).to_have_text("2 selected")
    page.keyboard.press("*")
    page.keyboard.press("n")
    expect(selected).to_have_count(0)
    expect(page.locator("bulk-bar")).to_be_hidden()
    row(page, ara).hover()
    row(page, ara).locator(".row__select").click()
    row(page, cleo).locator(".row__link").click(modifiers=["Shift"])
    expect(selected).to_have_count(3)
    assert not page.url.endswith(f"/tickets/{cleo.pk}/")
    page.keyboard.press("*")
    page.keyboard.press("a")
    expect(selected).to_have_count(4)
    page.keyboard.press("Escape")
    expect(selected).to_have_count(0)
    assert page.errors == []


def test_row_21_many_are_done_with_one_key_and_undone_with_one(crew, screen, worker):
    tickets = queue(crew, "Ara", "Bo", "Cleo", "Dan", "Eve")
    page = screen(crew.agent)
    page.keyboard.press("*")
    page.keyboard.press("a")
    page.keyboard.press("p")
    page.get_by_role("option", name="Urgent").click()
    expect(page.locator(".toast")).to_contain_text("5 tickets: priority Urgent")
    expect(page.locator("#rows .priority[data-priority=urgent]")).to_have_count(5)
    page.keyboard.press("z")
    expect(page.locator("#rows .priority[data-priority=urgent]")).to_have_count(0)

    page.keyboard.press("*")
    page.keyboard.press("a")
    page.keyboard.press("e")
    expect(page.locator("#rows > .row")).to_have_count(0)
    expect(page.locator(".list__empty")).to_be_visible()
    page.keyboard.press("z")
    expect_order(page, *tickets)
    assert set(Ticket.objects.values_list("status", flat=True)) <= {"new", "open"}
    assert BulkJob.objects.count() == 4 and page.errors == []


def test_row_21_what_could_not_be_done_is_told_by_ticket(crew, screen, worker):
    _ara, bo, _cleo = queue(crew, "Ara", "Bo", "Cleo")
    page = screen(crew.agent, "/views/all/")
    late: list[Route] = []  # the script that shows what becomes of it, on a slow line
    page.route("**/bulk-job.*js", lambda route: late.append(route))
    page.reload()
    expect(page.locator("#rows > .row")).to_have_count(3)
    Ticket.objects.filter(pk=bo.pk).update(status="closed", closed_at=timezone.now())  # nobody told this screen
    page.keyboard.press("*")
    page.keyboard.press("a")
    page.keyboard.press("e")
    expect(page.locator(".toast")).to_be_visible()
    for route in late:
        route.continue_()
    job = page.locator("bulk-job")
    expect(job).to_contain_text("2 done, 1 not")
    job.get_by_role("button", name="Show").click()
    expect(page.locator("#bulk-errors")).to_contain_text(f"#{bo.number}")
    expect(page.locator("#bulk-errors")).to_contain_text("This ticket is closed")
    assert page.errors == []


def test_row_21_everything_in_a_view_beyond_what_is_loaded(crew, screen, worker):
    scene.many(crew, 70, now=timezone.now() - timedelta(hours=1))
    page = screen(crew.agent)
    expect(page.locator("#rows > .row")).to_have_count(50)
    page.keyboard.press("*")
    page.keyboard.press("a")
    page.get_by_role("button", name="Select all in this view").click()
    expect(page.locator("bulk-bar [data-count]")).to_have_text("All 70 in this view")
    page.locator("#bulk-tag-button").click()
    page.keyboard.type("recall")
    page.keyboard.press("Enter")
    expect(page.locator("#bulk-tag-list [aria-selected=true]")).to_have_text("recall")
    page.keyboard.press("Escape")
    expect(page.locator(".toast")).to_contain_text("70 tickets: +recall")
    expect(page.locator("#rows .tag").filter(has_text="recall")).to_have_count(50)
    expect(page.locator("bulk-job")).to_be_hidden()
    comes_to(Ticket.objects.filter(tags__name="recall").count, 70)  # fifty of them are on the screen
    assert page.errors == []


def test_row_21_what_is_refused_is_selected_again_and_everything_is_counted(crew, screen):
    ara, bo, _cleo = queue(crew, "Ara", "Bo", "Cleo")
    for ticket in (ara, bo):
        actions.solve(ticket, by=by_agent(crew.agent), now=timezone.now())
    page = screen(crew.agent, "/views/solved/")
    page.route(re.compile("/bulk/"), lambda route: route.fulfill(status=503, body=""))
    page.keyboard.press("*")
    page.keyboard.press("a")
    expect(page.locator(".row.is-selected")).to_have_count(2)
    page.evaluate(
        "document.querySelector('ticket-list').selection.beyond()"
    )  # its button comes with more rows than fit
    expect(page.locator("bulk-bar [data-count]")).to_have_text("All 2 in this view")
    page.keyboard.press("!")
    expect(page.locator(".toast")).to_be_visible()
    expect(page.locator(".row.is-selected")).to_have_count(2)
    expect(page.locator("bulk-bar [data-count]")).to_have_text("All 2 in this view")
    assert page.errors == []


def test_row_21_selected_tickets_are_merged_into_one_of_them(crew, screen, worker):
    ara, bo, cleo = queue(crew, "Ara", "Bo", "Cleo")
    page = screen(crew.agent)
    page.keyboard.press("*")
    page.keyboard.press("a")
    page.locator("bulk-bar [data-more]").click()
    page.locator("#bulk-merge-button").click()
    page.get_by_role("option", name="Bo").click()
    expect_order(page, bo)
    page.keyboard.press("z")
    expect_order(page, ara, bo, cleo)


# -- Row 1: play, one after the other -----------------------------------------------------------------------------------


def test_row_1_playing_through_a_view_by_solving_and_snoozing(crew, screen):
    ara, bo, cleo = queue(crew, "Ara", "Bo", "Cleo")
    page = screen(crew.agent)
    expect_order(page, ara, bo, cleo)
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.locator("#thread-log")).to_contain_text("I am Ara")
    expect(page.locator("#composer-text")).to_be_visible()
    page.keyboard.press("e")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(page.locator("#ticket-title")).to_be_focused()
    page.keyboard.press("h")
    page.get_by_role("option", name="In 3 hours").click()
    expect(page.locator("#thread-log")).to_contain_text("I am Cleo")  # without another key
    page.keyboard.press("e")
    expect(page.locator(".toast").filter(has_text="Nothing is left")).to_be_visible()
    empty = page.locator(".list__empty")
    expect(empty).to_contain_text("1 ticket is snoozed.")
    empty.get_by_role("link", name="Show snoozed").click()
    expect_order(page, bo)
    assert page.errors == []


# -- Row 27: density, and a list that grows -----------------------------------------------------------------------------


def test_row_27_a_row_is_as_high_as_its_density_says(crew, screen):
    (ara,) = queue(crew, "Ara")
    page = screen(crew.agent)
    assert row(page, ara).bounding_box()["height"] == 68  # comfortable, as everybody starts
    Agent.objects.filter(pk=crew.agent.pk).update(density="compact")
    page.reload()
    assert row(page, ara).bounding_box()["height"] == 44


def test_row_27_a_pane_is_as_wide_as_one_left_it_on_every_device(crew, screen):
    page = screen(crew.agent)
    grip = page.locator("pane-splitter[data-pane=list]")
    expect(grip).to_have_attribute("aria-valuenow", "344")
    grip.focus()
    with page.expect_response("**/me/panes/"):
        page.keyboard.press("Shift+ArrowRight")
    elsewhere = screen(crew.agent)
    assert elsewhere.locator("#list").bounding_box()["width"] == 344 + 64
    grip = elsewhere.locator("pane-splitter[data-pane=list]")
    with elsewhere.expect_response("**/me/panes/"):
        grip.dblclick()
    elsewhere.reload()
    assert elsewhere.locator("#list").bounding_box()["width"] == 344


def test_row_27_a_long_list_loads_as_one_scrolls_and_each_row_once(crew, screen):
    scene.many(crew, 120, now=timezone.now() - timedelta(hours=1))
    page = screen(crew.agent)
    expect(page.locator("#rows > .row")).to_have_count(50)
    for count in (100, 120):
        page.locator("#load-more").scroll_into_view_if_needed()
        expect(page.locator("#rows > .row")).to_have_count(count)
    shown = order(page)
    assert len(set(shown)) == 120
    assert shown == list(Ticket.objects.order_by("waiting_since", "pk").values_list("pk", flat=True))
