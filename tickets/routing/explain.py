"""A stored decision in words: "Why here?" and "Why still waiting?". Reads what was stored and decides nothing anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Q
from django.utils.translation import gettext as _

from agents.models import SkillLevel
from tickets import conditions, fragments, robots
from tickets.models import Event, Outbox, RoutingDecision, Rule, RuleRun, Ticket
from tickets.routing import again, rules
from tickets.timeline import TAKEN_BACK


class Step(NamedTuple):
    """A rule that was tried. `note` says which condition failed, or what was done."""

    name: str
    matched: bool
    note: str


class Candidate(NamedTuple):
    """Somebody who was considered. `reason` is "" for one who could have had it; `marks` say what else counted.

    `load` and `capacity` are in places: a channel may weigh less than one.
    """

    name: str
    load: float
    capacity: float
    reason: str
    marks: list[str]
    chosen: bool


class Explanation(NamedTuple):
    at: datetime
    trigger: str
    steps: list[Step]
    team: str
    candidates: list[Candidate]
    outcome: str
    needs: Sequence[str] = ()


@conditions.reading_once()
def decisions(ticket: Ticket, *, limit: int = 20) -> list[Explanation]:
    """The decisions about a ticket, the rules that ran on it and the hands it went through, the newest first, in the
    reader's language."""
    stored = RoutingDecision.objects.filter(ticket=ticket).select_related("team", "agent").order_by("-id")
    runs = RuleRun.objects.filter(ticket=ticket).order_by("-id")
    names = rules.Names()
    told = [explained(decision, names) for decision in stored[:limit]]
    told += [_ran(run, names) for run in runs[:limit]]
    told += [_put_aside(row, names) for row in rules.put_aside([ticket.pk]).order_by("-id")[:limit]]
    told += _handed_on(ticket, limit=limit)
    return sorted(told, key=lambda one: one.at, reverse=True)[:limit]


def _handed_on(ticket: Ticket, *, limit: int) -> list[Explanation]:
    """By people, and back into the queue by itself: with what was said."""
    by_hand = Q(actor_type__in=("agent", "api")) | Q(particulars__cause__in=list(TAKEN_BACK))
    events = list(Event.objects.filter(by_hand, ticket=ticket, kind="assigned").order_by("-id")[:limit])
    names = fragments.names_of(events)
    return [
        Explanation(
            at=event.at,
            trigger=_("It was handed on") if event.actor_id else _("It was taken back"),
            steps=[],
            team="",
            candidates=[],
            outcome=fragments.said_of(event, names),
        )
        for event in events
    ]


def _ran(run: RuleRun, names: rules.Names) -> Explanation:
    acted = any(step.get("matched") for step in run.rules)
    return Explanation(
        at=run.at,
        trigger=_trigger(run.trigger),
        steps=[_step(step, names) for step in run.rules],
        team="",
        candidates=[],
        outcome=_("Rules did something.") if acted else _("No rule held."),
    )


def _put_aside(row: Outbox, names: rules.Names) -> Explanation:
    """A rule's work that failed until it was given up."""
    name, owed = rules.owed_in_words(row, names)
    return Explanation(
        at=row.finished_at or row.created_at,
        trigger=_trigger("later"),
        steps=[Step(name, False, _("Not done: %(actions)s") % {"actions": owed})],
        team="",
        candidates=[],
        outcome=_("It failed %(n)s times. An administrator can have it done again, under Dead letters.")
        % {"n": row.attempts},
    )


def explained(decision: RoutingDecision, names: rules.Names | None = None) -> Explanation:
    names = names or rules.Names()
    return Explanation(
        at=decision.at,
        trigger=_trigger(decision.trigger),
        steps=[_step(step, names) for step in decision.rules],
        team=decision.team.name if decision.team else "",
        candidates=[_candidate(one, decision) for one in decision.candidates],
        outcome=_outcome(decision),
        needs=_needs(decision),
    )


