"""Asked once, answered by POST only, credited to whoever solved it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from analytics import surveys
from analytics.models import Answer, Survey
from tests import cast
from tests.cast import Cast
from tickets import actions
from tickets.models import Event, Identity, Message, Route, Ticket
from tickets.models.event import by_agent
from tickets.models.ticket import next_number

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


def solved_ticket(people: Cast, *, now: datetime, answered: bool = True, language: str = "ko") -> Ticket:
    customer = cast.make_customer(now=now, phone=f"+8210{next_number():08d}")
    ticket = Ticket.objects.create(
        number=next_number(), brand=people.brand, customer=customer, team=people.support, assignee=people.agent, status="open",
        first_channel=people.sms, last_channel=people.sms, language=language, created_at=now - timedelta(hours=1), last_seq=2,
    )  # fmt: skip
    route = Route.objects.create(ticket=ticket, channel=people.sms, identity=customer.identities.get())
    common: dict[str, Any] = {"ticket": ticket, "route": route, "channel": people.sms, "created_at": now}
    Message.objects.create(seq=1, direction="in", author_type="customer", text="?", customer=customer, **common)
    if answered:
        Message.objects.create(seq=2, direction="out", author_type="agent", text="!", agent=people.agent, **common)
    actions.solve(ticket, by=by_agent(people.agent), now=now)
    return ticket


def asked(ticket: Ticket) -> Survey:
    return Survey.objects.get(ticket=ticket)


def test_a_solve_is_asked_about_once_after_its_moment_of_grace(people: Cast) -> None:
    now = timezone.now()
    ticket = solved_ticket(people, now=now)
    assert surveys.sweep(now=now + timedelta(seconds=5)) == 0
    later = now + surveys.DELAY
    assert surveys.sweep(now=later) == 1
    assert surveys.sweep(now=later) == 0
    survey = asked(ticket)
    message = Message.objects.get(pk=survey.message_id)
    assert (message.author_type, message.automatic) == ("bot", True)
    assert f"/survey/{survey.token}" in message.text
    assert (survey.agent, survey.channel) == (people.agent, people.sms)
    ticket.refresh_from_db()
    assert ticket.status == "solved"


@pytest.mark.parametrize("why", ["no_conversation", "blocked", "not_solved_any_more", "asked_recently"])
def test_who_is_not_asked_has_a_reason(people: Cast, why: str) -> None:
    now = timezone.now()
    ticket = solved_ticket(people, now=now, answered=why != "no_conversation")
    if why == "blocked":
        ticket.customer.blocked = True
        ticket.customer.save()
    elif why == "not_solved_any_more":
        actions.reopen(ticket, by=by_agent(people.agent), now=now)
    elif why == "asked_recently":
        surveys.sweep(now=now + surveys.DELAY)
        actions.reopen(ticket, by=by_agent(people.agent), now=now + timedelta(minutes=1))
        actions.solve(ticket, by=by_agent(people.agent), now=now + timedelta(minutes=2))
        assert surveys.sweep(now=now + timedelta(minutes=3)) == 0
        assert Survey.objects.order_by("-id")[0].skipped == why
        return
    assert surveys.sweep(now=now + surveys.DELAY) == 0
    assert asked(ticket).skipped == why


@pytest.mark.parametrize("why", ["window_closed", "bounced"])
def test_who_cannot_be_asked_does_not_keep_the_others_from_being_asked(people: Cast, why: str) -> None:
    now = timezone.now()
    unreachable, other = solved_ticket(people, now=now), solved_ticket(people, now=now)
    if why == "window_closed":  # a template could still go, plain words cannot
        Route.objects.filter(ticket=unreachable).update(channel=people.whatsapp, window_expires_at=now)
    else:
        unreachable.customer.identities.update(failed_at=now)
    assert surveys.sweep(now=now + surveys.DELAY) == 1
    assert asked(unreachable).skipped == "not_reachable"
    assert asked(other).skipped == ""


def test_a_way_that_closes_while_it_is_asked_is_a_reason_and_no_fault(
    people: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    ticket = solved_ticket(people, now=now)
    usable = surveys._route_of
    monkeypatch.setattr(surveys, "_route_of", lambda ticket, *, now: _closed(usable(ticket, now=now), at=now))
    assert surveys.sweep(now=now + surveys.DELAY) == 0
    assert (asked(ticket).skipped, asked(ticket).channel) == ("not_reachable", None)
    assert not Message.objects.filter(ticket=ticket, author_type="bot").exists()


def _closed(route: Route | None, *, at: datetime) -> Route | None:
    """The same route, whose address opts out before the question leaves."""
    assert route is not None
    Identity.objects.filter(pk=route.identity_id).update(opted_out_at=at)
    return route


@pytest.mark.parametrize("method", ["get", "head"])
def test_looking_never_votes(people: Cast, client: Client, method: str) -> None:
    now = timezone.now()
    ticket = solved_ticket(people, now=now)
    surveys.sweep(now=now + surveys.DELAY)
    answer = getattr(client, method)(f"/survey/{asked(ticket).token}/?score=5")
    assert answer.status_code == 200
    assert not Answer.objects.exists()
    if method == "get":
        assert 'value="5" required checked' in answer.content.decode()


def test_the_button_votes_and_the_last_answer_counts(people: Cast, client: Client) -> None:
    now = timezone.now()
    ticket = solved_ticket(people, now=now)
    surveys.sweep(now=now + surveys.DELAY)
    path = f"/survey/{asked(ticket).token}/"
    assert client.post(path, {"score": "2", "comment": "같은 설명을 세 번 했어요"}).status_code == 302
    assert client.post(path, {"score": "5"}).status_code == 302
    ticket.refresh_from_db()
    assert (ticket.csat, Answer.objects.get().score, ticket.status) == (5, 5, "solved")
    assert Event.objects.filter(ticket=ticket, kind="rated").count() == 2
    thanks = client.get(f"{path}?thanks=1").content.decode()
    assert "감사" in thanks or "Thank" in thanks


@pytest.mark.parametrize("score", ["", "0", "6", "x", "٣"])
def test_a_strange_score_is_refused_with_words(people: Cast, client: Client, score: str) -> None:
    now = timezone.now()
    ticket = solved_ticket(people, now=now, language="en")
    surveys.sweep(now=now + surveys.DELAY)
    answer = client.post(f"/survey/{asked(ticket).token}/", {"score": score})
    assert answer.status_code == 422
    assert "Choose one of the five." in answer.content.decode()
    assert not Answer.objects.exists()


def test_after_three_days_it_stands(people: Cast) -> None:
    now = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
    ticket = solved_ticket(people, now=now)
    surveys.sweep(now=now + surveys.DELAY)
    token = asked(ticket).token
    assert surveys.answer(token, score=4, now=now + timedelta(hours=1))
    assert not surveys.answer(token, score=1, now=now + timedelta(hours=74))
    assert Answer.objects.get().score == 4


def test_an_unknown_token_is_not_found(client: Client) -> None:
    assert client.get("/survey/nothing-like-it/").status_code == 404
