"""Finding tickets by words: the index keeps itself true, and finds what people type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import translation

from agents.models import Agent
from tests.cast import Cast, make_customer
from tickets import actions, grammar, search
from tickets.access import visibility_of
from tickets.conditions import Reader, asked_facts_of, matches, to_q
from tickets.models import Channel, Identity, Message, SearchEntry, Ticket
from tickets.models.event import SYSTEM
from tickets.models.ticket import next_number

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def a_ticket(
    cast: Cast, *texts: str, subject: str = "", name: str = "Jiwoo", address: str = "", **fields: Any
) -> Ticket:
    number = next_number()
    customer = make_customer(name, now=NOW, email=address or f"c{number}@mail.example")
    ticket = Ticket.objects.create(
        number=number, brand=cast.brand, customer=customer, subject=subject, first_channel=cast.email, team=cast.support,
        created_at=NOW, **fields,
    )  # fmt: skip
    for text in texts:
        say(ticket, text)
    return ticket


def say(ticket: Ticket, text: str, **fields: Any) -> Message:
    seq = Message.objects.filter(ticket=ticket).count() + 1
    message = Message.objects.create(
        **{"ticket": ticket, "seq": seq, "direction": "in", "author_type": "customer", "text": text, "created_at": NOW}
        | fields
    )
    Ticket.objects.filter(pk=ticket.pk).update(
        last_message_id=message.pk, updated_at=NOW + timedelta(seconds=message.pk)
    )
    return message


def found(text: str, agent: Agent) -> list[int]:
    """The tickets on the first page."""
    query = grammar.parse(text)
    assert not query.problems, query.problems
    reader = Reader(agent.pk, NOW)
    if search.has_words(query.tree):
        return [hit.ticket_id for hit in search.by_words(query.tree, visibility_of(agent), reader).hits]
    return list(search.tickets(query.tree, visibility_of(agent), reader).order_by("-pk").values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("said", "asked", "is_found"),
    [
        ("환불은 언제 되나요?", "환불", True),
        ("환불 부탁드려요", "환불은", True),
        ("환불요청서를 보냈습니다", "환불", True),
        ("환불요청서를 보냈습니다", "요청서", True),
        ("환불요청서를 보냈습니다", "요청서에서", True),
        ("교환해 주세요", "환불", False),
        ("김민지입니다", "김", True),
        ("고객센터", "고객센터에서는", True),
        ("한글", "한글", True),  # decomposed, as a Mac writes it
        ("配送が遅れています", "配送", True),
        ("ｶﾞｽ料金について", "ガス", True),
        ("我要退款", "退款", True),
        ("I want my REFUNDS back", "refund", True),
        ("I want my refund back", "refunds", True),
        ("I want my refund back", "refu*", True),
        ("I want my refund back", "refu", False),  # a beginning is asked for by a star, or when nothing else was found
        ("Café à Paris", "cafe", True),
        ("ＲＥＦＵＮＤ", "refund", True),
        ("order ORD-2291 please", "ORD-2291", True),
        ("call 010-1234-5678 please", "01012345678", True),
        ("call 01012345678 please", "010-1234-5678", True),
        ("call +82 10-1234-5678", "010 1234 5678".replace(" ", "-"), True),
        ("write to ana.lee@example.com", "ana.lee@example.com", True),
        ("the very exact words", '"very exact"', True),
        ("exact, though not very", '"very exact"', False),
        ("late parcel", "late -parcel", False),
        ("late parcel", "lost OR parcel", True),
    ],
)
def test_what_people_type_finds_what_was_said(cast: Cast, said: str, asked: str, is_found: bool) -> None:
    ticket = a_ticket(cast, said)
    a_ticket(cast, "nothing of the kind")
    assert found(asked, cast.agent) == ([ticket.pk] if is_found else [])


def test_words_of_a_ticket_may_stand_in_several_messages(cast: Cast) -> None:
    ticket = a_ticket(cast, "배송이 늦어요", "쿠폰을 주세요")
    a_ticket(cast, "배송만")
    assert found("배송 쿠폰", cast.agent) == [ticket.pk]


def test_number_subject_name_and_addresses_find_every_message(cast: Cast) -> None:
    ticket = a_ticket(cast, "hello", subject="취소 요청", name="김민지", address="minji@shop.example")
    Identity.objects.create(customer=ticket.customer, kind="phone", value="+821099887766")
    for asked in (
        "취소",
        "민지",
        "minji@shop.example",
        "010-9988-7766",
        "7766",
        str(ticket.number),
        f"#{ticket.number}",
    ):
        assert found(asked, cast.agent) == [ticket.pk], asked
    assert found("고객:민지", cast.agent) == found("customer:minji", cast.agent) == [ticket.pk]
    assert found("subject:취소", cast.agent) == [ticket.pk]


def test_an_edit_a_deletion_and_a_change_of_customer_change_the_index(cast: Cast) -> None:
    ticket = a_ticket(cast, "wombat", subject="platypus", name="Quokka")
    message = Message.objects.get(ticket=ticket)
    for word in ("wombat", "platypus", "quokka"):
        assert found(word, cast.agent)
    Message.objects.filter(pk=message.pk).update(text="dingo")
    Ticket.objects.filter(pk=ticket.pk).update(subject="emu")
    type(ticket.customer).objects.filter(pk=ticket.customer_id).update(name="Bilby")
    Identity.objects.filter(customer=ticket.customer).update(value="kookaburra@mail.example")
    for word in ("wombat", "platypus", "quokka"):
        assert not found(word, cast.agent)
    for word in ("dingo", "emu", "bilby", "kookaburra"):
        assert found(word, cast.agent)
    Identity.objects.filter(customer=ticket.customer).delete()
    assert not found("kookaburra", cast.agent)
    Message.objects.filter(pk=message.pk).update(deleted_at=NOW)
    assert not found("dingo", cast.agent)
    assert not SearchEntry.objects.filter(message=message.pk).exists()
    Message.objects.filter(pk=message.pk).update(deleted_at=None)
    assert found("dingo", cast.agent)
    Message.objects.filter(pk=message.pk).delete()
    assert not SearchEntry.objects.exists()


def test_rows_that_come_in_bulk_and_by_hand_are_found(cast: Cast) -> None:
    ticket = a_ticket(cast, "first")
    Message.objects.bulk_create(
        Message(ticket=ticket, seq=10 + n, direction="in", author_type="customer", text=f"bulk{n}", created_at=NOW)
        for n in range(3)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tickets_message SET text = 'handmade ' || seq WHERE ticket_id = %s AND seq > 10", [ticket.pk]
        )
    assert found("bulk0", cast.agent) == found("handmade", cast.agent) == [ticket.pk]
    assert not found("bulk1", cast.agent)


def test_what_the_system_says_is_not_found_but_a_note_is(cast: Cast) -> None:
    ticket = a_ticket(cast, "hello")
    say(ticket, "automatism", kind="system", author_type="system")
    say(ticket, "innuendo", kind="note", direction="out", author_type="agent", agent=cast.agent)
    assert not found("automatism", cast.agent)
    assert found("innuendo", cast.agent) == [ticket.pk]


def test_a_merge_is_found_as_the_one_that_speaks_and_comes_apart_again(cast: Cast) -> None:
    first, second, third = (a_ticket(cast, word) for word in ("wombat", "dingo", "emu"))
    with transaction.atomic():
        actions.merge(first, into=second, by=SYSTEM, now=NOW)
        actions.merge(second, into=third, by=SYSTEM, now=NOW)
    assert found("wombat", cast.agent) == found("dingo", cast.agent) == [third.pk]
    say(first, "quokka")
    assert found("quokka", cast.agent) == [third.pk]
    actions.unmerge(second, by=SYSTEM, now=NOW)
    assert found("wombat", cast.agent) == found("quokka", cast.agent) == [second.pk]


def test_nobody_finds_what_they_may_not_see(cast: Cast) -> None:
    ours = a_ticket(cast, "환불 wombat")
    theirs = a_ticket(cast, "환불 wombat")
    Ticket.objects.filter(pk=theirs.pk).update(team=cast.billing)
    assert found("wombat", cast.agent) == found("환불", cast.agent) == [ours.pk]
    assert found("wombat", cast.outsider) == [theirs.pk]
    assert found("wombat", cast.manager) == [theirs.pk, ours.pk]
    cast.manager.is_active = False
    assert found("wombat", cast.manager) == []


def test_the_newest_hit_comes_first_and_each_ticket_once_over_all_pages(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PAGE", 7)
    made = [a_ticket(cast, f"common {n}") for n in range(40)]
    for ticket in made[:20:3]:
        say(ticket, "common again")
    seen, before = [], 0
    query = grammar.parse("common").tree
    while True:
        page = search.by_words(query, visibility_of(cast.agent), Reader(cast.agent.pk, NOW), before=before)
        seen += page.hits
        before = page.after
        if not before:
            break
    newest = {ticket.pk: max(Message.objects.filter(ticket=ticket).values_list("pk", flat=True)) for ticket in made}
    assert [hit.ticket_id for hit in seen] == sorted(newest, key=lambda pk: -newest[pk])
    assert all(hit.message_id == newest[hit.ticket_id] for hit in seen)


def test_a_page_reaches_back_over_every_window(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hit among the newest thousand, and others 20,000 and 400,000 messages before it."""
    places = [5, 1_000_000, 1_380_000, 1_400_000]
    for n, pk in enumerate(places):
        ticket = a_ticket(cast)
        say(ticket, "wombat and dingo" if n else "wombat", pk=pk)
    hits = search.by_words(grammar.parse("wombat").tree, visibility_of(cast.agent), Reader(cast.agent.pk, NOW)).hits
    assert [hit.message_id for hit in hits] == places[::-1]
    monkeypatch.setattr(search, "PAGE", 2)
    first = search.by_words(grammar.parse("wombat dingo").tree, visibility_of(cast.agent), Reader(cast.agent.pk, NOW))
    assert [hit.message_id for hit in first.hits] == places[:1:-1]
    second = search.by_words(
        grammar.parse("wombat").tree, visibility_of(cast.agent), Reader(cast.agent.pk, NOW), before=first.after
    )
    assert [hit.message_id for hit in second.hits] == places[1::-1]


