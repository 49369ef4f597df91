"""Texts whose tokens are shaded by numbers: by a unit, by their effect on an output, or by how unexpected they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from holdfast.errors import DataError, ShapeError
from holdfast.inspect.figures.canvas import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    VERMILION,
    Numbers,
    as_array,
    axes_or_new,
    bare,
    dress,
    shown,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 62
"""Characters per line; a line of this length has the width of a figure."""
_LINE, _EDGES = 0.215, 0.75
"""Inches: the height of a line, and of title and legend together."""
_STRONGEST = 0.6
"""The opacity of the strongest shade, on which text can still be read."""


class _Place(NamedTuple):
    """Where a token is: its position among the tokens, its text, its line, its first column and its columns."""

    token: int
    text: str
    line: int
    column: int
    width: int


def text_by_values(
    tokens: Sequence[str],
    values: Any,
    *,
    title: str = "",
    name: str = "value",
    most: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws a text with the shade of each token by its value.

    A value above 0 shades the whole token; a value below 0, a bar under it in another colour. So signs can be told
    apart in grey too.

    Args:
        tokens: T characters, words or pieces of words; words are drawn with a space between them.
        values: One number per token, [T]; NaN for none.
        title: Above the text.
        name: What the values are, with their unit, for the legend below the text.
        most: The absolute value with the strongest shade; None for the largest one.
        ax: Where to draw; None for a new figure, as high as the text needs.

    Returns:
        The Axes.

    Raises:
        ShapeError: The numbers of tokens and values differ.
        DataError: There are no tokens.

    Example:
        >>> ax = text_by_values(list("holdfast"), [0.1, 0.9, -0.4, 0.0, 0.2, -0.8, 0.3, 0.5])
    """
    values = as_array(values).astype(float)
    if values.shape != (len(tokens),):
        raise ShapeError(f"There are {len(tokens)} tokens and values {values.shape}; expected one for each token.")
    places = list(_places(tokens))
    lines = places[-1].line + 1 if places else 0
    if not lines:
        raise DataError("The text has no tokens to draw; expected at least one.")
    ax = axes_or_new(ax, height=_LINE * lines + _EDGES)
    strongest = float(np.nanmax(np.abs(values), initial=0.0)) if most is None else most
    _write(ax, places, np.nan_to_num(values) / (strongest or 1.0))
    _frame(ax, lines, title)
    _scale(ax, strongest, name, signed=bool(np.nanmin(values, initial=0.0) < 0))
    return ax