def still_waiting(ticket: Ticket, *, now: datetime) -> str:
    """Why nobody has it yet and what would change that; "" when nobody needs to be found."""
    if ticket.assignee_id is not None or ticket.merged_into_id is not None or not ticket.is_unsolved:
        return ""
    last = RoutingDecision.objects.filter(ticket=ticket).select_related("team").order_by("-id").first()
    if last is not None and ticket.team_id is None and last.outcome == RoutingDecision.Outcome.NO_TEAM:
        return _("No team takes it. It goes on as soon as it gets a team, or the channel on which it began.")
    if ticket.routing_due_at is None:
        return _("It is in no queue. Give it to a team or to somebody.") if ticket.team_id is None else ""
    if ticket.snoozed_until is not None and ticket.snoozed_until > now:
        return _("It is snoozed. Somebody is found for it when it wakes.")
    if last is None:
        return _("It is about to be looked at for the first time.")
    if not last.candidates:
        return _("The team %(team)s has no members. Add one, or give the ticket to another team.") % {
            "team": last.team.name if last.team else "?"
        }
    return _what_is_missing(ticket, last.candidates, now=now)


_FOR_GOOD = {"inactive", "light"}  # nobody waits for those who are switched off, or may not reply


def _what_is_missing(ticket: Ticket, candidates: Sequence[Mapping[str, Any]], *, now: datetime) -> str:
    able = [one for one in candidates if not one.get("missing")]
    if not able:
        relaxes = ticket.skills.filter(required=True, wished_from__gt=now).exists()
        if relaxes:
            return _(
                "Nobody in the team has the skills that it needs. After a while they are only wished, as a rule has it, and "
                "others may take it. Until then: give somebody the skill, or another team the ticket."
            )
        return _(
            "Nobody in the team has the skills that it needs. Give somebody the skill, or another team the ticket."
        )
    reasons = {one.get("skipped") for one in able}
    if reasons <= _FOR_GOOD:
        return _(
            "Those who could take it are switched off or may not reply. Add somebody to the team, or give the ticket to "
            "another team."
        )
    if reasons - _FOR_GOOD <= {"at_capacity", "others_first"}:
        return _("Everybody who could take it has as many as they may. It goes to the first who finishes one.")
    return _("Nobody who could take it is free now. It goes to the first of them who comes online or finishes one.")


def _trigger(trigger: str) -> str:
    return {
        "created": _("The ticket was created"),
        "customer_replied": _("The customer wrote again"),
        "queue": _("It waited in the queue"),
        "again": _("It was given back to routing"),
        "later": _("What a rule had left to be done"),
    }.get(trigger) or str(dict(Rule.When.choices).get(trigger, trigger))


def _step(step: Mapping[str, Any], names: rules.Names) -> Step:
    if most := step.get("too_often"):
        return Step(
            _("All rules"),
            False,
            _("Rules did something %(n)s times within an hour: they rest, so that they never go round in circles.")
            % {"n": most},
        )
    name = _("%(name)s, version %(version)s") % {"name": step.get("name", "?"), "version": step.get("version", "?")}
    if step.get("broken"):
        return Step(name, False, _("Its conditions cannot be understood. It was passed over."))
    if not step.get("matched"):
        return Step(name, False, _("Did not hold: %(condition)s") % {"condition": _said(step.get("failed"))})
    did = [_did(action, names) for key in ("did", "kept_back") for action in step.get(key, [])]
    if later := step.get("later"):
        did.append(_("to be done after that: %(actions)s") % {"actions": ", ".join(_did(one, names) for one in later)})
    note = ", ".join(did) if did else _("Changed nothing")
    return Step(name, True, _("%(did)s. No further rules.") % {"did": note} if step.get("stopped") else note)


def _did(action: Mapping[str, Any], names: rules.Names) -> str:
    """What was done, or what spoke against it."""
    said = rules.describe(dict(action), names)
    if not (reason := action.get("kept_back")):
        return said
    why = {
        "once": _("this rule has answered here once already"),
        "automatic": _("the last message was an automatic one"),
        "no_route": _("there is no address to send it to"),
        "gone": _("it does not exist any more"),
        "inactive": _("switched off"),
        "light": _("may not reply"),
    }.get(reason) or robots.REASONS.get(reason, reason)
    return _("not done: %(action)s (%(reason)s)") % {"action": said, "reason": why}


