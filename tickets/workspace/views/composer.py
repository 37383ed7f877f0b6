"""Writing: the composer, drafts, files, replies and notes; and what a person decides about a part that is stuck."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from agents.models import Agent
from tickets import delivery, files, fragments, moments, recipients, replies
from tickets.access import attachment_for, message_for, thread_for, ticket_for
from tickets.channels import capabilities_of
from tickets.fields import Lack
from tickets.macros import chosen as chosen_macro
from tickets.models import Attachment, Channel, DeliveryPart, Draft, Message, Ticket
from tickets.models.event import by_agent
from tickets.models.message import DeliveryState
from tickets.numbers import whole_number
from tickets.workspace import composing
from tickets.workspace.answers import agent_of, back_to, wants_fragment
from tickets.workspace.views import macros

LARGEST_UPLOAD = 25 * 1024 * 1024  # bytes
LONGEST_TEXT = 100_000  # characters
LONGEST_LIST = 10_000  # characters of To or Cc
VERDICTS = {"arrived": "arrived", "resend": "again", "failed": "failed"}


@login_required
@require_safe
def composer(request: HttpRequest, pk: int) -> HttpResponse:
    """The composer of a ticket, with one's own draft in it."""
    agent = agent_of(request)
    shown = ticket_for(agent, pk)
    facts = composing.composer(shown, agent=agent, now=timezone.now())
    return render(request, "workspace/composer.html", {"composer": facts, "ticket": shown})


@login_required
@require_POST
def replies_of(request: HttpRequest, pk: int) -> HttpResponse:
    """Post an answer: 201 with its bubble. 409 when the thread has moved on, 422 when it cannot go this way; both with
    the strip that says so."""
    agent, now = agent_of(request), timezone.now()
    shown = thread_for(agent, pk)
    if not agent.may_reply:
        return HttpResponse(status=403)
    then = request.POST.get("then", "")
    try:
        route = replies.choice_for(shown, request.POST.get("route", ""), now=now)
        words: dict[str, Any] = {
            "agent": agent,
            "text": request.POST.get("text", "")[:LONGEST_TEXT],
            "route": route,
            "recipients": _recipients(request, shown, route),
            "attachments": _files(request, agent),
            "client_uuid": _uuid(request),
            "seen_message_id": whole_number(request.POST.get("last_seen_message_id")),
            "anyway": request.POST.get("anyway") == "1",
            "then": ({"status": then} if then in replies.AFTERWARDS else {}) | macros.chosen(request),
            "now": now,
        }
        send_at = _send_at(request, agent, route, now=now)
        if send_at:
            message = replies.hold(shown, send_at=send_at, insist=request.POST.get("insist") == "1", **words)
        else:
            message = replies.post(shown, **words)
    except NotAMoment:
        return _guard(request, shown, status=422, reason=_("Write a time in the future, such as “tomorrow 9am”."))
    except recipients.BadAddress as error:
        return _guard(request, shown, status=422, reason=str(error))
    except Doubtful as doubt:
        return _guard(request, shown, status=422, reason=str(doubt), asks=True)
    except replies.Stale as stale:
        return _guard(request, shown, status=409, messages=stale.messages)
    except replies.Unsolvable as error:
        return _guard(request, shown, status=422, reason=str(error), wants=error.lacks[0])
    except replies.Unreachable as error:
        return _guard(request, shown, status=422, reason=str(error))
    except LookupError:
        return _guard(
            request, shown, status=422, reason=_("The customer cannot be reached this way. Choose another channel.")
        )
    except ValueError:
        return _guard(request, shown, status=422, reason=_("There is nothing to send."))
    if isinstance(message, Draft):
        return _held(request, shown, message)
    return _posted(request, shown, message)


class Doubtful(Exception):
    """The recipients look like a slip; the text says why. Said once, `sure` sends it."""


def _recipients(request: HttpRequest, ticket: Ticket, choice: replies.RouteChoice) -> recipients.Recipients | None:
    """To and Cc as they stood in the composer; None where the channel or the form has none."""
    if "to" not in request.POST or not capabilities_of(choice.channel.kind).cc:
        return None
    to, cc = (recipients.split(request.POST.get(name, "")[:LONGEST_LIST]) for name in ("to", "cc"))
    chosen = recipients.check(to, cc)
    doubts = recipients.doubts(ticket, choice.route, chosen)
    if doubts and request.POST.get("sure") != "1":
        raise Doubtful(" ".join(doubts))
    return chosen


class NotAMoment(ValueError):
    """What was said of when to send is not understood, or is past."""


