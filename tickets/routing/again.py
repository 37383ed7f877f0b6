"""A decision made once more, from what it looked at: `RoutingDecision.inputs` holds all that the choice depended on.

Who was there and how full they were, their skills as far as anybody asked for one, what the ticket needed and from when
on only wished for, and those who came first. The rules have run before that; what each saw and did is their own trace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tickets.models import RoutingDecision
from tickets.routing.choice import Choice, Claim, Need, Person, Question

Inputs = dict[str, Any]
Outcome = RoutingDecision.Outcome
_MARKS = ("knows_customer", "helps_out", "had_it")


def inputs_of(question: Question) -> Inputs:
    asked = {need.skill_id for need in question.needs}.union(*(claim.skills for claim in question.ahead))
    return {
        "at": question.at.isoformat(),
        "weight": question.weight,
        "needs": [_need(need) for need in question.needs],
        "people": [_person(person, asked) for person in question.people],
        "ahead": [[claim.weight, _by_text(claim.skills), claim.is_helped] for claim in question.ahead],
    }


def question_of(inputs: Mapping[str, Any]) -> Question:
    return Question(
        at=datetime.fromisoformat(inputs["at"]),
        weight=inputs["weight"],
        needs=[
            Need(one["skill"], one["name"], one["level"], one["required"], _moment(one["wished_from"]))
            for one in inputs["needs"]
        ],
        people=[
            Person(
                agent_id=one["agent"],
                name=one["name"],
                load=one["load"],
                capacity=one["capacity"],
                absent=one.get("absent", ""),
                skills=_by_id(one.get("skills", {})),
                last_given=one["last_given"],
                **{mark: one.get(mark, False) for mark in _MARKS},
            )
            for one in inputs["people"]
        ],
        ahead=[Claim(weight, _by_id(skills), helped) for weight, skills, helped in inputs["ahead"]],
    )


def differences(decision: RoutingDecision) -> list[str]:
    """What comes out otherwise when it is decided again, by name of the field; [] when it is the same to the letter."""
    inputs: Inputs = decision.inputs or {}
    if holder := inputs.get("holder"):
        outcome, choice = Outcome.KEPT, Choice(holder, "", [])
    elif "people" not in inputs:
        outcome, choice = Outcome.NO_TEAM, Choice(None, "", [])
    else:
        choice = question_of(inputs).answer()
        outcome = Outcome.ASSIGNED if choice.agent_id else Outcome.QUEUED
    pairs = {
        "outcome": (outcome, decision.outcome),
        "agent": (choice.agent_id, decision.agent_id),
        "tie_breaker": (choice.tie_breaker, decision.tie_breaker),
        "candidates": (_letters(choice.candidates), _letters(decision.candidates)),
    }
    return [name for name, (now, then) in pairs.items() if now != then]


def _need(need: Need) -> Inputs:
    return {
        "skill": need.skill_id,
        "name": need.name,
        "level": need.level,
        "required": need.required,
        "wished_from": need.wished_from.isoformat() if need.wished_from else None,
    }


def _person(person: Person, asked: set[int]) -> Inputs:
    told: Inputs = {
        "agent": person.agent_id,
        "name": person.name,
        "load": person.load,
        "capacity": person.capacity,
        "last_given": person.last_given,
    }
    if person.absent:
        told["absent"] = person.absent
    if skills := {pk: level for pk, level in person.skills.items() if pk in asked}:
        told["skills"] = _by_text(skills)
    return told | {mark: True for mark in _MARKS if getattr(person, mark)}


def _by_text(skills: Mapping[int, int]) -> dict[str, int]:
    return {str(pk): level for pk, level in skills.items()}


def _by_id(skills: Mapping[str, int]) -> dict[int, int]:
    return {int(pk): level for pk, level in skills.items()}


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _letters(told: Any) -> str:
    return json.dumps(told, sort_keys=True, ensure_ascii=False)
