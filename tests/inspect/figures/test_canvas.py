"""What the figures share: the palette, labels that do not overlap, and files with the same bytes."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from holdfast.errors import HoldfastWarning, OptionError
from holdfast.inspect.figures import canvas, confusion_matrix, learning_curves
from holdfast.inspect.figures.canvas import PALETTE, as_array, label_ends, new_figure, svg_text, write_figure

ROWS = [{"event": "epoch", "step": step, "train": {"loss": 1 / step}} for step in (1, 2, 3)]


def drawn() -> Any:
    return learning_curves(ROWS).figure


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_the_same_figure_gives_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    for name in "ab":
        write_figure(drawn(), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_svg_for_a_page_has_texts_and_no_background() -> None:
    text = svg_text(drawn())
    assert text == svg_text(drawn())
    assert text.startswith("<svg")
    assert ">Loss over training</text>" in text
    assert "#ffffff" not in text


def test_every_colour_is_of_the_palette() -> None:
    figures = [drawn(), confusion_matrix(np.array([[3, 1], [0, 2]]), ["a", "b"]).figure]
    for figure in figures:
        colours = set(re.findall(r"#[0-9a-f]{6}", svg_text(figure)))
        assert colours <= set(PALETTE.values())
        assert len(colours) > 2


def test_colours_of_curves_differ_in_grey() -> None:
    """The first three curves, beside their line styles, in relative luminance."""
    light = [
        np.array([int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]) ** 2.2 @ [0.2126, 0.7152, 0.0722]
        for color in canvas.COLORS
    ]
    assert len(set(np.round(light, 2))) == len(light)


def test_labels_at_the_ends_keep_their_distance() -> None:
    ax = new_figure().subplots()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    label_ends(ax, [(0.99, "c", "k"), (0.98, "b", "k"), (0.2, "a", "k"), (float("nan"), "none", "k")], least_gap=0.1)
    heights = {text.get_text(): text.xy[1] for text in ax.texts}
    assert list(heights) == ["a", "b", "c"]
    assert heights["a"] == pytest.approx(0.2)
    assert heights["c"] - heights["b"] >= 0.1 - 1e-9
    assert heights["c"] <= 1


def test_letters_that_the_font_lacks(tmp_path: Path) -> None:
    ax = new_figure().subplots()
    ax.set_title("\u4e00")
    with pytest.warns(HoldfastWarning, match=r"Some letters in .*a.png are boxes, .* Write an SVG"):
        write_figure(ax.figure, tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_figure(ax.figure, tmp_path / "a.svg")
    assert "\u4e00" in (tmp_path / "a.svg").read_text("utf-8")


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"^The picture .*a.nothing cannot be written: .* Choose another file.$"):
        write_figure(drawn(), tmp_path / "a.nothing")


def test_a_tensor_with_gradients_is_an_array() -> None:
    assert as_array(torch.ones(2, requires_grad=True)).tolist() == [1, 1]
    assert as_array([1, 2]).tolist() == [1, 2]
