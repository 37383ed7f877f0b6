"""The one door for requests that we make (reliability.md 12.3).

The address is decided on after it was resolved, never on its text, and the connection goes to that very address. No
proxy, netrc or cookie of the environment is used. What comes back is capped in size, after decompression, and the
whole call in time. `SAFE_FETCH_ALLOW` opens an exact host:port and nothing else (simulated providers).
"""

from __future__ import annotations

import http.client
import io
import json as jsonlib
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from time import monotonic
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from django.conf import settings

MAX_REDIRECTS = 3
PORTS = (80, 443)
HEAD_MAX = 128 * 1024  # bytes of status lines and headers, all of them together
USER_AGENT = "helpdesk/1"

# What `ip.is_global` lets through and nobody outside needs: addresses that hide another one, and cloud internals.
DENIED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "168.63.129.16/32",  # the host agent of a cloud
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",
        "224.0.0.0/3",
        "::/8",  # unspecified, loopback, IPv4-compatible and IPv4-mapped, NAT64 64:ff9b::/96
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/9",
        "ff00::/8",
    )
)
# Headers that may follow a redirect to another host. Everything else could be a credential.
HARMLESS = frozenset({"accept", "accept-language", "user-agent"})


class Refused(Exception):
    """We do not send this request: its address is not public, or malformed. Trying again does not help."""


class FetchError(Exception):
    """No usable answer. `may_have_left`: the request may have been written, so the other side may have acted."""

    def __init__(self, detail: str, *, may_have_left: bool) -> None:
        super().__init__(detail)
        self.may_have_left = may_have_left


@dataclass(frozen=True)
class Response:
    """An answer, of whatever status. `headers.get` ignores case; `url` is the one that answered in the end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Raises ValueError when the body is not JSON."""
        return jsonlib.loads(self.body)


class Headers(dict[str, str]):
    """Header values by name in any case; of a repeated header, the values joined by a comma."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__()
        for name, value in pairs:
            key = name.lower()
            self[key] = f"{dict.__getitem__(self, key)}, {value}" if dict.__contains__(self, key) else value

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


@dataclass(frozen=True)
class Target:
    """A URL that was taken apart. `host` is in ASCII; `allowed` by SAFE_FETCH_ALLOW, letter by letter."""

    scheme: str
    host: str
    port: int
    host_header: str
    allowed: bool

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


def safe_fetch(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    data: Any = None,
    json: Any = None,
    files: Any = None,
    auth: tuple[str, str] | None = None,
    timeout: float = 10,
    max_bytes: int = 5_000_000,
    redirects: int = 0,
    on_sending: Callable[[], None] | None = None,
) -> Response:
    """Send one request and read its answer. Arguments are as in `requests`.

    `timeout` is in seconds for the whole call, redirects included. `max_bytes` counts the decompressed body.
    `redirects` are followed up to MAX_REDIRECTS, each checked like the first; no header or body of the caller goes to
    another host. `on_sending` is called once, connected and with TLS done, just before the request is written.
    Raises Refused, or FetchError. Must not be called inside a transaction.
    """
    deadline = _Deadline(timeout)
    hops = min(redirects, MAX_REDIRECTS)
    left = False

    def sending() -> None:
        nonlocal left
        if not left and on_sending is not None:
            on_sending()
        left = True

    target = parse(url)
    request = _prepare(method, url, headers=headers, data=data, json=json, files=files, auth=auth)
    while True:
        try:
            response = _exchange(target, request, url, deadline=deadline, max_bytes=max_bytes, sending=sending)
        except _Broken as error:
            raise FetchError(str(error), may_have_left=left) from error.__cause__
        location = response.headers.get("location")
        if response.status not in (301, 302, 303, 307, 308) or not location or redirects <= 0:
            return response
        if hops <= 0:
            raise Refused("too many redirects")
        hops -= 1
        url = urljoin(url, location)
        following = parse(url)
        if target.scheme == "https" and following.scheme != "https":
            raise Refused("a redirect leads from https to http")
        request = _redirected(request, response.status, url, same_origin=following.origin == target.origin)
        target = following


def public_addresses(host: str, port: int, *, timeout: float = 5) -> list[str]:
    """The checked addresses of a mail server that an administrator names; connect to one of these and no other.

    Any port is fine, no address inside is, unless SAFE_FETCH_ALLOW names host:port. Raises Refused, or FetchError
    when the name does not resolve.
    """
    try:
        return addresses_of(
            _ascii(host), port, allowed=f"{host}:{port}" in settings.SAFE_FETCH_ALLOW, deadline=_Deadline(timeout)
        )
    except _Broken as error:
        raise FetchError(str(error), may_have_left=False) from None


def check(url: str, *, timeout: float = 5) -> None:
    """What `safe_fetch` would refuse of an address, and nothing is sent. Raises Refused, or FetchError when the name
    does not resolve.
    """
    target = parse(url)
    try:
        addresses_of(target.host, target.port, allowed=target.allowed, deadline=_Deadline(timeout))
    except _Broken as error:
        raise FetchError(str(error), may_have_left=False) from None


def is_public(address: str) -> bool:
    """Whether an address in its canonical text is one of the internet and not of anything inside."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and (ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip.scope_id):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not _denied(ip)


