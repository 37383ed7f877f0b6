"""The views that people keep: whose they are, who sees them, and who may change them."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import Http404

from agents.models import Agent, Team
from tickets.models import SavedView

MOST = 60  # shown to one person


def teams_for(agent: Agent) -> QuerySet[Team]:
    """The teams whose lists somebody may open: all for those who see everything, else their own."""
    teams = Team.objects.order_by("position", "name", "pk")
    if agent.is_manager or agent.sight == Agent.Sight.ALL:
        return teams
    return teams.filter(memberships__agent=agent) if agent.sight == Agent.Sight.TEAMS else teams.none()


def views_for(agent: Agent) -> QuerySet[SavedView]:
    """One's own, those of one's teams, and everybody's; in this order, each group as its people arranged it."""
    scope = SavedView.Scope
    mine = Q(scope=scope.PERSONAL, owner=agent) | Q(scope=scope.SHARED)
    mine |= Q(scope=scope.TEAM, team__in=agent.memberships.values("team"))
    nearest = Case(
        When(scope=scope.PERSONAL, then=Value(0)),
        When(scope=scope.TEAM, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return SavedView.objects.filter(mine, deleted_at__isnull=True).order_by(nearest, "position", "pk")


def view_for(agent: Agent, pk: int) -> SavedView:
    """Raises Http404 whether it does not exist or is not theirs to see."""
    view = views_for(agent).filter(pk=pk).first()
    if view is None:
        raise Http404
    return view


def may_edit(agent: Agent, view: SavedView) -> bool:
    return view.owner_id == agent.pk or (view.scope != SavedView.Scope.PERSONAL and agent.is_manager)


def with_numbers(views: list[SavedView]) -> dict[int, SavedView]:
    """Digit -> the view that G and this digit open: the nearest to the person wins."""
    numbered: dict[int, SavedView] = {}
    for view in views:
        if view.number and view.number not in numbered:
            numbered[view.number] = view
    return numbered


def delete(view: SavedView, *, now: datetime) -> None:
    SavedView.objects.filter(pk=view.pk).update(deleted_at=now)


def restore(agent: Agent, pk: int) -> SavedView:
    """Bring back a view that this person deleted or may edit. Raises Http404."""
    view = SavedView.objects.filter(pk=pk, deleted_at__isnull=False).first()
    if view is None or not may_edit(agent, view):
        raise Http404
    SavedView.objects.filter(pk=pk).update(deleted_at=None)
    view.deleted_at = None
    return view


def move(agent: Agent, view: SavedView, *, by: int) -> None:
    """One place up (-1) or down (1) among the views of its group that this person sees."""
    group = [one for one in views_for(agent) if (one.scope, one.team_id) == (view.scope, view.team_id)]
    at = next(n for n, one in enumerate(group) if one.pk == view.pk)
    to = min(max(at + by, 0), len(group) - 1)
    group.insert(to, group.pop(at))
    for position, one in enumerate(group):
        if one.position != position:
            SavedView.objects.filter(pk=one.pk).update(position=position)
