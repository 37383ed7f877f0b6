"""The one condition language: a tree of all / any / none over typed fields of a ticket.

A tree is JSON: {"all": [tree, ...]}, {"any": [...]}, {"none": [...]}, or a leaf {"field", "op", "value"}; {} holds
always. The same tree gives a Python predicate (`matches`), a Django `Q` (`to_q`) and a sentence in the reader's
language (`sentence`). Rules and SLA policies use it; the search grammar will be its text form.

Text is compared by linear substring search, case-folded: no pattern of an admin can run for minutes (V18).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents.models import Agent, Team
from tickets.channels import adapter_for
from tickets.models import Identity, Message, Tag, Ticket

Tree = Mapping[str, Any]
GROUPS = ("all", "any", "none")
NEVER = Q(pk__in=[])  # an empty Q would vanish when it is negated
MAX_DEPTH, MAX_LEAVES, MAX_TEXT = 5, 100, 200


class Invalid(ValueError):
    """A tree that cannot be understood; the text is for the person who wrote it, `path` says where."""

    def __init__(self, problem: str, *, path: tuple[Any, ...] = ()) -> None:
        super().__init__(problem)
        self.problem, self.path = problem, path


@dataclass(frozen=True)
class Outcome:
    """`failed` is the first leaf that did not hold, for "why not"; None when the tree matched or is a none-group."""

    matched: bool
    failed: Tree | None = None


@dataclass(frozen=True)
class Field:
    """One thing that can be asked. `kind` decides the operators and the widget: choice, text, tags, order."""

    label: Promise | str
    kind: str
    q: Callable[[Any], Q]
    choices: Callable[[], list[tuple[Any, str]]] | None = None


OPERATORS: Mapping[str, Mapping[str, Promise]] = {
    "choice": {"is": gettext_lazy("is"), "is_not": gettext_lazy("is not")},
    "text": {"contains": gettext_lazy("contains"), "contains_not": gettext_lazy("does not contain")},
    "tags": {"has": gettext_lazy("has"), "has_not": gettext_lazy("has not")},
    "order": {
        "is": gettext_lazy("is"),
        "at_least": gettext_lazy("is at least"),
        "at_most": gettext_lazy("is at most"),
    },
}
NEGATED = frozenset({"is_not", "contains_not", "has_not"})


def _text_q(words: list[str]) -> Q:
    inbound = Message.objects.filter(ticket=OuterRef("pk"), direction="in", kind="public")
    return Q(
        *[Q(subject__icontains=word) | Q(Exists(inbound.filter(text__icontains=word))) for word in words],
        _connector="OR",
    )


def _address_q(words: list[str]) -> Q:
    identities = Identity.objects.filter(customer=OuterRef("customer"))
    return Q(*[Q(Exists(identities.filter(value__icontains=word))) for word in words], _connector="OR")


def _or(lookup: str) -> Callable[[list[str]], Q]:
    return lambda words: Q(*[Q(**{lookup: word}) for word in words], _connector="OR")


def _order_q(op_value: tuple[str, int]) -> Q:
    op, value = op_value
    return Q(**{{"is": "priority", "at_least": "priority__gte", "at_most": "priority__lte"}[op]: value})


def _channel_kinds() -> list[tuple[Any, str]]:
    return [(kind, str(adapter_for(kind).label)) for kind in settings.CHANNEL_ADAPTERS]


FIELDS: Mapping[str, Field] = {
    "channel": Field(
        gettext_lazy("Channel"), "choice", lambda values: Q(first_channel__kind__in=values), _channel_kinds
    ),
    "text": Field(gettext_lazy("Text"), "text", _text_q),
    "subject": Field(gettext_lazy("Subject"), "text", _or("subject__icontains")),
    "language": Field(
        gettext_lazy("Language of the ticket"),
        "choice",
        lambda values: Q(language__in=values),
        lambda: [("ko", "한국어"), ("en", "English"), ("ja", "日本語"), ("zh", "中文")],
    ),
    "customer_tier": Field(
        gettext_lazy("Customer’s tier"),
        "choice",
        lambda values: Q(customer__tier__in=values),
        lambda: [("vip", _("VIP")), ("", _("Standard"))],
    ),
    "customer_organisation": Field(
        gettext_lazy("Customer’s organisation"), "text", _or("customer__organisation__icontains")
    ),
    "customer_address": Field(gettext_lazy("Customer’s address"), "text", _address_q),
    "tag": Field(
        gettext_lazy("Tags"),
        "tags",
        lambda names: Q(Exists(Tag.objects.filter(tickets=OuterRef("pk"), name__in=names))),
        lambda: [(name, name) for name in Tag.objects.order_by("name").values_list("name", flat=True)[:200]],
    ),
    "priority": Field(
        gettext_lazy("Priority"),
        "order",
        _order_q,
        lambda: [(key, str(label)) for key, label in Ticket.Priority.choices],
    ),
    "status": Field(
        gettext_lazy("Status"),
        "choice",
        lambda values: Q(status__in=values),
        lambda: [(key, str(label)) for key, label in Ticket.Status.choices],
    ),
    "team": Field(
        gettext_lazy("Team"),
        "choice",
        lambda ids: Q(team__in=[pk for pk in ids if pk]) | (Q(team__isnull=True) if 0 in ids else Q(pk__in=[])),
        lambda: [(0, _("No team")), *Team.objects.order_by("name").values_list("id", "name")],
    ),
    "assignee": Field(
        gettext_lazy("Assignee"),
        "choice",
        lambda ids: Q(assignee__in=[pk for pk in ids if pk]) | (Q(assignee__isnull=True) if 0 in ids else Q(pk__in=[])),
        lambda: [
            (0, _("Nobody")),
            *Agent.objects.filter(is_active=True).order_by("name").values_list("id", "name"),
        ],
    ),
}


def facts_of(ticket: Ticket) -> dict[str, Any]:
    """What the predicate looks at, in five queries whatever the tree asks."""
    customer = ticket.customer
    words = Message.objects.filter(ticket=ticket, direction="in", kind="public").order_by("seq")
    return {
        "channel": ticket.first_channel.kind if ticket.first_channel else "",
        "text": [ticket.subject, *words.values_list("text", flat=True)],
        "subject": [ticket.subject],
        "language": ticket.language,
        "customer_tier": customer.tier,
        "customer_organisation": [customer.organisation],
        "customer_address": list(customer.identities.values_list("value", flat=True)),
        "tag": set(ticket.tags.values_list("name", flat=True)),
        "priority": ticket.priority,
        "status": ticket.status,
        "team": ticket.team_id or 0,
        "assignee": ticket.assignee_id or 0,
    }


def validate(tree: Any) -> None:
    """Raises Invalid, in the reader's language, at the first thing that cannot be understood."""
    count = _validate(tree, path=(), depth=0)
    if count > MAX_LEAVES:
        raise Invalid(_("At most %(max)d conditions are possible.") % {"max": MAX_LEAVES})


