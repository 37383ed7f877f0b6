"""The dialog in which a message is forwarded, and what the thread and the integrators see of it."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from agents.models import Agent
from tests.workspace import scene
from tickets import replies
from tickets.models import Attachment, Draft, Message, Route, Ticket

FRAGMENT = {"HTTP_HX_REQUEST": "true"}
JIWOO = scene.sender("Jiwoo", email="jiwoo@example.org")
COURIER = scene.sender("Fast Courier", email="desk@courier.example")


@pytest.fixture
def asked(cast, now, give_to_support) -> Message:
    message = scene.says(cast.email, JIWOO, "Where is my parcel?", at=now - timedelta(hours=1), subject="Parcel")
    give_to_support(message.ticket)
    Agent.objects.filter(pk=cast.agent.pk).update(undo_seconds=0)
    return message


@pytest.fixture
def slow(cast) -> None:
    """Our agent gives herself ten seconds to take back what she sends."""
    Agent.objects.filter(pk=cast.agent.pk).update(undo_seconds=10)


def post(client: Any, ticket: Ticket, **said: Any) -> Any:
    fields = {"to": "desk@courier.example", "text": "Can you find it?", "client_uuid": str(uuid.uuid4())} | said
    return client.post(f"/tickets/{ticket.pk}/forwards/", fields, **FRAGMENT)


def dialog(client: Any, ticket: Ticket, **asked: Any) -> str:
    return client.get(f"/tickets/{ticket.pk}/forwards/", asked, **FRAGMENT).content.decode()


def test_it_is_offered_with_the_customers_newest_words_and_no_notes(cast, mina, asked, now):
    scene.notes(asked.ticket, cast.agent, "Always complains", at=now)
    page = dialog(mina, asked.ticket)
    assert f'value="{asked.pk}" checked' in page and "Always complains" not in page
    thread = mina.get(f"/tickets/{asked.ticket_id}/", **FRAGMENT).content.decode()
    assert 'data-command="ticket.forward"' in thread


def test_it_is_sent_and_stands_in_the_thread_as_what_it_is(cast, mina, asked):
    answer = post(mina, asked.ticket, messages=[asked.pk], hold="1")
    assert answer.status_code == 201 and "forward:sent" in answer["HX-Trigger"]
    sent = Message.objects.get(kind="side")
    assert "Where is my parcel?" in sent.quoted_text
    asked.ticket.refresh_from_db()
    assert asked.ticket.status == "on_hold"
    page = mina.get(f"/tickets/{asked.ticket_id}/", **FRAGMENT).content.decode()
    bubble = (
        page.split(f'id="message-{sent.pk}"')[0].rsplit("<article", 1)[1] + page.split(f'id="message-{sent.pk}"')[1]
    )
    assert "message--side" in bubble and "To: desk@courier.example" in bubble
    assert "To somebody else, not to the customer" in bubble


def test_their_answer_can_be_answered_from_the_thread(cast, mina, asked, now):
    post(mina, asked.ticket, cc="boss@courier.example")
    route = Route.objects.get(side=True)
    back = scene.says(cast.email, COURIER, "In Busan", at=now, reply_tokens=(route.reply_token,))
    page = mina.get(f"/tickets/{asked.ticket_id}/", **FRAGMENT).content.decode()
    assert f"/forwards/?answers={back.pk}" in page
    fields = dialog(mina, asked.ticket, answers=back.pk)
    assert 'value="desk@courier.example"' in fields and 'value="boss@courier.example"' in fields
    assert "checked" not in fields, "nothing of the customer's goes along unasked"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"to": "jiwoo@example.org"}, "고객의 주소입니다"),
        ({"to": "help@shop.example"}, "우리 쪽 주소입니다"),
        ({"to": "nobody"}, "nobody"),
        ({"text": " "}, "보낼"),
    ],
)
def test_what_cannot_go_says_why_and_keeps_what_was_written(cast, mina, asked, said, why):
    Agent.objects.filter(pk=cast.agent.pk).update(language="ko")
    answer = post(mina, asked.ticket, **said)
    page = answer.content.decode()
    assert answer.status_code == 422 and why in page.split('role="alert"')[1]
    assert said.get("to", "desk@courier.example") in page
    assert not Message.objects.filter(kind="side").exists()


def test_who_may_not_reply_forwards_nothing(cast, mina, asked):
    Agent.objects.filter(pk=cast.agent.pk).update(role="light")
    assert "may not forward" in dialog(mina, asked.ticket)
    assert post(mina, asked.ticket).status_code == 403


def test_a_foreign_ticket_is_not_forwarded(cast, sign_in, asked):
    assert post(sign_in(cast.outsider), asked.ticket).status_code == 404
    assert not Message.objects.filter(kind="side").exists()


def test_a_failed_forward_is_never_taken_up_as_an_answer_to_the_customer(cast, mina, asked):
    post(mina, asked.ticket)
    sent = Message.objects.get(kind="side")
    sent.parts.update(state="failed", error_code="bad_address")
    Message.objects.filter(pk=sent.pk).update(state="failed")
    page = mina.get(f"/tickets/{asked.ticket_id}/", **FRAGMENT).content.decode()
    assert f"/messages/{sent.pk}/again/" not in page
    assert mina.post(f"/messages/{sent.pk}/again/").status_code == 409


# -- Held for a moment, and kept --------------------------------------------------------------------------------------------


def upload(client: Any) -> int:
    client.post("/uploads/", {"file": SimpleUploadedFile("label.txt", b"to Busan", content_type="text/plain")})
    return Attachment.objects.latest("pk").pk


def test_it_is_held_and_leaves_once_with_its_own_file_and_what_is_quoted(cast, mina, asked, slow, now):
    file = upload(mina)
    key = str(uuid.uuid4())
    for _twice in range(2):
        answer = post(mina, asked.ticket, messages=[asked.pk], hold="1", files=[file], client_uuid=key)
        assert answer.status_code == 202 and "withdrawal" in answer["HX-Trigger"]
    held = Draft.objects.get()
    assert not Message.objects.filter(kind="side").exists() and held.send_at
    assert Ticket.objects.get(pk=asked.ticket_id).status != "on_hold"
    assert replies.release_due(now=held.send_at) == 1 and replies.release_due(now=held.send_at) == 0
    sent = Message.objects.get(kind="side")
    assert (sent.text, sent.to, str(sent.client_uuid)) == ("Can you find it?", ["desk@courier.example"], key)
    assert "Where is my parcel?" in sent.quoted_text and sent.attachments.get().pk == file
    assert Ticket.objects.get(pk=asked.ticket_id).status == "on_hold" and not Draft.objects.exists()


def test_taken_back_it_stands_in_the_dialog_again_and_may_leave_later(cast, mina, asked, slow):
    file = upload(mina)
    post(mina, asked.ticket, cc="boss@courier.example", files=[file], hold="1", messages=[])
    assert mina.post(f"/tickets/{asked.ticket_id}/forwards/withdrawal/").status_code == 204
    page = dialog(mina, asked.ticket)
    for kept in ("Can you find it?", 'value="desk@courier.example"', 'value="boss@courier.example"', "label.txt"):
        assert kept in page
    assert f'value="{asked.pk}" checked' not in page and 'id="forward-hold" name="hold" value="1" checked' in page
    assert replies.release_due(now=timezone.now() + timedelta(hours=1)) == 0
    key = page.split('name="client_uuid" value="')[1].split('"')[0]
    assert post(mina, asked.ticket, client_uuid=key, files=[file]).status_code == 202
    assert replies.release_due(now=timezone.now() + timedelta(hours=1)) == 1
    assert mina.post(f"/tickets/{asked.ticket_id}/forwards/withdrawal/").status_code == 409
    assert Message.objects.filter(kind="side").count() == 1


def test_what_is_half_written_is_kept_and_said_and_comes_back_no_more_once_it_is_sent(cast, mina, asked):
    key = str(uuid.uuid4())
    half = {"to": "desk@cou", "text": "Can you", "client_uuid": key, "messages": [asked.pk]}
    keep = f"/tickets/{asked.ticket_id}/forwards/draft/"
    assert mina.post(keep, half).status_code == 204
    page = dialog(mina, asked.ticket)
    assert 'value="desk@cou"' in page and "Can you</textarea>" in page and key in page
    composer = mina.get(f"/tickets/{asked.ticket_id}/composer/", **FRAGMENT).content.decode()
    assert "to somebody else is not sent yet" in composer and "Can you" not in composer
    assert post(mina, asked.ticket, client_uuid=key).status_code == 201
    assert mina.post(keep, half).status_code == 204, "a late one"
    assert not Draft.objects.exists() and "Can you</textarea>" not in dialog(mina, asked.ticket)


def test_what_is_held_is_not_changed_by_a_late_save(cast, mina, asked, slow):
    key = str(uuid.uuid4())
    post(mina, asked.ticket, client_uuid=key)
    mina.post(f"/tickets/{asked.ticket_id}/forwards/draft/", {"text": "Can", "client_uuid": key})
    held = Draft.objects.get()
    assert held.send_at and held.text == "Can you find it?"


def test_an_answer_to_them_goes_to_them_with_the_words_that_were_kept(cast, mina, asked, now):
    post(mina, asked.ticket)
    route = Route.objects.get(side=True)
    back = scene.says(cast.email, COURIER, "In Busan", at=now, reply_tokens=(route.reply_token,))
    half = {"to": "lawyer@else.example", "text": "Look at", "client_uuid": str(uuid.uuid4())}
    mina.post(f"/tickets/{asked.ticket_id}/forwards/draft/", half)
    page = dialog(mina, asked.ticket, answers=back.pk)
    assert 'value="desk@courier.example"' in page and "lawyer" not in page and "Look at</textarea>" in page


def test_what_can_no_longer_go_is_a_draft_again_and_says_why(cast, mina, asked, slow, now):
    post(mina, asked.ticket)
    type(cast.email).objects.filter(pk=cast.email.pk).update(disconnected_at=now)
    assert replies.release_due(now=now + timedelta(minutes=1)) == 0
    assert Draft.objects.get().stopped and not Message.objects.filter(kind="side").exists()
    page = dialog(mina, asked.ticket)
    assert 'role="alert"' in page and "Can you find it?" in page


def test_a_draft_of_an_answer_is_another_one(cast, mina, asked, slow, now):
    scene_key = str(uuid.uuid4())
    kept = {"text": "Dear Jiwoo", "client_uuid": scene_key, "revision": 1}
    mina.put(f"/tickets/{asked.ticket_id}/drafts/reply/", json.dumps(kept), content_type="application/json")
    post(mina, asked.ticket)
    assert replies.release_due(now=now + timedelta(minutes=1)) == 1
    assert Draft.objects.get().text == "Dear Jiwoo"
    assert mina.get(f"/tickets/{asked.ticket_id}/drafts/side/").status_code == 404
