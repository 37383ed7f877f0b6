"""The simulated providers and the phone: the whole circle with nothing stubbed."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from channels_in import process
from channels_in.models import FakeRecord, RawEvent
from channels_in.simulator import people, provider
from channels_in.simulator.provider import FakeFile
from channels_in.sms import fake as sms
from channels_in.sms.adapter import TwilioSms
from channels_in.whatsapp import fake as whatsapp
from channels_in.whatsapp.adapter import WhatsAppCloud
from helpdesk.management.commands.up import Command
from tests import cast as people_of_tests
from tests.channels_in.adapter_cases import make_channel, poster
from tickets import delivery, files, replies
from tickets.contract import DeliveryError, OutboundMessage
from tickets.models import Attachment, DeliveryPart, Message, Ticket

PERSON = "+821055510001"  # 김서연 of the simulator's first cast
PHOTO = FakeFile("box.png", "image/png", b"\x89PNG\r\n\x1a\n" + b"pixels" * 20)
KINDS = {"sms": (sms, TwilioSms()), "whatsapp": (whatsapp, WhatsAppCloud())}

both = pytest.mark.parametrize("kind", sorted(KINDS))


def outgoing(**changes):
    base = {
        "part_id": 1,
        "part_uuid": str(uuid.uuid4()),
        "n": 0,
        "first_attempt": True,
        "to": PERSON,
        "to_kind": "phone",
    }
    return OutboundMessage(**{**base, "to_name": "", "remote_thread_id": "", "text": "네, 가능합니다.", **changes})


def answer(text, *, attachments=()):
    """An agent answers the only ticket; returns the message."""
    ticket = Ticket.objects.get()
    agent = people_of_tests.make_agent("Mina")
    route = next(it for it in replies.routes_for(ticket, now=timezone.now()) if it.reachable)
    return replies.post(
        ticket, agent=agent, text=text, route=route, attachments=attachments, client_uuid=uuid.uuid4(),
        seen_message_id=None, now=timezone.now(),
    )  # fmt: skip


def settle(client, *, later=timedelta(seconds=5)):
    """The provider reports what is due, and we take it."""
    provider.drain(now=timezone.now() + later, post=poster(client))
    process.drain(seconds=10)


@both
def test_the_whole_circle_from_the_customers_words_to_delivered_and_read(kind, live_server, client):
    fake, _adapter = KINDS[kind]
    channel = make_channel(kind)
    fake.customer_writes(channel, sender=PERSON, text="반품되나요?")  # over HTTP, to our public address
    process.drain(seconds=10)
    assert Message.objects.get().text == "반품되나요?"

    message = answer("네, 가능합니다.")
    delivery.deliver(kind=kind, seconds=10)
    (taken,) = provider.sent_by_us(kind)
    assert (taken.payload["person"], taken.payload["text"]) == (PERSON, "네, 가능합니다.")
    part = DeliveryPart.objects.get(message=message)
    assert (part.state, part.provider_id) == ("sent", taken.key)

    settle(client)
    part.refresh_from_db()
    assert part.state == "delivered"
    if kind == "whatsapp":
        assert whatsapp.customer_reads(channel, sender=PERSON, now=timezone.now()) == 1
        settle(client)
        part.refresh_from_db()
        assert part.state == "read"
    assert not RawEvent.objects.exclude(state="done").exists()


@both
def test_the_customers_photo_is_fetched_by_its_reference(kind, live_server, media_folder):
    fake, adapter = KINDS[kind]
    channel = make_channel(kind)
    fake.customer_writes(channel, sender=PERSON, text="이렇게 왔어요", media=[PHOTO])
    process.drain(seconds=10)
    attachment = Attachment.objects.get()
    fetched = adapter.fetch_media(channel.facts(), attachment.reference)
    assert (fetched.content, fetched.content_type) == (PHOTO.content, "image/png")


@both
def test_media_that_has_expired_is_said_to_be_so(kind, live_server, media_folder):
    fake, adapter = KINDS[kind]
    channel = make_channel(kind)
    fake.customer_writes(channel, sender=PERSON, media=[PHOTO])
    process.drain(seconds=10)
    for kept in FakeRecord.objects.filter(kind="media"):
        kept.payload["expired"] = True
        kept.save()
    with pytest.raises(DeliveryError):
        adapter.fetch_media(channel.facts(), Attachment.objects.get().reference)


def test_media_needs_the_accounts_own_credentials(live_server, media_folder):
    channel = make_channel("sms")
    sms.customer_writes(channel, sender=PERSON, media=[PHOTO])
    process.drain(seconds=10)
    channel.secrets = {"auth_token": "of somebody else"}
    with pytest.raises(DeliveryError) as caught:
        TwilioSms().fetch_media(channel.facts(), Attachment.objects.get().reference)
    assert caught.value.permanent


def test_our_photo_goes_to_whatsapp_by_upload_and_appears_on_the_phone(live_server, client, media_folder):
    channel = make_channel("whatsapp")
    whatsapp.customer_writes(channel, sender=PERSON, text="hi")
    process.drain(seconds=10)
    stored = files.store(PHOTO.content)
    agent = people_of_tests.make_agent("Theo")
    ours = Attachment.objects.create(
        uploaded_by=agent,
        kind="image",
        name="label.png",
        content_type="image/png",
        size=stored.size,
        sha256=stored.sha256,
    )
    ticket = Ticket.objects.get()
    route = replies.routes_for(ticket, now=timezone.now())[0]
    replies.post(
        ticket, agent=agent, text="라벨입니다", route=route, attachments=[ours], client_uuid=uuid.uuid4(),
        seen_message_id=None, now=timezone.now(),
    )  # fmt: skip
    delivery.deliver(kind="whatsapp", seconds=10)
    feed = client.get(reverse("simulator_feed"), {"person": "seoyeon"}).json()["conversations"]["whatsapp"]["messages"]
    shown = feed[-1]
    assert (shown["ours"], shown["text"], shown["files"][0]["name"]) == (False, "라벨입니다", "label.png")
    picture = client.get(shown["files"][0]["url"])
    assert (picture.content, picture["Content-Type"]) == (PHOTO.content, "image/png")


@both
@pytest.mark.parametrize(
    ("mode", "permanent", "may_have_left", "disconnected"),
    [
        ("broken", False, True, False),
        ("busy", False, False, False),
        ("unauthorised", False, False, True),
        ("refused", True, False, False),
        ("opted_out", True, False, False),
        ("cut", False, True, False),
    ],
)
def test_each_trouble_is_what_the_core_is_told(kind, mode, permanent, may_have_left, disconnected, live_server, caplog):
    _fake, adapter = KINDS[kind]
    channel = make_channel(kind)
    adapter.send(channel.facts(), outgoing(), committed=lambda: None)
    provider.set_mode(kind, channel.account_id, mode, person=PERSON)
    with pytest.raises(DeliveryError) as caught:
        adapter.send(channel.facts(), outgoing(), committed=lambda: None)
    error = caught.value
    assert (error.permanent, error.may_have_left, error.disconnected) == (permanent, may_have_left, disconnected)
    adapter.send(channel.facts(), outgoing(to="+14155550142"), committed=lambda: None)  # others are not concerned
    provider.set_mode(kind, channel.account_id, "ok", person=PERSON)
    adapter.send(channel.facts(), outgoing(), committed=lambda: None)
    assert len(provider.sent_by_us(kind)) == (4 if mode == "cut" else 3)  # it had been accepted before the cut


def test_a_number_that_sent_stop_is_refused_until_it_sends_start(live_server):
    channel = make_channel("sms")
    sms.customer_writes(channel, sender=PERSON, text="수신거부")
    with pytest.raises(DeliveryError) as caught:
        TwilioSms().send(channel.facts(), outgoing(), committed=lambda: None)
    assert (caught.value.code, caught.value.opted_out) == ("21610", True)
    sms.customer_writes(channel, sender=PERSON, text="START")
    TwilioSms().send(channel.facts(), outgoing(), committed=lambda: None)


def test_after_a_day_whatsapp_takes_templates_only(live_server):
    channel = make_channel("whatsapp")
    whatsapp.customer_writes(channel, sender=PERSON, text="hi")
    FakeRecord.objects.filter(kind="message").update(at=timezone.now() - timedelta(hours=25))
    with pytest.raises(DeliveryError) as caught:
        WhatsAppCloud().send(channel.facts(), outgoing(), committed=lambda: None)
    assert (caught.value.code, caught.value.permanent) == ("131047", True)
    template = {"name": "delivery", "language": "ko", "variables": ["내일"]}
    WhatsAppCloud().send(channel.facts(), outgoing(template=template), committed=lambda: None)
    assert provider.sent_by_us("whatsapp")[-1].payload["text"] == "delivery · 내일"


@both
@pytest.mark.parametrize(
    ("mode", "state"),
    [("doubled", "delivered"), ("reordered", "delivered"), ("undelivered", "failed"), ("silent", "sent")],
)
def test_receipts_early_late_twice_or_never(kind, mode, state, live_server, client):
    fake, _adapter = KINDS[kind]
    channel = make_channel(kind)
    fake.customer_writes(channel, sender=PERSON, text="hello")
    process.drain(seconds=10)
    provider.set_mode(kind, channel.account_id, mode)
    message = answer("hi")
    delivery.deliver(kind=kind, seconds=10)
    settle(client)
    message.refresh_from_db()
    assert message.state == state


def test_a_webhook_that_we_did_not_take_comes_again(db, client):
    channel = make_channel("sms")
    sms.customer_writes(channel, sender=PERSON, text="hello", post=lambda call: 503)
    assert not RawEvent.objects.exists()
    assert provider.drain(now=timezone.now() + timedelta(seconds=10), post=poster(client)) == 1
    assert RawEvent.objects.count() == 1
    assert provider.drain(now=timezone.now() + timedelta(seconds=10), post=poster(client)) == 0


def test_a_signed_webhook_is_built_without_any_request(db, django_assert_num_queries):
    channels = [make_channel("sms"), make_channel("whatsapp")]
    facts = [channel.facts() for channel in channels]
    with django_assert_num_queries(0):
        calls = [KINDS[it.kind][0].build(it, sender=PERSON, text=f"line {n}") for it in channels for n in range(50)]
    assert {call.path for call in calls} == {f"/hooks/{it.slug}/" for it in facts}


# -- The phone -------------------------------------------------------------------------------------------------------------


def test_without_demo_there_is_no_simulator_and_no_fake(db, client, settings):
    make_channel("sms")
    addresses = [reverse("simulator"), reverse("simulator_feed"), "/fake/sms/2010-04-01/Accounts/AC1/Messages.json",
                 "/fake/whatsapp/v23.0/1/messages"]  # fmt: skip
    assert client.get(addresses[0]).status_code == 200
    settings.DEMO = False
    for address in addresses:
        assert client.get(address).status_code == 404
        assert client.post(address).status_code == 404


def test_the_page_offers_a_tab_for_each_kind_of_channel(db, client):
    make_channel("sms")
    make_channel("whatsapp")
    page = client.get(reverse("simulator")).content.decode()
    assert re.findall(r'role="tab" id="tab-(\w+)"', page) == ["sms", "whatsapp"]
    assert "김서연" in page


def test_the_page_stands_without_any_channel(db, client):
    assert client.get(reverse("simulator")).status_code == 200


def test_an_invented_person_gets_what_was_left_out_and_can_be_played(db, client):
    answer = client.post(reverse("simulator_people"), {"name": "<b>Zoe</b>", "phone": "+82 10-1234-5678"})
    person = people.find(answer["Location"].rpartition("=")[2])
    assert person is not None
    assert (person.phone, person.email.endswith("@mail.example")) == ("+821012345678", True)
    page = client.get(answer["Location"]).content.decode()
    assert "<b>Zoe</b>" not in page
    assert client.post(reverse("simulator_people"), {"name": "x", "phone": "12"}).status_code == 422


def test_known_customers_can_be_played_too(db, client):
    customer = people_of_tests.make_customer("Known One", now=timezone.now(), phone="+14155550111")
    person = people.find(f"customer-{customer.pk}")
    assert person is not None
    assert (person.name, person.phone) == ("Known One", "+14155550111")


def test_what_is_written_on_the_phone_becomes_a_ticket(live_server, client, media_folder):
    channel = make_channel("whatsapp")
    given = {
        "person": "seoyeon",
        "channel": channel.slug,
        "text": "사진이에요",
        "files": SimpleUploadedFile("a.png", PHOTO.content, "image/png"),
    }
    assert client.post(reverse("simulator_messages"), given).status_code == 201
    process.drain(seconds=10)
    message = Message.objects.get()
    assert (message.text, message.author_name, message.attachments.count()) == ("사진이에요", "김서연", 1)
    feed = client.get(reverse("simulator_feed"), {"person": "seoyeon"}).json()["conversations"]["whatsapp"]
    assert [(it["ours"], it["text"], it["states"]) for it in feed["messages"]] == [(True, "사진이에요", ["delivered"])]


def test_what_cannot_be_sent_is_said(db, client):
    channel = make_channel("sms")
    nothing = client.post(reverse("simulator_messages"), {"person": "seoyeon", "channel": channel.slug, "text": "  "})
    assert nothing.status_code == 422
    assert nothing.json()["error"]
    assert (
        client.post(
            reverse("simulator_messages"), {"person": "nobody", "channel": channel.slug, "text": "x"}
        ).status_code
        == 404
    )


def test_the_switch_of_troubles_concerns_this_person(db, client):
    channel = make_channel("sms")
    given = {"person": "seoyeon", "channel": channel.slug}
    assert client.post(reverse("simulator_trouble"), {**given, "mode": "broken"}).status_code == 200
    assert provider.mode_of("sms", channel.account_id, person=PERSON).mode == "broken"
    assert provider.mode_of("sms", channel.account_id, person="+14155550142").mode == "ok"
    feed = client.get(reverse("simulator_feed"), {"person": "seoyeon"}).json()
    assert feed["conversations"]["sms"]["trouble"] == "broken"
    assert client.post(reverse("simulator_trouble"), {**given, "mode": "explode"}).status_code == 422


def test_channels_find_their_simulated_provider_on_another_port(db, settings):
    real = make_channel("sms", slug="real", account_id="+1", settings={"base_url": "https://api.twilio.com"})
    ours = make_channel("whatsapp")
    settings.PORT = 9123
    assert provider.repoint() == 1
    ours.refresh_from_db()
    real.refresh_from_db()
    assert ours.settings["base_url"] == "http://127.0.0.1:9123/fake/whatsapp/v23.0"
    assert real.settings["base_url"] == "https://api.twilio.com"
    assert provider.repoint() == 0


def test_a_later_start_of_the_demo_points_them_there(cast, settings):
    ours = make_channel("whatsapp")
    settings.PORT = 9123
    Command()._prepare_demo(None)  # there are people already: nothing is loaded
    ours.refresh_from_db()
    assert ours.settings["base_url"] == "http://127.0.0.1:9123/fake/whatsapp/v23.0"
