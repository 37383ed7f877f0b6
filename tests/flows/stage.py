"""The scene of the stories: a shop with four channels at the simulated providers, its processes, and people at screens."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext
from playwright.sync_api import Locator, Page, expect

from agents.models import Agent, Calendar, CalendarWindow
from helpdesk.celery import app as celery
from helpdesk.demo.channels import fields as demo_channels
from tests import cast as people
from tests.cast import Cast
from tests.conftest import LiveServer, Process
from tickets import ingest
from tickets.contract import InboundMessage, Sender
from tickets.models import Channel, Message, Rule, SlaPolicy, SlaTarget, Ticket

_numbers = itertools.count(10**12)
PATIENCE = 60_000  # milliseconds: two processors, and everything runs at once


class Stage:
    """A shop at work. `crew` are its people and channels; `agent` and `phone` open screens."""

    def __init__(self, live_server: LiveServer, new_context: Callable[..., Any], crew: Cast) -> None:
        self.url, self.crew = live_server.url, crew
        self._new_context = new_context

    def agent(self, agent: Agent, path: str = "/") -> Page:
        """A browser in which this person signs in by the form, on this page of the workspace or of the reports."""
        page = self._browser()
        page.goto(f"{self.url}/accounts/login/?next={path}")
        page.locator("input[name=login]").fill(agent.email)
        page.locator("input[name=password]").fill(people.PASSWORD)
        page.locator("input[name=password]").press("Enter")
        page.wait_for_url(self.url + path)
        return page

    def desk(self, agent: Agent, path: str = "/") -> Page:
        """The same in the workspace, when its live feed is connected."""
        page = self.agent(agent, path)
        expect(page.locator("body")).to_have_attribute("data-live", "live")
        return page

    def phone(self, person: str, tab: str) -> Phone:
        """The simulator, in the hands of one of its people."""
        page = self._browser()
        page.goto(f"{self.url}/simulator/?person={person}&tab={tab}")
        return Phone(page)

    def stranger(self) -> Page:
        """A browser in which nobody is signed in."""
        return self._browser()

    def _browser(self) -> Page:
        context = self._new_context()
        context.set_default_timeout(PATIENCE)
        page: Page = context.new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        return page


class Phone:
    """The phone of a customer: one page, an app for each kind of channel."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def app(self, kind: str) -> Locator:
        """The app of this kind, brought to the front."""
        tab = self.page.locator(f"[role=tab][data-tab={kind}]")
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        return self.page.locator(f"#app-{kind}")

    def writes(self, kind: str, text: str, *, subject: str = "") -> None:
        """The customer writes, and the provider has handed it over."""
        app = self.app(kind)
        if subject:
            app.locator("[data-new-mail]").click()
            app.locator("[name=subject]").fill(subject)
        app.locator("textarea").fill(text)
        app.locator(".phone-app__send").click()
        row = app.locator(".bub.is-ours, .letter.is-ours").filter(has_text=text)
        expect(row).to_have_count(1)
        expect(row.locator(".bub__state")).to_have_text("Delivered")

    def answers_mail(self, subject: str, text: str) -> None:
        """The customer answers our newest mail with this subject."""
        app = self.app("email")
        app.locator(".letter:not(.is-ours)").filter(has_text=subject).last.locator("[data-reply]").click()
        self.writes("email", text)

    def received(self, kind: str, text: str) -> Locator:
        """What arrived on the phone and contains this text."""
        return self.app(kind).locator(".bub:not(.is-ours), .letter:not(.is-ours)").filter(has_text=text)

    def chat(self) -> Any:
        """The panel of the web chat, in a conversation."""
        self.app("webchat")
        panel = self.page.frame_locator("#app-webchat iframe")
        panel.locator("#start").click()
        return panel


# -- At the agent's screen ----------------------------------------------------------------------------------------------


def is_now(page: Page, presence: str) -> None:
    """Choose one's presence: online, away, busy or offline."""
    page.locator("#my-presence > button").click()
    choice = page.locator(f"#presence-menu [hx-vals*='\"{presence}\"']")
    choice.click()
    expect(choice).to_have_attribute("aria-checked", "true")


def row_of(page: Page, ticket: Ticket) -> Locator:
    return page.locator(f"#ticket-row-{ticket.pk}")


def open_ticket(page: Page, ticket: Ticket) -> None:
    row_of(page, ticket).locator(".row__link").click()
    page.wait_for_url(re.compile(rf"/tickets/{ticket.pk}/"))
    expect(field(page)).to_be_visible()


def field(page: Page) -> Locator:
    return page.locator("#composer-text")


def thread(page: Page) -> Locator:
    return page.locator("#thread-log")


def said(page: Page, text: str) -> Locator:
    """The message of the thread that contains this text, mails' own pages left aside."""
    return thread(page).locator(".message:not([data-pending])").filter(has_text=text)


