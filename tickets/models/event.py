from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from tickets.models.rule import RUN_BY, Rule
from tickets.secrets import EncryptedJSONField
from tickets.timeline import KINDS

if TYPE_CHECKING:
    from agents.models import Agent
    from tickets.models.ticket import Ticket


class Actor(NamedTuple):
    """Who did something. `type` is agent, customer, rule, system or api (an agent's token)."""

    type: str
    agent: Agent | None = None


SYSTEM = Actor("system")
CUSTOMER = Actor("customer")
RULE = Actor("rule")

RULES = "rules"  # the kind of the outbox rows that make rules run

_held: ContextVar[list[Event] | None] = ContextVar("held", default=None)  # what waits for the end of `together`


def by_agent(agent: Agent) -> Actor:
    return Actor("agent", agent)


class Event(models.Model):
    """The one log: timeline, live catch-up and analytics read it. Append-only; nothing references it.

    `kind` is one of `timeline.KINDS`. `particulars` are small and hold ids, never texts of customers; what an agent says
    to the next one when handing a ticket on is one short line, as what was promised is, and a ticket field's values are
    those that it had.
    """

    ticket = models.ForeignKey(
        "tickets.Ticket", null=True, on_delete=models.PROTECT, related_name="events", db_index=False
    )  # found by `event_by_ticket`
    customer = models.ForeignKey("tickets.Customer", null=True, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=40)
    actor_type = models.CharField(max_length=10)  # agent, customer, rule, system, api
    actor = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+")
    message_id = models.BigIntegerField(null=True)
    particulars = models.JSONField(default=dict)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["ticket", "id"], name="event_by_ticket"),
            models.Index(fields=["customer", "id"], name="event_by_customer", condition=Q(ticket__isnull=True)),
            models.Index(fields=["at", "id"], name="event_by_time"),
        ]


class Webhook(models.Model):
    """A receiver of outgoing webhooks (Standard Webhooks)."""

    url = models.URLField(max_length=500)
    events = models.JSONField(default=list)  # kinds of events; empty = all
    secrets = EncryptedJSONField()  # {"current": "whsec_...", "former": "whsec_..."}
    active = models.BooleanField(default=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)  # the last success, to the minute
    created_at = models.DateTimeField(db_default=Now())


class Outbox(models.Model):
    """Work that must follow a commit. Claimed by state; back-off is per `shard_key`."""

    class State(models.TextChoices):
        QUEUED = "queued"
        SENDING = "sending"
        SENT = "sent"
        QUARANTINED = "quarantined"

    kind = models.CharField(max_length=40)
    shard_key = models.CharField(max_length=120)
    payload = models.JSONField()
    state = models.CharField(max_length=11, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_owner = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="queued"), name="outbox_due"),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="outbox_leased"),
            models.Index(
                fields=["kind", "id"], condition=Q(state__in=["queued", "sending"]), name="outbox_line_of_kind"
            ),
            models.Index(
                fields=["next_attempt_at", "id"], condition=Q(kind=RULES, state="queued"), name="outbox_rules_due"
            ),
            models.Index(
                fields=["shard_key", "id"],
                condition=Q(state__in=["queued", "sending"]),
                name="outbox_by_shard",
            ),
            models.Index(fields=["shard_key", "id"], condition=Q(state="quarantined"), name="outbox_put_aside"),
        ]


def record(
    kind: str,
    *,
    ticket: Ticket | None,
    by: Actor,
    now: datetime,
    customer_id: int | None = None,
    message_id: int | None = None,
    particulars: dict[str, Any] | None = None,
) -> Event:
    """Append to the log, and owe it to the outgoing webhooks that want it, to the people whom it may concern, and to the
    rules that run then. All in the caller's transaction.

    What a rule did runs no rules.

    Raises KeyError for a kind that `timeline.KINDS` does not know.
    """
    event = _entry(
        kind,
        ticket=ticket,
        customer_id=customer_id,
        by=by,
        now=now,
        message_id=message_id,
        particulars=particulars or {},
    )
    _enter([event])
    return event


@contextmanager
def together() -> Iterator[None]:
    """What is recorded inside is appended at its end, in that order: as many statements as for one. Until then it has no
    id. Nothing is appended when it is left by an error. Encloses no other one, and stands inside a transaction."""
    held: list[Event] = []
    token = _held.set(held)
    try:
        yield
    finally:
        _held.reset(token)
    _append(held)


def record_all(kind: str, found: Iterable[tuple[Ticket, dict[str, Any]]], *, by: Actor, now: datetime) -> list[Event]:
    """`record` for the same kind of thing on many tickets, each with its particulars: as many statements as for one."""
    events = [_entry(kind, ticket=ticket, by=by, now=now, particulars=particulars) for ticket, particulars in found]
    _enter(events)
    return events


def _enter(events: list[Event]) -> None:
    held = _held.get()
    if held is None:
        _append(events)
    else:
        held += events


def _entry(
    kind: str,
    *,
    ticket: Ticket | None,
    by: Actor,
    now: datetime,
    particulars: dict[str, Any],
    customer_id: int | None = None,
    message_id: int | None = None,
) -> Event:
    return Event(
        ticket=ticket,
        customer_id=customer_id if customer_id is not None else (ticket.customer_id if ticket else None),
        kind=kind,
        actor_type=by.type,
        actor=by.agent,
        message_id=message_id,
        particulars=particulars,
        at=now,
    )


def _append(events: list[Event]) -> None:
    notified = {event.kind for event in events if KINDS[event.kind].notifies}
    Event.objects.bulk_create(events)
    receivers = list(Webhook.objects.filter(active=True).values_list("pk", "events"))
    running = _running(events)
    owed: list[Outbox] = []
    for event in events:
        owed += [
            Outbox(kind="webhook", shard_key=f"webhook:{pk}", payload={"webhook": pk, "event": event.pk})
            for pk, kinds in receivers
            if not kinds or event.kind in kinds
        ]
        if event.kind in notified:
            owed.append(Outbox(kind="notification", shard_key="notification", payload={"event": event.pk}))
        if _runs(event) & running:
            owed.append(
                Outbox(
                    kind=RULES,
                    shard_key=RULES,
                    payload={"event": event.pk, "ticket": event.ticket_id},
                    next_attempt_at=event.at,
                )
            )
    if owed:
        Outbox.objects.bulk_create(owed)


def _runs(event: Event) -> set[str]:
    """The kinds of rules that it may set off."""
    return set(RUN_BY.get(event.kind, ())) if event.actor_type != RULE.type and event.ticket_id else set()


def _running(events: Iterable[Event]) -> set[str]:
    """Of the kinds of rules that these may set off, those of which there is one."""
    wanted = {when for event in events for when in _runs(event)}
    return set(Rule.objects.waiting_for(*wanted).values_list("when", flat=True)) if wanted else set()
