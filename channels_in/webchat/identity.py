"""Signed identity: a JWT that the site's own server makes for the user who is signed in there (channels.md 15.3).

The algorithm belongs to the key, never to the token. A brand has at most two live keys, so that one can be
replaced without a gap; they lie with its web chat channels as secrets `identity:<kid>` = `<alg>:<key>`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.utils.translation import gettext as _

from tickets.contract import Identifier
from tickets.models import Channel

ALGORITHMS = ("HS256", "EdDSA")
LONGEST = timedelta(hours=1)  # between iat and exp
SKEW = timedelta(seconds=60)
LIVE_KEYS = 2
_PREFIX = "identity:"


class IdentityRefused(Exception):
    """The token proves nothing. The reason is for the log; the browser gets one fixed code."""


class Key(NamedTuple):
    kid: str
    alg: str
    key: str


@dataclass(frozen=True)
class Signed:
    """Who the site says it is, until when, and by which key."""

    subject: str
    until: datetime
    kid: str
    name: str = ""
    locale: str = ""
    email: str = ""
    email_verified: bool = False
    phone: str = ""
    phone_verified: bool = False

    def identifiers(self, brand_key: str) -> tuple[Identifier, ...]:
        """The user id is verified by the signature; address and number only when the token says so."""
        found = [Identifier("webchat", brand_key, self.subject, True, "signed_widget")]
        for kind, value, verified in (
            ("email", self.email, self.email_verified),
            ("phone", self.phone, self.phone_verified),
        ):
            if value:
                found.append(Identifier(kind, "", value, verified, "signed_widget" if verified else "claimed_by_site"))
        return tuple(found)


def read(token: str, *, keys: Mapping[str, Key], brand_key: str, now: datetime) -> Signed:
    """Raises IdentityRefused for anything but a token of one of these keys, for this brand, valid now."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise IdentityRefused("unknown key")
        claims = jwt.decode(
            token,
            key.key,
            algorithms=[key.alg],
            audience=brand_key,
            # The times are checked below against the `now` that was passed in.
            options={
                "require": ["sub", "aud", "iat", "exp"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise IdentityRefused(type(error).__name__) from error
    until = _check_times(claims, now=now)
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= 200 or claims["aud"] != brand_key:
        raise IdentityRefused("claims")
    return Signed(
        subject=subject,
        until=until,
        kid=key.kid,
        name=_text(claims, "name", 200),
        locale=_text(claims, "locale", 5),
        email=_email(claims),
        email_verified=claims.get("email_verified") is True,
        phone=_phone(claims),
        phone_verified=claims.get("phone_number_verified") is True,
    )


def keys_of(brand_id: int) -> dict[str, Key]:
    """The live keys of a brand by `kid`; they may lie with any of its web chat channels."""
    found = {}
    for channel in Channel.objects.filter(brand=brand_id, kind="webchat").order_by("id"):
        for name, value in _secrets(channel).items():
            alg, _colon, key = str(value).partition(":")
            if name.startswith(_PREFIX) and alg in ALGORITHMS:
                kid = name.removeprefix(_PREFIX)
                found[kid] = Key(kid, alg, key)
    return found


class TooManyKeys(Exception):
    """Two keys are live already: delete the old one first. The text is for the administrator."""


def add_key(channel: Channel, *, alg: str, public_key: str = "") -> Key:
    """Make a key and keep it with the channel. The HS256 secret is shown once, by the caller, from what this returns.

    EdDSA takes the site's public key in PEM. Raises TooManyKeys, or ValueError for a key that cannot be read.
    """
    if alg not in ALGORITHMS:
        raise ValueError(alg)
    if len(keys_of(channel.brand_id)) >= LIVE_KEYS:
        raise TooManyKeys(_("Two keys are live already. Delete the old one first."))
    if alg == "EdDSA" and not isinstance(load_pem_public_key(public_key.encode()), Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key")
    key = Key(f"k{secrets.token_hex(4)}", alg, public_key if alg == "EdDSA" else secrets.token_urlsafe(32))
    channel.secrets = {**_secrets(channel), f"{_PREFIX}{key.kid}": f"{key.alg}:{key.key}"}
    channel.save(update_fields=["secrets"])
    return key


def delete_key(channel: Channel, kid: str) -> None:
    """Its sessions lose their signed state: the open ones at the next heartbeat, the others at the next renewal."""
    channel.secrets = {name: value for name, value in _secrets(channel).items() if name != f"{_PREFIX}{kid}"}
    channel.save(update_fields=["secrets"])


def _secrets(channel: Channel) -> dict[str, str]:
    return cast("dict[str, str]", channel.secrets)  # the field decrypts; its type does not say so


def _check_times(claims: Mapping[str, Any], *, now: datetime) -> datetime:
    issued, ends = claims["iat"], claims["exp"]
    for moment in (issued, ends, claims.get("nbf", issued)):
        if isinstance(moment, bool) or not isinstance(moment, int | float) or not 0 < moment < 1e11:
            raise IdentityRefused("times")
    if ends - issued > LONGEST.total_seconds() or ends <= issued:
        raise IdentityRefused("lives longer than an hour")
    at, skew = now.timestamp(), SKEW.total_seconds()
    if ends + skew <= at or issued - skew > at or claims.get("nbf", issued) - skew > at:
        raise IdentityRefused("not valid now")
    return datetime.fromtimestamp(ends, tz=now.tzinfo)


def _text(claims: Mapping[str, Any], name: str, most: int) -> str:
    value = claims.get(name)
    return " ".join(value.split())[:most] if isinstance(value, str) else ""


def _email(claims: Mapping[str, Any]) -> str:
    return clean_email(claims.get("email"))


def clean_email(value: object) -> str:
    """Lower-cased, or "" for what is no address."""
    text = value.strip().lower() if isinstance(value, str) else ""
    return text if len(text) <= 254 and re.fullmatch(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+\.[^@\s<>,;\".]+", text) else ""


def _phone(claims: Mapping[str, Any]) -> str:
    value = claims.get("phone_number")
    return value if isinstance(value, str) and re.fullmatch(r"\+[1-9][0-9]{6,14}", value) else ""
