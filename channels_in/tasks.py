"""Tasks of the channels. Each drains what is due in a table; beat and commits only wake them."""

from celery import shared_task

from channels_in import process as processing


@shared_task(queue="inbound")
def process() -> None:
    processing.drain()
