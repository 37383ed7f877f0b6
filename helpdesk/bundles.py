"""What the browser loads first, as few files: made while `collectstatic` runs, so that development needs no build.

Each entry's modules become one module, in the order in which the browser would have run them. Other modules find what
they import in it, and whoever asks for one of the bundled modules by its own name gets the same values.

The texts are ours and kept to one way of writing, so lines are read and not a grammar: imports stand on one line each,
names are exported where they are declared. What is written otherwise stops the bundling with a sentence.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from rjsmin import jsmin

Read = Callable[[str], str]

SHEET = "css/app.css"
ENTRIES = {"js/app.js": "js/bundle-app.js", "js/workspace.js": "js/bundle-workspace.js"}  # entry -> its modules

_IMPORT = re.compile(r'^import (?:(\{[^}\n]*\}) from )?"(\.[^"\n]+)";(?: *//.*)?$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function\*?|class|const) (\w+)", re.MULTILINE)
_OTHERWISE = re.compile(r"^(?:import|export|await)\b(?!\().*", re.MULTILINE)
_SHEET_IMPORT = re.compile(r'^@import url\("([^"]+)"\);.*$', re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_SPACE = re.compile(r"""(?P<string>"[^"]*"|'[^']*')|\s*(?P<mark>[{};,])\s*|\s+""")


class BundleError(ValueError):
    """A file is written in a way that cannot be bundled. The sentence names it."""


@dataclass(frozen=True)
class Module:
    name: str
    text: str
    imports: tuple[tuple[str, str], ...]  # ("{ a, b as c }" or "", name of the other module)
    exports: tuple[str, ...]

    @property
    def stays(self) -> bool:
        """A file of its own: an entry, and what imports later, for its hashed name follows from what that imports."""
        return self.name in ENTRIES or "import(" in self.text

    @property
    def variable(self) -> str:
        return "m_" + re.sub(r"\W", "_", self.name.removeprefix("js/").removesuffix(".js"))


def bundles(names: Iterable[str], read: Read) -> Iterator[tuple[str, str]]:
    """(name, text) of every file that is not what it is in the tree. `names`: all that is collected."""
    every = set(names)
    if SHEET in every:
        yield SHEET, sheet(read)
    if set(ENTRIES) <= every:
        yield from scripts(sorted(name for name in every if re.match(r"js/.*\.js$", name)), read)


def sheet(read: Read) -> str:
    """The style sheet with what it imports in its place; comments and needless space left out."""

    def imported(match: re.Match[str]) -> str:
        name = posixpath.normpath(posixpath.join(posixpath.dirname(SHEET), match[1]))
        text = read(name)
        if re.search(r"url\(|@import", text):
            raise BundleError(f"{name} names another file, which would not be found from {SHEET}.")
        return text

    text = _COMMENT.sub("", _SHEET_IMPORT.sub(imported, read(SHEET)))
    return _SPACE.sub(lambda match: match["string"] or match["mark"] or " ", text).strip() + "\n"


def scripts(names: Iterable[str], read: Read) -> Iterator[tuple[str, str]]:
    modules = {name: module(name, read(name)) for name in names}
    home = _homes(modules)  # module -> the bundle that holds it
    for bundle in ENTRIES.values():
        yield bundle, _bundle(bundle, [modules[name] for name in home if home[name] == bundle], home, modules)
    for one in modules.values():
        if one.name in home:
            names_of = ", ".join(one.exports)
            taken = f"export const {{ {names_of} }} = {one.variable};\n" if one.exports else ""
            yield one.name, f"import {{ {one.variable} }} from {_path(one.name, home[one.name])};\n{taken}"
        elif any(other in home for _names, other in one.imports):
            head, body = _taken(one, home, modules)
            yield one.name, head + jsmin(body) + "\n"


