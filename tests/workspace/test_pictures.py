"""Pictures from elsewhere in a mail: not fetched until somebody asks, and then by us and for nobody to follow."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta

import pytest
import time_machine
from django.core import signing
from django.utils import timezone

from agents.models import Agent
from tests.workspace import scene
from tickets import http
from tickets.models import Identity, Message
from tickets.workspace import pictures

pytestmark = pytest.mark.django_db
FRAGMENT = {"HTTP_HX_REQUEST": "true"}
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20
TRACKER = "https://track.example/open.gif?u=1&v=2"
BODY = f'<p>Hello</p><img data-remote="{html.escape(TRACKER)}" alt=""><img data-remote="http://shop.example/logo.png" alt="">'


@pytest.fixture
def mail(cast, now, give_to_support):
    who = scene.sender("Sora", email="sora@example.org")
    message = scene.says(cast.email, who, "Hello", at=now, subject="Kettle", html=BODY)
    give_to_support(message.ticket)
    return message


@pytest.fixture
def provider(monkeypatch):
    """Somebody else's server: what it is asked, and what it answers."""
    asked = []

    class Provider:
        answer = http.Response(200, http.Headers([("Content-Type", "text/html"), ("Set-Cookie", "a=b")]), PNG, "")

    def fetch(method, url, **more):
        asked.append((method, url, more))
        if isinstance(Provider.answer, Exception):
            raise Provider.answer
        return Provider.answer

    monkeypatch.setattr(pictures, "safe_fetch", fetch)
    Provider.asked = asked
    return Provider


def sources(page):
    return [html.unescape(one) for one in re.findall(r'<img src="([^"]+)"', page)]


def path_of(address):
    return re.sub(r"^https?://[^/]+", "", address)


def test_nothing_is_fetched_before_somebody_asks(mina, mail, provider):
    page = mina.get(f"/messages/{mail.pk}/body/").content.decode()
    assert sources(page) == [] and "2 pictures from elsewhere are not shown" in page
    bubble = mina.get(f"/tickets/{mail.ticket_id}/", **FRAGMENT).content.decode()
    assert f'data-pictures="/messages/{mail.pk}/body/?pictures=1"' in bubble
    assert provider.asked == []


def test_asked_for_they_come_through_our_own_address(client, mina, mail, provider):
    page = mina.get(f"/messages/{mail.pk}/body/?pictures=1")
    addresses = sources(page.content.decode())
    assert len(addresses) == 2 and all("/files/pictures/" in one for one in addresses)
    assert "not shown" not in page.content.decode()
    # Without a session: the files host knows no cookies. Nothing of the reader goes along.
    picture = client.get(
        path_of(addresses[0]), HTTP_COOKIE="sessionid=x", HTTP_REFERER="https://desk.example/", HTTP_USER_AGENT="me"
    )
    assert (picture.status_code, picture["Content-Type"], picture.content) == (200, "image/png", PNG)
    assert "Set-Cookie" not in picture and picture["X-Content-Type-Options"] == "nosniff"
    ((method, url, more),) = provider.asked
    assert (method, url) == ("GET", TRACKER)
    assert more["headers"] == {"Accept": "image/*"} and more["max_bytes"] == pictures.MOST_BYTES


@pytest.mark.parametrize(
    "answer",
    [
        http.Response(200, http.Headers([("Content-Type", "image/png")]), b"<svg onload=alert(1)>", ""),
        http.Response(200, http.Headers([("Content-Type", "image/png")]), b"<!doctype html><script>", ""),
        http.Response(404, http.Headers([]), PNG, ""),
        http.Refused("the address is not public"),
        http.FetchError("too large", may_have_left=True),
    ],
)
def test_what_is_no_picture_does_not_come_through(client, provider, answer):
    provider.answer = answer
    assert client.get(path_of(pictures.address_of(TRACKER))).status_code == 404
    assert len(provider.asked) == 1


def test_an_address_is_signed_and_ends(client, provider):
    address = path_of(pictures.address_of(TRACKER))
    for guess in (address[:-3] + "x/", "/files/pictures/aHR0cHM/", f"/files/pictures/{signing.dumps(TRACKER)}/"):
        assert client.get(guess).status_code == 404
    with time_machine.travel(timezone.now() + timedelta(seconds=pictures.LIFE + 5)):
        assert client.get(address).status_code == 404
    assert provider.asked == []
    assert client.get(address).status_code == 200
    assert client.post(address).status_code == 405


def test_an_address_inside_is_refused_by_the_one_door(client):
    """Not monkeypatched: a mail cannot make us look at ourselves."""
    assert client.get(path_of(pictures.address_of("http://127.0.0.1:80/secret.png"))).status_code == 404


def test_always_for_this_sender_is_remembered_and_can_be_taken_back(cast, mina, mail, now):
    address = f"/messages/{mail.pk}/pictures/"
    always = mina.post(address, **FRAGMENT)
    assert Identity.objects.get(value="sora@example.org").pictures
    later = scene.says(cast.email, scene.sender("Sora", email="sora@example.org"), "More", at=now, html=BODY)
    stranger = scene.says(cast.email, scene.sender("Eve", email="eve@example.net"), "Hi", at=now, html=BODY)
    bubble = mina.get(f"/tickets/{later.ticket_id}/", **FRAGMENT).content.decode()
    assert f'src="/messages/{later.pk}/body/?pictures=1"' in bubble
    assert not Identity.objects.get(value="eve@example.net").pictures and stranger.html
    mina.post(json.loads(always["HX-Trigger"])["toast"]["undo"], **FRAGMENT)
    assert not Identity.objects.get(value="sora@example.org").pictures


def test_always_needs_the_right_to_see_and_to_answer(cast, sign_in, mail):
    assert sign_in(cast.outsider).post(f"/messages/{mail.pk}/pictures/", **FRAGMENT).status_code == 404
    Agent.objects.filter(pk=cast.agent.pk).update(role=Agent.Role.LIGHT)
    assert sign_in(cast.agent).post(f"/messages/{mail.pk}/pictures/", **FRAGMENT).status_code == 403
    assert not Identity.objects.filter(pictures=True).exists()


def test_a_mail_full_of_pictures_asks_for_some_only(mina, mail):
    Message.objects.filter(pk=mail.pk).update(html='<img data-remote="https://a.example/x.png">' * (pictures.MOST + 3))
    page = mina.get(f"/messages/{mail.pk}/body/?pictures=1").content.decode()
    assert len(sources(page)) == pictures.MOST and "3 pictures from elsewhere are not shown" in page
