"""A mail leaves: its headers, its bytes, and what each answer of the server means."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels_in.email import servers, smtp
from channels_in.email.adapter import EmailAdapter
from tests.fakes.smtp import SmtpServer
from tickets import files
from tickets.contract import ChannelFacts, DeliveryError, OutboundFile, OutboundMessage

Facts = Callable[..., ChannelFacts]
TOKEN = "0123456789abcdef0123456789abcdef"
ANSWER = OutboundMessage(
    part_id=1,
    part_uuid="3f0c2f5e-6f0a-4a52-9a3c-0d6b1f6f7a11",
    n=0,
    first_attempt=True,
    to="minji@mail.example",
    to_kind="email",
    to_name="김민지",
    remote_thread_id="",
    text="내일 도착합니다. https://haneul.example/t?a=1&b=2.\n\n<감사합니다>",
    subject="Re: 배송 문의",
    rfc_message_id=f"<r1.{TOKEN}@haneul.example>",
    in_reply_to="<first@mail.example>",
    references=("<first@mail.example>",),
    reply_token=TOKEN,
    author_name="미나",
    language="ko",
)
HEADERS = [
    "Content-Language",
    "Content-Type",
    "Date",
    "From",
    "In-Reply-To",
    "MIME-Version",
    "Message-ID",
    "References",
    "Subject",
    "To",
]


def send(facts: ChannelFacts, message: OutboundMessage = ANSWER, committed: Callable[[], None] = lambda: None) -> Any:
    return EmailAdapter().send(facts, message, committed=committed)


def test_an_answer_carries_its_thread_and_its_own_fixed_id(smtp_server: SmtpServer, mailbox_facts: Facts) -> None:
    result = send(mailbox_facts(**smtp_server.settings(plus_addressing=True)))
    [taken] = smtp_server.taken
    mail = taken.mail
    assert taken.header_names == sorted([*HEADERS, "Reply-To"])
    assert (taken.sender, taken.recipients) == ("help@haneul.example", ["minji@mail.example"])
    assert mail["Message-ID"] == f"<r1.{TOKEN}@haneul.example>"
    assert mail["In-Reply-To"] == mail["References"] == "<first@mail.example>"
    assert mail["From"] == '"미나 (Haneul)" <help@haneul.example>' or "미나" in str(mail["From"])
    assert mail["Reply-To"].addresses[0].addr_spec == f"help+{TOKEN}@haneul.example"
    assert mail["To"].addresses[0].display_name == "김민지"
    assert mail["Subject"] == "Re: 배송 문의"
    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n").strip() == ANSWER.text
    html = mail.get_body(("html",)).get_content()
    assert '<a href="https://haneul.example/t?a=1&amp;b=2">' in html and "&lt;감사합니다&gt;" in html
    assert taken.raw.isascii()
    assert result.state == "sent"


def test_a_long_thread_keeps_its_first_and_its_latest_ids(mailbox_facts: Facts) -> None:
    chain = tuple(f"<{n}@mail.example>" for n in range(60))
    kept = str(smtp.compose(mailbox_facts(), replace(ANSWER, references=chain))["References"]).split()
    assert kept == [chain[0], *chain[-19:]]


@pytest.mark.parametrize("kind", ["auto-replied", "auto-generated"])
def test_an_automatic_mail_says_so_and_an_agent_s_does_not(mailbox_facts: Facts, kind: Any) -> None:
    mail = smtp.compose(mailbox_facts(), replace(ANSWER, automatic=kind))
    assert (mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"], mail["Precedence"]) == (kind, "All", "auto_reply")
    assert "미나" not in str(mail["From"])
    assert not {"Auto-Submitted", "X-Auto-Response-Suppress", "Precedence"} & set(
        smtp.compose(mailbox_facts(), ANSWER).keys()
    )


def test_files_travel_on_the_same_mail(
    smtp_server: SmtpServer, mailbox_facts: Facts, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    stored = files.store("견적 내용".encode())
    file = OutboundFile(
        name="견적\r\nBcc: x@evil.example.txt",
        content_type="text/plain",
        size=stored.size,
        path=str(files.path_of(stored.sha256)),
        url="",
    )
    odd = replace(file, name="", content_type="message/rfc822")
    send(mailbox_facts(**smtp_server.settings()), replace(ANSWER, files=(file, odd)))
    [taken] = smtp_server.taken
    first, second = taken.mail.iter_attachments()
    assert first.get_filename() == "견적 Bcc: x@evil.example.txt"
    assert first.get_payload(decode=True).decode() == "견적 내용"
    assert second.get_content_type() == "application/octet-stream"
    assert taken.recipients == ["minji@mail.example"]


INJECTIONS = [
    "\r\nBcc: evil@x.example",
    "\nX: y",
    "\rX: y",
    "\u2028Bcc: x",
    "\x00",
    "=?utf-8?Q?=0D=0ABcc:_evil@x.example?=",
    "\x85Bcc: x",
]


@pytest.mark.parametrize("attack", INJECTIONS)
@pytest.mark.parametrize("field", ["subject", "to_name", "author_name", "text", "language"])
def test_words_never_become_headers(smtp_server: SmtpServer, mailbox_facts: Facts, field: str, attack: str) -> None:
    send(mailbox_facts(**smtp_server.settings()), replace(ANSWER, **{field: f"a{attack}b"}))
    [taken] = smtp_server.taken
    assert taken.header_names == HEADERS
    assert taken.recipients == ["minji@mail.example"]


@pytest.mark.parametrize("attack", [*INJECTIONS, " evil@x.example", ",evil@x.example", ">,<evil@x.example"])
@pytest.mark.parametrize("field", ["to", "cc", "rfc_message_id", "reply_token"])
def test_addresses_and_ids_with_other_characters_are_refused(
    smtp_server: SmtpServer, mailbox_facts: Facts, field: str, attack: str
) -> None:
    honest = {"to": "a@x.example", "cc": "a@x.example", "reply_token": TOKEN}.get(field, "<a@x.example>")
    value: Any = honest[:-2] + attack + honest[-2:]
    with pytest.raises(DeliveryError) as caught:
        send(
            mailbox_facts(**smtp_server.settings(plus_addressing=True)),
            replace(ANSWER, **{field: (value,) if field in ("cc", "references") else value}),
        )
    assert caught.value.permanent and caught.value.code == "header"
    assert smtp_server.taken == []


@pytest.mark.parametrize("attack", [*INJECTIONS, " evil@x.example", ",evil@x.example", "> Bcc: <evil@x.example"])
@pytest.mark.parametrize("field", ["in_reply_to", "references"])
def test_odd_ids_of_others_are_left_out_and_the_answer_still_leaves(
    smtp_server: SmtpServer, mailbox_facts: Facts, field: str, attack: str
) -> None:
    value: Any = f"<a@x.examp{attack}le>"
    send(
        mailbox_facts(**smtp_server.settings()),
        replace(ANSWER, **{field: (value, "<b@x.example>") if field == "references" else value}),
    )
    [taken] = smtp_server.taken
    left_out = {"In-Reply-To"} if field == "in_reply_to" else set()
    assert taken.header_names == sorted({*HEADERS} - left_out)
    if field == "references":
        assert taken.mail["References"] == "<b@x.example>"


def test_committed_is_called_once_just_before_the_mail_itself(smtp_server: SmtpServer, mailbox_facts: Facts) -> None:
    seen: list[int] = []
    send(mailbox_facts(**smtp_server.settings()), committed=lambda: seen.append(len(smtp_server.taken)))
    assert seen == [0] and len(smtp_server.taken) == 1


@pytest.mark.parametrize(
    ("stage", "answer", "permanent", "code", "bad_address"),
    [
        ("rcpt", "550 5.1.1 No such user", True, "550", True),
        ("rcpt", "550 5.7.1 Refused", True, "550", False),
        ("rcpt", "451 4.7.1 Greylisted", False, "451", False),
        ("mail", "553 5.1.8 Not your address", True, "553", False),
        ("mail", "421 4.3.0 Closing", False, "421", False),
        ("data", "554 5.6.0 Content refused", True, "554", False),
        ("data", "452 4.3.1 No room", False, "452", False),
    ],
)
def test_each_refusal_means_what_it_says(
    smtp_server: SmtpServer,
    mailbox_facts: Facts,
    stage: str,
    answer: str,
    permanent: bool,
    code: str,
    bad_address: bool,
) -> None:
    smtp_server.answers[stage] = answer
    with pytest.raises(DeliveryError) as caught:
        send(mailbox_facts(**smtp_server.settings()))
    error = caught.value
    assert (error.permanent, error.code, error.bad_address) == (permanent, code, bad_address)
    assert not error.may_have_left and not error.disconnected


def test_a_copy_that_is_refused_stops_nobody(smtp_server: SmtpServer, mailbox_facts: Facts) -> None:
    smtp_server.answers["rcpt gone@mail.example"] = "550 5.1.1 No such user"
    send(mailbox_facts(**smtp_server.settings()), replace(ANSWER, cc=("gone@mail.example", "boss@mail.example")))
    assert smtp_server.taken[0].recipients == ["minji@mail.example", "boss@mail.example"]


def test_silence_after_the_last_byte_is_no_failure(smtp_server: SmtpServer, mailbox_facts: Facts) -> None:
    smtp_server.cut = True
    with pytest.raises(DeliveryError) as caught:
        send(mailbox_facts(**smtp_server.settings()))
    assert caught.value.may_have_left and not caught.value.permanent
    assert len(smtp_server.taken) == 1


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_nobody_there_is_tried_again(smtp_server: SmtpServer, mailbox_facts: Facts, settings: Any) -> None:
    port = closed_port()
    settings.SAFE_FETCH_ALLOW = [f"127.0.0.1:{port}"]
    facts = mailbox_facts(**smtp_server.settings() | {"smtp_port": port})
    with pytest.raises(DeliveryError) as caught:
        send(facts)
    assert (caught.value.permanent, caught.value.may_have_left, caught.value.disconnected) == (False, False, False)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_wrong_password_is_the_mailbox_s_trouble_not_the_mail_s(mailbox_facts: Facts, settings: Any) -> None:
    server = SmtpServer(credentials=("help", "right"))
    settings.SAFE_FETCH_ALLOW = [f"127.0.0.1:{server.port}"]
    try:
        send(mailbox_facts(**server.settings(smtp_user="help"), secrets={"smtp_password": "right"}))
        with pytest.raises(DeliveryError) as caught:
            send(mailbox_facts(**server.settings(smtp_user="help"), secrets={"smtp_password": "wrong"}))
    finally:
        server.stop()
    assert caught.value.disconnected and not caught.value.permanent
    assert "wrong" not in str(caught.value)
    assert len(server.taken) == 1


def test_a_return_address_of_its_own_names_the_part(smtp_server: SmtpServer, mailbox_facts: Facts) -> None:
    send(mailbox_facts(**smtp_server.settings(verp=True)))
    assert smtp_server.taken[0].sender == f"help+b-{ANSWER.part_uuid.replace('-', '')}@haneul.example"


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def self_signed(tmp_path: Path) -> tuple[str, str]:
    """(certificate, key) for 127.0.0.1 that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")


