"""The text of the search box, of saved views and of `q=` in the API: `상태:진행중 담당:나 -태그:vip "정확한 말" OR (...)`.

`parse` reads it into a tree of `tickets.conditions`; `text_of` writes a tree, in the reader's language. Keys and values
are understood in every language of ours at once. Nothing raises: what cannot be understood is a `Problem` with its
place, and the rest of the text still counts.

    query = either                      either = all ("OR" all)*
    all = ["-"] one (["-"] one)*        one = "(" either ")" | key ":" values | word | "exact words"
    values = value ("," value)*         any of them; what the clock says, as `value@Asia/Seoul` in a zone of its own
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from agents.models import Agent, Team
from tickets import conditions, fields
from tickets.conditions import ME, Invalid, Tree
from tickets.models.ticket import UNSOLVED, Ticket

LONGEST = 1000  # characters
DEEPEST = conditions.MAX_DEPTH - 2  # parentheses
OR, AND = ("OR", "또는"), ("AND", "그리고")
# order of the lists -> its words: the English one that is written, the Korean one, and others that are understood
SORTS: Mapping[str, tuple[str, ...]] = {
    "due": ("waiting", "대기", "sla", "기한"),
    "newest": ("-updated", "-변경"),
    "oldest": ("updated", "변경"),
    "created": ("-created", "-생성"),
    "priority": ("priority", "우선순위"),
}

# field -> its keys: the English one that is written, the Korean one, and others that are understood
KEYS: Mapping[str, tuple[str, ...]] = {
    "status": ("status", "상태"),
    "assignee": ("assignee", "담당", "담당자"),
    "team": ("team", "팀"),
    "customer": ("customer", "고객", "from", "보낸사람"),
    "to": ("to", "받는곳"),
    "last_by": ("last_by", "최근작성자"),
    "channel": ("channel", "채널"),
    "tag": ("tag", "태그"),
    "priority": ("priority", "우선순위", "중요도"),
    "created": ("created", "생성", "접수"),
    "updated": ("updated", "변경"),
    "sla": ("sla", "기한"),
    "promise": ("promise", "목표"),
    "promised_by": ("promised_by", "약속담당"),
    "csat": ("csat", "만족도"),
    "has": ("has", "포함"),
    "subject": ("subject", "제목"),
    "text": ("text", "내용"),
    "number": ("number", "번호"),
    "language": ("language", "언어"),
    "customer_tier": ("tier", "등급"),
    "customer_organisation": ("organisation", "회사", "organization"),
    "customer_address": ("address", "연락처"),
    "brand": ("brand", "브랜드"),
    "hours": ("hours", "운영시간", "영업시간"),
    "weekday": ("weekday", "요일"),
    "daytime": ("time", "시각"),
    "incident": ("incident", "장애"),
    "needs": ("needs", "필요스킬"),
    "customer_language": ("speaks", "고객언어"),
    "waiting": ("waiting", "대기시간"),
    # what only a rule asks
    "said": ("said", "새내용"),
    "said_on": ("said_on", "새채널"),
    "said_by": ("said_by", "새작성자"),
    "percent": ("sla_used", "소진율"),
}
# before a key of one's own: a field of the ticket, an attribute of its customer
CUSTOM: Mapping[str, tuple[str, ...]] = {"field.": ("field.", "항목."), "customer.": ("customer.", "고객.")}
IS, SORT = ("is", "상태"), ("sort", "정렬")

# What `is:` says shortly, and the leaf that it stands for.
SHORT: Mapping[tuple[str, str], dict[str, Any]] = {
    ("open", "미해결"): {"field": "status", "op": "is", "value": list(UNSOLVED)},
    ("unread", "안읽음"): {"field": "unread", "op": "is", "value": True},
    ("snoozed", "보류"): {"field": "snoozed", "op": "is", "value": True},
    ("mine", "내것"): {"field": "assignee", "op": "is", "value": [ME]},
    ("unassigned", "미배정"): {"field": "assignee", "op": "is", "value": [0]},
    ("breached", "위반"): {"field": "sla", "op": "is", "value": ["breached"]},
}
NOBODY, MYSELF = ("none", "없음", "미배정"), (ME, "나", "내")
_AUTHORS: dict[Any, tuple[str, ...]] = {"customer": ("customer", "고객"), conditions.US: ("us", "우리")}
WORDS_OF: Mapping[str, dict[Any, tuple[str, ...]]] = {
    "sla": {"breached": ("breached", "위반"), "running": ("running", "진행"), "paused": ("paused", "멈춤")},
    "has": {
        "attachment": ("attachment", "첨부", "file", "파일"),
        "note": ("note", "메모", "내부메모"),
        "reply": ("reply", "답변"),
    },
    "promise": {
        "first_reply": ("first-reply", "최초응답"),
        "next_reply": ("next-reply", "다음답변"),
        "periodic_update": ("update", "정기안내"),
        "resolution": ("resolution", "해결"),
        "team": ("turn", "팀차례"),
        "promise": ("promised", "후속약속"),
    },
    "channel": {"webchat": ("chat",)},
    "said_on": {"webchat": ("chat",)},
    "customer_tier": {"": ("standard", "일반"), "vip": ("vip", "우수고객")},
    "said_by": {"person": ("person", "사람"), "machine": ("machine", "자동"), **_AUTHORS},
    "last_by": _AUTHORS,
    "incident": {0: ("none", "없음")},
    "hours": {"open": ("open", "운영중", "영업중"), "closed": ("closed", "운영종료", "영업종료")},
    "weekday": {
        1: ("mon", "월"), 2: ("tue", "화"), 3: ("wed", "수"), 4: ("thu", "목"), 5: ("fri", "금"), 6: ("sat", "토"),
        7: ("sun", "일"),
    },
}  # fmt: skip
DAYS = {"today": ("today", "오늘"), "yesterday": ("yesterday", "어제")}
UNITS = {"m": ("m", "분"), "h": ("h", "시간"), "d": ("d", "일"), "w": ("w", "주")}
OPPOSITES = {
    "is": "is_not", "contains": "contains_not", "has": "has_not", "phrase": "phrase_not",
    "is_not": "is", "contains_not": "contains", "has_not": "has", "phrase_not": "phrase",
}  # fmt: skip
POSITIVE = {
    "choice": "is",
    "text": "contains",
    "tags": "has",
    "words": "contains",
    "custom": "is",
    "clock": "is",
    "daytime": "is",
    "own": "is",
}

_OWN_KEY = r"[\w-]{1,60}"
_CHUNK = re.compile(r"[^\s()\"]+")
_KEY = re.compile(
    rf'(?P<key>(?:field|항목|customer|고객)\.(?:{_OWN_KEY}|"[^"]{{1,60}}")|[^\W\d_][\w]{{0,30}})'
    r"(?P<op>:(?:>=|<=|>|<)?|>=|<=|>|<)"
)
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"?|[^\s,()"]+')
_AGO = re.compile(r"([0-9]{1,4})(m|h|d|w|분|시간|일|주)")


@dataclass(frozen=True)
class Problem:
    """What cannot be understood: where, how long, and a sentence in the reader's language."""

    position: int
    length: int
    sentence: str


