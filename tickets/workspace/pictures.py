"""Pictures from elsewhere in a mail, fetched by us: the sender learns that somebody looked, not who, where or with what.

Their addresses stand in the cleaned mail, inert. When a reader asks, the frame gets signed addresses of ours, good for
minutes, and only what is a picture by its bytes comes through.
"""

from __future__ import annotations

import re

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from tickets import files
from tickets.http import FetchError, Refused, safe_fetch

LIFE = 900  # seconds that an address is good for
MOST = 60  # pictures of one mail
MOST_BYTES = 5_000_000  # of one picture
PATIENCE = 8  # seconds
_SALT = "tickets.pictures"
# The cleaner writes every attribute in double quotes, escaped.
_REMOTE = re.compile(r' data-remote="([^"]*)"')


def count(html: str) -> int:
    return html.count(" data-remote=")


def shown(html: str) -> str:
    """The cleaned HTML with our addresses for its pictures, up to MOST of them."""
    return _REMOTE.sub(lambda match: f' src="{address_of(plain(match[1]))}"', html, count=MOST)


def address_of(url: str) -> str:
    """Our own address for a picture elsewhere, signed and short-lived. It needs no escaping in an attribute."""
    return f"{settings.FILES_BASE_URL}/pictures/{signing.dumps(url, salt=_SALT, compress=True)}/"


@require_safe
def picture(request: HttpRequest, signed: str) -> HttpResponse:
    """The picture itself. No cookie, referrer or agent of the reader goes along; what is no picture answers 404."""
    try:
        url = signing.loads(signed, salt=_SALT, max_age=LIFE)
    except signing.BadSignature:
        return HttpResponse(status=404)
    try:
        answer = safe_fetch(
            "GET", url, headers={"Accept": "image/*"}, timeout=PATIENCE, max_bytes=MOST_BYTES, redirects=3
        )
    except (Refused, FetchError):
        return HttpResponse(status=404)
    content_type = files.sniff(answer.body[:4096])
    if not answer.ok or content_type not in files.SHOWN:
        return HttpResponse(status=404)
    response = HttpResponse(answer.body, content_type=content_type)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'; frame-ancestors 'none'"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response["Cache-Control"] = f"private, max-age={LIFE}"
    response["Referrer-Policy"] = "no-referrer"
    return response


def plain(attribute: str) -> str:
    """What stands in an attribute as the cleaner writes it."""
    return attribute.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
