"""The builder of conditions: rows and one nesting, or text, out of a posted form and back into one.

A form of rows says their order in `cond`: the number of a row, "(3" where the group 3 begins, ")" where it ends. The
other form is one text in the grammar of the search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents.forms import zones
from tickets import conditions, fields, grammar
from tickets.conditions import CUSTOM, GROUPS, Invalid, Tree
from tickets.models import TicketField
from tickets.numbers import whole_number

ROWS, TEXT = "rows", "text"
LONGEST_KEY = 60
OFFERED: Mapping[Any, tuple[str, ...]] = {
    gettext_lazy("New message"): ("said", "said_on", "said_by"),
    gettext_lazy("Conversation"): ("text", "subject", "to", "has", "last_by", "language", "channel"),
    gettext_lazy("Customer"): (
        "customer", "customer_tier", "customer_language", "customer_organisation", "customer_address", "customer.",
    ),
    gettext_lazy("Ticket"): (
        "status", "snoozed", "priority", "tag", "team", "assignee", "needs", "incident", "brand", "csat", "field.",
    ),
    gettext_lazy("SLA"): ("promise", "promised_by", "percent", "sla"),
    gettext_lazy("Time"): ("waiting", "created", "hours", "weekday", "daytime"),
}  # fmt: skip
"""The fields as they are chosen from; "field." and "customer." are followed by a key of one's own."""
SAID = {"contains": "contains", "contains_not": "contains_not", "phrase": "contains", "phrase_not": "contains_not"}


@dataclass(frozen=True)
class Misread:
    """A piece of the text that cannot be used: what stands before and behind it, and why."""

    before: str
    token: str
    after: str
    sentence: str


@dataclass(frozen=True)
class Posted:
    """The conditions of a posted form. With `misread` the tree holds what was understood."""

    tree: dict[str, Any]
    mode: str = ROWS
    text: str = ""
    misread: tuple[Misread, ...] = ()


def posted(form: QueryDict, *, of_rule: bool) -> Posted:
    """`of_rule`: they may ask for what makes a rule run."""
    if form.get("mode") == TEXT:
        return _read(form.get("conditions", ""), of_rule=of_rule)
    return Posted(_tree_of_rows(form))


def posted_tree(request: HttpRequest, *, of_rule: bool = False) -> dict[str, Any]:
    """The tree of a posted form; {} without conditions. Raises Invalid for a text that cannot be understood."""
    read = posted(request.POST, of_rule=of_rule)
    if read.misread:
        raise Invalid(read.misread[0].sentence)
    return read.tree


def context(tree: Tree, *, mode: str = ROWS, read: Posted | None = None, of_rule: bool = False) -> dict[str, Any]:
    """What builder.html shows. A tree that is nested deeper than rows can be is shown as text."""
    deep = mode == ROWS and not _fits_rows(tree)
    if deep or mode == TEXT:
        text = read.text if read and read.mode == TEXT else _text_of(tree)
        misread = read.misread if read else ()
        return {
            "mode": TEXT,
            "text": text,
            "misread": misread,
            "deep": deep,
            "sentence": said(tree),
            "of_rule": of_rule,
        }
    outer = next((name for name in GROUPS if name in tree), "all")
    branches = [tree] if "field" in tree else tree.get(outer, [])
    items, n = [], 0
    for branch in branches:
        if "field" in branch:
            items.append(row(n, branch))
            n += 1
            continue
        (inner, leaves), *_rest = branch.items()
        items.append(group(n, inner, leaves))
        n += 1 + len(leaves)
    return {
        "mode": ROWS,
        "group": outer,
        "items": items,
        "next": n,
        "fields": field_choices(of_rule=of_rule),
        "sentence": said(tree),
        "of_rule": of_rule,
    }


def of_request(request: HttpRequest, tree: Tree, *, of_rule: bool = False) -> dict[str, Any]:
    """The builder of a form that comes back with something wrong, as it was; else of the tree."""
    if request.method != "POST":
        return context(tree, of_rule=of_rule)
    read = posted(request.POST, of_rule=of_rule)
    return context(read.tree, mode=read.mode, read=read, of_rule=of_rule)


