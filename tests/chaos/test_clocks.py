"""The invariants of `bin/chaos clocks` hold after a sweep of a few clocks, and each notices what it is there for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.chaos import clocks
from tests.chaos.verdict import judge
from tickets.sla import clocks as sla

pytestmark = pytest.mark.django_db(transaction=True)
LAST = "(SELECT max(clock_id) FROM chaos_deadline)"
CLOSED = "(SELECT max(id) FROM tickets_slaclock WHERE state = 'met')"
EVENT = f"(SELECT id FROM {clocks.WRITTEN} e WHERE clock_id = {LAST})"
DAMAGES = {
    "a breach is not written": (
        ["C1", "C2", "C4"], f"""UPDATE tickets_slaclock SET breached_at = NULL WHERE id = {LAST};
            UPDATE tickets_event SET particulars = '{{}}' WHERE id = {EVENT}""",
    ),
    "a breach is written twice": (
        ["C2"], f"""INSERT INTO tickets_event (ticket_id, customer_id, kind, actor_type, particulars, at)
            SELECT ticket_id, customer_id, kind, actor_type, particulars, at FROM tickets_event WHERE id = {EVENT}""",
    ),
    "a breach is written too early": (
        ["C1", "C3"], f"UPDATE tickets_slaclock SET breached_at = due_at - interval '1 second' WHERE id = {LAST}",
    ),
    "a breach stands on another ticket": (
        ["C3"], f"UPDATE tickets_event SET ticket_id = (SELECT min(t.id) FROM tickets_ticket t WHERE t.id <> ticket_id) WHERE id = {EVENT}",
    ),
    "a promise that was kept is breached afterwards": (
        ["C4"], f"UPDATE tickets_slaclock SET breached_at = now() + interval '1 day' WHERE id = {CLOSED}",
    ),
    "the log tells of a clock that was not due": (
        ["C2", "C4"], f"UPDATE tickets_event SET particulars = jsonb_set(particulars, '{{clock}}', to_jsonb({CLOSED})) WHERE id = {EVENT}",
    ),
}  # fmt: skip


def failed() -> list[str]:
    with connection.cursor() as cursor:
        return [verdict.name for verdict in judge(cursor, clocks.INVARIANTS) if not verdict.passed]


def test_they_hold_after_a_sweep_and_each_notices_its_damage() -> None:
    first = timezone.now() + timedelta(minutes=1)
    facts = clocks.world(clocks=20, first=first, span=60)
    with connection.cursor() as cursor:
        clocks.run(cursor, (*clocks.SEED, *clocks.PAST), facts)
    assert clocks.left() == 20
    for seconds in (30, 60):
        sla.sweep(now=first + timedelta(seconds=seconds))
    assert clocks.left() == 0
    try:
        assert failed() == []
        noticed: set[str] = set()
        for damage, (expected, sql) in DAMAGES.items():
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute(sql)
                found = failed()
                transaction.set_rollback(True)
            assert {name[:2] for name in found} >= set(expected), damage
            noticed |= set(found)
        assert noticed == set(clocks.INVARIANTS), "an invariant that nothing breaks proves nothing"
        assert failed() == []
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE chaos_deadline")
