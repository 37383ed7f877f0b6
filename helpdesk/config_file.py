"""Skills, business hours, teams, rules, promises and shared macros as one text that can be read, compared and carried.

Names stand for ids, so that the text means the same elsewhere. Reading it in makes and changes what it names and
removes nothing. What stands in it already as it is here is left alone, so that no version rises without a reason.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import yaml
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from agents.forms import parse_windows
from agents.models import Agent, AuditEntry, Calendar, CalendarClosing, CalendarWindow, Skill, Team
from tickets import conditions, deeds
from tickets.models import Macro, Rule, SlaPolicy, SlaTarget, Ticket, Webhook
from tickets.models.sla import SlaMetric
from tickets.routing import rules, versions

VERSION = 1
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TEAM = ("sticky_days", "accept_seconds", "give_back_minutes", "overflow_minutes")
_RULE = ("when", "after_minutes", "business", "active", "stop")
Item = dict[str, Any]


class Unfit(ValueError):
    """The text cannot be taken over. Says where and why."""


def export() -> str:
    """The whole configuration, always in the same order."""
    content = {"version": VERSION, **{name: list(items()) for name, (items, _apply) in SECTIONS.items()}}
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=120)


@transaction.atomic
def take_over(text: str, *, by: Agent | None) -> list[str]:
    """Make it so. Returns the lines of a unified diff of the whole configuration. Raises Unfit with nothing changed."""
    before = export()
    for name, items in _parsed(text).items():
        listed, apply = SECTIONS[name]
        known = {_key(item): item for item in listed()}
        for place, item in enumerate(items):
            try:
                if known.get(_key(item)) != item:
                    apply(item, place)
            except (conditions.Invalid, deeds.Invalid, ValidationError, ValueError, KeyError, TypeError) as fault:
                reason = f"{fault} is missing" if isinstance(fault, KeyError) else "; ".join(_words(fault))
                raise Unfit(f"{name}, {_key(item) or place + 1}: {reason}") from fault
    after = export()
    changed = list(difflib.unified_diff(before.splitlines(), after.splitlines(), "now", "then", lineterm=""))
    if changed:
        AuditEntry.write("configuration_imported", actor=by, facts={"diff": changed[:2000]})
    return changed


def compare(text: str) -> list[str]:
    """What `take_over` would change, without changing it. Raises Unfit."""
    with transaction.atomic():
        changed = take_over(text, by=None)
        transaction.set_rollback(True)
    return changed


def _parsed(text: str) -> dict[str, list[Any]]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        raise Unfit(f"This is no YAML: {fault}") from fault
    if not isinstance(content, dict) or content.pop("version", None) != VERSION:
        raise Unfit(f"This is no configuration of version {VERSION}.")
    if unknown := [name for name in content if name not in SECTIONS]:
        raise Unfit(f"Nobody knows the section {unknown[0]}.")
    if bad := [name for name, items in content.items() if not isinstance(items, list)]:
        raise Unfit(f"The section {bad[0]} is no list.")
    return {name: content[name] for name in SECTIONS if name in content}  # what others refer to comes first


def _key(item: Any) -> str:
    return str(item.get("name", "")) if isinstance(item, dict) else str(item)


def _words(fault: Exception) -> Iterable[str]:
    return fault.messages if isinstance(fault, ValidationError) else [str(fault)]


# -- Names for ids ------------------------------------------------------------------------------------------------------

_NAMED: Mapping[str, tuple[Any, str]] = {
    "team": (Team, "name"),
    "skill": (Skill, "name"),
    "assignee": (Agent, "email"),
    "calendar": (Calendar, "name"),
    "agent": (Agent, "email"),
    "policy": (SlaPolicy, "name"),
    "macro": (Macro, "title"),
    "webhook": (Webhook, "url"),
    "agents": (Agent, "email"),
    "teams": (Team, "name"),
}


def _name_of(kind: str, pk: Any) -> Any:
    model, field = _NAMED[kind]
    if not isinstance(pk, int) or pk == 0:
        return pk
    return model.objects.filter(pk=pk).values_list(field, flat=True).first()


def _id_of(kind: str, name: Any) -> Any:
    model, field = _NAMED[kind]
    if not isinstance(name, str):
        return name
    pk = model.objects.filter(**{field: name}).values_list("pk", flat=True).first()
    if pk is None:
        raise ValueError(f"there is no {kind} {name!r}")
    return pk


def _exchanged(deed: Item, exchange: Callable[[str, Any], Any]) -> Item:
    """A deed or an action with names for ids, or the other way round."""
    return {
        key: value
        if key not in _NAMED
        else [exchange(key, one) for one in value]
        if isinstance(value, list)
        else exchange(key, value)
        for key, value in deed.items()
    }


def _tree(tree: Any, exchange: Callable[[str, Any], Any]) -> Any:
    if not isinstance(tree, dict):
        return tree
    if "field" not in tree:
        return {group: [_tree(branch, exchange) for branch in branches] for group, branches in tree.items()}
    if tree["field"] not in ("team", "assignee"):
        return tree
    return {**tree, "value": [exchange(tree["field"], value) for value in tree["value"]]}


# -- Sections -----------------------------------------------------------------------------------------------------------


def _skills() -> Iterable[str]:
    return Skill.objects.order_by("name").values_list("name", flat=True)


def _apply_skill(name: Any, place: int) -> None:
    Skill.objects.get_or_create(name=str(name))


def _calendars() -> Iterable[Item]:
    for calendar in Calendar.objects.prefetch_related("windows", "closings").order_by("name", "id"):
        week: dict[str, list[str]] = {}
        for window in sorted(calendar.windows.all(), key=lambda one: (one.weekday, one.opens)):
            closes = f"{window.closes:%H:%M}"
            week.setdefault(WEEK[window.weekday], []).append(
                f"{window.opens:%H:%M}-{'24:00' if closes == '00:00' else closes}"
            )
        yield {
            "name": calendar.name,
            "time_zone": calendar.time_zone,
            "holidays": calendar.holiday_country,
            "week": week,
            "closed": {f"{one.date}": one.name for one in sorted(calendar.closings.all(), key=lambda one: one.date)},
        }


def _apply_calendar(item: Item, place: int) -> None:
    facts = {"time_zone": item["time_zone"], "holiday_country": item.get("holidays", "")}
    calendar, _made = Calendar.objects.update_or_create(name=item["name"], defaults=facts)
    calendar.full_clean()
    calendar.windows.all().delete()
    CalendarWindow.objects.bulk_create(
        CalendarWindow(calendar=calendar, weekday=WEEK.index(day), opens=opens, closes=closes)
        for day, texts in item.get("week", {}).items()
        for opens, closes in parse_windows(",".join(texts))
    )
    calendar.closings.all().delete()
    CalendarClosing.objects.bulk_create(
        CalendarClosing(calendar=calendar, date=date.fromisoformat(str(day)), name=name or "")
        for day, name in item.get("closed", {}).items()
    )
    calendar.touch()


def _teams() -> Iterable[Item]:
    for team in Team.objects.select_related("calendar", "overflow").order_by("position", "name"):
        yield {
            "name": team.name,
            "calendar": team.calendar.name if team.calendar else None,
            "overflow": team.overflow.name if team.overflow else None,
            **{name: getattr(team, name) for name in _TEAM},
        }


def _apply_team(item: Item, place: int) -> None:
    facts = {name: item[name] for name in _TEAM if name in item}
    facts |= {"calendar_id": _id_of("calendar", item.get("calendar"))}
    team, _made = Team.objects.update_or_create(name=item["name"], defaults=facts)
    # An overflow team may stand further down.
    helper = item.get("overflow")
    team.overflow = Team.objects.get_or_create(name=helper)[0] if helper else None
    team.full_clean()
    team.save()


def _rules() -> Iterable[Item]:
    for rule in Rule.objects.order_by("position", "id"):
        yield {
            "name": rule.name,
            **{name: getattr(rule, name) for name in _RULE},
            "if": _tree(rule.conditions, _name_of),
            "then": [_exchanged(action, _name_of) for action in rule.actions],
        }


def _apply_rule(item: Item, place: int) -> None:
    rule = Rule.objects.filter(name=item["name"]).first() or Rule(name=item["name"])
    for name in _RULE:
        setattr(rule, name, item.get(name, getattr(rule, name)))
    rule.conditions = _tree(item.get("if", {}), _id_of)
    rule.actions = [_exchanged(one, _id_of) for one in item["then"]]
    rule.full_clean(exclude=["conditions", "actions"])
    rules.validate(rule)
    versions.save(rule, by=None, now=timezone.now())
    Rule.objects.filter(pk=rule.pk).update(position=place)


def _policies() -> Iterable[Item]:
    rows = SlaPolicy.objects.select_related("calendar").prefetch_related("targets").order_by("position", "id")
    words = dict(zip(Ticket.Priority.values, _PRIORITIES, strict=True))
    for policy in rows:
        promises: dict[str, dict[str, int]] = {}
        for target in sorted(policy.targets.all(), key=lambda one: (-one.priority, SlaMetric.values.index(one.metric))):
            promises.setdefault(words[target.priority], {})[target.metric] = target.seconds // 60
        yield {
            "name": policy.name,
            "active": policy.active,
            "calendar": policy.calendar.name if policy.calendar else None,
            "if": _tree(policy.conditions, _name_of),
            "minutes": promises,
            "round_the_clock": sorted({target.metric for target in policy.targets.all() if not target.business}),
            "warn_percents": policy.warn_percents,
            "pauses_in": policy.pauses_in,
        }


_PRIORITIES = ("low", "normal", "high", "urgent")


def _apply_policy(item: Item, place: int) -> None:
    tree = _tree(item.get("if", {}), _id_of)
    conditions.validate(tree)
    policy = SlaPolicy.objects.filter(name=item["name"]).first() or SlaPolicy(name=item["name"], version=0)
    policy.calendar_id = _id_of("calendar", item.get("calendar"))
    policy.active, policy.conditions, policy.position = item.get("active", True), tree, place
    policy.warn_percents, policy.pauses_in = item.get("warn_percents", []), item.get("pauses_in", [])
    policy.version += 1
    policy.full_clean(exclude=["conditions", "warn_percents", "pauses_in"])
    policy.save()
    policy.targets.all().delete()
    numbers = dict(zip(_PRIORITIES, Ticket.Priority.values, strict=True))
    SlaTarget.objects.bulk_create(
        SlaTarget(
            policy=policy,
            priority=numbers[word],
            metric=SlaMetric(metric),
            seconds=int(minutes) * 60,
            business=metric not in item.get("round_the_clock", []),
        )
        for word, promises in item.get("minutes", {}).items()
        for metric, minutes in promises.items()
    )


def _macros() -> Iterable[Item]:
    """Those of everybody. Files and what people keep for themselves stay where they are."""
    shared = Macro.objects.filter(scope=Macro.Scope.SHARED, deleted_at__isnull=True)
    for macro in shared.order_by("folder", "title", "id"):
        yield {
            "name": macro.title,
            "code": macro.code,
            "folder": macro.folder,
            "kind": macro.kind,
            "text": macro.text,
            "deeds": [_exchanged(deed, _name_of) for deed in macro.deeds],
        }


def _apply_macro(item: Item, place: int) -> None:
    shared = Macro.objects.filter(scope=Macro.Scope.SHARED, deleted_at__isnull=True)
    owner = Agent.objects.filter(role=Agent.Role.OWNER, is_active=True).order_by("id").first()
    if owner is None:
        raise ValueError("there is no owner to whom it could belong")
    macro = shared.filter(title=item["name"]).first() or Macro(
        title=item["name"], scope=Macro.Scope.SHARED, owner=owner
    )
    for name in ("code", "folder", "kind", "text"):
        setattr(macro, name, item.get(name, getattr(macro, name)))
    macro.deeds = deeds.check([_exchanged(deed, _id_of) for deed in item.get("deeds", [])])
    macro.full_clean(exclude=["deeds"])
    macro.save()


SECTIONS: Mapping[str, tuple[Callable[[], Iterable[Any]], Callable[[Any, int], None]]] = {
    "skills": (_skills, _apply_skill),
    "calendars": (_calendars, _apply_calendar),
    "teams": (_teams, _apply_team),
    "policies": (_policies, _apply_policy),
    "macros": (_macros, _apply_macro),
    "rules": (_rules, _apply_rule),
}
