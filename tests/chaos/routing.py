"""bin/chaos routing [--tickets 10000] [--agents 50] [--faults worker,redis,slot]: people come and go, workers die.

Random skills, presence, answers and tickets that are given by hand, four worker processes. These let one of them drain
at a time; four rivals decide beside it without that lock, so that it is not what the invariants hang on. Prints every
invariant, and at last `N passed, M failed`.
"""

from __future__ import annotations

import argparse
import time
from random import Random

from tests.chaos.run import QUIET, STUCK, conclude, of_stage, say
from tests.chaos.stage import LISTED, Stage
from tests.chaos.verdict import Verdict

FAULTS = "worker,redis,slot"
SLOTS = 4  # processes of the worker
HANDS = 2  # threads in which the agents finish their tickets
RIVALS = 4  # sessions that decide beside the drain of the workers
KINDS = sorted({*LISTED, "redis", "slot"})


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/chaos routing", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tickets", type=int, default=10_000)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=2, help="how long the tickets take to come in")
    parser.add_argument("--faults", default=FAULTS, help=f"in order, of: {', '.join(KINDS)}")
    parser.add_argument("--keep", action="store_true", help="leave the logs and the database")
    options = parser.parse_args()
    faults = [name for name in options.faults.split(",") if name]
    if unknown := set(faults) - set(KINDS):
        parser.error(f"unknown faults: {', '.join(sorted(unknown))}")
    with Stage(keep=options.keep, slots=SLOTS) as stage:
        failed = play(
            stage, Random(options.seed), tickets=options.tickets, agents=options.agents, faults=faults,
            span=options.minutes * 60,
        )  # fmt: skip
    return 1 if failed else 0


def play(stage: Stage, random: Random, *, tickets: int, agents: int, faults: list[str], span: float) -> int:
    """The whole run on a stage. Returns how many invariants failed."""
    stage.start()
    import django

    django.setup()
    from django.db import connection

    from tests.chaos import history
    from tests.chaos.crowd import Crowd, Day, arrivals

    with connection.cursor() as cursor:
        cursor.execute(history.STAMP)
    crowd = Crowd(random, agents=agents)
    coming = arrivals(random, tickets)
    say(f"{tickets} tickets come to {agents} people within {span:g} s, {SLOTS} worker processes")
    began = time.monotonic()
    day = Day(crowd, coming, span=span, hands=HANDS, rivals=RIVALS)
    try:
        for n, what in enumerate(faults):
            _until_given(tickets * (n + 1) // (len(faults) + 1))
            stage.break_(what, at_work=deciding)
            say(f"{time.monotonic() - began:6.1f} s  {given()} were given; kill -9 {what}, and it is back")
        day.arriving.result()
        say(
            f"{time.monotonic() - began:6.1f} s  all have come, {given()} were given, {day.handed_on} by hand, {day.solved} finished"
        )
        crowd.everybody_comes()
        drained = _until_placed()
        say(f"{time.monotonic() - began:6.1f} s  {'all are placed' if drained else 'something is not placed'}")
    finally:
        day.end()
    time.sleep(QUIET)
    verdicts = history.check()
    say(f"        {history.figures()}")
    faulty = sorted({f"{type(fault).__name__}: {fault}" for fault in day.faults})
    return conclude(
        stage,
        [
            Verdict("nobody who answered, came or went saw an error", not faulty, "; ".join(faulty[:3])),
            Verdict("people gave tickets to each other by hand meanwhile", day.handed_on > 0),
            history.side_by_side(at_least=RIVALS),
            *of_stage(stage, faults=len(faults)),
            *verdicts,
        ],
    )


def deciding() -> bool:
    """Whether a worker stands in the middle of a transaction that decides: nobody else reads decisions meanwhile."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND xact_start IS NOT NULL AND query LIKE '%tickets_routingdecision%')"
        )
        return cursor.fetchone()[0]


def given() -> int:
    """How many tickets somebody has or had."""
    from tickets.models import Ticket

    return Ticket.objects.filter(assignee__isnull=False).count()


def _until_given(wanted: int) -> None:
    """Or until nothing has happened for STUCK seconds."""
    seen, since = given(), time.monotonic()
    while seen < wanted and time.monotonic() - since < STUCK:
        time.sleep(0.5)
        if (now_seen := given()) != seen:
            seen, since = now_seen, time.monotonic()


def _until_placed() -> bool:
    """False when something is left, and nothing happened for STUCK seconds."""
    from tests.chaos.crowd import unplaced

    left, since = unplaced(), time.monotonic()
    while left and time.monotonic() - since < STUCK:
        time.sleep(0.5)
        if (now_left := unplaced()) != left:
            left, since = now_left, time.monotonic()
    return not left