def parse(url: str) -> Target:
    """Take a URL apart as strictly as we can. Raises Refused."""
    if not isinstance(url, str) or len(url) > 8192 or re.search(r"[\x00-\x20\x7f-\xa0\\]", url):
        raise Refused("the address holds characters that it must not")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("the address is malformed") from None
    if parts.scheme not in ("http", "https") or not url.lower().startswith(f"{parts.scheme}://"):
        raise Refused("only http and https are fetched")
    if "@" in parts.netloc or not parts.hostname:
        raise Refused("the address names no plain host")
    raw_host = parts.netloc if parts.port is None else parts.netloc.rpartition(":")[0]
    host = _ascii(parts.hostname)
    port = port if port is not None else {"http": 80, "https": 443}[parts.scheme]
    allowed = f"{raw_host}:{port}" in settings.SAFE_FETCH_ALLOW
    if port not in PORTS and not allowed:
        raise Refused(f"port {port} is not open")
    shown = f"[{host}]" if ":" in host else host
    standard = {"http": 80, "https": 443}[parts.scheme]
    return Target(parts.scheme, host, port, shown if port == standard else f"{shown}:{port}", allowed)


def addresses_of(host: str, port: int, *, allowed: bool, deadline: _Deadline) -> list[str]:
    """Every address of the host, all of them checked. Raises Refused when one is not public."""
    found: list[str] = []
    for address in _resolve(host, port, deadline=deadline):
        if address not in found:
            found.append(address)
    if not found:
        raise _Broken("the host name has no address")
    if not allowed and not all(is_public(address) for address in found):
        raise Refused("the address is not public")
    return found


# one exchange


class _Broken(Exception):
    """The exchange failed; whether the request had left is known to the caller."""


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self.at = monotonic() + seconds

    def left(self) -> float:
        """Seconds left, above zero. Raises when there are none."""
        left = self.at - monotonic()
        if left <= 0:
            raise TimeoutError("the time is up")
        return left


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


def _prepare(method: str, url: str, **content: Any) -> _Request:
    try:
        prepared = requests.Request(
            method.upper(),
            url,
            headers=dict(content["headers"] or {}),
            data=content["data"],
            json=content["json"],
            files=content["files"],
            auth=content["auth"],
        ).prepare()
    except (requests.RequestException, UnicodeError) as error:
        raise Refused(f"the request is malformed: {type(error).__name__}") from None
    given: Any = prepared.body
    if given is not None and not isinstance(given, str | bytes):
        given = given.read()  # a file: a request of ours is sent with its length, never chunked
    body: bytes | None = given.encode() if isinstance(given, str) else given
    pairs = {
        name: value.decode("latin-1") if isinstance(value, bytes) else value
        for name, value in prepared.headers.items()
        if name.lower() not in ("content-length", "transfer-encoding", "host", "accept-encoding", "connection")
    }
    if not any(name.lower() == "user-agent" for name in pairs):
        pairs["User-Agent"] = USER_AGENT
    return _Request(prepared.method or "GET", prepared.path_url, tuple(pairs.items()), body)


def _redirected(request: _Request, status: int, url: str, *, same_origin: bool) -> _Request:
    method, body = request.method, request.body
    if status == 303 or (status in (301, 302) and method == "POST"):
        method, body = ("HEAD" if method == "HEAD" else "GET"), None
    if body is not None and not same_origin:
        raise Refused("a redirect would carry the request's body to another host")
    kept = tuple(
        (name, value)
        for name, value in request.headers
        if (same_origin or name.lower() in HARMLESS) and (body is not None or name.lower() != "content-type")
    )
    return _Request(
        method, _prepare(method, url, headers={}, data=None, json=None, files=None, auth=None).path, kept, body
    )


