"""All cells of a layer on the kernels as one call, for the usual call: C++ checks the tensors and makes the results.

The kernels get the same arguments as from :class:`~holdfast.engines.native_cell.NativeCell` and compute the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.cells import calling
from holdfast.engines.axes import BATCH_FIRST, ONE_ROW, TIME_FIRST, Axes
from holdfast.engines.function import needs_reference, plain_apply
from holdfast.engines.native_cell import NativeCell
from holdfast.engines.reference import ReferenceEngine


class NativeLayer:
    """The kernels of all layers and directions of a module whose ``_parameters`` holds their parameters.

    Outputs of two directions are side by side, and the output of one layer is the input of the next.

    Args:
        module: The module.
        attributes: The names of its attributes that must not change; :meth:`run` returns None when one did.
        cells: The cells of each layer, forwards first, all with the same sizes of the state.
        suffixes: What follows the names of the parameters of each cell.
        packed: Where each cell keeps its packed weights.
        directions: 1 or 2.
        batch_first: Whether inputs with a batch are [B, T, I], not [T, B, I].
    """

    def __init__(
        self,
        module: nn.Module,
        attributes: Sequence[str],
        cells: Sequence[NativeCell],
        suffixes: Sequence[str],
        packed: Sequence[Any],
        directions: int,
        batch_first: bool,
    ) -> None:
        from holdfast.runtime import _native  # absent where Holdfast was installed without kernels

        parts: list[tuple[Any, ...]] = []
        names: list[str] = []
        for cell, suffix, weights in zip(cells, suffixes, packed, strict=True):
            own = tuple([name + suffix for name in cell.spec.parameter_names])
            parts.append((cell.kernels, cell.tensors_named(own), weights))
            names += own
        make = _native.Layer_f32 if cells[0].dtype == torch.float32 else _native.Layer_f64
        self.kernels = make(module, tuple(attributes), tuple(parts), directions, batch_first)
        self.cells, self.names, self.directions, self.batch_first = tuple(cells), names, directions, batch_first
        self.state_parts = len(cells[0].sizes)

    def run(self, module: nn.Module, x: Any, hx: Any) -> tuple[Any, Any] | None:
        """The output and the final state, for autograd too; None for a call that it cannot run.

        Args:
            module: The module, or a copy of it.
            x: The input, [T, B, I], [B, T, I] or [T, I].
            hx: The state as torch.nn has it; None for zeros.
        """
        state = hx if hx is None or self.state_parts > 1 else (hx,)
        if not torch.is_grad_enabled():
            return self.kernels.infer(module, torch.get_num_threads(), x, state)
        computed = self.kernels.train(module, torch.get_num_threads(), x, state)
        if computed is None or len(computed) == 2:
            return computed
        own = map(module._parameters.__getitem__, self.names)
        y, *final = _record(self, computed, x, state is not None, *(state or ()), *own)
        return y, tuple(final) if len(final) > 1 else final[0]

    def by_cells(self, x: Tensor, state: Sequence[Tensor], parameters: Sequence[Tensor]) -> list[Tensor]:
        """The same results from one call per cell, for derivatives of gradients and for torch.func's transforms."""
        axes = ONE_ROW if x.ndim == 2 else BATCH_FIRST if self.batch_first else TIME_FIRST
        values, finals, outputs = iter(parameters), [], []
        for number, cell in enumerate(self.cells):
            own = [next(values) for _ in cell.spec.parameter_names]
            own_state = [part[number : number + 1] for part in state]
            run = _by_reference if calling.is_transformed() else NativeCell.run
            y, *final = run(cell, axes, x, own_state, own)
            finals.append(final)
            outputs.append(y)
            if len(outputs) == self.directions:
                x, outputs = outputs[0] if self.directions == 1 else torch.cat(outputs, -1), []
        return [x, *(torch.cat(parts) for parts in zip(*finals, strict=True))]


class _RecordedLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, layer: NativeLayer, computed: tuple[Any, ...], x: Tensor, has_state: bool, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        y, final, kept, first = computed
        ctx.call, ctx.again = (layer, first, layer.state_parts if has_state else 0), False
        ctx.save_for_backward(x, *tensors, y, kept)
        ctx.set_materialize_grads(False)
        return (y, final) if layer.state_parts == 1 else (y, *final)

    @staticmethod
    def backward(ctx: Any, *received: Tensor | None) -> tuple[Any, ...]:
        layer, first, parts = ctx.call
        x, *tensors, y, kept = ctx.saved_tensors
        needs = ctx.needs_input_grad
        wanted = (needs[2], *needs[4:])
        if needs_reference(received):
            return None, None, *_differentiable(layer, (x, *tensors), parts, received, wanted)
        state = tuple(tensors[:parts]) or None
        parameters = dict(zip(layer.names, tensors[parts:], strict=True))
        threads = torch.get_num_threads()
        if ctx.again:  # the last backward overwrote what forward had kept
            layer.kernels.forward(threads, x, state, parameters, first, kept)
        ctx.again = True
        gradients = layer.kernels.backward(
            threads, x, state, parameters, y, kept, first, received, wanted[0], any(wanted[1 : 1 + parts])
        )
        if gradients is None:  # a hook gave a saved tensor another layout
            return None, None, *_differentiable(layer, (x, *tensors), parts, received, wanted)
        dx, d_state, d_parameters = gradients
        unknown = [None] * (len(tensors) - parts - len(d_parameters))  # of layers before `first`
        return None, None, dx, None, *(d_state or [None] * parts), *unknown, *d_parameters


_record = plain_apply(_RecordedLayer)


def _by_reference(
    cell: NativeCell, axes: Axes, x: Tensor, state: Sequence[Tensor], parameters: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """As :meth:`NativeCell.run`, by torch's operations."""
    result = ReferenceEngine().run(cell.request(axes, x, state, parameters))
    shapes = [axes.state_shape(x, size) for size in cell.sizes]
    return axes.outward(result.outputs), *map(torch.reshape, result.state, shapes)


def _differentiable(
    layer: NativeLayer,
    tensors: Sequence[Tensor],
    parts: int,
    received: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients of x, of nothing, of the state and of the parameters, which can be differentiated again."""
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        # Views: the backward pass stops at them and does not enter the graph that made the tensors.
        views = [
            tensor.view_as(tensor) if need else tensor.detach() for tensor, need in zip(tensors, wanted, strict=True)
        ]
        x, *others = [_in_order(view) for view in views]
        results = layer.by_cells(x, others[:parts], others[parts:])
        pairs = [(y, d) for y, d in zip(results, received, strict=True) if d is not None and y.requires_grad]
        needed = [view for view, need in zip(views, wanted, strict=True) if need]
        computed = torch.autograd.grad(
            [y for y, _ in pairs], needed, [d for _, d in pairs], create_graph=create_graph, allow_unused=True
        )
    values = iter(computed)
    gradients = [_or_zeros(next(values), view) if need else None for view, need in zip(views, wanted, strict=True)]
    return [gradients[0], None, *gradients[1:]]


def _in_order(tensor: Tensor) -> Tensor:
    """The tensor in memory that the kernels can read."""
    if tensor.is_contiguous() and not tensor.is_neg():
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient
