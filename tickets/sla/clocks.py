"""The SLA clocks of one ticket: started, paused, met, cancelled, breached, on the rows of `SlaClock`.

Every function but the sweep must hold the ticket's row lock. The first active policy whose conditions hold
applies; a running clock keeps the policy, priority and pauses that it was started with, and follows its calendar.
A stay in a team has a clock of the same kind, with the target that the team had when the stay began. Of tickets that
are merged the survivor keeps the earliest promise of each kind, and the others rest. What somebody promised in person
(`tickets.promises`) runs to its moment whatever becomes of the ticket, on the survivor while that is merged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Max, QuerySet

from agents.hours import ALWAYS, Hours, NeverOpens
from agents.models import Calendar
from tickets import conditions, live
from tickets.models import Event, SlaClock, SlaPolicy, SlaPolicyVersion, SlaSegment, SlaTarget, SlaWarning, Ticket
from tickets.models.event import SYSTEM, record_all
from tickets.models.sla import METRICS, PAUSABLE, PROMISE, TEAM, WAITING_STATUSES, SlaMetric
from tickets.sla import clock as arithmetic
from tickets.sla.clock import Piece, Stretch

SWEEP = 500  # clocks in one transaction
REPLIES = (SlaMetric.FIRST_REPLY, SlaMetric.NEXT_REPLY)
ONE_OF_EACH = (REPLIES, (SlaMetric.PERIODIC_UPDATE,), (SlaMetric.RESOLUTION,))  # that a customer is promised at a time
REMINDERS = [75]  # percents of the time that somebody has for what they promised
NEVER = datetime.max.replace(tzinfo=UTC)
State = SlaClock.State


def customer_wrote(ticket: Ticket, *, now: datetime) -> None:
    """The first question starts the first-reply clock, the next one after an answer the next-reply clock.

    A run of questions starts one clock only. Needs `waiting_since` of the message to be set.
    """
    _start(ticket, {_reply_metric(ticket): ticket.waiting_since or now, SlaMetric.RESOLUTION: now}, now=now)


def agent_replied(ticket: Ticket, *, now: datetime) -> None:
    """A public answer by a person meets the promises to reply, and starts the wait for the next update. The team has acted.

    Call it when the ticket has the status that the answer leaves it in.
    """
    answered = (*REPLIES, SlaMetric.PERIODIC_UPDATE, TEAM)
    clocks = _live([ticket], [*answered, SlaMetric.RESOLUTION])
    _end_each(ticket, [clock for clock in clocks if clock.metric in answered], State.MET, now=now)
    if not ticket.is_unsolved:
        return
    wanted = {SlaMetric.PERIODIC_UPDATE: now}
    if all(clock.metric != SlaMetric.RESOLUTION for clock in clocks):
        wanted[SlaMetric.RESOLUTION] = now
    if promise := Policies().promise_to(ticket, now=now):
        _start_promised(promise, ticket, wanted, now=now)


def answer_failed(ticket: Ticket, *, said_at: datetime, next_at: datetime | None, now: datetime) -> None:
    """The answer of `said_at` never arrived: what it met was met by the next one at `next_at`, or goes on.

    What began because of it is cancelled then. On a solved ticket nothing is promised any more.
    """
    broken = _met_at(ticket, said_at)
    if next_at is not None:
        for clock in broken:
            _met_later(ticket, clock, at=next_at)
        return
    if not broken or not ticket.is_unsolved:
        return
    since = {clock.metric: clock.started_at for clock in broken}
    for later in _live([ticket], [*REPLIES, SlaMetric.PERIODIC_UPDATE]):
        if later.started_at >= since.get(later.metric, said_at):
            _close(later, State.CANCELLED, now=now)
    for clock in broken:
        _reopen(clock, now=now)


def answer_arrived(ticket: Ticket, *, said_at: datetime, now: datetime) -> None:
    """An answer that counted as failed has arrived after all: it met its promises when it was written."""
    for clock in _live([ticket], [*REPLIES, SlaMetric.PERIODIC_UPDATE]):
        if clock.started_at > said_at:
            continue
        if clock.due_at > said_at:
            clock.breached_at = None
        clock.segments.filter(starts_at__gt=said_at).delete()
        clock.segments.filter(ends_at__gt=said_at).update(ends_at=said_at)
        _close(clock, State.MET, now=said_at)
        live.announce(ticket.record("sla_met", now=now, metric=clock.metric, clock=clock.pk))
    if ticket.is_unsolved:
        _start(ticket, {**_waiting(ticket), SlaMetric.PERIODIC_UPDATE: said_at}, now=now)


def _met_later(ticket: Ticket, clock: SlaClock, *, at: datetime) -> None:
    clock.state = State.RUNNING
    _breach_if_overdue(ticket, clock, now=at)
    clock.segments.filter(ends_at=clock.ended_at).update(ends_at=at)
    _close(clock, State.MET, now=at)


def _met_at(ticket: Ticket, moment: datetime) -> list[SlaClock]:
    """The promises of answers and updates that were met at this moment, locked."""
    rows = SlaClock.objects.filter(
        ticket=ticket, metric__in=[*REPLIES, SlaMetric.PERIODIC_UPDATE], state=State.MET, ended_at=moment
    )
    return list(rows.select_related("calendar").select_for_update(of=("self",), no_key=True).order_by("id"))


def status_changed(ticket: Ticket, event: Event | None = None, *, now: datetime) -> None:
    """A solve keeps the promise to solve, and ends the others: nobody promised a reply to a solved ticket.

    Waiting for the customer or for others stops the clocks that may pause; a reopened ticket gets a new promise, and
    its team has another turn. `event` is what the change has recorded.
    """
    if not ticket.is_unsolved:
        _end(ticket, [SlaMetric.RESOLUTION, TEAM], State.MET, now=now)
        _end(ticket, [*REPLIES, SlaMetric.PERIODIC_UPDATE], State.CANCELLED, now=now)
        return
    for clock in _live([ticket], [*PAUSABLE, TEAM]):
        _turn(ticket, clock, now=now)
    _start(ticket, {SlaMetric.RESOLUTION: now}, now=now)
    if event is not None and event.kind == "reopened":
        _start_turn(ticket, now=now)


def arrived(ticket: Ticket, *, now: datetime) -> None:
    """Routing has looked at a new ticket: the turn of the team that has it begins, unless it did already."""
    _start_turn(ticket, now=now)


def given(ticket: Ticket, event: Event | None, *, now: datetime) -> None:
    """A team that hands a ticket on has acted, and the turn of the other begins. `event` is that of `give_to`."""
    if event is None or event.particulars["from"]["team"] == event.particulars["to"]["team"]:
        return
    if event.particulars["from"]["team"] is not None:
        _end(ticket, [TEAM], State.MET, now=now)
    _start_turn(ticket, now=now)


def promised(ticket: Ticket, *, due_at: datetime, now: datetime) -> SlaClock:
    """Somebody has promised something by then: to the second, whatever the business hours say."""
    started_at = now.replace(microsecond=0)
    clock = SlaClock(
        ticket=ticket,
        metric=PROMISE,
        cycle=_cycles(ticket, [PROMISE]).get(PROMISE, 0) + 1,
        seconds=int((due_at - started_at).total_seconds()),
        business=False,
        warn_percents=REMINDERS,
        started_at=started_at,
    )
    _run(clock, status=ticket.status)
    live.announce(_recorded("sla_started", ticket, clock, now=now, due_at=clock.due_at.isoformat()))
    return clock


def promise_ended(clock: SlaClock, state: State, *, now: datetime) -> None:
    """Kept is MET, withdrawn is CANCELLED."""
    _end_each(clock.ticket, [clock], state, now=now)


def promise_stands_again(clock: SlaClock, *, now: datetime) -> None:
    """As if it had not been kept or withdrawn: its deadline is where it was."""
    _reopen(clock, now=now)


def status_undone(ticket: Ticket, *, since: datetime, now: datetime) -> None:
    """What the change of status at `since` did to the clocks is taken back, as if it had never been."""
    rows = SlaClock.objects.filter(ticket=ticket).exclude(metric=PROMISE).select_related("calendar")
    answered_too = Event.objects.filter(ticket=ticket, kind="reply_posted", at=since).exists()
    for clock in rows.select_for_update(of=("self",), no_key=True).order_by("id"):
        of_solving = clock.metric in (SlaMetric.RESOLUTION, TEAM)
        ended_by_it = clock.state == (State.MET if of_solving else State.CANCELLED)
        if clock.metric == TEAM and (answered_too or clock.team_id != ticket.team_id):
            continue
        if clock.ended_at == since and ended_by_it:
            _reopen(clock, now=now)
        elif clock.ended_at is None and of_solving and clock.started_at >= since:
            _close(clock, State.CANCELLED, now=now)
        elif clock.ended_at is None:
            _forget_last_stretch(clock, since=since, now=now)
    status_changed(ticket, now=now)


def priority_changed(ticket: Ticket, *, now: datetime) -> None:
    """A target keeps the priority valid when it was applied (metrics.md 2.5); a ticket without a clock gets one."""
    if ticket.is_unsolved:
        _start(ticket, {**_waiting(ticket), SlaMetric.RESOLUTION: now}, now=now)


def rules_ran(*tickets: Ticket, now: datetime) -> None:
    """Routing rules may have made them other promises: the clocks of an unanswered new ticket follow them."""
    unanswered = [ticket for ticket in tickets if ticket.first_reply_at is None]
    clocks = defaultdict[int, list[SlaClock]](list)
    for clock in _live(unanswered, [SlaMetric.FIRST_REPLY, SlaMetric.RESOLUTION]):
        clocks[clock.ticket_id].append(clock)
    policies = Policies()
    for ticket in unanswered:
        _follow(ticket, clocks[ticket.pk], policies, now=now)


def _follow(ticket: Ticket, clocks: Iterable[SlaClock], policies: Policies, *, now: datetime) -> None:
    promise = policies.promise_to(ticket, now=now)
    for clock in clocks:
        target = promise.targets.get(clock.metric) if promise else None
        if clock.stands_in:
            continue  # it was promised on another ticket
        was_edited = bool(
            promise and promise.policy.pk == clock.policy_id and promise.policy.version != clock.policy_version
        )
        if was_edited and policies.still_promised(clock, ticket.priority):
            continue  # until an admin lets it follow
        if promise is None or target is None:
            _close(clock, State.CANCELLED, now=now)
        elif (promise.policy.pk, target.seconds, target.business) != (clock.policy_id, clock.seconds, clock.business):
            _promise_anew(ticket, clock, promise.policy, target, now=now)
    if promise and ticket.is_unsolved:  # and what was not promised before begins
        running = {clock.metric for clock in clocks if clock.ended_at is None}
        wanted = {**_waiting(ticket), SlaMetric.RESOLUTION: now}
        _start_promised(promise, ticket, {one: since for one, since in wanted.items() if one not in running}, now=now)


def merged(ticket: Ticket, *, into: Ticket, now: datetime) -> None:
    """The promises of a ticket that is merged away rest; the survivor keeps the earliest of both, if it is unsolved.

    The turn of its team rests too, for the survivor's team has one of its own. What was promised in person goes along.
    Must hold both row locks.
    """
    _move(SlaClock.objects.filter(ticket=ticket, metric=PROMISE).order_by("id"), to=into)
    resting = _live([ticket], [metric for metric, _label in METRICS if metric != PROMISE])
    for clock in resting:
        _breach_if_overdue(ticket, clock, now=now)
        _close(clock, State.CANCELLED, now=now)
    for metrics in ONE_OF_EACH if into.is_unsolved else ():
        if mine := [clock for clock in resting if clock.metric in metrics]:
            both = [*_live([into], metrics), *mine]
            _keep_earliest(into, both, resting=both, now=now)


def unmerged(ticket: Ticket, *, since: datetime, now: datetime) -> None:
    """Each has its own promises again, as if they had not been one since then. Must hold the row locks of the ticket and of
    all above it.

    What was answered on the survivor has answered the survivor: a customer who waits on this ticket waits still.
    """
    rows = SlaClock.objects.filter(ticket=ticket, state=State.CANCELLED, ended_at=since)
    rows = rows.exclude(carried_by__ticket=ticket).select_related("calendar", "carried_by__ticket")
    resting = list(rows.select_for_update(of=("self",), no_key=True).order_by("id")) if ticket.is_unsolved else []
    keepers = {clock.carried_by for clock in resting if clock.carried_by}
    SlaClock.objects.filter(pk__in=[clock.pk for clock in resting]).update(carried_by=None)
    for clock in resting:
        if clock.stands_in:
            _keep_earliest(ticket, _leaves(clock), resting=clock.carries.all(), now=now)
        else:
            _go_on(ticket, clock, now=now)
    for keeper in keepers:
        _let_go_of_one(keeper, now=now)
    family = ticket.family_ids()
    _move(SlaClock.objects.filter(promise__ticket__in=family).exclude(ticket__in=family).order_by("id"), to=ticket)


def outdated(policy: SlaPolicy) -> int:
    """How many live clocks still keep to an earlier version of a policy."""
    return _of_earlier_version(policy).count()


@transaction.atomic
def apply_version(policy: SlaPolicy, *, now: datetime) -> int:
    """Let live clocks, breached ones apart, follow the policy as it is now. Returns how many changed; repeat until 0.

    A clock for which the policy has no target any more is cancelled. Its own transaction; takes up to SWEEP clocks.
    """
    targets = {(target.metric, target.priority): target for target in policy.targets.all()}
    clocks = list(
        _of_earlier_version(policy)
        .select_related("ticket", "calendar")
        .select_for_update(of=("self", "ticket"), skip_locked=True, no_key=True)
        .order_by("id")[:SWEEP]
    )
    for clock in clocks:
        target = targets.get((clock.metric, clock.ticket.priority))
        if target is None:
            _close(clock, State.CANCELLED, now=now)
        else:
            _promise_anew(clock.ticket, clock, policy, target, now=now)
    return len(clocks)


def hours_of(clock: SlaClock) -> Hours:
    return clock.calendar.hours() if clock.business and clock.calendar else ALWAYS


def explain(clock: SlaClock, *, now: datetime) -> list[Piece]:
    """What the clock did from its start to its end, or to `now`: ran, stood still, or was off hours.

    Segments may be prefetched.
    """
    return list(arithmetic.pieces(_stretches(clock), hours_of(clock), until=clock.ended_at or now))


# -- What is due --------------------------------------------------------------------------------------------------------


def sweep(*, now: datetime) -> int:
    """Write each breach and each warning once, at its deadline. Returns how many were written.

    Clocks whose business hours were edited are reckoned anew first, so that no former deadline fires.
    """
    written = 0
    for write in (_recalculated, _warnings, _breaches):
        while count := write(now=now):
            written += count
            if count < SWEEP:
                break
    return written


@transaction.atomic
def _recalculated(*, now: datetime) -> int:
    """Their deadlines move with the calendar. What is breached already stays as it was written."""
    clocks: list[SlaClock] = []
    for calendar in Calendar.objects.order_by("id"):  # one by one: its index leads to them, past all that is closed
        stale = SlaClock.objects.filter(
            state__in=[State.RUNNING, State.PAUSED],
            business=True,
            breached_at__isnull=True,
            calendar=calendar,
            calendar_version__lt=calendar.version,
        ).select_related("calendar", "ticket")
        # The ticket too: a moved deadline is noted on it.
        locked = stale.select_for_update(of=("self", "ticket"), skip_locked=True, no_key=True)
        clocks += locked.order_by("calendar_version", "id")[: SWEEP - len(clocks)]
        if len(clocks) == SWEEP:
            break
    for clock in clocks:
        before = clock.due_at
        if clock.calendar:
            clock.calendar_version = clock.calendar.version
        _reckon(clock, now=now)
        if clock.due_at != before or clock.ended_at:
            live.announce(_recorded("sla_recalculated", clock.ticket, clock, now=now, due_at=clock.due_at.isoformat()))
    return len(clocks)


@transaction.atomic
def _breaches(*, now: datetime) -> int:
    due = SlaClock.objects.filter(state=State.RUNNING, breached_at__isnull=True, due_at__lte=now)
    clocks = list(due.order_by("due_at").select_for_update(skip_locked=True, no_key=True)[:SWEEP])
    SlaClock.objects.filter(pk__in=[clock.pk for clock in clocks]).update(breached_at=now)
    tickets = Ticket.objects.only("customer").in_bulk([clock.ticket_id for clock in clocks])
    found = [(tickets[clock.ticket_id], _lateness(clock, now=now)) for clock in clocks]
    live.announce(*record_all("sla_breached", found, by=SYSTEM, now=now))
    return len(clocks)


@transaction.atomic
def _warnings(*, now: datetime) -> int:
    due = SlaWarning.objects.filter(fired_at__isnull=True, due_at__lte=now).select_related("clock__ticket")
    warnings = list(due.order_by("due_at").select_for_update(of=("self",), skip_locked=True, no_key=True)[:SWEEP])
    SlaWarning.objects.filter(pk__in=[warning.pk for warning in warnings]).update(fired_at=now)
    found = [(warning.clock.ticket, _of(warning.clock, percent=warning.percent)) for warning in warnings]
    live.announce(*record_all("sla_warning", found, by=SYSTEM, now=now))
    return len(warnings)


def _breached(ticket: Ticket, clock: SlaClock, *, now: datetime) -> Event:
    return ticket.record("sla_breached", by=SYSTEM, now=now, **_lateness(clock, now=now))


def _lateness(clock: SlaClock, *, now: datetime) -> dict[str, Any]:
    return _of(clock, late_seconds=int((now - clock.due_at).total_seconds()))


def _of(clock: SlaClock, **particulars: Any) -> dict[str, Any]:
    return {"metric": clock.metric, "clock": clock.pk, **particulars}


def _recorded(kind: str, ticket: Ticket, clock: SlaClock, *, now: datetime, **particulars: Any) -> Event:
    return ticket.record(kind, by=SYSTEM, now=now, **_of(clock, **particulars))


# -- Starting -----------------------------------------------------------------------------------------------------------


class _Promise(NamedTuple):
    """What a policy promises to one ticket, by metric."""

    policy: SlaPolicy
    targets: Mapping[str, SlaTarget]


class Policies:
    """The active policies with their targets, read once, when a ticket first needs them."""

    def __init__(self) -> None:
        self._former: dict[tuple[int | None, int], list[Any]] = {}  # the matrix of a version, by policy and number

    def still_promised(self, clock: SlaClock, priority: int) -> bool:
        """Whether the version of its policy that the clock began with promises at this priority what the clock has."""
        begun = clock.policy_id, clock.policy_version
        if begun not in self._former:
            rows = SlaPolicyVersion.objects.filter(policy=clock.policy_id, number=clock.policy_version)
            content = rows.values_list("content", flat=True).first() or {}
            self._former[begun] = content.get("targets", [])
        return [clock.metric, priority, clock.seconds, clock.business] in self._former[begun]

    @cached_property
    def _ordered(self) -> list[SlaPolicy]:
        active = SlaPolicy.objects.filter(active=True).select_related("calendar").prefetch_related("targets")
        return list(active.order_by("position", "id"))

    def promise_to(self, ticket: Ticket, *, now: datetime) -> _Promise | None:
        """The policy that a rule has promised, else the first one that matches; its targets at the ticket's priority."""
        own = [policy for policy in self._ordered if policy.pk == ticket.sla_policy_id]
        policy = own[0] if own else self._first_that_holds(ticket, now=now)
        if policy is None:
            return None
        at_priority = (target for target in policy.targets.all() if target.priority == ticket.priority)
        return _Promise(policy, {target.metric: target for target in at_priority})

    def _first_that_holds(self, ticket: Ticket, *, now: datetime) -> SlaPolicy | None:
        if not self._ordered:
            return None
        facts = conditions.facts_of(ticket, now=now)
        for policy in self._ordered:
            outcome = conditions.outcome_of(policy.conditions, facts)
            if outcome is not None and outcome.matched:
                return policy
        return None


