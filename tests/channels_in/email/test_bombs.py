"""Mails that are made to stop the reader: each ends soon, and the parser goes on (reliability.md 12.6)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from time import monotonic

import pytest

from channels_in import parser
from tickets.contract import Unreadable

HEAD = b"From: a@x.example\r\nTo: help@haneul.example\r\nSubject: bomb\r\nMIME-Version: 1.0\r\n"
FILE = HEAD + b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
PLAIN = HEAD + b"Content-Type: text/plain\r\n\r\n"


def _nested(depth: int) -> bytes:
    opened = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(depth))
    return HEAD + opened + b"Content-Type: text/plain\r\n\r\nwords\r\n"


def _flat(parts: int) -> bytes:
    return HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * parts + b"--b--\r\n"


def _attached(depth: int) -> bytes:
    return HEAD + b"Content-Type: message/rfc822\r\n\r\n" * depth + b"\r\nwords\r\n"


def _folded(name: bytes, piece: bytes, count: int) -> bytes:
    return HEAD + name + b": " + b"\r\n ".join([piece] * count) + b"\r\n\r\nwords\r\n"


def _html(html: bytes) -> bytes:
    return HEAD + b"Content-Type: text/html\r\n\r\n" + html


BOMBS: dict[str, Callable[[], bytes]] = {
    "multipart nested 500": lambda: _nested(500),
    "multipart nested 2,000": lambda: _nested(2000),
    "multipart flat, 100,000 parts": lambda: _flat(100_000),
    "multipart flat, 700,000 parts": lambda: _flat(700_000),
    "parts without a declared boundary": lambda: (
        HEAD + b"Content-Type: multipart/mixed\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000
    ),
    "attached mails nested 2,000": lambda: _attached(2000),
    "attached mails nested 49": lambda: _attached(49),
    "content type with 20,000 parameters": lambda: (
        HEAD + b"Content-Type: text/plain" + b"; a=b" * 20_000 + b"\r\n\r\nx"
    ),
    "content type with 20,000 parameters, folded": lambda: (
        HEAD
        + b"Content-Type: text/plain"
        + b"".join(b";\r\n " + b"; ".join(b"a%d=b" % (n * 25 + m) for m in range(25)) for n in range(800))
        + b"\r\n\r\nx"
    ),
    "content type with 20,000 parameters, RFC 2231": lambda: (
        HEAD
        + b"Content-Type: text/plain"
        + b"".join(b";\r\n " + b"; ".join(b"a*%d=b" % (n * 25 + m) for m in range(25)) for n in range(800))
        + b"\r\n\r\nx"
    ),
    "part header with 20,000 parameters": lambda: (
        HEAD
        + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Disposition: attachment'
        + b"".join(b";\r\n filename*%d*=x" % n for n in range(20_000))
        + b"\r\n\r\nx\r\n--b--\r\n"
    ),
    "20,000 recipients on one line": lambda: (
        HEAD + b"Cc: " + b", ".join(b"a%d@x.example" % n for n in range(20_000)) + b"\r\n\r\nx"
    ),
    "2,000 recipients": lambda: (
        HEAD + b"Cc: " + b",\r\n ".join(b"a%d@x.example" % n for n in range(900)) + b"\r\n\r\nx"
    ),
    "5,000 nested comments": lambda: HEAD + b"Cc: " + b"(" * 5000 + b")" * 5000 + b" a@x.example\r\n\r\nx",
    "100,000 references": lambda: _folded(b"References", b"<%s@x.example>" % (b"r" * 12), 100_000),
    "references within the header limit": lambda: _folded(b"References", b" ".join([b"<r%d@x>"] * 30), 900),
    "60,000 encoded words": lambda: _folded(b"Subject", b"=?utf-8?B?7JWI64WV?=", 60_000),
    "encoded words within the header limit": lambda: _folded(
        b"Subject", b" ".join([b"=?utf-8?B?7JWI64WV?="] * 10), 900
    ),
    "open encoded words": lambda: _folded(b"Subject", b"=?u?q?" * 40, 900),
    "100,000 headers": lambda: HEAD + b"X-A: b\r\n" * 100_000 + b"\r\nx",
    "one header of 10 MB": lambda: HEAD + b"X-A: " + b"a" * 10_000_000 + b"\r\n\r\nx",
    "26 MB": lambda: PLAIN + b"a" * 26 * 1024 * 1024,
    "24 MB of one line": lambda: PLAIN + b"a" * 24 * 1024 * 1024,
    "24 MB of empty lines": lambda: PLAIN + b"\n" * 24 * 1024 * 1024,
    "24 MB of base64": lambda: FILE + (b"QUJD" * 19 + b"\r\n") * 320_000,
    "24 MB of base64 in tiny lines": lambda: FILE + b"QUJD\r\n" * 4_000_000,
    "10,000 nested div": lambda: _html(b"<div>" * 10_000),
    "100,000 nested div": lambda: _html(b"<div>" * 100_000),
    "1,000,000 nested div": lambda: _html(b"<div>" * 1_000_000),
    "10 MB of flat HTML": lambda: _html(b"<p>words</p>\r\n" * 700_000),
    "open comments": lambda: _html(b"<!--" * 200_000),
    "thousands of links": lambda: _html(b'<a href="https://x.example">x</a> ' * 20_000),
    "40,000 styles": lambda: _html(b'<b style="color:red;width:1px">x</b>' * 20_000),
    "quotation headings": lambda: PLAIN + b"\r\n".join([b"On " + b"a b " * 70 + b" wrote;:"] * 50_000),
    "dashes": lambda: PLAIN + b"-" * 5_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_soon_and_the_parser_goes_on(name: str, parser_process: None) -> None:
    raw = BOMBS[name]()
    started = monotonic()
    with contextlib.suppress(Unreadable):
        parser.parse("mail", raw)
    assert monotonic() - started < 12  # seconds
    assert parser.parse("mail", PLAIN + b"still here")["text"] == "still here"


@pytest.mark.parametrize(
    "name",
    [
        "2,000 recipients",
        "attached mails nested 49",
        "10 MB of flat HTML",
        "5,000 nested comments",
        "quotation headings",
        "24 MB of base64",
        "thousands of links",
        "encoded words within the header limit",
        "references within the header limit",
    ],
)
def test_what_is_only_large_is_read(name: str, parser_process: None) -> None:
    """Limits must not cost honest customers their mail."""
    assert parser.parse("mail", BOMBS[name]())["from"]["email"] == "a@x.example"


@pytest.mark.parametrize("name", ["multipart nested 500", "multipart flat, 100,000 parts", "100,000 headers", "26 MB"])
def test_what_is_over_a_limit_is_refused_by_name(name: str, parser_process: None) -> None:
    with pytest.raises(Unreadable, match="TooHard"):
        parser.parse("mail", BOMBS[name]())
