"""What an agent trusts without thinking: a choice stands there at once, nothing written is lost, and what was done can be undone."""

from __future__ import annotations

import re

from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.desk import composer, leaves, says, stopped_on_the_way, three_tickets
from tests.cast import PASSWORD
from tests.conftest import comes_to, wait_until
from tickets import actions
from tickets.models import Draft, SavedView, Ticket
from tickets.models.event import by_agent


def test_row_32_tags_stand_there_at_once_and_are_as_before_when_they_are_not_taken(crew, screen):
    ticket = says(crew, "Hello").ticket
    actions.change_tags(ticket, add=["delivery", "vip"], by=by_agent(crew.teammate), now=timezone.now())
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    shown = page.locator("#property-tags-button .tag")
    held = stopped_on_the_way(page, f"**/tickets/{ticket.pk}/tags/")

    def choose(name: str) -> None:
        page.keyboard.press("l")
        page.locator("#property-tags-menu").get_by_role("option", name=name, exact=True).click()

    choose("vip")
    expect(shown).to_have_text(["delivery"])  # in the open menu already
    page.locator("#property-tags-menu").get_by_role("option", name="delivery").click()
    expect(page.locator("#property-tags-button")).to_contain_text("No tags")
    page.locator("#property-tags-menu [role=combobox]").fill("refund")
    page.keyboard.press("Enter")
    expect(shown).to_have_text(["refund"])
    with page.expect_request(f"**/tickets/{ticket.pk}/tags/"):
        page.keyboard.press("Escape")
    expect(shown).to_have_text(["refund"])  # though nobody has answered
    held.pop().fulfill(status=500, body="")
    expect(shown).to_have_text(["delivery", "vip"])
    expect(page.locator(".toast", has_text="did not work")).to_be_visible()

    choose("vip")
    with page.expect_request(f"**/tickets/{ticket.pk}/tags/"):
        page.keyboard.press("Escape")
    expect(shown).to_have_text(["delivery"])
    leaves(page, held, f"**/tickets/{ticket.pk}/tags/")
    expect(page.locator(".toast", has_text="Tags changed.")).to_be_visible()
    assert {tag.name for tag in ticket.tags.all()} == {"delivery"}
    page.keyboard.press("z")
    expect(shown).to_have_text(["delivery", "vip"])
    assert page.errors == []


def test_row_5_signing_out_in_another_tab_loses_no_draft(crew, screen):
    ticket = says(crew, "Hello").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    composer(page).click()
    page.keyboard.type("Dear Jiwoo, ")
    expect(page.locator("#composer-saved")).to_have_text("Draft saved")
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Your account").click()
    stopped_on_the_way(page, "**/drafts/**")  # the server hears of nothing more
    page.keyboard.type("we are on it.")
    other.get_by_role("menuitem", name="Sign out").click()
    page.wait_for_url("**/accounts/login/**")  # this tab was told
    page.unroute("**/drafts/**")
    page.locator("[name=login]").fill(crew.agent.email)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"**/tickets/{ticket.pk}/")
    expect(composer(page)).to_have_value("Dear Jiwoo, we are on it.")
    comes_to(lambda: Draft.objects.get().text, "Dear Jiwoo, we are on it.")
    assert page.errors == []


def test_row_5_what_is_written_before_the_lid_closes_is_safe_when_it_opens(crew, screen):
    ticket = says(crew, "Hello").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/", own_clock=True)
    composer(page).click()
    page.keyboard.type("Dear Jiwoo, ")
    expect(page.locator("#composer-saved")).to_have_text("Draft saved")
    page.context.set_offline(True)
    page.keyboard.type("we are on it.")
    expect(page.locator("#composer-saved")).to_have_text("Draft kept on this device")
    page.clock.fast_forward("08:00:00")
    page.context.set_offline(False)
    wait_until(lambda: Draft.objects.get().text == "Dear Jiwoo, we are on it.", what="the draft on the server")
    expect(composer(page)).to_have_value("Dear Jiwoo, we are on it.")
    assert page.errors == []


def test_row_9_what_was_marked_as_spam_in_haste_comes_back_with_z(crew, screen, worker):
    first, _second, _third = three_tickets(crew)
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    expect(composer(page)).to_be_visible()
    row = page.locator(f"#ticket-row-{first.pk}")
    page.keyboard.press("!")
    expect(row).to_have_count(0)
    expect(page.locator(".toast", has_text="marked as spam")).to_be_visible()
    wait_until(lambda: Ticket.objects.filter(pk=first.pk, tags__name="spam", status="solved").exists(), what="spam")
    page.keyboard.press("z")
    expect(row).to_be_visible()
    wait_until(lambda: not Ticket.objects.filter(tags__name="spam").exists(), what="the undo")
    assert set(Ticket.objects.values_list("status", flat=True)) == {"new"} and page.errors == []


def test_row_20_a_view_that_is_shared_is_the_same_for_the_other_agent(crew, screen):
    _ara, bo, _cleo = three_tickets(crew)
    actions.change_tags(bo, add=["billing"], by=by_agent(crew.teammate), now=timezone.now())
    mina = screen(crew.agent, "/?q=tag:billing")
    mina.locator("[popovertarget=view-menu]").click()
    mina.get_by_role("menuitem", name="Save as a view").click()
    mina.locator("#view-form [name=name]").fill("Money")
    mina.locator("#view-form [name=of]").select_option(label="Support")
    mina.locator("#view-form [type=submit]").click()
    expect(mina.locator("#nav-views .nav__item")).to_contain_text("Money")
    view = SavedView.objects.get()

    theo = screen(crew.teammate)
    item = theo.locator("#nav-views .nav__item", has_text="Money")
    expect(item.locator(".nav__shared")).to_be_visible()
    expect(item.locator(".nav__count")).to_have_text("1")
    item.click()
    theo.wait_for_url(re.compile(f"/views/view-{view.pk}/$"))
    expect(theo.locator("#rows > .row")).to_have_count(1)
    expect(theo.locator(f"#ticket-row-{bo.pk}")).to_be_visible()
    theo.locator("[popovertarget=view-menu]").click()
    expect(theo.get_by_role("menuitem", name="Save as a view")).to_be_visible()
    expect(theo.get_by_role("menuitem", name="Delete this view")).to_have_count(0)  # it is hers

    omar = screen(crew.outsider)
    expect(omar.locator("#nav-views .nav__item")).to_have_count(0)
    assert mina.errors == theo.errors == omar.errors == []


def test_row_30_each_of_the_five_panes_is_one_link_away_though_it_is_folded(crew, screen):
    ticket = says(crew, "Hello").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/", width=1024)
    for name in ("nav", "side"):
        expect(page.locator(f"#{name}")).to_be_hidden()
    links = page.locator(".skip-links a")
    for name, link in zip(("list", "thread", "side", "nav", "rail"), links.all(), strict=True):
        link.focus()
        page.keyboard.press("Enter")
        expect(page.locator(f"#{name}")).to_be_focused()
        expect(page.locator(f"#{name}")).to_be_visible()
    assert page.errors == []
