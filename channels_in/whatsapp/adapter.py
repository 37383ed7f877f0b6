"""WhatsApp by Meta's Cloud API. Its words end here.

The channel's account is its `phone_number_id`. Settings: `waba_id`, `base_url` (with the version). Secrets: `app_secret`
(signs the webhooks), `verify_token` (handshake), `access_token` (sending and media).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from channels_in.whatsapp import inbound
from tickets.contract import (
    Capabilities,
    ChannelFacts,
    DeliveryError,
    Fetched,
    Item,
    MediaLimit,
    Normalised,
    OutboundFile,
    OutboundMessage,
    Rejected,
    SendResult,
    Template,
    Unreadable,
)
from tickets.files import open_stored
from tickets.http import FetchError, Refused, Response, safe_fetch

BASE_URL = "https://graph.facebook.com/v23.0"
# Hosts of Meta that serve media and want the same token (they are not the host of the API).
MEDIA_DOMAINS = ("fbsbx.com", "facebook.com", "whatsapp.net")
LARGEST_MEDIA = 100_000_000
TEMPLATE_FIELDS = "fields=name,language,status,category,parameter_format,components&limit=100"
MOST_PAGES = 5  # of templates
_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")

# Error code -> the particulars of its DeliveryError. Codes that are not listed cannot be helped by trying again.
ERRORS: Mapping[int, Mapping[str, bool]] = {
    131047: {"permanent": True},  # the window is closed
    131026: {"permanent": True, "bad_address": True},  # not on WhatsApp
    130472: {"permanent": True},  # experiment
    131049: {"permanent": True},  # ecosystem engagement
    131050: {"permanent": True},  # opted out of marketing only: answers may still go
    131051: {"permanent": True},  # unsupported type
    131052: {"permanent": True},  # media download
    131053: {"permanent": True},  # media upload
    131030: {"permanent": True},  # recipient not allowed (test number)
    131021: {"permanent": True},  # the same number
    131008: {"permanent": True},  # parameter missing
    131009: {"permanent": True},  # parameter invalid
    132000: {"permanent": True},  # template: count
    132001: {"permanent": True},  # template: not found
    132005: {"permanent": True},  # template: too long
    132007: {"permanent": True},  # template: policy
    132008: {"permanent": True},  # template: format
    132012: {"permanent": True},  # template: format
    132015: {"permanent": True},  # template: paused
    132016: {"permanent": True},  # template: disabled
    132068: {"permanent": True},  # flow
    132069: {"permanent": True},  # flow
    131062: {"permanent": True},  # a user id is not supported for this message
    131037: {"permanent": True},  # display name not approved
    131042: {"permanent": True},  # payment
    130497: {"permanent": True},  # this country is restricted for the account
    4: {"permanent": False},  # rate of the app
    80007: {"permanent": False},  # rate of the account
    130429: {"permanent": False},  # throughput
    131056: {"permanent": False},  # rate of this pair
    131048: {"permanent": False},  # spam rate
    131016: {"permanent": False},  # service unavailable
    131000: {"permanent": False},  # generic
    135000: {"permanent": False},  # generic
    131057: {"permanent": False},  # maintenance
    0: {"permanent": False, "disconnected": True},  # authentication
    3: {"permanent": False, "disconnected": True},  # authentication
    10: {"permanent": False, "disconnected": True},  # permission
    190: {"permanent": False, "disconnected": True},  # token expired
    368: {"permanent": False, "disconnected": True},  # account blocked
    131031: {"permanent": False, "disconnected": True},  # account locked
    131045: {"permanent": False, "disconnected": True},  # number not registered
    **{code: {"permanent": False, "disconnected": True} for code in range(200, 300)},  # permission
}

# What one change carries, and which field of it names the item: (list in `value`, key of its time).
_LISTS = ("messages", "statuses", "message_echoes", "calls", "user_preferences")
_POINTERS = ("edit", "revoke", "reaction")  # they name another message and must not hold up the conversation


class WhatsAppCloud:
    kind = "whatsapp"
    label = _("WhatsApp")
    icon = "message-circle"
    form = "channels_in.whatsapp.forms.WhatsAppForm"
    capabilities = Capabilities(
        text_max=4096,
        text_unit="characters",
        formatted=True,
        signs=("*", "_"),
        media={
            "image": MediaLimit(("image/jpeg", "image/png"), 5_000_000),
            "audio": MediaLimit(("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"), 16_000_000),
            "video": MediaLimit(("video/mp4", "video/3gpp"), 16_000_000),
            "sticker": MediaLimit(("image/webp",), 100_000),
            "document": MediaLimit(
                (
                    "text/plain",
                    "text/csv",
                    "application/pdf",
                    "application/msword",
                    "application/vnd.ms-excel",
                    "application/vnd.ms-powerpoint",
                    "application/vnd.openxmlformats-officedocument",
                ),
                100_000_000,
            ),
        },
        files_per_part=1,
        caption_kinds=("image", "video", "document"),
        caption_max=1024,
        window_hours=24,
        templates=True,
        receipts=("sent", "delivered", "read", "failed"),
        identity_kinds=("phone", "whatsapp"),
    )

    # -- In ------------------------------------------------------------------------------------------------------------

    def verify(self, channel: ChannelFacts, request: HttpRequest) -> None:
        """X-Hub-Signature-256 over the raw bytes. A GET handshake proves itself by the verify token."""
        if request.method in ("GET", "HEAD"):
            if request.method == "GET" and not _is_handshake(channel, request):
                raise Rejected("wrong verify token", status=403)
            return
        given = request.headers.get("X-Hub-Signature-256", "")
        secret = channel.secrets.get("app_secret", "")
        if not secret or not given:
            raise Rejected("no signature")
        if not hmac.compare_digest(signature(secret, request.body).encode(), given.encode()):
            raise Rejected("wrong signature")

    def handshake(self, channel: ChannelFacts, request: HttpRequest) -> HttpResponse | None:
        if request.method == "GET" and _is_handshake(channel, request):
            return HttpResponse(request.GET.get("hub.challenge", ""), content_type="text/plain")
        return None

    def items(self, channel: ChannelFacts, request: HttpRequest) -> list[Item]:
        """entry x changes x (messages, statuses, echoes, calls, preferences), each in an envelope of its own."""
        if request.method != "POST":
            return []
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError) as error:
            raise Unreadable("The body is no JSON.") from error
        if not isinstance(body, dict) or not isinstance(body.get("entry"), list):
            raise Unreadable("The body has no entries.")
        try:
            return list(_cut(channel, body))
        except (AttributeError, TypeError, KeyError) as error:
            raise Unreadable(f"The body does not have WhatsApp's form: {error!r}") from error

    def normalise(self, channel: ChannelFacts, raw: bytes, headers: Mapping[str, str]) -> list[Normalised]:
        try:
            body = json.loads(raw)
            return [
                result
                for entry in body["entry"]
                for change in entry["changes"]
                for result in inbound.read(change["field"], change["value"], entry, error_of=error_of)
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Unreadable(f"The item does not have WhatsApp's form: {error!r}") from error

    # -- Out -----------------------------------------------------------------------------------------------------------

    def send(self, channel: ChannelFacts, message: OutboundMessage, *, committed: Callable[[], None]) -> SendResult:
        payload: dict[str, Any] = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            **_recipient(message),
            **self._content(channel, message),
            "biz_opaque_callback_data": message.part_uuid,
        }
        if message.reply_to_external_id:
            payload["context"] = {"message_id": message.reply_to_external_id}
        response = _call(
            channel, "POST", _url(channel, channel.account_id, "messages"), json=payload, on_sending=committed
        )
        answer = _json(response.body)
        if response.status != 200:
            raise _refusal(response, answer)
        try:
            return SendResult(provider_id=str(answer["messages"][0]["id"]))
        except (KeyError, IndexError, TypeError) as error:
            raise DeliveryError(
                "WhatsApp accepted without naming the message.", permanent=False, may_have_left=True
            ) from error

    def _content(self, channel: ChannelFacts, message: OutboundMessage) -> dict[str, Any]:
        if message.template:
            return {"type": "template", "template": _template(message.template, message.language)}
        if not message.files:
            return {"type": "text", "text": {"body": message.text, "preview_url": False}}
        file = message.files[0]
        kind = _kind_of(file)
        media: dict[str, Any] = {"id": self._upload(channel, file)}
        if message.text and kind in self.capabilities.caption_kinds:
            media["caption"] = message.text
        if kind == "document":
            media["filename"] = file.name
        return {"type": kind, kind: media}

    def _upload(self, channel: ChannelFacts, file: OutboundFile) -> str:
        """Uploaded files are not sent yet: a time-out here is no doubt about the message."""
        with _opened(file) as source:
            content = source.read()
        response = _call(
            channel,
            "POST",
            _url(channel, channel.account_id, "media"),
            data={"messaging_product": "whatsapp", "type": file.content_type},
            files={"file": (file.name, content, file.content_type)},
            timeout=60,
            uploading=True,
        )
        answer = _json(response.body)
        if response.status != 200 or not answer.get("id"):
            error = _refusal(response, answer)
            error.may_have_left = False
            raise error
        return str(answer["id"])

    def fetch_media(self, channel: ChannelFacts, reference: Mapping[str, Any]) -> Fetched:
        """Two steps: the id gives an address that lives for minutes, the address gives the bytes; both want the token."""
        described = _call(channel, "GET", _url(channel, str(reference.get("id", ""))))
        answer = _json(described.body)
        if described.status != 200:
            if described.status == 404 or (answer.get("error") or {}).get("code") == 100:
                raise DeliveryError("The file is no longer at WhatsApp.", permanent=True, code="expired")
            raise _refusal(described, answer)
        url = str(answer.get("url", ""))
        if not _is_of_meta(url, channel):
            raise DeliveryError("WhatsApp names a file on a foreign host.", permanent=True, code="host")
        response = _call(channel, "GET", url, timeout=60, max_bytes=LARGEST_MEDIA, redirects=3)
        if response.status in (403, 404):  # the address has expired; the id gives a fresh one next time
            raise DeliveryError("The address of the file has expired.", permanent=False, code=str(response.status))
        if response.status != 200:
            raise DeliveryError(f"WhatsApp answered {response.status}.", permanent=False, code=str(response.status))
        if not _has_hash(response.body, str(reference.get("sha256") or answer.get("sha256") or "")):
            raise DeliveryError("The file arrived damaged.", permanent=False, code="sha256")
        content_type = str(answer.get("mime_type") or reference.get("mime_type") or "")
        return Fetched(response.body, content_type.partition(";")[0].strip(), str(reference.get("name", "")))

    def templates(self, channel: ChannelFacts) -> list[Template]:
        """The approved ones whose body is all that has to be filled in. Raises DeliveryError."""
        found: list[Template] = []
        after = ""
        for _page in range(MOST_PAGES):
            url = f"{_url(channel, str(channel.settings.get('waba_id', '')), 'message_templates')}?{TEMPLATE_FIELDS}"
            response = _call(channel, "GET", url + (f"&after={quote(after)}" if after else ""))
            answer = _json(response.body)
            if response.status != 200:
                raise _refusal(response, answer)
            found += [one for one in map(template_of, answer.get("data") or []) if one]
            paging = answer.get("paging") or {}
            after = str((paging.get("cursors") or {}).get("after", "")) if paging.get("next") else ""
            if not after:
                break
        return found

    # -- Settings ------------------------------------------------------------------------------------------------------

    def check(self, channel: ChannelFacts) -> str:
        """Whether the token may use the number: what is wrong, for an administrator, or "". Sends nothing."""
        url = f"{_url(channel, channel.account_id)}?fields=id,display_phone_number,verified_name"
        try:
            response = _call(channel, "GET", url)
        except DeliveryError as error:
            return gettext("WhatsApp cannot be reached (%(detail)s).") % {"detail": error.detail}
        if response.status == 200:
            return ""
        refusal = _refusal(response, _json(response.body))
        if refusal.disconnected:
            return gettext("WhatsApp does not accept the access token (%(detail)s).") % {"detail": refusal.detail}
        if refusal.permanent:
            return gettext("WhatsApp does not know this phone number ID, or the token may not use it (%(detail)s).") % {
                "detail": refusal.detail
            }
        return gettext("WhatsApp gives no information now (%(detail)s). Try again later.") % {"detail": refusal.detail}


def signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex()


def error_of(code: int, detail: str) -> DeliveryError:
    return DeliveryError(detail, code=str(code), **{"permanent": True, **ERRORS.get(code, {})})


# -- Cutting -----------------------------------------------------------------------------------------------------------


def _is_handshake(channel: ChannelFacts, request: HttpRequest) -> bool:
    expected = channel.secrets.get("verify_token", "")
    given = request.GET.get("hub.verify_token", "")
    return (
        bool(expected)
        and request.GET.get("hub.mode") == "subscribe"
        and hmac.compare_digest(expected.encode(), given.encode())
    )


def _cut(channel: ChannelFacts, body: Mapping[str, Any]) -> Iterator[Item]:
    for entry in body["entry"]:
        for change in entry.get("changes") or []:
            field, value = str(change.get("field", "")), change.get("value") or {}
            account = _account(channel, entry, value)
            lists = [name for name in _LISTS if isinstance(value.get(name), list) and value[name]]
            if not lists:
                digest = hashlib.sha256(_bytes(change)).hexdigest()
                raw = _bytes({**body, "entry": [{**entry, "changes": [change]}]})
                yield Item(account, f"{field}:{digest}:{entry.get('time', '')}", "", raw)
            for name in lists:
                for thing in value[name]:
                    reduced = {key: rest for key, rest in value.items() if key not in _LISTS}
                    if value.get("contacts"):
                        reduced["contacts"] = _contacts_of(thing, value["contacts"])
                    envelope = {
                        **{key: rest for key, rest in body.items() if key != "entry"},
                        "entry": [
                            {
                                # The batch's own time goes: the same item in another batch gives the same bytes.
                                **{key: rest for key, rest in entry.items() if key not in ("changes", "time")},
                                "changes": [{**change, "value": {**reduced, name: [thing]}}],
                            }
                        ],
                    }
                    yield Item(account, _dedupe_key(name, thing), _ordering_key(name, thing), _bytes(envelope))


def _account(channel: ChannelFacts, entry: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    """The phone number's id; changes of the business account itself belong to the channel that received them."""
    if number := (value.get("metadata") or {}).get("phone_number_id"):
        return str(number)
    waba = str(entry.get("id", ""))
    return "" if channel.settings.get("waba_id", waba) in ("", waba) else waba


