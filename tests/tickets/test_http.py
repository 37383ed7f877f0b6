"""`safe_fetch`: the one door for requests that we make (reliability.md 12.3, V20-V24)."""

import gzip
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tickets import http
from tickets.http import FetchError, Refused, safe_fetch

PUBLIC = "93.184.216.34"


class Internet:
    """A resolver and a dialler for the tests: names answer in turn, and every dialled address is written down."""

    def __init__(self, monkeypatch):
        self.names: dict[str, list[list[str]]] = {}
        self.dialled: list[tuple[str, int]] = []
        self.behind: dict[str, tuple[str, int]] = {}  # public address -> a server of the test
        self._lookup, self._dial = http._lookup, http._dial
        monkeypatch.setattr(http, "_lookup", self.lookup)
        monkeypatch.setattr(http, "_dial", self.dial)

    def lookup(self, host, port):
        if host in self.names:
            answers = self.names[host]
            return answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)
        except OSError:
            if host.rstrip(".") != "localhost":
                raise
        return self._lookup(host, port)  # numbers in any spelling, as the system reads them

    def dial(self, address, port, *, timeout):
        self.dialled.append((address, port))
        if address in self.behind:
            return self._dial(*self.behind[address], timeout=timeout)
        raise ConnectionRefusedError(address)


@pytest.fixture
def internet(monkeypatch, settings):
    settings.SAFE_FETCH_ALLOW = []
    return Internet(monkeypatch)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        self.seen: list[dict] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.seen.append(
            {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": self.rfile.read(length)}
        )
        status, headers, body = self.server.answers.pop(0) if self.server.answers else (200, {}, b"fine")
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer

    def log_message(self, *args):
        pass


@pytest.fixture
def server(internet):
    """A site at http://site.example, which lives at a public address."""
    server = Server()
    internet.names["site.example"] = [[PUBLIC]]
    internet.behind[PUBLIC] = server.server_address[:2]
    yield server
    server.shutdown()
    server.server_close()


FORMS = [
    # IPv4 in every spelling
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.127.127.127/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0177.0.0.1/",
    "http://0177.0000.0000.0001/",
    "http://0/",
    "http://0.0.0.0/",
    "http://0x0/",
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://192.168.1.1:80/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://168.63.129.16/",
    "http://100.64.0.1/",
    "http://100.127.255.254/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.7/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    # IPv6
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a00:1::1]/",
    "http://[2001::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[100::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    # names
    "http://localhost/",
    "http://localhost./",
    "http://LOCALHOST/",
    "http://LocalHost:80/",
    "http://metadata.google.internal/",
    "http://127.0.0.1./",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://127｡0｡0｡1/",
    "http://xn--/",
    # userinfo, separators, controls
    "http://example.org@127.0.0.1/",
    "http://user:pw@example.org/",
    "http://example.org:80@127.0.0.1/",
    "http://@example.org/",
    "http://example.org\\@127.0.0.1/",
    "http:\\\\127.0.0.1/",
    "http://127.0.0.1\\.example.org/",
    "http://example.org/\r\nHost: inside",
    "http://example.org/\tx",
    "http://exam ple.org/",
    "http://example.org\x00.inside/",
    " http://example.org/",
    "http://exa%6dple.org/",
    "http://[127.0.0.1]/",
    "http://[::1/",
    "http://::1/",
    "http:///path",
    "http:127.0.0.1",
    "http:/127.0.0.1/",
    "//example.org/",
    "",
    # ports
    "http://example.org:22/",
    "http://example.org:25/",
    "http://example.org:6379/",
    "http://example.org:8000/",
    "http://example.org:0/",
    "http://example.org:65536/",
    "http://example.org:-1/",
    "http://example.org:http/",
    "https://example.org:5432/",
    # schemes
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/stat",
    "ftp://example.org/",
    "ldap://127.0.0.1/",
    "jar:http://example.org!/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "ws://example.org/",
    "unix:///run/redis.sock",
    "HTTPS+unix://x/",
]


@pytest.mark.parametrize("url", FORMS)
def test_safe_fetch_forms(internet, url):
    internet.names["example.org"] = [[PUBLIC]]
    internet.names["metadata.google.internal"] = [["169.254.169.254"]]
    with pytest.raises((Refused, FetchError)) as refusal:
        safe_fetch("GET", url)
    assert internet.dialled == [], "no connection may even be begun"
    if isinstance(refusal.value, FetchError):  # the system's resolver does not know this spelling
        assert not refusal.value.may_have_left


def test_there_are_enough_forms_and_a_good_one_passes(server, internet):
    assert len(set(FORMS)) >= 60
    assert safe_fetch("GET", "http://site.example/").body == b"fine"
    assert internet.dialled == [(PUBLIC, 80)]


