from __future__ import annotations

from collections.abc import Mapping

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tickets.models.trial import Trial


class RuleQuerySet(models.QuerySet["Rule"]):
    def waiting_for(self, *whens: str) -> RuleQuerySet:
        """Those that run when this happens."""
        return self.filter(active=True, when__in=whens)


class Rule(models.Model):
    """An ordered rule: when something happens and `conditions` hold, do `actions`.

    `conditions` is a tree of `tickets.conditions`; `actions` a list of {"do": ..., ...} known to routing.rules.
    `after_minutes` and `business` are those of the rules of time; others have none.
    """

    class When(models.TextChoices):
        CREATED = "created", _("A ticket is created")
        CUSTOMER_REPLIED = "customer_replied", _("The customer writes again")
        AGENT_REPLIED = "agent_replied", _("An agent answers")
        STATUS_CHANGED = "status_changed", _("The status changes")
        PRIORITY_CHANGED = "priority_changed", _("The priority changes")
        ASSIGNED = "assigned", _("The team or the assignee changes")
        TAGS_CHANGED = "tags_changed", _("The tags change")
        FIELDS_CHANGED = "fields_changed", _("A ticket field changes")
        SLA_WARNING = "sla_warning", _("An SLA deadline is near")
        SLA_BREACHED = "sla_breached", _("An SLA deadline has passed")
        OVERDUE = "overdue", _("An SLA deadline stays missed")
        RATED = "rated", _("The customer answers a survey")
        UNANSWERED = "unanswered", _("The customer has waited for an answer")
        SILENT = "silent", _("The customer has not answered us")

    name = models.CharField(_("name"), max_length=120)
    position = models.PositiveIntegerField(default=0)
    active = models.BooleanField(_("switched on"), default=True)
    when = models.CharField(max_length=20, choices=When.choices, default=When.CREATED)
    conditions = models.JSONField(default=dict)
    actions = models.JSONField(default=list)
    stop = models.BooleanField(_("stop here"), default=False)
    after_minutes = models.PositiveIntegerField(null=True, blank=True)
    business = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(db_default=Now())

    objects = RuleQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


OF_TIME = frozenset({Rule.When.UNANSWERED, Rule.When.SILENT, Rule.When.OVERDUE})

# What of the one log makes rules run: kind of event -> the rules that it concerns. A new ticket is routing's.
RUN_BY: Mapping[str, tuple[str, ...]] = {
    "message_received": (Rule.When.CUSTOMER_REPLIED, Rule.When.UNANSWERED),
    "reply_posted": (Rule.When.AGENT_REPLIED, Rule.When.SILENT),
    "status_changed": (Rule.When.STATUS_CHANGED,),
    "solved": (Rule.When.STATUS_CHANGED,),
    "reopened": (Rule.When.STATUS_CHANGED,),
    "priority_changed": (Rule.When.PRIORITY_CHANGED,),
    "assigned": (Rule.When.ASSIGNED,),
    "tags_changed": (Rule.When.TAGS_CHANGED,),
    "fields_changed": (Rule.When.FIELDS_CHANGED,),
    "sla_warning": (Rule.When.SLA_WARNING,),
    "sla_breached": (Rule.When.SLA_BREACHED, Rule.When.OVERDUE),
    "unmerged": (Rule.When.UNANSWERED, Rule.When.OVERDUE),  # each waits by itself again
    "rated": (Rule.When.RATED,),
}


class RuleVersion(models.Model):
    """A rule as it was saved: who, when, and all of it. `number` is `Rule.version`; `restored` that which came back."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    content = models.JSONField()  # of routing.versions.KEPT
    restored = models.PositiveIntegerField(null=True)
    by = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "number"], name="one_rule_version_each")]


class RuleMatch(models.Model):
    """A rule held for a ticket. Append-only, so that counting hits makes nobody wait; forgotten after 90 days."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="matches")
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["rule", "at"], name="rule_match_by_rule"),
            models.Index(fields=["at"], name="rule_match_by_time"),
        ]


