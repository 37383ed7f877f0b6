"""Reading settings from the environment. Every name must be declared in VARIABLES, and a test holds the documents to it.

Whatever reads a value raises SettingError for one that it cannot use.
"""

import os
import re
import secrets
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

VARIABLES = (
    "ALLOWED_HOSTS",
    "CACHE_URL",
    "CLOSE_AFTER_DAYS",
    "DATABASE_URL",
    "DATA_DIR",
    "DEBUG",
    "DEFAULT_FROM_EMAIL",
    "DEMO",
    "EMAIL_URL",
    "ENCRYPTION_KEYS",
    "FILES_BASE_URL",
    "IDLE_MINUTES",
    "INSECURE_HTTP",
    "LANGUAGE",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "PARSER_SOCKET",
    "PORT",
    "PROCESS",
    "REDIS_URL",
    "SAFE_FETCH_ALLOW",
    "SECRET_KEY",
    "SITE_URL",
    "STATIC_ROOT",
    "STORAGE_URL",
    "TRUSTED_PROXIES",
    "VAPID_PRIVATE_KEY",
    "WORKER_SLOTS",
)


class SettingError(ValueError):
    """A variable holds what cannot be read; the message names it and says what it must look like."""


def env(name: str, default: str = "") -> str:
    """The variable, or the content of the file that `<name>_FILE` names (container secrets), or the default."""
    if name not in VARIABLES:
        raise KeyError(f"{name} is not declared in helpdesk/environment.py")
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise SettingError(f"{name}_FILE names a file that cannot be read: {error}") from error
    return os.environ.get(name, "").strip() or default


def env_bool(name: str, *, default: bool = False) -> bool:
    value = env(name).lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    if value == "":
        return default
    raise SettingError(f"{name} must be 1 or 0, not {value!r}.")


def env_list(name: str) -> list[str]:
    """Comma or space separated words."""
    return env(name).replace(",", " ").split()


def env_days(name: str, *, default: int) -> int:
    value = env(name, str(default))
    if not value.isdigit() or not 0 < int(value) < 3650:
        raise SettingError(f"{name} must be a number of days, not {value!r}.")
    return int(value)


def env_minutes(name: str, *, default: int) -> int:
    """0 says never."""
    value = env(name, str(default))
    if not value.isdigit() or int(value) > 1440:
        raise SettingError(f"{name} must be a number of minutes up to 1440, not {value!r}.")
    return int(value)


def env_port(name: str, *, default: int) -> int:
    value = env(name, str(default))
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise SettingError(f"{name} must be a port between 1 and 65535, not {value!r}.")
    return int(value)


def env_count(name: str, *, default: int) -> int:
    value = env(name, str(default))
    if not value.isdigit() or int(value) < 1:
        raise SettingError(f"{name} must be a number above 0, not {value!r}.")
    return int(value)


def env_p256_key(name: str) -> str:
    """A private key of P-256 as web push tools print it: 32 bytes in base64url."""
    value = env(name).rstrip("=")
    if value and not re.fullmatch(r"[A-Za-z0-9_-]{43}", value):
        raise SettingError(f"{name} must be 32 bytes in base64url, 43 characters.")
    return value


def email_settings(url: str) -> dict[str, object]:
    """Django's EMAIL_* settings from `smtp://user:password@host:587`, `smtps://...:465`, `console://`, `memory://` or
    `file:///a/folder`. smtp starts TLS unless the host is this machine or the address says `?tls=0`."""
    parts = urlsplit(url)
    if parts.scheme in ("smtp", "smtps"):
        if not parts.hostname:
            raise SettingError("EMAIL_URL lacks the host: smtp://user:password@mail.example.com:587")
        local = parts.hostname in LOOPBACK
        tls = parse_qs(parts.query).get("tls", ["0" if local else "1"])[0] == "1"
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": parts.hostname,
            "EMAIL_PORT": parts.port or (465 if parts.scheme == "smtps" else 587),
            "EMAIL_HOST_USER": unquote(parts.username or ""),
            "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
            "EMAIL_USE_SSL": parts.scheme == "smtps",
            "EMAIL_USE_TLS": parts.scheme == "smtp" and tls,
            "EMAIL_TIMEOUT": 30,
        }
    if parts.scheme == "file":
        backend = "django.core.mail.backends.filebased.EmailBackend"
        return {"EMAIL_BACKEND": backend, "EMAIL_FILE_PATH": unquote(parts.path)}
    backends = {"console": "console", "memory": "locmem"}
    if parts.scheme not in backends:
        raise SettingError("EMAIL_URL must begin with smtp://, smtps://, file://, console:// or memory://.")
    return {"EMAIL_BACKEND": f"django.core.mail.backends.{backends[parts.scheme]}.EmailBackend"}


LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_loopback(url: str) -> bool:
    """Whether only this machine can be meant: what is allowed there (http, DEBUG, the demo) is refused elsewhere."""
    return (urlsplit(url).hostname or "") in LOOPBACK


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def celery_url(redis_url: str) -> str:
    """Celery spells a unix socket `redis+socket://`, redis-py spells it `unix://`."""
    if not redis_url.startswith("unix://"):
        return redis_url
    parts = urlsplit(redis_url)
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={database}"


def cache_url(redis_url: str) -> str:
    """The database after the one that carries the wake-ups, so that clearing the cache clears no queue."""
    parts = urlsplit(redis_url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}?db=1"
    return parts._replace(path="/1").geturl()


def kept_secret_key(path: Path) -> str:
    """A random key, made at the first start and kept for the owner alone. Safe when two processes start at once."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write(secrets.token_urlsafe(50))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text().strip()
