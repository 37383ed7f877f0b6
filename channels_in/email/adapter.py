"""E-mail: IMAP or a mail pipe in, SMTP out. Its words end here.

The channel's account and address are the mailbox's address. Settings: `imap_host, imap_port, imap_security, imap_user,
imap_folder, imap_mark_seen, imap_idle, smtp_host, smtp_port, smtp_security, smtp_user, from_name, authserv_id,
trust_unauthenticated, plus_addressing, verp, max_bytes, transport`. Secrets: `imap_password, smtp_password,
hook_password, hook_password_2` (docs/channels/email.md explains each).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from channels_in import parser
from channels_in.email import connection, scan, smtp
from tickets.contract import (
    Capabilities,
    ChannelFacts,
    DeliveryError,
    Fetched,
    Identifier,
    InboundFile,
    InboundMessage,
    Item,
    MediaLimit,
    Normalised,
    OutboundMessage,
    Receipt,
    Rejected,
    Sender,
    SendResult,
    Suppressed,
)

_TOKEN = re.compile(r"\+([0-9a-f]{32})@", re.IGNORECASE)
_PART = re.compile(r"\+b-([0-9a-f]{32})@", re.IGNORECASE)
_OUR_MESSAGE_ID = re.compile(r"<[A-Za-z0-9]{1,64}\.[0-9a-f]{32}@[^@\s<>]{1,253}>", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>,;:\"()@]{1,64}@[^\s<>,;:\"()@]{1,189}")


class EmailAdapter:
    kind = "email"
    label = _("E-mail")
    icon = "mail"
    form = "channels_in.email.forms.EmailForm"
    max_body = scan.MAX_BYTES  # bytes of a mail that a mail server posts
    capabilities = Capabilities(
        media={"*": MediaLimit(mimes=(), max_bytes=20_000_000)},
        files_per_part=100,
        text_with_files=True,
        receipts=("sent", "delivered", "failed"),
        resend_without_answer=True,
        formatted=True,
        html=True,
        subject=True,
        cc=True,
        signature=True,
        begins=True,
        chatlike=False,
        identity_kinds=("email",),
        needs_parser=True,
        give_up_hours=120,
    )

    # -- In ------------------------------------------------------------------------------------------------------------

    def verify(self, channel: ChannelFacts, request: HttpRequest) -> None:
        """Basic auth with one of the mailbox's two live passwords; a mail server posts the mail itself (message/rfc822)."""
        given = _basic_password(request.headers.get("Authorization", ""))
        known = [channel.secrets.get(name, "") for name in ("hook_password", "hook_password_2")]
        # No short cut: both are compared, each in constant time.
        right = sum(constant_time_compare(given, password) for password in known if password)
        if not given or not right:
            raise Rejected("wrong password")

    def handshake(self, channel: ChannelFacts, request: HttpRequest) -> HttpResponse | None:
        return None

    def items(self, channel: ChannelFacts, request: HttpRequest) -> list[Item]:
        if request.method != "POST" or not request.body:
            return []
        return [item_of(request.body)]

    def normalise(self, channel: ChannelFacts, raw: bytes, headers: Mapping[str, str]) -> list[Normalised]:
        """Opens the mail in the parser's child. Raises `Unreadable`, `ParserAway`."""
        mail = parser.parse("mail", raw)
        report = mail["report"]
        if report["kind"] == "bounce":
            return [_bounce(mail)]
        if report["kind"] == "delivered":
            return [_delivered(mail)]
        if report["kind"] in ("delayed", "read_receipt", "abuse_report"):
            return [Suppressed(report["kind"].replace("_", " "))]
        if _is_our_own(channel, mail):
            return [Suppressed("loop")]
        return [_message(channel, mail, headers)]

    def fetch_media(self, channel: ChannelFacts, reference: Mapping[str, Any]) -> Fetched:
        raise DeliveryError("A mail carries its files itself.", permanent=True)

    # -- Out -----------------------------------------------------------------------------------------------------------

    def send(self, channel: ChannelFacts, message: OutboundMessage, *, committed: Callable[[], None]) -> SendResult:
        return smtp.send(channel, message, committed=committed)

    # -- Settings ------------------------------------------------------------------------------------------------------

    def check(self, channel: ChannelFacts) -> str:
        """Sign in at both servers: what is wrong, for an administrator, or "". Sends nothing."""
        return connection.trouble(channel)


def item_of(raw: bytes) -> Item:
    """A mail from a pipe or a webhook: its key is the hash of its bytes without an mbox line, its order the sender's."""
    mail = scan.without_mbox_line(raw)
    return Item(
        account="", dedupe_key=hashlib.sha256(mail).hexdigest(), ordering_key=scan.sender_of(mail)[:300], raw=mail
    )


def _basic_password(header: str) -> str:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


# -- What a mail becomes -----------------------------------------------------------------------------------------------


