"""Who is told of what, how often, and that nobody reads what they may not see."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import Agent
from tests import cast as people
from tests.workspace import scene
from tickets import actions, delivery, notifications, notifying, replies
from tickets.models import Channel, Follower, Message, Notification, NotificationHours, Outbox, Ticket
from tickets.models.event import SYSTEM, by_agent, record
from tickets.notifications import Ways

JIWOO = scene.sender("Jiwoo", phone="+821011112222")
pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    return timezone.now() - timedelta(seconds=20)


@pytest.fixture
def mine(cast, now) -> Ticket:
    """A ticket of Mina's on which Jiwoo has written; everybody has been told of that."""
    ticket = scene.says(cast.sms, JIWOO, "Where is my parcel?", at=now).ticket
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=by_agent(cast.manager), now=now)
    notifying.drain()
    Notification.objects.all().delete()
    ticket.refresh_from_db()
    return ticket


def told(agent: Agent) -> list[tuple[str, int]]:
    """(type, how many it stands for) as the list shows them, newest first."""
    while notifying.drain():
        pass
    rows, _more = notifications.page(agent)
    return [(one.row.type, one.row.count) for one in rows]


def test_whoever_gets_a_ticket_is_told_but_not_of_their_own_doing(cast, now):
    ticket = scene.says(cast.sms, JIWOO, "Hello", at=now).ticket
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=by_agent(cast.teammate), now=now)
    other = scene.says(cast.sms, scene.sender("Ara", phone="+821099998888"), "Hi", at=now).ticket
    actions.assign(other, assignee=cast.agent, team=cast.support, by=by_agent(cast.agent), now=now)
    assert told(cast.agent) == [("assigned", 1)]
    assert told(cast.teammate) == [] and not Outbox.objects.filter(kind="notification").exists()
    shown = notifications.page(cast.agent)[0][0]
    assert (shown.title, shown.ticket) == ("Theo assigned this to you", ticket)


def test_the_message_that_came_before_the_assignment_is_no_news_to_the_assignee(cast, now):
    ticket = scene.says(cast.sms, JIWOO, "Hello", at=now).ticket
    actions.assign(ticket, assignee=cast.teammate, team=cast.support, by=SYSTEM, now=now)
    scene.says(cast.sms, JIWOO, "Anybody?", at=now)
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=SYSTEM, now=now)
    assert told(cast.agent) == [("assigned", 1)]
    assert told(cast.teammate) == [("reply", 1), ("assigned", 1)]


def test_a_burst_is_one_line_that_counts(cast, mine, now):
    for n in range(3):
        scene.says(cast.sms, JIWOO, f"Line {n}", at=now)
        notifying.drain()
    scene.says(cast.sms, JIWOO, "Line 3", at=now)
    assert told(cast.agent) == [("reply", 4)]
    shown = notifications.page(cast.agent)[0][0]
    assert (shown.title, shown.snippet) == ("Jiwoo wrote", "Line 3")
    assert notifications.unread(cast.agent) == 1
    notifications.read(cast.agent, shown.row)
    assert not Notification.objects.filter(read_at__isnull=True).exists()
    scene.says(cast.sms, JIWOO, "And again", at=now)
    assert told(cast.agent) == [("reply", 1), ("reply", 4)]


def test_draining_twice_and_half_a_batch_again_tells_nobody_twice(cast, mine, now):
    scene.says(cast.sms, JIWOO, "Hello?", at=now)
    owed = list(Outbox.objects.filter(kind="notification"))
    assert told(cast.agent) == [("reply", 1)]
    Outbox.objects.bulk_create(owed)
    assert told(cast.agent) == [("reply", 1)] and Notification.objects.count() == 1


def test_an_event_that_cannot_be_told_holds_up_no_other_and_is_put_by(cast, mine, now):
    scene.says(cast.sms, JIWOO, "One", at=now)
    other = scene.says(cast.sms, scene.sender("Ara", phone="+821099998888"), "Hi", at=now).ticket
    bad = other.record("assigned", now=now, by=by_agent(cast.admin))  # without its particulars
    row = Outbox.objects.get(payload__event=bad.pk)
    assert told(cast.agent) == [("reply", 1)]
    for _try in range(notifying.MOST_ERRORS):
        Outbox.objects.filter(pk=row.pk, state="queued").update(next_attempt_at=now)
        notifying.drain()
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("quarantined", notifying.MOST_ERRORS)


