"""Who is told: the drain that makes notifications of the one log.

`record()` owes each event that may concern somebody as an `Outbox` row, in the transaction of the event itself. One
transaction here makes the notifications of a batch and takes the rows away: a crash before its commit does all of it
again, a crash after it nothing. One drain works at a time, so that bursts are counted right. Mails and pushes are rows
of the outbox in turn (notification_mail.py, push.py).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from agents.models import Agent, Membership
from tickets import live
from tickets.access import Visibility, visibility_of
from tickets.crash import crash_here
from tickets.models import (
    Channel,
    Event,
    Follower,
    Mention,
    Message,
    Notification,
    NotificationHours,
    Outbox,
    Promise,
    PushSubscription,
    ReadMark,
    Ticket,
)
from tickets.models.event import RULE
from tickets.models.ticket import UNSOLVED
from tickets.notifications import HANDED_ON, OF_ADMINS, TYPES, Ways, all_ways, quiet_until
from tickets.wake import wake

log = logging.getLogger(__name__)

OWED, MAIL, PUSH = "notification", "notification_mail", "push"  # kinds of outbox rows
BATCH = 200
MOST_ERRORS = 5
BURST = timedelta(minutes=10)  # what follows within it stands for what came before
COLLECTED = timedelta(minutes=2)  # a mail waits for what else happens, and for its reader to see it on the screen
SETTLED = timedelta(seconds=3)  # a push waits for what else happens in a breath, and for its reader on the screen
ONCE = timedelta(days=1)  # a ticket is new in a team once
KEPT = timedelta(days=90)
BAD_SCORE = 2  # of 5, and below


def drain(*, seconds: float = 60) -> int:
    """Make the notifications that are owed, for `seconds`. Returns how many events were looked at."""
    until, done = monotonic() + seconds, 0
    while monotonic() < until:
        looked_at = _batch(now=timezone.now())
        done += looked_at
        if looked_at < BATCH:
            break
    return done


def forget_old(*, now: datetime) -> int:
    """Drop what is older than 90 days. Returns how many."""
    return Notification.objects.filter(at__lt=now - KEPT).delete()[0]


@transaction.atomic
def _batch(*, now: datetime) -> int:
    if not _alone():
        return 0
    due = Outbox.objects.filter(kind=OWED, state=Outbox.State.QUEUED, next_attempt_at__lte=now)
    rows = list(due.select_for_update(skip_locked=True).order_by("id")[:BATCH])
    if not rows:
        return 0
    try:
        with transaction.atomic():
            told = _tell([row.payload["event"] for row in rows], now=now)
    except Exception:
        log.exception("a batch of notifications failed: each event by itself")
        told = {agent for row in rows for agent in _tell_one(row, now=now)}
    crash_here("notifications.written")
    due.filter(pk__in=[row.pk for row in rows]).delete()  # but those that were put off
    if told:
        transaction.on_commit(lambda: live.whisper("notified", {"agents": sorted(told)}), robust=True)
    return len(rows)


def _alone() -> bool:
    """Until the end of the transaction; somebody else who works does our work too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended('notifying', 0))")
        return cursor.fetchone()[0]


def _tell_one(row: Outbox, *, now: datetime) -> set[int]:
    try:
        with transaction.atomic():
            return _tell([row.payload["event"]], now=now)
    except Exception:
        log.exception("outbox row %s notifies nobody", row.pk)
        last = row.attempts + 1 >= MOST_ERRORS
        Outbox.objects.filter(pk=row.pk).update(
            attempts=row.attempts + 1,
            state=Outbox.State.QUARANTINED if last else Outbox.State.QUEUED,
            next_attempt_at=now + timedelta(minutes=row.attempts + 1),
        )
        return set()


