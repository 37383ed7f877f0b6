"""One true line through the whole product: a message becomes a ticket on a screen, and the answer goes back."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from analytics.models import Survey
from tests import cast as people
from tests.conftest import wait_until
from tests.flows import stage as scenes
from tests.flows.stage import Stage
from tickets.models import RoutingDecision, SlaClock, Ticket

pytestmark = pytest.mark.timeout(600)


def test_from_a_text_message_to_a_number_on_the_managers_page(stage: Stage) -> None:
    crew = stage.crew
    customer = people.make_customer(
        "Daniel Ortiz", now=timezone.now(), phone="+14155550142", email="daniel.ortiz@mail.example", language="en"
    )
    mina = stage.desk(crew.agent)
    scenes.is_now(mina, "online")
    phone = stage.phone("daniel", "sms")

    # A text message appears on the agent's screen, without a reload, on her desk and with a promise running.
    phone.writes("sms", "Where is my parcel? It was due on Monday.")
    row = mina.locator(".row").filter(has_text="Where is my parcel?")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Daniel Ortiz")
    expect(row).to_have_class(re.compile("is-unread"))
    ticket = scenes.the_only_ticket()
    expect(row.locator(".row__who")).to_contain_text("Mina")
    expect(row.locator(".row__chips .sla")).to_be_visible()
    assert (ticket.customer, RoutingDecision.objects.latest("pk").agent) == (customer, crew.agent)

    # Her answer arrives on the phone, and the mark turns to delivered.
    mina.keyboard.press("j")
    mina.keyboard.press("Enter")
    expect(scenes.field(mina)).to_be_visible()
    mina.keyboard.press("r")
    mina.keyboard.type("It leaves the depot today.")
    mina.keyboard.press("Enter")  # on SMS, Enter sends
    by_sms = scenes.said(mina, "It leaves the depot today.")
    expect(phone.received("sms", "It leaves the depot today.")).to_have_count(1)
    expect(scenes.state_of(by_sms)).to_have_attribute("data-state", "delivered")
    wait_until(lambda: SlaClock.objects.get(ticket=ticket, metric="first_reply").state == "met", timeout=30)

    # The same person on WhatsApp: the same ticket, and there the mark turns to read.
    phone.writes("whatsapp", "I am on WhatsApp now. When will it be here?")
    expect(scenes.said(mina, "I am on WhatsApp now.")).to_have_count(1)
    scenes.choose_route(mina, "whatsapp", "+14155550142")
    by_whatsapp = scenes.reply(mina, "Tomorrow before noon.")
    expect(phone.received("whatsapp", "Tomorrow before noon.")).to_have_count(1)
    expect(scenes.state_of(by_whatsapp)).to_have_attribute("data-state", "read")

    # Then a mail from an address that is joined to that person: the same ticket again. The answer goes by mail.
    phone.writes("email", "Here is the order confirmation: A-1001.", subject="My order A-1001")
    expect(scenes.said(mina, "Here is the order confirmation")).to_have_count(1)
    assert scenes.the_only_ticket() == ticket
    scenes.choose_route(mina, "email", "daniel.ortiz@mail.example")
    by_mail = scenes.reply(mina, "Thank you, that helped us to find it.")
    expect(phone.received("email", "Thank you, that helped us to find it.")).to_have_count(1)
    expect(scenes.state_of(by_mail)).to_have_attribute("data-state", re.compile("sent|delivered"))
    phone.answers_mail("Thank you, that helped us to find it.", "It is here. Thanks a lot!")
    expect(scenes.said(mina, "It is here. Thanks a lot!")).to_have_count(1)
    assert scenes.the_only_ticket() == ticket
    assert set(ticket.routes.values_list("channel__kind", flat=True)) == {"sms", "whatsapp", "email"}

    # Solved by one key; the row leaves the list.
    mina.keyboard.press("e")
    expect(scenes.row_of(mina, ticket)).to_have_count(0)
    expect(mina.locator(".toast").filter(has_text="Solved.")).to_be_visible()
    ticket.refresh_from_db()
    assert (ticket.status, ticket.solved_by) == (Ticket.Status.SOLVED, crew.agent)

    # The survey comes on the customer's channel. Opening it votes nothing; the answer is one click and one press.
    asked = phone.received("email", "/survey/")
    expect(asked).to_have_count(1)
    address = re.search(r"https?://\S+/survey/\S+", asked.inner_text())
    assert address
    survey = stage.stranger()
    survey.goto(f"{address[0]}?score=5")
    expect(survey.get_by_role("heading", name="How did we do?")).to_be_visible()
    assert not hasattr(Survey.objects.get(), "answer")
    survey.get_by_role("radio", name="Very good").check(force=True)
    survey.get_by_role("textbox").fill("Fast and kind.")
    survey.get_by_role("button", name="Send my answer").click()
    expect(survey.get_by_role("heading", name="Thank you!")).to_be_visible()

    # And the manager's page has it all; each number opens its ticket.
    grace = stage.agent(crew.manager, "/reports/")
    tile = {name: grace.locator(".kpi").filter(has_text=name) for name in ("Tickets in", "Solved", "median", "CSAT")}
    expect(tile["Tickets in"].locator(".kpi__value")).to_have_text("1")
    expect(tile["Solved"].locator(".kpi__value")).to_have_text("1")
    expect(tile["median"].locator(".kpi__value")).not_to_have_text("–")
    expect(tile["CSAT"].locator(".kpi__value")).to_have_text("100 %")
    expect(tile["CSAT"]).to_contain_text("n = 1")
    by_channel = grace.locator(".card").filter(has_text="By channel").locator("tbody tr")
    expect(by_channel).to_have_count(1)  # by the channel on which it began
    expect(by_channel).to_contain_text("SMS")
    tile["CSAT"].click()
    expect(grace.locator(".table tbody tr")).to_contain_text(f"#{ticket.number}")
    ticket.refresh_from_db()
    assert (ticket.status, ticket.csat) == (Ticket.Status.SOLVED, 5)  # the answer changed no status
    assert [page.errors for page in (mina, phone.page, survey, grace)] == [[], [], [], []]