def test_what_they_have_read_already_is_no_news(cast, mine, now):
    message = scene.says(cast.sms, JIWOO, "Hello?", at=now)
    actions.mark_read(mine, agent=cast.agent, message_id=message.pk, now=now)
    assert told(cast.agent) == []
    later = scene.says(cast.sms, JIWOO, "Still there?", at=now)
    assert told(cast.agent) == [("reply", 1)] and notifications.unread(cast.agent) == 1
    actions.mark_read(mine, agent=cast.agent, message_id=later.pk, now=now)
    assert notifications.unread(cast.agent) == 0


def test_followers_hear_of_answers_and_mentioned_people_of_the_mention_only(cast, mine, now):
    Follower.objects.create(ticket=mine, agent=cast.manager)
    Follower.objects.create(ticket=mine, agent=cast.admin)
    scene.answers(mine, cast.agent, "On its way.", at=now)
    assert told(cast.manager) == [("reply", 1)] and told(cast.agent) == []
    scene.notes(mine, cast.agent, "@Grace and @Support, please look", at=now)
    assert told(cast.manager) == [("mentioned", 1), ("reply", 1)]
    assert told(cast.teammate) == [("mentioned", 1)] and told(cast.agent) == []
    assert told(cast.admin) == [("reply", 2)]


def test_a_notification_is_seen_only_while_its_ticket_is(cast, mine, now):
    Follower.objects.create(ticket=mine, agent=cast.outsider)
    Ticket.objects.filter(pk=mine.pk).update(team=cast.billing)
    scene.says(cast.sms, JIWOO, "Secret of Jiwoo", at=now)
    assert told(cast.outsider) == [("reply", 1)]
    row = Notification.objects.get(agent=cast.outsider)
    Ticket.objects.filter(pk=mine.pk).update(team=cast.support)
    assert notifications.page(cast.outsider) == ([], False) and notifications.unread(cast.outsider) == 0
    assert notifications.find(cast.outsider, row.pk) is None
    assert notifications.news(cast.outsider, after=0, now=now)["items"] == []
    scene.says(cast.sms, JIWOO, "More of it", at=now)
    notifying.drain()
    assert Notification.objects.filter(agent=cast.outsider).count() == 1


def test_a_new_ticket_is_told_to_its_team_once_and_many_are_one_line(cast, now):
    Channel.objects.filter(pk=cast.sms.pk).update(team=cast.support)
    first, second = (
        scene.says(cast.sms, scene.sender(name, phone=phone), "Hi", at=now).ticket
        for name, phone in (("Ara", "+821022220000"), ("Bo", "+821022221111"))
    )
    for ticket in (first, second):
        Ticket.objects.filter(pk=ticket.pk).update(team=cast.support)
        for _again in range(2):
            ticket.record("routed", now=now, outcome="queued")
    assert told(cast.agent) == [("team_new", 2)] and told(cast.outsider) == []
    assert notifications.page(cast.agent)[0][0].title == "New in Support"
    taken = scene.says(cast.sms, scene.sender("Cleo", phone="+821022223333"), "Hi", at=now).ticket
    Ticket.objects.filter(pk=taken.pk).update(team=cast.support, assignee=cast.teammate)
    taken.record("routed", now=now, outcome="queued")
    assert told(cast.agent) == [("team_new", 2)]


