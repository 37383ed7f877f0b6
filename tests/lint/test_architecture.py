"""What the structure forbids, read from the syntax trees: each rule with its exceptions, and the reason of each of them.

An exception that nothing needs any more fails as well, and every rule has to catch a planted offence.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("agents", "analytics", "channels_in", "helpdesk", "tickets")

Look = Callable[[ast.Module], Iterator[ast.AST]]


@dataclass(frozen=True)
class Rule:
    """`look` finds the offences in a module. `allowed`: file, or file::function, and why it may. `where`: path pattern."""

    look: Look
    planted: tuple[str, ...]
    harmless: tuple[str, ...]
    allowed: Mapping[str, str] = field(default_factory=dict)
    where: str = ""
    by_function: bool = False


# -- What is looked for -----------------------------------------------------------------------------------------------


def imports_of(*names: str) -> Look:
    def look(tree: ast.Module) -> Iterator[ast.AST]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            if any(one == name or one.startswith(f"{name}.") for one in found for name in names):
                yield node

    return look


def mentions_of(*names: str) -> Look:
    """A name, however it is reached: imported, called, or as somebody's attribute."""

    def look(tree: ast.Module) -> Iterator[ast.AST]:
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                found = {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute):
                found = {node.attr}
            else:
                found = {node.id} if isinstance(node, ast.Name) else set()
            if found & set(names):
                yield node

    return look


def calls_of(*names: str) -> Look:
    """`anything.name(...)`"""

    def look(tree: ast.Module) -> Iterator[ast.AST]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
                yield node

    return look


def attributes_of(**names: tuple[str, ...]) -> Look:
    """`Name.attribute`, called or handed on."""

    def look(tree: ast.Module) -> Iterator[ast.AST]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.attr in names.get(node.value.id, ()):
                    yield node

    return look


def secret_comparisons(tree: ast.Module) -> Iterator[ast.AST]:
    """`==` between two values of which one is called a signature, token or secret. A constant is nobody's secret."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or not any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            continue
        sides = [node.left, *node.comparators]
        if not any(isinstance(side, ast.Constant) for side in sides) and any(_is_secret(side) for side in sides):
            yield node


def _is_secret(side: ast.expr) -> bool:
    if isinstance(side, ast.Attribute):
        name = side.attr
    elif isinstance(side, ast.Subscript) and isinstance(side.slice, ast.Constant):
        name = str(side.slice.value)
    elif isinstance(side, ast.Call):
        return _is_secret(side.func) or any(
            isinstance(one, ast.Constant) and _SECRET.search(str(one.value)) for one in side.args
        )
    else:
        name = side.id if isinstance(side, ast.Name) else ""
    return bool(_SECRET.search(name))


_SECRET = re.compile("signature|token|secret", re.IGNORECASE)


def late_tasks(tree: ast.Module) -> Iterator[ast.AST]:
    """`eta=`, and a `countdown` that is over 60 s, or unknown and not handed to `wake`, which bounds it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for keyword in node.keywords:
                seconds = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                short = isinstance(seconds, int | float) and seconds <= 60
                if keyword.arg == "eta" or (keyword.arg == "countdown" and not short and name != "wake"):
                    yield node
        elif isinstance(node, ast.Dict):
            if any(isinstance(key, ast.Constant) and key.value in ("countdown", "eta") for key in node.keys):
                yield node
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            if isinstance(node.slice, ast.Constant) and node.slice.value in ("countdown", "eta"):
                yield node


