"""The native engine: C++ kernels that own the whole loop over time, the input product and every gradient.

The kernels know neither Python nor torch (``native/layer.h`` is their contract); this file turns requests into calls.

With inputs in bfloat16, or in ``torch.autocast("cpu", torch.bfloat16)``, the operands of every matrix product (weights,
inputs, h, and in backward the gradients of gates) are rounded to bfloat16, and everything else is float32: the sums,
the gates, and the state from step to step. The results are rounded to bfloat16, c included, as in
torch.nn.LSTM. A gradient has the dtype of its tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import torch  # before _native, which then shares the OpenMP runtime that torch has loaded
from torch import Tensor

from holdfast.cells import CellSpec, calling
from holdfast.engines import bfloat16
from holdfast.engines.composition import run_with_gradients
from holdfast.engines.function import Gradient
from holdfast.engines.native_cell import NativeCell, in_memory
from holdfast.engines.request import Request, Result, new_steps, result_dtype
from holdfast.runtime import kernels

_MISSING = ""
try:
    from holdfast.runtime import _native
except ImportError as error:  # installed without it
    _MISSING = str(error)

_why_not = calling.constant(kernels.why_not_activations)
# The kernels' names for the masks of a Noise.
_MASKS = {"state": "state_mask", "candidate": "candidate", "zoneout_h": "zoned_h", "zoneout_c": "zoned_c"}
_DTYPES = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16"}


class NativeEngine:
    """Runs on the CPU, in float32, float64 and bfloat16.

    Args:
        isa: The instruction set whose kernels to use, such as ``"avx2"``; empty for the best one here, or the one that
            the environment variable ``HOLDFAST_ISA`` names.
    """

    name = "native"

    def __init__(self, isa: str = "") -> None:
        self._isa = isa

    def why_not(self, request: Request) -> str | None:
        """One sentence that says why the kernels cannot run the request, or None when they can."""
        return self.why_not_in(result_dtype(request), request)

    def why_not_in(self, dtype: torch.dtype, request: Request) -> str | None:
        """The same for results in ``dtype``, ignoring autocast."""
        spec, x = request.spec, request.inputs
        if _MISSING:
            return f"Holdfast was installed without its native kernels ({_MISSING})."
        if x.device.type != "cpu":
            return f"the kernels run on the CPU, and the input is on {x.device}."
        if dtype not in _DTYPES:
            source = "autocast is to" if torch.is_autocast_enabled("cpu") else "the input is"
            return f"the kernels compute in float32, float64 and bfloat16, and {source} {dtype}."
        if dtype == torch.bfloat16 and (reason := bfloat16.why_not(request)):
            return reason
        if reason := _why_not(*spec.activations):
            return reason
        if not x.numel():
            return f"there is nothing to compute in an input of shape {tuple(x.shape)}."
        return None

    def run(self, request: Request) -> Result:
        """Runs a request for which :meth:`why_not` returned None."""
        return run_with_gradients(self, request)

    def rounding(self) -> NativeEngine:
        """The kernels that round the operands of products to bfloat16; requests and results are float32."""
        return _RoundingNativeEngine(self._isa)

    def cell(self, spec: CellSpec, dtype: torch.dtype, reverse: bool) -> NativeCell | None:
        """The kernels of one cell, without the requests; None if they cannot compute it in this dtype."""
        return _cell(spec, dtype, reverse, self._isa)

    def forward(self, request: Request) -> tuple[Result, tuple[Tensor, ...]]:
        """The result, and what :meth:`backward` needs."""
        x, spec = request.inputs, request.spec
        y = new_steps(x, spec.output_size)
        kept = x.new_empty(x.shape[0] * x.shape[1] * self.kept_values(spec, x.dtype))
        return self.compute(request, y, kept), (y, kept)

    def kept_values(self, spec: CellSpec, dtype: torch.dtype) -> int:
        """How many values forward keeps for backward per step of a row, in addition to the outputs."""
        return _kept_values(spec, dtype, self._isa)

    def compute(
        self, request: Request, y: Tensor | None = None, kept: Tensor | None = None, threads: int | None = None
    ) -> Result:
        """The result, without gradients.

        Args:
            request: One for which :meth:`why_not` returned None, in float32 or float64.
            y: Where the outputs go, [B, T, O]; None for new memory.
            kept: Where to write what :meth:`backward` needs, B * T * :meth:`kept_values`; None without a backward.
            threads: The most threads to use; None for torch's number.
        """
        spec, x = request.spec, request.inputs
        arguments = _KernelArguments(request)
        if threads is not None:
            arguments.values["threads"] = threads
        if y is None:
            y = new_steps(x, spec.output_size)
        state = arguments.results(y)
        if kept is not None:
            arguments.array("kept", kept)
        steps = [y]
        if request.return_states and spec.kind == "lstm":
            steps.append(new_steps(x, spec.hidden_size))
            arguments.steps("c_all", steps[1])
        self._kernel("forward", arguments)
        states = None
        if request.return_states:
            if request.lengths is None:
                steps[0] = y.clone()
            triples = zip(steps, arguments.state, state, strict=True)
            states = tuple(_with_constant_padding(request, *triple) for triple in triples)
        return Result(y, state, states)

    def backward(self, request: Request, kept: tuple[Tensor, ...], gradient: Gradient) -> Mapping[str, Tensor]:
        """The gradients of all parameters, and of the input and the state if they are wanted."""
        spec, arguments = request.spec, _KernelArguments(request)
        arguments.steps("y", kept[0])
        arguments.array("kept", kept[1])
        if gradient.again:  # the last backward overwrote what forward had kept
            forward = _KernelArguments(request)
            forward.results(torch.empty_like(kept[0]))
            forward.array("kept", kept[1])
            self._kernel("forward", forward)
        dy, d_state = gradient.outputs, list(gradient.state)
        for number, d_steps in enumerate(gradient.states):
            if d_steps is None:
                continue
            within, past = _split(request, d_steps)
            if past is not None and not request.reverse:
                final = d_state[number]
                d_state[number] = past if final is None else final + past
            if number == 0:
                dy = within if dy is None else dy + within
            else:
                arguments.steps("dc_all", in_memory(within))
        if dy is not None:
            arguments.steps("dy", in_memory(dy))
        for name, d in zip(("dh_n", "dc_n"), d_state, strict=False):
            if d is not None:
                arguments.array(name, d)
        gradients = {}
        if "inputs" in gradient.wanted:
            gradients["inputs"] = new_steps(request.inputs, spec.input_size)
            arguments.steps("dx", gradients["inputs"])
        for name, array, part in zip(("state.0", "state.1"), ("dh0", "dc0"), arguments.state, strict=False):
            if name in gradient.wanted:
                gradients[name] = torch.empty_like(part)
                arguments.array(array, gradients[name])
        for name, value in request.parameters.items():
            gradients[name] = _contiguous_like(value)
            arguments.array(f"d{name}", gradients[name])
        self._kernel("backward", arguments)
        if request.reverse:  # a reversed row starts with its padding, where per-step states are the initial state
            for number, d_steps in enumerate(gradient.states):
                past = None if d_steps is None else _split(request, d_steps)[1]
                if past is not None and f"state.{number}" in gradients:
                    gradients[f"state.{number}"] += past
        return gradients

    def _kernel(self, name: str, arguments: _KernelArguments) -> None:
        getattr(_native, f"{name}_{_DTYPES[arguments.dtype]}")(arguments.values, self._isa)


@lru_cache(1024)
def _cell(spec: CellSpec, dtype: torch.dtype, reverse: bool, isa: str) -> NativeCell | None:
    if _MISSING or dtype not in (torch.float32, torch.float64) or _why_not(*spec.activations):
        return None
    return NativeCell(spec, dtype, reverse, isa)


@cache
def _kept_values(spec: CellSpec, dtype: torch.dtype, isa: str) -> int:
    one_step = {"plain": True, "reverse": False, "threads": 1, "B": 1, "T": 1, "I": spec.input_size, "x": (0, 0, 0, 0)}
    size: int = getattr(_native, f"kept_{_DTYPES[dtype]}")({**kernels.arguments(spec), **one_step}, isa)
    return size


class _RoundingNativeEngine(NativeEngine):
    def _kernel(self, name: str, arguments: _KernelArguments) -> None:
        getattr(_native, f"{name}_bf16")(arguments.values, self._isa)


class _KernelArguments:
    """The arguments of a kernel, by name: values, and addresses of arrays, which this object keeps alive.

    It starts with the arguments that forward and backward share.
    """

    def __init__(self, request: Request) -> None:
        spec, x, noise = request.spec, in_memory(request.inputs), request.noise
        B, T, I = x.shape  # noqa: E741
        self.dtype = x.dtype
        self.values: dict[str, Any] = {
            **kernels.arguments(spec),
            "plain": kernels.is_plain(spec) and (noise is None or noise.candidate is None),
            "reverse": request.reverse,
            "threads": torch.get_num_threads(),
            "B": B,
            "T": T,
            "I": I,
            "x": (x.data_ptr(), *x.stride()),
        }
        self._alive: list[Tensor] = [x]
        self.state = tuple([self.array(name, part) for name, part in zip(("h0", "c0"), request.state, strict=False)])
        for name, value in request.parameters.items():
            self.array(name, value)
        if request.lengths is not None:
            self.array("lengths", request.lengths)
        if noise is not None:
            self.values["masks"] = len(spec.gates) if noise.state is not None and noise.state.dim() == 3 else 1
            for name, mask in noise.named():
                self.array(_MASKS[name], mask)

    def results(self, y: Tensor) -> tuple[Tensor, ...]:
        """Adds what every forward writes: ``y``, and the final state, which is allocated here and returned."""
        self.steps("y", y)
        state = tuple(map(torch.empty_like, self.state))
        for name, part in zip(("h_n", "c_n"), state, strict=False):
            self.array(name, part)
        return state

    def array(self, name: str, tensor: Tensor) -> Tensor:
        """Adds a contiguous array. It copies others, so an output must be contiguous."""
        if not tensor.is_contiguous():
            tensor = tensor.contiguous()  # this also resolves negative views
        address = tensor.data_ptr()
        if not address or tensor.is_neg():
            tensor = in_memory(tensor)
            address = tensor.data_ptr()
        self._alive.append(tensor)
        self.values[name] = address
        return tensor

    def steps(self, name: str, tensor: Tensor) -> None:
        """Adds an array [B, T, ...] with any strides of rows and steps; an input with gaps between values is copied.

        Rows or steps with stride 0, as in the gradient of a sum, are copied once.
        """
        row, step, value = tensor.stride()
        if value != 1:
            distinct = [slice(1) if stride == 0 else slice(None) for stride in (row, step)]
            tensor = tensor[*distinct].contiguous().expand(tensor.shape)
            row, step, _ = tensor.stride()
        self._alive.append(tensor)
        self.values[name] = (tensor.data_ptr(), row, step)


def _contiguous_like(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)


def _padding(request: Request) -> Tensor | None:
    """True past each row's length, [T, B, 1]; None when all rows have all steps."""
    if request.lengths is None:
        return None
    return (torch.arange(request.inputs.shape[1])[:, None] >= request.lengths)[:, :, None]


def _with_constant_padding(request: Request, steps: Tensor, initial: Tensor, final: Tensor) -> Tensor:
    """Per-step states [B, T, ...]; past its length, a row has its final state, or in reverse its initial state."""
    padding = _padding(request)
    if padding is None:
        return steps
    constant = initial if request.reverse else final
    return torch.where(padding, constant, steps.transpose(0, 1)).transpose(0, 1)  # time first in memory


def _split(request: Request, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
    """The gradient of per-step states: within the lengths, in the same shape, and the sum over the padding."""
    padding = _padding(request)
    if padding is None:
        return gradient, None
    padding = padding.transpose(0, 1)
    return gradient.masked_fill(padding, 0), gradient.masked_fill(~padding, 0).sum(1)
