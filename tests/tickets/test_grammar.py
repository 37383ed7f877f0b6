"""The text of the search box: read into conditions, and written back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.models import Skill
from tests.cast import Cast
from tickets import conditions, grammar
from tickets.grammar import parse, text_of
from tickets.models import Incident
from tickets.models.ticket import UNSOLVED

pytestmark = pytest.mark.django_db


def leaf(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def words(*values: str) -> dict[str, Any]:
    return leaf("words", "contains", list(values))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", {}),
        ("refund", words("refund")),
        ("is:open", leaf("status", "is", list(UNSOLVED))),
        ("status:open", leaf("status", "is", ["open"])),
        ("status<solved", leaf("status", "is", list(UNSOLVED))),
        ("is:unread", leaf("unread", "is", True)),
        ("is:snoozed", leaf("snoozed", "is", True)),
        ("is:mine", leaf("assignee", "is", ["me"])),
        ("is:unassigned", leaf("assignee", "is", [0])),
        ("is:breached", leaf("sla", "is", ["breached"])),
        ("assignee:me,none", leaf("assignee", "is", ["me", 0])),
        ("from:ana@example.com", leaf("customer", "contains", ["ana@example.com"])),
        ("to:help@", leaf("to", "contains", ["help@"])),
        ("channel:chat", leaf("channel", "is", ["webchat"])),
        ("tag:billing -tag:vip", {"all": [leaf("tag", "has", ["billing"]), leaf("tag", "has_not", ["vip"])]}),
        ("priority>=high", leaf("priority", "at_least", 3)),
        ("priority<high", leaf("priority", "at_most", 2)),
        ("created>7d", leaf("created", "after", "7d")),
        ("created:7d", leaf("created", "since", "7d")),
        ("updated:2026-09-01..2026-09-30", leaf("updated", "between", ["2026-09-01", "2026-09-30"])),
        ("updated:2026-09-01", leaf("updated", "between", ["2026-09-01", "2026-09-01"])),
        ("updated:..2026-09-30", leaf("updated", "until", "2026-09-30")),
        ("sla:<1h", leaf("sla", "within", "1h")),
        ("waiting>2h", leaf("waiting", "at_least", "2h")),
        ("waiting:2h", leaf("waiting", "at_least", "2h")),
        ("waiting<30m", leaf("waiting", "below", "30m")),
        ("-waiting>2h", {"none": [leaf("waiting", "at_least", "2h")]}),
        ("speaks:ko", leaf("customer_language", "is", ["ko"])),
        ("csat:<=2", leaf("csat", "at_most", 2)),
        ("has:attachment", leaf("has", "is", ["attachment"])),
        ('subject:"very exact"', leaf("subject", "contains", ["very exact"])),
        ("field.order_id:123", leaf("field.order_id", "is", ["123"])),
        ("field.amount>=12.5", leaf("field.amount", "at_least", "12.5")),
        ("-field.amount<=3", {"none": [leaf("field.amount", "at_most", "3")]}),
        ("field.arrives:2026-09-30", leaf("field.arrives", "is", ["2026-09-30"])),
        ("항목.arrives>=오늘", leaf("field.arrives", "since", "today")),
        ("field.arrives:2026-09-01..2026-09-30", leaf("field.arrives", "between", ["2026-09-01", "2026-09-30"])),
        ("field.code:a..b", leaf("field.code", "is", ["a..b"])),
        ("#1042", leaf("number", "contains", ["1042"])),
        ('"a phrase"', leaf("words", "phrase", ["a phrase"])),
        ('-"a phrase"', leaf("words", "phrase_not", ["a phrase"])),
        ("a b OR c", {"any": [{"all": [words("a"), words("b")]}, words("c")]}),
        ("a (b OR c)", {"all": [words("a"), {"any": [words("b"), words("c")]}]}),
        ("-(a OR b)", {"none": [words("a"), words("b")]}),
        ("-(a b)", {"none": [{"all": [words("a"), words("b")]}]}),
        ("--a", words("a")),
        ("a AND b", {"all": [words("a"), words("b")]}),
        ("-priority:high", {"none": [leaf("priority", "is", 3)]}),
        ("http://example.com/x 12:30 Re: a>b", {"all": [words(one) for one in ("http://example.com/x", "12:30", "Re:", "a>b")]}),
    ],
)  # fmt: skip
def test_a_text_reads_as_conditions(text: str, tree: dict[str, Any]) -> None:
    query = parse(text)
    assert query.problems == ()
    assert query.tree == tree
    for language in ("en", "ko"):
        with translation.override(language):
            assert parse(text_of(query.tree)).tree == tree, text_of(query.tree)


@pytest.mark.parametrize(
    ("korean", "english"),
    [
        ("상태:진행중", "status:open"),
        ("상태:미해결 상태:안읽음 -상태:보류", "is:open is:unread -is:snoozed"),
        ("담당:나 팀:없음", "assignee:me team:none"),
        ("-태그:우수", "-tag:우수"),
        ("우선순위>=높음", "priority>=high"),
        ("생성>7일 변경:오늘", "created>7d updated:today"),
        ("기한:<1시간 기한:위반", "sla:<1h sla:breached"),
        ("만족도<=2 포함:첨부", "csat<=2 has:attachment"),
        ("채널:웹채팅 언어:한국어", "channel:chat language:ko"),
        ("환불 또는 교환", "환불 OR 교환"),
        ('고객:김민지 제목:"주문 취소"', 'customer:김민지 subject:"주문 취소"'),
        ("항목.주문:5", "field.주문:5"),
        ('고객.등급명:금 -고객."가입 경로":앱', 'customer.등급명:금 -customer."가입 경로":앱'),
        ("운영시간:운영종료 요일:토,일", "hours:closed weekday:sat,sun"),
    ],
)
def test_korean_keys_say_the_same_and_are_shown(korean: str, english: str) -> None:
    read = parse(korean)
    assert read.problems == ()
    assert read.tree == parse(english).tree
    with translation.override("ko"):
        assert text_of(read.tree) == korean
    with translation.override("en"):
        assert text_of(read.tree) == english


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("status:opne a", (0, 11)),
        ("a statsu:open b", (2, 11)),
        ("a priority>urgent", (2, 15)),
        ("created:2026-13-01", (0, 18)),
        ("created>soon", (0, 12)),
        ("tag:", (0, 4)),
        ("a )", (2, 1)),
        ("( a", (0, 1)),
        ("a OR", (2, 2)),
        ("((((a))))", (3, 1)),
        ('""', (0, 2)),
        ("assignee:nobody.knows", (0, 21)),
        ("tag>vip", (0, 7)),
        ("sort:sideways", (0, 13)),
        ("a -", None),  # a lone minus is a word
    ],
)
def test_what_cannot_be_understood_is_named_with_its_place(text: str, place: tuple[int, int] | None) -> None:
    problems = parse(text).problems
    if place is None:
        assert problems == ()
        return
    assert [(one.position, one.length) for one in problems][:1] == [place]
    with translation.override("en"):
        assert all(one.sentence.endswith((".", "?")) for one in parse(text).problems)


def test_a_misspelt_key_is_told_the_right_one() -> None:
    with translation.override("en"):
        assert parse("statsu:open").problems[0].sentence == "There is no “statsu:”. Did you mean “status:”?"


def test_the_rest_still_counts() -> None:
    query = parse("statsu:open refund sort:waiting")
    assert query.tree == words("refund")
    assert query.sort == "due"
    assert query.words == ("refund",)


def test_what_is_left_out_is_not_marked() -> None:
    assert parse("refund -late -(lost OR -found)").words == ("refund", "found")


def test_people_are_named_by_name_address_or_a_beginning(cast: Cast) -> None:
    mina = leaf("assignee", "is", [cast.agent.pk])
    assert parse("assignee:Mina").tree == mina
    assert parse("assignee:min").tree == mina
    assert parse(f"assignee:{cast.agent.email}").tree == mina
    assert text_of(mina) == "assignee:Mina"
    assert parse("team:billing").tree == leaf("team", "is", [cast.billing.pk])


def test_two_of_one_name_are_told_apart_by_their_addresses(cast: Cast) -> None:
    type(cast.agent).objects.filter(pk=cast.teammate.pk).update(name="Mina")
    assert parse("assignee:Mina").problems
    for one in (cast.agent, cast.teammate):
        chosen = leaf("assignee", "is", [one.pk])
        assert parse(text_of(chosen)).tree == chosen


def test_me_stays_me() -> None:
    assert parse("assignee:me").tree["value"] == ["me"]


def test_a_chip_is_cut_out_of_the_text() -> None:
    text = "status:open  -tag:vip (refund OR x)"
    tokens = parse(text).tokens
    assert [text[one.position : one.position + one.length] for one in tokens] == [
        "status:open",
        "tag:vip",
        "refund",
        "x",
    ]
    assert [one.negated for one in tokens] == [False, True, False, False]
    assert grammar.without(text, tokens[1]) == "status:open (refund OR x)"


def test_every_key_has_its_field_and_every_field_a_key() -> None:
    every = {*conditions.ASKED, *conditions.OF_THE_MOMENT}
    assert set(grammar.KEYS) == every - {"words", "snoozed", "unread"}
    written = [name for names in grammar.KEYS.values() for name in names]
    assert len(written) == len(set(written))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("said:refund,환불", leaf("said", "contains", ["refund", "환불"])),
        ("-said:refund", leaf("said", "contains_not", ["refund"])),
        ("said_on:chat", leaf("said_on", "is", ["webchat"])),
        ("said_by:machine", leaf("said_by", "is", ["machine"])),
        ("said_by:customer,us", leaf("said_by", "is", ["customer", "us"])),
        ("sla_used>=75%", leaf("percent", "at_least", 75)),
        ("sla_used>50", leaf("percent", "at_least", 51)),
        ("sla_used:100", leaf("percent", "is", 100)),
        ("-sla_used<75", {"none": [leaf("percent", "at_most", 74)]}),
    ],
)
def test_what_made_a_rule_run_is_for_rules_alone(text: str, tree: dict[str, Any]) -> None:
    for language in ("en", "ko"):
        with translation.override(language):
            assert grammar.parse_rule(text_of(grammar.parse_rule(text).tree)).tree == tree
    refused = parse(f"a {text}")
    assert [(one.position, one.length) for one in refused.problems] == [
        (2 + text.startswith("-"), len(text.lstrip("-")))
    ]
    assert "Only a rule" in refused.problems[0].sentence
    assert refused.tree == words("a")
    assert not {grammar.KEYS[name][0] for name in conditions.OF_THE_MOMENT} & {
        key for key, _label in grammar.keys_like("s")
    }


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("time:9-18", leaf("daytime", "is", ["09:00-18:00"])),
        ("-시각:22..6,12-13", leaf("daytime", "is_not", ["22:00-06:00", "12:00-13:00"])),
        ("time:9-18@asia/seoul", leaf("daytime", "is", ["09:00-18:00"]) | {"zone": "Asia/Seoul"}),
        ("요일:월,화@Europe/Berlin", leaf("weekday", "is", [1, 2]) | {"zone": "Europe/Berlin"}),
    ],
)
def test_what_the_clock_says_is_asked_in_the_zone_of_the_team_or_another(text: str, tree: dict[str, Any]) -> None:
    assert parse(text).tree == tree
    for language in ("en", "ko"):
        with translation.override(language):
            assert parse(text_of(tree)).tree == tree


@pytest.mark.parametrize(
    "text", ["time:9", "time:9-9", "time:9-18@Seoul", "weekday:mon@UTC,tue@Asia/Seoul", "weekday:mon@"]
)
def test_odd_times_and_zones_are_told(text: str) -> None:
    query = parse(text)
    assert query.problems and query.tree == {}


def test_authors_are_named_by_name(cast: Cast) -> None:
    assert parse(f"last_by:{cast.agent.email}").tree == leaf("last_by", "is", [cast.agent.pk])
    tree = leaf("said_by", "is", ["customer", cast.agent.pk])
    assert grammar.parse_rule(f"said_by:customer,{cast.agent.name}").tree == tree
    for language in ("en", "ko"):
        with translation.override(language):
            assert grammar.parse_rule(text_of(tree)).tree == tree
    assert parse("last_by:none").problems


def test_an_incident_and_a_skill_are_written_by_their_names(cast: Cast) -> None:
    outage = Incident.objects.create(brand=cast.brand, title="Card payments, again", opened_by=cast.admin)
    latin = Skill.objects.create(name="Latin")
    for text, tree in (
        ('incident:"Card payments, again"', leaf("incident", "is", [outage.pk])),
        ("장애:없음", leaf("incident", "is", [0])),
        ("-needs:latin", leaf("needs", "is_not", [latin.pk])),
    ):
        assert parse(text).tree == tree
        for language in ("en", "ko"):
            with translation.override(language):
                assert parse(text_of(tree)).tree == tree


@pytest.mark.parametrize("text", ["sla_used:0", "sla_used:101", "sla_used:half", "sla_used>100", "waiting:soon"])
def test_odd_numbers_and_spans_are_told(text: str) -> None:
    query = grammar.parse_rule(text)
    assert query.problems and query.tree == {}


def test_every_order_of_the_lists_can_be_written() -> None:
    from tickets.workspace.orders import ORDERS

    assert set(grammar.SORTS) == set(ORDERS)
    for names in grammar.SORTS.values():
        assert parse(f"sort:{names[0]}").sort in ORDERS


texts = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            ["(", ")", "-", '"', " ", "OR", "또는", "AND", "status:", "open", "상태:진행중", ":", ">", "<=", "created>7d", "..",
             ",", "a", "환불은", "tag:x", "\\", "field.a:1", "is:", "sort:", "#12", "12345678901234567890", "*", "\x00", "sla:<", "𝄞"]
        ),
        max_size=25,
    ).map("".join),
    st.lists(st.sampled_from(["(", "-(", "a", " OR ", ")", " tag:b ", '"c d" ', "-e "]), max_size=30).map("".join),
)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts)
def test_any_text_is_read_and_what_was_understood_is_written_alike(text: str) -> None:
    query = parse(text)
    for problem in query.problems:
        assert problem.sentence
        assert 0 <= problem.position <= problem.position + problem.length <= len(text)
    for token in query.tokens:
        assert text[token.position : token.position + token.length].strip()
    for language in ("en", "ko"):
        with translation.override(language):
            again = parse(query.text())
            assert again.tree == query.tree, query.text()
            assert again.sort == query.sort
            conditions.sentence(query.tree)
    conditions.to_q(query.tree)


values = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=12)
phrases = st.lists(values, min_size=1, max_size=3).map(" ".join)
plain_words = st.text("abc한글ß7.#*@/'", min_size=1, max_size=9).filter(
    lambda word: parse(word).tree == words(word) and parse(f"-{word}").tree
)
leaves = st.one_of(
    st.builds(leaf, st.just("words"), st.sampled_from(["contains", "contains_not"]), plain_words.map(lambda one: [one])),
    st.builds(leaf, st.just("words"), st.sampled_from(["phrase", "phrase_not"]), phrases.map(lambda one: [one])),
    st.builds(leaf, st.sampled_from(["subject", "customer", "to", "text", "customer_organisation", "customer_address"]),
              st.sampled_from(["contains", "contains_not"]), st.lists(phrases, min_size=1, max_size=3)),
    st.builds(leaf, st.just("tag"), st.sampled_from(["has", "has_not"]), st.lists(phrases.map(str.lower), min_size=1, max_size=3)),
    st.builds(leaf, st.sampled_from(["field.order", "field.a-b", "field.항목", "customer.plan", "customer.가입 경로"]), st.sampled_from(["is", "is_not"]),
              st.lists(phrases, min_size=1, max_size=2)),
    st.builds(leaf, st.just("field.order"), st.sampled_from(["at_least", "at_most"]), st.sampled_from(["12", "-3", "0.5"])),
    st.builds(leaf, st.sampled_from(["field.항목", "customer.plan"]), st.sampled_from(["after", "since", "before", "until"]),
              st.sampled_from(["7d", "today", "2026-02-28"])),
    st.builds(leaf, st.just("field.a-b"), st.just("between"), st.sampled_from([["7d", "today"], ["2026-02-01", "2026-02-01"]])),
    st.builds(leaf, st.just("status"), st.sampled_from(["is", "is_not"]),
              st.lists(st.sampled_from(["new", "open", "pending", "on_hold", "solved", "closed"]), min_size=1, unique=True)),
    st.builds(leaf, st.just("assignee"), st.sampled_from(["is", "is_not"]), st.sampled_from([["me"], [0], [0, "me"]])),
    st.builds(leaf, st.just("channel"), st.sampled_from(["is", "is_not"]), st.sampled_from([["sms"], ["webchat", "email"]])),
    st.builds(leaf, st.just("customer_tier"), st.sampled_from(["is", "is_not"]), st.sampled_from([["vip"], [""]])),
    st.builds(leaf, st.just("priority"), st.sampled_from(["is", "at_least", "at_most"]), st.integers(1, 4)),
    st.builds(leaf, st.just("csat"), st.sampled_from(["is", "at_least", "at_most"]), st.integers(1, 5)),
    st.builds(leaf, st.sampled_from(["created", "updated"]), st.sampled_from(["after", "since", "before", "until"]),
              st.sampled_from(["7d", "30m", "2w", "today", "2026-02-28"])),
    st.builds(leaf, st.just("hours"), st.sampled_from(["is", "is_not"]), st.sampled_from([["open"], ["closed"]])),
    st.builds(leaf, st.just("weekday"), st.sampled_from(["is", "is_not"]), st.sampled_from([[1], [6, 7]])),
    st.builds(
        lambda op, field, zone: {"op": op, **field, **({"zone": zone} if zone else {})},
        st.sampled_from(["is", "is_not"]),
        st.sampled_from(
            [{"field": "weekday", "value": [1, 7]}, {"field": "daytime", "value": ["22:00-06:00", "12:00-13:00"]}]
        ),
        st.sampled_from([None, "Asia/Seoul", "America/Port-au-Prince"]),
    ),
    st.builds(leaf, st.just("promised_by"), st.sampled_from(["is", "is_not"]), st.just(["me"])),
    st.builds(leaf, st.just("last_by"), st.sampled_from(["is", "is_not"]), st.sampled_from([["customer"], ["us", "me"]])),
    st.builds(leaf, st.just("sla"), st.just("within"), st.sampled_from(["1h", "90m"])),
    st.builds(leaf, st.just("sla"), st.just("is"), st.sampled_from([["breached"], ["running", "paused"]])),
    st.builds(leaf, st.sampled_from(["unread", "snoozed"]), st.sampled_from(["is", "is_not"]), st.just(True)),
    st.builds(leaf, st.just("waiting"), st.sampled_from(["at_least", "below"]), st.sampled_from(["30m", "2h", "7d"])),
    st.builds(leaf, st.just("incident"), st.sampled_from(["is", "is_not"]), st.just([0])),
    st.builds(leaf, st.just("customer_language"), st.sampled_from(["is", "is_not"]), st.sampled_from([["ko"], ["en", "ja"]])),
    st.builds(leaf, st.just("number"), st.sampled_from(["contains", "contains_not"]), st.just(["1042"])),
)  # fmt: skip


def normal(tree: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """The shape that reading gives: no group of one, no group in its like, and no more brackets than can be read."""
    if "field" in tree or depth > 2:
        return tree if "field" in tree else words("deep")
    ((group, branches),) = tree.items()
    inner = [normal(branch, depth + 1) for branch in branches]
    if group == "none":
        return grammar.opposite(grammar._joined("any", inner))  # type: ignore[return-value]
    return grammar._joined(group, inner)  # type: ignore[return-value]


trees = st.recursive(
    leaves, lambda inner: st.dictionaries(st.sampled_from(conditions.GROUPS), st.lists(inner, min_size=1, max_size=3), min_size=1, max_size=1),
    max_leaves=8,
).map(normal)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees, language=st.sampled_from(["en", "ko"]))
def test_what_is_written_is_read_again(tree: dict[str, Any], language: str) -> None:
    with translation.override(language):
        text = text_of(tree)
        if len(text) <= grammar.LONGEST:
            assert parse(text).tree == tree, text


def test_every_key_stands_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "search.md").read_text()
    for name in [name for names in (*grammar.KEYS.values(), grammar.IS, grammar.SORT) for name in names]:
        assert f"`{name}`" in page, name