def _reply_metric(ticket: Ticket) -> SlaMetric:
    return SlaMetric.NEXT_REPLY if ticket.first_reply_at else SlaMetric.FIRST_REPLY


def _waiting(ticket: Ticket) -> dict[SlaMetric, datetime]:
    """The promise to reply that an unanswered customer has, and since when."""
    return {_reply_metric(ticket): ticket.waiting_since} if ticket.waiting_since else {}


def _start(ticket: Ticket, since: Mapping[SlaMetric, datetime], *, now: datetime) -> None:
    """Start those of these clocks that do not live yet and for which there is a promise."""
    running = set(_live_rows([ticket], since).values_list("metric", flat=True))
    wanted = {metric: moment for metric, moment in since.items() if metric not in running}
    promise = Policies().promise_to(ticket, now=now) if wanted else None
    if promise:
        _start_promised(promise, ticket, wanted, now=now)


def _start_promised(promise: _Promise, ticket: Ticket, since: Mapping[SlaMetric, datetime], *, now: datetime) -> None:
    """Start those of these clocks that it has a target for. None of them may live yet."""
    wanted = {metric: moment for metric, moment in since.items() if metric in promise.targets}
    if not wanted:
        return
    cycles = _cycles(ticket, wanted)
    if SlaMetric.FIRST_REPLY in wanted and promise.policy.first_reply_from == SlaPolicy.From.CREATED:
        wanted[SlaMetric.FIRST_REPLY] = ticket.created_at
    for metric, moment in wanted.items():
        clock = SlaClock(ticket=ticket, metric=metric, cycle=cycles.get(metric, 0) + 1, started_at=moment)
        try:
            _begin(clock, promise, status=ticket.status)
        except NeverOpens:
            continue
        due_at = clock.due_at.isoformat()
        live.announce(
            _recorded("sla_started", ticket, clock, now=now, policy=promise.policy.pk, due_at=due_at),
        )


