"""Cursor pages: `page[size]` up to 100, `page[after]`; the answer says `meta.has_more` and `links.next`."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

SIZE, MAX = 50, 100


def page(request: Request, rows: QuerySet[Any], *, by: str, descending: bool, serialize: Any) -> Response:
    """One keyset page over (`by`, id). The cursor is opaque. Raises ValidationError for a bad size or cursor."""
    size = _size(request)
    sign = "-" if descending else ""
    rows = rows.order_by(f"{sign}{by}", f"{sign}id") if by != "id" else rows.order_by(f"{sign}id")
    if after := request.query_params.get("page[after]"):
        value, pk = _decode(after, by)
        beyond = "lt" if descending else "gt"
        later = Q(**{f"id__{beyond}": pk})
        rows = rows.filter(later if by == "id" else Q(**{f"{by}__{beyond}": value}) | (Q(**{by: value}) & later))
    found = list(rows[: size + 1])
    more = len(found) > size
    found = found[:size]
    link = None
    if more:
        cursor = _encode(getattr(found[-1], by), found[-1].pk)
        link = replace_query_param(request.build_absolute_uri(), "page[after]", cursor)
    return Response({"data": serialize(found), "meta": {"has_more": more}, "links": {"next": link}})


class PageMeta(serializers.Serializer):
    has_more = serializers.BooleanField()


class PageLinks(serializers.Serializer):
    next = serializers.URLField(allow_null=True)


def page_of(serializer: type[serializers.Serializer]) -> serializers.Serializer:
    """The shape of a page, for the schema."""
    name = serializer.__name__.removesuffix("Out")
    return inline_serializer(f"{name}Page", {"data": serializer(many=True), "meta": PageMeta(), "links": PageLinks()})


def _size(request: Request) -> int:
    text = request.query_params.get("page[size]", str(SIZE))
    if not (text.isdecimal() and len(text) < 10 and 1 <= int(text) <= MAX):
        raise ValidationError({"page[size]": [f"A number from 1 to {MAX}."]})
    return int(text)


def _encode(value: Any, pk: int) -> str:
    shown = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([shown, pk]).encode()).decode().rstrip("=")


def _decode(cursor: str, by: str) -> tuple[Any, int]:
    try:
        value, pk = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(pk, int):
            raise TypeError
        return (datetime.fromisoformat(value) if by.endswith("_at") else value), pk
    except (ValueError, TypeError) as error:
        raise ValidationError({"page[after]": ["Not a cursor of ours."]}) from error
