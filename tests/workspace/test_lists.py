from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.workspace import scene
from tickets import actions, presence
from tickets.models import ReadMark, Tag, Ticket
from tickets.models.event import by_agent
from tickets.workspace import lists

FRAGMENT = {"HTTP_HX_REQUEST": "true"}


def queries(client, url, **headers):
    client.get(url, **headers)  # what is cached once per process
    with CaptureQueriesContext(
        connection,
    ) as seen:
        response = client.get(url, **headers)
    assert response.status_code == 200
    return len(seen), response


@pytest.mark.parametrize("path", ["/", "/views/all/", "/views/mine/", "/views/unassigned/"])
@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
def test_a_list_has_as_many_queries_with_50_rows_as_with_5(cast, mina, now, path, headers):
    def fill(n):
        for ticket in scene.many(cast, n, now=now):
            ticket.tags.add(Tag.objects.get_or_create(name="billing")[0])
            Ticket.objects.filter(pk=ticket.pk).update(
                team=cast.support, assignee=cast.agent if path == "/views/mine/" else None
            )

    fill(5)
    few, page = queries(mina, path, **headers)
    assert page.content.count(b'class="row"') == 5
    fill(50)
    many, page = queries(mina, path, **headers)
    assert page.content.count(b'class="row"') == 50
    assert few == many <= 12


def test_the_rows_of_two_agents_are_the_same_html(cast, mina, sign_in, now, give_to_support):
    ticket = give_to_support(scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=now).ticket)
    actions.mark_read(ticket, agent=cast.agent, message_id=ticket.last_message_id, now=now)
    scene.answers(ticket, cast.agent, "Hi!", at=now + timedelta(seconds=5))
    mine = mina.get("/", **FRAGMENT).content
    theirs = sign_in(cast.teammate).get("/", **FRAGMENT).content
    assert b"Hi!" in mine
    assert mine == theirs


def test_marks_are_the_readers_own_and_only_of_tickets_they_see(cast, mina, sign_in, now, give_to_support):
    ticket = give_to_support(scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=now).ticket)
    ReadMark.objects.create(agent=cast.agent, ticket=ticket, message_id=ticket.last_message_id)
    presence.enter(ticket.pk, cast.teammate, screen="a", doing="replying", now=now)
    answer = mina.get(f"/marks/?ids={ticket.pk},999").json()
    assert answer["marks"] == {str(ticket.pk): {"read": ticket.last_message_id}}
    assert [(one["name"], one["doing"]) for one in answer["people"][str(ticket.pk)]] == [("Theo", "replying")]
    assert sign_in(cast.teammate).get(f"/marks/?ids={ticket.pk}").json()["marks"] == {str(ticket.pk): {}}
    assert sign_in(cast.outsider).get(f"/marks/?ids={ticket.pk}").json() == {"marks": {}, "people": {}}


def test_the_next_page_begins_where_the_first_ends(cast, mina, now):
    made = scene.many(cast, 60, now=now)
    Ticket.objects.update(team=cast.support, updated_at=now)  # all at the same moment: the id decides
    first = mina.get("/", **FRAGMENT)
    shown = [row["id"] for row in first.context["rows"]]
    rest = mina.get(first.context["more"], **FRAGMENT)
    shown += [row["id"] for row in rest.context["rows"]]
    assert sorted(shown) == sorted(ticket.pk for ticket in made)
    assert len(set(shown)) == 60 and rest.context["more"] == ""


@pytest.mark.parametrize("before", ["x", "-1", "99999999999999999999999999-1", "1-2-3", "١-١"])
def test_a_broken_cursor_is_the_first_page(cast, mina, before):
    assert mina.get(f"/?before={before}", **FRAGMENT).status_code == 200


def test_an_agent_sees_their_teams_tickets_and_no_others(cast, mina, sign_in, now, give_to_support):
    give_to_support(
        scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Only for support", at=now).ticket
    )
    assert b"Only for support" in mina.get("/").content
    assert b"Only for support" not in sign_in(cast.outsider).get("/").content
    assert b"Only for support" in sign_in(cast.manager).get("/").content


