"""Settings screens of the SLA policies: a matrix priority x promise, and what it means for a message of Friday evening."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents import hours
from agents.hours import Hours, NeverOpens
from agents.models import AuditEntry, Calendar
from agents.permissions import admins_only, agent_of
from tickets import conditions
from tickets.models import SlaPolicy, SlaTarget, SlaTrial, Ticket
from tickets.models.sla import WAITING_STATUSES, SlaMetric
from tickets.sla import clocks, trial
from tickets.workspace import building, ordering
from tickets.workspace.building import whole_number

LONGEST = 60 * 24 * 90  # minutes
TEN_BEFORE_CLOSING = timedelta(minutes=10)
Cells = dict[tuple[int, str], int]  # (priority, metric) -> minutes


class Typed(NamedTuple):
    """The matrix of a posted form; time of `round_the_clock` metrics counts at night too."""

    cells: Cells
    round_the_clock: frozenset[str]

    @property
    def targets(self) -> trial.Targets:
        return {
            (metric, priority): (minutes * 60, metric not in self.round_the_clock)
            for (priority, metric), minutes in self.cells.items()
        }


@admins_only
@require_GET
def policy_list(request: HttpRequest) -> HttpResponse:
    return render(request, "workspace/settings/policies.html", _listed())


def _listed() -> dict[str, Any]:
    policies = SlaPolicy.objects.select_related("calendar").prefetch_related("targets").order_by("position", "id")
    rows = [
        {"policy": policy, "when": building.said(policy.conditions), "matrix": _matrix(policy)} for policy in policies
    ]
    return {"page": "sla", "rows": rows, "metrics": SlaMetric.choices}


@admins_only
@require_POST
def order(request: HttpRequest) -> HttpResponse:
    """All policies in the posted `order`, as one step: the first that fits a ticket applies."""
    posted = request.POST.get("order", "")
    fits = ordering.reorder(SlaPolicy.objects.all(), posted, kind="sla_policies_ordered", by=agent_of(request))
    return render(request, "workspace/settings/policy_rows.html", _listed(), status=200 if fits else 409)


@admins_only
@require_http_methods(["GET", "POST"])
def policy(request: HttpRequest, policy_id: int | None = None) -> HttpResponse:
    """In minutes. An empty cell promises nothing. Editing makes a new version, and running clocks keep theirs."""
    found = get_object_or_404(SlaPolicy, pk=policy_id) if policy_id else _new()
    problem, typed = "", None
    if request.method == "POST":
        typed, problem = fill_in(found, request)
        if not problem:
            _save(request, found, typed, is_new=policy_id is None)
            messages.success(request, _("Saved. Running clocks keep what they were started with."))
            return redirect("policy", found.pk)
    return form_page(request, found, typed=typed, problem=problem)


def form_page(request: HttpRequest, found: SlaPolicy, *, typed: Typed | None = None, problem: str = "") -> HttpResponse:
    context = {
        "page": "sla",
        "policy": found,
        "problem": problem,
        "matrix": _matrix(found, typed=typed),
        "metrics": SlaMetric.choices,
        "counted": _counted(found, typed),
        "froms": SlaPolicy.From.choices,
        "spans": SlaTrial.Span.choices,
        "calendars": Calendar.objects.order_by("name"),
        "warn": request.POST.get("warn", ", ".join(str(percent) for percent in found.warn_percents)),
        "pauses": [(status, Ticket.Status(status).label, status in found.pauses_in) for status in WAITING_STATUSES],
        "builder": building.of_request(request, found.conditions),
        "outdated": clocks.outdated(found) if found.pk else 0,
    }
    return render(request, "workspace/settings/policy.html", context, status=422 if problem else 200)


@admins_only
@require_GET
def example(request: HttpRequest) -> HttpResponse:
    """What the matrix that is being typed means for a message that comes ten minutes before the week ends."""
    calendar = Calendar.objects.filter(pk=whole_number(request.GET.get("calendar")) or 0).first()
    calendar = calendar or Calendar.objects.filter(is_default=True).first()
    round_the_clock = SlaMetric.FIRST_REPLY in _round_the_clock(request.GET)
    try:
        cells = _posted_cells(request.GET)
    except conditions.Invalid as error:
        return render(request, "workspace/settings/policy_example.html", {"problem": error.problem})
    sentences = [
        sentence
        for priority, metric in sorted(cells, reverse=True)
        if metric == SlaMetric.FIRST_REPLY
        if (sentence := _example(calendar, priority, cells[priority, metric], round_the_clock=round_the_clock))
    ]
    return render(request, "workspace/settings/policy_example.html", {"sentences": sentences})


@admins_only
@require_POST
def application(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Running clocks follow the policy as it is now."""
    found = get_object_or_404(SlaPolicy, pk=policy_id)
    changed = 0
    while count := clocks.apply_version(found, now=timezone.now()):
        changed += count
    AuditEntry.write(
        "sla_policy_applied", actor=agent_of(request), target=found, facts={"version": found.version, "clocks": changed}
    )
    messages.success(request, _("Running clocks that follow the new version: %(count)s") % {"count": changed})
    return redirect("policy", found.pk)


