"""Macros and canned answers: who may use and change them, what one says on a ticket, applying one, taking it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from agents.models import Agent
from tickets import actions, deeds, undoing, variables
from tickets.models import Attachment, Event, Macro, MacroFile, MacroUse, Ticket

COUNTED = timedelta(days=30)  # uses are counted so far back
MOST = 1000  # macros in one person's menu
MOST_FILES = 10

Then = dict[str, Any]  # {"macro": id, "deeds": [...]}: what a draft keeps, and an answer carries out


# -- Whose ------------------------------------------------------------------------------------------------------------


def macros_for(agent: Agent) -> QuerySet[Macro]:
    """What an agent may use: their own, their teams', everybody's."""
    teams = agent.memberships.values("team")
    return Macro.objects.filter(
        Q(scope=Macro.Scope.PERSONAL, owner=agent)
        | Q(scope=Macro.Scope.TEAM, team__in=teams)
        | Q(scope=Macro.Scope.SHARED),
        deleted_at__isnull=True,
    )


def editable_by(agent: Agent) -> QuerySet[Macro]:
    """What an agent may change: their own; managers those of all teams and everybody's too."""
    mine = Q(scope=Macro.Scope.PERSONAL, owner=agent)
    return Macro.objects.filter(mine | ~Q(scope=Macro.Scope.PERSONAL) if agent.is_manager else mine)


def seen_by(agent: Agent) -> QuerySet[Macro]:
    """What the settings list: what they may use or change."""
    return (macros_for(agent) | editable_by(agent)).filter(deleted_at__isnull=True).distinct()


def macro_for(agent: Agent, pk: int) -> Macro:
    """Raises Http404 whether it does not exist or is not theirs to use."""
    macro = macros_for(agent).filter(pk=pk).first()
    if macro is None:
        raise Http404
    return macro


def with_usage(macros: QuerySet[Macro], *, now: datetime) -> QuerySet[Macro]:
    """Adds `times` (of the last 30 days) and `last_used_at`. Uses that were taken back do not count."""
    recent = Q(uses__at__gt=now - COUNTED, uses__undone_at__isnull=True)
    return macros.annotate(times=Count("uses", filter=recent), last_used_at=Max("uses__at", filter=recent))


def favourites(agent: Agent, *, now: datetime) -> dict[int, int]:
    """Macro id -> how often this agent used it lately."""
    used = MacroUse.objects.filter(agent=agent, at__gt=now - COUNTED).order_by().values("macro")
    return dict(used.annotate(n=Count("pk")).values_list("macro", "n"))


# -- On a ticket ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preview:
    """What a macro would say and do on this ticket."""

    text: str
    unresolved: tuple[str, ...]
    deeds: list[str]
    files: list[MacroFile]


def preview(macro: Macro, ticket: Ticket, *, agent: Agent, now: datetime) -> Preview:
    filled = variables.fill(macro.text, variables.of(ticket, agent=agent, now=now))
    files = list(macro.files.order_by("pk"))
    return Preview(filled.text, filled.unresolved, deeds.say(macro.deeds), files)


def chosen(agent: Agent, macro_id: int | None, kept: Iterable[int]) -> Then:
    """What to carry out of a macro: the deeds whose numbers were kept. {} without a macro that is theirs to use."""
    macro = macros_for(agent).filter(pk=macro_id).first() if macro_id and agent.may_reply else None
    if macro is None:
        return {}
    return {"macro": macro.pk, "deeds": [macro.deeds[n] for n in sorted(set(kept)) if 0 <= n < len(macro.deeds)]}


def apply(ticket: Ticket, then: Mapping[str, Any], *, agent: Agent, client_uuid: UUID, now: datetime) -> MacroUse:
    """Do what was chosen, without an answer. Raises actions.NotAllowed: then nothing is done."""
    return deeds.carry_out(ticket, then["deeds"], macro_id=then["macro"], agent=agent, client_uuid=client_uuid, now=now)


@transaction.atomic
def undo(use: MacroUse, *, agent: Agent, now: datetime) -> list[Event]:
    """Take back all that one use did, the last first. Raises NotAllowed; then all stays. Twice is once."""
    actions.lock(use.ticket_id)
    locked = MacroUse.objects.select_for_update(no_key=True).get(pk=use.pk)
    if locked.agent_id != agent.pk:
        raise actions.NotAllowed(_("This can no longer be undone."))
    if locked.undone_at is not None:
        return []
    ticket = Ticket.objects.get(pk=locked.ticket_id)
    undone = []
    for event in Event.objects.filter(pk__in=locked.event_ids).order_by("-id"):
        undone.append(undoing.undo(ticket, event, agent=agent, now=now))
        ticket.refresh_from_db()
    MacroUse.objects.filter(pk=locked.pk).update(undone_at=now)
    return [event for event in undone if event]


def files_for_use(macro: Macro, *, agent: Agent) -> list[Attachment]:
    """Unsent attachments of this agent's own, of the same bytes as the macro's files."""
    return [
        Attachment.objects.create(
            uploaded_by=agent,
            kind="image" if file.content_type.startswith("image/") else "document",
            name=file.name,
            content_type=file.content_type,
            size=file.size,
            sha256=file.sha256,
        )
        for file in macro.files.order_by("pk")
    ]
