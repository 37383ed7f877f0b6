"""A browser that has written or signed in: its session, its short token, its renewal secret (channels.md 15.2)."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.core import signing
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.crypto import salted_hmac

from channels_in.models import VisitorSession
from channels_in.webchat import limits
from channels_in.webchat.identity import Signed, keys_of
from channels_in.webchat.options import options_of
from channels_in.webchat.refusals import Refused
from tickets import identities, live
from tickets.contract import Sender
from tickets.models import Channel, Customer, Identity, Message, Ticket
from tickets.models.event import CUSTOMER, SYSTEM

GRACE = timedelta(seconds=60)  # how long a replaced renewal secret stays good: two tabs, a lost answer
ABSENCE = timedelta(minutes=2)  # longer away than this, and the visitor "is back"
SEEN_EVERY = timedelta(seconds=60)  # one write a minute at most
_SALT = "channels_in.webchat.token"
_TRIES = 3


@dataclass(frozen=True)
class Visitor:
    """Somebody at a panel: what they may see starts here, and nowhere else.

    An anonymous one sees what was said on this session's own route, even when the ticket holds more (it may have
    been joined with a mail of somebody whose address was only typed here). A signed one sees the public messages
    of their own tickets of this brand.
    """

    session: VisitorSession
    channel: Channel

    @property
    def signed(self) -> bool:
        return bool(self.session.subject)

    @property
    def identity_value(self) -> str:
        return self.session.subject or str(self.session.uuid)

    @cached_property
    def identity(self) -> Identity | None:
        found = Identity.objects.filter(
            kind="webchat", scope=self.channel.brand.key, value=self.identity_value, verified=self.signed
        )
        return found.select_related("customer").order_by("id").first()

    def messages(self) -> QuerySet[Message]:
        if self.identity is None:
            return Message.objects.none()
        public = Message.objects.filter(kind=Message.Kind.PUBLIC, moved_to__isnull=True)
        if self.signed:
            return public.filter(ticket__customer=self.identity.customer_id, ticket__brand=self.channel.brand_id)
        return public.filter(route__identity=self.identity)

    def tickets(self) -> QuerySet[Ticket]:
        if self.identity is None:
            return Ticket.objects.none()
        if self.signed:
            return Ticket.objects.filter(customer=self.identity.customer_id, brand=self.channel.brand_id)
        return Ticket.objects.filter(routes__identity=self.identity).distinct()

    def key_of(self, ticket_id: int) -> str:
        """The ticket's name in this browser: it counts nothing and means nothing elsewhere."""
        return salted_hmac(
            "channels_in.webchat.ticket", f"{self.identity_value}:{ticket_id}", algorithm="sha256"
        ).hexdigest()[:20]

    def ticket_named(self, key: str) -> int:
        """The id behind `key_of`, among their own tickets. Raises Refused(malformed) for any other."""
        for pk in self.tickets().order_by("-id").values_list("id", flat=True)[:200]:
            if secrets.compare_digest(self.key_of(pk).encode(), key.encode()):
                return pk
        raise Refused("malformed")


@dataclass(frozen=True)
class Begun:
    """What the browser keeps: the token for 15 minutes, the renewal secret until it is used."""

    session: VisitorSession
    token: str
    renewal: str


def begin(channel: Channel, *, remote_ip: str | None, language: str, now: datetime) -> Begun:
    """A new anonymous session."""
    renewal = secrets.token_urlsafe(32)  # 256 bits
    session = VisitorSession.objects.create(
        channel=channel,
        uuid=uuid.uuid4(),
        renewal_sha256=_hash(renewal),
        renewed_at=now,
        seen_at=now,
        created_at=now,
        language=language[:5],
        remote_ip=remote_ip,
    )
    return Begun(session, token_for(session, channel), renewal)


def identify(session: VisitorSession, signed: Signed, *, channel: Channel, now: datetime) -> None:
    """The session belongs to a user of the site until the signature ends.

    Raises ValueError when it belongs to another one already: that browser begins a new session. What was written
    before signing in joins the customer by a journal entry that can be undone.
    """
    if session.subject not in ("", signed.subject):
        raise ValueError("another user's session")
    for tries_left in reversed(range(_TRIES)):
        try:
            with transaction.atomic():
                _identify(session, signed, channel=channel, now=now)
            return
        except identities.LostRace:
            if not tries_left:
                raise


