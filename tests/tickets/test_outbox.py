"""Outgoing webhooks (Standard Webhooks), sent to a real server on this machine."""

import base64
import hashlib
import hmac
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.utils import timezone

from agents.models import AuditEntry
from tests.scripted import Stage
from tickets import outbox
from tickets.models import Outbox, Webhook
from tickets.models.event import by_agent

pytestmark = pytest.mark.django_db


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        self.calls = []
        self.answers = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append(({k.lower(): v for k, v in self.headers.items()}, body))
        status, headers = self.server.answers.pop(0) if self.server.answers else (204, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver(settings):
    server = Receiver()
    host, port = server.server_address[:2]
    settings.SAFE_FETCH_ALLOW = [f"{host}:{port}"]
    yield server
    server.shutdown()
    server.server_close()


CURRENT, FORMER = ("whsec_" + base64.b64encode(name * 12).decode() for name in (b"new", b"old"))


@pytest.fixture
def stage(scripted, now):
    return Stage(now)


@pytest.fixture
def hook(receiver, stage):
    host, port = receiver.server_address[:2]
    return Webhook.objects.create(url=f"http://{host}:{port}/in", secrets={"current": CURRENT, "former": FORMER})


def happens(stage, kind="priority_changed", **particulars):
    event = stage.ticket.record(kind, by=by_agent(stage.mina), now=stage.now, **particulars)
    make_due()
    return event


def make_due():
    Outbox.objects.filter(kind="webhook", state="queued").update(next_attempt_at="2000-01-01T00:00Z")


def test_a_receiver_gets_the_event_signed_by_both_secrets(stage, hook, receiver):
    event = happens(stage, **{"from": 2, "to": 4})
    assert outbox.drain() == 1
    headers, body = receiver.calls[0]
    row = Outbox.objects.get(kind="webhook")
    assert (row.state, row.lease_owner) == ("sent", None) and row.finished_at
    told = json.loads(body)
    assert told["type"] == "priority_changed"
    assert told["data"]["ticket"]["number"] == stage.ticket.number
    assert (told["data"]["seq"], told["data"]["particulars"]) == (event.pk, {"from": 2, "to": 4})
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = [
        "v1," + base64.b64encode(hmac.new(name * 12, signed, hashlib.sha256).digest()).decode()
        for name in (b"new", b"old")
    ]
    assert headers["webhook-signature"].split() == expected
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60


def test_no_words_of_people_leave_with_it(stage, hook, receiver):
    stage.ticket.record("message_received", by=by_agent(stage.mina), now=stage.now, message_id=stage.first.pk)
    make_due()
    outbox.drain()
    _headers, body = receiver.calls[0]
    assert b"parcel" not in body.lower() and b"Sora" not in body
    assert json.loads(body)["data"]["message"] == {"id": stage.first.pk, "seq": 1, "kind": "public"}


def test_only_what_was_asked_for_is_sent(stage, hook, receiver):
    Webhook.objects.update(events=["solved"])
    happens(stage)
    assert outbox.drain() == 0 and not Outbox.objects.filter(kind="webhook").exists()


def test_it_is_tried_again_by_the_schedule_with_the_same_id(stage, hook, receiver):
    happens(stage)
    receiver.answers = [(500, {}), (503, {}), (204, {})]
    for pause in (5, 300):
        before = timezone.now()
        outbox.drain()
        row = Outbox.objects.get(kind="webhook")
        assert row.state == "queued" and row.last_error.startswith("HTTP 50")
        assert pause <= (row.next_attempt_at - before).total_seconds() <= pause * 1.1 + 5
        assert outbox.drain() == 0
        make_due()
    outbox.drain()
    assert Outbox.objects.get(kind="webhook").state == "sent"
    assert len({headers["webhook-id"] for headers, _body in receiver.calls}) == 1
    assert len({body for _headers, body in receiver.calls}) == 1
    hook.refresh_from_db()
    assert hook.failing_since is None


def test_a_receiver_may_ask_for_more_time(stage, hook, receiver):
    happens(stage)
    receiver.answers = [(429, {"Retry-After": "600"})]
    before = timezone.now()
    outbox.drain()
    assert (Outbox.objects.get(kind="webhook").next_attempt_at - before).total_seconds() >= 600


def test_a_dead_receiver_delays_itself_and_nobody_else(stage, hook, receiver):
    dead = Webhook.objects.create(url="http://127.0.0.1:9/", secrets={"current": CURRENT})
    happens(stage)
    happens(stage)
    outbox.drain()
    assert len(receiver.calls) == 2
    waiting = Outbox.objects.filter(shard_key=f"webhook:{dead.pk}")
    assert [row.state for row in waiting] == ["queued", "queued"]
    assert sum(row.attempts for row in waiting) == 1, "the second was put off without being tried"


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://localhost:6379/", "http://10.0.0.1/hook"])
def test_a_webhook_reaches_nothing_inside(stage, hook, receiver, url):
    Webhook.objects.update(url=url)
    happens(stage)
    outbox.drain()
    assert Outbox.objects.get(kind="webhook").last_error.startswith("refused")


def test_gone_switches_the_receiver_off_with_a_notice(stage, hook, receiver):
    happens(stage)
    receiver.answers = [(410, {})]
    outbox.drain()
    hook.refresh_from_db()
    assert not hook.active and Outbox.objects.get(kind="webhook").state == "quarantined"
    assert AuditEntry.objects.get().kind == "webhook_switched_off"


@pytest.mark.parametrize("days, active", [(4, True), (5.1, False)])
def test_failing_for_five_days_switches_it_off(stage, hook, receiver, days, active):
    Webhook.objects.update(failing_since=timezone.now() - timedelta(days=days))
    happens(stage)
    receiver.answers = [(500, {})]
    outbox.drain()
    hook.refresh_from_db()
    assert hook.active is active


def test_after_the_last_try_a_person_can_send_it_again(stage, hook, receiver):
    happens(stage)
    Outbox.objects.filter(kind="webhook").update(attempts=len(outbox.SCHEDULE))
    receiver.answers = [(500, {})]
    outbox.drain()
    row = Outbox.objects.get(kind="webhook")
    assert row.state == "quarantined"
    outbox.redeliver(row, now=timezone.now())
    make_due()
    outbox.drain()
    assert Outbox.objects.get(kind="webhook").state == "sent"


def test_what_waits_for_a_receiver_that_was_switched_off_is_put_aside(stage, hook, receiver):
    happens(stage)
    Webhook.objects.update(active=False)
    outbox.drain()
    assert Outbox.objects.get(kind="webhook").state == "quarantined" and receiver.calls == []
