"""The verbs of a ticket as addresses. Each answers the changed pieces, and says how to take it back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from agents import presence as attendance
from agents.models import Agent, Team
from tickets import actions, fields, incidents, undoing
from tickets.access import incidents_for, ticket_for, tickets_for
from tickets.models import Event, Message, Tag, Ticket
from tickets.models.event import Actor, by_agent
from tickets.models.ticket import UNSOLVED, tag_name
from tickets.numbers import whole_number
from tickets.templatetags.ui import PRIORITY_WORDS
from tickets.timeline import in_words, labels_of_priority, labels_of_status
from tickets.workspace import snoozing, thread
from tickets.workspace.answers import agent_of, back_to, fragment, refuse, say, undo_url, wants_fragment

Verb = Callable[[Ticket, Actor, datetime], Event | None]


@login_required
@require_POST
def assignee(request: HttpRequest, pk: int) -> HttpResponse:
    """`assignee`: an agent's id, "me", or "" for nobody. The team stays. `reason`: why, for whoever gets it."""
    agent, reason, chosen = agent_of(request), request.POST.get("reason", ""), request.POST.get("assignee", "")
    person = agent if chosen == "me" else _row(Agent.objects.filter(is_active=True), chosen)
    if chosen and person is None:
        return HttpResponse(status=422)
    words = _("Assigned to %(name)s.") % {"name": person.name} if person else _("Nobody is assigned now.")
    return _do(
        request,
        pk,
        words,
        lambda ticket, by, now: actions.assign(
            ticket, assignee=person, team=ticket.team, by=by, now=now, reason=reason
        ),
        shows=thread.assignee_property,
    )


@login_required
@require_POST
def team(request: HttpRequest, pk: int) -> HttpResponse:
    """`team`: a team's id or "". The assignee stays if they are in the team, else routing finds another.

    `reason`: why, for whoever gets it.
    """
    chosen, reason = request.POST.get("team", ""), request.POST.get("reason", "")
    group = _row(Team.objects.all(), chosen)
    if chosen and group is None:
        return HttpResponse(status=422)

    def give(ticket: Ticket, by: Actor, now: datetime) -> Event | None:
        stays = ticket.assignee
        if stays and group and not stays.memberships.filter(team=group).exists():
            stays = None
        return actions.assign(ticket, assignee=stays, team=group, by=by, now=now, reason=reason)

    words = _("Team: %(name)s.") % {"name": group.name} if group else _("No team now.")
    return _do(request, pk, words, give, shows=thread.team_property)


@login_required
@require_POST
def status(request: HttpRequest, pk: int) -> HttpResponse:
    chosen = request.POST.get("status", "")
    if chosen not in UNSOLVED and chosen != Ticket.Status.SOLVED:
        return HttpResponse(status=422)
    words = _("Status: %(status)s.") % {"status": labels_of_status()[chosen]}
    return _do(
        request,
        pk,
        words,
        lambda ticket, by, now: actions.set_status(ticket, chosen, by=by, now=now),
        shows=thread.status_property,
    )


@login_required
def solution(request: HttpRequest, pk: int) -> HttpResponse:
    """POST solves, DELETE reopens."""
    if request.method == "POST":
        return _do(
            request,
            pk,
            _("Solved."),
            lambda ticket, by, now: actions.solve(ticket, by=by, now=now),
            shows=thread.status_property,
        )
    if request.method == "DELETE":
        return _do(
            request,
            pk,
            _("Reopened."),
            lambda ticket, by, now: actions.reopen(ticket, by=by, now=now),
            shows=thread.status_property,
        )
    return HttpResponseNotAllowed(["POST", "DELETE"])


@login_required
@require_POST
def priority(request: HttpRequest, pk: int) -> HttpResponse:
    number = {word: n for n, word in PRIORITY_WORDS.items()}.get(request.POST.get("priority", ""))
    if number is None:
        return HttpResponse(status=422)
    words = _("Priority: %(priority)s.") % {"priority": labels_of_priority()[number]}
    return _do(
        request,
        pk,
        words,
        lambda ticket, by, now: actions.set_priority(ticket, number, by=by, now=now),
        shows=thread.priority_property,
    )


@login_required
@require_POST
def tags(request: HttpRequest, pk: int) -> HttpResponse:
    """`tags`: what is chosen now, `was`: what was shown. Only the difference is applied, so that others' tags stay."""
    chosen, shown = _names(request.POST.get("tags", "")), _names(request.POST.get("was", ""))
    return _do(
        request,
        pk,
        _("Tags changed."),
        lambda ticket, by, now: actions.change_tags(ticket, add=chosen - shown, remove=shown - chosen, by=by, now=now),
        shows=thread.tags_property,
    )