@pytest.fixture
def tls_server(self_signed: tuple[str, str], settings: Any) -> Iterator[SmtpServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed)
    server = SmtpServer(tls=context)
    settings.SAFE_FETCH_ALLOW = [*settings.SAFE_FETCH_ALLOW, f"localhost:{server.port}"]
    yield server
    server.stop()


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_server: SmtpServer, mailbox_facts: Facts) -> None:
    with pytest.raises(DeliveryError) as caught:
        send(mailbox_facts(smtp_host="localhost", smtp_port=tls_server.port, smtp_security="starttls"))
    assert caught.value.disconnected and caught.value.code == "tls"
    assert tls_server.taken == []


def test_a_certificate_that_is_vouched_for_is_taken(
    tls_server: SmtpServer, mailbox_facts: Facts, self_signed: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above is not vacuous: the same server passes once its certificate is known."""
    monkeypatch.setattr(smtp, "tls", lambda: ssl.create_default_context(cafile=self_signed[0]))
    send(mailbox_facts(smtp_host="localhost", smtp_port=tls_server.port, smtp_security="starttls"))
    assert len(tls_server.taken) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]"])
def test_an_administrator_cannot_name_what_is_inside(
    host: str, tls_server: SmtpServer, mailbox_facts: Facts, settings: Any
) -> None:
    settings.SAFE_FETCH_ALLOW = []
    with pytest.raises(DeliveryError) as caught:
        send(mailbox_facts(smtp_host=host, smtp_port=tls_server.port, smtp_security="starttls"))
    assert caught.value.code in ("connect", "tls", "setup")
    assert tls_server.taken == []


def test_plain_text_goes_to_named_ports_of_this_machine_only(
    smtp_server: SmtpServer, mailbox_facts: Facts, settings: Any
) -> None:
    settings.SAFE_FETCH_ALLOW = ["mail.example:25"]
    for host, port in (("127.0.0.1", smtp_server.port), ("mail.example", 25), ("10.0.0.1", 25)):
        with pytest.raises(servers.NotAllowed):
            servers.server_of(mailbox_facts(smtp_host=host, smtp_port=port, smtp_security="none"), "smtp")
    assert "secret" not in repr(
        servers.server_of(mailbox_facts(smtp_host="mail.example", secrets={"smtp_password": "secret"}), "smtp")
    )


def test_everybody_in_to_and_cc_stands_in_the_mail(mailbox_facts):
    mail = smtp.compose(mailbox_facts(), replace(ANSWER, also_to=("wife@mail.example",), cc=("boss@mail.example",)))
    assert [one.addr_spec for one in mail["To"].addresses] == [ANSWER.to, "wife@mail.example"]
    assert mail["Cc"] == "boss@mail.example"
