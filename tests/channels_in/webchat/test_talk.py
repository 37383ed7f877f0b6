"""A visitor writes, is answered, and finds everything again."""

import io
import json
import uuid
from datetime import UTC, datetime

import pytest
from django.test import Client

from analytics import surveys
from channels_in.models import RawEvent, VisitorSession
from tests.cast import make_customer
from tickets import actions, replies
from tickets.models import Attachment, Event, Identity, Message, Ticket
from tickets.models.event import by_agent

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f00050001ff89992fea0000000049454e44ae426082"
)


def test_a_line_becomes_a_ticket_and_comes_back_to_its_browser(visitor, work, cast):
    mine = uuid.uuid4()
    status, answer = visitor.writes("배송은 언제 오나요?", client_uuid=mine)
    assert (status, answer) == (202, {"client_uuid": mine.hex})
    assert Message.objects.count() == 0  # kept, not yet understood
    work()
    ticket = Ticket.objects.get()
    assert ticket.brand == cast.brand
    visitor.hears()
    (line,) = visitor.lines()
    assert (line["client_uuid"], line["text"], line["from"], line["seq"]) == (
        mine.hex,
        "배송은 언제 오나요?",
        "visitor",
        1,
    )


def test_the_same_line_again_makes_no_second_message(visitor, work):
    request = visitor.build_message("once", client_uuid=uuid.uuid4())
    assert [visitor.call(request)[0] for _ in range(3)] == [202, 202, 202]
    work()
    assert visitor.call(request)[0] == 202  # also after it was processed
    work()
    assert Message.objects.count() == 1
    assert RawEvent.objects.count() == 1


def test_the_same_uuid_with_other_words_changes_nothing(visitor, work):
    mine = uuid.uuid4()
    visitor.writes("first", client_uuid=mine)
    assert visitor.writes("second", client_uuid=mine)[0] == 202
    work()
    assert [m.text for m in Message.objects.all()] == ["first"]


def test_a_uuid_counts_within_its_session_only(visitor, another, work):
    mine = uuid.uuid4()
    visitor.writes("mine", client_uuid=mine)
    another.writes("theirs", client_uuid=mine)
    work()
    assert Ticket.objects.count() == 2
    assert Message.objects.count() == 2


def test_lines_of_one_session_stay_with_one_customer_and_ticket(visitor, work):
    for n in range(5):
        visitor.writes(f"line {n}")
    work()
    assert Ticket.objects.count() == 1
    assert [m.text for m in Message.objects.order_by("seq")] == [f"line {n}" for n in range(5)]
    assert Identity.objects.filter(kind="webchat").count() == 1


def test_an_answer_arrives_and_its_marks_go_back(visitor, work, answers):
    visitor.writes("hello?")
    work()
    said = answers(Ticket.objects.get(), "Hi, here I am.")
    work()
    said.refresh_from_db()
    assert said.state == "sent"
    visitor.hears()
    line = visitor.lines()[-1]
    assert (line["from"], line["name"], line["text"], line["state"]) == ("agent", "Mina", "Hi, here I am.", "sent")
    assert "client_uuid" not in line  # no agent's UUID reaches a visitor
    assert visitor.says("delivered/", ticket=line["ticket"], seq=line["seq"])[0] == 202
    work()
    said.refresh_from_db()
    assert said.state == "delivered"
    assert visitor.says("read/", ticket=line["ticket"], seq=line["seq"])[0] == 202
    assert visitor.says("read/", ticket=line["ticket"], seq=line["seq"])[0] == 202
    assert visitor.says("delivered/", ticket=line["ticket"], seq=line["seq"])[0] == 202
    work()
    said.refresh_from_db()
    assert said.state == "read"
    assert RawEvent.objects.filter(outcome="receipt").count() == 2
    assert {"type": "delivery", "id": line["id"], "state": "read"} in visitor.hears()


def test_marks_of_an_answer_come_as_a_tree_and_those_of_a_visitor_are_words(visitor, work, answers):
    visitor.writes("**hello?**")
    work()
    answers(Ticket.objects.get(), "**Yes**, [here](https://shop.example/a_b).")
    visitor.hears()
    asked, said = visitor.lines()
    assert asked["text"] == "**hello?**" and "marks" not in asked
    assert said["text"] == "Yes, here (https://shop.example/a_b)."
    assert said["marks"] == [
        {"tag": "strong", "in": ["Yes"]},
        ", ",
        {"tag": "a", "in": ["here"], "href": "https://shop.example/a_b"},
        ".",
    ]


