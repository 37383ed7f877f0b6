"""Claim, lease, fence: how rows become work exactly once (reliability.md 5).

A claim is a fresh UUID. It is committed before the work begins, lasts for a lease, and is written back only by the
one who still holds it (`WHERE lease_owner = claim`). While it works, the claimer holds the session advisory lock of
the UUID, so that a sweep can tell a dead connection from a slow one. Times are the database's clock.

Do not put a transaction-mode pooler between a worker and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection


@dataclass(frozen=True)
class Line:
    """A table whose rows are work. The SQL fragments speak of the candidate row as `e`.

    `due` and `busy`: its states, or one state for both where the lease alone says that somebody works on it.
    `lease`: seconds. `lane`: the column by which claims are capped. `held_back`: rows that must wait for another.
    `filters`: named conditions with one parameter each, which a caller may switch on.
    """

    table: str
    due: str
    busy: str
    lease: int
    lane: str | None = None
    held_back: str = "FALSE"
    filters: tuple[tuple[str, str], ...] = ()


RAW_EVENTS = Line(
    table="channels_in_rawevent",
    due="new",
    busy="processing",
    lease=150,
    lane="channel_id",
    held_back=(
        # That p's key is not empty follows from e's, but the planner needs to be told before it takes the partial index.
        "e.ordering_key <> '' AND EXISTS (SELECT 1 FROM channels_in_rawevent p WHERE p.channel_id = e.channel_id"
        " AND p.ordering_key = e.ordering_key AND p.ordering_key <> '' AND p.id < e.id"
        " AND p.state IN ('new', 'processing'))"
    ),
    filters=(("without_channels", "e.channel_id <> ALL (%s)"), ("channels", "e.channel_id = ANY (%s)")),
)
PARTS = Line(
    table="tickets_deliverypart",
    due="queued",
    busy="sending",
    lease=90,  # renewed every 30 s while it is being sent
    lane="channel_id",
    held_back=(
        "EXISTS (SELECT 1 FROM tickets_deliverypart p WHERE p.ticket_id = e.ticket_id AND p.channel_id = e.channel_id"
        " AND p.id < e.id AND p.state IN ('queued', 'sending') AND p.created_at > now() - interval '60 seconds')"
    ),
    filters=(
        ("kind", "e.channel_id IN (SELECT c.id FROM tickets_channel c WHERE c.kind = %s)"),
        ("without_channels", "e.channel_id <> ALL (%s)"),
    ),
)
OUTBOX = Line(
    table="tickets_outbox",
    due="queued",
    busy="sending",
    lease=60,
    lane="shard_key",
    filters=(("kind", "e.kind = %s"), ("without_shards", "e.shard_key <> ALL (%s)")),
)
MEDIA = Line(table="tickets_attachment", due="fetching", busy="fetching", lease=120)


class Claim(NamedTuple):
    """`attempts` counts this one. `taken_over`: its former holder died, or did not finish within its lease."""

    id: int
    owner: UUID
    attempts: int
    taken_over: bool


@contextmanager
def claimed(line: Line, **filters: Any) -> Iterator[Claim | None]:
    """Claim the oldest due row of a line, or None when nothing is due. Must not be inside a transaction.

    The claim's advisory lock is held until the block ends; the block itself gives the row its next state.
    """
    owner = uuid4()
    try:
        yield _take(line, owner, filters)
    finally:
        _unlock(owner)


def give_back(line: Line, claim: Claim, *, after: float = 0, attempt: bool = False, error: str = "") -> bool:
    """Make the row due again in `after` seconds. Without `attempt` the claim does not count as a try.

    Returns False when the claim was lost meanwhile (nothing is written then).
    """
    return _write(
        f"UPDATE {line.table} SET state = %s, attempts = GREATEST(attempts - %s, 0), lease_owner = NULL,"
        " lease_until = NULL, next_attempt_at = now() + make_interval(secs => %s), last_error = %s"
        " WHERE id = %s AND lease_owner = %s AND state = %s",
        [line.due, 0 if attempt else 1, after, error[:300], claim.id, claim.owner, line.busy],
    )


def renew(line: Line, claim: Claim) -> bool:
    """Extend the lease to its full length from now. False when the claim was lost: stop working."""
    return _write(
        f"UPDATE {line.table} SET lease_until = now() + make_interval(secs => %s)"
        " WHERE id = %s AND lease_owner = %s AND state = %s",
        [line.lease, claim.id, claim.owner, line.busy],
    )


def reopen_abandoned(line: Line) -> int:
    """Sweep: end the lease of claims whose connection is gone, so that they are taken over at once. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, lease_owner FROM {line.table} WHERE state = %s AND lease_owner IS NOT NULL"
            " AND lease_until > now() ORDER BY id LIMIT 500",
            [line.busy],
        )
        held = cursor.fetchall()
    opened = 0
    for pk, owner in held:
        opened += _write(
            f"UPDATE {line.table} SET lease_until = now() - interval '1 second' WHERE id = %s AND lease_owner = %s"
            " AND state = %s AND pg_try_advisory_xact_lock(%s)",
            [pk, owner, line.busy, _lock_of(owner)],
        )
    return opened


