"""From a kept item to its one effect, and what becomes of those that have none."""

import threading
from datetime import timedelta
from unittest import mock
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from channels_in import ledger, media, process
from channels_in.models import IntakeDay, RawEvent, VisitorSession
from tests import plain
from tests.cast import assemble, make_channel
from tests.plain import age, come_in, due_now, message, post
from tickets import files
from tickets.models import Attachment, DeliveryPart, Event, Message, Outbox, Ticket

PHONE = "+821011112222"


def events():
    return RawEvent.objects.order_by("id")


@pytest.fixture
def sent(line):
    """A part of ours that the provider took as p1."""
    (event,) = come_in(line, message("m1"))
    said = Message.objects.get(pk=event.message_id)
    said.ticket.last_seq = 2
    said.ticket.save(update_fields=["last_seq"])
    reply = Message.objects.create(
        ticket=said.ticket,
        seq=2,
        direction="out",
        author_type="agent",
        route=said.route,
        channel=line,
        text="Hi",
        state="sent",
    )
    return DeliveryPart.objects.create(
        message=reply, n=0, channel=line, ticket=said.ticket, provider_id="p1", state="sent"
    )


# -- One effect each ----------------------------------------------------------------------------------------------------


def test_several_messages_in_one_item_are_its_parts(line):
    (event,) = come_in(
        line, {"key": "m1", "order": "c1", "type": "message", "parts": [message("a", "1"), message("b", "2")]}
    )
    assert list(Message.objects.order_by("seq").values_list("raw_event_id", "part", "text")) == [
        (event.pk, 0, "1"),
        (event.pk, 1, "2"),
    ]
    assert event.outcome == "ticketed"


def test_a_receipt_is_applied_to_its_part(line, sent):
    (event,) = come_in(line, {"type": "receipt", "key": "s1", "state": "delivered", "provider_id": "p1"})
    assert (event.outcome, event.message_id) == ("receipt", sent.message_id)
    sent.refresh_from_db()
    assert sent.state == "delivered"


def test_receipts_never_block(line, sent):
    """A receipt before its provider id waits without an attempt, holds nobody up, and is ours once the id is there."""
    receipt = {"type": "receipt", "key": "s1", "state": "delivered", "provider_id": "p2"}
    early, later = come_in(line, receipt, message("m2"))
    assert (early.state, early.attempts) == ("new", 0)
    assert later.outcome == "ticketed"
    DeliveryPart.objects.filter(pk=sent.pk).update(provider_id="p2")
    due_now()
    process.drain()
    early.refresh_from_db()
    assert early.outcome == "receipt"


def test_a_receipt_that_matches_nothing_for_ten_minutes_is_not_ours(line):
    (event,) = come_in(line, {"type": "receipt", "key": "s1", "state": "read", "provider_id": "elsewhere"})
    age(event, minutes=9)
    process.drain()
    event.refresh_from_db()
    assert event.state == "new"
    age(event, minutes=11)
    process.drain()
    event.refresh_from_db()
    assert (event.outcome, event.outcome_reason) == ("suppressed", "not ours")


def test_applied_outcomes(line, sent):
    edit = {"type": "edited", "key": "e1", "of": "m1", "text": "Hello!", "at": "2026-03-02T09:00:00+00:00"}
    reaction = {"type": "reaction", "key": "r1", "of": "p1", "text": "❤"}
    outcomes = come_in(
        line, edit, reaction, {"type": "identity", "key": "i1"}, {"type": "postback", "key": "b1"},
        {"type": "session_closed", "key": "c1"},
    )  # fmt: skip
    assert {event.outcome for event in outcomes} == {"applied"}
    assert [event.outcome_reason for event in outcomes] == [
        "edited",
        "reaction",
        "identity",
        "postback",
        "session_closed",
    ]
    said = Message.objects.get(external_id="m1")
    assert (said.text, said.meta["edits"][0]["text"]) == ("Hello!", "Hello")
    assert sent.message.__class__.objects.get(pk=sent.message_id).meta["reactions"] == {PHONE: "❤"}
    assert Message.objects.count() == 2
    assert Ticket.objects.get().status == "new"
    assert Event.objects.filter(kind="message_changed").count() == 2


