"""Every address of the workspace, its settings and its reports, from the list of addresses itself, and a workspace in
which each of them has something to show. A new address is in it by itself; one with a part that nobody here knows
fails, and says so. All that people wrote and named in it is in Korean, so that what is in English is ours.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from agents.models import Agent, AgentSkill, Calendar, CalendarWindow, Membership, Skill, Team
from analytics.models import Answer, Survey
from channels_in.models import RawEvent
from tests.cast import Cast, make_agent, make_channel
from tests.workspace import scene
from tickets import actions, identities, promises
from tickets.models import (
    Attachment,
    AutomaticAnswer,
    AutomaticReply,
    BulkJob,
    BulkRow,
    Customer,
    DeliveryPart,
    Draft,
    Follower,
    Identity,
    Incident,
    Macro,
    MacroFile,
    MacroUse,
    Message,
    MessageTemplate,
    Notification,
    Outbox,
    Promise,
    PushSubscription,
    Route,
    RoutingDecision,
    Rule,
    RuleMatch,
    RuleRun,
    RuleTrial,
    RuleTrialRow,
    RuleVersion,
    SavedView,
    Signature,
    SlaPolicy,
    SlaTarget,
    SlaTrial,
    SlaTrialPromise,
    SlaTrialTicket,
    StaffingTrial,
    Tag,
    Ticket,
    TicketField,
    TicketLink,
    Webhook,
)
from tickets.models.event import by_agent

OURS = ("tickets.workspace.", "agents.views", "analytics.views", "channels_in.views.")
CONDITIONS = {"all": [{"field": "text", "op": "contains", "value": ["환불"]}]}

# What stands behind a page's address. Without an entry it is asked without a query.
QUERIES = {
    "bulk_macros": "?q=매크로",
    "condition_row": "?field=text",
    "customers": "?q=고객",
    "live": "?after={event}",
    "marks": "?ids={tickets}",
    "palette": "?q=고객",
    "people": "?q=상담원",
    "rule_trial": "?all=1",
    "message_templates": "?route={route}",
    "search": "?q=질문",
    "tags_known": "?q=꼬리표",
}
# Addresses of single things that have no rows, or whose rows are those of another page.
APART = {
    "survey": "for customers, of one ticket",
    "picture": "a picture of somebody else's server",
    "file": "the bytes of a file",
    "notification_unsubscribe": "for one person, by a mail",
    "message_body": "one mail",
}


class World:
    """A workspace in which there are as many of everything as one asks for."""

    def __init__(self, cast: Cast, now: datetime) -> None:
        self.cast, self.now, self.admin = cast, now, cast.admin
        self.n = 0
        who = scene.sender("김지우", phone="+821011112222", email="jiwoo@example.org")
        self.who = who
        self.message = scene.says(cast.sms, who, "환불 질문", at=now - timedelta(days=1))
        self.ticket = self.message.ticket
        self.ticket.assignee = self.admin
        Ticket.objects.filter(pk=self.ticket.pk).update(team=cast.support, assignee=self.admin)
        self.customer = self.ticket.customer
        self.route = Route.objects.create(
            ticket=self.ticket, channel=cast.whatsapp, identity=self.customer.identities.get(kind="phone"),
            last_used_at=now - timedelta(days=30),
        )  # fmt: skip
        self.other_customer = scene.says(
            cast.sms, scene.sender("박지우", phone="+821099998888"), "질문", at=now - timedelta(days=1)
        ).ticket.customer
        self.rule = Rule.objects.create(name="환불", conditions=CONDITIONS, actions=[{"do": "priority", "priority": 3}])
        self.policy = SlaPolicy.objects.create(name="우수", conditions={})
        self.macro = self._macro(0)
        self.view = SavedView.objects.create(name="나의 상담", owner=self.admin, base="all")
        self.incident = Incident.objects.create(
            brand=cast.brand, title="장애", text_en="", text_ko="알고 있어요.", opened_by=cast.manager
        )
        self.job = BulkJob.objects.create(
            agent=self.admin, do="status", value={"status": "solved"}, state="done", total=9
        )
        self.rule_trial = RuleTrial.objects.create(
            agent=self.admin, rule=self.rule, tried=0, total=60, finished_at=now,
            rules=[{"id": self.rule.pk, "name": "환불", "conditions": CONDITIONS, "actions": []}],
        )  # fmt: skip
        self.sla_trial = SlaTrial.objects.create(
            agent=self.admin, policy=self.policy, tried=0, span="last", total=60, seen=60, finished_at=now,
            policies=[{"id": self.policy.pk, "name": "우수", "conditions": {}}],
        )  # fmt: skip
        self.staffing_trial = self._staffing()
        self.skill = Skill.objects.create(name="반품")
        self.field = TicketField.objects.create(key="reason", label="사유", kind="choice", choices=["파손", "분실"])
        self.conditions = {
            "all": [
                *CONDITIONS["all"],
                {"field": "brand", "op": "is", "value": [cast.brand.pk]},
                {"field": "field.reason", "op": "is", "value": ["파손"]},
            ]
        }  # which name what is in the database
        self.webhook = Webhook.objects.create(url="https://hooks.example.com/0", events=["solved"], active=False)
        self.calendar = Calendar.objects.create(name="서울", time_zone="Asia/Seoul", is_default=True)
        self.join = identities.join(
            self.customer, Customer.objects.create(name="쌍둥이", created_at=now), by=by_agent(self.admin),
            reason="agent", evidence={}, now=now,
        )  # fmt: skip
        self.raw = self._quarantined(0)
        self.promise = self._promise(0)
        self.upload = Attachment.objects.create(uploaded_by=self.admin, name="영수증.pdf", sha256="0" * 64)

    def fill(self, n: int) -> None:
        """Up to `n` of everything: on this one ticket, of this one customer, and in the workspace."""
        scene.many(self.cast, n, now=self.now, who="고객", words="질문")
        tickets = list(Ticket.objects.exclude(pk=self.ticket.pk).order_by("pk"))
        for i in range(self.n, n):
            self._workspace(i, tickets[i])
            self._ticket(i, tickets[i])
            self._customer(i)
            self._own(i, tickets[i])
        self.n = n

    def _workspace(self, i: int, ticket: Ticket) -> None:
        cast, now = self.cast, self.now
        calendar = Calendar.objects.create(name=f"시간표 {i}", time_zone="Asia/Seoul")
        CalendarWindow.objects.create(calendar=calendar, weekday=i % 7, opens=time(9), closes=time(18))
        team = Team.objects.create(name=f"팀 {i}", calendar=calendar)
        agent = make_agent(f"상담원{i}", team=team, presence="online", seen_at=now)
        Membership.objects.create(agent=agent, team=cast.support)
        skill = Skill.objects.create(name=f"기술 {i}")
        AgentSkill.objects.create(agent=agent, skill=skill)
        kind = ("text", "number", "date", "yes_no")[i % 4]
        TicketField.objects.create(
            key=f"field_{i}", label=f"항목 {i}", kind=kind, team=cast.support, required=True, active=i % 5 < 4
        )
        tag = Tag.objects.create(name=f"꼬리표{i}")
        ticket.tags.add(tag)
        self.ticket.tags.add(tag)
        Ticket.objects.filter(pk=ticket.pk).update(
            team=team, assignee=agent, status="open", incident=self.incident, next_due_at=now + timedelta(minutes=5)
        )
        solved = scene.says(
            cast.sms, scene.sender(f"해결 {i}", phone=f"+8210{30000000 + i}"), "질문", at=now - timedelta(hours=1)
        ).ticket
        actions.solve(solved, by=by_agent(agent), now=now)
        survey = Survey.objects.create(
            ticket=solved, solve_event_id=i + 1, token=f"token{i}", channel=cast.sms, agent=agent, team=team,
            expires_at=now + timedelta(days=7),
        )  # fmt: skip
        Answer.objects.create(survey=survey, score=5, comment="고마워요")
        rule = Rule.objects.create(
            name=f"규칙 {i}", conditions=self.conditions, position=i + 1,
            actions=[{"do": "team", "team": team.pk}, {"do": "tags", "add": [f"꼬리표{i}"]}],
        )  # fmt: skip
        RuleMatch.objects.create(rule=rule, ticket=ticket)
        RuleVersion.objects.create(
            rule=self.rule, number=i + 2, content={"name": "환불", "conditions": self.conditions}, by=agent
        )
        policy = SlaPolicy.objects.create(
            name=f"정책 {i}", position=i + 1, conditions=self.conditions, calendar=calendar
        )
        SlaTarget.objects.create(policy=policy, metric="first_reply", priority=2, seconds=3600)
        self._macro(i + 1, team=team)
        Incident.objects.create(brand=cast.brand, title=f"장애 {i}", opened_by=agent)
        channel = make_channel(
            "sms", brand=cast.brand, slug=f"sms-{i}", name=f"문자 {i}", account_id=f"+1555{i:07}", team=team
        )
        AutomaticAnswer.objects.create(
            channel=channel, kind="first_contact", active=True, text_en="", text_ko="안녕하세요"
        )
        MessageTemplate.objects.create(
            channel=cast.whatsapp, name=f"안내 {i}", language="ko", body="{{1}}님 안녕하세요", places=["1"]
        )
        Signature.objects.create(brand=cast.brand, team=team, text="감사합니다")
        Webhook.objects.create(url=f"https://hooks.example.com/{i + 1}", events=["rated"], active=False)
        Outbox.objects.create(
            kind="webhook", shard_key=f"webhook:{self.webhook.pk}", state="quarantined", last_error="HTTP 500",
            payload={"webhook": self.webhook.pk, "event": 1},
        )  # fmt: skip
        SavedView.objects.create(
            name=f"보기 {i}", owner=agent, scope="shared", base="all", query="tag:결제", position=i
        )
        self._quarantined(i + 1)
        RawEvent.objects.create(
            channel=cast.sms, dedupe_key=f"done{i}", raw_sha256="0" * 64, body_sha256="0" * 64, raw=b"{}",
            state="done", outcome="ticketed", message_id=self.message.pk, finished_at=now,
        )  # fmt: skip
        AutomaticReply.objects.create(
            ticket=ticket, channel=cast.sms, cause="first_contact", asked=self.message, due_at=None, settled_at=now
        )

    def _ticket(self, i: int, other: Ticket) -> None:
        ticket, now = self.ticket, self.now
        at = now - timedelta(hours=2) + timedelta(minutes=i)
        said = scene.says(self.cast.sms, self.who, f"질문 {i}", at=at)
        Attachment.objects.create(
            message=said, name="영수증.pdf", content_type="application/pdf", size=1, sha256="0" * 64
        )
        agent = Agent.objects.get(name=f"상담원{i}")
        sent = scene.answers(ticket, agent, f"답변 {i}", at=at + timedelta(seconds=10))
        DeliveryPart.objects.filter(message=sent).update(state="failed", last_error="없는 번호")
        Message.objects.filter(pk=sent.pk).update(state="failed")
        scene.notes(ticket, agent, f"메모 {i}", at=at + timedelta(seconds=20))
        Draft.objects.create(
            ticket=ticket, agent=agent, client_uuid=uuid.uuid4(), text="곧", send_at=now + timedelta(hours=1)
        )
        Follower.objects.get_or_create(ticket=ticket, agent=agent)
        self._promise(i + 1)
        TicketLink.objects.create(ticket=ticket, other=other, kind="related")
        RoutingDecision.objects.create(
            ticket=ticket, trigger="created", outcome="assigned", team=self.cast.support, agent=agent,
            rules=[{"id": self.rule.pk, "name": "환불", "version": 1, "matched": True}],
            candidates=[{"agent": agent.pk, "name": agent.name, "load": 1, "capacity": 5, "skipped": None}],
        )  # fmt: skip
        RuleRun.objects.create(ticket=ticket, trigger="customer_replied", event_id=10**6 + i, acted=True, rules=[])
        Ticket.objects.filter(pk=ticket.pk).update(assignee=self.admin, team=self.cast.support, status="open")

    def _customer(self, i: int) -> None:
        Identity.objects.create(customer=self.customer, kind="email", value=f"jiwoo{i}@example.org", verified=False)
        Identity.objects.create(
            customer=self.other_customer, kind="email", value=f"jiwoo{i}@example.org", verified=False
        )
        twin = Customer.objects.create(name=f"쌍둥이 {i}", created_at=self.now)
        identities.join(self.customer, twin, by=by_agent(self.admin), reason="agent", evidence={}, now=self.now)
        Customer.objects.filter(pk=self.customer.pk).update(attributes={f"색 {n}": "파랑" for n in range(min(i, 30))})
        older = scene.says(
            self.cast.email,
            scene.sender("김지우", email=f"old{i}@example.org"),
            "이전 질문",
            at=self.now - timedelta(days=9),
        ).ticket
        Ticket.objects.filter(pk=older.pk).update(customer=self.customer, team=self.cast.support, status="closed")

    def _own(self, i: int, ticket: Ticket) -> None:
        """What the admin who looks has."""
        agent = Agent.objects.get(name=f"상담원{i}")
        Notification.objects.create(agent=self.admin, event_id=10**6 + i, type="mentioned", ticket=ticket, actor=agent)
        PushSubscription.objects.create(
            agent=self.admin, device=f"기기 {i}", endpoint=f"https://push.example/{i}", label=f"내 휴대폰 {i}"
        )
        SavedView.objects.create(name=f"내 보기 {i}", owner=self.admin, base="all", query="is:open", position=i)
        BulkRow.objects.create(job=self.job, ticket=ticket, state="failed", error="종료된 상담")
        BulkJob.objects.create(
            agent=self.admin, do="incident_answer", value={"incident": self.incident.pk}, state="done", total=1
        )
        RuleTrialRow.objects.create(
            trial=self.rule_trial, ticket=ticket, matched=True, held=[True], team_was=self.cast.support,
            team_would=Team.objects.get(name=f"팀 {i}"), priority_was=2, priority_would=3,
        )  # fmt: skip
        SlaTrialTicket.objects.create(
            trial=self.sla_trial, ticket=ticket, policy_was=SlaPolicy.objects.get(name=f"정책 {i}")
        )
        SlaTrialPromise.objects.create(
            trial=self.sla_trial, ticket=ticket, metric="first_reply", started_at=self.now, covered=True, was="met",
            would="breached",
        )  # fmt: skip
        MacroUse.objects.create(macro=self.macro, agent=self.admin, ticket=ticket, client_uuid=uuid.uuid4())
        self._staffing()

    def _macro(self, i: int, team: Team | None = None) -> Macro:
        macro = Macro.objects.create(
            title=f"매크로 {i}", owner=self.cast.manager, scope="shared", text="{{customer.name}}님 안녕하세요",
            deeds=[{"do": "team", "team": team.pk}, {"do": "tag", "tags": ["결제"]}] if team else [],
        )  # fmt: skip
        MacroFile.objects.create(
            macro=macro, name="영수증.pdf", content_type="application/pdf", size=1, sha256="0" * 64
        )
        return macro

    def _promise(self, i: int) -> Promise:
        event = promises.make(
            self.ticket, text=f"답변 드리기 {i}", due_at=self.now + timedelta(days=1), owner=self.admin,
            by=by_agent(self.admin), now=self.now,
        )  # fmt: skip
        return Promise.objects.get(pk=event.particulars["promise"])

    def _staffing(self) -> StaffingTrial:
        return StaffingTrial.objects.create(
            agent=self.admin, team=self.cast.support, since=self.now - timedelta(days=7), until=self.now, people=2,
            places=1, begins=time(10), ends=time(14),
        )  # fmt: skip

    def _quarantined(self, i: int) -> RawEvent:
        return RawEvent.objects.create(
            channel=self.cast.sms, dedupe_key=f"bad{i}", raw_sha256="0" * 64, body_sha256="0" * 64, raw=b"{}",
            state="quarantined", outcome="quarantined", stub_message_id=self.message.pk, finished_at=self.now,
        )  # fmt: skip

    # -- Addresses ----------------------------------------------------------------------------------------------------

    def address(self, name: str, route: str) -> str:
        path = re.sub(r"<\w+:(\w+)>", lambda found: str(self._part(route, found[1])), route)
        tickets = ",".join(map(str, Ticket.objects.order_by("pk").values_list("pk", flat=True)[:50]))
        route_key = f"{self.route.channel_id}-{self.route.identity_id}"
        first = self.ticket.events.order_by("pk").values_list("pk", flat=True)[0]
        return f"/{path}{QUERIES.get(name, '').format(tickets=tickets, route=route_key, event=first)}"

    def _part(self, route: str, name: str) -> object:
        """What stands for a part of an address in this workspace."""
        known: dict[str, object] = {
            "agent_id": self.cast.agent.pk,
            "brand_id": self.cast.brand.pk,
            "calendar_id": self.calendar.pk,
            "channel_id": self.cast.sms.pk,
            "event_id": 1,
            "field_id": self.field.pk,
            "join_pk": self.join.pk,
            "key": self.field.key,
            "kid": "none",
            "macro_id": self.macro.pk,
            "metric": "created",
            "other_pk": self.other_customer.pk,
            "policy_id": self.policy.pk,
            "promise_pk": self.promise.pk,
            "rule_id": self.rule.pk,
            "skill_id": self.skill.pk,
            "team_id": self.cast.support.pk,
            "trial_id": self.sla_trial.pk if "sla/" in route else self.rule_trial.pk,
            "use_id": 1,
            "webhook_id": self.webhook.pk,
        }
        if name == "pk":
            prefix = next(prefix for prefix in _OF_PREFIX if route.startswith(prefix))
            return _OF_PREFIX[prefix](self).pk
        if name in ("name", "kind"):
            return next(value for prefix, value in _NAMES.items() if route.startswith(prefix))
        return known[name]


_OF_PREFIX: dict[str, Callable[[World], Any]] = {
    "saved-views/": lambda world: world.view,
    "board/people/": lambda world: world.cast.agent,
    "board/staffing/": lambda world: world.staffing_trial,
    "bulk/": lambda world: world.job,
    "tickets/": lambda world: world.ticket,
    "customers/": lambda world: world.customer,
    "uploads/": lambda world: world.upload,
    "messages/": lambda world: world.message,
    "parts/": lambda world: DeliveryPart.objects.first(),
    "settings/incidents/": lambda world: world.incident,
    "settings/channels/": lambda world: world.cast.sms,
    "settings/dead-letters/": lambda world: world.raw,
}
_NAMES = {
    "views/": "all", "customers/": "name", "settings/channels/new/": "sms", "settings/channels/": "auth_token",
    "tickets/": "reply",
}  # fmt: skip


def pages() -> list[tuple[str, str]]:
    """(name, route) of every address of the workspace, its settings and its reports."""
    return list(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: Sequence[URLPattern | URLResolver], before: str) -> Iterator[tuple[str, str]]:
    for one in patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _walk(one.url_patterns, route)
        elif one.callback.__module__.startswith(OURS) and one.name and one.name not in APART:
            yield one.name, route
