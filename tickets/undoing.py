"""Taking back what an agent has just done: which verb is the inverse of which event."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from agents.models import Agent
from tickets import actions, followers, incidents, promises
from tickets.access import tickets_for
from tickets.models import Event, Incident, Message, Promise, Ticket
from tickets.models.event import Actor, by_agent

GRACE = timedelta(minutes=10)
STATUS_KINDS = ("status_changed", "solved", "reopened")


def undo(ticket: Ticket, event: Event, *, agent: Agent, now: datetime) -> Event | None:
    """Back to what it was. Raises NotAllowed for another's deed, an old one, or where the ticket has moved on."""
    if event.actor_id != agent.pk or now - event.at > GRACE:
        raise actions.NotAllowed(_("This can no longer be undone."))
    by, before, after = by_agent(agent), event.particulars.get("from"), event.particulars.get("to")
    if event.kind in STATUS_KINDS:
        return actions.undo_status(ticket, event=event, by=by, now=now)
    if event.kind == "assigned" and before is not None and after is not None:
        return actions.undo_assignment(ticket, event=event, by=by, now=now)
    if event.kind == "priority_changed" and before is not None:
        _unchanged(ticket.priority == after)
        return actions.set_priority(ticket, before, by=by, now=now)
    if event.kind == "subject_changed" and before is not None:
        _unchanged(ticket.subject == after)
        return actions.set_subject(ticket, before, by=by, now=now)
    if event.kind == "pin_changed":
        _unchanged(ticket.pinned_note_id == after)
        return actions.pin(ticket, Message.objects.filter(pk=before).first() if before else None, by=by, now=now)
    if event.kind == "incident_changed":
        _unchanged(ticket.incident_id == after)
        return incidents.link(ticket, Incident.objects.filter(pk=before).first() if before else None, by=by, now=now)
    if event.kind == "tags_changed":
        particulars = event.particulars
        return actions.change_tags(
            ticket, add=particulars.get("removed", ()), remove=particulars.get("added", ()), by=by, now=now
        )
    if event.kind == "fields_changed":
        return actions.undo_fields(ticket, event=event, by=by, now=now)
    if event.kind == "followers_changed":
        verb, people = (
            (followers.unfollow, event.particulars["added"])
            if event.particulars["added"]
            else (followers.follow, event.particulars["removed"])
        )
        return verb(ticket, Agent.objects.filter(pk__in=people), by=by, now=now)
    if event.kind.startswith("promise_"):
        return _undo_promise(event, agent=agent, now=now)
    if event.kind in ("snoozed", "woken"):
        return _undo_snooze(ticket, event, by=by, now=now)
    if event.kind == "merged":
        return actions.unmerge(Ticket(pk=event.particulars.get("ticket", event.ticket_id)), by=by, now=now)
    raise actions.NotAllowed(_("This cannot be undone."))


def _undo_snooze(ticket: Ticket, event: Event, *, by: Actor, now: datetime) -> Event | None:
    """Asleep as long as it was before; awake where it was awake, or where that time has passed meanwhile."""
    until, was = event.particulars.get("until"), event.particulars.get("was")
    _unchanged(ticket.snoozed_until == (datetime.fromisoformat(until) if until else None))
    before = datetime.fromisoformat(was) if was else None
    if before is None or before <= now:
        return actions.wake(ticket, by=by, now=now, cause="undo")
    return actions.snooze(ticket, until=before, by=by, now=now)


def _undo_promise(event: Event, *, agent: Agent, now: datetime) -> Event | None:
    """A merge may have taken it to a ticket that they do not see: there it stays as it is."""
    promise = Promise.objects.select_related("owner", "clock").get(pk=event.particulars["promise"])
    _unchanged(tickets_for(agent).filter(pk=promise.clock.ticket_id).exists())
    by = by_agent(agent)
    if event.kind == "promise_handed":
        _unchanged(promise.owner_id == event.particulars["to"])
        former = Agent.objects.get(pk=event.particulars["from"])
        return promises.hand_over(promise, former, by=by, now=now)
    if event.kind in ("promise_made", "promise_stands_again"):
        return promises.withdraw(promise, by=by, now=now)
    _unchanged(promise.clock.ended_at == event.at)
    return promises.stand_again(promise, by=by, now=now)


def _unchanged(is_so: bool) -> None:
    if not is_so:
        raise actions.NotAllowed(_("The ticket has changed since. Nothing was undone."))
