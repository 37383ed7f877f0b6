"""What the simulated providers share: their log, their troubles, their receipts, their calls to us.

Demo and tests only. Everything is a `FakeRecord`, so that it outlives the process: `message` (kept by the provider),
`mode` (the trouble it is in), `call` (a webhook that is due at `at`), `called` (one that we took).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from channels_in.models import FakeRecord
from tickets.http import FetchError, safe_fetch
from tickets.models import Channel

# The troubles that a simulated provider can be in.
MODES = (
    "ok",
    "refused",  # 4xx with the code of the mode's particulars
    "opted_out",
    "unauthorised",
    "busy",  # 429 with Retry-After
    "broken",  # 500
    "hang",  # accepts, then says nothing
    "cut",  # accepts, then cuts the connection
    "undelivered",  # accepts, and later reports a failure
    "silent",  # accepts, and never reports
    "doubled",  # every webhook twice
    "reordered",  # receipts in the wrong order
)
HANG = 12.0  # seconds: longer than our client waits
TRIES = 10
_DRAIN_LOCK = 7_320_021  # one drainer at a time


class Call(NamedTuple):
    """A signed request to one of our addresses, ready to be posted."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class FakeFile:
    """A file of the simulated person."""

    name: str
    content_type: str
    content: bytes = field(repr=False)


Post = Callable[[Call], int]


class Trouble(NamedTuple):
    mode: str
    code: str


# -- The log -----------------------------------------------------------------------------------------------------------


def record_message(
    provider: str,
    account: str,
    key: str,
    *,
    person: str,
    direction: Literal["to_us", "to_person"],
    text: str = "",
    files: list[dict[str, str]] | None = None,
    **more: Any,
) -> FakeRecord:
    """A message as the provider keeps it. `person` is the customer's address there."""
    payload = {"person": person, "direction": direction, "text": text, "files": files or [], "states": {}, **more}
    return FakeRecord.objects.create(provider=provider, account=account, kind="message", key=key, payload=payload)


def messages_with(provider: str, person: str) -> list[FakeRecord]:
    found = FakeRecord.objects.filter(provider=provider, kind="message", payload__person=person)
    return list(found.order_by("id"))


def sent_by_us(provider: str, account: str = "") -> list[FakeRecord]:
    """What our product has sent, in order; for tests to assert on."""
    found = FakeRecord.objects.filter(provider=provider, kind="message", payload__direction="to_person")
    return list((found.filter(account=account) if account else found).order_by("id"))


def note_state(provider: str, key: str, state: str, *, now: datetime) -> None:
    """What the phone shows below a message."""
    with transaction.atomic():
        found = FakeRecord.objects.select_for_update().filter(provider=provider, kind="message", key=key).first()
        if found:
            found.payload["states"].setdefault(state, now.isoformat())
            found.save(update_fields=["payload"])


def keep_media(provider: str, account: str, file: FakeFile) -> FakeRecord:
    """A file at the provider; its key is its id there."""
    payload = {
        "name": file.name,
        "content_type": file.content_type,
        "base64": base64.b64encode(file.content).decode(),
        "expired": False,
    }
    return FakeRecord.objects.create(
        provider=provider, account=account, kind="media", key=secrets.token_hex(16), payload=payload
    )


def media(provider: str, key: str) -> tuple[FakeFile, bool] | None:
    """(file, whether it has expired), or None when there is none of this id."""
    found = FakeRecord.objects.filter(provider=provider, kind="media", key=key).first()
    if found is None:
        return None
    it = found.payload
    return FakeFile(it["name"], it["content_type"], base64.b64decode(it["base64"])), bool(it["expired"])


# -- Troubles ----------------------------------------------------------------------------------------------------------


def set_mode(provider: str, account: str, mode: str, *, person: str = "", code: str = "") -> None:
    """From now on the provider is in this trouble, for one person or for the whole account."""
    if mode not in MODES:
        raise ValueError(f"{mode!r} is none of {', '.join(MODES)}")
    FakeRecord.objects.create(
        provider=provider, account=account, kind="mode", key=person, payload={"mode": mode, "code": code}
    )


def mode_of(provider: str, account: str, *, person: str = "") -> Trouble:
    """The latest trouble that was set for this person or for everybody."""
    found = (
        FakeRecord.objects.filter(provider=provider, account=account, kind="mode")
        .filter(Q(key="") | Q(key=person))
        .order_by("-id")
        .first()
    )
    return Trouble(found.payload["mode"], found.payload["code"]) if found else Trouble("ok", "")


# -- Calls to us -------------------------------------------------------------------------------------------------------


def over_http(call: Call) -> int:
    """Post to our own public address, as a provider would. Returns the status, 0 when nobody answered."""
    try:
        return safe_fetch("POST", settings.SITE_URL + call.path, headers=call.headers, data=call.body).status
    except FetchError:
        return 0


def deliver_call(provider: str, account: str, call: Call, *, mode: str = "ok", post: Post | None = None) -> int:
    """Call our webhook now; what is not taken is tried again later, like the providers do. Returns the status."""
    post = post or over_http
    status = post(call)
    if mode == "doubled":
        post(call)
    if not 200 <= status < 300:
        _keep_call(provider, account, call, at=Now(), delay=timedelta(seconds=2), tries=1)
    return status


def call_later(provider: str, account: str, call: Call, *, at: datetime, key: str = "", state: str = "") -> None:
    """A webhook that becomes due at `at`; `state` is then shown on the phone for the message `key`."""
    _keep_call(provider, account, call, at=at, key=key, state=state)


def _keep_call(
    provider: str,
    account: str,
    call: Call,
    *,
    at: Any,
    delay: timedelta = timedelta(),
    key: str = "",
    state: str = "",
    tries: int = 0,
) -> None:
    payload = {
        "path": call.path,
        "headers": dict(call.headers),
        "body": call.body.decode(),
        "state": state,
        "tries": tries,
    }
    FakeRecord.objects.create(provider=provider, account=account, kind="call", key=key, payload=payload, at=at + delay)


def drain(*, now: datetime, post: Post | None = None) -> int:
    """Make the calls that are due. A crash between call and mark repeats the call, which providers do as well."""
    post = post or over_http
    made = 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_DRAIN_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    try:
        for due in FakeRecord.objects.filter(kind="call", at__lte=now).order_by("at", "id")[:200]:
            it = due.payload
            status = post(Call(it["path"], it["headers"], it["body"].encode()))
            if 200 <= status < 300:
                due.kind = "called"
                if it["state"]:
                    note_state(due.provider, due.key, it["state"], now=now)
            else:
                it["tries"] += 1
                due.at = now + timedelta(seconds=2 ** min(it["tries"], 8))
                due.kind = "call" if it["tries"] < TRIES else "given_up"
            due.save(update_fields=["kind", "payload", "at"])
            made += 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_DRAIN_LOCK])
    return made


def hook_path(hook_url: str) -> str:
    """The path and query of an absolute address of ours."""
    parts = urlsplit(hook_url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def repoint() -> int:
    """Give channels that use a simulated provider the address at which it is now: the port may be another one than when
    the demo was loaded. Returns how many were changed."""
    changed = 0
    for channel in Channel.objects.filter(settings__base_url__icontains="/fake/"):
        old = urlsplit(str(channel.settings["base_url"]))
        new = old._replace(scheme="http", netloc=f"127.0.0.1:{settings.PORT}").geturl()
        if new != old.geturl():
            channel.settings["base_url"] = new
            channel.save(update_fields=["settings"])
            changed += 1
    return changed
