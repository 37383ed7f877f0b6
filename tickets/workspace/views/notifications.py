"""The bell: what concerns the reader, what they have not heard yet, how they want to hear it, and on which devices."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from tickets import notification_mail, notifications, push, web_push
from tickets.notifications import TYPES, Ways
from tickets.numbers import whole_number
from tickets.workspace.answers import agent_of, wants_fragment
from tickets.workspace.forms import NotificationHoursForm


@login_required
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """The list, newest first: a whole page, or the next rows for htmx and the bell (`?before=<id>`)."""
    agent = agent_of(request)
    rows, more = notifications.page(agent, before=whole_number(request.GET.get("before")))
    context = {"rows": rows, "last": rows[-1].row.pk if more else None, "newest": rows[0].row.pk if rows else 0}
    fragment = request.headers.get("HX-Request")
    return render(request, f"notifications/{'rows' if fragment else 'page'}.html", context)


@login_required
@require_safe
def news(request: HttpRequest) -> HttpResponse:
    """`?after=<id>`: how many are unread, and what came since. Sockets only say that there is something."""
    agent, after = agent_of(request), whole_number(request.GET.get("after")) or 0
    pushed = push.is_on(agent, _device(request))
    return JsonResponse(notifications.news(agent, after=after, now=timezone.now(), pushed=pushed))


@login_required
@require_POST
def mark(request: HttpRequest) -> HttpResponse:
    """`notification`: this one is read; `up_to`: all up to it are."""
    agent = agent_of(request)
    one, up_to = whole_number(request.POST.get("notification")), whole_number(request.POST.get("up_to"))
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
    context |= {"push_key": web_push.public_key(), **_devices(request, _device(request))}
    return render(request, "notifications/choices.html", context, status=422 if form.is_bound else 200)


@login_required
@require_http_methods(["GET", "POST"])
def devices(request: HttpRequest) -> HttpResponse:
    """GET: `{key, token}`, what the service worker needs to subscribe anew by itself. POST `endpoint`, `p256dh`, `auth`:
    this browser shows notifications from now on; answers the list of devices."""
    if request.method == "GET":
        return JsonResponse({"key": web_push.public_key(), "token": get_token(request)})
    address = web_push.Address(*(request.POST.get(name, "") for name in web_push.Address._fields))
    device = _device(request) or secrets.token_hex(16)
    try:
        label = push.label_of(request.headers.get("User-Agent", ""))
        push.subscribe(agent_of(request), address, device=device, label=label)
    except push.NotAccepted as refusal:
        return HttpResponse(str(refusal), status=422, content_type="text/plain; charset=utf-8")
    answer = render(request, "notifications/devices.html", _devices(request, device))
    answer.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        device,
        max_age=timedelta(days=400),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return answer


@login_required
@require_POST
def device_removal(request: HttpRequest) -> HttpResponse:
    """`device`: one of one's own list; without it, this browser. Answers the list."""
    device = _device(request)
    push.remove(agent_of(request), pk=whole_number(request.POST.get("device")), device=device)
    if not wants_fragment(request):
        return redirect("notification_choices")
    return render(request, "notifications/devices.html", _devices(request, device))


@login_required
@require_POST
def push_test(request: HttpRequest) -> HttpResponse:
    """Send a push to this browser. Answers the list, with what its push service said of it (`web_push.Verdict`)."""
    device = _device(request)
    verdict = push.try_out(agent_of(request), device, now=timezone.now())
    return render(request, "notifications/devices.html", {"verdict": verdict, **_devices(request, device)})


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


def _devices(request: HttpRequest, device: str) -> dict[str, Any]:
    """All of one's own, and whether this browser is among them."""
    found = list(push.devices_of(agent_of(request)))
    return {"devices": found, "device": device, "is_here": any(one.device == device for one in found)}


def _device(request: HttpRequest) -> str:
    """What this browser is called; empty where push was never on."""
    return request.COOKIES.get(settings.DEVICE_COOKIE_NAME, "")[:32]
