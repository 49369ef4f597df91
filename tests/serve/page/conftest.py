"""Small models of every kind, and pages of a server that must load without an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.serve.running import Running
from tests.tasks import untrained

import holdfast
from holdfast.interop import formats

DIGITS = """
name = "x"
task = "classify"
[data]
source = "digits"
scaling = "unit"
validation = 0.0
[model]
hidden_size = 16
head = "last_state"
bidirectional = false
"""
TASKS = ("forecast", "generate", "numbers", "panel", "regress", "sums", "tag", "texts", "translate", "weighted")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model files with the names of their kinds; ``digits``, ``regress`` and ``stream`` stream."""
    folder = tmp_path_factory.mktemp("models")
    for name in TASKS:
        untrained.write(name, folder)
    untrained.write("digits", folder, DIGITS)
    torch.manual_seed(1)
    holdfast.Stream(holdfast.LSTM(3, 5, num_layers=2)).export(folder / "stream.safetensors")
    with torch.no_grad():
        torch.save(torch.nn.LSTM(3, 4, batch_first=True).state_dict(), folder / "lstm.pt")
    formats.write(folder / "converted.safetensors", formats.read(folder / "lstm.pt"))
    return folder


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page of a server. At the end there must have been no error and no request to another host.

    ``expected`` are parts of errors that a test expects: browsers write each refused request to the console.
    """
    contexts, problems = [], []

    def opened(server: Running, model: str = "", *, expected: tuple[str, ...] = (), **options: Any) -> Any:
        context = options.pop("browser", browser).new_context(**options)
        contexts.append(context)
        page = context.new_page()
        root = f"127.0.0.1:{server.port}/"

        def noted(message: Any) -> None:
            if message.type in ("error", "warning") and not any(part in message.text for part in expected):
                problems.append(message.text)

        def requested(request: Any) -> None:
            if not request.url.startswith((f"http://{root}", f"ws://{root}", "blob:", "data:")):
                problems.append(f"request: {request.url}")

        context.on("request", requested)
        page.on("websocket", requested)
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on("console", noted)
        page.goto(f"http://{root}#{model}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []
