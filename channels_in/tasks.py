"""Tasks of the channels. Each drains what is due in a table; beat and commits only wake them."""

import logging

from celery import shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from channels_in import ledger as books
from channels_in import media, templates
from channels_in import process as processing
from channels_in.email import idle, imap
from channels_in.simulator import provider

log = logging.getLogger(__name__)

# Seconds until a drain gives its slot to whatever else waits and queues up again. A worker may have two slots only: in
# a burst inbound work fills both, and clocks, routing and the sign of life would wait as long as a drain lasts.
TURN = 2


@shared_task
def process() -> None:
    processing.drain(seconds=TURN)


@shared_task
def fetch_media() -> None:
    """Fetch the files that providers only referred to."""
    media.drain(seconds=TURN)


@shared_task
def fetch_templates() -> None:
    """Ask the providers which messages they have approved."""
    templates.refresh_all()


@shared_task
def ledger() -> None:
    """Check the ledger of what was accepted, and roll finished days up."""
    books.check()
    books.roll_up(now=timezone.now())


@shared_task
def unclaimed_files() -> None:
    """Drop uploads that nobody sent, and stored bytes that no row names."""
    books.drop_unclaimed_uploads(now=timezone.now())
    books.drop_orphan_files(now=timezone.now())


@shared_task
def fake_receipts() -> None:
    """The webhooks that the simulated providers owe us (demo only)."""
    provider.drain(now=timezone.now())


@shared_task
def fetch_mailbox(channel_id: int) -> None:
    """Read one mailbox."""
    imap.fetch_one(channel_id, now=timezone.now())


@shared_task
def poll_mailboxes() -> None:
    """Have every mailbox read, each by a task of its own: one that hangs delays no other."""
    for channel in idle.mailboxes():
        wake_mailbox(channel.pk)


def wake_mailbox(channel_id: int) -> None:
    """Ask a worker to read this mailbox. A broker that is away costs nothing but the time to the next poll."""
    try:
        fetch_mailbox.apply_async((channel_id,), retry=False, expires=60)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("wake-up of mailbox %s skipped: %s", channel_id, type(error).__name__)
