"""Pages of the whole product: reports of the browser about our own policy, refusals that explain themselves, no network."""

import hashlib
import json
import logging
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

logger = logging.getLogger("helpdesk.csp")
WORKER = (Path(__file__).parent / "service_worker.js").read_text()
LARGEST_REPORT = 16_384  # bytes
FIELDS = ("document-uri", "violated-directive", "effective-directive", "blocked-uri", "source-file", "line-number")


@csrf_exempt  # browsers send it without a token
@require_POST
def csp_report(request: HttpRequest) -> HttpResponse:
    """Write a browser's report of a Content-Security-Policy violation to the log, and nothing else of it."""
    body = request.read(LARGEST_REPORT + 1)
    if len(body) > LARGEST_REPORT:
        return HttpResponse(status=413)
    try:
        report = json.loads(body)["csp-report"]
        facts = {name: str(report[name])[:300] for name in FIELDS if name in report}
    except (ValueError, TypeError, KeyError):
        return HttpResponse(status=400)
    logger.warning("csp violation %s", facts)
    return HttpResponse(status=204)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The 403 page that names the usual cause: an https proxy in front of a SITE_URL that says http."""
    logging.getLogger("django.security.csrf").warning("csrf refused: %s", reason)
    origin = request.headers.get("Origin", "")
    context = {
        "site_url": settings.SITE_URL,
        "origin": origin,
        "other_site": origin not in ("", *settings.SITE_ORIGINS),
    }
    return render(request, "helpdesk/csrf_failure.html", context, status=403)


@require_GET
def offline(request: HttpRequest) -> HttpResponse:
    """What an installed app shows without a network. The same for everybody: it is kept in the browser."""
    return render(request, "helpdesk/offline.html")


@never_cache
@require_GET
def service_worker(request: HttpRequest) -> HttpResponse:
    """The worker of the installable app, at the root, so that it stands before every page and takes what is pushed. Another
    shell, another name."""
    address = reverse("offline")
    shell = [address, static("css/app.css"), static("css/pages/entrance.css"), static("icon.svg")]
    version = hashlib.sha256("".join([*shell, render_to_string("helpdesk/offline.html")]).encode()).hexdigest()[:12]
    facts = {"NAME": f"shell-{version}", "OFFLINE": address, "SHELL": shell, "ICON": static("icons/192.png")}
    head = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in facts.items())
    return HttpResponse(head + WORKER, content_type="text/javascript; charset=utf-8")
