"""A message comes in: on which ticket it lands, and what follows. Through the real door and the real drain."""

from datetime import timedelta

import pytest
from django.utils import timezone

from channels_in.models import RawEvent
from tests.cast import make_brand, make_channel, make_customer
from tests.plain import come_in, message
from tickets import actions, ingest, reply_tokens
from tickets.models import (
    Attachment,
    Customer,
    DeliveryPart,
    Event,
    Identity,
    Message,
    Route,
    Ticket,
    TicketLink,
)
from tickets.models.event import SYSTEM, by_agent

PHONE = "+821011112222"


def say(channel, key="m1", text="Hello", **fields):
    """One message of the customer; returns the message that it became."""
    (event,) = come_in(channel, message(key, text, **fields))
    assert event.state == "done", (event.state, event.last_error, event.outcome_reason)
    return Message.objects.get(raw_event_id=event.pk)


def kinds(ticket):
    return list(Event.objects.filter(ticket=ticket).order_by("id").values_list("kind", flat=True))


def test_a_first_message_makes_everything(line, cast):
    said = say(line, text="주문한 우산이 아직 안 왔어요", name="Jiwoo", at="2026-03-02T09:00:00+00:00")
    ticket = said.ticket
    assert (said.seq, said.direction, said.kind, said.author_type, said.author_name) == (
        1,
        "in",
        "public",
        "customer",
        "Jiwoo",
    )
    assert (said.text, said.language, said.channel, said.part) == ("주문한 우산이 아직 안 왔어요", "ko", line, 0)
    assert said.sent_at.isoformat() == "2026-03-02T09:00:00+00:00"
    assert said.received_at == RawEvent.objects.get().received_at
    assert (ticket.status, ticket.brand, ticket.language, ticket.last_seq) == ("new", cast.brand, "ko", 1)
    assert (ticket.first_channel, ticket.last_channel, ticket.snippet) == (line, line, said.text)
    assert (ticket.last_message_id, ticket.last_direction, ticket.waiting_since) == (said.pk, "in", said.created_at)
    assert ticket.routing_due_at is not None
    route = Route.objects.get()
    assert (route.ticket, route.channel, route.identity.value, route.last_inbound_id) == (ticket, line, PHONE, said.pk)
    assert [kind for kind in kinds(ticket) if not kind.startswith("sla")] == ["ticket_created", "message_received"]
    assert Event.objects.get(kind="ticket_created").particulars["reason"] == "new"


def test_the_next_message_joins_the_conversation(line):
    first, second = say(line, "m1"), say(line, "m2", "And?")
    assert second.ticket == first.ticket
    assert second.seq == 2
    ticket = Ticket.objects.get()
    assert ticket.waiting_since == first.created_at  # the oldest unanswered one
    assert ticket.snippet == "And?"
    assert Event.objects.filter(kind="message_received").last().particulars["reason"] == "same_channel"
    assert Customer.objects.filter(identities__value=PHONE).count() == 1


def test_another_channel_joins_the_only_open_ticket(line, cast):
    other = make_channel("plain", brand=cast.brand, slug="other-line")
    first = say(line, "m1")
    second = say(other, "m2")
    assert second.ticket == first.ticket
    assert Route.objects.filter(ticket=first.ticket).count() == 2
    assert Event.objects.get(kind="route_added").particulars["name"] == other.name
    assert Event.objects.filter(kind="message_received").last().particulars["reason"] == "other_channel"


def test_another_brand_never_joins(line, cast):
    other = make_channel("plain", brand=make_brand("other"), slug="other-line")
    assert say(line, "m1").ticket != say(other, "m2").ticket
    assert Ticket.objects.values("customer").distinct().count() == 1  # the customer is shared


