"""The search screen: rows with what was found, pages, sentences for what cannot be done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.workspace import scene
from tickets import search
from tickets.models import Ticket

FRAGMENT = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def asked(mina):
    def ask(q, **more):
        return mina.get("/search/", {"q": q, **more}, **FRAGMENT).content.decode()

    return ask


@pytest.fixture
def says(cast, now, give_to_support):
    numbers = iter(range(1000))

    def say(text, name="Jiwoo"):
        n = next(numbers)
        who = scene.sender(name, phone=f"+8210{30000000 + n}")
        return give_to_support(scene.says(cast.sms, who, text, at=now + timedelta(seconds=n)).ticket)

    return say


def test_what_was_found_is_marked_in_its_row(says, asked):
    ticket = says("안녕하세요. 지난주에 주문한 신발을 환불해 주세요 <b>bold</b>")
    html = asked("환불은")
    assert f'id="ticket-row-{ticket.pk}"' in html
    assert "<mark>환불</mark>해 주세요 &lt;b&gt;bold&lt;/b&gt;" in html


def test_markup_in_the_query_and_in_the_message_stays_text(says, asked):
    says("try <script>alert(1)</script> now")
    html = asked('"<script>alert(1)"')
    assert "<script>alert" not in html
    assert "<mark>&lt;script&gt;alert(1)</mark>" in html


def test_an_older_message_is_shown_where_it_was_found(cast, says, asked, now):
    ticket = says("the wombat is broken")
    scene.says(cast.sms, scene.sender("Jiwoo", phone=str(ticket.customer.identities.get().value)), "Hello?", at=now)
    assert "the <mark>wombat</mark> is broken" in asked("wombat")


def test_a_page_has_its_next_and_no_ticket_twice(says, asked, monkeypatch):
    monkeypatch.setattr(search, "PAGE", 3)
    tickets = [says(f"wombat {n}") for n in range(8)]
    first = asked("wombat")
    assert first.count('class="row"') == 3
    rows, before = [], ""
    while True:
        html = asked("wombat", before=before) if before else first
        rows += [ticket.pk for ticket in reversed(tickets) if f'id="ticket-row-{ticket.pk}"' in html]
        if "before=" not in html:
            break
        before = html.split("before=")[1].split('"')[0].split("&")[0]
    assert rows == [ticket.pk for ticket in reversed(tickets)]


def test_it_takes_as_many_queries_for_many_rows_as_for_few(says, mina):
    def count(url):
        mina.get(url, **FRAGMENT)
        with CaptureQueriesContext(connection) as seen:
            assert mina.get(url, **FRAGMENT).status_code == 200
        return len(seen)

    for n in range(3):
        says(f"wombat {n}")
    few = [count("/search/?q=wombat"), count("/search/?q=is:open")]
    for n in range(30):
        says(f"wombat more {n}")
    assert [count("/search/?q=wombat"), count("/search/?q=is:open")] == few
    assert max(few) <= 20


def test_conditions_alone_are_listed_too_and_a_sort_is_obeyed(says, asked):
    first, second = says("one"), says("two")
    Ticket.objects.filter(pk=first.pk).update(priority=4)
    html = asked("is:open sort:priority")
    assert html.index(f"ticket-row-{first.pk}") < html.index(f"ticket-row-{second.pk}")
    html = asked("is:open")
    assert html.index(f"ticket-row-{second.pk}") < html.index(f"ticket-row-{first.pk}")
    assert "ticket-row" not in asked("is:open -is:open")


def test_a_search_for_nothing_holds_everything(says, asked):
    """As the browser takes it, which puts every row that changes into a list without a query."""
    tickets = [says("one"), says("two")]
    assert all(f"ticket-row-{ticket.pk}" in asked("") for ticket in tickets)


def test_with_a_mistake_nothing_is_searched(says, asked):
    says("wombat")
    assert "ticket-row" not in asked("wombat statsu:open")


def test_a_beginning_is_found_when_the_word_is_not(says, asked):
    ticket = says("my refund please")
    html = asked("refu")
    assert "words that begin so" in html
    assert f"ticket-row-{ticket.pk}" in html
    assert "<mark>refund</mark>" in html
    assert "words that begin so" not in asked("refund")


def test_a_search_that_takes_too_long_says_so(says, asked, monkeypatch):
    says("wombat")

    def slowly(*args, **more):
        with search.limited(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr(search, "LIMIT", 20)
    monkeypatch.setattr(search, "tickets", slowly)
    assert "takes too long" in asked("is:open")
    assert "takes too long" in asked("wombat")


@pytest.mark.parametrize(
    "query", ["", "   ", "\x00", "x" * 3000, "!!!", '"', "((((", "-", "이", "a OR", "%_\\", "'; DROP"]
)
@pytest.mark.parametrize("before", ["", "0", "-5", "9" * 30, "x", "1.2"])
def test_odd_queries_and_cursors_are_answered(mina, query, before):
    assert mina.get("/search/", {"q": query, "before": before}, **FRAGMENT).status_code == 200
    assert mina.get("/search/", {"q": query, "before": before}).status_code == 200


def test_the_box_reads_along(mina, cast):
    read = mina.get("/search/read/", {"q": "status:opne -tag:vip wombat", "at": 27}).json()
    assert [(one["from"], one["to"]) for one in read["problems"]] == [(0, 11)]
    assert [(one["label"], one["sentence"], one["text"]) for one in read["chips"]] == [
        ("-tag:vip", "Tags has not vip", "status:opne wombat")
    ]
    assert read["options"] == []


@pytest.mark.parametrize(
    ("typed", "label", "text"),
    [
        ("sta", "status:", "status:"),
        ("상", "status:", "status:"),
        ("status:o", "Open", "status:open"),
        ("status:", "New", "status:new"),
        ("-assignee:m", "me", "-assignee:me"),
        ("assignee:mi", "Mina", "assignee:Mina"),
        ("is:un", "unread", "is:unread"),
        ("a tag:bil", "billing", "a tag:billing"),
        ("channel:", "E-mail", "channel:email"),
        ("created>", "today", "created>today"),
        ("sort:", "waiting", "sort:waiting"),
        ("tag:vip,bi", "billing", "tag:vip,billing"),
    ],
)
def test_keys_and_values_are_suggested(mina, cast, says, typed, label, text):
    says("hello").tags.create(name="billing")
    options = mina.get("/search/read/", {"q": typed, "at": len(typed)}).json()["options"]
    assert text in [one["text"] for one in options if one["label"] == label], options
    assert all(one["at"] <= len(one["text"]) for one in options)


def test_korean_readers_are_offered_korean_keys(mina, cast):
    type(cast.agent).objects.filter(pk=cast.agent.pk).update(language="ko")
    options = mina.get("/search/read/", {"q": "상태:진", "at": 4}, headers={"accept-language": "ko"}).json()["options"]
    assert options[0]["text"] == "상태:진행중"


def test_search_is_for_people_who_are_signed_in(client, db):
    for path in ("/search/?q=a", "/search/read/?q=a"):
        assert client.get(path).status_code == 302
