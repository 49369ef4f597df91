"""The OpenAPI document and its page describe every path, without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.serve.running import Running, serving

import holdfast
from holdfast.serve.limits import Limits

DOCS = Path(__file__).resolve().parents[2] / "docs" / "serve.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    path = tmp_path_factory.mktemp("models") / "stream.safetensors"
    torch.manual_seed(0)
    holdfast.Stream(holdfast.LSTM(3, 5)).export(path)
    with serving(path, token="<b>") as running:
        yield running


BEARER = {"Authorization": "Bearer <b>"}


def test_every_path_is_described(server: Running) -> None:
    document = server.get("/openapi.json", **BEARER).json
    assert document["openapi"] == "3.1.0"
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    app = server.server.config.app
    routed = {(next(iter(r.methods - {"HEAD"})), r.path) for r in app.routes if hasattr(r, "methods")}  # type: ignore[union-attr]
    of_the_page = {("GET", path) for _, path in routed if path == "/" or path.startswith("/page/")}
    assert ("GET", "/page/main.js") in of_the_page
    assert routed - described == {("GET", "/openapi.json"), ("GET", "/docs")} | of_the_page
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            in_path = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))
            assert bool(operation.get("security")) == (not path.startswith("/v2/health"))


def test_the_page_needs_no_network(server: Running) -> None:
    page = server.get("/docs", **BEARER).content.decode()
    assert "<script" not in page
    assert re.findall(r"(?:src|href)=\"?([^\s>\"]+)", page) == ["openapi.json"]
    for path in server.get("/openapi.json", **BEARER).json["paths"]:
        assert f"<code>{path}</code>" in page
    assert "<td>stream<td>1<td>stream<td>input FP32 [-1, -1, 3]<td>output FP32 [-1, -1, 5]" in page


def test_the_limits_of_the_docs_are_those_of_the_server() -> None:
    page = DOCS.read_text("utf-8")
    section = page[page.index("## Limits") : page.index("## Who may call")]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE))
    fields = Limits.model_fields
    assert list(rows) == list(fields)
    for name, default in rows.items():
        shown = default.replace(",", "").strip()
        if name == "workers":
            assert shown == "cores up to 4"
        else:
            assert float(shown) == fields[name].default, name
