"""Bytes of mail to text: what senders declare is often wrong, so the bytes have the last word.

The standard library's decoding fails on raw 8-bit headers, on encoded words that break inside a character and on
charsets that senders name loosely; this is the second step for those.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re

# Names that senders use, and the superset that reads what they really send.
_ALIASES = {
    "ks_c_5601-1987": "cp949",
    "ks_c_5601-1989": "cp949",
    "ksc5601": "cp949",
    "ksc_5601": "cp949",
    "euc-kr": "cp949",
    "euc_kr": "cp949",
    "euckr": "cp949",
    "x-windows-949": "cp949",
    "windows-949": "cp949",
    "ms949": "cp949",
    "uhc": "cp949",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "big5": "cp950",
    "x-x-big5": "cp950",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "sjis": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-8-i": "iso8859_8",
    "unicode-1-1-utf-7": "utf-7",
    "x-unknown": "",
    "unknown": "",
    "unknown-8bit": "",
    "default": "",
    "8bit": "",
    "binary": "",
    "us-ascii": "",
    "ascii": "",
}
_STATEFUL = ("iso2022", "iso-2022", "utf-7", "hz")
_WORD = re.compile(rb"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")


def codec_of(name: str) -> str:
    """The Python codec for a charset as declared; empty when it says nothing or is unknown."""
    name = name.strip().strip("\"'").lower().partition("*")[0]
    name = _ALIASES.get(name, name)
    if not name:
        return ""
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    return name if getattr(info, "_is_text_encoding", True) else ""


def decode(data: bytes, declared: str = "", *, hint: str = "") -> str:
    """Text of `data`. Never fails: what cannot be read becomes U+FFFD. `hint` is a second charset to try."""
    codec = codec_of(declared)
    if codec and any(codec.startswith(prefix) for prefix in _STATEFUL):
        return _strict(data, codec) or data.decode(codec, "replace")
    if data.isascii():
        return data.decode("ascii")
    # Text that is valid UTF-8 is UTF-8, whatever was declared; a few bytes alone may be so by chance.
    foreign = sum(byte > 127 for byte in data[:4000])
    utf8 = _strict(data, "utf-8")
    if utf8 is not None and (not codec or codec == "utf-8" or foreign >= 6 or codec == "cp1252"):
        return utf8
    for candidate in (codec, codec_of(hint), "" if codec else utf8 and "utf-8"):
        text = _strict(data, candidate) if candidate else None
        if text is not None:
            return text
    if codec:
        return data.decode(codec, "replace")
    if utf8 is not None:
        return utf8
    return _guess(data)


def _guess(data: bytes) -> str:
    """Undeclared 8-bit text: Korean where most of it lies in the Hangul rows, else by a single-byte set."""
    text = _strict(data, "cp949")
    if text is not None:
        foreign = [char for char in text if ord(char) > 127]
        hangul = sum("\uac00" <= char <= "\ud7a3" for char in foreign)
        if foreign and hangul * 2 >= len(foreign):
            return text
    for candidate in ("gb18030", "cp932"):
        text = _strict(data, candidate)
        if text is not None and sum("\u3040" <= char <= "\u9fff" for char in text) * 3 >= sum(
            byte > 127 for byte in data
        ):
            return text
    return data.decode("cp1252", "replace")


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeError, LookupError, ValueError):
        return None


def decode_header(value: bytes, *, hint: str = "") -> str:
    """The text of an unstructured header value: encoded words, joined where they break inside a character, and raw bytes.

    Line breaks and control characters become single spaces, so that a header is one line for ever after.
    """
    pieces: list[str] = []
    at, pending, pending_charset = 0, b"", ""
    for match in _WORD.finditer(value):
        between = value[at : match.start()]
        charset = match[1].decode("ascii", "replace").partition("*")[0].lower()
        joined = pending_charset != "" and not between.strip()
        if pending_charset and not (joined and charset == pending_charset):
            pieces.append(decode(pending, pending_charset, hint=hint))
            pending, pending_charset = b"", ""
        if not joined:
            pieces.append(decode(between, hint=hint))
        pending += _b(match[3]) if match[2] in b"bB" else _q(match[3])
        pending_charset = charset
        at = match.end()
    if pending_charset:
        pieces.append(decode(pending, pending_charset, hint=hint))
    pieces.append(decode(value[at:], hint=hint))
    return one_line("".join(pieces))


def one_line(text: str) -> str:
    """Without line breaks, control and invisible formatting characters; runs of white space become one space."""
    return " ".join("".join(char if char.isprintable() or char in _KEPT else " " for char in text).split())


_KEPT = frozenset("\u200d\ufe0f")  # joiners of emoji


def _b(data: bytes) -> bytes:
    data = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    data += b"=" * (-len(data) % 4)
    try:
        return base64.b64decode(data)
    except binascii.Error:  # one character too many: drop it
        return base64.b64decode(data.rstrip(b"=")[:-1] + b"===")


def _q(data: bytes) -> bytes:
    return re.sub(rb"=([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), data.replace(b"_", b" "))
