"""Macros and mentions while one writes: what the insert menu finds, what a macro says on this ticket, applying it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from tickets import actions, deeds, followers, fragments, macros, mentions
from tickets.access import thread_for, ticket_for
from tickets.models import Macro, MacroUse
from tickets.models.event import by_agent
from tickets.numbers import whole_number
from tickets.workspace import thread
from tickets.workspace.answers import agent_of, back_to, refuse, say, undo_url, wants_fragment


@login_required
@require_safe
def menu(request: HttpRequest) -> HttpResponse:
    """All that one may insert, one's favourites first: `{"macros": [{id, title, code, folder, scope, kind, deeds, files}]}`."""
    agent = agent_of(request)
    used = macros.favourites(agent, now=timezone.now())
    known = list(macros.macros_for(agent).prefetch_related("files").order_by("title", "pk")[: macros.MOST])
    known.sort(key=lambda macro: -used.get(macro.pk, 0))
    return JsonResponse({"macros": [_in_menu(macro, done) for macro, done in deeds.say_each(known)]})


def _in_menu(macro: Macro, done: list[str]) -> dict[str, Any]:
    return {
        "id": macro.pk,
        "title": macro.title,
        "code": macro.code,
        "folder": macro.folder,
        "scope": macro.get_scope_display(),
        "kind": macro.kind,
        "deeds": done,
        "files": len(macro.files.all()),
    }


@login_required
@require_safe
def preview(request: HttpRequest, pk: int, macro_id: int) -> HttpResponse:
    """What it says and does on this ticket: `{title, text, unresolved, kind, deeds: [{n, icon, words}], files: [name]}`."""
    agent = agent_of(request)
    ticket = ticket_for(agent, pk)
    macro = macros.macro_for(agent, macro_id)
    shown = macros.preview(macro, ticket, agent=agent, now=timezone.now())
    words = shown.deeds if agent.may_reply else []  # light agents change nothing
    facts = {
        "id": macro.pk,
        "title": macro.title,
        "text": shown.text,
        "unresolved": shown.unresolved,
        "kind": macro.kind,
        "deeds": [
            {"n": n, "icon": deeds.ICONS[deed["do"]], "words": said}
            for n, (deed, said) in enumerate(zip(macro.deeds, words, strict=False))
        ],
        "files": [file.name for file in shown.files],
    }
    return JsonResponse(facts)


@login_required
@require_POST
def files(request: HttpRequest, pk: int, macro_id: int) -> HttpResponse:
    """The macro's files as unsent uploads of one's own: chips for the tray."""
    agent = agent_of(request)
    ticket_for(agent, pk)
    made = macros.files_for_use(macros.macro_for(agent, macro_id), agent=agent)
    facts = [fragments.file_facts(one, remove_url=reverse("upload", args=[one.pk])) for one in made]
    return render(request, "workspace/uploads.html", {"files": facts}, status=201)


@login_required
@require_POST
def uses(request: HttpRequest, pk: int) -> HttpResponse:
    """Apply without an answer: `macro`, the numbers of the `deed`s that were kept, `client_uuid`. 422 when one does not fit."""
    agent, now = agent_of(request), timezone.now()
    ticket = thread_for(agent, pk)
    if not agent.may_reply:
        return HttpResponse(status=403)
    then = chosen(request)
    try:
        client_uuid = UUID(request.POST.get("client_uuid", ""))
    except ValueError:
        return HttpResponse(status=422)
    if not then.get("deeds"):
        return HttpResponse(status=422)
    try:
        use = macros.apply(ticket, then, agent=agent, client_uuid=client_uuid, now=now)
    except actions.NotAllowed as problem:
        response = HttpResponse(status=422)
        refuse(response, problem, ticket=ticket)
        return response
    if not wants_fragment(request):
        return back_to(ticket)
    response = HttpResponse(status=201)
    say_applied(response, use)
    return response


@login_required
@require_POST
def use_undo(request: HttpRequest, use_id: int) -> HttpResponse:
    """Take back all that one use did."""
    agent = agent_of(request)
    use = get_object_or_404(MacroUse, pk=use_id, agent=agent)
    ticket = ticket_for(agent, use.ticket_id)
    response = HttpResponse(status=204)
    try:
        macros.undo(use, agent=agent, now=timezone.now())
    except actions.NotAllowed as problem:
        response = HttpResponse(status=422)
        say(response, message=str(problem), kind="error")
    return response if wants_fragment(request) else back_to(ticket)


def chosen(request: HttpRequest) -> macros.Then:
    """The macro that goes along with what is posted, and those of its deeds that were kept."""
    kept = [number for text in request.POST.getlist("deed") if (number := whole_number(text)) is not None]
    return macros.chosen(agent_of(request), whole_number(request.POST.get("macro")), kept)


def say_applied(response: HttpResponse, use: MacroUse | None) -> None:
    """What a macro has just done, with one way to take it all back. Nothing where nothing changed."""
    if use is None or not use.event_ids:
        return
    words = _("Macro applied: %(title)s. %(changes)s.") % {
        "title": use.macro.title,
        "changes": ngettext("%(n)s change", "%(n)s changes", len(use.event_ids)) % {"n": len(use.event_ids)},
    }
    say(response, message=words, undo=reverse("macro_use_undo", args=[use.pk]))


def use_of(client_uuid: UUID) -> MacroUse | None:
    return MacroUse.objects.select_related("macro").filter(client_uuid=client_uuid).first()


# -- People -----------------------------------------------------------------------------------------------------------


@login_required
@require_safe
def nameable(request: HttpRequest, pk: int) -> HttpResponse:
    """Whom a note on this ticket may name: `{"people": [{handle, name, kind, note}]}`."""
    agent = agent_of(request)
    named = mentions.nameable(thread_for(agent, pk))
    people = [
        {
            "handle": one.handle,
            "kind": "team" if one.team else "agent",
            "note": _("Team") if one.team else one.agent.get_role_display() if one.agent else "",
        }
        for one in named
        if one.agent is None or one.agent.pk != agent.pk
    ]
    return JsonResponse({"people": people})


@login_required
def follower(request: HttpRequest, pk: int) -> HttpResponse:
    """POST: I follow this ticket. DELETE: I do no longer. Answers the line of the followers."""
    agent, now = agent_of(request), timezone.now()
    ticket = ticket_for(agent, pk)
    if request.method == "POST":
        event = followers.follow(ticket, [agent], by=by_agent(agent), now=now)
        words = _("You follow this ticket.")
    elif request.method == "DELETE":
        event = followers.unfollow(ticket, [agent], by=by_agent(agent), now=now)
        words = _("You no longer follow this ticket.")
    else:
        return HttpResponseNotAllowed(["POST", "DELETE"])
    if not wants_fragment(request):
        return back_to(ticket)
    context = {"ticket": ticket, "followers": thread.followers(thread.ticket_on_screen(agent, pk))}
    response = render(request, "workspace/followers.html", context)
    if event:
        say(response, message=words, undo=undo_url(ticket, event))
    return response
