"""What a run is judged by: queries for the rows that must not exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

SHOWN = 3  # offending rows of a failed invariant


class Verdict(NamedTuple):
    name: str
    passed: bool
    details: str = ""

    def __str__(self) -> str:
        return f"{'passed' if self.passed else 'FAILED'}  {self.name}{f': {self.details}' if self.details else ''}"


def judge(cursor: Any, invariants: Mapping[str, str]) -> list[Verdict]:
    """Each invariant, a query for the rows that break it, by its name."""
    verdicts = []
    for name, query in invariants.items():
        cursor.execute(f"SELECT * FROM ({query}) offending")
        rows = cursor.fetchmany(SHOWN)
        details = f"{cursor.rowcount} rows, as {', '.join(map(str, rows))}" if rows else ""
        verdicts.append(Verdict(name, not rows, details))
    return verdicts
