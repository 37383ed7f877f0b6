"""`Idempotency-Key` on POST: the same key and body give the stored answer for 24 h (reliability.md 9)."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from tickets.api.errors import Conflict
from tickets.models import IdempotencyKey

KEPT = timedelta(hours=24)
IN_FLIGHT = timedelta(seconds=60)  # a request that died leaves its key; after so long it may be tried again


def once(request: Request, act: Callable[[uuid.UUID], Response]) -> Response:
    """Run `act` once for this key. It gets a UUID that is the same for every try of the same key.

    Raises Conflict for the same key with another body, and while the first one is still in flight.
    """
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        return act(uuid.uuid4())
    if len(key) > 200:
        raise ValidationError({"Idempotency-Key": ["At most 200 characters."]})
    now = timezone.now()
    sha = hashlib.sha256(
        f"{request.method} {request.path} {json.dumps(request.data, sort_keys=True)}".encode()
    ).hexdigest()
    kept = _claim(request, key, sha, now=now)
    if kept.request_sha256 != sha:
        raise Conflict("This Idempotency-Key was used for another request.")
    if kept.status is not None:
        return Response(kept.response, status=kept.status, headers={"Idempotent-Replayed": "true"})
    try:
        response = act(uuid.uuid5(uuid.NAMESPACE_URL, f"idempotency:{kept.token_id}:{key}"))
    except Exception:
        kept.delete()  # an error is no answer to keep: the caller may mend it and try again
        raise
    kept.status, kept.response = response.status_code, _plain(response.data)
    kept.save(update_fields=["status", "response"])
    return response


def forget_old(*, now: datetime) -> int:
    """Sweep: answers older than a day."""
    return IdempotencyKey.objects.filter(created_at__lt=now - KEPT).delete()[0]


def _claim(request: Request, key: str, sha: str, *, now: datetime) -> IdempotencyKey:
    token: Any = request.auth
    try:
        with transaction.atomic():
            return IdempotencyKey.objects.create(token=token, key=key, request_sha256=sha, created_at=now)
    except IntegrityError:
        kept = IdempotencyKey.objects.get(token=token, key=key)
        if kept.status is None and kept.request_sha256 == sha:
            stale = IdempotencyKey.objects.filter(pk=kept.pk, status__isnull=True, created_at__lt=now - IN_FLIGHT)
            if not stale.update(created_at=now):
                raise Conflict("The first request with this key is still in flight.") from None
        return kept


def _plain(data: Any) -> Any:
    return json.loads(json.dumps(data, default=str))