def _tell(event_ids: list[int], *, now: datetime) -> set[int]:
    """Write the notifications of these events. Returns the agents who have new ones."""
    scene = _Scene(list(Event.objects.filter(pk__in=event_ids).select_related("ticket__team").order_by("id")))
    wanted = _wanted(scene)
    active = Agent.objects.filter(is_active=True, is_bot=False).prefetch_related("memberships")
    people = active.in_bulk({agent for _event, agent, _type in wanted})
    ways = all_ways(people.values())
    sight = {pk: visibility_of(agent) for pk, agent in people.items()}
    known = _known(scene, people, now=now)
    fresh: list[Notification] = []
    for event, pk, name in wanted:
        if pk not in people or not any(ways[pk, name]) or not _sees(people[pk], sight[pk], event, name, scene):
            continue
        if known.has(event, pk, name):
            continue
        one = Notification(
            agent=people[pk],
            event_id=event.pk,
            type=name,
            ticket=event.ticket,
            channel_id=event.particulars.get("channel") if name == "channel_down" else None,
            actor_id=event.actor_id,
            message_id=event.message_id,
            particulars=_facts(event, name, scene),
            mail_owed=ways[pk, name].mail,
            at=event.at,
        )
        known.fold_into(one)
        fresh.append(one)
    Notification.objects.filter(pk__in=known.folded).update(folded=True)
    Notification.objects.bulk_create(fresh, ignore_conflicts=True)
    hours = {row.agent_id: row for row in NotificationHours.objects.filter(agent__in=people)}
    _owe_mails(fresh, hours, now=now)
    _owe_pushes(fresh, ways, hours, now=now)
    return {one.agent_id for one in fresh}


# -- Whom does it concern? --------------------------------------------------------------------------------------------


@dataclass
class _Scene:
    """The events of a batch and what must be known of them, in a number of queries that does not grow."""

    events: list[Event]

    @cached_property
    def tickets(self) -> dict[int, Ticket]:
        return {event.ticket_id: event.ticket for event in self.events if event.ticket_id and event.ticket}

    def of(self, *kinds: str) -> list[Event]:
        return [event for event in self.events if event.kind in kinds]

    @cached_property
    def _given_later(self) -> dict[int, list[Event]]:
        """Ticket id -> its assignments since the first event of the batch, in order."""
        found: dict[int, list[Event]] = defaultdict(list)
        first = self.events[0].pk
        for event in Event.objects.filter(ticket__in=self.tickets, kind="assigned", pk__gt=first).order_by("id"):
            found[event.ticket_id or 0].append(event)
        return found

    @cached_property
    def owners(self) -> dict[int, int]:
        """Event -> who has to keep what was promised by its clock. Where they were switched off, or do not see the ticket
        any more, the ticket's people are told."""
        events = self.of("sla_warning", "sla_breached")
        clocks = [event.particulars.get("clock") for event in events]
        rows = Promise.objects.filter(clock__in=clocks, owner__is_active=True) if clocks else Promise.objects.none()
        owners = {
            row.clock_id: row.owner for row in rows.select_related("owner").prefetch_related("owner__memberships")
        }
        sight = {owner.pk: visibility_of(owner) for owner in owners.values()}
        found = {}
        for event in events:
            owner = owners.get(event.particulars.get("clock", 0))
            if owner and event.ticket and live.sees(sight[owner.pk], event.ticket):
                found[event.pk] = owner.pk
        return found

    def assignee(self, event: Event) -> int | None:
        """Whose ticket it was when this happened: who got it later was not meant."""
        later = next((one for one in self._given_later.get(event.ticket_id or 0, ()) if one.pk > event.pk), None)
        if later is not None:
            return later.particulars["from"]["assignee"]
        return event.ticket.assignee_id if event.ticket else None

    @cached_property
    def _members(self) -> dict[int, list[int]]:
        teams = {ticket.team_id for ticket in self.tickets.values()}
        notes = [event.message_id for event in self.of("mentioned", "note_posted")]
        teams |= set(Mention.objects.filter(message__in=notes, team__isnull=False).values_list("team", flat=True))
        found = defaultdict(list)
        for team, agent in Membership.objects.filter(team__in=teams - {None}).values_list("team", "agent"):
            found[team].append(agent)
        return found

    def members(self, team_id: int | None) -> list[int]:
        return self._members.get(team_id or 0, [])

    @cached_property
    def _followers(self) -> dict[int, list[int]]:
        found = defaultdict(list)
        for ticket, agent in Follower.objects.filter(ticket__in=self.tickets).values_list("ticket", "agent"):
            found[ticket].append(agent)
        return found

    def followers(self, event: Event) -> list[int]:
        return self._followers.get(event.ticket_id or 0, [])

    @cached_property
    def authors(self) -> dict[int, int | None]:
        """Message id -> the agent who wrote it, of answers that were not delivered."""
        ids = [event.message_id for event in self.of("delivery_failed") if event.message_id]
        return dict(Message.objects.filter(pk__in=ids).values_list("pk", "agent"))

    @cached_property
    def sleepers(self) -> dict[int, int | None]:
        """Ticket id -> who put it to sleep last, of those that woke."""
        woken = [event.ticket_id for event in self.of("woken")]
        snoozed = Event.objects.filter(ticket__in=woken, kind="snoozed").order_by("ticket", "-id").distinct("ticket")
        return dict(snoozed.values_list("ticket", "actor"))

    @cached_property
    def handed_with(self) -> dict[int, str]:
        """Ticket id -> what somebody said who gave it to a team, of those that routing has handed on from there."""
        routed = [event.ticket_id for event in self.of("assigned", "routed") if event.actor_type == RULE.type]
        by_hand = Event.objects.filter(ticket__in=routed, kind="assigned", actor_type="agent")
        last = by_hand.order_by("ticket", "-id").distinct("ticket").values_list("ticket", "particulars")
        return {ticket or 0: facts.get("reason", "") for ticket, facts in last if not facts["to"]["assignee"]}

    @cached_property
    def brands(self) -> dict[int, int]:
        """Channel id -> brand id, of channels that were disconnected."""
        ids = [event.particulars.get("channel") for event in self.of("channel_disconnected")]
        return dict(Channel.objects.filter(pk__in=ids).values_list("pk", "brand"))

    @cached_property
    def admins(self) -> list[int]:
        if not self.of("channel_disconnected"):
            return []
        roles = [Agent.Role.OWNER, Agent.Role.ADMIN]
        return list(Agent.objects.filter(role__in=roles, is_active=True).values_list("pk", flat=True))

    @cached_property
    def mentioned(self) -> dict[int, set[int]]:
        """Message id -> whom its note names: they are not told of it once more."""
        found: dict[int, set[int]] = defaultdict(set)
        notes = [event.message_id for event in self.of("note_posted")]
        for mention in Mention.objects.filter(message__in=notes):
            found[mention.message_id].update(self.members(mention.team_id), filter(None, [mention.agent_id]))
        return found


