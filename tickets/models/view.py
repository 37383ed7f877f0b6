from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class SavedView(models.Model):
    """A list that somebody keeps, as its address says it: a list of ours (`base`), narrowed by a query in the text of
    the search box, in an order. A deleted one can be brought back."""

    class Scope(models.TextChoices):
        PERSONAL = "personal", _("Only me")
        TEAM = "team", _("My team")
        SHARED = "shared", _("Everybody")

    class Column(models.TextChoices):
        """What its rows may leave out; the name and the time always stand there."""

        CHANNEL = "channel", _("Channel")
        SUBJECT = "subject", _("Subject")
        SNIPPET = "snippet", _("Latest words")
        PRIORITY = "priority", _("Priority")
        DUE = "due", _("Deadline or status")
        TAGS = "tags", _("Tags")
        ASSIGNEE = "assignee", _("Assignee")

    name = models.CharField(_("name"), max_length=60)
    owner = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="+")
    scope = models.CharField(max_length=8, choices=Scope.choices, default=Scope.PERSONAL)
    team = models.ForeignKey("agents.Team", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    base = models.CharField(max_length=40, default="all")  # its name in the address: inbox, mine, team-7 ...
    query = models.CharField(max_length=500, blank=True, default="")
    sort = models.CharField(max_length=20, blank=True, default="")
    hidden = ArrayField(models.CharField(max_length=10, choices=Column.choices), default=list, blank=True)
    hue = models.PositiveSmallIntegerField(default=0)  # one of 8 soft hues of the design language
    position = models.PositiveIntegerField(default=0)
    number = models.PositiveSmallIntegerField(null=True, blank=True)  # G and this digit open it
    created_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(scope="team", team__isnull=False) | (~Q(scope="team") & Q(team__isnull=True)),
                name="view_of_a_team_has_one",
            ),
            models.CheckConstraint(
                condition=Q(number__isnull=True) | Q(number__range=(1, 9)), name="view_number_1_to_9"
            ),
        ]

    def __str__(self) -> str:
        return self.name