def row(n: int, leaf: Mapping[str, Any]) -> dict[str, Any]:
    """`leaf` with "field." or "customer." alone asks for its key first; a ticket field that we know is asked as what it is."""
    field = conditions.field_named(leaf["field"]) or conditions.field_named(f"{leaf['field']}?")
    assert field is not None, "only what a rule can ask becomes a row"
    known = _known(leaf["field"])
    prefix = conditions.prefix_of(leaf["field"]) or (leaf["field"] if leaf["field"] in CUSTOM else "")
    value, op = leaf.get("value"), leaf.get("op", "")
    values = value if isinstance(value, list) else [value]
    choices = conditions.choices_of(known).items() if known else field.choices() if field.choices else []
    return {
        "n": n,
        "field": leaf["field"] if known else prefix or leaf["field"],
        "key": "" if known else leaf["field"].removeprefix(prefix) if prefix else "",
        "keys": conditions.known_keys(prefix) if prefix and not known else [],
        "op": op,
        "kind": known.kind if known else field.kind,
        "widget": _widget_of_own(known, op) if prefix else _widget(field.kind, op),
        "operators": _operators(field, known, op, of_key=bool(prefix)),
        "choices": [(key, label, key in values) for key, label in choices],
        "text": ", ".join("" if item is None else str(item) for item in values),
        "zone": leaf.get("zone", ""),
        "zones": _zones(leaf.get("zone")) if leaf["field"] in conditions.OF_A_ZONE else [],
    }


def _zones(chosen: str | None) -> list[tuple[str, str]]:
    offered = zones()
    return offered if not chosen or chosen in dict(offered) else [*offered, (chosen, chosen)]


def _known(name: str) -> TicketField | None:
    """The ticket field that is asked, where it is one that is switched on."""
    known = fields.named(conditions.key_of(name)) if conditions.prefix_of(name) == "field." else None
    return known if known and known.active else None


def _operators(field: conditions.Field, known: TicketField | None, op: str, *, of_key: bool) -> list[tuple[str, Any]]:
    """Of a key, those that fit its kind, and the one that it has."""
    plain = ("is", "is_not")
    fitting = {"number": (*plain, *conditions.OF_NUMBERS), "date": conditions.OF_DAYS}.get(
        known.kind if known else "", plain
    )
    every = conditions.OPERATORS[field.kind].items()
    return [(name, label) for name, label in every if not of_key or name == op or name in fitting]


def _widget_of_own(known: TicketField | None, op: str) -> str:
    if known and known.kind in (TicketField.Kind.CHOICE, TicketField.Kind.YES_NO):
        return "ticks"
    return "moment" if op in conditions.OF_DAYS or (known and known.kind == TicketField.Kind.DATE) else "words"


