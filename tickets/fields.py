"""The fields of tickets: which there are, what can be kept in one, and what is wanted on a ticket before a person solves it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import QuerySet
from django.db.models.functions import JSONObject
from django.utils.translation import gettext as _

from tickets.models import Ticket, TicketField

MOST = 100  # switched on
MOST_CHOICES = 100
LONGEST = 500  # characters of a text
LONGEST_CHOICE = 80
NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?", re.ASCII)  # as it is kept
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)  # as it is kept
_COLUMNS = ("id", "key", "label", "kind", "choices", "brand_id", "team_id", "required", "position")
YES_NO = {"true": True, "false": False}


class Invalid(ValueError):
    """A value that cannot be kept. The text is for the person who wrote it; `key` is the field's."""

    def __init__(self, problem: str, *, key: str) -> None:
        super().__init__(problem)
        self.key = key


def ordered() -> QuerySet[TicketField]:
    """Those that are switched on, as they stand beside a ticket."""
    return TicketField.objects.filter(active=True).order_by("position", "id")


def by_key() -> dict[str, TicketField]:
    """All there are, switched off ones too."""
    return {field.key: field for field in TicketField.objects.all()}


def named(key: str) -> TicketField | None:
    """Switched off ones too: what was kept under their key is still asked for."""
    return TicketField.objects.filter(key=key).first()


def beside_the_ticket() -> ArraySubquery:
    """To annotate as `field_rows`: with it, `of` asks nothing any more."""
    columns = JSONObject(**{name: name for name in _COLUMNS})
    return ArraySubquery(ordered().values(json=columns))


def of(ticket: Ticket) -> list[TicketField]:
    """The fields of this ticket: those that are wanted of it, and those that it has a value of."""
    rows = getattr(ticket, "field_rows", None)
    known = ordered() if rows is None else [TicketField(**row) for row in rows]
    return [field for field in known if field.is_of(ticket) or field.key in ticket.fields]


# -- Values -----------------------------------------------------------------------------------------------------------


def checked(values: Mapping[str, Any], known: Iterable[TicketField] | None = None) -> dict[str, Any]:
    """As they are kept; None where there is none. `known`: the fields, where the caller has them. Raises Invalid."""
    fields = {field.key: field for field in (ordered().filter(key__in=list(values)) if known is None else known)}
    for key in values:
        if key not in fields:
            raise Invalid(_("There is no ticket field “%(key)s”.") % {"key": key}, key=key)
    return {key: read(fields[key], value) for key, value in values.items()}


def read(field: TicketField, value: Any) -> Any:
    """A value as it was written or sent, as it is kept; None for nothing. Raises Invalid."""
    if isinstance(value, str):
        value = " ".join(value.replace("\x00", "").split())
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) else ""
    match field.kind:
        case TicketField.Kind.TEXT if text and len(text) <= LONGEST:
            return text
        case TicketField.Kind.NUMBER if (number := number_in(value)) is not None:
            return number
        case TicketField.Kind.DATE if day := day_in(text):
            return day
        case TicketField.Kind.YES_NO if isinstance(value, bool):
            return value
        case TicketField.Kind.YES_NO if text.lower() in YES_NO:
            return YES_NO[text.lower()]
        case TicketField.Kind.CHOICE if text in field.choices:
            return text
    raise Invalid(_("%(field)s: %(advice)s") % {"field": field.label, "advice": _advice(field)}, key=field.key)


def _advice(field: TicketField) -> str:
    match field.kind:
        case TicketField.Kind.NUMBER:
            return _("write a number, like 12 or 12.5.")
        case TicketField.Kind.DATE:
            return _("write a date, like 2026-09-30.")
        case TicketField.Kind.YES_NO:
            return _("choose yes or no.")
        case TicketField.Kind.CHOICE:
            return _("choose one of: %(choices)s.") % {"choices": ", ".join(field.choices)}
    return _("write a text of at most %(max)d characters.") % {"max": LONGEST}


def number_in(value: Any) -> int | float | None:
    """Up to 15 digits and 6 decimals, with or without commas between the thousands; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = re.sub(r",(?=[0-9]{3}(?:[,.]|$))", "", str(value))
    if not NUMBER.fullmatch(text):
        return None
    number = float(text)
    return int(number) if number.is_integer() else number


def day_in(text: str) -> str:
    """A day as it is kept, "2026-09-30"; "" for anything else."""
    if not DAY.fullmatch(text):
        return ""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return ""
    return text if 1900 <= day.year <= 2200 else ""


def written(value: Any) -> str:
    """A value as a form holds it, and as `read` takes it again."""
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


# -- Before a solve ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lack:
    """What is wanted on a ticket before a person solves it, and is not there. `place` is its property's beside the ticket."""

    code: str  # "untagged", "unfilled"
    place: str
    label: str = ""


TAGS = "property-tags"


def lacks(ticket: Ticket, *, given: Collection[str] = ()) -> list[Lack]:
    """The one list of what a solve waits for, in the order of the properties. `given`: places that are filled along with
    it. No query for what `beside_the_ticket` and the tags have brought."""
    found = [Lack("untagged", TAGS)] if ticket.lacks_tag else []
    found += [Lack("unfilled", place_of(one.key), one.label) for one in of(ticket) if lacks_value(ticket, one)]
    return [lack for lack in found if lack.place not in given]


def lacks_value(ticket: Ticket, field: TicketField) -> bool:
    return field.required and ticket.is_unsolved and field.is_of(ticket) and field.key not in ticket.fields


def place_of(key: str) -> str:
    return f"property-field-{key}"


def sentence_of(lacking: Iterable[Lack]) -> str:
    """What to do before the solve, for the person who tried."""
    lacking = list(lacking)
    said = []
    if any(lack.code == "untagged" for lack in lacking):
        said.append(_("This team wants a tag on a ticket before it is solved. Add one."))
    if names := [lack.label for lack in lacking if lack.code == "unfilled"]:
        said.append(_("Fill in before the ticket is solved: %(names)s") % {"names": ", ".join(names)})
    return " ".join(said)
