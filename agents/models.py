"""The people who answer, their teams and hours, and the audit of what they change."""

from __future__ import annotations

from collections.abc import Container
from datetime import date, time
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from agents.hours import Hours


class Calendar(models.Model):
    """Opening hours in one time zone: windows by weekday, less the closings.

    Every edit raises `version`; durations are stored with `calendar@version` (metrics.md 3).
    """

    name = models.CharField(_("name"), max_length=80)
    time_zone = models.CharField(_("time zone"), max_length=64, default="Asia/Seoul")
    holiday_country = models.CharField(_("holidays of"), max_length=2, blank=True, default="")
    version = models.PositiveBigIntegerField(default=1)
    is_default = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="one_default_calendar"),
        ]

    def __str__(self) -> str:
        return self.name

    def hours(self) -> Hours:
        """The pure form for `agents.hours`: a few queries, kept per version in each process."""
        kept = _KEPT.get((self.pk, self.version))
        return kept or _keep(Calendar.objects.get(pk=self.pk))

    def touch(self) -> None:
        """Raise the version after an edit of windows or closings, in the same transaction."""
        Calendar.objects.filter(pk=self.pk).update(version=F("version") + 1)
        self.refresh_from_db(fields=["version"])


_KEPT: dict[tuple[int, int], Hours] = {}  # of (calendar, version), in this process
_MOST_KEPT = 256


def with_hours(calendars: models.QuerySet[Calendar]) -> list[Calendar]:
    """Their `hours()` ask nothing more: as many queries as for one."""
    rows = list(calendars.prefetch_related("windows", "closings"))
    for calendar in rows:
        _keep(calendar)
    return rows


def _keep(calendar: Calendar) -> Hours:
    from holidays import country_holidays  # half a second of import that only what reads hours should pay

    windows: list[list[tuple[time, time]]] = [[] for _day in range(7)]
    for window in calendar.windows.all():
        windows[window.weekday].append((window.opens, window.closes))
    while len(_KEPT) >= _MOST_KEPT:  # the one that was read first
        _KEPT.pop(next(iter(_KEPT)), None)
    hours = Hours(
        zone=ZoneInfo(calendar.time_zone),
        windows=tuple(tuple(sorted(day)) for day in windows),
        closings=_Closings(
            days=frozenset(closing.date for closing in calendar.closings.all()),
            public=country_holidays(calendar.holiday_country) if calendar.holiday_country else None,
        ),
    )
    _KEPT.pop((calendar.pk, calendar.version), None)
    _KEPT[calendar.pk, calendar.version] = hours
    return hours


class _Closings:
    """One-off closings and the public holidays of a country, Korean substitute holidays included."""

    def __init__(self, *, days: frozenset[date], public: Container[date] | None) -> None:
        self.days, self.public = days, public

    def __contains__(self, day: object) -> bool:
        return day in self.days or (self.public is not None and day in self.public)


class CalendarWindow(models.Model):
    """Open from `opens` to `closes` on one weekday (0 = Monday). `closes` may be 24:00, written as 00:00."""

    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="windows")
    weekday = models.PositiveSmallIntegerField()
    opens = models.TimeField()
    closes = models.TimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(weekday__lte=6), name="weekday_0_to_6"),
            models.CheckConstraint(
                condition=Q(closes__gt=F("opens")) | Q(closes="00:00"), name="window_opens_before_it_closes"
            ),
            models.UniqueConstraint(fields=["calendar", "weekday", "opens"], name="one_window_per_opening"),
        ]


class CalendarClosing(models.Model):
    """A day on which the calendar is closed: a holiday or a one-off."""

    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="closings")
    date = models.DateField()
    name = models.CharField(max_length=80, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["calendar", "date"], name="one_closing_per_day")]


def _usual_warnings() -> list[int]:
    return [75]


