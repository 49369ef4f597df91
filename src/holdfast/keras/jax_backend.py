"""Keras on JAX: a computation is a call of the host that XLA makes, with a gradient that is another.

Traced, compiled or not, a call is a foreign function to XLA, which works in XLA's own buffers
(:mod:`holdfast.keras.xla_call`). It carries the whole computation as a text, so that a compiled program means the same
in every process. What backward needs stays among XLA's buffers, so that a call has no state anywhere else. Backward
writes over the largest of them; XLA knows, and copies it first where it is needed again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from holdfast.cells import NAMES, CellSpec
from holdfast.engines import EngineChoice
from holdfast.errors import EngineError
from holdfast.keras import host, torch_backend, xla_call
from holdfast.keras.computation import Arrays, Computation, Outcome
from holdfast.keras.host import Kept

SUPPORTS_JIT = True


def why_not(computation: Computation, dtype: str) -> str | None:
    """One sentence that says why the kernels cannot run a computation here, or None when they can."""
    import jax

    if jax.default_backend() != "cpu":
        return f"JAX computes on the {jax.default_backend().upper()}, and the kernels on the CPU."
    return host.why_not(computation, dtype)


def explain(part: str, computation: Computation, dtype: str) -> EngineChoice:
    """Which engine runs a computation that :func:`why_not` has nothing against: the native one."""
    return torch_backend.explain(part, computation, dtype, "cpu")


def run(computation: Computation, arrays: Arrays) -> Outcome:
    """Runs a computation that :func:`why_not` has nothing against.

    Raises:
        EngineError: A second derivative is asked for.
    """
    import jax.numpy as jnp

    tensors = {name: jnp.asarray(array) for name, array in host.named(arrays).items()}
    outcome = list(_differentiable(computation, tuple(tensors))(*tensors.values()))
    last = outcome.pop(0)
    return Outcome(last, outcome.pop(0) if computation.sequences else None, tuple(outcome))


class _HostCall(NamedTuple):
    """What is the same in every call from one place of a program.

    Attributes:
        computation: The computation.
        names: Of the tensors, as :func:`holdfast.keras.host.named` gives them.
        keep: Forward: whether backward may follow.
        wanted: Backward: the names of those whose gradients are asked for.
        given: Backward: which results have a gradient that is not zero.
    """

    computation: Computation
    names: tuple[str, ...]
    keep: bool = False
    wanted: tuple[str, ...] = ()
    given: tuple[bool, ...] = ()

    @property
    def kept_apart(self) -> bool:
        """Whether y is kept beside the outcome."""
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
        names, wanted, given = (tuple(values[name]) for name in ("names", "wanted", "given"))
        return cls(Computation(spec, **computation), names, values["keep"], wanted, given)


@cache
def _differentiable(computation: Computation, names: tuple[str, ...]) -> Any:
    """The computation as a function of its tensors, which gives the tensors of the outcome."""
    import jax
    from jax.custom_derivatives import SymbolicZero

    @jax.custom_vjp
    def call(*values: Any) -> Any:
        return _forward(_HostCall(computation, names), values)

    def forward(*inputs: Any) -> Any:
        values = [each.value for each in inputs]
        kept_call = _HostCall(computation, names, keep=True)
        results = _without_derivative(kept_call, lambda *values: _forward(kept_call, values))(*values)
        count = 1 + computation.sequences + len(computation.spec.state_sizes)
        outcome, kept = results[:count], results[count:]
        if len(kept) == 1:
            kept = [outcome[1], *kept]
        asked = [() if each.perturbed else None for each in inputs]  # in the structure of a tree, which is static
        return outcome, (values, kept, asked)

    def backward(residuals: Any, gradients: Any) -> Any:
        values, kept, asked = residuals
        wanted = tuple(name for name, each in zip(names, asked, strict=True) if each is not None)
        given = tuple(not isinstance(gradient, SymbolicZero) for gradient in gradients)
        if not any(given):
            return (None,) * len(names)
        of_outcome = [gradient for gradient, there in zip(gradients, given, strict=True) if there]
        found = _backward(_HostCall(computation, names, wanted=wanted, given=given))(*values, *kept, *of_outcome)
        by_name = dict(zip(wanted, found, strict=True))
        return tuple(by_name.get(name) for name in names)

    call.defvjp(forward, backward, symbolic_zeros=True)
    return call


def _forward(call: _HostCall, values: Sequence[Any]) -> list[Any]:
    """Has XLA call :func:`_on_host_forward`: the outcome, then what is kept."""
    import jax

    tensors = dict(zip(call.names, values, strict=True))
    dtype, (B, T, _) = tensors["inputs"].dtype, tensors["inputs"].shape
    steps = (B, T, call.computation.spec.output_size)
    shapes = [(B, steps[2]), *([steps] if call.computation.sequences else [])]
    shapes += [(B, size) for size in call.computation.spec.state_sizes.values()]
    if call.keep:
        shapes += [steps] if call.kept_apart else []
        shapes.append((B * T * host.kept_values(call.computation, getattr(torch, dtype.name)),))
    results = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    return list(jax.ffi.ffi_call(_targets()[0], results, vmap_method="sequential")(*values, call=call.text()))


def _backward(call: _HostCall) -> Any:
    """A function that has XLA call :func:`_on_host_backward`, and that has no derivative."""
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
    """A function of a first derivative; whoever takes the second is told that there is none."""
    import jax

    once = jax.custom_jvp(function)

    @once.defjvp
    def again(primals: Any, tangents: Any) -> Any:
        raise EngineError(
            f"The kernels that compute this {NAMES[call.computation.spec.kind]} layer have no second derivative. "
            "Use Keras's own layer, which has."
        )

    return once


@cache
def _targets() -> tuple[str, str]:
    """The names by which XLA knows forward and backward, which it learns here."""
    import jax

    names = ("holdfast_forward", "holdfast_backward")
    for name, function in zip(names, (_on_host_forward, _on_host_backward), strict=True):
        _HANDLERS[name] = xla_call.handler(function)
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(_HANDLERS[name]), platform="cpu")
    return names


_HANDLERS: dict[str, Any] = {}  # XLA has their addresses alone


def _on_host_forward(text: str, arguments: list[Tensor], results: list[Tensor]) -> None:
    call = _HostCall.of(text)
    arrays = host.from_named(dict(zip(call.names, arguments, strict=True)))
    gates = results.pop() if call.keep else None
    y = results[-1] if call.keep and call.kept_apart else None
    if not call.kept_apart:
        y = results[1]
    outcome, _ = host.forward(call.computation, arrays, y, gates)
    for tensor, memory in zip((each for each in host.flat(outcome) if each is not None), results, strict=False):
        if tensor.data_ptr() != memory.data_ptr():
            memory.copy_(tensor)


def _on_host_backward(text: str, arguments: list[Tensor], results: list[Tensor]) -> None:
    call = _HostCall.of(text)
    count = len(call.names)
    arrays = host.from_named(dict(zip(call.names, arguments, strict=False)))
    y, _, *of_outcome = arguments[count:]
    last, *others = (of_outcome.pop(0) if there else None for there in call.given)
    outputs = others.pop(0) if call.computation.sequences else None
    gradient = Outcome(last, outputs, tuple(others))
    found = host.backward(call.computation, arrays, Kept(y, results[-1]), gradient, call.wanted)
    for name, memory in zip(call.wanted, results, strict=False):
        memory.copy_(found[name])
