"""The product speaks Korean: every text, in the words of its glossary, and no English between them on the screens."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone, translation

from agents.forms import zones
from agents.models import Agent, Calendar, Team
from analytics import surveys
from analytics.models import Survey
from channels_in.simulator.people import FIRST_CAST
from channels_in.webchat.texts import panel_texts
from helpdesk.words import catalog_of, fill, merge, messages_of
from tests import addresses
from tests.addresses import World
from tests.cast import PASSWORD, Cast
from tests.workspace import scene
from tickets import actions
from tickets.models import Brand, Channel, Ticket
from tickets.models.event import by_agent

ROOT = Path(__file__).resolve().parent.parent
KOREAN = ROOT / "locale" / "ko" / "LC_MESSAGES" / "django.po"

PLACEHOLDER = re.compile(r"%\((\w+)\)[0-9.]*[sd]|\{(\w+)\}")
PARTICLES = "을|를|이|가|은|는|와|과|으로|로|아|야|이나|이랑|랑|이라|라"
GLUED = re.compile(rf"(?:%\(\w+\)[0-9.]*[sd]|\{{\w+\}})[”’\"')\]」]*(?:</\w+>)?(?:{PARTICLES})(?![가-힣])")
AVOIDED = ("에이전트", "팀 동료", "받은 편지함", "발권", "지식 기반", "착신 메시지", "티켓", "서비스 제공사")
GLOSSARY = {
    "Agent": "상담원", "Manager": "매니저", "Admin": "관리자", "Assignee": "담당자", "Unassigned": "미배정", "Team": "팀",
    "Ticket": "상담", "Conversation": "대화", "Internal note": "내부 메모", "Customer note": "고객 메모", "Merge": "병합",
    "New": "신규", "Open": "진행 중", "Pending": "고객 답변 대기", "On hold": "내부 처리 대기", "Solved": "해결",
    "Closed": "종료", "Snoozed": "보류", "Assign": "배정", "Apply a macro": "매크로 적용", "VIP": "우수 고객",
    "Sending": "보내는 중", "Sent": "발송됨", "Delivered": "전달됨", "Read": "읽음", "Failed": "실패",
    "Unconfirmed": "발송 확인 필요", "First reply time": "최초응답시간(FRT)", "CSAT": "고객만족도(CSAT)",
    "Your conversations": "문의 내역",
}  # fmt: skip


# -- The catalogue ----------------------------------------------------------------------------------------------------


def pairs() -> list[tuple[str, str]]:
    """Each English text, singular and plural apart, with each of its translations."""
    return [
        (source, target)
        for entry in catalog_of(KOREAN)
        if entry.id
        for source in ([entry.id] if isinstance(entry.id, str) else entry.id)
        for target in ([entry.string] if isinstance(entry.string, str) else entry.string)
    ]


def names_in(text: str) -> set[str]:
    return {named or braced for named, braced in PLACEHOLDER.findall(text)}


def test_every_marked_text_is_in_korean_and_nothing_is_kept_that_nobody_uses() -> None:
    found, catalog = messages_of(ROOT), catalog_of(KOREAN)
    assert len(found) > 900
    kept = {
        (entry.context or "", entry.id if isinstance(entry.id, str) else entry.id[0]) for entry in catalog if entry.id
    }
    assert kept == {(context, text if isinstance(text, str) else text[0]) for context, text in found}
    assert merge(catalog, found) == []


def test_placeholders_tags_and_the_space_around_a_text_are_the_same_in_korean() -> None:
    for source, target in pairs():
        assert names_in(source) == names_in(target), source
        assert sorted(re.findall(r"<[^>]*>", source)) == sorted(re.findall(r"<[^>]*>", target)), source
        if "%" in source:
            assert "%" not in PLACEHOLDER.sub("", target.replace("%%", "")), source
        assert re.findall(r"^\s*|\s*$", source) == re.findall(r"^\s*|\s*$", target), source


@pytest.mark.parametrize(
    "bad", ["%(name)s이 입력 중", "“%(name)s”을 추가", "{when}로 옮김", "<b>%(tag)s</b>는", "%(n)s와 함께"]
)
def test_a_glued_particle_is_recognised(bad: str) -> None:
    assert GLUED.search(bad)


def test_no_particle_depends_on_what_is_filled_in() -> None:
    assert [target for _source, target in pairs() if GLUED.search(target)] == []


def test_the_glossary_is_kept() -> None:
    catalog = catalog_of(KOREAN)
    assert {source: catalog.get(source).string for source in GLOSSARY} == GLOSSARY
    for source, target in pairs():
        assert not [word for word in AVOIDED if word in target], source


def test_a_text_that_gained_a_plural_is_asked_for_again_and_gaps_are_filled() -> None:
    catalog = catalog_of(KOREAN)
    found = {("", "Solve"): "a.py", ("", ("Team", "Teams here")): "b.py", ("", "A new text"): "c.py"}
    assert set(merge(catalog, found)) == {("", ("Team", "Teams here")), ("", "A new text")}
    other = catalog_of(KOREAN)
    other.add("A new text", "새 글")
    other.add("Solve", "다른 말")
    fill(catalog, other)
    assert [catalog.get("A new text").string, catalog.get("Solve").string] == ["새 글", "해결"]
    assert merge(catalog, found) == [("", ("Team", "Teams here"))]


# -- The screens ------------------------------------------------------------------------------------------------------

#: Names and technical words that stay as they are in Korean.
LATIN = {
    "WhatsApp", "Twilio", "Meta", "Business", "SMS", "MMS", "SLA", "CSAT", "FRT", "API", "ID", "SID", "IMAP",
    "SMTP", "IDLE", "TLS", "STARTTLS", "JWT", "HTML", "HTTP", "POST", "QR", "PEM", "BEGIN", "PUBLIC", "KEY", "HS", "VIP", "MB",
    "INBOX", "Enter", "Ctrl", "Shift", "Esc", "Tab", "English", "Ed", "Authentication", "Results", "rfc", "Basic", "MG", "AC", "UTC", "Asia", "Seoul", "JavaScript",
    "Mod", "pdf", "ko", "https",
}  # fmt: skip
QUOTED = re.compile(
    r"“[^”]*”|\{\{[^}]*\}\}|</?\w+>|Meta for Developers|message/rfc822"
)  # what stands so on screens of others
ADDRESSES = re.compile(r"\S+@\S*|https?://\S+|\b[\w-]+(?:\.[\w-]+)*\.(?:example|com|js)\b\S*|^/\S*$")
SPOKEN = ("aria-label", "title", "placeholder", "alt")
SILENT = {"script", "style", "code", "pre"}


class Texts(HTMLParser):
    """What a page says: its text nodes, and the attributes that people see or hear; `words` is what the modules say."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.silent = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in SILENT
        self.said += [value for name, value in attrs if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in SILENT

    def handle_data(self, data: str) -> None:
        if not self.silent and data.strip():
            self.said.append(data.strip())


def english_in(texts: list[str]) -> list[str]:
    """The texts with a Latin word of two letters or more that Korean does not use as well."""
    names = {name for zone in zones() for name in zone} | {person.name for person in FIRST_CAST}
    found = []
    for text in texts:
        bare = text
        for pattern in (PLACEHOLDER, QUOTED, ADDRESSES):
            bare = pattern.sub(" ", bare)
        if text not in names and set(re.findall(r"[A-Za-z]{2,}", bare)) - LATIN:
            found.append(text)
    return found


@pytest.fixture
def korean_cast(cast: Cast) -> Cast:
    return speaking_korean(cast)


def speaking_korean(cast: Cast) -> Cast:
    """Everything that people named is in Korean, so that what is left in English is ours."""
    Brand.objects.update(name="모아마켓")
    Team.objects.filter(pk=cast.support.pk).update(name="주문 배송")
    Team.objects.filter(pk=cast.billing.pk).update(name="결제")
    for n, agent in enumerate(Agent.objects.order_by("pk")):
        Agent.objects.filter(pk=agent.pk).update(name=f"{'김이박최정'[n]}하나", language="ko", time_zone="Asia/Seoul")
    for kind, name in (("sms", "문자"), ("whatsapp", "왓츠앱"), ("webchat", "채팅"), ("email", "메일")):
        Channel.objects.filter(pk=cast.channels[kind].pk).update(name=name, language="ko")
        cast.channels[kind].refresh_from_db()
    for who in (cast.agent, cast.teammate, cast.outsider, cast.manager, cast.admin):
        who.refresh_from_db()
    Calendar.objects.update(name="평일")
    return cast


def at_work(cast: Cast) -> tuple[Ticket, Survey]:
    """A ticket with everything in its thread, and a survey that waits for its answer."""
    now = timezone.now() - timedelta(hours=3)
    who = scene.sender("김서연", phone="+821055510001", email="seoyeon@mail.example")
    ticket = scene.says(cast.sms, who, "주문한 컵이 깨져서 왔어요.", at=now).ticket
    Ticket.objects.filter(pk=ticket.pk).update(team=cast.support)
    ticket.refresh_from_db()
    by = by_agent(cast.agent)
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=by, now=now)
    actions.set_priority(ticket, 4, by=by, now=now)
    actions.change_tags(ticket, add=["파손"], remove=[], by=by, now=now)
    scene.answers(ticket, cast.agent, "사진을 보내 주시겠어요?", at=now + timedelta(minutes=5))
    scene.notes(ticket, cast.agent, "창고에 확인했습니다.", at=now + timedelta(minutes=6))
    scene.says(cast.email, who, "사진 보냅니다.", at=now + timedelta(minutes=7))
    done = scene.says(cast.sms, scene.sender("박지훈", phone="+821055510002"), "감사합니다.", at=now).ticket
    scene.answers(done, cast.agent, "네, 좋은 하루 보내세요.", at=now + timedelta(minutes=1))
    actions.solve(Ticket.objects.get(pk=done.pk), by=by, now=now + timedelta(minutes=2))
    surveys.sweep(now=now + timedelta(hours=1))
    survey = Survey.objects.get(ticket=done)
    assert survey.skipped == ""
    ticket.refresh_from_db()
    return ticket, survey


