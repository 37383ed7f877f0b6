import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV")


class Command(BaseCommand):
    help = "The parser: opens mails and HTML in limited children. One for each host with workers."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Becomes the parser, in a process without our settings and their secrets."""
        environment = {name: value for name, value in os.environ.items() if name in KEPT}
        os.chdir(settings.BASE_DIR)
        argv = [sys.executable, "-m", "channels_in.parser_server", str(settings.PARSER_SOCKET)]
        os.execve(sys.executable, argv, environment)  # noqa: S606
