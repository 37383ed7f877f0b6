"""Static files under hashed names, with the imports inside ES modules rewritten to those names; the first load bundled."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.core.files.base import ContentFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

from helpdesk.bundles import bundles


class HashedModuleStorage(CompressedManifestStaticFilesStorage):
    """Only `import ... from "./x.js";` with its semicolon is found by Django's rewriting."""

    support_js_module_import_aggregation = True

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """`paths`: name -> (storage, path in it) of all that was collected."""

        def read(name: str) -> str:
            storage, path = paths[name]
            with storage.open(path) as file:
                return str(file.read().decode())

        made = {} if dry_run else dict(bundles(paths, read))
        for name, text in made.items():
            self.delete(name)
            self.save(name, ContentFile(text.encode()))
        yield from super().post_process(paths | {name: (self, name) for name in made}, dry_run=dry_run, **options)

    def url_converter(self, name: str, hashed_files: Any, template: str | None = None) -> Callable[..., str]:
        """An import without a suffix names no file and stays: a type in a comment (`import("../htmx")`), or an entry of
        an import map (`from "htmx"`)."""
        rewritten = super().url_converter(name, hashed_files, template)

        def converter(match: re.Match[str]) -> str:
            if name.endswith((".js", ".mjs")) and "." not in match["url"].rpartition("/")[2]:
                return match[0]
            return str(rewritten(match))

        return converter
