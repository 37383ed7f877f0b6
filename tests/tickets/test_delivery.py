"""An answer leaves: the state machine of the parts (reliability.md 3.2 and 6)."""

import itertools
import signal
import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction

from tests.scripted import Stage
from tickets import delivery, queue, replies
from tickets.contract import Receipt
from tickets.models import (
    Channel,
    DeliveryAttempt,
    DeliveryPart,
    Event,
    Identity,
    Message,
    Route,
    SlaClock,
    SlaPolicy,
    Ticket,
)
from tickets.models.event import by_agent
from tickets.sla import clocks

pytestmark = pytest.mark.django_db
committing = pytest.mark.django_db(transaction=True)  # where threads, or the absence of a transaction, matter

EVERY = ["queued", "sending", "sent", "delivered", "read", "failed", "uncertain"]


@pytest.fixture
def stage(scripted, now):
    return Stage(now)


@pytest.fixture
def keyed(scripted, now):
    return Stage(now, kind="scripted_keyed")


@pytest.fixture
def mail(scripted, now):
    return Stage(now, kind="scripted_mail")


def answer(stage, text="It arrives tomorrow.", **changes):
    arguments = {
        "agent": stage.mina,
        "text": text,
        "route": stage.route,
        "client_uuid": uuid4(),
        "seen_message_id": None,
        "now": stage.now,
    } | changes
    return replies.post(stage.ticket, **arguments)


def part_of(message):
    return DeliveryPart.objects.get(message=message)


def state_of(message):
    message.refresh_from_db()
    return message.state


def make_due():
    DeliveryPart.objects.filter(state="queued").update(next_attempt_at="2000-01-01T00:00Z")


def abandon(part, *, phase):
    """As a worker leaves it that died in this phase of an attempt: claimed, its connection gone."""
    DeliveryPart.objects.filter(pk=part.pk).update(
        state="sending", lease_owner=uuid4(), lease_until="2999-01-01T00:00Z", attempts=1
    )
    n = DeliveryAttempt.objects.filter(part=part).count() + 1
    DeliveryAttempt.objects.create(part=part, n=n, phase=phase)


def kinds():
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


# the way of a part


@committing
def test_a_part_is_sent_once_with_what_was_fixed_before(stage, scripted):
    message = answer(stage)
    assert delivery.deliver(kind="scripted") == 1
    part = part_of(message)
    (taken,) = scripted.accepted()
    assert (taken["part_uuid"], taken["text"], taken["to"]) == (str(part.send_uuid), part.text, stage.identity.value)
    assert (taken["first_attempt"], taken["author_name"], taken["automatic"]) == (True, "Mina", "")
    assert (part.state, part.provider_id, part.lease_owner) == ("sent", "p1", None) and part.sent_at
    assert state_of(message) == "sent"
    assert list(part.tries.values_list("n", "phase", "result")) == [(1, "committed", "sent")]
    assert kinds()[-1] == "delivery_changed"
    assert delivery.deliver() == 0


def test_a_drain_of_one_kind_leaves_the_others(stage):
    message = answer(stage)
    assert delivery.deliver(kind="scripted_keyed") == 0
    assert state_of(message) == "queued"


def test_parts_leave_in_order(stage, scripted):
    message = answer(stage, text="word " * 60)
    delivery.deliver()
    assert [one["n"] for one in scripted.accepted()] == list(range(message.parts.count()))
    assert state_of(message) == "sent"


def test_a_part_waits_for_the_one_before_it_but_not_for_ever(stage, scripted):
    first, second = answer(stage), answer(stage, text="and more")
    scripted.do("transient")
    assert delivery.deliver() == 1
    assert (state_of(first), state_of(second)) == ("queued", "queued")
    DeliveryPart.objects.filter(message=first).update(created_at=stage.now - timedelta(seconds=61))
    assert delivery.deliver() == 1
    assert (state_of(first), state_of(second)) == ("queued", "sent")


