"""The pieces of HTML that pages, htmx and sockets share: a row, a bubble, a line. In the active language.

They hold no viewer state, so that one rendering per language serves everybody who may see the ticket. Each process keeps
those that it made last, by all that they show: whatever changes in one is another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.template.loader import get_template
from django.urls import reverse
from django.utils.text import Truncator
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from agents.models import Agent, Team
from tickets import files
from tickets.models import Attachment, DeliveryPart, Event, Identity, Message, SlaClock, Ticket
from tickets.timeline import (
    KINDS,
    PLACEHOLDERS,
    Names,
    advice_on_failure,
    failure_in_words,
    label_of_metric,
    sentence,
)

SHOWN_KINDS = frozenset(kind for kind, facts in KINDS.items() if facts.shown)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ICONS = {
    "ticket_created": "plus",
    "message_unreadable": "file-warning",
    "delivery_failed": "circle-alert",
    "status_changed": "circle-dot",
    "solved": "circle-check",
    "reopened": "rotate-ccw",
    "closed": "archive",
    "assigned": "user-round",
    "pin_changed": "pin",
    "priority_changed": "signal",
    "tags_changed": "tag",
    "fields_changed": "text-cursor-input",
    "subject_changed": "pencil",
    "snoozed": "alarm-clock",
    "woken": "alarm-clock-off",
    "route_added": "waypoints",
    "merged": "merge",
    "unmerged": "split",
    "linked": "link",
    "incident_changed": "siren",
    "promise_made": "handshake",
    "promise_handed": "handshake",
    "promise_kept": "circle-check",
    "promise_withdrawn": "undo-2",
    "promise_stands_again": "handshake",
    "sla_warning": "timer",
    "sla_breached": "triangle-alert",
    "survey_sent": "star",
    "rated": "star",
    "customer_joined": "users",
    "customer_join_undone": "users",
    "customer_back": "message-circle",
}


KEPT = 2000  # renderings, of some 3 kB each
LONGEST = 10_000  # characters of facts: what shows more is rendered anew each time


def html(template: str, **facts: Any) -> str:
    """The template's HTML. `facts` are plain values, dates, lists and dicts of them: nothing else that could change."""
    shown = _Shown(repr(facts), facts)
    render = _rendered if len(shown.key) <= LONGEST else _rendered.__wrapped__
    return render(template, get_language(), shown)


@dataclass(frozen=True, slots=True)
class _Shown:
    key: str
    facts: dict[str, Any] = field(compare=False)


@lru_cache(maxsize=KEPT)
def _rendered(template: str, language: str | None, shown: _Shown) -> str:
    return get_template(template).render(shown.facts)


# -- The list row -----------------------------------------------------------------------------------------------------------


def rows(tickets: Iterable[Ticket]) -> list[dict[str, Any]]:
    """What `components/ticket_row.html` shows of tickets that came with `for_rows()`."""
    tickets = list(tickets)
    addresses = addresses_of_nameless(tickets)
    return [row_facts(ticket, name=addresses.get(ticket.customer_id, "")) for ticket in tickets]


def row(ticket: Ticket, *, address: str | None = None) -> str:
    """`address` stands for a name that nobody has told us; it is looked up where the caller has not."""
    facts = rows([ticket])[0] if address is None else row_facts(ticket, name=address)
    return html("components/ticket_row.html", row=facts)


def row_facts(ticket: Ticket, *, name: str = "") -> dict[str, Any]:
    clock = min(ticket.live_clocks, key=_urgency, default=None)  # type: ignore[attr-defined]
    channel = ticket.last_channel
    return {
        "id": ticket.pk,
        "number": ticket.number,
        "url": reverse("ticket", args=[ticket.pk]),
        "name": ticket.customer.name or name or str(ticket.customer),
        "channel": channel.kind if channel else "",
        "subject": ticket.subject,
        "snippet": ticket.snippet,
        "snippet_out": ticket.last_direction == Message.Direction.OUT,
        "by": ticket.last_author_id,
        "at": ticket.last_message_at or ticket.created_at,
        "status": ticket.shown_status,
        "priority": ticket.priority,
        "sla": sla_facts(clock) if clock else None,
        "tags": [{"name": tag.name, "hue": tag.hue} for tag in ticket.tags.all()],
        "assignee": {"name": ticket.assignee.name} if ticket.assignee else None,
        "assignee_id": ticket.assignee_id,
        "team_id": ticket.team_id,
        "merged": ticket.merged_into_id is not None,
        "snoozed_until": ticket.snoozed_until,
        "waiting_since": ticket.waiting_since,
        "due": micros(ticket.next_due_at),
        "waiting": micros(ticket.waiting_since),
        "selectable": True,
        "last_message_id": ticket.last_message_id,
        "updated": micros(ticket.updated_at),
    }


def _urgency(clock: SlaClock) -> tuple[bool, datetime]:
    """A clock that runs before one that is paused, then the nearest deadline."""
    return clock.state != SlaClock.State.RUNNING, clock.due_at


def micros(at: datetime | None) -> int | None:
    """Microseconds since 1970, exactly."""
    return (at - _EPOCH) // timedelta(microseconds=1) if at else None


