"""Rules: an ordered list of conditions and what to do when they hold.

`run` works on a ticket whose row lock is held, and returns the trace that `RoutingDecision.rules` and `RuleRun.rules`
keep. What decides where a ticket goes is done at once; the rest of a rule (LATER) is owed as one outbox row, in the
same transaction, and done by `tickets.triggers`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import uuid4

from django.db.models import BigIntegerField, Count, Model, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from agents.models import Agent, Skill, SkillLevel, Team
from tickets import conditions, fields, live
from tickets.models import (
    Event,
    Macro,
    Outbox,
    RoutingDecision,
    Rule,
    RuleMatch,
    RuleRun,
    SlaPolicy,
    Ticket,
    TicketField,
    TicketSkill,
    Webhook,
)
from tickets.models.event import RULE, RULES
from tickets.models.rule import OF_TIME
from tickets.models.ticket import tag_name, tags_named
from tickets.sla import clocks
from tickets.timeline import in_words, labels_of_status
from tickets.wake import wake

Action = dict[str, Any]

NOW = ("team", "agent", "priority", "tags", "fields", "skill", "sla")
LATER = ("status", "note", "macro", "reply", "webhook", "notify")
STATUSES = ("open", "pending", "on_hold", "solved")
LONGEST_TEXT = 5000  # characters of a reply or a note
LONGEST_WAIT = 60 * 24 * 90  # minutes
MOST_RUNS = 50  # in which rules did something to one ticket within an hour
UNITS = (("d", 24 * 60), ("h", 60), ("m", 1))


def validate(rule: Rule) -> None:
    """Raises conditions.Invalid, in the reader's language."""
    conditions.validate_of_rule(rule.conditions)
    validate_actions(rule.actions)
    if rule.when in OF_TIME and not 1 <= (rule.after_minutes or 0) <= LONGEST_WAIT:
        raise conditions.Invalid(_("Write after which time, as 30m, 24h or 3d; 90 days at most."))


def validate_actions(actions: Any) -> None:
    """Raises conditions.Invalid, in the reader's language."""
    if not isinstance(actions, list) or not actions:
        raise conditions.Invalid(_("Choose at least one thing to do."))
    for action in actions:
        fits = _FITS.get(action.get("do")) if isinstance(action, dict) else None
        if fits is None or not fits(action):
            raise conditions.Invalid(_("One of the things to do is incomplete."))


def _is_one_of(model: Any, pk: Any, **facts: Any) -> bool:
    return isinstance(pk, int) and model.objects.filter(pk=pk, **facts).exists()


def _is_given(action: Action) -> bool:
    """Raises conditions.Invalid with the reason where a ticket would lie with somebody who cannot answer."""
    pk = action.get("agent")
    agent = Agent.objects.filter(pk=pk).first() if isinstance(pk, int) else None
    if agent is not None and (reason := _unfit(agent)):
        said = {
            "inactive": _("%(name)s is switched off: rules give them no tickets. Choose somebody else."),
            "light": _("%(name)s may not reply: rules give them no tickets. Choose somebody else."),
        }
        raise conditions.Invalid(said[reason] % {"name": agent.name})
    return agent is not None


def _unfit(agent: Agent) -> str:
    """Why no rule gives them a ticket, as a trace names it; "" for one who can answer, at work or not."""
    if not agent.is_active:
        return "inactive"
    return "" if agent.may_reply else "light"


def _are_tags(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) and name.strip() for name in names)


def _are_fields(values: Any) -> bool:
    """Raises conditions.Invalid with the reason where a value is not of its kind."""
    if not isinstance(values, dict) or not values:
        return False
    try:
        return all(value is not None for value in fields.checked(values).values())
    except fields.Invalid as problem:
        raise conditions.Invalid(str(problem)) from problem


def _is_text(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text.strip()) <= LONGEST_TEXT


def _is_skill(action: Action) -> bool:
    minutes = action.get("relax_minutes")
    return (
        Skill.objects.filter(pk=action.get("skill") or 0).exists()
        and action.get("level") in SkillLevel.values
        and isinstance(action.get("required"), bool)
        and (minutes is None or (isinstance(minutes, int) and 0 < minutes <= 7 * 24 * 60))
    )


