from __future__ import annotations

from django.db import models
from django.db.models import Q


class Promise(models.Model):
    """What somebody promised a customer by a moment. Its clock says until when, and what became of it: met is kept,
    cancelled is withdrawn.

    `ticket` is the one on which it was made. While that is merged, the clock runs on the survivor.
    """

    LONGEST = 200  # characters

    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="promises")
    clock = models.OneToOneField("tickets.SlaClock", on_delete=models.PROTECT, related_name="promise")
    text = models.CharField(max_length=LONGEST)
    client_uuid = models.UUIDField(unique=True, null=True)
    owner = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="promises")

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(text=""), name="promise_says_what")]
