"""Settings screens of macros: everybody keeps their own, managers those of teams and of everybody."""

from __future__ import annotations

from itertools import groupby
from typing import Any, BinaryIO, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents.models import Agent, AuditEntry, Team
from agents.permissions import agent_of
from tickets import deeds, files, macros, variables
from tickets.access import tickets_for
from tickets.models import Macro, MacroFile, Ticket
from tickets.numbers import whole_number
from tickets.timeline import labels_of_priority, labels_of_status
from tickets.workspace import filling

LONGEST_TEXT = 20_000  # characters
LARGEST_FILE = 25 * 1024 * 1024  # bytes


@login_required
@require_GET
def macro_list(request: HttpRequest) -> HttpResponse:
    """By folder, with how often each was used in the last 30 days. `q` searches, `scope` narrows."""
    agent = agent_of(request)
    query, scope = request.GET.get("q", "").strip()[:100], request.GET.get("scope", "")
    found = macros.seen_by(agent).select_related("owner", "team")
    if query:
        found = found.filter(
            Q(title__icontains=query) | Q(code__icontains=query) | Q(folder__icontains=query) | Q(text__icontains=query)
        )
    if scope in Macro.Scope.values:
        found = found.filter(scope=scope)
    rows = list(
        macros.with_usage(found, now=timezone.now())
        .prefetch_related("files")
        .order_by("folder", "title", "pk")[: macros.MOST]
    )
    shown: list[dict[str, Any]] = [{"macro": macro, "deeds": done} for macro, done in deeds.say_each(rows)]
    folders = [
        {"name": name, "rows": list(group)} for name, group in groupby(shown, key=lambda row: row["macro"].folder)
    ]
    context = {"folders": folders, "query": query, "scope": scope, "scopes": Macro.Scope.choices}
    return render(request, "workspace/settings/macros.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def macro(request: HttpRequest, macro_id: int | None = None) -> HttpResponse:
    """One macro: read by whom it serves, changed by whom it belongs to."""
    agent = agent_of(request)
    found = get_object_or_404(macros.seen_by(agent), pk=macro_id) if macro_id else Macro(owner=agent)
    editable = macro_id is None or macros.editable_by(agent).filter(pk=macro_id).exists()
    problem = ""
    if request.method == "POST":
        if not editable:
            raise PermissionDenied
        before = _facts(found) if macro_id else {}
        problem = _take(found, request, agent)
        if not problem:
            try:
                _save(found, request, agent, before=before)
            except files.NoRoom:
                problem = _("The server has no room for files. Tell an administrator.")
            else:
                messages.success(request, _("Saved. It is in the menu of the composer now."))
                return redirect("macros")
    return render(
        request,
        "workspace/settings/macro.html",
        _context(found, agent, request) | {"problem": problem, "editable": editable},
        status=422 if problem else 200,
    )


@login_required
@require_POST
def macro_deletion(request: HttpRequest, macro_id: int) -> HttpResponse:
    """Out of all menus. `restore` brings it back."""
    agent = agent_of(request)
    found = get_object_or_404(macros.editable_by(agent), pk=macro_id)
    restore = "restore" in request.POST
    with transaction.atomic():
        Macro.objects.filter(pk=found.pk).update(deleted_at=None if restore else timezone.now())
        if found.scope != Macro.Scope.PERSONAL:
            AuditEntry.write("macro_restored" if restore else "macro_deleted", actor=agent, target=found)
    if restore:
        messages.success(request, _("It is back."))
        return redirect("macros")
    return render(request, "workspace/settings/macro_deleted.html", {"macro": found})


@login_required
@require_POST
def macro_preview(request: HttpRequest) -> HttpResponse:
    """What the form says and does, on the ticket `sample` (its number) or the newest one that the reader sees."""
    agent = agent_of(request)
    draft = Macro(owner=agent)
    problem = _take(draft, request, agent)
    ticket = _sample(agent, request.POST.get("sample", ""))
    filled = None
    if ticket:
        filled = variables.fill(draft.text, variables.of(ticket, agent=agent, now=timezone.now()))
    context = {
        "ticket": ticket,
        "pieces": _pieces(filled) if filled else [],
        "unresolved": filled.unresolved if filled else (),
        "deeds": deeds.say(draft.deeds),
        "problem": problem if request.POST.get("title") else "",
        "kind": draft.kind,
    }
    return render(request, "workspace/settings/macro_preview.html", context)


# -- The form ---------------------------------------------------------------------------------------------------------


def _take(found: Macro, request: HttpRequest, agent: Agent) -> str:
    """Put what was posted into the macro; returns what is wrong with it, "" when nothing is."""
    posted = request.POST
    found.title = " ".join(posted.get("title", "").split())[:120]
    found.code = posted.get("code", "").strip().lstrip("/#").replace(" ", "-")[:40]
    found.folder = " ".join(posted.get("folder", "").split())[:60]
    found.kind = posted.get("kind", Macro.Kind.REPLY)
    found.text = posted.get("text", "").replace("\r\n", "\n").strip()[:LONGEST_TEXT]
    found.scope = posted.get("scope", Macro.Scope.PERSONAL)
    team = Team.objects.filter(pk=whole_number(posted.get("team")) or 0).first()
    found.team = team if found.scope == Macro.Scope.TEAM else None
    try:
        found.deeds = deeds.check(_posted_deeds(request))
    except deeds.Invalid as error:
        found.deeds = []
        return str(error)
    return _problem_of(found, agent)


def _problem_of(found: Macro, agent: Agent) -> str:
    if not found.title:
        return _("Give it a title.")
    if found.kind not in Macro.Kind.values or found.scope not in Macro.Scope.values:
        return _("Choose what it is for.")
    if found.scope != Macro.Scope.PERSONAL and not agent.is_manager:
        return _("Only managers can change the macros of a team or of everybody.")
    if found.scope == Macro.Scope.TEAM and found.team is None:
        return _("Choose the team.")
    if not found.text and not found.deeds:
        return _("Write a text, or choose something that it does.")
    if slips := variables.unknown(found.text):
        return _("There is no such variable: %(names)s") % {"names": ", ".join(slips)}
    return ""


def _posted_deeds(request: HttpRequest) -> list[dict[str, Any]]:
    posted = request.POST
    wanted: list[dict[str, Any]] = []
    if status := posted.get("do-status"):
        wanted.append({"do": "status", "status": status})
    if priority := whole_number(posted.get("do-priority")):
        wanted.append({"do": "priority", "priority": priority})
    if team := whole_number(posted.get("do-team")):
        wanted.append({"do": "team", "team": team})
    match posted.get("do-assignee", ""):
        case "":
            pass
        case "me":
            wanted.append({"do": "assignee", "assignee": "me"})
        case "none":
            wanted.append({"do": "assignee", "assignee": None})
        case number:
            wanted.append({"do": "assignee", "assignee": whole_number(number) or 0})
    for do in ("tag", "untag"):
        if names := [name.strip() for name in posted.get(f"do-{do}", "").split(",") if name.strip()]:
            wanted.append({"do": do, "tags": names})
    if values := filling.posted(posted):
        wanted.append({"do": "fields", "fields": values})
    if length := posted.get("do-snooze", "").strip():
        unit = "days" if posted.get("do-snooze-unit") == "days" else "hours"
        wanted.append({"do": "snooze", unit: whole_number(length) or 0})
    return wanted


def _save(found: Macro, request: HttpRequest, agent: Agent, *, before: dict[str, Any]) -> None:
    """With its files, all or nothing. Raises files.NoRoom."""
    uploads = [one for one in request.FILES.getlist("files") if one.size and one.size <= LARGEST_FILE]
    stored = [(one, files.store(cast(BinaryIO, one))) for one in uploads[: macros.MOST_FILES]]
    with transaction.atomic():
        found.updated_at = timezone.now()
        found.save()
        leaving = [number for text in request.POST.getlist("drop-file") if (number := whole_number(text))]
        found.files.filter(pk__in=leaving).delete()
        room = max(0, macros.MOST_FILES - found.files.count())
        MacroFile.objects.bulk_create(
            MacroFile(
                macro=found,
                name=files.clean_name(upload.name or "")[:255],
                content_type=kept.content_type,
                size=kept.size,
                sha256=kept.sha256,
            )
            for upload, kept in stored[:room]
        )
        if found.scope != Macro.Scope.PERSONAL or before.get("scope", "personal") != Macro.Scope.PERSONAL:
            facts = {"before": before, "after": _facts(found)}
            AuditEntry.write("macro_changed" if before else "macro_added", actor=agent, target=found, facts=facts)


def _facts(found: Macro) -> dict[str, Any]:
    names = ("title", "code", "folder", "scope", "kind", "text", "deeds", "team_id")
    return {name: getattr(found, name) for name in names}


def _context(found: Macro, agent: Agent, request: HttpRequest) -> dict[str, Any]:
    chosen = {deed["do"]: deed for deed in found.deeds}
    teams = list(Team.objects.order_by("position", "name", "pk"))
    snooze = chosen.get("snooze", {})
    return {
        "macro": found,
        "scopes": [one for one in Macro.Scope.choices if agent.is_manager or one[0] == Macro.Scope.PERSONAL],
        "kinds": Macro.Kind.choices,
        "teams": teams,
        "people": Agent.objects.filter(is_active=True, is_bot=False).order_by("name", "pk"),
        "folders": sorted(set(macros.seen_by(agent).exclude(folder="").values_list("folder", flat=True))),
        "statuses": [(value, labels_of_status()[value]) for value in deeds.STATUSES],
        "priorities": labels_of_priority().items(),
        "variables": variables.offered(),
        "chosen": {
            "status": chosen.get("status", {}).get("status", ""),
            "priority": chosen.get("priority", {}).get("priority", ""),
            "team": chosen.get("team", {}).get("team", ""),
            "assignee": _chosen_person(chosen),
            "tag": ", ".join(chosen.get("tag", {}).get("tags", [])),
            "untag": ", ".join(chosen.get("untag", {}).get("tags", [])),
            "snooze": snooze.get("hours") or snooze.get("days") or "",
            "unit": "days" if "days" in snooze else "hours",
        },
        "field_values": filling.rows(chosen.get("fields", {}).get("fields", {})),
        "files": list(found.files.order_by("pk")) if found.pk else [],
        "sample": _sample(agent, ""),
    }


def _chosen_person(chosen: dict[str, Any]) -> Any:
    if "assignee" not in chosen:
        return ""
    person = chosen["assignee"]["assignee"]
    return "none" if person is None else person


def _sample(agent: Agent, number: str) -> Ticket | None:
    """A ticket that the reader sees, by its number, else the newest one."""
    mine = tickets_for(agent).select_related("customer", "brand")
    wanted = whole_number(number.strip().lstrip("#"))
    if wanted:
        return mine.filter(number=wanted).first()
    return mine.survivors().latest_first().first()


def _pieces(filled: variables.Filled) -> list[tuple[str, bool]]:
    """The text cut at the places that have no value: (words, is such a place)."""
    pieces, at = [], 0
    for place in variables.VARIABLE.finditer(filled.text):
        pieces += [(filled.text[at : place.start()], False), (place[0], True)]
        at = place.end()
    return [*pieces, (filled.text[at:], False)]
