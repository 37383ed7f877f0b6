"""A mail as plain JSON. Runs in the parser's limited child only: what is read here was written by anybody.

The standard library takes the MIME structure apart (`compat32`, which does not interpret header values and so cannot
be slowed down by them); every header is read by our own linear code in `charsets` and `addresses`.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32
from email.utils import parsedate_to_datetime
from typing import Any, cast

from channels_in.email import quotes, reports, scan
from channels_in.email.addresses import Address, parse_addresses
from channels_in.email.charsets import decode, decode_header, one_line
from channels_in.email.html import clean_html

MAX_TEXT = 500_000  # characters shown of one mail; the rest is in the original
MAX_REFERENCES = 100
mimetypes.init()  # when the parser starts, not in each of its children
_IDS = re.compile(r"<([^<>\s]{1,900})>")
_BARE_ID = re.compile(r"[^\s<>,;]{1,450}@[^\s<>,;]{1,450}")
_AUTHSERV = re.compile(r"^\s*([^\s;]{1,200})(?:\s+\d+)?\s*;")
_RESULT = re.compile(r"(?:^|[;\s])(dmarc|dkim|spf)\s*=\s*([a-z]{1,20})", re.IGNORECASE)
_FROM_DOMAIN = re.compile(r"header\.from\s*=\s*\"?([^\s;\"()]{1,300})", re.IGNORECASE)
_ENVELOPE = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-delivered-to", "to", "cc")


def parse_mail(raw: bytes) -> dict[str, Any]:
    """What a mail says, by value. Raises `scan.TooHard` for a mail over a limit.

    `references` holds In-Reply-To first, then References from the newest to the oldest. `date` is ISO 8601 and naive when
    the mail names no zone. `attachments[].content` is base64. `html` is cleaned; `original_html` is what was sent.
    """
    scan.check(raw)
    try:
        message = BytesParser(policy=_POLICY).parsebytes(scan.without_mbox_line(raw))
    except RecursionError:
        raise scan.TooHard("nested too deep") from None
    fields = _fields(message)
    body = _Body()
    body.read(message, depth=0)
    hint = body.charset

    def text_of(name: str) -> str:
        return decode_header(fields[name][0], hint=hint) if name in fields else ""

    def addresses_of(name: str) -> list[Address]:
        return [address for value in fields.get(name, ()) for address in parse_addresses(value, hint=hint)]

    headers = {name: [decode(value) for value in values] for name, values in fields.items()}
    subject = text_of("subject")
    senders = addresses_of("from")
    sender = next((address for address in senders if address.email), senders[0] if senders else Address("", ""))
    html, text, remote = body.shown()
    report = reports.recognise(
        headers,
        sender=sender.email.lower(),
        subject=subject,
        report_type=body.report_type,
        status_fields=body.status_fields,
        original=f"{body.notice_fields}\n{body.original_header}",
        text=text,
    )
    split = quotes.split(text) if report.kind in ("normal", "auto_reply") else quotes.Split(text, "")
    in_reply_to, references = _ids(headers.get("in-reply-to", [])), _ids(headers.get("references", []))
    return {
        "subject": subject,
        "from": sender._asdict(),
        "senders": len([address for address in senders if address.email]),
        "to": [address._asdict() for address in addresses_of("to")],
        "cc": [address._asdict() for address in addresses_of("cc")],
        "bcc": [address._asdict() for address in addresses_of("bcc")],
        "reply_to": [address._asdict() for address in addresses_of("reply-to")],
        "recipients": _recipients(fields),
        "date": _date(headers.get("date", [""])[0]),
        "message_id": next(iter(_ids(headers.get("message-id", []))), ""),
        "in_reply_to": in_reply_to,
        "references": list(dict.fromkeys([*in_reply_to, *reversed(references)]))[:MAX_REFERENCES],
        "language": one_line(headers.get("content-language", [""])[0])[:20],
        "text": split.visible[:MAX_TEXT],
        "quoted_text": split.quoted[:MAX_TEXT],
        "full_text": text[:MAX_TEXT],
        "html": html,
        "original_html": body.html,
        "remote_images": remote,
        "attachments": body.attachments,
        "authentication": _authentication(headers.get("authentication-results", [])),
        "report": report.as_dict(),
    }


def _fields(message: Message) -> dict[str, list[bytes]]:
    fields: dict[str, list[bytes]] = {}
    for name, value in message.raw_items():
        unfolded = re.sub(rb"\r?\n[ \t]*", b" ", _bytes(value))
        fields.setdefault(name.lower(), []).append(unfolded)
    return fields


def _bytes(value: Any) -> bytes:
    return (
        str(value).encode("ascii", "surrogateescape")
        if str(value).isascii()
        else str(value).encode("utf-8", "surrogateescape")
    )


def _ids(values: list[str]) -> list[str]:
    """Message-IDs in angle brackets; those that a sender wrote without get theirs."""
    found = []
    for value in values:
        ids = _IDS.findall(value) or _BARE_ID.findall(value)
        found += [f"<{id_}>" for id_ in ids]
    return list(dict.fromkeys(found))[:MAX_REFERENCES]


def _date(value: str) -> str | None:
    try:
        return parsedate_to_datetime(value[:200]).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _recipients(fields: dict[str, list[bytes]]) -> list[str]:
    """Every address that this mail was sent to or delivered for, the envelope's first; there reply tokens are found."""
    found = [
        address.email
        for name in _ENVELOPE
        for value in fields.get(name, ())[:20]
        for address in parse_addresses(value)
        if address.email
    ]
    return list(dict.fromkeys(found))[:200]


