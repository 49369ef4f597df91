"""Values of a program as tensors of the graph, and values that are known before a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from holdfast.tf1.graph.dtypes import DType, as_dtype, string
from holdfast.tf1.graph.graph import get_default_graph, node
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.nested import flatten, is_structure
from holdfast.tf1.graph.shapes import Dimension, Sizes, TensorShape, broadcast, merged, sizes_of
from holdfast.tf1.graph.tensors import Tensor

_MOST_KNOWN = 2**20  # values: a larger tensor is not computed before a run
CONVERSIONS: list[tuple[type, Callable[[Any], Tensor]]] = []
"""How other things of the graph become tensors, such as slices of rows; in the files that define them."""


@public("convert_to_tensor")
def convert_to_tensor(value: Any, dtype: Any = None, name: str | None = None, preferred_dtype: Any = None) -> Tensor:
    """A tensor of the graph from a tensor, a number, an array, or a list of these.

    Raises:
        TypeError: The value has another dtype than the one asked for.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(value, Tensor):
        if wanted is not None and value.dtype != wanted:
            raise TypeError(
                f"Tensor {value.name} is {value.dtype.name}; expected {wanted.name}. Convert it by "
                f"tf.cast(tensor, tf.{wanted.name})."
            )
        return value
    for kind, convert in CONVERSIONS:
        if isinstance(value, kind):
            return convert_to_tensor(convert(value), dtype, name)
    if is_structure(value) and any(_is_symbolic(part) for part in flatten(value)):
        return _stacked(list(value), wanted, name)
    array = array_of(value, wanted, preferred_dtype)
    return constant_of(array, as_dtype(array.dtype) if wanted is None else wanted, name)


def _is_symbolic(value: Any) -> bool:
    return isinstance(value, Tensor) or any(isinstance(value, kind) for kind, _ in CONVERSIONS)


def _stacked(parts: list[Any], wanted: DType | None, name: str | None) -> Tensor:
    """A list that holds tensors, as one tensor."""
    if wanted is None:
        wanted = next((part.dtype for part in flatten(parts) if isinstance(part, Tensor)), None)
    tensors = [convert_to_tensor(part, wanted) for part in parts]
    sizes: Sizes = tensors[0].sizes
    for tensor in tensors[1:]:
        sizes = merged(sizes, tensor.sizes)
    return node(
        "Pack",
        lambda *values: torch.stack(values),
        tensors,
        tensors[0].dtype,
        None if sizes is None else (len(tensors), *sizes),
        name or "stack",
    )


def array_of(value: Any, dtype: DType | None = None, preferred: Any = None) -> np.ndarray[Any, Any]:
    """A value of a program as an array; Python's numbers become float32 and int32.

    Raises:
        TypeError: It is not a number, an array or a list of these, or does not fit ``dtype``.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, TensorShape):
        value = value.as_list()
    if isinstance(value, list | tuple):
        value = [int(part) if isinstance(part, Dimension) else part for part in value]
    if isinstance(value, Dimension):
        value = int(value)
    typed = isinstance(value, np.ndarray | np.generic)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{value!r} is not one array ({error}); expected rows of equal length.") from None
    if array.dtype.kind == "O" and any(isinstance(part, list | tuple | np.ndarray) for part in array.ravel()):
        raise TypeError(f"{_short(value)} is not one array; expected rows of equal length. Pad the shorter rows.")
    if array.dtype.kind in "OSU":
        if dtype is not None and dtype != string:
            raise TypeError(f"{_short(value)} is not a number; expected {dtype.name}.")
        if array.dtype.kind == "O" and not all(isinstance(part, str | bytes) for part in array.ravel()):
            raise TypeError(f"{_short(value)} is neither a tensor, a number nor an array of numbers.")
        return array.astype(np.object_)
    if dtype is not None:
        if dtype.is_integer and array.dtype.kind == "f" and not typed and array.size:
            raise TypeError(f"{_short(value)} has a fraction; expected {dtype.name}.")
        return array.astype(dtype.as_numpy_dtype)
    if typed:
        return array
    if preferred is not None and array.dtype.kind != "b":
        chosen = as_dtype(preferred)
        if chosen.is_floating or array.dtype.kind == "i":
            return array.astype(chosen.as_numpy_dtype)
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.dtype.kind == "i":
        small = not array.size or np.abs(array).max() < 2**31
        return array.astype(np.int32 if small else np.int64)
    return array


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 100 else f"{text[:100]}..."


def constant_of(array: np.ndarray[Any, Any], dtype: DType, name: str | None = None) -> Tensor:
    """A node that holds a value."""
    value = array if dtype == string else torch.from_numpy(np.array(array, dtype=dtype.as_numpy_dtype))
    return node("Const", None, [], dtype, tuple(array.shape), name, value=value)


@public("constant")
def constant(
    value: Any, dtype: Any = None, shape: Any = None, name: str | None = "Const", verify_shape: bool = False
) -> Tensor:
    """A constant; with ``shape``, its last value is repeated until the shape is full.

    Raises:
        TypeError: The value is not a number or an array of numbers.
        ValueError: There are more values than the shape holds.
    """
    kind = None if dtype is None else as_dtype(dtype)
    array = array_of(value, kind)
    if shape is not None:
        sizes = tuple(int(size) for size in TensorShape(shape).as_list())  # type: ignore[arg-type]
        count = math.prod(sizes)
        get_default_graph().allow(count)
        if array.size > count or (verify_shape and array.shape != sizes):
            raise ValueError(f"A constant has shape {array.shape}; expected one that fits {sizes}.")
        if array.size == count:
            array = array.reshape(sizes)
        else:
            filled = np.full(count, array.ravel()[-1] if array.size else 0, dtype=array.dtype)
            filled[: array.size] = array.ravel()
            array = filled.reshape(sizes)
    return constant_of(array, as_dtype(array.dtype) if kind is None else kind, name)


def known_value(value: Any) -> np.ndarray[Any, Any] | None:
    """The value of a tensor if it is known before a run; of anything else, the value as an array."""
    if not isinstance(value, Tensor):
        if is_structure(value) and any(_is_symbolic(part) for part in flatten(value)):
            return None
        return array_of(value)
    found = _known(value)
    return None if found is None else (found if isinstance(found, np.ndarray) else found.detach().numpy())


def _known(tensor: Tensor) -> Any:
    """The value of a tensor that follows from constants and static shapes alone; None if it does not."""
    op = tensor.op
    if op.type == "Const":
        return op.settings["value"]
    if op.type == "Shape":
        sizes = op.inputs[0].sizes
        return None if sizes is None or None in sizes else torch.tensor(sizes, dtype=tensor.dtype.torch)
    if op.compute is None or op.prepare is not None or op.effect or op.type == "Placeholder" or not op.inputs:
        return None
    if math.prod(size or 0 for size in tensor.sizes or ()) > _MOST_KNOWN:
        return None
    values = [_known(each) for each in op.inputs]
    if any(value is None for value in values):
        return None
    result = op.compute(*values)
    return result[tensor.value_index] if op.several else result


def known_sizes(shape: Any) -> Sizes:
    """The sizes that a shape in a program's arguments says: a list of numbers and scalars, or a tensor of sizes."""
    if isinstance(shape, Tensor):
        return _sizes_in(shape)
    if isinstance(shape, list | tuple):
        return tuple(_size_in(part) for part in shape)
    return sizes_of(shape)


