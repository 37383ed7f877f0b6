"""The whole of `manage.py up` in a fresh folder, as a person starts it."""

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from helpdesk import embedded
from helpdesk.environment import VARIABLES
from tests.conftest import ROOT, Process, wait_until

PATIENCE = 150  # seconds; on an idle machine it takes a tenth


@pytest.fixture
def folder():
    path = Path(tempfile.mkdtemp(prefix="hd-up-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def up(folder):
    """The environment of a person who has set nothing but the folder and the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if name not in VARIABLES and "DJANGO" not in name}
    env |= {"DATA_DIR": str(folder), "PORT": str(port), "DEMO": "0"}
    started = []

    def start():
        started.append(Process([sys.executable, "manage.py", "up"], env=env, log=folder / "up.out"))
        return started[-1], port

    yield start
    for process in started:
        process.stop(signal.SIGINT, timeout=60)


def ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return json.loads(answer.read())
    except (urllib.error.URLError, OSError):
        return None


def pids(folder):
    try:
        return json.loads((folder / "up.json").read_text())["children"]
    except (OSError, ValueError):
        return {}


@pytest.mark.timeout(600)
def test_it_serves_survives_kills_refuses_a_second_start_and_stops_without_a_trace(up, folder):
    first, port = up()
    first.wait_for("Stop: Ctrl-C", timeout=PATIENCE)
    wait_until(lambda: (report := ready(port)) and report["worker"] == "ok", timeout=PATIENCE, what="the worker")
    before = pids(folder)
    assert {"postgres", "valkey", "web", "worker", "beat"} <= set(before)

    second, _ = up()
    assert second.popen.wait(PATIENCE) == 1
    assert f"http://localhost:{port}" in second.output()

    for name in ("postgres", "web", "worker"):
        os.kill(before[name], signal.SIGKILL)

    def all_new():
        now = pids(folder)
        return all(now.get(name) != before[name] for name in ("postgres", "web", "worker")) and now

    after = wait_until(all_new, timeout=PATIENCE, what="the return of what was killed")
    assert after["valkey"] == before["valkey"], "what was not killed is left alone"
    wait_until(lambda: (report := ready(port)) and report["ready"], timeout=PATIENCE, what="the first page")

    assert first.stop(signal.SIGINT, timeout=90) == 0
    assert not [name for name, pid in pids(folder).items() if embedded._exists(pid)]
    assert not [name for name, pid in after.items() if embedded._exists(pid)]


def test_a_taken_port_is_named_before_anything_starts(folder):
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    env = {name: value for name, value in os.environ.items() if name not in VARIABLES and "DJANGO" not in name}
    env |= {"DATA_DIR": str(folder), "PORT": str(taken.getsockname()[1])}
    process = Process([sys.executable, "manage.py", "up"], env=env, log=folder / "taken.out")

    assert process.popen.wait(PATIENCE) == 1
    assert f"Port {taken.getsockname()[1]} is used" in process.output()
    assert not (folder / "postgres").exists()
    taken.close()


def test_the_commands_are_plain_sh_and_can_be_executed():
    for name in ("run", "test", "lint", "bench"):
        path = ROOT / "bin" / name
        assert os.access(path, os.X_OK)
        assert path.read_text().startswith("#!/bin/sh\n")
