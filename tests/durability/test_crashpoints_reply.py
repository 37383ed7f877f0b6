"""The reply path survives a death at each point: exactly once, or failed or uncertain and visible (reliability.md 6).

A process of its own runs one step and dies at the point; then this process drains what it left, as any worker would.
"""

import re
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from uuid import uuid4

import pytest

from agents.models import Agent
from tests.conftest import ROOT
from tests.durability.deaths import dies, drained
from tests.scripted import Stage
from tests.tickets.conftest import now, scripted
from tickets import delivery, outbox, replies
from tickets.models import DeliveryPart, Draft, Event, Message, Outbox, Route, Webhook

__all__ = ["now", "scripted"]  # fixtures
pytestmark = pytest.mark.django_db(transaction=True)


def settled() -> bool:
    return not DeliveryPart.objects.filter(state__in=["queued", "sending"]).exists()


def written(stage: Stage, uuid=None) -> Message:
    return replies.post(
        stage.ticket,
        agent=Agent.objects.get(name="Mina"),
        text="It arrives tomorrow.",
        route=Route.objects.get(),
        client_uuid=uuid or uuid4(),
        seen_message_id=None,
        now=datetime.now(UTC) - timedelta(seconds=5),
    )


def test_a_death_before_the_commit_of_an_answer_leaves_nothing_and_the_retry_is_one(scripted, now):
    stage, uuid = Stage(now), uuid4()
    dies(lambda: written(stage, uuid), at="reply.queued")
    assert not Message.objects.filter(direction="out").exists() and not DeliveryPart.objects.exists()
    assert not Event.objects.filter(kind="reply_posted").exists()
    written(stage, uuid)
    written(stage, uuid)
    drained(delivery.deliver, until=settled)
    assert len(scripted.accepted()) == 1 and Message.objects.filter(direction="out").count() == 1


@pytest.mark.parametrize("at", ["draft.posted", "draft.released"])
def test_a_draft_is_released_once_whatever_crashed(scripted, now, at):
    stage = Stage(now)
    uuid = uuid4()
    draft = replies.save_draft(
        stage.ticket, agent=stage.mina, kind="reply", text="It arrives.", client_uuid=uuid, revision=1,
        route=stage.route, now=now,
    )  # fmt: skip
    replies.schedule(draft, send_at=now, now=now)
    dies(lambda: replies.release_due(now=datetime.now(UTC)), at=at)
    committed = at == "draft.released"
    assert Message.objects.filter(client_uuid=uuid).exists() == committed
    assert Draft.objects.filter(send_at__isnull=False).exists() == (not committed)
    released = [replies.release_due(now=datetime.now(UTC)) for _sweep in range(2)]
    assert released == ([0, 0] if committed else [1, 0])
    assert Message.objects.filter(client_uuid=uuid).count() == 1 and not Draft.objects.exists()
    assert Event.objects.filter(kind="reply_posted").count() == 1
    drained(delivery.deliver, until=settled)
    assert len(scripted.accepted()) == 1


OURS = ["deliver.claimed", "deliver.attempted", "deliver.committed", "deliver.answered", "deliver.written"]
THEIRS = ["die_connecting", "die_unheard", "die_accepted"]
# What is left in the end, and how often the provider took it.
SAFE = ("sent", 1)
EXPECTED = {
    "scripted": {
        "deliver.committed": ("uncertain", 0),
        "die_unheard": ("uncertain", 0),
        "die_accepted": ("uncertain", 1),
        "deliver.answered": ("uncertain", 1),
    },
    "scripted_keyed": {},
    "scripted_mail": {"die_accepted": ("sent", 2), "deliver.answered": ("sent", 2)},
}


@pytest.mark.parametrize("at", [*OURS, *THEIRS])
@pytest.mark.parametrize("kind", EXPECTED)
def test_outbound_crash_table(scripted, now, kind, at):
    stage = Stage(now, kind=kind)
    message = written(stage)
    ids = DeliveryPart.objects.values_list("send_uuid", "rfc_message_id").get()
    if at in THEIRS:
        scripted.do(at)
    dies(delivery.deliver, at=at)
    state, copies = EXPECTED[kind].get(at, SAFE)
    drained(delivery.deliver, until=settled)

    message.refresh_from_db()
    part = DeliveryPart.objects.get()
    assert (message.state, part.state, len(scripted.accepted())) == (state, state, copies)
    assert (part.send_uuid, part.rfc_message_id) == ids
    # Two acceptances are one mail to whoever folds a repeated Message-ID; no other kind is ever doubled.
    assert {(one["part_uuid"], one["rfc_message_id"]) for one in scripted.accepted()} <= {(str(ids[0]), ids[1])}
    if state == "uncertain":
        assert Event.objects.filter(kind="delivery_changed", particulars__state="uncertain").exists()
        assert part.error_code == "no_answer"
    assert list(part.tries.values_list("n", flat=True).order_by("n")) == list(range(1, part.tries.count() + 1))


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append(self.headers["webhook-id"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args) -> None:
        pass


@pytest.mark.parametrize("at, calls", [("outbox.claimed", 1), ("outbox.answered", 2)])
def test_an_outgoing_webhook_is_called_until_it_is_known_to_have_arrived(now, settings, at, calls):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.calls = []
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    where = f"127.0.0.1:{server.server_address[1]}"
    settings.SAFE_FETCH_ALLOW = [where]
    Webhook.objects.create(url=f"http://{where}/", secrets={"current": "whsec_c2VjcmV0"}, events=["message_received"])
    Stage(now)
    dies(outbox.drain, at=at)
    drained(outbox.drain, until=lambda: Outbox.objects.get(kind="webhook").state == "sent")
    assert len(server.calls) == calls and len(set(server.calls)) == 1
    server.shutdown()
    server.server_close()


def test_no_point_of_the_code_is_without_a_death_here():
    """A point that somebody adds and no test dies at proves nothing."""
    apps = ("agents", "analytics", "channels_in", "helpdesk", "tickets")
    sources = [path.read_text() for app in apps for path in (ROOT / app).rglob("*.py")]
    named = {point for source in sources for point in re.findall(r'crash_here\("([^"]+)"\)', source)}
    told = "".join(path.read_text() for path in (ROOT / "tests" / "durability").glob("test_*.py"))
    assert {point for point in named if f'"{point}"' not in told} == set()
    assert len(named) >= 30
