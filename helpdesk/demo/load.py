"""Loads the demo through the domain itself, each step at its own time in the past.

Nothing is inserted behind the back of the product: what customers say is kept as a RawEvent and goes through
`ingest`, what agents say through `replies`, routing decides, clocks run, surveys are asked and answered.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.utils import timezone, translation

from agents.models import Agent, Calendar, CalendarWindow, Membership, Team
from analytics import surveys
from analytics.models import Survey
from channels_in.models import RawEvent
from helpdesk.demo import macros
from helpdesk.demo.channels import fields as demo_channels
from helpdesk.demo.conversations import CONVERSATIONS, PEOPLE, Conversation, Line, Person
from tickets import actions, delivery, ingest, notifying, promises, replies, triggers
from tickets.contract import Identifier, InboundMessage, Receipt, Sender
from tickets.models import (
    Brand,
    Channel,
    Customer,
    DeliveryPart,
    Event,
    Identity,
    Message,
    Notification,
    Outbox,
    Rule,
    SavedView,
    SlaPolicy,
    Ticket,
    TicketField,
)
from tickets.models.event import by_agent
from tickets.models.sla import WAITING_STATUSES
from tickets.routing import assign, versions
from tickets.sla import clocks
from tickets.sla import versions as policy_versions

BRAND = "moa"
LOGINS = "logins.json"

STAFF = {
    "admin": ("한지민", "admin@moa.example", Agent.Role.OWNER, "ko", ()),
    "manager": ("Grace Park", "manager@moa.example", Agent.Role.MANAGER, "en", ()),
    "sua": ("이수아", "sua@moa.example", Agent.Role.AGENT, "ko", ("orders",)),
    "jun": ("박준", "jun@moa.example", Agent.Role.AGENT, "ko", ("orders", "products")),
    "olivia": ("Olivia Reed", "olivia@moa.example", Agent.Role.AGENT, "en", ("orders",)),
    "daniel": ("Daniel Kim", "daniel@moa.example", Agent.Role.AGENT, "en", ("products",)),
    "hana": ("최하나", "hana@moa.example", Agent.Role.AGENT, "ko", ("products",)),
}
TEAMS = {"orders": ("주문·배송 Orders", 0), "products": ("제품 상담 Products", 2)}
TAGGING = "products"  # the team that wants a tag before anybody solves
SEOUL = "Asia/Seoul"


def load(*, now: datetime | None = None) -> list[dict[str, str]]:
    """Everything, once. Returns the logins, which also stand in the data folder. Raises ValueError when data exists."""
    if Brand.objects.exists():
        raise ValueError("there is data already; clear it first")
    now = now or timezone.now()
    with transaction.atomic():
        logins, staff = _staff(now=now)
        brand = Brand.objects.create(key=BRAND, name="모아마켓 Moa Market", domain="moa.example", language="ko")
        teams = {team.name: team for team in Team.objects.all()}
        by_key = {key: teams[name] for key, (name, _hue) in TEAMS.items()}
        _rules(by_key, now=now)
        _fields()
        macros.prepare(staff=staff, teams=by_key)
        _views(staff)
        channels = _channels(brand, by_key)
        customers = {key: _customer(person, key) for key, person in PEOPLE.items()}
    for talk in sorted(CONVERSATIONS, key=lambda talk: -talk.hours):
        with transaction.atomic(), translation.override("ko"):
            _play(talk, channels=channels, customers=customers, staff=staff, now=now)
    triggers.drain(now=now, seconds=30)
    clocks.sweep(now=now)
    _tell_nobody(now=now)
    _keep_logins(logins)
    return logins


def _fields() -> None:
    known: tuple[tuple[str, str, str, list[str]], ...] = (
        ("order_id", "주문 번호 Order", "text", []),
        ("reason", "문의 사유 Reason", "choice", ["배송 Delivery", "교환·반품 Return", "환불 Refund", "제품 Product"]),
        ("amount", "금액 Amount", "number", []),
    )
    TicketField.objects.bulk_create(
        TicketField(key=key, label=label, kind=kind, choices=choices, position=position)
        for position, (key, label, kind, choices) in enumerate(known)
    )


def _tell_nobody(*, now: datetime) -> None:
    """The past of the demo is in everybody's list, read; only what happens from now on is news."""
    notifying.drain()
    Notification.objects.update(read_at=now, mail_owed=False)
    Outbox.objects.filter(kind=notifying.MAIL).delete()