def module(name: str, text: str) -> Module:
    """Raises BundleError when it imports or exports in another way than the one that is read here."""
    folder = posixpath.dirname(name)
    imports = tuple(
        (match[1] or "", posixpath.normpath(posixpath.join(folder, match[2]))) for match in _IMPORT.finditer(text)
    )
    body = _EXPORT.sub("", _IMPORT.sub("", text))
    if odd := _OTHERWISE.search(body):
        raise BundleError(f"{name}: {odd[0]!r} cannot be bundled; see helpdesk/bundles.py.")
    return Module(name, text, imports, tuple(match[2] for match in _EXPORT.finditer(text)))


def _homes(modules: dict[str, Module]) -> dict[str, str]:
    """In the order of their evaluation. What pages beside the entries need as well goes with the first entry."""
    (first, *_others), (bundle, *_rest) = ENTRIES, ENTRIES.values()
    reached = {entry: _in_order(modules, entry) for entry in ENTRIES}
    known = {one.name for several in reached.values() for one in several}
    beside = [one for name in modules if name not in known for one in _in_order(modules, name) if one.name in known]
    homes = {one.name: bundle for one in (*reached[first], *beside) if not one.stays}
    for entry, several in reached.items():
        homes |= {one.name: ENTRIES[entry] for one in several if not one.stays and one.name not in homes}
    return homes


def _in_order(modules: dict[str, Module], entry: str) -> list[Module]:
    """The entry and what it reaches, each after all that it imports itself."""
    done: dict[str, Module] = {}
    under_way: set[str] = set()

    def visit(name: str) -> None:
        if name in done:
            return
        if name in under_way or name not in modules:
            raise BundleError(f"{name} is missing, or imports itself by a detour.")
        under_way.add(name)
        for _names, other in modules[name].imports:
            visit(other)
        done[name] = modules[name]

    visit(entry)
    return list(done.values())


def _bundle(bundle: str, inside: list[Module], home: dict[str, str], modules: dict[str, Module]) -> str:
    foreign: dict[str, set[str]] = {}
    parts = []
    for one in inside:
        for _names, other in one.imports:
            if other not in home:
                raise BundleError(f"{other} imports something later, and {one.name} imports it; split it.")
            if home[other] != bundle:
                foreign.setdefault(home[other], set()).add(modules[other].variable)
        body = _EXPORT.sub(r"\1 \2", _IMPORT.sub(partial(_unpack, one=one, modules=modules), one.text))
        parts.append(f"const {one.variable} = (() => {{\n{body}\nreturn {{ {', '.join(one.exports)} }};\n}})();\n")
    head = _heads(bundle, foreign)
    return f"{head}{jsmin(''.join(parts))}\nexport {{ {', '.join(one.variable for one in inside)} }};\n"


def _taken(one: Module, home: dict[str, str], modules: dict[str, Module]) -> tuple[str, str]:
    """A module outside of the bundles: its imports, and its body with the names that it takes out of them."""
    foreign: dict[str, set[str]] = {}
    kept = ""
    for names, other in one.imports:
        if other in home:
            foreign.setdefault(home[other], set()).add(modules[other].variable)
        else:
            kept += f"import {names + ' from ' if names else ''}{_path(one.name, other)};\n"

    def unpacked(match: re.Match[str]) -> str:
        return _unpack(match, one, modules) if _target(match, one) in home else ""

    return _heads(one.name, foreign) + kept, _IMPORT.sub(unpacked, one.text)


def _target(match: re.Match[str], one: Module) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(one.name), match[2]))


def _unpack(match: re.Match[str], one: Module, modules: dict[str, Module]) -> str:
    names = (match[1] or "").replace(" as ", ": ")
    return f"const {names} = {modules[_target(match, one)].variable};" if names else ""


def _heads(name: str, foreign: dict[str, set[str]]) -> str:
    return "".join(
        f"import {{ {', '.join(sorted(variables))} }} from {_path(name, bundle)};\n"
        for bundle, variables in sorted(foreign.items())
    )


def _path(source: str, target: str) -> str:
    path = posixpath.relpath(target, posixpath.dirname(source))
    return f'"{path if path.startswith(".") else "./" + path}"'
