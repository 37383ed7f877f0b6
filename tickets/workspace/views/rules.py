"""Settings screens of routing: the ordered rules, each readable as a sentence, and the builder of conditions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents.models import Agent, AuditEntry, Skill, SkillLevel, Team
from agents.permissions import admins_only, agent_of
from tickets import conditions
from tickets.models import Macro, Rule, SlaPolicy, Ticket, Webhook
from tickets.models.rule import OF_TIME
from tickets.numbers import whole_number
from tickets.routing import rules, shadows, trial, versions
from tickets.timeline import labels_of_status
from tickets.workspace import building, filling, ordering
from tickets.workspace.views import restoring


@admins_only
@require_GET
def rule_list(request: HttpRequest) -> HttpResponse:
    """The rules in the order in which they are tried."""
    return render(request, "workspace/settings/rules.html", _listed())


@conditions.reading_once()
def _listed() -> dict[str, Any]:
    ordered = list(Rule.objects.order_by("position", "id"))
    standing, names = shadows.standing(ordered, now=timezone.now()), rules.Names()
    rows = [
        {
            "rule": rule,
            "when": rules.say_when(rule),
            "if": building.said(rule.conditions),
            "then": [rules.describe(action, names) for action in rule.actions],
            "standing": standing[rule.pk],
        }
        for rule in ordered
    ]
    return {"page": "rules", "rows": rows, "most_hits": shadows.MOST_HITS}


@admins_only
@require_http_methods(["GET", "POST"])
def rule(request: HttpRequest, rule_id: int | None = None) -> HttpResponse:
    """One that begins to act before anybody has seen what it does to the past stays a draft; its page offers both ways on."""
    found = get_object_or_404(Rule, pk=rule_id) if rule_id else Rule(conditions={}, actions=[])
    acts, problem = bool(rule_id) and found.active, ""
    if request.method == "POST":
        problem = fill_in(found, request)
        if not problem:
            is_draft = found.active and not acts and trial.is_untried(found)
            found.active = found.active and not is_draft
            versions.save(found, by=agent_of(request), now=timezone.now())
            if is_draft:
                return redirect("rule", found.pk)
            messages.success(request, _("Saved. It applies to what comes in from now on."))
            return redirect("rules")
    context = {
        "page": "rules",
        "rule": found,
        "problem": problem,
        "builder": building.of_request(request, found.conditions, of_rule=True),
        "whens": [(value, label, value in OF_TIME) for value, label in Rule.When.choices],
        "after": request.POST.get("after") or rules.span_of(found.after_minutes or 0),
        "history": versions.history(found) if rule_id else [],
        "is_draft": bool(rule_id) and not problem and not found.active and trial.is_untried(found),
        **_things_to_do(found),
    }
    return render(request, "workspace/settings/rule.html", context, status=422 if problem else 200)


def _things_to_do(found: Rule) -> dict[str, Any]:
    labels, chosen = labels_of_status(), _chosen(found.actions)
    agents = Agent.objects.filter(is_bot=False).order_by("name")
    return {
        "teams": Team.objects.order_by("name"),
        "agents": agents.filter(is_active=True),
        "answerers": [one for one in agents if (one.is_active and one.may_reply) or one.pk == chosen.get("agent")],
        "priorities": Ticket.Priority.choices,
        "skills": Skill.objects.order_by("name"),
        "levels": SkillLevel.choices,
        "policies": SlaPolicy.objects.filter(active=True).order_by("position", "id"),
        "statuses": [(status, labels[status]) for status in rules.STATUSES],
        "macros": Macro.objects.filter(deleted_at__isnull=True, scope__in=("team", "shared")).order_by("title"),
        "webhooks": Webhook.objects.filter(active=True).order_by("id"),
        "chosen": chosen,
        "field_values": filling.rows(chosen.get("fields") or {}),
    }


def fill_in(found: Rule, request: HttpRequest) -> str:
    """Take over what was posted. Returns what is wrong with it, in the reader's language, or ""."""
    form = request.POST
    found.name = form.get("name", "").strip()[:120]
    found.active = "active" in form
    found.stop = "stop" in form
    found.when = form.get("when", Rule.When.CREATED)
    found.business = found.when in OF_TIME and "business" in form
    found.actions = _posted_actions(form)
    if not found.name:
        return _("Give it a name.")
    if found.when not in Rule.When.values:
        return _("Choose when the rule runs.")
    try:
        found.after_minutes = _minutes(form.get("after", "")) if found.when in OF_TIME else None
        found.conditions = building.posted_tree(request, of_rule=True)
        rules.validate(found)
    except conditions.Invalid as error:
        return error.problem
    return ""


def _minutes(text: str) -> int:
    return int(conditions.ago(text.strip().lower()).total_seconds()) // 60


