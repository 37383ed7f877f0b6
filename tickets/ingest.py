"""A message comes in: customer, identity, ticket, route, message, clocks and events, in the caller's one transaction.

Lock order: the caller's advisory lock of the conversation, identities, customers, the ticket, the message. The sender
decides which ticket it is, so that the customer comes first; `identities` keeps to the same order.
`channels_in.process` is the caller for everything that a channel kept; agents and the API use `open_ticket`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, F, Max, Q, When
from django.utils.translation import gettext as _

from agents.models import Team
from tickets import delivery, files, identities, languages, live, matching, recipients, reply_tokens
from tickets.channels import capabilities_of
from tickets.contract import Applied, InboundFile, InboundMessage
from tickets.crash import crash_here
from tickets.models import (
    Attachment,
    AutomaticAnswer,
    AutomaticReply,
    Brand,
    Channel,
    Customer,
    DeliveryPart,
    Event,
    Identity,
    Message,
    Route,
    Rule,
    Ticket,
    TicketLink,
)
from tickets.models.event import CUSTOMER, SYSTEM, Actor
from tickets.models.message import DeliveryState
from tickets.models.ticket import UNSOLVED, lock_survivor, next_number
from tickets.routing import assign as routing
from tickets.sla import clocks
from tickets.wake import wake

MOST_REFERENCES = 30  # of a mail that are looked up, the newest first
MOST_CANDIDATES = 50  # tickets of a customer that are looked at, the newest first
SNIPPET = 200  # characters


class Suppress(Exception):
    """Keep it, without an effect. `reason` is a short code for the ledger."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotYet(Exception):
    """What it refers to is not here (yet). Try again for a while, then take `otherwise`, if there is one."""

    def __init__(self, *, otherwise: InboundMessage | None = None) -> None:
        super().__init__("what it refers to is unknown")
        self.otherwise = otherwise


class OnlyAnIdentity(Exception):
    """It changed an address of the customer (opted out or in) and there is no conversation that it belongs to."""


def receive(
    channel: Channel,
    message: InboundMessage,
    *,
    raw_event_id: int,
    part: int,
    received_at: datetime,
    now: datetime,
    settled: bool = False,
) -> Message:
    """Make the message of one kept item, on the right ticket, with all its consequences. Inside the caller's T2.

    `settled`: an echo has waited long enough for a part of ours to claim it.

    Raises Suppress for what must have no effect (a blocked customer, our own echo), NotYet for an echo that may still
    be ours, OnlyAnIdentity for an opt-out word without a conversation, and `identities.LostRace` (run T2 again).
    """
    message = _sane(with_files_stored(message))
    if message.is_echo:
        _refuse_our_own(channel, message, settled=settled)
    found = _evidence(channel, message)
    proven = found.route.identity if found.route else None
    who = identities.resolve(message.sender, channel, now=now, proven=proven)
    crash_here("ingest.customer")
    if who.customer.blocked:
        raise Suppress("blocked")
    if found.route and _is_of_side(found.route, who):
        here = {"raw_event_id": raw_event_id, "part": part}
        return _receive_side(found.route, channel, message, who, **here, received_at=received_at, now=now)
    opted = _opt(who.identity, message, channel, now=now)
    if message.opt and not _open_tickets(who.customer, channel):
        live.announce(*opted)
        raise OnlyAnIdentity
    ticket, decision, events = _ticket_of(channel, message, who, found, now=now)
    crash_here("ingest.ticket")
    route, added = _route_of(ticket, channel, who.identity, message, first=decision.ticket_id is None, now=now)
    events += added
    crash_here("ingest.route")
    said = _write(
        ticket, channel, who, route, message, raw_event_id=raw_event_id, part=part, received_at=received_at, now=now
    )
    crash_here("ingest.message")
    _attach(said, message.files, now=now)
    route.last_inbound_id = said.pk
    route.save(update_fields=_ROUTE_FIELDS)
    events += opted
    events += _move_on(ticket, said, message, decision, now=now)
    if decision.ticket_id is None and not (message.is_echo or message.is_auto_reply or message.no_auto_reply):
        _owe_answer(said, now=now)
    crash_here("ingest.events")
    live.announce(*events)
    return said


