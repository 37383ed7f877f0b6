"""Why a call of the panel is refused: fixed codes, none of which tells whether a person or a ticket exists."""

from __future__ import annotations

CODES = {
    "malformed": 400,
    "token_expired": 401,  # renew
    "session_ended": 401,  # begin a new session
    "identity_refused": 403,
    "origin_refused": 403,
    "closed": 403,  # no new anonymous sessions, or the channel is switched off
    "too_long": 413,
    "file_refused": 415,
    "rate_limited": 429,
    "unavailable": 503,
}


class Refused(Exception):
    """Answered to the browser as `{"error": code}`. `retry_after` is in seconds."""

    def __init__(self, code: str, *, retry_after: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = CODES[code]
        self.retry_after = retry_after
