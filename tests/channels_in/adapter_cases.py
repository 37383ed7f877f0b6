"""One list of cases that every channel kind passes (docs/adding-a-channel.md), told through the real door.

A kind takes part by one `Kind` in KINDS. What a provider cannot do (batches, several accounts in one body) is None.
`text(channel, words)` and the others give a signed `Call`: the request as the simulated provider makes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from channels_in.simulator.provider import Call
from channels_in.sms import fake as sms
from channels_in.whatsapp import fake as whatsapp
from tickets.models import Brand, Channel

PERSON = "+821055501001"
ANOTHER = "+821055501002"


@dataclass(frozen=True)
class Kind:
    """How the simulated provider of one channel kind makes each case."""

    kind: str
    text: Callable[[Channel, str, str, str], Call]  # channel, sender, words, the provider's id of the message
    forged: Callable[[Call], Call]  # the same with a signature that is wrong
    malformed: Callable[[Channel], Call]  # genuine, and not readable
    empty: Callable[[Channel], Call]  # genuine, and nothing
    unknown: Callable[[Channel], Call]  # genuine, of a type that nobody knows yet
    unknown_outcome: str  # what becomes of it: "ticketed" when a customer wrote it, else "suppressed"
    malformed_outcome: str = "quarantined"
    other_account: Callable[[Channel, str], Call] | None = None  # signed for `channel`, for another account
    batch: Callable[[Channel, list[tuple[str, str]]], Call] | None = None  # (sender, words) each
    address: str = PERSON


def make_channel(kind: str, **changes: Any) -> Channel:
    """A channel that is connected with its simulated provider."""
    brand, _made = Brand.objects.get_or_create(key="haneul", defaults={"name": "하늘상점", "domain": "haneul.example"})
    base: dict[str, Any] = {
        "kind": kind,
        "slug": f"{kind}-{secrets.token_hex(4)}",
        "name": kind.upper(),
        "brand": brand,
    }
    if kind == "sms":
        settings, hidden = sms.demo_settings()
        base |= {"account_id": "+827041230001", "address": "070-4123-0001", "app_id": settings["account_sid"]}
    elif kind == "whatsapp":
        settings, hidden = whatsapp.demo_settings()
        base |= {"account_id": "771000000000001", "address": "+827041230002", "app_id": "app-1"}
    else:
        settings, hidden = {}, {}
        base |= {"address": "help@haneul.example"}
    return Channel.objects.create(**{**base, "settings": settings, "secrets": hidden, **changes})


def posted(client: Any, call: Call) -> Any:
    """Post a call through Django's test client, as the provider would over HTTP."""
    content_type = call.headers["Content-Type"]
    headers = {name: value for name, value in call.headers.items() if name != "Content-Type"}
    return client.post(call.path, data=call.body, content_type=content_type, headers=headers)


def poster(client: Any) -> Callable[[Call], int]:
    """`post=` of the simulated providers, without a server."""
    return lambda call: posted(client, call).status_code


def _with_header(call: Call, name: str, value: str) -> Call:
    headers: Mapping[str, str] = {**call.headers, name: value}
    return Call(call.path, headers, call.body)


def _whatsapp_batch(channel: Channel, said: list[tuple[str, str]]) -> Call:
    contacts = [whatsapp.contact(sender) for sender in dict.fromkeys(sender for sender, _words in said)]
    found = [whatsapp.message(sender, body=words) for sender, words in said]
    return whatsapp.signed(channel, whatsapp.change(channel, contacts=contacts, messages=found))


def _whatsapp_raw(channel: Channel, raw: bytes) -> Call:
    genuine = whatsapp.signed(channel)
    signature = whatsapp.signature(str(channel.facts().secrets["app_secret"]), raw)
    return Call(genuine.path, {**genuine.headers, "X-Hub-Signature-256": signature}, raw)


def _whatsapp_other_account(channel: Channel, account: str) -> Call:
    change = whatsapp.change(
        channel, contacts=[whatsapp.contact(PERSON)], messages=[whatsapp.message(PERSON, body="hi")]
    )
    change["value"]["metadata"]["phone_number_id"] = account
    return whatsapp.signed(channel, change)


KINDS = {
    "sms": Kind(
        kind="sms",
        text=lambda channel, sender, words, key: sms.build(channel, sender=sender, text=words, sid=key),
        forged=lambda call: _with_header(call, "X-Twilio-Signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        # A form cannot be malformed: whatever it is, it is a form of something else.
        empty=lambda channel: sms.signed(channel, channel.facts().hook_url, {}),
        malformed=lambda channel: sms.signed(channel, channel.facts().hook_url, {"nonsense": "\x00=&", "": "x"}),
        malformed_outcome="suppressed",
        unknown=lambda channel: sms.signed(
            channel, channel.facts().hook_url, {"CallSid": "CA1", "CallStatus": "ringing"}
        ),
        unknown_outcome="suppressed",
        other_account=lambda channel, account: sms.build(channel, sender=PERSON, text="hi", To=account),
    ),
    "whatsapp": Kind(
        kind="whatsapp",
        text=lambda channel, sender, words, key: whatsapp.build(channel, sender=sender, text=words, wamid=key),
        forged=lambda call: _with_header(call, "X-Hub-Signature-256", "sha256=" + "0" * 64),
        empty=lambda channel: _whatsapp_raw(channel, b""),
        malformed=lambda channel: _whatsapp_raw(channel, b'{"object": "whatsapp_business_account", "entry": '),
        unknown=lambda channel: whatsapp.signed(
            channel,
            whatsapp.change(
                channel,
                contacts=[whatsapp.contact(PERSON)],
                messages=[whatsapp.message(PERSON, kind="hologram", beam=1)],
            ),
        ),
        unknown_outcome="ticketed",
        other_account=_whatsapp_other_account,
        batch=_whatsapp_batch,
    ),
}
