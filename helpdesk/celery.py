"""The Celery application: the queues, and the whole beat table on one screen.

Every task is "drain what is due in table X" and takes its work from rows. A beat entry expires after its interval, so
that an outage leaves no heap of wake-ups. Its own process may run twice without harm.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_prerun
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk.settings")

from django.conf import settings

app = Celery("helpdesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def queue_names() -> list[str]:
    """All queues; one worker of `manage.py up` listens to all. Outgoing messages have a queue for each channel kind.

    A worker takes from its queues in turn. What beat alone wakes, and must not be late, has a queue that no burst fills.
    """
    kinds = [f"outbound.{kind}" for kind in settings.CHANNEL_ADAPTERS]
    return ["timers", "inbound", *kinds, "webhooks", "default", "slow"]


def _every(seconds: float, task: str, **options: Any) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"expires": seconds, **options}}


# What is due is in rows; beat only wakes. Interval in seconds, task.
BEAT = {
    "heartbeat": _every(10, "helpdesk.tasks.heartbeat", queue="timers"),
    "process": _every(5, "channels_in.tasks.process", queue="inbound"),
    "mailboxes": _every(20, "channels_in.tasks.poll_mailboxes", queue="inbound"),
    "media": _every(5, "channels_in.tasks.fetch_media", queue="slow"),
    "templates": _every(600, "channels_in.tasks.fetch_templates", queue="slow"),
    "ledger": _every(3600, "channels_in.tasks.ledger"),
    "files": _every(3600, "channels_in.tasks.unclaimed_files", queue="slow"),
    "route": _every(5, "tickets.tasks.route", queue="timers"),
    "rules": _every(1, "tickets.tasks.run_rules", queue="timers"),
    "old_rule_runs": _every(3600, "tickets.tasks.forget_rule_runs", queue="slow"),
    "sla": _every(5, "tickets.tasks.sweep_sla", queue="timers"),
    "tickets": _every(60, "tickets.tasks.sweep_tickets", queue="timers"),
    "answers": _every(5, "tickets.tasks.answer"),
    "drafts": _every(5, "tickets.tasks.release_drafts", queue="timers"),
    "outbox": _every(5, "tickets.tasks.outbox"),
    "notify": _every(1, "tickets.tasks.notify", queue="timers"),
    "notification_mails": _every(10, "tickets.tasks.mail_notifications"),
    "pushes": _every(5, "tickets.tasks.push_notifications"),
    "notifications": _every(3600, "tickets.tasks.forget_notifications", queue="slow"),
    "bulk": _every(5, "tickets.tasks.work_off_bulk"),
    "old_bulk": _every(3600, "tickets.tasks.forget_bulk", queue="slow"),
    "trials": _every(10, "tickets.tasks.try_rules", queue="slow"),
    "staffing": _every(10, "tickets.tasks.try_staffing", queue="slow"),
    "surveys": _every(5, "analytics.tasks.ask"),
    "idempotency": _every(3600, "tickets.tasks.forget_answers", queue="slow"),
}
# Under DEMO only: the webhooks that the simulated providers owe us.
DEMO_BEAT = {"fake_receipts": _every(1, "channels_in.tasks.fake_receipts")}


def beat() -> dict[str, Any]:
    """The table with what depends on the settings, which are still being loaded when this module is imported."""
    deliver = {
        f"deliver.{kind}": _every(5, "tickets.tasks.deliver", queue=f"outbound.{kind}") | {"kwargs": {"kind": kind}}
        for kind in settings.CHANNEL_ADAPTERS
    }
    return {**BEAT, **deliver, **(DEMO_BEAT if settings.DEMO else {})}


@app.on_configure.connect
def _complete(sender: Celery, **kwargs: Any) -> None:
    sender.conf.beat_schedule = beat()
    sender.conf.task_queues = [Queue(name) for name in queue_names()]


@setup_logging.connect
def _keep_our_logging(**kwargs: Any) -> None:
    """Celery must not replace the logging of the settings."""


@task_prerun.connect
def _name_the_log_lines(task_id: str, task: Any, **kwargs: Any) -> None:
    from helpdesk.logs import request_id

    request_id.set(f"{task.name.rpartition('.')[2]}-{task_id[:8]}")