def _cycles(ticket: Ticket, metrics: Iterable[str]) -> dict[str, int]:
    """How many clocks of each it has had."""
    former = SlaClock.objects.filter(ticket=ticket, metric__in=list(metrics)).order_by().values("metric")
    return dict(former.annotate(last=Max("cycle")).values_list("metric", "last"))


def _start_turn(ticket: Ticket, *, now: datetime) -> None:
    team = ticket.team
    if team is None or team.act_minutes is None or not ticket.is_unsolved or _live_rows([ticket], [TEAM]).exists():
        return
    calendar = team.calendar or Calendar.objects.filter(is_default=True).first()
    clock = SlaClock(
        ticket=ticket,
        metric=TEAM,
        cycle=_cycles(ticket, [TEAM]).get(TEAM, 0) + 1,
        team=team,
        calendar=calendar,
        calendar_version=calendar.version if calendar else 1,
        seconds=team.act_minutes * 60,
        warn_percents=team.act_warn_percents,
        pauses_in=list(WAITING_STATUSES),
        started_at=now,
    )
    try:
        _run(clock, status=ticket.status)
    except NeverOpens:
        return
    live.announce(_recorded("sla_started", ticket, clock, now=now, team=team.pk, due_at=clock.due_at.isoformat()))


def _begin(clock: SlaClock, promise: _Promise, *, status: str) -> None:
    """Raises NeverOpens."""
    _take_over(clock, promise.policy, promise.targets[clock.metric])
    _run(clock, status=status)