def _take(line: Line, owner: UUID, filters: dict[str, Any]) -> Claim | None:
    """One round trip and one transaction: lock the claim's name, then look and take under the line's own lock.

    The line's lock makes the cap exact. The claim is not flushed to disk: if PostgreSQL itself dies within that
    blink the attempt is not counted, which is right, for it was not the row's fault.
    """
    known = dict(line.filters)
    conditions, parameters = ["TRUE"], []
    for name, value in filters.items():
        conditions.append(known[name])
        parameters.append(value)
    if line.lane:
        conditions.append(
            f"e.{line.lane} NOT IN (SELECT h.{line.lane} FROM {line.table} h WHERE h.state = %s"
            f" AND h.lease_until > now() GROUP BY h.{line.lane} HAVING count(*) >= %s)"
        )
        parameters += [line.busy, settings.CLAIMS_PER_CHANNEL]
    if line.due == line.busy:
        ready = "e.state = %s AND e.next_attempt_at <= now() AND (e.lease_until IS NULL OR e.lease_until < now())"
        states = [line.due]
    else:
        ready = "(e.state = %s AND e.next_attempt_at <= now()) OR (e.state = %s AND e.lease_until < now())"
        states = [line.due, line.busy]
    sql = f"""
        SELECT pg_advisory_lock(%s);
        SELECT pg_advisory_xact_lock(hashtext(%s)), set_config('synchronous_commit', 'off', true);
        WITH taken AS (
            SELECT e.id, e.lease_owner IS NOT NULL AS again FROM {line.table} e
             WHERE ({ready}) AND {" AND ".join(conditions)} AND NOT ({line.held_back})
             ORDER BY e.id LIMIT 1 FOR UPDATE OF e SKIP LOCKED)
        UPDATE {line.table} w
           SET attempts = w.attempts + 1, state = %s, lease_owner = %s,
               lease_until = now() + make_interval(secs => %s)
          FROM taken WHERE w.id = taken.id
        RETURNING w.id, w.attempts, taken.again"""
    with connection.cursor() as cursor:
        cursor.execute(
            sql, [_lock_of(owner), f"claim:{line.table}", *states, *parameters, line.busy, owner, line.lease]
        )
        row = cursor.fetchone()
    return Claim(id=row[0], owner=owner, attempts=row[1], taken_over=row[2]) if row else None


def _unlock(owner: UUID) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_lock_of(owner)])
    except (DatabaseError, InterfaceError):
        connection.close()  # a session that is gone holds no lock; the next use connects anew


def _lock_of(owner: UUID) -> int:
    return int.from_bytes(owner.bytes[:8], signed=True)


def _write(sql: str, parameters: list[Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return bool(cursor.rowcount)