def _is_of_side(route: Route, who: identities.Resolved) -> bool:
    """Whether this is somebody of a side conversation: whom we wrote to there. A stranger with its token is none."""
    if not route.side:
        return False
    written_to = {route.identity.value.lower(), *(address.lower() for address in route.cc)}
    return who.identity.kind == route.identity.kind and who.identity.value.lower() in written_to


def _receive_side(
    route: Route,
    channel: Channel,
    message: InboundMessage,
    who: identities.Resolved,
    *,
    raw_event_id: int,
    part: int,
    received_at: datetime,
    now: datetime,
) -> Message:
    """What somebody else answers stays beside the conversation: the customer's clocks, their wait and their address are
    not touched. It opens what was on hold for it. Who takes part is ours to say, so what stands in its Cc adds nobody."""
    ticket = lock_survivor(route.ticket_id)
    said = _write(
        ticket, channel, who, route, message, raw_event_id=raw_event_id, part=part, received_at=received_at, now=now,
        kind=Message.Kind.SIDE, author=Message.Author.OTHER,
    )  # fmt: skip
    _attach(said, message.files, now=now)
    Route.objects.filter(pk=route.pk).update(last_inbound_id=said.pk, last_used_at=now)
    ticket.goes_on(said, now=now)
    events: list[Event | None] = [
        ticket.record("side_received", by=CUSTOMER, now=now, message_id=said.pk, channel=channel.pk)
    ]
    if ticket.status == Ticket.Status.ON_HOLD and not message.is_auto_reply:
        events.append(ticket.change_status(Ticket.Status.OPEN, by=SYSTEM, now=now, cause="side_answered"))
        clocks.status_changed(ticket, now=now)
        routing.status_changed(ticket, now=now)
    live.announce(*events)
    return said


def apply(channel: Channel, applied: Applied, *, raw_event_id: int, now: datetime) -> Message | None:
    """Change something that exists; returns the message that was changed, if it was one. Inside the caller's T2.

    Raises NotYet while the message that it names is unknown.
    """
    match applied.kind:
        case "edited":
            return _edit(channel, applied, now=now)
        case "deleted":
            return _delete(channel, applied, now=now)
        case "reaction" | "reaction_removed":
            return _react(channel, applied, now=now)
        case "identity":
            customer = identities.known(applied.sender)
            if customer is not None:
                identities.resolve(applied.sender, channel, now=now)
            return None
        case "account":
            reason = str(applied.particulars.get("disconnected", ""))[:300]
            if reason:
                delivery.note_disconnected(channel.pk, reason=reason, now=now)
            return None
        case _:  # session_closed, postback: they change nothing of a ticket
            return None


def open_ticket(
    *,
    brand: Brand,
    customer: Customer,
    subject: str,
    by: Actor,
    now: datetime,
    channel: Channel | None = None,
    team: Team | None = None,
    language: str = "",
    reason: str = "agent",
    fields: Mapping[str, Any] | None = None,
    trusts_unverified: bool = False,
    route_it: bool = True,
) -> Ticket:
    """A new ticket with its event, and owed to routing unless `route_it` is off. Inside the caller's transaction."""
    ticket = Ticket.objects.create(
        number=next_number(),
        brand=brand,
        customer=customer,
        subject=" ".join(subject.split())[:300],
        team=team,
        language=language or customer.language,
        fields=dict(fields or {}),
        first_channel=channel,
        last_channel=channel,
        trusts_unverified=trusts_unverified,
        routing_due_at=now if route_it else None,
        created_at=now,
        updated_at=now,
    )
    live.announce(ticket.record("ticket_created", by=by, now=now, reason=reason))
    if route_it:
        wake("tickets.tasks.route")
    return ticket


def with_files_stored(message: InboundMessage) -> InboundMessage:
    """The same message with the bytes of its files in the store. Call it before the transaction: it writes to disk.

    Raises `files.NoRoom` when the disk is nearly full.
    """
    if not any(file.content is not None for file in message.files):
        return message
    return replace(message, files=tuple(_stored(file) for file in message.files))


