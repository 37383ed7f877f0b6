"""manage.py demo load | clear"""

from __future__ import annotations

import json
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from helpdesk.demo import load as demo


class Command(BaseCommand):
    help = "Load the demo data, or clear all data of a demo workspace."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["load", "clear", "logins"])

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        if what == "load":
            try:
                logins = demo.load()
            except ValueError as problem:
                raise CommandError(str(problem)) from problem
            self._print(logins)
        elif what == "logins":
            path = settings.DATA_DIR / demo.LOGINS
            if not path.exists():
                raise CommandError("There is no demo here. Load one with: manage.py demo load")
            self._print(json.loads(path.read_text()))
        else:
            if not settings.DEMO:
                raise CommandError("Only a demo workspace (DEMO=1) can be cleared: this deletes every ticket.")
            _clear()
            (settings.DATA_DIR / demo.LOGINS).unlink(missing_ok=True)
            self.stdout.write("The demo is gone.")

    def _print(self, logins: list[dict[str, str]]) -> None:
        for login in logins:
            self.stdout.write(f"{login['email']:24} {login['password']:20} {login['name']} ({login['role']})")


@transaction.atomic
def _clear() -> None:
    tables = [
        model._meta.db_table
        for app in ("agents", "tickets", "channels_in", "analytics")
        for model in apps.get_app_config(app).get_models(include_auto_created=True)
    ]
    quoted = ", ".join(connection.ops.quote_name(table) for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {quoted} RESTART IDENTITY CASCADE")
