"""The one condition language: a tree of all / any / none over typed fields of a ticket.

A tree is JSON: {"all": [tree, ...]}, {"any": [...]}, {"none": [...]}, or a leaf {"field", "op", "value"}; {} holds
always. The same tree gives a Python predicate (`matches`), a Django `Q` (`to_q`) and a sentence in the reader's
language (`sentence`). Rules and SLA policies use the FIELDS; searches and saved views all that ASKED has, and
`tickets.grammar` is their text form. "field.<key>" is a custom field of the ticket, "customer.<key>" what is known of
its customer, both by keys of whoever writes them. OF_THE_MOMENT only a rule can ask: when it has run, nothing is left
of it that a query could find. A leaf of OF_A_ZONE may name a "zone" of its own; else it is that of the ticket's team.

What depends on who asks and when stays as it was written ("me", "7d") and is resolved for a `Reader`, so that one tree
serves everybody.

Text is compared by linear substring search, case-folded: no pattern of an admin can run for minutes (V18). Free words
are asked of the index of words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.db.models import BooleanField, Exists, F, Func, JSONField, OuterRef, Q, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Replace
from django.db.models.lookups import IContains
from django.utils import timezone
from django.utils.dates import WEEKDAYS
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agents import hours
from agents.hours import ALWAYS, Hours
from agents.models import Agent, Calendar, Skill, Team
from tickets import fields, formatting
from tickets.channels import adapter_for
from tickets.models import (
    Attachment,
    Brand,
    Customer,
    Identity,
    Incident,
    Message,
    ReadMark,
    SearchEntry,
    SlaClock,
    Tag,
    Ticket,
    TicketField,
    TicketSkill,
)
from tickets.models.search import lexemes
from tickets.models.sla import METRICS
from tickets.terms import asked, is_of_signs
from tickets.timeline import in_words

T = TypeVar("T")
Tree = Mapping[str, Any]
_read: ContextVar[dict[str, Any] | None] = ContextVar("read", default=None)  # of `reading_once`
GROUPS = ("all", "any", "none")
NEVER = Q(pk__in=[])  # an empty Q would vanish when it is negated
MAX_DEPTH, MAX_LEAVES, MAX_TEXT = 5, 100, 200
ME = "me"  # whoever reads
US = "us"  # any agent
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DAYS = {"today": 0, "yesterday": 1}
_AGO = re.compile(r"([0-9]{1,4})([mhdw])")
_DAYTIME = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?(?:-|–|~|\.\.)([0-9]{1,2})(?::([0-9]{2}))?")
# Of which a ticket may have more than one.
SEVERAL = ("has", "promise", "promised_by", "needs", "said_on", "said_by", "last_by")
CUSTOM = ("field.", "customer.")  # before the key of a custom field of the ticket, of an attribute of its customer
RECENT = 500  # tickets or customers whose keys are offered
MOST_CHOICES = 200  # of what is chosen from and has no end


class Invalid(ValueError):
    """A tree that cannot be understood; the text is for the person who wrote it, `path` says where."""

    def __init__(self, problem: str, *, path: tuple[Any, ...] = ()) -> None:
        super().__init__(problem)
        self.problem, self.path = problem, path


@dataclass(frozen=True)
class Outcome:
    """`failed` is what did not hold first, for "why not": a leaf, or "none of" what did hold. None when the tree matched."""

    matched: bool
    failed: Tree | None = None


@dataclass(frozen=True)
class Reader:
    """Who asks, and when: what "me" and "7d" mean. Days are those of the current time zone."""

    agent_id: int | None
    now: datetime


SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)  # by which spans of time are only checked
NOBODY = Reader(agent_id=None, now=SOME_DAY)  # for a tree in which nothing depends on the reader


@dataclass(frozen=True)
class Field:
    """One thing that can be asked. `kind` decides the operators, the widget and what `q` is given.

    choice, text, tags: the values. order: (op, value). words: (op, values). moment: (op, from, to), instants.
    due, wait: (op, value, now). custom: (key, op, values, now). clock, daytime: (values, now, zone or None). own: the
    reader. A percent has none.
    """

    label: Promise | str
    kind: str
    q: Callable[[Any], Q] | None
    choices: Callable[[], list[tuple[Any, str]]] | None = None


OPERATORS: Mapping[str, Mapping[str, Promise]] = {
    "choice": {"is": gettext_lazy("is"), "is_not": gettext_lazy("is not")},
    "text": {"contains": gettext_lazy("contains"), "contains_not": gettext_lazy("does not contain")},
    "tags": {"has": gettext_lazy("has"), "has_not": gettext_lazy("has not")},
    "order": {
        "is": gettext_lazy("is"),
        "at_least": gettext_lazy("is at least"),
        "at_most": gettext_lazy("is at most"),
    },
    "words": {
        "contains": gettext_lazy("contain"),
        "contains_not": gettext_lazy("do not contain"),
        "phrase": gettext_lazy("contain exactly"),
        "phrase_not": gettext_lazy("do not contain exactly"),
    },
    "moment": {
        "after": gettext_lazy("after"),
        "since": gettext_lazy("from"),
        "before": gettext_lazy("before"),
        "until": gettext_lazy("until"),
        "between": gettext_lazy("from … to"),
    },
    "due": {"is": gettext_lazy("is"), "within": gettext_lazy("is due within")},
    "custom": {
        "is": gettext_lazy("is"),
        "is_not": gettext_lazy("is not"),
        "at_least": gettext_lazy("is at least"),
        "at_most": gettext_lazy("is at most"),
        "after": gettext_lazy("after"),
        "since": gettext_lazy("from"),
        "before": gettext_lazy("before"),
        "until": gettext_lazy("until"),
        "between": gettext_lazy("from … to"),
    },
    "clock": {"is": gettext_lazy("is"), "is_not": gettext_lazy("is not")},
    "daytime": {"is": gettext_lazy("is"), "is_not": gettext_lazy("is not")},
    "own": {"is": gettext_lazy("is"), "is_not": gettext_lazy("is not")},
    "wait": {"at_least": gettext_lazy("is at least"), "below": gettext_lazy("is less than")},
    "percent": {
        "is": gettext_lazy("is"),
        "at_least": gettext_lazy("is at least"),
        "at_most": gettext_lazy("is at most"),
    },
}
NEGATED = frozenset({"is_not", "contains_not", "has_not", "phrase_not"})
# What a key of one's own can be asked beyond "is": the operator says whether a number or a day is meant, so that nobody has
# to look up what the field is.
OF_NUMBERS = ("at_least", "at_most")
OF_DAYS = tuple(OPERATORS["moment"])


def _text_q(words: list[str]) -> Q:
    inbound = Message.objects.filter(ticket=OuterRef("pk"), direction="in", kind="public")
    return Q(
        *[Q(subject__icontains=word) | Q(Exists(inbound.filter(text__icontains=word))) for word in words],
        _connector="OR",
    )


def _address_q(words: list[str]) -> Q:
    identities = Identity.objects.filter(customer=OuterRef("customer"))
    return Q(*[Q(Exists(identities.filter(value__icontains=word))) for word in words], _connector="OR")


def _or(lookup: str) -> Callable[[list[str]], Q]:
    return lambda words: Q(*[Q(**{lookup: word}) for word in words], _connector="OR")


def _subject_q(words: list[str]) -> Q:
    return Q(*[Q(subject__icontains=word) & _indexed(word) for word in words], _connector="OR")


def _customer_q(words: list[str]) -> Q:
    """By name or address. Both are indexed by trigrams, and looked up before any ticket is."""
    return Q(*[Q(customer__in=_people(word)) & _indexed(word) for word in words], _connector="OR")


def _people(word: str) -> Any:
    named = Customer.objects.filter(name__icontains=word).values("pk")
    return named.union(Identity.objects.filter(value__icontains=word).values("customer"))


def _indexed(word: str) -> Q:
    """Two syllables have no trigram; but the index of words has their pair, with the subject and the customer."""
    return Q(pk__in=_finding(word).values("ticket")) if is_of_signs(word) else ~NEVER


def _finding(term: str) -> Any:
    return SearchEntry.objects.filter(words__finds=lexemes(asked(term)))


def _words_q(op_words: tuple[str, list[str]]) -> Q:
    op, words = op_words
    found = []
    for word in words:
        entries = SearchEntry.objects.filter(ticket=OuterRef("pk"), words__finds=lexemes(asked(word)))
        found.append(Exists(entries.filter(said_exactly(word)) if op == "phrase" else entries))
    return Q(*[Q(one) for one in found], _connector="OR")


def said_exactly(phrase: str) -> Q:
    """Over SearchEntry: its message, or the subject, holds the very words; an agent's marks among them are none."""
    places = ("message__text", "message__subject", "ticket__subject", "message__author_name")
    holds = [Q(**{f"{place}__icontains": phrase}) for place in places]
    unmarked: Combinable = F("message__text")
    for mark in (formatting.BOLD, formatting.ITALIC):
        unmarked = Replace(unmarked, Value(mark), Value(""), output_field=TextField())
    return Q(*holds, Q(message__agent__isnull=False) & Q(IContains(unmarked, phrase)), _connector="OR")


