"""The verbs of a ticket: each locks it, changes it, and wires what follows on commit.

Every verb is one transaction, takes `by` (who) and `now`, and returns the Event it wrote, or None when nothing
changed. Doing the same thing twice is harmless. Nobody else calls the state methods of `Ticket` from outside,
but `ingest`, `replies` and `routing`, which hold the row lock already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from agents.models import Agent, Team
from tickets import fields, live, notifications
from tickets.fields import Lack
from tickets.models import Event, Message, ReadMark, Ticket
from tickets.models.event import Actor, record
from tickets.models.ticket import is_same, tags_named
from tickets.routing import assign as routing
from tickets.routing import wrapping
from tickets.sla import clocks

MOST_REASON = 160  # characters


class NotAllowed(Exception):
    """The verb does not fit the ticket's state. The text is for the person who tried."""


class Incomplete(NotAllowed):
    """Something is wanted on the ticket before a person solves it. `code` is that of the first thing."""

    def __init__(self, lacks: Sequence[Lack]) -> None:
        super().__init__(fields.sentence_of(lacks))
        self.lacks = tuple(lacks)
        self.code = lacks[0].code


def check_solvable(ticket: Ticket, *, by: Actor, given: Collection[str] = ()) -> None:
    """Raises Incomplete. Asked of people only: rules, sweeps, imports and customers solve as they always did.

    `given`: what comes along with the solve, as `fields.lacks` takes it.
    """
    if by.agent is not None and not by.agent.is_bot and (lacking := fields.lacks(ticket, given=given)):
        raise Incomplete(lacking)


def lock(ticket_id: int) -> Ticket:
    """The ticket's row, locked. Must be inside a transaction."""
    return Ticket.objects.select_for_update(of=("self",), no_key=True).get(pk=ticket_id)


@transaction.atomic
def set_status(ticket: Ticket, status: str, *, by: Actor, now: datetime) -> Event | None:
    """Any unsolved -> open, pending, on_hold, solved; solved -> open. Raises NotAllowed from a closed ticket, and Incomplete."""
    locked = lock(ticket.pk)
    if locked.status == Ticket.Status.CLOSED:
        raise NotAllowed(_("This ticket is closed. A new message makes a follow-up ticket."))
    if status in (Ticket.Status.NEW, Ticket.Status.CLOSED):
        raise NotAllowed(_("Nobody can set this status by hand."))
    if status == Ticket.Status.SOLVED:
        check_solvable(locked, by=by)
    event = locked.change_status(status, by=by, now=now)
    if event:
        clocks.status_changed(locked, event, now=now)
        wrapping.begin(locked, event, now=now)  # before routing is woken
        if locked.is_unsolved and locked.assignee_id is None:
            routing.owe(locked, now=now)
        routing.status_changed(locked, now=now)
    live.announce(event)
    return event


def solve(ticket: Ticket, *, by: Actor, now: datetime) -> Event | None:
    return set_status(ticket, Ticket.Status.SOLVED, by=by, now=now)


def reopen(ticket: Ticket, *, by: Actor, now: datetime) -> Event | None:
    return set_status(ticket, Ticket.Status.OPEN, by=by, now=now)


@transaction.atomic
def undo_status(ticket: Ticket, *, event: Event, by: Actor, now: datetime) -> Event | None:
    """Take a change of status back within its moment of grace: back to what it was, counted as nothing.

    Raises NotAllowed when the status has moved on since.
    """
    locked = lock(ticket.pk)
    before, after = event.particulars.get("from"), event.particulars.get("to")
    if locked.status != after or before not in Ticket.Status.values:
        raise NotAllowed(_("The ticket has changed since. Nothing was undone."))
    solves = Event.objects.filter(ticket=locked, kind="solved", id__lt=event.pk)
    undone = _undone(locked)
    earlier = [e for e in solves.order_by("id") if e.pk not in undone]
    locked.status, locked.updated_at = before, now
    locked.first_solved_at = earlier[0].at if earlier else None
    locked.solved_at = earlier[-1].at if before == Ticket.Status.SOLVED and earlier else None
    locked.solved_by = earlier[-1].actor if before == Ticket.Status.SOLVED and earlier else None
    locked.waiting_since = locked.waiting_since or _waiting_since(locked)
    slept = event.particulars.get("slept")
    if slept and datetime.fromisoformat(slept) > now:
        locked.snoozed_until = datetime.fromisoformat(slept)
    locked.save(
        update_fields=[
            *("status", "updated_at", "first_solved_at", "solved_at", "solved_by", "waiting_since", "snoozed_until")
        ]
    )
    clocks.status_undone(locked, since=event.at, now=now)
    wrapping.undo(event, now=now)
    undo = locked.record("undone", by=by, now=now, event=event.pk, to=before)
    live.announce(undo)
    return undo


