"""Keys that programs know things by, made of the names that people give them."""

from __future__ import annotations

from itertools import count
from typing import Any

from django.db.models import QuerySet


def free_key(rows: QuerySet[Any], begin: str, *, column: str = "key", between: str = "-") -> str:
    """`begin`, or with the first number behind it that no row has in this column yet: "shop", "shop-2"."""
    taken = set(rows.filter(**{f"{column}__startswith": begin}).values_list(column, flat=True))
    return next(key for n in count(1) if (key := begin if n == 1 else f"{begin}{between}{n}") not in taken)
