"""What an agent sets for their own screens: pane widths, keys, and whether they are at work."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from agents import presence as attendance
from agents.models import Agent
from tickets.routing import assign as routing
from tickets.workspace import keymap
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
@require_http_methods(["GET", "POST"])
@never_cache
def presence(request: HttpRequest) -> HttpResponse:
    """GET it as it is now. POST online, away, busy or offline, by their own choice, or wrap_up: online, with nothing new
    for some minutes. Going online looks at the queue."""
    agent, now = agent_of(request), timezone.now()
    if request.method == "POST":
        chosen = request.POST.get("presence", "")
        if chosen not in Agent.Presence.values:
            return HttpResponse(status=422)
        with transaction.atomic():
            if chosen == Agent.Presence.WRAP_UP:
                if agent.presence != Agent.Presence.ONLINE:
                    attendance.set_presence(agent, Agent.Presence.ONLINE, now=now)
                attendance.wrap_up(agent, minutes=attendance.usual_wrap_up(agent), now=now)
            elif attendance.set_presence(agent, chosen, now=now) and chosen == Agent.Presence.ONLINE:
                routing.capacity_freed(now=now)
    return render(request, "workspace/my_presence.html", {"changed": True})


@login_required
@require_POST
def activity(request: HttpRequest) -> HttpResponse:
    """Somebody sits at one of their screens: told once a minute while they do anything. After a pause the queue is looked at.

    503: not now, their next key tells it.
    """
    now = timezone.now()
    try:
        with transaction.atomic():
            if attendance.note_activity(agent_of(request), now=now):
                routing.capacity_freed(now=now)
    except attendance.LookedAt:
        return HttpResponse(status=503)
    return HttpResponse(status=204)


@login_required
@require_http_methods(["GET", "POST"])
def own_keys(request: HttpRequest) -> HttpResponse:
    """The key map as this person has it; POST a field for each command. `usual` takes all of it back."""
    agent = agent_of(request)
    problems: dict[str, str] = {}
    typed: dict[str, str] = {}
    if request.method == "POST":
        typed = {} if "usual" in request.POST else request.POST.dict()
        own, problems = keymap.read_keys(typed)
        if not problems:
            Agent.objects.filter(pk=agent.pk).update(own_keys=own)
            messages.success(request, _("Saved."))
            return redirect("own_keys")
    commands = [command for command in keymap.commands_for(agent.own_keys) if keymap.can_change(command)]
    usual = {command.id: ", ".join(command.keys) for command in keymap.COMMANDS}
    rows: list[dict[str, Any]] = [
        {
            "command": command,
            "typed": typed.get(command.id, ", ".join(command.keys)),
            "usual": usual[command.id],
            "problem": problems.get(command.id, ""),
        }
        for command in commands
    ]
    groups = [(str(name), list(members)) for name, members in groupby(rows, key=lambda row: row["command"].group)]
    context = {"page": "keys", "groups": groups, "problems": len(problems)}
    return render(request, "workspace/settings/keys.html", context, status=422 if problems else 200)
