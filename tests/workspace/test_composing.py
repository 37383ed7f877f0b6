"""What the composer gets from the server: a failed answer taken up again, what is held, whose draft a row shows."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from agents.models import Agent, Team
from tests.workspace import scene
from tickets import live, replies
from tickets.models import Attachment, DeliveryPart, Draft, Event, Identity, Macro, Message, Ticket
from tickets.recipients import Recipients
from tickets.timeline import FAILURES, failure_in_words

FRAGMENT = {"HTTP_HX_REQUEST": "true"}
JIWOO = scene.sender("Jiwoo", phone="+821011112222")


@pytest.fixture
def ticket(cast, now, give_to_support):
    return give_to_support(scene.says(cast.sms, JIWOO, "Where is my parcel?", at=now - timedelta(hours=1)).ticket)


@pytest.fixture
def whispers(monkeypatch):
    heard = []
    monkeypatch.setattr(live, "whisper", lambda topic, payload: heard.append(payload) if topic == "draft" else None)
    return heard


def failed(ticket, agent, *, now, code="30007", detail="Message filtered", **more) -> Message:
    message = scene.answers(ticket, agent, "On its way.", at=now, **more)
    DeliveryPart.objects.filter(message=message).update(state="failed", error_code=code, last_error=detail)
    Message.objects.filter(pk=message.pk).update(state="failed", error=detail or code)
    return Message.objects.get(pk=message.pk)


def bubble_of(page: str, message: Message) -> str:
    return page.split(f'id="message-{message.pk}"')[1].split("</article>")[0]


# -- A failed answer ------------------------------------------------------------------------------------------------------


def test_a_failed_answer_says_why_and_what_to_do(cast, mina, ticket, now):
    message = failed(ticket, cast.agent, now=now)
    shown = bubble_of(mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content.decode(), message)
    assert "The provider refused it: Message filtered" in shown and "answer on another channel" in shown
    assert "Try again" in shown and f'data-again="/messages/{message.pk}/again/"' in shown


@pytest.mark.parametrize("code", sorted(FAILURES))
def test_our_own_reasons_are_sentences(code):
    sentence = failure_in_words(code, "")
    assert sentence[0].isupper() and sentence.endswith(".") and "_" not in sentence


def test_taken_up_again_it_is_back_with_copies_of_its_files_and_stays_failed(cast, mina, ticket, now):
    file = Attachment.objects.create(
        uploaded_by=cast.agent, name="label.pdf", content_type="application/pdf", size=3, sha256="a" * 64
    )
    message = failed(ticket, cast.agent, now=now, attachments=[file])
    answer = mina.post(f"/messages/{message.pk}/again/", **FRAGMENT).json()
    copy = Attachment.objects.get(message__isnull=True)
    used = ticket.routes.get()
    assert (answer["text"], answer["route"]) == ("On its way.", f"{used.channel_id}-{used.identity_id}")
    assert f'value="{copy.pk}"' in answer["files"] and (copy.sha256, copy.name) == (file.sha256, "label.pdf")
    shown = bubble_of(answer["bubble"], message)
    assert "Not delivered" in shown or "Failed" in shown
    assert "Try again" not in shown, "it is dealt with, and cannot go twice by mistake"
    assert "data-again" in shown, "though it can be taken up once more"
    message.refresh_from_db()
    assert message.state == "failed" and message.attachments.get() == file


def test_it_goes_another_way_where_its_own_is_closed_or_one_asks_for_it(cast, mina, ticket, now):
    Identity.objects.create(
        customer=ticket.customer, kind="email", value="jiwoo@example.org", verified=True, evidence="agent"
    )
    message = failed(ticket, cast.agent, now=now)

    def way(**fields):
        return mina.post(f"/messages/{message.pk}/again/", fields, **FRAGMENT).json()["route"].split("-")[0]

    assert way() == str(cast.sms.pk)
    assert way(elsewhere="1") == str(cast.email.pk)
    Identity.objects.filter(kind="phone").update(failed_at=now)
    assert way() == str(cast.email.pk), "nobody sends into the void a second time"
    page = mina.get(f"/tickets/{ticket.pk}/composer/", **FRAGMENT).content.decode()
    assert "data-choice" in page


def test_only_what_failed_is_taken_up_and_only_by_who_may_answer(cast, mina, sign_in, ticket, now):
    message = scene.answers(ticket, cast.agent, "On its way.", at=now)
    assert mina.post(f"/messages/{message.pk}/again/", **FRAGMENT).status_code == 409
    message = failed(ticket, cast.agent, now=now)
    assert sign_in(cast.outsider).post(f"/messages/{message.pk}/again/", **FRAGMENT).status_code == 404
    Agent.objects.filter(pk=cast.agent.pk).update(role="light")
    assert mina.post(f"/messages/{message.pk}/again/", **FRAGMENT).status_code == 403
    assert not DeliveryPart.objects.filter(resolved_at__isnull=False).exists()


def test_trying_again_is_the_same_message_with_all_its_parts(cast, mina, ticket, now):
    message = failed(ticket, cast.agent, now=now)
    first = message.parts.get()
    DeliveryPart.objects.create(message=message, n=1, channel=cast.sms, ticket=ticket, text="more", state="failed")
    keys = set(message.parts.values_list("send_uuid", flat=True))
    assert mina.post(f"/parts/{first.pk}/verdict/", {"outcome": "resend"}, **FRAGMENT).status_code == 200
    assert set(message.parts.values_list("state", flat=True)) == {"queued"}
    assert set(message.parts.values_list("send_uuid", flat=True)) == keys
    assert Message.objects.filter(ticket=ticket, direction="out").count() == 1


# -- Who answers has the ticket -------------------------------------------------------------------------------------------


def test_who_answers_first_has_the_ticket_and_the_thread_says_why(cast, mina, ticket, now):
    scene.answers(ticket, cast.agent, "On its way.", at=now)
    ticket.refresh_from_db()
    assert ticket.assignee == cast.agent
    assert "who answered first" in mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content.decode()


def test_a_team_may_leave_that_to_its_rules(cast, ticket, now):
    Team.objects.filter(pk=cast.support.pk).update(answerer_takes=False)
    Ticket.objects.filter(pk=ticket.pk).update(routing_due_at=now)
    scene.answers(ticket, cast.agent, "On its way.", at=now)
    ticket.refresh_from_db()
    assert (ticket.assignee, ticket.status) == (None, "open")
    assert ticket.routing_due_at is not None, "routing still owes it to somebody"
    assert not Event.objects.filter(ticket=ticket, kind="assigned").exists()


# -- What is held, and what a row calls a draft --------------------------------------------------------------------------


def hold(ticket, agent, *, now, **more):
    return replies.hold(
        ticket,
        agent=agent,
        text="On its way.",
        route=replies.routes_for(ticket, now=now)[0],
        client_uuid=uuid.uuid4(),
        seen_message_id=ticket.last_message_id,
        send_at=now + timedelta(hours=2),
        now=now,
        **more,
    )


def test_what_is_held_says_that_it_solves_only_when_it_leaves(cast, mina, ticket, now):
    hold(ticket, cast.agent, now=now, then={"status": "solved"})
    page = mina.get(f"/tickets/{ticket.pk}/composer/", **FRAGMENT).content.decode()
    assert "Status when it leaves: Solved" in page
    ticket.refresh_from_db()
    assert ticket.status != "solved"


def test_a_row_shows_what_is_being_written_and_not_what_is_on_its_way(
    cast, mina, ticket, now, whispers, django_capture_on_commit_callbacks
):
    def mark():
        return mina.get(f"/marks/?ids={ticket.pk}").json()["marks"][str(ticket.pk)].get("draft", "")

    words = {"text": "On its", "revision": 1, "client_uuid": str(uuid.uuid4())}
    with django_capture_on_commit_callbacks(execute=True):
        mina.put(f"/tickets/{ticket.pk}/drafts/reply/", json.dumps(words), content_type="application/json")
    assert mark() == "On its" == whispers[-1]["text"]
    with django_capture_on_commit_callbacks(execute=True):
        held = hold(ticket, cast.agent, now=now)
    assert mark() == "" == whispers[-1]["text"]
    with django_capture_on_commit_callbacks(execute=True):
        assert replies.undo(held, now=now)
    assert mark() == "On its way." == whispers[-1]["text"]
    with django_capture_on_commit_callbacks(execute=True):
        scene.answers(ticket, cast.agent, "Now.", at=now)
    assert mark() == "" == whispers[-1]["text"] and not Draft.objects.exists()


# -- Text messages and pictures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, count",
    [
        ("Hello", ""),
        ("x" * 130, "130 / 160"),
        ("x" * 161, "2 SMS"),
        ("가" * 60, "60 / 70"),
        ("가" * 135, "3 SMS"),
        ("**" + "x" * 126 + "**", ""),
    ],
)
def test_saving_a_draft_says_how_many_text_messages_it_is(cast, mina, ticket, text, count):
    used = ticket.routes.get()
    words = {
        "text": text,
        "revision": 1,
        "client_uuid": str(uuid.uuid4()),
        "route": f"{used.channel_id}-{used.identity_id}",
    }
    url = f"/tickets/{ticket.pk}/drafts/reply/"
    assert mina.put(url, json.dumps(words), content_type="application/json").json()["count"] == count
    page = mina.get(f"/tickets/{ticket.pk}/composer/", **FRAGMENT).content.decode()
    assert f'id="composer-count" role="status">{count}<' in page


def test_a_picture_is_seen_before_it_is_sent(cast, mina, media_folder):
    png = SimpleUploadedFile("shoe.png", b"\x89PNG\r\n\x1a\n" + b"0" * 100)
    page = mina.post("/uploads/", {"file": png}, **FRAGMENT).content.decode()
    assert f'<img src="/files/{Attachment.objects.get().token}/' in page


# -- To and Cc -------------------------------------------------------------------------------------------------------------

ARA = scene.sender("Ara", email="ara@example.org")


@pytest.fixture
def mailed(cast, now, give_to_support):
    words = {"to": (cast.email.address, "boss@example.org"), "cc": ("law@example.org",)}
    return give_to_support(scene.says(cast.email, ARA, "Where is it?", at=now - timedelta(hours=1), **words).ticket)


def send(client, ticket, **fields):
    used = ticket.routes.get()
    words = {
        "text": "On its way.",
        "route": f"{used.channel_id}-{used.identity_id}",
        "client_uuid": str(uuid.uuid4()),
        "last_seen_message_id": ticket.last_message_id,
        **fields,
    }
    return client.post(f"/tickets/{ticket.pk}/replies/", words, **FRAGMENT)


def test_the_composer_begins_with_a_reply_to_all(mina, mailed):
    page = mina.get(f"/tickets/{mailed.pk}/composer/", **FRAGMENT).content.decode()
    assert 'name="to" value="ara@example.org"' in page
    assert 'name="cc" value="boss@example.org, law@example.org"' in page


def test_recipients_are_changed_and_shown(cast, mina, mailed):
    Agent.objects.filter(pk=cast.agent.pk).update(undo_seconds=0)
    response = send(mina, mailed, to="Ara <ara@example.org>", cc="law@example.org")
    message = Message.objects.get(pk=response["X-Message"])
    assert response.status_code == 201 and (message.to, message.cc) == (["ara@example.org"], ["law@example.org"])
    shown = bubble_of(mina.get(f"/tickets/{mailed.pk}/", **FRAGMENT).content.decode(), message)
    assert "To: ara@example.org" in shown and "Cc: law@example.org" in shown


def test_a_slip_is_held_up_until_one_is_sure(cast, mina, mailed):
    Agent.objects.filter(pk=cast.agent.pk).update(undo_seconds=0)
    response = send(mina, mailed, to="bos@example.org", cc="")
    page = response.content.decode()
    assert response.status_code == 422 and "not among the recipients" in page and "bos@example.org" in page
    assert "data-sure" in page
    assert send(mina, mailed, to="bos@example.org", cc="", sure="1").status_code == 201
    response = send(mina, mailed, to="bos", cc="", sure="1")
    assert response.status_code == 422 and "not an e-mail address: bos" in response.content.decode()


def test_what_is_typed_in_them_is_kept_with_the_draft(cast, mina, mailed):
    words = {"text": "Dear", "revision": 1, "client_uuid": str(uuid.uuid4()), "to": "ara@example.org", "cc": "half@"}
    url = f"/tickets/{mailed.pk}/drafts/reply/"
    assert mina.put(url, json.dumps(words), content_type="application/json").status_code == 200
    assert 'name="cc" value="half@"' in mina.get(f"/tickets/{mailed.pk}/composer/", **FRAGMENT).content.decode()
    words = {"text": "Dear", "revision": 2, "client_uuid": str(uuid.uuid4())}
    assert mina.put(url, json.dumps(words), content_type="application/json").status_code == 200
    assert 'value="boss@example.org, law' in mina.get(f"/tickets/{mailed.pk}/composer/", **FRAGMENT).content.decode()


def test_a_failed_mail_is_taken_up_with_its_own_recipients(cast, mina, mailed, now):
    message = failed(mailed, cast.agent, now=now, recipients=Recipients(("ara@example.org",), ("new@example.org",)))
    answer = mina.post(f"/messages/{message.pk}/again/", **FRAGMENT).json()
    assert (answer["to"], answer["cc"]) == ("ara@example.org", "new@example.org")


# -- What a draft keeps -----------------------------------------------------------------------------------------------------


def keep(client, ticket, kind="reply", **words):
    said = {"text": "On its way.", "revision": 1, "client_uuid": str(uuid.uuid4()), **words}
    url = f"/tickets/{ticket.pk}/drafts/{kind}/"
    answer = client.put(url, json.dumps(said), content_type="application/json")
    assert answer.status_code == 200
    return client.get(f"/tickets/{ticket.pk}/composer/", **FRAGMENT).context["composer"]


def test_a_way_chosen_for_the_first_time_stays_chosen_until_another_one_is(cast, mina, ticket):
    mail = Identity.objects.create(
        customer=ticket.customer, kind="email", value="jiwoo@example.org", verified=True, evidence="agent"
    )
    used = ticket.routes.get()
    by_mail, by_sms = f"{cast.email.pk}-{mail.pk}", f"{used.channel_id}-{used.identity_id}"
    assert keep(mina, ticket, route=by_mail)["route"] == by_mail
    assert ticket.routes.count() == 1, "a draft does not reach anybody yet"
    assert mina.get(f"/tickets/{ticket.pk}/drafts/reply/").json()["route"] == by_mail
    assert keep(mina, ticket, route=by_sms, revision=2)["route"] == by_sms
    assert keep(mina, ticket, route="no-way", revision=3)["route"] == by_sms
    keep(mina, ticket, route=by_mail, revision=4)
    mail.delete()
    assert mina.get(f"/tickets/{ticket.pk}/composer/", **FRAGMENT).context["composer"]["route"] == by_sms


def test_files_stand_with_what_they_were_put_in(cast, mina, ticket):
    def upload(name):
        return Attachment.objects.create(
            uploaded_by=cast.agent, name=name, content_type="application/pdf", size=3, sha256="a" * 64
        )

    inside, label = upload("internal.pdf"), upload("label.pdf")
    keep(mina, ticket, "note", files=[inside.pk])
    facts = keep(mina, ticket, files=[label.pk])
    assert [file["name"] for file in facts["files"]] == ["label.pdf"]
    assert [file["name"] for file in facts["note_files"]] == ["internal.pdf"]
    page = mina.get(f"/tickets/{ticket.pk}/composer/", **FRAGMENT).content.decode()
    to_customer = page.split('id="composer-files"')[1].split('id="composer-note-files"')[0]
    assert "label.pdf" in to_customer and "internal.pdf" not in to_customer


def test_what_is_taken_back_brings_its_macro_along(cast, mina, ticket, now):
    deeds = [{"do": "tag", "tags": ["refund"]}, {"do": "priority", "priority": 3}]
    macro = Macro.objects.create(title="Refund", owner=cast.admin, scope="shared", deeds=deeds)
    then = {"status": "solved", "macro": macro.pk, "deeds": deeds[1:]}
    hold(ticket, cast.agent, now=timezone.now(), then=then)
    taken = mina.delete(f"/tickets/{ticket.pk}/waiting/").json()
    assert (taken["text"], taken["macro"], taken["deeds"]) == ("On its way.", macro.pk, [1])
    assert mina.get(f"/tickets/{ticket.pk}/drafts/reply/").json()["deeds"] == [1]
