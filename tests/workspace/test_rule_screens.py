"""The screens of rules: the builder as rows and as text, everything a rule can do, its history, and who may."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Agent, AuditEntry
from tests import cast
from tests.cast import Cast
from tests.workspace import scene
from tickets import conditions
from tickets.models import Macro, Rule, SlaPolicy, Ticket, Webhook
from tickets.workspace import building

pytestmark = pytest.mark.django_db

REFUND = {"field": "text", "op": "contains", "value": ["refund", "환불"]}
VIP = {"field": "customer_tier", "op": "is", "value": ["vip"]}
HIGH = {"field": "priority", "op": "at_least", "value": 3}
NESTED = {"all": [REFUND, {"any": [VIP, HIGH]}]}
ROWS = {
    "cond": ["0", "(1", "2", "3", ")"], "group": "all", "group-1": "any",
    "cond-0-field": "text", "cond-0-op": "contains", "cond-0-value": "refund, 환불",
    "cond-2-field": "customer_tier", "cond-2-op": "is", "cond-2-value": ["vip"],
    "cond-3-field": "priority", "cond-3-op": "at_least", "cond-3-value": "3",
}  # fmt: skip


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


@pytest.fixture
def admin(people: Cast) -> Client:
    return as_(people.admin)


def as_(agent: Any) -> Client:
    client = Client()
    client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
    return client


def form(**fields: Any) -> dict[str, Any]:
    return {"name": "Refunds", "when": "created", "active": "on", "do-priority": "3"} | fields


def test_rows_and_groups_are_kept_in_their_order(admin: Client) -> None:
    assert admin.post("/settings/rules/new/", form(**ROWS)).status_code == 302
    assert Rule.objects.get().conditions == NESTED
    moved = ROWS | {"cond": ["(1", "3", ")", "2", "0"], "group-1": "none"}
    admin.post(f"/settings/rules/{Rule.objects.get().pk}/", form(**moved))
    assert Rule.objects.get().conditions == {"all": [{"none": [HIGH]}, VIP, REFUND]}


def test_keys_of_ones_own_are_offered_and_any_can_be_written(admin: Client, people: Cast) -> None:
    (made,) = scene.many(people, 1, now=timezone.now())
    Ticket.objects.filter(pk=made.pk).update(fields={"order_id": "1"})
    type(made.customer).objects.filter(pk=made.customer_id).update(attributes={"plan": "gold"})
    for field, known in (("field.", "order_id"), ("customer.", "plan")):
        row = admin.get("/settings/rules/condition/", {"field": field, "n": "0"}).content.decode()
        assert 'name="cond-0-key"' in row and f'<option value="{known}">' in row
    own = {
        "cond": ["0", "1", "2", "3"], "cond-0-field": "field.", "cond-0-key": " order id ", "cond-0-op": "is", "cond-0-value": "7, A-1",
        "cond-1-field": "customer.", "cond-1-key": "plan", "cond-1-op": "is_not", "cond-1-value": "free",
        "cond-2-field": "sla", "cond-2-op": "within", "cond-2-value": "2h",
        "cond-3-field": "created", "cond-3-op": "before", "cond-3-value": "7d",
    }  # fmt: skip
    tree = {
        "all": [
            {"field": "field.order id", "op": "is", "value": ["7", "A-1"]},
            {"field": "customer.plan", "op": "is_not", "value": ["free"]},
            {"field": "sla", "op": "within", "value": "2h"},
            {"field": "created", "op": "before", "value": "7d"},
        ]
    }
    assert admin.post("/settings/rules/new/", form(**own)).status_code == 302
    rule = Rule.objects.get()
    assert rule.conditions == tree
    page = admin.get(f"/settings/rules/{rule.pk}/").content.decode()
    assert 'value="order id"' in page and 'value="7, A-1"' in page
    text = 'field."order id":7,A-1 -customer.plan:free sla:<2h created<7d'
    assert admin.post(f"/settings/rules/{rule.pk}/", form(mode="text", conditions=text)).status_code == 302
    rule.refresh_from_db()
    assert rule.conditions == tree


def test_a_field_without_its_key_is_asked_for_it(admin: Client) -> None:
    own = {"cond": "0", "cond-0-field": "field.", "cond-0-key": "", "cond-0-op": "is", "cond-0-value": "7"}
    answer = admin.post("/settings/rules/new/", form(**own))
    assert answer.status_code == 422
    assert "Write the key of the field" in answer.content.decode()
    assert 'name="cond-0-key"' in answer.content.decode()


def test_a_group_that_was_left_empty_asks_nothing(admin: Client) -> None:
    admin.post("/settings/rules/new/", form(**ROWS | {"cond": ["0", "(1", ")"]}))
    assert Rule.objects.get().conditions == {"all": [REFUND]}


def test_the_page_shows_a_nested_rule_as_the_rows_that_it_came_from(admin: Client) -> None:
    rule = Rule.objects.create(name="Refunds", conditions=NESTED, actions=[{"do": "priority", "priority": 3}])
    page = admin.get(f"/settings/rules/{rule.pk}/").content.decode()
    order = [part.split('"')[0] for part in page.split('name="cond" value="')[1:]]
    assert order == ["0", "(1", "2", "3", ")"]
    assert 'value="refund, 환불"' in page


def test_the_text_says_the_same_as_the_rows(admin: Client) -> None:
    written = admin.post("/settings/rules/builder/", ROWS | {"as": "text"}).content.decode()
    assert "text:refund,환불 (tier:vip OR priority&gt;=high)" in written
    text = "text:refund,환불 (tier:vip OR priority>=high)"
    rows = admin.post("/settings/rules/builder/", {"mode": "text", "conditions": text, "as": "rows"}).content.decode()
    assert 'value="(1"' in rows and 'name="mode"' not in rows
    assert admin.post("/settings/rules/new/", form(mode="text", conditions=text)).status_code == 302
    assert Rule.objects.get().conditions == NESTED


def test_a_word_by_itself_is_what_the_customer_wrote(admin: Client) -> None:
    admin.post("/settings/rules/new/", form(mode="text", conditions='refund -"no thanks"'))
    assert Rule.objects.get().conditions == {
        "all": [
            {"field": "text", "op": "contains", "value": ["refund"]},
            {"field": "text", "op": "contains_not", "value": ["no thanks"]},
        ]
    }


@pytest.mark.parametrize(
    ("text", "token"),
    [("tier:vip staus:open", "staus:open"), ("is:unread", "is:unread"), ("assignee:me", "assignee:me")],
)
def test_what_cannot_be_asked_is_marked_and_nothing_is_saved(admin: Client, text: str, token: str) -> None:
    said = admin.post("/settings/rules/builder/", {"mode": "text", "conditions": text, "as": "sentence"})
    assert f"<mark>{token}</mark>" in said.content.decode()
    answer = admin.post("/settings/rules/new/", form(mode="text", conditions=text))
    assert answer.status_code == 422
    assert f">{text}</textarea>" in answer.content.decode()
    assert not Rule.objects.exists()


OF_A_RUN = {
    "all": [
        {"field": "said", "op": "contains", "value": ["cancel"]},
        {"field": "percent", "op": "at_least", "value": 75},
        {"field": "waiting", "op": "at_least", "value": "2h"},
        {"field": "snoozed", "op": "is_not", "value": True},
        {"field": "promise", "op": "is", "value": ["first_reply"]},
        {"field": "incident", "op": "is", "value": [0]},
    ]
}


def test_everything_that_a_rule_can_ask_is_offered(admin: Client) -> None:
    offered = [name for names in building.OFFERED.values() for name in names]
    assert len(offered) == len(set(offered))
    assert set(offered) == {*conditions.FIELDS, *conditions.OF_THE_MOMENT, *conditions.CUSTOM}
    for name in offered:
        row = admin.get("/settings/rules/condition/", {"field": name, "n": "0", "of": "rule"}).content.decode()
        assert f'<option value="{name}" selected>' in row, name


def test_what_was_written_as_text_comes_back_as_the_rows_that_say_it(admin: Client) -> None:
    text = "said:cancel sla_used>=75 waiting>=2h -is:snoozed promise:first-reply incident:none"
    assert admin.post("/settings/rules/new/", form(mode="text", conditions=text)).status_code == 302
    rule = Rule.objects.get()
    assert rule.conditions == OF_A_RUN
    page = admin.get(f"/settings/rules/{rule.pk}/").content.decode()
    for n, leaf in enumerate(OF_A_RUN["all"]):
        row = page.split(f'id="condition-{n}"')[1].split("condition__tools")[0]
        assert f'<option value="{leaf["field"]}" selected>' in row and f'<option value="{leaf["op"]}" selected>' in row
    rows: dict[str, Any] = {"cond": [str(n) for n in range(6)], "group": "all"}
    values = ["cancel", "75", "2h", None, "first_reply", "0"]
    for n, (leaf, value) in enumerate(zip(OF_A_RUN["all"], values, strict=True)):
        rows |= {f"cond-{n}-field": leaf["field"], f"cond-{n}-op": leaf["op"]}
        rows |= {f"cond-{n}-value": value} if value else {}
    rule.conditions = {}
    rule.save()
    assert admin.post(f"/settings/rules/{rule.pk}/", form(**rows)).status_code == 302
    rule.refresh_from_db()
    assert rule.conditions == OF_A_RUN


def test_times_zones_and_authors_are_chosen_in_rows(admin: Client, people: Cast) -> None:
    rows = {
        "cond": ["0", "1", "2"], "cond-0-field": "daytime", "cond-0-op": "is", "cond-0-value": "9-12, 13:00-18:00", "cond-0-zone": "",
        "cond-1-field": "weekday", "cond-1-op": "is_not", "cond-1-value": ["6", "7"], "cond-1-zone": "Asia/Seoul",
        "cond-2-field": "said_by", "cond-2-op": "is", "cond-2-value": ["customer", str(people.agent.pk)],
    }  # fmt: skip
    tree = {
        "all": [
            {"field": "daytime", "op": "is", "value": ["09:00-12:00", "13:00-18:00"]},
            {"field": "weekday", "op": "is_not", "value": [6, 7], "zone": "Asia/Seoul"},
            {"field": "said_by", "op": "is", "value": ["customer", people.agent.pk]},
        ]
    }
    assert admin.post("/settings/rules/new/", form(**rows)).status_code == 302
    rule = Rule.objects.get()
    assert rule.conditions == tree
    page = admin.get(f"/settings/rules/{rule.pk}/").content.decode()
    assert 'value="09:00-12:00, 13:00-18:00"' in page and '<option value="Asia/Seoul" selected>' in page
    for wrong in ({"cond-0-value": "late"}, {"cond-1-zone": "Asia/Soul"}, {"cond-2-value": ["99999"]}):
        assert admin.post(f"/settings/rules/{rule.pk}/", form(**rows | wrong)).status_code == 422
    text = building.context(tree, mode=building.TEXT, of_rule=True)["text"]
    assert admin.post(f"/settings/rules/{rule.pk}/", form(mode="text", conditions=text)).status_code == 302
    rule.refresh_from_db()
    assert rule.conditions == tree


def test_a_policy_is_not_asked_what_made_a_rule_run(admin: Client) -> None:
    for of, path, offered in (("rule", "rules", True), ("policy", "sla", False)):
        assert f'name="of" value="{of}"' in admin.get(f"/settings/{path}/new/").content.decode()
        row = admin.get("/settings/rules/condition/", {"field": "text", "n": "0", "of": of}).content.decode()
        assert 'value="waiting"' in row and ('value="said"' in row) is offered
    of = {"as": "sentence", "mode": "text", "conditions": "said:cancel"}
    assert "Only a rule" in admin.post("/settings/rules/builder/", of | {"of": "policy"}).content.decode()
    assert "Only a rule" not in admin.post("/settings/rules/builder/", of | {"of": "rule"}).content.decode()


def test_the_sentence_is_said_while_one_chooses(admin: Client) -> None:
    said = admin.post("/settings/rules/builder/", ROWS | {"as": "sentence"}).content.decode()
    assert "if Text contains “refund” or “환불” and (Customer’s tier is VIP or Priority is at least High)" in said


def test_what_is_nested_deeper_is_text_and_stays_so(admin: Client) -> None:
    deep = {"all": [REFUND, {"any": [VIP, {"all": [HIGH, {"field": "channel", "op": "is", "value": ["sms"]}]}]}]}
    rule = Rule.objects.create(name="Deep", conditions=deep, actions=[{"do": "priority", "priority": 3}])
    page = admin.get(f"/settings/rules/{rule.pk}/").content.decode()
    assert "nested deeper" in page
    text = building.context(deep)["text"]
    admin.post(f"/settings/rules/{rule.pk}/", form(mode="text", conditions=text))
    rule.refresh_from_db()
    assert (rule.version, rule.conditions) == (2, deep)


def test_everything_that_a_rule_can_do_survives_the_form(admin: Client, people: Cast) -> None:
    policy = SlaPolicy.objects.create(name="One hour")
    macro = Macro.objects.create(title="Sorry", scope="shared", owner=people.admin, text="Sorry")
    hook = Webhook.objects.create(url="https://example.org/", secrets={"current": "whsec_eA=="})
    posted = form(
        **{
            "do-team": people.support.pk, "do-agent": people.agent.pk, "do-tags": "a, b", "do-untag": "c",
            "do-sla": policy.pk, "do-status": "pending", "do-note": "Look", "do-reply": "Thanks",
            "do-macro": macro.pk, "do-webhook": hook.pk, "do-notify-teams": [people.support.pk],
            "do-notify-agents": [people.agent.pk],
        }
    )  # fmt: skip
    assert admin.post("/settings/rules/new/", posted).status_code == 302
    rule = Rule.objects.get()
    assert [action["do"] for action in rule.actions] == [
        "team", "agent", "priority", "tags", "sla", "status", "note", "reply", "macro", "webhook", "notify",
    ]  # fmt: skip
    page = admin.get(f"/settings/rules/{rule.pk}/").content.decode()
    for sign in (">Thanks</textarea>", ">Look</textarea>", 'value="a, b"', 'value="c"'):
        assert sign in page
    listed = admin.get("/settings/rules/").content.decode()
    assert "SLA → One hour" in listed and "Tell Mina, Support" in listed


def test_tickets_are_offered_to_people_who_may_reply_only_and_anybody_is_told(admin: Client, people: Cast) -> None:
    light = cast.make_agent("Lia", role=Agent.Role.LIGHT)
    page = admin.get("/settings/rules/new/")
    assert light in page.context["agents"] and light not in page.context["answerers"]
    assert people.agent in page.context["answerers"]
    refused = admin.post("/settings/rules/new/", form(**{"do-agent": light.pk}))
    assert refused.status_code == 422 and not Rule.objects.exists()
    assert "Lia may not reply" in refused.content.decode()
    assert light in refused.context["answerers"], "what was chosen stays to be seen"


def test_a_rule_of_time_needs_its_time(admin: Client) -> None:
    answer = admin.post("/settings/rules/new/", form(when="unanswered", after=""))
    assert answer.status_code == 422 and not Rule.objects.exists()
    assert admin.post("/settings/rules/new/", form(when="unanswered", after="24h", business="on")).status_code == 302
    rule = Rule.objects.get()
    assert (rule.after_minutes, rule.business) == (1440, True)
    assert 'value="1d"' in admin.get(f"/settings/rules/{rule.pk}/").content.decode()
    assert "answer: 1d of business time" in admin.get("/settings/rules/").content.decode()


def test_only_what_the_past_can_tell_is_tried_on_it(admin: Client) -> None:
    answer = admin.post("/settings/rules/trials/", form(when="rated"), follow=True)
    assert "can be tried on the past" in answer.content.decode()


def test_the_history_shows_what_changed_and_brings_it_back(admin: Client, people: Cast) -> None:
    admin.post("/settings/rules/new/", form())
    rule = Rule.objects.get()
    admin.post(f"/settings/rules/{rule.pk}/", form(**{"do-priority": "4"}))
    page = admin.get(f"/settings/rules/{rule.pk}/").content.decode()
    assert "<del>then Priority → High</del>" in page and "<ins>then Priority → Urgent</ins>" in page
    assert people.admin.name in page
    answer = admin.post(f"/settings/rules/{rule.pk}/version/", {"version": "1"}, follow=True)
    assert "Version 1 is back" in answer.content.decode()
    rule.refresh_from_db()
    assert (rule.version, rule.actions) == (3, [{"do": "priority", "priority": 3}])
    assert admin.post(f"/settings/rules/{rule.pk}/version/", {"version": "9"}).status_code == 404


def test_the_list_warns_and_costs_as_many_queries_for_more_rules(admin: Client, people: Cast) -> None:
    old = timezone.now() - timedelta(days=60)

    def add(n: int) -> None:
        Rule.objects.create(
            name=f"Rule {n}", position=n, conditions={"all": [VIP]}, stop=True, updated_at=old,
            actions=[{"do": "team", "team": people.support.pk}, {"do": "priority", "priority": 3}],
        )  # fmt: skip

    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert admin.get("/settings/rules/").status_code == 200
        return len(asked)

    add(0)
    add(1)
    cost()
    before = cost()
    for n in range(2, 7):
        add(n)
    assert cost() == before
    page = admin.get("/settings/rules/").content.decode()
    assert "rule 1 (Rule 0) stops whenever" in page
    assert "It has not held once in 30 days." in page


def test_rules_are_for_admins(people: Cast) -> None:
    rule = Rule.objects.create(name="Refunds", conditions={}, actions=[{"do": "priority", "priority": 3}])
    client = as_(people.agent)
    for path in (f"/settings/rules/{rule.pk}/version/", "/settings/rules/builder/"):
        assert client.post(path, {"version": "1"}).status_code == 403


@pytest.mark.parametrize(("model", "path"), [(Rule, "rules"), (SlaPolicy, "sla")])
def test_an_order_is_saved_as_one_step(admin: Client, model: Any, path: str) -> None:
    first, second, third = (model.objects.create(name=name, position=n) for n, name in enumerate("ABC"))
    wanted = [third.pk, first.pk, second.pk]
    shown = admin.post(f"/settings/{path}/order/", {"order": ",".join(map(str, wanted))})
    assert shown.status_code == 200
    places = [shown.content.decode().index(f'data-key="{pk}"') for pk in wanted]
    assert places == sorted(places)
    assert list(model.objects.order_by("position").values_list("pk", flat=True)) == wanted
    entry = AuditEntry.objects.get(kind__endswith="_ordered")
    assert entry.facts == {"order": wanted}
    admin.post(f"/settings/{path}/order/", {"order": ",".join(map(str, wanted))})
    assert AuditEntry.objects.filter(kind__endswith="_ordered").count() == 1, "nothing has changed"


@pytest.mark.parametrize("order", ["", "1,1", "x", "{first}", "{first},{second},999999"])
def test_an_order_of_others_than_are_there_changes_nothing(admin: Client, order: str) -> None:
    first, second = (Rule.objects.create(name=name, position=n, actions=[]) for n, name in enumerate("AB"))
    answer = admin.post("/settings/rules/order/", {"order": order.format(first=first.pk, second=second.pk)})
    assert answer.status_code == 409
    assert list(Rule.objects.order_by("position")) == [first, second]


def test_the_buttons_move_without_scripts(admin: Client) -> None:
    first, second = (Rule.objects.create(name=name, position=n, actions=[]) for n, name in enumerate("AB"))
    admin.post(f"/settings/rules/{second.pk}/position/", {"direction": "up"})
    assert list(Rule.objects.order_by("position")) == [second, first]
    assert admin.post("/settings/rules/999999/position/", {"direction": "up"}).status_code == 404


def test_a_rule_that_is_switched_on_has_its_month_from_then(admin: Client) -> None:
    long_ago = timezone.now() - timedelta(days=40)
    rule = Rule.objects.create(
        name="Old", active=False, updated_at=long_ago, actions=[{"do": "priority", "priority": 3}]
    )
    admin.post(f"/settings/rules/{rule.pk}/active/", {"untried": "on"})
    assert "not held once" not in admin.get("/settings/rules/").content.decode()
    Rule.objects.update(updated_at=long_ago)
    assert "not held once" in admin.get("/settings/rules/").content.decode()
