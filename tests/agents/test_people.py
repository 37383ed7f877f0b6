"""Who may manage whom: nobody comes to more than they have."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone, translation

from agents.forms import CalendarForm
from agents.models import Agent, AuditEntry, Skill
from tests.cast import Cast, assemble, make_agent, make_customer
from tickets.models import Ticket

pytestmark = pytest.mark.django_db
SignIn = Callable[[Agent], Client]


@pytest.fixture
def people() -> Cast:
    return assemble()


def signed_in(agent: Agent) -> Client:
    client = Client()
    client.force_login(agent, backend="django.contrib.auth.backends.ModelBackend")
    return client


def edited(client: Client, agent: Agent, **changes: str) -> int:
    fields = {
        "name": agent.name, "email": agent.email, "role": agent.role, "sight": agent.sight, "capacity": "5",
        "language": "en", "time_zone": "Asia/Seoul", "is_active": "on", **changes,
    }  # fmt: skip
    return client.post(f"/settings/people/{agent.pk}/", fields).status_code


def test_an_admin_does_not_take_an_owners_address(people: Cast) -> None:
    """With it would come a new password, and the account."""
    owner = make_agent("Ona", role=Agent.Role.OWNER)
    assert edited(signed_in(people.admin), owner, email="ada+2@helpdesk.example", name="Ona B.") == 302
    owner.refresh_from_db()
    assert (owner.email, owner.name, owner.role) == ("ona@helpdesk.example", "Ona B.", Agent.Role.OWNER)
    assert edited(signed_in(owner), owner, email="ona.b@helpdesk.example") == 302
    owner.refresh_from_db()
    assert owner.email == "ona.b@helpdesk.example"


def test_an_admin_of_one_brand_manages_nobody_who_sees_more(people: Cast) -> None:
    bounded = make_agent("Bo", role=Agent.Role.ADMIN, brand_ids=[people.brand.pk])
    equal = make_agent("Eve", brand_ids=[people.brand.pk])
    client = signed_in(bounded)
    page = client.get("/settings/people/").content.decode()
    assert equal.email in page
    assert people.manager.email not in page
    assert edited(client, equal, name="Eva") == 302
    for address in ("", "invitation/"):
        assert client.post(f"/settings/people/{people.manager.pk}/{address}").status_code == 404, address


def test_an_admin_of_one_brand_moves_nobody_who_sees_more_between_teams(people: Cast) -> None:
    client = signed_in(make_agent("Bo", role=Agent.Role.ADMIN, brand_ids=[people.brand.pk]))
    equal = make_agent("Eve", brand_ids=[people.brand.pk])
    address, team = f"/settings/teams/{people.support.pk}/", people.support
    page = client.get(address).content.decode()
    assert equal.name in page and people.agent.name not in page and people.outsider.name not in page
    fields = {"name": team.name, "overflow_minutes": "10", "give_back_minutes": "5", "sticky_days": "7"}
    answer = client.post(address, {**fields, "people": [equal.pk, people.outsider.pk]})
    assert answer.status_code == 302, answer.context["form"].errors
    assert set(team.agents.all()) == {people.agent, people.teammate, equal}
    assert client.post(address, {**fields, "people": ["²"]}).status_code == 302
    assert set(team.agents.all()) == {people.agent, people.teammate}


def test_whom_an_admin_of_one_brand_adds_sees_that_brand_only(people: Cast) -> None:
    bounded = make_agent("Bo", role=Agent.Role.ADMIN, brand_ids=[people.brand.pk])
    fields = {
        "name": "New", "email": "new@helpdesk.example", "role": "admin", "sight": "all", "capacity": "5",
        "language": "en", "time_zone": "Asia/Seoul", "is_active": "on",
    }  # fmt: skip
    assert signed_in(bounded).post("/settings/people/new/", fields).status_code == 302
    assert Agent.objects.get(email="new@helpdesk.example").brand_ids == [people.brand.pk]


# -- Skills, shifts, teams ----------------------------------------------------------------------------------------------


def test_the_page_tells_how_many_open_tickets_go_back_before_somebody_is_switched_off(people: Cast) -> None:
    client, url = signed_in(people.admin), f"/settings/people/{people.agent.pk}/"
    words = "Their 2 open tickets go back to their teams."
    assert words not in client.get(url).content.decode()
    customer = make_customer(now=timezone.now())
    for number, status in enumerate(["open", "pending", "solved"]):
        Ticket.objects.create(
            number=number, brand=people.brand, customer=customer, assignee=people.agent, status=status,
            first_channel=people.sms, created_at=timezone.now(),
        )  # fmt: skip
    assert words in client.get(url).content.decode()
    Agent.objects.filter(pk=people.admin.pk).update(language="ko")
    assert "미해결 상담 2건" in client.get(url).content.decode()


def test_levels_of_skills_are_set_on_the_agents_page_and_audited(people: Cast) -> None:
    korean, refunds = (Skill.objects.create(name=name) for name in ("Korean", "Refunds"))
    client = signed_in(people.admin)
    assert edited(client, people.agent, **{f"skill_{korean.pk}": "3", f"skill_{refunds.pk}": "1"}) == 302
    assert edited(client, people.agent, **{f"skill_{korean.pk}": "2", f"skill_{refunds.pk}": ""}) == 302
    assert list(people.agent.skills.values_list("skill__name", "level")) == [("Korean", 2)]
    facts = AuditEntry.objects.filter(kind="agent_changed").latest("id").facts
    assert (facts["before"]["skills"], facts["after"]["skills"]) == ({"Korean": 3, "Refunds": 1}, {"Korean": 2})


def test_a_skill_is_added_once_and_removed_while_no_ticket_needs_it(people: Cast) -> None:
    client = signed_in(people.admin)
    assert client.post("/settings/skills/", {"name": "Korean"}).status_code == 302
    assert client.post("/settings/skills/", {"name": "Korean"}).status_code == 422
    skill = Skill.objects.get()
    assert "Korean" in client.get("/settings/skills/").content.decode()
    assert client.post(f"/settings/skills/{skill.pk}/removal/").status_code == 302
    assert not Skill.objects.exists()


def test_only_admins_manage_skills(people: Cast) -> None:
    assert signed_in(people.manager).post("/settings/skills/", {"name": "Korean"}).status_code == 403


def test_a_team_says_who_helps_and_how_long_offers_stand(people: Cast) -> None:
    client = signed_in(people.admin)
    fields = {"name": "Support", "overflow": people.billing.pk, "overflow_minutes": "", "accept_seconds": "90"}
    assert client.post(f"/settings/teams/{people.support.pk}/", fields).status_code == 302
    people.support.refresh_from_db()
    team = people.support
    assert (team.overflow, team.overflow_minutes, team.accept_seconds, team.give_back_minutes) == (
        people.billing, 10, 90, None,
    )  # fmt: skip


def test_a_team_is_not_its_own_overflow(people: Cast) -> None:
    fields = {"name": "Support", "overflow": people.support.pk}
    assert signed_in(people.admin).post(f"/settings/teams/{people.support.pk}/", fields).status_code == 422


@pytest.mark.parametrize(("language", "short"), [("ko", "월화수목금토일"), ("en", "MonTueWedThuFriSatSun")])
def test_the_week_is_headed_by_short_days(language: str, short: str) -> None:
    with translation.override(language):
        assert "".join(day for _field, day in CalendarForm().week) == short


def test_the_list_of_teams_leads_to_each_and_back(people: Cast) -> None:
    client = signed_in(people.admin)
    page = client.get("/settings/teams/").content.decode()
    assert f'href="/settings/teams/{people.support.pk}/"' in page
    fields = {"name": "Support", "wrap_up_minutes": "3", "people": [people.agent.pk]}
    saved = client.post(f"/settings/teams/{people.support.pk}/", fields, follow=True)
    assert saved.redirect_chain[-1][0] == "/settings/teams/"
    people.support.refresh_from_db()
    assert people.support.wrap_up_minutes == 3
    assert client.post("/settings/teams/", {"name": "Refunds"}).url == "/settings/teams/"