def test_a_channel_at_its_cap_is_left_alone(stage, settings):
    settings.CLAIMS_PER_CHANNEL = 1
    answer(stage)
    other = stage.add_ticket()
    DeliveryPart.objects.update(state="sending", lease_owner=uuid4(), lease_until="2999-01-01T00:00Z")
    replies.post(
        other, agent=stage.mina, text="x", route=stage.add_route(other), client_uuid=uuid4(), seen_message_id=None,
        now=stage.now,
    )  # fmt: skip
    with queue.claimed(queue.PARTS) as claim:
        assert claim is None
    settings.CLAIMS_PER_CHANNEL = 2
    with queue.claimed(queue.PARTS) as claim:
        assert claim is not None


@pytest.mark.parametrize("step, low, high", [("transient", 29, 38), ("wait:120", 119, 121)])
def test_what_passes_is_tried_again_later(stage, scripted, now, step, low, high):
    message = answer(stage)
    scripted.do(step)
    delivery.deliver()
    part = part_of(message)
    assert part.state == state_of(message) == "queued"
    assert low <= (part.next_attempt_at - part.tries.get().started_at).total_seconds() <= high
    assert part.last_error and delivery.deliver() == 0
    make_due()
    delivery.deliver()
    assert state_of(message) == "sent" and part_of(message).last_error == ""
    assert scripted.accepted()[0]["first_attempt"] is False


def test_pauses_double(stage, scripted):
    assert [round(delivery._pause(n) / 30) >= 2 ** (n - 1) for n in range(1, 7)] == [True] * 6
    assert delivery._pause(50) <= delivery.LONGEST_PAUSE * 1.25


def test_what_passes_for_too_long_has_failed(stage, scripted):
    message = answer(stage, now=stage.now - timedelta(hours=25))
    DeliveryPart.objects.update(created_at=stage.now - timedelta(hours=24, minutes=1))
    scripted.do("transient")
    delivery.deliver()
    assert (state_of(message), part_of(message).error_code) == ("failed", "gave_up")


def test_what_is_permanent_fails_at_once_and_says_why(stage, scripted):
    message = answer(stage)
    scripted.do("permanent")
    delivery.deliver()
    assert (state_of(message), message.error, part_of(message).error_code) == ("failed", "550 no such user", "550")
    event = Event.objects.get(kind="delivery_failed")
    assert event.particulars["error"] == "550 no such user"
    assert scripted.accepted() == []


def test_a_bug_in_an_adapter_is_tried_again_and_holds_up_nobody(stage, scripted, caplog):
    message = answer(stage)
    scripted.do("fault")
    delivery.deliver()
    assert (state_of(message), part_of(message).error_code) == ("queued", "fault")


@pytest.mark.parametrize("step, column", [("opted_out", "opted_out_at"), ("bad_address", "failed_at")])
def test_what_the_provider_says_of_the_address_is_kept(stage, scripted, step, column):
    message = answer(stage)
    scripted.do(step)
    delivery.deliver()
    assert state_of(message) == "failed"
    assert getattr(Identity.objects.get(), column)
    assert ("identity_opted_out" in kinds()) == (step == "opted_out")


def test_a_disconnected_account_keeps_the_answer_until_it_is_back(stage, scripted):
    message = answer(stage)
    scripted.do("disconnected")
    delivery.deliver()
    channel = Channel.objects.get()
    assert channel.disconnected_at and channel.disconnected_reason == "token expired"
    make_due()
    assert delivery.deliver() == 0 and state_of(message) == "queued"
    Channel.objects.update(disconnected_at=None)
    assert delivery.deliver() == 1 and state_of(message) == "sent"


def test_an_answer_that_waits_too_long_for_its_channel_has_failed(stage):
    message = answer(stage)
    Channel.objects.update(active=False)
    DeliveryPart.objects.update(created_at=stage.now - timedelta(hours=25))
    delivery.deliver()
    assert (state_of(message), part_of(message).error_code) == ("failed", "disconnected")


def test_the_window_is_looked_at_again_at_the_moment_of_sending(stage, scripted, monkeypatch):
    from dataclasses import replace

    message = answer(stage)
    windowed = replace(scripted.Scripted.capabilities, window_hours=24)
    monkeypatch.setattr(scripted.Scripted, "capabilities", windowed)
    Route.objects.update(window_expires_at=stage.now - timedelta(seconds=1))
    delivery.deliver()
    assert (state_of(message), part_of(message).error_code) == ("failed", "window_closed")
    assert scripted.accepted() == []


