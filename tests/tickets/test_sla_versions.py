"""A policy is saved as a version that can be read, compared and brought back; each cell of the matrix has its own hours."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import AuditEntry, Calendar, CalendarWindow
from tests import cast
from tests.cast import Cast
from tests.workspace import scene
from tickets import actions, conditions
from tickets.models import SlaClock, SlaPolicy
from tickets.models.event import SYSTEM
from tickets.sla import clocks, versions

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
VIP = {"field": "customer_tier", "op": "is", "value": ["vip"]}
FORM = {"name": "Quick", "active": "on", "warn": "75", "cell-2-first_reply": "120", "cell-4-first_reply": "60"}


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


@pytest.fixture
def office(people: Cast) -> Calendar:
    office = Calendar.objects.create(name="Office", time_zone="Asia/Seoul", is_default=True)
    CalendarWindow.objects.bulk_create(
        CalendarWindow(calendar=office, weekday=day, opens=time(9), closes=time(18)) for day in range(5)
    )
    return office


@pytest.fixture
def admin(people: Cast) -> Client:
    client = Client()
    client.force_login(people.admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


def saved(people: Cast, policy: SlaPolicy | None = None, **facts: Any) -> SlaPolicy:
    targets = facts.pop("targets", {("first_reply", 3): (3600, True)})
    policy = policy or SlaPolicy(name="Quick", conditions={"all": [VIP]}, warn_percents=[75], pauses_in=["pending"])
    for name, value in facts.items():
        setattr(policy, name, value)
    return versions.save(policy, targets, by=people.admin, now=NOW)


# -- Hours of each cell -------------------------------------------------------------------------------------------------


def test_urgent_is_round_the_clock_and_the_rest_in_office_hours(admin: Client, office: Calendar) -> None:
    form = {**FORM, "calendar": office.pk, "always-4-first_reply": "on"}
    assert admin.post("/settings/sla/new/", form).status_code == 302
    policy = SlaPolicy.objects.get()
    assert versions.targets_of(policy) == {("first_reply", 2): (7200, True), ("first_reply", 4): (3600, False)}
    page = admin.get(f"/settings/sla/{policy.pk}/").content.decode()
    assert 'name="always-4-first_reply" checked' in page and 'name="always-2-first_reply" checked' not in page
    assert admin.get("/settings/sla/").content.decode().count("round the clock") == 1


def test_the_example_goes_by_the_hours_of_its_own_priority_and_tells_every_promise(
    admin: Client, office: Calendar
) -> None:
    form = {**FORM, "always-4-first_reply": "on", "cell-2-resolution": "4h"}
    said = admin.get("/settings/sla/example/", form).content.decode()
    assert "priority Urgent on Fri 17:50: First reply due Fri 18:50." in said
    assert "priority Normal on Fri 17:50: First reply due Mon 10:50, Resolution due Mon 12:50." in said


def test_hours_that_never_open_are_told(admin: Client, people: Cast) -> None:
    closed = Calendar.objects.create(name="Closed", time_zone="Asia/Seoul")
    said = admin.get("/settings/sla/example/", {**FORM, "calendar": closed.pk}).content.decode()
    assert said.count("never open") == 1


@pytest.mark.parametrize(
    ("typed", "minutes"),
    [("90", 90), ("90m", 90), ("1h 30m", 90), ("1시간 30분", 90), ("4 H", 240), ("1h30", 90), ("2160h", 129_600)],
)
def test_a_promise_is_typed_as_one_says_it(admin: Client, office: Calendar, typed: str, minutes: int) -> None:
    assert admin.post("/settings/sla/new/", {"name": "Quick", "cell-3-first_reply": typed}).status_code == 302
    policy = SlaPolicy.objects.get()
    assert versions.targets_of(policy) == {("first_reply", 3): (60 * minutes, True)}
    shown = {90: "1h 30m", 240: "4h", 129_600: "2160h"}[minutes]
    assert (
        f'value="{shown}" aria-label="First reply, High"' in admin.get(f"/settings/sla/{policy.pk}/").content.decode()
    )


@pytest.mark.parametrize("typed", ["soon", "1d", "0", "-5", "2161h", "1:30", "99999999999"])
def test_what_is_no_promise_is_said_and_nothing_that_was_typed_is_lost(
    admin: Client, office: Calendar, typed: str
) -> None:
    form = {"name": "Quick", "cell-3-first_reply": typed, "cell-2-first_reply": "4h", "always-2-first_reply": "on"}
    answer = admin.post("/settings/sla/new/", form)
    page = answer.content.decode()
    assert answer.status_code == 422 and f"“{typed}” is no promise" in page
    assert (
        f'value="{typed}" aria-label="First reply, High"' in page
        and 'value="4h" aria-label="First reply, Normal"' in page
    )
    assert 'name="always-2-first_reply" checked' in page
    assert not SlaPolicy.objects.exists()


# -- Versions -----------------------------------------------------------------------------------------------------------


def test_the_history_says_line_by_line_what_changed(people: Cast, office: Calendar) -> None:
    policy = saved(people)
    saved(
        people, policy, calendar=office, targets={("first_reply", 3): (1800, False), ("resolution", 3): (86400, True)}
    )
    newest, first = versions.history(policy)
    assert (newest.version.number, newest.version.by, first.removed) == (2, people.admin, [])
    assert newest.removed == ["Business hours: the default ones", "First reply at High: 1h of business time"]
    assert newest.added == [
        "Business hours: Office", "First reply at High: 30m round the clock", "Resolution at High: 1d of business time",
    ]  # fmt: skip
    assert first.added[:2] == ["Name: Quick", "if Customer’s tier is VIP"]
    assert {"Warnings at 75 %", "Stands still while: Pending"} <= set(first.added)


def test_a_version_comes_back_as_a_new_one(people: Cast, office: Calendar) -> None:
    policy = saved(people, calendar=office)
    saved(people, policy, name="Slow", calendar=None, conditions={}, targets={}, warn_percents=[], active=False)
    versions.restore(policy.versions.get(number=1), by=people.admin, now=NOW)
    policy = SlaPolicy.objects.get()
    assert (policy.version, policy.name, policy.calendar, policy.active) == (3, "Quick", office, False)
    assert (policy.conditions, policy.warn_percents, versions.targets_of(policy)) == (
        {"all": [VIP]}, [75], {("first_reply", 3): (3600, True)},
    )  # fmt: skip
    assert versions.history(policy)[0].version.restored == 1
    kinds = list(AuditEntry.objects.filter(kind__startswith="sla_policy").order_by("id").values_list("kind", flat=True))
    assert kinds == ["sla_policy_added", "sla_policy_changed", "sla_policy_restored"]


def test_what_speaks_of_hours_that_are_gone_does_not_come_back(people: Cast, office: Calendar) -> None:
    policy = saved(people, calendar=office)
    saved(people, policy, calendar=None)
    office.delete()
    with pytest.raises(conditions.Invalid, match="business hours"):
        versions.restore(policy.versions.get(number=1), by=people.admin, now=NOW)
    assert SlaPolicy.objects.get().version == 2


def test_a_long_history_costs_as_many_queries(people: Cast) -> None:
    policy = saved(people)

    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert len(versions.history(policy)) == policy.version
        return len(asked)

    before = cost()
    for n in range(5):
        saved(people, policy, name=f"Quick {n}")
    assert cost() == before


def test_the_page_shows_the_history_and_brings_a_version_back(admin: Client, people: Cast) -> None:
    admin.post("/settings/sla/new/", FORM)
    policy = SlaPolicy.objects.get()
    admin.post(f"/settings/sla/{policy.pk}/", FORM | {"cell-2-first_reply": "30"})
    page = admin.get(f"/settings/sla/{policy.pk}/").content.decode()
    assert "<del>First reply at Normal: 2h of business time</del>" in page
    assert "<ins>First reply at Normal: 30m of business time</ins>" in page and people.admin.name in page
    answer = admin.post(f"/settings/sla/{policy.pk}/version/", {"version": "1"}, follow=True)
    assert "Version 1 is back" in answer.content.decode()
    policy.refresh_from_db()
    assert (policy.version, versions.targets_of(policy)["first_reply", 2]) == (3, (7200, True))
    assert admin.post(f"/settings/sla/{policy.pk}/version/", {"version": "9"}).status_code == 404
    admin.force_login(people.agent, backend="django.contrib.auth.backends.ModelBackend")
    assert admin.post(f"/settings/sla/{policy.pk}/version/", {"version": "1"}).status_code == 403


# -- What runs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("anew", [{("first_reply", 2): (3600, False)}, {}], ids=["shorter", "nothing any more"])
def test_a_rule_that_does_something_moves_no_clock_to_an_edit(people: Cast, anew: versions.Targets) -> None:
    policy = saved(people, conditions={}, targets={("first_reply", 2): (4 * 3600, False)})
    ticket = scene.says(people.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=NOW).ticket
    saved(people, policy, targets=anew)
    with transaction.atomic():
        clocks.rules_ran(actions.lock(ticket.pk), now=NOW + timedelta(hours=2))
    clock = SlaClock.objects.get()
    assert (clock.state, clock.policy_version, clock.due_at) == ("running", 1, NOW + timedelta(hours=4))


def test_another_priority_gets_what_is_promised_now(people: Cast) -> None:
    policy = saved(people, conditions={}, targets={("first_reply", 2): (4 * 3600, False)})
    ticket = scene.says(people.sms, scene.sender("Jiwoo", phone="+821011112222"), "Hello", at=NOW).ticket
    saved(people, policy, targets={("first_reply", 2): (3600, False), ("first_reply", 4): (1800, False)})
    with transaction.atomic():
        locked = actions.lock(ticket.pk)
        locked.change_priority(4, by=SYSTEM, now=NOW)
        clocks.rules_ran(locked, now=NOW)
    clock = SlaClock.objects.get()
    assert (clock.policy_version, clock.due_at) == (2, NOW + timedelta(minutes=30))
