"""`q=` on the list of tickets: the grammar of the search box, and nothing that the token's agent may not see."""

from __future__ import annotations

import pytest

from tests import cast
from tests.api.test_api import Api, ticket_of
from tickets import actions
from tickets.models import Message
from tickets.models.event import SYSTEM

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> cast.Cast:
    return cast.assemble()


def ids(answer) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [one["id"] for one in answer.json()["data"]]


def test_q_finds_by_words_and_conditions_what_the_agent_may_see(people) -> None:
    api = Api(people.agent)
    first, second, foreign = ticket_of(people, n=1), ticket_of(people, n=2), ticket_of(people, team=people.billing)
    for ticket in (first, foreign):
        Message.objects.filter(ticket=ticket).update(text="환불해 주세요")
    actions.change_tags(second, add=["vip"], by=SYSTEM, now=first.created_at)
    assert ids(api("GET", "tickets/?q=환불은")) == [first.pk]
    assert ids(api("GET", "tickets/?q=tag:vip")) == [second.pk]
    assert ids(api("GET", "tickets/?q=is:open%20-tag:vip&status=open")) == [first.pk]
    assert ids(api("GET", "tickets/?q=assignee:me")) == []
    assert foreign.pk not in ids(api("GET", "tickets/?q=is:open"))


def test_a_query_that_cannot_be_understood_is_refused_with_its_places(people) -> None:
    answer = Api(people.agent)("GET", "tickets/?q=ok%20statsu:open")
    assert answer.status_code in (400, 422)
    assert "3: There is no “statsu:”. Did you mean “status:”?" in answer.content.decode()
