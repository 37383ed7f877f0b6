"""An answer leaves: the state machine of its parts, and of nothing else (reliability.md 3.2 and 6).

`Message.state` is derived from the parts and written here alone (after `replies` has queued it), under the message's
row lock. Lock order: identity, ticket, message, part. Nothing is sent inside a transaction.
"""

from __future__ import annotations

import logging
import random
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, close_old_connections, connection, transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from tickets import files, live, queue
from tickets.channels import adapter_for
from tickets.contract import Adapter, Capabilities, DeliveryError, OutboundFile, OutboundMessage, Receipt
from tickets.crash import crash_here
from tickets.models import (
    Attachment,
    Channel,
    DeliveryAttempt,
    DeliveryPart,
    Event,
    Identity,
    Message,
    Ticket,
)
from tickets.models.event import SYSTEM, Actor, record
from tickets.models.message import DeliveryState as S
from tickets.models.ticket import lock_survivor
from tickets.routing import assign as routing
from tickets.sla import clocks
from tickets.wake import wake

log = logging.getLogger(__name__)

LONGEST = 180  # seconds that one attempt may take
RENEWED = 30  # seconds between two renewals of the lease
FIRST_PAUSE, LONGEST_PAUSE = 30, 3600  # seconds: 30 s * 2^n
CRASHES = 3  # attempts whose worker died before the part counts as poison
FILE_LIFE = 86400  # seconds: of the addresses that a provider fetches files from
LOST = "the claim was lost"

# Which states may move to which. Every change of a part is one conditional UPDATE by this table.
MAY_BECOME: dict[str, tuple[str, ...]] = {
    S.QUEUED: (S.SENDING, S.FAILED, S.UNCERTAIN),
    S.SENT: (S.QUEUED, S.SENDING, S.UNCERTAIN),
    S.DELIVERED: (S.QUEUED, S.SENDING, S.SENT, S.UNCERTAIN, S.FAILED),
    S.READ: (S.QUEUED, S.SENDING, S.SENT, S.DELIVERED, S.UNCERTAIN, S.FAILED),
    S.FAILED: (S.QUEUED, S.SENDING, S.SENT, S.UNCERTAIN),
    S.UNCERTAIN: (S.SENDING,),
}
_ADVANCE = (S.QUEUED, S.SENDING, S.SENT, S.DELIVERED, S.READ)


def deliver(*, kind: str | None = None, seconds: float = 60) -> int:
    """Drain: send the parts that are due, for `seconds`; then wake the successor. Returns how many were claimed.

    Not inside a transaction.
    """
    until, done = monotonic() + seconds, 0
    queue.reopen_abandoned(queue.PARTS)
    while True:
        if monotonic() >= until:
            if kind:
                wake("tickets.tasks.deliver", queue=f"outbound.{kind}", kind=kind)
            break
        filters: dict[str, Any] = {"kind": kind} if kind else {}
        if waiting := _give_up_where_nothing_goes():
            filters["without_channels"] = waiting
        with queue.claimed(queue.PARTS, **filters) as claim:
            if claim is None:
                break
            crash_here("deliver.claimed")
            _send(claim)
        done += 1
    return done


def apply_receipt(channel: Channel, receipt: Receipt, *, now: datetime) -> int | None:
    """What became of parts of ours. Returns the message's id, or None when nothing matches (yet).

    Runs in the caller's transaction. A state never moves back; a late proof of arrival ends `failed` and `uncertain`.
    """
    found = _parts_of(channel, receipt)
    if not found:
        return None
    if receipt.state == "failed" and not receipt.permanent:
        return found[-1].message_id  # a delay is not an end
    with transaction.atomic():
        if receipt.opted_out or receipt.bad_address:
            _mark_identity(found[-1], opted_out=receipt.opted_out, bad_address=receipt.bad_address, now=now)
        # A watermark may name parts of several tickets: lock them in one order.
        list(
            Ticket.objects.select_for_update(of=("self",), no_key=True)
            .filter(pk__in={part.ticket_id for part in found})
            .order_by("pk")
            .values_list("pk")
        )
        for part in found:
            columns: dict[str, Any] = {}
            if receipt.provider_id and part.provider_id is None and len(found) == 1:
                columns["provider_id"] = receipt.provider_id
            if receipt.state == "failed":
                columns |= {"error_code": receipt.code[:40], "last_error": (receipt.detail or receipt.code)[:300]}
            _move(part, receipt.state, now=now, at=receipt.at or now, **columns)
    return found[-1].message_id


