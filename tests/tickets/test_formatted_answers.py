"""What an agent's marks become: in each channel's form, in the thread, and wherever words are asked for."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from channels_in.email import smtp
from tests.workspace import scene
from tickets import delivery, fragments, grammar, notifications, replies, search, side_conversations
from tickets.access import visibility_of
from tickets.conditions import Reader
from tickets.models import Attachment, Channel, DeliveryPart, Message, Signature, Ticket
from tickets.recipients import Recipients
from tickets.workspace import composing

WRITTEN = "**내일**은 _늦어도_ [여기](https://shop.example/a_b)에서 <확인>하세요.\n- 1*2*3\n- **둘**"
PLAIN = "내일은 늦어도 여기 (https://shop.example/a_b)에서 <확인>하세요.\n- 1*2*3\n- 둘"
HTML = (
    '<strong>내일</strong>은 <em>늦어도</em> <a href="https://shop.example/a_b" rel="nofollow">여기</a>에서 '
    "&lt;확인&gt;하세요.\n<ul><li>1*2*3</li><li><strong>둘</strong></li></ul>"
)
SENDERS = {
    "email": scene.sender("Jiwoo", email="jiwoo@example.org"),
    "sms": scene.sender("Jiwoo", phone="+821011112222"),
    "whatsapp": scene.sender("Jiwoo", phone="+821011112222"),
    "webchat": scene.sender("Jiwoo", visitor="v1"),
}


@pytest.fixture
def asked(cast: Any, now: Any) -> Any:
    """A customer asks on a channel of this kind."""

    def ask(kind: str, text: str = "When does it come?") -> Ticket:
        at = now - timedelta(hours=1)
        return scene.says(cast.channels[kind], SENDERS[kind], text, at=at, window_until=now + timedelta(hours=9)).ticket

    return ask


def mail_of(channel: Channel, part: DeliveryPart) -> tuple[str, str]:
    """The plain and the HTML part of the mail as it leaves."""
    mail = smtp.compose(channel.facts(), delivery.outbound(part, first=True))
    return tuple(mail.get_body((kind,)).get_content().replace("\r\n", "\n").strip() for kind in ("plain", "html"))


# -- Channels ---------------------------------------------------------------------------------------------------------


def test_a_mail_is_formatted_in_one_part_and_plain_in_the_other(cast, asked, now):
    Signature.objects.create(agent=cast.agent, text="**Mina** & Co.\nhttps://shop.example")
    message = scene.answers(asked("email"), cast.agent, WRITTEN, at=now)
    assert message.text == WRITTEN, "what was written is kept"
    plain, html = mail_of(cast.email, message.parts.get())
    assert plain == f"{PLAIN}\n\n-- \n**Mina** & Co.\nhttps://shop.example"
    body = HTML.replace("\n", "<br>\n")
    assert html.startswith(
        f"<!doctype html><html><body><div>{body}<br>\n<br>\n-- <br>\n**Mina** &amp; Co.<br>\n<a href="
    )


def test_files_that_go_as_links_stand_in_the_formatted_mail_too(cast, asked, now):
    ticket = asked("email")
    large = Attachment.objects.create(
        uploaded_by=cast.agent, name="film_1_.mp4", content_type="video/mp4", size=10**9, sha256="a" * 64
    )
    message = scene.answers(ticket, cast.agent, "**Look**", at=now, attachments=[large])
    plain, html = mail_of(cast.email, message.parts.get())
    assert plain.startswith("Look\n\nfilm_1_.mp4: http")
    assert "<strong>Look</strong><br>\n<br>\nfilm_1_.mp4: <a href=" in html


def test_a_mail_without_marks_is_what_it_always_was(cast, asked, now):
    message = scene.answers(asked("email"), cast.agent, "It costs 2*3*4 <won>: https://shop.example/a_b.", at=now)
    part = message.parts.get()
    assert part.html == ""
    _plain, html = mail_of(cast.email, part)
    assert 'It costs 2*3*4 &lt;won&gt;: <a href="https://shop.example/a_b">https://shop.example/a_b</a>.' in html


def test_a_part_from_before_is_tried_again_as_it_was(cast, asked, now):
    message = scene.answers(asked("email"), cast.agent, "**Soon**", at=now)
    DeliveryPart.objects.update(text="**Soon**", html="")
    plain, html = mail_of(cast.email, message.parts.get())
    assert plain == "**Soon**" and "<div>**Soon**</div>" in html


@pytest.mark.parametrize(
    ("kind", "leaves"),
    [
        ("sms", PLAIN),
        ("whatsapp", "*내일*은 _늦어도_ 여기 (https://shop.example/a_b)에서 <확인>하세요.\n- 1*2*3\n- *둘*"),
        ("webchat", PLAIN),
    ],
)
def test_other_channels_get_their_own_form(cast, asked, now, kind, leaves):
    message = scene.answers(asked(kind), cast.agent, WRITTEN, at=now)
    (part,) = message.parts.all()
    assert (part.text, part.html) == (leaves, "")


def test_what_goes_to_somebody_else_is_formatted_and_what_it_quotes_is_plain(cast, asked, now):
    ticket = asked("email", "**I** wait")
    said = scene.answers(ticket, cast.agent, "**Tomorrow**", at=now - timedelta(minutes=1))
    message = side_conversations.forward(
        ticket,
        agent=cast.agent,
        channel=cast.email,
        recipients=Recipients(("desk@courier.example",)),
        text="Is it _true_?",
        quoting=[ticket.messages.earliest("pk"), said],
        client_uuid=uuid.uuid4(),
        now=now,
    )
    plain, html = mail_of(cast.email, message.parts.get())
    assert "Is it true?" in plain and "\nTomorrow" in plain
    assert "<em>true</em>" in html and "<br>\nTomorrow" in html and "<br>\n**I** wait" in html


def test_what_nobody_wrote_is_not_formatted(cast, asked, now):
    ticket = asked("email")
    words = "Hello [prize](https://evil.example)"  # a customer may call themselves so
    message = replies.automatic(ticket, route=ticket.routes.get(), text=words, kind="auto-replied", now=now)
    plain, html = mail_of(cast.email, message.parts.get())
    assert plain == words and ">prize<" not in html and not message.is_formatted


def test_a_text_message_is_counted_without_its_marks():
    assert composing.counted("**" + "x" * 126 + "**", "sms") == ""
    assert composing.counted("**" + "x" * 130 + "**", "sms") == "130 / 160"


# -- Screens and search -----------------------------------------------------------------------------------------------


def shown(message: Message) -> str:
    return fragments.bubble(Message.objects.for_bubbles().get(pk=message.pk))


def test_the_thread_shows_answers_and_notes_formatted_and_customers_as_they_wrote(cast, asked, now):
    ticket = asked("sms", "**Where** is it? https://a.example/_b_")
    answer = scene.answers(ticket, cast.agent, WRITTEN, at=now)
    note = scene.notes(ticket, cast.agent, "_Be_ careful", at=now)
    assert f'<div class="text">{HTML}</div>' in shown(answer)
    assert "<em>Be</em> careful" in shown(note)
    assert "**Where** is it? <a href=" in shown(ticket.messages.earliest("pk"))
    Message.objects.filter(pk=answer.pk).update(meta={"template": {"name": "x"}})
    assert "**내일**은" in shown(answer), "a template's words are its provider's"


def test_lines_and_notifications_have_the_words_alone(cast, asked, now):
    ticket = asked("sms")
    message = scene.answers(ticket, cast.agent, "**내일**은 늦습니다", at=now)
    ticket.refresh_from_db()
    assert ticket.snippet == notifications.words_of(message) == "내일은 늦습니다"


@pytest.mark.parametrize(
    ("written", "asked_for"),
    [
        ("re**fund** it", "refund"),
        ("무료**반품**은 내일", "무료반품은"),
        ("it is **very** exact", '"is very exact"'),
        ("it is _very_ exact", '"very exact"'),
        ("see file_name_here", "file_name_here"),
        ("2**8 is 256", '"2**8"'),
    ],
)
def test_words_are_found_whatever_marks_stand_in_them(cast, asked, now, written, asked_for):
    ticket = asked("sms")
    scene.answers(ticket, cast.agent, written, at=now)
    query = grammar.parse(asked_for)
    result = search.by_words(query.tree, visibility_of(cast.admin), Reader(cast.admin.pk, now))
    assert [hit.ticket_id for hit in result.hits] == [ticket.pk]
    assert "**" not in search.texts_of(result.hits)[ticket.pk] or "2**8" in written


def test_what_somebody_typed_in_another_tool_is_nobody_s_mark(cast, asked, now):
    asked("whatsapp")
    echo = scene.says(cast.whatsapp, SENDERS["whatsapp"], "**so**", at=now, is_echo=True)
    assert echo.direction == "out" and not echo.is_formatted
