"""A rule, or a set of them, tried on past tickets before it bites: what it would have matched and changed, beside what really happened.

Each ticket is looked at as it was when it came: its first words, its channel's team, no tags, the usual priority; custom
fields and customers have no past, and are as they are today. The other rules run around the tried one in their order.
Who would have got it is known only where a rule names the person: who else was free then is written nowhere.
Nothing but the trial's own rows is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery

from agents.models import Agent, Team
from tickets import conditions, trials
from tickets.access import tickets_for
from tickets.models import Attachment, Message, RoutingDecision, Rule, RuleTrial, RuleTrialRow, Ticket
from tickets.routing import rules
from tickets.wake import wake

TRIED = (Rule.When.CREATED, Rule.When.CUSTOMER_REPLIED)  # of which the past tells enough
DAYS = 30  # or the last tickets
_JUDGED = ("when", "conditions", "actions", "stop")
_KEPT = ("id", "name", "when", "conditions", "actions", "stop", "active")


_FOUND = (
    "matched", "held", "team_was", "team_would", "priority_was", "priority_would", "agent_was", "agent_would",
)  # fmt: skip


class Result(NamedTuple):
    seen: int
    matched: int
    changed_team: int
    changed_priority: int
    changed_agent: int


def begin(rule: Rule, *, by: Agent, days: int | None = None, now: datetime) -> RuleTrial:
    """Try a rule, saved or not, switched on or not, on the newest tickets that its author may see, or on those of so many
    days. Worked off in the background."""
    others = list(Rule.objects.filter(when=rule.when, active=True).exclude(pk=rule.pk).order_by("position", "id"))
    place = trials.among(others, rule)
    return _begin([*others[:place], rule, *others[place:]], tried=place, by=by, days=days, now=now)


def begin_set(ordered: Sequence[Rule], *, by: Agent, days: int | None = None, now: datetime) -> RuleTrial:
    """Try these rules of one kind in this order, each as it is switched on or off here, on the newest tickets or on those
    of so many days."""
    return _begin(ordered, tried=None, by=by, days=days, now=now)


@transaction.atomic
def _begin(
    ordered: Sequence[Rule], *, tried: int | None, by: Agent, days: int | None = None, now: datetime
) -> RuleTrial:
    trials.forget_old(RuleTrial, by=by, now=now)
    trial = RuleTrial.objects.create(
        agent=by,
        rule_id=ordered[tried].pk if tried is not None else None,
        rules=[{name: getattr(one, name) for name in _KEPT} for one in ordered],
        tried=tried,
        created_at=now,
    )
    seen = tickets_for(by).filter(merged_into__isnull=True)
    if days:
        seen = seen.filter(created_at__gte=now - timedelta(days=days))
    newest = seen.order_by("-id").values_list("pk", flat=True)[: trials.MOST if days else trials.LAST]
    RuleTrialRow.objects.bulk_create(RuleTrialRow(trial=trial, ticket_id=pk) for pk in newest)
    trial.total = trial.rows.count()
    trial.save(update_fields=["total"])
    wake("tickets.tasks.try_rules")
    return trial


def drain(*, now: datetime, seconds: float) -> int:
    return trials.work_off(RuleTrial, _batch, now=now, seconds=seconds)


def rules_of(trial: RuleTrial) -> list[Rule]:
    """As they were tried. They are not to be saved."""
    return [Rule(**kept) for kept in trial.rules]


def see(trial: RuleTrial, *, now: datetime) -> None:
    """Its author has the result before them."""
    if trial.finished_at and not trial.problem and trial.seen_at is None:
        trial.seen_at = now
        trial.save(update_fields=["seen_at"])


def is_untried(rule: Rule) -> bool:
    """The past could tell what it does, and nobody has looked: neither at it alone nor switched on in a set."""
    if rule.when not in TRIED:
        return False
    content = {name: getattr(rule, name) for name in _JUDGED}
    alike = RuleTrial.objects.filter(seen_at__isnull=False, rules__contains=[content])  # with more in it, at times
    for trial in alike.order_by("-id").iterator():
        tried = [one for one in trial.rules if one["active"]] if trial.tried is None else [trial.rules[trial.tried]]
        if any({name: one[name] for name in _JUDGED} == content for one in tried):
            return False
    return True


def result(trial: RuleTrial) -> Result:
    counted = trial.rows.aggregate(
        seen=Count("pk", filter=Q(matched__isnull=False)),
        changed_team=Count("pk", filter=Q(matched=True) & ~Q(team_was=F("team_would")) & Q(team_would__isnull=False)),
        changed_priority=Count("pk", filter=Q(matched=True) & ~Q(priority_was=F("priority_would"))),
        changed_agent=Count("pk", filter=Q(matched=True, agent_would__isnull=False) & ~Q(agent_was=F("agent_would"))),
        matched=Count("pk", filter=Q(matched=True)),  # last: the others count the column
    )
    return Result(**counted)


def counts(trial: RuleTrial) -> list[int]:
    """Of a set: on how many of the tickets each rule has held so far."""
    found = [0] * len(trial.rules)
    for held in trial.rows.filter(matched=True).values_list("held", flat=True).iterator():
        for place, here in enumerate(held or []):
            found[place] += here
    return found


def leaves_of(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The conditions of a tree, as `RuleTrialRow.held` counts them."""
    if "field" in tree:
        return [tree]
    return [leaf for branches in tree.values() for branch in branches for leaf in leaves_of(branch)]


