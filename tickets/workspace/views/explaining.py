"""Why a ticket is where it is, and what its clocks have done: a page of its own, and a drawer in the workspace."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from tickets.access import ticket_for
from tickets.models import SlaClock, Ticket
from tickets.routing import explain
from tickets.sla import clocks
from tickets.timeline import label_of_metric
from tickets.workspace.answers import agent_of, wants_fragment

MOST_CLOCKS = 12
WIDTH = 1000  # of a line, in units of its own


@login_required
@require_safe
@vary_on_headers("HX-Request")
def explanation(request: HttpRequest, pk: int) -> HttpResponse:
    ticket = ticket_for(agent_of(request), pk)
    now = timezone.now()
    context = {
        "ticket": ticket,
        "waiting": explain.still_waiting(ticket, now=now),
        "decisions": explain.decisions(ticket),
        "clocks": clocks_of(ticket, now=now),
    }
    name = "workspace/explanation.html" if wants_fragment(request) else "workspace/explanation_page.html"
    return render(request, name, context)


def clocks_of(ticket: Ticket, *, now: datetime) -> list[dict[str, Any]]:
    """Each clock with its pieces, placed on a line from its start to its end, its deadline or now, whichever is last."""
    rows = ticket.clocks.select_related("policy", "calendar", "team", "promise__owner").prefetch_related("segments")
    rows = rows.order_by("-id")
    return [_on_a_line(clock, now=now) for clock in rows[:MOST_CLOCKS]]


def _on_a_line(clock: SlaClock, *, now: datetime) -> dict[str, Any]:
    pieces = clocks.explain(clock, now=now)
    starts_at = clock.started_at
    ends_at = max([clock.ended_at or now, clock.due_at, *(piece.ends_at for piece in pieces)])
    whole = max((ends_at - starts_at).total_seconds(), 1)

    def place(at: datetime) -> int:
        return round((at - starts_at).total_seconds() / whole * WIDTH)

    return {
        "clock": clock,
        "label": label_of_metric(clock.metric),
        "used": sum(piece.seconds for piece in pieces),
        "due": place(clock.due_at),
        "pieces": [
            {
                "kind": piece.kind,
                "starts_at": piece.starts_at,
                "ends_at": piece.ends_at,
                "seconds": int((piece.ends_at - piece.starts_at).total_seconds()),
                "x": place(piece.starts_at),
                "width": max(place(piece.ends_at) - place(piece.starts_at), 2),
            }
            for piece in pieces
        ],
    }
