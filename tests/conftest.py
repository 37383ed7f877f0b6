"""The stage: a private PostgreSQL and Valkey for the run, a live server, a browser, and real worker processes."""

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import uvicorn
from django.test import TransactionTestCase
from playwright.sync_api import expect

from helpdesk import embedded
from helpdesk.words import compile_catalogs

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The address bar's two pages, which every window loads anew. Chromium obeys only the last such list: it holds Playwright's too.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,AvoidUnnecessaryBeforeUnloadCheckSync,"
    "DestroyProfileOnBrowserClose,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,LensOverlay,MediaRouter,PaintHolding,"
    "ThirdPartyStoragePartitioning,AvoidCorsURLLoaderRestartOnRedirect,OptimizationHints,NetworkTimeServiceQuerying,AimEnabled,"
    "PreconnectToSearch",
]
expect.set_options(timeout=30_000)  # what comes at all comes sooner, but a shared machine may stop for seconds
hypothesis.settings.load_profile("ci")  # the same examples in every run, and no limit of time for one of them
BROWSER_FIXTURES = {"page", "context", "new_context", "browser"}

_services: list[embedded.Service] = []


# -- Servers ----------------------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Start PostgreSQL once a run (by the xdist controller) and Valkey once a process: pub/sub knows no databases."""
    from tests import settings

    if config.option.collectonly or config.option.help or config.option.version:
        return
    gc.set_threshold(100_000, 50, 1000)  # looking for cycles seven hundred objects apart is a tenth of the run
    if not hasattr(config, "workerinput"):
        compile_catalogs(ROOT / "locale")
        _services.append(embedded.start_postgres(settings.TEST_FOLDER, durable=False))
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        _services.append(embedded.start_valkey(Path(os.environ["DATA_DIR"]), durable=False))
    _refuse_the_network()


def pytest_unconfigure(config: pytest.Config) -> None:
    while _services:
        _services.pop().stop()
    if not hasattr(config, "workerinput") and "HELPDESK_TEST_FOLDER" in os.environ:
        folder = Path(os.environ["HELPDESK_TEST_FOLDER"])
        sockets = embedded.socket_dir(folder)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)


