"""Serving stored files as inert bytes (reliability.md 12.1, V26): own type, no script, offered for saving."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    HttpResponseRedirect,
)
from django.utils.http import parse_etags, quote_etag
from django.views.decorators.http import require_safe

from tickets import files
from tickets.access import attachment_for
from tickets.models import Attachment

REDIRECT_SECONDS = 60
TEXT = frozenset({"text/plain", "text/html", "text/xml", "text/vcard", "image/svg+xml"})


@require_safe
def stored_file(request: HttpRequest, token: str, name: str = "") -> HttpResponseBase:
    """`/files/<token>/<name>`: by a signed address, or for somebody who is signed in and may see the message.

    Rights are asked for at each download: a right that was lost ends the address. Everything else answers 404.
    """
    try:
        attachment = Attachment.objects.get(token=token, state=Attachment.State.STORED)
    except (Attachment.DoesNotExist, ValidationError, ValueError):
        raise Http404 from None
    until, signature = request.GET.get("until", ""), request.GET.get("signature", "")
    if signature and files.is_signed(token, until=until, signature=signature):
        return _inert(attachment, caching="private, max-age=3600, immutable")
    if not request.user.is_authenticated:
        raise Http404
    attachment_for(request.user, attachment.pk)
    if settings.FILES_HOST:
        elsewhere = HttpResponseRedirect(files.signed_url(attachment, seconds=REDIRECT_SECONDS))
        elsewhere["Cache-Control"] = "private, no-store"
        return elsewhere
    # The browser may keep the bytes, but asks each time whether it still may show them.
    etag = quote_etag(attachment.sha256)
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        unchanged = HttpResponseNotModified()
        unchanged["ETag"] = etag
        return unchanged
    response = _inert(attachment, caching="private, no-cache")
    response["ETag"] = etag
    return response


def _inert(attachment: Attachment, *, caching: str) -> HttpResponse | FileResponse:
    try:
        content = files.open_stored(attachment.sha256)
    except (FileNotFoundError, ValueError):
        raise Http404 from None
    shown = attachment.content_type in files.SHOWN
    content_type = "text/plain; charset=utf-8" if attachment.content_type in TEXT else attachment.content_type
    response = FileResponse(
        content, as_attachment=not shown, filename=attachment.name or "file", content_type=content_type
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'; frame-ancestors 'none'"
    response["Cross-Origin-Resource-Policy"] = "cross-origin" if shown else "same-site"
    response["Cache-Control"] = caching
    response["Referrer-Policy"] = "no-referrer"
    return response
