"""What the composer starts with: drafts, the ways to reach the customer, the files that wait."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agents.models import Agent
from tickets import approved, formatting, fragments, parts, recipients, replies, signatures
from tickets.channels import capabilities_of
from tickets.models import Attachment, Draft, Macro, MessageTemplate, Ticket
from tickets.timeline import labels_of_status
from tickets.workspace import snoozing

SHOWN_FROM = 0.8  # of the first text message: from there its counter is shown


def composer(ticket: Ticket, *, agent: Agent, now: datetime) -> dict[str, Any]:
    """What `components/composer.html` shows. A draft of one's own is put back; those of others are named."""
    everything = list(Draft.objects.filter(ticket=ticket).select_related("agent", "route"))
    drafts = [draft for draft in everything if draft.kind != Draft.Kind.SIDE]  # that one stands in its dialog
    aside = [draft for draft in everything if draft not in drafts and draft.agent_id == agent.pk and not draft.send_at]
    own = {draft.kind: draft for draft in drafts if draft.agent_id == agent.pk}
    choices = replies.routes_for(ticket, now=now) if agent.may_reply else []
    revision = own["reply"].revision if "reply" in own else 0
    held = own.pop("reply") if "reply" in own and own["reply"].send_at else None
    reply, note = own.get("reply"), own.get("note")
    starts = max(own.values(), key=lambda draft: draft.updated_at).kind if own else "reply"
    labels = labels_of_status()
    signed = any(capabilities_of(choice.channel.kind).signature for choice in choices)
    return {
        "ticket_id": ticket.pk,
        "url": reverse("replies", args=[ticket.pk]),
        "note_url": reverse("notes", args=[ticket.pk]),
        "draft_url": reverse("draft", args=[ticket.pk, "KIND"]),
        "kind": starts if agent.may_reply and choices else "note",
        "may_reply": agent.may_reply,
        "reply_text": reply.text if reply else "",
        "note_text": note.text if note else "",
        "reply_revision": revision,
        "note_revision": note.revision if note else 0,
        **macro_of(own.get(starts)),
        "stopped": reply.stopped if reply else "",
        "client_uuid": uuid.uuid4(),
        "routes": [route_facts(choice, now=now) for choice in choices],
        "route": chosen(choices, draft=reply),
        "count": counted(reply.text, _kind_of(choices, chosen(choices, draft=reply))) if reply else "",
        "signature": signatures.text_for(ticket, agent=agent, now=now) if signed else "",
        "has_choice": sum(choice.reachable for choice in choices) > 1,
        **_recipients(choices, reply),
        "files": tray([reply] if reply else []),
        "note_files": tray([note] if note else []),
        "waiting": waiting(held, now=now) if held else None,
        "stopped_reason": replies.sentence_of(reply.stopped) if reply and reply.stopped else "",
        "stopped_words": _("Your reply was not sent: the thread has moved on. It is a draft again."),
        "later": snoozing.offered(ZoneInfo(agent.time_zone), now=now, hours=snoozing.hours_of(ticket)),
        "upload_url": reverse("uploads"),
        "statuses": [
            {"value": value, "label": _("Send, then: %(status)s") % {"status": labels[value]}}
            for value in ("solved", "pending", "on_hold", "open")
        ],
        "aside": any(draft.text.strip() for draft in aside),
        "others": [draft.agent.name for draft in drafts if draft.agent_id != agent.pk and draft.text],
    }


def waiting(held: Draft, *, now: datetime) -> dict[str, Any]:
    """What `workspace/waiting.html` shows of an answer that is on its way."""
    assert held.send_at is not None
    zone = ZoneInfo(held.agent.time_zone)
    files = attachments_of([held])
    return {
        "id": held.pk,
        "text": held.text or ", ".join(file.name for file in files),
        "n_files": len(files) if held.text else 0,
        "until_ms": round(held.send_at.timestamp() * 1000),
        "now_ms": round(now.timestamp() * 1000),
        "short": held.send_at <= now + replies.LONGEST_HOLD,
        "words": snoozing.in_words(held.send_at, zone, now=now),
        "insist": held.send_anyway,
        "then": labels_of_status().get(held.then.get("status", ""), ""),
        "url": reverse("waiting", args=[held.ticket_id]),
    }


def tray(drafts: Iterable[Draft]) -> list[dict[str, Any]]:
    """The files of drafts, removable."""
    return chips(attachments_of(drafts))


def chips(unsent: Iterable[Attachment]) -> list[dict[str, Any]]:
    return [fragments.file_facts(file, remove_url=reverse("upload", args=[file.pk])) for file in unsent]


