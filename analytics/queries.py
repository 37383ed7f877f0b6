"""The numbers of the reports, by the definitions of metrics.md. Every function answers for one `Scope`.

Speed numbers go by the day on which the ticket was created, satisfaction by the day of the answer, solves by
the day of the first solve. Days are those of the workspace's time zone. A family counts as one ticket, its
survivor; its creation is the earliest in the family, its first reply the first in the family.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import (
    Aggregate,
    Case,
    Count,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    FloatField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    When,
)
from django.db.models.functions import Coalesce, Extract, Least, TruncDate

from analytics.models import Answer, Survey
from tickets.access import Visibility, tickets_in
from tickets.models import Ticket

SATISFIED = (4, 5)  # 3 is not satisfied (metrics.md 2.4)


@dataclass(frozen=True)
class Scope:
    """What a report is about: whose eyes, from when until when (half open), which channel kind ("" = all)."""

    visibility: Visibility
    since: datetime
    until: datetime
    zone: ZoneInfo
    channel: str = ""

    def before(self) -> Scope:
        """The period of the same length directly before."""
        length = self.until - self.since
        return Scope(self.visibility, self.since - length, self.since, self.zone, self.channel)


class Percentile(Aggregate):
    """percentile_cont over the values of an expression, in seconds."""

    function = "percentile_cont"
    template = "%(function)s(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()
    arity = 1

    def __init__(self, expression: Any, *, fraction: float, **extra: Any) -> None:
        super().__init__(expression, fraction=float(fraction), **extra)


@dataclass(frozen=True)
class Speed:
    """Seconds, calendar time. `waiting` counts the tickets of the cohort that nobody has answered yet."""

    median: float | None
    p90: float | None
    n: int
    waiting: int


@dataclass(frozen=True)
class Satisfaction:
    """`share` of ratings of 4 and 5, with the 95 % Wilson interval while `n` is under 30."""

    share: float | None
    n: int
    sent: int
    answered: int
    low: float | None = None
    high: float | None = None


def created(scope: Scope) -> QuerySet[Any]:
    """The survivors whose family began in the period, with `began_at` and `answered_at` of the family."""
    began = Q(created_at__gte=scope.since, created_at__lt=scope.until)
    # Survivors of those that were merged away are named by id: an OR of two index conditions, and never a scan.
    root = Coalesce("merged_into__merged_into__merged_into", "merged_into__merged_into", "merged_into")
    survivors = list(Ticket.objects.filter(began, merged_into__isnull=False).values_list(root, flat=True).distinct())
    return (
        _seen(scope)
        .filter(merged_into__isnull=True)
        .filter(began | Q(pk__in=survivors) if survivors else began)
        .annotate(
            began_at=_earliest_of_family("created_at"),
            answered_at=_earliest_of_family("first_reply_at"),
        )
        .filter(began_at__gte=scope.since, began_at__lt=scope.until)
    )


def _earliest_of_family(column: str) -> Any:
    """The earliest in a ticket and in those merged into it, three deep; each depth by the index of `merged_into`."""
    depths = ("merged_into", "merged_into__merged_into", "merged_into__merged_into__merged_into")
    members = [
        Subquery(Ticket.objects.filter(**{depth: OuterRef("pk")}).order_by(column).values(column)[:1])
        for depth in depths
    ]
    has_members = Exists(Ticket.objects.filter(merged_into=OuterRef("pk")))
    return Case(When(has_members, then=Least(column, *members)), default=F(column))


def solved(scope: Scope) -> QuerySet[Ticket]:
    """The survivors that were first solved in the period and are not unsolved again."""
    return _seen(scope).filter(
        merged_into__isnull=True,
        first_solved_at__gte=scope.since,
        first_solved_at__lt=scope.until,
        status__in=[Ticket.Status.SOLVED, Ticket.Status.CLOSED],
    )


def unanswered(scope: Scope) -> QuerySet[Ticket]:
    """Of the created ones, those that still wait for their first reply."""
    return created(scope).filter(answered_at__isnull=True, status__in=["new", "open", "pending", "on_hold"])


def answered(scope: Scope) -> QuerySet[Ticket]:
    return created(scope).filter(answered_at__isnull=False)


def rated(scope: Scope) -> QuerySet[Answer]:
    answers = Answer.objects.filter(
        survey__ticket__in=tickets_in(scope.visibility), answered_at__gte=scope.since, answered_at__lt=scope.until
    )
    return answers.filter(survey__ticket__first_channel__kind=scope.channel) if scope.channel else answers


def first_reply_time(scope: Scope) -> Speed:
    """Creation to the first public reply of a person; median and 90th percentile, and how many still wait."""
    seconds = _seconds()
    row = answered(scope).aggregate(
        median=Percentile(seconds, fraction=0.5), p90=Percentile(seconds, fraction=0.9), n=Count("pk")
    )
    return Speed(waiting=unanswered(scope).count(), **row)


def satisfaction(scope: Scope) -> Satisfaction:
    row = rated(scope).aggregate(n=Count("pk"), good=Count("pk", filter=Q(score__in=SATISFIED)))
    sent = Survey.objects.filter(
        ticket__in=tickets_in(scope.visibility), skipped="", sent_at__gte=scope.since, sent_at__lt=scope.until
    )
    if scope.channel:
        sent = sent.filter(ticket__first_channel__kind=scope.channel)
    asked = sent.aggregate(sent=Count("pk"), answered=Count("answer"))
    low, high = wilson(row["good"], row["n"]) if 0 < row["n"] < 30 else (None, None)
    share = row["good"] / row["n"] if row["n"] else None
    return Satisfaction(share=share, n=row["n"], low=low, high=high, **asked)


def by_channel(scope: Scope) -> list[dict[str, Any]]:
    """One row per channel kind: created, solved, first reply, satisfaction. A ticket counts where it began."""
    rows: dict[str, dict[str, Any]] = {}
    median, p90 = Percentile(_seconds(), fraction=0.5), Percentile(_seconds(), fraction=0.9)
    good = Count("pk", filter=Q(score__in=SATISFIED))
    began = F("first_channel__kind")
    parts: list[Any] = [
        created(scope).values(kind=began).annotate(created=Count("pk")).order_by(),
        solved(scope).values(kind=began).annotate(solved=Count("pk")).order_by(),
        answered(scope).values(kind=began).annotate(median=median, p90=p90).order_by(),
        rated(scope)
        .values(kind=F("survey__ticket__first_channel__kind"))
        .annotate(n=Count("pk"), good=good)
        .order_by(),
    ]
    for part in parts:
        for row in part:
            kind = row["kind"] or ""
            rows.setdefault(kind, {"created": 0, "solved": 0, "median": None, "p90": None, "n": 0}).update(
                row, kind=kind
            )
    for found in rows.values():
        if found["n"]:
            found["share"] = found["good"] / found["n"]
    return sorted(rows.values(), key=lambda row: (-row["created"], row["kind"]))


def per_day(scope: Scope) -> list[tuple[datetime, int, int]]:
    """(day, created, solved) for every day of the period, days without any included."""
    made = _count_by_day(created(scope), "began_at", scope)
    done = _count_by_day(solved(scope), "first_solved_at", scope)
    days, day = [], scope.since.astimezone(scope.zone)
    while day < scope.until:
        days.append((day, made.get(day.date(), 0), done.get(day.date(), 0)))
        day += timedelta(days=1)
    return days


def wilson(good: int, n: int, *, z: float = 1.96) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share."""
    share = good / n
    middle = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (middle - spread) / (1 + z * z / n)), min(1.0, (middle + spread) / (1 + z * z / n))


def _seen(scope: Scope) -> QuerySet[Ticket]:
    tickets = tickets_in(scope.visibility)
    return tickets.filter(first_channel__kind=scope.channel) if scope.channel else tickets


def _seconds() -> Any:
    took = ExpressionWrapper(F("answered_at") - F("began_at"), output_field=DurationField())
    return Extract(took, "epoch")


def _count_by_day(tickets: QuerySet[Ticket], moment: str, scope: Scope) -> dict[Any, int]:
    days = tickets.annotate(day=TruncDate(moment, tzinfo=scope.zone)).values("day").annotate(n=Count("pk")).order_by()
    return {row["day"]: row["n"] for row in days}
