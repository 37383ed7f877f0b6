"""What has happened on a ticket since its reader was here last, in one line. From what the page holds: it asks nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agents.models import Agent
from tickets import fragments
from tickets.models import Event, Message
from tickets.models.ticket import is_same
from tickets.timeline import Names, in_words, labels_of_priority, labels_of_status, reason_given

STATUS = ("status_changed", "solved", "reopened", "closed")


@dataclass(frozen=True)
class Since:
    """`at`: when they were here, None for somebody who never was and opens what was handed on.

    `first` is the piece of the thread before which the line stands, `unread` the id of the first message, None without.
    """

    at: datetime | None
    parts: list[str]
    first: tuple[str, int]
    unread: int | None


def since(
    messages: Sequence[Message],
    events: Sequence[Event],
    names: Names,
    *,
    reader: Agent,
    read_up_to: int | None,
    at: datetime | None,
    more: bool,
) -> Since | None:
    """None where others have done nothing since, and for a first look at what nobody handed on.

    `messages` and `events` are those of the page, oldest first; `more`: the thread began before it.
    """
    said = [
        message
        for message in messages
        if message.pk > (read_up_to or 0) and fragments.is_bubble(message) and message.agent_id != reader.pk
    ]
    done = [event for event in events if (at is None or event.at > at) and event.actor_id != reader.pk]
    if read_up_to is None and not any(event.particulars.get("reason") for event in done if event.kind == "assigned"):
        return None
    counts_on = more and bool(said) and said[0] is messages[0]
    parts = [*_said(said, "+" if counts_on else ""), *_done(done, names)]
    if not parts:
        return None
    pieces = [((message.created_at, 0, message.pk), "message") for message in said]
    pieces += [((event.at, 1, event.pk), "event") for event in done]
    (_at, _rank, pk), kind = min(pieces)
    return Since(
        at=at if read_up_to is not None else None,
        parts=parts,
        first=(kind, pk),
        unread=said[0].pk if said else None,
    )


def _said(messages: Sequence[Message], sign: str) -> list[str]:
    """How many of each kind, by author. `sign`: there are more than these, which one page does not hold."""
    counts = Counter(_by(message) for message in messages)
    return [_counted(kind, name, n, f"{n}{sign}") for (kind, name), n in counts.items()]


def _by(message: Message) -> tuple[str, str]:
    if message.direction == Message.Direction.IN:
        return "customer", ""
    if message.author_type != Message.Author.AGENT:
        return "automatic", ""
    return "note" if message.kind == Message.Kind.NOTE else "reply", fragments.author_name(message)


def _counted(kind: str, name: str, n: int, shown: str) -> str:
    match kind:
        case "customer":
            words = ngettext("%(n)s message from the customer", "%(n)s messages from the customer", n)
        case "note":
            words = ngettext("%(n)s note by %(name)s", "%(n)s notes by %(name)s", n)
        case "reply":
            words = ngettext("%(n)s reply by %(name)s", "%(n)s replies by %(name)s", n)
        case _:
            words = ngettext("%(n)s automatic message", "%(n)s automatic messages", n)
    return words % {"n": shown, "name": name}


def _done(events: Sequence[Event], names: Names) -> list[str]:
    """What is different now, whatever came and went in between; what has no value of its own is counted."""
    parts = _handed([event for event in events if event.kind == "assigned"], names)
    if moved := _moved(event for event in events if event.kind in STATUS):
        parts.append(_("status %(name)s") % {"name": labels_of_status().get(moved, "")})
    if moved := _moved(event for event in events if event.kind == "priority_changed"):
        parts.append(_("priority %(name)s") % {"name": labels_of_priority().get(moved, "")})
    tags = _tags(event for event in events if event.kind == "tags_changed")
    parts += [", ".join(tags)] if tags else []
    parts += _fields(event for event in events if event.kind == "fields_changed")
    known = {"assigned", "priority_changed", "tags_changed", "fields_changed", "ticket_created", "pin_changed", *STATUS}
    if n := sum(event.kind not in known for event in events):
        parts.append(ngettext("%(n)s other change", "%(n)s other changes", n) % {"n": n})
    return parts


def _handed(events: Sequence[Event], names: Names) -> list[str]:
    if not events:
        return []
    before, after = events[0].particulars["from"], events[-1].particulars["to"]
    parts = []
    if before["team"] != after["team"] and before["team"] and after["team"]:
        parts.append(
            _("moved from %(from)s to %(to)s") % {"from": names.team(before["team"]), "to": names.team(after["team"])}
        )
    elif before["team"] != after["team"]:
        parts.append(_("team %(name)s") % {"name": names.team(after["team"])})
    if before["assignee"] != after["assignee"]:
        parts.append(_("assigned to %(name)s") % {"name": names.agent(after["assignee"])})
    reason = next((said for event in reversed(events) if (said := reason_given(event.particulars))), "")
    if parts and reason:
        parts[-1] += f" ({reason})"
    return parts


def _moved(events: Any) -> Any:
    """Where a value ended, None where it is what it was."""
    events = list(events)
    if not events or events[0].particulars.get("from") == events[-1].particulars.get("to"):
        return None
    return events[-1].particulars.get("to")


def _tags(events: Any) -> list[str]:
    signs: dict[str, int] = {}
    for event in events:
        for name in event.particulars.get("added", []):
            signs[name] = signs.get(name, 0) + 1
        for name in event.particulars.get("removed", []):
            signs[name] = signs.get(name, 0) - 1
    return [f"{'+' if sign > 0 else '−'}{name}" for name, sign in signs.items() if sign]


def _fields(events: Any) -> list[str]:
    """Each ticket field that is not what it was, with what it is now."""
    changes: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        for one in event.particulars.get("changes", []):
            changes.setdefault(one["field"], []).append(one)
    return [
        f"{found[-1]['label']}: {in_words(found[-1]['to']) or '–'}"
        for found in changes.values()
        if not is_same(found[0]["from"], found[-1]["to"])
    ]
