"""manage.py createtoken agent@example.com --name "Shop" [--read-only] [--days 90]"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from agents.models import Agent, AuditEntry
from tickets.api import tokens


class Command(BaseCommand):
    help = "Make an API token of an agent. It is printed once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="API")
        parser.add_argument("--read-only", action="store_true")
        parser.add_argument("--days", type=int, help="ends after so many days; without it, it has no end")

    def handle(self, *args: Any, email: str, name: str, read_only: bool, days: int | None, **options: Any) -> None:
        agent = Agent.objects.filter(email__iexact=email, is_active=True).first()
        if agent is None:
            raise CommandError(f"No active agent has the address {email}.")
        ends = timezone.now() + timedelta(days=days) if days else None
        with transaction.atomic():
            scopes = ["read"] if read_only else ["read", "write"]
            token, text = tokens.create(agent, name=name, scopes=scopes, expires_at=ends)
            AuditEntry.write("token_added", actor=None, target=token, facts={"agent": agent.pk, "scopes": scopes})
        self.stdout.write(text)
