"""The configuration as one text: it survives the way out and in, and says what it would change."""

from __future__ import annotations

from datetime import time
from io import StringIO
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command

from agents.models import Agent, AuditEntry, Calendar, CalendarWindow, Skill, Team
from helpdesk import config_file
from tests import cast
from tests.cast import Cast
from tickets import signatures
from tickets.models import AutomaticAnswer, Macro, Rule, Signature, SlaPolicy, SlaTarget

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> Cast:
    people = cast.assemble()
    cast.make_agent("Ona", role=Agent.Role.OWNER)
    return people


@pytest.fixture
def configured(people: Cast) -> Cast:
    office = Calendar.objects.create(name="Office", time_zone="Asia/Seoul", holiday_country="KR", is_default=True)
    for opens, closes in ((time(9), time(12)), (time(13), time(0))):
        CalendarWindow.objects.create(calendar=office, weekday=0, opens=opens, closes=closes)
    office.closings.create(date="2026-12-24", name="Party")
    people.support.calendar, people.support.overflow, people.support.accept_seconds = office, people.billing, 60
    people.support.save()
    skill = Skill.objects.create(name="Korean")
    Rule.objects.create(
        name="Refunds", position=0,
        conditions={"all": [
            {"field": "text", "op": "contains", "value": ["환불"]},
            {"field": "team", "op": "is", "value": [people.support.pk, 0]},
            {"field": "assignee", "op": "is_not", "value": [people.agent.pk]},
        ]},
        actions=[
            {"do": "team", "team": people.billing.pk}, {"do": "priority", "priority": 3},
            {"do": "skill", "skill": skill.pk, "level": 2, "required": True, "relax_minutes": None},
        ],
    )  # fmt: skip
    policy = SlaPolicy.objects.create(
        name="Standard", calendar=office, warn_percents=[75], pauses_in=["pending"], first_reply_from="created"
    )
    SlaTarget.objects.create(policy=policy, metric="first_reply", priority=3, seconds=1800)
    SlaTarget.objects.create(policy=policy, metric="resolution", priority=3, seconds=7200, business=False)
    Macro.objects.create(
        title="Refund done", folder="Refunds", scope="shared", owner=people.admin, text="환불해 드렸습니다.",
        deeds=[{"do": "team", "team": people.billing.pk}],
    )  # fmt: skip
    AutomaticAnswer.objects.create(
        channel=people.email, kind="first_contact", active=True, text_en="We have it.", text_ko="받았어요."
    )
    signatures.keep("{{brand.name}}", by=people.admin, brand=people.brand)
    signatures.keep("Support of {{brand.name}}", by=people.admin, brand=people.brand, team=people.support)
    signatures.keep("Mina", by=people.agent)
    return people


def test_ids_of_people_teams_and_skills_become_names(configured: Cast) -> None:
    (rule,) = yaml.safe_load(config_file.export())["rules"]
    assert [leaf["value"] for leaf in rule["if"]["all"]] == [["환불"], ["Support", 0], [configured.agent.email]]
    assert (rule["then"][0]["team"], rule["then"][2]["skill"]) == ("Billing", "Korean")


def test_what_goes_out_comes_in_again_and_changes_nothing(configured: Cast) -> None:
    assert config_file.take_over(config_file.export(), by=configured.admin) == []
    assert (Rule.objects.get().version, SlaPolicy.objects.get().version) == (1, 1)
    assert not AuditEntry.objects.filter(kind="configuration_imported").exists()


def test_an_empty_place_becomes_the_same(configured: Cast) -> None:
    text = config_file.export()
    for model in (Macro, Rule, SlaTarget, SlaPolicy, Skill, AutomaticAnswer):
        model.objects.all().delete()
    Team.objects.update(calendar=None, overflow=None, accept_seconds=None)
    Calendar.objects.all().delete()
    assert config_file.take_over(text, by=configured.admin)
    assert config_file.export() == text


def test_the_order_of_the_text_is_the_order_here(configured: Cast) -> None:
    for place, name in enumerate(("Second", "Third"), start=1):
        Rule.objects.create(name=name, position=place, conditions={}, actions=[{"do": "priority", "priority": 3}])
    content = yaml.safe_load(config_file.export())
    content["rules"] = [content["rules"][1], content["rules"][0]]
    assert config_file.take_over(yaml.safe_dump(content, allow_unicode=True), by=configured.admin)
    assert [rule.name for rule in Rule.objects.order_by("position")] == ["Second", "Refunds", "Third"]
    assert set(Rule.objects.values_list("version", flat=True)) == {1}, "nothing of them has changed"


