"""Simulated providers and the simulator exist under DEMO (and in tests, which set it); elsewhere they are not found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern


def only_in_demo(patterns: Sequence[URLPattern]) -> list[URLPattern]:
    """The same addresses, each answering 404 unless DEMO is on."""
    for pattern in patterns:
        pattern.callback = _guarded(pattern.callback)
    return list(patterns)


def _guarded(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not settings.DEMO:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded
