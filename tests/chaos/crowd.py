"""Fifty people at work and the tickets that come to them: random, from a seed, through the product's own verbs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

from django.db import connection, transaction
from django.utils import timezone

from agents import presence
from agents.models import Agent, AgentSkill, Membership, Skill, Team
from tests.cast import make_brand, make_channel
from tickets import actions
from tickets.models import Brand, Channel, Customer, Rule, SlaPolicy, SlaTarget, Ticket
from tickets.models.event import by_agent
from tickets.models.sla import SlaMetric
from tickets.models.ticket import next_number
from tickets.routing import assign as routing
from tickets.routing.decide import in_order
from tickets.sla import clocks
from tickets.wake import wake

TEAMS = ("amber", "birch", "coral", "denim")
SKILLS = ("french", "korean", "refunds", "repairs", "tax")
RARE = "latin"  # nobody has it: what needs it can be given to nobody
WEIGHTS = {"webchat": 100, "sms": 50}  # hundredths of a place
PROMPT = "prompt"  # the word in a subject that gets an answer sooner
PROMISES = {PROMPT: 30 * 60, "": 120 * 60}  # word in the subject -> seconds to the first reply
BATCH = 50  # tickets that come at once
FIRST = 5  # of what is owed, among which a rival chooses
SIGHT = 100  # tickets that the agents of one thread look at before they look again
STAYS = ("online",) * 6 + ("away", "busy", "offline")  # what people choose when they choose anew
HEARTBEAT = 20.0  # seconds


@dataclass(frozen=True)
class Arrival:
    """One ticket. `needs`: the skill that a rule asks for and its level, or none."""

    team: str
    needs: tuple[str, int] | None
    channel: str
    vip: bool
    priority: int
    prompt: bool

    @property
    def subject(self) -> str:
        skill = f" skill-{self.needs[0]}-{self.needs[1]}" if self.needs else ""
        return f"team-{self.team}{skill}{f' {PROMPT}' if self.prompt else ''}"


def arrivals(random: Random, count: int) -> list[Arrival]:
    """One in a hundred can be given to nobody, and comes first of all by its priority."""
    found = []
    for n in range(count):
        rare = n % 100 == 50
        skill = (random.choice(SKILLS), random.randint(1, 2)) if random.random() < 0.4 else None
        found.append(
            Arrival(
                team=random.choice(TEAMS),
                needs=(RARE, 1) if rare else skill,
                channel=random.choice(list(WEIGHTS)),
                vip=rare or random.random() < 0.05,
                priority=4 if rare else random.choice((1, 2, 2, 2, 3)),
                prompt=random.random() < 0.2,
            )
        )
    return found


class Crowd:
    """The people and their channels. Everybody of a team who can do something can do it at level 2 somewhere."""

    def __init__(self, random: Random, *, agents: int) -> None:
        self.random = random
        self.brand: Brand = make_brand()
        self.teams = {name: Team.objects.create(name=name) for name in TEAMS}
        Team.objects.filter(name=TEAMS[0]).update(accept_seconds=45)
        Team.objects.filter(name=TEAMS[1]).update(give_back_minutes=1)
        self.channels: dict[str, Channel] = {
            kind: make_channel(kind, brand=self.brand, team=self.teams[TEAMS[0]], weight=weight)
            for kind, weight in WEIGHTS.items()
        }
        skills = {name: Skill.objects.create(name=name) for name in (*SKILLS, RARE)}
        self.agents = [self._agent(n, skills) for n in range(agents)]
        self._rules(skills)
        self._promises()

    def _agent(self, n: int, skills: dict[str, Skill]) -> Agent:
        now = timezone.now()
        agent = Agent.objects.create(
            email=f"agent{n}@crowd.example", name=f"Agent {n:02}", password="!", capacity=self.random.randint(2, 6),
            presence=Agent.Presence.ONLINE, presence_since=now, seen_at=now,
        )  # fmt: skip
        own = {TEAMS[n % len(TEAMS)], self.random.choice(TEAMS)}
        Membership.objects.bulk_create(Membership(agent=agent, team=self.teams[name]) for name in sorted(own))
        # The first of each team can do everything, so that whatever is asked for, somebody can do.
        able = SKILLS if n < len(TEAMS) else self.random.sample(SKILLS, self.random.randint(0, 3))
        AgentSkill.objects.bulk_create(
            AgentSkill(agent=agent, skill=skills[name], level=2 if n < len(TEAMS) else self.random.randint(1, 3))
            for name in able
        )
        return agent

    def _rules(self, skills: dict[str, Skill]) -> None:
        def subject(word: str) -> dict[str, object]:
            return {"field": "subject", "op": "contains", "value": [word]}

        made = [
            Rule(name=f"To {name}", conditions=subject(f"team-{name}"), actions=[{"do": "team", "team": team.pk}])
            for name, team in self.teams.items()
        ]
        for name, skill in skills.items():
            for level in (1, 2):
                needs = {"do": "skill", "skill": skill.pk, "level": level, "required": True}
                made.append(Rule(name=f"{name}, {level}", conditions=subject(f"skill-{name}-{level}"), actions=[needs]))
        for position, rule in enumerate(made):
            rule.position = position
        Rule.objects.bulk_create(made)

    def _promises(self) -> None:
        """Who is promised an answer sooner goes before those of the same priority who came first."""
        for position, (word, seconds) in enumerate(PROMISES.items()):
            conditions = {"field": "subject", "op": "contains", "value": [word]} if word else {}
            policy = SlaPolicy.objects.create(name=word or "everybody", position=position, conditions=conditions)
            SlaTarget.objects.bulk_create(
                SlaTarget(policy=policy, metric=SlaMetric.FIRST_REPLY, priority=n, seconds=seconds, business=False)
                for n in Ticket.Priority.values
            )

    # -- What happens -----------------------------------------------------------------------------------------------

    def receive(self, batch: Sequence[Arrival]) -> None:
        """So many tickets come at once, owed to routing as if somebody had written."""
        now = timezone.now()
        people = Customer.objects.bulk_create(Customer(name="Somebody", tier="vip" if one.vip else "") for one in batch)
        with transaction.atomic():
            tickets = Ticket.objects.bulk_create(
                Ticket(
                    number=next_number(), brand=self.brand, customer=customer, subject=one.subject, priority=one.priority,
                    first_channel=self.channels[one.channel], last_channel=self.channels[one.channel],
                    last_direction="in", last_message_at=now, waiting_since=now, created_at=now, updated_at=now,
                    routing_due_at=now,
                )
                for one, customer in zip(batch, people, strict=True)
            )  # fmt: skip
            for ticket in tickets:
                clocks.customer_wrote(ticket, now=now)
            wake("tickets.tasks.route")

    def work(self, random: Random) -> int:
        """Some of those who have something finish some of it. Returns how many tickets."""
        held = Ticket.objects.filter(assignee__isnull=False, status__in=["new", "open"]).order_by("?")
        done = 0
        for ticket in held.select_related("assignee")[:SIGHT]:
            if ticket.assignee is None or random.random() < 0.2:
                continue
            status = "solved" if random.random() < 0.7 else "pending"
            actions.set_status(ticket, status, by=by_agent(ticket.assignee), now=timezone.now())
            done += 1
        return done

    def hand_on(self, random: Random) -> int:
        """Somebody gives a ticket to another member of its team by hand, whether or not it waits and they have room."""
        given = Ticket.objects.filter(team__isnull=False, status__in=["new", "open"]).select_related("team")
        newest = list(given.exclude(subject__contains=f"skill-{RARE}").order_by("-id")[:SIGHT])
        ticket = random.choice(newest) if newest else None
        if ticket is None or ticket.team is None:
            return 0
        others = list(ticket.team.agents.exclude(pk=ticket.assignee_id or 0).order_by("id"))
        if not others:
            return 0
        agent, by = random.choice(others), by_agent(random.choice(self.agents))
        return actions.assign(ticket, assignee=agent, team=ticket.team, by=by, now=timezone.now()) is not None

    def decide(self, random: Random) -> None:
        """One of the first that are owed, beside the drain of the workers and without its lock."""
        now = timezone.now()
        owed = in_order(Ticket.objects.filter(routing_due_at__lte=now)).values_list("pk", flat=True)[:FIRST]
        if first := list(owed):
            routing.assign(random.choice(first), now=now)

    def somebody_comes_or_goes(self, random: Random) -> None:
        agent = Agent.objects.get(pk=random.choice(self.agents).pk)
        self.choose(agent, random.choice(STAYS))

    def choose(self, agent: Agent, chosen: str) -> None:
        now = timezone.now()
        with transaction.atomic():
            if presence.set_presence(agent, chosen, now=now) and chosen == Agent.Presence.ONLINE:
                routing.capacity_freed(now=now)

    def everybody_comes(self) -> None:
        for agent in Agent.objects.order_by("id"):
            self.choose(agent, "online")

    def stay(self) -> None:
        """The screens of all of them are open; what their sockets do every few seconds."""
        now = timezone.now()
        with transaction.atomic():
            free = Agent.objects.select_for_update(skip_locked=True, no_key=True).values("pk")
            Agent.objects.filter(pk__in=free).update(seen_at=now)


def unplaced() -> int:
    """Tickets that somebody could be given and that nobody has."""
    waiting = Ticket.objects.filter(assignee__isnull=True, status__in=["new", "open", "pending"])
    return waiting.exclude(subject__contains=f"skill-{RARE}").count()


class Day:
    """A crowd at work in threads of its own until `end`. `faults` are what a person would have seen as an error.

    `hands` of them finish tickets; `rivals` decide what is owed, each in a session of its own as a worker does, so that
    what holds does not hold by the lock that lets one drain work at a time.
    """

    def __init__(self, crowd: Crowd, coming: Sequence[Arrival], *, span: float, hands: int, rivals: int) -> None:
        self.crowd, self.coming, self.span = crowd, coming, span
        self.faults: list[BaseException] = []
        self.solved = self.handed_on = 0
        self._over = threading.Event()
        acts = [
            (0.3, self._people),
            (0.2, self._givers),
            *[(0.05, self._hands)] * hands,
            *[(0.1, self._rivals)] * rivals,
        ]
        self._pool = ThreadPoolExecutor(1 + len(acts))
        self.arriving = self._pool.submit(self._arrive)
        for pause, act in acts:
            self._pool.submit(self._each, pause, act(Random(crowd.random.random())))

    def end(self) -> None:
        self._over.set()
        self._pool.shutdown()

    def _arrive(self) -> None:
        began = time.monotonic()
        try:
            for n in range(0, len(self.coming), BATCH):
                self._over.wait(max(0.0, began + self.span * n / len(self.coming) - time.monotonic()))
                self.crowd.receive(self.coming[n : n + BATCH])
        except BaseException as fault:
            self.faults.append(fault)
        finally:
            connection.close()

    def _each(self, pause: float, act: Callable[[], None]) -> None:
        try:
            while not self._over.wait(pause):
                try:
                    act()
                except Exception as fault:
                    self.faults.append(fault)
        finally:
            connection.close()

    def _hands(self, random: Random) -> Callable[[], None]:
        def act() -> None:
            self.solved += self.crowd.work(random)

        return act

    def _givers(self, random: Random) -> Callable[[], None]:
        def act() -> None:
            if not self.arriving.done():
                self.handed_on += self.crowd.hand_on(random)

        return act

    def _rivals(self, random: Random) -> Callable[[], None]:
        return lambda: self.crowd.decide(random)

    def _people(self, random: Random) -> Callable[[], None]:
        seen = [0.0]

        def act() -> None:
            if time.monotonic() > seen[0] + HEARTBEAT:
                self.crowd.stay()
                seen[0] = time.monotonic()
            if not self.arriving.done():
                self.crowd.somebody_comes_or_goes(random)

        return act
