"""What the scripts say by name, the server has words for; and it sends none that no script says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from django.template import Context, Template

from tickets import presence
from tickets.workspace.views import lists

SCRIPTS = sorted((Path(__file__).parents[2] / "static" / "js").rglob("*.js"))
SAID_BY_VALUE = set(presence.DOINGS)  # phrase(person.doing)


def words_of_the_page() -> set[str]:
    return set(json.loads(re.sub("<[^>]*>", "", Template("{% load ui %}{% js_words %}").render(Context()))))


def names_in(text: str, function: str) -> Iterator[str]:
    """Every name that may be the first argument: `word(a ? "one" : "other", ...)` gives both."""
    for call in re.finditer(rf"(?<![\w.]){function}\(", text):
        at, depth = call.end(), 0
        while depth or text[at] not in ",)":
            depth += (text[at] in "([{") - (text[at] in ")]}")
            at += 1
        yield from re.findall(r'"(\w+)"', text[call.end() : at])


def test_names_are_found_however_they_are_chosen() -> None:
    text = 'word("one"); sword("no"); word({ 0: "two" }[of("three", n)] ?? "four", { name: "no" })'
    assert list(names_in(text, "word")) == ["one", "two", "three", "four"]


def test_every_name_that_a_script_says_has_its_words_and_no_words_are_sent_in_vain() -> None:
    for function, known in (("word", words_of_the_page()), ("phrase", set(lists.words()))):
        said = {name for path in SCRIPTS for name in names_in(path.read_text(), function)}
        assert len(said) > 10
        assert said - known == set(), f"{function}: no such words"
        assert known - said - SAID_BY_VALUE == set(), f"{function}: nobody says them"
