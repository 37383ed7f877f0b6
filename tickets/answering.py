"""Automatic answers: that a first message has arrived, when we open again, what is known of an incident (reliability.md 6).

`ingest` and `incidents` leave a row in its own transaction; the drain sends the answer and settles the row in another
one. Whatever is doubtful is not answered (`tickets.robots`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from time import monotonic

from django.db import OperationalError, transaction
from django.utils import formats, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents import hours
from tickets import replies, robots, variables
from tickets.incidents import CAUSE
from tickets.models import AutomaticAnswer, AutomaticReply, Brand, Channel, Message, Ticket
from tickets.models.ticket import UNSOLVED, lock_survivor

log = logging.getLogger(__name__)

# What texts may say. Nothing that the sender wrote: whoever fakes an address would have us deliver their words.
NAMES: Mapping[str, object] = {
    "brand.name": variables.NAMES["brand.name"],
    "ticket.number": variables.NAMES["ticket.number"],
    "opening.next": gettext_lazy("When we open next"),
}

REASONS: Mapping[str, object] = {
    **robots.REASONS,
    "off": gettext_lazy("the answer is switched off"),
    "answered": gettext_lazy("a person has answered, or it is solved already"),
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
        return _("These variables cannot be used here: %(names)s") % {"names": ", ".join(slips)}
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
    language = ticket.answer_language
    row.kind, text = _text_of(row, ticket, channel, asked, language)
    if not text:
        return "off"
    row.address = robots.address_of(route)
    if why := robots.why_not(asked, kind=row.kind, now=now) or _settled_by_people(row, ticket, now=now):
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


def _settled_by_people(row: AutomaticReply, ticket: Ticket, *, now: datetime) -> str:
    if now - row.created_at > robots.STALE:
        return "old"
    spoken = Message.objects.filter(ticket__in=ticket.family_ids(), kind="public", author_type="agent")
    return "answered" if ticket.status not in UNSOLVED or spoken.exists() else ""


def _opening(channel: Channel, language: str, now: datetime) -> str:
    """The next opening on the wall clock of the channel's calendar, or "" when it never opens."""
    calendar = channel.hours()
    try:
        local = hours.next_opening(calendar, now).astimezone(calendar.zone)
    except hours.NeverOpens:
        return ""
    with translation.override(language):
        return formats.date_format(local, _("l, j F, H:i"))
