"""What agents are told, as they read it: types, ways, silence, the list (ux.md 10). `notifying.py` makes the rows.

A notification is shown only while its reader may see its ticket, whenever it was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents.models import Agent
from tickets import live
from tickets.access import tickets_in, visibility_of
from tickets.models import Message, Notification, NotificationChoice, NotificationHours, Ticket
from tickets.timeline import PLACEHOLDERS, label_of_metric

MOST_UNREAD = 100  # counted; more is "99+"
PAGE = 30
MOST_NEWS = 20
SNIPPET = 140  # characters


class Ways(NamedTuple):
    """How somebody hears of a type."""

    in_app: bool
    desktop: bool
    sound: bool
    mail: bool
    push: bool


class Type(NamedTuple):
    label: Any
    icon: str
    ways: Ways  # unless they chose otherwise


# In the order of their weight: of several types of one event for one person the first counts.
TYPES: Mapping[str, Type] = {
    "mentioned": Type(gettext_lazy("I am mentioned"), "at-sign", Ways(True, True, True, True, True)),
    "assigned": Type(gettext_lazy("A ticket is assigned to me"), "user-check", Ways(True, True, True, False, True)),
    "draft_stopped": Type(
        gettext_lazy("An answer of mine was not sent"), "octagon-alert", Ways(True, True, False, False, True)
    ),
    "undelivered": Type(
        gettext_lazy("An answer of mine was not delivered"), "circle-alert", Ways(True, True, False, False, True)
    ),
    "reply": Type(
        gettext_lazy("New message on a ticket that is mine or that I follow"),
        "reply",
        Ways(True, True, True, False, True),
    ),
    "customer_back": Type(
        gettext_lazy("A customer is back in a waiting chat"), "message-circle", Ways(True, True, True, False, True)
    ),
    "promise": Type(gettext_lazy("A promise is handed to me"), "handshake", Ways(True, True, True, False, True)),
    "sla_breached": Type(gettext_lazy("An SLA deadline passed"), "timer-off", Ways(True, True, False, False, True)),
    "sla_soon": Type(gettext_lazy("An SLA deadline is near"), "timer", Ways(True, False, False, False, False)),
    "snooze_ended": Type(gettext_lazy("A snooze ended"), "alarm-clock", Ways(True, True, False, False, True)),
    "rule": Type(gettext_lazy("A rule tells me of a ticket"), "split", Ways(True, True, False, False, True)),
    "bad_rating": Type(gettext_lazy("A customer is not satisfied"), "frown", Ways(True, False, False, False, False)),
    "team_new": Type(gettext_lazy("New unassigned ticket in my team"), "inbox", Ways(True, False, False, False, False)),
    "channel_down": Type(gettext_lazy("A channel was disconnected"), "unplug", Ways(True, True, False, True, True)),
}
OF_ADMINS = frozenset({"channel_down"})
HANDED_ON = frozenset({"assigned", "team_new"})


@dataclass(frozen=True)
class Shown:
    """A notification in its reader's language, with all that a list, a desktop or a mail says of it."""

    row: Notification
    icon: str
    title: str
    ticket: Ticket | None
    message: Message | None

    @property
    def subject(self) -> str:
        """Its number and what it is about; without a subject, whose it is."""
        if self.ticket is None:
            return ""
        return f"#{self.ticket.number} {self.ticket.subject or self.ticket.customer.name}".strip()

    @property
    def snippet(self) -> str:
        return self.reason or self._beginning

    @property
    def body(self) -> str:
        """What a desktop or a phone shows below the title."""
        return "\n".join(filter(None, (self.subject, self.snippet)))

    @property
    def reason(self) -> str:
        """What was said to its reader by whoever handed the ticket on."""
        reason = self.row.particulars.get("reason") if self.row.type in HANDED_ON else ""
        return f"“{reason}”" if reason else ""

    @property
    def _beginning(self) -> str:
        return " ".join(words_of(self.message).split())[:SNIPPET] if self.message else ""

    @property
    def url(self) -> str:
        return f"/tickets/{self.ticket.pk}/" if self.ticket else f"/settings/channels/{self.row.channel_id}/"


# -- Reading ----------------------------------------------------------------------------------------------------------


def page(agent: Agent, *, before: int | None = None) -> tuple[list[Shown], bool]:
    """The newest first, from before an id; and whether there are more. A constant number of queries."""
    rows = _listed(agent).order_by("-id")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: PAGE + 1])
    return shown(found[:PAGE]), len(found) > PAGE


def unread(agent: Agent) -> int:
    """How many stand unread in the list, counted up to MOST_UNREAD."""
    return _listed(agent).filter(read_at__isnull=True)[:MOST_UNREAD].count()


