"""A year of tickets in bulk, by SQL: the shape matters (states, channels, lengths), not who said what."""

from __future__ import annotations

from typing import Any

from django.db import connection

from agents.models import Agent, Membership, Team
from tickets.models import Brand, Channel

PER_TICKET = 3  # messages
UNSOLVED = 0.2  # share of the tickets
LONG = 50  # messages of the long ticket


def base() -> dict[str, Any]:
    """Brand, teams, forty agents and four channels."""
    brand = Brand.objects.create(key="bench", name="Bench", domain="bench.example")
    team = Team.objects.create(name="Bench")
    agents = [
        Agent.objects.create(email=f"agent{n}@bench.example", name=f"Agent {n}", password="!", capacity=50)
        for n in range(40)
    ]
    Membership.objects.bulk_create(Membership(agent=agent, team=team) for agent in agents)
    channels = {
        kind: Channel.objects.create(
            kind=kind, slug=f"bench-{kind}", name=kind, brand=brand, team=team, address=f"{kind}@bench.example",
            account_id=f"{kind}@bench.example",
        )
        for kind in ("email", "sms", "webchat", "whatsapp")
    }  # fmt: skip
    return {"brand": brand, "team": team, "agents": agents, "channels": channels}


def grow(*, upto: int) -> None:
    """Fill up to `upto` tickets with their customers, routes, messages and events. Analyses afterwards."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM tickets_ticket")
        have = cursor.fetchone()[0]
        if have >= upto:
            return
        span = {"low": have + 1, "high": upto}
        cursor.execute("SET LOCAL synchronous_commit = off")
        for statement in STATEMENTS:
            cursor.execute(statement, span)
    with connection.cursor() as cursor:
        for table in ("ticket", "message", "route", "customer", "identity", "event"):
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('tickets_{table}', 'id'), (SELECT max(id) FROM tickets_{table}))"
            )
        cursor.execute("SELECT setval('ticket_number', (SELECT max(number) FROM tickets_ticket))")
        cursor.execute("VACUUM ANALYZE")


def long_ticket() -> int:
    """One open ticket with fifty messages, half of them ours. Returns its id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM tickets_ticket WHERE status = 'open' ORDER BY id DESC LIMIT 1")
        (ticket,) = cursor.fetchone()
        cursor.execute(
            """INSERT INTO tickets_message (ticket_id, seq, direction, kind, author_type, agent_id, customer_id, author_name,
                 author_address, route_id, channel_id, external_id, rfc_message_id, "references", subject, text, quoted_text,
                 html, "to", cc, placeholder, language, automatic, meta, state, error, created_at)
               SELECT t.id, 100 + n, CASE WHEN n %% 2 = 0 THEN 'in' ELSE 'out' END, 'public',
                 CASE WHEN n %% 2 = 0 THEN 'customer' ELSE 'agent' END,
                 CASE WHEN n %% 2 = 0 THEN NULL ELSE (SELECT min(id) FROM agents_agent) END,
                 CASE WHEN n %% 2 = 0 THEN t.customer_id END, 'Somebody', '', r.id, r.channel_id, '', '', '{}', '',
                 repeat('A line of a conversation that goes on for a while. ', 4), '', '', '{}', '{}', '', 'en', false, '{}',
                 CASE WHEN n %% 2 = 0 THEN NULL ELSE 'delivered' END, '', now() - make_interval(mins => 60 - n)
               FROM tickets_ticket t JOIN tickets_route r ON r.ticket_id = t.id, generate_series(1, %(count)s) n
               WHERE t.id = %(ticket)s""",
            {"count": LONG - PER_TICKET, "ticket": ticket},
        )
        cursor.execute("UPDATE tickets_ticket SET last_seq = 100 + %s WHERE id = %s", [LONG, ticket])
    return int(ticket)


