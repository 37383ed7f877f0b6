"""The pieces of HTML that are rendered once: kept by all that they show, so that nothing shown can be old."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import translation

from tests.workspace import scene
from tickets import actions, fragments
from tickets.models import Event, Message, SlaClock, Tag, Ticket
from tickets.models.event import by_agent

FRAGMENT = {"HTTP_HX_REQUEST": "true"}
PLAIN = (str, int, bool, datetime, type(None))


def plain(facts):
    """Whether nothing but values is among them: what a model or a lazy text shows could change under the same name."""
    if isinstance(facts, dict):
        return all(type(key) is str and plain(value) for key, value in facts.items())
    if isinstance(facts, list | tuple):
        return all(map(plain, facts))
    return isinstance(facts, PLAIN)


def busy(cast, now):
    """A ticket with all that a row, a bubble and a line can show."""
    ticket = scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "Where is it?", at=now).ticket
    Ticket.objects.filter(pk=ticket.pk).update(team=cast.support)
    ticket.refresh_from_db()
    actions.assign(ticket, assignee=cast.agent, team=cast.support, by=by_agent(cast.agent), now=now)
    ticket.tags.add(Tag.objects.create(name="billing", hue=3), Tag.objects.create(name="vip", hue=1))
    scene.answers(ticket, cast.agent, "On its **way**", at=now + timedelta(seconds=5))
    scene.notes(ticket, cast.agent, "Ask the courier", at=now + timedelta(seconds=6))
    SlaClock.objects.create(
        ticket=ticket, metric="next_reply", seconds=3600, started_at=now, due_at=now + timedelta(hours=1), cycle=9
    )
    return Ticket.objects.for_rows().get(pk=ticket.pk)


def test_facts_are_plain_values(cast, now):
    ticket = busy(cast, now)
    assert plain(fragments.rows([ticket]))
    messages = list(Message.objects.for_bubbles().filter(ticket=ticket))
    assert len(messages) == 3
    assert all(plain(fragments.bubble_facts(message)) for message in messages)
    events = list(Event.objects.filter(ticket=ticket))
    assert all(plain(fragments.line_facts(event, fragments.names_of(events))) for event in events)
    assert not plain({"assignee": cast.agent})


def test_a_row_is_rendered_once_for_everybody_and_anew_when_anything_on_it_changes(cast, mina, sign_in, now):
    ticket = busy(cast, now)
    fragments._rendered.cache_clear()
    first = mina.get("/", **FRAGMENT).content.decode()
    made = fragments._rendered.cache_info().misses
    assert sign_in(cast.teammate).get("/", **FRAGMENT).content.decode() == first
    assert fragments._rendered.cache_info().misses == made == 1
    cast.agent.name = "Mina Kang"
    cast.agent.save()
    Tag.objects.filter(name="billing").update(name="invoices")
    ticket.customer.name = "Jiwoo Han"
    ticket.customer.save()
    anew = mina.get("/", **FRAGMENT).content.decode()
    for words in ("Mina Kang", "invoices", "Jiwoo Han"):
        assert words in anew and words not in first


def test_each_language_has_its_own(cast, now):
    ticket = busy(cast, now)
    with translation.override("ko"):
        korean = fragments.row(ticket)
    with translation.override("en"):
        english = fragments.row(ticket)
        assert fragments.row(ticket) == english
    assert "Next reply" in english and "Next reply" not in korean


def test_what_is_long_is_not_kept(cast, now):
    message = scene.says(cast.sms, scene.sender("Jiwoo", phone="+821011112222"), "word " * fragments.LONGEST, at=now)
    loaded = Message.objects.for_bubbles().get(pk=message.pk)
    fragments._rendered.cache_clear()
    assert fragments.bubble(loaded) == fragments.bubble(loaded)
    assert fragments._rendered.cache_info().currsize == 0
