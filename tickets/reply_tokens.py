"""Reply tokens: 128 bits of HMAC over (ticket, recipient, purpose), in our Message-IDs and reply addresses.

A token holds no number that can be guessed. It is looked up among those that we sent, and its HMAC is checked then
(channels.md 2.3). The newest key makes tokens; former keys (`SECRET_KEY_FALLBACKS`) still check them.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from django.conf import settings

from tickets.models import Channel, Identity, NotificationMail, Route, Ticket

REPLY = "reply"  # the purpose of a route's own token, with the channel: one number is reached by SMS and by WhatsApp
_TOKEN = re.compile(r"[0-9a-f]{32}")
_MESSAGE_ID = re.compile(r"<?[A-Za-z0-9]{1,64}\.([0-9A-Fa-f]{32})@[^@\s<>]{1,253}>?")


def token_for(ticket: Ticket, identity: Identity, purpose: str) -> str:
    """32 hex digits, the same each time while the key stays."""
    return _made(settings.SECRET_KEY, f"{ticket.pk}:{identity.pk}:{purpose}")


def route_token(ticket: Ticket, identity: Identity, channel: Channel) -> str:
    """The token of a route: another one for each channel that reaches the same address."""
    return token_for(ticket, identity, f"{REPLY}:{channel.pk}")


def find_route(token: str) -> Route | None:
    """The route whose token this is, with ticket, identity and channel; None for a token that we did not make."""
    token = token.strip().lower()
    if not _TOKEN.fullmatch(token):
        return None
    route = Route.objects.select_related("ticket", "identity", "channel__brand").filter(reply_token=token).first()
    if route is None:
        return None
    facts = f"{route.ticket_id}:{route.identity_id}:{REPLY}:{route.channel_id}"
    return route if _is_ours(token, facts) else None


def notification_token(agent_id: int, ticket_id: int, kind: str, seen: int | None, outbox_id: int) -> str:
    """The token of one mail to an agent: what its answer becomes, on which ticket, and who may give it."""
    return _made(settings.SECRET_KEY, _notification(agent_id, ticket_id, kind, seen, outbox_id))


def find_notification(token: str) -> NotificationMail | None:
    """The mail to an agent whose token this is; None for a token that we did not make."""
    token = token.strip().lower()
    if not _TOKEN.fullmatch(token):
        return None
    mail = NotificationMail.objects.select_related("agent", "ticket").filter(token=token).first()
    if mail is None:
        return None
    facts = _notification(mail.agent_id, mail.ticket_id, mail.kind, mail.seen_message_id, mail.outbox_id)
    return mail if _is_ours(token, facts) else None


def message_id_for(route_token: str, random: str, domain: str) -> str:
    """`<random.token@domain>`: unique by its random part (letters and digits), ours by its token."""
    return f"<{random}.{route_token}@{domain}>"


def token_in(message_id: str) -> str | None:
    """The token inside a Message-ID of our form, lower-cased; not yet checked."""
    match = _MESSAGE_ID.fullmatch(message_id.strip())
    return match[1].lower() if match else None


def _notification(agent_id: int, ticket_id: int, kind: str, seen: int | None, outbox_id: int) -> str:
    return f"{ticket_id}:{agent_id}:notification:{kind}:{seen or 0}:{outbox_id}"


def _is_ours(token: str, facts: str) -> bool:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    # No short cut: every key is compared, each in constant time.
    return bool(sum(hmac.compare_digest(_made(key, facts), token) for key in keys))


def _made(key: str, facts: str) -> str:
    derived = hashlib.sha256(b"reply-token:" + key.encode()).digest()
    return hmac.new(derived, facts.encode(), hashlib.sha256).hexdigest()[:32]
