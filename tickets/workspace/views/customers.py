"""The customer beside the thread: who they are, how they can be reached, and all that happened on any channel."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import get_language_info
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from agents.models import Agent
from tickets import fragments
from tickets.access import ticket_for, tickets_for
from tickets.models import Customer, Event, Identity, Ticket, TicketLink
from tickets.timeline import Names, sentence
from tickets.workspace.answers import agent_of

MOST = 30  # tickets of the timeline
PERSONAL_KINDS = ("customer_joined", "customer_join_undone", "identity_opted_out", "identity_opted_in")


@login_required
@require_safe
def panel(request: HttpRequest, pk: int) -> HttpResponse:
    agent = agent_of(request)
    shown = ticket_for(agent, pk)
    customer = Customer.objects.get(pk=shown.customer_id)
    identities = list(Identity.objects.filter(customer=customer).order_by("-verified", "-last_seen_at", "-pk")[:30])
    return render(
        request,
        "workspace/customer.html",
        {
            "ticket": shown,
            "customer": customer_facts(customer, identities, now=timezone.now()),
            "notes": customer.notes,
            "attributes": [(key, value) for key, value in customer.attributes.items() if isinstance(value, str | int)][
                :20
            ],
            "links": _links(agent, shown),
            "timeline": timeline(agent, shown),
        },
    )


def customer_facts(customer: Customer, identities: list[Identity], *, now: datetime) -> dict[str, Any]:
    """What `components/customer_card.html` shows."""
    addresses = [identity for identity in identities if identity.kind != "webchat"]
    name = customer.name or (addresses[0].value if addresses else str(customer))
    return {
        "name": name,
        "verified": any(identity.verified for identity in identities),
        "tier_label": customer.get_tier_display() if customer.tier else "",
        "language_label": _language(customer.language),
        "local_time": _local_time(customer.time_zone, now=now),
        "organisation": customer.organisation,
        "since": customer.since,
        "identities": [
            {
                "kind": _channel_kind(identity.kind),
                "value": identity.name if identity.kind == "webchat" and identity.name else identity.value,
                "verified": identity.verified,
                "note": _("opted out") if identity.opted_out_at else _("bounced") if identity.failed_at else "",
            }
            for identity in identities
        ],
    }


def timeline(agent: Agent, shown: Ticket) -> list[dict[str, Any]]:
    """The customer's tickets on all channels, and what happened to the person itself, newest first."""
    tickets = (
        tickets_for(agent)
        .survivors()
        .filter(customer=shown.customer_id)
        .select_related("last_channel")
        .order_by("-updated_at", "-pk")[:MOST]
    )
    items = [
        {
            "id": f"ticket-{ticket.pk}",
            "at": ticket.last_message_at or ticket.created_at,
            "sentence": ticket.subject or ticket.snippet or str(ticket),
            "url": reverse("ticket", args=[ticket.pk]),
            "channel": ticket.last_channel.kind if ticket.last_channel else "",
            "snippet": ticket.snippet if ticket.subject else "",
            "status": ticket.shown_status,
            "current": ticket.pk == shown.pk,
            "csat": ticket.csat,
        }
        for ticket in tickets
    ]
    events = list(
        Event.objects.filter(customer=shown.customer_id, ticket__isnull=True, kind__in=PERSONAL_KINDS)
        .select_related("actor")
        .order_by("-pk")[:MOST]
    )
    names = Names(agents={event.actor.pk: event.actor.name for event in events if event.actor}, teams={})
    for event in events:
        who = event.actor.name if event.actor else ""
        items.append(
            {
                "id": f"event-{event.pk}",
                "at": event.at,
                "sentence": sentence(event.kind, who, event.particulars, names),
                "icon_name": fragments.ICONS.get(event.kind, "user-round"),
            }
        )
    return sorted(items, key=lambda item: item["at"], reverse=True)


def _links(agent: Agent, shown: Ticket) -> list[dict[str, Any]]:
    """Linked tickets that this agent may see, from either end."""
    pairs = [(link.other_id, link.get_kind_display()) for link in TicketLink.objects.filter(ticket=shown)] + [
        (link.ticket_id, _("linked from")) for link in TicketLink.objects.filter(other=shown)
    ]
    seen = tickets_for(agent).in_bulk([pk for pk, _kind in pairs]) if pairs else {}
    return [{"ticket": seen[pk], "kind": kind, "url": reverse("ticket", args=[pk])} for pk, kind in pairs if pk in seen]


def _channel_kind(identity_kind: str) -> str:
    return {"phone": "sms"}.get(identity_kind, identity_kind)


def _language(code: str) -> str:
    try:
        return str(get_language_info(code)["name_translated"]) if code else ""
    except KeyError:
        return code


def _local_time(zone: str, *, now: datetime) -> str:
    try:
        return formats.time_format(now.astimezone(ZoneInfo(zone)).time(), "H:i") if zone else ""
    except (ZoneInfoNotFoundError, ValueError):
        return ""