# -- One batch ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def _batch(trial_id: int, now: datetime) -> int:
    trial = RuleTrial.objects.select_for_update(skip_locked=True).filter(pk=trial_id, finished_at__isnull=True).first()
    if trial is None:
        return 0
    rows = list(trial.rows.filter(matched__isnull=True).order_by("-ticket")[: trials.BATCH])
    if not rows:
        trial.finished_at = now
        trial.save(update_fields=["finished_at"])
        return 0
    ordered = rules_of(trial)
    tried = ordered[trial.tried] if trial.tried is not None else None
    tickets = {ticket.pk: ticket for ticket in _as_they_came([row.ticket_id for row in rows])}
    teams, team_hours = set(Team.objects.values_list("pk", flat=True)), conditions.TeamHours()
    agents = set(Agent.objects.filter(is_active=True).values_list("pk", flat=True))
    for row in rows:
        _try(row, tickets[row.ticket_id], ordered, tried=tried, teams=teams, agents=agents, team_hours=team_hours)
    RuleTrialRow.objects.bulk_update(rows, _FOUND)
    return len(rows)


def _as_they_came(ids: Sequence[int]) -> Iterable[Ticket]:
    """With their first words, their first decision and who got them first: five queries, however many."""
    said = Message.objects.filter(ticket=OuterRef("pk"), direction="in", kind="public").order_by("seq")
    decided = RoutingDecision.objects.filter(ticket=OuterRef("pk")).order_by("id")
    return (
        Ticket.objects.filter(pk__in=ids)
        .select_related("customer", "first_channel")
        .prefetch_related("customer__identities")
        .annotate(
            first_text=Subquery(said.values("text")[:1]),
            first_to=Subquery(said.values("to")[:1]),
            first_cc=Subquery(said.values("cc")[:1]),
            first_file=Exists(Attachment.objects.filter(message__in=Subquery(said.values("pk")[:1]))),
            first_team=Subquery(decided.values("team")[:1]),
            first_agent=Subquery(decided.filter(agent__isnull=False).values("agent")[:1]),
            first_rules=Subquery(decided.values("rules")[:1]),
        )
    )


def _try(
    row: RuleTrialRow,
    ticket: Ticket,
    ordered: Sequence[Rule],
    *,
    tried: Rule | None,
    teams: set[int],
    agents: set[int],
    team_hours: conditions.TeamHours,
) -> None:
    facts = _facts(ticket, team_hours)
    team_before = facts["team"]
    held: list[Rule] = []
    row.held = []
    for rule, outcome in rules.evaluate([one for one in ordered if one.active or one is tried], facts):
        if outcome and outcome.matched:
            held.append(rule)
        if rule is tried:
            row.held = [_holds(leaf, facts) for leaf in leaves_of(rule.conditions)]
    row.matched = tried in held if tried else bool(held)
    if tried is None:
        row.held = [any(one is rule for one in held) for rule in ordered]
    would = facts["team"] if facts["team"] in teams else team_before
    row.team_would_id = would or None
    row.team_was_id = ticket.first_team or ticket.team_id  # type: ignore[attr-defined]
    row.agent_would_id = facts["assignee"] if facts["assignee"] in agents else None
    row.agent_was_id = ticket.first_agent  # type: ignore[attr-defined]
    row.priority_would = facts["priority"]
    row.priority_was = _priority_was(ticket)


def _holds(leaf: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    outcome = conditions.outcome_of(leaf, facts)
    return bool(outcome and outcome.matched)


def _facts(ticket: Ticket, team_hours: conditions.TeamHours) -> conditions.Facts:
    """Those of `conditions.facts_of` at the moment at which the ticket came."""
    channel = ticket.first_channel
    written_to = [channel.address, channel.name] if channel else []
    facts = conditions.first_facts_of(ticket, team_hours)
    facts.update(
        {
            "text": [ticket.subject, ticket.first_text or ""],  # type: ignore[attr-defined]
            "to": [*written_to, *(ticket.first_to or []), *(ticket.first_cc or [])],  # type: ignore[attr-defined]
            "has": {"attachment"} if ticket.first_file else set(),  # type: ignore[attr-defined]
            "tag": set(),
            "priority": Ticket.Priority.NORMAL.value,
            "status": Ticket.Status.NEW.value,
            "team": (channel.team_id if channel else None) or 0,
            "assignee": 0,
        }
    )
    return facts


def _priority_was(ticket: Ticket) -> int:
    """What the rules of its day made of it; without any, what it began with."""
    done = [action for step in ticket.first_rules or [] for action in step.get("did", [])]  # type: ignore[attr-defined]
    return next(
        (action["priority"] for action in reversed(done) if action.get("do") == "priority"), Ticket.Priority.NORMAL
    )
