"""Files: durable under their hash, typed by their bytes, served inert to those who may see them."""

import io
import os
import stat
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from tests.plain import come_in, message
from tickets import files, fragments
from tickets.models import Attachment, Message

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20

TYPES = [
    (PNG, "image/png"),
    (b"\xff\xd8\xff\xe0", "image/jpeg"),
    (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
    (b"\0\0\0\x18ftypmp42", "video/mp4"),
    (b"%PDF-1.7", "application/pdf"),
    (b"PK\x03\x04......word/document.xml", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"PK\x03\x04......x", "application/zip"),
    ("안녕하세요".encode(), "text/plain"),
    ("가".encode() * 1365 + "가".encode()[:1], "text/plain"),  # cut in the middle of a character
    (b"<!DOCTYPE html><p>", "text/html"),
    (b"\xef\xbb\xbf <svg onload=alert(1)>", "image/svg+xml"),
    (b"<?xml version='1.0'?><svg xmlns=''>", "image/svg+xml"),
    (b"\0\1\2", "application/octet-stream"),
    (b"\x80\x81\x82\x83\x84\x85", "application/octet-stream"),
    (b"", "text/plain"),
]


@pytest.mark.parametrize(("head", "expected"), TYPES, ids=[kind for _, kind in TYPES])
def test_the_type_comes_from_the_bytes(head, expected):
    assert files.sniff(head) == expected


NAMES = [
    ("../../etc/passwd", "passwd"),
    ("..\\..\\boot.ini", "boot.ini"),
    ("/absolute", "absolute"),
    (".htaccess", "htaccess"),
    ("a\0b\r\nc.txt", "abc.txt"),
    ("harmless\u202egpj.exe", "harmlessgpj.exe"),
    ('q"uo<te>.txt', "q_uo_te_.txt"),
    ("한글 문서.pdf", "한글 문서.pdf"),
    ("", ""),
    ("...", ""),
]


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_filename_corpus(name, expected):
    assert files.clean_name(name) == expected


def test_a_long_name_keeps_its_suffix():
    assert files.clean_name("n" * 400 + ".pdf").endswith(".pdf")
    assert len(files.clean_name("n" * 400 + ".pdf")) <= 150
    assert len(files.clean_name("n" * 400)) <= 150


def test_file_modes(media_folder):
    """Stored once, whatever the umask, unreadable to other users of the machine."""
    before = os.umask(0)
    try:
        stored = files.store(io.BytesIO(b"x" * 600_000))
    finally:
        os.umask(before)
    path = files.path_of(stored.sha256)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    assert stored.size == 600_000
    assert files.store(b"x" * 600_000) == stored
    assert list((media_folder / "incoming").iterdir()) == []


def test_a_failed_write_leaves_nothing(media_folder):
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        files.store(Broken())
    assert list((media_folder / "incoming").iterdir()) == []


def test_no_text_of_others_becomes_a_path():
    for text in ("../x", "a" * 63, "A" * 64, "/etc/passwd", "g" * 64):
        with pytest.raises(ValueError, match="not a SHA-256"):
            files.path_of(text)


def test_a_full_disk_is_said_before_anything_is_written(media_folder, monkeypatch):
    monkeypatch.setattr(files, "_room_seen", float("-inf"))
    monkeypatch.setattr(files, "LEAST_FREE", 1 << 60)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: files.shutil._ntuple_diskusage(1 << 40, 1 << 40, 1000))
    with pytest.raises(files.NoRoom):
        files.store(b"x")
    monkeypatch.undo()
    files._room_seen = float("-inf")


@pytest.fixture
def attachment(line, media_folder):
    come_in(line, message("m1", files=[{"name": "page.html", "content": "<!doctype html><script>alert(1)</script>"}]))
    return Attachment.objects.get()


def status(client, url):
    """The status of the answer, its file closed."""
    answer = client.get(url)
    b"".join(answer)
    return answer.status_code


def login(client, agent):
    client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")


