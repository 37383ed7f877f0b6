"""An answer is written: what one transaction makes of it."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.scripted import Stage
from tickets import replies, reply_tokens
from tickets.models import (
    Attachment,
    Draft,
    Event,
    Identity,
    Message,
    ReadMark,
    Route,
    Ticket,
)
from tickets.models.event import by_agent
from tickets.replies import Stale, Unreachable

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(scripted, now):
    return Stage(now)


@pytest.fixture
def mail(scripted, now):
    return Stage(now, kind="scripted_mail")


def answer(stage, text="It arrives tomorrow.", **changes):
    arguments = {
        "agent": stage.mina,
        "text": text,
        "route": stage.route,
        "client_uuid": uuid4(),
        "seen_message_id": stage.first.pk,
        "now": stage.now,
    } | changes
    return replies.post(stage.ticket, **arguments)


def kinds(stage):
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


def test_an_answer_is_a_message_with_parts_and_an_event_and_moves_the_ticket(stage):
    message = answer(stage, now=stage.now + timedelta(minutes=3))
    part = message.parts.get()
    ticket = Ticket.objects.get()
    assert (message.seq, message.direction, message.kind, message.state) == (2, "out", "public", "queued")
    assert (message.agent, message.author_name, message.channel) == (stage.mina, "Mina", stage.channel)
    assert (part.n, part.text, part.state, part.ticket) == (0, "It arrives tomorrow.", "queued", ticket)
    assert part.send_uuid and part.rfc_message_id == ""
    assert kinds(stage) == ["message_received", "reply_posted", "assigned"]
    assert (ticket.status, ticket.assignee, ticket.waiting_since) == ("open", stage.mina, None)
    assert ticket.first_reply_at == ticket.last_message_at == message.created_at == stage.now + timedelta(minutes=3)
    assert (ticket.last_message_id, ticket.last_author_id, ticket.last_direction) == (message.pk, stage.mina.pk, "out")
    assert (ticket.snippet, ticket.last_channel) == ("It arrives tomorrow.", stage.channel)
    assert ReadMark.objects.get(agent=stage.mina).message_id == message.pk


def test_a_double_click_is_one_message(stage):
    uuid = uuid4()
    first = answer(stage, client_uuid=uuid)
    again = answer(stage, client_uuid=uuid, text="other words of a retry")
    assert first == again
    assert Message.objects.filter(direction="out").count() == 1
    assert kinds(stage).count("reply_posted") == 1


def test_the_uuid_of_another_message_is_no_way_in(stage):
    uuid = uuid4()
    answer(stage, client_uuid=uuid)
    with pytest.raises(ValueError, match="another message"):
        answer(stage, client_uuid=uuid, agent=stage.joon)


def test_the_first_reply_is_stamped_once(stage):
    answer(stage, now=stage.now + timedelta(minutes=1))
    answer(stage, now=stage.now + timedelta(minutes=9))
    assert Ticket.objects.get().first_reply_at == stage.now + timedelta(minutes=1)


def test_an_opening_message_of_ours_is_no_first_reply(stage):
    ticket = stage.add_ticket()
    route = stage.add_route(ticket)
    arguments = {"agent": stage.mina, "text": "Hello", "route": route, "seen_message_id": None, "now": stage.now}
    replies.post(ticket, **arguments, client_uuid=uuid4())
    assert Ticket.objects.get(pk=ticket.pk).first_reply_at is None
    replies.post(ticket, **arguments, client_uuid=uuid4())
    assert Ticket.objects.get(pk=ticket.pk).first_reply_at == stage.now


def test_an_assigned_ticket_stays_with_its_person(stage):
    stage.ticket.refresh_from_db()
    stage.ticket.give_to(assignee=stage.joon, team=None, by=by_agent(stage.joon), now=stage.now)
    answer(stage)
    assert Ticket.objects.get().assignee == stage.joon


@pytest.mark.parametrize("status", ["open", "pending", "on_hold", "solved"])
def test_send_and_set_a_status_is_one_act(stage, status):
    answer(stage, then={"status": status})
    assert Ticket.objects.get().status == status


@pytest.mark.parametrize("status", ["new", "closed", "nonsense"])
def test_send_and_something_impossible_sends_nothing(stage, status):
    with pytest.raises(ValueError, match="status"):
        answer(stage, then={"status": status})
    assert Message.objects.count() == 1


def test_an_answer_alone_leaves_the_status(stage):
    Ticket.objects.update(status="pending")
    answer(stage)
    assert Ticket.objects.get().status == "pending"


def test_nothing_to_say_is_refused(stage):
    with pytest.raises(ValueError, match="nothing to say"):
        answer(stage, text=" \n")


def test_a_closed_ticket_takes_no_answer(stage):
    Ticket.objects.update(status="closed")
    with pytest.raises(Unreachable) as refusal:
        answer(stage)
    assert refusal.value.code == "closed" and "follow-up" in str(refusal.value)


# the thread has moved on


def test_a_message_that_the_author_has_not_seen_stops_the_answer(stage):
    newer = stage.customer_writes("Never mind, it came!")
    with pytest.raises(Stale) as stale:
        answer(stage)
    assert stale.value.messages == [newer]
    assert not Message.objects.filter(direction="out").exists()


def test_a_colleague_s_note_stops_it_too_and_one_s_own_does_not(stage):
    replies.note(stage.ticket, agent=stage.mina, text="mine", client_uuid=uuid4(), now=stage.now)
    answer(stage)
    note = replies.note(stage.ticket, agent=stage.joon, text="wait!", client_uuid=uuid4(), now=stage.now)
    with pytest.raises(Stale) as stale:
        answer(stage)
    assert stale.value.messages == [note]


def test_send_anyway_sends_and_is_logged(stage):
    newer = stage.customer_writes("Never mind, it came!")
    answer(stage, anyway=True)
    event = Event.objects.get(kind="sent_anyway")
    assert (event.actor, event.particulars["unseen"]) == (stage.mina, [newer.pk])


def test_send_anyway_with_nothing_new_is_not_worth_a_line(stage):
    answer(stage, anyway=True)
    assert "sent_anyway" not in kinds(stage)


def test_a_survey_of_ours_is_nothing_to_review(stage):
    replies.automatic(stage.ticket, route=stage.route, text="How was it?", kind="auto-generated", now=stage.now)
    assert answer(stage).seq == 3


# ways to the customer


def test_parts_are_cut_by_the_channel_s_limits(stage):
    message = answer(stage, text="word " * 50)
    assert [part.n for part in message.parts.order_by("n")] == [0, 1, 2]
    assert len({part.send_uuid for part in message.parts.all()}) == 3


def test_mail_has_a_subject_and_a_message_id_with_our_token_before_it_is_tried(mail):
    mail.route.cc = ["boss@example.org"]
    mail.route.save()
    message = answer(mail)
    part = message.parts.get()
    assert message.subject == "Re: Parcel" and message.cc == ["boss@example.org"]
    assert part.rfc_message_id.endswith(f".{mail.route.reply_token}@acme.example>")


def test_our_first_mail_on_a_ticket_that_began_by_chat_answers_no_mail(mail):
    chat = mail.add_channel("scripted")
    Message.objects.update(channel=chat)
    assert answer(mail).subject == "Parcel"


def test_files_ride_along_and_one_that_is_not_taken_goes_as_a_link(stage):
    taken, refused = (
        Attachment.objects.create(
            uploaded_by=stage.mina, kind=kind, name=name, content_type=content_type, size=size, sha256="a" * 64
        )
        for kind, name, content_type, size in [
            ("image", "photo.png", "image/png", 500),
            ("document", "big.pdf", "application/pdf", 5000),
        ]
    )
    message = answer(stage, text="Look", attachments=[taken, refused])
    assert set(message.attachments.all()) == {taken, refused}
    assert message.text == "Look"
    parts = list(message.parts.order_by("n"))
    words = "".join(part.text for part in parts)
    assert words.startswith("Look") and "big.pdf:" in words and "/big.pdf?until=" in words
    assert [part.attachment_ids for part in parts if part.attachment_ids] == [[taken.pk]]


@pytest.mark.parametrize("foreign", ["colleague's", "sent already"])
def test_a_file_that_is_not_the_author_s_is_not_sent(stage, foreign):
    file = Attachment.objects.create(
        uploaded_by=stage.joon if foreign == "colleague's" else stage.mina,
        message=stage.first if foreign == "sent already" else None,
        kind="image", name="x.png", content_type="image/png", size=1, sha256="a" * 64,
    )  # fmt: skip
    with pytest.raises(ValueError, match="attachment"):
        answer(stage, attachments=[file])
    assert not Message.objects.filter(direction="out").exists()


def test_a_route_of_another_ticket_is_no_way(stage):
    other = stage.add_ticket()
    with pytest.raises(ValueError, match="another ticket"):
        answer(stage, route=stage.add_route(other))


def test_the_other_addresses_of_the_person_are_offered_and_become_a_route_when_used(stage):
    channel = stage.add_channel("scripted_mail")
    stage.add_identity(channel)
    own, other = replies.routes_for(stage.ticket, now=stage.now)
    assert (own.route, own.reachable, own.limit) == (stage.route, True, 100)
    assert (other.route, other.channel, other.reachable) == (None, channel, True)

    chosen = replies.choice_for(stage.ticket, other.key, now=stage.now)
    message = answer(stage, route=chosen)
    route = Route.objects.get(channel=channel)
    assert message.route == route and route.ticket == stage.ticket and len(route.reply_token) == 32
    assert "route_added" in kinds(stage)
    assert Ticket.objects.get().last_channel == channel
    answer(stage, route=chosen)
    assert kinds(stage).count("route_added") == 1


def test_a_claimed_address_is_never_offered(stage):
    channel = stage.add_channel("scripted_mail")
    identity = stage.add_identity(channel)
    Identity.objects.filter(pk=identity.pk).update(verified=False, evidence="typed in the chat")
    assert [choice.route for choice in replies.routes_for(stage.ticket, now=stage.now)] == [stage.route]


def test_another_person_s_address_is_no_way(stage):
    channel = stage.add_channel("scripted_mail")
    identity = stage.add_identity(channel)
    choice = replies.routes_for(stage.ticket, now=stage.now)[1]
    stranger = type(stage.customer).objects.create(name="Stranger")
    Identity.objects.filter(pk=identity.pk).update(customer=stranger)
    with pytest.raises(ValueError, match="does not belong"):
        answer(stage, route=choice)


def test_the_number_of_queries_for_the_ways_does_not_grow_with_them(stage):
    def queries():
        with CaptureQueriesContext(connection) as seen:
            replies.routes_for(stage.ticket, now=stage.now)
        return len(seen)

    few = queries()
    for n in range(4):
        channel = stage.add_channel("scripted", slug=f"more-{n}")
        stage.add_route(stage.ticket, channel, stage.add_identity(channel, f"+8210000000{n}"))
    assert queries() == few


@pytest.mark.parametrize(
    "obstacle, code",
    [("opted_out", "opted_out"), ("disconnected", "disconnected"), ("off", "off"), ("blocked", "blocked")],
)
def test_an_answer_that_could_not_go_is_not_queued(stage, obstacle, code):
    if obstacle == "opted_out":
        Identity.objects.update(opted_out_at=stage.now)
    elif obstacle == "disconnected":
        type(stage.channel).objects.update(disconnected_at=stage.now)
    elif obstacle == "off":
        type(stage.channel).objects.update(active=False)
    else:
        type(stage.customer).objects.update(blocked=True)
    with pytest.raises(Unreachable) as refusal:
        answer(stage)
    assert refusal.value.code == code and str(refusal.value)
    assert not Message.objects.filter(direction="out").exists()
    if obstacle != "blocked":
        (choice,) = replies.routes_for(stage.ticket, now=stage.now)
        assert (choice.reachable, choice.reason) == (False, code)


@pytest.mark.parametrize("templates", [True, False])
def test_a_closed_window_asks_for_a_template_or_another_channel(stage, scripted, monkeypatch, templates):
    from dataclasses import replace

    capabilities = replace(scripted.Scripted.capabilities, window_hours=24, templates=templates)
    monkeypatch.setattr(scripted.Scripted, "capabilities", capabilities)
    Route.objects.update(window_expires_at=stage.now + timedelta(minutes=1))
    assert answer(stage)
    later = stage.now + timedelta(minutes=2)
    with pytest.raises(Unreachable) as refusal:
        answer(stage, now=later)
    assert refusal.value.code == ("template_only" if templates else "window_closed")
    template = {"name": "parcel", "language": "ko"}
    if templates:
        message = answer(stage, now=later, template=template, text="Your parcel is on its way.")
        assert message.meta["template"] == template and message.parts.get().text == "Your parcel is on its way."
    else:
        with pytest.raises(ValueError, match="template"):
            answer(stage, now=later, template=template)


# merged tickets


def test_an_answer_on_a_merged_ticket_goes_to_the_survivor_by_its_old_route(stage):
    survivor = stage.add_ticket()
    Ticket.objects.filter(pk=stage.ticket.pk).update(merged_into=survivor)
    message = answer(stage)
    assert message.ticket == survivor and message.route == stage.route
    stage.ticket.refresh_from_db()
    assert stage.route in [choice.route for choice in replies.routes_for(stage.ticket, now=stage.now)]


def test_a_newer_message_anywhere_in_the_family_is_newer(stage):
    survivor = stage.add_ticket()
    stage.customer_writes("on the other one", route=stage.add_route(survivor))
    Ticket.objects.filter(pk=stage.ticket.pk).update(merged_into=survivor)
    with pytest.raises(Stale):
        answer(stage)


# notes and automatic messages


def test_a_note_never_leaves_and_answers_nothing(stage):
    before = Ticket.objects.get()
    note = replies.note(stage.ticket, agent=stage.mina, text="VIP!", client_uuid=uuid4(), now=stage.now)
    ticket = Ticket.objects.get()
    assert (note.kind, note.channel, note.route, note.state) == ("note", None, None, None)
    assert not note.parts.exists()
    assert (ticket.status, ticket.waiting_since, ticket.first_reply_at) == ("new", before.waiting_since, None)
    assert (ticket.last_message_id, ticket.snippet, ticket.assignee) == (note.pk, before.snippet, None)
    assert kinds(stage)[-1] == "note_posted"


def test_a_note_posted_twice_is_one(stage):
    uuid = uuid4()
    notes = {replies.note(stage.ticket, agent=stage.mina, text="x", client_uuid=uuid, now=stage.now).pk for _ in "ab"}
    assert len(notes) == 1


def test_an_automatic_message_moves_nothing_but_is_sent(stage):
    before = Ticket.objects.values().get()
    message = replies.automatic(
        stage.ticket, route=stage.route, text="How was it?", kind="auto-generated", meta={"survey": 7}, now=stage.now
    )
    assert (message.author_type, message.automatic, message.meta) == (
        "bot", True, {"survey": 7, "automatic": "auto-generated"},
    )  # fmt: skip
    assert message.parts.get().state == "queued"
    assert Ticket.objects.values().get() == before | {"last_seq": 2}
    assert kinds(stage)[-1] == "automatic_message"


def test_nothing_automatic_goes_to_an_address_that_bounced_though_a_person_may_try(stage):
    Identity.objects.update(failed_at=stage.now)
    with pytest.raises(Unreachable) as refusal:
        replies.automatic(stage.ticket, route=stage.route, text="x", kind="auto-replied", now=stage.now)
    assert refusal.value.code == "bad_address"
    (choice,) = replies.routes_for(stage.ticket, now=stage.now)
    assert (choice.reachable, choice.reason) == (True, "bad_address")
    assert answer(stage)


# drafts of the others


def test_an_answer_ends_one_s_own_draft_and_stops_those_of_others(stage):
    for agent, send_at, anyway in [(stage.mina, None, False), (stage.joon, stage.now + timedelta(hours=1), False)]:
        Draft.objects.create(
            ticket=stage.ticket, agent=agent, client_uuid=uuid4(), text="x", send_at=send_at, send_anyway=anyway
        )
    Draft.objects.create(ticket=stage.ticket, agent=stage.joon, kind="note", client_uuid=uuid4(), text="a note")
    answer(stage)
    assert not Draft.objects.filter(agent=stage.mina).exists()
    overtaken = Draft.objects.get(agent=stage.joon, kind="reply")
    assert (overtaken.stopped, overtaken.send_at, overtaken.text) == ("newer_message", None, "x")
    assert Draft.objects.get(kind="note").stopped == ""


def test_what_is_to_go_anyway_is_not_stopped(stage):
    Draft.objects.create(
        ticket=stage.ticket, agent=stage.joon, client_uuid=uuid4(), text="x", route=stage.route,
        send_at=stage.now + timedelta(hours=1), send_anyway=True,
    )  # fmt: skip
    answer(stage)
    assert Draft.objects.get().send_at


def test_one_number_is_answered_on_each_channel_that_reaches_it(stage):
    """SMS and WhatsApp share a customer's number: each has a route, and a token, of its own."""
    answer(stage)
    first = replies.routes_for(stage.ticket, now=stage.now)[0]
    answer(stage, route=replace(first, route=None, channel=stage.add_channel("scripted", slug="first-used-by-us")))
    theirs = stage.add_channel("scripted", slug="first-used-by-them")
    answer(
        stage,
        route=Route.objects.create(
            ticket=stage.ticket, channel=theirs, identity=stage.identity, last_used_at=stage.now
        ),
    )
    tokens = list(Route.objects.values_list("reply_token", flat=True))
    assert len(set(tokens)) == 3 and all(reply_tokens.find_route(token) for token in tokens)
