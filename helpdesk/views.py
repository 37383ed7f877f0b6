"""Pages of the whole product: reports of the browser about our own policy, and refusals that explain themselves."""

import json
import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

logger = logging.getLogger("helpdesk.csp")
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
