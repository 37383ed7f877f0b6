"""The mail pipe: what an MTA may rely on."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from channels_in.models import RawEvent
from tests.channels_in.email.conftest import mail_of
from tickets.models import Channel

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def pipe(process_env: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    def run(raw: bytes, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        argv = [sys.executable, "manage.py", "receive_mail", *arguments]
        return subprocess.run(argv, cwd=ROOT, env={**process_env, **env}, input=raw, capture_output=True, timeout=60)

    return run


Pipe = Callable[..., subprocess.CompletedProcess[bytes]]


def test_exit_0_means_kept_and_the_same_mail_again_changes_nothing(
    pipe: Pipe, make_mailbox: Callable[..., Channel]
) -> None:
    make_mailbox()
    raw = mail_of("gmail-reply-ko.eml")
    for mail in (raw, b"From minji@mail.example Fri Nov 20 15:40:02 2026\n" + raw):
        done = pipe(mail, "--channel", "help", RECIPIENT="help+token@haneul.example")
        assert done.returncode == 0, done.stderr
    event = RawEvent.objects.get()
    assert bytes(event.raw) == raw
    assert event.dedupe_key == hashlib.sha256(raw).hexdigest()
    assert event.headers["recipient"] == "help+token@haneul.example"


def test_exit_75_when_the_database_is_away(pipe: Pipe, make_mailbox: Callable[..., Channel], tmp_path: Path) -> None:
    make_mailbox()
    nowhere = f"postgres://nobody@{str(tmp_path).replace('/', '%2F')}/nothing"
    done = pipe(mail_of("bounce.eml"), "--channel", "help", DATABASE_URL=nowhere)
    assert done.returncode == 75
    assert b"Traceback" not in done.stderr
    assert not RawEvent.objects.exists()


@pytest.mark.parametrize("arguments", [[], ["--channel", "nobody"], ["--unknown"]])
def test_exit_64_on_wrong_usage(pipe: Pipe, make_mailbox: Callable[..., Channel], arguments: list[str]) -> None:
    make_mailbox()
    assert pipe(mail_of("bounce.eml"), *arguments).returncode == 64


def test_exit_64_without_a_mail(pipe: Pipe, make_mailbox: Callable[..., Channel]) -> None:
    make_mailbox()
    assert pipe(b"\n", "--channel", "help").returncode == 64
