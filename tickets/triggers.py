"""Rules run when something happens or has not happened for long enough; and what they leave to be done is done here.

`record()` owes each event that rules wait for as an `Outbox` row, in the transaction of the event. A row is worked off
in one transaction, which takes it away: a crash before its commit does all of it again, a crash after it nothing. What
a rule did makes no rule run, and no ticket is acted upon without end (`rules.MOST_RUNS`).

A rule of time has a timer for each ticket that waits. It is set by the message or the answer with which the wait began,
and asks, when it is due, whether the wait still lasts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from django.db import transaction
from django.utils import translation

from agents import hours
from agents.hours import NeverOpens
from agents.models import Calendar
from tickets import actions, deeds, formatting, replies, robots, variables
from tickets.conditions import Cause
from tickets.models import (
    AutomaticReply,
    Event,
    Macro,
    Message,
    Outbox,
    RoutingDecision,
    Rule,
    RuleMatch,
    RuleRun,
    RuleTimer,
    Ticket,
    Webhook,
)
from tickets.models.event import RULE, RULES
from tickets.models.rule import OF_TIME, RUN_BY
from tickets.models.ticket import lock_survivor
from tickets.routing import assign as routing
from tickets.routing import rules
from tickets.sla import clocks

log = logging.getLogger(__name__)

MOST_ERRORS = 5
KEPT = timedelta(days=90)
FORGET = 5000  # rows at once
LATER = "later"  # the trigger of a run that does what was left to be done
_ONCE = UUID("3b0f5f0e-6f0c-4c8e-9a39-0d7a3c1d9f10")  # names the one reply of a rule to a thread

Done = dict[str, Any]  # an action, with `kept_back` where something spoke against it


def drain(*, now: datetime, seconds: float) -> int:
    """Work off what is owed, for so long. Returns how many rows and timers. Safe in any number of processes."""
    until, done = monotonic() + seconds, 0
    for next_one in (_next_owed, _next_timer):
        while monotonic() < until and next_one(now=now):
            done += 1
    return done


def forget_old(*, now: datetime) -> int:
    """Drop a part of the runs and hits that are older than 90 days. Returns how many."""
    gone = 0
    for model in (RuleRun, RuleMatch):
        old = model.objects.filter(at__lt=now - KEPT).order_by("at").values("pk")[:FORGET]
        gone += model.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()[0]
    return gone


# -- What happened ------------------------------------------------------------------------------------------------------


@transaction.atomic
def _next_owed(*, now: datetime) -> bool:
    due = Outbox.objects.filter(kind=RULES, state=Outbox.State.QUEUED, next_attempt_at__lte=now)
    row = due.select_for_update(skip_locked=True).order_by("next_attempt_at", "id").first()
    if row is None:
        return False
    try:
        with transaction.atomic():
            if "actions" in row.payload:
                _do_later(row.payload, now=now)
            else:
                _run_by(row.payload["event"], now=now)
    except Exception as error:
        log.exception("outbox row %s runs no rules", row.pk)
        last = row.attempts + 1 >= MOST_ERRORS
        Outbox.objects.filter(pk=row.pk).update(
            attempts=row.attempts + 1,
            state=Outbox.State.QUARANTINED if last else Outbox.State.QUEUED,
            next_attempt_at=now + timedelta(minutes=row.attempts + 1),
            last_error=type(error).__name__,  # what it says is in the log: it may tell of a customer
            finished_at=now if last else None,
        )
    else:
        row.delete()
    return True


def _run_by(event_id: int, *, now: datetime) -> None:
    event = Event.objects.filter(pk=event_id, ticket__isnull=False).first()
    if event is None or event.ticket_id is None or RuleRun.objects.filter(event_id=event_id).exists():
        return
    ticket = lock_survivor(event.ticket_id)
    for when in RUN_BY.get(event.kind, ()):
        if when in OF_TIME:
            _set_timers(ticket, when, now=now)
        elif event.kind != "message_received" or _is_news(event, ticket):
            _run(ticket, when=when, event=event, cause=_cause(event), now=now)


def _is_news(event: Event, ticket: Ticket) -> bool:
    """Whether the customer wrote again and no rules have seen it: they see it once, here or in routing, whoever comes
    first. With what comes before the first decision a ticket begins: that is routing's."""
    said = Message.objects.written_again().filter(pk=event.message_id or 0).first()
    if said is None:
        return False
    if ticket.routing_due_at is not None and not RoutingDecision.objects.filter(ticket=ticket).exists():
        return False
    unseen = Ticket.objects.filter(pk=said.ticket_id).exclude(ruled_message_id__gte=said.pk)
    return unseen.update(ruled_message_id=said.pk) == 1