def choose_route(page: Page, kind: str, address: str) -> None:
    """Answer by this address of the customer's."""
    page.locator(".routes > button").click()
    option = page.locator(f"#route-menu [role=option][data-kind={kind}]").filter(has_text=address)
    expect(option).to_have_count(1)
    option.click()
    expect(page.locator(".routes > button")).to_contain_text(address)


def reply(page: Page, text: str) -> Locator:
    """Write and send by the key. Returns the message once the server has it."""
    field(page).focus()
    page.keyboard.insert_text(text)
    page.keyboard.press("Control+Enter")
    message = said(page, text)
    expect(message).to_have_count(1)
    expect(field(page)).to_have_value("")
    return message


def type_hangul(page: Page, text: str) -> None:
    """Type as a Korean input method does: each syllable is composed from its letters, then written.

    The last syllable stays open, as it does under an agent's fingers.
    """
    keyboard = page.context.new_cdp_session(page)
    for n, syllable in enumerate(text):
        if "가" <= syllable <= "힣":
            steps = _composition_of(syllable)
            for step in steps:
                keyboard.send("Input.imeSetComposition", {"text": step, "selectionStart": 1, "selectionEnd": 1})
            if n == len(text) - 1:
                break
        keyboard.send("Input.insertText", {"text": syllable})
    keyboard.detach()


def _composition_of(syllable: str) -> list[str]:
    """What the field shows while the letters of a syllable are pressed: ㅎ, 하, 한."""
    first, rest = divmod(ord(syllable) - 0xAC00, 588)
    vowel, final = divmod(rest, 28)
    steps = ["ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"[first], chr(0xAC00 + first * 588 + vowel * 28)]
    return [*steps, syllable] if final else steps


def state_of(message: Locator) -> Locator:
    return message.locator(".delivery")


def ko(words: str) -> str:
    """The Korean of a sentence of ours, as the catalogue has it."""
    with translation.override("ko"):
        return gettext(words)


# -- The shop -----------------------------------------------------------------------------------------------------------


def open_shop() -> Cast:
    """The cast, with channels at the simulated providers, opening hours, a promise, and everything routed to Support."""
    crew = people.assemble()
    for kind, fields in demo_channels().items():
        channel = crew.channels[kind]
        for name, value in fields.items():
            setattr(channel, name, value)
        channel.team = crew.support
        channel.save()
    calendar = Calendar.objects.create(name="Always", time_zone="Asia/Seoul", is_default=True)
    for day in range(7):
        CalendarWindow.objects.create(calendar=calendar, weekday=day, opens="00:00", closes="23:59")
    policy = SlaPolicy.objects.create(name="Standard", calendar=calendar, warn_percents=[75])
    for priority, minutes in {1: 480, 2: 120, 3: 30, 4: 15}.items():
        SlaTarget.objects.create(policy=policy, metric="first_reply", priority=priority, seconds=minutes * 60)
    food = {"all": [{"field": "text", "op": "contains", "value": ["계란", "우유"]}]}
    Rule.objects.create(
        name="Broken food is urgent", position=0, conditions=food, actions=[{"do": "priority", "priority": 4}]
    )
    to_support = [{"do": "team", "team": crew.support.pk}]
    Rule.objects.create(name="Everything to Support", position=1, conditions={}, actions=to_support)
    return crew


def said_before(channel: Channel, who: Sender, text: str, *, at: datetime, subject: str = "") -> Ticket:
    """Something that a customer said before the story begins. Its item is numbered far from those that really come in."""
    number = next(_numbers)
    message = InboundMessage(external_message_id=f"before-{number}", sender=who, sent_at=at, text=text, subject=subject)
    with transaction.atomic():
        return ingest.receive(channel, message, raw_event_id=number, part=0, received_at=at, now=at).ticket


def start_processes(start_process: Callable[..., Process]) -> None:
    """Worker, beat and the providers' mail server, each a process of its own. The parser is the run's own fixture."""
    from helpdesk.celery import queue_names

    celery.control.purge()  # wake-ups that earlier tests left in Redis are for a database that is no more
    worker = ["-m", "celery", "-A", "helpdesk", "worker", "-c", "2", "-l", "INFO", "-Q", ",".join(queue_names())]
    beat = ["-m", "celery", "-A", "helpdesk", "beat", "--scheduler", "celery.beat:Scheduler", "--pidfile="]
    mail = start_process("fakemail", "manage.py", "fakemail", PROCESS="fakemail")
    start_process("beat", *beat, PROCESS="beat")  # says nothing when it is ready; until then the wake-ups do
    hands = start_process("worker", *worker, "--without-mingle", "--without-gossip", PROCESS="worker", LOG_LEVEL="INFO")
    mail.wait_for("fakemail listens", timeout=90)
    hands.wait_for("ready.", timeout=90)


def the_only_ticket() -> Ticket:
    return Ticket.objects.get()


def texts_of(ticket: Ticket) -> list[str]:
    """What was said on a ticket, in order; surveys left aside."""
    return list(
        Message.objects.filter(ticket=ticket).exclude(author_type="bot").order_by("seq").values_list("text", flat=True)
    )
