"""A year of tickets in bulk, by SQL: the shape matters (states, channels, lengths), and how often words are said."""

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
        cursor.execute(
            "SELECT coalesce(max(id), 0), (SELECT coalesce(max(id), 0) FROM tickets_message) FROM tickets_ticket"
        )
        have, messages = cursor.fetchone()
        if have >= upto:
            return
        free = (messages + 2) // PER_TICKET + 1  # the first ticket whose messages have ids that nobody took meanwhile
        span = {"low": max(have + 1, free), "high": upto}
        cursor.execute("SET synchronous_commit = off")
        for statement in (*UNINDEXED, *STATEMENTS, *INDEXED):
            cursor.execute(statement, span if "%(" in statement else None)
        _check_index(cursor)
        cursor.execute("RESET synchronous_commit")
    with connection.cursor() as cursor:
        for table in ("ticket", "message", "route", "customer", "identity", "event"):
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('tickets_{table}', 'id'), (SELECT max(id) FROM tickets_{table}))"
            )
        cursor.execute("SELECT setval('ticket_number', (SELECT max(number) FROM tickets_ticket))")
        cursor.execute("VACUUM ANALYZE")


def _check_index(cursor: Any) -> None:
    """What is written here in bulk is what the triggers write."""
    cursor.execute(
        "CREATE TEMP TABLE bench_sample AS SELECT message_id, words FROM tickets_searchentry WHERE message_id % 997 = 0"
        " ORDER BY message_id DESC LIMIT 300"
    )
    cursor.execute("SELECT search_index(ARRAY(SELECT message_id FROM bench_sample))")
    cursor.execute(
        "SELECT s.words, e.words FROM bench_sample s JOIN tickets_searchentry e USING (message_id) WHERE s.words <> e.words"
    )
    if other := cursor.fetchone():
        raise RuntimeError(f"the index in bulk differs: {other}")
    cursor.execute("DROP TABLE bench_sample")


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


# Half of the messages are English, half Korean; every fourth speaks of an order.
SENTENCES = (
    "Could you look at this again please, the parcel has not come and nobody answers the phone.",
    "I would like to change the address of my order before it leaves your warehouse.",
    "The colour is not the one in the picture, and the box was open when it arrived.",
    "My order was charged twice on the same card, here is the statement of the bank.",
    "How long does the delivery to the islands take, and what does it cost?",
    "The app logs me out whenever I open the page of my orders.",
    "Thank you, that has solved it. You were very kind and quick.",
    "Is the blue one still in stock in the larger size?",
    "I have waited for two weeks now and hear nothing but excuses.",
    "Please send the invoice for this order to our bookkeeping once more.",
    "The zip broke on the first day, I enclose two pictures of it.",
    "Can I pick the order up myself at the shop in the centre of town?",
    "There is a mistake in the manual, page seven shows the wrong battery.",
    "We have looked into it and will write again tomorrow morning.",
    "Your parcel left our house today, the courier will call before noon.",
    "We are sorry for the trouble, a new one is on its way to you.",
    "Which of the two plans would you advise for a team of nine?",
    "The discount was not applied at the checkout although the code is valid.",
    "Somebody else signed for the parcel, and I do not know the name.",
    "I cannot read the label, could you tell me the model?",
    "안녕하세요 지난주에 주문한 상품이 아직 도착하지 않았어요 확인 부탁드립니다",
    "배송이 너무 늦어지고 있는데 언제쯤 받을 수 있을까요",
    "사이즈가 맞지 않아서 다른 사이즈로 교환하고 싶습니다",
    "결제가 두 번 된 것 같아요 카드 명세서를 첨부합니다",
    "주소를 잘못 적었는데 배송지를 변경할 수 있나요",
    "앱에서 로그인이 자꾸 풀려서 불편합니다",
    "친절하게 안내해 주셔서 감사합니다 잘 해결되었어요",
    "파란색 재고가 있는지 알려 주세요",
    "이 주 동안 기다렸는데 아무 연락이 없네요",
    "세금계산서를 다시 보내 주실 수 있을까요",
    "지퍼가 첫날부터 고장 났어요 사진을 보내 드립니다",
    "매장에서 직접 찾아가도 되는지 궁금합니다",
    "설명서 내용이 실제 제품과 달라요",
    "담당 부서에 확인한 뒤 내일 오전에 다시 연락드리겠습니다",
    "고객님 상품은 오늘 출고되어 내일 도착할 예정입니다",
    "불편을 드려 죄송합니다 새 상품을 바로 보내 드리겠습니다",
    "팀원이 아홉 명인데 어떤 요금제가 좋을까요",
    "할인 쿠폰이 적용되지 않았는데 주문을 취소해야 하나요",
    "다른 사람이 택배를 받아 갔다고 합니다",
    "라벨이 지워져서 모델명을 알 수 없어요",
)
# By how often a message says it: one in a hundred, one in two hundred, and ten of the oldest, however many there are.
SELDOM = ("", " 환불을 요청합니다", " I was promised a voucher.", " It smells of heliotrope.")

