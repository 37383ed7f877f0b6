"""Which parts of a text are what somebody looked for. Pure: pieces of text, never markup."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tickets.terms import SIGNS, without_particle

BEFORE, LENGTH = 40, 160  # characters of a snippet, and of what stands before its first hit
_ENDINGS = re.compile(r"(ing|ies|ied|ed|es|s|y)$")

Pieces = list[tuple[str, bool]]  # (text, was it looked for)


def marked(text: str, words: Iterable[str]) -> Pieces:
    """The whole text in pieces. Words of letters are marked to their end, with their endings: refund(s), refund(ed)."""
    pattern = _pattern(words)
    if pattern is None:
        return [(text, False)] if text else []
    pieces: Pieces = []
    at = 0
    for found in pattern.finditer(text):
        if found.start() > at:
            pieces.append((text[at : found.start()], False))
        pieces.append((found[0], True))
        at = found.end()
    return [*pieces, (text[at:], False)] if at < len(text) else pieces


def snippet(text: str, words: Iterable[str]) -> Pieces:
    """One line of the text around the first thing that was looked for, in pieces; its beginning where there is none."""
    line = " ".join(text.split())
    words = list(words)
    pattern = _pattern(words)
    found = pattern.search(line) if pattern else None
    start = max(found.start() - BEFORE, 0) if found else 0
    if start:
        space = line.find(" ", start, found.start() if found else None)
        start = space + 1 if space >= 0 else start
    cut = line[start : start + LENGTH]
    return [
        *([("…", False)] if start else []),
        *marked(cut, words),
        *([("…", False)] if start + LENGTH < len(line) else []),
    ]


def _pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    forms = sorted({form for word in words if (form := _form(word))}, key=len, reverse=True)
    return re.compile("|".join(forms), re.IGNORECASE) if forms else None


def _form(word: str) -> str:
    word = without_particle(word.strip().lstrip("#").rstrip("*"))
    if not word:
        return ""
    if re.search(f"[{SIGNS}]", word) or not word[-1].isalpha() or " " in word:
        return r"\s+".join(re.escape(part) for part in word.split())
    stem = _ENDINGS.sub("", word) if len(word) > 4 else word
    return rf"(?<!\w){re.escape(stem if len(stem) > 2 else word)}\w*"
