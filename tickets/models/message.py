from __future__ import annotations

import secrets
import uuid
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tickets import formatting


class DeliveryState(models.TextChoices):
    QUEUED = "queued", _("Queued")
    SENDING = "sending", _("Sending")
    SENT = "sent", _("Sent")
    DELIVERED = "delivered", _("Delivered")
    READ = "read", _("Read")
    FAILED = "failed", _("Failed")
    UNCERTAIN = "uncertain", _("Unconfirmed")


class MessageQuerySet(models.QuerySet["Message"]):
    def thread(self, ticket_ids: list[int]) -> MessageQuerySet:
        """What a thread shows of a family, in the order of acceptance."""
        return self.filter(ticket__in=ticket_ids).order_by("created_at", "id")

    def public(self) -> MessageQuerySet:
        return self.filter(kind=Message.Kind.PUBLIC)

    def written_again(self) -> MessageQuerySet:
        """What customers themselves write where something was said before: what "the customer writes again" is about."""
        earlier = Message.objects.public().filter(ticket=models.OuterRef("ticket"), seq__lt=models.OuterRef("seq"))
        own = self.public().filter(direction=Message.Direction.IN, automatic=False)
        return own.filter(models.Exists(earlier))

    def for_bubbles(self) -> MessageQuerySet:
        """Everything that a bubble shows, in a constant number of queries."""
        return self.select_related("agent", "customer", "channel", "route__identity").prefetch_related(
            "attachments",
            models.Prefetch("parts", queryset=DeliveryPart.objects.order_by("n"), to_attr="ordered_parts"),
        )


class Message(models.Model):
    """What was said. The state of our own replies is derived from their parts (`tickets.delivery`)."""

    class Direction(models.TextChoices):
        IN = "in"
        OUT = "out"

    class Kind(models.TextChoices):
        PUBLIC = "public"
        NOTE = "note"
        SIDE = "side"  # a talk with somebody else about the ticket: the customer takes no part in it
        SYSTEM = "system"

    class Author(models.TextChoices):
        CUSTOMER = "customer"
        AGENT = "agent"
        BOT = "bot"  # surveys, auto-replies
        SYSTEM = "system"
        OTHER = "other"  # of a side conversation: neither the customer nor one of us

    # Those of ticket and customer are found by `message_seq` and `message_by_customer`.
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="messages", db_index=False)
    seq = models.PositiveBigIntegerField()
    direction = models.CharField(max_length=3, choices=Direction.choices)
    kind = models.CharField(max_length=6, choices=Kind.choices, default=Kind.PUBLIC)
    author_type = models.CharField(max_length=8, choices=Author.choices)
    agent = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+")
    customer = models.ForeignKey(
        "tickets.Customer", null=True, on_delete=models.PROTECT, related_name="messages", db_index=False
    )
    author_name = models.CharField(max_length=200, blank=True, default="")  # as it was when it was said
    author_address = models.CharField(max_length=254, blank=True, default="")
    route = models.ForeignKey("tickets.Route", null=True, on_delete=models.PROTECT, related_name="messages")
    channel = models.ForeignKey("tickets.Channel", null=True, on_delete=models.PROTECT, related_name="+")

    raw_event_id = models.BigIntegerField(null=True)  # channels_in.RawEvent, without a foreign key
    part = models.PositiveSmallIntegerField(null=True)
    external_id = models.CharField(max_length=300, blank=True, default="")
    rfc_message_id = models.CharField(max_length=998, blank=True, default="")
    references = ArrayField(models.CharField(max_length=998), default=list, blank=True)
    client_uuid = models.UUIDField(unique=True, null=True)
    moved_to = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")

    subject = models.CharField(max_length=300, blank=True, default="")
    text = models.TextField(blank=True, default="")  # as it was written, an agent's marks in it
    signature = models.TextField(blank=True, default="", db_default="")  # what stood under an answer of ours
    quoted_text = models.TextField(blank=True, default="")
    html = models.TextField(blank=True, default="")  # cleaned in the parser; shown only in the mail frame
    to = ArrayField(models.CharField(max_length=320), default=list, blank=True)
    cc = ArrayField(models.CharField(max_length=320), default=list, blank=True)
    placeholder = models.CharField(max_length=20, blank=True, default="")
    language = models.CharField(max_length=5, blank=True, default="")
    automatic = models.BooleanField(default=False)  # an auto-reply, on either side
    meta = models.JSONField(default=dict, blank=True)  # location, contacts, postback, edits, reactions, template

    state = models.CharField(max_length=9, choices=DeliveryState.choices, null=True)
    state_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True, default="")

    sent_at = models.DateTimeField(null=True)  # the provider's time, shown beside
    received_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())  # acceptance
    edited_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ticket", "seq"], name="message_seq"),
            models.UniqueConstraint(fields=["raw_event_id", "part"], name="message_once_per_item"),
            models.CheckConstraint(
                condition=Q(raw_event_id__isnull=True, part__isnull=True)
                | Q(raw_event_id__isnull=False, part__isnull=False),
                name="message_part_with_item",
            ),
            models.CheckConstraint(
                condition=~Q(kind="note") | Q(channel__isnull=True, route__isnull=True),
                name="note_has_no_channel",
            ),
        ]
        indexes = [
            models.Index(fields=["rfc_message_id"], condition=~Q(rfc_message_id=""), name="message_by_rfc_id"),
            models.Index(
                fields=["channel", "external_id"], condition=~Q(external_id=""), name="message_by_external_id"
            ),
            models.Index(fields=["customer", "-id"], condition=Q(customer__isnull=False), name="message_by_customer"),
            models.Index(fields=["created_at"], name="message_by_time"),
        ]

    @property
    def is_human_reply(self) -> bool:
        """Counts for first reply time: public, by an agent (metrics.md 1)."""
        return self.kind == self.Kind.PUBLIC and self.author_type == self.Author.AGENT

    @property
    def is_formatted(self) -> bool:
        """An agent wrote it here: the marks in its text are formatting (`tickets/formatting.py`)."""
        return self.direction == self.Direction.OUT and self.agent_id is not None and "template" not in self.meta

    @property
    def plain_text(self) -> str:
        """Its words, without marks."""
        return formatting.as_plain(self.text) if self.is_formatted else self.text


