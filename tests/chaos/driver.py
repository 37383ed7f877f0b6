"""The providers of a run: they post the plan's calls over HTTP, and again until they see a 2xx, and keep a ledger."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from channels_in.simulator.provider import Call
from channels_in.webchat.fake import Request
from tests.chaos.plan import Plan, Step
from tests.chaos.world import Accepted, Calls

SENDERS = 6
PATIENCE = 120.0  # seconds until a call that nobody takes is given up
TIMEOUT = 20.0  # seconds for one answer
PAUSE = 0.2, 2.0  # seconds between two tries, growing


class GivenUp(Exception):
    """A call was refused for good, or not taken within PATIENCE."""


class Driver:
    """`run` sends everything within about `span` seconds; the ledger grows meanwhile, also in a file."""

    def __init__(self, address: str, plan: Plan, *, span: float, folder: Path) -> None:
        parts = urlsplit(address)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port
        self.plan, self.span, self.folder = plan, span, folder
        self.ledger: list[Accepted] = []
        self.answers: Counter[str] = Counter()
        self.given_up: list[str] = []
        self._line = threading.local()
        self._lock = threading.Condition()
        self._waiting = deque(plan.steps)
        self._busy: set[int] = set()
        self._positions: Counter[int] = Counter()

    def ask(self, request: Request) -> tuple[int, dict[str, Any]]:
        """One call of the web chat's panel, for its answer."""
        body = self._until_taken(Call(request.path, request.headers, request.body), method=request.method)
        return 200, json.loads(body or b"{}")

    def run(self, calls: Calls) -> None:
        began = time.monotonic()
        with (
            (self.folder / "ledger.jsonl").open("w") as book,
            ThreadPoolExecutor(SENDERS) as seconds,
            ThreadPoolExecutor(SENDERS) as senders,
        ):

            def work() -> None:
                while step := self._next(began):
                    try:
                        self._do(step, calls, seconds, book)
                    except GivenUp as reason:
                        self.given_up.append(str(reason))
                    finally:
                        self._leave(step.lane)

            for done in [senders.submit(work) for _ in range(SENDERS)]:
                done.result()

    @property
    def share(self) -> float:
        """Of the messages, how many are accepted."""
        return len(self.ledger) / len(self.plan.said)

    # -- Steps ------------------------------------------------------------------------------------------------------

    def _next(self, began: float) -> Step | None:
        """The next step that is due and whose lane is free; waits for one. None when there are no more."""
        with self._lock:
            while self._waiting:
                passed = (time.monotonic() - began) / self.span
                blocked = set(self._busy)
                for n, step in enumerate(self._waiting):
                    if step.at > passed:
                        break
                    if step.lane not in blocked:
                        del self._waiting[n]
                        self._busy.add(step.lane)
                        return step
                    blocked.add(step.lane)  # a later step of this lane may not overtake this one
                self._lock.wait(0.01)
        return None

    def _leave(self, lane: int) -> None:
        with self._lock:
            self._busy.discard(lane)
            self._lock.notify()

    def _do(self, step: Step, calls: Calls, seconds: ThreadPoolExecutor, book: Any) -> None:
        call = calls.of(step)
        twin = seconds.submit(self._until_taken, call) if step.way == "twice_at_once" else None
        self._until_taken(call)
        if twin is not None:
            twin.result()
        if step.way == "again":
            return
        with self._lock:
            self._positions[step.lane] += 1
            one = calls.accepted(step.lane, step.index, position=self._positions[step.lane])
            self.ledger.append(one)
            book.write(json.dumps(vars(one)) + "\n")

    def _until_taken(self, call: Call, *, method: str = "POST") -> bytes:
        """As a provider does: again and again, until it is taken. Raises GivenUp for an answer that will not change."""
        until, pause = time.monotonic() + PATIENCE, PAUSE[0]
        while True:
            try:
                status, body = self._once(method, call)
            except (OSError, http.client.HTTPException) as fault:
                status, body = 0, b""
                self._count(type(fault).__name__)
            else:
                self._count(str(status))
            if 200 <= status < 300:
                return body
            if status and status < 500 and status != 429:
                raise GivenUp(f"{call.path}: {status}")
            if time.monotonic() > until:
                raise GivenUp(f"{call.path}: not taken within {PATIENCE:g} s")
            time.sleep(pause)
            pause = min(pause * 2, PAUSE[1])

    def _count(self, answer: str) -> None:
        with self._lock:
            self.answers[answer] += 1

    def _once(self, method: str, call: Call) -> tuple[int, bytes]:
        line: http.client.HTTPConnection | None = getattr(self._line, "connection", None)
        if line is None:
            line = self._line.connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        try:
            line.request(method, call.path, body=call.body, headers=dict(call.headers))
            answer = line.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            line.close()
            self._line.connection = None
            raise
