"""Who is writing: from a sender's identifiers to one customer.

A verified identity joins by itself; a claim never does and never reveals history, but becomes a suggestion with its
evidence (design.md 7). Every join can be undone exactly. Lock order: identities, customers, tickets.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from tickets import live
from tickets.contract import Identifier, Sender
from tickets.models import Channel, Customer, CustomerJoin, Identity, Route, Ticket
from tickets.models.event import CUSTOMER, SYSTEM, Actor, Event, record

SEEN_AGAIN = timedelta(minutes=1)  # `last_seen_at` is not written more often
NOBODY = Identifier("unknown", "", "", False, "no sender")
BY_AGENT = "agent"  # evidence of an address that somebody here has entered
SESSION = "session"  # evidence of a value that we made ourselves: the same browser as before, whoever sits there


class Resolved(NamedTuple):
    """`identity` is the address that answers go to. `created`: the customer is new."""

    customer: Customer
    identity: Identity
    created: bool


class Suggestion(NamedTuple):
    """Another customer who may be the same person, because of this identity of theirs."""

    customer: Customer
    identity: Identity
    evidence: str


class LostRace(Exception):
    """Another transaction verified the same identity meanwhile. Run the whole transaction again."""


class JoinedFurther(Exception):
    """A later join stands on this one. Undo that one first."""


def resolve(sender: Sender, channel: Channel, *, now: datetime, proven: Identity | None = None) -> Resolved:
    """The customer behind a sender, found or made, with all identifiers attached. Inside the caller's transaction.

    The first identifier is the one that answers go to. `proven` is the identity of a reply token that came with the
    message: an unverified sender of exactly that address is its owner. Two customers whose verified identifiers
    come together in one sender are joined. Raises LostRace.
    """
    identifiers = _cleaned(sender.identifiers) or [NOBODY]
    first = identifiers[0]
    rows = _rows(identifiers)
    identity, others = _owner(identifiers, rows, proven)
    if identity is None:
        customer = Customer.objects.create(name=sender.name[:200], time_zone=sender.time_zone[:64], created_at=now)
        identity = _add(customer, first, sender, now=now)
        created = True
    else:
        created = False
        if others:
            _join_all(identity.customer, others, sender, now=now)
            rows = _rows(identifiers)
            identity = next(row for row in rows if row.pk == identity.pk)
        customer = current(identity.customer)
    attached = [row for row in rows if row.customer_id == customer.pk and row.pk != identity.pk]
    attached.append(identity)
    for identifier in identifiers:
        row = _find(attached, identifier)
        if row is None:
            row = _attach(customer, identifier, rows, sender, now=now, quiet=created)
            attached.append(row)
        elif identifier.verified and not row.verified and not _verified(rows, identifier):
            _verify(row, identifier)
    answering = _find(attached, first) or identity
    _seen(customer, answering, sender, now=now)
    answering.customer = customer
    return Resolved(customer, answering, created)


def typed(kind: str, value: str, *, name: str, by: Actor, now: datetime) -> Identity:
    """The address that one of us typed, with its customer: its `holder`, else somebody new. In the caller's transaction."""
    with connection.cursor() as cursor:  # two colleagues who begin at once make one customer
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"typed:{kind}:{value}"])
    if row := holder(kind, value):
        return row
    customer = Customer.objects.create(name=name[:200], created_at=now)
    row = Identity.objects.create(customer=customer, kind=kind, value=value, evidence=BY_AGENT, created_at=now)
    live.announce(_event("identity_added", customer, by=by, now=now, identity=row.pk, of=kind))
    return row


def holder(kind: str, value: str) -> Identity | None:
    """Whose this normalised address is known to be, else with whom one of us has entered it."""
    rows = Identity.objects.filter(kind=kind, scope="", value=value, customer__joined_into__isnull=True)
    rows = rows.filter(Q(verified=True) | Q(evidence=BY_AGENT))
    return rows.select_related("customer").order_by("-verified", "id").first()


def known(sender: Sender) -> Customer | None:
    """The customer who holds a verified identifier of this sender; None makes nobody."""
    identifiers = _cleaned(sender.identifiers)
    rows = _rows([one for one in identifiers if one.verified or one.evidence == SESSION])
    row = next((row for row in rows if row.verified), None)
    row = row or (_same_session(rows, identifiers[0]) if identifiers else None)
    return row.customer if row else None


def current(customer: Customer) -> Customer:
    """The customer that this one was joined into, however far; itself when it was not."""
    while customer.joined_into is not None:
        customer = customer.joined_into
    return customer


def event_of(kind: str, identity: Identity, *, now: datetime, **particulars: Any) -> Event:
    """Something about an address that its owner did (opted out, opted in)."""
    return _event(kind, identity.customer, by=CUSTOMER, now=now, identity=identity.pk, **particulars)