@pytest.mark.parametrize(
    ("status", "after"), [("new", "new"), ("open", "open"), ("pending", "open"), ("on_hold", "open")]
)
def test_a_customers_word_moves_the_status(line, status, after):
    ticket = say(line, "m1").ticket
    Ticket.objects.update(status=status)
    say(line, "m2")
    ticket.refresh_from_db()
    assert ticket.status == after
    assert Event.objects.filter(kind="status_changed").count() == (status != after)


def test_a_solved_ticket_is_reopened_within_its_window(line, cast):
    ticket = say(line, "m1").ticket
    actions.solve(ticket, by=by_agent(cast.agent), now=timezone.now())
    again = say(line, "m2", "It is back")
    assert again.ticket == ticket
    ticket.refresh_from_db()
    assert (ticket.status, ticket.solved_at, ticket.waiting_since) == ("open", None, again.created_at)
    assert Event.objects.get(kind="reopened").actor_type == "customer"


@pytest.mark.parametrize("status", ["solved", "closed"])
def test_a_ticket_that_is_done_gets_a_linked_follow_up(line, cast, status):
    ticket = say(line, "m1").ticket
    long_ago = timezone.now() - timedelta(days=8)
    Ticket.objects.update(status=status, solved_at=long_ago)
    follow_up = say(line, "m2").ticket
    assert follow_up != ticket
    ticket.refresh_from_db()
    assert ticket.status == status
    link = TicketLink.objects.get()
    assert (link.ticket, link.other, link.kind) == (follow_up, ticket, "follow_up_of")
    assert Event.objects.get(ticket=follow_up, kind="ticket_created").particulars["reason"] == "follow_up"
    assert "linked" in kinds(ticket)


def test_a_word_ends_the_snooze(line, cast):
    ticket = say(line, "m1").ticket
    now = timezone.now()
    actions.snooze(ticket, until=now + timedelta(days=1), by=by_agent(cast.agent), now=now)
    say(line, "m2")
    ticket.refresh_from_db()
    assert ticket.snoozed_until is None
    assert Event.objects.get(kind="woken").particulars["cause"] == "customer_wrote"


@pytest.mark.parametrize("status", ["pending", "solved", "closed"])
def test_an_automatic_answer_changes_no_status(line, status):
    ticket = say(line, "m1").ticket
    Ticket.objects.update(
        status=status, solved_at=timezone.now() - timedelta(days=30), waiting_since=None, routing_due_at=None
    )
    away = say(line, "m2", "I am out of the office", is_auto_reply=True)
    assert away.ticket == ticket
    assert away.automatic
    ticket.refresh_from_db()
    assert (ticket.status, ticket.waiting_since, ticket.routing_due_at) == (status, None, None)
    assert not Event.objects.filter(kind__in=("status_changed", "reopened")).exists()


def test_a_merged_ticket_passes_its_messages_to_the_survivor(line, cast):
    other = make_channel("plain", brand=cast.brand, slug="other-line")
    merged = say(line, "m1").ticket
    survivor = say(other, "m2", **{"from": "+821099998888"}).ticket
    Ticket.objects.filter(pk=survivor.pk).update(customer=merged.customer)
    actions.merge(merged, into=survivor, by=by_agent(cast.agent), now=timezone.now())
    said = say(line, "m3", "Are you there?")
    assert said.ticket == survivor
    assert said.seq == 2
    assert Message.objects.get(external_id="m1").ticket == merged  # no row moved


def test_a_blocked_customer_leaves_no_message(line):
    say(line, "m1")
    Customer.objects.filter(identities__value=PHONE).update(blocked=True)
    (event,) = come_in(line, message("m2"))
    assert (event.state, event.outcome, event.outcome_reason) == ("done", "suppressed", "blocked")
    assert Message.objects.count() == 1


