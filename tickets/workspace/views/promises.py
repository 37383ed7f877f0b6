"""What is promised to the customer of a ticket: the dialog in which it is made, and what becomes of it in the side pane."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo, available_timezones

from babel.dates import get_timezone_name
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone, translation
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Agent
from agents.permissions import admins_only, people_for
from tickets import actions, promises
from tickets.access import ticket_for
from tickets.models import Event, Promise, Ticket
from tickets.models.event import by_agent
from tickets.numbers import whole_number
from tickets.workspace import snoozing, thread
from tickets.workspace.answers import agent_of, back_to, fragment, refuse, say, undo_url, wants_fragment
from tickets.workspace.views.properties import options_of


@login_required
@require_http_methods(["GET", "POST"])
def promises_of(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: inside of the dialog. POST `text`, `due` (in one's own words) or `until` (ISO 8601), `owner`: promise it, 201;
    or 422 with what is wrong with it. `tell`: the browser is given the words for the customer. What comes again with its
    `client_uuid` is promised once, and answered as it was."""
    agent, now = agent_of(request), timezone.now()
    ticket = ticket_for(agent, pk)
    if not agent.may_reply:
        return render(request, "workspace/promise.html", {"ticket": ticket})
    if request.method == "GET":
        return _dialog(request, ticket)
    due_at, said = _due(request, ticket, now=now), request.POST.get("client_uuid")
    try:
        if due_at is None:
            raise actions.NotAllowed(_("Write a time in the future, such as “tomorrow 9am”."))
        event = promises.make(
            ticket,
            text=request.POST.get("text", ""),
            due_at=due_at,
            owner=_owner(request, agent),
            by=by_agent(agent),
            now=now,
            client_uuid=UUID(said) if said else None,
        )
    except actions.NotAllowed as problem:
        return _dialog(request, ticket, problem=str(problem))
    except ValueError:
        return HttpResponse(status=422)
    if not wants_fragment(request):
        return back_to(ticket)
    words = _words_when_made(ticket, event, agent, now=now) if request.POST.get("tell") else ""
    response = _section(request, ticket, status=201, oob=True)
    response["HX-Reswap"] = "none"
    return _done(response, ticket, event, _("Promised."), words)


@login_required
@require_safe
def times(request: HttpRequest, pk: int) -> HttpResponse:
    """The moments to choose from: the one that `due` means, else those that are called so."""
    agent = agent_of(request)
    ticket = ticket_for(agent, pk)
    offered = _times(ticket, agent, request.GET.get("due", ""), now=timezone.now())
    return render(request, "workspace/promise_times.html", {"times": offered, "said": bool(request.GET.get("due"))})


@login_required
@require_safe
def owners(request: HttpRequest, pk: int) -> HttpResponse:
    """Who can take a promise over."""
    agent = agent_of(request)
    people = promises.owners_for(ticket_for(agent, pk))
    return render(request, "workspace/options.html", {"options": options_of(people, me=agent)})


@login_required
@require_POST
def owner(request: HttpRequest, pk: int, promise_pk: int) -> HttpResponse:
    """`owner`: the id of whoever has to keep it from now on."""
    agent = agent_of(request)
    ticket, promise = _find(agent, pk, promise_pk)
    chosen = Agent.objects.filter(pk=whole_number(request.POST.get("owner")) or 0).first()
    if not agent.may_reply:
        return HttpResponse(status=403)
    if chosen is None:
        return HttpResponse(status=422)
    problem, event = None, None
    try:
        event = promises.hand_over(promise, chosen, by=by_agent(agent), now=timezone.now())
    except actions.NotAllowed as refused:
        problem = refused
    if not wants_fragment(request):
        return back_to(ticket)
    promise.refresh_from_db()
    context = {"property": thread.promise_owner_property(ticket, promise)}
    response = fragment(request, "components/property.html", context, status=422 if problem else 200)
    if problem:
        refuse(response, problem, ticket=ticket)
    elif event:
        words = _("%(name)s has to keep it now.") % {"name": chosen.name}
        say(response, message=words, undo=undo_url(ticket, event))
    return response


@login_required
@require_POST
def fulfilment(request: HttpRequest, pk: int, promise_pk: int) -> HttpResponse:
    """It was kept. `tell`: the browser is given the words for the customer."""
    return _end(request, pk, promise_pk, verb=promises.keep, said=_("Promise kept."), words=_words_when_kept)


@login_required
@require_POST
def withdrawal(request: HttpRequest, pk: int, promise_pk: int) -> HttpResponse:
    return _end(request, pk, promise_pk, verb=promises.withdraw, said=_("Promise withdrawn."))


@admins_only
@require_POST
def handover(request: HttpRequest, agent_id: int) -> HttpResponse:
    """All that somebody promised goes to `owner`. What they may not own stays, and why is said."""
    by, now = agent_of(request), timezone.now()
    former = get_object_or_404(people_for(by), pk=agent_id)
    chosen = people_for(by).filter(pk=whole_number(request.POST.get("owner")) or 0).first()
    if chosen is None:
        messages.error(request, _("Choose who keeps them."))
        return redirect("person", agent_id=former.pk)
    handed, stayed = 0, Counter[str]()
    for promise in promises.owed_by(former, seen_by=by):
        try:
            handed += promises.hand_over(promise, chosen, by=by_agent(by), now=now) is not None
        except actions.NotAllowed as problem:
            stayed[str(problem)] += 1
    words = ngettext("%(n)s promise was handed to %(name)s.", "%(n)s promises were handed to %(name)s.", handed)
    messages.success(request, words % {"n": handed, "name": chosen.name})
    for why, n in stayed.items():
        messages.warning(request, ngettext("%(n)s stays: %(why)s", "%(n)s stay: %(why)s", n) % {"n": n, "why": why})
    return redirect("person", agent_id=former.pk)


