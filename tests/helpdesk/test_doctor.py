import socket
import tempfile
import threading
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from django.contrib.auth import get_user_model

from helpdesk import doctor, heartbeat


def levels(area):
    return [finding.level for finding in area()]


def test_the_address_and_websockets_of_a_running_site_are_in_order(live_server, monkeypatch):
    monkeypatch.setattr(doctor, "TIMEOUT", 60.0)  # the first page of a process on a busy machine
    assert [finding.what for finding in doctor._site()] == [live_server.url]
    assert levels(doctor._sockets) == ["ok"]


def test_nobody_at_the_address(settings):
    settings.SITE_URL = "http://127.0.0.1:9"
    (finding,) = doctor._site()
    assert finding.level == "fail" and "cannot be reached" in finding.what
    assert levels(doctor._sockets) == ["fail"]


@pytest.fixture
def proxy(settings):
    """Gives the same answer to each request, like a proxy that is set up wrongly; {url} is its own address."""
    server = socket.create_server(("127.0.0.1", 0))
    settings.SITE_URL = f"http://127.0.0.1:{server.getsockname()[1]}"

    def answer(head):
        def serve():
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(head.format(url=settings.SITE_URL).replace("\n", "\r\n").encode() + b"\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()

    yield answer
    server.close()


OURS = "X-Request-ID: abc12345\nContent-Length: 0"


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (f"HTTP/1.1 301 Moved\n{OURS}\nLocation: {{url}}/", "TRUSTED_PROXIES"),
        (f"HTTP/1.1 400 Bad Request\n{OURS}", "Host header"),
        ("HTTP/1.1 200 OK\nContent-Length: 0", "Another program"),
        (f"HTTP/1.1 500 Error\n{OURS}", "log of web"),
    ],
)
def test_the_traps_of_a_proxy_are_told_apart(proxy, head, told):
    proxy(head)
    (finding,) = doctor._site()
    assert finding.level == "fail"
    assert told in finding.fix


def test_a_proxy_that_passes_no_websocket(proxy):
    proxy("HTTP/1.1 404 Not Found\nContent-Length: 0")
    (finding,) = doctor._sockets()
    assert finding.level == "fail" and "404" in finding.what and "Upgrade" in finding.fix


def test_a_silent_worker(settings):
    assert levels(doctor._worker) == ["fail"]
    heartbeat.beat()
    assert levels(doctor._worker) == ["ok"]


def test_the_parser(settings):
    with tempfile.TemporaryDirectory(prefix="hd-") as folder:
        settings.PARSER_SOCKET = str(Path(folder) / "parser.sock")
        assert levels(doctor._parser) == ["fail"]
        with socket.socket(socket.AF_UNIX) as parser:
            parser.bind(settings.PARSER_SOCKET)
            parser.listen()
            assert levels(doctor._parser) == ["ok"]


def test_mail_that_stays_here_mail_that_is_refused_and_mail_that_goes(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    assert levels(doctor._mail) == ["warn"]
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", 9, False
    assert levels(doctor._mail) == ["fail"]
    server = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    server.start()
    settings.EMAIL_PORT = server.port
    assert levels(doctor._mail) == ["ok"]
    server.stop()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.django_db
def test_an_empty_house_is_told_how_to_make_the_first_account():
    assert levels(doctor._people) == ["warn"]
    get_user_model().objects.create_user(email="first@example.com", password="a long enough password")
    assert levels(doctor._people) == []


@pytest.mark.django_db
def test_a_working_database():
    assert levels(doctor._database) == ["ok"]


def test_redis_that_is_set_up_so_that_it_may_lose_work(settings):
    # the server of the tests keeps nothing, on purpose
    (finding,) = doctor._redis()
    assert finding.level == "warn" and "appendonly" in finding.what
    settings.REDIS_URL = "unix:///nowhere.sock"
    assert levels(doctor._redis) == ["fail"]