def test_an_opt_out_between_writing_and_sending_counts(stage, scripted):
    message = answer(stage)
    Identity.objects.update(opted_out_at=stage.now)
    delivery.deliver()
    assert (state_of(message), part_of(message).error_code, scripted.accepted()) == ("failed", "opted_out", [])


# no answer, and crashes


@pytest.mark.parametrize(
    "kind, state, copies", [("scripted", "uncertain", 1), ("scripted_keyed", "sent", 1), ("scripted_mail", "sent", 2)]
)
def test_silence_after_the_last_byte_is_settled_by_what_the_channel_can(scripted, now, kind, state, copies):
    stage = Stage(now, kind=kind)
    message = answer(stage)
    scripted.do("silence")
    delivery.deliver()
    make_due()
    delivery.deliver()
    assert state_of(message) == state
    assert len(scripted.accepted()) == copies
    assert len({(one["part_uuid"], one["rfc_message_id"]) for one in scripted.accepted()}) == 1


def test_a_mailbox_may_choose_to_ask_instead(mail, scripted):
    Channel.objects.update(settings={"resend_without_answer": False})
    message = answer(mail)
    scripted.do("silence")
    delivery.deliver()
    assert state_of(message) == "uncertain"


def test_an_answered_error_after_the_body_is_no_silence(stage, scripted):
    message = answer(stage)
    scripted.do("refuse_after")
    delivery.deliver()
    assert state_of(message) == "queued"


@committing
def test_outbound_crash_table(scripted, now):
    """Each row of the table in reliability.md 6, for a part that a dead worker left behind."""
    rows = [
        ("scripted", "connect", "sent"),
        ("scripted", "committed", "uncertain"),
        ("scripted_keyed", "committed", "sent"),
        ("scripted_mail", "committed", "sent"),
    ]
    stage = Stage(now)
    for n, (kind, phase, expected) in enumerate(rows):
        channel = stage.channel if kind == "scripted" else stage.add_channel(kind, slug=f"c{n}")
        identity = stage.identity if kind != "scripted_mail" else stage.add_identity(channel)
        ticket = stage.add_ticket()
        route = stage.add_route(ticket, channel, identity)
        message = replies.post(
            ticket, agent=stage.mina, text="x", route=route, client_uuid=uuid4(), seen_message_id=None, now=now
        )
        part = part_of(message)
        uuid = part.send_uuid
        abandon(part, phase=phase)
        delivery.deliver()
        part.refresh_from_db()
        assert (state_of(message), part.state) == (expected, expected), (kind, phase)
        assert part.send_uuid == uuid
        assert part.tries.order_by("n").first().result == "crashed"


def test_a_crash_between_claim_and_attempt_costs_nothing(stage):
    message = answer(stage)
    DeliveryPart.objects.update(state="sending", lease_owner=uuid4(), lease_until="2999-01-01T00:00Z", attempts=1)
    delivery.deliver()
    assert state_of(message) == "sent"


@pytest.mark.parametrize("phase, state", [("connect", "failed"), ("committed", "uncertain")])
def test_a_part_that_kills_its_worker_three_times_is_put_aside(keyed, scripted, phase, state):
    message = answer(keyed)
    part = part_of(message)
    for n in (1, 2):
        DeliveryAttempt.objects.create(part=part, n=n, phase=phase, result="crashed")
    abandon(part, phase=phase)
    delivery.deliver()
    assert (state_of(message), part_of(message).error_code) == (state, "crashed")
    assert scripted.accepted() == []


@committing
def test_a_live_claim_is_not_taken_over(stage, scripted):
    message = answer(stage)
    with queue.claimed(queue.PARTS) as claim:
        assert claim is not None
        result = []

        def other_worker():
            result.append(delivery.deliver())
            connection.close()

        thread = threading.Thread(target=other_worker)
        thread.start()
        thread.join()
        assert result == [0] and scripted.accepted() == []
    assert delivery.deliver() == 1 and state_of(message) == "sent"


