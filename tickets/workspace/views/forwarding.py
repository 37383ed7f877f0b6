"""A message goes to somebody else by mail, and so does the answer to them; the customer takes no part in it."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from agents.models import Agent
from tickets import actions, fragments, recipients, replies, side_conversations
from tickets.access import message_for, thread_for
from tickets.models import Message, Ticket
from tickets.models.event import by_agent
from tickets.workspace.answers import agent_of, back_to, wants_fragment

OFFERED = 20  # messages, the latest
LONGEST_TEXT = 100_000  # characters
LONGEST_LIST = 10_000  # characters of To or Cc


@login_required
@require_http_methods(["GET", "POST"])
def forwards_of(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: inside of the dialog; `answers` is a message of theirs that is answered. POST sends it: 201, or 422 with the
    reason beside what was written."""
    agent = agent_of(request)
    ticket = thread_for(agent, pk)
    if not agent.may_reply:
        return render(
            request, "workspace/forward.html", {"ticket": ticket}, status=200 if request.method == "GET" else 403
        )
    offered = side_conversations.forwardable(ticket, most=OFFERED)
    if request.method == "GET":
        return _dialog(request, ticket, offered, _first(request, agent, offered))
    written: dict[str, Any] = {
        name: request.POST.get(name, "") for name in ("to", "cc", "text", "channel", "client_uuid", "hold")
    }
    written["messages"] = request.POST.getlist("messages")
    try:
        _send(ticket, agent, offered, written)
    except (recipients.BadAddress, replies.Unreachable) as error:
        return _dialog(request, ticket, offered, written, problem=str(error))
    except ValueError:
        return _dialog(request, ticket, offered, written, problem=_("There is nothing to send."))
    if not wants_fragment(request):
        return back_to(ticket)
    said = {"toast": {"message": _("It is on its way.")}, "forward:sent": {}}
    return HttpResponse(status=201, headers={"HX-Trigger": json.dumps(said), "HX-Reswap": "none"})


def _first(request: HttpRequest, agent: Agent, offered: list[Message]) -> dict[str, Any]:
    """The newest words of the customer to somebody whom one still has to name, or an answer to somebody who was."""
    fresh: dict[str, Any] = {"client_uuid": uuid.uuid4()}
    asked = request.GET.get("answers", "")
    if asked.isascii() and asked.isdigit() and len(asked) < 19:
        answered = message_for(agent, int(asked))
        if answered.route and answered.route.side:
            to = recipients.of_route(answered.route)
            return fresh | {
                "to": ", ".join(to.to),
                "cc": ", ".join(to.cc),
                "messages": [],
                "channel": answered.channel_id,
            }
    newest = next((one for one in offered if one.kind == Message.Kind.PUBLIC and one.direction == "in"), None)
    return fresh | {"messages": [str(newest.pk)] if newest else []}


def _send(ticket: Ticket, agent: Agent, offered: list[Message], written: dict[str, Any]) -> None:
    now = timezone.now()
    channels = side_conversations.channels_for(ticket)
    channel = next((one for one in channels if str(one.pk) == written["channel"]), None) or next(iter(channels), None)
    if channel is None:
        raise replies.Unreachable("off", _("There is no mailbox from which this ticket could be forwarded."))
    to, cc = (recipients.split(written[name][:LONGEST_LIST]) for name in ("to", "cc"))
    side_conversations.forward(
        ticket,
        agent=agent,
        channel=channel,
        recipients=recipients.check(to, cc),
        text=written["text"].replace("\r\n", "\n")[:LONGEST_TEXT],
        quoting=[one for one in offered if str(one.pk) in written["messages"]],
        client_uuid=uuid.UUID(written["client_uuid"]),
        now=now,
    )
    if written["hold"] and ticket.is_unsolved:
        actions.set_status(ticket, Ticket.Status.ON_HOLD, by=by_agent(agent), now=now)


def _dialog(
    request: HttpRequest, ticket: Ticket, offered: list[Message], written: dict[str, Any], *, problem: str = ""
) -> HttpResponse:
    channels = side_conversations.channels_for(ticket)
    context = {
        "ticket": ticket,
        "may_reply": True,
        "written": written,
        "channels": channels,
        "channel": str(written.get("channel") or (channels[0].pk if channels else "")),
        "offered": [
            {
                "message": one,
                "name": fragments.author_name(one),
                "chosen": str(one.pk) in written["messages"],
                "n_files": len(one.attachments.all()),
            }
            for one in offered
        ],
        "problem": problem,
    }
    return render(request, "workspace/forward.html", context, status=422 if problem else 200)
