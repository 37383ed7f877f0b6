"""`/healthz`: this process answers. `/readyz`: it can do its work, and if not, what is missing."""

import logging
import os
import shutil
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from helpdesk import heartbeat

logger = logging.getLogger(__name__)
LEAST_FREE = 200_000_000  # bytes of the disk that holds the attachments

_migrated = False  # once current, migrations stay current for the life of a process


class HealthMiddleware:
    """Answers probes, which ask by address and without https, before hosts, sessions and redirects."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/healthz":
            return HttpResponse("ok\n", content_type="text/plain")
        if request.path == "/readyz":
            report = readiness()
            return JsonResponse(report, status=200 if report["ready"] else 503)
        return self.get_response(request)


def readiness() -> dict[str, Any]:
    """`ready` is false when the database, the migrations or the disk fail. Redis or the worker away is `degraded`:
    messages are still accepted, and the sweep finds them later. No part names an address or a secret."""
    required = {"database": _database(), "migrations": _migrations(), "disk": _disk()}
    optional = {"redis": redis_state(), "worker": _worker()}
    ready = all(value == "ok" for value in required.values())
    degraded = ready and any(value != "ok" for value in optional.values())
    return {"ready": ready, "degraded": degraded, **required, **optional}


def _database() -> str:
    """A write inside a transaction that is rolled back."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE readiness (at timestamptz) ON COMMIT DROP")
            cursor.execute("INSERT INTO readiness VALUES (now())")
            transaction.set_rollback(True)
    except DatabaseError:
        logger.exception("readiness: database")
        return "cannot be written"
    return "ok"


def _migrations() -> str:
    global _migrated
    if not _migrated:
        try:
            executor = MigrationExecutor(connection)
            _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        except DatabaseError:
            return "unknown"
    return "ok" if _migrated else "not applied: run manage.py migrate"


def _disk() -> str:
    folder = settings.MEDIA_ROOT
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return "the folder of the attachments cannot be written"
    return "ok" if shutil.disk_usage(folder).free >= LEAST_FREE else "nearly full"


def redis_state() -> str:
    try:
        client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)
        try:
            client.ping()
        finally:
            client.close()
    except (redis.RedisError, OSError):
        return "away"
    return "ok"


def _worker() -> str:
    return "silent" if heartbeat.worker_silent() else "ok"