def same_content(said: Message, message: InboundMessage) -> bool:
    """Whether a message says the same again: words, subject, author and files, not the way it travelled."""
    message = _sane(message)
    sender = message.sender.identifiers[0].value if message.sender.identifiers else ""
    told = (said.text, said.subject, said.quoted_text, said.html, said.author_address)
    if told != (message.text, message.subject[:300], message.quoted_text, message.html, sender):
        return False
    kept = sorted(said.attachments.exclude(sha256="").values_list("sha256", flat=True))
    return kept == sorted(one.sha256 for one in message.files if one.sha256 and not one.reference)


def unreadable(channel: Channel, *, raw_event_id: int, beside: int | None, now: datetime) -> Message:
    """A line on a ticket for an item in quarantine, so that a person sees it. Inside the caller's transaction.

    `beside`: a message of the same conversation, whose ticket gets the line; without one, the channel's own ticket
    for such items does. The line has no `raw_event_id` of its own, so that a replay finds the key free.
    """
    earlier = Message.objects.filter(pk=beside).values_list("ticket_id", flat=True).first() if beside else None
    if earlier:
        ticket = lock_survivor(earlier)
    else:
        customer = Customer.objects.create(name=channel.name[:200], created_at=now)
        ticket = open_ticket(
            brand=channel.brand,
            customer=customer,
            subject=_("Unreadable messages: %(channel)s") % {"channel": channel.name},
            by=SYSTEM,
            now=now,
            channel=channel,
            team=channel.team,
            language=channel.language,
            reason="unreadable",
        )
    line = _line(ticket, channel, now=now, meta={"raw_event": raw_event_id})
    event = ticket.record("message_unreadable", now=now, message_id=line.pk, raw_event=raw_event_id)
    live.announce(event)
    return line


# -- Whose is it? -----------------------------------------------------------------------------------------------------


@dataclass
class _Found:
    """What the message itself points at. `route`: by a token that we made; `how`: where that stood."""

    route: Route | None = None
    how: str = ""  # "reply_token", "reference"
    ticket_ids: list[int] = field(default_factory=list)  # of known messages that it answers


def _evidence(channel: Channel, message: InboundMessage) -> _Found:
    """A token opens a ticket only where its brand is at home: on another brand's channel it says nothing."""
    for token in list(message.reply_tokens)[:5]:
        if route := _route_here(token, channel):
            return _Found(route, "reply_token")
    references = list(dict.fromkeys(message.references))[:MOST_REFERENCES]
    for token in list(dict.fromkeys(filter(None, map(reply_tokens.token_in, references))))[:5]:
        if route := _route_here(token, channel):
            return _Found(route, "reference")
    found = _Found()
    if references:
        found.ticket_ids += DeliveryPart.objects.filter(rfc_message_id__in=references).values_list(
            "ticket_id", flat=True
        )[:5]
        found.ticket_ids += Message.objects.filter(rfc_message_id__in=references, channel=channel).values_list(
            "ticket_id", flat=True
        )[:5]
    if answered := message.reply_to_external_id:
        part = DeliveryPart.objects.filter(channel=channel, provider_id=answered).values_list("ticket_id", flat=True)
        own = Message.objects.filter(channel=channel, external_id=answered).values_list("ticket_id", flat=True)
        found.ticket_ids += [*part[:1], *own[:1]]
    return found


def _route_here(token: str, channel: Channel) -> Route | None:
    route = reply_tokens.find_route(token)
    return route if route and route.ticket.brand_id == channel.brand_id else None


