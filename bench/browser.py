"""What an agent waits for, in Chromium: from the key or the mouse to the picture, median and 75th percentile.

Each time is taken inside the page: from the moment of the event itself to the first frame that was painted after the
change. `T` is a trivial page of the same server, fetched by the same browser right beside each row. `B6` is what a day does
to the memory of a tab.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from bench.stage import Stage, pss
from tickets import actions
from tickets.models import Ticket
from tickets.models.event import by_agent

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SAMPLES = 15
TARGETS = {  # row -> (what, milliseconds at the 75th percentile)
    "B1": ("J in the list: the next row is marked", 50),
    "B2": ("I on a ticket: it is assigned to me", 50),
    "B3": ("J on a ticket: the next one, prefetched", 100),
    "B4": ("a click: a ticket that nobody foresaw", 300),
    "B5": ("a search: its first results", 250),
}
FLAT = 1.2  # the largest size against the smallest
# B6: how many pass before the first look (a fresh tab takes its working memory once), then while it stays open, and the
# MB by which it may grow meanwhile.
SETTLED, EVENTS, MOST_GROWTH = 1000, 5000, 30.0

# `__watch(type, done)`: the next event of this type starts the clock; a painted frame after done() is true stops it.
CLOCK = """
window.__watch = (type, done) => new Promise((resolve, reject) => {
  let began = null;
  addEventListener(type, (event) => { began ??= event.timeStamp; }, { capture: true, once: true });
  const giveUp = setTimeout(() => { watcher.disconnect(); reject(new Error(`${type}: nothing came`)); }, 20000);
  const look = () => {
    if (began === null || !done()) return;
    watcher.disconnect();
    clearTimeout(giveUp);
    requestAnimationFrame(() => scheduler.postTask(() => resolve(performance.now() - began), { priority: "user-blocking" })); // before what waits for the picture
  };
  const watcher = new MutationObserver(look);
  watcher.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
});
"""
ASKING = """
window.__asking = 0;
const ask = window.fetch;
window.fetch = (...what) => {
  window.__asking += 1;
  return ask(...what).finally(() => { window.__asking -= 1; window.__askedAt = performance.now(); });
};
"""
SOCKETS_ELSEWHERE = """
const Socket = WebSocket;
window.__newest = 0;
window.WebSocket = class extends Socket {
  constructor(url, ...more) {
    super(String(url).replace(":%(web)s/", ":%(live)s/"), ...more);
    this.addEventListener("message", ({ data }) => { window.__newest = Math.max(window.__newest, Number(/^{"type":"event","id":(\\d+)/.exec(data)?.[1] ?? 0)); });
  }
};
"""


def measure(stage: Stage, agent: Agent, *, samples: int = SAMPLES) -> dict[str, list[float]]:
    """Row -> its milliseconds, one for each sample; `T:<row>` is the trivial page, right before and after that row."""
    found = {}
    with desk(stage, agent) as page:
        for row, act in ACTS.items():
            before = _trivial(page, samples)
            found[row] = act(page, samples)
            found[f"T:{row}"] = before + _trivial(page, samples)
    return found


def grown(stage: Stage, agent: Agent, *, events: int = EVENTS) -> tuple[float, float]:
    """MB by which a tab grows while so many events pass: its scripts' heap, and its whole process.

    Each is a commit, told by the live process to this tab; every fiftieth is about the ticket that is open in it.
    """
    with desk(stage, agent) as page:
        page.locator(".row__link").first.click()
        page.wait_for_selector("#composer-text")
        _settle(page)
        opened = Ticket.objects.get(pk=int(page.evaluate("document.querySelector('#ticket').dataset.ticket")))
        others = list(Ticket.objects.filter(status="open").order_by("-updated_at")[:200])
        _pass(page, [opened, *others], by=agent, count=SETTLED)
        heap, process = _memory(page)
        _pass(page, [opened, *others], by=agent, count=events)
        heap_after, process_after = _memory(page)
        return heap_after - heap, process_after - process


def _pass(page: Any, tickets: list[Ticket], *, by: Agent, count: int) -> None:
    """So many changes of tickets, of which the first is on the screen; until the tab has heard of the last one."""
    opened, *others = tickets
    for n in range(count):
        ticket = opened if n % 50 == 0 else others[n % len(others)]
        event = actions.set_priority(ticket, 1 + ticket.priority % 4, by=by_agent(by), now=timezone.now())
        ticket.priority = 1 + ticket.priority % 4
    page.wait_for_function(f"() => window.__newest >= {event.pk}", timeout=120_000)
    page.wait_for_timeout(1000)
    _settle(page)


def _memory(page: Any) -> tuple[float, float]:
    """MB of the scripts' heap and of the tab's process, after a collection."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("HeapProfiler.collectGarbage")
    cdp.send("Memory.simulatePressureNotification", {"level": "critical"})
    page.wait_for_timeout(2000)
    cdp.send("HeapProfiler.collectGarbage")
    cdp.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in cdp.send("Performance.getMetrics")["metrics"]}
    cdp.detach()
    whole = page.context.browser.new_browser_cdp_session()
    processes = whole.send("SystemInfo.getProcessInfo")["processInfo"]
    whole.detach()
    return metrics["JSHeapUsedSize"] / 1024**2, sum(
        pss(one["id"]) for one in processes if one["type"] == "renderer"
    ) / 1024


