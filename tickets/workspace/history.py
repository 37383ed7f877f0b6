"""One person's story over all channels, newest first: what was said, and what happened to their tickets and to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db.models import F
from django.urls import reverse
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from tickets import fragments
from tickets.access import Visibility, tickets_in
from tickets.models import Event, Message
from tickets.timeline import Names

PAGE = 30
MOST_TICKETS = 500  # of one person, the newest
SAID = ("message_received", "reply_posted", "automatic_message")
HAPPENED = ("ticket_created", "solved", "reopened", "rated", "merged", "unmerged", "delivery_failed", "customer_back")
PERSONAL = ("customer_joined", "customer_join_undone", "identity_opted_out", "identity_opted_in")


class Page(NamedTuple):
    """`items` as `components/timeline.html` shows them. `before`: the cursor of the next page, None at the end."""

    items: list[dict[str, Any]]
    before: int | None


def page(
    visibility: Visibility, people: Sequence[int], *, before: int | None = None, current: int = 0, size: int = PAGE
) -> Page:
    """What one may see of it, in three queries. `people`: the customer and all joined ones; `current`: the open ticket."""
    events = _events(visibility, people, before=before, size=size + 1)
    shown = events[:size]
    messages = (
        Message.objects.filter(deleted_at__isnull=True)
        .select_related("channel", "agent", "customer")
        .in_bulk({event.message_id for event in shown if event.message_id})
    )
    names = Names(agents={event.actor.pk: event.actor.name for event in shown if event.actor}, teams={})
    items = [_item(event, messages.get(event.message_id or 0), names, current=current) for event in shown]
    return Page(items, shown[-1].pk if len(events) > size else None)


def tickets_of(visibility: Visibility, people: Sequence[int], *, most: int) -> list[dict[str, Any]]:
    """Their tickets on all channels, those that changed last first. One query."""
    rows = (
        tickets_in(visibility)
        .survivors()
        .filter(customer__in=people)
        .select_related("last_channel", "assignee")
        .order_by("-updated_at", "-pk")[:most]
    )
    return [
        {
            "id": ticket.pk,
            "number": ticket.number,
            "url": reverse("ticket", args=[ticket.pk]),
            "peek": reverse("ticket_peek", args=[ticket.pk]),
            "title": ticket.subject or ticket.snippet or str(ticket),
            "snippet": ticket.snippet if ticket.subject else "",
            "status": ticket.shown_status,
            "channel": ticket.last_channel.kind if ticket.last_channel else "",
            "at": ticket.last_message_at or ticket.created_at,
            "assignee": ticket.assignee.name if ticket.assignee else "",
            "csat": ticket.csat,
        }
        for ticket in rows
    ]


def _events(visibility: Visibility, people: Sequence[int], *, before: int | None, size: int) -> list[Event]:
    """The newest of both kinds, each by its own index: those of the tickets, and those of the person alone."""
    older = {"pk__lt": before} if before is not None else {}
    tickets = tickets_in(visibility).filter(customer__in=people).order_by("-pk").values("pk")[:MOST_TICKETS]
    # The sum keeps the planner from walking the whole log backwards by its key until it has met enough of this person.
    of_tickets = Event.objects.filter(ticket__in=tickets, kind__in=(*SAID, *HAPPENED), **older)
    newest = list(of_tickets.select_related("ticket", "actor").order_by((F("pk") + 0).desc())[:size])
    own = Event.objects.filter(customer__in=people, ticket__isnull=True, kind__in=PERSONAL, **older)
    newest += own.select_related("actor").order_by("-pk")[:size]
    return sorted(newest, key=lambda event: event.pk, reverse=True)[:size]


def _item(event: Event, message: Message | None, names: Names, *, current: int) -> dict[str, Any]:
    ticket = event.ticket
    is_said = event.kind in SAID
    item: dict[str, Any] = {
        "id": event.pk,
        "at": event.at,
        "sentence": _said(message) if is_said else fragments.line_facts(event, names)["sentence"],
        "icon_name": fragments.ICONS.get(event.kind, "user-round"),
        "channel": message.channel.kind if is_said and message and message.channel else "",
        "snippet": Truncator(" ".join(message.plain_text[:600].split())).chars(160) if is_said and message else "",
    }
    if ticket is not None:
        item |= {
            "url": reverse("ticket", args=[ticket.pk]),
            "peek": reverse("ticket_peek", args=[ticket.pk]),
            "number": ticket.number,
            "current": ticket.pk == current,
        }
    return item


def _said(message: Message | None) -> str:
    """Who wrote, in a few words; the words themselves are the snippet."""
    if message is None:
        return _("A message that was deleted")
    name = fragments.author_name(message)
    return _("%(name)s wrote") % {"name": name}
