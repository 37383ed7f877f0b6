"""bin/chaos [--seed 1] [--events 2000] [--minutes 1] [--faults worker,redis,...]: breaks things while messages come in.

Prints every invariant, and at last `N passed, M failed`; ends with 1 when one failed.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence

from tests.chaos.plan import Plan, make
from tests.chaos.stage import LISTED, Stage
from tests.chaos.verdict import Verdict

FAULTS = "worker,worker,redis,worker"
STUCK = 180.0  # seconds without progress after which what is left is stuck; longer than a lease
WORKED = 20  # messages that a worker has finished before it is killed
QUIET = 6.0  # seconds: longer than the interval of a sweep


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=2000, help="messages; one in ten comes twice")
    parser.add_argument("--minutes", type=float, default=1, help="how long they take to come in")
    parser.add_argument("--faults", default=FAULTS, help=f"in order, of: {', '.join(sorted({*LISTED, 'redis'}))}")
    parser.add_argument("--keep", action="store_true", help="leave the logs and the database")
    options = parser.parse_args()
    faults = [name for name in options.faults.split(",") if name]
    if unknown := set(faults) - {*LISTED, "redis"}:
        parser.error(f"unknown faults: {', '.join(sorted(unknown))}")
    plan = make(seed=options.seed, events=options.events, faults=faults)
    say(
        f"seed {plan.seed}: {len(plan.said)} messages in {len(plan.lanes)} conversations,"
        f" {plan.doubled} come twice, {plan.swapped} in the wrong order"
    )
    with Stage(keep=options.keep) as stage:
        failed = play(plan, stage, span=options.minutes * 60)
    return 1 if failed else 0


def play(plan: Plan, stage: Stage, *, span: float) -> int:
    """The whole run on a stage. Returns how many invariants failed."""
    stage.start()
    import django

    django.setup()
    from tests.chaos import invariants
    from tests.chaos.driver import Driver
    from tests.chaos.world import Calls, build

    driver = Driver(stage.address, plan, span=span, folder=stage.folder)
    calls = Calls(plan, build(), transport=driver.ask)
    began = time.monotonic()
    fallen: list[BaseException] = []

    def send() -> None:
        try:
            driver.run(calls)
        except BaseException as fault:
            fallen.append(fault)

    sending = threading.Thread(target=send)
    sending.start()
    at_work = AtWork()
    for fault in plan.faults:
        while driver.share < fault.at and sending.is_alive():
            time.sleep(0.02)
        stage.break_(fault.what, at_work=at_work)
        at_work.again()
        say(f"{time.monotonic() - began:6.1f} s  {driver.share:4.0%} accepted  kill -9 {fault.what}, and it is back")
    sending.join()
    if fallen:
        raise fallen[0]
    accepted_at = time.monotonic() - began
    say(f"{accepted_at:6.1f} s  {driver.share:4.0%} accepted; answers: {dict(driver.answers)}")
    drained = drain()
    say(f"{time.monotonic() - began:6.1f} s  {'nothing is left' if drained else 'something is left'}; {figures()}")
    time.sleep(QUIET)
    accepted = Verdict(
        "the providers got every message accepted",
        len(driver.ledger) == len(plan.said) and not driver.given_up,
        ", ".join(driver.given_up[:3]),
    )
    return conclude(stage, [accepted, *of_stage(stage, faults=len(plan.faults)), *invariants.check(driver.ledger)])


def of_stage(stage: Stage, *, faults: int) -> list[Verdict]:
    """What every run must show: that its faults happened, and that nothing else broke."""
    hits = ", ".join(f"{n} x {what}" for what, n in Counter(stage.hits).items())
    needless = stage.needless_restarts()
    return [
        Verdict(
            f"the faults happened: {hits or 'none'}",
            not stage.misses and len(stage.hits) == faults,
            ", ".join(stage.misses),
        ),
        Verdict("the watchdog took no busy worker for a stuck one", not needless, "; ".join(needless)),
    ]


def conclude(stage: Stage, verdicts: Sequence[Verdict]) -> int:
    """Print what the logs complain of, every verdict, and how many hold. Returns how many do not."""
    for line, count in sorted(stage.log_errors().items()):
        say(f"        log: {count} x {line}")
    for verdict in verdicts:
        say(str(verdict))
    failed = sum(not verdict.passed for verdict in verdicts)
    if failed or stage.keep:
        stage.keep = True
        say(f"logs and database: {stage.folder}")
    say(f"{len(verdicts) - failed} passed, {failed} failed")
    return failed


class AtWork:
    """Whether the worker is in the middle of its work: it has finished a good deal since the last time, and holds a claim.

    Only a claim of the last second counts; an older one may be that of a worker who is dead already.
    """

    def __init__(self) -> None:
        self.before = 0

    def __call__(self) -> bool:
        from datetime import timedelta

        from django.db.models.functions import Now

        from channels_in.models import RawEvent
        from tickets.queue import RAW_EVENTS

        finished = RawEvent.objects.filter(outcome__isnull=False).count()
        if finished < self.before + WORKED:
            return False
        fresh = Now() + timedelta(seconds=RAW_EVENTS.lease - 1)
        return RawEvent.objects.filter(state=RawEvent.State.PROCESSING, lease_until__gt=fresh).exists()

    def again(self) -> None:
        from channels_in.models import RawEvent

        self.before = RawEvent.objects.filter(outcome__isnull=False).count()


def drain() -> bool:
    """Wait until nothing is left to do. False when something is, and nothing happened for STUCK seconds."""
    left, since = in_progress(), time.monotonic()
    while left and time.monotonic() - since < STUCK:
        time.sleep(0.2)
        if (now_left := in_progress()) != left:
            left, since = now_left, time.monotonic()
    return not left


def in_progress() -> int:
    from django.utils import timezone

    from channels_in.models import RawEvent
    from tickets.models import Ticket

    unfinished = RawEvent.objects.filter(outcome__isnull=True).count()
    return unfinished + Ticket.objects.filter(routing_due_at__lte=timezone.now()).count()


def figures() -> str:
    """How long a message took from its acceptance, and what the dead workers left to others."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(ARRAY[0.5, 0.95, 1]) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - received_at)),"
            " count(*) FILTER (WHERE attempts > 1) FROM channels_in_rawevent"
        )
        to_ticket, taken_over = cursor.fetchone()
        cursor.execute(
            "SELECT percentile_cont(ARRAY[0.5, 0.95, 1]) WITHIN GROUP (ORDER BY extract(epoch FROM d.at - t.created_at))"
            " FROM tickets_routingdecision d JOIN tickets_ticket t ON t.id = d.ticket_id"
        )
        (to_person,) = cursor.fetchone()
    spans = [
        f"{what} {', '.join(f'{span:.1f}' for span in found or ())}"
        for what, found in (("to a ticket", to_ticket), ("from there to a person", to_person))
    ]
    return f"seconds (median, p95, longest) {'; '.join(spans)}; {taken_over} claims were taken over"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
