"""What every template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from helpdesk import heartbeat


def site(request: HttpRequest) -> dict[str, Any]:
    """`DEMO`, `SITE_URL`, and `worker_silent`, asked for only where a template uses it."""
    return {"DEMO": settings.DEMO, "SITE_URL": settings.SITE_URL, "worker_silent": heartbeat.worker_silent}
