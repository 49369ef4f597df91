"""The usual call of a layer or of a module for one step, in less time than its ``forward`` takes in general.

Usual is a call without states of every step, random masks and transforms, with tensors that the kernels can read where
they are, and with lengths only if it has no gradients. Every other call, and every wrong one, is left to ``forward``.
What is remembered from call to call notices every change: packed weights, and for a layer what its call reads of it. So
no change to a module makes a result wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from holdfast.cells import calling
from holdfast.cells.parameter_names import layer_suffix
from holdfast.engines import select_cell
from holdfast.engines.axes import BATCH_FIRST, ONE_ROW, STEP, STEP_OF_ONE_ROW, TIME_FIRST, Axes
from holdfast.engines.lengths import Lengths, check_lengths
from holdfast.engines.native_cell import NativeCell, can_read
from holdfast.layers.packed_weights import PackedWeights
from holdfast.layers.parameters import Weights
from holdfast.layers.prepared_call import PreparedCall

if TYPE_CHECKING:
    from holdfast.layers.cell_modules import CellModule
    from holdfast.layers.recurrent_layer import RecurrentLayer


def run_usual_call(layer: RecurrentLayer, x: Any, hx: Any, lengths: Lengths | None = None) -> tuple[Any, ...] | None:
    """What :meth:`RecurrentLayer.forward` returns for these arguments, or None for a call that is not usual."""
    if not calling.is_plain() or torch.is_autocast_enabled("cpu"):
        return None
    kept = layer.prepared_call if lengths is None else None
    if kept is not None and (result := kept.run(layer, x, hx)) is not None:
        return result
    if not _is_usual(layer):
        return None
    if not calling.are_plain((x,)) or not can_read(x, x.dtype) or x.ndim not in (2, 3) or 0 in x.shape:
        return None
    axes = ONE_ROW if x.ndim == 2 else BATCH_FIRST if layer.batch_first else TIME_FIRST
    cells: list[NativeCell] = []
    for spec in layer.specs:
        for direction in range(layer.num_directions):
            cell = select_cell(layer.engine, spec, x.dtype, layer.reverse or direction == 1)
            if cell is None:
                return None
            cells.append(cell)
    states = _split(cells, axes, x, hx)
    if states is None or x.shape[-1] != layer.input_size:
        return None
    if lengths is not None:
        if torch.is_grad_enabled() or x.ndim != 3 or not (type(lengths) is list or calling.are_plain((lengths,))):
            return None
        lengths = check_lengths(lengths, *axes.sizes(x), x.device)
    weights = layer.named_weights()
    calls: list[tuple[NativeCell, list[Tensor]]] = []
    for number, cell in enumerate(cells):
        own = _stored(cell, weights, layer_suffix(*divmod(number, layer.num_directions)))
        if own is None:
            return None
        calls.append((cell, own))
    packed = _packed(layer, cells)
    if PreparedCall.serves(layer, weights):
        layer.prepared_call = PreparedCall(layer, cells, packed)
        if lengths is None:  # the first call saves the same tensors for autograd as the next ones
            return layer.prepared_call.run(layer, x, hx)
    if len(calls) == 1:
        y, *final = cells[0].run(axes, x, states[0], calls[0][1], packed[0], lengths)
        return y, tuple(final) if len(final) > 1 else final[0]
    return _run_all(
        layer, axes, x, [(*call, state, own, lengths) for call, state, own in zip(calls, states, packed, strict=True)]
    )


def run_usual_step(module: CellModule, x: Any, hx: Any) -> tuple[Tensor, ...] | None:
    """The new state, as :meth:`CellModule.forward` computes it, or None for a call that is not usual."""
    spec = module.spec
    if not calling.is_plain() or torch.is_autocast_enabled("cpu"):
        return None
    if (spec.is_random or spec.weight_dropout) and module.training:
        return None
    if not calling.are_plain((x,)):
        return None
    cell = select_cell("auto", spec, x.dtype)
    if cell is None:
        return None
    state = hx if hx is None or module.kind == "lstm" else (hx,)
    if (new := cell.step(x, state, module.named_weights())) is not None:
        return new
    state = () if hx is None else state
    if not can_read(x, x.dtype) or x.ndim not in (1, 2) or 0 in x.shape or x.shape[-1] != spec.input_size:
        return None
    axes = STEP if x.ndim == 2 else STEP_OF_ONE_ROW
    if torch.is_grad_enabled() and _packing_dominates(cell, axes.sizes(x)[0]):
        return None
    if hx is not None and not (isinstance(state, tuple | list) and cell.fits_state(axes, x, state)):
        return None
    own = _stored(cell, module.named_weights(), "")
    if own is None:
        return None
    if module.packed_weights is None:
        module.packed_weights = PackedWeights()
    return cell.run(axes, x, state, own, module.packed_weights.of((cell,))[0])


def _packing_dominates(cell: NativeCell, rows: int) -> bool:
    """Whether packing the weights, for both passes of a step, takes longer than torch's operations for all of it."""
    return cell.weights > 1 << 16 and rows * len(cell.spec.gates) < 16