def _run(clock: SlaClock, *, status: str) -> None:
    """Raises NeverOpens."""
    running = Stretch("running", clock.started_at, None)
    clock.due_at = arithmetic.due_at([running], clock.seconds, hours_of(clock)) or clock.started_at
    clock.state = _kind_in(status, clock)
    clock.save()
    SlaSegment.objects.create(clock=clock, kind=clock.state, starts_at=clock.started_at)
    if clock.state == State.RUNNING:
        _warn(clock, [running])


def _take_over(clock: SlaClock, policy: SlaPolicy, target: SlaTarget) -> None:
    """Write what was promised into the clock."""
    calendar = policy.calendar or Calendar.objects.filter(is_default=True).first()
    clock.policy, clock.policy_version = policy, policy.version
    clock.calendar, clock.calendar_version = calendar, calendar.version if calendar else 1
    clock.seconds, clock.business = target.seconds, target.business
    clock.warn_percents, clock.pauses_in = policy.warn_percents, policy.pauses_in


def _promise_anew(ticket: Ticket, clock: SlaClock, policy: SlaPolicy, target: SlaTarget, *, now: datetime) -> None:
    """The same stretches by another promise; whether it stands still now is asked anew too."""
    _take_over(clock, policy, target)
    _reckon(clock, now=now)
    if clock.ended_at is None:
        _turn(ticket, clock, now=now)


