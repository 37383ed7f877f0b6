"""Outgoing webhooks in the Standard Webhooks form: work that follows a commit, claimed by state (reliability.md 9).

At least once, in no promised order: `webhook-id` is the same on every try, and `seq` in the body grows within a ticket.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
import random
import secrets
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from agents.models import AuditEntry
from tickets import queue
from tickets.crash import crash_here
from tickets.http import FetchError, Refused, Response, safe_fetch
from tickets.models import Event, Message, Outbox, Webhook
from tickets.wake import wake

log = logging.getLogger(__name__)

# Seconds to the next try, after the first, second ... failure: about three days together.
SCHEDULE = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
TIMEOUT = 10  # seconds
PATIENCE = timedelta(days=5)  # a receiver that fails for so long is switched off


def drain(*, seconds: float = 60) -> int:
    """Call the receivers whose rows are due, for `seconds`. Returns how many were claimed. Not inside a transaction."""
    until, done = monotonic() + seconds, 0
    queue.reopen_abandoned(queue.OUTBOX)
    while monotonic() < until:
        with queue.claimed(queue.OUTBOX, kind="webhook") as claim:
            if claim is None:
                break
            crash_here("outbox.claimed")
            _call(claim)
        done += 1
    return done


def body_of(event: Event) -> dict[str, Any]:
    """What a receiver gets: ids and small facts, never texts of people; the rest is fetched through the API."""
    message = Message.objects.filter(pk=event.message_id).first() if event.message_id else None
    ticket = event.ticket
    return {
        "type": event.kind,
        "timestamp": event.at.isoformat(),
        "data": {
            "event": event.pk,
            "seq": event.pk,
            "ticket": {"id": ticket.pk, "number": ticket.number, "status": ticket.status} if ticket else None,
            "customer": event.customer_id,
            "message": {"id": message.pk, "seq": message.seq, "kind": message.kind} if message else None,
            "actor": {"type": event.actor_type, "id": event.actor_id},
            "particulars": event.particulars,
            "url": f"{settings.SITE_URL}/api/v1/tickets/{ticket.pk}/" if ticket else None,
        },
    }


def signed_headers(webhook: Webhook, *, message_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """`v1` signatures by the current secret and, while it is being rotated, the former one.

    HMAC-SHA256 over `id.timestamp.body`, the key being what follows `whsec_` in base64 (standardwebhooks.com).
    """
    timestamp = str(int(now.timestamp()))
    signed = b".".join([message_id.encode(), timestamp.encode(), body])
    ring: Any = webhook.secrets  # the field decrypts to a dictionary
    signatures = [
        "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()
        for secret in (ring.get("current"), ring.get("former"))
        if secret
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
        "Content-Type": "application/json",
    }


def redeliver(row: Outbox, *, now: datetime) -> bool:
    """Once more, at once, with the same id. False when it is under way already."""
    ended = Outbox.objects.filter(pk=row.pk, state__in=[Outbox.State.SENT, Outbox.State.QUARANTINED])
    again = ended.update(state=Outbox.State.QUEUED, attempts=0, next_attempt_at=now, finished_at=None, last_error="")
    if again:
        wake("tickets.tasks.deliver_outbox")
    return bool(again)


def new_secret() -> str:
    """A key of 32 random bytes in the form of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def renew_secret(webhook_id: int) -> tuple[Webhook, str]:
    """A new secret, which only this answer tells. The one it had signs beside it, until the next."""
    fresh = new_secret()
    with transaction.atomic():
        webhook = Webhook.objects.select_for_update().get(pk=webhook_id)
        had: Any = webhook.secrets  # the field decrypts to a dictionary
        webhook.secrets = {"current": fresh, "former": had.get("current", "")}
        webhook.save(update_fields=["secrets"])
    return webhook, fresh


def send_test(webhook: Webhook, *, now: datetime) -> Response:
    """One signed request of the type `test`, once, whether the receiver is switched on or not.

    Raises Refused or FetchError. Not inside a transaction.
    """
    content = {"type": "test", "timestamp": now.isoformat(), "data": {}}
    body = json.dumps(content, separators=(",", ":")).encode()
    headers = signed_headers(webhook, message_id=f"msg_test_{secrets.token_hex(8)}", body=body, now=now)
    answer = safe_fetch("POST", webhook.url, headers=headers, data=body, timeout=TIMEOUT, max_bytes=64 * 1024)
    if answer.ok:
        _answered(webhook, now=now)
    return answer


# Each half as an index has it: what was delivered is most of the outbox, and is not walked through.
_UNFINISHED = Q(state__in=[Outbox.State.QUEUED, Outbox.State.SENDING]) | Q(state=Outbox.State.QUARANTINED)


def unfinished(webhook: Webhook) -> QuerySet[Outbox]:
    """What waits for a receiver or was given up."""
    return Outbox.objects.filter(_UNFINISHED, shard_key=f"webhook:{webhook.pk}")


