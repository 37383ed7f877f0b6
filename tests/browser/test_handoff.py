"""Row 33 of what ours must have: whoever comes to a ticket knows why it is theirs and what they have missed."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.desk import says
from tests.workspace import scene
from tickets import actions, notifying
from tickets.models import Ticket
from tickets.models.event import by_agent


def test_row_33_a_ticket_is_handed_on_with_its_reason_its_pinned_note_and_what_was_missed(crew, screen):
    now = timezone.now()
    ticket = says(crew, "Where is my parcel?", minutes=180).ticket
    actions.mark_read(ticket, agent=crew.teammate, message_id=ticket.last_message_id, now=now - timedelta(hours=2))
    for n in range(12):
        says(crew, f"Hello? Is anybody there? {n}", minutes=60 - n)
    scene.notes(ticket, crew.manager, "He is deaf.\nNever call him.\nWrite instead.", at=now)

    # Mina pins the note, takes that back and thinks again, and hands the ticket on with a word; all of it by keys.
    mina = screen(crew.agent, f"/tickets/{ticket.pk}/")
    pinned = mina.locator(f"#pinned-{ticket.pk}")
    expect(mina.locator("#composer-text")).to_be_visible()
    mina.keyboard.press("Shift+P")
    expect(pinned).to_contain_text("Never call him.")
    folded = pinned.locator(".pinned__text").bounding_box()["height"]
    mina.keyboard.press("z")
    expect(pinned).not_to_contain_text("deaf")
    mina.keyboard.press(".")
    expect(mina.locator("#more-menu")).to_be_visible()
    mina.get_by_role("menuitem", name="Pin the newest note").press("Enter")
    expect(pinned).to_contain_text("He is deaf.")
    mina.keyboard.press("a")
    expect(mina.locator("#property-assignee-menu [role=combobox]")).to_be_focused()
    expect(mina.locator("#property-assignee-list [role=option]").first).to_be_visible()
    mina.keyboard.type("theo")
    mina.keyboard.press("Tab")
    expect(mina.locator("#property-assignee-menu [data-reason]")).to_be_focused()
    mina.keyboard.type("Knows the courier")
    mina.keyboard.press("Enter")
    expect(mina.locator("#property-assignee-button")).to_contain_text("Theo")
    expect(mina.locator("#thread-log .event-line").last).to_contain_text("Assignee: Theo · “Knows the courier”")
    given = Ticket.objects.get(pk=ticket.pk)
    assert given.assignee == crew.teammate
    assert mina.errors == []

    # Theo is told why, and reads above what is new to him what he has missed; the note stands above it all.
    notifying.drain()
    theo = screen(crew.teammate, "/")
    theo.keyboard.press("g")
    theo.keyboard.press("n")
    notice = theo.locator(".notice").first
    expect(notice).to_contain_text("Mina assigned this to you")
    expect(notice).to_contain_text("“Knows the courier”")
    theo.keyboard.press("Escape")
    theo.locator(f"#ticket-row-{ticket.pk} a").press("Enter")
    since = theo.locator("#since")
    expect(since).to_contain_text(
        "Since you were here (2 hours ago): 12 messages from the customer, 1 note by Grace, "
        "assigned to Theo (“Knows the courier”)"
    )
    expect(since).to_be_in_viewport()
    first = theo.locator("#thread-log > .message", has_text="there? 0")
    theo.locator("#thread-scroll").evaluate("scroll => { scroll.scrollTop = scroll.scrollHeight; }")
    expect(first).not_to_be_in_viewport()
    since.get_by_role("button", name="First unread").press("Enter")
    expect(first).to_be_focused()
    expect(first).to_be_in_viewport()
    above = theo.locator(f"#pinned-{ticket.pk}")
    expect(above).to_contain_text("He is deaf.")
    above.locator("summary").press("Enter")
    expect(above).to_contain_text("Write instead.")
    assert above.locator(".pinned__text").bounding_box()["height"] > folded
    expect(theo.locator("#composer-text")).to_be_visible()
    theo.keyboard.press("Shift+P")
    expect(above).not_to_contain_text("deaf")
    expect(pinned).not_to_contain_text("deaf")

    # It is said once: who comes back reads of what has happened since.
    theo.keyboard.press("u")
    expect(since).to_have_count(0)
    actions.set_priority(given, 4, by=by_agent(crew.agent), now=timezone.now())
    expect(theo.locator(f"#ticket-row-{ticket.pk}")).to_have_attribute("data-priority", "4")
    theo.locator(f"#ticket-row-{ticket.pk} a").press("Enter")
    expect(since).to_contain_text("priority Urgent")
    expect(since).not_to_contain_text("customer")
    assert theo.errors == []