def _authentication(values: list[str]) -> list[dict[str, str]]:
    """Each Authentication-Results header by its authserv-id (RFC 8601), the newest first. Only the mailbox knows which
    of them to believe."""
    results = []
    for value in values[:20]:
        uncommented = re.sub(r"\([^()]{0,500}\)", " ", value[:5000])
        server = _AUTHSERV.match(uncommented)
        if not server:
            continue
        verdicts = {"dmarc": "", "dkim": "", "spf": ""}
        header_from = ""
        for piece in uncommented.split(";")[1:]:
            result = _RESULT.search(piece)
            if result and not verdicts[result[1].lower()]:
                verdicts[result[1].lower()] = result[2].lower()
                if result[1].lower() == "dmarc":
                    domain = _FROM_DOMAIN.search(piece)
                    header_from = domain[1].lower() if domain else ""
        results.append({"authserv_id": server[1].lower(), "header_from": header_from, **verdicts})
    return results


class _AsWritten(Compat32):
    """Header values as they were sent (bytes over 127 as surrogates), so that our own reading has the bytes."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        return value


_POLICY = _AsWritten()


class _Body:
    """Walks the parts once: words, HTML, files, and what a report carries."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.htmls: list[str] = []
        self.charset = ""
        self.attachments: list[dict[str, Any]] = []
        self.report_type = ""
        self.status_fields = ""
        self.notice_fields = ""  # of a read receipt or an abuse report
        self.original_header = ""
        self._seen: set[str] = set()

    @property
    def html(self) -> str:
        return "\n".join(self.htmls)

    def shown(self) -> tuple[str, str, int]:
        """Cleaned HTML, the words, the number of remote pictures; and marks the files that the HTML shows."""
        text = (
            "\n".join(part for part in self.texts if part.strip()) if any(part.strip() for part in self.texts) else ""
        )
        if not self.htmls:
            return "", text, 0
        cids = {file["content_id"]: file["content_id"] for file in self.attachments if file["content_id"]}
        cleaned = clean_html(self.html, cids=cids)
        for file in self.attachments:
            file["inline"] = bool(file["content_id"]) and f'data-cid="{file["content_id"]}"' in cleaned["html"]
        return cleaned["html"], text or cleaned["text"], cleaned["remote_images"]

    def read(self, part: Message, *, depth: int) -> None:
        if depth > scan.MAX_DEPTH:
            raise scan.TooHard("nested deeper than 50")
        kind = part.get_content_type()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            if kind == "multipart/report":
                self.report_type = (_parameter(part, "report-type") or "delivery-status").lower()
            for child in _children(part):
                self.read(child, depth=depth + 1)
            return
        if part.is_multipart():
            self._read_attached(part, kind)
            return
        content = _decoded(part)
        if self._is_status(part, kind, content):
            self.status_fields = self.status_fields or decode(content)[:100_000]
        elif kind == "text/rfc822-headers":
            self.original_header = self.original_header or decode(content)[:50_000]
        elif self._is_words(part, kind):
            self._read_words(part, kind, content)
        else:
            self._keep(part, kind, content)

    def _is_status(self, part: Message, kind: str, content: bytes) -> bool:
        if kind in ("message/delivery-status", "message/global-delivery-status"):
            return True
        return bool(self.report_type) and kind == "text/plain" and b"final-recipient:" in content[:20_000].lower()

    def _is_words(self, part: Message, kind: str) -> bool:
        if part.get_content_disposition() == "attachment" or _name(part):
            return False
        if part.get("Content-ID") and self.texts and kind.startswith("text/"):
            return False  # a text file that the HTML refers to
        return kind in ("text/plain", "text/html", "application/plain") or part.get_content_maintype() == "multipart"

    def _read_words(self, part: Message, kind: str, content: bytes) -> None:
        declared = _parameter(part, "charset")
        words = decode(content, declared, hint=self.charset).replace("\x00", "")
        self.charset = self.charset or declared
        if kind == "text/html":
            self.htmls.append(words)
            return
        words = words.replace("\r\n", "\n").replace("\r", "\n")
        if _parameter(part, "format").lower() == "flowed":
            words = unflow(words, delsp=_parameter(part, "delsp").lower() == "yes")
        self.texts.append(words)

    def _read_attached(self, part: Message, kind: str) -> None:
        children = _children(part)
        if kind in ("message/delivery-status", "message/global-delivery-status"):
            groups = ("\n".join(f"{name}: {value}" for name, value in group.raw_items()) for group in children)
            self.status_fields = self.status_fields or "\n\n".join(groups)[:100_000]
            return
        original = children[0]
        if kind in ("message/disposition-notification", "message/feedback-report"):
            fields = "\n".join(f"{name}: {value}" for name, value in original.raw_items())
            self.notice_fields = self.notice_fields or fields[:100_000]
            return
        if self.report_type and not self.original_header:
            head = "\n".join(f"{name}: {value}" for name, value in original.raw_items())
            self.original_header = head[:50_000]
        content = original.as_bytes()
        subject = decode_header(_bytes(original.get("Subject", "")))
        self._append(_name(part) or f"{subject[:80] or 'message'}.eml", "message/rfc822", content, part)

    def _keep(self, part: Message, kind: str, content: bytes) -> None:
        if kind in ("text/calendar", "application/ics"):
            digest = hashlib.sha256(content.replace(b"\r\n", b"\n").strip()).hexdigest()
            if digest in self._seen:
                return  # invitations often carry the same file twice
            self._seen.add(digest)
        self._append(_name(part) or self._invented_name(kind), kind, content, part)

    def _append(self, name: str, kind: str, content: bytes, part: Message) -> None:
        self.attachments.append(
            {
                "name": name,
                "content_type": kind,
                "content_id": one_line(decode(_bytes(part.get("Content-ID", "")))).strip("<> ")[:300],
                "disposition": part.get_content_disposition() or "",
                "inline": False,
                "size": len(content),
                "content": base64.b64encode(content).decode("ascii"),
            }
        )

    def _invented_name(self, kind: str) -> str:
        stem = {"text/calendar": "invite", "application/ics": "invite"}.get(kind) or kind.partition("/")[0]
        stem = stem if stem in ("image", "audio", "video", "text", "invite") else "attachment"
        suffix = ".ics" if stem == "invite" else mimetypes.guess_extension(kind) or ".bin"
        return f"{stem}-{len(self.attachments) + 1}{suffix}"


