"""A rule, or a set of them, tried on past tickets before it bites: what it would have matched and changed, beside what really happened.

Each ticket is looked at as it was when it came: its first words, its channel's team, no tags, the usual priority; for
the rules about customers who write again, as it was at each of these messages. Custom fields, customers and the skills
that it needs have no past: fields and customers are as they are today, skills are none. The other rules run around the
tried one in their order. Who would have got it is known only where a rule names the person: who else was free then is
written nowhere. Nothing but the trial's own rows is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery

from agents.models import Agent, Team
from tickets import conditions, trials
from tickets.access import tickets_for
from tickets.models import Attachment, Event, Message, RoutingDecision, Rule, RuleTrial, RuleTrialRow, Ticket
from tickets.models.event import RULE
from tickets.routing import rules
from tickets.wake import wake

TRIED = (Rule.When.CREATED, Rule.When.CUSTOMER_REPLIED)  # of which the past tells enough
DAYS = 30  # or the last tickets
REPLIES = 20  # of a ticket's customer, the newest, at which it is looked
_JUDGED = ("when", "conditions", "actions", "stop")
_KEPT = ("id", "name", "when", "conditions", "actions", "stop", "active")


_FOUND = (
    "matched", "held", "team_was", "team_would", "priority_was", "priority_would", "agent_was", "agent_would",
)  # fmt: skip


class Result(NamedTuple):
    seen: int
    matched: int
    changed_team: int
    changed_priority: int
    changed_agent: int


def begin(rule: Rule, *, by: Agent, days: int | None = None, now: datetime) -> RuleTrial:
    """Try a rule, saved or not, switched on or not, on the newest tickets that its author may see, or on those of so many
    days. Worked off in the background."""
    others = list(Rule.objects.filter(when=rule.when, active=True).exclude(pk=rule.pk).order_by("position", "id"))
    place = trials.among(others, rule)
    return _begin([*others[:place], rule, *others[place:]], tried=place, by=by, days=days, now=now)


def begin_set(ordered: Sequence[Rule], *, by: Agent, days: int | None = None, now: datetime) -> RuleTrial:
    """Try these rules of one kind in this order, each as it is switched on or off here, on the newest tickets or on those
    of so many days."""
    return _begin(ordered, tried=None, by=by, days=days, now=now)


@transaction.atomic
def _begin(
    ordered: Sequence[Rule], *, tried: int | None, by: Agent, days: int | None = None, now: datetime
) -> RuleTrial:
    trials.forget_old(RuleTrial, by=by, now=now)
    trial = RuleTrial.objects.create(
        agent=by,
        rule_id=ordered[tried].pk if tried is not None else None,
        rules=[{name: getattr(one, name) for name in _KEPT} for one in ordered],
        tried=tried,
        created_at=now,
    )
    seen = tickets_for(by).filter(merged_into__isnull=True)
    if _is_about_replies(ordered):
        seen = seen.filter(Exists(Message.objects.written_again().filter(ticket=OuterRef("pk"))))
    if days:
        seen = seen.filter(created_at__gte=now - timedelta(days=days))
    newest = seen.order_by("-id").values_list("pk", flat=True)[: trials.MOST if days else trials.LAST]
    RuleTrialRow.objects.bulk_create(RuleTrialRow(trial=trial, ticket_id=pk) for pk in newest)
    trial.total = trial.rows.count()
    trial.save(update_fields=["total"])
    wake("tickets.tasks.try_rules")
    return trial


def drain(*, now: datetime, seconds: float) -> int:
    return trials.work_off(RuleTrial, _batch, now=now, seconds=seconds)


def rules_of(trial: RuleTrial) -> list[Rule]:
    """As they were tried. They are not to be saved."""
    return [Rule(**kept) for kept in trial.rules]


def see(trial: RuleTrial, *, now: datetime) -> None:
    """Its author has the result before them."""
    if trial.finished_at and not trial.problem and trial.seen_at is None:
        trial.seen_at = now
        trial.save(update_fields=["seen_at"])


def is_untried(rule: Rule) -> bool:
    """The past could tell what it does, and nobody has looked: neither at it alone nor switched on in a set."""
    if rule.when not in TRIED:
        return False
    content = {name: getattr(rule, name) for name in _JUDGED}
    alike = RuleTrial.objects.filter(seen_at__isnull=False, rules__contains=[content])  # with more in it, at times
    for trial in alike.order_by("-id").iterator():
        tried = [one for one in trial.rules if one["active"]] if trial.tried is None else [trial.rules[trial.tried]]
        if any({name: one[name] for name in _JUDGED} == content for one in tried):
            return False
    return True


def result(trial: RuleTrial) -> Result:
    counted = trial.rows.aggregate(
        seen=Count("pk", filter=Q(matched__isnull=False)),
        changed_team=Count("pk", filter=Q(matched=True) & ~Q(team_was=F("team_would")) & Q(team_would__isnull=False)),
        changed_priority=Count("pk", filter=Q(matched=True) & ~Q(priority_was=F("priority_would"))),
        changed_agent=Count("pk", filter=Q(matched=True, agent_would__isnull=False) & ~Q(agent_was=F("agent_would"))),
        matched=Count("pk", filter=Q(matched=True)),  # last: the others count the column
    )
    return Result(**counted)


def counts(trial: RuleTrial) -> list[int]:
    """Of a set: on how many of the tickets each rule has held so far."""
    found = [0] * len(trial.rules)
    for held in trial.rows.filter(matched=True).values_list("held", flat=True).iterator():
        for place, here in enumerate(held or []):
            found[place] += here
    return found


def leaves_of(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The conditions of a tree, as `RuleTrialRow.held` counts them."""
    if "field" in tree:
        return [tree]
    return [leaf for branches in tree.values() for branch in branches for leaf in leaves_of(branch)]


