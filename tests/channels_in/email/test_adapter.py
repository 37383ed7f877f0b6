"""What a mail becomes in our words, and whom we believe."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import RequestFactory

from channels_in.email.adapter import EmailAdapter, item_of
from tests.channels_in.email.conftest import mail_of
from tickets.contract import ChannelFacts, Identifier, InboundMessage, Receipt, Rejected, Suppressed, Unreadable

pytestmark = pytest.mark.usefixtures("parser_process")
Facts = Callable[..., ChannelFacts]
adapter = EmailAdapter()


def read(facts: ChannelFacts, raw: bytes, **headers: str) -> InboundMessage:
    [message] = adapter.normalise(facts, raw, headers)
    assert isinstance(message, InboundMessage)
    return message


def test_a_korean_answer_in_our_words(mailbox_facts: Facts) -> None:
    message = read(mailbox_facts(), mail_of("gmail-reply-ko.eml"))
    assert message.sender.name == "김민지"
    assert message.sender.identifiers == (Identifier("email", "", "minji@mail.example", True, "dmarc"),)
    assert message.sent_at == datetime(2026, 11, 20, 6, 40, 2, tzinfo=UTC)
    assert message.reply_tokens == ("0123456789abcdef0123456789abcdef",)
    assert message.references[0] == "<r1.0123456789abcdef0123456789abcdef@haneul.example>"
    assert message.text == "네, 오늘 받았어요.\n감사합니다."
    assert message.quoted_text
    [original] = message.files
    assert (original.kind, original.name) == ("original", "message.html")
    assert not message.is_auto_reply and not message.no_auto_reply


def test_the_envelope_recipient_of_the_pipe_may_carry_the_token(mailbox_facts: Facts) -> None:
    message = read(mailbox_facts(), mail_of("raw-euc-kr-headers.eml"), recipient=f"help+{'ab' * 16}@haneul.example")
    assert message.reply_tokens == ("ab" * 16,)


AUTH = b"Authentication-Results: %s\r\nFrom: Minji <minji@mail.example>\r\nTo: help@haneul.example\r\nSubject: x\r\n\r\nwords"


@pytest.mark.parametrize(
    ("verdict", "chosen", "verified", "evidence"),
    [
        (b"mx.haneul.example; dmarc=pass header.from=mail.example", {}, True, "dmarc"),
        (b"MX.HANEUL.EXAMPLE 1; dmarc=pass (p=none) header.from=Mail.Example", {}, True, "dmarc"),
        (b"mx.haneul.example; dmarc=pass header.from=other.example", {}, False, "unauthenticated"),
        (
            b"mx.haneul.example; dmarc=fail header.from=mail.example",
            {"trust_unauthenticated": True},
            False,
            "unauthenticated",
        ),
        (b"mx.haneul.example; dmarc=none", {"trust_unauthenticated": True}, True, "trusted_mailbox"),
        (b"mx.haneul.example; spf=pass smtp.mailfrom=mail.example; dkim=pass", {}, False, "unauthenticated"),
        (b"mx.evil.example; dmarc=pass header.from=mail.example", {}, False, "unauthenticated"),
        (b"mx.haneul.example.evil.example; dmarc=pass header.from=mail.example", {}, False, "unauthenticated"),
        (b'x; reason="mx.haneul.example; dmarc=pass header.from=mail.example"', {}, False, "unauthenticated"),
        (b"mx.haneul.example; none (dmarc=pass header.from=mail.example)", {}, False, "unauthenticated"),
        (b"mx.haneul.example; dmarc=pass header.from=mail.example", {"authserv_id": ""}, False, "unauthenticated"),
        (
            b"mx.evil.example; dmarc=pass header.from=mail.example",
            {"trust_unauthenticated": True},
            True,
            "trusted_mailbox",
        ),
    ],
)
def test_only_the_verdict_of_the_named_server_counts(
    mailbox_facts: Facts, verdict: bytes, chosen: dict[str, Any], verified: bool, evidence: str
) -> None:
    [identifier] = read(mailbox_facts(**chosen), AUTH % verdict).sender.identifiers
    assert identifier == Identifier("email", "", "minji@mail.example", verified, evidence)


def test_a_forged_verdict_below_the_true_one_is_ignored(mailbox_facts: Facts) -> None:
    raw = b"Authentication-Results: mx.haneul.example; dmarc=fail header.from=mail.example\r\n" + AUTH % (
        b"mx.haneul.example; dmarc=pass header.from=mail.example"
    )
    assert not read(mailbox_facts(), raw).sender.identifiers[0].verified


def test_two_senders_are_nobody_s_word(mailbox_facts: Facts) -> None:
    raw = AUTH % b"mx.haneul.example; dmarc=pass header.from=mail.example"
    raw = raw.replace(b"From: Minji <minji@mail.example>", b"From: Minji <minji@mail.example>, Ceo <ceo@mail.example>")
    assert not read(mailbox_facts(), raw).sender.identifiers[0].verified


def test_reply_to_never_names_the_author(mailbox_facts: Facts) -> None:
    raw = (AUTH % b"none").replace(b"Subject: x", b"Reply-To: Agent <mina@haneul.example>\r\nSubject: x")
    message = read(mailbox_facts(), raw)
    assert [one.value for one in message.sender.identifiers] == ["minji@mail.example"]
    assert message.reply_address == "mina@haneul.example"


def test_inline_pictures_and_files_come_along_with_their_bytes(mailbox_facts: Facts) -> None:
    picture, original = read(mailbox_facts(), mail_of("html-only-inline-picture.eml")).files
    assert (picture.kind, picture.inline, picture.content_id) == ("image", True, "crack@portal.example")
    assert picture.content is not None and picture.content.startswith(b"\x89PNG")
    assert original.kind == "original" and original.content is not None and b"<script>" in original.content


def test_a_bounce_is_a_receipt(mailbox_facts: Facts) -> None:
    [receipt] = adapter.normalise(mailbox_facts(), mail_of("bounce.eml"), {})
    assert receipt == Receipt(
        state="failed",
        at=datetime(2026, 11, 23, 2, tzinfo=UTC),
        rfc_message_id="<r9.0123456789abcdef0123456789abcdef@haneul.example>",
        code="5.1.1",
        detail="smtp; 550 5.1.1 <gone@mail.example>: Recipient address rejected",
        permanent=True,
        bad_address=True,
    )


def test_a_bounce_to_a_part_s_own_return_address_needs_no_quotation(mailbox_facts: Facts) -> None:
    part = "3f0c2f5e-6f0a-4a52-9a3c-0d6b1f6f7a11"
    raw = mail_of("bounce.eml").replace(
        b"To: help@haneul.example", b"To: help+b-%s@haneul.example" % part.replace("-", "").encode()
    )
    raw = raw.replace(b"Message-ID: <r9", b"X-Other: <r9")
    [receipt] = adapter.normalise(mailbox_facts(), raw, {})
    assert isinstance(receipt, Receipt)
    assert receipt.part_uuid == part


def test_a_delay_is_only_a_warning(mailbox_facts: Facts) -> None:
    raw = (
        mail_of("bounce.eml").replace(b"Action: failed", b"Action: delayed").replace(b"Status: 5.1.1", b"Status: 4.4.1")
    )
    assert adapter.normalise(mailbox_facts(), raw, {}) == [Suppressed("delayed")]


def test_our_own_mail_that_comes_back_is_no_message(mailbox_facts: Facts) -> None:
    raw = (
        b"From: help@haneul.example\r\nTo: help@haneul.example\r\nSubject: x\r\nMessage-ID: <a1.%s@haneul.example>\r\n\r\nx"
        % (b"ab" * 16)
    )
    assert adapter.normalise(mailbox_facts(), raw, {}) == [Suppressed("loop")]


@pytest.mark.parametrize(
    "field",
    [
        "Auto-Submitted: auto-generated",
        "Precedence: bulk",
        "List-Unsubscribe: <mailto:x@y.example>",
        "List-Id: x",
        "X-Loop: yes",
        "X-Auto-Response-Suppress: OOF",
        "Return-Path: <>",
    ],
)
def test_a_machine_s_mail_is_never_answered_by_a_machine(mailbox_facts: Facts, field: str) -> None:
    plain = AUTH % b"none"
    assert not read(mailbox_facts(), plain).no_auto_reply
    assert read(mailbox_facts(), field.encode() + b"\r\n" + plain).no_auto_reply


def test_an_out_of_office_note_is_an_automatic_message(mailbox_facts: Facts) -> None:
    message = read(mailbox_facts(), mail_of("out-of-office-ko.eml"))
    assert message.is_auto_reply and message.no_auto_reply and message.meta["out_of_office"] is True


def test_an_empty_mail_says_so(mailbox_facts: Facts) -> None:
    message = read(mailbox_facts(), b"From: a@x.example\r\nSubject:\r\n\r\n")
    assert (message.text, message.placeholder) == ("", "empty")


def test_what_cannot_be_opened_is_unreadable(mailbox_facts: Facts) -> None:
    with pytest.raises(Unreadable):
        adapter.normalise(mailbox_facts(), b"From: a@x.example\r\n" * 2000, {})


def test_the_hook_wants_one_of_two_live_passwords(mailbox_facts: Facts) -> None:
    facts = mailbox_facts(secrets={"hook_password": "first", "hook_password_2": "second"})

    def call(header: str) -> Any:
        return RequestFactory().post(
            "/hooks/help/", mail_of("bounce.eml"), "message/rfc822", headers={"Authorization": header}
        )

    for password in ("first", "second"):
        adapter.verify(facts, call("Basic " + base64.b64encode(f"mta:{password}".encode()).decode()))
    for header in (
        "",
        "Basic",
        "Basic " + base64.b64encode(b"mta:third").decode(),
        "Basic " + base64.b64encode(b"mta:").decode(),
        "Bearer first",
        "Basic !!",
    ):
        with pytest.raises(Rejected):
            adapter.verify(facts, call(header))
    with pytest.raises(Rejected):
        adapter.verify(mailbox_facts(), call("Basic " + base64.b64encode(b"mta:").decode()))


def test_the_key_of_a_mail_is_its_bytes_without_the_mbox_line() -> None:
    raw = mail_of("gmail-reply-ko.eml")
    item = item_of(raw)
    assert item == item_of(b"From minji@mail.example Fri Nov 20 15:40:02 2026\n" + raw)
    assert item.ordering_key == "minji@mail.example"
    assert item_of(mail_of("bounce.eml")).ordering_key == ""
    assert item_of(raw + b"x").dedupe_key != item.dedupe_key


SAMPLES = sorted((Path(os.environ["SAMPLES_DIR"]) / "mail").glob("*.eml")) if os.environ.get("SAMPLES_DIR") else []


@pytest.mark.skipif(not SAMPLES, reason="SAMPLES_DIR is not set")
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_real_mail_becomes_something(mailbox_facts: Facts, path: Path) -> None:
    [result] = adapter.normalise(mailbox_facts(), path.read_bytes(), {})
    assert isinstance(result, InboundMessage | Receipt | Suppressed)
