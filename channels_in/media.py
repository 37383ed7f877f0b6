"""Files that a provider only referred to, fetched by a job of their own: their addresses expire."""

from __future__ import annotations

import logging
from time import monotonic

from django.db import DatabaseError, transaction
from django.utils import timezone

from tickets import files, live, queue
from tickets.channels import adapter_for
from tickets.contract import DeliveryError
from tickets.crash import crash_here
from tickets.models import Attachment, Channel
from tickets.queue import MEDIA, Claim, claimed
from tickets.wake import wake

log = logging.getLogger(__name__)

MOST_TRIES = 8
MOST_CRASHES = 3
FIRST_WAIT = 5  # seconds, doubled with each try


def drain(*, seconds: float = 60) -> int:
    """Fetch what is due until nothing is, or `seconds` have passed. Returns how many were claimed."""
    queue.reopen_abandoned(MEDIA)
    until, n = monotonic() + seconds, 0
    while fetch_one():
        n += 1
        if monotonic() >= until:
            wake("channels_in.tasks.fetch_media")
            break
    return n


def fetch_one() -> bool:
    """Claim one reference and fetch it. False when nothing is due. The network is used outside any transaction."""
    with claimed(MEDIA) as claim:
        if claim is None:
            return False
        attachment = Attachment.objects.select_related("message__channel__brand").get(pk=claim.id)
        crash_here("media.claimed")
        channel = attachment.message.channel if attachment.message else None
        if channel is None:
            _end(claim, state=Attachment.State.FAILED, last_error="its message has no channel")
        elif claim.taken_over and claim.attempts > MOST_CRASHES:
            _end(claim, state=Attachment.State.FAILED, last_error="fetching it crashed")
        else:
            _fetch(attachment, channel, claim)
        return True


def _fetch(attachment: Attachment, channel: Channel, claim: Claim) -> None:
    try:
        fetched = adapter_for(channel.kind).fetch_media(channel.facts(), attachment.reference)
        crash_here("media.fetched")
        stored = files.store(fetched.content)
    except files.NoRoom:
        queue.give_back(MEDIA, claim, after=60)
        return
    except DeliveryError as fault:
        _put_off(claim, fault.detail, permanent=fault.permanent and not fault.disconnected, after=fault.retry_after)
        return
    except DatabaseError:
        raise
    except Exception as fault:
        log.exception("attachment %s could not be fetched", attachment.pk)
        _put_off(claim, type(fault).__name__, permanent=False, after=None)
        return
    crash_here("media.stored")
    _end(
        claim,
        state=Attachment.State.STORED,
        sha256=stored.sha256,
        size=stored.size,
        content_type=stored.content_type,
        name=attachment.name or files.clean_name(fetched.name)[:255],
        last_error="",
    )


def _put_off(claim: Claim, reason: str, *, permanent: bool, after: float | None) -> None:
    if permanent or claim.attempts >= MOST_TRIES:
        _end(claim, state=Attachment.State.FAILED, last_error=reason[:300])
    else:
        wait = max(after or 0, FIRST_WAIT * 2.0 ** (claim.attempts - 1))
        queue.give_back(MEDIA, claim, after=min(wait, 3600), attempt=True, error=reason)


def _end(claim: Claim, **values: object) -> None:
    """Write what became of it, if the claim is still ours, and let the screens know."""
    now = timezone.now()
    with transaction.atomic():
        held = Attachment.objects.filter(pk=claim.id, lease_owner=claim.owner)
        if not held.update(**values, lease_owner=None, lease_until=None):
            return
        attachment = Attachment.objects.select_related("message__ticket").get(pk=claim.id)
        crash_here("media.written")
        if attachment.message:
            event = attachment.message.ticket.record(
                "message_changed", now=now, message_id=attachment.message_id, change="file", attachment=attachment.pk
            )
            live.announce(event)
