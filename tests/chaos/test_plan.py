"""The plan of a chaos run is a pure function of its seed."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.plan import Plan, make

FAULTS = ["worker", "worker", "redis", "worker"]


def plan(seed: int = 1, events: int = 2000) -> Plan:
    return make(seed=seed, events=events, faults=FAULTS)


def test_the_same_seed_gives_the_same_plan():
    assert plan(7) == plan(7)
    assert plan(7) != plan(8)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_tenth_comes_twice_and_a_twentieth_in_the_wrong_order(seed):
    made = plan(seed)
    assert (len(made.said), made.doubled, made.swapped) == (2000, 200, 100)
    assert len({said.key for said in made.said.values()}) == len({said.text for said in made.said.values()}) == 2000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_message_is_accepted_once_and_comes_again_only_afterwards(seed):
    made = plan(seed)
    firsts = [(step.lane, step.index) for step in made.steps if step.way != "again"]
    assert sorted(firsts) == sorted(made.said)
    seen: set[tuple[int, int]] = set()
    for step in made.steps:
        if step.way == "again":
            assert (step.lane, step.index) in seen
        if step.beside is not None:
            assert (step.lane, step.beside) in seen
        seen.add((step.lane, step.index))
    assert [step.at for step in made.steps] == sorted(step.at for step in made.steps)


def test_three_channels_and_some_people_on_two_of_them():
    made = plan()
    lanes = {lane.number: lane.kind for lane in made.lanes}
    by_kind = Counter(lanes[said.lane] for said in made.said.values())
    assert set(by_kind) == {"sms", "whatsapp", "webchat"}
    assert min(by_kind.values()) > 400
    people = Counter(lane.person for lane in made.lanes)
    assert 0 < sum(count == 2 for count in people.values()) < len(made.lanes) / 4


def test_the_faults_are_spread_over_the_run():
    times = [fault.at for fault in plan().faults]
    assert times == sorted(times)
    assert times[0] > 0.05
    assert times[-1] < 0.95
    assert [fault.what for fault in plan().faults] == FAULTS
