"""Variables in prepared texts: `{{customer.name}}`, with a fallback `{{customer.name|there}}`. Pure but for `of`.

What has no value and no fallback stays in the text as it is written, so that somebody sees it before the customer does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import formats, translation
from django.utils.translation import gettext_lazy as _

from agents.models import Agent
from tickets.models import Ticket
from tickets.timeline import in_words

VARIABLE = re.compile(r"\{\{\s*([a-z0-9_.]+)\s*(?:\|([^{}]*))?\}\}", re.IGNORECASE)
FIELD = "field."  # {{field.order_id}}: the ticket's own fields
ATTRIBUTE = "customer.attribute."

# Name -> what it stands for: the picker of the editor.
NAMES: Mapping[str, Any] = {
    "customer.name": _("Name of the customer"),
    "customer.organisation": _("Organisation of the customer"),
    "agent.name": _("Your name"),
    "agent.email": _("Your e-mail address"),
    "ticket.number": _("Number of the ticket"),
    "ticket.subject": _("Subject of the ticket"),
    "brand.name": _("Name of the brand"),
    "date.today": _("Today's date"),
    "date.tomorrow": _("Tomorrow's date"),
}
WITH_FALLBACK = frozenset({"customer.name", "customer.organisation", "ticket.subject"})  # may be unknown


def offered() -> list[dict[str, Any]]:
    """For the picker of an editor: what it is called, and what it writes; with a bar where a fallback is wise."""
    return [
        {"label": label, "text": "{{" + name + ("|" if name in WITH_FALLBACK else "") + "}}"}
        for name, label in NAMES.items()
    ]


@dataclass(frozen=True)
class Filled:
    text: str
    unresolved: tuple[str, ...]  # as they stand in the text


def fill(text: str, values: Mapping[str, str]) -> Filled:
    """Put values in the place of variables. An empty value counts as none; an unknown name does too."""
    left: list[str] = []

    def value(found: re.Match[str]) -> str:
        known = values.get(found[1].lower(), "") or (found[2] or "").strip()
        if not known:
            left.append(found[0])
        return known or found[0]

    return Filled(VARIABLE.sub(value, text), tuple(dict.fromkeys(left)))


def unknown(text: str) -> list[str]:
    """Variables that stand for nothing on any ticket: slips of the pen in a prepared text."""
    return [
        found[0]
        for found in VARIABLE.finditer(text)
        if found[1].lower() not in NAMES and not found[1].lower().startswith((FIELD, ATTRIBUTE))
    ]


def without_places(text: str) -> str:
    """Without the variables that have no value: for a text that nobody looks at before it goes."""
    return VARIABLE.sub("", text).strip()


def of(ticket: Ticket, *, agent: Agent | None, now: datetime) -> dict[str, str]:
    """The values on this ticket, as this agent or nobody writes them, dates in the language of the conversation."""
    here = now.astimezone(ZoneInfo(agent.time_zone if agent else settings.TIME_ZONE)).date()
    customer = ticket.customer
    with translation.override(ticket.language or (agent.language if agent else settings.LANGUAGE_CODE)):
        dates = [formats.date_format(here + timedelta(days=days), "DATE_FORMAT") for days in (0, 1)]
    values = {
        "customer.name": customer.name,
        "customer.organisation": customer.organisation,
        "agent.name": agent.name if agent else ticket.brand.name,
        "agent.email": agent.email if agent else "",
        "ticket.number": str(ticket.number),
        "ticket.subject": ticket.subject,
        "brand.name": ticket.brand.name,
        "date.today": dates[0],
        "date.tomorrow": dates[1],
    }
    for prefix, facts in ((FIELD, ticket.fields), (ATTRIBUTE, customer.attributes)):
        values |= {f"{prefix}{key}".lower(): in_words(value) for key, value in facts.items()}
    return values