def strangers_keywords(tree: ast.Module) -> Iterator[ast.AST]:
    """`filter(**request.GET)`: a stranger names the columns."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            if keyword.arg is None and not isinstance(keyword.value, ast.Dict) and _speaks_of_request(keyword.value):
                yield node


def _speaks_of_request(value: ast.expr) -> bool:
    names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(value) if isinstance(node, ast.Attribute)}
    return "request" in names or bool(attributes & {"GET", "POST", "query_params"})


# -- The rules --------------------------------------------------------------------------------------------------------

_EDGES = {  # where time enters: what is inside is handed `now`
    r".*/views(/\w+)?\.py": "a request has its moment",
    r".*/tasks\.py": "a task is begun at its moment",
    r".*/management/commands/\w+\.py": "a command is typed at its moment",
    r".*/fake\.py": "a simulated provider has a clock of its own",
    r".*/consumers\.py": "a frame of a socket has its moment",
    r"helpdesk/.*": "composition, supervision and health, which are about this very moment",
}

RULES: Mapping[str, Rule] = {
    "markup that is believed": Rule(
        mentions_of("mark_safe", "SafeString", "SafeText", "SafeData"),
        planted=("from django.utils.safestring import mark_safe", "x = safestring.mark_safe(y)", "x = SafeString(y)"),
        harmless=("x = format_html('<b>{}</b>', y)",),
        allowed={
            "tickets/templatetags/ui.py": "icons of the installed package, and constants",
            "tickets/workspace/views/mail.py": "a mail's cleaned HTML, on a sandboxed page of its own",
        },
    ),
    "SQL by hand": Rule(
        calls_of("cursor", "raw", "extra", "RawSQL"),
        planted=("connection.cursor()", "Ticket.objects.raw('SELECT 1')", "rows.extra(where=[x])"),
        harmless=("log.info('x', extra={})", "raw = event.raw"),
        allowed={
            "tickets/queue.py": "claims: one statement that the ORM cannot say",
            "tickets/models/ticket.py": "the next number of a sequence",
            "tickets/search.py": "the time limit of one search",
            "tickets/identities.py": "two colleagues who type one address make one customer, by an advisory lock",
            "tickets/openings.py": "two presses of one person make one ticket, by an advisory lock",
            "tickets/notifying.py": "one drain at a time, by an advisory lock",
            "tickets/routing/assign.py": "one drain at a time, by an advisory lock",
            "tickets/robots.py": "automatic answers to one address are judged one after the other, by an advisory lock",
            "channels_in/process.py": "the advisory lock of a conversation",
            "channels_in/email/imap.py": "the advisory lock of a mailbox",
            "channels_in/simulator/provider.py": "the advisory lock of the simulated calls",
            "helpdesk/checks.py": "asks for the server's version",
            "helpdesk/doctor.py": "asks for the server's version and clock",
            "helpdesk/embedded.py": "makes the database",
            "helpdesk/health.py": "writes in a transaction that is rolled back",
            "helpdesk/management/commands/demo.py": "the advisory lock of the first load",
        },
    ),
    "a way to the network": Rule(
        imports_of(
            "requests",
            "httpx",
            "aiohttp",
            "urllib3",
            "urllib.request",
            "http.client",
            "socket",
            "ssl",
            "smtplib",
            "imaplib",
            "imapclient",
            "poplib",
            "ftplib",
            "telnetlib",
            "websockets",
            "aiosmtpd",
        ),
        planted=(
            "import requests",
            "from urllib import request",
            "import http.client as c",
            "from socket import socket",
        ),
        harmless=(
            "from urllib.parse import urlsplit",
            "from http import HTTPStatus",
            "from django.http import HttpResponse",
        ),
        allowed={
            "tickets/http.py": "the one door",
            "channels_in/parser.py": "a unix socket of this host",
            "channels_in/parser_server.py": "a unix socket of this host",
            "channels_in/email/connection.py": "IMAP, to the address that was checked",
            "channels_in/email/idle.py": "IMAP, to the address that was checked",
            "channels_in/email/imap.py": "IMAP, to the address that was checked",
            "channels_in/email/servers.py": "checks the address of mail servers",
            "channels_in/email/smtp.py": "SMTP, to the address that was checked",
            "channels_in/email/fake.py": "the simulated mail server, on loopback",
            "helpdesk/doctor.py": "asks our own address, and the mail server of the settings",
            "helpdesk/embedded.py": "looks for a free port, and for the servers that it has started",
            "helpdesk/management/commands/up.py": "asks our own first page",
        },
    ),
    "data that becomes code": Rule(
        imports_of("pickle", "cPickle", "dill", "shelve", "marshal", "cloudpickle"),
        planted=("import pickle", "from pickle import loads"),
        harmless=("import json",),
    ),
    "a secret compared letter by letter": Rule(
        secret_comparisons,
        planted=(
            "if request.headers['X-Signature'] == made: pass",
            "ok = token != row.token",
            "ok = x == get('secret')",
        ),
        harmless=("ok = compare_digest(token, row.token)", "ok = token == ''", "ok = kind == other.kind"),
        allowed={"channels_in/whatsapp/forms.py": "two stored secrets that an administrator says are one"},
    ),
    "a clock inside": Rule(
        attributes_of(
            timezone=("now", "localtime", "localdate"),
            datetime=("now", "utcnow", "today"),
            date=("today",),
            time=("time",),
        ),
        planted=(
            "now = timezone.now()",
            "at = datetime.now(UTC)",
            "day = date.today()",
            "x = field(default=timezone.now)",
        ),
        harmless=("def f(*, now): return now - timedelta(days=1)", "started = monotonic()"),
        allowed={
            "agents/accounts.py": "a request has its moment",
            "tickets/files.py": "a signed address ends by the clock on the wall, whoever made it",
            "tickets/live.py": "the hub polls and beats by itself",
            "tickets/delivery.py": "a drain: each attempt has its own moment",
            "tickets/outbox.py": "a drain: each call has its own moment",
            "tickets/templatetags/ui.py": "a page has its moment: the corner of whoever reads it",
            "tickets/push.py": "a drain: each push has its own moment",
            "tickets/notifying.py": "a drain: each batch has its own moment",
            "tickets/api/idempotency.py": "a request has its moment",
            "tickets/api/tokens.py": "a request has its moment",
            "channels_in/media.py": "a drain: each file has its own moment",
            "channels_in/process.py": "a drain: each item has its own moment",
            "channels_in/webhooks.py": "the door: acceptance is now",
            "channels_in/webchat/calls.py": "a request has its moment",
        },
        where=rf"(?!{'|'.join(_EDGES)})",
    ),
    "a task for later": Rule(
        late_tasks,
        planted=(
            "task.apply_async(countdown=61)",
            "task.apply_async(eta=at)",
            "wake('x', eta=at)",
            "o = {'countdown': n}",
        ),
        harmless=("wake('x', countdown=n)", "task.apply_async(countdown=60)"),
        allowed={"tickets/wake.py": "bounds it to 60 s"},
    ),
    "a task that is begun inside a transaction": Rule(
        calls_of("delay", "apply_async", "send_task"),
        planted=("task.delay()", "app.send_task('x')"),
        harmless=("wake('tickets.tasks.route')",),
        allowed={
            "tickets/wake.py": "after the commit",
            "channels_in/tasks.py": "mailboxes are woken by a poll and by IDLE, outside any transaction",
        },
    ),
    "a push to browsers": Rule(
        calls_of("publish", "group_send"),
        planted=("redis.publish('live', x)", "layer.group_send(g, m)"),
        harmless=("live.announce(event)", "live.whisper('typing', {})"),
        allowed={"tickets/live.py": "the one publisher"},
    ),
    "a row for somebody, and not by access": Rule(
        attributes_of(
            **dict.fromkeys(
                ("Ticket", "Message", "Attachment", "DeliveryPart", "Draft", "Event", "Customer"), ("objects",)
            )
        ),
        planted=("def view(request): return Ticket.objects.get(pk=1)", "def view(request): Message.objects.all()"),
        harmless=("def view(request): return ticket_for(agent, 1)",),
        where=r"(tickets/(workspace|api)/|analytics/views|channels_in/views/)",
        by_function=True,
        allowed={
            "tickets/api/views.py::OneTicket._answer": "the ticket that access gave",
            "tickets/api/views.py::Messages.get": "the family of the ticket that access gave",
            "tickets/api/views.py::Timeline.get": "of a customer that access gave, on tickets that access gives",
            "tickets/workspace/composing.py::composer": "drafts of the ticket that access gave; others' by name only",
            "tickets/workspace/composing.py::attachments_of": "unsent files that the drafts name",
            "tickets/workspace/files.py::stored_file": "by its random token; then signed, or asked of access",
            "tickets/workspace/thread.py::ticket_on_screen": "whether something was merged into it, yes or no",
            "tickets/workspace/thread.py::page_of": "the family of the ticket that access gave",
            "tickets/workspace/views/composer.py::draft": "one's own, of the ticket that access gave",
            "tickets/workspace/views/composer.py::waiting": "one's own, of the ticket that access gave, and what it became",
            "tickets/workspace/views/composer.py::uploads": "makes one's own",
            "tickets/workspace/views/composer.py::verdict": "its message is asked of access",
            "tickets/workspace/views/composer.py::again": "its message is asked of access",
            "tickets/workspace/views/composer.py::_posted": "what was just posted",
            "tickets/workspace/views/composer.py::_files": "one's own unsent uploads",
            "tickets/workspace/views/forwarding.py::_draft_of": "one's own, of the ticket that access gave",
            "tickets/workspace/views/forwarding.py::_files": "one's own unsent uploads",
            "tickets/workspace/history.py::_events": "of tickets that access gave, and of that person on no ticket",
            "tickets/workspace/history.py::page": "what was said in those events",
            "tickets/workspace/views/customers.py::page": "into whom somebody was joined; who that is, access is asked",
            "tickets/workspace/views/customers.py::peek": "of the ticket that access gave",
            "tickets/workspace/views/palette.py::found": "among those that access gave",
            "tickets/workspace/views/properties.py::mark": "of the family of the ticket that access gave",
            "tickets/workspace/views/properties.py::pin": "notes of the family of the ticket that access gave",
            "tickets/workspace/views/properties.py::undo": "of the ticket that access gave",
            "tickets/workspace/views/properties.py::_load": "how many open tickets each colleague has: a number",
            "channels_in/views/dead_letters.py::_replies": "of tickets that access gave",
            "channels_in/views/dead_letters.py::_rule_rows": "of tickets that access gave: their numbers",
            "channels_in/views/dead_letters.py::_item_rows": "which ticket shows a line, for administrators: its id",
        },
    ),
    "a stranger's keywords": Rule(
        strangers_keywords,
        planted=("rows.filter(**request.GET)", "rows.filter(**dict(request.query_params))"),
        harmless=("rows.filter(**{name: number})", "f(**options)"),
    ),
}


# -- Reading ----------------------------------------------------------------------------------------------------------


@cache
def modules() -> Mapping[str, ast.Module]:
    """Every module of ours by its path, without migrations."""
    found = {}
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                found[str(path.relative_to(ROOT))] = ast.parse(path.read_text())
    return found


def offences(rule: Rule, path: str, tree: ast.Module) -> dict[str, int]:
    """Where the rule is broken: the file, or file::function, and one of the lines."""
    functions = dict(_functions(tree)) if rule.by_function else {}
    found = {}
    for node in rule.look(tree):
        line = getattr(node, "lineno", 0)
        inside = [name for name, (first, last) in functions.items() if first <= line <= last]
        found[f"{path}::{inside[-1]}" if inside else path] = line
    return found


def _functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, tuple[int, int]]]:
    """Outermost functions and the methods of classes, with their first and last lines."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{child.name}", (child.lineno, child.end_lineno or child.lineno)