def _ticket_of(
    channel: Channel, message: InboundMessage, who: identities.Resolved, found: _Found, *, now: datetime
) -> tuple[Ticket, matching.Decision, list[Event]]:
    """Decide, lock, and look again: a ticket that was solved, closed or merged meanwhile is decided anew."""
    capabilities = capabilities_of(channel.kind)
    windows = matching.Windows(
        same_channel_hours=float(channel.settings.get("conversation_hours", capabilities.conversation_hours)),
        other_channel_hours=float(channel.settings.get("other_channel_hours", 24)),
        reopen_days=float(channel.settings.get("reopen_days", capabilities.reopen_days)),
    )
    for _attempt in range(4):
        own = {} if who.created else _candidates(who.customer, channel)
        evidence = _checked(channel, message, who, found, own)
        mine = [one for one in own.values() if one.merged_into is None]
        decision = matching.decide(evidence, mine, windows=windows, now=now)
        if message.is_auto_reply and decision.link_kind == "follow_up_of":
            # An out-of-office answer opens nothing: it stays with what it answered, whatever the state of that.
            decision = matching.Decision(decision.link_to, "reference")
        if decision.ticket_id is None:
            return _new_ticket(channel, message, who, decision, now=now)
        ticket = lock_survivor(decision.ticket_id)
        seen = _all(evidence, mine).get(decision.ticket_id)
        if ticket.pk == decision.ticket_id and (seen is None or ticket.status == seen.status):
            return ticket, decision, []
    return ticket, matching.Decision(ticket.pk, decision.reason), []


def _candidates(customer: Customer, channel: Channel) -> dict[int, matching.Candidate]:
    """The customer's tickets of this brand by id, routes of merged ones counted for their survivor."""
    used = F("routes__last_used_at")
    rows = (
        Ticket.objects.filter(customer=customer, brand=channel.brand_id)
        .annotate(
            here_at=Max(Case(When(routes__channel=channel.pk, routes__side=False, then=used))),
            elsewhere_at=Max(Case(When(~Q(routes__channel=channel.pk), routes__side=False, then=used))),
        )
        .order_by("-id")
        .values_list("id", "status", "solved_at", "merged_into_id", "here_at", "elsewhere_at")[:MOST_CANDIDATES]
    )
    found = {
        pk: matching.Candidate(
            pk, status, solved_at=solved_at, merged_into=merged_into, last_on_channel_at=here, elsewhere_at=elsewhere
        )
        for pk, status, solved_at, merged_into, here, elsewhere in rows
    }
    for one in [one for one in found.values() if one.merged_into]:
        if survivor := matching.survivor_of(found, one.ticket_id):
            found[survivor.ticket_id] = replace(
                survivor,
                last_on_channel_at=_later(survivor.last_on_channel_at, one.last_on_channel_at),
                elsewhere_at=_later(survivor.elsewhere_at, one.elsewhere_at),
            )
    return found


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(filter(None, (one, other)), default=None)


def _checked(
    channel: Channel,
    message: InboundMessage,
    who: identities.Resolved,
    found: _Found,
    own: Mapping[int, matching.Candidate],
) -> matching.Evidence:
    """The evidence with the question answered whether the sender is a party. Only our tokens accuse a stranger."""
    token = reference = hint = None
    if found.route:
        ticket = found.route.ticket
        party = who.customer.pk == identities.current(ticket.customer).pk
        one = _candidate(ticket, party=party)
        token, reference = (one, None) if found.how == "reply_token" else (None, one)
    else:
        for pk in found.ticket_ids:
            if reference := matching.survivor_of(own, pk):
                break
    if message.ticket_hint is not None:
        hint = matching.survivor_of(own, message.ticket_hint)
    return matching.Evidence(token=token, reference=reference, hint=hint)


def _candidate(ticket: Ticket, *, party: bool) -> matching.Candidate:
    while ticket.merged_into is not None:
        ticket = ticket.merged_into
    return matching.Candidate(ticket.pk, ticket.status, party=party, solved_at=ticket.solved_at)


def _all(evidence: matching.Evidence, own: Iterable[matching.Candidate]) -> dict[int, matching.Candidate]:
    pointed = [one for one in (evidence.token, evidence.reference, evidence.hint) if one]
    return {one.ticket_id: one for one in (*own, *pointed)}


