"""What docs/start.md shows is done: its programs and commands run in their order, and its figures are kept."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from tests.docs.test_docs import ROOT, blocks

from holdfast.cli import main

PAGE = (ROOT / "docs" / "start.md").read_text("utf-8")
INSTALLATION = {"pip install ."}
SHORTER = {"digits": ["--set", "train.epochs=2"]}  # what the page says about the accuracy is a figure of the README
LINES = [
    line.removeprefix("$ ") for block in blocks(PAGE) if block.info == "console" for line in block.text.splitlines()
]


def test_its_commands_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATA", raising=False)
    programs = [block.text for block in blocks(PAGE) if block.info == "python"]
    (files,) = [text for text in programs if "sales.csv" in text]
    exec(compile(files, "docs/start.md", "exec"), {})
    outputs = {}
    for line in LINES:
        words = shlex.split(line)
        if line in INSTALLATION:
            continue
        assert words.pop(0) == "holdfast"
        faster = [*SHORTER.get(words[1], []), "--set", "train.threads=1", "-q"] if words[0] == "train" else []
        with pytest.raises(SystemExit) as stop:
            main([*words, *faster])
        printed = capsys.readouterr()
        assert stop.value.code == 0, f"{line}: {printed.err}"
        outputs[line] = printed.out
    results = tomllib.loads(Path("runs/sales/results.toml").read_text("utf-8"))["test"]
    for figure, metric in re.findall(r"`([a-z ]*mae)`, ([\d.]+) cups", PAGE):
        assert results[figure.replace(" ", "_")] == pytest.approx(float(metric), abs=0.3)
    assert len(json.loads(outputs[LINES[-1]])["times"]) == 12
    assert "12 days" in PAGE
