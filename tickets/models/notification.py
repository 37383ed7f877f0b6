from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now


class Notification(models.Model):
    """Something of the log that concerns an agent, once. `type` is one of `notifications.TYPES`.

    Of a burst only the newest stands in the list; the earlier ones are `folded` and counted in it. Who may see the
    ticket is asked when it is read, not when it is written. `event_id` has no foreign key: nothing references the log.
    """

    agent = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="notifications")
    event_id = models.BigIntegerField()
    type = models.CharField(max_length=20)
    ticket = models.ForeignKey("tickets.Ticket", null=True, on_delete=models.PROTECT, related_name="+")
    channel = models.ForeignKey("tickets.Channel", null=True, on_delete=models.PROTECT, related_name="+")
    actor = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+")
    message_id = models.BigIntegerField(null=True)
    particulars = models.JSONField(default=dict)  # small facts of the event, never texts of customers
    count = models.PositiveIntegerField(default=1)
    folded = models.BooleanField(default=False)
    mail_owed = models.BooleanField(default=False)
    read_at = models.DateTimeField(null=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "event_id"], name="one_notification_per_event")]
        indexes = [
            models.Index(F("agent"), F("id").desc(), condition=Q(folded=False), name="notification_list"),
            models.Index(fields=["agent", "ticket"], condition=Q(read_at__isnull=True), name="notification_unread"),
            models.Index(fields=["agent", "ticket"], condition=Q(mail_owed=True), name="notification_mail_owed"),
            models.Index(fields=["at"], name="notification_by_time"),
        ]


class NotificationChoice(models.Model):
    """How an agent wants to hear of one type. Without a row, as `notifications.TYPES` has it."""

    agent = models.ForeignKey("agents.Agent", on_delete=models.CASCADE, related_name="notification_choices")
    type = models.CharField(max_length=20)
    in_app = models.BooleanField()
    desktop = models.BooleanField()
    sound = models.BooleanField()
    mail = models.BooleanField()
    push = models.BooleanField(db_default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "type"], name="one_notification_choice")]


class NotificationHours(models.Model):
    """When an agent wants silence: no sound, no desktop, no push, mail later. In the agent's own time zone, over midnight too."""

    agent = models.OneToOneField("agents.Agent", on_delete=models.CASCADE, related_name="notification_hours")
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_to = models.TimeField(null=True, blank=True)
    only_when_hidden = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_to__isnull=True)
                | Q(quiet_from__isnull=False, quiet_to__isnull=False),
                name="quiet_from_and_to",
            )
        ]


class NotificationMail(models.Model):
    """A mail about a ticket that an agent can answer: as a reply to the customer, or as a note.

    `token` is an HMAC over the other facts (reply_tokens.py). `outbox_id` makes a second try the same mail.
    """

    class Kind(models.TextChoices):
        REPLY = "reply"
        NOTE = "note"

    agent = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="+")
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=5, choices=Kind.choices)
    seen_message_id = models.BigIntegerField(null=True)  # the newest message that the mail showed
    token = models.CharField(max_length=32, unique=True)
    outbox_id = models.BigIntegerField(unique=True)
    created_at = models.DateTimeField(db_default=Now())
