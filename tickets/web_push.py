"""Web Push: one message to one browser, by the service that its maker runs (RFC 8030).

The content is sealed for the browser (RFC 8291): the service reads only sizes and times. We sign with our own key
(RFC 8292), without which the service takes nothing for a subscription that was made for it.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

import http_ece
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from tickets.http import FetchError, Refused, safe_fetch
from tickets.models import PushKey

TIMEOUT = 10  # seconds
LARGEST = 4096  # bytes of a body that every service must take
SIGNED_FOR = timedelta(hours=12)  # a day is the most that a service accepts
_CURVE = ec.SECP256R1()
_BLOCK = 512  # bytes; a content is filled up to a multiple of it, so that its length says little


class Address(NamedTuple):
    """Where a browser is reached, and for whom it opens what comes. Keys in base64url, as browsers give them."""

    endpoint: str
    p256dh: str
    auth: str


class Verdict(NamedTuple):
    """What became of a message. `state`: sent | gone (never again) | refused (not this one) | later.

    `elsewhere`: it is the service that is in trouble, and not this browser. `pause`: seconds that it asks for.
    """

    state: str
    detail: str = ""
    elsewhere: bool = False
    pause: float = 0


def send(address: Address, content: bytes, *, topic: str, ttl: int, now: datetime) -> Verdict:
    """Hand a message to the browser's push service. `ttl`: seconds that it may wait there. Not inside a transaction.

    Of messages with one `topic` (at most 32 characters of base64url) that still wait, only the newest is kept.
    """
    parts = urlsplit(address.endpoint)
    headers = {
        "Authorization": authorization(f"{parts.scheme}://{parts.netloc}", key=private_key(), now=now),
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(ttl),
        "Topic": topic,
        "Urgency": "high",  # a telephone that sleeps is woken: somebody waits for an answer
    }
    body = sealed(content.ljust(-(-len(content) // _BLOCK) * _BLOCK), address)
    if len(body) > LARGEST:
        return Verdict("refused", f"{len(body)} bytes")
    try:
        answer = safe_fetch("POST", address.endpoint, headers=headers, data=body, timeout=TIMEOUT, max_bytes=16 * 1024)
    except Refused as refusal:
        return Verdict("refused", str(refusal))
    except FetchError as failure:
        return Verdict("later", str(failure), elsewhere=True)
    if answer.ok:
        return Verdict("sent")
    detail = f"HTTP {answer.status}"
    if answer.status in (404, 410):
        return Verdict("gone", detail)
    if answer.status == 429 or answer.status >= 500:
        pause = answer.headers.get("retry-after", "")
        return Verdict("later", detail, elsewhere=answer.status >= 500, pause=float(pause) if pause.isdecimal() else 0)
    return Verdict("refused", detail)


def sealed(
    content: bytes, address: Address, *, salt: bytes | None = None, ephemeral: ec.EllipticCurvePrivateKey | None = None
) -> bytes:
    """The content for this browser's eyes, one record of aes128gcm. `salt` and `ephemeral` are new each time, but for
    the example of RFC 8291."""
    return http_ece.encrypt(
        content,
        salt=salt,
        private_key=ephemeral or ec.generate_private_key(_CURVE),
        dh=unpacked(address.p256dh),
        auth_secret=unpacked(address.auth),
        version="aes128gcm",
    )


def authorization(origin: str, *, key: ec.EllipticCurvePrivateKey, now: datetime) -> str:
    """The header that says who we are, to one service only and not for long."""
    claims = {"aud": origin, "exp": int((now + SIGNED_FOR).timestamp()), "sub": contact()}
    return f"vapid t={jwt.encode(claims, key, algorithm='ES256')}, k={packed(_point(key))}"


def contact() -> str:
    """Whom a service asks when we do wrong: our address, or our mail where the address is nobody else's."""
    if settings.SITE_URL.startswith("https://"):
        return settings.SITE_URL
    return f"mailto:{settings.DEFAULT_FROM_EMAIL.rpartition('<')[2].rstrip('>')}"


def check(address: Address) -> None:
    """Raises ValueError for keys that no browser has made."""
    point, auth = unpacked(address.p256dh), unpacked(address.auth)
    ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
    if len(point) != 65 or len(auth) != 16:
        raise ValueError("a key has the wrong length")


def public_key() -> str:
    """What browsers subscribe for (`applicationServerKey`), in base64url."""
    return packed(_point(private_key()))


def private_key() -> ec.EllipticCurvePrivateKey:
    """VAPID_PRIVATE_KEY; without one, a key of our own, made once and kept encrypted in the database."""
    return ec.derive_private_key(int.from_bytes(unpacked(settings.VAPID_PRIVATE_KEY or _kept())), _CURVE)


def packed(content: bytes) -> str:
    """In base64url, without the padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def unpacked(text: str) -> bytes:
    """The inverse of `packed`, with or without padding. Raises ValueError for anything else."""
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _kept() -> str:
    key = PushKey.objects.filter(pk=1).first()
    if key is None:
        number = ec.generate_private_key(_CURVE).private_numbers().private_value
        key, _made = PushKey.objects.get_or_create(pk=1, defaults={"secrets": {"private": packed(number.to_bytes(32))}})
    return key.secrets["private"]  # type: ignore[call-overload, no-any-return, index]  # the field decrypts to a dictionary


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
