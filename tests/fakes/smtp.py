"""A real SMTP server (aiosmtpd) in a thread that keeps what it takes, and can refuse, fall silent or hang up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from channels_in.email.fake import FreePortController


@dataclass
class Taken:
    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        return cast(EmailMessage, message_from_bytes(self.raw, policy=policy.default))

    @property
    def header_names(self) -> list[str]:
        return sorted(self.mail.keys())


class SmtpServer:
    """`answers` maps a stage (mail, rcpt, data) to what is answered in its place; `cut` hangs up after the last byte."""

    def __init__(self, *, tls: Any = None, credentials: tuple[str, str] | None = None) -> None:
        self.taken: list[Taken] = []
        self.answers: dict[str, str] = {}
        self.cut = False
        self.at_data: list[str] = []  # what had happened when DATA came
        options: dict[str, Any] = {"tls_context": tls} if tls else {}
        if credentials:
            options |= {"authenticator": self._sign_in, "auth_required": True, "auth_require_tls": False}
        self._credentials = credentials
        self._controller = FreePortController(self, enable_SMTPUTF8=True, **options)
        self._controller.start()
        self.port: int = self._controller.port

    def stop(self) -> None:
        self._controller.stop()

    def settings(self, **more: Any) -> dict[str, Any]:
        return {"smtp_host": "127.0.0.1", "smtp_port": self.port, "smtp_security": "none", **more}

    def _sign_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == self._credentials, handled=False)

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "mail" in self.answers:
            return self.answers["mail"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(f"rcpt {address}") or self.answers.get("rcpt")
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if "data" in self.answers:
            return self.answers["data"]
        self.taken.append(Taken(envelope.mail_from or "", list(envelope.rcpt_tos), envelope.original_content or b""))
        if self.cut:
            cast(asyncio.Transport, server.transport).close()
        return "250 2.0.0 taken"
