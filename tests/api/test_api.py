"""The REST contract: tokens, pages, errors, idempotency, and that nobody sees what is not theirs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from tests import cast
from tests.cast import Cast
from tickets.api import tokens
from tickets.models import Event, IdempotencyKey, Message, Promise, Route, Ticket
from tickets.models.ticket import next_number

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


class Api:
    def __init__(self, agent: Any, scopes: list[str] | None = None) -> None:
        self.token, self.text = tokens.create(agent, name="test", scopes=scopes or ["read", "write"])
        self.client = Client()

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.generic(
            method,
            f"/api/v1/{path}",
            data=__import__("json").dumps(body) if body is not None else b"",
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.text}", **headers},
        )


def ticket_of(people: Cast, *, team: Any = None, n: int = 0) -> Ticket:
    customer = cast.make_customer(now=NOW, phone=f"+8210{next_number():08d}")
    ticket = Ticket.objects.create(
        number=next_number(), brand=people.brand, customer=customer, team=team or people.support, status="open",
        first_channel=people.sms, last_channel=people.sms, updated_at=NOW + timedelta(minutes=n), created_at=NOW, last_seq=1,
    )  # fmt: skip
    route = Route.objects.create(ticket=ticket, channel=people.sms, identity=customer.identities.get())
    Message.objects.create(
        ticket=ticket, seq=1, direction="in", author_type="customer", customer=customer, text="안녕하세요", route=route,
        channel=people.sms, created_at=NOW,
    )  # fmt: skip
    return ticket


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic abc", "Bearer a b"])
def test_without_a_good_token_there_is_nothing(people: Cast, header: str) -> None:
    answer = Client().get("/api/v1/tickets/", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"] == "Bearer"


def test_a_revoked_or_ended_token_and_a_switched_off_agent_are_out(people: Cast) -> None:
    api = Api(people.agent)
    assert api("GET", "tickets/").status_code == 200
    for change in ({"revoked_at": timezone.now()}, {"revoked_at": None, "expires_at": timezone.now()}):
        type(api.token).objects.filter(pk=api.token.pk).update(**change)
        assert api("GET", "tickets/").status_code == 401
    type(api.token).objects.filter(pk=api.token.pk).update(expires_at=None)
    people.agent.is_active = False
    people.agent.save()
    assert api("GET", "tickets/").status_code == 401


def test_the_token_itself_is_not_kept(people: Cast) -> None:
    api = Api(people.agent)
    api.token.refresh_from_db()
    assert api.text not in str(vars(api.token))


def test_only_what_the_agent_may_see_is_listed_and_a_foreign_one_is_not_found(people: Cast) -> None:
    own, foreign = ticket_of(people), ticket_of(people, team=people.billing)
    api = Api(people.agent)
    assert [row["id"] for row in api("GET", "tickets/").json()["data"]] == [own.pk]
    for path in (
        f"tickets/{foreign.pk}/",
        f"tickets/{foreign.pk}/messages/",
        f"customers/{foreign.customer_id}/timeline/",
    ):
        assert api("GET", path).status_code == 404, path
    assert api("PATCH", f"tickets/{foreign.pk}/", {"status": "solved"}).status_code == 404
    assert api("POST", f"tickets/{foreign.pk}/messages/", {"kind": "note", "text": "x"}).status_code == 404


def test_pages_follow_their_links_to_the_end_without_a_gap_or_a_double(people: Cast) -> None:
    wanted = [ticket_of(people, n=n // 2).pk for n in range(7)]
    api, seen, path = Api(people.agent), [], "tickets/?page[size]=3"
    for _page in range(3):
        body = api("GET", path).json()
        seen += [row["id"] for row in body["data"]]
        if not body["meta"]["has_more"]:
            break
        path = body["links"]["next"].split("/api/v1/")[1]
    assert sorted(seen) == sorted(wanted)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    "query", ["page[size]=0", "page[size]=101", "page[size]=²", "page[after]=garbage", "status=odd", "assignee=x"]
)
def test_a_bad_question_gets_a_problem_with_a_pointer(people: Cast, query: str) -> None:
    answer = Api(people.agent)("GET", f"tickets/?{query}")
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:helpdesk:invalid"
    assert answer.json()["errors"][0]["pointer"].startswith("/")


def test_the_number_of_queries_does_not_depend_on_the_rows(people: Cast, django_assert_num_queries: Any) -> None:
    api = Api(people.agent)
    for _ in range(5):
        ticket_of(people)
    api("GET", "tickets/")
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as few:
        api("GET", "tickets/")
    for _ in range(45):
        ticket_of(people)
    with CaptureQueriesContext(connection) as many:
        assert len(api("GET", "tickets/").json()["data"]) == 50
    assert len(few) == len(many)


def test_a_change_is_an_event_by_the_token_and_an_old_version_is_refused(people: Cast) -> None:
    ticket, api = ticket_of(people), Api(people.agent)
    version = api("GET", f"tickets/{ticket.pk}/")["ETag"]
    change = {"priority": "urgent", "add_tags": ["VIP"], "status": "pending", "assignee": people.agent.pk}
    answer = api("PATCH", f"tickets/{ticket.pk}/", change, **{"If-Match": version})
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["priority"], body["tags"], body["status"], body["assignee"]["name"]) == (
        "urgent",
        ["vip"],
        "pending",
        "Mina",
    )
    kinds = set(Event.objects.filter(ticket=ticket, actor_type="api").values_list("kind", flat=True))
    assert kinds == {"priority_changed", "tags_changed", "assigned", "status_changed"}
    assert api("PATCH", f"tickets/{ticket.pk}/", {"priority": "low"}, **{"If-Match": version}).status_code == 412


@pytest.mark.parametrize(
    "change",
    [{"csat": 5}, {"number": 1}, {"status": "closed"}, {"status": "new"}, {"priority": 4}, {"assignee": 10**9}],
)
def test_what_is_not_offered_cannot_be_set(people: Cast, change: dict[str, Any]) -> None:
    ticket = ticket_of(people)
    before = Ticket.objects.values().get(pk=ticket.pk)
    assert Api(people.agent)("PATCH", f"tickets/{ticket.pk}/", change).status_code == 400
    assert Ticket.objects.values().get(pk=ticket.pk) == before


def test_a_ticket_goes_to_nobody_who_is_switched_off(people: Cast) -> None:
    ticket, change = ticket_of(people), {"assignee": people.teammate.pk}
    Agent.objects.filter(pk=people.teammate.pk).update(is_active=False)
    assert Api(people.agent)("PATCH", f"tickets/{ticket.pk}/", change).status_code == 400
    Agent.objects.filter(pk=people.teammate.pk).update(is_active=True)
    assert Api(people.agent)("PATCH", f"tickets/{ticket.pk}/", change).status_code == 200


def test_a_reply_is_written_once_for_one_key(people: Cast) -> None:
    ticket, api = ticket_of(people), Api(people.agent)
    path, body = f"tickets/{ticket.pk}/messages/", {"kind": "reply", "text": "네, 도와드릴게요"}
    first = api("POST", path, body, **{"Idempotency-Key": "k1"})
    again = api("POST", path, body, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 201), first.content
    assert first.json()["id"] == again.json()["id"]
    assert again["Idempotent-Replayed"] == "true"
    assert first.json()["state"] == "queued"
    assert Message.objects.filter(ticket=ticket, direction="out").count() == 1
    other = api("POST", path, {**body, "text": "다른 말"}, **{"Idempotency-Key": "k1"})
    assert other.status_code == 409


def test_a_key_whose_request_died_gives_the_same_message_on_the_next_try(people: Cast) -> None:
    ticket, api = ticket_of(people), Api(people.agent)
    path, body = f"tickets/{ticket.pk}/messages/", {"kind": "reply", "text": "hello"}
    api("POST", path, body, **{"Idempotency-Key": "k2"})
    IdempotencyKey.objects.update(status=None, response=None, created_at=timezone.now() - timedelta(minutes=5))
    assert api("POST", path, body, **{"Idempotency-Key": "k2"}).status_code == 201
    assert Message.objects.filter(ticket=ticket, direction="out").count() == 1


def test_a_stale_reply_answers_409_with_what_is_newer(people: Cast) -> None:
    ticket, api = ticket_of(people), Api(people.agent)
    seen = Message.objects.get(ticket=ticket).pk
    newer = Message.objects.create(
        ticket=ticket, seq=2, direction="in", author_type="customer", text="wait", channel=people.sms, created_at=NOW
    )
    Ticket.objects.filter(pk=ticket.pk).update(last_seq=2)
    answer = api(
        "POST", f"tickets/{ticket.pk}/messages/", {"kind": "reply", "text": "late", "last_seen_message_id": seen}
    )
    assert (answer.status_code, answer.json()["newer"]) == (409, [newer.pk])


def test_reading_alone_does_not_write(people: Cast) -> None:
    ticket, api = ticket_of(people), Api(people.agent, ["read"])
    assert api("GET", f"tickets/{ticket.pk}/messages/").status_code == 200
    assert api("POST", f"tickets/{ticket.pk}/messages/", {"kind": "note", "text": "x"}).status_code == 403
    assert api("PATCH", f"tickets/{ticket.pk}/", {"status": "solved"}).status_code == 403


def test_a_promise_is_made_and_listed_and_a_bad_one_is_refused(people: Cast) -> None:
    ticket, api = ticket_of(people), Api(people.agent)
    path, due_at = f"tickets/{ticket.pk}/promises/", (timezone.now() + timedelta(days=1)).isoformat()
    made = api("POST", path, {"text": "Call back", "due_at": due_at})
    assert (made.status_code, made.json()["state"], made.json()["owner"]["name"]) == (201, "open", "Mina"), made.content
    assert [one["id"] for one in api("GET", path).json()["data"]] == [made.json()["id"]]
    event = Event.objects.get(kind="promise_made")
    assert (event.actor_type, event.actor) == ("api", people.agent)
    for wrong, status in (
        ({"due_at": NOW.isoformat()}, 422),
        ({"owner": people.outsider.pk}, 422),
        ({"owner": 0}, 400),
        ({"text": ""}, 400),
        ({"keeper": 1}, 400),
    ):
        assert api("POST", path, {"text": "Call back", "due_at": due_at} | wrong).status_code == status, wrong
    assert Api(people.outsider)("GET", path).status_code == 404
    assert Api(people.agent, ["read"])("POST", path, {"text": "x", "due_at": due_at}).status_code == 403


def test_a_promise_is_made_once_for_one_key(people: Cast) -> None:
    ticket, api = ticket_of(people), Api(people.agent)
    path, body = (
        f"tickets/{ticket.pk}/promises/",
        {"text": "Call", "due_at": (timezone.now() + timedelta(1)).isoformat()},
    )
    first, again = (api("POST", path, body, **{"Idempotency-Key": "p1"}) for _ in range(2))
    assert (first.status_code, again["Idempotent-Replayed"]) == (201, "true"), first.content
    IdempotencyKey.objects.update(status=None, response=None, created_at=timezone.now() - timedelta(minutes=5))
    died = api("POST", path, body, **{"Idempotency-Key": "p1"})
    assert first.json() == again.json() == died.json()
    assert Promise.objects.count() == 1
    assert api("POST", path, body, **{"Idempotency-Key": "p2"}).json()["id"] != first.json()["id"]


def test_no_secret_of_a_channel_is_ever_shown(people: Cast) -> None:
    body = Api(people.admin)("GET", "channels/").content.decode()
    assert "sms-token-of-the-tests" not in body
    assert "account_sid" not in body


def test_the_timeline_of_a_customer_holds_what_happened(people: Cast) -> None:
    ticket, api = ticket_of(people), Api(people.agent)
    api("PATCH", f"tickets/{ticket.pk}/", {"status": "solved"})
    rows = api("GET", f"customers/{ticket.customer_id}/timeline/").json()["data"]
    assert [row["kind"] for row in rows][:1] == ["solved"]


def test_the_schema_is_complete_and_the_pages_show_every_operation(client: Client) -> None:
    schema = client.get("/api/schema/", headers={"Accept": "application/json"}).json()
    assert schema["openapi"].startswith("3.1")
    page = client.get("/api/docs/").content.decode()
    for path, found in schema["paths"].items():
        assert path in page
        for method, operation in found.items():
            assert operation["operationId"] in page, (path, method)
