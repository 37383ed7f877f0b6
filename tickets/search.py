"""Finding tickets by words: the newest message that has them comes first.

The index of words (migration `search`) is asked in windows that grow from the newest message back: an entry also holds
the thousand, the 16 thousand and the 262 thousand that its message belongs to, as words of their own. A common word fills
a page within the first window, a rare one has few entries in the last; nobody waits for all entries of a common word. Nothing
is counted. What takes longer than LIMIT is given up, and said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.postgres.search import SearchQueryField
from django.db import OperationalError, connection, transaction
from django.db.models import Exists, Expression, Max, OuterRef, Value
from django.db.models.functions import Cast

from tickets import conditions, grammar
from tickets.access import Visibility, tickets_in
from tickets.conditions import Reader, Tree
from tickets.models import Message, SearchEntry
from tickets.models.search import both, either, lexemes
from tickets.models.ticket import TicketQuerySet
from tickets.terms import asked, can_begin

PAGE = 50  # tickets
LIMIT = 2500  # milliseconds for one statement
WINDOWS = (10, 14, 18)  # powers of two; the migration writes them


class TooSlow(Exception):
    """It took longer than LIMIT. Narrow the search."""


@dataclass(frozen=True)
class Hit:
    ticket_id: int
    message_id: int  # the newest that was found


@dataclass(frozen=True)
class Found:
    """`after`: pass it as `before` for the next page, 0 at the end. `complete` is False when time ran out."""

    hits: list[Hit]
    after: int = 0
    complete: bool = True


def tickets(tree: Tree, visibility: Visibility, reader: Reader) -> TicketQuerySet:
    """What a tree holds of what somebody may see, in no order. Merged ones are found through those that speak for them."""
    return tickets_in(visibility).survivors().filter(conditions.to_q(tree, reader))


def has_words(tree: Tree) -> bool:
    """Whether `by_words` can look for it: among what must hold is a word, or a choice of words."""
    return any(_is_lookup(branch) for branch in _musts(tree))


def by_words(tree: Tree, visibility: Visibility, reader: Reader, *, before: int = 0) -> Found:
    """One page, the newest hit first; `before` is the message behind which the last page ended."""
    hits: list[Hit] = []
    try:
        with limited():
            wanted, rest = _split(tree)
            seen = tickets(rest, visibility, reader)
            for window in _windows(before):
                entries = SearchEntry.objects.filter(words__finds=both(wanted, window) if window else wanted)
                if before:
                    newer = SearchEntry.objects.filter(
                        ticket=OuterRef("ticket"), message__gte=before, words__finds=wanted
                    )
                    entries = entries.filter(~Exists(newer), message__lt=before)
                newest = entries.filter(ticket__in=seen).values("ticket").annotate(hit=Max("message")).order_by("-hit")
                hits = [Hit(row["ticket"], row["hit"]) for row in newest[: PAGE + 1]]
                if len(hits) > PAGE:
                    break
    except TooSlow:
        return Found(hits, complete=False)
    return Found(hits[:PAGE], after=hits[PAGE - 1].message_id if len(hits) > PAGE else 0)


def texts_of(hits: Iterable[Hit]) -> dict[int, str]:
    """Ticket id -> what the message says that was found, of hits that `by_words` gave."""
    ticket_of = {hit.message_id: hit.ticket_id for hit in hits}
    found = Message.objects.filter(pk__in=ticket_of).only("text", "direction", "agent", "meta")
    return {ticket_of[message.pk]: message.plain_text for message in found}


def begun(query: grammar.Query) -> grammar.Query | None:
    """The same query with every word as a beginning (refu -> refu*); None when no word can be one."""
    tree = _begun(query.tree)
    return replace(query, tree=tree) if tree != query.tree else None


@contextmanager
def limited() -> Iterator[None]:
    """Statements inside are given up after LIMIT. Raises TooSlow."""
    is_within_another = connection.in_atomic_block
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT current_setting('statement_timeout'), set_config('statement_timeout', %s, true)",
                    [str(LIMIT)],
                )
                before = cursor.fetchone()[0]
            yield
            if is_within_another:  # the end of a savepoint leaves the limit to what comes after
                with connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", "") == "57014":  # query_canceled
            raise TooSlow from error
        raise


def _begun(tree: Tree) -> Tree:
    if "field" not in tree:
        return {group: [_begun(branch) for branch in branches] for group, branches in tree.items()}
    if tree["field"] == "words" and tree["op"] == "contains":
        return {**tree, "value": [f"{word}*" if can_begin(word) else word for word in tree["value"]]}
    return tree


def _musts(tree: Tree) -> list[Tree]:
    return list(tree["all"]) if "all" in tree else [tree] if tree else []


def _is_lookup(tree: Tree) -> bool:
    if "any" in tree:
        return all(_is_lookup(branch) and branch.get("op") == "contains" for branch in tree["any"])
    return tree.get("field") == "words" and tree.get("op") in ("contains", "phrase")


def _split(tree: Tree) -> tuple[Expression, Tree]:
    """What the index is asked for, and what its answers must be checked against. The rarest word is asked for."""
    musts = _musts(tree)
    lookups = [(branch, _query_of(branch)) for branch in musts if _is_lookup(branch)]
    branch, wanted = lookups[0] if len(lookups) == 1 else min(lookups, key=lambda one: _guess(one[1]))
    rest = [one for one in musts if one is not branch or one.get("op") == "phrase"]
    return wanted, {"all": rest} if rest else {}


def _query_of(tree: Tree) -> Expression:
    if "any" in tree:
        parts = [_query_of(branch) for branch in tree["any"]]
    else:
        parts = [lexemes(asked(word)) for word in tree["value"]]
    query = parts[0]
    for part in parts[1:]:
        query = either(query, part)
    return query


def _guess(query: Expression) -> int:
    """How many entries the planner expects."""
    plan: Any = json.loads(SearchEntry.objects.filter(words__finds=query).explain(format="json"))
    return int(plan[0]["Plan"]["Plan Rows"])


def _windows(before: int) -> Iterator[Expression | None]:
    """From the newest message (or the one before `before`) back, each window with the one before it; then without an end."""
    newest = before - 1 if before else SearchEntry.objects.aggregate(newest=Max("message"))["newest"] or 0
    for power in WINDOWS:
        last = newest >> power
        if last < 2:
            break
        yield Cast(Value(f"'@{power}:{last}' | '@{power}:{last - 1}'"), SearchQueryField())
    yield None