# While the rows come: no triggers that look each of them up, no index that is built entry by entry.
UNINDEXED = (
    *(f"ALTER TABLE tickets_{table} DISABLE TRIGGER USER" for table in ("message", "identity")),
    "DROP INDEX search_words",
    "CREATE TEMP TABLE IF NOT EXISTS bench_sentence (n int PRIMARY KEY, text text, words text[])",
    "CREATE TEMP TABLE IF NOT EXISTS bench_seldom (n int PRIMARY KEY, text text, words text[])",
    *(
        f"INSERT INTO {table} VALUES ({n}, '{text}', coalesce(search_lexemes('{text}'), '{{}}')) ON CONFLICT DO NOTHING"
        for table, texts in (("bench_sentence", SENTENCES), ("bench_seldom", SELDOM))
        for n, text in enumerate(texts)
    ),
)
INDEXED = (
    "SET maintenance_work_mem = '512MB'",
    "CREATE INDEX search_words ON tickets_searchentry USING gin (words) WITH (gin_pending_list_limit = 512)",
    "RESET maintenance_work_mem",
    *(f"ALTER TABLE tickets_{table} ENABLE TRIGGER USER" for table in ("message", "identity")),
)

# A ticket's age grows with its distance from the newest one. Phones start with 0100: those of bench/rows.py with 0109.
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
         '', s.text || ' ' || t.id || w.text, '', '', '{}', '{}', '', CASE WHEN s.n < 20 THEN 'en' ELSE 'ko' END,
         false, '{}', CASE WHEN m = 2 THEN 'delivered' END, '', t.created_at + make_interval(mins => m * 10)
       FROM tickets_ticket t CROSS JOIN generate_series(1, 3) m
         JOIN bench_sentence s ON s.n = (hashint8(t.id * 3 - 3 + m) & 2147483647) %% 40
         JOIN bench_seldom w ON w.n = CASE WHEN t.id <= 9996 AND (t.id * 3 - 3 + m) %% 2999 = 17 THEN 3
            WHEN (hashint8(t.id * 3 - 3 + m + 7) & 2147483647) %% 200 = 0 THEN 2 WHEN (hashint8(t.id * 3 - 3 + m + 9) & 2147483647) %% 100 = 0 THEN 1 ELSE 0 END
       WHERE t.id BETWEEN %(low)s AND %(high)s""",
    # The words of a sentence are taken once, and those of a ticket once for its three messages.
    """INSERT INTO tickets_searchentry (message_id, ticket_id, words)
       SELECT m, h.id, array_to_tsvector(h.words || s.words || w.words
           || ARRAY[h.id::text, '@10:' || (m >> 10), '@14:' || (m >> 14), '@18:' || (m >> 18)])
       FROM (SELECT t.id, search_lexemes(concat_ws(E'\n', t.number, t.subject, c.name, c.organisation, search_addresses(c.id),
                 '', 'Somebody')) AS words
             FROM tickets_ticket t JOIN tickets_customer c ON c.id = t.customer_id
             WHERE t.id BETWEEN %(low)s AND %(high)s) h
         CROSS JOIN LATERAL generate_series(h.id * 3 - 2, h.id * 3) m
         JOIN bench_sentence s ON s.n = (hashint8(m) & 2147483647) %% 40
         JOIN bench_seldom w ON w.n = CASE WHEN h.id <= 9996 AND m %% 2999 = 17 THEN 3 WHEN (hashint8(m + 7) & 2147483647) %% 200 = 0 THEN 2
            WHEN (hashint8(m + 9) & 2147483647) %% 100 = 0 THEN 1 ELSE 0 END""",
    """INSERT INTO tickets_event (ticket_id, customer_id, kind, actor_type, message_id, particulars, at)
       SELECT t.id, t.customer_id, k.kind, k.actor, t.id * 3 - 3 + k.m, '{}', t.created_at + make_interval(mins => k.m * 10)
       FROM tickets_ticket t,
         (VALUES (1, 'ticket_created', 'customer'), (1, 'message_received', 'customer'), (2, 'reply_posted', 'agent'),
                 (3, 'message_received', 'customer')) k(m, kind, actor)
       WHERE t.id BETWEEN %(low)s AND %(high)s""",
)
