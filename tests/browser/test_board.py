"""A manager watches the board and moves work by keyboard."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from playwright.sync_api import expect

from tests import cast as people
from tests.browser import desk
from tickets import actions
from tickets.models import Ticket
from tickets.models.event import by_agent


def test_the_board_follows_and_work_moves_by_keyboard(crew: people.Cast, screen: Any, worker: None) -> None:
    ticket = desk.says(crew, "Where is my parcel?").ticket
    page = screen(crew.manager, "/board/")
    waiting = page.locator('a.kpi[href="/views/board-waiting/"] .kpi__value').first
    expect(waiting).to_have_text("1")
    desk.says(crew, "And mine?", who=desk.scene.sender("Bo", phone="+82105555001"))
    expect(waiting).to_have_text("2")
    actions.assign(ticket, assignee=crew.agent, team=crew.support, by=by_agent(crew.admin), now=timezone.now())
    mina = page.locator(f'[data-key="agent-{crew.agent.pk}"]')
    expect(mina).to_contain_text("1 ticket")

    mina.locator("[data-move]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#board-move select")).to_be_focused()
    page.keyboard.type("Theo")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".toast__text")).to_contain_text("Theo")
    expect(page.locator(f'[data-key="agent-{crew.teammate.pk}"]')).to_contain_text("1 ticket")
    expect(mina).to_contain_text("Nothing open")
    page.keyboard.press("z")
    expect(mina).to_contain_text("1 ticket")
    assert Ticket.objects.get(pk=ticket.pk).assignee == crew.agent
    assert page.errors == []