def news(agent: Agent, *, after: int, now: datetime, pushed: bool = False) -> dict[str, Any]:
    """What a screen has not heard yet, in the active language: `{unread, newest, only_when_hidden, items}`.

    Each item says whether it goes to the desktop and whether it sounds, by the agent's choices and quiet hours. With
    `pushed` this browser has push as well, and what comes that way is not put on its desktop twice.
    """
    ways, hours = ways_of(agent), hours_of(agent)
    quiet = quiet_until(hours, agent.time_zone, now=now) is not None
    visible = _visible(agent).filter(folded=False)
    rows = list(visible.filter(pk__gt=after, read_at__isnull=True).order_by("-id")[:MOST_NEWS])
    newest = visible.order_by("-id").values_list("pk", flat=True).first() or 0
    return {
        "unread": unread(agent),
        "newest": max(newest, after),
        "only_when_hidden": hours.only_when_hidden,
        "items": [
            {
                "id": one.row.pk,
                "ticket": one.ticket.pk if one.ticket else None,
                "title": one.title,
                "body": one.body,
                "url": one.url,
                "desktop": ways[one.row.type].desktop and not quiet and not (pushed and ways[one.row.type].push),
                "sound": ways[one.row.type].sound and not quiet,
            }
            for one in reversed(shown(rows))
        ],
    }


def find(agent: Agent, pk: int) -> Notification | None:
    return _visible(agent).filter(pk=pk).first()


def find_owed(agent: Agent, *, ticket_id: int | None) -> list[Notification]:
    """What a mail about a ticket still has to say: unread, to be seen, and wanted by mail. Oldest first."""
    wanted = [name for name, ways in ways_of(agent).items() if ways.mail]
    owed = _visible(agent).filter(ticket=ticket_id, mail_owed=True, read_at__isnull=True, type__in=wanted)
    return list(owed.order_by("id"))


def find_push(agent: Agent, *, ticket_id: int | None, since: datetime) -> Notification | None:
    """The newest of what happened on a ticket from a moment on that a push can say: unread, to be seen, wanted so."""
    wanted = [name for name, ways in ways_of(agent).items() if ways.push]
    fresh = _visible(agent).filter(ticket=ticket_id, folded=False, read_at__isnull=True, type__in=wanted)
    return fresh.filter(at__gte=since).order_by("-id").first()


def shown(rows: Sequence[Notification]) -> list[Shown]:
    """Complete rows that their agent may see. A constant number of queries."""
    tickets = Ticket.objects.select_related("customer").in_bulk({row.ticket_id for row in rows if row.ticket_id})
    messages = Message.objects.in_bulk({row.message_id for row in rows if row.message_id})
    return [
        Shown(
            row=row,
            icon=TYPES[row.type].icon,
            title=_title(row, tickets.get(row.ticket_id or 0), messages.get(row.message_id or 0)),
            ticket=tickets.get(row.ticket_id or 0),
            message=messages.get(row.message_id or 0),
        )
        for row in rows
    ]


def words_of(message: Message) -> str:
    """What it says, or what stands for it where it has no words."""
    return message.plain_text or str(PLACEHOLDERS.get(message.placeholder, ""))


def _visible(agent: Agent) -> QuerySet[Notification]:
    """Those of an agent whose tickets they see now."""
    rows = Notification.objects.filter(agent=agent, type__in=_types_of(agent)).select_related("actor", "channel")
    visibility = visibility_of(agent)
    if visibility.everything and visibility.brand_ids is None:
        return rows
    channels = Q() if visibility.brand_ids is None else Q(channel__brand__in=visibility.brand_ids)
    return rows.filter(Q(ticket__in=tickets_in(visibility)) | Q(ticket__isnull=True) & channels)


def _listed(agent: Agent) -> QuerySet[Notification]:
    wanted = [name for name, ways in ways_of(agent).items() if ways.in_app]
    return _visible(agent).filter(folded=False, type__in=wanted)


def _types_of(agent: Agent) -> list[str]:
    return [name for name in TYPES if agent.is_admin or name not in OF_ADMINS]


# -- Marking ----------------------------------------------------------------------------------------------------------


def read(agent: Agent, row: Notification) -> None:
    """This one, and those that it stands for."""
    same = Q(type=row.type) if row.type == "team_new" else Q(type=row.type, ticket=row.ticket_id)
    _mark(agent, same & Q(pk__lte=row.pk) & (Q(folded=True) | Q(pk=row.pk)))


def read_all(agent: Agent, *, up_to: int) -> None:
    _mark(agent, Q(pk__lte=up_to))


