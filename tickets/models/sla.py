from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tickets.models.trial import Trial


class SlaMetric(models.TextChoices):
    FIRST_REPLY = "first_reply", _("First reply")
    NEXT_REPLY = "next_reply", _("Next reply")
    PERIODIC_UPDATE = "periodic_update", _("Periodic update")
    RESOLUTION = "resolution", _("Resolution")


TEAM = "team"  # how long a ticket may stay with a team before it acts: promised among ourselves, set in the team

PROMISE = (
    "promise"  # what somebody promised a customer by a moment of their own choosing (`Promise`): several at a time
)

METRICS = [*SlaMetric.choices, (TEAM, _("Team’s turn")), (PROMISE, _("Promise to the customer"))]

PAUSABLE = (SlaMetric.PERIODIC_UPDATE, SlaMetric.RESOLUTION)  # a promise to reply is not kept by waiting

WAITING_STATUSES = ("pending", "on_hold")  # in which it is not we whom the ticket waits for


class SlaPolicy(models.Model):
    """Promises for the tickets that match. The first active policy by position applies.

    `first_reply_from` is where the time to the first reply begins to count. `pauses_in` are those of WAITING_STATUSES in which the clocks of PAUSABLE metrics stand still.
    """

    class From(models.TextChoices):
        MESSAGE = "message", _("the customer’s first message")
        CREATED = "created", _("the ticket’s creation")

    name = models.CharField(_("name"), max_length=120)
    position = models.PositiveIntegerField(default=0)
    active = models.BooleanField(_("switched on"), default=True)
    conditions = models.JSONField(default=dict)
    calendar = models.ForeignKey("agents.Calendar", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    warn_percents = ArrayField(models.PositiveSmallIntegerField(), default=list)
    pauses_in = ArrayField(models.CharField(max_length=10), default=list)
    first_reply_from = models.CharField(
        max_length=7, choices=From.choices, default=From.MESSAGE, db_default=From.MESSAGE
    )
    version = models.PositiveIntegerField(default=1)

    def __str__(self) -> str:
        return self.name


class SlaPolicyVersion(models.Model):
    """A policy as it was saved: who, when, and all of it. `number` is `SlaPolicy.version`; `restored` that which came back."""

    policy = models.ForeignKey(SlaPolicy, on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    content = models.JSONField()  # of sla.versions.content_of
    restored = models.PositiveIntegerField(null=True)
    by = models.ForeignKey("agents.Agent", null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "number"], name="one_policy_version_each")]


class SlaTarget(models.Model):
    """Seconds for one metric at one priority, in business time unless `business` is false."""

    policy = models.ForeignKey(SlaPolicy, on_delete=models.CASCADE, related_name="targets")
    metric = models.CharField(max_length=20, choices=SlaMetric.choices)
    priority = models.PositiveSmallIntegerField()
    seconds = models.PositiveIntegerField()
    business = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["policy", "metric", "priority"], name="one_target_each")]


class SlaClockQuerySet(models.QuerySet["SlaClock"]):
    def live(self) -> SlaClockQuerySet:
        """Running and paused, the nearest deadline first."""
        return self.filter(state__in=["running", "paused"]).order_by("due_at", "id")

    def pressing(self) -> SlaClockQuerySet:
        """Live ones of which a warning has come, or the deadline has passed."""
        warned = SlaWarning.objects.filter(clock=OuterRef("pk"), fired_at__isnull=False)
        return self.live().filter(Q(breached_at__isnull=False) | Q(Exists(warned)))

    def owed(self) -> SlaClockQuerySet:
        """Those of what somebody promised and has neither kept nor withdrawn."""
        return self.filter(metric=PROMISE, state="running")


