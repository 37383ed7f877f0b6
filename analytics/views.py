"""The managers' report, the tickets behind each number, and the customer's survey page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from agents.models import Agent, Calendar
from analytics import queries, surveys
from analytics.models import Survey
from analytics.queries import Scope
from tickets.access import tickets_in, visibility_of
from tickets.models import Ticket
from tickets.numbers import whole_number
from tickets.templatetags.ui import channel_name

PERIODS = {"today": 1, "7d": 7, "30d": 30, "90d": 90}  # days, the present one included
ROWS = 50


@login_required
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """Volume, first reply and satisfaction of a period, compared with the one before; by channel and by day."""
    scope, period = _scope(request)
    before = scope.before()
    made, done = queries.created(scope).count(), queries.solved(scope).count()
    made_before, done_before = queries.created(before).count(), queries.solved(before).count()
    speed, speed_before = queries.first_reply_time(scope), queries.first_reply_time(before)
    csat, csat_before = queries.satisfaction(scope), queries.satisfaction(before)
    days = queries.per_day(scope)
    return render(
        request,
        "analytics/overview.html",
        {
            "page": "overview",
            "period": period,
            "periods": _period_tabs(request, period),
            "channels": _channel_tabs(request, scope.channel),
            "since": scope.since.astimezone(scope.zone),
            "until": scope.until.astimezone(scope.zone),
            "zone": scope.zone.key,
            "made": made,
            "made_change": _change(made, made_before),
            "done": done,
            "done_change": _change(done, done_before, good_up=True),
            "speed": speed,
            "median_change": _change(speed.median, speed_before.median, good_up=False),
            "p90_change": _change(speed.p90, speed_before.p90, good_up=False),
            "csat": csat,
            "csat_percent": _percent(csat.share),
            "csat_interval": _interval(csat),
            "csat_change": _change(csat.share, csat_before.share, good_up=True),
            "links": {metric: _link(request, metric) for metric in METRICS},
            "day_labels": [day.strftime("%m-%d") for day, _made, _done in days],
            "day_lines": [(_("Created"), [n for _d, n, _s in days]), (_("Solved"), [n for _d, _c, n in days])],
            "by_channel": [_row_of_channel(request, row) for row in queries.by_channel(scope)],
        },
    )


def _created(scope: Scope) -> QuerySet[Ticket]:
    return queries.created(scope)


def _rated(scope: Scope) -> QuerySet[Ticket]:
    return tickets_in(scope.visibility).filter(pk__in=queries.rated(scope).values("survey__ticket"))


METRICS = {
    "created": _created,
    "solved": queries.solved,
    "answered": queries.answered,
    "waiting": queries.unanswered,
    "rated": _rated,
}


@login_required
@require_GET
def drill(request: HttpRequest, metric: str) -> HttpResponse:
    """The tickets behind a number: the same scope, the same definition, newest first, by keyset."""
    if metric not in METRICS:
        raise Http404
    scope, period = _scope(request)
    found = METRICS[metric](scope)
    total = found.count()
    if (before := whole_number(request.GET.get("before"))) is not None:
        found = found.filter(pk__lt=before)
    tickets = list(found.select_related("customer", "assignee", "first_channel").order_by("-pk")[: ROWS + 1])
    for ticket in tickets:
        replied = ticket.first_reply_at
        ticket.took = (replied - ticket.created_at).total_seconds() if replied else None  # type: ignore[attr-defined]
    more = tickets[ROWS - 1].pk if len(tickets) > ROWS else None
    return render(
        request,
        "analytics/drill.html",
        {
            "page": "overview",
            "heading": _heading_of(metric),
            "total": total,
            "tickets": tickets[:ROWS],
            "more": f"?{urlencode({**_asked(request), 'before': str(more)})}" if more else "",
            "back": f"/reports/?{urlencode({'period': period, 'channel': scope.channel})}",
            "since": scope.since.astimezone(scope.zone),
            "until": scope.until.astimezone(scope.zone),
        },
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def survey(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind a survey's link. GET shows, with a score preselected by `?score=`; only POST stores."""
    asked = Survey.objects.select_related("ticket__brand", "agent").filter(token=token, skipped="").first()
    if asked is None:
        raise Http404
    with translation.override(asked.ticket.answer_language):
        return _survey(request, asked)