@contextmanager
def desk(stage: Stage, agent: Agent) -> Iterator[Any]:
    """A tab in which this agent looks at all tickets."""
    from playwright.sync_api import sync_playwright

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright runs a loop in this thread
    client = Client()
    client.force_login(agent)
    name = settings.SESSION_COOKIE_NAME
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        # The sockets are another process here, without a proxy before both: hence no policy about where one connects.
        context = browser.new_context(viewport={"width": 1440, "height": 900}, bypass_csp=True, service_workers="block")
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": stage.web}])
        ports = {"web": stage.web.rpartition(":")[2], "live": stage.live.rpartition(":")[2]}
        context.add_init_script(SOCKETS_ELSEWHERE % ports + CLOCK + ASKING)
        page = context.new_page()
        page.goto(f"{stage.web}/views/all/")
        page.wait_for_selector("body[data-live=live]", state="attached")
        _settle(page)
        yield page
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def _trivial(page: Any, samples: int) -> list[float]:
    once = """async () => { const began = performance.now(); await (await fetch("/bench/trivial/", { cache: "no-store" })).text();
      return performance.now() - began; }"""
    return [page.evaluate(once) for _ in range(samples * 3)]


def _timed(page: Any, event: str, done: str, act: Callable[[], Any]) -> float:
    page.evaluate(f"window.__took = window.__watch('{event}', () => {done}); 0")
    act()
    took = float(page.evaluate("window.__took"))
    _settle(page)
    return took


def _settle(page: Any) -> None:
    """Wait until nothing has been asked for a while: what follows a moment later, such as the next prefetch, is there."""
    page.evaluate("window.__askedAt = performance.now(); 0")
    page.wait_for_function("() => !window.__asking && performance.now() - window.__askedAt > 500", polling=50)


def _mark_next(page: Any, samples: int) -> list[float]:
    took = []
    for _ in range(samples):
        was = page.evaluate("document.querySelector('.row.is-cursor')?.dataset.ticket ?? ''")
        done = f"(document.querySelector('.row.is-cursor')?.dataset.ticket ?? '') !== '{was}'"
        took.append(_timed(page, "keydown", done, lambda: page.keyboard.press("j")))
    return took


def _take(page: Any, samples: int) -> list[float]:
    took = []
    name = page.evaluate("document.querySelector('.rail [popovertarget=me-menu] ~ #me-menu .menu__title').textContent")
    for _ in range(samples):
        _open_next(page)
        done = f"document.querySelector('#property-assignee-button').textContent.includes({name!r})"
        if not page.evaluate(done):
            took.append(_timed(page, "keydown", done, lambda: page.keyboard.press("i")))
    return took


def _next_ticket(page: Any, samples: int) -> list[float]:
    _open_next(page)
    return [_open_next(page) for _ in range(samples)]


def _open_next(page: Any) -> float:
    """From the open ticket with J, else the marked row with Enter."""
    was = page.evaluate("document.querySelector('#ticket')?.dataset.ticket ?? ''")
    done = f"(document.querySelector('#ticket')?.dataset.ticket ?? '{was}') !== '{was}'"
    return _timed(page, "keydown", done, lambda: page.keyboard.press("j" if was else "Enter"))


