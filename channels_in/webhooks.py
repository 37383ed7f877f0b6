"""The door of every provider: verify, cut into items, keep, commit, answer (reliability.md 4.1).

Nothing is understood here. `keep` is the same for every door: webhooks, mailboxes, the mail pipe, the web chat.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import NamedTuple

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from channels_in.models import RawEvent, SignatureFailure
from tickets import files
from tickets.channels import UnknownKind, adapter_for
from tickets.contract import Adapter, ChannelFacts, Item, Rejected, Unreadable
from tickets.crash import crash_here
from tickets.models import Channel
from tickets.wake import wake

log = logging.getLogger(__name__)

MAX_BODY = 4 * 1024**2  # bytes; an adapter whose provider sends more says so in `max_body`
INLINE = 1024**2  # bytes; larger items go to the file store
AGAIN = "5"  # seconds, Retry-After
UNKNOWN_ACCOUNT = "unknown account: "
UNREADABLE = "unreadable body"
_KEPT_APART = frozenset({"authorization", "proxy-authorization", "cookie", "x-forwarded-for"})  # never stored


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@transaction.non_atomic_requests
def hook(request: HttpRequest, slug: str) -> HttpResponse:
    """`/hooks/<channel-slug>/`. 200 only after the commit; 401 without a row for a wrong signature; 503 when the
    database or the disk cannot keep it, so that the provider tries again."""
    try:
        return _hook(request, slug)
    except (OperationalError, InterfaceError, files.NoRoom):
        log.exception("hook %s could not keep", slug)
        return HttpResponse(status=503, headers={"Retry-After": AGAIN})


def _hook(request: HttpRequest, slug: str) -> HttpResponse:
    channel = Channel.objects.select_related("brand").filter(slug=slug, active=True).first()
    if channel is None:
        raise Http404
    try:
        adapter = adapter_for(channel.kind)
    except UnknownKind:
        raise Http404 from None
    facts = channel.facts()
    if request.method == "HEAD":
        return HttpResponse()
    body = _read(request, limit=getattr(adapter, "max_body", MAX_BODY))
    if body is None:
        return HttpResponse(status=413)
    try:
        if request.method == "GET":
            # A handshake carries no signature and proves itself by its own token.
            answer = adapter.handshake(facts, request)
            if answer is not None or not request.META.get("QUERY_STRING"):
                return answer or HttpResponse()
        adapter.verify(facts, request)
    except Rejected as refusal:
        _count_refusal(channel, refusal.reason)
        return HttpResponse(status=refusal.status)
    crash_here("hook.verified")
    items = _items(adapter, facts, request, body)
    headers = kept_headers(request)
    _keep_by_account(channel, items, body=body, headers=headers, remote_ip=request.META.get("REMOTE_ADDR") or None)
    crash_here("hook.committed")
    return adapter.handshake(facts, request) or HttpResponse()


def keep(
    channel: Channel,
    items: Sequence[Item],
    *,
    body: bytes,
    headers: Mapping[str, str],
    remote_ip: str | None,
    auth_result: str,
    refused: str = "",
) -> list[int]:
    """Keep items for good: one INSERT, one commit. Returns the ids of those that were not known.

    A known key adds no row. The same key with other bytes is kept beside it, as `key#sha8`, and flagged. With
    `refused` (a reason) the items go straight to quarantine. Joins the caller's transaction, if there is one; the
    wake-up follows the commit. Raises `files.NoRoom` when the disk is nearly full.
    """
    shared = RawEvent(
        channel=channel,
        body_sha256=hashlib.sha256(body).hexdigest(),
        headers={_text(name): _text(value) for name, value in headers.items()},
        remote_ip=remote_ip,
        auth_result=auth_result[:40],
        received_at=timezone.now(),
    )
    rows = [_row(shared, item, refused=refused) for item in items]
    if not rows:
        return []
    with transaction.atomic():
        made = _insert(rows)
        if len(made) < len(rows):
            made |= _insert(_other_content(channel, rows))
        crash_here("hook.kept")
        if made:
            wake("channels_in.tasks.process")
    return sorted(made.values())


def kept_headers(request: HttpRequest) -> dict[str, str]:
    """What an adapter may need of the call later: headers without credentials, and the query string as `:query`."""
    headers = {
        name.lower(): value[:1000]
        for name, value in list(request.headers.items())[:60]
        if name.lower() not in _KEPT_APART
    }
    if query := request.META.get("QUERY_STRING"):
        headers[":query"] = query[:4000]
    return headers


def raw_of(event: RawEvent) -> bytes:
    """The bytes of an item, from the row or from the store. Raises Unreadable when they are gone."""
    if event.raw is not None:
        return bytes(event.raw)
    if not event.raw_path:
        raise Unreadable("its content was removed")
    try:
        with files.open_stored(event.raw_path) as stored:
            return stored.read()
    except FileNotFoundError:
        raise Unreadable("its file is missing from the store") from None


# -- Reading ----------------------------------------------------------------------------------------------------------


def _read(request: HttpRequest, *, limit: int) -> bytes | None:
    """The raw body under a hard cap of ours (Django's own is made for forms); None when it is larger."""
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = 0
    if announced > limit:
        return None
    body = request.read(limit + 1)
    if len(body) > limit:
        return None
    request._body = body  # type: ignore[attr-defined]  # so that `request.body` and `request.POST` read these bytes
    return body


class _Cut(NamedTuple):
    items: list[Item]
    refused: str


def _items(adapter: Adapter, facts: ChannelFacts, request: HttpRequest, body: bytes) -> _Cut:
    """A genuine body that cannot be cut is one item, the whole of it, for quarantine: never a 500, never lost."""
    try:
        return _Cut(list(adapter.items(facts, request)), "")
    except Unreadable as fault:
        log.warning("%s: a verified body could not be cut: %s", facts.slug, fault)
    except Exception:
        log.exception("%s: a verified body could not be cut", facts.slug)
    return _Cut([Item("", hashlib.sha256(body).hexdigest(), "", body)], UNREADABLE)


def _keep_by_account(
    channel: Channel, cut: _Cut, *, body: bytes, headers: Mapping[str, str], remote_ip: str | None
) -> None:
    """The provider's account chooses among the channels of the same app; an unknown one waits in quarantine here."""
    groups: dict[tuple[int, str], list[Item]] = defaultdict(list)
    channels = {channel.pk: channel}
    siblings = siblings_of(channel, {item.account for item in cut.items})
    for item in cut.items:
        if item.account in ("", channel.account_id) or not channel.account_id:
            groups[channel.pk, cut.refused].append(item)
        elif sibling := siblings.get(item.account):
            channels[sibling.pk] = sibling
            groups[sibling.pk, cut.refused].append(item)
        else:
            groups[channel.pk, f"{UNKNOWN_ACCOUNT}{item.account}"].append(item)
    with transaction.atomic():
        for (pk, refused), items in sorted(groups.items()):
            keep(
                channels[pk],
                items,
                body=body,
                headers=headers,
                remote_ip=remote_ip,
                auth_result="verified",
                refused=refused,
            )


def siblings_of(channel: Channel, accounts: Iterable[str]) -> dict[str, Channel]:
    """Channels by account that share this channel's verified secret: the same kind and the same app, never others."""
    others = set(accounts) - {"", channel.account_id}
    if not others or not channel.app_id:
        return {}
    found = Channel.objects.filter(kind=channel.kind, app_id=channel.app_id, account_id__in=others, active=True)
    return {one.account_id: one for one in found.order_by("-pk")}


# -- Keeping ----------------------------------------------------------------------------------------------------------


def _row(shared: RawEvent, item: Item, *, refused: str) -> RawEvent:
    row = copy(shared)
    row._state = copy(shared._state)
    large = len(item.raw) > INLINE
    row.dedupe_key = _short(item.dedupe_key, 390)
    row.ordering_key = _short(item.ordering_key, 300)
    row.raw_sha256 = hashlib.sha256(item.raw).hexdigest()
    row.raw = None if large else item.raw
    row.raw_path = files.store(item.raw).sha256 if large else None
    row.next_attempt_at = row.received_at
    if refused:
        row.state, row.outcome = RawEvent.State.QUARANTINED, RawEvent.Outcome.QUARANTINED
        row.outcome_reason, row.finished_at = _text(refused)[:100], row.received_at
    return row


def _insert(rows: Sequence[RawEvent]) -> dict[str, int]:
    """INSERT ... ON CONFLICT DO NOTHING. Returns the new rows' ids by key, found by their hash and this very moment."""
    if not rows:
        return {}
    RawEvent.objects.bulk_create(rows, ignore_conflicts=True)
    keys = [row.dedupe_key for row in rows]
    first = rows[0]
    known = RawEvent.objects.filter(channel=first.channel, dedupe_key__in=keys).values_list(
        "dedupe_key", "id", "received_at"
    )
    moments = {row.dedupe_key: row.received_at for row in rows}
    return {key: pk for key, pk, received_at in known if received_at == moments[key]}


def _other_content(channel: Channel, rows: Sequence[RawEvent]) -> list[RawEvent]:
    """Those rows whose key is known with other bytes: kept under a key of their own.

    A stripped row knows its key whatever comes again: what was erased does not return.
    """
    first = {
        key: (sha, stripped)
        for key, sha, stripped in RawEvent.objects.filter(
            channel=channel, dedupe_key__in=[row.dedupe_key for row in rows]
        ).values_list("dedupe_key", "raw_sha256", "stripped_at")
    }
    different = []
    for row in rows:
        sha, stripped = first.get(row.dedupe_key, (row.raw_sha256, None))
        if sha != row.raw_sha256 and stripped is None:
            row.dedupe_key, row.flagged = f"{row.dedupe_key}#{row.raw_sha256[:8]}", True
            row.pk = None
            different.append(row)
    return different


def _count_refusal(channel: Channel, reason: str) -> None:
    """A counter for each channel and day; the call itself leaves no row."""
    now = timezone.now()
    log.warning("hook %s refused a call: %s", channel.slug, reason)
    today = SignatureFailure.objects.filter(channel=channel, day=now.date())
    change = {"n": F("n") + 1, "last_at": now, "last_reason": reason[:100]}
    if not today.update(**change):
        SignatureFailure.objects.bulk_create(
            [SignatureFailure(channel=channel, day=now.date(), n=0, last_at=now)], ignore_conflicts=True
        )
        today.update(**change)


def _short(key: str, limit: int) -> str:
    """A key in full, or its hash where it is too long for the column."""
    key = _text(key)
    return key if len(key) <= limit else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _text(value: str) -> str:
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
