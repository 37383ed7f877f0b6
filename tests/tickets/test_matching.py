from datetime import UTC, datetime, timedelta

import pytest

from tickets.matching import Candidate, Decision, Evidence, Windows, decide, survivor_of

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOURS = timedelta(hours=1)
WINDOWS = Windows(same_channel_hours=48, other_channel_hours=24, reopen_days=7)
MAIL = Windows(same_channel_hours=0, other_channel_hours=24, reopen_days=7)


def ticket(
    pk: int, status: str = "open", *, here: float | None = 1, elsewhere: float | None = None, solved: float = 0, **more
):
    """Hours ago: the newest message on this channel, on any other, the solve."""
    return Candidate(
        pk,
        status,
        last_on_channel_at=None if here is None else NOW - here * HOURS,
        elsewhere_at=None if elsewhere is None else NOW - elsewhere * HOURS,
        solved_at=NOW - solved * HOURS if status in ("solved", "closed") else None,
        **more,
    )


ON_CHANNEL = [
    ("nothing at all", [], Decision(None, "new")),
    ("open on this channel", [ticket(1)], Decision(1, "same_channel")),
    ("pending counts as open", [ticket(1, "pending")], Decision(1, "same_channel")),
    ("the one that was used last", [ticket(1, here=5), ticket(2, here=9)], Decision(1, "same_channel")),
    ("out of the channel's window", [ticket(1, here=49)], Decision(None, "new")),
    ("the only open one elsewhere", [ticket(1, here=None, elsewhere=23)], Decision(1, "other_channel")),
    ("elsewhere, but a day ago", [ticket(1, here=None, elsewhere=25)], Decision(None, "new")),
    ("two open ones elsewhere", [ticket(1, here=None, elsewhere=1), ticket(2, here=None, elsewhere=2)], Decision(None, "new")),
    ("here wins over elsewhere", [ticket(1, here=40), ticket(2, here=None, elsewhere=1)], Decision(1, "same_channel")),
    ("solved lately", [ticket(1, "solved", solved=24)], Decision(1, "reopened", reopen=True)),
    ("solved too long ago", [ticket(1, "solved", here=200, solved=169)], Decision(None, "follow_up", 1, "follow_up_of")),
    ("closed", [ticket(1, "closed", solved=300)], Decision(None, "follow_up", 1, "follow_up_of")),
    ("solved on another channel", [ticket(1, "solved", here=None, solved=2)], Decision(None, "new")),
    ("open wins over solved", [ticket(1, "solved", here=1, solved=1), ticket(2, here=3)], Decision(2, "same_channel")),
]  # fmt: skip


@pytest.mark.parametrize(("why", "candidates", "expected"), ON_CHANNEL, ids=[row[0] for row in ON_CHANNEL])
def test_the_customer_decides_where_nothing_else_does(why, candidates, expected):
    assert decide(Evidence(), candidates, windows=WINDOWS, now=NOW) == expected


def test_a_mailbox_without_a_window_joins_by_evidence_only():
    assert decide(Evidence(), [ticket(1, here=0.1)], windows=MAIL, now=NOW) == Decision(None, "new")
    assert decide(Evidence(), [ticket(1, "solved", solved=1)], windows=MAIL, now=NOW) == Decision(None, "new")


POINTED = [
    ("a token of the sender's own ticket", Evidence(token=ticket(7)), Decision(7, "reply_token")),
    ("a reference", Evidence(reference=ticket(7)), Decision(7, "reference")),
    ("a conversation of the visitor", Evidence(hint=ticket(7)), Decision(7, "hint")),
    ("the token is stronger", Evidence(token=ticket(7), reference=ticket(8)), Decision(7, "reply_token")),
    ("whatever its age", Evidence(token=ticket(7, here=9999)), Decision(7, "reply_token")),
    (
        "a token of somebody else",
        Evidence(token=ticket(7, party=False)),
        Decision(None, "stranger_with_token", 7, "token_of"),
    ),
    (
        "a token of a solved ticket",
        Evidence(token=ticket(7, "solved", solved=1)),
        Decision(7, "reply_token", reopen=True),
    ),
    (
        "a token of a closed ticket",
        Evidence(token=ticket(7, "closed", solved=1)),
        Decision(None, "follow_up", 7, "follow_up_of"),
    ),
]


@pytest.mark.parametrize(("why", "evidence", "expected"), POINTED, ids=[row[0] for row in POINTED])
def test_evidence_wins_over_the_customers_other_tickets(why, evidence, expected):
    assert decide(evidence, [ticket(1), ticket(2)], windows=WINDOWS, now=NOW) == expected


def test_a_stranger_never_falls_back_to_his_own_open_ticket():
    decision = decide(Evidence(token=ticket(7, party=False)), [ticket(1)], windows=WINDOWS, now=NOW)
    assert decision.ticket_id is None


def test_a_merged_ticket_stands_for_its_survivor():
    found = {1: ticket(1, merged_into=2), 2: ticket(2, merged_into=3), 3: ticket(3)}
    assert survivor_of(found, 1) == found[3]
    assert survivor_of(found, 9) is None
