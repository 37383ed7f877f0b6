"""What if more people were there? A manager asks, and sees both outcomes beside each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from agents.models import Skill
from agents.permissions import managers_only
from tickets.models import StaffingTrial
from tickets.routing import staffing
from tickets.routing.replay import Outcome
from tickets.templatetags.ui import duration
from tickets.workspace.answers import agent_of, wants_fragment
from tickets.workspace.forms import StaffingForm

SHOWN = 10  # of one's own earlier ones


@managers_only
@require_http_methods(["GET", "POST"])
def trials(request: HttpRequest) -> HttpResponse:
    """The question, and what one asked before; POST begins."""
    agent = agent_of(request)
    form = StaffingForm(request.POST or None, agent=agent)
    if request.method == "POST" and form.is_valid():
        return redirect("staffing_trial", staffing.begin(form.trial(agent, now=timezone.now())).pk)
    earlier = StaffingTrial.objects.filter(agent=agent).select_related("team").order_by("-pk")[:SHOWN]
    context = {"page": "staffing", "form": form, "earlier": earlier}
    return render(request, "workspace/staffing.html", context, status=422 if form.errors else 200)


@managers_only
@require_safe
@never_cache
@vary_on_headers("HX-Request")
def trial(request: HttpRequest, pk: int) -> HttpResponse:
    """How far it is, then both outcomes. As a fragment it asks for itself again until it is through."""
    found = get_object_or_404(StaffingTrial.objects.select_related("team"), pk=pk, agent=agent_of(request))
    outcomes = staffing.outcomes(found)
    skills = Skill.objects.filter(pk__in=found.skill_ids).order_by("name").values_list("name", flat=True)
    context = {
        "page": "staffing",
        "trial": found,
        "skills": ", ".join(skills),
        "nothing_came": outcomes is not None and not (outcomes[0].taken or outcomes[0].left),
        "rows": _rows(*outcomes) if outcomes else [],
    }
    name = "workspace/staffing_result.html" if wants_fragment(request) else "workspace/staffing_trial.html"
    return render(request, name, context)


def _rows(before: Outcome, after: Outcome) -> list[dict[str, Any]]:
    """(what, as it was, with them, whether that is better: yes, no or "")."""
    smaller: list[tuple[str, float | None, float | None, Callable[[Any], str]]] = [
        (_("Wait, median"), before.median, after.median, duration),
        (_("Wait of nine in ten"), before.p90, after.p90, duration),
        (_("Longest wait"), before.longest, after.longest, duration),
        (_("Left without anybody"), before.left, after.left, str),
    ]
    rows = [
        {"label": label, "before": show(was), "after": show(would), "better": _better(was, would)}
        for label, was, would, show in smaller
    ]
    kept, would_keep = before.attainment, after.attainment
    rows.append(
        {
            "label": _("Begun before the first reply was due"),
            "before": _percent(kept),
            "after": _percent(would_keep),
            "better": _better(would_keep, kept),
        }
    )
    return rows


def _better(was: float | None, would: float | None) -> str:
    """Whether the second is the smaller one."""
    if was is None or would is None or was == would:
        return ""
    return "yes" if would < was else "no"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.0f} %"
