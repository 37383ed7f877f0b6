"""Celery tasks of the core. Each is one drain of what is due in a table; rows are the truth, tasks only wake."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from tickets import (
    actions,
    answering,
    bulk,
    delivery,
    notification_mail,
    notifying,
    outbox,
    push,
    replies,
    triggers,
)
from tickets.api import idempotency
from tickets.routing import assign, staffing, trial
from tickets.sla import clocks
from tickets.sla import trial as sla_trial
from tickets.sla.guard import ClockGuard

# Seconds until a drain that calls others gives its slot back: clocks and routing must not wait for a slow provider.
TURN = 5

_guard = ClockGuard()


@shared_task
def route() -> None:
    """Take back what nobody accepted or whose agent has gone, and pay the routing that is owed: what comes meanwhile too."""
    assign.take_back(now=timezone.now())
    assign.drain(now=timezone.now())


@shared_task
def run_rules() -> None:
    """Run the rules that something has set off, or whose time has come."""
    triggers.drain(now=timezone.now(), seconds=TURN)


@shared_task
def forget_rule_runs() -> None:
    """Drop what rules did more than 90 days ago."""
    triggers.forget_old(now=timezone.now())


@shared_task
def try_rules() -> None:
    """Try rules and SLA policies on past tickets, for the admins who asked."""
    trial.drain(now=timezone.now(), seconds=TURN)
    sla_trial.drain(now=timezone.now(), seconds=TURN)


@shared_task
def try_staffing() -> None:
    """Play queues again with more people, for the managers who asked."""
    staffing.drain(now=timezone.now)


@shared_task
def sweep_sla() -> None:
    """Write breaches and warnings whose time has come."""
    now = timezone.now()
    if _guard.trusts(now):
        clocks.sweep(now=now)


@shared_task
def sweep_tickets() -> None:
    """End the snoozes that are over, and close what was solved long enough ago."""
    now = timezone.now()
    actions.wake_due(now=now)
    actions.close_solved(now=now, after_days=settings.CLOSE_AFTER_DAYS)


@shared_task
def answer() -> None:
    """Send the automatic answers that are due."""
    answering.drain(seconds=TURN, now=timezone.now())


@shared_task
def release_drafts() -> None:
    """Make messages of the drafts whose moment to be sent has come."""
    replies.release_due(now=timezone.now())


@shared_task
def work_off_bulk() -> None:
    """Do the next tickets of the jobs on many tickets."""
    bulk.drain(seconds=TURN, now=timezone.now())


@shared_task
def forget_bulk() -> None:
    """Drop the jobs on many tickets that ended a month ago."""
    bulk.forget_old(now=timezone.now())


@shared_task
def deliver(kind: str) -> None:
    """Send the parts that are due on channels of one kind; called on the queue `outbound.<kind>`."""
    delivery.deliver(kind=kind, seconds=TURN)


@shared_task(name="tickets.tasks.outbox")
def deliver_outbox() -> None:
    """Call the receivers of outgoing webhooks."""
    outbox.drain(seconds=TURN)


@shared_task
def notify() -> None:
    """Tell agents what concerns them of what has happened."""
    notifying.drain(seconds=TURN)


@shared_task
def mail_notifications() -> None:
    """Send agents the mails about what they have not seen on their screens."""
    notification_mail.drain(seconds=TURN)


@shared_task
def push_notifications() -> None:
    """Send agents the pushes about what they have not seen, to the devices that asked for them."""
    push.drain(seconds=TURN)


@shared_task
def forget_notifications() -> None:
    """Drop notifications that are older than 90 days."""
    notifying.forget_old(now=timezone.now())


@shared_task
def forget_answers() -> None:
    """Drop the API's stored answers after their day."""
    idempotency.forget_old(now=timezone.now())
