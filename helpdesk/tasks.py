"""Tasks of the whole product; those of a noun stand in its app."""

from celery import shared_task

from helpdesk import heartbeat as life


@shared_task
def heartbeat() -> None:
    """The worker's sign of life, every 10 s."""
    life.beat()