def _end(
    request: HttpRequest,
    pk: int,
    promise_pk: int,
    *,
    verb: Callable[..., Event],
    said: str,
    words: Callable[[Ticket, Promise], str] | None = None,
) -> HttpResponse:
    agent = agent_of(request)
    ticket, promise = _find(agent, pk, promise_pk)
    if not agent.may_reply:
        return HttpResponse(status=403)
    problem, event = None, None
    try:
        event = verb(promise, by=by_agent(agent), now=timezone.now())
    except actions.NotAllowed as refused:
        problem = refused
    if not wants_fragment(request):
        return back_to(ticket)
    response = _section(request, ticket, status=422 if problem else 200)
    if problem:
        refuse(response, problem, ticket=ticket)
        return response
    return _done(response, ticket, event, said, words(ticket, promise) if words and request.POST.get("tell") else "")


def _find(agent: Agent, pk: int, promise_pk: int) -> tuple[Ticket, Promise]:
    """The ticket and what was promised on it. Raises Http404."""
    ticket = ticket_for(agent, pk)
    promise = Promise.objects.select_related("owner", "clock").filter(pk=promise_pk, clock__ticket=ticket).first()
    if promise is None:
        raise Http404
    return ticket, promise


# -- What is shown ------------------------------------------------------------------------------------------------------


def _dialog(request: HttpRequest, ticket: Ticket, *, problem: str = "") -> HttpResponse:
    agent = agent_of(request)
    written = {name: request.POST.get(name, "") for name in ("text", "due", "until", "owner", "tell", "client_uuid")}
    owners = options_of(promises.owners_for(ticket), me=agent)
    if written["owner"] not in {one["value"] for one in owners}:
        written["owner"] = str(agent.pk)
    context: dict[str, Any] = {
        "ticket": ticket,
        "may_reply": True,
        "written": written | {"client_uuid": written["client_uuid"] or uuid4()},
        "owners": owners,
        "times": _times(ticket, agent, written["due"], now=timezone.now()),
        "said": bool(written["due"]),
        "problem": problem,
    }
    return render(request, "workspace/promise.html", context, status=422 if problem else 200)


def _times(ticket: Ticket, agent: Agent, said: str, *, now: datetime) -> list[dict[str, Any]]:
    hours, language = snoozing.hours_of(ticket), get_language() or "en"
    return snoozing.times(said.strip(), ZoneInfo(agent.time_zone), now=now, hours=hours, language=language)


def _due(request: HttpRequest, ticket: Ticket, *, now: datetime) -> datetime | None:
    """The moment that was chosen. What was typed counts before what was chosen earlier."""
    agent, said = agent_of(request), request.POST.get("due", "").strip()
    chosen = snoozing.read(request.POST.get("until", ""), ZoneInfo(agent.time_zone), now=now)
    if not said:
        return chosen
    meant = [one["until"] for one in _times(ticket, agent, said, now=now)]
    return chosen if chosen in meant else next(iter(meant), None)


def _owner(request: HttpRequest, agent: Agent) -> Agent:
    """Who has to keep it: oneself where nobody is named. Raises ValueError for somebody whom there is not."""
    said = request.POST.get("owner")
    owner = Agent.objects.filter(pk=whole_number(said) or 0).first() if said else agent
    if owner is None:
        raise ValueError("nobody has this id")
    return owner


def _section(request: HttpRequest, ticket: Ticket, *, status: int, oob: bool = False) -> HttpResponse:
    shown = thread.ticket_on_screen(agent_of(request), ticket.pk)
    context = {"ticket": shown, "promises": thread.promises(shown), "oob": oob}
    return render(request, "workspace/promises.html", context, status=status)


def _done(response: HttpResponse, ticket: Ticket, event: Event | None, said: str, words: str) -> HttpResponse:
    """A toast that takes it back; and the browser puts `words` into the composer, where they can be read before they go."""
    toast = {"message": said, "undo": undo_url(ticket, event)}
    response["HX-Trigger"] = json.dumps({"toast": toast, "promise:done": {"ticket": ticket.pk, "words": words}})
    return response


# -- What the customer may be told --------------------------------------------------------------------------------------


def _words_when_made(ticket: Ticket, event: Event, agent: Agent, *, now: datetime) -> str:
    due_at = datetime.fromisoformat(event.particulars["due_at"])
    with translation.override(ticket.answer_language):
        due = _due_for_customer(ticket, due_at, agent, now=now)
        return _("We will do this for you by %(due)s: %(text)s") % {"due": due, "text": event.particulars["text"]}


def _due_for_customer(ticket: Ticket, due_at: datetime, agent: Agent, *, now: datetime) -> str:
    """By their clock, or by the agent's where theirs is not known. Which clock it is goes without saying where both are
    known to show the same."""
    ours, name = ZoneInfo(agent.time_zone), ticket.customer.time_zone
    theirs = ZoneInfo(name) if name in available_timezones() else None
    here = due_at.astimezone(theirs or ours)
    words = snoozing.in_words(due_at, theirs or ours, now=now)
    if theirs and here.utcoffset() == due_at.astimezone(ours).utcoffset():
        return words
    # Translators: a moment and the name of the time zone in which it is said: Mon 30 Nov 09:00 (Korean Standard Time)
    return _("%(time)s (%(zone)s)") % {"time": words, "zone": get_timezone_name(here, locale=get_language())}


def _words_when_kept(ticket: Ticket, promise: Promise) -> str:
    with translation.override(ticket.answer_language):
        return _("We have done what we promised you: %(text)s") % {"text": promise.text}