def _warn(clock: SlaClock, stretches: list[Stretch]) -> None:
    hours = hours_of(clock)
    moments = {
        percent: arithmetic.warning_at(stretches, clock.seconds, percent, hours) for percent in clock.warn_percents
    }
    SlaWarning.objects.bulk_create(
        [SlaWarning(clock=clock, percent=percent, due_at=moment) for percent, moment in moments.items() if moment],
        ignore_conflicts=True,  # one that has fired already stays
    )


# -- Merging ------------------------------------------------------------------------------------------------------------


def _keep_earliest(ticket: Ticket, clocks: list[SlaClock], *, resting: Iterable[SlaClock], now: datetime) -> None:
    """The ticket keeps the earliest of these promises, its own and those of tickets that were merged into it. Under it
    rest `resting`: the others, or those that stood in for them."""
    under = [clock.pk for clock in resting]
    if not clocks:
        return
    best = min(clocks, key=lambda clock: (_would_be_due(ticket, clock, now=now), clock.pk))
    for own in clocks:
        if own.ended_at is None and own != best:
            _breach_if_overdue(ticket, own, now=now)
            _close(own, State.CANCELLED, now=now)
    if best.ticket_id != ticket.pk:
        keeper = _stand_in(ticket, best, now=now)
    else:
        keeper = best
        if best.ended_at is not None:
            _go_on(ticket, best, now=now)
    SlaClock.objects.filter(pk__in=under).exclude(pk=keeper.pk).update(carried_by=keeper)


