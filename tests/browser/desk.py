"""What happens at an agent's desk, said in a word: a customer writes, three tickets wait, one looks at the composer."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone
from playwright.sync_api import Page, expect

from tests import cast as people
from tests.workspace import scene
from tickets.models import Message, Ticket

JIWOO = scene.sender("Jiwoo", phone="+821011112222")


def says(crew: people.Cast, text: str, *, who: Any = JIWOO, minutes: int = 0, **more: Any) -> Message:
    return scene.says(crew.sms, who, text, at=timezone.now() - timedelta(minutes=minutes), **more)


def three_tickets(crew: people.Cast) -> list[Ticket]:
    """In the order of the inbox: who has waited longest comes first."""
    names = ("Ara", "Bo", "Cleo")
    made = [
        says(crew, f"I am {name}", who=scene.sender(name, phone=f"+8210555500{n}0"), minutes=3 - n).ticket
        for n, name in enumerate(names)
    ]
    return made


def composer(page: Page) -> Any:
    return page.locator("#composer-text")


def at_rest(crew: people.Cast, screen: Callable[..., Page], ticket: Ticket) -> Page:
    """One looks at it, can write, and all that comes ahead has come."""
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(composer(page)).to_be_visible()
    page.wait_for_load_state("networkidle")
    return page


def until(page: Page, holds: Callable[[], Any]) -> None:
    """As `wait_until`, while the page's own requests go on to be told to this test."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        page.wait_for_timeout(20)


def stopped_on_the_way(page: Page, path: str) -> list[Any]:
    """Requests there stay under way until they are continued."""
    under_way: list[Any] = []
    page.route(path, lambda route: under_way.append(route))
    return under_way


def leaves(page: Page, under_way: list[Any], path: str) -> None:
    for route in under_way:
        route.continue_()
    page.unroute(path)