def _cause(event: Event) -> Cause:
    told = event.particulars
    return Cause(
        said=Message.objects.filter(pk=event.message_id) if event.message_id else None,
        promise=told.get("metric", ""),
        percent=100 if event.kind == "sla_breached" else told.get("percent"),
    )


def _run(
    ticket: Ticket,
    *,
    when: str,
    event: Event | None = None,
    only: Rule | None = None,
    since: datetime | None = None,
    cause: Cause,
    now: datetime,
) -> None:
    """Must hold the ticket's row lock."""
    run = RuleRun(ticket=ticket, trigger=when, event_id=event.pk if event else None, rule=only, since=since, at=now)
    if rules.resting([ticket.pk], now=now):
        run.rules = rules.rested()
    else:
        run.rules = rules.run(ticket, when=when, event=event, only=only, cause=cause, now=now)
        rules.count([(ticket, run.rules)], now=now)
        run.acted = rules.acted(run.rules)
        if any(step.get("did") for step in run.rules):
            _follow(ticket, now=now)
    if run.rules:
        run.save()


def _follow(ticket: Ticket, *, now: datetime) -> None:
    """Clocks and routing go by what has changed."""
    if ticket.first_reply_at is None:
        clocks.rules_ran(ticket, now=now)
    else:
        clocks.priority_changed(ticket, now=now)
    if ticket.assignee_id is not None:
        Ticket.objects.filter(pk=ticket.pk).update(routing_due_at=None)
    elif ticket.team_id is not None and ticket.is_unsolved:
        routing.owe(ticket, now=now)


# -- What has not happened ----------------------------------------------------------------------------------------------


def _set_timers(ticket: Ticket, when: str, *, now: datetime) -> None:
    """Must hold the ticket's row lock. A timer that somebody else holds waits for that lock, and then looks by itself."""
    timers = []
    for rule in Rule.objects.waiting_for(when):
        wait = _wait_of(rule, ticket)
        due_at = _due_at(rule, ticket, wait.since) if wait else None
        if due_at is not None:
            timers.append(RuleTimer(rule=rule, ticket=ticket, due_at=due_at))
    due = {timer.rule_id: timer.due_at for timer in timers}
    known = list(RuleTimer.objects.filter(ticket=ticket, rule__in=due).select_for_update(skip_locked=True))
    for timer in known:
        timer.due_at = due[timer.rule_id]
    RuleTimer.objects.bulk_update(known, ["due_at"])
    RuleTimer.objects.bulk_create(timers, ignore_conflicts=True)


class _Wait(NamedTuple):
    """Since when; of a missed deadline also its metric."""

    since: datetime
    promise: str = ""


def _wait_of(rule: Rule, ticket: Ticket) -> _Wait | None:
    """How long the customer has waited for us, or we for the customer, or what was missed is still owed; None when
    nobody waits. A solved ticket still owes what somebody promised on it, whose clock alone runs on."""
    if ticket.merged_into_id is not None:
        return None
    if rule.when == Rule.When.OVERDUE:
        return _still_missed(rule, ticket)
    if not ticket.is_unsolved:
        return None
    if rule.when == Rule.When.UNANSWERED:
        return _Wait(ticket.waiting_since) if ticket.waiting_since else None
    waits = ticket.waiting_since is None and ticket.first_reply_at is not None
    answered_at = _answered_at(ticket) if waits else None
    return _Wait(answered_at) if answered_at else None


