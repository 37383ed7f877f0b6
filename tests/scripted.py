"""A provider that does what a test tells it, with its memory in a folder, so that other processes share it.

Three kinds: `scripted` (no key against doubles: like SMS), `scripted_keyed` (an idempotency key), `scripted_mail`
(subject, Message-ID, sends again without answer). `do(...)` lists what the next attempts meet; then all is well.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from agents.models import Agent
from tickets import reply_tokens
from tickets.contract import Capabilities, ChannelFacts, DeliveryError, MediaLimit, OutboundMessage, SendResult
from tickets.models import Brand, Channel, Customer, Identity, Message, Route, Ticket
from tickets.models.event import CUSTOMER
from tickets.models.ticket import next_number

FOLDER = "SCRIPTED_FOLDER"
ADAPTERS = {
    "scripted": "tests.scripted.Scripted",
    "scripted_keyed": "tests.scripted.Keyed",
    "scripted_mail": "tests.scripted.Mail",
}


def folder() -> Path:
    return Path(os.environ[FOLDER])


def do(*steps: str) -> None:
    (folder() / "steps.json").write_text(json.dumps(steps))


def accepted() -> list[dict[str, Any]]:
    """What the provider took, in order; a repeated key is taken once by the kind that has keys."""
    path = folder() / "accepted.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Scripted:
    kind = "scripted"
    label = "Scripted"
    icon = "flask-conical"
    capabilities = Capabilities(
        text_max=100,
        text_unit="characters",
        media={"image": MediaLimit(("image/",), 1000), "document": MediaLimit((), 1000)},
        caption_kinds=("image",),
        caption_max=50,
        receipts=("sent", "delivered", "read", "failed"),
        identity_kinds=("phone",),
        window_hours=None,
        give_up_hours=24,
    )

    def items(self, channel: ChannelFacts, request: Any) -> list[Any]:
        return []

    def normalise(self, channel: ChannelFacts, raw: bytes, headers: Mapping[str, str]) -> list[Any]:
        return []

    def send(self, channel: ChannelFacts, message: OutboundMessage, *, committed: Any) -> SendResult:
        step, _, argument = self._next().partition(":")
        if step == "die_connecting":
            os._exit(9)
        if step == "transient":
            raise DeliveryError("503", permanent=False, code="503")
        if step == "wait":
            raise DeliveryError("429", permanent=False, code="429", retry_after=float(argument))
        if step == "permanent":
            raise DeliveryError("550 no such user", permanent=True, code="550")
        if step == "bad_address":
            raise DeliveryError("unknown subscriber", permanent=True, code="30005", bad_address=True)
        if step == "opted_out":
            raise DeliveryError("opted out", permanent=True, code="21610", opted_out=True)
        if step == "disconnected":
            raise DeliveryError("token expired", permanent=False, code="190", disconnected=True)
        if step == "fault":
            raise RuntimeError("a bug of ours")
        committed()
        if step == "die_unheard":  # the bytes never left, or nobody heard them
            os._exit(9)
        if step == "refuse_after":
            raise DeliveryError("500 after the body", permanent=False, code="500")
        known = self._accept(channel, message)
        if step == "die_accepted":
            os._exit(9)
        if step == "silence":
            raise DeliveryError("no answer", permanent=False, code="timeout", may_have_left=True)
        return SendResult(known, argument or "sent")  # type: ignore[arg-type]

    def _next(self) -> str:
        path = folder() / "steps.json"
        steps = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps(steps[1:]))
        return steps[0] if steps else "ok"

    def _accept(self, channel: ChannelFacts, message: OutboundMessage) -> str:
        before = accepted()
        for one in before:
            if self.capabilities.idempotent and one["part_uuid"] == message.part_uuid:
                return one["provider_id"]
        row = {**asdict(message), "channel": channel.slug, "provider_id": f"p{len(before) + 1}"}
        with (folder() / "accepted.jsonl").open("a") as out:
            out.write(json.dumps(row) + "\n")
        return row["provider_id"]


class Keyed(Scripted):
    kind = "scripted_keyed"
    capabilities = replace(Scripted.capabilities, idempotent=True)


class Mail(Scripted):
    kind = "scripted_mail"
    capabilities = Capabilities(
        subject=True,
        cc=True,
        signature=True,
        media={"*": MediaLimit((), 10_000_000)},
        files_per_part=50,
        text_with_files=True,
        identity_kinds=("email",),
        resend_without_answer=True,
        give_up_hours=120,
        chatlike=False,
    )


class Stage:
    """One brand, two agents and a customer who has written once on a channel of the given kind."""

    def __init__(self, now: datetime, *, kind: str = "scripted") -> None:
        self.now = now
        self.brand = Brand.objects.create(key="acme", name="Acme", domain="acme.example")
        self.mina = Agent.objects.create_user("mina@acme.example", "pw", name="Mina")
        self.joon = Agent.objects.create_user("joon@acme.example", "pw", name="Joon")
        self.customer = Customer.objects.create(name="Sora")
        self.channel = self.add_channel(kind)
        self.identity = self.add_identity(self.channel)
        self.ticket = self.add_ticket()
        self.route = self.add_route(self.ticket)
        self.first = self.customer_writes("Where is my parcel?")

    def add_channel(self, kind: str, slug: str = "") -> Channel:
        return Channel.objects.create(
            kind=kind, slug=slug or kind.replace("_", "-"), name=kind, brand=self.brand, address="help@acme.example"
        )

    def add_identity(self, channel: Channel, value: str = "") -> Identity:
        kind = "email" if channel.kind == "scripted_mail" else "phone"
        value = value or {"email": "sora@example.org", "phone": "+821012345678"}[kind]
        return Identity.objects.create(customer=self.customer, kind=kind, value=value, verified=True, evidence="test")

    def add_ticket(self) -> Ticket:
        return Ticket.objects.create(
            number=next_number(), brand=self.brand, customer=self.customer, subject="Parcel", created_at=self.now
        )

    def add_route(self, ticket: Ticket, channel: Channel | None = None, identity: Identity | None = None) -> Route:
        channel, identity = channel or self.channel, identity or self.identity
        return Route.objects.create(
            ticket=ticket,
            channel=channel,
            identity=identity,
            reply_token=reply_tokens.route_token(ticket, identity, channel),
            last_used_at=self.now,
        )

    def customer_writes(self, text: str, *, route: Route | None = None, **columns: Any) -> Message:
        """As `ingest` leaves it: the message, and the ticket that waits for an answer."""
        route = route or self.route
        ticket = Ticket.objects.get(pk=route.ticket_id)
        ticket.last_seq += 1
        columns = {"created_at": self.now, **columns}
        message = Message.objects.create(
            ticket=ticket, seq=ticket.last_seq, direction="in", kind="public", author_type="customer",
            customer=self.customer, route=route, channel=route.channel, text=text, **columns,
        )  # fmt: skip
        ticket.waiting_since = ticket.waiting_since or columns["created_at"]
        ticket.last_message_id = message.pk
        ticket.save()
        ticket.record("message_received", by=CUSTOMER, now=self.now, message_id=message.pk)
        return message