class RuleRun(models.Model):
    """Rules that ran on a ticket apart from routing: why, which were tried, and what was done. Kept for 90 days.

    By an event of the log once (`event_id`, without a foreign key: nothing references the log); a rule of time once for
    each wait (`since`); and what routing has left to be done (`rule` and `since` empty).
    """

    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="rule_runs")
    trigger = models.CharField(max_length=20)
    event_id = models.BigIntegerField(null=True)
    rule = models.ForeignKey(Rule, null=True, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField(null=True)
    acted = models.BooleanField(default=False)
    rules = models.JSONField(default=list)  # as RoutingDecision.rules
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["event_id"], condition=Q(event_id__isnull=False), name="one_rule_run_per_event"
            ),
            models.UniqueConstraint(
                fields=["rule", "ticket", "since"], condition=Q(since__isnull=False), name="one_rule_run_per_wait"
            ),
        ]
        indexes = [
            models.Index(F("ticket"), F("id").desc(), name="rule_run_by_ticket"),
            models.Index(fields=["at"], name="rule_run_by_time"),
        ]


class RuleTimer(models.Model):
    """A rule of time will look at this ticket then. It asks again whether the wait still lasts."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="+")
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.CASCADE, related_name="+")
    due_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "ticket"], name="one_rule_timer_each")]
        indexes = [models.Index(fields=["due_at"], name="rule_timer_due")]


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
    acted = models.BooleanField(default=False, db_default=False)  # whether its rules did something, as RuleRun.acted
    candidates = models.JSONField(default=list)  # [{agent, name, load, capacity, skipped: reason or null}]
    team = models.ForeignKey("agents.Team", null=True, on_delete=models.PROTECT, related_name="+")
    agent = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    tie_breaker = models.CharField(max_length=40, blank=True, default="")
    inputs = models.JSONField(null=True)  # of routing.again; NULL where it was decided before they were kept
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(F("ticket"), F("id").desc(), name="decision_by_ticket"),
            models.Index(fields=["agent", "id"], condition=Q(outcome="assigned"), name="decision_last_given"),
        ]


class RuleTrial(Trial):
    """A rule among the others as they are, or a whole set, tried on past tickets.

    `rules` holds all of them in order as they were when it began; `tried` is the place of the one that it is about, NULL
    where it is about the set. `seen_at` is when its author had the whole result before them.
    """

    rule = models.ForeignKey(Rule, null=True, on_delete=models.CASCADE, related_name="trials")
    rules = models.JSONField()
    tried = models.PositiveIntegerField(null=True)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(finished_at__isnull=True), name="trial_running")]


class RuleTrialRow(models.Model):
    """What the rules would have made of one ticket, beside what was made of it.

    `held` says of each condition of the tried rule (of a set: of each rule) whether it held; NULL while the ticket waits
    for its turn. `agent_was` got it first; `agent_would` is NULL where no rule names the person.
    """

    trial = models.ForeignKey(RuleTrial, on_delete=models.CASCADE, related_name="rows")
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.CASCADE, related_name="+")
    matched = models.BooleanField(null=True)
    held = ArrayField(models.BooleanField(), null=True)
    team_was = models.ForeignKey("agents.Team", null=True, on_delete=models.PROTECT, related_name="+")
    team_would = models.ForeignKey("agents.Team", null=True, on_delete=models.PROTECT, related_name="+")
    agent_was = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    agent_would = models.ForeignKey(
        "agents.Agent", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    priority_was = models.PositiveSmallIntegerField(null=True)
    priority_would = models.PositiveSmallIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trial", "ticket"], name="one_trial_row_each")]
        indexes = [models.Index(fields=["trial", "-ticket"], name="trial_row_in_order")]


class StaffingTrial(Trial):
    """The queue of a team played again on what came between `since` and `until`, as it was and with `people` more.

    They are there from `begins` to `ends` (wall clock of the team) with `places` each and these skills. The same
    `seed` gives the same outcome. Whoever plays it holds it until `leased_until`.
    """

    UNKNOWN_SECONDS = 600  # how long a ticket is, where none of the team is known

    team = models.ForeignKey("agents.Team", on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField()
    until = models.DateTimeField()
    people = models.PositiveSmallIntegerField()
    places = models.PositiveSmallIntegerField()
    begins = models.TimeField()
    ends = models.TimeField()
    skill_ids = ArrayField(models.BigIntegerField(), default=list)
    seed = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    before = models.JSONField(null=True)  # replay.Outcome
    after = models.JSONField(null=True)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(until__gt=F("since")), name="staffing_period")]
        indexes = [models.Index(fields=["id"], condition=Q(finished_at__isnull=True), name="staffing_running")]

    @property
    def tickets(self) -> int:
        """They are played twice."""
        return self.total // 2
