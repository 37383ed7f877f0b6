"""The worker's sign of life. Beat wakes it every 10 s; what is shown to people is how long nothing was heard."""

import time

from django.core.cache import cache

KEY = "worker-heartbeat"
SILENT_AFTER = 40.0  # seconds without a sign of life until people are told
KEPT = 86400  # seconds


def beat(now: float | None = None) -> None:
    """Called by the worker. `now` is a Unix time in seconds."""
    cache.set(KEY, time.time() if now is None else now, KEPT)


def worker_age(now: float | None = None) -> float | None:
    """Seconds since the worker's last sign of life; None when none is known (never started, or Redis is away)."""
    last = cache.get(KEY)
    return None if last is None else max(0.0, (time.time() if now is None else now) - last)


def worker_silent() -> bool:
    """Whether to tell people that no worker runs, so that messages do not appear."""
    age = worker_age()
    return age is None or age > SILENT_AFTER
