"""An answer leaves by SMTP, as one mail with all its files (channels.md 2.4)."""

from __future__ import annotations

import logging
import re
import smtplib
import socket
import ssl
import uuid
from collections.abc import Callable
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from pathlib import Path
from typing import NoReturn

from django.conf import settings
from django.utils.html import urlize

from channels_in.email.charsets import decode_header, one_line
from channels_in.email.servers import NotAllowed, Server, open_socket, server_of, tls
from tickets.contract import ChannelFacts, DeliveryError, OutboundFile, OutboundMessage, SendResult
from tickets.files import open_stored

log = logging.getLogger(__name__)

TIMEOUT = 30.0  # seconds for each step of the dialogue
MAX_REFERENCES = 20
_ID = re.compile(r"<(?!.*=\?)[!-+\--;=?-~]{1,990}>")  # printable ASCII, no comma, no encoded word
# Codes of the enhanced status (RFC 3463) that say that the address itself is dead.
_DEAD = ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10")


def send(facts: ChannelFacts, message: OutboundMessage, *, committed: Callable[[], None]) -> SendResult:
    """Hand one mail to the mailbox's own server. `committed` is called just before DATA. Raises `DeliveryError`."""
    mail = compose(facts, message)
    server = _server(facts)
    envelope_from = _envelope_sender(facts, message)
    recipients = list(dict.fromkeys([message.to, *message.also_to, *message.cc]))
    client = _connect(server)
    try:
        _hand_over(client, mail, envelope_from, recipients, committed=committed)
    finally:
        client.close()
    return SendResult(provider_id="")


def sign_in(facts: ChannelFacts) -> None:
    """Reach the mailbox's own server and sign in, without sending anything. Raises `DeliveryError`."""
    _end(_connect(_server(facts)))


