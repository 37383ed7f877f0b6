from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from tests.workspace import scene
from tickets import actions, notifying, undoing
from tickets.models import Attachment, DeliveryPart, Draft, Event, Message, Notification, ReadMark, Ticket
from tickets.models.event import by_agent

FRAGMENT = {"HTTP_HX_REQUEST": "true"}
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100


@pytest.fixture
def ticket(cast, now, give_to_support):
    said = scene.says(
        cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Where is my parcel?", at=now - timedelta(hours=1)
    )
    return give_to_support(said.ticket)


def route(cast, ticket):
    used = ticket.routes.get()
    return f"{used.channel_id}-{used.identity_id}"


def reply(client, cast, ticket, **fields):
    words = {
        "text": "On its way.",
        "route": route(cast, ticket),
        "client_uuid": str(uuid.uuid4()),
        "last_seen_message_id": ticket.last_message_id,
        **fields,
    }
    return client.post(f"/tickets/{ticket.pk}/replies/", words, **FRAGMENT)


@pytest.mark.parametrize("path", ["", "properties/", "composer/", "customer/"])
@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
def test_a_ticket_has_as_many_queries_with_50_messages_as_with_5(cast, mina, ticket, now, path, headers):
    def count():
        mina.get(url, **headers)
        with CaptureQueriesContext(connection) as seen:
            response = mina.get(url, **headers)
        assert response.status_code == 200
        return len(seen), response.content.count(b'<article class="message message--in')

    url = f"/tickets/{ticket.pk}/{path}"
    who = scene.sender("Jiwoo", phone="+821011112222")
    actions.set_priority(ticket, 3, by=by_agent(cast.agent), now=now)
    for n in range(4):
        scene.says(cast.sms, who, f"More {n}", at=now - timedelta(minutes=50 - n))
    few, shown = count()
    for n in range(45):
        message = scene.says(cast.sms, who, f"Even more {n}", at=now - timedelta(minutes=45 - n))
        Attachment.objects.create(
            message=message, name="a.pdf", content_type="application/pdf", size=1, sha256="0" * 64
        )
    many, shown_then = count()
    if path == "":
        assert (shown, shown_then) == (5, 50)
    assert few == many <= 15


def test_the_last_50_messages_come_first_and_the_earlier_ones_by_asking(cast, mina, ticket, now):
    who = scene.sender("Jiwoo", phone="+821011112222")
    for n in range(60):
        scene.says(cast.sms, who, f"Message {n}", at=now - timedelta(minutes=59) + timedelta(seconds=n))
    page = mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT)
    items = [item for kind, item in page.context["thread"].items if kind == "message"]
    assert (len(items), items[0]["text"], items[-1]["text"]) == (50, "Message 10", "Message 59")
    earlier = mina.get(page.context["thread"].earlier, **FRAGMENT)
    items = [item for kind, item in earlier.context["thread"].items if kind == "message"]
    assert (items[0]["text"], items[-1]["text"], earlier.context["thread"].earlier) == (
        "Where is my parcel?",
        "Message 9",
        "",
    )
    assert "event" in [kind for kind, _item in earlier.context["thread"].items], "the beginning of the ticket is a line"


def test_a_thread_reads_the_whole_family(cast, mina, ticket, now, give_to_support):
    other = give_to_support(
        scene.says(
            cast.webchat, scene.sender("Jiwoo", visitor="v1"), "Same question here", at=now - timedelta(minutes=30)
        ).ticket
    )
    actions.merge(other, into=ticket, by=by_agent(cast.agent), now=now)
    page = mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content.decode()
    assert page.index("Where is my parcel?") < page.index("Same question here")


def test_a_foreign_ticket_is_not_found_on_every_address(cast, sign_in, ticket):
    omar = sign_in(cast.outsider)
    message = ticket.messages.get()
    Message.objects.filter(pk=message.pk).update(html="<p>Hi</p>")
    for path in ("", "earlier/", "properties/", "composer/", "customer/", "snooze/", "drafts/reply/"):
        assert omar.get(f"/tickets/{ticket.pk}/{path}").status_code == 404, path
    for path in ("assignee/", "team/", "solution/", "subject/", "mark/", "replies/", "notes/"):
        assert omar.post(f"/tickets/{ticket.pk}/{path}", {"message": 1}).status_code == 404, path
    assert omar.get(f"/messages/{message.pk}/body/").status_code == 404
    assert sign_in(cast.agent).get(f"/messages/{message.pk}/body/").status_code == 200


