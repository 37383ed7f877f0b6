"""Messages that providers approved beforehand: what there is to choose from, and one of them filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction

from tickets.contract import Template
from tickets.models import Channel, MessageTemplate

LONGEST_VALUE = 1000  # characters of one place
MOST = 500  # templates of one channel
_SPACE = re.compile(r"\s+")


def keep(channel: Channel, found: Iterable[Template]) -> int:
    """These are the channel's templates from now on. Returns how many."""
    rows = [
        MessageTemplate(
            channel=channel,
            name=one.name[:512],
            language=one.language[:16],
            body=one.body,
            places=[place[:80] for place in one.places],
            named=one.named,
        )
        for one in {(one.name, one.language): one for one in found}.values()
    ][:MOST]
    with transaction.atomic():
        keys = {(row.name, row.language) for row in rows}
        for known in MessageTemplate.objects.filter(channel=channel):
            if (known.name, known.language) not in keys:
                known.delete()
        MessageTemplate.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["channel", "name", "language"],
            update_fields=["body", "places", "named"],
        )
    return len(rows)


def of(channel: Channel) -> list[MessageTemplate]:
    return list(MessageTemplate.objects.filter(channel=channel).order_by("name", "language", "pk"))


def chosen(known: Sequence[MessageTemplate], asked: str, *, language: str) -> MessageTemplate | None:
    """The one that was asked for by its id, else the first in that language, else the first; None where there is none."""
    for one in known:
        if str(one.pk) == asked:
            return one
    spoken = [one for one in known if one.language.partition("_")[0] == language]
    return next(iter(spoken or known), None)


def values_of(template: MessageTemplate, given: Mapping[str, str], *, name: str) -> dict[str, str]:
    """What stands in its places: as given (`place-<name>`), else the customer's name in the first one. That is nearly always
    what it means, and can be changed; what it really is nobody tells us."""
    if any(key.startswith("place-") for key in given):
        return {place: given.get(f"place-{place}", "") for place in template.places}
    return dict.fromkeys(template.places, "") | dict.fromkeys(template.places[:1], name)


def words_of(template: MessageTemplate, values: Mapping[str, str]) -> str:
    """The body with its values; a place without one stays as it is written."""
    words = template.body
    for place in template.places:
        if value := clean(values.get(place, "")):
            words = words.replace("{{" + place + "}}", value)
    return words


def clean(value: str) -> str:
    """On one line: providers refuse line breaks and runs of spaces in a place."""
    return _SPACE.sub(" ", value).strip()[:LONGEST_VALUE]


def as_sent(template: MessageTemplate, values: Mapping[str, str]) -> dict[str, Any]:
    """What `replies.post` and the adapter take. Raises ValueError for a place that is not filled."""
    filled = {place: clean(values.get(place, "")) for place in template.places}
    if empty := [place for place, value in filled.items() if not value]:
        raise ValueError(empty[0])
    variables: Any = filled if template.named else list(filled.values())
    return {"name": template.name, "language": template.language, "variables": variables}
