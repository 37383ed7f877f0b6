"""The search: tickets by words and conditions, the newest hit first, with what was found marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from tickets import fragments, grammar, live, search
from tickets.access import Visibility, tickets_in, visibility_of
from tickets.conditions import Reader
from tickets.grammar import Query
from tickets.marking import marked, snippet
from tickets.models import Ticket
from tickets.numbers import whole_number
from tickets.workspace import lists, suggesting
from tickets.workspace.answers import agent_of, wants_fragment
from tickets.workspace.orders import ORDERS
from tickets.workspace.views.lists import orders_of, page_context


@login_required
@require_safe
@vary_on_headers("HX-Request")
def found(request: HttpRequest) -> HttpResponse:
    """`?q=` in the grammar of the box; `?sort=` puts what was found in the order of a list; `?before=` is the next page."""
    agent = agent_of(request)
    chosen = lists.narrowed(lists.SEARCH, request.GET)
    after = live.newest_id()  # before the rows are read: what commits in between is caught up
    reader = Reader(agent.pk, timezone.now())
    context = _context(chosen, visibility_of(agent), reader, before=request.GET.get("before", "")) | {"after": after}
    if request.GET.get("before") and wants_fragment(request):
        return render(request, "workspace/rows.html", context)
    if wants_fragment(request):
        return render(request, "workspace/list.html", context)
    return render(request, "workspace/page.html", context | page_context(chosen, agent=agent) | {"pane": "list"})


@login_required
@require_safe
def read(request: HttpRequest) -> JsonResponse:
    """What the box shows of `?q=` with the caret at `?at=`; see `suggesting.reading`."""
    text = request.GET.get("q", "").replace("\x00", "")[: lists.LONGEST_QUERY]
    at = request.GET.get("at", "")
    return JsonResponse(
        suggesting.reading(text, at=min(int(at), len(text)) if at.isdecimal() and len(at) < 5 else len(text))
    )


def _context(chosen: lists.TicketList, visibility: Visibility, reader: Reader, *, before: str) -> dict[str, Any]:
    query = grammar.parse(chosen.query)
    if query.sort and chosen.chosen is None:
        chosen = replace(chosen, chosen=ORDERS[query.sort])
    rows: list[dict[str, Any]] = []
    cursor, notice = "", ""
    if not query.problems:  # the box tells them, and where; asked for nothing, the search holds everything
        try:
            rows, cursor, notice = _page(query, chosen, visibility, reader, before=before)
        except search.TooSlow:
            notice = _("This search takes too long. Add a word, a person or a time.")
    return {
        "list": chosen,
        "facts": chosen.facts(),
        "rows": rows,
        "more": f"{chosen.path}?{cursor}" if cursor else "",
        "orders": orders_of(chosen),
        "notice": notice,
    }


def _page(
    query: Query, chosen: lists.TicketList, visibility: Visibility, reader: Reader, *, before: str
) -> tuple[list[dict[str, Any]], str, str]:
    """(rows, what asks for the next page, what to say above them)"""
    if not search.has_words(query.tree) or chosen.chosen is not None:
        with search.limited():
            tickets, cursor = lists.page_of(
                search.tickets(query.tree, visibility, reader), order=chosen.order, before=before
            )
        return _rows(tickets, query.words), urlencode({**chosen.asked, "before": cursor}) if cursor else "", ""
    newest_before = whole_number(before) or 0
    result, notice = search.by_words(query.tree, visibility, reader, before=newest_before), ""
    begun = search.begun(query)
    if not result.hits and result.complete and begun and not newest_before:
        query, result = begun, search.by_words(begun.tree, visibility, reader)
        notice = _("Nothing has exactly this. These have words that begin so.") if result.hits else ""
    if not result.complete:
        notice = _("This search takes too long. Add a word, a person or a time.")
    said = search.texts_of(result.hits)
    by_id = tickets_in(visibility).for_rows().in_bulk(list(said))
    rows = _rows([by_id[hit.ticket_id] for hit in result.hits if hit.ticket_id in by_id], query.words, said)
    return rows, urlencode({"q": query.text(), "before": result.after}) if result.after else "", notice


def _rows(
    tickets: Iterable[Ticket], words: Iterable[str], said: Mapping[int, str] | None = None
) -> list[dict[str, Any]]:
    """Rows of a list, with the words marked in name, subject and the message that was found (`said`, by ticket)."""
    words, said = list(words), said or {}
    rows = fragments.rows(tickets)
    for row in rows if words else []:
        row["marked"] = {
            "name": marked(row["name"], words),
            "subject": marked(row["subject"], words),
            "snippet": snippet(said.get(row["id"]) or row["snippet"], words),
        }
    return rows
