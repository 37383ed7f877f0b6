"""Journey B, "Broken eggs": chat, a word from the delivery company, a text message; and two agents, one after the other.

WhatsApp stands in for Slack: the delivery company writes to us there, as somebody of their own. Left out, because the
feature comes later: (2) help with the tone and the refund within the limit. (3) The promise with its clock and the side
conversation: here an answer and a note. (4) The word from delivery comes as a ticket of its own and is carried over by a
note. (5) The promise that passes on by itself when its agent is off: here the ticket is handed over. (7) The transcript.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.conftest import wait_until
from tests.flows import stage as scenes
from tests.flows.stage import Stage
from tickets.models import DeliveryPart, Message, Ticket

pytestmark = pytest.mark.timeout(600)

EGGS = "기사님이 던지고 가셔서 계란이 다 깨졌어요. 교육하시고 결과 꼭 알려주세요."
TRAINED = "기사님 재교육을 마쳤습니다. 불편드려 죄송합니다."


def test_broken_eggs(stage: Stage) -> None:
    crew = stage.crew
    mina = stage.desk(crew.agent)
    scenes.is_now(mina, "online")
    phone = stage.phone("jihoon", "webchat")

    # (1) In the shop's chat, where he is signed in. Food: the rule makes it urgent.
    panel = phone.chat()
    panel.locator("#text").fill(EGGS)
    panel.locator("#send").click()
    row = mina.locator(".row").filter(has_text="계란이 다 깨졌어요")
    expect(row.locator(".priority")).to_have_attribute("data-priority", "urgent")
    expect(row.locator(".row__who")).to_contain_text("Mina")
    ticket = scenes.the_only_ticket()
    assert ticket.customer.name == "박지훈"

    # (2) While she writes, he sees that she does. The answer stands in his chat, and the mark says that he read it.
    scenes.open_ticket(mina, ticket)
    scenes.field(mina).focus()
    mina.keyboard.insert_text("많이 속상하셨겠어요. ")
    expect(panel.get_by_text("Mina is typing")).to_be_visible()
    mina.keyboard.insert_text("계란값은 바로 환불해 드릴게요.")
    mina.keyboard.press("Enter")
    warm = scenes.said(mina, "많이 속상하셨겠어요. 계란값은 바로 환불해 드릴게요.")
    lines = panel.get_by_role("log").locator(".line")
    expect(lines.filter(has_text="많이 속상하셨겠어요.")).to_have_count(1)
    expect(scenes.state_of(warm)).to_have_attribute("data-state", "read")

    # (3) What she promises him, and what only the team may know.
    scenes.reply(mina, "기사님 교육 결과는 화요일 18시까지 알려드릴게요.")
    expect(lines.filter(has_text="화요일 18시까지")).to_have_count(1)
    mina.keyboard.press("n")
    mina.keyboard.insert_text("배송사에 면담 요청함. 화요일 18시까지 회신해야 함.")
    mina.keyboard.press("Control+Enter")
    expect(scenes.said(mina, "배송사에 면담 요청함.")).to_have_count(1)

    # (4) The delivery company reports: somebody else, therefore another ticket. She carries it over as a note.
    delivery = stage.phone("mikyung", "whatsapp")
    delivery.writes("whatsapp", "면담·재교육 완료했습니다")
    report = mina.locator(".row").filter(has_text="면담·재교육 완료했습니다")
    expect(report).to_have_count(1)
    reported = Ticket.objects.exclude(pk=ticket.pk).get()
    scenes.open_ticket(mina, reported)
    expect(scenes.said(mina, "면담·재교육 완료했습니다")).to_have_count(1)
    mina.keyboard.press("e")
    expect(report).to_have_count(0)
    expect(scenes.said(mina, "화요일 18시까지 알려드릴게요.")).to_have_count(1)  # the next one is his again
    expect(scenes.field(mina)).to_be_visible()
    mina.keyboard.press("n")
    mina.keyboard.insert_text("배송사: 면담·재교육 완료.")
    mina.keyboard.press("Control+Enter")
    expect(scenes.said(mina, "배송사: 면담·재교육 완료.")).to_have_count(1)

    # (5) Her shift ends. Her colleague gets the ticket with everything that is known about it.
    theo = stage.desk(crew.teammate)
    scenes.is_now(theo, "online")
    mina.keyboard.press("a")
    mina.keyboard.type("theo")
    mina.keyboard.press("Enter")
    expect(mina.locator("#property-assignee-button")).to_contain_text("Theo")
    scenes.is_now(mina, "offline")
    theo.locator("[data-list=mine]").click()
    scenes.open_ticket(theo, ticket)
    for words in (EGGS, "화요일 18시까지 알려드릴게요.", "배송사에 면담 요청함.", "배송사: 면담·재교육 완료."):
        expect(scenes.said(theo, words)).to_have_count(1)

    # (6) He has left the chat: the result goes to his phone, on a way that this ticket has not used yet.
    scenes.choose_route(theo, "sms", "+821055510002")
    told = scenes.reply(theo, TRAINED)
    expect(phone.received("sms", TRAINED)).to_have_count(1)
    expect(scenes.state_of(told)).to_have_attribute("data-state", "delivered")

    # (7) His thanks come back by text message, onto the same ticket, and to Theo.
    phone.writes("sms", "챙겨주셔서 감사해요. 상담 내역도 받을 수 있나요?")
    expect(scenes.said(theo, "챙겨주셔서 감사해요.")).to_have_count(1)
    ticket.refresh_from_db()
    assert (Ticket.objects.count(), ticket.assignee) == (2, crew.teammate)

    # No note ever left the house: neither to his chat nor to any provider.
    phone.app("webchat")
    expect(lines.filter(has_text="화요일 18시까지 알려드릴게요.")).to_have_count(1)
    expect(lines.filter(has_text="배송사")).to_have_count(0)
    notes = Message.objects.filter(ticket=ticket, kind="note")
    assert (notes.count(), DeliveryPart.objects.filter(message__in=notes).count()) == (2, 0)
    wait_until(lambda: not DeliveryPart.objects.exclude(state__in=["sent", "delivered", "read"]).exists(), timeout=30)
    assert [page.errors for page in (mina, theo, phone.page, delivery.page)] == [[], [], [], []]
