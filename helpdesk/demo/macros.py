"""Prepared answers of the demo shop, in both languages: canned ones, and macros that do several things at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.models import Agent, Team
from tickets import deeds
from tickets.models import Macro, Ticket


@dataclass(frozen=True)
class Prepared:
    """`by` makes it that person's own, `team` that team's; otherwise it is for everybody."""

    title: str
    code: str
    folder: str
    text: str = ""
    deeds: tuple[dict[str, Any], ...] = field(default=())
    kind: str = Macro.Kind.REPLY
    team: str = ""
    by: str = ""


def _status(status: str) -> dict[str, Any]:
    return {"do": "status", "status": status}


def _tag(*names: str) -> dict[str, Any]:
    return {"do": "tag", "tags": list(names)}


HIGH = {"do": "priority", "priority": Ticket.Priority.HIGH.value}
MINE = {"do": "assignee", "assignee": "me"}

MACROS = (
    Prepared(
        "인사와 확인 안내",
        "인사",
        "공통",
        "안녕하세요, {{customer.name|고객님}}. {{brand.name}} {{agent.name}}입니다.\n"
        "문의하신 내용을 확인하고 있습니다. 잠시만 기다려 주세요.",
    ),
    Prepared(
        "추가 정보 요청",
        "정보",
        "공통",
        "{{customer.name|고객님}}, 정확히 안내해 드릴 수 있도록 주문번호와 제품 사진을 보내 주세요.",
        (_tag("정보 요청"), _status("pending")),
    ),
    Prepared(
        "배송 현황 안내",
        "배송",
        "배송",
        "{{customer.name|고객님}}, 주문하신 상품은 배송 중이며 {{date.tomorrow}}까지 도착할 예정입니다.\n"
        "송장번호: {{field.tracking}}",
        (_tag("배송"),),
        team="orders",
    ),
    Prepared(
        "환불 접수",
        "환불",
        "환불",
        "{{customer.name|고객님}}, 환불을 접수했습니다. 영업일 기준 3일 안에 결제하신 수단으로 돌려드립니다.",
        (_tag("환불"), HIGH, _status("pending")),
        team="orders",
    ),
    Prepared(
        "교환 방법 안내",
        "교환",
        "환불",
        "{{customer.name|고객님}}, 교환은 받으신 날부터 7일 안에 신청하실 수 있습니다. 택배 기사님이 {{date.tomorrow}}에 방문합니다.",
        (_tag("교환"),),
        team="orders",
    ),
    Prepared(
        "창고에 확인 요청",
        "창고",
        "내부",
        "창고 재고와 출고 시각을 확인해 주세요. 고객님께는 오늘 안에 다시 연락드리기로 했습니다.",
        (MINE, _status("on_hold"), {"do": "snooze", "hours": 3}),
        kind=Macro.Kind.NOTE,
    ),
    Prepared(
        "문의 종료 인사",
        "종료",
        "공통",
        "더 궁금하신 점이 있으면 언제든 편하게 말씀해 주세요. 오늘도 좋은 하루 보내세요!",
        (_status("solved"),),
    ),
    Prepared(
        "Greeting",
        "hello",
        "General",
        "Hello {{customer.name|there}}, this is {{agent.name}} of {{brand.name}}. I am looking into it right now.",
    ),
    Prepared(
        "Ask for the order number",
        "order",
        "General",
        "Hello {{customer.name|there}}, could you send me your order number and a photo of the product?",
        (_tag("needs info"), _status("pending")),
    ),
    Prepared(
        "Refund started",
        "refund",
        "Refunds",
        "Hello {{customer.name|there}}, your refund is on its way and reaches your account within three working days.",
        (_tag("refund"), HIGH, _status("pending")),
        team="orders",
    ),
    Prepared("Close as spam", "spam", "General", deeds=(_tag("spam"), _status("solved"))),
    Prepared(
        "퇴근 전 인사",
        "퇴근",
        "",
        "{{customer.name|고객님}}, 내일 오전에 가장 먼저 확인하고 연락드리겠습니다. - {{agent.name}}",
        ({"do": "snooze", "days": 1},),
        by="sua",
    ),
)


def prepare(*, staff: Mapping[str, Agent], teams: Mapping[str, Team]) -> None:
    for one in MACROS:
        scope = Macro.Scope.PERSONAL if one.by else Macro.Scope.TEAM if one.team else Macro.Scope.SHARED
        Macro.objects.create(
            title=one.title,
            code=one.code,
            folder=one.folder,
            text=one.text,
            deeds=deeds.check(list(one.deeds)),
            kind=one.kind,
            scope=scope,
            team=teams[one.team] if one.team else None,
            owner=staff[one.by or "admin"],
        )
