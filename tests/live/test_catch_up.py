from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents import presence
from agents.models import Agent
from tests import cast as people
from tests.workspace import scene
from tickets import identities, live
from tickets.access import visibility_of
from tickets.models import Event, Ticket
from tickets.models.event import SYSTEM, record


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
    answer = live.catch_up(visibility_of(cast.manager), after=0, ticket_id=tickets[0].pk, now=now)
    rows = [event["ticket"] for event in answer["events"] if "row" in event["html"]]
    assert sorted(rows) == sorted(ticket.pk for ticket in tickets)
    with_items = {event["ticket"] for event in answer["events"] if event["html"].get("items")}
    assert with_items == {tickets[0].pk}


def test_too_far_behind_is_a_resync(cast, monkeypatch):
    now = timezone.now()
    scene.many(cast, 2, now=now)
    sight = visibility_of(cast.manager)
    oldest = Event.objects.order_by("pk").first()
    Event.objects.filter(pk=oldest.pk).update(at=now - timedelta(hours=73))
    assert live.catch_up(sight, after=oldest.pk, now=now)["resync"]
    assert live.catch_up(sight, after=10**9, now=now)["resync"], "a cursor of another database"
    monkeypatch.setattr(live, "MOST", 1)
    assert live.catch_up(sight, after=0, now=now)["resync"]
    monkeypatch.undo()
    assert not live.catch_up(sight, after=0, now=now)["resync"]


def test_the_queries_of_a_catch_up_do_not_depend_on_the_events(cast):
    from django.db import connection as db
    from django.test.utils import CaptureQueriesContext

    now, sight = timezone.now(), visibility_of(cast.manager)

    def count():
        with CaptureQueriesContext(db) as seen:
            live.catch_up(sight, after=0, now=now)
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
    answer = client.get(f"/live/?after=0&ticket={ticket.pk}").json()
    assert {event["ticket"] for event in answer["events"]} == {ticket.pk} and not answer["resync"]
    client.force_login(cast.outsider, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(f"/live/?after=0&ticket={ticket.pk}").json()["events"] == []


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