def _children(part: Message) -> list[Message]:
    return cast(list[Message], part.get_payload())


def _decoded(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _name(part: Message) -> str:
    try:
        name = part.get_filename("") or ""
    except (LookupError, ValueError, TypeError):
        name = ""
    return decode_header(_bytes(name))[:255]


def _parameter(part: Message, name: str) -> str:
    try:
        value = part.get_param(name, "")
    except (LookupError, ValueError, TypeError):
        return ""
    if isinstance(value, tuple):
        value = value[2]
    return one_line(decode(_bytes(value or "")))[:200]


def unflow(text: str, *, delsp: bool = False) -> str:
    """Join the soft line breaks of `format=flowed` (RFC 3676), each depth of quotation by itself."""
    lines: list[tuple[str, bool, str]] = []  # (quotation marks, goes on, words)
    for line in text.split("\n"):
        marks = line[: len(line) - len(line.lstrip(">"))]
        words = line[len(marks) :]
        words = words[1:] if words.startswith(" ") else words
        soft = words.endswith(" ") and words != "-- "
        if lines and lines[-1][1] and lines[-1][0] == marks:
            before = lines[-1][2][:-1] if delsp else lines[-1][2]
            lines[-1] = (marks, soft, before + words)
        else:
            lines.append((marks, soft, words))
    return "\n".join(f"{marks} {words}".rstrip() if marks else words.rstrip() for marks, _, words in lines)
