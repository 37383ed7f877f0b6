"""Versions of rules and policies that an admin brings back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _

from agents.permissions import agent_of
from tickets import conditions
from tickets.numbers import whole_number


def bring_back(request: HttpRequest, versions: Any, restore: Callable[..., object]) -> None:
    """Restore the posted `version` of these: it comes back as a new one, or the page says why it cannot."""
    number = whole_number(request.POST.get("version")) or 0
    version = get_object_or_404(versions, number=number)
    try:
        restore(version, by=agent_of(request), now=timezone.now())
    except conditions.Invalid as error:
        told = {"number": number, "problem": error.problem}
        messages.error(request, _("Version %(number)s cannot come back: %(problem)s") % told)
    else:
        messages.success(request, _("Version %(number)s is back, as a new version.") % {"number": number})
