"""What if two more people were there from 10 to 14? Recorded arrivals played again, as it was and with them.

The tickets of a team as they came, each as heavy and as long as it really was; the team's members in their shifts (or
while the team is open), with their capacity and skills. Nothing is changed but the trial's own row. The two outcomes
come from the same model, so that their difference is what the people would have made.
"""

from __future__ import annotations

import logging
import math
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from agents.hours import ALWAYS, Hours, Span
from agents.models import Agent, Calendar, SkillLevel, Team
from tickets import trials
from tickets.access import tickets_for
from tickets.models import Event, RoutingDecision, SlaClock, StaffingTrial, TicketSkill
from tickets.models.sla import TEAM
from tickets.routing.choice import PLACE, Need
from tickets.routing.replay import Arrival, Outcome, Worker, outcome, replay
from tickets.wake import wake

log = logging.getLogger(__name__)

MOST = 10_000  # tickets, the newest of the period
LEASE = timedelta(seconds=120)  # of who plays it; renewed with each word about the progress
CAPPED = 5  # medians: what was left open over the night filled a place, but hardly anybody's time
_AT_FIRST = ("first_reply", "resolution", TEAM)  # promises that run while a ticket waits to be given to somebody
_FIRST_EXTRA = -1  # ids of the people who were not there count down from here


def begin(trial: StaffingTrial) -> StaffingTrial:
    """Keep it and wake a worker."""
    trials.forget_old(StaffingTrial, by=trial.agent, now=trial.created_at)
    trial.save()
    wake("tickets.tasks.try_staffing")
    return trial


def drain(*, now: Callable[[], datetime]) -> int:
    """Play what waits, one after the other. Returns how many. Who dies is followed by another after the lease."""
    played = 0
    while trial := _claim(now()):
        try:
            _play(trial, now=now)
        except Exception as error:
            log.exception("StaffingTrial %s stumbled", trial.pk)
            trials.stumbled(StaffingTrial, trial.pk, error, now=now())
        played += 1
    return played


def _claim(now: datetime) -> StaffingTrial | None:
    free = StaffingTrial.objects.filter(
        Q(leased_until__isnull=True) | Q(leased_until__lt=now), finished_at__isnull=True
    )
    for pk in list(free.order_by("id").values_list("pk", flat=True)[:10]):
        if free.filter(pk=pk).update(leased_until=now + LEASE):
            return StaffingTrial.objects.select_related("team__calendar", "agent").get(pk=pk)
    return None


def _play(trial: StaffingTrial, *, now: Callable[[], datetime]) -> None:
    arrivals = arrivals_of(trial)
    people = workers_of(trial)
    StaffingTrial.objects.filter(pk=trial.pk).update(total=2 * len(arrivals), done=0)

    def progress(already: int) -> Callable[[int], None]:
        def tell(seen: int) -> None:
            StaffingTrial.objects.filter(pk=trial.pk).update(done=already + seen, leased_until=now() + LEASE)

        return tell

    before = outcome(arrivals, replay(arrivals, people, tell=progress(0)))
    more = [*people, *extra_of(trial)]
    after = outcome(arrivals, replay(arrivals, more, tell=progress(len(arrivals))))
    StaffingTrial.objects.filter(pk=trial.pk).update(
        before=before._asdict(), after=after._asdict(), done=2 * len(arrivals), finished_at=now()
    )


def outcomes(trial: StaffingTrial) -> tuple[Outcome, Outcome] | None:
    return (Outcome(**trial.before), Outcome(**trial.after)) if trial.before and trial.after else None


# -- What came ----------------------------------------------------------------------------------------------------------


def arrivals_of(trial: StaffingTrial) -> list[Arrival]:
    """The tickets of the team that its author may see, the newest MOST, in the order in which they came.

    What somebody had is as long as until it was solved or put to wait; the others are given one of those lengths, by
    the trial's seed.
    """
    rows = list(_recorded(trial).order_by("-created_at", "-pk")[:MOST])[::-1]
    lengths: dict[str, list[float]] = {}
    for row in rows:
        if row.given_at and row.left_at and row.left_at > row.given_at:
            lengths.setdefault(row.kind or "", []).append((row.left_at - row.given_at).total_seconds())
    known = {kind: _capped(some) for kind, some in lengths.items()}
    anything = [length for some in known.values() for length in some] or [float(StaffingTrial.UNKNOWN_SECONDS)]
    most = {kind: max(some) for kind, some in known.items()}
    chance = random.Random(trial.seed)
    needs = _needs([row.pk for row in rows])
    arrivals = []
    for row in rows:
        kind = row.kind or ""
        if row.given_at and row.left_at and row.left_at > row.given_at:
            handling = min((row.left_at - row.given_at).total_seconds(), most[kind])
        else:
            handling = chance.choice(known.get(kind) or anything)
        arrivals.append(
            Arrival(
                at=_seconds(trial, row.created_at),
                handling=handling,
                weight=row.weight,
                needs=tuple(Need(one.skill_id, one.skill.name, one.level, one.required) for one in needs[row.pk]),
                relaxes={one.skill_id: _seconds(trial, one.wished_from) for one in needs[row.pk] if one.wished_from},
                before=(row.is_vip, -row.priority, _seconds(trial, row.next_due) if row.next_due else math.inf),
                due=_seconds(trial, row.due) if row.due else None,
            )
        )
    return arrivals


