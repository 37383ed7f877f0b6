"""The live board: every number is the number of its list, nobody counts what they may not see, and work moves as one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Agent, Calendar, Membership, Team
from tests.cast import make_agent, make_brand, make_channel
from tests.workspace import scene
from tickets import board, bulk
from tickets.access import visibility_of
from tickets.models import Event, Ticket
from tickets.workspace import lists

FRAGMENT = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def grace(cast, sign_in):
    return sign_in(cast.manager)


@pytest.fixture
def work(cast, now):
    """Six customers: two with Mina (one of them is being answered), one past its deadline, one due soon, one asleep,
    one of Billing."""
    made = scene.many(cast, 6, now=now)
    Ticket.objects.update(team=cast.support, created_at=now - timedelta(hours=3))
    for place, facts in {
        0: {"assignee": cast.agent, "status": "open"},
        1: {"assignee": cast.agent, "status": "open", "waiting_since": None},
        2: {"next_due_at": now - timedelta(minutes=1)},
        3: {"next_due_at": now + timedelta(minutes=9), "created_at": now - timedelta(minutes=5)},
        4: {"snoozed_until": now + timedelta(hours=1), "next_due_at": now - timedelta(minutes=1)},
        5: {"team": cast.billing, "created_at": now - timedelta(minutes=90)},
    }.items():
        Ticket.objects.filter(pk=made[place].pk).update(**facts)
    return made


def read(agent: Agent, now: Any) -> board.Board:
    return board.read(visibility_of(agent), now=now)


def rows_of(client: Any, part: board.Part) -> list[int]:
    response = client.get(f"/views/{part.slug}/", **FRAGMENT)
    assert response.status_code == 200, part
    return [row["id"] for row in response.context["rows"]]


def test_every_number_is_the_number_of_tickets_in_its_list(cast, grace, work, now):
    seen = read(cast.manager, now)
    assert seen.total[:5] == (4, 3, 1, 1, 2)
    assert (seen.made, seen.made_change) == (1, 0)
    by_team = {row.team_id: row.counts for row in seen.teams}
    assert by_team[cast.support.pk][:5] == (3, 2, 1, 1, 2) and by_team[cast.billing.pk][:5] == (1, 1, 0, 0, 0)
    for team_id, counts in [(None, seen.total), *by_team.items()]:
        for name in ("waiting", "unassigned", "soon", "late", "progress"):
            shown = rows_of(grace, board.Part(name, team_id=team_id))
            assert len(shown) == getattr(counts, name), (team_id, name)
    assert rows_of(grace, board.Part("late")) == [work[2].pk]
    assert rows_of(grace, board.Part("made")) == [work[3].pk]
    assert rows_of(grace, board.Part("done")) == []
    mina = next(row for row in seen.people if row.agent == cast.agent)
    assert len(rows_of(grace, board.Part("progress", agent_id=cast.agent.pk))) == mina.working == 2


def test_the_oldest_wait_and_the_nearest_deadline_are_told_by_team(cast, work, now):
    rows = {row.team_id: row.counts for row in read(cast.manager, now).teams}
    assert rows[cast.support.pk].next_due == now + timedelta(minutes=9)
    oldest = Ticket.objects.filter(team=cast.support, waiting_since__isnull=False).order_by("waiting_since").first()
    assert rows[cast.support.pk].oldest == oldest.waiting_since == read(cast.manager, now).total.oldest


def test_what_was_solved_in_the_last_hour_is_compared_with_the_hour_before(cast, grace, work, now):
    for place, minutes in ((0, 20), (1, 30), (2, 80)):
        Ticket.objects.filter(pk=work[place].pk).update(
            status="solved", first_solved_at=now - timedelta(minutes=minutes)
        )
    seen = read(cast.manager, now)
    assert (seen.done, seen.done_change) == (2, 1)
    assert sorted(rows_of(grace, board.Part("done"))) == sorted(ticket.pk for ticket in work[:2])


def test_tickets_of_no_team_have_a_row_and_a_list_of_their_own(cast, grace, work):
    Ticket.objects.filter(pk=work[5].pk).update(team=None)
    page = grace.get("/board/", **FRAGMENT).content.decode()
    assert "/views/board-waiting-team-0/" in page
    assert rows_of(grace, board.Part("waiting", team_id=board.NO_TEAM)) == [work[5].pk]


def test_how_full_somebody_is_is_what_routing_counts(cast, work, now):
    cast.sms.weight = 30
    cast.sms.save(update_fields=["weight"])
    mina = next(row for row in read(cast.manager, now).people if row.agent == cast.agent)
    assert (mina.load, mina.capacity, mina.is_full) == (0.6, 5, False)
    assert [(kind.kind, kind.n, kind.places) for kind in mina.kinds] == [("sms", 2, 0.6)]


def test_presence_is_what_others_see_of_it(cast, now):
    night = Calendar.objects.create(name="Never")  # without windows it never opens
    moments = {
        cast.agent: {"presence": "online", "seen_at": now, "presence_since": now - timedelta(minutes=4)},
        cast.teammate: {"presence": "online", "seen_at": now - timedelta(minutes=10)},  # no screen of theirs answers
        cast.outsider: {"presence": "online", "seen_at": now, "shift": night},
    }
    for agent, facts in moments.items():
        Agent.objects.filter(pk=agent.pk).update(**facts)
    seen = read(cast.manager, now)
    assert [(row.agent.name, row.state) for row in seen.people] == [
        ("Mina", "online"),
        ("Omar", "off_shift"),
        ("Theo", "offline"),
    ]
    assert seen.people[0].since == now - timedelta(minutes=4) and seen.people[2].since == now - timedelta(minutes=10)
    assert seen.online == 1
    support = next(row for row in seen.teams if row.team == cast.support)
    assert (support.online, support.members) == (1, 2)


def test_a_manager_of_one_brand_counts_that_brand(cast, sign_in, work, now):
    other = make_brand("other")
    theirs = make_channel("sms", brand=other, account_id="+15550009000", address="+15550009000")
    scene.says(theirs, scene.sender("Zoe", phone="+821099998888"), "Hello", at=now)
    boss = make_agent("Olga", role=Agent.Role.MANAGER, brand_ids=[other.pk])
    Agent.objects.filter(pk=cast.agent.pk).update(brand_ids=[cast.brand.pk])
    seen = read(boss, now)
    assert seen.total.waiting == 1
    names = {row.agent.name for row in seen.people}
    assert "Mina" not in names and "Theo" in names
    Agent.objects.filter(pk__in=[cast.teammate.pk, cast.outsider.pk]).update(brand_ids=[cast.brand.pk])
    assert [row.team for row in read(boss, now).teams] == [None]  # only the ticket that no team has
    client = sign_in(boss)
    assert client.get(f"/views/board-progress-agent-{cast.agent.pk}/").status_code == 404
    assert client.get(f"/board/people/{cast.agent.pk}/work/").status_code == 404
    assert len(rows_of(client, board.Part("waiting"))) == 1


def test_the_board_is_for_managers(cast, mina, grace, work):
    assert mina.get("/board/").status_code == 403
    assert mina.get("/views/board-waiting/").status_code == 404
    assert mina.post(f"/board/people/{cast.agent.pk}/work/", {"to": f"agent-{cast.teammate.pk}"}).status_code == 403
    assert Ticket.objects.filter(assignee=cast.teammate).count() == 0
    assert grace.get("/board/").status_code == 200
    for name in ("board-", "board-nothing", "board-waiting-team-", "board-waiting-team-999", "board-waiting-agent-999"):
        assert grace.get(f"/views/{name}/").status_code == 404, name


def test_what_is_behind_a_number_is_no_view_to_keep(grace, work):
    page = grace.get("/views/board-late/", **FRAGMENT).content.decode()
    assert "view-menu" not in page and "view-menu" in grace.get("/", **FRAGMENT).content.decode()
    kept = {"name": "Late", "base": "board-late", "query": "", "sort": "due", "of": "personal", "hue": 0}
    assert grace.post("/saved-views/", kept).status_code == 422
    assert grace.post("/saved-views/", kept | {"base": "inbox"}).status_code != 422


@pytest.mark.parametrize("headers", [{}, FRAGMENT], ids=["page", "fragment"])
def test_the_board_costs_as_many_queries_with_many_teams_and_people_as_with_few(cast, grace, now, headers):
    def ask() -> int:
        cache.clear()
        with CaptureQueriesContext(connection) as seen:
            assert grace.get("/board/", **headers).status_code == 200
        return len(seen)

    scene.many(cast, 2, now=now)
    ask()
    few = ask()
    for n in range(8):
        team = Team.objects.create(name=f"Team {n}")
        agent = make_agent(f"Agent {n}", team=team, presence="online", seen_at=now)
        Membership.objects.create(agent=agent, team=cast.support)
        for ticket in scene.many(cast, 2, now=now):
            Ticket.objects.filter(pk=ticket.pk).update(team=team, assignee=agent, status="open")
    assert ask() == few <= 16


def test_all_with_the_same_rights_get_one_rendering(cast, grace, sign_in, work):
    first = grace.get("/board/", **FRAGMENT)
    admin = sign_in(cast.admin)
    admin.get("/board/", **FRAGMENT)
    with CaptureQueriesContext(connection) as seen:
        second = admin.get("/board/", **FRAGMENT)
    assert second.content == first.content
    assert not [query for query in seen if "tickets_ticket" in query["sql"]]
    assert int(_after(first)) == Event.objects.order_by("-pk").values_list("pk", flat=True).first()


def _after(response: Any) -> str:
    return str(response.content.decode().split('data-after="', 1)[1].split('"', 1)[0])


# -- Moving ---------------------------------------------------------------------------------------------------------------


def move(client: Any, person: Agent, to: str) -> Any:
    response = client.post(f"/board/people/{person.pk}/work/", {"to": to})
    bulk.drain(seconds=60, now=timezone.now())
    return response


def holders(tickets: list[Ticket]) -> list[tuple[int | None, int | None]]:
    found = Ticket.objects.in_bulk([ticket.pk for ticket in tickets])
    return [(found[ticket.pk].assignee_id, found[ticket.pk].team_id) for ticket in tickets]


def test_all_of_somebodys_work_moves_to_another_and_back_with_one_undo(cast, grace, work):
    Ticket.objects.filter(pk=work[4].pk).update(assignee=cast.agent)  # asleep
    Ticket.objects.filter(pk=work[5].pk).update(assignee=cast.agent, status="solved")
    before = holders(work)
    form = grace.get(f"/board/people/{cast.agent.pk}/work/")
    assert form.context["n"] == 3 and cast.agent not in [person for person, _state in form.context["people"]]
    answer = move(grace, cast.agent, f"agent-{cast.teammate.pk}")
    assert answer.status_code == 202 and answer.json()["total"] == 3
    theo = (cast.teammate.pk, cast.support.pk)
    assert [holders(work)[place] for place in (0, 1, 4)] == [theo] * 3
    assert holders(work)[5] == before[5]  # what is solved stays with who solved it
    assert Event.objects.filter(kind="assigned", actor=cast.manager).count() == 3
    assert grace.post(answer.json()["undo_url"]).status_code == 202
    bulk.drain(seconds=60, now=timezone.now())
    assert holders(work) == before


def test_work_moved_to_a_team_is_nobodys_and_routing_finds_somebody(cast, grace, work):
    before = holders(work)
    answer = move(grace, cast.agent, f"team-{cast.billing.pk}").json()
    assert [holders(work)[place] for place in (0, 1)] == [(None, cast.billing.pk)] * 2
    assert Ticket.objects.filter(pk__in=[work[0].pk, work[1].pk], routing_due_at__isnull=False).count() == 2
    assert cast.billing.name in answer["words"]
    grace.post(answer["undo_url"])
    bulk.drain(seconds=60, now=timezone.now())
    assert holders(work) == before


@pytest.mark.parametrize("to", ["", "agent-", "agent-me", "agent-0", "team-999", "brand-1", "assign-1", "team--1"])
def test_work_goes_only_where_somebody_is(cast, grace, work, to):
    before = holders(work)
    answer = move(grace, cast.agent, to)
    assert answer.status_code == 422 and answer.json()["words"]
    assert holders(work) == before


def test_nothing_is_moved_from_who_has_nothing(cast, grace, work):
    assert move(grace, cast.outsider, f"agent-{cast.agent.pk}").status_code == 422


def test_a_part_is_read_back_from_its_address():
    for name in lists.PART_WORDS:
        for part in (board.Part(name), board.Part(name, team_id=0), board.Part(name, agent_id=7)):
            assert board.part_named(part.slug) == part
