"""The installable app: its manifest, and the worker that keeps one page for when there is no network."""

import json
import re
import struct
from pathlib import Path

from django.test import Client
from playwright.sync_api import expect

from tests import cast as people
from tests.workspace import scene

STATIC = Path(__file__).parents[2] / "static"


def test_the_manifest_names_icons_that_are_there():
    manifest = json.loads((STATIC / "manifest.webmanifest").read_text())
    sizes = {}
    for icon in manifest["icons"]:
        path = STATIC / icon["src"]
        if path.suffix == ".png":
            width, height = struct.unpack(">II", path.read_bytes()[16:24])
            assert icon["sizes"] == f"{width}x{height}"
            sizes[icon["purpose"], width] = path.stat().st_size
        else:
            assert path.exists()
    assert {("any", 192), ("any", 512), ("maskable", 512)} <= set(sizes)
    assert max(sizes.values()) < 40_000
    assert manifest["display"] == "standalone" and manifest["start_url"] == "/"


def test_the_worker_is_served_at_the_root_and_not_kept(client, db):
    answer = client.get("/service-worker.js")
    assert answer["Content-Type"].startswith("text/javascript")
    assert "no-store" in answer["Cache-Control"]
    shell = json.loads(re.search(r"const SHELL = (\[.*\]);", answer.content.decode())[1])
    assert shell[0] == "/offline/" and all(
        address == "/offline/" or address.startswith("/static/") for address in shell
    )


def test_another_page_makes_another_shell(client, db):
    def name(language):
        text = client.get("/service-worker.js", headers={"Accept-Language": language}).content.decode()
        return re.search(r'const NAME = "(shell-\w+)";', text)[1]

    assert name("en") == name("en") != name("ko")


def test_without_a_network_one_page_says_so_and_no_ticket_is_kept(browser, browser_context_args, live_server):
    from django.utils import timezone

    crew = people.assemble()
    ticket = scene.says(crew.sms, scene.sender("Ara", phone="+821055550000"), "A secret", at=timezone.now()).ticket
    client = Client()
    client.force_login(crew.admin, backend="django.contrib.auth.backends.ModelBackend")
    context = browser.new_context(**{**browser_context_args, "service_workers": "allow"})
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": str(live_server)}
    context.add_cookies([cookie])
    page = context.new_page()
    page.goto(live_server + "/")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.goto(f"{live_server}/tickets/{ticket.pk}/")
    expect(page.locator("#thread-log")).to_contain_text("A secret")
    kept = page.evaluate(
        """async () => (await Promise.all((await caches.keys()).map(async (name) =>
             (await (await caches.open(name)).keys()).map((request) => new URL(request.url).pathname)))).flat()"""
    )
    assert len(kept) == 4 and "/offline/" in kept and not [path for path in kept if "ticket" in path]
    context.set_offline(True)
    page.goto(f"{live_server}/reports/")
    expect(page.locator("h1")).to_have_text("You are offline")
    assert page.evaluate("getComputedStyle(document.querySelector('.btn')).backgroundColor") != "rgba(0, 0, 0, 0)"
    context.set_offline(False)
    page.get_by_text("Try again").click()
    expect(page.locator("#content")).to_be_visible()
    context.close()
