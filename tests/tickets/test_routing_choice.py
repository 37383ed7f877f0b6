"""Which of several people: pure decisions, and what never holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickets.routing.choice import Claim, Need, Person, choose, places, reserve, too_heavy

KOREAN = Need(1, "Korean", 2, required=True)
REFUNDS = Need(2, "Refunds", 1, required=False)


def person(agent_id: int, **facts: Any) -> Person:
    return Person(agent_id=agent_id, name=f"P{agent_id}", **{"load": 0, "capacity": 500, **facts})


@pytest.mark.parametrize(
    ("first", "second", "tie_breaker"),
    [
        ({"had_it": True}, {"load": 400}, "had_it"),
        ({}, {"load": 400, "knows_customer": True}, "knows_customer"),
        ({"helps_out": True}, {"load": 400}, "own_team"),
        ({}, {"load": 400, "skills": {2: 1}}, "wished_skills"),
        ({"load": 100}, {"last_given": 9}, "fewest_open"),
        ({"last_given": 7}, {"last_given": 3}, "longest_since_last"),
    ],
)
def test_the_second_gets_it_and_the_trace_says_what_decided(first: Any, second: Any, tie_breaker: str) -> None:
    choice = choose([person(1, **first), person(2, **second)], needs=[REFUNDS], weight=100)
    assert (choice.agent_id, choice.tie_breaker) == (2, tie_breaker)


def test_equals_are_decided_by_their_order() -> None:
    assert choose([person(1), person(2)], needs=[], weight=100)[:2] == (1, "by_id")


def test_a_missing_skill_is_named_with_its_level() -> None:
    choice = choose([person(1, skills={1: 1}), person(2, skills={1: 2})], needs=[KOREAN], weight=100)
    assert (choice.agent_id, choice.tie_breaker) == (2, "only_one")
    assert choice.candidates[0]["skipped"] == "missing_skill"
    assert choice.candidates[0]["missing"] == [{"name": "Korean", "level": 2}]


def test_what_somebody_who_is_away_lacks_is_told_too() -> None:
    told = choose([person(1, absent="offline"), person(2, absent="away", skills={1: 2})], needs=[KOREAN], weight=100)
    assert [(one["skipped"], "missing" in one) for one in told.candidates] == [("offline", True), ("away", False)]


def test_a_wished_skill_keeps_nobody_out() -> None:
    assert choose([person(1)], needs=[replace(KOREAN, required=False)], weight=100).agent_id == 1


@pytest.mark.parametrize(
    ("load", "weight", "fits"), [(400, 100, True), (401, 100, False), (480, 20, True), (500, 1, False)]
)
def test_a_light_ticket_fits_where_a_heavy_one_does_not(load: int, weight: int, fits: bool) -> None:
    choice = choose([person(1, load=load)], needs=[], weight=weight)
    assert choice.candidates[0]["skipped"] == (None if fits else "at_capacity")


def test_places_are_told_as_people_say_them() -> None:
    assert (places(300), places(30), places(0)) == (3, 0.3, 0)


@pytest.mark.parametrize(
    ("reasons", "limit"),
    [
        (["away", "offline"], 0),
        (["away", "at_capacity"], 60),
        (["at_capacity", "missing_skill"], None),
        ([], 0),
    ],
)
def test_what_a_queued_ticket_says_of_those_behind_it(reasons: list[str], limit: int | None) -> None:
    assert too_heavy([{"skipped": reason} for reason in reasons], weight=60) == limit


people = st.builds(
    Person,
    agent_id=st.integers(1, 10**6),
    name=st.just("P"),
    load=st.integers(0, 600),
    capacity=st.integers(0, 6).map(lambda n: n * 100),
    absent=st.sampled_from(["", "", "", "away", "offline"]),
    skills=st.dictionaries(st.integers(1, 3), st.integers(1, 3)),
    last_given=st.integers(0, 100),
    knows_customer=st.booleans(),
    helps_out=st.booleans(),
    had_it=st.booleans(),
)
needs = st.lists(
    st.builds(Need, st.integers(1, 3), st.just("S"), st.integers(1, 3), st.booleans()),
    max_size=3,
    unique_by=lambda need: need.skill_id,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine the first draw alone takes seconds
@given(st.lists(people, max_size=8, unique_by=lambda one: one.agent_id), needs, st.integers(1, 200), st.randoms())
def test_whoever_is_chosen_may_have_it_and_everybody_else_has_a_reason(
    everybody: list[Person], needs: list[Need], weight: int, chance: Any
) -> None:
    choice = choose(everybody, needs=needs, weight=weight)
    assert [one["agent"] for one in choice.candidates] == [one.agent_id for one in everybody]
    by_id = {one.agent_id: one for one in everybody}
    for told in choice.candidates:
        one = by_id[told["agent"]]
        able = (
            not one.absent
            and one.load + weight <= one.capacity
            and all(one.skills.get(need.skill_id, 0) >= need.level for need in needs if need.required)
        )
        assert able == (told["skipped"] is None)
    free = [told["agent"] for told in choice.candidates if told["skipped"] is None]
    assert (choice.agent_id in free) if free else (choice.agent_id is None)
    assert bool(choice.tie_breaker) == bool(free)
    shuffled = list(everybody)
    chance.shuffle(shuffled)
    assert choose(shuffled, needs=needs, weight=weight).agent_id == choice.agent_id


def test_room_is_kept_for_those_who_come_first() -> None:
    people = [person(1, load=300), person(2, load=400, skills={1: 2}), person(3, absent="away")]
    kept = reserve(people, [Claim(100, {1: 2}), Claim(100, {}), Claim(100, {9: 1})])
    assert [one.reserved for one in kept] == [100, 100, 0]
    choice = choose(kept, needs=[], weight=100)
    assert choice.agent_id == 1
    assert [one["skipped"] for one in choice.candidates] == [None, "others_first", "away"]
    assert [one["load"] for one in choice.candidates] == [3, 4, 0]  # what they have, not what is kept
    assert too_heavy(choose(kept, needs=[], weight=200).candidates, weight=200) is None


def test_what_nobody_there_can_do_keeps_nothing() -> None:
    assert [one.reserved for one in reserve([person(1)], [Claim(100, {1: 1})])] == [0]
    assert [one.reserved for one in reserve([person(1, load=450)], [Claim(100, {})])] == [0]


def test_who_helps_out_keeps_room_only_for_what_they_help_with() -> None:
    people = [person(1, load=500), person(2, helps_out=True)]
    assert [one.reserved for one in reserve(people, [Claim(100, {})])] == [0, 0]
    assert [one.reserved for one in reserve(people, [Claim(100, {}, is_helped=True)])] == [0, 100]


@given(
    loads=st.lists(st.integers(0, 500), min_size=1, max_size=5),
    weights=st.lists(st.sampled_from([30, 50, 100]), max_size=12),
)
def test_no_more_is_kept_than_there_is_room(loads: list[int], weights: list[int]) -> None:
    kept = reserve([person(n, load=load) for n, load in enumerate(loads)], [Claim(weight, {}) for weight in weights])
    assert all(one.load + one.reserved <= one.capacity for one in kept)
    assert sum(one.reserved for one in kept) <= sum(weights)
