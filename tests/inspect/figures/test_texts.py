"""Texts with shaded tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from holdfast.errors import DataError, ShapeError
from holdfast.inspect.figures import connectivity_on_text, text_by_values
from holdfast.inspect.figures.canvas import BLUE, ORANGE
from holdfast.inspect.figures.texts import COLUMNS, text_height


def shades(ax: Any) -> list[tuple[float, float, str, float]]:
    """Of each box the place, the height, the colour and the opacity."""
    from matplotlib.colors import to_hex

    (boxes,) = ax.collections
    found = []
    for path, color in zip(boxes.get_paths(), boxes.get_facecolors(), strict=True):
        low, high = path.vertices.min(0), path.vertices.max(0)
        found.append((float(low[0]), round(float(high[1] - low[1]), 3), to_hex(color), round(float(color[3]), 3)))
    return found


def words(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts][:-2]  # without the legend


def test_positive_values_shade_tokens_and_negative_ones_underline_them() -> None:
    ax = text_by_values(list("ab c"), [1.0, -0.5, 0.0, 0.25], title="unit 3", name="tanh(c)", most=1.0)
    assert words(ax) == ["a", "b", "␣", "c"]
    (a, b, c) = shades(ax)
    assert (a[0], a[2], a[3]) == (0, BLUE, 0.6)
    assert (b[0], b[2]) == (1, ORANGE)
    assert (c[0], c[2], c[3]) == (3, BLUE, 0.15)
    assert b[1] < a[1] / 4  # a bar below the token, which can be told apart in grey too
    assert ax.get_title("left") == "unit 3"
    assert [text.get_text() for text in ax.texts][-2:] == ["-1.0", "1.0   tanh(c)"]


def test_words_have_spaces_between_them_and_lines_end() -> None:
    ax = text_by_values(["the", "cat"], [0.5, 1.0])
    first, second = ax.texts[:2]
    assert second.get_position()[0] - first.get_position()[0] == 4
    ax = text_by_values(["a"] * (COLUMNS + 1), np.ones(COLUMNS + 1))
    assert ax.texts[COLUMNS].get_position()[1] > ax.texts[0].get_position()[1]
    ax = text_by_values(list("a\nb"), np.ones(3))
    assert words(ax) == ["a", "↵", "b"]
    assert ax.texts[2].get_position() == (0.5, 1.47)


def test_a_figure_is_as_high_as_its_text() -> None:
    for tokens in (list("short"), list("long" * 100)):
        assert text_by_values(tokens, np.ones(len(tokens))).figure.get_figheight() == text_height(tokens)
    assert text_height(list("long" * 100)) > text_height(list("short"))


def test_a_value_that_is_not_known_has_no_shade() -> None:
    ax = text_by_values(["a", "b"], [np.nan, 2.0], name="nats")
    assert len(shades(ax)) == 1
    assert ax.texts[-1].get_text() == "2.0   nats"


def test_connectivity_has_a_line_per_output_that_ends_with_the_token_just_read() -> None:
    weights = np.tril(np.arange(1.0, 17).reshape(4, 4))
    ax = connectivity_on_text(weights, list("h\nld"), outputs=[1, 3])
    rows: dict[int, str] = {}
    for text in ax.texts[:-2]:
        line = int(text.get_position()[1])
        rows[line] = rows.get(line, "") + text.get_text()
    assert rows == {0: "h↵", 1: "h↵ld"}
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2], [3, 4]]
    opacities = [path for boxes in ax.collections[1:] for path in boxes.get_facecolors()[:, 3]]
    np.testing.assert_allclose(opacities, 0.6 * weights[3] / 16, atol=1e-3)


def test_outputs_that_depend_on_later_tokens_too_have_the_whole_text() -> None:
    weights = np.ones((4, 4))
    ax = connectivity_on_text(weights, list("abcd"), outputs=[1])
    assert words(ax) == list("abcd")
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2]]
    count = 3 * COLUMNS
    ax = connectivity_on_text(np.ones((count, count)), [str(k % 10) for k in range(count)], outputs=[5])
    assert words(ax) == [str(k % 10) for k in range(COLUMNS + 5)][5 : COLUMNS + 5]


def test_a_long_text_shows_its_last_tokens_in_each_line() -> None:
    count = 3 * COLUMNS
    ax = connectivity_on_text(np.ones((count, count)), ["x"] * count, outputs=[count - 1])
    assert len(ax.texts) - 2 == COLUMNS
    assert len(connectivity_on_text(np.ones((40, 40)), ["x"] * 40).lines) == 8


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ShapeError, match=r"^There are 2 tokens and values \(3,\); expected one for each token.$"):
        text_by_values(["a", "b"], [1, 2, 3])
    with pytest.raises(ShapeError, match=r"^There are weights \(2, 3\) and 2 tokens; expected \(2, 2\).$"):
        connectivity_on_text(np.ones((2, 3)), ["a", "b"])
    with pytest.raises(DataError, match=r"^The text has no tokens to draw; expected at least one.$"):
        text_by_values([], [])