# -- The tests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_the_structure_holds(name: str) -> None:
    rule = RULES[name]
    found: dict[str, int] = {}
    for path, tree in modules().items():
        if re.match(rule.where, path):
            found |= offences(rule, path, tree)
    broken = {place: line for place, line in found.items() if place not in rule.allowed}
    assert not broken, f"{name}: {broken}"
    unneeded = set(rule.allowed) - set(found)
    assert not unneeded, f"{name}: nobody needs the exception {sorted(unneeded)} any more"


@pytest.mark.parametrize("name", RULES)
def test_every_exception_has_a_reason(name: str) -> None:
    assert all(RULES[name].allowed.values())


@pytest.mark.parametrize(("name", "snippet"), [(name, one) for name, rule in RULES.items() for one in rule.planted])
def test_a_planted_offence_is_caught(name: str, snippet: str) -> None:
    assert list(RULES[name].look(ast.parse(snippet)))


@pytest.mark.parametrize(("name", "snippet"), [(name, one) for name, rule in RULES.items() for one in rule.harmless])
def test_what_is_harmless_is_let_through(name: str, snippet: str) -> None:
    assert not list(RULES[name].look(ast.parse(snippet)))


def test_the_rules_look_at_the_whole_product() -> None:
    paths = list(modules())
    assert len(paths) > 150
    for name, rule in RULES.items():
        assert any(re.match(rule.where, path) for path in paths), name
    assert not re.match(RULES["a clock inside"].where, "tickets/workspace/views/lists.py")
    assert re.match(RULES["a clock inside"].where, "tickets/actions.py")


