"""Ticket fields: what can be kept in one, what is told of a change, and what two tickets have when they become one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import translation

from tests import cast
from tests.cast import Cast
from tests.workspace import scene
from tickets import actions, fields, timeline, undoing
from tickets.models import Event, Ticket, TicketField
from tickets.models.event import RULE, by_agent

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
JIWOO, ARA = scene.sender("Jiwoo", phone="+821011112222"), scene.sender("Ara", phone="+821099990000")
KINDS = {
    "order_id": ("text", []),
    "amount": ("number", []),
    "arrives": ("date", []),
    "paid": ("yes_no", []),
    "reason": ("choice", ["Broken", "Lost, or late"]),
}


@pytest.fixture
def people() -> Cast:
    for position, (key, (kind, choices)) in enumerate(KINDS.items()):
        TicketField.objects.create(key=key, label=key.title(), kind=kind, choices=choices, position=position)
    return cast.assemble()


@pytest.fixture
def ticket(people: Cast) -> Ticket:
    return came(people, JIWOO)


def came(people: Cast, who: Any) -> Ticket:
    made = scene.says(people.sms, who, "Where is it?", at=NOW).ticket
    Ticket.objects.filter(pk=made.pk).update(team=people.support)
    return Ticket.objects.get(pk=made.pk)


def put(ticket: Ticket, people: Cast, **values: Any) -> Event | None:
    return actions.set_fields(ticket, values, by=by_agent(people.agent), now=NOW)


def kept(ticket: Ticket) -> dict[str, Any]:
    return Ticket.objects.values_list("fields", flat=True).get(pk=ticket.pk)


# -- Values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("order_id", "  A-1\n2 ", "A-1 2"),
        ("amount", "1,234.50", 1234.5),
        ("amount", "12.0", 12),
        ("amount", -3, -3),
        ("arrives", "2026-09-30", "2026-09-30"),
        ("paid", "false", False),
        ("paid", True, True),
        ("reason", "Lost, or late", "Lost, or late"),
    ],
)
def test_a_value_is_kept_as_what_it_is(people: Cast, ticket: Ticket, key: str, written: Any, value: Any) -> None:
    put(ticket, people, **{key: written})
    (found,) = kept(ticket).values()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("order_id", "x" * 501),
        ("order_id", 12),
        ("amount", "12 pieces"),
        ("amount", True),
        ("amount", "1" * 16),
        ("amount", float("nan")),
        ("arrives", "2026-02-30"),
        ("arrives", "30.9.2026"),
        ("paid", "perhaps"),
        ("reason", "broken"),
        ("reason", ["Broken"]),
        ("unheard_of", "x"),
    ],
)
def test_what_is_not_of_its_kind_is_refused_in_words_and_changes_nothing(
    people: Cast, ticket: Ticket, key: str, written: Any
) -> None:
    with pytest.raises(actions.NotAllowed) as refused:
        put(ticket, people, **{"order_id": "A-1", key: written})
    assert key in str(refused.value).lower()
    assert kept(ticket) == {} and not Event.objects.filter(kind="fields_changed").exists()


def test_the_refusal_is_in_the_readers_language(people: Cast, ticket: Ticket) -> None:
    with translation.override("ko"), pytest.raises(actions.NotAllowed, match="숫자"):
        put(ticket, people, amount="many")


def test_the_database_holds_the_rules_too(people: Cast) -> None:
    for wrong in (
        {"key": "Order", "label": "x"},
        {"key": "a", "label": ""},
        {"key": "a", "label": "x", "kind": "choice"},
        {"key": "a", "label": "x", "choices": ["y"]},
        {"key": "paid", "label": "x"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            TicketField.objects.create(**wrong)


# -- The log ------------------------------------------------------------------------------------------------------------


def test_one_event_tells_what_was_and_what_is(people: Cast, ticket: Ticket) -> None:
    put(ticket, people, paid="true", amount="5")
    event = put(ticket, people, paid="false", amount="", order_id="A-1")
    assert event is not None and event.particulars["changes"] == [
        {"field": "paid", "label": "Paid", "from": True, "to": False},
        {"field": "amount", "label": "Amount", "from": 5, "to": None},
        {"field": "order_id", "label": "Order_Id", "from": None, "to": "A-1"},
    ]
    assert kept(ticket) == {"paid": False, "order_id": "A-1"}
    names = timeline.Names(agents={}, teams={})
    with translation.override("en"):
        said = timeline.sentence(event.kind, "Mina", event.particulars, names)
    assert said == "Mina · Paid: Yes → No, Amount: 5 → –, Order_Id: – → A-1"


def test_what_is_so_already_is_no_change_and_1_is_not_yes(people: Cast, ticket: Ticket) -> None:
    assert put(ticket, people, amount="") is None
    put(ticket, people, amount=1)
    assert put(ticket, people, amount="1.0") is None
    Ticket.objects.filter(pk=ticket.pk).update(fields={"paid": 1})
    assert put(ticket, people, paid="true") is not None


def test_an_undo_brings_back_even_what_could_not_be_chosen_today(people: Cast, ticket: Ticket) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(fields={"reason": "Of earlier days"})
    event = put(ticket, people, reason="Broken")
    assert event is not None
    undoing.undo(ticket, event, agent=people.agent, now=event.at)
    assert kept(ticket) == {"reason": "Of earlier days"}
    with pytest.raises(actions.NotAllowed, match="has changed since"):
        undoing.undo(ticket, event, agent=people.agent, now=event.at)


def test_a_field_that_is_switched_off_keeps_its_values_and_takes_no_new_one(people: Cast, ticket: Ticket) -> None:
    put(ticket, people, order_id="A-1")
    TicketField.objects.filter(key="order_id").update(active=False)
    with pytest.raises(actions.NotAllowed):
        put(ticket, people, order_id="A-2")
    assert kept(ticket) == {"order_id": "A-1"}


# -- Merging ------------------------------------------------------------------------------------------------------------


def test_the_survivor_keeps_its_own_takes_what_it_lacks_and_gives_that_back(people: Cast, ticket: Ticket) -> None:
    other = came(people, ARA)
    put(ticket, people, order_id="A-1", amount=5, paid=True)
    put(other, people, order_id="B-2")
    by = by_agent(people.agent)
    merged = actions.merge(ticket, into=other, by=by, now=NOW)
    assert kept(other) == {"order_id": "B-2", "amount": 5, "paid": True}
    assert merged.particulars["fields"] == {"amount": 5, "paid": True}
    put(other, people, amount=7)
    actions.unmerge(ticket, by=by, now=NOW)
    assert kept(other) == {"order_id": "B-2", "amount": 7}, "what was changed since is its own"
    assert kept(ticket) == {"order_id": "A-1", "amount": 5, "paid": True}


# -- Before a solve -----------------------------------------------------------------------------------------------------


def test_what_is_needed_is_asked_of_the_tickets_that_it_is_of(people: Cast, ticket: Ticket) -> None:
    TicketField.objects.filter(key="order_id").update(required=True)
    TicketField.objects.filter(key="amount").update(required=True, team=people.billing)
    TicketField.objects.filter(key="paid").update(required=True, active=False)
    TicketField.objects.filter(key="reason").update(required=True, team=people.support, brand=people.brand)
    assert [lack.place for lack in fields.lacks(ticket)] == ["property-field-order_id", "property-field-reason"]
    with pytest.raises(actions.Incomplete, match="Order_Id, Reason"):
        actions.solve(ticket, by=by_agent(people.agent), now=NOW)
    put(ticket, people, order_id="A-1", reason="Broken")
    assert actions.solve(ticket, by=by_agent(people.agent), now=NOW)


def test_the_tag_and_the_fields_are_one_list(people: Cast, ticket: Ticket) -> None:
    people.support.needs_tag = True
    people.support.save()
    TicketField.objects.filter(key="order_id").update(required=True)
    with pytest.raises(actions.Incomplete) as stopped:
        actions.solve(Ticket.objects.get(pk=ticket.pk), by=by_agent(people.agent), now=NOW)
    assert [lack.code for lack in stopped.value.lacks] == ["untagged", "unfilled"]
    assert "tag" in str(stopped.value) and "Order_Id" in str(stopped.value)


def test_rules_and_what_has_no_person_solve_as_they_always_did(people: Cast, ticket: Ticket) -> None:
    TicketField.objects.filter(key="order_id").update(required=True)
    assert actions.solve(ticket, by=RULE, now=NOW)


def test_no_is_an_answer(people: Cast, ticket: Ticket) -> None:
    TicketField.objects.filter(key__in=["paid", "amount"]).update(required=True)
    put(ticket, people, paid=False, amount=0)
    assert actions.solve(ticket, by=by_agent(people.agent), now=NOW + timedelta(minutes=1))
