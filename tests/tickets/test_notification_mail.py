"""What a notification says by mail, when it is sent, and what an answer to it becomes."""

from __future__ import annotations

import secrets
from datetime import datetime, time, timedelta
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from channels_in.models import RawEvent
from tests import plain
from tests.workspace import scene
from tickets import actions, mail_answers, notification_mail, notifications, notifying
from tickets.contract import Identifier, InboundMessage, Sender
from tickets.models import (
    Attachment,
    Channel,
    Event,
    Message,
    Notification,
    NotificationHours,
    NotificationMail,
    Outbox,
    Ticket,
)
from tickets.models.event import by_agent
from tickets.notifications import Ways

pytestmark = pytest.mark.django_db
ALL = Ways(True, True, True, True, False)
SOON = datetime.fromisoformat("2000-01-01T00:00Z")


@pytest.fixture
def now() -> datetime:
    return timezone.now() - timedelta(seconds=20)


@pytest.fixture
def post_box(mailbox) -> Channel:
    """The brand's mailbox, which takes plus addresses; it is the only mail channel."""
    Channel.objects.filter(kind="email").delete()
    mailbox.address, mailbox.settings = "help@shop.example", {**mailbox.settings, "plus_addressing": True}
    mailbox.save()
    return mailbox


@pytest.fixture
def mine(cast, line, post_box, now) -> Ticket:
    """Mina's ticket, who wants mails of answers; Jiwoo writes by the plain line."""
    jiwoo = scene.sender("Jiwoo", phone="+821011112222")
    ticket = scene.says(line, jiwoo, "Where is my parcel?", at=now).ticket
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=by_agent(cast.agent), now=now)
    notifying.drain()
    notifications.choose(cast.agent, "reply", ALL)
    ticket.refresh_from_db()
    return ticket


def writes(line: Channel, text: str, *, now: datetime) -> Message:
    message = scene.says(line, scene.sender("Jiwoo", phone="+821011112222"), text, at=now)
    notifying.drain()
    return message


def delivered() -> list[Any]:
    """The mails of which the time has come."""
    Outbox.objects.filter(kind="notification_mail", state="queued").update(next_attempt_at=SOON)
    before = len(mail.outbox)
    notification_mail.drain()
    return mail.outbox[before:]


def answer(post_box: Channel, sent: Any, text: str = "It is on its way.", **fields: Any) -> RawEvent:
    """The agent's mail program answers a mail of ours."""
    token = sent.reply_to[0].partition("+")[2].partition("@")[0]
    mails = {"from": [["email", "", "mina@helpdesk.example", True, "dmarc"]], "reply_tokens": [token], **fields}
    key = secrets.token_hex(4)
    mails.setdefault("rfc_message_id", f"<{key}@mina.example>")
    return plain.come_in(post_box, plain.message(key, text, **mails))[0]


def test_a_burst_is_one_mail_with_all_that_was_said(cast, mine, line, now):
    for text in ("Hello?", "<script>alert(1)</script>"):
        writes(line, text, now=now)
    assert Outbox.objects.filter(kind="notification_mail").count() == 1
    assert notification_mail.drain() == 0, "it waits for what else happens"
    (sent,) = delivered()
    assert sent.to == [cast.agent.email] and sent.subject.startswith("Jiwoo wrote · #")
    assert "Hello?" in sent.body and "<script>alert(1)</script>" in sent.body
    assert sent.content_subtype == "plain"
    assert "Answer this mail to answer the customer." in sent.body and f"/tickets/{mine.pk}/" in sent.body
    headers = sent.message()
    assert headers["Auto-Submitted"] == "auto-generated" and "Jiwoo" in headers["From"]
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = NotificationMail.objects.get().token
    assert sent.reply_to == [f"help+{token}@shop.example"] and token in headers["Message-ID"]
    assert delivered() == [] and not Notification.objects.filter(mail_owed=True).exists()
    writes(line, "One more thing", now=now)
    (second,) = delivered()
    assert "One more thing" in second.body and "Hello?" not in second.body


def test_what_was_read_or_cannot_be_seen_or_is_not_wanted_any_more_is_not_mailed(cast, mine, line, now):
    read = writes(line, "Hello?", now=now)
    actions.mark_read(mine, agent=cast.agent, message_id=read.pk, now=now)
    assert delivered() == []
    writes(line, "Again", now=now)
    Ticket.objects.filter(pk=mine.pk).update(team=cast.billing, assignee=cast.outsider)
    assert delivered() == []
    Ticket.objects.filter(pk=mine.pk).update(team=cast.support, assignee=cast.agent)
    writes(line, "And again", now=now)
    notifications.choose(cast.agent, "reply", ALL._replace(mail=False))
    assert delivered() == []
    assert not Outbox.objects.exists() and not Notification.objects.filter(mail_owed=True).exists()