def test_a_reader_who_was_away_catches_up_by_its_cursor(visitor, work, answers):
    visitor.writes("one")
    work()
    visitor.hears()
    ticket = Ticket.objects.get()
    for n in range(3):
        answers(ticket, f"answer {n}")
    visitor.writes("two")
    work()
    visitor.hears()
    assert [line["text"] for line in visitor.lines()] == ["one", "answer 0", "answer 1", "answer 2", "two"]
    again = visitor.hears()  # the overlap comes again and changes nothing
    assert len(visitor.lines()) == 5
    assert any(event["type"] == "message" for event in again)


def test_a_fresh_panel_gets_everything_at_once(visitor, work, answers):
    visitor.writes("one")
    work()
    answers(Ticket.objects.get(), "two")
    work()
    visitor.cursor, visitor.seen = "", []
    events = visitor.hears()
    assert [e["type"] for e in events] == ["identified", "conversation", "message", "message", "read"]
    assert events[1]["open"] is True


@pytest.mark.parametrize("cursor", ["garbage", "gAAAAABnonsense", json.dumps([1, "2026-01-01"])])
def test_a_cursor_that_is_not_ours_gives_a_fresh_start(visitor, work, cursor):
    visitor.writes("one")
    work()
    visitor.cursor = cursor
    assert [event["type"] for event in visitor.hears()] == ["resync"]
    assert visitor.cursor != cursor


def test_notes_routing_and_addresses_never_leave_the_house(visitor, work, answers, cast, now):
    visitor.writes("help")
    work()
    ticket = Ticket.objects.get()
    replies.note(ticket, agent=cast.agent, text="CANARY note", client_uuid=uuid.uuid4(), now=now)
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=by_agent(cast.agent), now=now)
    actions.change_tags(ticket, add=["canary-tag"], by=by_agent(cast.agent), now=now)
    actions.set_subject(ticket, "CANARY subject", by=by_agent(cast.agent), now=now)
    answers(ticket, "public words")
    work()
    visitor.hears()
    visitor.cursor = ""
    visitor.hears()
    told = json.dumps(visitor.seen)
    assert "public words" in told  # the check is not vacuous
    for secret in ("CANARY", "canary-tag", cast.agent.email, "Support", f'"{ticket.number}"'):
        assert secret not in told
    assert Message.objects.filter(kind="note").exists()


def test_solving_and_reopening_are_told(visitor, work, cast, now):
    visitor.writes("help")
    work()
    visitor.hears()
    ticket = Ticket.objects.get()
    actions.solve(ticket, by=by_agent(cast.agent), now=now)
    assert [e["open"] for e in visitor.hears() if e["type"] == "solved"] == [False]
    visitor.writes("not yet")
    work()
    assert [e["open"] for e in visitor.hears() if e["type"] == "reopened"] == [True]
    assert Ticket.objects.count() == 1


def test_a_merged_conversation_goes_on_in_the_survivor(visitor, another, work, answers, cast, now):
    visitor.writes("first matter")
    another.writes("other person")
    work()
    first, other = Ticket.objects.order_by("id")
    visitor.hears()
    actions.merge(first, into=other, by=by_agent(cast.agent), now=now)
    assert [e["type"] for e in visitor.hears()] == ["resync"]
    visitor.cursor, visitor.seen = "", []
    visitor.hears()
    assert [line["text"] for line in visitor.lines()] == ["first matter"]  # and nothing of the other person


def test_a_file_rides_on_a_message(visitor, work, cast):
    visitor.begin()
    client = Client(headers={"Authorization": f"Bearer {visitor.token}"})
    answer = client.post(f"{visitor.base}uploads/", {"file": io.BytesIO(PNG)})
    upload = answer.json()
    assert answer.status_code == 201
    assert (upload["type"], upload["inline"]) == ("image/png", True)
    assert visitor.writes("", uploads=[upload["upload"]])[0] == 202
    work()
    attachment = Attachment.objects.get()
    assert attachment.message is not None and attachment.message.text == ""
    visitor.hears()
    (file,) = visitor.lines()[0]["files"]
    assert file["type"] == "image/png" and "signature=" in file["url"]


def test_a_type_comes_from_the_bytes_and_nothing_active_is_shown(visitor):
    visitor.begin()
    client = Client(headers={"Authorization": f"Bearer {visitor.token}"})
    for content, claimed in (
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/png"),
        (b"<!doctype html><script>alert(1)</script>", "image/jpeg"),
        (b"MZ\x90\x00\x03\x00\x00\x00", "image/gif"),
    ):
        file = io.BytesIO(content)
        file.name = "x.png"
        answer = client.post(f"{visitor.base}uploads/", {"file": file}, headers={"Content-Type-Claim": claimed})
        assert answer.status_code == 201
        assert answer.json()["inline"] is False
        assert answer.json()["type"] != "image/png"