@dataclass(frozen=True)
class Token:
    """One condition or word of the text, with its place: what a chip shows."""

    position: int
    length: int
    leaf: Tree
    negated: bool = False

    @property
    def stands_for(self) -> Tree:
        return opposite(self.leaf) if self.negated else self.leaf


@dataclass(frozen=True)
class Query:
    """`words` are what to mark in what was found. With problems the tree holds what was understood."""

    tree: Tree
    words: tuple[str, ...] = ()
    sort: str = ""
    problems: tuple[Problem, ...] = ()
    tokens: tuple[Token, ...] = ()

    def text(self) -> str:
        """In the reader's language, as `parse` would read it again."""
        return " ".join(part for part in (text_of(self.tree), _sort_text(self.sort)) if part)


def parse(text: str, *, agent: Agent | None = None) -> Query:
    """Never raises. `agent` is who asks; what means "me" stays "me" in the tree."""
    return _read(text, of_rule=False)


def parse_rule(text: str) -> Query:
    """`parse` for the conditions of a rule: it can ask for what made it run, too."""
    return _read(text, of_rule=True)


def _read(text: str, *, of_rule: bool) -> Query:
    if len(text) > LONGEST:
        sentence = _("At most %(max)d characters are possible.") % {"max": LONGEST}
        return Query({}, problems=(Problem(LONGEST, len(text) - LONGEST, sentence),))
    return _Reading(text, of_rule=of_rule).query()


def text_of(tree: Tree) -> str:
    """A tree as text, in the reader's language. Raises Invalid for one that is hand-made and cannot be understood."""
    return _write(tree, inside="")


class Misread(ValueError):
    """A piece that cannot be understood, with what to tell."""


@dataclass(frozen=True)
class _Piece:
    kind: str  # ( ) - or and, word, phrase, key
    at: int
    text: str
    key: str = ""
    op: str = ""


