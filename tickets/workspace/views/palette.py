from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from tickets.access import tickets_for
from tickets.models import Ticket
from tickets.workspace.answers import agent_of

RECENT = 2000  # tickets that a word is looked for in
MOST = 8


@login_required
@require_safe
def found(request: HttpRequest) -> HttpResponse:
    """Tickets for the palette: by number exactly, by words in subject or customer among the most recent ones.

    `{"tickets": [{"label", "hint", "number", "url"}]}`
    """
    query = request.GET.get("q", "").strip()[:100]
    mine = tickets_for(agent_of(request)).survivors()
    number = query.lstrip("#")
    if number.isascii() and number.isdigit() and len(number) < 19:
        tickets = mine.filter(number=int(number))
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
            ]
        }
    )
