"""Static files under hashed names, with the imports inside ES modules rewritten to those names."""

import re
from collections.abc import Callable
from typing import Any

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedModuleStorage(CompressedManifestStaticFilesStorage):
    """Only `import ... from "./x.js";` with its semicolon is found by Django's rewriting."""

    support_js_module_import_aggregation = True

    def url_converter(self, name: str, hashed_files: Any, template: str | None = None) -> Callable[..., str]:
        """An import without a suffix names no file and stays: a type in a comment (`import("../htmx")`), or an entry of
        an import map (`from "htmx"`)."""
        rewritten = super().url_converter(name, hashed_files, template)

        def converter(match: re.Match[str]) -> str:
            if name.endswith((".js", ".mjs")) and "." not in match["url"].rpartition("/")[2]:
                return match[0]
            return str(rewritten(match))

        return converter
