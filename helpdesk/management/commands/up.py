"""`manage.py up`: everything on this machine, in the foreground. `bin/run` prepares the environment and calls it."""

import hashlib
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.management import CommandError, call_command, get_commands
from django.core.management.base import BaseCommand
from django.db import connection

from channels_in.simulator import provider
from helpdesk import checks, embedded
from helpdesk.celery import queue_names
from helpdesk.environment import env
from helpdesk.supervisor import AlreadyRunning, Child, StopRequested, Supervisor
from helpdesk.watchdog import WorkerWatch
from helpdesk.words import compile_catalogs

FIRST_PAGE_TIMEOUT = 180.0  # seconds


class Command(BaseCommand):
    help = "Runs the whole product on this machine: database, Redis, web, worker, beat, parser, imap."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with Supervisor(data_dir=settings.DATA_DIR, cwd=settings.BASE_DIR, say=self._say) as supervisor:
                self._refuse_taken_port()
                self._start_services(supervisor)
                self._prepare(supervisor)
                self._start_web(supervisor)
                self._greet()
                self._start_workers(supervisor)
                supervisor.run(url=settings.SITE_URL)
                self._say("stopping")
        except AlreadyRunning as running:
            address = running.state.get("url", "it is still starting")
            self._say(f"Already running from this folder (pid {running.state.get('pid', '?')}): {address}")
            sys.exit(1)
        except StopRequested:
            self._say("stopped")
        except embedded.EmbeddedServiceError as error:
            raise CommandError(str(error)) from error

    # -- In order -------------------------------------------------------------------------------------------------------

    def _start_services(self, supervisor: Supervisor) -> None:
        data_dir = settings.DATA_DIR
        if not env("DATABASE_URL"):
            supervisor.start(Child("postgres", service=lambda: embedded.start_postgres(data_dir)))
        if not env("REDIS_URL"):
            supervisor.start(Child("valkey", service=lambda: embedded.start_valkey(data_dir)))

    def _prepare(self, supervisor: Supervisor) -> None:
        """Bring tables, translations and static files up to date, and load the demo into an empty database."""
        self._say("preparing")
        compile_catalogs(settings.BASE_DIR / "locale")
        _refuse_unsafe_settings()
        call_command("migrate", interactive=False, verbosity=0)
        if not settings.DEBUG:
            _collect_static()
        if settings.DEMO:
            self._prepare_demo(supervisor)
        connection.close()  # the supervisor keeps none: it must survive the database

    def _prepare_demo(self, supervisor: Supervisor) -> None:
        if get_user_model().objects.exists():
            provider.repoint()
            return
        self._say("loading the demo")
        connection.close()
        if supervisor.call([sys.executable, "manage.py", "demo", "load"], env={}, log="demo") != 0:
            raise CommandError(f"The demo could not be loaded: see {settings.DATA_DIR / 'log' / 'demo.log'}")

    def _start_web(self, supervisor: Supervisor) -> None:
        """The pages first: the others may take the processor once somebody can look at something."""
        web = [
            *("-m", "uvicorn", "helpdesk.asgi:application", "--host", "127.0.0.1", "--port", str(settings.PORT)),
            *("--lifespan", "off", "--ws", "websockets-sansio", "--no-proxy-headers", "--no-server-header"),
            *("--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "5"),
        ]
        supervisor.start(Child("web", [sys.executable, *web], {"PROCESS": "live"}))
        self._wait_for_first_page(supervisor)

    def _start_workers(self, supervisor: Supervisor) -> None:
        python, commands = sys.executable, get_commands()
        if "parser" in commands:
            supervisor.start(Child("parser", [python, "manage.py", "parser"], {"PROCESS": "parser"}))
        worker = ["-m", "celery", "-A", "helpdesk", "worker", "-c", str(settings.WORKER_SLOTS), "-l", "INFO"]
        worker += ["-Q", ",".join(queue_names()), "--without-mingle", "--without-gossip"]
        supervisor.start(
            Child("worker", [python, *worker], {"PROCESS": "worker"}, healthy=_without_connection(WorkerWatch()))
        )
        # The plain scheduler keeps no file: the schedule is code, what is due is rows.
        beat = ["-m", "celery", "-A", "helpdesk", "beat", "--scheduler", "celery.beat:Scheduler", "--pidfile="]
        supervisor.start(Child("beat", [python, *beat], {"PROCESS": "beat"}))
        if settings.DEMO and "fakemail" in commands:
            supervisor.start(Child("fakemail", [python, "manage.py", "fakemail"], {"PROCESS": "fakemail"}))
        if "imap" in commands:
            supervisor.start(Child("imap", [python, "manage.py", "imap"], {"PROCESS": "imap"}))

    def _wait_for_first_page(self, supervisor: Supervisor) -> None:
        deadline = time.monotonic() + FIRST_PAGE_TIMEOUT
        while not _answers(f"http://127.0.0.1:{settings.PORT}/healthz"):
            if time.monotonic() > deadline:
                raise CommandError(f"The first page did not come: see {settings.DATA_DIR / 'log' / 'web.log'}")
            supervisor.pause(0.1)
            supervisor.tend()

    # -- Words ----------------------------------------------------------------------------------------------------------

    def _greet(self) -> None:
        self._say(f"\n  {settings.SITE_URL}\n")
        for login in _demo_logins():
            who = f"{login.get('name', '')} ({login.get('role', '')})".strip()
            self._say(f"  {login.get('email', ''):34} {login.get('password', ''):20} {who}")
        if not settings.DEMO and not get_user_model().objects.exists():
            self._say("  No one can sign in yet: manage.py createsuperuser")
        connection.close()
        self._say(f"\n  Logs: {settings.DATA_DIR / 'log'}   Stop: Ctrl-C\n")

    def _say(self, line: str) -> None:
        print(line, flush=True)

    def _refuse_taken_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", settings.PORT))
            except OSError:
                raise CommandError(
                    f"Port {settings.PORT} is used by another program. Choose one: PORT=8001 bin/run"
                ) from None


def _without_connection(question: Callable[[], bool]) -> Callable[[], bool]:
    """The supervisor keeps no connection between two questions: it must survive the database."""

    def ask() -> bool:
        try:
            return question()
        finally:
            connection.close()

    return ask


def _refuse_unsafe_settings() -> None:
    found = run_checks(tags=[checks.TAG], include_deployment_checks=True)
    errors = [message for message in found if message.is_serious()]
    if errors:
        raise CommandError("\n".join(map(str, errors)))


def _collect_static() -> None:
    """Give the static files their hashed names, unless nothing changed since the last start."""
    digest = hashlib.sha256((settings.BASE_DIR / "requirements.txt").read_bytes())
    for folder in (*settings.STATICFILES_DIRS, settings.BASE_DIR / "helpdesk" / "static.py"):
        for path in sorted([folder, *folder.rglob("*")]):
            found = path.stat()
            digest.update(f"{path}:{found.st_mtime_ns}:{found.st_size}\n".encode())
    done = settings.STATIC_ROOT / ".collected"
    if done.exists() and done.read_text() == digest.hexdigest():
        return
    call_command("collectstatic", interactive=False, verbosity=0)
    done.write_text(digest.hexdigest())


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  (our own address)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _demo_logins() -> list[dict[str, str]]:
    """What the demo wrote for the people who try it: name, email, password, role."""
    path = settings.DATA_DIR / "logins.json"
    return json.loads(path.read_text()) if settings.DEMO and path.exists() else []