def _is_told(action: Action) -> bool:
    agents, teams = action.get("agents", []), action.get("teams", [])
    return (
        bool(agents or teams)
        and all(_is_one_of(Agent, pk, is_active=True) for pk in agents)
        and all(_is_one_of(Team, pk) for pk in teams)
    )


_FITS: Mapping[Any, Callable[[Action], bool]] = {
    "team": lambda it: _is_one_of(Team, it.get("team")),
    "agent": _is_given,
    "priority": lambda it: it.get("priority") in Ticket.Priority.values,
    "tags": lambda it: (
        bool(it.get("add") or it.get("remove")) and _are_tags(it.get("add", [])) and _are_tags(it.get("remove", []))
    ),
    "fields": lambda it: _are_fields(it.get("fields")),
    "skill": _is_skill,
    "sla": lambda it: _is_one_of(SlaPolicy, it.get("policy"), active=True),
    "status": lambda it: it.get("status") in STATUSES,
    "note": lambda it: _is_text(it.get("text")),
    "reply": lambda it: _is_text(it.get("text")),
    "macro": lambda it: _is_one_of(Macro, it.get("macro"), deleted_at__isnull=True, scope__in=("team", "shared")),
    "webhook": lambda it: _is_one_of(Webhook, it.get("webhook")),
    "notify": _is_told,
}


class Book:
    """What rules look up beyond the ticket, each kind of thing once. Of one moment: every batch has its own."""

    def __init__(self) -> None:
        self._ordered: dict[str, list[Rule]] = {}

    def ordered(self, when: str) -> list[Rule]:
        if when not in self._ordered:
            self._ordered[when] = list(Rule.objects.waiting_for(when).order_by("position", "id"))
        return self._ordered[when]

    @cached_property
    def teams(self) -> Mapping[int, Team]:
        return Team.objects.select_related("calendar").in_bulk()

    @cached_property
    def fields(self) -> list[TicketField]:
        return list(fields.ordered())

    @cached_property
    def skills(self) -> frozenset[int]:
        return frozenset(Skill.objects.values_list("pk", flat=True))


def run(
    ticket: Ticket,
    *,
    when: str,
    now: datetime,
    event: Event | None = None,
    only: Rule | None = None,
    cause: conditions.Cause | None = None,
    book: Book | None = None,
) -> list[dict[str, Any]]:
    """Try each active rule of this kind in order, or this one. Must hold the ticket's row lock; ask `resting` before, and
    call `count` with the trace then.

    `cause` is what makes them run, as far as conditions ask for it. `book` is that of the batch, where rules run on several
    tickets.
    """
    book = book or Book()
    active = [only] if only else book.ordered(when)
    trace: list[dict[str, Any]] = []
    facts = conditions.facts_of(ticket, now=now, cause=cause) if active else {}
    for rule, outcome in evaluate(active, facts):
        step: dict[str, Any] = {"rule": rule.pk, "name": rule.name, "version": rule.version, "matched": False}
        trace.append(step)
        if outcome is None:
            step["broken"] = True
            continue
        step["matched"], step["failed"] = outcome.matched, outcome.failed
        if outcome.matched:
            at_once = [action for action in rule.actions if action.get("do") in NOW]
            done = [one for action in at_once if (one := _do(ticket, action, book, when=when, now=now))]
            step["did"] = [one for one in done if "kept_back" not in one]
            if kept_back := [one for one in done if "kept_back" in one]:
                step["kept_back"] = kept_back
            if later := [action for action in rule.actions if action.get("do") in LATER]:
                step["later"] = later
                _owe(ticket, rule, later, event=event, now=now)
            if rule.stop:
                step["stopped"] = True
    return trace


def acted(trace: Iterable[Mapping[str, Any]]) -> bool:
    """Whether rules did something, or left it to be done."""
    return any(step.get("did") or step.get("later") for step in trace)


