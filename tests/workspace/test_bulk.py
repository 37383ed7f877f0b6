"""One deed on many tickets: one request, one job, each row with its own result, one undo."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DataError
from django.utils import timezone

from analytics import surveys
from analytics.models import Survey
from tests.workspace import scene
from tickets import actions, bulk
from tickets.models import BulkJob, BulkRow, Event, Macro, MacroUse, Message, Ticket
from tickets.models.event import by_agent


@pytest.fixture
def tickets(cast, now):
    made = scene.many(cast, 5, now=now)
    Ticket.objects.update(team=cast.support)
    return made


def ids_of(tickets):
    return ",".join(str(ticket.pk) for ticket in tickets)


def do(client, deed, value, tickets=(), *, address="", **more):
    chosen = {"ids": ids_of(tickets)} if tickets else {}
    response = client.post(f"/bulk/{address}", {"do": deed, "value": value, **chosen, **more})
    if response.status_code == 202:
        bulk.drain(seconds=60, now=timezone.now())
    return response


def states(job):
    return dict(BulkRow.objects.filter(job=job).values_list("ticket", "state"))


@pytest.mark.parametrize(
    "deed, value, column, after",
    [
        ("assign", "me", "assignee", "agent"),
        ("status", "pending", "status", "pending"),
        ("status", "solved", "status", "solved"),
        ("priority", "urgent", "priority", 4),
        ("team", "", "team", None),
    ],
)
def test_a_deed_on_many_and_its_undo(cast, mina, tickets, deed, value, column, after):
    before = list(Ticket.objects.order_by("pk").values_list("pk", "status", column))
    answer = do(mina, deed, value, tickets).json()
    expected = cast.agent.pk if after == "agent" else after
    assert set(Ticket.objects.values_list(column, flat=True)) == {expected}
    assert mina.get(answer["url"]).json()["done"] == 5
    cast.agent.sight = "all"
    cast.agent.save(update_fields=["sight"])  # who gave the team away must see the tickets to take them back
    back = mina.post(answer["undo_url"])
    assert back.status_code == 202
    bulk.drain(seconds=60, now=timezone.now())
    assert list(Ticket.objects.order_by("pk").values_list("pk", "status", column)) == before
    assert BulkJob.objects.filter(state="running").count() == 0


def test_tags_are_added_and_removed_and_the_undo_is_exact(mina, cast, tickets, now):
    actions.change_tags(tickets[0], add=["vip"], by=by_agent(cast.agent), now=now)
    answer = do(mina, "tag", "vip,billing", tickets).json()
    assert {frozenset(t.tags.values_list("name", flat=True)) for t in tickets} == {frozenset({"vip", "billing"})}
    mina.post(answer["undo_url"])
    bulk.drain(seconds=60, now=timezone.now())
    assert [list(t.tags.values_list("name", flat=True)) for t in tickets] == [["vip"], [], [], [], []]
    do(mina, "untag", "vip", tickets)
    assert not tickets[0].tags.exists()


def test_a_snooze_of_many_wakes_with_its_undo(mina, tickets, now):
    until = now + timedelta(days=1)
    answer = do(mina, "snooze", until.isoformat(), tickets).json()
    assert set(Ticket.objects.values_list("snoozed_until", flat=True)) == {until}
    mina.post(answer["undo_url"])
    bulk.drain(seconds=60, now=timezone.now())
    assert set(Ticket.objects.values_list("snoozed_until", flat=True)) == {None}


def test_many_are_merged_into_one_and_stand_by_themselves_again(mina, tickets):
    survivor = tickets[2]
    answer = do(mina, "merge", survivor.pk, tickets).json()
    assert answer["total"] == 4
    assert set(Ticket.objects.exclude(pk=survivor.pk).values_list("merged_into", flat=True)) == {survivor.pk}
    mina.post(answer["undo_url"])
    bulk.drain(seconds=60, now=timezone.now())
    assert not Ticket.objects.exclude(merged_into=None).exists()


def test_each_row_has_its_own_result_and_errors_are_told_in_words(cast, mina, tickets, now):
    Ticket.objects.filter(pk=tickets[0].pk).update(status="closed", closed_at=now)
    actions.solve(tickets[1], by=by_agent(cast.agent), now=now)
    answer = do(mina, "status", "solved", tickets).json()
    job = BulkJob.objects.get(pk=answer["job"])
    assert states(job) == {
        tickets[0].pk: "failed",
        tickets[1].pk: "unchanged",
        **dict.fromkeys((ticket.pk for ticket in tickets[2:]), "done"),
    }
    assert mina.get(answer["url"]).json() | {"job": 0} == {
        "job": 0, "total": 5, "done": 4, "failed": 1, "left": 0, "undo": False,
    }  # fmt: skip
    words = mina.get(f"{answer['url']}errors/").content.decode()
    assert f"#{tickets[0].number}" in words and "This ticket is closed" in words
    assert f"#{tickets[2].number}" not in words


def test_rights_are_asked_for_each_row_when_its_turn_comes(cast, mina, sign_in, tickets):
    Ticket.objects.filter(pk=tickets[0].pk).update(team=cast.billing)
    answer = mina.post("/bulk/", {"do": "priority", "value": "high", "ids": ids_of(tickets)}).json()
    assert answer["total"] == 4  # the foreign one was never named to them
    Ticket.objects.filter(pk=tickets[1].pk).update(team=cast.billing)  # and this one leaves before its turn
    bulk.drain(seconds=60, now=timezone.now())
    assert states(answer["job"])[tickets[1].pk] == "failed"
    assert set(Ticket.objects.filter(pk__in=[t.pk for t in tickets[:2]]).values_list("priority", flat=True)) == {2}
    stranger = sign_in(cast.outsider)
    for path in (answer["url"], f"{answer['url']}errors/"):
        assert stranger.get(path).status_code == 404
    assert stranger.post(answer["undo_url"]).status_code == 404


def test_a_light_agent_does_nothing_to_many(cast, mina, tickets):
    cast.agent.role = "light"
    cast.agent.save(update_fields=["role"])
    assert do(mina, "priority", "high", tickets).status_code == 403
    assert not BulkJob.objects.exists()


@pytest.mark.parametrize(
    "deed, value",
    [("status", "closed"), ("status", "new"), ("priority", "9"), ("assign", "999"), ("team", "x"), ("tag", " , "),
     ("snooze", "2020-01-01T00:00:00+00:00"), ("snooze", "soon"), ("merge", "999"), ("undo", ""), ("nonsense", "1")],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_before_there_is_a_job(mina, tickets, deed, value):
    response = do(mina, deed, value, tickets)
    assert response.status_code == 422 and response.json()["words"]
    assert not BulkJob.objects.exists()


def test_everything_in_a_view_beyond_the_page(cast, mina, now):
    scene.many(cast, 60, now=now)
    Ticket.objects.update(team=cast.support)
    Ticket.objects.filter(pk__in=Ticket.objects.order_by("pk").values("pk")[:7]).update(status="solved", solved_at=now)
    Ticket.objects.filter(pk=Ticket.objects.latest("pk").pk).update(team=cast.billing)  # not theirs to see
    answer = do(mina, "priority", "high", address=f"?view=team-{cast.support.pk}", everything="1").json()
    assert answer["total"] == answer["done"] + answer["left"] == 52
    assert Ticket.objects.filter(priority=3).count() == 52
    assert not Ticket.objects.filter(priority=3, status="solved").exists()


def test_an_undo_stops_a_job_that_is_not_through(cast, mina, tickets):
    answer = mina.post("/bulk/", {"do": "priority", "value": "high", "ids": ids_of(tickets)}).json()
    job = BulkJob.objects.select_related("agent").get(pk=answer["job"])
    assert bulk._one(job, now=timezone.now())
    mina.post(answer["undo_url"])
    mina.post(answer["undo_url"])  # a second click is the same wish
    bulk.drain(seconds=60, now=timezone.now())
    assert set(Ticket.objects.values_list("priority", flat=True)) == {2}
    assert sorted(states(job).values()) == ["done", "skipped", "skipped", "skipped", "skipped"]
    assert BulkJob.objects.filter(undoes=job).count() == 1


def test_spam_is_out_of_the_way_asks_nobody_and_comes_back_with_one_undo(cast, mina, tickets, now):
    first = tickets[0]
    scene.answers(first, cast.agent, "Who are you?", at=now)
    answer = do(mina, "spam", "", tickets).json()
    assert "marked as spam" in answer["words"]
    assert set(Ticket.objects.values_list("status", flat=True)) == {"solved"}
    assert {ticket.tags.get().name for ticket in Ticket.objects.all()} == {"spam"}
    surveys.sweep(now=timezone.now() + timedelta(hours=1))
    assert Survey.objects.get(ticket=first).skipped == "spam"
    mina.post(answer["undo_url"])
    bulk.drain(seconds=60, now=timezone.now())
    assert "solved" not in set(Ticket.objects.values_list("status", flat=True))
    assert not Ticket.objects.filter(tags__name="spam").exists()


def test_what_has_moved_on_since_is_not_undone_and_said(cast, mina, tickets, now):
    answer = do(mina, "priority", "high", tickets).json()
    actions.set_priority(tickets[0], 4, by=by_agent(cast.teammate), now=now)
    back = mina.post(answer["undo_url"]).json()
    bulk.drain(seconds=60, now=timezone.now())
    assert Ticket.objects.get(pk=tickets[0].pk).priority == 4
    assert "changed since" in mina.get(f"{back['url']}errors/").content.decode()


@pytest.mark.parametrize("fault", [RuntimeError("in the middle of it"), DataError("too long")], ids=["ours", "its"])
def test_a_row_that_breaks_leaves_nothing_behind_and_the_others_go_on(cast, mina, tickets, monkeypatch, fault):
    whole = bulk.VERBS["priority"]

    def half(ticket, value, agent, now):
        event = whole(ticket, value, agent, now)
        if ticket.pk == tickets[1].pk:
            raise fault
        return event

    monkeypatch.setitem(bulk.VERBS, "priority", half)
    answer = do(mina, "priority", "high", tickets).json()
    assert sorted(states(answer["job"]).values()) == ["done"] * 4 + ["failed"]
    assert Ticket.objects.get(pk=tickets[1].pk).priority == 2
    assert Event.objects.filter(kind="priority_changed").count() == 4


def test_a_macro_on_many_does_its_deeds_and_all_are_taken_back(cast, mina, tickets):
    deeds = [{"do": "tag", "tags": ["recall"]}, {"do": "priority", "priority": 4}]
    macro = Macro.objects.create(title="Recall", text="Dear customer", owner=cast.agent, scope="personal", deeds=deeds)
    foreign = Macro.objects.create(title="Theirs", owner=cast.teammate, scope="personal", deeds=deeds)
    silent = Macro.objects.create(title="Only words", text="Hi", owner=cast.agent, scope="personal", deeds=[])
    assert mina.get("/bulk/macros/").content.decode().count('role="option"') == 1
    for unfit in (foreign, silent):
        assert do(mina, "macro", unfit.pk, tickets).status_code == 422
    answer = do(mina, "macro", macro.pk, tickets).json()
    assert set(Ticket.objects.values_list("priority", flat=True)) == {4}
    assert Ticket.objects.filter(tags__name="recall").count() == MacroUse.objects.count() == 5
    assert not Message.objects.filter(direction="out").exists()
    mina.post(answer["undo_url"])
    bulk.drain(seconds=60, now=timezone.now())
    assert set(Ticket.objects.values_list("priority", flat=True)) == {2}
    assert not Ticket.objects.filter(tags__name="recall").exists()
    assert not MacroUse.objects.filter(undone_at=None).exists()


def test_jobs_are_forgotten_after_a_month_and_their_events_are_not(cast, mina, tickets, now):
    answer = do(mina, "priority", "high", tickets).json()
    mina.post(answer["undo_url"])
    bulk.drain(seconds=60, now=timezone.now())
    do(mina, "priority", "low", tickets[:2])
    events = Event.objects.count()
    assert bulk.forget_old(now=now + timedelta(days=29)) == 0
    BulkJob.objects.filter(do="undo").update(finished_at=now + timedelta(days=20))  # was taken back much later
    assert bulk.forget_old(now=now + timedelta(days=31)) == 1  # not the one whose undo is still kept
    assert bulk.forget_old(now=now + timedelta(days=60)) == 2
    assert not BulkRow.objects.exists() and Event.objects.count() == events
