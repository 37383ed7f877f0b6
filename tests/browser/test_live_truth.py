"""Rows 6, 7, 16, 17 and 34: two agents never answer the same question, and a screen says what the database says."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Error, Page, expect

from agents import presence
from agents.models import Agent
from helpdesk import embedded
from tests import cast as people
from tests.browser.desk import composer, says, three_tickets
from tests.conftest import wait_until
from tests.workspace import scene
from tickets import actions, live
from tickets.models import Draft, Event, Message, Ticket
from tickets.models.event import by_agent

WATCH_SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...how) { super(...how); window.sockets.push(this); }
};
"""
HEALED = 20_000  # milliseconds after everything is back, within which the screens equal the database
SOON = "Math.random = () => 0.2;"  # of the ten seconds within which a tab comes back
NO_SOCKETS = """
window.WebSocket = class extends EventTarget {
  static OPEN = 1;
  readyState = 3;
  constructor() { super(); setTimeout(() => this.dispatchEvent(new CloseEvent("close", { code: 1006 }))); }
  close() {}
  send() {}
};
"""

PLAYED_SOCKET = """
window.WebSocket = class extends EventTarget {
  static OPEN = 1;
  readyState = 1;
  constructor() { super(); window.wire = this; setTimeout(() => this.dispatchEvent(new Event("open"))); }
  send(said) {
    const newest = Number(document.querySelector("live-feed").dataset.after);
    if (JSON.parse(said).type === "hello") this.say({ type: "caught_up", resync: false, newest, events: [], gone: [] });
  }
  say(frame) { this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(frame) })); }
  close() {}
};
"""


def answers_of(ticket: Ticket) -> list[str]:
    return list(
        Message.objects.filter(ticket=ticket, direction="out", kind="public")
        .order_by("pk")
        .values_list("text", flat=True)
    )


# -- Nobody answers twice ---------------------------------------------------------------------------------------------------


def test_row_6_a_hundred_races_have_a_hundred_winners(crew, live_server):
    """Two requests at the same time, each having seen the same last message: one is posted, one is stopped."""
    ticket = says(crew, "Question 0").ticket
    browsers = []
    for agent in (crew.agent, crew.teammate):
        client = Client()
        client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
        browsers.append(client)
    route = re.search(
        r'name="route"[^>]*value="([\d-]+)"', browsers[0].get(f"/tickets/{ticket.pk}/composer/").content.decode()
    )
    for n in range(100):
        seen = Ticket.objects.get(pk=ticket.pk).last_message_id
        start, statuses = threading.Barrier(2), []

        def send(
            client: Client, words: str, *, seen: int = seen, start: Any = start, said: list[int] = statuses
        ) -> None:
            start.wait(10)
            fields = {
                "text": words,
                "last_seen_message_id": seen,
                "client_uuid": uuid.uuid4(),
                "route": route[1] if route else "",
            }
            try:
                said.append(client.post(f"/tickets/{ticket.pk}/replies/", fields, HTTP_HX_REQUEST="true").status_code)
            finally:
                connections.close_all()

        both = [threading.Thread(target=send, args=(client, f"Answer {n} of {i}")) for i, client in enumerate(browsers)]
        for one in both:
            one.start()
        for one in both:
            one.join(30)
        assert sorted(statuses) == [201, 409], f"race {n}"
        says(crew, f"Question {n + 1}")
    assert len(answers_of(ticket)) == 100
    assert not Event.objects.filter(kind="sent_anyway").exists()