def group(n: int, mode: str, leaves: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rows = [row(n + 1 + k, leaf) for k, leaf in enumerate(leaves)]
    return {"n": n, "name": f"group-{n}", "mode": mode, "rows": rows}


def _widget(kind: str, op: str) -> str:
    """How the value is given: words, ticked choices, one of a list, a moment, a span of time, times of the day, a number,
    or not at all."""
    if kind in ("text", "tags", "custom"):
        return "words"
    if kind == "due":
        return "span" if op == "within" else "ticks"
    shown = {
        "order": "list",
        "moment": "moment",
        "wait": "span",
        "percent": "number",
        "own": "nothing",
        "daytime": "times",
    }
    return shown.get(kind, "ticks")


def field_choices(*, of_rule: bool) -> list[tuple[str, list[tuple[str, str]]]]:
    """By what they are about, each with its name."""
    offered = [
        (str(about), [(name, _label(name)) for name in names if of_rule or name not in conditions.OF_THE_MOMENT])
        for about, names in OFFERED.items()
    ]
    own = [(f"field.{one.key}", one.label) for one in fields.ordered()]
    return [
        (about, [*own, *names] if any(name == "field." for name, _label in names) else names)
        for about, names in offered
        if names
    ]


def _label(name: str) -> str:
    field = conditions.field_named(name) or conditions.field_named(f"{name}?")
    return f"{field.label}…" if field and name in CUSTOM else str(field.label) if field else name


def said(tree: Tree) -> str:
    """A tree as a sentence; one that is outdated says what is the matter with it."""
    try:
        return conditions.sentence(tree)
    except Invalid as error:
        return error.problem


# -- Rows -------------------------------------------------------------------------------------------------------------


def _tree_of_rows(form: QueryDict) -> dict[str, Any]:
    top: list[Tree] = []
    inner: list[Tree] | None = None
    for place in _order(form):
        if place.startswith("("):
            inner = []
            top.append({_group(form.get(f"group-{place[1:]}")): inner})
        elif place == ")":
            inner = None
        elif (leaf := _leaf(form, place)) is not None:
            (top if inner is None else inner).append(leaf)
    top = [branch for branch in top if "field" in branch or any(branch.values())]
    return {_group(form.get("group")): top} if top else {}


def _order(form: QueryDict) -> Iterator[str]:
    """As the form says it; without that, by their numbers."""
    if order := form.getlist("cond"):
        yield from order
        return
    parts = [key.split("-") for key in form if key.startswith("cond-") and key.endswith("-field")]
    numbers = [number for part in parts if len(part) == 3 and (number := whole_number(part[1])) is not None]
    yield from map(str, sorted(set(numbers)))


def _group(name: str | None) -> str:
    return name if name in GROUPS else "all"


def _leaf(form: QueryDict, n: str) -> dict[str, Any] | None:
    name = form.get(f"cond-{n}-field")
    if name is None:
        return None
    if name in CUSTOM:
        name += " ".join(form.get(f"cond-{n}-key", "").replace('"', "").split())[:LONGEST_KEY]
    field, op = conditions.field_named(name), form.get(f"cond-{n}-op", "")
    values: list[Any] = form.getlist(f"cond-{n}-value")
    widget = _posted_widget(name, field, op)
    if widget == "nothing":
        return {"field": name, "op": op, "value": True}
    if widget in ("words", "moment", "span", "times"):
        values = [word.strip() for text in values for word in text.split(",") if word.strip()]
        values = list(map(_daytime, values)) if widget == "times" else values
    elif widget == "number":
        values = [number for value in values if (number := whole_number(value)) is not None]
    elif field and field.choices:
        keys = {str(key): key for key, _label in field.choices()}  # ids and steps are numbers
        values = [keys.get(value, value) for value in values]
    alone = len(values) == 1 and op != "between" and widget in ("list", "moment", "span", "number")
    leaf = {"field": name, "op": op, "value": values[0] if alone else values}
    zone = form.get(f"cond-{n}-zone") if name in conditions.OF_A_ZONE else ""
    return leaf | {"zone": zone} if zone else leaf


def _daytime(text: str) -> str:
    """In its one form; what is none is refused with the rest of the form."""
    try:
        return conditions.daytime(text)
    except Invalid:
        return text


def _posted_widget(name: str, field: conditions.Field | None, op: str) -> str:
    if field is None or field.kind != "custom":
        return _widget(field.kind, op) if field else ""
    if op in (*conditions.OF_NUMBERS, *conditions.OF_DAYS):
        return "moment"
    return "ticks" if _widget_of_own(_known(name), op) == "ticks" else "words"


def _fits_rows(tree: Tree) -> bool:
    """Groups of conditions, and groups of these, whose fields the builder has."""
    if not tree or "field" in tree:
        return not tree or has_row(tree["field"])
    return all(
        _is_row(branch) or ("field" not in branch and branch and all(map(_is_row, next(iter(branch.values())))))
        for branches in tree.values()
        for branch in branches
    )


def _is_row(branch: Tree) -> bool:
    return "field" in branch and has_row(branch["field"])


def has_row(name: Any) -> bool:
    """Whether the builder has this field."""
    return conditions.in_rules(name) or name in CUSTOM


# -- Text -------------------------------------------------------------------------------------------------------------


def _text_of(tree: Tree) -> str:
    try:
        return grammar.text_of(tree)
    except Invalid:
        return ""


def _read(text: str, *, of_rule: bool) -> Posted:
    """A word by itself stands for what the customer wrote. What only a search can ask is misread."""
    query = grammar.parse_rule(text) if of_rule else grammar.parse(text)
    problems = [(one.position, one.length, one.sentence) for one in query.problems]
    for token in query.tokens:
        if _in_rule(token.leaf) is None:
            words = text[token.position : token.position + token.length]
            problems.append((token.position, token.length, _("A rule cannot ask for “%(words)s”.") % {"words": words}))
    if query.sort:
        problems.append((0, len(text), _("A rule has no order of lists.")))
    misread = tuple(
        Misread(text[:at], text[at : at + length], text[at + length :], sentence)
        for at, length, sentence in sorted(problems)
    )
    return Posted(_of_rule(query.tree), TEXT, text, misread)


def _of_rule(tree: Tree) -> dict[str, Any]:
    if not tree:
        return {}
    if "field" in tree:
        return _in_rule(tree) or {}
    return {group: [found for branch in branches if (found := _of_rule(branch))] for group, branches in tree.items()}


def _in_rule(leaf: Tree) -> dict[str, Any] | None:
    """The leaf as a rule asks it, or None."""
    values = leaf.get("value")
    if leaf["field"] == "words":
        words = [word.rstrip("*") for word in leaf["value"]]
        return {"field": "text", "op": SAID[leaf["op"]], "value": words} if all(words) else None
    if not conditions.in_rules(leaf["field"]) or (isinstance(values, list) and conditions.ME in values):
        return None
    return dict(leaf)
