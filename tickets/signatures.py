"""What stands under an answer by mail: chosen by who answers, the ticket's team and its brand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from agents.models import Agent, AuditEntry, Team
from tickets import variables
from tickets.models import Brand, Signature, Ticket

LONGEST = 2000  # characters
DELIMITER = "\n\n-- \n"  # what mail programs fold away (RFC 3676 4.3)


def text_for(ticket: Ticket, *, agent: Agent | None, now: datetime) -> str:
    """The agent's own signature, else that of the ticket's team, else that of its brand; "" where there is none. Without
    an agent it is the brand's, without the lines that name one.

    A line that has a variable without a value is left out: nobody reads it over before the customer does.
    """
    fitting = Q(brand=ticket.brand_id, team__isnull=True)
    if agent is not None:
        fitting |= Q(agent=agent) | Q(brand=ticket.brand_id, team=ticket.team_id)
    found = list(Signature.objects.filter(fitting))
    if not found:
        return ""
    chosen = max(found, key=lambda one: (one.agent_id is not None, one.team_id is not None))
    values = variables.of(ticket, agent=agent, now=now)
    if agent is None:
        values["agent.name"] = ""
    lines = [variables.fill(line, values) for line in chosen.text.splitlines()]
    return "\n".join(line.text for line in lines if not line.unresolved).strip()


def keep(text: str, *, by: Agent | None, brand: Brand | None = None, team: Team | None = None) -> None:
    """Write the signature of a brand (and team), or without one the author's own. An empty text removes it. Raises
    ValueError for a variable that stands for nothing, or a text that is too long."""
    text = text.replace("\r\n", "\n").strip()
    if odd := variables.unknown(text):
        raise ValueError(odd[0])
    if len(text) > LONGEST:
        raise ValueError(text[:20])
    place: dict[str, Any] = {"brand": brand, "team": team if brand else None, "agent": None if brand else by}
    with transaction.atomic():
        if text:
            Signature.objects.update_or_create(**place, defaults={"text": text})
        else:
            Signature.objects.filter(**place).delete()
        if brand:
            facts = {"team": team.pk if team else None, "text": text}
            AuditEntry.write("signature_changed", actor=by, target=brand, brand_id=brand.pk, facts=facts)
