"""An answer is written: one transaction for the message, its parts, its event and the ticket (reliability.md 6).

Drafts live here too: until `send_at` a reply is a draft only, and its release is one transaction with the message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from agents.models import Agent
from tickets import (
    actions,
    deeds,
    fields,
    followers,
    formatting,
    identities,
    live,
    mentions,
    reply_tokens,
    side_conversations,
    signatures,
    writing,
)
from tickets.access import tickets_for
from tickets.channels import capabilities_of
from tickets.crash import crash_here
from tickets.models import (
    Attachment,
    Channel,
    Draft,
    Event,
    Identity,
    Message,
    Route,
    Ticket,
)
from tickets.models.event import RULE, SYSTEM, by_agent
from tickets.models.ticket import lock_survivor
from tickets.recipients import Recipients
from tickets.routing import assign as routing
from tickets.routing import wrapping
from tickets.sla import clocks
from tickets.wake import wake
from tickets.writing import Unreachable, sentence_of

log = logging.getLogger(__name__)

LONGEST_HOLD = timedelta(seconds=60)  # what waits longer is sent later on purpose
AFTERWARDS = frozenset({"open", "pending", "on_hold", "solved"})  # statuses that "send and ..." may set


class Stale(Exception):
    """The thread has moved on since the author looked: `messages` are those that they have not seen."""

    def __init__(self, messages: list[Message]) -> None:
        super().__init__("the thread has moved on")
        self.messages = messages


class Unsolvable(Unreachable):
    """The answer would solve a ticket on which `lacks` is wanted first."""

    def __init__(self, problem: actions.Incomplete) -> None:
        super().__init__(problem.code, str(problem))
        self.lacks = problem.lacks


@dataclass(frozen=True)
class RouteChoice:
    """A way to reach the customer on this ticket; `route` is None until it is used here for the first time.

    `reason` is "" or a code of `sentence_of`; with "template_only" a template still goes. `limit` is that of one
    part, in the provider's unit.
    """

    route: Route | None
    channel: Channel
    identity: Identity
    reachable: bool
    reason: str
    window_expires_at: datetime | None
    limit: int | None

    @property
    def key(self) -> str:
        """Names this choice in a form."""
        return f"{self.channel.pk}-{self.identity.pk}"


def post(
    ticket: Ticket,
    *,
    agent: Agent,
    text: str,
    route: Route | RouteChoice,
    recipients: Recipients | None = None,
    attachments: Iterable[Attachment] = (),
    template: Mapping[str, Any] | None = None,
    client_uuid: UUID,
    seen_message_id: int | None,
    anyway: bool = False,
    then: Mapping[str, Any] | None = None,
    to_many: bool = False,
    now: datetime,
) -> Message:
    """An agent's public answer. The same `client_uuid` gives the same message, however often it is posted.

    `seen_message_id` is the newest message that the author saw (None: no check). `then` is done in the same transaction:
    {"status": ...}, or the deeds of a macro (`macros.chosen`); with {"take": False} nobody is assigned. `recipients`
    None: a reply to all. Goes to the survivor of a merged ticket. With `to_many` it is one text for the customers of many
    tickets: each gets it alone, signed by the brand. Raises Stale unless `anyway`, Unreachable (Unsolvable where it
    would solve a ticket on which something is wanted first), and ValueError for what no honest browser sends: nothing to say, a foreign
    attachment, route or client_uuid.
    """
    with transaction.atomic():
        locked = lock_survivor(ticket.pk)
        return _post(
            locked,
            agent=agent,
            text=text,
            route=route,
            recipients=recipients,
            attachments=list(attachments),
            template=template,
            client_uuid=client_uuid,
            seen_message_id=seen_message_id,
            anyway=anyway,
            then=then or {},
            to_many=to_many,
            now=now,
        )


def note(
    ticket: Ticket,
    *,
    agent: Agent,
    text: str,
    attachments: Iterable[Attachment] = (),
    client_uuid: UUID,
    seen_message_id: int | None = None,
    then: Mapping[str, Any] | None = None,
    now: datetime,
) -> Message:
    """An internal note: never leaves, changes no status by itself and answers nothing. Idempotent by `client_uuid`.

    Whom it names with `@` follows the ticket and is told. `then` are the deeds of a macro (`macros.chosen`). Raises Stale
    when `seen_message_id` is given and the thread has moved on, Unreachable when a deed does not fit, ValueError as
    `post` does.
    """
    with transaction.atomic():
        locked = lock_survivor(ticket.pk)
        attachments = list(attachments)
        if known := writing.posted(client_uuid, agent=agent, ticket=locked):
            return known
        if not text.strip() and not attachments:
            raise ValueError("nothing to say")
        if unseen := _unseen(locked, agent=agent, seen_message_id=seen_message_id):
            raise Stale(unseen)
        message = writing.write(
            locked,
            kind=Message.Kind.NOTE,
            author_type=Message.Author.AGENT,
            agent=agent,
            author_name=agent.name,
            text=text,
            client_uuid=client_uuid,
            now=now,
        )
        writing.attach(attachments, message, agent=agent)
        locked.goes_on(message, now=now)
        writing.has_read(agent, locked, message)
        if Draft.objects.filter(ticket__in=locked.family_ids(), agent=agent, kind=Draft.Kind.NOTE).delete()[0]:
            tell_draft(agent_id=agent.pk, ticket_id=locked.pk)
        live.announce(locked.record("note_posted", by=by_agent(agent), now=now, message_id=message.pk))
        _tell_mentioned(locked, message, agent=agent, now=now)
        _carry_out(locked, then or {}, message=message, agent=agent, now=now)
        return message


def automatic(
    ticket: Ticket,
    *,
    route: Route,
    text: str,
    kind: Literal["auto-replied", "auto-generated"],
    meta: Mapping[str, Any] | None = None,
    client_uuid: UUID | None = None,
    now: datetime,
) -> Message:
    """A survey or an automatic answer: changes no status, stops no clock, marks no draft. Raises Unreachable.

    Nothing automatic goes to an address that bounced for good or opted out.
    """
    with transaction.atomic():
        locked = lock_survivor(ticket.pk)
        if client_uuid and (known := Message.objects.filter(client_uuid=client_uuid).first()):
            return known
        used = _route_of(locked, route, now=now)
        capabilities = capabilities_of(used.channel.kind)
        writing.check(used.channel, used.identity, used.window_expires_at, capabilities, template=None, now=now)
        if used.identity.failed_at:
            raise Unreachable("bad_address", sentence_of("bad_address"))
        message = writing.write(
            locked,
            kind=Message.Kind.PUBLIC,
            author_type=Message.Author.BOT,
            author_name=used.channel.name,
            text=text,
            route=used,
            alone=True,  # nobody wrote it
            automatic=True,
            meta={**(meta or {}), "automatic": kind},
            client_uuid=client_uuid,
            now=now,
        )
        locked.save(update_fields=["last_seq"])
        writing.queue_parts(message, used, [], capabilities)
        live.announce(locked.record("automatic_message", by=SYSTEM, now=now, message_id=message.pk))
        writing.wake_delivery(used.channel)
        return message


def automatic_note(ticket: Ticket, *, text: str, author: str, now: datetime) -> Message:
    """An internal note that nobody wrote: `author` names the rule. Marks no draft, changes no status, answers nothing."""
    with transaction.atomic():
        locked = lock_survivor(ticket.pk)
        message = writing.write(
            locked,
            kind=Message.Kind.NOTE,
            author_type=Message.Author.BOT,
            author_name=author[:120],
            text=text,
            automatic=True,
            now=now,
        )
        locked.goes_on(message, now=now)
        live.announce(locked.record("note_posted", by=RULE, now=now, message_id=message.pk))
        return message


# ways to reach the customer


def routes_for(ticket: Ticket, *, now: datetime) -> list[RouteChoice]:
    """The customer's ways to be reached, the one used last first: those of this ticket's family, then those of other
    verified addresses of the same person on channels of the same brand."""
    ticket = _survivor(ticket)
    choices: dict[tuple[int, int], RouteChoice] = {}
    known = (
        Route.objects.filter(ticket__in=ticket.family_ids(), side=False)
        .select_related("channel__brand", "identity", "ticket")
        .order_by("-last_used_at", "-id")
    )
    for route in known:
        pair = (route.channel_id, route.identity_id)
        if pair not in choices:
            choices[pair] = _choice(route.channel, route.identity, route, route.window_expires_at, now=now)
    served = {(choice.channel.kind, choice.identity.pk) for choice in choices.values()}
    addresses = [
        identity
        for identity in Identity.objects.filter(customer=ticket.customer_id).order_by("-last_seen_at", "-id")
        # a claim is a suggestion: what somebody typed never receives what we say to somebody else
        if identity.verified or identity.evidence == identities.BY_AGENT
    ]
    channels = list(Channel.objects.filter(brand=ticket.brand_id, active=True).select_related("brand").order_by("id"))
    elsewhere = {
        (channel, identity): window
        for channel, identity, window in Route.objects.filter(identity__customer=ticket.customer_id, side=False)
        .order_by("last_used_at")
        .values_list("channel", "identity", "window_expires_at")
    }
    for identity in addresses:
        fitting = [
            channel
            for channel in channels
            if _fits(channel, identity) and not _better_known(channel, identity, addresses, choices.values())
        ]
        fitting.sort(key=lambda channel: (channel.pk, identity.pk) not in elsewhere)
        for channel in fitting:
            if (channel.kind, identity.pk) in served:
                continue
            served.add((channel.kind, identity.pk))
            window = elsewhere.get((channel.pk, identity.pk))
            choices[channel.pk, identity.pk] = _choice(channel, identity, None, window, now=now)
    return list(choices.values())


def choice_for(ticket: Ticket, key: str, *, now: datetime) -> RouteChoice:
    """The choice of `RouteChoice.key`. Raises LookupError when the ticket has no such way (any more)."""
    for choice in routes_for(ticket, now=now):
        if choice.key == key:
            return choice
    raise LookupError(key)


def ways_to_begin(identities: Iterable[Identity], channels: Sequence[Channel], *, now: datetime) -> list[RouteChoice]:
    """The ways in which an agent may write first: not where only a customer's word opens a conversation. Where an approved
    message does, it is the first, unless the customer has written there lately.

    An identity that is not saved yet belongs to nobody whom we know.
    """
    known, by_template = list(identities), [one for one in channels if capabilities_of(one.kind).templates]
    windows: dict[tuple[int, int], datetime | None] = {}
    if by_template:
        theirs = [one for one in known if one.pk]
        used = Route.objects.filter(channel__in=by_template, identity__in=theirs, side=False, window_expires_at__gt=now)
        rows = used.order_by("window_expires_at").values_list("channel", "identity", "window_expires_at")
        windows = {(channel, identity): window for channel, identity, window in rows}
    return [
        _choice(channel, identity, None, windows.get((channel.pk, identity.pk or 0)), now=now)
        for identity in known
        for channel in channels
        if (capabilities_of(channel.kind).begins or channel in by_template)
        and _fits(channel, identity)
        and not _better_known(channel, identity, known, ())
    ]


def way_again(message: Message, *, elsewhere: bool, now: datetime) -> RouteChoice | None:
    """How an answer that was not delivered goes out again: the way it took where that works, unless `elsewhere`; else the
    first other one that does. None where there is none."""
    choices = routes_for(message.ticket, now=now)
    used = message.route
    own = [one for one in choices if used and (one.channel.pk, one.identity.pk) == (used.channel_id, used.identity_id)]
    others = [one for one in choices if one not in own]
    working = [one for one in (others if elsewhere else own + others) if one.reachable and not one.reason]
    return next(iter(working or own), None)


# drafts


class TooLate(Exception):
    """The draft has been released already."""


def save_draft(
    ticket: Ticket,
    *,
    agent: Agent,
    kind: str,
    text: str,
    client_uuid: UUID,
    revision: int,
    base: int | None = None,
    route: Route | None = None,
    way: str = "",
    to: list[str] | None = None,
    cc: list[str] | None = None,
    template: Mapping[str, Any] | None = None,
    attachment_ids: Iterable[int] = (),
    then: Mapping[str, Any] | None = None,
    seen_message_id: int | None = None,
    now: datetime,
) -> Draft | None:
    """Keep what is being written. The author's browser counts `revision`; a late save of an older one changes nothing.

    `base` is the newest save that this composer has seen: what another composer of the same author (a second tab, a
    phone) has saved since is not overwritten either. `way` is the `RouteChoice.key` of one that has no route yet. Returns
    the draft as it now is (of a newer revision, of another `client_uuid`, or waiting to be sent, if this save lost), or
    None when its message was posted already, so that a late save never brings a sent draft back.
    """
    with transaction.atomic():
        if Message.objects.filter(client_uuid=client_uuid).exists():
            return None
        draft, made = Draft.objects.select_for_update().get_or_create(
            ticket=ticket, agent=agent, kind=kind, defaults={"client_uuid": client_uuid, "revision": 0}
        )
        if draft.send_at is not None or (not made and draft.revision >= revision):
            return draft
        if draft.text and draft.client_uuid != client_uuid and base is not None and draft.revision > base:
            return draft
        if seen_message_id and seen_message_id > (draft.seen_message_id or 0):
            draft.stopped = ""
        draft.client_uuid, draft.revision, draft.text, draft.route = client_uuid, revision, text, route
        draft.way = way
        draft.template, draft.to, draft.cc = dict(template) if template else None, to, cc
        draft.attachment_ids, draft.then = list(attachment_ids), dict(then or {})
        draft.seen_message_id = max(filter(None, (seen_message_id, draft.seen_message_id)), default=None)
        draft.updated_at = now
        draft.save()
        return draft


def discard_draft(
    ticket: Ticket,
    *,
    agent: Agent,
    kind: str,
    revision: int,
    base: int | None = None,
    client_uuid: UUID | None = None,
    now: datetime,
) -> None:
    """Empty it. The row stays with its revision, so that a save that is still on its way does not bring it back."""
    # What waits to be sent is not emptied, nor what another composer has saved since (see save_draft).
    unsent = Draft.objects.filter(ticket=ticket, agent=agent, kind=kind, send_at__isnull=True)
    if base is not None:
        unsent = unsent.filter(Q(client_uuid=client_uuid) | Q(revision__lte=base))
    unsent.filter(revision__lte=revision).update(
        text="",
        template=None,
        to=None,
        cc=None,
        attachment_ids=[],
        then={},
        stopped="",
        revision=revision,
        updated_at=now,
    )


def draft_words(agent_id: int, ticket_ids: Iterable[int]) -> dict[int, str]:
    """Ticket -> the first words of what this agent is writing there. What waits to be sent is written."""
    unsent = Draft.objects.filter(agent=agent_id, ticket__in=ticket_ids, send_at__isnull=True).exclude(text="")
    found = unsent.order_by("updated_at", "pk").values_list("ticket", "text")
    return {ticket: " ".join(formatting.as_plain(text[:300]).split())[:80] for ticket, text in found}


def tell_draft(*, agent_id: int, ticket_id: int) -> None:
    """On commit: the author's lists show what is being written here now."""

    def tell() -> None:
        words = draft_words(agent_id, [ticket_id]).get(ticket_id, "")
        live.whisper("draft", {"agent": agent_id, "ticket": ticket_id, "text": words})

    transaction.on_commit(tell, robust=True)


