"""Structured logs: one JSON object a line, each with the id of the request or task that caused it, none with a secret."""

import logging
import re
from contextvars import ContextVar
from typing import Any

from pythonjsonlogger.json import JsonFormatter as BaseJsonFormatter

request_id: ContextVar[str] = ContextVar("request_id", default="-")

# What looks like a credential in a message: "token=...", "Authorization: Bearer ...", a password inside a URL.
_SECRETS = re.compile(
    r"(?P<name>(?:authorization|password|passwd|secret|api[-_]?key|access[-_]?token|auth[-_]?token|token|cookie"
    r"|signature|sessionid|csrftoken)[\"']?\s*[=:]\s*[\"']?)(?:(?:bearer|basic)\s+)?[^\s\"'&,;}]{3,}"
    r"|(?P<bearer>\bbearer\s+)[\w.~+/=-]{8,}"
    r"|(?P<url>\w+://[^\s:/@]*:)[^\s@/]+(?=@)",
    re.IGNORECASE,
)
_SECRET_NAMES = re.compile(r"authorization|passw|secret|api_?key|token|cookie|signature", re.IGNORECASE)
_LONGEST = 20_000  # characters looked at; a longer message is cut


class RequestIdFilter(logging.Filter):
    """Adds `request_id` to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


class SecretsFilter(logging.Filter):
    """Masks what looks like a credential in the message and in the extras."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = masked(record.getMessage()), ()
        for name, value in vars(record).items():
            if isinstance(value, str) and name not in _STANDARD and _SECRET_NAMES.search(name):
                setattr(record, name, "***")
        return True


class JsonFormatter(BaseJsonFormatter):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s",
            timestamp="at",
            rename_fields={"levelname": "level", "name": "logger"},
            **kwargs,
        )

    def formatException(self, ei: Any) -> str:
        return masked(str(super().formatException(ei)))


def masked(text: str) -> str:
    """The text without what looks like a credential."""

    def mask(match: re.Match[str]) -> str:
        return (match["name"] or match["bearer"] or match["url"] or "") + "***"

    return _SECRETS.sub(mask, text[:_LONGEST])


_STANDARD = frozenset(vars(logging.makeLogRecord({})))