def other_states(cast: Cast) -> list[str]:
    """Pages that are not ours alone, and those that look different by what stands behind their address."""
    kinds = ("sms", "whatsapp", "webchat", "email")
    return [
        *(f"/views/{name}/" for name in ("mine", "unassigned", "snoozed", "solved", "board-late")), "/reports/?days=7d",
        *(f"/reports/tickets/{metric}/" for metric in ("solved", "answered", "waiting", "rated")),
        *(f"/settings/channels/new/{kind}/" for kind in kinds), *(f"/settings/channels/{cast.channels[kind].pk}/" for kind in kinds),
        *(f"/settings/dead-letters/?kind={kind}" for kind in ("items", "replies", "webhooks")),
        *(f"/settings/answers/{cast.channels[kind].pk}/" for kind in kinds), "/settings/rules/condition/?n=1&field=channel",
        "/search/?q=컵", "/search/?q=is:없음 상태:어제", "/bulk/snooze/?q=내일", "/people/?q=zz", "/simulator/",
        "/accounts/password/change/", "/accounts/logout/", "/accounts/2fa/",
    ]  # fmt: skip


def test_no_page_of_a_korean_admin_says_anything_in_english(korean_cast: Cast) -> None:
    world = World(korean_cast, timezone.now())
    world.fill(2)
    client = Client()
    client.force_login(korean_cast.admin, backend="django.contrib.auth.backends.ModelBackend")
    shown = {}
    ours = [world.address(name, route) for name, route in addresses.pages() if name != "styleguide"]  # samples
    for path in [*ours, *other_states(korean_cast)]:
        response = client.get(path)
        assert response.status_code in (200, 302, 405), path  # others lead elsewhere or take a POST
        if response.status_code == 200 and response["Content-Type"].startswith("text/html"):
            shown[path] = english_in(Texts(response.content.decode()).said)
    assert len(shown) > 100
    assert [(path, texts) for path, texts in shown.items() if texts] == []
    words = re.search(r'<script id="words"[^>]*>(.*?)</script>', client.get("/").content.decode(), re.DOTALL)
    assert words and english_in(list(json.loads(words[1]).values())) == []


