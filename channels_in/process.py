"""A kept item becomes an effect: one `match` over what `normalise` returns (reliability.md 5)."""

from __future__ import annotations


def drain(*, seconds: float = 60) -> int:
    raise NotImplementedError