@pytest.mark.parametrize("with_socket", [True, False], ids=["socket", "no_socket"])
def test_row_6_two_screens_race_for_the_same_answer(crew, new_context, live_server, with_socket):
    ticket = says(crew, "Question 0").ticket
    pages = [
        enter(new_context, live_server, agent, f"/tickets/{ticket.pk}/", script="" if with_socket else NO_SOCKETS)
        for agent in (crew.agent, crew.teammate)
    ]
    for page in pages:
        expect(page.locator("body")).to_have_attribute("data-live", "live" if with_socket else "away")
    for n in range(4):
        for page in pages:
            expect(page.locator("#thread-log")).to_contain_text(f"Question {n}")
            expect(page.locator("ticket-composer:not([busy])")).to_be_visible()
            composer(page).fill(f"Answer {n}")
        for page in pages:
            page.evaluate("""() => {
              const field = document.querySelector("#composer-text");
              field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", code: "Enter", ctrlKey: true, bubbles: true, cancelable: true }));
            }""")
        for page in pages:
            page.wait_for_function("() => !document.querySelector('ticket-composer').hasAttribute('busy')")
            if (go := page.locator("#composer-guard [data-go]")).is_visible():  # it was seen that the other one writes
                go.click()
        wait_until(lambda n=n: len(answers_of(ticket)) == n + 1, what="the answer")
        review = [page.locator("#composer-guard [data-review]") for page in pages]
        wait_until(lambda review=review: any(one.is_visible() for one in review), what="the strip")
        (stopped,) = [page for page, one in zip(pages, review, strict=True) if one.is_visible()]
        expect(composer(stopped)).to_have_value(f"Answer {n}")
        stopped.locator("[data-review]").click()
        composer(stopped).fill("")
        says(crew, f"Question {n + 1}")
    assert answers_of(ticket) == [f"Answer {n}" for n in range(4)]
    assert pages[0].errors == pages[1].errors == []


def test_row_16_who_is_there_stands_in_the_list_and_in_the_thread(crew, screen):
    ticket = says(crew, "Anybody?").ticket
    mina, theo = screen(crew.agent, f"/tickets/{ticket.pk}/"), screen(crew.teammate)
    row = theo.locator(f"#ticket-row-{ticket.pk}")
    expect(row).to_contain_text("Anybody?")
    composer(mina).press_sequentially("I am")
    expect(row.locator("[data-slot=viewers] .avatar").first).to_be_visible()
    row.locator("a").click()
    expect(theo.locator("#viewers")).to_contain_text("Mina is writing a reply")
    mina.close()
    expect(theo.locator("#viewers")).not_to_contain_text("Mina")


def test_row_16_without_a_socket_one_is_seen_and_sees_others(crew, new_context, live_server):
    ticket = says(crew, "Anybody?").ticket
    mina, theo = (
        enter(new_context, live_server, agent, path, script=NO_SOCKETS, own_clock=True)
        for agent, path in ((crew.agent, f"/tickets/{ticket.pk}/"), (crew.teammate, "/"))
    )
    for page in (mina, theo):
        expect(page.locator("body")).to_have_attribute("data-live", "away")
    expect(composer(mina)).to_be_visible()
    with mina.expect_response(lambda answer: "presence" in answer.url):
        mina.clock.run_for(5_000)
    for _ in range(3):
        theo.clock.run_for(5_000)
    row = theo.locator(f"#ticket-row-{ticket.pk}")
    expect(row.locator("[data-slot=viewers] .avatar").first).to_be_visible()
    with mina.expect_response(lambda answer: "doing=replying" in answer.url):
        composer(mina).press_sequentially("I am")
    row.locator("a").click()
    expect(theo.locator("#viewers")).to_contain_text("Mina is writing a reply")
    theo.clock.run_for(5_000)
    mina.clock.run_for(5_000)
    expect(mina.locator("#viewers")).to_contain_text("Theo is here too")
    assert mina.errors == theo.errors == []


def test_row_16_going_online_colours_the_dot_in_the_rail(crew, screen):
    page = screen(crew.agent)
    page.locator("[popovertarget=presence-menu]").click()
    page.locator("#presence-menu").get_by_text("Busy").click()
    expect(page.locator("#rail-avatar .avatar__presence")).to_have_attribute("data-state", "busy")


# -- Away and back ----------------------------------------------------------------------------------------------------------------


