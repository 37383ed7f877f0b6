"""A worker that is killed in the middle of a job on many tickets loses no row and does none twice."""

from __future__ import annotations

import uuid

import pytest
from django.utils import timezone

from tests.cast import assemble
from tests.conftest import wait_until
from tests.workspace import scene
from tickets import bulk
from tickets.models import BulkJob, BulkRow, Event, Ticket

TICKETS = 60

# A worker whose every deed takes a moment, so that it can be killed in the middle of one.
SLOW = """
import time, django
from django.utils import timezone
django.setup()
from tickets import bulk
whole = bulk.VERBS["tag"]
def slow(*arguments):
    event = whole(*arguments)
    time.sleep(0.05)
    return event
bulk.VERBS["tag"] = slow
print("begins", flush=True)
bulk.drain(seconds=600, now=timezone.now())
"""


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_leaves_a_job_that_another_one_finishes(start_process):
    cast = assemble()
    cast.agent.sight = "all"
    cast.agent.save(update_fields=["sight"])
    tickets = scene.many(cast, TICKETS, now=timezone.now())
    tag = f"batch-{uuid.uuid4().hex[:6]}"
    job = bulk.start(cast.agent, "tag", {"tags": [tag]}, [ticket.pk for ticket in tickets])
    rows = BulkRow.objects.filter(job=job)

    worker = start_process("bulk", "-c", SLOW, DJANGO_SETTINGS_MODULE="tests.settings")
    wait_until(lambda: rows.filter(state="done").count() >= 5, timeout=60, what="a few rows are done")
    worker.kill()
    done = rows.filter(state="done").count()
    assert 5 <= done < TICKETS  # it did die in the middle
    assert BulkJob.objects.get(pk=job.pk).state == "running"

    wait_until(
        lambda: bulk.drain(seconds=60, now=timezone.now()) or not rows.filter(state="pending").exists(),
        what="the dead session's lock ends",
    )
    bulk.drain(seconds=60, now=timezone.now())
    assert set(rows.values_list("state", flat=True)) == {"done"}
    assert BulkJob.objects.get(pk=job.pk).state == "done"
    assert Ticket.objects.filter(tags__name=tag).count() == TICKETS
    changed = Event.objects.filter(kind="tags_changed", particulars__added=[tag]).values_list("ticket", flat=True)
    assert len(changed) == len(set(changed)) == TICKETS