@transaction.atomic
def assign(
    ticket: Ticket, *, assignee: Agent | None, team: Team | None, by: Actor, now: datetime, reason: str = ""
) -> Event | None:
    """Give it to a person, a team, both or nobody. Without a person it is owed to routing again.

    `reason`: what whoever gets it should know, one line, kept with the event. Raises NotAllowed for somebody who is
    switched off.
    """
    locked = lock(ticket.pk)
    if assignee is not None and not assignee.is_active and assignee.pk != locked.assignee_id:
        raise NotAllowed(_("This person does not work here any more."))
    relieved = locked.assignee_id is not None and (assignee is None or assignee.pk != locked.assignee_id)
    event = locked.give_to(assignee=assignee, team=team, by=by, now=now, reason=" ".join(reason.split())[:MOST_REASON])
    clocks.given(locked, event, now=now)
    wrapping.begin(locked, event, now=now)  # before routing is woken
    if event:
        if assignee is None and team is not None and locked.is_unsolved:
            routing.owe(locked, now=now)
        elif assignee is not None:
            Ticket.objects.filter(pk=locked.pk).update(routing_due_at=None)
        if relieved:
            routing.capacity_freed(now=now)
    live.announce(event)
    return event


@transaction.atomic
def undo_assignment(ticket: Ticket, *, event: Event, by: Actor, now: datetime) -> Event | None:
    """Back to who had it before. What this assignment opened is new again, unless it was worked on since.

    Raises NotAllowed when it was given on since, or to somebody who has been switched off meanwhile.
    """
    locked = lock(ticket.pk)
    before, after = event.particulars["from"], event.particulars["to"]
    if {"assignee": locked.assignee_id, "team": locked.team_id} != after:
        raise NotAllowed(_("The ticket has changed since. Nothing was undone."))
    assignee = Agent.objects.filter(pk=before["assignee"]).first() if before["assignee"] else None
    if assignee is not None and not assignee.is_active:
        raise NotAllowed(_("This person does not work here any more."))
    team = Team.objects.filter(pk=before["team"]).first() if before["team"] else None
    relieved = locked.assignee_id is not None and after["assignee"] != before["assignee"]
    undo = locked.give_to(assignee=assignee, team=team, by=by, now=now, cause="undone")
    clocks.given(locked, undo, now=now)
    wrapping.undo(event, now=now)
    if event.particulars.get("opened") and locked.status == Ticket.Status.OPEN and not _worked_on(locked, since=event):
        locked.status = Ticket.Status.NEW
        locked.save(update_fields=["status"])
    if assignee is None and event.particulars.get("owed"):
        routing.owe(locked, now=now)
    else:
        Ticket.objects.filter(pk=locked.pk).update(routing_due_at=None)
    if relieved:
        routing.capacity_freed(now=now)
    live.announce(undo)
    return undo


@transaction.atomic
def set_priority(ticket: Ticket, priority: int, *, by: Actor, now: datetime) -> Event | None:
    locked = lock(ticket.pk)
    event = locked.change_priority(priority, by=by, now=now)
    if event:
        clocks.priority_changed(locked, now=now)
    live.announce(event)
    return event


@transaction.atomic
def change_tags(
    ticket: Ticket, *, add: Iterable[str] = (), remove: Iterable[str] = (), by: Actor, now: datetime
) -> Event | None:
    locked = lock(ticket.pk)
    event = locked.change_tags(add=tags_named(add), remove=tags_named(remove), by=by, now=now)
    live.announce(event)
    return event