def hold(
    ticket: Ticket,
    *,
    agent: Agent,
    text: str,
    route: Route | RouteChoice,
    recipients: Recipients | None = None,
    attachments: Iterable[Attachment] = (),
    client_uuid: UUID,
    seen_message_id: int | None,
    anyway: bool = False,
    insist: bool = False,
    then: Mapping[str, Any] | None = None,
    send_at: datetime,
    now: datetime,
) -> Draft | Message:
    """What `post` does, but at that moment; until then it can be taken back. Raises what `post` raises, at once.

    `anyway` accepts what the author has not seen by now, `insist` also what the customer writes until then. An answer
    that is held already for a moment goes first. Posted twice, it is held once; released already, it is its message.
    """
    _hurry(ticket, agent=agent, client_uuid=client_uuid, now=now)
    with transaction.atomic():
        locked = lock_survivor(ticket.pk)
        if known := writing.posted(client_uuid, agent=agent, ticket=locked):
            return known
        attachments = list(attachments)
        if not text.strip() and not attachments:
            raise ValueError("nothing to say")
        if locked.status == Ticket.Status.CLOSED:
            raise Unreachable("closed", sentence_of("closed"))
        unseen = _unseen(locked, agent=agent, seen_message_id=seen_message_id)
        if unseen and not anyway:
            raise Stale(unseen)
        _check_solvable(locked, then or {}, agent=agent)
        used = _route_of(locked, route, now=now, agent=agent)
        draft, _made = Draft.objects.select_for_update().get_or_create(
            ticket=locked, agent=agent, kind=Draft.Kind.REPLY, defaults={"client_uuid": client_uuid}
        )
        if draft.send_at is not None:
            return draft
        draft.client_uuid, draft.text, draft.route, draft.template = client_uuid, text, used, None
        draft.way = ""
        draft.attachment_ids, draft.then = [item.pk for item in attachments], dict(then or {})
        draft.to, draft.cc = (list(recipients.to), list(recipients.cc)) if recipients else (None, None)
        draft.seen_message_id, draft.updated_at = seen_message_id, now
        draft.save()
        return schedule(draft, send_at=send_at, anyway=anyway or insist, now=now)


