"""A rule, or a set of them, is tried on the past, and what would have become of each ticket."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from agents.permissions import admins_only, agent_of
from tickets import conditions
from tickets.models import Rule, RuleTrial, RuleTrialRow, Ticket
from tickets.numbers import whole_number
from tickets.routing import rules, shadows, versions
from tickets.routing import trial as trying
from tickets.workspace.answers import wants_fragment
from tickets.workspace.building import said
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
    begun = trying.begin(found, by=agent_of(request), days=_days(request), now=timezone.now())
    return redirect("rule_trial", begun.pk)


def _days(request: HttpRequest) -> int | None:
    return trying.DAYS if request.POST.get("past") == "days" else None


@admins_only
@require_http_methods(["GET", "HEAD", "POST"])
def rule_set(request: HttpRequest) -> HttpResponse:
    """All rules of a kind, in the order and switched on as they are put here: tried, and not saved. `?from=` begins with
    what that trial tried."""
    when = request.POST.get("when") or request.GET.get("when") or Rule.When.CREATED
    if when not in trying.TRIED:
        raise Http404
    ordered = list(Rule.objects.filter(when=when).order_by("position", "id"))
    if request.method == "POST":
        wanted = [pk for text in request.POST.getlist("rule") if (pk := whole_number(text)) is not None]
        _arrange(ordered, wanted, on={whole_number(text) or 0 for text in request.POST.getlist("on")})
        begun = trying.begin_set(ordered, by=agent_of(request), days=_days(request), now=timezone.now())
        return redirect("rule_trial", begun.pk)
    former = RuleTrial.objects.filter(
        pk=whole_number(request.GET.get("from")) or 0, agent=agent_of(request), tried__isnull=True
    ).first()
    if former and former.rules and former.rules[0]["when"] == when:
        kept = former.rules
        _arrange(ordered, [one["id"] for one in kept], on={one["id"] for one in kept if one["active"]})
    names = rules.Names()
    with conditions.reading_once():
        rows = [(one, said(one.conditions), [rules.describe(do, names) for do in one.actions]) for one in ordered]
    context = {
        "page": "rules",
        "rows": rows,
        "when": when,
        "whens": [(kind, Rule.When(kind).label) for kind in trying.TRIED],
    }
    return render(request, "workspace/settings/rule_set.html", context)


def _arrange(ordered: list[Rule], wanted: list[int], *, on: set[int]) -> None:
    """In the wanted order; what it does not name, because it is new, keeps its switch and comes last."""
    places = {pk: place for place, pk in enumerate(wanted)}
    ordered.sort(key=lambda one: places.get(one.pk, len(places)))
    for one in ordered:
        if one.pk in places:
            one.active = one.pk in on


@admins_only
@require_POST
def rule_set_adoption(request: HttpRequest, trial_id: int) -> HttpResponse:
    """The order and the switches that were tried become real, as far as their rules are still there."""
    found = get_object_or_404(RuleTrial, pk=trial_id, agent=agent_of(request), tried__isnull=True)
    versions.adopt(trying.rules_of(found), by=agent_of(request), now=timezone.now())
    messages.success(request, _("The rules are in this order now."))
    return redirect("rules")


@admins_only
@require_safe
@vary_on_headers("HX-Request")
def trial(request: HttpRequest, trial_id: int) -> HttpResponse:
    """`?before=` continues the list after that ticket; `?all=1` lists what did not match too."""
    found = get_object_or_404(RuleTrial.objects.select_related("rule"), pk=trial_id, agent=agent_of(request))
    trying.see(found, now=timezone.now())
    ordered = trying.rules_of(found)
    tried = ordered[found.tried] if found.tried is not None else None
    shown = found.rows.filter(matched__isnull=False).select_related(
        "ticket", "team_was", "team_would", "agent_was", "agent_would"
    )
    if not request.GET.get("all"):
        shown = shown.filter(matched=True)
    if before := whole_number(request.GET.get("before")):
        shown = shown.filter(ticket__lt=before)
    rows = list(shown.order_by("-ticket")[: PAGE + 1])
    leaves = [said(leaf) for leaf in trying.leaves_of(tried.conditions)] if tried else [one.name for one in ordered]
    context = {
        "page": "rules",
        "trial": found,
        "name": tried.name if tried else _("All rules"),
        "of_set": tried is None,
        "when": said(tried.conditions) if tried else "",
        "rules": [] if tried else _of_rules(found, ordered),
        "result": trying.result(found),
        "rows": [_row(row, leaves) for row in rows[:PAGE]],
        "more": rows[PAGE - 1].ticket_id if len(rows) > PAGE else None,
        "all": bool(request.GET.get("all")),
        "draft": found.rule if found.rule and not found.rule.active and not trying.is_untried(found.rule) else None,
    }
    name = "workspace/settings/trial_result.html" if wants_fragment(request) else "workspace/settings/trial.html"
    return render(request, name, context)


def _of_rules(found: RuleTrial, ordered: list[Rule]) -> list[dict[str, Any]]:
    return [
        {"rule": rule, "count": count, "shadow": shadows.shadow_of(ordered, n)}
        for n, (rule, count) in enumerate(zip(ordered, trying.counts(found), strict=True))
    ]


def _row(row: RuleTrialRow, leaves: list[str]) -> dict[str, Any]:
    return {
        "ticket": row.ticket,
        "matched": row.matched,
        "conditions": list(zip(leaves, row.held or [], strict=False)),
        "team": (row.team_was, row.team_would) if row.team_would and row.team_was_id != row.team_would_id else None,
        "agent": (row.agent_was, row.agent_would) if row.agent_would else None,
        "priority": _priorities(row) if row.priority_was != row.priority_would else None,
    }


def _priorities(row: RuleTrialRow) -> list[str]:
    labels = dict(Ticket.Priority.choices)
    return [str(labels.get(value or 0, "")) for value in (row.priority_was, row.priority_would)]
