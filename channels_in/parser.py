"""The way to the parser: bodies from strangers are opened in a limited child of that process only, never here.

`parse` is the client; `parser_server.py` is the process.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from tickets.contract import ParserAway, Unreadable

PATIENCE = 12.0  # seconds; the child's own wall clock is 10
MAX_ANSWER = 128 * 1024**2  # bytes
LENGTH = struct.Struct("!I")
LONGEST_ADDRESS = 100  # of a unix socket, in bytes


class ParserDied(Exception):
    """The parser went away with this body in its hands: counted against the body."""


def parse(function: str, raw: bytes, **arguments: Any) -> dict[str, Any]:
    """Run one allow-listed function ("mail", "html") over foreign bytes in a limited child. Returns plain JSON.

    Raises Unreadable when the body breaks its limits (5 s of CPU, 512 MiB, 10 s) or cannot be understood, ParserAway
    when there is no parser to ask, ParserDied when it died over this body.
    """
    request = json.dumps({"function": function, "size": len(raw), "arguments": arguments}).encode()
    try:
        with _connected() as line:
            try:
                line.sendall(LENGTH.pack(len(request)) + request + raw)
                answer = _answer(line)
            except TimeoutError:
                raise Unreadable("it took too long") from None
            except (ConnectionError, BrokenPipeError):
                answer = None
    except OSError as fault:
        raise ParserAway(str(fault)) from fault
    if answer is None:
        if answers():
            raise Unreadable("over the limits of the parser")
        raise ParserDied
    if "error" in answer:
        raise Unreadable(str(answer["error"]))
    return answer["result"]


def answers() -> bool:
    """Whether a parser is there (health, and workers that wait for it)."""
    try:
        with _connected() as line:
            hello = b'{"function": "ping", "size": 0, "arguments": {}}'
            line.sendall(LENGTH.pack(len(hello)) + hello)
            return _answer(line) == {"result": {}}
    except OSError:
        return False


@contextmanager
def address(path: str) -> Iterator[str]:
    """The path of a unix socket as the kernel takes it, however deep the folder is."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield path
        return
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{Path(path).name}"
    finally:
        os.close(folder)


@contextmanager
def _connected() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(PATIENCE)
        with address(settings.PARSER_SOCKET) as path:
            line.connect(path)
        yield line


def _answer(line: socket.socket) -> dict[str, Any] | None:
    """The child's answer; None when it ended without one."""
    head = _exactly(line, LENGTH.size)
    if head is None:
        return None
    (size,) = LENGTH.unpack(head)
    if size > MAX_ANSWER:
        raise Unreadable("too much in it")
    body = _exactly(line, size)
    return None if body is None else json.loads(body)


def _exactly(line: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        chunk = line.recv(min(1 << 20, size - len(parts)))
        if not chunk:
            return None
        parts += chunk
    return bytes(parts)