# -- Mail -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def answered(mailbox):
    """A mail that we answered: the part carries the Message-ID that the customer's client will name."""
    said = say(mailbox, "mail1", "My kettle leaks", subject="Kettle", rfc_message_id="<c1@example.org>", **SORA)
    ticket, route = said.ticket, said.route
    ours = reply_tokens.message_id_for(route.reply_token, "abc123", "shop.example")
    ticket.last_seq += 1
    ticket.save(update_fields=["last_seq"])
    reply = Message.objects.create(
        ticket=ticket,
        seq=ticket.last_seq,
        direction="out",
        author_type="agent",
        route=route,
        channel=mailbox,
        text="Oh",
    )
    DeliveryPart.objects.create(message=reply, n=0, channel=mailbox, ticket=ticket, rfc_message_id=ours, state="sent")
    return ticket, route, ours


SORA = {"from": "sora@example.org", "order": "sora"}
EVE = {"from": "eve@example.net", "order": "eve"}


def test_an_answer_joins_by_our_signed_message_id(mailbox, answered):
    ticket, _, ours = answered
    said = say(mailbox, "mail2", "Thanks", subject="AW: something else", references=[ours], **SORA)
    assert said.ticket == ticket
    assert Event.objects.filter(kind="message_received").last().particulars["reason"] == "reference"


def test_an_answer_joins_by_its_envelope_token(mailbox, answered):
    ticket, route, _ = answered
    said = say(mailbox, "mail2", "Thanks", reply_tokens=[route.reply_token], **SORA)
    assert said.ticket == ticket
    assert Event.objects.filter(kind="message_received").last().particulars["reason"] == "reply_token"


def test_a_stranger_with_a_valid_token_gets_a_linked_ticket(mailbox, answered):
    ticket, route, ours = answered
    for n, evidence in enumerate(({"references": [ours]}, {"reply_tokens": [route.reply_token]})):
        said = say(mailbox, f"eve{n}", "Refund me instead", **evidence, **EVE)
        assert said.ticket != ticket
        link = TicketLink.objects.get(ticket=said.ticket)
        assert (link.other, link.kind) == (ticket, "token_of")
        assert Event.objects.filter(ticket=ticket, kind="linked").count() == n + 1
    assert Message.objects.filter(ticket=ticket).count() == 2


def test_subjects_and_foreign_ids_never_thread(mailbox, answered):
    ticket, _, _ours = answered
    for n, forged in enumerate(
        (
            {"subject": f"Re: Kettle [#{ticket.number}]"},
            {"references": ["<c1@example.org>"]},
            {"references": [f"<abc123.{'0' * 32}@shop.example>"]},
            {"reply_tokens": ["f" * 32]},
        )
    ):
        said = say(mailbox, f"forged{n}", "Hi", **{"subject": "Kettle", **forged}, **EVE)
        assert said.ticket != ticket
        assert not TicketLink.objects.filter(ticket=said.ticket).exists()


def test_a_customers_own_earlier_mail_is_a_reference_for_that_customer(mailbox, answered):
    ticket, _, _ = answered
    assert say(mailbox, "mail2", "PS", references=["<c1@example.org>"], **SORA).ticket == ticket


def test_the_token_of_one_ticket_never_opens_another(mailbox, answered):
    ticket, route, _ = answered
    second = say(mailbox, "mail9", "Another thing", subject="Toaster", **SORA)
    assert second.ticket != ticket  # a mailbox joins by evidence only
    moved = Route.objects.get(ticket=second.ticket)
    Route.objects.filter(pk=route.pk).update(reply_token="")
    Route.objects.filter(pk=moved.pk).update(reply_token=route.reply_token)  # a forged row, as it were
    said = say(mailbox, "mail10", "?", reply_tokens=[route.reply_token], **SORA)
    assert said.ticket not in (ticket, second.ticket)


def test_a_token_says_nothing_on_the_channel_of_another_brand(mailbox, answered):
    """Whoever got a mail of one brand cannot open its ticket, nor prove an address, through another brand."""
    ticket, route, ours = answered
    other = make_channel(mailbox.kind, brand=make_brand("other"), slug="other-mail")
    for n, evidence in enumerate(({"references": [ours]}, {"reply_tokens": [route.reply_token]})):
        elsewhere = say(other, f"x{n}", "Refund me", **evidence, **EVE)
        assert elsewhere.ticket.brand == other.brand
        assert not TicketLink.objects.filter(ticket=elsewhere.ticket).exists()
    at_home = say(mailbox, "x2", "Thanks", reply_tokens=[route.reply_token], **SORA)
    assert at_home.ticket == ticket