def test_a_worker_whose_claim_was_taken_stops_before_the_last_byte(stage, scripted, monkeypatch):
    """SIGSTOP in the adapter, lease over, somebody else takes the part: the late worker sends nothing."""
    message = answer(stage)
    thief = uuid4()
    send = scripted.Scripted.send

    def slow(self, channel, outbound, *, committed):
        DeliveryPart.objects.update(lease_owner=thief)
        return send(self, channel, outbound, committed=committed)

    monkeypatch.setattr(scripted.Scripted, "send", slow)
    delivery.deliver()
    part = part_of(message)
    assert scripted.accepted() == []
    assert (part.state, part.lease_owner) == ("sending", thief)
    assert part.tries.get().result == delivery.LOST


def test_a_late_worker_still_says_that_it_arrived(stage, scripted, monkeypatch):
    """Taken over after the last byte and called uncertain: then the answer comes after all."""
    message = answer(stage)
    accept = scripted.Scripted._accept

    def accept_late(self, channel, outbound):
        DeliveryPart.objects.update(state="uncertain", lease_owner=None, lease_until=None)
        return accept(self, channel, outbound)

    monkeypatch.setattr(scripted.Scripted, "_accept", accept_late)
    delivery.deliver()
    assert (state_of(message), part_of(message).provider_id) == ("sent", "p1")


def test_an_attempt_that_hangs_is_cut(stage, scripted, monkeypatch):
    message = answer(stage)

    def hang(self, channel, outbound, *, committed):
        committed()
        signal.pause()
        raise AssertionError("never")

    monkeypatch.setattr(scripted.Scripted, "send", hang)
    monkeypatch.setattr(delivery, "LONGEST", 0.2)
    delivery.deliver()
    assert (state_of(message), part_of(message).error_code) == ("uncertain", "timeout")


@committing
def test_the_lease_is_renewed_while_it_is_being_sent(stage, scripted, monkeypatch):
    answer(stage)
    leases = []
    send = scripted.Scripted.send

    def slow(self, channel, outbound, *, committed):
        DeliveryPart.objects.update(lease_until="2000-01-01T00:00Z")
        for _ in range(200):
            leases.append(DeliveryPart.objects.get().lease_until)
            if leases[-1].year > 2000:
                break
            threading.Event().wait(0.02)
        return send(self, channel, outbound, committed=committed)

    monkeypatch.setattr(scripted.Scripted, "send", slow)
    monkeypatch.setattr(delivery, "RENEWED", 0.05)
    delivery.deliver()
    assert leases[-1].year > 2000


@committing
def test_nothing_is_sent_inside_a_transaction(stage, scripted, monkeypatch):
    answer(stage)
    inside = []
    send = scripted.Scripted.send

    def watch(self, channel, outbound, *, committed):
        inside.append(connection.in_atomic_block)
        return send(self, channel, outbound, committed=committed)

    monkeypatch.setattr(scripted.Scripted, "send", watch)
    delivery.deliver()
    assert inside == [False]


# message state


@pytest.mark.parametrize(
    "states, state",
    [
        (["sent"], "sent"),
        (["sent", "read"], "sent"),
        (["delivered", "read"], "delivered"),
        (["queued", "read"], "queued"),
        (["sending", "sent"], "sending"),
        (["failed", "read"], "failed"),
        (["uncertain", "read"], "uncertain"),
        (["failed", "uncertain", "queued"], "failed"),
        (["uncertain", "queued"], "uncertain"),
        ([], "queued"),
    ],
)
def test_message_state_from_parts(states, state):
    for order in itertools.permutations(states):
        assert delivery.derive(order) == state


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "delivered", "read"])))
def test_receipts_in_every_order_end_at_read(stage, order):
    message = answer(stage)
    delivery.deliver()
    for state in order:
        assert delivery.apply_receipt(stage.channel, Receipt(state, provider_id="p1"), now=stage.now) == message.pk
    part = part_of(message)
    assert (part.state, state_of(message)) == ("read", "read")


@pytest.mark.parametrize("was", EVERY)
@pytest.mark.parametrize("says", ["sent", "delivered", "read", "failed"])
def test_a_receipt_moves_forward_only(stage, was, says):
    message = answer(stage)
    DeliveryPart.objects.update(state=was, provider_id="p1")
    Message.objects.filter(pk=message.pk).update(state=was)
    delivery.apply_receipt(stage.channel, Receipt(says, provider_id="p1"), now=stage.now)
    allowed = {
        "sent": {"queued", "sending", "uncertain"},
        "delivered": {"queued", "sending", "sent", "uncertain", "failed"},
        "read": {"queued", "sending", "sent", "delivered", "uncertain", "failed"},
        "failed": {"queued", "sending", "sent", "uncertain"},
    }[says]
    expected = says if was in allowed else was
    assert (part_of(message).state, state_of(message)) == (expected, expected)