def _stored(cell: NativeCell, weights: Weights, suffix: str) -> list[Tensor] | None:
    """The parameters of a cell, if they are stored as they are; computing one here would compute it twice."""
    own = [weights.get(name + suffix) for name in cell.spec.parameter_names]
    return own if cell.fits(own) else None


def _is_usual(layer: RecurrentLayer) -> bool:
    """Whether the layer keeps all for its backward pass, and draws no random numbers."""
    if layer.memory != "keep" and torch.is_grad_enabled():
        return False
    if not layer.training:
        return True
    if layer.dropout and layer.num_layers > 1:
        return False
    return not any(spec.is_random or spec.weight_dropout for spec in layer.specs)


def _split(cells: list[NativeCell], axes: Axes, x: Tensor, hx: Any) -> list[tuple[Tensor, ...]] | None:
    """The initial state of each cell, [1, B, size] or [1, size]; empty for zeros. None if it is not usual."""
    first = cells[0]
    if any(cell.sizes != first.sizes for cell in cells):
        return None
    if hx is None:
        return [()] * len(cells)
    state = hx if len(first.sizes) > 1 else (hx,)
    if not isinstance(state, tuple | list) or not first.fits_state(axes, x, state, len(cells)):
        return None
    return [tuple(state)] if len(cells) == 1 else list(zip(*[part.split(1) for part in state], strict=True))


def _packed(layer: RecurrentLayer, cells: Sequence[NativeCell]) -> Sequence[Any]:
    """Where the cells keep their packed weights for the next call; nowhere in training, which changes the weights."""
    kept = layer.packed_weights
    if torch.is_grad_enabled():
        if kept is not None:
            layer.packed_weights = None  # frees them
        return [None] * len(cells)
    if kept is None:
        kept = layer.packed_weights = PackedWeights()
    return kept.of(cells)


def _run_all(
    layer: RecurrentLayer,
    axes: Axes,
    x: Tensor,
    calls: list[tuple[NativeCell, list[Tensor], tuple[Tensor, ...], Any, Tensor | None]],
) -> tuple[Any, ...]:
    """Several layers or directions: the output and the final state."""
    finals = []
    for first in range(0, len(calls), layer.num_directions):
        outputs = []
        for cell, own, state, packed, lengths in calls[first : first + layer.num_directions]:
            y, *final = cell.run(axes, x, state, own, packed, lengths)
            outputs.append(y)
            finals.append(final)
        if layer.num_directions > 1:
            y = axes.outward(layer.merged([axes.inward(output) for output in outputs]))
        x = x + y if layer.residual and first else y
    joined = [torch.cat(parts) for parts in zip(*finals, strict=True)]
    return x, tuple(joined) if len(joined) > 1 else joined[0]
