"""What is read out of a mail: our own samples, and the difficult real ones where SAMPLES_DIR has them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from channels_in.email.addresses import Address, parse_addresses
from channels_in.email.charsets import decode, decode_header
from channels_in.email.parse import parse_mail, unflow
from channels_in.email.scan import sender_of
from tests.channels_in.email.conftest import mail_of

SAMPLES = Path(os.environ.get("SAMPLES_DIR", "")) / "mail"
INDEX: list[dict[str, Any]] = (
    json.loads((SAMPLES / "index.json").read_text())
    if os.environ.get("SAMPLES_DIR") and (SAMPLES / "index.json").exists()
    else []
)
# Where the origin's expectation is a property of that library: it shows the words of attached mails as the body's own,
# rewrites the charset inside HTML, or takes the only words for a file.
OTHERWISE = {
    "attached-message-rfc822.eml": {"text"},
    "dsn-part-without-content-type.eml": {"text"},
    "dsn-multi-address.eml": {"text"},
    "forwarded-message.eml": {"text", "html"},
    "illegal-boundary.eml": {"html"},
    "text-part-with-content-id.eml": {"attachments"},
    "charset-big5-empty-cte.eml": {"html"},  # its bytes are UTF-8
}


def test_a_korean_answer_from_gmail_shows_only_what_is_new() -> None:
    mail = parse_mail(mail_of("gmail-reply-ko.eml"))
    assert mail["subject"] == "Re: 배송 문의"
    assert mail["from"] == {"name": "김민지", "email": "Minji@mail.example"}
    assert mail["text"] == "네, 오늘 받았어요.\n감사합니다."
    assert mail["quoted_text"].startswith("2026년 11월 20일 (금) 오후 3:21")
    assert mail["date"] == "2026-11-20T15:40:02+09:00"
    # In-Reply-To first, then the chain from its newest end, each once.
    assert mail["references"] == ["<r1.0123456789abcdef0123456789abcdef@haneul.example>", "<first@mail.example>"]
    assert mail["recipients"][0] == "help+0123456789abcdef0123456789abcdef@haneul.example"
    assert mail["authentication"] == [
        {
            "authserv_id": "mx.haneul.example",
            "header_from": "mail.example",
            "dmarc": "pass",
            "dkim": "pass",
            "spf": "pass",
        }
    ]
    assert mail["report"]["kind"] == "normal"


def test_a_korean_answer_from_outlook_in_html_only_is_cut_at_its_heading() -> None:
    mail = parse_mail(mail_of("outlook-reply-ko.eml"))
    assert (mail["from"]["name"], mail["subject"]) == ("정우", "RE: 견적")
    assert mail["text"] == "견적서 잘 받았습니다.\n\n감사합니다."
    assert "견적서를 보냅니다." in mail["quoted_text"]


def test_raw_korean_bytes_in_header_and_body_are_read() -> None:
    mail = parse_mail(mail_of("raw-euc-kr-headers.eml"))
    assert mail["subject"] == "환불 요청합니다 (주문 1042)"
    assert mail["from"] == {"name": "박지훈", "email": "jihoon@old.example"}
    assert mail["text"] == "주문을 취소하고 싶습니다. 똠방각하"


def test_encoded_words_that_break_inside_a_character_are_joined_before_decoding() -> None:
    mail = parse_mail(mail_of("word-broken-in-a-character.eml"))
    assert mail["subject"] == "펭귄 인형을 샀는데 색이 달라요"
    assert mail["text"] == "사진을 보냅니다."


def test_bytes_that_are_utf_8_are_read_as_utf_8_whatever_was_declared() -> None:
    assert parse_mail(mail_of("declared-euc-kr-sent-utf-8.eml"))["text"] == "한글이 깨지지 않아야 합니다."


def test_an_inline_picture_stays_in_place_and_nothing_remote_does() -> None:
    mail = parse_mail(mail_of("html-only-inline-picture.eml"))
    assert 'data-cid="crack@portal.example"' in mail["html"]
    assert mail["remote_images"] == 1
    assert 'data-remote="https://track.example/open.gif?u=1"' in mail["html"]
    for never in (" src=", "<script", "onerror", "onload", "javascript:", "position", "<style"):
        assert never not in mail["html"]
    [picture] = mail["attachments"]
    assert (picture["name"], picture["inline"], picture["size"]) == ("부러진 곳.png", True, 70)
    assert mail["text"].startswith("부러진 부분입니다:")


def test_an_out_of_office_note_is_recognised() -> None:
    report = parse_mail(mail_of("out-of-office-ko.eml"))["report"]
    assert (report["kind"], report["out_of_office"]) == ("auto_reply", True)
    assert {"auto-submitted", "null return path"} <= set(report["never_answer"])


def test_a_bounce_names_the_mail_that_came_back_and_why() -> None:
    report = parse_mail(mail_of("bounce.eml"))["report"]
    assert report["kind"] == "bounce"
    assert report["permanent"] and report["bad_address"]
    assert report["recipients"] == [{"recipient": "gone@mail.example", "action": "failed", "status": "5.1.1"}]
    assert report["original_message_id"] == "<r9.0123456789abcdef0123456789abcdef@haneul.example>"


def test_a_forged_report_inside_a_human_mail_is_no_bounce() -> None:
    raw = mail_of("bounce.eml").replace(b"multipart/report; report-type=delivery-status;", b"multipart/mixed;")
    raw = raw.replace(b"message/delivery-status", b"text/plain").replace(b"Auto-Submitted: auto-replied\r\n", b"")
    raw = raw.replace(b"Return-Path: <>\r\n", b"").replace(b"MAILER-DAEMON@mx.haneul.example", b"minji@mail.example")
    assert parse_mail(raw)["report"]["kind"] == "normal"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"a@x.example, B <b@x.example>", [("", "a@x.example"), ("B", "b@x.example")]),
        (b'"Kim, Minji" <m@x.example>', [("Kim, Minji", "m@x.example")]),
        (b"Group: a@x.example, b@x.example;", [("", "a@x.example"), ("", "b@x.example")]),
        (b"undisclosed-recipients:;", []),
        (b"m@x.example (Minji Kim)", [("Minji Kim", "m@x.example")]),
        (b'"unbalanced <m@x.example>', [("unbalanced", "m@x.example")]),
        (b"=?utf-8?Q?Kim=2C_Minji?= <m@x.example>", [("Kim, Minji", "m@x.example")]),
        (b"<m@x.example", [("", "m@x.example")]),
        (b"(" * 5000 + b"a@x.example", []),
        (b"no address at all", [("no address at all", "")]),
        (b'"evil@other.example" <m@x.example>', [("evil@other.example", "m@x.example")]),
    ],
)
def test_addresses(header: bytes, expected: list[tuple[str, str]]) -> None:
    assert parse_addresses(header) == [Address(*one) for one in expected]


@pytest.mark.parametrize(
    ("data", "declared", "expected"),
    [
        ("안녕".encode("cp949"), "euc-kr", "안녕"),
        ("안녕하세요".encode(), "euc-kr", "안녕하세요"),
        ("안녕하세요 반갑습니다".encode("cp949"), "", "안녕하세요 반갑습니다"),
        ("你好，世界".encode("gb18030"), "gb2312", "你好，世界"),
        ("こんにちは".encode("iso2022_jp"), "iso-2022-jp", "こんにちは"),
        ("naïve “quotes”".encode("cp1252"), "iso-8859-1", "naïve “quotes”"),
        (b"plain", "no-such-charset", "plain"),
        (b"\xff\xfe\xfd", "utf-8", "\ufffd\ufffd\ufffd"),
        (b"text", "rot13", "text"),
    ],
)
def test_charsets(data: bytes, declared: str, expected: str) -> None:
    assert decode(data, declared) == expected


def test_a_header_is_one_line_whatever_is_encoded_in_it() -> None:
    assert decode_header(b"=?utf-8?Q?Hello=0D=0ABcc:_victim@x.example?=") == "Hello Bcc: victim@x.example"
    assert decode_header(b"a\r\n b\x00c\xe2\x80\xa8d") == "a b c d"


def test_flowed_lines_are_joined_and_quotations_stay_apart() -> None:
    assert unflow("one \ntwo\n> three \n> four\n-- \nMinji") == "one two\n> three four\n--\nMinji"


def test_the_byte_scan_finds_the_sender_without_parsing() -> None:
    assert sender_of(mail_of("gmail-reply-ko.eml")) == "minji@mail.example"
    assert sender_of(mail_of("bounce.eml")) == ""
    assert sender_of(b"From someone Mon Nov 23\nFrom: A <a@x.example>\n\nhello") == "a@x.example"


# -- The difficult real ones -------------------------------------------------------------------------------------------

KINDS = {"normal", "bounce", "delayed", "auto_reply", "read_receipt", "abuse_report"}


@pytest.mark.skipif(not INDEX, reason="SAMPLES_DIR is not set")
@pytest.mark.parametrize("row", INDEX, ids=lambda row: row["file"])
def test_a_real_mail_is_read_as_its_origin_says(row: dict[str, Any]) -> None:
    mail = parse_mail((SAMPLES / row["file"]).read_bytes())
    json.dumps(mail)
    report = mail["report"]
    assert row["kind"] in KINDS
    assert report["kind"] == row["kind"]
    if "permanent" in row:
        assert report["permanent"] == row["permanent"]
    if "report" in row:
        assert report["recipients"] == row["report"]
    if "original_message_id" in row:
        assert report["original_message_id"] == row["original_message_id"]
    if "out_of_office" in row:
        assert report["out_of_office"] == row["out_of_office"]
    if "visible_reply" in row:
        assert mail["text"] == row["visible_reply"]
    _compare_expectations(mail, row.get("expect", {}))
    if row.get("expected"):
        expected = json.loads((SAMPLES / row["expected"]).read_text())
        if "subject" in expected:
            _compare_with_origin(
                mail, expected, skipped={*row.get("expected_quirks", ()), *OTHERWISE.get(row["file"], ())}
            )


def _compare_expectations(mail: dict[str, Any], expect: dict[str, Any]) -> None:
    if "subject" in expect:
        assert mail["subject"] == expect["subject"]
    if "from_name" in expect:
        assert mail["from"]["name"] == expect["from_name"]
    if "text_starts" in expect:
        assert mail["text"].startswith(expect["text_starts"])
    if "attachments" in expect:
        assert len(mail["attachments"]) == expect["attachments"]
        assert all(file["name"] for file in mail["attachments"])
    if "inline_cids" in expect:
        assert [file["content_id"] for file in mail["attachments"] if file["inline"]] == expect["inline_cids"]
    if "cc_count" in expect:
        assert len(mail["cc"]) == expect["cc_count"]
    if "to" in expect:
        assert [one["email"] for one in mail["to"]] == expect["to"]
    if "in_reply_to" in expect:
        assert mail["in_reply_to"] == expect["in_reply_to"]
        assert mail["references"] == [*expect["in_reply_to"], *expect["references"]]
    if "signed_part_text" in expect:
        assert expect["signed_part_text"] in mail["text"]


def _compare_with_origin(mail: dict[str, Any], expected: dict[str, Any], *, skipped: set[str]) -> None:
    def squeezed(text: str) -> str:
        return " ".join(text.split())

    pairs = {
        "subject": (mail["subject"], squeezed(expected["subject"])),
        "from": (mail["from"], expected["from"]),
        "date": (mail["date"], expected["date"]),
        "text": (squeezed(mail["full_text"]) if expected["text"] else "", squeezed(expected["text"])),
        "html": (squeezed(mail["original_html"]), squeezed(expected["html"])),
        **{name: (mail[name], expected[name]) for name in ("to", "cc", "bcc", "reply_to")},
    }
    for name, (ours, theirs) in pairs.items():
        if name not in skipped:
            assert ours == theirs, name
    if "attachments" not in skipped:
        ours = [
            (
                file["content_type"],
                file["content_id"],
                file["disposition"],
                file["size"],
                ""
                if file["content_type"] == "message/rfc822"
                else hashlib.sha256(base64.b64decode(file["content"])).hexdigest(),
            )
            for file in mail["attachments"]
        ]
        theirs = [
            (
                file["content_type"],
                file["content_id"],
                file["content_disposition"],
                file["size"],
                "" if file["content_type"] == "message/rfc822" else file["sha256"],
            )
            for file in expected["attachments"]
        ]
        assert ours == theirs
        for file, wanted in zip(mail["attachments"], expected["attachments"], strict=True):
            assert file["name"] == wanted["filename"] or not wanted["filename"]