class _Reading:
    """One text, read from left to right."""

    def __init__(self, text: str, *, of_rule: bool) -> None:
        self.text = text
        self.validate = conditions.validate_of_rule if of_rule else conditions.validate
        self.pieces = list(_pieces(text))
        self.next = 0
        self.problems: list[Problem] = []
        self.tokens: list[Token] = []
        self.words: list[str] = []
        self.sort = ""

    def query(self) -> Query:
        tree = self._either(depth=0)
        while self.next < len(self.pieces):  # a ")" too many, and what follows it
            self._problem(self.pieces[self.next], _("This bracket closes nothing."))
            self.next += 1
            tree = _joined("all", [tree, self._either(depth=0)])
        try:
            self.validate(tree)
        except Invalid as error:
            self.problems.append(Problem(0, len(self.text), error.problem))
        return Query(tree, tuple(dict.fromkeys(self.words)), self.sort, tuple(self.problems), tuple(self.tokens))

    def _peek(self) -> _Piece | None:
        return self.pieces[self.next] if self.next < len(self.pieces) else None

    def _problem(self, piece: _Piece, sentence: str) -> None:
        self.problems.append(Problem(piece.at, len(piece.text), sentence))

    def _either(self, *, depth: int, negated: bool = False) -> Tree:
        branches = [self._all(depth=depth, negated=negated)]
        while (piece := self._peek()) and piece.kind == "or":
            self.next += 1
            right = self._all(depth=depth, negated=negated)
            if not branches[-1] or not right:
                self._problem(piece, _("OR stands between two things."))
            branches.append(right)
        return _joined("any", [branch for branch in branches if branch])

    def _all(self, *, depth: int, negated: bool) -> Tree:
        branches: list[Tree] = []
        while (piece := self._peek()) and piece.kind not in ("or", ")"):
            branches.append(self._one(depth=depth, negated=negated))
        return _joined("all", branches)

    def _one(self, *, depth: int, negated: bool) -> Tree:
        piece = self.pieces[self.next]
        self.next += 1
        if piece.kind == "and":
            return {}
        if piece.kind == "-":
            after = self._peek()
            if after is None or after.kind in ("or", "and", ")"):
                self._problem(piece, _("A minus stands before what to leave out."))
                return {}
            return opposite(self._one(depth=depth, negated=not negated))
        if piece.kind == "(":
            return self._bracket(piece, depth=depth, negated=negated)
        try:
            leaf = _leaf(piece)
            if leaf.get("field") in conditions.OF_THE_MOMENT:
                self.validate(leaf)  # here, so that the problem has its place
        except (Misread, Invalid) as error:
            self._problem(piece, str(error))
            return {}
        if piece.kind == "key" and piece.key == "sort":
            self.sort = str(leaf["sort"])
            return {}
        if leaf["field"] in ("words", "subject", "text") and not negated:
            self.words += [word.rstrip("*") for word in leaf["value"] if word.rstrip("*")]
        self.tokens.append(Token(piece.at, len(piece.text), leaf, negated))
        return leaf

    def _bracket(self, piece: _Piece, *, depth: int, negated: bool) -> Tree:
        if depth >= DEEPEST:
            self._problem(piece, _("Brackets can be nested %(max)d deep at most.") % {"max": DEEPEST})
            self._skip_bracket()
            return {}
        inner = self._either(depth=depth + 1, negated=negated)
        closing = self._peek()
        if closing is None:
            self._problem(piece, _("The bracket is not closed."))
        else:
            self.next += 1
        return inner

    def _skip_bracket(self) -> None:
        depth = 1
        while depth and self.next < len(self.pieces):
            depth += {"(": 1, ")": -1}.get(self.pieces[self.next].kind, 0)
            self.next += 1


def _pieces(text: str) -> Iterator[_Piece]:
    at = 0
    while at < len(text):
        sign = text[at]
        if sign.isspace():
            at += 1
            continue
        if sign in "()":
            piece = _Piece(sign, at, sign)
        elif sign == "-" and at + 1 < len(text) and not text[at + 1].isspace():
            piece = _Piece("-", at, sign)
        elif sign == '"':
            quoted = _VALUE.match(text, at)
            piece = _Piece("phrase", at, quoted[0] if quoted else sign)
        else:
            piece = _word_or_key(text, at)
        yield piece
        at += len(piece.text)


def _word_or_key(text: str, at: int) -> _Piece:
    found = _KEY.match(text, at)
    if found and not text.startswith("//", found.end()):
        key, op = _key_of(found["key"]), found["op"]
        value = _values_end(text, found.end())
        if key:
            return _Piece("key", at, text[at:value], key=key, op=op)
        if op.startswith(":") and value > found.end():
            return _Piece("key", at, text[at:value], op=op)
    chunk = _CHUNK.match(text, at)
    word = chunk[0] if chunk else text[at]
    return _Piece("or" if word in OR else "and" if word in AND else "word", at, word)


