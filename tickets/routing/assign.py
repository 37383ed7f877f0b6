"""Who gets a ticket. Routing is owed by `Ticket.routing_due_at` and paid by a drain (reliability.md 5).

`assign` runs the rules, looks for a person in the team and stores the whole trace, in one transaction that also
clears the due column: a crash at any moment leaves the ticket due. Capacity holds under concurrency, because the
candidates' rows are locked before their load is counted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, OuterRef, Subquery

from agents import presence
from agents.models import Agent, Team
from tickets import live
from tickets.models import RoutingDecision, Rule, Ticket
from tickets.models.event import RULE
from tickets.routing import rules
from tickets.sla import clocks
from tickets.wake import wake

log = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(seconds=60)  # a queued ticket, when nobody said that they became free
WORKED_ON = ("new", "open")  # statuses that fill an agent's capacity


def owe(ticket: Ticket, *, now: datetime) -> None:
    """Mark the ticket as due, and wake the drain after the commit. Must hold its row lock."""
    ticket.routing_due_at = now
    ticket.save(update_fields=["routing_due_at"])
    wake("tickets.tasks.route")


def status_changed(ticket: Ticket, *, now: datetime) -> None:
    """A ticket that its agent has finished, or that waits for somebody else, leaves room for another one."""
    if ticket.assignee_id is not None and ticket.status not in WORKED_ON:
        capacity_freed(now=now)


@transaction.atomic
def capacity_freed(*, now: datetime, team_ids: Iterable[int] | None = None) -> int:
    """Somebody has room again: the waiting tickets (of these teams) are due now, the oldest first.

    Waits for no lock: its caller holds one ticket already, and so may the holder of the next. A ticket that somebody
    works on at this moment is looked at again within LOOK_AGAIN.
    """
    waiting = Ticket.objects.filter(routing_due_at__gt=now, assignee__isnull=True)
    if team_ids is not None:
        waiting = waiting.filter(team__in=list(team_ids))
    free = waiting.select_for_update(skip_locked=True, no_key=True).values("pk")
    moved = Ticket.objects.filter(pk__in=free).update(routing_due_at=now)
    if moved:
        wake("tickets.tasks.route")
    return moved


def drain(*, now: datetime, limit: int = 500) -> int:
    """Pay what is owed, the most urgent first, then the oldest. One that fails is put off and never blocks those behind it."""
    due = Ticket.objects.filter(routing_due_at__lte=now).order_by("-priority", "id").values_list("pk", flat=True)
    done = 0
    for ticket_id in due[:limit]:
        try:
            done += assign(ticket_id, now=now) is not None
        except Exception:
            log.exception("routing of ticket %s failed; it is tried again", ticket_id)
            Ticket.objects.filter(pk=ticket_id).update(routing_due_at=now + LOOK_AGAIN)
    return done


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
        _choose(decision, team=team, now=now)

    queued = decision.outcome == RoutingDecision.Outcome.QUEUED
    Ticket.objects.filter(pk=ticket_id).update(routing_due_at=now + LOOK_AGAIN if queued else None)
    if former is not None and queued and _says_the_same(former, decision):
        return former
    decision.save()
    live.announce(
        ticket.give_to(assignee=decision.agent, team=team, by=RULE, now=now, decision_id=decision.pk),
        ticket.record("routed", by=RULE, now=now, decision=decision.pk, outcome=decision.outcome),
    )
    if any(step.get("did") for step in trace):
        clocks.rules_ran(ticket, now=now)
    return decision


def _trigger(ticket: Ticket, former: RoutingDecision | None) -> str:
    if former is None:
        return Rule.When.CREATED
    if former.outcome == RoutingDecision.Outcome.QUEUED and (ticket.last_message_at or former.at) <= former.at:
        return "queue"
    if ticket.last_direction == "in" and ticket.last_message_at and ticket.last_message_at > former.at:
        return Rule.When.CUSTOMER_REPLIED
    return "again"


def _choose(decision: RoutingDecision, *, team: Team, now: datetime) -> None:
    """Fewest open first, then who has waited longest since their last one. Locks the candidates' rows, by id."""
    members = Agent.objects.filter(memberships__team=team, is_bot=False).order_by("id")
    locked = list(members.select_for_update(of=("self",), no_key=True))
    loads = _loads(locked)
    # One step into an index for each agent, however many decisions there have ever been.
    given = RoutingDecision.objects.filter(agent=OuterRef("pk"), outcome=RoutingDecision.Outcome.ASSIGNED)
    newest = Subquery(given.order_by("-id").values("pk")[:1])
    last = dict(Agent.objects.filter(pk__in=loads).annotate(last=newest).values_list("pk", "last"))
    free: list[tuple[int, int, int, Agent]] = []
    for agent in locked:
        load = loads[agent.pk]
        skipped = _skipped(agent, load=load, now=now)
        decision.candidates.append(
            {
                "agent": agent.pk,
                "name": agent.name,
                "load": load,
                "capacity": agent.capacity,
                "skipped": skipped,
            }
        )
        if skipped is None:
            free.append((load, last[agent.pk] or 0, agent.pk, agent))
    if not free:
        decision.outcome = RoutingDecision.Outcome.QUEUED
        return
    free.sort(key=lambda candidate: candidate[:3])
    decision.outcome, decision.agent = RoutingDecision.Outcome.ASSIGNED, free[0][3]
    equals = [candidate for candidate in free if candidate[0] == free[0][0]]
    decision.tie_breaker = "longest_since_last" if len(equals) > 1 else "fewest_open" if len(free) > 1 else "only_one"


def _loads(agents: list[Agent]) -> dict[int, int]:
    """How many tickets fill the capacity of each. Reads open tickets only, by their index."""
    open_now = Ticket.objects.survivors().filter(assignee__in=agents, status__in=WORKED_ON, snoozed_until__isnull=True)
    counted = dict(open_now.order_by().values("assignee").annotate(n=Count("pk")).values_list("assignee", "n"))
    return {agent.pk: counted.get(agent.pk, 0) for agent in agents}


def _skipped(agent: Agent, *, load: int, now: datetime) -> str | None:
    if not agent.is_active:
        return "inactive"
    if not agent.may_reply:
        return "light"
    shown = presence.shown(agent, now=now)
    if shown != Agent.Presence.ONLINE:
        return shown
    return "at_capacity" if load >= agent.capacity else None


def _says_the_same(former: RoutingDecision, decision: RoutingDecision) -> bool:
    return (former.outcome, former.team_id, former.candidates) == (
        decision.outcome,
        decision.team.pk if decision.team else None,
        decision.candidates,
    )