def _identify(session: VisitorSession, signed: Signed, *, channel: Channel, now: datetime) -> None:
    before = Identity.objects.filter(kind="webchat", scope=channel.brand.key, value=str(session.uuid)).first()
    sender = Sender(identifiers=signed.identifiers(channel.brand.key), name=signed.name, locale=signed.locale)
    customer = identities.resolve(sender, channel, now=now).customer
    if before is not None and before.customer_id != customer.pk:
        identities.join(
            customer,
            Customer.objects.get(pk=before.customer_id),
            by=SYSTEM,
            reason="signed_widget",
            evidence={"session": str(session.uuid), "subject": signed.subject},
            now=now,
        )
    session.subject, session.signed_until, session.identity_key_id = signed.subject, signed.until, signed.kid
    session.name, session.customer = signed.name or session.name, customer
    session.save(update_fields=["subject", "signed_until", "identity_key_id", "name", "customer"])


def token_for(session: VisitorSession, channel: Channel) -> str:
    """Bound to session, channel and brand; its age is checked when it is used."""
    return signing.dumps([session.uuid.hex, channel.pk, channel.brand_id], salt=_SALT)


def visitor_of(token: str, *, channel: Channel, now: datetime) -> Visitor:
    """Raises Refused: `token_expired` when a renewal helps, `session_ended` when only a new session does."""
    try:
        found = signing.loads(token, salt=_SALT, max_age=options_of(channel).token_seconds)
    except signing.BadSignature as error:
        raise Refused("token_expired") from error
    if found[1:] != [channel.pk, channel.brand_id]:
        raise Refused("session_ended")
    session = VisitorSession.objects.filter(uuid=found[0], channel=channel).first()
    if session is None or not is_alive(session, now=now):
        raise Refused("session_ended")
    return Visitor(session, channel)


def session_of(token: str, *, channel: Channel) -> VisitorSession | None:
    """The session of a token that may have run out, to sign in again or to sign out. None when it proves nothing."""
    try:
        found = signing.loads(token, salt=_SALT, max_age=timedelta(days=1))
    except signing.BadSignature:
        return None
    return VisitorSession.objects.filter(uuid=found[0], channel=channel, ended_at__isnull=True).first()


def is_alive(session: VisitorSession, *, now: datetime) -> bool:
    """Not ended, and the signed state, if there is one, still stands."""
    return session.ended_at is None and (not session.subject or (session.signed_until or now) > now)


@transaction.atomic
def renew(renewal: str, *, channel: Channel, now: datetime) -> Begun:
    """A fresh token for the secret, which is replaced. Raises Refused(session_ended)."""
    digest = _hash(renewal)
    session = (
        VisitorSession.objects.select_for_update()
        .filter(Q(renewal_sha256=digest) | Q(former_renewal_sha256=digest, renewed_at__gt=now - GRACE), channel=channel)
        .first()
    )
    unused_since = now - timedelta(days=options_of(channel).renewal_days)
    if session is None or not is_alive(session, now=now) or session.renewed_at < unused_since:
        raise Refused("session_ended")
    if session.subject and session.identity_key_id not in keys_of(channel.brand_id):
        raise Refused("session_ended")
    fresh = secrets.token_urlsafe(32)
    session.former_renewal_sha256, session.renewal_sha256 = session.renewal_sha256, _hash(fresh)
    session.renewed_at = now
    session.save(update_fields=["former_renewal_sha256", "renewal_sha256", "renewed_at"])
    return Begun(session, token_for(session, channel), fresh)


def end(session: VisitorSession, *, now: datetime) -> None:
    """Sign-out on a shared computer. Its sockets close at once; where that wake-up is lost, at the next heartbeat."""
    if VisitorSession.objects.filter(pk=session.pk, ended_at__isnull=True).update(ended_at=now):
        live.whisper("visitor_session", {"session": session.uuid.hex})


def seen(visitor: Visitor, *, now: datetime) -> None:
    """The visitor is here. After an absence this is an event for whoever waits for them, once for all their tabs."""
    session = visitor.session
    if session.seen_at > now - SEEN_EVERY:
        return
    moved = VisitorSession.objects.filter(pk=session.pk, seen_at=session.seen_at).update(seen_at=now)
    if moved and session.seen_at < now - ABSENCE:
        with transaction.atomic():
            waiting = visitor.tickets().unsolved().survivors().order_by("-id").first()  # type: ignore[attr-defined]
            if waiting is not None:
                live.announce(waiting.record("customer_back", by=CUSTOMER, now=now))
    session.seen_at = now


def typing(visitor: Visitor, *, conversation: str, on: bool, now: datetime) -> None:
    """The visitor is typing: to the agents' open screens, or nowhere. Raises Refused."""
    limits.spend("signals", visitor.session.uuid.hex, channel=visitor.channel, now=now)
    live.whisper("customer_typing", {"ticket": visitor.ticket_named(conversation), "on": on})


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
