"""Pictures of predictions: against the true values, or both as curves over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.data import Examples, Records
from holdfast.errors import DataError, MissingLibraryError, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_PANELS = 12
"""Curves are drawn for the first sequences only, with this number of panels in all."""

Answers = Sequence[Mapping[str, Any]]


def draw(examples: Examples | Records[str, Any], answers: Answers, path: Path, *, per_step: bool) -> None:
    """Draws predictions and, where they are known, true values.

    With targets per sequence there is one panel per target: predicted over true, with the line on which both are equal;
    without true values, the predictions in the order of the sequences. With targets per step there is one panel per
    sequence and target.

    Args:
        examples: The sequences or texts.
        answers: The predictions: ``values`` and, if any, ``quantiles``.
        path: The file, such as ``out.png``; its suffix determines the format.
        per_step: Whether there are targets for each step.

    Raises:
        DataError: There is nothing to draw.
        MissingLibraryError: matplotlib is not installed.
        OptionError: The file cannot be written, or its suffix is not of a known format.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingLibraryError("--plot draws with matplotlib: pip install 'holdfast[plot]'.") from error

    if not answers:
        raise DataError("There are no sequences to draw; expected at least one.")
    names = list(answers[0]["values"])
    if per_step:
        panels = [(index, name) for index in range(len(answers)) for name in names][:_MOST_PANELS]
        figure = Figure(figsize=(10, 2.8 * len(panels)), layout="constrained")
        for (index, name), axes in zip(panels, np.atleast_1d(figure.subplots(len(panels))), strict=True):
            _curves(axes, name, answers[index], _true(examples, index, names.index(name)))
            axes.set_title(Path(examples.origins[index]).name)
    else:
        figure = Figure(figsize=(5 * len(names), 5), layout="constrained")
        for place, (name, axes) in enumerate(zip(names, np.atleast_1d(figure.subplots(1, len(names))), strict=True)):
            _points(axes, name, answers, _targets(examples, place))
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise OptionError(f"The picture {path} cannot be written: {error}. Choose another --plot.") from error


def _targets(examples: Examples | Records[str, Any], place: int) -> Any:
    """The true values of a target per sequence, [N]; None without targets."""
    return None if examples.targets is None else np.array([np.ravel(target)[place] for target in examples.targets])


def _true(examples: Examples | Records[str, Any], index: int, place: int) -> Any:
    """The true values of a target over the steps of a sequence, [T]; None without targets."""
    if examples.targets is None:
        return None
    target = np.asarray(examples.targets[index])
    return target if target.ndim == 1 else target[:, place]


def _points(axes: Axes, name: str, answers: Answers, true: Any) -> None:
    """Predicted over true values."""
    predicted = np.array([answer["values"][name] for answer in answers])
    x = np.arange(len(predicted)) if true is None else true
    levels = [answer["quantiles"][name] for answer in answers if "quantiles" in answer]
    if levels:
        low, high = min(levels[0], key=float), max(levels[0], key=float)
        bottom, top = [row[low] for row in levels], [row[high] for row in levels]
        axes.vlines(x, bottom, top, color="0.7", linewidth=1, zorder=1, label=f"quantiles {low} to {high}")
    axes.scatter(x, predicted, s=16, facecolors="none", edgecolors="tab:blue", zorder=2, label="sequences")
    if true is not None:
        both = np.concatenate([true, predicted])
        ends = [float(np.nanmin(both)), float(np.nanmax(both))]
        axes.plot(ends, ends, color="black", linestyle="--", linewidth=1, zorder=0, label="predicted = true")
    axes.set_xlabel("sequence" if true is None else f"true {name}")
    axes.set_ylabel(f"predicted {name}")
    axes.legend()


def _curves(axes: Axes, name: str, answer: Mapping[str, Any], true: Any) -> None:
    """Predicted and true values over the steps."""
    steps = np.arange(len(answer["values"][name]))
    if true is not None:
        axes.plot(steps, true, color="black", linewidth=1, marker="." if np.isnan(true).any() else "", label="true")
    axes.plot(steps, answer["values"][name], color="tab:blue", linestyle="--", label="predicted")
    levels = answer.get("quantiles", {}).get(name)
    if levels:
        low, high = min(levels, key=float), max(levels, key=float)
        axes.fill_between(steps, levels[low], levels[high], color="0.8", label=f"quantiles {low} to {high}")
    axes.set_xlabel("step")
    axes.set_ylabel(name)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
