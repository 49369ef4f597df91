from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from holdfast.training import Listener, LiveProgress, NotebookProgress, PlainProgress, choose_progress, fit
from holdfast.training.progress import Plan
from holdfast.training.state import Training

from .standin import ToyBatches, ToyTask, settings, toy_model


class Clock:
    """A clock that goes on by a second at each reading."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def shown(progress: Listener, console: Console) -> str:
    fit(toy_model(), ToyTask(), ToyBatches(20), ToyBatches(2), settings(epochs=2), listeners=[progress])
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_plain_lines_at_intervals_and_one_an_epoch() -> None:
    console = Console(file=io.StringIO(), width=40)
    lines = shown(PlainProgress(console, interval=8, clock=Clock()), console).splitlines()
    within = [line for line in lines if "batch" in line]
    assert len(within) == 5
    number = r"\d\.\d{4}"
    assert re.fullmatch(rf"epoch 1/2  batch 8/20  loss {number}  accuracy {number}  \d+ seq/s  0:\d\d left", within[0])
    ends = [line for line in lines if "train" in line]
    assert len(ends) == 2
    assert lines[-1] == ends[-1]
    values = rf"loss {number}  accuracy {number}"
    assert re.fullmatch(rf"epoch 1/2  train {values}  validation {values}  best  0:0\d", ends[0])
    assert len(ends[0]) > 40  # a file has no width: lines are not wrapped


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_live_line_is_never_longer_than_the_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    text = shown(LiveProgress(console, interval=3, clock=Clock()), console)
    assert "epoch 2/2" in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    for line in re.split(r"[\r\n]+", plain):
        assert len(line) <= width, line
    assert text.count("\n") == 3  # the two epochs, and the bar before it is taken away
    if width >= 80:
        assert re.search(r"━+ +\d+/20  loss \d\.\d{4}  accuracy", plain)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is hidden, and shown again


def test_going_on_says_where_from() -> None:
    console = Console(file=io.StringIO())
    PlainProgress(console).begin(Plan(epochs=3, batches=10, updates=30, done=12, score="accuracy"))
    assert console.file.getvalue() == "resuming after update 12 of 30\n"  # type: ignore[attr-defined]


def test_nothing_is_drawn_or_computed_between_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Training, "read_losses", lambda _: pytest.fail("read"))
    for kind in (PlainProgress, LiveProgress):
        console = Console(file=io.StringIO(), force_terminal=True)
        progress = kind(console, interval=1e9)
        progress.begin(Plan(1, 100, 100, 0, "accuracy"))
        training = Training.__new__(Training)
        for _ in range(100):
            progress.update(training, 8)
        progress.end()


def test_the_choice() -> None:
    terminal, pipe = Console(file=io.StringIO(), force_terminal=True), Console(file=io.StringIO())
    assert type(choose_progress(terminal)) is LiveProgress
    assert type(choose_progress(pipe)) is PlainProgress
    assert type(choose_progress(terminal, quiet=True)) is Listener
    pytest.importorskip("IPython", reason="needs IPython: pip install ipykernel")
    assert type(choose_progress(Console(file=io.StringIO(), force_jupyter=True))) is NotebookProgress
    assert shown(choose_progress(pipe, quiet=True), pipe) == ""


class Cell:
    """The output of a notebook's cell: the contents that were displayed, in order."""

    def __init__(self) -> None:
        self.contents: list[dict[str, str]] = []

    def __call__(self, content: dict[str, str], *, raw: bool, display_id: bool) -> Cell:
        assert raw
        assert display_id
        assert not self.contents  # all later ones are updates of the first
        self.contents.append(content)
        return self

    def update(self, content: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.contents.append(content)


def test_a_notebook_has_a_bar_and_a_table_of_the_epochs() -> None:
    cell = Cell()
    progress = NotebookProgress(cell, interval=3, clock=Clock())
    progress.note("Chosen: a < b.")
    fit(toy_model(), ToyTask(), ToyBatches(20), ToyBatches(2), settings(epochs=12), listeners=[progress])
    bars = [re.search(r'<progress value="(\d+)" max="240" style="width: 20em">', c["text/html"]) for c in cell.contents]
    assert [bar is None for bar in bars] == [False] * (len(bars) - 1) + [True]  # the bar goes at the end
    steps = [int(bar[1]) for bar in bars if bar]
    assert steps == sorted(steps)
    assert steps[0] == 0
    assert steps[-1] > 230
    assert any(re.search(r"epoch 2/12  loss \d\.\d{4}  accuracy", c["text/html"]) for c in cell.contents)
    last = cell.contents[-1]
    assert last["text/html"].startswith("<p>Chosen: a &lt; b.</p><table>")
    titles = re.findall(r"<th>(.*?)</th>", last["text/html"])
    assert titles == ["epoch", "train loss", "train accuracy", "validation loss", "validation accuracy", "time", ""]
    table = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(<td>.*?)</tr>", last["text/html"])]
    assert [row[0] for row in table[-10:]] == [f"{epoch}/12" for epoch in range(3, 13)]  # the latest ten
    assert len(table) in (10, 11)  # and the best one
    assert {row[-1] for row in table} == {"best", ""}
    assert all(re.fullmatch(r"\d:\d\d", row[-2]) for row in table)
    lines = last["text/plain"].splitlines()
    assert lines[0] == "Chosen: a < b."
    for row, line in zip(table, lines[1:], strict=True):
        assert line.startswith(f"epoch {row[0]}  train loss {row[1]}  accuracy {row[2]}  validation loss {row[3]}")


def test_a_notebook_without_validation_and_an_end_before_the_beginning() -> None:
    cell = Cell()
    NotebookProgress(cell).end()
    assert cell.contents == []
    fit(toy_model(), ToyTask(), ToyBatches(2), None, settings(epochs=1), listeners=[NotebookProgress(cell)])
    assert re.findall(r"<th>(.*?)</th>", cell.contents[-1]["text/html"]) == [
        "epoch",
        "train loss",
        "train accuracy",
        "time",
    ]
