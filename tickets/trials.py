"""What all trials on the past have in common: worked off in the background, a batch after the other, in any number of
processes. One that cannot go on says why, and the others go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic

from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, InternalError, OperationalError
from django.db.models import F

from agents.models import Agent
from tickets.models import Rule, SlaPolicy
from tickets.models.trial import Trial
from tickets.wake import wake

log = logging.getLogger(__name__)

LAST = 500  # tickets that a trial looks at, or those of a period
MOST = 10_000  # of a period
BATCH = 50  # of them in one transaction
KEPT_FOR = timedelta(days=30)
FAILURES = 3  # how often the database may break it off


def among(others: Sequence[Rule] | Sequence[SlaPolicy], tried: Rule | SlaPolicy) -> int:
    """The place of the tried one between the others, which are in their order; the last where it is not saved."""
    if tried.pk is None:
        return len(others)
    return sum((one.position, one.pk) < (tried.position, tried.pk) for one in others)


def forget_old(kind: type[Trial], *, by: Agent, now: datetime) -> None:
    """Drop this author's trials of more than a month ago."""
    kind._default_manager.filter(agent=by, created_at__lt=now - KEPT_FOR).delete()


def work_off(kind: type[Trial], batch: Callable[[int, datetime], int], *, now: datetime, seconds: float) -> int:
    """Work off running trials for so long. `batch` gets an id, returns how many tickets it looked at, 0 at the end or
    where another process has that trial. Returns how many were looked at. Safe in any number of processes."""
    until, seen = monotonic() + seconds, 0
    running = kind._default_manager.filter(finished_at__isnull=True)
    for pk in list(running.order_by("id").values_list("pk", flat=True)):
        try:
            while monotonic() < until and (count := batch(pk, now)):
                seen += count
        except Exception as error:
            log.exception("%s %s stumbled", kind.__name__, pk)
            stumbled(kind, pk, error, now=now)
    if monotonic() >= until and running.exists():
        wake("tickets.tasks.try_rules")
    return seen


def stumbled(kind: type[Trial], pk: int, error: Exception, *, now: datetime) -> None:
    """What the database broke off is tried again with the next sweep, a few times. Anything else would happen again: it
    ends, and its author reads why."""
    if isinstance(error, SoftTimeLimitExceeded):
        raise error  # the task's time is over; the trial goes on with the next one
    it = kind._default_manager.filter(pk=pk, finished_at__isnull=True)
    it.update(failures=F("failures") + 1)
    if isinstance(error, (OperationalError, InternalError, InterfaceError)):  # InternalError: its time limit too
        it.filter(failures__gte=FAILURES).update(finished_at=now, problem=Trial.Problem.DATABASE)
    else:
        it.update(finished_at=now, problem=Trial.Problem.DATA)