def resting(ticket_ids: Collection[int], *, now: datetime) -> set[int]:
    """Of these tickets, those to which rules did something MOST_RUNS times within an hour: there they rest. Whoever made
    them run counts, routing too; what a run has left to be done is part of it."""
    lately = {"ticket__in": ticket_ids, "acted": True, "at__gt": now - timedelta(hours=1)}
    counted: Counter[int] = Counter()
    for model in (RuleRun, RoutingDecision) if ticket_ids else ():
        counted.update(dict(model.objects.filter(**lately).values_list("ticket").annotate(Count("pk")).order_by()))
    return {pk for pk, runs in counted.items() if runs >= MOST_RUNS}


def rested() -> list[dict[str, Any]]:
    """The trace of a run in which they rest."""
    return [{"too_often": MOST_RUNS}]


def count(traces: Iterable[tuple[Ticket, list[dict[str, Any]]]], *, now: datetime) -> None:
    """Keep that these rules held for these tickets."""
    held = [(ticket, step["rule"]) for ticket, trace in traces for step in trace if step.get("matched")]
    RuleMatch.objects.bulk_create(RuleMatch(rule_id=rule, ticket=ticket, at=now) for ticket, rule in held)


def _owe(ticket: Ticket, rule: Rule, later: list[Action], *, event: Event | None, now: datetime) -> None:
    payload = {
        "ticket": ticket.pk,
        "rule": rule.pk,
        "name": rule.name,
        "version": rule.version,
        "actions": later,
        "event": event.pk if event else None,
        "key": uuid4().hex,
    }
    Outbox.objects.create(kind=RULES, shard_key=RULES, payload=payload, next_attempt_at=now)


def put_aside(tickets: QuerySet[Any] | list[int]) -> QuerySet[Outbox]:
    """What rules should have done on these tickets (their ids), and could not however often it was tried."""
    aside = Outbox.objects.filter(kind=RULES, shard_key=RULES, state=Outbox.State.QUARANTINED)
    return aside.annotate(ticket=Cast(KT("payload__ticket"), BigIntegerField())).filter(ticket__in=tickets)


def do_again(row: Outbox, *, now: datetime) -> bool:
    """Once more, at once. False where somebody has seen to that already."""
    aside = Outbox.objects.filter(pk=row.pk, state=Outbox.State.QUARANTINED)
    again = aside.update(state=Outbox.State.QUEUED, attempts=0, next_attempt_at=now, finished_at=None, last_error="")
    if again:
        wake("tickets.tasks.run_rules")
    return bool(again)


def owed_in_words(row: Outbox, names: Names) -> tuple[str, str]:
    """Of which rule it is and what was to be done, in the reader's language."""
    if "actions" not in row.payload:
        return _("All rules"), _("Rules should have run")
    return row.payload["name"], ", ".join(describe(action, names) for action in row.payload["actions"])


def evaluate(ordered: Iterable[Rule], facts: dict[str, Any]) -> Iterator[tuple[Rule, conditions.Outcome | None]]:
    """Each rule that is tried, with its outcome; None for one that cannot be understood. Reads and writes nothing.

    What a rule that holds would do is entered into `facts`, so that a later rule sees it, and so does the caller.
    """
    for rule in ordered:
        outcome = conditions.outcome_of(rule.conditions, facts)
        yield rule, outcome
        if outcome is None or not outcome.matched:
            continue
        for action in rule.actions:
            _enter(action, facts)
        if rule.stop:
            return


def _enter(action: dict[str, Any], facts: dict[str, Any]) -> None:
    match action.get("do"):
        case "team":
            facts["team"] = action["team"]
        case "priority":
            facts["priority"] = action["priority"]
        case "agent":
            facts["assignee"] = action["agent"]
        case "tags":
            added, removed = ({tag_name(name) for name in action.get(key, [])} for key in ("add", "remove"))
            facts["tag"] = (facts["tag"] | added - {""}) - removed
        case "fields":
            facts["field."] = facts["field."] | action["fields"]
        case "skill":
            facts["needs"] = facts["needs"] | {action["skill"]}


