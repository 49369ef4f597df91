"""The cards of served models: HTML whose texts are escaped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("markdown_it", reason="the extra 'serve' is not installed")

from holdfast import experiment, recipes
from holdfast.serve.models import load
from holdfast.serve.naming import Place
from holdfast.serve.page.cards import as_html, card_of

RECIPE = """
name = "tiny"
description = "Reads <script>alert(1)</script> [x](javascript:alert(1)) digits."
task = "classify"
[data]
source = "digits"
limit = 60
validation = 0.0
[model]
hidden_size = 4
[train]
max_steps = 2
threads = 1
"""


def test_the_card_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE, "utf-8")
    run = experiment.train(recipes.load(str(tmp_path / "tiny.toml")), tmp_path / "run").path
    found = card_of(load(Place("digits", "1", run)))
    assert "<h2>tiny</h2>" in found["card"]
    assert "<script" not in found["card"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in found["card"]
    assert "href" not in found["card"]
    assert re.search(r'<td>accuracy</td>\n<td class="count">[0-9.]+</td>', found["card"])
    assert "style=" not in found["card"] + found["computation"]
    assert "library_name" not in found["card"]  # the metadata before the text
    assert str(tmp_path) not in found["card"]
    assert "<td>A linear layer, y = W x + b: 8 values in, 10 out</td>" in found["computation"]


@pytest.mark.parametrize("name", ["converted", "stream", "translate", "texts"])
def test_the_card_of_a_file(name: str, folder: Path) -> None:
    model = load(Place("a_b<i>", "1", folder / f"{name}.safetensors"))
    found = card_of(model)
    assert "<h2>a_b&lt;i&gt;</h2>" in found["card"]
    assert model.digest in found["card"]
    assert "<table>" in found["card"]
    assert bool(found["computation"]) == (name == "texts")


def test_html_and_pictures_inside_markdown_are_text() -> None:
    text = "<b>x</b> [a](javascript:f) ![b](http://c)"
    assert as_html(text) == '<p>&lt;b&gt;x&lt;/b&gt; [a](javascript:f) !<a href="http://c">b</a></p>\n'
