"""Pictures inside a page: figures as SVG in the page's colours, and images of examples."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from holdfast.inspect.figures.canvas import PALETTE, new_figure, svg_text
from holdfast.tasks.presentation import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 4.6
"""Inches. In a phone's width its texts can still be read; on a desk, two figures are side by side."""
_SCALE = 7.4
"""Units of the page's text per inch of a figure: its texts are then a little smaller than those of the page."""
_LARGEST_SIDE = 160
"""Pixels of an image of an example, to each side."""
_GREY = 255


@dataclass(frozen=True)
class Figure:
    """A picture in a page.

    Attributes:
        markup: The element, without a text alternative.
        alternative: What it shows, in words and numbers.
        caption: Below the picture; empty for none.
        width: The largest width, in units of the page's text; 0 for any.
    """

    markup: Markup
    alternative: str
    caption: str = ""
    width: float = 0.0


class Pictures:
    """Draws the pictures of one page; each has its own ids in it."""

    def __init__(self) -> None:
        self._count = 0

    def drawn(
        self,
        draw: Callable[[Axes], Any],
        alternative: str,
        caption: str = "",
        *,
        size: tuple[float, float] = (WIDTH, 3.0),
    ) -> Figure:
        """A figure of matplotlib as a picture.

        Args:
            draw: Draws on Axes.
            alternative: What the picture shows, in words.
            caption: Below the picture.
            size: Inches: width and height.
        """
        self._count += 1
        figure = new_figure(*size)
        with warnings.catch_warnings():
            # The reader's fonts draw the texts; only their widths are estimated, with a font that has fewer letters.
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
            # With very long labels there is no room to arrange; the figure is then drawn as it is.
            warnings.filterwarnings("ignore", message="constrained_layout not applied", category=UserWarning)
            draw(figure.subplots())
            text = svg_text(figure)
        return Figure(Markup(in_page(text, f"f{self._count}-")), alternative, caption, round(size[0] * _SCALE, 1))


def in_page(svg: str, prefix: str) -> str:
    """An SVG of matplotlib as a part of a page: it scales, has the page's colours and font, and ids of its own.

    Args:
        svg: The element ``<svg>``.
        prefix: Precedes every id in it.
    """
    svg = re.sub(r"\s*<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'^<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg \1 aria-hidden="true">', svg)
    svg = re.sub(r">\s+<", ">\n<", svg)
    # matplotlib escapes < and > in texts and in attributes, so this finds tags and no text.
    return re.sub(r"<[^>]+>", lambda tag: _tag_in_page(tag[0], prefix), svg)


def _tag_in_page(tag: str, prefix: str) -> str:
    tag = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{prefix}", tag).replace("xlink:href", "href")
    tag = tag.replace("'DejaVu Sans Mono'", "monospace").replace("'DejaVu Sans'", "sans-serif")
    for name, color in PALETTE.items():
        tag = tag.replace(color, f"var(--{name})")
    return tag


def image(shown: Picture) -> Figure:
    """An example that is an image, as PNG: ink on transparent paper, so that the page's colours show."""
    from matplotlib.image import imsave

    values = np.nan_to_num(np.asarray(shown.values, dtype=np.float64))
    rows, columns = values.shape
    values = values[:: -(-rows // _LARGEST_SIDE), :: -(-columns // _LARGEST_SIDE)]
    low, high = float(values.min()), float(values.max())
    shades = np.rint((values - low) / (high - low or 1.0) * _GREY).astype(np.uint8)
    zeros = np.zeros_like(shades)
    content = io.BytesIO()
    without_version: Any = {"Software": None}
    imsave(content, np.stack([zeros, zeros, zeros, shades], -1), format="png", metadata=without_version)
    data = base64.b64encode(content.getvalue()).decode("ascii")
    height, width = shades.shape
    words = f"Image of {rows} rows and {columns} columns; down: {shown.axes[0]}, to the right: {shown.axes[1]}."
    kind = "small" if max(height, width) <= 64 else "large"
    return Figure(
        Markup('<img class="{}" src="data:image/png;base64,{}" width="{}" height="{}" alt="">').format(
            f"pixels {kind}", data, width, height
        ),
        words,
    )