CHANGES: Mapping[str, tuple[str, ...]] = {
    "team": ("team", *conditions.OF_THE_CLOCK),
    "agent": ("assignee",),
    "priority": ("priority",),
    "tags": ("tag",),
    "skill": ("needs",),
}
"""What of the facts an action enters, so that a later rule sees it (`_enter`); with "fields" those that it names."""


def changes(action: Action) -> set[str]:
    own = {f"field.{key}" for key in action.get("fields", ())}
    return {*CHANGES.get(action.get("do", ""), ()), *own}


class Names:
    """Names by id for many sentences: one query for each kind of thing, and only when one of them is said."""

    @cached_property
    def teams(self) -> Mapping[int, str]:
        return _names(Team)

    @cached_property
    def agents(self) -> Mapping[int, str]:
        return _names(Agent)

    @cached_property
    def skills(self) -> Mapping[int, str]:
        return _names(Skill)

    @cached_property
    def fields(self) -> Mapping[str, str]:
        return dict(TicketField.objects.values_list("key", "label"))

    @cached_property
    def policies(self) -> Mapping[int, str]:
        return _names(SlaPolicy)

    @cached_property
    def macros(self) -> Mapping[int, str]:
        return dict(Macro.objects.values_list("pk", "title"))

    @cached_property
    def webhooks(self) -> Mapping[int, str]:
        return dict(Webhook.objects.values_list("pk", "url"))


def _names(model: type[Model]) -> dict[int, str]:
    return dict(model._default_manager.values_list("pk", "name"))


def say_when(rule: Rule) -> str:
    """What makes it run, with its time, in the reader's language."""
    when = str(Rule.When(rule.when).label)
    if rule.when not in OF_TIME:
        return when
    facts = {"when": when, "span": span_of(rule.after_minutes or 0)}
    return (_("%(when)s: %(span)s of business time") if rule.business else _("%(when)s: %(span)s")) % facts


def span_of(minutes: int) -> str:
    """ "30m", "24h", "3d": as `conditions.ago` reads it."""
    unit, size = next((unit, size) for unit, size in UNITS if minutes % size == 0)
    return f"{minutes // size}{unit}" if minutes else ""


def describe(action: Action, names: Names | None = None) -> str:
    """One action as people say it, in the reader's language."""
    names = names or Names()
    match action.get("do"):
        case "team":
            return _("Team → %(team)s") % {"team": names.teams.get(action["team"], "?")}
        case "agent":
            return _("Assignee → %(agent)s") % {"agent": names.agents.get(action["agent"], "?")}
        case "priority":
            return _("Priority → %(priority)s") % {
                "priority": dict(Ticket.Priority.choices).get(action["priority"], "?")
            }
        case "tags":
            return ", ".join(_say_tags(action))
        case "fields":
            return ", ".join(
                _("%(field)s → %(value)s") % {"field": names.fields.get(key, key), "value": _begin(in_words(value))}
                for key, value in action["fields"].items()
            )
        case "skill":
            return _describe_skill(action, names)
        case "sla":
            return _("SLA → %(policy)s") % {"policy": names.policies.get(action["policy"], "?")}
        case "status":
            return _("Status → %(status)s") % {"status": labels_of_status().get(action["status"], "?")}
        case "note":
            return _("Note: “%(text)s”") % {"text": _begin(action["text"])}
        case "reply":
            return _("Reply: “%(text)s”") % {"text": _begin(action["text"])}
        case "macro":
            return _("Macro → %(macro)s") % {"macro": names.macros.get(action["macro"], "?")}
        case "webhook":
            return _("Call %(url)s") % {"url": names.webhooks.get(action["webhook"], "?")}
        case "notify":
            told = [names.agents.get(pk, "?") for pk in action.get("agents", [])]
            told += [names.teams.get(pk, "?") for pk in action.get("teams", [])]
            return _("Tell %(people)s") % {"people": ", ".join(told)}
    return ""


