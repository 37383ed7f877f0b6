"""Which of several people gets a ticket: pure, over facts that somebody else has read.

Work is measured in hundredths of a place: an agent's capacity of 5 is 500, a chat may weigh 100 and a mail 30.
Every person who was considered is answered with the reason why not, so that the decision explains itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

PLACE = 100


@dataclass(frozen=True)
class Need:
    """A skill that the ticket needs, from `wished_from` on no more than wished. A wish decides between people who are
    free."""

    skill_id: int
    name: str
    level: int
    required: bool
    wished_from: datetime | None = None

    def at(self, now: datetime) -> Need:
        is_relaxed = self.wished_from is not None and self.wished_from <= now
        return replace(self, required=self.required and not is_relaxed)


@dataclass(frozen=True)
class Person:
    """Somebody who might take it. `absent` is a reason that no ticket changes ("offline", "off_shift" ...), or "".

    `load` and `capacity` are in hundredths of a place. `last_given` grows with each ticket that routing gave to
    anybody. `knows_customer`: answered this customer last. `had_it`: had this very ticket and did not take it.
    `reserved` of their room is for tickets that come first.
    """

    agent_id: int
    name: str
    load: int
    capacity: int
    absent: str = ""
    skills: Mapping[int, int] = field(default_factory=dict)
    last_given: int = 0
    knows_customer: bool = False
    helps_out: bool = False
    had_it: bool = False
    reserved: int = 0


class Claim(NamedTuple):
    """A ticket that comes first and has nobody yet. `is_helped`: it has waited for so long that others help out."""

    weight: int
    skills: Mapping[int, int]
    is_helped: bool = False


class Choice(NamedTuple):
    """`agent_id` is None when nobody can take it. `candidates` is the trace that is stored."""

    agent_id: int | None
    tie_breaker: str
    candidates: list[dict[str, Any]]


@dataclass(frozen=True)
class Question:
    """Who gets this ticket? All that the answer depends on: it is kept with the decision (`routing.again`)."""

    at: datetime
    weight: int
    needs: Sequence[Need]
    people: Sequence[Person]
    ahead: Sequence[Claim] = ()

    def answer(self) -> Choice:
        needs = [need.at(self.at) for need in self.needs]
        choice = choose(self.people, needs=needs, weight=self.weight)
        if choice.agent_id is None or not self.ahead:
            return choice
        return choose(reserve(self.people, self.ahead), needs=needs, weight=self.weight)


def choose(people: Sequence[Person], *, needs: Sequence[Need], weight: int) -> Choice:
    """In this order: not one who let it pass, who knows the customer, the own team, wished skills, the fewest open,
    the longest since the last one."""
    reasons = {person.agent_id: _skipped(person, needs, weight) for person in people}
    free = sorted((person for person in people if not reasons[person.agent_id]), key=lambda one: _rank(one, needs))
    return Choice(
        agent_id=free[0].agent_id if free else None,
        tie_breaker=_tie_breaker(free, needs),
        candidates=[_told(person, reasons[person.agent_id], needs) for person in people],
    )


def reserve(people: Sequence[Person], ahead: Sequence[Claim]) -> list[Person]:
    """The same people, each with what of their room is for tickets that come first.

    Each of those counts with the one who has the most room and could take it; one that nobody could take keeps nothing.
    """
    room = {one.agent_id: one.capacity - one.load for one in people if not one.absent}
    reserved = dict.fromkeys((one.agent_id for one in people), 0)
    for claim in ahead:
        fit = [
            one.agent_id
            for one in people
            if room.get(one.agent_id, 0) >= claim.weight
            and (claim.is_helped or not one.helps_out)
            and all(one.skills.get(skill, 0) >= level for skill, level in claim.skills.items())
        ]
        if fit:
            taker = max(fit, key=lambda pk: room[pk])
            room[taker] -= claim.weight
            reserved[taker] += claim.weight
    return [replace(one, reserved=reserved[one.agent_id]) for one in people]


def too_heavy(candidates: Sequence[Mapping[str, Any]], *, weight: int) -> int | None:
    """After a ticket of this weight found nobody: the weight from which on no other finds anybody either.

    None when a missing skill was the matter with somebody, or those who come first: that says nothing of other tickets.
    """
    reasons = {one.get("skipped") for one in candidates}
    if reasons & {"missing_skill", "others_first"}:
        return None
    return weight if "at_capacity" in reasons else 0


def _skipped(person: Person, needs: Sequence[Need], weight: int) -> str:
    if person.absent:
        return person.absent
    if _missing(person, needs):
        return "missing_skill"
    if person.load + weight > person.capacity:
        return "at_capacity"
    return "others_first" if person.load + person.reserved + weight > person.capacity else ""


def _missing(person: Person, needs: Sequence[Need]) -> list[Need]:
    return [need for need in needs if need.required and person.skills.get(need.skill_id, 0) < need.level]


def _rank(person: Person, needs: Sequence[Need]) -> tuple[bool, bool, bool, int, int, int, int]:
    return (
        person.had_it,
        not person.knows_customer,
        person.helps_out,
        -_wishes_met(person, needs),
        person.load,
        person.last_given,
        person.agent_id,
    )


def _wishes_met(person: Person, needs: Sequence[Need]) -> int:
    return sum(person.skills.get(need.skill_id, 0) >= need.level for need in needs if not need.required)


def _tie_breaker(free: Sequence[Person], needs: Sequence[Need]) -> str:
    """What set the first apart from the second."""
    if len(free) < 2:
        return "only_one" if free else ""
    names = ("had_it", "knows_customer", "own_team", "wished_skills", "fewest_open", "longest_since_last", "by_id")
    first, second = (_rank(person, needs) for person in free[:2])
    return next(name for name, mine, other in zip(names, first, second, strict=True) if mine != other)


def _told(person: Person, reason: str, needs: Sequence[Need]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "agent": person.agent_id,
        "name": person.name,
        "load": places(person.load),
        "capacity": places(person.capacity),
        "skipped": reason or None,
    }
    if missing := _missing(person, needs):
        told["missing"] = [{"name": need.name, "level": need.level} for need in missing]
    marks = {"knows_customer": person.knows_customer, "helps_out": person.helps_out, "had_it": person.had_it}
    return told | {name: True for name, holds in marks.items() if holds}


def places(hundredths: int) -> int | float:
    """Hundredths of a place as people say them: 1, 0.3."""
    return hundredths // PLACE if hundredths % PLACE == 0 else hundredths / PLACE