def _values_end(text: str, at: int) -> int:
    """Behind `a,"b c",d`."""
    while found := _VALUE.match(text, at):
        at = found.end()
        if not text.startswith(",", at):
            break
        at += 1
    return at


def _key_of(written: str) -> str:
    """The field of a key, `is`, `sort`, `field.<key>`; "" when there is none."""
    name = written.lower()
    for prefix, names in CUSTOM.items():
        if name.startswith(names):
            return prefix + written.partition(".")[2].strip('"')
    if name in SORT:
        return "sort"
    if name == IS[0]:
        return "is"
    return next((field for field, names in KEYS.items() if name in names), "")


def _leaf(piece: _Piece) -> dict[str, Any]:
    if piece.kind == "word":
        return _numbered(piece.text) or {"field": "words", "op": "contains", "value": [_short(piece.text)]}
    if piece.kind == "phrase":
        phrase = _unquoted(piece.text)
        if not phrase:
            raise Misread(_("There is nothing between the quotation marks."))
        return {"field": "words", "op": "phrase", "value": [_short(phrase)]}
    if not piece.key:
        raise Misread(_unknown(piece.text.partition(":")[0]))
    start = piece.text.index(piece.op) + len(piece.op)
    values = [_unquoted(one) for one in _VALUE.findall(piece.text[start:])]
    values = [value for value in values if value]
    if not values:
        raise Misread(_("Write what to look for behind “%(key)s”.") % {"key": piece.text})
    return _condition(piece.key, piece.op.lstrip(":"), values)


def _short(text: str) -> str:
    if len(text) > conditions.MAX_TEXT:
        raise Misread(_("At most %(max)d characters are possible.") % {"max": conditions.MAX_TEXT})
    return text


def _numbered(word: str) -> dict[str, Any] | None:
    digits = word[1:]
    if word.startswith("#") and digits.isascii() and digits.isdigit() and len(digits) < 19:
        return {"field": "number", "op": "contains", "value": [digits]}
    return None


def _unknown(key: str) -> str:
    known = [*(name for names in KEYS.values() for name in names), *IS, *SORT]
    near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.6)
    if near:
        return _("There is no “%(key)s:”. Did you mean “%(near)s:”?") % {"key": key, "near": near[0]}
    return _("There is no “%(key)s:”. To look for the words, put them in quotation marks.") % {"key": key}


def _condition(key: str, op: str, values: list[str]) -> dict[str, Any]:
    if key == "sort":
        return {"sort": _sort(values[0])}
    if key in ("is", "status") and not op and (short := _short_form(key, values)):
        return short
    if key == "is":
        names = ", ".join(_shown(names) for names in SHORT)
        raise Misread(_("“%(value)s” is none of: %(names)s.") % {"value": values[0], "names": names})
    field = conditions.field_named(key)
    if field is None:  # the table of keys and the fields belong together; a test holds them so
        raise Misread(_unknown(key))
    if field.kind == "custom":
        return {"field": key} | _of_key(op, values)
    if op and field.kind not in _COMPARED and key != "status":
        raise Misread(_("“%(key)s” cannot be compared; write a colon.") % {"key": key})
    if key in conditions.OF_A_ZONE:
        values, zoned = _zoned(values)
        return {
            "field": key,
            "op": "is",
            "value": _choices(key, op, values) if field.choices else _times(values),
        } | zoned
    match field.kind:
        case "moment":
            return {"field": key} | _moment(op, values[0])
        case "due":
            return {"field": key} | _due(op, values)
        case "order":
            return {"field": key} | _order(key, op, values[0])
        case "wait":
            return {"field": key} | _wait(op, values[0])
        case "percent":
            return {"field": key} | _percent(op, values[0])
        case "choice" | "clock":
            return {"field": key, "op": "is", "value": _choices(key, op, values)}
        case "tags":
            return {"field": key, "op": "has", "value": [_short(value).lower() for value in values]}
    return {"field": key, "op": POSITIVE[field.kind], "value": [_short(value) for value in values]}


def _zoned(values: list[str]) -> tuple[list[str], dict[str, str]]:
    """What stands behind the @ of any of them, apart: one zone for all of them, or none."""
    named = {value.partition("@")[2] for value in values if "@" in value}
    if len(named) > 1:
        raise Misread(_("One time zone counts for all of them: write it once."))
    found = [zone for zone in conditions.zones() for name in named if zone.lower() == name.lower()]
    if len(found) != len(named):
        raise Misread(_("There is no time zone “%(zone)s”.") % {"zone": "".join(named)})
    return [value.partition("@")[0] for value in values], {"zone": found[0]} if found else {}


