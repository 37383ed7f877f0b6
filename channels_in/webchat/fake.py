"""A visitor without a browser: it speaks the panel's protocol over any transport (demo, tests, load).

There is no provider to imitate, so nothing is mounted. `call` takes (method, path, headers, body) and answers
(status, JSON); `over_http` and the Django test client's wrapper in the tests are such calls.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django.conf import settings
from django.urls import URLPattern

from tickets.http import safe_fetch

urlpatterns: list[URLPattern] = []  # no provider, no addresses


class Request(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Call = Callable[[Request], tuple[int, dict[str, Any]]]


def over_http(request: Request) -> tuple[int, dict[str, Any]]:
    """To our own address, which must be in SAFE_FETCH_ALLOW."""
    answer = safe_fetch(
        request.method, settings.SITE_URL + request.path, headers=dict(request.headers), data=request.body
    )
    return answer.status, json.loads(answer.body or b"{}")


class FakeVisitor:
    """One browser: begins its session with its first word, as the panel does."""

    def __init__(self, slug: str, *, call: Call = over_http, language: str = "en", identity: str = "") -> None:
        self.base, self.call, self.language, self.identity = f"/chat/{slug}/", call, language, identity
        self.token = self.renewal = self.cursor = ""
        self.seen: list[dict[str, Any]] = []

    def begin(self) -> None:
        status, answer = self._post(
            "session/", {"language": self.language} | ({"identity": self.identity} if self.identity else {})
        )
        if status not in (200, 201):
            raise RuntimeError(f"{status}: {answer}")
        self.token, self.renewal = answer["token"], answer.get("renewal", self.renewal)

    def build_message(self, text: str, *, client_uuid: uuid.UUID | None = None, **more: Any) -> Request:
        """The signed request without sending it: for load, doubles and wrong order."""
        if not self.token:
            self.begin()
        body = {"client_uuid": str(client_uuid or uuid.uuid4()), "text": text, **more}
        return self._request("POST", "messages/", body)

    def writes(self, text: str, **more: Any) -> tuple[int, dict[str, Any]]:
        return self.call(self.build_message(text, **more))

    def hears(self) -> list[dict[str, Any]]:
        """What came since the last time; all of it is in `seen`."""
        query = f"?after={self.cursor}" if self.cursor else ""
        _status, answer = self.call(self._request("GET", f"events/{query}", None))
        self.cursor = answer.get("cursor", self.cursor)
        self.seen += answer.get("events", [])
        return answer.get("events", [])

    def lines(self) -> list[dict[str, Any]]:
        """The messages it knows, each once, in order."""
        known = {event["id"]: event for event in self.seen if event["type"] in ("message", "message_changed")}
        return sorted(known.values(), key=lambda event: (event["at"], event["seq"]))

    def says(self, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        return self._post(path, body)

    def _post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return self.call(self._request("POST", path, body))

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> Request:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return Request(method, self.base + path, headers, json.dumps(body).encode() if body is not None else b"")