def compose(facts: ChannelFacts, message: OutboundMessage) -> EmailMessage:
    """The mail as it leaves. Raises `DeliveryError` when an address or an id holds what could become a header."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = _mailbox(facts.address, _sender_name(facts, message))
    mail["To"] = [_mailbox(message.to, message.to_name), *(_mailbox(address, "") for address in message.also_to)]
    if message.cc:
        mail["Cc"] = [_mailbox(address, "") for address in message.cc]
    mail["Subject"] = _words(message.subject)
    mail["Date"] = formatdate(usegmt=False)
    mail["Message-ID"] = _own_id(message.rfc_message_id)
    # Ids of others that cannot stand in a header are left out: an odd mail can still be answered.
    if _ID.fullmatch(message.in_reply_to):
        mail["In-Reply-To"] = message.in_reply_to
    references = _shortened([reference for reference in message.references if _ID.fullmatch(reference)])
    if references:
        mail["References"] = " ".join(references)
    if message.reply_token and facts.settings.get("plus_addressing"):
        mail["Reply-To"] = _mailbox(_plus(facts.address, _token(message.reply_token)), _sender_name(facts, message))
    if message.automatic:
        mail["Auto-Submitted"] = message.automatic
        mail["X-Auto-Response-Suppress"] = "All"
        mail["Precedence"] = "auto_reply"
    mail.set_content(message.text, subtype="plain", charset="utf-8")
    mail.add_alternative(_page(message.html or urlize(message.text, autoescape=True)), subtype="html", charset="utf-8")
    for file in message.files:
        _attach(mail, file)
    language = re.sub(r"[^A-Za-z-]", "", message.language)[:20]
    if language:  # last: a content header that stands earlier moves into the first part
        mail["Content-Language"] = language
    return mail


# -- Headers -----------------------------------------------------------------------------------------------------------


def _refuse(what: str) -> NoReturn:
    raise DeliveryError(f"{what} cannot stand in a mail.", permanent=True, code="header")


def _mailbox(address: str, name: str) -> Address:
    address = _wire_address(address)
    try:
        return Address(display_name=_words(name), addr_spec=address)
    except (ValueError, IndexError, AttributeError):
        _refuse(f"The address {address[:100]!r}")


def _wire_address(address: str) -> str:
    """The address as servers take it: international domains in ASCII, nothing that ends a header."""
    if not address.isprintable() or any(char in address for char in ' <>"(),;:\\') or address.count("@") != 1:
        _refuse(f"The address {address[:100]!r}")
    local, _, domain = address.partition("@")
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            _refuse(f"The address {address[:100]!r}")
    return f"{local}@{domain}"


def _words(text: str) -> str:
    """One line of words. Encoded words that somebody typed are words, never headers in disguise."""
    return one_line(decode_header(text.encode("utf-8", "replace"))).replace("=?", "= ?")


def _own_id(message_id: str) -> str:
    if not _ID.fullmatch(message_id):
        _refuse("A Message-ID with other characters")
    return message_id


def _token(token: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        _refuse("A reply token with other characters")
    return token


def _shortened(references: list[str]) -> list[str]:
    """The first and the latest of a long chain (RFC 5322 lets the middle go)."""
    return references if len(references) <= MAX_REFERENCES else [references[0], *references[1 - MAX_REFERENCES :]]


def _sender_name(facts: ChannelFacts, message: OutboundMessage) -> str:
    brand = str(facts.settings.get("from_name", "")) or facts.brand_name
    return f"{message.author_name} ({brand})" if message.author_name and not message.automatic else brand


def _plus(address: str, tag: str) -> str:
    local, _, domain = address.partition("@")
    return f"{local.partition('+')[0]}+{tag}@{domain}"


def _envelope_sender(facts: ChannelFacts, message: OutboundMessage) -> str:
    """The return path: with `verp` it names the part, so that a bounce that quotes nothing still finds its answer."""
    address = _wire_address(facts.address)
    return _plus(address, f"b-{uuid.UUID(message.part_uuid).hex}") if facts.settings.get("verp") else address


# -- Body --------------------------------------------------------------------------------------------------------------


def _page(html: str) -> str:
    """Safe HTML as a whole page; its line breaks are shown."""
    body = html.replace("\r\n", "\n").replace("\n", "<br>\n")
    return f"<!doctype html><html><body><div>{body}</div></body></html>\n"


def _attach(mail: EmailMessage, file: OutboundFile) -> None:
    maintype, _, subtype = file.content_type.partition("/")
    if not re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}", file.content_type) or maintype in (
        "multipart",
        "message",
    ):
        maintype, subtype = "application", "octet-stream"
    with open_stored(Path(file.path).name) as stored:
        content = stored.read()
    mail.add_attachment(content, maintype=maintype, subtype=subtype, filename=one_line(file.name) or "file")


# -- Dialogue ----------------------------------------------------------------------------------------------------------


def _server(facts: ChannelFacts) -> Server:
    if facts.settings.get("transport") == "fake":
        return _demo_server()
    try:
        server = server_of(facts, "smtp")
    except NotAllowed as error:
        raise DeliveryError(str(error), permanent=False, disconnected=True, code="tls") from None
    if server is None:
        raise DeliveryError(
            "This mailbox has no server for outgoing mail.", permanent=False, disconnected=True, code="setup"
        )
    return server


def _demo_server() -> Server:
    """The simulated provider's SMTP server on this machine; it exists in the demo and in tests only."""
    if not settings.DEMO:
        raise DeliveryError("The simulated mail server exists in the demo only.", permanent=True, code="setup")
    try:
        port = int((settings.DATA_DIR / "fakemail.port").read_text())
    except (OSError, ValueError):
        raise DeliveryError("The simulated mail server is not running.", permanent=False, code="connect") from None
    return Server(host="127.0.0.1", port=port, security="none", user="", password="", ours=True)


class _Plain(smtplib.SMTP):
    def __init__(self, server: Server) -> None:
        self._server = server
        super().__init__(server.host, server.port, timeout=TIMEOUT)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return open_socket(self._server, timeout=timeout)


class _OverTls(smtplib.SMTP_SSL):
    def __init__(self, server: Server) -> None:
        self._server = server
        super().__init__(server.host, server.port, timeout=TIMEOUT, context=tls())

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return tls().wrap_socket(open_socket(self._server, timeout=timeout), server_hostname=host)


