"""Whether the worker works. A worker may live, answer pings, and claim nothing (reports of that exist for Celery)."""

from datetime import datetime, timedelta

from django.utils import timezone

from channels_in.models import RawEvent
from helpdesk import health, heartbeat
from tickets.models import DeliveryPart, Outbox, RoutingDecision, Ticket

OVERDUE = timedelta(seconds=60)
SILENT = 60.0  # seconds without the worker's sign of life
LOOKED_AT = 50  # oldest due rows of each table that are compared

Backlog = dict[str, tuple[int, ...]]


def overdue(now: datetime) -> Backlog:
    """The ids of the oldest rows that are due for more than OVERDUE, by table; empty when there are none."""
    limit = now - OVERDUE
    due = {
        "inbound": RawEvent.objects.filter(state="new", next_attempt_at__lt=limit).order_by("next_attempt_at", "id"),
        "outbound": DeliveryPart.objects.filter(state="queued", next_attempt_at__lt=limit).order_by(
            "next_attempt_at", "id"
        ),
        "outbox": Outbox.objects.filter(state="queued", next_attempt_at__lt=limit).order_by("next_attempt_at", "id"),
    }
    if not _decides(since=limit):
        due["routing"] = Ticket.objects.filter(routing_due_at__lt=limit).order_by("routing_due_at", "id")
    found = {name: tuple(rows.values_list("id", flat=True)[:LOOKED_AT]) for name, rows in due.items()}
    return {name: ids for name, ids in found.items() if ids}


def _decides(*, since: datetime) -> bool:
    """Whether tickets were routed since then. Those that have waited longest may not be among them: what is urgent goes first."""
    last = RoutingDecision.objects.order_by("-id").values_list("at", flat=True).first()
    return last is not None and last >= since


class WorkerWatch:
    """Asked every few seconds: is the worker in order? It is not when it gave no sign of life for SILENT seconds, or
    when rows are overdue and the very same rows were overdue at the last question (a backlog that moves is not stuck).
    """

    def __init__(self) -> None:
        self._before: Backlog = {}

    def __call__(self, now: datetime | None = None) -> bool:
        if health.redis_state() != "ok":
            return True  # without Redis nobody can wake the worker; restarting it would not help
        age = heartbeat.worker_age()
        if age is not None and age > SILENT:
            return False
        backlog = overdue(now or timezone.now())
        stuck = any(ids == self._before.get(name) for name, ids in backlog.items())
        self._before = backlog
        return not stuck
