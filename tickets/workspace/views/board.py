"""The live board: who waits, who is at work with how much, and all of somebody's work moved at once."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from agents import presence
from agents.models import Agent, Team
from agents.permissions import managers_only
from tickets import board as boards
from tickets import bulk, live
from tickets.access import Visibility, visibility_of
from tickets.workspace import lists
from tickets.workspace.answers import agent_of, wants_fragment
from tickets.workspace.views.bulk import facts_of

KEPT = 2  # seconds: however many watch, one rendering for those with equal rights and one language


@managers_only
@require_safe
@never_cache
@vary_on_headers("HX-Request")
def board(request: HttpRequest) -> HttpResponse:
    """The page; as a fragment what it shows now, at most KEPT seconds old. `data-after` is the newest event in it."""
    visibility = visibility_of(agent_of(request))
    if wants_fragment(request):
        return HttpResponse(_rendered(visibility))
    context = {"page": "board", "words": _words(), **_context(visibility)}
    return render(request, "workspace/board.html", context)


@managers_only
@require_http_methods(["GET", "POST"])
def work(request: HttpRequest, pk: int) -> HttpResponse:
    """GET the form that asks where all of somebody's work should go; POST `to=agent-3` or `to=team-2` begins the job.

    202 as for any job on many tickets; 422 `{"words"}`.
    """
    agent = agent_of(request)
    visibility = visibility_of(agent)
    person = boards.people_in(visibility).filter(pk=pk).first()
    if person is None:
        raise Http404
    moving = boards.work_of(person, visibility)
    if request.method == "GET":
        return render(
            request, "workspace/board_move.html", {"person": person, "n": moving.count(), **_places(visibility, person)}
        )
    kind, _dash, number = request.POST.get("to", "").partition("-")
    do = {"agent": "assign", "team": "queue"}.get(kind, "")
    try:
        if not number.isdigit():  # "" and "me" mean somebody to a verb
            raise bulk.Invalid
        value = bulk.value_of(do, number, agent=agent, now=timezone.now())
    except bulk.Invalid:
        return JsonResponse({"words": _("Choose a person or a team.")}, status=422)
    ids = list(moving.values_list("pk", flat=True)[: bulk.MOST])
    if not ids:
        return JsonResponse({"words": _("There is nothing left to move.")}, status=422)
    return JsonResponse(facts_of(bulk.start(agent, do, value, ids)), status=202)


def _rendered(visibility: Visibility) -> str:
    key = f"board:{lists.sight_of(visibility)}:{translation.get_language()}"
    known: str | None = cache.get(key)
    if known is None:
        known = str(render_to_string("workspace/board_content.html", _context(visibility)))
        cache.set(key, known, KEPT)
    return known


def _context(visibility: Visibility) -> dict[str, Any]:
    """No viewer state: the fragment is the same for all with these rights."""
    after = live.newest_id()  # before the numbers are read
    now = timezone.now()
    read = boards.read(visibility, now=now)
    longest = (now - read.total.oldest).total_seconds() if read.total.oldest else None
    return {"after": after, "longest": longest, "board": read}


def _places(visibility: Visibility, person: Agent) -> dict[str, Any]:
    now = timezone.now()
    others = boards.people_in(visibility).exclude(pk=person.pk).exclude(role=Agent.Role.LIGHT).order_by("name", "pk")
    people = [(other, presence.shown(other, now=now)) for other in others]
    people.sort(key=lambda one: one[1] != Agent.Presence.ONLINE)
    return {"people": people, "teams": Team.objects.order_by("position", "name", "pk")}


def _words() -> dict[str, str]:
    return {
        "bulkGoesOn": _("%(done)s of %(total)s done"),
        "bulkFailed": _("%(done)s done, %(failed)s not"),
    }
