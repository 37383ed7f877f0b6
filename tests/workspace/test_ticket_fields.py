"""Ticket fields where people meet them: beside the ticket, before a solve, in macros, rules, the API and the settings."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
import yaml
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent, AuditEntry
from helpdesk import config_file
from tests.api.test_api import Api
from tests.workspace import scene
from tickets import actions, bulk, conditions, grammar, replies
from tickets.models import BulkRow, Draft, Event, Macro, Message, Rule, Ticket, TicketField
from tickets.models.event import by_agent
from tickets.routing import rules, shadows

FRAGMENT = {"HTTP_HX_REQUEST": "true"}
JIWOO = scene.sender("Jiwoo", phone="+821011112222")
SOLVE = {"do": "status", "status": "solved"}


@pytest.fixture
def ticket(cast, now, give_to_support):
    TicketField.objects.create(key="order_id", label="Order number", position=1)
    TicketField.objects.create(key="amount", label="Amount", kind="number", position=2)
    TicketField.objects.create(key="arrives", label="Arrives", kind="date", position=3)
    TicketField.objects.create(key="paid", label="Paid", kind="yes_no", position=4)
    TicketField.objects.create(
        key="reason", label="Reason", kind="choice", choices=["Broken", "Lost, or late"], position=5
    )
    return give_to_support(scene.says(cast.sms, JIWOO, "Where is my parcel?", at=now - timedelta(hours=1)).ticket)


@pytest.fixture
def required(ticket):
    TicketField.objects.filter(key__in=["order_id", "reason"]).update(required=True)
    return ticket


def fields_of(ticket):
    return Ticket.objects.values_list("fields", flat=True).get(pk=ticket.pk)


def status_of(ticket):
    return Ticket.objects.values_list("status", flat=True).get(pk=ticket.pk)


def put(client, ticket, key, value):
    target = {"HTTP_HX_TARGET": f"property-field-{key}"}
    return client.post(f"/tickets/{ticket.pk}/fields/{key}/", {"value": value}, **FRAGMENT, **target)


# -- Beside the ticket --------------------------------------------------------------------------------------------------


def test_each_field_stands_there_in_its_kind_and_in_its_order(cast, mina, ticket):
    TicketField.objects.create(key="elsewhere", label="Elsewhere", team=cast.billing)
    TicketField.objects.create(key="gone", label="Gone", active=False)
    page = mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content.decode()
    places = [page.index(f'id="property-field-{key}"') for key in ("order_id", "amount", "arrives", "paid", "reason")]
    assert places == sorted(places)
    assert 'inputmode="decimal"' in page and 'type="date"' in page
    assert 'id="property-field-reason-menu"' in page and "Lost, or late" in page
    assert "Elsewhere" not in page and "Gone" not in page


def test_no_page_asks_for_the_fields_by_a_query_of_its_own(mina, ticket):
    def asked():
        with CaptureQueriesContext(connection) as seen:
            assert mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).status_code == 200
        return len(seen)

    asked()  # and read
    with_some = asked()
    TicketField.objects.update(required=True)
    assert asked() == with_some
    TicketField.objects.all().delete()
    assert asked() == with_some


@pytest.mark.parametrize(
    "key, written, kept",
    [("order_id", " A-1 ", "A-1"), ("amount", "1,200", 1200), ("arrives", "2026-12-24", "2026-12-24"),
     ("paid", "false", False), ("reason", "Lost, or late", "Lost, or late")],
)  # fmt: skip
def test_a_value_is_saved_at_once_told_and_can_be_taken_back(mina, ticket, key, written, kept):
    answer = put(mina, ticket, key, written)
    assert answer.status_code == 200 and fields_of(ticket) == {key: kept}
    assert f'id="property-field-{key}"' in answer.content.decode()
    toast = json.loads(answer["HX-Trigger"])["toast"]
    assert TicketField.objects.get(key=key).label in toast["message"]
    assert mina.post(toast["undo"], **FRAGMENT).status_code == 200
    assert fields_of(ticket) == {}


def test_what_cannot_be_kept_stays_where_it_was_typed_with_the_reason(cast, mina, sign_in, ticket):
    answer = put(mina, ticket, "amount", "many")
    body = answer.content.decode()
    assert answer.status_code == 422 and "HX-Trigger" not in answer
    assert 'value="many"' in body and 'aria-invalid="true"' in body and "write a number" in body
    assert fields_of(ticket) == {}
    Agent.objects.filter(pk=cast.agent.pk).update(language="ko")
    cast.agent.refresh_from_db()
    assert "숫자" in put(sign_in(cast.agent), ticket, "amount", "many").content.decode()


def test_one_is_a_number_and_not_yes(mina, ticket):
    assert 'value="1"' in put(mina, ticket, "amount", "1").content.decode()


def test_a_value_that_a_list_has_no_longer_is_still_shown(mina, ticket):
    Ticket.objects.filter(pk=ticket.pk).update(fields={"reason": "Of earlier days"})
    assert "Of earlier days" in mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content.decode()


def test_only_who_may_answer_may_fill_in_and_only_what_there_is(cast, mina, sign_in, ticket):
    assert put(mina, ticket, "unheard_of", "x").status_code == 404
    assert put(sign_in(cast.outsider), ticket, "order_id", "x").status_code == 404
    Agent.objects.filter(pk=cast.agent.pk).update(role="light")
    cast.agent.refresh_from_db()
    assert put(sign_in(cast.agent), ticket, "order_id", "x").status_code == 403
    assert fields_of(ticket) == {}


# -- Before a solve -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where, posted", [("solution", {}), ("status", {"status": "solved"})])
def test_the_browser_is_led_to_the_first_field_that_lacks(mina, required, where, posted):
    refused = mina.post(f"/tickets/{required.pk}/{where}/", posted, **FRAGMENT)
    wanted = json.loads(refused["HX-Trigger"])["property:wanted"]
    assert refused.status_code == 422 and wanted["place"] == "property-field-order_id"
    assert "Order number, Reason" in wanted["said"]
    put(mina, required, "order_id", "A-1")
    wanted = json.loads(mina.post(f"/tickets/{required.pk}/{where}/", posted, **FRAGMENT)["HX-Trigger"])
    assert wanted["property:wanted"]["place"] == "property-field-reason"
    put(mina, required, "reason", "Broken")
    assert mina.post(f"/tickets/{required.pk}/{where}/", posted, **FRAGMENT).status_code == 200
    assert status_of(required) == "solved"


def test_the_properties_say_which_are_needed_until_they_are_there(mina, required):
    page = mina.get(f"/tickets/{required.pk}/", **FRAGMENT).content.decode()
    assert page.count("data-lacks") == 2 and "Needed before a solve" in page
    assert "data-lacks" not in put(mina, required, "order_id", "A-1").content.decode()


def send(client, ticket, *, to="replies", **more):
    route = replies.routes_for(ticket, now=ticket.created_at)[0].key
    words = {"text": "It is there.", "client_uuid": uuid.uuid4(), "last_seen_message_id": ticket.last_message_id}
    return client.post(f"/tickets/{ticket.pk}/{to}/", words | {"route": route} | more, **FRAGMENT)


def test_send_and_solve_stops_in_the_strip_and_leads_to_the_field(mina, required):
    stopped = send(mina, required, then="solved")
    body = stopped.content.decode()
    assert stopped.status_code == 422 and 'data-wants="property-field-order_id"' in body and "Order number" in body
    assert not Message.objects.filter(direction="out").exists() and not Draft.objects.exists()


def test_a_macro_that_fills_in_what_is_needed_solves(cast, mina, required):
    fills = {"do": "fields", "fields": {"order_id": "A-1", "reason": "Broken"}}
    half = Macro.objects.create(
        title="Half", owner=cast.agent, deeds=[{"do": "fields", "fields": {"order_id": "A-1"}}, SOLVE]
    )
    stopped = send(mina, required, macro=half.pk, deed=["0", "1"])
    assert stopped.status_code == 422 and 'data-wants="property-field-reason"' in stopped.content.decode()
    assert fields_of(required) == {}
    whole = Macro.objects.create(title="Whole", owner=cast.agent, deeds=[fills, SOLVE])
    assert send(mina, required, macro=whole.pk, deed=["0", "1"]).status_code == 201
    assert (status_of(required), fields_of(required)) == ("solved", fills["fields"])


def test_of_many_those_that_lack_something_stay_and_say_what(cast, mina, required, now):
    other = scene.says(cast.sms, scene.sender("Ara", phone="+821099990000"), "Hi", at=now).ticket
    Ticket.objects.filter(pk=other.pk).update(team=cast.support, fields={"order_id": "B-2", "reason": "Broken"})
    mina.post("/bulk/", {"do": "status", "value": "solved", "ids": f"{required.pk},{other.pk}"})
    bulk.drain(seconds=60, now=now + timedelta(minutes=1))
    assert dict(BulkRow.objects.values_list("ticket", "state")) == {required.pk: "failed", other.pk: "done"}
    assert "Order number, Reason" in BulkRow.objects.get(ticket=required).error


# -- Programs -----------------------------------------------------------------------------------------------------------


def test_the_api_shows_and_takes_values_and_says_what_is_wrong(cast, required):
    api = Api(cast.agent)
    listed = api("GET", "ticket-fields/").json()["data"]
    assert [one["key"] for one in listed] == ["order_id", "amount", "arrives", "paid", "reason"]
    refused = api("PATCH", f"tickets/{required.pk}/", {"fields": {"order_id": "A-1", "amount": "many"}})
    assert refused.status_code == 400 and refused.json()["errors"][0]["pointer"] == "/fields/amount"
    assert fields_of(required) == {}
    lacking = api("PATCH", f"tickets/{required.pk}/", {"fields": {"order_id": "A-1"}, "status": "solved"})
    assert lacking.status_code == 422 and "Reason" in lacking.json()["detail"]
    assert fields_of(required) == {}, "all or nothing"
    filled = {"order_id": "A-1", "amount": 12.5, "paid": False, "reason": "Broken"}
    answer = api("PATCH", f"tickets/{required.pk}/", {"fields": filled, "status": "solved"})
    assert (answer.status_code, answer.json()["fields"]) == (200, filled)
    assert api("PATCH", f"tickets/{required.pk}/", {"fields": {"paid": None}}).json()["fields"].keys() == {
        "order_id", "amount", "reason",
    }  # fmt: skip
    assert Event.objects.filter(kind="fields_changed").count() == 2


# -- Rules and macros ---------------------------------------------------------------------------------------------------


def test_a_rule_fills_in_and_the_next_one_sees_it(cast, sign_in, ticket, now):
    admin = sign_in(cast.admin)
    said = {"name": "Fill", "when": "created", "active": "on", "do-field-amount": "12", "do-field-paid": "true"}
    assert admin.post("/settings/rules/new/", said).status_code == 302
    rule = Rule.objects.get()
    assert rule.actions == [{"do": "fields", "fields": {"amount": 12, "paid": True}}]
    page = admin.get(f"/settings/rules/{rule.pk}/").content.decode()
    assert 'name="do-field-amount" value="12"' in page
    listed = admin.get("/settings/rules/").content.decode()
    assert "Amount → 12" in listed and "Paid → Yes" in listed
    sees = Rule.objects.create(
        name="Sees", position=2, conditions={"field": "field.amount", "op": "at_least", "value": "10"},
        actions=[{"do": "priority", "priority": 4}],
    )  # fmt: skip
    Rule.objects.update(active=True)
    rules.run(actions.lock(ticket.pk), when="created", now=now)
    ticket.refresh_from_db()
    assert (ticket.fields, ticket.priority) == ({"amount": 12, "paid": True}, 4)
    assert shadows.changed_by([Rule.objects.get(pk=rule.pk)]) == {"field.amount", "field.paid"}
    TicketField.objects.filter(key="amount").update(active=False)
    Ticket.objects.filter(pk=ticket.pk).update(fields={})
    rules.run(actions.lock(ticket.pk), when="created", only=Rule.objects.get(pk=rule.pk), now=now)
    assert fields_of(ticket) == {"paid": True} and sees.active


def test_a_rule_takes_no_value_that_is_not_of_its_kind(cast, sign_in, ticket):
    said = {"name": "Fill", "when": "created", "active": "on", "do-field-amount": "many"}
    refused = sign_in(cast.admin).post("/settings/rules/new/", said)
    assert refused.status_code == 422 and "write a number" in refused.content.decode()


def test_a_macro_is_written_with_fields_and_says_them(cast, mina, ticket):
    said = {
        "title": "Paid",
        "kind": "reply",
        "scope": "personal",
        "text": "",
        "do-field-paid": "true",
        "do-field-reason": "Lost, or late",
    }
    assert mina.post("/settings/macros/new/", said).status_code == 302
    macro = Macro.objects.get()
    assert macro.deeds == [{"do": "fields", "fields": {"paid": True, "reason": "Lost, or late"}}]
    assert "Paid: Yes, Reason: Lost, or late" in mina.get("/settings/macros/").content.decode()
    page = mina.get(f"/settings/macros/{macro.pk}/").content.decode()
    assert '<option value="Lost, or late" selected>' in page
    form = {"macro": macro.pk, "deed": ["0"], "client_uuid": uuid.uuid4()}
    assert mina.post(f"/tickets/{ticket.pk}/macro-uses/", form, **FRAGMENT).status_code == 201
    assert fields_of(ticket) == {"paid": True, "reason": "Lost, or late"}


# -- Conditions ---------------------------------------------------------------------------------------------------------


def test_the_builder_asks_for_each_field_as_what_it_is(cast, sign_in, ticket):
    admin = sign_in(cast.admin)

    def row(key):
        return admin.get("/settings/rules/condition/", {"field": f"field.{key}", "n": "0"}).content.decode()

    assert '<option value="field.reason" selected>Reason</option>' in row("reason")
    assert 'type="checkbox"' in row("reason") and 'type="checkbox"' in row("paid")
    assert 'value="at_least"' in row("amount") and 'value="between"' not in row("amount")
    assert 'value="between"' in row("arrives") and 'value="is"' not in row("arrives")
    assert 'value="at_least"' not in row("order_id") and 'name="cond-0-key"' not in row("order_id")
    posted = {
        "name": "Fields", "when": "created", "active": "on", "do-priority": "3", "cond": ["0", "1", "2", "3"],
        "cond-0-field": "field.reason", "cond-0-op": "is", "cond-0-value": ["Lost, or late"],
        "cond-1-field": "field.amount", "cond-1-op": "at_least", "cond-1-value": "12.5",
        "cond-2-field": "field.arrives", "cond-2-op": "between", "cond-2-value": "2026-09-01, today",
        "cond-3-field": "field.order_id", "cond-3-op": "is_not", "cond-3-value": "A-1, A-2",
    }  # fmt: skip
    assert admin.post("/settings/rules/new/", posted).status_code == 302
    tree = {
        "all": [
            {"field": "field.reason", "op": "is", "value": ["Lost, or late"]},
            {"field": "field.amount", "op": "at_least", "value": "12.5"},
            {"field": "field.arrives", "op": "between", "value": ["2026-09-01", "today"]},
            {"field": "field.order_id", "op": "is_not", "value": ["A-1", "A-2"]},
        ]
    }
    assert Rule.objects.get().conditions == tree
    text = 'field.reason:"Lost, or late" field.amount>=12.5 field.arrives:2026-09-01..today -field.order_id:A-1,A-2'
    assert grammar.text_of(tree) == text and grammar.parse(text).tree == tree
    page = admin.get(f"/settings/rules/{Rule.objects.get().pk}/").content.decode()
    assert 'value="2026-09-01, today"' in page and 'name="cond-1-value" value="12.5"' in page


def test_the_search_box_offers_fields_and_their_values(mina, ticket):
    assert ("field.reason", "Reason") in grammar.own_keys_like("reas")
    assert ("field.amount", "Amount") in grammar.own_keys_like("field.am")
    assert [label for _written, label in grammar.values_like("field.reason", "los")] == ["Lost, or late"]
    assert [written for written, _label in grammar.values_like("field.paid", "")] == ["true", "false"]
    actions.set_fields(ticket, {"amount": 20}, by=by_agent(ticket.team.agents.first()), now=ticket.created_at)
    found = Ticket.objects.filter(conditions.to_q(grammar.parse("field.amount>=20 -field.paid:true").tree))
    assert list(found) == [ticket]


# -- The settings -------------------------------------------------------------------------------------------------------


NEW = {
    "label": "사유",
    "key": "",
    "kind": "choice",
    "listed": "Broken\n\n Lost \nBroken",
    "brand": "",
    "team": "",
    "active": "on",
}


def test_an_admin_adds_edits_and_switches_off_a_field(cast, sign_in):
    admin = sign_in(cast.admin)
    assert "No fields yet" in admin.get("/settings/fields/").content.decode()
    assert admin.post("/settings/fields/new/", NEW | {"required": "on"}).status_code == 302
    made = TicketField.objects.get()
    assert (made.key, made.choices, made.required, made.active) == ("field", ["Broken", "Lost"], True, True)
    changed = {"label": "Reason", "listed": "Broken", "kind": "text", "key": "other", "team": cast.billing.pk}
    assert admin.post(f"/settings/fields/{made.pk}/", changed).status_code == 302
    made.refresh_from_db()
    assert (made.key, made.kind, made.choices, made.team) == ("field", "choice", ["Broken"], cast.billing)
    assert not made.active and "Switched off" in admin.get("/settings/fields/").content.decode()
    assert set(AuditEntry.objects.values_list("kind", flat=True)) >= {"ticket_field_added", "ticket_field_changed"}
    assert admin.post("/settings/fields/new/", NEW | {"label": "Order Number", "kind": "text"}).status_code == 302
    assert TicketField.objects.get(label="Order Number").key == "order_number"


@pytest.mark.parametrize(
    "wrong, where",
    [({"label": " "}, "label"), ({"key": "Order id"}, "key"), ({"key": "taken"}, "key"), ({"listed": " \n"}, "listed"),
     ({"listed": "x" * 81}, "listed"), ({"kind": "colour"}, "kind")],
)  # fmt: skip
def test_what_does_not_fit_is_told_at_its_place(cast, sign_in, wrong, where):
    TicketField.objects.create(key="taken", label="Taken")
    refused = sign_in(cast.admin).post("/settings/fields/new/", NEW | wrong)
    assert refused.status_code == 422 and where in refused.context["form"].errors
    assert TicketField.objects.count() == 1


def test_the_order_is_saved_as_one_step_and_others_may_not(cast, mina, sign_in, ticket):
    ids = list(TicketField.objects.order_by("position").values_list("pk", flat=True))
    turned = ",".join(map(str, reversed(ids)))
    assert mina.get("/settings/fields/").status_code == 403
    assert mina.post("/settings/fields/order/", {"order": turned}).status_code == 403
    admin = sign_in(cast.admin)
    assert admin.post("/settings/fields/order/", {"order": turned}).status_code == 200
    assert list(TicketField.objects.order_by("position").values_list("pk", flat=True)) == ids[::-1]
    assert admin.post("/settings/fields/order/", {"order": "1"}).status_code == 409


def test_the_configuration_carries_them_in_their_order(cast, ticket):
    TicketField.objects.filter(key="reason").update(team=cast.support, brand=cast.brand, required=True)
    text = config_file.export()
    assert config_file.take_over(text, by=cast.admin) == []
    TicketField.objects.all().delete()
    assert config_file.take_over(text, by=cast.admin)
    assert config_file.export() == text
    content = yaml.safe_load(text)
    content["fields"].reverse()
    config_file.take_over(yaml.safe_dump(content, allow_unicode=True), by=cast.admin)
    assert list(TicketField.objects.order_by("position").values_list("key", flat=True)) == [
        "reason", "paid", "arrives", "amount", "order_id",
    ]  # fmt: skip
    with pytest.raises(config_file.Unfit, match=r"fields, reason: .*'choice' already"):
        config_file.take_over("version: 1\nfields: [{key: reason, kind: text}]", by=cast.admin)
