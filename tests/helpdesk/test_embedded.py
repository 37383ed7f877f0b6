import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
import pytest
import redis

from helpdesk import embedded
from tests.conftest import ROOT, wait_until


@pytest.fixture
def folder():
    path = Path(tempfile.mkdtemp(prefix="hd-emb-"))
    services = []
    yield path, services
    for service in services:
        service.stop()
    shutil.rmtree(path)


def connect(folder):
    return psycopg2.connect(host=str(embedded.socket_dir(folder)), user="helpdesk", dbname="helpdesk")


def test_postgres_keeps_what_was_committed_before_a_kill(folder):
    path, services = folder
    services.append(embedded.start_postgres(path))
    connection = connect(path)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (word text)")
        cursor.execute("INSERT INTO kept VALUES ('안녕하세요')")
    connection.close()

    os.kill(services[0].pid, signal.SIGKILL)
    again = embedded.start_postgres(path)
    services.append(again)

    assert again.process is not None, "the dead server was taken for a living one"
    connection = connect(path)
    with connection.cursor() as cursor:
        cursor.execute("SELECT word, upper('àé') FROM kept")
        assert cursor.fetchall() == [("안녕하세요", "ÀÉ")]
    connection.close()


def test_a_running_postgres_is_adopted_and_not_started_twice(folder):
    path, services = folder
    services.append(embedded.start_postgres(path, durable=False))

    adopted = embedded.start_postgres(path, durable=False)

    assert adopted.process is None
    assert adopted.pid == services[0].pid


def test_valkey_keeps_its_data_over_a_kill(folder):
    path, services = folder
    services.append(embedded.start_valkey(path))
    client = redis.Redis.from_url(services[0].url)
    client.set("kept", "yes")
    client.execute_command("WAITAOF", 1, 0, 2000)
    client.close()

    os.kill(services[0].pid, signal.SIGKILL)
    services.append(embedded.start_valkey(path))

    client = redis.Redis.from_url(services[1].url)
    assert client.get("kept") == b"yes"
    client.close()


def test_the_servers_die_with_the_process_that_started_them(folder):
    path, _services = folder
    program = (
        "import sys, time; from pathlib import Path; from helpdesk import embedded; p = Path(sys.argv[1]);"
        "print(embedded.start_postgres(p, durable=False).pid, embedded.start_valkey(p).pid, flush=True);"
        "time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert all(map(embedded._exists, pids))
        parent.kill()

    wait_until(lambda: not any(map(embedded._exists, pids)), what="the end of both servers")


def test_a_path_too_long_for_a_socket_gets_a_short_private_directory(tmp_path):
    long = tmp_path / ("x" * 120)
    sockets = embedded.socket_dir(long)
    assert len(str(sockets / ".s.PGSQL.5432")) <= 107
    assert sockets == embedded.socket_dir(long), "every process must find the same place"
    assert sockets != embedded.socket_dir(tmp_path / ("y" * 120))


def test_a_socket_directory_made_by_someone_else_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(embedded.EmbeddedServiceError, match="belongs to another user"):
        embedded.start_valkey(tmp_path)


def test_no_secret_of_ours_reaches_a_server(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "do not pass on")
    monkeypatch.setenv("PGDATA", "/elsewhere")
    assert set(embedded._environment()) == {"PATH", "LC_ALL", "TMPDIR"}
