"""HTML of strangers, made safe to show in the mail frame. Runs in the parser's limited child only.

What is left are words, tables, pictures and links: no script, no style sheet, no form, no svg or math (every known way
round the cleaner needs one of those), no address that a browser would fetch by itself.
"""

from __future__ import annotations

import re
from collections import Counter
from html import unescape
from typing import Any

import nh3
import tinycss2  # type: ignore[import-untyped]

MAX_HTML = 1024 * 1024  # characters
MAX_DEPTH = 300
MAX_TAGS = 50_000
MAX_LINKS = 5_000

_TAGS = set(
    "a abbr address b big blockquote br caption center cite code col colgroup dd del dfn div dl dt em figcaption figure"
    " font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strike strong sub sup table tbody td"
    " tfoot th thead tr tt u ul var wbr".split()
)
_DROPPED_WITH_CONTENT = set(
    "applet audio base canvas embed frame frameset head iframe link math meta noembed noframes noscript object script"
    " select style svg template textarea title video xml xmp".split()
)
_TABLE = {"width", "height", "align", "valign", "bgcolor"}
_ATTRIBUTES: dict[str, set[str]] = {
    "*": {"style", "dir", "lang", "title", "align"},
    "a": {"href"},
    "font": {"color", "size", "face"},
    "table": _TABLE | {"cellpadding", "cellspacing", "border"},
    "tr": _TABLE,
    "td": _TABLE | {"colspan", "rowspan"},
    "th": _TABLE | {"colspan", "rowspan"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "ol": {"start", "type"},
    "li": {"value"},
    "hr": {"width", "size"},
    "img": {"alt", "width", "height"},
}
_WITH_SRC = {**_ATTRIBUTES, "img": _ATTRIBUTES["img"] | {"src"}}
_WITH_PLACES = {**_ATTRIBUTES, "img": _ATTRIBUTES["img"] | {"data-cid", "data-remote"}}
_LINKS = {"http", "https", "mailto", "tel"}

# The properties that a style attribute may keep. Nothing that places, layers, hides, moves or fetches.
_PROPERTIES = frozenset(
    "color background-color font-family font-size font-style font-weight text-align text-decoration line-height"
    " letter-spacing white-space vertical-align direction list-style-type border-collapse border-spacing width max-width"
    " padding padding-top padding-right padding-bottom padding-left margin margin-top margin-right margin-bottom"
    " margin-left border border-top border-right border-bottom border-left border-color border-style border-width"
    " border-radius".split()
)
_FUNCTIONS = frozenset({"rgb", "rgba", "hsl", "hsla"})
_IDENT = re.compile(r"[a-z-]{1,40}", re.IGNORECASE)
_FONT = re.compile(r"[\w \-,.]{1,80}")

# The cleaner writes every attribute in double quotes and escapes what could end one, so its output is regular.
_IMG_SRC = re.compile(r'(<img(?: [a-z-]+="[^"]*")*?) src="([^"]*)"')
_TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"]*")*)\s*/?>')
_ANY_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]{0,20})")

_VOID = frozenset("br hr img input meta link col wbr area base embed param source track".split())
_CLOSED_BY_THE_NEXT = frozenset("p li dt dd tr td th tbody thead tfoot option colgroup".split())
_BLOCKS = frozenset("address center dd div dl dt figure figcaption h1 h2 h3 h4 h5 h6 li ol p pre table tr ul".split())
_SPACED = frozenset("p h1 h2 h3 h4 h5 h6 table ul ol pre".split())


def clean_html(html: str | bytes, *, cids: dict[str, str] | None = None) -> dict[str, Any]:
    """`{html, text, remote_images}`: safe HTML, its words, and how many pictures stay outside.

    `cids` names the pictures that came along: Content-ID without brackets -> the value for `data-cid`, from which the
    mail frame makes the address of the stored file. Pictures elsewhere keep their address in `data-remote`, inert.
    `html` is empty when the body is over a limit: then its words alone are shown, with "open original".
    """
    html = html.decode("utf-8", "replace") if isinstance(html, bytes) else html
    cids = cids or {}
    if is_too_hard(html):
        return {"html": "", "text": _rough_text(html), "remote_images": 0}
    regular = _clean(html, _WITH_SRC, schemes=_LINKS | {"cid"})
    remote = 0

    def place(match: re.Match[str]) -> str:
        nonlocal remote
        address = unescape(match[2]).strip()
        scheme, _, rest = address.partition(":")
        if scheme.lower() == "cid":
            place = cids.get(rest) or cids.get(_unquoted(rest))
            return f'{match[1]} data-cid="{_attribute(place)}"' if place else match[1]
        if scheme.lower() in ("http", "https"):
            remote += 1
            return f'{match[1]} data-remote="{_attribute(address)}"'
        return match[1]

    placed = _IMG_SRC.sub(place, regular)
    safe = _clean(placed, _WITH_PLACES, schemes=_LINKS)  # cleaning is the last thing that happens to it
    return {"html": safe, "text": text_of(safe), "remote_images": remote}


def is_too_hard(html: str) -> bool:
    """Over 1 MiB, 50,000 tags, 5,000 links or an estimated depth of 300: the cleaner would need minutes."""
    if len(html) > MAX_HTML or html.count("<") > MAX_TAGS:
        return True
    if len(re.findall(r"<a\s", html, re.IGNORECASE)) > MAX_LINKS:
        return True
    open_ones: Counter[str] = Counter()
    depth = 0
    for match in _ANY_TAG.finditer(html):
        name = match[2].lower()
        if name in _VOID or name in _CLOSED_BY_THE_NEXT:
            continue
        if not match[1]:
            open_ones[name] += 1
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif open_ones[name]:
            open_ones[name] -= 1
            depth -= 1
    return False


