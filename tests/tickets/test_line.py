"""Where a ticket stands in the line of its team, and what may be promised of it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import presence
from agents.models import Agent, AgentSkill, Calendar, Skill
from tests import cast
from tests.cast import Cast
from tests.tickets.test_routing import NOW, come_online, new_ticket
from tickets import actions
from tickets.models import RoutingDecision, Ticket, TicketSkill
from tickets.models.event import SYSTEM
from tickets.routing import assign, line

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


def places(*tickets: Ticket, now: Any = NOW) -> list[line.Place | None]:
    found = line.places_of(
        Ticket.objects.filter(pk__in=[ticket.pk for ticket in tickets]).select_related(
            "team__calendar", "first_channel__team__calendar", "last_channel"
        ),
        now=now,
    )
    return [found.get(ticket.pk) for ticket in tickets]


def busy(people: Cast, agent: Agent, *, capacity: int = 1) -> Ticket:
    """They are online, and one chat more than they have would be too many."""
    Agent.objects.filter(pk=agent.pk).update(capacity=capacity)
    come_online(agent)
    return given(people, agent)


def given(people: Cast, agent: Agent, **fields: Any) -> Ticket:
    ticket = new_ticket(people, team=people.support, **fields)
    actions.assign(ticket, assignee=agent, team=people.support, by=SYSTEM, now=NOW)
    return ticket


def handled(people: Cast, *minutes: float, **fields: Any) -> None:
    for took in minutes:
        ticket = given(people, people.agent, **fields)
        solved = NOW - timedelta(hours=1)
        Ticket.objects.filter(pk=ticket.pk).update(
            status="solved", assigned_at=solved - timedelta(minutes=took), solved_at=solved, first_solved_at=solved
        )


def waiting(people: Cast, n: int, **fields: Any) -> list[Ticket]:
    return [
        new_ticket(people, team=people.support, at=NOW - timedelta(minutes=30 - i), **fields) for i in range(n)
    ]  # fmt: skip


def test_the_line_is_the_order_in_which_routing_gives_tickets_away(people: Cast) -> None:
    mixed = waiting(people, 6)
    Ticket.objects.filter(pk=mixed[3].pk).update(priority=4)
    Ticket.objects.filter(pk=mixed[5].pk).update(next_due_at=NOW + timedelta(minutes=3))
    mixed[4].customer.tier = "vip"
    mixed[4].customer.save(update_fields=["tier"])
    Agent.objects.filter(pk=people.agent.pk).update(capacity=20)
    come_online(people.agent)
    stood = sorted(zip(places(*mixed), mixed, strict=True), key=lambda one: one[0].position if one[0] else 99)
    assign.drain(now=NOW)
    decided = list(RoutingDecision.objects.order_by("id").values_list("ticket", flat=True))
    assert [ticket.pk for _place, ticket in stood] == decided
    assert len(set(decided)) == 6 and decided[0] == mixed[4].pk


def test_what_is_no_longer_waiting_stands_nowhere_and_the_others_move_up(people: Cast) -> None:
    busy(people, people.agent)
    first, second, third, other = *waiting(people, 3), new_ticket(people, team=people.billing)
    come_online(people.outsider)
    assert [place and place.position for place in places(first, second, third, other)] == [1, 2, 3, 1]
    actions.solve(first, by=SYSTEM, now=NOW)
    Ticket.objects.filter(pk=second.pk).update(snoozed_until=NOW + timedelta(hours=1))
    assert [place and place.position for place in places(first, third)] == [None, 1]
    actions.assign(third, assignee=people.agent, team=people.support, by=SYSTEM, now=NOW)
    assert places(third) == [None]


def test_where_nobody_is_at_work_no_place_is_told(people: Cast) -> None:
    (ticket,) = waiting(people, 1)
    assert places(ticket) == [line.Place()]
    busy(people, people.agent)
    Agent.objects.filter(pk=people.agent.pk).update(seen_at=NOW - presence.GRACE - timedelta(seconds=1))
    assert places(ticket) == [line.Place()]


def test_where_only_the_overflow_team_can_there_is_a_place_but_no_time(people: Cast) -> None:
    people.support.overflow, people.support.overflow_minutes = people.billing, 20
    people.support.save()
    first, second, late = *waiting(people, 2), new_ticket(people, team=people.support)
    handled(people, *[10] * 5)
    come_online(people.outsider)
    assert places(first, second, late) == [line.Place(1), line.Place(2), line.Place()], "the last is not helped yet"
    TicketSkill.objects.create(ticket=first, skill=Skill.objects.create(name="Latin"))
    assert places(first, second) == [line.Place(), line.Place(1)]


def test_a_closed_team_says_when_it_opens(people: Cast) -> None:
    office = Calendar.objects.create(name="Office", time_zone="UTC")
    office.windows.create(weekday=NOW.weekday(), opens="09:00", closes="18:00")
    people.support.calendar = office
    people.support.save(update_fields=["calendar"])
    busy(people, people.agent)
    (ticket,) = waiting(people, 1)
    assert places(ticket) == [line.Place(opens_at=NOW.replace(hour=9, minute=0), is_closed=True)]
    (open_now,) = places(ticket, now=NOW.replace(hour=9, minute=30) - timedelta(seconds=1))
    assert open_now is None or not open_now.is_closed


def test_the_time_comes_from_what_was_handled_and_from_the_places_online(people: Cast) -> None:
    busy(people, people.agent)
    first, second = waiting(people, 2)
    handled(people, *[10] * 4)
    assert [place and place.within for place in places(first, second)] == [None, None]  # four say nothing yet
    cache.clear()
    handled(people, 10)
    # one place: 10 min * (1 + 0.85) = 18.5, and 10 min * (2 + 1.2) = 32
    assert [place and place.within for place in places(first, second)] == [20 * 60, 45 * 60]
    Agent.objects.filter(pk=people.teammate.pk).update(capacity=3)
    come_online(people.teammate)
    assert [place and place.within for place in places(first, second)] == [5 * 60, 10 * 60]  # four places


def test_who_needs_what_nobody_there_can_stands_nowhere_and_holds_up_nobody(people: Cast) -> None:
    busy(people, people.agent, capacity=3)
    handled(people, *[10] * 5)
    latin = Skill.objects.create(name="Latin")
    first, needy, last = waiting(people, 3)
    TicketSkill.objects.create(ticket=needy, skill=latin)
    assert [place and place.position for place in places(first, needy, last)] == [1, None, 2]
    Agent.objects.filter(pk=people.teammate.pk).update(capacity=1)
    come_online(people.teammate)
    AgentSkill.objects.create(agent=people.teammate, skill=latin, level=1)
    told = places(first, needy, last)
    assert [place and place.position for place in told] == [1, 2, 3]
    assert [place and place.within for place in told] == [5 * 60, 45 * 60, 15 * 60], (
        "one place for it, four for the others"
    )


def test_a_skill_that_is_only_wished_by_now_keeps_nobody_from_the_line(people: Cast) -> None:
    busy(people, people.agent)
    (ticket,) = waiting(people, 1)
    TicketSkill.objects.create(ticket=ticket, skill=Skill.objects.create(name="Latin"), wished_from=NOW)
    assert [place and place.position for place in places(ticket)] == [1]


def test_what_other_channels_fill_is_no_place_for_this_one(people: Cast) -> None:
    busy(people, people.agent, capacity=2)
    handled(people, *[10] * 5)
    (ticket,) = waiting(people, 1)
    (before,) = places(ticket)
    given(people, people.agent, first_channel=people.email, last_channel=people.email)
    (after,) = places(ticket)
    assert before and after and (before.within, after.within) == (10 * 60, 20 * 60)
    given(people, people.agent, first_channel=people.email, last_channel=people.email)
    (none_left,) = places(ticket)
    assert none_left and (none_left.position, none_left.within) == (1, None)


def test_what_would_take_too_long_is_not_promised(people: Cast) -> None:
    busy(people, people.agent)
    handled(people, *[600] * 5)
    (ticket,) = waiting(people, 1)
    assert places(ticket) == [line.Place(position=1)]


def test_the_queries_depend_on_the_teams_and_not_on_the_tickets(people: Cast) -> None:
    busy(people, people.agent)
    handled(people, *[10] * 5)

    def ask(*tickets: Ticket) -> int:
        with CaptureQueriesContext(connection) as seen:
            places(*tickets)
        return len(seen)

    many = waiting(people, 12)
    ask(many[0])
    assert ask(*many) == ask(many[0]) <= 9


@pytest.mark.parametrize(
    "seconds, said", [(1, 60), (60, 60), (61, 120), (181, 300), (3_601, 5_400), (14_400, 14_400), (14_401, None)]
)
def test_times_are_rounded_up_to_what_people_say(seconds: float, said: int | None) -> None:
    assert line.told(seconds) == said


def test_one_that_was_left_open_over_night_stretches_no_promise() -> None:
    assert line.typical([600] * 9 + [60_000]) == 840  # 3,000 at most
    assert line.typical([600, 600, 600]) == 600


@pytest.mark.parametrize("places", [1, 3, 10])
@pytest.mark.parametrize("position", [1, 2, 5, 20])
def test_usually_means_four_times_of_five_where_conversations_differ_in_length(places: int, position: int) -> None:
    """All places are taken, each conversation ends by chance with the same mean: the k-th end frees the k-th place."""
    chance = random.Random(7)
    promised = line.within(position, places=places, handling=600)
    waits = [sum(chance.expovariate(places / 600) for _ in range(position)) for _ in range(4_000)]
    kept = sum(wait <= promised for wait in waits) / len(waits)
    assert 0.78 <= kept <= 0.9