def _to_q(words: list[str]) -> Q:
    """Where it was written to: an address of ours, or another one in To and Cc."""
    mails = Message.objects.filter(ticket=OuterRef("pk"), direction="in")
    return Q(
        *[
            Q(first_channel__address__icontains=word)
            | Q(first_channel__name__icontains=word)
            | Q(Exists(mails.filter(Q(to__icontains=word) | Q(cc__icontains=word))))
            for word in words
        ],
        _connector="OR",
    )


def _order_q(column: str) -> Callable[[tuple[str, int]], Q]:
    lookups = {"is": column, "at_least": f"{column}__gte", "at_most": f"{column}__lte"}
    return lambda op_value: Q(**{lookups[op_value[0]]: op_value[1]})


def _moment_q(column: str) -> Callable[[tuple[str, datetime, datetime]], Q]:
    def q(asked_for: tuple[str, datetime, datetime]) -> Q:
        op, begins, ends = asked_for
        match op:
            case "after":
                return Q(**{f"{column}__gte": ends})
            case "since":
                return Q(**{f"{column}__gte": begins})
            case "before":
                return Q(**{f"{column}__lt": begins})
            case "until":
                return Q(**{f"{column}__lt": ends})
        return Q(**{f"{column}__gte": begins, f"{column}__lt": ends})

    return q


def _sla_q(asked_for: tuple[str, Any, datetime]) -> Q:
    op, value, now = asked_for
    clocks = SlaClock.objects.filter(ticket=OuterRef("pk"))
    if op == "within":
        running = clocks.filter(state="running", breached_at__isnull=True, due_at__lte=now + ago(value))
        return Q(Exists(running))
    states = {
        "breached": clocks.filter(breached_at__isnull=False).exclude(state="cancelled"),
        "running": clocks.filter(state="running"),
        "paused": clocks.filter(state="paused"),
    }
    return Q(*[Q(Exists(states[one])) for one in value], _connector="OR")


def _promise_q(metrics: list[str]) -> Q:
    return Q(Exists(SlaClock.objects.pressing().filter(ticket=OuterRef("pk"), metric__in=metrics)))


def _promised_by_q(ids: list[int]) -> Q:
    return Q(Exists(SlaClock.objects.owed().filter(ticket=OuterRef("pk"), promise__owner__in=ids)))


def _waiting_q(asked_for: tuple[str, str, datetime]) -> Q:
    op, span_of_time, now = asked_for
    since = now - ago(span_of_time)
    return Q(waiting_since__lte=since) if op == "at_least" else Q(waiting_since__gt=since)


def _skills_q(ids: list[int]) -> Q:
    return Q(Exists(TicketSkill.objects.filter(ticket=OuterRef("pk"), skill__in=ids)))


def _one_or_none(column: str) -> Callable[[list[int]], Q]:
    """Of a reference that may be empty; 0 stands for that."""
    empty = f"{column}__isnull"
    return lambda ids: Q(**{f"{column}__in": [pk for pk in ids if pk]}) | (Q(**{empty: True}) if 0 in ids else NEVER)


def _has_q(values: list[str]) -> Q:
    things = {
        "attachment": Attachment.objects.filter(message__ticket=OuterRef("pk")),
        "note": Message.objects.filter(ticket=OuterRef("pk"), kind="note"),
        "reply": Message.objects.filter(ticket=OuterRef("pk"), kind="public", direction="out"),
    }
    return Q(*[Q(Exists(things[value])) for value in values], _connector="OR")


