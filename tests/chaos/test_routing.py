"""What `bin/chaos routing` is judged by holds after a small day without faults, and each notices what it is there for."""

from __future__ import annotations

from random import Random

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.chaos import history
from tests.chaos.crowd import RARE, TEAMS, Arrival, Crowd, arrivals, unplaced
from tickets.models import Ticket
from tickets.routing import assign

pytestmark = pytest.mark.django_db(transaction=True)
ASSIGNED = "(SELECT max(id) FROM tickets_routingdecision WHERE outcome = 'assigned')"
BY_HAND = "kind = 'assigned' AND actor_type = 'agent'"
OVERTAKEN = """(SELECT min(a.id) FROM chaos_first a JOIN chaos_first b USING (team_id, needs, weight, after_vips, after_urgent)
    WHERE (b.due_at, b.id) > (a.due_at, a.id) AND a.given_at IS NOT NULL AND b.looked_at > a.seen_at
      AND NOT b.by_hand)"""
DAMAGES = {
    "somebody may have less than they got": ("R1", "UPDATE agents_agent SET capacity = 0"),
    "a decision was about somebody else": (
        "R2", f"UPDATE tickets_routingdecision SET agent_id = (SELECT min(id) FROM agents_agent WHERE id <> agent_id) WHERE id = {ASSIGNED}",
    ),
    "a decision does not say whom it considered": (
        "R2", f"UPDATE tickets_routingdecision SET candidates = '[]' WHERE id = {ASSIGNED}",
    ),
    "what somebody had was counted too low": (
        "R2", """UPDATE tickets_routingdecision SET candidates = regexp_replace(candidates::text, '"load": [0-9.]+', '"load": 0', 'g')::jsonb""",
    ),
    "somebody without the skill got it": ("R2", "DELETE FROM agents_agentskill"),
    "a ticket is with nobody": (
        "R3", "UPDATE tickets_ticket SET assignee_id = NULL WHERE id = (SELECT min(id) FROM tickets_ticket)",
    ),
    "what nobody can do was given to somebody": (
        "R4", f"UPDATE tickets_ticket SET assignee_id = (SELECT min(id) FROM agents_agent) WHERE subject LIKE '%{RARE}%'",
    ),
    "an earlier ticket waits until long after a later one": (
        "R5", f"UPDATE tickets_event SET written_at = written_at + interval '5 minutes' WHERE kind = 'assigned' AND ticket_id = {OVERTAKEN}",
    ),
    "somebody got something while they were away": (
        "R7", """UPDATE agents_auditentry SET facts = facts || '{"to": "away"}' WHERE kind = 'presence'""",
    ),
    "routing is still owed": (
        "R6", "UPDATE tickets_ticket SET routing_due_at = now() WHERE id = (SELECT min(id) FROM tickets_ticket)",
    ),
}  # fmt: skip


def failed() -> list[str]:
    return [verdict.name[:2] for verdict in history.check() if not verdict.passed]


def sooner() -> bool:
    """Whether somebody overtook one of the same rank who was there before them and whose answer was due later."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM chaos_first a JOIN chaos_first b USING (team_id, needs, weight, after_vips,"
            " after_urgent) WHERE b.id > a.id AND b.due_at < a.due_at AND b.seen_at < a.given_at AND b.given_at < a.given_at)"
        )
        return bool(cursor.fetchone()[0])


def one_waits_behind_a_prompt_one(crowd: Crowd) -> None:
    """While nobody is there, two of one rank come: the second one is promised an answer sooner. Then everybody comes."""
    for agent in crowd.agents:
        crowd.choose(agent, "away")
    for prompt in (False, True):
        crowd.receive([Arrival(TEAMS[2], needs=None, channel="sms", vip=False, priority=2, prompt=prompt)])
        assign.drain(now=timezone.now())
    crowd.everybody_comes()


def test_it_holds_after_a_day_and_each_notices_its_damage() -> None:
    with connection.cursor() as cursor:
        cursor.execute(history.STAMP)
    try:
        assert [verdict.passed for verdict in history.check()] == [False], "an empty history proves nothing"
        random = Random(3)
        crowd, coming = Crowd(random, agents=4), arrivals(random, 60)
        for n in range(0, len(coming), 20):
            crowd.receive(coming[n : n + 20])
            crowd.choose(crowd.agents[0], "away")
            crowd.decide(random)
            crowd.choose(crowd.agents[0], "online")
            assign.drain(now=timezone.now())
            for _n in range(8):
                crowd.hand_on(random)
        one_waits_behind_a_prompt_one(crowd)
        for _n in range(50):
            if not unplaced():
                break
            crowd.work(random)
            assign.drain(now=timezone.now())
        assert unplaced() == 0
        assert Ticket.objects.filter(routing_decisions__outcome="queued").distinct().count() > 5, "nobody had to wait"
        assert failed() == []
        assert [history.side_by_side(at_least=n).passed for n in (1, 2)] == [True, False], (
            "here one decides after the other"
        )
        with connection.cursor() as cursor:  # nothing by hand came while routing decided: it saw all of it
            cursor.execute(f"UPDATE tickets_event SET written_at = written_at - interval '1 hour' WHERE {BY_HAND}")
            assert cursor.rowcount > 5
            assert failed() == []
            cursor.execute(f"UPDATE tickets_event SET written_at = written_at + interval '1 hour' WHERE {BY_HAND}")
        assert sooner(), "nobody went before those who came first because their answer was due sooner"
        noticed = set()
        for damage, (expected, sql) in DAMAGES.items():
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute(sql)
                found = failed()
                transaction.set_rollback(True)
            assert expected in found, damage
            noticed.add(expected)
        assert noticed == {verdict.name[:2] for verdict in history.check()}, "what nothing breaks proves nothing"
        assert failed() == []
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS chaos_first; {history.UNSTAMP}")
