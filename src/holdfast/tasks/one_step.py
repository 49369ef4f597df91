"""Layers that are called for one step at a time, because a step needs the answer to the step before.

Such a call of a layer takes longer to prepare than to compute: it looks for its engine, and whether the weights
have changed since they were packed. A stream packs them once and is ready for every step. A task that goes step by step
asks :func:`one_step` before its first step; only here is it decided whether a stream computes the steps.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules

from holdfast.cells import calling
from holdfast.cells.nested_state import map_tensors
from holdfast.engines import select_cell
from holdfast.engines.native_cell import can_read
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Linear
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.layers.stream import Stream, chain_network
from holdfast.runtime.network import Array, StreamNetwork

MOST_ROWS = 64
"""The most rows for which a stream computes the steps: with more, preparing a call of the layers hardly counts."""
LEAST_STEPS = 8
"""With fewer steps than this, a stream can take longer to make than it saves."""
_FEW_ROWS = 32
"""A stream with at most this many rows is kept to the end: another one takes longer to make than it saves."""


def one_step(
    model: nn.Module, layers: str, *, rows: int, steps: int, embedding: str = "", output: str = ""
) -> OneStep | None:
    """The single steps of a model's layers by a stream; None where calls of the layers must compute them.

    A stream computes the same outputs up to rounding: it adds in another order. It computes the steps where nobody can
    tell the difference: of a model in evaluation mode on the CPU, called plainly and without gradients or autocast, in
    float32 or float64, whose layers have one direction, no hook and no ``forward`` of their own, and run on the native
    engine.

    Args:
        model: What has the layers. Its weights must stay as they are until the last step.
        layers: The name of its recurrent layers, which take the batch first.
        rows: The largest number of sequences that go side by side.
        steps: The largest number of steps.
        embedding: The name of the embedding whose vectors they read, if a step reads ids; else empty.
        output: The name of the linear layer that reads their outputs, if it is part of a step; else empty.
    """
    if not _is_plain(model) or not 0 < rows <= MOST_ROWS or steps < LEAST_STEPS:  # first, as a tracer may have no sizes
        return None
    recurrent = cast(RecurrentLayer, model.get_submodule(layers))
    if not _can_stream(recurrent):
        return None
    below, above = (cast(Any, model.get_submodule(name)) if name else None for name in (embedding, output))
    if below is not None and (below.max_norm is not None or not _is_plain_part(below, nn.Embedding, recurrent)):
        return None
    parts: list[Any] = [recurrent.part(layers)]
    if above is not None and _is_plain_part(above, nn.Linear, recurrent):
        parts.append(Linear.of(output, above))
        above = None
    network = chain_network(Chain(tuple(parts)), model, copy=False)
    return OneStep(network, rows, None if below is None else below.weight.detach().numpy(), above)


class OneStep:
    """Steps by a stream, in which the state stays from step to step.

    A stream has a fixed number of rows. If fewer sequences go on, its last rows compute what nobody reads; if a large
    stream is half empty, a smaller one takes its place.

    Args:
        network: The layers. Its arrays may be the model's own, as every stream packs them.
        rows: Rows of the first stream.
        vectors: Of ids, [V, I], if a step reads ids.
        output: A layer above the network, which the stream does not compute; None for none.
    """

    def __init__(
        self, network: StreamNetwork, rows: int, vectors: Array | None = None, output: nn.Module | None = None
    ) -> None:
        self._network, self._vectors, self._output = network, vectors, output
        self._stream = _FirstRows(network, rows, engine="native")
        self._inside: _Inside | None = None

    def __call__(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The next step.

        Args:
            x: [B, 1, I]; or ids, [B, 1].
            state: A state of the layers with B rows; or what the last call, or :meth:`select` after it, returned.

        Returns:
            The outputs [B, 1, O], and the state for the next call. The state that was given is of no use any more.

        Raises:
            ShapeError: The state does not fit, or is of no use any more.
        """
        if state is not self._inside:
            self._stream = self._stream_for(len(x))
            self._stream.put(state, len(x))
        values = x.detach().numpy()[:, 0]
        outputs = torch.from_numpy(self._stream.step_rows(values if self._vectors is None else self._vectors[values]))
        self._inside = _Inside()
        return outputs[:, None] if self._output is None else self._output(outputs[:, None]), self._inside

    def select(self, state: Any, rows: Tensor) -> Any:
        """The state of other rows of the batch; the state that is given is of no use any more.

        Args:
            state: As in a call.
            rows: Positions in the batch, in any order and any number of times, [B'], int64.
        """
        if state is not self._inside:
            return select_rows(state, rows)
        before, self._stream = self._stream, self._stream_for(len(rows))
        self._stream.take(before, rows.numpy())
        self._inside = _Inside()
        return self._inside

    def _stream_for(self, rows: int) -> _FirstRows:
        """The stream, or another one if it has too few rows or is large and half empty."""
        batch = self._stream.batch
        too_large = batch > _FEW_ROWS and 0 < 2 * rows <= batch
        return _FirstRows(self._network, rows, engine="native") if rows > batch or too_large else self._stream


