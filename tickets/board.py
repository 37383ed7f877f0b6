"""The queue at this moment, as a manager sees it: the teams, the people, and what is behind each number.

A number and the list that it opens are one `Part`: the same condition counts and lists. Everything starts from a
`Visibility`, so that nobody counts what they may not see. Only how full somebody is counts all of their work, as
routing does: a number, without the tickets.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Min, Q
from django.utils.translation import gettext as _

from agents import hours, presence
from agents.models import Agent, Team
from tickets.access import Visibility, tickets_in
from tickets.models import Channel, Ticket
from tickets.models.ticket import UNSOLVED, TicketQuerySet
from tickets.routing.choice import PLACE, places
from tickets.routing.people import WORKED_ON

SOON = timedelta(minutes=15)
LAST_HOUR = timedelta(hours=1)
NO_TEAM = 0
OFF_SHIFT = "off_shift"


def _flowed(name: str, since: datetime) -> Q:
    if name == "made":
        return Q(created_at__gt=since)
    return Q(first_solved_at__gt=since, status__in=("solved", "closed"))


# Of what is open and awake, by name. Others are about all tickets: see `_OF_ALL`.
_PARTS: Mapping[str, Callable[[datetime], Q]] = {
    "waiting": lambda now: Q(waiting_since__isnull=False),
    "unassigned": lambda now: Q(assignee__isnull=True),
    "soon": lambda now: Q(next_due_at__gt=now, next_due_at__lte=now + SOON),
    "late": lambda now: Q(next_due_at__lte=now),
    "progress": lambda now: Q(assignee__isnull=False, status__in=WORKED_ON),
    "made": lambda now: _flowed("made", now - LAST_HOUR),
    "done": lambda now: _flowed("done", now - LAST_HOUR),
}
_OF_ALL = ("made", "done")
_SLUG = re.compile(rf"board-(?P<name>{'|'.join(_PARTS)})(?:-(?P<whose>team|agent)-(?P<pk>[0-9]{{1,18}}))?", re.ASCII)


@dataclass(frozen=True)
class Part:
    """Some of the tickets: `name` of `_PARTS`, of one team (NO_TEAM: of none) or of one agent."""

    name: str
    team_id: int | None = None
    agent_id: int | None = None

    @property
    def slug(self) -> str:
        """Its name in an address: "board-waiting-team-7"."""
        whose = f"-team-{self.team_id}" if self.team_id is not None else ""
        return f"board-{self.name}{whose}" + (f"-agent-{self.agent_id}" if self.agent_id is not None else "")

    @property
    def is_open_work(self) -> bool:
        return self.name not in _OF_ALL

    def narrow(self, tickets: TicketQuerySet, *, now: datetime) -> TicketQuerySet:
        if self.is_open_work:
            tickets = tickets.unsolved().awake(now=now)
        tickets = tickets.survivors().filter(_PARTS[self.name](now))
        if self.team_id is not None:
            tickets = tickets.filter(team=self.team_id) if self.team_id else tickets.filter(team__isnull=True)
        return tickets if self.agent_id is None else tickets.filter(assignee=self.agent_id)


def part_named(slug: str) -> Part | None:
    found = _SLUG.fullmatch(slug)
    if found is None:
        return None
    pk = int(found["pk"]) if found["pk"] else None
    return Part(
        found["name"],
        team_id=pk if found["whose"] == "team" else None,
        agent_id=pk if found["whose"] == "agent" else None,
    )


class Counts(NamedTuple):
    """`oldest` is since when the longest waits, `next_due` the nearest deadline that has not passed."""

    waiting: int = 0
    unassigned: int = 0
    soon: int = 0
    late: int = 0
    progress: int = 0
    oldest: datetime | None = None
    next_due: datetime | None = None


class TeamRow(NamedTuple):
    """`team` is None for the tickets that no team has. `online` of `members` take new tickets now."""

    team: Team | None
    counts: Counts
    online: int
    members: int

    @property
    def team_id(self) -> int:
        return self.team.pk if self.team else NO_TEAM


class Kind(NamedTuple):
    """What of somebody's work came by one kind of channel: tickets, and the places that they fill."""

    kind: str
    n: int
    places: int | float


