"""What trips newcomers, looked at one by one: each finding says what to do. `manage.py doctor` prints it."""

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import redis
import websockets.exceptions
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks, mail
from django.db import DatabaseError, connection
from websockets.sync.client import connect
from websockets.typing import Origin

from helpdesk import health, heartbeat
from helpdesk.environment import origin

TIMEOUT = 10.0  # seconds for each question


class Finding(NamedTuple):
    """`area` is one word, `what` what was found, `fix` what to do about it (empty when it is in order)."""

    level: Literal["ok", "warn", "fail"]
    area: str
    what: str
    fix: str = ""


def examine() -> Iterator[Finding]:
    """All findings, in the order in which one would repair them. Never raises for what is broken outside."""
    areas: tuple[Callable[[], Iterator[Finding]], ...] = (
        _settings, _database, _people, _redis, _worker, _parser, _site, _sockets, _mail,
    )  # fmt: skip
    for area in areas:
        yield from area()


def _settings() -> Iterator[Finding]:
    messages = [message for message in checks.run_checks(include_deployment_checks=True) if not message.is_silenced()]
    for message in messages:
        level: Literal["warn", "fail"] = "fail" if message.is_serious() else "warn"
        yield Finding(level, "settings", f"{message.msg} ({message.id})", message.hint or "")
    if not messages:
        yield Finding("ok", "settings", "no objection")


def _database() -> Iterator[Finding]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            version = cursor.fetchone()[0]
    except DatabaseError as error:
        fix = "Start it, or correct DATABASE_URL. With bin/run nothing needs to be set; it must be running."
        yield Finding("fail", "database", f"cannot be reached: {str(error).strip().splitlines()[0]}", fix)
        return
    yield Finding("ok", "database", f"PostgreSQL {version}; search needs nothing else")
    report = health.readiness()
    if report["database"] != "ok":
        yield Finding("fail", "database", report["database"], "Give the user of DATABASE_URL the right to write.")
    if report["migrations"] != "ok":
        yield Finding("fail", "database", "tables are not up to date", "manage.py migrate")
    if report["disk"] != "ok":
        yield Finding("fail", "disk", report["disk"], f"Make room in, or give rights on {settings.MEDIA_ROOT}.")


def _people() -> Iterator[Finding]:
    try:
        if not get_user_model().objects.filter(is_active=True).exists():
            yield Finding("warn", "people", "no one can sign in", "manage.py createsuperuser")
    except DatabaseError:
        return  # already said by _database


def _redis() -> Iterator[Finding]:
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    try:
        client.ping()
        wanted = {"appendonly": "yes", "maxmemory-policy": "noeviction"}
        try:
            found = {name: str(client.config_get(name).get(name)) for name in wanted}
        except redis.ResponseError:  # a managed service may forbid the question
            found = wanted
        wrong = [f"{name} is {found[name]}, not {value}" for name, value in wanted.items() if found[name] != value]
        if wrong:
            yield Finding("warn", "redis", "; ".join(wrong), "Set it in the configuration of the Redis server.")
        else:
            yield Finding("ok", "redis", "answers")
    except (redis.RedisError, OSError) as error:
        fix = "Start it, or correct REDIS_URL. Until then messages are kept, and appear late or not at all."
        yield Finding("fail", "redis", f"cannot be reached: {error}", fix)
    finally:
        client.close()


def _worker() -> Iterator[Finding]:
    age = heartbeat.worker_age()
    if age is not None and age <= heartbeat.SILENT_AFTER:
        yield Finding("ok", "worker", f"gave a sign of life {age:.0f} s ago")
    else:
        heard = "never" if age is None else f"{age:.0f} s ago"
        fix = "Start worker and beat (docs/running.md, The processes). Without them messages do not appear."
        yield Finding("fail", "worker", f"last sign of life: {heard}", fix)


