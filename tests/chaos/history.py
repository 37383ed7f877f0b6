"""What must hold of a day of routing, over its whole history: the log is replayed, not only its end looked at.

Ids of events follow each other as the deeds did, for one agent: whoever is given something has their row locked while
their load is counted, and what had been finished by then was written before. Who gives something by hand locks nobody
and minds no capacity: what was given so while routing decided, it could not see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.db.models.expressions import RawSQL

from agents.models import Agent, AgentSkill, Membership
from tests.chaos.crowd import RARE
from tests.chaos.verdict import SHOWN, Verdict, judge
from tickets.models import Channel, Event, RoutingDecision, Ticket, TicketSkill
from tickets.routing import again, explain
from tickets.routing.choice import PLACE, places
from tickets.routing.people import WORKED_ON

PROMISED = 75  # seconds: LOOK_AGAIN, and the sweeps on both of its ends
MARKS = ("had_it", "knows_customer", "helps_out")
UNSEEN = timedelta(seconds=2)  # that a transaction may take from its last event to its commit
BY_LOAD = {"fewest_open", "longest_since_last", "by_id"}

# The first time that somebody got it, by when that was written, and by when whoever decided had looked who comes first;
# from when on they could see it: its transaction had ended. Who ranks before whom among tickets that ask for the same.
FIRST = f"""
    WITH made AS (SELECT session, began_at, max(written_at) + interval '{UNSEEN.seconds} s' AS seen_at
                    FROM tickets_event GROUP BY session, began_at)
    SELECT t.id, t.team_id, ch.weight, t.created_at, min(e.written_at) AS given_at,
           (array_agg(e.at ORDER BY e.id))[1] AS looked_at,
           (SELECT m.seen_at FROM tickets_event b JOIN made m USING (session, began_at) WHERE b.ticket_id = t.id
             ORDER BY b.id LIMIT 1) AS seen_at,
           coalesce((array_agg(e.actor_type ORDER BY e.id))[1] = 'agent', false) AS by_hand,
           (SELECT coalesce(string_agg(s.skill_id || '/' || s.level, ',' ORDER BY s.skill_id), '')
              FROM tickets_ticketskill s WHERE s.ticket_id = t.id) AS needs,
           c.tier <> 'vip' AS after_vips, -t.priority AS after_urgent,
           (SELECT min(s.due_at) FROM tickets_slaclock s WHERE s.ticket_id = t.id AND s.metric = 'first_reply') AS due_at
      FROM tickets_ticket t JOIN tickets_customer c ON c.id = t.customer_id JOIN tickets_channel ch ON ch.id = t.first_channel_id
      LEFT JOIN tickets_event e ON e.ticket_id = t.id AND e.kind = 'assigned' AND e.particulars->'to'->>'assignee' IS NOT NULL
     GROUP BY t.id, ch.weight, c.tier"""
OVERTAKEN = """
    SELECT a.id, extract(epoch FROM coalesce(a.given_at, now()) - min(b.given_at)) AS seconds
      FROM chaos_first a JOIN chaos_first b ON b.team_id = a.team_id AND b.needs = a.needs AND b.weight = a.weight
       AND (b.after_vips, b.after_urgent, b.due_at, b.id) > (a.after_vips, a.after_urgent, a.due_at, a.id)
       AND NOT b.by_hand AND b.looked_at > a.seen_at AND b.given_at < coalesce(a.given_at, 'infinity')
     GROUP BY a.id, a.given_at"""
# name -> the rows that break it
INVARIANTS = {
    "R3 everything that somebody could be given was given to somebody": f"""
        SELECT t.id, t.subject, t.status FROM tickets_ticket t WHERE t.subject NOT LIKE '%skill-{RARE}%'
           AND (t.assignee_id IS NULL OR NOT EXISTS (SELECT 1 FROM chaos_first f WHERE f.id = t.id AND f.given_at IS NOT NULL))""",
    "R4 what nobody can do was given to nobody, and says why": f"""
        SELECT t.id, t.assignee_id FROM tickets_ticket t WHERE t.subject LIKE '%skill-{RARE}%' AND (t.assignee_id IS NOT NULL
            OR EXISTS (SELECT 1 FROM chaos_first f WHERE f.id = t.id AND f.given_at IS NOT NULL)
            OR NOT EXISTS (SELECT 1 FROM tickets_routingdecision d WHERE d.ticket_id = t.id AND d.outcome = 'queued'
                              AND d.candidates::text LIKE '%{RARE}%'))""",
    f"R5 nobody waits {PROMISED} s longer than one who comes after them and asks for the same": f"""
        SELECT * FROM ({OVERTAKEN}) overtaken WHERE seconds > {PROMISED}""",
    "R6 nothing is owed any more but what nobody can do": f"""
        SELECT t.id, t.routing_due_at FROM tickets_ticket t
         WHERE t.routing_due_at IS NOT NULL AND t.subject NOT LIKE '%skill-{RARE}%'""",
    "R7 nobody was given anything by routing while they were not there": """
        SELECT e.id, was.facts FROM tickets_event e JOIN LATERAL (
            SELECT a.facts FROM agents_auditentry a WHERE a.kind = 'presence' AND a.written_at < e.written_at
               AND a.object_id = (e.particulars->'to'->>'assignee')::bigint ORDER BY a.written_at DESC LIMIT 1) was ON true
         WHERE e.kind = 'assigned' AND e.actor_type = 'rule' AND was.facts->>'to' <> 'online'""",
}  # fmt: skip
STAMPED = ("tickets_event", "tickets_routingdecision", "agents_auditentry")
STAMP = "".join(
    f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS began_at timestamptz DEFAULT transaction_timestamp(),"
    " ADD COLUMN IF NOT EXISTS written_at timestamptz DEFAULT clock_timestamp(),"
    " ADD COLUMN IF NOT EXISTS session int DEFAULT pg_backend_pid();"
    for table in STAMPED
)
UNSTAMP = "".join(
    f"ALTER TABLE {table} DROP COLUMN IF EXISTS began_at, DROP COLUMN IF EXISTS written_at, DROP COLUMN IF EXISTS session;"
    for table in STAMPED
)
# How many transactions that decided were open at once, at most.
AT_ONCE = """
    WITH deciding AS (SELECT began_at, max(written_at) AS until FROM tickets_routingdecision GROUP BY session, began_at),
         steps AS (SELECT began_at AS at, 1 AS step FROM deciding UNION ALL SELECT until, -1 FROM deciding)
    SELECT coalesce(max(open), 0) FROM (SELECT sum(step) OVER (ORDER BY at, step) AS open FROM steps) counted"""


class Given(NamedTuple):
    """An assignment by routing, with what it could see that the agent had before it, in hundredths of a place."""

    event: Event
    agent: int
    before: int


def check() -> list[Verdict]:
    given, beyond = replayed()
    if not given:
        return [Verdict("somebody was given something", passed=False)]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS chaos_first")
        cursor.execute(f"CREATE TEMPORARY TABLE chaos_first AS {FIRST}")
        cursor.execute("CREATE INDEX ON chaos_first (team_id, needs, weight)")
        cursor.execute("ANALYZE chaos_first")
        found = judge(cursor, INVARIANTS)
    return [
        _verdict("R1 nobody ever got more than they may", beyond),
        _verdict("R2 a stored decision explains every assignment", unexplained(given)),
        *found,
    ]


def replayed() -> tuple[list[Given], list[str]]:
    """What routing gave, in order; and where it was more than the agent may have."""
    capacity = {pk: places * PLACE for pk, places in Agent.objects.values_list("pk", "capacity")}
    weights = dict(Channel.objects.values_list("pk", "weight"))
    weight = {pk: weights.get(of, PLACE) for pk, of in Ticket.objects.values_list("pk", "last_channel")}
    status: dict[int, str] = defaultdict(lambda: "new")
    holder: dict[int, int | None] = {}
    load: dict[int, int] = defaultdict(int)
    by_hand: dict[int, dict[int, datetime]] = defaultdict(dict)  # agent -> ticket that they have so -> since when
    given, beyond = list[Given](), list[str]()
    kinds = ["assigned", "status_changed", "solved", "closed", "reopened"]
    stamps = {name: RawSQL(f"tickets_event.{name}", []) for name in ("began_at", "written_at")}
    events = Event.objects.filter(kind__in=kinds, ticket__isnull=False).annotate(**stamps)
    for event in events.order_by("id").iterator(2000):
        ticket = event.ticket_id or 0
        if status[ticket] in WORKED_ON and holder.get(ticket):
            load[holder[ticket] or 0] -= weight[ticket]
        agent, unseen = holder.get(ticket), 0
        by_hand[agent or 0].pop(ticket, None)
        if event.kind == "assigned":
            agent = holder[ticket] = event.particulars["to"]["assignee"]
            status[ticket] = "open" if event.particulars.get("opened") else status[ticket]
            if agent and event.actor_type == "rule":
                since = event.began_at - UNSEEN
                unseen = sum(weight[one] for one, at in by_hand[agent].items() if at > since)
                given.append(Given(event, agent, load[agent] - unseen))
        else:
            status[ticket] = event.particulars["to"]
        if agent and status[ticket] in WORKED_ON:
            load[agent] += weight[ticket]
            if event.kind == "assigned" and event.actor_type == "agent":
                by_hand[agent][ticket] = event.written_at
            elif event.kind == "assigned" and load[agent] - unseen > capacity[agent]:
                beyond.append(f"event {event.pk}: agent {agent} has {load[agent]} of {capacity[agent]}")
    return given, beyond


def unexplained(given: Iterable[Given]) -> list[str]:
    """Assignments whose decision is missing, is about something else, or does not say why."""
    decisions = RoutingDecision.objects.select_related("team", "agent").in_bulk()
    needs: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for ticket, skill, level in TicketSkill.objects.filter(required=True).values_list("ticket", "skill", "level"):
        needs[ticket].append((skill, level))
    able = {(agent, skill): level for agent, skill, level in AgentSkill.objects.values_list("agent", "skill", "level")}
    members = set(Membership.objects.values_list("team", "agent"))
    ruled = set(RoutingDecision.objects.exclude(rules=[]).values_list("ticket", flat=True))
    found, used = [], set()
    for one in given:
        decision = decisions.get(one.event.particulars.get("decision", 0))
        wrong = (
            ["no decision"]
            if decision is None
            else [*_about_another(decision, one), *_says_not_why(decision, one)]
        )  # fmt: skip
        if decision is not None:
            wrong += ["a second time"] * (decision.pk in used)
            wrong += ["not of the team"] * ((decision.team_id, one.agent) not in members)
            used.add(decision.pk)
        wrong += ["not able"] * any(able.get((one.agent, s), 0) < n for s, n in needs[one.event.ticket_id or 0])
        wrong += ["no rules were tried"] * (one.event.ticket_id not in ruled)
        found += [f"event {one.event.pk}: {', '.join(wrong)}"] if wrong else []
    return found


def _about_another(decision: RoutingDecision, one: Given) -> list[str]:
    same = (decision.ticket_id, decision.agent_id, decision.outcome) == (one.event.ticket_id, one.agent, "assigned")
    return [] if same else ["about another"]


def _says_not_why(decision: RoutingDecision, one: Given) -> list[str]:
    """The one who got it could have it, had at least what the log says, and came first of those who could."""
    told = explain.explained(decision)
    free = [stored for stored in decision.candidates if not stored["skipped"]]
    mine: list[dict[str, Any]] = [stored for stored in free if stored["agent"] == one.agent]
    if len(mine) != 1 or [seen.chosen for seen in told.candidates].count(True) != 1 or not told.outcome:
        return ["does not name them"]
    wrong = [f"{name} comes out otherwise" for name in again.differences(decision)]
    if mine[0]["load"] < places(one.before):
        wrong.append(f"counted {mine[0]['load']} of {places(one.before)}")
    equal = [other for other in free if all(other.get(mark) == mine[0].get(mark) for mark in MARKS)]
    if decision.tie_breaker in BY_LOAD and mine[0]["load"] > min(other["load"] for other in equal):
        wrong.append("somebody had less")
    if (decision.tie_breaker == "only_one") != (len(free) == 1):
        wrong.append("the tie-breaker is another")
    return wrong


def side_by_side(*, at_least: int) -> Verdict:
    with connection.cursor() as cursor:
        cursor.execute(AT_ONCE)
        (most,) = cursor.fetchone()
    return Verdict(f"{at_least} sessions decided at once", most >= at_least, f"{most} at most")


def _verdict(name: str, wrong: list[str]) -> Verdict:
    return Verdict(name, not wrong, f"{len(wrong)}, as {'; '.join(wrong[:SHOWN])}" if wrong else "")


def figures() -> str:
    """How long it took from a ticket's coming to somebody, and how far later ones got before earlier ones."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(ARRAY[0.5, 0.95, 1]) WITHIN GROUP (ORDER BY extract(epoch FROM given_at - created_at))"
            " FROM chaos_first WHERE given_at IS NOT NULL"
        )
        (waited,) = cursor.fetchone()
        cursor.execute(f"SELECT count(*), coalesce(max(seconds), 0) FROM ({OVERTAKEN}) overtaken WHERE seconds > 1")
        overtaken, longest = cursor.fetchone()
        cursor.execute(
            "SELECT count(*) FILTER (WHERE outcome = 'assigned'), count(*) FILTER (WHERE outcome = 'queued')"
            " FROM tickets_routingdecision"
        )
        assigned, queued = cursor.fetchone()
    spans = ", ".join(f"{span:.1f}" for span in waited or ())
    return (
        f"seconds until given (median, p95, longest) {spans}; {overtaken} waited more than a second longer than one"
        f" behind them, at most {longest:.1f} s; {assigned} assignments, {queued} times nobody was free"
    )
