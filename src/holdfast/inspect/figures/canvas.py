"""What the figures share: one palette, Axes to draw on, their look, and a picture in a file.

All colours of all figures are those of :data:`PALETTE`, at full strength or transparent, except for the images of
signed values (:data:`SIGNED`). So a page may map them to other colours, for example on a dark background. Curves also
differ in their lines, markers and lightness, so that a figure can be read in grey and by colour-blind people.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from holdfast.errors import HoldfastWarning, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

Numbers = npt.NDArray[Any]

INK, MUTED, FAINT, PAPER = "#1f2933", "#66727f", "#d3d9df", "#ffffff"
"""Text and the truth; axes and less important curves; grids; the background."""
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
"""Colours of data that colour-blind people can distinguish (Okabe & Ito 2008, "Color universal design")."""
PALETTE = {
    "ink": INK,
    "muted": MUTED,
    "faint": FAINT,
    "paper": PAPER,
    "blue": BLUE,
    "vermilion": VERMILION,
    "green": GREEN,
    "purple": PURPLE,
    "orange": ORANGE,
    "sky": SKY,
}
"""Every colour of the figures, by name."""
COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
"""The colours of several curves, in order."""
STYLES = ("-", "--", "-.", ":")
"""Lines that differ in grey too."""
MARKERS = ("o", "s", "^", "D", "v", "P")
SIGNED = "cividis"
"""The colour map of images of signed values: its lightness rises with the value (Nuñez et al. 2018)."""
WIDTH = 6.4
"""Inches; an SVG of this width has about 640 pixels, at which the texts have the size of a page's text."""

_PLAIN = 2e3
"""Up to this ratio of their ends, a logarithmic axis has plain numbers."""
_FONTS = {"font.sans-serif": ["DejaVu Sans"], "font.monospace": ["DejaVu Sans Mono"]}  # matplotlib comes with both
_SHOWN = {" ": "␣", "\n": "↵", "\t": "→", "": "·"}


def new_figure(width: float = WIDTH, height: float = 3.6, **options: Any) -> Figure:
    """A figure outside of pyplot: it needs no closing.

    Args:
        width: Inches.
        height: Inches.
        **options: Further arguments of matplotlib's ``Figure``.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    edges = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    return Figure(figsize=(width, height), layout=edges, **options)


def axes_or_new(ax: Axes | None, height: float = 3.6, width: float = WIDTH) -> Axes:
    """The Axes given, or those of a new figure of this size in inches."""
    return new_figure(width, height).subplots() if ax is None else ax


def dress(ax: Axes, title: str, x: str, y: str, *, grid: Literal["x", "y", "both", ""] = "y") -> Axes:
    """Gives Axes their title, the labels of the axes, and the look of all figures.

    Args:
        ax: The Axes, with everything drawn.
        title: Above them, at the left.
        x: The label below; empty for none.
        y: The label at the left; empty for none.
        grid: The axis whose ticks have lines: ``"x"``, ``"y"``, ``"both"``, or empty for none.
    """
    ax.set_title(title, loc="left", fontsize=10.5, color=INK, pad=8, parse_math=False)
    ax.set_xlabel(x, fontsize=9.5, color=INK, parse_math=False)
    ax.set_ylabel(y, fontsize=9.5, color=INK, parse_math=False)
    ax.spines[["top", "right"]].set_visible(False)
    for spine in ax.spines.values():
        spine.set(linewidth=0.6, color=MUTED)
    ax.tick_params(which="both", width=0.6, length=3, color=MUTED, labelcolor=INK, labelsize=8.5)
    ax.tick_params(which="minor", length=1.5)
    if grid:
        ax.grid(axis=grid, color=FAINT, linewidth=0.6)
        ax.set_axisbelow(True)
    return ax


def bare(ax: Axes) -> Axes:
    """Hides the lines and ticks of dressed Axes: for grids of cells, which are their own frame."""
    ax.spines[:].set_visible(False)
    ax.tick_params(which="both", length=0)
    return ax


def whole_numbers(axis: Any) -> None:
    """Puts the ticks of an axis of Axes, ``ax.xaxis`` or ``ax.yaxis``, at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins="auto", integer=True, steps=[1, 2, 5, 10]))


def label_ends(ax: Axes, ends: Sequence[tuple[float, str, str]], least_gap: float = 0.075) -> None:
    """Writes the names of curves at the right, at the height of their ends, and moves labels that would overlap.

    Args:
        ax: The Axes, with all curves drawn; their x-axis ends at the last point of the curves.
        ends: Of each curve the y of its last point, its name and its colour.
        least_gap: The least distance of two labels, as a share of the height of the Axes.
    """
    ax.get_ylim()  # matplotlib fits the limits to the curves when it is asked for them
    to_axes = ax.transData + ax.transAxes.inverted()
    low = ax.get_xlim()[0]
    known = sorted((float(to_axes.transform((low, y))[1]), name, color) for y, name, color in ends if np.isfinite(y))
    heights: list[float] = []
    for height, _, _ in known:
        heights.append(max(height, heights[-1] + least_gap) if heights else height)
    if heights and heights[-1] > 1:
        heights = [min(height, 1 - least_gap * rest) for rest, height in enumerate(reversed(heights))][::-1]
    for height, (_, name, color) in zip(heights, known, strict=True):
        ax.annotate(
            name,
            (1, height),
            xycoords="axes fraction",
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=color,
            annotation_clip=False,
            parse_math=False,
        )


