from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import connection, models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Now, Upper
from django.utils.translation import gettext_lazy as _

from tickets.models.event import SYSTEM, Actor, Event, record
from tickets.models.sla import SlaClock, SlaClockQuerySet

if TYPE_CHECKING:
    from agents.models import Agent, Team
    from tickets.models.message import Message

SPAM = "spam"  # the tag of what nobody should answer
UNSOLVED = ("new", "open", "pending", "on_hold")

# The order in which work is due: the next breach, then who has waited longest. What has neither comes last.
FAR = datetime(9999, 1, 1, tzinfo=UTC)
QUEUE = (
    Coalesce(F("next_due_at"), Value(FAR, output_field=models.DateTimeField())),
    Coalesce(F("waiting_since"), Value(FAR, output_field=models.DateTimeField())),
    F("id"),
)


def next_number() -> int:
    """The next human ticket number, from a sequence of its own (gaps are allowed, doubles are not)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('ticket_number')")
        return cursor.fetchone()[0]


class TicketQuerySet(models.QuerySet["Ticket"]):
    def unsolved(self) -> TicketQuerySet:
        return self.filter(status__in=UNSOLVED)

    def survivors(self) -> TicketQuerySet:
        """Without those that were merged away."""
        return self.filter(merged_into__isnull=True)

    def awake(self, *, now: datetime) -> TicketQuerySet:
        return self.filter(Q(snoozed_until__isnull=True) | Q(snoozed_until__lte=now))

    def snoozed(self, *, now: datetime) -> TicketQuerySet:
        return self.filter(snoozed_until__gt=now)

    def unassigned(self) -> TicketQuerySet:
        return self.filter(assignee__isnull=True)

    def latest_first(self) -> TicketQuerySet:
        """The order of every list, and of its keyset."""
        return self.order_by("-updated_at", "-id")

    def for_rows(self) -> TicketQuerySet:
        """Everything that a list row shows, in a constant number of queries; of those beside the ticket no more than it says."""
        return (
            self.select_related("customer", "assignee", "last_channel")
            .defer(*_unsaid())
            ._with_tags_and_clocks(SlaClock.objects.live())
        )

    def for_screen(self) -> TicketQuerySet:
        """The same with the whole of those beside it, its team and what was promised too."""
        whole = self.select_related("customer", "assignee", "team", "last_channel")
        return whole._with_tags_and_clocks(SlaClock.objects.live().select_related("promise__owner"))

    def _with_tags_and_clocks(self, clocks: SlaClockQuerySet) -> TicketQuerySet:
        return self.prefetch_related(
            models.Prefetch("tags", queryset=Tag.objects.order_by("name")),
            models.Prefetch("clocks", queryset=clocks, to_attr="live_clocks"),
        )


@cache
def _unsaid() -> tuple[str, ...]:
    """What a row does not say of the customer, the assignee and the channel."""
    said = {"customer": "name", "assignee": "name", "last_channel": "kind"}
    return tuple(
        f"{relation}__{field.name}"
        for relation, name in said.items()
        for field in Ticket._meta.get_field(relation).related_model._meta.concrete_fields  # type: ignore[union-attr]
        if field.name not in ("id", name)
    )


class Tag(models.Model):
    name = models.CharField(max_length=60, unique=True)  # lower-cased
    hue = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


def tag_name(text: str) -> str:
    """The one spelling of a tag."""
    return text.strip().lower()[:60]


def tags_named(names: Iterable[str]) -> list[Tag]:
    """Tags by name, made where they are new."""
    wanted = sorted({tag_name(name) for name in names} - {""})
    Tag.objects.bulk_create((Tag(name=name, hue=sum(name.encode()) % 8) for name in wanted), ignore_conflicts=True)
    return list(Tag.objects.filter(name__in=wanted))


class Ticket(models.Model):
    """A customer's matter, on however many channels. It has no single channel of its own."""

    class Status(models.TextChoices):
        NEW = "new", _("New")
        OPEN = "open", _("Open")
        PENDING = "pending", _("Pending")
        ON_HOLD = "on_hold", _("On hold")
        SOLVED = "solved", _("Solved")
        CLOSED = "closed", _("Closed")

    class Priority(models.IntegerChoices):
        LOW = 1, _("Low")
        NORMAL = 2, _("Normal")
        HIGH = 3, _("High")
        URGENT = 4, _("Urgent")

    number = models.BigIntegerField(unique=True)
    brand = models.ForeignKey("tickets.Brand", on_delete=models.PROTECT, related_name="tickets")
    customer = models.ForeignKey("tickets.Customer", on_delete=models.PROTECT, related_name="tickets")
    subject = models.CharField(max_length=300, blank=True, default="")
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.NEW)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.NORMAL)
    team = models.ForeignKey("agents.Team", null=True, blank=True, on_delete=models.PROTECT, related_name="tickets")
    assignee = models.ForeignKey(
        "agents.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="tickets"
    )
    incident = models.ForeignKey(
        "tickets.Incident", null=True, blank=True, on_delete=models.PROTECT, related_name="tickets", db_index=False
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="tickets")
    language = models.CharField(max_length=5, blank=True, default="")
    fields = models.JSONField(default=dict, blank=True)
    # The note that stands above its thread for everybody.
    pinned_note = models.ForeignKey(
        "tickets.Message", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="merged")

    # What a rule has promised, whatever the conditions of the policies say.
    sla_policy = models.ForeignKey(
        "tickets.SlaPolicy", null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )

    last_seq = models.PositiveBigIntegerField(default=0)
    ruled_message_id = models.BigIntegerField(
        null=True, editable=False
    )  # up to it, rules have seen what customers write
    routing_due_at = models.DateTimeField(null=True, blank=True)
    assigned_at = models.DateTimeField(null=True, blank=True, editable=False)
    accept_until = models.DateTimeField(null=True, blank=True, editable=False)  # unseen until then, it is offered again
    waiting_since = models.DateTimeField(null=True, blank=True)  # the oldest unanswered customer message
    # The nearest deadline of its running clocks. A trigger on the clocks writes it (migration 0005), nobody else.
    next_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    first_reply_at = models.DateTimeField(null=True, blank=True)
    first_solved_at = models.DateTimeField(null=True, blank=True)
    solved_at = models.DateTimeField(null=True, blank=True)  # the latest solve; NULL again while reopened
    solved_by = models.ForeignKey("agents.Agent", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)
    csat = models.PositiveSmallIntegerField(null=True, blank=True)  # 1-5, the last answer
    trusts_unverified = models.BooleanField(default=False)  # a mailbox with `trust_unauthenticated` joined it

    # What a row of a list shows, kept here so that a list reads one table.
    first_channel = models.ForeignKey("tickets.Channel", null=True, on_delete=models.PROTECT, related_name="+")
    last_channel = models.ForeignKey("tickets.Channel", null=True, on_delete=models.PROTECT, related_name="+")
    last_message_id = models.BigIntegerField(null=True)
    last_message_at = models.DateTimeField(null=True)
    last_author_id = models.BigIntegerField(null=True)  # the agent, NULL for others
    last_direction = models.CharField(max_length=3, blank=True, default="")
    snippet = models.CharField(max_length=200, blank=True, default="")

    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects = TicketQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(merged_into=F("id")), name="not_merged_into_itself"),
            models.CheckConstraint(condition=Q(csat__isnull=True) | Q(csat__range=(1, 5)), name="csat_1_to_5"),
            models.CheckConstraint(condition=Q(priority__range=(1, 4)), name="priority_1_to_4"),
        ]
        indexes = [
            models.Index(
                F("updated_at").desc(),
                F("id").desc(),
                condition=Q(merged_into__isnull=True, status__in=UNSOLVED),
                name="unsolved_latest",
            ),
            *(
                models.Index(*first, *QUEUE, condition=Q(merged_into__isnull=True, status__in=UNSOLVED), name=name)
                for name, first in (
                    ("queue", ()),
                    ("queue_of_assignee", (F("assignee"),)),
                    ("queue_of_team", (F("team"),)),
                    ("queue_by_priority", (F("priority") * -1,)),
                )
            ),
            models.Index(
                F("updated_at").desc(),
                F("id").desc(),
                condition=Q(merged_into__isnull=True),
                name="all_latest",
            ),
            models.Index(fields=["customer", "-id"], name="ticket_by_customer"),
            models.Index(fields=["routing_due_at"], condition=Q(routing_due_at__isnull=False), name="routing_due"),
            models.Index(fields=["incident", "status"], condition=Q(incident__isnull=False), name="ticket_of_incident"),
            models.Index(fields=["pinned_note"], condition=Q(pinned_note__isnull=False), name="ticket_by_pinned_note"),
            models.Index(fields=["accept_until"], condition=Q(accept_until__isnull=False), name="offered_until"),
            models.Index(fields=["snoozed_until"], condition=Q(snoozed_until__isnull=False), name="snoozed_until"),
            models.Index(fields=["solved_at"], condition=Q(status="solved"), name="solved_to_close"),
            models.Index(fields=["created_at", "first_channel"], name="ticket_by_created"),
            models.Index(
                fields=["first_solved_at"],
                condition=Q(first_solved_at__isnull=False),
                name="ticket_by_solved",
            ),
            models.Index(fields=["merged_into"], condition=Q(merged_into__isnull=False), name="ticket_family"),
            GinIndex(fields=["fields"], opclasses=["jsonb_path_ops"], name="ticket_fields"),
            GinIndex(
                OpClass(Upper("subject"), name="gin_trgm_ops"), condition=~Q(subject=""), name="ticket_subject_part"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.number}"

    # facts

    @property
    def is_unsolved(self) -> bool:
        return self.status in UNSOLVED

    @property
    def shown_status(self) -> str:
        """Merged away is shown as closed; un-merge shows its own status again (design.md 6)."""
        return self.Status.CLOSED if self.merged_into_id else self.status

    @property
    def answer_language(self) -> str:
        """In which the customer is written to: theirs where it is one of ours, else the brand's."""
        return self.language if self.language in dict(settings.LANGUAGES) else self.brand.language

    @property
    def lacks_tag(self) -> bool:
        """Its team wants a tag on it before a person solves it, and there is none."""
        return bool(self.team and self.team.needs_tag and self.is_unsolved and not self.tags.all())

    def family_ids(self) -> list[int]:
        """This ticket and all that were merged into it, however deep."""
        ids, fresh = [self.pk], [self.pk]
        while fresh:
            fresh = list(Ticket.objects.filter(merged_into__in=fresh).values_list("id", flat=True))
            ids += fresh
        return ids

    # state changes: each must hold the ticket's row lock, and returns the Event that it wrote

    def change_status(self, status: str, *, by: Actor, now: datetime, cause: str = "") -> Event | None:
        """Move along design.md 6. Returns None when nothing changes. Raises ValueError from a closed ticket."""
        old = self.status
        if status == old:
            return None
        if old == self.Status.CLOSED:
            raise ValueError("closed is final")
        changed = ["status", "updated_at"]
        self.status, self.updated_at = status, now
        slept: dict[str, Any] = {}
        if status == self.Status.SOLVED:
            slept = {"slept": self.snoozed_until.isoformat()} if self.snoozed_until else {}
            self.solved_at, self.solved_by = now, by.agent
            self.first_solved_at = self.first_solved_at or now
            self.waiting_since, self.snoozed_until = None, None
            changed += ["solved_at", "solved_by", "first_solved_at", "waiting_since", "snoozed_until"]
        elif old == self.Status.SOLVED and status != self.Status.CLOSED:
            self.solved_at, self.solved_by = None, None
            changed += ["solved_at", "solved_by"]
        elif status == self.Status.CLOSED:
            self.closed_at = now
            changed.append("closed_at")
        self.save(update_fields=changed)
        kind = {self.Status.SOLVED: "solved", self.Status.CLOSED: "closed"}.get(self.Status(status), "status_changed")
        if old == self.Status.SOLVED and status in UNSOLVED:
            kind = "reopened"
        return self.record(kind, by=by, now=now, **_change(old, status, cause=cause), **slept)

    def give_to(
        self,
        *,
        assignee: Agent | None,
        team: Team | None,
        by: Actor,
        now: datetime,
        decision_id: int | None = None,
        cause: str = "",
        reason: str = "",
    ) -> Event | None:
        """Set assignee and team together. A first assignment to a person opens a new ticket.

        `reason` is what a person says to the next one. The event keeps what an undo has to know: whether this opened the
        ticket, and whether it was owed to routing.
        """
        before = {"assignee": self.assignee_id, "team": self.team_id}
        after = {"assignee": assignee.pk if assignee else None, "team": team.pk if team else None}
        if before == after:
            return None
        self.assignee, self.team, self.updated_at = assignee, team, now
        fields = ["assignee", "team", "updated_at"]
        if before["assignee"] != after["assignee"]:
            self.assigned_at, self.accept_until = now if assignee else None, None
            fields += ["assigned_at", "accept_until"]
        opened = assignee is not None and self.status == self.Status.NEW
        if opened:
            self.status = self.Status.OPEN
            fields.append("status")
        self.save(update_fields=fields)
        extra: dict[str, Any] = {"decision": decision_id} if decision_id else {}
        if cause:
            extra["cause"] = cause
        if reason:
            extra["reason"] = reason
        if opened:
            extra["opened"] = True
        if self.routing_due_at is not None:
            extra["owed"] = True
        return self.record("assigned", by=by, now=now, **{"from": before, "to": after, **extra})

    def change_priority(self, priority: int, *, by: Actor, now: datetime) -> Event | None:
        if priority == self.priority:
            return None
        old, self.priority, self.updated_at = self.priority, priority, now
        self.save(update_fields=["priority", "updated_at"])
        return self.record("priority_changed", by=by, now=now, **{"from": old, "to": priority})

    def change_tags(
        self, *, add: Iterable[Tag] = (), remove: Iterable[Tag] = (), by: Actor, now: datetime
    ) -> Event | None:
        have = set(self.tags.values_list("name", flat=True))
        added = [tag for tag in add if tag.name not in have]
        removed = [tag for tag in remove if tag.name in have]
        if not added and not removed:
            return None
        self.tags.add(*added)
        self.tags.remove(*removed)
        self.updated_at = now
        self.save(update_fields=["updated_at"])
        return self.record(
            "tags_changed",
            by=by,
            now=now,
            added=[tag.name for tag in added],
            removed=[tag.name for tag in removed],
        )

    def change_fields(
        self, values: Mapping[str, Any], *, labels: Mapping[str, str], by: Actor, now: datetime
    ) -> Event | None:
        """Set values by the keys of fields; None takes one away. One event tells all that is different then."""
        changes = [
            {"field": key, "label": labels.get(key, key), "from": self.fields.get(key), "to": value}
            for key, value in values.items()
            if not is_same(self.fields.get(key), value)
        ]
        if not changes:
            return None
        self.fields = {key: value for key, value in (self.fields | values).items() if value is not None}
        self.updated_at = now
        self.save(update_fields=["fields", "updated_at"])
        return self.record("fields_changed", by=by, now=now, changes=changes)

    def goes_on(self, message: Message, *, now: datetime) -> None:
        """Its newest message, one that its row does not show: a note, a side conversation, a line of the system."""
        self.last_message_id, self.last_message_at, self.updated_at = message.pk, now, now
        self.save(update_fields=["last_seq", "last_message_id", "last_message_at", "updated_at"])

    def pin(self, note: Message | None, *, by: Actor, now: datetime) -> Event | None:
        """Set this note above the thread, in the place of another one; None takes it down."""
        old, new = self.pinned_note_id, note.pk if note else None
        if old == new:
            return None
        self.pinned_note, self.updated_at = note, now
        self.save(update_fields=["pinned_note", "updated_at"])
        return self.record("pin_changed", by=by, now=now, **{"from": old, "to": new})

    def snooze(self, until: datetime | None, *, by: Actor, now: datetime, cause: str = "") -> Event | None:
        """Sleep until then, or wake with None. Snoozed is a time, not a status."""
        if until == self.snoozed_until:
            return None
        was: dict[str, Any] = {"was": self.snoozed_until.isoformat()} if self.snoozed_until else {}
        self.snoozed_until, self.updated_at = until, now
        self.save(update_fields=["snoozed_until", "updated_at"])
        if until is None:
            return self.record("woken", by=by, now=now, **was, **_cause(cause))
        return self.record("snoozed", by=by, now=now, until=until.isoformat(), **was)

    def rate(self, score: int, *, now: datetime, survey_id: int) -> Event:
        """The customer's answer to a survey; the last one counts. Changes no status."""
        self.csat = score
        self.save(update_fields=["csat"])
        return self.record("rated", by=Actor("customer"), now=now, score=score, survey=survey_id)

    def record(
        self,
        kind: str,
        *,
        by: Actor = SYSTEM,
        now: datetime,
        message_id: int | None = None,
        **particulars: Any,
    ) -> Event:
        return record(
            kind,
            ticket=self,
            customer_id=self.customer_id,
            by=by,
            now=now,
            message_id=message_id,
            particulars=particulars,
        )


def is_same(one: Any, other: Any) -> bool:
    """Of two values of a field; 1 is not yes, though Python says so."""
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def _cause(cause: str) -> dict[str, Any]:
    return {"cause": cause} if cause else {}


def _change(old: str, new: str, *, cause: str) -> dict[str, Any]:
    return {"from": old, "to": new, **_cause(cause)}


def lock_survivor(ticket_id: int) -> Ticket:
    """The ticket's row, locked, or that of the ticket which it was merged into. Must be inside a transaction."""
    rows = Ticket.objects.select_related("customer").select_for_update(of=("self",), no_key=True)
    ticket = rows.get(pk=ticket_id)
    while ticket.merged_into_id is not None:
        ticket = rows.get(pk=ticket.merged_into_id)
    return ticket


class TicketLink(models.Model):
    """Two tickets that belong together. `kind` says what `other` is to `ticket`."""

    class Kind(models.TextChoices):
        FOLLOW_UP_OF = "follow_up_of", _("follow-up of")
        TOKEN_OF = "token_of", _("written with the reply address of")
        RELATED = "related", _("related to")

    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="links")
    other = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="linked_from")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ticket", "other", "kind"], name="one_link_each")]