def _refuse_the_network() -> None:
    """A test that would leave this machine fails, instead of passing only where there is a network."""
    connect = socket.socket.connect

    def connect_locally(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(("127.", "::1")):
            if address[0] != "localhost":
                raise AssertionError(f"A test tried to reach {address[0]}:{address[1]}.")
        return connect(self, address)

    socket.socket.connect = connect_locally  # type: ignore[method-assign, assignment]


# -- Order ------------------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the browser, and run it last: Playwright's loop breaks async tests that come after it. The long
    stories come first among them, so that no process tells one alone at the end.

    Chromium on a shared machine may stop for seconds, so these have a second try. The run names whoever needed it (-rR):
    more than a machine is to blame when the same name comes again.
    """
    for item in items:
        if BROWSER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.flaky(reruns=1))
    items.sort(key=lambda item: (bool(item.get_closest_marker("browser")), "flows" not in item.path.parts))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser"):
        # Playwright's synchronous interface runs an event loop in this thread; Django then refuses the ORM.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


@pytest.fixture(autouse=True)
def no_csp_report(request: pytest.FixtureRequest) -> Iterator[None]:
    """No page may break its own Content-Security-Policy."""
    reports: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: reports.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("helpdesk.csp")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
    if reports and not request.node.get_closest_marker("csp_report"):
        pytest.fail("The browser reported: " + "; ".join(reports))


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    """No test sees what another one cached or counted."""
    from django.core.cache import cache

    cache.clear()
    yield


@pytest.fixture(autouse=True)
def plain_language() -> None:
    """Every test begins in the language of the settings: a request of the test client leaves its own switched on."""
    from django.utils import translation

    translation.deactivate()


# -- Figures ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """`figure("5,000 events: ...")`: what a test has measured, told at the end of the run, whichever worker measured it."""
    return lambda words: record_property("figure", words)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.getreports(kind) if one.when == "call"]
    figures = [words for report in reports for name, words in report.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        for words in figures:
            terminalreporter.write_line(words)


# -- Database ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The whole cluster is thrown away after the run, with whoever is still connected to it."""
    return True


# What a full table leaves behind is cut off at once; rows of a small one are deleted, which is a hundred times faster.
EMPTY_TABLES = """
DO $$
DECLARE
    large text;
    small regclass;
BEGIN
    SET LOCAL session_replication_role = replica;
    SELECT string_agg(oid::regclass::text, ', ') INTO large FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 1000000
        AND relname <> ALL (%(kept)s);
    IF large IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || large || ' CASCADE';
    END IF;
    FOR small IN SELECT oid::regclass FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> ALL (%(kept)s)
    LOOP
        EXECUTE 'DELETE FROM ' || small;
    END LOOP;
END $$
"""
KEPT_TABLES = ["django_migrations", "django_content_type", "auth_permission"]


def empty_tables(_case: Any = None) -> None:
    """What a test has committed is removed after it. Django would truncate every table and write all permissions anew."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(EMPTY_TABLES, {"kept": KEPT_TABLES})


TransactionTestCase._fixture_teardown = empty_tables  # type: ignore[method-assign]


# -- Live server ------------------------------------------------------------------------------------------------------


@dataclass
class LiveServer:
    """The product, served by uvicorn in a thread of the test process: pages and websockets."""

    url: str

    def __str__(self) -> str:
        return self.url

    def __add__(self, path: str) -> str:
        return self.url + path

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)


@pytest.fixture(autouse=True)
def _live_server_helper() -> None:
    """In place of pytest-django's, which expects its own WSGI live server."""


@pytest.fixture(scope="session")
def shipped_static() -> Iterator[None]:
    """Scripts and styles as they are shipped: bundled, hashed and compressed, once a run."""
    from django.conf import settings
    from django.core.management import call_command
    from django.test import override_settings

    shipped = {
        "STORAGES": {**settings.STORAGES, "staticfiles": {"BACKEND": "helpdesk.static.HashedModuleStorage"}},
        "WHITENOISE_USE_FINDERS": False,
        "WHITENOISE_AUTOREFRESH": False,
    }
    with override_settings(**shipped):
        with (settings.TEST_FOLDER / "collecting").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (settings.STATIC_ROOT / "staticfiles.json").exists():
                call_command("collectstatic", interactive=False, verbosity=0)
        yield


# What the answer to a request for a static file depends on.
STATIC_DEPENDS_ON = (b"accept-encoding", b"if-modified-since", b"if-none-match", b"origin", b"range")


class Remembered:
    """The product in front of a browser. What it once said of a static file is said again: a page asks for forty of them,
    under names that change with what is in them, and each test has a browser that has seen nothing.
    """

    def __init__(self, product: Any) -> None:
        self.product = product
        self.known: dict[object, tuple[Any, Any]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/static/"):
            await self.product(scope, receive, send)
            return
        asked = frozenset(one for one in scope["headers"] if one[0] in STATIC_DEPENDS_ON)
        key = scope["method"], scope["path"], scope["query_string"], asked
        if key in self.known:
            for message in self.known[key]:
                await send(message)
            return
        said: list[Any] = []

        async def keep(message: Any) -> None:
            await send(message)
            said.append(message)

        await self.product(scope, receive, keep)
        if said[-1]["type"] == "http.response.body" and not said[-1].get("more_body"):
            whole = b"".join(message.get("body", b"") for message in said[1:])
            self.known[key] = said[0], {"type": "http.response.body", "body": whole}


class Prompt(uvicorn.Server):
    """Ends as soon as nothing is under way: the original looks only ten times a second, and there are hundreds of tests."""

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for one in (*self.servers, *(sockets or ())):
            one.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


@pytest.fixture(scope="session")
def product(shipped_static: None) -> Remembered:
    from helpdesk.asgi import application

    return Remembered(application)


@pytest.fixture
def live_server(product: Remembered, transactional_db: None) -> Iterator[LiveServer]:
    from django.conf import settings

    config = uvicorn.Config(
        product,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        proxy_headers=False,
        timeout_graceful_shutdown=15,  # a busy machine must not turn into a cancelled request
    )
    server = Prompt(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [settings.LIVE_SOCKET.dup()]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the live server did not start"
        time.sleep(0.01)
    yield LiveServer(settings.SITE_URL)
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive(), "the live server did not stop"


# -- Browser ----------------------------------------------------------------------------------------------------------


def chromium() -> str:
    """The browser: $CHROMIUM, else what is on PATH."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    for name in filter(None, names):
        if path := shutil.which(name):
            return path
    pytest.fail("No Chromium: install it, or set CHROMIUM to its path.")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": chromium(), "args": CHROMIUM_FLAGS}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {
        **browser_context_args,
        "locale": "en-GB",
        "service_workers": "block",  # what a worker asks for, `page.route` does not see
        "timezone_id": "Asia/Seoul",
        "viewport": {"width": 1440, "height": 900},
    }


# -- Processes --------------------------------------------------------------------------------------------------------


class Process:
    """A process of the product under test, with its output in a file."""

    def __init__(self, argv: list[str], *, env: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, *, timeout: float = 90) -> None:
        """Wait until the output holds `text`. Fails when the process ends first or after `timeout` seconds."""
        wait_until(lambda: text in self.output() or self.popen.poll() is not None, timeout=timeout, what=text)
        assert text in self.output(), f"{self.popen.args!r} ended with {self.popen.returncode}:\n{self.output()}"

    def kill(self) -> None:
        """kill -9 of the whole process group, as the kernel does it when memory ends."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout: float = 20) -> int:
        """Ask it to end, and wait. Returns its exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.popen.wait(10)


def wait_until(happens: Callable[[], Any], *, timeout: float = 60, what: str = "it") -> Any:
    """Poll until `happens` returns something true, and return that. Fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if result := happens():
            return result
        time.sleep(0.02)
    pytest.fail(f"{what} did not happen within {timeout} s")


def comes_to(asked: Callable[[], Any], expected: Any, *, timeout: float = 60) -> None:
    """Poll until `asked` returns what is expected; fails with the difference after `timeout` seconds.

    For what the database holds after a press: a screen shows it before the server has done it.
    """
    deadline = time.monotonic() + timeout
    while (found := asked()) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    assert found == expected


@pytest.fixture
def process_env(transactional_db: None) -> dict[str, str]:
    """The environment with which another process works on this test's database and Redis."""
    from urllib.parse import quote

    from django.db import connection

    database = connection.settings_dict
    host = quote(str(database["HOST"]), safe="")
    return {**os.environ, "DATABASE_URL": f"postgres://{database['USER']}@{host}/{database['NAME']}"}


@pytest.fixture
def start_process(process_env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """`start_process("parser", "manage.py", "parser", PROCESS="parser")`: a python process, stopped after the test."""
    started: list[Process] = []

    def start(name: str, *argv: str, **env: str) -> Process:
        process = Process([sys.executable, *argv], env={**process_env, **env}, log=tmp_path / f"{name}.log")
        started.append(process)
        return process

    yield start
    for process in reversed(started):
        process.stop()


@pytest.fixture
def celery_worker_process(start_process: Callable[..., Process]) -> Process:
    """A real worker on all queues, working on this test's database."""
    from helpdesk.celery import queue_names

    queues = ",".join(queue_names())
    argv = ["-m", "celery", "-A", "helpdesk", "worker", "-c", "1", "-Q", queues, "-l", "INFO"]
    worker = start_process("worker", *argv, "--without-mingle", "--without-gossip", PROCESS="worker", LOG_LEVEL="INFO")
    worker.wait_for("ready.")
    return worker


# -- What comes in ------------------------------------------------------------------------------------------------------

from tests.fixtures_inbound import (  # noqa: E402, F401
    cast,
    line,
    mailbox,
    media_folder,
    parser,
    plain_kinds,
)
