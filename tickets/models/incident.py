from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> IncidentQuerySet:
        return self.filter(resolved_at__isnull=True)


class Incident(models.Model):
    """One known issue behind many tickets, open until it is resolved. `Ticket.incident` points here."""

    brand = models.ForeignKey("tickets.Brand", on_delete=models.PROTECT, related_name="incidents")
    title = models.CharField(_("title"), max_length=120)  # for agents
    text_en = models.TextField(blank=True, default="")  # what customers are told
    text_ko = models.TextField(blank=True, default="")
    shows_banner = models.BooleanField(default=True)  # in the widget, while it is open
    answers_new = models.BooleanField(default=True)  # tickets that are linked while it is open are told the text
    opened_at = models.DateTimeField(db_default=Now())
    opened_by = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="+")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+")

    objects = IncidentQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["brand", "id"], condition=Q(resolved_at__isnull=True), name="incident_open"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None

    def text_in(self, language: str) -> str:
        return self.text_ko if language == "ko" else self.text_en
