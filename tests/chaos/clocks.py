"""bin/chaos clocks [--clocks 50000] [--faults worker,worker]: all deadlines within one minute, while workers die.

Prints how late the breaches were written and what a sweep reads, every invariant, and at last `N passed, M failed`.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime, timedelta
from typing import Any

from tests.chaos.run import QUIET, STUCK, conclude, of_stage, say
from tests.chaos.stage import LISTED, Stage
from tests.chaos.verdict import Verdict, judge

SPAN = 60.0  # seconds within which all are due
CLOSED = 4  # promises of the past on each ticket
PER_CUSTOMER = 10  # tickets
LEAD, EACH = 30.0, 1 / 1000  # seconds from the beginning of the seeding to the first deadline, and for each clock more
DEEPER = 20  # pages that a sweep may read more because an index has a level more

SEED = (
    """INSERT INTO tickets_customer (name, language, time_zone, tier, organisation, attributes, preferred_channel, notes, blocked)
       SELECT 'Customer ' || n, 'en', '', '', '', '{}', '', '', false FROM generate_series(1, %(customers)s) n""",
    """INSERT INTO tickets_ticket (number, brand_id, customer_id, subject, status, priority, team_id, assignee_id, language,
         fields, last_seq, trusts_unverified, first_channel_id, last_channel_id, last_direction, snippet, waiting_since,
         created_at, updated_at)
       SELECT nextval('ticket_number'), %(brand)s, c.ids[1 + n %% %(customers)s], '', 'open', 2, %(team)s,
         (%(agents)s)[1 + n %% %(staff)s], 'en', '{}', 0, false, %(channel)s, %(channel)s, 'in', '', %(past)s, %(past)s, %(past)s
       FROM generate_series(1, %(clocks)s) n, (SELECT array_agg(id) AS ids FROM tickets_customer) c""",
    """INSERT INTO tickets_slaclock (ticket_id, metric, cycle, policy_id, policy_version, calendar_id, calendar_version,
         seconds, business, warn_percents, pauses_in, started_at, due_at, state, version)
       SELECT id, 'next_reply', 100, %(policy)s, 1, %(calendar)s, 1, 3600, true, '{50}', '{}', %(past)s,
         %(first)s + random() * interval '1 second' * %(span)s, 'running', 1 FROM tickets_ticket""",
    """INSERT INTO tickets_slasegment (clock_id, kind, starts_at) SELECT id, 'running', started_at FROM tickets_slaclock""",
    """INSERT INTO tickets_slawarning (clock_id, percent, due_at, fired_at) SELECT id, 50, %(past)s, %(past)s FROM tickets_slaclock""",
    "CREATE TABLE chaos_deadline AS SELECT id AS clock_id, due_at FROM tickets_slaclock",
)
# What nobody waits for any more: the trigger would look each of them up.
PAST = (
    "ALTER TABLE tickets_slaclock DISABLE TRIGGER note_next_due",
    """INSERT INTO tickets_slaclock (ticket_id, metric, cycle, policy_id, policy_version, calendar_id, calendar_version,
         seconds, business, warn_percents, pauses_in, started_at, due_at, state, ended_at, breached_at, version)
       SELECT t.id, 'next_reply', n, %(policy)s, 1, %(calendar)s, 1, 3600, true, '{50}', '{}', %(past)s, %(past)s,
         CASE WHEN n %% 4 = 0 THEN 'cancelled' ELSE 'met' END, %(past)s, CASE WHEN n %% 2 = 0 THEN %(past)s END, 2
       FROM tickets_ticket t, generate_series(1, %(closed)s) n""",
    "ALTER TABLE tickets_slaclock ENABLE TRIGGER note_next_due",
)
# An event says when its sweep began; how late it is, is told by when its row was written.
STAMP = "ALTER TABLE tickets_event ADD COLUMN written_at timestamptz DEFAULT clock_timestamp()"

WRITTEN = "(SELECT *, (particulars->>'clock')::bigint AS clock_id FROM tickets_event WHERE kind = 'sla_breached')"
# name -> the rows that break it
INVARIANTS = {
    "C1 every deadline is written on its clock": """
        SELECT d.clock_id, d.due_at, c.breached_at FROM chaos_deadline d JOIN tickets_slaclock c ON c.id = d.clock_id
         WHERE c.breached_at IS NULL OR c.breached_at < d.due_at OR c.due_at <> d.due_at OR c.state <> 'running'""",
    "C2 each breach stands in the log once": f"""
        SELECT d.clock_id, count(e.id) FROM chaos_deadline d LEFT JOIN {WRITTEN} e ON e.clock_id = d.clock_id
         GROUP BY d.clock_id HAVING count(e.id) <> 1""",
    "C3 the log says what the clock says": f"""
        SELECT e.id, e.at, c.breached_at FROM {WRITTEN} e JOIN tickets_slaclock c ON c.id = e.clock_id
          JOIN tickets_ticket t ON t.id = c.ticket_id
         WHERE e.at <> c.breached_at OR e.ticket_id <> t.id OR e.customer_id <> t.customer_id
            OR (e.particulars->>'late_seconds')::int <> floor(extract(epoch FROM c.breached_at - c.due_at))""",
    "C4 nothing else was breached": f"""
        SELECT 'event' AS what, e.id FROM {WRITTEN} e
         WHERE NOT EXISTS (SELECT 1 FROM chaos_deadline d WHERE d.clock_id = e.clock_id)
        UNION ALL
        SELECT 'clock', c.id FROM tickets_slaclock c WHERE c.state <> 'running'
           AND (c.breached_at >= (SELECT min(due_at) FROM chaos_deadline) OR c.version <> 2)""",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/chaos clocks", description=__doc__)
    parser.add_argument("--clocks", type=int, default=50_000)
    parser.add_argument(
        "--faults", default="worker,worker", help=f"in order, of: {', '.join(sorted({*LISTED, 'redis'}))}"
    )
    parser.add_argument("--keep", action="store_true", help="leave the logs and the database")
    options = parser.parse_args()
    faults = [name for name in options.faults.split(",") if name]
    if unknown := set(faults) - {*LISTED, "redis"}:
        parser.error(f"unknown faults: {', '.join(sorted(unknown))}")
    with Stage(keep=options.keep) as stage:
        failed = play(stage, clocks=options.clocks, faults=faults)
    return 1 if failed else 0


def play(stage: Stage, *, clocks: int, faults: list[str]) -> int:
    """The whole run on a stage. Returns how many invariants failed."""
    stage.start()
    import django

    django.setup()
    from django.db import connection
    from django.utils import timezone

    from tests.explained import work_of
    from tickets.sla import clocks as sla

    first = timezone.now() + timedelta(seconds=LEAD + clocks * EACH)
    facts = world(clocks=clocks, first=first, span=SPAN)
    with connection.cursor() as cursor:
        cursor.execute(STAMP)
        run(cursor, SEED, facts)
        few = work_of(lambda: sla.sweep(now=timezone.now()))
        run(cursor, PAST, facts)
        many = work_of(lambda: sla.sweep(now=timezone.now()))
    early = (first - timezone.now()).total_seconds()
    say(f"{clocks} clocks are due within {SPAN:g} s from {first:%H:%M:%S}, {clocks * CLOSED} are closed")
    for n, what in enumerate(faults):
        _sleep_until(first + timedelta(seconds=SPAN * (n + 1) / (len(faults) + 1)))
        stage.break_(what, at_work=in_a_sweep)
        say(f"{_since(first):6.1f} s  {left()} are not written; kill -9 {what}, and it is back")
    _sleep_until(first + timedelta(seconds=SPAN))
    drained = drain()
    say(f"{_since(first):6.1f} s  {'all are written' if drained else f'{left()} are not written'}; {lateness()}")
    time.sleep(QUIET)
    with connection.cursor() as cursor:
        found = judge(cursor, INVARIANTS)
    grew = f"reads {few.rows} rows, {few.pages} pages without and {many.rows} rows, {many.pages} pages with them"
    return conclude(
        stage,
        [
            Verdict("the clocks were there before the first deadline", early > 0, f"{early:.0f} s"),
            *of_stage(stage, faults=len(faults)),
            *found,
            Verdict(
                f"C5 a sweep does not cost more with {clocks * CLOSED} closed clocks",
                many.rows <= few.rows and many.pages <= few.pages + DEEPER and many.statements == few.statements,
                grew,
            ),
        ],
    )


def world(*, clocks: int, first: datetime, span: float) -> dict[str, Any]:
    """The rows beside the tickets, and what the statements of SEED and PAST need."""
    from agents.models import Agent, Calendar
    from tests.chaos.world import build
    from tickets.models import SlaPolicy

    channels, policy = build(), SlaPolicy.objects.get()
    policy.calendar = Calendar.objects.create(name="Hours", time_zone="Asia/Seoul", is_default=True)
    policy.save(update_fields=["calendar"])
    channel = channels["sms"]
    agents = list(Agent.objects.order_by("id").values_list("pk", flat=True))
    return {
        "clocks": clocks, "customers": max(1, clocks // PER_CUSTOMER), "closed": CLOSED, "first": first, "span": span,
        "past": first - timedelta(days=30), "brand": channel.brand_id, "team": channel.team_id, "channel": channel.pk,
        "agents": agents, "staff": len(agents), "policy": policy.pk, "calendar": policy.calendar_id,
    }  # fmt: skip


def run(cursor: Any, statements: tuple[str, ...], facts: dict[str, Any]) -> None:
    """Fill, and let the planner know."""
    for statement in statements:
        cursor.execute(statement, facts if "%(" in statement else None)
    cursor.execute("ANALYZE tickets_ticket, tickets_slaclock, tickets_slawarning, agents_calendar")


def in_a_sweep() -> bool:
    """Whether a worker stands in the middle of a transaction that writes breaches."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND xact_start IS NOT NULL AND (query LIKE '%UPDATE \"tickets_slaclock\"%' OR query LIKE '%sla_breached%'))"
        )
        return cursor.fetchone()[0]


def left() -> int:
    from tickets.models import SlaClock

    return SlaClock.objects.filter(state="running", breached_at__isnull=True).count()


def drain() -> bool:
    """Wait until every breach is written. False when something is left, and nothing happened for STUCK seconds."""
    remaining, since = left(), time.monotonic()
    while remaining and time.monotonic() - since < STUCK:
        time.sleep(0.5)
        if (now_left := left()) != remaining:
            remaining, since = now_left, time.monotonic()
    return not remaining


def lateness() -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(ARRAY[0.5, 0.95, 1]) WITHIN GROUP (ORDER BY extract(epoch FROM e.written_at - d.due_at))"
            f" FROM chaos_deadline d JOIN {WRITTEN} e ON e.clock_id = d.clock_id"
        )
        (found,) = cursor.fetchone()
    return f"seconds late (median, p95, longest; aim 15): {', '.join(f'{span:.1f}' for span in found or ())}"


def _sleep_until(moment: datetime) -> None:
    time.sleep(max(0.0, -_since(moment)))


def _since(moment: datetime) -> float:
    from django.utils import timezone

    return (timezone.now() - moment).total_seconds()
