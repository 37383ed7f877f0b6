"""What could not be read, sent or done: visible, and sent through again by a person (reliability.md 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from agents.models import Agent, AuditEntry
from agents.permissions import admins_only, agent_of
from channels_in import process
from channels_in.models import RawEvent
from channels_in.webhooks import raw_of
from tickets import delivery, outbox
from tickets.access import tickets_for
from tickets.contract import Unreadable
from tickets.models import Channel, DeliveryPart, Message, Outbox, Ticket, Webhook
from tickets.models.event import by_agent
from tickets.routing import rules

PAGE = 50
CAP = 1000
VERDICTS = ("again", "arrived", "failed")


@admins_only
@require_GET
def dead_letters(request: HttpRequest) -> HttpResponse:
    """`/settings/dead-letters/?kind=items|replies|webhooks|rules&before=<id>`, the newest first."""
    agent = agent_of(request)
    kinds: dict[str, Callable[[Agent], QuerySet[Any]]] = {
        "items": _items, "replies": _replies, "webhooks": _webhooks, "rules": _rules,
    }  # fmt: skip
    kind = request.GET.get("kind", "items")
    if kind not in kinds:
        raise Http404
    rows = kinds[kind](agent)
    before = request.GET.get("before", "")
    page = list((rows.filter(pk__lt=int(before)) if before.isdecimal() else rows).order_by("-pk")[: PAGE + 1])
    labels = {"items": _("Received"), "replies": _("Answers"), "webhooks": _("Outgoing webhooks"), "rules": _("Rules")}
    context = {
        "kind": kind,
        "tabs": [
            {"text": labels[name], "url": f"?kind={name}", "current": name == kind, "count": _capped(query(agent))}
            for name, query in kinds.items()
        ],
        "rows": _ROWS[kind](page[:PAGE]),
        "older": f"?kind={kind}&before={page[PAGE - 1].pk}" if len(page) > PAGE else "",
    }
    return render(request, "channels_in/dead_letters.html", context)


@admins_only
@require_POST
def replay(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a quarantined item through again."""
    event = _found(_items(agent_of(request)), pk)
    try:
        replayed = process.replay(event, by=agent_of(request))
    except process.AlreadyThere:
        messages.error(request, _("The channel of this account has received the same item already. It stays here."))
    else:
        if replayed:
            messages.success(request, _("It is being read again. If it fails once more, it comes back here."))
        else:
            messages.info(request, _("Somebody else has dealt with it already."))
    return redirect(f"{reverse('dead_letters')}?kind=items")