@admins_only
@require_POST
def rule_version(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Restore the posted `version`: it comes back as a new one."""
    restoring.bring_back(request, get_object_or_404(Rule, pk=rule_id).versions, versions.restore)
    return redirect("rule", rule_id)


@admins_only
@require_POST
def rule_position(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Move up or down by one place: `direction` is up or down."""
    ids = list(Rule.objects.order_by("position", "id").values_list("pk", flat=True))
    if rule_id not in ids:
        raise Http404
    here = ids.index(rule_id)
    there = here + (-1 if request.POST.get("direction") == "up" else 1)
    if 0 <= there < len(ids):
        ids[here], ids[there] = ids[there], ids[here]
        _reorder(",".join(map(str, ids)), request)
    return redirect("rules")


@admins_only
@require_POST
def rule_order(request: HttpRequest) -> HttpResponse:
    """All rules in the posted `order`, as one step. Answers with the list: what shadows what has changed too."""
    fits = _reorder(request.POST.get("order", ""), request)
    return render(request, "workspace/settings/rule_rows.html", _listed(), status=200 if fits else 409)


def _reorder(order: str, request: HttpRequest) -> bool:
    return ordering.reorder(Rule.objects.all(), order, kind="rules_ordered", by=agent_of(request))


@admins_only
@require_POST
def rule_active(request: HttpRequest, rule_id: int) -> HttpResponse:
    """Switch it on or off. One that nobody has tried needs `untried` for that: its page asks."""
    with transaction.atomic():
        found = get_object_or_404(Rule.objects.select_for_update(no_key=True), pk=rule_id)
        if not found.active and "untried" not in request.POST and trial.is_untried(found):
            return redirect("rule", rule_id)
        found.active, found.updated_at = not found.active, timezone.now()
        found.save(update_fields=["active", "updated_at"])  # it has had its chance to hold since then
        if found.active:
            versions.look_again([found.pk], now=found.updated_at)
        AuditEntry.write("rule_switched", actor=agent_of(request), target=found, facts={"active": found.active})
    return redirect("rules")


@admins_only
@require_GET
def condition_row(request: HttpRequest) -> HttpResponse:
    """One row of the builder, for the field (and comparison) that was just chosen; with `group`, a group around it."""
    name, number = request.GET.get("field", "text"), whole_number(request.GET.get("n", "0"))
    if not building.has_row(name) or number is None:
        raise Http404
    leaf = {"field": name, "op": request.GET.get("op", ""), "value": []}
    fields = building.field_choices(of_rule=request.GET.get("of") == "rule")
    if "group" in request.GET:
        item = building.group(number, "any", [leaf])
        return render(request, "workspace/settings/condition_group.html", {"item": item, "fields": fields})
    context = {"row": building.row(number, leaf), "fields": fields}
    return render(request, "workspace/settings/condition_row.html", context)


@admins_only
@require_POST
def builder(request: HttpRequest) -> HttpResponse:
    """The posted conditions as rows, as text, or as a sentence: `as` says which."""
    of_rule = request.POST.get("of") == "rule"
    read = building.posted(request.POST, of_rule=of_rule)
    wanted = request.POST.get("as", "sentence")
    if wanted == "sentence":
        context = {"sentence": building.said(read.tree), "misread": read.misread}
        return render(request, "workspace/settings/builder_sentence.html", {"builder": context})
    mode = building.TEXT if wanted == building.TEXT or read.misread else building.ROWS
    shown = building.context(read.tree, mode=mode, read=read, of_rule=of_rule)
    return render(request, "workspace/settings/builder.html", {"builder": shown})


def _posted_actions(form: QueryDict) -> list[rules.Action]:
    actions: list[rules.Action] = []
    for do, key in (("team", "team"), ("agent", "agent"), ("priority", "priority")):
        if number := whole_number(form.get(f"do-{do}")):
            actions.append({"do": do, key: number})
    tags = {key: _words(form.get(name, "")) for key, name in (("add", "do-tags"), ("remove", "do-untag"))}
    if any(tags.values()):
        actions.append({"do": "tags"} | {key: names for key, names in tags.items() if names})
    if values := filling.posted(form):
        actions.append({"do": "fields", "fields": values})
    if skill := whole_number(form.get("do-skill")):
        actions.append(
            {
                "do": "skill",
                "skill": skill,
                "level": whole_number(form.get("do-skill-level")) or SkillLevel.BASIC,
                "required": form.get("do-skill-required") != "no",
                "relax_minutes": whole_number(form.get("do-skill-relax")),
            }
        )
    if policy := whole_number(form.get("do-sla")):
        actions.append({"do": "sla", "policy": policy})
    if status := form.get("do-status"):
        actions.append({"do": "status", "status": status})
    actions += [{"do": do, "text": text} for do in ("note", "reply") if (text := form.get(f"do-{do}", "").strip())]
    for do in ("macro", "webhook"):
        if number := whole_number(form.get(f"do-{do}")):
            actions.append({"do": do, do: number})
    told = {key: _numbers(form, f"do-notify-{key}") for key in ("agents", "teams")}
    return [*actions, {"do": "notify", **told}] if any(told.values()) else actions


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(form: QueryDict, name: str) -> list[int]:
    return [number for value in form.getlist(name) if (number := whole_number(value)) is not None]


def _chosen(actions: list[rules.Action]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for action in actions:
        match action.get("do"):
            case "team" | "agent" | "priority" | "status" | "macro" | "webhook" as do:
                chosen[do] = action.get(do)
            case "tags":
                chosen["tags"] = ", ".join(action.get("add", []))
                chosen["untag"] = ", ".join(action.get("remove", []))
            case "skill":
                chosen |= {name: action.get(name) for name in ("skill", "level", "required", "relax_minutes")}
            case "sla":
                chosen["sla"] = action.get("policy")
            case "note" | "reply" as do:
                chosen[do] = action.get("text")
            case "notify":
                chosen["notify_agents"], chosen["notify_teams"] = action.get("agents", []), action.get("teams", [])
            case "fields":
                chosen["fields"] = action.get("fields")
    later = ("status", "note", "reply", "macro", "webhook", "notify_agents", "notify_teams")
    return chosen | {"more": any(chosen.get(name) for name in (*later, "agent", "untag", "fields"))}