def test_row_16_who_does_nothing_is_away_until_the_next_syllable(crew, screen):
    """Text of an input method comes without a keydown that says which; it counts all the same."""
    ticket = says(crew, "Hello").ticket
    now = timezone.now()
    presence.set_presence(crew.agent, Agent.Presence.ONLINE, now=now)
    page = screen(crew.agent, f"/tickets/{ticket.pk}/", own_clock=True)
    expect(composer(page)).to_be_visible()
    composer(page).focus()
    dot = page.locator("#rail-avatar .avatar__presence")
    expect(dot).to_have_attribute("data-state", "online")
    wait_until(lambda: Agent.objects.get(pk=crew.agent.pk).active_at is not None)
    page.clock.fast_forward("11:00")
    expect(dot).to_have_attribute("data-state", "away")
    earlier = timezone.now() - timedelta(minutes=11)
    Agent.objects.filter(pk=crew.agent.pk).update(active_at=earlier)
    cdp = page.context.new_cdp_session(page)
    cdp.send("Input.imeSetComposition", {"text": "ㅎ", "selectionStart": 1, "selectionEnd": 1})
    expect(dot).to_have_attribute("data-state", "online")
    expect(page.locator(".toast")).to_contain_text("From now on you get new tickets again.")
    wait_until(lambda: Agent.objects.get(pk=crew.agent.pk).active_at > earlier)
    assert page.errors == []


def test_row_7_the_banner_comes_after_a_second_and_a_half_and_says_what_was_loaded(crew, new_context, live_server):
    first, *_others = three_tickets(crew)
    page = enter(new_context, live_server, crew.agent, f"/tickets/{first.pk}/", script=WATCH_SOCKETS)
    expect(page.locator("body")).to_have_attribute("data-live", "live")
    banner = page.locator("live-feed")
    after = page.evaluate("""() => new Promise((resolve) => {
      Math.random = () => 0.5; // the jitter: five seconds
      const lost = performance.now();
      new MutationObserver((_all, seen) => {
        if (document.querySelector("live-feed").hidden) return;
        seen.disconnect();
        resolve(performance.now() - lost);
      }).observe(document.querySelector("live-feed"), { attributes: true });
      window.sockets.at(-1).close();
    })""")
    assert after >= 1500
    expect(banner).to_have_text(re.compile("Reconnecting"))
    says(crew, "Back at once", who=scene.sender("Ara", phone="+821055550000"))
    expect(page.locator("#thread-log")).to_contain_text("Back at once")
    expect(page.locator("body")).to_have_attribute("data-live", "live")
    expect(banner).to_have_text(re.compile("Back, "))
    expect(banner).to_be_hidden()
    assert len(page.evaluate("window.sockets.map((one) => one.readyState)")) == 2


def test_row_7_catching_up_after_sleep_takes_no_two_seconds_of_waiting(crew, new_context, live_server):
    """On focus and online it asks over HTTP at once, whatever the jitter of the socket is: here no clock goes on."""
    ticket = says(crew, "Before").ticket
    page = enter(new_context, live_server, crew.agent, f"/tickets/{ticket.pk}/", script=NO_SOCKETS, own_clock=True)
    expect(composer(page)).to_be_visible()
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    page.context.set_offline(True)
    says(crew, "While it slept")
    with page.expect_response(lambda answer: "/live/" in answer.url and "While it slept" in answer.text()):
        page.context.set_offline(False)  # the browser says "online" by itself
    expect(page.locator("#thread-log")).to_contain_text("While it slept")


def test_row_7_a_socket_that_says_nothing_is_asked_about(crew, new_context, live_server):
    """Neither closed nor heard of: what a heartbeat would have told is fetched; on coming back to the tab, at once."""
    ticket = says(crew, "Before").ticket
    page = enter(new_context, live_server, crew.agent, f"/tickets/{ticket.pk}/", script=PLAYED_SOCKET, own_clock=True)
    expect(page.locator("body")).to_have_attribute("data-live", "live")
    says(crew, "Nobody told")
    page.clock.fast_forward(20_000)
    expect(page.locator("#thread-log")).to_contain_text("Nobody told")
    page.evaluate('window.wire.say({ type: "whisper", topic: "none", payload: {} })')
    page.clock.pause_at(page.evaluate("Date.now() + 6000"))
    says(crew, "While one was elsewhere")
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.locator("#thread-log")).to_contain_text("While one was elsewhere")


