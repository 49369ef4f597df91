"""What happens inside a trained model on its own examples: gates, states, gradients through time, and health."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from holdfast.inspect.gradients import gradient_through_time, memory_length
from holdfast.inspect.layer_health import health
from holdfast.inspect.recording import Recording, record
from holdfast.inspect.tensors import first_tensor
from holdfast.predictor import Predictor

Array = npt.NDArray[Any]

ROWS = 16
"""Examples that gradients and health are computed on."""
SHOWN = 40
"""Tokens of a text over which gates and states are drawn."""
PASSAGE = 300
"""Tokens of a long text that are read."""
STEPS = 600
"""With more steps, gradients are not computed: they take a step-by-step run of the reference."""
LAYERS = 4
"""Layers and directions whose gates and states are kept."""


@dataclass(frozen=True, eq=False)
class LayerInside:
    """What one layer computed on one example, in one direction.

    Attributes:
        name: Its name in the model.
        cell: ``"LSTM"``, ``"GRU"``, ``"RNN"`` or the name of a cell of your own.
        gates: The gates and the candidate by name, [T, H] each.
        states: The state after each step by name, [T, H] each.
    """

    name: str
    cell: str
    gates: Mapping[str, Array]
    states: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Passage:
    """A text with a number for each token.

    Attributes:
        title: What the numbers are.
        tokens: The tokens, T.
        values: The numbers, [T], NaN for none.
        most: The absolute value with the strongest shade.
    """

    title: str
    tokens: tuple[str, ...]
    values: Array
    most: float


@dataclass(frozen=True, eq=False)
class Inside:
    """What happens inside a model.

    Attributes:
        origin: The example whose gates and states these are.
        steps: The token of each of its steps; empty where a step consists of numbers.
        rows: The number of examples that gradients and health are computed on.
        layers: The layers and directions, at most :data:`LAYERS`.
        left_out: The number of further ones.
        passages: The example with a number for each token: a unit, and how unexpected the token was.
        norms: For each layer and state, the norm of the gradient of the output after the last step at each lag, [T].
        memory: For each layer and state, the effective memory length in steps.
        sentences: Unusual figures of its health, in words.
        missing: What was not computed, and why.
    """

    origin: str
    steps: tuple[str, ...]
    rows: int
    layers: tuple[LayerInside, ...]
    left_out: int
    passages: tuple[Passage, ...]
    norms: Mapping[str, Mapping[str, Array]]
    memory: Mapping[str, Mapping[str, int]]
    sentences: tuple[str, ...]
    missing: tuple[str, ...]


def place(origin: str) -> str:
    """Where an example is from, without the folders above the last one: these differ from machine to machine."""
    return "/".join(origin.split("/")[-2:])


def look_inside(predictor: Predictor, examples: Any, history: Sequence[Mapping[str, Any]] = ()) -> Inside:
    """Runs a model on the first few examples and keeps what its recurrent layers compute.

    Args:
        predictor: The model.
        examples: Examples with targets, as they were read; at least one.
        history: The rows of the history of its training.
    """
    task = predictor.task
    example = task.excerpt(examples, 0, PASSAGE)
    recording = record(predictor, example)
    tokens = tuple(task.step_tokens(example) or ())
    # First the layers that read the tokens of the example; a layer of their spelling, or a decoder, has other steps.
    ordered = sorted(recording.layers.items(), key=lambda pair: bool(tokens) and pair[1].output.shape[1] != len(tokens))
    kept = dict(ordered[:LAYERS])
    some = examples.subset(range(min(ROWS, len(examples))))
    batch = next(iter(task.batches(some, size=ROWS).epoch(0)))
    norms, missing = _norms(predictor, some, examples)
    shown = {name: states for name, states in norms.items() if name in kept}
    return Inside(
        origin=place(str(example.origins[0])),
        steps=tokens[:SHOWN],
        rows=len(batch),
        layers=tuple(
            LayerInside(name, part.cell, *(_of_first_row(part, values, tokens) for values in (part.gates, part.states)))
            for name, part in kept.items()
        ),
        left_out=len(recording.layers) - len(kept),
        passages=tuple(_passages(predictor, example, recording, tokens)),
        norms=shown,
        memory={
            layer: {name: memory_length(values) for name, values in states.items() if values.any()}
            for layer, states in shown.items()
        },
        sentences=tuple(health(predictor, batch, history=history).sentences),
        missing=missing,
    )


def _norms(predictor: Predictor, some: Any, examples: Any) -> tuple[dict[str, dict[str, Array]], tuple[str, ...]]:
    """The norms of the gradients by layer and state; or why they are not computed."""
    task, unlabelled = predictor.task, some.unlabelled()
    steps = int(max(task.encode(unlabelled).lengths, default=0))
    if steps > STEPS:
        unlabelled = task.excerpt(examples, 0, 2 * SHOWN).unlabelled()
        steps = int(max(task.encode(unlabelled).lengths, default=0))
    if steps > STEPS:
        return {}, (f"Gradients through time are not computed: the examples have {steps:,} steps; up to {STEPS:,}.",)
    found = gradient_through_time(predictor, unlabelled).layers
    return {layer: {name: _array(values) for name, values in states.items()} for layer, states in found.items()}, ()


def _passages(predictor: Predictor, example: Any, recording: Recording, tokens: tuple[str, ...]) -> Iterator[Passage]:
    """The text of an example by the unit that changes most, and by what the task knows of each token."""
    if not tokens:
        return
    output = first_tensor(recording.output)
    (batch,) = predictor.task.batches(example.unlabelled(), size=1).epoch(0)
    if len(output.shape) == 3 and output.shape[1] == len(tokens) == batch.inputs.shape[1]:
        known = predictor.task.presentation.token_values(output[0].cpu(), batch.inputs[0])
        if known is not None:
            values = _array(known[1])
            yield Passage(known[0], tokens, values, float(np.nanmax(values, initial=0.0)))
    reading = [name for name, part in recording.layers.items() if part.output.shape[1] == len(tokens)]
    forwards = [name for name in reading if not recording.layers[name].reverse]
    if forwards:
        part = recording.layers[forwards[-1]]
        cell = "cell" in part.states
        values = _array(part.states["cell"][0].tanh() if cell else next(iter(part.states.values()))[0])
        unit = int(values.std(0).argmax())
        what = "tanh of the cell state" if cell else "hidden state"
        title = f"{what} of unit {unit} of {forwards[-1]}, the unit that changes most"
        yield Passage(title, tokens, values[:, unit], 1.0)


def _of_first_row(part: Any, values: Mapping[str, Tensor], tokens: tuple[str, ...]) -> dict[str, Array]:
    """The values of the first row, within its length; of a text, at its first tokens."""
    steps = int(part.within[0].sum())
    steps = min(steps, SHOWN) if tokens else steps
    return {name: _array(each[0, :steps]) for name, each in values.items()}


def _array(values: Tensor) -> Array:
    return np.asarray(values.detach().float().cpu().numpy())
