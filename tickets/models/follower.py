from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Follower(models.Model):
    """An agent who wants to hear of a ticket. The assignee follows it too, without a row, as long as it is theirs."""

    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.CASCADE, related_name="followers")
    agent = models.ForeignKey("agents.Agent", on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ticket", "agent"], name="one_follower_each")]


class Mention(models.Model):
    """Somebody, or a team, whom a note names."""

    message = models.ForeignKey("tickets.Message", on_delete=models.CASCADE, related_name="mentions")
    agent = models.ForeignKey("agents.Agent", null=True, on_delete=models.CASCADE, related_name="+")
    team = models.ForeignKey("agents.Team", null=True, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(agent__isnull=False, team__isnull=True) | Q(agent__isnull=True, team__isnull=False),
                name="mention_of_one",
            ),
            models.UniqueConstraint(fields=["message", "agent"], name="one_mention_of_an_agent"),
            models.UniqueConstraint(fields=["message", "team"], name="one_mention_of_a_team"),
        ]
