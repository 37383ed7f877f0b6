from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents import presence
from agents.models import Agent
from tests import cast as people
from tests.explained import work_of
from tests.workspace import scene
from tickets import identities, live
from tickets.access import visibility_of
from tickets.models import Event, Ticket
from tickets.models.event import SYSTEM, record


def beginning() -> int:
    """The cursor of a screen that has nothing but the first event: the overlap gives it that one too."""
    return Event.objects.order_by("pk").values_list("pk", flat=True)[0]


def happened_before(ticket: Ticket, numbers: range, *, now: datetime) -> None:
    """Events of the days before, with ids below all others."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tickets_event (id, ticket_id, customer_id, kind, actor_type, particulars, at)"
            " SELECT -n, %s, %s, 'priority_changed', 'system', '{}', %s - n * interval '1 minute'"
            " FROM generate_series(%s, %s) n",
            [ticket.pk, ticket.customer_id, now - timedelta(hours=1), numbers.start, numbers.stop - 1],
        )
        cursor.execute("ANALYZE tickets_event")


def test_the_fingerprint_is_fnv_1a_of_the_ids():
    assert live.fingerprint([]) == "811c9dc5"
    assert live.fingerprint([1]) == "340ca71c"
    assert live.fingerprint([1, 2]) != live.fingerprint([12]) != live.fingerprint([2, 1])


@pytest.mark.django_db(transaction=True)
def test_an_event_with_a_lower_id_that_commits_later_is_not_missed():
    """Ids are handed out before commit: a reader of `id > cursor` alone would skip it for ever."""
    cast, now = people.assemble(), timezone.now()
    ticket = scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=now).ticket
    written, release, ids = threading.Event(), threading.Event(), []

    def slow():
        with transaction.atomic():
            ids.append(record("customer_back", ticket=ticket, by=SYSTEM, now=now).pk)
            written.set()
            release.wait(20)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    written.wait(20)
    higher = record("customer_back", ticket=ticket, by=SYSTEM, now=now).pk
    sight = visibility_of(cast.manager)
    first = live.catch_up(sight, after=0, now=now)
    assert ids[0] < higher and ids[0] not in {event["id"] for event in first["events"]}, "not committed yet"
    release.set()
    thread.join()
    second = live.catch_up(sight, after=first["newest"], now=now)
    assert ids[0] in {event["id"] for event in second["events"]}


def test_each_changed_ticket_gives_its_row_once_and_only_the_open_one_its_items(cast):
    now = timezone.now()
    tickets = scene.many(cast, 3, now=now, messages=3)
    answer = live.catch_up(visibility_of(cast.manager), after=beginning(), ticket_id=tickets[0].pk, now=now)
    rows = [event["ticket"] for event in answer["events"] if "row" in event["html"]]
    assert sorted(rows) == sorted(ticket.pk for ticket in tickets)
    with_items = {event["ticket"] for event in answer["events"] if event["html"].get("items")}
    assert with_items == {tickets[0].pk}


def test_too_far_behind_is_a_resync(cast, monkeypatch):
    now = timezone.now()
    scene.many(cast, 2, now=now)
    sight = visibility_of(cast.manager)
    assert not live.catch_up(sight, after=beginning(), now=now)["resync"]
    assert live.catch_up(sight, after=10**9, now=now)["resync"], "a cursor of another database"
    monkeypatch.setattr(live, "MOST", 1)
    assert live.catch_up(sight, after=beginning(), now=now)["resync"]
    monkeypatch.undo()
    Event.objects.filter(pk=beginning()).update(at=now - timedelta(hours=73))
    assert live.catch_up(sight, after=beginning(), now=now)["resync"]


def test_a_screen_that_was_empty_gets_the_first_minute_and_then_its_list_anew(cast):
    """Its cursor is 0: what it has missed is everything, which nobody loads for it event by event."""
    now, sight = timezone.now(), visibility_of(cast.manager)
    nothing = live.catch_up(sight, after=0, now=now)
    assert (nothing["resync"], nothing["events"], nothing["newest"]) == (False, [], 0)
    scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=now)
    soon = live.catch_up(sight, after=0, now=now + timedelta(seconds=50))
    assert [event["kind"] for event in soon["events"]][:1] == ["ticket_created"] and not soon["resync"]
    late = live.catch_up(sight, after=0, now=now + timedelta(seconds=70))
    assert (late["resync"], late["events"], late["newest"]) == (True, [], soon["newest"])


def test_only_tickets_that_one_may_see_are_too_many_and_nothing_is_loaded_to_find_that(cast, monkeypatch):
    now = timezone.now()
    scene.many(cast, 3, now=now)
    monkeypatch.setattr(live, "MOST_ROWS", 2)

    def asked(agent: Agent) -> tuple[bool, str]:
        with CaptureQueriesContext(connection) as seen:
            answer = live.catch_up(visibility_of(agent), after=beginning(), now=now)
        return answer["resync"], "".join(query["sql"] for query in seen)

    assert asked(cast.outsider)[0] is False
    too_many, sql = asked(cast.manager)
    assert too_many and "snippet" not in sql
    monkeypatch.undo()
    few_enough, sql = asked(cast.manager)
    assert not few_enough and "snippet" in sql, "a row shows it"


def test_what_was_missed_costs_the_same_however_long_the_log_is(cast):
    now, sight = timezone.now(), visibility_of(cast.manager)
    ticket = scene.says(
        cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=now - timedelta(minutes=9)
    ).ticket
    after = live.newest_id()
    scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello?", at=now)

    def asked() -> tuple[Any, Any]:
        return (
            work_of(lambda: live.catch_up(sight, after=after, ticket_id=ticket.pk, now=now)),
            work_of(Event.objects.filter(kind="priority_changed").count),
        )

    happened_before(ticket, range(1, 1001), now=now)
    few, counted = asked()
    happened_before(ticket, range(1001, 6001), now=now)
    many, counted_again = asked()
    assert many.statements == few.statements and many.rows <= few.rows < 500
    assert counted_again.rows > 3 * counted.rows, "what does grow is seen"


def test_who_sees_one_of_a_customers_newest_tickets_sees_what_happens_to_them(cast, monkeypatch):
    """However many tickets others have: each customer's are looked for by themselves, and no further than need be."""
    monkeypatch.setattr(live, "MOST_OF_CUSTOMER", 5)
    now = timezone.now()
    rare = scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=now).ticket
    many = scene.says(cast.sms, scene.sender("Kim", phone="+821099998888"), "Hello", at=now).ticket
    Ticket.objects.bulk_create(
        Ticket(number=many.number + n, brand=many.brand, customer=many.customer) for n in range(1, 31)
    )
    events = [
        record("customer_changed", ticket=None, customer_id=one.customer_id, by=SYSTEM, now=now) for one in (rare, many)
    ]
    with CaptureQueriesContext(connection) as seen:
        loaded = live.load([event.pk for event in events])
    assert [len(one.customer_tickets) for one in loaded] == [1, 5] and len(seen) == 3
    assert all(one.seen_by(visibility_of(cast.manager)) for one in loaded)
    assert not any(one.seen_by(visibility_of(cast.outsider)) for one in loaded)


