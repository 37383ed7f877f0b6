"""Tasks of the channels. Each drains what is due in a table; beat and commits only wake them."""

from celery import shared_task
from django.utils import timezone

from channels_in import process as processing
from channels_in.simulator import provider


@shared_task(queue="inbound")
def process() -> None:
    processing.drain()


@shared_task
def fake_receipts() -> None:
    """The webhooks that the simulated providers owe us (demo only)."""
    provider.drain(now=timezone.now())