def _connect(server: Server) -> smtplib.SMTP:
    """Connected, greeted, under TLS and signed in."""
    client: smtplib.SMTP | None = None
    try:
        if server.security == "tls":
            client = _OverTls(server)
        else:
            client = _Plain(server)
        client.ehlo_or_helo_if_needed()
        if server.security == "starttls":
            client.starttls(context=tls())
            client.ehlo()
        if server.user:
            client.login(server.user, server.password)
        return client
    except ssl.SSLCertVerificationError as error:
        _end(client)
        raise DeliveryError(
            f"The certificate of {server.host} is not valid: {error.verify_message}",
            permanent=False,
            disconnected=True,
            code="tls",
        ) from None
    except smtplib.SMTPAuthenticationError as error:
        _end(client)
        raise DeliveryError(
            f"{server.host} does not accept the user name and password ({error.smtp_code}).",
            permanent=False,
            disconnected=500 <= error.smtp_code < 600,
            code=str(error.smtp_code),
        ) from None
    except smtplib.SMTPNotSupportedError as error:
        _end(client)
        raise DeliveryError(f"{server.host}: {error}", permanent=False, disconnected=True, code="tls") from None
    except (smtplib.SMTPException, OSError) as error:
        _end(client)
        raise DeliveryError(
            f"{server.host} cannot be reached: {_reason(error)}", permanent=False, code="connect"
        ) from None


def _end(client: smtplib.SMTP | None) -> None:
    if client is not None:
        client.close()


def _hand_over(
    client: smtplib.SMTP, mail: EmailMessage, sender: str, recipients: list[str], *, committed: Callable[[], None]
) -> None:
    unicode_needed = not (sender + "".join(recipients)).isascii()
    if unicode_needed and not client.has_extn("smtputf8"):
        raise DeliveryError("The mail server does not take addresses in this script.", permanent=True, code="smtputf8")
    content = mail.as_bytes(policy=SMTP.clone(utf8=True) if unicode_needed else SMTP.clone(cte_type="7bit"))
    options = ["SMTPUTF8", "BODY=8BITMIME"] if unicode_needed else []
    if client.has_extn("size"):
        options.append(f"size={len(content)}")
    try:
        _expect(client.mail(sender, options), "sender")
        taken = [recipient for recipient in recipients if _takes(client, recipient, first=recipient == recipients[0])]
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryError(f"The connection broke: {_reason(error)}", permanent=False, code="connect") from None
    if len(taken) < len(recipients):
        log.warning("%s of %s recipients were refused", len(recipients) - len(taken), len(recipients))
    committed()
    try:
        _expect(client.data(content), "mail")
    except smtplib.SMTPDataError as error:  # the answer to DATA itself: nothing has left yet
        _expect((error.smtp_code, error.smtp_error), "mail")
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryError(
            f"No answer after the mail was handed over: {_reason(error)}",
            permanent=False,
            may_have_left=True,
            code="no answer",
        ) from None
    with suppress(smtplib.SMTPException, OSError):  # the mail was taken; how they say good-bye changes nothing
        client.quit()


def _takes(client: smtplib.SMTP, recipient: str, *, first: bool) -> bool:
    """Whether this recipient is taken. The customer must be; a copy that is refused stops nobody."""
    answer = client.rcpt(_wire_address(recipient))
    if first:
        _expect(answer, "recipient")
    return answer[0] in (250, 251)


def _expect(answer: tuple[int, bytes | str], about: str) -> None:
    """Raise what an SMTP answer means (RFC 5321 4.2.1): 4yz may work later, 5yz never."""
    code, detail = answer
    if 200 <= code < 300:
        return
    text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
    text = one_line(text)[:250]
    status = re.match(r"[245]\.\d{1,3}\.\d{1,3}", text)
    if code == 421 or not 500 <= code < 600:
        raise DeliveryError(f"{code} {text}", permanent=False, code=str(code))
    dead = about == "recipient" and bool(status) and status[0] in _DEAD  # type: ignore[index]
    wants_sign_in = code in (530, 535) or (status is not None and status[0] == "5.7.0" and about == "sender")
    raise DeliveryError(
        f"{code} {text}", permanent=not wants_sign_in, code=str(code), bad_address=dead, disconnected=wants_sign_in
    )


def _reason(error: Exception) -> str:
    """A short reason without what was sent."""
    if isinstance(error, socket.timeout):
        return "time-out"
    if isinstance(error, smtplib.SMTPResponseException):
        detail = error.smtp_error
        return f"{error.smtp_code} {one_line(detail.decode('utf-8', 'replace') if isinstance(detail, bytes) else str(detail))[:150]}"
    return one_line(str(error))[:150] or type(error).__name__
