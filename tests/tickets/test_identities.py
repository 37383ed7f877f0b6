import threading
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from tests.cast import assemble, make_customer
from tickets import identities
from tickets.contract import Identifier, Sender
from tickets.models import Customer, CustomerJoin, Event, Identity, Ticket
from tickets.models.event import SYSTEM, by_agent
from tickets.models.ticket import next_number

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
PHONE = "+821012345678"


def sender(*identifiers: tuple[str, str, bool], name: str = "Jiwoo") -> Sender:
    return Sender(tuple(Identifier(kind, "", value, sure, "test") for kind, value, sure in identifiers), name=name)


def ticket_of(customer, brand):
    return Ticket.objects.create(number=next_number(), brand=brand, customer=customer, created_at=NOW)


def test_the_same_verified_number_is_the_same_customer(cast):
    first = identities.resolve(sender(("phone", PHONE, True)), cast.sms, now=NOW)
    second = identities.resolve(sender(("phone", PHONE, True)), cast.whatsapp, now=NOW)
    assert (first.created, second.created) == (True, False)
    assert first.customer == second.customer
    assert first.customer.name == "Jiwoo"


def test_every_further_identifier_is_attached(cast):
    jiwoo = make_customer(now=NOW, phone=PHONE)
    who = identities.resolve(sender(("phone", PHONE, True), ("whatsapp", "KR.1", True)), cast.whatsapp, now=NOW)
    assert who.customer == jiwoo
    assert set(jiwoo.identities.values_list("kind", "value", "verified")) == {
        ("phone", PHONE, True),
        ("whatsapp", "KR.1", True),
    }
    # from now on either of them is enough
    assert identities.resolve(sender(("whatsapp", "KR.1", True)), cast.whatsapp, now=NOW).customer == jiwoo


def test_a_claim_never_joins_and_becomes_a_suggestion(cast):
    jiwoo = make_customer(now=NOW, email="jiwoo@example.org")
    who = identities.resolve(sender(("email", "jiwoo@example.org", False)), cast.email, now=NOW)
    assert who.created
    assert who.customer != jiwoo
    assert not who.identity.verified
    assert [one.customer for one in identities.suggestions(who.customer)] == [jiwoo]
    assert [one.customer for one in identities.suggestions(jiwoo)] == [who.customer]


def test_a_claim_beside_a_verified_identity_stays_a_claim(cast):
    jiwoo = make_customer(now=NOW, email="jiwoo@example.org")
    visitor = identities.resolve(
        sender(("webchat", "session-1", True), ("email", "jiwoo@example.org", False)), cast.webchat, now=NOW
    )
    assert visitor.customer != jiwoo
    assert visitor.customer.identities.get(kind="email").verified is False


def test_the_token_made_for_an_address_proves_it(cast):
    jiwoo = make_customer(now=NOW, email="jiwoo@example.org", verified=False)
    own = jiwoo.identities.get()
    mail = sender(("email", "jiwoo@example.org", False))
    assert identities.resolve(mail, cast.email, now=NOW, proven=own).customer == jiwoo
    other = sender(("email", "mallory@example.org", False))
    assert identities.resolve(other, cast.email, now=NOW, proven=own).customer != jiwoo


def test_a_claim_is_verified_when_its_owner_proves_it(cast):
    jiwoo = make_customer(now=NOW, phone=PHONE)
    Identity.objects.create(customer=jiwoo, kind="email", value="jiwoo@example.org")
    identities.resolve(sender(("phone", PHONE, True), ("email", "jiwoo@example.org", True)), cast.webchat, now=NOW)
    assert jiwoo.identities.get(kind="email").verified


def test_verified_identifiers_of_two_customers_in_one_sender_join_them(cast):
    known = make_customer("Jiwoo", now=NOW, phone=PHONE)
    visitor = Customer.objects.create(name="", created_at=NOW)
    Identity.objects.create(customer=visitor, kind="webchat", value="session-1", verified=True)
    chat = ticket_of(visitor, cast.brand)
    who = identities.resolve(sender(("webchat", "session-1", True), ("phone", PHONE, True)), cast.webchat, now=NOW)
    assert who.customer == known
    assert who.identity.kind == "webchat"
    chat.refresh_from_db()
    assert chat.customer == known
    journal = CustomerJoin.objects.get()
    assert (journal.joined, journal.reason) == (visitor, "same_sender")
    assert Event.objects.filter(kind="customer_joined", customer=known).exists()


def test_a_join_and_its_undoing_are_exact_inverses(cast):
    survivor = make_customer("Kim", now=NOW, phone=PHONE)
    joined = make_customer("Kim J.", now=NOW, email="kim@example.org")
    Identity.objects.create(customer=survivor, kind="email", value="kim@example.org")  # only a claim of Kim's
    mine, theirs = ticket_of(survivor, cast.brand), ticket_of(joined, cast.brand)

    def state():
        return (
            sorted(Identity.objects.values_list("pk", "customer", "kind", "value", "verified")),
            sorted(Ticket.objects.values_list("pk", "customer")),
            sorted(Customer.objects.values_list("pk", "joined_into", "name")),
        )

    before = state()
    journal = identities.join(survivor, joined, by=by_agent(cast.agent), reason="agent", evidence={}, now=NOW)
    theirs.refresh_from_db()
    assert theirs.customer == survivor
    assert survivor.identities.get(kind="email").verified  # the proof came along
    assert identities.current(Customer.objects.get(pk=joined.pk)) == survivor
    later = ticket_of(survivor, cast.brand)
    identities.undo_join(journal, by=by_agent(cast.agent), now=NOW)
    later.delete()
    assert state() == before
    assert mine.customer == survivor
    identities.undo_join(journal, by=by_agent(cast.agent), now=NOW)  # again: nothing
    assert Event.objects.filter(kind="customer_join_undone").count() == 1


def test_a_join_under_a_later_join_is_not_undone(cast):
    a, b, c = (make_customer(name, now=NOW) for name in "ABC")
    first = identities.join(a, b, by=SYSTEM, reason="x", evidence={}, now=NOW)
    second = identities.join(c, a, by=SYSTEM, reason="x", evidence={}, now=NOW)
    with pytest.raises(identities.JoinedFurther):
        identities.undo_join(first, by=SYSTEM, now=NOW)
    identities.undo_join(second, by=SYSTEM, now=NOW)
    identities.undo_join(first, by=SYSTEM, now=NOW)
    with pytest.raises(ValueError, match="joined already"):
        identities.join(a, a, by=SYSTEM, reason="x", evidence={}, now=NOW)


@pytest.mark.django_db(transaction=True)
def test_verified_identity_once():
    """Two transactions meet a new verified address at once: one customer holds it, the other one starts again."""
    cast = assemble()
    barrier, results = threading.Barrier(2, timeout=20), []

    def write() -> None:
        try:
            with transaction.atomic():
                identities.resolve(sender(("email", "first@example.org", False)), cast.email, now=NOW)
                barrier.wait()
                results.append(identities.resolve(sender(("phone", PHONE, True)), cast.sms, now=NOW).customer.pk)
        except identities.LostRace:
            with transaction.atomic():
                results.append(identities.resolve(sender(("phone", PHONE, True)), cast.sms, now=NOW).customer.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == 2
    assert results[0] == results[1]
    assert Identity.objects.filter(kind="phone", value=PHONE, verified=True).count() == 1
