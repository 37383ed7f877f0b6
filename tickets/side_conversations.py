"""Side conversations: messages of a ticket go to somebody else by mail, and what comes back is theirs (decision 0010)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from agents.models import Agent
from tickets import files, identities, live, reply_tokens, signatures, writing
from tickets.channels import capabilities_of
from tickets.models import Attachment, Channel, Identity, Message, Route, Ticket
from tickets.models.event import by_agent
from tickets.models.ticket import lock_survivor
from tickets.recipients import BadAddress, Recipients
from tickets.writing import Unreachable, sentence_of


def forward(
    ticket: Ticket,
    *,
    agent: Agent,
    channel: Channel,
    recipients: Recipients,
    text: str,
    quoting: Iterable[Message] = (),
    attachments: Iterable[Attachment] = (),
    client_uuid: UUID,
    now: datetime,
) -> Message:
    """A mail to somebody else about this ticket, with files of the author's; what was said is quoted below, with its own.
    The same `client_uuid` gives the same message.

    The customer takes no part in it, and it answers nobody: no clock, no status, no assignee. What comes back is theirs
    (`ingest`), and the next forward to the same address goes on with the same talk. Raises BadAddress for the customer's
    own address or one of ours, Unreachable, and ValueError: nothing to say, a note or a foreign message to be quoted.
    """
    with transaction.atomic():
        locked = lock_survivor(ticket.pk)
        if known := writing.posted(client_uuid, agent=agent, ticket=locked):
            return known
        said, own = sorted(quoting, key=lambda message: message.pk), list(attachments)
        if not text.strip() and not said and not own:
            raise ValueError("nothing to say")
        used = way_to(locked, said, channel=channel, recipients=recipients, agent=agent, now=now)
        capabilities = capabilities_of(channel.kind)
        talked = Message.objects.filter(route=used).exists()
        subject = locked.subject or locked.brand.name
        message = writing.write(
            locked,
            kind=Message.Kind.SIDE,
            author_type=Message.Author.AGENT,
            agent=agent,
            author_name=agent.name,
            text=text,
            quoted_text="\n\n".join(_quoted(one, agent=agent) for one in said),
            subject=f"{'Re' if talked else 'Fwd'}: {subject}"[:300],
            signature=signatures.text_for(locked, agent=agent, now=now) if capabilities.signature else "",
            route=used,
            recipients=recipients,
            client_uuid=client_uuid,
            now=now,
        )
        stored = Attachment.objects.filter(message__in=said, state=Attachment.State.STORED).order_by("pk")
        carried = [*own, *files.copies(stored, agent=agent)]
        writing.attach(carried, message, agent=agent)
        writing.queue_parts(message, used, carried, capabilities, below=message.quoted_text)
        locked.goes_on(message, now=now)
        writing.has_read(agent, locked, message)
        live.announce(locked.record("message_forwarded", by=by_agent(agent), now=now, message_id=message.pk))
        writing.wake_delivery(channel)
        return message


def way_to(
    ticket: Ticket,
    said: Iterable[Message],
    *,
    channel: Channel,
    recipients: Recipients,
    agent: Agent,
    now: datetime,
) -> Route:
    """The way on which this can be said to them. Must hold the row lock of the ticket, a survivor; raises as `forward`."""
    family, spoken = ticket.family_ids(), (Message.Kind.PUBLIC, Message.Kind.SIDE)
    if any(one.ticket_id not in family or one.kind not in spoken or one.deleted_at for one in said):
        raise ValueError("this cannot be forwarded")
    used = _route_of(ticket, channel, recipients, agent=agent, now=now)
    writing.check(channel, used.identity, None, capabilities_of(channel.kind), template=None, now=now)
    return used


def forwardable(ticket: Ticket, *, most: int) -> list[Message]:
    """What was said to or by the outside on this ticket and can be quoted, the latest first, with its files."""
    spoken = Message.objects.filter(
        ticket__in=ticket.family_ids(),
        kind__in=[Message.Kind.PUBLIC, Message.Kind.SIDE],
        deleted_at=None,
        moved_to=None,
    )
    return list(spoken.select_related("agent", "customer").prefetch_related("attachments").order_by("-pk")[:most])


def channels_for(ticket: Ticket) -> list[Channel]:
    """The mailboxes of the ticket's brand from which one can write to somebody else; that of the conversation first."""
    used = set(Route.objects.filter(ticket__in=ticket.family_ids()).values_list("channel", flat=True))
    channels = Channel.objects.filter(brand=ticket.brand_id, active=True, disconnected_at=None).select_related("brand")
    mail = [one for one in channels.order_by("id") if capabilities_of(one.kind).cc and capabilities_of(one.kind).begins]
    return sorted(mail, key=lambda one: one.pk not in used)


def _route_of(ticket: Ticket, channel: Channel, recipients: Recipients, *, agent: Agent, now: datetime) -> Route:
    """The way to somebody else; raises BadAddress where it would reach the customer, or come back to ourselves."""
    capabilities = capabilities_of(channel.kind)
    if channel.brand_id != ticket.brand_id or not (capabilities.cc and capabilities.begins):
        raise ValueError("this channel cannot forward this ticket")
    family = ticket.family_ids()
    everybody = [address.lower() for address in recipients.everybody]
    ours = Channel.objects.filter(kind=channel.kind, address__in=everybody).values_list("address", flat=True)
    if own := ours.first():
        raise BadAddress(_("%(address)s is our own address.") % {"address": own})
    customers = Q(customer=ticket.customer_id) | Q(routes__ticket__in=family, routes__side=False)
    theirs = Identity.objects.filter(customers, kind="email", value__in=everybody).values_list("value", flat=True)
    in_copy = Route.objects.filter(ticket__in=family, side=False, reply_address__in=everybody)
    if taken := theirs.first() or in_copy.values_list("reply_address", flat=True).first():
        raise BadAddress(_("%(address)s belongs to the customer. Reply instead of forwarding.") % {"address": taken})
    by = by_agent(agent)
    identity = identities.typed("email", recipients.to[0].lower(), name="", by=by, now=now)
    if identity.customer.blocked:
        raise Unreachable("blocked", sentence_of("blocked"))
    route, _made = Route.objects.get_or_create(
        ticket=ticket,
        channel=channel,
        identity=identity,
        defaults={
            "side": True,
            "reply_token": reply_tokens.route_token(ticket, identity, channel),
            "last_used_at": now,
        },
    )
    Route.objects.filter(pk=route.pk).update(last_used_at=now)
    return Route.objects.select_related("channel__brand", "identity__customer", "ticket").get(pk=route.pk)


def _quoted(message: Message, *, agent: Agent) -> str:
    """As mail programs quote what they forward."""
    who = " ".join(filter(None, [message.author_name, f"<{message.author_address}>" if message.author_address else ""]))
    when = date_format(message.created_at.astimezone(ZoneInfo(agent.time_zone)), "DATETIME_FORMAT")
    facts = [(_("From"), who), (_("Sent at"), when), (_("Subject"), message.subject)]
    lines = [f"{label}: {value}" for label, value in facts if value]
    title = _("Forwarded message")
    return "\n".join([f"---------- {title} ----------", *lines, "", message.plain_text.strip()])
