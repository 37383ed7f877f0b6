"""Who gets a ticket. Routing is owed by a column and paid by a drain (reliability.md 5)."""

from __future__ import annotations

from datetime import datetime

from tickets.models import Ticket


def owe(ticket: Ticket, *, now: datetime) -> None:
    """Mark the ticket as due. Must hold its row lock."""
    ticket.routing_due_at = now
    ticket.save(update_fields=["routing_due_at"])


def capacity_freed(*, now: datetime) -> None:
    """Somebody has room again: look at the queue after the commit."""
