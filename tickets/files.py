"""Files under their hash. A name is data, a type comes from the bytes (reliability.md 10, 12.5 V45)."""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from time import monotonic
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.utils import timezone

from agents.models import Agent
from tickets.models import Attachment

CHUNK = 256 * 1024  # bytes
SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})  # what a browser may show in the page
LEAST_FREE = 1024**3  # bytes, or 5 % of a small disk
_SIGNER = Signer(salt="tickets.files")


class Stored(NamedTuple):
    sha256: str
    size: int
    content_type: str


class NoRoom(OSError):
    """The disk is nearly full. Nothing was written; trying again later helps."""


def copies(attachments: Iterable[Attachment], *, agent: Agent) -> list[Attachment]:
    """Unsent files of this agent's own, of the same bytes. What was never fetched cannot be copied."""
    return [
        Attachment.objects.create(
            uploaded_by=agent,
            kind=one.kind,
            name=one.name,
            content_type=one.content_type,
            size=one.size,
            sha256=one.sha256,
        )
        for one in attachments
        if one.sha256
    ]


def store(content: bytes | BinaryIO) -> Stored:
    """Keep the bytes for good: temporary file, fsync, rename to the hash's path, fsync of the folder.

    Idempotent. Call it before the transaction that refers to it; a file that no row refers to is swept.
    Raises NoRoom when the disk is nearly full.
    """
    if not has_room():
        raise NoRoom("less than 1 GiB (or 5 % of the disk) is free")
    root = Path(settings.MEDIA_ROOT)
    incoming = root / "incoming"
    incoming.mkdir(mode=0o750, parents=True, exist_ok=True)
    digest, size, head = hashlib.sha256(), 0, b""
    descriptor, temporary = tempfile.mkstemp(dir=incoming)
    try:
        with os.fdopen(descriptor, "wb") as out:
            for chunk in _chunks(content):
                head = head or chunk[:4096]
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
            out.flush()
            os.fchmod(out.fileno(), 0o640)
            os.fsync(out.fileno())
        target = path_of(digest.hexdigest())
        target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    for folder in (target.parent, target.parent.parent, root):
        _fsync_folder(folder)
    return Stored(digest.hexdigest(), size, sniff(head))


def open_stored(sha256: str) -> BinaryIO:
    """Raises FileNotFoundError when the store has no such bytes."""
    return path_of(sha256).open("rb")


def path_of(sha256: str) -> Path:
    """Raises ValueError for anything but a SHA-256 in hex, so that no text of others becomes a path."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError("not a SHA-256")
    return Path(settings.MEDIA_ROOT) / sha256[:2] / sha256[2:4] / sha256


def clean_name(name: str) -> str:
    """A name that is safe to show and to offer for saving: no folders, controls, direction marks or leading dots."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
    name = re.sub(r'[<>:"|?*]', "_", name).strip().lstrip(".").strip()
    if len(name) > 150:
        stem, dot, suffix = name.rpartition(".")
        name = f"{stem[: 149 - len(suffix)]}.{suffix}" if dot and len(suffix) <= 10 else name[:150]
    return name


def file_path(attachment: Attachment) -> str:
    """The address on our own site; every download asks for the rights of the person who is signed in."""
    return f"/files/{attachment.token}/{quote(attachment.name or 'file', safe='')}"


def signed_url(attachment: Attachment, *, seconds: int) -> str:
    """An address on the files host that opens this file to whoever has it, for `seconds` to twice that.

    The end is rounded up, so that the same file keeps one address for a while (caches, providers that compare).
    """
    until = (math.floor(timezone.now().timestamp() / seconds) + 2) * seconds
    signature = _SIGNER.signature(f"{attachment.token}:{until}")
    name = quote(attachment.name or "file", safe="")
    return f"{settings.FILES_BASE_URL}/{attachment.token}/{name}?until={until}&signature={signature}"


def is_signed(token: str, *, until: str, signature: str) -> bool:
    """Whether `signed_url` made this address and it is still valid."""
    try:
        _SIGNER.unsign(f"{token}:{until}{_SIGNER.sep}{signature}")
        return int(until) > timezone.now().timestamp()
    except (BadSignature, ValueError):
        return False


def sniff(head: bytes) -> str:
    """The type by the first bytes (up to 4 KiB). What a provider or a sender says about it counts for nothing."""
    for magic, content_type in _MAGIC:
        if head.startswith(magic):
            return content_type
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(head[8:12], _BINARY)
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return "audio/mp4" if brand in (b"M4A ", b"M4B ") else "image/heic" if brand in _HEIC else "video/mp4"
    if head.startswith(b"PK\x03\x04"):
        return next((kind for mark, kind in _OFFICE if mark in head), "application/zip")
    if head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        return "audio/mpeg"
    return _text(head)


def has_room() -> bool:
    """Whether files may be written: looked at again every 5 seconds."""
    global _room, _room_seen
    if monotonic() - _room_seen > 5:
        root = Path(settings.MEDIA_ROOT)
        root.mkdir(mode=0o750, parents=True, exist_ok=True)
        disk = shutil.disk_usage(root)
        _room, _room_seen = disk.free >= min(LEAST_FREE, disk.total // 20), monotonic()
    return _room


_room, _room_seen = True, float("-inf")
_BINARY = "application/octet-stream"
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BEGIN:VCARD", "text/vcard"),
)
_HEIC = (b"heic", b"heix", b"mif1")
_OFFICE = (
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
)


def _text(head: bytes) -> str:
    if b"\0" in head:
        return _BINARY
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not merely cut in the middle of a character
            return _BINARY
        text = head[: error.start].decode()
    start = text.lstrip("\ufeff \t\r\n")[:200].lower()
    if "<svg" in start:
        return "image/svg+xml"
    if start.startswith(("<!doctype html", "<html", "<head", "<body", "<script")):
        return "text/html"
    return "text/xml" if start.startswith("<?xml") else "text/plain"


def _chunks(content: bytes | BinaryIO):  # type: ignore[no-untyped-def]
    if isinstance(content, bytes | bytearray | memoryview):
        yield bytes(content)
        return
    while chunk := content.read(CHUNK):
        yield chunk


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
