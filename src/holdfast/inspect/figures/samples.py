"""Texts that a model wrote, or that it read and answered, as lines of a figure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.errors import DataError
from holdfast.inspect.figures.canvas import INK, MUTED, VERMILION, axes_or_new, bare, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 64
"""Characters per line."""
_LINE, _EDGES = 0.185, 0.55
"""Inches: the height of a line, and of the title with its space."""
_LABEL = 9
"""Columns that the names of passages take."""
_MOST_LINES = 4
"""Lines of a passage with a name."""


@dataclass(frozen=True)
class Passage:
    """A text.

    Attributes:
        text: The text; its line breaks are kept.
        name: What it is, such as ``"answer"``; empty for a text that stands alone.
        wrong: Whether it is a mistake: its name gets a cross.
    """

    text: str
    name: str = ""
    wrong: bool = False


def passages(texts: Sequence[Passage], *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draws texts, one below the other, in lines of at most 64 characters.

    Args:
        texts: The texts; a named text is indented behind its name, and is cut after four lines.
        title: Above the texts.
        ax: Where to draw, with as many lines as fit; None for a new figure, as high as the texts need.

    Returns:
        The Axes.

    Raises:
        DataError: There are no texts.
        MissingLibraryError: matplotlib is not installed.

    Example:
        >>> ax = passages([Passage("one two", "input"), Passage("un deux", "answer")])
    """
    if not texts:
        raise DataError("There are no texts to draw; expected at least one.")
    lines = [line for text in texts for line in _lines(text)]
    if ax is None:
        ax = axes_or_new(ax, height=_LINE * len(lines) + _EDGES)
        room = len(lines)
    else:
        height = ax.get_window_extent().height / ax.figure.dpi
        room = max(1, int((height - 0.1) / _LINE))
    if len(lines) > room:
        lines = [*lines[: room - 1], ("", "...", False)]
    for number, (name, line, wrong) in enumerate(lines):
        indent = _LABEL if any(text.name for text in texts) else 0
        style: dict[str, Any] = {"va": "center", "fontsize": 8.5, "parse_math": False}
        ax.text(0, number + 0.5, name, color=VERMILION if wrong else MUTED, **style)
        ax.text(indent, number + 0.5, line, color=INK, family="monospace", **style)
    ax.set(xlim=(0, COLUMNS + _LABEL), ylim=(room, 0), xticks=[], yticks=[])
    return bare(dress(ax, title, "", "", grid=""))


def _lines(passage: Passage) -> list[tuple[str, str, bool]]:
    """The name, the text and whether it is wrong, of each line."""
    pieces = passage.text.split("\n")
    wrapped = [part for piece in pieces for part in textwrap.wrap(piece, COLUMNS) or [""]]
    if passage.name and len(wrapped) > _MOST_LINES:
        wrapped = [*wrapped[: _MOST_LINES - 1], f"{wrapped[_MOST_LINES - 1][: COLUMNS - 4]} ..."]
    name = f"{passage.name} ✗" if passage.wrong else passage.name
    return [(name if not k else "", line, passage.wrong) for k, line in enumerate(wrapped)]
