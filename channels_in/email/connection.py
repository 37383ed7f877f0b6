"""Whether a mailbox's servers let us in: the check that an administrator asks for."""

from __future__ import annotations

import socket
import ssl

from django.utils.translation import gettext as _
from imapclient.exceptions import LoginError

from channels_in.email import imap, smtp
from channels_in.email.servers import NotAllowed, server_of
from tickets.contract import ChannelFacts, DeliveryError


def trouble(facts: ChannelFacts) -> str:
    """Sign in at the servers for incoming and outgoing mail. Returns what went wrong in sentences, or ""."""
    found = []
    if reason := _incoming(facts):
        found.append(_("Incoming mail: %(reason)s") % {"reason": reason})
    if reason := _outgoing(facts):
        found.append(_("Outgoing mail: %(reason)s") % {"reason": reason})
    return " ".join(found)


def _incoming(facts: ChannelFacts) -> str:
    try:
        server = server_of(facts, "imap")
        if server is not None:
            with imap.connected(server) as client:
                client.select_folder(str(facts.settings.get("imap_folder") or "INBOX"), readonly=True)
    except LoginError:
        return _("the server does not accept the user name and the password.")
    except ssl.SSLCertVerificationError as error:
        return _("the certificate of the server is not valid (%(detail)s).") % {"detail": error.verify_message}
    except NotAllowed:
        return _("the server must be reached with TLS.")
    except socket.gaierror:
        return _("there is no server of this name.")
    except imap.FAILURES as error:
        return _("the server cannot be used (%(detail)s).") % {"detail": imap.reason_of(error)}
    return ""


def _outgoing(facts: ChannelFacts) -> str:
    try:
        smtp.sign_in(facts)
    except DeliveryError as error:
        if error.code == "setup":
            return _("no server is named, so no answer can leave.")
        if error.code.isdecimal():
            return _("the server does not accept the user name and the password.")
        return _("the server cannot be used (%(detail)s).") % {"detail": error.detail}
    return ""
