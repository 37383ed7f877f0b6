"""A policy that is tried on the past: what it says, what it costs, and that it changes nothing."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import AuditEntry, Calendar, CalendarWindow
from tests import cast, checksums
from tests.cast import Cast
from tests.workspace import scene
from tickets import actions, delivery, trials, undoing
from tickets.models import Event, Rule, SlaClock, SlaPolicy, SlaTarget, SlaTrial, Ticket
from tickets.models.event import by_agent
from tickets.routing import assign
from tickets.sla import clocks, trial
from tickets.sla.trial import Tally

pytestmark = pytest.mark.django_db
SEOUL = ZoneInfo("Asia/Seoul")
METRICS = ("first_reply", "next_reply", "periodic_update", "resolution")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SEOUL).astimezone(UTC)


MONDAY = at("2026-11-02T10:00")
NOW = at("2026-11-20T12:00")


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


@pytest.fixture
def calendar() -> Calendar:
    office = Calendar.objects.create(name="Office", time_zone="Asia/Seoul", is_default=True)
    CalendarWindow.objects.bulk_create(
        CalendarWindow(calendar=office, weekday=day, opens=time(opens), closes=time(closes))
        for day in range(5)
        for opens, closes in ((9, 12), (13, 18))
    )
    return office


def a_policy(calendar: Calendar, name: str = "Standard", **fields: Any) -> SlaPolicy:
    """An hour to answer, two for an update, four to solve; half of that at High."""
    made = SlaPolicy.objects.create(
        **{"name": name, "calendar": calendar, "pauses_in": ["pending", "on_hold"], "warn_percents": [50], **fields}
    )
    for priority, share in ((2, 1), (3, 2)):
        for metric, minutes in zip(METRICS, (60, 60, 120, 240), strict=True):
            SlaTarget.objects.create(policy=made, metric=metric, priority=priority, seconds=minutes * 60 // share)
    return made


def targets_of(policy: SlaPolicy) -> dict[tuple[str, int], tuple[int, bool]]:
    return {(one.metric, one.priority): (one.seconds, one.business) for one in policy.targets.all()}


def say(people: Cast, words: str, n: int, *, when: datetime) -> Ticket:
    who = scene.sender(f"Customer {n}", phone=f"+8210{n:08}")
    return scene.says(people.sms, who, words, at=when).ticket


def tried(policy: SlaPolicy, people: Cast, *, span: str = "last", now: datetime = NOW, **minutes: int) -> SlaTrial:
    """`minutes` by metric take the place of what the policy has at every priority."""
    targets = targets_of(policy) if policy.pk else {}
    for metric, length in minutes.items():
        targets |= {(metric, priority): (length * 60, True) for priority in (1, 2, 3, 4)}
    begun = trial.begin(policy, targets, by=people.admin, span=span, now=now)
    while trial.drain(now=now, seconds=60):
        pass
    begun.refresh_from_db()
    assert begun.finished_at == now
    return begun


def lines(begun: SlaTrial, *, covered_only: bool = False) -> dict[str, trial.Line]:
    return {line.metric: line for line in trial.result(begun, covered_only=covered_only)}


# -- Played again, it is what it was ------------------------------------------------------------------------------------


class Week:
    """Anything that can happen to a ticket, in any order."""

    def __init__(self, people: Cast, seed: int) -> None:
        self.people, self.chance, self.now = people, random.Random(seed), MONDAY + seed * timedelta(hours=2)
        self.ticket = say(people, "Hello", seed, when=self.now)
        self.who = scene.sender(f"Customer {seed}", phone=f"+8210{seed:08}")
        self.by = by_agent(people.manager)

    def live(self, steps: int) -> None:
        deeds = [
            self.customer, self.customer, self.agent, self.agent, self.status, self.priority, self.solve, self.undo, self.tag,
        ]  # fmt: skip
        for _step in range(steps):
            self.now += timedelta(
                minutes=self.chance.choice([1, 7, 25, 70, 200, 1000]), seconds=self.chance.randrange(59)
            )
            clocks.sweep(now=self.now)
            self.ticket.refresh_from_db()
            self.chance.choice(deeds)()

    def customer(self) -> None:
        scene.says(self.people.sms, self.who, "And?", at=self.now)

    def agent(self) -> None:
        then = self.chance.choice([{}, {}, {"status": "pending"}, {"status": "solved"}])
        scene.answers(self.ticket, self.people.manager, "So.", at=self.now, then=then)

    def status(self) -> None:
        actions.set_status(self.ticket, self.chance.choice(["open", "pending", "on_hold"]), by=self.by, now=self.now)

    def solve(self) -> None:
        actions.solve(self.ticket, by=self.by, now=self.now)

    def priority(self) -> None:
        actions.set_priority(self.ticket, self.chance.choice([1, 2, 3]), by=self.by, now=self.now)

    def tag(self) -> None:
        actions.change_tags(self.ticket, add=["vip"], by=self.by, now=self.now)

    def undo(self) -> None:
        last = Event.objects.filter(ticket=self.ticket, actor=self.people.manager, kind__in=undoing.STATUS_KINDS).last()
        undone = Event.objects.filter(ticket=self.ticket, kind="undone").values_list("particulars__event", flat=True)
        if last is not None and last.pk not in undone and last.particulars["to"] == self.ticket.status:
            actions.undo_status(self.ticket, event=last, by=self.by, now=self.now)


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_policies_as_they_are_would_have_done_what_they_did(people: Cast, calendar: Calendar, seed: int) -> None:
    a_policy(
        calendar,
        "For the tagged",
        first_reply_from="created",
        conditions={"field": "tag", "op": "has", "value": ["vip"]},
        position=0,
    )
    standard = a_policy(calendar, position=1)
    standard.targets.filter(metric="next_reply", priority=3).delete()
    week = Week(people, seed)
    week.live(30)
    clocks.sweep(now=NOW)
    begun = tried(standard, people)
    found = list(begun.promises.order_by("pk"))
    assert len(found) > 1
    assert [(row.metric, row.started_at, row.would) for row in found] == [
        (row.metric, row.started_at, row.was) for row in found
    ]
    assert [row.would_due_at or row.was_due_at for row in found] == [row.was_due_at for row in found]
    assert SlaClock.objects.exclude(state="cancelled").count() == len(found)


def test_what_a_rule_has_promised_holds_in_the_trial_too(people: Cast, calendar: Calendar) -> None:
    standard, fast = a_policy(calendar), a_policy(calendar, "Fast", position=1)
    fast.targets.filter(metric="first_reply").update(seconds=600)
    actions_of = [{"do": "sla", "policy": fast.pk}, {"do": "priority", "priority": 3}]
    Rule.objects.create(name="Vip", when="created", conditions={}, actions=actions_of)
    ticket = say(people, "Hello", 1, when=MONDAY)
    assign.assign(ticket.pk, now=MONDAY + timedelta(seconds=3))
    clocks.sweep(now=MONDAY + timedelta(minutes=10))
    scene.answers(ticket, people.manager, "So.", at=MONDAY + timedelta(minutes=12))
    begun = tried(standard, people)
    row = begun.promises.get(metric="first_reply")
    assert (row.was, row.would) == ("breached", "breached")
    assert row.was_due_at == row.would_due_at == MONDAY + timedelta(minutes=10)
    assert tried(fast, people).covered.get().policy_was == fast


def test_an_answer_that_never_arrived_answered_nobody(people: Cast, calendar: Calendar) -> None:
    standard = a_policy(calendar)
    ticket = say(people, "Hello", 1, when=MONDAY)
    answer = scene.answers(ticket, people.manager, "So.", at=MONDAY + timedelta(minutes=12))
    part = answer.parts.get()
    part.state = "uncertain"
    part.save()
    delivery.resolve(part, "failed", by=by_agent(people.manager), now=MONDAY + timedelta(minutes=30))
    clocks.sweep(now=MONDAY + timedelta(hours=3))
    row = tried(standard, people).promises.get(metric="first_reply")
    assert (row.was, row.would) == ("breached", "breached")


# -- What it says -------------------------------------------------------------------------------------------------------


def test_it_says_what_would_have_been_met_and_missed(people: Cast, calendar: Calendar) -> None:
    """Three answers after 20, 40 and 90 minutes: an hour keeps two of them, half an hour one, two hours all."""
    standard = a_policy(calendar)
    for n, minutes in enumerate((20, 40, 90)):
        ticket = say(people, "Hello", n, when=MONDAY)
        clocks.sweep(now=MONDAY + timedelta(minutes=minutes))
        scene.answers(ticket, people.manager, "So.", at=MONDAY + timedelta(minutes=minutes))
    first = lines(tried(standard, people, first_reply=30))["first_reply"]
    assert (first.was, first.would) == (Tally(2, 1, 0), Tally(1, 2, 0))
    assert (first.newly_breached, first.newly_met) == (1, 0)
    assert (round(first.was.attainment or 0, 1), round(first.would.attainment or 0, 1)) == (66.7, 33.3)
    slow = lines(tried(standard, people, first_reply=120))["first_reply"]
    assert (slow.would, slow.newly_breached, slow.newly_met) == (Tally(3, 0, 0), 0, 1)
    assert slow.would.attainment == 100


def test_what_still_runs_counts_only_once_it_is_past_its_deadline_and_what_was_cancelled_never(
    people: Cast, calendar: Calendar
) -> None:
    standard = a_policy(calendar)
    paused = say(people, "Hello", 1, when=MONDAY)
    scene.answers(paused, people.manager, "So.", at=MONDAY + timedelta(minutes=5), then={"status": "pending"})
    cancelled = say(people, "Hello", 2, when=MONDAY)
    actions.solve(cancelled, by=by_agent(people.manager), now=MONDAY + timedelta(minutes=1))
    say(people, "Hello", 3, when=MONDAY + timedelta(hours=1))
    now = MONDAY + timedelta(hours=1, minutes=45)
    found = lines(tried(standard, people, now=now, first_reply=30))
    assert (found["first_reply"].was, found["first_reply"].would) == (Tally(1, 0, 1), Tally(1, 1, 0))
    assert (found["resolution"].was, found["periodic_update"].was) == (Tally(1, 0, 2), Tally(0, 0, 1))
    assert found["next_reply"].was.attainment is None


def test_a_policy_without_any_promise_in_truth_is_tried_too(people: Cast, calendar: Calendar) -> None:
    ticket = say(people, "Hello", 1, when=MONDAY)
    scene.answers(ticket, people.manager, "So.", at=MONDAY + timedelta(minutes=5))
    found = lines(tried(SlaPolicy(name="New", calendar=calendar), people, first_reply=30))["first_reply"]
    assert (found.was, found.would) == (Tally(0, 0, 0), Tally(1, 0, 0))
    assert not SlaPolicy.objects.exists()


def test_the_policies_before_it_take_their_tickets_first(people: Cast, calendar: Calendar) -> None:
    refunds = {"field": "text", "op": "contains", "value": ["refund"]}
    first = a_policy(calendar, "Refunds", conditions=refunds, position=0)
    say(people, "I want a refund", 1, when=MONDAY)
    other = say(people, "Hello", 2, when=MONDAY)
    begun = tried(SlaPolicy(name="All", calendar=calendar), people, first_reply=30)
    assert begun.policies[begun.tried]["name"] == "All" and begun.tried == 1
    assert [row.ticket for row in begun.covered.all()] == [other]
    assert lines(begun, covered_only=True)["first_reply"].would == Tally(0, 1, 0)
    assert lines(begun)["first_reply"].would == Tally(0, 2, 0)
    again = tried(first, people, first_reply=30)
    assert (again.tried, again.covered.get().policy_was) == (0, first)


def test_time_round_the_clock_passes_at_night(people: Cast, calendar: Calendar) -> None:
    ticket = say(people, "Hello", 1, when=at("2026-11-02T17:50"))
    scene.answers(ticket, people.manager, "So.", at=at("2026-11-03T09:10"))
    draft = SlaPolicy(name="New", calendar=calendar)
    for business, would in ((True, "met"), (False, "breached")):
        begun = trial.begin(draft, {("first_reply", 2): (1800, business)}, by=people.admin, span="last", now=NOW)
        trial.drain(now=NOW, seconds=60)
        assert begun.promises.get().would == would


def test_last_month_is_that_of_the_default_hours(people: Cast, calendar: Calendar) -> None:
    """Their midnight is 15:00 the day before in UTC."""
    for n, moment in enumerate(("2026-09-30T23:59", "2026-10-01T00:00", "2026-10-31T23:59", "2026-11-01T00:00")):
        ticket = say(people, "Hello", n, when=at(moment))
        Ticket.objects.filter(pk=ticket.pk).update(created_at=at(moment))
    assert tried(a_policy(calendar), people, span="month").seen == 2
    assert tried(a_policy(calendar), people, span="days").seen == 2
    assert tried(a_policy(calendar), people, span="last").seen == 4


# -- What it costs ------------------------------------------------------------------------------------------------------


def test_it_changes_nothing_but_its_own_rows(people: Cast, calendar: Calendar) -> None:
    standard = a_policy(calendar)
    for n in range(3):
        ticket = say(people, "Hello", n, when=MONDAY)
        scene.answers(ticket, people.manager, "So.", at=MONDAY + timedelta(minutes=50 * n + 5))
    before = checksums.of_everything_but("tickets_slatrial")
    assert tried(standard, people, first_reply=30).promises.count() == 9
    assert checksums.of_everything_but("tickets_slatrial") == before


def test_twice_as_many_tickets_cost_as_many_queries_for_each_batch(people: Cast, calendar: Calendar) -> None:
    standard = a_policy(calendar)
    calendar.hours()

    def cost(count: int) -> int:
        for n in range(Ticket.objects.count(), count):
            ticket = say(people, "Hello", n, when=MONDAY)
            scene.answers(ticket, people.manager, "So.", at=MONDAY + timedelta(minutes=5))
        begun = trial.begin(standard, targets_of(standard), by=people.admin, span="last", now=NOW)
        with CaptureQueriesContext(connection) as asked:
            assert trial._batch(begun.pk, NOW) == count
        begun.delete()
        return len(asked)

    assert cost(3) == cost(9)


def test_batches_follow_each_other_to_the_last_ticket(
    people: Cast, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "BATCH", 2)
    monkeypatch.setattr(trials, "LAST", 4)
    standard = a_policy(calendar)
    tickets = [say(people, "Hello", n, when=MONDAY) for n in range(6)]
    begun = tried(standard, people)
    assert (begun.seen, begun.total) == (4, 4)
    assert [row.ticket for row in begun.covered.order_by("pk")] == tickets[:1:-1]


def test_one_that_breaks_says_so(people: Cast, calendar: Calendar, monkeypatch: pytest.MonkeyPatch) -> None:
    standard = a_policy(calendar)
    say(people, "Hello", 1, when=MONDAY)
    begun = trial.begin(standard, targets_of(standard), by=people.admin, span="last", now=NOW)
    monkeypatch.setattr(trial._Tickets, "deeds_of", lambda *_: {}["deeds"])
    assert trial.drain(now=NOW, seconds=60) == 0
    begun.refresh_from_db()
    assert (begun.finished_at, begun.problem, begun.seen) == (NOW, "data", 0)
    page = signed_in(people.admin).get(f"/settings/sla/trials/{begun.pk}/").content.decode()
    assert "This trial was given up" in page and "every 1s" not in page


def test_trials_of_more_than_a_month_ago_are_dropped_when_their_author_tries_again(
    people: Cast, calendar: Calendar
) -> None:
    standard = a_policy(calendar)
    say(people, "Hello", 1, when=MONDAY)
    old = tried(standard, people, now=NOW)
    kept = tried(standard, people, now=NOW + timedelta(days=29))
    new = tried(standard, people, now=NOW + timedelta(days=31))
    assert set(SlaTrial.objects.all()) == {kept, new} and old not in (kept, new)


# -- On the screen ------------------------------------------------------------------------------------------------------


def signed_in(agent: Any) -> Client:
    client = Client()
    client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
    return client


FORM = {"name": "Quick", "cell-2-first_reply": "30", "warn": "75", "span": "last"}


def test_an_admin_tries_the_policy_that_stands_in_the_form(people: Cast, calendar: Calendar) -> None:
    standard = a_policy(calendar)
    tickets = []
    for n, minutes in enumerate((20, 40, 90)):
        tickets.append(say(people, "Hello", n, when=MONDAY))
        clocks.sweep(now=MONDAY + timedelta(minutes=minutes))
        scene.answers(tickets[-1], people.manager, "So.", at=MONDAY + timedelta(minutes=minutes))
    client = signed_in(people.admin)
    page = client.post("/settings/sla/trials/", {**FORM, "policy": standard.pk, "calendar": calendar.pk})
    assert page.status_code == 302
    assert "every 1s" in client.get(page.url).content.decode()
    trial.drain(now=NOW, seconds=60)
    trial.drain(now=NOW, seconds=60)
    done = client.get(page.url).content.decode()
    assert "every 1s" not in done
    assert "66.7" in done and "33.3" in done
    address = re.search(r'href="(\?[^"#]*was=met&amp;would=breached)#', done)
    assert address, "the number leads to its tickets"
    listed = client.get(page.url + address[1].replace("&amp;", "&")).content.decode()
    assert re.findall(r"#(\d+)</a>", listed) == [str(tickets[1].number)]
    covered = client.get(page.url + "?list=covered").content.decode()
    assert re.findall(r"#(\d+)</a>", covered) == [str(ticket.number) for ticket in reversed(tickets)]
    standard.refresh_from_db()
    assert (standard.version, standard.name) == (1, "Standard")
    assert not AuditEntry.objects.filter(kind__startswith="sla").exists()


def test_a_form_that_cannot_be_tried_comes_back_as_it_was(people: Cast, calendar: Calendar) -> None:
    answer = signed_in(people.admin).post("/settings/sla/trials/", {**FORM, "name": "", "always-2-first_reply": "on"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Give it a name." in page and 'value="30"' in page
    assert 'name="always-2-first_reply" checked' in page
    assert not SlaTrial.objects.exists()


def test_trials_are_for_admins_and_shown_to_their_author_only(people: Cast, calendar: Calendar) -> None:
    begun = tried(a_policy(calendar), people)
    assert signed_in(people.manager).get(f"/settings/sla/trials/{begun.pk}/").status_code == 403
    other = cast.make_agent("Ada Two", role="admin")
    assert signed_in(other).get(f"/settings/sla/trials/{begun.pk}/").status_code == 404


def test_the_hours_in_which_time_counts_are_kept(people: Cast, calendar: Calendar) -> None:
    client = signed_in(people.admin)
    form = {**FORM, "cell-2-resolution": "60", "always-2-resolution": "on"}
    assert client.post("/settings/sla/new/", form).status_code == 302
    assert dict(SlaTarget.objects.values_list("metric", "business")) == {"first_reply": True, "resolution": False}
    page = client.get(f"/settings/sla/{SlaPolicy.objects.get().pk}/").content.decode()
    assert 'name="always-2-resolution" checked' in page and 'name="always-2-first_reply" checked' not in page


def test_business_hours_and_fields_of_ones_own_are_asked_of_each_moment(people: Cast, calendar: Calendar) -> None:
    """Of two tickets one has the field; a message at lunch is out of hours, one an hour before is not."""
    late, early, other = (
        say(people, "Hello", n, when=MONDAY + timedelta(hours=h)) for n, h in ((1, 2.5), (2, 1), (3, 2.5))
    )
    Ticket.objects.filter(pk__in=[late.pk, early.pk]).update(fields={"plan": "gold"})
    asked = {
        "all": [
            {"field": "hours", "op": "is", "value": ["closed"]},
            {"field": "field.plan", "op": "is", "value": ["gold"]},
            {"field": "has", "op": "is_not", "value": ["attachment"]},
        ]
    }
    begun = tried(a_policy(calendar, conditions=asked), people)
    assert set(begun.covered.values_list("ticket", flat=True)) == {late.pk}, (early.pk, other.pk)
