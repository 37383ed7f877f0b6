"""Automatic answers: that a first message has arrived, when we open again, what is known of an incident (reliability.md 6).

`ingest` and `incidents` leave a row in its own transaction; the drain sends the answer and settles the row in another one. Whatever
is doubtful is not answered: a robot that answers a robot never ends.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from time import monotonic

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import formats, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents import hours
from tickets import replies, variables
from tickets.incidents import CAUSE
from tickets.models import AutomaticAnswer, AutomaticReply, Brand, Channel, Message, Route, Ticket
from tickets.models.ticket import UNSOLVED, lock_survivor

log = logging.getLogger(__name__)

STALE = timedelta(hours=1)  # older messages (imported, fetched after an outage) are not answered
QUIET = timedelta(hours=24)  # one answer of a kind to an address
MOST_AN_HOUR = 3  # to an address, of all kinds
FLOOD, FLOOD_TIME = 10, timedelta(minutes=5)  # so many messages of a customer in so long: a machine

NO_REPLY = re.compile(
    r"(no|not|do[-_.]?not)[-_.]?reply.*|mailer-daemon|postmaster|bounces?([-+_.].*)?|daemon", re.IGNORECASE
)

# What texts may say. Nothing that the sender wrote: whoever fakes an address would have us deliver their words.
NAMES: Mapping[str, object] = {
    "brand.name": variables.NAMES["brand.name"],
    "ticket.number": variables.NAMES["ticket.number"],
    "opening.next": gettext_lazy("When we open next"),
}

REASONS: Mapping[str, object] = {
    "off": gettext_lazy("the answer is switched off"),
    "automatic": gettext_lazy("it was written by a machine, or asks for no automatic answer"),
    "no_reply": gettext_lazy("nobody reads mail to this address"),
    "our_own": gettext_lazy("the address is one of ours"),
    "old": gettext_lazy("the message is old"),
    "answered": gettext_lazy("a person has answered, or it is solved already"),
    "lately": gettext_lazy("the address got one within a day"),
    "too_many": gettext_lazy("the address got three within an hour"),
    "flood": gettext_lazy("the sender wrote ten messages within five minutes"),
    "blocked": gettext_lazy("the customer is blocked"),
    "fault": gettext_lazy("it failed on our side"),
    "unreachable": gettext_lazy("the customer cannot be reached this way"),
}


def drain(*, seconds: float, now: datetime) -> int:
    """Settle what is due, the oldest first, for about so long. Returns how many rows."""
    settled, until = 0, monotonic() + seconds
    while monotonic() < until and _one(now=now):
        settled += 1
    return settled


def fill(text: str, *, brand: Brand, number: int, channel: Channel, language: str, now: datetime) -> variables.Filled:
    """The text as a customer would get it."""
    values = {"brand.name": brand.name, "ticket.number": str(number), "opening.next": _opening(channel, language, now)}
    return variables.fill(text, values)


def fault_of(answer: AutomaticAnswer) -> str:
    """What keeps it from being used, in the reader's language; "" where nothing does."""
    if answer.active and not (answer.text_en and answer.text_ko):
        return _("Write the text in both languages: customers are answered in theirs.")
    if slips := unknown(answer.text_en + answer.text_ko):
        return _("These places stand for nothing here: %(names)s") % {"names": ", ".join(slips)}
    return ""


def unknown(text: str) -> list[str]:
    """Variables that stand for nothing here."""
    return [found[0] for found in variables.VARIABLE.finditer(text) if found[1].lower() not in NAMES]


@transaction.atomic
def _one(*, now: datetime) -> bool:
    due = AutomaticReply.objects.filter(due_at__lte=now).order_by("due_at", "id")
    row = due.select_for_update(skip_locked=True, no_key=True).first()
    if row is None:
        return False
    row.settled_at, row.due_at = now, None
    try:
        with transaction.atomic():
            row.skipped = _settle(row, now=now)
    except replies.Unreachable:
        row.skipped = "unreachable"
    except OperationalError:
        raise  # a deadlock, a lost connection: it stays due
    except Exception:  # one row must not silence the others, whatever is wrong with it
        log.exception("the automatic reply %s", row.pk)
        row.skipped = "fault"
    row.save()
    return True