def test_an_unverified_sender_joins_by_a_token_only(mailbox):
    def unverified(address):
        return {"from": [["email", "", address, False, "unauthenticated"]]}

    first = say(mailbox, "mail1", **unverified("sora@example.org"))
    again = say(mailbox, "mail2", **unverified("sora@example.org"))
    assert again.ticket != first.ticket
    assert again.customer != first.customer
    answer = say(mailbox, "mail3", reply_tokens=[first.route.reply_token], **unverified("sora@example.org"))
    assert (answer.ticket, answer.customer) == (first.ticket, first.customer)
    forged = say(mailbox, "mail4", reply_tokens=[first.route.reply_token], **unverified("eve@example.net"))
    assert forged.ticket != first.ticket
    assert TicketLink.objects.get(ticket=forged.ticket).kind == "token_of"


def test_the_ticket_shows_that_a_mailbox_trusts_without_proof(mailbox):
    said = say(mailbox, "mail1", **{"from": [["email", "", "sora@example.org", True, "trusted_mailbox"]]})
    assert said.ticket.trusts_unverified


def test_two_mailboxes_one_mail(mailbox, cast):
    second = make_channel("plain_mail", brand=cast.brand, slug="second-mailbox", settings={"conversation_hours": 0})
    same = {"subject": "Hi", "rfc_message_id": "<x@example.org>", **SORA}
    one, two = say(mailbox, "1:1", **same), None
    (event,) = [e for e in come_in(second, message("1:1", **same)) if e.channel_id == second.pk]
    two = Message.objects.get(raw_event_id=event.pk)
    assert one.channel != two.channel
    assert Message.objects.count() == 2


# -- Files, echoes, opting out, joins -----------------------------------------------------------------------------------


def test_files_with_bytes_are_stored_and_references_are_owed(line, media_folder):
    said = say(
        line,
        files=[
            {"kind": "document", "name": "../../etc/passwd", "content": "%PDF-1.7 hello"},
            {"kind": "image", "name": "", "reference": {"content": "later"}},
        ],
    )
    bytes_, owed = Attachment.objects.filter(message=said).order_by("id")
    assert (bytes_.name, bytes_.content_type, bytes_.size, bytes_.state) == ("passwd", "application/pdf", 14, "stored")
    assert (media_folder / bytes_.sha256[:2] / bytes_.sha256[2:4] / bytes_.sha256).read_bytes() == b"%PDF-1.7 hello"
    assert (owed.state, owed.sha256, owed.reference) == ("fetching", "", {"content": "later"})


def test_an_upload_is_taken_once(line, db):
    upload = Attachment.objects.create(visitor_session_id=1)
    from dataclasses import replace

    from tests.plain import _message
    from tickets.contract import InboundFile

    chat = replace(_message(message("m1"), None), files=(InboundFile("document", stored_id=upload.pk),))
    now = timezone.now()
    said = ingest.receive(line, chat, raw_event_id=1, part=0, received_at=now, now=now)
    again = ingest.receive(line, chat, raw_event_id=2, part=0, received_at=now, now=now)
    assert said.attachments.get() == upload
    assert not again.attachments.exists()


def test_an_echo_of_another_tool_is_an_answer(line):
    ticket = say(line, "m1").ticket
    echo = say(line, "e1", "Done by phone", is_echo=True, meta={"author": "Shop owner"})
    assert (echo.ticket, echo.direction, echo.author_type, echo.author_name) == (ticket, "out", "agent", "Shop owner")
    ticket.refresh_from_db()
    assert ticket.waiting_since is None
    assert ticket.last_direction == "out"


