from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class MessageTemplate(models.Model):
    """A message that a channel's provider has approved (`contract.Template`), as it was when we last asked."""

    channel = models.ForeignKey("tickets.Channel", on_delete=models.PROTECT, related_name="templates")
    name = models.CharField(max_length=512)
    language = models.CharField(max_length=16)
    body = models.TextField()
    places = ArrayField(models.CharField(max_length=80), default=list, blank=True)
    named = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["channel", "name", "language"], name="one_template_per_language"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.language})"