def hold_forward(
    ticket: Ticket,
    *,
    agent: Agent,
    channel: Channel,
    recipients: Recipients,
    text: str,
    quoting: Iterable[Message] = (),
    attachments: Iterable[Attachment] = (),
    waits: bool,
    client_uuid: UUID,
    send_at: datetime,
    now: datetime,
) -> Draft | Message:
    """What `side_conversations.forward` does, but at that moment, as `hold` holds an answer; what is said meanwhile does not
    stop it. `waits`: the ticket is on hold from then on. Raises what `forward` raises, at once."""
    _hurry(ticket, agent=agent, client_uuid=client_uuid, kind=Draft.Kind.SIDE, now=now)
    with transaction.atomic():
        locked = lock_survivor(ticket.pk)
        if known := writing.posted(client_uuid, agent=agent, ticket=locked):
            return known
        said, files = list(quoting), list(attachments)
        if not text.strip() and not said and not files:
            raise ValueError("nothing to say")
        used = side_conversations.way_to(locked, said, channel=channel, recipients=recipients, agent=agent, now=now)
        draft, _made = Draft.objects.select_for_update().get_or_create(
            ticket=locked, agent=agent, kind=Draft.Kind.SIDE, defaults={"client_uuid": client_uuid}
        )
        if draft.send_at is not None:
            return draft
        draft.client_uuid, draft.text, draft.route, draft.updated_at = client_uuid, text, used, now
        draft.to, draft.cc = list(recipients.to), list(recipients.cc)
        draft.attachment_ids = [item.pk for item in files]
        draft.then = {"messages": [message.pk for message in said], "hold": waits}
        draft.save()
        return schedule(draft, send_at=send_at, anyway=True, now=now)


