"""The verbs of a customer: particulars, addresses and the block, as agents change them.

Only the names of changed fields are logged, never what stands in them. Two customers become one in `identities`.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from zoneinfo import available_timezones

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from tickets import actions, live
from tickets.identities import BY_AGENT
from tickets.models import Customer, Identity
from tickets.models.event import Actor, Event, record

FIELDS = ("name", "language", "time_zone", "tier", "organisation", "notes")
MOST_ATTRIBUTES = 40
FEWEST_DIGITS = 7  # of what may be a telephone number while one types it
_REGIONS = {"ko": "KR", "ja": "JP"}  # whose numbers are written without their country code


class Refused(Exception):
    """It cannot be so; the text says why, in the reader's language."""


class Added(NamedTuple):
    """`holder`: somebody else to whom the same address is known to belong."""

    identity: Identity
    holder: Customer | None


@transaction.atomic
def change(customer: Customer, field: str, value: str, *, by: Actor, now: datetime) -> Event | None:
    """Set one of FIELDS. None when nothing changes. Raises Refused."""
    value = value.replace("\0", "").strip()
    _check(field, value)
    locked = _lock(customer)
    if getattr(locked, field) == value:
        return None
    setattr(locked, field, value)
    locked.save(update_fields=[field])
    return actions.note_customer_changed(locked, by=by, now=now, fields=[field])


@transaction.atomic
def set_attribute(customer: Customer, key: str, value: str, *, by: Actor, now: datetime) -> Event | None:
    """One of the customer's own facts; an empty value removes it. Raises Refused."""
    key, value = " ".join(key.replace("\0", "").split())[:60], value.replace("\0", "").strip()[:500]
    if not key:
        raise Refused(_("Give it a name."))
    locked = _lock(customer)
    attributes = {name: kept for name, kept in locked.attributes.items() if name != key}
    if value:
        attributes = {**locked.attributes, key: value}
    if len(attributes) > MOST_ATTRIBUTES:
        raise Refused(_("A customer has at most %(n)s facts of their own.") % {"n": MOST_ATTRIBUTES})
    if attributes == locked.attributes:
        return None
    locked.attributes = attributes
    locked.save(update_fields=["attributes"])
    return actions.note_customer_changed(locked, by=by, now=now, fields=["attributes"])


@transaction.atomic
def set_blocked(customer: Customer, blocked: bool, *, by: Actor, now: datetime) -> Event | None:
    """What a blocked customer writes is kept and makes no message."""
    locked = _lock(customer)
    if locked.blocked == blocked:
        return None
    locked.blocked = blocked
    locked.save(update_fields=["blocked"])
    return actions.note_customer_changed(locked, by=by, now=now, fields=["blocked"])


@transaction.atomic
def add_address(customer: Customer, kind: str, value: str, *, by: Actor, now: datetime) -> Added:
    """An address that the customer told us: a claim, until a message from there proves it. Raises Refused."""
    value = _normalised(kind, value, language=customer.language)
    _lock(customer)
    if Identity.objects.filter(customer=customer, kind=kind, scope="", value=value).exists():
        raise Refused(_("This address is there already."))
    identity = Identity.objects.create(customer=customer, kind=kind, value=value, evidence=BY_AGENT, created_at=now)
    particulars = {"identity": identity.pk, "of": kind}
    live.announce(
        record("identity_added", ticket=None, customer_id=customer.pk, by=by, now=now, particulars=particulars)
    )
    others = Identity.objects.filter(kind=kind, scope="", value=value, verified=True, customer__joined_into=None)
    other = others.exclude(customer=customer).select_related("customer").first()
    return Added(identity, other.customer if other else None)


def read_address(typed: str, *, language: str) -> tuple[str, str] | None:
    """Kind and one spelling of a whole mail address or telephone number; None while it is neither."""
    kind = "email" if "@" in typed else "phone"
    if kind == "phone" and sum(letter.isdecimal() for letter in typed) < FEWEST_DIGITS:
        return None
    try:
        return kind, _normalised(kind, typed[:254], language=language)
    except Refused:
        return None


def like(query: str) -> Q:
    """A part of a name or of an address; of a number also as people write it, with blanks, hyphens and a leading 0."""
    parts = {query, "".join(query.split()).replace("-", "")}
    parts |= {part.removeprefix("0") for part in parts if part.isdecimal() and len(part) > 4}
    like = Q()
    for part in parts:
        like |= Q(value__icontains=part)
    holders = Identity.objects.filter(like).order_by("-verified", "-pk").values_list("customer", flat=True)[:50]
    return Q(name__icontains=query) | Q(pk__in=list(holders))


def with_joined(customer: Customer) -> list[int]:
    """The ids of this customer and of all who were joined into it, however deep."""
    ids, fresh = [customer.pk], [customer.pk]
    while fresh:
        fresh = list(Customer.objects.filter(joined_into__in=fresh).values_list("pk", flat=True))
        ids += fresh
    return ids


def _lock(customer: Customer) -> Customer:
    return Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)


def _check(field: str, value: str) -> None:
    """Raises Refused for what the column, or the product, cannot use."""
    longest = 20_000 if field == "notes" else getattr(Customer._meta.get_field(field), "max_length", None) or 0
    if len(value) > longest:
        raise Refused(_("This is too long: at most %(n)s characters.") % {"n": longest})
    if field == "time_zone" and value and value not in available_timezones():
        raise Refused(_("There is no such time zone."))
    if field == "tier" and value not in Customer.Tier.values:
        raise Refused(_("There is no such tier."))
    if field == "language" and value and not (value.replace("-", "").isascii() and value.replace("-", "").isalpha()):
        raise Refused(_("There is no such language."))


def _normalised(kind: str, value: str, *, language: str) -> str:
    """The one spelling of an address. A phone number without country code is read as one of the customer's country."""
    value = value.replace("\0", "").strip()
    if kind == "email":
        value = value.lower()
        try:
            validate_email(value)
        except ValidationError:
            raise Refused(_("This is not an e-mail address.")) from None
        return value
    if kind != "phone":
        raise Refused(_("This kind of address cannot be typed."))
    try:
        number = phonenumbers.parse(value, _REGIONS.get(language))
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise Refused(_("This is not a phone number. Begin with + and the country code."))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