def _unread_q(agent_id: int) -> Q:
    """Somebody else's newest message lies beyond the agent's mark (static/js/lib/ticket-list.js says the same)."""
    marks = ReadMark.objects.filter(ticket=OuterRef("pk"), agent=agent_id)
    seen = Exists(marks.filter(message_id__gte=OuterRef("last_message_id")))
    known = Q(last_direction="in") | Q(Exists(marks.filter(message_id__gt=0)))
    return Q(known, ~Q(seen), ~Q(last_author_id=agent_id, last_author_id__isnull=False), last_message_id__isnull=False)


def _custom_q(asked_for: tuple[str, str, list[str], datetime]) -> Q:
    return _kept("fields", *asked_for)


def _attribute_q(asked_for: tuple[str, str, list[str], datetime]) -> Q:
    return Q(customer__in=Customer.objects.filter(_kept("attributes", *asked_for)))


def _kept(column: str, key: str, op: str, values: list[str], now: datetime) -> Q:
    """By containment, or with the key as a value of the path: never by a lookup or a path made of the key (V39)."""
    if op in OF_NUMBERS:
        return _at_path(column, _NUMBER_PATHS[op], key=key, number=_number(values[0]))
    if op in OF_DAYS:
        first, last = _days(values, now=now)
        return _at_path(column, _DAY_PATHS[op], key=key, first=first, last=last)
    return Q(*[Q(**{f"{column}__contains": {key: form}}) for form in _forms(values)], _connector="OR")


def _at_path(column: str, path: str, **variables: Any) -> Q:
    exists = Func(
        F(column),
        Func(Value(f"strict $.keyvalue() ? (@.key == $key && {path})"), template="(%(expressions)s)::jsonpath"),
        Value(variables, output_field=JSONField()),
        function="jsonb_path_exists",
        output_field=BooleanField(),
    )
    return Q(exists)


_NUMBER_PATHS: Mapping[str, str] = {
    op: f'@.value.type() == "number" && @.value {sign} $number' for op, sign in (("at_least", ">="), ("at_most", "<="))
}
_IS_DAY = f'@.value.type() == "string" && @.value like_regex "^{fields.DAY.pattern}$"'
_DAY_PATHS: Mapping[str, str] = {
    "after": f"{_IS_DAY} && @.value > $last",
    "since": f"{_IS_DAY} && @.value >= $first",
    "before": f"{_IS_DAY} && @.value < $first",
    "until": f"{_IS_DAY} && @.value <= $last",
    "between": f"{_IS_DAY} && @.value >= $first && @.value <= $last",
}


def _number(text: str) -> int | float:
    """Raises Invalid."""
    number = fields.number_in(text)
    if number is None:
        raise Invalid(_("Write a number, like 12 or 12.5."))
    return number


def _days(values: list[str], *, now: datetime) -> tuple[str, str]:
    """The first and the last one that are meant, as a day is kept. Raises Invalid."""
    zone = timezone.get_current_timezone()
    first, last = (span(text, now=now)[0].astimezone(zone).date().isoformat() for text in (values[0], values[-1]))
    return first, last


def _forms(values: list[str]) -> list[Any]:
    """How they may be stored: as they are written, a number as one, yes and no as true and false."""
    numbers = [fields.number_in(value) for value in values if fields.NUMBER.fullmatch(value)]
    return [*values, *numbers, *(value.lower() == "true" for value in values if value.lower() in ("true", "false"))]


def _hours_q(asked_for: tuple[list[str], datetime, ZoneInfo | None]) -> Q:
    values, now, _zone = asked_for
    return _by_calendar(lambda open_hours: ("open" if hours.is_open(open_hours, now) else "closed") in values)


def _weekday_q(asked_for: tuple[list[int], datetime, ZoneInfo | None]) -> Q:
    values, now, named = asked_for
    return _by_zone(lambda zone: OF_A_ZONE["weekday"](zone, now) in values, named)


def _daytime_q(asked_for: tuple[list[str], datetime, ZoneInfo | None]) -> Q:
    values, now, named = asked_for
    return _by_zone(lambda zone: _is_one_of_times(OF_A_ZONE["daytime"](zone, now), values), named)


def _by_zone(fits: Callable[[ZoneInfo], bool], named: ZoneInfo | None) -> Q:
    if named is None:
        return _by_calendar(lambda open_hours: fits(open_hours.zone))
    return ~NEVER if fits(named) else NEVER


def _by_calendar(fits: Callable[[Hours], bool]) -> Q:
    """The tickets whose team has business hours that fit; a team without its own has the usual ones."""
    calendars = list(Calendar.objects.all())
    fitting = [one.pk for one in calendars if fits(one.hours())]
    usual = next((one.hours() for one in calendars if one.is_default), ALWAYS)
    without = Q(team__isnull=True) | Q(team__calendar__isnull=True)
    return Q(team__calendar__in=fitting) | (without if fits(usual) else NEVER)


def _last_by_q(values: list[Any]) -> Q:
    ours = Q(last_direction="out")
    by = Q(last_author_id__in=[one for one in values if isinstance(one, int)])
    heard = Q(last_direction="in") if "customer" in values else NEVER
    return heard | (ours if US in values else ours & by)


def _authors() -> list[tuple[Any, str]]:
    agents = Agent.objects.filter(is_active=True).order_by("name").values_list("id", "name")
    return [("customer", _("the customer")), (US, _("one of us")), *agents]


LANGUAGES = [("ko", "한국어"), ("en", "English"), ("ja", "日本語"), ("zh", "中文")]


def _incidents() -> list[tuple[Any, str]]:
    """The open ones first; one whose title has a namesake with its number."""
    newest = Incident.objects.order_by(F("resolved_at").desc(nulls_first=True), "-id").values_list("id", "title")
    rows = list(newest[:MOST_CHOICES])
    titles = [title.strip().casefold() for _pk, title in rows]
    named = [(pk, title if titles.count(title.strip().casefold()) == 1 else f"{title} ({pk})") for pk, title in rows]
    return [(0, _("No incident")), *named]


def _channel_kinds() -> list[tuple[Any, str]]:
    return [(kind, str(adapter_for(kind).label)) for kind in settings.CHANNEL_ADAPTERS]


