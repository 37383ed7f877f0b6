from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from tickets.secrets import EncryptedJSONField


class PushKey(models.Model):
    """The key by which push services know us (RFC 8292). One row, made when it is first needed."""

    secrets = EncryptedJSONField()  # {"private": 32 bytes in base64url}
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="one_push_key")]


class PushSubscription(models.Model):
    """A browser that shows an agent's notifications, open or not. `device` is a cookie of that browser: it has one row,
    whoever is signed in there."""

    agent = models.ForeignKey("agents.Agent", on_delete=models.CASCADE, related_name="push_subscriptions")
    device = models.CharField(max_length=32, unique=True)
    endpoint = models.CharField(max_length=1000, unique=True)
    p256dh = models.CharField(max_length=100)  # the browser's public key, base64url
    secrets = EncryptedJSONField()  # {"auth": 16 bytes in base64url}
    label = models.CharField(max_length=80, blank=True, default="")  # "Chrome · Android"
    failures = models.PositiveSmallIntegerField(default=0)  # refusals of its push service, one after the other
    last_error = models.CharField(max_length=200, blank=True, default="")
    last_success_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
