"""A rule that is tried on the past: what it says, what it costs, and that it changes nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import AuditEntry
from tests import cast, checksums
from tests.cast import Cast
from tests.workspace import scene
from tickets import actions, trials, triggers
from tickets.models import Customer, Message, Rule, RuleTrial, RuleTrialRow, Ticket
from tickets.models.event import by_agent
from tickets.routing import assign, trial

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
REFUND = {
    "all": [
        {"field": "text", "op": "contains", "value": ["refund"]},
        {"field": "channel", "op": "is", "value": ["sms"]},
    ]
}


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


def say(people: Cast, words: str, n: int) -> Ticket:
    who = scene.sender(f"Customer {n}", phone=f"+8210{n:08}")
    said = scene.says(people.sms, who, words, at=NOW + timedelta(minutes=n))
    assign.assign(said.ticket.pk, now=NOW + timedelta(minutes=n))
    return Ticket.objects.get(pk=said.ticket.pk)


def a_rule(people: Cast, **facts: object) -> Rule:
    kept = {
        "name": "Refunds", "conditions": REFUND,
        "actions": [{"do": "team", "team": people.billing.pk}, {"do": "priority", "priority": 3}], **facts,
    }  # fmt: skip
    return Rule(**kept)


def tried(rule: Rule, people: Cast, **more: Any) -> RuleTrial:
    begun = trial.begin(rule, by=people.admin, now=NOW, **more)
    while trial.drain(now=NOW, seconds=60):
        pass
    begun.refresh_from_db()
    assert begun.finished_at == NOW
    return begun


def test_it_says_what_would_have_gone_elsewhere(people: Cast) -> None:
    refund, other = say(people, "I want a refund", 1), say(people, "Hello", 2)
    begun = tried(a_rule(people), people)
    assert trial.result(begun) == (2, 1, 1, 1, 0)
    row = begun.rows.get(ticket=refund)
    assert (row.matched, row.held) == (True, [True, True])
    assert (row.team_was, row.team_would, row.priority_was, row.priority_would) == (
        refund.team, people.billing, 2, 3,
    )  # fmt: skip
    assert begun.rows.get(ticket=other).held == [False, True]


def test_what_a_rule_did_already_is_no_change(people: Cast) -> None:
    a_rule(people).save()
    say(people, "I want a refund", 1)
    begun = tried(Rule.objects.get(), people)
    assert trial.result(begun) == (1, 1, 0, 0, 0)


def test_only_the_first_words_count_as_they_did_then(people: Cast) -> None:
    ticket = say(people, "Hello", 1)
    scene.says(people.sms, scene.sender("Customer 1", phone="+821000000001"), "refund!", at=NOW + timedelta(hours=1))
    begun = tried(a_rule(people), people)
    assert begun.rows.get(ticket=ticket).matched is False


def writes(people: Cast, words: str, n: int, *, minutes: int) -> None:
    who = scene.sender(f"Customer {n}", phone=f"+8210{n:08}")
    scene.says(people.sms, who, words, at=NOW + timedelta(minutes=n + minutes))


def test_a_rule_about_those_who_write_again_is_tried_on_what_they_wrote_again(people: Cast) -> None:
    opening, once = say(people, "I want a refund", 1), say(people, "A refund, please", 2)
    writes(people, "Thanks", 1, minutes=10)
    later = say(people, "Hello", 3)
    writes(people, "Then a refund", 3, minutes=10)
    writes(people, "Thanks", 3, minutes=20)
    again = {"when": "customer_replied", "conditions": {"field": "said", "op": "contains", "value": ["refund"]}}
    begun = tried(a_rule(people, **again), people)
    assert {row.ticket_id: row.matched for row in begun.rows.all()} == {opening.pk: False, later.pk: True}
    assert once.pk not in begun.rows.values_list("ticket", flat=True)
    row = begun.rows.get(ticket=later)
    assert (row.held, row.team_would, row.priority_was, row.priority_would) == ([True], people.billing, 2, 3)


def test_the_ticket_is_as_it_was_when_the_customer_wrote_again(people: Cast) -> None:
    """With what had happened until then, without what came later; beside what the rules of that day made of it."""
    ticket = say(people, "Hello", 1)
    by, at = by_agent(people.agent), [NOW + timedelta(minutes=n) for n in range(60)]
    Rule.objects.create(name="Old", when="customer_replied", actions=[{"do": "priority", "priority": 4}])
    actions.change_tags(ticket, add=["early"], by=by, now=at[2])
    actions.assign(ticket, assignee=people.agent, team=people.support, by=by, now=at[3])
    scene.answers(ticket, people.agent, "Yes?", at=at[4])
    actions.set_status(ticket, "pending", by=by, now=at[5])
    writes(people, "Again", 1, minutes=9)  # at[10]: it opens the ticket
    triggers.drain(now=at[10], seconds=30)
    actions.set_priority(ticket, 1, by=by, now=at[20])
    actions.change_tags(ticket, add=["late"], remove=["early"], by=by, now=at[21])
    actions.assign(ticket, assignee=None, team=people.billing, by=by, now=at[22])
    actions.set_status(ticket, "solved", by=by, now=at[23])
    Rule.objects.all().delete()
    asked = [
        {"field": "tag", "op": "has", "value": ["early"]},
        {"field": "tag", "op": "has_not", "value": ["late"]},
        {"field": "status", "op": "is", "value": ["open"]},
        {"field": "priority", "op": "is", "value": 2},
        {"field": "team", "op": "is", "value": [people.support.pk]},
        {"field": "assignee", "op": "is", "value": [people.agent.pk]},
        {"field": "has", "op": "is", "value": ["reply"]},
        {"field": "waiting", "op": "below", "value": "1m"},
        {"field": "text", "op": "contains", "value": ["hello"]},
    ]
    rule = a_rule(people, when="customer_replied", conditions={"all": asked})
    row = tried(rule, people).rows.get()
    assert row.held == [True] * len(asked)
    assert (row.matched, row.priority_was, row.priority_would) == (True, 4, 3)
    assert (row.team_was, row.team_would) == (people.support, people.billing)


def test_a_set_counts_every_rule_that_held_for_any_of_the_messages(people: Cast) -> None:
    say(people, "Hello", 1)
    for n, words in enumerate(("A refund", "Cancel it", "Thanks")):
        writes(people, words, 1, minutes=10 + n)
    about = {
        word: a_rule(
            people, name=word, when="customer_replied", conditions={"field": "said", "op": "contains", "value": [word]}
        )
        for word in ("refund", "cancel", "parcel")
    }
    begun = trial.begin_set(list(about.values()), by=people.admin, now=NOW)
    while trial.drain(now=NOW, seconds=60):
        pass
    assert trial.counts(begun) == [1, 1, 0]


def test_the_rules_before_and_after_it_run_too(people: Cast) -> None:
    a_rule(people, name="First", conditions={}, actions=[{"do": "tags", "add": ["Seen"]}], position=0).save()
    last = a_rule(people, name="Last", conditions={}, actions=[{"do": "priority", "priority": 4}], position=9)
    last.save()
    say(people, "Hello", 1)
    mine = a_rule(people, conditions={"field": "tag", "op": "has", "value": ["seen"]}, position=5)
    mine.save()
    row = tried(mine, people).rows.get()
    assert (row.matched, row.priority_would) == (True, 4)


def test_five_hundred_tickets_go_by_in_view_and_nothing_changes_but_its_own_rows(people: Cast) -> None:
    """Every third asks for a refund. What the page says of the progress is what has been looked at."""
    customers = Customer.objects.bulk_create(Customer(name=f"Customer {n}", created_at=NOW) for n in range(500))
    came = {"brand": people.brand, "first_channel": people.sms, "last_channel": people.sms, "created_at": NOW}
    tickets = Ticket.objects.bulk_create(
        Ticket(number=n + 1, customer=customer, last_message_at=NOW, **came) for n, customer in enumerate(customers)
    )
    Message.objects.bulk_create(
        Message(
            ticket=ticket, seq=1, direction="in", author_type="customer", channel=people.sms, created_at=NOW,
            text="I want a refund" if n % 3 == 0 else "Hello",
        )
        for n, ticket in enumerate(tickets)
    )  # fmt: skip
    client = Client()
    client.force_login(people.admin, backend="django.contrib.auth.backends.ModelBackend")
    begun = trial.begin(a_rule(people), by=people.admin, now=NOW)

    def progress() -> tuple[int, int]:
        page = client.get(f"/settings/rules/trials/{begun.pk}/").content.decode()
        ((most, seen),) = re.findall(r'<progress class="trial__progress" max="(\d+)" value="(\d+)"', page)
        assert f"{seen}<small> / {most}</small>" in page
        return int(seen), int(most)

    shown = [progress()]  # the first page of a session is kept with it
    before = checksums.of_everything_but("tickets_ruletrial")
    trial._batch(begun.pk, NOW)
    shown.append(progress())
    while trial.drain(now=NOW, seconds=60):
        pass
    shown.append(progress())
    assert shown == [(0, 500), (trials.BATCH, 500), (500, 500)]
    assert trial.result(begun) == (500, 167, 167, 167, 0)
    assert checksums.of_everything_but("tickets_ruletrial") == before


def test_who_would_have_had_it_is_said_where_a_rule_names_them(people: Cast) -> None:
    ticket, other = say(people, "I want a refund", 1), say(people, "Hello", 2)
    named = a_rule(people, actions=[{"do": "agent", "agent": people.outsider.pk}])
    begun = tried(named, people)
    assert trial.result(begun).changed_agent == 1
    row = begun.rows.get(ticket=ticket)
    assert (row.agent_was, row.agent_would) == (None, people.outsider)
    assert begun.rows.get(ticket=other).agent_would is None
    named.save()
    say(people, "A refund, please", 3)
    assert trial.result(tried(named, people)).changed_agent == 1, "the newest one went there already"
    people.outsider.is_active = False
    people.outsider.save()
    assert trial.result(tried(named, people)).changed_agent == 0, "who is not there gets nothing"


def test_a_single_rule_is_tried_on_a_month_too(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        say(people, "Hello", n)
    Ticket.objects.filter(pk=Ticket.objects.earliest("pk").pk).update(created_at=NOW - timedelta(days=31))
    monkeypatch.setattr(trials, "LAST", 1)
    assert [tried(a_rule(people), people, days=days).total for days in (None, 30)] == [1, 2]


def test_a_new_rule_is_a_draft_until_somebody_saw_what_it_would_do(people: Cast) -> None:
    client = Client()
    client.force_login(people.admin, backend="django.contrib.auth.backends.ModelBackend")
    say(people, "I want a refund", 1)
    form = {"name": "Refunds", "when": "created", "active": "on", "do-team": people.billing.pk}
    page = client.post("/settings/rules/new/", form, follow=True).content.decode()
    rule = Rule.objects.get()
    assert not rule.active and "Switch it on untried" in page
    assert "Switch it on untried" in client.post(f"/settings/rules/{rule.pk}/active/", follow=True).content.decode()

    begun = client.post("/settings/rules/trials/", form | {"rule": rule.pk})
    assert trial.is_untried(rule), "it has not been seen to its end"
    client.get(begun.url)
    while trial.drain(now=NOW, seconds=60):
        pass
    assert trial.is_untried(rule)
    assert "Switch it on" in client.get(begun.url).content.decode()
    assert not trial.is_untried(rule)
    assert "Switch it on untried" not in client.get(f"/settings/rules/{rule.pk}/").content.decode()
    client.post(f"/settings/rules/{rule.pk}/active/")
    rule.refresh_from_db()
    assert rule.active
    client.post(f"/settings/rules/{rule.pk}/", form | {"do-priority": "4"})
    rule.refresh_from_db()
    assert rule.active, "what acts already can be changed"


def test_a_draft_can_be_switched_on_untried_and_what_no_past_tells_is_none(people: Cast) -> None:
    client = Client()
    client.force_login(people.admin, backend="django.contrib.auth.backends.ModelBackend")
    client.post("/settings/rules/new/", {"name": "A", "when": "created", "active": "on", "do-priority": "4"})
    rule = Rule.objects.get()
    client.post(f"/settings/rules/{rule.pk}/active/", {"untried": "on"})
    client.post("/settings/rules/new/", {"name": "B", "when": "rated", "active": "on", "do-priority": "4"})
    assert set(Rule.objects.filter(active=True).values_list("name", flat=True)) == {"A", "B"}


def test_one_that_was_tried_before_it_was_saved_or_in_a_set_is_no_draft(people: Cast) -> None:
    alone, of_set, off = (
        a_rule(people, name=name, actions=[{"do": "priority", "priority": n}])
        for n, name in ((1, "A"), (3, "B"), (4, "C"))
    )
    off.active = False
    say(people, "Hello", 1)
    trial.see(tried(alone, people), now=NOW)
    begun = trial.begin_set([of_set, off], by=people.admin, now=NOW)
    while trial.drain(now=NOW, seconds=60):
        pass
    begun.refresh_from_db()
    trial.see(begun, now=NOW)
    assert [trial.is_untried(rule) for rule in (alone, of_set, off)] == [False, False, True]


@pytest.mark.parametrize("when", ["created", "customer_replied"])
def test_twice_as_many_tickets_cost_as_many_queries_for_each_batch(people: Cast, when: str) -> None:
    def cost(count: int) -> int:
        for n in range(RuleTrialRow.objects.count(), count):
            say(people, "refund", n)
            writes(people, "refund!", n, minutes=1)
        begun = trial.begin(a_rule(people, when=when), by=people.admin, now=NOW)
        with CaptureQueriesContext(connection) as asked:
            assert trial._batch(begun.pk, NOW) == Ticket.objects.count()
        begun.delete()
        return len(asked)

    assert cost(3) == cost(9)


def test_one_that_breaks_says_so_and_the_others_go_on(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    say(people, "I want a refund", 1)
    broken, fine = (trial.begin(a_rule(people), by=people.admin, now=NOW) for _ in range(2))
    batch, woken = trial._batch, []

    def break_off(pk: int, now: datetime) -> int:
        if pk == broken.pk:
            raise KeyError("team")
        return batch(pk, now)

    monkeypatch.setattr(trial, "_batch", break_off)
    monkeypatch.setattr(trials, "wake", woken.append)
    assert trial.drain(now=NOW, seconds=60) == 1
    broken.refresh_from_db()
    fine.refresh_from_db()
    assert (broken.finished_at, broken.problem, fine.finished_at, fine.problem) == (NOW, "data", NOW, "")
    assert woken == [] and trial.drain(now=NOW, seconds=60) == 0
    client = Client()
    client.force_login(people.admin, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/settings/rules/trials/{broken.pk}/").content.decode()
    assert "This trial was given up" in page and f"under number {broken.pk}" in page and "every 1s" not in page
    assert "given up" not in client.get(f"/settings/rules/trials/{fine.pk}/").content.decode()


def test_what_does_not_fit_into_a_turn_goes_on_with_the_next(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    say(people, "I want a refund", 1)
    trial.begin(a_rule(people), by=people.admin, now=NOW)
    woken: list[str] = []
    monkeypatch.setattr(trials, "wake", woken.append)
    assert trial.drain(now=NOW, seconds=0) == 0
    assert woken == ["tickets.tasks.try_rules"]


def test_what_the_database_breaks_off_is_tried_again_with_the_next_sweeps(
    people: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(people, "I want a refund", 1)
    slow, woken = trial.begin(a_rule(people), by=people.admin, now=NOW), []

    def break_off(pk: int, now: datetime) -> int:
        raise OperationalError("canceling statement due to statement timeout")

    with monkeypatch.context() as away:
        away.setattr(trial, "_batch", break_off)
        away.setattr(trials, "wake", woken.append)
        for _ in range(2):
            trial.drain(now=NOW, seconds=60)
            slow.refresh_from_db()
            assert (slow.finished_at, slow.problem) == (None, "")
    assert trial.drain(now=NOW, seconds=60) == 1
    slow.refresh_from_db()
    assert (slow.finished_at, slow.problem, slow.failures) == (NOW, "", 2)
    slow = trial.begin(a_rule(people), by=people.admin, now=NOW)
    monkeypatch.setattr(trial, "_batch", break_off)
    for _ in range(3):
        trial.drain(now=NOW, seconds=60)
    slow.refresh_from_db()
    assert (slow.finished_at, slow.problem) == (NOW, "database")
    assert woken == []


def test_an_admin_tries_the_rule_that_stands_in_the_form(people: Cast) -> None:
    ticket = say(people, "I want a refund", 1)
    client = Client()
    client.force_login(people.admin, backend="django.contrib.auth.backends.ModelBackend")
    form = {
        "name": "Refunds", "when": "created", "group": "all", "cond-0-field": "text", "cond-0-op": "contains",
        "cond-0-value": "refund", "do-team": people.billing.pk,
    }  # fmt: skip
    page = client.post("/settings/rules/trials/", form)
    assert page.status_code == 302
    running = client.get(page.url).content.decode()
    assert "every 1s" in running
    trial.drain(now=NOW, seconds=60)
    trial.drain(now=NOW, seconds=60)
    done = client.get(page.url).content.decode()
    assert "every 1s" not in done
    assert f"#{ticket.number}" in done and people.billing.name in done
    assert not Rule.objects.exists()
    assert not AuditEntry.objects.filter(kind__startswith="rule").exists()


def test_a_form_that_cannot_be_tried_says_why(people: Cast) -> None:
    client = Client()
    client.force_login(people.admin, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post("/settings/rules/trials/", {"name": "", "when": "created"}, follow=True)
    assert "Give it a name." in answer.content.decode()
    assert not RuleTrial.objects.exists()


def test_trials_are_for_admins_and_shown_to_their_author_only(people: Cast) -> None:
    begun = trial.begin(a_rule(people), by=people.admin, now=NOW)
    client = Client()
    client.force_login(people.agent, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(f"/settings/rules/trials/{begun.pk}/").status_code == 403
    other = cast.make_agent("Ada Two", role="admin")
    client.force_login(other, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(f"/settings/rules/trials/{begun.pk}/").status_code == 404


def test_a_set_is_tried_in_another_order_and_with_others_switched_on(people: Cast) -> None:
    ticket, plain = say(people, "I want a refund", 1), say(people, "Hello", 2)
    first = a_rule(
        people, name="All to Support", conditions={}, actions=[{"do": "team", "team": people.support.pk}], stop=True
    )
    second, off = a_rule(people, position=1), a_rule(people, name="Off", position=2, active=False)
    for rule in (first, second, off):
        rule.save()

    def counted(ordered: list[Rule]) -> tuple[RuleTrial, list[int]]:
        begun = trial.begin_set(ordered, by=people.admin, now=NOW)
        while trial.drain(now=NOW, seconds=60):
            pass
        return begun, trial.counts(begun)

    assert counted([first, second, off])[1] == [2, 0, 0]
    begun, counts = counted([second, first, off])
    assert counts == [1, 2, 0]
    assert trial.result(begun)[:2] == (2, 2)
    assert begun.rows.get(ticket=ticket).team_would == people.support, "the later one has the last word"
    off.active, first.active = True, False
    begun, counts = counted([first, off, second])
    assert counts == [0, 1, 1]
    assert begun.rows.get(ticket=plain).matched is False
    assert not Rule.objects.get(pk=off.pk).active


def test_the_tickets_of_a_month_are_more_than_the_last_ones(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        say(people, "Hello", n)
    Ticket.objects.filter(pk=Ticket.objects.earliest("pk").pk).update(created_at=NOW - timedelta(days=31))
    monkeypatch.setattr(trials, "LAST", 1)
    rule = a_rule(people)
    assert [trial.begin_set([rule], by=people.admin, days=days, now=NOW).total for days in (None, 30)] == [1, 2]


def test_a_set_is_put_together_tried_and_made_so(people: Cast) -> None:
    client = Client()
    client.force_login(people.admin, backend="django.contrib.auth.backends.ModelBackend")
    refund, quiet, other = (
        a_rule(people, name="Refund"),
        a_rule(people, name="Quiet", position=1),
        a_rule(people, name="Rated", when="rated", position=2),
    )
    last = a_rule(people, name="Last", conditions={}, position=3, stop=True)
    for rule in (refund, quiet, other, last):
        rule.save()
    say(people, "I want a refund", 1)
    page = client.get("/settings/rules/trials/set/").content.decode()
    assert "Refund" in page and "Rated" not in page
    chosen = {"when": "created", "rule": [last.pk, quiet.pk, refund.pk], "on": [last.pk, refund.pk]}
    begun = client.post("/settings/rules/trials/set/", chosen)
    assert begun.status_code == 302
    while trial.drain(now=NOW, seconds=60):
        pass
    shown = client.get(begun.url).content.decode()
    assert "every 1s" not in shown and "rule 1 (Last) stops" in shown
    again = client.get("/settings/rules/trials/set/", {"from": RuleTrial.objects.get().pk}).content.decode()
    assert [again.index(f'data-key="{rule.pk}"') for rule in (last, quiet, refund)] == sorted(
        again.index(f'data-key="{rule.pk}"') for rule in (last, quiet, refund)
    )
    assert list(Rule.objects.order_by("position")) == [refund, quiet, other, last], "nothing is saved"
    client.post(f"{begun.url}adoption/")
    assert list(Rule.objects.order_by("position")) == [last, quiet, other, refund]
    assert list(Rule.objects.filter(active=False)) == [quiet]
    assert AuditEntry.objects.get(kind="rules_ordered").facts["switched"] == {str(quiet.pk): False}
