"""Notifications on telephones and other devices (Web Push): which browsers have asked for them, and the drain that sends.

Work of the outbox, a row for each device and ticket: claimed by state, at least once. What a push says is looked up
when it is sent, so that nothing leaves of what was read meanwhile, or may no longer be seen. All pushes about a ticket
have one topic and one tag: a burst, or a second try, takes the place of what stands there.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone, translation
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from agents.models import Agent
from tickets import http, presence, queue, web_push
from tickets.crash import crash_here
from tickets.models import Notification, Outbox, PushSubscription
from tickets.notifications import Shown, find_push, hours_of, quiet_until, shown
from tickets.notifying import PUSH
from tickets.web_push import Address, Verdict

log = logging.getLogger(__name__)

MOST_DEVICES = 10  # of one agent
LONGEST = 1000  # characters of an address; those of the known services have some 200 to 400
EXPIRY = timedelta(minutes=10)  # nobody needs to be rung up for what is older
PAUSES = (10, 30, 60, 120, 240)  # seconds until the next try
LOOK_AGAIN = 20  # seconds, while its reader has the ticket before them
MOST_REFUSALS = 5  # one after the other: this subscription was made for another key, or is none


class NotAccepted(ValueError):
    """This browser cannot be reached by push; the reason is a sentence for people."""


# -- Devices ----------------------------------------------------------------------------------------------------------


def subscribe(agent: Agent, address: Address, *, device: str, label: str) -> PushSubscription:
    """From now on this browser shows what concerns the agent, and nobody else. Raises NotAccepted.

    Looks its address up in the network: not inside a transaction.
    """
    _check(address)
    with transaction.atomic():
        Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)  # two tabs at once
        PushSubscription.objects.filter(Q(device=device) | Q(endpoint=address.endpoint)).delete()
        if devices_of(agent).count() >= MOST_DEVICES:
            raise NotAccepted(
                _("You have push on %(count)s devices already. Remove one first.") % {"count": MOST_DEVICES}
            )
        return PushSubscription.objects.create(
            agent=agent,
            device=device,
            endpoint=address.endpoint,
            p256dh=address.p256dh,
            secrets={"auth": address.auth},
            label=label[:80],
        )


def devices_of(agent: Agent) -> QuerySet[PushSubscription]:
    return PushSubscription.objects.filter(agent=agent).order_by("-id")


def is_on(agent: Agent, device: str) -> bool:
    """Whether this browser gets the agent's pushes, and its service has not refused the latest."""
    return bool(device) and devices_of(agent).filter(device=device, failures=0).exists()


def remove(agent: Agent, *, pk: int | None = None, device: str = "") -> None:
    """One of their own: by its number, or the browser of this name."""
    devices_of(agent).filter(Q(pk=pk) if pk is not None else Q(device=device)).delete()


def forget(device: str) -> None:
    """Nobody is signed in on this browser any more."""
    PushSubscription.objects.filter(device=device).delete()


def forget_others(agent: Agent, device: str) -> None:
    """This agent has signed in where another one had push."""
    PushSubscription.objects.filter(device=device).exclude(agent=agent).delete()


def try_out(agent: Agent, device: str, *, now: datetime) -> Verdict:
    """Send a push to this browser, the way that all go. Not inside a transaction."""
    subscription = devices_of(agent).filter(device=device).select_related("agent").first()
    if subscription is None:
        return Verdict("gone")
    with translation.override(agent.language):
        said = {"title": _("This is a test"), "body": _("This is what a notification looks like.")}
    verdict = _send(subscription, {**said, "url": "/settings/notifications/"}, tag="test", now=now)
    _learn(subscription, verdict, now=now)
    return verdict


def label_of(user_agent: str) -> str:
    """The browser and its system as people call them, of what it says of itself; empty for one that we do not know."""
    browsers = (("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
                ("FxiOS", "Firefox"), ("Chrome", "Chrome"), ("CriOS", "Chrome"), ("Safari", "Safari"))  # fmt: skip
    systems = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
               ("CrOS", "ChromeOS"), ("Macintosh", "macOS"), ("Linux", "Linux"))  # fmt: skip
    found = [next((name for mark, name in known if mark in user_agent), "") for known in (browsers, systems)]
    return " · ".join(filter(None, found))


def _check(address: Address) -> None:
    try:
        web_push.check(address)
        target = http.parse(address.endpoint)
        if (target.scheme != "https" and not target.allowed) or len(address.endpoint) > LONGEST:
            raise http.Refused("only https, and not without end")
        http.public_addresses(target.host, target.port)
    except (ValueError, http.Refused) as error:
        raise NotAccepted(_("The address that this browser gave cannot be used for push.")) from error
    except http.FetchError as error:
        raise NotAccepted(_("The push service of this browser cannot be reached from here.")) from error


# -- Sending ----------------------------------------------------------------------------------------------------------