def test_a_receipt_before_the_provider_s_id_is_kept_matches_nothing_yet(stage):
    answer(stage)
    assert delivery.apply_receipt(stage.channel, Receipt("delivered", provider_id="p1"), now=stage.now) is None
    delivery.deliver()
    assert delivery.apply_receipt(stage.channel, Receipt("delivered", provider_id="p1"), now=stage.now)


def test_our_own_id_settles_an_uncertain_part_and_teaches_the_provider_s(stage, scripted):
    message = answer(stage)
    scripted.do("silence")
    delivery.deliver()
    receipt = Receipt("delivered", part_uuid=str(part_of(message).send_uuid), provider_id="wamid.1")
    assert delivery.apply_receipt(stage.channel, receipt, now=stage.now) == message.pk
    assert (state_of(message), part_of(message).provider_id) == ("delivered", "wamid.1")


@pytest.mark.parametrize("uuid", ["", "nonsense", "6f1d2c1e-0c5b-4f0e-9a57-3b8f3b0c2d10"])
def test_an_unknown_id_matches_nothing(stage, uuid):
    answer(stage)
    assert delivery.apply_receipt(stage.channel, Receipt("read", part_uuid=uuid), now=stage.now) is None


def test_another_channel_s_receipt_is_not_ours(stage):
    answer(stage)
    delivery.deliver()
    other = stage.add_channel("scripted", slug="other")
    assert delivery.apply_receipt(other, Receipt("read", provider_id="p1"), now=stage.now) is None


def test_a_bounce_is_found_by_our_message_id_at_whichever_mailbox_it_arrives(mail):
    message = answer(mail)
    delivery.deliver()
    other = mail.add_channel("scripted_mail", slug="other")
    bounce = Receipt(
        "failed", rfc_message_id=part_of(message).rfc_message_id, code="5.1.1", detail="no such user", bad_address=True
    )
    assert delivery.apply_receipt(other, bounce, now=mail.now) == message.pk
    assert (state_of(message), message.error) == ("failed", "no such user")
    assert Identity.objects.get().failed_at


def test_a_delay_is_not_an_end(mail):
    message = answer(mail)
    delivery.deliver()
    delayed = Receipt("failed", rfc_message_id=part_of(message).rfc_message_id, permanent=False)
    assert delivery.apply_receipt(mail.channel, delayed, now=mail.now) == message.pk
    assert state_of(message) == "sent"


def test_a_watermark_covers_every_part_before_it(stage):
    Route.objects.update(remote_thread_id="thread-1")
    early, late = answer(stage, text="word " * 30), answer(stage)
    delivery.deliver()
    DeliveryPart.objects.filter(message=late).update(created_at=stage.now + timedelta(hours=1))
    receipt = Receipt("read", external_conversation_id="thread-1", everything_until=stage.now + timedelta(minutes=30))
    assert delivery.apply_receipt(stage.channel, receipt, now=stage.now) == early.pk
    assert (state_of(early), state_of(late)) == ("read", "sent")


def test_a_watermark_by_seq(stage):
    early, late = answer(stage), answer(stage)
    delivery.deliver()
    receipt = Receipt("read", ticket_id=stage.ticket.pk, up_to_seq=early.seq)
    assert delivery.apply_receipt(stage.channel, receipt, now=stage.now) == early.pk
    assert (state_of(early), state_of(late)) == ("read", "sent")


def test_two_photos_of_which_one_failed_are_not_sent(stage):
    message = answer(stage, text="word " * 30)
    delivery.deliver()
    first, second = DeliveryPart.objects.order_by("n")
    delivery.apply_receipt(stage.channel, Receipt("delivered", provider_id=first.provider_id), now=stage.now)
    delivery.apply_receipt(stage.channel, Receipt("failed", provider_id=second.provider_id), now=stage.now)
    assert state_of(message) == "failed"