def test_deadlines_ratings_snoozes_and_returns_concern_whose_ticket_it_is(cast, mine, now):
    mine.record("sla_warning", now=now, metric="next_reply", percent=80)
    mine.record("sla_breached", now=now, metric="next_reply")
    mine.record("customer_back", now=now)
    mine.record("woken", now=now, cause="message")
    mine.record("woken", now=now, cause="time")
    mine.record("rated", now=now, score=4, survey=1)
    mine.record("rated", now=now, score=1, survey=2)
    kinds = ["bad_rating", "snooze_ended", "customer_back", "sla_breached", "sla_soon"]
    assert [name for name, _count in told(cast.agent)] == kinds
    titles = [one.title for one in notifications.page(cast.agent)[0]]
    assert titles[0] == "Jiwoo rated 1 of 5" and titles[3] == "Next reply: deadline missed"
    assert told(cast.teammate) == []
    Ticket.objects.filter(pk=mine.pk).update(assignee=None)
    mine.record("sla_breached", now=now, metric="first_reply")
    assert told(cast.teammate) == [("sla_breached", 1)]


def test_a_stopped_draft_is_told_to_its_author(cast, mine, now):
    draft = replies.save_draft(
        mine, agent=cast.teammate, kind="reply", text="Let me see.", client_uuid=uuid.uuid4(), revision=1,
        route=replies.routes_for(mine, now=now)[0].route, seen_message_id=mine.last_message_id, now=now,
    )  # fmt: skip
    replies.schedule(draft, send_at=now + timedelta(hours=1), now=now)
    scene.answers(mine, cast.agent, "Done.", at=now)
    assert told(cast.teammate) == [("draft_stopped", 1)] and told(cast.agent) == []


def test_a_lost_channel_is_told_to_administrators_of_its_brand_once(cast, now):
    cast.admin.brand_ids = [cast.brand.pk]
    cast.admin.save()
    stranger = Agent.objects.create_user("far@shop.example", role="admin", name="Far", brand_ids=[])
    for _again in range(2):
        delivery.note_disconnected(cast.sms.pk, reason="token expired", now=now)
    assert told(cast.admin) == [("channel_down", 1)]
    assert told(cast.agent) == told(cast.manager) == told(stranger) == []
    cast.admin.role = "agent"
    cast.admin.save()
    assert notifications.page(cast.admin) == ([], False)


def test_ways_that_are_all_off_make_no_row_and_desktop_alone_stays_out_of_the_list(cast, mine, now):
    notifications.choose(cast.agent, "reply", Ways(False, False, False, False, False))
    scene.says(cast.sms, JIWOO, "One", at=now)
    assert told(cast.agent) == [] and not Notification.objects.exists()
    notifications.choose(cast.agent, "reply", Ways(False, True, False, False, False))
    scene.says(cast.sms, JIWOO, "Two", at=now)
    assert told(cast.agent) == [] and notifications.unread(cast.agent) == 0
    news = notifications.news(cast.agent, after=0, now=now)
    assert [(item["title"], item["desktop"], item["sound"]) for item in news["items"]] == [("Jiwoo wrote", True, False)]
    assert news["items"][0]["body"].endswith("Two") and news["newest"] == Notification.objects.get().pk
    assert notifications.news(cast.agent, after=news["newest"], now=now)["items"] == []


QUIET = [
    ("22:00", "07:00", "2026-03-02T23:30", "2026-03-03T07:00"),
    ("22:00", "07:00", "2026-03-03T06:59", "2026-03-03T07:00"),
    ("22:00", "07:00", "2026-03-03T07:00", None),
    ("22:00", "07:00", "2026-03-02T21:59", None),
    ("12:00", "13:00", "2026-03-02T12:30", "2026-03-02T13:00"),
    ("12:00", "13:00", "2026-03-02T13:30", None),
    ("12:00", "12:00", "2026-03-02T12:00", None),
]


@pytest.mark.parametrize("begins, ends, here, until", QUIET)
def test_quiet_hours_are_those_of_the_agents_clock(begins, ends, here, until):
    hours = NotificationHours(quiet_from=time.fromisoformat(begins), quiet_to=time.fromisoformat(ends))
    seoul = datetime.fromisoformat(f"{here}+09:00").astimezone(UTC)
    found = notifications.quiet_until(hours, "Asia/Seoul", now=seoul)
    assert found == (datetime.fromisoformat(f"{until}+09:00") if until else None)


