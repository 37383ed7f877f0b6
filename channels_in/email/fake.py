"""The simulated mail provider (demo and tests): an SMTP server that takes our mail, and people who write to us.

What it takes is a `FakeRecord` of the provider "email": `key` is the Message-ID, `account` the mailbox, the payload has
what a mail program shows. What people write goes through the mail pipe, as an MTA hands it over.
"""

from __future__ import annotations

import asyncio
import mimetypes
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import Envelope, Session
from asgiref.sync import sync_to_async
from django.db import connection
from django.urls import URLPattern
from django.utils import timezone

from channels_in.email.pipe import keep_mail
from channels_in.models import FakeRecord
from channels_in.simulator import provider
from channels_in.simulator.provider import FakeFile
from tickets.models import Channel

PROVIDER = "email"
AUTHSERV_ID = "mx.fake.example"  # what a demo mailbox names as the server whose verdict it trusts

urlpatterns: list[URLPattern] = []  # this provider speaks SMTP


# -- A customer writes -------------------------------------------------------------------------------------------------


def customer_writes(
    channel: Channel,
    *,
    sender: str,
    name: str = "",
    subject: str = "",
    text: str = "",
    html: str = "",
    files: Sequence[FakeFile] = (),
    answers: str = "",
    duplicate: bool = False,
    verified: bool = True,
    now: datetime | None = None,
) -> str:
    """A mail from `sender` arrives at the mailbox. Returns its Message-ID. Call it outside a transaction.

    `answers` is the Message-ID of the mail that this one replies to (with its thread, quoted below). `verified` adds the
    verdict of the receiving server that the sender's domain vouches for it.
    """
    mail = build(
        channel,
        sender=sender,
        name=name,
        subject=subject,
        text=text,
        html=html,
        files=files,
        answers=answers,
        verified=verified,
        now=now or timezone.now(),
    )
    message_id = str(mail["Message-ID"])
    provider.record_message(
        PROVIDER,
        channel.account_id or channel.address,
        message_id,
        person=sender.lower(),
        direction="to_us",
        text=text,
        files=[{"name": file.name, "content_type": file.content_type, "url": ""} for file in files],
        subject=str(mail["Subject"]),
        message_id=message_id,
        in_reply_to=answers,
    )
    raw = mail.as_bytes(policy=policy.SMTP)
    keep_mail(channel, raw, recipient=channel.address)
    if duplicate:
        keep_mail(channel, raw, recipient=channel.address)
    provider.note_state(PROVIDER, message_id, "delivered", now=timezone.now())
    return message_id


def build(
    channel: Channel,
    *,
    sender: str,
    name: str,
    subject: str,
    text: str,
    html: str,
    files: Sequence[FakeFile],
    answers: str,
    verified: bool,
    now: datetime,
) -> EmailMessage:
    """The mail as the receiving server hands it on."""
    original = FakeRecord.objects.filter(provider=PROVIDER, kind="message", key=answers).first() if answers else None
    mail = EmailMessage(policy=policy.SMTP)
    domain = sender.rpartition("@")[2]
    if verified:
        mail["Authentication-Results"] = (
            f"{AUTHSERV_ID}; dmarc=pass header.from={domain}; spf=pass smtp.mailfrom={sender}"
        )
    mail["From"] = formataddr((name, sender))
    mail["To"] = channel.address
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{secrets.token_hex(12)}@{domain}>"
    if original is not None:
        before = original.payload
        subject = subject or before["subject"]
        subject = subject if subject.lower().startswith("re:") else f"Re: {subject}"
        mail["In-Reply-To"] = answers
        mail["References"] = " ".join([*before.get("references", "").split(), answers])
        quoted = "\n".join(f"> {line}" for line in before["text"].splitlines())
        text = f"{text}\n\nOn {now:%a, %d %b %Y} at {now:%H:%M}, {channel.name} <{channel.address}> wrote:\n{quoted}\n"
    elif answers:
        mail["In-Reply-To"] = answers
    mail["Subject"] = subject
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    for file in files:
        maintype, _, subtype = (
            file.content_type or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        ).partition("/")
        mail.add_attachment(file.content, maintype=maintype, subtype=subtype, filename=file.name)
    return mail