def test_what_takes_too_long_is_given_up_and_said(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "LIMIT", 20)
    with pytest.raises(search.TooSlow), search.limited(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(5)")
    assert found("anything", cast.agent) == []  # the connection goes on


def test_a_beginning_is_tried_when_the_word_is_not_found(cast: Cast) -> None:
    query = search.begun(grammar.parse("refu 환불 tag:vip"))
    assert query is not None
    with translation.override("en"):
        assert query.text() == "refu* 환불 tag:vip"
    assert search.begun(grammar.parse("환불 tag:vip")) is None


@pytest.mark.parametrize(
    "text",
    [
        "wombat", "환불은", "-wombat", '"wombat eats"', "wombat OR tag:vip", "is:open", "is:unread", "-is:unread", "is:snoozed",
        "is:mine", "is:unassigned", "is:breached", "sla:<1h", "sla:running", "csat<=2", "csat>=4", "-csat>=4", "has:attachment",
        "has:note", "-has:note", "created>7d", "created:2026-11-20", "updated<2026-11-20", "created>=today", "to:help@", "customer:민지",
        "-customer:민지", "field.order:123", "-field.order:123", "field.contains:x", "#1", "channel:email", "subject:취소", "created:..2026-11-19",
    ],
)  # fmt: skip
def test_the_predicate_agrees_with_the_query(cast: Cast, text: str) -> None:
    """What a search asks beyond a rule, over tickets of every sort."""
    plain = a_ticket(cast, "wombat eats", status="open")
    other = a_ticket(cast, "환불", subject="취소", name="김민지", status="solved", assignee=cast.agent, csat=2, last_direction="in",
                     fields={"order": 123}, snoozed_until=NOW + timedelta(days=1))  # fmt: skip
    third = a_ticket(cast, "hello", csat=5, fields={"order": "123", "contains": "x"}, last_direction="in")
    actions.change_tags(plain, add=["vip"], by=SYSTEM, now=NOW)
    note = say(plain, "a note", kind="note", direction="out", author_type="agent", agent=cast.agent)
    note.attachments.create(name="a.pdf", state="stored")
    actions.mark_read(third, agent=cast.agent, message_id=Ticket.objects.get(pk=third.pk).last_message_id, now=NOW)
    for ticket, due, breached in ((plain, timedelta(minutes=30), None), (other, -timedelta(days=1), NOW)):
        ticket.clocks.create(metric="next_reply", seconds=60, started_at=NOW, due_at=NOW + due, breached_at=breached)
    tree, reader = grammar.parse(text).tree, Reader(cast.agent.pk, NOW)
    by_query = set(Ticket.objects.filter(to_q(tree, reader)).values_list("pk", flat=True))
    every = Ticket.objects.select_related("customer", "first_channel")
    assert by_query == {one.pk for one in every if matches(tree, asked_facts_of(one, reader), reader).matched}
    assert (
        len(by_query) < 3
        or "-" in text
        or text in ("to:help@", "created:2026-11-20", "created>=today", "created>7d", "channel:email")
    )


def test_the_channel_is_asked_by_its_address_too(cast: Cast) -> None:
    ticket = a_ticket(cast, "hello")
    assert Channel.objects.get(pk=ticket.first_channel_id).address == "help@shop.example"
    assert found("to:help@shop", cast.agent) == [ticket.pk]
