"""Failed sign-ins, counted in PostgreSQL: a Redis that is away or was wiped forgives nobody.

Each try is written before its password is looked at, once for the account and once for the address that it comes
from, and taken back when it succeeds. Tries at the same moment therefore see each other.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from django.core.exceptions import ValidationError
from django.utils.translation import ngettext

from agents.models import SignInFailure

WINDOW = timedelta(minutes=5)
MOST_PER_ACCOUNT = 5
MOST_PER_ADDRESS = 30  # an office shares one
KEPT = timedelta(days=1)


class Attempt:
    """One try. `failed` unless somebody says `succeeded()`."""

    def __init__(self, rows: list[int]) -> None:
        self._rows = rows

    def succeeded(self) -> None:
        SignInFailure.objects.filter(pk__in=self._rows).delete()


@contextmanager
def attempt(account: str, *, address: str, now: datetime, kind: str = "password") -> Iterator[Attempt]:
    """Count one try against the account and the address, each kind of proof by itself.

    Raises ValidationError, with how long to wait, when one of the two has failed too often; that counts nothing.
    """
    limits = {
        _key(kind, "account", account.strip().lower()): MOST_PER_ACCOUNT,
        _key(kind, "address", _network(address)): MOST_PER_ADDRESS,
    }
    rows = SignInFailure.objects.bulk_create(SignInFailure(key=key, at=now) for key in limits)
    ours = [row.pk for row in rows]
    wait = max(_wait(key, most, now=now) for key, most in limits.items())
    if wait > 0:
        SignInFailure.objects.filter(pk__in=ours).delete()
        raise ValidationError(_words(wait), code="too_many_login_attempts")
    SignInFailure.objects.filter(at__lt=now - KEPT).delete()
    yield Attempt(ours)


def _wait(key: str, most: int, *, now: datetime) -> float:
    """Seconds until this key may try again; 0 when it may now. Our own row is among those that are counted."""
    failures = SignInFailure.objects.filter(key=key, at__gt=now - WINDOW).order_by("-at", "-pk")
    times = list(failures.values_list("at", flat=True)[: most + 1])
    return (times[most] + WINDOW - now).total_seconds() if len(times) > most else 0


def _words(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return ngettext(
        "Too many sign-ins have failed here. Try again in %(n)s minute, or choose a new password.",
        "Too many sign-ins have failed here. Try again in %(n)s minutes, or choose a new password.",
        minutes,
    ) % {"n": minutes}


def _network(address: str) -> str:
    """An IPv4 address, or the /64 that one customer of a provider has to themselves."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    return str(ip) if ip.version == 4 else str(ip_network((ip, 64), strict=False))


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
