"""What if more people were there? Recorded tickets played again, and nothing changed by it."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Calendar, Skill
from tests import cast
from tests.cast import Cast
from tests.tickets.test_routing import NOW, new_ticket
from tickets import actions
from tickets.models import Event, SlaClock, StaffingTrial, Ticket, TicketSkill
from tickets.models.event import by_agent
from tickets.routing import staffing
from tickets.routing.replay import replay

pytestmark = pytest.mark.django_db
SINCE = NOW - timedelta(days=7)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def people() -> Cast:
    people = cast.assemble()
    for agent in (people.agent, people.teammate):
        agent.capacity = 1
        agent.save(update_fields=["capacity"])
    return people


def came(people: Cast, at: datetime, *, minutes: float | None = 10, **fields: Any) -> Ticket:
    """A ticket that Mina got at once and solved (or put to wait) after so many minutes; None: it is still there."""
    ticket = new_ticket(people, team=people.support, at=at, **fields)
    by = by_agent(people.agent)
    actions.assign(ticket, assignee=people.agent, team=people.support, by=by, now=at)
    if minutes is not None:
        actions.solve(Ticket.objects.get(pk=ticket.pk), by=by, now=at + timedelta(minutes=minutes))
    return ticket


def trial_of(crew: Cast, **facts: Any) -> StaffingTrial:
    usual = {
        "agent": crew.manager, "team": crew.support, "since": SINCE, "until": NOW, "people": 2, "places": 1,
        "begins": time(0), "ends": time(23, 59), "created_at": NOW,
    }  # fmt: skip
    return StaffingTrial(**usual | facts)


def played(trial: StaffingTrial) -> StaffingTrial:
    staffing.begin(trial)
    assert staffing.drain(now=lambda: NOW) == 1
    trial.refresh_from_db()
    return trial


def rush(people: Cast, n: int = 12) -> list[Ticket]:
    """One a minute, each ten minutes long, for the two of Support."""
    return [came(people, NOW - timedelta(hours=5) + i * MINUTE) for i in range(n)]


def test_more_people_shorten_the_waits_and_both_outcomes_are_kept(people: Cast) -> None:
    rush(people)
    trial = played(trial_of(people))
    assert trial.finished_at == NOW and trial.done == trial.total == 24 and trial.tickets == 12
    before, after = staffing.outcomes(trial) or (None, None)
    assert before and after and before.taken == after.taken == 12
    # Each begins ten minutes after the one who had the person before, and came two (four) minutes after that one.
    assert (before.longest, after.longest) == (5 * 8 * 60, 2 * 6 * 60)
    assert (before.median, after.median) == (20 * 60, 6 * 60)


def test_it_reads_and_changes_nothing(people: Cast) -> None:
    rush(people, 4)
    before = list(Ticket.objects.order_by("pk").values()), Event.objects.count()
    played(trial_of(people))
    assert (list(Ticket.objects.order_by("pk").values()), Event.objects.count()) == before


def test_a_ticket_is_as_long_as_somebody_really_had_it(people: Cast) -> None:
    at = NOW - timedelta(hours=5)
    came(people, at, minutes=12)
    waits = came(people, at + MINUTE, minutes=None)
    actions.set_status(Ticket.objects.get(pk=waits.pk), "pending", by=by_agent(people.agent), now=at + 9 * MINUTE)
    came(people, at + 2 * MINUTE, minutes=None)
    first, second, unknown = staffing.arrivals_of(trial_of(people, seed=3))
    assert (first.handling, second.handling) == (12 * 60, 8 * 60)
    assert unknown.handling in (12 * 60, 8 * 60)
    assert first.at == (at - SINCE).total_seconds() and first.weight == people.sms.weight


def test_what_was_forgotten_over_the_night_fills_nobody_for_that_long(people: Cast) -> None:
    at = NOW - timedelta(days=2)
    for i, minutes in enumerate((10, 10, 10, 900)):
        came(people, at + i * MINUTE, minutes=minutes)
    assert max(one.handling for one in staffing.arrivals_of(trial_of(people))) == 50 * 60


def test_only_what_came_to_the_team_in_the_period_is_played(people: Cast) -> None:
    came(people, SINCE - MINUTE)
    inside = came(people, SINCE)
    merged = came(people, NOW - MINUTE)
    Ticket.objects.filter(pk=merged.pk).update(merged_into=inside)
    elsewhere = came(people, NOW - MINUTE)
    Ticket.objects.filter(pk=elsewhere.pk).update(team=people.billing)
    assert len(staffing.arrivals_of(trial_of(people))) == 1


def test_skills_vips_and_promises_come_along(people: Cast) -> None:
    korean = Skill.objects.create(name="ko")
    ticket = came(people, NOW - timedelta(hours=1), priority=3)
    TicketSkill.objects.create(ticket=ticket, skill=korean, level=2)
    ticket.customer.tier = "vip"
    ticket.customer.save(update_fields=["tier"])
    due = NOW - timedelta(minutes=40)
    SlaClock.objects.create(ticket=ticket, metric="first_reply", seconds=1200, started_at=NOW, due_at=due)
    (one,) = staffing.arrivals_of(trial_of(people))
    assert one.before == (0, -3, one.due) and one.due == (due - SINCE).total_seconds()
    sooner = due - MINUTE
    SlaClock.objects.create(ticket=ticket, metric="resolution", seconds=60, started_at=NOW, due_at=sooner)
    (one,) = staffing.arrivals_of(trial_of(people))
    assert one.before == (0, -3, (sooner - SINCE).total_seconds()) and one.due == (due - SINCE).total_seconds()
    assert [(need.name, need.level, need.required) for need in one.needs] == [("ko", 2, True)]
    (extra,) = staffing.extra_of(trial_of(people, people=1, skill_ids=[korean.pk]))
    assert extra.skills == {korean.pk: 3}


def test_the_next_breach_goes_first_and_a_skill_relaxes_as_in_routing(people: Cast) -> None:
    came(people, NOW - timedelta(hours=3), minutes=10)
    usual, urgent = (came(people, NOW - timedelta(hours=3) + n * MINUTE) for n in (1, 2))
    due = NOW - timedelta(hours=2)
    SlaClock.objects.create(ticket=urgent, metric="first_reply", seconds=60, started_at=NOW, due_at=due)
    arrivals = staffing.arrivals_of(trial_of(people))
    (mina, *_rest) = staffing.workers_of(trial_of(people))
    first, second, third = (one.started for one in replay(arrivals, [mina]))
    assert first is not None and third == first + 600 and second == first + 1200, "as a drain orders them"
    since = NOW - timedelta(hours=3) + 31 * MINUTE
    TicketSkill.objects.create(ticket=usual, skill=Skill.objects.create(name="ko"), level=1, wished_from=since)
    served = replay(staffing.arrivals_of(trial_of(people)), [mina])
    assert served[1].started == (since - SINCE).total_seconds()


def test_they_are_there_on_the_days_on_which_the_team_is_open_by_its_own_clock(people: Cast) -> None:
    seoul = Calendar.objects.create(name="Office", time_zone="Asia/Seoul")
    seoul.windows.create(weekday=0, opens="09:00", closes="18:00")
    people.support.calendar = seoul
    people.support.save(update_fields=["calendar"])
    (one,) = staffing.extra_of(trial_of(people, people=1, begins=time(10), ends=time(14)))
    shifts = [(SINCE + timedelta(seconds=start), SINCE + timedelta(seconds=end)) for start, end in one.shifts]
    assert shifts and all(end - start == timedelta(hours=4) for start, end in shifts)
    assert {(start.weekday(), start.hour) for start, _end in shifts} == {(0, 1)}  # ten in Seoul
    members = staffing.workers_of(trial_of(people))
    assert [worker.name for worker in members] == ["Mina", "Theo"]
    assert {end - start for worker in members for start, end in worker.shifts} == {9 * 3600.0}


def test_somebody_who_is_always_there_does_not_go_and_come_at_midnight(people: Cast) -> None:
    (shift,) = staffing.workers_of(trial_of(people))[0].shifts
    assert shift == (0, 14 * 86_400)


def test_the_same_question_has_the_same_answer(people: Cast) -> None:
    rush(people, 6)
    came(people, NOW - timedelta(hours=4), minutes=None)
    one, two = played(trial_of(people, seed=5)), played(trial_of(people, seed=5))
    assert (one.before, one.after) == (two.before, two.after)


def test_one_whose_worker_died_is_played_by_another(people: Cast) -> None:
    trial = staffing.begin(trial_of(people))
    StaffingTrial.objects.filter(pk=trial.pk).update(leased_until=NOW + staffing.LEASE)
    assert staffing.drain(now=lambda: NOW) == 0
    assert staffing.drain(now=lambda: NOW + staffing.LEASE + MINUTE) == 1
    assert staffing.drain(now=lambda: NOW) == 0


def test_one_that_breaks_says_so_and_the_next_is_played(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, _fine = (staffing.begin(trial_of(people)) for _ in range(2))
    play = staffing._play

    def break_off(trial: StaffingTrial, **how: Any) -> None:
        if trial == broken:
            raise KeyError("weight")
        play(trial, **how)

    monkeypatch.setattr(staffing, "_play", break_off)
    staffing.drain(now=lambda: NOW)
    assert list(StaffingTrial.objects.order_by("pk").values_list("problem", "finished_at")) == [
        ("data", NOW),
        ("", NOW),
    ]
    page = client_of(people.manager).get(f"/board/staffing/{broken.pk}/").content.decode()
    assert "This trial was given up" in page and "every 1s" not in page


def test_reading_what_came_takes_as_many_queries_for_many_as_for_few(people: Cast) -> None:
    def ask() -> int:
        with CaptureQueriesContext(connection) as seen:
            staffing.arrivals_of(trial_of(people))
        return len(seen)

    rush(people, 2)
    few = ask()
    rush(people, 8)
    assert ask() == few <= 3


# -- The page -------------------------------------------------------------------------------------------------------------


def client_of(agent: Any) -> Client:
    client = Client()
    client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
    return client


def asked(crew: Cast, **facts: Any) -> dict[str, Any]:
    usual = {"team": crew.support.pk, "days": 7, "people": 2, "begins": "10:00", "ends": "14:00", "places": 3}
    return usual | facts


def test_a_manager_asks_and_sees_both_outcomes(people: Cast) -> None:
    rush(people, 3)
    grace = client_of(people.manager)
    answer = grace.post("/board/staffing/", asked(people))
    trial = StaffingTrial.objects.get()
    assert answer["Location"] == f"/board/staffing/{trial.pk}/"
    assert (trial.people, trial.places, trial.begins, trial.agent) == (2, 3, time(10), people.manager)
    going_on = grace.get(answer["Location"], HTTP_HX_REQUEST="true").content.decode()
    assert "hx-trigger" in going_on and "<progress" in going_on
    StaffingTrial.objects.update(since=SINCE, until=NOW)
    staffing.drain(now=lambda: NOW)
    through = grace.get(answer["Location"])
    assert 'hx-trigger="every' not in through.content.decode()
    assert [len(row) for row in through.context["rows"]] == [4] * 5
    assert "3 tickets were played again" in through.content.decode()
    assert people.support.name in grace.get("/board/staffing/").content.decode()


@pytest.mark.parametrize(
    "wrong", [{"ends": "09:00"}, {"ends": "10:00"}, {"people": 0}, {"team": 999}, {"days": 8}, {"begins": "x"}]
)
def test_a_question_without_sense_is_asked_again(people: Cast, wrong: dict[str, Any]) -> None:
    answer = client_of(people.manager).post("/board/staffing/", asked(people, **wrong))
    assert answer.status_code == 422 and not StaffingTrial.objects.exists()


def test_it_is_for_managers_and_their_own(people: Cast) -> None:
    trial = staffing.begin(trial_of(people))
    mina = client_of(people.agent)
    assert mina.get("/board/staffing/").status_code == 403
    assert mina.post("/board/staffing/", asked(people)).status_code == 403
    assert client_of(people.admin).get(f"/board/staffing/{trial.pk}/").status_code == 404
    assert client_of(people.manager).get(f"/board/staffing/{trial.pk}/").status_code == 200
    assert StaffingTrial.objects.count() == 1


def test_a_period_without_tickets_says_so(people: Cast) -> None:
    trial = played(trial_of(people))
    page = client_of(people.manager).get(f"/board/staffing/{trial.pk}/").content.decode()
    assert "No tickets in this period" in page
