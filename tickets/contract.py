"""The words that the core and the channels share.

An adapter speaks these and nothing of the ticket models; the core speaks these and nothing of any provider.
All times are aware datetimes in UTC. All sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from django.http import HttpRequest, HttpResponse


class Rejected(Exception):
    """The request is not from the provider. `status` is the HTTP answer; nothing is kept."""

    def __init__(self, reason: str, *, status: int = 401) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Unreadable(Exception):
    """An item can never be understood (malformed, over a limit). It is quarantined at once, not tried again."""


class ParserAway(Exception):
    """The parser process cannot be reached. Not the item's fault: the claim is given back, no attempt is lost."""


class DeliveryError(Exception):
    """A part could not be sent.

    `permanent`: trying again can never work. `disconnected`: our account is the trouble (token expired,
    suspended); the part stays queued and the channel waits for an administrator. `retry_after` is in seconds.
    `may_have_left`: the request was written and no answer came, so it may have been accepted.
    `opted_out`: the recipient refuses this channel. `bad_address`: the address itself is dead.
    """

    def __init__(
        self,
        detail: str,
        *,
        permanent: bool,
        code: str = "",
        retry_after: float | None = None,
        disconnected: bool = False,
        may_have_left: bool = False,
        opted_out: bool = False,
        bad_address: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.permanent = permanent
        self.code = code
        self.retry_after = retry_after
        self.disconnected = disconnected
        self.may_have_left = may_have_left
        self.opted_out = opted_out
        self.bad_address = bad_address


class Item(NamedTuple):
    """One thing in a provider's call that has an effect of its own (`account` "" = the receiving channel)."""

    account: str
    dedupe_key: str
    ordering_key: str
    raw: bytes


@dataclass(frozen=True)
class ChannelFacts:
    """What an adapter may know of its `Channel`: no model, so that adapters stay pure.

    `settings` are plain, `secrets` are decrypted; neither is ever logged. `hook_url` is the absolute public
    address of `/hooks/<slug>/`.
    """

    id: int
    kind: str
    slug: str
    name: str
    account_id: str
    address: str
    brand_key: str
    brand_name: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    hook_url: str


class Identifier(NamedTuple):
    """An address of a person. `kind`: email, phone, whatsapp, webchat, ... `value` is normalised."""

    kind: str
    scope: str
    value: str
    verified: bool
    evidence: str


@dataclass(frozen=True)
class Sender:
    identifiers: tuple[Identifier, ...] = ()
    name: str = ""
    locale: str = ""
    time_zone: str = ""


@dataclass(frozen=True)
class InboundFile:
    """A file of an inbound message: with its bytes (mail, chat), or a reference to fetch in a job of its own."""

    kind: Literal["image", "video", "audio", "voice", "sticker", "document", "contact", "original"]
    name: str = ""
    content_type: str = "application/octet-stream"
    size: int | None = None
    content: bytes | None = None
    reference: Mapping[str, Any] = field(default_factory=dict)
    content_id: str = ""
    inline: bool = False
    sha256: str = ""
    stored_id: int | None = None  # an upload that is stored already (web chat)


@dataclass(frozen=True)
class InboundMessage:
    """Something that a person said to us, or that one of us said from another tool (`is_echo`)."""

    external_message_id: str
    sender: Sender
    sent_at: datetime | None
    text: str = ""
    html: str = ""  # already cleaned by the parser; the core stores it as it is
    quoted_text: str = ""  # what `text` answered to, folded in the thread
    subject: str = ""
    external_conversation_id: str = ""
    files: tuple[InboundFile, ...] = ()
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    reply_address: str = ""  # the address to answer to, when it is not the sender's own
    reply_tokens: tuple[str, ...] = ()  # candidates found in the envelope recipient; the core checks them
    rfc_message_id: str = ""
    references: tuple[str, ...] = ()  # In-Reply-To first, then References, newest first
    reply_to_external_id: str = ""  # the provider's id of the message this one answers
    ticket_hint: int | None = None  # web chat: one of the visitor's own conversations; checked by the core
    window_until: datetime | None = None  # free answers are allowed until then
    client_uuid: str = ""  # web chat: the browser's own id, namespaced by its session
    is_echo: bool = False
    is_auto_reply: bool = False
    no_auto_reply: bool = False  # never answer this automatically
    opt: Literal["", "stop", "start", "help"] = ""
    placeholder: str = ""  # a code of `PLACEHOLDERS` when there are no words to show
    meta: Mapping[str, Any] = field(default_factory=dict)  # location, contacts, postback, order, referral ...


@dataclass(frozen=True)
class Receipt:
    """What became of a part of ours. Found by `part_uuid` (our own id) or by `provider_id`.

    A watermark (`everything_until`) names every part of one route up to that moment instead.
    """

    state: Literal["sent", "delivered", "read", "failed"]
    at: datetime | None = None
    provider_id: str = ""
    part_uuid: str = ""
    rfc_message_id: str = ""
    everything_until: datetime | None = None
    external_conversation_id: str = ""
    ticket_id: int | None = None
    up_to_seq: int | None = None
    code: str = ""
    detail: str = ""
    permanent: bool = True
    opted_out: bool = False
    bad_address: bool = False


@dataclass(frozen=True)
class Applied:
    """Changes something that exists and is never a message of its own."""

    kind: Literal[
        "edited",
        "deleted",
        "reaction",
        "reaction_removed",
        "identity",
        "session_closed",
        "account",
        "postback",
    ]
    external_message_id: str = ""  # of the message that it changes
    sender: Sender = field(default_factory=Sender)
    text: str = ""
    at: datetime | None = None
    fallback: InboundMessage | None = None  # an edit of an unknown message is kept as a message
    particulars: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suppressed:
    """Kept and visible, without an effect. `reason` is a short code ("loop", "not ours", "unknown kind")."""

    reason: str


Normalised = InboundMessage | Receipt | Applied | Suppressed


@dataclass(frozen=True)
class OutboundFile:
    name: str
    content_type: str
    size: int
    path: str  # in our own store; open with `tickets.files.open_stored`
    url: str  # signed address on the files host, for providers that fetch
    content_id: str = ""
    inline: bool = False


@dataclass(frozen=True)
class OutboundMessage:
    """One `DeliveryPart` as an adapter gets it: everything is decided, nothing is looked up."""

    part_id: int
    part_uuid: str  # the provider's idempotency key, fixed before the first attempt
    n: int
    first_attempt: bool
    to: str  # the identity's value
    to_kind: str
    to_name: str
    remote_thread_id: str
    text: str
    html: str = ""  # safe HTML that says the same, "" where it would say no more; its line breaks are plain ones
    subject: str = ""
    files: tuple[OutboundFile, ...] = ()
    template: Mapping[str, Any] | None = None
    rfc_message_id: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    reply_token: str = ""
    also_to: tuple[str, ...] = ()  # beside `to`, where the channel has several
    cc: tuple[str, ...] = ()
    reply_to_external_id: str = ""
    automatic: Literal["", "auto-replied", "auto-generated"] = ""
    author_name: str = ""
    language: str = "en"
    ticket_id: int = 0
    seq: int = 0


@dataclass(frozen=True)
class Template:
    """A message that the provider approved beforehand: it goes where free answers do not.

    `places` are filled into `body`, where each stands as `{{place}}`, in this order; `named`: by their names.
    """

    name: str
    language: str
    body: str
    places: tuple[str, ...] = ()
    named: bool = False


class SendResult(NamedTuple):
    """`provider_id` may be "" where the provider gives none; `state` is sent or better."""

    provider_id: str
    state: Literal["sent", "delivered", "read"] = "sent"


class Fetched(NamedTuple):
    content: bytes
    content_type: str
    name: str


@dataclass(frozen=True)
class MediaLimit:
    """Which files of one kind a provider takes: mime prefixes or exact mimes, and the largest size in bytes."""

    mimes: tuple[str, ...]
    max_bytes: int


@dataclass(frozen=True)
class Capabilities:
    """The limits of a channel kind as data; the core cuts answers by them and knows no provider."""

    text_max: int | None = None
    text_unit: Literal["characters", "utf16", "bytes", "gsm7"] = "characters"
    segment: tuple[int, int] | None = None  # SMS: characters a segment, GSM-7 and UCS-2, shown in the composer
    media: Mapping[str, MediaLimit] = field(default_factory=dict)  # kind of file -> limit; "*" = any
    files_per_part: int = 1
    text_with_files: bool = False  # text and files ride on one part
    caption_kinds: tuple[str, ...] = ()
    caption_max: int = 0
    window_hours: int | None = None
    templates: bool = False
    typing_out: bool = False
    read_out: bool = False
    receipts: tuple[str, ...] = ()  # states that this channel can report
    idempotent: bool = False  # sending again with the same part_uuid makes no second message
    resend_without_answer: bool = False  # policy after an attempt without answer: again, else `uncertain`
    formatted: bool = False  # shows bold, italic, links and lists; else answers go without their marks
    html: bool = False  # ... by HTML beside the text
    signs: tuple[str, str] = ("", "")  # ... by signs around bold and around italic words in the text itself
    subject: bool = False
    cc: bool = False
    signature: bool = False  # answers are signed, as letters are
    begins: bool = False  # an agent may write first, without a question
    chatlike: bool = True  # Enter sends; no undo delay; one line at a time
    identity_kinds: tuple[str, ...] = ()  # identities that can be reached by this kind
    needs_parser: bool = False  # bodies are opened in the parser's limited child only
    reopen_days: int = 7
    conversation_hours: int = 24 * 14  # an open ticket on this channel takes new messages for so long
    give_up_hours: int = 24


class Adapter(Protocol):
    """One channel kind. Stateless; every method gets the facts of the channel it acts for."""

    kind: str
    label: str  # gettext-lazy
    icon: str  # lucide icon name
    capabilities: Capabilities

    def verify(self, channel: ChannelFacts, request: HttpRequest) -> None:
        """Prove the origin over raw bytes, headers and absolute URL. Raises `Rejected`."""

    def handshake(self, channel: ChannelFacts, request: HttpRequest) -> HttpResponse | None:
        """The answer that the provider wants in this very call, or None."""

    def items(self, channel: ChannelFacts, request: HttpRequest) -> list[Item]:
        """Cut a verified body. Pure. Raises `Unreadable` for a body that cannot be cut."""

    def normalise(self, channel: ChannelFacts, raw: bytes, headers: Mapping[str, str]) -> list[Normalised]:
        """Pure: no database, no network. Several results are parts 0, 1, ... of one item."""

    def send(self, channel: ChannelFacts, message: OutboundMessage, *, committed: Any) -> SendResult:
        """Send one part. Calls `committed()` just before the last byte can leave. Raises `DeliveryError`."""

    def fetch_media(self, channel: ChannelFacts, reference: Mapping[str, Any]) -> Fetched:
        """Download one file. Raises `DeliveryError` (permanent when it has expired)."""


# Shown in the reader's language where a message has no words of its own; the sentences are in timeline.py.
PLACEHOLDERS = frozenset(
    {
        "unsupported",
        "unknown",
        "empty",
        "location",
        "contacts",
        "sticker",
        "voice",
        "order",
        "call",
        "unreadable",
        "deleted",
    }
)
