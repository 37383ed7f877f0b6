"""A message goes to somebody else by mail, and so does the answer to them; the customer takes no part in it."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from agents.models import Agent
from tickets import fragments, recipients, replies, side_conversations
from tickets.access import message_for, thread_for
from tickets.models import Attachment, Draft, Message, Ticket
from tickets.numbers import whole_number
from tickets.workspace import composing
from tickets.workspace.answers import agent_of, back_to, wants_fragment

OFFERED = 20  # messages, the latest
MOST_FILES = 20  # of the author's own
LONGEST_TEXT = 100_000  # characters
LONGEST_LIST = 10_000  # characters of To or Cc


@login_required
@require_http_methods(["GET", "POST"])
def forwards_of(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: inside of the dialog, with what is kept of it; `answers` is a message of theirs that is answered. POST sends it:
    201, 202 where it can be taken back for a moment, or 422 with the reason beside what was written."""
    agent = agent_of(request)
    ticket = thread_for(agent, pk)
    if not agent.may_reply:
        return render(
            request, "workspace/forward.html", {"ticket": ticket}, status=200 if request.method == "GET" else 403
        )
    offered = side_conversations.forwardable(ticket, most=OFFERED)
    if request.method == "GET":
        kept = _kept(ticket, agent)
        problem = replies.sentence_of(kept.stopped) if kept else ""
        return _dialog(request, ticket, offered, _first(request, agent, offered, kept), problem=problem)
    written = _written(request)
    try:
        held = _send(ticket, agent, offered, written)
    except (recipients.BadAddress, replies.Unreachable) as error:
        return _dialog(request, ticket, offered, written, problem=str(error))
    except ValueError:
        return _dialog(request, ticket, offered, written, problem=_("There is nothing to send."))
    if not wants_fragment(request):
        return back_to(ticket)
    undo = {"undo": reverse("forward_withdrawal", args=[pk])} if held else {}
    said = {"toast": {"message": _("It is on its way."), **undo}, "forward:sent": {}}
    return HttpResponse(status=202 if held else 201, headers={"HX-Trigger": json.dumps(said), "HX-Reswap": "none"})


