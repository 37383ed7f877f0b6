"""The simulated mail provider plays its part: mail in by the pipe, mail out by SMTP, troubles on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from channels_in.email import fake
from channels_in.email.adapter import EmailAdapter
from channels_in.models import FakeRecord, RawEvent
from channels_in.simulator import provider
from channels_in.simulator.provider import FakeFile
from tests.channels_in.email.test_smtp import ANSWER
from tickets.contract import DeliveryError, InboundMessage
from tickets.models import Channel

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mailbox(make_mailbox: Callable[..., Channel]) -> Channel:
    return make_mailbox(transport="fake", authserv_id=fake.AUTHSERV_ID)


@pytest.fixture
def server(settings: Any) -> Iterator[None]:
    started = fake.start_server()
    address = settings.DATA_DIR / "fakemail.port"
    address.write_text(str(started.port))
    yield
    started.stop()
    address.unlink()


def send(channel: Channel, **changes: Any) -> Any:
    return EmailAdapter().send(channel.facts(), replace(ANSWER, **changes), committed=lambda: None)


@pytest.mark.usefixtures("parser_process")
def test_what_a_customer_writes_arrives_as_an_mta_hands_it_over(mailbox: Channel, media_folder: Any) -> None:
    fake.customer_writes(
        mailbox,
        sender="Minji@mail.example",
        name="김민지",
        subject="배송 문의",
        text="언제 오나요?",
        files=[FakeFile("사진.png", "image/png", b"\x89PNG")],
        duplicate=True,
    )
    event = RawEvent.objects.get()
    [message] = EmailAdapter().normalise(mailbox.facts(), bytes(event.raw), event.headers)
    assert isinstance(message, InboundMessage)
    assert message.sender.identifiers[0][2:] == ("minji@mail.example", True, "dmarc")
    assert (message.text, message.files[0].name) == ("언제 오나요?", "사진.png")


@pytest.mark.usefixtures("parser_process")
def test_our_mail_is_shown_and_its_answer_names_it(mailbox: Channel, server: None) -> None:
    send(mailbox)
    record = FakeRecord.objects.get(kind="message")
    assert (record.key, record.account) == (ANSWER.rfc_message_id, "help@haneul.example")
    shown = record.payload
    assert (shown["person"], shown["subject"], shown["text"]) == ("minji@mail.example", ANSWER.subject, ANSWER.text)
    fake.customer_writes(mailbox, sender="minji@mail.example", text="네!", answers=record.key)
    event = RawEvent.objects.get()
    [message] = EmailAdapter().normalise(mailbox.facts(), bytes(event.raw), event.headers)
    assert isinstance(message, InboundMessage)
    assert message.references == (ANSWER.rfc_message_id, "<first@mail.example>")
    assert (message.text, bool(message.quoted_text)) == ("네!", True)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("refused", {"permanent": True, "bad_address": True}),
        ("opted_out", {"permanent": True}),
        ("busy", {"permanent": False}),
        ("broken", {"permanent": False}),
        ("unauthorised", {"disconnected": True}),
        ("cut", {"may_have_left": True}),
    ],
)
def test_each_trouble_is_told_apart(mailbox: Channel, server: None, mode: str, expected: dict[str, bool]) -> None:
    provider.set_mode("email", mailbox.address, mode)
    with pytest.raises(DeliveryError) as caught:
        send(mailbox)
    for name, value in expected.items():
        assert getattr(caught.value, name) == value


def test_a_mail_that_cannot_be_delivered_comes_back(mailbox: Channel, server: None) -> None:
    provider.set_mode("email", mailbox.address, "undelivered")
    send(mailbox)
    event = RawEvent.objects.get()
    assert b"Status: 5.1.1" in bytes(event.raw) and ANSWER.rfc_message_id.encode() in bytes(event.raw)


def test_without_its_server_the_mail_waits(mailbox: Channel) -> None:
    with pytest.raises(DeliveryError) as caught:
        send(mailbox)
    assert not caught.value.permanent


def test_outside_the_demo_there_is_no_simulated_server(mailbox: Channel, settings: Any) -> None:
    settings.DEMO = False
    with pytest.raises(DeliveryError) as caught:
        send(mailbox)
    assert caught.value.permanent