def test_the_newest_edit_counts_whatever_the_order(line, sent):
    def edit(key, text, minute):
        return {"type": "edited", "key": key, "of": "m1", "text": text, "at": f"2026-03-02T09:{minute}:00+00:00"}

    come_in(line, edit("e2", "newest", "30"))
    come_in(line, edit("e1", "older", "10"))
    assert Message.objects.get(external_id="m1").text == "newest"


def test_an_edit_of_an_unknown_message_becomes_a_message_after_its_wait(line):
    (event,) = come_in(line, {"type": "edited", "key": "e1", "of": "never seen", "text": "my words"})
    assert event.state == "new"
    age(event, minutes=11)
    process.drain()
    said = Message.objects.get()
    assert (said.text, said.meta) == ("my words", {"edited": True})
    assert events().get().outcome == "ticketed"


def test_a_deletion_takes_the_words_and_leaves_the_place(line, sent):
    come_in(line, {"type": "deleted", "key": "d1", "of": "m1"})
    said = Message.objects.get(external_id="m1")
    assert (said.text, said.placeholder, said.seq) == ("", "deleted", 1)
    assert said.deleted_at
    (unknown,) = come_in(line, {"type": "deleted", "key": "d2", "of": "never seen"})
    age(unknown, minutes=11)
    process.drain()
    unknown.refresh_from_db()
    assert unknown.outcome_reason == "not ours"


def test_a_suppressed_item_is_kept_with_its_reason(line):
    (event,) = come_in(line, {"type": "suppressed", "key": "x", "reason": "unknown kind"})
    assert (event.state, event.outcome, event.outcome_reason) == ("done", "suppressed", "unknown kind")


def test_a_redelivery_with_another_counter_is_a_duplicate(line):
    come_in(line, message("m1", "same words"))
    post(line, message("m1", "same words", delivery=2))
    due_now()
    process.drain()
    first, again = events()
    assert (again.outcome, again.message_id) == ("duplicate", first.message_id)
    assert Message.objects.count() == 1


def test_same_message_id_other_content_kept(mailbox):
    """Senders re-use Message-IDs: the same mail again is a duplicate, another one is a message."""
    mail = {"rfc_message_id": "<same@example.org>", "from": "sora@example.org", "subject": "Hi"}
    (first,) = come_in(mailbox, message("1:1", "one", **mail))
    (again,) = come_in(mailbox, message("1:2", "one", **mail))
    (other,) = come_in(mailbox, message("1:3", "two", **mail))
    (forged,) = come_in(mailbox, message("1:4", "one", **{**mail, "from": "eve@example.net"}))
    assert (again.outcome, again.message_id) == ("duplicate", first.message_id)
    assert (other.outcome, forged.outcome) == ("ticketed", "ticketed")
    assert Message.objects.count() == 3


# -- What goes wrong ----------------------------------------------------------------------------------------------------


def test_poison_does_not_block(line):
    poison = {"type": "boom", "key": "bad", "order": "c9"}
    first, good = come_in(line, poison, message("m1"))
    assert good.outcome == "ticketed"
    assert (first.state, first.attempts, first.last_error) == ("new", 1, "RuntimeError: a bug in the adapter")
    assert first.next_attempt_at > plain.LONG_AGO
    for _ in range(7):
        due_now()
        process.drain()
    first.refresh_from_db()
    assert (first.state, first.outcome, first.attempts) == ("quarantined", "quarantined", 8)
    (after,) = come_in(line, message("m2", order="c9"))
    assert after.outcome == "ticketed"  # its conversation goes on