class Team(models.Model):
    name = models.CharField(_("name"), max_length=80, unique=True)
    calendar = models.ForeignKey(Calendar, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    hue = models.PositiveSmallIntegerField(default=0)  # one of 8 soft hues of the design language
    position = models.PositiveIntegerField(default=0)
    overflow = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("overflow team")
    )
    overflow_minutes = models.PositiveIntegerField(_("minutes until the overflow team helps"), default=10)
    accept_seconds = models.PositiveIntegerField(_("seconds to accept a ticket"), null=True, blank=True)
    give_back_minutes = models.PositiveIntegerField(
        _("minutes until the tickets of an absent agent go back"), null=True, blank=True
    )
    sticky_days = models.PositiveSmallIntegerField(
        _("days in which a customer comes back to the same agent"), default=0
    )
    act_minutes = models.PositiveIntegerField(
        _("minutes until the team must have acted"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    act_warn_percents = ArrayField(
        models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(99)]),
        verbose_name=_("warn at percent of that time"),
        default=_usual_warnings,
        blank=True,
    )
    answerer_takes = models.BooleanField(_("whoever answers first takes the ticket"), default=True, db_default=True)
    needs_tag = models.BooleanField(_("a ticket needs a tag before it is solved"), default=False, db_default=False)
    wrap_up_minutes = models.PositiveSmallIntegerField(
        _("minutes to wrap up after a chat"), default=0, db_default=0, validators=[MaxValueValidator(120)]
    )

    def __str__(self) -> str:
        return self.name


class Skill(models.Model):
    """Something that some agents can and some tickets need: a language, a product, a right."""

    name = models.CharField(_("name"), max_length=60, unique=True)

    def __str__(self) -> str:
        return self.name


class SkillLevel(models.IntegerChoices):
    BASIC = 1, _("Basic")
    GOOD = 2, pgettext_lazy("level of a skill", "Good")
    EXPERT = 3, _("Expert")