def _recorded(trial: StaffingTrial) -> QuerySet[Any]:
    given = RoutingDecision.objects.filter(ticket=OuterRef("pk"), outcome=RoutingDecision.Outcome.ASSIGNED)
    ends = Q(kind__in=("solved", "closed")) | Q(kind="status_changed", particulars__to__in=("pending", "on_hold"))
    left = Event.objects.filter(ends, ticket=OuterRef("pk"), at__gt=OuterRef("given_at"))
    first = SlaClock.objects.filter(ticket=OuterRef("pk"), cycle=1, stands_in=False).exclude(state="cancelled")
    promise = first.filter(metric="first_reply")
    promised = first.filter(metric__in=_AT_FIRST)
    return (
        tickets_for(trial.agent)
        .survivors()
        .filter(team=trial.team, created_at__gte=trial.since, created_at__lt=trial.until)
        .annotate(
            kind=F("first_channel__kind"),
            weight=Coalesce("first_channel__weight", PLACE),
            is_vip=Case(When(customer__tier="vip", then=0), default=1),
            given_at=Coalesce(Subquery(given.order_by("id").values("at")[:1]), F("assigned_at")),
            due=Subquery(promise.values("due_at")[:1]),
            next_due=Subquery(promised.order_by("due_at").values("due_at")[:1]),
        )
        .annotate(left_at=Subquery(left.order_by("id").values("at")[:1]))
    )


def _capped(lengths: Sequence[float]) -> list[float]:
    most = CAPPED * statistics.median(lengths)
    return [min(one, most) for one in lengths]


def _needs(ticket_ids: Sequence[int]) -> dict[int, list[TicketSkill]]:
    found: dict[int, list[TicketSkill]] = defaultdict(list)
    for row in TicketSkill.objects.filter(ticket__in=ticket_ids).select_related("skill").order_by("id"):
        found[row.ticket_id].append(row)
    return found


# -- Who was there ------------------------------------------------------------------------------------------------------


def workers_of(trial: StaffingTrial) -> list[Worker]:
    """The members of the team who answer customers, in their own shift, else while the team is open."""
    members = (
        Agent.objects.filter(memberships__team=trial.team, is_active=True, is_bot=False)
        .exclude(role=Agent.Role.LIGHT)
        .select_related("shift")
        .prefetch_related("skills")
        .order_by("id")
    )
    return [
        Worker(
            agent_id=agent.pk,
            name=agent.name,
            capacity=agent.capacity * PLACE,
            shifts=_shifts(trial, agent.shift.hours() if agent.shift else hours_of(trial.team)),
            skills={one.skill_id: one.level for one in agent.skills.all()},
        )
        for agent in members
    ]


def extra_of(trial: StaffingTrial) -> list[Worker]:
    """Those who were not there: on each day on which the team is open, between the two times of its own zone."""
    opening = hours_of(trial.team)
    days = tuple(((trial.begins, trial.ends),) if windows else () for windows in opening.windows)
    there = Hours(zone=opening.zone, windows=days, closings=opening.closings)
    shifts = _shifts(trial, there)
    return [
        Worker(
            agent_id=_FIRST_EXTRA - n,
            name="",
            capacity=trial.places * PLACE,
            shifts=shifts,
            skills=dict.fromkeys(trial.skill_ids, SkillLevel.EXPERT),
        )
        for n in range(trial.people)
    ]


def hours_of(team: Team) -> Hours:
    calendar = team.calendar or Calendar.objects.filter(is_default=True).first()
    return calendar.hours() if calendar else ALWAYS


def _shifts(trial: StaffingTrial, there: Hours) -> list[tuple[float, float]]:
    """Beyond the last arrival too, so that what is left over in the evening is worked off the next day."""
    spans = there.spans(trial.since, trial.until + timedelta(days=7))
    return [(_seconds(trial, span.starts_at), _seconds(trial, span.ends_at)) for span in _joined(spans)]


def _joined(spans: Any) -> list[Span]:
    """Adjacent ones as one: nobody goes and comes at midnight."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].ends_at >= span.starts_at:
            joined[-1] = Span(joined[-1].starts_at, max(joined[-1].ends_at, span.ends_at))
        else:
            joined.append(span)
    return joined


def _seconds(trial: StaffingTrial, moment: datetime) -> float:
    return (moment - trial.since).total_seconds()