def _times(values: list[str]) -> list[str]:
    return list(dict.fromkeys(map(conditions.daytime, values)))


def _of_key(op: str, values: list[str]) -> dict[str, Any]:
    """With a sign a number or a day is meant, and with dots between two days; else it is one of the values."""
    if op and fields.number_in(values[0]) is not None:
        if op not in _NUMBER_SIGNS:
            raise Misread(_("Compare a number with >= or <=."))
        return {"op": _NUMBER_SIGNS[op], "value": values[0]}
    ends = [end for end in values[0].split("..") if end]
    if op or (".." in values[0] and len(values) == 1 and ends and all(map(_is_day, ends))):
        return _moment(op, values[0])
    return {"op": "is", "value": [_short(value) for value in values]}


_NUMBER_SIGNS = {">=": "at_least", "<=": "at_most"}


def _is_day(text: str) -> bool:
    return bool(fields.day_in(text) or _span(text)) or any(_compact(text) in names for names in DAYS.values())


def _short_form(key: str, values: list[str]) -> dict[str, Any] | None:
    """`is:open` is every unsolved one, `status:open` that status alone; Korean has one key for both."""
    if len(values) != 1:
        return None
    for names, leaf in SHORT.items():
        if _compact(values[0]) in (names if key == "is" or names[0] != "open" else names[1:]):
            return dict(leaf)
    return None


def _order(key: str, op: str, value: str) -> dict[str, Any]:
    chosen = _choice(key, value)
    lowest, highest = min(_values(key)), max(_values(key))
    if (op == ">" and chosen == highest) or (op == "<" and chosen == lowest):
        raise Misread(_("Nothing lies beyond “%(value)s”.") % {"value": value})
    match op:
        case ">" | ">=":
            return {"op": "at_least", "value": chosen + (op == ">")}
        case "<" | "<=":
            return {"op": "at_most", "value": chosen - (op == "<")}
    return {"op": "is", "value": chosen}


def _choices(key: str, op: str, values: list[str]) -> list[Any]:
    if not op:
        return list(dict.fromkeys(_choice(key, value) for value in values))
    steps, place = list(Ticket.Status.values), Ticket.Status.values.index(_choice(key, values[0]))
    kept = {">": steps[place + 1 :], ">=": steps[place:], "<": steps[:place], "<=": steps[: place + 1]}[op]
    if not kept:
        raise Misread(_("Nothing lies beyond “%(value)s”.") % {"value": values[0]})
    return [str(status) for status in kept]


def _choice(key: str, written: str) -> Any:
    value = _compact(written)
    if key in _OF_US:
        return next((choice for choice, names in WORDS_OF.get(key, {}).items() if value in names), None) or _one_of_us(
            key, value, written
        )
    for names, choice in _names_of(key):
        if value in names:
            return choice
    shown = ", ".join(_shown_choice(key, choice) for _names, choice in _names_of(key))
    raise Misread(_("“%(value)s” is none of: %(names)s.") % {"value": written, "names": shown})


def _one_of_us(key: str, value: str, written: str) -> Any:
    """An agent by name, beginning of a name or address; a team by name. Raises Misread when it is nobody or several."""
    if value in NOBODY and key in ("assignee", "team"):
        return 0
    if value in MYSELF and key in ("assignee", "last_by", "promised_by"):
        return ME
    known = _us(key)
    tries: tuple[Callable[[tuple[str, ...]], bool], ...] = (
        lambda names: value in names,
        lambda names: any(name.startswith(value) for name in names),
    )
    for fits in tries:
        found = [pk for pk, names, _shown in known if fits(names)]
        if len(found) == 1:
            return found[0]
        if found:
            raise Misread(_("Several are called “%(name)s”: write the whole name or the address.") % {"name": written})
    raise Misread(_("Nobody is called “%(name)s”.") % {"name": written})


def _us(key: str) -> list[tuple[int, tuple[str, ...], str]]:
    """(id, names it is known by, the one that is written). A name that two share gives way to the address."""
    if key == "team":
        return [(pk, (_compact(name),), name) for pk, name in Team.objects.order_by("pk").values_list("pk", "name")]
    rows = list(Agent.objects.filter(is_active=True).order_by("pk").values_list("pk", "name", "email"))
    shared = [_compact(name) for _pk, name, _email in rows]
    return [
        (pk, (_compact(name), email.lower()), email if shared.count(_compact(name)) > 1 or not name else name)
        for pk, name, email in rows
    ]


