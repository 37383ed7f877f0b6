"""After a chat one's own corner says until when nothing new comes, and one press ends it."""

from __future__ import annotations

from django.utils import timezone
from playwright.sync_api import expect

from agents import presence
from agents.models import Agent, Team
from tests.browser.desk import says
from tests.conftest import comes_to
from tests.workspace import scene
from tickets import actions
from tickets.models.event import by_agent


def test_the_corner_follows_a_wrap_up_and_one_press_ends_it(crew, screen):
    Team.objects.filter(pk=crew.support.pk).update(wrap_up_minutes=2)
    presence.set_presence(crew.agent, Agent.Presence.ONLINE, now=timezone.now())
    ticket = says(crew, "Thank you, that was all").ticket
    mina = screen(crew.agent)
    actions.assign(ticket, assignee=crew.agent, team=crew.support, by=by_agent(crew.agent), now=timezone.now())
    actions.solve(ticket, by=by_agent(crew.agent), now=timezone.now())
    says(crew, "Where is my parcel?", who=scene.sender("Ara", phone="+821055550000"))
    corner, dot = mina.locator("#my-presence"), mina.locator("#rail-avatar .avatar__presence")
    expect(corner).to_contain_text("Nothing new until")
    expect(corner).to_contain_text("Wrapping up")
    expect(dot).to_have_attribute("data-state", "wrap_up")
    corner.get_by_role("button", name="I’m ready").press("Enter")
    expect(corner).not_to_contain_text("Nothing new until")
    expect(corner.locator("[popovertarget]")).to_be_focused()
    expect(dot).to_have_attribute("data-state", "online")
    comes_to(lambda: presence.shown(Agent.objects.get(pk=crew.agent.pk), now=timezone.now()), "online")
    mina.keyboard.press("j")
    mina.keyboard.press("Enter")  # is meant for the row: the button that was pressed before does not keep it
    expect(mina.locator("#composer-text")).to_be_visible()
    assert mina.errors == []