def sla_facts(clock: SlaClock) -> dict[str, Any]:
    breached = clock.breached_at is not None and clock.state == SlaClock.State.RUNNING
    return {
        "state": "breached" if breached else clock.state,
        "label": label_of_metric(clock.metric),
        "due_at": clock.due_at,
        "target": clock.seconds,
        "business": clock.business,
    }


def addresses_of_nameless(tickets: Iterable[Ticket]) -> dict[int, str]:
    """Customer id -> an address, which stands for a name that nobody has told us. One query at most."""
    nameless = {ticket.customer_id for ticket in tickets if not ticket.customer.name}
    if not nameless:
        return {}
    found = Identity.objects.filter(customer__in=nameless).exclude(kind="webchat").order_by("-id")
    return dict(found.values_list("customer_id", "value"))


# -- Bubbles and lines ----------------------------------------------------------------------------------------------------------


def bubble(message: Message) -> str:
    """One message that came with `for_bubbles()`."""
    return html("components/bubble.html", message=bubble_facts(message))


def bubble_facts(message: Message) -> dict[str, Any]:
    """What `components/bubble.html` shows."""
    deleted = message.deleted_at is not None
    placeholder = "deleted" if deleted else message.placeholder
    parts: list[DeliveryPart] = getattr(message, "ordered_parts", [])
    stuck = next((part for part in parts if part.state in ("failed", "uncertain") and not part.resolved_at), None)
    failed = next((part for part in parts if part.state == "failed"), None)
    channel = message.channel
    has_page = bool(message.html) and not deleted
    side = message.kind == Message.Kind.SIDE
    return {
        "id": message.pk,
        "seq": message.seq,
        "direction": message.direction,
        "kind": message.kind,
        "author_type": message.author_type,
        "author_name": author_name(message),
        "at": message.created_at,
        "at_ms": round(message.created_at.timestamp() * 1000),
        "channel": channel.kind if channel else "",
        "channel_name": "",
        "subject": message.subject if has_page else "",
        "text": "" if deleted else message.text,
        "formatted": message.is_formatted,
        "placeholder": str(PLACEHOLDERS.get(placeholder, "")) if placeholder else "",
        "details": [] if deleted else list(_details(message.meta)),
        "quote": "" if deleted or has_page else message.quoted_text,
        "signature": "" if deleted else message.signature,
        **(_mail_facts(message) if has_page else {}),
        "attachments": []
        if deleted
        else [
            file_facts(file) for file in message.attachments.all() if not (has_page and file.inline and file.content_id)
        ],
        "state": (message.state or "") if message.direction == Message.Direction.OUT else "",
        **(_failure(message, failed) if failed else {"reason": message.error or (stuck.last_error if stuck else "")}),
        "retry_url": reverse("verdict", args=[stuck.pk]) if stuck and stuck.state == "failed" else "",
        "resolve_url": reverse("verdict", args=[stuck.pk]) if stuck and stuck.state == "uncertain" else "",
        "edited": message.edited_at is not None and not deleted,
        "automatic": message.automatic,
        "reactions": list(_reactions(message.meta)),
        "to": ", ".join(message.to) if message.cc or side or _others_in_to(message) else "",
        "cc": ", ".join(message.cc),
        "answer_url": f"{reverse('forwards', args=[message.ticket_id])}?answers={message.pk}"
        if side and message.direction == Message.Direction.IN
        else "",
    }


def _others_in_to(message: Message) -> bool:
    if message.direction == Message.Direction.IN or not message.route:
        return len(message.to) > 1
    return message.to not in ([], [message.route.identity.value])


def _failure(message: Message, part: DeliveryPart) -> dict[str, str]:
    """Why an answer was not delivered and what can be done about it, in words; and where it is taken up again."""
    identity = message.route.identity if message.route else None
    advice = advice_on_failure(
        part.error_code,
        opted_out=bool(identity and identity.opted_out_at),
        bad_address=bool(identity and identity.failed_at),
    )
    takes_up = message.is_human_reply and "template" not in message.meta
    return {
        "reason": failure_in_words(part.error_code, part.last_error),
        "advice": advice,
        "again_url": reverse("message_again", args=[message.pk]) if takes_up else "",
    }


def _mail_facts(message: Message) -> dict[str, Any]:
    """The frame of a mail, and what may be done with its pictures from elsewhere."""
    remote = message.html.count(" data-remote=")
    sender = message.route.identity if message.route and message.direction == Message.Direction.IN else None
    always = bool(remote and sender and sender.pictures)
    url = reverse("message_body", args=[message.pk])
    return {
        "frame_url": f"{url}?pictures=1" if always else url,
        "pictures_url": f"{url}?pictures=1" if remote and not always else "",
        "sender_pictures_url": reverse("sender_pictures", args=[message.pk]) if remote and sender else "",
        "pictures_always": always,
    }


