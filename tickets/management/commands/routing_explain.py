from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tickets.models import Ticket
from tickets.routing import explain


class Command(BaseCommand):
    help = "Prints every stored routing decision about a ticket: rules, candidates, choice."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", type=int, help="the number of the ticket, as people see it")

    def handle(self, *args: Any, number: int, **options: Any) -> None:
        ticket = Ticket.objects.filter(number=number).first()
        if ticket is None:
            raise CommandError(f"There is no ticket {number}.")
        for one in reversed(explain.decisions(ticket, limit=1000)):
            self.stdout.write(f"{one.at:%Y-%m-%d %H:%M:%S %Z}  {one.trigger}")
            for step in one.steps:
                self.stdout.write(f"  {'✓' if step.matched else '✗'} {step.name}: {step.note}")
            if one.team:
                self.stdout.write(f"  → {one.team}")
            for candidate in one.candidates:
                mark = "●" if candidate.chosen else "○"
                why = ", ".join(filter(None, [candidate.reason, *candidate.marks]))
                self.stdout.write(f"  {mark} {candidate.name} {candidate.load}/{candidate.capacity} {why}".rstrip())
            self.stdout.write(f"  {one.outcome}")
        if waiting := explain.still_waiting(ticket, now=timezone.now()):
            self.stdout.write(waiting)
