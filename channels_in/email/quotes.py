"""What is new in a mail and what it answers to. Nothing is deleted: the quoted part is folded in the thread.

The headings that mail programs put over a quotation come from mail-parser-reply; its Korean entry is replaced by ours,
which knows what Gmail, Outlook, Apple Mail, Thunderbird, Naver and Daum write. Only its headings are used: what it takes
for a signature ("감사합니다.") belongs to what the customer says.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mailparser_reply.constants import MAIL_LANGUAGES

_LANGUAGES = ["en", "ko", "ja", "zh", "de", "fr", "es", "it", "nl", "pl", "sv", "da", "cs"]
_QUOTED = r"(?:> ?)*"
MAIL_LANGUAGES["ko"] = {
    "wrote_header": (
        r"^(" + _QUOTED + r"(?:\d{4}년 ?\d{1,2}월 ?\d{1,2}일|\d{4}\. ?\d{1,2}\. ?\d{1,2}\.?|\d{4}-\d{2}-\d{2})"
        r"[^\n]{0,200}(?:\n" + _QUOTED + r"[^\n]{0,200})?"
        r"(?:님이 (?:작성|씀|쓴 글)|이\(가\) (?:쓴 글|작성)|[> ]작성)(?:하였습니다|한 글)?:)$"
    ),
    "from_header": (
        r"((?:(?:^|\n|\n" + _QUOTED + r")[* ]*"
        r"(?:보낸 ?사람|보낸 ?날짜|받는 ?사람|받은 ?사람|날짜|일시|제목|참조)\*? ?:[^\n]*){2,}(?:\n[^\n]*)?)"
    ),
    "disclaimers": [],
    "signatures": [],
    "sent_from": r"내 .*에서 보냄",
}

_FLAGS = re.MULTILINE | re.IGNORECASE
# Compiled when the parser starts, not in each of its children: "On ... wrote:", and blocks of "From: ... Sent: ...".
_WROTE, _BLOCK = (
    re.compile("|".join(MAIL_LANGUAGES[language][key] for language in _LANGUAGES), _FLAGS)
    for key in ("wrote_header", "from_header")
)

_MAX_LINES = 3_000
_MAX_LINE = 400  # characters of a line that are looked at: a heading is short, and time stays linear
_SEPARATOR = re.compile(r"^[-_* ]{2,}\s?(?:original message|원본 ?메(?:일|시지|세지))\s?[-_* ]{2,}$", re.IGNORECASE)
_FORWARDED = re.compile(
    r"^(?:[-_* ]{2,}\s?(?:forwarded message|전달된 ?메(?:일|시지|세지))|begin forwarded message|전달된 메시지 시작)",
    re.IGNORECASE,
)
_FOOTER = re.compile(r"^(?:-- ?$|_{5,}|-{5,}|sent from |내 .*에서 보냄|get outlook)", re.IGNORECASE)


class Split(NamedTuple):
    visible: str
    quoted: str


def split(text: str) -> Split:
    """The words of this mail, and the rest. When nothing new would be left, everything is visible."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    heading = _heading(lines)
    if heading is not None:
        start, end = heading
        if _has_words(lines[:start]) and not _answers_between(lines[end:]):
            return _result(lines[:start], lines[start:])
        if not _has_words(lines[:start]):
            return _below(lines, end)
        return Split(text.strip(), "")
    tail = len(lines)
    while tail and (not lines[tail - 1].strip() or lines[tail - 1].startswith(">")):
        tail -= 1
    if tail and any(line.startswith(">") for line in lines[tail:]):
        return _result(lines[:tail], lines[tail:])
    return Split(text.strip(), "")


def _heading(lines: list[str]) -> tuple[int, int] | None:
    """First and last line (exclusive) of the first heading that is not that of a forwarded mail."""
    short = [line.strip()[:_MAX_LINE] for line in lines[:_MAX_LINES]]
    separator = next((n for n, line in enumerate(short) if _SEPARATOR.match(line)), None)
    found = [heading for heading in (_wrote(short), _block(short)) if heading]
    if separator is not None:
        found.append((separator, separator + 1))
    if not found:
        return None
    first = min(found)
    before = next((line for line in reversed(short[: first[0]]) if line), "")
    return None if _FORWARDED.match(before) or _FORWARDED.match(short[first[0]]) else first


def _wrote(short: list[str]) -> tuple[int, int] | None:
    """A heading ends in a colon and has at most three lines; looking at no more keeps the patterns' time bounded."""
    looked_at = 0
    for n, line in enumerate(short):
        if not line.endswith((":", "：")) or len(line) > 300:
            continue
        looked_at += 1
        if looked_at > 25:
            return None
        for start in range(n, max(n - 3, -1), -1):
            window = "\n".join(part[:300] for part in short[start : n + 1])
            match = _WROTE.match(window)
            if match and match.end() == len(window):
                return start, n + 1
    return None


def _block(short: list[str]) -> tuple[int, int] | None:
    looked_at = "\n".join(short)
    match = _BLOCK.search(looked_at)
    if not match:
        return None
    leading = len(match.group()) - len(match.group().lstrip("\n"))
    start = looked_at.count("\n", 0, match.start() + leading)
    return start, start + match.group().strip("\n").count("\n") + 1


def _below(lines: list[str], end: int) -> Split:
    """The answer stands under the quotation, or between its lines; then the quotation belongs to what is read."""
    quoted = [n for n in range(end, len(lines)) if lines[n].startswith(">")]
    if quoted and not _has_words([line for line in lines[end : quoted[-1]] if not line.startswith(">")]):
        return _result(lines[quoted[-1] + 1 :], lines[: quoted[-1] + 1])
    return Split("\n".join(lines).strip(), "")


def _answers_between(lines: list[str]) -> bool:
    """Are there new words among the quoted lines (">") under a heading?"""
    quoted = [n for n, line in enumerate(lines) if line.lstrip().startswith(">")]
    if not quoted:
        return False
    after = [line for line in lines[quoted[0] :] if line.strip() and not line.lstrip().startswith(">")]
    return bool(after) and not _FOOTER.match(after[0].strip())


def _has_words(lines: list[str]) -> bool:
    return any(line.strip() and not line.startswith(">") for line in lines)


def _result(visible: list[str], quoted: list[str]) -> Split:
    words = "\n".join(visible).strip()
    return Split(words, "\n".join(quoted).strip()) if words else Split("\n".join(quoted).strip(), "")
