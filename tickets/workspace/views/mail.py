"""The HTML of a mail, on a page of its own for the sandboxed frame (reliability.md 14). It is clean already; this page
only gives pictures their addresses, and forbids the rest."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from csp.decorators import csp_exempt
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from tickets import files
from tickets.access import message_for
from tickets.models import Attachment, Identity, Message
from tickets.workspace import pictures
from tickets.workspace.answers import agent_of, say

URL_SECONDS = 600  # the page of a mail is kept so long; the frame has no cookie on the files host
# The cleaner writes every attribute in double quotes, escaped.
_CID = re.compile(r' data-cid="([^"]*)"')


@csp_exempt()  # type: ignore[arg-type]  # its stub knows no further arguments
@xframe_options_sameorigin
@login_required
@require_safe
def body(request: HttpRequest, pk: int) -> HttpResponse:
    """`?pictures=1`: with the pictures from elsewhere, through our own address."""
    message = message_for(agent_of(request), pk)
    if not message.html or message.deleted_at:
        raise Http404
    html, remote = _with_pictures(message), pictures.count(message.html)
    if request.GET.get("pictures") == "1":
        html, remote = pictures.shown(html), max(0, remote - pictures.MOST)
    context = {"html": mark_safe(html), "language": message.language, "remote": remote}
    response = render(request, "workspace/mail.html", context)
    host = urlsplit(settings.FILES_BASE_URL)
    response["Content-Security-Policy"] = (
        f"default-src 'none'; img-src {host.scheme}://{host.netloc}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'; sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
    )
    response["Cache-Control"] = "private, max-age=600"
    return response


@login_required
@require_POST
def always(request: HttpRequest, pk: int) -> HttpResponse:
    """Pictures from this message's sender are always shown from now on; `?to=off` asks again each time."""
    agent = agent_of(request)
    message = message_for(agent, pk)
    if not agent.may_reply:
        return HttpResponse(status=403)
    if message.route_id is None or message.direction != Message.Direction.IN:
        raise Http404
    off = request.GET.get("to") == "off"
    Identity.objects.filter(routes=message.route_id).update(pictures=not off)
    response = HttpResponse(status=204)
    address = reverse("sender_pictures", args=[pk])
    words = _("Pictures from this sender are not shown by themselves any more.")
    say(
        response,
        message=words if off else _("Pictures from this sender are always shown."),
        undo=address if off else f"{address}?to=off",
    )
    return response


def _with_pictures(message: Message) -> str:
    """Pictures that came with the mail get the address of the stored file; all others stay without one."""
    stored = message.attachments.filter(state=Attachment.State.STORED, content_type__in=files.SHOWN)
    addresses = {file.content_id: files.signed_url(file, seconds=URL_SECONDS) for file in stored if file.content_id}

    def place(match: re.Match[str]) -> str:
        address = addresses.get(pictures.plain(match[1]))
        return f' src="{escape(address)}"' if address else ""

    return _CID.sub(place, message.html)
