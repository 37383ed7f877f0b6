"""What whoever comes to a ticket should know: why it was handed on, the pinned note, what they have missed."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from agents import presence
from agents.models import Agent
from tests.workspace import scene
from tickets import actions, bulk, notifications, notifying, undoing
from tickets.models import Event, Message, ReadMark, Ticket
from tickets.models.event import SYSTEM, by_agent
from tickets.routing import assign, explain

FRAGMENT = {"HTTP_HX_REQUEST": "true"}
JIWOO = scene.sender("Jiwoo", phone="+821011112222")
WHY = "Speaks French, wants his money back"


@pytest.fixture
def ticket(cast, now, give_to_support):
    return give_to_support(scene.says(cast.sms, JIWOO, "Where is my parcel?", at=now - timedelta(hours=3)).ticket)


@pytest.fixture
def everywhere(cast):
    """Everybody sees every ticket."""
    Agent.objects.update(sight="all")
    for agent in (cast.agent, cast.teammate, cast.outsider):
        agent.refresh_from_db()


def opened(client: Any, ticket: Ticket) -> Any:
    return client.get(f"/tickets/{ticket.pk}/", **FRAGMENT)


def seen_as(page: Any) -> str:
    """The line of what was missed, as one reads it; "" without one."""
    line = re.search(r'<p class="since".*?</p>', page.content.decode(), re.DOTALL)
    words = re.sub(r"<time.*?</time>", "2 h ago", line[0], flags=re.DOTALL) if line else ""
    return " ".join(re.sub(r"<svg.*?</svg>|<button.*?</button>|<[^>]+>", "", words, flags=re.DOTALL).split())


# -- The reason ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "name"), [("assignee/", "teammate"), ("team/", "billing")])
def test_who_hands_a_ticket_on_may_say_why_and_it_stands_in_the_thread_and_in_why_here(
    cast, mina, everywhere, ticket, path, name
):
    field = path.strip("/")
    answer = mina.post(
        f"/tickets/{ticket.pk}/{path}", {field: getattr(cast, name).pk, "reason": f" {WHY}\n "}, **FRAGMENT
    )
    assert answer.status_code == 200
    event = Event.objects.get(ticket=ticket, kind="assigned")
    assert event.particulars["reason"] == WHY
    assert f"“{WHY}”" in opened(mina, ticket).content.decode()
    (told,) = explain.decisions(ticket)
    assert WHY in told.outcome and told.outcome.startswith("Mina · ")
    assert WHY in mina.get(f"/tickets/{ticket.pk}/explanation/", **FRAGMENT).content.decode()


def test_without_words_there_is_no_reason_and_a_long_one_is_cut(cast, ticket, now):
    me = by_agent(cast.agent)
    plain = actions.assign(ticket, assignee=cast.teammate, team=cast.support, by=me, now=now)
    assert "reason" not in plain.particulars
    long = actions.assign(ticket, assignee=cast.agent, team=cast.support, by=me, now=now, reason="x" * 500)
    assert long.particulars["reason"] == "x" * actions.MOST_REASON


def test_the_new_owner_is_told_why_also_when_routing_found_them_in_the_team(cast, everywhere, ticket, now):
    actions.assign(ticket, assignee=cast.teammate, team=cast.support, by=by_agent(cast.agent), now=now, reason=WHY)
    notifying.drain()
    (told,) = notifications.page(cast.teammate)[0]
    assert (told.title, told.snippet) == ("Mina assigned this to you", f"“{WHY}”")

    actions.assign(ticket, assignee=None, team=cast.billing, by=by_agent(cast.teammate), now=now, reason="A refund")
    presence.set_presence(cast.outsider, Agent.Presence.ONLINE, now=now)
    notifying.drain()
    Ticket.objects.filter(pk=ticket.pk).update(routing_due_at=now)
    assign.assign(ticket.pk, now=now)
    ticket.refresh_from_db()
    assert ticket.assignee == cast.outsider, "routing has found somebody"
    notifying.drain()
    (told,) = [one for one in notifications.page(cast.outsider)[0] if one.row.type == "assigned"]
    assert (told.title, told.snippet) == ("Assigned to you", "“A refund”")


def test_many_are_handed_on_with_one_reason(cast, mina, everywhere, now):
    tickets = scene.many(cast, 3, now=now)
    ids = ",".join(str(one.pk) for one in tickets)
    answer = mina.post("/bulk/", {"do": "team", "value": cast.billing.pk, "ids": ids, "reason": WHY})
    assert answer.status_code == 202
    bulk.drain(seconds=60, now=timezone.now())
    assert [e.particulars["reason"] for e in Event.objects.filter(kind="assigned")] == [WHY] * 3
    mina.post("/bulk/", {"do": "priority", "value": "high", "ids": ids, "reason": WHY})
    bulk.drain(seconds=60, now=timezone.now())
    assert not Event.objects.filter(kind="priority_changed", particulars__has_key="reason").exists()


def test_what_was_taken_back_by_itself_keeps_its_own_reason(cast, ticket, now):
    actions.assign(ticket, assignee=cast.teammate, team=cast.support, by=by_agent(cast.agent), now=now)
    Ticket.objects.filter(pk=ticket.pk).update(accept_until=now - timedelta(seconds=1), assigned_at=now)
    assert assign.take_back(now=now) == 1
    told = explain.decisions(ticket)[0]
    assert (told.outcome, told.trigger) == ("Rule · Assignee: nobody · not taken up in time", "It was taken back")


# -- The pinned note ----------------------------------------------------------------------------------------------------


def test_a_note_is_pinned_for_everybody_replaced_and_unpinned_and_each_can_be_taken_back(
    cast, mina, sign_in, ticket, now
):
    first = scene.notes(ticket, cast.teammate, "He is deaf: never call.", at=now)
    second = scene.notes(ticket, cast.agent, "VIP since 2019.", at=now)
    url = f"/tickets/{ticket.pk}/pin/"

    def above() -> str:
        page = opened(sign_in(cast.teammate), ticket).context["pinned"]
        return page["text"] if page else ""

    def undo(answer: Any) -> None:
        assert mina.post(json.loads(answer["HX-Trigger"])["toast"]["undo"], **FRAGMENT).status_code == 200

    newest = mina.post(url, {"note": ""}, **FRAGMENT)
    assert above() == "VIP since 2019." and f'data-note="{second.pk}"' in newest.content.decode()
    other = mina.post(url, {"note": first.pk}, **FRAGMENT)
    assert above() == "He is deaf: never call."
    undo(other)
    assert above() == "VIP since 2019."
    none = mina.delete(url, **FRAGMENT)
    assert above() == ""
    undo(none)
    assert above() == "VIP since 2019."
    Message.objects.filter(pk=second.pk).update(deleted_at=now)
    assert above() == "", "what was deleted stands nowhere"
    said = opened(mina, ticket).content.decode()
    assert "Mina · Pinned a note" in said and "Mina · Unpinned the note" in said


def test_only_a_note_of_this_thread_can_be_pinned(cast, mina, sign_in, ticket, now, give_to_support):
    url = f"/tickets/{ticket.pk}/pin/"
    assert mina.post(url, {"note": ""}, **FRAGMENT).status_code == 422, "there is none"
    elsewhere = give_to_support(scene.says(cast.sms, scene.sender("Bo", phone="+82105"), "Hi", at=now).ticket)
    foreign = scene.notes(elsewhere, cast.agent, "Elsewhere", at=now)
    for wrong in (foreign.pk, ticket.messages.get().pk, "x", 10**20):
        assert mina.post(url, {"note": wrong}, **FRAGMENT).status_code == 422, wrong
    assert sign_in(cast.outsider).post(url, {"note": ""}, **FRAGMENT).status_code == 404
    assert Ticket.objects.get(pk=ticket.pk).pinned_note_id is None


def test_a_pinned_note_of_a_merged_ticket_leaves_with_it(cast, mina, ticket, now, give_to_support):
    me = by_agent(cast.agent)
    other = give_to_support(scene.says(cast.sms, scene.sender("Bo", phone="+82105"), "Hi", at=now).ticket)
    note = scene.notes(other, cast.agent, "Of the other one", at=now)
    merged = actions.merge(other, into=ticket, by=me, now=now)
    assert mina.post(f"/tickets/{ticket.pk}/pin/", {"note": note.pk}, **FRAGMENT).status_code == 200
    undoing.undo(Ticket.objects.get(pk=ticket.pk), merged, agent=cast.agent, now=now)
    assert Ticket.objects.get(pk=ticket.pk).pinned_note_id is None


# -- What they have missed ------------------------------------------------------------------------------------------------


def moved_on(cast, ticket, now):
    """Mina was here two hours ago; since then the customer, Theo and a rule have done things."""
    theo = by_agent(cast.teammate)
    actions.mark_read(ticket, agent=cast.agent, message_id=ticket.last_message_id, now=now - timedelta(hours=2))
    for n in range(3):
        scene.says(cast.sms, JIWOO, f"Hello? {n}", at=now - timedelta(minutes=50 - n))
    scene.notes(ticket, cast.teammate, "Ask the courier.", at=now - timedelta(minutes=40))
    actions.assign(
        ticket, assignee=None, team=cast.billing, by=theo, now=now - timedelta(minutes=30), reason="A refund"
    )
    actions.set_priority(ticket, 4, by=theo, now=now - timedelta(minutes=20))
    actions.set_priority(ticket, 3, by=theo, now=now - timedelta(minutes=19))
    actions.change_tags(ticket, add=["refund", "slip"], by=theo, now=now - timedelta(minutes=18))
    actions.change_tags(ticket, remove=["slip"], by=theo, now=now - timedelta(minutes=17))
    actions.set_subject(ticket, "A parcel", by=theo, now=now - timedelta(minutes=16))


def test_who_comes_back_reads_in_one_line_what_has_happened(cast, mina, everywhere, ticket, now):
    moved_on(cast, ticket, now)
    page = opened(mina, ticket)
    assert seen_as(page) == (
        "Since you were here (2 h ago): 3 messages from the customer, 1 note by Theo, "
        "moved from Support to Billing (“A refund”), priority High, +refund, 1 other change"
    )
    kinds = [(kind, item.get("text")) for kind, item in page.context["thread"].items]
    place = kinds.index(("since", None))
    assert kinds[place + 1] == ("message", "Hello? 0"), "it stands above the first of them"
    assert f'data-jump="message-{page.context["since"].unread}"' in page.content.decode()


def test_the_line_is_as_natural_in_korean(cast, mina, everywhere, ticket, now):
    moved_on(cast, ticket, now)
    Agent.objects.filter(pk=cast.agent.pk).update(language="ko")
    with translation.override("ko"):
        assert seen_as(opened(mina, ticket)) == (
            "지난번 확인(2 h ago) 이후: 고객 메시지 3개, Theo 님의 내부 메모 1개, "
            "팀 Support → Billing (“A refund”), 우선순위 높음, +refund, 그 밖의 변경 1건"
        )


def test_it_is_gone_once_they_have_looked_and_ones_own_deeds_are_no_news(cast, mina, everywhere, ticket, now):
    moved_on(cast, ticket, now)
    ticket.refresh_from_db()
    assert mina.post(f"/tickets/{ticket.pk}/mark/", {"message": ticket.last_message_id}).status_code == 204
    later = timezone.now() + timedelta(minutes=1)
    me = by_agent(cast.agent)
    actions.solve(ticket, by=me, now=later)
    scene.notes(ticket, cast.agent, "Mine", at=later)
    assert seen_as(opened(mina, ticket)) == ""
    reopened = actions.reopen(ticket, by=by_agent(cast.teammate), now=later + timedelta(minutes=1))
    assert reopened and seen_as(opened(mina, ticket)) == "Since you were here (2 h ago): status Open"


def test_what_came_and_went_is_no_change(cast, mina, ticket, now):
    theo = by_agent(cast.teammate)
    actions.mark_read(ticket, agent=cast.agent, message_id=ticket.last_message_id, now=now - timedelta(hours=2))
    actions.set_priority(ticket, 4, by=theo, now=now)
    actions.set_priority(ticket, 2, by=theo, now=now)
    actions.change_tags(ticket, add=["slip"], by=theo, now=now)
    actions.change_tags(ticket, remove=["slip"], by=theo, now=now)
    assert seen_as(opened(mina, ticket)) == ""


def test_who_never_was_here_reads_it_only_of_what_was_handed_on(cast, sign_in, everywhere, ticket, now):
    omar = sign_in(cast.outsider)
    scene.notes(ticket, cast.agent, "Ask the courier.", at=now)
    assert seen_as(opened(omar, ticket)) == ""
    actions.assign(ticket, assignee=cast.outsider, team=cast.billing, by=by_agent(cast.agent), now=now, reason=WHY)
    assert seen_as(opened(omar, ticket)) == (
        "New to you: 1 message from the customer, 1 note by Mina, moved from Support to Billing, "
        f"assigned to Omar (“{WHY}”)"
    )


def test_more_than_a_page_holds_is_not_counted_to_its_end(cast, mina, ticket, now):
    actions.mark_read(ticket, agent=cast.agent, message_id=ticket.last_message_id, now=now - timedelta(hours=2))
    for n in range(60):
        scene.says(cast.sms, JIWOO, f"Hello? {n}", at=now - timedelta(minutes=70 - n))
    assert seen_as(opened(mina, ticket)) == "Since you were here (2 h ago): 50+ messages from the customer"


def test_none_of_it_costs_a_further_query(cast, mina, everywhere, ticket, now):
    def count() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert opened(mina, ticket).status_code == 200
        return len(seen)

    opened(mina, ticket)
    actions.set_priority(ticket, 3, by=SYSTEM, now=now - timedelta(hours=3))
    actions.assign(ticket, assignee=None, team=cast.billing, by=SYSTEM, now=now - timedelta(hours=3))
    before = count()
    moved_on(cast, ticket, now)
    note = scene.notes(ticket, cast.teammate, "VIP", at=now)
    actions.pin(ticket, note, by=by_agent(cast.teammate), now=now)
    assert seen_as(opened(mina, ticket)) and opened(mina, ticket).context["pinned"]
    assert count() <= before + 1 <= 13, "one more for the names that the lines need"


def test_an_answer_that_leaves_by_itself_is_no_look(cast, mina, ticket, now):
    moved_on(cast, ticket, now)
    seen = ReadMark.objects.get(agent=cast.agent, ticket=ticket).at
    scene.answers(ticket, cast.agent, "On its way.", at=now)
    assert ReadMark.objects.get(agent=cast.agent, ticket=ticket).at == seen
