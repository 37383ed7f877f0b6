"""The real parser process: what foreign bytes may do to it, and what they may not."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from channels_in import parser as client
from channels_in import parser_server as server
from tests.fixtures_inbound import start_parser
from tickets.contract import ParserAway, Unreadable

HOSTILE = """
import os, socket, time

def echo(raw, **arguments):
    return {"size": len(raw), "arguments": arguments}

def spin(raw):
    while True:
        pass

def sleep(raw):
    time.sleep(60)

def eat(raw):
    return {"size": len(b"x" * (1024**3))}

def write(raw):
    with open(raw.decode(), "wb") as out:
        out.write(b"x" * 10)
    return {}

def call_out(raw):
    host, port = raw.decode().split(":")
    with socket.create_connection((host, int(port)), timeout=2):
        return {"reached": True}

def secrets(raw):
    return {"environment": sorted(os.environ), "files": len(os.listdir("/proc/self/fd"))}

def kill_parent(raw):
    os.kill(os.getppid(), 9)
    os._exit(1)

def raises(raw):
    raise RecursionError("deep" * 1000)
"""
NAMES = ("echo", "spin", "sleep", "eat", "write", "call_out", "secrets", "kill_parent", "raises")


@pytest.fixture
def hostile(tmp_path, settings, monkeypatch):
    """A parser whose allow-list holds functions that misbehave in every way a parser's bug could."""
    (tmp_path / "hostile.py").write_text(HOSTILE)
    main = tmp_path / "main.py"
    main.write_text(
        "import sys\n"
        f"sys.path[:0] = [{str(tmp_path)!r}, {str(Path(__file__).resolve().parents[2])!r}]\n"
        "from channels_in import parser_server as server\n"
        f"server.FUNCTIONS = {{name: ('hostile', name) for name in {NAMES!r}}}\n"
        "server.CPU, server.WALL = 1, 2\n"
        "server.serve(sys.argv[1], ready=lambda: print('parser ready', flush=True))\n"
    )
    settings.PARSER_SOCKET = str(tmp_path / "parser.sock")
    process = start_parser(settings.PARSER_SOCKET, program=[str(main)])
    yield process
    process.kill()
    process.wait(10)
    process.stdout.close()


def test_the_answer_is_plain_json(hostile):
    assert client.parse("echo", b"abc", cids={"a": 1}) == {"size": 3, "arguments": {"cids": {"a": 1}}}
    assert client.parse("echo", b"x" * 5_000_000)["size"] == 5_000_000
    assert client.answers()


def test_only_functions_of_the_list_run(hostile):
    with pytest.raises(Unreadable, match="KeyError"):
        client.parse("os.system", b"id")


@pytest.mark.parametrize(
    ("function", "why"),
    [("spin", "limits"), ("sleep", "limits"), ("eat", "MemoryError"), ("raises", "RecursionError")],
)
def test_a_body_that_breaks_its_limits_ends_alone(hostile, function, why):
    began = time.monotonic()
    with pytest.raises(Unreadable, match=why):
        client.parse(function, b"")
    assert time.monotonic() - began < 12
    assert client.parse("echo", b"next") == {"size": 4, "arguments": {}}


def test_a_child_writes_no_file_and_knows_no_secret(hostile, tmp_path):
    with pytest.raises(Unreadable):
        client.parse("write", str(tmp_path / "written").encode())
    assert not (tmp_path / "written").exists() or (tmp_path / "written").stat().st_size == 0
    found = client.parse("secrets", b"")
    assert not [name for name in found["environment"] if "SECRET" in name or "DATABASE" in name]
    assert found["files"] < 10


def test_a_child_has_no_network_where_the_kernel_permits(hostile):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}".encode()
        isolated = os.readlink(f"/proc/{hostile.pid}/ns/net") != os.readlink("/proc/self/ns/net")
        if not isolated:
            pytest.skip("this kernel gives no network namespace to this user")
        with pytest.raises(Unreadable, match="Error"):
            client.parse("call_out", where)


def test_a_parser_that_is_away_is_not_the_bodys_fault(settings, tmp_path):
    settings.PARSER_SOCKET = str(tmp_path / "nobody.sock")
    assert not client.answers()
    with pytest.raises(ParserAway):
        client.parse("mail", b"")


def test_a_body_that_kills_the_parser_is_counted(hostile):
    with pytest.raises(client.ParserDied):
        client.parse("kill_parent", b"")
    assert not client.answers()


def test_many_bodies_at_once(hostile):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(16) as pool:
        sizes = list(pool.map(lambda n: client.parse("echo", b"x" * n)["size"], range(100)))
    assert sizes == list(range(100))


def test_a_second_parser_leaves_the_first_alone(hostile, settings):
    import subprocess
    import sys

    second = subprocess.run(
        [sys.executable, "-m", "channels_in.parser_server", settings.PARSER_SOCKET],
        cwd=Path(__file__).resolve().parents[2], capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert b"another parser" in second.stderr
    assert client.answers()


def test_it_ends_cleanly_and_starts_again_after_a_kill(hostile, settings, tmp_path):
    hostile.kill()
    hostile.wait(10)
    again = start_parser(settings.PARSER_SOCKET)
    assert client.answers()
    again.send_signal(signal.SIGTERM)
    assert again.wait(10) == 0
    again.stdout.close()
    assert not Path(settings.PARSER_SOCKET).exists()


def test_a_deep_folder_is_no_trouble(settings, tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    settings.PARSER_SOCKET = str(deep / "parser.sock")
    process = start_parser(settings.PARSER_SOCKET)
    assert client.answers()
    process.terminate()
    process.wait(10)
    process.stdout.close()


def test_the_real_parser_knows_the_functions_of_the_product(parser):
    assert set(server.FUNCTIONS) == {"mail", "html"}
    assert client.parse("mail", b"Subject: Hi\r\nFrom: a@example.org\r\n\r\nHello\r\n")


@pytest.mark.django_db(transaction=True)
def test_a_body_that_kills_its_parser_ends_in_quarantine(settings, plain_kinds, monkeypatch):
    """The worker keeps the attempt; after the errors that an item may have it is put aside, and the line goes on."""
    from channels_in import process
    from channels_in.models import RawEvent
    from tests import plain
    from tests.cast import assemble, make_channel

    mailbox = make_channel("plain_mail", brand=assemble().brand)
    monkeypatch.setattr(plain.PlainMail, "normalise", lambda *a: (_ for _ in ()).throw(client.ParserDied()))
    plain.post(mailbox, plain.message("1"))
    for _ in range(8):
        plain.due_now()
        process.drain()
    event = RawEvent.objects.get()
    assert (event.state, event.attempts) == ("quarantined", 8)
