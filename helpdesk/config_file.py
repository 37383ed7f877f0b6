"""Skills, business hours, teams, ticket fields, promises, macros, rules, automatic answers and signatures as one text that
can be read, compared and carried.

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
from django.db.models import QuerySet
from django.utils import timezone

from agents.forms import parse_windows
from agents.models import Agent, AuditEntry, Calendar, CalendarClosing, CalendarWindow, Skill, Team
from tickets import answering, conditions, deeds, signatures
from tickets.models import (
    AutomaticAnswer,
    Brand,
    Channel,
    Incident,
    Macro,
    Rule,
    Signature,
    SlaPolicy,
    SlaTarget,
    Ticket,
    TicketField,
    Webhook,
)
from tickets.models.sla import SlaMetric
from tickets.routing import rules, versions
from tickets.sla import versions as policy_versions

VERSION = 1
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TEAM = (
    "sticky_days", "accept_seconds", "give_back_minutes", "overflow_minutes", "answerer_takes", "needs_tag",
    "act_minutes", "act_warn_percents", "wrap_up_minutes",
)  # fmt: skip
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
        if name in _ORDERED:
            _put_in_order(*_ORDERED[name], [_key(item) for item in items])
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
    """What it is known by: one of two with the same key is the other."""
    if not isinstance(item, dict):
        return str(item)
    if "key" in item:
        return str(item["key"])
    parts = ("name", "team") if "name" in item else ("channel", "kind", "brand", "team")
    return " ".join(str(item[part]) for part in parts if item.get(part))


def _put_in_order(model: Any, called: str, names: list[str]) -> None:
    """As they stand in the text, `called` by this column; what it does not name follows, in the order that it has."""
    rows = list(model.objects.select_for_update().order_by("position", "id"))
    places = {name: place for place, name in enumerate(names)}
    rows.sort(key=lambda row: places.get(getattr(row, called), len(names)))
    for place, row in enumerate(rows):
        if row.position != place:
            model.objects.filter(pk=row.pk).update(position=place)


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
    "brand": (Brand, "key"),
    "incident": (Incident, "title"),
    "channel": (Channel, "slug"),
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
    kind = _OF_FIELD.get(tree["field"])
    if kind is None:
        return tree
    return {**tree, "value": [exchange(kind, value) for value in tree["value"]]}


# Fields whose values are ids, and of what.
_OF_FIELD = {"team": "team", "assignee": "assignee", "brand": "brand", "needs": "skill", "incident": "incident"}


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


_FIELD = ("label", "kind", "choices", "required", "active")


def _fields() -> Iterable[Item]:
    for field in TicketField.objects.select_related("brand", "team").order_by("position", "id"):
        yield {
            "key": field.key,
            **{name: getattr(field, name) for name in _FIELD},
            "brand": field.brand.key if field.brand else None,
            "team": field.team.name if field.team else None,
        }


def _apply_field(item: Item, place: int) -> None:
    """A key keeps its kind: tickets have values of it."""
    field = TicketField.objects.filter(key=item["key"]).first() or TicketField(key=item["key"])
    if field.pk and item.get("kind", field.kind) != field.kind:
        raise ValueError(f"it is of the kind {field.kind!r} already")
    for name in _FIELD:
        setattr(field, name, item.get(name, getattr(field, name)))
    field.brand_id, field.team_id = _id_of("brand", item.get("brand")), _id_of("team", item.get("team"))
    field.full_clean()
    field.save()


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
            "round_the_clock": _round_the_clock(policy.targets.all()),
            "first_reply_from": policy.first_reply_from,
            "warn_percents": policy.warn_percents,
            "pauses_in": policy.pauses_in,
        }


_PRIORITIES = ("low", "normal", "high", "urgent")


def _round_the_clock(targets: Iterable[SlaTarget]) -> list[str] | dict[str, list[str]]:
    """The metrics that count so at every priority; where they differ, those of each priority."""
    always = {(target.priority, target.metric) for target in targets if not target.business}
    metrics = {metric for _priority, metric in always}
    if all((target.priority, target.metric) in always for target in targets if target.metric in metrics):
        return sorted(metrics)
    words = dict(zip(Ticket.Priority.values, _PRIORITIES, strict=True))
    return {
        words[priority]: sorted(metric for where, metric in always if where == priority)
        for priority in sorted({priority for priority, _metric in always}, reverse=True)
    }


def _apply_policy(item: Item, place: int) -> None:
    tree = _tree(item.get("if", {}), _id_of)
    conditions.validate(tree)
    policy = SlaPolicy.objects.filter(name=item["name"]).first() or SlaPolicy(name=item["name"])
    policy.calendar_id = _id_of("calendar", item.get("calendar"))
    policy.active, policy.conditions = item.get("active", True), tree
    policy.warn_percents, policy.pauses_in = item.get("warn_percents", []), item.get("pauses_in", [])
    policy.first_reply_from = item.get("first_reply_from", SlaPolicy.From.MESSAGE)
    policy.full_clean(exclude=["conditions", "warn_percents", "pauses_in"])
    numbers = dict(zip(_PRIORITIES, Ticket.Priority.values, strict=True))
    always = item.get("round_the_clock", [])
    targets = {
        (SlaMetric(metric).value, numbers[word]): (
            int(minutes) * 60,
            metric not in (always.get(word, []) if isinstance(always, dict) else always),
        )
        for word, promises in item.get("minutes", {}).items()
        for metric, minutes in promises.items()
    }
    policy_versions.save(policy, targets, by=None, now=timezone.now())
    SlaPolicy.objects.filter(pk=policy.pk).update(position=place)


def _shared_macros() -> QuerySet[Macro]:
    return Macro.objects.filter(scope__in=(Macro.Scope.SHARED, Macro.Scope.TEAM), deleted_at__isnull=True)


def _macros() -> Iterable[Item]:
    """Those of everybody and of teams. Files and what people keep for themselves stay where they are."""
    for macro in _shared_macros().select_related("team").order_by("folder", "title", "id"):
        yield {
            "name": macro.title,
            "team": macro.team.name if macro.team else None,
            "code": macro.code,
            "folder": macro.folder,
            "kind": macro.kind,
            "text": macro.text,
            "deeds": [_exchanged(deed, _name_of) for deed in macro.deeds],
        }


def _apply_macro(item: Item, place: int) -> None:
    team = _id_of("team", item.get("team"))
    scope = Macro.Scope.TEAM if team else Macro.Scope.SHARED
    owner = Agent.objects.filter(role=Agent.Role.OWNER, is_active=True).order_by("id").first()
    if owner is None:
        raise ValueError("there is no owner to whom it could belong")
    macro = _shared_macros().filter(title=item["name"], team=team).first() or Macro(
        title=item["name"], scope=scope, team_id=team, owner=owner
    )
    for name in ("code", "folder", "kind", "text"):
        setattr(macro, name, item.get(name, getattr(macro, name)))
    macro.deeds = deeds.check([_exchanged(deed, _id_of) for deed in item.get("deeds", [])])
    macro.full_clean(exclude=["deeds"])
    macro.save()


def _answers() -> Iterable[Item]:
    for answer in AutomaticAnswer.objects.select_related("channel").order_by("channel__slug", "kind"):
        yield {
            "channel": answer.channel.slug,
            "kind": answer.kind,
            "active": answer.active,
            "en": answer.text_en,
            "ko": answer.text_ko,
        }


def _apply_answer(item: Item, place: int) -> None:
    """Channels stay as they are, with their secrets: what speaks of one that is not here does not fit."""
    channel, kind = _id_of("channel", item["channel"]), AutomaticAnswer.Kind(item["kind"])
    answer = AutomaticAnswer.objects.filter(channel=channel, kind=kind).first()
    answer = answer or AutomaticAnswer(channel_id=channel, kind=kind)
    answer.active = item.get("active", False)
    answer.text_en, answer.text_ko = item.get("en", ""), item.get("ko", "")
    if problem := answering.fault_of(answer):
        raise ValueError(problem)
    answer.full_clean()
    answer.save()


def _signatures() -> Iterable[Item]:
    """Those of brands and of their teams. Everybody's own is theirs."""
    rows = Signature.objects.filter(agent__isnull=True).select_related("brand", "team")
    for one in rows.order_by("brand__key", "team__name"):
        assert one.brand is not None, "who has no agent has a brand"
        yield {"brand": one.brand.key, "team": one.team.name if one.team else None, "text": one.text}


def _apply_signature(item: Item, place: int) -> None:
    brand = Brand.objects.get(pk=_id_of("brand", item["brand"]))
    team = Team.objects.get(pk=_id_of("team", item["team"])) if item.get("team") else None
    signatures.keep(item["text"], by=None, brand=brand, team=team)


_ORDERED: Mapping[str, tuple[Any, str]] = {
    "fields": (TicketField, "key"),
    "policies": (SlaPolicy, "name"),
    "rules": (Rule, "name"),
}
SECTIONS: Mapping[str, tuple[Callable[[], Iterable[Any]], Callable[[Any, int], None]]] = {
    "skills": (_skills, _apply_skill),
    "calendars": (_calendars, _apply_calendar),
    "teams": (_teams, _apply_team),
    "fields": (_fields, _apply_field),
    "policies": (_policies, _apply_policy),
    "macros": (_macros, _apply_macro),
    "rules": (_rules, _apply_rule),
    "answers": (_answers, _apply_answer),
    "signatures": (_signatures, _apply_signature),
}