@admins_only
@require_GET
def original(request: HttpRequest, pk: int) -> HttpResponse:
    """The bytes as they came, as a file to save: they are nobody's markup here."""
    event = _found(_items(agent_of(request)), pk)
    try:
        raw = raw_of(event)
    except Unreadable:
        raise Http404 from None
    response = HttpResponse(raw, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="item-{event.pk}.bin"'
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    AuditEntry.write("raw_event_read", actor=agent_of(request), target=event, brand_id=event.channel.brand_id)
    return response


@admins_only
@require_POST
def settle(request: HttpRequest, pk: int) -> HttpResponse:
    """An answer that failed or is unconfirmed: send again, it arrived, or let it be."""
    agent, verdict = agent_of(request), request.POST.get("verdict", "")
    if verdict not in VERDICTS:
        raise Http404
    part = _found(_replies(agent), pk)
    with transaction.atomic():
        settled = delivery.resolve(part, verdict, by=by_agent(agent), now=timezone.now())  # type: ignore[arg-type]
        if settled:
            facts = {"verdict": verdict, "was": part.state}
            AuditEntry.write("part_settled", actor=agent, target=part, brand_id=part.channel.brand_id, facts=facts)
    if settled:
        messages.success(request, _("Done."))
    else:
        messages.info(request, _("Somebody else has dealt with it already."))
    return redirect(f"{reverse('dead_letters')}?kind=replies")


@admins_only
@require_POST
def redeliver(request: HttpRequest, pk: int) -> HttpResponse:
    """Queue an outgoing webhook again, with the same id."""
    return _queued(request, _found(_webhooks(agent_of(request)), pk), outbox.redeliver, kind="webhooks")


@admins_only
@require_POST
def do_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Let rules do what they could not do."""
    return _queued(request, _found(_rules(agent_of(request)), pk), rules.do_again, kind="rules")


def _queued(request: HttpRequest, row: Outbox, queue: Callable[..., bool], *, kind: str) -> HttpResponse:
    with transaction.atomic():
        again = queue(row, now=timezone.now())
        if again:
            AuditEntry.write("outbox_replayed", actor=agent_of(request), target=row, facts={"kind": row.kind})
    if again:
        messages.success(request, _("It is queued again."))
    else:
        messages.info(request, _("Somebody else has dealt with it already."))
    return redirect(f"{reverse('dead_letters')}?kind={kind}")


# -- What is listed ---------------------------------------------------------------------------------------------------


def _items(agent: Agent) -> QuerySet[RawEvent]:
    waiting = RawEvent.objects.filter(state=RawEvent.State.QUARANTINED).select_related("channel")
    return waiting.filter(channel__in=_channels(agent)).defer("raw")


def _replies(agent: Agent) -> QuerySet[DeliveryPart]:
    unsettled = DeliveryPart.objects.filter(state__in=("failed", "uncertain"), resolved_at__isnull=True)
    return unsettled.filter(ticket__in=tickets_for(agent)).select_related("channel", "ticket")


def _webhooks(agent: Agent) -> QuerySet[Outbox]:
    return Outbox.objects.filter(kind="webhook", state=Outbox.State.QUARANTINED)


def _rules(agent: Agent) -> QuerySet[Outbox]:
    return rules.put_aside(tickets_for(agent).values("pk"))


def _channels(agent: Agent) -> QuerySet[Channel]:
    return Channel.objects.all() if agent.brand_ids is None else Channel.objects.filter(brand__in=agent.brand_ids)


def _found(rows: QuerySet[Any], pk: int) -> Any:
    row = rows.filter(pk=pk).first()
    if row is None:
        raise Http404
    return row


def _capped(rows: QuerySet[Any]) -> str:
    n = rows.order_by()[: CAP + 1].count()
    return f"{CAP:,}+" if n > CAP else str(n) if n else ""


def _item_rows(page: list[RawEvent]) -> list[dict[str, Any]]:
    lines = Message.objects.filter(pk__in=[event.stub_message_id for event in page if event.stub_message_id])
    tickets = dict(lines.values_list("pk", "ticket_id"))
    return [
        {
            "pk": event.pk,
            "channel": event.channel.name,
            "at": event.received_at,
            "reason": reason_in_words(event.outcome_reason),
            "detail": event.last_error or event.outcome_reason,
            "attempts": event.attempts,
            "ticket": tickets.get(event.stub_message_id or 0),
            "readable": event.stripped_at is None,
        }
        for event in page
    ]


def _reply_rows(page: list[DeliveryPart]) -> list[dict[str, Any]]:
    return [
        {
            "pk": row.pk,
            "channel": row.channel.name,
            "at": row.created_at,
            "reason": _("Not delivered") if row.state == "failed" else _("Unconfirmed"),
            "detail": row.last_error,
            "attempts": row.attempts,
            "ticket": row.ticket_id,
            "number": row.ticket.number,
            "unsure": row.state == "uncertain",
        }
        for row in page
    ]


def _webhook_rows(page: list[Outbox]) -> list[dict[str, Any]]:
    addresses = dict(
        Webhook.objects.filter(pk__in=[row.payload.get("webhook", 0) for row in page]).values_list("pk", "url")
    )
    return [
        {
            "pk": row.pk,
            "channel": addresses.get(row.payload.get("webhook", 0), row.shard_key),
            "at": row.created_at,
            "reason": _("Given up"),
            "detail": row.last_error,
            "attempts": row.attempts,
        }
        for row in page
    ]


def _rule_rows(page: list[Outbox]) -> list[dict[str, Any]]:
    numbers = dict(Ticket.objects.filter(pk__in=[row.payload["ticket"] for row in page]).values_list("pk", "number"))
    names = rules.Names()
    told = [rules.owed_in_words(row, names) for row in page]
    return [
        {
            "pk": row.pk,
            "channel": rule,
            "at": row.finished_at,
            "reason": owed,
            "detail": row.last_error,
            "attempts": row.attempts,
            "ticket": row.payload["ticket"],
            "number": numbers.get(row.payload["ticket"]),
        }
        for row, (rule, owed) in zip(page, told, strict=True)
    ]


_ROWS: dict[str, Callable[[list[Any]], list[dict[str, Any]]]] = {
    "items": _item_rows,
    "replies": _reply_rows,
    "webhooks": _webhook_rows,
    "rules": _rule_rows,
}


def reason_in_words(reason: str) -> str:
    """Why an item waits here, for the reader. The code itself stays in the detail."""
    if reason.startswith("unknown account"):
        return _("No channel has this account")
    if reason.startswith("unreadable"):
        return _("Could not be read")
    if reason == "crashed":
        return _("Reading it ended the worker three times")
    return _("Failed eight times")