def resolve(part: DeliveryPart, verdict: Literal["arrived", "again", "failed"], *, by: Actor, now: datetime) -> bool:
    """A person settles a part that failed or is uncertain. False when it has moved on since.

    "again" sends the same part with the same ids; parts that arrived stay as they are.
    """
    with transaction.atomic():
        if verdict == "again":
            DeliveryAttempt.objects.filter(part=part, result__in=["", "crashed"]).update(result="sent again by hand")
            moved = _move(part, S.QUEUED, now=now, by=by, resolved_at=now, attempts=0, next_attempt_at=now)
            if moved:
                wake("tickets.tasks.deliver", queue=f"outbound.{part.channel.kind}", kind=part.channel.kind)
            return moved
        if verdict == "arrived":
            return _move(part, S.SENT, now=now, by=by, resolved_at=now)
        if part.state == S.FAILED:
            return bool(DeliveryPart.objects.filter(pk=part.pk, state=S.FAILED).update(resolved_at=now))
        return _move(part, S.FAILED, now=now, by=by, resolved_at=now, error_code="by_hand", last_error="")


def note_disconnected(channel_id: int, *, reason: str, now: datetime) -> None:
    """The channel lost its provider; an administrator has to reconnect it. Said once. Inside a transaction."""
    connected = Channel.objects.filter(pk=channel_id, disconnected_at__isnull=True)
    if connected.update(disconnected_at=now, disconnected_reason=reason[:300]):
        facts = {"channel": channel_id}
        live.announce(record("channel_disconnected", ticket=None, by=SYSTEM, now=now, particulars=facts))


def derive(states: Sequence[str]) -> str:
    """The state of a message from those of its parts. Pure."""
    for worst in (S.FAILED, S.UNCERTAIN):
        if worst in states:
            return worst
    return min(states, key=lambda state: _ADVANCE.index(S(state)), default=S.QUEUED)


# one attempt


class _Stop(BaseException):
    """Ends an attempt from inside the adapter, whatever it catches: the claim was lost, or the time is up."""


def _send(claim: queue.Claim) -> None:
    part = DeliveryPart.objects.select_related(
        "message__route__identity", "message__route__ticket", "message__agent", "channel__brand", "ticket"
    ).get(pk=claim.id)
    now = timezone.now()
    adapter = adapter_for(part.channel.kind)  # a kind without adapter raises: its part stays, and the log says so
    if claim.taken_over and not _may_try_again(part, claim, adapter.capabilities, now=now):
        return
    attempt = _begin(part, claim, now=now)
    if attempt is None:
        return
    crash_here("deliver.attempted")
    if reason := _obstacle(part, adapter.capabilities, now=now):
        _fail(part, claim, attempt, code=reason, detail="", now=now)
        return

    def committed() -> None:
        """Before the last byte can leave. Ends the attempt when somebody else has taken the part over."""
        with transaction.atomic():
            held = DeliveryPart.objects.select_for_update(no_key=True).filter(
                pk=part.pk, state=S.SENDING, lease_owner=claim.owner
            )
            if not held.exists():
                raise _Stop(LOST)
            DeliveryAttempt.objects.filter(pk=attempt.pk).update(phase=DeliveryAttempt.Phase.COMMITTED)
        crash_here("deliver.committed")

    try:
        with _renewed(claim), _cut_after(LONGEST):
            message = outbound(part, first=attempt.n == 1)
            result = adapter.send(part.channel.facts(), message, committed=committed)
    except DeliveryError as error:
        _refused(part, claim, attempt, error, adapter, now=timezone.now())
    except _Stop as stop:
        if str(stop) == LOST:
            DeliveryAttempt.objects.filter(pk=attempt.pk, result="").update(result=LOST)
        else:
            late = DeliveryError("the attempt took too long", permanent=False, code="timeout", may_have_left=True)
            _refused(part, claim, attempt, late, adapter, now=timezone.now())
    except Exception as fault:
        log.exception("sending part %s by %s failed", part.pk, part.channel.kind)
        ours = DeliveryError(type(fault).__name__, permanent=False, code="fault", may_have_left=True)
        _refused(part, claim, attempt, ours, adapter, now=timezone.now())
    else:
        crash_here("deliver.answered")
        _sent(part, claim, attempt, provider_id=result.provider_id, state=result.state, now=timezone.now())
        crash_here("deliver.written")


