"""Figures of what happens inside a model while it reads an example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import DataError, OptionError, did_you_mean
from holdfast.inspect.figures.attention import attention_map
from holdfast.inspect.figures.canvas import INK, as_array, new_figure
from holdfast.inspect.figures.gates import gates_over_time, state_heat_map
from holdfast.inspect.figures.gradients import gradient_through_time as draw_gradient
from holdfast.inspect.figures.spectrum import spectrum as draw_spectrum
from holdfast.inspect.figures.texts import connectivity_on_text, text_by_values
from holdfast.inspect.gradients import connectivity as measure_connectivity
from holdfast.inspect.gradients import gradient_through_time, memory_length
from holdfast.layers.recurrent_layer import RecurrentLayer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from holdfast.inspect.plots.subject import Subject

STEPS, PASSAGE, LINE = 60, 480, 120
"""Tokens of a long text that are drawn: along an axis, as a text, and in each line of a text."""
_ROWS = 32
"""Examples whose gradients are averaged."""
_NAMES = {
    "i": "input gate",
    "f": "forget gate",
    "g": "candidate",
    "o": "output gate",
    "r": "reset gate",
    "z": "update gate",
    "n": "candidate",
    "h": "recurrent weights",
}


def gates(subject: Subject) -> Figure:
    """The gates of a layer at every step of an example."""
    name, layer, tokens = subject.layer(STEPS)
    values = {gate: as_array(of_gate[0]) for gate, of_gate in layer.gates.items()}
    unit = subject.choice.unit
    whose = f"unit {unit} of {name}" if unit is not None else f"{name}: medians of all units, and their middle half"
    axes = gates_over_time(values, unit=unit, steps=tokens, title=f"Gates of {whose}")
    return _figure(axes)


def states(subject: Subject) -> Figure:
    """The state of every unit of a layer at every step of an example."""
    name, layer, tokens = subject.layer(STEPS)
    figure = new_figure(height=2.7 * len(layer.states))
    for (part, values), axes in zip(
        layer.states.items(), figure.subplots(len(layer.states), squeeze=False), strict=True
    ):
        title = f"{part.capitalize()} state of {name}"
        state_heat_map(as_array(values[0]), name=f"{part} state", steps=tokens, title=title, ax=axes[0])
    return figure


def gradient(subject: Subject) -> Figure:
    """The gradient at every number of steps back, of the layer to look at, averaged over some examples.

    Where every step has an output, the gradient is that of the last output alone; of a translator, that of the loss of
    its answers.
    """
    task, examples = subject.task, subject.examples
    some = subject.excerpt(LINE)  # checks that there is such an example
    if task.name != "generate":
        first = subject.choice.example
        some = examples.subset(range(first, min(first + _ROWS, len(examples))))
        every_step = task.name in ("tag", "translate") or getattr(task, "per_step", False)
        some = some.unlabelled() if every_step else some
    # A translator's loss would also search for an answer; this is the loss of the answer that it has found.
    loss = _loss_of_answer if task.name == "translate" else None
    norms = gradient_through_time(subject.predictor, some, loss=loss)
    name, _, _ = subject.layer(LINE)
    if name not in norms.layers:
        raise OptionError(f"The layer {name!r} has no gradients: {did_you_mean(name, norms.layers)}")
    curves = {part: as_array(values) for part, values in norms[name].items()}
    memory = {part: memory_length(values) for part, values in curves.items()}
    return _figure(draw_gradient(curves, memory=memory, title=f"Gradient through time, {name}"))


def _loss_of_answer(scores: torch.Tensor) -> torch.Tensor:
    """The mean negative log probability of the most probable token at each step, from scores [B, T, V]."""
    return -scores.log_softmax(-1).amax(-1).mean()


def connectivity(subject: Subject) -> Figure:
    """How much outputs depend on each token of a text."""
    example = subject.excerpt(LINE).unlabelled()
    tokens = subject.task.step_tokens(example)
    weights = as_array(measure_connectivity(subject.predictor, example))
    if subject.task.name == "translate":
        (answer,) = subject.predictor.compute(example, subject.task.answer_tokens)
        title = "How much the answer, at the left, depends on each token of the source"
        return _figure(attention_map(weights / weights.max(1, keepdims=True), tokens, answer, title=title))
    if weights.shape[0] == 1:
        title = "How much the answer depends on each token"
        return _figure(
            text_by_values(tokens, weights[0], title=title, name="norm of the gradient of the largest score")
        )
    return _figure(connectivity_on_text(weights, tokens))


def unit(subject: Subject) -> Figure:
    """A text, shaded by a unit: by tanh of its cell state, or by its hidden state where there is no cell state."""
    name, layer, tokens = subject.layer(PASSAGE)
    if tokens is None:
        raise DataError(f"The steps of {name} are not the tokens of the example; choose another --layer.")
    cell = layer.states.get("cell")
    values = np.tanh(as_array(cell[0])) if cell is not None else as_array(layer.states["hidden"][0])
    number = subject.unit_of(values)
    what = "tanh of the cell state" if cell is not None else "hidden state"
    chosen = " (of all units, it changes most)" if subject.choice.unit is None else ""
    title = f"Unit {number} of {name}{chosen}"
    return _figure(text_by_values(tokens, values[:, number], title=title, name=what, most=1.0))


def attention(subject: Subject) -> Figure:
    """Where the decoder looked in the source, for each token of its answer."""
    task, predictor = subject.task, subject.predictor
    example = subject.excerpt(STEPS)
    ((answer, weights),) = predictor.compute(example.unlabelled(), task.alignment)
    tokens = task.step_tokens(example)
    return _figure(attention_map(weights, tokens, answer, title="Attention: source above, answer at the left"))


def spectrum(subject: Subject) -> Figure:
    """The eigenvalues of the recurrent matrices of the layer to look at, one panel per gate.

    Raises:
        OptionError: There is no layer of the chosen name.
    """
    found = dict(recurrent_matrices(subject.predictor.model))
    name = subject.choice.layer or next((each for each in reversed(found) if not each.endswith("_reverse")), "")
    if name not in found:
        raise OptionError(f"The model has no layer {name!r}: {did_you_mean(name, found)}")
    matrices = found[name]
    columns = min(2, len(matrices))
    rows = -(-len(matrices) // columns)
    figure = new_figure(width=3.2 * columns, height=3.2 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for (gate, matrix), axes in zip(matrices.items(), panels, strict=False):
        draw_spectrum(matrix, name=_NAMES.get(gate, gate), ax=axes)
    for place, axes in enumerate(panels):
        if place >= len(matrices):
            axes.set_axis_off()
        if place + columns < len(matrices):
            axes.set_xlabel("")
        if place % columns:
            axes.set_ylabel("")
    title = f"Eigenvalues of the recurrent matrices of {name}"
    figure.suptitle(title, fontsize=10.5, x=0.02, ha="left", color=INK)
    return figure


def recurrent_matrices(model: torch.nn.Module) -> dict[str, dict[str, Any]]:
    """The recurrent matrix of each gate, [H, H], by the name of the layer and the letter of the gate.

    With a projection, it is the product of the recurrent weights and the projection: from one output of the cell to the
    next.
    """
    found = {}
    for place, module in model.named_modules():
        if not isinstance(module, RecurrentLayer):
            continue
        for number, spec in enumerate(module.specs):
            for direction in range(module.num_directions):
                suffix = layer_suffix(number, direction)
                weights = as_array(getattr(module, f"weight_hh{suffix}"))
                if spec.proj_size:
                    weights = weights @ as_array(getattr(module, f"weight_hr{suffix}"))
                name = ".".join(filter(None, (place, suffix.removeprefix("_"))))
                found[name] = dict(zip(spec.gates, np.split(weights, len(spec.gates)), strict=True))
    return found


def _figure(axes: Any) -> Figure:
    figure: Figure = axes.figure
    return figure
