"""Secrets at rest: Fernet with a key ring, newest first (reliability.md 14)."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest())) for key in keys])


def ring() -> MultiFernet:
    """The keys of `ENCRYPTION_KEYS`, else SECRET_KEY and its fallbacks. The first encrypts, all decrypt."""
    return _ring(tuple(settings.ENCRYPTION_KEYS) or (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


class EncryptedJSONField(models.BinaryField):
    """A JSON object, encrypted at rest. Never filter on it. Saving it anew encrypts it with the newest key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", dict)
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return {} if value is None else json.loads(ring().decrypt(bytes(value)))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        token = ring().encrypt(json.dumps(value or {}, sort_keys=True).encode())
        return super().get_db_prep_value(token, connection, prepared)

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        return ""  # a dump carries no secret
