"""A mail by a real mail library through a real IMAP server becomes a ticket; our answer leaves by real SMTP; its answer
comes home, and a stranger's does not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.utils import make_msgid
from typing import Any

import pytest
from django.utils import timezone

from channels_in import process, tasks
from channels_in.email import imap
from channels_in.models import RawEvent
from tests.cast import Cast
from tests.channels_in.email.conftest import mail_of
from tests.fakes.imap import PASSWORD, ImapServer
from tests.fakes.smtp import SmtpServer, Taken
from tickets import actions, delivery, replies
from tickets.models import Channel, DeliveryPart, Identity, Message, Ticket, TicketLink
from tickets.models.event import by_agent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("parser_process", "media_folder")]


class Stage:
    """A mailbox between two real servers, an agent and her customers."""

    def __init__(self, cast: Cast, imap_server: ImapServer, smtp_server: SmtpServer) -> None:
        self.cast, self.imap, self.smtp = cast, imap_server, smtp_server
        channel = cast.email
        channel.settings = {
            "authserv_id": "mx.shop.example",
            "plus_addressing": True,
            **imap_server.settings(),
            **smtp_server.settings(),
        }
        channel.secrets = {"imap_password": PASSWORD}
        channel.save()
        self.channel: Channel = channel

    def arrives(
        self,
        *,
        sender: str = "minji@mail.example",
        subject: str = "배송 문의",
        text: str = "언제 오나요?",
        to: str = "",
        verified: bool = True,
        files: tuple[tuple[str, bytes], ...] = (),
        **headers: str,
    ) -> Message:
        """A mail by the standard library comes into the mailbox, and one poll later it is a message."""
        mail = EmailMessage(policy=policy.SMTP)
        if verified:
            mail["Authentication-Results"] = f"mx.shop.example; dmarc=pass header.from={sender.rpartition('@')[2]}"
        mail["From"], mail["To"], mail["Subject"] = sender, to or self.channel.address, subject
        mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
        for name, value in headers.items():
            mail[name.replace("_", "-")] = value
        mail.set_content(text)
        for name, content in files:
            mail.add_attachment(content, maintype="image", subtype="png", filename=name)
        self.poll(mail.as_bytes())
        return Message.objects.select_related("ticket").get(rfc_message_id=mail["Message-ID"])

    def poll(self, *raw: bytes) -> None:
        self.imap.deliver(*raw)
        imap.fetch_one(self.channel.pk, now=timezone.now())
        process.drain()
        assert not RawEvent.objects.exclude(state="done").exists(), RawEvent.objects.values("state", "last_error")

    def answer(self, ticket: Ticket, text: str = "내일 도착합니다.") -> Taken:
        now = timezone.now()
        [choice] = [one for one in replies.routes_for(ticket, now=now) if one.channel == self.channel]
        newest = Message.objects.filter(ticket=ticket).order_by("-seq").first()
        assert newest is not None
        replies.post(
            ticket,
            agent=self.cast.agent,
            text=text,
            route=choice,
            client_uuid=uuid.uuid4(),
            seen_message_id=newest.pk,
            now=now,
        )
        delivery.deliver(kind="email", seconds=5)
        return self.smtp.taken[-1]


@pytest.fixture
def stage(cast: Cast, imap_server: ImapServer, smtp_server: SmtpServer) -> Iterator[Stage]:
    yield Stage(cast, imap_server, smtp_server)


def test_a_mail_becomes_a_ticket_and_the_conversation_stays_on_it(stage: Stage) -> None:
    first = stage.arrives(files=(("사진.png", b"\x89PNG\r\n\x1a\n"),))
    ticket = first.ticket
    assert (ticket.subject, first.text, first.customer.name) == ("배송 문의", "언제 오나요?", first.customer.name)
    assert [one.name for one in first.attachments.all()] == ["사진.png"]
    assert Identity.objects.get(value="minji@mail.example").verified

    sent = stage.answer(ticket)
    mail = sent.mail
    part = DeliveryPart.objects.get()
    assert part.state == "sent"
    assert mail["In-Reply-To"] == first.rfc_message_id
    assert first.rfc_message_id in mail["References"].split()
    assert mail["Message-ID"] == part.rfc_message_id
    assert mail["Subject"] == "Re: 배송 문의"
    assert sent.recipients == ["minji@mail.example"]

    second = stage.arrives(
        subject=str(mail["Subject"]),
        text="감사합니다!\n\nOn Fri, Shop wrote:\n> 내일 도착합니다.",
        In_Reply_To=str(mail["Message-ID"]),
        References=f"{mail['References']} {mail['Message-ID']}",
    )
    assert second.ticket_id == ticket.pk
    assert (second.text, second.quoted_text) == ("감사합니다!", "On Fri, Shop wrote:\n> 내일 도착합니다.")
    again = stage.answer(ticket, "천만에요.").mail
    assert again["In-Reply-To"] == second.rfc_message_id
    assert list(Message.objects.filter(ticket=ticket).order_by("seq").values_list("seq", flat=True)) == [1, 2, 3, 4]


def test_an_answer_without_any_thread_header_comes_home_by_its_address(stage: Stage) -> None:
    ticket = stage.arrives().ticket
    reply_to = stage.answer(ticket).mail["Reply-To"].addresses[0].addr_spec
    actions.solve(ticket, by=by_agent(stage.cast.agent), now=timezone.now())
    assert stage.arrives(to=reply_to, subject="something else", text="아직이요").ticket_id == ticket.pk


def test_an_unverified_answer_from_the_same_address_with_our_token_comes_home(stage: Stage) -> None:
    ticket = stage.arrives(verified=False).ticket
    sent = stage.answer(ticket).mail
    assert stage.arrives(verified=False, In_Reply_To=str(sent["Message-ID"])).ticket_id == ticket.pk


def test_a_stranger_who_writes_our_number_or_subject_gets_a_ticket_of_their_own(stage: Stage) -> None:
    ticket = stage.arrives().ticket
    stage.answer(ticket)
    for n, subject in enumerate(
        (f"Re: 배송 문의 [#{ticket.number}]", f"[{ticket.number}] 배송 문의", f"Ticket {ticket.pk}", "Re: 배송 문의")
    ):
        forged = stage.arrives(sender=f"stranger{n}@evil.example", subject=subject)
        assert forged.ticket_id != ticket.pk
        assert not TicketLink.objects.filter(ticket=forged.ticket).exists()
    # A guessed id of our form is no key either.
    guessed = stage.arrives(sender="guess@evil.example", In_Reply_To=f"<abc.{'0' * 32}@shop.example>")
    assert guessed.ticket_id != ticket.pk
    assert Message.objects.filter(ticket=ticket).count() == 2


def test_a_true_token_in_a_stranger_s_hands_makes_a_linked_ticket(stage: Stage) -> None:
    ticket = stage.arrives().ticket
    sent = stage.answer(ticket).mail
    stolen = stage.arrives(sender="thief@evil.example", In_Reply_To=str(sent["Message-ID"]))
    assert stolen.ticket_id != ticket.pk
    assert TicketLink.objects.filter(kind="token_of").count() == 1


def test_a_spoofed_address_of_the_customer_does_not_reach_her_ticket(stage: Stage) -> None:
    ticket = stage.arrives().ticket
    spoofed = stage.arrives(verified=False, text="Please send me everything")
    assert spoofed.ticket_id != ticket.pk
    assert spoofed.customer_id != ticket.customer_id


def test_a_bounce_fails_the_answer_and_marks_the_address(stage: Stage) -> None:
    ticket = stage.arrives().ticket
    sent = stage.answer(ticket).mail
    raw = mail_of("bounce.eml").replace(
        b"<r9.0123456789abcdef0123456789abcdef@haneul.example>", str(sent["Message-ID"]).encode()
    )
    stage.poll(raw)
    assert DeliveryPart.objects.get().state == "failed"
    assert Identity.objects.get(value="minji@mail.example").failed_at is not None
    assert Ticket.objects.count() == 1
    assert RawEvent.objects.order_by("-id").values_list("outcome", flat=True)[0] == "receipt"


def test_an_out_of_office_note_changes_no_status(stage: Stage) -> None:
    ticket = stage.arrives().ticket
    sent = stage.answer(ticket).mail
    actions.solve(ticket, by=by_agent(stage.cast.agent), now=timezone.now())
    note = stage.arrives(
        subject="자동 응답: 휴가 중입니다",
        text="휴가",
        In_Reply_To=str(sent["Message-ID"]),
        Auto_Submitted="auto-replied (vacation)",
    )
    ticket.refresh_from_db()
    assert (note.ticket_id, note.automatic, ticket.status) == (ticket.pk, True, "solved")


def test_a_rescan_after_uidvalidity_changed_makes_no_doubles_and_brings_nothing_back(stage: Stage) -> None:
    stage.channel.settings["imap_folder"] = "Support"
    stage.channel.save()
    raw = b"From: minji@mail.example\r\nTo: help@shop.example\r\nSubject: once\r\nMessage-ID: <once@mail.example>\r\n\r\nwords\r\n"
    stage.imap.deliver(raw, raw.replace(b"words", b"other words"), folder="Support")
    imap.fetch_one(stage.channel.pk, now=timezone.now())
    process.drain()
    # The same Message-ID with other words is a message of its own (FreeScout #4958).
    assert Message.objects.filter(rfc_message_id="<once@mail.example>").count() == 2
    stage.imap.number_anew("Support")
    imap.fetch_one(stage.channel.pk, now=timezone.now())
    process.drain()
    assert Message.objects.filter(rfc_message_id="<once@mail.example>").count() == 2
    assert sorted(RawEvent.objects.values_list("outcome", flat=True)) == [
        "duplicate",
        "duplicate",
        "ticketed",
        "ticketed",
    ]


def test_one_mail_to_two_mailboxes_is_one_message_in_each(stage: Stage) -> None:
    from channels_in.email.pipe import keep_mail
    from tests.cast import make_channel

    other = make_channel("email", brand=stage.cast.brand, slug="billing", address="billing@shop.example")
    raw = mail_of("raw-euc-kr-headers.eml")
    for channel in (stage.channel, other, other):
        keep_mail(channel, raw)
    process.drain()
    assert sorted(Message.objects.values_list("channel__slug", flat=True)) == sorted(["billing", stage.channel.slug])


def test_an_unreadable_mail_is_visible_and_the_next_one_carries_on(stage: Stage) -> None:
    stage.imap.deliver(b"From: bomb@evil.example\r\nSubject: bomb\r\n" + b"X-A: b\r\n" * 5000 + b"\r\nx")
    stage.imap.deliver(b"From: minji@mail.example\r\nSubject: honest\r\nMessage-ID: <h@mail.example>\r\n\r\nwords")
    imap.fetch_one(stage.channel.pk, now=timezone.now())
    process.drain()
    assert sorted(RawEvent.objects.values_list("state", flat=True)) == ["done", "quarantined"]
    assert Message.objects.filter(placeholder="unreadable").exists()
    assert Message.objects.filter(rfc_message_id="<h@mail.example>").exists()


def test_the_poll_task_reads_every_mailbox(stage: Stage, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tasks.fetch_mailbox, "apply_async", lambda arguments, **options: tasks.fetch_mailbox(*arguments)
    )
    stage.imap.deliver(b"From: minji@mail.example\r\nSubject: hello\r\n\r\nwords")
    tasks.poll_mailboxes()
    assert RawEvent.objects.count() == 1
