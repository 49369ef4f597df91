"""What every figure needs of matplotlib: Axes to draw on, and a picture in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import MissingLibraryError, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = ("-", "--", "-.", ":")
"""Lines that differ in grey too."""


def new_figure(width: float = 8.0, height: float = 4.5, **options: Any) -> Figure:
    """A figure outside of pyplot: it needs no closing.

    Args:
        width: Inches.
        height: Inches.
        **options: Further arguments of matplotlib's ``Figure``.

    Raises:
        MissingLibraryError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingLibraryError("Figures are drawn with matplotlib: pip install 'holdfast[plot]'.") from error
    return Figure(figsize=(width, height), layout="constrained", **options)


def axes_or_new(ax: Axes | None) -> Axes:
    """The Axes given, or those of a new figure."""
    return new_figure().subplots() if ax is None else ax


def write_figure(figure: Figure, path: Path) -> None:
    """Writes a figure; the suffix of the path determines the format: ``.png``, ``.svg``, ``.pdf``, ...

    The same figure gives the same bytes.

    Raises:
        OptionError: The picture cannot be written.
    """
    import matplotlib

    same_bytes: dict[str, Any] = {"metadata": {"Date": None}} if path.suffix == ".svg" else {}
    try:
        with matplotlib.rc_context({"svg.hashsalt": "holdfast"}):
            figure.savefig(path, dpi=150, **same_bytes)
    except (OSError, ValueError) as error:
        raise OptionError(f"The picture {path} cannot be written: {error}. Choose another file.") from error
