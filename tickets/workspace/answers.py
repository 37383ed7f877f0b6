"""How the workspace's endpoints answer: fragments with a word for the toast, or a plain redirect without htmx."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from agents.models import Agent
from tickets.actions import Incomplete, NotAllowed
from tickets.models import Event, Ticket


def agent_of(request: HttpRequest) -> Agent:
    """The person who is signed in. Behind login_required only."""
    assert isinstance(request.user, Agent)
    return request.user


def wants_fragment(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def fragment(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    status: int = 200,
    toast: dict[str, Any] | None = None,
) -> HttpResponse:
    response = render(request, template, context, status=status)
    if toast:
        say(response, **toast)
    return response


def say(response: HttpResponse, *, message: str, undo: str = "", kind: str = "", changed: bool = False) -> None:
    """Let the browser show a toast; `undo` is an address that takes it back. `changed`: fetch the customer anew."""
    said = {"message": message, **({"undo": undo} if undo else {}), **({"kind": kind} if kind else {})}
    response["HX-Trigger"] = json.dumps({"toast": said, **({"customer:changed": {}} if changed else {})})


def refuse(response: HttpResponse, problem: NotAllowed, *, ticket: Ticket, solves: bool = False) -> None:
    """Say why it was not done. Where something is wanted on the ticket first, the browser leads to it; `solves`: and solves then."""
    if isinstance(problem, Incomplete):
        wanted = {"ticket": ticket.pk, "place": problem.lacks[0].place, "said": str(problem), "solves": solves}
        response["HX-Trigger"] = json.dumps({"property:wanted": wanted})
    else:
        say(response, message=str(problem), kind="error")


def undo_url(ticket: Ticket, event: Event | None) -> str:
    return reverse("undo", args=[ticket.pk, event.pk]) if event else ""


def back_to(ticket: Ticket) -> HttpResponse:
    """After a form that was posted without htmx."""
    return HttpResponseRedirect(reverse("ticket", args=[ticket.pk]))
