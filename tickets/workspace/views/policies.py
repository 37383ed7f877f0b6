"""Settings screens of the SLA policies: a matrix priority x promise, and what it means for a message of Friday evening."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.contrib import messages
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
from tickets.models import SlaPolicy, SlaTrial, Ticket
from tickets.models.sla import WAITING_STATUSES, SlaMetric
from tickets.numbers import whole_number
from tickets.sla import clocks, versions
from tickets.sla.versions import Targets
from tickets.workspace import building, ordering
from tickets.workspace.views import restoring

LONGEST = 60 * 24 * 90  # minutes
SPAN = re.compile(r"\s*(?:(\d{1,4})\s*(?:h|hours?|시간))?\s*(?:(\d{1,6})\s*(?:m|min|minutes?|분)?)?\s*", re.IGNORECASE)
TEN_BEFORE_CLOSING = timedelta(minutes=10)


@admins_only
@require_GET
def policy_list(request: HttpRequest) -> HttpResponse:
    return render(request, "workspace/settings/policies.html", _listed())


@conditions.reading_once()
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
    """An empty cell promises nothing. Editing makes a new version, and running clocks keep theirs."""
    found = get_object_or_404(SlaPolicy, pk=policy_id) if policy_id else _new()
    problem = ""
    if request.method == "POST":
        targets, problem = fill_in(found, request)
        if not problem:
            versions.save(found, targets, by=agent_of(request), now=timezone.now())
            messages.success(request, _("Saved. Running clocks keep what they were started with."))
            return redirect("policy", found.pk)
    return form_page(request, found, problem=problem)


def form_page(request: HttpRequest, found: SlaPolicy, *, problem: str = "") -> HttpResponse:
    """The policy, or what was posted of it and is wrong."""
    context = {
        "page": "sla",
        "policy": found,
        "problem": problem,
        "matrix": _matrix(found, posted=request.POST),
        "metrics": SlaMetric.choices,
        "froms": SlaPolicy.From.choices,
        "spans": SlaTrial.Span.choices,
        "calendars": Calendar.objects.order_by("name"),
        "warn": request.POST.get("warn", ", ".join(str(percent) for percent in found.warn_percents)),
        "pauses": [(status, Ticket.Status(status).label, status in found.pauses_in) for status in WAITING_STATUSES],
        "builder": building.of_request(request, found.conditions),
        "outdated": clocks.outdated(found) if found.pk else 0,
        "history": versions.history(found) if found.pk else [],
    }
    return render(request, "workspace/settings/policy.html", context, status=422 if problem else 200)


@admins_only
@require_GET
def example(request: HttpRequest) -> HttpResponse:
    """What the matrix that is being typed means for a message that comes ten minutes before the week ends."""
    calendar = Calendar.objects.filter(pk=whole_number(request.GET.get("calendar")) or 0).first()
    calendar = calendar or Calendar.objects.filter(is_default=True).first()
    try:
        targets = _posted_targets(request.GET)
    except conditions.Invalid as error:
        return render(request, "workspace/settings/policy_example.html", {"problem": error.problem})
    priorities = sorted({priority for _metric, priority in targets}, reverse=True)
    try:
        sentences = [_example(calendar, priority, targets) for priority in priorities]
    except NeverOpens:
        sentences = [_("These business hours never open: nothing that counts in them is ever due.")]
    return render(request, "workspace/settings/policy_example.html", {"sentences": sentences})


@admins_only
@require_POST
def version(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Restore the posted `version`: it comes back as a new one, and running clocks keep theirs."""
    restoring.bring_back(request, get_object_or_404(SlaPolicy, pk=policy_id).versions, versions.restore)
    return redirect("policy", policy_id)


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


