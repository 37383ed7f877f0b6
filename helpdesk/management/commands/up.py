"""`manage.py up`: everything on this machine, in the foreground. `bin/run` prepares the environment and calls it."""

import io
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command, get_commands
from django.core.management.base import BaseCommand
from django.db import connection

from helpdesk import embedded
from helpdesk.celery import queue_names
from helpdesk.supervisor import AlreadyRunning, Child, StopRequested, Supervisor
from helpdesk.watchdog import WorkerWatch
from helpdesk.words import compile_catalogs

FIRST_PAGE_TIMEOUT = 60.0  # seconds


class Command(BaseCommand):
    help = "Runs the whole product on this machine: database, Redis, web, worker, beat, parser, imap."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with Supervisor(data_dir=settings.DATA_DIR, cwd=settings.BASE_DIR, say=self._say) as supervisor:
                self._refuse_taken_port()
                self._start_services(supervisor)
                self._prepare(supervisor)
                self._start_processes(supervisor)
                self._wait_for_first_page(supervisor)
                self._greet()
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
        if "DATABASE_URL" not in os.environ and "DATABASE_URL_FILE" not in os.environ:
            supervisor.start(Child("postgres", service=lambda: embedded.start_postgres(data_dir)))
        if "REDIS_URL" not in os.environ and "REDIS_URL_FILE" not in os.environ:
            supervisor.start(Child("valkey", service=lambda: embedded.start_valkey(data_dir)))

    def _prepare(self, supervisor: Supervisor) -> None:
        """Bring tables, translations and static files up to date, and load the demo into an empty database."""
        self._say("preparing")
        compile_catalogs(settings.BASE_DIR / "locale")
        call_command("check", deploy=True, fail_level="ERROR", stdout=io.StringIO())
        call_command("migrate", interactive=False, verbosity=0)
        if not settings.DEBUG:
            call_command("collectstatic", interactive=False, verbosity=0)
        empty = not get_user_model().objects.exists()
        connection.close()  # the supervisor keeps none: it must survive the database
        if settings.DEMO and empty and "demo" in get_commands():
            self._say("loading the demo")
            if supervisor.call([sys.executable, "manage.py", "demo", "load"], env={}, log="demo") != 0:
                raise CommandError(f"The demo could not be loaded: see {settings.DATA_DIR / 'log' / 'demo.log'}")

    def _start_processes(self, supervisor: Supervisor) -> None:
        python, commands = sys.executable, get_commands()
        if "parser" in commands:
            supervisor.start(Child("parser", [python, "manage.py", "parser"], {"PROCESS": "parser"}))
        web = [
            *("-m", "uvicorn", "helpdesk.asgi:application", "--host", "127.0.0.1", "--port", str(settings.PORT)),
            *("--lifespan", "off", "--ws", "websockets-sansio", "--no-proxy-headers", "--no-server-header"),
            *("--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "5"),
        ]
        supervisor.start(Child("web", [python, *web], {"PROCESS": "live"}))
        worker = [
            "-m",
            "celery",
            "-A",
            "helpdesk",
            "worker",
            "-c",
            str(settings.WORKER_SLOTS),
            "-Q",
            ",".join(queue_names()),
            "-l",
            "INFO",
        ]
        supervisor.start(
            Child(
                "worker",
                [python, *worker, "--without-mingle", "--without-gossip"],
                {"PROCESS": "worker"},
                healthy=WorkerWatch(),
            )
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