def _say_tags(action: Action) -> Iterator[str]:
    if added := action.get("add"):
        yield _("Add tags: %(tags)s") % {"tags": ", ".join(added)}
    if removed := action.get("remove"):
        yield _("Remove tags: %(tags)s") % {"tags": ", ".join(removed)}


def _begin(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"


def _describe_skill(action: Action, names: Names) -> str:
    named = {"skill": names.skills.get(action.get("skill") or 0, "?"), "level": SkillLevel(action["level"]).label}
    if not action["required"]:
        return _("Wished: %(skill)s (%(level)s)") % named
    if minutes := action.get("relax_minutes"):
        return _("Needed: %(skill)s (%(level)s), wished after %(minutes)s min") % {**named, "minutes": minutes}
    return _("Needed: %(skill)s (%(level)s)") % named


def _do(ticket: Ticket, action: Action, book: Book, *, when: str, now: datetime) -> Action | None:
    """The action, with `kept_back` where something spoke against it; None when it was so already or what it speaks of is
    gone."""
    event: Event | None = None
    match action.get("do"):
        case "team":
            if team := book.teams.get(action["team"]):
                assignee = _who_stays(ticket, team, when=when)
                event = ticket.give_to(assignee=assignee, team=team, by=RULE, now=now)
                clocks.given(ticket, event, now=now)
        case "agent":
            if agent := Agent.objects.filter(pk=action["agent"]).first():
                if reason := _unfit(agent):
                    return {**action, "kept_back": reason}
                event = ticket.give_to(assignee=agent, team=ticket.team, by=RULE, now=now)
        case "priority":
            event = ticket.change_priority(action["priority"], by=RULE, now=now)
        case "tags":
            added, removed = (tags_named(action.get(key, [])) for key in ("add", "remove"))
            event = ticket.change_tags(add=added, remove=removed, by=RULE, now=now)
        case "fields":
            event = _fill_in(ticket, action["fields"], book, now=now)
        case "skill":
            return action if action["skill"] in book.skills and _need(ticket, action, now=now) else None
        case "sla":
            return action if _promise(ticket, action) else None
    live.announce(event)
    return action if event else None


def _fill_in(ticket: Ticket, values: Mapping[str, Any], book: Book, *, now: datetime) -> Event | None:
    """Those that there still are, and whose value can still be kept."""
    labels = {one.key: one.label for one in book.fields}
    kept: dict[str, Any] = {}
    for key, value in values.items():
        with suppress(fields.Invalid):
            kept |= fields.checked({key: value}, book.fields)
    return ticket.change_fields(kept, labels=labels, by=RULE, now=now)


def _who_stays(ticket: Ticket, team: Team, *, when: str) -> Agent | None:
    """Who took a new ticket before routing came to it keeps it; later on only who is in the team does."""
    assignee = ticket.assignee
    if assignee is None or when == Rule.When.CREATED or assignee.memberships.filter(team=team).exists():
        return assignee
    return None


def _promise(ticket: Ticket, action: Action) -> bool:
    """The clocks follow when the rules have run."""
    if action["policy"] == ticket.sla_policy_id or not SlaPolicy.objects.filter(pk=action["policy"]).exists():
        return False
    ticket.sla_policy_id = action["policy"]
    ticket.save(update_fields=["sla_policy"])
    return True


def _need(ticket: Ticket, action: dict[str, Any], *, now: datetime) -> bool:
    """Let the ticket need the skill. False when it does already in the same way."""
    minutes = action.get("relax_minutes")
    facts = {
        "level": action["level"],
        "required": action["required"],
        "wished_from": now + timedelta(minutes=minutes) if minutes else None,
    }
    needs = TicketSkill.objects.filter(ticket=ticket, skill=action["skill"])
    former = needs.first()
    if former is None:
        TicketSkill.objects.create(ticket=ticket, skill_id=action["skill"], **facts)
        return True
    if (former.level, former.required, bool(former.wished_from)) == (facts["level"], facts["required"], bool(minutes)):
        return False
    needs.update(**facts)
    return True