def _staff(*, now: datetime) -> tuple[list[dict[str, str]], dict[str, Agent]]:
    calendar = Calendar.objects.create(name="서울 Seoul", time_zone=SEOUL, holiday_country="KR", is_default=True)
    CalendarWindow.objects.bulk_create(
        CalendarWindow(calendar=calendar, weekday=day, opens=opens, closes=closes)
        for day in range(7)
        for opens, closes in [(time(8), time(12)), (time(13), time(22))]
    )
    teams = {
        key: Team.objects.create(name=name, hue=hue, calendar=calendar, act_minutes=240, needs_tag=key == TAGGING)
        for key, (name, hue) in TEAMS.items()
    }
    logins: list[dict[str, str]] = []
    staff: dict[str, Agent] = {}
    for key, (name, email, role, language, of) in STAFF.items():
        password = secrets.token_urlsafe(12)
        agent = Agent.objects.create_user(
            email, password, name=name, role=role, language=language, capacity=8, presence=Agent.Presence.ONLINE
        )
        Membership.objects.bulk_create(Membership(agent=agent, team=teams[team]) for team in of)
        logins.append({"email": email, "password": password, "name": name, "role": role.value})
        staff[key] = agent
    minutes = {
        Ticket.Priority.URGENT: 15,
        Ticket.Priority.HIGH: 30,
        Ticket.Priority.NORMAL: 120,
        Ticket.Priority.LOW: 480,
    }
    replies = {  # what is urgent counts round the clock
        (metric, p.value): (n * 60, p != Ticket.Priority.URGENT)
        for p, n in minutes.items()
        for metric in ("first_reply", "next_reply")
    }
    solutions = {("resolution", p.value): (n * 60 * 16, True) for p, n in minutes.items()}
    policy = SlaPolicy(name="기본 Standard", calendar=calendar, warn_percents=[75], pauses_in=list(WAITING_STATUSES))
    policy_versions.save(policy, replies | solutions, by=None, now=now)
    return logins, staff


def _rules(teams: dict[str, Team], *, now: datetime) -> None:
    def leaf(field: str, op: str, value: Any) -> dict[str, Any]:
        return {"field": field, "op": op, "value": value}

    products = [
        "세탁",
        "정수기",
        "필터",
        "니트",
        "의자",
        "lamp",
        "mug",
        "zip",
        "speaker",
        "recipe",
        "raincoat",
        "견적",
        "quote",
    ]
    ordered = [
        Rule(
            name="식품 파손은 긴급 · Broken food is urgent",
            conditions={"all": [leaf("text", "contains", ["계란", "우유", "한우", "벌레"])]},
            actions=[{"do": "priority", "priority": 4}, {"do": "tags", "add": ["식품"]}],
        ),
        Rule(
            name="우수 고객은 높음 · VIPs first",
            conditions={"all": [leaf("customer_tier", "is", ["vip"])]},
            actions=[{"do": "priority", "priority": 3}],
        ),
        Rule(
            name="재촉하시면 높음 · Asks again in a hurry",
            when=Rule.When.CUSTOMER_REPLIED,
            conditions={
                "all": [
                    leaf("said", "contains", ["꼭", "급해", "아직도", "urgent", "still", "not there"]),
                    leaf("said_by", "is", ["person"]),
                    leaf("priority", "at_most", Ticket.Priority.NORMAL.value),  # it raises, and lowers nothing
                ]
            },
            actions=[{"do": "priority", "priority": 3}, {"do": "tags", "add": ["재촉"]}],
        ),
        Rule(
            name="늦는 택배는 높음 · Late parcels",
            active=False,  # a draft: its page offers to try it on the past
            conditions={"all": [leaf("text", "contains", ["배송조회", "안 왔", "nothing here"])]},
            actions=[{"do": "priority", "priority": 3}],
        ),
        Rule(
            name="제품 문의 → 제품 상담 · Product questions",
            conditions={"any": [leaf("text", "contains", products), leaf("tag", "has", ["정수기"])]},
            actions=[{"do": "team", "team": teams["products"].pk}],
            stop=True,
        ),
        Rule(
            name="나머지 → 주문·배송 · Everything else",
            conditions={},
            actions=[{"do": "team", "team": teams["orders"].pk}],
        ),
    ]
    for rule in ordered:
        versions.save(rule, by=None, now=now)


