"""The customer: particulars, addresses, one timeline over all channels, and two who become one and are two again."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from tests import cast as people
from tests.workspace import scene
from tickets import actions, identities
from tickets.models import Brand, Customer, CustomerJoin, Event, Identity, Message, Ticket
from tickets.models.event import SYSTEM, by_agent

pytestmark = pytest.mark.django_db
FRAGMENT = {"HTTP_HX_REQUEST": "true"}
JIWOO = scene.sender("Jiwoo", phone="+821011112222")
OTHER = scene.sender("Kim J.", email="jiwoo@example.org")


@pytest.fixture
def ticket(cast, now, give_to_support):
    return give_to_support(scene.says(cast.sms, JIWOO, "Where is my parcel?", at=now - timedelta(hours=2)).ticket)


@pytest.fixture
def other(cast, now, give_to_support):
    return give_to_support(
        scene.says(cast.email, OTHER, "By mail", at=now - timedelta(hours=1), subject="Parcel").ticket
    )


def toast(response):
    return json.loads(response["HX-Trigger"])["toast"]


def panel(client, ticket):
    return client.get(f"/tickets/{ticket.pk}/customer/").content.decode()


# -- Particulars ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("name", "최지우"), ("language", "ko"), ("time_zone", "Asia/Seoul"), ("tier", "vip"), ("organisation", "Moa"), ("notes", "Rings twice")],
)  # fmt: skip
def test_a_particular_is_saved_at_once_and_only_its_name_is_logged(cast, mina, ticket, name, value):
    address = f"/customers/{ticket.customer_id}/fields/{name}/"
    assert f'action="{address}"' in panel(mina, ticket)
    saved = mina.post(address, {"value": f" {value} "}, **FRAGMENT)
    assert saved.status_code == 200 and value in saved.content.decode()
    assert getattr(Customer.objects.get(pk=ticket.customer_id), name) == value
    event = Event.objects.get(kind="customer_changed")
    assert (event.actor, event.particulars) == (cast.agent, {"fields": [name]})
    mina.post(address, {"value": value}, **FRAGMENT)
    assert Event.objects.filter(kind="customer_changed").count() == 1, "the same again is no change"


@pytest.mark.parametrize(
    ("name", "value"), [("time_zone", "Mars/Base"), ("tier", "gold"), ("name", "x" * 201), ("language", "한국어")]
)
def test_what_cannot_be_is_refused_with_a_sentence_and_the_field_as_it_is(mina, ticket, name, value):
    before = getattr(Customer.objects.get(pk=ticket.customer_id), name)
    refused = mina.post(f"/customers/{ticket.customer_id}/fields/{name}/", {"value": value}, **FRAGMENT)
    assert refused.status_code == 422 and toast(refused)["kind"] == "error" and value not in refused.content.decode()
    assert getattr(Customer.objects.get(pk=ticket.customer_id), name) == before


def test_facts_of_their_own_come_change_and_go(mina, ticket):
    address = f"/customers/{ticket.customer_id}/attributes/"
    for key, value in (("Plan", "Basic"), ("Plan", "Pro"), ("Size", "M"), ("Size", "")):
        assert mina.post(address, {"key": key, "value": value}, **FRAGMENT).status_code == 204
    assert Customer.objects.get(pk=ticket.customer_id).attributes == {"Plan": "Pro"}
    assert 'value="Pro"' in panel(mina, ticket)
    assert mina.post(address, {"key": "  ", "value": "x"}, **FRAGMENT).status_code == 422


def test_an_address_that_was_told_us_is_a_claim_and_its_holder_a_suggestion(cast, mina, ticket, other):
    address = f"/customers/{ticket.customer_id}/addresses/"
    added = mina.post(address, {"kind": "email", "value": " Jiwoo@Example.org "}, **FRAGMENT)
    assert "belong to somebody else" in toast(added)["message"]
    identity = Identity.objects.get(customer=ticket.customer_id, kind="email")
    assert (identity.value, identity.verified, identity.evidence) == ("jiwoo@example.org", False, "agent")
    assert [one.customer for one in identities.suggestions(ticket.customer)] == [other.customer]
    page = panel(mina, ticket)
    assert "entered here" in page and "1 customer may be the same person" in page
    assert (
        "already" in toast(mina.post(address, {"kind": "email", "value": "jiwoo@example.org"}, **FRAGMENT))["message"]
    )
    for kind, value in (("email", "nobody"), ("phone", "12"), ("webchat", "x")):
        assert mina.post(address, {"kind": kind, "value": value}, **FRAGMENT).status_code == 422
    Customer.objects.filter(pk=ticket.customer_id).update(language="ko")
    mina.post(address, {"kind": "phone", "value": "010-9999-8888"}, **FRAGMENT)
    assert Identity.objects.filter(customer=ticket.customer_id, value="+821099998888").exists()


def test_a_blocked_customer_is_unblocked_by_the_toast(mina, ticket):
    address = f"/customers/{ticket.customer_id}/block/"
    blocked = mina.post(address, **FRAGMENT)
    assert Customer.objects.get(pk=ticket.customer_id).blocked
    assert "Blocked" in panel(mina, ticket)
    mina.post(toast(blocked)["undo"], **FRAGMENT)
    assert not Customer.objects.get(pk=ticket.customer_id).blocked
    mina.post(address, **FRAGMENT)
    mina.delete(address, **FRAGMENT)
    assert not Customer.objects.get(pk=ticket.customer_id).blocked


# -- Rights -----------------------------------------------------------------------------------------------------------


def test_nobody_changes_or_joins_whom_they_do_not_see(cast, sign_in, ticket, other):
    Ticket.objects.filter(pk=other.pk).update(team=cast.billing)
    me, them = f"/customers/{ticket.customer_id}/", f"/customers/{other.customer_id}/"
    mina = sign_in(cast.agent)
    for path in (
        them,
        f"{them}timeline/",
        f"{them}joins/",
        f"{me}comparison/{other.customer_id}/",
        f"/tickets/{other.pk}/peek/",
    ):
        assert mina.get(path, **FRAGMENT).status_code == 404, path
    for path, fields in (
        (f"{them}fields/name/", {"value": "x"}), (f"{them}block/", {}), (f"{them}addresses/", {"kind": "email", "value": "a@b.example"}),
        (f"{me}joins/", {"other": other.customer_id}), (f"{them}joins/", {"other": ticket.customer_id}),
    ):  # fmt: skip
        assert mina.post(path, fields, **FRAGMENT).status_code == 404, path
    assert not CustomerJoin.objects.exists()
    # A suggestion or a search tells nothing of them either.
    Identity.objects.create(customer=ticket.customer, kind="email", value="jiwoo@example.org")
    assert "Kim J." not in mina.get(f"{me}joins/").content.decode()
    assert "Kim J." not in mina.get(f"{me}joins/?q=Kim").content.decode()
    assert "may be the same" not in panel(mina, ticket)


def test_light_agents_read_and_change_nothing(cast, sign_in, ticket, other):
    Agent.objects.filter(pk=cast.agent.pk).update(role=Agent.Role.LIGHT)
    mina, me = sign_in(cast.agent), f"/customers/{ticket.customer_id}/"
    page = panel(mina, ticket)
    assert "Jiwoo" in page and "/fields/" not in page and "/block/" not in page and "/joins/" not in page
    assert "/fields/" not in mina.get(me).content.decode()
    journal = identities.join(
        ticket.customer, other.customer, by=SYSTEM, reason="agent", evidence={}, now=ticket.created_at
    )
    for path in (f"{me}fields/name/", f"{me}block/", f"{me}addresses/", f"{me}joins/", f"{me}joins/{journal.pk}/undo/"):
        assert mina.post(path, {"value": "x", "other": "1"}, **FRAGMENT).status_code == 403, path


# -- Joining ----------------------------------------------------------------------------------------------------------


def test_two_customers_are_found_compared_joined_and_two_again(cast, mina, ticket, other):
    """The whole way of an agent: suggestion with its evidence, both side by side, join, undo from the toast."""
    me = f"/customers/{ticket.customer_id}/"
    Identity.objects.create(customer=ticket.customer, kind="email", value="jiwoo@example.org", evidence="pre-chat")
    Customer.objects.filter(pk=other.customer_id).update(notes="Rings twice")
    dialog = mina.get(f"{me}joins/").content.decode()
    assert "Kim J." in dialog and "same address, verified there: jiwoo@example.org" in dialog
    comparison = mina.get(f"{me}comparison/{other.customer_id}/").content.decode()
    for told in (
        "Jiwoo",
        "Kim J.",
        "+821011112222 ✓",
        "jiwoo@example.org ✓",
        "Rings twice",
        "stays",
        "is joined into it",
    ):
        assert told in comparison, told
    before = sorted(Identity.objects.values_list("pk", "customer", "verified"))
    joined = mina.post(f"{me}joins/", {"other": other.customer_id}, **FRAGMENT)
    assert joined.status_code == 204
    journal = CustomerJoin.objects.get()
    assert (journal.survivor, journal.by, journal.reason) == (ticket.customer, cast.agent, "agent")
    assert journal.evidence["evidence"] == "test"
    other.refresh_from_db()
    assert other.customer == ticket.customer
    page = panel(mina, ticket)
    assert "Joined customers" in page and "By mail" in page
    assert mina.get(f"/customers/{journal.joined_id}/")["Location"] == me
    undone = mina.post(toast(joined)["undo"], **FRAGMENT)
    assert undone.status_code == 204
    assert sorted(Identity.objects.values_list("pk", "customer", "verified")) == before
    other.refresh_from_db()
    assert other.customer_id == journal.joined_id
    assert "Joined customers" not in panel(mina, ticket)


def test_an_undo_under_a_later_join_says_what_to_do_first(cast, mina, ticket, other, now, give_to_support):
    third = give_to_support(scene.says(cast.sms, scene.sender("Third", phone="+821055556666"), "Hi", at=now).ticket)
    mina.post(f"/customers/{ticket.customer_id}/joins/", {"other": other.customer_id}, **FRAGMENT)
    first = CustomerJoin.objects.get()
    identities.join(third.customer, ticket.customer, by=by_agent(cast.agent), reason="agent", evidence={}, now=now)
    # From a panel that was open before: the customer is seen no more, because their tickets went on.
    assert mina.post(f"/customers/{first.survivor_id}/joins/{first.pk}/undo/", **FRAGMENT).status_code == 404
    assert (
        sign_in_manager(cast).post(f"/customers/{first.survivor_id}/joins/{first.pk}/undo/", **FRAGMENT).status_code
        == 422
    )
    again = mina.post(f"/customers/{third.customer_id}/joins/", {"other": third.customer_id}, **FRAGMENT)
    assert again.status_code == 422, "nobody is joined into themselves"


def sign_in_manager(cast) -> Client:
    client = Client()
    client.force_login(cast.manager, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.mark.parametrize("query", ["Kim", "kim j", "iwoo@exam", "jiwoo@example.org"])
def test_somebody_else_is_found_by_a_part_of_name_or_address(mina, ticket, other, query):
    found = mina.get(
        f"/customers/{ticket.customer_id}/joins/", {"q": query}, HTTP_HX_TARGET="joining-found"
    ).content.decode()
    assert "Kim J." in found and "jiwoo@example.org" in found and "<form" not in found
    assert "Jiwoo<" not in found, "oneself is not another"


@pytest.mark.parametrize("query", ["010-1111-2222", "+82 10 1111 2222", "11112222"])
def test_somebody_is_found_by_their_number_as_people_write_it(mina, ticket, other, query):
    found = mina.get(f"/customers/{other.customer_id}/joins/", {"q": query}).content.decode()
    assert "Jiwoo" in found
    assert "Nobody was found" in mina.get(f"/customers/{other.customer_id}/joins/", {"q": "99999999"}).content.decode()


# -- One timeline -----------------------------------------------------------------------------------------------------


def test_one_timeline_holds_what_was_said_on_every_channel_and_what_happened(cast, mina, ticket, other, now):
    identities.join(ticket.customer, other.customer, by=by_agent(cast.agent), reason="agent", evidence={}, now=now)
    scene.answers(ticket, cast.agent, "It is on its way", at=now)
    scene.notes(ticket, cast.agent, "Only for us", at=now)
    actions.solve(ticket, by=by_agent(cast.agent), now=now)
    page = mina.get(f"/customers/{ticket.customer_id}/").content.decode()
    told = [
        "Customers joined",
        "Solved",
        "Mina wrote",
        "It is on its way",
        "Kim J. wrote",
        "By mail",
        "Jiwoo wrote",
        "Where is my parcel?",
    ]
    story = page.split('class="timeline"')[1]
    assert [story.index(words) for words in told if words in story] and all(words in story for words in told), story
    assert story.index("Customers joined") < story.index("By mail") < story.index("Where is my parcel?")
    assert "Only for us" not in story


def test_the_timeline_comes_page_by_page_without_gap_or_double(cast, mina, ticket, now):
    for n in range(45):
        scene.says(cast.sms, JIWOO, f"Word {n:02}", at=now - timedelta(minutes=60 - n))
    seen, address = "", f"/customers/{ticket.customer_id}/timeline/"
    pages = 0
    while address and pages < 5:
        page = mina.get(address, **FRAGMENT).content.decode()
        seen, pages = seen + page, pages + 1
        address = page.split('hx-get="')[1].split('"')[0] if "hx-get=" in page else ""
    assert pages == 2
    assert [seen.count(f"Word {n:02}") for n in range(45)] == [1] * 45
    assert seen.index("Word 44") < seen.index("Word 00") < seen.index("Where is my parcel?")


def test_a_timeline_shows_only_tickets_that_one_sees(cast, mina, ticket, other, now):
    identities.join(ticket.customer, other.customer, by=SYSTEM, reason="agent", evidence={}, now=now)
    Ticket.objects.filter(pk=other.pk).update(team=cast.billing)
    page = mina.get(f"/customers/{ticket.customer_id}/").content.decode()
    assert "Where is my parcel?" in page and "By mail" not in page


def test_panel_and_page_ask_as_many_questions_for_many_tickets_as_for_few(cast, mina, ticket, now, give_to_support):
    def count():
        found = {}
        for path in (f"/tickets/{ticket.pk}/customer/", f"/customers/{ticket.customer_id}/"):
            with CaptureQueriesContext(connection) as seen:
                assert mina.get(path).status_code == 200
            found[path] = len(seen)
        return found

    brand = Brand.objects.get()

    def grow(n):
        for i in range(n):
            made = give_to_support(
                scene.says(cast.webchat, scene.sender(f"V{i}", visitor=f"{now}{n}{i}"), "Hi", at=now).ticket
            )
            Ticket.objects.filter(pk=made.pk).update(customer=ticket.customer, brand=brand)
            scene.says(cast.sms, JIWOO, "More", at=now)

    count()
    grow(2)
    few = count()
    grow(8)
    assert count() == few


def test_a_look_in_passing_shows_the_last_words_and_reads_nothing(cast, mina, ticket, now):
    scene.answers(ticket, cast.agent, "It is on its way", at=now)
    scene.notes(ticket, cast.agent, "Only for us", at=now)
    peek = mina.get(f"/tickets/{ticket.pk}/peek/").content.decode()
    assert "Where is my parcel?" in peek and "It is on its way" in peek and "Only for us" not in peek
    marks = json.loads(mina.get(f"/marks/?ids={ticket.pk}").content)["marks"]
    assert marks[str(ticket.pk)].get("read", 0) < Message.objects.get(text="It is on its way").pk or "read" not in marks


def test_the_list_of_customers_is_searched_and_goes_back_page_by_page(
    cast, mina, ticket, other, now, give_to_support, monkeypatch
):
    for n in range(4):
        give_to_support(scene.says(cast.sms, scene.sender("", phone=f"+8210400000{n:02}"), "Hi", at=now).ticket)
    hidden = scene.says(cast.sms, scene.sender("Hidden", phone="+821040000099"), "Hi", at=now).ticket
    Ticket.objects.filter(pk=hidden.pk).update(team=cast.billing)
    monkeypatch.setattr("tickets.workspace.views.customers.LISTED", 4)
    first = mina.get("/customers/").content.decode()
    assert "+821040000003" in first and "Hidden" not in first and "Jiwoo" not in first
    older = first.split('href="?before=')[1].split('"')[0]
    assert "Jiwoo" in mina.get(f"/customers/?before={older}").content.decode()
    found = mina.get("/customers/?q=kim", HTTP_HX_TARGET="customer-list", **FRAGMENT).content.decode()
    assert "Kim J." in found and "Jiwoo" not in found and "<html" not in found
    assert "Nobody was found" in mina.get("/customers/?q=hidden").content.decode()


# -- Sections ---------------------------------------------------------------------------------------------------------


def test_sections_keep_their_order_and_what_is_folded(cast, mina, ticket):
    def order():
        page = panel(mina, ticket)
        return [part.split('"')[0] for part in page.split('data-section="')[1:]]

    assert order()[:3] == ["identities", "tickets", "timeline"]
    assert mina.post("/me/sections/", {"name": "timeline", "move": "up"}).status_code == 200
    assert order()[:3] == ["identities", "timeline", "tickets"]
    mina.post("/me/sections/", {"name": "links", "move": "up"})
    for name, move in (("nothing", "up"), ("notes", "sideways")):
        assert mina.post("/me/sections/", {"name": name, "move": move}).status_code == 422
    mina.post("/me/panes/", {"closed": "notes,identities"})
    page = panel(mina, ticket)
    for name, is_open in (("notes", False), ("identities", False), ("timeline", True)):
        assert (" open " in page.split(f'data-section="{name}"')[0].rsplit("<details", 1)[1]) is is_open, name
    assert order()[:3] == ["identities", "timeline", "tickets"], "folding keeps the order"


def test_local_time_of_the_customer_is_shown(mina, ticket):
    Customer.objects.filter(pk=ticket.customer_id).update(time_zone="Asia/Seoul")
    assert people.PASSWORD and 'class="customer__line"' in panel(mina, ticket)
    assert "Asia/Seoul" in mina.get("/time-zones/").content.decode()
