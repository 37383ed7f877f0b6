"""The process that listens to mailboxes (IDLE) and wakes the fetch."""

import signal
from typing import Any

from django.core.management.base import BaseCommand

from channels_in.email.idle import Idler
from channels_in.tasks import wake_mailbox


class Command(BaseCommand):
    help = "Waits for new mail in every mailbox (IMAP IDLE) and wakes its fetch. Stops on SIGTERM or Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        idler = Idler(wake_mailbox)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: idler.stop())
        idler.run()
