"""A policy tried on the past before it bites: whom it would have covered, and what would have been met and breached.

What happened to each ticket is read from the one log and its clocks are played again (`past`), under all policies in
their order with the tried one among them, by the business hours as they are now. Beside it stands what its real clocks
say. Counted as metrics.md 2.5 says. Nothing but the trial's own rows is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Count

from agents.hours import ALWAYS
from agents.models import Agent, Calendar
from tickets import conditions, trials
from tickets.access import tickets_for
from tickets.models import (
    Event,
    Message,
    RoutingDecision,
    RuleRun,
    SlaClock,
    SlaPolicy,
    SlaTrial,
    SlaTrialPromise,
    SlaTrialTicket,
    Ticket,
)
from tickets.models.message import DeliveryState
from tickets.models.sla import SlaMetric
from tickets.models.ticket import TicketQuerySet
from tickets.sla import past
from tickets.sla.past import Deed, Offer, Run
from tickets.sla.versions import Targets, targets_of
from tickets.wake import wake

DAYS = timedelta(days=30)

_OF_STATUS = ("status_changed", "solved", "reopened", "closed")
_READ = (
    *_OF_STATUS, "message_received", "reply_posted", "assigned", "priority_changed", "tags_changed", "rated", "undone",
)  # fmt: skip


class Tally(NamedTuple):
    """Promises. Those that are still open, and those that were cancelled, are no part of the attainment."""

    met: int
    breached: int
    open: int

    @property
    def attainment(self) -> float | None:
        """metrics.md 2.5: met / (met + breached), in percent; None where nothing is decided."""
        decided = self.met + self.breached
        return 100 * self.met / decided if decided else None


class Line(NamedTuple):
    """One metric. `newly_breached` were met in truth, `newly_met` breached."""

    metric: str
    was: Tally
    would: Tally
    newly_breached: int
    newly_met: int


@transaction.atomic
def begin(policy: SlaPolicy, targets: Targets, *, by: Agent, span: str, now: datetime) -> SlaTrial:
    """Try a policy, saved or not, on tickets that its author may see, by the day on which they were created.

    Worked off in the background. It counts as switched on. Drops its author's trials of more than a month ago.
    """
    trials.forget_old(SlaTrial, by=by, now=now)
    active = SlaPolicy.objects.filter(active=True).exclude(pk=policy.pk)
    others = list(active.prefetch_related("targets").order_by("position", "id"))
    place = trials.among(others, policy)
    kept = [_snapshot(one, targets_of(one)) for one in others]
    since, until = _period(span, now=now)
    trial = SlaTrial(
        agent=by,
        policy_id=policy.pk,
        policies=[*kept[:place], _snapshot(policy, targets), *kept[place:]],
        tried=place,
        span=span,
        since=since,
        until=until,
        created_at=now,
    )
    found = _tickets_of(trial)
    trial.before = (found.order_by("-id").values_list("pk", flat=True).first() or 0) + 1
    trial.total = found.order_by("-id")[: trials.LAST if span == SlaTrial.Span.LAST else trials.MOST].count()
    trial.save()
    wake("tickets.tasks.try_rules")
    return trial


def drain(*, now: datetime, seconds: float) -> int:
    return trials.work_off(SlaTrial, _batch, now=now, seconds=seconds)


def result(trial: SlaTrial, *, covered_only: bool) -> list[Line]:
    """A line for each metric, in one query."""
    rows = trial.promises.filter(covered=True) if covered_only else trial.promises.all()
    counts = {
        (metric, was, would): count
        for metric, was, would, count in rows.order_by()
        .values_list("metric", "was", "would")
        .annotate(count=Count("pk"))
    }

    def tally(metric: str, side: int) -> Tally:
        of = dict.fromkeys(SlaTrialPromise.Outcome.values, 0)
        for key, count in counts.items():
            if key[0] == metric and key[side]:
                of[key[side]] += count
        return Tally(**of)

    return [
        Line(
            metric,
            tally(metric, 1),
            tally(metric, 2),
            counts.get((metric, past.MET, past.BREACHED), 0),
            counts.get((metric, past.BREACHED, past.MET), 0),
        )
        for metric in SlaMetric.values
    ]


# -- What is tried ------------------------------------------------------------------------------------------------------


def _snapshot(policy: SlaPolicy, targets: Targets) -> dict[str, Any]:
    return {
        "id": policy.pk,
        "name": policy.name,
        "conditions": policy.conditions,
        "calendar": policy.calendar_id,
        "pauses_in": policy.pauses_in,
        "from": policy.first_reply_from,
        "targets": [[*place, *target] for place, target in sorted(targets.items())],
    }


def _period(span: str, *, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Days are those of the default business hours, as in the reports."""
    if span == SlaTrial.Span.LAST:
        return None, None
    if span == SlaTrial.Span.DAYS:
        return now - DAYS, now
    calendar = Calendar.objects.filter(is_default=True).first()
    zone = ZoneInfo(calendar.time_zone if calendar else "UTC")
    this_month = now.astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (this_month - timedelta(days=1)).replace(day=1), this_month