def _send_at(request: HttpRequest, agent: Agent, route: replies.RouteChoice, *, now: datetime) -> datetime | None:
    """When it leaves: at the moment that was said, else after the author's time to undo; None for at once (chats)."""
    said = request.POST.get("send_at", "").strip()
    if said:
        zone = ZoneInfo(agent.time_zone)
        moment = moments.parse(said, now=now, zone=zone, language=get_language() or "en")
        at = moment.at if moment else composing.moment_of(said, zone)
        if at is None or not now < at <= now + moments.HORIZON:
            raise NotAMoment(said)
        return at
    if capabilities_of(route.channel.kind).chatlike or not agent.undo_seconds:
        return None
    return now + timedelta(seconds=agent.undo_seconds)


@login_required
def waiting(request: HttpRequest, pk: int) -> HttpResponse:
    """One's own answer that waits to be sent. POST: send it now. DELETE: take it back, as JSON. 409 when it has gone."""
    agent, now = agent_of(request), timezone.now()
    shown = ticket_for(agent, pk)
    held = Draft.objects.filter(ticket=shown, agent=agent, kind="reply", send_at__isnull=False).first()
    if request.method == "POST":
        if held is None or not replies.send_now(held, now=now):
            return HttpResponse(status=409)
        return _posted(request, shown, Message.objects.get(client_uuid=held.client_uuid))
    if request.method != "DELETE":
        return HttpResponseNotAllowed(["POST", "DELETE"])
    if held is None or not replies.undo(held, now=now):
        return HttpResponse(status=409)
    return JsonResponse(_returned(request, held))


def _returned(request: HttpRequest, kept: Draft) -> dict[str, Any]:
    """A draft with everything that goes back into the composer."""
    tray = {"files": composing.tray([kept])}
    return {
        **_draft_facts(kept),
        "route": f"{kept.route.channel_id}-{kept.route.identity_id}" if kept.route else kept.way,
        "files": render_to_string("workspace/uploads.html", tray, request),
        **composing.macro_of(kept),
        **({"to": ", ".join(kept.to), "cc": ", ".join(kept.cc or [])} if kept.to else {}),
    }


@login_required
@require_POST
def notes_of(request: HttpRequest, pk: int) -> HttpResponse:
    agent = agent_of(request)
    shown = thread_for(agent, pk)
    try:
        message = replies.note(
            shown,
            agent=agent,
            text=(request.POST.get("note") or request.POST.get("text", ""))[:LONGEST_TEXT],
            attachments=_files(request, agent),
            client_uuid=_uuid(request),
            then=macros.chosen(request),
            now=timezone.now(),
        )
    except replies.Unsolvable as error:
        return _guard(request, shown, status=422, reason=str(error), wants=error.lacks[0])
    except replies.Unreachable as error:  # what its macro does does not fit
        return _guard(request, shown, status=422, reason=str(error))
    except ValueError:
        return _guard(request, shown, status=422, reason=_("There is nothing to send."))
    return _posted(request, shown, message)


