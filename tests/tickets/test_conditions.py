"""The condition language: one tree, three readings that must agree."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.models import Calendar, CalendarWindow, Skill, Team
from tests import cast
from tickets import actions, conditions
from tickets.channels import adapter_for
from tickets.conditions import Invalid
from tickets.models import Customer, Incident, Message, Rule, Ticket, TicketField, TicketSkill
from tickets.models.event import SYSTEM
from tickets.models.ticket import next_number
from tickets.routing import rules

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def leaf(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def in_zone(field: str, op: str, value: Any, zone: str | None) -> dict[str, Any]:
    return leaf(field, op, value) | ({"zone": zone} if zone else {})


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
    outcome = conditions.matches({"all": [leaf("channel", "is", ["sms"]), refund]}, conditions.facts_of(made, now=NOW))
    assert not outcome.matched
    assert outcome.failed == refund


def test_what_holds_in_a_none_group_is_named_as_what_should_not() -> None:
    made = ticket(cast.make_brand(), text="배송이 늦어요", kind="sms")
    late, refund = leaf("text", "contains", ["늦어요"]), leaf("text", "contains", ["환불"])
    outcome = conditions.matches({"all": [{"none": [refund, late]}]}, conditions.facts_of(made, now=NOW))
    assert (outcome.matched, outcome.failed) == (False, {"none": [late]})
    assert conditions.matches({"none": [refund]}, conditions.facts_of(made, now=NOW)) == conditions.Outcome(
        matched=True
    )


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


LATIN, FRENCH, OUTAGE, MINA, THEO = 901, 902, 903, 904, 905  # ids

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
    st.builds(
        leaf,
        st.just("promise"),
        st.sampled_from(["is", "is_not"]),
        st.sampled_from([["team"], ["first_reply", "team"]]),
    ),
    st.builds(leaf, st.just("customer_address"), st.sampled_from(["contains", "contains_not"]), st.just(["+8210"])),
    st.builds(
        leaf,
        st.just("field.order id"),
        st.sampled_from(["is", "is_not"]),
        st.sampled_from([["17"], ["1"], ["true"], ["x", "A-1"]]),
    ),
    st.builds(
        leaf,
        st.just("field.order id"),
        st.sampled_from(["at_least", "at_most"]),
        st.sampled_from(["17", "16.5", "-3", "1"]),
    ),
    st.builds(
        leaf,
        st.just("field.arrives"),
        st.sampled_from(["after", "since", "before", "until"]),
        st.sampled_from(["2026-11-20", "today", "yesterday", "3d"]),
    ),
    st.builds(leaf, st.just("field.arrives"), st.just("between"), st.just(["2026-11-19", "today"])),
    st.builds(
        leaf, st.just("customer.plan"), st.sampled_from(["is", "is_not"]), st.sampled_from([["gold"], ["gold", "free"]])
    ),
    st.builds(leaf, st.just("hours"), st.sampled_from(["is", "is_not"]), st.sampled_from([["open"], ["closed"]])),
    st.builds(leaf, st.just("weekday"), st.sampled_from(["is", "is_not"]), st.sampled_from([[4], [5], [4, 6]])),
    st.builds(
        in_zone,
        st.just("weekday"),
        st.sampled_from(["is", "is_not"]),
        st.sampled_from([[4], [5]]),
        st.sampled_from(["Asia/Seoul", "America/Los_Angeles"]),
    ),
    st.builds(
        in_zone,
        st.just("daytime"),
        st.sampled_from(["is", "is_not"]),
        st.sampled_from([["11:00-13:00"], ["22:00-06:00", "18:00-20:00"]]),
        st.sampled_from([None, "Asia/Seoul", "America/Los_Angeles"]),
    ),
    st.builds(
        leaf,
        st.just("last_by"),
        st.sampled_from(["is", "is_not"]),
        st.sampled_from([["customer"], ["us"], [MINA], ["customer", MINA], [THEO]]),
    ),
    st.builds(
        leaf, st.just("created"), st.sampled_from(["since", "before"]), st.sampled_from(["today", "1d", "2026-11-19"])
    ),
    st.builds(leaf, st.just("waiting"), st.sampled_from(["at_least", "below"]), st.sampled_from(["30m", "2h"])),
    st.builds(
        leaf, st.just("customer_language"), st.sampled_from(["is", "is_not"]), st.sampled_from([["ko"], ["ko", "en"]])
    ),
    st.builds(leaf, st.just("snoozed"), st.sampled_from(["is", "is_not"]), st.just(True)),
    st.builds(
        leaf, st.just("incident"), st.sampled_from(["is", "is_not"]), st.sampled_from([[0], [OUTAGE], [0, OUTAGE]])
    ),
    st.builds(
        leaf, st.just("needs"), st.sampled_from(["is", "is_not"]), st.sampled_from([[LATIN], [LATIN, FRENCH], [FRENCH]])
    ),
    st.builds(
        leaf, st.just("has"), st.sampled_from(["is", "is_not"]), st.sampled_from([["note"], ["reply", "attachment"]])
    ),
)
trees = st.recursive(
    leaves, lambda inner: st.dictionaries(st.sampled_from(conditions.GROUPS), st.lists(inner, max_size=3), min_size=1, max_size=1),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees)
def test_the_predicate_and_the_query_agree(tree: dict[str, Any], some_tickets: list[Ticket]) -> None:
    reader = conditions.Reader(agent_id=None, now=NOW)
    by_query = set(Ticket.objects.filter(conditions.to_q(tree, reader)).values_list("pk", flat=True))
    by_hand = {one.pk for one in some_tickets if conditions.matches(tree, conditions.facts_of(one, now=NOW)).matched}
    assert by_query == by_hand


@pytest.fixture
def some_tickets() -> list[Ticket]:
    brand = cast.make_brand()
    made = [
        ticket(brand, text="환불해 주세요", kind="sms", tier="vip", fields={"order id": 17, "arrives": "2026-11-20"}),
        ticket(
            brand,
            text="Where is my REFUND?",
            subject="Order 17",
            kind="email",
            priority=3,
            fields={"order id": True, "arrives": "2026-11-19"},
        ),
        ticket(
            brand,
            text="배송 언제",
            kind="whatsapp",
            status="open",
            priority=4,
            fields={"order id": "A-1", "arrives": "soon"},
        ),
        ticket(
            brand,
            text="hello",
            subject="my order",
            kind="webchat",
            status="pending",
            priority=1,
            fields={"order id": 16.5, "arrives": 20261120},
        ),
    ]
    Customer.objects.filter(pk=made[0].customer_id).update(attributes={"plan": "gold"})
    Ticket.objects.filter(pk=made[1].pk).update(team=_night_shift(), created_at=NOW - timedelta(days=2))
    author = cast.make_agent("Ada", role="admin")
    Incident.objects.create(pk=OUTAGE, brand=brand, title="Outage", opened_by=author)
    for pk, name in ((MINA, "Mina"), (THEO, "Theo")):
        cast.make_agent(name, pk=pk)
    for pk, name in ((LATIN, "Latin"), (FRENCH, "French")):
        Skill.objects.create(pk=pk, name=name)
    Customer.objects.filter(pk=made[1].customer_id).update(language="en")
    Customer.objects.filter(pk=made[2].customer_id).update(language="ko")
    for one, facts in (
        (made[0], {"waiting_since": NOW - timedelta(hours=3), "incident": OUTAGE, "last_direction": "in"}),
        (made[1], {"waiting_since": NOW - timedelta(minutes=30), "snoozed_until": NOW + timedelta(hours=1)}),
        (made[2], {"waiting_since": NOW - timedelta(minutes=10), "snoozed_until": NOW}),
        (made[1], {"last_direction": "out", "last_author_id": MINA}),
        (made[2], {"last_direction": "out"}),
    ):
        Ticket.objects.filter(pk=one.pk).update(**facts)
    TicketSkill.objects.bulk_create(
        TicketSkill(ticket=one, skill_id=skill)
        for one, skill in ((made[0], LATIN), (made[0], FRENCH), (made[1], FRENCH))
    )
    actions.change_tags(made[0], add=["vip"], by=SYSTEM, now=NOW)
    actions.change_tags(made[1], add=["late"], by=SYSTEM, now=NOW)
    return list(Ticket.objects.select_related("customer", "first_channel").order_by("pk"))


def _night_shift() -> Team:
    """It is Friday noon in Seoul and Thursday evening in Los Angeles: open there, closed at home."""
    home = Calendar.objects.create(name="Home", time_zone="Asia/Seoul", is_default=True)
    CalendarWindow.objects.create(calendar=home, weekday=4, opens=time(13), closes=time(18))
    there = Calendar.objects.create(name="There", time_zone="America/Los_Angeles")
    CalendarWindow.objects.create(calendar=there, weekday=3, opens=time(12), closes=time(0))
    return Team.objects.create(name="Night", calendar=there)


def test_business_hours_are_those_of_the_team_that_a_rule_has_just_given_it_to() -> None:
    night = _night_shift()
    facts = conditions.facts_of(ticket(cast.make_brand(), text="hello"), now=NOW)
    assert (facts["hours"], facts["weekday"]) == ("closed", 5)
    rule = Rule(conditions={}, actions=[{"do": "team", "team": night.pk}])
    assert [outcome.matched for _rule, outcome in rules.evaluate([rule], facts) if outcome] == [True]
    assert (facts["hours"], facts["weekday"]) == ("open", 4)


@pytest.mark.parametrize(
    ("zone", "value", "holds"),
    [
        (None, ["12:00-13:00"], True),
        (None, ["09:00-12:00", "12:01-18:00"], False),
        ("America/Los_Angeles", ["12:00-13:00"], False),
        ("America/Los_Angeles", ["18:00-06:00"], True),
        ("America/Los_Angeles", ["19:00-18:00"], True),
        ("America/Los_Angeles", ["19:01-18:00"], False),
    ],
)
def test_the_time_of_day_is_that_of_the_team_or_of_a_zone_by_name(zone: str | None, value: Any, holds: bool) -> None:
    """It is noon in Seoul, and seven in the evening before in Los Angeles."""
    Calendar.objects.create(name="Home", time_zone="Asia/Seoul", is_default=True)
    made = ticket(cast.make_brand(), text="hello")
    tree = in_zone("daytime", "is", value, zone)
    conditions.validate(tree)
    assert conditions.matches(tree, conditions.facts_of(made, now=NOW)).matched is holds
    reader = conditions.Reader(agent_id=None, now=NOW)
    assert Ticket.objects.filter(conditions.to_q(tree, reader)).exists() is holds


def test_a_zone_is_said_and_only_a_known_one_is_taken() -> None:
    tree = in_zone("daytime", "is", ["09:00-18:00"], "Asia/Seoul")
    with translation.override("en"):
        assert conditions.sentence(tree) == "Time of day is 09:00-18:00 (Asia/Seoul)"
    with translation.override("ko"):
        assert conditions.sentence(tree) == "시각: 09:00-18:00 일치 (Asia/Seoul)"
    for wrong in (
        tree | {"zone": "Asia/Soul"},
        tree | {"zone": ["UTC"]},
        leaf("hours", "is", ["open"]) | {"zone": "UTC"},
    ):
        with pytest.raises(Invalid):
            conditions.validate(wrong)
        assert conditions.outcome_of(wrong, {"now": NOW}) is None


@pytest.mark.parametrize("value", [[], ["9-9"], ["0-24"], ["9:60-12"], ["25-3"], ["soon"], [9], "9"])
def test_odd_times_are_refused(value: Any) -> None:
    with pytest.raises(Invalid, match="09:00-18:00"):
        conditions.validate(leaf("daytime", "is", value))


def test_times_have_one_form() -> None:
    written = ["9-18", "09:00–18:00", "9:00 .. 18", "22-24", "0-8:30"]
    assert [conditions.daytime(one) for one in written] == [
        "09:00-18:00", "09:00-18:00", "09:00-18:00", "22:00-00:00", "00:00-08:30",
    ]  # fmt: skip


def test_a_key_of_ones_own_is_said_in_both_languages() -> None:
    tree = {"all": [leaf("field.order_id", "is", ["123"]), leaf("customer.plan", "is_not", ["free"])]}
    conditions.validate(tree)
    with translation.override("en"):
        assert conditions.sentence(tree) == (
            "Field of the ticket “order_id” is 123 and Attribute of the customer “plan” is not free"
        )
    with translation.override("ko"):
        assert "“order_id”" in conditions.sentence(tree) and "Field" not in conditions.sentence(tree)
    with pytest.raises(Invalid):
        conditions.validate(leaf("field.", "is", ["123"]))


def test_a_ticket_field_is_said_by_its_name_and_its_values_in_the_readers_words() -> None:
    TicketField.objects.create(key="amount", label="Amount", kind="number")
    TicketField.objects.create(key="urgent", label="긴급 여부", kind="yes_no", active=False)
    tree = {
        "all": [
            leaf("field.amount", "at_least", "12.5"),
            leaf("field.urgent", "is", ["true"]),
            leaf("field.amount", "between", ["2026-09-01", "2026-09-30"]),
        ]
    }
    conditions.validate(tree)
    with translation.override("en"):
        assert conditions.sentence(tree) == (
            "Amount is at least 12.5 and 긴급 여부 is Yes and Amount from 2026-09-01 to 2026-09-30"
        )
    with translation.override("ko"):
        said = conditions.sentence(tree["all"][1])
        assert "긴급 여부" in said and "예" in said and "true" not in said


@pytest.mark.parametrize(
    "tree",
    [
        leaf("field.amount", "at_least", "many"),
        leaf("field.amount", "at_least", ["1", "2"]),
        leaf("field.amount", "at_most", 12),
        leaf("field.arrives", "after", "soon"),
        leaf("field.arrives", "between", ["2026-09-01"]),
    ],
)
def test_what_is_no_number_and_no_day_is_refused(tree: dict[str, Any]) -> None:
    for refuse in (conditions.validate, conditions.to_q):
        with pytest.raises(Invalid):
            refuse(tree)  # type: ignore[operator]


OF_A_RUN = {
    "all": [
        leaf("said", "contains", ["환불"]),
        leaf("said_on", "is", ["sms"]),
        leaf("said_by", "is", ["person"]),
        leaf("percent", "at_least", 75),
    ]
}


def test_what_made_a_rule_run_is_asked_while_it_runs(django_assert_num_queries: Any) -> None:
    conditions.validate_of_rule(OF_A_RUN)
    made = ticket(cast.make_brand(), text="환불해 주세요")
    cause = conditions.Cause(Message.objects.filter(ticket=made), percent=80)
    facts = conditions.facts_of(Ticket.objects.get(pk=made.pk), now=NOW, cause=cause)
    with django_assert_num_queries(1):
        assert conditions.matches(OF_A_RUN, facts).matched
    assert conditions.matches(OF_A_RUN, conditions.facts_of(made, now=NOW)).failed == OF_A_RUN["all"][0]
    with translation.override("en"):
        assert conditions.sentence(OF_A_RUN) == (
            "Text of the new message contains “환불” and Channel of the new message is SMS and "
            "Author of the new message is a person and SLA time used, in percent is at least 75"
        )


@pytest.mark.parametrize(
    ("facts", "holds"),
    [
        ({"author_type": "customer"}, ["person", "customer"]),
        ({"author_type": "customer", "automatic": True}, ["machine"]),
        ({"author_type": "agent", "direction": "out"}, ["person", "us", MINA]),
        ({"author_type": "bot", "direction": "out", "automatic": True}, ["machine"]),
    ],
)
def test_a_rule_asks_who_wrote_the_new_message(facts: dict[str, Any], holds: list[Any]) -> None:
    for pk, name in ((MINA, "Mina"), (THEO, "Theo")):
        cast.make_agent(name, pk=pk)
    made = ticket(cast.make_brand(), text="hello")
    agent = MINA if facts["author_type"] == "agent" else None
    said = Message.objects.create(ticket=made, seq=2, text="And?", agent_id=agent, **{"direction": "in"} | facts)
    cause = conditions.Cause(Message.objects.filter(pk=said.pk))
    every = ["person", "machine", "customer", "us", MINA, THEO]
    for one in every:
        conditions.validate_of_rule(leaf("said_by", "is", [one]))
    known = conditions.facts_of(made, now=NOW, cause=cause)
    assert [one for one in every if conditions.matches(leaf("said_by", "is", [one]), known).matched] == holds


def test_me_is_whoever_reads_in_who_wrote_last(some_tickets: list[Ticket]) -> None:
    tree = leaf("last_by", "is", ["me"])
    for agent, found in ((MINA, [some_tickets[1]]), (THEO, [])):
        reader = conditions.Reader(agent_id=agent, now=NOW)
        assert list(Ticket.objects.filter(conditions.to_q(tree, reader))) == found
        asked = [
            one
            for one in some_tickets
            if conditions.matches(tree, conditions.asked_facts_of(one, reader), reader).matched
        ]
        assert asked == found


def test_no_query_finds_what_made_a_rule_run_and_it_says_so() -> None:
    for one in OF_A_RUN["all"]:
        for refuse in (conditions.validate, conditions.to_q):
            with pytest.raises(Invalid, match="Only a rule can ask"):
                refuse({"none": [one]})  # type: ignore[operator]


@pytest.mark.parametrize(
    "tree", [leaf("percent", "is", 0), leaf("percent", "is", "50"), leaf("waiting", "below", "soon")]
)
def test_odd_numbers_and_spans_are_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        conditions.validate_of_rule(tree)


def test_incidents_of_one_title_are_told_apart() -> None:
    brand, author = cast.make_brand(), cast.make_agent("Ada", role="admin")
    first, second, third = (
        Incident.objects.create(brand=brand, title=title, opened_by=author) for title in ("Outage", "outage", "Mail")
    )
    choices = conditions.FIELDS["incident"].choices
    assert choices is not None
    assert dict(choices()) == {
        0: "No incident", first.pk: f"Outage ({first.pk})", second.pk: f"outage ({second.pk})", third.pk: "Mail",
    }  # fmt: skip


def test_a_rule_sees_the_skills_that_one_before_it_asked_for() -> None:
    latin = Skill.objects.create(name="Latin")
    made = ticket(cast.make_brand(), text="hello")
    facts = conditions.facts_of(made, now=NOW)
    needs = Rule(conditions={}, actions=[{"do": "skill", "skill": latin.pk, "level": 1, "required": True}])
    sees = Rule(conditions=leaf("needs", "is", [latin.pk]), actions=[])
    assert [outcome.matched for _rule, outcome in rules.evaluate([needs, sees], facts) if outcome] == [True, True]


def test_only_what_is_asked_is_looked_up(django_assert_num_queries: Any) -> None:
    made = ticket(cast.make_brand(), text="hello")
    facts = conditions.facts_of(Ticket.objects.get(pk=made.pk), now=NOW)
    assert conditions.matches(
        {"all": [leaf("field.a", "is_not", ["1"]), leaf("customer.b", "is_not", ["1"])]}, facts
    ).matched
    with django_assert_num_queries(3):
        conditions.matches(leaf("has", "is", ["note"]), facts)
    with django_assert_num_queries(0):
        conditions.matches(leaf("has", "is", ["reply"]), facts)


def test_channels_are_offered_by_the_names_of_their_adapters(settings: Any) -> None:
    """The core knows no provider: a new kind appears by its line in the settings alone."""
    settings.CHANNEL_ADAPTERS = {"plain": "tests.plain.Plain"}
    choices = conditions.FIELDS["channel"].choices
    assert choices is not None and choices() == [("plain", str(adapter_for("plain").label))]
