"""What providers sent, before anything is understood, and how far each mailbox was read."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class RawEvent(models.Model):
    """One provider item, its bytes kept (reliability.md 3.1). Never deleted; stripped of its content at most."""

    class State(models.TextChoices):
        NEW = "new"
        PROCESSING = "processing"
        DONE = "done"
        QUARANTINED = "quarantined"

    class Outcome(models.TextChoices):
        TICKETED = "ticketed"
        RECEIPT = "receipt"
        APPLIED = "applied"
        DUPLICATE = "duplicate"
        SUPPRESSED = "suppressed"
        QUARANTINED = "quarantined"

    channel = models.ForeignKey("tickets.Channel", on_delete=models.PROTECT, related_name="+")
    dedupe_key = models.CharField(max_length=400)
    ordering_key = models.CharField(max_length=300, default="", db_default="")
    raw_sha256 = models.CharField(max_length=64)
    body_sha256 = models.CharField(max_length=64)
    raw = models.BinaryField(null=True)  # up to 1 MiB inline
    raw_path = models.CharField(max_length=100, null=True)  # else a content-addressed file
    headers = models.JSONField(default=dict)
    remote_ip = models.GenericIPAddressField(null=True)
    auth_result = models.CharField(max_length=40, blank=True, default="")
    received_at = models.DateTimeField(db_default=Now())

    state = models.CharField(max_length=11, choices=State.choices, default=State.NEW)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_owner = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=1000, blank=True, default="")
    outcome = models.CharField(max_length=11, choices=Outcome.choices, null=True)
    outcome_reason = models.CharField(max_length=100, blank=True, default="")
    message_id = models.BigIntegerField(null=True)
    stub_message_id = models.BigIntegerField(null=True)  # the system line that shows it while in quarantine
    flagged = models.BooleanField(default=False)  # same key, other content
    finished_at = models.DateTimeField(null=True)
    stripped_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "dedupe_key"], name="rawevent_once"),
            models.CheckConstraint(
                condition=Q(outcome__isnull=True, state__in=["new", "processing"])
                | Q(outcome__isnull=False, state__in=["done", "quarantined"]),
                name="rawevent_outcome_when_done",
            ),
            models.CheckConstraint(
                condition=Q(state="quarantined", outcome="quarantined")
                | (~Q(state="quarantined") & (Q(outcome__isnull=True) | ~Q(outcome="quarantined"))),
                name="rawevent_quarantined_both",
            ),
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="new"), name="rawevent_due"),
            models.Index(fields=["lease_until"], condition=Q(state="processing"), name="rawevent_leased"),
            models.Index(fields=["id"], condition=Q(state__in=["new", "processing"]), name="rawevent_line"),
            models.Index(
                fields=["channel", "ordering_key", "id"],
                condition=Q(state__in=["new", "processing"]) & ~Q(ordering_key=""),
                name="rawevent_in_order",
            ),
            models.Index(fields=["state", "-id"], condition=Q(state="quarantined"), name="rawevent_quarantine"),
            models.Index(fields=["message_id"], condition=Q(message_id__isnull=False), name="rawevent_by_message"),
            models.Index(fields=["channel", "-received_at"], name="rawevent_by_channel"),
        ]


class IntakeDay(models.Model):
    """The ledger of a finished day, rolled up by a sweep only (reliability.md 1, P2)."""

    day = models.DateField()
    channel = models.ForeignKey("tickets.Channel", on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=11)
    n = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "channel", "outcome"], name="intake_day_once")]


class SignatureFailure(models.Model):
    """Refused calls per channel and day: a counter, never a row per call."""

    channel = models.ForeignKey("tickets.Channel", on_delete=models.PROTECT, related_name="+")
    day = models.DateField()
    n = models.PositiveBigIntegerField(default=0)
    last_at = models.DateTimeField(db_default=Now())
    last_reason = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "day"], name="signature_failure_day")]


class MailboxCursor(models.Model):
    """How far one folder was read: UIDVALIDITY and the last UID, never "unseen"."""

    channel = models.ForeignKey("tickets.Channel", on_delete=models.CASCADE, related_name="+")
    folder = models.CharField(max_length=200, default="INBOX")
    uidvalidity = models.BigIntegerField(null=True)
    last_uid = models.BigIntegerField(default=0)
    polled_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True, default="")
    failing_since = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["channel", "folder"], name="one_cursor_per_folder")]


class VisitorSession(models.Model):
    """A browser that has written or signed in on a web chat channel (channels.md 15.2)."""

    channel = models.ForeignKey("tickets.Channel", on_delete=models.PROTECT, related_name="+")
    uuid = models.UUIDField(unique=True)
    customer = models.ForeignKey("tickets.Customer", null=True, on_delete=models.PROTECT, related_name="+")
    subject = models.CharField(max_length=200, blank=True, default="")  # the site's own user id, when signed
    signed_until = models.DateTimeField(null=True)
    identity_key_id = models.CharField(max_length=40, blank=True, default="")
    name = models.CharField(max_length=200, blank=True, default="")
    email_claim = models.CharField(max_length=254, blank=True, default="")
    renewal_sha256 = models.CharField(max_length=64)
    former_renewal_sha256 = models.CharField(max_length=64, blank=True, default="")
    renewed_at = models.DateTimeField(db_default=Now())
    language = models.CharField(max_length=5, blank=True, default="")
    page = models.CharField(max_length=500, blank=True, default="")
    remote_ip = models.GenericIPAddressField(null=True)
    seen_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["customer"], name="session_by_customer"),
            models.Index(fields=["renewal_sha256"], name="session_by_renewal"),
            models.Index(fields=["channel", "-seen_at"], name="session_by_seen"),
        ]


class FakeRecord(models.Model):
    """What a simulated provider accepted or showed: its append-only log (demo and tests only)."""

    provider = models.CharField(max_length=20)
    account = models.CharField(max_length=200, blank=True, default="")
    kind = models.CharField(max_length=40)  # message, status, media, mode ...
    key = models.CharField(max_length=300, blank=True, default="")  # the provider's id
    payload = models.JSONField(default=dict)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["provider", "account", "-id"], name="fake_by_account"),
            models.Index(fields=["provider", "key"], name="fake_by_key"),
        ]
