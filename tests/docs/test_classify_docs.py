"""What docs/classify.md shows is done: its files are made, its tables read, its commands run, its claims kept."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from holdfast import recipes
from holdfast.cli import main
from holdfast.data import load
from holdfast.data.readers import texts, vectors
from holdfast.tasks.classify.settings import ClassifyData, ClassifyModel

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "classify.md").read_text("utf-8")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the page, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATA", raising=False)
    for name, content in re.findall(r"`(\S+)`:\n\n```\w+\n(.*?)^```", DOCS, re.M | re.S):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")


def section(name: str) -> dict[str, dict[str, object]]:
    """The table that a section shows."""
    text = DOCS.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    [table] = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    return tomllib.loads(table)


def test_the_commands_run_in_their_order(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    [console] = re.findall(r"^```console\n(.*?)^```", DOCS, re.M | re.S)
    for line in console.splitlines():
        given, pipe, command = line.removeprefix("$ ").rpartition(" | ")
        words = shlex.split(command, comments=True)
        assert words[0] == "holdfast"
        monkeypatch.setattr(sys, "stdin", io.StringIO(" ".join(shlex.split(given)[1:]) + "\n" if pipe else ""))
        with pytest.raises(SystemExit) as stop:
            main([*words[1:], *(["--set", "train.threads=1", "-q"] if words[1] == "train" else [])])
        assert stop.value.code == 0, line
        outputs.append(capsys.readouterr().out)
    assert "test accuracy" in outputs[0]
    assert "confusion" in outputs[1]
    assert json.loads(outputs[2])["label"] == "spam"
    assert outputs[3] == "ham\n"
    assert [json.loads(line)["origin"] for line in outputs[4].splitlines()] == [f"mail/spam.txt[{k}]" for k in range(4)]


def test_several_labels() -> None:
    settings = ClassifyData.model_validate(section("Several labels per text")["data"])
    read = texts.read([Path("reviews.csv")], settings)
    assert read.targets == ["food", "service", "food|service", "", "service", "food"]
    assert load(settings, None, seed=0).train.inputs


def test_labels_in_the_lines() -> None:
    settings = ClassifyData.model_validate(section("Labels in the lines")["data"])
    read = texts.read([Path("questions.txt")], settings)
    assert read.targets == ["place", "time", "place", "time"]
    assert read.inputs[1] == "When do you open"


def test_weights_and_vectors_are_of_the_form_shown() -> None:
    assert ClassifyModel.model_validate(section("Rare labels")["model"]).class_weights == {"spam": 1, "ham": 3}
    settings = ClassifyModel.model_validate(section("Word vectors from a file")["model"])
    assert set(vectors.read(Path(settings.embedding_file), ["prize", "lunch", "x"])) == {"prize", "lunch"}


def test_every_ending_and_every_recipe_of_texts_is_told() -> None:
    for suffix in texts.SUFFIXES:
        assert re.search(rf"[`. A-Z]{re.escape(suffix)}`", DOCS), suffix
    for name in recipes.names():
        recipe = recipes.load(name)
        if isinstance(recipe.data, ClassifyData) and recipe.data.unit:
            assert f"| `{name}` |" in DOCS
