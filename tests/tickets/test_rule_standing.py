"""Versions of rules, and the warnings about those that can do nothing."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import AuditEntry
from tests import cast
from tests.cast import Cast
from tests.workspace import scene
from tickets import conditions
from tickets.conditions import Invalid
from tickets.models import Rule, RuleMatch
from tickets.routing import shadows, versions

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def leaf(field: str, op: str, *values: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": values[0] if field == "priority" else list(values)}


REFUND, VIP, SMS = leaf("text", "contains", "refund"), leaf("customer_tier", "is", "vip"), leaf("channel", "is", "sms")


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


# -- Versions -----------------------------------------------------------------------------------------------------------


def saved(people: Cast, rule: Rule | None = None, **facts: Any) -> Rule:
    rule = rule or Rule(name="Refunds", conditions={"all": [REFUND, VIP]}, actions=[{"do": "priority", "priority": 3}])
    for name, value in facts.items():
        setattr(rule, name, value)
    return versions.save(rule, by=people.admin, now=NOW)


def test_every_save_is_kept_with_who_and_when_and_tells_what_changed(people: Cast) -> None:
    rule = saved(people)
    saved(people, rule, conditions={"all": [REFUND, SMS]}, actions=[{"do": "priority", "priority": 4}], stop=True)
    newest, first = versions.history(rule)
    assert (newest.version.number, newest.version.by, newest.version.at) == (2, people.admin, NOW)
    assert newest.removed == ["if Customer’s tier is VIP", "then Priority → High"]
    assert newest.added == ["if Channel is SMS", "then Priority → Urgent", "stop here"]
    assert first.removed == [] and "if Text contains “refund”" in first.added
    assert list(AuditEntry.objects.order_by("id").values_list("kind", flat=True)) == ["rule_added", "rule_changed"]


def test_an_old_version_comes_back_as_a_new_one(people: Cast) -> None:
    rule = saved(people)
    saved(people, rule, name="Other", conditions={})
    versions.restore(rule.versions.get(number=1), by=people.admin, now=NOW)
    rule.refresh_from_db()
    assert (rule.version, rule.name, rule.conditions) == (3, "Refunds", {"all": [REFUND, VIP]})
    newest = versions.history(rule)[0]
    assert newest.version.restored == 1 and "Name: Refunds" in newest.added
    assert AuditEntry.objects.filter(kind="rule_restored").count() == 1


def test_a_version_that_speaks_of_what_is_gone_does_not_come_back(people: Cast) -> None:
    team = people.billing
    rule = saved(people, actions=[{"do": "team", "team": team.pk + 1000}])
    saved(people, rule, actions=[{"do": "priority", "priority": 3}])
    with pytest.raises(Invalid):
        versions.restore(rule.versions.get(number=1), by=people.admin, now=NOW)
    rule = Rule.objects.get(pk=rule.pk)
    assert (rule.version, rule.versions.count()) == (2, 2)


def test_a_long_history_costs_as_many_queries(people: Cast) -> None:
    rule = saved(people, actions=[{"do": "team", "team": people.billing.pk}])

    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            versions.history(rule)
        return len(asked)

    before = cost()
    for n in range(5):
        saved(people, rule, name=f"Name {n}")
    assert cost() == before


# -- Warnings -----------------------------------------------------------------------------------------------------------

TREES: list[dict[str, Any]] = [
    {}, REFUND, VIP, {"all": [REFUND, VIP]}, {"any": [REFUND, VIP]}, {"none": [VIP]}, {"none": [VIP, SMS]},
    {"all": [SMS, {"any": [REFUND, VIP]}]}, {"any": [{"all": [REFUND, SMS]}, VIP]}, leaf("channel", "is", "sms", "email"),
    leaf("channel", "is_not", "sms"), leaf("channel", "is_not", "email", "sms"), leaf("channel", "is", "email"),
    leaf("text", "contains", "refunds"), leaf("text", "contains_not", "refund"), leaf("text", "contains_not", "fund"),
    leaf("priority", "at_least", 3), leaf("priority", "is", 4), leaf("priority", "at_most", 2), {"any": []}, {"all": []},
    leaf("tag", "has", "a"), leaf("tag", "has", "a", "b"), leaf("tag", "has_not", "a"), leaf("tag", "has_not", "a", "b"),
]  # fmt: skip


def worlds() -> list[dict[str, Any]]:
    choices = {
        "text": [["A REFUND please"], ["refunds"], ["fun"], ["fund"], ["hello"]],
        "customer_tier": ["vip", ""],
        "channel": ["sms", "email", "webchat"],
        "priority": [1, 3, 4],
        "tag": [set(), {"a"}, {"b"}, {"a", "b"}],
    }
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def test_what_is_said_to_imply_never_fits_alone() -> None:
    everywhere = worlds()
    fits = [{n for n, facts in enumerate(everywhere) if conditions.matches(tree, facts).matched} for tree in TREES]
    said = 0
    for (one, here), (other, there) in itertools.product(zip(TREES, fits, strict=True), repeat=2):
        if shadows.implies(one, other):
            said += 1
            assert here <= there, (one, other)
    assert said > 80  # it is not mute


def test_another_zone_is_another_day() -> None:
    monday, either = leaf("weekday", "is", 1), leaf("weekday", "is", 1, 2)
    assert shadows.implies(monday, either) and not shadows.implies(monday | {"zone": "UTC"}, either)
    assert shadows.implies(monday | {"zone": "UTC"}, either | {"zone": "UTC"})


def rule(n: int, tree: dict[str, Any], *do: dict[str, Any], **facts: Any) -> Rule:
    kept = {"name": f"R{n}", "position": n, "conditions": tree, "updated_at": NOW}
    return Rule.objects.create(**kept | {"actions": list(do) or [{"do": "tags", "add": ["x"]}]} | facts)


def shadow_of(rule: Rule) -> str:
    ordered = list(Rule.objects.order_by("position", "id"))
    found = shadows.standing(ordered, now=NOW)[rule.pk].shadow
    return f"{found[0]} {found[1].name}" if found else ""


def test_a_rule_behind_one_that_always_stops_first_is_in_its_shadow() -> None:
    rule(0, REFUND, stop=True)
    assert shadow_of(rule(1, {"all": [REFUND, VIP]})) == "1 R0"
    assert shadow_of(rule(2, VIP)) == ""


@pytest.mark.parametrize("facts", [{"stop": False}, {"stop": True, "active": False}, {"stop": True, "when": "rated"}])
def test_one_that_does_not_stop_is_off_or_runs_at_another_time_casts_none(facts: dict[str, Any]) -> None:
    rule(0, {}, **facts)
    assert shadow_of(rule(1, REFUND)) == ""


def test_what_a_rule_between_them_may_have_changed_is_not_certain(people: Cast) -> None:
    rule(0, leaf("priority", "at_least", 3), stop=True)
    between = rule(1, VIP, {"do": "priority", "priority": 4})
    late = rule(2, leaf("priority", "at_least", 4))
    assert shadow_of(late) == ""
    between.delete()
    assert shadow_of(late) == "1 R0"


def test_hits_are_counted_and_a_rule_that_never_holds_is_named(people: Cast) -> None:
    ticket = scene.many(people, 1, now=NOW)[0]
    old = NOW - timedelta(days=40)
    fresh, idle, used = (rule(n, VIP, updated_at=at) for n, at in enumerate([NOW, old, old]))
    for days in (1, 2, 8):
        RuleMatch.objects.create(rule=used, ticket=ticket, at=NOW - timedelta(days=days))
    found = shadows.standing([fresh, idle, used], now=NOW)
    assert [found[one.pk].never for one in (fresh, idle, used)] == [False, True, False]
    assert (found[used.pk].hits, found[used.pk].last_at) == (2, NOW - timedelta(days=1))
