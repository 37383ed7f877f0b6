"""What can be said of a mail from its bytes alone: limits, sender and subject. Linear in size, without a MIME parser.

The doors use it for the ordering key, the parser as its first guard, quarantine for the words of its stub.
"""

from __future__ import annotations

import re

MAX_BYTES = 25 * 1024 * 1024
MAX_HEADER_BYTES = 256 * 1024
MAX_HEADER_LINES = 1_000
MAX_HEADER_LINE = 100 * 1024  # bytes
MAX_PARTS = 500
MAX_DEPTH = 50

_BOUNDARY = re.compile(rb'boundary\s{0,5}=\s{0,5}(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_HEADER_START = re.compile(rb"[!-9;-~]{1,76}[ \t]{0,3}:")
_ATTACHED_MAIL = re.compile(
    rb"^content-type[ \t]{0,3}:[ \t\r\n]{0,5}message/(?:rfc822|global)", re.IGNORECASE | re.MULTILINE
)
_ADDRESS = re.compile(rb"[^\s<>,;:\"()@]{1,64}@[^\s<>,;:\"()@]{1,253}")


class TooHard(ValueError):
    """A mail over one of the limits: it is not opened. The message names the limit, no content."""


def without_mbox_line(raw: bytes) -> bytes:
    """Without the `From sender date` line that a mail pipe may put on top."""
    if raw.startswith((b"From ", b">From ")):
        return raw.partition(b"\n")[2]
    return raw


def header_block(raw: bytes) -> bytes:
    """The bytes before the first empty line, at most one byte more than may be parsed."""
    head = without_mbox_line(raw[: MAX_HEADER_BYTES + 200])
    ends = [at for at in (head.find(b"\n\n"), head.find(b"\n\r\n")) if at >= 0]
    return head[: min(ends) + 1] if ends else head


def field(raw: bytes, name: bytes) -> bytes:
    """The first header field of that name, unfolded; empty without one."""
    value: list[bytes] = []
    for line in header_block(raw).splitlines():
        if value and line[:1] in b" \t" and line:
            value.append(line)
        elif value:
            break
        elif line[: len(name) + 1].lower() == name.lower() + b":":
            value = [line[len(name) + 1 :]]
    return b" ".join(piece.strip() for piece in value)[:10_000]


def sender_of(raw: bytes) -> str:
    """The first address in From, lower-cased; empty for a bounce (null return path) or where none can be seen."""
    return_path = field(raw, b"Return-Path")
    if return_path.strip() == b"<>":
        return ""
    found = _ADDRESS.findall(field(raw, b"From")) or _ADDRESS.findall(return_path)
    return found[-1].decode("utf-8", "replace").lower() if found else ""


def check(raw: bytes) -> None:
    """Refuse what a MIME parser would choke on. Raises `TooHard`.

    A long line of a body is harmless; a long line counts only where it looks like a header field.
    """
    if len(raw) > MAX_BYTES:
        raise TooHard("larger than 25 MiB")
    head = header_block(raw)
    if len(head) > MAX_HEADER_BYTES:
        raise TooHard("header larger than 256 KiB")
    if head.count(b"\n") > MAX_HEADER_LINES:
        raise TooHard("more than 1,000 header lines")
    _check_long_lines(raw)
    if len(_ATTACHED_MAIL.findall(raw)) > MAX_DEPTH:
        raise TooHard("more than 50 attached mails")
    _check_parts(raw)


def _check_long_lines(raw: bytes) -> None:
    start = 0
    while start < len(raw):
        end = raw.find(b"\n", start)
        end = len(raw) if end < 0 else end
        if end - start > MAX_HEADER_LINE and _HEADER_START.match(raw, start, start + 80):
            raise TooHard("a header line over 100 KiB")
        start = end + 1


def _check_parts(raw: bytes) -> None:
    boundaries: set[bytes] = set()
    for match in _BOUNDARY.finditer(raw):
        boundaries.add((match[1] or match[2]).rstrip())
        if len(boundaries) > MAX_PARTS:
            raise TooHard("more than 500 parts")
    if not boundaries:
        return
    open_ones: list[bytes] = []
    parts = start = 0
    while (start := raw.find(b"--", start)) >= 0:
        end = raw.find(b"\n", start)
        end = len(raw) if end < 0 else end
        if start == 0 or raw[start - 1] == 10:
            name = raw[start + 2 : min(end, start + 210)].rstrip()
            closing = name not in boundaries and name.endswith(b"--") and name[:-2] in boundaries
            name = name[:-2] if closing else name
            if name in boundaries:
                if name in open_ones:
                    del open_ones[open_ones.index(name) + (0 if closing else 1) :]
                elif not closing:
                    open_ones.append(name)
                parts += not closing
            if parts > MAX_PARTS:
                raise TooHard("more than 500 parts")
            if len(open_ones) > MAX_DEPTH:
                raise TooHard("nested deeper than 50")
        start = end + 1 if end < len(raw) else len(raw)
