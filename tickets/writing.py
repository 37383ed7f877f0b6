"""A message of ours is written: what answers, notes and side conversations have in common, and what may keep one from going."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.template.defaultfilters import urlize
from django.utils.html import format_html
from django.utils.translation import gettext as _

from agents.models import Agent
from tickets import files, formatting, parts, reply_tokens, signatures
from tickets.channels import capabilities_of
from tickets.contract import Capabilities
from tickets.models import Attachment, Channel, DeliveryPart, Identity, Message, ReadMark, Route, Ticket
from tickets.models.message import DeliveryState
from tickets.recipients import Recipients, of_route
from tickets.wake import wake

LINK_LIFE = 30 * 86400  # seconds: of a file that goes as a link in the text


class Unreachable(Exception):
    """The customer cannot be answered this way now. `code` is fixed; the text says what happened and what to do."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def sentence_of(code: str) -> str:
    """What is the matter with a way to reach the customer, and what to do, for the agent."""
    return {
        "window_closed": _("The time for free answers is over on this channel. Choose another channel."),
        "template_only": _("The time for free answers is over. Send a template, or choose another channel."),
        "opted_out": _("The customer does not want messages on this address. Choose another channel."),
        "bad_address": _("Messages to this address came back. Check it, or choose another channel."),
        "disconnected": _("This channel is disconnected. An administrator has to reconnect it."),
        "off": _("This channel is switched off. Choose another channel."),
        "waiting": _("An answer of yours waits here to be sent later. Send or cancel it first."),
        "held_back": _("Your answer before this one was not sent: the thread has moved on. It is a draft again."),
        "closed": _("This ticket is closed. Start a follow-up ticket."),
        "untagged": _("This team wants a tag on a ticket before it is solved. Add one."),
        "unfilled": _("A field that a ticket needs before it is solved is empty. Fill it in."),
        "blocked": _("This customer is blocked. Unblock the customer to answer."),
    }.get(code, "")


def posted(client_uuid: UUID, *, agent: Agent, ticket: Ticket) -> Message | None:
    """What was written already under this `client_uuid`. Raises ValueError where it is somebody else's, or elsewhere."""
    if not Message.objects.filter(client_uuid=client_uuid).exists():  # nearly always, and said in a third of the time
        return None
    message = Message.objects.get(client_uuid=client_uuid)
    if message.agent_id != agent.pk or message.ticket_id not in ticket.family_ids():
        raise ValueError("this client_uuid belongs to another message")
    return message


def obstacle(
    channel: Channel, identity: Identity, window: datetime | None, capabilities: Capabilities, *, now: datetime
) -> str:
    """Why not, as a code. "template_only" and "bad_address" are warnings to an agent, not walls."""
    if not channel.active:
        return "off"
    if channel.disconnected_at:
        return "disconnected"
    if identity.opted_out_at:
        return "opted_out"
    if capabilities.window_hours is not None and (window is None or window <= now):
        return "template_only" if capabilities.templates else "window_closed"
    return "bad_address" if identity.failed_at else ""


def check(
    channel: Channel,
    identity: Identity,
    window: datetime | None,
    capabilities: Capabilities,
    *,
    template: Mapping[str, Any] | None,
    now: datetime,
) -> None:
    """Raises Unreachable when a part queued now could not go, ValueError for a template where there are none."""
    if template and not capabilities.templates:
        raise ValueError("this channel has no templates")
    why = obstacle(channel, identity, window, capabilities, now=now)
    if why not in ("", "bad_address") and not (why == "template_only" and template):
        raise Unreachable(why, sentence_of(why))


