"""The SMTP server of the simulated mail provider (demo only)."""

import os
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Takes the mail that the demo's mailboxes send, and shows it in the simulator. Demo only."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("The simulated mail provider exists in the demo only: set DEMO=1.")
        from channels_in.email.fake import start_server  # needs aiosmtpd, which only the demo has to have

        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        server = start_server()
        address = settings.DATA_DIR / "fakemail.port"
        temporary = address.with_suffix(f".{os.getpid()}")
        temporary.write_text(str(server.port))
        temporary.replace(address)
        self.stdout.write(f"fakemail listens on 127.0.0.1:{server.port}")
        self.stdout.flush()
        try:
            ended.wait()
        finally:
            server.stop()
            if address.exists() and address.read_text() == str(server.port):
                address.unlink()
