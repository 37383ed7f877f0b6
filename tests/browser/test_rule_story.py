"""An admin who has never seen the builder makes a team, a promise and a rule, tries it on the past, switches it on, and
sees it work. The customer holds the simulator's phone; the tasks that a worker would run are run between the steps."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from channels_in import tasks as intake
from helpdesk.demo.channels import fields as demo_channels
from tests import cast as people
from tests.conftest import comes_to
from tickets import tasks
from tickets.models import Customer, Rule, SlaClock, SlaPolicy, Ticket

WORDS = "주문을 취소하고 환불 받고 싶어요. 어제 주문했는데 아직 출발 전이라고 나와요."


def writes(phone: Page, subject: str) -> Ticket:
    """A mail from the phone takes the way of every mail, and routing has its turn."""
    app = phone.locator("#app-email")
    app.locator("[data-new-mail]").click()
    app.get_by_label("Subject").fill(subject)
    app.locator("textarea").fill(WORDS)
    app.get_by_role("button", name="Send").click()
    expect(app.locator(".letter.is-ours").filter(has_text=subject)).to_contain_text("Delivered")
    intake.process()
    tasks.route()
    return Ticket.objects.select_related("team").get(subject=subject)


def row(page: Page, n: int) -> Any:
    return page.locator("condition-builder .condition").nth(n)


@pytest.mark.django_db(transaction=True)
def test_refund_mails_of_vips_go_to_refunds_at_high_with_a_promise_of_an_hour(
    crew: people.Cast, screen: Any, live_server: Any, new_context: Any, parser: Any
) -> None:
    for name, value in demo_channels()["email"].items():
        setattr(crew.email, name, value)
    crew.email.settings |= {"conversation_hours": 0}  # each mail that answers none is a matter of its own
    crew.email.save()
    phone: Page = new_context().new_page()
    phone.goto(f"{live_server}/simulator/?person=seoyeon&tab=email")
    past = writes(phone, "주문 취소")
    assert (past.team, past.priority) == (None, 2)

    # Who she is to the shop is said on her own screen.
    page: Page = screen(crew.admin, f"/tickets/{past.pk}/")
    page.locator("#customer-tier-value").select_option(label="VIP")
    expect(page.locator("#customer-head .chip--warn")).to_have_text("VIP")
    comes_to(lambda: Customer.objects.get(pk=past.customer_id).tier, "vip")

    # Where it should go, and what is promised there: the example speaks while it is typed.
    page.goto(f"{live_server}/settings/teams/")
    page.locator("[name=name]").fill("Refunds")
    page.get_by_role("button", name="Add the team").click()
    expect(page.get_by_role("link", name="Refunds")).to_be_visible()
    page.goto(f"{live_server}/settings/sla/new/")
    page.locator("#policy-name").fill("One hour")
    page.get_by_label("First reply, High", exact=True).fill("1h")
    page.get_by_label("First reply, High: round the clock").check()
    expect(page.locator("[hx-get='/settings/sla/example/']")).to_contain_text("A message of priority High")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="One hour")).to_be_visible()

    page.goto(f"{live_server}/settings/rules/new/")
    page.locator("#rule-name").fill("VIP refunds")
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
    page.get_by_role("button", name="Save", exact=True).click()

    # Nobody has seen yet what it does: it is a draft, and the way on is offered.
    draft = page.get_by_role("region", name="A draft until you have seen what it would do")
    expect(draft.get_by_role("button", name="Switch it on untried")).to_be_visible()
    assert not Rule.objects.get().active
    draft.get_by_role("button", name="Try it on the past").click()

    # It would have caught the mail of before, and nothing has changed.
    expect(page.locator("#trial-result")).to_be_visible()
    tasks.try_rules()
    found = page.locator("#trial-result tbody")
    expect(found).to_contain_text(f"#{past.number}")
    expect(found).to_contain_text("Refunds")
    assert Ticket.objects.get(pk=past.pk).team is None
    page.get_by_role("button", name="Switch it on").click()
    expect(page.get_by_role("button", name="Switch off")).to_be_visible()
    expect(page.locator(".rule")).to_contain_text("SLA → One hour")

    came = writes(phone, "환불 요청")
    assert came.team is not None
    clock = SlaClock.objects.get(ticket=came, metric="first_reply")
    assert (came.team.name, came.priority, clock.policy, clock.seconds, clock.business) == (
        "Refunds", 3, SlaPolicy.objects.get(), 3600, False,
    )  # fmt: skip
    page.goto(f"{live_server}/tickets/{came.pk}/explanation/")
    expect(page.locator(".why__item").first).to_contain_text("VIP refunds, version 1")
    expect(page.locator(".why__item").first).to_contain_text("Team → Refunds")
    assert page.errors == []
