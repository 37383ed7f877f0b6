"""A real IMAP server (pymap) in a thread, and what other people do in its mailbox."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from imapclient import IMAPClient
from pymap.backend.dict import DictBackend
from pymap.imap import IMAPService

USER, PASSWORD = "help", "a password of the test"


class ImapServer:
    """`deliver` puts a mail into a folder as an MTA does; `client` signs in as another mail program of the same person."""

    def __init__(self, *, cert: str = "", key: str = "") -> None:
        self.port = _free_port()
        self._tls = ["--cert", cert, "--key", key] if cert else ["--no-tls"]
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> ImapServer:
        self._thread.start()
        assert self._ready.wait(10), "the IMAP server did not start"
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._serve())
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        parser = ArgumentParser()
        DictBackend.add_subparser("dict", parser.add_subparsers(dest="backend"))
        IMAPService.add_arguments(parser)
        where = ["--host", "127.0.0.1", "--port", str(self.port), *self._tls]
        args = parser.parse_args([*where, "dict", "--demo-user", USER, "--demo-password", PASSWORD])
        args.debug, args.passlib_cfg = False, None
        backend, config = await DictBackend.init(args)
        config.apply_context()
        async with AsyncExitStack() as stack:
            await backend.start(stack)
            await IMAPService(backend, config).start(stack)
            self._ready.set()
            await self._ended.wait()

    @contextmanager
    def client(self, folder: str = "INBOX") -> Iterator[IMAPClient]:
        client = IMAPClient("127.0.0.1", self.port, ssl=False, timeout=10)
        try:
            client.login(USER, PASSWORD)
            if not client.folder_exists(folder):
                client.create_folder(folder)
            client.select_folder(folder)
            yield client
        finally:
            client.logout()

    def deliver(self, *mails: bytes, folder: str = "INBOX") -> None:
        with self.client(folder) as client:
            for mail in mails:
                client.append(folder, mail)

    def number_anew(self, folder: str) -> None:
        """The folder is rebuilt: the same mails, another UIDVALIDITY, other UIDs."""
        with self.client(folder) as client:
            uids = client.search("ALL")
            mails = [one[b"BODY[]"] for _, one in sorted(client.fetch(uids, ["BODY.PEEK[]"]).items())] if uids else []
            client.close_folder()
            client.delete_folder(folder)
            client.create_folder(folder)
            for mail in mails:
                client.append(folder, mail)

    def settings(self, **more: Any) -> dict[str, Any]:
        """Channel settings with which this server is read."""
        return {
            "imap_host": "127.0.0.1",
            "imap_port": self.port,
            "imap_security": "none",
            "imap_user": USER,
            **more,
        }


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
