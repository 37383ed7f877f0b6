"""How long a ticket may stay with a team before it acts: a clock like the others, which touches no promise to customers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from agents.models import Team
from tests import cast
from tests.cast import Cast
from tests.workspace import scene
from tickets import actions, triggers
from tickets.models import Event, Rule, RuleRun, SlaClock, SlaPolicy, SlaTarget, Ticket
from tickets.models.event import by_agent
from tickets.routing import assign
from tickets.sla import clocks, trial

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
JIWOO = scene.sender("Jiwoo", phone="+821011112222")


def later(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


@pytest.fixture
def people() -> Cast:
    """Support has an hour, Billing half of one; Support has the texts."""
    made = cast.assemble()
    for team, minutes in ((made.support, 60), (made.billing, 30)):
        team.act_minutes, team.act_warn_percents = minutes, [50, 90]
        team.save()
    made.sms.team = made.support
    made.sms.save()
    return made


def a_ticket(people: Cast) -> Ticket:
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    assign.assign(ticket.pk, now=NOW)
    return Ticket.objects.get(pk=ticket.pk)


def turns() -> list[tuple[str, str, datetime]]:
    rows = SlaClock.objects.filter(metric="team").order_by("id")
    return [(row.team.name if row.team else "", row.state, row.ended_at or row.due_at) for row in rows]


def move(ticket: Ticket, team: Team, people: Cast, *, minutes: float) -> None:
    actions.assign(ticket, assignee=None, team=team, by=by_agent(people.manager), now=later(minutes))


def test_it_begins_when_routing_has_looked_and_ends_with_an_answer(people: Cast) -> None:
    ticket = scene.says(people.sms, JIWOO, "Hello", at=NOW).ticket
    assert turns() == []
    assign.assign(ticket.pk, now=NOW)
    assert turns() == [("Support", "running", later(60))]
    scene.answers(ticket, people.manager, "Hi", at=later(20))
    assert turns() == [("Support", "met", later(20))]
    scene.says(people.sms, JIWOO, "And?", at=later(25))
    actions.assign(ticket, assignee=people.agent, team=people.support, by=by_agent(people.manager), now=later(26))
    assert len(turns()) == 1, "it is still the same stay"


def test_each_team_that_gets_it_has_its_own_turn(people: Cast) -> None:
    ticket = a_ticket(people)
    move(ticket, people.billing, people, minutes=10)
    move(ticket, people.support, people, minutes=50)
    assert turns() == [
        ("Support", "met", later(10)), ("Billing", "met", later(50)), ("Support", "running", later(110)),
    ]  # fmt: skip
    breached = SlaClock.objects.get(team=people.billing)
    assert breached.breached_at == later(50), "half an hour had passed"
    assert Event.objects.get(kind="sla_breached").particulars["metric"] == "team"


def test_a_rule_that_finds_the_team_begins_its_turn_and_no_other(people: Cast) -> None:
    do = [{"do": "team", "team": people.billing.pk}]
    Rule.objects.create(name="Refunds", when="created", conditions={}, actions=do)
    a_ticket(people)
    assert turns() == [("Billing", "running", later(30))]


def test_it_stands_still_while_somebody_else_is_waited_for(people: Cast) -> None:
    ticket = a_ticket(people)
    by = by_agent(people.manager)
    actions.set_status(ticket, "on_hold", by=by, now=later(10))
    clocks.sweep(now=later(500))
    assert not Event.objects.filter(kind__in=["sla_warning", "sla_breached"]).exists()
    actions.set_status(ticket, "open", by=by, now=later(510))
    assert turns() == [("Support", "running", later(560))]


def test_warnings_come_at_each_percent_and_the_breach_once(people: Cast) -> None:
    a_ticket(people)
    for minute in (29, 30, 54, 60, 61):
        clocks.sweep(now=later(minute))
    told = Event.objects.filter(kind__in=["sla_warning", "sla_breached"]).order_by("id")
    assert [(one.kind, one.particulars.get("percent"), one.at) for one in told] == [
        ("sla_warning", 50, later(30)), ("sla_warning", 90, later(54)), ("sla_breached", None, later(60)),
    ]  # fmt: skip


def test_a_solve_ends_it_a_reopening_begins_another_and_an_undo_none(people: Cast) -> None:
    ticket = a_ticket(people)
    by = by_agent(people.manager)
    solved = actions.solve(ticket, by=by, now=later(5))
    assert solved and turns() == [("Support", "met", later(5))]
    actions.undo_status(ticket, event=solved, by=by, now=later(6))
    assert turns() == [("Support", "running", later(60))]
    actions.solve(ticket, by=by, now=later(10))
    scene.says(people.sms, JIWOO, "No!", at=later(100))
    assert turns() == [("Support", "met", later(10)), ("Support", "running", later(160))]


def test_an_answer_stays_an_act_when_its_solve_is_undone(people: Cast) -> None:
    ticket = a_ticket(people)
    scene.answers(ticket, people.manager, "Done", at=later(5), then={"status": "solved"})
    solved = Event.objects.get(kind="solved")
    actions.undo_status(ticket, event=solved, by=by_agent(people.manager), now=later(6))
    assert turns() == [("Support", "met", later(5))]


def test_a_team_without_a_target_has_no_turn(people: Cast) -> None:
    Team.objects.update(act_minutes=None)
    move(a_ticket(people), Team.objects.get(pk=people.billing.pk), people, minutes=5)
    assert turns() == []


def test_what_customers_were_promised_is_counted_without_it(people: Cast) -> None:
    policy = SlaPolicy.objects.create(name="Standard")
    SlaTarget.objects.create(policy=policy, metric="first_reply", priority=2, seconds=7200, business=False)
    ticket = a_ticket(people)
    clocks.sweep(now=later(60))
    scene.answers(ticket, people.manager, "Hi", at=later(90))
    assert SlaClock.objects.filter(metric="team", breached_at__isnull=False).exists()
    begun = trial.begin(policy, {("first_reply", 2): (7200, False)}, by=people.admin, span="last", now=later(100))
    while trial.drain(now=later(100), seconds=30):
        pass
    first = trial.result(begun, covered_only=False)[0]
    assert first.was == first.would == (1, 0, 0)


def test_the_ticket_and_its_explanation_show_it(people: Cast) -> None:
    ticket = a_ticket(people)
    client = Client()
    client.force_login(people.manager, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/tickets/{ticket.pk}/").content.decode()
    assert "Team’s turn" in page
    why = client.get(f"/tickets/{ticket.pk}/explanation/").content.decode()
    assert "Team’s turn" in why and "Support" in why


# -- Escalation ---------------------------------------------------------------------------------------------------------


def rule(when: str, name: str, metric: str, **facts: object) -> Rule:
    tree = {"field": "promise", "op": "is", "value": [metric]}
    do = [{"do": "tags", "add": [name]}]
    return Rule.objects.create(**{"name": name, "when": when, "conditions": tree, "actions": do} | facts)


def tags_of(ticket: Ticket) -> set[str]:
    return set(ticket.tags.values_list("name", flat=True))


def run(minutes: float) -> None:
    clocks.sweep(now=later(minutes))
    triggers.drain(now=later(minutes), seconds=30)


def test_a_rule_asks_which_deadline_is_missed(people: Cast) -> None:
    rule("sla_breached", "turn", "team")
    rule("sla_breached", "reply", "first_reply")
    ticket = a_ticket(people)
    run(60)
    assert tags_of(ticket) == {"turn"}


def test_a_second_step_is_taken_while_the_deadline_stays_missed(people: Cast) -> None:
    rule("sla_breached", "lead told", "team")
    rule("overdue", "moved", "team", after_minutes=30, actions=[
        {"do": "tags", "add": ["moved"]}, {"do": "team", "team": people.billing.pk},
    ])  # fmt: skip
    ticket = a_ticket(people)
    run(60)
    run(89)
    assert tags_of(ticket) == {"lead told"}
    run(90)
    ticket.refresh_from_db()
    assert (tags_of(ticket), ticket.team) == ({"lead told", "moved"}, people.billing)
    run(91)
    assert RuleRun.objects.filter(trigger="overdue").count() == 1


def test_an_answer_in_between_makes_the_second_step_needless(people: Cast) -> None:
    rule("overdue", "moved", "team", after_minutes=30)
    ticket = a_ticket(people)
    run(60)
    scene.answers(ticket, people.manager, "Hi", at=later(80))
    run(95)
    assert tags_of(ticket) == set()


def test_each_missed_deadline_has_its_own_second_step(people: Cast) -> None:
    policy = SlaPolicy.objects.create(name="Standard")
    SlaTarget.objects.create(policy=policy, metric="first_reply", priority=2, seconds=75 * 60, business=False)
    rule("overdue", "reply", "first_reply", after_minutes=30)
    ticket = a_ticket(people)
    run(60)
    run(75)
    run(90)
    assert tags_of(ticket) == set()
    run(105)
    assert tags_of(ticket) == {"reply"}
