"""bin/bench [--sizes 10000,100000] [--rounds 5]: prints every row of the targets, with the spread, and memory."""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import functools
import io
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from bench.stage import Stage

# row -> (what, target in words, holds(value))
TARGETS: dict[str, tuple[str, str, Callable[[float], bool]]] = {
    "1": ("mail intake, one process: rate against R1", ">= 0.05 x R1", lambda v: v >= 0.05),
    "2": ("every mail twice, shuffled, four at once: doubles", "0", lambda v: v == 0),
    "3": ("queue fragment", "<= 25 x V", lambda v: v <= 25),
    "4": ("queue, whole page", "<= 80 x V", lambda v: v <= 80),
    "5": ("ticket with 50 messages", "<= 60 x V", lambda v: v <= 60),
    "6": ("8 clients at once: rate against one", ">= 1.6 x", lambda v: v >= 1.6),
    "6b": ("8 clients: 95th percentile against the single median", "<= 10 x", lambda v: v <= 10),
    "7": ("SQL statements of the queue", "<= 12", lambda v: v <= 12),
    "7b": ("SQL statements of the ticket", "<= 15", lambda v: v <= 15),
    "8": ("search, rare word", "<= 2 x queue", lambda v: v <= 2),
    "8b": ("search, word in 0.5 % of the messages", "<= 2 x queue", lambda v: v <= 2),
    "8c": ("search, word in 25 % of the messages", "<= 2 x queue", lambda v: v <= 2),
    "8d": ("search, Korean word with its particle", "<= 2 x queue", lambda v: v <= 2),
    "9": ("posting a reply against R1's latency", "<= 50 x", lambda v: v <= 50),
    "11": ("commit to the last of 1,000 sockets", "<= 3 x F", lambda v: v <= 3),
    "15": ("a rule tried on 500 tickets, a 2,500th, against a ticket", "<= 1 x row 5", lambda v: v <= 1),
}
SEARCHES = {"8": "heliotrope", "8b": "voucher", "8c": "order", "8d": "환불은"}  # bench/seed.py says them so often
FLAT = {"1": 0.9, "3": 1.2, "4": 1.2, "5": 1.2, "9": 1.2, "11": 1.2} | dict.fromkeys(
    SEARCHES, 1.3
)  # rate: at least; the others: at most

ROUTED = {"14": 10, "14b": 1000}  # row -> rules; from an accepted webhook to somebody, in milliseconds
IN_CHROMIUM = {"B1", "B2", "B3", "B4", "B5"}  # bench/browser.py: what an agent waits for, in milliseconds
MEMORY = "B6"  # and by how much a tab grows


def main() -> None:
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("--sizes", default="10000,100000", help="tickets in the database, comma separated")
    parser.add_argument("--rounds", type=int, default=5)
    every = [*TARGETS, *ROUTED, *sorted(IN_CHROMIUM), MEMORY]
    parser.add_argument(
        "--rows", default=",".join(every), help="rows to measure, comma separated; B1 to B5 come together"
    )
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    wanted = set(options.rows.split(","))
    if unknown := wanted - set(every):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    with Stage() as stage:
        results, missed = {}, set()
        screens: dict[int, dict[str, list[float]]] = {}
        from bench import browser, seed

        facts = seed.base()
        stage.start()
        time.sleep(3)
        before = stage.memory()
        for size in sizes:
            say(f"\n== {size:,} tickets ==")
            began = time.monotonic()
            seed.grow(upto=size)
            long = seed.long_ticket()
            say(f"seeded in {time.monotonic() - began:.0f} s")
            if wanted & set(ROUTED):
                route(stage, facts, rows_wanted=wanted)
            stage.quiet(on=True)
            found = asyncio.run(measure(stage, facts, long, rounds=options.rounds, rows_wanted=wanted))
            missed |= show(found)
            if wanted & IN_CHROMIUM:
                screens[size] = browser.measure(stage, facts["agents"][0])
                missed |= browser.show(screens[size])
            if MEMORY in wanted and size == max(sizes):
                missed |= browser.show_grown(*browser.grown(stage, facts["agents"][0]))
            stage.quiet(on=False)
            results[size] = found
        flat(results)
        if len(screens) > 1:
            browser.flat(screens[min(screens)], screens[max(screens)])
        time.sleep(8)  # the worker drains what the rounds left
        memory(before, stage.memory())
        for row in sorted(missed & set(PROFILES)):
            profile(row, facts, long)
        say(f"\n{len(missed)} row(s) miss their target: {', '.join(sorted(missed)) or 'none'}")