def _hurry(ticket: Ticket, *, agent: Agent, client_uuid: UUID, kind: str = Draft.Kind.REPLY, now: datetime) -> None:
    """Another one of the same author that waits: one that is held for a moment goes now, a later one is in the way."""
    waiting = Draft.objects.filter(ticket__in=ticket.family_ids(), agent=agent, kind=kind, send_at__isnull=False)
    for draft in waiting.exclude(client_uuid=client_uuid):
        if draft.send_at > now + LONGEST_HOLD:  # type: ignore[operator]
            raise Unreachable("waiting", sentence_of("waiting"))
        if not send_now(draft, now=now) and Draft.objects.filter(pk=draft.pk).exists():
            raise Unreachable("held_back", sentence_of("held_back"))


def schedule(draft: Draft, *, send_at: datetime, anyway: bool = False, now: datetime) -> Draft:
    """Send at that moment: undo-send a few seconds away, or send-later. Stopped if the thread moves on, unless `anyway`.

    Raises ValueError for a draft without words or way, TooLate when it is gone, Unreachable when it could not go now.
    """
    says = draft.text.strip() or draft.attachment_ids or draft.template or draft.then.get("messages")
    if not says or draft.route_id is None:
        raise ValueError("nothing to send")
    route = Route.objects.select_related("channel", "identity").get(pk=draft.route_id)
    capabilities = capabilities_of(route.channel.kind)
    writing.check(
        route.channel, route.identity, route.window_expires_at, capabilities, template=draft.template, now=now
    )
    with transaction.atomic():
        if not Draft.objects.filter(pk=draft.pk, client_uuid=draft.client_uuid).update(
            send_at=send_at, send_anyway=anyway, stopped="", updated_at=now
        ):
            raise TooLate("the draft is gone")
        tell_draft(agent_id=draft.agent_id, ticket_id=draft.ticket_id)
        wait = (send_at - now).total_seconds()
        if wait <= 60:
            wake("tickets.tasks.release_drafts", countdown=max(wait, 0) + 0.2)
    draft.refresh_from_db()
    return draft


