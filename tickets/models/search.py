from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchQueryField, SearchVectorField
from django.db import models
from django.db.models import Expression, Func, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.lookups import PostgresOperatorLookup

from tickets.terms import Asked


class SearchEntry(models.Model):
    """The words by which a message is found, with those of its ticket and customer.

    The database writes it, in triggers (`TRIGGERS` of the first migration): no code of ours does, so that bulk SQL,
    edits and deletes are found as they are. `ticket` is the one that speaks: a merge moves the entries, an un-merge moves them back.
    """

    message = models.OneToOneField(
        "tickets.Message", primary_key=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    words = SearchVectorField()

    class Meta:
        indexes = [GinIndex(fields=["words"], gin_pending_list_limit=512, name="search_words")]


class Lexemes(Func):
    """A tsquery for words: what the index would hold of them, all together."""

    function = "search_query"
    output_field = SearchQueryField()


class Beginnings(Lexemes):
    """The same, and the words that begin so."""

    function = "search_prefix"


@SearchVectorField.register_lookup
class Finds(PostgresOperatorLookup):
    """`words__finds=Lexemes(Value("refund"))`"""

    lookup_name = "finds"
    postgres_operator = "@@"
    prepare_rhs = False


def lexemes(wanted: Asked) -> Expression:
    kind = Beginnings if wanted.prefix else Lexemes
    first, *others = (kind(Value(word)) for word in wanted.words)
    query: Expression = first
    for other in others:
        query = either(query, other)
    return query


def either(one: Expression, other: Expression) -> Expression:
    """A tsquery for what one of two finds."""
    return CombinedExpression(one, "||", other, output_field=SearchQueryField())


def both(one: Expression, other: Expression) -> Expression:
    """A tsquery for what two find."""
    return CombinedExpression(one, "&&", other, output_field=SearchQueryField())
