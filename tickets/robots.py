"""Whether what a customer wrote may be answered by a machine of ours: a robot that answers a robot never ends.

Automatic answers (`tickets.answering`) and the replies of rules (`tickets.triggers`) ask here, and what they have sent
stands in one ledger, `AutomaticReply`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from tickets.models import AutomaticReply, Brand, Channel, Message, Route

log = logging.getLogger(__name__)

STALE = timedelta(hours=1)  # older messages (imported, fetched after an outage) are not answered
QUIET = timedelta(hours=24)  # one answer of a kind to an address
MOST_AN_HOUR = 3  # to an address, of all kinds
FLOOD, FLOOD_TIME = 10, timedelta(minutes=5)  # so many messages of a customer in so long: a machine

NO_REPLY = re.compile(
    r"(no|not|do[-_.]?not)[-_.]?reply.*|mailer-daemon|postmaster|bounces?([-+_.].*)?|daemon", re.IGNORECASE
)

REASONS: Mapping[str, Promise] = {
    "automatic": gettext_lazy("it was written by a machine, or asks for no automatic answer"),
    "no_reply": gettext_lazy("nobody reads mail to this address"),
    "our_own": gettext_lazy("the address is one of ours"),
    "old": gettext_lazy("the message is old"),
    "lately": gettext_lazy("the address got one within a day"),
    "too_many": gettext_lazy("the address got three within an hour"),
    "flood": gettext_lazy("the sender wrote ten messages within five minutes"),
    "blocked": gettext_lazy("the customer is blocked"),
}


def why_not(asked: Message, *, kind: str, now: datetime) -> str:
    """A code of REASONS that speaks against answering this message, which has a route, or "".

    Inside a transaction: until it ends, nobody else is told that the same address may be answered.
    """
    return _doubt(asked) or _crowd(asked, kind=kind, now=now)


def address_of(route: Route) -> str:
    """Where an answer would go."""
    return (route.reply_address or route.identity.value).lower()


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
    both = {route.identity.value.lower(), address_of(route)}
    return next(filter(None, map(_doubt_of_address, sorted(one for one in both if "@" in one))), "")


def _doubt_of_address(address: str) -> str:
    local, _at, domain = address.rpartition("@")
    if NO_REPLY.fullmatch(local):
        return "no_reply"
    if Channel.objects.filter(address__iexact=address).exists() or Brand.objects.filter(domain__iexact=domain).exists():
        return "our_own"
    return ""


def _crowd(asked: Message, *, kind: str, now: datetime) -> str:
    """Why this sender has had enough. Answers to one address are judged one after the other."""
    assert asked.route is not None
    address = address_of(asked.route)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"automatic-reply:{address}"])
    sent = AutomaticReply.objects.filter(address=address, message_id__isnull=False)
    if sent.filter(settled_at__gt=now - QUIET, kind=kind).exists():
        return "lately"
    if sent.filter(settled_at__gt=now - timedelta(hours=1)).count() >= MOST_AN_HOUR:
        return "too_many"
    around = (asked.created_at - FLOOD_TIME, asked.created_at + FLOOD_TIME)  # a rule may answer days later
    lately = Message.objects.filter(customer=asked.customer_id, created_at__range=around)
    if asked.customer_id and lately.order_by()[:FLOOD].count() >= FLOOD:
        log.warning("automatic answers to customer %s are off: too many messages in five minutes", asked.customer_id)
        return "flood"
    return ""