@login_required
@require_POST
def field(request: HttpRequest, pk: int, key: str) -> HttpResponse:
    """`value`: as it was typed or chosen, "" for none. What cannot be kept stays in its place, with the reason."""
    found, value = get_object_or_404(fields.ordered(), key=key), request.POST.get("value", "")
    typed: str | None = None
    problem = ""
    try:
        kept = fields.read(found, value)
        words = (
            f"{found.label}: {in_words(kept)}"
            if kept is not None
            else _("%(field)s: emptied.") % {"field": found.label}
        )
    except fields.Invalid as error:
        typed, problem, words = value[: fields.LONGEST], str(error), ""
    return _do(
        request,
        pk,
        words,
        lambda ticket, by, now: actions.set_fields(ticket, {key: value}, by=by, now=now),
        shows=lambda ticket: thread.field_property(ticket, found, typed=typed, problem=problem),
    )


@login_required
@require_POST
def incident(request: HttpRequest, pk: int) -> HttpResponse:
    """`incident`: an id, or "" for none."""
    chosen = request.POST.get("incident", "")
    found = _row(incidents_for(agent_of(request)), chosen)
    if chosen and found is None:
        return HttpResponse(status=422)
    words = _("Incident: %(title)s.") % {"title": found.title} if found else _("No incident now.")
    return _do(
        request,
        pk,
        words,
        lambda ticket, by, now: incidents.link(ticket, found, by=by, now=now),
        shows=thread.incident_property,
    )


@login_required
def pin(request: HttpRequest, pk: int) -> HttpResponse:
    """POST `note`, its id or "" for the newest: it stands above the thread. DELETE: nothing does."""
    if request.method == "DELETE":
        return _do(request, pk, _("Unpinned."), lambda ticket, by, now: actions.pin(ticket, None, by=by, now=now))
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST", "DELETE"])
    chosen = request.POST.get("note", "")

    def pin_it(ticket: Ticket, by: Actor, now: datetime) -> Event | None:
        notes = Message.objects.filter(ticket__in=ticket.family_ids(), kind=Message.Kind.NOTE, deleted_at__isnull=True)
        note = _row(notes, chosen) if chosen else notes.order_by("-id").first()
        if note is None:
            raise actions.NotAllowed(_("There is no note here that could be pinned."))
        return actions.pin(ticket, note, by=by, now=now)

    return _do(request, pk, _("Pinned for everybody."), pin_it)


@login_required
@require_POST
def subject(request: HttpRequest, pk: int) -> HttpResponse:
    words = request.POST.get("subject", "")
    return _do(
        request, pk, _("Subject changed."), lambda ticket, by, now: actions.set_subject(ticket, words, by=by, now=now)
    )


