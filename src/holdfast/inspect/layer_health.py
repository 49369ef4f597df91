"""The health of recurrent layers: saturated gates, dead units, spectral radii, time constants, clipped gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.cells import CellSpec
from holdfast.cells.activation_names import Activation, parse_activation
from holdfast.engines.lengths import Lengths
from holdfast.inspect.health_sentences import sentences
from holdfast.inspect.layer_recording import LayerRecording
from holdfast.inspect.model_call import model_call
from holdfast.inspect.observation import gate_name, layer_key
from holdfast.inspect.recording import record_call
from holdfast.layers.cell_modules import CellModule
from holdfast.layers.parameters import collect
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.training.finished_run import FinishedRun
from holdfast.training.run_directory import is_run

LOW, HIGH = 0.1, 0.9
"""The shares of the range of a gate below and above which it is saturated, as in Karpathy, Johnson & Fei-Fei 2015."""
CONSTANT = 1e-3
"""A unit whose hidden state changes by less than this over all rows and steps is dead."""
FEW_VALUES = 10
"""With fewer steps in all rows together, no unit is called dead."""
# The ends of the range of an activation; those without two ends are not saturated anywhere.
_RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "hard_sigmoid_02": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu6": (0.0, 6.0),
}


@dataclass(frozen=True)
class GateHealth:
    """One gate of a layer over all steps of a batch.

    Attributes:
        mean: The mean of its values.
        low: The share of its values in the lowest tenth of its range; None where the activation has no range.
        high: The share in the highest tenth; None as before.
        always_low: The units that are in the lowest tenth at every step.
        always_high: The units that are in the highest tenth at every step.
    """

    mean: float
    low: float | None
    high: float | None
    always_low: tuple[int, ...] = ()
    always_high: tuple[int, ...] = ()

    @property
    def saturated(self) -> float | None:
        """The share of values in the lowest or the highest tenth of the range."""
        return None if self.low is None or self.high is None else self.low + self.high


@dataclass(frozen=True)
class LayerHealth:
    """One layer in one direction.

    Attributes:
        cell: As in :class:`holdfast.inspect.LayerRecording`.
        units: H.
        steps: The steps of the longest row.
        gates: Every gate and the candidate, by name.
        dead: The units whose hidden state is the same at all steps of all rows, within 0.001.
        spectral_radius: The largest absolute eigenvalue of the recurrent matrix of each gate, by name, and of the RNN
            its only one, ``"candidate"``; with a projection, of the matrix times the projection. Empty for a cell of
            your own.
        time_constants: The number of steps for which each unit keeps its state, 1 / (1 - f) with f the median of its
            forget gate (of the GRU its update gate), [H]; None for other cells.
        longest_constants: The same with f the 90th percentile: how long it keeps its state at its best steps.
    """

    cell: str
    units: int
    steps: int
    gates: Mapping[str, GateHealth]
    dead: tuple[int, ...]
    spectral_radius: Mapping[str, float]
    time_constants: Tensor | None = None
    longest_constants: Tensor | None = None


@dataclass(frozen=True)
class Health:
    """What :func:`health` measured; ``print`` it for the sentences.

    Attributes:
        layers: By the name of the layer, as in :class:`holdfast.inspect.Recording`.
        history: The rows of the history; empty without one.
    """

    layers: Mapping[str, LayerHealth]
    history: Sequence[Mapping[str, Any]] = ()

    @property
    def sentences(self) -> list[str]:
        """A plain sentence for each unusual figure, with numbers and a next step; one that says so if there is none."""
        return sentences(self.layers, self.history)

    def __str__(self) -> str:
        return "\n".join(self.sentences)


def health(
    model: Any,
    inputs: Any,
    lengths: Lengths | None = None,
    history: Sequence[Mapping[str, Any]] | None = None,
    *,
    state: Any = None,
) -> Health:
    """Measures the recurrent layers of a model on a batch.

    Args:
        model: As for :func:`holdfast.inspect.record`.
        inputs: The same. Use data like those of training; a hundred rows are enough.
        lengths: The same.
        history: The rows of the history of its training, such as ``estimator.history_``; None for the history of a run
            directory or of an estimator, if the model is one.
        state: As ``lengths``.

    Returns:
        The figures of every layer, and ``sentences``.

    Raises:
        OptionError: No recurrent layer of Holdfast ran, or the model does not take ``lengths`` or ``state``.
        DataError: The examples do not fit the model.
        ShapeError: The inputs, lengths or state do not fit the model.

    Example:
        >>> import torch, holdfast
        >>> from holdfast.inspect import health
        >>> found = health(holdfast.LSTM(3, 4, batch_first=True), torch.randn(8, 5, 3))
        >>> sorted(found.layers["l0"].spectral_radius)
        ['candidate', 'forget', 'input', 'output']
    """
    if history is None:
        history = _history(model)
    call = model_call(model, inputs, lengths, state)
    recording, parts = record_call(call), dict(_cells(call.network))
    layers = {name: _layer(layer, parts.get(name.partition("#")[0])) for name, layer in recording.layers.items()}
    return Health(layers, tuple(history))


def _history(model: Any) -> Sequence[Mapping[str, Any]]:
    """The history of a run directory, or of an estimator; empty for other models."""
    if isinstance(model, str | Path):
        path = Path(model)
        return FinishedRun.read(path).rows if path.is_dir() and is_run(path) else ()
    rows: Sequence[Mapping[str, Any]] = getattr(model, "history_", ())
    return rows


def _cells(network: nn.Module) -> Iterator[tuple[str, tuple[CellSpec, dict[str, Tensor]]]]:
    """The cell and the parameters of each layer and direction, by its name in a recording."""
    for name, module in network.named_modules():
        if isinstance(module, RecurrentLayer):
            for spec, suffix in module._specs_and_suffixes():
                yield layer_key(name, suffix), (spec, collect(module, spec, suffix))
        elif isinstance(module, CellModule):
            yield name or "cell", (module.spec, collect(module, module.spec, ""))


def _layer(recording: LayerRecording, cell: tuple[CellSpec, dict[str, Tensor]] | None) -> LayerHealth:
    within = recording.within
    spec = None if cell is None else cell[0]
    gates = {name: _gate(gate[within], _range(spec, name)) for name, gate in recording.gates.items()}
    hidden = next(iter(recording.states.values()))[within]
    few = len(hidden) < FEW_VALUES
    dead = () if few else _numbers((hidden.amax(0) - hidden.amin(0)).reshape(-1) < CONSTANT)
    keeps = {"LSTM": "forget", "GRU": "update"}.get(recording.cell, "")
    typical, longest = _constants(recording.gates[keeps][within]) if keeps in recording.gates else (None, None)
    return LayerHealth(
        cell=recording.cell,
        units=hidden.shape[-1],
        steps=int(within.sum(1).max()),
        gates=gates,
        dead=dead,
        spectral_radius={} if cell is None else dict(_radii(*cell)),
        time_constants=typical,
        longest_constants=longest,
    )


def _constants(keeps: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """1 / (1 - f) for the median and the 90th percentile of a gate, [N, H] -> [H] each; None without a step."""
    if not len(keeps):
        return None, None
    ordered = keeps.sort(0).values
    return 1 / (1 - ordered[(len(keeps) - 1) // 2]), 1 / (1 - ordered[(len(keeps) - 1) * 9 // 10])


def _gate(values: Tensor, ends: tuple[float, float] | None) -> GateHealth:
    """A gate from its values at the steps within the rows, [N, H]."""
    mean = float(values.mean()) if values.numel() else 0.0
    if ends is None or not values.numel():
        return GateHealth(mean, None, None)
    share = (values - ends[0]) / (ends[1] - ends[0])
    low, high = share < LOW, share > HIGH
    return GateHealth(
        mean, float(low.float().mean()), float(high.float().mean()), _numbers(low.all(0)), _numbers(high.all(0))
    )


def _range(spec: CellSpec | None, gate: str) -> tuple[float, float] | None:
    if spec is None:
        return None
    function: Activation = spec.activation if gate == "candidate" else spec.recurrent_activation
    return _RANGES.get(parse_activation(function)[0]) if isinstance(function, str) else None


@torch.no_grad()
def _radii(spec: CellSpec, parameters: Mapping[str, Tensor]) -> Iterator[tuple[str, float]]:
    """The spectral radius of the recurrent matrix of each gate."""
    for letter, rows in zip(spec.gates, torch.split(parameters["weight_hh"], spec.hidden_size), strict=True):
        matrix = (rows @ parameters["weight_hr"] if spec.proj_size else rows).double().cpu()
        yield gate_name(letter), float(torch.linalg.eigvals(matrix).abs().max())


def _numbers(flags: Tensor) -> tuple[int, ...]:
    return tuple(flags.nonzero().flatten().tolist())
