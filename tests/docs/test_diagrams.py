"""The diagrams of the cells are what their program draws, and can be read by everyone."""

from __future__ import annotations

import dataclasses
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from holdfast.cells import CellSpec

DOCS = Path(__file__).parents[2] / "docs"
PROGRAM = runpy.run_path(str(DOCS / "diagrams.py"))
PICTURES: dict[str, Callable[[], str]] = PROGRAM["PICTURES"]
SVG = "{http://www.w3.org/2000/svg}"
DRAWN: dict[str, str] = PROGRAM["drawn"]()


@pytest.mark.parametrize("path", DRAWN)
def test_the_picture_is_what_the_program_draws(path: str) -> None:
    assert (DOCS / path).read_text("utf-8") == DRAWN[path], "run `python docs/diagrams.py`"


def test_no_other_picture_is_there() -> None:
    assert {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.svg")} == set(DRAWN)


@pytest.mark.parametrize("path", DRAWN)
def test_the_page_shows_it_with_words_for_readers_of_screens(path: str) -> None:
    page = (DOCS / path).parents[1] / "cells.md"
    alternative = re.search(rf"!\[([^]]+)\]\(pictures/{re.escape(Path(path).name)}\)", page.read_text("utf-8"))
    assert alternative
    root = ElementTree.fromstring(DRAWN[path])
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert alternative[1].startswith(str(title.text))
    assert len(str(description.text)) > (50 if path.startswith("zh/") else 100)


@pytest.mark.parametrize("name", PICTURES)
def test_a_chinese_picture_has_the_same_lines_and_no_english(name: str) -> None:
    english, chinese = (ElementTree.fromstring(DRAWN[f"{folder}/{name}"]) for folder in ("pictures", "zh/pictures"))
    for left, right in zip(english.iter(), chinese.iter(), strict=True):
        assert left.attrib == {key: value for key, value in right.attrib.items() if key != "lang"}
        if left.tag != f"{SVG}style" and re.search(r"(?:\b[a-z]+ ){2,}", left.text or ""):
            assert re.search(r"[\u4e00-\u9fff]", str(right.text)), left.text


@pytest.mark.parametrize("name", PICTURES)
def test_everything_is_inside_and_nothing_is_loaded(name: str) -> None:
    text = PICTURES[name]()
    root = ElementTree.fromstring(text)
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    for element in root.iter():
        x, y = (element.get(key) or element.get(f"c{key}") for key in ("x", "y"))
        assert 0 <= float(x or 0) <= width
        assert 0 <= float(y or 0) <= height
        for a, b in re.findall(r"(-?[\d.]+) (-?[\d.]+)", element.get("d", "")):
            assert 0 <= float(a) <= width
            assert 0 <= float(b) <= height
        if element.tag == f"{SVG}text" and element.get("text-anchor") == "start":
            assert float(x or 0) + 6.6 * len(element.text or "") < width + 60  # the widest letters are rare
    assert not re.search(r"href|url\(|<script|<image", text)
    assert "prefers-color-scheme:dark" in text


def test_every_option_of_the_lstm_has_its_place_in_a_picture() -> None:
    """Options that change the numbers of a step; initial values and biases have no place in it."""
    not_drawn = {"kind", "input_size", "hidden_size", "bias", "single_bias", "forget_bias", "init", "reset_after"}
    shown = " ".join(text for _, _, text in PROGRAM["OPTIONS"]) + " peepholes coupled_gates"
    shown += " recurrent_dropout_mode"  # whose values are shown
    missing = [field.name for field in dataclasses.fields(CellSpec) if field.name not in not_drawn]
    assert [name for name in missing if not re.search(rf"\b{name}\b", shown)] == []
