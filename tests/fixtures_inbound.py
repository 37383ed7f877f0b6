"""Fixtures of everything that comes in: the cast, channels without a provider, and a real parser process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import cast as people
from tests import plain


@pytest.fixture
def cast(db: None) -> people.Cast:
    return people.assemble()


@pytest.fixture
def plain_kinds(settings: Any) -> None:
    settings.CHANNEL_ADAPTERS = {**settings.CHANNEL_ADAPTERS, **plain.ADAPTERS}


@pytest.fixture
def line(plain_kinds: None, cast: people.Cast) -> Any:
    """A messenger channel without a provider."""
    return people.make_channel("plain", brand=cast.brand)


@pytest.fixture
def mailbox(plain_kinds: None, cast: people.Cast) -> Any:
    """A mail channel without a provider; mails are joined by reference or token, not by the customer alone."""
    return people.make_channel("plain_mail", brand=cast.brand, settings={"conversation_hours": 0})


@pytest.fixture
def media_folder(settings: Any, tmp_path: Path) -> Path:
    """A file store of the test's own."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


@pytest.fixture(scope="session")
def parser() -> Iterator[subprocess.Popen[bytes]]:
    """The real parser process, at the socket of the settings."""
    from django.conf import settings

    process = start_parser(str(settings.PARSER_SOCKET))
    yield process
    process.terminate()
    process.wait(10)
    assert process.stdout
    process.stdout.close()


def start_parser(path: str, *, program: list[str] | None = None) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, *(program or ["-m", "channels_in.parser_server"]), path],
        cwd=Path(__file__).resolve().parent.parent,
        env={"PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert process.stdout
    assert process.stdout.readline() == b"parser ready\n"
    return process