def suggestions(customer: Customer, *, limit: int = 10) -> list[Suggestion]:
    """Other customers with the same address, where one of the two only claims it. Never joined by themselves."""
    own = list(customer.identities.all())
    same = Q(pk__in=[])
    for identity in own:
        if identity.value:
            same |= Q(kind=identity.kind, value=identity.value, scope=identity.scope)
    others = (
        Identity.objects.filter(same, customer__joined_into__isnull=True)
        .exclude(customer=customer)
        .select_related("customer")
        .order_by("-verified", "id")
    )
    found: dict[int, Suggestion] = {}
    for identity in others[: limit * 3]:
        found.setdefault(identity.customer_id, Suggestion(identity.customer, identity, identity.evidence))
    return list(found.values())[:limit]


@transaction.atomic
def join(
    survivor: Customer, joined: Customer, *, by: Actor, reason: str, evidence: dict[str, Any], now: datetime
) -> CustomerJoin:
    """Make one person of two: tickets and identities go to the survivor, and the journal knows which.

    An identity that the survivor claims and the other holds verified stays where it is; the proof moves.
    Raises ValueError when one of them is joined already, or both are the same.
    """
    rows = _lock_people(survivor.pk, joined.pk)
    if len(rows) != 2 or any(row.joined_into_id for row in rows):
        raise ValueError("one of these customers is joined already")
    tickets = _lock_tickets(customer=joined)
    own = {(row.kind, row.scope, row.value): row for row in Identity.objects.filter(customer=survivor)}
    moving, promoted = [], []
    for row in Identity.objects.filter(customer=joined).order_by("pk"):
        twin = own.get((row.kind, row.scope, row.value))
        if twin is None:
            moving.append(row.pk)
        elif row.verified and not twin.verified:
            promoted.append([twin.pk, row.pk])
    _hand_over(promoted)
    Identity.objects.filter(pk__in=moving).update(customer=survivor)
    Ticket.objects.filter(pk__in=tickets).update(customer=survivor)
    Customer.objects.filter(pk=joined.pk).update(joined_into=survivor)
    journal = CustomerJoin.objects.create(
        survivor=survivor,
        joined=joined,
        identity_ids=moving,
        ticket_ids=tickets,
        reason=reason[:60],
        evidence={**evidence, **({"promoted": promoted} if promoted else {})},
        by=by.agent,
        at=now,
    )
    particulars = {"join": journal.pk, "joined": joined.pk, "reason": reason}
    live.announce(_event("customer_joined", survivor, by=by, now=now, **particulars))
    joined.joined_into = survivor
    return journal


@transaction.atomic
def undo_join(journal: CustomerJoin, *, by: Actor, now: datetime) -> None:
    """The exact inverse: what the join moved goes back; what came since stays with the survivor.

    Doing it twice is harmless. Raises JoinedFurther when the survivor itself was joined into another one.
    """
    locked = CustomerJoin.objects.select_for_update(of=("self",)).get(pk=journal.pk)
    if locked.undone_at:
        return
    _lock_people(locked.survivor_id, locked.joined_id)
    if locked.survivor.joined_into_id:
        raise JoinedFurther
    _lock_tickets(pk__in=locked.ticket_ids)
    Ticket.objects.filter(pk__in=locked.ticket_ids, customer=locked.survivor).update(customer=locked.joined)
    Identity.objects.filter(pk__in=locked.identity_ids, customer=locked.survivor).update(customer=locked.joined)
    _hand_over([[theirs, own] for own, theirs in locked.evidence.get("promoted", [])])
    Customer.objects.filter(pk=locked.joined_id).update(joined_into=None)
    locked.undone_at = now
    locked.save(update_fields=["undone_at"])
    live.announce(
        _event("customer_join_undone", locked.survivor, by=by, now=now, join=locked.pk, joined=locked.joined_id)
    )


# -- Finding ----------------------------------------------------------------------------------------------------------


def _cleaned(identifiers: Sequence[Identifier]) -> list[Identifier]:
    """Without empty and doubled ones; a verified identifier counts before a claim of the same value."""
    kept: dict[tuple[str, str, str], Identifier] = {}
    for one in identifiers:
        value = one.value.replace("\0", "").strip()[:254]
        key = (one.kind[:20], one.scope[:80], value)
        if value and (key not in kept or (one.verified and not kept[key].verified)):
            kept[key] = Identifier(*key, one.verified, one.evidence[:60])
    return list(kept.values())


def _rows(identifiers: Sequence[Identifier]) -> list[Identity]:
    """All identities with one of these values, whoever holds them, in one query."""
    same = Q(pk__in=[])
    for one in identifiers:
        if one.value:
            same |= Q(kind=one.kind, scope=one.scope, value=one.value)
    return list(Identity.objects.filter(same).select_related("customer__joined_into").order_by("-verified", "id")[:200])


def _owner(
    identifiers: Sequence[Identifier], rows: Sequence[Identity], proven: Identity | None
) -> tuple[Identity | None, list[Identity]]:
    """The identity that decides who it is, and verified identities of other customers in the same sender."""
    first = identifiers[0]
    if proven is not None and (proven.kind, proven.scope, proven.value) == (first.kind, first.scope, first.value):
        return proven, []
    held = [row for one in identifiers if one.verified and (row := _verified(rows, one))]
    if not held:
        return _same_session(rows, first) or _written_to(rows, identifiers), []
    return held[0], [row for row in held[1:] if row.customer_id != held[0].customer_id]


