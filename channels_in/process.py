"""A kept item becomes an effect: one `match` over what `normalise` returns (reliability.md 5).

A drain claims what is due, one item after the other, for a minute; T1 is the claim, T2 the effect. What goes wrong
with an item is counted on its row and ends in quarantine, where a person sees it; what goes wrong with us (database,
disk, parser) is given back without counting.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import NamedTuple

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone, translation
from psycopg2 import errors

from agents.models import Agent, AuditEntry
from channels_in import parser
from channels_in.models import RawEvent
from channels_in.webhooks import UNKNOWN_ACCOUNT, raw_of, siblings_of
from tickets import delivery, ingest, mail_answers, queue
from tickets.channels import UnknownKind, adapter_for
from tickets.contract import Applied, InboundMessage, Normalised, ParserAway, Receipt, Suppressed, Unreadable
from tickets.crash import crash_here
from tickets.identities import LostRace
from tickets.models import Channel, Message
from tickets.models.ticket import UNSOLVED
from tickets.queue import RAW_EVENTS, Claim, claimed
from tickets.wake import wake

log = logging.getLogger(__name__)

MOST_CRASHES = 3
MOST_ERRORS = 8
WAITS = timedelta(minutes=10)  # for what an item refers to, from its acceptance
LOOK_AGAIN = 15  # seconds, while it waits
RETRIES = 3  # of T2
LONGEST_JITTER = 1.0  # seconds
OUR_FAULT = 5  # seconds until an item is tried again after a fault of ours
TEMPORARY = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)
Outcome = RawEvent.Outcome
# Of several results in one item, the first of these names the outcome.
_WEIGHT = (Outcome.TICKETED, Outcome.RECEIPT, Outcome.APPLIED, Outcome.DUPLICATE, Outcome.SUPPRESSED)


class Done(NamedTuple):
    """What became of an item: outcome, reason, and the message that it made, changed or repeats."""

    outcome: str
    reason: str = ""
    message_id: int | None = None


class ClaimLost(Exception):
    """Somebody else took the item over: nothing of this transaction may stay."""


def drain(*, seconds: float = 60) -> int:
    """Claim and process what is due until nothing is, or `seconds` have passed. Returns how many were claimed.

    Run by a task; safe in any number of processes. After its time it wakes its successor.
    """
    queue.reopen_abandoned(RAW_EVENTS)
    until, n, away = monotonic() + seconds, 0, Away()
    try:
        while process_one(away=away):
            n += 1
            if monotonic() >= until:
                wake("channels_in.tasks.process")
                break
    except (OperationalError, InterfaceError, OSError) as fault:
        log.warning("the drain ends early: %s", fault)
    show_quarantined()
    return n


class Away:
    """Whether the parser can be reached; asked again each second, so that an outage costs no attempts."""

    def __init__(self) -> None:
        self.since: float | None = None

    def channels(self) -> list[int]:
        """The channels that need the parser, while it is away."""
        if self.since is None:
            return []
        if monotonic() - self.since > 1:
            self.since = None if parser.answers() else monotonic()
            if self.since is None:
                return []
        kinds = [kind for kind in Channel.objects.values_list("kind", flat=True).distinct() if _needs_parser(kind)]
        return list(Channel.objects.filter(kind__in=kinds).values_list("pk", flat=True))


def process_one(*, away: Away | None = None) -> bool:
    """Claim one item and give it its effect. False when nothing is due.

    Raises OperationalError, InterfaceError or OSError for faults of ours, with the claim given back.
    """
    away = away or Away()
    without = away.channels()
    with claimed(RAW_EVENTS, **({"without_channels": without} if without else {})) as claim:
        if claim is None:
            return False
        crash_here("process.claimed")
        try:
            _work(claim)
        except ParserAway:
            away.since = monotonic()
            queue.give_back(RAW_EVENTS, claim, after=1)
        except ClaimLost:
            log.warning("raw event %s was taken over", claim.id)
        except (OperationalError, InterfaceError, OSError):
            _give_back_after_our_fault(claim)
            raise
        return True


class AlreadyThere(Exception):
    """The channel that this item belongs to has had it already, by another way."""


@transaction.atomic
def replay(event: RawEvent, *, by: Agent) -> bool:
    """A person sends a quarantined item through again; audited. False when it was no longer in quarantine.

    An item of an account that was unknown goes to the channel that has this account now. Raises AlreadyThere.
    """
    locked = RawEvent.objects.select_for_update(of=("self",)).select_related("channel").get(pk=event.pk)
    if locked.state != RawEvent.State.QUARANTINED:
        return False
    reason = locked.outcome_reason
    if reason.startswith(UNKNOWN_ACCOUNT):
        account = reason.removeprefix(UNKNOWN_ACCOUNT)
        locked.channel = siblings_of(locked.channel, {account}).get(account, locked.channel)
    locked.state, locked.outcome, locked.outcome_reason = RawEvent.State.NEW, None, ""
    locked.attempts, locked.last_error, locked.finished_at = 0, "", None
    locked.next_attempt_at, locked.lease_owner, locked.lease_until = timezone.now(), None, None
    try:
        with transaction.atomic():
            locked.save()
    except IntegrityError as taken:
        raise AlreadyThere from taken
    AuditEntry.write(
        "raw_event_replayed", actor=by, target=locked, brand_id=locked.channel.brand_id, facts={"reason": reason}
    )
    wake("channels_in.tasks.process")
    return True


def show_quarantined(*, limit: int = 100) -> int:
    """Give every quarantined item that has none its line on a ticket. Returns how many. Repeating it is harmless."""
    shown = 0
    waiting = RawEvent.objects.filter(state=RawEvent.State.QUARANTINED, stub_message_id__isnull=True).order_by("id")
    for pk in list(waiting.values_list("pk", flat=True)[:limit]):
        with transaction.atomic():
            event = (
                RawEvent.objects.select_for_update(of=("self",), skip_locked=True)
                .select_related("channel__brand", "channel__team")
                .filter(pk=pk, state=RawEvent.State.QUARANTINED, stub_message_id__isnull=True)
                .first()
            )
            if event is None:
                continue
            # One after the other for each channel, so that two items do not open two tickets.
            _advisory_lock(f"quarantine:{event.channel_id}")
            with translation.override(event.channel.language or event.channel.brand.language):
                line = ingest.unreadable(
                    event.channel, raw_event_id=event.pk, beside=_neighbour(event), now=timezone.now()
                )
            event.stub_message_id = line.pk
            event.save(update_fields=["stub_message_id"])
            shown += 1
            crash_here("quarantine.shown")
    return shown


# -- One item ---------------------------------------------------------------------------------------------------------


def _work(claim: Claim) -> None:
    event = RawEvent.objects.select_related("channel__brand", "channel__team").get(pk=claim.id)
    if claim.taken_over and claim.attempts > MOST_CRASHES:
        return _quarantine(event, claim, "crashed")
    try:
        results = _normalised(event)
        crash_here("process.normalised")
        results = [ingest.with_files_stored(one) if isinstance(one, InboundMessage) else one for one in results]
        crash_here("process.files_stored")
        try:
            return _effect(event, claim, results)
        except ingest.NotYet as waiting:
            return _wait(event, claim, waiting)
    except (ParserAway, ClaimLost, InterfaceError, OSError):
        raise
    except OperationalError as fault:
        if isinstance(fault.__cause__, errors.QueryCanceled):  # its own statements are too slow
            return _failed(event, claim, fault)
        raise
    except Unreadable as fault:
        return _quarantine(event, claim, f"unreadable: {fault}")
    except Exception as fault:
        log.exception("raw event %s of channel %s failed", event.pk, event.channel_id)
        return _failed(event, claim, fault)


def _normalised(event: RawEvent) -> Sequence[Normalised]:
    adapter = adapter_for(event.channel.kind)
    return adapter.normalise(event.channel.facts(), raw_of(event), event.headers)


def _effect(event: RawEvent, claim: Claim, results: Sequence[Normalised], *, waited: bool = False) -> None:
    """T2, at most four times: a deadlock, a serialisation failure or a lost race for an identity is nobody's fault."""
    for n in range(RETRIES + 1):
        try:
            return _t2(event, claim, results, waited=waited)
        except (OperationalError, LostRace) as fault:
            lost = isinstance(fault, LostRace)
            if n == RETRIES or not (lost or isinstance(fault.__cause__, TEMPORARY)):
                raise
            sleep(random.uniform(0.01, LONGEST_JITTER) * (n + 1) / (RETRIES + 1))


