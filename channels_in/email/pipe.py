"""A whole mail is handed to us: by an MTA's pipe, by the mailbox's fetch, by the simulated provider."""

from __future__ import annotations

from channels_in import webhooks
from channels_in.email.adapter import item_of
from tickets.models import Channel


def keep_mail(channel: Channel, raw: bytes, *, recipient: str = "", door: str = "pipe") -> list[int]:
    """Keep the mail for good; returns the ids of the new rows (none when it is known). Committed when this returns.

    `recipient` is the envelope's, where a reply token may stand. Raises `DatabaseError` or `OSError` when it could not be
    kept: whoever hands it over must try again later.
    """
    item = item_of(raw)
    headers = {"recipient": recipient[:320]} if recipient else {}
    return webhooks.keep(channel, [item], body=item.raw, headers=headers, remote_ip=None, auth_result=door)