def test_the_same_look_at_an_english_page_finds_english(korean_cast: Cast) -> None:
    Agent.objects.filter(pk=korean_cast.admin.pk).update(language="en")
    client = Client()
    client.force_login(Agent.objects.get(pk=korean_cast.admin.pk), backend="django.contrib.auth.backends.ModelBackend")
    for path in ("/", "/reports/", "/settings/channels/", "/settings/rules/new/"):
        assert len(english_in(Texts(client.get(path).content.decode()).said)) > 10, path


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/settings/people/new/", {"email": "no address"}),
        ("/settings/people/new/", {"name": "최하나", "email": "ada@helpdesk.example"}),
        ("/settings/hours/new/", {"name": "", "day_0": "18:00-09:00", "day_1": "x", "closings": "모레"}),
        ("/settings/channels/new/sms/", {"address": "12", "account_sid": "x"}),
        ("/settings/channels/new/email/", {"address": "x", "imap_host": "imap.example"}),
        ("/settings/channels/new/webchat/", {"origins": "가게", "slug": "한글"}),
        ("/settings/channels/new/whatsapp/", {"address": "12", "account_id": "x"}),
        ("/settings/rules/new/", {"name": "", "when": "created"}),
        ("/settings/sla/new/", {"name": "빠르게", "warn": "200"}),
        ("/accounts/password/change/", {"oldpassword": "x", "password1": "1", "password2": "2"}),
    ],
)
def test_what_a_form_refuses_is_said_in_korean(korean_cast: Cast, path: str, fields: dict[str, str]) -> None:
    client = Client()
    client.force_login(Agent.objects.get(pk=korean_cast.admin.pk), backend="django.contrib.auth.backends.ModelBackend")
    response = client.post(path, fields)
    assert response.status_code in (200, 422), "it was taken"
    typed = set(fields.values())
    assert [text for text in english_in(Texts(response.content.decode()).said) if text not in typed] == []


