"""The settings screen of signatures, and what the composer and the thread show of one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.workspace import scene
from tickets import signatures
from tickets.models import Signature

PAGE = "/settings/signatures/"
FRAGMENT = {"HTTP_HX_REQUEST": "true"}
ARA = scene.sender("Ara", email="ara@example.org")


@pytest.fixture
def ticket(cast, now, give_to_support):
    return give_to_support(scene.says(cast.email, ARA, "Where is my parcel?", at=now - timedelta(hours=1)).ticket)


def test_everybody_writes_their_own(cast, mina):
    assert mina.post(PAGE, {"own-text": "{{agent.name}}\r\nShop"}).status_code == 302
    assert Signature.objects.get().text == "{{agent.name}}\nShop" and Signature.objects.get().agent == cast.agent
    assert "{{agent.name}}" in mina.get(PAGE).content.decode()
    mina.post(PAGE, {"own-text": " "})
    assert not Signature.objects.exists()


def test_those_of_brands_and_teams_are_an_administrator_s(cast, mina, sign_in):
    posted = {"shared": "1", "shared-brand": cast.brand.pk, "shared-team": cast.support.pk, "shared-text": "Support"}
    assert mina.post(PAGE, posted).status_code == 403
    assert "shared-brand" not in mina.get(PAGE).content.decode()
    admin = sign_in(cast.admin)
    assert admin.post(PAGE, posted).status_code == 302
    assert (Signature.objects.get().team, Signature.objects.get().agent) == (cast.support, None)
    page = admin.get(f"{PAGE}?brand={cast.brand.pk}&team={cast.support.pk}").content.decode()
    assert ">\nSupport</textarea>" in page


def test_a_variable_that_is_none_is_refused_in_words(mina):
    response = mina.post(PAGE, {"own-text": "{{agent.nmae}}"})
    assert response.status_code == 422 and "{{agent.nmae}}" in response.content.decode()
    assert not Signature.objects.exists()


def test_the_composer_shows_it_and_the_thread_keeps_it_folded(cast, mina, ticket, now):
    signatures.keep("{{agent.name}} of {{brand.name}}", by=cast.agent)
    page = mina.get(f"/tickets/{ticket.pk}/composer/", **FRAGMENT).content.decode()
    assert "<p>Mina of Shop</p>" in page and "data-signed" in page
    scene.answers(ticket, cast.agent, "On its way.", at=now)
    signatures.keep("Somebody else", by=cast.agent)
    assert "<div>Mina of Shop</div>" in mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content.decode()


def test_a_text_message_has_none(cast, mina, now, give_to_support):
    signatures.keep("{{agent.name}} of {{brand.name}}", by=cast.agent)
    said = scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello?", at=now)
    page = mina.get(f"/tickets/{give_to_support(said.ticket).pk}/composer/", **FRAGMENT).content.decode()
    assert "Mina of Shop" not in page and "data-signed" not in page
