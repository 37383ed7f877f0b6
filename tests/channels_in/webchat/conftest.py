import json
import uuid
from datetime import UTC, datetime

import pytest
from django.test import Client

from channels_in import process
from channels_in.webchat.fake import FakeVisitor, Request
from tests.cast import assemble
from tickets import delivery, replies
from tickets.models import Route, Ticket


@pytest.fixture
def now():
    return datetime.now(UTC)


@pytest.fixture
def cast(transactional_db):
    return assemble()


def call_with(client: Client):
    """The Django test client as the transport of a FakeVisitor."""

    def call(request: Request):
        answer = client.generic(
            request.method,
            request.path,
            data=request.body,
            content_type=request.headers.get("Content-Type", ""),
            headers={k: v for k, v in request.headers.items() if k != "Content-Type"},
        )
        return answer.status_code, json.loads(answer.content or b"{}") if answer["Content-Type"].startswith(
            "application/json"
        ) else {}

    return call


@pytest.fixture
def visitor(cast):
    return FakeVisitor(cast.webchat.slug, call=call_with(Client()))


@pytest.fixture
def another(cast):
    """A second browser."""
    return FakeVisitor(cast.webchat.slug, call=call_with(Client(REMOTE_ADDR="127.0.0.2")))


@pytest.fixture
def work():
    """What the worker does: intake, then delivery."""

    def run():
        process.drain(seconds=10)
        delivery.deliver(seconds=10)

    return run


@pytest.fixture
def answers(cast, now):
    """An agent answers on the ticket's web chat route."""

    def answer(ticket: Ticket, text: str, **more):
        route = Route.objects.filter(ticket=ticket, channel=cast.webchat).order_by("-last_used_at").first()
        return replies.post(
            ticket,
            agent=cast.agent,
            text=text,
            route=route,
            client_uuid=uuid.uuid4(),
            seen_message_id=None,
            now=datetime.now(UTC),
            **more,
        )

    return answer