def route(stage: Stage, facts: dict[str, Any], *, rows_wanted: set[str]) -> None:
    """By the worker itself, with its processes as they are in production; the first few warm up and do not count."""
    from bench import rows

    channel = rows.a_phone(facts["brand"])
    say(f"{'row':>4}  {'median ms':>9}  {'p95 ms':>9}   what")
    for row, count in ROUTED.items():
        if row in rows_wanted:
            rows.a_rule_set(channel.team, count)
            took = sorted(rows.routing(stage.web, channel, count=45)[5:])
            median, p95 = (1000 * took[int(len(took) * share)] for share in (0.5, 0.95))
            say(f"{row:>4}  {median:9.1f}  {p95:9.1f}   from an accepted webhook to somebody, {count:,} rules")


async def measure(
    stage: Stage, facts: dict[str, Any], long: int, *, rounds: int, rows_wanted: set[str]
) -> dict[str, list[float]]:
    """The rows, interleaved round by round. Row -> its ratio in each round, and the raw seconds under `raw:`.

    The thousand sockets live in this process and would take part in every commit: they open after the other rows.
    The first round of all warms up and is thrown away.
    """
    from asgiref.sync import sync_to_async

    from bench import rows

    agent = facts["agents"][0]
    bare = await asyncio.to_thread(rows.Bare)
    web = await sync_to_async(rows.Web)(stage.web, agent)
    tickets = await sync_to_async(rows.seeded)()
    run = sync_to_async(thread_sensitive=True)
    acts: dict[str, Callable[[], float]] = {
        "R1": bare,
        "1": lambda: rows.intake(facts["channels"]["email"]),
        "9": lambda: rows.reply(tickets, agent),
        "V": lambda: web.timed("/bench/trivial/", count=60),
        "3": lambda: web.timed("/", fragment=True),
        "4": lambda: web.timed("/"),
        "5": lambda: web.timed(f"/tickets/{long}/", fragment=True),
        "15": lambda: rows.dry_run(agent, facts["team"]) / 2500,
    }
    for row, word in SEARCHES.items():
        if row in rows_wanted:
            path = f"/search/?{urlencode({'q': word})}"
            await run(rows.hits)(agent, path)
            acts[row] = functools.partial(web.timed, path, fragment=True)
    floors = {"1": "R1", "9": "R1", "3": "V", "4": "V", "5": "V", "6b": "3", "15": "5", **dict.fromkeys(SEARCHES, "3")}
    needed = rows_wanted | {floors[row] for row in rows_wanted if row in floors}
    needed |= {"V"} if needed & {"3", "5"} else set()
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for n in range(rounds + 1):
        took = {name: await run(act)() for name, act in acts.items() if name in needed}
        if needed & {"6", "6b"}:
            one, _ = await run(rows.crowd)(lambda: rows.Web(stage.web, agent), "/", clients=1)
            eight, took["6b"] = await run(rows.crowd)(lambda: rows.Web(stage.web, agent), "/", clients=8)
        if n == 0:
            continue
        for name, seconds in took.items():
            note(f"raw:{name}", seconds)
            if floor := floors.get(name):
                note(name, took[floor] / seconds if name == "1" else seconds / took[floor])
        if "6" in needed:
            note("6", eight / one)
    if "11" in needed:
        for seconds, bare_publish in await _fan_out(stage, tickets[0], facts["agents"], rounds=rounds):
            note("raw:11", seconds)
            note("raw:F", bare_publish)
            note("11", seconds / bare_publish)
    if "2" in needed:
        wanted, got = await run(rows.doubles)(facts["channels"]["email"])
        note("2", float(abs(got - wanted)))
    for row, path, fragment in (("7", "/", False), ("7b", f"/tickets/{long}/", True)):
        if row in needed:
            note(row, float(await run(rows.statements)(agent, path, fragment=fragment)))
    return found


async def _fan_out(stage: Stage, ticket: Any, agents: list[Any], *, rounds: int) -> list[tuple[float, float]]:
    """Each round: (from a commit to the last of a thousand sockets, a bare PUBLISH to as many subscribers)."""
    from asgiref.sync import sync_to_async

    from bench import rows

    sockets = await sync_to_async(rows.Sockets)(stage.live, stage.web, agents)
    subscribers = rows.Subscribers()
    await sockets.open()
    await subscribers.open()
    await asyncio.sleep(2)
    pairs = []
    for n in range(rounds + 1):
        bare = statistics.median([await subscribers.publish() for _ in range(5)])
        ours = [await sockets.fan_out(ticket, agents[0], 1 + k % 2) for k in range(2 * n, 2 * n + 6)]
        pairs.append((statistics.median(ours), bare))
    await sockets.close()
    await subscribers.close()
    return pairs[1:]


