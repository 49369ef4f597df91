"""Where live pictures are shown."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from holdfast.errors import OptionError
from holdfast.inspect.watching import displays
from holdfast.inspect.watching.displays import (
    FileDisplay,
    NotebookDisplay,
    WindowDisplay,
    choose_display,
)


class Pyplot:
    """A pyplot whose windows are not there: they can be closed, and count what happens."""

    def __init__(self) -> None:
        self.drawn = self.reacted = 0
        self.is_open = True

    def figure(self, name: str, figsize: tuple[float, float], **options: Any) -> Any:
        canvas = types.SimpleNamespace(draw=self._draw, flush_events=self._react)
        return types.SimpleNamespace(number=1, show=lambda: None, canvas=canvas)

    def fignum_exists(self, number: int) -> bool:
        return self.is_open

    def _draw(self) -> None:
        self.drawn += 1

    def _react(self) -> None:
        self.reacted += 1


def test_without_a_display_there_is_a_file_and_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(displays, "_interactive_pyplot", lambda: None)
    said: list[str] = []
    display = choose_display(tmp_path / "live.png", said.append)
    assert isinstance(display, FileDisplay)
    assert said == [
        f"There is no display: the picture is in {tmp_path / 'live.png'}, drawn again at most every 5 seconds."
    ]
    figure = display.figure(4, 2)
    assert display.figure(4, 2) is figure
    figure.subplots().plot([1, 2])
    assert display.show()
    first = (tmp_path / "live.png").read_bytes()
    figure.clear()
    assert display.show()
    assert first.startswith(b"\x89PNG")
    assert first != (tmp_path / "live.png").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["live.png"]


def test_a_backend_without_windows_is_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    assert displays._interactive_pyplot() is None
    assert not pyplot.get_fignums()


def test_a_file_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    display = FileDisplay(tmp_path / "no" / "live.png")
    display.figure(4, 2)
    with pytest.raises(OptionError, match=r"live\.png cannot be written: .* Choose another file\."):
        display.show()


def test_a_window_is_used_until_it_is_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pyplot = Pyplot()
    monkeypatch.setattr(displays, "_interactive_pyplot", lambda: pyplot)
    display = choose_display(tmp_path / "live.png", lambda text: pytest.fail(text))
    assert isinstance(display, WindowDisplay)
    display.react()
    assert pyplot.reacted == 0  # there is no window yet
    figure = display.figure(4, 2)
    assert display.figure(4, 2) is figure
    assert display.show()
    display.react()
    assert (pyplot.drawn, pyplot.reacted) == (1, 2)
    pyplot.is_open = False
    display.react()
    assert not display.show()
    assert (pyplot.drawn, pyplot.reacted) == (1, 2)


def test_in_a_notebook_the_picture_is_replaced_in_its_cell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[bytes] = []

    class Handle:
        def update(self, picture: bytes) -> None:
            shown.append(b"again " + picture)

    def display(picture: bytes, display_id: bool) -> Handle:
        assert display_id
        shown.append(picture)
        return Handle()

    ipython: Any = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display, ipython.display.Image = display, lambda content: content[:4]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    cell = choose_display(tmp_path / "live.png", lambda text: pytest.fail(text))
    assert isinstance(cell, NotebookDisplay)
    cell.figure(4, 2).subplots()
    assert cell.show()
    assert cell.show()
    cell.react()
    assert shown == [b"\x89PNG", b"again \x89PNG"]


@pytest.mark.parametrize("shell", [None, types.SimpleNamespace()])
def test_ipython_on_a_terminal_is_no_notebook(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ipython: Any = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert not displays.in_notebook()
