"""Who may open which settings. The lookup of tickets is `tickets.access`; this is about screens of people."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from time import time
from typing import Any

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from agents.models import Agent

View = Callable[..., HttpResponse]


def agent_of(request: HttpRequest) -> Agent:
    """The signed-in agent. Raises PermissionDenied for anybody else."""
    if not isinstance(request.user, Agent) or not request.user.is_active:
        raise PermissionDenied
    return request.user


def proved_lately(request: HttpRequest) -> bool:
    """Whether they signed in, or proved again who they are, within the last ten minutes. Secrets ask for it."""
    times = [record["at"] for record in get_authentication_records(request, agent_of(request))]
    return bool(times) and time() - max(times) < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def people_for(by: Agent) -> QuerySet[Agent]:
    """Whom an admin may manage: nobody who sees a brand that they do not see themselves."""
    people = Agent.objects.filter(is_bot=False)
    return people if by.brand_ids is None else people.filter(brand_ids__contained_by=by.brand_ids)


def admins_only(view: View) -> View:
    """Sends strangers to the sign-in; answers 403 to agents who may not."""
    return _guard(view, lambda agent: agent.is_admin)


def managers_only(view: View) -> View:
    return _guard(view, lambda agent: agent.is_manager)


def _guard(view: View, allowed: Callable[[Agent], bool]) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not allowed(agent_of(request)):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return login_required(guarded)
