"""Settings screens of routing: the ordered rules, each readable as a sentence, and the builder of conditions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents.models import AuditEntry, Skill, SkillLevel, Team
from agents.permissions import admins_only, agent_of
from tickets import conditions
from tickets.models import Rule, Ticket
from tickets.routing import rules


@admins_only
@require_GET
def rule_list(request: HttpRequest) -> HttpResponse:
    """The rules in the order in which they are tried."""
    rows = [
        {"rule": rule, "when": conditions_text(rule.conditions), "then": [rules.describe(a) for a in rule.actions]}
        for rule in Rule.objects.order_by("position", "id")
    ]
    return render(request, "workspace/settings/rules.html", {"page": "rules", "rows": rows})


@admins_only
@require_http_methods(["GET", "POST"])
def rule(request: HttpRequest, rule_id: int | None = None) -> HttpResponse:
    found = get_object_or_404(Rule, pk=rule_id) if rule_id else Rule(conditions={}, actions=[])
    problem = ""
    if request.method == "POST":
        before = _facts(found) if rule_id else {}
        problem = fill_in(found, request)
        if not problem:
            with transaction.atomic():
                if rule_id is None:
                    last = Rule.objects.order_by("-position").values_list("position", flat=True).first() or 0
                    found.position = last + 1
                else:
                    found.version += 1
                found.updated_at = timezone.now()
                found.save()
                AuditEntry.write(
                    "rule_changed" if rule_id else "rule_added",
                    actor=agent_of(request),
                    target=found,
                    facts={"before": before, "after": _facts(found)},
                )
            messages.success(request, _("Saved. It applies to what comes in from now on."))
            return redirect("rules")
    context = {
        "page": "rules",
        "rule": found,
        "problem": problem,
        "builder": builder_context(found.conditions),
        "teams": Team.objects.order_by("name"),
        "priorities": Ticket.Priority.choices,
        "skills": Skill.objects.order_by("name"),
        "levels": SkillLevel.choices,
        "whens": Rule.When.choices,
        "chosen": _chosen(found.actions),
    }
    return render(request, "workspace/settings/rule.html", context, status=422 if problem else 200)


def fill_in(found: Rule, request: HttpRequest) -> str:
    """Take over what was posted. Returns what is wrong with it, in the reader's language, or ""."""
    found.name = request.POST.get("name", "").strip()[:120]
    found.active = "active" in request.POST
    found.stop = "stop" in request.POST
    found.when = request.POST.get("when", Rule.When.CREATED)
    found.conditions, found.actions = posted_tree(request), _posted_actions(request)
    return _problem_of(found)


