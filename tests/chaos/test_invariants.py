"""The invariants hold after a small run without faults, and each of them notices what it is there for."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from channels_in import process
from channels_in.webchat.fake import Request
from tests.chaos import invariants
from tests.chaos.plan import make
from tests.chaos.world import Accepted, Calls, build
from tickets import notifying
from tickets.routing import assign

pytestmark = pytest.mark.django_db(transaction=True)


class Undo(Exception):
    """Ends a transaction whose damage must not stay."""


@pytest.fixture
def ledger(settings) -> list[Accepted]:
    """Thirty messages through the real doors and the real drain."""
    client = Client()

    def ask(request: Request) -> tuple[int, dict[str, object]]:
        content_type = request.headers.get("Content-Type", "application/json")
        headers = {name: value for name, value in request.headers.items() if name != "Content-Type"}
        answer = client.generic(request.method, request.path, request.body, content_type=content_type, headers=headers)
        assert 200 <= answer.status_code < 300, answer.content
        return answer.status_code, json.loads(answer.content or b"{}") if answer.content.startswith(b"{") else {}

    plan = make(seed=1, events=30, faults=[])
    calls = Calls(plan, build(), transport=ask)
    accepted, positions = [], Counter()
    for step in plan.steps:
        call = calls.of(step)
        for _time in range(2 if step.way == "twice_at_once" else 1):
            ask(Request("POST", call.path, call.headers, call.body))
        if step.way != "again":
            positions[step.lane] += 1
            accepted.append(calls.accepted(step.lane, step.index, position=positions[step.lane]))
    assert (plan.doubled, plan.swapped) == (3, 2)
    process.drain()
    assign.drain(now=timezone.now())
    notifying.drain(seconds=10)
    return accepted


LAST = "(SELECT max(id) FROM tickets_message)"
DAMAGES = {
    "a message is lost with its item": (
        ["I1 every", "I2 the ledger", "I3 nothing is lost"],
        f"""DELETE FROM channels_in_rawevent WHERE message_id = {LAST};
            UPDATE tickets_message SET text = 'other words' WHERE id = {LAST}""",
    ),
    "a message is lost although its item is done": (
        ["I3 the ticketed", "I3 nothing is lost"],
        f"UPDATE tickets_message SET raw_event_id = NULL, part = NULL, text = 'other words' WHERE id = {LAST}",
    ),
    "an item is kept twice": (
        ["I1 every", "I1 nothing", "I2 the ledger", "I3 the ticketed"],
        """INSERT INTO channels_in_rawevent (channel_id, dedupe_key, ordering_key, raw_sha256, body_sha256, headers, auth_result,
             state, attempts, last_error, outcome, outcome_reason, flagged)
           SELECT channel_id, dedupe_key || '#0a1b2c3d', ordering_key, raw_sha256, body_sha256, headers, auth_result, state,
             attempts, last_error, outcome, outcome_reason, true FROM channels_in_rawevent ORDER BY id LIMIT 1""",
    ),
    "a message is doubled": (
        ["I3 nothing is doubled", "I4 seq rises"],
        f"UPDATE tickets_message SET text = (SELECT text FROM tickets_message WHERE seq = 1 AND ticket_id ="
        f" (SELECT ticket_id FROM tickets_message WHERE id = {LAST})) WHERE id = {LAST}",
    ),
    "two messages changed places": (
        ["I4 seq rises"],
        f"""UPDATE tickets_message SET seq = seq + 9000 WHERE ticket_id = (SELECT ticket_id FROM tickets_message WHERE id = {LAST});
            UPDATE tickets_message SET seq = CASE seq WHEN 9001 THEN 2 WHEN 9002 THEN 1 ELSE seq - 9000 END WHERE seq > 9000""",
    ),
    "two items changed places": (
        ["I4 items are kept"],
        """CREATE TEMPORARY TABLE pair ON COMMIT DROP AS SELECT id, dedupe_key, min(id) OVER () + max(id) OVER () - id AS other
             FROM channels_in_rawevent WHERE id IN (SELECT unnest(ARRAY[min(id), max(id)]) FROM channels_in_rawevent
                                                     GROUP BY channel_id, ordering_key HAVING count(*) > 1 LIMIT 2);
           UPDATE channels_in_rawevent e SET dedupe_key = 'moved ' || e.id FROM pair WHERE pair.id = e.id;
           UPDATE channels_in_rawevent e SET dedupe_key = pair.dedupe_key FROM pair WHERE pair.other = e.id""",
    ),
    "a number is missing": (["I4 seq has no gap"], f"UPDATE tickets_message SET seq = seq + 1000 WHERE id = {LAST}"),
    "a message stands on a ticket of somebody else": (
        ["I4 seq has no gap", "I5 everything", "I5 no ticket", "I5 every message"],
        f"""UPDATE tickets_message SET seq = 1000, ticket_id = (SELECT max(ticket_id) FROM tickets_message
             WHERE ticket_id <> (SELECT ticket_id FROM tickets_message WHERE id = {LAST})) WHERE id = {LAST}""",
    ),
    "an item is being worked on": (
        ["I2 nothing is in progress", "I2 the ledger", "I2 every accepted", "I3 the ticketed"],
        "UPDATE channels_in_rawevent SET state = 'processing', outcome = NULL WHERE id = (SELECT max(id) FROM channels_in_rawevent)",
    ),
    "an item went into quarantine": (
        ["I2 every accepted", "I3 the ticketed"],
        "UPDATE channels_in_rawevent SET state = 'quarantined', outcome = 'quarantined'"
        " WHERE id = (SELECT max(id) FROM channels_in_rawevent)",
    ),
    "somebody wrote what nobody sent": (
        ["I3 no message says"],
        f"UPDATE tickets_message SET text = 'made up' WHERE id = {LAST}",
    ),
    "routing is overdue": (
        ["I7"], "UPDATE tickets_ticket SET routing_due_at = now() - interval '1 minute' WHERE id = (SELECT max(id) FROM tickets_ticket)",
    ),
    "a ticket was given to nobody": (
        ["P2 each ticket was given"], "UPDATE tickets_ticket SET assignee_id = NULL WHERE id = (SELECT max(id) FROM tickets_ticket)",
    ),
    "an event is missing": (
        ["P2 each message"], f"UPDATE tickets_event SET message_id = NULL WHERE message_id = {LAST}",
    ),
    "a clock does not run": (
        ["I8"], "UPDATE tickets_slaclock SET state = 'cancelled' WHERE id = (SELECT max(id) FROM tickets_slaclock)",
    ),
    "a person became two": (
        ["I5 one ticket"],
        "INSERT INTO tickets_customer (name, language, time_zone, tier, organisation, attributes, preferred_channel, notes, blocked)"
        " VALUES ('Again', '', '', '', '', '{}', '', '', false)",
    ),
}  # fmt: skip


def failed(ledger: list[Accepted]) -> list[str]:
    return [verdict.name for verdict in invariants.check(ledger) if not verdict.passed]


def test_they_hold_after_a_run_and_each_notices_its_damage(ledger):
    assert failed(ledger) == []
    noticed: set[str] = set()
    for damage, (expected, sql) in DAMAGES.items():
        with pytest.raises(Undo), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute(sql)
            found = failed(ledger)
            for beginning in expected:
                assert any(name.startswith(beginning) for name in found), (damage, beginning, found)
            noticed |= set(found)
            raise Undo
    assert noticed == set(invariants.INVARIANTS), "an invariant that nothing breaks proves nothing"
    assert failed(ledger) == []


def test_an_acceptance_that_left_no_trace_is_noticed(ledger):
    phantom = replace(ledger[0], position=999, key="nobody-kept-it", text="nobody said it")
    found = failed([*ledger, phantom])
    assert "I1 every accepted message is kept exactly once" in found
    assert "I3 nothing is lost: every accepted text is on a ticket" in found


def test_an_empty_ledger_proves_nothing():
    assert [verdict.passed for verdict in invariants.check([])] == [False]