def fill_in(found: SlaPolicy, request: HttpRequest) -> tuple[Targets, str]:
    """Take over what the form says. Returns the matrix, and what is wrong with it in the reader's language, or ""."""
    posted, targets, problem = request.POST, Targets(), ""
    found.name = posted.get("name", "").strip()[:120]
    found.active = "active" in posted
    found.calendar = Calendar.objects.filter(pk=whole_number(posted.get("calendar")) or 0).first()
    if posted.get("first-reply-from") in SlaPolicy.From.values:
        found.first_reply_from = posted["first-reply-from"]
    found.pauses_in = [status for status in WAITING_STATUSES if status in posted.getlist("pauses")]
    try:
        targets = _posted_targets(posted)
        if not found.name:
            raise conditions.Invalid(_("Give it a name."))
        found.conditions = building.posted_tree(request)
        conditions.validate(found.conditions)
        found.warn_percents = _posted_percents(posted.get("warn", ""))
    except conditions.Invalid as error:
        problem = error.problem
    return targets, problem


def _new() -> SlaPolicy:
    return SlaPolicy(warn_percents=[75], pauses_in=list(WAITING_STATUSES))


def _matrix(found: SlaPolicy, *, posted: QueryDict | None = None) -> list[dict[str, Any]]:
    targets = versions.targets_of(found) if found.pk else {}

    def cell(metric: str, label: str, priority: int) -> dict[str, Any]:
        seconds, business = targets.get((metric, priority), (0, True))
        place = f"{priority}-{metric}"
        return {
            "place": place,
            "label": label,
            "seconds": seconds,
            "words": posted.get(f"cell-{place}", "") if posted else _in_words(seconds),
            "round_the_clock": f"always-{place}" in posted if posted else not business,
        }

    return [
        {
            "priority": priority,
            "label": label,
            "cells": [cell(metric, str(metric_label), priority) for metric, metric_label in SlaMetric.choices],
        }
        for priority, label in reversed(Ticket.Priority.choices)
    ]


def _in_words(seconds: int) -> str:
    """As it can be typed: "45m", "4h", "1h 30m"; "" for none."""
    whole, minutes = divmod(seconds // 60, 60)
    parts = [_("%(hours)dh") % {"hours": whole}] if whole else []
    return " ".join([*parts, _("%(minutes)dm") % {"minutes": minutes}] if minutes else parts)


def _minutes_of(text: str) -> int | None:
    """ "1h 30m", "1시간 30분", "90m" or just "90" as minutes; None for anything else."""
    match = SPAN.fullmatch(text)
    return 60 * int(match[1] or 0) + int(match[2] or 0) if match else None


def _posted_targets(posted: Any) -> Targets:
    """Raises conditions.Invalid for what is no span of time."""
    targets = Targets()
    for priority in Ticket.Priority.values:
        for metric in SlaMetric.values:
            place = f"{priority}-{metric}"
            text = posted.get(f"cell-{place}", "").strip()
            if not text:
                continue
            minutes = _minutes_of(text) or 0
            if not 0 < minutes <= LONGEST:
                problem = _("“%(text)s” is no promise. Write 30m, 4h or 1h 30m, at most 2160h.")
                raise conditions.Invalid(problem % {"text": text[:40]})
            targets[metric, priority] = (minutes * 60, f"always-{place}" not in posted)
    return targets


def _posted_percents(text: str) -> list[int]:
    """Raises conditions.Invalid."""
    numbers = [whole_number(word) for word in text.replace(",", " ").split()]
    percents = sorted({number for number in numbers if number is not None})
    if None in numbers:
        raise conditions.Invalid(_("Write warnings as percentages, like 50, 75."))
    if any(not 0 < percent < 100 for percent in percents):
        raise conditions.Invalid(_("A warning comes between 1 and 99 percent."))
    return percents


def _example(calendar: Calendar | None, priority: int, targets: Targets) -> str:
    """What is promised at this priority to a message that comes late in the week. Raises NeverOpens."""
    open_hours = calendar.hours() if calendar else hours.ALWAYS
    comes = _late_in_the_week(open_hours)
    promises = []
    for metric in SlaMetric:
        if target := targets.get((metric, priority)):
            seconds, business = target
            due = hours.add(open_hours if business else hours.ALWAYS, comes, seconds)
            promises.append(_("%(promise)s due %(due)s") % {"promise": metric.label, "due": _moment(due, open_hours)})
    return _("A message of priority %(priority)s on %(comes)s: %(promises)s.") % {
        "priority": Ticket.Priority(priority).label,
        "comes": _moment(comes, open_hours),
        "promises": ", ".join(promises),
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