def test_a_korean_visitor_reads_korean(korean_cast: Cast) -> None:
    _ticket, survey = at_work(korean_cast)
    client = Client(headers={"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.5"})
    chat = f"/chat/{korean_cast.webchat.slug}/"
    for path, status in [
        ("/accounts/login/", 200), ("/accounts/password/reset/", 200), ("/no/such/page/", 404), (chat, 200),
        (f"{chat}panel/", 200), (f"/survey/{survey.token}/", 200),
    ]:  # fmt: skip
        response = client.get(path)
        assert response.status_code == status, path
        assert english_in(Texts(response.content.decode()).said) == [], path
    with translation.override("ko"):
        assert english_in(list(panel_texts("모아마켓").values())) == []
    assert "상담은 어떠셨나요?" in Ticket.objects.get(pk=survey.ticket_id).messages.get(pk=survey.message_id).text


def test_the_mail_with_a_link_for_a_new_password_is_in_korean(
    korean_cast: Cast, mailoutbox: list[EmailMessage]
) -> None:
    client = Client(headers={"Accept-Language": "ko"})
    assert client.post("/accounts/password/reset/", {"email": korean_cast.agent.email}).status_code == 302
    assert "비밀번호" in mailoutbox[0].subject
    assert "/accounts/password/reset/key/" in mailoutbox[0].body
    said = "\n".join([mailoutbox[0].subject, mailoutbox[0].body]).replace("testserver", "")  # its own name
    assert english_in(said.splitlines()) == []


def test_signing_in_says_nothing_but_the_page(korean_cast: Cast) -> None:
    client = Client()
    client.post("/accounts/login/", {"login": korean_cast.admin.email, "password": PASSWORD})
    said = Texts(client.get("/settings/profile/").content.decode()).said
    assert korean_cast.admin.name in said, "she is signed in"
    assert not [text for text in said if "로그인" in text]