@transaction.atomic
def set_fields(ticket: Ticket, values: Mapping[str, Any], *, by: Actor, now: datetime) -> Event | None:
    """Values by the keys of fields, as they were written or sent; None or "" takes one away. Raises NotAllowed, with
    nothing changed, for a field that is not there any more or a value that is not of its kind."""
    known = list(fields.ordered().filter(key__in=list(values)))
    try:
        kept = fields.checked(values, known)
    except fields.Invalid as problem:
        raise NotAllowed(str(problem)) from problem
    event = lock(ticket.pk).change_fields(kept, labels={one.key: one.label for one in known}, by=by, now=now)
    live.announce(event)
    return event


@transaction.atomic
def undo_fields(ticket: Ticket, *, event: Event, by: Actor, now: datetime) -> Event | None:
    """Back to what they were, be it a value that could not be chosen today. Raises NotAllowed when one has changed since."""
    locked, changes = lock(ticket.pk), event.particulars["changes"]
    if not all(is_same(locked.fields.get(one["field"]), one["to"]) for one in changes):
        raise NotAllowed(_("The ticket has changed since. Nothing was undone."))
    before = {one["field"]: one["from"] for one in changes}
    undo = locked.change_fields(before, labels={one["field"]: one["label"] for one in changes}, by=by, now=now)
    live.announce(undo)
    return undo


@transaction.atomic
def pin(ticket: Ticket, note: Message | None, *, by: Actor, now: datetime) -> Event | None:
    """Set a note of the thread above it for everybody, or None: nothing stands there."""
    event = lock(ticket.pk).pin(note, by=by, now=now)
    live.announce(event)
    return event


@transaction.atomic
def set_subject(ticket: Ticket, subject: str, *, by: Actor, now: datetime) -> Event | None:
    locked = lock(ticket.pk)
    subject = " ".join(subject.split())[:300]
    if subject == locked.subject:
        return None
    old, locked.subject, locked.updated_at = locked.subject, subject, now
    locked.save(update_fields=["subject", "updated_at"])
    change: dict[str, Any] = {"from": old, "to": subject}
    event = locked.record("subject_changed", by=by, now=now, **change)
    live.announce(event)
    return event


@transaction.atomic
def snooze(ticket: Ticket, *, until: datetime, by: Actor, now: datetime) -> Event | None:
    """Raises NotAllowed for a time that has passed, or a ticket that is done."""
    locked = lock(ticket.pk)
    if until <= now:
        raise NotAllowed(_("Choose a time in the future."))
    if not locked.is_unsolved:
        raise NotAllowed(_("Only an unsolved ticket can be snoozed."))
    event = locked.snooze(until, by=by, now=now)
    if event and locked.assignee_id is not None:
        routing.capacity_freed(now=now)
    live.announce(event)
    return event


@transaction.atomic
def wake(ticket: Ticket, *, by: Actor, now: datetime, cause: str = "") -> Event | None:
    locked = lock(ticket.pk)
    event = locked.snooze(None, by=by, now=now, cause=cause)
    if event:
        routing.woken(locked, now=now)
    live.announce(event)
    return event


@transaction.atomic
def rate(ticket: Ticket, score: int, *, survey_id: int, now: datetime) -> Event:
    """The customer's answer, 1 to 5. Changes no status."""
    event = lock(ticket.pk).rate(score, now=now, survey_id=survey_id)
    live.announce(event)
    return event


