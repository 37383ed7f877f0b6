"""`manage.py compile_words`: compiles the translations without GNU gettext."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from helpdesk.words import compile_catalogs


class Command(BaseCommand):
    help = "Compiles locale/*/LC_MESSAGES/*.po where they changed."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        for path in compile_catalogs(settings.BASE_DIR / "locale"):
            self.stdout.write(str(path.relative_to(settings.BASE_DIR)))
