"""Finds, merges and compiles the translations, so that nobody needs GNU gettext."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize


def compile_catalogs(locale: Path) -> list[Path]:
    """Write each django.mo whose django.po is newer. Returns what was written. Raises ValueError on a broken file."""
    written = []
    for source in sorted(locale.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        with source.open("rb") as file:
            catalog = read_po(file, abort_invalid=True)
        fresh = target.with_suffix(".mo.new")
        with fresh.open("wb") as file:
            write_mo(file, catalog)
        fresh.replace(target)
        written.append(target)
    return written


FUNCTIONS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
APPS = ("agents", "analytics", "channels_in", "helpdesk", "tickets")

Message = tuple[str, str | tuple[str, ...]]  # context ("" = none), and the text or its singular and plural


def messages_of(root: Path) -> dict[Message, str]:
    """Every text that the code and the templates mark for translation -> the first file that has it."""
    found: dict[Message, str] = {}
    for path in sorted(path for app in APPS for path in (root / app).rglob("*.py")):
        with path.open("rb") as file:
            for _line, text, _comments, context in extract("python", file, keywords=FUNCTIONS):
                found.setdefault((context or "", text), path.relative_to(root).as_posix())
    for path in sorted([*(root / "templates").rglob("*.html"), *(root / "templates").rglob("*.txt")]):
        for message in _of_template(path.read_text()):
            found.setdefault(message, path.relative_to(root).as_posix())
    return found


def catalog_of(path: Path) -> Catalog:
    """Read a .po file. Raises ValueError when it is broken."""
    with path.open("rb") as file:
        return read_po(file, abort_invalid=True)


def merge(catalog: Catalog, found: dict[Message, str]) -> list[Message]:
    """Add what is new to the catalogue and drop what nobody uses. Returns what still lacks its translation."""
    for context, text in found:
        key = text if isinstance(text, str) else text[0]
        known = catalog.get(key, context=context or None)
        if known is not None and isinstance(text, tuple) and not known.pluralizable:
            catalog.delete(key, context=context or None)  # it has a plural now
            known = None
        if known is None:
            catalog.add(text, context=context or None)
    wanted = {(context, text if isinstance(text, str) else text[0]) for context, text in found}
    for entry in list(catalog):
        key = entry.id if isinstance(entry.id, str) else entry.id[0]
        if key and (entry.context or "", key) not in wanted:
            catalog.delete(key, context=entry.context)
    return [
        (entry.context or "", entry.id if isinstance(entry.id, str) else tuple(entry.id))
        for entry in catalog
        if entry.id and (entry.fuzzy or not _is_translated(entry.string))
    ]


def fill(catalog: Catalog, other: Catalog) -> None:
    """Translate what the catalogue has no translation of with what the other one says."""
    for entry in catalog:
        key = entry.id if isinstance(entry.id, str) else entry.id[0]
        theirs = other.get(key, context=entry.context) if key and not _is_translated(entry.string) else None
        if theirs is not None and _is_translated(theirs.string) and theirs.pluralizable == entry.pluralizable:
            entry.string = theirs.string


def _is_translated(string: str | Sequence[str] | None) -> bool:
    return bool(string) and (isinstance(string, str) or any(string or ()))


def write_catalog(path: Path, catalog: Catalog) -> None:
    """Write it so that a change of one text is a change of one entry."""
    catalog.fuzzy = False  # its heading; babel marks new ones so
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalog, width=120, no_location=True, sort_output=True, omit_header=False)


def _of_template(source: str) -> Iterator[Message]:
    """The texts of a Django template: templatize turns its tags into calls, everything else into noise."""
    calls = re.compile(
        r"\b(gettext|ngettext|pgettext|npgettext)\(((?:u?(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"),? ?)+)", re.DOTALL
    )
    for name, arguments in calls.findall(templatize(source)):
        texts = [
            ast.literal_eval(text.lstrip("u"))
            for text in re.findall(r"u?'(?:[^'\\]|\\.)*'|u?\"(?:[^\"\\]|\\.)*\"", arguments)
        ]
        context = texts.pop(0) if name.startswith(("p", "np")) else ""
        yield context, (texts[0], texts[1]) if "ngettext" in name or name == "npgettext" else texts[0]