def _survey(request: HttpRequest, asked: Survey) -> HttpResponse:
    now, problem = timezone.now(), ""
    over = asked.expires_at <= now
    if request.method == "POST" and not over:
        score = request.POST.get("score", "")
        if score not in ("1", "2", "3", "4", "5"):
            problem = _("Choose one of the five.")
        elif surveys.answer(asked.token, score=int(score), comment=request.POST.get("comment", ""), now=now):
            return redirect(f"{request.path}?thanks=1")
        else:
            over = True
    given = getattr(asked, "answer", None)
    chosen = request.POST.get("score") or request.GET.get("score") or (str(given.score) if given else "")
    words = [_("Very bad"), _("Bad"), _("So-so"), _("Good"), _("Very good")]
    response = render(
        request,
        "analytics/survey.html",
        {
            "asked": asked,
            "over": over,
            "thanks": "thanks" in request.GET and given is not None,
            "problem": problem,
            "scores": [(str(n), words[n - 1], str(n) == chosen) for n in range(1, 6)],
            "comment": request.POST.get("comment", given.comment if given else ""),
        },
        status=422 if problem else 410 if over else 200,
    )
    # The token is in the address, so no other site may learn it; "no-referrer" would also hide the origin of our own form.
    response["Referrer-Policy"] = "same-origin"
    response["X-Robots-Tag"] = "noindex"
    return response


def _agent_of(request: HttpRequest) -> Agent:
    agent = request.user
    if not isinstance(agent, Agent) or not agent.is_manager:
        raise PermissionDenied
    return agent


def _scope(request: HttpRequest) -> tuple[Scope, str]:
    """The scope that the address asks for. Unknown values fall back to the last 30 days over all channels."""
    agent = _agent_of(request)
    calendar = Calendar.objects.filter(is_default=True).first()
    zone = ZoneInfo(calendar.time_zone if calendar else "UTC")
    period = request.GET.get("period", "")
    if period not in PERIODS:
        period = "30d"
    today = datetime.combine(timezone.now().astimezone(zone).date(), datetime.min.time(), zone)
    channel = request.GET.get("channel", "")
    scope = Scope(
        visibility=visibility_of(agent),
        since=today - timedelta(days=PERIODS[period] - 1),
        until=today + timedelta(days=1),
        zone=zone,
        channel=channel if channel in settings.CHANNEL_ADAPTERS else "",
    )
    return scope, period


def _period_tabs(request: HttpRequest, current: str) -> list[dict[str, Any]]:
    names = {"today": _("Today"), "7d": _("7 days"), "30d": _("30 days"), "90d": _("90 days")}
    return [{"text": names[key], "url": _here(request, period=key), "current": key == current} for key in PERIODS]


def _channel_tabs(request: HttpRequest, current: str) -> list[dict[str, Any]]:
    kinds = ["", *settings.CHANNEL_ADAPTERS]
    return [
        {
            "text": channel_name(kind) if kind else _("All channels"),
            "url": _here(request, channel=kind),
            "current": kind == current,
        }
        for kind in kinds
    ]


def _asked(request: HttpRequest) -> dict[str, str]:
    return {key: str(request.GET[key]) for key in ("period", "channel") if key in request.GET}


def _here(request: HttpRequest, **change: str) -> str:
    wanted = {**_asked(request), **change}
    return f"/reports/?{urlencode({key: value for key, value in wanted.items() if value})}"


def _link(request: HttpRequest, metric: str, **change: str) -> str:
    return _here(request, **change).replace("/reports/", f"/reports/tickets/{metric}/", 1)


def _row_of_channel(request: HttpRequest, row: dict[str, Any]) -> dict[str, Any]:
    """With the tickets behind each of its numbers. What came by no channel has no report of its own to lead to."""
    links = {metric: _link(request, metric, channel=row["kind"]) for metric in METRICS} if row["kind"] else {}
    return row | {"percent": _percent(row.get("share")), "links": links}


def _heading_of(metric: str) -> str:
    return {
        "created": _("Tickets created"),
        "solved": _("Tickets solved"),
        "answered": _("Tickets with a first reply"),
        "waiting": _("Tickets still waiting for a first reply"),
        "rated": _("Tickets with a rating"),
    }[metric]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.0f}"


def _interval(csat: queries.Satisfaction) -> str:
    if csat.low is None or csat.high is None:
        return ""
    return f"{csat.low * 100:.0f}–{csat.high * 100:.0f} %"


def _change(now: float | None, before: float | None, *, good_up: bool | None = None) -> dict[str, Any]:
    """How much it moved against the period before, in percent, and whether that is good."""
    if not now or not before:
        return {}
    percent = (now - before) / before * 100
    up = percent >= 0
    tone = "" if good_up is None or abs(percent) < 1 else "ok" if up == good_up else "bad"
    return {"text": f"{abs(percent):.0f} %", "up": up, "tone": tone}
