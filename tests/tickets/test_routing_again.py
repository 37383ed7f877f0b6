"""Every decision is made once more from what is stored with it, and comes out to the letter as it was."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.models import Agent, AgentSkill, Skill
from tests import cast
from tests.cast import Cast
from tests.tickets.test_routing import NOW, come_online, new_ticket, said_by
from tests.tickets.test_routing_choice import people as somebody
from tickets import actions
from tickets.models import Channel, RoutingDecision, Ticket, TicketSkill
from tickets.models.event import SYSTEM
from tickets.routing import again, assign, decide, explain
from tickets.routing.choice import PLACE, Claim, Need, Person, Question

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> Cast:
    return cast.assemble()


@pytest.fixture
def skills(people: Cast) -> dict[str, Skill]:
    """Mina is an expert in French, Theo gets along in it and knows refunds; Omar of Billing knows both."""
    made = {name: Skill.objects.create(name=name) for name in ("French", "Refunds", "Latin")}
    for agent, able in (
        (people.agent, {"French": 3}),
        (people.teammate, {"French": 1, "Refunds": 2}),
        (people.outsider, {"French": 3, "Refunds": 3}),
    ):
        AgentSkill.objects.bulk_create(
            AgentSkill(agent=agent, skill=made[name], level=level) for name, level in able.items()
        )
    return made


def needing(ticket: Ticket, skill: Skill, level: int, *, required: bool = True, relaxes: int | None = None) -> Ticket:
    wished_from = NOW + timedelta(minutes=relaxes) if relaxes is not None else None
    TicketSkill.objects.create(ticket=ticket, skill=skill, level=level, required=required, wished_from=wished_from)
    return ticket


def decided(ticket: Ticket, *, minutes: float = 0) -> RoutingDecision:
    now = NOW + timedelta(minutes=minutes)
    Ticket.objects.filter(pk=ticket.pk).update(routing_due_at=now)
    made = assign.assign(ticket.pk, now=now)
    assert made is not None
    return RoutingDecision.objects.get(pk=made.pk)


def everything_changes(people: Cast) -> None:
    """What is stored is all that counts."""
    AgentSkill.objects.all().delete()
    TicketSkill.objects.all().delete()
    Agent.objects.update(capacity=0, presence="offline", name="Somebody")
    Channel.objects.update(weight=7)
    people.support.memberships.all().delete()


def test_a_day_of_everything_comes_out_as_it_was(people: Cast, skills: dict[str, Skill]) -> None:
    people.support.overflow, people.support.overflow_minutes, people.support.sticky_days = people.billing, 10, 7
    people.support.save()
    Channel.objects.filter(pk=people.sms.pk).update(weight=70)
    come_online(people.agent, people.teammate, people.outsider)
    made: dict[str, RoutingDecision] = {}

    def new(**facts: Any) -> Ticket:
        return new_ticket(people, team=people.support, **facts)

    made["required"] = decided(needing(new(), skills["French"], 2))
    made["wished"] = decided(needing(needing(new(), skills["French"], 1), skills["Refunds"], 2, required=False))
    strict = needing(new(), skills["Latin"], 1, relaxes=5)
    made["required still"] = decided(strict, minutes=1)
    come_online(people.agent, people.teammate, people.outsider, at=NOW + timedelta(minutes=5))
    made["relaxed"] = decided(strict, minutes=5)
    friend = cast.make_customer("Yuna", now=NOW)
    said_by(people.teammate, new(customer=friend, status="solved"))
    made["sticky"] = decided(new(customer=friend), minutes=5)
    Agent.objects.filter(pk__in=[people.agent.pk, people.teammate.pk]).update(capacity=1)
    made["full"] = decided(new(), minutes=5)
    waiting = Ticket.objects.get(pk=made["full"].ticket_id)
    come_online(people.agent, people.teammate, people.outsider, at=NOW + timedelta(minutes=11))
    made["overflow"] = decided(waiting, minutes=11)
    made["kept"] = decided(new(assignee=people.agent), minutes=11)
    Channel.objects.filter(pk=people.sms.pk).update(team=None)
    made["no team"] = decided(new_ticket(people), minutes=11)

    outcomes = {name: (one.outcome, one.agent and one.agent.name, one.tie_breaker) for name, one in made.items()}
    assert outcomes == {
        "required": ("assigned", "Mina", "only_one"),
        "wished": ("assigned", "Theo", "wished_skills"),
        "required still": ("queued", None, ""),
        "relaxed": ("assigned", "Mina", "longest_since_last"),
        "sticky": ("assigned", "Theo", "knows_customer"),
        "full": ("queued", None, ""),
        "overflow": ("assigned", "Omar", "only_one"),
        "kept": ("kept", "Mina", ""),
        "no team": ("no_team", None, ""),
    }
    everything_changes(people)
    assert {name: found for name, one in made.items() if (found := again.differences(one))} == {}
    told = {name: list(explain.explained(one).needs) for name, one in made.items()}
    assert {name: needs for name, needs in told.items() if needs} == {
        "required": ["Needed: French (Good)"],
        "wished": ["Needed: French (Basic)", "Wished: Refunds (Good)"],
        "required still": ["Needed: Latin (Basic)"],
        "relaxed": ["No longer needed, only wished: Latin (Basic)"],
    }


def test_those_who_come_first_are_part_of_it(people: Cast, skills: dict[str, Skill]) -> None:
    Agent.objects.filter(pk=people.agent.pk).update(capacity=1)
    first = new_ticket(people, team=people.support)
    assert decided(first).outcome == "queued"
    come_online(people.agent, at=NOW)
    second = needing(new_ticket(people, team=people.support, at=NOW + timedelta(seconds=1)), skills["French"], 1)
    decision = decided(second, minutes=0.1)
    assert (decision.outcome, decision.candidates[0]["skipped"]) == ("queued", "others_first")
    assert decision.inputs["ahead"] == [[PLACE, {}, False]]
    assert again.differences(decision) == []
    decision.inputs["ahead"] = []
    assert again.differences(decision) == ["outcome", "agent", "tie_breaker", "candidates"]


asked = st.lists(
    st.builds(
        Need,
        st.integers(1, 3),
        st.just("S"),
        st.integers(1, 3),
        st.booleans(),
        st.sampled_from([None, NOW - timedelta(minutes=1), NOW, NOW + timedelta(microseconds=1)]),
    ),
    max_size=3,
    unique_by=lambda need: need.skill_id,
)
claims = st.lists(
    st.builds(
        Claim, st.integers(1, 200), st.dictionaries(st.integers(1, 3), st.integers(1, 3), max_size=2), st.booleans()
    ),
    max_size=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(somebody, max_size=8, unique_by=lambda one: one.agent_id), asked, claims, st.integers(1, 200))
def test_no_question_is_answered_otherwise_after_it_was_stored(
    there: list[Person], needs: list[Need], ahead: list[Claim], weight: int
) -> None:
    question = Question(NOW, weight, needs, there, ahead)
    stored = json.loads(json.dumps(again.inputs_of(question)))
    assert again.question_of(stored).answer() == question.answer()
    assert again.inputs_of(again.question_of(stored)) == stored


def test_each_of_a_batch_is_decided_again_by_itself(people: Cast) -> None:
    come_online(people.agent, people.teammate)
    tickets = [new_ticket(people, team=people.support) for _n in range(6)]
    decide.decide([one.pk for one in tickets], now=NOW, full=decide.Full())
    made = RoutingDecision.objects.order_by("id")
    assert len(made) == 6 and {one.tie_breaker for one in made} == {"by_id", "fewest_open", "longest_since_last"}
    assert [again.differences(one) for one in made] == [[]] * 6


@pytest.mark.parametrize(
    ("damage", "noticed"),
    [
        (lambda inputs: inputs["people"][0].update(skills={}), ["outcome", "agent", "tie_breaker", "candidates"]),
        (lambda inputs: inputs["people"][0].update(load=300), ["candidates"]),
        (lambda inputs: inputs["needs"][0].update(level=1), ["agent", "tie_breaker", "candidates"]),
        (lambda inputs: inputs["needs"][0].update(wished_from=inputs["at"]), ["tie_breaker", "candidates"]),
        (lambda inputs: inputs["people"][0].update(name="Mona"), ["candidates"]),
        (lambda inputs: inputs.pop("people"), ["outcome", "agent", "tie_breaker", "candidates"]),
    ],
)
def test_any_other_input_is_noticed(people: Cast, skills: dict[str, Skill], damage: Any, noticed: list[str]) -> None:
    """Mina has more, and is the only one who may."""
    come_online(people.agent, people.teammate)
    actions.assign(new_ticket(people), assignee=people.agent, team=people.support, by=SYSTEM, now=NOW)
    decision = decided(needing(new_ticket(people, team=people.support), skills["French"], 2))
    assert (decision.agent, again.differences(decision)) == (people.agent, [])
    damage(decision.inputs)
    assert again.differences(decision) == noticed


def test_the_command_says_what_comes_out_otherwise(people: Cast) -> None:
    come_online(people.agent)
    decision = decided(new_ticket(people, team=people.support))
    old = decided(new_ticket(people, team=people.support))
    RoutingDecision.objects.filter(pk=old.pk).update(inputs=None)

    def run(*numbers: str) -> str:
        out = StringIO()
        call_command("routing_explain", *numbers, "--again", stdout=out)
        return out.getvalue()

    assert run() == "Decided again: 1 the same, 0 otherwise, 1 from before this was kept.\n"
    assert run(str(decision.ticket.number)).endswith("1 the same, 0 otherwise, 0 from before this was kept.\n")
    RoutingDecision.objects.filter(pk=decision.pk).update(tie_breaker="fewest_open")
    with pytest.raises(CommandError, match="1 decisions"):
        run()
    with pytest.raises(CommandError, match="number of a ticket"):
        call_command("routing_explain")
