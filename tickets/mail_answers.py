"""An agent answers a notification by mail: it becomes a reply or a note in their name, or nothing of the kind.

The mail must carry the token of a mail that we sent to that agent, come from the agent's own address, and that address
must be proven as a customer's would have to be (design.md 7). They must be allowed to say it on the screen, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

from django.db import transaction
from django.utils.translation import gettext as _

from agents.models import Agent
from tickets import files, live, replies, reply_tokens
from tickets.access import tickets_for
from tickets.contract import InboundFile, InboundMessage
from tickets.models import Attachment, Channel, Message, NotificationMail, Ticket
from tickets.models.ticket import lock_survivor

Verdict = Literal["strangers", "automatic", "unproven", "no_right", "empty", "reply", "note"]


class Refused(Exception):
    """It is an answer of one of us that has no effect. `reason` is a short code for the ledger."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def take(channel: Channel, message: InboundMessage, *, raw_event_id: int, now: datetime) -> Message | None:
    """What an agent said by mail, written. None for everything else: it goes on as a customer's message.

    Inside the caller's transaction. The same mail twice is the same message. Raises Refused.
    """
    mail = _mail_of(message)
    if mail is None or judge(mail, message, sees=True) == "strangers":
        return None
    ticket = lock_survivor(mail.ticket_id)
    verdict = judge(mail, message, sees=tickets_for(mail.agent).filter(pk=ticket.pk).exists())
    if verdict in ("unproven", "no_right"):
        _say_refused(ticket, mail.agent, reason=verdict, now=now)
    if verdict not in ("reply", "note"):
        raise Refused(f"agent's answer: {verdict}")
    return _write(channel, ticket, mail, message, verdict, raw_event_id=raw_event_id, now=now)


def judge(mail: NotificationMail, message: InboundMessage, *, sees: bool) -> Verdict:
    """What an answer with the token of this mail may become. `sees`: its agent sees the ticket now. Pure."""
    sender = message.sender.identifiers[0] if message.sender.identifiers else None
    if sender is None or sender.kind != "email" or sender.value != mail.agent.email.lower():
        return "strangers"
    if message.is_auto_reply or message.is_echo:
        return "automatic"
    if not sender.verified:
        return "unproven"
    if not (sees and mail.agent.is_active):
        return "no_right"
    if not message.text.strip() and not _kept(message.files):
        return "empty"
    return "reply" if mail.kind == NotificationMail.Kind.REPLY and mail.agent.may_reply else "note"


def _mail_of(message: InboundMessage) -> NotificationMail | None:
    tokens = [*message.reply_tokens, *filter(None, map(reply_tokens.token_in, message.references))]
    for token in list(dict.fromkeys(tokens))[:5]:
        if mail := reply_tokens.find_notification(token):
            return mail
    return None


def _write(
    channel: Channel,
    ticket: Ticket,
    mail: NotificationMail,
    message: InboundMessage,
    verdict: Literal["reply", "note"],
    *,
    raw_event_id: int,
    now: datetime,
) -> Message:
    own_name = message.rfc_message_id or f"raw {raw_event_id}"
    client_uuid = uuid5(NAMESPACE_URL, f"mail-answer:{channel.pk}:{own_name}")
    if known := Message.objects.filter(client_uuid=client_uuid).first():
        return known
    agent, text = mail.agent, message.text.strip()
    attachments = _attachments(message.files, agent, now=now)
    refused = ""
    if verdict == "reply":
        try:
            with transaction.atomic():
                return replies.post(
                    ticket,
                    agent=agent,
                    text=text,
                    route=_route(ticket, now=now),
                    attachments=attachments,
                    client_uuid=client_uuid,
                    seen_message_id=mail.seen_message_id,
                    now=now,
                )
        except replies.Stale:
            refused = "stale"
        except replies.Unreachable:
            refused = "unreachable"
        text = "\n\n".join(filter(None, (_("Answer by mail, not sent to the customer:"), text)))
    said = replies.note(ticket, agent=agent, text=text, attachments=attachments, client_uuid=client_uuid, now=now)
    if refused:
        _say_refused(ticket, agent, reason=refused, now=now)
    return said


def _route(ticket: Ticket, *, now: datetime) -> replies.RouteChoice:
    """As the composer proposes it: the way that was used last. Raises Unreachable."""
    ways = replies.routes_for(ticket, now=now)
    if not ways:
        raise replies.Unreachable("no_route", "")
    return ways[0]


def _kept(given: Sequence[InboundFile]) -> list[InboundFile]:
    """Not the mail's own HTML, nor the pictures of a signature."""
    return [one for one in given if one.sha256 and one.kind != "original" and not one.inline]


def _attachments(given: Sequence[InboundFile], agent: Agent, *, now: datetime) -> list[Attachment]:
    return [
        Attachment.objects.create(
            uploaded_by=agent,
            kind=one.kind,
            name=files.clean_name(one.name)[:255],
            content_type=one.content_type[:120],
            size=one.size or 0,
            sha256=one.sha256,
            created_at=now,
        )
        for one in _kept(given)
    ]


def _say_refused(ticket: Ticket, agent: Agent, *, reason: str, now: datetime) -> None:
    live.announce(ticket.record("mail_answer_refused", now=now, agent=agent.pk, reason=reason))
