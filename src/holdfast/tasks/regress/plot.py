"""Pictures of predictions: against the true values, or both as curves over the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.data import Examples, Records
from holdfast.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from holdfast.inspect.figures.predictions import Interval

_MOST_PANELS = 12
"""Curves are drawn for the first sequences only, with this number of panels in all."""
_COLUMNS = 2
"""Panels of points beside each other."""

Answers = Sequence[Mapping[str, Any]]


def figure(examples: Examples | Records[str, Any], answers: Answers, *, per_step: bool) -> Figure:
    """Draws predictions and, where they are known, true values.

    With targets per sequence there is one panel per target: predicted over true, with the line on which both are equal;
    without true values, the predictions in the order of the sequences. With targets per step there is one panel per
    sequence and target.

    Args:
        examples: The sequences or texts.
        answers: The predictions: ``values`` and, if any, ``quantiles``.
        per_step: Whether there are targets for each step.

    Raises:
        DataError: There is nothing to draw.
    """
    if not answers:
        raise DataError("There are no sequences to draw; expected at least one.")
    names = list(answers[0]["values"])
    return _curves(examples, answers, names) if per_step else _points(examples, answers, names)


def _curves(examples: Examples | Records[str, Any], answers: Answers, names: Sequence[str]) -> Figure:
    """One panel per sequence and target."""
    from holdfast.inspect.figures.canvas import new_figure
    from holdfast.inspect.figures.predictions import predicted_over_steps

    panels = [(index, name) for index in range(len(answers)) for name in names][:_MOST_PANELS]
    picture = new_figure(height=2.4 * len(panels))
    for (index, name), axes in zip(panels, np.atleast_1d(picture.subplots(len(panels))), strict=True):
        true = None
        if examples.targets is not None:
            target = np.asarray(examples.targets[index])
            true = target if target.ndim == 1 else target[:, names.index(name)]
        answer, title = answers[index], Path(examples.origins[index]).name
        interval = _interval([answer], name)
        predicted_over_steps(true, answer["values"][name], name=name, title=title, interval=interval, ax=axes)
    return picture


def _points(examples: Examples | Records[str, Any], answers: Answers, names: Sequence[str]) -> Figure:
    """One panel per target."""
    from holdfast.inspect.figures.canvas import WIDTH, new_figure
    from holdfast.inspect.figures.predictions import predicted_against_true

    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    picture = new_figure(height=(4.2 if columns == 1 else 3.6) * rows, width=4.8 if columns == 1 else WIDTH)
    panels = picture.subplots(rows, columns, squeeze=False).flatten()
    for place, (name, axes) in enumerate(zip(names, panels, strict=False)):
        true = None
        if examples.targets is not None:
            true = np.array([np.ravel(target)[place] for target in examples.targets])
        predicted = np.array([answer["values"][name] for answer in answers])
        predicted_against_true(true, predicted, name=name, interval=_interval(answers, name), ax=axes)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    return picture


def _interval(answers: Answers, name: str) -> Interval | None:
    """The lowest and the highest quantile of a target: of each sequence, or of each step of the only one."""
    if "quantiles" not in answers[0]:
        return None
    levels = [answer["quantiles"][name] for answer in answers]
    low, high = min(levels[0], key=float), max(levels[0], key=float)
    ends = [np.ravel([each[level] for each in levels]) for level in (low, high)]
    return ends[0], ends[1], f"quantiles {low} to {high}"