def outbound(part: DeliveryPart, *, first: bool) -> OutboundMessage:
    """The part as an adapter gets it: everything is decided."""
    message, route = part.message, part.message.route
    assert route is not None  # a public message of ours has one
    in_reply_to, references = _thread_of(part)
    attachments = Attachment.objects.in_bulk(part.attachment_ids)
    to, also_to = route.reply_address or route.identity.value, tuple[str, ...]()
    if message.to and adapter_for(part.channel.kind).capabilities.cc:
        to, *also = message.to
        also_to = tuple(also)
    return OutboundMessage(
        part_id=part.pk,
        part_uuid=str(part.send_uuid),
        n=part.n,
        first_attempt=first,
        to=to,
        to_kind=route.identity.kind,
        to_name=route.identity.name if to in (route.reply_address, route.identity.value) else "",
        remote_thread_id=route.remote_thread_id,
        text=part.text,
        html=part.html,
        subject=message.subject,
        files=tuple(_file(attachments[pk]) for pk in part.attachment_ids if pk in attachments),
        template=message.meta.get("template"),
        rfc_message_id=part.rfc_message_id,
        in_reply_to=in_reply_to,
        references=references,
        reply_token=route.reply_token,
        also_to=also_to,
        cc=tuple(message.cc),
        reply_to_external_id=str(message.meta.get("reply_to", "")),
        automatic=message.meta.get("automatic", ""),
        author_name=message.agent.name if message.agent else message.author_name,
        language=message.language or part.ticket.language or "en",
        ticket_id=part.ticket_id,
        seq=message.seq,
    )


def _file(attachment: Attachment) -> OutboundFile:
    return OutboundFile(
        name=attachment.name,
        content_type=attachment.content_type,
        size=attachment.size,
        path=str(files.path_of(attachment.sha256)),
        url=files.signed_url(attachment, seconds=FILE_LIFE),
        content_id=attachment.content_id,
        inline=attachment.inline,
    )


def _thread_of(part: DeliveryPart) -> tuple[str, tuple[str, ...]]:
    """In-Reply-To and References (RFC 5322 3.6.4): the customer's last mail, and the chain of both sides on this route.

    The chain is cut in the middle: the first and the last ten stay.
    """
    if not part.rfc_message_id:
        return "", ()
    message = part.message
    earlier = Message.objects.filter(route=message.route_id, id__lt=message.pk, kind=message.kind)
    chain: list[tuple[int, int, str]] = []
    received = list(
        earlier.filter(direction=Message.Direction.IN)
        .exclude(rfc_message_id="")
        .order_by("id")
        .values_list("id", "rfc_message_id", "references")
    )
    if received:
        # What the customer's own client knew of the thread comes first.
        chain += [(0, n, reference) for n, reference in enumerate(reversed(received[-1][2] or []))]
    chain += [(pk, 0, rfc_id) for pk, rfc_id, _references in received]
    sent = DeliveryPart.objects.filter(
        message__in=earlier.filter(direction=Message.Direction.OUT),
        state__in=[S.SENT, S.DELIVERED, S.READ, S.UNCERTAIN],
    ).exclude(rfc_message_id="")
    chain += list(sent.values_list("message_id", "n", "rfc_message_id"))
    ordered = list(dict.fromkeys(rfc_id for _message, _n, rfc_id in sorted(chain)))
    in_reply_to = received[-1][1] if received else (ordered[-1] if ordered else "")
    if in_reply_to in ordered:
        ordered.remove(in_reply_to)
        ordered.append(in_reply_to)  # the parent stands last
    if len(ordered) > 11:
        ordered = [ordered[0], *ordered[-10:]]
    return in_reply_to, tuple(ordered)