def _message(channel: ChannelFacts, mail: Mapping[str, Any], headers: Mapping[str, str]) -> InboundMessage:
    report = mail["report"]
    sender = mail["from"]["email"].lower()
    recipients = [*filter(None, [headers.get("recipient", "")]), *mail["recipients"]]
    tokens = (match[1].lower() for address in recipients for match in _TOKEN.finditer(address))
    never_answer = list(report["never_answer"])
    if sender == channel.address.lower():
        never_answer.append("own address")
    reply_to = next((one["email"] for one in mail["reply_to"] if one["email"].lower() != sender), "")
    meta: dict[str, Any] = {"remote_images": mail["remote_images"]} if mail["remote_images"] else {}
    if never_answer:
        meta["never_answer"] = never_answer
    if report["out_of_office"]:
        meta["out_of_office"] = True
    text = mail["text"]
    return InboundMessage(
        external_message_id=mail["message_id"][:300],
        sender=Sender(
            identifiers=_identifiers(channel, mail), name=mail["from"]["name"][:200], locale=mail["language"][:5]
        ),
        sent_at=_moment(mail["date"]),
        text=text,
        html=mail["html"],
        quoted_text=mail["quoted_text"],
        subject=mail["subject"][:300],
        files=_files(mail),
        to=_plain_addresses(mail["to"]),
        cc=_plain_addresses(mail["cc"]),
        reply_address=reply_to[:254],
        reply_tokens=tuple(dict.fromkeys(tokens)),
        rfc_message_id=mail["message_id"][:998],
        references=tuple(reference for reference in mail["references"] if len(reference) <= 998),
        is_auto_reply=report["kind"] == "auto_reply",
        no_auto_reply=bool(never_answer),
        placeholder="" if text.strip() or mail["html"] or mail["attachments"] else "empty",
        meta=meta,
    )


def _identifiers(channel: ChannelFacts, mail: Mapping[str, Any]) -> tuple[Identifier, ...]:
    """The author is From, and only From. Verified by the verdict of the one server that this mailbox names."""
    address = mail["from"]["email"].lower()
    if not _ADDRESS.fullmatch(address):
        return ()
    verdict = _verdict(channel, mail, domain=address.rpartition("@")[2])
    if verdict == "pass" and mail["senders"] == 1:
        return (Identifier("email", "", address, True, "dmarc"),)
    if channel.settings.get("trust_unauthenticated") and verdict == "":
        return (Identifier("email", "", address, True, "trusted_mailbox"),)
    return (Identifier("email", "", address, False, "unauthenticated"),)


def _verdict(channel: ChannelFacts, mail: Mapping[str, Any], *, domain: str) -> str:
    """ "pass", "fail", or "" when the trusted server says nothing. Only its topmost header counts: it writes last."""
    trusted = str(channel.settings.get("authserv_id", "")).strip().lower()
    found = next((one for one in mail["authentication"] if trusted and one["authserv_id"] == trusted), None)
    if found is None or found["dmarc"] in ("", "none"):
        return ""
    return "pass" if found["dmarc"] == "pass" and found["header_from"] == domain else "fail"


def _files(mail: Mapping[str, Any]) -> tuple[InboundFile, ...]:
    files = [
        InboundFile(
            kind=_file_kind(file["content_type"]),
            name=file["name"],
            content_type=file["content_type"],
            size=file["size"],
            content=base64.b64decode(file["content"]),
            content_id=file["content_id"],
            inline=file["inline"],
        )
        for file in mail["attachments"]
    ]
    if mail["original_html"]:
        content = mail["original_html"].encode()
        files.append(
            InboundFile(
                kind="original", name="message.html", content_type="text/html", size=len(content), content=content
            )
        )
    return tuple(files)


def _file_kind(content_type: str) -> Any:
    kind = content_type.partition("/")[0]
    return kind if kind in ("image", "video", "audio") else "document"


def _plain_addresses(addresses: list[dict[str, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one["email"] for one in addresses if one["email"] and len(one["email"]) <= 254))


def _moment(date: str | None) -> datetime | None:
    if date is None:
        return None
    moment = datetime.fromisoformat(date)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        return None


def _is_our_own(channel: ChannelFacts, mail: Mapping[str, Any]) -> bool:
    """A mail that we sent ourselves has come back to us."""
    return mail["from"]["email"].lower() == channel.address.lower() and bool(
        _OUR_MESSAGE_ID.fullmatch(mail["message_id"])
    )


def _bounce(mail: Mapping[str, Any]) -> Normalised:
    report = mail["report"]
    part = _part_uuid(mail)
    if not part and not report["original_message_id"]:
        return Suppressed("bounce without reference")
    row = next((row for row in report["recipients"] if row["action"] == "failed"), {"status": None})
    return Receipt(
        state="failed",
        at=_moment(mail["date"]),
        part_uuid=part,
        rfc_message_id=report["original_message_id"],
        code=row["status"] or "",
        detail=report["diagnostic"] or mail["subject"][:300],
        permanent=report["permanent"],
        bad_address=report["bad_address"],
    )


def _delivered(mail: Mapping[str, Any]) -> Normalised:
    part, original = _part_uuid(mail), mail["report"]["original_message_id"]
    if not part and not original:
        return Suppressed("report without reference")
    return Receipt(state="delivered", at=_moment(mail["date"]), part_uuid=part, rfc_message_id=original)


def _part_uuid(mail: Mapping[str, Any]) -> str:
    found = next((match[1] for address in mail["recipients"] if (match := _PART.search(address))), "")
    return str(uuid.UUID(found)) if found else ""