FIELDS: Mapping[str, Field] = {
    "channel": Field(
        gettext_lazy("Channel"), "choice", lambda values: Q(first_channel__kind__in=values), _channel_kinds
    ),
    "text": Field(gettext_lazy("Text"), "text", _text_q),
    "subject": Field(gettext_lazy("Subject"), "text", _subject_q),
    "language": Field(
        gettext_lazy("Language of the ticket"),
        "choice",
        lambda values: Q(language__in=values),
        lambda: list(LANGUAGES),
    ),
    "customer_language": Field(
        gettext_lazy("Customer’s language"),
        "choice",
        lambda values: Q(customer__language__in=values),
        lambda: list(LANGUAGES),
    ),
    "customer_tier": Field(
        gettext_lazy("Customer’s tier"),
        "choice",
        lambda values: Q(customer__tier__in=values),
        lambda: [("vip", _("VIP")), ("", _("Standard"))],
    ),
    "customer_organisation": Field(
        gettext_lazy("Customer’s organisation"), "text", _or("customer__organisation__icontains")
    ),
    "customer_address": Field(gettext_lazy("Customer’s address"), "text", _address_q),
    "tag": Field(
        gettext_lazy("Tags"),
        "tags",
        lambda names: Q(Exists(Tag.objects.filter(tickets=OuterRef("pk"), name__in=names))),
        lambda: [(name, name) for name in Tag.objects.order_by("name").values_list("name", flat=True)[:200]],
    ),
    "priority": Field(
        gettext_lazy("Priority"),
        "order",
        _order_q("priority"),
        lambda: [(key, str(label)) for key, label in Ticket.Priority.choices],
    ),
    "status": Field(
        gettext_lazy("Status"),
        "choice",
        lambda values: Q(status__in=values),
        lambda: [(key, str(label)) for key, label in Ticket.Status.choices],
    ),
    "team": Field(
        gettext_lazy("Team"),
        "choice",
        _one_or_none("team"),
        lambda: [(0, _("No team")), *Team.objects.order_by("name").values_list("id", "name")],
    ),
    "assignee": Field(
        gettext_lazy("Assignee"),
        "choice",
        _one_or_none("assignee"),
        lambda: [
            (0, _("Nobody")),
            *Agent.objects.filter(is_active=True).order_by("name").values_list("id", "name"),
        ],
    ),
    "incident": Field(gettext_lazy("Incident"), "choice", _one_or_none("incident"), _incidents),
    "needs": Field(
        gettext_lazy("Skill needed"),
        "choice",
        _skills_q,
        lambda: list(Skill.objects.order_by("name").values_list("id", "name")),
    ),
    "snoozed": Field(gettext_lazy("Snoozed"), "own", lambda reader: Q(snoozed_until__gt=reader.now)),
    "waiting": Field(gettext_lazy("Waiting time of the customer"), "wait", _waiting_q),
    "promise": Field(
        gettext_lazy("Deadline near or missed"),
        "choice",
        _promise_q,
        lambda: [(metric, str(label)) for metric, label in METRICS],
    ),
    "promised_by": Field(
        gettext_lazy("Follow-up promise of"),
        "choice",
        _promised_by_q,
        lambda: list(Agent.objects.filter(is_active=True).order_by("name").values_list("id", "name")),
    ),
    "csat": Field(
        gettext_lazy("Rating"), "order", _order_q("csat"), lambda: [(stars, str(stars)) for stars in range(1, 6)]
    ),
    "brand": Field(
        gettext_lazy("Brand"),
        "choice",
        lambda ids: Q(brand__in=ids),
        lambda: list(Brand.objects.order_by("name").values_list("id", "name")),
    ),
    "customer": Field(gettext_lazy("Customer"), "text", _customer_q),
    "to": Field(gettext_lazy("Written to"), "text", _to_q),
    "last_by": Field(gettext_lazy("Last written by"), "choice", _last_by_q, _authors),
    "has": Field(
        gettext_lazy("With"),
        "choice",
        _has_q,
        lambda: [("attachment", _("attachment")), ("note", _("note")), ("reply", _("reply"))],
    ),
    "sla": Field(
        gettext_lazy("SLA"),
        "due",
        _sla_q,
        lambda: [("breached", _("breached")), ("running", _("running")), ("paused", _("paused"))],
    ),
    "created": Field(gettext_lazy("Created"), "moment", _moment_q("created_at")),
    "hours": Field(
        gettext_lazy("Business hours"),
        "clock",
        _hours_q,
        lambda: [("open", _("open now")), ("closed", _("closed now"))],
    ),
    "weekday": Field(
        gettext_lazy("Day of the week"),
        "clock",
        _weekday_q,
        lambda: [(day + 1, str(name)) for day, name in WEEKDAYS.items()],
    ),
    "daytime": Field(gettext_lazy("Time of day"), "daytime", _daytime_q),
}

# What made a rule run: it can be asked while it runs, and by no query.
OF_THE_MOMENT: Mapping[str, Field] = {
    "said": Field(gettext_lazy("Text of the new message"), "text", None),
    "said_on": Field(gettext_lazy("Channel of the new message"), "choice", None, _channel_kinds),
    "said_by": Field(
        gettext_lazy("Author of the new message"),
        "choice",
        None,
        lambda: [("person", _("a person")), ("machine", _("a machine")), *_authors()],
    ),
    "percent": Field(gettext_lazy("SLA time used, in percent"), "percent", None),
}


# What a search can ask beyond that. Rules decide on the fields above, of which `facts_of` is cheap.
ASKED: Mapping[str, Field] = {
    **FIELDS,
    "words": Field(gettext_lazy("Words"), "words", _words_q),
    "number": Field(gettext_lazy("Number"), "text", lambda values: Q(number__in=_numbers(values))),
    "updated": Field(gettext_lazy("Updated"), "moment", _moment_q("updated_at")),
    "unread": Field(gettext_lazy("Unread"), "own", lambda reader: _unread_q(reader.agent_id or 0)),
}
_OF_KEYS: Mapping[str, Field] = {
    "field.": Field(gettext_lazy("Field of the ticket"), "custom", _custom_q),
    "customer.": Field(gettext_lazy("Attribute of the customer"), "custom", _attribute_q),
}


