"""axe on every page of the agents' side: light and dark, English and Korean. And what axe cannot see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from agents.models import Agent
from tests import addresses
from tests import cast as people
from tests.addresses import World
from tests.browser.axe import found, found_in_both
from tests.conftest import empty_tables
from tickets.models import Ticket

pytestmark = [pytest.mark.timeout(900), pytest.mark.csp_report]  # axe adds a style element of its own
IS_WHOLE = """() => document.body.dataset.live === "live" && !document.querySelector("#list-content[data-src]")
  && (!document.querySelector("#ticket[data-ticket]")
    || document.querySelector("#composer-place ticket-composer") && document.querySelector("#customer-more"))
  && (!document.querySelector("#rows > .row")
    || performance.getEntriesByType("resource").some(({ name }) => name.includes("/marks/")))"""


@pytest.fixture(scope="module")
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """A workspace with something to see on every page, filled once: what is done here leaves it as it is."""
    with django_db_blocker.unblock():
        with transaction.atomic():
            world = World(people.assemble(), timezone.now())
            world.fill(3)
        yield world
        empty_tables()


@pytest.fixture
def moa(live_server: Any) -> Any:
    return live_server


@pytest.fixture
def new(browser: Any, browser_context_args: dict[str, Any]) -> Iterator[Callable[..., Any]]:
    """A context of the browser with these options instead of the usual ones."""
    made = []

    def make(**options: Any) -> Any:
        made.append(browser.new_context(**{**browser_context_args, **options}))
        return made[-1]

    yield make
    for context in made:
        context.close()


@pytest.fixture
def screen(new: Callable[..., Any], moa: Any) -> Callable[..., Page]:
    def enter(*, language: str = "en", scheme: str = "light", width: int = 1440, **more: Any) -> Page:
        agent = Agent.objects.get(role="admin")
        Agent.objects.filter(pk=agent.pk).update(language=language)
        client = Client()
        client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
        context = new(color_scheme=scheme, viewport={"width": width, "height": 900}, **more)
        context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": str(moa)}])
        return context.new_page()

    return enter


@pytest.fixture(scope="module")
def paths(transactional_db: World) -> list[str]:
    """Every whole page of the workspace, its settings and its reports, and what is not in their list of addresses."""
    world = transactional_db
    client = Client()
    client.force_login(world.admin, backend="django.contrib.auth.backends.ModelBackend")
    ours = [world.address(name, route) for name, route in addresses.pages()]
    answers = {path: client.get(path) for path in ours}
    whole = [
        path
        for path, answer in answers.items()
        if answer.status_code == 200 and b"<!doctype html>" in answer.content[:200].lower()
    ]
    assert len(whole) > 45
    return [
        *whole,
        *("/views/mine/", "/views/snoozed/", "/search/?q=is:nonsense", "/nothing-here/", "/simulator/"),
        *("/accounts/password/change/", "/accounts/2fa/"),
    ]


LANGUAGES = pytest.mark.parametrize("language", ["en", "ko"])
# 320 px is also 1280 px at 400 %, 640 px at 200 %. Only the panes of the workspace are laid out anew in between.
NARROW = {"en": 360, "ko": 320}
BETWEEN = {"en": 900, "ko": 640}


@LANGUAGES
def test_row_30_axe_finds_nothing_and_nothing_has_to_be_scrolled_sideways(screen, moa, paths, language):
    page = screen(language=language, reduced_motion="reduce")  # colours change at once
    wrong: list[str] = []
    wide: list[tuple[str, int, int]] = []
    for path in paths:
        answer = page.goto(moa + path)
        assert answer.status in (200, 404) and page.locator("html").get_attribute("lang") == language, path
        has_panes = page.locator("live-feed").count() > 0
        if has_panes:  # the others are whole when they are loaded
            page.wait_for_function(IS_WHOLE)
        wrong += found_in_both(page, path)
        for width in (*((BETWEEN[language],) if has_panes else ()), NARROW[language], 1440):
            page.set_viewport_size({"width": width, "height": 900})
            if (reached := page.evaluate("document.documentElement.scrollWidth")) > width:
                wide.append((path, width, reached))
    assert not wrong, "\n".join(wrong)
    assert wide == []


@LANGUAGES
def test_row_30_axe_finds_nothing_in_what_opens(screen, moa, language):
    page = screen(language=language, reduced_motion="reduce")
    ticket = Ticket.objects.exclude(status__in=["closed", "solved"]).order_by("pk").first()
    page.goto(f"{moa}/tickets/{ticket.pk}/")
    page.wait_for_function(IS_WHOLE)
    wrong: list[str] = []
    for keys, shown, inside in (
        ("?", "#shortcuts", "kbd"),
        ("Control+k", "#palette", "[role=option]"),
        ("a", "#property-assignee-menu", "[role=option]"),
        ("p", "#property-priority-menu", "[role=option]"),
        ("h", "#snooze-menu", "[role=option]"),
    ):
        page.keyboard.press(keys)
        expect(page.locator(f"{shown} {inside}").first).to_be_visible()
        wrong += found_in_both(page, keys, shown)
        page.keyboard.press("Escape")
        expect(page.locator(shown)).to_be_hidden()
    page.keyboard.press("n")
    expect(page.locator("#composer-note")).to_be_focused()
    wrong += found_in_both(page, "note", "#composer-place")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    expect(page.locator("bulk-bar")).to_be_visible()
    wrong += found_in_both(page, "selected", "#list")
    assert not wrong, "\n".join(wrong)


def test_row_30_axe_finds_nothing_before_signing_in(new, live_server):
    wrong: list[str] = []
    for scheme in ("light", "dark"):
        page = new(color_scheme=scheme).new_page()
        for path in ("/accounts/login/", "/accounts/password/reset/"):
            page.goto(f"{live_server}{path}")
            wrong += found(page, f"{path} {scheme}")
    assert not wrong, "\n".join(wrong)


def test_row_30_the_first_stop_of_the_tab_key_skips_to_the_content(screen, moa):
    page = screen()
    ticket = Ticket.objects.exclude(status="closed").order_by("pk").first()
    for path, target in (("/settings/profile/", "content"), (f"/tickets/{ticket.pk}/", "list")):
        page.goto(moa + path)
        page.wait_for_load_state("networkidle")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Tab")
        link = page.locator(".skip-links a:focus")
        expect(link).to_be_in_viewport()
        assert link.get_attribute("href") == f"#{target}"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == target


def test_row_30_who_wants_no_motion_sees_none(screen, moa):
    page = screen(reduced_motion="reduce")
    page.goto(moa + "/")
    page.wait_for_load_state("networkidle")
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].flatMap((node) => {
          const style = getComputedStyle(node);
          const animated = style.animationName !== "none" && parseFloat(style.animationDuration) > 0.01;
          const moved = /transform|translate|width|height|left|top|all/.test(style.transitionProperty)
            && Math.max(...style.transitionDuration.split(",").map(parseFloat)) > 0.01;
          return animated || moved ? [node.className + " " + style.transitionProperty] : [];
        })"""
    )
    assert moving == []


