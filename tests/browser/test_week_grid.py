"""Business hours are painted by keyboard and mouse, on a phone's width too; the text holds them to the minute."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from agents.models import Calendar, CalendarWindow
from tests.cast import Cast


def cell(page: Page, name: str) -> Any:
    return page.get_by_role("gridcell", name=name, exact=True)


@pytest.mark.django_db(transaction=True)
def test_a_week_is_made_by_keyboard(crew: Cast, screen: Any) -> None:
    page: Page = screen(crew.admin, "/settings/hours/new/", width=360, live=False)
    page.get_by_label("Name").fill("Office")
    monday, friday = page.locator("[data-weekday=Monday]"), page.locator("[data-weekday=Friday]")
    expect(monday).to_have_value("09:00-18:00")
    cell(page, "Monday 09:00").focus()
    for _hour in range(6):
        page.keyboard.press("ArrowDown")
    expect(cell(page, "Monday 12:00")).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    expect(monday).to_have_value("09:00-12:00, 13:00-18:00")
    expect(cell(page, "Monday 12:30")).to_have_attribute("aria-selected", "false")
    monday.fill("09:15-12:00, 13:00-18:00")
    expect(cell(page, "Monday 09:00")).to_have_attribute("data-part", "")
    page.get_by_role("button", name="Copy Monday to Monday–Friday").click()
    expect(friday).to_have_value("09:15-12:00, 13:00-18:00")
    cell(page, "Saturday 10:00").click()
    expect(page.locator("[data-weekday=Saturday]")).to_have_value("10:00-10:30")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="Save").click()
    expect(page).to_have_url(page.url.split("/settings/")[0] + "/settings/hours/")
    made = Calendar.objects.get(name="Office")
    windows = CalendarWindow.objects.filter(calendar=made).order_by("weekday", "opens")
    assert [(one.weekday, f"{one.opens:%H:%M}") for one in windows if one.weekday in (0, 4, 5)] == [
        (0, "09:15"), (0, "13:00"), (4, "09:15"), (4, "13:00"), (5, "10:00"),
    ]  # fmt: skip
    assert page.errors == []  # type: ignore[attr-defined]
