"""A rule is saved as a version: who, when, and all of it; what changed between two is told in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from agents.models import Agent, AuditEntry
from tickets import conditions
from tickets.models import Rule, RuleTimer, RuleVersion, SlaPolicyVersion
from tickets.routing import rules

KEPT = ("name", "when", "conditions", "actions", "stop", "after_minutes", "business")
SPAN = ("when", "after_minutes", "business")  # what says how long a rule of time waits
MOST = 50  # versions that the history shows


class Change(NamedTuple):
    """A version with what it took out and brought in, against the one before it."""

    version: RuleVersion | SlaPolicyVersion
    removed: list[str]
    added: list[str]


@transaction.atomic
def save(rule: Rule, *, by: Agent | None, now: datetime, restored: int | None = None) -> Rule:
    """Save it, new or changed, as its next version. Its place stays; a new one comes last. Written to the audit log."""
    before: dict[str, Any] = {}
    if rule.pk is None:
        last = Rule.objects.aggregate(last=Max("position"))["last"]
        rule.position, rule.version = (last + 1 if last is not None else 0), 1
    else:
        stored = Rule.objects.select_for_update(no_key=True).get(pk=rule.pk)  # whoever runs it writes its runs
        before = content_of(stored) | {"active": stored.active, "version": stored.version}
        rule.position, rule.version = stored.position, stored.version + 1
    rule.updated_at = now
    rule.save()
    content = content_of(rule)
    if before and rule.active and (not before["active"] or any(before[name] != content[name] for name in SPAN)):
        look_again([rule.pk], now=now)
    RuleVersion.objects.create(rule=rule, number=rule.version, content=content, restored=restored, by=by, at=now)
    after = content | {"active": rule.active, "version": rule.version}
    kind = "rule_restored" if restored else "rule_changed" if before else "rule_added"
    AuditEntry.write(kind, actor=by, target=rule, facts={"before": before, "after": after})
    return rule


def look_again(rule_ids: Sequence[int], *, now: datetime) -> None:
    """Who waits for these rules asks anew how long that is: a span has changed, or may have while they were off. Lock the
    rules before, as rows of which no key changes: a timer that runs holds its own row and refers to its rule."""
    RuleTimer.objects.filter(rule__in=rule_ids).update(due_at=now)


def restore(version: RuleVersion, *, by: Agent, now: datetime) -> Rule:
    """Make the rule what it was, as a new version. Raises conditions.Invalid when it speaks of what is gone."""
    rule = version.rule
    for name in KEPT:
        if name in version.content:
            setattr(rule, name, version.content[name])
    rules.validate(rule)
    return save(rule, by=by, now=now, restored=version.number)


@transaction.atomic
def adopt(ordered: Sequence[Rule], *, by: Agent, now: datetime) -> None:
    """Give the rules that are still there the order and the switches of these. The places that they have among the
    others are shared out anew. Written to the audit log."""
    stored = list(Rule.objects.select_for_update(no_key=True).order_by("position", "id"))
    by_id = {rule.pk: rule for rule in stored}
    moved = [by_id[rule.pk] for rule in ordered if rule.pk in by_id]
    switched = {rule.pk: rule.active for rule in ordered if rule.pk in by_id and by_id[rule.pk].active != rule.active}
    theirs = {rule.pk for rule in moved}
    following = iter(moved)
    for place, rule in enumerate([next(following) if one.pk in theirs else one for one in stored]):
        rule.position = place
        if rule.pk in switched:
            rule.active, rule.updated_at = switched[rule.pk], now
    Rule.objects.bulk_update(stored, ["position", "active", "updated_at"])
    look_again([pk for pk, active in switched.items() if active], now=now)
    order = [rule.pk for rule in sorted(stored, key=lambda rule: rule.position)]
    AuditEntry.write(
        "rules_ordered", actor=by, facts={"order": order, "switched": {f"{pk}": on for pk, on in switched.items()}}
    )


def content_of(rule: Rule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in KEPT}


@conditions.reading_once()
def history(rule: Rule) -> list[Change]:
    """The newest first, in the reader's language. A constant number of queries."""
    rows = list(rule.versions.select_related("by").order_by("-number")[: MOST + 1])
    names = rules.Names()
    return changes(rows, [sentences(row.content, names) for row in rows])


def changes(rows: Sequence[RuleVersion | SlaPolicyVersion], told: Sequence[list[str]]) -> list[Change]:
    """Of versions, the newest first, each told line by line. One beyond MOST is there to be compared with."""
    found = []
    for row, lines, former in zip(rows[:MOST], told, [*told[1:], []], strict=False):
        removed = [line for line in former if line not in lines]
        found.append(Change(row, removed, [line for line in lines if line not in former]))
    return found


def sentences(content: Mapping[str, Any], names: rules.Names) -> list[str]:
    """A version line by line: its name, when, each condition that must hold, each thing to do."""
    rule = Rule(**{name: content[name] for name in KEPT if name in content})
    lines = [_("Name: %(name)s") % {"name": rule.name}, _("When: %(when)s") % {"when": rules.say_when(rule)}]
    lines += said_one_by_one(rule.conditions)
    lines += [_("then %(action)s") % {"action": rules.describe(action, names)} for action in rule.actions]
    return [*lines, _("stop here")] if rule.stop else lines


def said_one_by_one(tree: conditions.Tree) -> list[str]:
    """Each condition that must hold is a line of its own, so that a difference names the one that changed."""
    branches = tree["all"] if set(tree) == {"all"} else [tree]
    return [_("if %(conditions)s") % {"conditions": said(branch)} for branch in branches if branch]


def said(tree: conditions.Tree) -> str:
    """As a sentence; what is outdated says what is the matter with it."""
    try:
        return conditions.sentence(tree)
    except conditions.Invalid as error:
        return error.problem