# Whose values are agents or teams, with words for some others.
_OF_US = ("assignee", "team", "said_by", "last_by", "promised_by")


def _values(key: str) -> list[Any]:
    field = conditions.field_named(key)
    return [value for value, _label in field.choices()] if field and field.choices else []


def _names_of(key: str) -> list[tuple[tuple[str, ...], Any]]:
    """Each choice with what it is called: its own word, ours, and its label in every language."""
    labels: dict[Any, list[str]] = {}
    field = conditions.field_named(key)
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            for value, label in field.choices() if field and field.choices else []:
                labels.setdefault(value, []).append(_compact(str(label)))
    ours = WORDS_OF.get(key, {})
    return [((str(value), *ours.get(value, ()), *said), value) for value, said in labels.items()]


def _moment(op: str, value: str) -> dict[str, Any]:
    first, dots, last = value.partition("..")
    if dots and not op:
        begins, ends = (_edge(first) if first else ""), (_edge(last) if last else "")
        if begins and ends:
            return {"op": "between", "value": [begins, ends]}
        return {"op": "since", "value": begins} if begins else {"op": "until", "value": _edge(last)}
    at = _edge(value)
    if op:
        return {"op": {">": "after", ">=": "since", "<": "before", "<=": "until"}[op], "value": at}
    return {"op": "since", "value": at} if _span(value) else {"op": "between", "value": [at, at]}


def _edge(value: str) -> str:
    return _span(value) or _day(value)


def _due(op: str, values: list[str]) -> dict[str, Any]:
    if op in ("<", "<="):
        if not (span := _span(values[0])):
            raise Misread(_("Write a span of time as 30m, 2h, 7d or 2w."))
        return {"op": "within", "value": span}
    if op:
        raise Misread(_("Write “sla:<1h” for what is due within an hour."))
    return {"op": "is", "value": list(dict.fromkeys(_choice("sla", value) for value in values))}


def _wait(op: str, value: str) -> dict[str, Any]:
    if not (span := _span(value)):
        raise Misread(_("Write a span of time as 30m, 2h, 7d or 2w."))
    return {"op": "below" if op in ("<", "<=") else "at_least", "value": span}


def _percent(op: str, value: str) -> dict[str, Any]:
    """Whole ones; what lies beyond is refused with the leaf."""
    digits = value.removesuffix("%")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 4):
        raise Misread(_("Write a number from 1 to 100."))
    number = int(digits) + {">": 1, "<": -1}.get(op, 0)
    return {"op": {">": "at_least", ">=": "at_least", "<": "at_most", "<=": "at_most"}.get(op, "is"), "value": number}


def _span(value: str) -> str:
    """ "7일" -> "7d"; "" for what is no span of time."""
    found = _AGO.fullmatch(_compact(value))
    return f"{int(found[1])}{next(unit for unit, names in UNITS.items() if found[2] in names)}" if found else ""


def _day(value: str) -> str:
    named = next((day for day, names in DAYS.items() if _compact(value) in names), None)
    day = named or value
    conditions.span(day, now=conditions.SOME_DAY)  # raises Invalid, in words
    return day


def _sort(value: str) -> str:
    found = next((sort for sort, names in SORTS.items() if _compact(value) in names), None)
    if found is None:
        names = ", ".join(map(_shown, SORTS.values()))
        raise Misread(_("“%(value)s” is none of: %(names)s.") % {"value": value, "names": names})
    return found


def _joined(group: str, branches: list[Tree]) -> Tree:
    """One level for what is said on one level; no group for a single thing."""
    flat: list[Tree] = []
    for branch in branches:
        if branch:
            flat += branch.get(group, [branch])
    return flat[0] if len(flat) == 1 else {group: flat} if flat else {}


def opposite(tree: Tree) -> Tree:
    """What holds where the tree does not: by the field's own "not" where it has one."""
    if not tree:
        return {}
    if "none" in tree:
        return _joined("any", list(tree["none"]))
    if "any" in tree:
        return {"none": list(tree["any"])}
    if tree.get("op") in OPPOSITES and not _is_compared(tree):
        return {**tree, "op": OPPOSITES[tree["op"]]}
    return {"none": [tree]}


def _is_compared(leaf: Tree) -> bool:
    """Kinds whose "is" has no "is not"."""
    field = conditions.field_named(leaf["field"])
    return field is not None and field.kind in _COMPARED


_COMPARED = ("order", "due", "moment", "wait", "percent")


