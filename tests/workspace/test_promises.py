"""What is promised, on the screen of its ticket: made in one's own words, kept, withdrawn, handed over, told."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Agent
from tests import cast as people
from tests.workspace import scene
from tickets import actions, promises
from tickets.models import Customer, Event, Promise, SlaClock, Ticket
from tickets.models.event import by_agent


@pytest.fixture
def ticket(cast, give_to_support):
    asked = scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Where is it?", at=timezone.now()).ticket
    return give_to_support(asked)


def make(client: Client, ticket: Ticket, **form: Any) -> Any:
    form = {"text": "Call you back", "due": "in 3 hours"} | form
    return client.post(f"/tickets/{ticket.pk}/promises/", form, HTTP_HX_REQUEST="true")


def press(client: Client, promise: Promise, what: str, **form: Any) -> Any:
    url = f"/tickets/{promise.ticket_id}/promises/{promise.pk}/{what}/"
    return client.post(url, form, HTTP_HX_REQUEST="true")


def told(answer: Any) -> dict[str, Any]:
    return json.loads(answer["HX-Trigger"])


def test_it_is_promised_in_ones_own_words_and_stands_beside_the_ticket(cast, mina, ticket):
    answer = make(mina, ticket)
    assert answer.status_code == 201
    made = Promise.objects.get()
    assert (made.text, made.owner) == ("Call you back", cast.agent)
    assert abs(made.clock.due_at - timezone.now() - timedelta(hours=3)) < timedelta(minutes=1)
    assert told(answer)["promise:done"] == {"ticket": ticket.pk, "words": ""}
    page = mina.get(f"/tickets/{ticket.pk}/").content.decode()
    assert page.count("Call you back") >= 2, "in the side pane and in the thread"
    assert "Promise to the customer" not in page, "its clock is shown once"


def test_a_moment_that_was_chosen_counts_and_what_was_typed_since_before_it(mina, ticket):
    until = (timezone.now() + timedelta(days=2)).replace(microsecond=0)
    make(mina, ticket, due="", until=until.isoformat())
    assert SlaClock.objects.get(metric="promise").due_at == until
    make(mina, ticket, due="in 3 hours", until=until.isoformat())
    assert SlaClock.objects.filter(metric="promise").latest("id").due_at < until


def test_what_is_sent_twice_is_promised_once_and_answered_alike(cast, mina, sign_in, ticket):
    dialog = mina.get(f"/tickets/{ticket.pk}/promises/").content.decode()
    known = re.search(r'name="client_uuid" value="([^"]+)"', dialog)
    assert (
        known and 'hx-sync="this:drop"' in dialog and known[1] not in mina.get(f"/tickets/{ticket.pk}/promises/").text
    )
    wrong = make(mina, ticket, due="whenever", client_uuid=known[1])
    assert known[1] in wrong.content.decode(), "what is mended is sent as what it was"
    first, again = (make(mina, ticket, client_uuid=known[1]) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201) and told(first) == told(again)
    assert Promise.objects.count() == SlaClock.objects.filter(metric="promise").count() == 1
    assert make(sign_in(cast.teammate), ticket, client_uuid=known[1]).status_code == 422
    assert make(mina, ticket, client_uuid="none").status_code == 422


def test_whoever_may_not_keep_it_is_named_and_nobody_promises_in_their_place(cast, mina, ticket):
    answer = make(mina, ticket, owner=cast.outsider.pk)
    page = answer.content.decode()
    assert answer.status_code == 422 and "Omar does not see this ticket" in page
    assert f'value="{cast.agent.pk}" selected' in page
    assert make(mina, ticket, owner="0").status_code == 422
    assert not Promise.objects.exists()
    assert make(mina, ticket, owner=cast.teammate.pk).status_code == 201
    assert Promise.objects.get().owner == cast.teammate


@pytest.mark.parametrize(
    ("form", "said"),
    [({"due": "whenever"}, "Write a time"), ({"due": ""}, "Write a time"), ({"text": " "}, "Say what is promised")],
)
def test_what_is_wrong_is_said_and_nothing_that_was_typed_is_lost(mina, ticket, form, said):
    answer = make(mina, ticket, tell="1", **form)
    page = answer.content.decode()
    assert answer.status_code == 422 and said in page and "checked" in page
    assert form.get("text", "Call you back") in page and not Promise.objects.exists()


def test_the_customer_is_told_in_their_language_and_by_nobody_but_the_agent(cast, mina, ticket):
    Ticket.objects.filter(pk=ticket.pk).update(language="ko")
    words = told(make(mina, ticket, tell="1"))["promise:done"]["words"]
    assert words.endswith("까지 처리해 드리겠습니다: Call you back")
    kept = press(mina, Promise.objects.get(), "fulfilment", tell="1")
    assert told(kept)["promise:done"]["words"] == "약속드린 내용을 처리했습니다: Call you back"
    assert ticket.messages.filter(direction="out").count() == 0


@pytest.mark.parametrize(
    ("zone", "language", "said"),
    [
        ("", "en", r" 15:00 \(Korean Standard Time\): Call"),
        ("No/Where", "en", r" 15:00 \(Korean Standard Time\): Call"),
        ("Asia/Seoul", "en", " 15:00: Call"),
        ("Asia/Tokyo", "en", " 15:00: Call"),
        ("America/New_York", "en", r" 0[12]:00 \(Eastern (Standard|Daylight) Time\): Call"),
        ("", "ko", r" 오후 3:00\(대한민국 표준시\)까지"),
        ("America/New_York", "ko", r" 오전 [12]:00\(미 동부 (하계 )?표준시\)까지"),
    ],
)
def test_the_customer_is_told_by_their_own_clock_and_by_which_where_that_is_not_plain(
    mina, ticket, zone, language, said
):
    Ticket.objects.filter(pk=ticket.pk).update(language=language)
    Customer.objects.filter(pk=ticket.customer_id).update(time_zone=zone)
    until = f"{timezone.now() + timedelta(days=3):%Y-%m-%d}T15:00+09:00"
    words = told(make(mina, ticket, tell="1", due="", until=until))["promise:done"]["words"]
    assert re.search(said, words), words


def test_kept_and_withdrawn_are_taken_back_from_the_toast(mina, ticket):
    make(mina, ticket)
    made = Promise.objects.get()
    for what, state in (("fulfilment", "met"), ("withdrawal", "cancelled")):
        answer = press(mina, made, what)
        assert answer.status_code == 200 and "Call you back" not in answer.content.decode()
        assert SlaClock.objects.get(promise=made).state == state
        assert press(mina, made, what).status_code == 422, "a second press finds it done"
        assert mina.post(told(answer)["toast"]["undo"], HTTP_HX_REQUEST="true").status_code == 200
        assert SlaClock.objects.get(promise=made).state == "running"


def test_it_is_handed_to_somebody_who_sees_the_ticket(cast, mina, ticket):
    make(mina, ticket)
    made = Promise.objects.get()
    offered = mina.get(f"/tickets/{ticket.pk}/promises/owners/").content.decode()
    assert "Theo" in offered and "Omar" not in offered
    answer = press(mina, made, "owner", owner=cast.teammate.pk)
    assert answer.status_code == 200 and "Theo" in answer.content.decode()
    assert press(mina, made, "owner", owner=cast.outsider.pk).status_code == 422
    assert press(mina, made, "owner", owner="").status_code == 422
    assert Promise.objects.get().owner == cast.teammate


def test_a_solved_ticket_says_that_it_is_still_owed(cast, mina, ticket):
    make(mina, ticket)
    actions.solve(ticket, by=by_agent(cast.agent), now=timezone.now())
    assert "what was promised is still owed" in mina.get(f"/tickets/{ticket.pk}/").content.decode()


def test_others_promise_nothing_here(cast, sign_in, mina, ticket):
    make(mina, ticket)
    made = Promise.objects.get()
    light = people.make_agent("Lena", team=cast.support, role=Agent.Role.LIGHT)
    for somebody, status in ((light, 403), (cast.outsider, 404)):
        client = sign_in(somebody)
        for what in ("fulfilment", "withdrawal", "owner"):
            assert press(client, made, what, owner=cast.agent.pk).status_code == status
        make(client, ticket, text="Mine")
    assert Promise.objects.get() == made and SlaClock.objects.get(promise=made).state == "running"


def test_what_somebody_promised_is_told_on_their_page_and_handed_over_at_once(cast, sign_in, mina, ticket):
    admin = sign_in(cast.admin)
    assert "Promises to customers" not in admin.get(f"/settings/people/{cast.teammate.pk}/").content.decode()
    promise(cast, ticket, "One")
    promise(cast, ticket, "Two")
    Agent.objects.filter(pk=cast.teammate.pk).update(is_active=False)
    assert "2 promises are theirs to keep" in admin.get(f"/settings/people/{cast.teammate.pk}/").content.decode()
    url = f"/settings/people/{cast.teammate.pk}/promises/"
    stays = admin.post(url, {"owner": cast.outsider.pk}, follow=True).content.decode()
    assert "2 stay: Omar does not see this ticket, or may not answer on it." in stays
    nobody = admin.post(url, {"owner": ""}, follow=True).content.decode()
    assert "Choose who keeps them." in nobody
    assert mina.post(url, {"owner": cast.agent.pk}).status_code == 403
    handed = admin.post(url, {"owner": cast.agent.pk}, follow=True).content.decode()
    assert "2 promises were handed to Mina." in handed and "Promises to customers" not in handed
    assert set(Promise.objects.values_list("owner", flat=True)) == {cast.agent.pk}


def test_what_an_admin_does_not_see_is_counted_apart_and_stays(cast, sign_in, mina, ticket):
    promise(cast, ticket, "Seen")
    promise(cast, ticket, "Unseen")
    other = people.make_brand("other")
    elsewhere = scene.says(cast.sms, scene.sender("Bo", phone="+821033334444"), "Hello", at=timezone.now()).ticket
    Ticket.objects.filter(pk=elsewhere.pk).update(brand=other)
    SlaClock.objects.filter(promise__text="Unseen").update(ticket=elsewhere)
    Agent.objects.update(brand_ids=[cast.brand.pk])
    admin, page = sign_in(cast.admin), f"/settings/people/{cast.teammate.pk}/"
    shown = admin.get(page).content.decode()
    assert "1 promise is theirs to keep" in shown and "1 promise of theirs is on a ticket that you do not see" in shown
    handed = admin.post(f"{page}promises/", {"owner": cast.agent.pk}, follow=True).content.decode()
    assert "1 promise was handed to Mina." in handed and "theirs to keep" not in handed
    assert "1 promise of theirs is on a ticket that you do not see" in handed and "promises-to" not in handed


def test_there_is_no_form_where_nobody_else_could_keep_it(cast, sign_in, ticket):
    promise(cast, ticket, "One", owner=cast.admin)
    Agent.objects.exclude(pk=cast.admin.pk).update(is_active=False)
    page = sign_in(cast.admin).get(f"/settings/people/{cast.admin.pk}/").content.decode()
    assert "There is nobody else to keep them." in page and "promises-to" not in page


def test_the_clock_says_what_was_promised_and_by_whom(cast, mina, ticket):
    promise(cast, ticket, "Call back")
    why = mina.get(f"/tickets/{ticket.pk}/explanation/").content.decode()
    assert "“Call back”, Theo" in why and "version 1" not in why


def test_the_ticket_asks_the_database_no_more_for_what_is_promised(cast, mina, ticket):
    def asked() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert mina.get(f"/tickets/{ticket.pk}/properties/").status_code == 200
        return len(seen)

    asked()  # warm
    before = asked()
    for n in range(5):
        promise(cast, ticket, f"Thing {n}")
    assert asked() == before


def promise(
    cast: people.Cast, ticket: Ticket, text: str, *, now: datetime | None = None, owner: Agent | None = None
) -> Event:
    now = now or timezone.now()
    due_at = now + timedelta(days=1)
    return promises.make(
        ticket, text=text, due_at=due_at, owner=owner or cast.teammate, by=by_agent(cast.agent), now=now
    )