class Route(models.Model):
    """How to reach this customer on this ticket: a channel, an identity, the provider's own thread.

    With `side` it leads to somebody else, in a side conversation: what is meant for one never goes to the other.
    `reply_token` is a 128-bit HMAC over (ticket, recipient, purpose), looked up here and then checked.
    """

    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="routes")
    channel = models.ForeignKey("tickets.Channel", on_delete=models.PROTECT, related_name="+")
    identity = models.ForeignKey("tickets.Identity", on_delete=models.PROTECT, related_name="routes")
    remote_thread_id = models.CharField(max_length=250, blank=True, default="")
    reply_address = models.CharField(max_length=254, blank=True, default="")
    cc = ArrayField(models.CharField(max_length=254), default=list, blank=True)
    reply_token = models.CharField(max_length=40, blank=True, default="")
    window_expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(db_default=Now())
    last_inbound_id = models.BigIntegerField(null=True)  # the customer's newest message on this route
    side = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ticket", "channel", "identity"], name="one_route_each"),
            models.UniqueConstraint(fields=["reply_token"], condition=~Q(reply_token=""), name="one_route_per_token"),
        ]
        indexes = [models.Index(fields=["channel", "identity", "-last_used_at"], name="route_by_identity")]


class TicketSkill(models.Model):
    """A skill that the ticket needs, at least at this level. A wished one only decides between those who are free.

    From `wished_from` on a required one is no more than wished.
    """

    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="skills")
    skill = models.ForeignKey("agents.Skill", on_delete=models.PROTECT, related_name="+")
    level = models.PositiveSmallIntegerField(default=1)
    required = models.BooleanField(default=True)
    wished_from = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["ticket", "skill"], name="one_need_per_skill")]


class ReadMark(models.Model):
    """How far an agent has read a ticket: unread is `Ticket.last_message_id > message_id`; and when they last did."""

    agent = models.ForeignKey("agents.Agent", on_delete=models.CASCADE, related_name="+")
    ticket = models.ForeignKey(Ticket, on_delete=models.PROTECT, related_name="+")
    message_id = models.BigIntegerField(default=0)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "ticket"], name="one_read_mark")]
