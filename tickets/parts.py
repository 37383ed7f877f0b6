"""An answer, cut into what the provider takes: pure, by the data of `Capabilities` (channels.md 1.6).

The core knows limits, not providers. Nothing is truncated: what does not fit goes into a further part.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from tickets.contract import Capabilities


class File(Protocol):
    """What the cut has to know of a file; `tickets.models.Attachment` has it."""

    kind: str
    content_type: str
    size: int


class Piece(NamedTuple):
    """One part: its text, and those of the files given to `cut` that ride on it."""

    text: str
    files: tuple[Any, ...]


class Count(NamedTuple):
    """`length` is in the provider's unit; `limit` is that of one part, None without one. Segments: SMS only."""

    parts: int
    segments: int
    length: int
    limit: int | None


def cut(text: str, files: Iterable[File], capabilities: Capabilities) -> list[Piece]:
    """The parts of an answer, in the order in which they leave. Files that are not taken must be gone before (`takes`).

    Text is cut at a paragraph, else a line, a sentence, a word, and never inside a character or a link (unless the
    link alone is longer than a part). White space at a cut is dropped, everything else arrives.
    """
    files = tuple(files)
    texts = split(text, capabilities) if text.strip() else []
    groups = [files[n : n + capabilities.files_per_part] for n in range(0, len(files), capabilities.files_per_part)]
    if not groups:
        return [Piece(piece, ()) for piece in texts]
    if capabilities.text_with_files or _rides_as_caption(texts, files, capabilities):
        *first, last = texts or [""]
        return [
            *(Piece(piece, ()) for piece in first),
            Piece(last, groups[0]),
            *(Piece("", group) for group in groups[1:]),
        ]
    return [*(Piece(piece, ()) for piece in texts), *(Piece("", group) for group in groups)]


def takes(file: File, capabilities: Capabilities) -> bool:
    """Whether the provider takes this file; otherwise it goes as a link in the text."""
    limits = [capabilities.media[kind] for kind in (file.kind, "*") if kind in capabilities.media]
    return any(
        file.size <= limit.max_bytes and (not limit.mimes or file.content_type.startswith(tuple(limit.mimes)))
        for limit in limits
    )


def count(text: str, capabilities: Capabilities) -> Count:
    """What the composer shows beside the text."""
    pieces = split(text, capabilities) if text.strip() else []
    segments = sum(segments_of(piece, capabilities) for piece in pieces)
    return Count(len(pieces), segments, length(text.strip(), capabilities.text_unit), capabilities.text_max)


def length(text: str, unit: str) -> int:
    """How long the provider finds it. "gsm7": septets, or UTF-16 units as soon as one character needs UCS-2."""
    if unit == "bytes":
        return len(text.encode())
    if unit == "utf16":
        return _utf16(text)
    if unit == "gsm7":
        return sum(2 if c in GSM_EXTENDED else 1 for c in text) if is_gsm(text) else _utf16(text)
    return len(text)


def segments_of(text: str, capabilities: Capabilities) -> int:
    """How many SMS a text is billed as; 0 where nothing is billed by the segment.

    A single one holds 160 septets or 70 UCS-2 units; of several, each gives 7 or 3 of them to the header that joins
    them (3GPP TS 23.040), and none of them ends inside a character: neither between the escape and its sign nor between
    two surrogates.
    """
    if capabilities.segment is None or not text:
        return 0
    gsm = is_gsm(text)
    whole = capabilities.segment[0 if gsm else 1]
    widths = [2 if (c in GSM_EXTENDED if gsm else ord(c) > 0xFFFF) else 1 for c in text]
    if sum(widths) <= whole:
        return 1
    room, segments, used = whole - (7 if gsm else 3), 1, 0
    for width in widths:
        if used + width > room:
            segments, used = segments + 1, 0
        used += width
    return segments


def is_gsm(text: str) -> bool:
    """Whether the GSM 7-bit alphabet (3GPP TS 23.038) has every character."""
    return all(c in GSM_BASIC or c in GSM_EXTENDED for c in text)


def split(text: str, capabilities: Capabilities) -> list[str]:
    """The text in pieces of at most `text_max` units."""
    most, rest = capabilities.text_max, text.strip()
    pieces = []
    while most is not None and length(rest, capabilities.text_unit) > most:
        at = _cut_at(rest, _longest(rest, most, capabilities.text_unit))
        pieces.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [piece for piece in [*pieces, rest] if piece]


# where to cut

_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_LINE = re.compile(r"\n\s*")
_SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*\s+|[。！？]+[」』”’）]*\s*")
_WORD = re.compile(r"\s+")
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)


def _cut_at(text: str, most: int) -> int:
    """The best place in (0, most]; a better kind of place counts when it leaves the part at least a third full."""
    links = [match.span() for match in _LINK.finditer(text, 0)]

    def free(at: int) -> bool:
        return 0 < at <= most and not any(start < at < end for start, end in links)

    for pattern in (_PARAGRAPH, _LINE, _SENTENCE, _WORD):
        # The cut is where the white space begins, or after the full stop: the part itself must fit, its blanks not.
        places = [_place(match) for match in pattern.finditer(text, 0, min(len(text), most + 200))]
        fitting = [at for at in places if free(at)]
        if fitting and (fitting[-1] >= most / 3 or pattern is _WORD):
            return fitting[-1]
    for at in range(most, 0, -1):
        if free(at) and not _joined(text, at):
            return at
    for at in range(most, 0, -1):  # one link longer than a part, or one character of many code points
        if not _joined(text, at):
            return at
    return most


def _place(match: re.Match[str]) -> int:
    return match.start() + len(match[0].rstrip())


def _longest(text: str, most: int, unit: str) -> int:
    """How many code points from the start fit; at least one."""
    plain, units, wide = True, 0, 0
    for n, c in enumerate(text):
        wide += 2 if ord(c) > 0xFFFF else 1
        if unit == "bytes":
            units += len(c.encode())
        elif unit == "characters":
            units += 1
        elif unit == "utf16":
            units = wide
        elif plain and (c in GSM_BASIC or c in GSM_EXTENDED):
            units += 2 if c in GSM_EXTENDED else 1
        else:
            plain, units = False, wide
        if units > most:
            return max(n, 1)
    return len(text)


def _joined(text: str, at: int) -> bool:
    """Whether the code points around `at` are one character for a reader (the common cases of UAX #29)."""
    if at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    code = ord(after)
    if unicodedata.category(after) in ("Mn", "Me", "Mc") or before == "\u200d" or after == "\u200d":
        return True
    if 0xFE00 <= code <= 0xFE0F or 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F:
        return True
    if 0x1160 <= code <= 0x11FF and "\u1100" <= before <= "\u11ff":  # Hangul written in jamo
        return True
    if before == "\r" and after == "\n":
        return True
    if _is_flag_half(before) and _is_flag_half(after):
        run = 0
        while run < at and _is_flag_half(text[at - 1 - run]):
            run += 1
        return run % 2 == 1
    return False


def _is_flag_half(c: str) -> bool:
    return 0x1F1E6 <= ord(c) <= 0x1F1FF


def _rides_as_caption(texts: Sequence[str], files: Sequence[File], capabilities: Capabilities) -> bool:
    return (
        len(files) == 1
        and len(texts) == 1
        and files[0].kind in capabilities.caption_kinds
        and length(texts[0], capabilities.text_unit) <= capabilities.caption_max
    )


def _utf16(text: str) -> int:
    return len(text) + sum(1 for c in text if ord(c) > 0xFFFF)


GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENDED = frozenset("\f^{}\\[~]|€")
