"""Settings screens of the automatic answers: what each channel says by itself, and what became of it. For admins."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from agents import hours
from agents.models import Agent, AuditEntry
from agents.permissions import admins_only, agent_of
from tickets import answering
from tickets.models import AutomaticAnswer, AutomaticReply, Channel

LONGEST_TEXT = 2000  # characters
LATELY = 20  # replies that the page tells of
SAMPLE_NUMBER = 1042


@admins_only
@require_GET
def answer_list(request: HttpRequest) -> HttpResponse:
    """Every channel, with the answers that it gives."""
    channels = _channels_for(agent_of(request)).prefetch_related("automatic_answers").order_by("-active", "name", "pk")
    rows = [
        (channel, [answer.get_kind_display() for answer in _answers(channel) if answer.active]) for channel in channels
    ]
    return render(request, "workspace/settings/answers.html", {"rows": rows})


@admins_only
@require_http_methods(["GET", "POST"])
def answers(request: HttpRequest, channel_id: int) -> HttpResponse:
    """What one channel says by itself. POST saves it."""
    agent = agent_of(request)
    channel = get_object_or_404(_channels_for(agent), pk=channel_id)
    found, problem = _answers(channel), ""
    if request.method == "POST":
        problem = _take(found, request)
        if not problem:
            _save(found, channel, agent)
            messages.success(request, _("Saved."))
            return redirect("answers", channel.pk)
    context = {
        "channel": channel,
        "problem": problem,
        "fields": [(answer, _fields(answer)) for answer in found],
        "variables": [{"label": label, "text": "{{" + name + "}}"} for name, label in answering.NAMES.items()],
        "lately": _lately(channel),
    }
    return render(request, "workspace/settings/answers_of_channel.html", context, status=422 if problem else 200)


@admins_only
@require_POST
def preview(request: HttpRequest, channel_id: int) -> HttpResponse:
    """What customers would read now."""
    channel = get_object_or_404(_channels_for(agent_of(request)), pk=channel_id)
    found = _answers(channel)
    problem = _take(found, request)
    said = [
        (answer.get_kind_display(), label, _filled(answer, channel, language))
        for answer in found
        for language, label in settings.LANGUAGES
        if answer.text_in(language)
    ]
    return render(request, "workspace/settings/answers_preview.html", {"said": said, "problem": problem})


def _channels_for(agent: Agent) -> QuerySet[Channel]:
    channels = Channel.objects.select_related("brand", "team__calendar")
    return channels if agent.brand_ids is None else channels.filter(brand__in=agent.brand_ids)


def _answers(channel: Channel) -> list[AutomaticAnswer]:
    """One of each kind, as stored or new."""
    stored = {answer.kind: answer for answer in channel.automatic_answers.all()}
    return [stored.get(kind, AutomaticAnswer(channel=channel, kind=kind)) for kind in AutomaticAnswer.Kind.values]


def _fields(answer: AutomaticAnswer) -> list[dict[str, Any]]:
    return [
        {"name": f"{answer.kind}-{language}", "label": label, "language": language, "text": answer.text_in(language)}
        for language, label in settings.LANGUAGES
    ]


def _take(found: list[AutomaticAnswer], request: HttpRequest) -> str:
    """Put what was posted into the answers; returns what is wrong with them, "" when nothing is."""
    problem = ""
    for answer in found:
        answer.active = f"{answer.kind}-active" in request.POST
        answer.text_en, answer.text_ko = (
            request.POST.get(f"{answer.kind}-{language}", "").replace("\r\n", "\n").strip()[:LONGEST_TEXT]
            for language in ("en", "ko")
        )
        problem = problem or answering.fault_of(answer)
    return problem


@transaction.atomic
def _save(found: list[AutomaticAnswer], channel: Channel, agent: Agent) -> None:
    for answer in found:
        answer.save()
    facts = {answer.kind: {"active": answer.active, "en": answer.text_en, "ko": answer.text_ko} for answer in found}
    AuditEntry.write("automatic_answers_changed", actor=agent, target=channel, brand_id=channel.brand_id, facts=facts)


def _filled(answer: AutomaticAnswer, channel: Channel, language: str) -> str:
    return answering.fill(
        answer.text_in(language),
        brand=channel.brand,
        number=SAMPLE_NUMBER,
        channel=channel,
        language=language,
        now=_closed(channel) if answer.kind == AutomaticAnswer.Kind.OUT_OF_HOURS else timezone.now(),
    ).text


def _closed(channel: Channel) -> datetime:
    """Now, or where it is open the end of it: a moment at which this answer goes out."""
    now = timezone.now()
    current = next(channel.hours().spans(now, now + hours.HORIZON), None)
    return current.ends_at if current and current.starts_at == now else now


def _lately(channel: Channel) -> list[dict[str, Any]]:
    """What became of the newest ones. Numbers only: an admin sees no more of a ticket here than that there is one."""
    kinds = dict(AutomaticAnswer.Kind.choices)
    own = AutomaticReply.objects.filter(channel=channel).exclude(cause__startswith=AutomaticReply.BY_RULE)
    replies = own.select_related("ticket").order_by("-id")[:LATELY]
    return [
        {
            "number": reply.ticket.number,
            "kind": kinds.get(reply.kind, ""),
            "at": reply.settled_at or reply.created_at,
            "waits": reply.due_at is not None,
            "why": answering.REASONS[reply.skipped] if reply.skipped else "",
        }
        for reply in replies
    ]
