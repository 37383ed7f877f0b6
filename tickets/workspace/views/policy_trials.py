"""An SLA policy is tried on the past: what would have been met and missed, beside what was."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from agents.permissions import admins_only, agent_of
from tickets.models import SlaPolicy, SlaTrial, SlaTrialPromise
from tickets.models.sla import SlaMetric
from tickets.numbers import whole_number
from tickets.sla import trial as trying
from tickets.sla.trial import Line, Tally
from tickets.timeline import label_of_metric
from tickets.workspace.answers import wants_fragment
from tickets.workspace.building import said
from tickets.workspace.views import policies

PAGE = 50  # rows
ALL, COVERED = "all", "covered"
_NONE = "none"


@admins_only
@require_POST
def trials(request: HttpRequest) -> HttpResponse:
    """Begin one with the policy as it stands in the form; nothing of it is saved."""
    found = SlaPolicy.objects.filter(pk=whole_number(request.POST.get("policy")) or 0).first() or SlaPolicy()
    targets, problem = policies.fill_in(found, request)
    if problem:
        return policies.form_page(request, found, problem=problem)
    span = request.POST.get("span", "")
    if span not in SlaTrial.Span.values:
        span = SlaTrial.Span.LAST
    begun = trying.begin(found, targets, by=agent_of(request), span=span, now=timezone.now())
    return redirect("policy_trial", begun.pk)


@admins_only
@require_safe
@vary_on_headers("HX-Request")
def trial(request: HttpRequest, trial_id: int) -> HttpResponse:
    """`?scope=all` counts every ticket, not only those that the policy would have covered. `metric`, `was` and `would`
    choose promises, `?list=covered` the tickets; `?after=` continues a list."""
    found = get_object_or_404(SlaTrial, pk=trial_id, agent=agent_of(request))
    scope = ALL if request.GET.get("scope") == ALL else COVERED
    after = whole_number(request.GET.get("after")) or 0
    chosen = {} if request.GET.get("list") == COVERED else _chosen(request)
    listed: QuerySet[Any] | None = None
    if request.GET.get("list") == COVERED:
        listed = found.covered.select_related("ticket", "policy_was")
    elif chosen:
        listed = _promises(found, scope, chosen).select_related("ticket")
    rows = list(listed.filter(pk__gt=after).order_by("pk")[: PAGE + 1]) if listed is not None else []
    query = {"scope": scope, **chosen, **({"list": COVERED} if request.GET.get("list") == COVERED else {})}
    context = {
        "page": "sla",
        "trial": found,
        "name": found.policies[found.tried]["name"],
        "when": said(found.policies[found.tried]["conditions"]),
        "scope": scope,
        "covered": found.covered.count(),
        "lines": [_line(line, scope) for line in trying.result(found, covered_only=scope == COVERED)],
        "list": COVERED if query.get("list") else "promises" if chosen else "",
        "chosen": _said(chosen),
        "rows": rows[:PAGE],
        "more": f"?{urlencode({**query, 'after': rows[PAGE - 1].pk})}" if len(rows) > PAGE else "",
        "itself": f"?{urlencode(query)}",
    }
    name = (
        "workspace/settings/policy_trial_result.html"
        if wants_fragment(request)
        else "workspace/settings/policy_trial.html"
    )
    return render(request, name, context)


def _chosen(request: HttpRequest) -> dict[str, str]:
    allowed = {
        "metric": SlaMetric.values,
        "was": [*SlaTrialPromise.Outcome.values, _NONE],
        "would": [*SlaTrialPromise.Outcome.values, _NONE],
    }
    asked = {name: request.GET.get(name, "") for name in allowed}
    return {name: value for name, value in asked.items() if value in allowed[name]}


def _promises(found: SlaTrial, scope: str, chosen: dict[str, str]) -> QuerySet[SlaTrialPromise]:
    rows = found.promises.filter(**{name: "" if value == _NONE else value for name, value in chosen.items()})
    return rows.filter(covered=True) if scope == COVERED else rows


def _said(chosen: dict[str, str]) -> dict[str, str]:
    labels = dict(SlaTrialPromise.Outcome.choices)
    return {
        name: label_of_metric(value) if name == "metric" else str(labels.get(value, ""))
        for name, value in chosen.items()
    }


def _line(line: Line, scope: str) -> dict[str, Any]:
    def at(**chosen: str) -> str:
        return f"?{urlencode({'scope': scope, 'metric': line.metric, **chosen})}"

    def side(name: str, tally: Tally) -> dict[str, Any]:
        counts = [(outcome, count, at(**{name: outcome})) for outcome, count in tally._asdict().items()]
        return {"attainment": tally.attainment, "counts": counts}

    return {
        "label": label_of_metric(line.metric),
        "was": side("was", line.was),
        "would": side("would", line.would),
        "newly_breached": (line.newly_breached, at(was="met", would="breached")),
        "newly_met": (line.newly_met, at(was="breached", would="met")),
    }
