"""The living style guide: every component with sample words, on a page of its own. Exists in the demo and with DEBUG only."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from tickets.workspace import building

TOKENS = (
    "canvas", "surface", "raised", "sunken", "border", "border-strong", "text", "text-2", "text-3", "accent", "accent-hover",
    "on-accent", "accent-soft", "accent-text", "ok", "ok-soft", "warn", "warn-soft", "bad", "bad-soft", "violet", "violet-soft",
    "note", "note-edge", "note-text",
)  # fmt: skip


PARTS = ("workspace", "reports", "states")
TYPE_SIZES = ("t11", "t12", "t13", "t14", "t16", "t18", "t22", "t28")
ROW_STATES = ("unread", "cursor", "current", "selected", "draft", "typing")


class SampleForm(forms.Form):
    name = forms.CharField(label=_("Name"), help_text=_("Shown to customers in the “From” line."))
    address = forms.EmailField(label=_("E-mail"))
    kind = forms.ChoiceField(label=_("Channel"), choices=[("email", _("E-mail")), ("sms", _("SMS"))])
    words = forms.CharField(label=_("Note"), required=False, widget=forms.Textarea(attrs={"rows": 3}))
    active = forms.BooleanField(
        label=_("Active"), required=False, widget=forms.CheckboxInput(attrs={"data-switch": "1"})
    )
    loud = forms.BooleanField(label=_("Play a sound for new tickets"), required=False)
    when = forms.ChoiceField(
        label=_("Send with"), widget=forms.RadioSelect, choices=[("enter", "Enter"), ("cmd_enter", "Ctrl/⌘ Enter")]
    )


def styleguide(request: HttpRequest) -> HttpResponse:
    """`?part=workspace` shows the panes, `reports` a page of numbers, `states` each part in its states; without it, all one by one."""
    if not (settings.DEBUG or getattr(settings, "DEMO", False)):
        raise Http404
    if request.method == "POST":
        return HttpResponse(status=204)  # the samples post like the real ones; nothing is kept
    part = request.GET.get("part", "")
    template = f"styleguide_{part}.html" if part in PARTS else "styleguide.html"
    language = request.GET.get("language")
    if language in dict(settings.LANGUAGES):
        with translation.override(language):
            return render(request, template, samples(request, now=timezone.now()))
    return render(request, template, samples(request, now=timezone.now()))


def samples(request: HttpRequest, *, now: datetime) -> dict[str, Any]:
    """Sample things for the partials, in the shapes that their opening comments describe."""
    form = SampleForm({"name": "", "address": "support@", "when": "enter", "kind": "email", "active": "on"})
    pane = request.GET.get("pane", "list")
    return {
        "section": "inbox", "pane": pane if pane in ("list", "thread", "side") else "list", "tokens": TOKENS, "form": form,
        "rows": _rows(now), "messages_in_thread": _messages(now), "at": now, "composer": _composer(request.GET.get("kind", "")),
        "tabs": [
            {"text": _("Open"), "url": "?tab=open", "current": True, "count": "24"},
            {"text": _("Waiting"), "url": "?tab=waiting", "count": "7"},
            {"text": _("Solved"), "url": "?tab=solved"},
        ],
        "viewers": [{"name": "Mina Park", "doing": "replying"}, {"name": "Tom Baker", "doing": "viewing"}],
        "customer": _customer(), "timeline": _timeline(now), "properties": _properties(), "channels": _channels(),
        "days": [("Nov 18", 31), ("Nov 19", 44), ("Nov 20", 38), ("Nov 21", 12), ("Nov 22", 9), ("Nov 23", 52), ("Nov 24", 47)],
        "labels": ["Nov 18", "Nov 19", "Nov 20", "Nov 21", "Nov 22", "Nov 23", "Nov 24"],
        "lines": [(_("Median"), [14, 12, 17, None, 21, 13, 11]), (_("90th percentile"), [52, 48, 61, None, 75, 50, 41])],
        "snippet": '<script src="https://desk.example.com/widget.js" data-channel="site-chat" async></script>',
        "points": [22, 25, 19, 31, 44, 38, 12, 9, 52, 47],
        "event": {"id": 1, "sentence": _("Routed to Refunds by the rule “Refund words”"), "at": now, "automatic": True, "icon_name": "split"},
        "file": {"name": "receipt-2026-11.pdf", "size": 184_320, "content_type": "application/pdf", "url": "#", "state": "stored"},
        "upload": {"name": "screen.png", "size": 920_000, "content_type": "image/png", "state": "uploading", "progress": 64},
        "sla_states": [
            _sla(now, 190), _sla(now, 9), _sla(now, -5), {"state": "paused", "label": _("next reply")}, {"state": "met", "label": _("first reply")},
        ],
        "statuses": ["new", "open", "pending", "on_hold", "solved", "closed"], "priorities": [1, 2, 3, 4],
        "states": ["queued", "sent", "delivered", "read"], "kinds": ["email", "sms", "webchat", "whatsapp", "kakao", "unheard-of"],
        **(_in_their_states(now) if request.GET.get("part") == "states" else {}),
    }  # fmt: skip


def _in_their_states(now: datetime) -> dict[str, Any]:
    refused = _("The number refuses messages from us (21610). Answer by e-mail, or ask for another number.")
    rows = _rows(now)[: len(ROW_STATES)]
    leaves = [
        {"field": "channel", "op": "is", "value": ["email"]},
        {"field": "text", "op": "contains", "value": ["refund"]},
    ]
    return {
        "sheets": ["css/components/notices.css", "css/pages/rules.css"], "type_sizes": TYPE_SIZES, "row_states": ROW_STATES,
        "state_rows": rows, "compact_rows": [{**row, "id": row["id"] + 5000} for row in rows], "list": {"query": ""},
        "deliveries": [
            {"id": "a", "state": "queued"}, {"id": "b", "state": "sending"}, {"id": "c", "state": "sent"}, {"id": "d", "state": "delivered"},
            {"id": "e", "state": "read"}, {"id": "f", "state": "failed", "reason": refused, "retry_url": "#", "again_url": "#"},
            {"id": "g", "state": "uncertain", "resolve_url": "#"},
        ],
        "uploads": [
            {"name": "screen.png", "size": 920_000, "content_type": "image/png", "state": "uploading", "progress": 64},
            {"name": "contract-final-signed-2026-11-30.pdf", "size": 1_184_320, "content_type": "application/pdf", "url": "#", "state": "stored"},
            {"name": "voice.amr", "size": 0, "content_type": "audio/amr", "state": "failed"},
        ],
        "newest": {"pk": 1, "subject": "", "text": "재발송 접수했어요. 송장번호는 곧 문자로 보내드릴게요."}, "deeds": [_("Solved"), "+refund"],
        "notices": [
            {"row": {"pk": 1, "read_at": None, "count": 3, "at": now - timedelta(minutes=4)}, "url": "#", "icon": "message-circle", "title": _("Assigned to you"), "subject": "#1042", "snippet": "언제쯤 받을 수 있을까요?"},
            {"row": {"pk": 2, "read_at": now, "count": 1, "at": now - timedelta(hours=3)}, "url": "#", "icon": "user-round", "title": _("Assigned to you"), "subject": "#1041 Refund for order 58213"},
        ], "nothing": [],
        "tones": [("", "info"), ("info", "info"), ("ok", "circle-check"), ("warn", "triangle-alert"), ("bad", "circle-alert")],
        "banners": [
            ("warn", "wifi-off", _("Reconnecting")), ("bad", "circle-alert", _("Offline, drafts are safe")),
            ("ok", "circle-check", _("Back, nothing was missed")), ("info", "merge", _("This ticket was merged.")),
        ],
        "choices": [("1", _("Refunds")), ("2", _("Orders"))], "builder": building.context({"all": leaves}),
        "team_rows": [(_("Refunds"), 5, 9, 2), (_("Orders"), 1, 15, 0)],
        "empties": [
            ("coffee", _("Nothing waiting"), _("3 are snoozed until tomorrow.")), ("search-x", _("Nothing matches"), _("No ticket of this list fits the query.")),
            ("mail-check", _("Nothing waits here"), _("Everything that came in was read, and everything that had to go out was sent.")),
        ],
    }  # fmt: skip


def _sla(now: datetime, minutes: int) -> dict[str, Any]:
    return {
        "state": "breached" if minutes < 0 else "running", "due_at": now + timedelta(minutes=minutes), "target": 14_400,
        "business": True, "label": _("first reply"),
    }  # fmt: skip


def _rows(now: datetime) -> list[dict[str, Any]]:
    def row(  # noqa: PLR0917  (a table of samples)
        number: int, name: str, channel: str, subject: str, snippet: str, minutes: int, **more: Any
    ) -> dict[str, Any]:
        return {
            "id": number, "number": number, "url": f"?part=workspace&ticket={number}&pane=thread", "name": name, "channel": channel,
            "subject": subject, "snippet": snippet, "snippet_out": False, "at": now - timedelta(minutes=minutes), "status": "open",
            "priority": 2, "sla": None, "tags": [], "assignee": None, **more,
        }  # fmt: skip

    refund, vip, delivery = {"name": "refund", "hue": 5}, {"name": "vip", "hue": 3}, {"name": "delivery", "hue": 1}
    mina, tom = {"name": "Mina Park"}, {"name": "Tom Baker"}
    return [
        row(1042, "김서연", "sms", "", "주문한 원두가 아직 안 왔어요. 언제쯤 받을 수 있을까요?", 2, sla=_sla(now, 9), tags=[delivery], priority=3),
        row(1041, "Priya Raman", "email", "Refund for order 58213", "Thank you, the parcel arrived broken and I would", 11, sla=_sla(now, -5),
            tags=[refund, vip, delivery], assignee=mina, priority=4),
        row(1040, "박도윤", "whatsapp", "", "네, 사진 보내드릴게요.", 26, sla=_sla(now, 190), assignee=tom),
        row(1039, "+82 10-2213-8890", "sms", "", "영업시간이 어떻게 되나요?", 48, sla=_sla(now, 74)),
        row(1037, "Emma Lindqvist", "webchat", "", "Your new grinder leaves the warehouse today.", 95, snippet_out=True, by=1, assignee=mina, status="pending"),
        row(1035, "Hana Suzuki", "email", "Invoice with our company name", "Could you reissue the invoice of 3 November", 260, assignee=mina, tags=[{"name": "billing", "hue": 0}], status="on_hold"),
        row(1031, "이준호", "whatsapp", "", "감사합니다! 잘 해결됐어요.", 1500, status="solved", assignee=tom),
        row(1024, "Lucas Meyer", "email", "Wholesale prices", "We run two cafés in Hamburg and would like", 4400, tags=[{"name": "sales", "hue": 2}]),
    ]  # fmt: skip


def _messages(now: datetime) -> list[dict[str, Any]]:
    def message(number: int, direction: str, minutes: int, text: str, **more: Any) -> dict[str, Any]:
        return {
            "id": number, "seq": number, "direction": direction, "kind": "public", "author_type": "customer" if direction == "in" else "agent",
            "author_name": "김서연" if direction == "in" else "Mina Park", "at": now - timedelta(minutes=minutes), "channel": "sms",
            "text": text, "state": "" if direction == "in" else "delivered", **more,
        }  # fmt: skip

    return [
        message(1, "in", 64, "안녕하세요. 지난주에 주문한 원두가 아직 안 왔어요.\n주문번호는 58213이에요."),
        message(2, "out", 61, "안녕하세요, 김서연 님. 확인해 보니 택배사에서 지연되고 있어요. 오늘 중으로 다시 알려드릴게요.", state="read"),
        message(3, "out", 58, "택배사에 전화해 봤어요. 물류센터에 멈춰 있대요. @Tom Baker 내일 오전까지 안 움직이면 재발송해 주세요.", kind="note", state=""),
        message(4, "in", 20, "Here is the picture of the box, as you asked. https://example.com/track/58213", channel="email",
                subject="Order 58213", quote="> On Tuesday Mina wrote:\n> Could you send a picture?",
                attachments=[{"name": "box-front.jpg", "size": 482_113, "content_type": "image/jpeg", "url": "#", "state": "stored"}]),
        message(5, "out", 8, "We received your message and answer within the hour.", author_type="bot", author_name="Greeter", channel="webchat", state="sent"),
        message(6, "out", 4, "재발송 접수했어요. 송장번호는 곧 문자로 보내드릴게요.", state="failed", reason=_("The number refuses messages from us (21610). Answer by e-mail, or ask for another number."), retry_url="#"),
        message(7, "out", 1, "혹시 이메일 주소를 알려주실 수 있을까요?", state="uncertain", resolve_url="#"),
    ]  # fmt: skip


def _composer(kind: str) -> dict[str, Any]:
    return {
        "url": "", "kind": "note" if kind == "note" else "reply", "client_uuid": "00000000-0000-4000-8000-000000000000", "ticket_id": 1042, "upload_url": "#",
        "routes": [
            {"id": "1", "kind": "sms", "address": "+82 10-1234-5678"},
            {"id": "2", "kind": "email", "address": "seoyeon@example.com"},
            {"id": "3", "kind": "whatsapp", "address": "+82 10-1234-5678", "note": _("Window closed: only templates can be sent"), "disabled": True},
        ],
        "route": "1", "to": "김서연", "files": [],
        "statuses": [{"value": "pending", "label": _("Send and set to pending")}, {"value": "solved", "label": _("Send and solve")}],
    }  # fmt: skip


def _customer() -> dict[str, Any]:
    return {
        "name": "김서연", "verified": True, "tier_label": "VIP", "language_label": "한국어", "local_time": "15:21", "organisation": "Café Onul",
        "identities": [
            {"kind": "sms", "value": "+82 10-1234-5678", "verified": True},
            {"kind": "whatsapp", "value": "+82 10-1234-5678", "verified": True},
            {"kind": "email", "value": "seoyeon@example.com", "verified": False},
        ],
    }  # fmt: skip


def _timeline(now: datetime) -> list[dict[str, Any]]:
    return [
        {"id": 1, "at": now - timedelta(minutes=20), "sentence": _("Wrote by e-mail"), "channel": "email", "snippet": "Here is the picture of the box, as you asked.", "status": "open", "url": "#", "current": True},
        {"id": 2, "at": now - timedelta(minutes=64), "sentence": _("Wrote by SMS"), "channel": "sms", "snippet": "지난주에 주문한 원두가 아직 안 왔어요.", "url": "#"},
        {"id": 3, "at": now - timedelta(days=3), "sentence": _("Rated 5 of 5"), "icon_name": "star"},
        {"id": 4, "at": now - timedelta(days=31), "sentence": _("Asked about a grinder"), "channel": "webchat", "status": "closed", "url": "#"},
    ]  # fmt: skip


def _properties() -> list[dict[str, Any]]:
    people = ["Mina Park", "Tom Baker", "이하늘", "Sara Holm"]
    return [
        {"id": "property-assignee", "name": "assignee", "label": _("Assignee"), "value": "0", "shown": people[0], "url": "#", "kind": "agent", "filter": True, "command": "ticket.assign",
         "options": [{"value": str(i), "label": name, "kind": "agent"} for i, name in enumerate(people)]},
        {"id": "property-team", "name": "team", "label": _("Team"), "value": "1", "shown": _("Refunds"), "url": "#", "kind": "team",
         "options": [{"value": "1", "label": _("Refunds"), "kind": "team", "hue": 5}, {"value": "2", "label": _("Orders"), "kind": "team", "hue": 1}]},
        {"id": "property-status", "name": "status", "label": _("Status"), "value": "open", "shown": _("Open"), "url": "#", "kind": "status", "command": "ticket.status",
         "options": [{"value": v, "label": label, "kind": "status"} for v, label in (("open", _("Open")), ("pending", _("Pending")), ("on_hold", _("On hold")), ("solved", _("Solved")))]},
        {"id": "property-priority", "name": "priority", "label": _("Priority"), "value": "high", "shown": _("High"), "url": "#", "kind": "priority", "command": "ticket.priority",
         "options": [{"value": v, "label": label, "kind": "priority"} for v, label in (("low", _("Low")), ("normal", _("Normal")), ("high", _("High")), ("urgent", _("Urgent")))]},
        {"id": "property-language", "label": _("Language"), "value": "ko", "shown": "한국어", "url": "", "kind": "plain"},
    ]  # fmt: skip


def _channels() -> list[dict[str, Any]]:
    return [
        {"name": "support@example.com", "kind": "email", "state": "ok", "state_label": _("Working"),
         "facts": [{"label": _("Last in"), "value": "2 min"}, {"label": _("Last out"), "value": "4 min"}, {"label": _("Refused signatures"), "value": "0"}]},
        {"name": "+1 555 010 0199", "kind": "sms", "state": "bad", "state_label": _("Not sending"), "problem": _("The provider refuses our token since 14:02. Paste a new one; nothing is lost meanwhile."),
         "facts": [{"label": _("Last in"), "value": "1 min"}, {"label": _("Last out"), "value": "58 min", "tone": "bad"}, {"label": _("Waiting"), "value": "3", "tone": "warn"}]},
    ]  # fmt: skip
