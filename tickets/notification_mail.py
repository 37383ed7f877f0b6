"""Notifications by mail: what happened on one ticket, in one mail to one agent, which can be answered.

Work of the outbox: claimed by state, at least once. The second try of a mail has the Message-ID of the first. The
words of customers go as plain text only. How an answer comes back: `mail_answers.py`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from time import monotonic
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models.functions import Now
from django.utils import translation
from django.utils.translation import gettext as _

from agents.models import Agent
from tickets import queue, reply_tokens
from tickets.channels import UnknownKind, capabilities_of
from tickets.crash import crash_here
from tickets.models import Channel, Message, Notification, NotificationMail, Outbox, Ticket
from tickets.notifications import Shown, choose, find_owed, shown, ways_of, words_of, zone_of
from tickets.notifying import MAIL

log = logging.getLogger(__name__)

PAUSES = (60, 300, 1800, 7200, 21_600)  # seconds until the next try
LONGEST = 10_000  # characters of one message
MOST = 20  # messages in one mail
_SALT = "tickets.notification_mail.unsubscribe"


def drain(*, seconds: float = 60) -> int:
    """Send the mails that are due, for `seconds`. Returns how many were claimed. Not inside a transaction."""
    until, done = monotonic() + seconds, 0
    while monotonic() < until:
        with queue.claimed(queue.OUTBOX, kind=MAIL) as claim:
            if claim is None:
                break
            _work(claim)
        done += 1
    return done


def unsubscription(agent: Agent, name: str) -> str:
    """The address that switches off mails of one type for one agent, without signing in."""
    return f"{settings.SITE_URL}/notifications/unsubscribe/{signing.dumps([agent.pk, name], salt=_SALT)}/"


def unsubscribed(token: str) -> tuple[Agent, str] | None:
    """Whom and which type an address of `unsubscription` means; None for one that we did not make."""
    try:
        pk, name = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return None
    agent = Agent.objects.filter(pk=pk).first()
    return (agent, name) if agent else None


def unsubscribe(agent: Agent, name: str) -> None:
    ways = ways_of(agent).get(name)
    if ways is not None and ways.mail:
        choose(agent, name, ways._replace(mail=False))


def _work(claim: queue.Claim) -> None:
    row = Outbox.objects.get(pk=claim.id)
    owed = list(
        Notification.objects.filter(
            agent=row.payload["agent"], ticket=row.payload["ticket"], mail_owed=True
        ).values_list("pk", flat=True)
    )
    agent = Agent.objects.get(pk=row.payload["agent"])
    crash_here("notification_mail.claimed")
    try:
        with translation.override(agent.language):
            mail = _written(agent, row)
            if mail is not None:
                mail.send()
    except OSError as error:  # what smtplib raises is one, too
        _failed(claim, error=f"{type(error).__name__}: {error}")
        return
    crash_here("notification_mail.sent")
    with transaction.atomic():
        if Outbox.objects.filter(pk=claim.id, lease_owner=claim.owner, state=Outbox.State.SENDING).delete()[0]:
            Notification.objects.filter(pk__in=owed).update(mail_owed=False)


def _failed(claim: queue.Claim, *, error: str) -> None:
    if claim.attempts > len(PAUSES):
        log.warning("notification mail %s is given up: %s", claim.id, error)
        Outbox.objects.filter(pk=claim.id, lease_owner=claim.owner).update(
            state=Outbox.State.QUARANTINED,
            lease_owner=None,
            lease_until=None,
            last_error=error[:300],
            finished_at=Now(),
        )
        return
    pause = PAUSES[claim.attempts - 1] * random.uniform(1, 1.2)
    queue.give_back(queue.OUTBOX, claim, after=pause, attempt=True, error=error)


# -- What it says -----------------------------------------------------------------------------------------------------


def _written(agent: Agent, row: Outbox) -> EmailMessage | None:
    """None when there is nothing to say any more: read, no longer to be seen, or not wanted by mail."""
    found = find_owed(agent, ticket_id=row.payload["ticket"])
    if not found or not agent.is_active:
        return None
    items = shown(found[-MOST:])
    ticket = items[-1].ticket
    messages = _messages(items, ticket)
    answer = _answerable(agent, ticket, items, messages, outbox_id=row.pk) if ticket else None
    mailbox = _mailbox(ticket) if ticket else None
    last = items[-1]
    mail = EmailMessage(
        subject=_one_line(f"{last.title} · {last.subject}" if last.subject else last.title),
        body=_body(agent, items, messages, answer if mailbox else None),
        from_email=_sender(last, ticket),
        to=[agent.email],
        headers={
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "List-Unsubscribe": f"<{unsubscription(agent, last.row.type)}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )
    domain = (mailbox.address.rpartition("@")[2] if mailbox else "") or str(urlsplit(settings.SITE_URL).hostname)
    if answer is not None and ticket is not None:
        mail.extra_headers["Message-ID"] = reply_tokens.message_id_for(answer.token, f"n{row.pk}", domain)
        mail.extra_headers["References"] = f"<ticket.{ticket.pk}.{agent.pk}@{domain}>"
        if mailbox is not None:
            mail.reply_to = [_reply_address(mailbox, answer.token)]
    else:
        mail.extra_headers["Message-ID"] = f"<n{row.pk}.{agent.pk}@{domain}>"
    return mail


def _messages(items: Sequence[Shown], ticket: Ticket | None) -> list[Message]:
    """What was said, oldest first; where nothing was, the customer's latest words, so that one knows what it is about."""
    said = {item.message.pk: item.message for item in items if item.message}
    if ticket and not said:
        latest = Message.objects.filter(ticket__in=ticket.family_ids(), kind=Message.Kind.PUBLIC, direction="in")
        said = {message.pk: message for message in latest.order_by("-id")[:1]}
    return [said[pk] for pk in sorted(said)]