@login_required
@require_POST
def draft(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep what stands in the dialog: the form as it is. What was sent meanwhile stays sent."""
    agent, now = agent_of(request), timezone.now()
    ticket = thread_for(agent, pk)
    if not agent.may_reply:
        return HttpResponse(status=403)
    written = _written(request)
    try:
        client_uuid = uuid.UUID(written["client_uuid"])
    except ValueError:
        return HttpResponse(status=422)
    to, cc = ([one[:254] for one in recipients.split(written[name][:LONGEST_LIST])] for name in ("to", "cc"))
    replies.save_draft(
        ticket,
        agent=agent,
        kind=Draft.Kind.SIDE,
        text=written["text"],
        client_uuid=client_uuid,
        revision=round(now.timestamp() * 1000),
        to=to,
        cc=cc,
        attachment_ids=[int(number) for number in written["files"]],
        then={
            "messages": [int(number) for number in written["messages"]],
            "hold": bool(written["hold"]),
            "channel": written["channel"][:20],
        },
        now=now,
    )
    replies.tell_draft(agent_id=agent.pk, ticket_id=ticket.pk)
    return HttpResponse(status=204)


@login_required
@require_POST
def withdrawal(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back one's own that waits to leave: it is a draft again. 409 when it has left."""
    agent = agent_of(request)
    held = _draft_of(thread_for(agent, pk), agent)
    taken = held is not None and replies.undo(held, now=timezone.now())
    return HttpResponse(status=204 if taken else 409)


def _draft_of(ticket: Ticket, agent: Agent) -> Draft | None:
    return Draft.objects.filter(ticket=ticket, agent=agent, kind=Draft.Kind.SIDE).select_related("route").first()


def _kept(ticket: Ticket, agent: Agent) -> Draft | None:
    """What this agent has begun to write here to somebody else, and has not sent."""
    kept = _draft_of(ticket, agent)
    return kept if kept and not kept.send_at and (kept.text.strip() or kept.to or kept.attachment_ids) else None


def _written(request: HttpRequest) -> dict[str, Any]:
    written: dict[str, Any] = {
        name: request.POST.get(name, "") for name in ("to", "cc", "text", "channel", "client_uuid", "hold")
    }
    written["text"] = written["text"].replace("\r\n", "\n")[:LONGEST_TEXT]
    for name, most in (("messages", OFFERED), ("files", MOST_FILES)):
        written[name] = [one for one in request.POST.getlist(name) if whole_number(one) is not None][:most]
    return written


def _first(request: HttpRequest, agent: Agent, offered: list[Message], kept: Draft | None) -> dict[str, Any]:
    """What is kept; else the newest words of the customer to somebody whom one still has to name, or an answer to somebody
    who was. An answer takes the words that are kept along, and goes to whom it answers."""
    written: dict[str, Any] = {"client_uuid": uuid.uuid4()}
    if kept:
        written |= {"client_uuid": kept.client_uuid, "text": kept.text, "files": kept.attachment_ids}
    if (asked := whole_number(request.GET.get("answers"))) is not None:
        answered = message_for(agent, asked)
        if answered.route and answered.route.side:
            to = recipients.of_route(answered.route)
            return written | {
                "to": ", ".join(to.to),
                "cc": ", ".join(to.cc),
                "messages": [],
                "channel": answered.channel_id,
            }
    if kept:
        return written | {
            "to": ", ".join(kept.to or ()),
            "cc": ", ".join(kept.cc or ()),
            "messages": [str(number) for number in kept.then.get("messages", ())],
            "hold": kept.then.get("hold"),
            "channel": kept.route.channel_id if kept.route else kept.then.get("channel"),
        }
    newest = next((one for one in offered if one.kind == Message.Kind.PUBLIC and one.direction == "in"), None)
    return written | {"messages": [str(newest.pk)] if newest else []}


def _send(ticket: Ticket, agent: Agent, offered: list[Message], written: dict[str, Any]) -> bool:
    """Whether it is held for the author's time to undo."""
    now = timezone.now()
    channels = side_conversations.channels_for(ticket)
    channel = next((one for one in channels if str(one.pk) == written["channel"]), None) or next(iter(channels), None)
    if channel is None:
        raise replies.Unreachable("off", _("There is no mailbox from which this ticket could be forwarded."))
    to, cc = (recipients.split(written[name][:LONGEST_LIST]) for name in ("to", "cc"))
    sent = replies.hold_forward(
        ticket,
        agent=agent,
        channel=channel,
        recipients=recipients.check(to, cc),
        text=written["text"],
        quoting=[one for one in offered if str(one.pk) in written["messages"]],
        attachments=_files(agent, written),
        waits=bool(written["hold"]),
        client_uuid=uuid.UUID(written["client_uuid"]),
        send_at=now + timedelta(seconds=agent.undo_seconds),
        now=now,
    )
    if isinstance(sent, Draft) and not agent.undo_seconds:
        if not replies.send_now(sent, now=now) and (why := replies.stopped_because(sent)) is not None:
            raise replies.Unreachable(why, replies.sentence_of(why))
        return False
    return isinstance(sent, Draft)


def _files(agent: Agent, written: dict[str, Any]) -> list[Attachment]:
    """One's own that nothing has taken yet, in the order in which they stand there."""
    mine = Attachment.objects.filter(pk__in=written.get("files", ()), uploaded_by=agent, message__isnull=True)
    found = {str(file.pk): file for file in mine}
    return [found[number] for number in map(str, written.get("files", ())) if number in found]


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
        "files": composing.chips(_files(agent_of(request), written)),
        "problem": problem,
    }
    return render(request, "workspace/forward.html", context, status=422 if problem else 200)
