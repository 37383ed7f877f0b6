"""What must hold after a run, by SQL, against the driver's own ledger (reliability.md 13.4).

Each invariant is a query for the rows that break it. The ledger is a temporary table `accepted`: what the driver saw
a 2xx for, in the order in which it saw it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection
from psycopg2.extras import execute_values

from tests.chaos.verdict import Verdict, judge
from tests.chaos.world import Accepted

# name -> the rows that break it
INVARIANTS = {
    "I1 every accepted message is kept exactly once": """
        SELECT a.lane, a.key, count(e.id) FROM accepted a
          LEFT JOIN channels_in_rawevent e ON e.channel_id = a.channel_id AND split_part(e.dedupe_key, '#', 1) = a.key
         GROUP BY a.lane, a.key HAVING count(e.id) <> 1""",
    "I1 nothing is kept that nobody was told of": """
        SELECT e.id, e.dedupe_key FROM channels_in_rawevent e
         WHERE NOT EXISTS (SELECT 1 FROM accepted a WHERE a.channel_id = e.channel_id AND a.key = e.dedupe_key)""",
    "I2 nothing is in progress": """
        SELECT id, state, attempts, last_error FROM channels_in_rawevent WHERE state IN ('new', 'processing')""",
    "I2 the ledger adds up": """
        SELECT * FROM (SELECT (SELECT count(*) FROM accepted) AS accepted,
                 count(*) FILTER (WHERE outcome IN ('ticketed', 'receipt', 'applied', 'duplicate', 'suppressed', 'quarantined'))
                   AS finished
            FROM channels_in_rawevent) sums WHERE accepted <> finished""",
    "I2 every accepted message became one on a ticket": """
        SELECT id, state, outcome, outcome_reason FROM channels_in_rawevent WHERE outcome IS DISTINCT FROM 'ticketed'""",
    "I3 the ticketed items are exactly those of the messages": """
        SELECT e.id, m.id FROM channels_in_rawevent e
          FULL JOIN (SELECT * FROM tickets_message WHERE raw_event_id IS NOT NULL) m ON m.raw_event_id = e.id
         WHERE (coalesce(e.outcome, '') = 'ticketed') <> (m.id IS NOT NULL)
            OR (m.id IS NOT NULL AND (e.message_id IS DISTINCT FROM m.id OR m.part IS DISTINCT FROM 0))""",
    "I3 nothing is lost: every accepted text is on a ticket": """
        SELECT a.lane, a.text FROM accepted a WHERE NOT EXISTS (SELECT 1 FROM tickets_message m WHERE m.text = a.text)""",
    "I3 nothing is doubled: every accepted text is there once": """
        SELECT a.lane, a.text, count(*) FROM accepted a JOIN tickets_message m ON m.text = a.text
         GROUP BY a.lane, a.text HAVING count(*) > 1""",
    "I3 no message says what nobody wrote": """
        SELECT m.id, m.kind, m.text FROM tickets_message m
         WHERE NOT EXISTS (SELECT 1 FROM accepted a WHERE a.text = m.text AND a.channel_id = m.channel_id)""",
    "I4 seq has no gap": """
        SELECT t.id, t.last_seq, count(m.id), max(m.seq) FROM tickets_ticket t LEFT JOIN tickets_message m ON m.ticket_id = t.id
         GROUP BY t.id HAVING count(m.id) <> coalesce(max(m.seq), 0) OR coalesce(min(m.seq), 1) <> 1
            OR t.last_seq <> count(m.id)""",
    "I4 items are kept in the order of acceptance": """
        SELECT * FROM (
            SELECT a.lane, a.position, row_number() OVER (PARTITION BY a.lane ORDER BY e.id) AS place
              FROM accepted a JOIN channels_in_rawevent e ON e.channel_id = a.channel_id AND e.dedupe_key = a.key) kept
         WHERE position <> place""",
    "I4 seq rises in the order of acceptance": """
        SELECT * FROM (
            SELECT a.lane, a.position, row_number() OVER (PARTITION BY a.lane ORDER BY m.seq, m.id) AS place
              FROM accepted a JOIN tickets_message m ON m.text = a.text) said
         WHERE position <> place""",
    "I5 everything that a person wrote is on one ticket": """
        SELECT a.person, array_agg(DISTINCT m.ticket_id) FROM accepted a JOIN tickets_message m ON m.text = a.text
         GROUP BY a.person HAVING count(DISTINCT m.ticket_id) <> 1""",
    "I5 no ticket holds the words of two people": """
        SELECT m.ticket_id, array_agg(DISTINCT a.person) FROM accepted a JOIN tickets_message m ON m.text = a.text
         GROUP BY m.ticket_id HAVING count(DISTINCT a.person) <> 1""",
    "I5 one ticket and one customer for each person, none besides": """
        SELECT * FROM (SELECT (SELECT count(DISTINCT person) FROM accepted) AS people,
                 (SELECT count(*) FROM tickets_ticket) AS tickets,
                 (SELECT count(*) FROM tickets_customer WHERE joined_into_id IS NULL) AS customers) sums
         WHERE people <> tickets OR people <> customers""",
    "I5 every message has the route of its own channel and ticket": """
        SELECT m.id, m.route_id FROM tickets_message m LEFT JOIN tickets_route r ON r.id = m.route_id
         WHERE r.id IS NULL OR r.ticket_id <> m.ticket_id OR r.channel_id <> m.channel_id""",
    "I7 nothing is stuck or overdue": """
        SELECT 'part' AS what, id FROM tickets_deliverypart WHERE state IN ('queued', 'sending')
        UNION ALL SELECT 'outbox', id FROM tickets_outbox WHERE state IN ('queued', 'sending')
        UNION ALL SELECT 'file', id FROM tickets_attachment WHERE state = 'fetching'
        UNION ALL SELECT 'routing', id FROM tickets_ticket WHERE routing_due_at < now()
        UNION ALL SELECT 'draft', id FROM tickets_draft WHERE send_at < now()""",
    "P2 each message has its one event, each ticket its birth": """
        SELECT 'message' AS what, m.id, count(v.id) FROM tickets_message m
          LEFT JOIN tickets_event v ON v.message_id = m.id AND v.kind = 'message_received'
         GROUP BY m.id HAVING count(v.id) <> 1
        UNION ALL
        SELECT 'ticket', t.id, count(v.id) FROM tickets_ticket t
          LEFT JOIN tickets_event v ON v.ticket_id = t.id AND v.kind = 'ticket_created'
         GROUP BY t.id HAVING count(v.id) <> 1""",
    "P2 each ticket was given to one person, once": """
        SELECT t.id, t.assignee_id, count(d.id) FROM tickets_ticket t
          LEFT JOIN tickets_routingdecision d ON d.ticket_id = t.id AND d.outcome = 'assigned'
         GROUP BY t.id, t.assignee_id HAVING count(d.id) <> 1 OR t.assignee_id IS NULL""",
    "I8 each ticket has its one clock and its one warning": """
        SELECT t.id, count(c.id), count(w.id) FROM tickets_ticket t
          LEFT JOIN tickets_slaclock c ON c.ticket_id = t.id AND c.state = 'running'
          LEFT JOIN tickets_slawarning w ON w.clock_id = c.id
         GROUP BY t.id HAVING count(c.id) <> 1 OR count(w.id) <> 1""",
}  # fmt: skip


def check(ledger: Sequence[Accepted]) -> list[Verdict]:
    """Every invariant, judged. The ledger must not be empty: nothing proves nothing."""
    if not ledger:
        return [Verdict("the driver saw an acceptance", passed=False)]
    with connection.cursor() as cursor:
        _write(cursor, ledger)
        verdicts = judge(cursor, INVARIANTS)
        cursor.execute("DROP TABLE accepted")
    return verdicts


def _write(cursor: Any, ledger: Sequence[Accepted]) -> None:
    cursor.execute("DROP TABLE IF EXISTS accepted")
    cursor.execute(
        "CREATE TEMPORARY TABLE accepted"
        " (lane int, position int, person text, channel_id bigint, key text, text text, UNIQUE (lane, position))"
    )
    execute_values(cursor.cursor, "INSERT INTO accepted VALUES %s", [tuple(vars(one).values()) for one in ledger])
    cursor.execute("ANALYZE accepted")