def _move(clocks: Iterable[SlaClock], *, to: Ticket) -> None:
    last = _cycles(to, [PROMISE]).get(PROMISE, 0)
    for cycle, clock in enumerate(clocks, last + 1):
        clock.ticket, clock.cycle = to, cycle
        clock.version += 1
        clock.save(update_fields=["ticket", "cycle", "version"])


def _would_be_due(ticket: Ticket, clock: SlaClock, *, now: datetime) -> datetime:
    """If it ran from now on."""
    if clock.breached_at is not None:
        return clock.due_at
    *before, last = _going_on(ticket, clock, now=now)
    running = [last] if last.kind == State.RUNNING else [last._replace(ends_at=now), Stretch("running", now, None)]
    try:
        due = arithmetic.due_at([*before, *running], clock.seconds, hours_of(clock))
    except NeverOpens:
        return NEVER
    return due or NEVER


def _going_on(ticket: Ticket, clock: SlaClock, *, now: datetime) -> list[Stretch]:
    """The stretches of a clock as if it had never rested, in the statuses that this ticket has had meanwhile."""
    *before, last = _stretches(clock)
    stretches = [*before, last._replace(ends_at=None)]
    if clock.ended_at is None:
        return stretches
    changes = Event.objects.filter(
        ticket=ticket, kind__in=("status_changed", "solved", "reopened"), at__gt=clock.ended_at
    )
    told = [(event.at, event.particulars) for event in changes.order_by("id")]
    statuses = [(clock.ended_at, told[0][1]["from"] if told else ticket.status)]
    for at, status in [*statuses, *((at, change["to"]) for at, change in told), (now, ticket.status)]:
        if (kind := _kind_in(status, clock)) != stretches[-1].kind:
            stretches[-1:] = [stretches[-1]._replace(ends_at=at), Stretch(kind.value, at, None)]
    return stretches