def test_hours_of_single_cells_survive_and_one_list_means_every_priority(configured: Cast) -> None:
    policy = SlaPolicy.objects.get()
    SlaTarget.objects.create(policy=policy, metric="first_reply", priority=4, seconds=900, business=False)
    text = config_file.export()
    (item,) = yaml.safe_load(text)["policies"]
    assert item["round_the_clock"] == {"urgent": ["first_reply"], "high": ["resolution"]}
    policy.targets.all().delete()
    assert config_file.take_over(text, by=configured.admin)
    assert config_file.export() == text
    newest = policy.versions.get()
    assert (newest.number, newest.content["targets"][1]) == (2, ["first_reply", 4, 900, False])

    item["round_the_clock"] = ["first_reply"]
    config_file.take_over(yaml.safe_dump({"version": 1, "policies": [item]}), by=configured.admin)
    assert set(policy.targets.filter(business=False).values_list("metric", "priority")) == {
        ("first_reply", 3), ("first_reply", 4),
    }  # fmt: skip


def test_what_people_sign_with_themselves_stays_theirs(configured: Cast) -> None:
    content = yaml.safe_load(config_file.export())
    assert [one["text"] for one in content["signatures"]] == ["Support of {{brand.name}}", "{{brand.name}}"]
    content["signatures"][1]["text"] = "The shop"
    config_file.take_over(yaml.safe_dump(content, allow_unicode=True), by=configured.admin)
    assert set(Signature.objects.values_list("text", flat=True)) == {"Support of {{brand.name}}", "The shop", "Mina"}


def test_an_edited_rule_rises_by_one_version_and_is_audited(configured: Cast) -> None:
    content = yaml.safe_load(config_file.export())
    content["rules"][0]["then"][1]["priority"] = 4
    changed = config_file.take_over(yaml.safe_dump(content, allow_unicode=True), by=configured.admin)
    assert any(line.startswith("+") and "priority: 4" in line for line in changed)
    rule = Rule.objects.get()
    assert (rule.version, rule.actions[1]["priority"]) == (2, 4)
    assert AuditEntry.objects.get(kind="configuration_imported").actor == configured.admin


def test_comparing_changes_nothing(configured: Cast) -> None:
    assert config_file.compare("version: 1\nskills: [French]")
    assert list(Skill.objects.values_list("name", flat=True)) == ["Korean"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("][", "no YAML"),
        ("skills: [A]", "version 1"),
        ("version: 1\ncolours: []", "colours"),
        ("version: 1\nrules: {}", "no list"),
        ("version: 1\nrules: [{name: A, then: [{do: team, team: Nowhere}]}]", "no team 'Nowhere'"),
        ("version: 1\nrules: [{name: A}]", "then"),
        ("version: 1\nrules: [{name: A, if: {field: gone, op: is, value: [1]}, then: [{do: tags, add: [a]}]}]", "A"),
        ("version: 1\ncalendars: [{name: A, time_zone: Asia/Seoul, week: {mon: ['9-x']}}]", "Write hours"),
        ("version: 1\npolicies: [{name: A, minutes: {high: {never: 5}}}]", "never"),
        ("version: 1\nanswers: [{channel: nowhere, kind: first_contact}]", "no channel 'nowhere'"),
        ("version: 1\nanswers: [{channel: shop-email, kind: first_contact, active: true, en: Hi}]", "both languages"),
        ("version: 1\nsignatures: [{brand: shop, text: '{{nothing}}'}]", "nothing"),
        ("version: 1\nskills: [French]\nmacros: [{name: A, deeds: [{do: dance}]}]", "A"),
    ],
)
def test_what_does_not_fit_says_where_and_leaves_everything_as_it_was(configured: Cast, text: str, why: str) -> None:
    before = config_file.export()
    with pytest.raises(config_file.Unfit, match=why):
        config_file.take_over(text, by=None)
    assert config_file.export() == before


def test_the_command_shows_first_and_changes_when_it_is_told_to(configured: Cast, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("version: 1\nskills: [French]", encoding="utf-8")

    def say(*words: str) -> str:
        out = StringIO()
        call_command("config", *words, stdout=out)
        return out.getvalue()

    assert "+- French" in say("import", str(file))
    assert not Skill.objects.filter(name="French").exists()
    say("import", str(file), "--apply")
    assert Skill.objects.filter(name="French").exists()
    assert say("import", str(file)) == "Nothing changes.\n"
    assert "- French" in say("export")
    with pytest.raises(CommandError):
        say("import", str(tmp_path / "gone.yaml"))
