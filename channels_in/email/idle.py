"""Mailboxes that tell us at once: a thread for each waits in IDLE and wakes the fetch, no more.

IDLE only says that something has changed. Servers drop an idle client after 10 to 30 minutes, so it is asked for anew
every 5. Where this process does not run, the sweep polls.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Any

from django.db import close_old_connections
from imapclient import IMAPClient

from channels_in.email import imap
from channels_in.email.servers import server_of
from tickets.models import Channel

log = logging.getLogger(__name__)

REISSUE = 300.0  # seconds of one IDLE
STEP = 2.0  # seconds after which a waiting thread looks whether it should end
LONGEST_REST = 300.0  # seconds between two tries to connect
LOOK_AGAIN = 30.0  # seconds between two looks for new and removed mailboxes

Wake = Callable[[int], None]  # channel id


def mailboxes() -> list[Channel]:
    """Every mailbox that is switched on and has a server for incoming mail."""
    channels = Channel.objects.filter(kind="email", active=True).select_related("brand").order_by("id")
    return [channel for channel in channels if channel.settings.get("imap_host")]


class Idler:
    """One thread for each mailbox; `run` returns when `stop` was called and all threads have ended."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._stopping = threading.Event()
        self._threads: dict[int, tuple[str, threading.Event, threading.Thread]] = {}

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        while not self._stopping.is_set():
            close_old_connections()
            self._reconcile(mailboxes())
            self._stopping.wait(LOOK_AGAIN)
        for _, ended, _ in self._threads.values():
            ended.set()
        for _, _, thread in self._threads.values():
            thread.join(10)

    def _reconcile(self, channels: list[Channel]) -> None:
        """Start what is new, end what is gone, and begin anew where the settings have changed."""
        wanted = {channel.pk: channel for channel in channels if channel.settings.get("imap_idle", True)}
        for pk, (settings, ended, thread) in list(self._threads.items()):
            if pk not in wanted or _fingerprint(wanted[pk]) != settings or not thread.is_alive():
                ended.set()
                del self._threads[pk]
        for pk, channel in wanted.items():
            if pk not in self._threads:
                ended = threading.Event()
                thread = threading.Thread(
                    target=self._watch, args=(channel, ended), name=f"imap-{channel.slug}", daemon=True
                )
                self._threads[pk] = (_fingerprint(channel), ended, thread)
                thread.start()

    def _watch(self, channel: Channel, ended: threading.Event) -> None:
        tries = 0
        while not ended.is_set():
            try:
                server = server_of(channel.facts(), "imap")
                if server is None:
                    return
                with imap.connected(server) as client:
                    if not client.has_capability("IDLE"):
                        log.info("%s has no IDLE; it is polled", channel.slug)
                        return
                    client.select_folder(imap.folder_of(channel), readonly=True)
                    self._wake(channel.pk)  # what came while nobody listened
                    tries = 0
                    while not ended.is_set():
                        self._idle_once(client, channel, ended)
            except imap.FAILURES as error:
                tries += 1
                rest = min(5.0 * 2 ** min(tries, 6), LONGEST_REST)
                log.warning("%s: %s; again in about %d s", channel.slug, imap.reason_of(error), rest)
                ended.wait(rest * random.uniform(0.8, 1.2))

    def _idle_once(self, client: IMAPClient, channel: Channel, ended: threading.Event) -> None:
        """Wait up to `REISSUE` seconds for a word of the server."""
        client.idle()
        said: list[tuple[Any, ...]] = []
        waited = 0.0
        try:
            while waited < REISSUE and not said and not ended.is_set():
                said = [
                    word
                    for word in client.idle_check(timeout=STEP)
                    if len(word) > 1 and word[1] in (b"EXISTS", b"RECENT")
                ]
                waited += STEP
        finally:
            client.idle_done()
        if not ended.is_set():
            self._wake(channel.pk)  # always, also after a silent one: a lost word costs one IDLE at most


def _fingerprint(channel: Channel) -> str:
    return repr((sorted(channel.settings.items()), sorted(channel.facts().secrets.items())))
