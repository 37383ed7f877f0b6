"""The lists of tickets that an agent works from: their names, their rows, and how many they hold.

A list is a URL and a few plain facts (`facts`), so that the browser can tell by itself whether a row that changed
still belongs here, and where. A view is a list narrowed by a query: of that the browser asks the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from django.db.models import IntegerField, Subquery
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from agents.models import Agent, Team
from tickets import board, conditions, grammar, search
from tickets.access import Visibility, tickets_in, visibility_of
from tickets.conditions import Reader
from tickets.models import SavedView, Ticket
from tickets.models.ticket import UNSOLVED, TicketQuerySet
from tickets.numbers import whole_number
from tickets.workspace import saved
from tickets.workspace.orders import DUE, NEWEST, ORDERS, Order

PAGE = 50  # rows
MOST = 1000  # counted exactly up to here
COUNTED_FOR = 8  # seconds
VIEW_COUNTED_FOR = 30  # a query of somebody's own may cost more than an index count
LONGEST_QUERY = 500
DONE = ("solved", "closed")
NOTHING_WAITING, APPEARS = _("Nothing waiting"), _("New messages appear here by themselves.")


@dataclass(frozen=True)
class TicketList:
    """`statuses` empty: every status. `assignee`: "" anybody, "me", "none". `asleep`: True only snoozed, None both.

    `query` narrows it, in the text of the search box. `usual` is the order it has unless its address names another.
    `hidden`: what its rows leave out (`SavedView.Column`). All readers get the same rows; the style sheet hides it.
    """

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
    empty_leads: str = "all"  # the list that one is sent to from its end; "" where there is none
    usual: Order = DUE
    chosen: Order | None = None
    query: str = ""
    hidden: tuple[str, ...] = ()
    view: SavedView | None = None
    part: board.Part | None = None  # what a number of the live board counts

    @property
    def path(self) -> str:
        return reverse(self.name) if self.name in ("inbox", "search") else reverse("view", args=[self.name])

    @cached_property
    def parsed(self) -> grammar.Query:
        return grammar.parse(self.query)

    @property
    def order(self) -> Order:
        """As its address says, else its query, else as usual."""
        return self.chosen or (ORDERS.get(self.parsed.sort) if self.query else None) or self.usual

    @property
    def asked(self) -> dict[str, str]:
        """What the address says beside the list's name: query, columns and order where they are not those of the view."""
        kept, hidden = (self.view.query, tuple(self.view.hidden)) if self.view else ("", ())
        asked = {"q": self.query} if self.query != kept else {}
        asked |= {"hide": ",".join(self.hidden)} if self.hidden != hidden else {}
        return asked | ({"sort": self.chosen.name} if self.chosen and self.chosen is not self.usual else {})

    @property
    def url(self) -> str:
        return f"{self.path}?{urlencode(self.asked)}" if self.asked else self.path

    @property
    def place(self) -> str:
        """What a ticket's address says about the list that it was opened from; "" for the plain inbox."""
        named = {"view": self.name} if self.name != "inbox" or self.asked else {}
        return urlencode(named | self.asked)

    @property
    def leads_to(self) -> TicketList | None:
        """Where there is something to see when this one is empty."""
        return _BY_NAME.get(self.empty_leads)

    @property
    def is_waiting_work(self) -> bool:
        """A list that one works off, so that what sleeps may be named where it ends."""
        return self.statuses == UNSOLVED and self.asleep is False

    def facts(self) -> dict[str, Any]:
        """What the browser needs to know to keep the list true (static/js/lib/ticket-list.js)."""
        return {
            "name": self.name,
            "statuses": self.statuses,
            "assignee": self.assignee,
            "asleep": self.asleep,
            "team": self.team_id,
            "order": self.order.name,
            "place": self.place,
            "members": reverse("members", args=[self.name]) + (f"?{urlencode(self.asked)}" if self.asked else "")
            if self.query or self.part
            else "",
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
        if self.part:
            tickets = self.part.narrow(tickets, now=now)
        if self.query:
            tickets = tickets.filter(conditions.to_q(self.parsed.tree, Reader(agent_id=agent.pk, now=now)))
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
        empty_leads="unassigned",
    ),
    TicketList(
        "unassigned",
        _("Unassigned"),
        "user-round-x",
        assignee="none",
        command="go.unassigned",
        empty_title=_("Everything has an owner"),
        empty_leads="inbox",
    ),
    TicketList(
        "snoozed",
        _("Snoozed"),
        "alarm-clock",
        usual=NEWEST,
        asleep=True,
        command="go.snoozed",
        empty_title=_("Nothing is snoozed"),
        empty_text=_("Press H on a ticket to put it to sleep."),
        empty_leads="inbox",
    ),
    TicketList(
        "solved",
        _("Solved"),
        "circle-check",
        usual=NEWEST,
        statuses=DONE,
        asleep=None,
        empty_title=_("Nothing solved yet"),
        empty_text=_("Solved and closed tickets are kept here."),
        empty_leads="inbox",
    ),
    TicketList(
        "all",
        _("All tickets"),
        "layers",
        usual=NEWEST,
        statuses=(),
        asleep=None,
        command="go.all",
        empty_title=_("No tickets yet"),
        empty_text=_("Connect a channel, or write from the simulator."),
        empty_leads="",
    ),
)
SEARCH = TicketList(
    "search",
    _("Search"),
    "search",
    usual=NEWEST,
    statuses=(),
    asleep=None,
    empty_title=_("Search all tickets"),
    empty_text=_("By words, names, addresses and numbers; status:open or -tag:vip narrow it."),
)
_BY_NAME = {one.name: one for one in (*STANDARD, SEARCH)}