def test_the_queries_of_a_catch_up_do_not_depend_on_the_events(cast):
    now, sight = timezone.now(), visibility_of(cast.manager)

    def count():
        with CaptureQueriesContext(connection) as seen:
            live.catch_up(sight, after=beginning(), now=now)
        return len(seen)

    scene.many(cast, 2, now=now)
    few = count()
    scene.many(cast, 20, now=now)
    assert count() == few


def test_customers_without_a_name_cost_no_query_each(cast):
    now, sight = timezone.now(), visibility_of(cast.manager)

    def count():
        with CaptureQueriesContext(connection) as seen:
            html = "".join(event["html"].get("row", "") for event in live.catch_up(sight, after=0, now=now)["events"])
        return len(seen), html

    for n in range(12):
        if n == 2:
            few, _ = count()
        scene.says(cast.sms, scene.sender("", phone=f"+8210300000{n:02}"), "Hello", at=now)
    many, html = count()
    assert many == few
    assert "+821030000011" in html, "their address stands for their name"


def test_a_merged_tickets_events_are_shown_in_the_survivors_thread(cast):
    now = timezone.now()
    first, second = scene.many(cast, 2, now=now)
    Ticket.objects.filter(pk=first.pk).update(merged_into=second)
    loaded = live.load(Event.objects.filter(ticket=first).values_list("pk", flat=True))
    assert {one.thread.pk for one in loaded} == {second.pk}


def test_the_missed_events_can_be_had_by_get(cast, client):
    now = timezone.now()
    ticket = scene.many(cast, 1, now=now)[0]
    client.force_login(cast.manager, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.get(f"/live/?after={beginning()}&ticket={ticket.pk}").json()
    assert {event["ticket"] for event in answer["events"]} == {ticket.pk} and not answer["resync"]
    client.force_login(cast.outsider, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(f"/live/?after={beginning()}&ticket={ticket.pk}").json()["events"] == []


def test_who_asks_without_a_socket_is_at_work(cast, client):
    """As a socket's heartbeat says it: else they would get no tickets, and lose those that they have."""
    now = timezone.now()
    Agent.objects.filter(pk=cast.agent.pk).update(presence="online", seen_at=now - timedelta(hours=1))
    client.force_login(cast.agent, backend="django.contrib.auth.backends.ModelBackend")
    client.get("/live/?after=0")
    cast.agent.refresh_from_db()
    assert presence.shown(cast.agent, now=now) == "online"
    seen = cast.agent.seen_at
    client.get("/live/?after=0")
    cast.agent.refresh_from_db()
    assert cast.agent.seen_at == seen, "once in a while is enough"


def test_who_is_joined_is_named_so_that_only_their_screens_look(cast):
    now = timezone.now()
    mine = scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=now).ticket
    other = scene.says(cast.sms, scene.sender("Kim", phone="+821099998888"), "Hello", at=now).ticket
    identities.join(mine.customer, other.customer, by=SYSTEM, reason="agent", evidence={}, now=now)
    [joined] = [
        event
        for event in live.catch_up(visibility_of(cast.manager), after=0, now=now)["events"]
        if event["kind"] == "customer_joined"
    ]
    assert (joined["customer"], joined["joined"]) == (mine.customer_id, other.customer_id)
