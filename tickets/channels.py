"""From a channel kind to its adapter. The registry is data (`CHANNEL_ADAPTERS`); the core imports no provider."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from tickets.contract import Adapter, Capabilities


class UnknownKind(LookupError):
    """No adapter is registered for this kind. Add a line to CHANNEL_ADAPTERS."""


@lru_cache(maxsize=64)
def adapter_for(kind: str) -> Adapter:
    """The adapter of a channel kind; one stateless instance each. Raises UnknownKind."""
    try:
        path = settings.CHANNEL_ADAPTERS[kind]
    except KeyError:
        raise UnknownKind(kind) from None
    return import_string(path)()


def capabilities_of(kind: str) -> Capabilities:
    """The limits of a channel kind. Raises UnknownKind."""
    return adapter_for(kind).capabilities


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "CHANNEL_ADAPTERS":
        adapter_for.cache_clear()


setting_changed.connect(_forget)
