"""Customer satisfaction: asked once for each solve, answered by POST only.

The sweep reads solves from the log and writes one `Survey` for each, sent or skipped with a reason; the unique
`solve_event_id` makes it once, whatever crashed. An answer changes no status (design.md 6).
"""

from __future__ import annotations

import logging
import secrets
from datetime import datetime, timedelta
from typing import cast

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import translation
from django.utils.translation import gettext as _

from analytics.models import Answer, Survey
from tickets import actions, live, replies
from tickets.models import Event, Message, Route, Ticket
from tickets.models.ticket import SPAM

log = logging.getLogger(__name__)

DELAY = timedelta(seconds=15)  # longer than the moment in which a solve can be taken back
LOOK_BACK = timedelta(days=2)  # a solve that no worker saw for so long is not asked about any more
QUIET = timedelta(days=7)  # once per ticket in so long
EDITABLE = timedelta(hours=72)
LIFE = timedelta(days=30)


def sweep(*, now: datetime, limit: int = 200) -> int:
    """Ask about the solves that are due. Returns how many surveys were sent."""
    due = (
        Event.objects.filter(kind="solved", at__gt=now - LOOK_BACK, at__lte=now - DELAY)
        .exclude(pk__in=Survey.objects.filter(sent_at__gt=now - LOOK_BACK - LIFE).values("solve_event_id"))
        .order_by("id")[:limit]
    )
    sent = 0
    for event in due:
        try:
            sent += ask(event, now=now)
        except Exception:  # one solve must not silence the others; it stays due
            log.exception("the solve %s was not asked about", event.pk)
    return sent


def answer(token: str, *, score: int, comment: str = "", now: datetime) -> bool:
    """Store or change a rating of 1 to 5. False when the survey is unknown, over, or no longer editable."""
    if score not in range(1, 6):
        return False
    with transaction.atomic():
        survey = Survey.objects.select_for_update(of=("self",)).select_related("ticket").filter(token=token).first()
        if survey is None or survey.expires_at <= now:
            return False
        given = Answer.objects.filter(survey=survey).first()
        if given is None:
            Answer.objects.create(survey=survey, score=score, comment=comment[:5000], answered_at=now)
        elif (given.score, given.comment) == (score, comment[:5000]):
            return True  # the same answer again is no news
        elif given.answered_at + EDITABLE > now:
            given.score, given.comment, given.changed_at = score, comment[:5000], now
            given.save(update_fields=["score", "comment", "changed_at"])
        else:
            return False
        actions.rate(survey.ticket, score, survey_id=survey.pk, now=now)
    return True


def ask(solve: Event, *, now: datetime) -> bool:
    """Ask about one solve, or write down why not. False when nothing was sent."""
    ticket = Ticket.objects.select_related("customer", "brand").get(pk=cast(int, solve.ticket_id))
    survey = Survey(
        ticket=ticket,
        solve_event_id=solve.pk,
        agent=ticket.solved_by,
        team=ticket.team,
        token=secrets.token_urlsafe(24),
        sent_at=now,
        expires_at=now + LIFE,
    )
    route = _route_of(ticket, now=now)
    survey.skipped = _why_not(ticket, route, now=now)
    try:
        try:
            _write(survey, ticket, route, now=now)
        except replies.Unreachable:  # the way was closed between the look and the send
            survey.skipped = "not_reachable"
            _write(survey, ticket, None, now=now)
    except IntegrityError:
        return False  # another worker asked
    return not survey.skipped


@transaction.atomic
def _write(survey: Survey, ticket: Ticket, route: Route | None, *, now: datetime) -> None:
    """The survey with its question, or with the reason why there is none. Raises replies.Unreachable."""
    survey.pk = None
    survey.channel = None if survey.skipped or route is None else route.channel
    survey.save(force_insert=True)
    if survey.skipped or route is None:
        return
    message = replies.automatic(
        ticket,
        route=route,
        text=_question(ticket, survey),
        kind="auto-generated",
        meta={"survey": survey.token},
        now=now,
    )
    survey.message_id = message.pk
    survey.save(update_fields=["message_id"])
    live.announce(ticket.record("survey_sent", now=now, message_id=message.pk, survey=survey.pk))


def _route_of(ticket: Ticket, *, now: datetime) -> Route | None:
    """The route used last on which plain words arrive: where only a template may go, or mail came back, nobody is asked."""
    reachable = [choice.route for choice in replies.routes_for(ticket, now=now) if not choice.reason and choice.route]
    return max(reachable, key=lambda route: route.last_used_at, default=None)


def _why_not(ticket: Ticket, route: Route | None, *, now: datetime) -> str:
    if ticket.status not in (Ticket.Status.SOLVED, Ticket.Status.CLOSED):
        return "not_solved_any_more"
    if ticket.merged_into_id:
        return "merged"
    if ticket.customer.blocked:
        return "blocked"
    if ticket.tags.filter(name=SPAM).exists():
        return "spam"
    written = Message.objects.filter(ticket__in=ticket.family_ids(), kind="public")
    if not written.filter(author_type="agent").exists() or not written.filter(direction="in").exists():
        return "no_conversation"
    if Survey.objects.filter(ticket=ticket, skipped="", sent_at__gt=now - QUIET).exists():
        return "asked_recently"
    return "" if route is not None else "not_reachable"


def _question(ticket: Ticket, survey: Survey) -> str:
    with translation.override(ticket.answer_language):
        return "\n".join(
            [
                _("How did we do? Your answer takes one tap:"),
                f"{settings.SITE_URL}/survey/{survey.token}",
            ]
        )
