"""The mail pipe: an MTA hands over one mail on standard input."""

import os
import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.core.management.base import BaseCommand
from django.db import Error as DatabaseTrouble

from channels_in.email.pipe import keep_mail
from channels_in.email.scan import MAX_BYTES
from tickets.models import Channel

# sysexits.h: what an MTA understands. With 75 it keeps the mail and tries again; with 64 it returns it.
USAGE, TOO_LARGE, TEMPFAIL = 64, 65, 75


class Command(BaseCommand):
    help = (
        "Keeps the mail on standard input for --channel. Exits with 0 only after the commit, 75 when it could not be kept"
        " (the MTA tries again), 64 on wrong usage, 65 when the mail is larger than 50 MiB (the MTA returns it)."
    )
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.error = _wrong_usage  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--channel", required=True, metavar="SLUG", help="the mailbox")
        parser.add_argument(
            "--recipient",
            default=os.environ.get("ORIGINAL_RECIPIENT") or os.environ.get("RECIPIENT", ""),
            help="the envelope recipient (default: $ORIGINAL_RECIPIENT or $RECIPIENT, as Postfix and Exim set them)",
        )

    def handle(self, *args: Any, channel: str, recipient: str, **options: Any) -> None:
        raw = sys.stdin.buffer.read(MAX_BYTES * 2 + 1)
        if len(raw) > MAX_BYTES * 2:
            print("receive_mail: larger than 50 MiB; the sender is told by the MTA", file=sys.stderr)
            sys.exit(TOO_LARGE)
        if not raw.strip():
            _wrong_usage("there is no mail on standard input")
        try:
            found = Channel.objects.filter(kind="email", slug=channel, active=True).first()
            if found is None:
                _wrong_usage(f"there is no mailbox {channel!r} that is switched on")
            keep_mail(found, raw, recipient=recipient)
        except (DatabaseTrouble, OSError) as error:
            print(f"receive_mail: not kept, try again later ({type(error).__name__})", file=sys.stderr)
            sys.exit(TEMPFAIL)


def _wrong_usage(message: str) -> NoReturn:
    print(f"receive_mail: {message}", file=sys.stderr)
    sys.exit(USAGE)