def undo(draft: Draft, *, now: datetime) -> bool:
    """Take it back before its moment. False when it was released already: either this or the release wins."""
    waiting = Draft.objects.filter(pk=draft.pk, send_at__isnull=False)
    if not waiting.update(send_at=None, send_anyway=False, updated_at=now):
        return False
    tell_draft(agent_id=draft.agent_id, ticket_id=draft.ticket_id)
    return True


def send_now(draft: Draft, *, now: datetime) -> bool:
    """Do not wait any longer. False when it did not become a message: it was taken back, released already, or stopped."""
    Draft.objects.filter(pk=draft.pk, send_at__isnull=False).update(send_at=now)
    return _release(draft.pk, now=now)


def stopped_because(draft: Draft) -> str | None:
    """Why a draft that should have gone stays. None when it is gone: it was taken back, or somebody else has released it."""
    return Draft.objects.filter(pk=draft.pk).values_list("stopped", flat=True).first()


def release_due(*, now: datetime, limit: int = 500) -> int:
    """Sweep: drafts whose moment has come become messages, each once, whatever crashes. Returns how many.

    One that the thread has overtaken stays a draft with `stopped` set, and its author is told.
    """
    due = Draft.objects.filter(send_at__lte=now).order_by("send_at", "id").values_list("pk", flat=True)[:limit]
    released = 0
    for pk in list(due):
        try:
            released += _release(pk, now=now)
        except Exception:  # one draft must not hold up the others; it stays due
            log.exception("draft %s was not released", pk)
    return released


def _release(pk: int, *, now: datetime) -> bool:
    stopped = ""
    try:
        with transaction.atomic():
            ticket_id = Draft.objects.filter(pk=pk).values_list("ticket", flat=True).first()
            if ticket_id is None:
                return False
            ticket = lock_survivor(ticket_id)
            if not Draft.objects.filter(pk=pk, send_at__lte=now).update(send_at=None):
                return False  # undone, or released by somebody else
            draft = Draft.objects.select_related("agent", "route__channel__brand").get(pk=pk)
            if ticket.pk != ticket_id and not draft.send_anyway:
                raise Unreachable("merged", "")
            if draft.route is None:
                raise ValueError("the draft has no route")
            if not (draft.agent.may_reply and tickets_for(draft.agent).filter(pk=ticket.pk).exists()):
                raise Unreachable("no_right", "")  # lost since it was scheduled: nothing leaves in their name
            _say(draft, ticket, now=now)
            Draft.objects.filter(pk=pk).delete()
            crash_here("draft.posted")
        crash_here("draft.released")
        return True
    except Stale:
        stopped = "newer_message"
    except Unreachable as error:
        stopped = error.code
    except ValueError as error:
        log.warning("draft %s stays unsent: %s", pk, error)
        stopped = "unfit"
    with transaction.atomic():
        if Draft.objects.filter(pk=pk, send_at__lte=now).update(send_at=None, stopped=stopped[:20], updated_at=now):
            _tell_stopped([pk])
    return False