# -- What is no Python ------------------------------------------------------------------------------------------------

HTML_FROM_STRINGS = re.compile(
    r"\.(innerHTML|outerHTML)\s*\+?=(?!=)|insertAdjacentHTML|document\.write|createContextualFragment|\bsrcdoc\b"
    r"|\beval\(|new Function\("
)
UNESCAPED = re.compile(r"\|\s*safe\b|\|\s*safeseq\b|autoescape\s+off")
SCRIPTS_ALLOWED: Mapping[str, str] = {}
TEMPLATES_ALLOWED: Mapping[str, str] = {}


def _found(pattern: re.Pattern[str], files: Iterator[Path]) -> dict[str, list[str]]:
    found = {}
    for path in files:
        hits = [line.strip()[:80] for line in path.read_text().splitlines() if pattern.search(_without_comment(line))]
        if hits:
            found[str(path.relative_to(ROOT))] = hits
    return found


def _without_comment(line: str) -> str:
    return re.sub(r"(^|\s)//.*$|\{#.*?#\}|^\s*\*.*$", "", line)


def scripts() -> Iterator[Path]:
    return (ROOT / "static").rglob("*.js")


def templates() -> Iterator[Path]:
    return (ROOT / "templates").rglob("*.html")


def test_no_script_makes_html_of_strings() -> None:
    found = _found(HTML_FROM_STRINGS, scripts())
    assert set(found) == set(SCRIPTS_ALLOWED), found


def test_no_template_believes_markup() -> None:
    found = _found(UNESCAPED, templates())
    assert set(found) == set(TEMPLATES_ALLOWED), found


def test_the_patterns_catch_what_they_are_for() -> None:
    assert len(list(scripts())) > 30 and len(list(templates())) > 50
    for planted in ("box.innerHTML = text;", "a.outerHTML += b", "x.insertAdjacentHTML('beforeend', y)", "eval(code)"):
        assert HTML_FROM_STRINGS.search(_without_comment(planted)), planted
    for harmless in (
        "box.textContent = text;",
        "// never innerHTML = x",
        "hx-swap='outerHTML'",
        "if (a.innerHTML === b)",
    ):
        assert not HTML_FROM_STRINGS.search(_without_comment(harmless)), harmless
    for planted in ("{{ text|safe }}", "{{ text | safe }}", "{% autoescape off %}"):
        assert UNESCAPED.search(_without_comment(planted)), planted
    assert not UNESCAPED.search(_without_comment("{{ text|safe_name }} {# |safe #}"))