def test_an_echo_that_opens_a_ticket_has_answered_nobody(line):
    """Written first from another tool: no first reply, however often, until the customer has written."""
    ticket = say(line, "e1", "We have found your umbrella", is_echo=True).ticket
    say(line, "e2", "Shall we send it?", is_echo=True)
    ticket.refresh_from_db()
    assert (ticket.first_reply_at, ticket.last_seq) == (None, 2)
    say(line, "m1", "Yes, please")
    replied = say(line, "e3", "It is on its way", is_echo=True)
    ticket.refresh_from_db()
    assert ticket.first_reply_at == replied.created_at


def test_our_own_echo_has_no_effect_and_an_unsettled_one_waits(line):
    said = say(line, "m1")
    reply = Message.objects.create(
        ticket=said.ticket, seq=2, direction="out", author_type="agent", route=said.route, channel=line
    )
    Ticket.objects.update(last_seq=2)
    part = DeliveryPart.objects.create(
        message=reply, n=0, channel=line, ticket=said.ticket, provider_id="p1", state="sent"
    )
    (own,) = come_in(line, message("p1", is_echo=True))
    assert (own.outcome, own.outcome_reason) == ("suppressed", "our own echo")
    DeliveryPart.objects.filter(pk=part.pk).update(provider_id=None, state="sending")
    (waiting,) = come_in(line, message("p2", is_echo=True, order=""))
    assert (waiting.state, waiting.attempts) == ("new", 0)
    DeliveryPart.objects.filter(pk=part.pk).update(provider_id="p2", state="sent")
    assert come_in(line, message("p2", is_echo=True, order=""))[0].outcome == "suppressed"


def test_opting_out_is_remembered_on_the_address(line):
    (alone,) = come_in(line, message("stop0", "STOP", opt="stop"))
    assert (alone.outcome, alone.outcome_reason) == ("applied", "opt-stop")
    assert not Ticket.objects.exists()  # a bare STOP opens nothing
    identity = Identity.objects.get(value=PHONE)
    assert identity.opted_out_at
    assert Event.objects.get(kind="identity_opted_out").particulars["value"] == PHONE
    said = say(line, "m1", "I want messages again", opt="")
    started = say(line, "start", "START", opt="start")
    assert started.ticket == said.ticket
    identity.refresh_from_db()
    assert identity.opted_out_at is None


def test_a_joined_customer_is_one_person_on_every_channel(line, cast):
    """The journey of the first show: SMS, then mail from an address that was joined to that person."""
    mailbox = make_channel("plain_mail", brand=cast.brand)
    said = say(line, "m1")
    jiwoo = said.customer
    kim = make_customer("Kim", now=timezone.now(), email="kim@example.org")
    from tickets import identities

    identities.join(jiwoo, kim, by=by_agent(cast.agent), reason="agent", evidence={}, now=timezone.now())
    mail = say(mailbox, "mail1", subject="Me again", **{"from": "kim@example.org", "order": "k"})
    assert (mail.ticket, mail.customer) == (said.ticket, jiwoo)


def test_text_that_postgres_refuses_is_repaired(line):
    assert say(line, text="a\0b").text == "a\ufffdb"


# -- Cost -------------------------------------------------------------------------------------------------------------


def test_the_number_of_statements_of_t2_is_bounded_and_does_not_grow(line, django_assert_max_num_queries):
    from tests.plain import _message

    def receive(n):
        now = timezone.now()
        ingest.receive(line, _message(message(f"q{n}"), None), raw_event_id=n, part=0, received_at=now, now=now)

    with django_assert_max_num_queries(25) as first:
        receive(1)
    with django_assert_max_num_queries(20) as second:
        receive(2)
    for n in range(3, 8):
        receive(n)
    with django_assert_max_num_queries(len(second)):
        receive(99)
    assert len(first) > 5
    assert SYSTEM.type == "system"