def forget(webhook: Webhook) -> None:
    """The receiver, with what waits for it. A call under way ends and leaves nothing."""
    with transaction.atomic():
        unfinished(webhook).delete()
        webhook.delete()


def backlog() -> dict[int, dict[str, int]]:
    """How many calls are `waiting` and how many `failed`, by receiver; one with neither is not in it."""
    rows = Outbox.objects.filter(_UNFINISHED, shard_key__startswith="webhook:")
    failed = Count("pk", filter=Q(state=Outbox.State.QUARANTINED))
    counted = rows.values("shard_key").annotate(all=Count("pk"), failed=failed).order_by()
    return {
        int(row["shard_key"].removeprefix("webhook:")): {
            "waiting": row["all"] - row["failed"],
            "failed": row["failed"],
        }
        for row in counted
    }


def _call(claim: queue.Claim) -> None:
    row = Outbox.objects.get(pk=claim.id)
    webhook = Webhook.objects.filter(pk=row.payload["webhook"]).first()
    event = Event.objects.select_related("ticket").filter(pk=row.payload["event"]).first()
    now = timezone.now()
    if webhook is None or event is None or not webhook.active:
        _end(claim, Outbox.State.QUARANTINED, error="the receiver is switched off or gone", now=now)
        return
    body = json.dumps(body_of(event), separators=(",", ":"), ensure_ascii=False).encode()
    headers = signed_headers(webhook, message_id=f"msg_{row.pk}", body=body, now=now)
    pause: float | None = None
    try:
        answer = safe_fetch("POST", webhook.url, headers=headers, data=body, timeout=TIMEOUT, max_bytes=64 * 1024)
        crash_here("outbox.answered")
        if answer.ok:
            with transaction.atomic():
                if _end(claim, Outbox.State.SENT, error="", now=now):
                    _answered(webhook, now=now)
            return
        error = f"HTTP {answer.status}"
        if answer.status == 410:
            with transaction.atomic():
                _end(claim, Outbox.State.QUARANTINED, error="HTTP 410: the receiver is gone", now=now)
                _switch_off(webhook, reason="410")
            return
        pause = _retry_after(answer.headers.get("retry-after"))
    except Refused as refusal:
        error = f"refused: {refusal}"
    except FetchError as failure:
        error = str(failure)
    _failed(claim, webhook, error=error, pause=pause, now=timezone.now())


def _answered(webhook: Webhook, *, now: datetime) -> None:
    """Once a minute is enough, so that calls of one receiver do not wait for its row."""
    stale = Q(failing_since__isnull=False) | Q(answered_at__isnull=True) | Q(answered_at__lt=now - timedelta(minutes=1))
    Webhook.objects.filter(stale, pk=webhook.pk).update(failing_since=None, answered_at=now)


def _failed(claim: queue.Claim, webhook: Webhook, *, error: str, pause: float | None, now: datetime) -> None:
    """Later, and with it everything that waits for the same receiver: a dead one delays only itself."""
    with transaction.atomic():
        Webhook.objects.filter(pk=webhook.pk, failing_since__isnull=True).update(failing_since=now)
        webhook.refresh_from_db()
        if webhook.failing_since and webhook.failing_since <= now - PATIENCE:
            _end(claim, Outbox.State.QUARANTINED, error=error, now=now)
            _switch_off(webhook, reason="failing")
            return
        if claim.attempts > len(SCHEDULE):
            _end(claim, Outbox.State.QUARANTINED, error=error, now=now)
            return
        wait = max(SCHEDULE[claim.attempts - 1] * random.uniform(1, 1.1), pause or 0)
        row = Outbox.objects.filter(pk=claim.id, lease_owner=claim.owner)
        again = now + timedelta(seconds=wait)
        if row.update(
            state=Outbox.State.QUEUED, lease_owner=None, lease_until=None, next_attempt_at=again, last_error=error[:300]
        ):
            Outbox.objects.filter(
                shard_key=f"webhook:{webhook.pk}", state=Outbox.State.QUEUED, next_attempt_at__lt=again
            ).update(next_attempt_at=again)


def _end(claim: queue.Claim, state: str, *, error: str, now: datetime) -> bool:
    return bool(
        Outbox.objects.filter(pk=claim.id, lease_owner=claim.owner, state=Outbox.State.SENDING).update(
            state=state, lease_owner=None, lease_until=None, last_error=error[:300], finished_at=now
        )
    )


def _switch_off(webhook: Webhook, *, reason: str) -> None:
    if Webhook.objects.filter(pk=webhook.pk, active=True).update(active=False):
        AuditEntry.write("webhook_switched_off", actor=None, target=webhook, facts={"reason": reason})
        log.warning("webhook %s was switched off: %s", webhook.pk, reason)


def _retry_after(value: str | None) -> float | None:
    """Seconds that the receiver asks for, a day at most; a date is not honoured."""
    return min(float(value), 86_400) if value and value.isdecimal() else None


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()
