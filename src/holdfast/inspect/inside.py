"""What happens inside a trained model on its own examples: gates, states, gradients through time, and health."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from holdfast.inspect.gradients import gradient_through_time
from holdfast.inspect.health import health
from holdfast.inspect.recording import record
from holdfast.predictor import Predictor

Array = npt.NDArray[Any]

ROWS = 16
"""Examples that gradients and health are computed on."""
STEPS = 1000
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
class Inside:
    """What happens inside a model.

    Attributes:
        origin: The example whose gates and states these are.
        rows: The number of examples that gradients and health are computed on.
        layers: The layers and directions, at most :data:`LAYERS`.
        left_out: The number of further ones.
        norms: For each layer and state, the norm of the gradient of the loss at each lag, [T].
        memory: For each layer and state, the effective memory length in steps.
        sentences: What stands out, in words.
        missing: What was not computed, and why.
    """

    origin: str
    rows: int
    layers: tuple[LayerInside, ...]
    left_out: int
    norms: Mapping[str, Mapping[str, Array]]
    memory: Mapping[str, Mapping[str, int]]
    sentences: tuple[str, ...]
    missing: tuple[str, ...]


def look_inside(predictor: Predictor, examples: Any) -> Inside:
    """Runs a model on the first few examples and keeps what its recurrent layers compute.

    Args:
        predictor: The model.
        examples: Examples with targets, as they were read; at least one.
    """
    some = examples.subset(range(min(ROWS, len(examples))))
    batch = next(iter(predictor.task.batches(some, size=ROWS).epoch(0)))
    recording = record(predictor, batch)
    names = list(recording.layers)
    layers = [
        LayerInside(name, part.cell, _of_first_row(part, part.gates), _of_first_row(part, part.states))
        for name, part in list(recording.layers.items())[:LAYERS]
    ]
    norms: dict[str, dict[str, Array]] = {}
    memory: dict[str, dict[str, int]] = {}
    missing = []
    steps = max((part.output.shape[1] for part in recording.layers.values()), default=0)
    if steps <= STEPS:
        gradients = gradient_through_time(predictor, batch)
        shown = {name: states for name, states in gradients.layers.items() if name in names[:LAYERS]}
        norms = {name: {state: _array(values) for state, values in states.items()} for name, states in shown.items()}
        memory = {name: lengths for name, lengths in gradients.memory_length().items() if name in shown}
    else:
        missing.append(f"Gradients through time are not computed: the examples have {steps:,} steps; up to {STEPS:,}.")
    return Inside(
        origin=str(some.origins[0]),
        rows=len(batch),
        layers=tuple(layers),
        left_out=max(0, len(names) - LAYERS),
        norms=norms,
        memory=memory,
        sentences=tuple(health(predictor, batch).sentences),
        missing=tuple(missing),
    )


def _of_first_row(part: Any, values: Mapping[str, Tensor]) -> dict[str, Array]:
    """The values of the first row, within its length."""
    steps = int(part.within[0].sum())
    return {name: _array(each[0, :steps]) for name, each in values.items()}


def _array(values: Tensor) -> Array:
    return np.asarray(values.detach().float().cpu().numpy())
