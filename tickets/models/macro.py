from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Macro(models.Model):
    """A prepared answer with what happens along with it; without deeds it is a canned answer.

    `deeds` are those of `tickets.macros`: [{"do": "status", "status": "pending"}, ...]. A deleted one is kept for those
    who used it, and can be brought back.
    """

    class Scope(models.TextChoices):
        PERSONAL = "personal", _("Only me")
        TEAM = "team", _("My team")
        SHARED = "shared", _("Everybody")

    class Kind(models.TextChoices):
        REPLY = "reply", _("Reply")
        NOTE = "note", _("Internal note")

    title = models.CharField(_("title"), max_length=120)
    code = models.CharField(_("short code"), max_length=40, blank=True, default="")
    folder = models.CharField(_("folder"), max_length=60, blank=True, default="")
    scope = models.CharField(_("for"), max_length=8, choices=Scope.choices, default=Scope.PERSONAL)
    owner = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="+")
    team = models.ForeignKey("agents.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.REPLY)  # what its text becomes
    text = models.TextField(_("text"), blank=True, default="")
    deeds = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(scope="team", team__isnull=False) | (~Q(scope="team") & Q(team__isnull=True)),
                name="macro_of_a_team_has_one",
            ),
            models.CheckConstraint(condition=~Q(title=""), name="macro_has_a_title"),
        ]

    def __str__(self) -> str:
        return self.title


class MacroFile(models.Model):
    """A file that goes with a macro. Each use makes an attachment of its own of the same bytes."""

    macro = models.ForeignKey(Macro, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=120)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        indexes = [models.Index(fields=["sha256"], name="macro_file_by_hash")]


class MacroUse(models.Model):
    """One use of a macro on a ticket, and the events that it wrote: they are taken back together."""

    macro = models.ForeignKey(Macro, on_delete=models.PROTECT, related_name="uses")
    agent = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="+")
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="+")
    client_uuid = models.UUIDField(unique=True)
    message_id = models.BigIntegerField(null=True)
    event_ids = ArrayField(models.BigIntegerField(), default=list)
    at = models.DateTimeField(db_default=Now())
    undone_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["macro", "at"], name="macro_use_by_macro"),
            models.Index(F("agent"), F("at").desc(), name="macro_use_by_agent"),
        ]