def logarithmic(ax: Axes) -> None:
    """Makes the y-axis logarithmic, with plain numbers at the ticks of a small range."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high / low > _PLAIN:
        ax.yaxis.set_minor_formatter(NullFormatter())
        return
    subs = (1.0, 2.0, 5.0) if high / low > 10 else tuple(range(1, 10))
    ax.yaxis.set_major_locator(LogLocator(subs=subs))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def legend(ax: Axes, **options: Any) -> None:
    """A legend without a frame, for curves that cannot be labelled directly."""
    drawn = ax.legend(**{"frameon": False, "fontsize": 8.5, "labelcolor": INK, "handlelength": 2.2, **options})
    for text in drawn.get_texts():
        text.set_parse_math(False)


def shades(color: str = BLUE) -> Colormap:
    """A colour map from transparent to a colour of the palette."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    return LinearSegmentedColormap.from_list("shades", [(*to_rgb(color), 0.0), (*to_rgb(color), 0.92)])


def cells(ax: Axes, values: Numbers, *, most: float = 1.0) -> None:
    """Draws a grid of cells [rows, columns], the first row at the top; each is the darker the larger its value is.

    Args:
        ax: The Axes.
        values: From 0 to ``most``.
        most: The value of the darkest cell.
    """
    rows, columns = values.shape
    few = rows * columns <= 2500
    if few:  # as vectors, with lines between the cells
        gap = 0.5 if max(rows, columns) <= 60 else 0.0
        ax.pcolormesh(values, cmap=shades(), vmin=0, vmax=most, edgecolors=FAINT, linewidth=gap)
    else:
        place = (0, columns, rows, 0)
        ax.imshow(values, cmap=shades(), vmin=0, vmax=most, interpolation="none", aspect="auto", extent=place)
    ax.set(xlim=(0, columns), ylim=(rows, 0))


def as_array(values: Any) -> Numbers:
    """Numbers as an array; a tensor may have gradients and be on any device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def shown(token: str) -> str:
    """A token as it can be read: a space, a line break and an empty token have signs."""
    return _SHOWN.get(token, token.strip() or _SHOWN[" "])


def label_steps(ax: Axes, steps: Sequence[str] | None, count: int, *, centre: float = 0.0, name: str = "step") -> str:
    """Writes the tokens of the steps along the x-axis, if there is room for them.

    Args:
        ax: The Axes.
        steps: The token of each step; None for steps without tokens.
        count: The number of steps, T.
        centre: The place of step k is k + ``centre``.
        name: What a step is.

    Returns:
        The label of the axis.
    """
    if steps is None or len(steps) != count or count > 72:
        return name
    words = [shown(step) for step in steps]
    longest = max(map(len, words))
    if longest * count > 90 and count > 40:
        return name
    ax.set_xticks([k + centre for k in range(count)], words, parse_math=False)
    if longest * count > 72:
        ax.tick_params(axis="x", labelrotation=90)
    elif longest == 1:
        ax.tick_params(axis="x", labelfontfamily="monospace")
    return ""


def label_dates(ax: Axes, times: Any) -> None:
    """Writes dates along the x-axis as short as they can be; does nothing where the times are numbers."""
    if np.asarray(times).dtype.kind == "M":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=4, maxticks=8)  # type: ignore[no-untyped-call]
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        ax.xaxis.get_offset_text().set_fontsize(8.5)


def svg_text(figure: Figure) -> str:
    """A figure as SVG, for a page.

    Texts are texts, the background is transparent, and the same figure gives the same text.

    Returns:
        The element ``<svg>``, without the XML declaration.
    """
    content = io.StringIO()
    _save(figure, content, {"format": "svg", "transparent": True, "metadata": {"Date": None, "Creator": None}})
    text = content.getvalue()
    return text[text.index("<svg") :]


def png_bytes(figure: Figure, dpi: int = 100) -> bytes:
    """A figure as the content of a PNG file; ``dpi`` are pixels per inch."""
    content = io.BytesIO()
    _save(figure, content, {"format": "png", "dpi": dpi})
    return content.getvalue()


def write_figure(figure: Figure, path: Path) -> None:
    """Writes a figure; the suffix of the path determines the format: ``.png``, ``.svg``, ``.pdf``, ...

    The same figure gives the same bytes. In SVG, texts are texts.

    Raises:
        OptionError: The picture cannot be written.
    """
    options: dict[str, Any] = {"dpi": 150}
    if path.suffix == ".svg":
        options["metadata"] = {"Date": None}
    elif path.suffix == ".pdf":
        options["metadata"] = {"CreationDate": None}
    try:
        complete = _save(figure, path, options)
    except (OSError, ValueError) as error:
        raise OptionError(f"The picture {path} cannot be written: {error}. Choose another file.") from error
    if not complete and path.suffix != ".svg":
        warnings.warn(
            f"Some letters in {path} are boxes, because the font of matplotlib does not have them. Write an SVG: it is "
            "shown with the fonts of its reader.",
            HoldfastWarning,
            stacklevel=2,
        )


def _save(figure: Figure, where: Any, options: Mapping[str, Any]) -> bool:
    """Saves a figure. Returns whether matplotlib's font has all letters of its texts."""
    import matplotlib

    looks: Any = {**_FONTS, "svg.fonttype": "none", "svg.hashsalt": "holdfast"}
    with matplotlib.rc_context(looks), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(where, **options)
    missing = [each for each in caught if "missing from" in str(each.message) and "Glyph" in str(each.message)]
    for each in caught:
        if each not in missing:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return not missing