def test_attachment_links(client, cast, attachment):
    """Rights are asked for at each download; a token of somebody else's ticket, or a guess, answers 404."""
    own = files.file_path(attachment)
    assert status(client, own) == 404  # not signed in
    ticket = Message.objects.get().ticket
    ticket.team = cast.support
    ticket.save()
    login(client, cast.agent)
    assert status(client, own) == 200
    ticket.team = cast.billing
    ticket.save()
    assert status(client, own) == 404  # the right was lost: the address died
    login(client, cast.manager)
    assert status(client, own) == 200
    for guess in ("x" * 43, attachment.token[:-1], str(attachment.pk), attachment.sha256):
        assert status(client, f"/files/{guess}/page.html") == 404


def test_a_bubble_holds_no_address_that_opens_by_itself(client, cast, attachment):
    """Whoever copies it out of a thread can give it to nobody, and what is cached is asked for again."""
    message = Message.objects.for_bubbles().get()
    shown = fragments.bubble(message)
    assert files.file_path(attachment) in shown and "signature=" not in shown
    login(client, cast.manager)
    answer = client.get(files.file_path(attachment))
    assert b"".join(answer) and "no-cache" in answer["Cache-Control"]
    again = {"HTTP_IF_NONE_MATCH": answer["ETag"]}
    assert client.get(files.file_path(attachment), **again).status_code == 304
    message.ticket.team = cast.billing
    message.ticket.save()
    login(client, cast.agent)
    assert client.get(files.file_path(attachment), **again).status_code == 404


def test_a_stored_page_is_an_inert_file(client, cast, attachment):
    login(client, cast.manager)
    answer = client.get(files.file_path(attachment))
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="page.html"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert b"".join(answer.streaming_content) == b"<!doctype html><script>alert(1)</script>"


def test_a_picture_may_be_shown(client, cast, line, media_folder):
    stored = files.store(PNG)
    picture = Attachment.objects.create(
        uploaded_by=cast.agent,
        name="사진.png",
        sha256=stored.sha256,
        size=stored.size,
        content_type=stored.content_type,
    )
    login(client, cast.agent)
    answer = client.get(files.file_path(picture))
    assert answer["Content-Type"] == "image/png"
    assert answer["Content-Disposition"].startswith("inline")
    assert b"".join(answer) == PNG
    login(client, cast.teammate)
    assert status(client, files.file_path(picture)) == 404  # an upload that its author has not sent


def test_a_signed_address_opens_one_file_for_a_while(client, attachment, settings):
    with time_machine.travel(datetime(2026, 3, 2, 9, 0, 30, tzinfo=UTC), tick=False) as moment:
        url = files.signed_url(attachment, seconds=60).removeprefix(settings.SITE_URL)
        assert status(client, url) == 200
        moment.shift(timedelta(seconds=20))
        assert (
            files.signed_url(attachment, seconds=60).removeprefix(settings.SITE_URL) == url
        )  # one address for a while
        moment.shift(timedelta(seconds=39))
        assert status(client, url) == 200
        moment.shift(timedelta(seconds=61))
        assert status(client, url) == 404
        assert status(client, url.replace("until=", "until=9")) == 404
        assert status(client, url[:-1] + ("A" if url[-1] != "A" else "B")) == 404


def test_a_host_of_their_own_serves_files_and_no_page(client, cast, attachment, settings):
    settings.FILES_HOST, settings.FILES_BASE_URL = "files.example.com", "https://files.example.com/files"
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "files.example.com"]
    login(client, cast.admin)
    moved = client.get(files.file_path(attachment))
    assert moved.status_code == 302 and moved["Location"].startswith("https://files.example.com/files/")
    there = Client(HTTP_HOST="files.example.com")
    assert status(there, moved["Location"].removeprefix("https://files.example.com")) == 200
    for page in ("/accounts/login/", "/", "/api/docs/", "/healthz/"):
        assert there.get(page).status_code == 404, page
    assert Client().get("/accounts/login/").status_code == 200