def _new_ticket(
    channel: Channel, message: InboundMessage, who: identities.Resolved, decision: matching.Decision, *, now: datetime
) -> tuple[Ticket, matching.Decision, list[Event]]:
    ticket = open_ticket(
        brand=channel.brand,
        customer=who.customer,
        subject=message.subject,
        by=CUSTOMER,
        now=now,
        channel=channel,
        team=channel.team,
        language=_language(message, who.customer, channel),
        reason=decision.reason,
        trusts_unverified=who.identity.evidence == "trusted_mailbox",
        route_it=not message.is_echo,
    )
    events: list[Event] = []
    if decision.link_to is not None:
        other = Ticket.objects.only("id", "number", "customer_id").get(pk=decision.link_to)
        TicketLink.objects.create(ticket=ticket, other=other, kind=decision.link_kind, at=now)
        events.append(ticket.record("linked", now=now, ticket=other.pk, number=other.number, reason=decision.reason))
        events.append(other.record("linked", now=now, ticket=ticket.pk, number=ticket.number, reason=decision.reason))
    return ticket, decision, events


# -- What is written --------------------------------------------------------------------------------------------------

_ROUTE_FIELDS = [
    "side",
    "remote_thread_id",
    "reply_address",
    "cc",
    "window_expires_at",
    "last_used_at",
    "last_inbound_id",
    "reply_token",
]


def _route_of(
    ticket: Ticket, channel: Channel, identity: Identity, message: InboundMessage, *, first: bool, now: datetime
) -> tuple[Route, list[Event]]:
    """The route of this channel and address on this ticket, found or made, with what this message says about it.

    The caller saves it. A merged ticket's route is not moved: the survivor gets one of its own when it is used.
    """
    routes = [] if first else list(Route.objects.filter(ticket=ticket))
    route = next((one for one in routes if one.channel_id == channel.pk and one.identity_id == identity.pk), None)
    events: list[Event] = []
    if route is None:
        route = Route(ticket=ticket, channel=channel, identity=identity)
        if capabilities_of(channel.kind).subject:
            route.reply_token = reply_tokens.route_token(ticket, identity, channel)
        route.last_used_at = now
        route.save(force_insert=True)
        if routes:
            event = ticket.record(
                "route_added", by=CUSTOMER, now=now, channel=channel.pk, name=channel.name, identity=identity.pk
            )
            events.append(event)
    route.side = False  # an address of a side conversation that is the customer's own by now
    if message.external_conversation_id:
        route.remote_thread_id = message.external_conversation_id[:250]
    if not message.is_echo:
        route.reply_address = message.reply_address[:254]
        if capabilities_of(channel.kind).cc:
            sender = route.reply_address or identity.value
            others = recipients.others_of(channel, to=message.to, cc=message.cc, sender=sender)
            route.cc = [address[:254] for address in others if address.lower() != identity.value.lower()]
        route.last_used_at = now
    if message.window_until and (route.window_expires_at is None or route.window_expires_at < message.window_until):
        route.window_expires_at = message.window_until
    return route, events


def _write(
    ticket: Ticket,
    channel: Channel,
    who: identities.Resolved,
    route: Route,
    message: InboundMessage,
    *,
    raw_event_id: int,
    part: int,
    received_at: datetime,
    now: datetime,
    kind: str = Message.Kind.PUBLIC,
    author: str = Message.Author.CUSTOMER,
) -> Message:
    ticket.last_seq += 1
    outgoing = message.is_echo
    meta = dict(message.meta)
    if message.no_auto_reply:
        meta["no_auto_reply"] = True
    return Message.objects.create(
        ticket=ticket,
        seq=ticket.last_seq,
        direction=Message.Direction.OUT if outgoing else Message.Direction.IN,
        kind=kind,
        author_type=Message.Author.AGENT if outgoing else author,
        customer=None if outgoing else who.customer,
        author_name=str(meta.pop("author", ""))[:200] if outgoing else (message.sender.name or who.customer.name)[:200],
        author_address="" if outgoing else who.identity.value,
        route=route,
        channel=channel,
        raw_event_id=raw_event_id,
        part=part,
        external_id=message.external_message_id[:300],
        rfc_message_id=message.rfc_message_id[:998],
        references=[one[:998] for one in message.references[:MOST_REFERENCES]],
        client_uuid=UUID(message.client_uuid) if message.client_uuid else None,
        subject=message.subject[:300],
        text=message.text,
        quoted_text=message.quoted_text,
        html=message.html,
        to=[one[:320] for one in message.to[:100]],
        cc=[one[:320] for one in message.cc[:100]],
        placeholder=message.placeholder,
        language=_language(message, who.customer, channel),
        automatic=message.is_auto_reply,
        meta=meta,
        state=DeliveryState.SENT if outgoing else None,
        state_at=now if outgoing else None,
        sent_at=message.sent_at,
        received_at=received_at,
        created_at=now,
    )


