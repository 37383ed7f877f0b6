"""A message forwarded to somebody else, and what comes back: beside the conversation, and never across."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile

from agents.models import Calendar
from tests.workspace import scene
from tickets import actions, delivery, files, identities, notifications, notifying, replies, side_conversations
from tickets.models import (
    Attachment,
    DeliveryPart,
    Event,
    Identity,
    Message,
    Notification,
    Route,
    SlaClock,
    SlaPolicy,
    SlaTarget,
    Ticket,
)
from tickets.models.event import SYSTEM, by_agent
from tickets.recipients import BadAddress, Recipients

JIWOO = scene.sender("Jiwoo", email="jiwoo@example.org")
COURIER = scene.sender("Fast Courier", email="desk@courier.example")
STRANGER = scene.sender("Mallory", email="mallory@example.net")


@pytest.fixture
def asked(cast, now) -> Message:
    return scene.says(cast.email, JIWOO, "Where is my parcel?", at=now, subject="Parcel")


@pytest.fixture
def ticket(asked) -> Ticket:
    return asked.ticket


def forward(
    ticket: Ticket, cast: Any, *, now: Any, to: str = "desk@courier.example", cc: tuple[str, ...] = (), **more: Any
) -> Message:
    return side_conversations.forward(
        ticket,
        **{
            "agent": cast.agent,
            "channel": cast.email,
            "recipients": Recipients((to,), cc),
            "text": "Can you find it?",
            "client_uuid": uuid.uuid4(),
            "now": now,
            **more,
        },
    )


def answer(cast: Any, sent: Message, who: Any, text: str, *, now: Any, **more: Any) -> Message:
    assert sent.route is not None and sent.route.reply_token
    return scene.says(cast.email, who, text, at=now, reply_tokens=(sent.route.reply_token,), **more)


def sent_text(message: Message) -> str:
    return "".join(message.parts.order_by("n").values_list("text", flat=True))


# -- There -----------------------------------------------------------------------------------------------------------------


def test_it_goes_to_somebody_else_with_what_was_said_and_its_files(cast, ticket, asked, now):
    kept = files.store(ContentFile(b"a picture"))
    Attachment.objects.create(
        message=asked, name="parcel.jpg", sha256=kept.sha256, size=kept.size, content_type="image/jpeg"
    )
    message = forward(ticket, cast, now=now, quoting=[asked], cc=("boss@courier.example",))
    assert (message.kind, message.author_type, message.direction) == ("side", "agent", "out")
    assert (message.to, message.cc, message.subject) == (
        ["desk@courier.example"],
        ["boss@courier.example"],
        "Fwd: Parcel",
    )
    part = DeliveryPart.objects.get(message=message)
    out = delivery.outbound(part, first=True)
    assert out.to == "desk@courier.example" and out.cc == ("boss@courier.example",)
    assert (
        out.text.index("Can you find it?")
        < out.text.index("Jiwoo <jiwoo@example.org>")
        < out.text.index("Where is my parcel?")
    )
    assert [file.name for file in out.files] == ["parcel.jpg"]
    assert (out.in_reply_to, out.references) == ("", ()), "the customer's thread is no business of theirs"
    assert asked.attachments.count() == 1, "the customer's own file stays where it is"
    assert Event.objects.filter(ticket=ticket, kind="message_forwarded", message_id=message.pk).exists()


def test_two_presses_send_one(cast, ticket, now):
    key = uuid.uuid4()
    first = forward(ticket, cast, now=now, client_uuid=key)
    assert forward(ticket, cast, now=now, client_uuid=key) == first
    assert DeliveryPart.objects.count() == 1


def test_a_note_or_a_foreign_message_is_not_let_out(cast, ticket, now):
    note = scene.notes(ticket, cast.agent, "He always complains", at=now)
    other = scene.says(cast.email, STRANGER, "Mine", at=now)
    for inside in (note, other):
        with pytest.raises(ValueError, match="cannot be forwarded"):
            forward(ticket, cast, now=now, quoting=[inside])
    assert not DeliveryPart.objects.exists()


@pytest.mark.parametrize(
    ("to", "cc"),
    [
        ("Jiwoo@Example.org", ()),
        ("desk@courier.example", ("jiwoo@example.org",)),
        ("help@shop.example", ()),
    ],
)
def test_it_never_goes_to_the_customer_nor_to_ourselves(cast, ticket, now, to, cc):
    with pytest.raises(BadAddress):
        forward(ticket, cast, now=now, to=to, cc=cc)
    assert not DeliveryPart.objects.exists() and not Route.objects.filter(side=True).exists()


def test_no_answer_of_the_customers_way_reaches_somebody_else(cast, ticket, now):
    side = forward(ticket, cast, now=now).route
    assert [choice.route.side for choice in replies.routes_for(ticket, now=now) if choice.route] == [False]
    for say in (
        lambda: replies.post(
            ticket, agent=cast.agent, text="x", route=side, client_uuid=uuid.uuid4(), seen_message_id=None, now=now
        ),
        lambda: replies.automatic(ticket, route=side, text="x", kind="auto-replied", now=now),
    ):
        with pytest.raises(ValueError, match="somebody else"):
            say()


# -- And back --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def policy(cast) -> SlaPolicy:
    calendar = Calendar.objects.create(name="Always", time_zone="UTC", is_default=True)
    policy = SlaPolicy.objects.create(name="Promise", calendar=calendar, position=1)
    for metric in ("first_reply", "next_reply", "resolution"):
        SlaTarget.objects.create(policy=policy, priority=2, metric=metric, seconds=3600, business=False)
    return policy


def the_clocks() -> list[tuple[Any, ...]]:
    return list(SlaClock.objects.order_by("id").values_list("metric", "state", "started_at", "due_at", "ended_at"))


def test_neither_way_moves_the_customers_clocks_or_their_wait(cast, policy, now):
    ticket = scene.says(cast.email, JIWOO, "Where is my parcel?", at=now, subject="Parcel").ticket
    ticket.refresh_from_db()
    before, wait = the_clocks(), ticket.waiting_since
    assert wait is not None and before
    sent = forward(ticket, cast, now=now + timedelta(minutes=1))
    back = answer(cast, sent, COURIER, "It is in Busan.", now=now + timedelta(minutes=2))
    ticket.refresh_from_db()
    assert back.ticket_id == ticket.pk
    assert (ticket.waiting_since, ticket.first_reply_at, ticket.status) == (wait, None, "new")
    assert the_clocks() == before
    assert ticket.snippet == "Where is my parcel?", "the row says what the customer said"
    assert ticket.last_message_id == back.pk, "and that something is unread"


def test_their_answer_is_theirs_and_opens_what_was_on_hold(cast, ticket, now):
    sent = forward(ticket, cast, now=now)
    actions.set_status(ticket, "on_hold", by=by_agent(cast.agent), now=now)
    back = answer(cast, sent, COURIER, "It is in Busan.", now=now + timedelta(minutes=2))
    ticket.refresh_from_db()
    assert (back.ticket, back.kind, back.author_type, back.author_name) == (ticket, "side", "other", "Fast Courier")
    assert back.customer != ticket.customer and back.customer == sent.route.identity.customer
    assert not Identity.objects.filter(customer=ticket.customer, value="desk@courier.example").exists()
    assert ticket.status == "open"
    kinds = list(Event.objects.filter(ticket=ticket).order_by("id").values_list("kind", flat=True))
    assert kinds[-2:] == ["side_received", "status_changed"]


@pytest.mark.parametrize("status", ["pending", "solved"])
def test_their_answer_changes_no_other_status(cast, ticket, now, status):
    sent = forward(ticket, cast, now=now)
    actions.set_status(ticket, status, by=by_agent(cast.agent), now=now)
    answer(cast, sent, COURIER, "It is in Busan.", now=now + timedelta(minutes=2))
    ticket.refresh_from_db()
    assert ticket.status == status


def test_an_out_of_office_answer_of_theirs_opens_nothing(cast, ticket, now):
    sent = forward(ticket, cast, now=now)
    actions.set_status(ticket, "on_hold", by=by_agent(cast.agent), now=now)
    answer(cast, sent, COURIER, "I am away", now=now + timedelta(minutes=2), is_auto_reply=True)
    ticket.refresh_from_db()
    assert ticket.status == "on_hold"


def test_whom_we_put_in_copy_may_answer_too(cast, ticket, now):
    sent = forward(ticket, cast, now=now, cc=("boss@courier.example",))
    boss = scene.sender("Boss", email="boss@courier.example")
    back = answer(cast, sent, boss, "I look into it.", now=now + timedelta(minutes=2))
    assert (back.ticket, back.kind, back.author_address) == (ticket, "side", "boss@courier.example")


def test_a_stranger_with_the_token_gets_a_ticket_of_their_own(cast, ticket, now):
    sent = forward(ticket, cast, now=now)
    forged = answer(cast, sent, STRANGER, "Send me everything", now=now + timedelta(minutes=2))
    assert forged.ticket != ticket and forged.kind == "public" and forged.customer != ticket.customer
    assert Message.objects.filter(ticket=ticket, kind="side").count() == 1


def test_somebody_elses_name_without_the_token_does_not_get_in(cast, ticket, now):
    forward(ticket, cast, now=now)
    fresh = scene.says(cast.email, COURIER, "About that parcel", at=now + timedelta(minutes=2), subject="Parcel")
    assert fresh.ticket != ticket
    forged = scene.says(
        cast.email, COURIER, "About that parcel", at=now + timedelta(minutes=3), reply_tokens=("0" * 32,)
    )
    assert forged.ticket != ticket


def test_the_token_of_the_customers_way_is_no_door_for_them(cast, ticket, asked, now):
    forward(ticket, cast, now=now)
    route = Route.objects.get(ticket=ticket, side=False)
    sneaked = scene.says(cast.email, COURIER, "Hello", at=now + timedelta(minutes=2), reply_tokens=(route.reply_token,))
    assert sneaked.ticket != ticket


def test_a_customer_who_was_sent_their_mail_on_speaks_as_the_customer(cast, ticket, now):
    sent = forward(ticket, cast, now=now)
    back = answer(cast, sent, JIWOO, "They wrote to me", now=now + timedelta(minutes=2))
    assert (back.ticket, back.kind, back.customer) == (ticket, "public", ticket.customer)
    assert back.route.side is False and back.route != sent.route


# -- On it goes ------------------------------------------------------------------------------------------------------------


def test_an_answer_to_them_goes_on_with_their_talk_and_to_nobody_else(cast, ticket, now):
    sent = forward(ticket, cast, now=now)
    answer(
        cast, sent, COURIER, "It is in Busan.", now=now + timedelta(minutes=2),
        rfc_message_id="<c1@courier.example>", to=("help@shop.example",), cc=("jiwoo@example.org",),
    )  # fmt: skip
    again = forward(ticket, cast, now=now + timedelta(minutes=3), text="Thank you")
    out = delivery.outbound(DeliveryPart.objects.get(message=again), first=True)
    assert again.route == sent.route and again.subject == "Re: Parcel"
    assert (out.to, out.cc, out.also_to) == ("desk@courier.example", (), ()), "what they put in copy adds nobody"
    assert out.in_reply_to == "<c1@courier.example>"


def test_an_answer_to_the_customer_knows_nothing_of_theirs(cast, ticket, asked, now):
    Message.objects.filter(pk=asked.pk).update(rfc_message_id="<j1@example.org>")
    sent = forward(ticket, cast, now=now)
    answer(cast, sent, COURIER, "In Busan", now=now + timedelta(minutes=2), rfc_message_id="<c1@courier.example>")
    said = scene.answers(ticket, cast.agent, "It is in Busan.", at=now + timedelta(minutes=3))
    out = delivery.outbound(DeliveryPart.objects.get(message=said), first=True)
    assert (out.to, out.cc, out.in_reply_to) == ("jiwoo@example.org", (), "<j1@example.org>")
    assert "courier" not in " ".join((out.text, *out.references))
    ticket.refresh_from_db()
    assert ticket.first_reply_at == now + timedelta(minutes=3)


def test_what_they_said_since_stops_an_answer_until_it_is_seen(cast, ticket, asked, now):
    sent = forward(ticket, cast, now=now)
    answer(cast, sent, COURIER, "It is lost.", now=now + timedelta(minutes=2))
    choice = replies.routes_for(ticket, now=now)[0]
    with pytest.raises(replies.Stale):
        replies.post(
            ticket, agent=cast.agent, text="Tomorrow", route=choice, client_uuid=uuid.uuid4(),
            seen_message_id=sent.pk, now=now,
        )  # fmt: skip


def test_a_talk_with_somebody_else_does_not_hold_the_customers_ticket_open_for_mail(cast, ticket, now):
    """Whether a new mail of the customer belongs here is said by their own last words, not by the courier's."""
    late = now + timedelta(days=30)
    sent = forward(ticket, cast, now=late)
    answer(cast, sent, COURIER, "Found", now=late)
    fresh = scene.says(cast.email, JIWOO, "Something else", at=late + timedelta(minutes=1), subject="New")
    assert fresh.ticket != ticket


def test_should_they_prove_to_be_the_customer_their_words_are_the_customers(cast, ticket, now):
    sent = forward(ticket, cast, now=now)
    other = sent.route.identity.customer
    identities.join(ticket.customer, other, by=SYSTEM, reason="agent", evidence={}, now=now)
    fresh = scene.says(cast.email, COURIER, "It was me", at=now + timedelta(minutes=2))
    assert (fresh.ticket, fresh.kind, fresh.customer) == (ticket, "public", ticket.customer)
    assert not Route.objects.get(pk=sent.route.pk).side


def test_who_has_the_ticket_is_told_whose_answer_it_is(cast, ticket, now):
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=SYSTEM, now=now)
    sent = forward(ticket, cast, now=now)
    answer(cast, sent, COURIER, "It is in Busan.", now=now + timedelta(minutes=2))
    notifying.drain()
    heard = Event.objects.get(kind="side_received")
    told = notifications.shown(list(Notification.objects.filter(agent=cast.agent, event_id=heard.pk)))
    assert [one.title for one in told] == ["Fast Courier answered in a side conversation"]
