"""Journey A, "Shoes too small", as 김서연 and her agent see it; the agent works in Korean.

WhatsApp stands in for KakaoTalk. Left out, because the feature comes later:
(1) assignment by the skill 반품: here by load alone. (2) The code by SMS that proves the order's owner: here the people
behind both records are joined by the domain's own verb, which the code will call. (3) The free return within the
discretion limit and its ledger: here a plain answer. (4) The notice that the customer is back: here the status tells it.
(6) The promise with a date and its clock, (7) kept when the refund arrives.
"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from agents.models import Agent
from analytics.models import Survey
from tests import cast as people
from tests.conftest import wait_until
from tests.flows import stage as scenes
from tests.flows.stage import Stage, ko
from tests.workspace import scene
from tickets import actions, identities
from tickets.models import Customer, Draft, Message, Ticket
from tickets.models.event import by_agent

pytestmark = pytest.mark.timeout(600)

SHOES = "어제 받은 운동화 240인데 너무 작아요ㅠ 반품되나요?"
RETURN = "무료 반품으로 접수했어요. 내일 오전에 기사님이 찾아갑니다."


def regular_customer(crew: people.Cast) -> Customer:
    """What the shop knows of her: four years a VIP, and a mail of last month."""
    now = timezone.now()
    known = people.make_customer(
        "김서연",
        now=now,
        email="seoyeon.kim@mail.example",
        language="ko",
        tier="vip",
        since=now.date().replace(year=now.year - 4, day=1),
    )
    month_ago = now - timedelta(days=31)
    who = scene.sender("김서연", email="seoyeon.kim@mail.example")
    earlier = scenes.said_before(
        crew.email, who, "샌들 영수증을 다시 받을 수 있을까요?", at=month_ago, subject="샌들 영수증"
    )
    scene.answers(earlier, crew.admin, "다시 보내드렸습니다.", at=month_ago + timedelta(minutes=20))
    actions.solve(earlier, by=by_agent(crew.admin), now=month_ago + timedelta(minutes=40))
    return known


def busy(crew: people.Cast, agent: Agent, *, tickets: int) -> None:
    for n in range(tickets):
        ticket = scenes.said_before(
            crew.sms, scene.sender(f"손님 {n}", phone=f"+8210555501{n:02}"), f"문의 {n}", at=timezone.now()
        )
        actions.assign(ticket, assignee=agent, team=crew.support, by=by_agent(crew.admin), now=timezone.now())


def test_shoes_too_small(stage: Stage) -> None:
    crew = stage.crew
    Agent.objects.filter(pk=crew.agent.pk).update(name="이수아", language="ko")
    Agent.objects.filter(pk=crew.teammate.pk).update(name="박준")
    crew.agent.refresh_from_db()
    known = regular_customer(crew)
    busy(crew, crew.teammate, tickets=2)
    jun, sua = stage.desk(crew.teammate), stage.desk(crew.agent)
    for page in (jun, sua):
        scenes.is_now(page, "online")
    expect(sua.locator("html")).to_have_attribute("lang", "ko")
    phone = stage.phone("seoyeon", "whatsapp")

    # (1) An unknown person writes; the provider calls twice, as providers do. One ticket, at the agent with less to do.
    phone.page.locator("[data-troubles] [value=doubled]").check()
    phone.writes("whatsapp", SHOES)
    row = sua.locator(".row").filter(has_text=SHOES)
    expect(row.locator(".row__who")).to_contain_text("이수아")
    ticket = Ticket.objects.get(snippet=SHOES)
    assert ticket.customer != known
    scenes.open_ticket(sua, ticket)
    expect(scenes.said(sua, SHOES)).to_have_count(1)

    # (2) The order number is a claim. Once it is proven, the person of four years appears, with the mail of last month.
    phone.writes("whatsapp", "주문번호 20261118-0042요")
    expect(scenes.said(sua, "20261118-0042")).to_have_count(1)
    panel = sua.locator("#side-content")
    expect(panel.locator(".customer__name")).not_to_contain_text(ko("VIP"))
    expect(panel).not_to_contain_text("샌들")
    ticket.refresh_from_db()
    identities.join(
        known,
        ticket.customer,
        by=by_agent(crew.agent),
        reason="order_number",
        evidence={"order": "20261118-0042"},
        now=timezone.now(),
    )
    expect(panel.locator(".customer__name")).to_contain_text(ko("VIP"))
    expect(panel.locator(".timeline")).to_contain_text("샌들")
    expect(panel).to_contain_text("seoyeon.kim@mail.example")

    # (3) The answer, typed as Korean is typed. A reload in the middle of it costs nothing, not even on this device.
    scenes.field(sua).focus()
    scenes.type_hangul(sua, "무료 반품으로 접수")
    expect(scenes.field(sua)).to_have_value("무료 반품으로 접수")
    sua.reload()
    expect(scenes.field(sua)).to_have_value("무료 반품으로 접수")
    expect(scenes.row_of(sua, ticket).locator("[data-slot=draft]")).to_contain_text("무료 반품으로")
    expect(sua.locator("body")).to_have_attribute("data-live", "live")
    scenes.field(sua).press("End")
    scenes.type_hangul(sua, "했어요. 내일 오전에 기사님이 찾아갑니다.")
    sua.keyboard.press("Enter")
    answer = scenes.said(sua, RETURN)
    expect(answer).to_have_count(1)
    expect(phone.received("whatsapp", RETURN)).to_have_count(1)
    expect(answer.locator(".delivery")).to_have_attribute("data-state", "read")
    expect(answer.locator(".delivery")).to_contain_text(ko("Read"))
    wait_until(lambda: not Draft.objects.exclude(text="").exists(), timeout=30)

    # (4) She goes to lunch; the ticket waits for her. She comes back to the same agent.
    phone.writes("whatsapp", "점심 먹고 올게요")
    expect(scenes.said(sua, "점심 먹고 올게요")).to_have_count(1)
    sua.locator("#ticket-title").focus()
    sua.keyboard.press("s")
    sua.locator("#property-status [role=option][data-value=pending]").click()
    expect(sua.locator("#property-status-button")).to_contain_text(ko("Pending"))
    phone.writes("whatsapp", "저 왔어요!")
    expect(sua.locator("#property-status-button")).to_contain_text(ko("Open"))
    ticket.refresh_from_db()
    assert ticket.assignee == crew.agent

    # (5) The receipt by mail: the way is switched in place, and no new ticket comes of it.
    phone.writes("whatsapp", "영수증은 이메일로 부탁드려요")
    expect(scenes.said(sua, "영수증은 이메일로")).to_have_count(1)
    before = Ticket.objects.count()
    scenes.choose_route(sua, "email", "seoyeon.kim@mail.example")
    scenes.reply(sua, "영수증을 보내드려요. 환불은 상품 도착 후 3일 안에 됩니다.")
    expect(phone.received("email", "영수증을 보내드려요.")).to_have_count(1)

    # (6) While the agent's network is away she answers by mail. The screen says so, keeps the words, and catches up.
    sua.context.set_offline(True)
    sua.evaluate("window.dispatchEvent(new Event('offline'))")
    scenes.field(sua).fill("상품이 도착하면 ")
    phone.answers_mail("영수증을 보내드려요.", "잘 받았습니다. 환불은 언제 되나요?")
    wait_until(lambda: Message.objects.filter(ticket=ticket, text__contains="환불은 언제 되나요?").exists(), timeout=60)
    assert Ticket.objects.count() == before
    sua.context.set_offline(False)
    sua.evaluate("window.dispatchEvent(new Event('online'))")
    expect(scenes.said(sua, "환불은 언제 되나요?")).to_have_count(1)
    expect(sua.locator("body")).to_have_attribute("data-live", "live")
    expect(scenes.field(sua)).to_have_value("상품이 도착하면 ")
    scenes.field(sua).fill("")
    sua.wait_for_timeout(1_100)  # she reads it; what appears in the moment of sending stops an answer
    scenes.reply(sua, "오늘 저녁까지 환불해 드릴게요.")
    expect(phone.received("email", "오늘 저녁까지 환불해 드릴게요.")).to_have_count(1)

    # (7) Done: solved by one key, one survey in her language, answered with a tap.
    sua.keyboard.press("e")
    expect(scenes.row_of(sua, ticket)).to_have_count(0)
    asked = phone.received("email", "/survey/")
    expect(asked).to_have_count(1)
    address = re.search(r"https?://\S+/survey/\S+", asked.inner_text())
    assert address
    survey = stage.stranger()
    survey.goto(address[0])
    expect(survey.locator("html")).to_have_attribute("lang", "ko")
    survey.locator("input[name=score][value='5']").check(force=True)
    survey.locator("button[type=submit]").click()
    survey.wait_for_url("**?thanks=1")
    ticket.refresh_from_db()
    assert (ticket.status, ticket.csat, ticket.customer) == (Ticket.Status.SOLVED, 5, known)
    assert Survey.objects.get(ticket=ticket).answer.score == 5

    # The whole story is on one ticket, each thing once and in its order.
    assert scenes.texts_of(ticket) == [
        SHOES, "주문번호 20261118-0042요", RETURN, "점심 먹고 올게요", "저 왔어요!", "영수증은 이메일로 부탁드려요",
        "영수증을 보내드려요. 환불은 상품 도착 후 3일 안에 됩니다.", "잘 받았습니다. 환불은 언제 되나요?", "오늘 저녁까지 환불해 드릴게요.",
    ]  # fmt: skip
    assert [page.errors for page in (sua, jun, phone.page, survey)] == [[], [], [], []]
