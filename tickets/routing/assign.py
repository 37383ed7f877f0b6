"""Who gets a ticket. Routing is owed by `Ticket.routing_due_at` and paid by a drain (reliability.md 5).

`assign` runs the rules, looks for a person in the team and stores the whole trace, in one transaction that also
clears the due column: a crash at any moment leaves the ticket due. Capacity holds under concurrency, because the
candidates' rows are locked before their load is counted. An offer that is not accepted in time, and the work of
somebody who has gone, come back the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, When
from django.db.models.functions import Coalesce

from agents import presence
from agents.models import Agent, Team
from tickets import live
from tickets.models import Event, ReadMark, RoutingDecision, Rule, Ticket
from tickets.models.event import RULE
from tickets.routing import people, rules
from tickets.routing.choice import PLACE, Claim, choose, reserve, too_heavy
from tickets.sla import clocks
from tickets.wake import wake

log = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(seconds=60)  # a queued ticket, whoever has room
ROUND = 100  # decisions until a drain looks again who has room meanwhile
AHEAD = 50  # tickets in front of one for which room is kept
CALLED = 2000  # waiting tickets, of the teams where somebody has room, that a drain looks through
QUEUED = RoutingDecision.Outcome.QUEUED


def owe(ticket: Ticket, *, now: datetime) -> None:
    """Mark the ticket as due, and wake the drain after the commit. Must hold its row lock."""
    ticket.routing_due_at = now
    ticket.save(update_fields=["routing_due_at"])
    wake("tickets.tasks.route")


def status_changed(ticket: Ticket, *, now: datetime) -> None:
    """A ticket that its agent has finished, or that waits for somebody else, leaves room for another one."""
    if ticket.assignee_id is not None and ticket.status not in people.WORKED_ON:
        capacity_freed(now=now)


def capacity_freed(*, now: datetime) -> None:
    """Somebody has room again: the drain is woken after the commit, if anybody waits. Writes nothing, waits for no lock."""
    if Ticket.objects.filter(routing_due_at__gt=now, assignee__isnull=True).exists():
        wake("tickets.tasks.route")


def drain(*, now: datetime, limit: int = 500) -> int:
    """Pay what is owed: important customers and priorities first, then the next breach, then the longest wait.

    Waiting tickets for which somebody has room now are owed too, whether or not a wake-up came.
    One that fails is put off and never blocks those behind it. Once a team has nobody for a ticket, those of the same
    weight and more that have been through the rules already are put off together: a long queue costs little to look at.
    """
    done, seen = 0, set[int]()
    while len(seen) < limit:
        _call_up(now=now)
        batch = list(_due(now).exclude(pk__in=seen)[: min(ROUND, limit - len(seen))])
        if not batch:
            break
        seen.update(row[0] for row in batch)
        done += _round(batch, now=now)
    return done


def _round(batch: Iterable[tuple[int, int, int, bool]], *, now: datetime) -> int:
    done, put_off = 0, list[int]()
    full: dict[int, int] = {}  # team -> the weight from which on it takes nothing more
    for ticket_id, team_id, weight, decided in batch:
        if decided and team_id in full and weight >= full[team_id]:
            put_off.append(ticket_id)
            continue
        try:
            decision = assign(ticket_id, now=now)
        except Exception:
            log.exception("routing of ticket %s failed; it is tried again", ticket_id)
            Ticket.objects.filter(pk=ticket_id).update(routing_due_at=now + LOOK_AGAIN)
            continue
        done += decision is not None
        if decision and decision.team and decision.outcome == QUEUED and not decision.team.overflow_id:
            limit_of_team = too_heavy(decision.candidates, weight=weight)
            if limit_of_team is not None:
                full[decision.team.pk] = min(limit_of_team, full.get(decision.team.pk, limit_of_team))
    Ticket.objects.filter(pk__in=put_off, routing_due_at__lte=now).update(routing_due_at=now + LOOK_AGAIN)
    return done


def _due(now: datetime) -> QuerySet[Ticket, tuple[int, int, int, bool]]:
    """(ticket, team or 0, weight in hundredths of a place, decided before) in the order of routing."""
    due = _in_order(Ticket.objects.filter(routing_due_at__lte=now)).annotate(known_team=Coalesce("team", 0))
    return due.values_list("pk", "known_team", "weight", "decided")


def _in_order(tickets: QuerySet[Ticket]) -> QuerySet[Any]:
    is_vip = Case(When(customer__tier="vip", then=0), default=1)
    weight = Coalesce("last_channel__weight", "first_channel__weight", PLACE)
    decided = Exists(RoutingDecision.objects.filter(ticket=OuterRef("pk")))
    return tickets.annotate(is_vip=is_vip, weight=weight, decided=decided).order_by(
        "is_vip",
        "-priority",
        F("next_due_at").asc(nulls_last=True),
        F("waiting_since").asc(nulls_last=True),
        "id",
    )


def _call_up(*, now: datetime) -> None:
    """Make those of the waiting tickets due for whom somebody has room: as many as there is room for, in order.

    Those whom nobody present could take are passed over, so that they hold up nobody behind them; so are those that
    have never been decided, which are put off because they failed. It reads without locks, `assign` decides. What
    somebody works on at this moment is left alone.
    """
    waiting = Ticket.objects.unsolved().survivors().filter(routing_due_at__gt=now, assignee__isnull=True)
    room = people.with_room(now=now) if waiting.exists() else None
    if not room:
        return
    rows = list(
        _in_order(waiting.filter(team__in=room.teams))
        .annotate(since=Coalesce("waiting_since", "created_at"))
        .values_list("pk", "team", "weight", "since", "decided")[:CALLED]
    )
    needs = people.required_skills([row[0] for row in rows], now=now)
    called = [
        pk
        for pk, team, weight, since, decided in rows
        if decided and room.take(team, weight=weight, needs=needs[pk], waited=now - since)
    ]
    with transaction.atomic():
        free = waiting.filter(pk__in=called).select_for_update(skip_locked=True, no_key=True).values("pk")
        Ticket.objects.filter(pk__in=free).update(routing_due_at=now)


@transaction.atomic
def assign(ticket_id: int, *, now: datetime) -> RoutingDecision | None:
    """Decide once. None when nothing is owed, or when somebody else is deciding it at this moment."""
    ticket = (
        Ticket.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("customer", "team", "assignee", "first_channel__team", "last_channel__team")
        .filter(pk=ticket_id, routing_due_at__lte=now)
        .first()
    )
    if ticket is None:
        return None
    if not ticket.is_unsolved or ticket.merged_into_id:
        Ticket.objects.filter(pk=ticket_id).update(routing_due_at=None)
        return None

    former = RoutingDecision.objects.filter(ticket=ticket).order_by("-id").first()
    trigger = _trigger(ticket, former)
    trace: list[dict[str, Any]] = []
    if trigger in Rule.When.values:
        trace = rules.run(ticket, when=trigger, now=now)
    team = ticket.team or (ticket.first_channel.team if ticket.first_channel else None)
    decision = RoutingDecision(ticket=ticket, trigger=trigger, rules=trace, team=team, at=now)
    if ticket.assignee_id:
        decision.outcome, decision.agent = RoutingDecision.Outcome.KEPT, ticket.assignee
    elif team is None:
        decision.outcome = RoutingDecision.Outcome.NO_TEAM
    else:
        _choose(decision, ticket=ticket, team=team, now=now)

    queued = decision.outcome == QUEUED
    Ticket.objects.filter(pk=ticket_id).update(routing_due_at=now + LOOK_AGAIN if queued else None)
    if former is not None and queued and not trace and _says_the_same(former, decision):
        return former
    decision.save()
    given = ticket.give_to(assignee=decision.agent, team=team, by=RULE, now=now, decision_id=decision.pk)
    clocks.given(ticket, given, now=now)
    if former is None:
        clocks.arrived(ticket, now=now)
    live.announce(
        given,
        ticket.record("routed", by=RULE, now=now, decision=decision.pk, outcome=decision.outcome),
    )
    if decision.outcome == RoutingDecision.Outcome.ASSIGNED and team and team.accept_seconds:
        until = now + timedelta(seconds=team.accept_seconds)
        Ticket.objects.filter(pk=ticket.pk).update(accept_until=until)
    if any(step.get("did") for step in trace):
        clocks.rules_ran(ticket, now=now)
    return decision


def _trigger(ticket: Ticket, former: RoutingDecision | None) -> str:
    if former is None:
        return Rule.When.CREATED
    if former.outcome == QUEUED and (ticket.last_message_at or former.at) <= former.at:
        return "queue"
    if ticket.last_direction == "in" and ticket.last_message_at and ticket.last_message_at > former.at:
        return Rule.When.CUSTOMER_REPLIED
    return "again"


def _choose(decision: RoutingDecision, *, ticket: Ticket, team: Team, now: datetime) -> None:
    waited = now - (ticket.waiting_since or ticket.created_at)
    overdue = waited >= timedelta(minutes=team.overflow_minutes)
    there = people.considered(ticket, team=team, with_overflow=overdue, now=now)
    needs, weight = people.needs_of(ticket, now=now), people.weight_of(ticket)
    choice = choose(there, needs=needs, weight=weight)
    if choice.agent_id and (ahead := _ahead(ticket, team=team, now=now)):
        choice = choose(reserve(there, ahead), needs=needs, weight=weight)
    decision.candidates, decision.tie_breaker = choice.candidates, choice.tie_breaker
    decision.agent = Agent.objects.get(pk=choice.agent_id) if choice.agent_id else None
    decision.outcome = RoutingDecision.Outcome.ASSIGNED if decision.agent else QUEUED


def _ahead(ticket: Ticket, *, team: Team, now: datetime) -> list[Claim]:
    """The tickets of the team that wait and come before this one: the first of them.

    Without them, a new ticket would take the place that became free while an older one waits to be called up.
    """
    unsolved = Ticket.objects.unsolved().survivors().filter(routing_due_at__isnull=False)
    queue = unsolved.filter(Q(pk=ticket.pk) | Q(team=team, assignee__isnull=True))
    rows = _in_order(queue).values_list("pk", "weight", "decided")[:AHEAD]
    first = {pk: weight for pk, weight, decided in takewhile(lambda row: row[0] != ticket.pk, rows) if decided}
    needs = people.required_skills(first, now=now) if first else {}
    return [Claim(weight, needs.get(pk, {})) for pk, weight in first.items()]


# -- Giving back --------------------------------------------------------------------------------------------------------


def take_back(*, now: datetime, limit: int = 200) -> int:
    """Sweep: offers that were not accepted in time, and work whose agent has been away for too long, return to the
    queue. Returns how many tickets. Repeating it is harmless."""
    passed = Ticket.objects.filter(accept_until__lte=now, assignee__isnull=False).order_by("accept_until", "id")
    taken = sum(_end_offer(pk, now=now) for pk in list(passed.values_list("pk", flat=True)[:limit]))
    for team in Team.objects.filter(give_back_minutes__isnull=False):
        gone = presence.gone_since(now - timedelta(minutes=team.give_back_minutes or 0), now=now)
        left = Ticket.objects.survivors().filter(
            team=team,
            assignee__in=gone,
            status__in=people.WORKED_ON,
            snoozed_until__isnull=True,
            waiting_since__isnull=False,
        )
        taken += sum(
            _take_back(pk, "agent_away", now=now)
            for pk in list(left.order_by("id").values_list("pk", flat=True)[:limit])
        )
    return taken


@transaction.atomic
def _end_offer(ticket_id: int, *, now: datetime) -> bool:
    ticket = _locked(ticket_id, accept_until__lte=now)
    if ticket is None:
        return False
    if _accepted(ticket):
        Ticket.objects.filter(pk=ticket.pk).update(accept_until=None)
        return False
    return _give_back(ticket, "not_accepted", now=now)


@transaction.atomic
def _take_back(ticket_id: int, cause: str, *, now: datetime) -> bool:
    ticket = _locked(ticket_id, assignee__isnull=False, waiting_since__isnull=False)
    return ticket is not None and _give_back(ticket, cause, now=now)


def _locked(ticket_id: int, **still: Any) -> Ticket | None:
    rows = Ticket.objects.select_for_update(of=("self",), skip_locked=True, no_key=True).select_related("team")
    return rows.filter(pk=ticket_id, status__in=people.WORKED_ON, **still).first()


def _accepted(ticket: Ticket) -> bool:
    """They have read to the end, or have done something with it since it was given to them."""
    read = ReadMark.objects.filter(agent=ticket.assignee_id, ticket=ticket, message_id__gte=ticket.last_message_id or 0)
    did = Event.objects.filter(ticket=ticket, actor=ticket.assignee_id, at__gt=ticket.assigned_at or ticket.created_at)
    return read.exists() or did.exists()


def _give_back(ticket: Ticket, cause: str, *, now: datetime) -> bool:
    live.announce(ticket.give_to(assignee=None, team=ticket.team, by=RULE, now=now, cause=cause))
    owe(ticket, now=now)
    return True


def _says_the_same(former: RoutingDecision, decision: RoutingDecision) -> bool:
    return (former.outcome, former.team_id, former.candidates) == (
        decision.outcome,
        decision.team.pk if decision.team else None,
        decision.candidates,
    )