def _views(staff: dict[str, Agent]) -> None:
    """One for everybody, with columns of its own, on G 1."""
    columns = SavedView.Column
    SavedView.objects.create(
        name="견적·단체 Quotes",
        owner=staff["manager"],
        scope=SavedView.Scope.SHARED,
        base="inbox",
        query="tag:견적,quote,단체,b2b",
        hidden=[columns.CHANNEL.value, columns.PRIORITY.value, columns.TAGS.value],
        hue=3,
        number=1,
    )


def _channels(brand: Brand, teams: dict[str, Team]) -> dict[str, Channel]:
    """Four channels whose providers are the simulated ones of this very server."""
    return {
        kind: Channel.objects.create(kind=kind, brand=brand, team=teams["orders"], **fields)
        for kind, fields in demo_channels().items()
    }


def _customer(person: Person, key: str) -> Customer:
    customer = Customer.objects.create(
        name=person.name,
        language=person.language,
        tier=person.tier,
        organisation=person.organisation,
        since=f"{person.since}-03-02" if person.since else None,
        time_zone=SEOUL if person.language == "ko" else "Europe/London",
    )
    Identity.objects.bulk_create(
        Identity(
            customer=customer, kind=kind, scope=scope, value=value, verified=True, evidence="shop", name=person.name
        )
        for kind, scope, value in [
            ("phone", "", person.phone),
            ("email", "", person.email),
            ("webchat", BRAND, f"member-{key}"),
        ]
    )
    return customer


def _play(
    talk: Conversation,
    *,
    channels: dict[str, Channel],
    customers: dict[str, Customer],
    staff: dict[str, Agent],
    now: datetime,
) -> None:
    at, ticket, channel = now - timedelta(hours=talk.hours), None, channels[talk.channel]
    for n, line in enumerate(talk.lines):
        at = min(at + timedelta(minutes=line.minutes), now - timedelta(seconds=20))
        if line.what == "in":
            channel = channels[line.channel] if line.channel else channel
            message = _hear(talk, line, n, channel=channel, at=at)
            if ticket is None or ticket.pk != message.ticket_id:
                ticket = Ticket.objects.get(pk=message.ticket_id)
                if talk.tags and n == 0:
                    actions.change_tags(ticket, add=talk.tags, by=by_agent(staff["admin"]), now=at)
            _route(ticket, staff, at=at + timedelta(seconds=5))
            if n:  # they have written again
                triggers.drain(now=at + timedelta(seconds=6), seconds=5)
        elif ticket is not None:
            ticket.refresh_from_db()
            _answer(ticket, line, staff=staff, at=at, now=now)