def test_row_7_a_new_version_is_told_and_never_reloads_over_a_draft(crew, new_context, live_server, monkeypatch):
    monkeypatch.setattr(live, "build", lambda: "first")
    ticket = says(crew, "Hello").ticket
    page = enter(new_context, live_server, crew.agent, f"/tickets/{ticket.pk}/", script=WATCH_SOCKETS)
    expect(page.locator("body")).to_have_attribute("data-live", "live")
    composer(page).fill("Half a sent")
    page.evaluate("window.same = true")
    monkeypatch.setattr(live, "build", lambda: "second")
    page.evaluate("window.sockets.at(-1).close()")  # the old process ends; the new one answers the catch-up
    expect(page.locator("live-feed")).to_contain_text("New version, reload when ready", timeout=40_000)
    assert page.evaluate("window.same") is True
    with page.expect_navigation():
        page.locator("[data-reload]").click()
    expect(composer(page)).to_have_value("Half a sent")


def test_row_7_who_loses_sight_loses_the_open_ticket(crew, screen):
    ticket = says(crew, "Private").ticket
    Ticket.objects.filter(pk=ticket.pk).update(team=crew.support)
    Agent.objects.filter(pk=crew.agent.pk).update(sight="teams")
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    expect(page.locator("#thread-log")).to_contain_text("Private")
    actions.assign(ticket, assignee=None, team=crew.billing, by=by_agent(crew.manager), now=timezone.now())
    expect(page.locator("#thread-log")).to_have_count(0)
    expect(page.locator(f"#ticket-row-{ticket.pk}")).to_have_count(0)


# -- Offline ------------------------------------------------------------------------------------------------------------------------


def goes_into_a_tunnel(page: Page) -> None:
    """When all is there that comes after the first second: what cannot be fetched in there would be missing."""
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)


def test_row_34_offline_one_reads_writes_and_sends_later(crew, screen):
    first, _second, _third = three_tickets(crew)
    page = screen(crew.agent, f"/tickets/{first.pk}/")
    expect(composer(page)).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(composer(page)).to_be_visible()
    goes_into_a_tunnel(page)
    page.keyboard.press("k")
    expect(page.locator("#thread-log")).to_contain_text("I am Ara")  # read before, so it is here
    composer(page).fill("Written in a tunnel")
    composer(page).press("Control+Enter")
    waiting = page.locator("#thread-log [data-waits]")
    expect(waiting).to_contain_text("Written in a tunnel")
    expect(waiting).to_contain_text("Waits for the connection")
    expect(composer(page)).to_have_value("")
    assert answers_of(first) == []
    page.keyboard.press("j")
    expect(page.locator("#thread-log")).to_contain_text("I am Bo")
    expect(waiting).to_have_count(0)
    page.keyboard.press("k")
    expect(waiting).to_have_count(1)
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(waiting).to_have_count(0)
    expect(page.locator(".message--out[id^=message] .text")).to_have_text("Written in a tunnel")
    assert answers_of(first) == ["Written in a tunnel"] and page.errors == []


def test_row_34_what_waited_is_not_sent_into_a_thread_that_moved_on(crew, screen):
    ticket = says(crew, "Who helps?").ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    composer(page).fill("I do")
    goes_into_a_tunnel(page)
    composer(page).press("Control+Enter")
    expect(page.locator("[data-waits]")).to_have_count(1)
    scene.answers(ticket, crew.teammate, "Done already", at=timezone.now())
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#composer-guard")).to_contain_text("Done already")
    expect(composer(page)).to_have_value("I do")
    assert answers_of(ticket) == ["Done already"]


