"""Cells of TensorFlow 1 that Holdfast's layers describe, so the engines run them.

Such a cell keeps its weights in TensorFlow 1's layout, a kernel [I + H, gates * H] whose upper rows are for the input,
and passes them to an engine in Holdfast's layout. Its equations are in :mod:`holdfast.cells`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from torch import Tensor
from torch.nn import functional as F

from holdfast.cells import ACTIVATIONS, Activation, BoundCell, CellSpec, Noise
from holdfast.cells.nested_state import State
from holdfast.engines import EngineChoice, Request, explain_request, select
from holdfast.engines.time_loop import SequenceCell
from holdfast.interop.tf1.weights import parameters
from holdfast.tf1.rnn_cell import RNNCell, RunOptions, check_state

_NAMES: dict[Any, str] = {function: name for name, function in ACTIVATIONS.items()}
_NAMES |= {F.tanh: "tanh", F.sigmoid: "sigmoid", F.relu: "relu", F.softplus: "softplus", F.hardsigmoid: "hard_sigmoid"}


def activation_of(activation: Activation | None) -> Activation:
    """Converts an activation of TensorFlow 1 to Holdfast's: None for tanh, a name, or a function.

    A function of torch that Holdfast knows by name becomes that name, so that the kernels can run. ``"hard_sigmoid"``
    means TensorFlow 1's clip(0.2 x + 1/2, 0, 1); torch's ``hardsigmoid`` is clip(x / 6 + 1/2, 0, 1).
    """
    if activation is None:
        return "tanh"
    if isinstance(activation, str):
        return "hard_sigmoid_02" if activation == "hard_sigmoid" else activation
    return _NAMES.get(activation, activation)


def spec_of(**settings: Any) -> CellSpec:
    """The :class:`~holdfast.cells.CellSpec` of these settings; the same settings are checked once, not at each call."""
    return _checked_once(**settings) if isinstance(settings.get("activation", ""), str) else CellSpec(**settings)


_checked_once = lru_cache(256, typed=True)(CellSpec)


class LayerCell(RNNCell):
    """A cell that a :class:`~holdfast.cells.CellSpec` describes; a base class."""

    depth = 0  # I, set when the variables are made
    forget_bias = 0.0

    def spec(self, depth: int) -> CellSpec:
        """The cell for inputs of ``depth`` values."""
        raise NotImplementedError

    def weights(self, spec: CellSpec) -> dict[str, Tensor]:
        """The cell's parameters in Holdfast's layout; gradients flow to its variables."""
        return parameters(spec, self.by_name(), self.forget_bias, self.name)

    def inward(self, state: State) -> tuple[Tensor, ...]:
        """Converts a state to Holdfast's form: (h,), or (h, c)."""
        return (state,)

    def outward(self, state: tuple[Tensor, ...]) -> State:
        """The inverse of :meth:`inward`."""
        return state[0]

    def masks(self, spec: CellSpec, batch: int, steps: int, like: Tensor) -> Noise | None:
        """The random masks of a batch of sequences; None for a cell without any."""
        return None

    def build(self, inputs_shape: Sequence[int | None]) -> None:
        """Makes the variables."""
        self.depth = cast(int, inputs_shape[-1])
        self.make(self.depth)

    def make(self, depth: int) -> None:
        """Makes the variables for inputs of ``depth`` values."""
        raise NotImplementedError

    def begin_sequence(self, inputs: Tensor, state: State) -> SequenceCell:
        """The cell for one batch of sequences, [T, B, I]."""
        spec, weights = self._checked(inputs, state, inputs.shape[1])
        noise = self.masks(spec, inputs.shape[1], inputs.shape[0], inputs)
        return _Steps(self, BoundCell(spec, weights, noise))

    def run(self, inputs: Tensor, state: State, options: RunOptions) -> tuple[Tensor, State]:
        """Runs a batch of sequences through the engines."""
        request = self._request(inputs, state, options, draw=True)
        result = select("auto", request).run(request)
        return result.outputs, self.outward(result.state)

    def choices(self, inputs: Tensor, state: State, options: RunOptions, part: str) -> Iterator[EngineChoice]:
        """The engine that :meth:`run` uses."""
        yield explain_request(part, "auto", self._request(inputs, state, options, draw=False))

    def _request(self, inputs: Tensor, state: State, options: RunOptions, draw: bool) -> Request:
        spec, weights = self._checked(inputs, state, inputs.shape[0])
        noise = self.masks(spec, inputs.shape[0], inputs.shape[1], inputs) if draw else None
        parts = self.inward(state)
        return Request(
            spec,
            inputs,
            parts,
            weights,
            options.lengths,
            noise,
            reverse=options.reverse,
            memory=options.memory,
            segment=options.segment,
        )

    def _checked(self, inputs: Tensor, state: State, batch: int) -> tuple[CellSpec, dict[str, Tensor]]:
        spec = self.spec(self.depth)
        weights = self.weights(spec)
        self._check_inputs(inputs, self.depth, weights["weight_ih"])
        check_state(self.name, self.state_size, state, batch, weights["weight_ih"])
        return spec, weights


@dataclass(frozen=True)
class _Steps:
    """A :class:`LayerCell` with its weights, for states in TensorFlow 1's form."""

    cell: LayerCell
    bound: BoundCell

    def prepare(self, inputs: Tensor) -> Tensor:
        return self.bound.prepare(inputs)

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        output, new = self.bound.step(t, prepared, self.cell.inward(state))
        return output, self.cell.outward(new)
