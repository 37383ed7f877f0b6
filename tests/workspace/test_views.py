"""Lists in their orders, narrowed by queries; the views that people keep of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.models import Membership
from tests.workspace import scene
from tickets import actions
from tickets.models import SavedView, SlaClock, SlaPolicy, Ticket
from tickets.models.event import by_agent
from tickets.workspace import lists
from tickets.workspace.orders import ORDERS

FRAGMENT = {"HTTP_HX_REQUEST": "true"}
FORM = {
    "name": "Urgent", "of": "personal", "query": "", "sort": "priority", "number": "1", "hue": "3", "base": "inbox",
    "shows": SavedView.Column.values,
}  # fmt: skip


def shown(client, url):
    response = client.get(url, **FRAGMENT)
    assert response.status_code == 200, url
    return [row["id"] for row in response.context["rows"]]


def keep(client, **changes):
    response = client.post("/saved-views/", FORM | changes)
    assert response.status_code == 200, response.content
    return SavedView.objects.latest("pk")


def clock(ticket, *, due_at, now, state="running", metric="first_reply"):
    policy = SlaPolicy.objects.get_or_create(name="Standard")[0]
    return SlaClock.objects.create(
        ticket=ticket, metric=metric, policy=policy, seconds=3600, started_at=now, due_at=due_at, state=state
    )


@pytest.fixture
def four(cast, now):
    """Customers who wrote one after the other, the first one longest ago."""
    made = scene.many(cast, 4, now=now)
    Ticket.objects.update(team=cast.support)
    return made


# -- Orders -------------------------------------------------------------------------------------------------------------


def test_the_next_breach_comes_first_then_who_waits_longest(mina, four, now):
    first, second, third, fourth = four
    clock(third, due_at=now + timedelta(hours=2), now=now)
    clock(fourth, due_at=now + timedelta(hours=1), now=now)
    clock(second, due_at=now - timedelta(hours=9), now=now, state="met")
    Ticket.objects.filter(pk=first.pk).update(waiting_since=None)  # answered: nobody waits
    assert shown(mina, "/") == [fourth.pk, third.pk, second.pk, first.pk]


def test_the_deadline_follows_the_clocks_whoever_writes_them(four, now):
    ticket = four[0]

    def due():
        return Ticket.objects.values_list("next_due_at", flat=True).get(pk=ticket.pk)

    early, late = now + timedelta(hours=1), now + timedelta(hours=2)
    one = clock(ticket, due_at=late, now=now)
    two = clock(ticket, due_at=early, now=now, metric="resolution")
    assert due() == early
    SlaClock.objects.filter(pk=two.pk).update(state="paused")
    assert due() == late
    SlaClock.objects.filter(pk=two.pk).update(state="running", due_at=early + timedelta(minutes=5))
    assert due() == early + timedelta(minutes=5)
    SlaClock.objects.filter(pk=one.pk).update(breached_at=now)
    two.delete()
    assert due() == late
    one.delete()
    assert due() is None


@pytest.mark.parametrize("name", ORDERS)
def test_each_order_pages_through_everything_once(cast, mina, now, name, monkeypatch):
    monkeypatch.setattr(lists, "PAGE", 7)
    for n, ticket in enumerate(scene.many(cast, 24, now=now)):
        waiting = ticket.waiting_since if n % 3 else None
        Ticket.objects.filter(pk=ticket.pk).update(team=cast.support, priority=1 + n % 4, waiting_since=waiting)
        if n % 4 == 0:
            clock(ticket, due_at=now + timedelta(minutes=n // 8), now=now)  # several at the same moment
    order, url, seen = ORDERS[name], f"/?sort={name}", []
    while url:
        page = mina.get(url, **FRAGMENT)
        seen += [row["id"] for row in page.context["rows"]]
        url = page.context["more"]
    assert len(seen) == len(set(seen)) == 24
    places = [order.of(ticket) for ticket in map(Ticket.objects.in_bulk().get, seen)]
    assert places == sorted(places, reverse=order.descending)


@pytest.mark.parametrize("path", ["/", "/views/mine/", "/?sort=priority", "/?sort=newest"])
def test_an_index_brings_the_first_page_in_order(cast, mina, now, path):
    scene.many(cast, 30, now=now)
    Ticket.objects.update(team=cast.support, assignee=cast.agent)
    cast.agent.sight = "all"
    cast.agent.save(update_fields=["sight"])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        with CaptureQueriesContext(connection) as queries:
            mina.get(path, **FRAGMENT)
        page = next(one["sql"] for one in queries if "LIMIT 51" in one["sql"] and "ORDER BY" in one["sql"])
        cursor.execute("EXPLAIN " + page.replace("%", "%%"))
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Sort" not in plan.replace("Incremental Sort", "Sort") and "Index Scan" in plan, plan


# -- Queries ------------------------------------------------------------------------------------------------------------


def test_a_query_narrows_a_list_and_puts_it_in_order(cast, mina, four, now):
    by = by_agent(cast.agent)
    for ticket in four[:2]:
        actions.change_tags(ticket, add=["billing"], by=by, now=now)
    actions.set_priority(four[1], 4, by=by, now=now)
    assert set(shown(mina, "/?q=tag:billing")) == {four[0].pk, four[1].pk}
    assert shown(mina, "/?q=tag:billing+sort:priority") == [four[1].pk, four[0].pk]
    assert shown(mina, "/?q=tag:billing&sort=due") == [four[0].pk, four[1].pk]
    actions.solve(four[0], by=by, now=now)
    assert shown(mina, "/?q=tag:billing") == [four[1].pk]  # still the inbox
    assert set(shown(mina, "/views/all/?q=tag:billing")) == {four[0].pk, four[1].pk}


def test_a_query_that_is_not_understood_says_so(mina, four):
    page = mina.get("/?q=statsu:open", **FRAGMENT)
    assert page.status_code == 200 and page.context["problems"]
    assert page.context["problems"][0] in page.content.decode().replace("&#x27;", "'").replace("&quot;", '"')


def test_the_browser_can_ask_which_changed_rows_a_narrowed_list_holds(cast, mina, sign_in, four, now):
    actions.change_tags(four[0], add=["billing"], by=by_agent(cast.agent), now=now)
    view = keep(mina, query="tag:billing")
    ids = ",".join(str(ticket.pk) for ticket in four)
    facts = mina.get(f"/views/view-{view.pk}/", **FRAGMENT).context["facts"]
    assert mina.get(facts["members"], {"ids": ids}).json() == {"ids": [four[0].pk]}
    assert sign_in(cast.outsider).get(facts["members"], {"ids": ids}).status_code == 404
    assert mina.get("/views/inbox/members/", {"q": "tag:billing", "ids": ids}).json() == {"ids": [four[0].pk]}
    Ticket.objects.update(team=cast.billing)
    assert mina.get(facts["members"], {"ids": ids}).json() == {"ids": []}


# -- Views --------------------------------------------------------------------------------------------------------------


def test_a_view_is_kept_shown_counted_changed_and_brought_back(mina, four, cast, now):
    actions.set_priority(four[2], 4, by=by_agent(cast.agent), now=now)
    view = keep(mina, query="priority>=high", base="inbox")
    page = mina.get("/").content.decode()
    assert f'href="/views/view-{view.pk}/"' in page and 'data-number="1"' in page
    assert shown(mina, f"/views/view-{view.pk}/") == [four[2].pk]
    assert mina.get("/counts/").json()[f"view-{view.pk}"] == "1"

    assert mina.post(f"/saved-views/{view.pk}/", FORM | {"name": "Everything", "base": "all"}).status_code == 200
    assert len(shown(mina, f"/views/view-{view.pk}/")) == 4

    gone = mina.delete(f"/saved-views/{view.pk}/")
    assert f"/saved-views/{view.pk}/restoration/" in gone["HX-Trigger"]
    assert mina.get(f"/views/view-{view.pk}/").status_code == 404
    assert mina.post(f"/saved-views/{view.pk}/restoration/").status_code == 204
    assert len(shown(mina, f"/views/view-{view.pk}/")) == 4


def test_who_sees_a_view_and_who_may_change_it(cast, mina, sign_in):
    teammate, outsider, manager = map(sign_in, (cast.teammate, cast.outsider, cast.manager))
    mine = keep(mina)
    of_team = keep(mina, of=f"team-{cast.support.pk}")
    everybodys = keep(manager, of="shared")

    def answers(view):
        return [c.get(f"/views/view-{view.pk}/").status_code for c in (mina, teammate, outsider, manager)]

    assert answers(mine) == [200, 404, 404, 404]
    assert answers(of_team) == [200, 200, 404, 404]
    assert answers(everybodys) == [200, 200, 200, 200]
    assert teammate.post(f"/saved-views/{of_team.pk}/", FORM).status_code == 403
    assert teammate.delete(f"/saved-views/{of_team.pk}/").status_code == 403
    assert mina.delete(f"/saved-views/{everybodys.pk}/").status_code == 403
    assert outsider.delete(f"/saved-views/{mine.pk}/").status_code == 404
    mina.delete(f"/saved-views/{mine.pk}/")
    assert outsider.post(f"/saved-views/{mine.pk}/restoration/").status_code == 404
    assert SavedView.objects.filter(deleted_at=None).count() == 2


@pytest.mark.parametrize(
    "changes",
    [{"of": "shared"}, {"of": "team-999999"}, {"name": ""}, {"base": "view-1"}, {"base": "nonsense"}, {"sort": "x"},
     {"number": "12"}, {"hue": "9"}],
)  # fmt: skip
def test_what_a_view_cannot_be(mina, cast, changes):
    assert mina.post("/saved-views/", FORM | changes).status_code == 422
    assert not SavedView.objects.exists()


def test_a_view_opens_only_what_its_reader_may_see(cast, mina, sign_in, four):
    everybodys = keep(sign_in(cast.manager), of="shared", base="all", query="", sort="newest")
    Ticket.objects.filter(pk=four[0].pk).update(team=cast.billing)
    assert len(shown(mina, f"/views/view-{everybodys.pk}/")) == 3
    assert shown(sign_in(cast.outsider), f"/views/view-{everybodys.pk}/") == [four[0].pk]


def test_views_are_arranged_by_their_people(mina, cast):
    views = [keep(mina, name=name, number="") for name in ("One", "Two", "Three")]

    def names():
        return list(SavedView.objects.order_by("position").values_list("name", flat=True))

    mina.post(f"/saved-views/{views[2].pk}/position/", {"by": "-1"})
    assert names() == ["One", "Three", "Two"]
    mina.post(f"/saved-views/{views[0].pk}/position/", {"by": "1"})
    assert names() == ["Three", "One", "Two"]
    mina.post(f"/saved-views/{views[1].pk}/position/", {"by": "1"})  # already the last
    assert names() == ["Three", "One", "Two"]
    assert mina.post(f"/saved-views/{views[1].pk}/position/", {"by": "5"}).status_code == 422


def test_the_nearest_view_has_the_number(mina, sign_in, cast):
    keep(sign_in(cast.manager), of="shared", number="1")
    own = keep(mina, number="1")
    numbered = [one for one in mina.get("/").context["saved_views"] if one["key"]]
    assert [(one["view"].pk, one["key"]) for one in numbered] == [(own.pk, 1)]


def test_many_views_cost_as_many_queries_as_few(mina, cast, four):
    def queries(url, **headers):
        mina.get(url, **headers)
        with CaptureQueriesContext(connection) as seen:
            assert mina.get(url, **headers).status_code == 200
        return len(seen)

    keep(mina)
    few = [queries("/"), queries("/counts/")]
    for n in range(8):
        keep(mina, name=f"View {n}", query="tag:billing" if n % 2 else "")
    assert [queries("/"), queries("/counts/")] == few
    assert max(few) <= 14


def test_teams_that_one_may_not_open_are_not_shown(cast, mina, sign_in):
    def teams(client):
        return [one.label for one in client.get("/").context["team_lists"]]

    assert teams(mina) == ["Support"]
    assert teams(sign_in(cast.manager)) == ["Billing", "Support"] or teams(sign_in(cast.manager)) == [
        "Support",
        "Billing",
    ]
    assert mina.get(f"/views/team-{cast.billing.pk}/").status_code == 404
    assert "Billing" not in mina.get("/").content.decode()
    Membership.objects.create(agent=cast.agent, team=cast.billing)
    assert len(teams(mina)) == 2


# -- The end of the work ------------------------------------------------------------------------------------------------


def test_an_empty_list_says_what_sleeps(cast, mina, four, now):
    for n, ticket in enumerate(four):
        actions.snooze(ticket, until=now + timedelta(hours=1 + n), by=by_agent(cast.agent), now=now)
    page = mina.get("/", **FRAGMENT)
    assert page.context["snoozed"] == {"n": 4, "words": "4", "until": now + timedelta(hours=1)}
    assert "4 tickets are snoozed." in page.content.decode() and 'href="/views/snoozed/"' in page.content.decode()
    assert mina.get("/views/mine/", **FRAGMENT).context["snoozed"] is None  # none of them is hers


# -- Columns ------------------------------------------------------------------------------------------------------------


def rows_of(page):
    """The list of rows as its element says it, and the rows themselves."""
    start, rows = page.split('<ul class="rows" id="rows"')[1].split("</ul>")[0].split(">", 1)
    return start, rows


def test_a_view_leaves_columns_out_with_the_same_rows_for_everybody(mina, four):
    view = keep(mina, base="inbox", shows=["subject", "snippet", "due"])
    assert view.hidden == ["channel", "priority", "tags", "assignee"]
    plain, view_page = (
        mina.get(url, **FRAGMENT).content.decode() for url in ("/?sort=priority", f"/views/view-{view.pk}/")
    )
    assert 'data-hides="channel priority tags assignee"' in rows_of(view_page)[0]
    assert "data-hides" not in rows_of(plain)[0]
    assert rows_of(view_page)[1] == rows_of(plain)[1]


def test_its_columns_stand_in_its_form_and_can_be_changed_back(mina, four):
    view = keep(mina, shows=["subject", "tags"])
    form = mina.get(f"/saved-views/{view.pk}/", **FRAGMENT).context["form"]
    assert form["shows"].value() == ["subject", "tags"]
    mina.post(f"/saved-views/{view.pk}/", FORM)
    view.refresh_from_db()
    assert view.hidden == []
    new = mina.get("/saved-views/?view=inbox", **FRAGMENT).context["form"]
    assert new["shows"].value() == SavedView.Column.values, "all of them, at first"


def test_an_address_says_where_its_columns_are_not_those_of_the_view(mina, four):
    view = keep(mina, shows=["subject", "tags"])
    path = f"/views/view-{view.pk}/"
    assert mina.get(path, **FRAGMENT).context["list"].url == path
    shown = mina.get(f"{path}?hide=tags,nonsense", **FRAGMENT).context["list"]
    assert (shown.hidden, shown.url) == (("tags",), f"{path}?hide=tags")
    everything = mina.get(f"{path}?hide=", **FRAGMENT).context["list"]
    assert (everything.hidden, everything.url) == ((), f"{path}?hide=")
    form = mina.get(f"/saved-views/?{shown.place}", **FRAGMENT).context["form"]
    assert "tags" not in form["shows"].value() and "channel" in form["shows"].value()


def test_a_column_that_nobody_knows_is_refused(mina, four):
    assert mina.post("/saved-views/", FORM | {"shows": ["subject", "salary"]}).status_code == 422
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    ("address", "action"),
    [
        ("/", 'href="/views/all/" data-list="all">Open “All tickets”'),
        ("/views/mine/", 'href="/views/unassigned/" data-list="unassigned">Open “Unassigned”'),
        ("/views/unassigned/", 'href="/" data-list="inbox">Open “Inbox”'),
        ("/views/snoozed/", 'href="/" data-list="inbox">Open “Inbox”'),
        ("/views/solved/", 'href="/" data-list="inbox">Open “Inbox”'),
        ("/views/all/", 'href="/tickets/new/">New ticket'),
        ("/search/", 'href="/views/all/" data-list="all">Open “All tickets”'),
    ],
)
def test_every_empty_list_offers_what_one_may_do(mina, address, action):
    assert action in mina.get(address, **FRAGMENT).content.decode()


def test_the_last_empty_list_leads_admins_to_the_channels_and_the_boards_back_to_it(cast, sign_in):
    assert 'href="/settings/channels/new/"' in sign_in(cast.admin).get("/views/all/", **FRAGMENT).content.decode()
    assert 'href="/board/"' in sign_in(cast.manager).get("/views/board-waiting/", **FRAGMENT).content.decode()


def test_any_list_can_be_counted_as_it_is_narrowed(cast, mina, four, now):
    """Those that nobody works off are counted when somebody is about to change all of them."""
    for ticket in four[:3]:
        actions.solve(ticket, by=by_agent(cast.agent), now=now)
    actions.change_tags(four[0], add=["vip"], remove=[], by=by_agent(cast.agent), now=now)
    usual = mina.get("/counts/").json()
    assert "solved" not in usual and usual["inbox"] == "1"
    assert mina.get("/counts/", {"view": "solved"}).json() == {"solved": "3"}
    assert mina.get("/counts/", {"view": "solved", "q": "tag:vip"}).json() == {"solved": "1"}
    assert mina.get("/counts/", {"view": "view-999"}).status_code == 404