# -- One batch ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def _batch(trial_id: int, now: datetime) -> int:
    trial = RuleTrial.objects.select_for_update(skip_locked=True).filter(pk=trial_id, finished_at__isnull=True).first()
    if trial is None:
        return 0
    rows = list(trial.rows.filter(matched__isnull=True).order_by("-ticket")[: trials.BATCH])
    if not rows:
        trial.finished_at = now
        trial.save(update_fields=["finished_at"])
        return 0
    ordered = rules_of(trial)
    tried = ordered[trial.tried] if trial.tried is not None else None
    ids, team_hours = [row.ticket_id for row in rows], conditions.TeamHours()
    moments = _replies(ids, team_hours) if _is_about_replies(ordered) else _arrivals(ids, team_hours)
    teams = set(Team.objects.values_list("pk", flat=True))
    agents = set(Agent.objects.filter(is_active=True).exclude(role=Agent.Role.LIGHT).values_list("pk", flat=True))
    for row in rows:
        _try(row, moments[row.ticket_id], ordered, tried=tried, teams=teams, agents=agents)
    RuleTrialRow.objects.bulk_update(rows, _FOUND)
    return len(rows)


class _Moment(NamedTuple):
    """What the rules look at, and what was made of the ticket then."""

    facts: conditions.Facts
    team_was: int | None
    agent_was: int | None
    priority_was: int


def _is_about_replies(ordered: Sequence[Rule]) -> bool:
    return any(one.when == Rule.When.CUSTOMER_REPLIED for one in ordered)


def _try(
    row: RuleTrialRow,
    moments: Sequence[_Moment],
    ordered: Sequence[Rule],
    *,
    tried: Rule | None,
    teams: set[int],
    agents: set[int],
) -> None:
    """Of several moments the last one counts at which it held, or the last one."""
    row.matched, row.held = False, []
    ever = [False for _rule in ordered]
    for moment in moments:
        facts = moment.facts
        team_before, agent_before, held, leaves = facts["team"], facts["assignee"], list[Rule](), list[bool]()
        for rule, outcome in rules.evaluate([one for one in ordered if one.active or one is tried], facts):
            if outcome and outcome.matched:
                held.append(rule)
            if rule is tried:
                leaves = [_holds(leaf, facts) for leaf in leaves_of(rule.conditions)]
        ever = [was or any(one is rule for one in held) for was, rule in zip(ever, ordered, strict=True)]
        matched = tried in held if tried else bool(held)
        if row.matched and not matched:
            continue
        row.matched, row.held = matched, leaves
        row.team_would_id = (facts["team"] if facts["team"] in teams else team_before) or None
        named = facts["assignee"] in agents and facts["assignee"] != agent_before
        row.agent_would_id = facts["assignee"] if named else None
        row.team_was_id, row.agent_was_id, row.priority_was = moment.team_was, moment.agent_was, moment.priority_was
        row.priority_would = facts["priority"]
    if tried is None:
        row.held = ever


