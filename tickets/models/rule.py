from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Rule(models.Model):
    """An ordered routing rule: when `conditions` hold, do `actions`.

    `conditions` is a tree of `tickets.conditions`; `actions` a list of {"do": ..., ...} known to routing.rules.
    """

    class When(models.TextChoices):
        CREATED = "created", _("A ticket is created")
        CUSTOMER_REPLIED = "customer_replied", _("The customer writes again")

    name = models.CharField(_("name"), max_length=120)
    position = models.PositiveIntegerField(default=0)
    active = models.BooleanField(_("switched on"), default=True)
    when = models.CharField(max_length=20, choices=When.choices, default=When.CREATED)
    conditions = models.JSONField(default=dict)
    actions = models.JSONField(default=list)
    stop = models.BooleanField(_("stop here"), default=False)
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class RoutingDecision(models.Model):
    """The full trace of one decision: what was tried, who was considered, and why it went there."""

    class Outcome(models.TextChoices):
        ASSIGNED = "assigned"
        QUEUED = "queued"  # nobody free; the due column keeps it owed
        KEPT = "kept"  # it had an assignee already
        NO_TEAM = "no_team"

    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="routing_decisions")
    trigger = models.CharField(max_length=30)
    rules = models.JSONField(default=list)  # [{id, name, version, matched, failed: condition, actions}]
    candidates = models.JSONField(default=list)  # [{agent, name, load, capacity, skipped: reason or null}]
    team = models.ForeignKey("agents.Team", null=True, on_delete=models.PROTECT, related_name="+")
    agent = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    tie_breaker = models.CharField(max_length=40, blank=True, default="")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(F("ticket"), F("id").desc(), name="decision_by_ticket"),
            models.Index(fields=["agent", "id"], condition=Q(outcome="assigned"), name="decision_last_given"),
        ]


class RuleTrial(models.Model):
    """A rule, among the others as they are, tried on past tickets. It reads, and changes nothing.

    `rules` holds all of them in order as they were when it began; `tried` is the place of the one that it is about.
    """

    agent = models.ForeignKey("agents.Agent", on_delete=models.PROTECT, related_name="+")
    rule = models.ForeignKey(Rule, null=True, on_delete=models.CASCADE, related_name="trials")
    rules = models.JSONField()
    tried = models.PositiveIntegerField()
    total = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(finished_at__isnull=True), name="trial_running")]


class RuleTrialRow(models.Model):
    """What the rules would have made of one ticket, beside what was made of it.

    `held` says of each condition of the tried rule whether it held; NULL while the ticket waits for its turn.
    """

    trial = models.ForeignKey(RuleTrial, on_delete=models.CASCADE, related_name="rows")
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.CASCADE, related_name="+")
    matched = models.BooleanField(null=True)
    held = ArrayField(models.BooleanField(), null=True)
    team_was = models.ForeignKey("agents.Team", null=True, on_delete=models.PROTECT, related_name="+")
    team_would = models.ForeignKey("agents.Team", null=True, on_delete=models.PROTECT, related_name="+")
    priority_was = models.PositiveSmallIntegerField(null=True)
    priority_would = models.PositiveSmallIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trial", "ticket"], name="one_trial_row_each")]
        indexes = [models.Index(fields=["trial", "-ticket"], name="trial_row_in_order")]
