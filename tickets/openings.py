"""A ticket that an agent begins: whom, by which way, and the first words, which leave as every answer does.

What is written is an `Opening` until it is sent. Then the ticket is made and its answer held or posted in one
transaction (`replies`). No first reply is promised on it, for nobody has asked (metrics.md 2.1).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from agents.models import Agent, Team
from tickets import customers, identities, ingest, languages, live, replies
from tickets.access import customers_for, tickets_for
from tickets.channels import capabilities_of
from tickets.models import Attachment, Channel, Customer, Draft, Identity, Message, MessageTemplate, Opening, Ticket
from tickets.models.event import by_agent

BY_TEMPLATE = "template_only"  # the reason of a way on which an approved message begins
MOST_ADDRESSES = 20  # of one customer that are offered


class Refused(Exception):
    """It cannot begin so; the text says why, in the reader's language."""


def kept_by(agent: Agent) -> Opening:
    """What this agent has written so far; a fresh one, not saved, is theirs to answer for and their team's."""
    kept = Opening.objects.select_related("customer", "team", "assignee").filter(agent=agent).first()
    if kept is not None:
        return kept
    teams = list(Team.objects.filter(memberships__agent=agent)[:2])
    return Opening(agent=agent, assignee=agent, team=teams[0] if len(teams) == 1 else None, client_uuid=uuid.uuid4())


def keep(written: Opening, *, now: datetime) -> Opening | None:
    """Save it. A late save of an older revision changes nothing; None when this ticket was begun already."""
    with transaction.atomic():
        _one_at_a_time(written.agent)
        if _begun(written) is not None:
            return None
        kept = Opening.objects.filter(agent=written.agent).first()
        if kept is not None and kept.revision >= written.revision and kept.client_uuid == written.client_uuid:
            return kept
        written.pk, written.updated_at = kept.pk if kept else None, now
        written.save()
        return written


def discard(agent: Agent) -> None:
    Opening.objects.filter(agent=agent).delete()


def customer_of(opening: Opening) -> Customer | None:
    """The one who was chosen, as far as this agent sees them (joined into another one: that one)."""
    if opening.customer_id is None:
        return None
    chosen = Customer.objects.select_related("joined_into").filter(pk=opening.customer_id).first()
    return customers_for(opening.agent).filter(pk=identities.current(chosen).pk).first() if chosen else None


def ways_of(opening: Opening, *, now: datetime) -> list[replies.RouteChoice]:
    """How whom it is for can be written to first; the address that was used last stands first, and what takes any words
    before what takes approved ones only."""
    channels = Channel.objects.filter(active=True).select_related("brand").order_by("id")
    if opening.agent.brand_ids is not None:
        channels = channels.filter(brand__in=opening.agent.brand_ids)
    approved = set(MessageTemplate.objects.values_list("channel", flat=True).distinct())
    fitting = [one for one in channels if capabilities_of(one.kind).begins or one.pk in approved]
    ways = replies.ways_to_begin(_addresses(opening), fitting, now=now)
    return sorted(ways, key=lambda way: way.reason == BY_TEMPLATE)


def open_tickets_of(opening: Opening) -> list[Ticket]:
    """What this customer has open already, as far as the agent sees it, the latest first."""
    customer = customer_of(opening)
    if customer is None:
        return []
    mine = tickets_for(opening.agent).survivors().unsolved().filter(customer__in=customers.with_joined(customer))
    return list(mine.latest_first()[:5])


def files_of(opening: Opening) -> list[Attachment]:
    """The author's own uploads that nothing has taken yet, in the order in which they stand there."""
    mine = Attachment.objects.filter(
        pk__in=opening.attachment_ids, uploaded_by=opening.agent, message__isnull=True
    ).in_bulk()
    return [mine[pk] for pk in opening.attachment_ids if pk in mine]


@transaction.atomic
def begin(wish: Opening, *, template: Mapping[str, Any] | None = None, now: datetime) -> Ticket:
    """Make the ticket and send its first words. The same `client_uuid` gives the same ticket, however often.

    `template`: what `approved.as_sent` gives, where the way takes nothing else; the wish has its words. Raises Refused and `replies.Unreachable`; nothing has happened then.
    """
    agent, by = wish.agent, by_agent(wish.agent)
    _one_at_a_time(agent)
    if known := _begun(wish):
        return known
    way = _chosen(wish, now=now)
    capabilities = capabilities_of(way.channel.kind)
    files = files_of(wish) if template is None else []
    if way.reason == BY_TEMPLATE and template is None:
        raise Refused(_("Choose a template."))
    if not wish.text.strip() and not files:
        raise Refused(_("Write a message first."))
    if capabilities.subject and not wish.subject.strip():
        raise Refused(_("A mail needs a subject."))
    identity = way.identity
    if identity.pk is None:
        identity = identities.typed(identity.kind, identity.value, name=wish.name.strip(), by=by, now=now)
    customer = identity.customer
    ticket = ingest.open_ticket(
        brand=way.channel.brand,
        customer=customer,
        subject=wish.subject,
        by=by,
        now=now,
        channel=way.channel,
        team=wish.team,
        language=customer.language or languages.detect(wish.text, otherwise=way.channel.language or agent.language),
        route_it=wish.assignee is None,
    )
    if wish.assignee is not None:
        live.announce(ticket.give_to(assignee=wish.assignee, team=wish.team, by=by, now=now))
    if not tickets_for(agent).filter(pk=ticket.pk).exists():
        raise Refused(_("You would not see this ticket yourself. Choose another team, or take it."))
    words: dict[str, Any] = {
        "agent": agent,
        "text": wish.text,
        "route": replies.RouteChoice(None, way.channel, identity, True, "", way.window_expires_at, way.limit),
        "attachments": files,
        "client_uuid": wish.client_uuid,
        "seen_message_id": None,
        "then": {"take": False},  # who has it was chosen here
        "now": now,
    }
    if capabilities.chatlike or not agent.undo_seconds:
        replies.post(ticket, template=template, **words)
    else:
        replies.hold(ticket, send_at=now + timedelta(seconds=agent.undo_seconds), **words)
    discard(agent)
    return ticket


def _addresses(opening: Opening) -> Sequence[Identity]:
    customer = customer_of(opening)
    if customer is not None:
        rows = Identity.objects.filter(customer=customer).order_by("-last_seen_at", "-pk")
        return [row for row in rows[:MOST_ADDRESSES] if row.verified or row.evidence == identities.BY_AGENT]
    address = customers.read_address(opening.address, language=opening.agent.language)
    return [Identity(kind=address[0], value=address[1])] if address else []


def _chosen(wish: Opening, *, now: datetime) -> replies.RouteChoice:
    ways = ways_of(wish, now=now)
    if not ways:
        raise Refused(_("Choose whom to write to."))
    way = next((one for one in ways if one.key == wish.way), None)
    if way is None:
        raise Refused(_("Choose a channel."))
    if not way.reachable:
        raise replies.Unreachable(way.reason, replies.sentence_of(way.reason))
    return way


def _begun(wish: Opening) -> Ticket | None:
    """The ticket that this opening has become."""
    mine = {"client_uuid": wish.client_uuid, "agent": wish.agent}
    message = Message.objects.filter(**mine).first() or Draft.objects.filter(**mine).first()
    return message.ticket if message else None


def _one_at_a_time(agent: Agent) -> None:
    """Two presses, and a save that comes late, stand in line. Until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"opening:{agent.pk}"])
