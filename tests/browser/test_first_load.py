"""The first load as it is shipped: collected, bundled, hashed and compressed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from tests import cast as people

KB = 1024
OURS_AND_HTMX = 70 * KB  # scripts and styles until the inbox is there, compressed
STYLES = 18 * KB
REQUESTS = 12
LATER = (
    "notification-bell.",
    "activity.",
    "peeks.",
    "new-options.",
    "tooltip.",
    "badge.",
    "bulk-bar.",
    "bulk-job.",
    "snooze-menu.",
    "sound.",
    "tab-leader.",
    "insert-menu.",
    "format-bar.",
    "typing.",
    "desk.",
    "draft-keeper.",
    "held.",
    "given-back.",
    "finding.",
    "uploading.",
    "forwarding.",
    "pane-splitter.",
    "shortcut-sheet.",
)  # import()ed when all is there


@pytest.fixture
def visit(new_context: Any, live_server: Any) -> Callable[[str], tuple[Page, list[Any]]]:
    """(the page, the requests of its static files) for an administrator."""

    def enter(path: str) -> tuple[Page, list[Any]]:
        client = Client()
        client.force_login(crew.admin, backend="django.contrib.auth.backends.ModelBackend")
        context = new_context()
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": str(live_server)}
        context.add_cookies([cookie])
        page, asked = context.new_page(), []
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("requestfinished", lambda request: asked.append(request))
        page.goto(live_server + path)
        page.wait_for_load_state("networkidle")
        static = [one for one in asked if "/static/" in one.url]
        return page, [one for one in static if not one.url.rpartition("/")[2].startswith(LATER)]

    crew = people.assemble()
    return enter


def weight(requests: list[Any], kind: str) -> int:
    return sum(one.sizes()["responseBodySize"] for one in requests if one.url.split("?")[0].endswith(kind))


def test_the_inbox_comes_in_few_small_files(visit):
    page, requests = visit("/")
    expect(page.locator("body")).to_have_attribute("data-live", "live")
    names = [one.url.rpartition("/")[2] for one in requests]
    assert any(name.startswith("bundle-workspace.") for name in names), names
    assert len(requests) + 1 <= REQUESTS, names  # and the page itself
    for one in requests:
        if one.url.endswith((".js", ".css")):
            assert one.response().headers["content-encoding"] == "gzip", one.url
    assert 5 * KB < weight(requests, ".css") <= STYLES
    assert weight(requests, ".js") + weight(requests, ".css") <= OURS_AND_HTMX
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    assert page.errors == []


def test_every_module_of_the_bundles_runs(visit, live_server):
    """Whatever page asks for it: by its hashed name it gives what it exports."""
    from django.contrib.staticfiles.storage import staticfiles_storage

    page, _requests = visit("/")
    names = [name for name in staticfiles_storage.hashed_files if name.startswith("js/") and name.endswith(".js")]
    assert len(names) > 30
    for name in names:
        if not name.endswith(
            ("styleguide.js", "board.js", "customer-page.js", "notification-test.js")
        ):  # need their page
            address = staticfiles_storage.url(name)
            assert page.evaluate(f"import('{address}').then(() => true)"), name
    assert page.errors == []


@pytest.mark.parametrize("path", ["/settings/profile/", "/settings/rules/", "/reports/"])
def test_other_pages_leave_the_workspace_alone(visit, path):
    page, requests = visit(path)
    names = [one.url.rpartition("/")[2] for one in requests]
    assert any(name.startswith("bundle-app.") for name in names)
    assert not [name for name in names if name.startswith(("bundle-workspace", "workspace"))]
    assert page.errors == []