def _tickets_of(trial: SlaTrial) -> TicketQuerySet:
    found = tickets_for(trial.agent).survivors()
    if trial.since and trial.until:
        found = found.filter(created_at__gte=trial.since, created_at__lt=trial.until)
    return found


def _offers(trial: SlaTrial) -> list[Offer]:
    """The policies of the trial; the key is the place."""
    calendars = {calendar.pk: calendar for calendar in Calendar.objects.all()}
    default = next((calendar for calendar in calendars.values() if calendar.is_default), None)
    offers = []
    for place, kept in enumerate(trial.policies):
        calendar = calendars.get(kept["calendar"], default)
        hours = calendar.hours() if calendar else ALWAYS
        targets = {
            (metric, priority): (seconds, hours if business else ALWAYS)
            for metric, priority, seconds, business in kept["targets"]
        }
        from_creation = kept.get("from") == SlaPolicy.From.CREATED
        offers.append(Offer(place, _Holds(kept["conditions"]), targets, tuple(kept["pauses_in"]), from_creation))
    return offers


class _Holds:
    """Whether the conditions of a policy hold; one that cannot be understood applies to nothing."""

    def __init__(self, tree: conditions.Tree) -> None:
        self.tree = tree

    def __call__(self, facts: Mapping[str, Any]) -> bool:
        outcome = conditions.outcome_of(self.tree, facts)
        return outcome is not None and outcome.matched


# -- One batch ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def _batch(trial_id: int, now: datetime) -> int:
    running = SlaTrial.objects.select_for_update(skip_locked=True, of=("self",)).filter(finished_at__isnull=True)
    trial = running.select_related("agent").filter(pk=trial_id).first()
    if trial is None:
        return 0
    size = min(trials.BATCH, trial.total - trial.seen)
    tickets = _Tickets(_tickets_of(trial).filter(pk__lt=trial.before).order_by("-id")[:size]) if size else None
    if not tickets:
        trial.finished_at = now
        trial.save(update_fields=["finished_at"])
        return 0
    offers = _offers(trial)
    promises: list[SlaTrialPromise] = []
    covers: list[SlaTrialTicket] = []
    for ticket in tickets:
        played = past.play(
            tickets.deeds_of(ticket, trial.policies),
            tickets.facts_of(ticket, trial.policies),
            offers=offers,
            first_reply_at=ticket.first_reply_at,
        )
        covered = trial.tried in played.offers
        real = tickets.clocks[ticket.pk]
        if covered:
            covers.append(SlaTrialTicket(trial=trial, ticket=ticket, policy_was=real[0].policy if real else None))
        promises += [
            SlaTrialPromise(trial=trial, ticket=ticket, covered=covered, **pair)
            for pair in _pairs(real, played.runs, now=trial.created_at)
        ]
    SlaTrialTicket.objects.bulk_create(covers)
    SlaTrialPromise.objects.bulk_create(promises)
    trial.before = min(ticket.pk for ticket in tickets)
    trial.seen += len(tickets)
    trial.save(update_fields=["before", "seen"])
    return len(tickets)