# Customer n has two to three tickets; a ticket's age grows with its distance from the newest one.
STATEMENTS = (
    """INSERT INTO tickets_customer (id, name, language, time_zone, tier, organisation, attributes, preferred_channel, notes,
         blocked)
       SELECT n, 'Customer ' || n, 'en', '', CASE WHEN n %% 20 = 0 THEN 'vip' ELSE '' END, '', '{}', '', '', false
       FROM generate_series(%(low)s, %(high)s) n""",
    """INSERT INTO tickets_identity (id, customer_id, kind, scope, value, verified, evidence, name)
       SELECT n, n, CASE WHEN n %% 4 = 0 THEN 'email' ELSE 'phone' END, '',
         CASE WHEN n %% 4 = 0 THEN 'customer' || n || '@example.com' ELSE '+8210' || lpad(n::text, 8, '0') END, true, 'seed', ''
       FROM generate_series(%(low)s, %(high)s) n""",
    """INSERT INTO tickets_ticket (id, number, brand_id, customer_id, subject, status, priority, team_id, assignee_id, language,
         fields, last_seq, first_reply_at, first_solved_at, solved_at, trusts_unverified, first_channel_id, last_channel_id,
         last_message_id, last_message_at, last_direction, snippet, waiting_since, created_at, updated_at)
       SELECT n, n + 1000, b.id, n, CASE WHEN n %% 4 = 0 THEN 'Question number ' || n ELSE '' END,
         CASE WHEN n %% 5 = 0 THEN (ARRAY['new', 'open', 'open', 'pending'])[1 + (n / 5) %% 4]
              WHEN n %% 5 = 1 THEN 'solved' ELSE 'closed' END,
         1 + n %% 4, t.id, a.ids[1 + n %% 40], 'en', '{}', 3, at + interval '7 minutes',
         CASE WHEN n %% 5 > 0 THEN at + interval '2 hours' END, CASE WHEN n %% 5 > 0 THEN at + interval '2 hours' END, false,
         c.ids[1 + n %% 4], c.ids[1 + n %% 4], n * 3, at + interval '30 minutes', 'in',
         'Could you look at this again please, it is number ' || n, CASE WHEN n %% 5 = 0 THEN at END, at,
         at + interval '30 minutes'
       FROM (SELECT n, now() - make_interval(secs => 31536000.0 * (%(high)s - n) / %(high)s) AS at
             FROM generate_series(%(low)s, %(high)s) n) s,
         (SELECT min(id) AS id FROM tickets_brand) b, (SELECT min(id) AS id FROM agents_team) t,
         (SELECT array_agg(id ORDER BY id) AS ids FROM agents_agent) a,
         (SELECT array_agg(id ORDER BY kind) AS ids FROM tickets_channel) c""",
    """INSERT INTO tickets_route (id, ticket_id, channel_id, identity_id, remote_thread_id, reply_address, cc, reply_token,
         last_used_at)
       SELECT id, id, first_channel_id, id, '', '', '{}', '', updated_at FROM tickets_ticket
       WHERE id BETWEEN %(low)s AND %(high)s""",
    """INSERT INTO tickets_message (id, ticket_id, seq, direction, kind, author_type, agent_id, customer_id, author_name,
         author_address, route_id, channel_id, external_id, rfc_message_id, "references", subject, text, quoted_text, html, "to",
         cc, placeholder, language, automatic, meta, state, error, created_at)
       SELECT t.id * 3 - 3 + m, t.id, m, CASE WHEN m = 2 THEN 'out' ELSE 'in' END, 'public',
         CASE WHEN m = 2 THEN 'agent' ELSE 'customer' END, CASE WHEN m = 2 THEN t.assignee_id END,
         CASE WHEN m <> 2 THEN t.customer_id END, 'Somebody', '', t.id, t.first_channel_id, 'seed-' || t.id || '-' || m, '', '{}',
         '', 'Could you look at this again please, it is number ' || t.id || '. ' || md5(t.id::text), '', '', '{}', '{}', '', 'en',
         false, '{}', CASE WHEN m = 2 THEN 'delivered' END, '', t.created_at + make_interval(mins => m * 10)
       FROM tickets_ticket t, generate_series(1, 3) m WHERE t.id BETWEEN %(low)s AND %(high)s""",
    """INSERT INTO tickets_event (ticket_id, customer_id, kind, actor_type, message_id, particulars, at)
       SELECT t.id, t.customer_id, k.kind, k.actor, t.id * 3 - 3 + k.m, '{}', t.created_at + make_interval(mins => k.m * 10)
       FROM tickets_ticket t,
         (VALUES (1, 'ticket_created', 'customer'), (1, 'message_received', 'customer'), (2, 'reply_posted', 'agent'),
                 (3, 'message_received', 'customer')) k(m, kind, actor)
       WHERE t.id BETWEEN %(low)s AND %(high)s""",
)
