"""Warnings about rules that cannot do anything. Only what is certain is said: a doubt says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Func, IntegerField, OuterRef, Subquery

from tickets import conditions
from tickets.conditions import Tree
from tickets.models import Rule, RuleMatch
from tickets.models.rule import OF_TIME
from tickets.routing import rules

QUIET = timedelta(days=30)
LATELY = timedelta(days=7)
MOST_HITS = 1000  # counted; more is "1,000+"


class Standing(NamedTuple):
    """How often a rule held in 7 days, when it held last, and whether it seems to be of no use."""

    hits: int
    last_at: datetime | None
    never: bool
    shadow: tuple[int, Rule] | None  # the place, from 1, of the rule that leaves nothing to it


def standing(ordered: Sequence[Rule], *, now: datetime) -> dict[int, Standing]:
    """Of all rules, given in their order. One query."""
    counted = _counted(since=now - LATELY)
    found = {}
    for n, rule in enumerate(ordered):
        hits, last_at = counted.get(rule.pk, (0, None))
        never = rule.active and max(last_at or rule.updated_at, rule.updated_at) <= now - QUIET
        found[rule.pk] = Standing(hits, last_at, never, shadow_of(ordered, n))
    return found


def _counted(*, since: datetime) -> dict[int, tuple[int, datetime | None]]:
    """Rule -> hits since then, counted up to MOST_HITS, and the last one: the index is read no further than that."""
    matches = RuleMatch.objects.filter(rule=OuterRef("pk")).order_by("-at").values("at")
    recent = ArraySubquery(matches.filter(at__gt=since)[:MOST_HITS])
    hits = Func(recent, function="CARDINALITY", output_field=IntegerField())
    counted = Rule.objects.annotate(hits=hits, last_at=Subquery(matches[:1]))
    return {pk: (hits, last_at) for pk, hits, last_at in counted.values_list("pk", "hits", "last_at")}


def shadow_of(ordered: Sequence[Rule], n: int) -> tuple[int, Rule] | None:
    """The first rule above that stops whenever this one would hold.

    It was asked before those between them had changed anything: what it asks for must not be theirs to change.
    """
    rule = ordered[n]
    if not rule.active or rule.when in OF_TIME:
        return None
    for place, above in enumerate(ordered[:n]):
        if not (above.active and above.stop and above.when == rule.when):
            continue
        between = [one for one in ordered[place + 1 : n] if one.active and one.when == rule.when]
        if conditions.fields_of(above.conditions) & changed_by(between):
            continue
        if _is_sound(above) and _is_sound(rule) and implies(rule.conditions, above.conditions):
            return place + 1, above
    return None


def _is_sound(rule: Rule) -> bool:
    try:
        conditions.validate_of_rule(rule.conditions)
    except conditions.Invalid:
        return False
    return True


def changed_by(some: Iterable[Rule]) -> set[str]:
    return {field for rule in some for action in rule.actions for field in rules.changes(action)}


def implies(one: Tree, other: Tree) -> bool:
    """Whether whatever fits `one` certainly fits `other`. False where it may, but cannot be told. Trees are valid."""
    if not other or one == other:
        return True
    if "any" in one:
        return all(implies(branch, other) for branch in one["any"])
    if "all" in other:
        return all(implies(one, branch) for branch in other["all"])
    if "any" in other and any(implies(one, branch) for branch in other["any"]):
        return True
    if "all" in one:
        return any(implies(branch, other) for branch in one["all"])
    if "none" in one and "none" in other:
        # What `other` forbids, `one` forbids too.
        return all(any(implies(theirs, ours) for ours in one["none"]) for theirs in other["none"])
    return "field" in one and "field" in other and one["field"] == other["field"] and _leaf_implies(one, other)


def _leaf_implies(one: Tree, other: Tree) -> bool:
    field = conditions.field_named(one["field"]) if conditions.in_rules(one["field"]) else None
    if field is None or field.kind in ("moment", "due", "wait", "own", "custom"):
        return False
    if one.get("zone") != other.get("zone"):
        return False
    mine, theirs = _values(one), _values(other)
    match one["op"], other["op"]:
        case ("is", "is") if field.kind in ("order", "percent"):
            return mine == theirs
        case ("is", "is") | ("has", "has"):
            return mine <= theirs
        case ("is_not", "is_not") | ("has_not", "has_not"):
            return theirs <= mine
        case ("is", "is_not"):
            return field.kind in ("choice", "clock") and one["field"] not in conditions.SEVERAL and not mine & theirs
        case ("contains", "contains"):
            return all(any(part in whole for part in theirs) for whole in mine)
        case ("contains_not", "contains_not"):
            return all(any(part in whole for part in mine) for whole in theirs)
        case ("is" | "at_least", "at_least"):
            return min(mine) >= min(theirs)
        case ("is" | "at_most", "at_most"):
            return max(mine) <= max(theirs)
    return False


def _values(leaf: Mapping[str, Any]) -> set[Any]:
    value = leaf.get("value")
    values = value if isinstance(value, list) else [value]
    return {one.strip().casefold() if isinstance(one, str) else one for one in values}