@admins_only
@require_POST
def rule_position(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Move up or down by one place: `direction` is up or down."""
    with transaction.atomic():
        ordered = list(Rule.objects.select_for_update().order_by("position", "id"))
        here = next((n for n, one in enumerate(ordered) if one.pk == rule_id), None)
        if here is None:
            raise Http404
        there = here + (-1 if request.POST.get("direction") == "up" else 1)
        if 0 <= there < len(ordered):
            ordered[here], ordered[there] = ordered[there], ordered[here]
            for place, one in enumerate(ordered):
                one.position = place
            Rule.objects.bulk_update(ordered, ["position"])
            AuditEntry.write("rules_ordered", actor=agent_of(request), facts={"order": [one.pk for one in ordered]})
    return redirect("rules")


@admins_only
@require_POST
def rule_active(request: HttpRequest, rule_id: int) -> HttpResponse:
    with transaction.atomic():
        found = get_object_or_404(Rule.objects.select_for_update(), pk=rule_id)
        found.active = not found.active
        found.save(update_fields=["active"])
        AuditEntry.write("rule_switched", actor=agent_of(request), target=found, facts={"active": found.active})
    return redirect("rules")


@admins_only
@require_GET
def condition_row(request: HttpRequest) -> HttpResponse:
    """One row of the builder, for the field that was just chosen."""
    name = request.GET.get("field", "text")
    n = request.GET.get("n", "0")
    number = whole_number(n)
    if name not in conditions.FIELDS or number is None:
        raise Http404
    row = _row(number, {"field": name, "op": "", "value": []})
    return render(request, "workspace/settings/condition_row.html", {"row": row, "fields": _field_choices()})


def conditions_text(tree: conditions.Tree) -> str:
    try:
        return conditions.sentence(tree)
    except conditions.Invalid as error:
        return error.problem


def builder_context(tree: conditions.Tree) -> dict[str, Any]:
    """The rows of the builder. A tree that is nested deeper than the builder draws is shown as its sentence."""
    group = next((name for name in ("all", "any") if name in tree), "all")
    leaves = [leaf for leaf in tree.get(group, []) if "field" in leaf and leaf["field"] in conditions.FIELDS]
    return {
        "group": group,
        "rows": [_row(n, leaf) for n, leaf in enumerate(leaves)],
        "next": len(leaves),
        "fields": _field_choices(),
    }


def posted_tree(request: HttpRequest) -> dict[str, Any]:
    """The tree of a posted builder; {} when it has no rows."""
    group = "any" if request.POST.get("group") == "any" else "all"
    leaves = []
    for n in sorted({int(key.split("-")[1]) for key in request.POST if _is_row_key(key)}):
        name = request.POST[f"cond-{n}-field"]
        field = conditions.FIELDS.get(name)
        values: list[Any] = request.POST.getlist(f"cond-{n}-value")
        if field and field.kind in ("text", "tags"):
            values = [word.strip() for text in values for word in text.split(",") if word.strip()]
        elif field and field.choices and any(isinstance(key, int) for key, _label in field.choices()):
            values = [number for value in values if (number := whole_number(value)) is not None]
        leaf = {"field": name, "op": request.POST.get(f"cond-{n}-op", ""), "value": values}
        leaves.append(leaf | {"value": values[0]} if field and field.kind == "order" and values else leaf)
    return {group: leaves} if leaves else {}


def _is_row_key(key: str) -> bool:
    parts = key.split("-")
    return len(parts) == 3 and parts[0] == "cond" and whole_number(parts[1]) is not None and parts[2] == "field"


def _row(n: int, leaf: dict[str, Any]) -> dict[str, Any]:
    field = conditions.FIELDS[leaf["field"]]
    value = leaf["value"]
    values = value if isinstance(value, list) else [value]
    return {
        "n": n,
        "field": leaf["field"],
        "op": leaf["op"],
        "kind": field.kind,
        "operators": conditions.OPERATORS[field.kind].items(),
        "choices": [(key, label, key in values) for key, label in (field.choices() if field.choices else [])],
        "text": ", ".join(str(item) for item in values),
    }


def _field_choices() -> list[tuple[str, str]]:
    return [(name, str(field.label)) for name, field in conditions.FIELDS.items()]


def _posted_actions(request: HttpRequest) -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = []
    if team := whole_number(request.POST.get("do-team")):
        actions.append({"do": "team", "team": team})
    if priority := whole_number(request.POST.get("do-priority")):
        actions.append({"do": "priority", "priority": priority})
    if tags := [word.strip() for word in request.POST.get("do-tags", "").split(",") if word.strip()]:
        actions.append({"do": "tags", "add": tags})
    if skill := whole_number(request.POST.get("do-skill")):
        actions.append(
            {
                "do": "skill",
                "skill": skill,
                "level": whole_number(request.POST.get("do-skill-level")) or SkillLevel.BASIC,
                "required": request.POST.get("do-skill-required") != "no",
                "relax_minutes": whole_number(request.POST.get("do-skill-relax")),
            }
        )
    return actions


def _chosen(actions: list[dict[str, Any]]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for action in actions:
        match action.get("do"):
            case "team":
                chosen["team"] = action.get("team")
            case "priority":
                chosen["priority"] = action.get("priority")
            case "tags":
                chosen["tags"] = ", ".join(action.get("add", []))
            case "skill":
                chosen |= {name: action.get(name) for name in ("skill", "level", "required", "relax_minutes")}
    return chosen


def _problem_of(found: Rule) -> str:
    if not found.name:
        return _("Give it a name.")
    if found.when not in Rule.When.values:
        return _("Choose when the rule runs.")
    try:
        conditions.validate(found.conditions)
        rules.validate_actions(found.actions)
    except conditions.Invalid as error:
        return error.problem
    return ""


def _facts(found: Rule) -> dict[str, Any]:
    return {
        name: getattr(found, name) for name in ("name", "active", "stop", "when", "conditions", "actions", "version")
    }


def whole_number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