@login_required
def draft(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """PUT keeps what is being written (JSON: text, route, files, client_uuid, revision, base, seen), DELETE empties it.

    Answers `{"revision"}`; a save that comes late changes nothing and learns the newer one with its text: `overtaken`
    where that is of another tab or device.
    """
    agent, now = agent_of(request), timezone.now()
    shown = ticket_for(agent, pk)
    if kind not in (Draft.Kind.REPLY, Draft.Kind.NOTE):
        raise Http404
    if request.method == "GET":
        kept = Draft.objects.filter(ticket=shown, agent=agent, kind=kind).first()
        return JsonResponse(_returned(request, kept) if kept else _draft_facts(kept))
    if request.method == "DELETE":
        asked = _discarded(request)
        if asked is None:
            return HttpResponse(status=422)
        replies.discard_draft(shown, agent=agent, kind=kind, now=now, **asked)
        replies.tell_draft(agent_id=agent.pk, ticket_id=shown.pk)
        return HttpResponse(status=204)
    if request.method not in ("PUT", "POST"):  # POST: a beacon while the page is being left
        return HttpResponseNotAllowed(["GET", "PUT", "POST", "DELETE"])
    written = _written(request)
    if written is None:
        return HttpResponse(status=422)
    kept = replies.save_draft(
        shown,
        agent=agent,
        kind=kind,
        **_way(shown, written["route"]),
        then=chosen_macro(agent, *written["macro"]),
        now=now,
        **written["words"],
    )
    if kept and kept.send_at and kept.client_uuid != written["words"]["client_uuid"]:
        return HttpResponse(status=409)  # the answer before it is on its way: this one stays on its device until then
    replies.tell_draft(agent_id=agent.pk, ticket_id=shown.pk)
    if kept is None:
        return JsonResponse(_draft_facts(kept))
    overtaken = kept.client_uuid != written["words"]["client_uuid"]
    return JsonResponse(_draft_facts(kept) | {"count": _count(shown, written), "overtaken": overtaken})


def _discarded(request: HttpRequest) -> dict[str, Any] | None:
    """Which draft a composer empties; None when it does not say it rightly."""
    base, said = whole_number(request.GET.get("base")), request.GET.get("uuid")
    try:
        client_uuid = UUID(said) if said else None
    except ValueError:
        return None
    return {"revision": whole_number(request.GET.get("revision")) or 0, "base": base, "client_uuid": client_uuid}


def _written(request: HttpRequest) -> dict[str, Any] | None:
    """What a draft's save carries, checked; None when it is none of ours."""
    try:
        said = (
            json.loads(request.body)
            if request.content_type == "application/json"
            else json.loads(request.POST["draft"])
        )
        return {
            "route": str(said.get("route") or ""),
            "macro": (int(said.get("macro") or 0), [int(number) for number in said.get("deeds", [])][:20]),
            "words": {
                "text": str(said.get("text") or "")[:LONGEST_TEXT],
                "client_uuid": UUID(str(said["client_uuid"])),
                "revision": max(0, min(int(said["revision"]), 2**62)),
                "base": int(said["base"]) if said.get("base") is not None else None,
                "attachment_ids": [int(number) for number in said.get("files", [])][:20],
                "seen_message_id": int(said["seen"]) if said.get("seen") else None,
                "to": _typed(said.get("to")),
                "cc": _typed(said.get("cc")),
            },
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _typed(addresses: Any) -> list[str] | None:
    """As far as they are written; None where the composer leaves it to the reply to all."""
    if addresses is None:
        return None
    return [one[:254] for one in recipients.split(str(addresses)[:LONGEST_LIST])]


def _way(ticket: Ticket, key: str) -> dict[str, Any]:
    """How the answer is to go, as a draft keeps it: the route that the ticket has used, else what was chosen."""
    first, _dash, second = key.partition("-")
    channel, identity = whole_number(first), whole_number(second)
    if channel is None or identity is None:
        return {}
    route = ticket.routes.filter(channel=channel, identity=identity, side=False).first()
    return {"route": route} if route else {"way": f"{channel}-{identity}"}


def _count(ticket: Ticket, written: dict[str, Any]) -> str:
    """By the channel that is chosen, whether the ticket has used it or not."""
    channel = whole_number(written["route"].partition("-")[0])
    if channel is None:
        return ""
    kind = Channel.objects.filter(pk=channel, brand=ticket.brand_id).values_list("kind", flat=True).first()
    return composing.counted(written["words"]["text"], kind or "")


def _draft_facts(kept: Draft | None) -> dict[str, Any]:
    if kept is None:
        return {"revision": 0, "gone": True}
    return {"revision": kept.revision, "text": kept.text, "stopped": kept.stopped}


@login_required
@require_POST
def uploads(request: HttpRequest) -> HttpResponse:
    """One file, before its message is sent: the chip for the tray. It is the uploader's alone until then."""
    agent = agent_of(request)
    upload = request.FILES.get("file")
    if upload is None or not upload.size:
        return _refused(_("The file is empty."), status=422)
    if upload.size > LARGEST_UPLOAD:
        return _refused(_("The file is larger than %(mb)s MB.") % {"mb": LARGEST_UPLOAD // 1024 // 1024}, status=413)
    try:
        stored = files.store(cast(BinaryIO, upload))
    except files.NoRoom:
        return _refused(_("The server has no room for files. Tell an administrator."), status=503)
    attachment = Attachment.objects.create(
        uploaded_by=agent,
        kind=_kind(stored.content_type),
        name=files.clean_name(upload.name or "")[:255],
        content_type=stored.content_type,
        size=stored.size,
        sha256=stored.sha256,
    )
    return render(request, "workspace/upload.html", {"file": composing.chips([attachment])[0]}, status=201)


@login_required
def upload(request: HttpRequest, pk: int) -> HttpResponse:
    """DELETE: take an unsent file back."""
    if request.method != "DELETE":
        return HttpResponseNotAllowed(["DELETE"])
    file = attachment_for(agent_of(request), pk)
    if file.message_id is not None:
        raise Http404
    file.delete()
    return HttpResponse("")


@login_required
@require_POST
def verdict(request: HttpRequest, pk: int) -> HttpResponse:
    """`outcome`: arrived, resend or failed, for a part whose fate we do not know; without one: try a failed part again."""
    agent = agent_of(request)
    if not agent.may_reply:
        return HttpResponse(status=403)
    part = DeliveryPart.objects.filter(pk=pk).select_related("channel").first()
    if part is None:
        raise Http404
    message_for(agent, part.message_id)
    outcome = VERDICTS.get(request.POST.get("outcome", "resend"))
    if outcome is None:
        return HttpResponse(status=422)
    now = timezone.now()
    if outcome == "again" and part.state == DeliveryState.FAILED:  # the answer again, and not a piece of it
        stuck = DeliveryPart.objects.filter(message=part.message_id, state=DeliveryState.FAILED).select_related(
            "channel"
        )
        for one in stuck.order_by("n"):
            delivery.resolve(one, "again", by=by_agent(agent), now=now)
    else:
        delivery.resolve(part, outcome, by=by_agent(agent), now=now)  # type: ignore[arg-type]
    message = Message.objects.for_bubbles().get(pk=part.message_id)
    return HttpResponse(fragments.bubble(message))


@login_required
@require_POST
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an answer that was not delivered up again: its text, copies of its files and a way that works, as JSON for the
    composer. The failed one stays as it is; it is dealt with. `elsewhere`: not by the way it took. 409 when it has not failed."""
    agent, now = agent_of(request), timezone.now()
    if not agent.may_reply:
        return HttpResponse(status=403)
    message = message_for(agent, pk)
    if message.state != DeliveryState.FAILED or not message.is_human_reply:
        return HttpResponse(status=409)
    for part in message.parts.filter(state=DeliveryState.FAILED, resolved_at__isnull=True):
        delivery.resolve(part, "failed", by=by_agent(agent), now=now)
    way = replies.way_again(message, elsewhere=request.POST.get("elsewhere") == "1", now=now)
    tray = {"files": composing.chips(files.copies(message.attachments.order_by("pk"), agent=agent))}
    return JsonResponse(
        {
            "text": message.text,
            "files": render_to_string("workspace/uploads.html", tray, request),
            "route": way.key if way else "",
            **({"to": ", ".join(message.to), "cc": ", ".join(message.cc)} if way and _is_way_of(message, way) else {}),
            "bubble": fragments.bubble(Message.objects.for_bubbles().get(pk=message.pk)),
        }
    )


def _is_way_of(message: Message, way: replies.RouteChoice) -> bool:
    return bool(way.route and way.route.pk == message.route_id and capabilities_of(way.channel.kind).cc)


# -- Answers ------------------------------------------------------------------------------------------------------------------------


def _posted(request: HttpRequest, ticket: Ticket, message: Message) -> HttpResponse:
    if not wants_fragment(request):
        return back_to(ticket)
    full = Message.objects.for_bubbles().get(pk=message.pk)
    response = HttpResponse(fragments.bubble(full), status=201, headers={"X-Message": str(message.pk)})
    if request.POST.get("macro") and message.client_uuid:
        macros.say_applied(response, macros.use_of(message.client_uuid))
    return response


def _held(request: HttpRequest, ticket: Ticket, held: Draft) -> HttpResponse:
    """202: nothing has left yet."""
    if not wants_fragment(request):
        return back_to(ticket)
    context = {"waiting": composing.waiting(held, now=timezone.now()), "agent": request.user}
    return render(request, "workspace/waiting.html", context, status=202)


def _guard(
    request: HttpRequest,
    ticket: Ticket,
    *,
    status: int,
    messages: list[Message] | None = None,
    reason: str = "",
    asks: bool = False,
    wants: Lack | None = None,
) -> HttpResponse:
    newest = max(messages, key=lambda message: message.pk) if messages else None
    context = {
        "reason": reason,
        "asks": asks,
        "wants": wants,
        "newest": newest,
        "author": fragments.author_name(newest) if newest else "",
        "ticket": ticket,
    }
    if not wants_fragment(request):
        context |= {"ticket_url": reverse("ticket", args=[ticket.pk])}
    return HttpResponse(render_to_string("workspace/guard.html", context, request), status=status)


def _refused(sentence: str, *, status: int) -> HttpResponse:
    return HttpResponse(sentence, status=status, content_type="text/plain; charset=utf-8")


def _files(request: HttpRequest, agent: Agent) -> list[Attachment]:
    """The uploads that go along; only the author's own unsent ones. Raises ValueError for others."""
    ids = [number for text in request.POST.getlist("files")[:20] if (number := whole_number(text)) is not None]
    found = Attachment.objects.filter(pk__in=ids, uploaded_by=agent, message__isnull=True).in_bulk()
    if len(found) != len(set(ids)) and not Message.objects.filter(client_uuid=_uuid(request)).exists():
        raise ValueError("a foreign or used attachment")
    return [found[pk] for pk in ids if pk in found]


def _uuid(request: HttpRequest) -> UUID:
    return UUID(request.POST.get("client_uuid", ""))


def _kind(content_type: str) -> str:
    family = content_type.split("/", maxsplit=1)[0]
    return family if family in ("image", "video", "audio") else "document"
