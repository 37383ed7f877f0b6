"""What axe finds wrong on a page. It is put in once a page, and only what is wrong comes back: both cost more than the looking."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    "preload": False,  # style sheets of other hosts: there are none
    "iframes": False,  # mails of customers, in which no script runs: axe would wait for its own answer from there
}
COLOURS = {**RULES, "runOnly": {"type": "rule", "values": ["color-contrast"]}}

LOOK = """async ([inside, rules]) => (await axe.run(inside, rules)).violations.map(
  ({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 200)).join(" ")}`)"""


def found(page: Page, where: str, inside: str = "html", *, rules: dict[str, Any] = RULES) -> list[str]:
    """A line for each rule that is broken inside this element."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return [f"{where} {line}" for line in page.evaluate(LOOK, [inside, rules])]


def found_in_both(page: Page, where: str, inside: str = "html") -> list[str]:
    """In light everything; dark changes colours only, so only those are looked at again."""
    light = found(page, f"{where} light", inside)
    page.emulate_media(color_scheme="dark")
    dark = found(page, f"{where} dark", inside, rules=COLOURS)
    page.emulate_media(color_scheme="light")
    return light + dark