def outcome_of(tree: Tree, facts: Mapping[str, Any]) -> Outcome | None:
    """The predicate for a tree from the database; None for one that is hand-made or outdated: it stops nobody's work."""
    try:
        return matches(tree, facts)
    except (Invalid, TypeError, AttributeError):
        return None


def matches(tree: Tree, facts: Mapping[str, Any]) -> Outcome:
    """The predicate. Raises Invalid for a tree that `validate` refuses, TypeError or AttributeError for odd values."""
    if not tree:
        return Outcome(matched=True)
    if "field" in tree:
        return Outcome(matched=True) if _holds(tree, facts) else Outcome(matched=False, failed=tree)
    group, branches = _group_of(tree)
    if group == "none":
        hit = next((branch for branch in branches if matches(branch, facts).matched), None)
        return Outcome(matched=hit is None, failed=hit)
    outcomes = [matches(branch, facts) for branch in branches]
    missed = [outcome for outcome in outcomes if not outcome.matched]
    matched = not missed if group == "all" else len(missed) < len(outcomes)
    return Outcome(matched=matched, failed=None if matched else missed[0].failed if missed else tree)


def to_q(tree: Tree) -> Q:
    """The same tree over `Ticket`. Fields and operators come from the tables above, never from the tree (V39)."""
    if not tree:
        return ~NEVER
    if "field" in tree:
        return _leaf_q(tree)
    group, branches = _group_of(tree)
    parts = [to_q(branch) for branch in branches]
    if group == "all":
        return Q(*parts) if parts else ~NEVER
    either = Q(*parts, _connector="OR") if parts else NEVER
    return ~either if group == "none" else either