def _compact(text: str) -> str:
    return "".join(text.split()).lower()


# Writing


def _is_korean() -> bool:
    return (translation.get_language() or "").startswith("ko")


def _shown(names: tuple[str, ...]) -> str:
    return names[1] if _is_korean() and len(names) > 1 else names[0]


def _write(tree: Tree, *, inside: str) -> str:
    if not tree:
        return ""
    if "field" in tree:
        return _write_leaf(tree)
    (group, branches), *_rest = tree.items()
    if group == "none":
        return "-" + (
            _write(branches[0], inside="-") if len(branches) == 1 else f"({_write({'any': branches}, inside='')})"
        )
    said = [text for branch in branches if (text := _write(branch, inside=group))]
    text = (" " if group == "all" else f" {_shown(OR)} ").join(said)
    binds = group == "all" and inside == "any"  # "a b OR c" needs no brackets
    return f"({text})" if inside and len(said) > 1 and not binds else text


def _write_leaf(leaf: Tree) -> str:
    if leaf["op"] in conditions.NEGATED:
        return "-" + _write_leaf({**leaf, "op": OPPOSITES[leaf["op"]]})
    name, op, value = leaf["field"], leaf["op"], leaf["value"]
    values = value if isinstance(value, list) else [value]
    if short := next((names for names, other in SHORT.items() if other == leaf and names[0] not in _SAID_LONGER), None):
        return f"{_shown(IS)}:{_shown(short)}"
    if name == "words":
        said = f" {_shown(OR)} ".join(_written_word(one, op) for one in values)
        return f"({said})" if len(values) > 1 else said
    if name == "number" and len(values) == 1:
        return f"#{values[0]}"
    if prefix := conditions.prefix_of(name):
        own = conditions.key_of(name)
        key = f"{_shown(CUSTOM[prefix])}{own if re.fullmatch(_OWN_KEY, own) else _quoted(own)}"
        if op in conditions.OF_NUMBERS:
            return f"{key}{_SIGNS[op]}{values[0]}"
        kind = "moment" if op in conditions.OF_DAYS else "custom"
    else:
        key, field = _shown(KEYS[name]), conditions.field_named(name)
        kind = field.kind if field else ""
    match kind:
        case "moment" if op == "between":
            first, last = values
            shown = [_written_moment(one) for one in ([first] if first == last and not prefix else values)]
            return f"{key}:{'..'.join(shown)}"
        case "moment":
            sign = {"after": ">", "since": ">=", "before": "<", "until": "<="}[op]
            return f"{key}{sign}{_written_moment(value)}"
        case "due" if op == "within":
            return f"{key}:<{_written_moment(value)}"
        case "wait":
            return f"{key}{'<' if op == 'below' else '>='}{_written_moment(value)}"
        case "percent":
            return f"{key}{_SIGNS[op]}{value}"
        case "order":
            return f"{key}{_SIGNS[op]}{_shown_choice(name, value)}"
        case "choice" | "clock" | "due":
            return f"{key}:{_written([_shown_choice(name, one) for one in values])}{_zone(leaf)}"
        case "daytime":
            return f"{key}:{','.join(values)}{_zone(leaf)}"
    return f"{key}:{_written(values)}"


def _zone(leaf: Tree) -> str:
    return f"@{leaf['zone']}" if leaf.get("zone") else ""


_SIGNS = {"is": ":", "at_least": ">=", "at_most": "<="}
_SAID_LONGER = ("mine", "unassigned", "breached")  # assignee:me, assignee:none and sla:breached say the same


def _written_word(word: str, op: str) -> str:
    return _quoted(word) if op == "phrase" or not _is_plain_word(word) else word


def _is_plain_word(word: str) -> bool:
    pieces = list(_pieces(word))
    return len(pieces) == 1 and pieces[0].kind == "word" and pieces[0].text == word and not _numbered(word)


def _written(values: list[str]) -> str:
    return ",".join(value if re.fullmatch(r'[^\s,()"<>=]+', value) else _quoted(value) for value in values)


def _written_moment(value: str) -> str:
    if found := _AGO.fullmatch(value):
        return f"{found[1]}{_shown(UNITS[found[2]])}"
    return _shown(DAYS[value]) if value in DAYS else value


def _shown_choice(key: str, value: Any) -> str:
    if key in _OF_US and not isinstance(value, str):
        return _shown(NOBODY) if value == 0 else next((it for pk, _names, it in _us(key) if pk == value), str(value))
    if value == ME and key in _OF_US:
        return _shown(MYSELF)
    ours = WORDS_OF.get(key, {}).get(value, ())
    if len(ours) > 1:
        return _shown(ours)
    if not _is_korean() or not isinstance(value, str | int):
        return ours[0] if ours else _english(key, value)
    field = conditions.field_named(key)
    labels = dict(field.choices()) if field and field.choices else {}
    return _compact(str(labels.get(value, value)))


