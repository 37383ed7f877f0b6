"""Macros over REST: what the token's agent may use, and no more."""

from __future__ import annotations

import pytest

from tests import cast
from tests.api.test_api import Api, ticket_of
from tickets.models import Macro, MacroFile, Mention

pytestmark = pytest.mark.django_db


def test_the_macros_that_the_agent_may_use_in_pages() -> None:
    people = cast.assemble()
    shared = Macro.objects.create(
        title="Refund",
        owner=people.admin,
        scope="shared",
        text="Hi {{customer.name}}",
        deeds=[{"do": "status", "status": "pending"}],
    )
    MacroFile.objects.create(macro=shared, name="map.pdf", content_type="application/pdf", size=1, sha256="a" * 64)
    own = Macro.objects.create(title="Own", owner=people.agent, text="Hello")
    Macro.objects.create(title="Foreign", owner=people.teammate, text="Hello")
    Macro.objects.create(title="Other team", owner=people.admin, scope="team", team=people.billing, text="Hello")
    api = Api(people.agent, scopes=["read"])
    first = api("GET", "macros/?page[size]=1").json()
    assert [one["id"] for one in first["data"]] == [shared.pk] and first["meta"]["has_more"]
    assert first["data"][0]["deeds"] == [{"do": "status", "status": "pending"}]
    assert first["data"][0]["files"] == ["map.pdf"] and first["data"][0]["text"] == "Hi {{customer.name}}"
    second = api("GET", first["links"]["next"].split("/api/v1/")[1]).json()
    assert [one["id"] for one in second["data"]] == [own.pk] and not second["meta"]["has_more"]


def test_a_note_over_rest_names_people_too() -> None:
    people = cast.assemble()
    ticket = ticket_of(people)
    body = {"kind": "note", "text": "@Theo please"}
    assert Api(people.agent)("POST", f"tickets/{ticket.pk}/messages/", body).status_code == 201
    assert [one.agent for one in Mention.objects.all()] == [people.teammate]