def test_in_quiet_hours_it_stands_in_the_list_without_a_sound(cast, mine, now):
    local = timezone.localtime(now, timezone.get_fixed_timezone(9 * 60))
    begin, end = (local - timedelta(hours=1)).time(), (local + timedelta(hours=1)).time()
    NotificationHours.objects.create(agent=cast.agent, quiet_from=begin, quiet_to=end)
    Agent.objects.filter(pk=cast.agent.pk).update(time_zone="Asia/Seoul")
    cast.agent.refresh_from_db()
    scene.says(cast.sms, JIWOO, "Psst", at=now)
    assert told(cast.agent) == [("reply", 1)]
    item = notifications.news(cast.agent, after=0, now=now)["items"][0]
    assert (item["desktop"], item["sound"]) == (False, False)


def test_pages_follow_the_keyset_and_the_number_of_queries_does_not_grow(cast, mine, now):
    def make(n: int) -> None:
        Notification.objects.bulk_create(
            Notification(agent=cast.agent, event_id=10_000_000 + i, type="reply", ticket=mine, actor=cast.teammate)
            for i in range(n)
        )

    make(3)
    with CaptureQueriesContext(connection) as few:
        notifications.page(cast.agent)
    Notification.objects.all().delete()
    make(notifications.PAGE * 2 + 5)
    with CaptureQueriesContext(connection) as many:
        first, more = notifications.page(cast.agent)
    assert len(many) == len(few) and more and len(first) == notifications.PAGE
    second, more = notifications.page(cast.agent, before=first[-1].row.pk)
    third, last = notifications.page(cast.agent, before=second[-1].row.pk)
    assert more and not last and len(third) == 5
    ids = [one.row.pk for one in (*first, *second, *third)]
    assert ids == sorted(ids, reverse=True) and len(set(ids)) == notifications.PAGE * 2 + 5
    assert notifications.unread(cast.agent) == notifications.PAGE * 2 + 5
    notifications.read_all(cast.agent, up_to=first[1].row.pk)
    assert notifications.unread(cast.agent) == 1


def test_a_bigger_batch_takes_no_more_queries(cast, mine, now):
    def queries(n: int) -> int:
        for i in range(n):
            scene.says(cast.sms, JIWOO, f"Line {i}", at=now)
        with CaptureQueriesContext(connection) as seen:
            notifying.drain()
        return len(seen)

    queries(1)
    assert queries(1) == queries(12)


def test_a_bigger_team_takes_no_more_queries(cast, now):
    def queries(size: int) -> int:
        for n in range(cast.support.memberships.count(), size):
            people.make_agent(f"Member{n}", team=cast.support, sight=Agent.Sight.TEAMS)
        who = scene.sender(f"Customer {size}", phone=f"+82107777{size:04}")
        ticket = scene.says(cast.sms, who, "Hi", at=now).ticket
        Ticket.objects.filter(pk=ticket.pk).update(team=cast.support)
        ticket.record("routed", now=now, outcome="queued")
        with CaptureQueriesContext(connection) as seen:
            notifying.drain()
        assert Notification.objects.filter(ticket=ticket).count() == size
        return len(seen)

    queries(2)
    assert queries(3) == queries(12)


def test_what_is_old_is_dropped(cast, mine, now):
    scene.says(cast.sms, JIWOO, "Hello", at=now)
    assert told(cast.agent) == [("reply", 1)]
    assert notifying.forget_old(now=now) == 0
    assert notifying.forget_old(now=now + timedelta(days=91)) == 1


def test_every_kind_that_concerns_somebody_is_owed_and_no_other(cast, mine, now):
    Outbox.objects.all().delete()
    mine.record("priority_changed", by=by_agent(cast.agent), now=now, **{"from": 2, "to": 3})
    record("customer_changed", ticket=None, customer_id=mine.customer_id, by=SYSTEM, now=now)
    assert not Outbox.objects.exists()
    mine.record("customer_back", now=now)
    assert Outbox.objects.get().kind == "notification"
    assert Message.objects.filter(ticket=mine).count() == 1