def read_with_ticket(agent: Agent, ticket: Ticket, *, message_id: int) -> None:
    """They have read the thread up to a message: nothing of it is news any more."""
    _mark(agent, Q(ticket=ticket) & (Q(message_id__isnull=True) | Q(message_id__lte=message_id)))


def _mark(agent: Agent, which: Q) -> None:
    if Notification.objects.filter(which, agent=agent, read_at__isnull=True).update(read_at=Now()):
        live.whisper("notified", {"agents": [agent.pk]})


# -- What they chose --------------------------------------------------------------------------------------------------


def ways_of(agent: Agent) -> dict[str, Ways]:
    """By type, for the types that this agent can be told of."""
    ways = all_ways([agent])
    return {name: ways[agent.pk, name] for name in _types_of(agent)}


def all_ways(agents: Iterable[Agent]) -> dict[tuple[int, str], Ways]:
    """(agent, type) -> ways, in one query."""
    ids = [agent.pk for agent in agents]
    chosen = {
        (choice.agent_id, choice.type): Ways(choice.in_app, choice.desktop, choice.sound, choice.mail, choice.push)
        for choice in NotificationChoice.objects.filter(agent__in=ids)
    }
    return {(pk, name): chosen.get((pk, name), facts.ways) for pk in ids for name, facts in TYPES.items()}


def choose(agent: Agent, name: str, ways: Ways) -> None:
    """Raises KeyError for a type that there is not."""
    TYPES[name]
    NotificationChoice.objects.update_or_create(agent=agent, type=name, defaults=ways._asdict())


def hours_of(agent: Agent) -> NotificationHours:
    return NotificationHours.objects.filter(agent=agent).first() or NotificationHours(agent=agent)


def quiet_until(hours: NotificationHours, time_zone: str, *, now: datetime) -> datetime | None:
    """The end of the quiet hours in which `now` falls, None outside of them. They may pass midnight."""
    if hours.quiet_from is None or hours.quiet_to is None or hours.quiet_from == hours.quiet_to:
        return None
    here = now.astimezone(zone_of(time_zone))
    for day in (here.date() - timedelta(days=1), here.date()):
        begins = datetime.combine(day, hours.quiet_from, here.tzinfo)
        ends = datetime.combine(day + timedelta(days=hours.quiet_to < hours.quiet_from), hours.quiet_to, here.tzinfo)
        if begins <= here < ends:
            return ends
    return None


def zone_of(name: str) -> tzinfo:
    """A time zone by its name, UTC for a name that there is not (any more)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


# -- Sentences --------------------------------------------------------------------------------------------------------


def _title(row: Notification, ticket: Ticket | None, message: Message | None) -> str:
    who = row.actor.name if row.actor else ""
    customer = (ticket.customer.name if ticket else "") or _("The customer")
    facts = row.particulars
    match row.type:
        case "mentioned":
            return _("%(who)s mentioned you") % {"who": who}
        case "assigned":
            return _("%(who)s assigned this to you") % {"who": who} if who else _("Assigned to you")
        case "draft_stopped":
            return _("Your answer was not sent")
        case "undelivered":
            return _("Your answer was not delivered")
        case "reply" if message and message.author_type == Message.Author.OTHER:
            return _("%(who)s answered in a side conversation") % {"who": message.author_name or message.author_address}
        case "reply" if who and message and message.kind == Message.Kind.NOTE:
            return _("%(who)s wrote a note") % {"who": who}
        case "reply" if who:
            return _("%(who)s replied") % {"who": who}
        case "reply":
            return _("%(customer)s wrote") % {"customer": customer}
        case "customer_back":
            return _("%(customer)s is back in the chat") % {"customer": customer}
        case "promise":
            return _("%(who)s handed you a promise: “%(text)s”") % {"who": who, "text": facts.get("text", "")}
        case "sla_breached":
            return _("%(metric)s: deadline missed") % {"metric": label_of_metric(facts.get("metric", ""))}
        case "sla_soon":
            return _("%(metric)s: the deadline is near") % {"metric": label_of_metric(facts.get("metric", ""))}
        case "snooze_ended":
            return _("Snooze ended")
        case "bad_rating":
            return _("%(customer)s rated %(score)s of 5") % {"customer": customer, "score": facts.get("score", "")}
        case "rule":
            return _("Rule: %(name)s") % {"name": facts.get("name", "")}
        case "team_new":
            return _("New in %(team)s") % {"team": facts.get("team_name", "")}
        case _:
            return _("%(channel)s is disconnected") % {"channel": row.channel.name if row.channel else ""}