def _pairs(clocks: Iterable[SlaClock], runs: Iterable[Run], *, now: datetime) -> Iterator[dict[str, Any]]:
    """What became of a promise, and what would have: those of one metric that began at the same moment."""
    rows: dict[tuple[datetime, str], dict[str, Any]] = {}

    def row(metric: str, started_at: datetime) -> dict[str, Any]:
        return rows.setdefault((started_at, metric), {"metric": metric, "started_at": started_at})

    for clock in clocks:
        if outcome := _outcome(clock, now=now):
            row(clock.metric, clock.started_at).update(was=outcome, was_due_at=clock.due_at)
    for run in runs:
        if would := run.outcome(now):
            row(run.metric, run.started_at).update(would=would, would_due_at=run.due_at())
    return (rows[key] for key in sorted(rows))


def _outcome(clock: SlaClock, *, now: datetime) -> str | None:
    """metrics.md 2.5: breached from its deadline on, though nobody has answered yet; None for a cancelled one."""
    if clock.state == SlaClock.State.CANCELLED:
        return None
    if clock.breached_at or (clock.state == SlaClock.State.RUNNING and clock.due_at <= now):
        return past.BREACHED
    return past.MET if clock.state == SlaClock.State.MET else past.OPEN


# -- What happened ------------------------------------------------------------------------------------------------------


