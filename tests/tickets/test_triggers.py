"""Rules that something sets off, or that nothing happened for long enough: once, never in circles, and told on the ticket."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from unittest import mock

import pytest
from django.test import Client

from agents.models import Calendar, CalendarWindow
from tests import cast
from tests.cast import Cast
from tests.workspace import scene
from tickets import actions, notifying, triggers
from tickets.models import (
    Channel,
    Customer,
    Event,
    Macro,
    Message,
    Notification,
    Outbox,
    RoutingDecision,
    Rule,
    RuleMatch,
    RuleRun,
    RuleTimer,
    SlaClock,
    SlaPolicy,
    SlaTarget,
    Ticket,
    TicketField,
    Webhook,
)
from tickets.models.event import SYSTEM, by_agent
from tickets.models.rule import OF_TIME
from tickets.routing import assign, explain, rules, versions
from tickets.sla import clocks

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
JIWOO = scene.sender("Jiwoo", phone="+821011112222")


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


def rule(when: str, *do: dict[str, Any], **facts: Any) -> Rule:
    return Rule.objects.create(**{"name": when, "when": when, "conditions": {}, "actions": list(do)} | facts)


def tag(name: str) -> dict[str, Any]:
    return {"do": "tags", "add": [name]}


def run(at: datetime = NOW + timedelta(minutes=2)) -> int:
    return triggers.drain(now=at, seconds=30)


def a_ticket(people: Cast, text: str = "Hello", at: datetime = NOW) -> Ticket:
    ticket = scene.says(people.sms, JIWOO, text, at=at).ticket
    actions.assign(ticket, assignee=people.agent, team=people.support, by=SYSTEM, now=at)
    Outbox.objects.all().delete()
    return Ticket.objects.get(pk=ticket.pk)


def tags_of(ticket: Ticket) -> set[str]:
    return set(ticket.tags.values_list("name", flat=True))


def happens(what: str, ticket: Ticket, people: Cast) -> None:
    """Something to a ticket of the agent's, a minute later."""
    by, at = by_agent(people.agent), NOW + timedelta(minutes=1)
    match what:
        case "customer_replied":
            scene.says(people.sms, JIWOO, "And?", at=at)
        case "agent_replied":
            scene.answers(ticket, people.agent, "Here", at=at)
        case "status_changed":
            actions.set_status(ticket, "pending", by=by, now=at)
        case "priority_changed":
            actions.set_priority(ticket, 4, by=by, now=at)
        case "assigned":
            actions.assign(ticket, assignee=people.teammate, team=people.support, by=by, now=at)
        case "tags_changed":
            actions.change_tags(ticket, add=["x"], by=by, now=at)
        case "fields_changed":
            TicketField.objects.create(key="order_id", label="Order number")
            actions.set_fields(ticket, {"order_id": "A-1"}, by=by, now=at)
        case "rated":
            ticket.rate(1, now=at, survey_id=1)
        case "sla_warning" | "sla_breached":
            ticket.record(what, by=SYSTEM, now=at, metric="first_reply", clock=1)


WHENS = [when for when in Rule.When.values if when not in ("created", *OF_TIME)]


@pytest.mark.parametrize("when", WHENS)
def test_what_happens_sets_off_its_own_rules_and_no_others(people: Cast, when: str) -> None:
    ticket = a_ticket(people)
    for one in WHENS:
        rule(one, tag(one))
    happens(when, ticket, people)
    run()
    assert tags_of(ticket) - {"x"} == {when}
    (ran,) = RuleRun.objects.all()
    assert (ran.trigger, ran.rules[0]["matched"], ran.rules[0]["did"]) == (when, True, [tag(when)])


def test_nothing_is_owed_while_no_rule_waits_for_it(people: Cast) -> None:
    ticket = a_ticket(people)
    rule("status_changed", tag("x"), active=False)
    happens("status_changed", ticket, people)
    assert not Outbox.objects.filter(kind="rules").exists()


