"""A clock that jumps fires nothing until it has been calm for three sweeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tickets.sla.guard import ClockGuard

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def sweeps(*steps: tuple[float, float]) -> list[bool]:
    """Each step moves the wall clock and the monotonic clock by so many seconds."""
    guard, now, ticks, answers = ClockGuard(), NOW, 1000.0, []
    answers.append(guard.trusts(now, ticks=ticks))
    for wall, own in steps:
        now, ticks = now + timedelta(seconds=wall), ticks + own
        answers.append(guard.trusts(now, ticks=ticks))
    return answers


def test_an_even_clock_is_trusted_however_long_a_pause_was() -> None:
    assert sweeps((5, 5), (3600, 3600), (5, 5.4)) == [True] * 4


@pytest.mark.parametrize("jump", [7200, -1800])
def test_a_jump_stops_the_clocks_until_three_sweeps_were_calm(jump: float) -> None:
    assert sweeps((jump, 5), (5, 5), (5, 5), (5, 5), (5, 5)) == [True, False, False, False, True, True]
