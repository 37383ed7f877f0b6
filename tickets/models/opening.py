from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Opening(models.Model):
    """A ticket that an agent is about to begin, as far as it is written: one each, gone when the ticket is there.

    `address` is that of somebody whom nobody knows yet, `name` what they are to be called. `way` is a key of
    `replies.RouteChoice`, a wish until it is sent.
    """

    agent = models.OneToOneField("agents.Agent", on_delete=models.PROTECT, related_name="opening")
    client_uuid = models.UUIDField(default=uuid.uuid4)
    customer = models.ForeignKey(
        "tickets.Customer", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    address = models.CharField(max_length=254, blank=True, default="")
    name = models.CharField(max_length=200, blank=True, default="")
    way = models.CharField(max_length=60, blank=True, default="")
    subject = models.CharField(max_length=300, blank=True, default="")
    team = models.ForeignKey(
        "agents.Team", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    assignee = models.ForeignKey(
        "agents.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    text = models.TextField(blank=True, default="")
    attachment_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    revision = models.PositiveBigIntegerField(default=0)  # a late save never overwrites a newer one
    updated_at = models.DateTimeField(db_default=Now())
