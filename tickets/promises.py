"""What an agent promises a customer by a moment: made, handed over, kept or withdrawn, each told in the log.

A solve or a closing leaves it standing: it was said. Whoever owns it is reminded, by the clock of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from agents.models import Agent
from tickets import actions, live, moments
from tickets.access import agents_who_see, tickets_for
from tickets.models import Event, Promise, SlaClock, Ticket
from tickets.models.event import Actor
from tickets.sla import clocks

State = SlaClock.State


def open_promises() -> QuerySet[Promise]:
    """Neither kept nor withdrawn, the nearest first, with clock, its ticket and owner."""
    rows = Promise.objects.select_related("clock__ticket", "owner")
    return rows.filter(clock__state=State.RUNNING).order_by("clock__due_at", "pk")


def owed_by(owner: Agent, *, seen_by: Agent) -> QuerySet[Promise]:
    """Of what somebody promised, that which another sees, and so can hand over."""
    return open_promises().filter(owner=owner, clock__ticket__in=tickets_for(seen_by))


def owners_for(ticket: Ticket) -> QuerySet[Agent]:
    """Who may own a promise on this ticket: those who see it and may answer."""
    return agents_who_see(ticket).exclude(role=Agent.Role.LIGHT)


@transaction.atomic
def make(
    ticket: Ticket,
    *,
    text: str,
    due_at: datetime,
    owner: Agent,
    by: Actor,
    now: datetime,
    client_uuid: UUID | None = None,
) -> Event:
    """The clock starts, with a reminder. The same `client_uuid` gives the same event, whatever has become of it since.

    Raises NotAllowed for no text, one that is too long, a moment that does not lie ahead, an owner who does not see the
    ticket, or a ticket that was merged away; ValueError for a `client_uuid` of somebody else, or of another ticket.
    """
    locked, text = actions.lock(ticket.pk), " ".join(text.split())
    if client_uuid and (known := Promise.objects.filter(client_uuid=client_uuid).first()):
        return _made(known, on=locked, by=by)
    if locked.merged_into_id is not None:
        raise actions.NotAllowed(_("This ticket was merged: promise it on the one that speaks for it now."))
    if not text:
        raise actions.NotAllowed(_("Say what is promised."))
    if len(text) > Promise.LONGEST:
        raise actions.NotAllowed(_("Say it in %(most)s characters at most.") % {"most": Promise.LONGEST})
    due_at = due_at.replace(microsecond=0)
    if not now < due_at <= now + moments.HORIZON:
        raise actions.NotAllowed(_("Choose a time in the future, within two years."))
    _check_owner(locked, owner)
    clock = clocks.promised(locked, due_at=due_at, now=now)
    promise = Promise.objects.create(ticket=locked, clock=clock, text=text, owner=owner, client_uuid=client_uuid)
    return _told(promise, "promise_made", by=by, now=now, owner=owner.pk, due_at=due_at.isoformat())


def hand_over(promise: Promise, owner: Agent, *, by: Actor, now: datetime) -> Event | None:
    """Somebody else keeps it from now on. None where they own it already. Raises NotAllowed for one that is no longer open,
    and as `make` does for the owner."""
    with _locked(promise) as locked:
        before = locked.owner_id
        if owner.pk == before:
            return None
        _check_open(locked)
        _check_owner(locked.clock.ticket, owner)
        locked.owner = owner
        locked.save(update_fields=["owner"])
        return _told(locked, "promise_handed", by=by, now=now, **{"from": before, "to": owner.pk})


def keep(promise: Promise, *, by: Actor, now: datetime) -> Event:
    """Raises NotAllowed for one that is no longer open."""
    return _end(promise, State.MET, "promise_kept", by=by, now=now)


def withdraw(promise: Promise, *, by: Actor, now: datetime) -> Event:
    """Raises NotAllowed for one that is no longer open."""
    return _end(promise, State.CANCELLED, "promise_withdrawn", by=by, now=now)


def stand_again(promise: Promise, *, by: Actor, now: datetime) -> Event:
    """It was not kept or withdrawn after all. Raises NotAllowed for one that is open."""
    with _locked(promise) as locked:
        if locked.clock.ended_at is None:
            raise actions.NotAllowed(_("This promise is open already."))
        clocks.promise_stands_again(locked.clock, now=now)
        return _told(locked, "promise_stands_again", by=by, now=now)


@contextmanager
def _locked(promise: Promise) -> Iterator[Promise]:
    """With its clock and the ticket on which that runs. A merge may move it until the ticket is locked."""
    with transaction.atomic():
        ticket = actions.lock(SlaClock.objects.values_list("ticket", flat=True).get(promise=promise))
        rows = Promise.objects.select_related("clock__calendar").select_for_update(of=("self", "clock"), no_key=True)
        locked = rows.get(pk=promise.pk)
        if locked.clock.ticket_id != ticket.pk:
            raise actions.NotAllowed(_("The ticket has changed since. Nothing was done."))
        locked.clock.ticket = ticket
        yield locked


def _end(promise: Promise, state: State, kind: str, *, by: Actor, now: datetime) -> Event:
    with _locked(promise) as locked:
        _check_open(locked)
        clocks.promise_ended(locked.clock, state, now=now)
        return _told(locked, kind, by=by, now=now)


def _check_open(promise: Promise) -> None:
    if promise.clock.ended_at is not None:
        raise actions.NotAllowed(_("This promise was kept or withdrawn already."))


def _made(promise: Promise, *, on: Ticket, by: Actor) -> Event:
    """How it was told when it was made."""
    made = Event.objects.get(ticket=promise.ticket_id, kind="promise_made", particulars__promise=promise.pk)
    if (made.ticket_id, made.actor_id) != (on.pk, by.agent and by.agent.pk):
        raise ValueError("this client_uuid belongs to another promise")
    return made


def _check_owner(ticket: Ticket, owner: Agent) -> None:
    if not owners_for(ticket).filter(pk=owner.pk).exists():
        raise actions.NotAllowed(
            _("%(name)s does not see this ticket, or may not answer on it.") % {"name": owner.name}
        )


def _told(promise: Promise, kind: str, *, by: Actor, now: datetime, **particulars: Any) -> Event:
    ticket = promise.clock.ticket
    ticket.updated_at = now
    ticket.save(update_fields=["updated_at"])
    event = ticket.record(kind, by=by, now=now, promise=promise.pk, text=promise.text, **particulars)
    live.announce(event)
    return event