def _answered_at(ticket: Ticket) -> datetime | None:
    """When one of us answered last, here or in what was merged into it. No note is an answer, nor what a machine says."""
    ours = Message.objects.public().filter(ticket__in=ticket.family_ids(), author_type=Message.Author.AGENT)
    return ours.order_by("-created_at", "-id").values_list("created_at", flat=True).first()


def _still_missed(rule: Rule, ticket: Ticket) -> _Wait | None:
    """The first missed deadline that still runs and for which the rule has not run."""
    seen = RuleRun.objects.filter(rule=rule, ticket=ticket, since__isnull=False).values("since")
    missed = ticket.clocks.live().filter(breached_at__isnull=False).exclude(breached_at__in=seen)
    clock = missed.order_by("breached_at", "id").first()
    return _Wait(clock.breached_at, clock.metric) if clock and clock.breached_at else None


def _due_at(rule: Rule, ticket: Ticket, since: datetime) -> datetime | None:
    """By the hours of the ticket's team, or the default ones. None where nobody ever works."""
    seconds = (rule.after_minutes or 0) * 60
    calendar = (ticket.team.calendar if ticket.team else None) or Calendar.objects.filter(is_default=True).first()
    if not rule.business or calendar is None:
        return since + timedelta(seconds=seconds)
    try:
        return hours.add(calendar.hours(), since, seconds)
    except NeverOpens:
        return None


@transaction.atomic
def _next_timer(*, now: datetime) -> bool:
    due = RuleTimer.objects.filter(due_at__lte=now).select_related("rule")
    timer = due.select_for_update(of=("self",), skip_locked=True).order_by("due_at", "id").first()
    if timer is None:
        return False
    try:
        with transaction.atomic():
            again = _look(timer, now=now)
    except Exception:
        log.exception("timer of rule %s on ticket %s failed; it is tried again", timer.rule_id, timer.ticket_id)
        again = now + timedelta(minutes=5)
    if again is None:
        timer.delete()
    else:
        RuleTimer.objects.filter(pk=timer.pk).update(due_at=again)
    return True


def _look(timer: RuleTimer, *, now: datetime) -> datetime | None:
    """Run the rule if its time has come. Returns when to look again; None when nobody waits any more, or it ran."""
    rule, ticket = timer.rule, lock_survivor(timer.ticket_id)  # which waits for as long as those merged into it
    wait = _wait_of(rule, ticket) if rule.active and rule.when in OF_TIME else None
    due_at = _due_at(rule, ticket, wait.since) if wait else None
    if wait is None or due_at is None:
        return None
    if due_at > now:
        return due_at
    if not RuleRun.objects.filter(rule=rule, ticket=ticket, since=wait.since).exists():
        cause = Cause(promise=wait.promise, percent=100 if wait.promise else None)
        _run(ticket, when=rule.when, only=rule, since=wait.since, cause=cause, now=now)
        if rule.when == Rule.When.OVERDUE:
            return _look(timer, now=now)  # another deadline may be missed too
    return None


# -- What was left to be done -------------------------------------------------------------------------------------------


def _do_later(owed: Mapping[str, Any], *, now: datetime) -> None:
    """The actions of one rule, each by itself: what speaks against one is kept with it and hinders no other."""
    ticket = lock_survivor(owed["ticket"])
    did: list[Done] = []
    for action in owed["actions"]:
        ticket.refresh_from_db()
        try:
            with transaction.atomic():
                kept_back = _DO[action["do"]](ticket, action, owed, now)
        except (actions.NotAllowed, replies.Unreachable) as refusal:
            kept_back = str(refusal)
        did.append({**action, "kept_back": kept_back} if kept_back else action)
    step = {"rule": owed["rule"], "name": owed["name"], "version": owed["version"], "matched": True, "did": did}
    RuleRun.objects.create(ticket=ticket, trigger=LATER, rules=[step], at=now)


def _status(ticket: Ticket, action: Mapping[str, Any], owed: Mapping[str, Any], now: datetime) -> str:
    actions.set_status(ticket, action["status"], by=RULE, now=now)
    return ""