def ago(text: str) -> timedelta:
    """ "90m", "2h", "7d", "2w". Raises Invalid."""
    found = _AGO.fullmatch(text)
    if not found:
        raise Invalid(_("Write a span of time as 30m, 2h, 7d or 2w."))
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def span(text: str, *, now: datetime) -> tuple[datetime, datetime]:
    """What a moment in words covers: a day from its midnight to the next, or an instant ("7d" ago) twice. Raises Invalid."""
    if _AGO.fullmatch(text):
        at = now - ago(text)
        return at, at
    zone = timezone.get_current_timezone()
    day = now.astimezone(zone).date() - timedelta(days=DAYS[text]) if text in DAYS else _day(text)
    midnight = datetime.combine(day, time.min, tzinfo=zone)
    return midnight, datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not 1970 <= day.year <= 2200:
        raise Invalid(_("Write a day as 2026-09-30, or a span of time as 7d."))
    return day


def daytime(text: str) -> str:
    """ "9-18" -> "09:00-18:00"; over midnight where it ends before it begins. Raises Invalid."""
    found = _DAYTIME.fullmatch("".join(text.split()))
    clock = [int(found[n]) * 60 + int(found[n + 1] or 0) for n in (1, 3)] if found else []
    whole = [0 if at == 24 * 60 else at for at in clock]
    if not found or whole[0] == whole[1] or max(whole) >= 24 * 60 or max(int(found[n] or 0) for n in (2, 4)) > 59:
        raise Invalid(_("Write times as 09:00-18:00."))
    return "-".join(f"{at // 60:02}:{at % 60:02}" for at in whole)


def _is_one_of_times(at: time, values: list[str]) -> bool:
    for begins, ends in ((time.fromisoformat(one) for one in daytime(value).split("-")) for value in values):
        if begins <= at < ends if begins < ends else not ends <= at < begins:
            return True
    return False


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone_of(leaf: Tree) -> ZoneInfo | None:
    """The one that it names; None for that of the ticket's team. Raises Invalid."""
    zone = leaf.get("zone")
    if zone is None:
        return None
    if leaf.get("field") not in OF_A_ZONE or str(zone) not in zones():
        raise Invalid(_("There is no time zone “%(zone)s”.") % {"zone": zone})
    return ZoneInfo(str(zone))


def _numbers(values: list[str]) -> list[int]:
    return [int(value) for value in values if value.isascii() and value.isdigit() and len(value) < 19]


def asked_facts_of(ticket: Ticket, reader: Reader) -> Facts:
    """The facts for every field that a search can ask, for one reader. More queries than `facts_of`."""
    mark = ReadMark.objects.filter(ticket=ticket, agent=reader.agent_id).values_list("message_id", flat=True).first()
    newest = ticket.last_message_id
    facts = facts_of(ticket, now=reader.now)
    facts.update(
        {
            "words": lambda op, word: Ticket.objects.filter(_words_q((op, [word])), pk=ticket.pk).exists(),
            "number": [str(ticket.number)],
            "updated": ticket.updated_at,
            "unread": newest is not None
            and newest > (mark or 0)
            and (bool(mark) or ticket.last_direction == "in")
            and (ticket.last_author_id is None or ticket.last_author_id != reader.agent_id),
        }
    )
    return facts


class TeamHours:
    """The business hours of teams, each looked up once."""

    def __init__(self) -> None:
        self._known: dict[int, Hours] = {}

    def of(self, team_id: int) -> Hours:
        """Those of the team, or the usual ones."""
        if team_id not in self._known:
            own = Q(pk__in=Team.objects.filter(pk=team_id).values("calendar"))
            calendar = Calendar.objects.filter(own | Q(is_default=True)).order_by("is_default").first()
            self._known[team_id] = calendar.hours() if calendar else ALWAYS
        return self._known[team_id]


class Facts(dict[str, Any]):
    """What the predicate looks at. What costs another query is found when a tree asks for it, and kept; what the clock
    says is that of the team and the moment ("now") that stand here then."""

    def __init__(self, known: Mapping[str, Any], found: Mapping[str, Callable[[], Any]], team_hours: TeamHours) -> None:
        super().__init__(known)
        self._found, self._hours = found, team_hours

    def __missing__(self, name: str) -> Any:
        if name in OF_THE_CLOCK:
            return OF_THE_CLOCK[name](self._hours.of(self["team"]), self["now"])
        value = self[name] = self._found[name]()
        return value


OF_A_ZONE: Mapping[str, Callable[[ZoneInfo, datetime], Any]] = {
    "weekday": lambda zone, now: now.astimezone(zone).isoweekday(),
    "daytime": lambda zone, now: now.astimezone(zone).time(),
}
OF_THE_CLOCK: Mapping[str, Callable[[Hours, datetime], Any]] = {
    "hours": lambda open_hours, now: "open" if hours.is_open(open_hours, now) else "closed",
    "weekday": lambda open_hours, now: OF_A_ZONE["weekday"](open_hours.zone, now),
    "daytime": lambda open_hours, now: OF_A_ZONE["daytime"](open_hours.zone, now),
}


@dataclass(frozen=True)
class Cause:
    """What makes rules run, as far as a condition asks for it: new messages, the deadline that is near or missed and how
    much of its time was used then."""

    said: QuerySet[Message] | None = None
    promise: str = ""
    percent: int | None = None

    def facts(self) -> dict[str, Any]:
        known: dict[str, Any] = {"percent": self.percent}
        return known | ({"promise": {self.promise}} if self.promise else {})

    def found(self) -> dict[str, Callable[[], Any]]:
        """One query for all that is asked of the messages."""
        said = Message.objects.none() if self.said is None else self.said.select_related("channel").order_by("id")
        return {
            "said": lambda: [one.plain_text for one in said],
            "said_on": lambda: {one.channel.kind for one in said if one.channel},
            "said_by": lambda: {name for one in said for name in authors_of(one)},
        }


def authors_of(said: Message) -> set[Any]:
    """What can be asked of who wrote it: a machine, or a person: the customer, or one of us by name."""
    if said.automatic:
        return {"machine"}
    match said.author_type:
        case Message.Author.CUSTOMER:
            return {"person", "customer"}
        case Message.Author.AGENT:
            return {"person", US, said.agent_id}
    return {"person"}


