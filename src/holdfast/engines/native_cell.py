"""One cell on the kernels, for the usual call: no masks, no state of every step, float32 or float64.

Such a call often takes microseconds, so no request is made for it. The kernels get the same arguments as from a request
and compute the same bits. Nothing is remembered from one call to the next but what follows from the cell alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import Tensor

from holdfast.cells import CellSpec, calling
from holdfast.engines.axes import STEP, STEP_OF_ONE_ROW, Axes
from holdfast.engines.function import Gradient, differentiable_gradients, needs_reference, plain_apply
from holdfast.engines.request import Request
from holdfast.runtime import kernels

if TYPE_CHECKING:
    from holdfast.runtime import _native

_NO_ARRAY = (0, 0, 0, 0)


def can_read(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether the memory of a tensor has its values, as ``dtype`` and with any strides."""
    return (
        tensor.dtype is dtype
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and not tensor.is_nested
        and not tensor.is_neg()
        and tensor.data_ptr() != 0
    )


def in_memory(tensor: Tensor) -> Tensor:
    """The tensor with its values in memory.

    ``x.conj().imag`` is a view whose memory has the opposite signs, and a gradient that is known to be zero may have no
    memory.
    """
    return tensor.clone() if tensor.is_neg() or not tensor.data_ptr() else tensor


def _addresses(tensors: Sequence[Tensor | None]) -> tuple[int, ...]:
    return tuple([0 if tensor is None else tensor.data_ptr() for tensor in tensors])


