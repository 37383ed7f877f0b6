"""Settings screens of people: agents, teams, business hours, and one's own profile."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import Count, ProtectedError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents import hours, presence
from agents.accounts import invitation
from agents.forms import AgentForm, CalendarForm, ProfileForm, SkillForm, TeamForm, country_name
from agents.models import Agent, AgentSkill, AuditEntry, Calendar, Membership, Skill, Team, with_hours
from agents.permissions import admins_only, agent_of, people_for


@login_required
@require_GET
def settings_home(request: HttpRequest) -> HttpResponse:
    """Admins begin with the channels, everybody else with their profile."""
    return redirect("/settings/channels/" if agent_of(request).is_admin else "profile")


@admins_only
@require_GET
def people(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    agents = people_for(agent_of(request)).prefetch_related("teams").order_by("-is_active", "name", "id")
    rows = [{"agent": agent, "presence": presence.shown(agent, now=now)} for agent in agents]
    return render(request, "agents/people.html", {"page": "people", "rows": rows})


@admins_only
@require_http_methods(["GET", "POST"])
def person(request: HttpRequest, agent_id: int | None = None) -> HttpResponse:
    """Add or edit a colleague. A new one gets an invitation, shown to be copied: mail may not be set up yet."""
    by = agent_of(request)
    agent = get_object_or_404(people_for(by), pk=agent_id) if agent_id else Agent(brand_ids=by.brand_ids)
    before = _facts(agent) if agent_id else {}
    form = AgentForm(request.POST or None, instance=agent, by=by)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            agent = form.save(commit=False)
            if agent_id is None:
                agent.set_unusable_password()
                agent.save()
            else:  # a heartbeat writes this row too
                agent.save(update_fields=form.columns())
            _set_teams(agent, form.cleaned_data["teams"])
            _set_skills(agent, form.chosen_skills())
            facts = {"before": before, "after": _facts(agent)}
            AuditEntry.write("agent_changed" if agent_id else "agent_added", actor=by, target=agent, facts=facts)
        if agent_id is None:
            return redirect("person_invitation", agent_id=agent.pk)
        messages.success(request, _("Saved."))
        return redirect("people")
    status = 422 if form.is_bound else 200
    return render(request, "agents/person.html", {"page": "people", "form": form, "agent": agent}, status=status)


@admins_only
@require_http_methods(["GET", "POST"])
def person_invitation(request: HttpRequest, agent_id: int) -> HttpResponse:
    """The link by which they set a password. POST makes it visible, and is audited; GET after adding shows it once."""
    by = agent_of(request)
    agent = get_object_or_404(people_for(by), pk=agent_id, is_active=True)
    if agent.role == Agent.Role.OWNER and by.role != Agent.Role.OWNER:
        messages.error(request, _("Only an owner can do this for an owner."))
        return redirect("people")
    if request.method == "GET" and agent.has_usable_password():
        return redirect("person", agent_id=agent.pk)
    AuditEntry.write("invitation_shown", actor=by, target=agent)
    return render(request, "agents/invitation.html", {"page": "people", "agent": agent, "link": invitation(agent)})


@admins_only
@require_http_methods(["GET", "POST"])
def teams(request: HttpRequest) -> HttpResponse:
    form = TeamForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            team = form.save()
            AuditEntry.write("team_added", actor=agent_of(request), target=team, facts={"name": team.name})
        return redirect("teams")
    rows = list(Team.objects.annotate(people=Count("agents")).select_related("calendar").order_by("position", "name"))
    # Apart from the people, and by the index of the status: one join of both would read every ticket there ever was.
    at_work = Team.objects.filter(tickets__status__in=["new", "open"]).order_by().annotate(n=Count("tickets"))
    open_of = dict(at_work.values_list("pk", "n"))
    for row in rows:
        row.open = open_of.get(row.pk, 0)  # type: ignore[attr-defined]
    context = {"page": "teams", "teams": rows, "form": form}
    return render(request, "agents/teams.html", context, status=422 if form.is_bound else 200)


@admins_only
@require_http_methods(["GET", "POST"])
def team(request: HttpRequest, team_id: int) -> HttpResponse:
    found = get_object_or_404(Team, pk=team_id)
    form = TeamForm(request.POST or None, instance=found)
    everyone = people_for(agent_of(request)).filter(is_active=True).order_by("name", "id")
    if request.method == "POST" and form.is_valid():
        chosen = everyone.filter(pk__in=[pk for pk in request.POST.getlist("people") if pk.isdecimal()])
        with transaction.atomic():
            form.save()
            found.memberships.filter(agent__in=everyone).exclude(agent__in=chosen).delete()
            Membership.objects.bulk_create(
                (Membership(team=found, agent=agent) for agent in chosen), ignore_conflicts=True
            )
            facts = {"name": found.name, "people": sorted(agent.pk for agent in chosen)}
            AuditEntry.write("team_changed", actor=agent_of(request), target=found, facts=facts)
        messages.success(request, _("Saved."))
        return redirect("teams")
    members = set(found.memberships.values_list("agent_id", flat=True))
    context = {"page": "teams", "team": found, "form": form, "everyone": everyone, "members": members}
    return render(request, "agents/team.html", context, status=422 if form.is_bound else 200)


@admins_only
@require_http_methods(["GET", "POST"])
def skills(request: HttpRequest) -> HttpResponse:
    """What tickets may need and agents may have. Levels are set on each agent's page."""
    form = SkillForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            skill = form.save()
            AuditEntry.write("skill_added", actor=agent_of(request), target=skill, facts={"name": skill.name})
        return redirect("skills")
    rows = Skill.objects.annotate(people=Count("agents")).order_by("name")
    status = 422 if form.is_bound else 200
    return render(request, "agents/skills.html", {"page": "skills", "skills": rows, "form": form}, status=status)


