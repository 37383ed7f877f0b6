"""Keeps the processes of `manage.py up` alive, and leaves none behind.

Order matters: what is started first is stopped last. Every child has its own session (a Ctrl-C in the terminal reaches
only the supervisor, which then stops them in order) and a parent-death signal, so that even a kill -9 of the supervisor
leaves no orphan. A child that dies is started again with a growing pause.
"""

import contextlib
import fcntl
import json
import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from helpdesk import embedded

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a dead child is started again
CALM_AFTER = 30.0  # seconds of life after which a child's earlier deaths are forgotten
STOP_TIMEOUT = 20.0  # seconds a child has to end by itself
TICK = 0.25  # seconds between two looks at the children


class AlreadyRunning(Exception):
    """Another supervisor holds the lock. `state` is what it wrote: its pid and address, perhaps empty."""

    def __init__(self, state: Mapping[str, object]) -> None:
        super().__init__("already running")
        self.state = state


class StopRequested(Exception):
    """One of STOP_SIGNALS arrived."""


@dataclass
class Child:
    """One process to keep alive, given by its command or as an embedded service.

    `healthy` is the watchdog's question, asked every `check_every` seconds once the child has lived for `grace`
    seconds: after three times "no" in a row it is killed and started again (a worker may live and yet do nothing).
    """

    name: str
    argv: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    service: Callable[[], embedded.Service] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    healthy: Callable[[], bool] | None = None
    check_every: float = 15.0
    grace: float = 60.0

    process: subprocess.Popen[bytes] | None = None
    running: embedded.Service | None = None
    started_at: float = 0.0
    retry_at: float = 0.0
    deaths: int = 0
    asked_at: float = 0.0
    refusals: int = 0

    @property
    def pid(self) -> int | None:
        if self.process is not None:
            return self.process.pid
        return self.running.pid if self.running is not None else None

    def alive(self) -> bool:
        if self.running is not None:
            return self.running.alive()
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """`start` children one after the other, then `run` until a stop signal. Use as a context manager."""

    def __init__(self, *, data_dir: Path, cwd: Path, say: Callable[[str], None] = print) -> None:
        self.data_dir = data_dir
        self.cwd = cwd
        self.say = say
        self.children: list[Child] = []
        self._lock: int | None = None
        self._previous: dict[signal.Signals, object] = {}
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stopping = False

    def __enter__(self) -> "Supervisor":
        self._take_lock()
        for number in STOP_SIGNALS:
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping = True
        self.stop_all()
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        (self.data_dir / "up.json").unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
        os.close(self._wake)
        os.close(self._woken)

    def start(self, child: Child) -> Child:
        """Start a child and keep it. An embedded service is ready when this returns. Raises StopRequested."""
        self._raise_if_stopping()
        self.children.append(child)
        self._launch(child)
        return child

    def call(self, argv: Sequence[str], *, env: Mapping[str, str], log: str) -> int:
        """Run a command to its end, stopping early on a stop signal (raises StopRequested). Returns its exit code."""
        self._raise_if_stopping()
        process = self._popen(argv, env=env, log=log)
        while process.poll() is None:
            if self._stopping:
                process.terminate()
                process.wait(STOP_TIMEOUT)
                raise StopRequested
            self._sleep(TICK)
        return process.returncode

    def announce(self, **state: object) -> None:
        """Write what a second start, the tests and the doctor want to know: pid, address, children."""
        pids = {child.name: child.pid for child in self.children}
        fresh = self.data_dir / "up.json.new"
        fresh.write_text(json.dumps({"pid": os.getpid(), **state, "children": pids}))
        fresh.replace(self.data_dir / "up.json")

    def run(self, **state: object) -> None:
        """Watch until a stop signal."""
        self.announce(**state)
        while not self._stopping:
            self._sleep(TICK)
            if self.tend():
                self.announce(**state)

    def pause(self, seconds: float) -> None:
        """Sleep between two looks at something else. Raises StopRequested."""
        self._sleep(seconds)
        self._raise_if_stopping()

    def stop_all(self) -> None:
        """Stop the children, last started first. The pages and workers therefore end before their database."""
        for child in reversed(self.children):
            if child.running is not None:
                child.running.stop(timeout=STOP_TIMEOUT)
            elif child.process is not None:
                _end(child.process, child.stop_signal)
        self.children.clear()

    def tend(self) -> bool:
        """Start again what died, and what the watchdog finds stuck. True when a process id changed."""
        changed = False
        for child in self.children:
            if self._stopping:
                break
            now = time.monotonic()
            if not child.alive():
                changed |= self._revive(child, now)
                continue
            if child.deaths and now - child.started_at > CALM_AFTER:
                child.deaths = 0
            if (
                child.healthy is not None
                and now - max(child.asked_at, child.started_at + child.grace) > child.check_every
            ):
                child.asked_at = now
                child.refusals = 0 if _ask(child.healthy) else child.refusals + 1
                if child.refusals >= 3 and child.process is not None:
                    self.say(f"{child.name} lives but does nothing; starting it again")
                    child.refusals = 0
                    _end(child.process, signal.SIGTERM)
        return changed

    # -- Watching -----------------------------------------------------------------------------------------------------

    def _revive(self, child: Child, now: float) -> bool:
        if child.retry_at == 0.0:
            pause = min(FIRST_PAUSE * 2**child.deaths, LONGEST_PAUSE)
            child.deaths += 1
            child.retry_at = now + pause
            self.say(f"{child.name} ended ({_how_it_ended(child)}); starting it again in {pause:g} s")
            if child.process is not None:
                _end(child.process, child.stop_signal)  # what it leaves behind, as a worker's pool after a kill -9
        if now < child.retry_at:
            return False
        try:
            self._launch(child)
        except (OSError, embedded.EmbeddedServiceError) as error:
            child.retry_at = 0.0
            self.say(f"{child.name} could not be started: {error}")
            return False
        return True

    def _launch(self, child: Child) -> None:
        if child.service is not None:
            child.running = child.service()
        else:
            child.process = self._popen(child.argv, env=child.env, log=child.name)
        child.started_at, child.retry_at, child.refusals = time.monotonic(), 0.0, 0

    def _popen(self, argv: Sequence[str], *, env: Mapping[str, str], log: str) -> subprocess.Popen[bytes]:
        folder = self.data_dir / "log"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{log}.log"
        if path.exists() and path.stat().st_size > embedded.LARGEST_LOG:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as out:
            return subprocess.Popen(
                list(argv),
                cwd=self.cwd,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                # A worker's children would outlive a plain death signal to their parent; SIGTERM lets it end them.
                preexec_fn=embedded.dies_with_parent(signal.SIGTERM),  # noqa: PLW1509
            )

    # -- Lock and signals ---------------------------------------------------------------------------------------------

    def _take_lock(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.data_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise AlreadyRunning(running_state(self.data_dir)) from None
        self._lock = handle

    def _on_signal(self, number: int, frame: object) -> None:
        self._stopping = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._woken, b"x")

    def _sleep(self, seconds: float) -> None:
        """Sleep, but wake at once on a stop signal."""
        if not self._stopping:
            select.select([self._wake], [], [], seconds)

    def _raise_if_stopping(self) -> None:
        if self._stopping:
            raise StopRequested


def running_state(data_dir: Path) -> dict[str, object]:
    """What a running supervisor of this folder wrote; empty when there is none."""
    try:
        state = json.loads((data_dir / "up.json").read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _ask(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except Exception:
        logger.exception("watchdog")
        return True  # what the watchdog cannot know is not the child's fault


def _how_it_ended(child: Child) -> str:
    code = child.process.returncode if child.process is not None else None
    if child.running is not None and child.running.process is not None:
        code = child.running.process.returncode
    if code is None:
        return "gone"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Ask, wait, then kill the whole session of the child, so that none of its own children stays."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
