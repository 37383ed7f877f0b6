"""A mailbox is read by UID, never by "unseen": people look into it too (reliability.md 4.3).

One fetch per mailbox at a time. Each mail is committed before the cursor moves; a crash between the two reads it again,
and its key (folder, UIDVALIDITY, UID) is known then.
"""

from __future__ import annotations

import imaplib
import logging
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Any

from django.db import DatabaseError, connection
from django.utils import translation
from django.utils.formats import localize
from django.utils.translation import gettext as _
from imapclient import IMAPClient, SocketTimeout, imap4
from imapclient import tls as imap_tls
from imapclient.exceptions import IMAPClientError, LoginError

from channels_in import webhooks
from channels_in.email import scan
from channels_in.email.servers import NotAllowed, Server, open_socket, server_of, tls
from channels_in.models import MailboxCursor
from tickets.contract import Item
from tickets.models import Channel

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds
BATCH = 200  # UIDs whose sizes are asked for at once
FAILURES = (IMAPClientError, imaplib.IMAP4.error, OSError, NotAllowed)
_LOCKS = 7_320_033  # the class of our advisory locks: one reader for each mailbox


class Busy(Exception):
    """Somebody else reads this mailbox just now."""


def fetch(channel: Channel, *, now: datetime, seconds: float = 60) -> int:
    """Keep every mail that has come since the last time; returns how many were new to us.

    Stops after about `seconds` with the cursor where it is; the next call goes on. Network troubles are written on the
    cursor and raised again.
    """
    server = server_of(channel.facts(), "imap")
    if server is None:
        return 0
    folder = folder_of(channel)
    with _only_reader(channel):
        cursor, _created = MailboxCursor.objects.get_or_create(channel=channel, folder=folder)
        try:
            with connected(server) as client:
                kept = _read(client, channel, cursor, now=now, seconds=seconds)
        except FAILURES as error:
            _note_failure(cursor, error, now=now)
            raise
        MailboxCursor.objects.filter(pk=cursor.pk).update(polled_at=now, last_error="", failing_since=None)
    return kept


def fetch_one(channel_id: int, *, now: datetime) -> None:
    """Read one mailbox, if it is there, switched on and not being read. Troubles stand on its cursor and in the log."""
    channel = Channel.objects.select_related("brand").filter(pk=channel_id, kind="email", active=True).first()
    if channel is None:
        return
    try:
        fetch(channel, now=now)
    except Busy:
        return
    except FAILURES as error:
        log.warning("%s could not be read: %s", channel.slug, reason_of(error))


def folder_of(channel: Channel) -> str:
    return str(channel.settings.get("imap_folder") or "INBOX")


class _OverTls(imap_tls.IMAP4_TLS):
    def __init__(self, server: Server, timeout: float | None) -> None:
        self._server = server
        super().__init__(server.host, server.port, tls(), timeout)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        return imap_tls.wrap_socket(
            open_socket(self._server, timeout=timeout or self._timeout), self.ssl_context, self.host
        )


class _Plain(imap4.IMAP4WithTimeout):
    def __init__(self, server: Server, timeout: float | None) -> None:
        self._server = server
        super().__init__(server.host, server.port, timeout)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        return open_socket(self._server, timeout=timeout or self._timeout)


class _Client(IMAPClient):
    """Connects only to addresses that were checked."""

    def __init__(self, server: Server, *, timeout: SocketTimeout) -> None:
        self._server = server
        secure = server.security == "tls"
        super().__init__(server.host, server.port, ssl=secure, ssl_context=tls() if secure else None, timeout=timeout)

    def _create_IMAP4(self) -> imaplib.IMAP4:
        timeout = self._timeout.connect
        return _OverTls(self._server, timeout) if self.ssl else _Plain(self._server, timeout)


@contextmanager
def connected(server: Server) -> Iterator[IMAPClient]:
    """Signed in, under verified TLS."""
    timeout = SocketTimeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
    client = _Client(server, timeout=timeout)
    try:
        if server.security == "starttls":
            client.starttls(tls())
        client.login(server.user, server.password)
        yield client
    finally:
        _close(client)


def _close(client: IMAPClient) -> None:
    try:
        client.logout()
    except FAILURES:
        client.shutdown()


