"""A sweep of clocks costs what is due: neither what is closed, nor a statement for each breach."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Calendar, CalendarWindow
from tests import cast
from tests.explained import Work, work_of
from tickets.models import Event, Outbox, SlaClock, SlaPolicy, SlaTarget, SlaWarning, Ticket, Webhook
from tickets.models.ticket import next_number
from tickets.sla import clocks

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)  # noon on a Friday in Seoul
SMALL, LARGE = 1500, 6000  # closed clocks


@pytest.fixture
def policy() -> SlaPolicy:
    calendar = Calendar.objects.create(name="Office", time_zone="Asia/Seoul", is_default=True)
    CalendarWindow.objects.bulk_create(
        CalendarWindow(calendar=calendar, weekday=day, opens=time(9), closes=time(18)) for day in range(5)
    )
    policy = SlaPolicy.objects.create(name="Standard", calendar=calendar, warn_percents=[50])
    SlaTarget.objects.create(policy=policy, metric="first_reply", priority=2, seconds=3600)
    return policy


@pytest.fixture
def tickets(policy: SlaPolicy) -> list[Ticket]:
    """Forty of them wait, each with its clock."""
    people = cast.assemble()
    customer = cast.make_customer(now=NOW)
    made = Ticket.objects.bulk_create(
        Ticket(
            number=next_number(), brand=people.brand, customer=customer, first_channel=people.sms, waiting_since=NOW,
            created_at=NOW, updated_at=NOW,
        )
        for _n in range(40)
    )  # fmt: skip
    for ticket in made:
        clocks.customer_wrote(ticket, now=NOW)
    return made


def close(count: int, tickets: list[Ticket], policy: SlaPolicy) -> None:
    """So many more promises that were kept or broken long ago."""
    before = SlaClock.objects.filter(ended_at__isnull=False).count()
    past = NOW - timedelta(days=30)
    SlaClock.objects.bulk_create(
        SlaClock(
            ticket=tickets[n % len(tickets)], metric="first_reply", cycle=2 + n // len(tickets), policy=policy,
            calendar=policy.calendar, seconds=3600, started_at=past, due_at=past + timedelta(hours=1), ended_at=past,
            state=("met", "cancelled")[n % 2], breached_at=past if n % 3 == 0 else None,
        )
        for n in range(before, before + count)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tickets_slaclock, tickets_slawarning, tickets_ticket, agents_calendar")


def late_sweep(moment: datetime) -> tuple[Work, int]:
    """What it costs and how many it wrote; taken back afterwards, so that the next one finds the same."""
    written: list[int] = []
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT before")
        work = work_of(lambda: written.append(clocks.sweep(now=moment)))
        cursor.execute("ROLLBACK TO before")
    return work, written[0]


def test_the_cost_of_a_sweep_does_not_grow_with_the_clocks_that_are_closed(
    tickets: list[Ticket], policy: SlaPolicy
) -> None:
    idle, due = NOW + timedelta(minutes=1), NOW + timedelta(hours=3)
    close(SMALL, tickets, policy)
    few = late_sweep(idle), late_sweep(due)
    count = work_of(SlaClock.objects.filter(state="met").count)
    close(LARGE - SMALL, tickets, policy)
    many = late_sweep(idle), late_sweep(due)
    assert [written for _work, written in few] == [written for _work, written in many] == [0, 80]
    for (before, written), (after, _) in zip(few, many, strict=True):
        assert after.rows <= before.rows
        assert after.pages <= before.pages + 2 * written + 10  # an index is a level deeper
    assert work_of(SlaClock.objects.filter(state="met").count).rows > 3 * count.rows  # what does grow is seen


def test_many_breaches_are_written_by_as_many_statements_as_a_few(tickets: list[Ticket]) -> None:
    Webhook.objects.create(url="https://receiver.example/", events=["sla_breached"], secrets={"current": "whsec_x"})
    ids = list(SlaClock.objects.order_by("id").values_list("pk", flat=True))
    SlaClock.objects.filter(pk__in=ids[3:]).update(due_at=NOW + timedelta(hours=20))
    SlaWarning.objects.all().delete()
    counts = []
    for hours in (2, 30):
        with CaptureQueriesContext(connection) as asked:
            counts.append((clocks.sweep(now=NOW + timedelta(hours=hours)), len(asked)))
    assert [written for written, _ in counts] == [3, 37]
    assert counts[0][1] == counts[1][1]
    told = Event.objects.filter(kind="sla_breached").values_list("particulars__clock", flat=True)
    assert sorted(told) == ids
    assert Outbox.objects.filter(kind="webhook").count() == len(ids)
    for event in Event.objects.filter(kind="sla_breached"):
        clock = SlaClock.objects.get(pk=event.particulars["clock"])
        assert (event.ticket_id, event.customer_id) == (clock.ticket_id, clock.ticket.customer_id)
        assert event.at == clock.breached_at
        assert event.particulars["late_seconds"] == (clock.breached_at - clock.due_at).total_seconds()