def _obstacle(part: DeliveryPart, capabilities: Capabilities, *, now: datetime) -> str:
    """Looked at again at the moment of sending: what was open when the answer was queued may be closed. A code, or ""."""
    route = part.message.route
    if route is None:
        return "no_route"
    if route.identity.opted_out_at:
        return "opted_out"
    if capabilities.window_hours is not None and not part.message.meta.get("template"):
        if route.window_expires_at is None or route.window_expires_at <= now:
            return "window_closed"
    return ""


def _may_try_again(part: DeliveryPart, claim: queue.Claim, capabilities: Capabilities, *, now: datetime) -> bool:
    """After a worker died (the table of reliability.md 6): try again, or settle the part here and now."""
    last = DeliveryAttempt.objects.filter(part=part).order_by("-n").first()
    if last is None or last.result:
        return True  # it died between the claim and the attempt: nothing can have left
    DeliveryAttempt.objects.filter(pk=last.pk).update(result="crashed")
    left = last.phase == DeliveryAttempt.Phase.COMMITTED
    if DeliveryAttempt.objects.filter(part=part, result="crashed").count() >= CRASHES:
        _settle(part, claim, S.UNCERTAIN if left else S.FAILED, code="crashed", now=now)
        return False
    if left and not _sends_again(part.channel, capabilities):
        _settle(part, claim, S.UNCERTAIN, code="no_answer", now=now)
        return False
    return True


def _sends_again(channel: Channel, capabilities: Capabilities) -> bool:
    """Whether an attempt without answer may be repeated; a mailbox may say otherwise for itself."""
    if capabilities.idempotent:
        return True
    return bool(channel.settings.get("resend_without_answer", capabilities.resend_without_answer))


def _begin(part: DeliveryPart, claim: queue.Claim, *, now: datetime) -> DeliveryAttempt | None:
    """The attempt's row, committed before anything is done. None when the claim was lost."""
    with transaction.atomic():
        message = Message.objects.select_for_update(no_key=True).get(pk=part.message_id)
        if not DeliveryPart.objects.filter(pk=part.pk, state=S.SENDING, lease_owner=claim.owner).exists():
            return None
        last = DeliveryAttempt.objects.filter(part=part).aggregate(n=Max("n"))["n"] or 0
        try:
            with transaction.atomic():
                attempt = DeliveryAttempt.objects.create(part=part, n=last + 1, started_at=now)
        except IntegrityError:
            return None
        _write_state(message, now=now, by=SYSTEM)
        return attempt


def _sent(
    part: DeliveryPart, claim: queue.Claim, attempt: DeliveryAttempt, *, provider_id: str, state: str, now: datetime
) -> None:
    """The provider has it. True even where the claim was lost meanwhile: then it only adds what it knows."""
    columns: dict[str, Any] = {"last_error": "", "error_code": ""}
    if provider_id and _is_free(part, provider_id):
        columns["provider_id"] = provider_id
    with transaction.atomic():
        DeliveryAttempt.objects.filter(pk=attempt.pk).update(result=state)
        if _move(part, state, now=now, at=now, claim=claim, **columns):
            return
        transaction.set_rollback(True)
    # In a transaction of its own, because this one may touch the ticket, and the ticket is locked first.
    with transaction.atomic():
        lock_survivor(part.ticket_id)
        DeliveryAttempt.objects.filter(pk=attempt.pk).update(result=state)
        if "provider_id" in columns:
            DeliveryPart.objects.filter(pk=part.pk, provider_id__isnull=True).update(provider_id=provider_id)
        fresh = DeliveryPart.objects.get(pk=part.pk)
        if fresh.state in (S.UNCERTAIN, S.QUEUED):
            _move(fresh, state, now=now, at=now)


