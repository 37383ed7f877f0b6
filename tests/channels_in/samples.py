"""From a sample payload to what it is normalised to, in a form that can be written down and compared."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from django.test import RequestFactory

from tickets.contract import Adapter, ChannelFacts, Unreadable

HERE = Path(__file__).parent


def facts(kind: str, **changes: Any) -> ChannelFacts:
    """A channel's facts without a database."""
    base: dict[str, Any] = {
        "id": 1,
        "kind": kind,
        "slug": f"{kind}-1",
        "name": kind,
        "account_id": "",
        "address": "",
        "brand_key": "haneul",
        "brand_name": "Haneul",
        "settings": {},
        "secrets": {},
        "hook_url": f"https://help.example.com/hooks/{kind}-1/",
    }
    return ChannelFacts(**{**base, **changes})


def request(call: tuple[str, Mapping[str, str], bytes], *, method: str = "POST", query: str = "") -> HttpRequest:
    """A request as the hook gets it: the Host header is never the public one, nobody may trust it."""
    path, headers, body = call
    content_type = headers.get("Content-Type", "application/octet-stream")
    others = {key: value for key, value in headers.items() if key.lower() != "content-type"}
    address = f"{path}?{query}" if query else path
    return RequestFactory().generic(
        method, address, data=body, content_type=content_type, headers={**others, "Host": "localhost"}
    )


def samples(kind: str) -> list[Path]:
    return sorted((HERE / kind / "payloads").glob("*.json"))


def provided(provider: str) -> list[Path]:
    """The example payloads of others, where $SAMPLES_DIR names them."""
    folder = os.environ.get("SAMPLES_DIR")
    return sorted(Path(folder, "payloads", provider).glob("*.json")) if folder else []


def normalised(adapter: Adapter, channel: ChannelFacts, received: HttpRequest) -> list[dict[str, Any]]:
    """What `items` and then `normalise` make of a request; each item is normalised alone."""
    return [
        {
            "account": item.account,
            "dedupe_key": item.dedupe_key,
            "ordering_key": item.ordering_key,
            "results": list(_written(adapter, channel, item.raw)),
        }
        for item in adapter.items(channel, received)
    ]


def agrees_with_golden(kind: str, name: str, found: Any) -> None:
    """Compare with golden/<name>.json beside the payloads; WRITE_GOLDEN=1 writes it, to be read before it is kept."""
    path = HERE / kind / "golden" / f"{name}.json"
    text = json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True, default=str) + "\n"
    if os.environ.get("WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"{path.name} has no golden result"
    assert json.loads(text) == json.loads(path.read_text())


def _written(adapter: Adapter, channel: ChannelFacts, raw: bytes) -> Iterable[dict[str, Any]]:
    try:
        results = adapter.normalise(channel, raw, {})
    except Unreadable as error:
        yield {"is": "Unreadable", "why": str(error)}
        return
    for result in results:
        yield {"is": type(result).__name__, **_without_defaults(result)}


def _without_defaults(thing: Any) -> dict[str, Any]:
    found = {}
    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        if value != default:
            if dataclasses.is_dataclass(value):
                value = {"is": type(value).__name__, **_without_defaults(value)}
            elif isinstance(value, tuple):
                value = [_without_defaults(it) if dataclasses.is_dataclass(it) else it for it in value]
            found[field.name] = value
    return found
