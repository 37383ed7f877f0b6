"""The names under which we answer: who works for which, and what a new one is called in addresses and tokens."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils.text import slugify

from agents.models import Agent
from tickets.keys import free_key
from tickets.models import Brand


def brands_for(agent: Agent) -> QuerySet[Brand]:
    """Those that this person works for, by name."""
    brands = Brand.objects.order_by("name", "pk")
    return brands if agent.brand_ids is None else brands.filter(pk__in=agent.brand_ids)


def key_for(name: str) -> str:
    """A key that no brand has yet, readable where the name is in Latin letters. Signed visitors name it: it never changes."""
    return free_key(Brand.objects.all(), slugify(name)[:40] or "brand")
