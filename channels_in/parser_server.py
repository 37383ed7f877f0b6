"""The parser: a warm parent that forks one limited child for each body (`python -m channels_in.parser_server <socket>`).

It runs without Django's settings: no secret, no database. The parent never reads the bytes itself. A child has 5 s of
CPU, 512 MiB, 10 s of wall clock, no network where the kernel permits, and may write no file.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

FUNCTIONS: Mapping[str, tuple[str, str]] = {
    "mail": ("channels_in.email.parse", "parse_mail"),
    "html": ("channels_in.email.html", "clean_html"),
}
CPU = 5  # seconds
MEMORY = 512 * 1024**2  # bytes of address space
WALL = 10  # seconds
MAX_BODY = 64 * 1024**2  # bytes
MAX_HEAD = 1024**2
CHILDREN = max(4, 2 * (os.cpu_count() or 1))
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
LENGTH = struct.Struct("!I")
_children: set[int] = set()


def serve(path: str, *, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT. Raises SystemExit(1) when another parser has this socket."""
    functions = _load()
    folder = Path(path).parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"another parser serves {path}") from None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.chdir(folder)  # a short address, however deep the folder is
    name = Path(path).name
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)
    before = os.umask(0o177)
    listener.bind(name)
    os.umask(before)
    listener.listen(64)
    _leave_the_network()
    ready()
    try:
        while True:
            _reap(block=len(_children) >= CHILDREN)
            line, _ = listener.accept()
            with line:
                _fork(line, listener, functions)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _load() -> dict[str, Callable[..., Any]]:
    """The functions of the allow-list, imported once, so that a child starts warm."""
    return {
        name: getattr(importlib.import_module(module), attribute) for name, (module, attribute) in FUNCTIONS.items()
    }


def _fork(line: socket.socket, listener: socket.socket, functions: Mapping[str, Callable[..., Any]]) -> None:
    try:
        pid = os.fork()
    except OSError:
        return  # no room for a child: the caller sees a closed line and asks again
    if pid:
        _children.add(pid)
        return
    code = 1
    try:
        listener.close()
        _limit()
        _answer(line, functions)
        code = 0
    finally:
        os._exit(code)


def _limit() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, WALL)  # its default action ends even a child that is deep in C
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))


def _answer(line: socket.socket, functions: Mapping[str, Callable[..., Any]]) -> None:
    (size,) = LENGTH.unpack(_exactly(line, LENGTH.size))
    head = json.loads(_exactly(line, min(size, MAX_HEAD)))
    body = _exactly(line, min(int(head["size"]), MAX_BODY))
    try:
        if head["function"] == "ping":
            answer: dict[str, Any] = {"result": {}}
        else:
            answer = {"result": functions[head["function"]](body, **head["arguments"])}
        out = json.dumps(answer).encode()
    except Exception as fault:  # noqa: BLE001  (whatever a stranger's bytes provoke becomes an answer)
        out = json.dumps({"error": f"{type(fault).__name__}: {str(fault)[:200]}"}).encode()
    line.sendall(LENGTH.pack(len(out)) + out)


def _exactly(line: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        chunk = line.recv(min(1 << 20, size - len(parts)))
        if not chunk:
            raise EOFError
        parts += chunk
    return bytes(parts)


def _reap(*, block: bool) -> None:
    while _children:
        pid, _ = os.waitpid(-1, 0 if block else os.WNOHANG)
        if pid == 0:
            return
        _children.discard(pid)
        block = False


def _leave_the_network() -> None:
    """A network namespace without any interface, where the kernel permits; children inherit it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)


def _stop(number: int, frame: FrameType | None) -> None:
    for pid in _children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    raise SystemExit(0)


if __name__ == "__main__":
    serve(sys.argv[1], ready=lambda: print("parser ready", flush=True))  # noqa: T201