def test_looking_marks_nothing_as_read(cast, mina, ticket):
    mina.get(f"/tickets/{ticket.pk}/", HTTP_HX_REQUEST="true", HTTP_HX_PRELOADED="true")
    assert not ReadMark.objects.exists()
    assert mina.post(f"/tickets/{ticket.pk}/mark/", {"message": ticket.last_message_id}).status_code == 204
    assert ReadMark.objects.get().message_id == ticket.last_message_id
    assert mina.post(f"/tickets/{ticket.pk}/mark/", {"message": 10**9}).status_code == 422
    assert mina.delete(f"/tickets/{ticket.pk}/mark/").status_code == 204
    assert ReadMark.objects.get().message_id == ticket.last_message_id - 1


# -- Verbs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, fields, changed",
    [
        ("assignee/", {"assignee": "me"}, lambda t, c: t.assignee == c.agent and t.status == "open"),
        ("status/", {"status": "pending"}, lambda t, c: t.status == "pending"),
        ("solution/", {}, lambda t, c: t.status == "solved"),
        ("priority/", {"priority": "urgent"}, lambda t, c: t.priority == 4),
        (
            "tags/",
            {"tags": "billing,vip", "was": ""},
            lambda t, c: {x.name for x in t.tags.all()} == {"billing", "vip"},
        ),
        ("subject/", {"subject": "A parcel"}, lambda t, c: t.subject == "A parcel"),
        ("snooze/", {"until": "2030-01-01T09:00"}, lambda t, c: t.snoozed_until is not None),
    ],
)
def test_a_verb_changes_the_ticket_and_undo_puts_it_back(cast, mina, ticket, path, fields, changed):
    kept = ("assignee_id", "status", "priority", "subject", "snoozed_until", "waiting_since")
    before = {name: getattr(ticket, name) for name in kept}
    response = mina.post(f"/tickets/{ticket.pk}/{path}", fields, **FRAGMENT)
    assert response.status_code == 200
    ticket.refresh_from_db()
    assert changed(ticket, cast)
    assert f'id="head-{ticket.pk}"' in response.content.decode()
    undo = json.loads(response["HX-Trigger"])["toast"]["undo"]
    assert mina.post(undo, **FRAGMENT).status_code == 200
    ticket.refresh_from_db()
    assert {name: getattr(ticket, name) for name in before} == before
    assert not ticket.tags.exists() and ticket.is_unsolved
    assert ticket.routing_due_at is not None, "routing was owed, and is"


def test_what_was_worked_on_since_stays_open_when_its_assignment_is_taken_back(cast, mina, ticket, now):
    me = by_agent(cast.agent)

    def assigned_and_then(work):
        Ticket.objects.filter(pk=ticket.pk).update(status="new", assignee=None)
        event = actions.assign(ticket, assignee=cast.agent, team=cast.support, by=me, now=now)
        work()
        undoing.undo(Ticket.objects.get(pk=ticket.pk), event, agent=cast.agent, now=now)
        ticket.refresh_from_db()
        return ticket.status, ticket.assignee

    def solved_by_mistake():
        solved = actions.solve(ticket, by=me, now=now)
        undoing.undo(Ticket.objects.get(pk=ticket.pk), solved, agent=cast.agent, now=now)

    assert assigned_and_then(lambda: None) == ("new", None)
    assert assigned_and_then(solved_by_mistake) == ("new", None)
    assert assigned_and_then(lambda: actions.set_status(ticket, "pending", by=me, now=now)) == ("pending", None)
    assert assigned_and_then(lambda: scene.answers(ticket, cast.agent, "Hello", at=now)) == ("open", None)


def test_taking_back_an_assignment_gives_it_to_whom_it_was_and_owes_routing_what_it_was_owed(cast, ticket, now):
    me = by_agent(cast.agent)
    actions.assign(ticket, assignee=cast.teammate, team=cast.support, by=me, now=now)
    given = actions.assign(ticket, assignee=None, team=cast.billing, by=me, now=now)
    undoing.undo(Ticket.objects.get(pk=ticket.pk), given, agent=cast.agent, now=now)
    ticket.refresh_from_db()
    assert (ticket.assignee, ticket.team, ticket.status) == (cast.teammate, cast.support, "open")
    assert ticket.routing_due_at is None, "the new team was to be asked, and is not any more"
    assert Notification.objects.count() == 0
    notifying.drain()
    assert Notification.objects.filter(agent=cast.teammate, type="assigned").count() == 1, "back is no news"


