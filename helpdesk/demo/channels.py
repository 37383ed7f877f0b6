"""The demo's channels: real ones in every respect but the base addresses, which are the simulated providers."""

from __future__ import annotations

from typing import Any


def CHANNELS(settings: Any) -> dict[str, dict[str, Any]]:
    """Kind -> fields of `Channel`. Secrets are made anew for each demo."""
    return {}