def _attach(said: Message, given: Sequence[InboundFile], *, now: datetime) -> None:
    """Rows for files that are stored, references for those that a job fetches, and uploads that were waiting."""
    rows, uploads = [], []
    for one in given:
        if one.stored_id is not None:
            uploads.append(one.stored_id)
            continue
        stored = bool(one.sha256) and not one.reference
        rows.append(
            Attachment(
                message=said,
                kind=one.kind,
                name=files.clean_name(one.name)[:255],
                content_type=one.content_type[:120],
                size=one.size or 0,
                sha256=one.sha256 if stored else "",
                inline=one.inline,
                content_id=one.content_id[:300],
                state=Attachment.State.STORED if stored else Attachment.State.FETCHING,
                reference=dict(one.reference),
                next_attempt_at=now,
                created_at=now,
            )
        )
    if rows:
        Attachment.objects.bulk_create(rows)
    if uploads:
        Attachment.objects.filter(pk__in=uploads, message__isnull=True, uploaded_by__isnull=True).update(message=said)


def _move_on(
    ticket: Ticket, said: Message, message: InboundMessage, decision: matching.Decision, *, now: datetime
) -> list[Event]:
    """The ticket after this message: its row, its status, its clocks, who it is owed to (design.md 6)."""
    ticket.last_message_id = said.pk
    ticket.last_message_at = ticket.updated_at = now
    ticket.last_channel_id = said.channel_id
    ticket.last_direction = said.direction
    ticket.last_author_id = None
    ticket.snippet = snippet_of(said)
    changed = [
        "last_seq", "last_message_id", "last_message_at", "updated_at", "last_channel", "last_direction",
        "last_author_id", "snippet",
    ]  # fmt: skip
    if not ticket.subject and said.subject:
        ticket.subject = said.subject
        changed.append("subject")
    if ticket.first_channel_id is None:
        ticket.first_channel_id = said.channel_id
        changed.append("first_channel")
    speaks = not (message.is_auto_reply or message.is_echo)
    if speaks and ticket.waiting_since is None:
        ticket.waiting_since = now
        changed.append("waiting_since")
    if message.is_echo:
        ticket.waiting_since = None
        changed.append("waiting_since")
        if ticket.first_reply_at is None and _customer_has_written(ticket):
            ticket.first_reply_at = now
            changed.append("first_reply_at")
    if not ticket.language and said.language:
        ticket.language = said.language
        changed.append("language")
    if decision.ticket_id is not None and speaks and not Rule.objects.waiting_for(Rule.When.CUSTOMER_REPLIED).exists():
        ticket.ruled_message_id = said.pk  # a rule that is made later does not look back
        changed.append("ruled_message_id")
    ticket.save(update_fields=changed)

    kind = "reply_posted" if message.is_echo else "message_received"
    by = SYSTEM if message.is_echo else CUSTOMER
    events = [ticket.record(kind, by=by, now=now, message_id=said.pk, reason=decision.reason, channel=said.channel_id)]
    if message.is_echo:
        clocks.agent_replied(ticket, now=now)
        return events
    if not speaks:
        return events
    events += _wake_up(ticket, now=now)
    clocks.customer_wrote(ticket, now=now)
    if decision.ticket_id is not None and ticket.assignee_id is None and ticket.routing_due_at is None:
        routing.owe(ticket, now=now)
    return events


def _owe_answer(said: Message, *, now: datetime) -> None:
    """The automatic answer to a first message, where the channel gives one (`tickets.answering`)."""
    if said.channel_id and AutomaticAnswer.objects.filter(channel=said.channel_id, active=True).exists():
        AutomaticReply.objects.create(
            ticket_id=said.ticket_id,
            channel_id=said.channel_id,
            asked=said,
            cause="first_contact",
            due_at=now + AutomaticReply.GRACE,
        )


