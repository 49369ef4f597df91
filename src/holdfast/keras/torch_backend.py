"""Keras on torch: a computation becomes a request to Holdfast's engines, and autograd differentiates all of it.

The backends of JAX and TensorFlow use this on the host too.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from holdfast.cells import NAMES, CellSpec, Noise
from holdfast.engines import Engine, EngineChoice, Request, explain_request, select
from holdfast.errors import ShapeError
from holdfast.interop.layouts import KERAS, Weights, reordered
from holdfast.interop.masking import compacted, spread
from holdfast.keras.computation import Arrays, Computation, Outcome

SUPPORTS_JIT = False  # to torch.compile the kernels are one operator, and there is little to gain around it


def why_not(computation: Computation, dtype: str) -> str | None:
    """None, except in torch.export: the reference engine runs what the kernels cannot, and :func:`explain` says so."""
    if torch.compiler.is_exporting():
        return "torch exports the model, for programs that may not have Holdfast."
    return None


def explain(part: str, computation: Computation, dtype: str, device: torch.device | str | None = None) -> EngineChoice:
    """Which engine runs a computation on ``device``; None for the device where Keras puts its tensors."""
    import keras

    return explain_request(part, "auto", example(computation, dtype, device or keras.ops.zeros(()).device))


def run(computation: Computation, arrays: Arrays, engine: Engine | None = None) -> Outcome:
    """Runs a computation.

    Args:
        computation: The computation.
        arrays: Its tensors.
        engine: The engine that runs the request; None for the fastest engine that can.

    Raises:
        ShapeError: The tensors do not fit the cell or one another.
    """
    inputs, mask = cast(Tensor, arrays.inputs), cast("Tensor | None", arrays.mask)
    lengths = order = None
    if mask is not None:
        if mask.shape != inputs.shape[:2]:
            raise ShapeError(
                f"The mask of a Keras {NAMES[computation.spec.kind]} layer has shape {tuple(mask.shape)}; expected "
                f"{tuple(inputs.shape[:2])}, as the steps of its inputs."
            )
        inputs, lengths, order = compacted(inputs, mask)
    request = Request(
        computation.spec,
        inputs,
        arrays.state,
        parameters(computation.spec, arrays),
        lengths,
        None if arrays.state_mask is None else Noise(state=_state_mask(computation.spec, arrays.state_mask)),
        reverse=computation.reverse,
    )
    result = (engine or select("auto", request)).run(request)
    outputs = result.outputs if computation.sequences else None
    last = result.state[0]
    if mask is not None:
        if outputs is not None:
            outputs = _at_masked(computation, outputs, mask, order, arrays.state[0])
        last = _last(computation, last, mask)
    return Outcome(last, outputs, result.state)


def parameters(spec: CellSpec, arrays: Arrays) -> dict[str, Tensor]:
    """The weights in Holdfast's layout."""
    bias, recurrent_bias = arrays.bias, None
    if bias is not None and not spec.single_bias:
        bias, recurrent_bias = bias
    weights = Weights(arrays.kernel, arrays.recurrent_kernel, bias, recurrent_bias)
    return KERAS.inward(spec, weights, f"The {NAMES[spec.kind]} layer")


def _state_mask(spec: CellSpec, mask: Tensor) -> Tensor:
    """The mask of h, [B, H], or [B, gates, H] with the gates in Holdfast's order."""
    if mask.dim() == 2:
        return mask
    return reordered(mask.transpose(0, 1), KERAS.gates[spec.kind], "".join(spec.gates)).transpose(0, 1)


def _shape_of_state_mask(spec: CellSpec, batch: int) -> tuple[int, ...]:
    gates = (len(spec.gates),) if spec.recurrent_dropout_mode == "gates" else ()
    return (batch, *gates, spec.output_size)


def _at_masked(computation: Computation, outputs: Tensor, mask: Tensor, order: Tensor | None, h: Tensor) -> Tensor:
    """The outputs at the steps of their inputs, and at masked steps the outputs that ``computation`` specifies."""
    repeat = computation.at_masked == "repeat"
    outputs = spread(outputs, mask, order, repeat=repeat, reverse=computation.reverse)
    if repeat and computation.before_first == "state":
        steps_run = mask.flip(1).cumsum(1).flip(1) if computation.reverse else mask.cumsum(1)
        outputs = torch.where(steps_run[:, :, None] > 0, outputs, h[:, None])
    return outputs


def _last(computation: Computation, h: Tensor, mask: Tensor) -> Tensor:
    """The output of the step that runs last; ``h`` is the state after it."""
    if computation.at_masked == "zero":
        counts = mask[:, 0 if computation.reverse else -1]
    elif computation.before_first == "zero":
        counts = mask.any(1)
    else:
        return h
    return h * counts[:, None].to(h.dtype)


def example(computation: Computation, dtype: str, device: torch.device | str) -> Request:
    """A request of one step with the right shapes and dtypes, whose values mean nothing."""
    spec = computation.spec
    like = torch.empty((), dtype=getattr(torch, dtype), device=device)
    state = tuple(like.expand(1, size) for size in spec.state_sizes.values())
    shapes = {name: like.expand(shape) for name, shape in spec.parameter_shapes().items()}
    noise = Noise(state=like.expand(_shape_of_state_mask(spec, 1))) if spec.recurrent_dropout else None
    return Request(spec, like.expand(1, 1, spec.input_size), state, shapes, None, noise, reverse=computation.reverse)
