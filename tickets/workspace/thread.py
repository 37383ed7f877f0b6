"""What the screen of one ticket holds: its thread, its head, its properties. Queries here, words in the fragments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, Subquery
from django.http import Http404
from django.urls import reverse
from django.utils.translation import gettext as _

from agents.models import Agent
from tickets import conditions, fields, fragments
from tickets.access import tickets_for
from tickets.followers import followers_of
from tickets.models import Event, Follower, Message, Promise, ReadMark, SlaClock, Ticket, TicketField
from tickets.models.sla import PROMISE
from tickets.templatetags.ui import PRIORITY_WORDS
from tickets.timeline import in_words, labels_of_priority, labels_of_status
from tickets.workspace.since import Since, since

PAGE = 50  # messages
MOST_LINES = 300  # of events on one page
MOST_WITHOUT_FILTER = 8  # options of a menu


def ticket_on_screen(agent: Agent, ticket_id: int) -> Ticket:
    """The ticket with all that its head and properties show. Raises Http404 whether it does not exist or is not theirs.

    Adds `has_merged` (others were merged into it), `read_up_to` and `read_at` (this agent's mark), `is_followed` (by this
    agent), and `field_rows` (what `fields.of` reads).
    """
    mark = ReadMark.objects.filter(agent=agent, ticket=OuterRef("pk"))
    ticket = (
        tickets_for(agent)
        .for_screen()
        .select_related("brand", "merged_into", "incident", "pinned_note__agent")
        .annotate(
            has_merged=Exists(Ticket.objects.filter(merged_into=OuterRef("pk"))),
            is_followed=Exists(Follower.objects.filter(agent=agent, ticket=OuterRef("pk"))),
            read_up_to=Subquery(mark.values("message_id")[:1]),
            read_at=Subquery(mark.values("at")[:1]),
            field_rows=fields.beside_the_ticket(),
        )
        .filter(pk=ticket_id)
        .first()
    )
    if ticket is None:
        raise Http404
    return ticket


@dataclass(frozen=True)
class ThreadPage:
    """One page of a thread, oldest first. `earlier` is the address of the page before, "" at the beginning.

    `since`: what its reader has missed; its line stands among the items.
    """

    items: list[tuple[str, dict[str, Any]]]
    earlier: str
    newest_message_id: int | None
    since: Since | None = None


def page_of(ticket: Ticket, *, before: int | None = None, reader: Agent | None = None) -> ThreadPage:
    """The last messages (before message id `before`) of the whole family, with the lines that fall between them.

    With a `reader` it says what they have missed, for a ticket that came from `ticket_on_screen`. Raises Http404 where the
    family has no message `before`.
    """
    family = ticket.family_ids() if getattr(ticket, "has_merged", True) else [ticket.pk]
    messages = Message.objects.filter(ticket__in=family, moved_to__isnull=True)
    events = Event.objects.filter(ticket__in=family, kind__in=fragments.SHOWN_KINDS)
    if before is not None:
        limit = messages.filter(pk=before).values_list("created_at", "pk").first()
        if limit is None:
            raise Http404
        messages = messages.filter(Q(created_at__lt=limit[0]) | Q(created_at=limit[0], pk__lt=limit[1]))
        events = events.filter(at__lt=limit[0])
    latest = ["-seq"] if len(family) == 1 else ["-created_at", "-pk"]
    found = list(messages.for_bubbles().order_by(*latest)[: PAGE + 1])
    shown, rest = found[:PAGE], found[PAGE:]
    oldest = shown[-1] if shown else None
    if rest and oldest:
        events = events.filter(at__gte=oldest.created_at)
    lines = list(events.order_by("-pk")[:MOST_LINES])
    names = fragments.names_of(lines)
    items = fragments.sorted_by_time(
        (fragments.bubble_facts(message) for message in shown if fragments.is_bubble(message)),
        (fragments.line_facts(event, names) for event in lines),
    )
    missed = (
        since(
            shown[::-1],
            lines[::-1],
            names,
            reader=reader,
            read_up_to=ticket.read_up_to,  # type: ignore[attr-defined]
            at=ticket.read_at,  # type: ignore[attr-defined]
            more=bool(rest),
        )
        if reader
        else None
    )
    if missed:
        place = next(n for n, (kind, item) in enumerate(items) if (kind, item["id"]) == missed.first)
        items.insert(place, ("since", {}))
    return ThreadPage(
        items=items,
        since=missed,
        earlier=f"{reverse('earlier', args=[ticket.pk])}?before={oldest.pk}" if rest and oldest else "",
        newest_message_id=max((message.pk for message in shown), default=None),
    )


# -- Properties: one select each, posted at once -------------------------------------------------------------------------------


def properties(ticket: Ticket) -> list[dict[str, Any]]:
    makers = (
        assignee_property,
        team_property,
        status_property,
        priority_property,
        tags_property,
        incident_property,
    )
    own = [field_property(ticket, field) for field in fields.of(ticket)]
    return [make(ticket) for make in makers] + own


def assignee_property(ticket: Ticket) -> dict[str, Any]:
    person = ticket.assignee
    return _property(
        ticket,
        "assignee",
        label=_("Assignee"),
        value=str(ticket.assignee_id or ""),
        shown=person.name if person else "",
        kind="agent",
        none=_("Nobody"),
        options_url=reverse("people_options"),
        command="ticket.assign",
        reason=True,
    )


def team_property(ticket: Ticket) -> dict[str, Any]:
    return _property(
        ticket,
        "team",
        label=_("Team"),
        value=str(ticket.team_id or ""),
        shown=ticket.team.name if ticket.team else "",
        kind="plain",
        none=_("No team"),
        options_url=reverse("team_options"),
        url=reverse("ticket_team", args=[ticket.pk]),
        command="ticket.team",
        reason=True,
    )


def status_property(ticket: Ticket) -> dict[str, Any]:
    labels = labels_of_status()
    facts = _property(
        ticket,
        "status",
        label=_("Status"),
        value=ticket.shown_status,
        shown=labels[ticket.shown_status],
        kind="status",
        command="ticket.status",
        options=[
            {"value": value, "label": labels[value], "kind": "status"}
            for value in ("open", "pending", "on_hold", "solved")
        ],
    )
    return facts | {"url": ""} if ticket.shown_status == Ticket.Status.CLOSED else facts


def priority_property(ticket: Ticket) -> dict[str, Any]:
    labels = labels_of_priority()
    return _property(
        ticket,
        "priority",
        label=_("Priority"),
        value=PRIORITY_WORDS[ticket.priority],
        shown=labels[ticket.priority],
        kind="priority",
        command="ticket.priority",
        options=[{"value": PRIORITY_WORDS[n], "label": labels[n], "kind": "priority"} for n in (4, 3, 2, 1)],
    )


def tags_property(ticket: Ticket) -> dict[str, Any]:
    tags = list(ticket.tags.all())
    return _property(
        ticket,
        "tags",
        label=_("Tags"),
        value=[tag.name for tag in tags],
        shown=tags,
        kind="tags",
        none=_("No tags"),
        multiple=True,
        create=True,
        hint=_("This team wants a tag on a ticket before it is solved.") if ticket.lacks_tag else "",
        lacks=ticket.lacks_tag,
        options_url=reverse("tags_known"),
        url=reverse("ticket_tags", args=[ticket.pk]),
        command="ticket.tags",
    )


def incident_property(ticket: Ticket) -> dict[str, Any]:
    return _property(
        ticket,
        "incident",
        url=reverse("ticket_incident", args=[ticket.pk]),
        label=_("Incident"),
        value=str(ticket.incident_id or ""),
        shown=ticket.incident.title if ticket.incident else "",
        kind="plain",
        options_url=reverse("incident_options"),
        command="ticket.incident",
    )


def field_property(
    ticket: Ticket, field: TicketField, *, typed: str | None = None, problem: str = ""
) -> dict[str, Any]:
    """A list and yes or no are chosen, everything else is typed (`type`). `typed` and `problem`: what could not be kept."""
    value, lacks = ticket.fields.get(field.key), fields.lacks_value(ticket, field)
    facts: dict[str, Any] = {
        "id": fields.place_of(field.key),
        "name": "value",
        "label": field.label,
        "value": fields.written(value) if typed is None else typed,
        "url": reverse("ticket_field", args=[ticket.pk, field.key]),
        "lacks": lacks,
        "none": _("Needed before a solve") if lacks else "",
    }
    if field.kind not in (TicketField.Kind.CHOICE, TicketField.Kind.YES_NO):
        return facts | {"type": _TYPES.get(field.kind, "line"), "longest": fields.LONGEST, "problem": problem}
    named = {"": _("None"), **conditions.choices_of(field)}
    return facts | {
        "kind": "plain",
        "shown": named.get(facts["value"], in_words(value)) if value is not None else "",
        "options": [{"value": choice, "label": label, "kind": "plain"} for choice, label in named.items()],
        "filter": len(named) > MOST_WITHOUT_FILTER,
    }


_TYPES = {"number": "number", "date": "date"}  # kind of the field -> of its input


def _property(ticket: Ticket, name: str, **facts: Any) -> dict[str, Any]:
    """What `components/property.html` shows. `options_url`: the options are fetched when the menu opens."""
    filtered = {"filter": True} if facts.get("options_url") else {}
    return {
        "id": f"property-{name}",
        "name": name,
        "options": [],
        **filtered,
        "url": facts.get("url") or reverse(name, args=[ticket.pk]),
        **facts,
    }


def followers(ticket: Ticket) -> dict[str, Any]:
    """What `workspace/followers.html` shows of a ticket that came from `ticket_on_screen`."""
    return {"names": [agent.name for agent in followers_of(ticket)], "mine": ticket.is_followed}  # type: ignore[attr-defined]


def pinned(ticket: Ticket) -> dict[str, Any] | None:
    """What `workspace/pinned.html` shows of a ticket that came from `ticket_on_screen`."""
    note = ticket.pinned_note
    if note is None or note.deleted_at:
        return None
    return {"id": note.pk, "author": fragments.author_name(note), "text": note.plain_text}


def head(ticket: Ticket, *, now: datetime) -> dict[str, Any]:
    """What `workspace/head.html` shows beside the ticket itself."""
    return {
        "status": ticket.shown_status,
        "solvable": ticket.is_unsolved and not ticket.merged_into_id,
        "solved": ticket.status == Ticket.Status.SOLVED,
        "snoozed": bool(ticket.snoozed_until and ticket.snoozed_until > now),
        "name": fragments.rows([ticket])[0]["name"],
        "channel": ticket.last_channel.kind if ticket.last_channel else "",
    }


def clocks(ticket: Ticket) -> list[dict[str, Any]]:
    """The running promises of the policies and the team, the nearest first, with what is special about their time. Needs `live_clocks`."""
    return [
        fragments.sla_facts(clock) | {"note": _about_time(clock, ticket)}
        for clock in ticket.live_clocks  # type: ignore[attr-defined]
        if clock.metric != PROMISE
    ]


def promises(ticket: Ticket) -> list[dict[str, Any]]:
    """What somebody promised and still owes, the nearest first. Needs `live_clocks` with what was promised."""
    return [
        {
            "id": clock.promise.pk,
            "text": clock.promise.text,
            "sla": fragments.sla_facts(clock) | {"label": ""},
            "due_at": clock.due_at,
            "owner": promise_owner_property(ticket, clock.promise),
        }
        for clock in ticket.live_clocks  # type: ignore[attr-defined]
        if clock.metric == PROMISE
    ]


def promise_owner_property(ticket: Ticket, promise: Promise) -> dict[str, Any]:
    return _property(
        ticket,
        f"promise-{promise.pk}",
        label=_("Who keeps it"),
        value=str(promise.owner_id),
        shown=promise.owner.name,
        kind="agent",
        options_url=reverse("promise_owners", args=[ticket.pk]),
        url=reverse("promise_owner", args=[ticket.pk, promise.pk]),
    ) | {"name": "owner"}


def _about_time(clock: SlaClock, ticket: Ticket) -> str:
    if clock.state == SlaClock.State.PAUSED:
        return _("Stands still while the ticket is “%(status)s”.") % {"status": labels_of_status()[ticket.status]}
    return _("Counts business hours only.") if clock.business else ""