def test_one_inside_address_among_many_refuses_all(internet):
    internet.names["mixed.example"] = [[PUBLIC, "10.0.0.7"]]
    with pytest.raises(Refused):
        safe_fetch("GET", "http://mixed.example/")
    assert internet.dialled == []


def test_safe_fetch_rebinding(internet, server):
    """Public when it is checked, loopback a moment later: the connection goes to the checked address."""
    internet.names["rebind.example"] = [[PUBLIC], ["127.0.0.1"]]
    assert safe_fetch("GET", "http://rebind.example/").ok
    assert internet.dialled == [(PUBLIC, 80)]
    with pytest.raises(Refused):
        safe_fetch("GET", "http://rebind.example/")
    assert internet.dialled == [(PUBLIC, 80)]


def test_an_allowed_host_and_port_opens_no_other_port_or_spelling(internet, server, settings):
    host, port = server.server_address[:2]
    internet.behind["127.0.0.1"] = (host, port)
    settings.SAFE_FETCH_ALLOW = [f"127.0.0.1:{port}"]
    assert safe_fetch("GET", f"http://127.0.0.1:{port}/").ok
    for other in (f"127.0.0.1:{port + 1}", "127.0.0.1", f"127.1:{port}", f"localhost:{port}", f"2130706433:{port}"):
        with pytest.raises(Refused):
            safe_fetch("GET", f"http://{other}/")
    with pytest.raises(Refused):
        safe_fetch("GET", f"http://user@127.0.0.1:{port}/")


# redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("hops", [0, 1, 2])
def test_safe_fetch_redirect(internet, server, status, hops):
    """A chain of public redirects that ends inside is refused at whatever hop it turns inside."""
    server.answers = [(302, {"Location": "http://site.example/next"}, b"")] * hops
    server.answers.append((status, {"Location": "http://127.0.0.1:6379/"}, b""))
    with pytest.raises(Refused):
        safe_fetch("GET", "http://site.example/", redirects=3)
    assert internet.dialled == [(PUBLIC, 80)] * (hops + 1)


def test_without_leave_a_redirect_is_only_reported(server):
    server.answers = [(302, {"Location": "http://127.0.0.1/"}, b"")]
    assert safe_fetch("GET", "http://site.example/").status == 302


def test_at_most_three_hops_however_many_are_asked_for(internet, server):
    server.answers = [(302, {"Location": "/again"}, b"")] * 9
    with pytest.raises(Refused):
        safe_fetch("GET", "http://site.example/", redirects=9)
    assert len(internet.dialled) == 4


def test_no_credential_follows_to_another_host(internet, server):
    internet.names["other.example"] = [["93.184.216.35"]]
    internet.behind["93.184.216.35"] = server.server_address[:2]
    server.answers = [(302, {"Location": "http://other.example/"}, b"")]
    headers = {"Authorization": "Bearer s3cret", "Cookie": "a=b", "X-Api-Key": "s3cret", "Accept": "text/plain"}
    safe_fetch("GET", "http://site.example/", headers=headers, redirects=1)
    first, second = (seen["headers"] for seen in server.seen)
    assert first["Authorization"] == "Bearer s3cret"
    assert not {"Authorization", "Cookie", "X-Api-Key"} & set(second)
    assert second["Accept"] == "text/plain"
    assert second["Host"] == "other.example"


def test_basic_credentials_do_not_follow_either(internet, server):
    internet.names["other.example"] = [["93.184.216.35"]]
    internet.behind["93.184.216.35"] = server.server_address[:2]
    server.answers = [(302, {"Location": "http://other.example/"}, b"")]
    safe_fetch("GET", "http://site.example/", auth=("user", "pw"), redirects=1)
    assert server.seen[0]["headers"]["Authorization"].startswith("Basic ")
    assert "Authorization" not in server.seen[1]["headers"]


def test_a_body_is_not_carried_to_another_host(internet, server):
    internet.names["other.example"] = [["93.184.216.35"]]
    internet.behind["93.184.216.35"] = server.server_address[:2]
    server.answers = [(307, {"Location": "http://other.example/"}, b"")]
    with pytest.raises(Refused):
        safe_fetch("POST", "http://site.example/", data={"secret": "x"}, redirects=1)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "status, method, body", [(303, "GET", b""), (302, "GET", b""), (307, "POST", b"a=1"), (308, "POST", b"a=1")]
)
def test_the_method_follows_the_standard(server, status, method, body):
    server.answers = [(status, {"Location": "/there"}, b"")]
    safe_fetch("POST", "http://site.example/", data={"a": "1"}, redirects=1)
    assert (server.seen[1]["method"], server.seen[1]["path"], server.seen[1]["body"]) == (method, "/there", body)


