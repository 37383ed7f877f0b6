"""The process dies at each named point of the inbound path, starts again, drains, and every invariant holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from channels_in import media, process
from channels_in.models import RawEvent
from tests import plain
from tests.cast import assemble, make_channel
from tests.durability.deaths import DIED, in_a_process
from tests.plain import message
from tickets.files import path_of
from tickets.models import Attachment, Channel, Message, Ticket

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]

IN_THE_DOOR = ["hook.verified", "hook.kept", "hook.committed"]
IN_THE_WORKER = [
    "process.claimed",
    "process.normalised",
    "process.files_stored",
    "t2.begun",
    "ingest.customer",
    "ingest.ticket",
    "ingest.route",
    "ingest.message",
    "ingest.events",
    "t2.effect",
    "t2.finished",
    "t2.committed",
    "quarantine.committed",
    "quarantine.shown",
    "media.claimed",
    "media.fetched",
    "media.stored",
    "media.written",
]

ITEMS = [
    message(
        "m1", "one", name="Jiwoo", files=[{"content": "a file"}, {"reference": {"content": "fetched", "name": "n.txt"}}]
    ),
    message("m2", "two"),
    {"type": "unreadable", "key": "bad", "order": "c2", "from": "+821033334444"},
    message("m3", "three", order="c3", **{"from": "+821055556666"}),
    {"type": "suppressed", "key": "typing-ish", "reason": "unknown kind"},
    message("m4", "four"),
]


@pytest.fixture
def world(plain_kinds: None, media_folder: Path):  # type: ignore[no-untyped-def]
    return make_channel("plain", brand=assemble().brand, slug="line")


def post() -> None:
    assert plain.post(Channel.objects.get(slug="line"), *ITEMS).status_code == 200


def drain() -> None:
    process.drain(seconds=30)
    media.drain(seconds=30)


@pytest.mark.parametrize("point", IN_THE_DOOR)
def test_a_death_in_the_door(world, point):
    assert in_a_process(post, crash_at=point) == DIED  # the provider saw no 2xx, and comes again
    if point != "hook.committed":
        assert not RawEvent.objects.exists()  # nothing by halves
    assert in_a_process(post) == 0
    assert in_a_process(drain) == 0
    everything_is_as_it_must_be()


@pytest.mark.parametrize("point", IN_THE_WORKER)
def test_a_death_in_the_worker(world, point):
    post()
    assert in_a_process(drain, crash_at=point) == DIED
    # The next drain takes over at once what the dead connection held: nobody waits for the lease.
    assert in_a_process(drain) == 0
    everything_is_as_it_must_be()


@pytest.mark.parametrize("first", ["t2.finished", "t2.committed", "quarantine.committed"])
@pytest.mark.parametrize("second", ["process.claimed", "ingest.message", "media.stored"])
def test_two_deaths_one_after_the_other(world, first, second):
    post()
    assert in_a_process(drain, crash_at=first) == DIED
    assert in_a_process(drain, crash_at=second) == DIED
    assert in_a_process(drain) == 0
    everything_is_as_it_must_be()


def test_a_process_that_meets_no_point_does_the_same(world):
    """The points are inert: without a name, and with one that nobody has."""
    assert in_a_process(post, crash_at="no such point") == 0
    assert in_a_process(drain) == 0
    everything_is_as_it_must_be()


def test_the_points_are_where_the_tests_believe_them_to_be():
    """Every point of the inbound path is in one of the lists above."""
    named = set()
    for path in ("channels_in/webhooks.py", "channels_in/process.py", "channels_in/media.py", "tickets/ingest.py"):
        named |= set(re.findall(r'crash_here\("([^"]+)"\)', (ROOT / path).read_text()))
    assert named == {*IN_THE_DOOR, *IN_THE_WORKER}
    assert len(named) >= 12


def test_a_message_that_kills_its_worker_is_put_aside_after_three_deaths(world, tmp_path, monkeypatch):
    switch = tmp_path / "deadly"
    switch.touch()
    monkeypatch.setenv("PLAIN_DEADLY", str(switch))
    killer = {"type": "deadly", "key": "killer", "order": "c1"}
    plain.post(world, killer, message("m1", order="c2"), message("m2", order="c1"))
    assert [in_a_process(drain) for _ in range(4)] == [DIED, DIED, DIED, 0]
    killed, other, behind = RawEvent.objects.order_by("id")
    assert (killed.state, killed.outcome_reason) == ("quarantined", "crashed")
    assert killed.stub_message_id
    assert (other.outcome, behind.outcome) == ("ticketed", "ticketed")


# -- The invariants, by SQL -------------------------------------------------------------------------------------------


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def everything_is_as_it_must_be() -> None:
    # I1: every accepted item is there exactly once
    assert rows("SELECT dedupe_key, count(*) FROM channels_in_rawevent GROUP BY 1 ORDER BY 1") == [
        ("bad", 1), ("m1", 1), ("m2", 1), ("m3", 1), ("m4", 1), ("typing-ish", 1),
    ]  # fmt: skip
    # I2: the ledger, with nothing in progress
    outcomes: dict[str, int] = dict(rows("SELECT outcome, count(*) FROM channels_in_rawevent GROUP BY 1"))
    assert outcomes == {"ticketed": 4, "quarantined": 1, "suppressed": 1}
    # I3: the ticketed items are exactly those of the messages, each with its one part
    assert (
        rows(
            """SELECT e.id FROM channels_in_rawevent e FULL JOIN tickets_message m ON m.raw_event_id = e.id
            WHERE (e.outcome = 'ticketed') IS DISTINCT FROM (m.id IS NOT NULL)
              AND (m.id IS NULL OR m.raw_event_id IS NOT NULL)"""
        )
        == []
    )
    assert rows("SELECT part FROM tickets_message WHERE raw_event_id IS NOT NULL AND part <> 0") == []
    # I4: seq has no gap, and follows the order of acceptance
    assert rows("SELECT ticket_id FROM tickets_message GROUP BY 1 HAVING max(seq) <> count(*) OR min(seq) <> 1") == []
    assert (
        rows(
            "SELECT id FROM tickets_ticket t WHERE last_seq <> (SELECT count(*) FROM tickets_message WHERE ticket_id = t.id)"
        )
        == []
    )
    assert [text for (text,) in rows(
        """SELECT m.text FROM tickets_message m JOIN channels_in_rawevent e ON e.id = m.raw_event_id
            WHERE e.ordering_key = 'c1' ORDER BY m.seq"""
    )] == ["one", "two", "four"]  # fmt: skip
    # I5: each conversation on its own ticket; and the stub for what could not be read
    assert rows(
        """SELECT e.ordering_key, count(DISTINCT m.ticket_id) FROM tickets_message m
             JOIN channels_in_rawevent e ON e.id = m.raw_event_id GROUP BY 1 ORDER BY 1"""
    ) == [("c1", 1), ("c3", 1)]  # fmt: skip
    assert Message.objects.filter(placeholder="unreadable").count() == 1
    assert rows("SELECT stub_message_id IS NOT NULL FROM channels_in_rawevent WHERE state = 'quarantined'") == [(True,)]
    # What follows the effect came with it: an event for each message, routing owed or paid, one customer each
    assert rows("SELECT count(*) FROM tickets_event WHERE kind = 'message_received'") == [(4,)]
    assert rows("SELECT count(*) FROM tickets_event WHERE kind = 'ticket_created'") == [(3,)]
    assert Ticket.objects.filter(routing_due_at__isnull=False).count() == 3
    assert rows("SELECT kind, value FROM tickets_identity ORDER BY value") == [
        ("phone", "+821011112222"),
        ("phone", "+821055556666"),
    ]
    # Files: one with its bytes, one fetched, both in the store under their hash
    files = list(Attachment.objects.order_by("id"))
    assert [file.state for file in files] == ["stored", "stored"]
    assert all(path_of(file.sha256).exists() for file in files)
