"""What somebody has promised to customers, on their page in the settings, which knows no tickets itself."""

from typing import Any

from django import template

from agents.models import Agent
from agents.permissions import people_for
from tickets import promises

register = template.Library()


@register.inclusion_tag("workspace/settings/owed.html", takes_context=True)
def owed(context: Any, former: Agent) -> dict[str, Any]:
    """How many of them whoever reads it can hand over, to whom, and how many they do not see."""
    by = context["request"].user
    seen = promises.owed_by(former, seen_by=by).count()
    others = people_for(by).filter(is_active=True).exclude(pk=former.pk).order_by("name", "pk")
    return {
        "former": former,
        "seen": seen,
        "unseen": promises.open_promises().filter(owner=former).count() - seen,
        "others": others if seen else [],
        "csrf_token": context.get("csrf_token"),
    }