def _is_free(part: DeliveryPart, provider_id: str) -> bool:
    taken = DeliveryPart.objects.filter(channel=part.channel_id, provider_id=provider_id).exclude(pk=part.pk).exists()
    if taken:
        log.error("channel %s gave the id of another message again, for part %s", part.channel_id, part.pk)
    return not taken


def _refused(
    part: DeliveryPart,
    claim: queue.Claim,
    attempt: DeliveryAttempt,
    error: DeliveryError,
    adapter: Adapter,
    *,
    now: datetime,
) -> None:
    capabilities = adapter.capabilities
    attempt.refresh_from_db(fields=["phase"])
    left = error.may_have_left and attempt.phase == DeliveryAttempt.Phase.COMMITTED
    if error.opted_out or error.bad_address:
        with transaction.atomic():
            _mark_identity(part, opted_out=error.opted_out, bad_address=error.bad_address, now=now)
    if error.disconnected:
        with transaction.atomic():
            note_disconnected(part.channel_id, reason=error.detail, now=now)
        _again(part, claim, attempt, error, pause=60, now=now)
    elif error.permanent:
        _fail(part, claim, attempt, code=error.code or "rejected", detail=error.detail, now=now)
    elif left and not _sends_again(part.channel, capabilities):
        DeliveryAttempt.objects.filter(pk=attempt.pk).update(result=f"no answer: {error.detail}"[:300])
        _settle(part, claim, S.UNCERTAIN, code=error.code or "no_answer", detail=error.detail, now=now)
    else:
        pause = error.retry_after if error.retry_after is not None else _pause(attempt.n)
        if now + timedelta(seconds=pause) > give_up_at(part, capabilities):
            _fail(part, claim, attempt, code="gave_up", detail=error.detail, now=now)
        else:
            _again(part, claim, attempt, error, pause=pause, now=now)


def _pause(n: int) -> float:
    """Seconds until the next try after the n-th: 30 s, 60 s, 120 s ... with up to a quarter more."""
    return min(FIRST_PAUSE * 2 ** min(n - 1, 20), LONGEST_PAUSE) * random.uniform(1, 1.25)


def give_up_at(part: DeliveryPart, capabilities: Capabilities) -> datetime:
    """When a part that does not get through has failed; counted anew when a person sends it again."""
    return (part.resolved_at or part.created_at) + timedelta(hours=capabilities.give_up_hours)


def _again(
    part: DeliveryPart,
    claim: queue.Claim,
    attempt: DeliveryAttempt,
    error: DeliveryError,
    *,
    pause: float,
    now: datetime,
) -> None:
    with transaction.atomic():
        DeliveryAttempt.objects.filter(pk=attempt.pk).update(result=(error.detail or error.code or "again")[:300])
        _move(
            part,
            S.QUEUED,
            now=now,
            claim=claim,
            next_attempt_at=now + timedelta(seconds=pause),
            last_error=error.detail[:300],
            error_code=error.code[:40],
        )


def _fail(
    part: DeliveryPart, claim: queue.Claim, attempt: DeliveryAttempt, *, code: str, detail: str, now: datetime
) -> None:
    DeliveryAttempt.objects.filter(pk=attempt.pk).update(result=(detail or code)[:300])
    _settle(part, claim, S.FAILED, code=code, detail=detail, now=now)


def _settle(part: DeliveryPart, claim: queue.Claim, state: str, *, code: str, detail: str = "", now: datetime) -> None:
    with transaction.atomic():
        _move(part, state, now=now, claim=claim, error_code=code[:40], last_error=detail[:300], resolved_at=None)


def _give_up_where_nothing_goes() -> list[int]:
    """The channels from which nothing can leave now. What waits there for too long has failed."""
    channels = list(Channel.objects.filter(Q(active=False) | Q(disconnected_at__isnull=False)).order_by("id"))
    now = timezone.now()
    for channel in channels:
        if channel.kind not in settings.CHANNEL_ADAPTERS:
            continue
        capabilities = adapter_for(channel.kind).capabilities
        oldest = now - timedelta(hours=capabilities.give_up_hours)
        waiting = DeliveryPart.objects.filter(channel=channel, state=S.QUEUED, created_at__lt=oldest)
        for part in waiting.select_related("channel")[:100]:
            if give_up_at(part, capabilities) < now:
                with transaction.atomic():
                    _move(part, S.FAILED, now=now, error_code="disconnected", last_error=channel.disconnected_reason)
    return [channel.pk for channel in channels]


