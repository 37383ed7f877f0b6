"""`manage.py doctor`: looks at the running whole and prints what to do."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from helpdesk import doctor


class Command(BaseCommand):
    help = "Examines settings, database, Redis, worker, parser, address, websockets and mail. Exit code 1: something fails."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        paint = {"ok": self.style.SUCCESS, "warn": self.style.WARNING, "fail": self.style.ERROR}
        failed = False
        for finding in doctor.examine():
            failed |= finding.level == "fail"
            self.stdout.write(f"{paint[finding.level](f'{finding.level:4}')}  {finding.area:9} {finding.what}")
            if finding.fix:
                self.stdout.write(f"{'':16}-> {finding.fix}")
        if failed:
            sys.exit(1)