def test_row_34_a_mail_that_waited_is_held_once_and_can_still_be_taken_back(crew, screen):
    Agent.objects.filter(pk=crew.agent.pk).update(undo_seconds=30)
    who = scene.sender("Ara", email="ara@example.org")
    ticket = scene.says(crew.email, who, "Where is it?", at=timezone.now()).ticket
    page = screen(crew.agent, f"/tickets/{ticket.pk}/")
    composer(page).fill("On its way")
    goes_into_a_tunnel(page)
    composer(page).press("Control+Enter")
    expect(page.locator("#thread-log [data-waits]")).to_have_count(1)
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#thread-log [data-waiting]")).to_contain_text("On its way")
    expect(page.locator("#thread-log [data-waits]")).to_have_count(0)
    assert page.evaluate("Object.keys(localStorage).filter((name) => name.startsWith('queue:'))") == []
    page.locator("#thread-log [data-take-back]").click()
    expect(composer(page)).to_have_value("On its way")
    assert Draft.objects.get().send_at is None and page.errors == []


# -- Show 3: everything dies ----------------------------------------------------------------------------------------------------------


class Web:
    """A web process and a Redis of its own, which can be killed without hurting the test."""

    def __init__(self, start: Callable[..., Any], folder: Path) -> None:
        self.start_process, self.folder = start, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.count = 0
        self.start_redis()
        self.start()

    def start(self) -> None:
        self.count += 1
        argv = (
            "-m",
            "uvicorn",
            "helpdesk.asgi:application",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--lifespan",
            "off",
        )
        env = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PORT": str(self.port), "REDIS_URL": self.redis_url}
        self.process = self.start_process(f"web-{self.count}", *argv, **env)
        self.process.wait_for("running on")

    def kill_redis(self) -> None:
        os.kill(self.redis.pid, signal.SIGKILL)
        self.redis.process.wait(10)

    def start_redis(self) -> None:
        self.redis = embedded.start_valkey(self.folder, durable=False)
        self.redis_url = embedded.valkey_url(self.folder)


@pytest.fixture
def web(start_process: Any, tmp_path_factory: Any, transactional_db: None, settings: Any) -> Iterator[Web]:
    server = Web(start_process, tmp_path_factory.mktemp("web"))
    settings.REDIS_URL = server.redis_url
    live._redis.cache_clear()
    yield server
    server.redis.stop()
    live._redis.cache_clear()