def _wanted(scene: _Scene) -> list[tuple[Event, int, str]]:
    """(event, agent id, type): once for each agent and event, by the weightier type, never for one's own doing."""
    found: dict[tuple[int, int], tuple[Event, int, str]] = {}
    weight = {name: n for n, name in enumerate(TYPES)}
    for event in scene.events:
        pairs = sorted(((name, agent) for name, agent in _concerned(event, scene)), key=lambda pair: weight[pair[0]])
        for name, agent in pairs:
            if agent is not None and agent != event.actor_id:
                found.setdefault((event.pk, agent), (event, agent, name))
    return list(found.values())


def _concerned(event: Event, scene: _Scene) -> Iterator[tuple[str, int | None]]:
    """Everybody whom it may concern; rights and wishes are asked later."""
    facts, ticket = event.particulars, event.ticket
    match event.kind:
        case "mentioned":
            named = _people(facts.get("agents", ()), facts.get("teams", ()), scene)
            yield from (("mentioned", agent) for agent in named)
        case "rule_told":
            told = _people(facts.get("agents", ()), facts.get("teams", ()), scene)
            yield from (("rule", agent) for agent in told)
        case "assigned" if facts["to"]["assignee"] != facts["from"]["assignee"] and facts.get("cause") != "undone":
            yield "assigned", facts["to"]["assignee"]
        case "routed" if facts.get("outcome") == "queued" and ticket and _waits_in_team(ticket):
            yield from (("team_new", agent) for agent in scene.members(ticket.team_id))
        case "message_received" | "reply_posted" | "note_posted" | "side_received":
            named = scene.mentioned.get(event.message_id or 0, set())
            people = [scene.assignee(event), *scene.followers(event)]
            yield from (("reply", agent) for agent in people if agent not in named)
        case "sla_warning" | "sla_breached":
            name = "sla_soon" if event.kind == "sla_warning" else "sla_breached"
            owner = scene.owners.get(event.pk)
            yield from ((name, agent) for agent in ([owner] if owner else _responsible(event, scene)))
        case "promise_made" | "promise_handed":
            yield "promise", facts["owner" if event.kind == "promise_made" else "to"]
        case "woken" if facts.get("cause") == "time":
            sleeper = scene.sleepers.get(event.ticket_id or 0)
            yield from (("snooze_ended", agent) for agent in (scene.assignee(event), sleeper))
        case "customer_back":
            yield from (("customer_back", agent) for agent in (*_responsible(event, scene), *scene.followers(event)))
        case "rated" if facts.get("score", 5) <= BAD_SCORE:
            solver = ticket.solved_by_id if ticket else None
            yield from (("bad_rating", agent) for agent in (scene.assignee(event), solver, *scene.followers(event)))
        case "draft_stopped" | "mail_answer_refused":
            yield "draft_stopped", facts.get("agent")
        case "delivery_failed":
            yield "undelivered", scene.authors.get(event.message_id or 0)
        case "channel_disconnected":
            yield from (("channel_down", agent) for agent in scene.admins)
        case _:
            return


