"""Mail written by machines: bounces, delay warnings, read receipts, abuse reports, automatic answers.

Works on what `parse` has read: header fields (name in lower case, unfolded text), the parts, and the words.
Sources: RFC 3464 (delivery status), RFC 8098 (disposition), RFC 5965 (abuse), RFC 3834 (automatic answers).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Headers = Mapping[str, Sequence[str]]

_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_ADDRESS = re.compile(r"[^\s<>,;:\"()@]{1,64}@[^\s<>,;:\"()@]{1,253}")
_MESSAGE_ID = re.compile(
    r"^\s{0,8}(?:original-)?message-id\s{0,3}:\s{0,5}(<[^<>\s]{1,900}>)", re.IGNORECASE | re.MULTILINE
)
_ROBOT = re.compile(r"^(?:mailer-daemon|postmaster|mail-daemon|mailerdaemon|bounce|bounces)(?:[+@-]|$)", re.IGNORECASE)
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|failure notice|delivery status notification|returned mail|mail delivery (?:failed|failure|subsystem)"
    r"|delivery (?:failure|has failed)|could ?n.t be delivered|not delivered|반송|전송 ?실패|배달 ?실패|발송 ?실패|메일 ?반환",
    re.IGNORECASE,
)
_DELAY_SUBJECT = re.compile(r"delayed|warning: could not send|still being retried|지연", re.IGNORECASE)
_FAILED_ADDRESS_WORDS = re.compile(
    r"permanent|user unknown|unknown user|rejected|no such user|failed|존재하지", re.IGNORECASE
)
_AUTO_SUBJECT = re.compile(
    r"^\s*(?:auto(?:matic)?[ -]?(?:reply|response)|autorespon|out of (?:the )?office|abwesenheit|자동 ?(?:응답|회신)|부재 ?중"
    r"|(?:réponse|risposta) automati|respuesta autom)",
    re.IGNORECASE,
)
_VACATION = re.compile(r"vacation|out of (?:the )?office|holiday|annual leave|부재|휴가", re.IGNORECASE)
# Statuses that say that the address itself is dead (RFC 3463).
_BAD_ADDRESS = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10")


@dataclass
class Report:
    """What kind of machine wrote this. `recipients` has one row for each address that a delivery report names."""

    kind: str = "normal"  # normal, bounce, delayed, delivered, auto_reply, read_receipt, abuse_report
    out_of_office: bool = False
    permanent: bool = False
    bad_address: bool = False
    recipients: list[dict[str, str | None]] = field(default_factory=list)
    original_message_id: str = ""
    diagnostic: str = ""
    never_answer: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def recognise(
    headers: Headers, *, sender: str, subject: str, report_type: str, status_fields: str, original: str, text: str
) -> Report:
    """`report_type` is that of multipart/report; `status_fields` the delivery-status part's text; `original` the header of
    the attached mail; `text` the words of the body."""
    report = Report(never_answer=never_answer(headers))
    null_sender = _first(headers, "return-path").strip() == "<>"
    robot = bool(_ROBOT.match(sender)) or null_sender
    if report_type == "disposition-notification":
        report.kind = "read_receipt"
    elif report_type == "feedback-report":
        report.kind = "abuse_report"
    elif status_fields:
        _read_status(report, status_fields)
    elif robot and _DELAY_SUBJECT.search(subject):
        report.kind = "delayed"
    elif _first(headers, "x-failed-recipients") or (robot and (_BOUNCE_SUBJECT.search(subject) or _looks_failed(text))):
        _read_words(report, headers, text)
    elif is_automatic_answer(headers, subject):
        report.kind = "auto_reply"
        report.out_of_office = is_out_of_office(headers, subject)
    if report.kind in ("bounce", "delayed", "delivered", "read_receipt"):
        report.original_message_id = _original_id(headers, status_fields, original, text)
    if report.kind != "normal":
        report.never_answer.append(report.kind)
    return report


def _looks_failed(text: str) -> bool:
    return bool(_STATUS.search(text[:5000]) and _FAILED_ADDRESS_WORDS.search(text[:5000]))


def _read_status(report: Report, status_fields: str) -> None:
    """Every group of fields after the first that names a recipient (RFC 3464 2.3)."""
    for group in re.split(r"\n\s*\n", status_fields.replace("\r\n", "\n")):
        fields = _fields(group)
        recipient = fields.get("final-recipient") or fields.get("original-recipient")
        if not recipient:
            continue
        address = _ADDRESS.search(recipient.rpartition(";")[2])
        status = _STATUS.search(fields.get("status", ""))
        action = fields.get("action", "").split("(")[0].strip().lower()
        report.recipients.append(
            {"recipient": address[0] if address else "", "action": action, "status": status[1] if status else None}
        )
        report.diagnostic = report.diagnostic or fields.get("diagnostic-code", "")[:300]
    actions = {row["action"] for row in report.recipients}
    if "failed" in actions:
        report.kind = "bounce"
        statuses = [row["status"] or "5" for row in report.recipients if row["action"] == "failed"]
        report.permanent = any(status.startswith("5") for status in statuses)
        report.bad_address = any(status in _BAD_ADDRESS for status in statuses)
    elif "delayed" in actions:
        report.kind = "delayed"
    else:
        report.kind = "delivered" if actions & {"delivered", "relayed", "expanded"} else "bounce"


def _fields(group: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in group.split("\n"):
        if line[:1] in (" ", "\t") and name:
            fields[name] += " " + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _read_words(report: Report, headers: Headers, text: str) -> None:
    """A bounce that is written in prose only. What no status says counts as permanent: the mail came back."""
    report.kind = "bounce"
    before_original = re.split(
        r"(?:original message|returned message|copy of the message|원본 메시지)", text, flags=re.IGNORECASE
    )[0]
    status = _STATUS.search(before_original)
    named = _first(headers, "x-failed-recipients") or before_original
    address = _ADDRESS.search(named)
    report.recipients.append(
        {
            "recipient": address[0].rstrip(".>") if address else "",
            "action": "failed",
            "status": status[1] if status else None,
        }
    )
    report.permanent = not (status and status[1].startswith("4"))
    report.bad_address = bool(status and status[1] in _BAD_ADDRESS)
    line = next((line.strip() for line in before_original.split("\n") if status and status[1] in line), "")
    report.diagnostic = line[:300]


def _original_id(headers: Headers, status_fields: str, original: str, text: str) -> str:
    for words in (original, status_fields, text):
        found = _MESSAGE_ID.search(words)
        if found:
            return found[1]
    answered = re.search(r"<[^<>\s]{1,900}>", _first(headers, "in-reply-to") or _first(headers, "references"))
    return answered[0] if answered else ""


def is_automatic_answer(headers: Headers, subject: str) -> bool:
    submitted = _first(headers, "auto-submitted").strip().lower()
    return (
        submitted.startswith(("auto-replied", "auto-notified"))
        or bool(_first(headers, "x-autoreply") or _first(headers, "x-autorespond") or _first(headers, "x-auto-reply"))
        or bool(_first(headers, "x-ms-exchange-inbox-rules-loop"))
        or _first(headers, "x-apple-action").strip().upper() == "VACATION"
        or _first(headers, "precedence").strip().lower() in ("auto_reply", "auto-reply")
        or bool(
            _AUTO_SUBJECT.search(subject)
            and (submitted not in ("", "no") or _first(headers, "return-path").strip() == "<>")
        )
        or (bool(_AUTO_SUBJECT.search(subject)) and bool(_first(headers, "x-auto-response-suppress")))
    )


def is_out_of_office(headers: Headers, subject: str) -> bool:
    submitted = _first(headers, "auto-submitted").lower()
    return (
        (
            "all" in _first(headers, "x-auto-response-suppress").lower()
            and bool(_first(headers, "x-ms-exchange-inbox-rules-loop"))
        )
        or "vacation" in submitted
        or "owner-email=" in submitted
        or "VACATION" in _first(headers, "x-apple-action").upper()
        or bool(_VACATION.search(subject))
    )


def never_answer(headers: Headers) -> list[str]:
    """Why this mail must not be answered by a machine; empty when it may."""
    reasons = []
    if any(name.startswith("list-") for name in headers):
        reasons.append("list")
    if _first(headers, "x-loop").strip().lower() in ("yes", "true"):
        reasons.append("x-loop")
    if _first(headers, "precedence").strip().lower() in ("bulk", "list", "junk", "auto_reply"):
        reasons.append("precedence")
    if _first(headers, "auto-submitted").split(";")[0].split("(")[0].strip().lower() not in ("", "no"):
        reasons.append("auto-submitted")
    if _first(headers, "x-auto-response-suppress").strip():
        reasons.append("x-auto-response-suppress")
    if _first(headers, "return-path").strip() == "<>":
        reasons.append("null return path")
    return reasons


def _first(headers: Headers, name: str) -> str:
    values = headers.get(name)
    return values[0] if values else ""