def facts_of(ticket: Ticket, *, now: datetime, cause: Cause | None = None) -> Facts:
    """Of a ticket at this moment: one query for each of those that cost one and that a tree asks for."""
    cause = cause or Cause()
    changing = {
        "priority": ticket.priority,
        "status": ticket.status,
        "team": ticket.team_id or 0,
        "assignee": ticket.assignee_id or 0,
        "csat": ticket.csat,
        "incident": ticket.incident_id or 0,
        "snoozed": ticket.snoozed_until is not None and ticket.snoozed_until > now,
        "waiting": ticket.waiting_since,
        "last_by": _last_by(ticket),
    }
    found = _found(ticket) | {
        "text": lambda: [ticket.subject, *_words_of(ticket)],
        "tag": lambda: set(ticket.tags.values_list("name", flat=True)),
        "customer": lambda: [ticket.customer.name, *_addresses_of(ticket)],
        "customer_address": lambda: _addresses_of(ticket),
        "sla": lambda: list(ticket.clocks.exclude(state="cancelled")),
        "needs": lambda: set(ticket.skills.values_list("skill", flat=True)),
        "promise": lambda: set(SlaClock.objects.pressing().filter(ticket=ticket).values_list("metric", flat=True)),
        "promised_by": lambda: set(
            SlaClock.objects.owed().filter(ticket=ticket).values_list("promise__owner", flat=True)
        ),
    }
    known = _lasting(ticket, now=now) | changing | cause.facts()
    return Facts(known, found | cause.found(), TeamHours())


def _addresses_of(ticket: Ticket) -> list[str]:
    return list(ticket.customer.identities.values_list("value", flat=True))


def _last_by(ticket: Ticket) -> set[Any]:
    if ticket.last_direction == "out":
        return {US, ticket.last_author_id}
    return {"customer"} if ticket.last_direction == "in" else set()


def _words_of(ticket: Ticket) -> list[str]:
    public = Message.objects.filter(ticket=ticket, direction="in", kind="public")
    return list(public.order_by("seq").values_list("text", flat=True))


def first_facts_of(ticket: Ticket, team_hours: TeamHours) -> Facts:
    """Those at the moment at which it came, as far as the ticket itself tells; the caller adds text, tags, priority,
    status, team and assignee. No query where its customer with the identities and its channel are loaded. Custom
    fields and customers have no past: they are as they are today."""
    addresses = [identity.value for identity in ticket.customer.identities.all()]
    known: dict[str, Any] = {
        "customer": [ticket.customer.name, *addresses],
        "customer_address": addresses,
        "csat": None,
        "sla": [],
        "promise": set(),
        "promised_by": set(),
        "incident": 0,
        "needs": set(),
        "snoozed": False,
        "waiting": ticket.created_at,
        "last_by": {"customer"},
    }
    known |= _lasting(ticket, now=ticket.created_at) | Cause().facts()
    return Facts(known, _found(ticket) | Cause().found(), team_hours)


def _lasting(ticket: Ticket, *, now: datetime) -> dict[str, Any]:
    customer, channel = ticket.customer, ticket.first_channel
    return {
        "now": now,
        "channel": channel.kind if channel else "",
        "subject": [ticket.subject],
        "language": ticket.language,
        "customer_language": customer.language,
        "customer_tier": customer.tier,
        "customer_organisation": [customer.organisation],
        "brand": ticket.brand_id,
        "created": ticket.created_at,
        "field.": ticket.fields,
        "customer.": customer.attributes,
    }


def _found(ticket: Ticket) -> dict[str, Callable[[], Any]]:
    return {"to": lambda: _written_to(ticket), "has": lambda: _things_with(ticket)}


def _written_to(ticket: Ticket) -> list[str]:
    mails = Message.objects.filter(ticket=ticket, direction="in")
    channel = [ticket.first_channel.address, ticket.first_channel.name] if ticket.first_channel else []
    return [*channel, *(address for to, cc in mails.values_list("to", "cc") for address in [*to, *cc])]


def _things_with(ticket: Ticket) -> set[str]:
    there = {
        "attachment": Attachment.objects.filter(message__ticket=ticket),
        "note": Message.objects.filter(ticket=ticket, kind="note"),
        "reply": Message.objects.filter(ticket=ticket, kind="public", direction="out"),
    }
    return {name for name, rows in there.items() if rows.exists()}


@contextmanager
def reading_once() -> Iterator[None]:
    """Inside, what can be chosen and which ticket fields there are is read once, however many trees are checked or said.
    Nothing of it changes there."""
    token = _read.set({})
    try:
        yield
    finally:
        _read.reset(token)


def _once(name: str, read: Callable[[], T]) -> T:
    known = _read.get()
    if known is None:
        return read()
    if name not in known:
        known[name] = read()
    found: T = known[name]
    return found


def _choices(name: str, field: Field) -> dict[Any, str]:
    return dict(_once(name, field.choices)) if field.choices else {}


def validate(tree: Any) -> None:
    """Raises Invalid, in the reader's language, at the first thing that cannot be understood, or that only a rule can
    ask."""
    validate_of_rule(tree)
    for name in sorted(fields_of(tree)):
        if name in OF_THE_MOMENT:
            raise Invalid(only_a_rule(name))


def validate_of_rule(tree: Any) -> None:
    """Raises Invalid, in the reader's language, at the first thing that cannot be understood."""
    count = _validate(tree, path=(), depth=0)
    if count > MAX_LEAVES:
        raise Invalid(_("At most %(max)d conditions are possible.") % {"max": MAX_LEAVES})


def fields_of(tree: Tree) -> set[str]:
    """The fields that a tree asks for."""
    if not tree:
        return set()
    if "field" in tree:
        return {tree["field"]}
    return {name for branches in tree.values() for branch in branches for name in fields_of(branch)}


def only_a_rule(name: str) -> str:
    """Why nothing else can ask for this field, in the reader's language."""
    return _("Only a rule can ask for this, at the moment at which it runs: %(field)s") % {
        "field": OF_THE_MOMENT[name].label
    }


def outcome_of(tree: Tree, facts: Mapping[str, Any]) -> Outcome | None:
    """The predicate for a tree from the database; None for one that is hand-made or outdated: it stops nobody's work."""
    try:
        return matches(tree, facts)
    except (Invalid, TypeError, AttributeError):
        return None


