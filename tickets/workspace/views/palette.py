from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from agents.models import Agent
from tickets import customers, search
from tickets.access import customers_for, tickets_for
from tickets.models import Customer, Ticket
from tickets.numbers import whole_number
from tickets.workspace.answers import agent_of

RECENT = 2000  # tickets that a word is looked for in
MOST, FEW = 8, 5


@login_required
@require_safe
def found(request: HttpRequest) -> HttpResponse:
    """For the palette, `{"tickets": [{"label", "hint", "number", "url"}], "customers": [{"label", "hint", "url"}]}`.

    Tickets by number exactly, or by words in subject or customer among the most recent ones; customers by a part of
    their name, address or telephone number.
    """
    query = request.GET.get("q", "").strip()[:100]
    agent = agent_of(request)
    mine = tickets_for(agent).survivors()
    number = whole_number(query.lstrip("#"))
    if number is not None:
        tickets = mine.filter(number=number)
    elif len(query) > 1:
        recent = mine.latest_first().values("pk")[:RECENT]
        words = Q(subject__icontains=query) | Q(customer__name__icontains=query)
        tickets = Ticket.objects.filter(words, pk__in=recent)
    else:
        tickets = mine.none()
    rows = tickets.select_related("customer").latest_first()[:MOST]
    return JsonResponse(
        {
            "tickets": [
                {
                    "label": ticket.subject or ticket.snippet or str(ticket),
                    "hint": f"{ticket.customer} · #{ticket.number}",
                    "number": ticket.number,
                    "url": reverse("ticket", args=[ticket.pk]),
                }
                for ticket in rows
            ],
            "customers": [
                {
                    "label": str(customer),
                    "hint": next((identity.value for identity in customer.identities.all()), ""),
                    "url": reverse("customer", args=[customer.pk]),
                }
                for customer in (_customers(agent, query) if len(query) > 1 else ())
            ],
        }
    )


def _customers(agent: Agent, query: str) -> list[Customer]:
    """None where a part of a name would be looked for too long: one is typing on."""
    try:
        with search.limited():
            found = customers_for(agent).filter(customers.like(query), joined_into__isnull=True)
            return list(found.prefetch_related("identities").order_by("-pk")[:FEW])
    except search.TooSlow:
        return []