@transaction.atomic
def merge(ticket: Ticket, *, into: Ticket, by: Actor, now: datetime) -> Event:
    """Point at the survivor; no row moves. An unsolved survivor waits for as long as either did, and keeps the promises of
    both; it keeps its own fields and takes those that it has no value of. Raises NotAllowed for a circle, another brand, or
    a closed survivor."""
    rows = {pk: lock(pk) for pk in sorted({ticket.pk, into.pk})}
    merged, survivor = rows[ticket.pk], rows[into.pk]
    if merged.pk == survivor.pk or merged.merged_into_id or survivor.merged_into_id:
        raise NotAllowed(_("One of these tickets is merged already."))
    if merged.brand_id != survivor.brand_id:
        raise NotAllowed(_("Tickets of different brands cannot be merged."))
    if survivor.status == Ticket.Status.CLOSED:
        raise NotAllowed(_("A closed ticket cannot take another one in."))
    merged.merged_into, merged.updated_at = survivor, now
    merged.routing_due_at = merged.accept_until = None
    merged.save(update_fields=["merged_into", "updated_at", "routing_due_at", "accept_until"])
    survivor.updated_at = now
    waits = [since for since in (survivor.waiting_since, merged.waiting_since) if since]
    if waits and survivor.is_unsolved:
        survivor.waiting_since = min(waits)
    taken = {key: value for key, value in merged.fields.items() if key not in survivor.fields}
    survivor.fields |= taken
    survivor.save(update_fields=["updated_at", "waiting_since", "fields"])
    clocks.merged(merged, into=survivor, now=now)
    if merged.waiting_since and survivor.is_unsolved and survivor.assignee_id is None:
        routing.owe(survivor, now=now)
    if merged.assignee_id is not None:
        routing.capacity_freed(now=now)
    gone = merged.record("merged", by=by, now=now, into=survivor.pk, number=survivor.number)
    brought: dict[str, Any] = {"fields": taken} if taken else {}
    event = survivor.record("merged", by=by, now=now, ticket=merged.pk, number=merged.number, **brought)
    live.announce(gone, event)
    return event


@transaction.atomic
def unmerge(ticket: Ticket, *, by: Actor, now: datetime) -> Event:
    """Clear the pointer: each ticket stands by itself again, with its own wait, its own promises and its own fields. Raises
    NotAllowed where it is not merged, or what it was merged into is being merged at this moment."""
    upward = _upward(ticket.pk)
    rows = {pk: lock(pk) for pk in sorted(upward)}
    merged = rows[ticket.pk]
    if merged.merged_into_id is None or not {row.merged_into_id for row in rows.values()} <= {None, *rows}:
        raise NotAllowed(_("This ticket is not merged."))
    survivor = rows[merged.merged_into_id]
    merged.merged_into, merged.updated_at = None, now
    merged.save(update_fields=["merged_into", "updated_at"])
    since = Event.objects.filter(ticket=merged, kind="merged", particulars__into=survivor.pk).latest("id").at
    for above in (rows[pk] for pk in upward[1:]):
        if merged.waiting_since and above.waiting_since == merged.waiting_since:
            above.waiting_since = _family_waits_since(above)
            above.save(update_fields=["waiting_since"])
    _give_fields_back(survivor, merged)
    clocks.unmerged(merged, since=since, now=now)
    if merged.is_unsolved and merged.assignee_id is None:
        routing.owe(merged, now=now)
    if survivor.pinned_note and survivor.pinned_note.ticket_id not in survivor.family_ids():
        survivor.pin(None, by=by, now=now)  # it goes with its own thread
    event = merged.record("unmerged", by=by, now=now, number=survivor.number)
    other = survivor.record("unmerged", by=by, now=now, ticket=merged.pk, number=merged.number)
    live.announce(event, other)
    return event


def close_solved(*, now: datetime, after_days: int, limit: int = 500) -> int:
    """Sweep: solved -> closed, `after_days` after the solve. Returns how many."""
    due = Ticket.objects.filter(status=Ticket.Status.SOLVED, solved_at__lte=now - timedelta(days=after_days))
    closed = 0
    for pk in due.order_by("solved_at").values_list("pk", flat=True)[:limit]:
        with transaction.atomic():
            ticket = (
                Ticket.objects.select_for_update(skip_locked=True, no_key=True)
                .filter(pk=pk, status=Ticket.Status.SOLVED)
                .first()
            )
            if ticket:
                event = ticket.change_status(Ticket.Status.CLOSED, by=Actor("system"), now=now, cause="solved_long_ago")
                live.announce(event)
                closed += 1
    return closed


def wake_due(*, now: datetime, limit: int = 500) -> int:
    """Sweep: snoozes that have ended. Returns how many."""
    woken = 0
    for pk in (
        Ticket.objects.filter(snoozed_until__lte=now).order_by("snoozed_until").values_list("pk", flat=True)[:limit]
    ):
        with transaction.atomic():
            ticket = (
                Ticket.objects.select_for_update(skip_locked=True, no_key=True)
                .filter(pk=pk, snoozed_until__lte=now)
                .first()
            )
            if ticket:
                live.announce(ticket.snooze(None, by=Actor("system"), now=now, cause="time"))
                routing.woken(ticket, now=now)
                woken += 1
    return woken