def test_an_unreadable_item_is_quarantined_at_once_beside_its_conversation(line, cast):
    (good,) = come_in(line, message("m1"))
    (bad,) = come_in(line, {"type": "unreadable", "key": "m2", "order": "c1"})
    assert (bad.state, bad.outcome_reason, bad.attempts) == ("quarantined", "unreadable: no such form", 1)
    stub = Message.objects.get(pk=bad.stub_message_id)
    ticket = Message.objects.get(pk=good.message_id).ticket
    assert (stub.ticket, stub.kind, stub.placeholder, stub.raw_event_id) == (ticket, "system", "unreadable", None)
    assert stub.meta == {"raw_event": bad.pk}
    assert Event.objects.get(kind="message_unreadable").message_id == stub.pk
    (next_one,) = come_in(line, message("m3"))
    assert Message.objects.get(pk=next_one.message_id).seq == 3  # the gap is visible


def test_unreadable_items_of_nobody_share_one_ticket_of_their_channel(line):
    for n in range(3):
        come_in(line, {"type": "unreadable", "key": f"x{n}"})
    ticket = Ticket.objects.get()
    assert ticket.subject == "Unreadable messages: Shop plain"
    assert ticket.routing_due_at
    assert Message.objects.filter(ticket=ticket, placeholder="unreadable").count() == 3
    Ticket.objects.update(status="closed")
    come_in(line, {"type": "unreadable", "key": "x9"})
    assert Ticket.objects.count() == 2


def test_a_replay_takes_the_next_place_and_shows_when_it_came(line, cast, monkeypatch):
    monkeypatch.setattr(plain, "_result", mock.Mock(side_effect=plain.Unreadable("for now")))
    (event,) = come_in(line, message("m1"))
    assert event.state == "quarantined"
    monkeypatch.undo()
    (other,) = come_in(line, message("m2"))
    assert process.replay(event, by=cast.admin)
    assert not process.replay(event, by=cast.admin)
    due_now()
    process.drain()
    event.refresh_from_db()
    said = Message.objects.get(pk=event.message_id)
    assert (event.outcome, said.received_at) == ("ticketed", event.received_at)
    assert said.seq == Message.objects.get(pk=other.message_id).seq + 1
    from agents.models import AuditEntry

    assert AuditEntry.objects.get().kind == "raw_event_replayed"


def test_three_crashes_end_in_quarantine(line):
    post(line, message("m1"))
    due_now()
    dead = {"state": "processing", "lease_until": plain.LONG_AGO, "lease_owner": "6f1b6d0e-0000-4000-8000-000000000000"}
    RawEvent.objects.update(**dead, attempts=2)
    process.drain()
    assert events().get().outcome == "ticketed"  # taken over for the second time: tried once more
    RawEvent.objects.update(outcome=None, finished_at=None, **dead, attempts=3)
    process.drain()
    assert (events().get().state, events().get().outcome_reason) == ("quarantined", "crashed")


def test_our_own_faults_cost_no_attempt(line):
    post(line, message("m1"))
    due_now()
    with mock.patch.object(process, "_t2", side_effect=OperationalError("the database went away")):
        process.drain()
    event = events().get()
    assert event.outcome is None
    RawEvent.objects.update(state="new", lease_owner=None, lease_until=None)  # (a test's transaction cannot reconnect)
    with mock.patch.object(files, "store", side_effect=files.NoRoom("full")):
        post(line, message("m2", order="c2", files=[{"content": "x"}]))
        due_now()
        process.drain()
    assert not events().filter(outcome="quarantined").exists()


def test_deadlocks_are_retried_within_the_claim(line):
    from psycopg2 import errors

    fault = OperationalError("deadlock detected")
    fault.__cause__ = errors.DeadlockDetected()
    post(line, message("m1"))
    due_now()
    real, calls = process._t2, []

    def t2(*arguments, **more):
        calls.append(arguments)
        if len(calls) <= 3:
            raise fault
        return real(*arguments, **more)

    with (
        mock.patch.object(process, "_t2", side_effect=t2),
        mock.patch.object(process, "sleep"),
    ):
        process.drain()
    assert len(calls) == 4
    assert (events().get().outcome, events().get().attempts) == ("ticketed", 1)