@contextmanager
def _only_reader(channel: Channel) -> Iterator[None]:
    """The session's advisory lock of this mailbox. Raises `Busy`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCKS, channel.pk % 2**31])
        if not cursor.fetchone()[0]:
            raise Busy
    try:
        yield
    finally:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCKS, channel.pk % 2**31])
        except DatabaseError:
            connection.close()  # a session that is gone holds no lock


def _read(client: IMAPClient, channel: Channel, cursor: MailboxCursor, *, now: datetime, seconds: float) -> int:
    mark_seen = bool(channel.settings.get("imap_mark_seen"))
    folder = client.select_folder(cursor.folder, readonly=not mark_seen)
    uidvalidity = int(folder[b"UIDVALIDITY"])
    if cursor.uidvalidity == uidvalidity:
        uids = [uid for uid in client.search(["UID", f"{cursor.last_uid + 1}:*"]) if uid > cursor.last_uid]
    else:
        # A mailbox that is new to us, or that its server has numbered anew: read again by date. What is known already
        # is recognised by its content later.
        since = _since(channel, cursor)
        uids = list(client.search(["SINCE", since]))
        # Where it begins is kept before anything is read: the next poll asks by UID, and must not find what lies before.
        cursor.uidvalidity, cursor.last_uid = uidvalidity, min(uids, default=_next_uid(client, folder)) - 1
        cursor.save(update_fields=["uidvalidity", "last_uid"])
    uids.sort()
    kept, until = 0, monotonic() + seconds
    for at in range(0, len(uids), BATCH):
        batch = uids[at : at + BATCH]
        sizes = client.fetch(batch, ["RFC822.SIZE"])
        for uid in batch:
            if monotonic() > until:
                return kept
            if uid in sizes:  # else somebody has removed it meanwhile
                kept += _keep(client, channel, cursor, uid, size=int(sizes[uid][b"RFC822.SIZE"]))
            MailboxCursor.objects.filter(pk=cursor.pk, uidvalidity=uidvalidity, last_uid__lt=uid).update(
                last_uid=uid, polled_at=now
            )
            if mark_seen and uid in sizes:
                client.add_flags([uid], [b"\\Seen"], silent=True)
    return kept


def _next_uid(client: IMAPClient, folder: Mapping[bytes, Any]) -> int:
    """What the next mail of this folder will be numbered; a server that does not say so (RFC 3501 6.3.1) is asked."""
    if b"UIDNEXT" in folder:
        return int(folder[b"UIDNEXT"])
    return max(client.search(["ALL"]), default=0) + 1


def _since(channel: Channel, cursor: MailboxCursor) -> date:
    """From the day before the last reading, or from the day on which the channel was made: no old mail becomes a ticket.
    IMAP dates have no zone, hence a day more."""
    return ((cursor.polled_at or channel.created_at) - timedelta(days=1)).date()


def _keep(client: IMAPClient, channel: Channel, cursor: MailboxCursor, uid: int, *, size: int) -> int:
    """Commit one mail. Returns 1 when it was new."""
    too_large = size > int(channel.settings.get("max_bytes") or scan.MAX_BYTES)
    wanted = b"BODY[HEADER]" if too_large else b"BODY[]"
    fetched = client.fetch([uid], [wanted.replace(b"BODY[", b"BODY.PEEK[").decode()])
    raw = fetched.get(uid, {}).get(wanted)
    if raw is None:
        return 0
    if too_large:
        raw = notice_of(raw, size=size, language=channel.language or "en")
    item = Item(
        account="",
        dedupe_key=f"{cursor.folder}:{cursor.uidvalidity}:{uid}",
        ordering_key=scan.sender_of(raw)[:300],
        raw=raw,
    )
    return len(webhooks.keep(channel, [item], body=raw, headers={}, remote_ip=None, auth_result="imap"))


def notice_of(header: bytes, *, size: int, language: str) -> bytes:
    """A mail that is too large for us: its header, and a sentence in place of its body. The mail stays in the mailbox."""
    fields = re.split(rb"\r?\n(?![ \t])", scan.header_block(header).strip())
    kept = [one for one in fields if not one.lower().startswith((b"content-", b"mime-version:"))]
    with translation.override(language):
        sentence = _(
            "This mail has %(size)s MB, more than this mailbox takes. It is still there: open it in the mailbox."
        ) % {"size": localize(round(size / 1_000_000, 1))}
    head = [*kept, b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=utf-8", b"Content-Transfer-Encoding: 8bit"]
    return b"\r\n".join([*head, b"", sentence.encode(), b""])


def _note_failure(cursor: MailboxCursor, error: Exception, *, now: datetime) -> None:
    MailboxCursor.objects.filter(pk=cursor.pk).update(last_error=reason_of(error)[:300])
    MailboxCursor.objects.filter(pk=cursor.pk, failing_since__isnull=True).update(failing_since=now)


def reason_of(error: Exception) -> str:
    """What happened, without the password and without what the server was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, LoginError):
        return "sign-in refused"
    return re.sub(r"\s+", " ", str(error))[:200] or type(error).__name__