def bounce(channel: Channel, record: FakeRecord, *, status: str = "5.1.1") -> None:
    """The mail of `record` comes back: a delivery report (RFC 3464) arrives at the mailbox."""
    boundary = f"report-{secrets.token_hex(8)}"
    person = record.payload["person"]
    report = [
        "Return-Path: <>",
        f"From: Mail Delivery System <MAILER-DAEMON@{AUTHSERV_ID}>",
        f"To: {channel.address}",
        "Subject: Undelivered Mail Returned to Sender",
        f"Date: {format_datetime(timezone.now())}",
        f"Message-ID: <{secrets.token_hex(12)}@{AUTHSERV_ID}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"Your mail to {person} could not be delivered.",
        "",
        f"--{boundary}",
        "Content-Type: message/delivery-status",
        "",
        f"Reporting-MTA: dns; {AUTHSERV_ID}",
        "",
        f"Final-Recipient: rfc822; {person}",
        "Action: failed",
        f"Status: {status}",
        f"Diagnostic-Code: smtp; 550 {status} No such user here",
        "",
        f"--{boundary}",
        "Content-Type: text/rfc822-headers",
        "",
        f"From: {channel.address}",
        f"To: {person}",
        f"Message-ID: {record.key}",
        "",
        f"--{boundary}--",
        "",
    ]
    keep_mail(channel, "\r\n".join(report).encode(), recipient=channel.address)


# -- Our mail is taken -------------------------------------------------------------------------------------------------


class FreePortController(Controller):
    """An SMTP server on a free port of this machine, in a thread of its own; `port` is known once it has started."""

    def __init__(self, handler: Any, **options: Any) -> None:
        super().__init__(handler, hostname="127.0.0.1", port=0, **options)

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        super()._trigger_server()


def start_server() -> Controller:
    """The simulated provider's server. Stop it with `stop()`."""
    controller = FreePortController(_Mailboxes(), enable_SMTPUTF8=True, data_size_limit=60_000_000)
    controller.start()
    return controller


class _Mailboxes:
    """Takes every mail, unless the trouble of the account says otherwise (`simulator.provider.MODES`)."""

    async def handle_MAIL(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        trouble = await _trouble(address)
        if trouble.mode == "unauthorised":
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        trouble = await _trouble(envelope.mail_from or "", address)
        refusal = {
            "refused": trouble.code or "550 5.1.1 No such user here",
            "opted_out": "550 5.7.1 The recipient refuses your mail",
            "busy": "451 4.7.1 Try again later",
            "broken": "421 4.3.0 Out of order",
        }.get(trouble.mode)
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        trouble = await _trouble(envelope.mail_from or "", envelope.rcpt_tos[0])
        content = envelope.original_content or b""
        await _in_a_thread(_take, content, envelope.mail_from or "", list(envelope.rcpt_tos), trouble.mode)
        if trouble.mode == "hang":
            await asyncio.sleep(provider.HANG * 4)
        if trouble.mode == "cut":
            cast(asyncio.Transport, server.transport).close()
        return "250 2.0.0 Taken"


async def _trouble(mailbox: str, person: str = "") -> provider.Trouble:
    return await _in_a_thread(_mode_of, mailbox, person)


async def _in_a_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """Database work beside the server's loop; its connection ends with it."""

    def done() -> Any:
        try:
            return work(*arguments)
        finally:
            connection.close()

    return await sync_to_async(done, thread_sensitive=False)()


def _mode_of(mailbox: str, person: str) -> provider.Trouble:
    return provider.mode_of(PROVIDER, _without_tag(mailbox), person=person.lower())


def _take(raw: bytes, sender: str, recipients: list[str], mode: str) -> None:
    mail = message_from_bytes(raw, policy=policy.default)
    account = _without_tag(sender)
    channel = Channel.objects.filter(kind="email", address__iexact=account).first()
    body, html = mail.get_body(("plain",)), mail.get_body(("html",))
    files = [
        {"name": part.get_filename() or "", "content_type": part.get_content_type(), "url": ""}
        for part in mail.iter_attachments()
    ]
    more: dict[str, Any] = {
        "subject": str(mail["Subject"] or ""),
        "from": str(mail["From"] or ""),
        "to": str(mail["To"] or ""),
        "cc": str(mail["Cc"] or ""),
        "reply_to": str(mail["Reply-To"] or ""),
        "message_id": str(mail["Message-ID"] or "").strip(),
        "in_reply_to": str(mail["In-Reply-To"] or "").strip(),
        "references": " ".join(str(mail["References"] or "").split()),
        "automatic": str(mail["Auto-Submitted"] or ""),
        "html": html.get_content() if html else "",
        "envelope_from": sender,
    }
    for recipient in recipients:
        record = provider.record_message(
            PROVIDER,
            account,
            more["message_id"],
            person=recipient.lower(),
            direction="to_person",
            text=body.get_content().replace("\r\n", "\n").rstrip("\n") if body else "",
            files=files,
            **more,
        )
        if mode == "undelivered" and channel is not None:
            bounce(channel, record)


def _without_tag(address: str) -> str:
    local, _, domain = address.lower().partition("@")
    return f"{local.partition('+')[0]}@{domain}"
