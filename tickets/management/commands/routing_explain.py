from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tickets.models import RoutingDecision, Ticket
from tickets.routing import again, explain


class Command(BaseCommand):
    help = (
        "Prints every stored routing decision about a ticket: rules, candidates, choice. With --again each is decided once"
        " more from what it looked at, of one ticket or of all, and what comes out otherwise is told."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", type=int, nargs="?", help="the number of the ticket, as people see it")
        parser.add_argument("--again", action="store_true", help="decide once more and compare; all tickets by default")

    def handle(self, *args: Any, number: int | None, **options: Any) -> None:
        if number is None and not options["again"]:
            raise CommandError("Say the number of a ticket, or --again for all of them.")
        ticket = Ticket.objects.filter(number=number).first() if number is not None else None
        if number is not None and ticket is None:
            raise CommandError(f"There is no ticket {number}.")
        if ticket is not None:
            self._tell(ticket)
        if options["again"]:
            self._decide_again(ticket)

    def _tell(self, ticket: Ticket) -> None:
        for one in reversed(explain.decisions(ticket, limit=1000)):
            self.stdout.write(f"{one.at:%Y-%m-%d %H:%M:%S %Z}  {one.trigger}")
            for step in one.steps:
                self.stdout.write(f"  {'✓' if step.matched else '✗'} {step.name}: {step.note}")
            if one.team:
                needs = f" ({', '.join(one.needs)})" if one.needs else ""
                self.stdout.write(f"  → {one.team}{needs}")
            for candidate in one.candidates:
                mark = "●" if candidate.chosen else "○"
                why = ", ".join(filter(None, [candidate.reason, *candidate.marks]))
                self.stdout.write(f"  {mark} {candidate.name} {candidate.load}/{candidate.capacity} {why}".rstrip())
            self.stdout.write(f"  {one.outcome}")
        if waiting := explain.still_waiting(ticket, now=timezone.now()):
            self.stdout.write(waiting)

    def _decide_again(self, ticket: Ticket | None) -> None:
        """Exits with an error where one comes out otherwise."""
        decisions = RoutingDecision.objects.select_related("ticket").order_by("id")
        if ticket is not None:
            decisions = decisions.filter(ticket=ticket)
        unknown = decisions.filter(inputs__isnull=True).count()
        same = otherwise = 0
        for decision in decisions.filter(inputs__isnull=False).iterator(chunk_size=500):
            if found := again.differences(decision):
                otherwise += 1
                self.stdout.write(f"#{decision.ticket.number}, decision {decision.pk}: other {', '.join(found)}")
            else:
                same += 1
        self.stdout.write(
            f"Decided again: {same} the same, {otherwise} otherwise, {unknown} from before this was kept."
        )
        if otherwise:
            raise CommandError(f"{otherwise} decisions come out otherwise.")