class SlaClock(models.Model):
    """One promise on one ticket, or one stay in a team. `breached_at` stands apart from `state`: a breached clock runs on until met.

    What was promised is copied into it, so that editing the policy changes no running clock. `due_at` of a paused
    clock is what it was when it stopped.

    Of tickets that are merged one clock keeps the promise, `carried_by` which the others, cancelled, rest. One that was
    made for that `stands_in`.
    """

    class State(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        MET = "met"
        CANCELLED = "cancelled"

    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.PROTECT, related_name="clocks")
    metric = models.CharField(max_length=20, choices=METRICS)
    cycle = models.PositiveIntegerField(default=1)
    policy = models.ForeignKey(SlaPolicy, null=True, on_delete=models.PROTECT, related_name="+")
    # Of a stay only.
    team = models.ForeignKey("agents.Team", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    policy_version = models.PositiveIntegerField(default=1)
    calendar = models.ForeignKey("agents.Calendar", null=True, on_delete=models.PROTECT, related_name="+")
    calendar_version = models.PositiveBigIntegerField(default=1)
    seconds = models.PositiveIntegerField()
    business = models.BooleanField(default=True)
    warn_percents = ArrayField(models.PositiveSmallIntegerField(), default=list)
    pauses_in = ArrayField(models.CharField(max_length=10), default=list)
    started_at = models.DateTimeField()
    due_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.RUNNING)
    ended_at = models.DateTimeField(null=True)
    breached_at = models.DateTimeField(null=True)
    carried_by = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="carries", db_index=False)
    stands_in = models.BooleanField(default=False, db_default=False)
    version = models.PositiveIntegerField(default=1)

    objects = SlaClockQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ticket", "metric", "cycle"], name="one_clock_per_cycle"),
            models.UniqueConstraint(
                fields=["ticket", "metric"],
                condition=Q(state__in=["running", "paused"]) & ~Q(metric=PROMISE),
                name="one_live_clock",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="running", breached_at__isnull=True), name="clock_due"),
            models.Index(
                fields=["calendar", "calendar_version"],
                condition=Q(state__in=["running", "paused"], business=True, breached_at__isnull=True),
                name="clock_by_calendar",
            ),
            models.Index(fields=["carried_by"], condition=Q(carried_by__isnull=False), name="clock_at_rest"),
        ]


class SlaSegment(models.Model):
    """One interval of a clock: running, paused or off hours. The last one of a live clock has no end."""

    clock = models.ForeignKey(SlaClock, on_delete=models.CASCADE, related_name="segments")
    kind = models.CharField(
        max_length=9, choices=[("running", "running"), ("paused", "paused"), ("off_hours", "off_hours")]
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)


class SlaWarning(models.Model):
    clock = models.ForeignKey(SlaClock, on_delete=models.CASCADE, related_name="warnings")
    percent = models.PositiveSmallIntegerField()
    due_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["clock", "percent"], name="one_warning_per_percent")]
        indexes = [models.Index(fields=["due_at"], condition=Q(fired_at__isnull=True), name="warning_due")]


class SlaTrial(Trial):
    """A policy, among the others as they are, tried on past tickets.

    `policies` holds all of them in order as they were when it began (sla.trial.snapshot); `tried` is the place of the
    one that it is about. Worked off from the newest ticket to the oldest, those under `before` are still to do.
    """

    class Span(models.TextChoices):
        LAST = "last", _("The last 500 tickets")
        DAYS = "days", _("The last 30 days")
        MONTH = "month", _("Last month")

    policy = models.ForeignKey(SlaPolicy, null=True, on_delete=models.CASCADE, related_name="trials")
    policies = models.JSONField()
    tried = models.PositiveIntegerField()
    span = models.CharField(max_length=5, choices=Span.choices)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    before = models.BigIntegerField(default=0)
    seen = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(finished_at__isnull=True), name="sla_trial_running")]


class SlaTrialTicket(models.Model):
    """A ticket that the tried policy would have covered, and the policy that really did."""

    trial = models.ForeignKey(SlaTrial, on_delete=models.CASCADE, related_name="covered", db_index=False)
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.CASCADE, related_name="+")
    policy_was = models.ForeignKey(SlaPolicy, null=True, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trial", "ticket"], name="one_sla_trial_ticket_each")]


class SlaTrialPromise(models.Model):
    """One promise on one ticket: what became of it, and what would have. "" where there was or would be none.

    `covered`: the ticket is one that the tried policy would have covered.
    """

    class Outcome(models.TextChoices):
        MET = "met", _("Met")
        BREACHED = "breached", _("Breached")
        OPEN = "open", _("Still open")

    trial = models.ForeignKey(SlaTrial, on_delete=models.CASCADE, related_name="promises", db_index=False)
    ticket = models.ForeignKey("tickets.Ticket", on_delete=models.CASCADE, related_name="+")
    metric = models.CharField(max_length=20, choices=SlaMetric.choices)
    started_at = models.DateTimeField()
    covered = models.BooleanField()
    was = models.CharField(max_length=8, choices=Outcome.choices, blank=True, default="")
    was_due_at = models.DateTimeField(null=True)
    would = models.CharField(max_length=8, choices=Outcome.choices, blank=True, default="")
    would_due_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["trial", "id"], name="sla_trial_promises")]