# what a failure does to the ticket


def written_by(stage, who):
    if who == "person":
        return answer(stage, then={"status": "solved"})
    message = replies.automatic(stage.ticket, route=stage.route, text="?", kind=who, now=stage.now)
    Ticket.objects.update(status="solved", solved_at=stage.now, assignee=stage.mina)
    return message


@pytest.mark.parametrize("step", ["permanent", "silence"])
@pytest.mark.parametrize("who", ["person", "auto-generated", "auto-replied"])
def test_only_human_failure_reopens(stage, scripted, who, step):
    message = written_by(stage, who)
    scripted.do(step)
    delivery.deliver()
    assert state_of(message) == ("failed" if step == "permanent" else "uncertain")
    reopened = who == "person" and step == "permanent"
    assert Ticket.objects.get().status == ("open" if reopened else "solved")
    assert kinds().count("reopened") == reopened


def test_a_message_reopens_its_ticket_once(stage, scripted):
    message = written_by(stage, "person")
    scripted.do("permanent", "permanent")
    delivery.deliver()
    Ticket.objects.update(status="solved", solved_at=stage.now)
    delivery.resolve(part_of(message), "again", by=by_agent(stage.mina), now=stage.now)
    make_due()
    delivery.deliver()
    assert state_of(message) == "failed" and Ticket.objects.get().status == "solved"


def test_a_reply_that_failed_gives_way_to_the_next_and_the_customer_still_waits(stage, scripted):
    asked = stage.first.created_at
    failed = answer(stage, now=stage.now - timedelta(minutes=9))
    scripted.do("permanent")
    delivery.deliver()
    ticket = Ticket.objects.get()
    assert (ticket.first_reply_at, ticket.waiting_since) == (None, asked)
    answer(stage, now=stage.now - timedelta(minutes=5))
    assert Ticket.objects.get().first_reply_at == stage.now - timedelta(minutes=5)
    delivery.apply_receipt(stage.channel, Receipt("delivered", part_uuid=str(part_of(failed).send_uuid)), now=stage.now)
    assert Ticket.objects.get().first_reply_at == stage.now - timedelta(minutes=9)


@pytest.mark.parametrize("status", ["open", "solved"])
def test_a_reply_that_failed_kept_no_promise_and_one_that_arrived_after_all_did(stage, scripted, status):
    """The clock that it met runs on from where it stood, and what began because of it is gone."""
    policy = SlaPolicy.objects.create(name="All", position=1)
    for metric in ("first_reply", "periodic_update"):
        policy.targets.create(metric=metric, priority=stage.ticket.priority, seconds=3600, business=False)
    with transaction.atomic():
        clocks.customer_wrote(Ticket.objects.get(), now=stage.first.created_at)
    promise = SlaClock.objects.get(metric="first_reply")
    due, said_at = promise.due_at, stage.now + timedelta(minutes=9)
    failed = answer(stage, now=said_at, then={"status": status})
    promise.refresh_from_db()
    assert (promise.state, promise.ended_at) == ("met", said_at)
    scripted.do("permanent")
    make_due()
    delivery.deliver()
    promise.refresh_from_db()
    assert (promise.state, promise.ended_at, promise.due_at) == ("running", None, due)
    assert [one.ends_at for one in promise.segments.all()] == [None]
    assert not SlaClock.objects.filter(metric="periodic_update", state="running").exists()
    arrived = Receipt("delivered", part_uuid=str(part_of(failed).send_uuid))
    delivery.apply_receipt(stage.channel, arrived, now=stage.now + timedelta(hours=3))
    promise.refresh_from_db()
    assert (promise.state, promise.ended_at, promise.breached_at) == ("met", said_at, None)


def test_a_promise_is_met_by_the_next_answer_when_the_first_one_failed_later(stage, scripted):
    policy = SlaPolicy.objects.create(name="All", position=1)
    policy.targets.create(metric="first_reply", priority=stage.ticket.priority, seconds=600, business=False)
    with transaction.atomic():
        clocks.customer_wrote(Ticket.objects.get(), now=stage.first.created_at)
    first = answer(stage, now=stage.now + timedelta(minutes=5))
    second_at = stage.now + timedelta(minutes=20)
    answer(stage, now=second_at)
    delivery.apply_receipt(stage.channel, Receipt("failed", part_uuid=str(part_of(first).send_uuid)), now=second_at)
    promise = SlaClock.objects.get()
    assert (promise.state, promise.ended_at, promise.breached_at) == ("met", second_at, second_at)


