"""What an agent's marks mean: **bold**, _italic_, [words](https://…), and lines that begin with "- " or "1. ".

A little of Markdown, for texts that customers read: what people write without meaning marks stays as it is (masked names
and numbers, file names, faces, dates), and a word may go on behind a mark, as Korean particles do. Every line stands for
itself, and a list has two items at least. Pure: the same text gives the same forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.template.defaultfilters import urlize
from django.utils.html import format_html, format_html_join
from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

BOLD, ITALIC = "**", "_"


@dataclass(frozen=True)
class Mark:
    """`tag`: strong, em, a (with `href`), ul, ol or li."""

    tag: str
    inside: tuple[Piece, ...]
    href: str = ""


Piece = str | Mark


def as_html(text: str) -> str:
    """Safe HTML: a, strong, em, ul, ol and li, addresses as links. Line breaks stay the characters that they are."""
    return _html(_pieces(text)) if _LOOKS_MARKED.search(text) else urlize(text)


def as_plain(text: str) -> str:
    """The words without the marks; a link as "words (address)"."""
    return as_signed(text, "", "")


def as_signed(text: str, bold: str, italic: str) -> str:
    """The same with signs of a provider's own around bold and italic words."""
    signs = {"strong": bold, "em": italic}
    return "\n".join(_signed(_inline(line), signs) for line in _lines(text))


def as_tree(text: str) -> list[Any]:
    """For a page that builds its own nodes: strings, and {"tag", "in": [...], "href"}."""
    return [_plainly(piece) for piece in _pieces(text)]


def has_marks(text: str) -> bool:
    return bool(_LOOKS_MARKED.search(text)) and any(isinstance(piece, Mark) for piece in _pieces(text))


# -- Lines ------------------------------------------------------------------------------------------------------------

_LOOKS_MARKED = re.compile(r"\*\*|_|\]\(|^- |^1\. ", re.MULTILINE)
_LOOKS_MARKED_INSIDE = re.compile(r"\*\*|_|\]\(")


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _pieces(text: str) -> list[Piece]:
    pieces: list[Piece] = []
    lines, n, newline = _lines(text), 0, False
    while n < len(lines):
        tag, items = _list_at(lines, n)
        if newline:
            pieces.append("\n")
        if tag:
            pieces.append(Mark(tag, tuple(Mark("li", _inline(item)) for item in items)))
            n += len(items)
        else:
            pieces += _inline(lines[n])
            n += 1
        newline = not tag  # a list ends its line by itself
    return pieces


def _list_at(lines: Sequence[str], start: int) -> tuple[str, list[str]]:
    """The tag and the items of the list that begins here; "" where none does."""
    bullets = lines[start].startswith("- ")
    items: list[str] = []
    for n in range(start, len(lines)):
        head = "- " if bullets else f"{len(items) + 1}. "
        item = lines[n].removeprefix(head).strip()
        if not (lines[n].startswith(head) and item):
            break
        items.append(item)
    return ("ul" if bullets else "ol", items) if len(items) > 1 else ("", [])


# -- Within a line ----------------------------------------------------------------------------------------------------

_ADDRESS = r"""://(?:(?!\*\*)[^\s<>"'])+"""
_IS_ADDRESS = re.compile(_ADDRESS)
_STOP = re.compile(rf"{_ADDRESS}|\*\*|_")
_LINK = re.compile(
    r"\[(?=[^\[\]\n]*[^\[\]\s])([^\[\]\n]+)\]"
    r"\(((?:https?://|mailto:|tel:)(?=[^\s()<>\"])[^\s()<>\"]*(?:\([^\s()<>\"]*\)[^\s()<>\"]*)*)\)",
    re.IGNORECASE,
)
_WITHIN_A_WORD = re.compile(r"\*\*[^\W\d_]{1,100}\*\*(?!\*)")
_WITHOUT_SPACES = re.compile(r"[぀-ヿㄱ-ㆎ㐀-䶿一-鿿가-힣]")  # what is written on behind a word: particles
_OPENING, _CLOSING = "([{\"'“‘「『《〈", ")]}\"'”’」』》〉"
_OF_CODES = "*/\\-.@#+=&%$^~|"  # before two asterisks they mask, or match files: 010-****-1234, kim@**, src/**
_ENDS = ".,:;!?…·~%" + _CLOSING


def _inline(line: str) -> tuple[Piece, ...]:
    if not _LOOKS_MARKED_INSIDE.search(line):
        return (line,) if line else ()
    (token,) = _PARSER.parseInline(line)
    return _grown(token.children or [])


def _grown(tokens: Iterable[Token]) -> tuple[Piece, ...]:
    open_marks: list[Token] = []
    levels: list[list[Piece]] = [[]]
    for token in tokens:
        if token.nesting > 0:
            open_marks.append(token)
            levels.append([])
        elif token.nesting < 0:
            mark, inside = open_marks.pop(), levels.pop()
            levels[-1].append(Mark(mark.tag, tuple(inside), str(mark.attrGet("href") or "")))
        elif token.content:
            levels[-1].append(token.content)
    return tuple(levels[0])


