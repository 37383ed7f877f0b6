"""Fetch what providers have approved, for the composer (`tickets.approved`)."""

from __future__ import annotations

import logging

from tickets import approved
from tickets.channels import UnknownKind, adapter_for
from tickets.contract import DeliveryError
from tickets.models import Channel

log = logging.getLogger(__name__)


def refresh(channel: Channel) -> None:
    """Ask the provider of one channel; nothing on a kind without templates. Not inside a transaction.

    A provider that refuses leaves what was known; the log says so.
    """
    try:
        ask = getattr(adapter_for(channel.kind), "templates", None)
    except UnknownKind:
        return
    if ask is None:
        return
    try:
        approved.keep(channel, ask(channel.facts()))
    except DeliveryError as error:
        log.warning("the templates of channel %s were not fetched: %s", channel.pk, error)


def refresh_all() -> None:
    for channel in Channel.objects.select_related("brand").filter(active=True, disconnected_at__isnull=True):
        refresh(channel)