def _settle(row: AutomaticReply, *, now: datetime) -> str:
    """Send it, or say why not. Must hold the row's lock. Raises replies.Unreachable."""
    asked = Message.objects.select_related("route__identity", "channel__brand", "customer").get(pk=row.asked_id)
    route, channel = asked.route, asked.channel
    if route is None or channel is None:
        return "unreachable"
    ticket = lock_survivor(row.ticket_id)
    language = _language(ticket)
    row.kind, text = _text_of(row, ticket, channel, asked, language)
    if not text:
        return "off"
    row.address = (route.reply_address or route.identity.value).lower()
    if why := _doubt(asked) or _crowd(row, asked, now=now) or _settled_by_people(row, ticket, now=now):
        return why
    filled = fill(text, brand=ticket.brand, number=ticket.number, channel=channel, language=language, now=now)
    message = replies.automatic(
        ticket, route=route, text=filled.text, kind="auto-replied", meta={"answer": row.kind}, now=now
    )
    row.message_id = message.pk
    return ""


def _text_of(row: AutomaticReply, ticket: Ticket, channel: Channel, asked: Message, language: str) -> tuple[str, str]:
    """Which answer it is, and its text; "" where it was switched off, resolved or unlinked meanwhile."""
    if row.cause.startswith(CAUSE):
        incident = ticket.incident
        current = incident and incident.is_open and incident.answers_new and row.cause == f"{CAUSE}{incident.pk}"
        return "incident", incident.text_in(language) if incident and current else ""
    answer = _answer_of(channel, is_open=hours.is_open(channel.hours(), asked.created_at))
    return (answer.kind, answer.text_in(language)) if answer else ("", "")


def _answer_of(channel: Channel, *, is_open: bool) -> AutomaticAnswer | None:
    """Out of hours its own answer, where there is one; nobody gets two."""
    active = {answer.kind: answer for answer in AutomaticAnswer.objects.filter(channel=channel, active=True)}
    kinds = AutomaticAnswer.Kind
    out = None if is_open else active.get(kinds.OUT_OF_HOURS)
    return out or active.get(kinds.FIRST_CONTACT)


def _doubt(asked: Message) -> str:
    """Why this message is better not answered by a machine, whoever sent it how often."""
    route = asked.route
    assert route is not None
    if asked.automatic or asked.meta.get("no_auto_reply"):
        return "automatic"
    if asked.sent_at and asked.created_at - asked.sent_at > STALE:
        return "old"
    if asked.customer and asked.customer.blocked:
        return "blocked"
    return next(filter(None, map(_doubt_of_address, _addresses(route))), "")


def _addresses(route: Route) -> list[str]:
    """Who wrote, and where the answer would go."""
    both = {route.identity.value.lower(), (route.reply_address or route.identity.value).lower()}
    return sorted(one for one in both if "@" in one)


def _doubt_of_address(address: str) -> str:
    local, _at, domain = address.rpartition("@")
    if NO_REPLY.fullmatch(local):
        return "no_reply"
    if Channel.objects.filter(address__iexact=address).exists() or Brand.objects.filter(domain__iexact=domain).exists():
        return "our_own"
    return ""


def _crowd(row: AutomaticReply, asked: Message, *, now: datetime) -> str:
    """Why this sender has had enough. Rows of one address are settled one after the other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"automatic-reply:{row.address}"])
    sent = AutomaticReply.objects.filter(address=row.address, message_id__isnull=False)
    if sent.filter(settled_at__gt=now - QUIET, kind=row.kind).exists():
        return "lately"
    if sent.filter(settled_at__gt=now - timedelta(hours=1)).count() >= MOST_AN_HOUR:
        return "too_many"
    lately = Message.objects.filter(customer=asked.customer_id, created_at__gt=asked.created_at - FLOOD_TIME)
    if asked.customer_id and lately.count() >= FLOOD:
        log.warning("automatic answers to customer %s are off: too many messages in five minutes", asked.customer_id)
        return "flood"
    return ""


def _settled_by_people(row: AutomaticReply, ticket: Ticket, *, now: datetime) -> str:
    if now - row.created_at > STALE:
        return "old"
    spoken = Message.objects.filter(ticket__in=ticket.family_ids(), kind="public", author_type="agent")
    return "answered" if ticket.status not in UNSOLVED or spoken.exists() else ""


def _language(ticket: Ticket) -> str:
    return ticket.language if ticket.language in dict(settings.LANGUAGES) else ticket.brand.language


def _opening(channel: Channel, language: str, now: datetime) -> str:
    """The next opening on the wall clock of the channel's calendar, or "" when it never opens."""
    calendar = channel.hours()
    try:
        local = hours.next_opening(calendar, now).astimezone(calendar.zone)
    except hours.NeverOpens:
        return ""
    with translation.override(language):
        return formats.date_format(local, _("l, j F, H:i"))