def _cold(page: Any, samples: int) -> list[float]:
    """Rows that are neither open nor beside what was: every third one, from the top of the list."""
    page.goto(page.url.split("/tickets/")[0].split("/views/")[0] + "/views/all/")
    page.wait_for_selector("body[data-live=live]", state="attached")
    _settle(page)
    took = []
    for n in range(samples):
        ids = page.evaluate("[...document.querySelectorAll('.row')].map((row) => row.dataset.ticket)")
        ticket = ids[(3 * n + 3) % len(ids)]
        row = page.locator(f".row[data-ticket='{ticket}'] .row__link")
        row.scroll_into_view_if_needed()
        box = row.bounding_box()
        page.mouse.move(box["x"] + 120, box["y"] + 10)
        done = f"document.querySelector('#ticket')?.dataset.ticket === '{ticket}'"

        def press() -> None:
            page.mouse.down()
            page.mouse.up()

        took.append(_timed(page, "pointerdown", done, press))
    return took


def _search(page: Any, samples: int) -> list[float]:
    """A page full of hits, never asked for before, and Enter without a pause that could fetch it in advance."""
    took = []
    for n in range(samples):
        page.keyboard.press("Escape")
        _settle(page)  # the list is there again
        page.keyboard.press("/")
        page.wait_for_selector("query-box input:focus")
        page.keyboard.press("Control+a")
        page.keyboard.type(f"order -{1000 + n}")
        done = f"document.querySelector('#list-facts')?.textContent.includes('{1000 + n}') && document.querySelector('#list-content .row')"
        took.append(_timed(page, "keydown", done, lambda: page.keyboard.press("Enter")))
    return took


ACTS: dict[str, Callable[[Any, int], list[float]]] = {
    "B1": _mark_next,
    "B3": _next_ticket,
    "B2": _take,
    "B4": _cold,
    "B5": _search,
}


def show(found: dict[str, list[float]]) -> set[str]:
    """Print the rows beside the trivial page. Returns those that miss their target."""
    trivial = [took for row in TARGETS for took in found[f"T:{row}"]]
    _say(
        f"\n  in Chromium; a trivial page: {statistics.median(trivial):.1f} ms, 75 % within {_p75(trivial):.1f} ms; beside each row:"
    )
    _say(f"{'row':>4}  {'median':>8}  {'75 %':>8}  {'target':>8}  {'x trivial':>9}  what")
    missed = set()
    for row, (what, target) in TARGETS.items():
        values = found[row]
        verdict = "" if _p75(values) <= target else "   MISSED"
        missed |= {row} if verdict else set()
        _say(
            f"{row:>4}  {statistics.median(values):8.1f}  {_p75(values):8.1f}  {target:8d}"
            f"  {_against_trivial(found, row):9.1f}  {what} (n = {len(values)}){verdict}"
        )
    return missed


def show_grown(heap: float, process: float) -> set[str]:
    """Print B6. Returns it when it misses its target."""
    verdict = "" if max(heap, process) < MOST_GROWTH else "   MISSED"
    _say(
        f"  B6  scripts {heap:+.1f} MB, whole tab {process:+.1f} MB   (wanted < {MOST_GROWTH:g})  {EVENTS:,} events pass{verdict}"
    )
    return {"B6"} if verdict else set()


def flat(small: dict[str, list[float]], large: dict[str, list[float]]) -> None:
    for row, (what, _target) in TARGETS.items():
        clock = statistics.median(large[row]) / statistics.median(small[row])
        factor = _against_trivial(large, row) / _against_trivial(small, row)
        verdict = "" if factor <= FLAT else "   MISSED"
        _say(f"{row:>4}  {factor:6.2f} x   (wanted <= {FLAT}; by the clock {clock:.2f} x)  {what}{verdict}")


def _against_trivial(found: dict[str, list[float]], row: str) -> float:
    """So that a machine that was slower for a minute is not taken for a slower row."""
    return statistics.median(found[row]) / statistics.median(found[f"T:{row}"])


def _p75(values: list[float]) -> float:
    return statistics.quantiles(values, n=4, method="inclusive")[2] if len(values) > 1 else values[0]


def _chromium() -> str:
    import shutil

    for name in filter(None, (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")):
        if path := shutil.which(name):
            return path
    raise SystemExit("No Chromium: install it, or set CHROMIUM to its path.")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
