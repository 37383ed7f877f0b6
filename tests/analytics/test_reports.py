"""The numbers, by hand, and the tickets behind each of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from analytics import queries
from analytics.models import Answer, Survey
from analytics.queries import Scope
from tests import cast
from tests.cast import Cast
from tickets import actions
from tickets.access import visibility_of
from tickets.models import Ticket
from tickets.models.event import by_agent
from tickets.models.ticket import next_number

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


def made(people: Cast, *, at: datetime, reply: int | None = None, kind: str = "sms", **fields: Any) -> Ticket:
    """A ticket; `reply` in minutes after it."""
    return Ticket.objects.create(
        number=next_number(), brand=people.brand, customer=cast.make_customer(now=at), team=people.support, status="open",
        first_channel=people.channels[kind], created_at=at, first_reply_at=at + timedelta(minutes=reply) if reply else None,
        **fields,
    )  # fmt: skip


def scope(people: Cast, *, channel: str = "", agent: Any = None, days: int = 30) -> Scope:
    eyes = visibility_of(agent or people.manager)
    return Scope(eyes, START, START + timedelta(days=days), ZoneInfo("Asia/Seoul"), channel)


def rate(ticket: Ticket, people: Cast, score: int, *, at: datetime) -> None:
    survey = Survey.objects.create(
        ticket=ticket, channel=ticket.first_channel, solve_event_id=next_number(), token=f"t{next_number()}",
        sent_at=at, expires_at=at + timedelta(days=30),
    )  # fmt: skip
    if score:
        Answer.objects.create(survey=survey, score=score, answered_at=at)


def test_first_reply_time_is_median_and_p90_and_counts_those_that_wait(people: Cast) -> None:
    for minutes in (5, 10, 15, 20, 100):
        made(people, at=START + timedelta(days=1), reply=minutes)
    made(people, at=START + timedelta(days=1))
    made(people, at=START - timedelta(days=1), reply=1)  # of another period
    speed = queries.first_reply_time(scope(people))
    assert (speed.median, speed.n, speed.waiting) == (15 * 60, 5, 1)
    assert speed.p90 == pytest.approx(68 * 60)  # between 20 and 100 by percentile_cont


def test_a_three_is_not_satisfied_and_a_small_n_shows_its_interval(people: Cast) -> None:
    ticket = made(people, at=START, reply=3)
    for score in (5, 4, 3, 1, 0):
        rate(ticket, people, score, at=START + timedelta(days=2))
    csat = queries.satisfaction(scope(people))
    assert (csat.share, csat.n, csat.sent, csat.answered) == (0.5, 4, 5, 4)
    assert csat.low == pytest.approx(0.15, abs=0.01)
    assert csat.high == pytest.approx(0.85, abs=0.01)


def test_a_family_counts_as_one_with_its_earliest_beginning_and_first_reply(people: Cast) -> None:
    """The golden case of a merge: A 10:00 answered 10:20, B 10:05 answered 10:15, A merged into B."""
    ten = START.replace(hour=10)
    a = made(people, at=ten, reply=20)
    b = made(people, at=ten + timedelta(minutes=5), reply=10)
    actions.merge(a, into=b, by=by_agent(people.agent), now=ten + timedelta(minutes=30))
    assert queries.created(scope(people)).count() == 1
    assert queries.first_reply_time(scope(people)).median == 15 * 60
    assert queries.solved(scope(people)).count() == 0
    actions.unmerge(a, by=by_agent(people.agent), now=ten + timedelta(minutes=40))
    assert queries.created(scope(people)).count() == 2
    assert queries.first_reply_time(scope(people)).median == 15 * 60  # of 20 and 10


def test_a_family_that_began_before_the_period_is_not_of_it_and_one_within_is_though_its_survivor_is_younger(
    people: Cast,
) -> None:
    period = scope(people)
    by, earlier, later = by_agent(people.agent), period.since - timedelta(hours=1), period.until + timedelta(hours=1)
    old, young = made(people, at=earlier), made(people, at=START)
    actions.merge(old, into=young, by=by, now=later)
    assert queries.created(period).count() == 0
    first, last = made(people, at=START), made(people, at=later)
    actions.merge(first, into=last, by=by, now=later)
    assert [ticket.pk for ticket in queries.created(period)] == [last.pk]


def test_merged_tickets_do_not_make_a_report_read_the_whole_table(people: Cast) -> None:
    a, b = made(people, at=START), made(people, at=START)
    actions.merge(a, into=b, by=by_agent(people.agent), now=START)
    Ticket.objects.bulk_create(
        Ticket(
            number=next_number(), brand=people.brand, customer=a.customer, first_channel=people.sms,
            created_at=START - timedelta(hours=n),
        )
        for n in range(1, 4000)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE tickets_ticket")
    plan = queries.created(scope(people, days=1)).explain()
    assert "ticket_by_created" in plan and "Seq Scan on tickets_ticket  (" not in plan, plan


def test_a_reopened_ticket_is_not_solved_and_one_solved_again_keeps_its_first_solve(people: Cast) -> None:
    ticket, day = made(people, at=START, reply=1), timedelta(days=1)
    by = by_agent(people.agent)
    actions.solve(ticket, by=by, now=START + day)
    assert queries.solved(scope(people)).count() == 1
    actions.reopen(ticket, by=by, now=START + 2 * day)
    assert queries.solved(scope(people)).count() == 0
    actions.solve(ticket, by=by, now=START + 40 * day)
    assert queries.solved(scope(people)).count() == 1


def test_a_solve_taken_back_by_undo_leaves_no_trace(people: Cast) -> None:
    ticket = made(people, at=START, reply=1)
    event = actions.solve(ticket, by=by_agent(people.agent), now=START + timedelta(hours=1))
    assert event is not None
    actions.undo_status(ticket, event=event, by=by_agent(people.agent), now=START + timedelta(hours=1, seconds=5))
    ticket.refresh_from_db()
    assert (ticket.status, ticket.first_solved_at, ticket.solved_at) == ("open", None, None)


def test_numbers_by_channel_go_where_the_ticket_began(people: Cast) -> None:
    made(people, at=START, reply=4, kind="sms")
    made(people, at=START, reply=8, kind="email")
    made(people, at=START, kind="email")
    rows = {row["kind"]: row for row in queries.by_channel(scope(people))}
    assert (rows["email"]["created"], rows["email"]["median"], rows["sms"]["created"]) == (2, 480, 1)
    assert queries.created(scope(people, channel="email")).count() == 2


def test_a_rating_goes_where_the_ticket_began_and_a_channel_without_answers_is_shown(
    people: Cast, client: Client
) -> None:
    now = timezone.now()
    ticket = made(people, at=now - timedelta(hours=2), reply=4, kind="sms")
    made(people, at=now - timedelta(hours=1), kind="whatsapp")
    rate(ticket, people, 5, at=now)
    Survey.objects.update(channel=people.email)  # the customer had moved to mail
    client.force_login(people.manager)
    page = client.get("/reports/")
    rows = {row["kind"]: row for row in page.context["by_channel"]}
    assert set(rows) == {"sms", "whatsapp"}
    assert (rows["sms"]["share"], rows["whatsapp"]["median"]) == (1.0, None)
    assert client.get("/reports/?channel=sms").context["csat"].n == 1
    assert client.get("/reports/?channel=email").context["csat"].n == 0


def test_days_are_those_of_the_workspace(people: Cast) -> None:
    made(people, at=datetime(2026, 11, 2, 16, 0, tzinfo=UTC))  # the 3rd in Seoul
    days = {day.strftime("%m-%d"): made_then for day, made_then, _solved in queries.per_day(scope(people, days=5))}
    assert (days["11-02"], days["11-03"]) == (0, 1)


def test_nobody_counts_what_they_may_not_see(people: Cast) -> None:
    made(people, at=START)
    assert queries.created(scope(people, agent=people.agent)).count() == 1
    assert queries.created(scope(people, agent=people.outsider)).count() == 0


def test_every_number_opens_its_tickets_and_they_are_as_many(people: Cast, client: Client) -> None:
    now = timezone.now()
    for minutes in (3, 6):
        made(people, at=now - timedelta(hours=1), reply=minutes)
    made(people, at=now - timedelta(hours=1))
    client.force_login(people.manager)
    page = client.get("/reports/?period=7d")
    assert page.status_code == 200
    assert (page.context["made"], page.context["speed"].waiting) == (3, 1)
    for metric, wanted in {"created": 3, "answered": 2, "waiting": 1, "solved": 0, "rated": 0}.items():
        found = client.get(page.context["links"][metric])
        assert (found.context["total"], len(found.context["tickets"])) == (wanted, wanted), metric


def test_the_numbers_of_a_channel_open_the_tickets_that_began_there(people: Cast, client: Client) -> None:
    now = timezone.now()
    for kind, reply in (("sms", 3), ("sms", None), ("email", 5)):
        made(people, at=now - timedelta(hours=1), reply=reply, kind=kind)
    client.force_login(people.manager)
    page = client.get("/reports/?period=7d")
    (row,) = [row for row in page.context["by_channel"] if row["kind"] == "sms"]
    for metric, wanted in {"created": 2, "answered": 1, "solved": 0, "rated": 0}.items():
        assert client.get(row["links"][metric]).context["total"] == wanted, metric
        assert wanted == 0 or row["links"][metric].replace("&", "&amp;") in page.content.decode()


def test_reports_are_for_managers(people: Cast, client: Client) -> None:
    assert client.get("/reports/").status_code == 302
    client.force_login(people.agent)
    assert client.get("/reports/").status_code == 403
    assert client.get("/reports/tickets/created/").status_code == 403


def test_the_report_asks_as_many_questions_for_fifty_tickets_as_for_five(people: Cast, client: Client) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client.force_login(people.manager)
    counts = []
    for rows in (5, 45):
        for n in range(rows):
            made(people, at=timezone.now() - timedelta(hours=n % 20 + 1), reply=n + 1)
        for path in ("/reports/?period=30d", "/reports/tickets/created/?period=30d"):
            client.get(path)
            with CaptureQueriesContext(connection) as asked:
                client.get(path)
            counts.append(len(asked))
    assert counts[:2] == counts[2:]