def connectivity_on_text(
    weights: Any,
    tokens: Sequence[str],
    *,
    outputs: Sequence[int] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draws how strongly outputs depend on each token: a line of text per output.

    The token of the output is underlined, and each token is shaded by its effect on the output, as a share of the
    largest one (the connectivity of Madsen 2019, "Visualizing memorization in RNNs"). A line ends with the token of the
    output, unless outputs also depend on later tokens, as those of a bidirectional layer do.

    Args:
        weights: ``|d output_t / d x_s|``, [T, T], as :func:`holdfast.inspect.connectivity` gives it.
        tokens: The T tokens.
        outputs: The outputs t to draw; None for eight, evenly spaced.
        title: Above the text.
        ax: Where to draw; None for a new figure, as high as the text needs.

    Returns:
        The Axes.

    Raises:
        ShapeError: The weights are not [T, T].
        DataError: There are no tokens.
    """
    weights, count = as_array(weights).astype(float), len(tokens)
    if weights.shape != (count, count):
        raise ShapeError(f"There are weights {weights.shape} and {count} tokens; expected ({count}, {count}).")
    if not count:
        raise DataError("The text has no tokens to draw; expected at least one.")
    if outputs is None:
        outputs = sorted({round(place) for place in np.linspace(max(0, count // 8), count - 1, 8)})
    rows, both_ways = [], bool(np.triu(weights, 1).any())
    for number, output in enumerate(outputs):
        first, last = _window(tokens, output, count - 1 if both_ways else output)
        line = _places(tokens[first : last + 1], breaks=False)
        rows += [place._replace(line=number, token=first + place.token) for place in line]
    ax = axes_or_new(ax, height=_LINE * 1.25 * len(outputs) + _EDGES)
    for number, output in enumerate(outputs):
        row = np.abs(weights[output])
        _write(ax, [place for place in rows if place.line == number], row / (row.max(initial=0.0) or 1.0))
    for place in (place for place in rows if place.token == outputs[place.line]):
        bottom = place.line + 0.97
        ax.plot([place.column, place.column + place.width], [bottom, bottom], color=VERMILION, linewidth=1.6)
    _frame(ax, len(outputs), title or "What each output depends on; underlined: the token of the output")
    _scale(ax, 1.0, "effect of a token, of the largest in its line", signed=False)
    return ax


def _places(tokens: Sequence[str], *, breaks: bool = True) -> Iterator[_Place]:
    """The places of tokens in lines.

    Args:
        tokens: The tokens.
        breaks: Whether a line break ends a line, and long lines are broken between tokens; else all are in one line.
    """
    words = any(len(token) > 1 for token in tokens)
    line = column = 0
    for index, token in enumerate(tokens):
        text = shown(token)
        width = len(text)
        if breaks and column and column + width > COLUMNS:
            line, column = line + 1, 0
        yield _Place(index, text, line, column, width)
        column += width + words
        if breaks and token == "\n":
            line, column = line + 1, 0


def _window(tokens: Sequence[str], output: int, last: int) -> tuple[int, int]:
    """The first and the last token of a line that has the token of an output, and ends with ``last`` if that fits."""
    while (first := _first_that_fits(tokens[: last + 1])) > output:
        last -= 1
    return first, last


def _first_that_fits(tokens: Sequence[str]) -> int:
    """The first of the last tokens that fit into one line; a line break counts as its sign."""
    spaces, room = int(any(len(token) > 1 for token in tokens)), COLUMNS
    for index in range(len(tokens) - 1, -1, -1):
        room -= len(shown(tokens[index])) + spaces
        if room < 0:
            return min(index + 1, len(tokens) - 1)
    return 0


def _write(ax: Axes, places: Sequence[_Place], strengths: Numbers) -> None:
    """Writes tokens on their shades; ``strengths`` are from -1 to 1, by the index of the token."""
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    boxes, colors = [], []
    for place in places:
        strength = float(np.clip(strengths[place.token], -1, 1))
        if abs(strength) >= 0.02:
            top, height = (place.line + 0.06, 0.88) if strength > 0 else (place.line + 0.80, 0.17)
            color = BLUE if strength > 0 else ORANGE
            opacity = abs(strength) * _STRONGEST if strength > 0 else min(1.0, 0.25 + abs(strength))
            boxes.append(Rectangle((place.column, top), place.width, height))
            colors.append((*to_rgb(color), round(opacity, 3)))
        faint = place.text in "␣↵→·"
        ax.text(
            place.column + place.width / 2,
            place.line + 0.47,
            place.text,
            ha="center",
            va="center_baseline",
            fontsize=8.8,
            family="monospace",
            parse_math=False,
            color=MUTED if faint else INK,
            alpha=0.45 if faint else None,
        )
    if boxes:
        ax.add_collection(PatchCollection(boxes, facecolors=colors, linewidths=0))


def _frame(ax: Axes, lines: int, title: str) -> None:
    """Limits and title of a text."""
    ax.set(xlim=(0, COLUMNS), ylim=(lines + 1.35, 0), xticks=[], yticks=[])
    bare(dress(ax, title, "", "", grid=""))


def _scale(ax: Axes, most: float, name: str, *, signed: bool) -> None:
    """The legend below a text: shades and their values."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    bottom = ax.get_ylim()[0]
    digits = max(0, 1 - math.floor(math.log10(most))) if most > 0 else 0
    values = np.linspace(-1, 1, 9) if signed else np.linspace(0, 1, 5)
    for place, value in enumerate(values):
        top, height = (bottom - 0.85, 0.75) if value >= 0 else (bottom - 0.30, 0.2)
        strength = abs(value) * _STRONGEST if value >= 0 else min(1.0, 0.25 + abs(value))
        color = (*to_rgb(BLUE if value >= 0 else ORANGE), round(float(strength), 3))
        ax.add_patch(Rectangle((7 + 1.6 * place, top), 1.6, height, facecolor=color, linewidth=0))
    style: dict[str, Any] = {"fontsize": 8, "color": MUTED, "va": "center"}
    ax.text(6.6, bottom - 0.45, f"{-most if signed else 0:.{digits}f}", ha="right", **style)
    ax.text(7.4 + 1.6 * len(values), bottom - 0.45, f"{most:.{digits}f}   {name}", ha="left", **style)


def text_height(tokens: Sequence[str]) -> float:
    """The height of a figure of :func:`text_by_values` in inches."""
    return _LINE * (max((place.line for place in _places(tokens)), default=0) + 1) + _EDGES
