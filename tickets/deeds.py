"""What a macro does besides its text: small things, each a verb of `actions`, done together or not at all.

A deed is data: {"do": "status", "status": "pending"}. Its facts are checked when it is kept, and again when it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agents.models import Agent, Team
from tickets import actions, fields
from tickets.models import Event, Macro, MacroUse, Message, Ticket, TicketField
from tickets.models.event import Actor, by_agent
from tickets.models.ticket import UNSOLVED, tag_name
from tickets.timeline import in_words, labels_of_priority, labels_of_status

Deed = dict[str, Any]

MORNING = time(9, 0)
MOST_TAGS = 20
STATUSES = tuple(status for status in (*UNSOLVED, "solved") if status != "new")
# In this order, whatever the order in which they were chosen: a solved ticket takes no snooze.
ORDER = ("tag", "untag", "fields", "priority", "team", "assignee", "snooze", "status")
ICONS: Mapping[str, str] = {
    "tag": "tag",
    "untag": "tag",
    "fields": "text-cursor-input",
    "priority": "signal",
    "team": "users",
    "assignee": "user-round",
    "snooze": "alarm-clock",
    "status": "circle-dot",
}


class Invalid(ValueError):
    """A deed that cannot be kept. The text is for the person who wrote it."""


def check(deeds: Any) -> list[Deed]:
    """The deeds in their order, each kind once. Raises Invalid."""
    if not isinstance(deeds, list) or not all(isinstance(deed, dict) and deed.get("do") in ORDER for deed in deeds):
        raise Invalid(_("One of the things to do is incomplete."))
    kinds = [deed["do"] for deed in deeds]
    if len(set(kinds)) != len(kinds):
        raise Invalid(_("Each thing can be done once."))
    if "snooze" in kinds and any(deed.get("status") == "solved" for deed in deeds):
        raise Invalid(_("A solved ticket cannot be snoozed."))
    return sorted((_checked(deed) for deed in deeds), key=lambda deed: ORDER.index(deed["do"]))


def _checked(deed: Deed) -> Deed:
    do = str(deed["do"])
    value = deed.get("tags" if do in ("tag", "untag") else do)
    match do:
        case "status" if value in STATUSES:
            return {"do": do, "status": value}
        case "priority" if value in Ticket.Priority.values:
            return {"do": do, "priority": value}
        case "team" if isinstance(value, int) and Team.objects.filter(pk=value).exists():
            return {"do": do, "team": value}
        case "assignee" if value in ("me", None) or (isinstance(value, int) and person(value)):
            return {"do": do, "assignee": value}
        case "tag" | "untag" if isinstance(value, list):
            names = sorted({tag_name(str(name)) for name in value} - {""})
            if names and len(names) <= MOST_TAGS:
                return {"do": do, "tags": names}
        case "fields" if isinstance(value, dict) and value:
            return {"do": do, "fields": _values(value)}
        case "snooze":
            hours, days = deed.get("hours"), deed.get("days")
            if days is None and isinstance(hours, int) and 1 <= hours <= 72:
                return {"do": do, "hours": hours}
            if hours is None and isinstance(days, int) and 1 <= days <= 365:
                return {"do": do, "days": days}
    raise Invalid(_("One of the things to do is incomplete."))


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        kept = fields.checked(values)
    except fields.Invalid as problem:
        raise Invalid(str(problem)) from problem
    if None in kept.values():
        raise Invalid(_("One of the things to do is incomplete."))
    return kept


def say(deeds: Sequence[Deed]) -> list[str]:
    """Each deed in words, in the active language. Three queries at most."""
    teams = {deed["team"] for deed in deeds if deed["do"] == "team"}
    keys = {key for deed in deeds if deed["do"] == "fields" for key in deed["fields"]}
    people = {deed["assignee"] for deed in deeds if deed["do"] == "assignee" and isinstance(deed["assignee"], int)}
    names: dict[str, dict[Any, str]] = {
        "fields": dict(TicketField.objects.filter(key__in=keys).values_list("key", "label")) if keys else {},
        "team": dict(Team.objects.filter(pk__in=teams).values_list("pk", "name")) if teams else {},
        "assignee": dict(Agent.objects.filter(pk__in=people).values_list("pk", "name")) if people else {},
    }
    return [_said(deed, names) for deed in deeds]


def say_each(macros: Iterable[Macro]) -> Iterator[tuple[Macro, list[str]]]:
    """Several at once, with as many queries as for one."""
    rows = list(macros)
    words = iter(say([deed for macro in rows for deed in macro.deeds]))
    for macro in rows:
        yield macro, [next(words) for _deed in macro.deeds]


def _said(deed: Deed, names: Mapping[str, Mapping[Any, str]]) -> str:
    match deed["do"]:
        case "status":
            return _("Status: %(status)s") % {"status": labels_of_status()[deed["status"]]}
        case "priority":
            return _("Priority: %(priority)s") % {"priority": labels_of_priority()[deed["priority"]]}
        case "team":
            return _("Team: %(team)s") % {"team": names["team"].get(deed["team"], "?")}
        case "assignee" if deed["assignee"] == "me":
            return _("Assign to me")
        case "assignee" if deed["assignee"] is None:
            return _("Assignee: nobody")
        case "assignee":
            return _("Assignee: %(name)s") % {"name": names["assignee"].get(deed["assignee"], "?")}
        case "fields":
            said = [(names["fields"].get(key, key), in_words(value)) for key, value in deed["fields"].items()]
            return ", ".join(f"{label}: {value}" for label, value in said)
        case "snooze" if "hours" in deed:
            n = deed["hours"]
            return ngettext("Snooze: %(n)s hour", "Snooze: %(n)s hours", n) % {"n": n}
        case "snooze":
            n = deed["days"]
            return ngettext("Snooze: until 09:00 in %(n)s day", "Snooze: until 09:00 in %(n)s days", n) % {"n": n}
        case do:
            return ", ".join(f"{'+' if do == 'tag' else '−'}{name}" for name in deed["tags"])


# -- Doing ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def carry_out(
    ticket: Ticket,
    deeds: Sequence[Deed],
    *,
    macro_id: int,
    agent: Agent,
    client_uuid: UUID,
    message: Message | None = None,
    now: datetime,
) -> MacroUse:
    """Do them all, or none: raises actions.NotAllowed. The same `client_uuid` gives the same use, done once."""
    actions.lock(ticket.pk)
    if known := MacroUse.objects.filter(client_uuid=client_uuid, agent=agent).first():
        return known
    events = []
    for deed in sorted(deeds, key=lambda deed: ORDER.index(deed["do"])):
        ticket.refresh_from_db()
        events.append(do(deed, ticket, by=by_agent(agent), now=now))
    return MacroUse.objects.create(
        macro_id=macro_id,
        agent=agent,
        ticket=ticket,
        client_uuid=client_uuid,
        message_id=message.pk if message else None,
        event_ids=[event.pk for event in events if event],
        at=now,
    )


def do(deed: Deed, ticket: Ticket, *, by: Actor, now: datetime) -> Event | None:
    """One of them by itself. Raises actions.NotAllowed; None when it was so already."""
    return _DO[deed["do"]](ticket, deed, by, now)


def _status(ticket: Ticket, deed: Deed, by: Actor, now: datetime) -> Event | None:
    return actions.set_status(ticket, deed["status"], by=by, now=now)


def _priority(ticket: Ticket, deed: Deed, by: Actor, now: datetime) -> Event | None:
    return actions.set_priority(ticket, deed["priority"], by=by, now=now)


def _team(ticket: Ticket, deed: Deed, by: Actor, now: datetime) -> Event | None:
    """The assignee stays if they are in the team, else routing finds another."""
    team = Team.objects.filter(pk=deed["team"]).first() if deed["team"] else None
    if deed["team"] and team is None:
        raise actions.NotAllowed(_("This team does not exist any more."))
    stays = ticket.assignee
    if stays and team and not stays.memberships.filter(team=team).exists():
        stays = None
    return actions.assign(ticket, assignee=stays, team=team, by=by, now=now, reason=deed.get("reason", ""))


def _assignee(ticket: Ticket, deed: Deed, by: Actor, now: datetime) -> Event | None:
    chosen = deed["assignee"]
    assignee = by.agent if chosen == "me" else person(chosen) if chosen is not None else None
    if chosen is not None and assignee is None:
        raise actions.NotAllowed(_("This person does not work here any more."))
    return actions.assign(ticket, assignee=assignee, team=ticket.team, by=by, now=now, reason=deed.get("reason", ""))


def _tag(ticket: Ticket, deed: Deed, by: Actor, now: datetime) -> Event | None:
    return actions.change_tags(ticket, add=deed["tags"], by=by, now=now)


def _untag(ticket: Ticket, deed: Deed, by: Actor, now: datetime) -> Event | None:
    return actions.change_tags(ticket, remove=deed["tags"], by=by, now=now)


def _fields(ticket: Ticket, deed: Deed, by: Actor, now: datetime) -> Event | None:
    return actions.set_fields(ticket, deed["fields"], by=by, now=now)


def _snooze(ticket: Ticket, deed: Deed, by: Actor, now: datetime) -> Event | None:
    zone = ZoneInfo(by.agent.time_zone if by.agent else settings.TIME_ZONE)
    return actions.snooze(ticket, until=moment(deed, zone=zone, now=now), by=by, now=now)


def moment(deed: Deed, *, zone: ZoneInfo, now: datetime) -> datetime:
    """When a snooze of so many hours or days ends: days end at nine in the morning there."""
    if "hours" in deed:
        return now + timedelta(hours=deed["hours"])
    day = now.astimezone(zone).date() + timedelta(days=deed["days"])
    return datetime.combine(day, MORNING, tzinfo=zone)


def person(pk: int) -> Agent | None:
    """Somebody who can be given work."""
    return Agent.objects.filter(pk=pk, is_active=True).first()


_DO: Mapping[str, Callable[[Ticket, Deed, Actor, datetime], Event | None]] = {
    "tag": _tag,
    "untag": _untag,
    "fields": _fields,
    "priority": _priority,
    "team": _team,
    "assignee": _assignee,
    "snooze": _snooze,
    "status": _status,
}
