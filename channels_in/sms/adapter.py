"""SMS and MMS by Twilio. Its words end here.

Settings of the channel: `account_sid`, `messaging_service_sid` (optional), `mms` (false: files leave as links),
`base_url`. Secrets: `auth_token`, and `auth_token_next` while the token is being changed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from channels_in import phone_numbers
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
from tickets.http import FetchError, Refused, Response, safe_fetch

BASE_URL = "https://api.twilio.com"
MMS_BYTES = 5_000_000
# Larger than an MMS can be, for what other networks put behind the same number.
LARGEST_MEDIA = 16_000_000

# Twilio blocks a number after these words on its own; the Korean ones are what people write here.
STOP_WORDS = frozenset(
    {
        "stop",
        "stopall",
        "unsubscribe",
        "cancel",
        "end",
        "quit",
        "revoke",
        "optout",
        "수신거부",
        "수신 거부",
        "문자거부",
        "문자 거부",
    }
)
START_WORDS = frozenset({"start", "unstop", "수신동의", "수신 동의", "수신허용", "수신 허용"})
HELP_WORDS = frozenset({"help", "info", "도움말"})

# What became of a message, by the status that a callback names. The first four are steps before the network.
STATES = {
    "accepted": "sent",
    "scheduled": "sent",
    "queued": "sent",
    "sending": "sent",
    "sent": "sent",
    "delivered": "delivered",
    "partially_delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}

# Error code -> the particulars of its DeliveryError. Codes that are not listed cannot be helped by trying again.
ERRORS: Mapping[int, Mapping[str, bool]] = {
    20003: {"permanent": False, "disconnected": True},  # authentication
    20404: {"permanent": False, "disconnected": True},  # the account in the address does not exist
    20429: {"permanent": False},  # too many requests
    21211: {"permanent": True, "bad_address": True},  # invalid To
    21408: {"permanent": True},  # region not enabled
    21610: {"permanent": True, "opted_out": True},
    21612: {"permanent": True},  # unroutable
    21614: {"permanent": True, "bad_address": True},  # not a mobile number
    30001: {"permanent": False},  # queue overflow
    30002: {"permanent": False, "disconnected": True},  # account suspended
    30003: {"permanent": False},  # handset out of reach
    30004: {"permanent": True},  # blocked
    30005: {"permanent": True, "bad_address": True},  # unknown handset
    30006: {"permanent": True, "bad_address": True},  # landline
    30007: {"permanent": True},  # filtered as spam
    30008: {"permanent": False},  # unknown
    30009: {"permanent": False},  # a segment is missing
    30010: {"permanent": True},  # price limit
    30011: {"permanent": True},  # MMS not supported
    30034: {"permanent": True},  # unregistered US number
    63003: {"permanent": True, "bad_address": True},  # the network does not know To
    63016: {"permanent": True},  # outside the window
    63018: {"permanent": False},  # rate of the network
    63019: {"permanent": True},  # media
    63021: {"permanent": True},  # content
    63024: {"permanent": True, "bad_address": True},  # invalid recipient
}

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OUR_PART = "HelpdeskPart"  # our own part's id, which a status callback brings back in its query string
_FORM = "application/x-www-form-urlencoded"


class TwilioSms:
    kind = "sms"
    label = _("SMS")
    icon = "message-square"
    form = "channels_in.sms.forms.SmsForm"
    capabilities = Capabilities(
        text_max=1600,
        text_unit="characters",
        segment=(160, 70),
        media={
            "image": MediaLimit(("image/jpeg", "image/png", "image/gif"), MMS_BYTES),
            "video": MediaLimit(("video/mp4", "video/3gpp", "video/quicktime"), MMS_BYTES),
            "audio": MediaLimit(("audio/mpeg", "audio/mp4", "audio/ogg", "audio/amr", "audio/3gpp"), MMS_BYTES),
            "document": MediaLimit(("application/pdf", "text/vcard", "text/x-vcard", "text/calendar"), MMS_BYTES),
        },
        files_per_part=10,
        text_with_files=True,
        receipts=("sent", "delivered", "failed"),
        begins=True,
        identity_kinds=("phone",),
    )

    # -- In ------------------------------------------------------------------------------------------------------------

    def verify(self, channel: ChannelFacts, request: HttpRequest) -> None:
        """X-Twilio-Signature: base64(HMAC-SHA1(token, URL + sorted parameters)).

        The URL is our public one, never what the Host header says. Twilio signs it with and without the port.
        """
        given = request.headers.get("X-Twilio-Signature", "")
        if not given:
            raise Rejected("no signature")
        query = request.META.get("QUERY_STRING", "")
        url = f"{channel.hook_url}?{query}" if query else channel.hook_url
        parameters = _signed_parameters(request)
        tokens = [channel.secrets.get(name, "") for name in ("auth_token", "auth_token_next")]
        for token in filter(None, tokens):
            for spelling in _with_and_without_port(url):
                if hmac.compare_digest(signature(token, spelling, parameters).encode(), given.encode()):
                    return
        raise Rejected("wrong signature")

    def handshake(self, channel: ChannelFacts, request: HttpRequest) -> HttpResponse | None:
        """An empty TwiML answer: Twilio would send any other text to the customer as an SMS."""
        return HttpResponse("<Response></Response>", content_type="text/xml")

    def items(self, channel: ChannelFacts, request: HttpRequest) -> list[Item]:
        raw = request.body if request.method == "POST" else request.META.get("QUERY_STRING", "").encode()
        form = _form(raw)
        sid = form.get("MessageSid") or form.get("SmsSid") or form.get("SmsMessageSid")
        if not sid:  # a call, an event stream: nothing that this channel knows
            return [Item("", f"body:{hashlib.sha256(raw).hexdigest()}", "", raw)] if raw else []
        if status := form.get("MessageStatus"):
            part = request.GET.get("part", "")
            if _UUID.fullmatch(part):
                raw += b"&" + urlencode({_OUR_PART: part}).encode()
            return [Item(self._account(channel, form, ours="From"), f"{sid}:{status}", "", raw)]
        return [Item(self._account(channel, form, ours="To"), sid, form.get("From", ""), raw)]

    def _account(self, channel: ChannelFacts, form: Mapping[str, str], *, ours: str) -> str:
        account, service = form.get("AccountSid", ""), form.get("MessagingServiceSid", "")
        address = form.get(ours, "")
        if account != channel.settings.get("account_sid", account):
            return f"{account}:{address}"  # names no channel of ours: quarantined where it arrived
        if channel.account_id in (service, address):
            return channel.account_id
        if service and service == channel.settings.get("messaging_service_sid"):
            return channel.account_id
        return address

    def normalise(self, channel: ChannelFacts, raw: bytes, headers: Mapping[str, str]) -> list[Normalised]:
        form = _form(raw)
        if not (form.get("MessageSid") or form.get("SmsSid") or form.get("SmsMessageSid")):
            return [Suppressed("unknown kind")]
        if "MessageStatus" in form:
            return [_receipt(form)]
        return [_message(form)]

    # -- Out -----------------------------------------------------------------------------------------------------------

    def send(self, channel: ChannelFacts, message: OutboundMessage, *, committed: Callable[[], None]) -> SendResult:
        fields = _fields(channel, message)
        response = _call(
            channel,
            "POST",
            f"{_account_url(channel)}/Messages.json",
            data=urlencode(fields).encode(),
            headers={"Content-Type": _FORM},
            on_sending=committed,
        )
        answer = _json(response.body)
        if response.status not in (200, 201):
            raise _refusal(response, answer)
        if answer.get("status") in ("failed", "undelivered"):
            raise _error(int(answer.get("error_code") or 0), str(answer.get("error_message") or "failed"))
        if not answer.get("sid"):
            raise DeliveryError("Twilio accepted without naming the message.", permanent=False, may_have_left=True)
        return SendResult(provider_id=str(answer["sid"]))

    def fetch_media(self, channel: ChannelFacts, reference: Mapping[str, Any]) -> Fetched:
        url = str(reference.get("url", ""))
        credentials = _credentials(channel) if _host(url) == _host(_base(channel)) else None
        response = _get(url, auth=credentials)
        if response.status in (401, 403) and credentials:
            response = _get(url, auth=None)  # accounts may have basic authentication of media switched off
        if response.status in (404, 410):
            raise DeliveryError("The file is no longer at Twilio.", permanent=True, code=str(response.status))
        if response.status in (401, 403):
            raise DeliveryError("Twilio refuses the file.", permanent=True, code=str(response.status))
        if response.status != 200:
            raise DeliveryError(f"Twilio answered {response.status}.", permanent=False, code=str(response.status))
        content_type = str(response.headers.get("content-type") or "").partition(";")[0].strip().lower()
        promised = str(reference.get("content_type", ""))
        if content_type == "text/html" and promised != "text/html":
            raise DeliveryError("A web page came instead of the file.", permanent=False, code="content-type")
        return Fetched(response.body, content_type or promised, str(reference.get("name", "")))

    # -- Settings ------------------------------------------------------------------------------------------------------

    def check(self, channel: ChannelFacts) -> str:
        """Whether the account knows us and may send: what is wrong, for an administrator, or "". Sends nothing."""
        try:
            response = _call(channel, "GET", f"{_account_url(channel)}.json")
        except DeliveryError as error:
            return gettext("Twilio cannot be reached (%(detail)s).") % {"detail": error.detail}
        answer = _json(response.body)
        if response.status in (401, 403, 404):
            return gettext("Twilio does not accept the account SID and the auth token.")
        if response.status != 200:
            detail = answer.get("message") or response.status
            return gettext("Twilio gives no information now (%(detail)s). Try again later.") % {"detail": detail}
        if answer.get("status") not in ("active", None):
            return gettext("The account is not active at Twilio (%(status)s).") % {"status": answer["status"]}
        return ""


def signature(token: str, url: str, parameters: Iterable[tuple[str, str]] = ()) -> str:
    """Twilio's signature: names in code-point order, each distinct value of a repeated name once, no separators."""
    text = url + "".join(name + value for name, value in sorted(set(parameters)))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def opt_word(text: str) -> str:
    """stop, start or help when the whole message is such a word, else ""."""
    word = " ".join(text.lower().strip(" \t\r\n.!\"'").split())
    if word in STOP_WORDS:
        return "stop"
    if word in START_WORDS:
        return "start"
    return "help" if word in HELP_WORDS else ""