def test_a_mail_waits_for_the_end_of_the_quiet_hours(cast, mine, line, now):
    local = timezone.localtime(now, timezone.get_fixed_timezone(9 * 60))
    begin, end = (local - timedelta(hours=1)).time(), (local + timedelta(hours=2)).time()
    NotificationHours.objects.create(agent=cast.agent, quiet_from=begin, quiet_to=end)
    writes(line, "Hello?", now=now)
    due = Outbox.objects.get(kind="notification_mail").next_attempt_at
    assert timedelta(hours=1, minutes=50) < due - now < timedelta(hours=2, minutes=1)
    assert time.min <= due.time()


def test_a_server_that_is_away_is_tried_again_with_the_same_message_id(cast, mine, line, now, monkeypatch):
    writes(line, "Hello?", now=now)
    row = Outbox.objects.get(kind="notification_mail")
    ids = []

    def refuse(self: Any, *args: Any) -> int:
        ids.append(self.message()["Message-ID"])
        raise SMTPServerDisconnected("gone")

    with monkeypatch.context() as patched:
        patched.setattr("django.core.mail.EmailMessage.send", refuse)
        delivered()
        row.refresh_from_db()
        assert (row.state, row.attempts) == ("queued", 1) and "gone" in row.last_error
        for _try in range(len(notification_mail.PAUSES)):
            delivered()
    row.refresh_from_db()
    assert row.state == "quarantined" and len(set(ids)) == 1 and mail.outbox == []
    writes(line, "Still there?", now=now)
    assert "Hello?" in delivered()[0].body, "what could not be said is said with the next"


def test_an_answer_becomes_a_reply_of_the_agent_once(cast, mine, line, post_box, now):
    writes(line, "Hello?", now=now)
    (sent,) = delivered()
    files = [{"name": "label.txt", "content": "1Z"}]
    event = answer(post_box, sent, files=files, rfc_message_id="<once@mina.example>")
    said = Message.objects.get(direction="out")
    assert (said.agent, said.text, said.kind, said.ticket) == (cast.agent, "It is on its way.", "public", mine)
    assert said.channel == line and said.parts.exists()
    assert (event.outcome, event.message_id) == ("applied", said.pk)
    assert Attachment.objects.get(message=said).name == "label.txt"
    assert answer(post_box, sent, rfc_message_id="<once@mina.example>").outcome == "applied"
    assert Message.objects.filter(direction="out").count() == 1
    assert Ticket.objects.count() == 1


def test_an_answer_to_a_mention_is_a_note_and_so_is_that_of_a_light_agent(cast, mine, line, post_box, now):
    scene.notes(mine, cast.teammate, "@Mina, please look", at=now)
    notifying.drain()
    (sent,) = delivered()
    assert "Answer this mail to write an internal note." in sent.body and "please look" in sent.body
    answer(post_box, sent, "I will.")
    said = Message.objects.order_by("-id")[0]
    assert (said.kind, said.agent, said.text) == ("note", cast.agent, "I will.")
    writes(line, "Hello?", now=now)
    Agent.objects.filter(pk=cast.agent.pk).update(role="light")
    (second,) = delivered()
    answer(post_box, second, "I may not say this aloud.")
    assert not Message.objects.filter(direction="out", kind="public").exists()


def test_an_answer_without_plus_address_is_found_by_what_it_answers(cast, mine, line, post_box, now):
    Channel.objects.filter(pk=post_box.pk).update(settings={"conversation_hours": 0})
    writes(line, "Hello?", now=now)
    (sent,) = delivered()
    assert sent.reply_to == ["help@shop.example"]
    fields = {"reply_tokens": [], "references": [sent.message()["Message-ID"]]}
    answer(post_box, sent, "Found.", **fields)
    assert Message.objects.get(direction="out").text == "Found."