def _exchange(
    target: Target,
    request: _Request,
    url: str,
    *,
    deadline: _Deadline,
    max_bytes: int,
    sending: Callable[[], None],
) -> Response:
    connection = http.client.HTTPConnection(target.host, target.port)
    sock: socket.socket | None = None
    try:
        sock = _connect(target, deadline)
        # http.client needs of a socket: sendall, makefile and close.
        connection.sock = _Timed(sock, deadline, most=max_bytes + HEAD_MAX)  # type: ignore[assignment]
        sending()
        connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", target.host_header)
        connection.putheader("Accept-Encoding", "gzip, deflate")
        connection.putheader("Connection", "close")
        for name, value in request.headers:
            connection.putheader(name, value)
        if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(request.body or b"")))
        connection.endheaders(request.body)
        answer = connection.getresponse()
        body = _read(answer, max_bytes)
        return Response(answer.status, Headers(answer.getheaders()), body, url)
    except (OSError, http.client.HTTPException, zlib.error) as error:
        raise _Broken(f"{type(error).__name__}: {error}"[:200]) from error
    except ValueError as error:  # http.client's word for a header or path that it does not write
        raise Refused(f"the request is malformed: {error}"[:200]) from None
    finally:
        connection.close()
        if sock is not None:
            sock.close()


def _connect(target: Target, deadline: _Deadline) -> socket.socket:
    """A connected socket to one of the checked addresses, with TLS for the name where the scheme asks for it."""
    failure: OSError | None = None
    for address in addresses_of(target.host, target.port, allowed=target.allowed, deadline=deadline):
        try:
            sock = _dial(address, target.port, timeout=deadline.left())
        except OSError as error:
            failure = error
            continue
        if target.scheme == "http":
            return sock
        try:
            sock.settimeout(deadline.left())
            return _tls().wrap_socket(sock, server_hostname=target.host)
        except BaseException:
            sock.close()
            raise
    raise failure or OSError("no address answered")


def _dial(address: str, port: int, *, timeout: float) -> socket.socket:
    return socket.create_connection((address, port), timeout=timeout)


def _resolve(host: str, port: int, *, deadline: _Deadline) -> list[str]:
    """All addresses of a host. The system's resolver knows no time-out, so it runs beside us."""
    answer: list[list[str] | OSError] = []

    def ask() -> None:
        try:
            answer.append(_lookup(host, port))
        except OSError as error:
            answer.append(error)
        except UnicodeError:
            answer.append(OSError("the host name is malformed"))

    thread = threading.Thread(target=ask, daemon=True, name="resolve")
    thread.start()
    try:
        thread.join(deadline.left())
    except TimeoutError as error:
        raise _Broken(str(error)) from error
    if not answer:
        raise _Broken("the host name could not be resolved in time")
    found = answer[0]
    if isinstance(found, OSError):
        raise _Broken("the host name could not be resolved") from found
    return found


def _lookup(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(sockaddr[0]) for _family, _type, _proto, _name, sockaddr in found]


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(requests.certs.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Timed:
    """A socket on which the whole exchange, not each read, has a time and a size."""

    def __init__(self, sock: socket.socket, deadline: _Deadline, *, most: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._most = most

    def sendall(self, content: bytes) -> None:
        self._sock.settimeout(self._deadline.left())
        self._sock.sendall(content)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline, self._most), buffer_size=16 * 1024)

    def close(self) -> None:
        """The caller closes the socket, when the answer is read."""


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: _Deadline, most: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.left())
        count = self._sock.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise OSError("the answer is too large")
        return count


def _read(answer: http.client.HTTPResponse, max_bytes: int) -> bytes:
    """The body, decompressed piece by piece so that a bomb never unfolds."""
    encoding = (answer.getheader("Content-Encoding") or "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise http.client.HTTPException(f"content encoding {encoding[:20]!r} was not asked for")
    # 32 + 15: zlib finds out by itself whether it is gzip or zlib.
    unzip = None if encoding in ("identity", "") else zlib.decompressobj(32 + zlib.MAX_WBITS)
    body = bytearray()
    while piece := answer.read1(16 * 1024):
        while piece:
            if unzip is None:
                body += piece
                piece = b""
            else:
                body += unzip.decompress(piece, max_bytes - len(body) + 1)
                piece = unzip.unconsumed_tail
            if len(body) > max_bytes:
                raise OSError("the answer is too large")
    if answer.length:  # fewer bytes came than were announced
        raise http.client.IncompleteRead(bytes(body), answer.length)
    if unzip is not None and not unzip.eof and body:
        raise http.client.HTTPException("the compressed body ended early")
    return bytes(body)


def _ascii(host: str) -> str:
    """The host in the form that goes on the wire. Raises Refused for what has none."""
    if ":" in host:
        try:
            return str(ip_address(host))
        except ValueError:
            raise Refused("the address is malformed") from None
    try:
        name = host.encode("idna").decode() if not host.isascii() else host.lower()
    except UnicodeError:
        raise Refused("the host name is malformed") from None
    if not re.fullmatch(r"[a-z0-9_.-]{1,253}\.?", name):
        raise Refused("the host name is malformed")
    return name


def _denied(ip: IPv4Address | IPv6Address) -> bool:
    return any(ip.version == network.version and ip in network for network in DENIED)