class NativeCell:
    """The kernels of one cell in one direction.

    Args:
        spec: A cell that the kernels can compute.
        dtype: float32 or float64.
        reverse: As in :class:`~holdfast.engines.request.Request`.
        isa: As in :class:`~holdfast.engines.native.NativeEngine`.
    """

    def __init__(self, spec: CellSpec, dtype: torch.dtype, reverse: bool, isa: str) -> None:
        self.spec, self.dtype, self.reverse = spec, dtype, reverse
        self.shapes = [*spec.parameter_shapes().values()]
        self.sizes = [*spec.state_sizes.values()]
        arguments = {**kernels.arguments(spec), "I": spec.input_size, "plain": kernels.is_plain(spec)}
        from holdfast.runtime import _native  # absent where Holdfast was installed without kernels

        make = _native.Cell_f32 if dtype == torch.float32 else _native.Cell_f64
        self._tensors = self.tensors_named(tuple(spec.parameter_names))
        self.kernels = make(arguments, list(spec.parameter_names), reverse, isa)
        self.kept = self.kernels.kept()
        self.weights = sum(map(math.prod, self.shapes))

    def tensors_named(self, names: tuple[str, ...]) -> _native.Tensors:
        """What reads the cell's tensors in C++, with the names that its parameters have in a dictionary."""
        from holdfast.runtime import _native

        exchange = getattr(Tensor, "__dlpack_c_exchange_api__", None)  # from torch 2.10 on
        shapes = tuple(map(tuple, self.shapes))
        return _native.Tensors(calling.PLAIN, self.dtype, torch.strided, exchange, names, shapes)

    def fits(self, parameters: Sequence[Tensor | None]) -> TypeGuard[list[Tensor]]:
        """Whether the parameters exist, have the right shapes, and memory that the kernels can read."""
        return self._tensors.can_read(parameters, self.shapes)

    def fits_state(self, axes: Axes, x: Tensor, state: Sequence[Any], cells: int = 1) -> bool:
        """Whether a state of this number of cells like this one has the right shapes, and memory to read."""
        if len(state) != len(self.sizes):
            return False
        return self._tensors.can_read(state, [axes.state_shape(x, size, cells) for size in self.sizes])

    def no_weights(self) -> Any:
        """Where calls of :meth:`run` keep packed weights for the next ones; empty at first."""
        from holdfast.runtime import _native

        return _native.PackedWeights_f32() if self.dtype == torch.float32 else _native.PackedWeights_f64()

    def step(self, x: Tensor, state: Any, parameters: Mapping[str, Tensor | None]) -> tuple[Tensor, ...] | None:
        """One step that needs no packed weights, for autograd too, in the least time; None for every other call.

        Args:
            x: [B, I] or [I].
            state: The parts of the state in a tuple or list, [B, size] or [size]; None for zeros.
            parameters: By name.

        Returns:
            The new state; None if a tensor does not fit, or :func:`can_read` does not accept it.
        """
        keeps = torch.is_grad_enabled()
        new: tuple[Tensor, ...] | None
        new = self.kernels.step(self._tensors, torch.get_num_threads(), x, state, parameters, keeps)
        if new is None or not keeps:
            return new
        *results, kept = new
        own = [parameters[name] for name in self.spec.parameter_names]
        return _record(self, STEP if x.ndim == 2 else STEP_OF_ONE_ROW, (results, kept), x, state or (), own)

    def run(
        self,
        axes: Axes,
        x: Tensor,
        state: Sequence[Tensor],
        parameters: Sequence[Tensor],
        packed: Any = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """The outputs (of one step without an axis: none, as they are h) and the final state, for autograd too.

        Args:
            axes: How x is laid out.
            x: Values that :func:`can_read` accepts, with any strides.
            state: The initial state, as ``axes`` says; empty for zeros.
            parameters: Tensors that :meth:`fits` accepts.
            packed: What :meth:`no_weights` returned, where a call finds and leaves packed weights; None to pack them
                for this call.
            lengths: Steps in each row, int64 [B]; None where all rows have all steps. Only without gradients.
        """
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *state, *parameters)):
            batch, steps = axes.sizes(x)
            kept = x.new_empty(batch * steps * self.kept)
            results = self.forward(axes, x, state, parameters, kept, packed)
            return _record(self, axes, (results, kept), x, state, parameters)
        return self.forward(axes, x, state, parameters, packed=packed, lengths=lengths)

    def forward(
        self,
        axes: Axes,
        x: Tensor,
        state: Sequence[Tensor],
        parameters: Sequence[Tensor],
        kept: Tensor | None = None,
        packed: Any = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """As :meth:`run`, without autograd; writes what :meth:`backward` needs to ``kept``."""
        final = [x.new_empty(*axes.state_shape(x, size)) for size in self.sizes]
        results = final if axes.steps is None else [axes.new(x, self.spec.output_size), *final]
        self.kernels.forward(
            torch.get_num_threads(),
            *axes.sizes(x),
            axes.array(x),
            _addresses(parameters),
            _addresses(state),
            axes.array(results[0]),
            _addresses(final),
            0 if kept is None else kept.data_ptr(),
            packed,
            0 if lengths is None else lengths.data_ptr(),
        )
        return tuple(results)

    def backward(
        self,
        axes: Axes,
        forward: tuple[Tensor, Sequence[Tensor], Sequence[Tensor], Tensor | None, Tensor],
        received: Sequence[Tensor | None],
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        """The gradients of x, of the state and of the parameters; some may be there that are not wanted.

        Args:
            axes: As in :meth:`forward`.
            forward: Its x, state, parameters, outputs and ``kept``, which this overwrites.
            received: The gradients of its results.
            wanted: Which gradients are wanted.
        """
        x, state, parameters, y, kept = forward  # one step alone has no y
        dy, d_final = (None, received) if axes.steps is None else (received[0], received[1:])
        if dy is not None:
            dy = in_memory(dy if dy.stride(-1) == 1 else dy.contiguous())
        d_final = [None if d is None else in_memory(d.contiguous()) for d in d_final]
        dx = x.new_empty(x.shape) if wanted[0] else None
        d_state = [torch.empty_like(part) if need else None for part, need in zip(state, wanted[1:], strict=False)]
        d_parameters = [*map(torch.empty_like, parameters)]
        self.kernels.backward(
            torch.get_num_threads(),
            *axes.sizes(x),
            axes.array(x),
            _addresses(parameters),
            _addresses(state),
            _NO_ARRAY if y is None else axes.array(y),
            kept.data_ptr(),
            _NO_ARRAY if dy is None else axes.array(dy),
            _addresses(d_final),
            _NO_ARRAY if dx is None else axes.array(dx),
            _addresses(d_parameters),
            _addresses(d_state),
        )
        return [dx, *d_state, *d_parameters]

    def request(self, axes: Axes, x: Tensor, state: Sequence[Tensor], parameters: Sequence[Tensor]) -> Request:
        """The same call as a request, for another engine."""
        inputs = axes.inward(x)
        inner = [inputs.new_zeros(inputs.shape[0], size) for size in self.sizes]
        if state:
            inner = [part.reshape(zeros.shape) for part, zeros in zip(state, inner, strict=True)]
        named = dict(zip(self.spec.parameter_names, parameters, strict=True))
        return Request(self.spec, inputs, tuple(inner), named, reverse=self.reverse)


def _record(
    cell: NativeCell,
    axes: Axes,
    computed: tuple[Sequence[Tensor], Tensor],
    x: Tensor,
    state: Sequence[Tensor],
    parameters: Sequence[Tensor | None],
) -> tuple[Tensor, ...]:
    """The results of a forward call, with their backward pass. ``computed``: the results and ``kept``."""
    return _apply(cell, axes, computed, x, len(state), *state, *parameters)


class _Recorded(torch.autograd.Function):
    """As :class:`holdfast.engines.function._EngineFunction`, for a :class:`NativeCell`."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: NativeCell,
        axes: Axes,
        computed: tuple[Sequence[Tensor], Tensor],
        x: Tensor,
        parts: int,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        results, kept = computed
        ctx.call, ctx.again = (cell, axes, parts), False
        ctx.save_for_backward(x, *tensors, None if axes.steps is None else results[0], kept)
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *received: Tensor | None) -> tuple[Any, ...]:
        cell, axes, parts = ctx.call
        x, *tensors, y, kept = ctx.saved_tensors
        tensors = [tensor.contiguous() for tensor in tensors]  # a hook may have given them another layout
        state, parameters = tensors[:parts], tensors[parts:]
        needs = ctx.needs_input_grad
        wanted = (needs[3], *needs[5:])
        if needs_reference(received):
            dx, *others = _from_reference(cell, axes, (x, state, parameters), received, wanted)
        else:
            if ctx.again:  # the last backward overwrote what forward had kept
                cell.forward(axes, x, state, parameters, kept)
            ctx.again = True
            dx, *others = cell.backward(axes, (x, state, parameters, y, kept), received, wanted)
        return None, None, None, dx, None, *others


_apply = plain_apply(_Recorded)


def _from_reference(
    cell: NativeCell,
    axes: Axes,
    forward: tuple[Tensor, Sequence[Tensor], Sequence[Tensor]],
    received: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients that are wanted, from torch's own operations; arguments as of :meth:`NativeCell.backward`."""
    state = forward[1]
    request = cell.request(axes, *forward)
    dy, d_final = (None, received) if axes.steps is None else (received[0], received[1:])
    names = ["inputs", *(f"state.{k}" for k in range(len(state))), *request.parameters]
    gradient = Gradient(
        None if dy is None else axes.inward(dy),
        tuple(None if d is None else d.reshape(request.inputs.shape[0], -1) for d in d_final),
        (),
        frozenset(itertools.compress(names, wanted)),
    )
    computed = differentiable_gradients(request, gradient)
    if "inputs" in computed:
        computed["inputs"] = axes.outward(computed["inputs"])
    for name, part in zip(names[1:], state, strict=False):
        if name in computed:
            computed[name] = computed[name].reshape(part.shape)
    return [computed.get(name) for name in names]
