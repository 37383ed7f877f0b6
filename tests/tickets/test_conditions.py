"""The condition language: one tree, three readings that must agree."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import cast
from tickets import actions, conditions
from tickets.channels import adapter_for
from tickets.conditions import Invalid
from tickets.models import Message, Ticket
from tickets.models.event import SYSTEM
from tickets.models.ticket import next_number

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def leaf(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def ticket(brand: Any, *, text: str, subject: str = "", kind: str = "sms", tier: str = "", **fields: Any) -> Ticket:
    channel = cast.make_channel(kind, brand=brand, slug=f"c{next_number()}")
    customer = cast.make_customer(now=NOW, tier=tier, phone=f"+8210{next_number():08d}")
    made = Ticket.objects.create(
        number=next_number(),
        brand=brand,
        customer=customer,
        subject=subject,
        first_channel=channel,
        created_at=NOW,
        **fields,
    )
    Message.objects.create(
        ticket=made, seq=1, direction="in", author_type="customer", text=text, channel=channel, created_at=NOW
    )
    return made


def test_a_tree_reads_as_a_sentence_in_both_languages() -> None:
    tree = {"all": [leaf("channel", "is", ["sms", "whatsapp"]), leaf("text", "contains", ["환불"])]}
    with translation.override("en"):
        assert conditions.sentence(tree) == "Channel is SMS or WhatsApp and Text contains “환불”"
    nested = {"all": [tree, {"none": [leaf("priority", "at_least", 3)]}]}
    with translation.override("en"):
        said = conditions.sentence(nested)
    assert said == "(Channel is SMS or WhatsApp and Text contains “환불”) and none of: Priority is at least High"


def test_the_failing_leaf_is_named() -> None:
    brand = cast.make_brand()
    made = ticket(brand, text="배송이 늦어요", kind="sms")
    refund = leaf("text", "contains", ["환불"])
    outcome = conditions.matches({"all": [leaf("channel", "is", ["sms"]), refund]}, conditions.facts_of(made))
    assert not outcome.matched
    assert outcome.failed == refund


@pytest.mark.parametrize(
    "tree",
    [
        {"all": [leaf("nonsense", "is", ["x"])]},
        {"all": [leaf("text", "is", ["x"])]},
        {"all": [leaf("text", "contains", ["  "])]},
        {"all": [leaf("channel", "is", ["fax"])]},
        {"all": [leaf("priority", "at_least", 9)]},
        {"all": {"field": "text"}},
        {"all": [], "any": []},
        {"all": ["text"]},
        [],
        {"all": [leaf("text", "contains", ["x" * 201])]},
        {"all": [leaf("text", "contains", ["x"])] * 101},
    ],
)
def test_what_cannot_be_understood_is_refused_with_words(tree: Any) -> None:
    with pytest.raises(Invalid) as refused:
        conditions.validate(tree)
    assert refused.value.problem


def test_nesting_has_an_end() -> None:
    tree: dict[str, Any] = leaf("text", "contains", ["x"])
    for _ in range(8):
        tree = {"all": [tree]}
    with pytest.raises(Invalid):
        conditions.validate(tree)


leaves = st.one_of(
    st.builds(
        leaf, st.just("channel"), st.sampled_from(["is", "is_not"]), st.sampled_from([["sms"], ["email", "sms"]])
    ),
    st.builds(
        leaf,
        st.just("text"),
        st.sampled_from(["contains", "contains_not"]),
        st.sampled_from([["환불"], ["Refund", "배송"]]),
    ),
    st.builds(leaf, st.just("subject"), st.sampled_from(["contains", "contains_not"]), st.just(["order"])),
    st.builds(leaf, st.just("tag"), st.sampled_from(["has", "has_not"]), st.sampled_from([["vip"], ["VIP", "late"]])),
    st.builds(leaf, st.just("customer_tier"), st.sampled_from(["is", "is_not"]), st.sampled_from([["vip"], [""]])),
    st.builds(leaf, st.just("priority"), st.sampled_from(["is", "at_least", "at_most"]), st.integers(1, 4)),
    st.builds(leaf, st.just("status"), st.sampled_from(["is", "is_not"]), st.sampled_from([["new"], ["open", "new"]])),
    st.builds(leaf, st.just("team"), st.sampled_from(["is", "is_not"]), st.just([0])),
    st.builds(leaf, st.just("customer_address"), st.sampled_from(["contains", "contains_not"]), st.just(["+8210"])),
)
trees = st.recursive(
    leaves, lambda inner: st.dictionaries(st.sampled_from(conditions.GROUPS), st.lists(inner, max_size=3), min_size=1, max_size=1),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees)
def test_the_predicate_and_the_query_agree(tree: dict[str, Any], some_tickets: list[Ticket]) -> None:
    by_query = set(Ticket.objects.filter(conditions.to_q(tree)).values_list("pk", flat=True))
    by_hand = {one.pk for one in some_tickets if conditions.matches(tree, conditions.facts_of(one)).matched}
    assert by_query == by_hand


@pytest.fixture
def some_tickets() -> list[Ticket]:
    brand = cast.make_brand()
    made = [
        ticket(brand, text="환불해 주세요", kind="sms", tier="vip"),
        ticket(brand, text="Where is my REFUND?", subject="Order 17", kind="email", priority=3),
        ticket(brand, text="배송 언제", kind="whatsapp", status="open", priority=4),
        ticket(brand, text="hello", subject="my order", kind="webchat", status="pending", priority=1),
    ]
    actions.change_tags(made[0], add=["vip"], by=SYSTEM, now=NOW)
    actions.change_tags(made[1], add=["late"], by=SYSTEM, now=NOW)
    return list(Ticket.objects.select_related("customer", "first_channel").order_by("pk"))


def test_channels_are_offered_by_the_names_of_their_adapters(settings: Any) -> None:
    """The core knows no provider: a new kind appears by its line in the settings alone."""
    settings.CHANNEL_ADAPTERS = {"plain": "tests.plain.Plain"}
    choices = conditions.FIELDS["channel"].choices
    assert choices is not None and choices() == [("plain", str(adapter_for("plain").label))]