def _contacts_of(thing: Mapping[str, Any], contacts: list[Any]) -> list[Any]:
    """Its own entry of `contacts`, or all of them where they cannot be told apart."""
    mine = {
        str(thing[key])
        for key in ("from", "from_user_id", "to", "to_user_id", "recipient_id", "wa_id")
        if thing.get(key)
    }
    return [it for it in contacts if {str(it.get("wa_id")), str(it.get("user_id"))} & mine] or contacts


def _dedupe_key(name: str, thing: Mapping[str, Any]) -> str:
    if name == "statuses":
        participant = thing.get("recipient_participant_id")
        return f"{thing['id']}:{thing['status']}" + (f":{participant}" if participant else "")
    if name == "calls":
        return f"{thing['id']}:{thing.get('event', '')}"
    if name == "user_preferences":
        who = thing.get("wa_id") or thing.get("user_id")
        return f"{who}:{thing.get('category', '')}:{thing.get('timestamp', '')}"
    return str(thing["id"])


def _ordering_key(name: str, thing: Mapping[str, Any]) -> str:
    if name == "messages" and thing.get("type") not in _POINTERS:
        if group := thing.get("group_id"):
            return f"group:{group}"
        return str(thing.get("from_user_id") or thing.get("from") or "")
    if name == "message_echoes" and thing.get("type") not in _POINTERS:
        return str(thing.get("to_user_id") or thing.get("to") or "")
    return ""


