"""Whether the tensors of a cell fit together: one check for layers, cells, Keras, TensorFlow 1 and ONNX.

The kernels read addresses and trust the sizes and dtypes they get. So every call checks every tensor: a parameter whose
dtype, device or shape has changed since the last call is still the same object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from holdfast.cells import NAMES, CellSpec, Noise
from holdfast.cells.nested_state import describe
from holdfast.errors import ShapeError

# A table, because the function takes longer than the rest of the check.
_MAY_AUTOCAST = {device: torch.amp.is_autocast_available(device) for device in ("cpu", "cuda", "meta", "mps", "xpu")}


def autocast_dtype(device: str) -> torch.dtype | None:
    """The dtype of ``torch.autocast`` on a type of device, or None where it is off."""
    if _MAY_AUTOCAST.get(device, True) and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return None


class _Expected(NamedTuple):
    """Names and shapes of a cell's parameters, and sizes of the parts of its state."""

    names: list[str]
    shapes: list[tuple[int, ...]]
    sizes: list[int]


@cache
def _expected(spec: CellSpec) -> _Expected:
    shapes = spec.parameter_shapes()
    return _Expected([*shapes], [*shapes.values()], [*spec.state_sizes.values()])


def fits(
    spec: CellSpec,
    inputs: Tensor,
    state: Sequence[Tensor],
    parameters: Mapping[str, Tensor],
    lengths: Tensor | None,
    noise: Noise | None,
) -> bool:
    """Whether :func:`check` would raise nothing; fast enough for every call.

    It returns False too where only :func:`check` can decide.
    """
    shape, (names, shapes, sizes) = inputs.shape, _expected(spec)
    if len(shape) != 3 or shape[2] != spec.input_size or len(state) != len(sizes) or [*parameters] != names:
        return False
    tensors = [*parameters.values()]
    if [tensor.shape for tensor in tensors] != shapes:
        return False
    batch, dtype, device = shape[0], inputs.dtype, inputs.device
    if [tensor.shape for tensor in state] != [(batch, size) for size in sizes]:
        return False
    tensors += state
    for tensor in tensors:
        if (tensor.dtype is not dtype and not _may_mix(tensor, inputs)) or tensor.device != device:
            return False
    if lengths is not None and (lengths.shape, lengths.dtype, lengths.device) != (shape[:1], torch.int64, device):
        return False
    return noise is None or all(
        mask.shape == expected_shape and mask.dtype in dtypes and mask.device == device
        for _, mask, expected_shape, dtypes in _masks(spec, inputs, noise)
    )


def _may_mix(a: Tensor, b: Tensor) -> bool:
    """Whether autocast converts both tensors to one dtype."""
    return a.is_floating_point() and b.is_floating_point() and autocast_dtype(b.device.type) is not None


def check(
    spec: CellSpec,
    inputs: Tensor,
    state: Sequence[Tensor],
    parameters: Mapping[str, Tensor],
    lengths: Tensor | None = None,
    noise: Noise | None = None,
    *,
    suffix: str = "",
) -> None:
    """Refuses tensors that do not fit the cell or each other.

    Args:
        spec: The cell.
        inputs: [B, T, I].
        state: h [B, O], and for the LSTM c [B, H].
        parameters: As :meth:`CellSpec.parameter_shapes` names and shapes them.
        lengths: int64 [B].
        noise: The masks of the batch.
        suffix: What follows the names of the parameters where the caller keeps them.

    Raises:
        ShapeError: A tensor does not fit; the message names it. All must have the same device and, outside of
            ``torch.autocast``, the same dtype.
    """
    name, batch = NAMES[spec.kind], inputs.shape[:1]
    if inputs.ndim != 3 or inputs.shape[2] != spec.input_size:
        raise ShapeError(
            f"{name} input has shape {tuple(inputs.shape)}; expected (batch, time, input_size) with input_size = "
            f"{spec.input_size}."
        )
    check_state_parts(name, state, len(spec.state_sizes), f"the parts {', '.join(spec.state_sizes)}")
    check_parameters(name, spec, parameters, suffix)
    like = next(iter(parameters.values()))
    check_like(f"{name} input", inputs, like)
    for (letter, size), tensor in zip(spec.state_sizes.items(), state, strict=True):
        check_state_part(name, f"{letter}0", tensor, {"batch": batch[0], size_name(spec, letter): size})
        check_like(f"{name} state {letter}0", tensor, like)
    if lengths is not None and (lengths.shape, lengths.dtype, lengths.device) != (batch, torch.int64, inputs.device):
        raise ShapeError(
            f"{name} lengths have shape {tuple(lengths.shape)} and are {lengths.dtype} on {lengths.device}; expected "
            f"{tuple(batch)} and torch.int64 on {inputs.device}."
        )
    for label, mask, shape, dtypes in _masks(spec, inputs, noise):
        if mask.shape != shape or mask.dtype not in dtypes or mask.device != inputs.device:
            raise ShapeError(
                f"{name} {label} has shape {tuple(mask.shape)} and is {mask.dtype} on {mask.device}; expected {shape} "
                f"and {dtypes[0]} on {inputs.device}."
            )