def drain(*, seconds: float = 60) -> int:
    """Send the pushes that are due, for `seconds`. Returns how many were claimed. Not inside a transaction."""
    until, done = monotonic() + seconds, 0
    while monotonic() < until:
        with queue.claimed(queue.OUTBOX, kind=PUSH) as claim:
            if claim is None:
                break
            try:
                _work(claim)
            except Exception:  # one that cannot be said must not hold up the others
                log.exception("push %s was not sent", claim.id)
                queue.give_back(queue.OUTBOX, claim, after=PAUSES[-1], attempt=True, error="internal error")
        done += 1
    return done


def _work(claim: queue.Claim) -> None:
    if claim.attempts > len(PAUSES) + 1:
        log.error("push %s is given up: its sending broke off, time and again", claim.id)
        _end(claim)
        return
    row = Outbox.objects.get(pk=claim.id)
    now = timezone.now()
    subscription = PushSubscription.objects.select_related("agent").filter(pk=row.payload["device"]).first()
    crash_here("push.claimed")
    notification = _due(subscription.agent, row.payload, now=now) if subscription else None
    if subscription is None or notification is None:
        _end(claim)
        return
    if _sees_it(subscription.agent, row.payload["ticket"], now=now):
        queue.give_back(queue.OUTBOX, claim, after=LOOK_AGAIN)
        return
    with translation.override(subscription.agent.language):
        said = _said(shown([notification])[0])
    verdict = _send(subscription, said, tag=_tag(row.payload["ticket"]), now=now)
    crash_here("push.sent")
    with transaction.atomic():
        _learn(subscription, verdict, now=now)
        if verdict.state == "later" and claim.attempts <= len(PAUSES):
            _later(claim, row, verdict)
        else:
            _end(claim)


def _due(agent: Agent, payload: Mapping[str, Any], *, now: datetime) -> Notification | None:
    """What there still is to say. None when it was read, is no longer to be seen or not wanted so, came too late, or
    would come in the quiet hours."""
    if not agent.is_active or quiet_until(hours_of(agent), agent.time_zone, now=now):
        return None
    since = max(datetime.fromisoformat(payload["since"]), now - EXPIRY)
    return find_push(agent, ticket_id=payload["ticket"], since=since)


def _sees_it(agent: Agent, ticket_id: int | None, *, now: datetime) -> bool:
    """They have the ticket open before them, or a tab at all if that is how they want it. What they do not read there
    they get when they leave."""
    there = presence.present([ticket_id], now=now).get(ticket_id, []) if ticket_id else []
    if any(person.id == agent.pk for person in there):
        return True
    return hours_of(agent).only_when_hidden and presence.looks(agent.pk, now=now)


def _said(one: Shown) -> dict[str, Any]:
    count = f" ({one.row.count})" if one.row.count > 1 else ""
    return {"title": f"{one.title[:100]}{count}", "body": one.body[:300], "url": one.url, "notification": one.row.pk}


def _send(subscription: PushSubscription, said: Mapping[str, Any], *, tag: str, now: datetime) -> Verdict:
    auth = subscription.secrets["auth"]  # type: ignore[call-overload]  # the field decrypts to a dictionary
    topic = salted_hmac("tickets.push", f"{subscription.pk}:{tag}", algorithm="sha256").digest()
    return web_push.send(
        Address(subscription.endpoint, subscription.p256dh, auth),
        json.dumps({**said, "tag": tag}, ensure_ascii=False).encode(),
        topic=web_push.packed(topic)[:32],
        ttl=int(EXPIRY.total_seconds()),
        now=now,
    )


def _tag(ticket_id: int | None) -> str:
    return f"ticket-{ticket_id}" if ticket_id else "channel"


def _learn(subscription: PushSubscription, verdict: Verdict, *, now: datetime) -> None:
    """What an answer says of the device: it is there, it is gone, or its service does not want us."""
    same = PushSubscription.objects.filter(pk=subscription.pk)
    if verdict.state == "sent":
        same.update(last_success_at=now, failures=0, last_error="")
    elif verdict.state == "gone":
        same.delete()
    elif verdict.state == "refused":
        log.warning("push to device %s was refused: %s", subscription.pk, verdict.detail)
        same.update(failures=F("failures") + 1, last_error=verdict.detail[:200])
        same.filter(failures__gte=MOST_REFUSALS).delete()


def _later(claim: queue.Claim, row: Outbox, verdict: Verdict) -> None:
    """Once more, and when the service is in trouble, with it all that waits for the same one."""
    pause = max(PAUSES[claim.attempts - 1] * random.uniform(1, 1.2), min(verdict.pause, EXPIRY.total_seconds()))
    if (
        not queue.give_back(queue.OUTBOX, claim, after=pause, attempt=True, error=verdict.detail)
        or not verdict.elsewhere
    ):
        return
    again = Outbox.objects.values_list("next_attempt_at", flat=True).get(pk=claim.id)
    waiting = Outbox.objects.filter(shard_key=row.shard_key, kind=PUSH, state=Outbox.State.QUEUED)
    waiting.filter(next_attempt_at__lt=again).update(next_attempt_at=again)


def _end(claim: queue.Claim) -> None:
    Outbox.objects.filter(pk=claim.id, lease_owner=claim.owner, state=Outbox.State.SENDING).delete()