def _stand_in(ticket: Ticket, clock: SlaClock, *, now: datetime) -> SlaClock:
    """The promise of another ticket, kept on this one: with what has passed of it, and the warnings that have come."""
    metric = _reply_metric(ticket) if clock.metric in REPLIES else clock.metric
    stretches = _going_on(ticket, clock, now=now)
    kept = SlaClock.objects.create(
        ticket=ticket,
        metric=metric,
        cycle=_cycles(ticket, [metric]).get(metric, 0) + 1,
        stands_in=True,
        state=stretches[-1].kind,
        **{name: getattr(clock, name) for name in _PROMISED},
    )
    _write_stretches(kept, stretches)
    SlaWarning.objects.bulk_create(
        SlaWarning(clock=kept, percent=one.percent, due_at=one.due_at, fired_at=one.fired_at)
        for one in clock.warnings.filter(fired_at__isnull=False)
    )
    _reckon(kept, now=now)
    due_at = kept.due_at.isoformat()
    live.announce(_recorded("sla_started", ticket, kept, now=now, policy=kept.policy_id, due_at=due_at))
    return kept


_PROMISED = (
    *("policy", "policy_version", "calendar", "calendar_version", "seconds", "business", "warn_percents", "pauses_in"),
    *("started_at", "due_at", "breached_at"),
)


def _go_on(ticket: Ticket, clock: SlaClock, *, now: datetime) -> None:
    """It rested, and now it had not."""
    stretches = _going_on(ticket, clock, now=now)
    clock.segments.all().delete()
    _write_stretches(clock, stretches)
    clock.state, clock.ended_at, clock.carried_by = State(stretches[-1].kind), None, None
    _reckon(clock, now=now)


def _write_stretches(clock: SlaClock, stretches: Iterable[Stretch]) -> None:
    SlaSegment.objects.bulk_create(
        SlaSegment(clock=clock, kind=one.kind, starts_at=one.starts_at, ends_at=one.ends_at) for one in stretches
    )


def _leaves(clock: SlaClock) -> list[SlaClock]:
    """What rests under one that stands in: promises that were made, and not those that stood in for them."""
    rows = clock.carries.select_related("calendar").select_for_update(of=("self",), no_key=True)
    return [leaf for one in rows.order_by("id") for leaf in (_leaves(one) if one.stands_in else [one])]


def _let_go_of_one(keeper: SlaClock, *, now: datetime) -> None:
    """A promise has left those that rest under this one: if it stood in, it is for those that are left, or for nothing."""
    if not keeper.stands_in:
        return
    left = _leaves(keeper)
    if keeper.ended_at is None:
        _close(keeper, State.CANCELLED, now=now)
        _keep_earliest(keeper.ticket, left, resting=keeper.carries.all(), now=now)
    elif keeper.state == State.MET:
        own = [clock for clock in left if clock.ticket_id == keeper.ticket_id]
        for clock in own:
            _met_later(keeper.ticket, clock, at=keeper.ended_at)
        SlaClock.objects.filter(pk__in=[clock.pk for clock in own]).update(carried_by=None)
        if own or not left:
            _close(keeper, State.CANCELLED, now=keeper.ended_at)
    elif keeper.carried_by is not None:
        _let_go_of_one(keeper.carried_by, now=now)


# -- Changing -----------------------------------------------------------------------------------------------------------


def _live_rows(tickets: Iterable[Ticket], metrics: Iterable[str]) -> QuerySet[SlaClock]:
    return SlaClock.objects.filter(ticket__in=list(tickets), metric__in=list(metrics)).live()


def _live(tickets: Iterable[Ticket], metrics: Iterable[str]) -> list[SlaClock]:
    """Locked, with their calendars."""
    rows = _live_rows(tickets, metrics).select_related("calendar")
    return list(rows.select_for_update(of=("self",), no_key=True))