def test_an_event_runs_the_rules_once_however_often_it_is_owed(people: Cast) -> None:
    ticket = a_ticket(people)
    rule("status_changed", {"do": "note", "text": "Seen"})
    happens("status_changed", ticket, people)
    row = Outbox.objects.get(kind="rules")
    Outbox.objects.create(kind="rules", shard_key="rules", payload=row.payload, next_attempt_at=NOW)
    late = NOW + timedelta(minutes=2)
    run(late)
    assert Message.objects.filter(ticket=ticket, kind="note").count() == 1
    assert RuleMatch.objects.count() == 1
    assert not Outbox.objects.filter(kind="rules").exists()


def test_what_a_rule_did_sets_no_rule_off(people: Cast) -> None:
    ticket = a_ticket(people)
    rule("status_changed", {"do": "priority", "priority": 4}, {"do": "status", "status": "on_hold"})
    rule("priority_changed", tag("again"))
    happens("status_changed", ticket, people)
    assert run(NOW + timedelta(minutes=2)) == 2  # the event, and what was left to be done
    ticket.refresh_from_db()
    assert (ticket.priority, ticket.status, tags_of(ticket)) == (4, "on_hold", set())


def test_a_ticket_on_which_rules_never_rest_is_left_alone(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_RUNS", 2)
    ticket = a_ticket(people)
    rule("sla_breached", {"do": "note", "text": "Late"})
    for _n in range(4):
        happens("sla_breached", ticket, people)
    run(NOW + timedelta(minutes=2))
    assert Message.objects.filter(ticket=ticket, kind="note").count() == 2
    told = [step.note for one in explain.decisions(ticket) for step in one.steps]
    assert any("never go round in circles" in note for note in told)


def test_the_first_condition_that_did_not_hold_is_told_on_the_ticket(people: Cast) -> None:
    ticket = a_ticket(people)
    urgent = {"field": "priority", "op": "at_least", "value": 4}
    rule("status_changed", tag("hot"), conditions={"all": [urgent]}, name="Urgent")
    happens("status_changed", ticket, people)
    run()
    told = explain.decisions(ticket)[0]
    assert told.trigger == "The status changes"
    assert (told.steps[0].name, told.steps[0].matched) == ("Urgent, version 1", False)
    assert "Urgent" in told.steps[0].note and tags_of(ticket) == set()


def test_a_rule_that_fails_is_tried_again_and_holds_nothing_up(people: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = a_ticket(people)
    rule("status_changed", tag("x"))
    rule("priority_changed", tag("y"))
    happens("status_changed", ticket, people)
    happens("priority_changed", ticket, people)
    honest = triggers.rules.run

    def broken(*args: Any, when: str, **more: Any) -> Any:
        if when == "status_changed":
            raise RuntimeError("no")
        return honest(*args, when=when, **more)

    monkeypatch.setattr(triggers.rules, "run", broken)
    at = NOW + timedelta(minutes=2)
    run(at)
    assert tags_of(ticket) == {"y"}
    monkeypatch.setattr(triggers.rules, "run", honest)
    run(at + timedelta(minutes=2))
    assert tags_of(ticket) == {"x", "y"}


# -- A customer's words: routing and this module share them -------------------------------------------------------------


def notes_of(ticket: Ticket) -> int:
    return Message.objects.filter(ticket=ticket, kind="note", author_type="bot").count()


def a_routed_ticket(people: Cast) -> Ticket:
    """It was decided, and has its person since."""
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    assert assign.assign(ticket.pk, now=NOW)
    actions.assign(ticket, assignee=people.agent, team=people.support, by=SYSTEM, now=NOW)
    return ticket


def look(ticket: Ticket, at: datetime) -> RoutingDecision:
    Ticket.objects.filter(pk=ticket.pk).update(routing_due_at=at)
    decided = assign.assign(ticket.pk, now=at)
    assert decided is not None
    return decided


@pytest.fixture
def queued(people: Cast) -> Ticket:
    """It was decided, and nobody is there: it waits. A rule leaves a note where its customer writes again."""
    rule("customer_replied", {"do": "note", "text": "Again"})
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    Ticket.objects.filter(pk=ticket.pk).update(team=people.support)
    assign.assign(ticket.pk, now=NOW)
    return ticket


@pytest.mark.parametrize("routing_first", [True, False])
def test_words_are_seen_once_by_routing_or_here(people: Cast, queued: Ticket, routing_first: bool) -> None:
    later = NOW + timedelta(minutes=5)
    scene.says(people.sms, JIWOO, "And?", at=later)
    works = [lambda: look(queued, later), lambda: run(later)]
    for work in works if routing_first else works[::-1]:
        work()
    run(later)
    actions.assign(queued, assignee=people.agent, team=people.support, by=SYSTEM, now=later)
    run(later)
    assert notes_of(queued) == 1


def test_a_waiting_ticket_is_looked_at_again_and_again_and_its_rules_run_once(people: Cast, queued: Ticket) -> None:
    """Though a note of the rule is the newest message, and the customer's the last that anybody answers."""
    scene.says(people.sms, JIWOO, "And?", at=NOW + timedelta(minutes=5))
    for minute in range(6, 11):
        at = NOW + timedelta(minutes=minute)
        look(queued, at)
        run(at + timedelta(seconds=2))
    assert notes_of(queued) == 1
    assert RoutingDecision.objects.filter(ticket=queued, trigger="customer_replied").count() == 1


@pytest.mark.parametrize("what", ["a note", "an automatic answer"])
def test_neither_a_colleague_nor_a_machine_is_the_customer_who_writes_again(
    people: Cast, queued: Ticket, what: str
) -> None:
    later = NOW + timedelta(minutes=5)
    if what == "a note":
        scene.notes(queued, people.agent, "Who knows her?", at=later)
    else:
        scene.says(people.sms, JIWOO, "I am away", at=later, is_auto_reply=True)
    run(later)
    assert look(queued, later).rules == []
    run(later)
    assert notes_of(queued) == 0


def test_what_comes_back_to_routing_has_been_through_the_rules(people: Cast) -> None:
    """The rule gives it to a team that its agent is not in; and later its agent goes away."""
    ticket = a_routed_ticket(people)
    rule("customer_replied", {"do": "note", "text": "Again"}, {"do": "team", "team": people.billing.pk})
    at = NOW + timedelta(minutes=1)
    scene.says(people.sms, JIWOO, "And?", at=at)
    run(at)
    ticket.refresh_from_db()
    assert (ticket.team, ticket.assignee) == (people.billing, None)
    assert look(ticket, at + timedelta(seconds=5)).rules == []
    run(at + timedelta(minutes=1))
    actions.assign(ticket, assignee=people.agent, team=people.billing, by=SYSTEM, now=at)
    actions.assign(ticket, assignee=None, team=people.billing, by=SYSTEM, now=at)
    assert look(ticket, at + timedelta(minutes=2)).rules == []
    assert notes_of(ticket) == 1
    assert RuleMatch.objects.count() == 1


def test_a_rule_does_not_look_back_to_what_was_written_before_there_was_one(people: Cast) -> None:
    ticket = a_routed_ticket(people)
    scene.says(people.sms, JIWOO, "And?", at=NOW + timedelta(minutes=1))
    rule("customer_replied", {"do": "note", "text": "Again"})
    later = NOW + timedelta(minutes=2)
    actions.assign(ticket, assignee=None, team=people.support, by=SYSTEM, now=later)
    assert look(ticket, later).rules == []


def test_several_messages_at_once_are_one_run_of_routing_that_asks_for_all_of_them(
    people: Cast, queued: Ticket
) -> None:
    said = {"field": "said", "op": "contains", "value": ["cancel"]}
    rule("customer_replied", tag("cancels"), conditions=said)
    later = NOW + timedelta(minutes=5)
    scene.says(people.sms, JIWOO, "Cancel it", at=later)
    scene.says(people.sms, JIWOO, "please", at=later)
    look(queued, later)
    run(later)
    assert (notes_of(queued), tags_of(queued)) == (1, {"cancels"})


def test_runs_of_routing_count_where_rules_never_rest(
    people: Cast, queued: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MOST_RUNS", 2)
    for n in range(1, 5):
        at = NOW + timedelta(minutes=n)
        scene.says(people.sms, JIWOO, "And?", at=at)
        look(queued, at) if n % 2 else run(at)
        run(at)
    assert notes_of(queued) == 2
    told = [step.note for one in explain.decisions(queued) for step in one.steps]
    assert sum("never go round in circles" in note for note in told) == 2


def test_an_automatic_answer_of_the_customer_sets_nothing_off(people: Cast) -> None:
    ticket = a_ticket(people)
    rule("customer_replied", tag("x"))
    scene.says(people.sms, JIWOO, "I am away", at=NOW + timedelta(minutes=1), is_auto_reply=True)
    run(NOW + timedelta(minutes=2))
    assert tags_of(ticket) == set()


def test_a_warning_tells_how_much_of_the_time_is_used(people: Cast) -> None:
    policy = SlaPolicy.objects.create(name="All", warn_percents=[50, 75])
    SlaTarget.objects.create(policy=policy, metric="first_reply", priority=2, seconds=3600, business=False)
    rule("sla_warning", tag("soon"), conditions={"field": "percent", "op": "is", "value": 50})
    rule("sla_warning", tag("hurry"), conditions={"field": "percent", "op": "at_least", "value": 75})
    rule("sla_breached", tag("late"), conditions={"field": "percent", "op": "at_least", "value": 100})
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    for minutes, found in ((30, {"soon"}), (45, {"soon", "hurry"}), (60, {"soon", "hurry", "late"})):
        at = NOW + timedelta(minutes=minutes)
        clocks.sweep(now=at)
        run(at)
        assert tags_of(ticket) == found


def test_what_was_said_before_sets_off_no_rule_again(people: Cast) -> None:
    ticket = a_ticket(people, "Cancel it")
    rule("customer_replied", tag("cancels"), conditions={"field": "said", "op": "contains", "value": ["cancel"]})
    rule("customer_replied", tag("ever"), conditions={"field": "text", "op": "contains", "value": ["cancel"]})
    rule("customer_replied", tag("mail"), conditions={"field": "said_on", "op": "is", "value": ["email"]})
    rule("agent_replied", tag("we cancel"), conditions={"field": "said", "op": "contains", "value": ["cancelled"]})
    scene.says(people.sms, JIWOO, "Thanks", at=NOW + timedelta(minutes=1))
    run(NOW + timedelta(minutes=1))
    assert tags_of(ticket) == {"ever"}
    scene.answers(ticket, people.agent, "It is cancelled", at=NOW + timedelta(minutes=2))
    run(NOW + timedelta(minutes=2))
    assert tags_of(ticket) == {"ever", "we cancel"}


def test_a_new_ticket_is_asked_whether_a_machine_wrote_it(people: Cast) -> None:
    rule("created", tag("machine"), conditions={"field": "said_by", "op": "is", "value": ["machine"]})
    for n, automatic in enumerate((True, False)):
        who = scene.sender(f"Customer {n}", phone=f"+82105555666{n}")
        ticket = scene.says(people.sms, who, "Hello", at=NOW, is_auto_reply=automatic).ticket
        assign.assign(ticket.pk, now=NOW)
        assert tags_of(ticket) == ({"machine"} if automatic else set())


# -- What is done -------------------------------------------------------------------------------------------------------


def test_a_reply_goes_once_for_each_ticket_and_never_to_a_machine(people: Cast) -> None:
    ticket = a_ticket(people)
    rule("sla_breached", {"do": "reply", "text": "Sorry, {{customer.name}}. {{field.none}}"})
    for _n in range(2):
        happens("sla_breached", ticket, people)
    run(NOW + timedelta(minutes=2))
    (said,) = Message.objects.filter(ticket=ticket, direction="out", kind="public")
    assert (said.text, said.automatic, said.author_type) == ("Sorry, Jiwoo.", True, "bot")
    assert "has answered here once already" in explain.decisions(ticket)[0].steps[0].note

    other = scene.sender("Robot", phone="+821033334444")
    away = scene.says(people.sms, other, "Out of office", at=NOW, is_auto_reply=True).ticket
    away.record("sla_breached", by=SYSTEM, now=NOW, metric="first_reply", clock=1)
    run(NOW + timedelta(minutes=3))
    assert not Message.objects.filter(ticket=away, direction="out").exists()


@pytest.mark.parametrize(
    ("address", "why"), [("no-reply@elsewhere.example", "nobody reads mail"), ("other@shop.example", "one of ours")]
)
def test_a_reply_spares_those_whom_no_automatic_answer_goes_to(people: Cast, address: str, why: str) -> None:
    Channel.objects.filter(pk=people.sms.pk).update(address="other@shop.example")
    rule("created", {"do": "reply", "text": "We have it."})
    ticket = scene.says(people.email, scene.sender("Robot", email=address), "Hello", at=NOW).ticket
    assign.assign(ticket.pk, now=NOW)
    run()
    assert not Message.objects.filter(ticket=ticket, direction="out").exists()
    assert any(why in step.note for one in explain.decisions(ticket) for step in one.steps)


def test_a_robot_that_answers_in_new_threads_gets_one_reply_a_day(people: Cast) -> None:
    """It says of itself that it is none. Other rules may answer it too, three times within an hour."""
    for n in range(4):
        rule("created", {"do": "reply", "text": f"We have it. {n}"}, position=n)
    robot = scene.sender("Robot", email="robot@elsewhere.example")
    sent = []
    for n in range(3):
        at = NOW + timedelta(minutes=10 * n)
        ticket = scene.says(people.email, robot, "Thank you for your message", at=at, subject=f"Re {n}").ticket
        actions.solve(ticket, by=SYSTEM, now=at)  # what it says next begins another one
        Ticket.objects.filter(pk=ticket.pk).update(status="new", routing_due_at=at)
        assign.assign(ticket.pk, now=at)
        Ticket.objects.filter(pk=ticket.pk).update(status="closed")
        run(at)
        sent.append(Message.objects.filter(ticket=ticket, direction="out").count())
    assert Ticket.objects.count() == 3
    assert sent == [3, 0, 0]


def test_a_macro_does_what_it_does_and_says_its_note(people: Cast) -> None:
    ticket = a_ticket(people)
    macro = Macro.objects.create(
        title="Hold", scope="shared", owner=people.admin, kind="note", text="On hold now",
        deeds=[{"do": "tag", "tags": ["held"]}, {"do": "status", "status": "on_hold"}],
    )  # fmt: skip
    rule("priority_changed", {"do": "macro", "macro": macro.pk})
    happens("priority_changed", ticket, people)
    run(NOW + timedelta(minutes=2))
    ticket.refresh_from_db()
    assert (ticket.status, tags_of(ticket)) == ("on_hold", {"held"})
    note = Message.objects.get(ticket=ticket, kind="note")
    assert (note.text, note.author_name) == ("On hold now", "priority_changed")


def test_a_macro_that_a_rule_says_goes_without_its_marks(people: Cast) -> None:
    ticket = a_ticket(people)
    Customer.objects.filter(pk=ticket.customer_id).update(name="**Jiwoo**")
    macro = Macro.objects.create(
        title="Late", scope="shared", owner=people.admin, text="Sorry, {{customer.name}}: **tomorrow**, _surely_."
    )
    rule("sla_breached", {"do": "macro", "macro": macro.pk})
    happens("sla_breached", ticket, people)
    run(NOW + timedelta(minutes=2))
    said = Message.objects.get(ticket=ticket, direction="out", kind="public")
    assert said.text == said.plain_text == "Sorry, **Jiwoo**: tomorrow, surely."


def test_somebody_is_told_and_a_receiver_is_called_once(people: Cast) -> None:
    ticket = a_ticket(people)
    hook = Webhook.objects.create(url="https://example.org/hook", events=["solved"], secrets={"current": "whsec_eA=="})
    rule(
        "priority_changed",
        {"do": "notify", "agents": [people.agent.pk], "teams": []},
        {"do": "webhook", "webhook": hook.pk},
    )
    happens("priority_changed", ticket, people)
    run(NOW + timedelta(minutes=2))
    call = Outbox.objects.get(kind="webhook")
    event = Event.objects.get(pk=call.payload["event"])
    assert (call.payload["webhook"], event.kind, event.particulars["name"]) == (
        hook.pk,
        "rule_told",
        "priority_changed",
    )
    notifying.drain()
    assert Notification.objects.filter(agent=people.agent, type="rule", ticket=ticket).count() == 1


def test_another_team_takes_it_from_a_person_who_is_not_in_it(people: Cast) -> None:
    ticket = a_ticket(people)
    rule("priority_changed", {"do": "team", "team": people.billing.pk})
    happens("priority_changed", ticket, people)
    run(NOW + timedelta(minutes=2))
    ticket.refresh_from_db()
    assert (ticket.team, ticket.assignee) == (people.billing, None)
    assert ticket.routing_due_at == NOW + timedelta(minutes=2)


def test_a_promise_of_a_rule_wins_over_the_conditions_of_the_policies(people: Cast) -> None:
    for name, minutes, position in (("Standard", 480, 0), ("One hour", 60, 1)):
        policy = SlaPolicy.objects.create(name=name, position=position)
        SlaTarget.objects.bulk_create(
            SlaTarget(policy=policy, metric="first_reply", priority=n, seconds=minutes * 60, business=False)
            for n in (1, 2, 3, 4)
        )
    fast = SlaPolicy.objects.get(name="One hour")
    rule("created", {"do": "sla", "policy": fast.pk})
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    assert SlaClock.objects.get(ticket=ticket).due_at == NOW + timedelta(hours=8)
    assign.assign(ticket.pk, now=NOW)
    clock = SlaClock.objects.get(ticket=ticket)
    assert (clock.policy, clock.due_at) == (fast, NOW + timedelta(hours=1))
    assert clocks.outdated(fast) == 0


def test_what_is_left_to_do_of_a_new_ticket_is_done_after_routing(people: Cast) -> None:
    rule("created", {"do": "status", "status": "solved"}, tag("spam"))
    ticket = scene.says(people.sms, JIWOO, "Cheap", at=NOW).ticket
    decision = assign.assign(ticket.pk, now=NOW)
    assert decision is not None and decision.rules[0]["later"] == [{"do": "status", "status": "solved"}]
    run()
    ticket.refresh_from_db()
    assert (ticket.status, tags_of(ticket)) == ("solved", {"spam"})


# -- What has not happened ----------------------------------------------------------------------------------------------


def test_a_wait_is_looked_at_when_it_has_lasted_and_acted_upon_once(people: Cast) -> None:
    rule("unanswered", tag("late"), after_minutes=120)
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    run()
    assert RuleTimer.objects.get().due_at == NOW + timedelta(hours=2)
    run(NOW + timedelta(minutes=119))
    assert tags_of(ticket) == set()
    due = NOW + timedelta(hours=2)
    assert run(due) == 1
    assert tags_of(ticket) == {"late"}
    actions.change_tags(ticket, remove=["late"], by=by_agent(people.agent), now=due)
    scene.says(people.sms, JIWOO, "Hello?", at=due)  # the same wait goes on
    run(due + timedelta(hours=5))
    assert tags_of(ticket) == set() and not RuleTimer.objects.exists()


@pytest.mark.parametrize(("minutes", "due_at"), [(30, 30), (240, 240)])
def test_a_rule_that_is_saved_with_another_span_holds_for_those_who_wait_already(people: Cast, minutes, due_at) -> None:
    late = rule("unanswered", tag("late"), after_minutes=120)
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    run()
    late.after_minutes = minutes
    versions.save(late, by=None, now=NOW + timedelta(minutes=3))
    run(NOW + timedelta(minutes=4))
    assert RuleTimer.objects.get().due_at == NOW + timedelta(minutes=due_at)
    run(NOW + timedelta(minutes=due_at - 1))
    assert tags_of(ticket) == set()
    run(NOW + timedelta(minutes=due_at))
    assert tags_of(ticket) == {"late"}


def switch_on(late: Rule, people: Cast, now: datetime) -> None:
    late.active = True
    versions.save(late, by=None, now=now)


def switch_on_by_a_press(late: Rule, people: Cast, now: datetime) -> None:
    client = Client()
    client.force_login(people.admin, backend="django.contrib.auth.backends.ModelBackend")
    with mock.patch("django.utils.timezone.now", return_value=now):
        assert client.post(f"/settings/rules/{late.pk}/active/", {"untried": "1"}).status_code == 302


def adopt(late: Rule, people: Cast, now: datetime) -> None:
    late.active = True
    versions.adopt([late], by=people.admin, now=now)


@pytest.mark.parametrize("switches_on", [switch_on, switch_on_by_a_press, adopt])
def test_a_span_that_changes_while_a_rule_is_off_holds_for_those_who_wait_once_it_is_on(people, switches_on) -> None:
    late = rule("unanswered", tag("late"), after_minutes=120)
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    run()
    late.active, late.after_minutes = False, 60
    versions.save(late, by=None, now=NOW + timedelta(minutes=3))
    run(NOW + timedelta(minutes=4))
    switches_on(late, people, NOW + timedelta(minutes=5))
    run(NOW + timedelta(minutes=6))
    assert tags_of(ticket) == set()
    run(NOW + timedelta(minutes=60))
    assert tags_of(ticket) == {"late"}


def test_a_wait_that_begins_anew_moves_the_timer_that_stands(people: Cast) -> None:
    rule("silent", tag("ask again"), after_minutes=60)
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    for minutes in (10, 40):
        scene.answers(ticket, people.agent, "Which size?", at=NOW + timedelta(minutes=minutes))
        run(NOW + timedelta(minutes=minutes))
    assert RuleTimer.objects.get().due_at == NOW + timedelta(minutes=100)


def test_an_answer_ends_the_wait_and_the_next_question_begins_a_new_one(people: Cast) -> None:
    rule("unanswered", tag("late"), after_minutes=60)
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    run()
    scene.answers(ticket, people.agent, "Hi", at=NOW + timedelta(minutes=30))
    again = NOW + timedelta(minutes=50)
    scene.says(people.sms, JIWOO, "And?", at=again)
    run(again)
    run(NOW + timedelta(minutes=60))  # the first timer asks, and waits for the second question
    assert tags_of(ticket) == set()
    assert RuleTimer.objects.get().due_at == again + timedelta(hours=1)
    run(again + timedelta(hours=1))
    assert tags_of(ticket) == {"late"}


def test_the_customer_s_silence_counts_from_our_answer(people: Cast) -> None:
    rule("silent", tag("ask again"), after_minutes=60)
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    scene.answers(ticket, people.agent, "Which size?", at=NOW + timedelta(minutes=10))
    run(NOW + timedelta(minutes=10))
    run(NOW + timedelta(minutes=69))
    assert tags_of(ticket) == set()
    run(NOW + timedelta(minutes=70))
    assert tags_of(ticket) == {"ask again"}


def test_a_note_is_no_answer_from_which_silence_counts(people: Cast) -> None:
    rule("silent", tag("ask again"), after_minutes=3 * 24 * 60)
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    scene.answers(ticket, people.agent, "Which size?", at=NOW)
    run(NOW)
    scene.notes(ticket, people.teammate, "Bet it is an M", at=NOW + timedelta(days=2))
    run(NOW + timedelta(days=3) - timedelta(minutes=1))
    assert tags_of(ticket) == set()
    run(NOW + timedelta(days=3))
    assert tags_of(ticket) == {"ask again"}


def test_business_time_counts_by_the_hours_of_the_team(people: Cast) -> None:
    office = Calendar.objects.create(name="Office", time_zone="UTC")
    for day in range(5):
        CalendarWindow.objects.create(calendar=office, weekday=day, opens=time(9), closes=time(17))
    people.support.calendar = office
    people.support.save()
    rule("unanswered", tag("late"), after_minutes=60, business=True)
    friday = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)
    scene.says(people.sms, JIWOO, "Hello", at=friday)
    Ticket.objects.update(team=people.support)
    run(friday)
    assert RuleTimer.objects.get().due_at == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def test_old_runs_and_hits_are_forgotten(people: Cast) -> None:
    ticket = a_ticket(people)
    rule("status_changed", tag("x"))
    happens("status_changed", ticket, people)
    run()
    assert triggers.forget_old(now=NOW + timedelta(days=89)) == 0
    assert triggers.forget_old(now=NOW + timedelta(days=91)) == 2
    assert not RuleRun.objects.exists() and not RuleMatch.objects.exists()
