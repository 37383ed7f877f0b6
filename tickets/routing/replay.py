"""A queue played again: the same tickets arrive, other people are there. Pure; the choice is the one of real routing.

Times are seconds from any beginning. Work that was begun is finished, also beyond the end of a shift.
"""

from __future__ import annotations

import heapq
import math
import statistics
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tickets.routing.choice import PLACE, Choice, Need, Person, choose, too_heavy

TELL = 100  # arrivals between two words about the progress


@dataclass(frozen=True)
class Arrival:
    """`handling` is how long it fills a place, `weight` how much of one (hundredths). `before` puts it ahead of others
    that wait: smaller first, then who came first. `due` is by when somebody should have it. From the moment in `relaxes`
    on a skill that it needs is no more than wished."""

    at: float
    handling: float
    weight: int = PLACE
    needs: tuple[Need, ...] = ()
    before: tuple[float, ...] = ()
    due: float | None = None
    relaxes: Mapping[int, float] = field(default_factory=dict)

    def needs_at(self, now: float) -> list[Need]:
        return [
            replace(need, required=need.required and now < self.relaxes.get(need.skill_id, math.inf))
            for need in self.needs
        ]


@dataclass(frozen=True)
class Worker:
    """`capacity` in hundredths of a place; there from each start to each end of `shifts`."""

    agent_id: int
    name: str
    capacity: int
    shifts: Sequence[tuple[float, float]]
    skills: Mapping[int, int] = field(default_factory=dict)


class Served(NamedTuple):
    """Of one arrival: when somebody got it and who; None where nobody ever did."""

    started: float | None = None
    agent_id: int | None = None


class Outcome(NamedTuple):
    """Seconds over those that somebody got. `attainment` is the share of those with a promise that was kept."""

    taken: int
    left: int
    median: float | None
    p90: float | None
    longest: float | None
    attainment: float | None


class _Waiting(NamedTuple):
    before: tuple[float, ...]
    at: float
    place: int


_FINISH, _COME, _GO, _ARRIVE, _RELAX = range(5)  # in this order within one moment


def replay(
    arrivals: Sequence[Arrival], workers: Sequence[Worker], *, tell: Callable[[int], None] = lambda seen: None
) -> list[Served]:
    """What becomes of each arrival, in their order. The same input gives the same output."""
    served = [Served()] * len(arrivals)
    moments: list[tuple[float, int, int, int]] = [(one.at, _ARRIVE, place, place) for place, one in enumerate(arrivals)]
    for place, one in enumerate(arrivals):
        moments += [(then, _RELAX, place, place) for then in one.relaxes.values() if then > one.at]
    for place, worker in enumerate(workers):
        for start, end in worker.shifts:
            moments += [(start, _COME, place, place), (end, _GO, place, place)]
    heapq.heapify(moments)
    people = _People(workers)
    waiting: list[_Waiting] = []
    seen = 0
    while moments:
        now = moments[0][0]
        while moments and moments[0][0] == now:
            _at, what, _order, place = heapq.heappop(moments)
            if what == _FINISH:
                people.finish(served[place].agent_id, arrivals[place].weight)
            elif what == _ARRIVE:
                insort(waiting, _Waiting(arrivals[place].before, now, place))
                seen += 1
                if seen % TELL == 0:
                    tell(seen)
            elif what != _RELAX:  # those who wait are looked at after each moment anyway
                people.there[workers[place].agent_id] += 1 if what == _COME else -1
        for given, agent_id in _give(waiting, arrivals, people, now=now):
            served[given.place] = Served(now, agent_id)
            heapq.heappush(moments, (now + arrivals[given.place].handling, _FINISH, given.place, given.place))
    return served


class _People:
    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = workers
        self.load = {worker.agent_id: 0 for worker in workers}
        self.there = {worker.agent_id: 0 for worker in workers}
        self.last_given = {worker.agent_id: 0 for worker in workers}
        self.given = 0

    def choose(self, arrival: Arrival, *, now: float) -> Choice:
        here = [
            Person(
                agent_id=worker.agent_id,
                name=worker.name,
                load=self.load[worker.agent_id],
                capacity=worker.capacity,
                skills=worker.skills,
                last_given=self.last_given[worker.agent_id],
            )
            for worker in self.workers
            if self.there[worker.agent_id] > 0
        ]
        return choose(here, needs=arrival.needs_at(now), weight=arrival.weight)

    def take(self, agent_id: int, weight: int) -> None:
        self.given += 1
        self.load[agent_id] += weight
        self.last_given[agent_id] = self.given

    def finish(self, agent_id: int | None, weight: int) -> None:
        assert agent_id is not None, "what ends was begun by somebody"
        self.load[agent_id] -= weight


def _give(
    waiting: list[_Waiting], arrivals: Sequence[Arrival], people: _People, *, now: float
) -> list[tuple[_Waiting, int]]:
    """As a drain does: the queue in its order, and once nobody has room for a weight, the lighter ones only."""
    given: list[tuple[_Waiting, int]] = []
    left: list[_Waiting] = []
    full: int | None = None
    for place, one in enumerate(waiting):
        arrival = arrivals[one.place]
        if full is not None and arrival.weight >= full:
            if full == 0:
                left += waiting[place:]
                break
            left.append(one)
            continue
        choice = people.choose(arrival, now=now)
        if choice.agent_id is None:
            limit = too_heavy(choice.candidates, weight=arrival.weight)
            full = limit if full is None else full if limit is None else min(full, limit)
            left.append(one)
        else:
            people.take(choice.agent_id, arrival.weight)
            given.append((one, choice.agent_id))
    waiting[:] = left
    return given


def outcome(arrivals: Sequence[Arrival], served: Sequence[Served]) -> Outcome:
    pairs = list(zip(arrivals, served, strict=True))
    waits = sorted(one.started - arrival.at for arrival, one in pairs if one.started is not None)
    promised = [(arrival.due, one.started) for arrival, one in pairs if arrival.due is not None]
    kept = sum(started is not None and started <= due for due, started in promised)
    return Outcome(
        taken=len(waits),
        left=len(arrivals) - len(waits),
        median=statistics.median(waits) if waits else None,
        p90=waits[min(len(waits) - 1, int(0.9 * len(waits)))] if waits else None,
        longest=waits[-1] if waits else None,
        attainment=kept / len(promised) if promised else None,
    )
