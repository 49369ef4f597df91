"""Keras on JAX: XLA calls the host for a computation, and again for its gradient.

Traced, compiled or neither, a call is a foreign function of XLA that works in XLA's own buffers
(:mod:`holdfast.keras.xla_call`). It carries the whole computation as text, so that a compiled program means the same in
every process. XLA's buffers hold everything that backward needs, and there is no other state. Backward overwrites the
largest of them; XLA knows this, and copies the buffer first if it needs it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from holdfast.cells import CellSpec
from holdfast.engines import EngineChoice
from holdfast.keras import host, torch_backend, xla_call
from holdfast.keras.computation import Arrays, Computation, Outcome, no_second_derivative
from holdfast.keras.host import Kept

SUPPORTS_JIT = True


def why_not(computation: Computation, dtype: str) -> str | None:
    """One sentence that says why the kernels cannot run a computation here, or None if they can."""
    import jax

    if jax.default_backend() != "cpu":
        return f"JAX computes on the {jax.default_backend().upper()}, and the kernels compute on the CPU."
    return host.why_not(computation, dtype)


def explain(part: str, computation: Computation, dtype: str) -> EngineChoice:
    """The engine for a computation for which :func:`why_not` returned None: the native one."""
    return torch_backend.explain(part, computation, dtype, "cpu")


def run(computation: Computation, arrays: Arrays) -> Outcome:
    """Runs a computation for which :func:`why_not` returned None.

    Raises:
        EngineError: JAX takes a second derivative.
    """
    import jax.numpy as jnp

    tensors = {name: jnp.asarray(array) for name, array in host.by_name(arrays).items()}
    outcome = list(_differentiable(computation, tuple(tensors))(*tensors.values()))
    last = outcome.pop(0)
    return Outcome(last, outcome.pop(0) if computation.sequences else None, tuple(outcome))


class _HostCall(NamedTuple):
    """A call of the host without its tensors: the same for every call from one place of a program.

    Attributes:
        computation: The computation.
        names: The names of the tensors, as in :func:`holdfast.keras.host.by_name`.
        keep: Forward: whether backward may follow.
        wanted: Backward: the names of the tensors to differentiate by.
        nonzero: Backward: for each result, whether its gradient is an argument; the others are zero.
    """

    computation: Computation
    names: tuple[str, ...]
    keep: bool = False
    wanted: tuple[str, ...] = ()
    nonzero: tuple[bool, ...] = ()

    @property
    def keeps_y(self) -> bool:
        """Whether y is kept besides the outcome."""
        return not host.outputs_are_kept(self.computation, "mask" in self.names)

    def text(self) -> str:
        computation = {**vars(self.computation), "spec": asdict(self.computation.spec)}
        return json.dumps({**self._asdict(), "computation": computation}, sort_keys=True)

    @classmethod
    @cache
    def of(cls, text: str) -> _HostCall:
        values = json.loads(text)
        computation = values.pop("computation")
        spec = CellSpec(**computation.pop("spec"))
        names, wanted, nonzero = (tuple(values[name]) for name in ("names", "wanted", "nonzero"))
        return cls(Computation(spec, **computation), names, values["keep"], wanted, nonzero)


@cache
def _differentiable(computation: Computation, names: tuple[str, ...]) -> Any:
    """The computation as a function of its tensors that returns the tensors of the outcome."""
    import jax
    from jax.custom_derivatives import SymbolicZero

    @jax.custom_vjp
    def call(*values: Any) -> Any:
        return _forward(_HostCall(computation, names), values)

    def forward(*inputs: Any) -> Any:
        values = [tensor.value for tensor in inputs]
        kept_call = _HostCall(computation, names, keep=True)
        results = _without_derivative(kept_call, lambda *values: _forward(kept_call, values))(*values)
        count = 1 + computation.sequences + len(computation.spec.state_sizes)
        outcome, kept = results[:count], results[count:]
        if len(kept) == 1:
            kept = [outcome[1], *kept]
        # JAX takes the structure of a tree, such as the places of None, as static.
        perturbed = [() if tensor.perturbed else None for tensor in inputs]
        return outcome, (values, kept, perturbed)

    def backward(residuals: Any, gradients: Any) -> Any:
        values, kept, perturbed = residuals
        wanted = tuple(name for name, mark in zip(names, perturbed, strict=True) if mark is not None)
        nonzero = tuple(not isinstance(gradient, SymbolicZero) for gradient in gradients)
        if not any(nonzero):
            return (None,) * len(names)
        of_outcome = [gradient for gradient, is_nonzero in zip(gradients, nonzero, strict=True) if is_nonzero]
        of_tensors = _backward(_HostCall(computation, names, wanted=wanted, nonzero=nonzero))(
            *values, *kept, *of_outcome
        )
        by_name = dict(zip(wanted, of_tensors, strict=True))
        return tuple(by_name.get(name) for name in names)

    call.defvjp(forward, backward, symbolic_zeros=True)
    return call


def _forward(call: _HostCall, values: Sequence[Any]) -> list[Any]:
    """Makes XLA call :func:`_on_host_forward`: the outcome, then the kept tensors."""
    import jax

    tensors = dict(zip(call.names, values, strict=True))
    dtype, (B, T, _) = tensors["inputs"].dtype, tensors["inputs"].shape
    steps = (B, T, call.computation.spec.output_size)
    shapes = [(B, steps[2]), *([steps] if call.computation.sequences else [])]
    shapes += [(B, size) for size in call.computation.spec.state_sizes.values()]
    if call.keep:
        shapes += [steps] if call.keeps_y else []
        shapes.append((B * T * host.kept_values(call.computation, getattr(torch, dtype.name)),))
    results = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    return list(jax.ffi.ffi_call(_targets()[0], results, vmap_method="sequential")(*values, call=call.text()))


def _backward(call: _HostCall) -> Any:
    """A function without a derivative that makes XLA call :func:`_on_host_backward`."""
    import jax

    def once(*values: Any) -> Any:
        tensors = dict(zip(call.names, values, strict=False))
        gates = len(call.names) + 1
        results = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in map(tensors.__getitem__, call.wanted)]
        results.append(jax.ShapeDtypeStruct(values[gates].shape, values[gates].dtype))
        overwritten = {gates: len(call.wanted)}
        target = jax.ffi.ffi_call(_targets()[1], results, vmap_method="sequential", input_output_aliases=overwritten)
        return list(target(*values, call=call.text()))[:-1]

    return _without_derivative(call, once)


def _without_derivative(call: _HostCall, function: Callable[..., Any]) -> Any:
    """A function of a first derivative; taking the second raises an error."""
    import jax

    once = jax.custom_jvp(function)

    @once.defjvp
    def again(primals: Any, tangents: Any) -> Any:
        raise no_second_derivative(call.computation)

    return once


@cache
def _targets() -> tuple[str, str]:
    """Registers forward and backward with XLA; returns their names."""
    import jax

    names = ("holdfast_forward", "holdfast_backward")
    for name, function in zip(names, (_on_host_forward, _on_host_backward), strict=True):
        _HANDLERS[name] = xla_call.handler(function)
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(_HANDLERS[name]), platform="cpu")
    return names


_HANDLERS: dict[str, Any] = {}  # keeps them alive: XLA has only their addresses


def _on_host_forward(text: str, arguments: list[Tensor], results: list[Tensor]) -> None:
    call = _HostCall.of(text)
    arrays = host.from_names(dict(zip(call.names, arguments, strict=True)))
    gates = results.pop() if call.keep else None
    y = results[-1] if call.keep and call.keeps_y else None
    if not call.keeps_y:
        y = results[1]
    outcome, _ = host.forward(call.computation, arrays, y, gates)
    for tensor, memory in zip(filter(lambda tensor: tensor is not None, host.flat(outcome)), results, strict=False):
        if tensor.data_ptr() != memory.data_ptr():
            memory.copy_(tensor)


def _on_host_backward(text: str, arguments: list[Tensor], results: list[Tensor]) -> None:
    call = _HostCall.of(text)
    count = len(call.names)
    arrays = host.from_names(dict(zip(call.names, arguments, strict=False)))
    y, _, *of_outcome = arguments[count:]
    last, *others = (of_outcome.pop(0) if is_nonzero else None for is_nonzero in call.nonzero)
    outputs = others.pop(0) if call.computation.sequences else None
    gradient = Outcome(last, outputs, tuple(others))
    gradients = host.backward(call.computation, arrays, Kept(y, results[-1]), gradient, call.wanted)
    for name, memory in zip(call.wanted, results, strict=False):
        memory.copy_(gradients[name])