def _english(key: str, value: Any) -> str:
    """The word of a choice; a number that has a name is written by it (priority, not stars)."""
    if not isinstance(value, int):
        return str(value)
    with translation.override("en"):
        field = conditions.field_named(key)
        return _compact(str(dict(field.choices()).get(value, value))) if field and field.choices else str(value)


def _sort_text(sort: str) -> str:
    return f"{_shown(SORT)}:{_shown(SORTS[sort])}" if sort else ""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(value: str) -> str:
    """What a value says; a quotation mark that is not closed ends with the text."""
    if not value.startswith('"'):
        return value
    ends = re.fullmatch(r'"((?:[^"\\]|\\.)*)("?)', value)
    inner = ends[1] if ends else value[1:]
    return re.sub(r"\\(.)", r"\1", inner).strip()


def keys_like(typed: str) -> list[tuple[str, str]]:
    """(key, what it asks) in the reader's language, for the keys that begin so in any language."""
    begun, wanted = [], _compact(typed)
    for field, names in {"is": IS, **KEYS, "sort": SORT}.items():
        if field in conditions.OF_THE_MOMENT:
            continue
        if any(name.startswith(wanted) for name in names) and (wanted or field not in _SELDOM):
            known = conditions.field_named(field)
            begun.append(
                (_shown(names), str(known.label) if known else _("Order") if field == "sort" else _("Shortcuts"))
            )
    return begun


def own_keys_like(typed: str) -> list[tuple[str, str]]:
    """(key, name) of the ticket fields whose key or name holds what is typed."""
    wanted, prefix = _compact(typed), _shown(CUSTOM["field."])
    own = next((wanted.removeprefix(name) for name in CUSTOM["field."] if wanted.startswith(name)), wanted)
    return [
        (f"{prefix}{one.key}", one.label)
        for one in (fields.ordered() if wanted else ())
        if own in one.key or own in _compact(one.label)
    ]


def values_like(key: str, typed: str) -> list[tuple[str, str]]:
    """(value as it is written, as it is called) for the values of a key that begin so, or hold it."""
    offered = [
        (written, label)
        for written, label, names in _offered(_key_of(key))
        if any(_compact(typed) in _compact(name) for name in (written, label, *names))
    ]
    return sorted(offered, key=lambda one: not _compact(one[0]).startswith(_compact(typed)))


# unless typed
_SELDOM = (
    "text",
    "customer_address",
    "customer_organisation",
    "customer_tier",
    "number",
    "language",
    "brand",
    "hours",
    "weekday",
    "daytime",
    "last_by",
    "promised_by",
    "needs",
    "customer_language",
    "waiting",
)


def _offered(key: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """(written, label, other names)"""
    short: list[tuple[str, str, tuple[str, ...]]] = [(_shown(names), _shown(names), names) for names in SHORT]
    if key == "is":
        return short
    if key == "sort":
        return [(_shown(names), _shown(names), names) for names in SORTS.values()]
    if key in _OF_US:
        special = {"team": [NOBODY], "assignee": [MYSELF, NOBODY], "promised_by": [MYSELF]}.get(
            key, [MYSELF, *_AUTHORS.values()]
        )
        return [
            *((_shown(names), _shown(names), names) for names in special),
            *((_written([shown]), shown, names) for _pk, names, shown in _us(key)),
        ]
    if key in ("created", "updated"):
        spans = [_shown(names) for names in DAYS.values()] + [_written_moment(span) for span in ("7d", "30d")]
        return [(span, span, ()) for span in spans]
    if key.startswith("field."):
        known = fields.named(conditions.key_of(key))
        choices = conditions.choices_of(known) if known else {}
        return [(_written([choice]), label, (label,)) for choice, label in choices.items()]
    field = conditions.field_named(key)
    labels = dict(field.choices()) if field and field.choices else {}
    if key == "tag":
        return [(_written([name]), name, ()) for name in labels]
    named = [(_shown_choice(key, choice), str(labels[choice]), names) for names, choice in _names_of(key)]
    return [*named, *(one for one in short if _is_korean() and key == "status")]


def without(text: str, token: Token) -> str:
    """The text with one of its tokens cut out, and a minus before it."""
    start = token.position
    while start and text[start - 1] == "-":
        start -= 1
    return " ".join((text[:start] + text[token.position + token.length :]).split())
