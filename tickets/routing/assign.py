"""Who gets a ticket. Routing is owed by `Ticket.routing_due_at` and paid by a drain (reliability.md 5).

`decide` runs the rules, looks for a person in the team and stores the whole trace, in one transaction that also
clears the due column: a crash at any moment leaves the ticket due. An offer that is not accepted in time, and the work
of somebody who has gone or is switched off, come back the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from agents import presence
from agents.models import Agent, Team
from tickets import live
from tickets.models import Channel, Event, ReadMark, RoutingDecision, Ticket
from tickets.models.event import RULE
from tickets.models.ticket import UNSOLVED
from tickets.routing import people, wrapping
from tickets.routing.decide import BATCH, LOOK_AGAIN, Full, decide, in_order
from tickets.wake import wake

log = logging.getLogger(__name__)

TURN = 5.0  # seconds of a drain, about
ROUND = 100  # decisions until a drain looks again who has room meanwhile
AT_FIRST = 200  # waiting tickets that mostly suffice to fill what room there is
CALLED = 2000  # waiting tickets, of the teams where somebody has room, that a drain looks through


def owe(ticket: Ticket, *, now: datetime) -> None:
    """Mark the ticket as due, and wake the drain after the commit. Must hold its row lock."""
    ticket.routing_due_at = now
    ticket.save(update_fields=["routing_due_at"])
    wake("tickets.tasks.route")


def status_changed(ticket: Ticket, *, now: datetime) -> None:
    """A ticket that its agent has finished, or that waits for somebody else, leaves room for another one."""
    if ticket.assignee_id is not None and ticket.status not in people.WORKED_ON:
        capacity_freed(now=now)


def channel_has_team(channel: Channel, *, now: datetime) -> None:
    """What began on it and came to no team is owed again."""
    newest = RoutingDecision.objects.filter(ticket=OuterRef("pk")).order_by("-id").values("outcome")[:1]
    stranded = Ticket.objects.unsolved().survivors().filter(team__isnull=True, assignee__isnull=True)
    stranded = stranded.filter(first_channel=channel, routing_due_at__isnull=True).annotate(outcome=Subquery(newest))
    if stranded.filter(outcome=RoutingDecision.Outcome.NO_TEAM).update(routing_due_at=now):
        wake("tickets.tasks.route")


def woken(ticket: Ticket, *, now: datetime) -> None:
    """What nobody has slept in the queue too: it takes its place there again."""
    if ticket.assignee_id is None and ticket.routing_due_at is not None:
        owe(ticket, now=now)


def capacity_freed(*, now: datetime) -> None:
    """Somebody has room again: the drain is woken after the commit, if anybody waits. Writes nothing, waits for no lock."""
    if Ticket.objects.awake(now=now).filter(routing_due_at__gt=now, assignee__isnull=True).exists():
        wake("tickets.tasks.route")


def drain(*, now: datetime, seconds: float = TURN) -> int:
    """Pay what is owed: important customers and priorities first, then the next breach, then the longest wait.

    Waiting tickets for which somebody has room now are owed too, whether or not a wake-up came.
    One drain works at a time: who finds another at work leaves it to that one, which looks once more when it has ended.
    Once a team has nobody for a ticket, those of the same weight and more that have been through the rules already are
    put off together: a long queue costs little to look at. What is owed after so many seconds is left to a successor,
    who is woken. Returns how many decisions are new.
    """
    began, done = monotonic(), 0

    def passed() -> datetime:
        return now + timedelta(seconds=monotonic() - began)

    moment, is_owed = now, True
    while is_owed:
        seen = set[int]()
        with _alone() as alone:
            if not alone:
                return done
            new = _rounds(seen, now=moment, clock=passed, until=began + seconds)
        done, moment = done + new, passed()
        owed = _due(moment)  # it came while this one was at its end, or is somebody else's at this moment
        is_owed = (owed if new else owed.exclude(pk__in=seen)).exists()
        if is_owed and monotonic() > began + seconds:
            wake("tickets.tasks.route")
            return done
    return done


def _rounds(seen: set[int], *, now: datetime, clock: Callable[[], datetime], until: float) -> int:
    """Until nothing is owed, or the time is over. What comes meanwhile takes its place in the order; nothing is `seen`
    twice."""
    done = 0
    while due := _called(seen, now=now):
        seen.update(row[0] for row in due)
        done += _round(due, now=now)
        now = clock()
        if monotonic() > until:
            break
    return done


def _called(seen: set[int], *, now: datetime) -> list[tuple[int, int, int, bool]]:
    """The next of those that are owed. Who has just finished a chat and wraps up gets none of them."""
    wrapping.settle(now=now)
    _call_up(now=now)
    return list(_due(now).exclude(pk__in=seen)[:ROUND])


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether no other drain is at work; none begins until the end then. That spares work and waiting: what holds under
    concurrency does not depend on it. A session that dies lets it go, and so does one that stands still between two
    statements for half a minute: its host is gone."""
    with connection.cursor() as cursor:
        cursor.execute("SET idle_session_timeout = '30s'")
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended('routing', 0))")
        alone = bool(cursor.fetchone()[0])
    try:
        yield alone
    finally:
        _let_others(alone=alone)