def _say(draft: Draft, ticket: Ticket, *, now: datetime) -> None:
    """What was held is said now, to the customer or to somebody else. Must hold the row lock of the ticket."""
    assert draft.route is not None
    whom = Recipients(tuple(draft.to), tuple(draft.cc or ())) if draft.to else None
    words: dict[str, Any] = {
        "agent": draft.agent,
        "text": draft.text,
        "attachments": _in_order(draft.attachment_ids),
        "client_uuid": draft.client_uuid,
        "now": now,
    }
    if draft.kind != Draft.Kind.SIDE:
        _post(
            ticket,
            route=draft.route,
            recipients=whom,
            template=draft.template,
            seen_message_id=draft.seen_message_id,
            anyway=draft.send_anyway,
            then=draft.then,
            **words,
        )
        return
    quoted = Message.objects.filter(pk__in=draft.then.get("messages", ()))
    assert whom is not None  # a forward always names them
    side_conversations.forward(ticket, channel=draft.route.channel, recipients=whom, quoting=quoted, **words)
    if draft.then.get("hold") and ticket.is_unsolved:
        actions.set_status(ticket, Ticket.Status.ON_HOLD, by=by_agent(draft.agent), now=now)


def _tell_stopped(draft_ids: list[int]) -> None:
    """The author's screens show that the draft waits for them, and the log says so. Inside a transaction."""
    for draft in Draft.objects.filter(pk__in=draft_ids).select_related("ticket"):
        told: dict[str, Any] = {"agent": draft.agent_id, "draft": draft.pk, "reason": draft.stopped}
        live.announce(draft.ticket.record("draft_stopped", now=draft.updated_at, **told))
        words = draft_words(draft.agent_id, [draft.ticket_id]).get(draft.ticket_id, "")
        payload = {"agent": draft.agent_id, "ticket": draft.ticket_id, "stopped": draft.stopped, "text": words}
        if draft.kind == Draft.Kind.SIDE:
            payload |= {"side": True}
        transaction.on_commit(_whispering(payload), robust=True)


def _whispering(payload: dict[str, Any]) -> Callable[[], None]:
    return lambda: live.whisper("draft", payload)


# the answer itself


def _post(
    ticket: Ticket,
    *,
    agent: Agent,
    text: str,
    route: Route | RouteChoice,
    recipients: Recipients | None,
    attachments: list[Attachment],
    template: Mapping[str, Any] | None,
    client_uuid: UUID,
    seen_message_id: int | None,
    anyway: bool,
    then: Mapping[str, Any],
    to_many: bool = False,
    now: datetime,
) -> Message:
    """Must hold the row lock of the ticket, a survivor."""
    if known := writing.posted(client_uuid, agent=agent, ticket=ticket):
        return known
    status = then.get("status")
    if not text.strip() and not attachments and not template:
        raise ValueError("nothing to say")
    if status is not None and status not in AFTERWARDS:
        raise ValueError("nobody can set this status by hand")
    if ticket.status == Ticket.Status.CLOSED:
        raise Unreachable("closed", sentence_of("closed"))
    unseen = _unseen(ticket, agent=agent, seen_message_id=seen_message_id)
    if unseen and not anyway:
        raise Stale(unseen)
    _check_solvable(ticket, then, agent=agent)
    used = _route_of(ticket, route, now=now, agent=agent)
    if used.channel_id == ticket.first_channel_id:
        ticket.first_channel = used.channel  # which policies ask for
    capabilities = capabilities_of(used.channel.kind)
    writing.check(used.channel, used.identity, used.window_expires_at, capabilities, template=template, now=now)

    signs = capabilities.signature and not template

    # An agent's opening message of a new ticket answers nobody; the next one counts (metrics.md 2.1).
    is_first_reply = ticket.first_reply_at is None and Message.objects.filter(ticket=ticket).public().exists()
    message = writing.write(
        ticket,
        kind=Message.Kind.PUBLIC,
        author_type=Message.Author.AGENT,
        agent=agent,
        author_name=agent.name,
        text=text,
        signature=signatures.text_for(ticket, agent=None if to_many else agent, now=now) if signs else "",
        route=used,
        recipients=recipients,
        alone=to_many,
        meta={"template": dict(template)} if template else {},
        client_uuid=client_uuid,
        now=now,
    )
    writing.attach(attachments, message, agent=agent)
    count = writing.queue_parts(message, used, attachments, capabilities, template=template)
    crash_here("reply.queued")
    by = by_agent(agent)
    events: list[Event | None] = [
        ticket.record(
            "reply_posted",
            by=by,
            now=now,
            message_id=message.pk,
            seq=message.seq,
            channel=used.channel_id,
            channel_kind=used.channel.kind,
            parts=count,
        )
    ]
    if unseen:
        events.append(
            ticket.record("sent_anyway", by=by, now=now, message_id=message.pk, unseen=[m.pk for m in unseen])
        )

    ticket.snippet = " ".join(message.plain_text.split())[:200] or ", ".join(item.name for item in attachments)[:200]
    ticket.last_channel, ticket.last_message_id, ticket.last_message_at = used.channel, message.pk, now
    ticket.last_author_id, ticket.last_direction, ticket.updated_at = agent.pk, Message.Direction.OUT, now
    ticket.waiting_since = None
    if is_first_reply:
        ticket.first_reply_at = now
    ticket.save(
        update_fields=[
            "last_seq", "snippet", "last_channel", "last_message_id", "last_message_at", "last_author_id", "last_direction",
            "updated_at", "waiting_since", "first_reply_at",
        ]
    )  # fmt: skip
    if ticket.assignee_id is None and then.get("take", True) and (ticket.team is None or ticket.team.answerer_takes):
        events.append(ticket.give_to(assignee=agent, team=ticket.team, by=by, now=now, cause="answered"))
        ticket.routing_due_at = None
        ticket.save(update_fields=["routing_due_at"])
    moved = None
    if status is not None:
        moved = ticket.change_status(status, by=by, now=now)
    elif ticket.status == Ticket.Status.NEW:
        moved = ticket.change_status(Ticket.Status.OPEN, by=by, now=now)
    clocks.agent_replied(ticket, now=now)
    if moved:
        clocks.status_changed(ticket, moved, now=now)
        wrapping.begin(ticket, moved, now=now)  # before routing is woken
        routing.status_changed(ticket, now=now)
        events.append(moved)
    writing.has_read(agent, ticket, message)
    _retire_drafts(ticket, agent=agent, now=now)
    live.announce(*events)
    _carry_out(ticket, then, message=message, agent=agent, now=now)
    writing.wake_delivery(used.channel)
    return message


