"""A push service as browsers' makers run them (RFC 8030), on this machine, and the browsers that subscribe to it.

It refuses what a real one refuses: a request that is not signed by the key of the subscription, too long a body, no
TTL. Of what it takes it keeps the newest of each topic, as a phone that is away would get it. `answers`: the next
requests get these statuses instead, with headers.
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import http_ece
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tickets.web_push import Address, packed, unpacked

CURVE = ec.SECP256R1()


class PushService(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.browsers: dict[str, Browser] = {}
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.asked = 0
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def host(self) -> str:
        return "{}:{}".format(*self.server_address[:2])

    def browser(self, server_key: str) -> Browser:
        """One that subscribes for messages signed by this key and no other."""
        made = Browser(self.host, server_key)
        self.browsers[made.name] = made
        return made

    def close(self) -> None:
        self.shutdown()
        self.server_close()


@dataclass
class Browser:
    host: str
    server_key: str
    name: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(CURVE))
    auth: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    taken: list[dict[str, Any]] = field(default_factory=list)  # every message, with its headers
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict)  # topic -> the newest

    @property
    def address(self) -> Address:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return Address(f"http://{self.host}/push/{self.name}", packed(point), packed(self.auth))

    def take(self, headers: dict[str, str], body: bytes) -> None:
        said = json.loads(http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"))
        self.taken.append({**said, "headers": headers})
        self.waiting[headers["topic"]] = said


class _Handler(BaseHTTPRequestHandler):
    server: PushService

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked += 1
        if self.server.answers:
            status, more = self.server.answers.pop(0)
        else:
            status, more = self._judged(headers, body), {}
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _judged(self, headers: dict[str, str], body: bytes) -> int:
        browser = self.server.browsers.get(self.path.rpartition("/")[2])
        if browser is None:
            return 410
        if not headers["ttl"].isdigit() or headers["content-encoding"] != "aes128gcm":
            return 400
        if len(body) > 4096:
            return 413
        if not self._is_signed(headers["authorization"], browser):
            return 403
        browser.take(headers, body)
        return 201

    def _is_signed(self, authorization: str, browser: Browser) -> bool:
        scheme, _space, rest = authorization.partition(" ")
        told = dict(part.strip().split("=", 1) for part in rest.split(","))
        if scheme != "vapid" or told["k"] != browser.server_key:
            return False
        key = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, unpacked(told["k"]))
        try:
            options = {"require": ["exp", "sub", "aud"]}
            claims = jwt.decode(told["t"], key, ["ES256"], audience=f"http://{browser.host}", options=options)
        except jwt.InvalidTokenError:
            return False
        return claims["sub"].startswith(("mailto:", "https://"))

    def log_message(self, *args: Any) -> None:
        pass