def matches(tree: Tree, facts: Mapping[str, Any], reader: Reader | None = None) -> Outcome:
    """The predicate. `facts` are those of `facts_of`, or of `asked_facts_of` for a reader. Raises Invalid for a tree that `validate` refuses, TypeError or AttributeError for odd values."""
    if not tree:
        return Outcome(matched=True)
    if "field" in tree:
        return Outcome(matched=True) if _holds(tree, facts, reader) else Outcome(matched=False, failed=tree)
    group, branches = _group_of(tree)
    if group == "none":
        hit = next((branch for branch in branches if matches(branch, facts, reader).matched), None)
        return Outcome(matched=hit is None, failed=None if hit is None else {"none": [hit]})
    outcomes = [matches(branch, facts, reader) for branch in branches]
    missed = [outcome for outcome in outcomes if not outcome.matched]
    matched = not missed if group == "all" else len(missed) < len(outcomes)
    return Outcome(matched=matched, failed=None if matched else missed[0].failed if missed else tree)


def to_q(tree: Tree, reader: Reader | None = None) -> Q:
    """The same tree over `Ticket`. Fields and operators come from the tables above, never from the tree (V39)."""
    if not tree:
        return ~NEVER
    if "field" in tree:
        return _leaf_q(tree, reader or NOBODY)
    group, branches = _group_of(tree)
    parts = [to_q(branch, reader) for branch in branches]
    if group == "all":
        return Q(*parts) if parts else ~NEVER
    either = Q(*parts, _connector="OR") if parts else NEVER
    return ~either if group == "none" else either


def sentence(tree: Tree) -> str:
    """How a person would say it, in the reader's language. "" for a tree that always holds."""
    if not tree:
        return ""
    if "field" in tree:
        return _say_leaf(tree)
    group, branches = _group_of(tree)
    said = [f"({text})" if _is_nested(branch) else text for branch in branches if (text := sentence(branch))]
    if group == "none":
        return _("none of: %(conditions)s") % {"conditions": _(" or ").join(said)}
    return (_(" and ") if group == "all" else _(" or ")).join(said)


def _is_nested(tree: Tree) -> bool:
    return "field" not in tree and len(_group_of(tree)[1]) > 1


def _group_of(tree: Tree) -> tuple[str, list[Tree]]:
    group = next((name for name in GROUPS if name in tree), None)
    if group is None or len(tree) != 1 or not isinstance(tree[group], list):
        raise Invalid(_("A group is one of: all, any, none."))
    return group, tree[group]


def field_named(name: Any) -> Field | None:
    return _OF_KEYS[prefix_of(name)] if prefix_of(name) else ASKED.get(name) or OF_THE_MOMENT.get(name)


def in_rules(name: Any) -> bool:
    """Whether a rule can ask for this field; a policy can too, but for OF_THE_MOMENT."""
    return name in FIELDS or name in OF_THE_MOMENT or bool(prefix_of(name))


def prefix_of(name: Any) -> str:
    """ "field." or "customer." for a field of somebody's own with its key, else ""."""
    return next((one for one in CUSTOM if isinstance(name, str) and name.startswith(one) and name != one), "")


def key_of(name: str) -> str:
    return name.removeprefix(prefix_of(name))


def known_keys(prefix: str) -> list[str]:
    """The keys that the newest tickets or customers have, for whoever types one."""
    rows = (
        Ticket.objects.order_by("-id").values_list("fields", flat=True)
        if prefix == "field."
        else Customer.objects.order_by("-id").values_list("attributes", flat=True)
    )
    return sorted({key for row in rows[:RECENT] for key in row})


def _field_of(leaf: Tree) -> tuple[Field, str]:
    field = field_named(leaf.get("field", ""))
    if leaf.get("field") in CUSTOM:
        raise Invalid(_("Write the key of the field, as order_id."))
    if field is None:
        raise Invalid(_("Unknown field: %(field)s") % {"field": leaf.get("field", "")})
    op = leaf.get("op", "")
    if op not in OPERATORS[field.kind]:
        raise Invalid(_("%(field)s cannot be compared this way: %(op)s") % {"field": field.label, "op": op})
    return field, op


def _values_of(field: Field, leaf: Tree) -> list[Any]:
    value, _zone = leaf.get("value"), _zone_of(leaf)
    values = value if isinstance(value, list) else [value]
    if field.kind == "custom" and leaf.get("op") in OF_NUMBERS:
        if len(values) != 1 or not isinstance(values[0], str):
            raise Invalid(_("Write a number, like 12 or 12.5."))
        _number(values[0])
        return values
    is_of_days = field.kind == "custom" and leaf.get("op") in OF_DAYS
    if field.kind in ("text", "tags", "words", "custom") and not is_of_days:
        words = [word.strip() for word in values if isinstance(word, str) and word.strip()]
        if not words or any(len(word) > MAX_TEXT for word in words):
            raise Invalid(_("%(field)s: write what to look for.") % {"field": field.label})
        return [word.lower() for word in words] if field.kind == "tags" else words
    if field.kind == "own":
        return values
    if field.kind == "daytime":
        if not values:
            raise Invalid(_("Write times as 09:00-18:00."))
        return [daytime(str(one)) for one in values]
    if field.kind == "percent":
        if len(values) != 1 or type(values[0]) is not int or not 1 <= values[0] <= 100:
            raise Invalid(_("%(field)s: write a number from 1 to 100.") % {"field": field.label})
        return values
    if field.kind in ("moment", "wait") or is_of_days or leaf.get("op") == "within":
        if len(values) != (2 if leaf.get("op") == "between" else 1) or not all(isinstance(one, str) for one in values):
            raise Invalid(_("Write a day as 2026-09-30, or a span of time as 7d."))
        for one in map(str, values):
            span(one, now=SOME_DAY) if field.kind == "moment" or is_of_days else ago(one)
        return values
    allowed = _choices(leaf["field"], field)
    if not values or any(value not in allowed and not _is_me(leaf, value) for value in values):
        raise Invalid(_("%(field)s: choose from the list.") % {"field": field.label})
    return values


def _is_me(leaf: Tree, value: Any) -> bool:
    return value == ME and leaf["field"] in ("assignee", "last_by", "promised_by")


