"""Two who hold different rows of one ticket never wait for each other for ever (docs/decisions/0001)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Event as Signal
from threading import Thread

import pytest
from django.db import connection, transaction

from tests import cast
from tickets import actions
from tickets.models import SlaClock, Ticket
from tickets.models.event import SYSTEM
from tickets.models.ticket import lock_survivor, next_number
from tickets.sla import clocks

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


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