def moment_of(text: str, zone: ZoneInfo) -> datetime | None:
    """ISO 8601, as our own buttons say it; without a zone it is the agent's."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _recipients(choices: list[replies.RouteChoice], draft: Draft | None) -> dict[str, str]:
    """To and Cc as they were left, else whom a reply to all reaches."""
    if draft and draft.to is not None:
        return {"to": ", ".join(draft.to), "cc": ", ".join(draft.cc or [])}
    key = chosen(choices, draft=draft)
    return next((_whom(choice) for choice in choices if choice.key == key), {})


def _whom(choice: replies.RouteChoice) -> dict[str, str]:
    """Nothing where the channel has no copies."""
    if not capabilities_of(choice.channel.kind).cc:
        return {}
    whom = recipients.of_route(choice.route) if choice.route else recipients.Recipients((choice.identity.value,))
    return {"to": ", ".join(whom.to), "cc": ", ".join(whom.cc)}


def macro_of(draft: Draft | None) -> dict[str, Any]:
    """The macro that goes along with a draft, and the numbers of those of its deeds that were kept."""
    macro = Macro.objects.filter(pk=draft.then["macro"]).first() if draft and draft.then.get("macro") else None
    if draft is None or macro is None:
        return {"macro": None, "deeds": []}
    return {"macro": macro.pk, "deeds": [n for n, deed in enumerate(macro.deeds) if deed in draft.then["deeds"]]}


def route_facts(choice: replies.RouteChoice, *, now: datetime) -> dict[str, Any]:
    if not choice.reachable:
        note = replies.sentence_of(choice.reason)
    elif choice.window_expires_at:
        note = _("Window closes in %(time)s") % {"time": timesince.timeuntil(choice.window_expires_at, now, depth=1)}
    elif choice.route is None:
        note = _("Not used on this ticket yet")
    else:
        note = ""
    return {
        "id": choice.key,
        "kind": choice.channel.kind,
        "address": choice.identity.name if choice.channel.kind == "webchat" else choice.identity.value,
        "note": note,
        "disabled": not choice.reachable,
        "limit": choice.limit,
        "unit": capabilities_of(choice.channel.kind).text_unit,
        "segments": capabilities_of(choice.channel.kind).segment is not None,
        "plain": not capabilities_of(choice.channel.kind).formatted,
        **_whom(choice),
        "template": choice.reason == "template_only",
        "signed": capabilities_of(choice.channel.kind).signature,
        "hold": not capabilities_of(choice.channel.kind).chatlike,
    }


def template_facts(
    known: list[MessageTemplate], template: MessageTemplate | None, values: Mapping[str, str]
) -> dict[str, Any]:
    """What `workspace/template_fields.html` shows: what there is to choose from, and one of them with its places."""
    places = template.places if template else []
    return {
        "known": known,
        "template": template,
        "places": [{"name": one, "sign": "{{" + one + "}}", "value": values[one]} for one in places],
        "words": approved.words_of(template, values) if template else "",
    }


def _kind_of(choices: list[replies.RouteChoice], key: str) -> str:
    return next((choice.channel.kind for choice in choices if choice.key == key), "")


def counted(text: str, kind: str) -> str:
    """How many text messages the customer's provider bills, or how near the first one is to its end; "" elsewhere."""
    capabilities = capabilities_of(kind) if kind else None
    if capabilities is None or capabilities.segment is None:
        return ""
    text = formatting.as_plain(text)  # as it leaves
    count = parts.count(text, capabilities)
    if count.segments > 1:
        return ngettext("%(n)s SMS", "%(n)s SMS", count.segments) % {"n": count.segments}
    whole = capabilities.segment[0 if parts.is_gsm(text) else 1]
    return f"{count.length} / {whole}" if count.length >= SHOWN_FROM * whole else ""


def chosen(choices: list[replies.RouteChoice], *, draft: Draft | None) -> str:
    """The draft's own way, else the one that was used last and works, else the first that works."""
    if draft and draft.route:
        for choice in choices:
            if choice.route and choice.route.pk == draft.route_id:
                return choice.key
    if draft and any(choice.key == draft.way for choice in choices):
        return draft.way
    used = [choice for choice in choices if choice.route]
    working = [choice for choice in used if choice.reachable] or [choice for choice in choices if choice.reachable]
    best = max(working, key=lambda choice: choice.route.last_used_at.timestamp() if choice.route else 0, default=None)
    return best.key if best else (choices[0].key if choices else "")


def attachments_of(drafts: Iterable[Draft]) -> list[Attachment]:
    ids = {pk for draft in drafts for pk in draft.attachment_ids}
    return list(Attachment.objects.filter(pk__in=ids, message__isnull=True).order_by("pk")) if ids else []
