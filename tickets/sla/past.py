"""The clocks of one ticket played again from what happened to it, under other promises. Pure; the rules are those of
`clocks`, the arithmetic is that of `clock`.

A deed changes facts first and moves clocks then; those of one moment belong together, as in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from agents.hours import Hours, NeverOpens
from tickets.sla import clock
from tickets.sla.clock import Stretch

REPLIES = ("first_reply", "next_reply")
FIRST_REPLY, NEXT_REPLY = REPLIES
PERIODIC_UPDATE, RESOLUTION = "periodic_update", "resolution"
PAUSABLE = (PERIODIC_UPDATE, RESOLUTION)
UNSOLVED = ("new", "open", "pending", "on_hold")

WROTE, ANSWERED, STATUS, PRIORITY, RULES = "wrote", "answered", "status", "priority", "rules"
ANSWERED_FOR_GOOD = "answered for good"  # with a solve that was undone later: no update was promised
OTHER = ""  # only facts
MET, BREACHED, OPEN = "met", "breached", "open"


class Deed(NamedTuple):
    """What happened: the kind moves clocks, `change` is entered into the facts."""

    at: datetime
    kind: str
    change: Mapping[str, Any]


@dataclass(frozen=True)
class Offer:
    """A policy. `targets` by (metric, priority): seconds, and the hours in which they count."""

    key: int
    holds: Callable[[Mapping[str, Any]], bool]
    targets: Mapping[tuple[str, int], tuple[int, Hours]]
    pauses_in: Sequence[str] = ()
    from_creation: bool = False  # the time to the first reply counts from there


@dataclass
class Run:
    """One clock. Without an end it still lives; one that was cancelled promised nothing in the end."""

    metric: str
    offer: int
    seconds: int
    hours: Hours
    pauses_in: Sequence[str]
    started_at: datetime
    stretches: list[Stretch] = field(default_factory=list)
    ended_at: datetime | None = None
    cancelled: bool = False

    def due_at(self) -> datetime | None:
        """Of one that stands still before its deadline: None. Raises NeverOpens."""
        return clock.due_at(self.stretches, self.seconds, self.hours)

    def outcome(self, now: datetime) -> str | None:
        """Breached as soon as the deadline has passed, answered or not; met; or open. None for a cancelled one."""
        if self.cancelled:
            return None
        try:
            due = self.due_at()
        except NeverOpens:
            return None
        if due is not None and due <= (self.ended_at or now):
            return BREACHED
        return MET if self.ended_at else OPEN

    def turn(self, kind: str, at: datetime) -> None:
        last = self.stretches.pop()
        self.stretches += [last._replace(ends_at=at), Stretch(kind, at, None)]

    def end(self, at: datetime, *, cancelled: bool) -> None:
        last = self.stretches.pop()
        self.stretches.append(last._replace(ends_at=at))
        self.ended_at, self.cancelled = at, cancelled


class Played(NamedTuple):
    """`offers` are the keys of those that were found to apply at some moment, whether or not they promised anything."""

    runs: list[Run]
    offers: set[int]


def play(
    deeds: Iterable[Deed], facts: dict[str, Any], *, offers: Sequence[Offer], first_reply_at: datetime | None
) -> Played:
    """`deeds` in their order. `facts` are those before them, with `status`, `priority`, `created_at` and `policy`: the key of an
    offer that applies whatever the conditions say, or None."""
    again = _Again(copy(facts), offers, first_reply_at)
    for at, together in groupby(deeds, key=lambda deed: deed.at):
        again.happened(at, list(together))
    return Played(again.runs, again.applied)


class _Again:
    def __init__(self, facts: dict[str, Any], offers: Sequence[Offer], first_reply_at: datetime | None) -> None:
        self.facts, self.offers, self.first_reply_at = facts, offers, first_reply_at
        self.waiting_since: datetime | None = None
        self.live: dict[str, Run] = {}
        self.runs: list[Run] = []
        self.applied: set[int] = set()

    def happened(self, at: datetime, deeds: Sequence[Deed]) -> None:
        self.facts["now"] = at
        for deed in deeds:
            self.facts.update(deed.change)
        for deed in deeds:
            match deed.kind:
                case "wrote":
                    self.waiting_since = self.waiting_since or at
                    self._start({self._reply_metric(at): self.waiting_since, RESOLUTION: at}, at)
                case "answered" | "answered for good":
                    self.waiting_since = None
                    self._end([*REPLIES, PERIODIC_UPDATE], at, cancelled=False)
                    if self._is_unsolved and deed.kind == ANSWERED:
                        self._start({PERIODIC_UPDATE: at, RESOLUTION: at}, at)
                case "status":
                    self._status(at)
                case "priority":
                    self._go_on(at)
                case "rules":
                    self._promise_anew(at)

    @property
    def _is_unsolved(self) -> bool:
        return self.facts["status"] in UNSOLVED

    def _reply_metric(self, at: datetime) -> str:
        return NEXT_REPLY if self.first_reply_at is not None and self.first_reply_at <= at else FIRST_REPLY

    def _status(self, at: datetime) -> None:
        if not self._is_unsolved:
            self.waiting_since = None
            self._end([RESOLUTION], at, cancelled=False)
            self._end([*REPLIES, PERIODIC_UPDATE], at, cancelled=True)
            return
        for metric in PAUSABLE:
            if run := self.live.get(metric):
                self._turn(run, at)
        self._start({RESOLUTION: at}, at)

    def _turn(self, run: Run, at: datetime) -> None:
        wanted = "paused" if run.metric in PAUSABLE and self.facts["status"] in run.pauses_in else "running"
        if run.stretches[-1].kind != wanted:
            run.turn(wanted, at)

    def _go_on(self, at: datetime) -> None:
        if self._is_unsolved:
            waiting = {self._reply_metric(at): self.waiting_since} if self.waiting_since else {}
            self._start({**waiting, RESOLUTION: at}, at)

    def _promise_anew(self, at: datetime) -> None:
        """Rules have decided on an unanswered ticket: its clocks follow them."""
        if self.first_reply_at is None or self.first_reply_at > at:
            offer = self._offer()
            for metric in (FIRST_REPLY, RESOLUTION):
                run = self.live.get(metric)
                if run is None:
                    continue
                target = offer.targets.get((metric, self.facts["priority"])) if offer else None
                if offer is None or target is None:
                    self._end([metric], at, cancelled=True)
                elif (offer.key, *target) != (run.offer, run.seconds, run.hours):
                    run.offer, run.pauses_in = offer.key, offer.pauses_in
                    run.seconds, run.hours = target
                    self._turn(run, at)
        self._go_on(at)

    def _offer(self) -> Offer | None:
        """The one that a rule has promised, else the first that holds."""
        promised = next((offer for offer in self.offers if offer.key == self.facts["policy"]), None)
        found = promised or next((offer for offer in self.offers if offer.holds(self.facts)), None)
        if found:
            self.applied.add(found.key)
        return found

    def _start(self, since: Mapping[str, datetime], at: datetime) -> None:
        wanted = {metric: moment for metric, moment in since.items() if metric not in self.live}
        offer = self._offer() if wanted else None
        if offer is None:
            return
        if FIRST_REPLY in wanted and offer.from_creation:
            wanted[FIRST_REPLY] = self.facts["created_at"]
        for metric, moment in wanted.items():
            target = offer.targets.get((metric, self.facts["priority"]))
            if target is None:
                continue
            paused = metric in PAUSABLE and self.facts["status"] in offer.pauses_in
            run = Run(metric, offer.key, *target, offer.pauses_in, moment)
            run.stretches = [Stretch("running", moment, None)]
            try:
                run.due_at()
            except NeverOpens:
                continue
            if paused:
                run.stretches = [Stretch("paused", moment, None)]
            self.live[metric] = run
            self.runs.append(run)

    def _end(self, metrics: Iterable[str], at: datetime, *, cancelled: bool) -> None:
        for metric in metrics:
            run = self.live.pop(metric, None)
            if run:
                run.end(at, cancelled=cancelled)
