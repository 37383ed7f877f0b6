"""Choosing an approved message where free answers do not go any more, filling it in, and sending it."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from agents.models import Agent
from tickets import approved, replies
from tickets.access import thread_for
from tickets.models import MessageTemplate, Ticket
from tickets.numbers import whole_number
from tickets.workspace import composing
from tickets.workspace.answers import agent_of, back_to, wants_fragment


@login_required
@require_http_methods(["GET", "POST"])
def templates_of(request: HttpRequest, pk: int) -> HttpResponse:
    """The approved messages of `route`. GET: one of them (`template`) with what stands in its places (`place-<name>`).
    POST sends it: 201, or 422 with what is the matter."""
    agent, now = agent_of(request), timezone.now()
    ticket = thread_for(agent, pk)
    if not agent.may_reply:
        return HttpResponse(status=403)
    given = request.POST if request.method == "POST" else request.GET
    try:
        choice = replies.choice_for(ticket, given.get("route", ""), now=now)
    except LookupError:
        raise Http404 from None
    known = approved.of(choice.channel)
    template = approved.chosen(known, given.get("template", ""), language=ticket.language)
    name = ticket.customer.name if request.method == "GET" else ""
    values = approved.values_of(template, given, name=name) if template else {}
    problem = ""
    if request.method == "POST" and template:
        problem = _sent(ticket, choice, template, values, request, agent=agent)
        if not problem:
            said = {"toast": {"message": _("The template is on its way.")}, "template:sent": {}}
            headers = {"HX-Trigger": json.dumps(said), "HX-Reswap": "none"}
            return HttpResponse(status=201, headers=headers) if wants_fragment(request) else back_to(ticket)
    context: dict[str, Any] = {
        "ticket": ticket,
        "route": choice.key,
        **composing.template_facts(known, template, values),
        "problem": problem,
        "client_uuid": given.get("client_uuid") or uuid.uuid4(),
    }
    return render(request, "workspace/templates.html", context, status=422 if problem else 200)


def _sent(
    ticket: Ticket,
    choice: replies.RouteChoice,
    template: MessageTemplate,
    values: dict[str, str],
    request: HttpRequest,
    *,
    agent: Agent,
) -> str:
    """Why it was not sent, in words; "" when it was."""
    try:
        key = uuid.UUID(request.POST.get("client_uuid", ""))
        built = approved.as_sent(template, values)
    except ValueError:
        return _("Fill in every place.")
    seen = request.POST.get("last_seen_message_id", "")
    try:
        replies.post(
            ticket,
            agent=agent,
            text=approved.words_of(template, values),
            route=choice,
            template=built,
            client_uuid=key,
            seen_message_id=whole_number(seen),
            now=timezone.now(),
        )
    except replies.Stale:
        return _("The customer or a colleague has written in the meantime. Look at the thread first.")
    except replies.Unreachable as error:
        return str(error)
    return ""
