"""Address lists of mail headers, read in one pass: no recursion, whatever is nested in them."""

from __future__ import annotations

import re
from typing import NamedTuple

from channels_in.email.charsets import decode, decode_header, one_line

MAX_ADDRESSES = 500

_BARE = re.compile(r"[^\s<>,;:\"()@]+@[^\s<>,;:\"()@]+")


class Address(NamedTuple):
    """`email` is as written, without white space; empty when the header names none."""

    name: str
    email: str


def parse_addresses(value: bytes, *, hint: str = "") -> list[Address]:
    """The addresses of an unfolded header value, at most 500; group names and empty groups give none."""
    found = []
    for piece in _split(value):
        address = _address(piece, hint)
        if address.name or address.email:
            found.append(address)
        if len(found) >= MAX_ADDRESSES:
            break
    return found


def _split(value: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """(words, what stands in angle brackets, comments) for each address."""
    pieces: list[tuple[bytes, bytes, bytes]] = []
    words, angle, comment = bytearray(), bytearray(), bytearray()
    quoted = in_angle = seen_angle = False
    depth, at, end = 0, 0, len(value)

    def close() -> None:
        nonlocal words, angle, comment, seen_angle
        if words.strip() or angle.strip():
            pieces.append((bytes(words), bytes(angle), bytes(comment)))
        words, angle, comment, seen_angle = bytearray(), bytearray(), bytearray(), False

    # A quotation mark without its partner is an ordinary character.
    quotes_left = value.count(b'"')
    while at < end:
        char = value[at]
        at += 1
        if char == 0x5C and at < end and (quoted or depth):  # backslash
            (comment if depth else words).append(value[at])
            at += 1
        elif char == 0x22 and not depth and not in_angle:
            quotes_left -= 1
            if quoted or quotes_left:
                quoted = not quoted
        elif quoted:
            words.append(char)
        elif char == 0x28 and not in_angle:
            depth += 1
        elif char == 0x29 and depth:
            depth -= 1
        elif depth:
            comment.append(char)
        elif char == 0x3C:
            in_angle, seen_angle = True, True
        elif char == 0x3E:
            in_angle = False
        elif char in b",;" and not in_angle:
            close()
        elif char in b",;" and in_angle and b"@" in angle:
            in_angle = False
            close()
        elif char == 0x3A and not in_angle and b"@" not in words and not words.strip().startswith(b"=?"):
            words = bytearray()  # the name of a group
        else:
            (angle if in_angle else words).append(char)
        if len(pieces) > MAX_ADDRESSES:
            return pieces
    close()
    return pieces


def _address(piece: tuple[bytes, bytes, bytes], hint: str) -> Address:
    words, angle, comment = piece
    name = decode_header(words, hint=hint)
    if angle.strip():
        email = _plain(angle)
        bare = _BARE.search(name)
        if "@" not in email and bare:
            return Address("", bare[0])
        if name.lower() in (email.lower(), f"'{email.lower()}'"):
            name = ""
        return Address(name.strip("'\" ") or "", email if "@" in email else "")
    if "@" in name:
        bare = _BARE.search(name)
        if bare:
            rest = one_line(name.replace(bare[0], " "))
            return Address(decode_header(comment, hint=hint) or rest.strip("'\" "), bare[0])
    return Address(name.strip("'\" "), "")


def _plain(angle: bytes) -> str:
    text = "".join(one_line(decode(angle)).split())
    return text.rpartition(":")[2] if ":" in text and "@" in text.rpartition(":")[2] else text  # <@relay:user@host>
