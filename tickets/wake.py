"""Wake-ups of the workers. They are speed only: what is due stands in rows, and a sweep finds it anyway."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

from django.db import transaction
from django.utils.module_loading import import_string
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

REST = 5.0  # seconds without further tries after the broker did not answer
_resting_until = 0.0


def wake(task: str, *, queue: str | None = None, countdown: float = 0, **arguments: str) -> None:
    """After the commit, ask a worker to run the task of this dotted path ("tickets.tasks.deliver").

    Outside a transaction it is asked at once. A broker that is away costs nothing but the time to the next sweep.
    `countdown` is in seconds, at most 60; `queue` overrides the task's own.
    """
    options: dict[str, Any] = {"queue": queue} if queue else {}
    if countdown > 0:
        options["countdown"] = min(countdown, 60)
    transaction.on_commit(lambda: _publish(task, arguments, options), robust=True)


def _publish(task: str, arguments: dict[str, str], options: dict[str, Any]) -> None:
    global _resting_until
    if monotonic() < _resting_until:
        return
    try:
        import_string(task).apply_async(
            kwargs=arguments, retry=False, expires=60 + options.get("countdown", 0), **options
        )
    except (OperationalError, RedisError, OSError) as error:
        _resting_until = monotonic() + REST
        log.warning("wake-up of %s skipped: %s", task, type(error).__name__)
