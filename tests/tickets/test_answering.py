"""An automatic answer goes to a person's first message, once, and never to a machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from agents.models import Calendar, CalendarWindow
from tests.cast import Cast
from tests.plain import come_in, message
from tickets import answering, replies, robots
from tickets.models import AutomaticAnswer, AutomaticReply, Brand, Channel, Message, Route, SlaClock, Ticket
from tickets.workspace.views.answer_settings import SAMPLE_NUMBER

SOON = timedelta(seconds=30)


def offer(channel: Channel, kind: str = "first_contact", **texts: str) -> AutomaticAnswer:
    texts = {"text_en": "{{brand.name}} has it: #{{ticket.number}}", "text_ko": "접수: {{ticket.number}}"} | texts
    return AutomaticAnswer.objects.create(channel=channel, kind=kind, active=True, **texts)


def say(channel: Channel, key: str = "m1", text: str = "Where is my umbrella?", **fields: Any) -> Message:
    (event,) = come_in(channel, message(key, text, **fields))
    return Message.objects.get(raw_event_id=event.pk)


def settle(*, now: datetime | None = None) -> AutomaticReply:
    answering.drain(seconds=5, now=now or timezone.now() + SOON)
    return AutomaticReply.objects.latest("id")


def answers(ticket: Ticket) -> list[Message]:
    return list(Message.objects.filter(ticket=ticket, author_type="bot").order_by("id"))


def closed(channel: Channel) -> None:
    """Its calendar opens only on the weekday that follows tomorrow, at nine."""
    calendar = Calendar.objects.create(name="Late", time_zone="Asia/Seoul")
    weekday = (timezone.now() + timedelta(days=3)).weekday()
    CalendarWindow.objects.create(calendar=calendar, weekday=weekday, opens=time(9), closes=time(10))
    team = channel.team
    assert team is not None
    team.calendar = calendar
    team.save()


@pytest.mark.parametrize(("theirs", "answered"), [("ko", "ko"), ("en", "en"), ("fr", "ko"), ("", "ko")])
def test_the_language_of_an_answer_is_theirs_where_it_is_one_of_ours(theirs, answered):
    assert Ticket(language=theirs, brand=Brand(language="ko")).answer_language == answered


def test_a_first_message_is_answered_once_and_later_ones_are_not(line: Channel, cast: Cast) -> None:
    offer(line)
    ticket = say(line).ticket
    assert not answering.drain(seconds=5, now=timezone.now()), "not before its moment of grace"
    settle()
    say(line, "m2", "And?")
    assert answering.drain(seconds=5, now=timezone.now() + timedelta(days=2)) == 0
    (said,) = answers(ticket)
    assert said.text == f"{cast.brand.name} has it: #{ticket.number}"
    assert (said.automatic, said.meta) == (True, {"answer": "first_contact", "automatic": "auto-replied"})
    assert said.parts.count() == 1, "it leaves as any other answer does"


def test_it_stops_no_clock_and_moves_no_status(line: Channel) -> None:
    offer(line)
    ticket = say(line).ticket
    running = list(SlaClock.objects.filter(ticket=ticket).values_list("metric", "state", "due_at"))
    settle()
    ticket.refresh_from_db()
    assert (ticket.status, ticket.first_reply_at) == ("new", None)
    assert ticket.waiting_since is not None
    assert list(SlaClock.objects.filter(ticket=ticket).values_list("metric", "state", "due_at")) == running


def test_it_speaks_the_customers_language(line: Channel) -> None:
    offer(line)
    ticket = say(line, text="주문한 우산이 아직 안 왔어요. 언제 도착하는지 알려 주세요.").ticket
    settle()
    assert answers(ticket)[0].text == f"접수: {ticket.number}"


def test_out_of_hours_it_says_when_we_open_and_nothing_else(line: Channel, cast: Cast) -> None:
    Channel.objects.filter(pk=line.pk).update(team=cast.support)
    line.refresh_from_db()
    closed(line)
    offer(line)
    offer(line, "out_of_hours", text_en="Back {{opening.next}}")
    ticket = say(line).ticket
    row = settle()
    (said,) = answers(ticket)
    assert row.kind == "out_of_hours"
    assert said.text.startswith("Back ") and said.text.endswith(", 09:00")


def test_a_channel_without_an_answer_owes_none(line: Channel) -> None:
    answer = offer(line)
    AutomaticAnswer.objects.update(active=False)
    say(line)
    assert not AutomaticReply.objects.exists()
    AutomaticAnswer.objects.filter(pk=answer.pk).update(active=True)
    say(line, "m2", **{"from": "+821055556666"})
    AutomaticAnswer.objects.filter(pk=answer.pk).update(active=False)
    assert settle().skipped == "off"


@pytest.mark.parametrize("flag", ["is_auto_reply", "no_auto_reply"])
def test_machines_and_lists_are_owed_nothing(mailbox: Channel, flag: str) -> None:
    offer(mailbox)
    say(mailbox, "m1", **{"from": "jiwoo@mail.example", flag: True})
    assert not AutomaticReply.objects.exists()
    say(mailbox, "m2", **{"from": "minsu@mail.example"})
    assert AutomaticReply.objects.count() == 1


@pytest.mark.parametrize(
    ("sender", "why"),
    [
        ("no-reply@shop.example", "no_reply"),
        ("NoReply+7@shop.example", "no_reply"),
        ("do_not_reply@shop.example", "no_reply"),
        ("mailer-daemon@shop.example", "no_reply"),
        ("bounces-12@shop.example", "no_reply"),
        ("other-box@shop.example", "our_own"),
        ("anybody@brand.example", "our_own"),
        ("noreen@shop.example", ""),
        ("replyto.kim@shop.example", ""),
    ],
)
def test_addresses_that_nobody_reads_and_our_own_are_not_answered(
    mailbox: Channel, cast: Cast, sender: str, why: str
) -> None:
    offer(mailbox)
    cast.brand.domain = "brand.example"
    cast.brand.save()
    Channel.objects.exclude(pk=mailbox.pk).update(address="other-box@shop.example")
    ticket = say(mailbox, **{"from": sender}).ticket
    assert settle().skipped == why
    assert len(answers(ticket)) == (not why)


def test_an_answer_elsewhere_is_judged_by_where_it_would_go(mailbox: Channel) -> None:
    offer(mailbox)
    say(mailbox, reply_address="noreply@shop.example", **{"from": "jiwoo@mail.example"})
    assert settle().skipped == "no_reply"


def test_old_messages_are_not_answered(line: Channel) -> None:
    offer(line)
    old = say(line, at=(timezone.now() - timedelta(hours=3)).isoformat())
    assert settle().skipped == "old"
    late = say(line, "m2", **{"from": "+821055556666"})
    assert settle(now=timezone.now() + timedelta(hours=2)).skipped == "old"
    assert not answers(old.ticket) + answers(late.ticket)


def test_whom_a_person_has_answered_needs_no_machine(line: Channel, cast: Cast) -> None:
    offer(line)
    ticket = say(line).ticket
    route = Route.objects.get(ticket=ticket)
    replies.post(
        ticket,
        agent=cast.agent,
        text="Here",
        route=route,
        client_uuid=uuid4(),
        seen_message_id=None,
        now=timezone.now(),
    )
    assert settle().skipped == "answered"


def test_an_address_gets_one_of_a_kind_a_day(mailbox: Channel) -> None:
    offer(mailbox)
    who = {"from": "jiwoo@mail.example"}
    first, second = say(mailbox, "m1", **who).ticket, say(mailbox, "m2", "Something else", **who).ticket
    assert first != second
    assert answering.drain(seconds=5, now=timezone.now() + SOON) == 2
    assert list(AutomaticReply.objects.order_by("id").values_list("skipped", flat=True)) == ["", "lately"]


def test_an_address_gets_three_an_hour_at_most(mailbox: Channel) -> None:
    offer(mailbox)
    now = timezone.now()
    asked = say(mailbox, **{"from": "jiwoo@mail.example"})
    for n in range(robots.MOST_AN_HOUR):
        AutomaticReply.objects.create(
            ticket=asked.ticket, channel=mailbox, asked=asked, cause=f"other-{n}", kind="other",
            address="jiwoo@mail.example", message_id=asked.pk, settled_at=now,
        )  # fmt: skip
    answering.drain(seconds=5, now=now + SOON)
    assert AutomaticReply.objects.get(cause="first_contact").skipped == "too_many"


def test_a_flood_is_not_answered(line: Channel) -> None:
    offer(line)
    for n in range(robots.FLOOD):
        say(line, f"m{n}", "hello")
    assert settle().skipped == "flood"


def asks_for_nonsense() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


@pytest.mark.parametrize("fault", [lambda: 1 // 0, asks_for_nonsense], ids=["ours", "the database's"])
def test_one_that_fails_does_not_silence_the_others(
    line: Channel, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], Any]
) -> None:
    offer(line)
    say(line, "m1")
    good = say(line, "m2", **{"from": "+821055556666"}).ticket
    send = replies.automatic
    monkeypatch.setattr(
        replies, "automatic", lambda ticket, **rest: send(ticket, **rest) if ticket == good else fault()
    )
    settle()
    assert list(AutomaticReply.objects.order_by("id").values_list("skipped", flat=True)) == ["fault", ""]
    assert answers(good)


def test_copies_of_a_mail_get_no_automatic_answer(mailbox: Channel) -> None:
    offer(mailbox)
    ticket = say(mailbox, cc=["boss@mail.example"], **{"from": "jiwoo@mail.example"}).ticket
    settle()
    (said,) = answers(ticket)
    assert (said.to, said.cc) == (["jiwoo@mail.example"], [])


# -- The screens ------------------------------------------------------------------------------------------------------


def test_an_admin_writes_them_with_a_preview(line: Channel, cast: Cast) -> None:
    client = Client()
    client.force_login(cast.admin)
    page = f"/settings/answers/{line.pk}/"
    assert line.name in client.get("/settings/answers/").content.decode()
    written = {"first_contact-active": "on", "first_contact-en": "We have #{{ticket.number}}", "first_contact-ko": ""}
    assert client.post(page, written).status_code == 422, "both languages are needed"
    written["first_contact-ko"] = "{{ticket.numbr}}"
    refused = client.post(page, written)
    assert refused.status_code == 422 and "{{ticket.numbr}}" in refused.content.decode()
    assert not AutomaticAnswer.objects.exists()
    written["first_contact-ko"] = "{{ticket.number}}번으로 접수했어요"
    seen = client.post(f"{page}preview/", written).content.decode()
    assert f"We have #{SAMPLE_NUMBER}" in seen and f"{SAMPLE_NUMBER}번으로 접수했어요" in seen
    assert client.post(page, written).status_code == 302
    assert AutomaticAnswer.objects.get(active=True).text_en == "We have #{{ticket.number}}"
    say(line, **{"from": "+821055556666"})
    AutomaticAnswer.objects.update(active=False)
    settle()
    assert "Not sent: the answer is switched off" in client.get(page).content.decode()


def test_agents_and_admins_of_another_brand_do_not(line: Channel, cast: Cast) -> None:
    client = Client()
    client.force_login(cast.agent)
    assert client.get(f"/settings/answers/{line.pk}/").status_code == 403
    cast.admin.brand_ids = [cast.brand.pk + 1000]
    cast.admin.save()
    client.force_login(cast.admin)
    assert client.get(f"/settings/answers/{line.pk}/").status_code == 404
    assert line.name not in client.get("/settings/answers/").content.decode()
