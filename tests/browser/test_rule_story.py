"""An admin who has never seen the builder makes a rule, tries it on the past, switches it on, and sees it work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from agents.models import Team
from tests import cast as people
from tests.workspace import scene
from tickets.models import Customer, Rule, SlaClock, SlaPolicy, SlaTarget, Ticket
from tickets.routing import assign, trial

WORDS = "주문을 취소하고 환불 받고 싶어요"
SUA = scene.sender("Sua", email="sua@customer.example")


def writes(crew: people.Cast, who: Any, text: str, *, minutes: int = 0) -> Ticket:
    """A mail comes in by the real path, and routing has its turn."""
    at = timezone.now() - timedelta(minutes=minutes)
    ticket = scene.says(crew.email, who, text, at=at, subject="주문").ticket
    Customer.objects.filter(pk=ticket.customer_id).update(tier="vip")
    assign.assign(ticket.pk, now=timezone.now())
    return Ticket.objects.get(pk=ticket.pk)


def row(page: Page, n: int) -> Any:
    return page.locator("condition-builder .condition").nth(n)


@pytest.mark.django_db(transaction=True)
def test_refunds_of_vips_go_to_refunds_at_high_with_a_promise_of_an_hour(
    crew: people.Cast, screen: Any, live_server: Any
) -> None:
    refunds = Team.objects.create(name="Refunds")
    hour = SlaPolicy.objects.create(name="One hour", position=9)
    SlaTarget.objects.bulk_create(
        SlaTarget(policy=hour, metric="first_reply", priority=n, seconds=3600, business=False) for n in (1, 2, 3, 4)
    )
    past = writes(crew, SUA, WORDS, minutes=60)
    assert past.team != refunds

    page: Page = screen(crew.admin)
    page.goto(f"{live_server}/settings/rules/new/")
    page.get_by_label("Name").fill("VIP refunds")
    for n, field in enumerate(["language", "channel", "text", "customer_tier"]):
        page.get_by_role("button", name="Add a condition", exact=True).press("Enter")
        row(page, n).get_by_label("Field").select_option(field)
        expect(row(page, n).locator(f"[name='cond-{2 * n}-field']")).to_be_focused()
    row(page, 0).get_by_label("한국어").check()
    row(page, 1).get_by_label("E-mail").check()
    row(page, 2).get_by_label("Value").fill("환불")
    row(page, 3).get_by_label("VIP").check()
    sentence = page.locator("#builder-sentence")
    expect(sentence).to_contain_text("Text contains “환불” and Customer’s tier is VIP")

    # What matters most goes to the top, by keyboard alone.
    row(page, 3).get_by_label("Comparison").focus()
    for _n in range(3):
        page.keyboard.press("Alt+ArrowUp")
    expect(sentence).to_contain_text("if Customer’s tier is VIP and Language")
    expect(row(page, 0).get_by_label("Comparison")).to_be_focused()

    # The same as text, and a slip of the pen under its word.
    page.get_by_role("button", name="Write as text").click()
    text = page.locator("#builder-text")
    expect(text).to_have_value("tier:vip language:ko channel:email text:환불")
    text.fill("teir:vip language:ko channel:email text:환불")
    expect(sentence.locator("mark")).to_have_text("teir:vip")
    text.fill("tier:vip language:ko channel:email text:환불")
    expect(sentence).to_contain_text("if Customer’s tier is VIP")
    page.get_by_role("button", name="Show as rows").click()
    expect(row(page, 3).get_by_label("Value")).to_have_value("환불")

    page.get_by_label("Give to team").select_option("Refunds")
    page.get_by_label("Set priority").select_option("High")
    page.get_by_label("Promise by the SLA policy").select_option("One hour")
    page.get_by_label("Switched on").uncheck()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".rule")).to_contain_text("SLA → One hour")
    assert (Rule.objects.get().active, Ticket.objects.get(pk=past.pk).priority) == (False, 2)

    # On the past it would have caught the mail of an hour ago, and nothing has changed.
    page.get_by_role("link", name="VIP refunds").click()
    page.get_by_role("button", name="Try it on the past").click()
    expect(page.locator("#trial-result")).to_be_visible()
    while trial.drain(now=timezone.now(), seconds=5):
        pass
    expect(page.locator("#trial-result tbody")).to_contain_text(f"#{past.number}")
    expect(page.locator("#trial-result tbody")).to_contain_text("Refunds")
    assert Ticket.objects.get(pk=past.pk).team != refunds

    page.goto(f"{live_server}/settings/rules/")
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_role("button", name="Switch off")).to_be_visible()

    came = writes(crew, scene.sender("Hana", email="hana@customer.example"), WORDS)
    clock = SlaClock.objects.get(ticket=came, metric="first_reply")
    assert (came.team, came.priority, clock.seconds) == (refunds, 3, 3600)
    page.goto(f"{live_server}/tickets/{came.pk}/explanation/")
    expect(page.locator(".why__item").first).to_contain_text("VIP refunds, version 1")
    expect(page.locator(".why__item").first).to_contain_text("Team → Refunds")
    assert page.errors == []