@admins_only
@require_POST
def skill_removal(request: HttpRequest, skill_id: int) -> HttpResponse:
    """A skill that a ticket has ever needed stays: its decisions name it."""
    found = get_object_or_404(Skill, pk=skill_id)
    try:
        with transaction.atomic():
            AuditEntry.write("skill_removed", actor=agent_of(request), target=found, facts={"name": found.name})
            found.delete()
    except ProtectedError:
        messages.error(request, _("Tickets have needed this skill. It stays, so that their routing can be explained."))
    return redirect("skills")


@admins_only
@require_GET
def calendars(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    rows = [
        _calendar_row(calendar, now=now) for calendar in with_hours(Calendar.objects.order_by("-is_default", "name"))
    ]
    return render(request, "agents/calendars.html", {"page": "hours", "rows": rows})


@admins_only
@require_http_methods(["GET", "POST"])
def calendar(request: HttpRequest, calendar_id: int | None = None) -> HttpResponse:
    found = get_object_or_404(Calendar, pk=calendar_id) if calendar_id else Calendar()
    form = CalendarForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            if calendar_id is None and not Calendar.objects.filter(is_default=True).exists():
                found.is_default = True
            saved = form.save()
            facts = {"name": saved.name, "version": saved.version}
            AuditEntry.write("hours_changed", actor=agent_of(request), target=saved, facts=facts)
        messages.success(request, _("Saved. The deadlines of running clocks follow within seconds."))
        return redirect("calendars")
    context = {"page": "hours", "form": form, "calendar": found}
    return render(request, "agents/calendar.html", context, status=422 if form.is_bound else 200)


@login_required
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=agent_of(request))
    if request.method == "POST" and form.is_valid():
        form.save(commit=False).save(update_fields=list(form.fields))  # a heartbeat writes this row too
        messages.success(request, _("Saved."))
        return redirect("profile")
    return render(
        request, "agents/profile.html", {"page": "profile", "form": form}, status=422 if form.is_bound else 200
    )


@login_required
@require_POST
def preference(request: HttpRequest) -> HttpResponse:
    """One preference at a time from the screens: theme, density, size of messages, shortcuts. 204."""
    agent, changed = agent_of(request), []
    choices = {
        "theme": ("system", "light", "dark"),
        "density": ("comfortable", "compact"),
        "message_size": ("13", "14", "16"),
    }
    for name, allowed in choices.items():
        if request.POST.get(name) in allowed:
            setattr(agent, name, request.POST[name])
            changed.append(name)
    if request.POST.get("shortcuts_on") in ("true", "false"):
        agent.shortcuts_on = request.POST["shortcuts_on"] == "true"
        changed.append("shortcuts_on")
    if changed:
        agent.save(update_fields=changed)
    return HttpResponse(status=204)


def _set_teams(agent: Agent, chosen: Any) -> None:
    agent.memberships.exclude(team__in=chosen).delete()
    Membership.objects.bulk_create((Membership(team=team, agent=agent) for team in chosen), ignore_conflicts=True)


def _set_skills(agent: Agent, chosen: dict[int, int]) -> None:
    agent.skills.exclude(skill__in=chosen).delete()
    AgentSkill.objects.bulk_create(
        (AgentSkill(agent=agent, skill_id=pk, level=level) for pk, level in chosen.items()),
        update_conflicts=True,
        unique_fields=["agent", "skill"],
        update_fields=["level"],
    )


def _facts(agent: Agent) -> dict[str, Any]:
    return {
        "role": agent.role,
        "sight": agent.sight,
        "capacity": agent.capacity,
        "active": agent.is_active,
        "teams": sorted(agent.memberships.values_list("team_id", flat=True)),
        "skills": dict(agent.skills.order_by("skill__name").values_list("skill__name", "level")),
    }


def _calendar_row(calendar: Calendar, *, now: Any) -> dict[str, Any]:
    """What customers would see now: open, or the next opening."""
    week = calendar.hours()
    row: dict[str, Any] = {
        "calendar": calendar,
        "country": country_name(calendar.holiday_country),
        "open": hours.is_open(week, now),
        "next": None,
    }
    if not row["open"]:
        try:
            row["next"] = hours.next_opening(week, now)
        except hours.NeverOpens:
            row["next"] = None
    return row