def _holds(leaf: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    outcome = conditions.outcome_of(leaf, facts)
    return bool(outcome and outcome.matched)


# -- As they came -------------------------------------------------------------------------------------------------------


def _arrivals(ids: Sequence[int], team_hours: conditions.TeamHours) -> dict[int, list[_Moment]]:
    """With their first words, their first decision and who got them first: a few queries, however many."""
    said = Message.objects.filter(ticket=OuterRef("pk"), direction="in", kind="public").order_by("seq")
    decided = RoutingDecision.objects.filter(ticket=OuterRef("pk")).order_by("id")
    tickets = (
        Ticket.objects.filter(pk__in=ids)
        .select_related("customer", "first_channel")
        .prefetch_related("customer__identities")
        .annotate(
            first_text=Subquery(said.values("text")[:1]),
            first_on=Subquery(said.values("channel__kind")[:1]),
            first_automatic=Subquery(said.values("automatic")[:1]),
            first_to=Subquery(said.values("to")[:1]),
            first_cc=Subquery(said.values("cc")[:1]),
            first_file=Exists(Attachment.objects.filter(message__in=Subquery(said.values("pk")[:1]))),
            first_team=Subquery(decided.values("team")[:1]),
            first_agent=Subquery(decided.filter(agent__isnull=False).values("agent")[:1]),
            first_rules=Subquery(decided.values("rules")[:1]),
        )
    )
    return {
        ticket.pk: [
            _Moment(
                _facts(ticket, team_hours),
                ticket.first_team or ticket.team_id,
                ticket.first_agent,
                _priority_was(ticket),
            )
        ]
        for ticket in tickets
    }


def _facts(ticket: Any, team_hours: conditions.TeamHours) -> conditions.Facts:
    """Those of `conditions.facts_of` at the moment at which the ticket came."""
    channel = ticket.first_channel
    facts = conditions.first_facts_of(ticket, team_hours)
    facts.update(
        {
            "text": [ticket.subject, ticket.first_text or ""],
            "said": [ticket.first_text or ""],
            "said_on": {ticket.first_on} - {None},
            "said_by": {"machine"} if ticket.first_automatic else {"person", "customer"},
            "to": [*_places(ticket), *(ticket.first_to or []), *(ticket.first_cc or [])],
            "has": {"attachment"} if ticket.first_file else set(),
            "tag": set(),
            "priority": Ticket.Priority.NORMAL.value,
            "status": Ticket.Status.NEW.value,
            "team": (channel.team_id if channel else None) or 0,
            "assignee": 0,
        }
    )
    return facts


def _places(ticket: Ticket) -> list[str]:
    return [ticket.first_channel.address, ticket.first_channel.name] if ticket.first_channel else []


def _priority_was(ticket: Any) -> int:
    """What the rules of its day made of it; without any, what it began with."""
    done = [action for step in ticket.first_rules or [] for action in step.get("did", [])]
    return next(
        (action["priority"] for action in reversed(done) if action.get("do") == "priority"), Ticket.Priority.NORMAL
    )


# -- What customers wrote again -----------------------------------------------------------------------------------------

_OF_STATUS = ("status_changed", "solved", "reopened", "closed")
_CHANGES = (*_OF_STATUS, "undone", "assigned", "priority_changed", "tags_changed", "incident_changed")


def _replies(ids: Sequence[int], team_hours: conditions.TeamHours) -> dict[int, list[_Moment]]:
    """Of each ticket the moments at which its customer wrote again, in their order: a few queries, however many."""
    tickets = (
        Ticket.objects.filter(pk__in=ids)
        .select_related("customer", "first_channel")
        .prefetch_related("customer__identities", "tags")
    )
    said = (
        Message.objects.filter(ticket__in=ids, kind__in=(Message.Kind.PUBLIC, Message.Kind.NOTE))
        .select_related("channel")
        .annotate(with_file=Exists(Attachment.objects.filter(message=OuterRef("pk"))))
        .defer("html", "quoted_text", "signature")
    )
    events = Event.objects.filter(ticket__in=ids, kind__in=_CHANGES)
    messages_of, events_of = _grouped(said.order_by("seq")), _grouped(events.order_by("id"))
    return {
        ticket.pk: _replies_of(ticket, messages_of[ticket.pk], events_of[ticket.pk], team_hours) for ticket in tickets
    }


def _grouped(rows: Iterable[Any]) -> defaultdict[int, list[Any]]:
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.ticket_id].append(row)
    return found


