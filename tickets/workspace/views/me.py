"""What an agent sets for their own screens: pane widths, and whether they are at work."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST

from agents import presence as attendance
from agents.models import Agent
from tickets.routing import assign as routing
from tickets.workspace.answers import agent_of

WIDTHS = {"list": (280, 480), "side": (280, 420)}  # px
FLAGS = ("nav", "side_open")


@login_required
@require_POST
def panes(request: HttpRequest) -> HttpResponse:
    """Widths in px, and what is folded. Unknown names and odd values change nothing."""
    agent = agent_of(request)
    kept = dict(agent.panes)
    for name, (low, high) in WIDTHS.items():
        width = request.POST.get(name, "")
        if width.isascii() and width.isdigit() and len(width) < 6:
            kept[name] = min(high, max(low, int(width)))
    for name in FLAGS:
        if name in request.POST:
            kept[name] = bool(request.POST[name])
    if "closed" in request.POST:
        kept["closed"] = [name for name in request.POST["closed"].split(",") if name.isidentifier()][:20]
    Agent.objects.filter(pk=agent.pk).update(panes=kept)
    return HttpResponse(status=204)


@login_required
@require_POST
def presence(request: HttpRequest) -> HttpResponse:
    """Online, away, busy or offline, by their own choice. Going online looks at the queue."""
    agent, now = agent_of(request), timezone.now()
    chosen = request.POST.get("presence", "")
    if chosen not in Agent.Presence.values:
        return HttpResponse(status=422)
    with transaction.atomic():
        if attendance.set_presence(agent, chosen, now=now) and chosen == Agent.Presence.ONLINE:
            routing.capacity_freed(now=now)
    return render(request, "workspace/my_presence.html", {"presence": chosen})