def test_nothing_is_given_back_to_somebody_who_has_been_switched_off(cast, ticket, now):
    me = by_agent(cast.agent)
    actions.assign(ticket, assignee=cast.teammate, team=cast.support, by=me, now=now)
    given = actions.assign(ticket, assignee=cast.agent, team=cast.support, by=me, now=now)
    Agent.objects.filter(pk=cast.teammate.pk).update(is_active=False)
    with pytest.raises(actions.NotAllowed, match="does not work here any more"):
        undoing.undo(Ticket.objects.get(pk=ticket.pk), given, agent=cast.agent, now=now)
    ticket.refresh_from_db()
    assert ticket.assignee == cast.agent


def test_a_solve_that_is_taken_back_sleeps_on(cast, ticket, now):
    me, until = by_agent(cast.agent), now + timedelta(days=1)
    actions.snooze(ticket, until=until, by=me, now=now)
    solved = actions.solve(ticket, by=me, now=now)
    undoing.undo(Ticket.objects.get(pk=ticket.pk), solved, agent=cast.agent, now=now)
    ticket.refresh_from_db()
    assert (ticket.status, ticket.snoozed_until) == ("new", until)


def test_undo_is_for_ones_own_deeds_and_a_short_while(cast, mina, sign_in, ticket, now):
    event = actions.set_priority(ticket, 4, by=by_agent(cast.agent), now=now)
    url = f"/tickets/{ticket.pk}/events/{event.pk}/undo/"
    assert sign_in(cast.teammate).post(url, **FRAGMENT).status_code == 422
    Event.objects.filter(pk=event.pk).update(at=now - timedelta(minutes=11))
    assert mina.post(url, **FRAGMENT).status_code == 422
    Event.objects.filter(pk=event.pk).update(at=now)
    actions.set_priority(ticket, 1, by=by_agent(cast.teammate), now=now)
    assert mina.post(url, **FRAGMENT).status_code == 422, "it has moved on"
    ticket.refresh_from_db()
    assert ticket.priority == 1


def test_tags_that_others_added_meanwhile_stay(cast, mina, ticket, now):
    actions.change_tags(ticket, add=["theirs"], by=by_agent(cast.teammate), now=now)
    mina.post(f"/tickets/{ticket.pk}/tags/", {"tags": "mine", "was": ""}, **FRAGMENT)
    assert {tag.name for tag in ticket.tags.all()} == {"mine", "theirs"}


def test_giving_a_ticket_away_says_that_it_is_gone(cast, mina, ticket):
    response = mina.post(f"/tickets/{ticket.pk}/team/", {"team": cast.billing.pk}, **FRAGMENT)
    assert (response.status_code, response["X-Ticket-Gone"]) == (204, str(ticket.pk))


def test_a_refused_verb_says_why(cast, mina, ticket):
    Ticket.objects.filter(pk=ticket.pk).update(status="closed")
    response = mina.post(f"/tickets/{ticket.pk}/solution/", **FRAGMENT)
    said = json.loads(response["HX-Trigger"])["toast"]
    assert (response.status_code, said["kind"]) == (422, "error") and "closed" in said["message"]


@pytest.mark.parametrize(
    "path, fields",
    [
        ("assignee/", {"assignee": "999"}),
        ("team/", {"team": "x"}),
        ("status/", {"status": "closed"}),
        ("priority/", {"priority": "5"}),
        ("snooze/", {"until": "soon"}),
        ("snooze/", {"until": "9999-12-31T00:00"}),
    ],
)
def test_what_no_menu_offers_changes_nothing(cast, mina, ticket, path, fields):
    assert mina.post(f"/tickets/{ticket.pk}/{path}", fields, **FRAGMENT).status_code == 422
    assert not Event.objects.filter(ticket=ticket, actor=cast.agent).exists()


def test_without_htmx_a_verb_goes_back_to_the_ticket(cast, mina, ticket):
    response = mina.post(f"/tickets/{ticket.pk}/solution/")
    assert (response.status_code, response["Location"]) == (302, f"/tickets/{ticket.pk}/")


# -- Writing ----------------------------------------------------------------------------------------------------------------


