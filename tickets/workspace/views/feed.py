from __future__ import annotations

import re
from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from tickets import consumers, live, presence
from tickets.access import ticket_for, visibility_of
from tickets.numbers import whole_number
from tickets.workspace.answers import agent_of

SEEN_EVERY = timedelta(seconds=15)
_SCREEN = re.compile(r"[0-9a-f-]{8,36}")


@login_required
@require_safe
def missed(request: HttpRequest) -> HttpResponse:
    """What this reader's screen missed: `?after=<event id>&ticket=<open ticket>`. The socket sends the same frames.

    Where there is no socket, this is what says that they are at work.
    """
    agent, now = agent_of(request), timezone.now()
    if agent.seen_at is None or agent.seen_at < now - SEEN_EVERY:
        consumers.arrive(agent.pk)
    return JsonResponse(
        live.catch_up(
            visibility_of(agent),
            after=whole_number(request.GET.get("after")) or 0,
            ticket_id=whole_number(request.GET.get("ticket")),
            now=now,
        )
    )


@login_required
@require_http_methods(["POST", "DELETE"])
def attendance(request: HttpRequest, pk: int) -> HttpResponse:
    """What the socket's `view` says, where there is none: `?screen=` of this tab, `doing` there and `before`, every few seconds.
    DELETE: it has left. `{"people": [{"id", "name", "doing", "hue"}]}`"""
    agent, asked = agent_of(request), request.GET
    shown = ticket_for(agent, pk)
    doing, before = (asked.get(name, "") for name in ("doing", "before"))
    if not _SCREEN.fullmatch(asked.get("screen", "")) or not {doing, before} <= {"", *presence.DOINGS}:
        return HttpResponseBadRequest()
    screen = f"{agent.pk}-{asked['screen']}"  # nobody speaks for a screen of somebody else
    if request.method == "DELETE":
        consumers.leave(shown.pk, agent, screen=screen, before=before)
        return HttpResponse(status=204)
    people = consumers.enter(shown.pk, agent, screen=screen, doing=doing or "viewing", before=before)
    return JsonResponse({"people": people})