def _bytes(thing: Any) -> bytes:
    return json.dumps(thing, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")


# -- Sending -----------------------------------------------------------------------------------------------------------


def _recipient(message: OutboundMessage) -> dict[str, str]:
    """A number goes into `to` without its +, a user id into `recipient`."""
    if message.to_kind == "whatsapp":
        return {"recipient": message.to}
    return {"to": re.sub(r"\D", "", message.to)}


def template_of(given: Mapping[str, Any]) -> Template | None:
    """None for one that is not approved, or wants more than words in its body: media, codes, addresses of buttons."""
    parts = {str(one.get("type", "")).upper(): one for one in given.get("components") or [] if isinstance(one, Mapping)}
    body = str(parts.get("BODY", {}).get("text", ""))
    header, buttons = parts.get("HEADER", {}), parts.get("BUTTONS", {}).get("buttons") or []
    if given.get("status") != "APPROVED" or given.get("category") == "AUTHENTICATION" or not body:
        return None
    if header and (header.get("format") != "TEXT" or _PLACE.search(str(header.get("text", "")))):
        return None
    if any(
        one.get("type") in ("COPY_CODE", "OTP", "FLOW") or _PLACE.search(str(one.get("url", ""))) for one in buttons
    ):
        return None
    places = tuple(dict.fromkeys(_PLACE.findall(body)))
    named = given.get("parameter_format") == "NAMED"
    ordered = places if named else tuple(sorted(places, key=lambda place: (len(place), place)))
    tight = _PLACE.sub(lambda place: "{{" + place[1] + "}}", body)
    return Template(str(given.get("name", "")), str(given.get("language", "")), tight, ordered, named)


def _template(template: Mapping[str, Any], language: str) -> dict[str, Any]:
    """`name`, `language`, and either `components` as Meta has them or `variables` of the body, in order."""
    components = template.get("components")
    if components is None and (variables := template.get("variables")):
        named = variables.items() if isinstance(variables, Mapping) else [("", value) for value in variables]
        parameters = [
            {"type": "text", **({"parameter_name": name} if name and not name.isdigit() else {}), "text": str(value)}
            for name, value in named
        ]
        components = [{"type": "body", "parameters": parameters}]
    built: dict[str, Any] = {
        "name": str(template.get("name", "")),
        "language": {"code": str(template.get("language") or language)},
    }
    return {**built, "components": components} if components else built


def _kind_of(file: OutboundFile) -> str:
    media = WhatsAppCloud.capabilities.media
    for kind in ("image", "video", "audio", "sticker"):
        if file.content_type in media[kind].mimes:
            return kind
    return "document"


def _opened(file: OutboundFile) -> Any:
    return open_stored(file.path.rpartition("/")[2])


def _url(channel: ChannelFacts, *path: str) -> str:
    base = str(channel.settings.get("base_url") or BASE_URL).rstrip("/")
    return "/".join([base, *path])


def _call(channel: ChannelFacts, method: str, url: str, *, uploading: bool = False, **options: Any) -> Response:
    headers = {"Authorization": f"Bearer {channel.secrets.get('access_token', '')}"}
    reading = uploading or method == "GET"
    try:
        return safe_fetch(method, url, headers=headers, **options)
    except Refused as error:
        raise DeliveryError(str(error), permanent=reading, disconnected=not reading, code="refused") from error
    except FetchError as error:
        left = error.may_have_left and not reading
        too_large = reading and "too large" in str(error)
        code = "too_large" if too_large else "network"
        raise DeliveryError(str(error), permanent=too_large, may_have_left=left, code=code) from error


def _refusal(response: Response, answer: Mapping[str, Any]) -> DeliveryError:
    """A Graph error names a code also on 5xx: then it was refused. Without one, nobody knows."""
    error = answer.get("error")
    if isinstance(error, dict) and isinstance(error.get("code"), int):
        details = (error.get("error_data") or {}).get("details") or error.get("message") or ""
        refusal = error_of(error["code"], str(details))
        refusal.retry_after = _seconds(response)
        return refusal
    if response.status >= 500:
        detail = f"WhatsApp answered {response.status}."
        return DeliveryError(detail, permanent=False, may_have_left=True, code=str(response.status))
    return DeliveryError(
        f"WhatsApp answered {response.status}.",
        permanent=response.status not in (401, 408, 429),
        disconnected=response.status == 401,
        code=str(response.status),
        retry_after=_seconds(response),
    )


def _seconds(response: Response) -> float | None:
    value = str(response.headers.get("retry-after") or "")
    return float(value) if value.isdecimal() else None


def _json(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _is_of_meta(url: str, channel: ChannelFacts) -> bool:
    """Whether the token may go there: the host of the API, or Meta's hosts of media by https."""
    parts, api = urlsplit(url), urlsplit(_url(channel))
    if (parts.scheme, parts.netloc) == (api.scheme, api.netloc):
        return True
    host = parts.hostname or ""
    return parts.scheme == "https" and any(host == domain or host.endswith(f".{domain}") for domain in MEDIA_DOMAINS)


def _has_hash(content: bytes, expected: str) -> bool:
    """Webhooks give the SHA-256 in base64, the API in hex. Nothing is checked when none is given."""
    digest = hashlib.sha256(content)
    return not expected or expected in (digest.hexdigest(), base64.b64encode(digest.digest()).decode())
