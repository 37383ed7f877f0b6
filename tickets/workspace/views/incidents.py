"""Incidents: the list, one of them with its tickets, one answer to all, and the end of it. Managers change them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import Count, F, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents.models import Agent, AuditEntry
from agents.permissions import agent_of, managers_only
from tickets import bulk
from tickets.access import incidents_for, tickets_for
from tickets.models import Brand, BulkJob, Incident, Ticket
from tickets.models.ticket import UNSOLVED
from tickets.numbers import whole_number
from tickets.variables import VARIABLE

LONGEST_TEXT = 2000  # characters
MOST_LISTED = 100
JOBS = 5  # told on the page


@login_required
@require_safe
def options(request: HttpRequest) -> HttpResponse:
    """What a ticket can be linked to now."""
    known = [
        {"value": str(incident.pk), "label": incident.title, "kind": "plain", "note": incident.brand.name}
        for incident in incidents_for(agent_of(request)).open().select_related("brand").order_by("-id")[:MOST_LISTED]
    ]
    none = {"value": "", "label": _("No incident"), "kind": "plain"}
    return render(request, "workspace/options.html", {"options": [none, *known]})


@login_required
@require_safe
def incident_list(request: HttpRequest) -> HttpResponse:
    """The open ones first, with the tickets that this person sees."""
    agent = agent_of(request)
    known = incidents_for(agent).select_related("brand").order_by(F("resolved_at").desc(nulls_first=True), "-id")
    rows = list(known[:MOST_LISTED])
    counts = _counts(agent, rows)
    return render(
        request,
        "workspace/settings/incidents.html",
        {"rows": [(row, counts.get(row.pk, (0, 0))) for row in rows], "may_change": agent.is_manager},
    )


@login_required
@require_safe
def incident(request: HttpRequest, pk: int) -> HttpResponse:
    agent = agent_of(request)
    found = _found(agent, pk)
    return render(request, "workspace/settings/incident.html", _context(found, agent))


@managers_only
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    agent = agent_of(request)
    brands = Brand.objects.all() if agent.brand_ids is None else Brand.objects.filter(pk__in=agent.brand_ids)
    found = _found(agent, pk) if pk else Incident(opened_by=agent)
    problem = ""
    if request.method == "POST":
        if not found.pk:
            found.brand = get_object_or_404(brands, pk=whole_number(request.POST.get("brand")) or 0)
            found.opened_at = timezone.now()
        problem = _take(found, request)
        if not problem:
            with transaction.atomic():
                found.save()
                AuditEntry.write(
                    "incident_changed" if pk else "incident_opened",
                    actor=agent, target=found, brand_id=found.brand_id,
                    facts={"title": found.title, "en": found.text_en, "ko": found.text_ko},
                )  # fmt: skip
            messages.success(request, _("Saved."))
            return redirect("incident", found.pk)
    context = {"incident": found, "problem": problem, "brands": brands.order_by("name")}
    return render(request, "workspace/settings/incident_edit.html", context, status=422 if problem else 200)


@managers_only
@require_POST
def answers(request: HttpRequest, pk: int) -> HttpResponse:
    """One answer to all linked tickets that are not solved: a job, one row each."""
    agent = agent_of(request)
    found = _found(agent, pk)
    said = {code: request.POST.get(code, "").replace("\r\n", "\n").strip()[:LONGEST_TEXT] for code in ("en", "ko")}
    if not all(said.values()):
        problem = _("Write the text in both languages: customers are answered in theirs.")
        context = {**_context(found, agent), "problem": problem, "said": said}
        return render(request, "workspace/settings/incident.html", context, status=422)
    value = {"incident": found.pk, "solve": "solve" in request.POST, **said}
    bulk.start(agent, "incident_answer", value, _linked(agent, found).values_list("pk", flat=True)[: bulk.MOST])
    messages.success(request, _("The answers are on their way."))
    return redirect("incident", found.pk)


@managers_only
@require_POST
def resolution(request: HttpRequest, pk: int) -> HttpResponse:
    """Resolve it, and with `solve` all its tickets; `reopen` takes the resolution back (the tickets stay)."""
    agent = agent_of(request)
    found = _found(agent, pk)
    reopens = "reopen" in request.POST
    with transaction.atomic():
        changed = Incident.objects.filter(pk=found.pk, resolved_at__isnull=not reopens).update(
            resolved_at=None if reopens else timezone.now(), resolved_by=None if reopens else agent
        )
        if changed:
            kind = "incident_reopened" if reopens else "incident_resolved"
            AuditEntry.write(kind, actor=agent, target=found, brand_id=found.brand_id)
        if changed and not reopens and "solve" in request.POST:
            ids = _linked(agent, found).values_list("pk", flat=True)[: bulk.MOST]
            bulk.start(agent, "status", {"status": Ticket.Status.SOLVED, "incident": found.pk}, ids)
    messages.success(request, _("It is open again.") if reopens else _("Resolved."))
    return redirect("incident", found.pk)


def _found(agent: Agent, pk: int) -> Incident:
    found = incidents_for(agent).select_related("brand", "opened_by", "resolved_by").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _linked(agent: Agent, incident: Incident) -> Any:
    return tickets_for(agent).survivors().unsolved().filter(incident=incident).order_by("pk")


def _counts(agent: Agent, rows: list[Incident]) -> dict[int, tuple[int, int]]:
    """Linked tickets, and how many of them are not solved, of those that this person sees."""
    counted = (
        tickets_for(agent)
        .survivors()
        .filter(incident__in=rows)
        .order_by()
        .values("incident")
        .annotate(n=Count("pk"), unsolved=Count("pk", filter=Q(status__in=UNSOLVED)))
    )
    return {row["incident"]: (row["n"], row["unsolved"]) for row in counted}


def _take(found: Incident, request: HttpRequest) -> str:
    found.title = " ".join(request.POST.get("title", "").split())[:120]
    found.text_en, found.text_ko = (
        request.POST.get(code, "").replace("\r\n", "\n").strip()[:LONGEST_TEXT] for code in ("en", "ko")
    )
    found.shows_banner, found.answers_new = "shows_banner" in request.POST, "answers_new" in request.POST
    if not found.title:
        return _("Give it a name.")
    if (found.shows_banner or found.answers_new) and not (found.text_en and found.text_ko):
        return _("Write the text in both languages: customers are answered in theirs.")
    if places := [place[0] for place in VARIABLE.finditer(found.text_en + found.text_ko)]:
        return _("These variables cannot be used here: %(names)s") % {"names": ", ".join(places)}
    return ""


def _context(found: Incident, agent: Agent) -> dict[str, Any]:
    jobs = BulkJob.objects.filter(agent=agent, value__incident=found.pk, undoes=None).exclude(do="incident")
    total, unsolved = _counts(agent, [found]).get(found.pk, (0, 0))
    told = [(job, bulk.sentence_of(job), bulk.progress_of(job)) for job in jobs.order_by("-id")[:JOBS]]
    return {
        "incident": found,
        "total": total,
        "unsolved": unsolved,
        "tickets": tickets_for(agent).survivors().filter(incident=found).for_rows().latest_first()[:MOST_LISTED],
        "jobs": told,
        "working": any(progress["left"] for _job, _sentence, progress in told),
        "said": {"en": found.text_en, "ko": found.text_ko},
        "may_change": agent.is_manager,
    }