def _of_earlier_version(policy: SlaPolicy) -> QuerySet[SlaClock]:
    return SlaClock.objects.filter(
        policy=policy, policy_version__lt=policy.version, state__in=[State.RUNNING, State.PAUSED], breached_at=None
    )


def _end(ticket: Ticket, metrics: Iterable[str], state: str, *, now: datetime) -> None:
    _end_each(ticket, _live([ticket], metrics), state, now=now)


def _end_each(ticket: Ticket, clocks: Iterable[SlaClock], state: str, *, now: datetime) -> None:
    for clock in clocks:
        _breach_if_overdue(ticket, clock, now=now)
        _close(clock, state, now=now)
        if state == State.MET:
            live.announce(ticket.record("sla_met", now=now, metric=clock.metric, clock=clock.pk))


def _breach_if_overdue(ticket: Ticket, clock: SlaClock, *, now: datetime) -> None:
    """Whoever stops a clock after its deadline says so first: a late sweep changes no report."""
    if clock.state == State.RUNNING and clock.breached_at is None and clock.due_at <= now:
        clock.breached_at = now
        live.announce(_breached(ticket, clock, now=now))


def _close(clock: SlaClock, state: str, *, now: datetime) -> None:
    clock.state, clock.ended_at = state, now
    clock.version += 1
    clock.save(update_fields=["breached_at", "state", "ended_at", "version", "calendar_version"])
    clock.segments.filter(ends_at__isnull=True).update(ends_at=now)
    clock.warnings.filter(fired_at__isnull=True).delete()


def _kind_in(status: str, clock: SlaClock) -> State:
    stands_still = clock.metric in (*PAUSABLE, TEAM) and status in clock.pauses_in
    return State.PAUSED if stands_still else State.RUNNING


def _turn(ticket: Ticket, clock: SlaClock, *, now: datetime) -> None:
    """Let it run or stand still, as the ticket's status has it."""
    kind = _kind_in(ticket.status, clock)
    if kind == State.PAUSED and clock.state == State.RUNNING:
        _pause(ticket, clock, now=now)
    elif kind == State.RUNNING and clock.state == State.PAUSED:
        _resume(clock, now=now)


def _pause(ticket: Ticket, clock: SlaClock, *, now: datetime) -> None:
    _breach_if_overdue(ticket, clock, now=now)
    clock.state = State.PAUSED
    clock.version += 1
    clock.save(update_fields=["breached_at", "state", "version"])
    clock.segments.filter(ends_at__isnull=True).update(ends_at=now)
    SlaSegment.objects.create(clock=clock, kind="paused", starts_at=now)
    clock.warnings.filter(fired_at__isnull=True).delete()


def _resume(clock: SlaClock, *, now: datetime) -> None:
    clock.segments.filter(ends_at__isnull=True).update(ends_at=now)
    SlaSegment.objects.create(clock=clock, kind="running", starts_at=now)
    clock.state = State.RUNNING
    _reckon(clock, now=now)


def _reopen(clock: SlaClock, *, now: datetime) -> None:
    """It had ended, and now it had not: its last stretch goes on."""
    last = clock.segments.order_by("-starts_at", "-id")[0]
    last.ends_at = None
    last.save(update_fields=["ends_at"])
    clock.state, clock.ended_at = last.kind, None
    _reckon(clock, now=now)


def _forget_last_stretch(clock: SlaClock, *, since: datetime, now: datetime) -> None:
    stretches = list(clock.segments.order_by("-starts_at", "-id")[:2])
    if len(stretches) < 2 or stretches[0].starts_at != since:
        return
    stretches[0].delete()
    _reopen(clock, now=now)


def _reckon(clock: SlaClock, *, now: datetime) -> None:
    """Deadline and warnings from the stretches that the clock has. One that could never be kept is cancelled.

    A deadline that was missed stays where it was, whatever the hours say by now.
    """
    stretches = _stretches(clock)
    if clock.breached_at is None:
        try:
            due = arithmetic.due_at(stretches, clock.seconds, hours_of(clock))
        except NeverOpens:
            return _close(clock, State.CANCELLED, now=now)
        clock.due_at = due or clock.due_at
    clock.version += 1
    clock.save()
    clock.warnings.filter(fired_at__isnull=True).delete()
    if clock.state == State.RUNNING:
        _warn(clock, stretches)
    return None


def _stretches(clock: SlaClock) -> list[Stretch]:
    rows = sorted(clock.segments.all(), key=lambda segment: (segment.starts_at, segment.pk))
    return [Stretch(segment.kind, segment.starts_at, segment.ends_at) for segment in rows]
