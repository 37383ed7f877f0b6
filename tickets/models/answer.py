from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class AutomaticAnswer(models.Model):
    """What a channel says by itself to a first message, in both languages."""

    class Kind(models.TextChoices):
        FIRST_CONTACT = "first_contact", _("First contact")
        OUT_OF_HOURS = "out_of_hours", _("Out of hours")

    channel = models.ForeignKey("tickets.Channel", on_delete=models.CASCADE, related_name="automatic_answers")
    kind = models.CharField(max_length=13, choices=Kind.choices)
    active = models.BooleanField(default=False)
    text_en = models.TextField(blank=True, default="")
    text_ko = models.TextField(blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "kind"], name="one_answer_of_a_kind")]

    def text_in(self, language: str) -> str:
        return self.text_ko if language == "ko" else self.text_en


class AutomaticReply(models.Model):
    """An automatic answer that a ticket is owed, and what became of it: once per ticket and cause, whatever crashes.

    The message is sent with the row settled in one transaction (`tickets.answering`). What a rule has answered
    (`tickets.triggers`) is entered when it was sent: what an address got is counted here.
    """

    BY_RULE = "rule-"  # kind and cause of what a rule has answered: this and the rule's id
    GRACE = timedelta(seconds=15)  # whoever is answered by a person meanwhile needs no machine

    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="automatic_replies")
    channel = models.ForeignKey("tickets.Channel", on_delete=models.PROTECT, related_name="+")
    cause = models.CharField(max_length=40)  # "first_contact", "incident-<id>", "rule-<id>"
    asked = models.ForeignKey("tickets.Message", on_delete=models.PROTECT, related_name="+")  # what it answers
    kind = models.CharField(max_length=24, blank=True, default="")  # which answer was chosen
    due_at = models.DateTimeField(null=True)  # NULL: settled
    address = models.CharField(max_length=254, blank=True, default="")  # that it was sent to
    message_id = models.BigIntegerField(null=True)
    skipped = models.CharField(max_length=20, blank=True, default="")  # a code of `answering.REASONS`
    settled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ticket", "cause"], name="one_automatic_reply")]
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(due_at__isnull=False), name="automatic_reply_due"),
            models.Index(fields=["channel", "-id"], name="automatic_reply_of_channel"),
            models.Index(
                fields=["address", "-settled_at"],
                condition=Q(message_id__isnull=False),
                name="automatic_reply_by_address",
            ),
        ]