def _address(state: StateInline, silent: bool) -> bool:
    """An address is words: no underscore in it is a mark."""
    match = _IS_ADDRESS.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    state.pending += match[0]
    state.pos = match.end()
    return True


def _link(state: StateInline, silent: bool) -> bool:
    match = _LINK.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    _enclose(state, "a", *match.span(1), after=match.end(), href=match[2])
    return True


def _pair(state: StateInline, silent: bool) -> bool:
    mark = BOLD if state.src.startswith(BOLD, state.pos) else ITALIC
    if not state.src.startswith(mark, state.pos):
        return False
    start = state.pos + len(mark)
    end = _end_of_pair(state, mark, start)
    if end is None:
        return False
    _enclose(state, "strong" if mark == BOLD else "em", start, end, after=end + len(mark))
    return True


def _enclose(state: StateInline, tag: str, start: int, end: int, *, after: int, **attrs: str) -> None:
    limit = state.posMax
    state.push(f"{tag}_open", tag, 1).attrs.update(attrs)
    state.pos, state.posMax = start, end
    state.md.inline.tokenize(state)
    state.pos, state.posMax = after, limit
    state.push(f"{tag}_close", tag, -1)


def _end_of_pair(state: StateInline, mark: str, start: int) -> int | None:
    """Where the mark that closes this one stands."""
    src, limit, at = state.src, state.posMax, start - len(mark)
    if not _opens(src, at, mark):
        within = _WITHIN_A_WORD.match(src, at, limit) if src[at - 1 : at].isalpha() else None
        return within.end() - len(mark) if within else None
    nothing_ahead = state.env.setdefault("nothing ahead", set())
    if (mark, limit) in nothing_ahead:  # or many opening marks would each look through the whole line
        return None
    for stop in _STOP.finditer(src, start, limit):
        at = stop.start()
        if stop[0].startswith("://"):
            address = stop[0].rstrip(_CLOSING + ".,:;!?")
            at = at + len(address) - 1 if mark == ITALIC and address.endswith(ITALIC) else -1
        elif stop[0] != mark:
            continue
        if at > start and _closes(src, at, mark):
            return at
    nothing_ahead.add((mark, limit))
    return None


def _opens(src: str, at: int, mark: str) -> bool:
    before, after = src[at - 1 : at], src[at + len(mark) : at + len(mark) + 1]
    if not after.strip() or after == mark[0]:
        return False
    if mark == BOLD:
        return not before or (not before.isalnum() and before not in _OF_CODES)
    return (not before.strip() or before in _OPENING + ":,·" or src.endswith(BOLD, 0, at)) and (
        after.isalnum() or after in _OPENING or src.startswith(BOLD, at + 1)
    )


def _closes(src: str, at: int, mark: str) -> bool:
    before, after = src[at - 1], src[at + len(mark) : at + len(mark) + 1]
    if mark == BOLD:
        return bool(before.strip()) and before != "*" and after != "*"
    return (before.isalnum() or before in _ENDS or src.endswith(BOLD, 0, at)) and (
        not after.strip() or after in _ENDS or bool(_WITHOUT_SPACES.match(after)) or src.startswith(BOLD, at + 1)
    )


def _parser() -> MarkdownIt:
    parser = MarkdownIt("zero")
    for rule in (_address, _link, _pair):
        parser.inline.ruler.push(rule.__name__, rule)
    return parser


_PARSER = _parser()


# -- Forms ------------------------------------------------------------------------------------------------------------


def _html(pieces: Iterable[Piece], *, links: bool = True) -> str:
    return format_html_join("", "{}", ((_element(piece, links=links),) for piece in pieces))


def _element(piece: Piece, *, links: bool) -> str:
    if isinstance(piece, str):
        return urlize(piece) if links else piece
    inside = _html(piece.inside, links=links and piece.tag != "a")
    if piece.tag == "a":
        return format_html('<a href="{}" rel="nofollow">{}</a>', piece.href, inside)
    return format_html("<{0}>{1}</{0}>", piece.tag, inside)


def _signed(pieces: Iterable[Piece], signs: Mapping[str, str]) -> str:
    return "".join(_words(piece, signs) for piece in pieces)


def _words(piece: Piece, signs: Mapping[str, str]) -> str:
    if isinstance(piece, str):
        return piece
    words = _signed(piece.inside, signs)
    if piece.tag == "a":
        _scheme, _colon, bare = piece.href.partition(":")
        address = piece.href if bare.startswith("//") else bare  # of mail or telephone: as people write it
        return address if words in (address, piece.href, bare.removeprefix("//")) else f"{words} ({address})"
    return f"{signs[piece.tag]}{words}{signs[piece.tag]}"


def _plainly(piece: Piece) -> Any:
    if isinstance(piece, str):
        return piece
    inside = [_plainly(inner) for inner in piece.inside]
    return {"tag": piece.tag, "in": inside, **({"href": piece.href} if piece.href else {})}
