"""Numbers that come as text, in addresses and forms."""

from __future__ import annotations


def whole_number(text: str | None) -> int | None:
    """From 0 on, and no larger than an id can be; None for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