def write(
    ticket: Ticket,
    *,
    kind: str,
    route: Route | None = None,
    recipients: Recipients | None = None,
    alone: bool = False,
    now: datetime,
    **columns: Any,
) -> Message:
    """The next message of the ticket, to the customer `alone` or to all who take part. Must hold its row lock; the caller
    saves `last_seq` with what else it changes."""
    ticket.last_seq += 1
    if route is not None:
        capabilities = capabilities_of(route.channel.kind)
        whom = (capabilities.cc and recipients) or of_route(route)
        to, cc = list(whom.to), list(whom.cc) if capabilities.cc else []
        if recipients and capabilities.cc:
            # Who was added takes part from now on, and who was left out does no longer.
            route.cc = [one[:254] for one in (*to, *cc) if one.lower() != of_route(route).to[0].lower()]
            route.save(update_fields=["cc"])
        columns |= {
            "route": route,
            "channel": route.channel,
            "author_address": route.channel.address,
            "to": to,
            "cc": [] if alone else cc,
            "subject": columns.get("subject") or (_subject(ticket, route.channel) if capabilities.subject else ""),
            "state": DeliveryState.QUEUED,
            "state_at": now,
        }
    return Message.objects.create(
        ticket=ticket,
        seq=ticket.last_seq,
        direction=Message.Direction.OUT,
        kind=kind,
        language=ticket.language,
        created_at=now,
        **columns,
    )


def _subject(ticket: Ticket, channel: Channel) -> str:
    subject = ticket.subject or ticket.brand.name
    # "Re:" answers a mail of theirs; to a customer who wrote by chat so far, ours is the first.
    said = Message.objects.filter(ticket=ticket, channel=channel, direction=Message.Direction.IN)
    is_first = not said.public().exists()
    return (subject if is_first or subject.lower().startswith("re:") else f"Re: {subject}")[:300]


def attach(attachments: list[Attachment], message: Message, *, agent: Agent) -> None:
    """Raises ValueError for what is not there, or not this agent's."""
    if not attachments:
        return
    ids = [attachment.pk for attachment in attachments]
    taken = Attachment.objects.filter(pk__in=ids, message__isnull=True, uploaded_by=agent).update(message=message)
    if taken != len(set(ids)) or len(set(ids)) != len(ids):
        raise ValueError("an attachment is not there, or not the author's to send")


def queue_parts(
    message: Message,
    route: Route,
    attachments: list[Attachment],
    capabilities: Capabilities,
    *,
    template: Mapping[str, Any] | None = None,
    below: str = "",
) -> int:
    """Cut the answer by what the provider takes; `below` stands under everything. Every id is fixed here, before the first
    attempt. Returns how many parts it has."""
    taken = [item for item in attachments if parts.takes(item, capabilities)]
    linked = [item for item in attachments if not parts.takes(item, capabilities)]
    links = [f"{item.name}: {files.signed_url(item, seconds=LINK_LIFE)}" for item in linked]
    written = message.text.strip()
    said = formatting.as_signed(written, *capabilities.signs) if message.is_formatted else written
    text = "\n\n".join(filter(None, [said, "\n".join(links)]))
    if message.signature:
        text += signatures.DELIMITER + message.signature
    text = "\n\n".join(filter(None, [text, below]))
    html = ""
    if capabilities.html and message.is_formatted and formatting.has_marks(written):
        html = format_html("{}{}", formatting.as_html(written), urlize(text.removeprefix(said)))
    pieces = [parts.Piece(message.text, ())] if template else parts.cut(text, taken, capabilities)
    domain = (
        route.channel.brand.domain or route.channel.address.rpartition("@")[2] or urlsplit(settings.SITE_URL).hostname
    )
    DeliveryPart.objects.bulk_create(
        DeliveryPart(
            message=message,
            n=n,
            channel=route.channel,
            ticket=message.ticket,
            text=piece.text,
            html=html if piece.text == text.strip() else "",
            created_at=message.created_at,
            next_attempt_at=message.created_at,
            attachment_ids=[item.pk for item in piece.files],
            rfc_message_id=(
                reply_tokens.message_id_for(route.reply_token, secrets.token_hex(8), str(domain))
                if capabilities.subject
                else ""
            ),
        )
        for n, piece in enumerate(pieces)
    )
    return len(pieces)


def has_read(agent: Agent, ticket: Ticket, message: Message) -> None:
    """In one statement: this stands on the way of every answer."""
    ReadMark.objects.bulk_create(
        [ReadMark(agent=agent, ticket=ticket, message_id=message.pk, at=message.created_at)],
        update_conflicts=True,
        unique_fields=["agent", "ticket"],
        update_fields=["message_id"],  # not when: it may have left long after they looked
    )


def wake_delivery(channel: Channel) -> None:
    wake("tickets.tasks.deliver", queue=f"outbound.{channel.kind}", kind=channel.kind)