def mark_read(ticket: Ticket, *, agent: Agent, message_id: int, now: datetime) -> None:
    """How far this agent has read, and when; never moves back by itself."""
    mark, made = ReadMark.objects.get_or_create(
        agent=agent, ticket=ticket, defaults={"message_id": message_id, "at": now}
    )
    if not made:
        ReadMark.objects.filter(pk=mark.pk).update(message_id=Greatest(F("message_id"), message_id), at=now)
    live.whisper("read", {"agent": agent.pk, "ticket": ticket.pk, "message": message_id})
    notifications.read_with_ticket(agent, ticket, message_id=message_id)


def mark_unread(ticket: Ticket, *, agent: Agent) -> None:
    """Unread again: up to before the customer's newest message."""
    newest = Message.objects.filter(ticket=ticket, direction="in").order_by("-id").values_list("id", flat=True).first()
    ReadMark.objects.update_or_create(agent=agent, ticket=ticket, defaults={"message_id": (newest or 1) - 1})
    live.whisper("read", {"agent": agent.pk, "ticket": ticket.pk, "message": (newest or 1) - 1})


def note_customer_changed(customer: Any, *, by: Actor, now: datetime, fields: list[str]) -> Event:
    """The customer's particulars were edited; only the names of the fields are logged."""
    event = record(
        "customer_changed",
        ticket=None,
        customer_id=customer.pk,
        by=by,
        now=now,
        particulars={"fields": fields},
    )
    live.announce(event)
    return event


def _give_fields_back(survivor: Ticket, merged: Ticket) -> None:
    """What the merge has brought, unless somebody has changed it since. Must hold the row lock of the survivor."""
    mergers = Event.objects.filter(ticket=survivor, kind="merged", particulars__ticket=merged.pk)
    brought = mergers.latest("id").particulars.get("fields", {})
    survivor.fields = {
        key: value for key, value in survivor.fields.items() if key not in brought or not is_same(value, brought[key])
    }
    survivor.save(update_fields=["fields"])


def _upward(ticket_id: int) -> list[int]:
    """A ticket and those that it was merged into, one into the other."""
    ids, above = list[int](), ticket_id
    while above and above not in ids:
        ids.append(above)
        above = Ticket.objects.filter(pk=above).values_list("merged_into_id", flat=True).get()
    return ids


def _undone(ticket: Ticket) -> set[int]:
    """Ids of the events that were taken back."""
    return set(Event.objects.filter(ticket=ticket, kind="undone").values_list("particulars__event", flat=True))


def _worked_on(ticket: Ticket, *, since: Event) -> bool:
    """Whether it was answered since, or its status was set, and that was not taken back."""
    kinds = ("reply_posted", "status_changed", "solved", "reopened")
    later = Event.objects.filter(ticket=ticket, id__gt=since.pk, kind__in=kinds).values_list("id", flat=True)
    return bool(set(later) - _undone(ticket))


def _waiting_since(ticket: Ticket) -> datetime | None:
    """The oldest customer message after our last public answer."""
    answered = (
        Message.objects.filter(ticket=ticket, kind="public", direction="out", author_type="agent")
        .order_by("-id")
        .values_list("id", flat=True)
        .first()
    )
    return (
        Message.objects.filter(ticket=ticket, kind="public", direction="in", automatic=False, id__gt=answered or 0)
        .order_by("id")
        .values_list("created_at", flat=True)
        .first()
    )


def _family_waits_since(survivor: Ticket) -> datetime | None:
    """Its own wait, or that of a ticket merged into it since its last answer, whichever began first."""
    answers = Event.objects.filter(ticket=survivor, kind="reply_posted").order_by("-id").values_list("id", flat=True)
    taken_in = Event.objects.filter(ticket=survivor, kind="merged", id__gt=answers.first() or 0)
    family = survivor.merged.filter(pk__in=list(taken_in.values_list("particulars__ticket", flat=True)))
    waits = [_waiting_since(survivor), *family.values_list("waiting_since", flat=True)]
    return min((since for since in waits if since), default=None)
