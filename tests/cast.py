"""The people of the tests, and the addresses at which customers reach them.

agent, teammate (both in Support), outsider (another team), manager, admin
channels: sms, whatsapp, webchat, email
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agents.models import Agent, Membership, Team
from tickets.models import Brand, Channel, Customer, Identity

PASSWORD = "correct horse battery staple"  # of everybody in the cast


@dataclass
class Cast:
    brand: Brand
    support: Team
    billing: Team
    agent: Agent
    teammate: Agent
    outsider: Agent
    manager: Agent
    admin: Agent
    channels: dict[str, Channel] = field(default_factory=dict)

    @property
    def sms(self) -> Channel:
        return self.channels["sms"]

    @property
    def whatsapp(self) -> Channel:
        return self.channels["whatsapp"]

    @property
    def webchat(self) -> Channel:
        return self.channels["webchat"]

    @property
    def email(self) -> Channel:
        return self.channels["email"]


def assemble() -> Cast:
    """Everybody, saved. Agents of a team see their team's tickets only; Support has two, Billing has one."""
    brand = make_brand()
    support, billing = Team.objects.create(name="Support"), Team.objects.create(name="Billing", hue=3)
    teams = Agent.Sight.TEAMS
    cast = Cast(
        brand=brand,
        support=support,
        billing=billing,
        agent=make_agent("Mina", team=support, sight=teams),
        teammate=make_agent("Theo", team=support, sight=teams),
        outsider=make_agent("Omar", team=billing, sight=teams),
        manager=make_agent("Grace", role=Agent.Role.MANAGER),
        admin=make_agent("Ada", role=Agent.Role.ADMIN),
    )
    cast.channels = {
        "sms": make_channel(
            "sms",
            brand=brand,
            account_id="+15550001000",
            address="+15550001000",
            settings={"account_sid": "AC" + "0" * 32},
            secrets={"auth_token": "sms-token-of-the-tests"},
        ),
        "whatsapp": make_channel(
            "whatsapp",
            brand=brand,
            account_id="100200300400500",
            app_id="whatsapp-app",
            address="+15550002000",
            settings={"phone_number_id": "100200300400500", "waba_id": "900800700600500"},
            secrets={
                "app_secret": "whatsapp-secret-of-the-tests",
                "verify_token": "whatsapp-handshake",
                "access_token": "whatsapp-access",
            },
        ),
        "webchat": make_channel("webchat", brand=brand, settings={"origins": ["http://shop.example"]}),
        "email": make_channel(
            "email", brand=brand, address="help@shop.example", settings={"authserv_id": "mx.shop.example"}
        ),
    }
    return cast


def make_brand(key: str = "shop", **fields: Any) -> Brand:
    return Brand.objects.create(**{"key": key, "name": key.title(), "domain": f"{key}.example", **fields})


def make_agent(name: str, *, team: Team | None = None, **fields: Any) -> Agent:
    agent = Agent.objects.create_user(f"{name.lower()}@helpdesk.example", PASSWORD, name=name, **fields)
    if team is not None:
        Membership.objects.create(agent=agent, team=team)
    return agent


def make_channel(kind: str, *, brand: Brand, slug: str = "", **fields: Any) -> Channel:
    slug = slug or f"{brand.key}-{kind}"
    return Channel.objects.create(
        **{"kind": kind, "slug": slug, "name": f"{brand.name} {kind}", "brand": brand, **fields}
    )


def make_customer(
    name: str = "Jiwoo", *, now: datetime, phone: str = "", email: str = "", verified: bool = True, **fields: Any
) -> Customer:
    """A customer with a phone number, a mail address, or both."""
    customer = Customer.objects.create(name=name, created_at=now, **fields)
    for kind, value in (("phone", phone), ("email", email)):
        if value:
            Identity.objects.create(
                customer=customer, kind=kind, value=value, verified=verified, evidence="cast", created_at=now
            )
    return customer