def _check_solvable(ticket: Ticket, then: Mapping[str, Any], *, agent: Agent) -> None:
    """Raises Unsolvable where the answer would solve a ticket on which something is wanted first: now, and not when a held
    one leaves. What a macro tags or fills in on the way counts; where it moves the ticket, its own deeds are asked."""
    kept = {deed["do"]: deed for deed in then.get("deeds", ())}
    status = then.get("status") or kept.get("status", {}).get("status")
    if status != Ticket.Status.SOLVED or "team" in kept:
        return
    given = {fields.place_of(key) for key in kept.get("fields", {}).get("fields", ())}
    try:
        actions.check_solvable(ticket, by=by_agent(agent), given=given | ({fields.TAGS} if "tag" in kept else set()))
    except actions.Incomplete as problem:
        raise Unsolvable(problem) from problem


def _carry_out(ticket: Ticket, then: Mapping[str, Any], *, message: Message, agent: Agent, now: datetime) -> None:
    """What a macro does along with its words, or none of it all: raises Unreachable where a deed does not fit any more.

    A status that was chosen for this answer wins over that of the macro.
    """
    if not (then.get("macro") and message.client_uuid):
        return
    wanted = [deed for deed in then.get("deeds", ()) if not (deed["do"] == "status" and then.get("status"))]
    try:
        deeds.carry_out(
            ticket,
            wanted,
            macro_id=then["macro"],
            agent=agent,
            client_uuid=message.client_uuid,
            message=message,
            now=now,
        )
    except actions.Incomplete as problem:
        raise Unsolvable(problem) from problem
    except actions.NotAllowed as problem:
        raise Unreachable("deed", str(problem)) from problem


def _tell_mentioned(ticket: Ticket, message: Message, *, agent: Agent, now: datetime) -> None:
    """Whom the note names: kept with it, in the log for those who are told, and people follow from now on."""
    if "@" not in message.text:
        return
    named = mentions.found_in(message.plain_text, mentions.nameable(ticket))
    if not named:
        return
    mentions.keep(message, named)
    people = [one.agent for one in named if one.agent]
    told = {"agents": [one.pk for one in people], "teams": [one.team.pk for one in named if one.team]}
    by = by_agent(agent)
    live.announce(ticket.record("mentioned", by=by, now=now, message_id=message.pk, **told))
    followers.follow(ticket, [one for one in people if one.pk != agent.pk], by=by, now=now)


def _survivor(ticket: Ticket) -> Ticket:
    while ticket.merged_into_id is not None:
        ticket = Ticket.objects.get(pk=ticket.merged_into_id)
    return ticket


