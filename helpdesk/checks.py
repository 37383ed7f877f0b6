"""System checks with ids. Those of the tag `deploy` refuse an unsafe production start (`manage.py check --deploy`)."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connections
from django.utils.module_loading import import_string

from helpdesk.environment import LOOPBACK

TAG = "helpdesk"
LOWEST_DJANGO = (5, 2, 8)  # the security floor; raise it with each security release
LOWEST_POSTGRES = 170000  # transaction_timeout
MAIL_SAFE_PYTHON = {(3, 11): (3, 11, 15), (3, 12): (3, 12, 13)}
SHORTEST_KEY = 32  # characters
KNOWN_KEYS = ("django-insecure", "change-me", "changeme", "secret", "example")
# What the core and the screens call on an adapter: the protocol of tickets/contract.py.
ADAPTER_METHODS = ("verify", "handshake", "items", "normalise", "send", "fetch_media")


@register(TAG)
def channel_adapters(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Each dotted path of CHANNEL_ADAPTERS is an adapter of its kind."""
    found: list[CheckMessage] = []
    for kind, path in settings.CHANNEL_ADAPTERS.items():
        try:
            adapter = import_string(path)
        except ImportError as error:
            found.append(
                Error(
                    f"The adapter of the channel kind {kind!r} cannot be imported: {error}",
                    hint="Correct its dotted path in CHANNEL_ADAPTERS, or remove the kind.",
                    id="helpdesk.E010",
                )
            )
            continue
        missing = [name for name in ADAPTER_METHODS if not callable(getattr(adapter, name, None))]
        missing += [name for name in ("label", "icon", "capabilities") if not hasattr(adapter, name)]
        if getattr(adapter, "kind", None) != kind:
            missing.append(f'kind = "{kind}"')
        if missing:
            found.append(
                Error(
                    f"{path} lacks {', '.join(missing)}.",
                    hint="Copy another channel's folder; docs/adding-a-channel.md explains each method.",
                    id="helpdesk.E011",
                )
            )
    return found


@register
def interpreter(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """An interpreter with known faults in its mail package is worth a warning when the product is set up."""
    if "--deploy" not in sys.argv and "doctor" not in sys.argv:
        return []
    lowest = MAIL_SAFE_PYTHON.get(sys.version_info[:2])
    if lowest is None or sys.version_info[:3] >= lowest:
        return []
    return [
        Warning(
            f"Python {'.'.join(map(str, sys.version_info[:3]))} has known faults in reading mail.",
            hint=f"Use {'.'.join(map(str, lowest))} or newer; until then the limits of the parser contain them.",
            id="helpdesk.W020",
        )
    ]


@register(Tags.database)
def postgres_version(app_configs: Any, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for alias in databases or ():
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SHOW server_version_num")
                version = int(cursor.fetchone()[0])
        except DatabaseError:
            continue  # whoever needs the database says so better
        if version < LOWEST_POSTGRES:
            found.append(
                Error(
                    f"PostgreSQL {version // 10000} is too old.",
                    hint="Use PostgreSQL 17 or newer: the time-out of transactions is relied upon.",
                    id="helpdesk.E009",
                )
            )
    return found


@register(TAG, deploy=True)
def safe_start(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """What may be convenient on one's own machine and must not meet the public."""
    return list(_safe_start())


def _safe_start() -> Iterable[CheckMessage]:
    host = urlsplit(settings.SITE_URL).hostname
    if settings.DEBUG and not settings.ON_LOOPBACK:
        yield Error(f"DEBUG is on, and SITE_URL names {host}.", hint="Unset DEBUG.", id="helpdesk.E001")
    key = settings.SECRET_KEY
    if len(key) < SHORTEST_KEY or len(set(key)) < 8 or key.lower().startswith(KNOWN_KEYS):
        yield Error(
            "SECRET_KEY is short or well known.",
            hint="Set it to 50 random characters: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
            id="helpdesk.E002",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield Error("ALLOWED_HOSTS contains '*'.", hint="Name the hosts; SITE_URL's is included.", id="helpdesk.E003")
    if not settings.HTTPS and not settings.ON_LOOPBACK and not settings.INSECURE_HTTP:
        yield Error(
            f"SITE_URL is http on {host}: passwords and sessions could be read on the way.",
            hint="Use https (docker-compose.yml has a proxy for it), or set INSECURE_HTTP=1 in a closed network.",
            id="helpdesk.E004",
        )
    if settings.SAFE_FETCH_ALLOW and not settings.ON_LOOPBACK:
        yield Error(
            "SAFE_FETCH_ALLOW is set on a public SITE_URL: it opens internal addresses.",
            hint="Unset SAFE_FETCH_ALLOW; it is for simulated providers on one's own machine.",
            id="helpdesk.E005",
        )
    if settings.DEMO and not settings.ON_LOOPBACK:
        yield Error(
            "DEMO is on, and SITE_URL is public: simulated providers accept what anyone sends.",
            hint="Unset DEMO.",
            id="helpdesk.E006",
        )
    media, static = Path(settings.MEDIA_ROOT).resolve(), Path(settings.STATIC_ROOT).resolve()
    if media == static or static in media.parents or media in static.parents:
        yield Error(
            "The attachments lie inside the folder of the static files, or the other way round.",
            hint="Give STORAGE_URL and STATIC_ROOT separate folders.",
            id="helpdesk.E007",
        )
    yield from _open_services()
    if django.VERSION[:3] < LOWEST_DJANGO:
        yield Error(
            f"Django {django.get_version()} has known holes.",
            hint="Install the versions of requirements.txt.",
            id="helpdesk.E012",
        )


def _open_services() -> Iterable[CheckMessage]:
    database = settings.DATABASES["default"]
    host = str(database.get("HOST") or "")
    if host and not host.startswith("/") and host not in LOOPBACK and not database.get("PASSWORD"):
        yield Error(
            "DATABASE_URL names another host without a password.",
            hint="postgres://user:password@host/database",
            id="helpdesk.E008",
        )
    broker = urlsplit(settings.REDIS_URL)
    if broker.scheme != "unix" and broker.hostname not in (None, *LOOPBACK) and not broker.password:
        yield Error(
            "REDIS_URL names another host without a password.",
            hint="redis://:password@host:6379/0",
            id="helpdesk.E013",
        )