def _replies_of(
    ticket: Ticket, messages: Sequence[Any], events: Sequence[Event], team_hours: conditions.TeamHours
) -> list[_Moment]:
    moments: list[tuple[Message, conditions.Facts]] = []
    texts, places = [ticket.subject], _places(ticket)
    has: set[str] = set()
    waiting: datetime | None = None
    began = False
    for said in messages:
        public, inbound = said.kind == Message.Kind.PUBLIC, said.direction == Message.Direction.IN
        has = has | _things(said)
        if public and inbound:
            texts, places = [*texts, said.text], [*places, *said.to, *said.cc]
            waiting = waiting if said.automatic else waiting or said.created_at
        elif said.is_human_reply:
            waiting = None
        if public and inbound and began and not said.automatic:
            facts = conditions.first_facts_of(ticket, team_hours)
            facts.update(
                {
                    "now": said.created_at,
                    "text": texts,
                    "said": [said.text],
                    "said_on": {said.channel.kind} if said.channel else set(),
                    "said_by": conditions.authors_of(said),
                    "to": places,
                    "has": has,
                    "waiting": waiting,
                }
            )
            moments.append((said, facts))
        began = began or public
    return _as_they_were(ticket, moments[-REPLIES:], events)


def _things(said: Any) -> set[str]:
    things = {"attachment"} if said.with_file else set()
    if said.kind == Message.Kind.NOTE:
        return things | {"note"}
    return things | ({"reply"} if said.direction == Message.Direction.OUT else set())


def _as_they_were(
    ticket: Ticket, moments: Sequence[tuple[Message, conditions.Facts]], events: Sequence[Event]
) -> list[_Moment]:
    """From what the ticket is today back through what has changed, to each of the moments. What rules did before
    anybody else did anything is what was made of it then."""
    state: dict[str, Any] = {
        "team": ticket.team_id or 0,
        "assignee": ticket.assignee_id or 0,
        "priority": ticket.priority,
        "status": ticket.status,
        "tag": {tag.name for tag in ticket.tags.all()},
        "incident": ticket.incident_id or 0,
    }
    found: list[_Moment] = []
    by_id, left = {event.pk: event for event in events}, list(events)
    for said, facts in reversed(moments):
        was = state
        while left and _is_after(left[-1], said):
            event = left.pop()
            state = state | _before(event, state, by_id)
            if event.actor_type != RULE.type:
                was = state
        facts.update(state)
        found.append(_Moment(facts, was["team"] or None, was["assignee"] or None, was["priority"]))
    return found[::-1]


def _is_after(event: Event, said: Message) -> bool:
    """What the message itself has done, as to open the ticket again, was done when rules came to it."""
    return event.at > said.created_at or (event.at == said.created_at and event.actor_type == RULE.type)


def _before(event: Event, state: Mapping[str, Any], by_id: Mapping[int, Event]) -> dict[str, Any]:
    """What it changed, as that was before."""
    told = event.particulars
    match event.kind:
        case "assigned":
            former = {name: told["from"][name] or 0 for name in ("team", "assignee")}
            return former | ({"status": Ticket.Status.NEW.value} if told.get("opened") else {})
        case "priority_changed":
            return {"priority": told["from"]}
        case "incident_changed":
            return {"incident": told["from"] or 0}
        case "tags_changed":
            return {"tag": (state["tag"] - set(told.get("added", ()))) | set(told.get("removed", ()))}
        case "undone":
            undone = by_id.get(told.get("event"))
            return {"status": undone.particulars["to"]} if undone and undone.kind in _OF_STATUS else {}
    return {"status": told["from"]}
