"""The only way to a ticket, or to anything that hangs on one, on somebody's behalf.

Every function starts from what the person may see, so that a wrong id and a foreign id answer alike (404).
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.http import Http404

from agents.models import Agent
from tickets.models import Attachment, Customer, Incident, Message, Ticket
from tickets.models.incident import IncidentQuerySet
from tickets.models.ticket import TicketQuerySet


@dataclass(frozen=True)
class Visibility:
    """What somebody may see, as data: people with equal rights share one (live.py checks events against it)."""

    everything: bool
    brand_ids: frozenset[int] | None
    team_ids: frozenset[int]
    agent_id: int | None  # only where "their own" matters

    def sees(self, *, brand_id: int, team_id: int | None, assignee_id: int | None) -> bool:
        if self.brand_ids is not None and brand_id not in self.brand_ids:
            return False
        if self.everything:
            return True
        if self.agent_id is not None and assignee_id == self.agent_id:
            return True
        return team_id is not None and team_id in self.team_ids


NOBODY = Visibility(everything=False, brand_ids=frozenset(), team_ids=frozenset(), agent_id=None)


def visibility_of(agent: Agent) -> Visibility:
    """One query for the teams of an agent whose sight is bounded by them, none where they are prefetched."""
    if not agent.is_authenticated or not agent.is_active:
        return NOBODY
    brands = None if agent.brand_ids is None else frozenset(agent.brand_ids)
    if agent.is_manager or agent.sight == Agent.Sight.ALL:
        return Visibility(everything=True, brand_ids=brands, team_ids=frozenset(), agent_id=None)
    teams = frozenset[int]()
    if agent.sight == Agent.Sight.TEAMS:
        teams = frozenset(membership.team_id for membership in agent.memberships.all())
    return Visibility(everything=False, brand_ids=brands, team_ids=teams, agent_id=agent.pk)


def tickets_for(agent: Agent) -> TicketQuerySet:
    return tickets_in(visibility_of(agent))


def tickets_in(visibility: Visibility) -> TicketQuerySet:
    tickets: TicketQuerySet = Ticket.objects.all()
    if visibility.brand_ids is not None:
        tickets = tickets.filter(brand__in=visibility.brand_ids)
    if visibility.everything:
        return tickets
    return tickets.filter(Q(assignee=visibility.agent_id) | Q(team__in=visibility.team_ids))


def ticket_for(agent: Agent, ticket_id: int) -> Ticket:
    """Raises Http404 whether it does not exist or is not theirs."""
    ticket = tickets_for(agent).filter(pk=ticket_id).first()
    if ticket is None:
        raise Http404
    return ticket


def incidents_for(agent: Agent) -> IncidentQuerySet:
    """The incidents of their brands. Which of the linked tickets they see is `tickets_for`'s to say."""
    if not agent.is_authenticated or not agent.is_active:
        return Incident.objects.none()
    return Incident.objects.all() if agent.brand_ids is None else Incident.objects.filter(brand__in=agent.brand_ids)


def agents_who_see(ticket: Ticket) -> QuerySet[Agent]:
    """The other way round: the people who may see this ticket."""
    brands = Q(brand_ids__isnull=True) | Q(brand_ids__contains=[ticket.brand_id])
    roles = [Agent.Role.OWNER, Agent.Role.ADMIN, Agent.Role.MANAGER]
    sight = Q(role__in=roles) | Q(sight=Agent.Sight.ALL) | Q(pk=ticket.assignee_id)
    if ticket.team_id is not None:
        members = Agent.objects.filter(memberships__team=ticket.team_id).values("pk")
        sight |= Q(sight=Agent.Sight.TEAMS, pk__in=members)
    return Agent.objects.filter(brands, sight, is_active=True, is_bot=False)


def thread_for(agent: Agent, ticket_id: int) -> Ticket:
    """The ticket that speaks for this one, to write to: a merge carries nobody's words out of their own sight.

    Raises Http404 when the ticket, or one that it was merged into, does not exist or is not theirs.
    """
    ticket = ticket_for(agent, ticket_id)
    while ticket.merged_into_id is not None:
        ticket = ticket_for(agent, ticket.merged_into_id)
    return ticket


def message_for(agent: Agent, message_id: int) -> Message:
    """A message of a thread that they see: that of its ticket, or of the one which that was merged into."""
    message = Message.objects.filter(pk=message_id).first()
    if message is None or not _sees_thread(agent, message.ticket_id):
        raise Http404
    return message


def attachment_for(agent: Agent, attachment_id: int) -> Attachment:
    """A file of a message that they see, or one that they uploaded and did not send yet."""
    attachment = Attachment.objects.select_related("message").filter(pk=attachment_id).first()
    if attachment is None:
        raise Http404
    if attachment.message is None:
        theirs = attachment.uploaded_by_id == agent.pk
    else:
        theirs = _sees_thread(agent, attachment.message.ticket_id)
    if not theirs:
        raise Http404
    return attachment


def customers_for(agent: Agent):  # type: ignore[no-untyped-def]
    """Customers are shared between brands; they are seen through a ticket that is seen."""
    visibility = visibility_of(agent)
    if visibility.everything and visibility.brand_ids is None:
        return Customer.objects.all()
    return Customer.objects.filter(pk__in=tickets_in(visibility).values("customer"))


def customer_for(agent: Agent, customer_id: int) -> Customer:
    customer = customers_for(agent).filter(pk=customer_id).first()
    if customer is None:
        raise Http404
    return customer


def _sees_thread(agent: Agent, ticket_id: int) -> bool:
    """A merge moves no row: whoever sees the survivor sees what was said on the tickets that were merged into it."""
    tickets, fresh = tickets_for(agent), {ticket_id}
    while fresh:
        if tickets.filter(pk__in=fresh).exists():
            return True
        pointers = Ticket.objects.filter(pk__in=fresh).values_list("merged_into", flat=True)
        fresh = {into for into in pointers if into is not None}
    return False