def _note(ticket: Ticket, action: Mapping[str, Any], owed: Mapping[str, Any], now: datetime) -> str:
    replies.automatic_note(ticket, text=_filled(action["text"], ticket, now=now), author=owed["name"], now=now)
    return ""


def _reply(ticket: Ticket, action: Mapping[str, Any], owed: Mapping[str, Any], now: datetime) -> str:
    """Once for each thread and rule, and never where a machine better says nothing."""
    key = uuid5(_ONCE, f"{owed['rule']}:{ticket.pk}")
    if Message.objects.filter(client_uuid=key).exists():
        return "once"
    heard = Message.objects.public().filter(ticket__in=ticket.family_ids(), direction=Message.Direction.IN)
    last = heard.select_related("route__identity", "customer").order_by("-id").first()
    if last is None or last.route is None or last.channel_id is None:
        return "no_route"
    kind = f"{AutomaticReply.BY_RULE}{owed['rule']}"
    if why := robots.why_not(last, kind=kind, now=now):
        return why
    text = _filled(action["text"], ticket, now=now)
    said = replies.automatic(ticket, route=last.route, text=text, kind="auto-replied", client_uuid=key, now=now)
    AutomaticReply.objects.create(
        ticket=ticket,
        channel_id=last.channel_id,
        cause=kind,
        kind=kind,
        asked=last,
        address=robots.address_of(last.route),
        message_id=said.pk,
        settled_at=now,
        created_at=now,
    )
    return ""


def _macro(ticket: Ticket, action: Mapping[str, Any], owed: Mapping[str, Any], now: datetime) -> str:
    macro = Macro.objects.filter(pk=action["macro"], deleted_at__isnull=True).first()
    if macro is None:
        return "gone"
    for deed in sorted(macro.deeds, key=lambda deed: deeds.ORDER.index(deed["do"])):
        ticket.refresh_from_db()
        deeds.do(deed, ticket, by=RULE, now=now)
    if not macro.text.strip():
        return ""
    say = _note if macro.kind == Macro.Kind.NOTE else _reply
    # Without its marks: places of it are filled with what customers say of themselves, and nobody looks at it before it goes.
    return say(ticket, {"text": formatting.as_plain(macro.text)}, owed, now)


def _webhook(ticket: Ticket, action: Mapping[str, Any], owed: Mapping[str, Any], now: datetime) -> str:
    """Signed, tried again and listed like all calls of this receiver."""
    webhook = Webhook.objects.filter(pk=action["webhook"], active=True).first()
    if webhook is None:
        return "gone"
    event = _told(ticket, owed, now=now)
    if not webhook.events or event.kind in webhook.events:
        return ""  # it hears of every one anyway
    payload = {"webhook": webhook.pk, "event": event.pk}
    Outbox.objects.create(kind="webhook", shard_key=f"webhook:{webhook.pk}", payload=payload, next_attempt_at=now)
    return ""


def _notify(ticket: Ticket, action: Mapping[str, Any], owed: Mapping[str, Any], now: datetime) -> str:
    _told(ticket, owed, agents=action.get("agents", []), teams=action.get("teams", []), now=now)
    return ""


def _told(ticket: Ticket, owed: Mapping[str, Any], *, now: datetime, **whom: list[int]) -> Event:
    told: dict[str, Any] = {"rule": owed["rule"], "name": owed["name"], **whom}
    return ticket.record("rule_told", by=RULE, now=now, **told)


def _filled(text: str, ticket: Ticket, *, now: datetime) -> str:
    """With the values of the ticket; what has none is left out, for nobody looks at it before it goes."""
    with translation.override(ticket.language or translation.get_language() or "en"):
        return variables.without_places(variables.fill(text, variables.of(ticket, agent=None, now=now)).text)


_DO: Mapping[str, Callable[[Ticket, Mapping[str, Any], Mapping[str, Any], datetime], str]] = {
    "status": _status,
    "note": _note,
    "macro": _macro,
    "reply": _reply,
    "webhook": _webhook,
    "notify": _notify,
}
