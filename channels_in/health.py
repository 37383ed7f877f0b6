"""How each channel does: what came and left last, what waits, what was refused. A fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db.models import Count, Max, Min, OuterRef, QuerySet, Subquery, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from channels_in.models import MailboxCursor, RawEvent, SignatureFailure
from tickets.models import Channel, DeliveryPart
from tickets.models.message import DeliveryState

BEHIND = timedelta(minutes=2)  # what waits for longer is late
FAILURE_DAYS = 7

State = Literal["ok", "warn", "bad", "off"]


@dataclass(frozen=True)
class Health:
    """`problem` is a sentence for an administrator, or "". `waiting` came in, `leaving` is to be sent."""

    channel: Channel
    state: State
    label: str
    problem: str
    last_in: datetime | None
    last_out: datetime | None
    waiting: int
    waiting_since: datetime | None
    leaving: int
    leaving_since: datetime | None
    quarantined: int
    refused: int  # calls of the last 7 days with a wrong signature


def health_of(channels: QuerySet[Channel], *, now: datetime) -> list[Health]:
    """One for each channel, in the order of the query."""
    rows = list(
        channels.select_related("brand", "team").annotate(
            last_in=_last(RawEvent.objects.filter(channel=OuterRef("pk")), "received_at"),
            last_out=_last(DeliveryPart.objects.filter(channel=OuterRef("pk"), sent_at__isnull=False), "sent_at"),
        )
    )
    ids = [channel.pk for channel in rows]
    waiting = _by_channel(
        RawEvent.objects.filter(channel__in=ids, state=RawEvent.State.NEW), n=Count("pk"), since=Min("received_at")
    )
    leaving = _by_channel(
        DeliveryPart.objects.filter(channel__in=ids, state=DeliveryState.QUEUED), n=Count("pk"), since=Min("created_at")
    )
    quarantined = _by_channel(RawEvent.objects.filter(channel__in=ids, state=RawEvent.State.QUARANTINED), n=Count("pk"))
    first_day = (now - timedelta(days=FAILURE_DAYS - 1)).date()
    refused = _by_channel(
        SignatureFailure.objects.filter(channel__in=ids, day__gte=first_day), n=Sum("n"), last_at=Max("last_at")
    )
    cursors = {
        cursor.channel_id: cursor for cursor in MailboxCursor.objects.filter(channel__in=ids).exclude(last_error="")
    }
    return [
        _judged(
            channel,
            waiting=waiting.get(channel.pk, {}),
            leaving=leaving.get(channel.pk, {}),
            quarantined=quarantined.get(channel.pk, {}).get("n", 0),
            refused=refused.get(channel.pk, {}),
            cursor=cursors.get(channel.pk),
            now=now,
        )
        for channel in rows
    ]


def _last(rows: QuerySet[Any], moment: str) -> Subquery:
    return Subquery(rows.order_by(f"-{moment}").values(moment)[:1])


def _by_channel(rows: QuerySet[Any], **totals: Any) -> dict[int, Mapping[str, Any]]:
    return {row["channel_id"]: row for row in rows.order_by().values("channel_id").annotate(**totals)}


def _judged(
    channel: Any,  # with last_in and last_out
    *,
    waiting: Mapping[str, Any],
    leaving: Mapping[str, Any],
    quarantined: int,
    refused: Mapping[str, Any],
    cursor: MailboxCursor | None,
    now: datetime,
) -> Health:
    state: State = "ok"
    label, problem = _("Working"), ""
    if not channel.active:
        state, label = "off", _("Switched off")
    elif channel.disconnected_at:
        state, label = "bad", _("Disconnected")
        problem = _("%(reason)s Messages to send are waiting. Fix the cause, then check the connection.") % {
            "reason": _sentence(channel.disconnected_reason)
        }
    elif cursor is not None:
        state, label = "bad", _("Not readable")
        problem = _("The mailbox cannot be read: %(reason)s. It is tried again; no mail is lost.") % {
            "reason": cursor.last_error
        }
    elif _is_late(waiting, now) or _is_late(leaving, now):
        state, label = "warn", _("Behind")
        problem = _("Messages wait for longer than two minutes. Look whether the workers run.")
    elif quarantined:
        state, label = "warn", _("Needs a look")
        problem = ngettext(
            "%(n)s item could not be read. It is kept, and waits for you.",
            "%(n)s items could not be read. They are kept, and wait for you.",
            quarantined,
        ) % {"n": quarantined}
    elif refused and (channel.last_in is None or refused["last_at"] > channel.last_in):
        state, label = "warn", _("Calls refused")
        problem = _("The latest call had a wrong signature. Compare the secrets here with those at the provider.")
    elif channel.last_in is None and channel.last_out is None:
        state, label = "off", _("Nothing yet")
    return Health(
        channel=channel,
        state=state,
        label=label,
        problem=problem,
        last_in=channel.last_in,
        last_out=channel.last_out,
        waiting=waiting.get("n", 0),
        waiting_since=waiting.get("since"),
        leaving=leaving.get("n", 0),
        leaving_since=leaving.get("since"),
        quarantined=quarantined,
        refused=refused.get("n", 0),
    )


def _is_late(waiting: Mapping[str, Any], now: datetime) -> bool:
    return bool(waiting) and waiting["since"] < now - BEHIND


def _sentence(reason: str) -> str:
    reason = reason.strip() or _("The provider refuses us.")
    return reason if reason.endswith((".", "!", "?")) else f"{reason}."