def _clean(html: str, attributes: dict[str, set[str]], *, schemes: set[str]) -> str:
    return nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags=_DROPPED_WITH_CONTENT,
        attributes=attributes,
        attribute_filter=_attribute_filter,
        url_schemes=schemes,
        url_relative="deny",
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        strip_comments=True,
    )


def _attribute_filter(tag: str, name: str, value: str) -> str | None:
    if name == "style":
        return clean_style(value) or None
    if name in ("width", "height") and not re.fullmatch(r"\d{1,4}%?", value.strip()):
        return None
    return value[:4000]


def clean_style(value: str) -> str:
    """The declarations of a style attribute that can only change how words look."""
    kept = []
    for declaration in tinycss2.parse_blocks_contents(value[:4000], skip_comments=True, skip_whitespace=True):
        if declaration.type == "declaration" and declaration.lower_name in _PROPERTIES:
            words = _style_value(declaration.value)
            if words:
                kept.append(f"{declaration.lower_name}:{words}")
    return ";".join(kept[:40])


def _style_value(tokens: list[Any]) -> str:
    """The value written anew from its tokens; empty when one of them may not be there."""
    words: list[str] = []
    for token in tokens:
        if token.type == "whitespace":
            words.append(" ")
        elif token.type == "comment":
            continue
        elif token.type == "ident" and _IDENT.fullmatch(token.value):
            words.append(token.value)
        elif token.type == "string" and _FONT.fullmatch(token.value):
            words.append(f"'{token.value}'")
        elif token.type == "hash" and re.fullmatch(r"[0-9a-fA-F]{3,8}", token.value):
            words.append(f"#{token.value}")
        elif token.type == "number" and 0 <= token.value <= 1000:
            words.append(f"{token.value:g}")
        elif token.type == "percentage" and 0 <= token.value <= 200:
            words.append(f"{token.value:g}%")
        elif (
            token.type == "dimension"
            and 0 <= token.value <= 2000
            and token.lower_unit in ("px", "pt", "em", "rem", "ex")
        ):
            words.append(f"{token.value:g}{token.lower_unit}")
        elif token.type == "literal" and token.value in (",", "/"):
            words.append(token.value)
        elif token.type == "function" and token.lower_name in _FUNCTIONS:
            inner = _style_value(token.arguments)
            if not inner:
                return ""
            words.append(f"{token.lower_name}({inner})")
        else:
            return ""
    return "".join(words).strip()


def _attribute(value: str) -> str:
    return value.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def _unquoted(cid: str) -> str:
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), cid)


def text_of(clean: str) -> str:
    """The words of cleaned HTML, a line for each block, `> ` before what is quoted."""
    text = _Lines()
    at = 0
    for match in _TAG.finditer(clean):
        text.add(unescape(clean[at : match.start()]))
        at = match.end()
        closing, name = bool(match[1]), match[2]
        if name == "br":
            text.end_line(force=True)
        elif name == "hr":
            text.end_line()
        elif name == "blockquote":
            text.end_line()
            text.quoted += -1 if closing else 1
        elif name == "pre":
            text.end_line()
            text.pre += -1 if closing else 1
        elif name in ("td", "th") and closing:
            text.add(" ")
        elif name in _BLOCKS:
            text.end_line(spaced=name in _SPACED)
        if name == "li" and not closing:
            text.add("- ")
    text.add(unescape(clean[at:]))
    return text.finished()


class _Lines:
    """Collects words into lines; white space collapses except inside `pre`."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.current: list[str] = []
        self.quoted = 0
        self.pre = 0

    def add(self, words: str) -> None:
        if self.pre > 0:
            head, *rest = words.split("\n")
            self.current.append(head)
            for line in rest:
                self.end_line(force=True)
                self.current.append(line)
        elif words:
            self.current.append(re.sub(r"[ \t\r\n\f]+", " ", words))

    def end_line(self, *, force: bool = False, spaced: bool = False) -> None:
        line = "".join(self.current).replace("\xa0", " ")
        line = line.rstrip() if self.pre > 0 else re.sub(r" {2,}", " ", line).strip()
        self.current = []
        mark = ">" * min(max(self.quoted, 0), 5)
        if line or force:
            self.lines.append(f"{mark} {line}".rstrip() if mark else line)
        if spaced and self.lines and self.lines[-1] not in ("", mark):
            self.lines.append(mark)

    def finished(self) -> str:
        self.end_line()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self.lines)).strip()


def _rough_text(html: str) -> str:
    """Words of HTML that is too hard to be cleaned: everything between `>` and `<`, without scripts and style sheets."""
    html = html[:MAX_HTML]
    lower = html.lower()
    words, at = [], 0
    while at < len(html):
        start = html.find("<", at)
        if start < 0:
            words.append(html[at:])
            break
        words.append(html[at:start])
        skipped = next((name for name in ("script", "style") if lower.startswith(name, start + 1)), None)
        end = html.find(">", start)
        if skipped:
            end = html.find(">", max(lower.find(f"</{skipped}", start), start))
        if end < 0:
            break
        at = end + 1
        words.append("\n" if lower.startswith(("<br", "<p", "<div", "<tr", "<li"), start) else " ")
    lines = (" ".join(line.split()) for line in unescape("".join(words)).split("\n"))
    return "\n".join(line for line in lines if line)[:200_000]