def _sizes_in(shape: Tensor) -> Sizes:
    op = shape.op
    if op.type == "Shape":
        return op.inputs[0].sizes
    if op.type == "Pack":
        return tuple(_size_in(part) for part in op.inputs)
    if op.type == "ConcatV2":
        parts = [_sizes_in(part) for part in op.inputs]
        return None if any(part is None for part in parts) else tuple(size for part in parts for size in part or ())
    value = known_value(shape)
    if value is not None:
        return tuple(None if size < 0 else int(size) for size in np.atleast_1d(value))
    return None if shape.sizes is None or shape.sizes[:1] == (None,) else (None,) * ((*shape.sizes, 1)[0] or 0)


def _size_in(part: Any) -> int | None:
    if not isinstance(part, Tensor):
        size = Dimension(part).value
        return None if size is not None and size < 0 else size
    value = known_value(part)
    if value is not None:
        return None if int(value) < 0 else int(value)
    if part.op.type == "StridedSlice" and part.op.inputs[0].op.type == "Shape":  # tf.shape(x)[i]
        sizes, index = part.op.inputs[0].op.inputs[0].sizes, part.op.settings.get("index")
        if sizes is not None and isinstance(index, int) and -len(sizes) <= index < len(sizes):
            return sizes[index]
    return None


def whole_numbers(value: Any, name: str | None = None) -> Tensor:
    """Sizes or positions as an int32 tensor; numbers, dimensions and tensors may stand side by side."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, list | tuple):
        value = [part if isinstance(part, Tensor) else int(part) for part in value]
        mixed = {part.dtype.name for part in value if isinstance(part, Tensor)}
        if mixed:
            kind = as_dtype(sorted(mixed)[-1])
            return convert_to_tensor([_as_kind(part, kind) for part in value], kind, name)
    return convert_to_tensor(array_of(value).astype(np.int32), name=name)


def _as_kind(part: Any, kind: DType) -> Any:
    if isinstance(part, Tensor) and part.dtype != kind:
        to = kind.torch
        return node("Cast", lambda x: x.to(to), [part], kind, part.sizes)
    return part


def same_kind(*values: Any) -> list[Tensor]:
    """Values of an operation by elements as tensors of one dtype, the dtype of the first tensor among them."""
    first = next((value for value in values if isinstance(value, Tensor)), None)
    if first is None:
        first = convert_to_tensor(values[0])
        values = (first, *values[1:])
    return [convert_to_tensor(value, first.dtype) for value in values]


def all_broadcast(tensors: list[Tensor]) -> Sizes:
    """The shape of an operation by elements."""
    sizes: Sizes = tensors[0].sizes
    for tensor in tensors[1:]:
        sizes = broadcast(sizes, tensor.sizes)
    return sizes