class AgentManager(BaseUserManager["Agent"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Agent:
        agent = self.model(email=self.normalize_email(email).lower(), **fields)
        agent.set_password(password)
        agent.save(using=self._db)
        return agent

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> Agent:
        return self.create_user(email, password, **{"role": Agent.Role.OWNER, **fields})

    def get_by_natural_key(self, username: str | None) -> Agent:
        return self.get(email__iexact=username)


class Agent(AbstractBaseUser, PermissionsMixin):
    """Someone who signs in. `AUTH_USER_MODEL`."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        ADMIN = "admin", _("Admin")
        MANAGER = "manager", _("Manager")
        AGENT = "agent", _("Agent")
        LIGHT = "light", _("Light agent")

    class Sight(models.TextChoices):
        """Which tickets an agent sees; managers and above see all of their brands."""

        ALL = "all", _("All tickets")
        TEAMS = "teams", _("Tickets of their teams and their own")
        OWN = "own", _("Only their own tickets")

    class Presence(models.TextChoices):
        ONLINE = "online", _("Online")
        AWAY = "away", _("Away")
        BUSY = "busy", _("Busy")
        WRAP_UP = "wrap_up", _("Wrapping up")  # shown only: online, and taking nothing new until `wrap_up_until`
        OFFLINE = "offline", _("Offline")

    email = models.EmailField(_("e-mail"), max_length=254, unique=True)
    name = models.CharField(_("name"), max_length=80)
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.AGENT)
    sight = models.CharField(_("sees"), max_length=5, choices=Sight.choices, default=Sight.ALL)
    brand_ids = ArrayField(models.BigIntegerField(), null=True, blank=True)  # NULL = every brand
    teams = models.ManyToManyField(Team, through="Membership", related_name="agents")
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(default=False)
    is_bot = models.BooleanField(default=False)
    capacity = models.PositiveSmallIntegerField(_("tickets at once"), default=5)
    shift = models.ForeignKey(
        Calendar, null=True, blank=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("shift")
    )

    presence = models.CharField(max_length=7, choices=Presence.choices, default=Presence.OFFLINE)  # what they chose
    presence_since = models.DateTimeField(db_default=Now())
    wrap_up_since = models.DateTimeField(null=True, blank=True)
    wrap_up_until = models.DateTimeField(null=True, blank=True)  # it ends by itself: nobody has to write anything then
    seen_at = models.DateTimeField(null=True, blank=True)  # last heartbeat of any of their screens
    active_at = models.DateTimeField(null=True, blank=True)  # last key, press or text, to the minute; NULL = never told

    language = models.CharField(
        _("language"), max_length=2, choices=[("en", "English"), ("ko", "한국어")], default="en"
    )
    time_zone = models.CharField(_("time zone"), max_length=64, default="Asia/Seoul")
    theme = models.CharField(
        max_length=6,
        choices=[("system", _("System")), ("light", _("Light")), ("dark", _("Dark"))],
        default="system",
    )
    density = models.CharField(
        max_length=11,
        choices=[("comfortable", _("Comfortable")), ("compact", _("Compact"))],
        default="comfortable",
    )
    message_size = models.PositiveSmallIntegerField(  # px of the messages one reads
        choices=[(13, _("Small")), (14, _("Normal")), (16, _("Large"))], default=14
    )
    send_key = models.CharField(
        max_length=9, choices=[("enter", "Enter"), ("cmd_enter", "Ctrl/⌘ Enter")], default="enter"
    )
    undo_seconds = models.PositiveSmallIntegerField(  # in which a mail can be taken back; chats leave at once
        choices=[(0, _("Off")), (5, _("5 seconds")), (10, _("10 seconds")), (30, _("30 seconds"))], default=10
    )
    solve_opens_next = models.BooleanField(default=False, db_default=False)  # after "send and solve"
    shortcuts_on = models.BooleanField(default=True)
    own_keys = models.JSONField(default=dict, blank=True)  # {command id: [strokes]}, where they differ from the key map
    panes = models.JSONField(default=dict, blank=True)  # {"list": px, "side": px, "nav": bool, "closed": [section]}

    date_joined = models.DateTimeField(db_default=Now())

    objects = AgentManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_agent_per_email")]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_admin(self) -> bool:
        return self.role in (self.Role.OWNER, self.Role.ADMIN)

    @property
    def is_manager(self) -> bool:
        return self.is_admin or self.role == self.Role.MANAGER

    @property
    def may_reply(self) -> bool:
        """Light agents read and write notes only."""
        return self.role != self.Role.LIGHT

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name


class Membership(models.Model):
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="memberships")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "team"], name="one_membership")]


class AgentSkill(models.Model):
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="skills")
    skill = models.ForeignKey(Skill, on_delete=models.CASCADE, related_name="agents")
    level = models.PositiveSmallIntegerField(choices=SkillLevel.choices, default=SkillLevel.GOOD)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "skill"], name="one_level_per_skill")]


class SignInFailure(models.Model):
    """A sign-in that failed, once for the account and once for the address it came from (`agents.limits`).

    `key` is a hash: neither addresses nor guesses are kept. Rows older than a day are swept.
    """

    key = models.CharField(max_length=64)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["key", "-at"], name="failure_by_key"),
            models.Index(fields=["at"], name="failure_by_time"),
        ]


class AuditEntry(models.Model):
    """Who changed people, rights, settings or data. Written in the same transaction as the act; append-only.

    `facts` holds before and after with secrets masked. Personal values stand in `personal`, outside the hash,
    so that an erasure can empty them (reliability.md 14). `brand_id` has no foreign key: agents import nobody.
    """

    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=60)
    actor = models.ForeignKey(Agent, null=True, on_delete=models.PROTECT, related_name="+")
    brand_id = models.BigIntegerField(null=True)
    object_type = models.CharField(max_length=60, blank=True, default="")
    object_id = models.BigIntegerField(null=True)
    facts = models.JSONField(default=dict)
    personal = models.JSONField(null=True)
    prev_hash = models.CharField(max_length=64, null=True)
    hash = models.CharField(max_length=64, null=True)

    class Meta:
        indexes = [models.Index(F("at").desc(), name="audit_by_time")]

    @classmethod
    def write(
        cls,
        kind: str,
        *,
        actor: Agent | None,
        target: models.Model | None = None,
        brand_id: int | None = None,
        facts: dict[str, Any] | None = None,
        personal: dict[str, Any] | None = None,
    ) -> AuditEntry:
        """Append one entry. Call inside the transaction of the act itself."""
        return cls.objects.create(
            kind=kind,
            actor=actor,
            object_type=target._meta.label_lower if target is not None else "",
            object_id=target.pk if target is not None else None,
            brand_id=brand_id,
            facts=facts or {},
            personal=personal,
        )
