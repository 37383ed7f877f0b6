"""A solved ticket is closed after its days, and the thread says why."""

from datetime import timedelta

from django.utils import timezone

from tests.cast import Cast, make_customer
from tickets import actions
from tickets.models import Event, Ticket
from tickets.models.event import by_agent
from tickets.models.ticket import next_number
from tickets.timeline import Names, sentence


def solved(cast: Cast, *, days: int) -> Ticket:
    now = timezone.now()
    ticket = Ticket.objects.create(number=next_number(), brand=cast.brand, customer=make_customer(now=now))
    actions.solve(ticket, by=by_agent(cast.agent), now=now - timedelta(days=days))
    return ticket


def test_what_was_solved_long_ago_is_closed_and_says_why(cast: Cast) -> None:
    old, fresh, back = solved(cast, days=8), solved(cast, days=6), solved(cast, days=9)
    actions.reopen(back, by=by_agent(cast.agent), now=timezone.now())
    assert actions.close_solved(now=timezone.now(), after_days=7) == 1
    for ticket in (old, fresh, back):
        ticket.refresh_from_db()
    assert (old.status, fresh.status, back.status) == ("closed", "solved", "open")
    event = Event.objects.get(ticket=old, kind="closed")
    assert (
        sentence("closed", "", event.particulars, Names({}, {})) == "Closed: nothing came any more after it was solved"
    )
    assert actions.close_solved(now=timezone.now(), after_days=7) == 0
