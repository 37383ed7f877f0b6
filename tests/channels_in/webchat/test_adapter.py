"""What was kept becomes our words; what cannot be read or is unknown stays visible (channels.md 1.9)."""

import json
import uuid

import pytest
from django.test import Client

from channels_in import process, webhooks
from channels_in.models import RawEvent
from channels_in.webchat.adapter import WebChat
from tickets.contract import ChannelFacts, InboundMessage, Item, Receipt, Suppressed, Unreadable

FACTS = ChannelFacts(
    id=1, kind="webchat", slug="chat", name="Chat", account_id="", address="", brand_key="shop", brand_name="Shop",
    settings={}, secrets={}, hook_url="",
)  # fmt: skip
SESSION, MINE = uuid.uuid4(), uuid.uuid4()
LINE = {
    "type": "message",
    "session": SESSION.hex,
    "client_uuid": MINE.hex,
    "text": "hi",
    "files": [],
    "email": "a@b.example",
}


def normalised(item: object):
    return WebChat().normalise(FACTS, json.dumps(item).encode(), {})


def test_a_line_names_its_session_and_claims_its_address():
    (said,) = normalised(LINE)
    assert isinstance(said, InboundMessage)
    assert [(one.kind, one.scope, one.value, one.verified) for one in said.sender.identifiers] == [
        ("webchat", "shop", str(SESSION), False),
        ("email", "", "a@b.example", False),
    ]
    assert said.client_uuid not in (str(MINE), "")


def test_a_watermark_is_a_receipt():
    item = {
        "type": "receipt",
        "session": SESSION.hex,
        "state": "read",
        "ticket": 5,
        "seq": 9,
        "at": "2026-11-25T12:00:00Z",
    }
    (said,) = normalised(item)
    assert isinstance(said, Receipt)
    assert (said.state, said.ticket_id, said.up_to_seq) == ("read", 5, 9)


def test_what_is_unknown_is_suppressed_and_never_a_crash():
    assert normalised({"type": "wave"}) == [Suppressed("unknown kind")]


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"5", b"{}", b'{"type": "message"}', b'{"type": "message", "session": 5}', b"\xff"]
)
def test_what_cannot_be_read_says_so(raw):
    with pytest.raises(Unreadable):
        WebChat().normalise(FACTS, raw, {})


def test_an_unreadable_item_is_quarantined_and_the_next_one_goes_on(cast, visitor):
    webhooks.keep(
        cast.webchat, [Item("", "bad", "", b"{")], body=b"{", headers={}, remote_ip=None, auth_result="session"
    )
    visitor.writes("fine")
    process.drain(seconds=10)
    assert list(RawEvent.objects.order_by("id").values_list("state", "outcome")) == [
        ("quarantined", "quarantined"),
        ("done", "ticketed"),
    ]


def test_nothing_comes_in_by_a_webhook(cast):
    answer = Client().post(f"/hooks/{cast.webchat.slug}/", json.dumps(LINE), content_type="application/json")
    assert answer.status_code == 404
    assert RawEvent.objects.count() == 0