def test_lease_budget():
    """Parsing and T2 with its retries fit into the lease; the longest drain fits into Celery's limits."""
    from django.conf import settings

    from channels_in.parser import PATIENCE
    from tickets.queue import RAW_EVENTS

    transaction_timeout = 30
    longest = PATIENCE + (process.RETRIES + 1) * transaction_timeout + process.RETRIES * process.LONGEST_JITTER
    assert longest < RAW_EVENTS.lease
    assert 60 + longest < settings.CELERY_TASK_SOFT_TIME_LIMIT < settings.CELERY_TASK_TIME_LIMIT
    assert settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"] > settings.CELERY_TASK_TIME_LIMIT


def test_parser_away(line, mailbox, monkeypatch):
    """Mail waits, the other channels go on, no attempt is lost."""
    monkeypatch.setenv("PLAIN_PARSER", "away")
    monkeypatch.setattr(process.parser, "answers", lambda: False)
    post(
        mailbox,
        message("1:1", **{"from": "sora@example.org"}),
        message("1:2", **{"from": "eve@example.org"}, order="e"),
    )
    post(line, message("m1"))
    due_now()
    assert process.drain() == 2  # one mail was tried, and then the messenger
    assert list(events().values_list("dedupe_key", "state", "attempts")) == [
        ("1:1", "new", 0), ("1:2", "new", 0), ("m1", "done", 1),
    ]  # fmt: skip
    monkeypatch.delenv("PLAIN_PARSER")
    monkeypatch.setattr(process.parser, "answers", lambda: True)
    due_now()
    process.drain()
    assert set(events().values_list("outcome", flat=True)) == {"ticketed"}


@pytest.mark.django_db(transaction=True)
def test_a_late_worker_writes_nothing(plain_kinds):
    """It lost its claim while it worked: its whole transaction rolls back."""
    line = make_channel("plain", brand=assemble().brand)
    post(line, message("m1"))
    real = process._finish

    def stolen(event, claim, done, **more):
        other = threading.Thread(
            target=lambda: (
                RawEvent.objects.filter(pk=event.pk).update(lease_owner="6f1b6d0e-0000-4000-8000-000000000000"),
                connection.close(),
            )
        )
        other.start()
        other.join(20)
        return real(event, claim, done, **more)

    with mock.patch.object(process, "_finish", stolen):
        assert process.process_one()
    assert events().get().state == "processing"
    assert not Message.objects.exists()
    assert not Ticket.objects.exists()


# -- Media ------------------------------------------------------------------------------------------------------------


def refer(line, **reference):
    come_in(line, message("m1", files=[{"kind": "document", "reference": reference}]))
    Attachment.objects.update(next_attempt_at=plain.LONG_AGO)
    return Attachment.objects.get()


def test_media_is_fetched_by_its_own_job(line, media_folder):
    owed = refer(line, content="hello", name="note.txt")
    media.drain()
    owed.refresh_from_db()
    assert (owed.state, owed.name, owed.content_type, owed.size) == ("stored", "note.txt", "text/plain", 5)
    with files.open_stored(owed.sha256) as stored:
        assert stored.read() == b"hello"
    assert Event.objects.get(kind="message_changed").particulars["attachment"] == owed.pk


def test_media_that_is_gone_fails_with_its_reason(line):
    owed = refer(line, fault="gone")
    media.drain()
    owed.refresh_from_db()
    assert (owed.state, owed.last_error) == ("failed", "gone")


def test_media_that_fails_for_now_is_tried_again_with_patience(line):
    owed = refer(line, fault="busy")
    for n in range(1, 9):
        Attachment.objects.update(next_attempt_at=plain.LONG_AGO)
        media.drain()
        owed.refresh_from_db()
        assert (owed.attempts, owed.state) == (n, "fetching" if n < 8 else "failed")


# -- The ledger ---------------------------------------------------------------------------------------------------------