def author_name(message: Message) -> str:
    """As it was when it was said, else the person's name now, else the address."""
    if message.author_type == Message.Author.BOT:
        return message.author_name or _("Automatic")
    if message.author_type == Message.Author.SYSTEM:
        return _("System")
    person = message.agent or message.customer
    return message.author_name or (person.name if person else "") or message.author_address or _("Unknown customer")


def file_facts(attachment: Attachment, *, remove_url: str = "") -> dict[str, Any]:
    """What `components/attachment.html` shows."""
    stored = attachment.state == Attachment.State.STORED
    url = files.file_path(attachment) if stored else ""  # rights are asked for each time
    picture = url if stored and attachment.content_type in files.SHOWN else ""
    return {
        "id": attachment.pk,
        "name": attachment.name or _("File"),
        "size": attachment.size,
        "content_type": attachment.content_type,
        "url": url,
        "state": attachment.state,
        "image_url": "" if remove_url else picture,
        "thumb_url": picture if remove_url else "",
        "remove_url": remove_url,
    }


def _details(meta: Mapping[str, Any]) -> Iterable[str]:
    """Locations, contact cards and chosen buttons, as words: known keys only, whatever else a channel keeps there."""
    location = meta.get("location")
    if isinstance(location, Mapping):
        places = [str(location[key]) for key in ("name", "address") if location.get(key)]
        point = ", ".join(str(location[key]) for key in ("latitude", "longitude") if location.get(key) is not None)
        yield " · ".join([*places, point] if point else places)
    contacts = meta.get("contacts")
    for contact in contacts if isinstance(contacts, list) else ():
        if isinstance(contact, Mapping):
            yield " · ".join(str(value) for value in contact.values() if isinstance(value, str) and value)


def _reactions(meta: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Emoji and how many gave it. Kept as {who: emoji} or as a list of {"emoji": ...}."""
    kept = meta.get("reactions") or {}
    emojis = (
        kept.values() if isinstance(kept, Mapping) else [one.get("emoji") for one in kept if isinstance(one, Mapping)]
    )
    counts: dict[str, int] = {}
    for emoji in emojis:
        if isinstance(emoji, str) and emoji:
            counts[emoji] = counts.get(emoji, 0) + 1
    return [{"emoji": emoji, "n": n} for emoji, n in counts.items()]


def line(event: Event, names: Names) -> str:
    """One line of the thread."""
    return html("components/event_line.html", event=line_facts(event, names))


def line_facts(event: Event, names: Names) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at,
        "at_ms": round(event.at.timestamp() * 1000),
        "kind": event.kind,
        "sentence": said_of(event, names),
        "due_at": datetime.fromisoformat(event.particulars["due_at"]) if event.kind == "promise_made" else None,
        "icon_name": ICONS.get(event.kind, "history"),
        "automatic": event.actor_type in ("rule", "system"),
    }


def said_of(event: Event, names: Names) -> str:
    """Its sentence, with who did it."""
    who = names.agent(event.actor_id) if event.actor_id else ""
    if not who:
        who = {"customer": _("Customer"), "rule": _("Rule"), "api": _("API")}.get(event.actor_type, "")
    return Truncator(sentence(event.kind, who, event.particulars, names)).chars(240)


def names_of(events: Iterable[Event]) -> Names:
    """The names that the lines of these events need, in two queries at most."""
    agents, teams = set[int](), set[int]()
    for event in events:
        if event.actor_id:
            agents.add(event.actor_id)
        if event.kind in ("promise_made", "promise_handed"):
            agents.add(event.particulars["owner" if event.kind == "promise_made" else "to"])
        if event.kind == "assigned":
            for side in ("from", "to"):
                particulars = event.particulars.get(side) or {}
                agents.add(particulars.get("assignee") or 0)
                teams.add(particulars.get("team") or 0)
    agents.discard(0)
    teams.discard(0)
    return Names(
        agents=dict(Agent.objects.filter(pk__in=agents).values_list("pk", "name")) if agents else {},
        teams=dict(Team.objects.filter(pk__in=teams).values_list("pk", "name")) if teams else {},
    )


def items_of(event: Event, message: Message | None) -> list[str]:
    """What an event puts into the thread: its message's bubble, its own line, both or nothing."""
    items = []
    if message is not None and is_bubble(message):
        items.append(bubble(message))
    if event.kind in SHOWN_KINDS:
        items.append(line(event, names_of([event])))
    return items


def is_bubble(message: Message) -> bool:
    """Whether the thread shows it. A split's marker and a system line without words show through their events."""
    return message.moved_to_id is None and (
        message.kind != Message.Kind.SYSTEM or bool(message.text or message.placeholder)
    )


def sorted_by_time(
    messages: Iterable[dict[str, Any]], lines: Iterable[dict[str, Any]]
) -> list[tuple[str, dict[str, Any]]]:
    """Bubbles and lines in one order: by time, a message before the events that it caused."""
    keyed: list[tuple[tuple[datetime, int, int], tuple[str, dict[str, Any]]]] = []
    keyed += [((one["at"], 0, one["id"]), ("message", one)) for one in messages]
    keyed += [((one["at"], 1, one["id"]), ("event", one)) for one in lines]
    return [item for _key, item in sorted(keyed, key=lambda pair: pair[0])]