def fill_in(found: SlaPolicy, request: HttpRequest) -> tuple[Typed, str]:
    """Take over what the form says. Returns the matrix, and what is wrong with it in the reader's language, or ""."""
    posted, cells, problem = request.POST, Cells(), ""
    found.name = posted.get("name", "").strip()[:120]
    found.active = "active" in posted
    found.calendar = Calendar.objects.filter(pk=whole_number(posted.get("calendar")) or 0).first()
    if posted.get("first-reply-from") in SlaPolicy.From.values:
        found.first_reply_from = posted["first-reply-from"]
    found.pauses_in = [status for status in WAITING_STATUSES if status in posted.getlist("pauses")]
    try:
        cells = _posted_cells(posted)
        if not found.name:
            raise conditions.Invalid(_("Give it a name."))
        found.conditions = building.posted_tree(request)
        conditions.validate(found.conditions)
        found.warn_percents = _posted_percents(posted.get("warn", ""))
    except conditions.Invalid as error:
        problem = error.problem
    return Typed(cells, _round_the_clock(posted)), problem


def _new() -> SlaPolicy:
    return SlaPolicy(warn_percents=[75], pauses_in=list(WAITING_STATUSES))


def _matrix(found: SlaPolicy, *, typed: Typed | None = None) -> list[dict[str, Any]]:
    stored = {(t.priority, t.metric): t.seconds // 60 for t in found.targets.all()} if found.pk else {}
    minutes = typed.cells if typed and typed.cells else stored
    return [
        {
            "priority": priority,
            "label": label,
            "cells": [
                {
                    "name": f"cell-{priority}-{metric}",
                    "label": metric_label,
                    "minutes": minutes.get((priority, metric)),
                    "seconds": minutes.get((priority, metric), 0) * 60,
                }
                for metric, metric_label in SlaMetric.choices
            ],
        }
        for priority, label in reversed(Ticket.Priority.choices)
    ]


def _counted(found: SlaPolicy, typed: Typed | None) -> list[tuple[str, str, bool]]:
    """Each metric, and whether its time counts round the clock."""
    chosen = typed.round_the_clock if typed else frozenset[str]()
    if typed is None and found.pk:
        chosen = frozenset(target.metric for target in found.targets.all() if not target.business)
    return [(metric, str(label), metric in chosen) for metric, label in SlaMetric.choices]


def _round_the_clock(posted: QueryDict) -> frozenset[str]:
    return frozenset(metric for metric in SlaMetric.values if posted.get(f"counts-{metric}") == "always")


def _posted_cells(posted: Any) -> Cells:
    """Raises conditions.Invalid for what is no number of minutes."""
    cells = {}
    for priority in Ticket.Priority.values:
        for metric in SlaMetric.values:
            text = posted.get(f"cell-{priority}-{metric}", "").strip()
            if not text:
                continue
            if not 0 < (whole_number(text) or 0) <= LONGEST:
                raise conditions.Invalid(_("Write promises in whole minutes, at most 90 days."))
            cells[priority, metric] = int(text)
    return cells


def _posted_percents(text: str) -> list[int]:
    """Raises conditions.Invalid."""
    numbers = [whole_number(word) for word in text.replace(",", " ").split()]
    percents = sorted({number for number in numbers if number is not None})
    if None in numbers:
        raise conditions.Invalid(_("Write warnings as percentages, like 50, 75."))
    if any(not 0 < percent < 100 for percent in percents):
        raise conditions.Invalid(_("A warning comes between 1 and 99 percent."))
    return percents


def _example(calendar: Calendar | None, priority: int, minutes: int, *, round_the_clock: bool) -> str:
    open_hours = calendar.hours() if calendar else hours.ALWAYS
    try:
        comes = _late_in_the_week(open_hours)
        due = hours.add(hours.ALWAYS if round_the_clock else open_hours, comes, minutes * 60)
    except NeverOpens:
        return ""
    return _("A message of priority %(priority)s on %(comes)s is due %(due)s.") % {
        "priority": Ticket.Priority(priority).label,
        "comes": _moment(comes, open_hours),
        "due": _moment(due, open_hours),
    }


def _late_in_the_week(open_hours: Hours) -> datetime:
    """Ten minutes before the last closing of the coming seven days that a long break follows. Raises NeverOpens."""
    start = hours.next_opening(open_hours, timezone.now())
    spans = list(open_hours.spans(start, start + timedelta(days=8)))
    breaks = [(later.starts_at - span.ends_at, span.ends_at) for span, later in pairwise(spans)]
    return max(breaks, default=(timedelta(0), spans[-1].ends_at))[1] - TEN_BEFORE_CLOSING


def _moment(at: datetime, open_hours: Hours) -> str:
    local = at.astimezone(open_hours.zone)
    return f"{date_format(local, 'D')} {local:%H:%M}"


@transaction.atomic
def _save(request: HttpRequest, found: SlaPolicy, typed: Typed, *, is_new: bool) -> None:
    if is_new:
        last = SlaPolicy.objects.order_by("-position").values_list("position", flat=True).first() or 0
        found.position = last + 1
    else:
        found.version += 1
    found.save()
    found.targets.all().delete()
    SlaTarget.objects.bulk_create(
        SlaTarget(policy=found, priority=priority, metric=metric, seconds=seconds, business=business)
        for (metric, priority), (seconds, business) in typed.targets.items()
    )
    minutes = {f"{p}:{m}": n for (p, m), n in typed.cells.items()}
    facts = {
        "name": found.name,
        "version": found.version,
        "minutes": minutes,
        "round_the_clock": sorted(typed.round_the_clock),
    }
    AuditEntry.write("sla_policy_changed", actor=agent_of(request), target=found, facts=facts)
