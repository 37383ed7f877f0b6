"""The demo as an agent meets it on the first morning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from agents.models import Agent
from helpdesk.demo import load as demo
from tickets import conditions, promises
from tickets.access import visibility_of
from tickets.models import Notification, Outbox, RoutingDecision, Rule, RuleRun, SavedView, SlaTarget, Ticket
from tickets.routing import again, rules
from tickets.routing.trial import is_untried
from tickets.workspace import lists

pytestmark = pytest.mark.django_db


def test_the_demo_is_as_it_is_on_the_first_morning() -> None:
    """Loaded once: it takes as long as a whole day takes."""
    demo.load()
    (settings.DATA_DIR / demo.LOGINS).unlink(missing_ok=True)
    the_past_is_there_and_is_no_news()
    it_shows_what_one_would_look_for()
    routing_explain_tells_every_decision_of_the_day_exactly_as_it_was_stored()
    whoever_decides_anew_from_what_is_stored_decides_the_same()


def the_past_is_there_and_is_no_news() -> None:
    assert Ticket.objects.count() >= 50
    assert Notification.objects.exists()
    assert not Notification.objects.filter(read_at__isnull=True).exists()
    assert not Outbox.objects.filter(kind__startswith="notification").exists()


def it_shows_what_one_would_look_for() -> None:
    """A list with columns of its own, a ticket that sleeps, one that wants a tag, and what rules and promises can say."""
    now = timezone.now()
    grace = Agent.objects.get(email="manager@moa.example")
    shown = lists.list_named(f"view-{SavedView.objects.get().pk}", agent=grace)
    assert shown and shown.hidden and not shown.parsed.problems
    assert shown.tickets(visibility_of(grace), agent=grace, now=now).count() >= 2
    assert Ticket.objects.get(snoozed_until__gt=now).is_unsolved
    assert any(ticket.lacks_tag for ticket in Ticket.objects.filter(team__needs_tag=True, assignee__isnull=False))
    soon, later = promises.open_promises()
    assert now < soon.clock.due_at < now + timedelta(hours=1) < later.clock.due_at and soon.clock.breached_at is None
    draft = Rule.objects.get(active=False)
    assert is_untried(draft)
    for rule in Rule.objects.all():
        rules.validate(rule)
    assert Ticket.objects.filter(rule_runs__acted=True, priority=Ticket.Priority.HIGH, tags__name="재촉").exists()
    urgent = SlaTarget.objects.filter(priority=Ticket.Priority.URGENT, metric="first_reply")
    assert not urgent.get().business and SlaTarget.objects.filter(metric="first_reply", business=True).exists()


# -- Every decision of the day ------------------------------------------------------------------------------------------

REASONS = {
    "offline": "offline", "away": "away", "busy": "busy", "off_shift": "outside their shift",
    "at_capacity": "has as many as they may",
}  # fmt: skip
MARKS = {
    "knows_customer": "answered this customer last", "helps_out": "of the overflow team",
    "had_it": "had it and did not take it",
}  # fmt: skip


def routing_explain_tells_every_decision_of_the_day_exactly_as_it_was_stored() -> None:
    told = 0
    for ticket in Ticket.objects.order_by("id"):
        decided = RoutingDecision.objects.filter(ticket=ticket).select_related("team", "agent").order_by("id")
        ran = RuleRun.objects.filter(ticket=ticket).order_by("id")
        stored = sorted([*map(_as_stored, decided), *map(_as_ran, ran)], key=lambda one: one["at"])
        out = StringIO()
        call_command("routing_explain", str(ticket.number), stdout=out)
        assert list(_read(out.getvalue())) == stored, f"#{ticket.number}"
        told += len(stored)
    assert told == RoutingDecision.objects.count() + RuleRun.objects.count() >= 50
    assert RoutingDecision.objects.filter(outcome="assigned", candidates__0__isnull=False).count() >= 30


def whoever_decides_anew_from_what_is_stored_decides_the_same() -> None:
    """To the letter, by the same pure choice over the inputs that were kept."""
    made = list(RoutingDecision.objects.order_by("id"))
    assert {one.pk: found for one in made if (found := again.differences(one))} == {}
    assert {"fewest_open", "longest_since_last"} <= {one.tie_breaker for one in made}
    out = StringIO()
    call_command("routing_explain", "--again", stdout=out)
    assert out.getvalue() == f"Decided again: {len(made)} the same, 0 otherwise, 0 from before this was kept.\n"


def _as_stored(decision: RoutingDecision) -> dict[str, Any]:
    return {
        "at": f"{decision.at:%Y-%m-%d %H:%M:%S}",
        "rules": _told(decision.rules),
        "team": decision.team.name if decision.team else "",
        "candidates": [
            (
                one["agent"] == decision.agent_id,
                one["name"],
                f"{one['load']}/{one['capacity']}",
                ", ".join(
                    [*filter(None, [REASONS.get(one["skipped"] or "", "")]), *(MARKS[m] for m in MARKS if one.get(m))]
                ),
            )
            for one in decision.candidates
        ],
        "agent": decision.agent.name if decision.agent else "",
    }


def _as_ran(run: RuleRun) -> dict[str, Any]:
    """Rules that ran apart from routing give it to nobody."""
    return {"at": f"{run.at:%Y-%m-%d %H:%M:%S}", "rules": _told(run.rules), "team": "", "candidates": [], "agent": ""}


def _told(steps: list[dict[str, Any]]) -> list[tuple[bool, str, str]]:
    return [(step["matched"], f"{step['name']}, version {step['version']}", _note(step)) for step in steps]


def _note(step: dict[str, Any]) -> str:
    if not step["matched"]:
        return f"Did not hold: {conditions.sentence(step['failed'])}"
    did = ", ".join(rules.describe(action) for action in step["did"]) or "Changed nothing"
    return f"{did}. No further rules." if step.get("stopped") else did


def _read(text: str) -> Iterator[dict[str, Any]]:
    """What `routing_explain` printed, decision by decision; the last line of each says who got it."""
    for block in re.split(r"^(?=\d{4}-)", text, flags=re.MULTILINE)[1:]:
        head, *lines = block.splitlines()
        steps = [re.fullmatch(r"  ([✓✗]) (.+?, version \d+): (.*)", line) for line in lines if line[2] in "✓✗"]
        shown = [re.fullmatch(r"  ([●○]) (.+) ([\d.]+/[\d.]+) ?(.*)", line) for line in lines if line[2] in "●○"]
        outcome = next(line for line in lines if line.startswith("  ") and line[2] not in "✓✗●○→")
        assert all(steps) and all(shown)
        names = [one[2] for one in shown if one]
        yield {
            "at": head[:19],
            "rules": [(one[1] == "✓", one[2], one[3]) for one in steps if one],
            "team": next((line[4:] for line in lines if line.startswith("  → ")), ""),
            "candidates": [(one[1] == "●", one[2], one[3], one[4]) for one in shown if one],
            "agent": next((name for name in names if outcome.strip().startswith(name)), _keeper(outcome)),
        }


def _keeper(outcome: str) -> str:
    kept = re.fullmatch(r"  (.+) had it already and keeps it\.", outcome)
    return kept[1] if kept else ""
