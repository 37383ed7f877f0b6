"""An agent's whole morning by keyboard alone: forty tickets, four channels, Korean and English (issue of the inbox, show 1).

After signing in only keys are pressed. Before each next key the story waits for what a person would wait to see. At the end the
database must hold what the morning did, no more and no less: each answer once, on its ticket and by its way.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from agents.models import Agent
from tests import cast as people
from tests.conftest import wait_until
from tests.flows.stage import type_hangul
from tests.workspace import scene
from tickets import replies
from tickets.contract import Sender
from tickets.models import Channel, DeliveryPart, Draft, Event, Macro, Message, Ticket

KINDS = ("sms", "whatsapp", "webchat", "email")
KOREAN = (
    "배송이 언제 오나요?",
    "환불하고 싶어요.",
    "색상을 바꾸고 싶어요.",
    "주소를 바꿔 주세요.",
    "영수증이 필요해요.",
)
ENGLISH = ("Where is my parcel?", "I want my money back.", "The colour is wrong.", "I have moved.", "I need a receipt.")
UNLIKE_OTHERS = {
    28: "The teapot leaks.",
    29: "My umbrella has a hole.",
    32: "유리컵이 깨져서 왔어요.",
    33: "사용 설명서가 없어요.",
}

pytestmark = pytest.mark.timeout(600)


def test_row_4_a_whole_morning_by_keyboard_alone(crew, screen, worker):
    Agent.objects.filter(pk=crew.agent.pk).update(undo_seconds=30)
    answers_of_the_shop(crew)
    tickets = overnight(crew)
    mina = Hands(screen(crew.agent))
    expect(mina.rows).to_have_count(40)

    # Four customers wrote of the same outage. Urgent? No, undone: it is over. They get a tag and are solved, all at once.
    mina.press("j", "x", *["Shift+J"] * 3)
    mina.sees(mina.page.locator("bulk-bar [data-count]"), "4 selected")
    mina.press("p")
    expect(mina.page.locator("#bulk-priority-urgent")).to_be_focused()
    mina.press("Enter")
    expect(mina.rows.locator("[data-priority=urgent]")).to_have_count(4)
    mina.press("z")
    expect(mina.rows.locator("[data-priority=urgent]")).to_have_count(0)
    mina.press("x", *["Shift+K"] * 3, "l")
    mina.picks("#bulk-tag", "outage")
    expect(mina.rows.locator(".tag").filter(has_text="outage")).to_have_count(4)
    mina.press("x", *["Shift+J"] * 3, "e")
    expect(mina.rows).to_have_count(36)

    # English, quickly: answer, solve, and the next one is there.
    mina.press("j")
    mina.points_at(tickets[4])
    mina.press("Enter")
    for n in (4, 5, 6):
        mina.reads(tickets[n])
        mina.answers(tickets[n], f"It arrives tomorrow, {n}.")
        mina.press("e")
    mina.reads(tickets[7])
    mina.answers(tickets[7], "The receipt is on its way.", send="Control+Shift+Enter")
    mina.press("j")

    # Korean, through the input method: taken first; with a macro; in a chat; and a mail that she takes back and says better.
    mina.reads(tickets[8])
    mina.press("i")
    mina.sees(mina.property("assignee"), "Mina")
    mina.answers(tickets[8], "오늘 출발했습니다")  # the last syllable is still open when she presses Enter
    mina.next(tickets[9])
    mina.press("r")
    mina.write("/환불")
    mina.sees(mina.page.locator("#insert-list [role=option]"), "환불 안내")
    mina.press("Enter")
    expect(mina.page.locator(".macro__deed")).to_have_count(3)
    mina.page.wait_for_timeout(200)  # an Enter at once after this one would be the input method's own
    mina.sends(tickets[9], f"{tickets[9].customer.name}, 환불을 접수했습니다.")
    mina.sees(mina.property("status"), "Pending")
    mina.next(tickets[10])
    mina.answers(tickets[10], "네, 바꿔 드릴게요.")
    mina.next(tickets[11])
    mina.answers(tickets[11], "모르겠습니다.")
    mina.takes_back(tickets[11])
    mina.press("Control+a", "Delete")
    mina.write("확인해 보고 오늘 안에 알려 드릴게요.")
    mina.sends(tickets[11], "확인해 보고 오늘 안에 알려 드릴게요.")
    mina.next(tickets[12])

    # Notes for the colleagues, and ready answers by M and by a slash.
    mina.notes(tickets[12], "Third time this week, please look at the courier.")
    mina.answers(tickets[12], "We are asking the courier.")
    mina.next(tickets[13])
    mina.press("m")
    mina.inserts("parcel", "Parcel on its way")
    mina.sends(tickets[13], "Dear customer, your parcel is on its way.")
    mina.next(tickets[14])
    mina.notes(tickets[14], "Wants the blue one.")
    mina.answers(tickets[14], "The blue one is in stock again.")
    mina.next(tickets[15])
    mina.press("r")
    mina.write("/")
    mina.inserts("prcl", "Parcel on its way")
    mina.sends(tickets[15], "Dear customer, your parcel is on its way.")
    mina.next(tickets[16])

    # What can wait sleeps: in Korean words, by the first time that is offered, in English words. One was a slip.
    mina.snoozes(tickets[16], "내일 오전 10시", shows="10:00")
    mina.next(tickets[17])
    mina.snoozes(tickets[17], "", shows="In 3 hours")
    mina.next(tickets[18])
    mina.snoozes(tickets[18], "3일 뒤", shows="09:00")
    mina.press("z")
    expect(mina.row(tickets[18])).to_have_count(1)
    expect(mina.page.locator(f"#head-{tickets[18].pk} .chip")).to_have_count(0)
    mina.answers(tickets[18], "재고가 한 개 남았어요")
    mina.next(tickets[19])
    mina.snoozes(tickets[19], "in 3 days", shows="09:00")
    mina.next(tickets[20])

    # What is for others goes to them: to a colleague, to a team. One comes back. One is important and gets a tag.
    mina.press("a")
    mina.picks("#property-assignee", "theo")
    mina.sees(mina.property("assignee"), "Theo")
    mina.next(tickets[21])
    mina.press("Shift+A")
    mina.picks("#property-team", "bill")
    mina.sees(mina.property("team"), "Billing")
    mina.press("a")
    mina.picks("#property-assignee", "omar", why="Was charged twice")
    mina.sees(mina.property("assignee"), "Omar")
    mina.next(tickets[22])
    mina.press("a")
    mina.picks("#property-assignee", "theo")
    mina.sees(mina.page.locator(".toast").last, "Assigned to Theo.")
    mina.press("z")
    expect(mina.property("assignee")).not_to_contain_text("Theo")
    mina.answers(tickets[22], "I can do that for you.")
    mina.next(tickets[23])
    mina.press("p")
    expect(mina.page.locator("#property-priority-list [role=option]:focus")).to_contain_text("Normal")
    mina.press("ArrowUp", "Enter")
    mina.sees(mina.property("priority"), "High")
    mina.press("l")
    mina.picks("#property-tags", "vip")
    mina.sees(mina.property("tags"), "vip")
    mina.answers(tickets[23], "Your account manager will call you.")

    # She reads ahead and answers on the way back: one tomorrow morning, one by mail instead of a text message.
    for n in (24, 25, 26, 27):
        mina.next(tickets[n])
    for n in (27, 26, 25):
        mina.reads(tickets[n])
        words = f"주문 {n}번 처리했습니다."
        if n == 26:
            mina.answers_later(tickets[n], words, when="내일 오전 9시")
            mina.press("i")
            mina.sees(mina.property("assignee"), "Mina")
        else:
            mina.answers(tickets[n], words)
        mina.press("k")
    mina.reads(tickets[24])
    mina.chooses_the_way("email", address="guest24@example.org")
    mina.answers(tickets[24], "영수증은 메일로 보내 드립니다.", by="email")

    # Some are asked for by name: found, opened, answered.
    for n, query in ((28, "teapot"), (32, "유리컵"), (29, "umbrella"), (33, "설명서")):
        mina.press("/")
        expect(mina.page.locator("query-box input")).to_be_focused()
        mina.write(query)
        mina.press("Enter")
        expect(mina.rows).to_have_count(1)
        expect(mina.row(tickets[n])).to_have_count(1)
        mina.press("j")
        mina.points_at(tickets[n])
        mina.press("Enter")
        mina.reads(tickets[n])
        mina.answers(tickets[n], "새로 보내 드릴게요" if n > 30 else f"Found it, {n}.")

    # A coffee. The mails have left by now, and somebody whom she had helped is back.
    assert replies.release_due(now=timezone.now() + timedelta(seconds=31)) == 6
    writes(crew, 4, "One more thing, please")
    mina.press("g", "m")
    expect(mina.page.locator("#list-content")).to_have_attribute("data-url", "/views/mine/")
    expect(mina.rows.nth(1)).to_have_attribute("data-ticket", str(tickets[4].pk))  # after the one that waits since long
    mina.press("j", "j")
    mina.points_at(tickets[4])
    mina.press("Enter")
    mina.reads(tickets[4], "One more thing, please")
    mina.answers(tickets[4], "Of course.")
    mina.press("e")
    expect(mina.row(tickets[4])).to_have_count(0)

    # The rest is nobody's yet. One after the other, to the end.
    mina.press("g", "u")
    expect(mina.page.locator("#list-content")).to_have_attribute("data-url", "/views/unassigned/")
    expect(mina.rows).to_have_count(8)
    mina.press("j")
    mina.points_at(tickets[30])
    mina.press("Enter")
    for n in (30, 31, 34, 35, 36, 37, 38, 39):
        mina.reads(tickets[n])
        words = "해결해 드렸습니다" if n in (34, 35) else f"That is done, {n}."
        if tickets[n].first_channel.kind == "email":
            mina.answers(tickets[n], words, send="Control+Shift+Enter")
            mina.press("u" if n == 39 else "j")
        else:
            mina.answers(tickets[n], words)
            mina.press("e")
    expect(mina.page.locator("#ticket[data-ticket]")).to_have_count(0)
    assert replies.release_due(now=timezone.now() + timedelta(seconds=31)) == 3
    expect(mina.rows).to_have_count(0)

    # What the morning did. One answer waits for the next one.
    left = Draft.objects.exclude(text="")
    wait_until(lambda: left.count() == 1, what="no draft is left but the one that waits")
    tomorrow = left.get()
    assert tomorrow.ticket == tickets[26] and at_her_place(crew, tomorrow.send_at) == "09:00"
    assert said_on(tickets[26]) == []
    assert replies.release_due(now=tomorrow.send_at) == 1
    assert mina.page.errors == []
    by = {24: "email"}
    assert [said_on(ticket) for ticket in tickets] == [
        [(words, by.get(n, ticket.first_channel.kind), "Mina") for words in mina.said[ticket.pk]]
        for n, ticket in enumerate(tickets)
    ]
    assert sum(map(len, mina.said.values())) == DeliveryPart.objects.count() == 32
    assert [noted_on(ticket) for ticket in tickets] == [mina.noted[ticket.pk] for ticket in tickets]
    usual = ("open", "Mina", "", 2, [])
    otherwise = {
        **dict.fromkeys(range(4), ("solved", "", "", 2, ["outage"])),
        **dict.fromkeys((4, 5, 6, 7, 30, 31, 34, 35, 36, 37, 38, 39), ("solved", "Mina", "", 2, [])),
        9: ("pending", "Mina", "", 3, ["refund"]),
        **dict.fromkeys((16, 17, 19), ("new", "", "", 2, [])),
        20: ("open", "Theo", "", 2, []),
        21: ("open", "Omar", "Billing", 2, []),
        23: ("open", "Mina", "", 3, ["vip"]),
    }
    assert {n: facts_of(ticket) for n, ticket in enumerate(tickets)} == {n: otherwise.get(n, usual) for n in range(40)}
    handed = Event.objects.get(ticket=tickets[21], kind="assigned", particulars__has_key="reason")
    assert handed.particulars["reason"] == "Was charged twice"
    slept = {n: ticket.snoozed_until for n, ticket in enumerate(Ticket.objects.order_by("pk")) if ticket.snoozed_until}
    assert sorted(slept) == [16, 17, 19]
    assert at_her_place(crew, slept[16]) == "10:00"


# -- The shop -----------------------------------------------------------------------------------------------------------


def answers_of_the_shop(crew: people.Cast) -> None:
    def make(title: str, **facts: Any) -> None:
        Macro.objects.create(title=title, owner=crew.admin, scope=Macro.Scope.SHARED, **facts)

    make("Parcel on its way", code="parcel", text="Dear customer, your parcel is on its way.")
    make(
        "환불 안내",
        code="refund",
        text="{{customer.name|고객님}}, 환불을 접수했습니다.",
        deeds=[
            {"do": "tag", "tags": ["refund"]},
            {"do": "priority", "priority": 3},
            {"do": "status", "status": "pending"},
        ],
    )


def is_korean(n: int) -> bool:
    """Four in Korean, four in English, and so on: each language on each channel."""
    return n // 4 % 2 == 0


def person(n: int) -> tuple[str, Sender]:
    """The kind of channel on which they write, and who they are."""
    kind, name = KINDS[n % 4], f"손님 {n}" if is_korean(n) else f"Guest {n}"
    known = {"webchat": {"visitor": f"visitor-{n}"}, "email": {"email": f"guest{n}@example.org"}}
    also = {"email": f"guest{n}@example.org"} if n == 24 else {}
    return kind, scene.sender(name, **known.get(kind, {"phone": f"+8210555500{n:02}"}), **also)


def writes(crew: people.Cast, n: int, text: str, *, minutes_ago: int = 0) -> Message:
    kind, who = person(n)
    at = timezone.now() - timedelta(minutes=minutes_ago)
    window = {"window_until": at + timedelta(hours=24)} if kind == "whatsapp" else {}
    return scene.says(crew.channels[kind], who, text, at=at, **window)


def overnight(crew: people.Cast) -> list[Ticket]:
    """Forty customers have written; who wrote first is the first of the inbox."""
    made = []
    for n in range(40):
        words = UNLIKE_OTHERS.get(n) or (KOREAN if is_korean(n) else ENGLISH)[n % 5]
        made.append(writes(crew, n, f"{words} ({1000 + n})", minutes_ago=60 - n).ticket)
    return made


def at_her_place(crew: people.Cast, moment: datetime) -> str:
    return moment.astimezone(ZoneInfo(crew.agent.time_zone)).strftime("%H:%M")


def said_on(ticket: Ticket) -> list[tuple[str, str, str]]:
    """The answers on a ticket: words, channel of the way they took, author."""
    answers = Message.objects.filter(ticket=ticket, direction="out", kind="public").order_by("seq")
    found = []
    for message in answers.select_related("route__channel", "agent"):
        channel: Channel = message.parts.get().channel
        assert message.route.ticket_id == ticket.pk and message.route.channel == channel == message.channel
        found.append((message.text, channel.kind, message.agent.name))
    return found


def noted_on(ticket: Ticket) -> list[str]:
    return list(Message.objects.filter(ticket=ticket, kind="note").order_by("seq").values_list("text", flat=True))


def facts_of(ticket: Ticket) -> tuple[str, str, str, int, list[str]]:
    now = Ticket.objects.select_related("assignee", "team").get(pk=ticket.pk)
    who, team = now.assignee, now.team
    tags = [tag.name for tag in now.tags.order_by("name")]
    return now.status, who.name if who else "", team.name if team else "", now.priority, tags


# -- The agent ----------------------------------------------------------------------------------------------------------


class Hands:
    """Ten fingers, and eyes that look before the next key. `said` and `noted` is what she remembers of it, by ticket."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.field = page.locator("#composer-text")
        self.log = page.locator("#thread-log")
        self.rows = page.locator("#rows > .row")
        self.said: dict[int, list[str]] = defaultdict(list)
        self.noted: dict[int, list[str]] = defaultdict(list)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def write(self, words: str) -> None:
        """Letter by letter; Korean through the input method, whose last syllable stays open."""
        if any("가" <= letter <= "힣" for letter in words):
            type_hangul(self.page, words)
        else:
            self.page.keyboard.type(words)

    def sees(self, place: Locator, words: str) -> None:
        expect(place).to_contain_text(words)

    def row(self, ticket: Ticket) -> Locator:
        return self.page.locator(f"#ticket-row-{ticket.pk}")

    def property(self, name: str) -> Locator:
        return self.page.locator(f"#property-{name}-button")

    def points_at(self, ticket: Ticket) -> None:
        expect(self.page.locator(".row.is-cursor")).to_have_attribute("data-ticket", str(ticket.pk))

    def reads(self, ticket: Ticket, words: str = "") -> None:
        """The ticket is open, with what its customer says, and can be answered."""
        expect(self.page.locator(f"#ticket[data-ticket='{ticket.pk}'] #thread-log")).to_contain_text(
            words or ticket.snippet
        )
        expect(self.page.locator(f"#composer[data-ticket='{ticket.pk}']")).to_be_visible()
        expect(self.page.locator("insert-menu:defined")).to_be_attached()

    def next(self, ticket: Ticket) -> None:
        self.press("j")
        self.reads(ticket)

    def answers(self, ticket: Ticket, words: str, *, send: str = "", by: str = "") -> None:
        self.press("r")
        expect(self.field).to_be_focused()
        self.write(words)
        self.sends(ticket, words, send=send, by=by)

    def sends(self, ticket: Ticket, words: str, *, send: str = "", by: str = "") -> None:
        """A chat leaves at once; a mail waits a moment, in which it can be taken back."""
        expect(self.field).to_have_value(words)
        is_mail = (by or ticket.first_channel.kind) == "email"
        send = send or ("Control+Enter" if is_mail else "Enter")
        self.press(send)
        sent = self.log.locator("[data-waiting]" if is_mail else ".message--out[id^=message]")
        expect(sent.filter(has_text=words)).to_have_count(1)
        expect(self.field).to_have_value("")
        if send == "Enter":  # in a chat one goes on writing
            expect(self.field).to_be_focused()
            self.press("Escape")
        self.said[ticket.pk].append(words)

    def answers_later(self, ticket: Ticket, words: str, *, when: str) -> None:
        self.press("r")
        expect(self.field).to_be_focused()
        self.write(words)
        self.tabs_to("[popovertarget=later-menu]")
        self.press("Enter")
        expect(self.page.locator("#later-menu")).to_be_visible()
        self.tabs_to("#later-menu input[type=text]")
        self.write(when)
        self.press("Enter")
        self.sees(self.log.locator("[data-waiting]"), "unless the customer writes first")
        expect(self.field).to_have_value("")
        self.said[ticket.pk].append(words)

    def chooses_the_way(self, kind: str, *, address: str) -> None:
        """How the customer is answered, from the picker beside the button that sends."""
        self.press("r")
        expect(self.field).to_be_focused()
        self.tabs_to(".routes > button")
        self.press("Enter")
        expect(self.page.locator("#route-menu [role=option]:focus")).to_have_attribute("aria-selected", "true")
        option = self.page.locator(f"#route-menu [role=option][data-kind={kind}]")
        for _n in range(self.page.locator("#route-menu [role=option]").count()):
            if option.evaluate("option => option === document.activeElement"):
                break
            self.press("ArrowDown")
        self.press("Enter")
        self.sees(self.page.locator(".routes > button"), address)

    def tabs_to(self, control: str) -> None:
        place = self.page.locator(control)
        for _n in range(15):
            if place.evaluate("control => control === document.activeElement"):
                return
            self.press("Tab")
        expect(place).to_be_focused()

    def takes_back(self, ticket: Ticket) -> None:
        self.press("z")
        expect(self.field).to_have_value(self.said[ticket.pk].pop())
        expect(self.field).to_be_focused()

    def notes(self, ticket: Ticket, words: str) -> None:
        self.press("n")
        expect(self.page.locator("#composer-note")).to_be_focused()
        self.write(words)
        self.press("Control+Enter")
        expect(self.log.locator(".message--note[id^=message]").filter(has_text=words)).to_have_count(1)
        self.noted[ticket.pk].append(words)

    def inserts(self, letters: str, title: str) -> None:
        """A ready answer, from the menu that is open."""
        self.sees(self.page.locator("#insert-list [role=option]").first, title)
        self.write(letters)
        expect(self.page.locator("#insert-list [role=option]")).to_have_count(1)
        self.press("Enter")

    def picks(self, menu: str, letters: str, *, why: str = "") -> None:
        """From a list that is narrowed by typing; tags are several, and Escape says that these are all."""
        expect(self.page.locator(f"{menu}-menu [role=combobox]")).to_be_focused()
        self.write(letters)
        if why:
            self.press("Tab")
            expect(self.page.locator(f"{menu}-menu [data-reason]")).to_be_focused()
            self.write(why)
        self.press("Enter")
        if "tag" in menu:
            expect(self.page.locator(f"{menu}-list [aria-selected=true]")).to_have_text(letters)
            self.press("Escape")
        expect(self.page.locator(f"{menu}-menu")).to_be_hidden()

    def snoozes(self, ticket: Ticket, words: str, *, shows: str) -> None:
        self.press("h")
        expect(self.page.locator("#snooze-menu [role=combobox]")).to_be_focused()
        self.write(words)
        options = self.page.locator("#snooze-menu-times [role=option]")
        if words:
            expect(options).to_have_count(1)
        self.sees(options.first, shows)
        self.press("Enter")
        expect(self.row(ticket)).to_have_count(0)
        self.sees(self.page.locator(f"#head-{ticket.pk} .chip"), ":")