def _verified(rows: Sequence[Identity], one: Identifier) -> Identity | None:
    return next((row for row in rows if row.verified and _same(row, one)), None)


def _same_session(rows: Sequence[Identity], one: Identifier) -> Identity | None:
    return next((row for row in rows if _same(row, one) and row.evidence == one.evidence == SESSION), None)


def _written_to(rows: Sequence[Identity], identifiers: Sequence[Identifier]) -> Identity | None:
    """An address that one of us entered and wrote to: its owner answers, and proves it. Not where two customers have it."""
    entered = [
        row for row in rows if row.evidence == BY_AGENT and any(one.verified and _same(row, one) for one in identifiers)
    ]
    if len({row.customer_id for row in entered}) != 1 or not Route.objects.filter(identity=entered[0]).exists():
        return None
    return entered[0]


def _find(rows: Sequence[Identity], one: Identifier) -> Identity | None:
    return next((row for row in rows if _same(row, one)), None)


def _same(row: Identity, one: Identifier) -> bool:
    return (row.kind, row.scope, row.value) == (one.kind, one.scope, one.value)


# -- Changing ---------------------------------------------------------------------------------------------------------


def _add(customer: Customer, one: Identifier, sender: Sender, *, now: datetime) -> Identity:
    """Raises LostRace when a verified identity was taken by another transaction."""
    row = Identity(
        customer=customer,
        kind=one.kind,
        scope=one.scope,
        value=one.value,
        verified=one.verified,
        evidence=one.evidence,
        name=sender.name[:200],
        last_seen_at=now,
        created_at=now,
    )
    try:
        row.save(force_insert=True)
    except IntegrityError as error:
        raise LostRace(one.kind) from error
    return row


def _attach(
    customer: Customer, one: Identifier, rows: Sequence[Identity], sender: Sender, *, now: datetime, quiet: bool
) -> Identity:
    """A further address of a customer. One that somebody else holds verified is kept as a claim only."""
    if one.verified and _verified(rows, one):
        one = one._replace(verified=False)
    row = _add(customer, one, sender, now=now)
    if not quiet:
        live.announce(_event("identity_added", customer, by=CUSTOMER, now=now, identity=row.pk, of=row.kind))
    return row


def _verify(row: Identity, one: Identifier) -> None:
    row.verified, row.evidence = True, one.evidence
    try:
        row.save(update_fields=["verified", "evidence"])
    except IntegrityError as error:
        raise LostRace(one.kind) from error


def _join_all(customer: Customer, others: Sequence[Identity], sender: Sender, *, now: datetime) -> None:
    """Verified identifiers of several customers came from one sender: they are one person."""
    done = set[int]()
    for identity in others:
        other = identity.customer
        if other.pk == customer.pk or other.pk in done:
            continue
        # The one with a name is kept, then the one of longer standing.
        survivor, joined = sorted((customer, other), key=lambda one: (not one.name, one.pk))
        evidence = {"identities": [identity.pk], "sender": sender.name[:80]}
        join(survivor, joined, by=SYSTEM, reason="same_sender", evidence=evidence, now=now)
        customer = survivor
        done.add(joined.pk)


def _lock_people(*customers: int) -> list[Customer]:
    """Their identities, then themselves, in the order in which a message that comes in takes them (`ingest`)."""
    list(
        Identity.objects.select_for_update(of=("self",), no_key=True)
        .filter(customer__in=customers)
        .order_by("pk")
        .values_list("pk")
    )
    return list(Customer.objects.select_for_update(no_key=True).filter(pk__in=customers).order_by("pk"))


def _lock_tickets(**which: Any) -> list[int]:
    tickets = Ticket.objects.select_for_update(of=("self",), no_key=True).filter(**which).order_by("pk")
    return list(tickets.values_list("pk", flat=True))


def _hand_over(pairs: Sequence[Sequence[int]]) -> None:
    """Move the proof of the same address from the second identity of each pair to the first."""
    for to, away in pairs:
        Identity.objects.filter(pk=away).update(verified=False)
        Identity.objects.filter(pk=to).update(verified=True)


def _seen(customer: Customer, identity: Identity, sender: Sender, *, now: datetime) -> None:
    changed = []
    if sender.name and identity.name != sender.name[:200]:
        identity.name = sender.name[:200]
        changed.append("name")
    if identity.last_seen_at is None or now - identity.last_seen_at > SEEN_AGAIN:
        identity.last_seen_at = now
        changed.append("last_seen_at")
    if changed:
        identity.save(update_fields=changed)
    if sender.name and not customer.name:
        customer.name = sender.name[:200]
        customer.save(update_fields=["name"])


def _event(kind: str, customer: Customer, *, by: Actor, now: datetime, **particulars: Any) -> Event:
    return record(kind, ticket=None, customer_id=customer.pk, by=by, now=now, particulars=particulars)
