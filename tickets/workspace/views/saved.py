"""Saved views: made from the list that is on the screen, changed, arranged, deleted and brought back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from agents.models import Agent
from tickets.models import SavedView
from tickets.templatetags.ui import HUES
from tickets.workspace import lists, saved
from tickets.workspace.answers import agent_of, say
from tickets.workspace.orders import ORDERS
from tickets.workspace.views.lists import nav_context


class ViewForm(forms.Form):
    """`of` says for whom: personal, shared, or team-<id>. `shows` are the columns that are not hidden."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60, widget=forms.TextInput(attrs={"autofocus": True}))
    of = forms.ChoiceField(label=gettext_lazy("Who sees it"))
    query = forms.CharField(
        label=gettext_lazy("Query"),
        max_length=lists.LONGEST_QUERY,
        required=False,
        help_text=gettext_lazy("As in the search box. Empty: everything in the list."),
    )
    sort = forms.ChoiceField(label=gettext_lazy("Sorted by"))
    number = forms.TypedChoiceField(
        label=gettext_lazy("Keyboard number"),
        required=False,
        coerce=int,
        empty_value=None,
        help_text=gettext_lazy("Press G, then it."),
    )
    shows = forms.MultipleChoiceField(
        label=gettext_lazy("Rows show"),
        required=False,
        choices=SavedView.Column.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    hue = forms.TypedChoiceField(label=gettext_lazy("Colour"), coerce=int, choices=[(n, n) for n in range(HUES)])
    base = forms.CharField(widget=forms.HiddenInput, max_length=40)

    def __init__(self, *args: Any, agent: Agent, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.agent = agent
        self.fields["of"].choices = _audiences(agent)  # type: ignore[attr-defined]
        self.fields["sort"].choices = [(order.name, order.label) for order in ORDERS.values()]  # type: ignore[attr-defined]
        self.fields["number"].choices = [("", "—"), *((n, str(n)) for n in range(1, 10))]  # type: ignore[attr-defined]

    def clean_base(self) -> str:
        base: str = self.cleaned_data["base"]
        if base.startswith(("view-", "board-")) or lists.list_named(base, agent=self.agent) is None:
            raise forms.ValidationError(_("This list does not exist any more."))
        return base

    def columns(self) -> dict[str, Any]:
        """What a SavedView takes from it."""
        said = dict(self.cleaned_data)
        scope, _dash, team = said.pop("of").partition("-")
        hidden = others_than(said.pop("shows"))
        return said | {"hidden": hidden, "scope": scope, "team_id": int(team) if team else None}


def others_than(columns: Iterable[str]) -> list[str]:
    """Those that are hidden where these are shown, or the other way round."""
    return [column for column in SavedView.Column.values if column not in columns]


@login_required
@require_http_methods(["GET", "POST"])
def views(request: HttpRequest) -> HttpResponse:
    """GET: the form, filled from the list that the address names (`?view=mine&q=`). POST: keep it."""
    agent = agent_of(request)
    if request.method == "GET":
        shown = lists.narrowed(
            lists.list_named(request.GET.get("view", "inbox"), agent=agent) or lists.STANDARD[0], request.GET
        )
        base = shown.view.base if shown.view else shown.name
        known = {"base": base, "query": shown.query, "sort": shown.order.name, "of": "personal", "hue": 0}
        known["shows"] = others_than(shown.hidden)
        return _form(request, ViewForm(initial=known, agent=agent), None)
    form = ViewForm(request.POST, agent=agent)
    if not form.is_valid():
        return _form(request, form, None, status=422)
    position = saved.views_for(agent).count()
    view = SavedView.objects.create(owner=agent, position=position, **form.columns())
    return _shown(request, view, said=_("View saved."))


@login_required
@require_http_methods(["GET", "POST", "DELETE"])
def view(request: HttpRequest, pk: int) -> HttpResponse:
    """GET: its form. POST: change it. DELETE: away with it, for as long as nobody brings it back."""
    agent = agent_of(request)
    found = _editable(agent, pk)
    if request.method == "DELETE":
        saved.delete(found, now=timezone.now())
        response = _nav(request, agent)
        _tell(response, left=found.pk)
        _say(response, message=_("View deleted."), undo=reverse("saved_view_restoration", args=[pk]))
        return response
    if request.method == "GET":
        shown = lists.list_named(f"view-{pk}", agent=agent)
        hidden = lists.narrowed(shown, request.GET).hidden if shown else found.hidden
        query = request.GET.get("q", found.query)
        of = f"team-{found.team_id}" if found.team_id else found.scope
        known = {
            "name": found.name,
            "of": of,
            "query": query,
            "hue": found.hue,
            "number": found.number,
            "base": found.base,
            "shows": others_than(hidden),
        }
        sort = request.GET.get("sort") or found.sort or (shown.order.name if shown else "due")
        return _form(request, ViewForm(initial=known | {"sort": sort}, agent=agent), found)
    form = ViewForm(request.POST, agent=agent)
    if not form.is_valid():
        return _form(request, form, found, status=422)
    SavedView.objects.filter(pk=pk).update(**form.columns())
    return _shown(request, found, said=_("View saved."))


@login_required
@require_POST
def restoration(request: HttpRequest, pk: int) -> HttpResponse:
    saved.restore(agent_of(request), pk)
    return HttpResponse(status=204)


@login_required
@require_POST
def position(request: HttpRequest, pk: int) -> HttpResponse:
    """`by`: -1 a place up, 1 a place down."""
    agent = agent_of(request)
    by = {"-1": -1, "1": 1}.get(request.POST.get("by", ""))
    if by is None:
        return HttpResponse(status=422)
    saved.move(agent, _editable(agent, pk), by=by)
    return _nav(request, agent)


@login_required
@require_http_methods(["GET"])
def nav(request: HttpRequest) -> HttpResponse:
    """The views in the navigation, after an undo."""
    return _nav(request, agent_of(request))


def _editable(agent: Agent, pk: int) -> SavedView:
    found = saved.view_for(agent, pk)
    if not saved.may_edit(agent, found):
        raise PermissionDenied
    return found


def _audiences(agent: Agent) -> list[tuple[str, str]]:
    scope = SavedView.Scope
    teams = [
        (f"team-{one.team_id}", one.team.name) for one in agent.memberships.select_related("team").order_by("team")
    ]
    everybody = [(scope.SHARED.value, str(scope.SHARED.label))] if agent.is_manager else []
    return [(scope.PERSONAL.value, str(scope.PERSONAL.label)), *teams, *everybody]


def _form(request: HttpRequest, form: ViewForm, found: SavedView | None, *, status: int = 200) -> HttpResponse:
    url = reverse("saved_view", args=[found.pk]) if found else reverse("views")
    context = {"form": form, "url": url, "view": found, "hues": range(HUES), "hue": str(form["hue"].value() or 0)}
    return render(request, "workspace/view_form.html", context, status=status)


def _shown(request: HttpRequest, view: SavedView, *, said: str) -> HttpResponse:
    """The form has done its work: the navigation anew, and the view on the screen."""
    response = _nav(request, agent_of(request))
    _tell(response, url=reverse("view", args=[f"view-{view.pk}"]))
    _say(response, message=said)
    return response


def _nav(request: HttpRequest, agent: Agent) -> HttpResponse:
    response = render(request, "workspace/nav_views.html", nav_context(agent))
    response["HX-Retarget"], response["HX-Reswap"] = "#nav-views", "innerHTML"
    return response


def _tell(response: HttpResponse, **detail: Any) -> None:
    response["HX-Trigger"] = json.dumps({"view:saved": detail})


def _say(response: HttpResponse, *, message: str, undo: str = "") -> None:
    """A toast beside what the answer tells already."""
    told = json.loads(response.headers.get("HX-Trigger", "{}"))
    say(response, message=message, undo=undo)
    response["HX-Trigger"] = json.dumps(told | json.loads(response["HX-Trigger"]))
