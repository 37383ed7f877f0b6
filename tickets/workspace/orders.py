"""The orders in which a list can stand, and the keyset pages through each. static/js/lib/ticket-list.js sorts alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import BooleanField, F, Func, Value
from django.db.models.expressions import Combinable
from django.db.models.lookups import GreaterThan, LessThan
from django.utils.translation import gettext_lazy as _

from tickets.fragments import micros
from tickets.models import Ticket
from tickets.models.ticket import FAR, QUEUE, TicketQuerySet

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"-?[0-9]{1,18}(\.-?[0-9]{1,18}){0,4}", re.ASCII)

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Order:
    """`keys` end with the id, and go all up or all down, so that an index serves them and one comparison pages them.

    `of` gives the place of a ticket: a moment or a number for each key.
    """

    name: str
    label: Any
    keys: tuple[Any, ...]
    of: Callable[[Ticket], Key]
    descending: bool = False

    def apply(self, tickets: TicketQuerySet) -> TicketQuerySet:
        return tickets.order_by(*(key.desc() if self.descending else key.asc() for key in self.keys))

    def after(self, tickets: TicketQuerySet, place: Key) -> TicketQuerySet:
        """What follows this place. One comparison of rows: an index finds its beginning, however deep the page."""
        compare = LessThan if self.descending else GreaterThan
        return tickets.filter(compare(_row(*self.keys), _row(*(Value(part) for part in place))))

    def cursor_of(self, ticket: Ticket) -> str:
        return ".".join(str(micros(part) if isinstance(part, datetime) else part) for part in self.of(ticket))

    def read(self, cursor: str) -> Key | None:
        """The place that a cursor means; None for one that is broken, or of another order."""
        if not _CURSOR.fullmatch(cursor):
            return None
        numbers = [int(part) for part in cursor.split(".")]
        kinds = self.of(_SAMPLE)
        if len(numbers) != len(kinds):
            return None
        try:
            return tuple(
                EPOCH + timedelta(microseconds=number) if isinstance(kind, datetime) else number
                for number, kind in zip(numbers, kinds, strict=True)
            )
        except OverflowError:
            return None


def _row(*parts: Combinable) -> Func:
    return Func(*parts, function="", output_field=BooleanField())  # ROW (a, b, c)


def _due(ticket: Ticket) -> Key:
    return (ticket.next_due_at or FAR, ticket.waiting_since or FAR, ticket.pk)


def _touched(ticket: Ticket) -> Key:
    return (ticket.updated_at, ticket.pk)


_SAMPLE = Ticket(pk=0, updated_at=EPOCH)

DUE = Order("due", _("Next due first"), QUEUE, _due)
NEWEST = Order("newest", _("Latest activity first"), (F("updated_at"), F("id")), _touched, descending=True)
OLDEST = Order("oldest", _("Oldest activity first"), (F("updated_at"), F("id")), _touched)
PRIORITY = Order(
    "priority",
    _("Highest priority first"),
    (F("priority") * -1, *QUEUE),
    lambda ticket: (-ticket.priority, *_due(ticket)),
)
CREATED = Order("created", _("Newest ticket first"), (F("id"),), lambda ticket: (ticket.pk,), descending=True)
ORDERS = {order.name: order for order in (DUE, NEWEST, OLDEST, PRIORITY, CREATED)}
