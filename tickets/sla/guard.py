"""A clock that jumps must not fire a thousand deadlines at once (reliability.md 8.1)."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from time import monotonic

log = logging.getLogger(__name__)

JUMP = timedelta(minutes=5)
CALM = 3  # sweeps without a jump until clocks fire again


class ClockGuard:
    """Compares the `now` that sweeps are given with this process's own monotonic clock."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None
        self._suspicious = 0

    def trusts(self, now: datetime, *, ticks: float | None = None) -> bool:
        """False for the sweep at which `now` jumped, and for those after it until three were calm.

        `ticks` are the seconds of the monotonic clock, by default the process's.
        """
        ticks = monotonic() if ticks is None else ticks
        if self._last is not None:
            jump = abs((now - self._last[0]) - timedelta(seconds=ticks - self._last[1]))
            if jump > JUMP:
                log.error("the clock jumped by %s; SLA clocks wait until it is calm", jump)
                self._suspicious = CALM
            elif self._suspicious:
                self._suspicious -= 1
        self._last = (now, ticks)
        return not self._suspicious