def team_list(team: Team, *, command: str = "") -> TicketList:
    return TicketList(f"team-{team.pk}", team.name, "users", team_id=team.pk, command=command)


def board_list(part: board.Part, *, of: str = "") -> TicketList:
    """What is behind a number of the live board; `of` names its team or person."""
    label = PART_WORDS[part.name]
    return TicketList(
        part.slug,
        f"{label} · {of}" if of else label,
        "radio",
        statuses=UNSOLVED if part.is_open_work else (),
        asleep=False if part.is_open_work else None,
        usual=DUE if part.is_open_work else NEWEST,
        empty_title=_("Nothing here any more"),
        empty_text=_("What the number counted has been dealt with meanwhile."),
        empty_leads="",
        part=part,
    )


PART_WORDS = {
    "waiting": _("Waiting for an answer"),
    "unassigned": _("Unassigned"),
    "soon": _("Due within 15 minutes"),
    "late": _("Past their deadline"),
    "progress": _("In progress"),
    "made": _("Came in the last hour"),
    "done": _("Solved in the last hour"),
}


def _board_list(name: str, *, agent: Agent) -> TicketList | None:
    part = board.part_named(name)
    if part is None or not agent.is_manager:
        return None
    if part.agent_id is not None:
        person = board.people_in(visibility_of(agent)).filter(pk=part.agent_id).first()
        return board_list(part, of=person.name) if person else None
    if part.team_id:
        team = saved.teams_for(agent).filter(pk=part.team_id).first()
        return board_list(part, of=team.name) if team else None
    return board_list(part, of=str(_("No team")) if part.team_id == board.NO_TEAM else "")


def view_list(view: SavedView, base: TicketList) -> TicketList:
    return replace(
        base,
        name=f"view-{view.pk}",
        label=view.name,
        icon="bookmark",
        command="",
        query=view.query,
        hidden=tuple(view.hidden),
        usual=ORDERS.get(view.sort, base.usual),
        view=view,
    )


def view_lists(views: Iterable[SavedView], teams: Iterable[Team]) -> list[TicketList]:
    """Many views at once; those on the list of a team that is not among these are left out."""
    bases = _BY_NAME | {one.name: one for one in map(team_list, teams)}
    return [view_list(view, bases[view.base]) for view in views if view.base in bases]


