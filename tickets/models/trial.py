from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Trial(models.Model):
    """Something played on the past for one person, in the background (tickets/trials.py). It reads, and changes nothing
    but its own rows.

    `finished_at` is when it was done or, where `problem` says why, was given up; `failures` counts how often it stumbled.
    """

    class Problem(models.TextChoices):
        DATABASE = "database"  # it was slow or away, time after time
        DATA = "data"  # something was there that the code does not expect

    agent = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="+")
    total = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    failures = models.PositiveSmallIntegerField(db_default=0)
    problem = models.CharField(max_length=8, blank=True, default="", db_default="", choices=Problem.choices)

    class Meta:
        abstract = True
