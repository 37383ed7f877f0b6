from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from tickets.models.ticket import Ticket

KEY = r"^[a-z][a-z0-9_]{0,39}$"


class TicketField(models.Model):
    """A fact that one wants to know of tickets: of all of them, or of those of a brand or a team.

    Its values are in `Ticket.fields` under `key`: text and one of a list as text, a number as one, a day as
    "2026-09-30", yes and no as true and false. What has no value has no key. Switched off it is asked nowhere any more,
    and its values stay.
    """

    class Kind(models.TextChoices):
        TEXT = "text", _("A line of text")
        NUMBER = "number", _("A number")
        DATE = "date", _("A date")
        YES_NO = "yes_no", _("Yes or no")
        CHOICE = "choice", _("One of a list")

    key = models.CharField(
        _("key"),
        max_length=40,
        unique=True,
        validators=[
            RegexValidator(KEY, _("Small letters, digits and underscores, a letter first; 40 characters at most."))
        ],
    )
    label = models.CharField(_("name"), max_length=60)
    kind = models.CharField(_("kind"), max_length=6, choices=Kind.choices, default=Kind.TEXT)
    choices = ArrayField(models.CharField(max_length=80), default=list, blank=True)
    brand = models.ForeignKey(
        "tickets.Brand",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("brand"),
    )
    team = models.ForeignKey(
        "agents.Team",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("team"),
    )
    required = models.BooleanField(_("a ticket needs it before it is solved"), default=False)
    active = models.BooleanField(_("switched on"), default=True)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="choice", choices__len__gt=0) | (~Q(kind="choice") & Q(choices__len=0)),
                name="field_of_a_list_has_choices",
            ),
            models.CheckConstraint(condition=Q(key__regex=KEY), name="field_key_is_plain"),
            models.CheckConstraint(condition=~Q(label=""), name="field_has_a_label"),
        ]

    def __str__(self) -> str:
        return self.label

    def is_of(self, ticket: Ticket) -> bool:
        """Whether one wants to know it of this ticket."""
        return self.brand_id in (None, ticket.brand_id) and self.team_id in (None, ticket.team_id)
