"""The rows that a run needs, and the calls of a plan as the providers would make them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from agents.models import Agent, Membership, Team
from channels_in.simulator.provider import Call
from channels_in.sms import fake as sms
from channels_in.webchat import fake as webchat
from channels_in.webchat import sessions
from channels_in.webchat.adapter import external_id_of
from channels_in.whatsapp import fake as whatsapp
from tests.cast import make_brand, make_channel
from tests.chaos.plan import Lane, Plan, Said, Step
from tickets.models import Channel, SlaPolicy, SlaTarget
from tickets.models.sla import SlaMetric

NO_LIMIT = [1_000_000, 60]


@dataclass(frozen=True)
class Accepted:
    """A message for which the driver saw a 2xx. `position` counts the lane's in the order of acceptance."""

    lane: int
    position: int
    person: str
    channel_id: int
    key: str
    text: str


def build() -> dict[str, Channel]:
    """A brand, a team with two people at work and a promise for each ticket; the channels by kind."""
    brand, team = make_brand(), Team.objects.create(name="Support")
    for n in range(2):
        agent = Agent.objects.create(
            email=f"agent{n}@helpdesk.example", name=f"Agent {n}", password="!", capacity=30_000,
            presence=Agent.Presence.ONLINE, seen_at=timezone.now() + timedelta(days=1),
        )  # fmt: skip
        Membership.objects.create(agent=agent, team=team)
    policy = SlaPolicy.objects.create(name="Everybody", conditions={}, warn_percents=[80])
    SlaTarget.objects.bulk_create(
        SlaTarget(policy=policy, metric=SlaMetric.FIRST_REPLY, priority=priority, seconds=86_400, business=False)
        for priority in (1, 2, 3, 4)
    )
    return {
        "sms": make_channel(
            "sms", brand=brand, team=team, account_id="+15550001000", address="+15550001000",
            settings={"account_sid": "AC" + "0" * 32}, secrets={"auth_token": "sms-token-of-the-run"},
        ),
        "whatsapp": make_channel(
            "whatsapp", brand=brand, team=team, account_id="100200300400500", app_id="whatsapp-app",
            address="+15550002000", settings={"waba_id": "900800700600500"},
            secrets={"app_secret": "whatsapp-secret-of-the-run", "verify_token": "v", "access_token": "a"},
        ),
        "webchat": make_channel(
            "webchat", brand=brand, team=team,
            settings={
                "token_seconds": 3600,
                "limits": dict.fromkeys(("sessions", "anonymous", "messages", "events"), NO_LIMIT),
            },
        ),
    }  # fmt: skip


class Calls:
    """The calls of a plan, made beforehand: a message that comes again comes with the same bytes."""

    def __init__(self, plan: Plan, channels: Mapping[str, Channel], *, transport: webchat.Call) -> None:
        """Begins the sessions of the web chat through `transport`."""
        self.plan, self.channels = plan, channels
        self.at = timezone.now()
        self._keys: dict[tuple[int, int], str] = {}
        self._calls: dict[tuple[int, int], Call] = {}
        self._lanes = {lane.number: lane for lane in plan.lanes}
        visitors = {lane.number: self._visitor(transport) for lane in plan.lanes if lane.kind == "webchat"}
        for place, said in plan.said.items():
            lane = self._lanes[said.lane]
            self._keys[place] = said.key
            if lane.kind == "webchat":
                self._keys[place], self._calls[place] = _chat(*visitors[lane.number], said)
            else:
                self._calls[place] = self._phone(lane, said)

    def of(self, step: Step) -> Call:
        if step.beside is None:
            return self._calls[step.lane, step.index]
        lane = self._lanes[step.lane]
        both = [self._message(lane, self.plan.said[step.lane, index]) for index in (step.beside, step.index)]
        return self._whatsapp(lane, both)

    def accepted(self, lane: int, index: int, *, position: int) -> Accepted:
        said, whose = self.plan.said[lane, index], self._lanes[lane]
        channel = self.channels[whose.kind]
        return Accepted(lane, position, whose.person, channel.pk, self._keys[lane, index], said.text)

    def _phone(self, lane: Lane, said: Said) -> Call:
        if lane.kind == "sms":
            return sms.build(self.channels["sms"], sender=lane.person, text=said.text, sid=said.key)
        return self._whatsapp(lane, [self._message(lane, said)])

    def _whatsapp(self, lane: Lane, messages: Sequence[Mapping[str, object]]) -> Call:
        channel = self.channels["whatsapp"]
        change = whatsapp.change(channel, contacts=[whatsapp.contact(lane.person)], messages=list(messages))
        return whatsapp.signed(channel, change)

    def _message(self, lane: Lane, said: Said) -> Mapping[str, object]:
        return whatsapp.message(lane.person, at=self.at, wamid=said.key, body=said.text)

    def _visitor(self, transport: webchat.Call) -> tuple[webchat.FakeVisitor, uuid.UUID]:
        channel = self.channels["webchat"]
        visitor = webchat.FakeVisitor(channel.slug, call=transport)
        visitor.begin()
        session = sessions.session_of(visitor.token, channel=channel)
        assert session is not None
        return visitor, session.uuid


def _chat(visitor: webchat.FakeVisitor, session: uuid.UUID, said: Said) -> tuple[str, Call]:
    browsers = uuid.UUID(said.key)
    request = visitor.build_message(said.text, client_uuid=browsers)
    return external_id_of(session, browsers), Call(request.path, request.headers, request.body)
