"""Deeds on many tickets: one request makes a job; its progress, its errors, and the one undo for all of it."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from agents.models import Agent
from tickets import actions, bulk, deeds, macros, search
from tickets.access import tickets_in, visibility_of
from tickets.models import BulkJob
from tickets.workspace import lists, snoozing
from tickets.workspace.answers import agent_of

MOST_CHOSEN = 1000  # tickets named one by one


@login_required
@require_POST
def jobs(request: HttpRequest) -> HttpResponse:
    """`do` and `value` (and `reason`, where they are handed on), on `ids=1,2,3` or with `everything=1` on the list that the address names (`?view=mine&q=`).

    202 `{"job", "total", ..., "words", "undo"}`; 422 `{"words"}` when it cannot be done; 403 for light agents.
    """
    agent, now = agent_of(request), timezone.now()
    if not agent.may_reply:
        return HttpResponse(status=403)
    do = request.POST.get("do", "")
    try:
        value = bulk.value_of(
            do, request.POST.get("value", ""), agent=agent, now=now, reason=request.POST.get("reason", "").strip()
        )
    except bulk.Invalid as problem:
        return JsonResponse({"words": str(problem)}, status=422)
    try:
        chosen = _chosen(request, agent)
    except search.TooSlow:
        return JsonResponse({"words": _("This query takes too long. Narrow it.")}, status=422)
    return JsonResponse(facts_of(bulk.start(agent, do, value, chosen)), status=202)


@login_required
@require_safe
def job(request: HttpRequest, pk: int) -> HttpResponse:
    """How far it is; the socket says the same."""
    return JsonResponse(bulk.progress_of(_job_or_404(request, pk)))


@login_required
@require_safe
def errors(request: HttpRequest, pk: int) -> HttpResponse:
    found = _job_or_404(request, pk)
    rows = bulk.errors_of(found)
    failed = bulk.progress_of(found)["failed"]
    return render(request, "workspace/bulk_errors.html", {"rows": rows, "more": failed - len(rows)})


@login_required
@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        back = bulk.undo(_job_or_404(request, pk), agent=agent_of(request), now=timezone.now())
    except actions.NotAllowed as problem:
        return JsonResponse({"words": str(problem)}, status=422)
    return JsonResponse(facts_of(back), status=202)


@login_required
@require_safe
def snooze_times(request: HttpRequest) -> HttpResponse:
    """When the selected tickets may wake, by everybody's business hours: `said` in one's own words first."""
    zone, said = ZoneInfo(agent_of(request).time_zone), request.GET.get("said", "").strip()
    hours, language = snoozing.hours_of(None), get_language() or "en"
    times = snoozing.times(said, zone, now=timezone.now(), hours=hours, language=language)
    return render(request, "workspace/snooze.html", {"times": times})


@login_required
@require_safe
def macro_options(request: HttpRequest) -> HttpResponse:
    """The macros that do something besides answering."""
    known = macros.macros_for(agent_of(request)).exclude(deeds=[]).order_by("title", "pk")[: macros.MOST]
    options = [
        {"value": str(macro.pk), "label": macro.title, "kind": "plain", "note": " · ".join(done)}
        for macro, done in deeds.say_each(known)
    ]
    return render(request, "workspace/options.html", {"options": options})


def _chosen(request: HttpRequest, agent: Agent) -> list[int]:
    """Ids of the tickets that are meant, of those that this person sees, in the order of the list."""
    sight, now = visibility_of(agent), timezone.now()
    if not request.POST.get("everything"):
        named = [pk for pk in request.POST.get("ids", "").split(",")[:MOST_CHOSEN] if pk.isascii() and pk.isdigit()]
        seen = tickets_in(sight).filter(pk__in=[int(pk) for pk in named if len(pk) < 19])
        return list(seen.order_by("pk").values_list("pk", flat=True))
    named_list = lists.list_named(request.GET.get("view", "inbox"), agent=agent)
    if named_list is None:
        raise Http404
    chosen = lists.narrowed(named_list, request.GET)
    inside = chosen.order.apply(chosen.tickets(sight, agent=agent, now=now)).values_list("pk", flat=True)
    with search.limited():
        return list(inside[: bulk.MOST + 1])


def _job_or_404(request: HttpRequest, pk: int) -> BulkJob:
    found = BulkJob.objects.filter(pk=pk, agent=agent_of(request)).first()
    if found is None:
        raise Http404
    return found


def facts_of(started: BulkJob) -> dict[str, Any]:
    """What the browser follows a job with."""
    return {
        **bulk.progress_of(started),
        "words": bulk.sentence_of(started),
        "url": reverse("bulk_job", args=[started.pk]),
        "undo_url": "" if started.undoes_id else reverse("bulk_undo", args=[started.pk]),
    }
