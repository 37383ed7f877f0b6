from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from tickets import live
from tickets.access import visibility_of
from tickets.workspace.answers import agent_of


@login_required
@require_safe
def missed(request: HttpRequest) -> HttpResponse:
    """What this reader's screen missed: `?after=<event id>&ticket=<open ticket>`. The socket sends the same frames."""
    return JsonResponse(
        live.catch_up(
            visibility_of(agent_of(request)),
            after=_number(request.GET.get("after")) or 0,
            ticket_id=_number(request.GET.get("ticket")),
            now=timezone.now(),
        )
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