def _t2(event: RawEvent, claim: Claim, results: Sequence[Normalised], *, waited: bool) -> None:
    now = timezone.now()
    with transaction.atomic():
        if event.ordering_key:
            _advisory_lock(f"{event.channel_id}:{event.ordering_key}")
        crash_here("t2.begun")
        done = Done(Outcome.SUPPRESSED, "nothing in it")
        part = 0
        for n, result in enumerate(results):
            one = _one(event, result, part=part, now=now, waited=waited)
            part += isinstance(result, InboundMessage) and one.outcome == Outcome.TICKETED
            done = one if n == 0 else min(done, one, key=lambda each: _WEIGHT.index(Outcome(each.outcome)))
        crash_here("t2.effect")
        _finish(event, claim, done)
        crash_here("t2.finished")
    crash_here("t2.committed")


def _one(event: RawEvent, result: Normalised, *, part: int, now: datetime, waited: bool) -> Done:
    """The one place where results become effects."""
    match result:
        case InboundMessage():
            return _message(event, result, part=part, now=now, waited=waited)
        case Receipt():
            message_id = delivery.apply_receipt(event.channel, result, now=now)
            if message_id is None:
                raise ingest.NotYet
            return Done(Outcome.RECEIPT, result.state, message_id)
        case Applied():
            message = ingest.apply(event.channel, result, raw_event_id=event.pk, now=now)
            return Done(Outcome.APPLIED, result.kind, message.pk if message else None)
        case Suppressed():
            return Done(Outcome.SUPPRESSED, result.reason)


