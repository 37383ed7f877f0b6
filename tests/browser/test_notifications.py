"""Rows 25 and 26: the bell, one sounding tab of all, the desktop, and how one chooses, in real browsers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from agents.models import Agent
from tests import cast as people
from tests.conftest import comes_to, wait_until
from tests.workspace import scene
from tickets import actions, mail_answers, notification_mail, notifications, notifying
from tickets.contract import Identifier, InboundMessage, Sender
from tickets.models import NotificationHours, NotificationMail, Outbox, Ticket
from tickets.models.event import by_agent

JIWOO = scene.sender("Jiwoo", phone="+821011112222")
WATCH = """
    window.sounds = []; window.spoken = [];
    document.addEventListener("sounded", (event) => window.sounds.push(event.detail.audible));
"""
DESKTOP = """
    class Shown extends EventTarget {
        static permission = "%s";
        static answer = "%s";
        static requestPermission() { Shown.permission = Shown.answer; return Promise.resolve(Shown.answer); }
        constructor(title, options) {
            super();
            window.spoken.push({ title, ...options });
            window.shown = this;
            setTimeout(() => this.dispatchEvent(new Event("show")));
        }
        close() {}
    }
    Object.defineProperty(window, "Notification", { value: Shown, configurable: true });
"""


LEADS = """async () => {
    const { held, pending } = await navigator.locks.query();
    const ours = (locks) => locks.filter((lock) => lock.name === "helpdesk.bell").length;
    return ours(held) === 1 && ours(pending) === 0;
}"""


@pytest.fixture
def screen(new_context: Any, live_server: Any) -> Callable[..., Page]:
    """A browser of this agent on this page; `desktop`: what it has decided about notifications, and will answer."""

    def enter(agent: Agent, path: str = "/", *, desktop: tuple[str, str] = ("default", "default")) -> Page:
        client = Client()
        client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
        context = new_context()
        cookie = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": cookie, "url": str(live_server)}])
        context.add_init_script(WATCH + DESKTOP % desktop)
        return another(context, live_server + path)

    return enter


def another(context: Any, url: str) -> Page:
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    with page.expect_response("**/notifications/news/*"):
        page.goto(url)
    return page


def says(crew: people.Cast, text: str, *, who: Any = JIWOO) -> Ticket:
    """The customer writes, and the drain tells whom it concerns."""
    ticket = scene.says(crew.sms, who, text, at=timezone.now()).ticket
    notifying.drain()
    return ticket


def given(crew: people.Cast, ticket: Ticket) -> Ticket:
    actions.assign(ticket, assignee=crew.agent, team=crew.support, by=by_agent(crew.manager), now=timezone.now())
    notifying.drain()
    return ticket


def bell(page: Page) -> Any:
    return page.locator("notification-bell [data-count]")


def test_row_25_the_bell_counts_live_lists_opens_and_forgets(crew, screen):
    page = screen(crew.agent)
    expect(page.locator("body")).to_have_attribute("data-live", "live")
    expect(bell(page)).to_be_hidden()
    ticket = given(crew, says(crew, "Where is my parcel?"))
    expect(bell(page)).to_have_text("1")
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    assert page.locator("link[rel=icon]").get_attribute("href").startswith("data:image/png")
    says(crew, "Hello?")
    says(crew, "Anybody?")
    expect(bell(page)).to_have_text("2")

    page.get_by_role("button", name="Notifications", exact=True).click()
    rows = page.locator("#bell-menu [data-notification]")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Jiwoo wrote 2")
    expect(rows.first).to_contain_text("Anybody?")
    expect(rows.nth(1)).to_contain_text("Grace assigned this to you")
    rows.first.get_by_role("link").click()
    expect(page.locator("#thread-log")).to_contain_text("Anybody?")
    assert page.url.endswith(f"/tickets/{ticket.pk}/")
    expect(page.locator("#bell-menu")).to_be_hidden()
    expect(bell(page)).to_be_hidden()  # opening the ticket has read all about it
    expect(page).not_to_have_title(re.compile(r"^\("))
    comes_to(lambda: notifications.unread(crew.agent), 0)
    assert page.errors == []


def test_row_26_a_mention_is_answered_by_mail_and_the_answer_stands_in_the_thread(crew, screen):
    ticket = scene.says(crew.sms, JIWOO, "Where is my parcel?", at=timezone.now()).ticket
    theo = screen(crew.teammate, f"/tickets/{ticket.pk}/")
    expect(theo.locator("#composer-text")).to_be_visible()
    theo.keyboard.press("n")
    expect(theo.locator("#composer-note")).to_be_focused()
    theo.keyboard.type("@Mina have you seen it? ")
    theo.keyboard.press("Control+Enter")
    notes = theo.locator(".message--note[id^=message]")
    expect(notes).to_have_count(1)
    notifying.drain()
    Outbox.objects.filter(kind=notifying.MAIL).update(next_attempt_at=timezone.now() - timedelta(days=1))
    notification_mail.drain()
    (sent,) = mail.outbox
    assert sent.to == [crew.agent.email] and "have you seen it?" in sent.body

    answer = InboundMessage(
        external_message_id="by-mail",
        sender=Sender((Identifier("email", "", crew.agent.email, True, "dmarc"),)),
        sent_at=timezone.now(),
        text="Yes, it is on my desk.",
        reply_tokens=(NotificationMail.objects.get(ticket=ticket).token,),
    )
    with transaction.atomic():
        mail_answers.take(crew.email, answer, raw_event_id=1, now=timezone.now())
    expect(notes).to_have_count(2)
    expect(notes.last).to_contain_text("Yes, it is on my desk.")
    expect(notes.last).to_contain_text("Mina")
    assert theo.errors == []


def test_row_25_all_are_marked_read_and_the_list_goes_on_below(crew, screen):
    page = screen(crew.agent)
    for n in range(notifications.PAGE + 3):
        given(crew, says(crew, "Hi", who=scene.sender(f"Customer {n}", phone=f"+8210555566{n:02}")))
    expect(bell(page)).to_have_text(str(notifications.PAGE + 3))
    page.keyboard.press("g")
    page.keyboard.press("n")
    rows = page.locator("#bell-menu [data-notification]")
    expect(rows.first).to_be_visible()
    page.locator("#bell-menu").evaluate("(menu) => menu.scrollTo(0, menu.scrollHeight)")
    expect(rows).to_have_count(notifications.PAGE + 3)
    page.get_by_role("button", name="Mark all as read").click()
    expect(bell(page)).to_be_hidden()
    expect(page.locator("#bell-menu .is-unread")).to_have_count(0)
    comes_to(lambda: notifications.unread(crew.agent), 0)
    assert page.errors == []


def test_row_25_of_two_tabs_one_sounds_and_the_other_takes_over_when_it_goes(crew, screen, live_server):
    ticket = given(crew, says(crew, "Where is my parcel?"))
    first = screen(crew.agent)
    second = another(first.context, str(live_server))
    for page in (first, second):
        expect(page.locator("body")).to_have_attribute("data-live", "live")
        page.mouse.click(700, 300)  # somebody has touched it: from now on it may sound
        expect(bell(page)).to_have_text("1")
    says(crew, "Hello?")
    for page in (first, second):
        expect(bell(page)).to_have_text("2")
    wait_until(lambda: first.evaluate("window.sounds.length === 1"))
    assert first.evaluate("window.sounds") == [True] and second.evaluate("window.sounds") == []
    first.close()
    wait_until(lambda: second.evaluate(LEADS))
    says(crew, "Still there?")
    wait_until(lambda: second.evaluate("window.sounds.length === 1"))
    actions.mark_read(
        ticket, agent=crew.agent, message_id=Ticket.objects.get(pk=ticket.pk).last_message_id, now=timezone.now()
    )
    expect(bell(second)).to_be_hidden()
    assert second.errors == []


def test_row_25_the_desktop_is_told_once_and_leads_to_the_ticket_but_not_of_what_one_looks_at(
    crew, screen, live_server
):
    ticket = given(crew, says(crew, "Where is my parcel?"))
    other = given(crew, says(crew, "I am Ara", who=scene.sender("Ara", phone="+821099990000")))
    page = screen(crew.agent, desktop=("granted", "granted"))
    page.mouse.click(700, 300)
    expect(bell(page)).to_have_text("2")
    assert page.evaluate("window.spoken") == [], "what was there already is no news"
    says(crew, "Hello?")
    wait_until(lambda: page.evaluate("window.spoken.length === 1"))
    told = page.evaluate("window.spoken[0]")
    assert told["title"] == "Jiwoo wrote" and told["body"].endswith("Hello?") and told["silent"] is True
    page.evaluate("window.shown.dispatchEvent(new Event('click'))")
    expect(page.locator("#thread-log")).to_contain_text("Hello?")
    assert page.url.endswith(f"/tickets/{ticket.pk}/")
    expect(bell(page)).to_have_text("1")

    says(crew, "And one more")
    expect(page.locator("#thread-log")).to_contain_text("And one more")
    says(crew, "Ara again", who=scene.sender("Ara", phone="+821099990000"))
    wait_until(lambda: page.evaluate("window.spoken.length === 2"))
    assert page.evaluate("window.spoken[1].body").endswith("Ara again")
    expect(bell(page)).to_have_text("2")
    assert Ticket.objects.get(pk=other.pk).assignee == crew.agent and page.errors == []


def test_row_25_only_while_hidden_and_the_quiet_hours_keep_silence(crew, screen):
    NotificationHours.objects.create(agent=crew.agent, only_when_hidden=True)
    given(crew, says(crew, "Where is my parcel?"))
    page = screen(crew.agent, desktop=("granted", "granted"))
    page.mouse.click(700, 300)
    expect(bell(page)).to_have_text("1")
    says(crew, "Hello?")
    expect(bell(page)).to_have_text("2")
    page.evaluate("""() => {
        Object.defineProperty(document, "hidden", { value: true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    says(crew, "Hello again?")
    wait_until(lambda: page.evaluate("window.spoken.length === 1"))
    assert page.evaluate("window.spoken[0].body").endswith("Hello again?")
    comes_to(lambda: page.evaluate("window.sounds.length"), 1)

    NotificationHours.objects.update(quiet_from="00:00", quiet_to="23:59:59.999")
    given(crew, says(crew, "I am Ara", who=scene.sender("Ara", phone="+821099990000")))
    expect(bell(page)).to_have_text("3")
    assert page.evaluate("[window.spoken.length, window.sounds.length]") == [1, 1] and page.errors == []


def test_row_25_without_a_socket_the_bell_asks_by_itself(crew, screen):
    page = screen(crew.agent, "/settings/profile/")
    expect(bell(page)).to_be_hidden()
    given(crew, says(crew, "Where is my parcel?"))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    with page.expect_response("**/notifications/news/*"):
        page.clock.install()
        page.reload()
    page.clock.run_for(1000)
    expect(bell(page)).to_have_text("1")
    given(crew, says(crew, "I am Ara", who=scene.sender("Ara", phone="+821099990000")))
    page.clock.run_for(80_000)
    expect(bell(page)).to_have_text("2")
    assert page.errors == []


@pytest.mark.parametrize(
    "before, answer, says_",
    [
        ("default", "granted", "Sent to the desktop."),
        ("granted", "granted", "Sent to the desktop."),
        ("default", "default", "closed without an answer"),
        ("default", "denied", "blocks notifications"),
        ("denied", "denied", "blocks notifications"),
    ],
)
def test_row_25_the_test_button_asks_when_it_is_pressed_and_says_why_it_failed(crew, screen, before, answer, says_):
    page = screen(crew.agent, "/settings/notifications/", desktop=(before, answer))
    page.evaluate("""() => {
        const ask = Notification.requestPermission;
        window.asked = 0;
        Notification.requestPermission = () => { window.asked += 1; return ask(); };
    }""")
    assert page.evaluate("window.asked") == 0
    page.get_by_role("button", name="Allow and test on the desktop").click()
    expect(page.locator("[data-result]")).to_contain_text(says_)
    assert page.evaluate("window.asked") == (before == "default")
    page.get_by_role("button", name="Test the sound").click()
    expect(page.locator("[data-result]")).to_contain_text("two tones")
    assert page.errors == []


def test_row_25_what_one_chooses_is_kept_and_half_quiet_hours_are_refused(crew, screen):
    page = screen(crew.agent, "/settings/notifications/")
    page.get_by_role("checkbox", name="New message on a ticket that is mine or that I follow E-mail").check()
    page.get_by_role("checkbox", name="A ticket is assigned to me Sound").uncheck()
    page.get_by_label("Quiet from").fill("22:00")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main form")).to_contain_text("Give both times, or neither.")
    page.get_by_label("Quiet until").fill("07:00")
    page.get_by_role("checkbox", name="New message on a ticket that is mine or that I follow E-mail").check()
    page.get_by_role("checkbox", name="A ticket is assigned to me Sound").uncheck()
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    ways = notifications.ways_of(crew.agent)
    assert ways["reply"].mail and not ways["assigned"].sound and ways["assigned"].desktop
    hours = notifications.hours_of(crew.agent)
    assert (str(hours.quiet_from), str(hours.quiet_to)) == ("22:00:00", "07:00:00")
    assert "channel_down" not in ways and page.errors == []
