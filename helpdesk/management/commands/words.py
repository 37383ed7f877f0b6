"""`manage.py words`: brings the translations up to the texts of the product, and prints what still lacks its words."""

from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from helpdesk.words import catalog_of, compile_catalogs, fill, merge, messages_of, write_catalog


class Command(BaseCommand):
    help = (
        "Collects every text that code and templates mark, adds the new ones to the catalogue, drops those that nobody "
        "uses any more, compiles it, and prints what is not translated yet."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--language", default="ko", choices=[code for code, _name in settings.LANGUAGES])
        parser.add_argument("--from", nargs="+", default=[], type=Path, dest="sources", metavar="FILE.po",
                            help="take translations from these files where the catalogue has none")  # fmt: skip
        parser.add_argument("--check", action="store_true", help="write nothing; fail when a translation is missing")

    def handle(self, *args: Any, **options: Any) -> None:
        found = messages_of(settings.BASE_DIR)
        path = settings.BASE_DIR / "locale" / options["language"] / "LC_MESSAGES" / "django.po"
        catalog = catalog_of(path) if path.exists() else Catalog(locale=options["language"], project="Helpdesk")
        merge(catalog, found)
        for source in options["sources"]:
            fill(catalog, catalog_of(source))
        missing = merge(catalog, found)
        for message in missing:
            self.stdout.write(f"{found[message]}: {message[1]!r}")
        if options["check"]:
            if missing:
                raise CommandError(f"{len(missing)} of {len(found)} texts have no translation.")
        else:
            write_catalog(path, catalog)
            compile_catalogs(settings.BASE_DIR / "locale")
        self.stdout.write(f"{len(found) - len(missing)} of {len(found)} texts are translated.")