# what a person settles


@pytest.mark.parametrize(
    "was, verdict, becomes",
    [
        ("uncertain", "arrived", "sent"),
        ("uncertain", "failed", "failed"),
        ("uncertain", "again", "queued"),
        ("failed", "again", "queued"),
        ("failed", "failed", "failed"),
        ("failed", "arrived", "failed"),
        ("sent", "again", "sent"),
        ("delivered", "failed", "delivered"),
    ],
)
def test_one_click_settles_it(stage, was, verdict, becomes):
    message = answer(stage)
    DeliveryPart.objects.update(state=was)
    Message.objects.filter(pk=message.pk).update(state=was)
    uuid = part_of(message).send_uuid
    settled = delivery.resolve(part_of(message), verdict, by=by_agent(stage.mina), now=stage.now)
    part = part_of(message)
    assert (part.state, state_of(message), part.send_uuid) == (becomes, becomes, uuid)
    assert settled == bool(part.resolved_at)
    assert settled == (was != becomes or (was, verdict) == ("failed", "failed"))


def test_send_again_sends_only_what_did_not_arrive(stage, scripted):
    message = answer(stage, text="word " * 30)
    scripted.do("ok", "permanent")
    delivery.deliver()
    assert state_of(message) == "failed"
    failed = DeliveryPart.objects.get(state="failed")
    delivery.resolve(failed, "again", by=by_agent(stage.mina), now=stage.now)
    make_due()
    delivery.deliver()
    assert state_of(message) == "sent"
    assert [one["n"] for one in scripted.accepted()] == [0, 1]


def test_what_failed_again_is_unresolved_again(stage, scripted):
    message = answer(stage)
    scripted.do("permanent", "permanent")
    delivery.deliver()
    delivery.resolve(part_of(message), "again", by=by_agent(stage.mina), now=stage.now)
    make_due()
    delivery.deliver()
    part = part_of(message)
    assert (part.state, part.resolved_at) == ("failed", None)


# mail threads


def test_a_mail_answers_the_customer_s_last_and_names_the_chain(mail, scripted):
    Message.objects.filter(pk=mail.first.pk).update(rfc_message_id="<1@c>", references=["<0@c>"])
    first = answer(mail)
    delivery.deliver()
    mail.customer_writes("and?", rfc_message_id="<2@c>", references=[part_of(first).rfc_message_id, "<1@c>", "<0@c>"])
    answer(mail)
    delivery.deliver()
    one, two = scripted.accepted()
    assert (one["in_reply_to"], one["references"]) == ("<1@c>", ["<0@c>", "<1@c>"])
    assert two["in_reply_to"] == "<2@c>"
    assert two["references"] == ["<0@c>", "<1@c>", part_of(first).rfc_message_id, "<2@c>"]


def test_a_long_chain_is_cut_in_the_middle(mail, scripted):
    ids = [f"<{n}@c>" for n in range(40)]
    Message.objects.filter(pk=mail.first.pk).update(rfc_message_id="<last@c>", references=ids[::-1])
    answer(mail)
    delivery.deliver()
    (one,) = scripted.accepted()
    assert one["references"] == ["<0@c>", *ids[-9:], "<last@c>"]


def test_an_answer_that_never_left_is_no_link_of_the_chain(mail, scripted):
    Message.objects.filter(pk=mail.first.pk).update(rfc_message_id="<1@c>")
    scripted.do("permanent")
    answer(mail)
    delivery.deliver()
    answer(mail)
    delivery.deliver()
    assert scripted.accepted()[-1]["references"] == ["<1@c>"]


def test_a_receipt_within_a_rolled_back_transaction_leaves_no_trace(stage):
    message = answer(stage)
    delivery.deliver()

    class Oops(Exception):
        pass

    with pytest.raises(Oops), transaction.atomic():
        delivery.apply_receipt(stage.channel, Receipt("read", provider_id="p1"), now=stage.now)
        raise Oops
    assert state_of(message) == "sent"
