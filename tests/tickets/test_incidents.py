"""A known issue: tickets are linked to it, told the same, answered and solved together."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.cast import Cast, make_brand, make_channel
from tests.plain import come_in, message
from tests.scripted import Stage
from tests.workspace import scene
from tickets import actions, answering, bulk, incidents, signatures, undoing
from tickets.models import (
    AutomaticReply,
    BulkJob,
    BulkRow,
    Channel,
    Event,
    Identity,
    Incident,
    Message,
    Route,
    Ticket,
)
from tickets.models.event import by_agent


@pytest.fixture
def outage(cast: Cast) -> Incident:
    return Incident.objects.create(
        brand=cast.brand, title="Payments fail", text_en="Payments fail; more at noon.", text_ko="결제 오류를 고치는 중이에요.",
        opened_by=cast.manager, opened_at=timezone.now() - timedelta(minutes=5),
    )  # fmt: skip


def ask(channel: Channel, n: int = 1, text: str = "I cannot pay for my order", **fields: Any) -> Ticket:
    (event,) = come_in(channel, message(f"m{n}", text, **{"from": f"+8210000000{n:02d}", **fields}))
    return Message.objects.get(raw_event_id=event.pk).ticket


def link(ticket: Ticket, outage: Incident | None, cast: Cast) -> Event | None:
    return incidents.link(ticket, outage, by=by_agent(cast.agent), now=timezone.now())


def said(ticket: Ticket) -> list[tuple[str, str]]:
    sent = Message.objects.filter(ticket=ticket, direction="out").order_by("id")
    return list(sent.values_list("author_type", "text"))


def settle() -> None:
    answering.drain(seconds=5, now=timezone.now() + timedelta(seconds=30))


def test_a_new_ticket_that_is_linked_is_told_once(line: Channel, cast: Cast, outage: Incident) -> None:
    ticket = ask(line)
    event = link(ticket, outage, cast)
    assert event and event.particulars == {"from": None, "to": outage.pk, "title": outage.title}
    assert link(ticket, outage, cast) is None
    settle()
    link(ticket, None, cast)
    link(ticket, outage, cast)
    settle()
    assert said(ticket) == [("bot", outage.text_en)]
    ticket.refresh_from_db()
    assert (ticket.incident, ticket.status, ticket.first_reply_at) == (outage, "new", None)


@pytest.mark.parametrize("why", ["unlinked", "resolved", "not wanted", "older ticket"])
def test_who_is_not_told(line: Channel, cast: Cast, outage: Incident, why: str) -> None:
    ticket = ask(line)
    if why == "not wanted":
        Incident.objects.update(answers_new=False)
        outage.refresh_from_db()
    if why == "older ticket":
        Ticket.objects.filter(pk=ticket.pk).update(created_at=outage.opened_at - timedelta(hours=1))
    link(ticket, outage, cast)
    if why == "unlinked":
        link(ticket, None, cast)
    if why == "resolved":
        Incident.objects.update(resolved_at=timezone.now())
    settle()
    assert said(ticket) == []
    assert AutomaticReply.objects.exists() == (why in ("unlinked", "resolved"))


def test_only_an_open_incident_of_the_same_brand_takes_tickets(line: Channel, cast: Cast, outage: Incident) -> None:
    other = make_channel("plain", brand=make_brand("other"), slug="other-line")
    stranger, ticket = ask(other, 1), ask(line, 2)
    with pytest.raises(actions.NotAllowed):
        link(stranger, outage, cast)
    outage.resolved_at = timezone.now()
    outage.save()
    with pytest.raises(actions.NotAllowed):
        link(ticket, outage, cast)
    assert not Ticket.objects.filter(incident=outage).exists()


def test_a_link_is_taken_back(line: Channel, cast: Cast, outage: Incident) -> None:
    ticket = ask(line)
    event = link(ticket, outage, cast)
    assert event
    ticket.refresh_from_db()
    undoing.undo(ticket, event, agent=cast.agent, now=timezone.now())
    ticket.refresh_from_db()
    assert ticket.incident is None


def test_many_are_linked_as_one_job(line: Channel, cast: Cast, outage: Incident) -> None:
    tickets = [ask(line, n) for n in (1, 2)]
    value = bulk.value_of("incident", str(outage.pk), agent=cast.manager, now=timezone.now())
    job = bulk.start(cast.manager, "incident", value, [ticket.pk for ticket in tickets])
    bulk.drain(seconds=5, now=timezone.now())
    assert Ticket.objects.filter(incident=outage).count() == 2
    assert "Payments fail" in bulk.sentence_of(job)
    cast.manager.brand_ids = [cast.brand.pk + 1000]
    cast.manager.save()
    with pytest.raises(bulk.Invalid):
        bulk.value_of("incident", str(outage.pk), agent=cast.manager, now=timezone.now())


@pytest.fixture
def desk(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.manager)
    return client


def test_one_answer_reaches_all_in_their_language(line: Channel, cast: Cast, outage: Incident, desk: Client) -> None:
    english = ask(line, 1)
    korean = ask(line, 2, text="결제가 계속 실패합니다. 언제쯤 다시 주문할 수 있나요?")
    done, gone, apart = ask(line, 3), ask(line, 4), ask(line, 5)
    Incident.objects.update(answers_new=False)
    outage.refresh_from_db()
    for ticket in (english, korean, done, gone):
        link(ticket, outage, cast)
    actions.solve(done, by=by_agent(cast.agent), now=timezone.now())
    page = f"/settings/incidents/{outage.pk}/"
    assert desk.post(f"{page}answers/", {"en": "Fixed", "ko": ""}).status_code == 422
    assert desk.post(f"{page}answers/", {"en": "Fixed", "ko": "고쳤어요", "solve": "on"}).status_code == 302
    link(gone, None, cast)
    bulk.drain(seconds=5, now=timezone.now())
    bulk.drain(seconds=5, now=timezone.now())
    assert [said(ticket) for ticket in (english, korean, done, gone, apart)] == [
        [("agent", "Fixed")], [("agent", "고쳤어요")], [], [], [],
    ]  # fmt: skip
    english.refresh_from_db()
    assert (english.status, english.assignee) == ("solved", None), "nobody is given a heap of work by one answer"
    assert english.first_reply_at is not None, "a person wrote it"
    job = BulkJob.objects.get(do="incident_answer")
    assert dict(BulkRow.objects.filter(job=job).values_list("ticket", "state")) == {
        english.pk: "done", korean.pk: "done", gone.pk: "failed",
    }  # fmt: skip
    shown = desk.get(page).content.decode()
    assert "not done: 1" in shown and f"#{english.number}" in shown and f"#{apart.number}" not in shown


def test_the_same_answer_to_all_is_got_once(line: Channel, cast: Cast, outage: Incident, desk: Client) -> None:
    Incident.objects.update(answers_new=False)
    outage.refresh_from_db()
    early, late = ask(line, 1), ask(line, 2)
    link(early, outage, cast)
    page, words = f"/settings/incidents/{outage.pk}/answers/", {"en": "Soon fixed", "ko": "곧 고쳐요"}
    for who in (cast.manager, cast.admin):
        desk.force_login(who)
        desk.post(page, words)
        bulk.drain(seconds=5, now=timezone.now())
        link(late, outage, cast)
    assert said(early) == said(late) == [("agent", "Soon fixed")]
    assert list(BulkRow.objects.filter(ticket=early, job__do="incident_answer").order_by("id").values_list("state", flat=True)) == [
        "done", "unchanged",
    ]  # fmt: skip
    desk.post(page, {**words, "solve": "on"})
    bulk.drain(seconds=5, now=timezone.now())
    early.refresh_from_db()
    assert (early.status, said(early)) == ("solved", [("agent", "Soon fixed")])
    desk.post(page, {"en": "Fixed", "ko": "고쳤어요"})
    bulk.drain(seconds=5, now=timezone.now())
    assert len(said(early)) == 1, "it is solved"


def test_whom_it_does_not_reach_is_told_by_ticket(cast: Cast, outage: Incident, desk: Client) -> None:
    """WhatsApp after its day, and a number that wants no messages, with what to do; others get it."""
    at = timezone.now() - timedelta(minutes=1)
    whatsapp = scene.says(cast.whatsapp, scene.sender("Ana", phone="+821000000001"), "I cannot pay", at=at).ticket
    texts = scene.says(cast.sms, scene.sender("Bo", phone="+821000000002"), "I cannot pay", at=at).ticket
    fine = scene.says(cast.sms, scene.sender("Cho", phone="+821000000003"), "I cannot pay", at=at).ticket
    tickets = [whatsapp, texts, fine]
    Ticket.objects.filter(pk__in=[ticket.pk for ticket in tickets]).update(incident=outage)
    Route.objects.filter(ticket=whatsapp).update(window_expires_at=at)
    Identity.objects.filter(customer=texts.customer).update(opted_out_at=at)
    desk.post(f"/settings/incidents/{outage.pk}/answers/", {"en": "Fixed", "ko": "고쳤어요"})
    bulk.drain(seconds=5, now=timezone.now())
    job = BulkJob.objects.get(do="incident_answer")
    assert [len(said(ticket)) for ticket in tickets] == [0, 0, 1]
    errors = desk.get(f"/bulk/{job.pk}/errors/").content.decode()
    assert f"#{whatsapp.number}" in errors and "Send a template" in errors
    assert f"#{texts.number}" in errors and "does not want messages" in errors
    assert f"#{fine.number}" not in errors


@pytest.mark.django_db
def test_a_mail_to_many_is_for_its_customer_alone_and_signed_by_the_brand(scripted: Any, now: Any) -> None:
    stage = Stage(now, kind="scripted_mail")
    Route.objects.update(cc=["boss@example.org"])
    signatures.keep("Mina", by=stage.mina)
    signatures.keep("{{brand.name}} service\n{{agent.name}}", by=stage.mina, brand=stage.brand)
    outage = Incident.objects.create(brand=stage.brand, title="Down", opened_by=stage.mina)
    Ticket.objects.update(incident=outage)
    ticket = Ticket.objects.get()
    value = {"incident": outage.pk, "en": "Fixed", "ko": "고쳤어요", "solve": False}
    incidents.answer(ticket, value, agent=stage.mina, now=now)
    sent = Message.objects.get(direction="out")
    assert (sent.to, sent.cc, sent.signature) == (["sora@example.org"], [], "Acme service")
    assert Route.objects.get().cc == ["boss@example.org"], "who takes part still does"
    assert sent.parts.get().text.endswith("-- \nAcme service")


def test_its_end_solves_all_of_them(line: Channel, cast: Cast, outage: Incident, desk: Client) -> None:
    linked, apart = ask(line, 1), ask(line, 2)
    link(linked, outage, cast)
    page = f"/settings/incidents/{outage.pk}/"
    desk.post(f"{page}resolution/", {"solve": "on"})
    bulk.drain(seconds=5, now=timezone.now())
    linked.refresh_from_db(), apart.refresh_from_db(), outage.refresh_from_db()
    assert (linked.status, apart.status, outage.resolved_by) == ("solved", "new", cast.manager)
    jobs = BulkJob.objects.count()
    desk.post(f"{page}resolution/", {"solve": "on"})
    assert BulkJob.objects.count() == jobs, "it was resolved already"
    desk.post(f"{page}resolution/", {"reopen": "1"})
    outage.refresh_from_db()
    assert outage.is_open


def test_the_chat_shows_it_while_it_lasts(cast: Cast, outage: Incident) -> None:
    panel = f"/chat/{cast.webchat.slug}/?lang="
    assert outage.text_en in Client().get(f"{panel}en").content.decode()
    assert outage.text_ko in Client().get(f"{panel}ko").content.decode()
    for change in ({"shows_banner": False}, {"shows_banner": True, "resolved_at": timezone.now()}):
        Incident.objects.update(**change)
        assert outage.text_en not in Client().get(f"{panel}en").content.decode()


def test_a_ticket_is_linked_in_its_details(line: Channel, cast: Cast, outage: Incident) -> None:
    ticket = ask(line)
    client = Client()
    client.force_login(cast.agent)
    Ticket.objects.filter(pk=ticket.pk).update(team=cast.support, assignee=cast.agent)
    assert outage.title in client.get("/incidents/").content.decode()
    assert client.post(f"/tickets/{ticket.pk}/incident/", {"incident": str(outage.pk)}).status_code == 302
    ticket.refresh_from_db()
    assert ticket.incident == outage
    assert outage.title in client.get(f"/tickets/{ticket.pk}/").content.decode()
    assert client.post(f"/tickets/{ticket.pk}/incident/", {"incident": "999999"}).status_code == 422


def test_managers_change_them_agents_read_them_and_other_brands_do_not_see_them(
    cast: Cast, outage: Incident, desk: Client
) -> None:
    new = {"brand": str(cast.brand.pk), "title": "Late parcels", "en": "Late.", "ko": "", "shows_banner": "on"}
    assert desk.post("/settings/incidents/new/", new).status_code == 422
    assert desk.post("/settings/incidents/new/", {**new, "ko": "{{customer.name}}"}).status_code == 422
    assert desk.post("/settings/incidents/new/", {**new, "ko": "늦어요."}).status_code == 302
    assert Incident.objects.get(title="Late parcels").opened_by == cast.manager
    agent = Client()
    agent.force_login(cast.agent)
    page = f"/settings/incidents/{outage.pk}/"
    assert agent.get(page).status_code == agent.get("/settings/incidents/").status_code == 200
    for path in ("edit/", "answers/", "resolution/"):
        assert agent.post(page + path, {"en": "x", "ko": "x"}).status_code == 403
    cast.manager.brand_ids = [cast.brand.pk + 1000]
    cast.manager.save()
    assert desk.get(page).status_code == 404
    assert outage.title not in desk.get("/settings/incidents/").content.decode()