class _Tickets(Sequence[Ticket]):
    """Some tickets, and all that happened to them: as many queries for one as for many."""

    def __init__(self, rows: TicketQuerySet) -> None:
        related = rows.select_related("customer", "first_channel").prefetch_related("customer__identities", "tags")
        self.rows = list(related)
        ids = [ticket.pk for ticket in self.rows]
        self.events = _grouped(Event.objects.filter(ticket__in=ids, kind__in=_READ).order_by("id")) if ids else {}
        said = Message.objects.filter(ticket__in=ids, kind=Message.Kind.PUBLIC)
        self.said = {one.pk: one for one in said.only("ticket", "direction", "text", "automatic", "state")}
        own = SlaClock.objects.filter(ticket__in=ids, metric__in=SlaMetric.values, stands_in=False)
        clocks = own.select_related("policy")
        self.clocks = _grouped(clocks.order_by("id"))
        decided = RoutingDecision.objects.filter(ticket__in=ids).exclude(rules=[]).only("ticket", "rules", "at")
        ran = RuleRun.objects.filter(ticket__in=ids, acted=True).only("ticket", "rules", "at")
        self.team_hours = conditions.TeamHours()
        self.rules = _grouped([*decided.order_by("id"), *ran.order_by("id")])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> Any:
        return self.rows[place]

    def deeds_of(self, ticket: Ticket, policies: Sequence[Mapping[str, Any]]) -> list[Deed]:
        """In the order in which they happened. What was undone never did."""
        events = self._events_of(ticket)
        taken_back = {event.at for event in self.events[ticket.pk] if event.kind == "solved"} - {
            event.at for event in events if event.kind == "solved"
        }
        texts, tags = [ticket.subject], _first_tags(ticket, events)
        deeds: list[Deed] = []
        for event in events:
            told = event.particulars
            match event.kind:
                case "message_received":
                    said = self.said.get(event.message_id or 0)
                    texts = [*texts, said.text] if said else texts
                    deeds.append(Deed(event.at, past.OTHER if said and said.automatic else past.WROTE, {"text": texts}))
                case "reply_posted":
                    said = self.said.get(event.message_id or 0)
                    if said is None or said.state != DeliveryState.FAILED:
                        kind = past.ANSWERED_FOR_GOOD if event.at in taken_back else past.ANSWERED
                        deeds.append(Deed(event.at, kind, {}))
                case "priority_changed":
                    # What a rule does moves clocks when the rules have run.
                    kind = past.OTHER if event.actor_type == "rule" else past.PRIORITY
                    deeds.append(Deed(event.at, kind, {"priority": told["to"]}))
                case "assigned":
                    change = {"team": told["to"]["team"] or 0, "assignee": told["to"]["assignee"] or 0}
                    if told.get("opened"):
                        change["status"] = Ticket.Status.OPEN.value
                    deeds.append(Deed(event.at, past.OTHER, change))
                case "tags_changed":
                    tags = (tags | set(told.get("added", ()))) - set(told.get("removed", ()))
                    deeds.append(Deed(event.at, past.OTHER, {"tag": tags}))
                case "rated":
                    deeds.append(Deed(event.at, past.OTHER, {"csat": told["score"]}))
                case "undone":
                    deeds.append(Deed(event.at, past.STATUS, {"status": told["to"]}))
                case _:
                    deeds.append(Deed(event.at, past.STATUS, {"status": told["to"]}))
        deeds += [
            Deed(run.at, past.RULES, _promised(did, policies)) for run in self.rules[ticket.pk] if (did := _did(run))
        ]
        return sorted(deeds, key=lambda deed: deed.at)

    def facts_of(self, ticket: Ticket, policies: Sequence[Mapping[str, Any]]) -> conditions.Facts:
        """Those of `conditions.facts_of`, at the moment at which the ticket came."""
        events = self._events_of(ticket)
        told = [(event.kind, event.particulars) for event in events]
        given = next((one["from"] for kind, one in told if kind == "assigned"), None)
        # A promise that a rule made begins where it made it.
        promised = any(action.get("do") == "sla" for run in self.rules[ticket.pk] for action in _did(run))
        facts = conditions.first_facts_of(ticket, self.team_hours)
        facts.update(
            {
                "text": [ticket.subject],
                "tag": _first_tags(ticket, events),
                "priority": next((one["from"] for kind, one in told if kind == "priority_changed"), ticket.priority),
                "status": _first_status(ticket, events),
                "team": (ticket.team_id if given is None else given["team"]) or 0,
                "assignee": (ticket.assignee_id if given is None else given["assignee"]) or 0,
                "created_at": ticket.created_at,
                "policy": None if promised else _place_of(ticket.sla_policy_id, policies),
            }
        )
        return facts

    def _events_of(self, ticket: Ticket) -> list[Event]:
        events = self.events[ticket.pk]
        undone = {event.particulars.get("event") for event in events if event.kind == "undone"}
        return [event for event in events if event.pk not in undone]


def _grouped(rows: Iterable[Any]) -> defaultdict[int, list[Any]]:
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.ticket_id].append(row)
    return found


def _first_tags(ticket: Ticket, events: Iterable[Event]) -> set[str]:
    tags = {tag.name for tag in ticket.tags.all()}
    for event in reversed([event for event in events if event.kind == "tags_changed"]):
        tags = (tags - set(event.particulars.get("added", ()))) | set(event.particulars.get("removed", ()))
    return tags


def _first_status(ticket: Ticket, events: Iterable[Event]) -> str:
    for event in events:
        if event.kind in _OF_STATUS:
            return event.particulars["from"]
        if event.particulars.get("opened"):
            return Ticket.Status.NEW.value
    return ticket.status


def _did(run: RoutingDecision | RuleRun) -> list[dict[str, Any]]:
    return [action for step in run.rules for action in step.get("did") or []]


def _promised(did: Iterable[Mapping[str, Any]], policies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What rules promised, as a change of the facts."""
    promised = [action.get("policy") for action in did if action.get("do") == "sla"]
    return {"policy": _place_of(promised[-1], policies)} if promised else {}


def _place_of(policy_id: int | None, policies: Sequence[Mapping[str, Any]]) -> int | None:
    places = (place for place, kept in enumerate(policies) if policy_id is not None and kept["id"] == policy_id)
    return next(places, None)