def show(found: dict[str, list[float]]) -> set[str]:
    """Print the rows; returns those that miss their target."""
    missed = set()
    for name in ("R1", "V", "F"):
        values = found.get(f"raw:{name}")
        if values is None:
            continue
        say(
            f"{name:>4}  {statistics.median(values) * 1000:9.3f} ms   ({min(values) * 1000:.3f} - {max(values) * 1000:.3f})"
        )
    say(f"{'row':>4}  {'ratio':>9}   {'spread':<19} {'target':<14} {'ms':>9}  what")
    for row, (what, target, holds) in TARGETS.items():
        if row not in found:
            continue
        values = found[row]
        median = statistics.median(values)
        seconds = found.get(f"raw:{row}")
        shown = f"{statistics.median(seconds) * 1000:9.2f}" if seconds else " " * 9
        verdict = "" if holds(median) else "   MISSED"
        if verdict:
            missed.add(row)
        say(
            f"{row:>4}  {median:9.3f}   {f'({min(values):.3f} - {max(values):.3f})':<19} {target:<14} {shown}  {what}{verdict}"
        )
    return missed


def flat(results: dict[int, dict[str, list[float]]]) -> None:
    """How much the largest size costs against the smallest: the claim that no noise can hide."""
    small, large = min(results), max(results)
    if small == large:
        return
    say(f"\n== {large:,} against {small:,} tickets ==")
    for row, bound in FLAT.items():
        if row not in results[large]:
            continue
        factor = statistics.median(results[large][row]) / statistics.median(results[small][row])
        holds = factor >= bound if row == "1" else factor <= bound
        sign = ">=" if row == "1" else "<="
        say(f"{row:>4}  {factor:6.2f} x   (wanted {sign} {bound})  {TARGETS[row][0]}{'' if holds else '   MISSED'}")
    for row in {"7", "7b"} & set(results[large]):
        same = results[large][row] == results[small][row]
        say(f"{row:>4}  {'the same number' if same else 'DIFFERS'}  {TARGETS[row][0]}")


def memory(before: dict[str, float], after: dict[str, float]) -> None:
    say("\n== memory, MB (shared pages counted once) ==")
    for name, then in before.items():
        say(f"{name:>10}  {then:7.0f} after the start  {after.get(name, 0):7.0f} after the run")
    say(f"{'all':>10}  {sum(before.values()):7.0f}                  {sum(after.values()):7.0f}")


def _profile_page(path: str, fragment: bool) -> Callable[[dict[str, Any], int], Callable[[], Any]]:
    def prepare(facts: dict[str, Any], long: int) -> Callable[[], Any]:
        from bench import rows

        client = rows.inside(facts["agents"][0], fragment=fragment)
        address = path.format(long=long)
        client.get(address)
        return lambda: [client.get(address) for _ in range(10)]

    return prepare


def _profile_intake(facts: dict[str, Any], long: int) -> Callable[[], Any]:
    from bench import rows

    return lambda: rows.intake(facts["channels"]["email"], 30)


def _profile_reply(facts: dict[str, Any], long: int) -> Callable[[], Any]:
    from bench import rows
    from tickets.models import Channel

    Channel.objects.update(disconnected_at=None)  # the worker has found meanwhile that nobody answers there
    return lambda: rows.reply(rows.seeded(), facts["agents"][0])


PROFILES: dict[str, Callable[[dict[str, Any], int], Callable[[], Any]]] = {
    "1": _profile_intake,
    "3": _profile_page("/", True),
    "4": _profile_page("/", False),
    "5": _profile_page("/tickets/{long}/", True),
    "6": _profile_page("/", True),  # eight clients share the cores: it is the page's own time that they wait for
    "6b": _profile_page("/", True),
    "9": _profile_reply,
    **{row: _profile_page(f"/search/?{urlencode({'q': word})}", True) for row, word in SEARCHES.items()},
}


def profile(row: str, facts: dict[str, Any], long: int) -> None:
    """Where the time of a missed row goes."""
    act = PROFILES[row](facts, long)
    recorder = cProfile.Profile()
    recorder.runcall(act)
    text = io.StringIO()
    pstats.Stats(recorder, stream=text).sort_stats("tottime").print_stats(18)
    say(f"\n== profile of row {row}: {TARGETS[row][0]} ==")
    say("\n".join(line for line in text.getvalue().splitlines()[4:] if line.strip()))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
