"""The bell: what concerns the reader, what they have not heard yet, and how they want to hear it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tickets import notification_mail, notifications
from tickets.notifications import TYPES, Ways
from tickets.workspace.answers import agent_of
from tickets.workspace.forms import NotificationHoursForm


@login_required
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """The list, newest first: a whole page, or the next rows for htmx and the bell (`?before=<id>`)."""
    agent = agent_of(request)
    rows, more = notifications.page(agent, before=_number(request.GET.get("before")))
    context = {"rows": rows, "last": rows[-1].row.pk if more else None, "newest": rows[0].row.pk if rows else 0}
    fragment = request.headers.get("HX-Request")
    return render(request, f"notifications/{'rows' if fragment else 'page'}.html", context)


@login_required
@require_safe
def news(request: HttpRequest) -> HttpResponse:
    """`?after=<id>`: how many are unread, and what came since. Sockets only say that there is something."""
    after = _number(request.GET.get("after")) or 0
    return JsonResponse(notifications.news(agent_of(request), after=after, now=timezone.now()))


@login_required
@require_POST
def mark(request: HttpRequest) -> HttpResponse:
    """`notification`: this one is read; `up_to`: all up to it are."""
    agent = agent_of(request)
    one, up_to = _number(request.POST.get("notification")), _number(request.POST.get("up_to"))
    if one is not None:
        row = notifications.find(agent, one)
        if row is None:
            raise Http404
        notifications.read(agent, row)
    elif up_to is not None:
        notifications.read_all(agent, up_to=up_to)
    else:
        return HttpResponse(status=422)
    return JsonResponse({"unread": notifications.unread(agent)})


@login_required
@require_http_methods(["GET", "POST"])
def choices(request: HttpRequest) -> HttpResponse:
    """The matrix of types and ways, and the quiet hours."""
    agent = agent_of(request)
    form = NotificationHoursForm(request.POST or None, instance=notifications.hours_of(agent))
    if request.method == "POST" and form.is_valid():
        ticked = set(request.POST.getlist("way"))
        for name, before in notifications.ways_of(agent).items():
            chosen = Ways(*(f"{name}.{way}" in ticked for way in Ways._fields))
            if chosen != before:
                notifications.choose(agent, name, chosen)
        form.save()
        messages.success(request, _("Saved."))
        return redirect("notification_choices")
    ways = notifications.ways_of(agent)
    context = {"page": "notifications", "form": form, "rows": [_choice(name, ways[name]) for name in ways]}
    return render(request, "notifications/choices.html", context, status=422 if form.is_bound else 200)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """No more mails of one type: mail programs post here by themselves (RFC 8058), people press the button."""
    found = notification_mail.unsubscribed(token)
    if found is None:
        raise Http404
    agent, name = found
    if request.method == "POST":
        notification_mail.unsubscribe(agent, name)
    with translation.override(agent.language):
        context = {"done": request.method == "POST", "label": TYPES[name].label if name in TYPES else name}
        return render(request, "notifications/unsubscribe.html", context)


def _choice(name: str, ways: Ways) -> dict[str, Any]:
    facts = TYPES[name]
    boxes = [(f"{name}.{way}", way, chosen) for way, chosen in ways._asdict().items()]
    return {"name": name, "label": facts.label, "icon": facts.icon, "boxes": boxes}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