def sentence(tree: Tree) -> str:
    """How a person would say it, in the reader's language. "" for a tree that always holds."""
    if not tree:
        return ""
    if "field" in tree:
        return _say_leaf(tree)
    group, branches = _group_of(tree)
    said = [f"({text})" if _is_nested(branch) else text for branch in branches if (text := sentence(branch))]
    if group == "none":
        return _("none of: %(conditions)s") % {"conditions": _(" or ").join(said)}
    return (_(" and ") if group == "all" else _(" or ")).join(said)


def _is_nested(tree: Tree) -> bool:
    return "field" not in tree and len(_group_of(tree)[1]) > 1


def _group_of(tree: Tree) -> tuple[str, list[Tree]]:
    group = next((name for name in GROUPS if name in tree), None)
    if group is None or len(tree) != 1 or not isinstance(tree[group], list):
        raise Invalid(_("A group is one of: all, any, none."))
    return group, tree[group]


def _field_of(leaf: Tree) -> tuple[Field, str]:
    field = FIELDS.get(leaf.get("field", ""))
    if field is None:
        raise Invalid(_("Unknown field: %(field)s") % {"field": leaf.get("field", "")})
    op = leaf.get("op", "")
    if op not in OPERATORS[field.kind]:
        raise Invalid(_("%(field)s cannot be asked so: %(op)s") % {"field": field.label, "op": op})
    return field, op


def _values_of(field: Field, leaf: Tree) -> list[Any]:
    value = leaf.get("value")
    values = value if isinstance(value, list) else [value]
    if field.kind in ("text", "tags"):
        words = [word.strip() for word in values if isinstance(word, str) and word.strip()]
        if not words or any(len(word) > MAX_TEXT for word in words):
            raise Invalid(_("%(field)s: write what to look for.") % {"field": field.label})
        return [word.lower() for word in words] if field.kind == "tags" else words
    allowed = dict(field.choices()) if field.choices else {}
    if not values or any(value not in allowed for value in values):
        raise Invalid(_("%(field)s: choose from the list.") % {"field": field.label})
    return values


def _holds(leaf: Tree, facts: Mapping[str, Any]) -> bool:
    field, op = _field_of(leaf)
    value, fact = leaf.get("value"), facts[leaf["field"]]
    values: list[Any] = value if isinstance(value, list) else [value]
    if field.kind == "order":
        return {"is": fact == values[0], "at_least": fact >= values[0], "at_most": fact <= values[0]}[op]
    if field.kind == "text":
        found = any(word.strip().casefold() in text.casefold() for word in values for text in fact)
    elif field.kind == "tags":
        found = any(name.lower() in fact for name in values)
    else:
        found = fact in values
    return found is not (op in NEGATED)


def _leaf_q(leaf: Tree) -> Q:
    field, op = _field_of(leaf)
    values = _values_of(field, leaf)
    if field.kind == "order":
        return field.q((op, values[0]))
    return ~field.q(values) if op in NEGATED else field.q(values)


def _say_leaf(leaf: Tree) -> str:
    field, op = _field_of(leaf)
    value = leaf.get("value")
    values: Iterable[Any] = value if isinstance(value, list) else [value]
    names = dict(field.choices()) if field.choices else {}
    said = [f"“{item}”" if field.kind == "text" else str(names.get(item, item)) for item in values]
    return _("%(field)s %(op)s %(values)s") % {
        "field": field.label,
        "op": OPERATORS[field.kind][op],
        "values": _(" or ").join(said),
    }


def _validate(tree: Any, *, path: tuple[Any, ...], depth: int) -> int:
    if not isinstance(tree, Mapping):
        raise Invalid(_("A condition is missing."), path=path)
    if not tree:
        return 0
    if depth > MAX_DEPTH:
        raise Invalid(_("Conditions can be nested %(max)d deep at most.") % {"max": MAX_DEPTH}, path=path)
    try:
        if "field" in tree:
            field, _op = _field_of(tree)
            _values_of(field, tree)
            return 1
        group, branches = _group_of(tree)
    except Invalid as problem:
        raise Invalid(problem.problem, path=path) from None
    return sum(_validate(branch, path=(*path, group, n), depth=depth + 1) for n, branch in enumerate(branches))
