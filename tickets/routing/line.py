"""Where a ticket stands in the line of its team, and how long that usually takes. What the customer is told of it.

The order is that of routing. The time comes from how long people were really busy with the newest solved tickets of
the same team and kind of channel, and from the places that those who are online have for such tickets:

    usually within = handling / places * (position + 0.85 * sqrt(position))

A place becomes free about every `handling / places` seconds; the root covers four of five cases where the lengths of
conversations vary as much as is usual (docs/board.md). Where that is not known, nothing is promised.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.core.cache import cache
from django.db.models import Count, F, QuerySet

from agents import hours, presence
from agents.models import Agent, Calendar, Team
from tickets.models import Channel, Ticket
from tickets.routing import people
from tickets.routing.choice import PLACE
from tickets.routing.decide import in_order, is_overdue

RECENT = timedelta(days=14)
SAMPLE = 50  # the newest handled tickets that are measured
FEWEST = 5  # fewer say nothing
CAPPED = 5
MOST = 200  # places of a line that are told
HANDLING_KEPT = 300  # seconds
_STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240)  # minutes; nothing is promised beyond


class Place(NamedTuple):
    """`position` 1 is next; None where nobody is at work who could take it.

    `within`: usually no longer than so many seconds; None where that cannot be known. `opens_at`: the team is closed
    until then.
    """

    position: int | None = None
    within: int | None = None
    opens_at: datetime | None = None
    is_closed: bool = False


class Member(NamedTuple):
    """Of a team, at work: the room that other kinds of channels leave them, in hundredths of a place."""

    room: int
    skills: Mapping[int, int]

    def can(self, needs: Mapping[int, int]) -> bool:
        return all(self.skills.get(skill, 0) >= level for skill, level in needs.items())


def places_of(tickets: Iterable[Ticket], *, now: datetime) -> dict[int, Place]:
    """Ticket -> its place, for those that wait for a person and stand in a line. The queries depend on the teams, not on the tickets.

    `first_channel`, `last_channel` and `team` should be loaded. Nothing of any other ticket is told.
    """
    waiting = {ticket.pk: ticket for ticket in tickets if _waits(ticket)}
    teams: dict[int, Team] = {}
    for ticket in waiting.values():
        team = _team_of(ticket)
        if team is not None:
            teams[team.pk] = team
    lines = {pk: list(_line(pk, now=now)[:MOST]) for pk in teams}
    needs = people.required_skills([*waiting, *(pk for line in lines.values() for pk in line)], now=now)
    found: dict[int, Place] = {}
    crews: dict[tuple[int, str], tuple[list[Member], list[int], float | None]] = {}
    helpers: dict[tuple[int, str], list[Member]] = {}
    closed = {pk: _closed(team, now=now) for pk, team in teams.items()}
    for pk, ticket in waiting.items():
        team = _team_of(ticket)
        if team is None:
            continue
        if (shut := closed[team.pk]) is not None:
            found[pk] = shut
            continue
        kind, weight = _kind_of(ticket)
        if (team.pk, kind) not in crews:
            crew = _crew(team.pk, kind=kind, now=now)
            line = [one for one in lines[team.pk] if any(member.can(needs[one]) for member in crew)]
            crews[team.pk, kind] = crew, line, _handling(team, kind, now=now)
        crew, line, handling = crews[team.pk, kind]
        able = [one for one in crew if one.can(needs[pk])]
        if not able:
            helping = team.overflow_id if is_overdue(ticket, team, now=now) else None
            if helping is not None and (helping, kind) not in helpers:
                helpers[helping, kind] = _crew(helping, kind=kind, now=now)
            others = helpers[helping, kind] if helping is not None else []
            found[pk] = _among(lines[team.pk], pk, [*crew, *others], needs)
        elif pk in line:
            position = line.index(pk) + 1  # what nobody there can take holds up nobody behind it
            places = sum(max(0, one.room) // max(1, weight) for one in able)
            found[pk] = Place(position, _within(position, places=places, handling=handling))
    return found


def within(position: int, *, places: int, handling: float) -> float:
    """Seconds, unrounded. Pure: docs/board.md explains it, a test compares it with a simulated line."""
    return handling / places * (position + 0.85 * math.sqrt(position))


def told(seconds: float) -> int | None:
    """Rounded up to a number that people say, in seconds; None beyond what one can promise."""
    return next((step * 60 for step in _STEPS if seconds <= step * 60), None)


def _among(line: Sequence[int], pk: int, there: Sequence[Member], needs: Mapping[int, Mapping[int, int]]) -> Place:
    """Its place where the overflow team helps. They have a line of their own: of the time nothing can be known."""
    able = [one for one in line if any(member.can(needs[one]) for member in there)]
    return Place(able.index(pk) + 1) if pk in able else Place()


def _within(position: int, *, places: int, handling: float | None) -> int | None:
    if not places or handling is None:
        return None
    return told(within(position, places=places, handling=handling))


def _waits(ticket: Ticket) -> bool:
    """For the first or the next word of a person, and none has it."""
    free = ticket.assignee_id is None and ticket.merged_into_id is None
    return free and ticket.is_unsolved and ticket.waiting_since is not None


def _team_of(ticket: Ticket) -> Team | None:
    return ticket.team or (ticket.first_channel.team if ticket.first_channel else None)


def _kind_of(ticket: Ticket) -> tuple[str, int]:
    channel = ticket.last_channel or ticket.first_channel
    return (channel.kind, channel.weight) if channel else ("", PLACE)


def _line(team_id: int, *, now: datetime) -> QuerySet[Ticket, int]:
    """Ids in the order in which routing looks at them."""
    awake = Ticket.objects.survivors().unsolved().awake(now=now)
    waiting = awake.filter(team=team_id, assignee__isnull=True, routing_due_at__isnull=False)
    return in_order(waiting).values_list("pk", flat=True)


def _closed(team: Team, *, now: datetime) -> Place | None:
    calendar = team.calendar or Calendar.objects.filter(is_default=True).first()
    if calendar is None or hours.is_open(opening := calendar.hours(), now):
        return None
    try:
        return Place(opens_at=hours.next_opening(opening, now), is_closed=True)
    except hours.NeverOpens:
        return Place(is_closed=True)


def _crew(team_id: int, *, kind: str, now: datetime) -> list[Member]:
    """Who of the team is online in their shift, for this kind of channel."""
    members = Agent.objects.filter(presence.reachable(now=now), memberships__team=team_id).exclude(
        role=Agent.Role.LIGHT
    )
    there = [
        agent
        for agent in members.select_related("shift").prefetch_related("skills")
        if agent.shift is None or hours.is_open(agent.shift.hours(), now)
    ]
    weights = {pk: (k, w) for pk, k, w in Channel.objects.values_list("pk", "kind", "weight")}
    elsewhere = dict.fromkeys((agent.pk for agent in there), 0)
    filling = Ticket.objects.survivors().filter(
        assignee__in=list(elsewhere), status__in=people.WORKED_ON, snoozed_until__isnull=True
    )
    counted = filling.order_by().values_list("assignee", "last_channel").annotate(n=Count("pk"))
    for agent_id, channel_id, n in counted:
        other, filled = weights.get(channel_id or 0, ("", PLACE))
        elsewhere[agent_id or 0] += n * filled if other != kind else 0
    return [
        Member(agent.capacity * PLACE - elsewhere[agent.pk], {one.skill_id: one.level for one in agent.skills.all()})
        for agent in there
    ]


def _handling(team: Team, kind: str, *, now: datetime) -> float | None:
    """Seconds from being given to somebody to being solved, as a mean. None where too few are known."""
    key = f"handling:{team.pk}:{kind}"
    known: Mapping[str, float | None] | None = cache.get(key)
    if known is None:
        known = {"seconds": _measured(team, kind, now=now)}
        cache.set(key, known, HANDLING_KEPT)
    return known["seconds"]


def _measured(team: Team, kind: str, *, now: datetime) -> float | None:
    newest = (
        Ticket.objects.survivors()
        .filter(
            team=team,
            first_channel__kind=kind,
            first_solved_at__gt=now - RECENT,
            solved_at__gt=F("assigned_at"),
        )
        .order_by("-first_solved_at", "-pk")
        .values_list("assigned_at", "solved_at")[:SAMPLE]
    )
    took = [(solved - given).total_seconds() for given, solved in newest if given and solved]
    return typical(took) if len(took) >= FEWEST else None


def typical(seconds: Sequence[float]) -> float:
    """Their mean, each counted as at most CAPPED medians: one that was forgotten over the night stretches no promise."""
    most = CAPPED * statistics.median(seconds)
    return statistics.fmean(min(one, most) for one in seconds)
