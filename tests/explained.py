"""What statements cost in rows and pages, by EXPLAIN ANALYZE: the same on a busy machine as on an idle one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.db import connection


class Work(NamedTuple):
    """`rows`: read, kept or thrown away, in all steps of all plans. `pages`: of 8 KiB, from memory or disk."""

    statements: int
    rows: int
    pages: int


def work_of(act: Callable[[], object]) -> Work:
    """What the SELECTs cost that `act` asks. Each is run twice, the first time to be explained."""
    plans: list[Mapping[str, Any]] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Mapping[str, Any]) -> Any:
        if sql.startswith("SELECT "):
            with context["connection"].connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
                plans.append(cursor.fetchone()[0][0]["Plan"])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        act()
    return Work(
        statements=len(plans),
        rows=sum(map(_rows, plans)),
        pages=sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans),
    )


def _rows(node: Mapping[str, Any]) -> int:
    thrown_away = sum(count for name, count in node.items() if name.startswith("Rows Removed"))
    return round((node["Actual Rows"] + thrown_away) * node["Actual Loops"]) + sum(map(_rows, node.get("Plans", ())))
