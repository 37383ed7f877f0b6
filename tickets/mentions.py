"""`@` in notes: whom a text names, of those who may see the ticket. The text is the only truth, wherever it comes from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agents.models import Agent, Team
from tickets.access import agents_who_see
from tickets.models import Mention, Message, Ticket


@dataclass(frozen=True)
class Named:
    """Somebody who can be named in a note, and the words that name them (without the sign)."""

    handle: str
    agent: Agent | None = None
    team: Team | None = None


def nameable(ticket: Ticket) -> list[Named]:
    """Agents who may see the ticket, and teams with such agents in them. Two queries.

    Who shares a name is named with the beginning of their address: "@Mina (mina.kim)".
    """
    people = list(agents_who_see(ticket).order_by("name", "pk"))
    teams = list(Team.objects.filter(memberships__agent__in=people).distinct().order_by("position", "name", "pk"))
    times = Counter(name.casefold() for name in [*(one.name for one in people), *(one.name for one in teams)])
    named = [Named(handle=_handle(person, times[person.name.casefold()]), agent=person) for person in people]
    return named + [Named(handle=team.name, team=team) for team in teams]


def _handle(person: Agent, times: int) -> str:
    return person.name if times == 1 else f"{person.name} ({person.email.partition('@')[0]})"


def found_in(text: str, named: Iterable[Named]) -> list[Named]:
    """Whom the text names. The longest handle wins; what follows a Latin one must not go on with the word."""
    handles: Mapping[str, Named] = {one.handle.casefold(): one for one in named if one.handle}
    if "@" not in text or not handles:
        return []
    longest_first = sorted(handles, key=len, reverse=True)
    ends = [re.escape(handle) + (r"(?![a-z0-9_])" if _is_latin(handle[-1]) else "") for handle in longest_first]
    pattern = re.compile(r"(?<![\w.@])@(" + "|".join(ends) + ")")
    return list(dict.fromkeys(handles[found[1]] for found in pattern.finditer(text.casefold())))


def _is_latin(letter: str) -> bool:
    return letter.isascii() and letter.isalnum()


def keep(message: Message, named: Iterable[Named]) -> None:
    """With the note, in its transaction."""
    Mention.objects.bulk_create(Mention(message=message, agent=one.agent, team=one.team) for one in named)