def test_a_reply_answers_its_bubble(cast, mina, ticket):
    response = reply(mina, cast, ticket, then="solved")
    assert response.status_code == 201
    message = Message.objects.get(pk=response["X-Message"])
    assert f'id="message-{message.pk}"' in response.content.decode() and message.state == "queued"
    ticket.refresh_from_db()
    assert ticket.status == "solved"


def test_the_same_reply_posted_twice_is_one(cast, mina, ticket):
    fields = {"client_uuid": str(uuid.uuid4())}
    first, second = (reply(mina, cast, ticket, **fields) for _ in range(2))
    assert first["X-Message"] == second["X-Message"]
    assert ticket.messages.filter(direction="out").count() == 1


def test_a_reply_that_has_not_seen_the_newest_message_is_stopped(cast, mina, ticket, now):
    scene.answers(ticket, cast.teammate, "I have it.", at=now)
    response = reply(mina, cast, ticket)
    page = response.content.decode()
    assert response.status_code == 409 and "I have it." in page and "Theo" in page and "data-anyway" in page
    assert reply(mina, cast, ticket, anyway="1").status_code == 201
    assert Event.objects.filter(ticket=ticket, kind="sent_anyway").exists()


def test_a_reply_by_a_way_that_is_closed_says_why(cast, mina, ticket):
    ticket.routes.get().identity.__class__.objects.update(opted_out_at=ticket.created_at)
    response = reply(mina, cast, ticket)
    assert response.status_code == 422 and "does not want messages" in response.content.decode()
    assert reply(mina, cast, ticket, route="9-9").status_code == 422
    assert not ticket.messages.filter(direction="out").exists()


def test_an_empty_reply_is_none(cast, mina, ticket):
    assert reply(mina, cast, ticket, text="  ").status_code == 422


def test_a_light_agent_writes_notes_only(cast, mina, ticket):
    cast.agent.__class__.objects.filter(pk=cast.agent.pk).update(role="light")
    assert reply(mina, cast, ticket).status_code == 403
    words = {"note": "Seen this before", "client_uuid": str(uuid.uuid4())}
    assert mina.post(f"/tickets/{ticket.pk}/notes/", words, **FRAGMENT).status_code == 201
    assert ticket.messages.get(kind="note").channel is None


@pytest.mark.parametrize(
    "path, fields",
    [
        ("assignee/", {"assignee": "me"}), ("team/", {"team": ""}), ("status/", {"status": "pending"}), ("solution/", {}),
        ("priority/", {"priority": "high"}), ("tags/", {"tags": "late"}), ("subject/", {"subject": "Other"}),
        ("snooze/", {"until": "tomorrow"}),
    ],
)  # fmt: skip
def test_a_light_agent_moves_nothing(cast, mina, ticket, now, path, fields):
    fields = {name: value.replace("tomorrow", (now + timedelta(days=1)).isoformat()) for name, value in fields.items()}

    def written():
        return Event.objects.filter(ticket=ticket).count()

    before = written()
    cast.agent.__class__.objects.filter(pk=cast.agent.pk).update(role="light")
    assert mina.post(f"/tickets/{ticket.pk}/{path}", fields, **FRAGMENT).status_code == 403
    assert written() == before
    cast.agent.__class__.objects.filter(pk=cast.agent.pk).update(role="agent")
    assert mina.post(f"/tickets/{ticket.pk}/{path}", fields, **FRAGMENT).status_code != 403


def test_a_light_agent_sends_nothing_again(cast, mina, ticket, now):
    message = scene.answers(ticket, cast.agent, "On its way", at=now)
    DeliveryPart.objects.filter(message=message).update(state="failed")
    cast.agent.__class__.objects.filter(pk=cast.agent.pk).update(role="light")
    assert mina.post(f"/parts/{message.parts.get().pk}/verdict/", {"outcome": "resend"}, **FRAGMENT).status_code == 403
    assert message.parts.get().state == "failed"


def test_a_merge_carries_nobodys_words_out_of_their_sight(cast, mina, ticket, now):
    """Merged into a ticket of another team: its own team may still look, and writes into nothing that it cannot see."""
    other = scene.says(cast.sms, scene.sender("Bora", phone="+821099998888"), "The same here", at=now).ticket
    Ticket.objects.filter(pk=other.pk).update(team=cast.billing)
    actions.merge(ticket, into=other, by=by_agent(cast.manager), now=now)
    assert mina.get(f"/tickets/{ticket.pk}/").status_code == 200
    assert reply(mina, cast, ticket).status_code == 404
    words = {"note": "Whose is it?", "client_uuid": str(uuid.uuid4())}
    assert mina.post(f"/tickets/{ticket.pk}/notes/", words, **FRAGMENT).status_code == 404
    assert not Message.objects.filter(direction="out").exists()


