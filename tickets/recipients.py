"""To whom a mail goes: what stands in To and Cc, whom a reply to all reaches, and what looks like a slip."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from agents.models import Agent
from tickets.models import Channel, Identity, Message, Route, Ticket

MOST = 40  # addresses of one answer
LOOKED_AT = 200  # the latest messages of a ticket, for who took part
_QUOTED = re.compile(r'"[^"\r\n]*"')  # a name, which may hold a comma
_ANGLE = re.compile(r"<([^<>]*)>")


class BadAddress(ValueError):
    """What cannot stand in To or Cc; the text is a sentence for its author."""


@dataclass(frozen=True)
class Recipients:
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()

    @property
    def everybody(self) -> set[str]:
        return {address.lower() for address in (*self.to, *self.cc)}


def split(text: str) -> list[str]:
    """The addresses of a field as somebody types or pastes them: by comma, semicolon or line, with names or without."""
    pieces = (piece.strip() for piece in re.split(r"[,;\r\n]+", _QUOTED.sub("", text)))
    return [(_ANGLE.search(piece) or ["", piece])[1].strip() for piece in pieces if piece][: MOST + 1]


def check(to: Iterable[str], cc: Iterable[str]) -> Recipients:
    """Each once, To before Cc. Raises BadAddress for none at all, too many, or what is no address."""
    seen: set[str] = set()
    kept: list[list[str]] = [[], []]
    for addresses, place in ((to, kept[0]), (cc, kept[1])):
        for address in addresses:
            try:
                validate_email(address)
            except ValidationError:
                raise BadAddress(_("This is not an e-mail address: %(address)s") % {"address": address[:100]}) from None
            if len(address) > 254:
                raise BadAddress(_("This is not an e-mail address: %(address)s") % {"address": address[:100]})
            if address.lower() not in seen:
                seen.add(address.lower())
                place.append(address)
    if not kept[0]:
        raise BadAddress(_("“To” is empty."))
    if len(seen) > MOST:
        raise BadAddress(_("At most %(n)s people at once.") % {"n": MOST})
    return Recipients(tuple(kept[0]), tuple(kept[1]))


def of_route(route: Route) -> Recipients:
    """Whom a reply to all reaches: the customer, and in copy whoever else takes part (`others_of`)."""
    customer = route.reply_address or route.identity.value
    return Recipients((customer,), tuple(one for one in route.cc if one.lower() != customer.lower()))


def others_of(channel: Channel, *, to: Iterable[str], cc: Iterable[str], sender: str) -> list[str]:
    """Who else takes part in a mail that came in: its recipients, less ourselves and the sender.

    Where we do not stand among them we got it by an alias, and what stands in To is that alias: an answer to it would
    come back to us.
    """
    to, cc = list(to), list(cc)
    if not to and not cc:
        return []
    ours = {
        address.lower()
        for address in Channel.objects.filter(kind=channel.kind).values_list("address", flat=True)
        if address
    }
    direct = any(_bare(one) in ours for one in (*to, *cc))
    others = [one for one in ((*to, *cc) if direct else cc) if _bare(one) not in ours and one.lower() != sender.lower()]
    return list(dict.fromkeys(others))[:MOST]


def _bare(address: str) -> str:
    """Without what follows a plus sign, where our own reply addresses carry their token."""
    local, _at, domain = address.lower().partition("@")
    return f"{local.partition('+')[0]}@{domain}"


def doubts(ticket: Ticket, route: Route | None, chosen: Recipients) -> list[str]:
    """What its author should look at again before a mail goes to these people, in sentences."""
    identities = Identity.objects.filter(customer=ticket.customer_id, kind="email").values_list("value", flat=True)
    customer = {value.lower() for value in identities}
    if route and route.reply_address:
        customer.add(route.reply_address.lower())
    found = []
    if not chosen.everybody & customer:
        found.append(_("The customer is not among the recipients."))
    known = customer | _taking_part(ticket, route)
    new = [one for one in (*chosen.to, *chosen.cc) if one.lower() not in known]
    colleagues = Agent.objects.filter(is_active=True, email__in=[one.lower() for one in new]) if new else []
    inside = {agent.email.lower() for agent in colleagues}
    if outside := [one for one in new if one.lower() not in inside]:
        found.append(_("New in this conversation: %(addresses)s") % {"addresses": ", ".join(outside)})
    return found


def _taking_part(ticket: Ticket, route: Route | None) -> set[str]:
    rows = (
        Message.objects.filter(ticket__in=ticket.family_ids(), kind=Message.Kind.PUBLIC)
        .order_by("-id")
        .values_list("to", "cc", "author_address")[:LOOKED_AT]
    )
    known = {address.lower() for to, cc, author in rows for address in (*to, *cc, author)}
    return known | {address.lower() for address in (route.cc if route else ())}