def test_a_conversation_that_has_moved_on_takes_the_answer_as_a_note(cast, mine, line, post_box, now):
    writes(line, "Hello?", now=now)
    (sent,) = delivered()
    writes(line, "Never mind, it is here!", now=now)
    answer(post_box, sent, "We are searching.")
    said = Message.objects.get(kind="note")
    assert said.text.endswith("We are searching.") and "not sent to the customer" in said.text
    assert not Message.objects.filter(direction="out", kind="public").exists()
    notifying.drain()
    assert "draft_stopped" in Notification.objects.values_list("type", flat=True)
    assert Event.objects.get(kind="mail_answer_refused").particulars == {"agent": cast.agent.pk, "reason": "stale"}


UNPROVEN = [["email", "", "mina@helpdesk.example", False, "unauthenticated"]]


def test_a_mail_in_the_agents_name_that_cannot_be_proven_says_nothing(cast, mine, line, post_box, now):
    writes(line, "Hello?", now=now)
    (sent,) = delivered()
    event = answer(post_box, sent, "Pay to this account.", **{"from": UNPROVEN})
    assert (event.outcome, event.outcome_reason) == ("suppressed", "agent's answer: unproven")
    assert not Message.objects.filter(text__contains="account").exists()
    notifying.drain()
    assert Notification.objects.filter(agent=cast.agent, type="draft_stopped").exists()
    assert answer(post_box, sent).outcome == "applied", "the same with proof is said"


def test_an_agent_who_may_no_longer_see_it_says_nothing(cast, mine, line, post_box, now):
    writes(line, "Hello?", now=now)
    (sent,) = delivered()
    Ticket.objects.filter(pk=mine.pk).update(team=cast.billing, assignee=cast.outsider)
    assert answer(post_box, sent).outcome_reason == "agent's answer: no_right"
    assert not Message.objects.filter(direction="out").exists()


def test_forged_tokens_and_strangers_with_a_true_one_never_speak_as_the_agent(cast, mine, line, post_box, now):
    writes(line, "Hello?", now=now)
    (sent,) = delivered()
    others = Identifier("email", "", "mallory@evil.example", True, "dmarc")
    stranger = answer(post_box, sent, "I am Mina.", **{"from": [list(others)]})
    theirs = Message.objects.get(pk=stranger.message_id)
    assert (theirs.direction, theirs.agent) == ("in", None) and theirs.ticket != mine
    own = NotificationMail.objects.get()
    for n in range(200):
        token = secrets.token_hex(16)
        if n % 2:  # one digit off
            token = own.token[: n % 32] + format((int(own.token[n % 32], 16) + 1) % 16, "x") + own.token[n % 32 + 1 :]
        message = InboundMessage(
            external_message_id=f"f{n}",
            sender=Sender((Identifier("email", "", "mina@helpdesk.example", True, "dmarc"),)),
            sent_at=now,
            text="forged",
            reply_tokens=(token,),
        )
        assert mail_answers.take(post_box, message, raw_event_id=n, now=now) is None
    NotificationMail.objects.update(ticket=theirs.ticket)  # a row that was tampered with: its HMAC is another's
    assert answer(post_box, sent, "Elsewhere").outcome == "ticketed"
    assert not Message.objects.filter(direction="out").exists()


def test_an_out_of_office_answer_is_no_answer(cast, mine, line, post_box, now):
    writes(line, "Hello?", now=now)
    (sent,) = delivered()
    assert answer(post_box, sent, "I am away.", is_auto_reply=True).outcome == "suppressed"
    assert Message.objects.count() == 2


def test_one_click_ends_the_mails_of_one_type_and_a_look_does_not(cast, mine, line, now):
    writes(line, "Hello?", now=now)
    (sent,) = delivered()
    address = sent.extra_headers["List-Unsubscribe"].strip("<>")
    path = "/" + address.split("/", 3)[3]
    client = Client(enforce_csrf_checks=True)
    page = client.get(path)
    assert page.status_code == 200 and notifications.ways_of(cast.agent)["reply"].mail
    done = client.post(path, {"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200
    ways = notifications.ways_of(cast.agent)
    assert ways["reply"] == ALL._replace(mail=False) and ways["mentioned"].mail
    assert client.post(path[:-3] + "x/").status_code == 404


def test_a_lost_channel_is_mailed_without_a_ticket(cast, post_box, now):
    from tickets import delivery

    delivery.note_disconnected(post_box.pk, reason="password refused", now=now)
    notifying.drain()
    (sent,) = delivered()
    assert sent.to == [cast.admin.email] and "is disconnected" in sent.subject and sent.reply_to == []
    assert f"/settings/channels/{post_box.pk}/" in sent.body