def _parser() -> Iterator[Finding]:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(TIMEOUT)
            client.connect(settings.PARSER_SOCKET)
    except OSError as error:
        fix = "Start `manage.py parser` on each host that has a worker, with the same PARSER_SOCKET."
        yield Finding("fail", "parser", f"{settings.PARSER_SOCKET}: {error.strerror or error}; mail waits", fix)
    else:
        yield Finding("ok", "parser", "answers")


def _site() -> Iterator[Finding]:
    """The address itself, and the classic trap: an https proxy whose word does not count, so that forms are refused
    and pages redirect to themselves for ever."""
    try:
        status, location, ours = _ask(f"{settings.SITE_URL}/")
    except (urllib.error.URLError, OSError) as error:
        fix = "Start web, let the proxy pass to it, and let SITE_URL be the address people type."
        yield Finding("fail", "address", f"{settings.SITE_URL} cannot be reached: {_reason(error)}", fix)
        return
    if not ours:
        fix = "Another program answers there: correct SITE_URL or the proxy."
        yield Finding("fail", "address", f"{settings.SITE_URL} is not answered by this helpdesk (status {status})", fix)
    elif status == 400:
        fix = "Let the proxy pass the Host header on, or set SITE_URL to the address people type."
        yield Finding("fail", "address", "the host name that arrives is not that of SITE_URL", fix)
    elif status in (301, 302, 307, 308) and location.rstrip("/") == settings.SITE_URL:
        fix = "Let the proxy send X-Forwarded-Proto, and name its address in TRUSTED_PROXIES."
        yield Finding("fail", "address", "https is lost on the way: pages redirect to themselves", fix)
    elif status >= 500:
        yield Finding("fail", "address", f"{settings.SITE_URL} answers {status}", "Look at the log of web.")
    else:
        yield Finding("ok", "address", settings.SITE_URL)


def _sockets() -> Iterator[Finding]:
    address = settings.SITE_URL.replace("http", "ws", 1) + "/ws/self-test/"
    fix = (
        "Let the proxy pass /ws/ to the process live with its Host, Upgrade and Connection headers."
        " nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"
        " Caddy and Traefik do it by themselves."
    )
    try:
        with connect(address, origin=Origin(origin(settings.SITE_URL)), open_timeout=TIMEOUT, proxy=None) as client:
            client.recv(timeout=TIMEOUT)
    except websockets.exceptions.InvalidStatus as error:
        status = error.response.status_code
        if status == 403:
            fix = "SITE_URL must be the address people type: websockets are accepted from its pages only."
        yield Finding("fail", "live", f"the websocket was answered with {status}", fix)
    except (websockets.exceptions.WebSocketException, TimeoutError, OSError) as error:
        yield Finding("fail", "live", f"no websocket: {_reason(error)}", fix)
    else:
        yield Finding("ok", "live", "websockets pass")


def _mail() -> Iterator[Finding]:
    if not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        fix = "Set EMAIL_URL=smtp://user:password@host:587 so that invitations and new passwords arrive."
        yield Finding("warn", "mail", "the product's own mail does not leave this machine", fix)
        return
    sender = mail.get_connection(timeout=TIMEOUT)
    try:
        sender.open()
        sender.close()
    except Exception as error:  # noqa: BLE001  (smtplib, ssl and socket each have their own)
        fix = "Correct EMAIL_URL: host, port, user and password, smtps:// for port 465."
        yield Finding("fail", "mail", f"the SMTP server refuses: {_reason(error)}", fix)
    else:
        yield Finding("ok", "mail", f"{settings.EMAIL_HOST} accepts us")


def _ask(url: str) -> tuple[int, str, bool]:
    """Status, Location, and whether the answer is ours. Redirects are not followed."""

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: object, **kwargs: object) -> None:
            return None

    opener = urllib.request.build_opener(NoRedirect)
    try:
        answer = opener.open(url, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status or 0, answer.headers.get("Location", ""), "X-Request-ID" in answer.headers


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {reason.verify_message}"
    return str(reason).splitlines()[0] if str(reason) else type(reason).__name__
