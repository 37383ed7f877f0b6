from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Signature(models.Model):
    """What stands under an answer: an agent's own, or that of a brand, for one team or for all of them.

    Plain text with the variables of macros. Who has none has no row.
    """

    brand = models.ForeignKey(
        "tickets.Brand", null=True, blank=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("brand")
    )
    team = models.ForeignKey(
        "agents.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("team")
    )
    agent = models.ForeignKey("agents.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(_("text"), max_length=2000)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(agent__isnull=False, brand__isnull=True, team__isnull=True)
                | Q(agent__isnull=True, brand__isnull=False),
                name="signature_of_an_agent_or_a_brand",
            ),
            models.UniqueConstraint(fields=["brand", "team", "agent"], nulls_distinct=False, name="one_signature_each"),
            models.CheckConstraint(condition=~Q(text=""), name="signature_has_a_text"),
        ]
