"""A rule is tried on the past, and what would have become of each ticket."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from agents.permissions import admins_only, agent_of
from tickets import conditions
from tickets.models import Rule, RuleTrial, RuleTrialRow, Ticket
from tickets.routing import trial as trying
from tickets.workspace.answers import wants_fragment
from tickets.workspace.building import said, whole_number
from tickets.workspace.views.rules import fill_in

PAGE = 50  # tickets


@admins_only
@require_POST
def trials(request: HttpRequest) -> HttpResponse:
    """Begin one with the rule as it stands in the form; nothing of it is saved."""
    found = Rule.objects.filter(pk=whole_number(request.POST.get("rule")) or 0).first() or Rule()
    problem = fill_in(found, request)
    if not problem and found.when not in trying.TRIED:
        problem = _("Only rules for what customers write can be tried on the past.")
    if problem:
        messages.error(request, problem)
        return redirect("rule", found.pk) if found.pk else redirect("rule_new")
    begun = trying.begin(found, by=agent_of(request), now=timezone.now())
    return redirect("rule_trial", begun.pk)


@admins_only
@require_safe
@vary_on_headers("HX-Request")
def trial(request: HttpRequest, trial_id: int) -> HttpResponse:
    """`?before=` continues the list after that ticket; `?all=1` lists what did not match too."""
    found = get_object_or_404(RuleTrial, pk=trial_id, agent=agent_of(request))
    tried = found.rules[found.tried]
    shown = found.rows.filter(matched__isnull=False).select_related("ticket", "team_was", "team_would")
    if not request.GET.get("all"):
        shown = shown.filter(matched=True)
    if before := whole_number(request.GET.get("before")):
        shown = shown.filter(ticket__lt=before)
    rows = list(shown.order_by("-ticket")[: PAGE + 1])
    leaves = [said(leaf) for leaf in trying.leaves_of(tried["conditions"])]
    context = {
        "page": "rules",
        "trial": found,
        "name": tried["name"],
        "when": conditions.sentence(tried["conditions"]),
        "result": trying.result(found),
        "rows": [_row(row, leaves) for row in rows[:PAGE]],
        "more": rows[PAGE - 1].ticket_id if len(rows) > PAGE else None,
        "all": bool(request.GET.get("all")),
    }
    name = "workspace/settings/trial_result.html" if wants_fragment(request) else "workspace/settings/trial.html"
    return render(request, name, context)


def _row(row: RuleTrialRow, leaves: list[str]) -> dict[str, Any]:
    return {
        "ticket": row.ticket,
        "matched": row.matched,
        "conditions": list(zip(leaves, row.held or [], strict=False)),
        "team": (row.team_was, row.team_would) if row.team_would and row.team_was_id != row.team_would_id else None,
        "priority": _priorities(row) if row.priority_was != row.priority_would else None,
    }


def _priorities(row: RuleTrialRow) -> list[str]:
    labels = dict(Ticket.Priority.choices)
    return [str(labels.get(value or 0, "")) for value in (row.priority_was, row.priority_would)]
