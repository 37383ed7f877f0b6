"""The SLA clocks of one ticket: started, met, cancelled, breached, on the rows of `SlaClock`.

Every function but the sweep must hold the ticket's row lock. The first active policy whose conditions hold
applies; a running clock keeps the policy, priority and calendar that it was started with.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Max

from agents.hours import ALWAYS, Hours, NeverOpens
from agents.models import Calendar
from tickets import conditions, live
from tickets.models import SlaClock, SlaPolicy, SlaSegment, SlaTarget, SlaWarning, Ticket
from tickets.models.event import SYSTEM
from tickets.models.sla import SlaMetric
from tickets.sla import clock as arithmetic

SWEEP = 500  # clocks in one transaction


def customer_wrote(ticket: Ticket, *, now: datetime) -> None:
    """The first question starts the first-reply clock, the next one after an answer the next-reply clock.

    A run of questions starts one clock only. Needs `waiting_since` of the message to be set.
    """
    metric = SlaMetric.NEXT_REPLY if ticket.first_reply_at else SlaMetric.FIRST_REPLY
    _start(ticket, metric, since=ticket.waiting_since or now, now=now)


def agent_replied(ticket: Ticket, *, now: datetime) -> None:
    """A public answer by a person meets the promises to reply."""
    _end(ticket, [SlaMetric.FIRST_REPLY, SlaMetric.NEXT_REPLY], SlaClock.State.MET, now=now)


def status_changed(ticket: Ticket, *, now: datetime) -> None:
    """A solve without an answer ends the wait: nobody promised a reply to a solved ticket."""
    if ticket.status in (Ticket.Status.SOLVED, Ticket.Status.CLOSED):
        _end(ticket, [SlaMetric.FIRST_REPLY, SlaMetric.NEXT_REPLY], SlaClock.State.CANCELLED, now=now)


def priority_changed(ticket: Ticket, *, now: datetime) -> None:
    """A target keeps the priority valid when it was applied (metrics.md 2.5); a ticket without a clock gets one."""
    if ticket.is_unsolved and ticket.waiting_since is not None:
        metric = SlaMetric.NEXT_REPLY if ticket.first_reply_at else SlaMetric.FIRST_REPLY
        _start(ticket, metric, since=ticket.waiting_since, now=now)


def rules_ran(ticket: Ticket, *, now: datetime) -> None:
    """Routing rules may have made it another promise: the clock of an unanswered new ticket follows them."""
    if ticket.first_reply_at is not None:
        return
    clock = (
        SlaClock.objects.filter(ticket=ticket, metric=SlaMetric.FIRST_REPLY)
        .live()
        .select_for_update(no_key=True)
        .first()
    )
    if clock is None:
        priority_changed(ticket, now=now)
        return
    found = _target(ticket, SlaMetric.FIRST_REPLY)
    if found is None:
        _end(ticket, [SlaMetric.FIRST_REPLY], SlaClock.State.CANCELLED, now=now)
    elif (found[0].pk, found[1].seconds, found[1].business) != (
        clock.policy_id,
        clock.seconds,
        clock.business,
    ):
        clock.version += 1
        _promise(clock, *found)
        clock.save()
        clock.warnings.filter(fired_at__isnull=True).delete()
        _warn(clock, found[0])


def hours_of(clock: SlaClock) -> Hours:
    return clock.calendar.hours() if clock.business and clock.calendar else ALWAYS


def sweep(*, now: datetime) -> int:
    """Write each breach and each warning once, at its deadline. Returns how many were written."""
    written = 0
    for write in (_breaches, _warnings):
        while count := write(now=now):
            written += count
            if count < SWEEP:
                break
    return written


@transaction.atomic
def _breaches(*, now: datetime) -> int:
    due = SlaClock.objects.filter(state=SlaClock.State.RUNNING, breached_at__isnull=True, due_at__lte=now)
    clocks = list(due.order_by("due_at").select_for_update(skip_locked=True, no_key=True)[:SWEEP])
    SlaClock.objects.filter(pk__in=[clock.pk for clock in clocks]).update(breached_at=now)
    tickets = Ticket.objects.in_bulk([clock.ticket_id for clock in clocks])
    live.announce(*(_breached(tickets[clock.ticket_id], clock, now=now) for clock in clocks))
    return len(clocks)


@transaction.atomic
def _warnings(*, now: datetime) -> int:
    due = SlaWarning.objects.filter(fired_at__isnull=True, due_at__lte=now).select_related("clock__ticket")
    warnings = list(due.order_by("due_at").select_for_update(of=("self",), skip_locked=True, no_key=True)[:SWEEP])
    SlaWarning.objects.filter(pk__in=[warning.pk for warning in warnings]).update(fired_at=now)
    live.announce(
        *(
            warning.clock.ticket.record(
                "sla_warning",
                now=now,
                metric=warning.clock.metric,
                clock=warning.clock_id,
                percent=warning.percent,
            )
            for warning in warnings
        )
    )
    return len(warnings)


def _breached(ticket: Ticket, clock: SlaClock, *, now: datetime):  # type: ignore[no-untyped-def]
    late = int((now - clock.due_at).total_seconds())
    return ticket.record("sla_breached", by=SYSTEM, now=now, metric=clock.metric, clock=clock.pk, late_seconds=late)


def _start(ticket: Ticket, metric: SlaMetric, *, since: datetime, now: datetime) -> None:
    if SlaClock.objects.filter(ticket=ticket, metric=metric, state__in=["running", "paused"]).exists():
        return
    found = _target(ticket, metric)
    if found is None:
        return
    cycle = SlaClock.objects.filter(ticket=ticket, metric=metric).aggregate(last=Max("cycle"))["last"] or 0
    clock = SlaClock(ticket=ticket, metric=metric, cycle=cycle + 1, started_at=since)
    try:
        _promise(clock, *found)
    except NeverOpens:
        return
    clock.save()
    SlaSegment.objects.create(clock=clock, kind="running", starts_at=since)
    _warn(clock, found[0])
    live.announce(
        ticket.record(
            "sla_started",
            now=now,
            metric=metric,
            clock=clock.pk,
            policy=found[0].pk,
            due_at=clock.due_at.isoformat(),
        )
    )


def _promise(clock: SlaClock, policy: SlaPolicy, target: SlaTarget) -> None:
    """Write what was promised, and its deadline, into the clock. Raises NeverOpens."""
    calendar = policy.calendar or Calendar.objects.filter(is_default=True).first()
    clock.policy, clock.policy_version = policy, policy.version
    clock.calendar, clock.calendar_version = calendar, calendar.version if calendar else 1
    clock.seconds, clock.business = target.seconds, target.business
    clock.due_at = arithmetic.due_at(clock.started_at, target.seconds, hours_of(clock))


def _warn(clock: SlaClock, policy: SlaPolicy) -> None:
    hours = hours_of(clock)
    SlaWarning.objects.bulk_create(
        [
            SlaWarning(
                clock=clock,
                percent=percent,
                due_at=arithmetic.warning_at(clock.started_at, clock.seconds, percent, hours),
            )
            for percent in policy.warn_percents
        ],
        ignore_conflicts=True,  # one that has fired already stays
    )


def _target(ticket: Ticket, metric: SlaMetric) -> tuple[SlaPolicy, SlaTarget] | None:
    policies = list(SlaPolicy.objects.filter(active=True).select_related("calendar").order_by("position", "id"))
    facts = conditions.facts_of(ticket) if any(policy.conditions for policy in policies) else {}
    for policy in policies:
        outcome = conditions.outcome_of(policy.conditions, facts)
        if outcome is not None and outcome.matched:
            target = policy.targets.filter(metric=metric, priority=ticket.priority).first()
            return (policy, target) if target else None
    return None


def _end(ticket: Ticket, metrics: list[SlaMetric], state: str, *, now: datetime) -> None:
    live_ones = SlaClock.objects.filter(ticket=ticket, metric__in=metrics, state__in=["running", "paused"])
    for clock in live_ones.select_for_update(no_key=True):
        if clock.state == SlaClock.State.RUNNING and clock.breached_at is None and clock.due_at <= now:
            clock.breached_at = now
            live.announce(_breached(ticket, clock, now=now))
        clock.state, clock.ended_at = state, now
        clock.version += 1
        clock.save(update_fields=["breached_at", "state", "ended_at", "version"])
        clock.segments.filter(ends_at__isnull=True).update(ends_at=now)
        clock.warnings.filter(fired_at__isnull=True).delete()
        if state == SlaClock.State.MET:
            live.announce(ticket.record("sla_met", now=now, metric=clock.metric, clock=clock.pk))
