"""The pictures of each section of a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from holdfast.inspect.facts import Facts
from holdfast.inspect.figures.canvas import as_array
from holdfast.inspect.figures.cases import curves
from holdfast.inspect.figures.confusion import confusion_matrix
from holdfast.inspect.figures.forecasts import error_by_horizon
from holdfast.inspect.figures.gates import gates_over_time, state_heat_map
from holdfast.inspect.figures.gradients import gradient_through_time
from holdfast.inspect.figures.learning_curves import gradient_norm, learning_curves
from holdfast.inspect.inside import Inside, LayerInside
from holdfast.inspect.report.pictures import WIDTH, Figure, Pictures, image
from holdfast.inspect.report.text import in_figure, plain
from holdfast.tasks.presentation import Curves, Picture

MOST_ROWS = 300
"""Epochs in a curve, and steps in a picture of a sequence; of more epochs, evenly spaced ones are drawn."""
MOST_LABELS = 40
"""Labels of a confusion matrix; with more labels it cannot be read."""
_MOST_CURVES = 2


def curves_of(facts: Facts, pictures: Pictures) -> list[Figure]:
    """The learning curves of the loss and of the first metrics, and the norm of the gradients."""
    epochs = [row for row in facts.rows if row["event"] == "epoch"]
    if len(epochs) < 2:  # a curve of one point shows nothing that the table does not show
        return []
    rows = [dict(row) for row in thinned(epochs)]
    names = sorted(dict.fromkeys(name for row in rows for name in row["train"]), key=lambda name: name != "loss")
    figures = []
    for name in names[:_MOST_CURVES]:
        first, last = (row["train"].get(name) for row in (rows[0], rows[-1]))
        validation = [row["validation"].get(name) for row in rows if "validation" in row]
        words = f"{name.replace('_', ' ')} on the training batches: from {number(first)} to {number(last)}"
        if validation:
            words += f"; on the validation data: from {number(validation[0])} to {number(validation[-1])}"
        figures.append(
            pictures.drawn(
                _curve(rows, name),
                f"Curve over {facts.updates:,} updates in {len(epochs):,} epochs: {words}.",
            )
        )
    norms = [row["gradient_norm"] for row in rows if row.get("gradient_norm") is not None]
    if norms:
        words = f"the mean of each epoch: from {number(norms[0])} to {number(norms[-1])}"
        figures.append(
            pictures.drawn(lambda ax: gradient_norm(rows, ax=ax), f"Norm of the gradients before clipping, {words}.")
        )
    return figures


def _curve(rows: Sequence[Mapping[str, Any]], name: str) -> Callable[[Any], Any]:
    return lambda ax: learning_curves(rows, name, ax=ax)


def thinned(rows: Sequence[Mapping[str, Any]], most: int = MOST_ROWS) -> list[Mapping[str, Any]]:
    """At most this many rows, evenly spaced, with the first, the last and the best one."""
    if len(rows) <= most:
        return list(rows)
    places = {round(place) for place in np.linspace(0, len(rows) - 1, most - 1).tolist()}
    best = max((place for place, row in enumerate(rows) if row.get("best")), default=0)
    return [rows[place] for place in sorted(places | {best})]


def metrics_of(facts: Facts, pictures: Pictures) -> list[Figure]:
    """The confusion matrix, and the errors by horizon."""
    figures = []
    confusion = facts.figures.get("confusion")
    if confusion and len(confusion["labels"]) <= MOST_LABELS:
        figures.append(_confusion(confusion, pictures))
    errors = facts.figures.get("mae_by_row")
    if errors and len(errors["model"]) > 1:
        named = {plain(name.replace("_", " "), 40): values for name, values in errors.items()}
        words = "; ".join(
            f"{name}: {number(values[0])} in the first row, {number(values[-1])} in the last"
            for name, values in named.items()
        )
        words = f"Mean absolute error by rows ahead. {words}."
        shown = {in_figure(name): values for name, values in named.items()}
        figures.append(pictures.drawn(lambda ax: error_by_horizon(shown, ax=ax), words))
    return figures


def _confusion(confusion: Mapping[str, Any], pictures: Pictures) -> Figure:
    labels, counts = [plain(label, 20) for label in confusion["labels"]], np.asarray(confusion["counts"])
    wrong = [(int(counts[i, j]), i, j) for i, j in np.argwhere(counts > 0).tolist() if i != j]
    words = f"Confusion matrix of {len(labels)} labels: {int(np.trace(counts)):,} of {int(counts.sum()):,} right"
    for count, i, j in sorted(wrong, key=lambda each: (-each[0], each[1], each[2]))[:3]:
        words += f"; {labels[i]} taken for {labels[j]}: {count}"
    side = min(WIDTH * 1.5, max(3.2, 0.36 * len(labels) + 1.4))
    shown = [in_figure(label, 20) for label in confusion["labels"]]

    def draw(ax: Any) -> None:
        confusion_matrix(counts, shown, ax=ax)

    return pictures.drawn(draw, f"{words}.", size=(side, side))


def inside_of(facts: Facts, pictures: Pictures) -> list[Figure]:
    """The gates and states of the layers over the steps of an example, and the gradient through time."""
    inside = facts.inside
    if inside is None:
        return []
    steps = [step if step in ("\n", "\t") else in_figure(step, 12) for step in inside.steps] or None
    figures = [figure for layer in inside.layers for figure in _layer(layer, steps, pictures)]
    return [*figures, *_gradients(inside, pictures)]


def _layer(layer: LayerInside, steps: list[str] | None, pictures: Pictures) -> list[Figure]:
    """The gates of a layer, and its state."""
    figures = []
    title = f"{plain(layer.cell, 40)}, {plain(layer.name, 60)}"
    shown = f"{in_figure(layer.cell)}, {in_figure(layer.name)}"
    gates = {name: as_array(values)[:MOST_ROWS] for name, values in layer.gates.items()}
    real = {name: values for name, values in gates.items() if name != "candidate" and len(values)}
    if real:
        words = ", ".join(f"{plain(name, 40)} {number(float(np.median(values)))}" for name, values in real.items())
        named = {in_figure(name): values for name, values in real.items()}
        count = len(next(iter(real.values())))
        figures.append(
            pictures.drawn(
                lambda ax: gates_over_time(named, steps=steps, title=f"Gates: {shown}", ax=ax),
                f"Gates of {title} over {count} steps. Medians over all: {words}.",
            )
        )
    state = "cell" if "cell" in layer.states else next(iter(layer.states), "")
    values = as_array(layer.states[state])[:MOST_ROWS] if state else np.zeros((0, 0))
    if values.size:
        ends = f"from {number(float(values.min()))} to {number(float(values.max()))}"
        what = f"{in_figure(state)} state"
        figures.append(
            pictures.drawn(
                lambda ax: state_heat_map(values, name=what, steps=steps, title=f"State: {shown}", ax=ax),
                f"The {plain(state, 40)} state of {values.shape[1]} units of {title} over {len(values)} steps: {ends}.",
            )
        )
    return figures


def _gradients(inside: Inside, pictures: Pictures) -> list[Figure]:
    """The gradient through time: of the hidden and cell state of one layer, or of one state of each of several."""
    curves_shown: dict[str, Any] = {}
    dots: dict[str, int] = {}
    words = []
    alone = len(inside.norms) == 1
    for layer, norms in inside.norms.items():
        known = [name for name, values in norms.items() if np.nanmax(values, initial=0.0) > 0]
        for name in known if alone else known[-1:]:
            shown = in_figure(name if alone else layer)
            curves_shown[shown] = norms[name]
            memory = inside.memory.get(layer, {}).get(name)
            if memory is not None:
                dots |= {shown: memory} if alone else {}
                words.append(f"{plain(layer, 60)}, {plain(name, 40)} state: 90 % within {memory} steps")
    if not curves_shown:
        return []

    def draw(ax: Any) -> None:
        gradient_through_time(curves_shown, memory=dots or None, ax=ax)

    text = f"Norm of the gradient by steps back from the last output. {'; '.join(words)}."
    return [pictures.drawn(draw, text, text)]


def of_case(shown: Any, pictures: Pictures) -> Figure | None:
    """The picture of an example; None for one that is a text."""
    if isinstance(shown, Picture):
        return image(shown)
    if not isinstance(shown, Curves):
        return None
    names = ", ".join(plain(line.name, 40) for line in shown.lines)
    count = max(len(line.x) for line in shown.lines)
    lines = tuple(replace(line, name=in_figure(line.name)) for line in shown.lines)
    cleaned = replace(shown, lines=lines, axes=(in_figure(shown.axes[0]), in_figure(shown.axes[1])))
    words = f"Curves over {count:,} steps: {names}."
    return pictures.drawn(lambda ax: curves(cleaned, ax=ax), words, size=(WIDTH, 2.5))


def number(value: Any) -> str:
    """A number in a text: four digits, or ``-`` for none."""
    return "-" if value is None else f"{value:.4g}"
