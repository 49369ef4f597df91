"""Keras on TensorFlow: a computation is a call of the host, and its gradient is another.

In a ``tf.function``, and so in ``fit``, a call is a ``tf.numpy_function``; eagerly it is a plain call. Both pass
tensors without a copy. TensorFlow's tensors hold everything that backward needs, and there is no other state. Backward
overwrites the largest of them and marks it. A second backward through the same call, with a persistent tape, sees the
mark and computes the tensor again.

XLA cannot call the host. So Keras does not compile a model with such a layer by itself (``SUPPORTS_JIT``). In a user's
compiled function, :func:`why_not` says so, and Keras's own loop runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from holdfast.engines import EngineChoice
from holdfast.keras import host, torch_backend
from holdfast.keras.buffers import Buffers
from holdfast.keras.computation import Arrays, Computation, Outcome, no_second_derivative
from holdfast.keras.host import Kept

SUPPORTS_JIT = False

_MARKING = threading.Lock()
_GATES = Buffers()


def why_not(computation: Computation, dtype: str) -> str | None:
    """One sentence that says why the kernels cannot run a computation here and now, or None if they can."""
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    if tf.config.list_logical_devices("GPU"):
        return "TensorFlow computes on a GPU, and the kernels compute on the CPU."
    if not tf.executing_eagerly() and GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        return "XLA compiles this call, and it cannot call the kernels."
    return host.why_not(computation, dtype)


def explain(part: str, computation: Computation, dtype: str) -> EngineChoice:
    """The engine for a computation for which :func:`why_not` returned None: the native one."""
    return torch_backend.explain(part, computation, dtype, "cpu")


def run(computation: Computation, arrays: Arrays) -> Outcome:
    """Runs a computation for which :func:`why_not` returned None.

    Raises:
        EngineError: TensorFlow takes a second derivative.
    """
    import tensorflow as tf

    tensors = {name: tf.convert_to_tensor(array) for name, array in host.by_name(arrays).items()}
    masks = {name: tensors.pop(name) for name in host.MASKS if name in tensors}
    names = (*tensors, *masks)
    dtype, H = tensors["kernel"].dtype, computation.spec.output_size
    B, T = tensors["inputs"].shape[:2]
    keeps_y = not host.outputs_are_kept(computation, "mask" in masks)
    shapes = [(B, H), *([(B, T, H)] if computation.sequences else []), *((B, part.shape[1]) for part in arrays.state)]

    @tf.custom_gradient
    def differentiable(*values: Any) -> Any:
        values = (*values, *masks.values())
        kept_shapes = [(B, T, H), (None,), (1,)] if keeps_y else [(None,), (1,)]
        results = _on_host(
            lambda *arguments: _forward(computation, names, *arguments),
            values,
            [(shape, dtype) for shape in shapes + kept_shapes[:-1]] + [((1,), tf.int32)],
        )
        outcome, kept = results[: len(shapes)], results[len(shapes) :]
        if not keeps_y:
            kept = [outcome[1], *kept]

        def gradient(*of_outcome: Any) -> Any:
            @tf.custom_gradient
            def once(*values: Any) -> Any:
                gradients = _on_host(
                    lambda *arguments: _backward(computation, names, *arguments),
                    values,
                    [(tensor.shape, dtype) for tensor in tensors.values()],
                )
                return gradients, _no_second_derivative(computation)

            return once(*values, *kept, *of_outcome)

        return outcome, gradient

    outcome = list(differentiable(*tensors.values()))
    last = outcome.pop(0)
    return Outcome(last, outcome.pop(0) if computation.sequences else None, tuple(outcome))


def _no_second_derivative(computation: Computation) -> Callable[..., Any]:
    def gradient(*_: Any) -> Any:
        raise no_second_derivative(computation)

    return gradient


def _on_host(function: Callable[..., list[Tensor]], values: Any, results: list[tuple[Any, Any]]) -> list[Any]:
    """Calls a function of torch tensors; ``results`` are the shapes, as far as known, and dtypes of what it returns."""
    import tensorflow as tf

    if tf.executing_eagerly():
        tensors = function(*(from_dlpack(tf.experimental.dlpack.to_dlpack(value)) for value in values))
        return [tf.experimental.dlpack.from_dlpack(tensor.contiguous().__dlpack__()) for tensor in tensors]

    def of_arrays(*arrays: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
        return [tensor.numpy() for tensor in function(*map(torch.from_numpy, arrays))]

    outputs = tf.numpy_function(of_arrays, values, [dtype for _, dtype in results])
    for output, (shape, _) in zip(outputs, results, strict=True):
        output.set_shape(shape)
    return list(outputs)


def _forward(computation: Computation, names: tuple[str, ...], *tensors: Tensor) -> list[Tensor]:
    """The outcome, then what backward needs: y if it is not in the outcome, the gates, and their mark."""
    arrays = host.from_names(dict(zip(names, tensors, strict=True)))
    gates = _GATES.take(host.gates_size(computation, arrays.inputs), arrays.inputs.dtype)
    outcome, kept = host.forward(computation, arrays, gates=gates)
    results = [tensor for tensor in host.flat(outcome) if tensor is not None]
    results[0] = results[0].clone()  # often the state too, and results must not share memory
    if not host.outputs_are_kept(computation, arrays.mask is not None):
        results.append(kept.y)
    return [*results, kept.gates, torch.zeros(1, dtype=torch.int32)]


def _backward(computation: Computation, names: tuple[str, ...], *tensors: Tensor) -> list[Tensor]:
    """The gradients of all tensors but the masks."""
    count = len(names)
    arrays = host.from_names(dict(zip(names, tensors, strict=False)))
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
