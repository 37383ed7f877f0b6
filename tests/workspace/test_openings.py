"""A ticket that an agent begins: whom, by which way, once, and what follows from it."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from agents.models import Agent, Calendar, Team
from tests.cast import make_customer
from tests.workspace import scene
from tickets import approved, openings, replies
from tickets.contract import Template
from tickets.models import (
    Attachment,
    Customer,
    DeliveryPart,
    Draft,
    Event,
    Identity,
    Message,
    MessageTemplate,
    Opening,
    Route,
    SlaClock,
    SlaPolicy,
    SlaTarget,
    Ticket,
)

NEW = "/tickets/new/"


@pytest.fixture
def jiwoo(cast, now, give_to_support) -> Customer:
    """Somebody our agent sees, with a mail address and a number; their only ticket is solved."""
    customer = make_customer(now=now, phone="+821011112222", email="jiwoo@example.org")
    give_to_support(
        Ticket.objects.create(number=7001, brand=cast.brand, customer=customer, status="solved", created_at=now)
    )
    return customer


def wish(cast, **said: Any) -> dict[str, Any]:
    return {
        "client_uuid": str(uuid.uuid4()),
        "subject": "Your order",
        "text": "It leaves today.",
        "team": cast.support.pk,
        "assignee": cast.agent.pk,
        **said,
    }


def by(channel: Any, customer: Customer | None = None) -> str:
    kind = "email" if channel.kind == "email" else "phone"
    return f"{channel.pk}-{customer.identities.get(kind=kind).pk if customer else None}"


def the_new() -> Ticket:
    return Ticket.objects.exclude(number=7001).get()


# -- Once, and as every answer ---------------------------------------------------------------------------------------------


def test_a_mail_is_held_for_a_moment_and_leaves_as_every_answer_does(cast, mina, jiwoo, now):
    said = wish(cast, customer=jiwoo.pk, way=by(cast.email, jiwoo))
    answer = mina.post(NEW, said)
    ticket = the_new()
    assert answer.status_code == 302 and answer.url == f"/tickets/{ticket.pk}/"
    assert (ticket.assignee, ticket.team, ticket.status) == (cast.agent, cast.support, "open")
    assert (ticket.subject, ticket.routing_due_at, ticket.first_channel) == ("Your order", None, cast.email)
    held = Draft.objects.get()
    assert held.send_at is not None and not Message.objects.exists(), "until then it can be taken back"
    assert "Undo" in mina.get(f"/tickets/{ticket.pk}/composer/").content.decode()

    assert replies.release_due(now=held.send_at) == 1
    message = Message.objects.get()
    assert (message.kind, message.agent, message.to, message.subject) == (
        "public",
        cast.agent,
        ["jiwoo@example.org"],
        "Your order",
    )
    assert DeliveryPart.objects.get().state == "queued"
    kinds = list(Event.objects.filter(ticket=ticket).order_by("id").values_list("kind", flat=True))
    assert kinds == ["ticket_created", "assigned", "reply_posted"]


def test_two_presses_make_one_ticket_before_and_after_it_has_left(cast, mina, jiwoo, now):
    said = wish(cast, customer=jiwoo.pk, way=by(cast.email, jiwoo))
    first = mina.post(NEW, said).url
    assert mina.post(NEW, said).url == first
    replies.release_due(now=now + timedelta(minutes=1))
    assert mina.post(NEW, said).url == first
    assert Message.objects.count() == 1 and the_new()


def test_a_text_message_leaves_at_once(cast, mina, jiwoo):
    mina.post(NEW, wish(cast, customer=jiwoo.pk, way=by(cast.sms, jiwoo), subject=""))
    assert Message.objects.get().to == ["+821011112222"]
    assert not Draft.objects.exists()


def test_files_go_along_and_only_ones_own(cast, mina, jiwoo, sign_in):
    upload = {"file": SimpleUploadedFile("bill.txt", b"42", content_type="text/plain")}
    mina.post("/uploads/", upload)
    mine = Attachment.objects.get()
    sign_in(cast.teammate).post("/uploads/", {"file": SimpleUploadedFile("foreign.txt", b"43")})
    both = list(Attachment.objects.order_by("pk").values_list("pk", flat=True))
    mina.post(NEW, wish(cast, customer=jiwoo.pk, way=by(cast.sms, jiwoo), files=both))
    assert list(Message.objects.get().attachments.all()) == [mine]


# -- Clocks and routing ----------------------------------------------------------------------------------------------------


@pytest.fixture
def policy(cast) -> SlaPolicy:
    calendar = Calendar.objects.create(name="Always", time_zone="UTC", is_default=True)
    policy = SlaPolicy.objects.create(name="Promise", calendar=calendar, position=1)
    for metric in ("first_reply", "next_reply", "resolution"):
        SlaTarget.objects.create(policy=policy, priority=2, metric=metric, seconds=3600, business=False)
    return policy


def test_nobody_has_asked_so_no_first_reply_is_owed_until_somebody_does(cast, mina, jiwoo, policy, now):
    mina.post(NEW, wish(cast, customer=jiwoo.pk, way=by(cast.sms, jiwoo)))
    ticket = the_new()
    assert (ticket.first_reply_at, ticket.waiting_since) == (None, None)
    assert set(SlaClock.objects.values_list("metric", flat=True)) == {"resolution"}
    scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "When?", at=now + timedelta(minutes=5))
    ticket.refresh_from_db()
    assert ticket.waiting_since == now + timedelta(minutes=5), "their answer is on the same ticket, and waits"
    assert SlaClock.objects.get(metric="first_reply").started_at == now + timedelta(minutes=5)
    scene.answers(ticket, cast.agent, "At three.", at=now + timedelta(minutes=6))
    ticket.refresh_from_db()
    assert ticket.first_reply_at == now + timedelta(minutes=6)


def test_without_an_assignee_it_is_owed_to_routing_and_not_taken_by_its_author(cast, mina, jiwoo):
    mina.post(NEW, wish(cast, customer=jiwoo.pk, way=by(cast.sms, jiwoo), assignee=""))
    ticket = the_new()
    assert (ticket.assignee, ticket.team) == (None, cast.support)
    assert ticket.routing_due_at is not None


def test_nobody_begins_what_they_would_not_see(cast, mina, jiwoo):
    Agent.objects.filter(pk=cast.agent.pk).update(sight="own")
    answer = mina.post(NEW, wish(cast, customer=jiwoo.pk, way=by(cast.sms, jiwoo), assignee=cast.teammate.pk))
    assert answer.status_code == 422
    assert Ticket.objects.count() == 1 and not Message.objects.exists()


# -- Whom ------------------------------------------------------------------------------------------------------------------


def test_somebody_new_is_made_once_and_their_answer_finds_the_ticket(cast, mina, now):
    said = wish(cast, address="+821033334444", name="Haru", way=by(cast.sms))
    mina.post(NEW, said)
    ticket = Ticket.objects.get()
    assert ticket.customer.name == "Haru"
    mina.post(NEW, said | {"client_uuid": str(uuid.uuid4())})
    assert Ticket.objects.count() == 2 and Customer.objects.count() == 1, "the address is known by now"
    later = scene.says(cast.sms, scene.sender("", phone="+821033334444"), "Thanks", at=now + timedelta(minutes=5))
    assert later.customer == ticket.customer and later.ticket.customer == ticket.customer
    assert Identity.objects.get().verified, "who answers from there has proven it"
    assert Customer.objects.count() == 1


def test_an_address_that_was_entered_and_never_written_to_proves_nothing(cast, now):
    claimed = make_customer("Claimed", now=now)
    Identity.objects.create(customer=claimed, kind="phone", value="+821033334444", evidence="agent", created_at=now)
    message = scene.says(cast.sms, scene.sender("Haru", phone="+821033334444"), "Hello", at=now)
    assert message.customer != claimed


def test_a_known_address_is_never_doubled(cast, mina, jiwoo):
    answer = mina.get(NEW, {"address": "Jiwoo@Example.org"})
    assert answer.status_code == 302 and answer.url == f"{NEW}?customer={jiwoo.pk}"


def test_one_who_is_not_seen_is_not_shown_and_not_doubled(cast, mina, now):
    hidden = make_customer("Hidden Name", now=now, email="hidden@example.org")
    page = mina.get(NEW, {"address": "hidden@example.org"}).content.decode()
    assert "Hidden Name" not in page and "hidden@example.org" in page
    assert mina.get(NEW, {"customer": hidden.pk}).status_code == 404
    mina.post(NEW, wish(cast, address="hidden@example.org", way=by(cast.email)))
    assert Ticket.objects.get().customer == hidden and Customer.objects.count() == 1


def test_people_are_found_by_name_address_or_number_or_are_offered_anew(cast, mina, jiwoo):
    for typed in ("jiw", "jiwoo@exam", "010-1111-2222"):
        found = mina.get(NEW + "people/", {"q": typed}).content.decode()
        assert f"?customer={jiwoo.pk}" in found, typed
    found = mina.get(NEW + "people/", {"q": "new@example.org"}).content.decode()
    assert "?address=new%40example.org" in found
    assert "?address=" not in mina.get(NEW + "people/", {"q": "jiwoo@example.org"}).content.decode()


def test_only_ways_in_which_one_may_write_first_are_offered(cast, mina, jiwoo, now):
    Identity.objects.create(customer=jiwoo, kind="webchat", value="v1", verified=True, created_at=now)
    cast.email.__class__.objects.filter(pk=cast.email.pk).update(disconnected_at=now)
    page = mina.get(NEW, {"customer": jiwoo.pk}).content.decode()
    assert page.count('name="way"') == 2 and f'value="{by(cast.sms, jiwoo)}"' in page
    assert f'value="{cast.webchat.pk}-' not in page and f'value="{cast.whatsapp.pk}-' not in page
    assert "disconnected" in page
    refused = mina.post(NEW, wish(cast, customer=jiwoo.pk, way=by(cast.email, jiwoo)))
    assert refused.status_code == 422 and "reconnect" in refused.content.decode()


# -- Where only an approved message begins ---------------------------------------------------------------------------------

TEMPLATE = NEW + "template/"
GREETING = Template("greeting", "en", "Hello {{1}}, it arrives on {{2}}.", ("1", "2"))


@pytest.fixture
def greeting(cast) -> MessageTemplate:
    approved.keep(cast.whatsapp, [GREETING, Template("인사", "ko", "안녕하세요")])
    return MessageTemplate.objects.get(language="en")


def test_a_channel_that_takes_approved_messages_only_is_offered_last_with_its_templates(cast, mina, jiwoo, greeting):
    page = mina.get(NEW, {"customer": jiwoo.pk})
    assert [way["kind"] for way in page.context["ways"]][-1] == "whatsapp"
    assert not page.context["by_template"] and "Begins with a template" in page.content.decode()
    shown = mina.get(TEMPLATE, {"customer": jiwoo.pk, "way": by(cast.whatsapp, jiwoo)}).content.decode()
    assert "Hello Jiwoo, it arrives on {{2}}." in shown and 'name="place-2" value=""' in shown
    asked = {"customer": jiwoo.pk, "way": by(cast.whatsapp, jiwoo), "template": greeting.pk, "place-1": "Ms Kim"}
    assert "Hello Ms Kim, it" in mina.get(TEMPLATE, asked).content.decode()
    free = mina.get(TEMPLATE, {"customer": jiwoo.pk, "way": by(cast.sms, jiwoo)}).content.decode()
    assert "template-words" not in free


def test_a_ticket_begins_with_a_template_once_and_the_words_of_the_message_stay_behind(cast, mina, jiwoo, greeting):
    said = wish(cast, customer=jiwoo.pk, way=by(cast.whatsapp, jiwoo), template=greeting.pk)
    said |= {"place-1": "Jiwoo", "place-2": "Friday"}
    for _twice in range(2):
        assert mina.post(NEW, said).status_code == 302
    message = Message.objects.get()
    assert (message.ticket, message.channel) == (the_new(), cast.whatsapp)
    assert message.text == "Hello Jiwoo, it arrives on Friday."
    assert message.meta["template"] == {"name": "greeting", "language": "en", "variables": ["Jiwoo", "Friday"]}
    assert DeliveryPart.objects.get().state == "queued"


@pytest.mark.parametrize("values", [{}, {"place-1": "Jiwoo", "place-2": " "}])
def test_a_place_that_is_empty_is_said_and_everything_is_still_there(cast, mina, jiwoo, greeting, values):
    said = wish(cast, customer=jiwoo.pk, way=by(cast.whatsapp, jiwoo), template=greeting.pk, text="Kept?")
    answer = mina.post(NEW, said | values)
    page = answer.content.decode()
    assert answer.status_code == 422 and "Fill in every place." in page and "Kept?" in page
    assert 'id="template-words"' in page and Ticket.objects.count() == 1


def test_while_the_customers_hours_last_free_words_go_there(cast, mina, jiwoo, greeting, now):
    scene.says(cast.whatsapp, scene.sender("Jiwoo", phone="+821011112222"), "Hi", at=now - timedelta(hours=1))
    Ticket.objects.update(team=cast.support)
    Route.objects.update(window_expires_at=now + timedelta(hours=23))
    before = set(Ticket.objects.values_list("pk", flat=True))
    said = wish(cast, customer=jiwoo.pk, way=by(cast.whatsapp, jiwoo))
    assert "template-words" not in mina.get(TEMPLATE, said).content.decode()
    assert mina.post(NEW, said).status_code == 302
    message = Message.objects.get(direction="out")
    assert message.ticket_id not in before and (message.text, message.meta) == ("It leaves today.", {})


def test_a_channel_without_templates_begins_nothing(cast, mina, jiwoo):
    refused = mina.post(NEW, wish(cast, customer=jiwoo.pk, way=by(cast.whatsapp, jiwoo)))
    assert refused.status_code == 422 and Ticket.objects.count() == 1


def test_open_tickets_of_the_same_customer_are_offered_first(cast, mina, jiwoo, now, give_to_support):
    assert "open ticket" not in mina.get(NEW, {"customer": jiwoo.pk}).content.decode()
    asked = scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Where is it?", at=now)
    foreign = Ticket.objects.create(number=7002, brand=cast.brand, customer=jiwoo, created_at=now)
    Ticket.objects.filter(pk=foreign.pk).update(team=cast.billing)
    give_to_support(asked.ticket)
    page = mina.get(NEW, {"customer": jiwoo.pk}).content.decode()
    assert "1 open ticket of this customer" in page and f'href="/tickets/{asked.ticket.pk}/"' in page


# -- What is refused, and what is kept -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"text": " "}, "먼저 메시지를 입력하세요"),
        ({"subject": ""}, "제목이 필요합니다"),
        ({"way": ""}, "채널을 고르세요"),
        ({"customer": ""}, "누구에게 보낼지 고르세요"),
    ],
)
def test_what_cannot_go_says_why_in_the_readers_language_and_keeps_the_words(cast, mina, jiwoo, said, why):
    Agent.objects.filter(pk=cast.agent.pk).update(language="ko")
    answer = mina.post(NEW, wish(cast, customer=jiwoo.pk, way=by(cast.email, jiwoo), text="오늘 나갑니다") | said)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert why in page
    assert "오늘 나갑니다" in page or "text" in said or "customer" in said
    assert Ticket.objects.count() == 1


def test_a_blocked_customer_is_not_written_to(cast, mina, jiwoo):
    Customer.objects.update(blocked=True)
    answer = mina.post(NEW, wish(cast, customer=jiwoo.pk, way=by(cast.sms, jiwoo)))
    assert answer.status_code == 422 and "blocked" in answer.content.decode()
    assert Ticket.objects.count() == 1


def put(client, said, revision):
    return client.put(NEW + "draft/", json.dumps({**said, "revision": revision}), content_type="application/json")


def test_the_draft_is_there_again_and_a_late_save_changes_nothing(cast, mina, jiwoo):
    said = wish(cast, customer=jiwoo.pk, way=by(cast.sms, jiwoo), text="Second")
    assert put(mina, said, 2).json() == {"revision": 2}
    assert put(mina, said | {"text": "First"}, 1).json() == {"revision": 2}
    page = mina.get(NEW).content.decode()
    assert "Second" in page and "First" not in page and "Jiwoo" in page
    assert mina.get(NEW, {"change": 1}).content.decode().count("opening-query")
    mina.post(NEW, said)
    assert put(mina, said, 9).json()["gone"], "it has become a ticket"
    assert not Opening.objects.exists()


def test_a_draft_is_ones_own_and_can_be_thrown_away(cast, mina, jiwoo, sign_in):
    put(mina, wish(cast, text="Mine"), 1)
    assert "Mine" not in sign_in(cast.teammate).get(NEW).content.decode()
    assert mina.post(NEW + "draft/").status_code == 302
    assert not Opening.objects.exists()


def test_a_light_agent_begins_nothing(cast, mina, jiwoo):
    Agent.objects.filter(pk=cast.agent.pk).update(role="light")
    assert mina.get(NEW).status_code == mina.post(NEW, wish(cast)).status_code == 403
    assert NEW not in mina.get("/").content.decode()


def test_the_only_team_of_its_author_is_proposed(cast):
    assert openings.kept_by(cast.agent).team == cast.support
    assert openings.kept_by(cast.manager).team is None
    assert Team.objects.count() > 1