def _people(agents: Iterable[int], teams: Iterable[int], scene: _Scene) -> set[int]:
    return {*agents, *(agent for team in teams for agent in scene.members(team))}


def _responsible(event: Event, scene: _Scene) -> list[int]:
    """The assignee; while there is none, the team."""
    assignee = scene.assignee(event)
    return [assignee] if assignee else scene.members(event.ticket.team_id if event.ticket else None)


def _waits_in_team(ticket: Ticket) -> bool:
    return ticket.assignee_id is None and ticket.team_id is not None and ticket.status in UNSOLVED


def _sees(agent: Agent, sight: Visibility, event: Event, name: str, scene: _Scene) -> bool:
    if name in OF_ADMINS:
        brand = scene.brands.get(event.particulars.get("channel", 0))
        return agent.is_admin and (sight.brand_ids is None or brand in sight.brand_ids)
    return event.ticket is not None and live.sees(sight, event.ticket)


def _facts(event: Event, name: str, scene: _Scene) -> dict[str, Any]:
    """What its sentence says besides the names of people."""
    said = scene.handed_with.get(event.ticket_id or 0, "")
    because = {"reason": said} if said and name in HANDED_ON and event.actor_type == RULE.type else {}
    if name == "team_new" and event.ticket and event.ticket.team:
        return {"team": event.ticket.team.pk, "team_name": event.ticket.team.name, **because}
    return because | {
        key: event.particulars[key] for key in ("metric", "score", "reason", "name", "text") if key in event.particulars
    }


# -- Bursts -----------------------------------------------------------------------------------------------------------


@dataclass
class _Known:
    """What these people were told already: nothing twice, and the newest of a burst stands for all of it."""

    pairs: set[tuple[int, int]]  # (agent, event)
    marks: dict[tuple[int, int], int]  # (agent, ticket) -> the newest message that they have read
    new_in_team: set[tuple[int, int]]  # (agent, ticket)
    heads: dict[tuple[Any, ...], Notification]
    folded: list[int] = field(default_factory=list)  # ids of rows that a newer one stands for now

    def has(self, event: Event, agent: int, name: str) -> bool:
        if (agent, event.pk) in self.pairs or (name == "team_new" and (agent, event.ticket_id) in self.new_in_team):
            return True
        read = self.marks.get((agent, event.ticket_id or 0), 0)
        return name in ("reply", "mentioned") and event.message_id is not None and read >= event.message_id

    def fold_into(self, one: Notification) -> None:
        key = _burst_of(one)
        former = self.heads.get(key)
        if former is not None:
            one.count = former.count + 1
            former.folded = True
            if former.pk:
                self.folded.append(former.pk)
        if one.type == "team_new":
            self.new_in_team.add((one.agent_id, one.ticket_id or 0))
        self.heads[key] = one