# -- Reading -----------------------------------------------------------------------------------------------------------


def _signed_parameters(request: HttpRequest) -> list[tuple[str, str]]:
    """The form's parameters; none when the URL carries the hash of a body that is no form. Raises `Rejected`."""
    if request.method != "POST":
        return []
    body = request.body
    if expected := request.GET.get("bodySHA256"):
        if not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), expected.encode()):
            raise Rejected("wrong hash of the body")
        return []
    if body and request.content_type != _FORM:
        raise Rejected("unsigned body")
    return _pairs(body)


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return []


def _form(raw: bytes) -> dict[str, str]:
    if raw[:1] in (b"{", b"["):
        return {}
    return {name: value.replace("\x00", "") for name, value in _pairs(raw)}


def _with_and_without_port(url: str) -> Iterable[str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    yield url
    if parts.port:
        yield parts._replace(netloc=host).geturl()
    else:
        yield parts._replace(netloc=f"{host}:{443 if parts.scheme == 'https' else 80}").geturl()


def _receipt(form: Mapping[str, str]) -> Normalised:
    state = STATES.get(form["MessageStatus"])
    if state is None:
        return Suppressed("unknown kind")
    code = form.get("ErrorCode", "")
    error = _error(int(code) if code.isdecimal() else 0, form.get("ErrorMessage", ""))
    failed = state == "failed"
    return Receipt(
        state=state,  # type: ignore[arg-type]
        provider_id=form.get("MessageSid") or form["SmsSid"],
        part_uuid=form.get(_OUR_PART, ""),
        code=error.code if failed else "",
        detail=(error.detail or form["MessageStatus"]) if failed else "",
        permanent=error.permanent,
        opted_out=failed and error.opted_out,
        bad_address=failed and error.bad_address,
    )


def _message(form: Mapping[str, str]) -> InboundMessage:
    text = form.get("Body", "")
    files = tuple(_files(form))
    meta = dict(_meta(form))
    placeholder = ""
    if not text and not files:
        placeholder = "location" if "location" in meta else "empty"
    opt = form.get("OptOutType", "").lower()
    return InboundMessage(
        external_message_id=form.get("MessageSid") or form.get("SmsSid") or form["SmsMessageSid"],
        sender=_sender(form),
        sent_at=None,  # the webhook names no time
        text=text or meta.get("postback", {}).get("title", ""),
        files=files,
        to=(form.get("To", ""),),
        reply_to_external_id=form.get("OriginalRepliedMessageSid", ""),
        opt=opt if opt in ("stop", "start", "help") else opt_word(text),  # type: ignore[arg-type]
        no_auto_reply=bool(opt or opt_word(text)),
        placeholder=placeholder,
        meta=meta,
    )


def _sender(form: Mapping[str, str]) -> Sender:
    """`From` is vouched for by the carrier. Numbers that travel over WhatsApp carry that prefix."""
    identifiers: list[Identifier] = []
    address = form.get("From", "")
    for candidate in (address, form.get("ExternalUserId", ""), form.get("ParentExternalUserId", "")):
        value = candidate.removeprefix("whatsapp:")
        if candidate.startswith("whatsapp:") and not value.startswith("+"):
            found = Identifier("whatsapp", "", value, True, "whatsapp")
        elif value:
            found = Identifier("phone", "", phone_numbers.e164(value) or value, True, "carrier")
        else:
            continue
        if found not in identifiers:
            identifiers.append(found)
    return Sender(tuple(identifiers), name=form.get("ProfileName", ""), locale=phone_numbers.language_of(address))


def _files(form: Mapping[str, str]) -> Iterable[InboundFile]:
    count = form.get("NumMedia", "0")
    for n in range(min(int(count) if count.isdecimal() else 0, 50)):
        if url := form.get(f"MediaUrl{n}"):
            content_type = form.get(f"MediaContentType{n}", "") or "application/octet-stream"
            name = urlsplit(url).path.rpartition("/")[2][:80]
            yield InboundFile(
                kind=_kind_of(content_type),  # type: ignore[arg-type]
                name=name,
                content_type=content_type,
                reference={"url": url, "content_type": content_type, "name": name},
            )


def _kind_of(content_type: str) -> str:
    if content_type in ("text/vcard", "text/x-vcard"):
        return "contact"
    family = content_type.partition("/")[0]
    return family if family in ("image", "video", "audio") else "document"


def _meta(form: Mapping[str, str]) -> Iterable[tuple[str, Any]]:
    if form.get("Latitude") and form.get("Longitude"):
        yield (
            "location",
            {
                "lat": form["Latitude"],
                "lng": form["Longitude"],
                "name": form.get("Label", ""),
                "address": form.get("Address", ""),
            },
        )
    if form.get("ButtonPayload") or form.get("ButtonText"):
        yield "postback", {"payload": form.get("ButtonPayload", ""), "title": form.get("ButtonText", "")}
    if form.get("Forwarded") == "true" or form.get("FrequentlyForwarded") == "true":
        yield "forwarded", True
    if referral := {
        name[8:]: value for name, value in form.items() if name.startswith("Referral") and value not in ("", "0")
    }:
        yield "referral", referral


# -- Sending -----------------------------------------------------------------------------------------------------------


def _fields(channel: ChannelFacts, message: OutboundMessage) -> list[tuple[str, str]]:
    """The parameters of one message. Raises `DeliveryError` when it cannot be said in one."""
    over_whatsapp = channel.account_id.startswith("whatsapp:")
    fields = [("To", f"whatsapp:{message.to}" if over_whatsapp else message.to)]
    service = str(channel.settings.get("messaging_service_sid") or "")
    if service or channel.account_id.startswith("MG"):
        fields.append(("MessagingServiceSid", service or channel.account_id))
    else:
        fields.append(("From", channel.account_id or channel.address))
    text = message.text
    if message.files and channel.settings.get("mms") is False:  # no MMS in this country: links instead
        text = "\n".join([text, *(file.url for file in message.files)]).strip()
    else:
        fields += [("MediaUrl", file.url) for file in message.files]
    if len(text) > TwilioSms.capabilities.text_max:  # type: ignore[operator]
        raise DeliveryError(
            "The text and the links of its files are too long for one SMS.", permanent=True, code="too_long"
        )
    if message.template:
        fields.append(("ContentSid", str(message.template.get("name", ""))))
        if variables := message.template.get("variables"):
            fields.append(("ContentVariables", json.dumps(variables, ensure_ascii=False)))
    elif text or not message.files:
        fields.append(("Body", text))
    fields.append(("StatusCallback", f"{channel.hook_url}?part={quote(message.part_uuid)}"))
    return fields


def _call(channel: ChannelFacts, method: str, url: str, **options: Any) -> Response:
    try:
        return safe_fetch(method, url, auth=_credentials(channel), **options)
    except Refused as error:
        raise DeliveryError(str(error), permanent=False, disconnected=True, code="refused") from error
    except FetchError as error:
        raise DeliveryError(str(error), permanent=False, may_have_left=error.may_have_left, code="network") from error


def _get(url: str, *, auth: tuple[str, str] | None) -> Response:
    """Follows redirects; the client gives the credentials to no other host."""
    try:
        return safe_fetch("GET", url, auth=auth, redirects=3, timeout=30, max_bytes=LARGEST_MEDIA)
    except Refused as error:
        raise DeliveryError(str(error), permanent=True, code="refused") from error
    except FetchError as error:
        too_large = "too large" in str(error)
        raise DeliveryError(str(error), permanent=too_large, code="too_large" if too_large else "network") from error


def _refusal(response: Response, answer: Mapping[str, Any]) -> DeliveryError:
    if response.status >= 500:
        detail = str(answer.get("message") or f"Twilio answered {response.status}.")
        return DeliveryError(detail, permanent=False, may_have_left=True, code=str(response.status))
    code = answer.get("code")
    detail = str(answer.get("message") or f"Twilio answered {response.status}.")
    if response.status == 429 or code == 20429:
        return DeliveryError(detail, permanent=False, code=str(code or 429), retry_after=_seconds(response))
    if response.status == 401:
        return DeliveryError(detail, permanent=False, disconnected=True, code=str(code or 401))
    return _error(code if isinstance(code, int) else 0, detail)


def _error(code: int, detail: str) -> DeliveryError:
    return DeliveryError(detail, code=str(code or ""), **{"permanent": True, **ERRORS.get(code, {})})


def _seconds(response: Response) -> float | None:
    value = str(response.headers.get("retry-after") or "")
    return float(value) if value.isdecimal() else None


def _json(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _base(channel: ChannelFacts) -> str:
    return str(channel.settings.get("base_url") or BASE_URL).rstrip("/")


def _account_url(channel: ChannelFacts) -> str:
    return f"{_base(channel)}/2010-04-01/Accounts/{channel.settings.get('account_sid', '')}"


def _credentials(channel: ChannelFacts) -> tuple[str, str]:
    return str(channel.settings.get("account_sid", "")), channel.secrets.get("auth_token", "")


def _host(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
