"""A queue played again: more people never make it worse, and the same input always gives the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.routing.choice import Need
from tickets.routing.replay import Arrival, Served, Worker, outcome, replay

ALWAYS = ((0.0, 1e9),)


def worker(number: int, **facts: object) -> Worker:
    return Worker(**{"agent_id": number, "name": f"W{number}", "capacity": 100, "shifts": ALWAYS, **facts})  # type: ignore[arg-type]


def arrival(at: float, handling: float = 10, **facts: object) -> Arrival:
    return Arrival(at=at, handling=handling, **facts)  # type: ignore[arg-type]


def starts(arrivals: list[Arrival], workers: list[Worker]) -> list[float | None]:
    return [served.started for served in replay(arrivals, workers)]


def fifo(arrivals: list[Arrival], servers: int) -> list[float]:
    """Another way to the same: each takes whoever is free first (Kiefer and Wolfowitz)."""
    free = [0.0] * servers
    started = []
    for one in sorted(arrivals, key=lambda one: one.at):
        soonest = min(range(servers), key=lambda i: free[i])
        started.append(max(one.at, free[soonest]))
        free[soonest] = started[-1] + one.handling
    return started


queues = st.lists(
    st.builds(arrival, st.integers(0, 300).map(float), st.integers(1, 60).map(float)), min_size=1, max_size=40
)


@settings(max_examples=120, deadline=None)
@given(arrivals=queues, servers=st.integers(1, 4))
def test_a_queue_of_one_skill_starts_as_an_independent_calculation_says(arrivals: list[Arrival], servers: int) -> None:
    ordered = sorted(arrivals, key=lambda one: one.at)
    assert starts(ordered, [worker(n) for n in range(servers)]) == fifo(ordered, servers)


@settings(max_examples=120, deadline=None)
@given(arrivals=queues, servers=st.integers(1, 4), more=st.integers(1, 3))
def test_more_people_never_make_anybody_wait_longer(arrivals: list[Arrival], servers: int, more: int) -> None:
    few = starts(arrivals, [worker(n) for n in range(servers)])
    many = starts(arrivals, [worker(n) for n in range(servers + more)])
    assert all(b is not None and a is not None and b <= a for a, b in zip(few, many, strict=True))


@settings(max_examples=120, deadline=None)
@given(arrivals=queues, servers=st.integers(1, 3), begins=st.integers(0, 200), length=st.integers(1, 200))
def test_somebody_who_is_there_for_a_while_never_makes_the_waits_longer_together(
    arrivals: list[Arrival], servers: int, begins: int, length: int
) -> None:
    regular = [worker(n) for n in range(servers)]
    extra = worker(99, shifts=((float(begins), float(begins + length)),))
    few = [at for at in starts(arrivals, regular) if at is not None]
    many = [at for at in starts(arrivals, [*regular, extra]) if at is not None]
    assert len(few) == len(many) == len(arrivals)
    assert sum(many) <= sum(few)


@settings(max_examples=60, deadline=None)
@given(
    arrivals=st.lists(
        st.builds(
            arrival,
            st.integers(0, 300).map(float),
            st.integers(1, 60).map(float),
            weight=st.sampled_from([30, 50, 100]),
            needs=st.sampled_from([(), (Need(1, "ko", 1, True),), (Need(2, "en", 2, False),)]),
            before=st.sampled_from([(0,), (1,)]),
        ),
        max_size=30,
    ),
    capacities=st.lists(st.sampled_from([100, 200, 500]), min_size=1, max_size=4),
)
def test_the_same_gives_the_same_and_nobody_ever_has_more_than_they_may(
    arrivals: list[Arrival], capacities: list[int]
) -> None:
    workers = [worker(n, capacity=most, skills={1: 2} if n % 2 else {2: 2}) for n, most in enumerate(capacities)]
    served = replay(arrivals, workers)
    assert served == replay(list(arrivals), list(workers))
    held = [(one, other) for one, other in zip(arrivals, served, strict=True) if other.started is not None]
    for moment in {other.started for _one, other in held}:
        for someone in workers:
            load = sum(
                one.weight
                for one, other in held
                if other.agent_id == someone.agent_id and other.started <= moment < other.started + one.handling  # type: ignore[operator]
            )
            assert load <= someone.capacity
    for one, other in zip(arrivals, served, strict=True):
        if other.agent_id is not None:
            skills = workers[other.agent_id].skills
            assert all(not need.required or skills.get(need.skill_id, 0) >= need.level for need in one.needs)


def test_who_needs_what_nobody_can_waits_for_ever_and_keeps_nobody_back() -> None:
    korean = arrival(0, needs=(Need(1, "ko", 1, True),))
    assert replay([korean, arrival(1)], [worker(0)]) == [Served(), Served(1.0, 0)]
    assert replay([korean, arrival(1)], [worker(0), worker(1, skills={1: 3})])[0] == Served(0.0, 1)


def test_a_skill_that_relaxes_lets_others_take_it_from_then_on() -> None:
    korean = arrival(0, needs=(Need(1, "ko", 1, True),), relaxes={1: 600.0})
    assert replay([korean, arrival(1)], [worker(0)]) == [Served(600.0, 0), Served(1.0, 0)]
    assert replay([korean], [worker(0), worker(1, skills={1: 1})]) == [Served(0.0, 1)]


def test_important_ones_go_first_and_a_light_one_finds_the_room_that_is_left() -> None:
    busy, usual, vip = arrival(0, 10), arrival(1, before=(1,)), arrival(2, before=(0,))
    assert starts([busy, usual, vip], [worker(0)]) == [0.0, 20.0, 10.0]
    light = arrival(2, weight=30)
    assert starts([arrival(0, 10, weight=70), arrival(1), light], [worker(0)]) == [0.0, 12.0, 2.0]


def test_nothing_is_begun_outside_a_shift_and_what_was_begun_is_finished() -> None:
    shifts = ((0.0, 5.0), (100.0, 200.0))
    assert starts([arrival(4, 10), arrival(6, 1)], [worker(0, shifts=shifts)]) == [4.0, 100.0]
    assert starts([arrival(4, 200), arrival(6, 1)], [worker(0, shifts=shifts)]) == [4.0, None]


def test_the_outcome_counts_what_was_left_and_the_promises_that_were_kept() -> None:
    arrivals = [arrival(0, due=5), arrival(0, due=5), arrival(1), arrival(2, needs=(Need(1, "ko", 1, True),), due=99)]
    served = replay(arrivals, [worker(0)])
    told = outcome(arrivals, served)
    assert (told.taken, told.left, told.median, told.longest) == (3, 1, 10.0, 19.0)
    assert told.attainment == pytest.approx(1 / 3)
    assert outcome([], []) == (0, 0, None, None, None, None)
    assert outcome([replace(arrivals[2])], [Served()]).attainment is None


def test_progress_is_told_on_the_way() -> None:
    told: list[int] = []
    replay([arrival(n) for n in range(250)], [worker(0)], tell=told.append)
    assert told == [100, 200]