def _answerable(
    agent: Agent, ticket: Ticket, items: Sequence[Shown], messages: Sequence[Message], *, outbox_id: int
) -> NotificationMail:
    """A customer's words are answered to the customer; a colleague's, or none, by a note."""
    public = bool(messages) and all(message.kind == Message.Kind.PUBLIC for message in messages)
    to_customer = public and agent.may_reply and all(item.row.type != "mentioned" for item in items)
    kind = NotificationMail.Kind.REPLY if to_customer else NotificationMail.Kind.NOTE
    seen = messages[-1].pk if messages else None
    answer, _made = NotificationMail.objects.get_or_create(
        outbox_id=outbox_id,
        defaults={
            "agent": agent,
            "ticket": ticket,
            "kind": kind,
            "seen_message_id": seen,
            "token": reply_tokens.notification_token(agent.pk, ticket.pk, kind, seen, outbox_id),
        },
    )
    return answer


def _mailbox(ticket: Ticket) -> Channel | None:
    """A mail channel of the ticket's brand to which answers can go."""
    for channel in Channel.objects.filter(brand=ticket.brand_id, active=True).order_by("id"):
        try:
            if capabilities_of(channel.kind).subject and "@" in channel.address:
                return channel
        except UnknownKind:
            continue
    return None


def _reply_address(mailbox: Channel, token: str) -> str:
    """With the token where the mailbox takes plus addresses; else In-Reply-To brings it back."""
    if not mailbox.settings.get("plus_addressing"):
        return mailbox.address
    local, _at, domain = mailbox.address.partition("@")
    return f"{local.partition('+')[0]}+{token}@{domain}"


def _sender(last: Shown, ticket: Ticket | None) -> str:
    who = last.row.actor.name if last.row.actor else ticket.customer.name if ticket else ""
    name = " · ".join(filter(None, (_one_line(who), "Helpdesk"))).replace('"', "'")
    return f'"{name}" <{urlsplit("mailto:" + settings.DEFAULT_FROM_EMAIL).path.rpartition("<")[2].rstrip(">")}>'


def _body(agent: Agent, items: Sequence[Shown], messages: Sequence[Message], answer: NotificationMail | None) -> str:
    lines, zone = [], zone_of(agent.time_zone)
    if answer is not None:
        if answer.kind == NotificationMail.Kind.REPLY:
            lines += [_("Answer this mail to answer the customer."), ""]
        else:
            lines += [_("Answer this mail to write an internal note."), ""]
    lines += [" · ".join(filter(None, (item.title, item.reason))) for item in items] + [""]
    for message in messages:
        author = message.author_name or _("The customer")
        when = message.created_at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
        lines += [f"— {author}, {when}", "", words_of(message)[:LONGEST], ""]
    last = items[-1]
    lines += [f"{last.subject}".strip(), f"{settings.SITE_URL}{last.url}", "", "--"]
    lines += [_("Which mails you get: %(url)s") % {"url": f"{settings.SITE_URL}/settings/notifications/"}]
    lines += [_("No more mails of this kind: %(url)s") % {"url": unsubscription(agent, last.row.type)}]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