@login_required
def snooze(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: the times to choose from, `said` in one's own words first. POST `until` (ISO 8601): sleep. DELETE: wake."""
    if request.method == "GET":
        return _snooze_times(request, pk)
    if request.method == "POST":
        until = snoozing.read(request.POST.get("until", ""), ZoneInfo(agent_of(request).time_zone), now=timezone.now())
        if until is None:
            return HttpResponse(status=422)
        return _do(
            request, pk, _("Snoozed."), lambda ticket, by, now: actions.snooze(ticket, until=until, by=by, now=now)
        )
    if request.method == "DELETE":
        return _do(request, pk, _("Awake again."), lambda ticket, by, now: actions.wake(ticket, by=by, now=now))
    return HttpResponseNotAllowed(["GET", "POST", "DELETE"])


def _snooze_times(request: HttpRequest, pk: int) -> HttpResponse:
    agent, now = agent_of(request), timezone.now()
    shown, zone = ticket_for(agent, pk), ZoneInfo(agent.time_zone)
    said = request.GET.get("said", "").strip()
    hours, language = snoozing.hours_of(shown), get_language() or "en"
    times = snoozing.times(said, zone, now=now, hours=hours, language=language)
    asleep = not said and shown.snoozed_until is not None and shown.snoozed_until > now
    return render(request, "workspace/snooze.html", {"times": times, "asleep": asleep})


@login_required
def mark(request: HttpRequest, pk: int) -> HttpResponse:
    """POST `message`: read up to there. DELETE: unread again."""
    agent = agent_of(request)
    shown = ticket_for(agent, pk)
    if request.method == "DELETE":
        actions.mark_unread(shown, agent=agent)
        return HttpResponse(status=204)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST", "DELETE"])
    message_id = whole_number(request.POST.get("message"))
    if message_id is None or not Message.objects.filter(pk=message_id, ticket__in=shown.family_ids()).exists():
        return HttpResponse(status=422)
    actions.mark_read(shown, agent=agent, message_id=message_id, now=timezone.now())
    return HttpResponse(status=204)


@login_required
@require_POST
def undo(request: HttpRequest, pk: int, event_id: int) -> HttpResponse:
    agent = agent_of(request)
    shown = ticket_for(agent, pk)
    event = Event.objects.filter(pk=event_id, ticket=shown).first()
    if event is None:
        return HttpResponse(status=404)
    return _do(
        request, pk, "", lambda ticket, by, now: undoing.undo(ticket, event, agent=agent, now=now), undoable=False
    )


# -- What the menus offer --------------------------------------------------------------------------------------------------------


@login_required
@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """Who can be assigned, with presence and load; oneself first."""
    everyone = Agent.objects.filter(is_active=True, is_bot=False)
    nobody = {"value": "", "label": _("Nobody"), "kind": "plain"}
    options = [nobody, *options_of(everyone, me=agent_of(request))]
    return render(request, "workspace/options.html", {"options": options})


def options_of(agents: QuerySet[Agent], *, me: Agent) -> list[dict[str, Any]]:
    """People as a menu shows them, with presence and load; oneself first, then who is there."""
    now, load = timezone.now(), _load()
    everyone = list(agents.order_by("name", "pk"))
    everyone.sort(key=lambda agent: (agent.pk != me.pk, attendance.shown(agent, now=now) != "online"))
    return [
        {
            "value": str(agent.pk),
            "label": agent.name,
            "kind": "agent",
            "presence": attendance.shown(agent, now=now),
            "note": _("%(n)s of %(capacity)s") % {"n": load.get(agent.pk, 0), "capacity": agent.capacity},
            "me": agent.pk == me.pk,
        }
        for agent in everyone
    ]


def _load() -> dict[int, int]:
    """Open tickets per agent, cached for seconds."""
    known = cache.get("load")
    if known is None:
        counted = (
            Ticket.objects.survivors()
            .filter(status__in=("new", "open"), assignee__isnull=False, snoozed_until__isnull=True)
            .values("assignee")
            .annotate(n=Count("pk"))
            .order_by()
        )
        known = {row["assignee"]: row["n"] for row in counted}
        cache.set("load", known, 10)
    return known


@login_required
@require_safe
def teams(request: HttpRequest) -> HttpResponse:
    known = [
        {"value": str(team.pk), "label": team.name, "kind": "tag", "hue": team.hue}
        for team in Team.objects.order_by("position", "name", "pk")
    ]
    return render(
        request, "workspace/options.html", {"options": [{"value": "", "label": _("No team"), "kind": "plain"}, *known]}
    )


@login_required
@require_safe
def tags_known(request: HttpRequest) -> HttpResponse:
    known = [
        {"value": tag.name, "label": tag.name, "kind": "tag", "hue": tag.hue}
        for tag in Tag.objects.order_by("name")[:500]
    ]
    return render(request, "workspace/options.html", {"options": known})


# -- One way for all verbs ----------------------------------------------------------------------------------------------------------


def _do(
    request: HttpRequest,
    pk: int,
    words: str,
    verb: Verb,
    *,
    shows: Callable[[Ticket], dict[str, Any]] | None = None,
    undoable: bool = True,
) -> HttpResponse:
    """Check sight, do it, answer the property that was posted and the head and the properties that follow from it."""
    agent, now = agent_of(request), timezone.now()
    ticket = ticket_for(agent, pk)
    if not agent.may_reply:  # light agents read and write notes
        return HttpResponse(status=403)
    refused: actions.NotAllowed | None = None
    event = None
    try:
        event = verb(ticket, by_agent(agent), now)
    except actions.NotAllowed as error:
        refused = error
    if not wants_fragment(request):
        return back_to(ticket)
    if not tickets_for(agent).filter(pk=pk).exists():  # given away, out of their own sight
        response = HttpResponse(status=204)
        response["X-Ticket-Gone"] = str(pk)
        say(response, message=words)
        return response
    shown = thread.ticket_on_screen(agent, pk)
    context: dict[str, Any] = {
        "ticket": shown,
        "head": thread.head(shown, now=now),
        "pinned": thread.pinned(shown),
        "property": shows(shown) if shows and request.headers.get("HX-Target", "").startswith("property-") else None,
        "others": [] if shows is None else [one for one in thread.properties(shown) if one["id"] in _FOLLOW],
    }
    response = fragment(request, "workspace/changed.html", context, status=422 if refused else 200)
    if refused and not (context["property"] or {}).get("problem"):  # which says it where it was typed
        refuse(response, refused, ticket=shown, solves=True)
    elif event is not None and words:
        say(response, message=words, undo=undo_url(shown, event) if undoable else "")
    return response


# An assignment opens a new ticket; a team may lose its person, and may want a tag.
_FOLLOW = ("property-assignee", "property-status", "property-tags")


def _row(rows: Any, text: str) -> Any:
    number = whole_number(text)
    return None if number is None else rows.filter(pk=number).first()


def _names(text: str) -> set[str]:
    return set(map(tag_name, text.split(",")[:50])) - {""}
