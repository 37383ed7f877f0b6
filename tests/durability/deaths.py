"""One step in a process of its own, which may die in the middle of it."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable

from django.conf import settings
from django.db import connections

DIED = 9


def in_a_process(work: Callable[[], object], *, crash_at: str = "") -> int:
    """Run in a process of its own, with its own connections, and return its exit code: 9 when it died at the point."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for alias in connections:
                connections[alias].connection = None  # the parent's session stays the parent's
            settings.CRASH_AT = crash_at
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def dies(work: Callable[[], object], *, at: str) -> None:
    """Run it in a process that must die: at this crash point of ours, or inside the scripted provider."""
    assert in_a_process(work, crash_at=at) == DIED, f"it did not die at {at}"


def drained(drain: Callable[[], int], *, until: Callable[[], bool]) -> None:
    """Drain until all is settled: PostgreSQL needs a moment to notice that a connection is gone."""
    deadline = time.monotonic() + 20
    while not until():
        assert time.monotonic() < deadline, "what the dead process left was never finished"
        drain()
        time.sleep(0.05)
    assert drain() == 0