def _unseen(ticket: Ticket, *, agent: Agent, seen_message_id: int | None) -> list[Message]:
    """What others have said since; surveys and automatic answers of ours are nothing to review."""
    if seen_message_id is None:
        return []
    newer = Message.objects.filter(
        ticket__in=ticket.family_ids(),
        id__gt=seen_message_id,
        moved_to=None,
        kind__in=[Message.Kind.PUBLIC, Message.Kind.NOTE, Message.Kind.SIDE],
    )
    return list(newer.exclude(agent=agent).exclude(author_type=Message.Author.BOT).order_by("id"))


def _route_of(ticket: Ticket, choice: Route | RouteChoice, *, now: datetime, agent: Agent | None = None) -> Route:
    """The route in the database, made where the customer is reached this way on this ticket for the first time."""
    known: Route
    if isinstance(choice, RouteChoice) and choice.route is None:
        identity = Identity.objects.get(pk=choice.identity.pk)
        channel = Channel.objects.select_related("brand").get(pk=choice.channel.pk)
        if identity.customer_id != ticket.customer_id or channel.brand_id != ticket.brand_id:
            raise ValueError("this address does not belong to the ticket's customer")
        if not _fits(channel, identity):
            raise ValueError("this channel does not reach this address")
        known, added = Route.objects.get_or_create(
            ticket=ticket,
            channel=channel,
            identity=identity,
            defaults={
                "reply_token": reply_tokens.route_token(ticket, identity, channel),
                "window_expires_at": choice.window_expires_at,
                "last_used_at": now,
            },
        )
        if added and ticket.routes.exclude(pk=known.pk).exists():
            by = by_agent(agent) if agent else SYSTEM
            live.announce(
                ticket.record("route_added", by=by, now=now, route=known.pk, channel=channel.pk, name=channel.name)
            )
    else:
        known = choice.route if isinstance(choice, RouteChoice) and choice.route else choice  # type: ignore[assignment]
    route = Route.objects.select_related("channel__brand", "identity").get(pk=known.pk)
    if route.ticket_id == ticket.pk:
        route.ticket = ticket
    elif route.ticket_id not in ticket.family_ids():
        raise ValueError("this route belongs to another ticket")
    if route.side:
        raise ValueError("this route leads to somebody else")
    if route.identity.customer_id == ticket.customer_id:
        route.identity.customer = ticket.customer
    if route.identity.customer.blocked:
        raise Unreachable("blocked", sentence_of("blocked"))
    fields = ["last_used_at"]
    route.last_used_at = now
    if not route.reply_token:
        route.reply_token = reply_tokens.route_token(route.ticket, route.identity, route.channel)
        fields.append("reply_token")
    route.save(update_fields=fields)
    return route


def _better_known(
    channel: Channel, identity: Identity, identities: Iterable[Identity], choices: Iterable[RouteChoice]
) -> bool:
    """One person has two names on some channels (a number and a user id): they are offered once, by the first kind of
    the channel's capabilities, or by the one that this conversation uses."""
    kinds = capabilities_of(channel.kind).identity_kinds
    used = any(one.channel.pk == channel.pk and one.identity.kind != identity.kind for one in choices if one.route)
    preferred = kinds[: kinds.index(identity.kind)]
    return used or any(other.kind in preferred for other in identities)


def _fits(channel: Channel, identity: Identity) -> bool:
    return identity.kind in capabilities_of(channel.kind).identity_kinds and identity.scope in ("", channel.brand.key)


def _choice(
    channel: Channel, identity: Identity, route: Route | None, window: datetime | None, *, now: datetime
) -> RouteChoice:
    capabilities = capabilities_of(channel.kind)
    reason = writing.obstacle(channel, identity, window, capabilities, now=now)
    return RouteChoice(
        route=route,
        channel=channel,
        identity=identity,
        reachable=reason in ("", "template_only", "bad_address"),
        reason=reason,
        window_expires_at=window,
        limit=capabilities.text_max,
    )


def _in_order(attachment_ids: list[int]) -> list[Attachment]:
    found = Attachment.objects.in_bulk(attachment_ids)
    return [found[pk] for pk in attachment_ids if pk in found]


def _retire_drafts(ticket: Ticket, *, agent: Agent, now: datetime) -> None:
    """The author's reply draft ends; those of others are overtaken, and what they had scheduled stops."""
    drafts = list(Draft.objects.filter(ticket__in=ticket.family_ids(), kind=Draft.Kind.REPLY))
    if own := [draft.pk for draft in drafts if draft.agent_id == agent.pk]:
        Draft.objects.filter(pk__in=own).delete()
        tell_draft(agent_id=agent.pk, ticket_id=ticket.pk)
    overtaken = [
        draft.pk
        for draft in drafts
        if draft.agent_id != agent.pk
        and not (draft.send_at and draft.send_anyway)
        and (draft.text or draft.attachment_ids)
    ]
    if overtaken:
        Draft.objects.filter(pk__in=overtaken).update(stopped="newer_message", send_at=None, updated_at=now)
        _tell_stopped(overtaken)
