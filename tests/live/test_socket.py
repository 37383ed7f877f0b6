"""The agents' socket and the hub behind it, on real PostgreSQL and Redis."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import redis
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth import logout
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.utils import timezone

from agents.models import Agent
from tests import cast as people
from tests.live.wire import Wire
from tests.workspace import scene
from tickets import actions, live, presence
from tickets.consumers import AgentSocket
from tickets.models import Ticket
from tickets.models.event import by_agent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def crew(transactional_db):
    return await database_sync_to_async(people.assemble)()


@asynccontextmanager
async def screen(agent, *, language="en", after=0, ticket=None):
    """A browser of this agent that has said hello and caught up."""

    def session() -> SessionStore:
        store = SessionStore()
        store["_auth_user_hash"] = agent.get_session_auth_hash()
        store.save()
        return store

    scope = {"user": agent, "session": await database_sync_to_async(session)()}
    wire = Wire(AgentSocket.as_asgi(), query=f"language={language}", **scope)
    assert await wire.open() == 0
    await wire.say({"type": "hello", "after": after, "ticket": ticket})
    wire.hello = await wire.until("caught_up")
    try:
        yield wire
    finally:
        await wire.shut()


async def subscribed():
    for _ in range(500):
        if live.hub().connected:
            return
        await asyncio.sleep(0.01)
    pytest.fail("no subscription")


async def write(crew, text="Hello", *, team=None, phone="+821011112222", at=None):
    def go():
        message = scene.says(crew.sms, scene.sender("Jiwoo", phone=phone), text, at=at or timezone.now())
        Ticket.objects.filter(pk=message.ticket_id).update(team=team or crew.support)
        message.ticket.refresh_from_db()
        return message

    return await database_sync_to_async(go)()


async def test_a_message_reaches_each_screen_rendered_once_per_language(crew):
    ticket = (await write(crew)).ticket
    async with screen(crew.agent) as mina, screen(crew.teammate) as theo, screen(crew.manager, language="ko") as grace:
        await subscribed()
        before = live.hub().rendered
        message = await write(crew, "Second one")
        frames = [await one.until("event", kind="message_received", message=message.pk) for one in (mina, theo, grace)]
        assert frames[0] == frames[1]
        assert "Second one" in frames[0]["html"]["items"][0] and f"ticket-row-{ticket.pk}" in frames[0]["html"]["row"]
        events = await database_sync_to_async(lambda: live.Event.objects.filter(pk__gte=frames[0]["id"]).count())()
        assert live.hub().rendered - before == 2 * events  # two languages, three sockets


async def test_there_is_one_subscription_however_many_sockets(crew):
    async with screen(crew.agent), screen(crew.teammate), screen(crew.manager):
        await subscribed()
        client = redis.Redis.from_url(django_settings.REDIS_URL)
        assert await asyncio.to_thread(client.pubsub_numsub, live.CHANNEL) == [(live.CHANNEL.encode(), 1)]
        client.close()


async def test_another_team_hears_nothing_and_losing_sight_says_gone(crew):
    ticket = (await write(crew)).ticket
    async with screen(crew.agent) as mina, screen(crew.outsider) as omar:
        await subscribed()
        now = timezone.now()
        await write(crew, "For support only")
        await mina.until("event", kind="message_received")
        await database_sync_to_async(actions.assign)(
            ticket, assignee=None, team=crew.billing, by=by_agent(crew.manager), now=now
        )
        assert (await mina.until("gone"))["ticket"] == ticket.pk
        first = await omar.hear()
        assert (first["type"], first.get("kind")) == ("event", "assigned"), "nothing came before the ticket was theirs"


async def test_catching_up_says_gone_only_for_what_was_seen_before(crew):
    ticket = (await write(crew)).ticket
    other = (await write(crew, team=crew.billing, phone="+821099998888")).ticket
    after = await database_sync_to_async(live.newest_id)()
    for one, team in ((ticket, crew.billing), (other, crew.billing)):
        await database_sync_to_async(actions.assign)(
            one, assignee=crew.outsider, team=team, by=by_agent(crew.manager), now=timezone.now()
        )
    async with screen(crew.agent, after=after) as mina:
        assert mina.hello["gone"] == [ticket.pk]


async def test_the_heartbeat_carries_the_fingerprint_of_what_this_person_may_see(crew, monkeypatch):
    monkeypatch.setattr(live, "BEAT", 0.2)
    await write(crew)
    await write(crew, team=crew.billing, phone="+821099998888")
    async with screen(crew.agent) as mina, screen(crew.manager) as grace:
        mine, all_ = await mina.until("beat"), await grace.until("beat")

        def seen(**facts):
            return list(
                live.Event.objects.filter(ticket__isnull=False, **facts).order_by("id").values_list("pk", flat=True)
            )

        ours = await database_sync_to_async(seen)(ticket__team=crew.support)
        everything = await database_sync_to_async(seen)()
        assert (mine["hash"], mine["newest"]) == (live.fingerprint(ours), ours[-1])
        assert (all_["hash"], all_["newest"]) == (live.fingerprint(everything), everything[-1])
        assert mine["hash"] != all_["hash"]


async def test_without_redis_the_process_polls_once_for_all_its_sockets(crew, monkeypatch, settings):
    monkeypatch.setattr(live, "POLL", 0.2)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    async with screen(crew.agent) as mina:
        message = await write(crew, "While Redis is away")
        frame = await mina.until("event", kind="message_received", message=message.pk)
        assert "While Redis is away" in frame["html"]["items"][0]
        assert not live.hub().connected


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "changed"}])
async def test_a_socket_is_closed_when_its_person_may_no_longer_be_here(crew, monkeypatch, change):
    monkeypatch.setattr(live, "BEAT", 0.2)
    async with screen(crew.agent) as mina:
        await mina.until("beat")
        await database_sync_to_async(lambda: Agent.objects.filter(pk=crew.agent.pk).update(**change))()
        assert (await mina.until("closed"))["code"] == 4401


async def test_a_socket_is_closed_when_its_session_ends(crew, monkeypatch):
    monkeypatch.setattr(live, "BEAT", 0.2)
    async with screen(crew.agent) as mina:
        await mina.until("beat")
        await database_sync_to_async(mina.scope["session"].delete)()
        await mina.until("closed")


async def test_signing_out_closes_the_sockets_of_that_session_at_once(crew):
    async with screen(crew.agent) as mina, screen(crew.agent) as other:
        await subscribed()
        request = HttpRequest()
        request.session, request.user = mina.scope["session"], crew.agent
        await database_sync_to_async(logout)(request)
        assert (await mina.until("closed"))["code"] == 4401
        assert await other.receive_nothing(timeout=0.2)


async def test_changed_rights_say_resync(crew, monkeypatch):
    monkeypatch.setattr(live, "BEAT", 0.2)
    async with screen(crew.outsider) as omar:
        await omar.until("beat")
        await database_sync_to_async(crew.outsider.memberships.create)(team=crew.support)
        await omar.until("resync")


async def test_nobody_in_particular_gets_no_socket(transactional_db):
    wire = Wire(AgentSocket.as_asgi(), user=None)
    assert await wire.open() == 4401


async def test_errors_are_fixed_codes_and_nothing_else(crew):
    async with screen(crew.agent) as mina:
        foreign = (await write(crew, team=crew.billing)).ticket
        for said, code in (
            ("not json", "bad_json"),
            ("[]", "bad_json"),
            (json.dumps({"type": "drop table"}), "unknown_type"),
            (json.dumps({"type": "view", "ticket": foreign.pk}), "not_found"),
            (json.dumps({"type": "view", "ticket": 10**15}), "not_found"),
        ):
            await mina.say(said)
            assert await mina.until("error") == {"type": "error", "code": code}


async def test_too_large_a_frame_ends_the_conversation(crew):
    async with screen(crew.agent) as mina:
        await mina.say("x" * 5000)
        await mina.until("closed")


async def test_who_is_on_a_ticket_is_told_to_those_who_see_it(crew):
    ticket = (await write(crew)).ticket
    async with screen(crew.agent) as mina, screen(crew.teammate) as theo, screen(crew.outsider) as omar:
        await subscribed()
        await mina.say({"type": "view", "ticket": ticket.pk, "doing": "replying"})
        said = await theo.until("whisper", topic="presence")
        assert [(one["name"], one["doing"]) for one in said["payload"]["people"]] == [("Mina", "replying")]
        await mina.say({"type": "view", "ticket": None})
        while (await theo.until("whisper", topic="presence"))["payload"]["people"]:
            pass
        assert await omar.receive_nothing(timeout=0.2)


async def test_a_tab_is_seen_until_it_is_hidden_or_gone(crew):
    async def looks(wire: Wire, frame: dict) -> bool:
        await wire.say(frame)
        await wire.say({"type": "nothing"})
        await wire.until("error")  # by now the frame before it is worked off
        return await sync_to_async(presence.looks)(crew.agent.pk, now=timezone.now())

    visible, hidden = ({"type": "view", "ticket": None, "hidden": is_hidden} for is_hidden in (False, True))
    async with screen(crew.agent) as mina, screen(crew.agent) as other:
        assert not await looks(mina, hidden)
        assert await looks(mina, visible) and await looks(other, visible)
        assert await looks(mina, hidden), "the other one is still seen"
        assert not await looks(other, hidden)
        assert await looks(mina, visible)
    assert not await sync_to_async(presence.looks)(crew.agent.pk, now=timezone.now())


async def test_read_marks_are_whispered_to_ones_own_screens_only(crew):
    ticket = (await write(crew)).ticket
    async with screen(crew.agent) as mina, screen(crew.teammate) as theo:
        await subscribed()
        await sync_to_async(live.whisper)("read", {"agent": crew.agent.pk, "ticket": ticket.pk, "message": 1})
        assert (await mina.until("whisper", topic="read"))["payload"]["message"] == 1
        assert await theo.receive_nothing(timeout=0.2)


async def test_who_is_told_that_there_is_news_learns_of_nobody_else(crew):
    async with screen(crew.agent) as mina, screen(crew.teammate) as theo, screen(crew.outsider) as omar:
        await subscribed()
        await sync_to_async(live.whisper)("notified", {"agents": [crew.agent.pk, crew.teammate.pk]})
        for told in (mina, theo):
            assert (await told.until("whisper", topic="notified"))["payload"] == {}
        assert await omar.receive_nothing(timeout=0.2)


async def test_what_was_missed_comes_with_the_hello(crew):
    ticket = (await write(crew, at=timezone.now() - timedelta(minutes=5))).ticket
    after = await database_sync_to_async(live.newest_id)()
    message = await write(crew, "Missed")
    async with screen(crew.agent, after=after, ticket=ticket.pk) as mina:
        items = [item for event in mina.hello["events"] for item in event["html"].get("items", [])]
        assert any(f'id="message-{message.pk}"' in item for item in items)
        assert mina.hello["newest"] > after