def test_who_sees_the_survivor_opens_what_was_merged_into_it(cast, sign_in, ticket, now, media_folder):
    """A thread shows the whole family: its mails and files open as well."""
    other = scene.says(cast.sms, scene.sender("Bora", phone="+821099998888"), "The same here", at=now).ticket
    Ticket.objects.filter(pk=other.pk).update(team=cast.billing)
    message = ticket.messages.get()
    Message.objects.filter(pk=message.pk).update(html="<p>Hi</p>")
    omar, address = sign_in(cast.outsider), f"/messages/{message.pk}/body/"
    assert omar.get(address).status_code == 404
    actions.merge(ticket, into=other, by=by_agent(cast.manager), now=now)
    assert omar.get(address).status_code == 200
    actions.unmerge(ticket, by=by_agent(cast.manager), now=now)
    assert omar.get(address).status_code == 404


def test_drafts_are_kept_and_a_late_save_changes_nothing(cast, mina, ticket):
    url, key = f"/tickets/{ticket.pk}/drafts/reply/", str(uuid.uuid4())

    def save(text, revision):
        words = {
            "text": text,
            "revision": revision,
            "client_uuid": key,
            "route": route(cast, ticket),
            "files": [],
            "seen": 1,
        }
        return mina.put(url, json.dumps(words), content_type="application/json").json()

    assert save("Dear Jiwoo", 2)["revision"] == 2
    assert save("Dear", 1)["text"] == "Dear Jiwoo"
    assert b"Dear Jiwoo" in mina.get(f"/tickets/{ticket.pk}/composer/").content
    assert reply(mina, cast, ticket, client_uuid=key).status_code == 201
    assert save("Dear Jiwoo, again", 3) == {"revision": 0, "gone": True}, "a late save does not bring it back"
    assert not Draft.objects.filter(ticket=ticket).exists()


def test_another_agents_draft_is_named_but_not_shown(cast, mina, sign_in, ticket):
    words = {"text": "Secret words", "revision": 1, "client_uuid": str(uuid.uuid4())}
    sign_in(cast.teammate).put(
        f"/tickets/{ticket.pk}/drafts/reply/", json.dumps(words), content_type="application/json"
    )
    page = mina.get(f"/tickets/{ticket.pk}/composer/").content.decode()
    assert "Theo" in page and "Secret words" not in page


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"revision": "x", "client_uuid": "y"}'])
def test_a_draft_that_no_browser_sends_is_refused(cast, mina, ticket, body):
    url = f"/tickets/{ticket.pk}/drafts/reply/"
    assert mina.put(url, body, content_type="application/json").status_code == 422


def test_files_go_up_before_the_reply_and_belong_to_their_author(cast, mina, sign_in, ticket, media_folder):
    response = mina.post("/uploads/", {"file": SimpleUploadedFile("../shoe.png", PNG)}, **FRAGMENT)
    file = Attachment.objects.get()
    assert response.status_code == 201 and (file.name, file.content_type) == ("shoe.png", "image/png")
    assert reply(sign_in(cast.teammate), cast, ticket, files=[file.pk]).status_code == 422, "somebody else's file"
    assert sign_in(cast.teammate).delete(f"/uploads/{file.pk}/").status_code == 404
    assert reply(mina, cast, ticket, files=[file.pk]).status_code == 201
    file.refresh_from_db()
    assert file.message is not None
    assert mina.delete(f"/uploads/{file.pk}/").status_code == 404, "it was sent"


def test_an_empty_upload_is_refused_in_words(cast, mina):
    response = mina.post("/uploads/", {"file": SimpleUploadedFile("a.txt", b"")}, **FRAGMENT)
    assert response.status_code == 422 and b"empty" in response.content


def test_an_uncertain_part_is_settled_by_one_click(cast, mina, ticket, now):
    message = scene.answers(ticket, cast.agent, "On its way", at=now)
    part = message.parts.get()
    DeliveryPart.objects.filter(pk=part.pk).update(state="uncertain")
    Message.objects.filter(pk=message.pk).update(state="uncertain")
    assert b"It arrived" in mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content
    response = mina.post(f"/parts/{part.pk}/verdict/", {"outcome": "arrived"}, **FRAGMENT)
    message.refresh_from_db()
    assert response.status_code == 200 and message.state in ("sent", "delivered")
    assert mina.post(f"/parts/{part.pk}/verdict/", {"outcome": "maybe"}, **FRAGMENT).status_code == 422


