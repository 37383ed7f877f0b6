"""Several decisions in one transaction: what they have in common is read, locked and written once.

Each is the same as it would be alone, in the order of the tickets. Capacity holds under concurrency, because the rows
of all who might take one are locked before their load is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from django.db import transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

from agents.models import Team
from tickets import conditions, live
from tickets.models import Message, RoutingDecision, Rule, Ticket
from tickets.models.event import RULE, together
from tickets.routing import again, people, rules
from tickets.routing.choice import PLACE, Claim, Question, too_heavy
from tickets.sla import clocks

LOOK_AGAIN = timedelta(seconds=60)  # a queued ticket, whoever has room
BATCH = 20  # tickets in one transaction: so long are their rows and those of the agents locked
AHEAD = 50  # tickets in front of one for which room is kept
Outcome = RoutingDecision.Outcome


class Full:
    """Teams that have nobody for tickets of so many hundredths of a place and more, as decisions have found out."""

    def __init__(self) -> None:
        self._from: dict[int, int] = {}

    def for_weight(self, team_id: int, weight: int) -> bool:
        return team_id in self._from and weight >= self._from[team_id]

    def note(self, decision: RoutingDecision, weight: int) -> None:
        team = decision.team
        if team is None or team.overflow_id or decision.outcome != Outcome.QUEUED:
            return
        limit = too_heavy(decision.candidates, weight=weight)
        if limit is not None:
            self._from[team.pk] = min(limit, self._from.get(team.pk, limit))

    def forget(self) -> None:
        self._from.clear()


def in_order(tickets: QuerySet[Ticket]) -> QuerySet[Any]:
    """The order of routing, with `weight` in hundredths of a place, and whether it was `decided` before."""
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


@transaction.atomic
def decide(ticket_ids: Sequence[int], *, now: datetime, full: Full) -> list[RoutingDecision]:
    """Decide each of these once; not what is not owed, nor what somebody else holds at this moment.

    First the rules run on all of them, and then everybody who might take one is locked: all at once and in one order, so
    that two batches never wait for each other. What came to nobody before is put off where the team is `full`.
    """
    book = rules.Book()
    with together():
        owed = _owed(ticket_ids, now=now)
        written = _written_again(owed)
        resting = rules.resting(written.keys(), now=now)
        cases = [
            _begun(ticket, former, book, new=written.get(ticket.pk, []), rest=ticket.pk in resting, now=now)
            for ticket, former in owed
        ]
        rules.count(((case.ticket, case.decision.rules) for case in cases), now=now)
        desk = _Desk(cases, now=now)
        decided = list[_Case]()
        for case in cases:
            if case.came_to_nobody and full.for_weight(case.decision.team_id or 0, case.weight):
                continue
            desk.settle(case)
            full.note(case.decision, case.weight)
            decided.append(case)
            _write(case, now=now)
        clocks.rules_ran(*(case.ticket for case in decided if case.was_changed), now=now)
    _let_go(cases, now=now)
    return [case.decision for case in decided]


@dataclass
class _Case:
    """A ticket on which the rules have run, its newest decision, and the one that is being made: without an outcome until
    somebody of its team was looked for."""

    ticket: Ticket
    former: RoutingDecision | None
    decision: RoutingDecision
    given_by_rule: bool = False  # this time

    @property
    def team_to_ask(self) -> Team | None:
        return None if self.decision.outcome else self.decision.team

    @property
    def came_to_nobody(self) -> bool:
        """It has been through the rules, and nothing else has happened since."""
        former, decision = self.former, self.decision
        waited = former is not None and (former.outcome, former.team_id) == (Outcome.QUEUED, decision.team_id)
        return waited and not decision.rules and self.team_to_ask is not None

    @property
    def was_changed(self) -> bool:
        """By its rules, this time."""
        return self.decision is not self.former and any(step.get("did") for step in self.decision.rules)

    @property
    def weight(self) -> int:
        return people.weight_of(self.ticket)


def is_overdue(ticket: Ticket, team: Team, *, now: datetime) -> bool:
    """Whether it has waited for so long that the overflow team helps."""
    return now - (ticket.waiting_since or ticket.created_at) >= timedelta(minutes=team.overflow_minutes)


def _owed(ticket_ids: Sequence[int], *, now: datetime) -> list[tuple[Ticket, RoutingDecision | None]]:
    """Those of them that are, locked, each with its newest decision. What is finished is owed nothing any more, and what
    nobody has is owed nothing while it sleeps: whoever got it now would have it on top of all the rest when it wakes."""
    rows = (
        Ticket.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("customer", "team", "assignee", "first_channel__team", "last_channel__team")
        .filter(pk__in=ticket_ids, routing_due_at__lte=now)
    )
    locked = rows.in_bulk()
    tickets = [locked[pk] for pk in ticket_ids if pk in locked]
    over = [ticket.pk for ticket in tickets if not ticket.is_unsolved or ticket.merged_into_id]
    Ticket.objects.filter(pk__in=over).update(routing_due_at=None)
    asleep = [ticket.pk for ticket in tickets if ticket.pk not in over and _sleeps(ticket, now=now)]
    Ticket.objects.filter(pk__in=asleep).update(routing_due_at=F("snoozed_until"))
    of_ticket = RoutingDecision.objects.filter(ticket=OuterRef("pk")).order_by("-id").values("pk")[:1]
    newest = Ticket.objects.filter(pk__in=locked).values(newest=Subquery(of_ticket))
    decided = RoutingDecision.objects.filter(pk__in=newest).defer("inputs")
    former = {one.ticket_id: one for one in decided}
    return [(ticket, former.get(ticket.pk)) for ticket in tickets if ticket.pk not in (*over, *asleep)]


def _sleeps(ticket: Ticket, *, now: datetime) -> bool:
    return ticket.assignee_id is None and ticket.snoozed_until is not None and ticket.snoozed_until > now


def _written_again(owed: Iterable[tuple[Ticket, RoutingDecision | None]]) -> dict[int, list[int]]:
    """Of those that were decided before: what customers have written that no rules have seen, as ids of messages."""
    unseen = {
        ticket.pk: ticket.ruled_message_id or 0
        for ticket, former in owed
        if former is not None and (ticket.last_message_id or 0) > (ticket.ruled_message_id or 0)
    }
    written: dict[int, list[int]] = {}
    if unseen:
        some = Q(*(Q(ticket=pk, pk__gt=seen) for pk, seen in unseen.items()), _connector="OR")
        rows = Message.objects.written_again().filter(some).order_by("id").values_list("ticket", "pk")
        for ticket_id, message_id in rows:
            written.setdefault(ticket_id, []).append(message_id)
    return written


def _begun(
    ticket: Ticket, former: RoutingDecision | None, book: rules.Book, *, new: list[int], rest: bool, now: datetime
) -> _Case:
    """`new`: what the customer has written again. `rest`: rules are left out, they have run too often."""
    trigger, held_by = _trigger(former, new), ticket.assignee_id
    trace: list[dict[str, Any]] = []
    if trigger in Rule.When.values:
        said = Message.objects.filter(pk__in=new) if new else ticket.messages.public().filter(direction="in")
        cause = conditions.Cause(said)
        trace = rules.rested() if rest else rules.run(ticket, when=trigger, cause=cause, now=now, book=book)
    team = ticket.team or (ticket.first_channel.team if ticket.first_channel else None)
    at = max(now, ticket.last_message_at or now)  # not before what it has seen
    decision = RoutingDecision(ticket=ticket, trigger=trigger, rules=trace, acted=rules.acted(trace), team=team, at=at)
    decision.inputs = {}
    if ticket.assignee_id:
        decision.outcome, decision.agent = Outcome.KEPT, ticket.assignee
        decision.inputs = {"holder": ticket.assignee_id}
    elif team is None:
        decision.outcome = Outcome.NO_TEAM
    return _Case(ticket, former, decision, given_by_rule=ticket.assignee_id not in (None, held_by))


def _trigger(former: RoutingDecision | None, new: list[int]) -> str:
    if former is None:
        return Rule.When.CREATED
    if new:
        return Rule.When.CUSTOMER_REPLIED
    return "queue" if former.outcome == Outcome.QUEUED else "again"


class _Desk:
    """Who might take one of these, and what comes before each in the line of its team."""

    def __init__(self, cases: Sequence[_Case], *, now: datetime) -> None:
        self._cases, self._now = cases, now
        self._lines: dict[int, _Line] = {}
        tickets = [case.ticket for case in cases if case.team_to_ask]
        self._needs = people.needs_of(tickets)
        given = [case.ticket for case in cases if case.given_by_rule]  # they count from their turn on
        self._staff = people.Staff(self._teams(), tickets, without=given, now=now)

    def _teams(self) -> set[int]:
        asked = [(case, team) for case in self._cases if (team := case.team_to_ask)]
        helping = {team.overflow_id for case, team in asked if is_overdue(case.ticket, team, now=self._now)}
        return {team.pk for _case, team in asked}.union(pk for pk in helping if pk)

    def settle(self, case: _Case) -> None:
        """Choose for one that has no outcome yet, and let it count for those that follow."""
        ticket, decision, team = case.ticket, case.decision, case.team_to_ask
        if team is None:
            if case.given_by_rule and ticket.assignee_id:
                self._staff.fill(ticket, ticket.assignee_id)
            return
        there = self._staff.considered(ticket, team=team, with_overflow=is_overdue(case.ticket, team, now=self._now))
        question = Question(self._now, case.weight, needs=self._needs.get(ticket.pk, []), people=there)
        choice = question.answer()
        if choice.agent_id and (ahead := self._line(team).before(ticket.pk)):
            question = replace(question, ahead=ahead)
            choice = question.answer()
        decision.candidates, decision.tie_breaker = choice.candidates, choice.tie_breaker
        decision.inputs = again.inputs_of(question)
        decision.outcome = Outcome.ASSIGNED if choice.agent_id else Outcome.QUEUED
        if choice.agent_id:
            decision.agent = self._staff.give(ticket, choice.agent_id)
        if team.pk in self._lines:
            self._lines[team.pk].note(ticket.pk, placed=choice.agent_id is not None)

    def _line(self, team: Team) -> _Line:
        if team.pk not in self._lines:
            open_ = [case.ticket.pk for case in self._cases if case.team_to_ask and case.team_to_ask.pk == team.pk]
            self._lines[team.pk] = _Line(team, open_, now=self._now)
        return self._lines[team.pk]


class _Line:
    """The first of those that wait for a team, among them these tickets.

    Without them, a new ticket would take the place that became free while an older one waits to be called up.
    """

    def __init__(self, team: Team, ticket_ids: Iterable[int], *, now: datetime) -> None:
        awake = Ticket.objects.unsolved().survivors().awake(now=now)
        queue = awake.filter(routing_due_at__isnull=False)
        queue = queue.filter(Q(pk__in=ticket_ids) | Q(team=team, assignee__isnull=True))
        queue = in_order(queue).annotate(since=Coalesce("waiting_since", "created_at"))
        rows = list(queue.values_list("pk", "weight", "decided", "since")[: AHEAD + BATCH])
        needs = people.required_skills([row[0] for row in rows], now=now)
        helped = now - timedelta(minutes=team.overflow_minutes)
        self._claims = {pk: Claim(weight, needs.get(pk, {}), since <= helped) for pk, weight, _decided, since in rows}
        self._decided = {pk for pk, _weight, decided, _since in rows if decided}

    def before(self, ticket_id: int) -> list[Claim]:
        """Of those that have been decided and come before this one."""
        first = islice(takewhile(lambda pk: pk != ticket_id, self._claims), AHEAD)
        return [self._claims[pk] for pk in first if pk in self._decided]

    def note(self, ticket_id: int, *, placed: bool) -> None:
        self._decided.add(ticket_id)
        if placed:
            self._claims.pop(ticket_id, None)


def _write(case: _Case, *, now: datetime) -> None:
    """The decision, and what follows from it. One that says the same as the one before is not stored again."""
    ticket, decision, former = case.ticket, case.decision, case.former
    if former is not None and not decision.rules and _says_the_same(former, decision):
        case.decision = former
        return
    decision.save()
    given = ticket.give_to(assignee=decision.agent, team=decision.team, by=RULE, now=now, decision_id=decision.pk)
    clocks.given(ticket, given, now=now)
    if former is None:
        clocks.arrived(ticket, now=now)
    routed = ticket.record("routed", by=RULE, now=now, decision=decision.pk, outcome=decision.outcome)
    live.announce(given, routed)


def _says_the_same(former: RoutingDecision, decision: RoutingDecision) -> bool:
    return decision.outcome == Outcome.QUEUED and (former.outcome, former.team_id, former.candidates) == (
        decision.outcome,
        decision.team_id,
        decision.candidates,
    )


def _let_go(cases: Iterable[_Case], *, now: datetime) -> None:
    """What still waits for somebody stays owed; what was given has so long to be accepted. Its rules have seen all that was
    written so far."""
    seen = F("last_message_id")
    outcomes = {case.ticket.pk: case.decision.outcome for case in cases}
    waiting = [pk for pk, outcome in outcomes.items() if outcome in ("", Outcome.QUEUED)]
    Ticket.objects.filter(pk__in=waiting).update(routing_due_at=now + LOOK_AGAIN, ruled_message_id=seen)
    Ticket.objects.filter(pk__in=outcomes.keys() - set(waiting)).update(routing_due_at=None, ruled_message_id=seen)
    offered: dict[int, list[int]] = {}
    for case in cases:
        team = case.decision.team
        if case.decision.outcome == Outcome.ASSIGNED and team and team.accept_seconds:
            offered.setdefault(team.accept_seconds, []).append(case.ticket.pk)
    for seconds, ticket_ids in offered.items():
        Ticket.objects.filter(pk__in=ticket_ids).update(accept_until=now + timedelta(seconds=seconds))