def _let_others(*, alone: bool) -> None:
    try:
        with connection.cursor() as cursor:  # of another session, if the first one broke
            if alone:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended('routing', 0))")
            cursor.execute("RESET idle_session_timeout")
    except Error:
        connection.close()  # a session that is gone holds no lock


def _round(due: Iterable[tuple[int, int, int, bool]], *, now: datetime) -> int:
    done, full, put_off = 0, Full(), list[int]()
    batch = list[int]()
    for ticket_id, team_id, weight, decided in due:
        if decided and full.for_weight(team_id, weight):
            put_off.append(ticket_id)
            continue
        batch.append(ticket_id)
        if len(batch) == BATCH:
            done += _pay(batch, full, now=now)
            batch = []
    done += _pay(batch, full, now=now)
    Ticket.objects.filter(pk__in=put_off, routing_due_at__lte=now).update(routing_due_at=now + LOOK_AGAIN)
    return done


def _pay(batch: list[int], full: Full, *, now: datetime) -> int:
    """Where one of several fails, they are decided one by one: it is put off, and never blocks those behind it."""
    try:
        return sum(decision.at >= now for decision in decide(batch, now=now, full=full)) if batch else 0
    except Exception as error:
        full.forget()
        if len(batch) > 1:
            log.warning("tickets are routed one by one; together: %s", type(error).__name__)
            return sum(_pay([ticket_id], full, now=now) for ticket_id in batch)
        log.exception("routing of ticket %s failed; it is tried again", batch[0])
        Ticket.objects.filter(pk=batch[0]).update(routing_due_at=now + LOOK_AGAIN)
        return 0


def _due(now: datetime) -> QuerySet[Ticket, tuple[int, int, int, bool]]:
    """(ticket, team or 0, weight in hundredths of a place, decided before) in the order of routing."""
    due = in_order(Ticket.objects.filter(routing_due_at__lte=now)).annotate(known_team=Coalesce("team", 0))
    return due.values_list("pk", "known_team", "weight", "decided")


def _call_up(*, now: datetime) -> None:
    """Make those of the waiting tickets due for whom somebody has room: as many as there is room for, in order.

    Those whom nobody present could take are passed over, so that they hold up nobody behind them; so are those that
    have never been decided, which are put off because they failed. It reads without locks, `assign` decides. What
    somebody works on at this moment is left alone.
    """
    awake = Ticket.objects.unsolved().survivors().awake(now=now)
    waiting = awake.filter(routing_due_at__gt=now, assignee__isnull=True)
    room = people.with_room(now=now) if waiting.exists() else None
    if not room:
        return
    ordered = (
        in_order(waiting.filter(team__in=room.teams))
        .annotate(since=Coalesce("waiting_since", "created_at"))
        .values_list("pk", "team", "weight", "since", "decided")
    )
    called = list[int]()
    for some in (slice(0, AT_FIRST), slice(AT_FIRST, CALLED)):
        rows = list(ordered[some])
        needs = people.required_skills([row[0] for row in rows], now=now)
        called += [
            pk
            for pk, team, weight, since, decided in rows
            if decided and room.take(team, weight=weight, needs=needs[pk], waited=now - since)
        ]
        if room.is_used_up or len(rows) < AT_FIRST:
            break
    with transaction.atomic():
        free = waiting.filter(pk__in=called).select_for_update(skip_locked=True, no_key=True).values("pk")
        Ticket.objects.filter(pk__in=free).update(routing_due_at=now)