# -- Mail and texts of strangers -----------------------------------------------------------------------------------------------


def test_a_mail_stands_in_a_frame_of_its_own_that_runs_and_fetches_nothing(cast, mina, ticket, media_folder):
    message = ticket.messages.get()
    html = '<p>Hello</p><img data-cid="logo" alt=""><img data-remote="https://track.example/x.png" alt="">'
    Message.objects.filter(pk=message.pk).update(html=html)
    file = Attachment.objects.create(
        message=message, content_id="logo", inline=True, name="logo.png", content_type="image/png", sha256="a" * 64
    )
    response = mina.get(f"/messages/{message.pk}/body/")
    page, policy = response.content.decode(), response["Content-Security-Policy"]
    assert f"/files/{file.token}/" in page and 'src="https://track' not in page
    assert "default-src 'none'" in policy and "script" not in policy and "sandbox allow-same-origin" in policy
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    thread = mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content.decode()
    assert (
        f'src="/messages/{message.pk}/body/"' in thread and "allow-scripts" not in thread and "logo.png" not in thread
    )


def test_texts_of_strangers_are_only_text(cast, mina, now, give_to_support):
    bad = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    said = scene.says(cast.sms, scene.sender(bad, phone="+821011112222"), bad, at=now, subject=bad)
    ticket = give_to_support(said.ticket)
    for path in ("/", f"/tickets/{ticket.pk}/", f"/tickets/{ticket.pk}/customer/", f"/tickets/{ticket.pk}/composer/"):
        page = mina.get(path).content.decode()
        assert "<img src=x" not in page and "<script>alert" not in page, path


def test_reactions_edits_and_deletions_are_shown(cast, mina, ticket, now):
    message = ticket.messages.get()
    Message.objects.filter(pk=message.pk).update(meta={"reactions": {"1": "👍", "2": "👍"}}, edited_at=now)
    page = mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content.decode()
    assert "👍 2" in page and "edited" in page
    Message.objects.filter(pk=message.pk).update(deleted_at=now)
    page = mina.get(f"/tickets/{ticket.pk}/", **FRAGMENT).content.decode()
    assert "This message was deleted" in page
    assert "Where is my parcel?" not in page.split('id="thread-log"')[1].split("</thread-log>")[0]


def test_the_customer_panel_shows_all_channels_of_the_person(cast, mina, ticket, now, give_to_support):
    chat = give_to_support(
        scene.says(cast.webchat, scene.sender("Jiwoo", visitor="v1"), "By chat", at=now - timedelta(days=3)).ticket
    )
    Ticket.objects.filter(pk=chat.pk).update(customer=ticket.customer)
    page = mina.get(f"/tickets/{ticket.pk}/customer/").content.decode()
    assert "+821011112222" in page and "By chat" in page and 'aria-current="true"' in page


def test_the_menu_of_people_shows_presence_and_load(cast, mina, ticket, now):
    actions.assign(ticket, assignee=cast.teammate, team=cast.support, by=by_agent(cast.agent), now=now)
    page = mina.get("/people/").content.decode()
    assert page.index("Mina") < page.index("Theo") and "1 of 5" in page
    assert b"Billing" in mina.get("/teams/").content


def test_without_a_socket_a_screen_says_where_it_is(cast, mina, sign_in, ticket):
    url = f"/tickets/{ticket.pk}/presence/?screen=0123abcd"
    said = mina.post(f"{url}&doing=replying").json()["people"]
    assert [(one["name"], one["doing"]) for one in said] == [("Mina", "replying")]
    theo = sign_in(cast.teammate)
    assert [one["name"] for one in theo.post(f"{url}&doing=viewing").json()["people"]] == ["Mina", "Theo"]
    assert theo.delete(url).status_code == 204
    assert [one["name"] for one in mina.post(f"{url}&doing=viewing&before=replying").json()["people"]] == ["Mina"]
    assert mina.post(f"{url}&doing=dancing").status_code == 400
    assert mina.post(f"/tickets/{ticket.pk}/presence/?screen=x").status_code == 400
    assert sign_in(cast.outsider).post(f"{url}&doing=viewing").status_code == 404