def _customer_has_written(ticket: Ticket) -> bool:
    """Without a question there is no reply: an echo that opens a conversation answers nobody."""
    asked = Message.objects.filter(ticket=ticket, direction=Message.Direction.IN, kind=Message.Kind.PUBLIC)
    return asked.exists()


def _wake_up(ticket: Ticket, *, now: datetime) -> list[Event]:
    """A customer's word ends a snooze, and opens what was pending, on hold or solved."""
    events: list[Event | None] = []
    if ticket.snoozed_until is not None:
        events.append(ticket.snooze(None, by=CUSTOMER, now=now, cause="customer_wrote"))
        routing.woken(ticket, now=now)
    if ticket.status in (Ticket.Status.PENDING, Ticket.Status.ON_HOLD, Ticket.Status.SOLVED):
        # A solve cleared `waiting_since`; the message that reopens it waits from now on.
        opened = ticket.change_status(Ticket.Status.OPEN, by=CUSTOMER, now=now, cause="customer_wrote")
        events.append(opened)
        clocks.status_changed(ticket, opened, now=now)
    return [event for event in events if event]


def snippet_of(said: Message) -> str:
    """The first words, on one line; a placeholder or the subject where there are none."""
    words = " ".join(said.text[:1000].split()) or said.subject
    return words[:SNIPPET]


def _line(ticket: Ticket, channel: Channel, *, now: datetime, meta: Mapping[str, Any]) -> Message:
    ticket.last_seq += 1
    line = Message.objects.create(
        ticket=ticket,
        seq=ticket.last_seq,
        direction=Message.Direction.IN,
        kind=Message.Kind.SYSTEM,
        author_type=Message.Author.SYSTEM,
        channel=channel,
        placeholder="unreadable",
        meta=dict(meta),
        created_at=now,
    )
    ticket.goes_on(line, now=now)
    return line


def _language(message: InboundMessage, customer: Customer, channel: Channel) -> str:
    known = customer.language or message.sender.locale[:2].lower() or channel.language or channel.brand.language
    return languages.detect(message.text or message.subject, otherwise=known)[:5]


def _opt(identity: Identity, message: InboundMessage, channel: Channel, *, now: datetime) -> list[Event]:
    """STOP and START: remembered on the address, shown on the customer."""
    if message.opt == "stop" and identity.opted_out_at is None:
        identity.opted_out_at, kind = now, "identity_opted_out"
    elif message.opt == "start" and identity.opted_out_at is not None:
        identity.opted_out_at, kind = None, "identity_opted_in"
    else:
        return []
    identity.save(update_fields=["opted_out_at"])
    return [
        identities.event_of(kind, identity, now=now, value=identity.value, channel=channel.pk),
    ]


def _open_tickets(customer: Customer, channel: Channel) -> bool:
    """Whether an opt-out word has a conversation to stand in: it opens none, and reopens none."""
    tickets = Ticket.objects.filter(
        customer=customer, brand=channel.brand_id, status__in=UNSOLVED, routes__channel=channel
    )
    return tickets.exists()


def _stored(file: InboundFile) -> InboundFile:
    if file.content is None:
        return file
    kept = files.store(file.content)
    return replace(file, content=None, sha256=kept.sha256, size=kept.size, content_type=kept.content_type)


def _sane(message: InboundMessage) -> InboundMessage:
    """Texts that PostgreSQL can hold: no NUL, no half of a surrogate pair, wherever a stranger may have put one."""
    changes: dict[str, Any] = {}
    for name in _TEXTS:
        value = getattr(message, name)
        if (clean := _clean_all(value)) != value:
            changes[name] = clean
    name = _clean(message.sender.name)
    if name != message.sender.name:
        changes["sender"] = replace(message.sender, name=name)
    return replace(message, **changes) if changes else message


_TEXTS = (
    "text", "html", "quoted_text", "subject", "external_message_id", "external_conversation_id", "rfc_message_id",
    "reply_address", "to", "cc", "references", "meta",
)  # fmt: skip


def _clean_all(value: Any) -> Any:
    match value:
        case str():
            return _clean(value)
        case tuple() | list():
            return type(value)(_clean_all(one) for one in value)
        case Mapping():
            return {_clean_all(key): _clean_all(one) for key, one in value.items()}
    return value


