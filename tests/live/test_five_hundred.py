"""Five hundred agents look at their screens: one message costs one rendering for each language (issue of the inbox, show 8)."""

from __future__ import annotations

import asyncio
import time

import pytest
from channels.db import database_sync_to_async
from django.contrib.sessions.backends.db import SessionStore
from django.utils import timezone

from agents.models import Agent
from tests import cast as people
from tests.live.test_socket import subscribed
from tests.live.wire import Wire
from tests.workspace import scene
from tickets import live
from tickets.consumers import AgentSocket

pytestmark = pytest.mark.django_db(transaction=True)
AGENTS = 500


def crowd() -> tuple[people.Cast, list[Agent], SessionStore]:
    crew = people.assemble()
    made = Agent.objects.bulk_create(
        Agent(
            email=f"agent{n}@example.com",
            name=f"Agent {n}",
            sight="all",
            password="!",
            language="ko" if n % 2 else "en",
        )
        for n in range(AGENTS)
    )
    session = SessionStore()
    session["_auth_user_hash"] = made[0].get_session_auth_hash()
    session.save()
    return crew, made, session


async def test_one_message_is_rendered_once_per_language_for_five_hundred_screens(transactional_db, figure):
    crew, agents, session = await database_sync_to_async(crowd)()
    screens = [
        Wire(AgentSocket.as_asgi(), query=f"language={agent.language}", user=agent, session=session) for agent in agents
    ]
    assert await asyncio.gather(*(screen.open() for screen in screens)) == [0] * AGENTS
    await subscribed()
    assert len(live.hub()) == AGENTS
    rendered = live.hub().rendered

    def write():
        before = live.newest_id()
        message = scene.says(
            crew.sms, scene.sender("Jiwoo", phone="+821011112222"), "For all of you", at=timezone.now()
        )
        return message, live.Event.objects.filter(pk__gt=before).count()

    began = time.monotonic()
    message, events = await database_sync_to_async(write)()
    committed = time.monotonic()
    frames = await asyncio.gather(*(screen.until("event", message=message.pk) for screen in screens))
    last = time.monotonic()
    assert live.hub().rendered - rendered == 2 * events, "two languages, whatever the number of screens"
    words = {
        language: {
            frame["html"]["row"] for agent, frame in zip(agents, frames, strict=True) if agent.language == language
        }
        for language in ("en", "ko")
    }
    assert [len(rows) for rows in words.values()] == [1, 1], "everybody got the same fragment"
    figure(
        f"{AGENTS} agents: {events} events, {live.hub().rendered - rendered} renderings; the last one saw it"
        f" {(last - committed) * 1000:.0f} ms after the commit, {(last - began) * 1000:.0f} ms after the first byte"
    )
    await asyncio.gather(*(screen.shut() for screen in screens))
