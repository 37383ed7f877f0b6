"""An ordered list is put into order by mouse, by finger and by keyboard, and back."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests import cast as people
from tests.conftest import comes_to
from tickets.models import Rule


def saved() -> list[str]:
    return list(Rule.objects.order_by("position").values_list("name", flat=True))


@pytest.mark.django_db(transaction=True)
def test_rules_are_dragged_moved_by_keys_and_put_back(crew: people.Cast, screen: Any, live_server: Any) -> None:
    for n, name in enumerate(["One", "Two", "Three"]):
        Rule.objects.create(name=name, position=n, conditions={}, actions=[{"do": "priority", "priority": 3}])
    page = screen(crew.admin)
    page.goto(f"{live_server}/settings/rules/")
    names = page.locator(".rule h2 a")
    said, toast = page.locator("sortable-list [role=status]"), page.locator(".toast")

    # By mouse, past both of the others.
    handle = page.get_by_role("button", name="Move One", exact=True)
    handle.hover()
    page.mouse.down()
    last = page.locator(".rule").nth(2).bounding_box()
    page.mouse.move(last["x"] + 20, last["y"] + last["height"] - 4, steps=6)
    expect(said).to_have_text("One: place 3 of 3")
    page.mouse.up()
    expect(toast.last).to_contain_text("The order is saved.")
    expect(names).to_have_text(["Two", "Three", "One"])
    comes_to(saved, ["Two", "Three", "One"])

    # One undo, and all is as it was.
    toast.last.get_by_role("button", name="Undo").click()
    expect(names).to_have_text(["One", "Two", "Three"])
    comes_to(saved, ["One", "Two", "Three"])

    # By keyboard: several steps are one change, and Escape takes back what is not saved.
    page.get_by_role("button", name="Move Three", exact=True).focus()
    page.keyboard.press("Home")
    page.keyboard.press("Escape")
    expect(names).to_have_text(["One", "Two", "Three"])
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(said).to_have_text("Three: place 1 of 3")
    expect(toast.last).to_contain_text("The order is saved.")
    expect(names).to_have_text(["Three", "One", "Two"])
    expect(page.get_by_role("button", name="Move Three", exact=True)).to_be_focused()
    comes_to(saved, ["Three", "One", "Two"])  # the toast of the first save is still there
    assert page.errors == []
