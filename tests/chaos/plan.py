"""What a run does, decided before it begins: who writes what on which channel, in which order, and what breaks when.

Pure: the same seed gives the same plan. A *lane* is one conversation on one channel; its steps happen one after the
other, so that the order in which we accept its messages is known. Lanes run side by side.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

KINDS = ("sms", "whatsapp", "webchat")
PER_LANE = 16  # messages of a conversation, on average
DOUBLED = 0.10  # share of the messages that come twice
SWAPPED = 0.05  # share of the messages that come after their successor
ON_TWO_CHANNELS = 0.15  # share of the people with a number who write by SMS and by WhatsApp
LATER = 5  # steps, at most, until a message comes again
JITTER = 0.04
_WORDS = "the parcel came without its blue handle and my order says two of them please look again thank you".split()

Way = Literal["first", "twice_at_once", "again"]


@dataclass(frozen=True)
class Lane:
    """One conversation. `person` is a phone number, or a name where the channel has no numbers."""

    number: int
    kind: str
    person: str


@dataclass(frozen=True)
class Said:
    """One message; `key` is what the provider calls it. `index` counts in the order of writing."""

    lane: int
    index: int
    key: str
    text: str


@dataclass(frozen=True)
class Step:
    """One call of ours. `beside`: the index of an earlier message that comes again in the same body.

    `at`: when it is due, as a share of the whole span.
    """

    lane: int
    index: int
    way: Way
    at: float
    beside: int | None = None


@dataclass(frozen=True)
class Fault:
    """`what` is killed when this share of the messages has been accepted."""

    what: str
    at: float


@dataclass(frozen=True)
class Plan:
    seed: int
    lanes: Sequence[Lane]
    said: dict[tuple[int, int], Said]
    steps: Sequence[Step]
    faults: Sequence[Fault]

    @property
    def doubled(self) -> int:
        return sum((step.way != "first") + (step.beside is not None) for step in self.steps)

    @property
    def swapped(self) -> int:
        """Messages that come after one that was written later."""
        highest: dict[int, int] = {}
        late = 0
        for step in self.steps:
            if step.way != "again":
                late += step.index < highest.get(step.lane, -1)
                highest[step.lane] = max(step.index, highest.get(step.lane, -1))
        return late


def make(*, seed: int, events: int, faults: Sequence[str]) -> Plan:
    """`faults` in the order in which they happen, spread over the run."""
    random = Random(seed)
    lanes = _lanes(random, events)
    sizes = _sizes(random, len(lanes), events)
    said = {
        (lane.number, index): Said(
            lane.number,
            index,
            _key(random, lane.kind),
            f"{lane.number:03d}/{index:03d} {' '.join(random.choices(_WORDS, k=random.randint(3, 30)))}",
        )
        for lane, size in zip(lanes, sizes, strict=True)
        for index in range(size)
    }
    everything = sorted(said)
    doubled = set(random.sample(everything, round(events * DOUBLED)))
    swapped = _swapped(random, sizes, round(events * SWAPPED))
    steps = [
        step
        for lane, size in zip(lanes, sizes, strict=True)
        for step in _steps_of(random, lane, size, doubled=doubled, swapped=swapped)
    ]
    steps.sort(key=lambda step: step.at)
    return Plan(seed, lanes, said, steps, _faults(random, faults))


def _lanes(random: Random, events: int) -> list[Lane]:
    lanes: list[Lane] = []
    numbers = iter(random.sample(range(10_000_000, 99_999_999), events))
    wanted = max(len(KINDS), events // PER_LANE)
    while len(lanes) < wanted:
        kind = KINDS[len(lanes) % len(KINDS)]
        if kind == "webchat":
            lanes.append(Lane(len(lanes), kind, f"visitor {len(lanes)}"))
            continue
        known = [lane.person for lane in lanes if lane.kind == "sms"]
        taken = {lane.person for lane in lanes if lane.kind == "whatsapp"}
        free = [person for person in known if person not in taken]
        both = kind == "whatsapp" and free and random.random() < 2 * ON_TWO_CHANNELS
        lanes.append(Lane(len(lanes), kind, random.choice(free) if both else f"+8210{next(numbers)}"))
    return lanes


def _sizes(random: Random, lanes: int, events: int) -> list[int]:
    """Some write much and some little; nobody writes nothing."""
    weights = [random.expovariate(1) + 0.2 for _ in range(lanes)]
    sizes = [1 + int((events - lanes) * weight / sum(weights)) for weight in weights]
    for n in range(events - sum(sizes)):
        sizes[n % lanes] += 1
    return sizes


def _key(random: Random, kind: str) -> str:
    match kind:
        case "sms":
            return f"SM{random.randbytes(16).hex()}"
        case "whatsapp":
            return f"wamid.{base64.b64encode(random.randbytes(24)).decode()}"
    return str(uuid.UUID(bytes=random.randbytes(16), version=4))


def _swapped(random: Random, sizes: Sequence[int], count: int) -> set[tuple[int, int]]:
    """Messages that change places with their successor; no message is in two such pairs."""
    chosen: set[tuple[int, int]] = set()
    pairs = [(lane, index) for lane, size in enumerate(sizes) for index in range(size - 1)]
    random.shuffle(pairs)
    for lane, index in pairs:
        if len(chosen) == count:
            break
        if not chosen & {(lane, index - 1), (lane, index), (lane, index + 1)}:
            chosen.add((lane, index))
    return chosen


def _steps_of(
    random: Random, lane: Lane, size: int, *, doubled: set[tuple[int, int]], swapped: set[tuple[int, int]]
) -> list[Step]:
    order = list(range(size))
    for index in range(size - 1):
        if (lane.number, index) in swapped:
            order[index], order[index + 1] = order[index + 1], order[index]
    # (place in the lane, what): what comes again follows its first by some steps.
    calls: list[tuple[float, int, Way]] = []
    beside: dict[int, int] = {}
    for place, index in enumerate(order):
        if (lane.number, index) not in doubled:
            calls.append((place, index, "first"))
            continue
        how = random.random()
        companion = order[place + random.randint(1, LATER)] if place + LATER < size else None
        if how < 0.4:
            calls.append((place, index, "twice_at_once"))
            continue
        calls.append((place, index, "first"))
        if lane.kind == "whatsapp" and how < 0.7 and companion is not None and companion not in beside:
            beside[companion] = index
        else:
            calls.append((place + random.randint(1, LATER) + 0.5, index, "again"))
    calls.sort()
    begins = random.uniform(0, 0.5)
    times = sorted(random.uniform(begins, 1) for _ in calls)
    return [
        Step(lane.number, index, way, at, beside.get(index) if way != "again" else None)
        for (_place, index, way), at in zip(calls, times, strict=True)
    ]


def _faults(random: Random, names: Sequence[str]) -> list[Fault]:
    return [
        Fault(name, (n + 0.8) / (len(names) + 0.6) + random.uniform(-JITTER, JITTER)) for n, name in enumerate(names)
    ]
