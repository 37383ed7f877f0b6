"""Macros, canned answers, mentions and followers as addresses: rights, previews, deeds along with an answer, one undo."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.models import Agent, AuditEntry, Membership
from tests.workspace import scene
from tickets import actions, deeds, followers, macros, mentions, replies, variables
from tickets.models import Attachment, Draft, Event, Follower, Macro, MacroFile, MacroUse, Mention, Message, Ticket
from tickets.models.event import by_agent

pytestmark = pytest.mark.django_db
FRAGMENT = {"HX-Request": "true"}
JIWOO = scene.sender("Jiwoo", phone="+821011112222")
REFUND = [{"do": "tag", "tags": ["refund"]}, {"do": "priority", "priority": 3}, {"do": "status", "status": "pending"}]


@pytest.fixture
def ticket(cast, now, give_to_support) -> Ticket:
    return give_to_support(scene.says(cast.sms, JIWOO, "Where is it?", at=now - timedelta(minutes=5)).ticket)


@pytest.fixture
def make(cast):
    def make(title: str = "Refund", **facts: Any) -> Macro:
        return Macro.objects.create(
            **{"title": title, "owner": cast.admin, "scope": "shared", "text": "Hello", **facts}
        )

    return make


def answer(client: Any, ticket: Ticket, macro: Macro | None, *kept: int, **more: Any) -> Any:
    route = client.get(reverse("composer", args=[ticket.pk])).context["composer"]["route"]
    fields = {"text": "Done.", "route": route, "client_uuid": str(uuid.uuid4()), **more}
    if macro:
        fields |= {"macro": macro.pk, "deed": kept}
    return client.post(reverse("replies", args=[ticket.pk]), fields, headers=FRAGMENT)


# -- Whose --------------------------------------------------------------------------------------------------------------


def test_people_use_their_own_their_teams_and_everybodys(cast, make):
    own = make("Own", owner=cast.agent, scope="personal")
    make("Another's", owner=cast.teammate, scope="personal")
    team = make("Team", scope="team", team=cast.support)
    make("Other team", scope="team", team=cast.billing)
    shared = make("Shared")
    make("Deleted", deleted_at="2026-01-01T00:00:00Z")
    assert set(macros.macros_for(cast.agent)) == {own, team, shared}
    assert set(macros.editable_by(cast.agent).filter(deleted_at=None)) == {own}
    assert {macro.title for macro in macros.editable_by(cast.manager).filter(deleted_at=None)} == {
        "Team",
        "Other team",
        "Shared",
    }


def test_the_menu_says_what_each_does_in_a_constant_number_of_queries(cast, mina, make, ticket, now):
    used = make("Used often", deeds=REFUND)
    MacroUse.objects.create(macro=used, agent=cast.agent, ticket=ticket, client_uuid=uuid.uuid4(), at=now)
    make("With a team", deeds=[{"do": "team", "team": cast.billing.pk}, *REFUND])
    mina.get(reverse("macro_menu"))  # the first one of a session asks for more
    with CaptureQueriesContext(connection) as few:
        mina.get(reverse("macro_menu"))
    for n in range(8):
        make(f"Macro {n}", deeds=[{"do": "team", "team": cast.billing.pk}, *REFUND])
    with CaptureQueriesContext(connection) as many:
        found = mina.get(reverse("macro_menu")).json()["macros"]
    assert len(many) == len(few)
    assert found[0]["title"] == "Used often" and len(found) == 10
    assert found[1]["deeds"] == ["Team: Billing", "+refund", "Priority: High", "Status: Pending"]


def test_a_foreign_macro_or_ticket_is_not_there(cast, mina, make, ticket):
    foreign = make(scope="personal", owner=cast.teammate)
    assert mina.get(reverse("macro_preview", args=[ticket.pk, foreign.pk])).status_code == 404
    shared = make()
    assert mina.get(reverse("macro_preview", args=[ticket.pk, shared.pk])).status_code == 200
    Ticket.objects.filter(pk=ticket.pk).update(team=cast.billing)
    assert mina.get(reverse("macro_preview", args=[ticket.pk, shared.pk])).status_code == 404


# -- Variables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, said, left",
    [
        ("Hi {{customer.name}}", "Hi Jiwoo", ()),
        ("Hi {{ Customer.Name | there }}", "Hi Jiwoo", ()),
        ("{{customer.organisation|고객님}}께", "고객님께", ()),
        ("{{customer.organisation}}", "{{customer.organisation}}", ("{{customer.organisation}}",)),
        ("{{field.order_id}} {{field.order_id}}", "{{field.order_id}} {{field.order_id}}", ("{{field.order_id}}",)),
        ("{{custmer.name}}", "{{custmer.name}}", ("{{custmer.name}}",)),
        ("{{custmer.name|friend}}", "friend", ()),
        ("{ {customer.name} } {{}} {{a b}}", "{ {customer.name} } {{}} {{a b}}", ()),
        ("{{agent.name}} · {{brand.name}}", "Mina · Shop", ()),
    ],
)
def test_variables_are_filled_or_left_as_they_are(cast, ticket, now, text, said, left):
    filled = variables.fill(text, variables.of(ticket, agent=cast.agent, now=now))
    assert (filled.text, filled.unresolved) == (said, left)


def test_a_value_is_never_read_as_a_variable(cast, ticket, now):
    ticket.customer.name = "{{agent.email}}"
    filled = variables.fill("{{customer.name}}", variables.of(ticket, agent=cast.agent, now=now))
    assert cast.agent.email not in filled.text


def test_the_preview_fills_this_ticket(mina, make, ticket):
    Ticket.objects.filter(pk=ticket.pk).update(fields={"order_id": "A-7"})
    macro = make(text="{{customer.name}}: {{field.order_id}} {{field.size}}", deeds=REFUND)
    MacroFile.objects.create(macro=macro, name="map.pdf", content_type="application/pdf", size=3, sha256="a" * 64)
    shown = mina.get(reverse("macro_preview", args=[ticket.pk, macro.pk])).json()
    assert (shown["text"], shown["unresolved"]) == ("Jiwoo: A-7 {{field.size}}", ["{{field.size}}"])
    assert [one["words"] for one in shown["deeds"]] == ["+refund", "Priority: High", "Status: Pending"]
    assert shown["files"] == ["map.pdf"]


# -- Deeds --------------------------------------------------------------------------------------------------------------


def test_an_answer_and_its_deeds_are_one(cast, mina, make, ticket):
    macro = make(deeds=REFUND)
    response = answer(mina, ticket, macro, 0, 2)
    assert response.status_code == 201
    ticket.refresh_from_db()
    assert (ticket.status, ticket.priority, [tag.name for tag in ticket.tags.all()]) == ("pending", 2, ["refund"])
    use = MacroUse.objects.get()
    assert (use.macro, use.agent, use.message_id) == (macro, cast.agent, int(response["X-Message"]))
    toast = json.loads(response["HX-Trigger"])["toast"]
    assert toast["message"] == "Macro applied: Refund. 2 changes." and toast["undo"]

    assert mina.post(toast["undo"], headers=FRAGMENT).status_code == 204
    ticket.refresh_from_db()
    assert (ticket.status, ticket.tags.count()) == ("open", 0)
    assert mina.post(toast["undo"], headers=FRAGMENT).status_code == 204  # twice is once
    assert Message.objects.filter(direction="out").count() == 1


def test_when_one_deed_does_not_fit_nothing_is_sent_and_nothing_is_done(cast, mina, make, ticket):
    macro = make(deeds=[{"do": "tag", "tags": ["refund"]}, {"do": "assignee", "assignee": cast.teammate.pk}])
    Agent.objects.filter(pk=cast.teammate.pk).update(is_active=False)
    response = answer(mina, ticket, macro, 0, 1)
    assert response.status_code == 422 and "does not work here any more" in response.content.decode()
    assert not Message.objects.filter(direction="out").exists() and not MacroUse.objects.exists()
    assert not ticket.tags.exists()
    assert answer(mina, ticket, macro, 0).status_code == 201  # without that deed it goes


def test_a_status_chosen_for_the_answer_wins_over_that_of_the_macro(mina, make, ticket):
    answer(mina, ticket, make(deeds=REFUND), 0, 1, 2, then="solved")
    ticket.refresh_from_db()
    assert (ticket.status, ticket.priority) == ("solved", 3)


def test_the_same_answer_twice_does_its_deeds_once(mina, make, ticket):
    macro, once = make(deeds=REFUND), str(uuid.uuid4())
    assert answer(mina, ticket, macro, 0, 1, 2, client_uuid=once).status_code == 201
    actions.set_priority(ticket, 1, by=by_agent(macro.owner), now=ticket.created_at + timedelta(minutes=6))
    assert answer(mina, ticket, macro, 0, 1, 2, client_uuid=once).status_code == 201
    ticket.refresh_from_db()
    assert ticket.priority == 1 and MacroUse.objects.count() == 1


def test_a_waiting_draft_carries_its_deeds_out_when_it_is_released(cast, make, ticket, now):
    macro = make(deeds=REFUND)
    route = replies.routes_for(ticket, now=now)[0].route
    draft = replies.save_draft(
        ticket,
        agent=cast.agent,
        kind="reply",
        text="Later.",
        client_uuid=uuid.uuid4(),
        revision=1,
        route=route,
        then=macros.chosen(cast.agent, macro.pk, [1]),
        now=now,
    )
    replies.schedule(draft, send_at=now + timedelta(seconds=10), now=now)
    ticket.refresh_from_db()
    assert ticket.priority == 2
    assert replies.release_due(now=now + timedelta(seconds=11)) == 1
    ticket.refresh_from_db()
    assert ticket.priority == 3 and MacroUse.objects.get().message_id is not None


def test_a_waiting_draft_whose_deed_does_not_fit_any_more_stays_a_draft(cast, make, ticket, now):
    macro = make(deeds=[{"do": "assignee", "assignee": cast.teammate.pk}])
    draft = replies.save_draft(
        ticket,
        agent=cast.agent,
        kind="reply",
        text="Later.",
        client_uuid=uuid.uuid4(),
        revision=1,
        route=replies.routes_for(ticket, now=now)[0].route,
        then=macros.chosen(cast.agent, macro.pk, [0]),
        now=now,
    )
    replies.schedule(draft, send_at=now + timedelta(seconds=10), now=now)
    Agent.objects.filter(pk=cast.teammate.pk).update(is_active=False)
    assert replies.release_due(now=now + timedelta(seconds=11)) == 0
    draft = Draft.objects.get()
    assert (draft.stopped, draft.send_at, draft.text) == ("deed", None, "Later.")
    assert not Message.objects.filter(direction="out").exists()


def test_it_is_applied_without_an_answer_and_taken_back(cast, mina, make, ticket):
    macro = make(text="", deeds=[*REFUND, {"do": "team", "team": cast.support.pk}, {"do": "snooze", "days": 2}])
    once = str(uuid.uuid4())
    fields = {"macro": macro.pk, "deed": [0, 1, 2, 3, 4], "client_uuid": once}
    first = mina.post(reverse("macro_uses", args=[ticket.pk]), fields, headers=FRAGMENT)
    again = mina.post(reverse("macro_uses", args=[ticket.pk]), fields, headers=FRAGMENT)
    assert (first.status_code, again.status_code, MacroUse.objects.count()) == (201, 201, 1)
    ticket.refresh_from_db()
    assert ticket.snoozed_until is not None and ticket.status == "pending"
    undo = json.loads(first["HX-Trigger"])["toast"]["undo"]
    assert mina.post(undo, headers=FRAGMENT).status_code == 204
    ticket.refresh_from_db()
    assert (ticket.snoozed_until, ticket.status, ticket.priority, ticket.tags.count()) == (None, "new", 2, 0)


def test_an_undo_that_does_not_fit_takes_nothing_back(cast, mina, make, ticket, now):
    macro = make(deeds=REFUND)
    use = macros.apply(
        ticket, macros.chosen(cast.agent, macro.pk, [0, 1, 2]), agent=cast.agent, client_uuid=uuid.uuid4(), now=now
    )
    actions.set_priority(ticket, 4, by=by_agent(cast.teammate), now=now)
    response = mina.post(reverse("macro_use_undo", args=[use.pk]), headers=FRAGMENT)
    assert response.status_code == 422
    ticket.refresh_from_db()
    assert (ticket.status, ticket.priority, ticket.tags.count()) == ("pending", 4, 1)
    use.refresh_from_db()
    assert use.undone_at is None


def test_nobody_undoes_what_another_did(cast, sign_in, make, ticket, now):
    macro = make(deeds=REFUND)
    use = macros.apply(
        ticket, macros.chosen(cast.agent, macro.pk, [0]), agent=cast.agent, client_uuid=uuid.uuid4(), now=now
    )
    assert sign_in(cast.teammate).post(reverse("macro_use_undo", args=[use.pk])).status_code == 404


def test_light_agents_use_the_words_alone(cast, mina, make, ticket):
    Agent.objects.filter(pk=cast.agent.pk).update(role="light")
    macro = make(kind="note", deeds=REFUND)
    assert mina.get(reverse("macro_preview", args=[ticket.pk, macro.pk])).json()["deeds"] == []
    fields = {"macro": macro.pk, "deed": [0, 1, 2], "client_uuid": str(uuid.uuid4())}
    assert mina.post(reverse("macro_uses", args=[ticket.pk]), fields, headers=FRAGMENT).status_code == 403
    posted = mina.post(reverse("notes", args=[ticket.pk]), fields | {"note": "Hm."}, headers=FRAGMENT)
    ticket.refresh_from_db()
    assert posted.status_code == 201 and (ticket.priority, MacroUse.objects.count()) == (2, 0)


def test_a_note_carries_deeds_too(mina, make, ticket):
    macro = make(kind="note", deeds=[{"do": "status", "status": "on_hold"}])
    fields = {"note": "Asked the warehouse.", "macro": macro.pk, "deed": [0], "client_uuid": str(uuid.uuid4())}
    assert mina.post(reverse("notes", args=[ticket.pk]), fields, headers=FRAGMENT).status_code == 201
    ticket.refresh_from_db()
    assert ticket.status == "on_hold"


@pytest.mark.parametrize(
    "wrong",
    [
        [{"do": "dance"}],
        [{"do": "status", "status": "closed"}],
        [{"do": "status", "status": "new"}],
        [{"do": "priority", "priority": 9}],
        [{"do": "team", "team": 10**9}],
        [{"do": "assignee", "assignee": 10**9}],
        [{"do": "tag", "tags": [" "]}],
        [{"do": "snooze", "hours": 0}],
        [{"do": "snooze", "days": 400}],
        [{"do": "snooze", "hours": 1, "days": 1}],
        [{"do": "snooze", "hours": 1}, {"do": "status", "status": "solved"}],
        [{"do": "tag", "tags": ["a"]}, {"do": "tag", "tags": ["b"]}],
        "status",
    ],
)
def test_deeds_that_cannot_be_done_are_not_kept(cast, wrong):
    with pytest.raises(deeds.Invalid):
        deeds.check(wrong)


def test_files_are_ones_own_uploads_of_the_same_bytes(cast, mina, make, ticket):
    macro = make()
    MacroFile.objects.create(macro=macro, name="map.pdf", content_type="application/pdf", size=3, sha256="a" * 64)
    made = mina.post(reverse("macro_files", args=[ticket.pk, macro.pk]), headers=FRAGMENT)
    file = Attachment.objects.get()
    assert made.status_code == 201 and f'value="{file.pk}"' in made.content.decode()
    assert answer(mina, ticket, None, files=[file.pk]).status_code == 201
    file.refresh_from_db()
    assert file.message is not None and macro.files.count() == 1


def test_a_draft_keeps_the_macro_and_what_was_left_out(mina, make, ticket):
    macro = make(deeds=REFUND)
    said = {"text": "Hello", "client_uuid": str(uuid.uuid4()), "revision": 1, "macro": macro.pk, "deeds": [2, 0]}
    kept = mina.put(reverse("draft", args=[ticket.pk, "reply"]), json.dumps(said), content_type="application/json")
    assert kept.status_code == 200
    facts = mina.get(reverse("composer", args=[ticket.pk])).context["composer"]
    assert (facts["macro"], facts["deeds"]) == (macro.pk, [0, 2])


# -- Mentions and followers ---------------------------------------------------------------------------------------------


def test_who_is_named_is_told_and_follows(cast, mina, ticket):
    note = {"note": "@Theo, @support: and a@theo.example", "client_uuid": str(uuid.uuid4())}
    assert mina.post(reverse("notes", args=[ticket.pk]), note, headers=FRAGMENT).status_code == 201
    message = Message.objects.get(kind="note")
    assert {(one.agent_id, one.team_id) for one in Mention.objects.filter(message=message)} == {
        (cast.teammate.pk, None),
        (None, cast.support.pk),
    }
    event = Event.objects.get(kind="mentioned")
    assert event.message_id == message.pk
    assert event.particulars == {"agents": [cast.teammate.pk], "teams": [cast.support.pk]}
    assert list(followers.followers_of(ticket)) == [cast.teammate]


def test_nobody_is_named_who_may_not_see_the_ticket(cast, mina, ticket):
    note = {"note": "@Omar @Billing @Grace", "client_uuid": str(uuid.uuid4())}
    mina.post(reverse("notes", args=[ticket.pk]), note, headers=FRAGMENT)
    assert [one.agent_id for one in Mention.objects.all()] == [cast.manager.pk]
    handles = {one["handle"] for one in mina.get(reverse("nameable", args=[ticket.pk])).json()["people"]}
    assert handles == {"Ada", "Grace", "Theo", "Support"}


def test_a_reply_to_the_customer_names_nobody(mina, ticket):
    answer(mina, ticket, None, text="Ask @Theo")
    assert not Mention.objects.exists() and not Event.objects.filter(kind="mentioned").exists()


@pytest.mark.parametrize(
    "text, named",
    [
        ("@김민아님 확인 부탁드려요", ["김민아"]),
        ("@김민 @김민아", ["김민", "김민아"]),
        ("(@anna) @ANNA", ["Anna"]),
        ("@Annabel", []),
        ("@Anna Lee, please", ["Anna Lee"]),
        ("mail anna@김민아.kr", []),
        ("nothing", []),
    ],
)
def test_the_text_says_whom_it_names(text, named):
    people = [mentions.Named(handle=name) for name in ("김민", "김민아", "Anna", "Anna Lee")]
    assert [one.handle for one in mentions.found_in(text, people)] == named


def test_people_of_one_name_are_told_apart(cast, ticket):
    other = Agent.objects.create_user("theo.two@helpdesk.example", None, name="Theo")
    Membership.objects.create(agent=other, team=cast.support)
    handles = {one.handle for one in mentions.nameable(ticket) if one.agent}
    assert {"Theo (theo)", "Theo (theo.two)"} <= handles
    assert [one.agent for one in mentions.found_in("@Theo (theo.two) hi", mentions.nameable(ticket))] == [other]


def test_the_assignee_follows_as_long_as_the_ticket_is_theirs(cast, ticket, now):
    by = by_agent(cast.manager)
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=by, now=now)
    ticket.refresh_from_db()
    assert list(followers.followers_of(ticket)) == [cast.agent] and followers.follows(ticket, cast.agent)
    actions.assign(ticket, assignee=cast.teammate, team=cast.support, by=by, now=now)
    ticket.refresh_from_db()
    assert list(followers.followers_of(ticket)) == [cast.teammate]


def test_one_follows_and_no_longer_and_undoes_it(cast, mina, ticket):
    address = reverse("follower", args=[ticket.pk])
    followed = mina.post(address, headers=FRAGMENT)
    assert "Mina" in followed.content.decode() and "Unfollow" in followed.content.decode()
    assert "HX-Trigger" not in mina.post(address, headers=FRAGMENT)  # already
    left = mina.delete(address, headers=FRAGMENT)
    assert not Follower.objects.exists()
    mina.post(json.loads(left["HX-Trigger"])["toast"]["undo"], headers=FRAGMENT)
    assert [one.agent for one in Follower.objects.all()] == [cast.agent]
    kinds = list(Event.objects.filter(kind="followers_changed").values_list("particulars__added", flat=True))
    assert kinds == [[cast.agent.pk], [], [cast.agent.pk]]


def test_nobody_follows_what_they_do_not_see(cast, mina, ticket):
    Ticket.objects.filter(pk=ticket.pk).update(team=cast.billing)
    assert mina.post(reverse("follower", args=[ticket.pk])).status_code == 404


# -- Settings -----------------------------------------------------------------------------------------------------------

FORM = {"title": "Refund", "kind": "reply", "scope": "personal", "text": "Hello {{customer.name|there}}"}


def test_people_write_their_own_and_managers_those_of_all(cast, mina, sign_in):
    assert mina.post(reverse("macro_new"), FORM).status_code == 302
    assert mina.post(reverse("macro_new"), FORM | {"scope": "shared"}).status_code == 422
    grace = sign_in(cast.manager)
    assert grace.post(reverse("macro_new"), FORM | {"scope": "team", "team": cast.support.pk}).status_code == 302
    scopes = {(macro.owner, macro.scope, macro.team) for macro in Macro.objects.all()}
    assert scopes == {(cast.agent, "personal", None), (cast.manager, "team", cast.support)}
    assert AuditEntry.objects.get(kind="macro_added").actor == cast.manager  # personal ones are nobody's business


def test_a_shared_one_is_read_by_agents_and_changed_by_managers_alone(cast, mina, sign_in, make):
    macro = make(deeds=REFUND)
    address = reverse("macro", args=[macro.pk])
    assert "disabled" in mina.get(address).content.decode()
    assert mina.post(address, FORM | {"scope": "shared"}).status_code == 403
    assert mina.post(reverse("macro_deletion", args=[macro.pk])).status_code == 404
    foreign = make(scope="personal", owner=cast.teammate)
    assert sign_in(cast.manager).get(reverse("macro", args=[foreign.pk])).status_code == 404


def test_all_that_it_does_is_kept_and_shown_again(cast, mina, make):
    fields = FORM | {
        "code": "/re fund",
        "folder": "Money",
        "do-status": "pending",
        "do-priority": "3",
        "do-team": cast.support.pk,
        "do-assignee": "me",
        "do-tag": "Refund, vip",
        "do-untag": "new",
        "do-snooze": "2",
        "do-snooze-unit": "days",
        "files": [SimpleUploadedFile("map.txt", b"turn left")],
    }
    assert mina.post(reverse("macro_new"), fields).status_code == 302
    macro = Macro.objects.get()
    assert (macro.code, macro.folder) == ("re-fund", "Money")
    assert macro.deeds == [
        {"do": "tag", "tags": ["refund", "vip"]},
        {"do": "untag", "tags": ["new"]},
        {"do": "priority", "priority": 3},
        {"do": "team", "team": cast.support.pk},
        {"do": "assignee", "assignee": "me"},
        {"do": "snooze", "days": 2},
        {"do": "status", "status": "pending"},
    ]
    assert [file.name for file in macro.files.all()] == ["map.txt"]
    shown = mina.get(reverse("macro", args=[macro.pk]))
    assert shown.context["chosen"] == {
        "status": "pending",
        "priority": 3,
        "team": cast.support.pk,
        "assignee": "me",
        "tag": "refund, vip",
        "untag": "new",
        "snooze": 2,
        "unit": "days",
    }
    listed = mina.get(reverse("macros")).content.decode()
    assert "Money" in listed and "Snooze: until 09:00 in 2 days" in listed and "map.txt" in listed
    dropped = FORM | {"drop-file": macro.files.get().pk}
    assert mina.post(reverse("macro", args=[macro.pk]), dropped).status_code == 302
    assert not macro.files.exists()


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"title": " "}, "Give it a title."),
        ({"text": " "}, "Write a text"),
        ({"text": "{{custmer.name}}"}, "There is no such variable: {{custmer.name}}"),
        ({"do-snooze": "x"}, "incomplete"),
        ({"do-assignee": "99999999"}, "incomplete"),
        ({"do-snooze": "2", "do-status": "solved"}, "cannot be snoozed"),
        ({"scope": "world"}, "Choose what it is for."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_kept(mina, wrong, said):
    response = mina.post(reverse("macro_new"), FORM | wrong)
    assert response.status_code == 422 and said in response.content.decode()
    assert not Macro.objects.exists()


def test_a_deleted_one_leaves_the_menu_and_comes_back(cast, mina, make, ticket):
    macro = make(scope="personal", owner=cast.agent, deeds=REFUND)
    page = mina.post(reverse("macro_deletion", args=[macro.pk]))
    assert "restore" in page.content.decode()
    assert mina.get(reverse("macro_menu")).json() == {"macros": []}
    assert macros.chosen(cast.agent, macro.pk, [0]) == {}
    mina.post(reverse("macro_deletion", args=[macro.pk]), {"restore": "1"})
    assert len(mina.get(reverse("macro_menu")).json()["macros"]) == 1


def test_the_list_searches_narrows_and_counts_uses_that_stood(cast, mina, make, ticket, now):
    refund, other = make("Refund", text="money back"), make("Parcel", scope="team", team=cast.support)
    for taken_back in (None, now):
        MacroUse.objects.create(
            macro=refund, agent=cast.agent, ticket=ticket, client_uuid=uuid.uuid4(), at=now, undone_at=taken_back
        )

    def rows(**query: str) -> dict[str, int]:
        folders = mina.get(reverse("macros"), query).context["folders"]
        return {row["macro"].title: row["macro"].times for folder in folders for row in folder["rows"]}

    assert rows() == {"Parcel": 0, "Refund": 1}
    assert rows(q="MONEY") == {"Refund": 1}
    assert rows(scope="team") == {other.title: 0}


def test_the_editor_previews_on_a_ticket_that_one_sees(cast, mina, ticket):
    fields = FORM | {"text": "{{customer.name}} {{field.size}} <b>", "do-status": "pending", "sample": ticket.number}
    shown = mina.post(reverse("macro_settings_preview"), fields).content.decode()
    assert "Jiwoo <mark>{{field.size}}</mark> &lt;b&gt;" in shown and "Status: Pending" in shown
    Ticket.objects.filter(pk=ticket.pk).update(team=cast.billing)
    assert "There is no such ticket." in mina.post(reverse("macro_settings_preview"), fields).content.decode()
