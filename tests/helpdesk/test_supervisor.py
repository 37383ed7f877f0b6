import json
import os
import signal
import sys

import pytest

from tests.conftest import ROOT, Process, wait_until


@pytest.fixture
def start(tmp_path):
    started = []

    def start_supervisor(folder=tmp_path):
        argv = [sys.executable, "-m", "tests.helpdesk.supervised", str(folder)]
        started.append(Process(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, log=tmp_path / "supervisor.out"))
        return started[-1]

    yield start_supervisor
    for process in started:
        process.kill()


def children(folder):
    """The pids of both children, once they run."""

    def pids():
        try:
            state = json.loads((folder / "up.json").read_text())
        except (OSError, ValueError):
            return None
        found = [folder / f"{name}.pid" for name in ("first", "second")]
        return state["children"] if all(path.exists() for path in found) else None

    return wait_until(pids, what="both children")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_all_children_last_started_first(start, tmp_path, number):
    supervisor = start()
    pids = children(tmp_path)

    assert supervisor.stop(number) == 0

    assert (tmp_path / "ended").read_text().split() == ["second", "first"]
    assert not any(map(alive, pids.values()))
    assert not (tmp_path / "up.json").exists()


def test_a_killed_child_is_started_again_and_the_other_is_left_alone(start, tmp_path):
    start()
    before = children(tmp_path)

    os.kill(before["second"], signal.SIGKILL)

    after = wait_until(lambda: (now := children(tmp_path))["second"] != before["second"] and now)
    wait_until(lambda: alive(after["second"]))
    assert after["first"] == before["first"]


def test_no_orphan_stays_when_the_supervisor_itself_is_killed(start, tmp_path):
    supervisor = start()
    pids = children(tmp_path)
    assert all(map(alive, pids.values()))

    os.kill(supervisor.pid, signal.SIGKILL)

    wait_until(lambda: not any(map(alive, pids.values())), what="the end of both children")


def test_it_starts_again_after_it_was_killed(start, tmp_path):
    supervisor = start()
    pids = children(tmp_path)
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(alive, pids.values())))
    for path in tmp_path.glob("*.pid"):
        path.unlink()

    start()

    wait_until(lambda: children(tmp_path) != pids)
    assert all(map(alive, children(tmp_path).values()))


def test_a_second_start_is_refused_and_told_the_address(start, tmp_path):
    first = start()
    children(tmp_path)

    second = start()

    assert second.popen.wait(20) == 1
    assert f"already {first.pid} http://example.test" in second.output()
    assert first.popen.poll() is None


def test_a_child_that_lives_but_does_nothing_is_replaced(start, tmp_path):
    start()
    before = children(tmp_path)

    (tmp_path / "stuck").touch()
    wait_until(lambda: children(tmp_path)["second"] != before["second"])
    (tmp_path / "stuck").unlink()

    assert children(tmp_path)["first"] == before["first"]
