"""A mailbox that others read too is read by UID, each mail once, on a real IMAP server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from channels_in import webhooks
from channels_in.email import idle, imap, servers
from channels_in.models import MailboxCursor, RawEvent
from tests.conftest import wait_until
from tests.fakes.imap import ImapServer
from tickets.models import Channel

pytestmark = pytest.mark.django_db(transaction=True)
Mailbox = Callable[..., Channel]


def mail(n: int, *, size: int = 0) -> bytes:
    return (
        f"From: c{n}@mail.example\r\nTo: help@haneul.example\r\nSubject: mail {n}\r\nMessage-ID: <{n}@mail.example>\r\n\r\n"
        f"words {n}\r\n" + "x" * size
    ).encode()


def subjects() -> list[str]:
    return [
        bytes(event.raw).decode().split("Subject: ")[1].split("\r\n")[0] for event in RawEvent.objects.order_by("id")
    ]


def poll(channel: Channel, *, now: datetime | None = None, **options: Any) -> int:
    return imap.fetch(channel, now=now or timezone.now(), **options)


def test_new_mail_is_kept_once_in_its_order(imap_server: ImapServer, make_mailbox: Mailbox) -> None:
    channel = make_mailbox(**imap_server.settings())
    imap_server.deliver(mail(1), mail(2))
    assert poll(channel) == 2
    assert poll(channel) == 0
    imap_server.deliver(mail(3))
    assert poll(channel) == 1
    assert subjects() == ["mail 1", "mail 2", "mail 3"]
    event = RawEvent.objects.order_by("id").first()
    cursor = MailboxCursor.objects.get()
    assert event is not None
    assert event.dedupe_key == f"INBOX:{cursor.uidvalidity}:{cursor.last_uid - 2}"
    assert (event.ordering_key, event.auth_result) == ("c1@mail.example", "imap")
    assert bytes(event.raw) == mail(1)


def test_seven_days_offline_lose_nothing(imap_server: ImapServer, make_mailbox: Mailbox) -> None:
    channel = make_mailbox(**imap_server.settings())
    now = timezone.now()
    imap_server.deliver(mail(0))
    poll(channel, now=now - timedelta(days=7))
    imap_server.deliver(*(mail(n) for n in range(1, 31)))
    assert poll(channel, now=now) == 30


def test_mail_that_somebody_else_has_read_comes_too(imap_server: ImapServer, make_mailbox: Mailbox) -> None:
    channel = make_mailbox(**imap_server.settings())
    imap_server.deliver(mail(1))
    with imap_server.client() as other:
        other.add_flags(other.search("ALL"), [b"\\Seen"])
    assert poll(channel) == 1


@pytest.mark.parametrize("mark", [True, False])
def test_seen_is_set_after_the_commit_and_only_when_asked_for(
    imap_server: ImapServer, make_mailbox: Mailbox, mark: bool
) -> None:
    channel = make_mailbox(**imap_server.settings(imap_mark_seen=mark))
    imap_server.deliver(mail(1))
    poll(channel)
    with imap_server.client() as other:
        assert len(other.search("SEEN")) == int(mark)


def test_a_folder_that_is_numbered_anew_is_read_again_by_date(imap_server: ImapServer, make_mailbox: Mailbox) -> None:
    channel = make_mailbox(**imap_server.settings(imap_folder="Support"))
    imap_server.deliver(mail(1), mail(2), folder="Support")
    assert poll(channel) == 2
    before = MailboxCursor.objects.get()
    imap_server.number_anew("Support")
    imap_server.deliver(mail(3), folder="Support")
    assert poll(channel) == 3  # kept anew: what is known already is recognised by its content when it is processed
    after = MailboxCursor.objects.get()
    assert after.uidvalidity != before.uidvalidity
    assert subjects()[-1] == "mail 3"


def test_a_mail_that_was_removed_meanwhile_is_passed_over(imap_server: ImapServer, make_mailbox: Mailbox) -> None:
    channel = make_mailbox(**imap_server.settings())
    imap_server.deliver(mail(1), mail(2), mail(3))
    with imap_server.client() as other:
        other.delete_messages([other.search("ALL")[1]])
        other.expunge()
    assert poll(channel) == 2
    assert poll(channel) == 0


def test_a_mailbox_of_many_years_does_not_become_tickets(imap_server: ImapServer, make_mailbox: Mailbox) -> None:
    channel = make_mailbox(**imap_server.settings())
    with imap_server.client() as other:
        other.append("INBOX", mail(1), msg_time=timezone.now() - timedelta(days=30))
    imap_server.deliver(mail(2))
    assert poll(channel) == 1
    assert subjects() == ["mail 2"]


@pytest.mark.parametrize("tells_next", [True, False])
def test_a_mailbox_without_recent_mail_begins_with_the_next_one(
    imap_server: ImapServer, make_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, tells_next: bool
) -> None:
    if not tells_next:
        select = imap.IMAPClient.select_folder
        monkeypatch.setattr(
            imap.IMAPClient,
            "select_folder",
            lambda *a, **k: {name: said for name, said in select(*a, **k).items() if name != b"UIDNEXT"},
        )
    channel = make_mailbox(**imap_server.settings())
    with imap_server.client() as other:
        other.append("INBOX", mail(1), msg_time=timezone.now() - timedelta(days=30))
    assert (poll(channel), poll(channel)) == (0, 0)
    imap_server.deliver(mail(2))
    assert poll(channel) == 1
    assert subjects() == ["mail 2"]


def test_a_first_reading_that_breaks_off_leaves_the_old_mail_alone(
    imap_server: ImapServer, make_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = make_mailbox(**imap_server.settings())
    with imap_server.client() as other:
        other.append("INBOX", mail(1), msg_time=timezone.now() - timedelta(days=30))
    imap_server.deliver(mail(2))
    assert poll(channel, seconds=-1) == 0
    assert poll(channel) == 1
    assert subjects() == ["mail 2"]


def test_two_fetchers_keep_each_mail_once(imap_server: ImapServer, make_mailbox: Mailbox) -> None:
    channel = make_mailbox(**imap_server.settings())
    imap_server.deliver(*(mail(n) for n in range(12)))
    results: list[Any] = []

    def fetcher() -> None:
        try:
            results.append(poll(Channel.objects.select_related("brand").get(pk=channel.pk)))
        except imap.Busy:
            results.append("busy")
        finally:
            connection.close()

    threads = [threading.Thread(target=fetcher) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(result for result in results if result != "busy") == 12
    assert sorted(subjects()) == sorted(f"mail {n}" for n in range(12))


def test_a_second_reader_finds_the_mailbox_busy(imap_server: ImapServer, make_mailbox: Mailbox) -> None:
    channel = make_mailbox(**imap_server.settings())
    found: list[str] = []

    def second() -> None:
        try:
            poll(Channel.objects.select_related("brand").get(pk=channel.pk))
        except imap.Busy:
            found.append("busy")
        finally:
            connection.close()

    with imap._only_reader(channel):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(20)
    assert found == ["busy"]


def test_a_death_between_commit_and_cursor_reads_the_mail_again_without_a_double(
    imap_server: ImapServer, make_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = make_mailbox(**imap_server.settings())
    imap_server.deliver(mail(1), mail(2))
    keep = webhooks.keep

    def keep_and_die(*args: Any, **named: Any) -> Any:
        keep(*args, **named)
        raise OSError("the process is gone")

    monkeypatch.setattr(webhooks, "keep", keep_and_die)
    with pytest.raises(OSError):
        poll(channel)
    monkeypatch.setattr(webhooks, "keep", keep)
    assert RawEvent.objects.count() == 1
    assert poll(channel) == 1
    assert subjects() == ["mail 1", "mail 2"]


def test_a_mail_that_is_too_large_becomes_a_notice(imap_server: ImapServer, make_mailbox: Mailbox) -> None:
    channel = make_mailbox(**imap_server.settings(max_bytes=1000))
    imap_server.deliver(mail(1, size=5000), mail(2))
    assert poll(channel) == 2
    first = RawEvent.objects.order_by("id").first()
    assert first is not None
    assert b"Subject: mail 1" in bytes(first.raw) and b"more than this mailbox takes" in bytes(first.raw)
    assert len(bytes(first.raw)) < 1000


def test_a_fetch_stops_in_time_and_goes_on_later(imap_server: ImapServer, make_mailbox: Mailbox) -> None:
    channel = make_mailbox(**imap_server.settings())
    imap_server.deliver(*(mail(n) for n in range(5)))
    assert poll(channel, seconds=0) < 5
    while poll(channel, seconds=0.05):
        pass
    poll(channel)
    assert len(subjects()) == 5


def test_troubles_stand_on_the_cursor_and_end(imap_server: ImapServer, make_mailbox: Mailbox) -> None:
    channel = make_mailbox(**imap_server.settings())
    channel.secrets = {"imap_password": "a wrong one"}
    now = timezone.now()
    with pytest.raises(imap.FAILURES):
        poll(channel, now=now)
    cursor = MailboxCursor.objects.get()
    assert (cursor.failing_since, cursor.last_error) == (now, "sign-in refused")
    imap.fetch_one(channel.pk, now=now)  # with the right password of the row
    cursor.refresh_from_db()
    assert (cursor.failing_since, cursor.last_error) == (None, "")


def test_plain_text_to_another_machine_is_refused(make_mailbox: Mailbox) -> None:
    channel = make_mailbox(imap_host="mail.example", imap_port=143, imap_security="none")
    with pytest.raises(servers.NotAllowed):
        poll(channel)


def test_the_listener_wakes_the_fetch_when_mail_comes_and_ends_when_told(
    imap_server: ImapServer, make_mailbox: Mailbox
) -> None:
    channel = make_mailbox(**imap_server.settings())
    woken: list[int] = []
    idler = idle.Idler(woken.append)
    thread = threading.Thread(target=lambda: (idler.run(), connection.close()))
    thread.start()
    try:
        wait_until(lambda: len(woken) == 1, what="the first look")
        imap_server.deliver(mail(1))
        wait_until(lambda: len(woken) >= 2, what="the wake-up")
    finally:
        idler.stop()
        thread.join(20)
    assert not thread.is_alive()
    assert set(woken) == {channel.pk}
