"""What the query box shows while one types: chips of what was understood, what was not, and what could stand here."""

from __future__ import annotations

import re
from typing import Any

from tickets import conditions, grammar
from tickets.grammar import Query

MOST = 8  # options
_WORD = re.compile(r'-*(?:[^\s()"]|"(?:[^"\\]|\\.)*"?)*')
_KEYED = re.compile(r"(?P<key>[^:<>=\s]+)(?P<op>:|>=|<=|>|<)(?P<done>(?:[^,]*,)*)(?P<value>[^,]*)$")


def reading(text: str, *, at: int) -> dict[str, Any]:
    """`{"chips": [{from, to, label, sentence, text}], "problems": [{from, to, sentence}], "options": [{label, hint, text, at}]}`

    A chip's `text` is the query without it; an option's is the query with it, and the caret behind it.
    """
    query = grammar.parse(text)
    return {"chips": _chips(text, query), "problems": _problems(query), "options": _options(text, at)}


def _chips(text: str, query: Query) -> list[dict[str, Any]]:
    """Conditions only: a plain word stands in the box as it is."""
    return [
        {
            "from": token.position,
            "to": token.position + token.length,
            "label": grammar.text_of(token.stands_for),
            "sentence": conditions.sentence(token.stands_for),
            "text": grammar.without(text, token),
        }
        for token in query.tokens
        if token.leaf["field"] != "words"
    ]


def _problems(query: Query) -> list[dict[str, Any]]:
    return [{"from": one.position, "to": one.position + one.length, "sentence": one.sentence} for one in query.problems]


def _options(text: str, at: int) -> list[dict[str, Any]]:
    start, end = _word_at(text, at)
    typed = text[start:at].lstrip("-")
    start = at - len(typed)
    keyed = _KEYED.match(typed)
    if keyed:
        found = [
            (f"{keyed['key']}{keyed['op']}{keyed['done']}{written}", label, "")
            for written, label in grammar.values_like(keyed["key"], keyed["value"])
        ]
    else:
        keys = [*grammar.keys_like(typed), *grammar.own_keys_like(typed)]
        found = [(f"{key}:", f"{key}:", label) for key, label in keys]
    return [
        {"label": label, "hint": hint, "text": text[:start] + written + text[end:], "at": start + len(written)}
        for written, label, hint in found[:MOST]
        if text[start:end] != written
    ]


def _word_at(text: str, at: int) -> tuple[int, int]:
    """Where the word around the caret begins and ends."""
    for word in _WORD.finditer(text):
        if word.start() <= at <= word.end():
            return word.start(), word.end()
    return at, at