@contextmanager
def _renewed(claim: queue.Claim) -> Iterator[None]:
    """Renew the lease every 30 s from a thread with a connection of its own."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEWED):
            try:
                if not queue.renew(queue.PARTS, claim):
                    return
            except Exception:
                log.exception("the lease of part %s was not renewed", claim.id)
            finally:
                close_old_connections()
        connection.close()

    thread = threading.Thread(target=renew, daemon=True, name=f"lease-{claim.id}")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)


@contextmanager
def _cut_after(seconds: float) -> Iterator[None]:
    """End the attempt after `seconds`, in the main thread of a worker; elsewhere the adapter's own time-outs must do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def cut(number: int, frame: Any) -> None:
        raise _Stop("time")

    former = signal.signal(signal.SIGALRM, cut)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


# states


def _move(
    part: DeliveryPart,
    to: str,
    *,
    now: datetime,
    by: Actor = SYSTEM,
    at: datetime | None = None,
    claim: queue.Claim | None = None,
    **columns: Any,
) -> bool:
    """Move one part by the table, and everything that follows from it. Must be inside a transaction.

    With `claim` only while that claim is held. False when the part may not move so (any more); nothing is written then.
    """
    # What ends or mends a failure touches the ticket, and the ticket is locked first. A part under a claim has not
    # failed, so that its advance needs the message only.
    ticket = lock_survivor(part.ticket_id) if claim is None or to == S.FAILED else None
    message = Message.objects.select_for_update(no_key=True).get(pk=part.message_id)
    rows = DeliveryPart.objects.filter(pk=part.pk, state__in=MAY_BECOME[to])
    if claim is not None:
        rows = rows.filter(state=S.SENDING, lease_owner=claim.owner)
    if to in (S.SENT, S.DELIVERED, S.READ):
        moment = at or now
        columns |= {f"{to}_at": moment}
        if part.sent_at is None:
            columns.setdefault("sent_at", moment)
    if not rows.update(state=to, lease_owner=None, lease_until=None, **columns):
        return False
    was = message.state
    is_now = _write_state(message, now=now, by=by)
    if ticket is not None and is_now != was and S.FAILED in (was, is_now):
        _answer_changed(ticket, message, failed=is_now == S.FAILED, now=now)
    return True


def _write_state(message: Message, *, now: datetime, by: Actor) -> str:
    """Derive the message's state. Must hold its row lock. Returns the state."""
    rows = list(DeliveryPart.objects.filter(message=message).order_by("n"))
    state = derive([row.state for row in rows])
    if state == message.state:
        return state
    culprit = next((row for row in rows if row.state == state and state in (S.FAILED, S.UNCERTAIN)), None)
    message.state, message.state_at = state, now
    message.error = (culprit.last_error or culprit.error_code) if culprit else ""
    message.save(update_fields=["state", "state_at", "error"])
    if state in (S.QUEUED, S.SENDING):
        return state  # a breath between two tries is nobody's news
    ticket = Ticket.objects.get(pk=message.ticket_id)
    particulars: dict[str, Any] = {"state": state}
    if culprit:
        particulars |= {"code": culprit.error_code, "error": culprit.last_error[:200], "part": culprit.pk}
    kind = "delivery_failed" if state == S.FAILED else "delivery_changed"
    live.announce(ticket.record(kind, by=by, now=now, message_id=message.pk, **particulars))
    return state


