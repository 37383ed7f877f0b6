"""axe in the dialogs of the workspace, each with something in it, and refused once where it can be; in the dark where colours differ."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.axe import found, found_in_both
from tests.browser.desk import composer, says, three_tickets
from tests.workspace import scene
from tickets import approved, bulk
from tickets.contract import Template
from tickets.models import Route, Ticket

pytestmark = [pytest.mark.timeout(120), pytest.mark.csp_report]  # axe adds a style element of its own
JIWOO = scene.sender("Jiwoo", phone="+821011112222", email="jiwoo@example.org")
ARA = scene.sender("Ara", phone="+821055550000")


def test_row_30_axe_finds_nothing_in_the_dialogs_of_a_ticket(crew, screen):
    now = timezone.now()
    asked = scene.says(crew.email, JIWOO, "Where is it?", at=now).ticket
    late = scene.says(crew.whatsapp, ARA, "Hello?", at=now - timedelta(days=3)).ticket
    Route.objects.filter(ticket=late).update(window_expires_at=now - timedelta(days=2))
    approved.keep(crew.whatsapp, [Template("update", "en", "Hello {{1}}, it arrives on {{2}}.", ("1", "2"))])
    page = screen(crew.agent, f"/tickets/{asked.pk}/")
    page.emulate_media(reduced_motion="reduce")  # colours change at once
    expect(composer(page)).to_be_visible()
    wrong: list[str] = []

    page.keyboard.press("f")
    expect(page.locator("#forward-to")).to_be_focused()
    page.locator("#forward-text").fill("Can you find it?")
    page.locator("#forward-to").fill("nobody")
    page.locator("#forward [type=submit]").click()
    expect(page.locator("#forward [role=alert]")).to_be_visible()
    wrong += found_in_both(page, "forward that was refused", "#forward")
    with page.expect_response("**/forwards/draft/"):
        page.locator("#forward-to").fill("desk@courier.example")
    page.locator("#forward [data-close]").first.click()
    page.keyboard.press("f")
    expect(page.locator("#forward-to")).to_have_value("desk@courier.example")
    wrong += found(page, "forward with a draft", "#forward")
    page.locator("#forward [data-close]").first.click()

    page.get_by_role("link", name="Why here?").click()
    expect(page.locator("#explanation-body")).not_to_be_empty()
    wrong += found(page, "explanation", "#explanation")
    page.locator("#explanation [data-close]").click()
    page.get_by_role("button", name="Join customers").click()
    expect(page.locator("#joining-query")).to_be_focused()
    wrong += found(page, "join customers", "#joining")
    page.locator("#joining [data-close]").click()

    page.goto(page.url.replace(str(asked.pk), str(late.pk)))
    page.get_by_role("button", name="Choose a template").click()
    expect(page.locator("#place-2")).to_be_visible()
    wrong += found(page, "template", "#template-dialog")
    assert not wrong, "\n".join(wrong)
    assert page.errors == []


def test_row_30_axe_finds_nothing_in_the_dialogs_of_a_list_and_in_a_new_ticket(crew, screen, live_server):
    says(crew, "Hello", who=JIWOO)
    closed, *_others = three_tickets(crew)
    page = screen(crew.manager, "/?q=is:open")
    page.emulate_media(reduced_motion="reduce")
    wrong: list[str] = []

    page.locator("[popovertarget=view-menu]").click()
    page.get_by_role("menuitem", name="Save as a view").click()
    expect(page.locator("#view-form [name=name]")).to_be_focused()
    page.locator("#view-form [name=name]").fill("   ")
    page.locator("#view-form [type=submit]").click()
    expect(page.locator("#view-form [aria-invalid=true], #view-form [role=alert]").first).to_be_visible()
    wrong += found_in_both(page, "view that was refused", "#view-dialog")
    page.locator("#view-dialog [data-close]").first.click()

    Ticket.objects.filter(pk=closed.pk).update(status="closed", closed_at=timezone.now())  # nobody told this screen
    page.keyboard.press("*")
    page.keyboard.press("a")
    page.keyboard.press("e")
    expect(page.locator(".toast")).to_be_visible()
    bulk.drain(seconds=5, now=timezone.now())
    page.locator("bulk-job").get_by_role("button", name="Show").click()
    expect(page.locator("#bulk-errors")).to_contain_text("This ticket is closed")
    wrong += found(page, "what could not be done", "#bulk-errors")

    page.goto(f"{live_server}/tickets/new/")
    page.locator("#opening-query").fill("jiwoo@ex")
    expect(page.get_by_role("link", name="Jiwoo")).to_be_visible()
    wrong += found(page, "new ticket, for whom", "#content")
    page.get_by_role("link", name="Jiwoo").click()
    expect(page.locator("#opening-subject")).to_be_visible()
    wrong += found(page, "new ticket", "#content")
    assert not wrong, "\n".join(wrong)
    assert page.errors == []
