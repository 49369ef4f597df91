"""Keras on TensorFlow: a computation is a call of the host, with a gradient that is another.

In a ``tf.function``, and so in ``fit``, a call is a ``tf.numpy_function``; eagerly it is a plain call. Either way
tensors go in and out as they lie in memory. What backward needs stays among TensorFlow's tensors, so that a call has no
state anywhere else. Backward writes over the largest of them, and marks it: whoever goes back through the same call
again, with a persistent tape, has it computed anew.

XLA cannot call the host. Keras compiles no model with such a layer by itself (``SUPPORTS_JIT``), and where a function
of the user's is compiled, :func:`why_not` says so and Keras's own loop runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from holdfast.cells import NAMES
from holdfast.engines import EngineChoice
from holdfast.errors import EngineError
from holdfast.keras import host, torch_backend
from holdfast.keras.buffers import Buffers
from holdfast.keras.computation import Arrays, Computation, Outcome
from holdfast.keras.host import Kept

SUPPORTS_JIT = False

_MARKING = threading.Lock()
_GATES = Buffers()


def why_not(computation: Computation, dtype: str) -> str | None:
    """One sentence that says why the kernels cannot run a computation here and now, or None when they can."""
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    if tf.config.list_logical_devices("GPU"):
        return "TensorFlow computes on a GPU, and the kernels on the CPU."
    if not tf.executing_eagerly() and GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        return "XLA compiles this call, and it cannot call the kernels."
    return host.why_not(computation, dtype)


def explain(part: str, computation: Computation, dtype: str) -> EngineChoice:
    """Which engine runs a computation that :func:`why_not` has nothing against: the native one."""
    return torch_backend.explain(part, computation, dtype, "cpu")


def run(computation: Computation, arrays: Arrays) -> Outcome:
    """Runs a computation that :func:`why_not` has nothing against.

    Raises:
        EngineError: A second derivative is asked for.
    """
    import tensorflow as tf

    tensors = {name: tf.convert_to_tensor(array) for name, array in host.named(arrays).items()}
    masks = {name: tensors.pop(name) for name in host.MASKS if name in tensors}
    names = (*tensors, *masks)
    dtype, H = tensors["kernel"].dtype, computation.spec.output_size
    B, T = tensors["inputs"].shape[:2]
    separate = not host.outputs_are_kept(computation, "mask" in masks)
    shapes = [(B, H), *([(B, T, H)] if computation.sequences else []), *((B, part.shape[1]) for part in arrays.state)]

    @tf.custom_gradient
    def differentiable(*values: Any) -> Any:
        values = (*values, *masks.values())
        kept_shapes = [(B, T, H), (None,), (1,)] if separate else [(None,), (1,)]
        results = _on_host(
            lambda *given: _forward(computation, names, *given),
            values,
            [(shape, dtype) for shape in shapes + kept_shapes[:-1]] + [((1,), tf.int32)],
        )
        outcome, kept = results[: len(shapes)], results[len(shapes) :]
        if not separate:
            kept = [outcome[1], *kept]

        def gradient(*of_outcome: Any) -> Any:
            @tf.custom_gradient
            def once(*values: Any) -> Any:
                found = _on_host(
                    lambda *given: _backward(computation, names, *given),
                    values,
                    [(tensor.shape, dtype) for tensor in tensors.values()],
                )
                return found, _no_second_derivative(computation)

            return once(*values, *kept, *of_outcome)

        return outcome, gradient

    outcome = list(differentiable(*tensors.values()))
    last = outcome.pop(0)
    return Outcome(last, outcome.pop(0) if computation.sequences else None, tuple(outcome))


def _no_second_derivative(computation: Computation) -> Callable[..., Any]:
    def gradient(*_: Any) -> Any:
        raise EngineError(
            f"The kernels that compute this {NAMES[computation.spec.kind]} layer have no second derivative. "
            "Use Keras's own layer, which has."
        )

    return gradient


def _on_host(function: Callable[..., list[Tensor]], values: Any, results: list[tuple[Any, Any]]) -> list[Any]:
    """Calls a function of torch tensors; ``results`` are the shapes, as far as they are known, and dtypes it gives."""
    import tensorflow as tf

    if tf.executing_eagerly():
        found = function(*(from_dlpack(tf.experimental.dlpack.to_dlpack(value)) for value in values))
        return [tf.experimental.dlpack.from_dlpack(tensor.contiguous().__dlpack__()) for tensor in found]

    def of_arrays(*arrays: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
        return [tensor.numpy() for tensor in function(*map(torch.from_numpy, arrays))]

    found = tf.numpy_function(of_arrays, values, [dtype for _, dtype in results])
    for tensor, (shape, _) in zip(found, results, strict=True):
        tensor.set_shape(shape)
    return list(found)


def _forward(computation: Computation, names: tuple[str, ...], *tensors: Tensor) -> list[Tensor]:
    """The outcome, then what backward needs: y, if it is not among the outcome, the gates, and a mark on them."""
    arrays = host.from_named(dict(zip(names, tensors, strict=True)))
    gates = _GATES.take(host.gates_size(computation, arrays.inputs), arrays.inputs.dtype)
    outcome, kept = host.forward(computation, arrays, gates=gates)
    results = [tensor for tensor in host.flat(outcome) if tensor is not None]
    results[0] = results[0].clone()  # often it is the state as well, and no two results may share memory
    if not host.outputs_are_kept(computation, arrays.mask is not None):
        results.append(kept.y)
    return [*results, kept.gates, torch.zeros(1, dtype=torch.int32)]


def _backward(computation: Computation, names: tuple[str, ...], *tensors: Tensor) -> list[Tensor]:
    """The gradients of all tensors but the masks."""
    count = len(names)
    arrays = host.from_named(dict(zip(names, tensors, strict=False)))
    y, gates, mark, *of_outcome = tensors[count:]
    with _MARKING:
        overwritten = bool(mark)
        mark.fill_(1)
    kept = Kept(y, gates)
    if overwritten:
        _, kept = host.forward(computation, arrays, gates=torch.empty_like(gates))
    last, *of_outcome = of_outcome
    outputs = of_outcome.pop(0) if computation.sequences else None
    gradient = Outcome(last, outputs, tuple(of_outcome))
    return list(host.backward(computation, arrays, kept, gradient).values())
