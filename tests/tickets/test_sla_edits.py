"""Deadlines after edits of hours, promises and priority, against the simulator that knows only the clock on the wall."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from agents.models import Calendar, CalendarClosing, CalendarWindow
from tests import cast
from tests.tickets.test_sla_cases import MINUTE, PAUSES, SHOPS, Shop, simulated
from tickets.models import Brand, Customer, SlaClock, SlaPolicy, SlaTarget, Ticket
from tickets.models.ticket import next_number
from tickets.sla import clocks

pytestmark = pytest.mark.django_db
HOURS = [
    ("seoul", "seoul with lunch", ["2026-09-18T11:50", "2026-09-18T17:30"]),
    ("seoul with lunch", "seoul", ["2026-09-18T11:50", "2026-09-18T16:00"]),
    ("seoul", "seoul with holidays", ["2026-08-14T16:30", "2026-10-02T16:00"]),
    ("seoul with holidays", "seoul", ["2026-02-13T17:00", "2026-09-23T16:00"]),
    ("seoul", "seoul once closed", ["2026-09-18T17:00", "2026-09-18T17:50"]),
    ("berlin", "berlin nights", ["2026-03-27T17:30", "2026-10-24T12:00"]),
    ("berlin nights", "berlin", ["2026-03-28T21:00", "2026-10-25T01:30"]),
    ("seoul", "new york", ["2026-09-18T17:30", "2026-10-30T10:00"]),
    ("always", "seoul", ["2028-02-28T12:00", "2026-12-31T09:00"]),
]
EDITS = (30, 150)  # minutes after the start


def cases() -> Iterator[object]:
    for before, after, moments in HOURS:
        for moment in moments:
            for at, pauses in ((30, ""), (150, "paused once"), (30, "paused twice")):
                yield pytest.param(
                    before, after, moment, at, pauses, id=f"{before} to {after}, {moment}, after {at} {pauses}".strip()
                )


@pytest.fixture
def world() -> tuple[Brand, Customer]:
    return cast.make_brand(), cast.make_customer(now=datetime(2026, 1, 1, tzinfo=UTC))


class Scene:
    """One ticket with a promise to solve, from its start on; `sweep` as often as something happens."""

    def __init__(self, world: tuple[Brand, Customer], shop: Shop, start: datetime, minutes: int) -> None:
        self.calendar = Calendar.objects.create(name="Shop", time_zone=shop.zone)
        self.open(shop)
        self.policy = SlaPolicy.objects.create(name="All", calendar=self.calendar, pauses_in=["pending"])
        for priority, length in ((2, minutes), (3, 2 * minutes)):
            SlaTarget.objects.create(policy=self.policy, metric="resolution", priority=priority, seconds=length * 60)
        brand, customer = world
        self.ticket = Ticket.objects.create(
            number=next_number(), brand=brand, customer=customer, created_at=start, waiting_since=start,
            sla_policy=self.policy,
        )  # fmt: skip
        clocks.customer_wrote(self.ticket, now=start)

    def open(self, shop: Shop) -> None:
        self.calendar.time_zone, self.calendar.holiday_country = shop.zone, shop.country
        self.calendar.save()
        self.calendar.windows.all().delete()
        self.calendar.closings.all().delete()
        CalendarWindow.objects.bulk_create(
            CalendarWindow(calendar=self.calendar, weekday=day, opens=opens, closes=closes)
            for day in range(shop.days)
            for opens, closes in shop.windows
        )
        CalendarClosing.objects.bulk_create(
            CalendarClosing(calendar=self.calendar, date=day) for day in (shop.closed if not shop.country else ())
        )
        self.calendar.touch()

    def becomes(self, status: str, at: datetime) -> None:
        self.ticket.status = status
        self.ticket.save(update_fields=["status"])
        clocks.status_changed(self.ticket, now=at)

    def due_at(self) -> datetime:
        return SlaClock.objects.get(ticket=self.ticket).due_at

    def play(self, happenings: list[tuple[datetime, str]], shop: Shop, minutes: int) -> None:
        """In their order: "pause", "go on", and the edits, after which the new shop or the new promise counts."""
        for at, what in sorted(happenings):
            clocks.sweep(now=at)
            match what:
                case "pause":
                    self.becomes("pending", at)
                case "go on":
                    self.becomes("open", at)
                case "hours":
                    self.open(shop)
                    clocks.sweep(now=at)
                case "pauses" | "no pauses":
                    self.policy.pauses_in = ["pending"] if what == "pauses" else []
                    self.policy.version += 1
                    self.policy.save()
                    clocks.apply_version(self.policy, now=at)
                case "promise":
                    self.policy.targets.filter(priority=2).update(seconds=minutes * 60)
                    self.policy.version += 1
                    self.policy.save()
                    clocks.apply_version(self.policy, now=at)
                case "priority":
                    Ticket.objects.filter(pk=self.ticket.pk).update(priority=3)
                    self.ticket.refresh_from_db()
                    clocks.rules_ran(self.ticket, now=at)


def expected(
    before: tuple[Shop, int],
    after: tuple[Shop, int],
    start: datetime,
    edit: datetime,
    pauses: list[tuple[datetime, datetime]],
) -> datetime:
    """What was missed before the edit stays missed; else all of the time is counted anew."""
    former = simulated(before[0], start, before[1], pauses)
    return former if former <= edit else simulated(after[0], start, after[1], pauses)


def happenings(pauses: list[tuple[datetime, datetime]], edit: datetime, what: str) -> list[tuple[datetime, str]]:
    return [(edit, what), *((since, "pause") for since, _ in pauses), *((until, "go on") for _, until in pauses)]


@pytest.mark.parametrize(("before", "after", "moment", "at", "pauses"), cases())
def test_an_edit_of_the_hours_counts_all_of_the_time_anew(
    world: tuple[Brand, Customer], before: str, after: str, moment: str, at: int, pauses: str
) -> None:
    old, new, minutes = SHOPS[before], SHOPS[after], 95
    start = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(old.zone)).astimezone(UTC)
    spans = [(start + since * MINUTE, start + until * MINUTE) for since, until in PAUSES[pauses]]
    edit = start + at * MINUTE
    scene = Scene(world, old, start, minutes)
    scene.play(happenings(spans, edit, "hours"), new, minutes)
    assert scene.due_at() == expected((old, minutes), (new, minutes), start, edit, spans)


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("at", EDITS)
@pytest.mark.parametrize(
    ("what", "minutes", "then"), [("promise", 95, 300), ("promise", 300, 95), ("priority", 95, 190)]
)
def test_an_edit_of_the_promise_or_its_priority_counts_all_of_the_time_anew(
    world: tuple[Brand, Customer], what: str, minutes: int, then: int, at: int, pauses: str
) -> None:
    shop = SHOPS["seoul with lunch"]
    start = datetime(2026, 9, 18, 2, 30, tzinfo=UTC)
    spans = [(start + since * MINUTE, start + until * MINUTE) for since, until in PAUSES[pauses]]
    edit = start + at * MINUTE
    scene = Scene(world, shop, start, minutes)
    scene.play(happenings(spans, edit, what), shop, then)
    assert scene.due_at() == expected((shop, minutes), (shop, then), start, edit, spans)


@pytest.mark.parametrize("what", ["pauses", "no pauses"])
def test_a_new_version_says_at_once_whether_a_pending_ticket_stands_still(
    world: tuple[Brand, Customer], what: str
) -> None:
    """Pending from the 10th to the 90th minute, edited in the 30th: what was counted until then stays counted."""
    shop, start, minutes = SHOPS["always"], datetime(2026, 9, 18, 2, 30, tzinfo=UTC), 200
    scene = Scene(world, shop, start, minutes)
    scene.policy.pauses_in = [] if what == "pauses" else ["pending"]
    scene.policy.save()
    SlaClock.objects.update(pauses_in=scene.policy.pauses_in)
    scene.play([(start + 10 * MINUTE, "pause"), (start + 30 * MINUTE, what)], shop, minutes)
    clock = SlaClock.objects.get()
    assert clock.state == ("paused" if what == "pauses" else "running")
    scene.play([(start + 90 * MINUTE, "go on")], shop, minutes)
    stood_still = (30, 90) if what == "pauses" else (10, 30)
    spans = [(start + stood_still[0] * MINUTE, start + stood_still[1] * MINUTE)]
    assert scene.due_at() == simulated(shop, start, minutes, spans)


@settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # an example takes a second, so that shrinking takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(HOURS[5], 101_180, 1, 144, [144, 2])  # missed, and paused while the hours are edited
@given(
    st.sampled_from(HOURS), st.integers(0, 300 * 1440), st.integers(1, 400), st.integers(1, 900),
    st.lists(st.integers(2, 600), max_size=4),
)  # fmt: skip
def test_any_edit_counts_all_of_the_time_anew(
    world: tuple[Brand, Customer],
    pair: tuple[str, str, list[str]],
    offset: int,
    minutes: int,
    at: int,
    steps: list[int],
) -> None:
    """Holidays apart, of which only some weeks are written down."""
    old, new = (SHOPS["seoul with lunch" if name == "seoul with holidays" else name] for name in pair[:2])
    start = datetime(2026, 1, 1, tzinfo=UTC) + offset * MINUTE
    edges, moment = [], start
    for step in steps[: len(steps) // 2 * 2]:
        moment += step * MINUTE
        edges.append(moment)
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    edit = start + at * MINUTE + timedelta(seconds=30)  # never at the moment of a pause
    scene = Scene(world, old, start, minutes)
    scene.play(happenings(spans, edit, "hours"), new, minutes)
    assert scene.due_at() == expected((old, minutes), (new, minutes), start, edit, spans)
