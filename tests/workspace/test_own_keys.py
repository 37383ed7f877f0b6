"""Keys of one's own: what may be chosen, what is refused, and that the choice is the same on every device."""

import json
import re

import pytest

from agents.models import Agent
from tickets.workspace import keymap


def key_map_of(client, path="/settings/profile/"):
    found = re.search(
        r'<script id="key-map" type="application/json"[^>]*>(.*?)</script>', client.get(path).content.decode()
    )
    return json.loads(found[1])


@pytest.mark.parametrize(
    "typed, keys",
    [("q", ["Q"]), ("shift+q", ["Shift+Q"]), ("Ctrl+J", ["Mod+J"]), ("⌘+j", ["Mod+J"]), ("g x", ["G X"]), ("q, Shift+Q", ["Q", "Shift+Q"]),
     ("", []), (";", [";"]), ("q,q", ["Q"]), ("w ,, q", ["W ,", "Q"])],
)  # fmt: skip
def test_what_is_typed_becomes_keys(typed, keys):
    assert keymap.read_keys({"ticket.reply": typed}) == ({"ticket.reply": keys}, {})


@pytest.mark.parametrize(
    "typed, problem",
    [("alt+r", "no key"), ("ㄱ", "no key"), ("F5", "no key"), ("mod+w", "belongs to the browser"), ("g x y", "two one after"), ("mod+g x", "plain ones"),
     ("shift+1", "the sign itself"), ("N", "taken by “Internal note”"), ("g", "is taken by"), ("e x", "taken by"), ("w,q,y,;", "At most three")],
)  # fmt: skip
def test_what_cannot_be_had_is_told(typed, problem):
    _own, problems = keymap.read_keys({"ticket.reply": typed})
    assert problem in problems["ticket.reply"]


def test_only_differences_are_kept_and_two_may_swap():
    usual = {command.id: ", ".join(command.keys) for command in keymap.COMMANDS}
    assert keymap.read_keys(usual) == ({}, {})
    swapped = usual | {"ticket.reply": "N", "ticket.note": "R"}
    assert keymap.read_keys(swapped) == ({"ticket.reply": ["N"], "ticket.note": ["R"]}, {})


def test_a_command_that_a_later_version_does_not_know_is_left_out():
    assert [c.id for c in keymap.commands_for({"old.command": ["Q"], "composer.send": ["Q"]})] == [
        c.id for c in keymap.COMMANDS
    ]
    assert {c.id: c.keys for c in keymap.commands_for({"composer.send": ["Q"]})}["composer.send"] == ("Mod+Enter",)


def test_a_choice_is_kept_on_the_server_and_taken_back(mina, cast):
    usual = {command.id: ", ".join(command.keys) for command in keymap.COMMANDS if keymap.can_change(command)}
    assert mina.post("/settings/keys/", usual | {"ticket.reply": "Q"}).status_code == 302
    assert Agent.objects.get(pk=cast.agent.pk).own_keys == {"ticket.reply": ["Q"]}
    assert {c["id"]: c["keys"] for c in key_map_of(mina)["commands"]}["ticket.reply"] == ["Q"]
    assert "usually R" in mina.get("/settings/keys/").content.decode()
    refused = mina.post("/settings/keys/", usual | {"ticket.reply": "E"})
    assert refused.status_code == 422 and "taken by “Solve and open the next”" in refused.content.decode()
    assert Agent.objects.get(pk=cast.agent.pk).own_keys == {"ticket.reply": ["Q"]}
    mina.post("/settings/keys/", {"usual": "1"})
    assert Agent.objects.get(pk=cast.agent.pk).own_keys == {}


def test_the_palette_knows_the_settings_that_one_may_enter_in_both_languages(mina, cast, sign_in):
    assert [place["url"] for place in key_map_of(mina)["places"]] == [
        place.url for place in keymap.PLACES if not place.admins
    ]
    admin = sign_in(cast.admin)
    places = key_map_of(admin)["places"]
    assert len(places) == len(keymap.PLACES) and {p["url"]: p for p in places}["/settings/teams/"]["also"] == ["팀"]
    for place in keymap.PLACES:
        assert admin.get(place.url).status_code == 200


def test_an_admin_of_some_brands_is_led_nowhere_they_may_not_enter(cast, sign_in):
    admin = sign_in(cast.admin)
    Agent.objects.filter(pk=cast.admin.pk).update(brand_ids=[cast.brand.pk])
    offered = {place["url"] for place in key_map_of(admin)["places"]}
    assert "/settings/teams/" in offered
    for place in keymap.PLACES:
        assert (admin.get(place.url).status_code == 200) == (place.url in offered), place.url