def _holds(leaf: Tree, facts: Mapping[str, Any], reader: Reader | None) -> bool:
    field, op = _field_of(leaf)
    value, zone = leaf.get("value"), _zone_of(leaf)
    fact = OF_A_ZONE[leaf["field"]](zone, facts["now"]) if zone else facts[prefix_of(leaf["field"]) or leaf["field"]]
    values: list[Any] = value if isinstance(value, list) else [value]
    if field.kind in ("order", "percent"):
        if fact is None:
            return False
        return {"is": fact == values[0], "at_least": fact >= values[0], "at_most": fact <= values[0]}[op]
    if field.kind == "moment":
        return _is_within(fact, op, values, now=reader.now if reader else facts["now"])
    if field.kind == "wait":
        since = (reader.now if reader else facts["now"]) - ago(values[0])
        return fact is not None and (fact <= since) is (op == "at_least")
    if field.kind == "due":
        return _is_due(fact, op, value, now=reader.now if reader else facts["now"])
    if field.kind == "words":
        found = any(fact(op.removesuffix("_not"), word.strip()) for word in values)
    elif leaf["field"] == "number":
        found = any(word.strip() in fact for word in values)
    elif field.kind == "text":
        found = any(word.strip().casefold() in text.casefold() for word in values for text in fact)
    elif field.kind == "tags":
        found = any(name.lower() in fact for name in values)
    elif field.kind == "custom":
        found = _is_kept(fact.get(key_of(leaf["field"])), op, values, now=reader.now if reader else facts["now"])
    elif field.kind == "own":
        found = fact
    elif field.kind == "daytime":
        found = _is_one_of_times(fact, values)
    else:
        values = [reader.agent_id if reader and _is_me(leaf, one) else one for one in values]
        found = any(one in fact for one in values) if leaf["field"] in SEVERAL else fact in values
    return found is not (op in NEGATED)


def _is_kept(stored: Any, op: str, values: list[str], *, now: datetime) -> bool:
    """As `_kept` compares: 1 is 1.0, and neither is true; a text is no number, and only what is written as one is a day."""
    if op in OF_NUMBERS:
        if isinstance(stored, bool) or not isinstance(stored, int | float):
            return False
        wanted = _number(values[0])
        return stored >= wanted if op == "at_least" else stored <= wanted
    if op in OF_DAYS:
        if not (isinstance(stored, str) and fields.DAY.fullmatch(stored)):
            return False
        first, last = _days(values, now=now)
        return {
            "after": stored > last,
            "since": stored >= first,
            "before": stored < first,
            "until": stored <= last,
            "between": first <= stored <= last,
        }[op]
    forms = _forms([word.strip() for word in values])
    return any(stored == form and isinstance(stored, bool) is isinstance(form, bool) for form in forms)


def _is_within(at: datetime, op: str, values: list[str], *, now: datetime) -> bool:
    begins, ends = _span_of(values, now=now)
    return {
        "after": at >= ends,
        "since": at >= begins,
        "before": at < begins,
        "until": at < ends,
        "between": begins <= at < ends,
    }[op]


def _span_of(values: list[str], *, now: datetime) -> tuple[datetime, datetime]:
    return span(values[0], now=now)[0], span(values[-1], now=now)[1]


def _is_due(clocks: list[SlaClock], op: str, value: Any, *, now: datetime) -> bool:
    if op == "within":
        until = now + ago(value)
        return any(one.state == "running" and one.breached_at is None and one.due_at <= until for one in clocks)
    values = value if isinstance(value, list) else [value]
    return any(one.breached_at if wanted == "breached" else one.state == wanted for one in clocks for wanted in values)


def _leaf_q(leaf: Tree, reader: Reader) -> Q:
    field, op = _field_of(leaf)
    values = _values_of(field, leaf)
    if field.q is None:
        raise Invalid(only_a_rule(leaf["field"]))
    match field.kind:
        case "order":
            return field.q((op, values[0]))
        case "moment":
            return field.q((op, *_span_of(values, now=reader.now)))
        case "due":
            return field.q((op, values[0] if op == "within" else values, reader.now))
        case "wait":
            return field.q((op, values[0], reader.now))
        case "words":
            found = field.q((op.removesuffix("_not"), values))
        case "custom":
            found = field.q((key_of(leaf["field"]), op, values, reader.now))
        case "clock" | "daytime":
            found = field.q((values, reader.now, _zone_of(leaf)))
        case "own":
            found = field.q(reader)
        case _:
            found = field.q([(reader.agent_id or -1) if _is_me(leaf, one) else one for one in values])
    return ~found if op in NEGATED else found


def _say_leaf(leaf: Tree) -> str:
    field, op = _field_of(leaf)
    value = leaf.get("value")
    values: Iterable[Any] = value if isinstance(value, list) else [value]
    label, names = _named(leaf["field"], field)
    if field.kind == "own":
        said = _("not: %(condition)s") if op in NEGATED else "%(condition)s"
        return said % {"condition": label}
    if op == "between":
        first, last = values
        return _("%(field)s from %(first)s to %(last)s") % {"field": label, "first": first, "last": last}
    quoted = field.kind in ("text", "words")
    said_values = [
        f"“{item}”" if quoted else _("me") if _is_me(leaf, item) else str(names.get(item, item)) for item in values
    ]
    said = _("%(field)s %(op)s %(values)s") % {
        "field": label,
        "op": OPERATORS[field.kind][op],
        "values": _(" or ").join(said_values),
    }
    return f"{said} ({leaf['zone']})" if leaf.get("zone") else said


def _named(name: str, field: Field) -> tuple[str, dict[Any, str]]:
    """What it is called, and its values: a ticket field by its name, anything else of a key with the key."""
    if field.kind != "custom":
        return str(field.label), _choices(name, field)
    known = _once("ticket fields", fields.by_key).get(key_of(name)) if name.startswith("field.") else None
    if known is None:
        return f"{field.label} “{key_of(name)}”", {}
    return known.label, choices_of(known)


def choices_of(known: TicketField) -> dict[Any, str]:
    """What a ticket field can be asked for, and what it is called; {} where anything can be written."""
    if known.kind == TicketField.Kind.YES_NO:
        return {"true": in_words(True), "false": in_words(False)}
    return {choice: choice for choice in known.choices}


def _validate(tree: Any, *, path: tuple[Any, ...], depth: int) -> int:
    if not isinstance(tree, Mapping):
        raise Invalid(_("A condition is missing."), path=path)
    if not tree:
        return 0
    if depth > MAX_DEPTH:
        raise Invalid(_("Conditions can be nested %(max)d deep at most.") % {"max": MAX_DEPTH}, path=path)
    try:
        if "field" in tree:
            field, _op = _field_of(tree)
            _values_of(field, tree)
            return 1
        group, branches = _group_of(tree)
    except Invalid as problem:
        raise Invalid(problem.problem, path=path) from None
    return sum(_validate(branch, path=(*path, group, n), depth=depth + 1) for n, branch in enumerate(branches))
