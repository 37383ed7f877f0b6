"""The product as it runs: its own PostgreSQL and Redis, `manage.py up` over them, and the faults."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import redis

from helpdesk import embedded
from helpdesk.environment import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
START = 180.0  # seconds until everything must run
TAKEN = 150.0  # seconds within which the worker must be met with a claim in its hands
SETTLED = 0.1  # seconds; what the worker had sent before it was held is done by then
REDIS_AWAY = 2.0  # seconds
LISTED = {"worker", "beat", "parser", "imap", "web"}  # killed by their id, started again by `manage.py up`


class Stage:
    """Enter from the main thread: the servers die with it."""

    def __init__(self, *, keep: bool = False, slots: int = 2) -> None:
        """`slots`: how many processes of the worker take tasks."""
        self.keep, self.slots = keep, slots
        self.hits: list[str] = []  # what each fault met
        self.misses: list[str] = []

    def __enter__(self) -> Stage:
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        self._up: subprocess.Popen[bytes] | None = None
        self.postgres = embedded.start_postgres(self.folder)
        self.redis = embedded.start_valkey(self.folder, durable=False)
        port = _free_port()
        self.address = f"http://127.0.0.1:{port}"
        for name in VARIABLES:
            os.environ.pop(name, None)
            os.environ.pop(f"{name}_FILE", None)
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "helpdesk.settings",
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "PORT": str(port),
            "SITE_URL": self.address,
            "LOG_LEVEL": "WARNING",
            "WORKER_SLOTS": str(self.slots),
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._up is not None and self._up.poll() is None:
            self._up.terminate()
            try:
                self._up.wait(90)
            except subprocess.TimeoutExpired:
                self._up.kill()  # its children get their death signal from the kernel
                self._up.wait()
        self.redis.stop()
        self.postgres.stop()
        if not self.keep and error is None:
            sockets = embedded.socket_dir(self.folder)
            shutil.rmtree(self.folder, ignore_errors=True)
            shutil.rmtree(sockets, ignore_errors=True)

    def start(self) -> None:
        """Everything that `manage.py up` runs; it also watches its children. Returns when all of them are started."""
        with (self.folder / "up.log").open("wb") as log:
            self._up = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=embedded.dies_with_parent(signal.SIGTERM),
            )  # fmt: skip
        if not _wait(lambda: self._gone() or self._children().keys() >= LISTED, START) or self._gone():
            raise SystemExit(f"The product did not start:\n{(self.folder / 'up.log').read_text()}")

    def break_(self, what: str, *, at_work: Callable[[], bool]) -> None:
        """Kill -9, and wait until it is started again. The worker is met in the middle of its work.

        A `slot` is one of the worker's processes; the others go on.
        """
        if what == "redis":
            self._kill_redis()
            return
        if what == "slot":
            self._kill_slot()
            return
        pid = self._children()[what]
        if what == "worker" and not _wait(lambda: self._catch(pid, at_work), TAKEN):
            self.misses.append(f"{what}: idle for {TAKEN:g} s")
        os.killpg(pid, signal.SIGKILL)
        if not _wait(lambda: self._children().get(what, pid) != pid, TAKEN):
            self.misses.append(f"{what}: was not started again within {TAKEN:g} s")
        self.hits.append(what)

    def needless_restarts(self) -> list[str]:
        """What the watchdog killed although no fault had touched it."""
        return [line for line in (self.folder / "up.log").read_text().splitlines() if "does nothing" in line]

    def log_errors(self) -> dict[str, int]:
        """`logger: beginning of the message` of every line of level ERROR or worse, and how often."""
        found: dict[str, int] = {}
        for path in (self.folder / "log").glob("*.log*"):
            for line in path.read_text(errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict) and entry.get("level") in ("ERROR", "CRITICAL"):
                    name = f"{path.stem} {entry.get('logger')}: {str(entry.get('message'))[:80]}"
                    found[name] = found.get(name, 0) + 1
        return found

    # -- Faults -----------------------------------------------------------------------------------------------------

    def _catch(self, pid: int, at_work: Callable[[], bool]) -> bool:
        """Hold the whole worker still and look again; let it go on when it has nothing in its hands."""
        if not at_work():
            return False
        os.killpg(pid, signal.SIGSTOP)
        time.sleep(SETTLED)
        if at_work():
            return True
        os.killpg(pid, signal.SIGCONT)
        return False

    def _kill_redis(self) -> None:
        with redis.Redis.from_url(self.redis.url) as client:
            client.set("chaos", "here before")
            os.kill(self.redis.pid, signal.SIGKILL)
            assert self.redis.process is not None
            self.redis.process.wait(10)
            time.sleep(REDIS_AWAY)
            self.redis = embedded.start_valkey(self.folder, durable=False)
            if client.get("chaos") is not None:
                self.misses.append("redis: it did not come back empty")
        self.hits.append("redis")

    def _kill_slot(self) -> None:
        before = self._slots()
        os.kill(min(before), signal.SIGKILL)
        if not _wait(lambda: len(self._slots()) == self.slots and self._slots() != before, TAKEN):
            self.misses.append(f"slot: was not started again within {TAKEN:g} s")
        self.hits.append("slot")

    def _slots(self) -> set[int]:
        pid = self._children()["worker"]
        try:
            return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
        except OSError:  # it is being started again
            return set()

    def _children(self) -> dict[str, int]:
        try:
            return json.loads((self.folder / "up.json").read_text())["children"]
        except (OSError, ValueError):
            return {}

    def _gone(self) -> bool:
        return self._up is None or self._up.poll() is not None


def _wait(happens: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if happens():
            return True
        time.sleep(0.02)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