class PersonRow(NamedTuple):
    """`state` is a presence or off_shift, `load` and `capacity` in places, `working` the tickets that the reader sees.

    `until` is when a wrap-up ends by itself.
    """

    agent: Agent
    state: str
    since: datetime | None
    until: datetime | None
    load: int | float
    capacity: int
    kinds: list[Kind]
    working: int
    teams: list[Team]

    @property
    def label(self) -> str:
        if self.state == Agent.Presence.AWAY and self.agent.presence == Agent.Presence.ONLINE:
            return _("Away, idle")
        return _("Outside their shift") if self.state == OFF_SHIFT else str(Agent.Presence(self.state).label)

    @property
    def presence(self) -> str:
        """Of the dot at their picture."""
        return Agent.Presence.AWAY if self.state == OFF_SHIFT else self.state

    @property
    def is_full(self) -> bool:
        return self.load >= self.capacity


class Board(NamedTuple):
    total: Counts
    teams: list[TeamRow]
    people: list[PersonRow]
    made: int  # in the last hour; the change is against the hour before
    made_change: int
    done: int
    done_change: int

    @property
    def online(self) -> int:
        return sum(row.state == Agent.Presence.ONLINE for row in self.people)


def read(visibility: Visibility, *, now: datetime) -> Board:
    """In a number of queries that does not depend on how many teams, people or tickets there are."""
    people = _people(visibility, now=now)
    counts = _counts(visibility, now=now)
    made, made_change = _flow("made", visibility, now=now)
    done, done_change = _flow("done", visibility, now=now)
    return Board(
        total=_sum(counts.values()),
        teams=_teams(counts, people, bounded=visibility.brand_ids is not None),
        people=people,
        made=made,
        made_change=made_change,
        done=done,
        done_change=done_change,
    )


def work_of(agent: Agent, visibility: Visibility) -> TicketQuerySet:
    """Everything of theirs that is not solved, what waits for the customer or sleeps included."""
    return tickets_in(visibility).survivors().unsolved().filter(assignee=agent).order_by("id")


def people_in(visibility: Visibility):  # type: ignore[no-untyped-def]
    """Whom the reader shares a brand with."""
    everybody = Agent.objects.filter(is_active=True, is_bot=False)
    if visibility.brand_ids is None:
        return everybody
    return everybody.filter(Q(brand_ids__isnull=True) | Q(brand_ids__overlap=sorted(visibility.brand_ids)))


def _counts(visibility: Visibility, *, now: datetime) -> dict[int, Counts]:
    """Team -> its counts; NO_TEAM for the tickets that have none."""
    counted = {name: Count("pk", filter=is_so(now)) for name, is_so in _PARTS.items() if name not in _OF_ALL}
    rows: Any = (
        tickets_in(visibility)
        .filter(merged_into__isnull=True, status__in=UNSOLVED)
        .awake(now=now)
        .order_by()
        .values("team")
        .annotate(
            oldest=Min("waiting_since"),
            next_due=Min("next_due_at", filter=Q(next_due_at__gt=now)),
            **counted,
        )
    )
    return {row.pop("team") or NO_TEAM: Counts(**row) for row in rows}


def _sum(counts: Iterable[Counts]) -> Counts:
    counts = list(counts)
    numbers = {name: sum(getattr(one, name) for one in counts) for name in Counts._fields[:5]}
    return Counts(
        **numbers,
        oldest=min((one.oldest for one in counts if one.oldest), default=None),
        next_due=min((one.next_due for one in counts if one.next_due), default=None),
    )


