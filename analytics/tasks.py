"""Celery tasks of analytics: each drains what the log owes."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from analytics import surveys


@shared_task
def ask() -> None:
    """Send the surveys that are due."""
    surveys.sweep(now=timezone.now())