def check_parameters(name: str, spec: CellSpec, parameters: Mapping[str, Tensor], suffix: str = "") -> None:
    """Refuses parameters that do not fit the cell or each other.

    Args:
        name: What messages call the cell.
        spec: The cell.
        parameters: As :meth:`CellSpec.parameter_shapes` names and shapes them.
        suffix: What follows their names where the caller keeps them.

    Raises:
        ShapeError: A parameter does not fit; the message names it.
    """
    names, shapes, _ = _expected(spec)
    first = parameters.get("weight_ih")
    if first is not None and [*parameters] == names and [tensor.shape for tensor in parameters.values()] == shapes:
        dtype, device = first.dtype, first.device
        if all(tensor.dtype is dtype and tensor.device == device for tensor in parameters.values()):
            return
    for part, shape in zip(names, shapes, strict=True):
        tensor = parameters.get(part)
        if tensor is None or tensor.shape != shape:
            got = "is missing" if tensor is None else f"has shape {tuple(tensor.shape)}"
            raise ShapeError(f"{name} {part}{suffix} {got}; expected {shape}, for {_sizes(spec)}.")
    if surplus := parameters.keys() - set(names):
        raise ShapeError(f"{name} got a parameter {min(surplus)}{suffix}, which this cell does not have; leave it out.")
    # The parameter to blame is the one that differs from most others.
    kinds = [(tensor.dtype, tensor.device) for tensor in parameters.values()]
    like = list(parameters.values())[kinds.index(Counter(kinds).most_common(1)[0][0])]
    for part, tensor in parameters.items():
        check_like(f"{name} {part}{suffix}", tensor, like, "the other parameters")


def _sizes(spec: CellSpec) -> str:
    sizes = f"input_size = {spec.input_size} and hidden_size = {spec.hidden_size}"
    return f"{sizes}, proj_size = {spec.proj_size}" if spec.proj_size else sizes


def check_state_parts(name: str, state: Any, count: int, expected: str) -> None:
    """Refuses a state that is not a tuple or list of ``count`` parts.

    Raises:
        ShapeError: It is not: ``{name} state is ...; expected {expected}.``
    """
    if not isinstance(state, tuple | list) or len(state) != count:
        raise ShapeError(f"{name} state is {describe(state)}; expected {expected}.")


def check_state_part(name: str, label: str, part: Any, axes: Mapping[str, int]) -> None:
    """Refuses a part of a state that is not a tensor of the right shape.

    Args:
        name: What messages call the cell or layer.
        label: What they call the part.
        part: The part.
        axes: The name and size of each axis.

    Raises:
        ShapeError: It does not have the shape.
    """
    shape = (*axes.values(),)
    if isinstance(part, Tensor) and part.shape == shape:
        return
    got = f"has shape {tuple(part.shape)}" if isinstance(part, Tensor) else f"is {describe(part)}"
    tensor = "" if isinstance(part, Tensor) else "a tensor "
    names = f"({', '.join(axes)})" if len(axes) > 1 else f"({next(iter(axes))},)"
    raise ShapeError(f"{name} state {label} {got}; expected {tensor}{names} = {shape}.")


def size_name(spec: CellSpec, letter: str) -> str:
    """The argument that sets the size of h or c."""
    return "proj_size" if letter == "h" and spec.proj_size else "hidden_size"


def check_like(name: str, tensor: Tensor, like: Tensor, others: str = "the parameters") -> None:
    """Refuses a tensor of another dtype or device; ``torch.autocast`` converts one floating dtype to another.

    Args:
        name: What messages call the tensor.
        tensor: The tensor.
        like: A tensor with the right dtype and device.
        others: What messages call ``like``.

    Raises:
        ShapeError: The dtype or device differs.
    """
    if tensor.device == like.device and (tensor.dtype is like.dtype or _may_mix(tensor, like)):
        return
    step = "convert one of them with .to(...)."
    if "meta" in (tensor.device.type, like.device.type):
        step = "a tensor on meta has no values: load them by load_state_dict(..., assign=True), or make a new model."
    raise ShapeError(
        f"{name} is {tensor.dtype} on {tensor.device}; expected {like.dtype} on {like.device}, as {others}: {step}"
    )


def _masks(
    spec: CellSpec, inputs: Tensor, noise: Noise | None
) -> Iterator[tuple[str, Tensor, tuple[int, ...], tuple[torch.dtype, ...]]]:
    """The masks of a batch: a name, the mask, its shape, and the dtypes that it may have."""
    if noise is None:
        return
    batch, steps = inputs.shape[:2]
    O, H = spec.output_size, spec.hidden_size  # noqa: E741
    per_gate = (len(spec.gates),) if spec.recurrent_dropout_mode == "gates" else ()
    shapes = {
        "state": (batch, *per_gate, O),
        "candidate": (steps, batch, H),
        "zoneout_h": (steps, batch, O),
        "zoneout_c": (steps, batch, H),
    }
    mixed = autocast_dtype(inputs.device.type) is not None
    numbers = (inputs.dtype, torch.float32, torch.bfloat16) if mixed else (inputs.dtype,)
    for name, mask in noise.named():
        yield f"mask {name}", mask, shapes[name], (torch.bool,) if name.startswith("zoneout") else numbers
