"""Static files under hashed names, with the imports inside ES modules rewritten to those names."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedModuleStorage(CompressedManifestStaticFilesStorage):
    """Only `import ... from "./x.js";` with its semicolon is found by Django's rewriting."""

    support_js_module_import_aggregation = True
