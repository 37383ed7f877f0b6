"""SLA clocks of one ticket. Every function must hold the ticket's row lock."""

from __future__ import annotations

from datetime import datetime

from tickets.models import Ticket


def ticket_created(ticket: Ticket, *, now: datetime) -> None: ...


def customer_wrote(ticket: Ticket, *, now: datetime) -> None: ...


def agent_replied(ticket: Ticket, *, now: datetime) -> None: ...


def status_changed(ticket: Ticket, *, now: datetime) -> None: ...


def priority_changed(ticket: Ticket, *, now: datetime) -> None: ...
