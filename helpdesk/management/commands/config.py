from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from helpdesk import config_file


class Command(BaseCommand):
    help = "Writes skills, hours, teams, ticket fields, SLA policies, macros, rules, answers and signatures as YAML, or takes them over."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("export", help="print the configuration")
        reading = verbs.add_parser("import", help="show what a file would change; --apply changes it")
        reading.add_argument("file", help="- reads standard input")
        reading.add_argument("--apply", action="store_true")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        if verb == "export":
            self.stdout.write(config_file.export(), ending="")
            return
        name = options["file"]
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
            changed = config_file.take_over(text, by=None) if options["apply"] else config_file.compare(text)
        except (OSError, UnicodeDecodeError, config_file.Unfit) as fault:
            raise CommandError(str(fault)) from fault
        for line in changed or ["Nothing changes."]:
            self.stdout.write(line)