# what is sent


def test_a_request_carries_what_was_asked_and_nothing_of_the_environment(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    answer = safe_fetch("POST", "http://site.example/a%20b?q=가", json={"a": "한"}, headers={"X-One": "1"})
    seen = server.seen[0]
    assert answer.status == 200
    assert seen["path"] == "/a%20b?q=%EA%B0%80"
    assert seen["body"] in (b'{"a": "\\ud55c"}', '{"a": "한"}'.encode())
    assert seen["headers"]["Host"] == "site.example"
    assert seen["headers"]["X-One"] == "1"
    assert seen["headers"]["Content-Type"] == "application/json"


def test_files_are_sent_as_a_form(server):
    safe_fetch("POST", "http://site.example/", data={"a": "1"}, files={"f": ("한.txt", b"content", "text/plain")})
    assert b"content" in server.seen[0]["body"]
    assert server.seen[0]["headers"]["Content-Type"].startswith("multipart/form-data")


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nX-Evil: 1"}, {"X-A\r\nX-Evil": "1"}, {"X-A": "b\nc"}])
def test_a_header_cannot_smuggle_another(server, headers):
    with pytest.raises(Refused):
        safe_fetch("GET", "http://site.example/", headers=headers)
    assert server.seen == []


def test_on_sending_is_called_between_connecting_and_writing(internet, server):
    order = []

    def sending():
        order.append((len(internet.dialled), len(server.seen)))

    safe_fetch("POST", "http://site.example/", data=b"x", on_sending=sending)
    assert order == [(1, 0)]


def test_an_error_says_whether_the_request_may_have_left(internet, server):
    internet.names["down.example"] = [["93.184.216.99"]]
    with pytest.raises(FetchError) as early:
        safe_fetch("POST", "http://down.example/", on_sending=lambda: pytest.fail("nothing was connected"))
    assert not early.value.may_have_left
    server.answers = [(200, {"Content-Length": "100"}, b"short")]
    with pytest.raises(FetchError) as late:
        safe_fetch("POST", "http://site.example/", timeout=1)
    assert late.value.may_have_left


def test_what_stops_in_on_sending_stops_before_the_first_byte(server):
    class Stop(BaseException):
        pass

    def sending():
        raise Stop

    with pytest.raises(Stop):
        safe_fetch("POST", "http://site.example/", on_sending=sending)
    assert server.seen == []


def test_headers_are_found_in_any_case(server):
    server.answers = [(429, {"Retry-After": "7"}, b"")]
    answer = safe_fetch("GET", "http://site.example/")
    assert answer.headers.get("RETRY-AFTER") == answer.headers["retry-after"] == "7"
    assert "Retry-After" in answer.headers and not answer.ok


# caps


class Raw:
    """A server that writes raw bytes: pieces, with a pause after each."""

    def __init__(self, internet, pieces, pause=0.0):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.over = threading.Event()
        internet.names["raw.example"] = [[PUBLIC]]
        internet.behind[PUBLIC] = self.socket.getsockname()[:2]
        self.thread = threading.Thread(target=self.serve, args=(pieces, pause), daemon=True)
        self.thread.start()

    def serve(self, pieces, pause):
        connection, _ = self.socket.accept()
        with connection, self.socket:
            connection.settimeout(5)
            connection.recv(65536)
            try:
                for piece in pieces:
                    connection.sendall(piece)
                    self.over.wait(pause)
            except OSError:
                pass

    def close(self):
        self.over.set()
        self.thread.join(5)


def fails_soon(internet, pieces, *, pause=0.0, within=10.0, **options):
    """`within`: seconds, many on a busy machine, and far fewer than all of this would take."""
    server = Raw(internet, pieces, pause)
    began = time.monotonic()
    with pytest.raises(FetchError) as failure:
        safe_fetch("GET", "http://raw.example/", **options)
    assert time.monotonic() - began < within
    server.close()
    return failure.value


def forever(piece):
    while True:
        yield piece


def test_caps_a_body_without_end(internet):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
    error = fails_soon(internet, (p for source in ([head], forever(b"x" * 65536)) for p in source), max_bytes=1_000_000)
    assert "too large" in str(error) and error.may_have_left


def test_caps_an_announced_body_over_the_limit(internet, server):
    server.answers = [(200, {}, b"x" * 2001)]
    with pytest.raises(FetchError, match="too large"):
        safe_fetch("GET", "http://site.example/", max_bytes=2000)
    server.answers = [(200, {}, b"x" * 2000)]
    assert len(safe_fetch("GET", "http://site.example/", max_bytes=2000).body) == 2000


def test_caps_a_gzip_bomb(internet, server):
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    server.answers = [(200, {"Content-Encoding": "gzip"}, bomb)]
    with pytest.raises(FetchError, match="too large"):
        safe_fetch("GET", "http://site.example/", max_bytes=1_000_000)


def test_an_honest_gzip_is_unpacked_and_a_cut_one_is_an_error(server):
    packed = gzip.compress(b"hello " * 1000)
    server.answers = [(200, {"Content-Encoding": "gzip"}, packed), (200, {"Content-Encoding": "gzip"}, packed[:-12])]
    assert safe_fetch("GET", "http://site.example/").body == b"hello " * 1000
    with pytest.raises(FetchError):
        safe_fetch("GET", "http://site.example/")


def test_an_encoding_that_we_did_not_ask_for_is_refused(server):
    server.answers = [(200, {"Content-Encoding": "br"}, b"x")]
    with pytest.raises(FetchError):
        safe_fetch("GET", "http://site.example/")


def test_caps_a_slow_drip(internet):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    fails_soon(internet, [head, *[b"x"] * 900], pause=0.05, timeout=0.5)


def test_caps_a_server_that_never_answers(internet):
    error = fails_soon(internet, [b""], pause=60, timeout=0.4)
    assert error.may_have_left


def test_caps_headers_without_end(internet):
    head = b"HTTP/1.1 200 OK\r\n"
    fails_soon(internet, (p for source in ([head], forever(b"X-A: " + b"y" * 1000 + b"\r\n")) for p in source))


def test_caps_one_header_without_end(internet):
    fails_soon(internet, (p for source in ([b"HTTP/1.1 200 OK\r\nX: "], forever(b"y" * 65536)) for p in source))


def test_caps_interim_answers_without_end(internet):
    fails_soon(internet, forever(b"HTTP/1.1 100 Continue\r\n\r\n" * 100))


def test_caps_a_resolver_that_hangs(internet, monkeypatch):
    hang = threading.Event()
    monkeypatch.setattr(http, "_lookup", lambda host, port: (hang.wait(30) and []) or [])
    began = time.monotonic()
    with pytest.raises(FetchError) as failure:
        safe_fetch("GET", "http://slow.example/", timeout=0.3)
    assert time.monotonic() - began < 10 and not failure.value.may_have_left
    hang.set()


@pytest.mark.parametrize("nonsense", [b"SSH-2.0-OpenSSH_9\r\n", b"", b"\x00" * 50, b"HTTP/1.1 abc\r\n\r\n"])
def test_an_answer_that_is_no_http_is_an_error(internet, nonsense):
    fails_soon(internet, [nonsense], timeout=1)


# TLS


@pytest.fixture
def certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "secure.example")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("secure.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "cert.pem"
    path.write_bytes(
        built.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def secure(internet, certificate, monkeypatch):
    """https://secure.example, whose certificate the client trusts."""
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(http, "_tls", lambda: trusting)
    internet.behind[PUBLIC] = server.server_address[:2]
    server.names = names
    yield server
    server.shutdown()
    server.server_close()


def test_tls_is_for_the_name_while_the_connection_is_to_the_address(internet, secure):
    internet.names["secure.example"] = [[PUBLIC]]
    assert safe_fetch("GET", "https://secure.example/").ok
    assert internet.dialled == [(PUBLIC, 443)]
    assert secure.names == ["secure.example"]
    assert secure.seen[0]["headers"]["Host"] == "secure.example"


def test_a_certificate_for_another_name_is_refused(internet, secure):
    internet.names["evil.example"] = [[PUBLIC]]
    with pytest.raises(FetchError) as failure:
        safe_fetch("GET", "https://evil.example/")
    assert not failure.value.may_have_left
    assert secure.seen == []


def test_a_redirect_never_leaves_https(internet, secure):
    internet.names["secure.example"] = [[PUBLIC]]
    secure.answers = [(302, {"Location": "http://secure.example/"}, b"")]
    with pytest.raises(Refused):
        safe_fetch("GET", "https://secure.example/", redirects=1)


def test_a_mail_server_inside_is_refused_unless_it_is_named(internet, settings):
    internet.names["mail.example"] = [[PUBLIC]]
    internet.names["inside.example"] = [["10.1.1.1"]]
    assert http.public_addresses("mail.example", 993) == [PUBLIC]
    with pytest.raises(Refused):
        http.public_addresses("inside.example", 993)
    settings.SAFE_FETCH_ALLOW = ["inside.example:993"]
    assert http.public_addresses("inside.example", 993) == ["10.1.1.1"]
    with pytest.raises(Refused):
        http.public_addresses("inside.example", 143)
