"""Where a mailbox's servers are, and the terms on which we talk to them.

TLS with a verified certificate, always. Plain text is possible to this machine only, at a host:port that
SAFE_FETCH_ALLOW names letter by letter: the mail servers of the tests.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Literal

from django.conf import settings

from tickets.contract import ChannelFacts
from tickets.http import FetchError, Refused, public_addresses

SECURITY = ("tls", "starttls", "none")
_PORTS = {("imap", "tls"): 993, ("imap", "starttls"): 143, ("imap", "none"): 143}
_PORTS |= {("smtp", "tls"): 465, ("smtp", "starttls"): 587, ("smtp", "none"): 25}


class NotAllowed(Exception):
    """These terms are refused. The text says which and what to do; trying again does not help."""


@dataclass(frozen=True)
class Server:
    """`security`: tls from the first byte, starttls, or none (this machine only). `password` is never logged."""

    host: str
    port: int
    security: str
    user: str
    password: str
    ours: bool = False  # the simulated provider's, on this machine; nobody can name it in a form

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port}, {self.security})"


def server_of(facts: ChannelFacts, protocol: Literal["imap", "smtp"]) -> Server | None:
    """The mailbox's server, or None when it has none. Raises `NotAllowed`."""
    return server_from(facts.settings, facts.secrets, protocol)


def server_from(
    chosen: Mapping[str, Any], secrets: Mapping[str, str], protocol: Literal["imap", "smtp"]
) -> Server | None:
    """The same from the plain settings and secrets of a channel or a form."""
    host = str(chosen.get(f"{protocol}_host", "")).strip().lower()
    if not host:
        return None
    security = str(chosen.get(f"{protocol}_security", "") or "tls")
    if security not in SECURITY:
        raise NotAllowed(f"The security of {host} must be one of {', '.join(SECURITY)}.")
    server = Server(
        host=host,
        port=int(chosen.get(f"{protocol}_port") or _PORTS[protocol, security]),
        security=security,
        user=str(chosen.get(f"{protocol}_user", "")),
        password=str(secrets.get(f"{protocol}_password", "")),
    )
    if security == "none" and not _is_our_own(server):
        raise NotAllowed(
            f"{host} must be reached with TLS: without it anybody on the way reads the mail and its password."
        )
    return server


def _is_our_own(server: Server) -> bool:
    try:
        local = server.host == "localhost" or ip_address(server.host).is_loopback
    except ValueError:
        local = False
    return local and f"{server.host}:{server.port}" in settings.SAFE_FETCH_ALLOW


def open_socket(server: Server, *, timeout: float | None) -> socket.socket:
    """Connect to an address that was checked, and to no other: an administrator cannot name what is inside (V20, V21).

    Raises OSError for a host that is refused, unknown or away.
    """
    try:
        addresses = ["127.0.0.1"] if server.ours else public_addresses(server.host, server.port)
    except (Refused, FetchError) as error:
        raise OSError(f"{server.host} cannot be used: {error}") from None
    for address in addresses[:-1]:
        try:
            return socket.create_connection((address, server.port), timeout)
        except OSError:
            continue
    return socket.create_connection((addresses[-1], server.port), timeout)


@lru_cache(maxsize=1)
def tls() -> ssl.SSLContext:
    """Certificates and host names are verified; there is no switch to turn that off."""
    return ssl.create_default_context()
