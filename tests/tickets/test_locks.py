"""Two who hold different rows of one ticket never wait for each other for ever (docs/decisions/0001)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event as Signal
from threading import Thread
from time import monotonic
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from tests import cast
from tests.scripted import Stage
from tests.workspace import scene
from tickets import actions, consumers, delivery, identities, queue, replies
from tickets.contract import Receipt
from tickets.models import DeliveryAttempt, DeliveryPart, Message, SlaClock, Ticket
from tickets.models.event import SYSTEM
from tickets.models.ticket import lock_survivor, next_number
from tickets.sla import clocks

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def beside(run: Callable[[], None]) -> tuple[Thread, list[BaseException]]:
    """Run it in a thread of its own, with a connection of its own; what it raises is kept."""
    raised: list[BaseException] = []

    def go() -> None:
        try:
            run()
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    thread = Thread(target=go)
    thread.start()
    return thread, raised


def waits_for_a_lock() -> None:
    """Until some other connection of this database waits for one."""
    until = monotonic() + 20
    while monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
    pytest.fail("nobody waits")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("undo", [False, True])
def test_a_join_and_a_message_of_the_same_customer_do_not_wait_for_each_other(  # type: ignore[no-untyped-def]
    monkeypatch, undo
) -> None:
    """The message has found its customer and not yet its ticket; then somebody joins, and then it goes on."""
    people, now = cast.assemble(), timezone.now()
    jiwoo, other = scene.sender("Jiwoo", phone="+821011112222"), scene.sender("J", phone="+821033334444")
    ticket = scene.says(people.sms, jiwoo, "Hello", at=now - timedelta(minutes=5)).ticket
    survivor = scene.says(people.sms, other, "Hello", at=now - timedelta(minutes=5)).ticket.customer
    journal = None
    if undo:
        journal = identities.join(survivor, ticket.customer, by=SYSTEM, reason="agent", evidence={}, now=now)
    resolved, go_on = Signal(), Signal()

    def pause(point: str) -> None:
        if point == "ingest.customer":
            resolved.set()
            go_on.wait(20)

    monkeypatch.setattr("tickets.ingest.crash_here", pause)
    writing, failed_to_write = beside(lambda: scene.says(people.sms, jiwoo, "And?", at=now) and None)
    assert resolved.wait(20)

    def join() -> None:
        if journal:
            identities.undo_join(journal, by=SYSTEM, now=now)
        else:
            identities.join(survivor, ticket.customer, by=SYSTEM, reason="agent", evidence={}, now=now)

    joining, failed_to_join = beside(join)
    waits_for_a_lock()
    go_on.set()
    writing.join(20)
    joining.join(20)
    assert (failed_to_write, failed_to_join) == ([], [])
    ticket.refresh_from_db()
    assert (ticket.customer == survivor) is not undo
    assert Message.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_late_answer_of_the_provider_and_a_receipt_do_not_wait_for_each_other(scripted) -> None:  # type: ignore[no-untyped-def]
    """The worker lost its claim and writes what it knows, while a receipt holds the ticket and wants the part."""
    stage = Stage(timezone.now())
    message = replies.post(
        stage.ticket, agent=stage.mina, text="Hi", route=stage.route, client_uuid=uuid4(), seen_message_id=None,
        now=stage.now,
    )  # fmt: skip
    part = DeliveryPart.objects.get(message=message)
    attempt = DeliveryAttempt.objects.create(part=part, n=1, phase="committed")
    DeliveryPart.objects.filter(pk=part.pk).update(state="uncertain")
    lost = queue.Claim(id=part.pk, owner=uuid4(), attempts=1, taken_over=False)
    with transaction.atomic():
        lock_survivor(stage.ticket.pk)
        sending, failed = beside(
            lambda: delivery._sent(part, lost, attempt, provider_id="p1", state="sent", now=stage.now)
        )
        waits_for_a_lock()
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '3s'")
        receipt = Receipt("delivered", part_uuid=str(part.send_uuid))
        assert delivery.apply_receipt(stage.channel, receipt, now=stage.now) == message.pk
    sending.join(20)
    assert failed == []
    part.refresh_from_db()
    assert (part.state, part.provider_id) == ("delivered", "p1")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lock", [actions.lock, lock_survivor])
def test_a_sweep_writes_its_breach_while_somebody_else_holds_the_ticket(lock) -> None:  # type: ignore[no-untyped-def]
    ticket = Ticket.objects.create(number=next_number(), brand=cast.make_brand(), customer=cast.make_customer(now=NOW))
    SlaClock.objects.create(
        ticket=ticket, metric="first_reply", seconds=60, started_at=NOW, due_at=NOW + timedelta(minutes=1)
    )
    held, done = Signal(), Signal()

    def hold() -> None:
        try:
            with transaction.atomic():
                lock(ticket.pk)
                held.set()
                done.wait(20)
        finally:
            connection.close()

    holder = Thread(target=hold)
    holder.start()
    assert held.wait(20)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '3s'")
            assert clocks.sweep(now=NOW + timedelta(minutes=2)) == 1
    finally:
        done.set()
        holder.join()
    assert ticket.events.filter(kind="sla_breached", actor_type=SYSTEM.type).count() == 1


@contextmanager
def looked_at(agent: Agent) -> Iterator[None]:
    """Routing holds the rows of those whom it looks at."""
    held, go_on = Signal(), Signal()

    def look() -> None:
        with transaction.atomic():
            Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
            held.set()
            go_on.wait(20)

    looking, failed = beside(look)
    assert held.wait(20)
    try:
        yield
    finally:
        go_on.set()
        looking.join(20)
    assert failed == []


@pytest.mark.django_db(transaction=True)
def test_whoever_arrives_waits_for_nobody_who_looks_at_them() -> None:
    """The next heartbeat notes who came meanwhile."""
    mina, before = cast.assemble().agent, timezone.now() - timedelta(hours=1)
    Agent.objects.filter(pk=mina.pk).update(seen_at=before)
    with looked_at(mina):
        arriving, failed = beside(lambda: consumers.arrive(mina.pk) and None)
        arriving.join(10)
        waited = arriving.is_alive()
    arriving.join(20)
    assert not waited and failed == []
    mina.refresh_from_db()
    assert mina.seen_at == before
    consumers.arrive(mina.pk)
    mina.refresh_from_db()
    assert mina.seen_at > before


@pytest.mark.django_db(transaction=True)
def test_whoever_types_waits_for_nobody_who_looks_at_them_and_tells_it_again(client: Client) -> None:
    mina = cast.assemble().agent
    client.force_login(mina)
    told: list[int] = []
    with looked_at(mina):
        typing, failed = beside(lambda: told.append(client.post(reverse("my_activity")).status_code))
        typing.join(10)
        waited = typing.is_alive()
    typing.join(20)
    assert not waited and failed == [] and told == [503]
    assert client.post(reverse("my_activity")).status_code == 204