def _answer_changed(ticket: Ticket, message: Message, *, failed: bool, now: datetime) -> None:
    """A human reply that finally failed has answered nobody; one that arrived after all has. Holds the ticket's lock."""
    if not message.is_human_reply or message.direction != Message.Direction.OUT:
        return
    if ticket.pk == message.ticket_id:
        replies = _answers(ticket)
        opening = Message.objects.filter(ticket=ticket, kind=Message.Kind.PUBLIC).order_by("id")[:1]
        first = replies.exclude(pk__in=opening.values("pk")).order_by("id").first()
        latest = replies.order_by("-id").first()
        ticket.first_reply_at = first.created_at if first else None
        ticket.waiting_since = (
            Message.objects.filter(
                ticket=ticket,
                kind=Message.Kind.PUBLIC,
                direction=Message.Direction.IN,
                automatic=False,
                id__gt=latest.pk if latest else 0,
            )
            .order_by("id")
            .values_list("created_at", flat=True)
            .first()
        )
        ticket.save(update_fields=["first_reply_at", "waiting_since"])
        if not failed:
            clocks.answer_arrived(ticket, said_at=message.created_at, now=now)
    if failed and ticket.status == Ticket.Status.SOLVED:
        _reopen_once(ticket, message, now=now)
    if failed and ticket.pk == message.ticket_id:
        next_at = _answers(ticket).filter(id__gt=message.pk).order_by("id").values_list("created_at", flat=True).first()
        clocks.answer_failed(ticket, said_at=message.created_at, next_at=next_at, now=now)


def _answers(ticket: Ticket) -> QuerySet[Message]:
    """The human answers that have not failed."""
    return Message.objects.filter(
        ticket=ticket, kind=Message.Kind.PUBLIC, direction=Message.Direction.OUT, author_type=Message.Author.AGENT
    ).exclude(state=S.FAILED)


def _reopen_once(ticket: Ticket, message: Message, *, now: datetime) -> None:
    cause = f"delivery_failed:{message.pk}"
    if Event.objects.filter(ticket=ticket, kind="reopened", particulars__cause=cause).exists():
        return
    event = ticket.change_status(Ticket.Status.OPEN, by=SYSTEM, now=now, cause=cause)
    if event:
        clocks.status_changed(ticket, event, now=now)
        if ticket.assignee_id is None:
            routing.owe(ticket, now=now)
    live.announce(event)


# receipts


def _parts_of(channel: Channel, receipt: Receipt) -> list[DeliveryPart]:
    """By our own id, the provider's, the Message-ID, or a watermark; in the order in which they left."""
    every = DeliveryPart.objects.select_related("channel", "ticket")
    here = every.filter(channel=channel)
    if receipt.part_uuid and (uuid := _uuid(receipt.part_uuid)):
        if found := list(here.filter(send_uuid=uuid)):
            return found
    if receipt.provider_id and (found := list(here.filter(provider_id=receipt.provider_id))):
        return found
    if receipt.rfc_message_id:
        # A bounce may reach another of our mailboxes; the id itself is random and signed.
        return list(every.filter(channel__kind=channel.kind, rfc_message_id=receipt.rfc_message_id))[:1]
    answers = here.filter(message__direction=Message.Direction.OUT).order_by("message_id", "n")
    if receipt.everything_until and receipt.external_conversation_id:
        return list(
            answers.filter(
                message__route__remote_thread_id=receipt.external_conversation_id,
                created_at__lte=receipt.everything_until,
            ).order_by("-message_id", "-n")[:200]
        )[::-1]
    if receipt.ticket_id is not None and receipt.up_to_seq is not None:
        return list(
            answers.filter(ticket=receipt.ticket_id, message__seq__lte=receipt.up_to_seq).order_by("-message_id", "-n")[
                :200
            ]
        )[::-1]
    return []


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _mark_identity(part: DeliveryPart, *, opted_out: bool, bad_address: bool, now: datetime) -> None:
    message = Message.objects.select_related("route__identity", "ticket").get(pk=part.message_id)
    if message.route is None:
        return
    identity = message.route.identity
    if bad_address:
        Identity.objects.filter(pk=identity.pk, failed_at__isnull=True).update(failed_at=now)
    if opted_out and Identity.objects.filter(pk=identity.pk, opted_out_at__isnull=True).update(opted_out_at=now):
        live.announce(
            record(
                "identity_opted_out",
                ticket=message.ticket,
                by=SYSTEM,
                now=now,
                particulars={"identity": identity.pk, "value": identity.value},
            )
        )
