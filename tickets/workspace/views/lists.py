"""The lists: a page with all panes, the list alone, its next rows; and what is marked on them for this reader."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from agents.models import Agent
from tickets import fragments, live, presence, replies, search
from tickets.access import Visibility, tickets_in, visibility_of
from tickets.models import ReadMark
from tickets.numbers import whole_number
from tickets.workspace import lists, saved
from tickets.workspace.answers import agent_of, wants_fragment
from tickets.workspace.orders import ORDERS

MOST_MARKS = 200
MOST_TEAMS = 30  # shown in the navigation


@login_required
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    return _show(request, lists.STANDARD[0])


@login_required
@require_safe
def view(request: HttpRequest, name: str) -> HttpResponse:
    return _show(request, _list_or_404(name, agent=agent_of(request)))


def _list_or_404(name: str, *, agent: Agent) -> lists.TicketList:
    chosen = lists.list_named(name, agent=agent)
    if chosen is None:
        raise Http404
    return chosen


@login_required
@require_safe
def members(request: HttpRequest, name: str) -> HttpResponse:
    """Which of these tickets a narrowed list holds: `?ids=1,2,3&q=`, for rows that changed. `{"ids": [1, 3]}`"""
    agent = agent_of(request)
    chosen = lists.narrowed(_list_or_404(name, agent=agent), request.GET)
    inside = chosen.tickets(visibility_of(agent), agent=agent, now=timezone.now()).filter(pk__in=_ids(request))
    return JsonResponse({"ids": sorted(inside.values_list("pk", flat=True))})


@vary_on_headers("HX-Request")
def _show(request: HttpRequest, chosen: lists.TicketList) -> HttpResponse:
    agent = agent_of(request)
    chosen = lists.narrowed(chosen, request.GET)
    after = live.newest_id()  # before the rows are read: what commits in between is caught up
    visibility = visibility_of(agent)
    context = list_context(chosen, visibility, agent=agent, before=request.GET.get("before", "")) | {"after": after}
    if request.GET.get("before") and wants_fragment(request):
        return render(request, "workspace/rows.html", context)
    if wants_fragment(request):
        return render(request, "workspace/list.html", context)
    return render(request, "workspace/page.html", context | page_context(chosen, agent=agent) | {"pane": "list"})


def list_context(chosen: lists.TicketList, visibility: Visibility, *, agent: Agent, before: str = "") -> dict[str, Any]:
    now = timezone.now()
    inside = chosen.tickets(visibility, agent=agent, now=now)
    problems = [problem.sentence for problem in chosen.parsed.problems] if chosen.query else []
    try:
        with search.limited() if chosen.query else nullcontext():
            tickets, cursor = lists.page_of(inside, order=chosen.order, before=before)
    except search.TooSlow:
        tickets, cursor = [], ""
        problems.append(_("This query takes too long. Narrow it."))
    return {
        "list": chosen,
        "facts": chosen.facts(),
        "rows": fragments.rows(tickets),
        "more": f"{chosen.path}?{urlencode({**chosen.asked, 'before': cursor})}" if cursor else "",
        "problems": problems,
        "orders": orders_of(chosen),
        "may_edit_view": chosen.view is not None and saved.may_edit(agent, chosen.view),
        "snoozed": _snoozed(chosen, visibility, agent=agent, now=now) if not tickets and not before else None,
    }


def orders_of(chosen: lists.TicketList) -> list[dict[str, Any]]:
    return [
        {
            "name": order.name,
            "label": order.label,
            "url": replace(chosen, chosen=order).url,
            "current": order is chosen.order,
        }
        for order in ORDERS.values()
    ]


def _snoozed(chosen: lists.TicketList, visibility: Visibility, *, agent: Agent, now: datetime) -> dict[str, Any] | None:
    """What sleeps instead of waiting in an empty list: how many, and when the first wakes."""
    if not chosen.is_waiting_work:
        return None
    asleep = replace(chosen, asleep=True).tickets(visibility, agent=agent, now=now).order_by("snoozed_until")
    moments = list(asleep.values_list("snoozed_until", flat=True)[: lists.MOST + 1])
    return {"n": len(moments), "words": lists.in_words(len(moments)), "until": moments[0]} if moments else None


def page_context(chosen: lists.TicketList | None, *, agent: Agent) -> dict[str, Any]:
    """What the frame around the panes shows: the navigation with teams and views."""
    return {
        "section": "inbox",
        "panes_url": reverse("panes"),
        "standard": lists.STANDARD,
        "current": chosen.name if chosen else "",
        "words": words(),
        **nav_context(agent),
    }


def nav_context(agent: Agent) -> dict[str, Any]:
    """The teams whose lists this person may open, and the views that they see, by whom they are for."""
    views = list(saved.views_for(agent)[: saved.MOST])
    keys = {view.pk: number for number, view in saved.with_numbers(views).items()}
    return {
        "team_lists": [lists.team_list(team) for team in saved.teams_for(agent)[:MOST_TEAMS]],
        "saved_views": [{"view": view, "name": f"view-{view.pk}", "key": keys.get(view.pk)} for view in views],
    }


def words() -> dict[str, str]:
    """What the modules of the workspace say by themselves."""
    return {
        "newRows": _("%(n)s new"),
        "newBelow": _("New messages"),
        "viewing": _("%(names)s is here too"),
        "replying": _("%(names)s is writing a reply"),
        "noting": _("%(names)s is writing a note"),
        "customerTyping": _("%(name)s is typing…"),
        "saved": _("Draft saved"),
        "savedHere": _("Draft kept on this device"),
        "gone": _("You can no longer see this ticket."),
        "missing": _("This ticket does not exist, or you may not see it."),
        "unread": _("Marked as unread."),
        "addTag": _("Press Enter to add “%(name)s”"),
        "sending": _("Sending"),
        "leavesSoon": _("Your answer leaves in a moment."),
        "takenBack": _("Taken back: it is a draft again."),
        "toTicket": _("Open the ticket"),
        "wordsWait": _("The words for the customer wait in the composer of that ticket."),
        "notSolved": _("Not solved: your answer has not been sent."),
        "sendingIn": _("Sending in %(n)s s"),
        "hasGone": _("It has been sent already."),
        "unfilled": _("There is a place without a value: %(name)s"),
        "noFile": _("You mention an attachment, but there is no file."),
        "fileFailed": _("A file could not be uploaded: %(name)s"),
        "draftStopped": _("Your reply was not sent: the thread has moved on. It is a draft again."),
        "forwardStopped": _(
            "A message to somebody else was not sent. It is a draft again: “Forward” on its ticket says why."
        ),
        "lastTicket": _("That was the last one in this list."),
        "selected": _("%(n)s selected"),
        "allSelected": _("All %(n)s in this view"),
        "everythingSelected": _("Everything in this view"),
        "bulkGoesOn": _("%(done)s of %(total)s done"),
        "bulkFailed": _("%(done)s done, %(failed)s not"),
        "backFromIdle": _("You were away without a key. From now on you get new tickets again."),
        "playDone": _("Played through: %(n)s done. Nothing is left in this list."),
    }


@login_required
@require_safe
def counts(request: HttpRequest) -> HttpResponse:
    """`{"inbox": "12", "team-3": "1,000+"}`. With `?view=` (and `q=`): of this one list, whichever it is and however narrowed."""
    agent, now = agent_of(request), timezone.now()
    if "view" in request.GET:
        chosen = lists.narrowed(_list_or_404(request.GET["view"], agent=agent), request.GET)
        return JsonResponse(lists.counts_of([chosen], visibility_of(agent), agent=agent, now=now))
    teams = list(saved.teams_for(agent)[:MOST_TEAMS])
    views = lists.view_lists(saved.views_for(agent)[: saved.MOST], teams)
    shown = [*lists.STANDARD, *map(lists.team_list, teams), *views]
    return JsonResponse(lists.counts(shown, visibility_of(agent), agent=agent, now=now))


@login_required
@require_safe
def marks(request: HttpRequest) -> HttpResponse:
    """What the rows on this reader's screen are marked with: `?ids=1,2,3`, at most 200. Rows themselves hold none of it.

    `{"marks": {"7": {"read": 120, "draft": "first words"}}, "people": {"7": [{"id", "name", "doing"}]}}`
    """
    agent = agent_of(request)
    asked = _ids(request)
    ids = set(tickets_in(visibility_of(agent)).filter(pk__in=asked).values_list("pk", flat=True)) if asked else set()
    found: dict[int, dict[str, Any]] = {pk: {} for pk in ids}
    for pk, message_id in ReadMark.objects.filter(agent=agent, ticket__in=ids).values_list("ticket", "message_id"):
        found[pk]["read"] = message_id
    for pk, words in replies.draft_words(agent.pk, ids).items():
        found[pk]["draft"] = words
    people = presence.present(ids, now=timezone.now())
    return JsonResponse(
        {"marks": found, "people": {pk: [person.as_json() for person in there] for pk, there in people.items()}}
    )


def _ids(request: HttpRequest) -> set[int]:
    """`?ids=1,2,3`, at most 200."""
    texts = request.GET.get("ids", "").split(",")[:MOST_MARKS]
    return {number for text in texts if (number := whole_number(text)) is not None}