def test_ledger_equation(line, sent, cast):
    come_in(
        line, message("m2"), {"type": "unreadable", "key": "u"}, {"type": "suppressed", "key": "x", "reason": "loop"},
        {"type": "receipt", "key": "s1", "state": "read", "provider_id": "p1"},
        {"type": "receipt", "key": "s2", "state": "read", "provider_id": "nobody"},
    )  # fmt: skip
    post(line, message("m2"))  # a re-delivery adds nothing
    post(line, message("m3"))
    found = ledger.ledger()
    assert found.holds
    assert found.accepted == 7
    assert found.outcomes == {"ticketed": 2, "quarantined": 1, "suppressed": 1, "receipt": 1}
    assert found.in_progress == 2
    Message.objects.filter(external_id="m2").update(raw_event_id=None, part=None)
    assert not ledger.ledger().holds
    assert ledger.ledger().without_message


def test_the_ledgers_alarm_is_heard(line, caplog):
    (event,) = come_in(line, message("m1"))
    assert ledger.check()
    Message.objects.update(raw_event_id=event.pk + 1)
    assert not ledger.check()
    assert "the ledger is off" in caplog.text


def test_finished_days_are_rolled_up_as_the_query_says(line):
    come_in(line, message("m1"), message("m2"), {"type": "unreadable", "key": "u"})
    now = timezone.now()
    RawEvent.objects.update(received_at=now - timedelta(days=1))
    assert ledger.roll_up(now=now) == 2
    assert ledger.roll_up(now=now) == 2  # again: the same
    assert set(IntakeDay.objects.values_list("channel", "outcome", "n")) == {
        (line.pk, "ticketed", 2),
        (line.pk, "quarantined", 1),
    }


def test_uploads_and_files_of_nobody_are_dropped_after_a_day(line, media_folder, cast):
    from tickets.models import Draft

    now = timezone.now()
    (event,) = come_in(line, message("m1", files=[{"content": "kept"}]))
    old, draft_file = (
        Attachment.objects.create(
            uploaded_by=cast.agent, sha256=files.store(name).sha256, created_at=now - timedelta(hours=25)
        )
        for name in (b"old", b"in a draft")
    )
    fresh = Attachment.objects.create(uploaded_by=cast.agent, created_at=now - timedelta(hours=23))
    ticket = Message.objects.get(pk=event.message_id).ticket
    Draft.objects.create(
        ticket=ticket,
        agent=cast.agent,
        client_uuid="6f1b6d0e-0000-4000-8000-000000000000",
        attachment_ids=[draft_file.pk],
    )
    assert ledger.drop_unclaimed_uploads(now=now) == 1
    assert not Attachment.objects.filter(pk=old.pk).exists()
    assert Attachment.objects.filter(pk__in=[draft_file.pk, fresh.pk]).count() == 2
    assert ledger.drop_orphan_files(now=now) == 0  # young files may belong to a transaction that is not over
    assert ledger.drop_orphan_files(now=now + timedelta(hours=25)) == 1
    for attachment in Attachment.objects.exclude(sha256=""):
        assert files.path_of(attachment.sha256).exists()


def test_an_upload_that_a_waiting_chat_line_names_outlives_its_day(line, cast):
    """Accepted is accepted, however long the workers were away."""
    now = timezone.now()
    session = VisitorSession.objects.create(channel=line, uuid=uuid4(), renewal_sha256="0" * 64)
    mine = {"visitor_session_id": session.pk, "created_at": now - timedelta(hours=30)}
    upload = Attachment.objects.create(**mine)
    waits = RawEvent.objects.create(
        channel=line,
        dedupe_key="said",
        ordering_key=session.uuid.hex,
        raw_sha256="0" * 64,
        body_sha256="0" * 64,
        raw=b"{}",
    )
    assert ledger.drop_unclaimed_uploads(now=now) == 0
    RawEvent.objects.filter(pk=waits.pk).update(state="done", outcome="ticketed")
    assert ledger.drop_unclaimed_uploads(now=now) == 1
    assert not Attachment.objects.filter(pk=upload.pk).exists()


def test_nothing_here_owes_a_webhook(line):
    come_in(line, message("m1"))
    assert not Outbox.objects.filter(kind="webhook").exists()
