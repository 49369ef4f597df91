"""docs/runs.md describes every file of a run and every field of its history."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from holdfast import experiment, recipes

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "runs.md").read_text("utf-8")


def table(first: str) -> list[list[str]]:
    """The rows of the table whose first column has that title."""
    found = re.search(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found, f"docs/runs.md has no table of {first}s"
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in found[1].splitlines()]


def test_the_files_and_the_history_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_REPORT", "1")
    changes = ["train.epochs=1", "data.validation=0.2", "model.hidden_size=4", "train.log_every=9", "train.threads=1"]
    folder = tmp_path / "run"
    experiment.train(recipes.load("digits", changes), folder, data_dir=tmp_path)
    assert {path.name for path in folder.iterdir()} == {name for name, _ in table("file")}
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text("utf-8").splitlines()]
    everywhere = {name for name, where, _ in table("field") if where == "all"}
    of_epochs = {name for name, where, _ in table("field") if where == '`"epoch"`'.strip("`")}
    assert {row["event"] for row in rows} == {"epoch", "log"}
    for row in rows:
        assert set(row) == everywhere | (of_epochs if row["event"] == "epoch" else set())


def test_the_history_without_validation(tmp_path: Path) -> None:
    changes = ["train.epochs=1", "data.limit=100", "model.hidden_size=4", "data.validation=0", "train.threads=1"]
    experiment.train(recipes.load("digits", changes), tmp_path / "run")
    (row,) = map(json.loads, (tmp_path / "run" / "history.jsonl").read_text("utf-8").splitlines())
    assert set(row) == {name for name, where, _ in table("field") if where == "all"}
    assert {"data.toml", "report.html"} == {name for name, _ in table("file")} - {
        path.name for path in (tmp_path / "run").iterdir()
    }
