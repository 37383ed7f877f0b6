"""One ticket on the screen: its thread, its head and its properties. Reading marks nothing as read."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from agents.models import Agent
from tickets import live
from tickets.models import Ticket
from tickets.numbers import whole_number
from tickets.workspace import lists, thread
from tickets.workspace.answers import agent_of, wants_fragment
from tickets.workspace.views.lists import page_context


@login_required
@require_safe
@vary_on_headers("HX-Request")
def ticket(request: HttpRequest, pk: int) -> HttpResponse:
    """The whole page, or for the workspace's own requests the thread and the side pane alone."""
    agent = agent_of(request)
    after = live.newest_id()
    shown = thread.ticket_on_screen(agent, pk)
    context = ticket_context(shown, reader=agent) | {"after": after}
    if wants_fragment(request):
        return render(request, "workspace/ticket.html", context)
    named = lists.list_named(request.GET.get("view", "inbox"), agent=agent) or lists.STANDARD[0]
    chosen = lists.narrowed(named, request.GET)
    return render(
        request,
        "workspace/page.html",
        context | page_context(chosen, agent=agent) | {"list": chosen, "facts": chosen.facts(), "pane": "thread"},
    )


@login_required
@require_safe
def earlier(request: HttpRequest, pk: int) -> HttpResponse:
    """The page of the thread before message `?before=`."""
    shown = thread.ticket_on_screen(agent_of(request), pk)
    before = whole_number(request.GET.get("before"))
    return render(request, "workspace/items.html", {"thread": thread.page_of(shown, before=before)})


@login_required
@require_safe
def properties(request: HttpRequest, pk: int) -> HttpResponse:
    """Head and properties, after somebody else changed them."""
    shown = thread.ticket_on_screen(agent_of(request), pk)
    return render(request, "workspace/properties.html", properties_context(shown))


def ticket_context(shown: Ticket, *, reader: Agent) -> dict[str, Any]:
    page = thread.page_of(shown, reader=reader)
    return properties_context(shown) | {"thread": page, "since": page.since}


def properties_context(shown: Ticket) -> dict[str, Any]:
    now = timezone.now()
    return {
        "ticket": shown,
        "head": thread.head(shown, now=now),
        "pinned": thread.pinned(shown),
        "properties": thread.properties(shown),
        "clocks": thread.clocks(shown),
        "promises": thread.promises(shown),
        "followers": thread.followers(shown),
    }
