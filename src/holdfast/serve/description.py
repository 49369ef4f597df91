"""The OpenAPI document of the server, and a page for people made from it, which needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from holdfast.serve import schemas
from holdfast.serve.endpoints import Endpoint
from holdfast.serve.guard import json_answer
from holdfast.serve.installed import installed_version
from holdfast.serve.service import Service

_REFUSALS = {
    400: "The request is malformed.",
    401: "The token is missing or wrong.",
    403: "The page is of another site.",
    404: "There is no such model, version or sequence.",
    405: "The path does not take this method.",
    408: "The body came too slowly.",
    409: "The sequence exists.",
    412: "The sequence has ended.",
    413: "Something is larger than its limit.",
    415: "The content type is not known.",
    421: "The server is called by a name that is not its own.",
    422: "The values do not fit the model.",
    429: "This client has too many requests under way.",
    503: "The server is full, stopping, or out of time.",
}


def routes(endpoints: Sequence[Endpoint], service: Service) -> list[Endpoint]:
    """The paths ``/openapi.json`` and ``/docs``, which describe others.

    Args:
        endpoints: What they describe.
        service: Its models are the examples of the page.
    """
    document = openapi([endpoint for endpoint in endpoints if endpoint.in_document], service)
    page = html(document, service)

    async def as_json(request: Request) -> Response:
        return json_answer(document)

    async def as_page(request: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": f"default-src 'none'; style-src {STYLE_HASH}"})

    return [
        Endpoint("GET", "/openapi.json", as_json, "This document", in_document=False),
        Endpoint("GET", "/docs", as_page, "This document as a page", in_document=False),
    ]


def openapi(endpoints: Sequence[Endpoint], service: Service) -> dict[str, Any]:
    """The OpenAPI 3.1 document of some paths.

    Args:
        endpoints: The paths.
        service: Its models are the values of the parameters, and it may ask for a token.
    """
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, service)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "holdfast serve",
            "version": installed_version(),
            "description": "Trained models over HTTP. Every refusal is JSON: an object with the text `error`.",
        },
        "paths": paths,
        "components": {"schemas": {"Error": schemas.ERROR}},
    }
    if service.token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return document


def _operation(endpoint: Endpoint, service: Service) -> dict[str, Any]:
    token = bool(service.token)
    values = {
        "model": sorted(service.models.names),
        "version": sorted({version for name in service.models.names for version in service.models.versions(name)}),
    }
    named = re.findall(r"{(\w+)(?::\w+)?}", endpoint.path)
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": values[name]}}
        for name in named
    ]
    if "model" in named and "version" not in named:
        parameters.append({"name": "version", "in": "query", "schema": {"type": "string", "enum": values["version"]}})
    known = {*endpoint.refusals, 503, *([404] if named else []), *([401] if token and not endpoint.public else [])}
    if service.hosts is not None:
        known.add(421)
    refused = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{endpoint.method.lower()}{endpoint.path}").strip("_"),
        "summary": endpoint.summary,
        "responses": {
            "200": {"description": "The answer.", "content": dict(endpoint.answers)},
            **{str(status): {"description": _REFUSALS[status], "content": refused} for status in sorted(known)},
        },
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body is not None:
        operation["requestBody"] = {"content": dict(endpoint.body)}
    if token and not endpoint.public:
        operation["security"] = [{"token": []}]
    return operation


_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430 }
h2 { margin-top: 2rem } code, pre { font-family: ui-monospace, monospace; font-size: .9em }
pre { background: #f2f4f7; padding: .75rem; overflow-x: auto; border-radius: 6px }
details { border: 1px solid #d5dbe3; border-radius: 6px; margin: .5rem 0; padding: .5rem .75rem }
summary { cursor: pointer } .method { display: inline-block; min-width: 3.5em; font-weight: 700; color: #0b5f66 }
table { border-collapse: collapse } td, th { text-align: left; padding: .15rem .75rem .15rem 0; vertical-align: top }
@media (prefers-color-scheme: dark) {
  body { background: #14181f; color: #e6e9ee } pre { background: #1f252f } details { border-color: #39424f }
  a { color: #7fc7ff } .method { color: #6fd3da } }"""

STYLE_HASH = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode('ascii')}'"
"""What a Content-Security-Policy calls the style of the page of the paths by."""


def html(document: dict[str, Any], service: Service) -> str:
    """The page of a document: the models, then every path with its parameters, bodies and answers."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>holdfast serve</title><style>{_STYLE}</style><h1>holdfast serve</h1>",
        f"<p>{_words(document['info']['description'])} The document itself: <a href=openapi.json>openapi.json</a>.</p>",
        "<h2>Models</h2><table><tr><th>name<th>version<th>task<th>inputs<th>outputs</tr>",
        *(_model_row(model) for model in service.models),
        "</table><h2>Paths</h2>",
    ]
    for path, methods in document["paths"].items():
        parts += [_section(method.upper(), path, operation) for method, operation in methods.items()]
    return "\n".join(parts)


def _model_row(model: Any) -> str:
    tensors = [
        ", ".join(f"{info.name} {info.datatype} {list(info.shape)}" for info in infos)
        for infos in (model.inputs, model.outputs)
    ]
    cells = "".join(f"<td>{escape(cell)}" for cell in (model.name, model.version, model.task, *tensors))
    return f"<tr>{cells}</tr>"


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    title = f"<span class=method>{method}</span> <code>{escape(path)}</code> {_words(operation['summary'])}"
    parts = [f"<details><summary>{title}</summary><p>{_words(operation.get('description', ''))}</p>"]
    if "parameters" in operation:
        names = ", ".join(f"<code>{escape(p['name'])}</code> (in the {p['in']})" for p in operation["parameters"])
        parts.append(f"<p>Parameters: {names}.</p>")
    parts += _contents("Body", operation.get("requestBody", {}).get("content", {}))
    for status, answer in operation["responses"].items():
        parts.append(f"<p><b>{status}</b> {_words(answer['description'])}</p>")
        if status == "200":
            parts += _contents("Answer", answer["content"])
    return "".join([*parts, "</details>"])


def _contents(title: str, contents: dict[str, Any]) -> list[str]:
    parts = []
    by_schema: dict[str, list[str]] = {}
    for kind, content in contents.items():
        by_schema.setdefault(json.dumps(content["schema"], indent=2, ensure_ascii=False), []).append(kind)
    for schema, kinds in by_schema.items():
        names = ", ".join(f"<code>{escape(kind)}</code>" for kind in kinds)
        parts.append(f"<p>{title}: {names}</p><pre>{escape(schema)}</pre>")
    return parts


def _words(text: str) -> str:
    """A text with its code in backquotes as HTML."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
