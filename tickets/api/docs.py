"""The pages of the API's description, drawn by the server from the OpenAPI schema: no script, no foreign host."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.generators import SchemaGenerator

METHODS = ("get", "post", "patch", "put", "delete")


@require_GET
def pages(request: HttpRequest) -> HttpResponse:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    parts = schema.get("components", {}).get("schemas", {})
    operations = [
        _operation(path, method, found[method], parts)
        for path, found in schema["paths"].items()
        for method in METHODS
        if method in found
    ]
    return render(request, "api/docs.html", {"title": schema["info"]["title"], "operations": operations})


def _operation(path: str, method: str, found: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    body = found.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    answers = [
        {
            "status": status,
            "fields": _fields(answer.get("content", {}).get("application/json", {}).get("schema", {}), parts),
        }
        for status, answer in found.get("responses", {}).items()
    ]
    return {
        "id": found["operationId"],
        "method": method.upper(),
        "path": path,
        "words": found.get("description", ""),
        "parameters": found.get("parameters", []),
        "body": _fields(body, parts),
        "answers": answers,
    }


def _fields(schema: dict[str, Any], parts: dict[str, Any]) -> list[dict[str, Any]]:
    schema = _resolve(schema, parts)
    if schema.get("type") == "array":
        schema = _resolve(schema.get("items", {}), parts)
    required = set(schema.get("required", ()))
    return [
        {"name": name, "type": _type(one, parts), "words": one.get("description", ""), "required": name in required}
        for name, one in schema.get("properties", {}).items()
    ]


def _resolve(schema: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    return schema


def _type(schema: dict[str, Any], parts: dict[str, Any]) -> str:
    schema = _resolve(schema, parts)
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    kind = schema.get("type", "object")
    kinds = kind if isinstance(kind, list) else [kind]
    return " | ".join(
        f"list of {_type(schema.get('items', {}), parts)}" if one == "array" else str(one) for one in kinds
    )