def test_row_30_with_forced_colours_what_is_chosen_can_be_told(screen, moa):
    """Backgrounds are gone then: the open row and the current place need an edge of their own."""
    page = screen(forced_colors="active")
    ticket = Ticket.objects.exclude(status__in=["closed", "solved"]).order_by("pk").first()
    page.goto(f"{moa}/tickets/{ticket.pk}/")
    row = page.locator(".row__link[aria-current=true], .row__link[aria-current=page]")
    expect(row).to_be_visible()
    assert row.evaluate("(link) => getComputedStyle(link).outlineStyle") == "solid"
    other = page.locator(".row__link:not([aria-current])").first
    assert other.evaluate("(link) => getComputedStyle(link).outlineStyle") == "none"


def test_row_30_targets_of_a_finger_are_large_enough(screen, moa):
    """WCAG 2.5.8 asks for 24 px; ours are 44 px where fingers are used, save what stands inside a line of text."""
    page = screen(width=360, has_touch=True, is_mobile=True)
    page.goto(moa + "/")
    page.wait_for_load_state("networkidle")
    small = page.evaluate(
        """() => [...document.querySelectorAll(".app button, .app a[href], .app summary, .app select")].filter((node) => node.checkVisibility()).flatMap((node) => {
          const box = node.getBoundingClientRect();
          if (box.right < 0 || box.bottom < 0 || !box.width) return [];
          return Math.min(box.width, box.height) < 24 ? [`${node.className || node.outerHTML.slice(0, 80)} ${box.width}x${box.height}`] : [];
        })"""
    )
    assert small == []
