"""The dialog in which a message is forwarded, and what the thread and the integrators see of it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from agents.models import Agent
from tests.workspace import scene
from tickets.models import Message, Route, Ticket

FRAGMENT = {"HTTP_HX_REQUEST": "true"}
JIWOO = scene.sender("Jiwoo", email="jiwoo@example.org")
COURIER = scene.sender("Fast Courier", email="desk@courier.example")


@pytest.fixture
def asked(cast, now, give_to_support) -> Message:
    message = scene.says(cast.email, JIWOO, "Where is my parcel?", at=now - timedelta(hours=1), subject="Parcel")
    give_to_support(message.ticket)
    return message


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
