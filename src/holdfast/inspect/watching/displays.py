"""Where a picture is shown that is drawn again and again: a notebook's cell, a window, or a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from holdfast.errors import OptionError
from holdfast.inspect.figures.canvas import new_figure, png_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Say = Callable[[str], None]
_FILE_SECONDS = 5.0
_SCREEN_SECONDS = 0.5


class Display(Protocol):
    """Shows a figure.

    Attributes:
        interval: The shortest time between two drawings, in seconds.
    """

    interval: float

    def figure(self, width: float, height: float) -> Figure:
        """The figure to draw on, of this size in inches; the same one in every call."""

    def show(self) -> bool:
        """Shows the figure as it is now; returns False when it cannot be seen any more."""

    def react(self) -> None:
        """Lets a window react to the person; it is called often."""


class NotebookDisplay:
    """The output of a notebook's cell; each picture replaces the one before."""

    interval = _SCREEN_SECONDS

    def __init__(self) -> None:
        self._figure: Figure | None = None
        self._handle: Any = None

    def figure(self, width: float, height: float) -> Figure:
        """As :meth:`Display.figure`."""
        self._figure = self._figure or new_figure(width, height)
        return self._figure

    def show(self) -> bool:
        """As :meth:`Display.show`."""
        from IPython.display import Image, display

        assert self._figure is not None
        picture = Image(png_bytes(self._figure))  # type: ignore[no-untyped-call]  # IPython left it untyped
        if self._handle is None:
            self._handle = display(picture, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(picture)
        return True

    def react(self) -> None:
        """A cell needs nothing."""


class WindowDisplay:
    """A window of matplotlib's interactive backend. It is closed when the program ends.

    Args:
        pyplot: The module ``matplotlib.pyplot``, whose backend has windows.
    """

    interval = _SCREEN_SECONDS

    def __init__(self, pyplot: Any) -> None:
        self._pyplot = pyplot
        self._figure: Any = None

    def figure(self, width: float, height: float) -> Figure:
        """As :meth:`Display.figure`."""
        if self._figure is None:
            self._figure = self._pyplot.figure("Holdfast", figsize=(width, height), layout="constrained", clear=True)
            self._figure.show()
        figure: Figure = self._figure
        return figure

    def show(self) -> bool:
        """As :meth:`Display.show`: False after the person has closed the window."""
        if self._closed():
            return False
        self._figure.canvas.draw()
        self._figure.canvas.flush_events()
        return True

    def react(self) -> None:
        """Handles the person's clicks and keys."""
        if self._figure is not None and not self._closed():
            self._figure.canvas.flush_events()

    def _closed(self) -> bool:
        return not self._pyplot.fignum_exists(self._figure.number)


class FileDisplay:
    """A picture in a file of the format PNG, which is replaced as a whole.

    Args:
        path: The file.
    """

    interval = _FILE_SECONDS

    def __init__(self, path: Path) -> None:
        self._path = path
        self._figure: Figure | None = None

    def figure(self, width: float, height: float) -> Figure:
        """As :meth:`Display.figure`."""
        self._figure = self._figure or new_figure(width, height)
        return self._figure

    def show(self) -> bool:
        """As :meth:`Display.show`.

        Raises:
            OptionError: The file cannot be written.
        """
        assert self._figure is not None
        new = self._path.with_name(f".{self._path.name}.new")
        content = png_bytes(self._figure)
        try:
            new.write_bytes(content)
            os.replace(new, self._path)
        except OSError as error:
            raise OptionError(
                f"The picture {self._path} cannot be written: {error.strerror}. Choose another file."
            ) from error
        return True

    def react(self) -> None:
        """A file needs nothing."""


def choose_display(path: Path, say: Say) -> Display:
    """A notebook's cell inside a notebook, a window where there is a screen, else a file.

    Args:
        path: The file.
        say: Tells the person about the file, where there is no display.

    Raises:
        MissingLibraryError: matplotlib is not installed.
    """
    if in_notebook():
        return NotebookDisplay()
    pyplot = _interactive_pyplot()
    if pyplot is not None:
        return WindowDisplay(pyplot)
    return file_display(path, say, "There is no display")


def file_display(path: Path, say: Say, why: str) -> FileDisplay:
    """A file; the person is told why, and where it is."""
    say(f"{why}: the picture is in {path}, drawn again at most every {FileDisplay.interval:g} seconds.")
    return FileDisplay(path)


def in_notebook() -> bool:
    """Whether the program runs in a notebook, which shows pictures below its cells."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def _interactive_pyplot() -> Any:
    """The module ``matplotlib.pyplot`` if it can open windows, else None."""
    new_figure()  # which says how to install matplotlib where it is missing
    from matplotlib import pyplot

    probe = pyplot.figure()  # matplotlib chooses its backend when the first figure is made
    try:
        return None if probe.canvas.required_interactive_framework is None else pyplot
    finally:
        pyplot.close(probe)