def _said(tree: Any) -> str:
    try:
        return conditions.sentence(tree or {})
    except (conditions.Invalid, TypeError, AttributeError):
        return "?"


def _level(level: Any) -> str:
    return str(SkillLevel(level).label) if level in SkillLevel.values else "?"


def _needs(decision: RoutingDecision) -> list[str]:
    """The skills that it needed at that moment, and those that had become no more than a wish by then."""
    if not decision.inputs or "people" not in decision.inputs:
        return []
    question = again.question_of(decision.inputs)
    said = []
    for need in question.needs:
        named = {"skill": need.name, "level": _level(need.level)}
        if need.at(question.at).required:
            said.append(_("Needed: %(skill)s (%(level)s)") % named)
        elif need.required:
            said.append(_("No longer needed, only wished: %(skill)s (%(level)s)") % named)
        else:
            said.append(_("Wished: %(skill)s (%(level)s)") % named)
    return said


def _candidate(stored: Mapping[str, Any], decision: RoutingDecision) -> Candidate:
    reason = stored.get("skipped") or ""
    words = {
        "inactive": _("switched off"),
        "light": _("may not reply"),
        "offline": _("offline"),
        "away": _("away"),
        "busy": _("busy"),
        "wrap_up": _("wrapping up after a chat"),
        "off_shift": _("outside their shift"),
        "at_capacity": _("has as many as they may"),
        "others_first": _("has room for those who come first only"),
    }
    if lacking := stored.get("missing"):
        missing = [f"{one.get('name', '?')} ({_level(one.get('level'))})" for one in lacking]
        lacks = _("lacks: %(skills)s") % {"skills": ", ".join(missing)}
        words[reason] = lacks if reason == "missing_skill" else f"{words.get(reason, reason)}, {lacks}"
    marks = {
        "knows_customer": _("answered this customer last"),
        "helps_out": _("of the overflow team"),
        "had_it": _("had it and did not take it"),
    }
    return Candidate(
        name=stored.get("name", "?"),
        load=stored.get("load", 0),
        capacity=stored.get("capacity", 0),
        reason=words.get(reason, reason),
        marks=[str(mark) for name, mark in marks.items() if stored.get(name)],
        chosen=decision.agent_id is not None and stored.get("agent") == decision.agent_id,
    )


def _outcome(decision: RoutingDecision) -> str:
    name = decision.agent.name if decision.agent else "?"
    match decision.outcome:
        case RoutingDecision.Outcome.ASSIGNED:
            return {
                "only_one": _("%(name)s was the only one free."),
                "had_it": _("%(name)s had not had it before."),
                "knows_customer": _("%(name)s answered this customer last."),
                "own_team": _("%(name)s is of the team itself."),
                "wished_skills": _("%(name)s has more of the skills that are wished."),
                "by_id": _("%(name)s was the first of equals."),
                "fewest_open": _("%(name)s had the fewest open tickets."),
                "longest_since_last": _(
                    "%(name)s: as few open tickets as others, and the longest wait since the last one."
                ),
            }.get(decision.tie_breaker, "%(name)s") % {"name": name}
        case RoutingDecision.Outcome.KEPT:
            given = _("A rule gave it to %(name)s.") if _was_given(decision) else ""
            return (given or _("%(name)s had it already and keeps it.")) % {"name": name}
        case RoutingDecision.Outcome.QUEUED:
            return _("Nobody was free. It stays in the queue of the team.")
    return _("No team takes it: give it or its channel a team. A rule finds one for those to come.")


def _was_given(decision: RoutingDecision) -> bool:
    """By a rule, in this decision, to whoever has it."""
    did = [action for step in decision.rules for action in step.get("did", [])]
    return any(action.get("do") == "agent" and action.get("agent") == decision.agent_id for action in did)
