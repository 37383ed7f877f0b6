from datetime import timedelta

import pytest
from django.utils import timezone

from channels_in.models import RawEvent
from helpdesk import heartbeat
from helpdesk.watchdog import WorkerWatch, overdue
from tests.cast import assemble
from tests.workspace import scene
from tickets.models import Brand, Channel, RoutingDecision, Ticket


@pytest.fixture
def due_since(db):
    brand, _ = Brand.objects.get_or_create(key="watch", defaults={"name": "Watch"})
    channel = Channel.objects.create(kind="sms", slug="watched", name="SMS", brand=brand)

    def make(key, age):
        moment = timezone.now() - age
        return RawEvent.objects.create(
            channel=channel, dedupe_key=key, raw_sha256="", body_sha256="", raw=b"{}", next_attempt_at=moment
        )

    return make


def test_a_backlog_that_does_not_move_is_stuck(due_since):
    heartbeat.beat()
    watch = WorkerWatch()
    due_since("a", timedelta(minutes=2))
    assert watch(), "at the first look nobody knows whether it moves"
    assert not watch()


def test_a_backlog_that_moves_is_not_stuck(due_since):
    heartbeat.beat()
    watch = WorkerWatch()
    oldest = due_since("a", timedelta(minutes=3))
    due_since("b", timedelta(minutes=2))
    assert watch()
    oldest.state = "processing"
    oldest.save(update_fields=["state"])
    assert watch()


@pytest.mark.django_db
@pytest.mark.parametrize(("decided", "stuck"), [(timedelta(seconds=20), False), (timedelta(minutes=2), True)])
def test_a_queue_whose_last_do_not_move_is_not_stuck_while_its_first_are_routed(decided, stuck):
    heartbeat.beat()
    watch = WorkerWatch()
    crew, now = assemble(), timezone.now()
    waiting, urgent = (
        scene.says(crew.sms, scene.sender(name, phone=phone), "Hello", at=now - timedelta(minutes=5)).ticket
        for name, phone in (("Ara", "+821011112222"), ("Bo", "+821033334444"))
    )
    RoutingDecision.objects.all().delete()
    RoutingDecision.objects.create(ticket=urgent, outcome="queued", at=now - decided)
    Ticket.objects.filter(pk=urgent.pk).update(routing_due_at=None)
    assert Ticket.objects.get(routing_due_at__isnull=False) == waiting
    watch()
    assert watch() is not stuck


def test_what_is_due_for_a_moment_only_does_not_count(due_since):
    due_since("a", timedelta(seconds=20))
    assert overdue(timezone.now()) == {}


@pytest.mark.django_db
def test_a_worker_without_a_sign_of_life_is_not_in_order():
    heartbeat.beat(now=1_000.0)
    assert not WorkerWatch()()


def test_without_redis_the_worker_is_not_blamed(settings):
    heartbeat.beat(now=1_000.0)
    settings.REDIS_URL = "unix:///nowhere.sock"
    assert WorkerWatch()()
