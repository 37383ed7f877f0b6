"""The stage of a measurement: private servers, migrated tables, and the product's own processes as in production."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from helpdesk import embedded

ROOT = Path(__file__).resolve().parent.parent


class Stage:
    """Starts everything on entering, stops it on leaving. `web` and `live` are base addresses."""

    def __enter__(self) -> Stage:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(20_000, _most_files()), _most_files()))
        self.folder = Path(tempfile.mkdtemp(prefix="bench-"))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.services = [embedded.start_postgres(self.folder), embedded.start_valkey(self.folder)]
        ports = _free_ports(2)
        self.web, self.live = (f"http://127.0.0.1:{port}" for port in ports)
        os.environ |= {
            "DATA_DIR": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "PORT": str(ports[0]),
            "SITE_URL": self.web,
            "LOG_LEVEL": "ERROR",
        }
        self._prepare()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for service in reversed(self.services):
            service.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """web on WSGI, live on ASGI, worker, beat, parser, imap: each in its own process."""
        from django.conf import settings

        from helpdesk.celery import queue_names

        web, live = (address.rpartition(":")[2] for address in (self.web, self.live))
        commands = {
            "parser": ["manage.py", "parser"],
            "web": [
                *("-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", web, "--workers", "4", "--blocking-threads", "2"),
                *("--no-access-log", "--log-level", "warning", "helpdesk.wsgi:application"),
            ],
            "live": [
                *("-m", "uvicorn", "helpdesk.asgi:application", "--host", "127.0.0.1", "--port", live, "--lifespan", "off"),
                *("--log-level", "error", "--ws", "websockets-sansio"),
            ],
            "worker": ["-m", "celery", "-A", "helpdesk", "worker", "-c", str(settings.WORKER_SLOTS), "-l", "ERROR",
                       "-Q", ",".join(queue_names()), "--without-mingle", "--without-gossip"],
            "beat": ["-m", "celery", "-A", "helpdesk", "beat", "--scheduler", "celery.beat:Scheduler", "--pidfile=", "-l", "ERROR"],
            "imap": ["manage.py", "imap"],
        }  # fmt: skip
        for name, command in commands.items():
            with (self.folder / f"{name}.log").open("wb") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, *command], cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "PROCESS": name},
                    start_new_session=True,
                )  # fmt: skip
        for address in (self.web, self.live):
            _wait_for(f"{address}/healthz", self)

    def quiet(self, *, on: bool) -> None:
        """Hold the worker and beat still, so that one process alone is measured."""
        for name in ("worker", "beat"):
            os.killpg(self.processes[name].pid, signal.SIGSTOP if on else signal.SIGCONT)

    def memory(self) -> dict[str, float]:
        """MB of each process with its children; shared pages are counted once (PSS)."""
        roots = {name: process.pid for name, process in self.processes.items()}
        roots |= {service.name: service.pid for service in self.services}
        children = _children()
        return {name: sum(pss(pid) for pid in _family(pid, children)) / 1024 for name, pid in roots.items()}

    def _prepare(self) -> None:
        import django
        from django.core.management import call_command

        from helpdesk.words import compile_catalogs

        compile_catalogs(ROOT / "locale")
        django.setup()
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)


def _most_files() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _wait_for(address: str, stage: Stage) -> None:
    for _try in range(600):
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"{address} does not answer; see the logs in {stage.folder}")


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            found.setdefault(parent, []).append(int(entry.name))
    return found


def _family(pid: int, children: dict[int, list[int]]) -> list[int]:
    return [pid, *(member for child in children.get(pid, []) for member in _family(child, children))]


def pss(pid: int) -> int:
    """Kilobytes."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
