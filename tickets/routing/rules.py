"""Rules: an ordered list of conditions and what to do when they hold.

`run` works on a ticket whose row lock is held, and returns the trace that `RoutingDecision.rules` keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from agents.models import Skill, SkillLevel, Team
from tickets import conditions, live
from tickets.models import Rule, Ticket, TicketSkill
from tickets.models.event import RULE
from tickets.models.ticket import tag_name, tags_named


def validate_actions(actions: Any) -> None:
    """Raises conditions.Invalid, in the reader's language."""
    if not isinstance(actions, list) or not actions:
        raise conditions.Invalid(_("Choose at least one thing to do."))
    for action in actions:
        do = action.get("do") if isinstance(action, dict) else None
        if do == "team" and Team.objects.filter(pk=action.get("team")).exists():
            continue
        if do == "priority" and action.get("priority") in Ticket.Priority.values:
            continue
        if do == "tags" and any(isinstance(name, str) and name.strip() for name in action.get("add", [])):
            continue
        if do == "skill" and _is_skill(action):
            continue
        raise conditions.Invalid(_("One of the things to do is incomplete."))


def _is_skill(action: dict[str, Any]) -> bool:
    minutes = action.get("relax_minutes")
    return (
        Skill.objects.filter(pk=action.get("skill") or 0).exists()
        and action.get("level") in SkillLevel.values
        and isinstance(action.get("required"), bool)
        and (minutes is None or (isinstance(minutes, int) and 0 < minutes <= 7 * 24 * 60))
    )


def run(ticket: Ticket, *, when: str, now: datetime) -> list[dict[str, Any]]:
    """Try each active rule in order. Must hold the ticket's row lock."""
    active = list(Rule.objects.filter(active=True, when=when).order_by("position", "id"))
    trace: list[dict[str, Any]] = []
    for rule, outcome in evaluate(active, conditions.facts_of(ticket) if active else {}):
        step: dict[str, Any] = {"rule": rule.pk, "name": rule.name, "version": rule.version, "matched": False}
        trace.append(step)
        if outcome is None:
            step["broken"] = True
            continue
        step["matched"], step["failed"] = outcome.matched, outcome.failed
        if outcome.matched:
            step["did"] = [done for action in rule.actions if (done := _do(ticket, action, now=now))]
            if rule.stop:
                step["stopped"] = True
    return trace


def evaluate(ordered: Iterable[Rule], facts: dict[str, Any]) -> Iterator[tuple[Rule, conditions.Outcome | None]]:
    """Each rule that is tried, with its outcome; None for one that cannot be understood. Reads and writes nothing.

    What a rule that holds would do is entered into `facts`, so that a later rule sees it, and so does the caller.
    """
    for rule in ordered:
        outcome = conditions.outcome_of(rule.conditions, facts)
        yield rule, outcome
        if outcome is None or not outcome.matched:
            continue
        for action in rule.actions:
            _enter(action, facts)
        if rule.stop:
            return


def _enter(action: dict[str, Any], facts: dict[str, Any]) -> None:
    match action.get("do"):
        case "team":
            facts["team"] = action["team"]
        case "priority":
            facts["priority"] = action["priority"]
        case "tags":
            facts["tag"] = facts["tag"] | {tag_name(name) for name in action["add"]} - {""}


def describe(action: dict[str, Any]) -> str:
    """One action as people say it, in the reader's language."""
    match action.get("do"):
        case "team":
            team = Team.objects.filter(pk=action["team"]).first()
            return _("Team → %(team)s") % {"team": team.name if team else "?"}
        case "priority":
            return _("Priority → %(priority)s") % {
                "priority": dict(Ticket.Priority.choices).get(action["priority"], "?")
            }
        case "tags":
            return _("Add tags: %(tags)s") % {"tags": ", ".join(action.get("add", []))}
        case "skill":
            return _describe_skill(action)
    return ""


def _describe_skill(action: dict[str, Any]) -> str:
    skill = Skill.objects.filter(pk=action.get("skill") or 0).first()
    named = {"skill": skill.name if skill else "?", "level": SkillLevel(action["level"]).label}
    if not action["required"]:
        return _("Wished: %(skill)s (%(level)s)") % named
    if minutes := action.get("relax_minutes"):
        return _("Needed: %(skill)s (%(level)s), wished after %(minutes)s min") % {**named, "minutes": minutes}
    return _("Needed: %(skill)s (%(level)s)") % named


def _do(ticket: Ticket, action: dict[str, Any], *, now: datetime) -> dict[str, Any] | None:
    match action.get("do"):
        case "team":
            team = Team.objects.filter(pk=action["team"]).first()
            event = ticket.give_to(assignee=ticket.assignee, team=team, by=RULE, now=now) if team else None
        case "priority":
            event = ticket.change_priority(action["priority"], by=RULE, now=now)
        case "tags":
            event = ticket.change_tags(add=tags_named(action["add"]), by=RULE, now=now)
        case "skill":
            return action if _need(ticket, action, now=now) else None
        case _:
            event = None
    live.announce(event)
    return action if event else None


def _need(ticket: Ticket, action: dict[str, Any], *, now: datetime) -> bool:
    """Let the ticket need the skill. False when it is gone, or needed already in the same way."""
    if not Skill.objects.filter(pk=action["skill"]).exists():
        return False
    minutes = action.get("relax_minutes")
    facts = {
        "level": action["level"],
        "required": action["required"],
        "wished_from": now + timedelta(minutes=minutes) if minutes else None,
    }
    same = {"level": action["level"], "required": action["required"], "wished_from__isnull": not minutes}
    if TicketSkill.objects.filter(ticket=ticket, skill=action["skill"], **same).exists():
        return False
    TicketSkill.objects.update_or_create(ticket=ticket, skill_id=action["skill"], defaults=facts)
    return True