def new_token() -> str:
    return secrets.token_urlsafe(32)


class Attachment(models.Model):
    """A file, stored under its hash. Its name is data. Fetched media has a job of its own."""

    class State(models.TextChoices):
        FETCHING = "fetching"  # due when next_attempt_at <= now()
        STORED = "stored"
        FAILED = "failed"

    message = models.ForeignKey(Message, null=True, on_delete=models.PROTECT, related_name="attachments")
    uploaded_by = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+")
    visitor_session_id = models.BigIntegerField(null=True)  # channels_in.VisitorSession
    kind = models.CharField(max_length=10, default="document")
    name = models.CharField(max_length=255, blank=True, default="")
    content_type = models.CharField(max_length=120, default="application/octet-stream")  # ours, from the bytes
    size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    token = models.CharField(max_length=64, unique=True, default=new_token)
    inline = models.BooleanField(default=False)
    content_id = models.CharField(max_length=300, blank=True, default="")
    state = models.CharField(max_length=8, choices=State.choices, default=State.STORED)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_owner = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True, default="")
    reference: Any = models.JSONField(default=dict, blank=True)  # the provider's; media addresses expire
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="fetching"), name="attachment_due"),
            models.Index(fields=["id"], condition=Q(state="fetching"), name="attachment_line"),
            models.Index(fields=["sha256"], condition=~Q(sha256=""), name="attachment_by_hash"),
            models.Index(fields=["created_at"], condition=Q(message__isnull=True), name="attachment_unclaimed"),
        ]


class DeliveryPart(models.Model):
    """One provider message of an answer. Its ids are fixed before the first attempt."""

    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="parts")
    n = models.PositiveSmallIntegerField()
    channel = models.ForeignKey("tickets.Channel", on_delete=models.PROTECT, related_name="+")
    ticket = models.ForeignKey(
        "tickets.Ticket", on_delete=models.PROTECT, related_name="+"
    )  # for the order of a conversation
    text = models.TextField(blank=True, default="")  # in the form in which the channel takes it
    html = models.TextField(blank=True, default="", db_default="")  # safe, where it says more than the text
    attachment_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    provider_id = models.CharField(max_length=300, null=True)
    send_uuid = models.UUIDField(unique=True, default=uuid.uuid4)
    rfc_message_id = models.CharField(max_length=998, blank=True, default="")
    state = models.CharField(max_length=9, choices=DeliveryState.choices, default=DeliveryState.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_owner = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True, default="")
    error_code = models.CharField(max_length=40, blank=True, default="")
    resolved_at = models.DateTimeField(null=True)  # a person has dealt with failed or uncertain
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["message", "n"], name="part_n"),
            models.UniqueConstraint(fields=["channel", "provider_id"], name="part_by_provider_id"),
        ]
        indexes = [
            models.Index(fields=["rfc_message_id"], condition=~Q(rfc_message_id=""), name="part_by_rfc_id"),
            models.Index(fields=["next_attempt_at"], condition=Q(state="queued"), name="part_due"),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="part_leased"),
            models.Index(fields=["id"], condition=Q(state__in=["queued", "sending"]), name="part_line"),
            models.Index(
                fields=["ticket", "channel", "id"],
                condition=Q(state__in=["queued", "sending"]),
                name="part_in_order",
            ),
            models.Index(
                fields=["channel", "-sent_at"], condition=Q(sent_at__isnull=False), name="part_by_channel_sent"
            ),
        ]


class DeliveryAttempt(models.Model):
    """One try to send a part. `committed` is written before the last byte can leave."""

    class Phase(models.TextChoices):
        CONNECT = "connect"
        COMMITTED = "committed"

    part = models.ForeignKey(DeliveryPart, on_delete=models.PROTECT, related_name="tries")
    n = models.PositiveIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    phase = models.CharField(max_length=9, choices=Phase.choices, default=Phase.CONNECT)
    result = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["part", "n"], name="attempt_n")]
