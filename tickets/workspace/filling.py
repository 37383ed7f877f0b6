"""Ticket fields in the forms of rules and macros: what is written into each, nothing where it stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.http import QueryDict

from tickets import conditions, fields

PREFIX = "do-field-"


def rows(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What `field_values.html` shows."""
    return [
        {
            "name": f"{PREFIX}{one.key}",
            "label": one.label,
            "kind": one.kind,
            "longest": fields.LONGEST,
            "choices": conditions.choices_of(one).items(),
            "value": fields.written(values.get(one.key)),
        }
        for one in fields.ordered()
    ]


def posted(form: QueryDict) -> dict[str, Any]:
    """Values by keys, as they are kept; as they were written where one cannot be."""
    written = {
        name.removeprefix(PREFIX): text
        for name in form
        if name.startswith(PREFIX) and (text := form.get(name, "").strip())
    }
    with suppress(fields.Invalid):
        return fields.checked(written)
    return written
