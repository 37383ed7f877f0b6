"""The people whom one can play: a first cast, those that were invented here, and customers who exist already."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from django.db.models import Prefetch

from channels_in import phone_numbers
from channels_in.models import FakeRecord
from tickets.models import Customer, Identity

PROVIDER = "simulator"
KNOWN_CUSTOMERS = 40


@dataclass(frozen=True)
class Person:
    key: str
    name: str
    phone: str  # E.164
    email: str
    language: str = "en"


FIRST_CAST = (
    Person("seoyeon", "김서연", "+821055510001", "seoyeon.kim@mail.example", "ko"),
    Person("jihoon", "박지훈", "+821055510002", "jihoon.park@mail.example", "ko"),
    Person("mikyung", "이미경", "+821055510003", "mikyung.lee@mail.example", "ko"),
    Person("emma", "Emma Clarke", "+447700900142", "emma.clarke@mail.example"),
    Person("daniel", "Daniel Ortiz", "+14155550142", "daniel.ortiz@mail.example"),
    Person("priya", "Priya Nair", "+14155550187", "priya.nair@mail.example"),
)


def everybody() -> list[Person]:
    """The newest invention first, then the cast, then known customers who are not among them."""
    invented = [
        Person(it.key, **it.payload)
        for it in FakeRecord.objects.filter(provider=PROVIDER, kind="person").order_by("-id")[:50]
    ]
    known = [*invented, *FIRST_CAST]
    addresses = {address for person in known for address in (person.phone, person.email) if address}
    return [*known, *(it for it in _customers() if not {it.phone, it.email} & addresses)]


def find(key: str) -> Person | None:
    return next((person for person in everybody() if person.key == key), None)


def invent(*, name: str, phone: str, email: str, language: str) -> Person:
    """A new person. What is empty is made up. Raises ValueError for a number that is none."""
    number = phone_numbers.e164(phone, region="KR" if language == "ko" else "US") if phone else _free_number(language)
    if not number:
        raise ValueError(phone)
    key = secrets.token_hex(4)
    person = Person(
        key, name.strip()[:80], number, email.strip().lower()[:254] or f"person-{key}@mail.example", language
    )
    payload = {field: value for field, value in asdict(person).items() if field != "key"}
    FakeRecord.objects.create(provider=PROVIDER, kind="person", key=key, payload=payload)
    return person


def _free_number(language: str) -> str:
    """From ranges that reach nobody."""
    if language == "ko":
        return f"+8210555{secrets.randbelow(90_000) + 10_000}"
    return f"+1{secrets.choice((202, 312, 415, 617, 702))}55501{secrets.randbelow(100):02}"


def _customers() -> Iterable[Person]:
    reachable = Identity.objects.filter(kind__in=["phone", "email"]).order_by("-verified", "id")
    customers = Customer.objects.filter(identities__kind__in=["phone", "email"], joined_into__isnull=True).distinct()
    for customer in customers.order_by("-id").prefetch_related(Prefetch("identities", reachable, to_attr="reachable"))[
        :KNOWN_CUSTOMERS
    ]:
        found: dict[str, str] = {}
        for identity in customer.reachable:
            found.setdefault(identity.kind, identity.value)
        yield Person(
            f"customer-{customer.pk}",
            customer.name,
            found.get("phone", ""),
            found.get("email", ""),
            "ko" if customer.language == "ko" else "en",
        )
