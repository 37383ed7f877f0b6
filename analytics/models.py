"""Surveys and their answers."""

from __future__ import annotations

from django.db import models
from django.db.models import F
from django.db.models.functions import Now


class Survey(models.Model):
    """One question to one customer about one solve. Its token opens this survey and nothing else."""

    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="surveys")
    channel = models.ForeignKey("tickets.Channel", null=True, on_delete=models.PROTECT, related_name="+")
    solve_event_id = models.BigIntegerField(unique=True)  # asked once for each solve, whatever crashed
    agent = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+")  # at the solve
    team = models.ForeignKey("agents.Team", null=True, on_delete=models.PROTECT, related_name="+")
    token = models.CharField(max_length=64, unique=True)
    message_id = models.BigIntegerField(null=True)
    skipped = models.CharField(max_length=40, blank=True, default="")  # why it was not sent
    sent_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(F("ticket"), F("sent_at").desc(), name="survey_by_ticket"),
            models.Index(fields=["sent_at"], name="survey_by_sent"),
        ]


class Answer(models.Model):
    """A rating. Editable for a while; the last answer of a survey counts, dated by itself."""

    survey = models.OneToOneField(Survey, on_delete=models.PROTECT, related_name="answer")
    score = models.PositiveSmallIntegerField()
    comment = models.TextField(blank=True, default="")
    answered_at = models.DateTimeField(db_default=Now())
    changed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(score__range=(1, 5)), name="score_1_to_5"),
        ]
        indexes = [models.Index(fields=["answered_at"], name="answer_by_time")]
