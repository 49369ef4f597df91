"""What is drawn: the panels, their labels and their lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tasks.regress.regressors import answers, examples, network, task

from holdfast.errors import DataError, OptionError

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

QUANTILES = {"loss": "quantile"}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def kept(figure: Figure, *arguments: Any, **options: Any) -> None:
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", kept)
    return figures


def plot(path: Path, *, known: bool = True, per_step: bool = False, **model: Any) -> tuple[Any, Any]:
    given = examples(targets=2, per_step=per_step, unequal=True)
    of = task(given, **model)
    rows = answers(of, network(of), given)
    of.plot(given if known else given.unlabelled(), rows, path)
    return given, rows


@pytest.mark.parametrize("known", [True, False])
def test_points_for_targets_of_sequences(known: bool, drawn: list[Figure], tmp_path: Path) -> None:
    given, rows = plot(tmp_path / "out.png", known=known, **QUANTILES)
    [figure] = drawn
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    for k, axes in enumerate(figure.axes):
        name = f"target {k}"
        assert axes.get_ylabel() == f"predicted {name}"
        assert axes.get_xlabel() == (f"true {name}" if known else "sequence")
        points = axes.collections[1].get_offsets().data
        np.testing.assert_allclose(points[:, 1], [row["values"][name] for row in rows])
        x = [target[k] for target in given.targets] if known else np.arange(12)
        np.testing.assert_allclose(points[:, 0], x)
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == ["quantiles 0.1 to 0.9", "sequences", *(["predicted = true"] if known else [])]


@pytest.mark.parametrize("known", [True, False])
def test_curves_for_targets_of_steps(known: bool, drawn: list[Figure], tmp_path: Path) -> None:
    given, rows = plot(tmp_path / "out.svg", known=known, per_step=True, **QUANTILES)
    [figure] = drawn
    assert len(figure.axes) == 12
    axes = figure.axes[3]  # the second target of the second sequence
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("row 1", "step", "target 1")
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    assert list(lines) == (["true", "predicted"] if known else ["predicted"])
    np.testing.assert_allclose(lines["predicted"], rows[1]["values"]["target 1"])
    if known:
        np.testing.assert_allclose(lines["true"], given.targets[1][:, 1])


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"out.nothing cannot be written: .*. Choose another --plot.$"):
        plot(tmp_path / "out.nothing")
    of = task(examples())
    with pytest.raises(DataError, match=r"^There are no sequences to draw; expected at least one.$"):
        of.plot(examples(), [], tmp_path / "out.png")
