from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class BulkJob(models.Model):
    """One deed of an agent on many tickets, worked off row by row. `undoes` is the job that it takes back."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"

    agent = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="+")
    do = models.CharField(max_length=20)  # a key of tickets.bulk.VERBS, or "undo"
    value = models.JSONField(default=dict)
    state = models.CharField(max_length=7, choices=State.choices, default=State.RUNNING)
    stopped = models.BooleanField(default=False)  # it was undone before it was through
    total = models.PositiveIntegerField(default=0)
    undoes = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="undone_by")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(state="running"), name="bulk_job_running")]


class BulkRow(models.Model):
    """What became of one ticket of a job. `error` is a sentence in the agent's language."""

    class State(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        UNCHANGED = "unchanged"  # it was so already
        FAILED = "failed"
        SKIPPED = "skipped"  # the job was stopped before its turn

    job = models.ForeignKey(BulkJob, on_delete=models.CASCADE, related_name="rows")
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=9, choices=State.choices, default=State.PENDING)
    error = models.CharField(max_length=300, blank=True, default="")
    event_ids = ArrayField(models.BigIntegerField(), default=list)  # what it wrote, in order; undo takes it back

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "ticket"], name="one_bulk_row_each")]
        indexes = [
            models.Index(fields=["job", "id"], condition=Q(state="pending"), name="bulk_row_pending"),
            models.Index(fields=["job", "state"], name="bulk_row_by_state"),
        ]