def list_named(name: str, *, agent: Agent) -> TicketList | None:
    """A list by its name in the address, `team-7` for a team's, `view-7` for a view; None when it is not theirs to see."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.startswith("board-"):
        return _board_list(name, agent=agent)
    kind, _dash, digits = name.partition("-")
    number = whole_number(digits)
    if number is None:
        return None
    if kind == "team":
        team = saved.teams_for(agent).filter(pk=number).first()
        return team_list(team) if team else None
    if kind == "view":
        view = saved.views_for(agent).filter(pk=number).first()
        base = list_named(view.base, agent=agent) if view and not view.base.startswith("view-") else None
        return view_list(view, base) if view and base else None
    return None


def narrowed(chosen: TicketList, params: QueryDict) -> TicketList:
    """The list as its address asks for it: `?q=` narrows it anew, `?sort=` puts it in another order, `?hide=tags,due` leaves
    columns out."""
    query = params.get("q", chosen.query).replace("\x00", "").strip()[:LONGEST_QUERY]
    asked = params.get("hide", ",".join(chosen.hidden)).split(",")
    hidden = tuple(column for column in SavedView.Column.values if column in asked)
    return replace(chosen, query=query, hidden=hidden, chosen=ORDERS.get(params.get("sort", "")))


def page_of(tickets: TicketQuerySet, *, order: Order, before: str = "") -> tuple[list[Ticket], str]:
    """One page of rows, and the cursor of the next one ("" at the end). A bad cursor is the first page."""
    place = order.read(before)
    if place:
        tickets = order.after(tickets, place)
    found = list(order.apply(tickets.for_rows())[: PAGE + 1])
    if len(found) <= PAGE:
        return found, ""
    return found[:PAGE], order.cursor_of(found[PAGE - 1])


def counts(lists: Iterable[TicketList], visibility: Visibility, *, agent: Agent, now: datetime) -> dict[str, str]:
    """How many tickets each list holds, as words: "12", "1,000+". Index counts up to a cap, cached for seconds.

    A cache that is away is a miss. The solved and the snoozed are not counted: nobody works them off.
    """
    return counts_of((one for one in lists if one.is_waiting_work or one.view), visibility, agent=agent, now=now)


def counts_of(wanted: Iterable[TicketList], visibility: Visibility, *, agent: Agent, now: datetime) -> dict[str, str]:
    """The same for whichever lists are asked for."""
    wanted = list(wanted)
    sight = sight_of(visibility)
    keys = {one.name: _key(one, sight, agent) for one in wanted}
    known = cache.get_many(keys.values())
    new = [one for one in wanted if keys[one.name] not in known]
    for some, seconds in (
        ([one for one in new if not one.query], COUNTED_FOR),
        ([one for one in new if one.query], VIEW_COUNTED_FOR),
    ):
        if some:
            numbers = _count(some, visibility, agent=agent, now=now)
            fresh = {keys[one.name]: n for one, n in zip(some, numbers, strict=True)}
            cache.set_many(fresh, seconds)
            known |= fresh
    return {name: in_words(known[key]) for name, key in keys.items()}


class _CountOf(Subquery):
    """How many rows a query has, as a part of another one."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def _count(some: Sequence[TicketList], visibility: Visibility, *, agent: Agent, now: datetime) -> Sequence[int]:
    """Each up to the cap, in one statement. Where that takes too long one by one, and 0, shown as nothing, for whichever does."""
    capped = [one.tickets(visibility, agent=agent, now=now).order_by().values("pk")[: MOST + 1] for one in some]
    try:
        with search.limited():
            return Agent.objects.filter(pk=agent.pk).values_list(*map(_CountOf, capped)).get()
    except search.TooSlow:
        if len(some) == 1:
            return [0]
        return [n for one in some for n in _count([one], visibility, agent=agent, now=now)]


def _key(one: TicketList, sight: str, agent: Agent) -> str:
    """Where a count is kept: apart for each set of rights, each reader where it is about them, each query."""
    reader = agent.pk if one.assignee == "me" or one.query else ""
    query = blake2b(one.query.encode(), digest_size=8).hexdigest() if one.query else ""
    return f"count:{sight}:{one.name}:{reader}:{query}"


def in_words(n: int) -> str:
    """ "" for none, "12", "1,000+"."""
    return f"{MOST:,}+" if n > MOST else str(n) if n else ""


def sight_of(visibility: Visibility) -> str:
    """A name for a set of rights, the same in every process."""
    brands = "all" if visibility.brand_ids is None else ",".join(map(str, sorted(visibility.brand_ids)))
    if visibility.everything:
        return brands
    return f"{brands}:{visibility.agent_id}:{','.join(map(str, sorted(visibility.team_ids)))}"
