"""Whose ticket is it? Pure decisions over candidates (design.md 7); `ingest` gathers the facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

UNSOLVED = frozenset({"new", "open", "pending", "on_hold"})


@dataclass(frozen=True)
class Candidate:
    """A ticket that the message may belong to; merged ones are given as their survivor.

    `party`: the sender takes part in it. `last_on_channel_at`: the newest public message on the message's channel.
    `elsewhere_at`: the newest one on any other channel.
    """

    ticket_id: int
    status: str
    party: bool = True
    solved_at: datetime | None = None
    elsewhere_at: datetime | None = None
    last_on_channel_at: datetime | None = None
    merged_into: int | None = None


@dataclass(frozen=True)
class Evidence:
    """What the message says about where it belongs, strongest first. Each is a ticket that was looked up and checked."""

    token: Candidate | None = None
    reference: Candidate | None = None
    hint: Candidate | None = None


@dataclass(frozen=True)
class Windows:
    """Hours on the same channel, hours across channels, days within which a solved ticket is reopened."""

    same_channel_hours: float
    other_channel_hours: float = 24
    reopen_days: float = 7


@dataclass(frozen=True)
class Decision:
    """`ticket_id` None: a new ticket. `link_to` with `link_kind`: the ticket that the new one belongs with."""

    ticket_id: int | None
    reason: str
    link_to: int | None = None
    link_kind: Literal["", "follow_up_of", "token_of"] = ""
    reopen: bool = False


def survivor_of(candidates: Mapping[int, Candidate], ticket_id: int) -> Candidate | None:
    """The candidate of this id, or the one that it was merged into; None when it is not among them."""
    one = candidates.get(ticket_id)
    while one is not None and one.merged_into is not None:
        one = candidates.get(one.merged_into)
    return one


def decide(evidence: Evidence, candidates: list[Candidate], *, windows: Windows, now: datetime) -> Decision:
    """Decide by the five rules of design.md 7. `candidates` are the customer's own tickets of this brand."""
    for found, reason in (
        (evidence.token, "reply_token"),
        (evidence.reference, "reference"),
        (evidence.hint, "hint"),
    ):
        if found is None:
            continue
        if not found.party:
            return Decision(None, "stranger_with_token", link_to=found.ticket_id, link_kind="token_of")
        return _into(found, reason, windows=windows, now=now)
    return _by_customer(candidates, windows=windows, now=now)


def _by_customer(candidates: list[Candidate], *, windows: Windows, now: datetime) -> Decision:
    here = [one for one in candidates if one.last_on_channel_at is not None]
    talking = [one for one in here if _within(one.last_on_channel_at, hours=windows.same_channel_hours, now=now)]
    unsolved = [one for one in candidates if one.status in UNSOLVED]
    if current := [one for one in talking if one.status in UNSOLVED]:
        return Decision(max(current, key=_latest_here).ticket_id, "same_channel")
    if len(unsolved) == 1 and _within(unsolved[0].elsewhere_at, hours=windows.other_channel_hours, now=now):
        return Decision(unsolved[0].ticket_id, "other_channel")
    done = [one for one in here if one.status not in UNSOLVED]
    if done and windows.same_channel_hours > 0:
        return _into(max(done, key=_latest_here), "reopened", windows=windows, now=now)
    return Decision(None, "new")


def _latest_here(one: Candidate) -> tuple[float, int]:
    return (one.last_on_channel_at.timestamp() if one.last_on_channel_at else 0.0, one.ticket_id)


def _into(one: Candidate, reason: str, *, windows: Windows, now: datetime) -> Decision:
    """Into this ticket, as far as its state allows: closed, or solved for too long, makes a linked follow-up."""
    if one.status in UNSOLVED:
        return Decision(one.ticket_id, reason)
    if one.status == "solved" and _within(one.solved_at, hours=windows.reopen_days * 24, now=now):
        return Decision(one.ticket_id, reason, reopen=True)
    return Decision(None, "follow_up", link_to=one.ticket_id, link_kind="follow_up_of")


def _within(moment: datetime | None, *, hours: float, now: datetime) -> bool:
    return moment is not None and now - moment <= timedelta(hours=hours)
