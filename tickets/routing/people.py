"""The facts about those who might take a ticket, read under the lock of their rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, OuterRef, Subquery

from agents import hours, presence
from agents.models import Agent, Team
from tickets.models import Channel, Message, RoutingDecision, Ticket, TicketSkill
from tickets.models.message import DeliveryState
from tickets.routing.choice import PLACE, Need, Person

WORKED_ON = ("new", "open")  # statuses that fill an agent's capacity
LOOKED_AT = 50  # a customer's newest tickets, in which is looked for who answered last
HAD_IT = timedelta(hours=1)  # how long one who let a ticket pass stands back from it


def needs_of(tickets: Iterable[Ticket]) -> dict[int, list[Need]]:
    """What each of them needs, and from when on it is no more than a wish."""
    needs: dict[int, list[Need]] = defaultdict(list)
    for row in TicketSkill.objects.filter(ticket__in=tickets).select_related("skill").order_by("id"):
        needs[row.ticket_id].append(Need(row.skill_id, row.skill.name, row.level, row.required, row.wished_from))
    return needs


def weight_of(ticket: Ticket) -> int:
    """In hundredths of a place: that of the channel on which the customer wrote last."""
    channel = ticket.last_channel or ticket.first_channel
    return channel.weight if channel else PLACE


class Staff:
    """The members of some teams, their rows locked until the commit. What is given to them meanwhile counts at once;
    `without` does not count yet."""

    def __init__(
        self, teams: Iterable[int], tickets: Iterable[Ticket], *, without: Iterable[Ticket] = (), now: datetime
    ) -> None:
        members = Agent.objects.filter(memberships__team__in=teams, is_bot=False).distinct().order_by("id").values("pk")
        locked = list(
            Agent.objects.filter(pk__in=members)
            .select_related("shift")
            .prefetch_related("skills", "memberships")
            .order_by("id")
            .select_for_update(of=("self",), no_key=True)
        )
        self.agents = {agent.pk: agent for agent in locked}
        self._now = now
        self._teams = {agent.pk: {one.team_id for one in agent.memberships.all()} for agent in locked}
        self._skills = {agent.pk: {one.skill_id: one.level for one in agent.skills.all()} for agent in locked}
        self._absent = {agent.pk: _absent(agent, now=now) for agent in locked}
        self._loads = _loads(locked, without=without)
        self._given = {pk: newest or 0 for pk, newest in _last_given(locked).items()}
        passed = RoutingDecision.objects.filter(
            ticket__in=tickets, outcome=RoutingDecision.Outcome.ASSIGNED, at__gt=now - HAD_IT
        )
        self._passed = set(passed.values_list("ticket", "agent"))

    def considered(self, ticket: Ticket, *, team: Team, with_overflow: bool) -> list[Person]:
        """The members of the team, and of its overflow team if that helps, by id."""
        teams = {team.pk, team.overflow_id if with_overflow else None}
        friend = _knows_customer(ticket, team=team, now=self._now)
        return [
            Person(
                agent_id=pk,
                name=agent.name,
                load=self._loads[pk],
                capacity=agent.capacity * PLACE,
                absent=self._absent[pk],
                skills=self._skills[pk],
                last_given=self._given[pk],
                knows_customer=pk == friend,
                helps_out=team.pk not in self._teams[pk],
                had_it=(ticket.pk, pk) in self._passed,
            )
            for pk, agent in self.agents.items()
            if self._teams[pk] & teams
        ]

    def give(self, ticket: Ticket, agent_id: int) -> Agent:
        """Let the ticket count as theirs, and as the latest that was given to anybody."""
        self._given[agent_id] = max(self._given.values(), default=0) + 1
        self.fill(ticket, agent_id)
        return self.agents[agent_id]

    def fill(self, ticket: Ticket, agent_id: int) -> None:
        """Let the ticket take the place that it needs, as `_loads` counts it."""
        if ticket.status in WORKED_ON and ticket.snoozed_until is None:
            self._loads[agent_id] += ticket.last_channel.weight if ticket.last_channel else PLACE


@dataclass
class _Free:
    room: int  # in hundredths of a place
    teams: frozenset[int]
    skills: Mapping[int, int]


class Room:
    """Who could take something at this moment, and how much: a reckoning without locks, which decides nothing."""

    def __init__(self, free: Sequence[_Free], teams: Iterable[Team]) -> None:
        self._free = free
        self._overflow = {team.pk: (team.overflow_id, timedelta(minutes=team.overflow_minutes)) for team in teams}

    @property
    def teams(self) -> list[int]:
        """Those with somebody who has room, or who help where they overflow."""
        own = {team for one in self._free for team in one.teams}
        return [pk for pk, (overflow, _after) in self._overflow.items() if pk in own or overflow in own]

    @property
    def is_used_up(self) -> bool:
        return not any(one.room > 0 for one in self._free)

    def take(self, team: int, *, weight: int, needs: Mapping[int, int], waited: timedelta) -> bool:
        """Whether somebody could take a ticket of this team; their room is then less. `needs`: skill -> level."""
        overflow, after = self._overflow[team]
        helping = overflow if waited >= after else None
        fit = [
            one
            for one in self._free
            if one.room >= weight
            and (team in one.teams or helping in one.teams)
            and all(one.skills.get(skill, 0) >= level for skill, level in needs.items())
        ]
        if fit:
            max(fit, key=lambda one: one.room).room -= weight
        return bool(fit)


def with_room(*, now: datetime) -> Room | None:
    """None when everybody who is there has as many as they may."""
    there = presence.online(now=now).select_related("shift").prefetch_related("skills", "memberships")
    present = [agent for agent in there if not _absent(agent, now=now)]
    loads = _loads(present)
    free = [
        _Free(
            room=agent.capacity * PLACE - loads[agent.pk],
            teams=frozenset(one.team_id for one in agent.memberships.all()),
            skills={one.skill_id: one.level for one in agent.skills.all()},
        )
        for agent in present
        if agent.capacity * PLACE > loads[agent.pk]
    ]
    return Room(free, Team.objects.all()) if free else None


def required_skills(ticket_ids: Iterable[int], *, now: datetime) -> dict[int, dict[int, int]]:
    """Ticket -> skill -> level, without what is no more than wished by now."""
    needs: dict[int, dict[int, int]] = defaultdict(dict)
    rows = TicketSkill.objects.filter(ticket__in=list(ticket_ids), required=True).exclude(wished_from__lte=now)
    for ticket, skill, level in rows.values_list("ticket", "skill", "level"):
        needs[ticket][skill] = level
    return needs


def _absent(agent: Agent, *, now: datetime) -> str:
    if not agent.is_active:
        return "inactive"
    if not agent.may_reply:
        return "light"
    shown = presence.shown(agent, now=now)
    if shown != Agent.Presence.ONLINE:
        return shown
    return "off_shift" if agent.shift and not hours.is_open(agent.shift.hours(), now) else ""


def _loads(agents: Iterable[Agent], *, without: Iterable[Ticket] = ()) -> dict[int, int]:
    """What fills the capacity of each, in hundredths of a place. Reads open tickets only, by their index."""
    open_now = Ticket.objects.survivors().filter(assignee__in=agents, status__in=WORKED_ON, snoozed_until__isnull=True)
    open_now = open_now.exclude(pk__in=[ticket.pk for ticket in without])
    weights = dict(Channel.objects.values_list("pk", "weight"))
    loads: dict[int, int] = defaultdict(int)
    counted = open_now.order_by().values_list("assignee", "last_channel").annotate(n=Count("pk"))
    for agent_id, channel_id, n in counted:
        loads[agent_id] += n * weights.get(channel_id, PLACE)
    return loads


def _last_given(agents: Iterable[Agent]) -> dict[int, int | None]:
    """The newest decision that gave each something: one step into an index, however many there have ever been."""
    given = RoutingDecision.objects.filter(agent=OuterRef("pk"), outcome=RoutingDecision.Outcome.ASSIGNED)
    newest = Subquery(given.order_by("-id").values("pk")[:1])
    ids = [agent.pk for agent in agents]
    return dict(Agent.objects.filter(pk__in=ids).annotate(last=newest).values_list("pk", "last"))


def _knows_customer(ticket: Ticket, *, team: Team, now: datetime) -> int | None:
    """Who answered this customer last, if the team lets customers come back to the same person. Not where that was on this
    very ticket: whoever has let it go does not get it back."""
    if not team.sticky_days:
        return None
    answers = Message.objects.filter(
        ticket=OuterRef("pk"),
        kind=Message.Kind.PUBLIC,
        direction=Message.Direction.OUT,
        author_type=Message.Author.AGENT,
        agent__isnull=False,
        created_at__gt=now - timedelta(days=team.sticky_days),
    ).exclude(state=DeliveryState.FAILED)
    newest = Subquery(answers.order_by("-seq").values("pk")[:1])
    theirs = Ticket.objects.filter(customer=ticket.customer_id).order_by("-id").values_list(newest, "pk")[:LOOKED_AT]
    last, answered = max(((answer, pk) for answer, pk in theirs if answer), default=(None, None))
    if last is None or answered == ticket.pk:
        return None
    return Message.objects.values_list("agent", flat=True).get(pk=last)