def _clean(text: str) -> str:
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


# -- Echoes, and what changes a message -----------------------------------------------------------------------------------


def _refuse_our_own(channel: Channel, message: InboundMessage, *, settled: bool) -> None:
    """An echo of what we sent is no message. One that may still turn out to be ours waits."""
    if DeliveryPart.objects.filter(channel=channel, provider_id=message.external_message_id).exists():
        raise Suppress("our own echo")
    if settled:
        return
    addresses = Q()
    for one in message.sender.identifiers:
        addresses |= Q(message__route__identity__kind=one.kind, message__route__identity__value=one.value)
    unsettled = (DeliveryState.SENDING, DeliveryState.UNCERTAIN)
    if addresses and DeliveryPart.objects.filter(addresses, channel=channel, state__in=unsettled).exists():
        raise NotYet(otherwise=message)


def _named(channel: Channel, applied: Applied, *, otherwise: InboundMessage | None = None) -> Message:
    """The message that this speaks of, with its ticket and itself locked. Raises NotYet."""
    wanted = applied.external_message_id
    found = Message.objects.filter(channel=channel, external_id=wanted).exclude(external_id="")
    message = found.order_by("id").first()
    if message is None and wanted:
        part = DeliveryPart.objects.filter(channel=channel, provider_id=wanted).select_related("message").first()
        message = part.message if part else None
    if message is None:
        raise NotYet(otherwise=otherwise)
    ticket = Ticket.objects.select_for_update(of=("self",), no_key=True).get(pk=message.ticket_id)
    locked = Message.objects.select_for_update(of=("self",), no_key=True).get(pk=message.pk)
    locked.ticket = ticket
    return locked


def _edit(channel: Channel, applied: Applied, *, now: datetime) -> Message:
    """The newest edit by the provider's time counts, in whatever order they arrive; former texts are kept."""
    fallback = applied.fallback and replace(applied.fallback, meta={**applied.fallback.meta, "edited": True})
    message = _named(channel, applied, otherwise=fallback)
    at = applied.at or now
    if message.deleted_at or (message.edited_at and message.edited_at >= at):
        return message
    text = _clean(applied.text)
    message.meta = {
        **message.meta,
        "edits": [*message.meta.get("edits", [])[-19:], {"text": message.text, "until": at.isoformat()}],
    }
    message.text, message.edited_at, message.html = text, at, ""
    message.save(update_fields=["text", "html", "edited_at", "meta"])
    if message.ticket.last_message_id == message.pk:
        Ticket.objects.filter(pk=message.ticket_id).update(snippet=snippet_of(message), updated_at=now)
    _changed(message, "edited", now=now)
    return message


def _delete(channel: Channel, applied: Applied, *, now: datetime) -> Message:
    """The customer took it back: its words go from the screens, its place and its item stay."""
    message = _named(channel, applied)
    if message.deleted_at:
        return message
    message.deleted_at, message.placeholder = applied.at or now, "deleted"
    message.text = message.html = message.quoted_text = ""
    message.save(update_fields=["deleted_at", "placeholder", "text", "html", "quoted_text"])
    if message.ticket.last_message_id == message.pk:
        Ticket.objects.filter(pk=message.ticket_id).update(snippet="", updated_at=now)
    _changed(message, "deleted", now=now)
    return message


def _react(channel: Channel, applied: Applied, *, now: datetime) -> Message:
    """One reaction each. Never changes a status, nor the order of a list."""
    message = _named(channel, applied)
    who = next((one.value for one in applied.sender.identifiers), "")
    reactions = {key: value for key, value in message.meta.get("reactions", {}).items() if key != who}
    if applied.kind == "reaction" and applied.text:
        reactions[who] = _clean(applied.text)[:20]
    if reactions == message.meta.get("reactions", {}):
        return message
    message.meta = {**message.meta, "reactions": reactions}
    message.save(update_fields=["meta"])
    _changed(message, applied.kind, now=now)
    return message


def _changed(message: Message, change: str, *, now: datetime) -> None:
    live.announce(message.ticket.record("message_changed", by=CUSTOMER, now=now, message_id=message.pk, change=change))