def test_lists_hold_what_their_names_say(cast, mina, now, give_to_support):
    ticket = give_to_support(scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=now).ticket)

    def where():
        return {
            one.name
            for one in lists.STANDARD
            if [row["id"] for row in mina.get(one.url, **FRAGMENT).context["rows"]] == [ticket.pk]
        }

    by = by_agent(cast.agent)
    assert where() == {"inbox", "unassigned", "all"}
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=by, now=now)
    assert where() == {"inbox", "mine", "all"}
    actions.snooze(ticket, until=now + timedelta(hours=1), by=by, now=now)
    assert where() == {"snoozed", "all"}
    actions.wake(ticket, by=by, now=now)
    actions.solve(ticket, by=by, now=now)
    assert where() == {"solved", "all"}
    assert mina.get(f"/views/team-{cast.support.pk}/").status_code == 200


def test_an_unknown_list_is_not_found(cast, mina):
    assert mina.get("/views/nonsense/").status_code == 404
    assert mina.get("/views/team-999/").status_code == 404


def test_counts_are_capped_and_per_set_of_rights(cast, mina, sign_in, now, monkeypatch):
    monkeypatch.setattr(lists, "MOST", 3)
    scene.many(cast, 5, now=now)
    Ticket.objects.update(team=cast.support)
    assert mina.get("/counts/").json()["inbox"] == "3+"
    assert sign_in(cast.outsider).get("/counts/").json()["inbox"] == ""


def test_counts_without_redis_are_counted(cast, mina, now, settings):
    scene.many(cast, 2, now=now)
    Ticket.objects.update(team=cast.support)
    settings.CACHES = {
        "default": {"BACKEND": "helpdesk.cache.ForgivingRedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    }
    assert mina.get("/counts/").json()["inbox"] == "2"


def test_nobody_in_particular_is_sent_to_the_door(client, db):
    for path in ("/", "/views/all/", "/tickets/1/", "/marks/", "/counts/", "/live/", "/palette/", "/people/"):
        response = client.get(path)
        assert response.status_code == 302 and response["Location"].startswith("/accounts/login/"), path


def test_pane_widths_are_kept_within_their_bounds(cast, mina):
    mina.post("/me/panes/", {"list": "9999", "side": "x", "nav": "", "admin": "1", "closed": "sla,<b>"})
    cast.agent.refresh_from_db()
    assert cast.agent.panes == {"list": 480, "nav": False, "closed": ["sla"]}


def test_ones_own_presence_is_a_choice(cast, mina):
    assert mina.post("/me/presence/", {"presence": "busy"}).status_code == 200
    cast.agent.refresh_from_db()
    assert cast.agent.presence == "busy"
    assert mina.post("/me/presence/", {"presence": "asleep"}).status_code == 422


def test_the_palette_finds_by_number_and_by_words(cast, mina, now, give_to_support):
    ticket = give_to_support(scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=now).ticket)
    for words in (f"#{ticket.number}", "jiw"):
        found = mina.get("/palette/", {"q": words}).json()["tickets"]
        assert [one["url"] for one in found] == [reverse("ticket", args=[ticket.pk])], words
    for words in ("jiw", "1111-2222"):
        (who,) = mina.get("/palette/", {"q": words}).json()["customers"]
        assert who == {"label": "Jiwoo", "hint": "+821011112222", "url": f"/customers/{ticket.customer_id}/"}, words
    assert mina.get("/palette/", {"q": "zz"}).json() == {"tickets": [], "customers": []}


def test_the_facts_of_a_list_are_plain(cast, mina):
    page = mina.get("/views/mine/", **FRAGMENT).content.decode()
    facts = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert facts["assignee"] == "me" and facts["asleep"] is False and "new" in facts["statuses"]
