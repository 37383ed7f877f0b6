"""A team that wants a tag on a ticket before it is solved: asked of people on every way, and of nobody else."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from agents.models import Agent, AuditEntry, Team
from helpdesk import config_file
from tests.api.test_api import Api
from tests.workspace import scene
from tickets import actions, bulk, replies
from tickets.models import BulkRow, Draft, Macro, Message, Ticket
from tickets.models.event import CUSTOMER, RULE, SYSTEM, by_agent

FRAGMENT = {"HTTP_HX_REQUEST": "true"}
JIWOO = scene.sender("Jiwoo", phone="+821011112222")
SENTENCE = "This team wants a tag on a ticket before it is solved."


@pytest.fixture
def ticket(cast, now, give_to_support):
    Team.objects.filter(pk=cast.support.pk).update(needs_tag=True)
    return give_to_support(scene.says(cast.sms, JIWOO, "Where is my parcel?", at=now - timedelta(hours=1)).ticket)


def status_of(ticket):
    return Ticket.objects.values_list("status", flat=True).get(pk=ticket.pk)


def tag(ticket, agent, *, now):
    actions.change_tags(ticket, add=["delivery"], by=by_agent(agent), now=now)


def macro_of(agent, *deeds):
    return Macro.objects.create(title="Done", text="", owner=agent, scope="personal", deeds=list(deeds))


SOLVE = {"do": "status", "status": "solved"}


# -- Keys and menus -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where, posted", [("solution", {}), ("status", {"status": "solved"})])
def test_without_a_tag_the_browser_is_told_to_ask_for_one(cast, mina, ticket, now, where, posted):
    refused = mina.post(f"/tickets/{ticket.pk}/{where}/", posted, **FRAGMENT)
    assert refused.status_code == 422
    wanted = json.loads(refused["HX-Trigger"])["property:wanted"]
    assert (wanted["ticket"], wanted["place"], wanted["solves"]) == (ticket.pk, "property-tags", True)
    assert SENTENCE in wanted["said"]
    assert status_of(ticket) != "solved"
    tag(ticket, cast.agent, now=now)
    assert mina.post(f"/tickets/{ticket.pk}/{where}/", posted, **FRAGMENT).status_code == 200
    assert status_of(ticket) == "solved"


def test_the_picker_says_it_until_there_is_a_tag(mina, ticket):
    assert SENTENCE in mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content.decode()
    changed = mina.post(f"/tickets/{ticket.pk}/tags/", {"tags": "delivery", "was": ""}, **FRAGMENT)
    assert "delivery" in changed.content.decode() and SENTENCE not in changed.content.decode()


def test_a_team_that_wants_one_says_so_as_soon_as_it_has_the_ticket(cast, mina, ticket):
    Team.objects.update(needs_tag=False)
    Team.objects.filter(pk=cast.billing.pk).update(needs_tag=True)
    Agent.objects.update(sight="all")
    assert SENTENCE not in mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content.decode()
    moved = mina.post(f"/tickets/{ticket.pk}/team/", {"team": cast.billing.pk}, **FRAGMENT)
    assert SENTENCE in moved.content.decode()


@pytest.mark.parametrize("by", [RULE, SYSTEM, CUSTOMER])
def test_rules_sweeps_and_customers_are_not_asked(ticket, now, by):
    actions.solve(ticket, by=by, now=now)
    assert status_of(ticket) == "solved"


def test_a_bot_is_not_asked_and_an_undo_is_none_either(cast, ticket, now):
    Agent.objects.filter(pk=cast.teammate.pk).update(is_bot=True)
    cast.teammate.refresh_from_db()
    solved = actions.solve(ticket, by=by_agent(cast.teammate), now=now)
    reopened = actions.reopen(ticket, by=by_agent(cast.agent), now=now)
    assert solved and reopened
    actions.undo_status(ticket, event=reopened, by=by_agent(cast.agent), now=now)
    assert status_of(ticket) == "solved"


# -- With an answer -----------------------------------------------------------------------------------------------------


def send(client, ticket, *, to="replies", **more):
    words = {"text": "It is there.", "client_uuid": uuid.uuid4(), "last_seen_message_id": ticket.last_message_id}
    route = replies.routes_for(ticket, now=timezone.now())[0].key
    return client.post(f"/tickets/{ticket.pk}/{to}/", words | {"route": route} | more, **FRAGMENT)


def test_send_and_solve_stops_in_the_strip_with_nothing_sent(cast, mina, ticket, now):
    stopped = send(mina, ticket, then="solved")
    assert stopped.status_code == 422
    assert SENTENCE in stopped.content.decode() and 'data-wants="property-tags"' in stopped.content.decode()
    assert not Message.objects.filter(direction="out").exists() and not Draft.objects.exists()
    assert send(mina, ticket, then="pending").status_code == 201
    tag(ticket, cast.agent, now=now)
    ticket.refresh_from_db()
    assert send(mina, ticket, then="solved").status_code == 201
    assert status_of(ticket) == "solved"


def test_the_strip_speaks_the_agent_s_language(cast, sign_in, ticket):
    Agent.objects.filter(pk=cast.agent.pk).update(language="ko")
    cast.agent.refresh_from_db()
    assert "태그가 있어야" in send(sign_in(cast.agent), ticket, then="solved").content.decode()


def test_a_mail_that_would_be_held_is_stopped_at_once_and_not_when_it_leaves(cast, mina, now, give_to_support):
    Team.objects.filter(pk=cast.support.pk).update(needs_tag=True)
    mail = give_to_support(
        scene.says(cast.email, scene.sender("Jiwoo", email="jiwoo@example.org"), "Hello?", at=now).ticket
    )
    assert send(mina, mail, then="solved").status_code == 422
    tag(mail, cast.agent, now=now)
    assert send(mina, mail, then="solved").status_code == 202
    mail.tags.clear()  # by a colleague, in these ten seconds
    assert replies.release_due(now=now + timedelta(minutes=1)) == 0
    assert Draft.objects.get().stopped == "untagged"
    assert SENTENCE in mina.get(f"/tickets/{mail.pk}/composer/", **FRAGMENT).content.decode()


@pytest.mark.parametrize("to", ["replies", "notes"])
def test_a_macro_that_solves_is_asked_unless_it_tags(cast, mina, ticket, to):
    plain = macro_of(cast.agent, SOLVE)
    stopped = send(mina, ticket, to=to, macro=plain.pk, deed=["0"])
    assert stopped.status_code == 422 and 'data-wants="property-tags"' in stopped.content.decode()
    tags = macro_of(cast.agent, {"do": "tag", "tags": ["delivery"]}, SOLVE)
    assert send(mina, ticket, to=to, macro=tags.pk, deed=["0", "1"]).status_code == 201
    assert status_of(ticket) == "solved"


def test_a_macro_that_is_applied_by_itself_asks_too_and_does_nothing(cast, mina, ticket):
    macro = macro_of(cast.agent, {"do": "priority", "priority": 4}, SOLVE)
    form = {"macro": macro.pk, "deed": ["0", "1"], "client_uuid": uuid.uuid4()}
    refused = mina.post(f"/tickets/{ticket.pk}/macro-uses/", form, **FRAGMENT)
    assert refused.status_code == 422 and "property:wanted" in refused["HX-Trigger"]
    ticket.refresh_from_db()
    assert (ticket.priority, ticket.status != "solved") == (2, True)


# -- Many at once, and programs -----------------------------------------------------------------------------------------


def test_of_many_those_without_a_tag_stay_and_say_why(cast, mina, ticket, now):
    other = scene.says(cast.sms, scene.sender("Ara", phone="+821099990000"), "Hi", at=now).ticket
    Ticket.objects.filter(pk=other.pk).update(team=cast.support)
    tag(other, cast.agent, now=now)
    mina.post("/bulk/", {"do": "status", "value": "solved", "ids": f"{ticket.pk},{other.pk}"})
    bulk.drain(seconds=60, now=timezone.now())
    assert dict(BulkRow.objects.values_list("ticket", "state")) == {ticket.pk: "failed", other.pk: "done"}
    assert SENTENCE in BulkRow.objects.get(ticket=ticket).error


def test_spam_is_tagged_on_the_way(mina, ticket):
    mina.post("/bulk/", {"do": "spam", "value": "", "ids": str(ticket.pk)})
    bulk.drain(seconds=60, now=timezone.now())
    assert status_of(ticket) == "solved"


def test_the_api_says_it_and_takes_tag_and_status_together(cast, ticket):
    api = Api(cast.agent)
    refused = api("PATCH", f"tickets/{ticket.pk}/", {"status": "solved"})
    assert refused.status_code == 422 and SENTENCE in refused.json()["detail"]
    answer = api("POST", f"tickets/{ticket.pk}/messages/", {"kind": "reply", "text": "Hi", "then_status": "solved"})
    assert (answer.status_code, answer.json()["code"]) == (422, "untagged")
    assert api("PATCH", f"tickets/{ticket.pk}/", {"status": "solved", "add_tags": ["delivery"]}).status_code == 200
    assert status_of(ticket) == "solved"


# -- The setting --------------------------------------------------------------------------------------------------------


def test_an_admin_sets_it_for_a_team_and_it_is_in_the_configuration(cast, sign_in):
    page = f"/settings/teams/{cast.support.pk}/"
    form = sign_in(cast.admin).get(page).context["form"]
    said = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    said |= {"needs_tag": "on", "act_warn_percents": "75"}
    assert sign_in(cast.admin).post(page, said).status_code == 302
    assert Team.objects.get(pk=cast.support.pk).needs_tag
    assert AuditEntry.objects.filter(kind="team_changed").exists()
    text = config_file.export()
    Team.objects.update(needs_tag=False)
    config_file.take_over(text, by=None)
    assert list(Team.objects.filter(needs_tag=True)) == [cast.support]