def _message(event: RawEvent, result: InboundMessage, *, part: int, now: datetime, waited: bool) -> Done:
    if repeated := _repeated(event, result):
        return Done(Outcome.DUPLICATE, "same content", repeated)
    try:
        if said := mail_answers.take(event.channel, result, raw_event_id=event.pk, now=now):
            return Done(Outcome.APPLIED, "agent's answer", said.pk)
        message = ingest.receive(
            event.channel,
            result,
            raw_event_id=event.pk,
            part=part,
            received_at=event.received_at,
            now=now,
            settled=waited,
        )
    except (ingest.Suppress, mail_answers.Refused) as rule:
        return Done(Outcome.SUPPRESSED, rule.reason)
    except ingest.OnlyAnIdentity:
        return Done(Outcome.APPLIED, f"opt-{result.opt}")
    if any(file.reference for file in result.files):
        wake("channels_in.tasks.fetch_media")
    return Done(Outcome.TICKETED, "", message.pk)


def _repeated(event: RawEvent, result: InboundMessage) -> int | None:
    """The message that this one repeats word for word: the second look of a mail, or of a key with other bytes."""
    if not (event.flagged or result.rfc_message_id):
        return None
    earlier = Message.objects.filter(channel=event.channel, raw_event_id__isnull=False).exclude(raw_event_id=event.pk)
    if result.rfc_message_id:
        earlier = earlier.filter(rfc_message_id=result.rfc_message_id[:998])
    else:
        earlier = earlier.filter(external_id=result.external_message_id[:300]).exclude(external_id="")
    for message in earlier.order_by("id")[:20]:
        if ingest.same_content(message, result):
            return message.pk
    return None


