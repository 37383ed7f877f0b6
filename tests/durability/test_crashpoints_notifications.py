"""A notification survives a death at each point: made once, mailed at least once under one Message-ID, and pushed so that
one stands on the device."""

from email import message_from_bytes

import pytest

from agents.models import Agent
from tests.durability.deaths import dies, drained
from tests.fakes.push_service import PushService
from tests.scripted import Stage
from tests.tickets.conftest import now, scripted
from tickets import notification_mail, notifications, notifying, push, web_push
from tickets.models import Follower, Notification, Outbox
from tickets.models.event import SYSTEM

__all__ = ["now", "scripted"]  # fixtures
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def grace(scripted, now) -> Agent:
    """She follows a ticket on which something happens that she wants to read by mail."""
    stage = Stage(now)
    grace = Agent.objects.create_user("grace@helpdesk.example", name="Grace", role="manager")
    Follower.objects.create(ticket=stage.ticket, agent=grace)
    notifications.choose(grace, "customer_back", notifications.Ways(True, True, True, True, False))
    notifying.drain()
    Notification.objects.all().delete()
    stage.ticket.record("customer_back", by=SYSTEM, now=now)
    return grace


def test_a_death_before_the_commit_of_a_batch_leaves_it_owed_and_the_next_drain_makes_it_once(grace):
    dies(notifying.drain, at="notifications.written")
    assert not Notification.objects.exists() and Outbox.objects.filter(kind="notification").count() == 1
    drained(notifying.drain, until=lambda: not Outbox.objects.filter(kind="notification").exists())
    assert Notification.objects.filter(agent=grace).count() == 1
    assert Outbox.objects.filter(kind="notification_mail").count() == 1


@pytest.mark.parametrize("at, copies", [("notification_mail.claimed", 1), ("notification_mail.sent", 2)])
def test_a_mail_is_sent_until_it_is_known_to_have_left_under_one_message_id(grace, settings, tmp_path, at, copies):
    notifying.drain()
    Outbox.objects.filter(kind="notification_mail").update(next_attempt_at="2000-01-01T00:00Z")
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "before")  # two processes may name their file alike, and share it
    dies(notification_mail.drain, at=at)
    settings.EMAIL_FILE_PATH = str(tmp_path / "after")
    assert Notification.objects.filter(mail_owed=True).count() == 1

    def again() -> int:
        Outbox.objects.filter(state="sending").update(lease_until="2000-01-01T00:00Z")
        return notification_mail.drain()

    drained(again, until=lambda: not Outbox.objects.filter(kind="notification_mail").exists())
    sent = [message_from_bytes(path.read_bytes()) for path in tmp_path.rglob("*.log")]
    assert len(sent) == copies and len({mail["Message-ID"] for mail in sent}) == 1
    assert not Notification.objects.filter(mail_owed=True).exists()


@pytest.mark.parametrize(("point", "left"), [("push.claimed", 0), ("push.sent", 1)])
def test_a_push_whose_sender_dies_comes_again_and_takes_the_place_of_the_first(grace, settings, point, left):
    ways = notifications.ways_of(grace)["customer_back"]
    notifications.choose(grace, "customer_back", ways._replace(push=True))
    service = PushService()
    settings.SAFE_FETCH_ALLOW = [service.host]
    phone = service.browser(web_push.public_key())
    push.subscribe(grace, phone.address, device="phone", label="")
    notifying.drain()
    Outbox.objects.filter(kind="push").update(next_attempt_at="2000-01-01T00:00Z")
    dies(push.drain, at=point)
    assert len(phone.taken) == left and Outbox.objects.filter(kind="push", state="sending").exists()

    def again() -> int:
        Outbox.objects.filter(state="sending").update(lease_until="2000-01-01T00:00Z")
        return push.drain()

    drained(again, until=lambda: not Outbox.objects.filter(kind="push").exists())
    assert len(phone.taken) == left + 1 and len(phone.waiting) == 1
    assert len({told["tag"] for told in phone.taken}) == 1
    service.close()