class _Inside:
    """Says that a state is inside of the stream, as its latest step left it."""


class _FirstRows(Stream):
    """A stream that may use its first rows alone."""

    def step_rows(self, x: Array) -> Array:
        """The next step of the first rows: [B, O] from [B, I]."""
        return cast(Array, self.step(x, None if len(x) == self.batch else np.arange(len(x))))

    def put(self, state: Any, rows: int) -> None:
        """Gives the first rows a state of the layers."""
        self.set_state_of(np.arange(rows), state)

    def take(self, other: _FirstRows, rows: Array) -> None:
        """Gives the first rows the states of some rows of another stream, or of this one."""
        for part, before in zip(self._state.parts, other._state.parts, strict=True):
            part[: len(rows)] = before[rows]


def select_rows(state: Any, rows: Tensor) -> Any:
    """Rows of a state of layers, with tensors [layers, B, size]; see :meth:`OneStep.select`."""
    return map_tensors(lambda part: part.index_select(1, rows), state)


def _is_plain(model: nn.Module) -> bool:
    """Whether a call of the model is for its values alone: no training, gradients, tracing or autocast."""
    if torch.is_grad_enabled() or not calling.is_plain() or torch.is_autocast_enabled("cpu"):
        return False
    return not any(module.training for module in model.modules())


def _can_stream(layers: nn.Module) -> bool:
    """Whether a stream computes what a call of the layers does."""
    if not isinstance(layers, RecurrentLayer) or type(layers).forward is not RecurrentLayer.forward or _hooked(layers):
        return False
    if layers.bidirectional or layers.reverse or not layers.batch_first:
        return False
    weights = [weight for cell in layers.all_weights for weight in cell]
    dtype = weights[0].dtype
    kernels = (select_cell(layers.engine, spec, dtype) for spec in layers.specs)
    return _are_arrays(weights, dtype) and all(cell is not None for cell in kernels)


def _is_plain_part(part: nn.Module, kind: type[nn.Module], layers: RecurrentLayer) -> bool:
    """Whether a part below or above the layers is what torch has by that name, in their dtype."""
    dtype = layers.all_weights[0][0].dtype
    return type(part) is kind and not _hooked(part) and _are_arrays([*part.parameters()], dtype)


def _are_arrays(weights: list[Tensor], dtype: torch.dtype) -> bool:
    """Whether the memory of the weights, on the CPU, has their values in that dtype."""
    return calling.are_plain(weights) and all(can_read(weight, dtype) for weight in weights)


def _hooked(module: nn.Module) -> bool:
    """Whether a call of the module calls more than its ``forward``."""
    own = module._forward_hooks or module._forward_pre_hooks
    return bool(own or torch_modules._global_forward_hooks or torch_modules._global_forward_pre_hooks)