def _hear(talk: Conversation, line: Line, n: int, *, channel: Channel, at: datetime) -> Message:
    person, key = PEOPLE[talk.person], talk.person
    identifier = {
        "email": Identifier("email", "", person.email, True, "dmarc"),
        "webchat": Identifier("webchat", BRAND, f"member-{key}", True, "signed"),
    }.get(channel.kind, Identifier("phone", "", person.phone, True, "carrier"))
    external = f"demo-{hashlib.sha256(f'{key}{talk.channel}{talk.hours}{n}'.encode()).hexdigest()[:20]}"
    is_mail = channel.kind == "email"
    said = InboundMessage(
        external_message_id=external,
        sender=Sender(identifiers=(identifier,), name=person.name, locale=person.language),
        sent_at=at,
        text=line.text,
        subject=talk.subject if is_mail and n == 0 else f"Re: {talk.subject}" if is_mail else "",
        to=(channel.address,) if is_mail else (),
        rfc_message_id=f"<{external}@example.com>" if is_mail else "",
        window_until=at + timedelta(hours=24) if channel.kind == "whatsapp" else None,
    )
    raw = json.dumps({"demo": external, "text": line.text}, ensure_ascii=False).encode()
    sha = hashlib.sha256(raw).hexdigest()
    event = RawEvent.objects.create(
        channel=channel, dedupe_key=external, raw=raw, raw_sha256=sha, body_sha256=sha, received_at=at,
        state=RawEvent.State.DONE, outcome=RawEvent.Outcome.TICKETED, finished_at=at, auth_result="demo",
    )  # fmt: skip
    message = ingest.receive(channel, said, raw_event_id=event.pk, part=0, received_at=at, now=at)
    RawEvent.objects.filter(pk=event.pk).update(message_id=message.pk)
    return message


def _route(ticket: Ticket, staff: dict[str, Agent], *, at: datetime) -> None:
    """Everybody is at work at that moment; routing decides as it always does."""
    Agent.objects.filter(pk__in=[agent.pk for agent in staff.values()]).update(seen_at=at)
    assign.assign(ticket.pk, now=at)


def _answer(ticket: Ticket, line: Line, *, staff: dict[str, Agent], at: datetime, now: datetime) -> None:
    agent = staff[line.by] if line.by else ticket.assignee or staff["sua"]
    match line.what:
        case "out":
            choices = [choice for choice in replies.routes_for(ticket, now=at) if choice.reachable and choice.route]
            used = max(choices, key=lambda choice: choice.route.last_used_at)  # type: ignore[union-attr]
            replies.post(
                ticket, agent=agent, text=line.text, route=used, client_uuid=uuid.uuid4(), seen_message_id=None, now=at
            )
            _deliver(ticket, at=at)
        case "note":
            replies.note(ticket, agent=agent, text=line.text, client_uuid=uuid.uuid4(), now=at)
        case "pending" | "hold":
            actions.set_status(ticket, "pending" if line.what == "pending" else "on_hold", by=by_agent(agent), now=at)
        case "snooze":
            morning = timezone.localtime(at, ZoneInfo(SEOUL)).replace(hour=9, minute=0, second=0, microsecond=0)
            actions.snooze(ticket, until=morning + timedelta(days=line.days), by=by_agent(agent), now=at)
        case "promise":
            due_at = now + timedelta(hours=line.hours)
            promises.make(ticket, text=line.text, due_at=due_at, owner=agent, by=by_agent(agent), now=at)
        case "solve":
            actions.solve(ticket, by=by_agent(agent), now=at)
            event = Event.objects.filter(ticket=ticket, kind="solved").order_by("-id").first()
            if event is not None:
                surveys.ask(event, now=at + surveys.DELAY)
                _deliver(ticket, at=at + surveys.DELAY)
        case "rate":
            survey = Survey.objects.filter(ticket=ticket, skipped="").order_by("-id").first()
            if survey is not None:
                surveys.answer(survey.token, score=line.score, comment=line.text, now=at)


def _deliver(ticket: Ticket, *, at: datetime) -> None:
    """What left in the past has arrived, and was read where the channel can say so."""
    for part in DeliveryPart.objects.filter(ticket=ticket, state="queued").select_related("channel"):
        reached = {"email": ("sent",), "sms": ("sent", "delivered")}.get(
            part.channel.kind, ("sent", "delivered", "read")
        )
        for seconds, state in enumerate(reached):
            receipt = Receipt(state=state, at=at + timedelta(seconds=seconds * 40 + 2), part_uuid=str(part.send_uuid))  # type: ignore[arg-type]
            delivery.apply_receipt(part.channel, receipt, now=at + timedelta(seconds=seconds * 40 + 2))


def _keep_logins(logins: list[dict[str, str]]) -> None:
    path = settings.DATA_DIR / LOGINS
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(json.dumps(logins, indent=1, ensure_ascii=False))
