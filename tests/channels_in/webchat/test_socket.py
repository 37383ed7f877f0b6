"""The visitor's socket: hello, live, typing, closing (channels.md 15.4)."""

import json
import uuid
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from channels_in.webchat.fake import Request
from tests.conftest import wait_until
from tickets import live, replies
from tickets.models import Ticket


@pytest.fixture
def open_socket(live_server, cast):
    address = f"{live_server.ws_url}/chat/{cast.webchat.slug}/socket/"
    with ExitStack() as opened:

        def open_one(visitor, *, after: str = ""):
            socket = opened.enter_context(connect(address, origin=live_server.url))
            socket.send(json.dumps({"type": "hello", "token": visitor.token, "after": after}))
            return socket

        yield open_one


def until(socket, kind: str, *, timeout: float = 10):
    """The next event of this type, whatever comes before it."""
    for _ in range(50):
        frame = json.loads(socket.recv(timeout=timeout))
        for event in frame.get("events", []):
            if event["type"] == kind:
                return event
    pytest.fail(f"no {kind}")


def test_a_line_and_its_answer_are_live_on_two_tabs(visitor, work, answers, open_socket):
    visitor.begin()
    one, two = open_socket(visitor), open_socket(visitor)
    until(one, "identified"), until(two, "identified")
    mine = uuid.uuid4()
    visitor.writes("hello", client_uuid=mine)
    work()
    for tab in (one, two):
        assert until(tab, "message")["client_uuid"] == mine.hex
    answers(Ticket.objects.get(), "hi there")
    for tab in (one, two):
        assert until(tab, "message")["text"] == "hi there"


def test_what_was_missed_comes_after_the_hello(visitor, work, answers, open_socket):
    visitor.writes("hello")
    work()
    visitor.hears()
    answers(Ticket.objects.get(), "while you were away")
    socket = open_socket(visitor, after=visitor.cursor)
    texts = [event["text"] for event in json.loads(socket.recv(timeout=10))["events"] if event["type"] == "message"]
    assert texts[-1] == "while you were away"


def test_typing_in_a_reply_is_told_and_in_a_note_never(visitor, work, open_socket):
    visitor.writes("hello")
    work()
    ticket = Ticket.objects.get()
    socket = open_socket(visitor)
    until(socket, "message")
    live.whisper("typing", {"ticket": ticket.pk, "agent": 1, "kind": "note", "on": True})
    live.whisper("typing", {"ticket": ticket.pk, "agent": 1, "kind": "reply", "on": False})
    assert until(socket, "typing")["on"] is False  # the first word of typing is the reply's


def test_the_visitors_typing_is_whispered_to_the_agents(visitor, work, open_socket, monkeypatch):
    visitor.writes("hello")
    work()
    said = []
    monkeypatch.setattr(live, "whisper", lambda topic, payload: said.append((topic, payload)))
    socket = open_socket(visitor)
    conversation = until(socket, "message")["conversation"]
    socket.send(json.dumps({"type": "typing", "conversation": conversation, "on": True}))
    wait_until(lambda: said, what="the whisper")
    assert said == [("customer_typing", {"ticket": Ticket.objects.get().pk, "on": True})]


def test_a_note_says_nothing_to_the_visitor(visitor, work, answers, cast, now, open_socket):
    visitor.writes("hello")
    work()
    socket = open_socket(visitor)
    until(socket, "message")
    ticket = Ticket.objects.get()
    replies.note(ticket, agent=cast.agent, text="CANARY", client_uuid=uuid.uuid4(), now=now)
    answers(ticket, "the end")
    told = ""
    while "the end" not in told:
        told += socket.recv(timeout=10)
    assert "CANARY" not in told


def test_ending_the_session_closes_its_sockets_at_once(visitor, open_socket):
    visitor.begin()
    socket = open_socket(visitor)
    until(socket, "identified")
    visitor.call(Request("DELETE", f"{visitor.base}session/", {"Authorization": f"Bearer {visitor.token}"}, b""))
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            socket.recv(timeout=20)
    assert closed.value.rcvd.code == 4403


@pytest.mark.parametrize("token", ["", "x", "a:b:c"])
def test_a_socket_without_a_good_token_is_closed(visitor, open_socket, token):
    visitor.token = token
    socket = open_socket(visitor)
    assert json.loads(socket.recv(timeout=10)) == {"error": "token_expired"}
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=10)
    assert closed.value.rcvd.code == 4401


@pytest.mark.parametrize(
    "frame", ["", "[]", "x", "{}", '{"type": "typing"}', '{"type": "nonsense"}', '{"type": "hello"}', "y" * 5000]
)
def test_a_frame_that_is_no_word_of_ours_gets_a_fixed_code(visitor, open_socket, frame):
    visitor.begin()
    socket = open_socket(visitor)
    until(socket, "identified")
    socket.send(frame)
    assert json.loads(socket.recv(timeout=10)) == {"error": "malformed"}


@pytest.mark.parametrize(
    "origin", [None, "http://shop.example", "https://evil.example", "null", "http://127.0.0.1.evil.example"]
)
def test_only_our_own_pages_open_sockets(live_server, cast, origin):
    address = f"{live_server.ws_url}/chat/{cast.webchat.slug}/socket/"
    with pytest.raises(InvalidStatus) as refused, connect(address, origin=origin):
        pass
    assert refused.value.response.status_code == 403
