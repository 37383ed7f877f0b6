"""The reader's language and time zone: those of the signed-in agent, else those that the browser asks for."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from agents.models import Agent

GetResponse = Callable[[HttpRequest], HttpResponse]


class AgentLocaleMiddleware:
    """Stands after AuthenticationMiddleware; visitors keep what LocaleMiddleware chose."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        agent = request.user
        if not isinstance(agent, Agent):
            return self.get_response(request)
        request.LANGUAGE_CODE = agent.language
        try:
            zone = zoneinfo.ZoneInfo(agent.time_zone)
        except (ValueError, zoneinfo.ZoneInfoNotFoundError):
            zone = zoneinfo.ZoneInfo("UTC")
        with timezone.override(zone), translation.override(agent.language):
            response = self.get_response(request)
        response.headers["Content-Language"] = agent.language
        return response
