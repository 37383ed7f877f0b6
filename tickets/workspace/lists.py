"""The lists of tickets that an agent works from: their names, their rows, and how many they hold.

A list is a URL and a few plain facts (`facts`), so that the browser can tell by itself whether a row that changed
still belongs here. Saved views will be more of the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from agents.models import Agent, Team
from tickets.access import Visibility, tickets_in
from tickets.models import Ticket
from tickets.models.ticket import UNSOLVED, TicketQuerySet

PAGE = 50  # rows
MOST = 1000  # counted exactly up to here
COUNTED_FOR = 8  # seconds
DONE = ("solved", "closed")
NOTHING_WAITING, APPEARS = _("Nothing waiting"), _("New messages appear here by themselves.")


@dataclass(frozen=True)
class TicketList:
    """`statuses` empty: every status. `assignee`: "" anybody, "me", "none". `asleep`: True only snoozed, None both."""

    name: str
    label: Any
    icon: str
    statuses: tuple[str, ...] = UNSOLVED
    assignee: str = ""
    asleep: bool | None = False
    team_id: int | None = None
    command: str = ""
    empty_title: Any = NOTHING_WAITING
    empty_text: Any = APPEARS

    @property
    def url(self) -> str:
        return reverse("inbox") if self.name == "inbox" else reverse("view", args=[self.name])

    def facts(self) -> dict[str, Any]:
        """What the browser needs to know to keep the list true (static/js/lib/ticket-list.js)."""
        return {
            "name": self.name,
            "statuses": self.statuses,
            "assignee": self.assignee,
            "asleep": self.asleep,
            "team": self.team_id,
        }

    def tickets(self, visibility: Visibility, *, agent: Agent, now: datetime) -> TicketQuerySet:
        tickets = tickets_in(visibility).survivors()
        if self.statuses:
            tickets = tickets.filter(status__in=self.statuses)
        if self.assignee:
            tickets = tickets.filter(assignee=agent) if self.assignee == "me" else tickets.unassigned()
        if self.team_id:
            tickets = tickets.filter(team=self.team_id)
        if self.asleep is not None:
            tickets = tickets.snoozed(now=now) if self.asleep else tickets.awake(now=now)
        return tickets


STANDARD: tuple[TicketList, ...] = (
    TicketList("inbox", _("Inbox"), "inbox", command="go.inbox"),
    TicketList(
        "mine",
        _("Mine"),
        "user-round-check",
        assignee="me",
        command="go.mine",
        empty_title=_("Nothing assigned to you"),
        empty_text=_("Take a ticket with I, or wait for routing."),
    ),
    TicketList(
        "unassigned",
        _("Unassigned"),
        "user-round-x",
        assignee="none",
        command="go.unassigned",
        empty_title=_("Everything has an owner"),
    ),
    TicketList(
        "snoozed",
        _("Snoozed"),
        "alarm-clock",
        asleep=True,
        command="go.snoozed",
        empty_title=_("Nothing is snoozed"),
        empty_text=_("Press H on a ticket to put it to sleep."),
    ),
    TicketList(
        "solved",
        _("Solved"),
        "circle-check",
        statuses=DONE,
        asleep=None,
        empty_title=_("Nothing solved yet"),
        empty_text=_("Solved and closed tickets are kept here."),
    ),
    TicketList(
        "all",
        _("All tickets"),
        "layers",
        statuses=(),
        asleep=None,
        command="go.all",
        empty_title=_("No tickets yet"),
        empty_text=_("Connect a channel, or write from the simulator."),
    ),
)
_BY_NAME = {one.name: one for one in STANDARD}


def team_list(team: Team, *, command: str = "") -> TicketList:
    return TicketList(f"team-{team.pk}", team.name, "users", team_id=team.pk, command=command)


def list_named(name: str) -> TicketList | None:
    """A list by its name in the URL, `team-7` for a team's; None when there is no such list."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    kind, _dash, number = name.partition("-")
    if kind == "team" and number.isascii() and number.isdigit() and len(number) < 19:
        team = Team.objects.filter(pk=int(number)).first()
        return team_list(team) if team else None
    return None


def page_of(tickets: TicketQuerySet, *, before: str = "") -> tuple[list[Ticket], str]:
    """One page of rows, latest first, and the cursor of the next one ("" at the end). A bad cursor is the first page."""
    cursor = _read(before)
    if cursor:
        at, pk = cursor
        tickets = tickets.filter(updated_at__lte=at).exclude(updated_at=at, id__gte=pk)
    found = list(tickets.for_rows().latest_first()[: PAGE + 1])
    if len(found) <= PAGE:
        return found, ""
    last = found[PAGE - 1]
    return found[:PAGE], f"{round(last.updated_at.timestamp() * 1_000_000)}-{last.pk}"


def _read(before: str) -> tuple[datetime, int] | None:
    micros, _dash, pk = before.partition("-")
    if not (micros.isascii() and micros.isdigit() and pk.isascii() and pk.isdigit()) or len(before) > 38:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros)), int(pk)
    except OverflowError:
        return None


def counts(lists: Iterable[TicketList], visibility: Visibility, *, agent: Agent, now: datetime) -> dict[str, str]:
    """How many tickets each list holds, as words: "12", "1,000+". Index counts up to a cap, cached for seconds.

    A cache that is away is a miss. The solved and the snoozed are not counted: nobody works them off.
    """
    wanted = [one for one in lists if one.statuses == UNSOLVED and not one.asleep]
    sight = _sight(visibility)
    keys = {one.name: f"count:{sight}:{one.name}:{agent.pk if one.assignee == 'me' else ''}" for one in wanted}
    known = cache.get_many(keys.values())
    fresh: dict[str, int] = {}
    for one in wanted:
        if keys[one.name] not in known:
            capped = one.tickets(visibility, agent=agent, now=now).order_by().values("pk")[: MOST + 1]
            fresh[keys[one.name]] = known[keys[one.name]] = capped.count()
    if fresh:
        cache.set_many(fresh, COUNTED_FOR)
    return {name: in_words(known[key]) for name, key in keys.items()}


def in_words(n: int) -> str:
    """ "" for none, "12", "1,000+"."""
    return f"{MOST:,}+" if n > MOST else str(n) if n else ""


def _sight(visibility: Visibility) -> str:
    """A name for a set of rights, the same in every process."""
    brands = "all" if visibility.brand_ids is None else ",".join(map(str, sorted(visibility.brand_ids)))
    if visibility.everything:
        return brands
    return f"{brands}:{visibility.agent_id}:{','.join(map(str, sorted(visibility.team_ids)))}"
