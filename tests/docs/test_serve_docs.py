"""The calls of docs/serve.md are answered by a server of the recipe ``digits``, as the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.docs.test_docs import ROOT, blocks
from tests.serve.running import Running, serving
from tests.serve.stream_services import lstm, served, service_of

from holdfast import recipes
from holdfast.tasks import TASKS, model_file

PAGE = (ROOT / "docs" / "serve.md").read_text("utf-8")
FIRST_CALL = PAGE[PAGE.index("## The first call") : PAGE.index("## Models, names and versions")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the page, as it is before training, and an image."""
    image = pytest.importorskip("PIL.Image", reason="needs Pillow: pip install 'holdfast[images]'")
    folder = tmp_path_factory.mktemp("docs")
    (folder / "runs" / "digits").mkdir(parents=True)
    recipe = recipes.load("digits")
    kind = TASKS[recipe.task]
    task = kind.fit(recipe, kind.load(recipe, None).train)
    model_file.save(folder / "runs" / "digits" / "model.safetensors", task, task.build())
    image.new("L", (8, 8), 9).save(folder / "seven.png")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    with serving(folder / "runs" / "digits") as running:
        yield running


def ran(command: list[str], text: str, server: Running, folder: Path) -> str:
    """What a block prints, with the port of this server."""
    program = text.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    done = subprocess.run([*command, program], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def block(info: str) -> str:
    (text,) = [block.text for block in blocks(FIRST_CALL) if block.info == info]
    return text


def test_curl(server: Running, folder: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    lines = block("bash").splitlines()
    answers = [json.loads(ran(["bash", "-c"], line, server, folder)) for line in lines]
    first, second, metadata = answers
    (answer,) = first["answers"]
    assert (first["model"], first["version"], answer["origin"]) == ("digits", "1", "seven.png")
    assert second["answers"] == [{**answer, "origin": "body.png"}]
    assert set(answer) == {"origin", "label", "probabilities"}
    assert metadata["inputs"][0] == {"name": "input", "datatype": "FP32", "shape": [-1, -1, 8]}


def test_python(server: Running, folder: Path) -> None:
    expected = server.post("/predict/digits", {"examples": [[[0.0] * 8] * 8]}).json["answers"][0]["label"]
    assert ran([sys.executable, "-c"], block("python no-run"), server, folder) == f"{expected}\n"


def test_javascript(server: Running, folder: Path) -> None:
    if not shutil.which("node"):
        pytest.skip("needs Node.js")
    expected = server.post("/predict/digits", {"examples": [[[0.0] * 8] * 8]}).json["answers"][0]["label"]
    assert ran(["node", "--input-type=module", "-e"], block("javascript"), server, folder) == f"{expected}\n"


def test_javascript_of_a_stream(browser: Any) -> None:
    """In a page of the server, with a layer of as many inputs instead of the trained model."""
    (text,) = [block.text for block in blocks(PAGE) if "new WebSocket" in block.text]
    with served(service_of(**{"japanese-vowels": lstm(inputs=12, units=4)})) as address:
        page = browser.new_page()
        page.goto(f"http://{address}/")
        with page.expect_console_message(lambda message: message.type == "log") as shown:
            page.evaluate(f"() => {{ {text.replace('127.0.0.1:8000', address)} }}")
        assert len(shown.value.args[0].json_value()) == 4


def test_tritonclient(server: Running, folder: Path) -> None:
    python = os.environ.get("HOLDFAST_TRITONCLIENT")
    if not python:
        pytest.skip("HOLDFAST_TRITONCLIENT names no Python with tritonclient[http]")
    (text,) = [block.text for block in blocks(PAGE) if "tritonclient" in block.text]
    assert len(re.findall(r"\d\.\d+", ran([python, "-c"], text, server, folder))) >= 10


def test_the_configurations_are_what_they_say() -> None:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")

    by_kind = {block.info: block.text for block in blocks(PAGE)}
    spec = yaml.safe_load(by_kind["yaml"])["spec"]["predictor"]["containers"][0]
    assert spec["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"
    lines = by_kind["dockerfile"].splitlines()
    assert len(lines) == 10
    assert json.loads(lines[-2].removeprefix("ENTRYPOINT "))[:2] == ["holdfast", "serve"]
    assert set(json.loads(by_kind["json"])) >= {"time", "level", "event", "id", "status", "ms"}