def _teams(counts: Mapping[int, Counts], people: Iterable[PersonRow], *, bounded: bool) -> list[TeamRow]:
    """All teams; for a reader of some brands those that have people or work there."""
    members: dict[int, list[str]] = defaultdict(list)
    for person in people:
        for team in person.teams:
            members[team.pk].append(person.state)
    rows = [
        TeamRow(
            team,
            counts.get(team.pk, Counts()),
            online=members[team.pk].count(Agent.Presence.ONLINE),
            members=len(members[team.pk]),
        )
        for team in Team.objects.order_by("position", "name", "pk")
        if not bounded or team.pk in counts or members[team.pk]
    ]
    if NO_TEAM in counts:
        rows.append(TeamRow(None, counts[NO_TEAM], online=0, members=0))
    return rows


def _people(visibility: Visibility, *, now: datetime) -> list[PersonRow]:
    """Who answers customers: the online ones first, then by name."""
    agents = list(
        people_in(visibility)
        .exclude(role=Agent.Role.LIGHT)
        .select_related("shift")
        .prefetch_related("teams")
        .order_by("name", "pk")
    )
    kinds, seen = _work(agents, visibility, now=now)
    rows = [_person(agent, kinds[agent.pk], seen.get(agent.pk, 0), now=now) for agent in agents]
    # A manager without a team, who has nothing and takes nothing, is no part of the queue.
    rows = [row for row in rows if row.teams or row.kinds or row.working]
    order: dict[str, int] = {Agent.Presence.ONLINE: 0, OFF_SHIFT: 2, Agent.Presence.OFFLINE: 3}
    return sorted(rows, key=lambda row: order.get(row.state, 1))


def _person(agent: Agent, kinds: list[tuple[str, int, int]], working: int, *, now: datetime) -> PersonRow:
    shown = presence.shown(agent, now=now)
    off = shown == Agent.Presence.ONLINE and agent.shift and not hours.is_open(agent.shift.hours(), now)
    return PersonRow(
        agent=agent,
        state=OFF_SHIFT if off else shown,
        since=presence.since(agent, now=now),
        until=agent.wrap_up_until if shown == Agent.Presence.WRAP_UP else None,
        load=places(sum(filled for _kind, _n, filled in kinds)),
        capacity=agent.capacity,
        kinds=[Kind(kind, n, places(filled)) for kind, n, filled in sorted(kinds)],
        working=working,
        teams=sorted(agent.teams.all(), key=lambda team: (team.position, team.name)),
    )


def _work(
    agents: Iterable[Agent], visibility: Visibility, *, now: datetime
) -> tuple[dict[int, list[tuple[str, int, int]]], dict[int, int]]:
    """Agent -> what fills their capacity, as (kind of channel, tickets, hundredths of a place), as routing counts it;
    and agent -> how many the reader sees of what they work on."""
    ids = [agent.pk for agent in agents]
    channels = {pk: (kind, weight) for pk, kind, weight in Channel.objects.values_list("pk", "kind", "weight")}
    filling = Ticket.objects.survivors().filter(assignee__in=ids, status__in=WORKED_ON, snoozed_until__isnull=True)
    by_kind: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for agent_id, channel_id, n in filling.order_by().values_list("assignee", "last_channel").annotate(n=Count("pk")):
        kind, weight = channels.get(channel_id or 0, ("", PLACE))
        by_kind[agent_id][kind][0] += n
        by_kind[agent_id][kind][1] += n * weight
    seen: Any = Part("progress").narrow(tickets_in(visibility), now=now).filter(assignee__in=ids)
    working = dict(seen.order_by().values_list("assignee").annotate(n=Count("pk")))
    told = {pk: [(kind, n, filled) for kind, (n, filled) in kinds.items()] for pk, kinds in by_kind.items()}
    return defaultdict(list, told), working


def _flow(name: str, visibility: Visibility, *, now: datetime) -> tuple[int, int]:
    """How many in the last hour, and how many more or less than in the one before."""
    part, tickets = Part(name), tickets_in(visibility)
    n = part.narrow(tickets, now=now).count()
    both = tickets.survivors().filter(_flowed(name, now - 2 * LAST_HOUR)).count()
    return n, n - (both - n)