def _known(scene: _Scene, people: Iterable[int], *, now: datetime) -> _Known:
    ids, tickets = list(people), list(scene.tickets)
    rows = Notification.objects.filter(agent__in=ids)
    new = rows.filter(type="team_new", ticket__in=tickets, at__gt=now - ONCE)
    open_bursts = rows.filter(read_at__isnull=True, folded=False, at__gt=now - BURST)
    heads = open_bursts.filter(Q(ticket__in=tickets) | Q(ticket__isnull=True) | Q(type="team_new")).order_by("id")
    return _Known(
        pairs=set(rows.filter(event_id__in=[event.pk for event in scene.events]).values_list("agent", "event_id")),
        marks={
            (agent, ticket): message
            for agent, ticket, message in ReadMark.objects.filter(agent__in=ids, ticket__in=tickets).values_list(
                "agent", "ticket", "message_id"
            )
        },
        new_in_team=set(new.values_list("agent", "ticket")),
        heads={_burst_of(row): row for row in heads},
    )


def _burst_of(one: Notification) -> tuple[Any, ...]:
    about = one.particulars.get("team") if one.type == "team_new" else one.ticket_id
    return (one.agent_id, one.type, about, one.channel_id)


# -- Mails and pushes -------------------------------------------------------------------------------------------------


def _owe_mails(fresh: list[Notification], hours: Mapping[int, NotificationHours], *, now: datetime) -> None:
    """One mail for each agent and ticket, when the burst is over; not in the quiet hours."""
    pairs = {(one.agent, one.ticket_id or 0) for one in fresh if one.mail_owed}
    if not pairs:
        return
    names = {f"{MAIL}:{agent.pk}:{ticket}": (agent, ticket) for agent, ticket in pairs}
    # Locked: a mail that waits is not begun before this commits, and one that was begun is not among them.
    waiting = Outbox.objects.filter(kind=MAIL, shard_key__in=names, state=Outbox.State.QUEUED).select_for_update()
    collected = {row.shard_key for row in waiting.order_by("id")}
    owed = []
    for name, (agent, ticket) in names.items():
        if name in collected:
            continue
        due = max(now + COLLECTED, _silent(agent, hours, now=now) or now)
        payload = {"agent": agent.pk, "ticket": ticket or None}
        owed.append(Outbox(kind=MAIL, shard_key=name, payload=payload, next_attempt_at=due))
    Outbox.objects.bulk_create(owed)


def _owe_pushes(
    fresh: list[Notification],
    ways: Mapping[tuple[int, str], Ways],
    hours: Mapping[int, NotificationHours],
    *,
    now: datetime,
) -> None:
    """One push for each device and ticket that none waits for yet; none at all in the quiet hours."""
    wanted: dict[tuple[int, int | None], datetime] = {}  # (agent, ticket) -> when the first of it happened
    for one in fresh:
        if ways[one.agent_id, one.type].push and not _silent(one.agent, hours, now=now):
            wanted.setdefault((one.agent_id, one.ticket_id), one.at)
    if not wanted:
        return
    devices = PushSubscription.objects.filter(agent__in={agent for agent, _ticket in wanted}).order_by("id")
    places = {(pk, shard_of(endpoint)): agent for pk, agent, endpoint in devices.values_list("pk", "agent", "endpoint")}
    if not places:
        return
    # Locked as the mails are: what waits is not begun before this commits.
    queued = Outbox.objects.filter(kind=PUSH, shard_key__in={shard for _pk, shard in places}, state=Outbox.State.QUEUED)
    waiting = queued.filter(payload__device__in=[pk for pk, _shard in places]).select_for_update().order_by("id")
    known = {(row.payload["device"], row.payload["ticket"]) for row in waiting}
    Outbox.objects.bulk_create(
        Outbox(
            kind=PUSH,
            shard_key=shard,
            payload={"device": pk, "ticket": ticket, "since": at.isoformat()},
            next_attempt_at=now + SETTLED,
        )
        for (agent, ticket), at in wanted.items()
        for (pk, shard), whose in places.items()
        if whose == agent and (pk, ticket) not in known
    )
    wake("tickets.tasks.push_notifications", countdown=SETTLED.total_seconds())


def shard_of(endpoint: str) -> str:
    """All pushes by one service: how many are under way at once, and what waits while it is in trouble."""
    return f"{PUSH}:{urlsplit(endpoint).netloc}"[:120]


def _silent(agent: Agent, hours: Mapping[int, NotificationHours], *, now: datetime) -> datetime | None:
    return quiet_until(hours[agent.pk], agent.time_zone, now=now) if agent.pk in hours else None
