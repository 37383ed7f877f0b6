"""An approved message is chosen, filled in and sent where free answers do not go any more."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from tests.workspace import scene
from tickets import approved
from tickets.contract import Template
from tickets.models import Message, MessageTemplate, Route, Ticket

FRAGMENT = {"HTTP_HX_REQUEST": "true"}
UPDATE = Template("update", "en", "Hello {{1}}, it arrives on {{2}}.", ("1", "2"))
KOREAN = Template("update", "ko", "{{name}} 님, 안녕하세요.", ("name",), named=True)


@pytest.fixture
def ticket(cast, now, give_to_support):
    said = scene.says(
        cast.whatsapp, scene.sender("Jiwoo", phone="+821011112222"), "Where is it?", at=now - timedelta(days=3)
    )
    Route.objects.update(window_expires_at=now - timedelta(days=2))
    approved.keep(cast.whatsapp, [UPDATE, KOREAN])
    Ticket.objects.filter(pk=said.ticket_id).update(language="en")
    return give_to_support(said.ticket)


def fields(ticket, **more):
    used = ticket.routes.get()
    chosen = MessageTemplate.objects.get(language="en")
    return {
        "route": f"{used.channel_id}-{used.identity_id}",
        "template": chosen.pk,
        "client_uuid": str(uuid.uuid4()),
    } | more


def test_what_the_provider_no_longer_has_is_gone_and_what_changed_is_new(cast, ticket):
    kept = MessageTemplate.objects.get(language="en").pk
    approved.keep(cast.whatsapp, [Template("update", "en", "Hello {{1}}.", ("1",)), Template("other", "en", "Hi")])
    assert MessageTemplate.objects.get(pk=kept).body == "Hello {{1}}."
    assert set(MessageTemplate.objects.values_list("name", "language")) == {("update", "en"), ("other", "en")}


def test_the_composer_offers_templates_only_where_free_answers_do_not_go(cast, mina, ticket, now):
    url = f"/tickets/{ticket.pk}/composer/"
    assert " data-template " in mina.get(url, **FRAGMENT).content.decode()
    Route.objects.update(window_expires_at=now + timedelta(hours=2))
    assert " data-template " not in mina.get(url, **FRAGMENT).content.decode()


def test_it_opens_in_the_language_of_the_conversation_with_the_name_filled_in(mina, ticket):
    page = mina.get(f"/tickets/{ticket.pk}/templates/", {"route": fields(ticket)["route"]}, **FRAGMENT).content.decode()
    assert "Hello Jiwoo, it arrives on {{2}}." in page and 'name="place-2" value=""' in page


def test_the_preview_is_what_the_customer_will_read(mina, ticket):
    asked = fields(ticket, **{"place-1": "Ms Kim", "place-2": "Friday"})
    page = mina.get(f"/tickets/{ticket.pk}/templates/", asked, **FRAGMENT).content.decode()
    assert "Hello Ms Kim, it arrives on Friday." in page


def test_it_is_sent_as_a_template_and_shown_as_its_words(cast, mina, ticket):
    posted = fields(ticket, **{"place-1": "Ms  Kim", "place-2": "Friday\nmorning"})
    for _twice in range(2):
        response = mina.post(f"/tickets/{ticket.pk}/templates/", posted, **FRAGMENT)
        assert response.status_code == 201 and "template:sent" in response["HX-Trigger"]
    message = Message.objects.get(direction="out")
    assert message.text == "Hello Ms Kim, it arrives on Friday morning."
    assert message.meta["template"] == {"name": "update", "language": "en", "variables": ["Ms Kim", "Friday morning"]}
    assert message.parts.get().text == message.text


def test_named_places_go_by_their_names(mina, ticket):
    korean = MessageTemplate.objects.get(language="ko")
    posted = fields(ticket, **{"template": korean.pk, "place-name": "지우"})
    assert mina.post(f"/tickets/{ticket.pk}/templates/", posted, **FRAGMENT).status_code == 201
    assert Message.objects.get(direction="out").meta["template"]["variables"] == {"name": "지우"}


def test_a_place_that_is_empty_is_said(mina, ticket):
    response = mina.post(
        f"/tickets/{ticket.pk}/templates/", fields(ticket, **{"place-1": "Kim", "place-2": " "}), **FRAGMENT
    )
    assert response.status_code == 422 and "Fill in every place" in response.content.decode()
    assert not Message.objects.filter(direction="out").exists()


def test_who_has_not_seen_the_newest_message_looks_first(cast, mina, ticket, now):
    seen = ticket.last_message_id
    scene.notes(ticket, cast.teammate, "Wait.", at=now)
    posted = fields(ticket, **{"place-1": "Kim", "place-2": "Friday", "last_seen_message_id": seen})
    response = mina.post(f"/tickets/{ticket.pk}/templates/", posted, **FRAGMENT)
    assert response.status_code == 422 and "in the meantime" in response.content.decode()


def test_who_does_not_see_the_ticket_sees_no_templates(cast, sign_in, ticket):
    asked = {"route": fields(ticket)["route"]}
    assert sign_in(cast.outsider).get(f"/tickets/{ticket.pk}/templates/", asked).status_code == 404