# -- How it ends ------------------------------------------------------------------------------------------------------


def _finish(event: RawEvent, claim: Claim, done: Done, *, state: str = RawEvent.State.DONE) -> None:
    """Write the outcome if the claim is still ours. Raises ClaimLost: the caller's transaction must roll back."""
    written = RawEvent.objects.filter(pk=event.pk, lease_owner=claim.owner, state=RawEvent.State.PROCESSING).update(
        state=state,
        outcome=done.outcome,
        outcome_reason=done.reason[:100],
        message_id=done.message_id,
        finished_at=timezone.now(),
        lease_owner=None,
        lease_until=None,
    )
    if not written:
        raise ClaimLost


def _quarantine(event: RawEvent, claim: Claim, reason: str) -> None:
    """The line moves on without it; `show_quarantined` puts it before people's eyes."""
    log.warning("raw event %s of channel %s is quarantined: %s", event.pk, event.channel_id, reason)
    _finish(event, claim, Done(Outcome.QUARANTINED, _plain(reason)), state=RawEvent.State.QUARANTINED)
    crash_here("quarantine.committed")
    show_quarantined()


def _failed(event: RawEvent, claim: Claim, fault: Exception) -> None:
    """An error of this item: again after 2, 4, 8 ... seconds, at the eighth it is quarantined."""
    reason = _plain(f"{type(fault).__name__}: {fault}")
    if claim.attempts >= MOST_ERRORS or isinstance(fault, UnknownKind):
        return _quarantine(event, claim, reason)
    if not queue.give_back(RAW_EVENTS, claim, after=2**claim.attempts, attempt=True, error=reason):
        raise ClaimLost
    return None


def _wait(event: RawEvent, claim: Claim, waiting: ingest.NotYet) -> None:
    """It refers to what is not here: no attempt is lost, for ten minutes; then it is not ours, or stands for itself."""
    if timezone.now() - event.received_at < WAITS:
        if not queue.give_back(RAW_EVENTS, claim, after=LOOK_AGAIN):
            raise ClaimLost
    elif waiting.otherwise is not None:
        _effect(event, claim, [ingest.with_files_stored(waiting.otherwise)], waited=True)
    else:
        _finish(event, claim, Done(Outcome.SUPPRESSED, "not ours"))


def _give_back_after_our_fault(claim: Claim) -> None:
    """Database or disk: not the item's fault. If even this cannot be written, the lease ends by itself."""
    if connection.in_atomic_block:
        return
    connection.close()
    try:
        queue.give_back(RAW_EVENTS, claim, after=OUR_FAULT)
    except (DatabaseError, InterfaceError):
        log.warning("raw event %s waits for the end of its lease", claim.id)


def _neighbour(event: RawEvent) -> int | None:
    """A message of the same conversation, else the line of an earlier unreadable item whose ticket is still open."""
    if event.ordering_key:
        same = RawEvent.objects.filter(
            channel=event.channel, ordering_key=event.ordering_key, message_id__isnull=False, id__lt=event.pk
        )
        if found := same.order_by("-id").values_list("message_id", flat=True).first():
            return found
    earlier = RawEvent.objects.filter(
        state=RawEvent.State.QUARANTINED, channel=event.channel, stub_message_id__isnull=False
    )
    line = earlier.order_by("-id").values_list("stub_message_id", flat=True).first()
    if line is None:
        return None
    # A ticket without any route is the channel's own for such items.
    open_still = Message.objects.filter(pk=line, ticket__status__in=UNSOLVED, ticket__routes__isnull=True)
    return line if open_still.exists() else None


def _needs_parser(kind: str) -> bool:
    try:
        return adapter_for(kind).capabilities.needs_parser
    except UnknownKind:
        return False


def _advisory_lock(name: str) -> None:
    """Until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def _plain(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:1000]