def assign(ticket_id: int, *, now: datetime) -> RoutingDecision | None:
    """Decide one. None when nothing is owed, or when somebody else is deciding it at this moment."""
    return next(iter(decide([ticket_id], now=now, full=Full())), None)


# -- Giving back --------------------------------------------------------------------------------------------------------


def take_back(*, now: datetime, limit: int = 200) -> int:
    """Sweep: offers that were not accepted in time, work whose agent has been away for too long, and all that people
    have who were switched off, return to the queue. Returns how many tickets. Repeating it is harmless."""
    passed = Ticket.objects.filter(accept_until__lte=now, assignee__isnull=False).order_by("accept_until", "id")
    taken = sum(_end_offer(pk, now=now) for pk in list(passed.values_list("pk", flat=True)[:limit]))
    for team in Team.objects.filter(give_back_minutes__isnull=False):
        moment = now - timedelta(minutes=team.give_back_minutes or 0)
        left = Ticket.objects.survivors().filter(
            _left_lying(moment, now=now), team=team, status__in=people.WORKED_ON, snoozed_until__isnull=True
        )
        taken += sum(
            _take_back(pk, of=person, since=moment, now=now)
            for pk, person in list(left.order_by("id").values_list("pk", "assignee")[:limit])
        )
    orphaned = Ticket.objects.filter(_of_nobody_here())
    released = sum(
        _release(pk, of=person, now=now)
        for pk, person in list(orphaned.order_by("id").values_list("pk", "assignee")[:limit])
    )
    if released == limit:  # there may be more
        wake("tickets.tasks.route")
    return taken + released


@transaction.atomic
def _end_offer(ticket_id: int, *, now: datetime) -> bool:
    ticket = _locked(ticket_id, accept_until__lte=now, status__in=people.WORKED_ON)
    if ticket is None:
        return False
    if _accepted(ticket):
        Ticket.objects.filter(pk=ticket.pk).update(accept_until=None)
        return False
    return _give_back(ticket, "not_accepted", now=now)


def _left_lying(since: datetime, *, now: datetime) -> Q:
    """Customers wait for somebody who has been away all the time from `since` on, and had the ticket by then."""
    had = Q(assigned_at__lte=since) | Q(assigned_at__isnull=True)
    return had & Q(assignee__in=presence.gone_since(since, now=now), waiting_since__isnull=False)


@transaction.atomic
def _take_back(ticket_id: int, *, of: int, since: datetime, now: datetime) -> bool:
    """Unless it was given to somebody else meanwhile, or they are back."""
    ticket = _locked(ticket_id, _left_lying(since, now=now), assignee=of, status__in=people.WORKED_ON)
    return ticket is not None and _give_back(ticket, "agent_away", now=now)


def _of_nobody_here() -> Q:
    """Not finished, and with somebody who is switched off: whether the customer waits, whatever the team gives back."""
    gone = Agent.objects.filter(is_active=False)
    return Q(assignee__in=gone, status__in=UNSOLVED, merged_into__isnull=True)


@transaction.atomic
def _release(ticket_id: int, *, of: int, now: datetime) -> bool:
    """Unless it was given to somebody else meanwhile, finished, or they were switched on again."""
    ticket = _locked(ticket_id, _of_nobody_here(), assignee=of)
    return ticket is not None and _give_back(ticket, "agent_inactive", now=now)


def _locked(ticket_id: int, *still: Q, **facts: Any) -> Ticket | None:
    rows = Ticket.objects.select_for_update(of=("self",), skip_locked=True, no_key=True).select_related("team")
    return rows.filter(*still, pk=ticket_id, **facts).first()


def _accepted(ticket: Ticket) -> bool:
    """They have looked at it, or have done something with it, since it was given to them."""
    given = ticket.assigned_at or ticket.created_at
    read = ReadMark.objects.filter(agent=ticket.assignee_id, ticket=ticket, at__gt=given)
    did = Event.objects.filter(ticket=ticket, actor=ticket.assignee_id, at__gt=given)
    return read.exists() or did.exists()


def _give_back(ticket: Ticket, cause: str, *, now: datetime) -> bool:
    """Owed without a wake-up: the drain follows the sweep, and a thousand would each set off one more."""
    live.announce(ticket.give_to(assignee=None, team=ticket.team, by=RULE, now=now, cause=cause))
    ticket.routing_due_at = now
    ticket.save(update_fields=["routing_due_at"])
    return True