def test_an_upload_belongs_to_its_session(visitor, another):
    visitor.begin()
    client = Client(headers={"Authorization": f"Bearer {visitor.token}"})
    upload = client.post(f"{visitor.base}uploads/", {"file": io.BytesIO(PNG)}).json()["upload"]
    assert another.writes("mine?", uploads=[upload]) == (415, {"error": "file_refused"})
    assert visitor.writes("mine", uploads=[upload])[0] == 202


def test_a_typed_address_of_a_known_customer_shows_no_history(visitor, work, cast, now):
    known = make_customer("Kim", now=now, email="kim@example.com")
    old = Ticket.objects.create(number=900, brand=cast.brand, customer=known, subject="secret matter", last_seq=1)
    Message.objects.create(ticket=old, seq=1, direction="in", author_type="customer", text="OLD SECRET", customer=known)
    visitor.writes("hello")
    work()
    answer = visitor.says(
        "forms/", client_uuid=str(uuid.uuid4()), form="contact", values={"name": "Kim", "email": "kim@example.com"}
    )
    unknown = visitor.says(
        "forms/", client_uuid=str(uuid.uuid4()), form="contact", values={"email": "nobody@example.com"}
    )
    assert answer[0] == unknown[0] == 202  # the same for a known and an unknown address
    visitor.says("forms/", client_uuid=str(uuid.uuid4()), form="contact", values={"email": "kim@example.com"})
    visitor.writes("and now?")
    work()
    visitor.cursor, visitor.seen = "", []
    visitor.hears()
    assert [line["text"] for line in visitor.lines()] == ["hello", "and now?"]
    assert "OLD SECRET" not in json.dumps(visitor.seen)
    mine = Identity.objects.get(kind="webchat").customer
    assert mine != known
    claim = Identity.objects.get(customer=mine, kind="email", value="kim@example.com")
    assert (claim.verified, claim.evidence) == (False, "typed")


def test_a_session_joined_to_a_person_by_an_agent_still_shows_only_its_own_lines(visitor, work, cast, now):
    from tickets import identities

    known = make_customer("Kim", now=now, email="kim@example.com")
    old = Ticket.objects.create(
        number=901, brand=cast.brand, customer=known, last_seq=1, status="open", last_message_at=now
    )
    Message.objects.create(ticket=old, seq=1, direction="in", author_type="customer", text="OLD SECRET", customer=known)
    visitor.writes("hello")
    work()
    mine = Identity.objects.get(kind="webchat").customer
    identities.join(known, mine, by=by_agent(cast.agent), reason="agent", evidence={}, now=now)
    visitor.writes("again")
    work()
    visitor.cursor, visitor.seen = "", []
    visitor.hears()
    assert [line["text"] for line in visitor.lines()] == ["hello", "again"]


def test_a_foreign_conversation_cannot_be_named(visitor, another, work):
    visitor.writes("mine")
    another.writes("theirs")
    work()
    another.hears()
    theirs = another.lines()[0]
    assert visitor.writes("hello", conversation=theirs["conversation"]) == (400, {"error": "malformed"})
    assert visitor.says("read/", ticket=theirs["ticket"], seq=1) == (400, {"error": "malformed"})
    assert visitor.says("typing/", conversation=theirs["conversation"], on=True) == (400, {"error": "malformed"})


def test_coming_back_after_an_absence_is_told_once(visitor, work, now):
    from datetime import timedelta

    visitor.writes("I wait")
    work()
    visitor.hears()
    assert Event.objects.filter(kind="customer_back").count() == 0
    VisitorSession.objects.update(seen_at=now - timedelta(minutes=10))
    visitor.hears()
    visitor.hears()
    assert Event.objects.filter(kind="customer_back").count() == 1


def test_a_survey_is_answered_in_the_thread(visitor, work, answers, cast):
    visitor.writes("help")
    work()
    ticket = Ticket.objects.get()
    answers(ticket, "done")
    solve = actions.solve(ticket, by=by_agent(cast.agent), now=datetime.now(UTC))
    assert surveys.ask(solve, now=datetime.now(UTC))
    work()
    visitor.hears()
    line = visitor.lines()[-1]
    assert line["from"] == "bot"
    good = {"client_uuid": str(uuid.uuid4()), "survey": line["survey"], "score": 5, "comment": "quick"}
    assert visitor.says("ratings/", **{**good, "survey": "another"})[0] == 400  # not of this thread
    assert visitor.says("ratings/", **{**good, "score": 6})[0] == 400
    assert visitor.says("ratings/", **good)[0] == 204
    ticket.refresh_from_db()
    assert (ticket.csat, ticket.status) == (5, "solved")
    assert {"type": "survey", "conversation": line["conversation"], "score": 5} in visitor.hears()