def compose(page: Page, syllable: str) -> None:
    """Leave this syllable open in the field, as an input method does before the next key."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("Input.imeSetComposition", {"text": syllable, "selectionStart": 1, "selectionEnd": 1})
    expect(composer(page)).to_have_value(re.compile(f"{syllable}$"))


def kill_tab(page: Page) -> None:
    """Its process ends as by kill -9: nothing of the page runs any more, no leaving, no last request."""
    with page.expect_event("crash"), contextlib.suppress(Error):
        page.goto("chrome://crash")
    page.close()


def test_show_3_killing_tab_socket_web_and_redis_in_mid_typing_loses_no_character(web, new_context):
    """Mina's tab dies at the end, together with everything else; Theo's stays open and comes back by itself."""
    crew = people.assemble()
    Agent.objects.update(sight="all")
    ticket = says(crew, "Question").ticket
    path = f"/tickets/{ticket.pk}/"
    mina, theo = (
        enter(new_context, web.url, agent, path, script=WATCH_SOCKETS + SOON) for agent in (crew.agent, crew.teammate)
    )
    for page in (mina, theo):
        expect(page.locator("body")).to_have_attribute("data-live", "live")
        composer(page).click()
    written = ""

    def type_on(words: str) -> None:
        nonlocal written
        for page in (mina, theo):
            page.keyboard.type(words)
        written += words

    def compare(text: str, *, page: Page, typed: str) -> None:
        """The screen equals the database, and every character is there."""
        expect(page.locator("#thread-log")).to_contain_text(text, timeout=HEALED)
        shown = page.locator("#thread-log > [id^=message-]").evaluate_all(
            "all => all.map((one) => Number(one.id.slice(8)))"
        )
        assert shown == list(Message.objects.filter(ticket=ticket).order_by("pk").values_list("pk", flat=True))
        waiting = dict(Ticket.objects.filter(status__in=("new", "open")).values_list("pk", "snippet"))
        expect(page.locator("#list-content .row")).to_have_count(len(waiting))
        for pk, words in waiting.items():
            expect(page.locator(f"#ticket-row-{pk}")).to_contain_text(words)
        expect(composer(page)).to_have_value(typed)

    type_on("안녕하세요, the socket")
    for page in (mina, theo):
        page.evaluate("window.sockets.at(-1).close()")
    type_on(" dies")
    says(crew, "after the socket")
    for page in (mina, theo):
        compare("after the socket", page=page, typed=written)

    type_on(", Redis")
    web.kill_redis()
    type_on(" dies")
    says(crew, "without redis")
    for page in (mina, theo):
        compare("without redis", page=page, typed=written)
    web.start_redis()

    type_on(", the web process")
    web.process.kill()
    type_on(" dies and Redis once more")
    web.kill_redis()
    says(crew, "while nothing was there")
    says(crew, "a new one", who=scene.sender("Ara", phone="+821055550099"))
    compose(mina, "한")  # a syllable that is not finished yet
    kill_tab(mina)
    web.start_redis()
    web.start()
    compare("while nothing was there", page=theo, typed=written)
    mina = mina.context.new_page()
    mina.goto(f"{web.url}{path}")
    compare("while nothing was there", page=mina, typed=f"{written}한")
    for agent, text in ((crew.agent, f"{written}한"), (crew.teammate, written)):
        kept = Draft.objects.filter(ticket=ticket, agent=agent, text=text)
        wait_until(kept.exists, what="the draft on the server")


# -- Show 7: eight hours --------------------------------------------------------------------------------------------------------------


def test_show_7_five_thousand_events_grow_a_tab_by_less_than_thirty_megabytes(crew, new_context, live_server, figure):
    tickets = scene.many(crew, 60, now=timezone.now() - timedelta(hours=2))
    page = enter(new_context, live_server, crew.agent, f"/tickets/{tickets[0].pk}/", script=PLAYED_SOCKET)
    expect(page.locator("body")).to_have_attribute("data-live", "live")
    expect(composer(page)).to_be_visible()
    expect(page.locator("#rows > .row")).to_have_count(50)
    newest = (
        Event.objects.filter(ticket__isnull=False)
        .order_by("ticket", "-pk")
        .distinct("ticket")
        .values_list("pk", flat=True)
    )
    frames = [json.loads(live.render(loaded, "en")) for loaded in live.load(newest)]
    assert len(frames) == 60 and all(frame["html"]["row"] for frame in frames)
    page.evaluate("(frames) => { window.said = frames; }", frames)
    cdp = page.context.new_cdp_session(page)

    def heap() -> tuple[float, int]:
        cdp.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in cdp.send("Performance.getMetrics")["metrics"]}
        return float(metrics["JSHeapUsedSize"] / 1024**2), int(metrics["Nodes"])

    cdp.send("Performance.enable")

    def send(count: int) -> None:
        """So many events, fifty in a row before the browser can do anything else."""
        page.evaluate(
            """async (count) => {
              for (let i = 0; i < count; i += 1) {
                window.number = (window.number ?? Number(document.querySelector("live-feed").dataset.after)) + 1;
                window.wire.say({ ...window.said[window.number % window.said.length], id: window.number, at: Date.now() });
                if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve));
              }
            }""",
            count,
        )

    send(100)  # what is loaded once
    before, nodes_before = heap()
    for _ in range(10):
        send(500)
    after, nodes_after = heap()
    figure(
        f"5,000 events: heap {before:.1f} MB before, {after:.1f} MB after, {after - before:+.1f} MB;"
        f" nodes {nodes_before} -> {nodes_after}"
    )
    assert after - before < 30
    assert page.errors == []


def enter(new_context: Any, server: Any, agent: Any, path: str, *, script: str = "", own_clock: bool = False) -> Page:
    """This agent's browser, with a script that runs before all others. With `own_clock` the test turns the time."""
    client = Client()
    client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
    context = new_context()
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": str(server)}])
    if script:
        context.add_init_script(script)
    page = context.new_page()
    if own_clock:
        page.clock.install()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(f"{server}{path}")
    return page
