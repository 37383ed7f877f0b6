"""Mail servers, a parser, a mailbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.imap import PASSWORD, ImapServer
from tests.fakes.smtp import SmtpServer
from tickets.contract import ChannelFacts


@pytest.fixture
def parser_process(parser: Any) -> None:
    """The real parser, as in production: a process of its own that forks limited children."""


@pytest.fixture
def imap_server(settings: Any) -> Iterator[ImapServer]:
    server = ImapServer().start()
    settings.SAFE_FETCH_ALLOW = [*settings.SAFE_FETCH_ALLOW, f"127.0.0.1:{server.port}"]
    yield server
    server.stop()


@pytest.fixture
def smtp_server(settings: Any) -> Iterator[SmtpServer]:
    server = SmtpServer()
    settings.SAFE_FETCH_ALLOW = [*settings.SAFE_FETCH_ALLOW, f"127.0.0.1:{server.port}"]
    yield server
    server.stop()


@pytest.fixture
def make_mailbox(db: None) -> Callable[..., Any]:
    """`make_mailbox(imap_host=...)`: a mailbox help@haneul.example; keyword arguments are its settings."""
    from tickets.models import Brand, Channel

    def make(slug: str = "help", address: str = "help@haneul.example", **chosen: Any) -> Channel:
        brand, _ = Brand.objects.get_or_create(key="haneul", defaults={"name": "Haneul", "domain": "haneul.example"})
        return Channel.objects.create(
            kind="email",
            slug=slug,
            name="Help",
            brand=brand,
            account_id=address,
            address=address,
            settings={"authserv_id": "mx.haneul.example", **chosen},
            secrets={"imap_password": PASSWORD},
        )

    return make


@pytest.fixture
def mailbox_facts() -> Callable[..., ChannelFacts]:
    def make(**chosen: Any) -> ChannelFacts:
        secrets = chosen.pop("secrets", {})
        return ChannelFacts(
            id=1,
            kind="email",
            slug="help",
            name="Help",
            account_id="help@haneul.example",
            address="help@haneul.example",
            brand_key="haneul",
            brand_name="Haneul",
            settings={"authserv_id": "mx.haneul.example", **chosen},
            secrets=secrets,
            hook_url="https://help.example.com/hooks/help/",
        )

    return make


def mail_of(name: str) -> bytes:
    """One of our own sample mails."""
    return (Path(__file__).parent / "mails" / name).read_bytes()
