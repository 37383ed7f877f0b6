from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Draft(models.Model):
    """What is not said yet. With `send_at` it is undo-send and send-later: the Message is made at release.

    `then` is what happens with the reply ({"status": "solved"}, the deeds of a macro); of a message to somebody else
    (`side`) what it quotes, and whether the ticket waits for them: {"messages": [...], "hold": true}. `seen_message_id` is
    the newest message that its author had seen. `way` is the choice (`RouteChoice.key`) of a way that the ticket has not
    used yet, and so has no route for. `stopped` says why a due draft was not released: "newer_message", "merged",
    "no_right", "unfit", "deed", or a code of `writing.sentence_of`.
    """

    class Kind(models.TextChoices):
        REPLY = "reply"
        NOTE = "note"
        SIDE = "side"

    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="drafts")
    agent = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="drafts")
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.REPLY)
    client_uuid = models.UUIDField()
    text = models.TextField(blank=True, default="")
    route = models.ForeignKey("tickets.Route", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    way = models.CharField(max_length=41, blank=True, default="", db_default="")
    to = ArrayField(models.CharField(max_length=254), null=True, blank=True)  # NULL: a reply to all; as it was typed
    cc = ArrayField(models.CharField(max_length=254), null=True, blank=True)
    template = models.JSONField(null=True, blank=True)
    attachment_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    then = models.JSONField(default=dict, blank=True)
    seen_message_id = models.BigIntegerField(null=True)
    revision = models.PositiveBigIntegerField(default=0)  # a late save never overwrites a newer one
    send_at = models.DateTimeField(null=True, blank=True)
    send_anyway = models.BooleanField(default=False)
    stopped = models.CharField(max_length=20, blank=True, default="")
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ticket", "agent", "kind"], name="one_draft_each"),
        ]
        indexes = [models.Index(fields=["send_at"], condition=Q(send_at__isnull=False), name="draft_due")]
